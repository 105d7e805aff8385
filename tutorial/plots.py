"""The notebooks' pictures: one style, colours that stay apart in grey and for colour-blind readers, nothing about the method.

    row([picture, map, labels], ["a picture", "attention", "mask"])      side by side; (H, W) floats are drawn as heat, integers as labels
    curves({"FA-Seg": (x, y)}, "timestep", "mIoU")                       every curve with a marker and a dash of its own
    bars({"FA-Seg": 0.68}, "mIoU")
    truth(scene, ["cat", "dog"])                                         a painted scene's exact labels: 1 cat, 2 dog, 0 the rest
    table(A, "A")                                                        a small matrix with its numbers in the cells
    source(hard.minmax)                                                  the code itself, as it stands in the package
"""
import inspect

import matplotlib.pyplot as plt
import numpy as np
import torch
from IPython.display import Markdown, display
from PIL import Image

from minifaseg.cartoon.words import CLASSES

HEAT, INK = "inferno", "#1d1d22"                         # inferno: lightness grows with the value
COLOURS = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#5b5b66"]      # Okabe and Ito's
MARKERS, DASHES = "os^vDPX", ["-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 1))]

plt.rcParams.update({"figure.dpi": 80, "savefig.dpi": 80, "figure.facecolor": "white", "font.size": 10, "text.color": INK,
                     "axes.labelcolor": INK, "axes.edgecolor": INK, "xtick.color": INK, "ytick.color": INK, "axes.titlesize": 10,
                     "axes.spines.top": False, "axes.spines.right": False, "legend.frameon": False, "image.interpolation": "nearest",
                     "figure.constrained_layout.use": True})


def array(x):
    """Any picture, tensor or array as a NumPy array that imshow draws: (H, W, 3) uint8, (H, W) float or (H, W) integer."""
    if isinstance(x, Image.Image):
        return np.asarray(x.convert("RGB"))
    x = x.detach().cpu() if isinstance(x, torch.Tensor) else x
    x = x.float().numpy() if isinstance(x, torch.Tensor) and x.is_floating_point() else np.asarray(x)
    if x.ndim == 3 and x.shape[0] == 3:                                     # (3, H, W) in [-1, 1], as networks have pictures
        x = ((x.transpose(1, 2, 0) + 1) * 127.5).round().clip(0, 255).astype(np.uint8)
    return x


def truth(scene, classes=None):
    """Labels of a painted scene, numbered by `classes` (default: scene.classes) from 1 on; 0 elsewhere."""
    labels = np.zeros_like(scene.labels)
    for i, name in enumerate(classes or scene.classes):
        labels[scene.labels == CLASSES.index(name) + 1] = i + 1
    return labels


def row(pictures, titles=(), *, classes=(), span=None, marks=(), width=2.3):
    """Pictures side by side.

    classes: names for label maps, written where they lie; span: (low, high) that all heat maps share, else each has its own; marks: (x, y)
    in [0, 1] drawn as a cross on every picture.
    """
    figure, axes = plt.subplots(1, len(pictures), figsize=(width * len(pictures), width * 1.12), squeeze=False)
    for i, (axis, picture) in enumerate(zip(axes[0], map(array, pictures))):
        draw(axis, picture, classes, span)
        axis.set_title(titles[i] if i < len(titles) else "")
        h, w = picture.shape[:2]
        for x, y in marks:
            axis.plot(x * w - 0.5, y * h - 0.5, "+", color="white", markersize=13, markeredgewidth=4)
            axis.plot(x * w - 0.5, y * h - 0.5, "+", color=INK, markersize=12, markeredgewidth=1.6)
    plt.show()


def draw(axis, x, classes=(), span=None):
    axis.set_axis_off()
    if x.ndim == 3:
        axis.imshow(x)
    elif x.dtype.kind == "f":
        axis.imshow(x, HEAT, vmin=span and span[0], vmax=span and span[1])
    else:
        colours = np.zeros((*x.shape, 3))
        for label in np.unique(x):
            colours[x == label] = plt.matplotlib.colors.to_rgb(COLOURS[(label - 1) % len(COLOURS)] if 0 < label < 255 else "#e4e4e8" if label else "#2b2b30")
        axis.imshow(colours)
        for label in np.unique(x[(x > 0) & (x < 255)]):
            if label <= len(classes):
                inside = np.argwhere(x == label)
                y0, x0 = inside[np.abs(inside - np.median(inside, 0)).sum(1).argmin()]            # a pixel of the class near its middle
                axis.text(x0, y0, classes[label - 1], ha="center", va="center", fontsize=8,
                          bbox={"facecolor": "white", "alpha": 0.8, "edgecolor": "none", "pad": 1.2})


def curves(lines, xlabel="", ylabel="", *, ylim=None, width=5.2):
    """lines: {name: (x, y)}; a single unnamed line goes without a legend."""
    figure, axis = plt.subplots(figsize=(width, 3))
    for (name, (x, y)), marker, dash, colour in zip(lines.items(), MARKERS * 2, DASHES * 2, COLOURS * 2):
        few = len(x) <= 30
        axis.plot(x, y, color=colour, linestyle=dash, marker=marker if few else None, markersize=5, label=name)
    axis.set(xlabel=xlabel, ylabel=ylabel, ylim=ylim)
    if len(lines) > 1:
        axis.legend()
    plt.show()


def bars(values, xlabel="", *, digits=2, width=5.2):
    """values: {name: number}, drawn downwards in their order."""
    figure, axis = plt.subplots(figsize=(width, 0.7 + 0.33 * len(values)))
    drawn = axis.barh(list(values), list(values.values()), color=COLOURS[0], height=0.65)
    axis.bar_label(drawn, fmt=f"%.{digits}f", padding=3)
    axis.invert_yaxis()
    axis.set(xlabel=xlabel)
    axis.tick_params(axis="y", length=0)
    axis.spines["left"].set_visible(False)
    plt.show()


def table(A, title="", *, digits=2, rows=None, columns=None, width=0.62):
    """A small matrix (at most about 8 x 10) with its numbers in the cells; rows, columns: names beside them."""
    A = array(A).astype(float)
    figure, axis = plt.subplots(figsize=(width * A.shape[1] + 1, 0.45 * A.shape[0] + 0.6))
    axis.imshow(A, HEAT, aspect="auto")
    middle = (A.min() + A.max()) / 2
    for (i, j), value in np.ndenumerate(A):
        axis.text(j, i, f"{value:.{digits}f}", ha="center", va="center", color="white" if value <= middle else INK)
    axis.set_title(title)
    axis.set_xticks(range(A.shape[1]), columns if columns is not None else [""] * A.shape[1])
    axis.set_yticks(range(A.shape[0]), rows if rows is not None else [""] * A.shape[0])
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
    plt.show()


def source(*things):
    """The text of functions or classes, read from the package now, so that it cannot drift from what runs."""
    display(Markdown("```python\n" + "\n\n".join(inspect.getsource(t).rstrip() for t in things) + "\n```"))
