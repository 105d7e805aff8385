"""Draws figures/architecture.png: the UNet, what is recorded in it, and what follows.

    python tutorial/architecture.py                                # Stable Diffusion 1.5
    python tutorial/architecture.py --model cartoon --out FILE     # the cartoon model

All numbers are those of a UNetConfig. The small pictures are figures/meadow.png and parts of
figures/row.png, so row.py comes first.
"""
import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.patches import Circle, FancyBboxPatch, Rectangle
from PIL import Image, ImageOps
from plots import COLOURS, INK
from row import SIDE

import minifaseg
from minifaseg.unet import UNetConfig

FIGURES = Path(__file__).parent / "figures"

# Colours: the two kinds of attention, the two prompts, and a darker tone of them for text on white.
CROSS, P, SELF, P_PRIME = COLOURS[:4]
DARK_P = "#8a5a00"
DARK_P_PRIME = "#96386f"
GREY = "#8a8a94"
BAND = "#f3f4f7"
BLOCK = "#dfe6ee"

# Places. A unit is a tenth of an inch.
WIDTH, HEIGHT = 100, 60
TOP = 41.2                              # lower edge of the finest level's blocks
STEP = 10.4                             # from there to the next level's
HIGH = 7.2                              # of a block
CENTRE = 41                             # of the U
SELF_LINE, CROSS_LINE = 75, 78          # where recorded queries and keys leave the UNet


@dataclass(frozen=True)
class Level:
    """One level of the UNet.

    cells: of its grid, on each side; down, middle, up: how many transformers there are on the way
    down, in the middle block and on the way up. Each holds one attn1 and one attn2.
    """
    cells: int
    channels: int
    down: int
    middle: int
    up: int

    @property
    def layers(self) -> int:
        return self.down + self.middle + self.up


def levels_of(config: UNetConfig, cells: int) -> list[Level]:
    """The levels of a UNet, fine to coarse; `cells` a side at the finest."""
    levels = []
    for i, (channels, attends) in enumerate(zip(config.widths, config.attention)):
        down = config.blocks if attends else 0
        up = config.blocks + 1 if attends else 0
        middle = 1 if i == len(config.widths) - 1 else 0
        levels.append(Level(cells >> i, channels, down, middle, up))
    return levels


def box(axis, x, y, width, height, fill, edge=INK) -> None:
    """A box with round corners. x, y: its lower left corner."""
    shape = FancyBboxPatch((x, y), width, height, boxstyle="round,pad=0,rounding_size=0.8",
                           facecolor=fill, edgecolor=edge, linewidth=1.4, zorder=3)
    axis.add_patch(shape)


def write(axis, x, y, text, colour=INK, **options) -> None:
    options = {"ha": "center", "va": "center", "fontsize": 11} | options
    axis.text(x, y, text, color=colour, zorder=6, **options)


def line(axis, points, colour, width=1.7) -> None:
    xs, ys = zip(*points)
    axis.plot(xs, ys, color=colour, linewidth=width, zorder=2, solid_joinstyle="round")


def arrow(axis, points, colour, width=1.7) -> None:
    """A line with a head at its end."""
    line(axis, points, colour, width)
    head = {"arrowstyle": "-|>", "color": colour, "linewidth": width, "mutation_scale": 12,
            "shrinkA": 0, "shrinkB": 0}
    axis.annotate("", points[-1], points[-2], zorder=2, arrowprops=head)


def bridge(axis, x, y) -> None:
    """Room for a horizontal line that is drawn next, to cross an upright one."""
    line(axis, [(x - 0.7, y), (x + 0.7, y)], "white", 5)


def picture(axis, image, x, y, side, order=4) -> None:
    axis.imshow(image, extent=(x, x + side, y, y + side), zorder=order, interpolation="lanczos")
    axis.add_patch(Rectangle((x, y), side, side, fill=False, edgecolor=INK, zorder=order + 0.1))


def block(axis, x, y, width, channels, transformers) -> None:
    """A box of the UNet: its channels, and a pair of dots for each transformer."""
    box(axis, x, y, width, HIGH, BLOCK)
    middle = x + width / 2
    write(axis, middle, y + (4.9 if transformers else 3.6), str(channels), fontsize=12)
    for i in range(transformers):
        left = middle + 2.5 * (i - (transformers - 1) / 2)
        for shift, colour in ((-0.55, SELF), (0.55, CROSS)):
            axis.add_patch(Circle((left + shift, y + 1.9), 0.5, color=colour, zorder=5))


