"""The UNet's diagram, figures/architecture.png: what is recorded in it, and what follows.

All numbers are those of a UNetConfig. See diagrams.py.
"""
from dataclasses import dataclass
from pathlib import Path

import diagram_parts as look
from diagram_parts import LARGE, SMALL, Canvas, meadow
from matplotlib.patches import Circle, Rectangle
from PIL import ImageOps

from minifaseg.unet import UNetConfig

TOP = 42                                # lower edge of the finest level's blocks
STEP = 10.4                             # from there to the next level's
HIGH, WIDE = 7.2, 11.6                  # of a block
CENTRE = 42.6                           # of the U
LEFT_BUS, RIGHT_BUS = 21, 64.2          # where the timestep goes down, and up again
SELF_LINE, CROSS_LINE = 78, 80.5        # where recorded queries and keys leave the UNet


@dataclass(frozen=True)
class Level:
    """One level of the UNet.

    cells: of its grid, on each side; blocks: ResBlocks on the way down, one more on the way up;
    down, middle, up: how many transformers there are on the way down, in the middle block and on
    the way up. Each holds one attn1 and one attn2.
    """
    cells: int
    channels: int
    blocks: int
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
        levels.append(Level(cells >> i, channels, config.blocks, down, middle, up))
    return levels


def layers(c: Canvas, x, y, kinds: str) -> None:
    """A row of layers around x: R a ResBlock, T a transformer, a pair of dots."""
    widths = {"R": 1.0, "T": 1.9}
    gap = 0.3
    left = x - (sum(widths[kind] for kind in kinds) + gap * (len(kinds) - 1)) / 2
    for kind in kinds:
        if kind == "R":
            square = Rectangle((left, y - 0.5), 1, 1, facecolor=look.TIME, edgecolor=look.INK,
                               linewidth=0.8, zorder=5)
            c.axis.add_patch(square)
        else:
            for shift, colour in ((0.47, look.SELF), (1.43, look.CROSS)):
                c.axis.add_patch(Circle((left + shift, y), 0.48, color=colour, zorder=5))
        left += widths[kind] + gap


def block(c: Canvas, x, y, width, channels, kinds: str) -> None:
    """A box of the UNet: its channels, and its layers."""
    c.box(x, y, width, HIGH, look.BLOCK)
    c.write(x + width / 2, y + 5, str(channels), fontsize=12)
    layers(c, x + width / 2, y + 2, kinds)


def draw_level(c: Canvas, level: Level, i: int, y: float) -> None:
    """The i-th level's blocks on both arms, its skips, P's keys and values, and the timestep."""
    c.band(13, y - 1, 63.8, HIGH + 2)
    c.write(14, y + 1.3, f"{level.cells} × {level.cells}", ha="left")

    left = 22.6 + 0.6 * i                                   # the arms come nearer, level by level
    right = 2 * CENTRE - left - WIDE
    block(c, left, y, WIDE, level.channels, ("RT" if level.down else "R") * level.blocks)
    block(c, right, y, WIDE, level.channels, ("RT" if level.up else "R") * (level.blocks + 1))
    c.arrow([(LEFT_BUS, y + 2), (left, y + 2)], look.TIME, head=10)
    c.arrow([(RIGHT_BUS, y + 2), (right + WIDE, y + 2)], look.TIME, head=10)

    c.arrow([(left + WIDE, y + 5.6), (right, y + 5.6)], look.GREY)
    c.write(left + WIDE + 1.7, y + 6.8, f"{level.blocks + 1} ×", look.GREY, fontsize=SMALL)
    if level.middle:
        block(c, CENTRE - 3.3, y, 6.6, level.channels, "RTR")
        c.arrow([(left + WIDE, y + 2), (CENTRE - 3.3, y + 2)])
        c.arrow([(CENTRE + 3.3, y + 2), (right, y + 2)])
        c.arrow([(CENTRE, y - 2), (CENTRE, y)], look.TIME, head=10)
    else:
        c.bridge(CENTRE, y + 5.6, look.BAND)
        down, up = left + WIDE / 2 + 0.3, right + WIDE / 2 - 0.3
        c.arrow([(down, y), (down, y - STEP + HIGH)])
        c.arrow([(up, y - STEP + HIGH), (up, y)])
    if level.down:
        c.arrow([(CENTRE, y + 2), (left + WIDE, y + 2)], look.P)
        c.arrow([(CENTRE, y + 2), (right, y + 2)], look.P)


def draw_inputs(c: Canvas, ys: list[float]) -> None:
    """The picture with its mirror image, the latent, P, the timestep, and the predicted noise."""
    first, second = ys[:2]
    image = meadow().image.resize((256, 256))
    c.stack((image, ImageOps.mirror(image)), 1, first - 1.4, 9, interpolation="lanczos")
    c.write(6.2, first + 11.2, "picture and\nmirror image")
    c.arrow([(11.3, first + 5.6), (22.6, first + 5.6)])
    c.write(17.2, first + 7.1, "VAE, DDIM", fontsize=SMALL)
    c.write(17.2, first + 4.1, "$z_t$", fontsize=LARGE)
    c.write(6.4, ys[2] + 2.8, "UNet", fontsize=LARGE, weight="bold")
    c.write(6.4, ys[2] - 1.1, "one pass\nunder $P$")

    c.box(1, second + 1.4, 10.6, 6.4, look.PALE_TIME, look.TIME, "timestep $t$\nsin, cos; MLP",
          fontsize=SMALL)
    bottom = ys[-1] - 2
    c.line([(11.6, second + 5), (LEFT_BUS, second + 5)], look.TIME)
    c.line([(LEFT_BUS, first + 2), (LEFT_BUS, bottom), (RIGHT_BUS, bottom),
            (RIGHT_BUS, first + 2)], look.TIME)

    c.box(CENTRE - 12.5, 54.6, 25, 4.8, look.PALE_P, look.P, "$P$ = caption ; cat, dog, grass")
    c.arrow([(CENTRE, 54.6), (CENTRE, ys[-1] + HIGH)], look.P)
    c.write(CENTRE + 0.9, first + 9.6, "$K$, $V$", look.DARK_P, ha="left", fontsize=12)
    c.arrow([(60, first + HIGH), (60, first + 11)], look.GREY)
    c.write(60, first + 12.2, "noise", look.GREY)


