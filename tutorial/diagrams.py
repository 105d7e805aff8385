"""Draws the course's diagrams, figures/*.png, in one look.

    python tutorial/diagrams.py                    # all
    python tutorial/diagrams.py pipeline forward   # these
    python tutorial/diagrams.py architecture --model cartoon --folder FOLDER

pipeline       the whole method, picture to labels
architecture   the UNet, what is recorded in it, and what follows (diagram_unet.py)
dual_prompts   where P goes, and where P' goes
refinement     scale alignment, U A R, as matrices and applied to a map
forward        the forward process, and where on it training, sampling and FA-Seg stand

All numbers, tokens and small pictures are the package's own: Stable Diffusion 1.5's sizes in
architecture.png, else what the cartoon model makes of the scene in figures/meadow.png. All draw
with diagram_parts.py; dual_prompts and refinement are in diagram_attention.py.
"""
import argparse
import inspect
import sys
from pathlib import Path

import diagram_attention
import diagram_parts as look
import diagram_unet
import made_from
import numpy as np
import plots
import torch
from diagram_parts import CLASSES, LARGE, SMALL, Canvas, meadow
from matplotlib.patches import Rectangle
from PIL import ImageOps

from minifaseg import ddim, prompts
from minifaseg.cartoon.sample import sample
from minifaseg.cartoon.train_unet import noised
from minifaseg.faseg import FASeg
from minifaseg.unet import UNetConfig

FIGURES = Path(__file__).parent / "figures"
CELL = (0.27, 0.6)                      # (x, y) in the picture, on the cat: whose row of A is shown


# ---- the whole method ----------------------------------------------------------------------------

def pipeline(out: Path) -> None:
    c = Canvas(58)
    c.band(0.5, 33.6, 99, 24)
    c.band(0.5, 0.5, 99, 32.2)
    c.write(2, 55.6, "capture: the slow step, once for a picture", look.GREY, ha="left",
            style="italic")
    c.write(2, 2.6, "scores: the fast step, without the UNet", look.GREY, ha="left",
            style="italic")
    draw_capture(c)
    draw_maps(c)
    draw_scores(c)
    c.save(out)


@torch.no_grad()
def draw_capture(c: Canvas) -> None:
    """Above: picture, latent, inversion, the UNet."""
    drawn = meadow()
    t = drawn.method.timestep
    text = prompts.image_prompt(drawn.model.text, CLASSES, look.CAPTION).states.expand(2, -1, -1)
    z_0 = drawn.captured.latents
    [(_, z_t)] = ddim.invert(drawn.model.unet, z_0, text, [t])

    image = drawn.image.resize((256, 256))
    c.stack((image, ImageOps.mirror(image)), 2.5, 40, 10.5, interpolation="lanczos")
    c.write(8.4, 37, "picture and\nmirror image", fontsize=SMALL)
    c.arrow([(14.3, 46), (18, 46)])
    c.box(18, 42.5, 9, 7, text="VAE\nencoder", fontsize=SMALL)
    c.arrow([(27, 46), (30.5, 46)])
    c.stack([look.latent_picture(z) for z in z_0], 30.5, 40, 10.5)
    c.write(36.4, 37.7, "$z_0$", fontsize=LARGE)
    c.arrow([(42.3, 46), (46, 46)])
    c.box(46, 42.5, 11.5, 7, look.PALE_TIME, look.TIME,
          "inversion to $t$,\none DDIM step", fontsize=SMALL)
    c.arrow([(57.5, 46), (61, 46)])
    c.stack([look.latent_picture(z) for z in z_t], 61, 40, 10.5)
    c.write(66.9, 37.7, "$z_t$", fontsize=LARGE)
    c.write(66.9, 35.4, f"$t$ = {t}; in the release {FASeg().timestep}", look.GREY, fontsize=SMALL)
    c.arrow([(72.8, 46), (80, 46)])

    c.box(80, 53, 18.5, 4, look.PALE_P, look.P, "$P$ = caption ; names", fontsize=SMALL)
    c.arrow([(89.2, 53), (89.2, 50)], look.P)
    c.write(90.2, 51.7, "$K$, $V$", look.DARK_P, ha="left")
    c.box(80, 37.5, 18.5, 12.5)
    c.write(89.2, 47.6, "UNet, one pass", weight="bold", fontsize=SMALL)
    for i in range(len(drawn.captured.grids)):          # a U of so many levels
        for side in (-1, 1):
            middle = 89.2 + side * (6 - 1.2 * i)
            part = Rectangle((middle - 0.9, 44 - 1.65 * i), 1.8, 1.25, color=look.INK, zorder=5)
            c.axis.add_patch(part)
        inner = 6 - 1.2 * i - 0.9
        c.line([(89.2 - inner, 44.6 - 1.65 * i), (89.2 + inner, 44.6 - 1.65 * i)], look.GREY, 1,
               zorder=5)


def level_pictures(c: Canvas, maps, x, y) -> None:
    """The maps of the levels, coarse to fine, side by side."""
    for i, (level, values) in enumerate(maps.items()):
        c.heat(values, x + 4.9 * i, y, 4.5)
        c.write(x + 4.9 * i + 2.25, y - 1, str(level), look.GREY, fontsize=SMALL)


