"""Why a file did not become a picture: another kind of file, a kind not supported, or damage."""
import io

import PIL
from PIL import Image, TiffImagePlugin, UnidentifiedImageError, features

from .formats import FORMATS, HEAD, format_of, other_kind


def readable() -> list[str]:
    """The FORMATS that this Pillow decodes: some lack in an old one, or without a library."""
    Image.init()
    known = [format for format in FORMATS if format in Image.OPEN]
    return [format for format in known if format not in CODECS or features.check(CODECS[format])]


CODECS = {"AVIF": "avif", "JPEG2000": "jpg_2000", "WEBP": "webp", "JPEG": "jpg", "PNG": "zlib"}


def refusal(data: bytes, error: Exception) -> str:
    """One line: what the file is, and what to do. `error` is what Pillow raised at it."""
    kind = format_of(data[:HEAD])
    if kind is None:
        return not_a_picture(data)
    if kind not in readable():
        return (f"{kind}, which this Pillow ({PIL.__version__}) cannot read; "
                "pip install -U pillow, or convert it to JPEG or PNG")
    opened = not isinstance(error, UnidentifiedImageError)
    if not opened:
        error = reason(kind, data) or error
    words = " ".join(str(error).split())
    if any(word in words.lower() for word in UNSUPPORTED):
        return unsupported(kind, words)
    pixels = tiff_pixels(data) if kind == "TIFF" else None
    if pixels and not opened:                            # whole tags, but unknown pixels
        return unsupported(kind, pixels)
    if pixels and not pixels.endswith(USUAL):
        return (f"damaged, or a kind of TIFF that this Pillow cannot read ({pixels}); "
                "convert it to 8-bit PNG, or copy it again")
    return f"damaged {kind} picture ({words}); copy or download it again, or convert it to PNG"


# How Pillow words it. A damaged header may cause the same words; then the file does say so.
UNSUPPORTED = ("unsupported", "not supported", "yet supported", "cannot handle", "not available")

# Compressions of TIFF that every libtiff has. Others depend on how it was built.
USUAL = ("raw", "packbits", "lzw", "deflate", "group3", "group4", "ccitt", "jpeg")


def unsupported(kind: str, words: str) -> str:
    return f"a kind of {kind} that is not supported ({words}); convert it to 8-bit PNG"


def not_a_picture(data: bytes) -> str:
    what = other_kind(data[:2000])
    if what in ("a web page", "a git-lfs pointer", "a JSON text"):
        return f"{what}, not a picture; download the picture itself"
    known = f"not a picture of a known format ({', '.join(readable())})"
    if what:
        return f"{what}, {known}; convert it to JPEG or PNG"
    return f"{known}, or badly damaged; convert it to JPEG or PNG, or download it again"


def reason(kind: str, data: bytes) -> Exception | None:
    """The error of Pillow's reader for this kind of file, which Image.open does not show."""
    try:
        Image.OPEN[kind][0](io.BytesIO(data), "").close()
        return None
    except Exception as e:
        return e


def tiff_pixels(data: bytes) -> str | None:
    """What the tags of a TIFF say of its pixels: "32+32+32 bits, unsigned, raw".

    None if they are damaged.
    """
    if data.startswith(b"MM\0+"):
        return "BigTIFF, big-endian"                     # Pillow finds no tags in it
    head = 16 if 43 in data[2:4] else 8                  # bytes; 43: BigTIFF
    try:
        tags = TiffImagePlugin.ImageFileDirectory_v2(data[:head])
        file = io.BytesIO(data)
        file.seek(tags.next)
        tags.load(file)
        if not tags[256] * tags[257]:                    # width and height
            return None
        bits = "+".join(map(str, tags.get(TiffImagePlugin.BITSPERSAMPLE, (1,))[:8]))
        sample_format = tags.get(TiffImagePlugin.SAMPLEFORMAT, (1,))[0]
        numbers = {2: "signed", 3: "floating-point"}.get(sample_format, "unsigned")
        number = tags.get(TiffImagePlugin.COMPRESSION, 1)
        packing = TiffImagePlugin.COMPRESSION_INFO.get(number, f"compression {number}")
        return f"{bits} bits, {numbers}, {packing}"
    except Exception:                                    # SyntaxError, KeyError, struct.error, ...
        return None
