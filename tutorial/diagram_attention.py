"""The diagrams of the dual prompt and of HARD's scale alignment.

figures/dual_prompts.png and figures/refinement.png; see diagrams.py.
"""
from pathlib import Path

import diagram_parts as look
import numpy as np
import plots
import torch
import torch.nn.functional as F
from diagram_parts import CLASSES, SMALL, Canvas, meadow
from matplotlib.patches import Rectangle

from minifaseg import hard

# ---- the dual prompt -----------------------------------------------------------------------------

def chips(c: Canvas, x, y, words, fill, edge, marked=(), numbers=False) -> None:
    """Tokens side by side; marked: those that are filled; numbers: write their indices above."""
    for i, word in enumerate(words):
        wide = 0.74 * len(word) + 1.3
        plain = word in ("start", "end", "…")
        c.box(x, y, wide, 2.8, fill if i in marked else "white", look.GREY if plain else edge)
        c.write(x + wide / 2, y + 1.4, word, look.GREY if plain else look.INK, fontsize=SMALL,
                va="center_baseline")
        if numbers and word != "…":
            c.write(x + wide / 2, y + 4, str(i), look.DARK_P_PRIME if i in marked else look.GREY,
                    fontsize=SMALL)
        x += wide + 0.35


def words_of(text, prompt: str) -> list[str]:
    """The tokens of a prompt as words, with start and the first end."""
    pieces = text.tokenizer.convert_ids_to_tokens(text.pieces(prompt))
    return ["start", *(piece.removesuffix("</w>") for piece in pieces), "end"]


@torch.no_grad()
def dual_prompts(out: Path) -> None:
    c = Canvas(56)
    drawn = meadow()
    text, lookup = drawn.model.text, drawn.captured.lookup
    c.band(44.5, 29.6, 55, 26)
    c.write(98.5, 53.6, "inside the UNet: every cross-attention layer", look.GREY, ha="right",
            style="italic")
    draw_prompts(c, text, [span[1] for span in lookup.spans])
    draw_layer(c, drawn.image)
    draw_lookup(c, drawn.captured)
    c.save(out)


def draw_prompts(c: Canvas, text, spans) -> None:
    """Left: the tokens of P and of P', and the text encoder."""
    tokens = text.config.tokens
    c.write(1, 52.4, "$P$ drives the UNet: keys and values", look.DARK_P, ha="left", fontsize=12)
    words = words_of(text, f"{look.CAPTION} ; {', '.join(CLASSES)}")
    middle = words.index(";")
    chips(c, 1, 47.2, words[:middle], look.PALE_P, look.P, range(1, middle))
    chips(c, 1, 43.4, words[middle:], look.PALE_P, look.P, range(len(words) - middle - 1))
    c.write(1, 41, "the caption, then the names", look.GREY, ha="left", fontsize=SMALL)

    c.write(1, 25.2, r"$P^{\prime}$ is looked up: keys only", look.DARK_P_PRIME, ha="left",
            fontsize=12)
    words = words_of(text, ",".join(CLASSES))
    marked = [token for span in spans for token in span]
    chips(c, 1, 16.6, [*words, "…"], look.P_PRIME, look.P_PRIME, marked, numbers=True)
    places = ", ".join(f"{name} {span[0]}" for name, span in zip(CLASSES, spans))
    c.write(1, 14.2, f"spans: {places};  $T$ = {tokens} tokens", look.GREY, ha="left",
            fontsize=SMALL)

    c.box(36, 11, 4.6, 41, "white", look.INK)
    c.write(38.3, 31.5, "text encoder", rotation=90)
    for y, colour in ((47.8, look.P), (18, look.P_PRIME)):
        c.arrow([(33, y), (36, y)], colour)
        c.arrow([(40.6, y), (47, y)], colour)


