"""The look of the course's diagrams: colours, boxes, arrows, small pictures, and the scene in them.

A unit is a tenth of an inch, and every diagram is 100 units wide. Shown 900 pixels wide, a unit is
9 pixels, and the smallest writing (SMALL) has letters of 11.
"""
import io
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import plots
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, Rectangle
from PIL import Image
from torch import Tensor

import minifaseg
from minifaseg import hard, labelling
from minifaseg.attention import CapturedAttention
from minifaseg.cartoon.painter import paint
from minifaseg.faseg import FASeg
from minifaseg.model import Model

WIDTH = 100
SMALL, NORMAL, LARGE = 9, 10.5, 13                       # sizes of writing, in points

# One colour for each thing, in all diagrams. The darker tones are for words on white.
INK = plots.INK
CROSS, P, SELF, P_PRIME, TIME, NOISE = plots.COLOURS[:6]
DARK_P, DARK_P_PRIME, DARK_TIME, DARK_NOISE = "#8a5a00", "#96386f", "#1f6f9e", "#a84a00"
PALE_P, PALE_P_PRIME, PALE_TIME = "#fdf0d5", "#f8e8f1", "#e2f1fb"
GREY, BAND, BLOCK = "#74747e", "#f3f4f7", "#dfe6ee"

SEED, CLASSES = 159, ("cat", "dog", "grass")             # the scene of figures/meadow.png
CAPTION = "a cat and a dog on grass"


class Drawn(NamedTuple):
    """What the cartoon model makes of the scene. Maps: tensors (K, H, W), each name's."""
    model: Model
    method: FASeg
    image: Image.Image
    captured: CapturedAttention
    fused: Tensor                                        # x_c of the picture
    refined: Tensor                                      # HARD, of both views: (2, K, H, W)
    scores: Tensor                                       # TTF: the mean of both
    labels: np.ndarray


@cache
@torch.no_grad()
def meadow() -> Drawn:
    """The scene, segmented with the cartoon model's hyperparameters, inverted as in the paper."""
    image = paint(SEED, 512, things=("cat", "dog"), ground="grass").image
    model = minifaseg.load("cartoon", device="cpu")
    method = minifaseg.make_method("faseg", model, noise=False, steps=1)
    captured = method.capture(model, image, CLASSES, CAPTION)
    finest = captured.grids[-1]
    x = method.class_maps(captured, captured.lookup)
    S = hard.refine(captured, x, method.levels, method.tau)
    scores = method.scores(captured)
    labels = labelling.labels_of(method, captured, scores)
    return Drawn(model, method, image, captured, hard.as_image(x, finest)[0],
                 hard.as_image(S, finest), scores, labels)


def latent_picture(z: Tensor) -> np.ndarray:
    """Three of the four channels of a latent (4, h, w) as colours."""
    return (z[:3] / 3 + 0.5).clip(0, 1).permute(1, 2, 0).numpy()


def label_picture(labels: np.ndarray) -> np.ndarray:
    """A label map in the colours of plots.py."""
    colours = np.zeros((*labels.shape, 3))
    for label in np.unique(labels):
        colours[labels == label] = to_rgb(plots.label_colour(label))
    return colours


