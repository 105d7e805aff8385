"""libtiff's error messages: counted, not printed.

It would print up to 196 lines on stderr about one damaged file. Its handler is one pointer for the
process, so that, unlike file descriptor 2, it can be set while other threads print.
"""
import ctypes
import functools
import threading
from contextlib import suppress

from PIL import Image

of_thread = threading.local()


def count(module, text):
    of_thread.errors = getattr(of_thread, "errors", 0) + 1


# void handler(const char *module, const char *format, va_list values)
# libtiff calls it as long as the process lives.
HANDLER = ctypes.CFUNCTYPE(None, ctypes.c_char_p, ctypes.c_char_p)(count)


@functools.cache
def set_handler():
    """Where libtiff hides inside Pillow, as on Windows, it goes on printing."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(Image.core.__file__).TIFFSetErrorHandler(HANDLER)


def errors() -> int:
    """How many messages came in this thread since the last call."""
    set_handler()
    n, of_thread.errors = getattr(of_thread, "errors", 0), 0
    return n
