"""The pictures of results.md."""

import numpy as np
from matplotlib.figure import Figure
from PIL import Image, ImageDraw, ImageFont

import minifaseg
from minifaseg.cartoon.painter import paint
from minifaseg.cartoon.words import CLASSES
from minifaseg.images import mask_image

GAP, TITLE_HEIGHT, INK = 8, 24, (30, 30, 34)


def curves(report, field, path):
    """mIoU and its 95 % interval over a hyperparameter, one curve per method -> PNG.

    The hyperparameter's value is the last of each row's title.
    """
    points = {}                                           # method -> [(value, mIoU, low, high)]
    for title, m in report["methods"].items():
        low, high = m.get("ci") or (m["miou"], m["miou"])
        value = float(title.rpartition("=")[2])
        name = title.partition(":")[0]
        points.setdefault(name, []).append((value, m["miou"], low, high))

    figure = Figure(figsize=(6, 3.6), layout="constrained")
    axes = figure.subplots()
    for (name, of_method), marker in zip(points.items(), "os^vDPX*<>"):
        x, y, low, high = zip(*of_method)
        (line,) = axes.plot(x, y, marker=marker, markersize=5, label=name)
        axes.fill_between(x, low, high, color=line.get_color(), alpha=0.15, linewidth=0)
    axes.set(xlabel=field, ylabel="mIoU", ylim=(0, None))
    axes.spines[["top", "right"]].set_visible(False)
    if len(points) > 1:
        axes.legend(frameon=False)
    figure.savefig(path, dpi=220)


def gallery(path, weights, seeds=range(1000, 1004), side=150):
    """The first held-out scenes, a line each: picture, truth, every method's mask -> PNG."""
    model = minifaseg.load(weights, "cpu")
    titles = ("picture", "truth", *minifaseg.METHODS)
    step = side + GAP
    page = Image.new("RGB", (step * len(titles), step * len(seeds) + TITLE_HEIGHT), "white")
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(14)
    for x, title in enumerate(titles):
        draw.text((x * step + side / 2, TITLE_HEIGHT / 2), title, INK, font, anchor="mm")
    for y, seed in enumerate(seeds):
        picture = paint(seed, 2 * side).image
        tiles = [picture.resize((side, side), Image.LANCZOS)]
        for mask in scene_masks(model, seed):
            tile = mask_image(mask).convert("RGB")
            tiles.append(tile.resize((side, side), Image.NEAREST))
        for x, tile in enumerate(tiles):
            page.paste(tile, (x * step, TITLE_HEIGHT + y * step))
    page.save(path)


def scene_masks(model, seed):
    """The truth of a scene and every method's mask, all in the numbers of the scene's classes."""
    scene = paint(seed, model.side)
    to_scene = np.zeros(256, np.uint8)                    # label of the data set -> of the scene
    to_scene[[CLASSES.index(c) + 1 for c in scene.classes]] = range(1, len(scene.classes) + 1)
    masks = [to_scene[scene.labels]]
    for name in minifaseg.METHODS:
        masks.append(minifaseg.segment(scene.image, scene.classes, model, method=name).labels)
    return masks
