"""Opens a picture file: upright RGB, or an InputError of one line that says why not."""
import io
import os
import stat
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from queue import Queue
from threading import Semaphore, Thread
from typing import Any, BinaryIO

from PIL import Image

from ..errors import InputError, shown
from . import libtiff
from .pixels import to_rgb
from .refusals import readable, refusal

# Twice the uncompressed RGB of Pillow's largest picture; a pipe may never end.
MAX_BYTES = 1 << 30


def open_image(source: Any, max_pixels: int | None = None) -> Image.Image:
    """A path, the bytes of a file or an open binary stream -> upright RGB picture.

    max_pixels replaces Pillow's limit of 179 million. InputError if it is no picture.
    """
    with pixel_limit(max_pixels):
        return decode(source)


def decode(source: Any) -> Image.Image:
    """`open_image` without a limit of its own. Several threads may share one `pixel_limit`."""
    piped = isinstance(source, bytes) or hasattr(source, "read")
    name = "standard input" if piped else shown(os.fspath(source))
    with named(name):
        data = source if isinstance(source, bytes) else read(source)
        if not data:
            raise InputError("0 bytes, no picture; copy or download it again")
        libtiff.had_error()                              # forgets earlier pictures
        try:
            with Image.open(io.BytesIO(data), formats=readable()) as image:
                # A phone's MPO holds one photo and extras.
                several = getattr(image, "is_animated", False) and image.format != "MPO"
                image.seek(0)
                picture = to_rgb(image)
        except (InputError, MemoryError, Image.DecompressionBombError):
            raise
        except Exception as e:                           # OSError, SyntaxError, struct.error, ...
            raise InputError(refusal(data, e)) from e
    if several:                                          # not counted: a file may hold millions
        warnings.warn(f"{name}: several frames or pages, only the first is used",
                      stacklevel=3)
    if libtiff.had_error():                              # a fax's decoder goes on at the next line
        warnings.warn(f"{name}: damaged, parts of the picture may be wrong; "
                      "copy or download it again", stacklevel=3)
    return picture


def read(source: Any) -> bytes:
    """All of a stream, a regular file or a pipe.

    Other files may be endless, or do something when opened, so they stay closed.
    """
    try:
        if hasattr(source, "read"):
            return read_all(source)
        kind = os.stat(source).st_mode
        if stat.S_ISDIR(kind):
            raise InputError("a folder, not a picture; name a picture inside it")
        if not stat.S_ISREG(kind) and not stat.S_ISFIFO(kind):
            raise InputError("a device or a socket, not a file; name a picture file")
        with open(source, "rb") as file:
            return read_all(file)
    except FileNotFoundError:
        what = "a link to nothing" if os.path.islink(source) else "no such file"
        raise InputError(f"{what}; check the spelling and the folder") from None
    except InputError:
        raise
    except (OSError, ValueError) as e:
        why = getattr(e, "strerror", None) or e
        raise InputError(f"cannot be read ({why}); check the path and its permissions") from e


def read_all(file: BinaryIO) -> bytes:
    """All of a binary stream, if that is not more than MAX_BYTES."""
    data = io.BytesIO()
    while chunk := file.read(1 << 20):
        data.write(chunk)
        if data.tell() > MAX_BYTES:
            raise InputError(f"more than {MAX_BYTES >> 20} MiB; shrink it")
    return data.getvalue()


@contextmanager
def named(name: str) -> Iterator[None]:
    """Turns whatever goes wrong with a picture into an InputError that names it."""
    try:
        yield
    except Image.DecompressionBombError as e:
        size = str(e).split(", could")[0]
        raise InputError(f"{name}: {size}; shrink it, or raise the limit with --max-pixels "
                         "(max_pixels= in Python)") from e
    except InputError as e:
        raise InputError(f"{name}: {e}") from e
    except MemoryError as e:
        raise InputError(f"{name}: too large for this machine's memory; shrink it") from e
    except Exception as e:                               # OSError, SyntaxError, struct.error, ...
        raise InputError(f"{name}: damaged ({e}); copy or download it again, "
                         "or convert it to PNG") from e


@contextmanager
def pixel_limit(max_pixels: int | None) -> Iterator[None]:
    """Sets the size above which Pillow refuses a picture, 2 * Image.MAX_IMAGE_PIXELS.

    Also hides Pillow's warnings (half that size, odd metadata), which help no user. Both are global
    in Python, so threads share one such block instead of opening their own.
    """
    before = Image.MAX_IMAGE_PIXELS
    if max_pixels is not None:
        Image.MAX_IMAGE_PIXELS = max_pixels / 2  # type: ignore[assignment]  # odd limits, too
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"PIL\b")
            yield
    finally:
        Image.MAX_IMAGE_PIXELS = before


def ahead(function: Callable, items: Iterable, count: int) -> Iterator[tuple]:
    """(item, function(item) or the exception it raised) of every item, in order.

    Up to `count` are computed in advance, in another thread, so that pictures are decoded while the
    network computes.
    """
    queue: Queue = Queue()
    room = Semaphore(count)

    def work() -> None:
        for item in items:
            room.acquire()                               # first: one too many may not fit
            try:
                queue.put((item, function(item)))
            except Exception as e:
                queue.put((item, e))
        queue.put(None)

    # A daemon: Ctrl-C does not wait for a pipe that never ends.
    Thread(target=work, daemon=True).start()
    while pair := queue.get():
        room.release()
        yield pair