class Canvas:
    """An empty diagram of `height` units, and what can be drawn on it. The origin is lower left."""

    def __init__(self, height: float) -> None:
        self.figure = Figure(figsize=(WIDTH / 10, height / 10), layout="none")
        FigureCanvasAgg(self.figure)
        self.axis = self.figure.add_axes((0, 0, 1, 1))
        self.axis.set_axis_off()
        self.axis.set(xlim=(0, WIDTH), ylim=(0, height), aspect="equal", autoscale_on=False)

    def save(self, path: Path) -> None:
        """A PNG with a palette, as small as the notebooks' pictures."""
        file = io.BytesIO()
        self.figure.savefig(file, dpi=165, facecolor="white", metadata={"Software": None})
        path.parent.mkdir(parents=True, exist_ok=True)
        colours = Image.open(file).convert("RGB")
        colours.quantize(256, dither=Image.Dither.NONE).save(path, "PNG", optimize=True)

    def write(self, x, y, text, colour=INK, **options) -> None:
        options = {"ha": "center", "va": "center", "fontsize": NORMAL, "linespacing": 1.3} | options
        self.axis.text(x, y, text, color=colour, zorder=6, **options)

    def box(self, x, y, width, height, fill="white", edge=INK, text="", colour=INK,
            dash="-", **options) -> None:
        """A box with round corners, its lower left at (x, y), and words in its middle."""
        shape = FancyBboxPatch((x, y), width, height, boxstyle="round,pad=0,rounding_size=0.8",
                               facecolor=fill, edgecolor=edge, linewidth=1.4, linestyle=dash,
                               zorder=3)
        self.axis.add_patch(shape)
        if text:
            self.write(x + width / 2, y + height / 2, text, colour, **options)

    def band(self, x, y, width, height) -> None:
        """A pale ground behind things that belong together."""
        shape = FancyBboxPatch((x, y), width, height, boxstyle="round,pad=0,rounding_size=1",
                               facecolor=BAND, edgecolor="none", zorder=0)
        self.axis.add_patch(shape)

    def line(self, points, colour=INK, width=1.7, **options) -> None:
        xs, ys = zip(*points)
        options = {"zorder": 2, "solid_joinstyle": "round"} | options
        self.axis.plot(xs, ys, color=colour, linewidth=width, **options)

    def arrow(self, points, colour=INK, width=1.7, head=12, zorder=2) -> None:
        """A line with a head at its end."""
        (x, y), (end_x, end_y) = points[-2:]
        share = min(0.5, 0.5 / np.hypot(end_x - x, end_y - y))  # the line ends inside its head
        short = (end_x - share * (end_x - x), end_y - share * (end_y - y))
        self.line([*points[:-1], short], colour, width, solid_capstyle="butt", zorder=zorder)
        style = {"arrowstyle": "-|>,head_width=0.25,head_length=0.5", "color": colour,
                 "linewidth": 0.8, "mutation_scale": head, "shrinkA": 0, "shrinkB": 0}
        self.axis.annotate("", points[-1], points[-2], zorder=zorder, arrowprops=style)

    def bridge(self, x, y, ground="white") -> None:
        """Room where two lines cross, for the one that is drawn next."""
        self.line([(x - 0.7, y), (x + 0.7, y)], ground, 5, solid_capstyle="butt")

    def picture(self, image, x, y, width, height=None, order=4, **options) -> None:
        """An RGB picture, or an array in colours of matplotlib, with a frame."""
        height = height or width
        options = {"interpolation": "nearest"} | options
        self.axis.imshow(image, extent=(x, x + width, y, y + height), zorder=order, aspect="auto",
                         **options)
        frame = Rectangle((x, y), width, height, fill=False, edgecolor=INK, linewidth=1,
                          zorder=order + 0.1)
        self.axis.add_patch(frame)

    def heat(self, values: Tensor, x, y, width, height=None, **options) -> None:
        """A map (H, W), or a matrix, as a heat map over its own range."""
        options = {"cmap": plots.HEAT} | options
        self.picture(values.numpy(), x, y, width, height, **options)

    def stack(self, images: Sequence, x, y, side, **options) -> None:
        """Two views: the mirror image's stands behind, a little higher and to the right."""
        front, back = images
        draw = self.heat if isinstance(front, Tensor) else self.picture
        draw(back, x + 1.3, y + 1.3, side, order=3.5, **options)
        draw(front, x, y, side, order=4, **options)

    def name_labels(self, labels: np.ndarray, x, y, side) -> None:
        """Writes each class where it lies in a label map that is drawn at (x, y)."""
        for number, name in enumerate(CLASSES, start=1):
            inside = np.argwhere(labels == number)
            middle = np.median(inside, axis=0)
            row, column = inside[np.abs(inside - middle).sum(1).argmin()]
            ground = {"facecolor": "white", "alpha": 0.85, "edgecolor": "none", "pad": 1.0}
            place = (x + side * column / labels.shape[1], y + side * (1 - row / labels.shape[0]))
            self.write(*place, name, fontsize=SMALL, bbox=ground)