def draw_layer(c: Canvas, image) -> None:
    """Above: P gives keys and values, the picture gives queries; the result goes on."""
    c.box(47, 45.8, 9, 4, look.PALE_P, look.P, r"$K$   $T \times d$")
    c.box(47, 40.2, 9, 4, look.PALE_P, look.P, r"$V$   $T \times d$")
    c.line([(43.6, 47.8), (43.6, 42.2)], look.P)
    c.arrow([(43.6, 42.2), (47, 42.2)], look.P)
    c.box(60, 39.6, 19, 10.6, "white", look.CROSS)
    c.write(69.5, 47.6, "cross-attention")
    c.write(69.5, 43.4, r"softmax$(QK^{\top}\!/\sqrt{d})\,V$", fontsize=11)
    c.arrow([(56, 47.8), (60, 47.8)], look.P)
    c.arrow([(56, 42.2), (60, 42.2)], look.P)
    c.arrow([(79, 44.9), (84, 44.9)])
    c.write(84.8, 44.9, "on, through\nthe UNet", ha="left")

    c.picture(image.resize((128, 128)), 47, 30.8, 7, interpolation="lanczos")
    c.write(59.5, 35.7, "its $N$ cells", fontsize=SMALL)
    c.arrow([(54, 34.3), (65, 34.3)])
    c.box(65, 32.3, 9, 4, "white", look.CROSS, r"$Q$   $N \times d$", look.CROSS)
    c.arrow([(69.5, 36.3), (69.5, 39.6)], look.CROSS)
    c.arrow([(69.5, 32.3), (69.5, 23.3)], look.CROSS)
    c.write(70.4, 26.4, "recorded", look.CROSS, ha="left", style="italic")


def draw_lookup(c: Canvas, captured) -> None:
    """Below: the keys of P' meet the recorded queries, and the columns of names are maps."""
    c.box(47, 16, 9, 4, look.PALE_P_PRIME, look.P_PRIME, r"$K^{\prime}$  $T \times d$")
    c.box(47, 10.4, 9, 4, "white", look.GREY, r"no $V^{\prime}$", look.GREY, dash="--")
    c.write(51.5, 7, r"nothing of $P^{\prime}$" "\nenters the UNet", look.GREY, fontsize=SMALL)
    c.arrow([(56, 18), (60, 18)], look.P_PRIME)
    c.box(60, 12.7, 19, 10.6, "white", look.CROSS)
    c.write(69.5, 20.7, "outside the UNet")
    c.write(69.5, 16.5, r"$C_r$ = softmax$(QK^{\prime\top}\!/\sqrt{d})$", fontsize=11)

    grid = captured.grids[int(np.argmax(meadow().method.cross))]            # where the words live
    C = captured.cross_map(grid, captured.lookup.states)                    # (2, 1, N, T)
    c.arrow([(79, 18), (82, 18)])
    c.heat(C[0, 0, :, :7], 82, 6.6, 5.6, 20)
    c.write(84.8, 3.8, rf"$C_{{{grid[0]}}}$, {C.shape[2]} × {C.shape[3]}" "\n(columns 0 to 6)",
            look.GREY, fontsize=SMALL)
    c.arrow([(87.6, 16.6), (91.6, 16.6)], look.P_PRIME)
    for i, (name, (_, span)) in enumerate(zip(CLASSES, captured.lookup.spans)):
        frame = Rectangle((82 + 0.8 * span[0], 6.6), 0.8 * len(span), 20, fill=False,
                          edgecolor=look.P_PRIME, linewidth=1.6, zorder=5)
        c.axis.add_patch(frame)
        bottom = 19.4 - 8.8 * i
        c.heat(C[0, 0, :, span].mean(-1).unflatten(0, grid), 92, bottom, 6.4)
        c.write(95.2, bottom + 7.5, name, fontsize=SMALL, va="center_baseline")


# ---- scale alignment -----------------------------------------------------------------------------

def sum_cells(x, fine, f: int):
    """R_r x: the sum over the f x f fine cells of each coarse one, as in hard.refine_level."""
    return hard.as_cells(F.avg_pool2d(hard.as_image(x, fine), f)) * f ** 2


@torch.no_grad()
def refinement(out: Path) -> None:
    c = Canvas(52)
    captured = meadow().captured
    draw_matrices(c, captured.self_map(captured.grids[0])[0], captured.grids[0])
    draw_steps(c, captured, captured.grids[-2])
    c.save(out)


def matrix(c: Canvas, values, x, y, width, height) -> None:
    """Entries in colours: white 0, red above, blue below."""
    c.heat(values, x, y, width, height, cmap=plots.SIGNED, vmin=-1, vmax=1)


