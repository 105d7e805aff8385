"""Which pictures a split has: the lists that the field uses, and whether all of it is there.

`layout` is one of datasets.LAYOUTS everywhere. A table of half a split looks like any other table,
so a split that is not whole is refused.
"""
import os
import re
from collections import Counter
from pathlib import Path

from ..errors import InputError


def find_root(given: Path, layout, split: str) -> Path:
    """The folder itself or the data set's usual place below it, whichever holds the splits."""
    parts = Path(layout.home).parts
    for root in (given, *(given.joinpath(*parts[i:]) for i in reversed(range(len(parts))))):
        if (root / layout.splits).parent.is_dir():
            return root
    what = "no folder" if given.is_dir() else "no such folder, so no"
    folder = Path(layout.splits).parent.as_posix()
    raise InputError(f"{given}: {what} {folder} there; {layout.expected(split)}")


def short_name(layout, split: str) -> str:
    """A split that is given as its file or folder is called: val2017, val.txt -> val."""
    before, after = Path(layout.splits).name.split("{split}")
    return split.removeprefix(before).removesuffix(after)


def find_listing(layout, root: Path, split: str) -> tuple[Path, tuple[int, ...]]:
    """The file or folder that names the pictures of a split, and how many it may have when it is
    whole (() if that is not known)."""
    pattern = root / layout.splits
    before, after = pattern.name.split("{split}")
    paths = visible(pattern.parent, f"{before}*{after}")
    found = {path.name[len(before):len(path.name) - len(after)]: path for path in paths}
    if split not in found:
        there = ", ".join(found) or "none"
        raise InputError(f"{pattern.parent}: no split {split!r}; there is: {there}; "
                         f"{layout.expected('val')}")
    for place in layout.lists:
        usual = Path(os.path.normpath(root / place.format(split=split)))
        if usual.is_file():
            return usual, layout.list_sizes.get(split, ())
    return found[split], layout.sizes.get(split, ())


def list_ids(listing: Path, layout, root: Path, split: str) -> tuple[str, ...]:
    """In the order of a list; sorted where a folder is the list."""
    before, after = layout.pictures.rpartition("/")[2].split("{id}")
    if listing.is_dir():
        pictures = visible(listing, f"*{after}")
        pictures = pictures or visible(listing, f"*/*{after}")         # Cityscapes, by city
        ids = [p.name.removesuffix(after) for p in pictures]
    else:
        try:
            lines = listing.read_text(encoding="utf-8-sig").splitlines()
        except FileNotFoundError:
            raise InputError(f"{listing}: no such list; give a text file, one id a line") from None
        except (OSError, UnicodeDecodeError) as e:
            why = getattr(e, "strerror", 0) or e
            raise InputError(f"{listing}: cannot be read as a list of picture ids ({why}); "
                             "copy it again") from e
        ids = [id_of(line, after, listing) for line in lines if line.strip()]
    if not ids:
        raise InputError(f"{listing}: no pictures in this split; {layout.expected(split)}")
    twice = next((id for id, count in Counter(ids).items() if count > 1), None)
    if twice is not None:
        raise InputError(f"{listing}: {twice!r} is listed twice, so would count twice; keep one")
    return tuple(ids)


def id_of(line: str, suffix: str, listing: Path) -> str:
    """Of a line that begins with an id, or with a picture's path, as in other tools' lists."""
    first, *others = line.split()
    if others and others[0] in ("-1", "0", "1"):
        raise InputError(f"{listing}: lines with a mark ({line.strip()!r}), as VOC has them per "
                         "class; keep the ids that you mean, alone")
    name = re.split(r"[/\\]", first)[-1]
    return re.sub(r"\.(jpe?g|png)$", "", name.removesuffix(suffix), flags=re.IGNORECASE)


def whole(name, listing, listed, files, sizes, partial, expected) -> tuple[str, ...]:
    """The ids of which picture and label map are there. Raises InputError if that is not the whole
    split, unless `partial`."""
    gone = {"picture": {}, "label": {}}                                     # kind -> {id: path}
    for id in listed:
        for missing, path in zip(gone.values(), files(id)):
            if not os.path.isfile(path):
                missing[id] = path
    faults = []
    for kind, missing in gone.items():
        if missing:
            count = "all" if len(missing) == len(listed) else len(missing)
            first = next(iter(missing.values()))
            faults.append(f"{count} of {len(listed)} {kind} files are missing, the first: {first}")
    if sizes and len(listed) not in sizes:
        right = " or ".join(map(str, sizes))
        faults.append(f"{listing} has {len(listed)} pictures, the whole split {right}")
    ids = tuple(id for id in listed if id not in gone["picture"] and id not in gone["label"])
    if not ids:
        raise InputError(f"{name}: {'; '.join(faults)}; {expected}")
    if faults and not partial:
        raise InputError(f"{name} is not whole: {'; '.join(faults)}; unpack or copy it again, or "
                         f"go on with the {len(ids)} that are there: --partial (partial=True in "
                         f"Python); {expected}")
    return ids


def visible(folder: Path, pattern: str) -> list[Path]:
    """What matches, sorted, without the hidden files that some systems add (._000.jpg)."""
    return sorted(p for p in folder.glob(pattern) if not p.name.startswith("."))
