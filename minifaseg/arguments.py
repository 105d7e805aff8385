"""Which arguments of the command line are pictures, and which are class names."""
import glob
import os
import warnings
from collections import Counter

import minifaseg

from .errors import InputError, UsageError, shown
from .pictures.formats import HEAD, OTHER_SUFFIXES, SUFFIXES, format_of

RESULTS = ("_mask.png", "_overlay.png", "_scores.npz")   # what an earlier run wrote


def sort_out(arguments: list[str], unsupervised: bool = False) -> tuple[list[str], tuple[str, ...]]:
    """Arguments -> pictures (each once, in order) and class names.

    The first argument is a picture, the later ones as `pictures` finds. An unsupervised method
    needs no class names. UsageError if the arguments make no sense.
    """
    first = pictures(arguments[0])
    images = first or arguments[:1]
    names = []
    for argument in arguments[1:]:
        found = pictures(argument)
        if found is None:
            names += argument.split(",")
        else:
            images += found
    images = list({real_path(image): image for image in images}.values())
    if not names and unsupervised and first:
        return images, ()

    refuse_bad_names(names)
    try:
        return images, minifaseg.clean_classes(names)
    except InputError as e:
        raise UsageError(str(e)) from e


def refuse_bad_names(names: list[str]) -> None:
    for name in names:
        if is_path(name.lstrip()):
            raise UsageError(f"{name.strip()} ends like a file, but stands among class names; "
                             "pictures are arguments of their own")
    if not names:
        raise UsageError("no class names; put them after the pictures: "
                         "python -m minifaseg image.jpg cat dog grass")


def real_path(path: str | os.PathLike) -> str:
    """Equal for two names of one file."""
    return os.path.normcase(os.path.realpath(path))


def pictures(argument: str) -> list[str] | None:
    """The pictures that an argument names, or None for a class name."""
    if argument == "-" or os.path.isfile(argument):      # pathlib raises on very long names
        return [argument]
    if os.path.isdir(argument):
        return only_pictures(argument, folder_entries(argument))
    if glob.has_magic(argument):
        found = glob.glob(argument, recursive=True)
        return only_pictures(argument, found) if found or is_path(argument) else None
    return [argument] if os.path.lexists(argument) or is_path(argument) else None


def is_path(argument: str) -> bool:
    """Does it read like a path, also if nothing is there? A mistyped picture is no class.

    Whatever ends in a blank is a class: "x.jpg ".
    """
    if argument.endswith(" "):
        return False
    folder, name = os.path.split(argument)
    if folder and (not name or os.path.isdir(folder)):   # "bed/sofa" may be a class
        return True
    if os.path.isabs(argument) or argument.startswith("~/"):
        return True
    return argument.lower().endswith(SUFFIXES + OTHER_SUFFIXES)


def folder_entries(folder: str) -> list[str]:
    try:
        return [os.path.join(folder, name) for name in os.listdir(folder)]
    except OSError as e:
        why = e.strerror or e
        raise UsageError(f"{folder}: cannot be read ({why}); check the permissions") from e


def only_pictures(place: str, paths: list[str]) -> list[str]:
    """The pictures among the paths in a folder or of a pattern, sorted.

    The others are counted in one warning. UsageError if there is no picture.
    """
    taken = []
    others: Counter[str] = Counter()
    for path in sorted(paths):
        kind = other_than_picture(path)
        if kind is None:
            taken.append(path)
        else:
            others[kind] += 1
    if not taken:
        raise UsageError(no_picture(place, counts(others)))
    if others:
        warnings.warn(f"{shown(place)}: {len(taken)} taken as pictures, "
                      f"{others.total()} passed over: {shown(counts(others))}", stacklevel=2)
    return taken


def counts(kinds: Counter[str]) -> str:
    """".txt (3), folder (1)", at most ten kinds by name."""
    most = kinds.most_common(10)
    texts = [f"{kind} ({n})" for kind, n in most]
    rest = kinds.total() - sum(n for _, n in most)
    if rest:
        texts.append(f"others ({rest})")
    return ", ".join(texts)


def no_picture(place: str, counted: str) -> str:
    if os.path.isdir(place):
        return (f"{place}: a folder without pictures ({counted or 'empty'}); "
                f'if you mean the class, write it with a blank: "{place} "')
    return f"{place}: no picture matches ({counted or 'nothing does'}); check the pattern"


def other_than_picture(path: str) -> str | None:
    """What a path in a folder is, if it is no picture to take.

    The end of its name decides, and its first bytes where that is not enough.
    """
    name = os.path.basename(path)
    if os.path.isdir(path):
        return "folder"
    if name.startswith("."):
        return "hidden"
    if name.endswith(RESULTS):
        return "result of an earlier run"
    if not os.path.isfile(path):
        return "link to nothing" if os.path.islink(path) else "pipe or device"
    if name.lower().endswith(SUFFIXES):
        return None
    suffix = os.path.splitext(name)[1].lower()
    if suffix not in OTHER_SUFFIXES and format_of(first_bytes(path)):
        return None
    return suffix or "without suffix"


def first_bytes(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(HEAD)
    except OSError:
        return b""