@torch.no_grad()
def draw_maps(c: Canvas) -> None:
    """Right: cross-attention with the keys of P', and self-attention."""
    captured, lookup = meadow().captured, meadow().captured.lookup
    cross, own = {}, {}
    for grid in captured.grids:
        C = captured.cross_map(grid, lookup.states)
        cross[grid[0]] = prompts.class_maps(C, lookup)[0, :, 0].unflatten(0, grid)
        cell = int(CELL[1] * grid[0]) * grid[1] + int(CELL[0] * grid[1])
        own[grid[0]] = captured.self_map(grid)[0, cell].sqrt().unflatten(0, grid)

    c.arrow([(86, 37.5), (86, 31.4)], look.CROSS)
    c.write(85, 34.9, "recorded $Q$", look.CROSS, ha="right", fontsize=SMALL)
    c.arrow([(95.3, 37.5), (95.3, 33), (98, 33), (98, 9), (96.5, 9)], look.SELF)
    c.write(94.4, 34.9, "$Q$, $K$", look.SELF, ha="right", fontsize=SMALL)

    c.box(74.5, 17.4, 22, 14, "white", look.CROSS)
    c.write(85.5, 29.3, r"$C_r$ = softmax($QK^{\prime\top}\!/\sqrt{d}$)", fontsize=SMALL)
    c.write(85.5, 26.8, f"cross-attention, “{CLASSES[0]}”", look.GREY, fontsize=SMALL)
    level_pictures(c, cross, 75.9, 20.6)
    c.box(74.5, 2, 22, 14, "white", look.SELF)
    c.write(85.5, 13.9, r"$A_r$ = softmax($QK^{\top}\!/\sqrt{d}$)", fontsize=SMALL)
    c.write(85.5, 11.4, "self-attention of a cell on it", look.GREY, fontsize=SMALL)
    level_pictures(c, own, 75.9, 5.2)

    c.box(56, 27.4, 14, 4, look.PALE_P_PRIME, look.P_PRIME, r"$P^{\prime}$ = names", fontsize=SMALL)
    c.arrow([(70, 29.4), (74.5, 29.4)], look.P_PRIME)
    c.write(72, 31, r"$K^{\prime}$", look.DARK_P_PRIME)


def draw_scores(c: Canvas) -> None:
    """Left: HARD, TTF, scores, labels."""
    drawn = meadow()
    c.arrow([(74.5, 20), (70, 20)], look.CROSS)
    c.arrow([(74.5, 9), (70, 9)], look.SELF)
    c.box(43.5, 4.6, 26.5, 19.6)
    c.write(56.7, 22.2, "HARD", weight="bold")
    c.heat(drawn.fused[0], 59.6, 10, 9)
    c.write(64, 7.4, r"$x_c = \sum_r w_r\,$up$(C_r)_c$", fontsize=SMALL)
    c.arrow([(59.6, 14.5), (55.3, 14.5)], look.SELF, zorder=5)
    c.write(57.4, 16.9, r"$\tilde A_r^{\,\tau}$", look.SELF, fontsize=12)
    c.stack(drawn.refined[:, 0], 45, 10, 9)
    c.write(50.9, 7.4, r"$\sum_r w^{\prime}_r\,$minmax$(\tilde A_r^{\,\tau} x_c)$",
            fontsize=SMALL)

    c.arrow([(43.5, 14.5), (40, 14.5)])
    c.box(30, 9.1, 10, 10.8)
    c.write(35, 17.5, "TTF", weight="bold")
    c.write(35, 13.1, "mean of\nboth views", fontsize=SMALL)
    c.arrow([(30, 14.5), (26.5, 14.5)])
    for i, score in enumerate(drawn.scores):
        c.heat(score, 20, 18.3 - 7 * i, 6.4)
    c.write(23.2, 26.8, "$S_c$", fontsize=12)
    c.arrow([(20, 14.5), (15.5, 14.5)])
    c.picture(look.label_picture(drawn.labels), 2.5, 8, 13)
    c.name_labels(drawn.labels, 2.5, 8, 13)
    c.write(9, 23.3, r"labels: best $S_c \geq \theta$", fontsize=SMALL)


# ---- the forward process -------------------------------------------------------------------------

SHOWN = (1, 200, 400, 600, 800, 999)
AXIS = 23                               # the height at which the axis of t lies


def place(t: float) -> float:
    """Where timestep t stands on the axis."""
    return 10 + 80 * t / (ddim.STEPS - 1)


