"""The usual data sets as pictures with their truth; and the cartoon world, painted on the fly.

    data = open_dataset("voc", "data/VOCdevkit")    # InputError unless all of val is there
    image, truth = data.read(data.ids[0])           # RGB picture; (H, W) uint8: 0 background,
                                                    # i the i-th class, 255 ignore

Folders are as mmsegmentation lays them out (folder_layouts.py). What pixel values mean is settled
in one place, `truth_of`: after it, label i is classes[i - 1] everywhere.
"""
import functools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from operator import index
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from ..cartoon.painter import paint
from ..cartoon.things import THINGS
from ..cartoon.twins import COLOURED, TWIN_CLASSES, twins
from ..cartoon.words import CLASSES
from ..errors import InputError
from ..origin import digest, file_digest
from .folder_layouts import IGNORE, LAYOUTS, Layout
from .splits import find_listing, find_root, list_ids, short_name, whole

PAINTED = {"cartoon": (paint, CLASSES, tuple(THINGS)),             # painter, classes, things
           "cartoon-twins": (twins, TWIN_CLASSES, COLOURED)}
NAMES = (*LAYOUTS, *PAINTED)


@dataclass(frozen=True)
class Dataset:
    """Pictures with their truth.

    classes: prompt wordings; label i of a truth map is classes[i - 1]
    file_names: the same classes as the data set's files spell them
    background: label 0 counts as a class (else no pixel is 0)
    things: the wordings of countable objects
    ids: the pictures
    reader: id -> (picture, truth)
    split: its name; None for the cartoon world
    listing: the file or folder that names the pictures
    size: how many pictures the whole split has, which may be more than there are ids
    files: id -> the paths of a picture and its label map, for a data set on disk
    """
    name: str
    classes: tuple[str, ...]
    file_names: tuple[str, ...]
    background: bool
    things: tuple[str, ...]
    ids: tuple[str, ...]
    reader: Callable[[str], tuple[Image.Image, np.ndarray]] = field(repr=False)
    split: str | None = None
    listing: str | None = None
    size: int | None = None
    files: Callable[[str], tuple[Path, Path]] | None = field(default=None, repr=False)

    def content(self, id: str) -> str | None:
        """A digest of a picture and its truth: other bytes, another digest.

        None if one of the two files cannot be read.
        """
        if self.files:
            digests = [file_digest(path) for path in self.files(id)]
            return None if None in digests else digest(*digests)
        image, truth = self.read(id)
        return digest(image.size, image.tobytes().hex(), truth.tobytes().hex())

    def read(self, id: str) -> tuple[Image.Image, np.ndarray]:
        """The RGB picture as stored (never rotated: the truth is not), its (H, W) uint8 truth.

        Raises InputError for bad files.
        """
        if id not in self.ids:
            raise InputError(f"{self.name}: no picture {id!r} in this split; take one of .ids, "
                             f"such as {self.ids[0]!r}")
        return self.reader(id)

    def labels_of(self, classes: Sequence[str]) -> np.ndarray:
        """(256,) uint8: i, the i-th of these classes -> its label in the truth; 0 and 255 stay."""
        labels = np.full(256, IGNORE, np.uint8)
        labels[:len(classes) + 1] = [0, *(self.classes.index(c) + 1 for c in classes)]
        return labels


def open_dataset(name: str, root: str | Path | None = None, split: str = "val",
                 seeds: Iterable[int] = range(1000, 1200), side: int = 128,
                 listing: str | Path | None = None, partial: bool = False) -> Dataset:
    """One of NAMES. Reads the list of ids, no picture yet.

    root: the data set's folder, or a data folder above it; listing: a text file of ids, or a folder
    of pictures, instead of the split's own; partial: take what is there. Without `partial`, a split
    whose pictures or label files are not all there, or that has not its known number of pictures,
    raises InputError. The cartoon world needs no root and has no splits: it has one picture of
    side x side pixels per seed, and its ids are the seeds as text.
    """
    if name in PAINTED:
        if listing is not None:
            raise InputError(f"{name}: no list of pictures ({listing}); its scenes go by seeds")
        return open_painted(name, seeds, side)
    if name not in LAYOUTS:
        raise InputError(f"no data set {name!r}; there is: {', '.join(NAMES)}")
    return open_folder(name, root, split, listing, partial)