def draw_level(axis, level, i, y) -> None:
    """The i-th level's blocks on both arms, its skip connection, and the keys and values of P."""
    band = FancyBboxPatch((14, y - 1), 58.5, HIGH + 2, boxstyle="round,pad=0,rounding_size=1",
                          facecolor=BAND, edgecolor="none", zorder=0)
    axis.add_patch(band)
    write(axis, 15.2, y + 1.3, f"{level.cells} × {level.cells}", ha="left")

    wide, left = 9, 23.5 + 1.2 * i                          # the arms come nearer, level by level
    right = 2 * CENTRE - left - wide
    block(axis, left, y, wide, level.channels, level.down)
    block(axis, right, y, wide, level.channels, level.up)

    arrow(axis, [(left + wide, y + 5.4), (right, y + 5.4)], GREY, 1.2)
    if level.middle:
        block(axis, CENTRE - 2.9, y, 5.8, level.channels, level.middle)
        arrow(axis, [(left + wide, y + 1.9), (CENTRE - 2.9, y + 1.9)], INK)
        arrow(axis, [(CENTRE + 2.9, y + 1.9), (right, y + 1.9)], INK)
    else:
        line(axis, [(CENTRE - 0.4, y + 5.4), (CENTRE + 0.4, y + 5.4)], BAND, 4)
        down, up = left + wide / 2 + 0.75, right + wide / 2 - 0.75
        arrow(axis, [(down, y), (down, y - STEP + HIGH)], INK)
        arrow(axis, [(up, y - STEP + HIGH), (up, y)], INK)
    if level.down:
        arrow(axis, [(CENTRE, y + 1.9), (left + wide, y + 1.9)], P)
        arrow(axis, [(CENTRE, y + 1.9), (right, y + 1.9)], P)


def draw_inputs(axis, ys) -> None:
    """The picture with its mirror image, the latent, P, and the predicted noise."""
    first = ys[0]
    image = Image.open(FIGURES / "meadow.png").convert("RGB")
    picture(axis, ImageOps.mirror(image), 3, first + 0.3, 9)
    picture(axis, image, 1, first - 1.9, 9, order=4.5)
    write(axis, 6.5, first + 11.2, "picture and\nmirror image")
    arrow(axis, [(12, first + 5.4), (23.5, first + 5.4)], INK)
    write(axis, 18.6, first + 6.9, "VAE, DDIM")
    write(axis, 18.6, first + 4, "$z_t$", fontsize=12)
    write(axis, 6.5, ys[2] + 5.8, "UNet", fontsize=13, weight="bold")
    write(axis, 6.5, ys[2] + 2.2, "one pass\nunder P")

    box(axis, CENTRE - 12, 54, 24, 5, "#fdf0d5", P)
    write(axis, CENTRE, 56.5, "P = caption ; cat, dog, grass")
    arrow(axis, [(CENTRE, 54), (CENTRE, ys[-1] + HIGH)], P)
    write(axis, CENTRE + 0.9, first + 9.5, "K, V", DARK_P, ha="left", weight="bold")
    arrow(axis, [(57, first + HIGH), (57, first + 11)], GREY, 1.2)
    write(axis, 57, first + 12.2, "noise", GREY)


def draw_records(axis, levels, ys) -> None:
    """What is recorded at each level, and the two lines that lead out of the UNet."""
    write(axis, 67.25, ys[0] + 9.5, "recorded", style="italic")
    line(axis, [(SELF_LINE, ys[-1] + 1.7), (SELF_LINE, ys[0] + 1.7)], SELF)
    for level, y in zip(levels, ys):
        write(axis, 62.6, y + 3.6, f"{level.layers} ×", ha="right")
        box(axis, 63.4, y + 3.9, 7.7, 3.1, "white", CROSS)
        write(axis, 67.25, y + 5.4, "Q", CROSS, weight="bold")
        box(axis, 63.4, y + 0.2, 7.7, 3.1, "white", SELF)
        write(axis, 67.25, y + 1.7, "Q, K", SELF, weight="bold")
        line(axis, [(71.1, y + 1.7), (SELF_LINE, y + 1.7)], SELF)
        if y != ys[0]:
            bridge(axis, SELF_LINE, y + 5.4)
        line(axis, [(71.1, y + 5.4), (CROSS_LINE, y + 5.4)], CROSS)
    line(axis, [(CROSS_LINE, ys[-1] + 5.4), (CROSS_LINE, ys[0] + 5.4)], CROSS)