@torch.no_grad()
def forward(out: Path) -> None:
    c = Canvas(64)
    drawn = meadow()
    z_0 = drawn.captured.latents[:1]
    eps = next(ddim.seeded_noise(0, z_0.shape, like=z_0))
    for t in SHOWN:
        a = ddim.ABAR[t].item()
        x = place(t)
        noisy = plots.array(drawn.model.decode(ddim.add_noise(z_0, t, eps))[0])
        c.picture(noisy, x - 7, 46.4, 14)
        c.write(x, 44.4, f"$t$ = {t}")
        c.write(x, 42, rf"${a ** 0.5:.2f}\,z_0 + {(1 - a) ** 0.5:.2f}\,\epsilon$",
                fontsize=SMALL)
        c.line([(x, 40.6), (x, AXIS)], "#d8d8de", 1, zorder=1)
    c.arrow([(19, 62), (97, 62)], look.DARK_NOISE)
    c.write(3, 62, "forward: noise added", look.DARK_NOISE, ha="left", fontsize=SMALL)

    draw_shares(c)
    draw_uses(c, drawn.method.timestep)
    c.save(out)


def draw_shares(c: Canvas) -> None:
    """The two factors over the timesteps, above an axis."""
    ts, shown = np.arange(ddim.STEPS), np.array(SHOWN)
    abar = ddim.ABAR.numpy()
    high = 15.4
    c.arrow([(10, AXIS), (96, AXIS)], look.GREY, 1.2)
    c.write(97, AXIS, "$t$", fontsize=12)
    for value in (0, 1):
        c.write(8.4, AXIS + value * high, str(value), look.GREY, fontsize=SMALL)
    lines = ((np.sqrt(abar), look.INK, "-"), (np.sqrt(1 - abar), look.NOISE, "--"))
    for values, colour, dash in lines:
        c.axis.plot(place(ts), AXIS + values * high, color=colour, linestyle=dash, linewidth=2,
                    zorder=4)
        c.axis.plot(place(shown), AXIS + values[shown] * high, "o", color=colour, markersize=4.5,
                    zorder=5)
    c.write(27, 38.4, r"$\sqrt{\bar\alpha_t}$, the factor of $z_0$", ha="left")
    c.write(58.8, 33.6, r"$\sqrt{1-\bar\alpha_t}$, that of $\epsilon$", look.DARK_NOISE, ha="left")


def draw_uses(c: Canvas, cartoon: int) -> None:
    """Below: the timesteps of FA-Seg, of training and of sampling."""
    release = FASeg().timestep
    for t, y, mark, whose in ((cartoon, 19.4, "D", "cartoon model"),
                              (release, 16.4, "o", "release, for SD 1.5")):
        c.line([(place(t), AXIS), (place(t), y)], look.CROSS, 1.4)
        c.axis.plot(place(t), y, mark, color=look.CROSS, markersize=5, zorder=5)
        c.write(12.4, y, f"FA-Seg's pass at $t$ = {t} ({whose})", look.CROSS, ha="left")

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        _, drawn, _ = noised(torch.zeros(40, 1, 1, 1), ddim.ABAR)
    c.line([(10, 9), (90, 9)], look.GREY, 1)
    c.axis.plot(place(drawn.numpy()), np.full(len(drawn), 9), "^", color=look.GREY, markersize=6.5,
                zorder=5)
    c.write(10, 11.6, "training: a random $t$ for every picture "
            f"({len(drawn)} draws, as for the cartoon model)", look.GREY, ha="left")

    steps = inspect.signature(sample).parameters["steps"].default
    ts = ddim.inversion_timesteps(ddim.STEPS - 1, steps)
    c.arrow([(90, 2.2), (10, 2.2)], look.DARK_TIME)
    c.axis.plot(place(np.array(ts)), np.full(len(ts), 2.2), "|", color=look.DARK_TIME, markersize=9,
                zorder=5)
    c.write(10, 4.9, f"sampling: from noise to a picture, {steps} DDIM steps", look.DARK_TIME,
            ha="left")


# ---- all of them ---------------------------------------------------------------------------------

def architecture(out: Path, model: str = "sd15") -> None:
    config, cells = UNetConfig(), 64
    if model == "cartoon":
        cartoon = meadow().model
        config, cells = cartoon.unet.config, cartoon.side // cartoon.vae.factor
    diagram_unet.draw(diagram_unet.levels_of(config, cells), out)


DIAGRAMS = {
    "pipeline": pipeline,
    "architecture": architecture,
    "dual_prompts": diagram_attention.dual_prompts,
    "refinement": diagram_attention.refinement,
    "forward": forward,
}


def main(argv=None) -> None:
    p = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    p.add_argument("names", nargs="*", metavar="NAME", help=", ".join(DIAGRAMS))
    p.add_argument("--model", choices=("sd15", "cartoon"), default="sd15",
                   help="whose UNet architecture.png shows")
    p.add_argument("--folder", type=Path, default=FIGURES)
    a = p.parse_args(argv)
    names = a.names or list(DIAGRAMS)
    for name in names:
        if name not in DIAGRAMS:
            p.error(f"no diagram {name!r}; there are: {', '.join(DIAGRAMS)}")
    for name in names:
        path = a.folder / f"{name}.png"
        if name == "architecture":
            architecture(path, a.model)
        else:
            DIAGRAMS[name](path)
    if a.folder == FIGURES:
        made_from.note({f"{name}.png": made_from.of_diagrams() for name in names})


if __name__ == "__main__":
    sys.exit(main())
