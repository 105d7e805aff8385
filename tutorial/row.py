"""The README's pictures, made by the shipped model: python tutorial/row.py

figures/meadow.png is a painted scene; figures/row.png shows it, what cross-attention sees of one word, what HARD makes of that,
and the mask.
"""
import sys
from pathlib import Path

import made_from
import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

import minifaseg
from minifaseg import hard, labelling, ttf
from minifaseg.cartoon.painter import paint
from minifaseg.images import overlay

SEED, CLASSES, WORD, SIDE = 159, ("cat", "dog", "grass"), "cat", 384


def heat(image, score):
    """Score map (H, W) in [0, 1] over a grey picture: from deep blue through orange to pale yellow, monotone in lightness."""
    stops = np.array([[20, 20, 60], [120, 30, 110], [225, 90, 60], [255, 190, 80], [255, 250, 200]], float)
    colour = np.stack([np.interp(score.clip(0, 1) * 4, range(5), stops[:, i]) for i in range(3)], axis=-1)
    grey = np.asarray(image.convert("L"), float)[..., None]
    return Image.fromarray((0.72 * colour + 0.28 * grey).astype(np.uint8))


def main(folder=Path(__file__).parent / "figures"):
    image = paint(SEED, 512, things=("cat", "dog"), ground="grass").image
    image.save(folder / "meadow.png")
    model = minifaseg.load("cartoon")
    how = minifaseg.make_method("faseg", model)
    result = minifaseg.segment(image, CLASSES, model)
    captured, k = result.captured, CLASSES.index(WORD)
    with torch.no_grad():
        x = hard.fuse_cross(captured, captured.lookup, how.cross)
        cross = ttf.merge(hard.as_image(hard.minmax(x), captured.grids[-1]))
    show = lambda s: heat(image, labelling.upsample(s, image.size)[k].numpy())
    mask = overlay(image, result.labels, CLASSES).crop((0, 0, 512, 512))
    columns = [("a picture", image), (f'"{WORD}": cross-attention', show(cross)), (f'"{WORD}": refined by HARD, flipped', show(result.grid_scores)),
               (", ".join(CLASSES), mask)]
    row, font = Image.new("RGB", (SIDE * 4 + 24 * 3, SIDE + 44), "white"), ImageFont.load_default(22)
    for i, (title, picture) in enumerate(columns):
        row.paste(picture.resize((SIDE, SIDE), Image.LANCZOS), (i * (SIDE + 24), 44))
        ImageDraw.Draw(row).text((i * (SIDE + 24) + SIDE / 2, 20), title, (30, 30, 34), font, anchor="mm")
    row.save(folder / "row.png")
    made_from.note({"row.png": made_from.now({"faseg"})}, folder)


if __name__ == "__main__":
    sys.exit(main())
