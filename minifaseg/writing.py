"""Files written whole or not at all, by several processes at once, and no leftovers of killed ones.

A file is written under a temporary name of its own and then renamed. As long as its writer lives,
the temporary file is locked; the system ends the lock with the process, however that ends. So a
free lock marks a leftover.
"""
import functools
import os
import re
import secrets
import stat
import time
from contextlib import contextmanager, suppress
from pathlib import Path

from .errors import OutputError

try:
    import fcntl
except ImportError:                                      # Windows
    fcntl = None

TEMPORARY = re.compile(r"\.minifaseg-[0-9a-f]{16}\.tmp")
DAY = 24 * 3600


def write(path, save) -> None:
    """save(file) fills a temporary file beside `path`, which then takes its name. Makes folders.

    Nobody meets half a file. Of several processes that write one path, each succeeds, and the last
    one's file stays. Raises OutputError.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if special(path):
            with open(path, "wb") as file:
                save(file)
            return
        with replacing(path) as temporary, open(temporary, "wb") as file:
            save(file)
    except OSError as e:
        raise OutputError(f"{path}: cannot be written ({e.strerror or e}); "
                          "choose another place with -o, or make room") from e


def special(path: Path) -> bool:
    """Is there something that must not be replaced, such as a pipe or /dev/null?"""
    try:
        return not stat.S_ISREG(os.stat(path).st_mode)
    except OSError:                                      # nothing there
        return False


@contextmanager
def replacing(path: Path):
    """The path of an empty temporary file; it becomes `path` if the block ends without an error."""
    remove_leftovers(path.parent.resolve())
    temporary, file = new_temporary(path.parent)
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        with suppress(OSError):  # nothing left to remove when all went well
            temporary.unlink()
        file.close()


def new_temporary(folder: Path):
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


def lock(file, wait=True):
    """True: this file object has the lock until it closes. False: another. None: no locks here."""
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

    Once per process, because looking through a large folder takes time.
    """
    with suppress(OSError):
        for name in os.listdir(folder):
            if TEMPORARY.fullmatch(name):
                with suppress(OSError):  # gone meanwhile, or another user's
                    remove_if_left(folder / name)


def remove_if_left(temporary: Path) -> None:
    """Removes a temporary file whose writer has ended; without locks, one that is a day old."""
    with open(temporary, "r+b") as file:
        free = lock(file, wait=False)
        if free:
            temporary.unlink()  # still locked, so that its writer cannot begin at this moment
    if free is None and time.time() - temporary.stat().st_mtime > DAY:
        temporary.unlink()
