"""The notebooks' pictures, in one style. Colours stay apart in grey and for colour-blind readers.

    row([picture, map, labels], ["a picture", "attention", "mask"])
        side by side; (H, W) floats are heat maps with their range below, integers are labels
    curves({"FA-Seg": (x, y)}, "timestep", "mIoU")
        every curve with a marker and a dash of its own
    bars({"FA-Seg": 0.68}, "mIoU")
    truth(scene, ["cat", "dog"])
        a painted scene's exact labels: 1 cat, 2 dog, 0 the rest
    table(A, "A")
        a small matrix as a table
    source(hard.minmax)
        the code itself, as it stands in the package

Nothing of the method is in this file.
"""
import inspect

import matplotlib.pyplot as plt
import numpy as np
import torch
from IPython.display import Markdown, display
from matplotlib.colors import to_rgb
from PIL import Image

from minifaseg.cartoon.painter import Scene
from minifaseg.cartoon.words import CLASSES
from minifaseg.explore.colours import BACKGROUND, IGNORED
from minifaseg.explore.colours import CLASSES as COLOURS

HEAT = "inferno"                                         # lightness grows with the value
SIGNED = "RdBu_r"                                        # blue below 0, white at 0, red above
INK, GREY = "#1d1d22", "#6b6b75"
MARKERS = "os^vDPX"                                      # COLOURS: Okabe and Ito's, and a grey
DASHES = ["-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 1))]

plt.rcParams.update({
    "figure.dpi": 160, "savefig.dpi": 160, "figure.facecolor": "white", "font.size": 10,
    "text.color": INK, "axes.labelcolor": INK, "axes.edgecolor": INK,
    "xtick.color": INK, "ytick.color": INK, "axes.titlesize": 10,
    "axes.spines.top": False, "axes.spines.right": False, "legend.frameon": False,
    "image.interpolation": "nearest", "figure.constrained_layout.use": True,
})


def array(x) -> np.ndarray:
    """Any picture, tensor or array as a NumPy array that imshow draws.

    Returns (H, W, 3) uint8, (H, W) float or (H, W) integer.
    """
    if isinstance(x, Image.Image):
        return np.asarray(x.convert("RGB"))
    if isinstance(x, torch.Tensor):
        x = x.detach().cpu()
        if x.is_floating_point():
            x = x.float()
    x = np.asarray(x)
    if x.ndim == 3 and x.shape[0] == 3:                  # (3, H, W) in [-1, 1], as of networks
        x = ((x.transpose(1, 2, 0) + 1) * 127.5).round().clip(0, 255).astype(np.uint8)
    return x


def truth(scene: Scene, classes=None) -> np.ndarray:
    """Labels of a painted scene, numbered by `classes` from 1 on; 0 elsewhere.

    Default: scene.classes.
    """
    labels = np.zeros_like(scene.labels)
    for i, name in enumerate(classes or scene.classes, start=1):
        labels[scene.labels == CLASSES.index(name) + 1] = i
    return labels


def row(pictures, titles=(), *, classes=(), span=None, signed=False, marks=(), width=2.3) -> None:
    """Pictures side by side.

    classes: names for label maps, written where they lie; span: (low, high) that all heat maps
    share, else each has its own; signed: heat maps of values around 0, which is white; marks:
    (x, y) in [0, 1] drawn as a cross on every picture. The range of a heat map's colours stands
    below it.
    """
    size = (width * len(pictures), width * 1.2)
    figure, axes = plt.subplots(1, len(pictures), figsize=size, squeeze=False)
    for i, (axis, picture) in enumerate(zip(axes[0], map(array, pictures))):
        draw(axis, picture, classes, span, signed)
        axis.set_title(titles[i] if i < len(titles) else "")
        h, w = picture.shape[:2]
        for x, y in marks:
            at = (x * w - 0.5, y * h - 0.5)
            axis.plot(*at, "+", color="white", markersize=13, markeredgewidth=4)
            axis.plot(*at, "+", color=INK, markersize=12, markeredgewidth=1.6)
    plt.show()


def draw(axis, x: np.ndarray, classes=(), span=None, signed=False) -> None:
    """One picture, heat map or label map, as in `row`."""
    axis.set_axis_off()
    if x.ndim == 3:
        axis.imshow(x)
    elif x.dtype.kind == "f":
        low, high = span or colour_range(x, signed)
        axis.imshow(x, SIGNED if signed else HEAT, vmin=low, vmax=high)
        axis.text(0.5, -0.03, f"{low:.2g} to {high:.2g}", transform=axis.transAxes,
                  ha="center", va="top", fontsize=8, color=GREY)
    else:
        draw_labels(axis, x, classes)


def colour_range(x: np.ndarray, signed: bool) -> tuple[float, float]:
    """(low, high) of a heat map's own colours; as far below 0 as above, if it is signed."""
    low, high = np.nanmin(x), np.nanmax(x)
    if signed:
        high = max(-low, high)
        low = -high
    return float(low), float(high)


def draw_labels(axis, labels: np.ndarray, classes=()) -> None:
    """A label map in colours, with the names of its classes."""
    picture = np.zeros((*labels.shape, 3))
    for label in np.unique(labels):
        picture[labels == label] = to_rgb(label_colour(label))
    axis.imshow(picture)

    box = {"facecolor": "white", "alpha": 0.8, "edgecolor": "none", "pad": 1.2}
    for label in np.unique(labels[(labels > 0) & (labels < 255)]):
        if label <= len(classes):
            inside = np.argwhere(labels == label)
            distances = np.abs(inside - np.median(inside, 0)).sum(1)
            y, x = inside[distances.argmin()]            # a pixel of the class, near its middle
            axis.text(x, y, classes[label - 1], ha="center", va="center", fontsize=8, bbox=box)


def label_colour(label: int) -> str:
    if label == 0:
        return BACKGROUND
    if 0 < label < 255:
        return COLOURS[(label - 1) % len(COLOURS)]
    return IGNORED


def curves(lines: dict, xlabel="", ylabel="", *, ylim=None, width=5.2) -> None:
    """lines: {name: (x, y)}; a single unnamed line goes without a legend."""
    figure, axis = plt.subplots(figsize=(width, 3))
    styles = zip(lines.items(), MARKERS * 2, DASHES * 2, COLOURS * 2)
    for (name, (x, y)), marker, dash, colour in styles:
        if len(x) > 30:
            marker = None
        axis.plot(x, y, color=colour, linestyle=dash, marker=marker, markersize=5, label=name)
    axis.set(xlabel=xlabel, ylabel=ylabel, ylim=ylim)
    if len(lines) > 1:
        axis.legend()
    plt.show()


def bars(values: dict, xlabel="", *, digits=2, width=5.2) -> None:
    """values: {name: number}, drawn downwards in their order."""
    figure, axis = plt.subplots(figsize=(width, 0.7 + 0.33 * len(values)))
    drawn = axis.barh(list(values), list(values.values()), color=COLOURS[0], height=0.65)
    axis.bar_label(drawn, fmt=f"%.{digits}f", padding=3)
    axis.invert_yaxis()
    axis.set(xlabel=xlabel)
    axis.tick_params(axis="y", length=0)
    axis.spines["left"].set_visible(False)
    plt.show()


def table(A, title="", *, digits=2, rows=None, columns=None) -> None:
    """A small matrix as a table. rows, columns: names beside and above its numbers."""
    A = array(A).astype(float)
    names = rows if rows is not None else [""] * len(A)
    head = columns if columns is not None else [""] * A.shape[1]
    lines = [[title, *head], ["---"] + ["---:"] * A.shape[1]]
    for name, values in zip(names, A):
        lines.append([name, *(f"{value:.{digits}f}" for value in values)])
    lines = [[str(cell).replace("|", r"\|") for cell in line] for line in lines]
    display(Markdown("\n".join(f"| {' | '.join(line)} |" for line in lines)))


def source(*things) -> None:
    """The text of functions or classes, read from the package now.

    So it always is the text of what runs.
    """
    texts = [inspect.getsource(thing).rstrip() for thing in things]
    display(Markdown("```python\n" + "\n\n".join(texts) + "\n```"))