def open_folder(name: str, root: str | Path | None, split: str, listing: str | Path | None,
                partial: bool) -> Dataset:
    """A data set on disk; see `open_dataset`."""
    layout = LAYOUTS[name]
    split = short_name(layout, split)
    if root is None:
        raise InputError(f"{name}: no folder given; {layout.expected(split)}")
    root = find_root(Path(root).expanduser(), layout, split)

    title = f"{name} {split}"
    if listing is None:
        listing, sizes = find_listing(layout, root, split)
    else:
        listing, sizes = Path(listing).expanduser(), ()             # whole if its files are there
        title += f" by {listing}"
    listed = list_ids(listing, layout, root, split)
    size = len(listed) if len(listed) in sizes or not sizes else sizes[-1]

    files = functools.partial(paths_of, layout, root, split)
    ids = whole(title, listing, listed, files, sizes, partial, layout.expected(split))
    file_names, classes = zip(*layout.pairs)
    things = tuple(wording for spelling, wording in layout.pairs if spelling in layout.things)
    reader = functools.partial(read_files, layout, root, split)
    return Dataset(name, classes, file_names, layout.background, things, ids, reader, split,
                   str(listing), size, files)


def open_painted(name: str, seeds: Iterable[int], side: int) -> Dataset:
    """A cartoon world; see `open_dataset`."""
    try:
        ids = tuple(str(index(seed)) for seed in seeds)
    except TypeError:
        ids = ()
    if not ids or any(id.startswith("-") for id in ids):
        raise InputError(f"{name}: seeds {seeds!r}; give one or more whole numbers from 0, such as "
                         "range(1000, 1200)")
    if side < 1:
        raise InputError(f"{name}: pictures of {side} x {side} pixels; give a side of 1 or more")
    painter, classes, things = PAINTED[name]
    reader = functools.partial(read_painted, painter, side)
    return Dataset(name, classes, classes, True, things, ids, reader, size=len(ids))


def read_painted(painter: Callable, side: int, id: str) -> tuple[Image.Image, np.ndarray]:
    """The scene of a seed."""
    scene = painter(int(id), side)
    return scene.image, scene.labels.copy()                         # Pillow's own is read-only


def paths_of(layout: Layout, root: Path, split: str, id: str) -> tuple[Path, Path]:
    """The paths of a picture and its label map."""
    city = id.partition("_")[0]
    picture, label = (pattern.format(split=split, id=id, city=city)
                      for pattern in (layout.pictures, layout.labels))
    return root / picture, root / label


def read_files(layout: Layout, root: Path, split: str, id: str) -> tuple[Image.Image, np.ndarray]:
    """A picture and its truth; see `Dataset.read`."""
    picture_path, path = paths_of(layout, root, split, id)
    picture = load(picture_path, layout, split)
    label = load(path, layout, split)
    if label.mode not in ("P", "L"):
        raise InputError(f"{path}: a label map of mode {label.mode}; it must be P or L, 8 bits, "
                         f"one id per pixel ({layout.hint})")
    if label.size != picture.size:
        raise InputError(f"{path}: {label.width} x {label.height} pixels, but its picture "
                         f"{picture.width} x {picture.height}; take both from the same copy of the "
                         "data set, not resized or rotated")
    return picture.convert("RGB"), truth_of(np.asarray(label), layout, path)


def load(path: Path, layout: Layout, split: str) -> Image.Image:
    """The picture as stored: no rotation by EXIF, no colours for palette ids."""
    try:
        with Image.open(path) as image:
            image.load()
            return image
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; {layout.expected(split)}") from None
    except UnidentifiedImageError:
        raise InputError(f"{path}: not a picture that Pillow can read; "
                         "copy or unpack it again") from None
    except Exception as e:              # of Pillow: OSError, SyntaxError, struct.error, ...
        raise InputError(f"{path}: cannot be read ({getattr(e, 'strerror', 0) or e}); "
                         "copy or unpack it again") from e


def truth_of(values: np.ndarray, layout: Layout, path: Path) -> np.ndarray:
    """Pixel values of a file (H, W) uint8 -> labels (H, W) uint8.

    The only place where numbers change their meaning. Raises InputError for a value that this data
    set does not have.
    """
    table = np.full(256, -1, np.int16)                              # -1: not in this data set
    table[list(layout.values)] = list(layout.values.values())
    table[IGNORE] = IGNORE
    truth = table[values]
    if truth.min() < 0:
        raise InputError(f"{path}: pixel value {values[truth < 0].max()}, but its values are 0 to "
                         f"{max(layout.values)} and {IGNORE}; is it of another data set or "
                         f"numbering? ({layout.hint})")
    return truth.astype(np.uint8)
