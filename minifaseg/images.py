"""Labels -> PNG mask and an overlay to look at."""
import math

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageFont

from .writing import write


def voc_palette() -> np.ndarray:
    """(256, 3) uint8 colours of PASCAL VOC: bits 0, 1, 2 of the id become the top bits of R, G, B, bits 3, 4, 5 the next, ..."""
    ids, palette = np.arange(256), np.zeros((256, 3), np.uint8)
    for bit in range(8):
        palette[:, bit % 3] |= ((ids >> bit & 1) << (7 - bit // 3)).astype(np.uint8)
    return palette


PALETTE = voc_palette()


def as_rgb(image: Image.Image) -> Image.Image:
    """image.convert("RGB"), which copies even where there is nothing to convert."""
    return image if image.mode == "RGB" else image.convert("RGB")


LEGEND_LETTERS = 60                                      # of a name; more would make the page far wider than the picture


def mask_image(labels: np.ndarray, gray=False) -> Image.Image:
    """(H, W) ids -> picture of mode P (VOC's colours), or L with `gray`; its values are the ids.

    All 256 colours stay attached: with fewer, Pillow packs the PNG into fewer bits, and larger ids
    change silently.
    """
    image = Image.fromarray(np.ascontiguousarray(labels, np.uint8))         # mode L
    if not gray:
        image.putpalette(PALETTE.tobytes())                                 # L becomes P
    return image


def overlay(image: Image.Image, labels: np.ndarray, classes) -> Image.Image:
    """The picture tinted by its labels, regions outlined, with the class names below (pale: found nowhere). Small pictures are
    drawn enlarged, very large ones shrunk; the background keeps its own colours."""
    short, long = sorted(image.size)
    scale = min(max(1, math.ceil(384 / short)), max(1, 2048 // long), 2048 / long)
    size = [max(1, round(s * scale)) for s in image.size]
    picture = as_rgb(image).resize(size, Image.Resampling.LANCZOS)
    mask = mask_image(labels)
    present = {number for number, pixels in enumerate(mask.histogram()) if pixels}
    mask = mask.resize(size, Image.Resampling.NEAREST)
    tinted = Image.blend(picture, mask.convert("RGB"), 0.55)
    tinted = Image.composite(tinted, picture, Image.fromarray(np.asarray(mask) > 0))
    tinted.paste("white", mask=outlines(np.asarray(mask), width=1 + min(size) // 400))

    bar = legend(classes, present, size[0], text_size=max(15, round(sum(size) / 55)))
    page = Image.new("RGB", (max(size[0], bar.width), size[1] + bar.height), "white")
    page.paste(tinted, ((page.width - size[0]) // 2, 0))
    page.paste(bar, (0, size[1]))
    return page


def outlines(ids: np.ndarray, width: int) -> Image.Image:
    """Soft lines, about `width` pixels wide, where neighbours carry different ids."""
    edge = np.zeros(ids.shape, np.uint8)
    edge[:, 1:] |= (ids[:, 1:] != ids[:, :-1]).view(np.uint8)
    edge[1:] |= (ids[1:] != ids[:-1]).view(np.uint8)
    line = Image.fromarray(edge * 255).filter(ImageFilter.MaxFilter(2 * (width // 2) + 1))
    return ImageChops.lighter(line.filter(ImageFilter.GaussianBlur(0.7)), line.point(lambda v: v * 0.6))


def legend(classes, present, width, text_size) -> Image.Image:
    """A white bar with a swatch and the name of each class, wrapped to `width` (wider only if one name needs it), long names cut."""
    classes = [name if len(name) <= LEGEND_LETTERS else name[:LEGEND_LETTERS - 1] + "…" for name in classes]
    font, gap = ImageFont.load_default(text_size), text_size // 2
    row, rows, x = round(text_size * 1.7), 0, gap
    places = []
    for name in classes:
        length = math.ceil(row * 0.75 + font.getlength(name) + 2 * gap)
        if x > gap and x + length > width:
            x, rows = gap, rows + 1
        places.append((x, gap + rows * row))
        x, width = x + length, max(width, gap + length)
    bar = Image.new("RGB", (width, (rows + 1) * row + 2 * gap), "white")
    draw = ImageDraw.Draw(bar)
    for i, (name, (x, y)) in enumerate(zip(classes, places), start=1):
        middle, half = y + row // 2, round(text_size * 0.45)
        colour, ink = [(tuple(PALETTE[i]), (30, 30, 34)), ((225, 225, 228), (165, 165, 170))][i not in present]
        draw.rounded_rectangle((x, middle - half, x + 2 * half, middle + half), radius=half // 2, fill=colour)
        draw.text((x + 2 * half + gap * 0.8, middle), name, fill=ink, font=font, anchor="lm")
    return bar


def write_png(path, image: Image.Image, **options) -> None:
    write(path, lambda file: image.save(file, "PNG", **options))