def draw_outside(axis, ys) -> None:
    """What is computed from what was recorded: P' meets the queries, HARD, TTF, labels."""
    left, wide = 82, 17
    middle = left + wide / 2

    box(axis, left, 54, wide, 5, "#f8e8f1", P_PRIME)
    write(axis, middle, 56.5, "P′ = cat, dog, grass")
    arrow(axis, [(middle, 54), (middle, 48.8)], P_PRIME)
    write(axis, middle + 0.9, 51.5, "only K′", DARK_P_PRIME, ha="left", weight="bold")

    box(axis, left, 41.4, wide, 7.4, "white", CROSS)
    write(axis, middle, 46.6, "cross-attention $x$")
    write(axis, middle, 43.6, r"softmax$(QK^{\prime\top}\!/\sqrt{d})$")
    arrow(axis, [(CROSS_LINE, ys[0] + 5.4), (left, ys[0] + 5.4)], CROSS)

    arrow(axis, [(middle, 41.4), (middle, 36.4)], INK)
    box(axis, left, 29, wide, 7.4, "white", SELF)
    write(axis, middle, 34.3, "HARD", weight="bold")
    write(axis, middle, 31.2, r"refined: $A^{\tau} x$")
    bridge(axis, CROSS_LINE, 32.7)
    arrow(axis, [(SELF_LINE, 32.7), (left, 32.7)], SELF)

    arrow(axis, [(middle, 29), (middle, 24)], INK)
    box(axis, left, 16.6, wide, 7.4, "white")
    write(axis, middle, 21.9, "TTF", weight="bold")
    write(axis, middle, 18.9, "mean of both views")

    arrow(axis, [(middle, 16.6), (middle, 12.2)], INK)
    scores, labels = score_pictures()
    picture(axis, scores, left, 3.6, 8.2)
    picture(axis, labels, left + 8.8, 3.6, 8.2)
    write(axis, left + 4.1, 1.8, "scores")
    write(axis, left + 12.9, 1.8, "labels")


def score_pictures() -> list[Image.Image]:
    """The last two pictures of figures/row.png: a score map, and the labels."""
    row = Image.open(FIGURES / "row.png").convert("RGB")
    top = row.height - SIDE
    step = (row.width - SIDE) // 3
    return [row.crop((left, top, left + SIDE, row.height)) for left in (2 * step, 3 * step)]


def draw_legend(axis, levels) -> None:
    """Two lines below the UNet."""
    for x, colour, words in ((15.2, SELF, "self-attention (attn1)"),
                             (43.9, CROSS, "cross-attention (attn2)")):
        axis.add_patch(Circle((x + 0.6, 4.9), 0.6, color=colour, zorder=5))
        write(axis, x + 2.1, 4.9, words, ha="left")
    write(axis, 15.2, 1.8, f"{levels[0].channels}, {levels[1].channels}, ...  channels", ha="left")
    arrow(axis, [(42.4, 1.8), (45, 1.8)], GREY, 1.2)
    write(axis, 46, 1.8, "skip connection", ha="left")


def draw(levels: list[Level], out: Path) -> None:
    figure, axis = plt.subplots(figsize=(WIDTH / 10, HEIGHT / 10), layout="none")
    axis.set_position((0, 0, 1, 1))
    axis.set_axis_off()
    ys = [TOP - STEP * i for i in range(len(levels))]
    for i, (level, y) in enumerate(zip(levels, ys)):
        draw_level(axis, level, i, y)
    draw_inputs(axis, ys)
    draw_records(axis, levels, ys)
    draw_outside(axis, ys)
    draw_legend(axis, levels)
    axis.set(xlim=(0, WIDTH), ylim=(0, HEIGHT), aspect="equal")
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=165, facecolor="white")
    plt.close(figure)


def main(argv=None) -> None:
    p = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    p.add_argument("--model", choices=("sd15", "cartoon"), default="sd15")
    p.add_argument("--out", type=Path, default=FIGURES / "architecture.png")
    a = p.parse_args(argv)
    if a.model == "sd15":
        levels = levels_of(UNetConfig(), cells=64)
    else:
        model = minifaseg.load("cartoon")
        levels = levels_of(model.unet.config, model.side // model.vae.factor)
    draw(levels, a.out)


if __name__ == "__main__":
    sys.exit(main())
