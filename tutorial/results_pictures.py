"""The pictures of results.md."""

import numpy as np
from matplotlib.figure import Figure
from PIL import Image, ImageDraw, ImageFont

import minifaseg
from minifaseg.cartoon.painter import paint
from minifaseg.cartoon.words import CLASSES
from minifaseg.images import mask_image


def curves(report, field, path):
    """mIoU and its 95 % interval over a number that is the last of each row's name: one curve per
    method -> PNG."""
    figure = Figure(figsize=(6, 3.6), layout="constrained")
    axes, lines = figure.subplots(), {}
    for row, m in report["methods"].items():
        ends = m.get("ci") or (m["miou"], m["miou"])
        lines.setdefault(row.partition(":")[0], []).append(
            (float(row.rpartition("=")[2]), m["miou"], *ends)
        )
    for (method, points), marker in zip(lines.items(), "os^vDPX*<>"):
        x, y, low, high = zip(*points)
        (line,) = axes.plot(x, y, marker=marker, markersize=5, label=method)
        axes.fill_between(x, low, high, color=line.get_color(), alpha=0.15, linewidth=0)
    axes.set(xlabel=field, ylabel="mIoU", ylim=(0, None))
    axes.spines[["top", "right"]].set_visible(False)
    if len(lines) > 1:
        axes.legend(frameon=False)
    figure.savefig(path, dpi=220)


def gallery(path, weights, seeds=range(1000, 1004), side=150):
    """The first held-out scenes, a line each: picture, truth, every method's mask -> PNG."""
    model, methods = minifaseg.load(weights, "cpu"), list(minifaseg.METHODS)
    page = Image.new(
        "RGB", ((side + 8) * (2 + len(methods)), (side + 8) * len(seeds) + 24), "white"
    )
    for x, title in enumerate(("picture", "truth", *methods)):
        middle = (x * (side + 8) + side / 2, 12)
        ImageDraw.Draw(page).text(
            middle, title, (30, 30, 34), ImageFont.load_default(14), anchor="mm"
        )
    for y, seed in enumerate(seeds):
        scene = paint(seed, model.side)
        own = np.zeros(256, np.uint8)
        own[[CLASSES.index(c) + 1 for c in scene.classes]] = range(1, len(scene.classes) + 1)
        masks = [own[scene.labels]]
        for method in methods:
            masks.append(minifaseg.segment(scene.image, scene.classes, model, method=method).labels)
        pictures = [paint(seed, 2 * side).image, *(mask_image(m).convert("RGB") for m in masks)]
        for x, picture in enumerate(pictures):
            how = Image.LANCZOS if x == 0 else Image.NEAREST
            page.paste(picture.resize((side, side), how), (x * (side + 8), 24 + y * (side + 8)))
    page.save(path)