def draw_matrices(c: Canvas, A, coarse) -> None:
    """Above: U, A and R of a coarse level on a grid of twice its cells, and a part of each.

    A (n, n): the level's self-attention.
    """
    fine = (2 * coarse[0], 2 * coarse[1])
    n, N = coarse[0] * coarse[1], fine[0] * fine[1]
    R = sum_cells(torch.eye(N)[None], fine, 2)[0]                           # (n, N)
    U = hard.resize_maps(torch.eye(n)[None], coarse, fine, "bicubic")[0]    # (N, n)

    long, short, middle = 18, 18 * n / N, 38.8
    shown = ((U @ A @ R, 1.5, long, long, r"$\tilde A_r$   $N \times N$"),
             (U, 23.4, short, long, r"$U_r$   $N \times r^2$"),
             (A, 47.8, short, short, r"$A_r$   $r^2 \times r^2$"),
             (R, 68, long, short, r"$R_r$   $r^2 \times N$"))
    for values, x, wide, high, name in shown:
        matrix(c, values, x, middle - high / 2, wide, high)
        c.write(x + wide / 2, middle + high / 2 + 2, name, fontsize=11)
    c.write(21.4, middle, "=", fontsize=16)
    c.write(1.5, 27.9, f"never formed; here $N$ = {N}, $r$ = {coarse[0]}", look.GREY, ha="left",
            fontsize=SMALL)
    c.write(98.5, 49.8, "entries: white 0, red above, blue below", look.GREY, ha="right",
            fontsize=SMALL)

    k = n // 2 + 1                                                          # a part of each
    parts = ((U[:, k].unflatten(0, fine), 30, 40.6, "a column:\nqueries go up\nsmoothly"),
             (A[k].unflatten(0, coarse), 46.9, 28.2, "a row:\nit sums to 1"),
             (R[k].unflatten(0, fine), 68, 28.2,
              "a row: the same key\nfor all fine cells\nof a coarse one"))
    for values, x, y, words in parts:
        matrix(c, values, x, y, 6.4, 6.4)
        for i in range(1, len(values)):
            at = 6.4 * i / len(values)
            c.line([(x + at, y), (x + at, y + 6.4)], look.GREY, 0.4, zorder=5)
            c.line([(x, y + at), (x + 6.4, y + at)], look.GREY, 0.4, zorder=5)
        if y > middle:
            c.write(x, y - 3.6, words, fontsize=SMALL, ha="left")
        else:
            c.write(x + 7.2, y + 3.2, words, fontsize=SMALL, ha="left")


def draw_steps(c: Canvas, captured, grid) -> None:
    """Below: the same three, applied to a map, from right to left, tau times."""
    finest = captured.grids[-1]
    f = finest[0] // grid[0]
    x = hard.as_cells(meadow().fused[None, :1])                             # (1, N, 1)
    Rx = sum_cells(x, finest, f)
    ARx = captured.self_map(grid)[:1] @ Rx
    y = hard.resize_maps(ARx, grid, finest, "bicubic")
    c.band(0.5, 0.5, 99, 25.2)
    steps = ((y, finest, 3.5, r"$\tilde A_r\,x_c$"), (ARx, grid, 30.5, r"$A_r R_r\,x_c$"),
             (Rx, grid, 57.5, r"$R_r\,x_c$"), (x, finest, 84.5, "$x_c$"))
    for values, shape, left, name in steps:
        c.heat(values[0, :, 0].unflatten(0, shape), left, 6.6, 12)
        c.write(left + 6, 23.2, name, fontsize=12)
        span = f"{values.amin().item():.2f} to {values.amax().item():.2f}"
        c.write(left + 6, 20.4, f"{shape[0]} × {shape[1]}: {span}", look.GREY, fontsize=SMALL)
    operators = ((15.5, "$U_r$", "bicubic"), (42.5, "$A_r$", "mean over what\na cell attends to"),
                 (69.5, "$R_r$", f"sum of {f} × {f}\nfine cells"))
    for left, name, words in operators:
        c.arrow([(left + 14.4, 12.6), (left + 0.6, 12.6)], look.SELF)
        c.write(left + 7.5, 14.8, name, look.SELF, fontsize=12)
        c.write(left + 7.5, 11.4, words, fontsize=SMALL, va="top")
    c.arrow([(9.5, 6.6), (9.5, 2.6), (90.5, 2.6), (90.5, 6.6)], look.GREY)
    c.write(50, 4.4, r"$\tau$ times, then min-max", look.GREY, fontsize=SMALL)


