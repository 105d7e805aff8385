"""The README's pictures, made by the shipped model.

    python tutorial/row.py

figures/meadow.png is a painted scene, figures/meadow_truth.png its exact labels: 1 cat, 2 dog,
3 grass, 0 all else. figures/row.png shows the scene, the cross-attention to one word,
the same map refined by HARD, and the mask.
"""
from pathlib import Path

import made_from
import numpy as np
import plots
import torch
from PIL import Image, ImageDraw, ImageFont

import minifaseg
from minifaseg import hard, labelling, ttf
from minifaseg.cartoon.painter import paint
from minifaseg.images import mask_image, overlay

SEED = 159
CLASSES = ("cat", "dog", "grass")
WORD = "cat"
SIDE, GAP, TITLE = 384, 24, 44                           # pixels of a picture, between, above


def heat(image: Image.Image, score: np.ndarray) -> Image.Image:
    """Score map (H, W) in [0, 1] over a grey picture.

    From deep blue through orange to pale yellow, monotone in lightness.
    """
    stops = np.array([[20, 20, 60], [120, 30, 110], [225, 90, 60], [255, 190, 80],
                      [255, 250, 200]], float)
    position = score.clip(0, 1) * 4
    colour = np.stack([np.interp(position, range(5), stops[:, i]) for i in range(3)], axis=-1)
    grey = np.asarray(image.convert("L"), float)[..., None]
    return Image.fromarray((0.72 * colour + 0.28 * grey).astype(np.uint8))


def score_maps(image: Image.Image, result: minifaseg.Result, weights) -> list[np.ndarray]:
    """Maps (H, W) of WORD: its cross-attention, and the method's refined scores."""
    captured = result.captured
    with torch.no_grad():
        x = hard.fuse_cross(captured, captured.lookup, weights)
        cross = ttf.merge(hard.as_image(hard.minmax(x), captured.grids[-1]))
    k = CLASSES.index(WORD)
    return [labelling.upsample(s, image.size)[k].numpy() for s in (cross, result.grid_scores)]


def main(folder: Path = Path(__file__).parent / "figures") -> None:
    scene = paint(SEED, 512, things=("cat", "dog"), ground="grass")
    image = scene.image
    image.save(folder / "meadow.png")
    mask_image(plots.truth(scene, CLASSES)).save(folder / "meadow_truth.png")
    model = minifaseg.load("cartoon")
    result = minifaseg.segment(image, CLASSES, model)
    method = minifaseg.make_method("faseg", model)
    cross, refined = score_maps(image, result, method.cross)
    mask = overlay(image, result.labels, CLASSES).crop((0, 0, 512, 512))
    columns = {
        "a picture": image,
        f'"{WORD}": cross-attention': heat(image, cross),
        f'"{WORD}": refined by HARD, flipped': heat(image, refined),
        ", ".join(CLASSES): mask,
    }

    row = Image.new("RGB", (SIDE * 4 + GAP * 3, SIDE + TITLE), "white")
    pen = ImageDraw.Draw(row)
    font = ImageFont.load_default(22)
    for i, (title, picture) in enumerate(columns.items()):
        x = i * (SIDE + GAP)
        row.paste(picture.resize((SIDE, SIDE), Image.LANCZOS), (x, TITLE))
        pen.text((x + SIDE / 2, 20), title, (30, 30, 34), font, anchor="mm")
    row.save(folder / "row.png")
    made_from.note({"row.png": made_from.now({"faseg"})}, folder)


if __name__ == "__main__":
    main()