def draw_records(c: Canvas, levels: list[Level], ys: list[float]) -> None:
    """What is recorded at each level, and the two lines that lead out of the UNet."""
    c.write(72.4, ys[0] + 9.5, "recorded", style="italic")
    c.line([(SELF_LINE, ys[-1] + 1.7), (SELF_LINE, ys[0] + 1.7)], look.SELF)
    for level, y in zip(levels, ys):
        c.write(68.2, y + 3.6, f"{level.layers} ×", ha="right")
        c.box(68.9, y + 3.9, 7, 3.1, "white", look.CROSS, "$Q$", look.CROSS, fontsize=11)
        c.box(68.9, y + 0.2, 7, 3.1, "white", look.SELF, "$Q$, $K$", look.SELF, fontsize=11)
        c.line([(75.9, y + 1.7), (SELF_LINE, y + 1.7)], look.SELF)
        if y != ys[0]:
            c.bridge(SELF_LINE, y + 5.4)
        c.line([(75.9, y + 5.4), (CROSS_LINE, y + 5.4)], look.CROSS)
    c.line([(CROSS_LINE, ys[-1] + 5.4), (CROSS_LINE, ys[0] + 5.4)], look.CROSS)


def draw_outside(c: Canvas, ys: list[float]) -> None:
    """What is computed from what was recorded: P' meets the queries, HARD, TTF, labels."""
    left, wide = 83, 16.4
    middle = left + wide / 2

    c.box(left, 54.6, wide, 4.8, look.PALE_P_PRIME, look.P_PRIME, r"$P^{\prime}$ = cat, dog, grass")
    c.arrow([(middle, 54.6), (middle, 49.6)], look.P_PRIME)
    c.write(middle + 0.9, 52.2, r"only $K^{\prime}$", look.DARK_P_PRIME, ha="left", fontsize=11)

    c.box(left, 42.2, wide, 7.4, "white", look.CROSS)
    c.write(middle, 47.4, "cross-attention $x_c$")
    c.write(middle, 44.4, r"softmax$(QK^{\prime\top}\!/\sqrt{d})$")
    c.arrow([(CROSS_LINE, ys[0] + 5.4), (left, ys[0] + 5.4)], look.CROSS)

    c.arrow([(middle, 42.2), (middle, 37.2)])
    c.box(left, 29.8, wide, 7.4, "white", look.SELF)
    c.write(middle, 35.1, "HARD", weight="bold")
    c.write(middle, 32, r"refined: $A^{\tau} x_c$")
    c.bridge(CROSS_LINE, 33.5)
    c.arrow([(SELF_LINE, 33.5), (left, 33.5)], look.SELF)

    c.arrow([(middle, 29.8), (middle, 24.8)])
    c.box(left, 17.4, wide, 7.4)
    c.write(middle, 22.7, "TTF", weight="bold")
    c.write(middle, 19.7, "mean of both views")

    c.arrow([(middle, 17.4), (middle, 12.6)])
    c.heat(meadow().scores[0], left, 4, 8, interpolation="bilinear")
    c.picture(look.label_picture(meadow().labels), left + 8.4, 4, 8)
    c.write(left + 4, 2.2, "scores")
    c.write(left + 12.4, 2.2, "labels")


def draw_legend(c: Canvas, levels: list[Level]) -> None:
    """Two lines below the UNet."""
    y, under = 5.6, 2.2
    layers(c, 14.6, y, "R")
    c.write(16, y, "ResBlock", ha="left")
    for x, colour, words in ((28, look.SELF, "self-attention (attn1)"),
                             (51, look.CROSS, "cross-attention (attn2)")):
        c.axis.add_patch(Circle((x, y), 0.55, color=colour, zorder=5))
        c.write(x + 1.4, y, words, ha="left")
    c.write(14, under, f"{levels[0].channels}, {levels[1].channels}, … channels", ha="left")
    c.arrow([(33.8, under), (37.4, under)], look.GREY)
    c.write(38.3, under, "skip connections", ha="left")
    c.arrow([(55.4, under), (59, under)], look.TIME)
    c.write(59.9, under, "timestep embedding", ha="left")


def draw(levels: list[Level], out: Path) -> None:
    c = Canvas(60)
    ys = [TOP - STEP * i for i in range(len(levels))]
    for i, (level, y) in enumerate(zip(levels, ys)):
        draw_level(c, level, i, y)
    draw_inputs(c, ys)
    draw_records(c, levels, ys)
    draw_outside(c, ys)
    draw_legend(c, levels)
    c.save(out)
