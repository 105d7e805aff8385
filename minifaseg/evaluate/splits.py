"""Which pictures a split has: the lists that the field uses, and whether all of it is there.

A table of half a split looks like any other table, so a split that is not whole is refused.
"""
import os
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from ..errors import InputError
from .folder_layouts import Layout


def find_root(given: Path, layout: Layout, split: str) -> Path:
    """The folder itself, or the data set's usual place below it: the one that holds the splits."""
    parts = Path(layout.home).parts
    below = [given.joinpath(*parts[i:]) for i in reversed(range(len(parts)))]
    for root in (given, *below):
        if (root / layout.splits).parent.is_dir():
            return root
    what = "no folder" if given.is_dir() else "no such folder, so no"
    folder = Path(layout.splits).parent.as_posix()
    raise InputError(f"{given}: {what} {folder} there; {layout.expected(split)}")


def short_name(layout: Layout, split: str) -> str:
    """A split that is given as its file or folder is called: val2017, val.txt -> val."""
    before, after = Path(layout.splits).name.split("{split}")
    return split.removeprefix(before).removesuffix(after)


def find_listing(layout: Layout, root: Path, split: str) -> tuple[Path, tuple[int, ...]]:
    """The file or folder that names the pictures of a split, and the sizes of the whole split.

    The sizes are () if they are not known.
    """
    pattern = root / layout.splits
    paths = visible(pattern.parent, pattern.name.format(split="*"))
    found = {short_name(layout, path.name): path for path in paths}
    if split not in found:
        names = ", ".join(found) or "none"
        raise InputError(f"{pattern.parent}: no split {split!r}; there is: {names}; "
                         f"{layout.expected('val')}")
    for place in layout.lists:
        listing = Path(os.path.normpath(root / place.format(split=split)))
        if listing.is_file():
            return listing, layout.list_sizes.get(split, ())
    return found[split], layout.sizes.get(split, ())


def list_ids(listing: Path, layout: Layout, root: Path, split: str) -> tuple[str, ...]:
    """The ids in the order of a list; sorted where a folder is the list."""
    _, suffix = layout.pictures.rpartition("/")[2].split("{id}")
    ids = ids_in_folder(listing, suffix) if listing.is_dir() else ids_in_file(listing, suffix)
    if not ids:
        raise InputError(f"{listing}: no pictures in this split; {layout.expected(split)}")
    for id, count in Counter(ids).items():
        if count > 1:
            raise InputError(f"{listing}: {id!r} is listed twice, so would count twice; keep one")
    return tuple(ids)


def ids_in_folder(folder: Path, suffix: str) -> list[str]:
    """The ids of a folder's pictures; of Cityscapes, which has a folder for each city."""
    pictures = visible(folder, f"*{suffix}") or visible(folder, f"*/*{suffix}")
    return [path.name.removesuffix(suffix) for path in pictures]


def ids_in_file(path: Path, suffix: str) -> list[str]:
    """The ids of a text file, one a line."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError:
        raise InputError(f"{path}: no such list; give a text file, one id a line") from None
    except (OSError, UnicodeDecodeError) as e:
        why = getattr(e, "strerror", 0) or e
        raise InputError(f"{path}: cannot be read as a list of picture ids ({why}); "
                         "copy it again") from e
    return [id_of(line, suffix, path) for line in lines if line.strip()]


def id_of(line: str, suffix: str, listing: Path) -> str:
    """The id in a line that begins with it, or with a picture's path, as in other tools' lists."""
    first, *others = line.split()
    if others and others[0] in ("-1", "0", "1"):
        raise InputError(f"{listing}: lines with a mark ({line.strip()!r}), as VOC has them per "
                         "class; keep the ids that you mean, alone")
    name = re.split(r"[/\\]", first)[-1]
    return re.sub(r"\.(jpe?g|png)$", "", name.removesuffix(suffix), flags=re.IGNORECASE)


def whole(name: str, listing: Path, listed: tuple[str, ...],
          files: Callable[[str], tuple[Path, Path]], sizes: tuple[int, ...], partial: bool,
          expected: str) -> tuple[str, ...]:
    """The ids whose picture and label map are there.

    Raises InputError if that is not the whole split, unless `partial`; and if there are none.
    """
    missing: dict[str, dict[str, Path]] = {"picture": {}, "label": {}}      # kind -> {id: path}
    for id in listed:
        for of_kind, path in zip(missing.values(), files(id)):
            if not os.path.isfile(path):
                of_kind[id] = path
    ids = tuple(id for id in listed if not any(id in of_kind for of_kind in missing.values()))

    faults = [fault(kind, of_kind, listed) for kind, of_kind in missing.items() if of_kind]
    if sizes and len(listed) not in sizes:
        right = " or ".join(map(str, sizes))
        faults.append(f"{listing} has {len(listed)} pictures, the whole split {right}")
    if not ids:
        raise InputError(f"{name}: {'; '.join(faults)}; {expected}")
    if faults and not partial:
        raise InputError(f"{name} is not whole: {'; '.join(faults)}; unpack or copy it again, or "
                         f"go on with the {len(ids)} that are there: --partial (partial=True in "
                         f"Python); {expected}")
    return ids


def fault(kind: str, missing: dict[str, Path], listed: tuple[str, ...]) -> str:
    """Says how many files of a kind are missing."""
    count = "all" if len(missing) == len(listed) else len(missing)
    first = next(iter(missing.values()))
    return f"{count} of {len(listed)} {kind} files are missing, the first: {first}"


def visible(folder: Path, pattern: str) -> list[Path]:
    """What matches, sorted, without the hidden files that some systems add (._000.jpg)."""
    return sorted(p for p in folder.glob(pattern) if not p.name.startswith("."))
