"""What the command line prints, and where: above the progress bar if there is one."""
import sys
import traceback
from typing import TextIO

from tqdm import tqdm

from .errors import InputError


def print_above_bar(text: str, file: TextIO | None = None) -> None:
    """Prints on standard error, or in `file`."""
    file = file or sys.stderr
    tqdm.write(text, file=file)
    file.flush()


def complain(error: Exception, debug: bool = False, image: str | None = None) -> None:
    """Prints an error or a warning in one line that names the picture it came from."""
    if debug:
        traceback.print_exc()
    print_above_bar(f"minifaseg: {explanation(error, image)}")


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
    text = str(error).lower()
    return isinstance(error, MemoryError) or "out of memory" in text or "allocate memory" in text
