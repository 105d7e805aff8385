"""Labels -> PNG mask, and an overlay to look at. (pictures/ reads pictures.)"""
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageFont

from .writing import write

SMALLEST, LARGEST = 384, 2048     # pixels: the short side of an overlay, and its long side
LEGEND_LETTERS = 60               # of a name; more would make the page far wider than the picture

# Colours of the legend for a class that is found nowhere, and of the names of all others.
PALE_SWATCH, PALE_INK, INK = (225, 225, 228), (165, 165, 170), (30, 30, 34)


def voc_palette() -> np.ndarray:
    """(256, 3) uint8: the colours of PASCAL VOC.

    Bits 0, 1, 2 of the id become the top bits of red, green, blue; bits 3, 4, 5 the next; and so
    on.
    """
    ids = np.arange(256)
    palette = np.zeros((256, 3), np.uint8)
    for bit in range(8):
        values = (ids >> bit & 1) << (7 - bit // 3)
        palette[:, bit % 3] |= values.astype(np.uint8)
    return palette


PALETTE = voc_palette()


def as_rgb(image: Image.Image) -> Image.Image:
    """image.convert("RGB"), which copies even where there is nothing to convert."""
    return image if image.mode == "RGB" else image.convert("RGB")


def mask_image(labels: np.ndarray, gray: bool = False) -> Image.Image:
    """(H, W) ids -> picture of mode P (VOC's colours), or L with `gray`. Its values are the ids.

    All 256 colours stay attached: with fewer, Pillow packs the PNG into fewer bits, and larger ids
    change silently.
    """
    image = Image.fromarray(np.ascontiguousarray(labels, np.uint8))         # mode L
    if not gray:
        image.putpalette(PALETTE.tobytes())                                 # L becomes P
    return image


def overlay(image: Image.Image, labels: np.ndarray, classes: Sequence[str]) -> Image.Image:
    """The picture tinted by its labels, with outlined regions and the class names below.

    The background keeps its own colours. Names of classes that are found nowhere are pale. Small
    pictures are drawn enlarged, very large ones shrunk.
    """
    size = width, height = overlay_size(image.size)
    mask = mask_image(labels)
    present = np.flatnonzero(mask.histogram())                              # ids
    mask = mask.resize(size, Image.Resampling.NEAREST)
    picture = as_rgb(image).resize(size, Image.Resampling.LANCZOS)
    bar = legend(classes, present, width, text_size=max(15, round((width + height) / 55)))

    page = Image.new("RGB", (max(width, bar.width), height + bar.height), "white")
    page.paste(tinted(picture, mask), ((page.width - width) // 2, 0))
    page.paste(bar, (0, height))
    return page


def overlay_size(size: tuple[int, int]) -> tuple[int, int]:
    """(width, height) of a picture -> those of its overlay, without the legend."""
    short, long = sorted(size)
    enlarged = max(1, math.ceil(SMALLEST / short))
    scale = min(enlarged, max(1, LARGEST // long), LARGEST / long)
    width, height = (max(1, round(side * scale)) for side in size)
    return width, height


def tinted(picture: Image.Image, mask: Image.Image) -> Image.Image:
    """The picture under the colours of a mask of its size. Light lines part the regions."""
    ids = np.asarray(mask)                                                  # (H, W)
    colours = Image.blend(picture, mask.convert("RGB"), 0.55)
    page = Image.composite(colours, picture, Image.fromarray(ids > 0))
    page.paste("white", mask=outlines(ids, width=1 + min(mask.size) // 400))
    return page


def outlines(ids: np.ndarray, width: int) -> Image.Image:
    """Soft lines, about `width` pixels wide, where neighbours have different ids."""
    edge = np.zeros(ids.shape, bool)
    edge[:, 1:] |= ids[:, 1:] != ids[:, :-1]
    edge[1:] |= ids[1:] != ids[:-1]
    line = Image.fromarray(edge).convert("L")                               # 0 or 255
    if width > 1:                      # a filter of one pixel would end the process in Pillow 12.3
        line = line.filter(ImageFilter.MaxFilter(2 * (width // 2) + 1))
    soft = line.filter(ImageFilter.GaussianBlur(0.7))
    return ImageChops.lighter(soft, line.point(lambda value: value * 0.6))


def legend(classes: Sequence[str], present: np.ndarray, width: int,
           text_size: int) -> Image.Image:
    """A white bar with a swatch and the name of each class.

    present: the ids that the picture has. Rows are wrapped to `width`, wider only if one name needs
    it. Long names are cut.
    """
    font = ImageFont.load_default(text_size)
    gap = text_size // 2
    row = round(text_size * 1.7)                                            # height
    places = []
    x = y = gap
    for name in classes:
        if len(name) > LEGEND_LETTERS:
            name = name[:LEGEND_LETTERS - 1] + "…"
        length = math.ceil(row * 0.75 + font.getlength(name) + 2 * gap)
        if x > gap and x + length > width:
            x = gap
            y += row
        places.append((name, x, y))
        x += length
        width = max(width, gap + length)

    bar = Image.new("RGB", (width, y + row + gap), "white")
    draw = ImageDraw.Draw(bar)
    half = round(text_size * 0.45)                                          # of a swatch
    for i, (name, x, y) in enumerate(places, start=1):
        y += row // 2                                                       # the row's middle
        swatch, ink = (tuple(PALETTE[i]), INK) if i in present else (PALE_SWATCH, PALE_INK)
        box = (x, y - half, x + 2 * half, y + half)
        draw.rounded_rectangle(box, radius=half // 2, fill=swatch)
        draw.text((x + 2 * half + gap * 0.8, y), name, fill=ink, font=font, anchor="lm")
    return bar


def write_png(path: str | Path, image: Image.Image, **options: Any) -> None:
    """Writes a PNG file with Pillow's options. Raises OutputError."""
    write(path, lambda file: image.save(file, "PNG", **options))
