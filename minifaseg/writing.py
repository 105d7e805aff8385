"""Writes files whole or not at all, also when several processes write at once.

A file is written under a temporary name of its own and then renamed. The temporary file is locked
while its writer lives. The system ends the lock with the process, however that ends. So a free lock
marks a leftover of a killed process, which is removed.
"""
import functools
import os
import secrets
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import BinaryIO

from .errors import OutputError

try:
    import fcntl
except ImportError:
    fcntl = None  # type: ignore[assignment]             # Windows: None stands for the module

TEMPORARY = f".minifaseg-{'[0-9a-f]' * 16}.tmp"          # pattern of the names
DAY = 24 * 3600


def write(path: str | Path, save: Callable) -> None:
    """Lets save(file) fill a temporary file beside `path`, which then takes its name.

    Makes folders. Nobody meets half a file. If several processes write one path, each succeeds and
    the file of the last one stays. Raises OutputError.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        target = nullcontext(path) if is_special(path) else replacing(path)
        with target as place, open(place, "wb") as file:
            save(file)
    except OSError as e:
        raise OutputError(f"{path}: cannot be written ({e.strerror or e}); "
                          "choose another place with -o, or make room") from e


def write_text(path: str | Path, text: str) -> None:
    """`write` for a text, in UTF-8."""
    write(path, lambda file: file.write(text.encode()))


def is_special(path: str | Path) -> bool:
    """Is there something that must not be replaced, such as a pipe or /dev/null?"""
    try:
        return not stat.S_ISREG(os.stat(path).st_mode)
    except OSError:                                      # nothing there
        return False


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """The path of an empty temporary file, which becomes `path` if the block ends without error."""
    remove_leftovers(path.parent.resolve())
    temporary, file = new_temporary(path.parent)
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        with suppress(OSError):  # nothing left to remove when all went well
            temporary.unlink()
        file.close()


def new_temporary(folder: Path) -> tuple[Path, BinaryIO]:
    """(path, open file) of a new temporary file, locked.

    On Windows the file is closed: an open one cannot be renamed there.
    """
    while True:
        temporary = folder / f".minifaseg-{secrets.token_hex(8)}.tmp"
        file = open(temporary, "xb")
        if fcntl is None:
            file.close()
        lock(file)
        if temporary.exists():  # else another process took it for a leftover before it was locked
            return temporary, file
        file.close()


def lock(file: BinaryIO, wait: bool = True) -> bool | None:
    """True: this file is locked until it closes. False: another holds it. None: no locks here."""
    if fcntl is None:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        return True
    except BlockingIOError:
        return False
    except OSError:                                      # some network folders
        return None


@functools.cache
def remove_leftovers(folder: Path) -> None:
    """Removes what killed processes left in a folder.

    Once for each process, because looking through a large folder takes time.
    """
    with suppress(OSError):
        for temporary in folder.glob(TEMPORARY):
            with suppress(OSError):                      # gone meanwhile, or another user's
                remove_if_left(temporary)


def remove_if_left(temporary: Path) -> None:
    """Removes a temporary file whose writer has ended. Without locks: one that is a day old."""
    with open(temporary, "r+b") as file:
        free = lock(file, wait=False)
        if free:
            temporary.unlink()  # still locked, so that its writer cannot begin at this moment
    if free is None and time.time() - temporary.stat().st_mtime > DAY:
        temporary.unlink()
