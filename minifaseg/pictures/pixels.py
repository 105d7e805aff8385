"""Any Pillow picture -> upright RGB of 8 bits, as a viewer shows it."""
import logging
from typing import Any

import numpy as np
from PIL import Image
from PIL.Image import Transpose
from PIL.TiffImagePlugin import (
    BITSPERSAMPLE,
    COMPRESSION,
    PHOTOMETRIC_INTERPRETATION,
    PLANAR_CONFIGURATION,
    SAMPLEFORMAT,
)

from ..errors import InputError
from . import libtiff

# Without a handler, Python prints what Pillow logs of bad files.
logging.getLogger("PIL").addHandler(logging.NullHandler())

# What undoes each EXIF orientation.
TURNS = {
    2: Transpose.FLIP_LEFT_RIGHT, 3: Transpose.ROTATE_180, 4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE, 6: Transpose.ROTATE_270, 7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}

STRIP = 1 << 22                                          # pixels converted at a time


def to_rgb(image: Image.Image) -> Image.Image:
    """Any picture -> RGB: turned by its EXIF tag, scaled to 8 bits, transparency on white.

    InputError where nobody knows which value is white: floats, negative and some 32-bit pixels.
    """
    libtiff.set_handler()
    scale_transparent_colour(image)
    image.load()
    refuse_empty(image)
    refuse_misread_tiff(image)
    turn = orientation(image)
    picture = eight_bits(image)
    if turn is not None:
        picture = picture.transpose(turn)
    if picture.mode != "RGB" or picture.has_transparency_data:
        picture = opaque(picture)
    elif picture is image and image.info:
        picture = image.copy()                           # the caller's keeps its info
    picture.info.clear()                                 # EXIF and transparency are used up
    return picture


def opaque(image: Image.Image) -> Image.Image:
    """RGB of a picture in any mode, on white. Strip by strip, so that all copies are small."""
    page = Image.new("RGB", image.size)
    rows = max(1, STRIP // image.width)
    for top in range(0, image.height, rows):
        strip = image.crop((0, top, image.width, min(top + rows, image.height)))
        if strip.mode == "La":                           # Pillow converts it to LA only
            strip = strip.convert("LA")
        if strip.has_transparency_data:
            strip = strip.convert("RGBA")
            white = Image.new("RGBA", strip.size, "white")
            strip = Image.alpha_composite(white, strip)
        page.paste(strip.convert("RGB"), (0, top))
    return page


def orientation(image: Image.Image) -> Transpose | None:
    """What turns the picture upright, by its EXIF tag.

    Not ImageOps.exif_transpose: a damaged EXIF block is no reason to refuse good pixels.
    """
    try:
        return TURNS.get(image.getexif().get(274, 1))
    except Exception:                                    # SyntaxError, struct.error, TypeError, ...
        return None


def scale_transparent_colour(image: Any) -> None:
    """A PNG gives its transparent colour in its own depth. Pillow scales only the pixels."""
    key = image.info.get("transparency")
    if image.format != "PNG" or not image.tile:          # gone when the pixels are loaded
        return
    packing = image.tile[0][3]
    scale = {"1": 255, "L;2": 85, "L;4": 17}.get(packing)
    if scale and isinstance(key, int):
        image.info["transparency"] = key * scale
    if packing == "RGB;16B" and isinstance(key, tuple):
        image.info["transparency"] = tuple(value >> 8 for value in key)


# Depths. Pillow's own convert() would clip at 255 instead of scaling. It knows neither signed nor
# inverted pixels.

def eight_bits(image: Image.Image) -> Image.Image:
    """One channel of more than 8 bits, or of signed ones, -> 8 bits; other pictures as they are."""
    if image.mode == "F":
        raise InputError("floating-point pixels, whose range nobody knows; save it as 8-bit PNG")
    bits, signed, inverted = sample_type(image)
    if not image.mode.startswith("I") and not (image.mode == "L" and signed):
        return image
    values = np.asarray(image)                                              # (H, W)
    if bits == 8:
        values = values.view(np.int8)
    if bits == 32 and not signed:
        values = values.view(np.uint32)                  # Pillow has only signed ones
    white = largest_value(values, bits, signed)

    table = np.rint(np.linspace(0, 255, white + 1)).astype(np.uint8)
    if inverted:
        table = table[::-1]
    grey = np.empty(values.shape, np.uint8)
    for i in range(0, len(values), 256):                 # in strips: indices take 8 bytes a pixel
        grey[i:i + 256] = table[values[i:i + 256]]
    grey[values == image.info.get("transparency", np.nan)] = 255            # NaN equals nothing
    return Image.fromarray(grey)


def sample_type(image: Image.Image) -> tuple[int, bool, bool]:
    """(bits, signed, 0 is white) of the numbers in the file that a grey picture was read from."""
    tags = getattr(image, "tag_v2", None)                                   # only a TIFF has them
    if tags is not None:
        signed = tags.get(SAMPLEFORMAT, (1,))[0] == 2
        # In mode L, Pillow has inverted the numbers.
        inverted = tags.get(PHOTOMETRIC_INTERPRETATION) == 0 and image.mode != "L"
        return tags.get(BITSPERSAMPLE, (1,))[0], signed, inverted
    if image.mode == "I" and image.format not in ("PNG", "PPM"):
        return 32, True, False
    return 16, False, False                              # to which Pillow scales PPM and JPEG 2000


def largest_value(values: np.ndarray, bits: int, signed: bool) -> int:
    """The value that is white: the largest of the number type.

    Hardly any file uses all of 32 bits. Values that fit in 8 or 16 bits are taken as such.
    """
    low, high = int(values.min()), int(values.max())
    if low < 0:
        raise InputError(f"signed pixels, down to {low}, and nobody knows which value is black; "
                         "save it as 8-bit PNG")
    if bits < 32:
        return 2 ** (bits - signed) - 1
    if high > 65535:
        raise InputError(f"32-bit pixels, up to {high}, and nobody knows which value is white; "
                         "save it as 8-bit or 16-bit PNG")
    return 255 if high < 256 else 65535


# Refused

def refuse_empty(image: Image.Image) -> None:
    if not image.width * image.height:
        raise InputError(f"{image.width} x {image.height}, no pixel; give a picture with some")


def refuse_misread_tiff(image: Image.Image) -> None:
    """A TIFF that Pillow opens, but whose pixels are not the picture."""
    tags = getattr(image, "tag_v2", {})
    if tags.get(254, 0) & 1:                             # a reduced picture, as in most raw files
        raise InputError(f"its first page is a thumbnail of {image.width} x {image.height}; "
                         "export the picture itself as JPEG or PNG")
    planes = tags.get(PLANAR_CONFIGURATION) == 2 and len(image.getbands()) > 1
    if planes and tags.get(COMPRESSION, 1) == 1 and max(tags.get(BITSPERSAMPLE, (1,))) > 8:
        raise InputError("16-bit colours in separate planes, which Pillow mixes up; save it as PNG")
