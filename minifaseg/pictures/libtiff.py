"""Notes libtiff's error messages instead of printing them.

libtiff would print up to 196 lines on standard error about one damaged file. Its error handler is
one pointer for the whole process. Unlike file descriptor 2, it can be set while other threads
print.
"""
import ctypes
import functools
import threading
from contextlib import suppress
from typing import Any

from PIL import Image


class PerThread(threading.local):
    error = False


per_thread = PerThread()


def note_error(module: Any, text: Any) -> None:
    per_thread.error = True


# void handler(const char *module, const char *format, va_list values)
# Kept here, because libtiff calls it as long as the process lives.
HANDLER = ctypes.CFUNCTYPE(None, ctypes.c_char_p, ctypes.c_char_p)(note_error)


@functools.cache
def set_handler() -> None:
    """Where libtiff is hidden inside Pillow, as on Windows, it goes on printing."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(Image.core.__file__).TIFFSetErrorHandler(HANDLER)


def had_error() -> bool:
    """Did libtiff report an error in this thread since the last call?"""
    set_handler()
    error = per_thread.error
    per_thread.error = False
    return error
