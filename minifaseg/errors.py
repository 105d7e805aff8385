"""The errors that a user can cause, and the small functions that word them.

The text of such an error is one line that says what is wrong, in which file, and what to do.
"""
from collections.abc import Iterable
from pathlib import Path

PROJECT = Path(__file__).parents[1]
IS_CHECKOUT = all((PROJECT / name).is_file() for name in ("weights.py", "pyproject.toml"))
# What fetches weights: the file in the project's folder, or the module where there is no such file.
WEIGHTS_COMMAND = "python weights.py" if IS_CHECKOUT else "python -m minifaseg.checkpoints"
FIRST_FEW = 4        # how many items of a list an error names
LONGEST = 200        # characters of one item


class InputError(ValueError):
    """Bad input: a picture, a class list, a weights file.

    The command line prints its text and exits with 1 or 2.
    """

    def __init__(self, text: str) -> None:
        super().__init__(shown(text))


class UsageError(InputError):
    """Wrong for every picture: the command line exits with 2."""


class OutputError(InputError):
    """A result that cannot be written: no room, no permission."""


class WeightsError(InputError):
    """Weights that load, but whose results are not finite: every picture would fail."""


# ---- words ---------------------------------------------------------------------------------------
def shown(name: object) -> str:
    """A name on one line that any terminal prints.

    Line ends, control characters and bytes that are no text stand there as Python writes them.
    """
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in str(name))


def first_few(items: Iterable) -> str:
    """The first items of a list, and how many more there are: "a, b, c, d and 3 more"."""
    items = list(items)
    text = ", ".join(map(short, items[:FIRST_FEW]))
    more = len(items) - FIRST_FEW
    return f"{text} and {more} more" if more > 0 else text


def short(item: object) -> str:
    """The first characters of a text, and "..." where it goes on."""
    text = str(item)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


def one_line(text: object) -> str:
    """The words of a text or of an exception, with single spaces between them."""
    return " ".join(str(text).split())


# ---- downloads -----------------------------------------------------------------------------------
def recognise_download(head: bytes) -> str | None:
    """What the first bytes of a file show when its download went wrong; None for anything else.

    "a web page" (of a login, a licence or an error), "an XML text", or "a git-lfs pointer" (the
    small text that a repository holds in place of a large file).
    """
    text = head.lstrip(b"\xef\xbb\xbf \r\n\t").lower()
    if text.startswith(b"version https://git-lfs"):
        return "a git-lfs pointer"
    # A safetensors file may begin with the byte "<", too; but its first eight bytes hold a zero.
    if not text.startswith(b"<") or b"\0" in text:
        return None
    return "an XML text" if text.startswith(b"<?xml") and b"html" not in text else "a web page"
