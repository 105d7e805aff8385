"""Any picture file -> upright RGB; labels -> PNG mask and an overlay to look at."""
import io
import math
import os
import stat
import warnings
from contextlib import contextmanager
from queue import Queue
from threading import Semaphore, Thread

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageFont, UnidentifiedImageError
from PIL.Image import Transpose

from .errors import InputError, shown
from .writing import write

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif")

# What cameras, phones, browsers and scanners save. Pillow opens more, but not all by decoding alone: EPS starts Ghostscript, IPTC opens
# whatever lies inside it (an EPS, too), FITS unpacks gzip before any size is known. So a new format has to be let in, not kept out.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "JPEG2000", "PPM", "ICO")
STRIP = 1 << 22                                          # pixels converted at a time
MAX_BYTES = 1 << 30                                      # twice the uncompressed RGB of Pillow's largest picture; a pipe may never end
TURNS = {2: Transpose.FLIP_LEFT_RIGHT, 3: Transpose.ROTATE_180, 4: Transpose.FLIP_TOP_BOTTOM, 5: Transpose.TRANSPOSE,
         6: Transpose.ROTATE_270, 7: Transpose.TRANSVERSE, 8: Transpose.ROTATE_90}          # what undoes each EXIF orientation


def voc_palette() -> np.ndarray:
    """(256, 3) uint8 colours of PASCAL VOC: bits 0, 1, 2 of the id become the top bits of R, G, B, bits 3, 4, 5 the next, ..."""
    ids, palette = np.arange(256), np.zeros((256, 3), np.uint8)
    for bit in range(8):
        palette[:, bit % 3] |= ((ids >> bit & 1) << (7 - bit // 3)).astype(np.uint8)
    return palette


PALETTE = voc_palette()


# Reading

def open_image(source, max_pixels=None) -> Image.Image:
    """A path, the bytes of a file or an open binary stream -> upright RGB picture. max_pixels replaces Pillow's limit of 179 million."""
    with pixel_limit(max_pixels):
        return decode(source)


def decode(source) -> Image.Image:
    """`open_image` under the limits that are set: several threads may call it inside one `pixel_limit`."""
    piped = isinstance(source, bytes) or hasattr(source, "read")
    name = "standard input" if piped else shown(os.fspath(source))
    with named(name):
        data = source if isinstance(source, bytes) else read(source)
        if not data:
            raise InputError("0 bytes, no picture; copy or download it again")
        Image.init()                                                        # an older Pillow lacks some of FORMATS
        known = [f for f in FORMATS if f in Image.OPEN]
        try:
            with Image.open(io.BytesIO(data), formats=known) as image:
                several = image.format != "MPO" and getattr(image, "is_animated", False)     # a phone's MPO is one photo and extras
                image.seek(0)
                picture = to_rgb(image)
        except UnidentifiedImageError as e:
            start = data[:200].lstrip(b"\xef\xbb\xbf \r\n\t")
            what = "a web page" if start[:1] == b"<" else "a git-lfs pointer" if start.startswith(b"version https://git") else None
            raise InputError(f"{what}, not a picture; download the picture itself" if what else
                             f"not a picture of a known format ({', '.join(known)}), or badly damaged; convert it to JPEG or PNG, "
                             "or download it again") from e
    if several:                                          # not counted: a file may have millions
        warnings.warn(f"{name}: several frames or pages, only the first is used", stacklevel=3)
    return picture


def read(source) -> bytes:
    """All of a stream, a regular file or a pipe. Other files may be endless, or do something when opened, so they stay closed."""
    try:
        if hasattr(source, "read"):
            return read_all(source)
        kind = os.stat(source).st_mode
        if not (stat.S_ISREG(kind) or stat.S_ISFIFO(kind) or stat.S_ISDIR(kind)):
            raise InputError("a device or a socket, not a file; name a picture file")
        with open(source, "rb") as file:
            return read_all(file)
    except FileNotFoundError:
        raise InputError(f"{'a link to nothing' if os.path.islink(source) else 'no such file'}; check the spelling and the folder") from None
    except IsADirectoryError:
        raise InputError("a folder, not a picture; name a picture inside it") from None
    except InputError:
        raise
    except (OSError, ValueError) as e:
        raise InputError(f"cannot be read ({getattr(e, 'strerror', 0) or e}); check the path and its permissions") from e


def read_all(file) -> bytes:
    """All of a binary stream, if that is not more than MAX_BYTES."""
    data = io.BytesIO()
    while chunk := file.read(1 << 20):
        data.write(chunk)
        if data.tell() > MAX_BYTES:
            raise InputError(f"more than {MAX_BYTES >> 20} MiB; shrink it")
    return data.getvalue()


@contextmanager
def named(name):
    """Whatever goes wrong with a picture becomes an InputError that names it."""
    try:
        yield
    except Image.DecompressionBombError as e:
        raise InputError(f"{name}: {str(e).split(', could')[0]}; shrink it, or raise the limit with --max-pixels "
                         "(max_pixels= in Python)") from e
    except InputError as e:
        raise InputError(f"{name}: {e}") from e
    except MemoryError as e:
        raise InputError(f"{name}: too large for this machine's memory; shrink it") from e
    except Exception as e:                              # Pillow's decoders raise OSError, SyntaxError, struct.error, ...
        raise InputError(f"{name}: damaged ({e}); copy or download it again, or convert it to PNG") from e


def to_rgb(image: Image.Image) -> Image.Image:
    """Any Pillow picture -> RGB as a viewer shows it: rotated by its EXIF tag, 16 bits scaled to 8, transparency on white."""
    image.load()
    if not image.width * image.height:
        raise InputError(f"{image.width} x {image.height}, no pixel; give a picture with some")
    picture = upright(image)
    if picture.mode != "RGB" or picture.has_transparency_data:
        picture = opaque(picture)
    elif picture is image and image.info:
        picture = image.copy()  # the caller's keeps what it says of itself
    picture.info.clear()  # neither the EXIF tag nor a transparent colour holds any more
    return picture


def opaque(image: Image.Image) -> Image.Image:
    """RGB of a picture in any mode, strip by strip: the copies on the way are small."""
    page = Image.new("RGB", image.size)
    rows = max(1, STRIP // image.width)
    for top in range(0, image.height, rows):
        strip = image.crop((0, top, image.width, min(top + rows, image.height)))
        page.paste(opaque_strip(strip), (0, top))
    return page


def opaque_strip(image: Image.Image) -> Image.Image:
    """The same at once: 16 bits scaled to 8, transparency on white."""
    if image.mode.startswith("I"):                                          # convert() would clip at 255 instead of scaling
        wide = np.asarray(image, np.float32)
        grey = np.rint(np.clip(wide, 0, 65535) / 257).astype(np.uint8)
        grey[wide == image.info.get("transparency", np.nan)] = 255          # NaN equals nothing
        image = Image.fromarray(grey)
    elif image.mode == "F":
        raise InputError("floating-point pixels, whose range nobody knows; save it as 8-bit PNG")
    elif image.mode == "La":                                                # Pillow converts it to LA and to nothing else
        image = image.convert("LA")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def upright(image: Image.Image) -> Image.Image:
    """Turned as its EXIF tag says. Not ImageOps.exif_transpose: a damaged EXIF block is no reason to refuse good pixels."""
    try:
        turn = TURNS.get(image.getexif().get(274))
    except Exception:                                   # here too: SyntaxError, struct.error, TypeError, ...
        turn = None
    return image if turn is None else image.transpose(turn)


@contextmanager
def pixel_limit(max_pixels):
    """Pillow refuses above 2 * Image.MAX_IMAGE_PIXELS. Its warnings (half that size, odd metadata) help no user: hidden. Both are global
    in Python, so threads share one such block instead of opening their own."""
    before = Image.MAX_IMAGE_PIXELS
    if max_pixels is not None:
        Image.MAX_IMAGE_PIXELS = max_pixels / 2
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"PIL\b")
            yield
    finally:
        Image.MAX_IMAGE_PIXELS = before


def ahead(function, items, count):
    """(item, function(item), or the exception it raised), in order; up to `count` are worked out in advance, in a thread of their own,
    so that pictures are decoded while the network works."""
    queue, room = Queue(), Semaphore(count)

    def work():
        for item in items:
            room.acquire()  # before the work: a large picture too many would not fit
            try:
                queue.put((item, function(item)))
            except Exception as e:
                queue.put((item, e))
        queue.put(None)

    def take():
        found = queue.get()
        room.release()
        return found
    Thread(target=work, daemon=True).start()             # daemon: Ctrl-C does not wait for a pipe that never ends
    return iter(take, None)


# Showing

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
