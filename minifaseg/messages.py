"""What the command line prints, and where: above the progress bar if there is one."""
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn, TextIO

from tqdm import tqdm

from .errors import InputError

try:
    import fcntl
except ImportError:
    fcntl = None  # type: ignore[assignment]             # Windows: None stands for the module

ERASE_LINE = "\r\x1b[K"                                  # for a terminal


def print_above_bar(text: str, file: TextIO | None = None) -> None:
    """Prints on standard error, or in `file`.

    In one piece, so that what several processes print at once is not mixed within a text.
    """
    file = file or sys.stderr
    if "RANK" in os.environ and file.isatty():
        text = ERASE_LINE + text                         # the bar there is another process's
    with tqdm.external_write_mode(file=file), undivided(file):
        file.write(f"{text}\n")
        file.flush()


@contextmanager
def undivided(file: TextIO) -> Iterator[None]:
    """A block in which no other process writes to this file, where the system can lock it.

    A pipe takes only 4 KiB for certain in one piece. The line of many classes is longer.
    """
    locked = False
    if fcntl and "RANK" in os.environ:
        with suppress(OSError, ValueError):              # no real file, or one without locks
            fcntl.lockf(file, fcntl.LOCK_EX)
            locked = True
    try:
        yield
    finally:
        if locked:
            fcntl.lockf(file, fcntl.LOCK_UN)


def complain(error: Exception, debug: bool = False, image: str | None = None) -> None:
    """Prints an error or a warning in one line that names the picture it came from."""
    if debug:
        traceback.print_exc()
    print_above_bar(f"minifaseg: {explanation(error, image)}")


@contextmanager
def warnings_in_one_line() -> Iterator[None]:
    """A block in which `complain` prints the warnings, in place of Python."""
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_: complain(message)
        yield


def exit_with(act: Callable[[], int], program: str, kept: object = None) -> NoReturn:
    """Ends the process with the exit code of act(), or with 1 after one line on what was wrong.

    130 after an interruption; kept: the place from which the same command then goes on, if any.
    """
    try:
        with warnings_in_one_line():
            code = act()
        sys.exit(code)
    except InputError as e:
        print(f"{program}: {e}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        goes_on = f"; the same command goes on where it was ({kept})" if kept else ""
        print(f"interrupted{goes_on}", file=sys.stderr)
        sys.exit(130)


def explanation(error: Exception, image: str | None) -> str:
    if is_out_of_memory(error):
        text = ("out of memory; a smaller picture, --no-flip, --dtype float16 (on a GPU) "
                "or --device cpu may help")
    elif isinstance(error, (InputError, Warning)):
        return str(error)                                # these name the file themselves
    else:
        one_line = " ".join(str(error).split())
        text = f"unexpected {type(error).__name__}: {one_line} (--debug shows where)"
    return f"{image}: {text}" if image else text


def is_out_of_memory(error: Exception) -> bool:
    """Whether memory ran out, by what Python, CUDA, torch's own allocator and oneDNN say then.

    STATUS_ALLOC_FAILED is what CUDA's libraries say, cuBLAS for instance.
    """
    if isinstance(error, MemoryError):
        return True
    text = str(error).lower()
    signs = ("out of memory", "allocate memory", "could not create a primitive",
             "status_alloc_failed")
    return any(sign in text for sign in signs)
