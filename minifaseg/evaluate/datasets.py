"""The usual data sets as pictures with their truth, in the folders mmsegmentation uses; and the cartoon world, painted on the fly.

    data = open_dataset("voc", "data/VOCdevkit")    # InputError unless all of val is there
    image, truth = data.read(data.ids[0])           # RGB picture; (H, W) uint8: 0 background, i the i-th class, 255 ignore

The label files number their classes in five ways, with shifts, gaps and several meanings of 0. All of it is settled by one table
per data set, `Layout.values`, applied in one place; after it, label i is classes[i - 1] everywhere.
"""
import functools
from collections.abc import Callable
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
from .class_names import (
    CITYSCAPES,
    CITYSCAPES_THINGS,
    COCO,
    COCOSTUFF,
    COCOSTUFF_THINGS,
    CONTEXT,
    CONTEXT_THINGS,
    VOC,
    coarse_labels,
)
from .splits import find_listing, find_root, list_ids, short_name, whole

IGNORE = 255


@dataclass(frozen=True)
class Dataset:
    """classes: prompt wordings, label i of a truth map is classes[i - 1]; file_names: the same as
    the data set's files spell them; background: label 0 counts as a class (else no pixel is 0);
    things: the wordings of countable objects; ids: the pictures; split: its name; listing: the file
    or folder that names its pictures; size: how many the whole split has, which may be more than
    there are ids; files: id -> the paths of a picture and its label map, for a data set on disk."""
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
        """A digest of a picture and its truth: other bytes, another digest. None if one of the two
        cannot be read."""
        if self.files:
            digests = [file_digest(path) for path in self.files(id)]
            return None if None in digests else digest(*digests)
        image, truth = self.read(id)
        return digest(image.size, image.tobytes().hex(), truth.tobytes().hex())

    def read(self, id: str) -> tuple[Image.Image, np.ndarray]:
        """The RGB picture as stored (never rotated: the truth is not) and its (H, W) uint8 truth. Raises InputError for bad files."""
        if id not in self.ids:
            raise InputError(f"{self.name}: no picture {id!r} in this split; take one of .ids, such as {self.ids[0]!r}")
        return self.reader(id)


@dataclass(frozen=True)
class Layout:
    """One data set on disk. Paths are relative to its root; {split}, {id} and {city} (the id's start) vary.

    home: where the root usually lies below a data folder; splits: a text file of ids, or a folder
    whose pictures all count; values: pixel value -> our label, for every value the files may hold
    besides 255; hint: where the files come from; sizes: split -> how many pictures it may have when
    it is whole; lists: text files of ids that stand for `splits` where they are there, with
    list_sizes.
    """
    home: str
    pictures: str
    labels: str
    splits: str
    pairs: tuple[tuple[str, str], ...]
    things: set[str]                                # by file name
    values: dict[int, int]
    background: bool
    hint: str
    sizes: dict[str, tuple[int, ...]]
    lists: tuple[str, ...] = ()
    list_sizes: dict[str, tuple[int, ...]] = field(default_factory=dict)

    def expected(self, split: str) -> str:
        files = (self.pictures, self.labels, self.splits)[:3 if self.splits.endswith(".txt") else 2]
        files = [p.format(split=split, city="*", id="*") for p in files]
        return f"expected in {Path(self.home).name}: {', '.join(files)} ({self.hint})"


def same(n: int) -> dict[int, int]:
    return {i: i for i in range(1, n + 1)}


CONTEXT_FILES = dict(home="VOCdevkit/VOC2010", pictures="JPEGImages/{id}.jpg", labels="SegmentationClassContext/{id}.png",
                     splits="ImageSets/SegmentationContext/{split}.txt", pairs=CONTEXT, things=CONTEXT_THINGS,
                     sizes={"train": (4996, 4998), "val": (5104, 5105)},     # converter's, authors'
                     hint="labels and lists are made by mmsegmentation's tools/dataset_converters/pascal_context.py")
COCO_SIZES = {"train": (118287,), "val": (5000,)}
# The "curated" pictures of COCO-Stuff, on which DiffSeg, STEGO, PiCIE and IIC measure: in the data
# set's folder, or beside it.
CURATED = "curated/{split}2017/Coco164kFull_Stuff_Coarse_7.txt"
LAYOUTS = {
    "voc": Layout("VOCdevkit/VOC2012", "JPEGImages/{id}.jpg", "SegmentationClass/{id}.png", "ImageSets/Segmentation/{split}.txt",
                  VOC, {name for name, _ in VOC}, {0: 0, **same(20)}, True,
                  "all are in the VOC 2012 trainval archive",
                  sizes={"train": (1464,), "val": (1449,), "trainval": (2913,)}),
    # mmsegmentation's reduce_zero_label for 59 classes: what it makes 255 and i - 1 is 255 and i here, and nothing shifts again
    "context59": Layout(**CONTEXT_FILES, values={0: IGNORE, **same(59)}, background=False),
    "context60": Layout(**CONTEXT_FILES, values={0: 0, **same(59)}, background=True),
    "coco-object": Layout("coco_stuff164k", "images/{split}2017/{id}.jpg", "annotations/{split}2017/{id}_instanceTrainIds.png",
                          "images/{split}2017", COCO, {name for name, _ in COCO}, {0: 0, **same(80)}, True,
                          "labels are made of COCO-Stuff's by GroupViT's "
                          "convert_dataset/convert_coco_object.py", COCO_SIZES),
    "cityscapes27": Layout("cityscapes", "leftImg8bit/{split}/{city}/{id}_leftImg8bit.png",
                           "gtFine/{split}/{city}/{id}_gtFine_labelIds.png", "leftImg8bit/{split}", CITYSCAPES, CITYSCAPES_THINGS,
                           {**{i: IGNORE for i in range(7)}, **{i: i - 6 for i in range(7, 34)}}, False,
                           "the archives leftImg8bit_trainvaltest and gtFine_trainvaltest, "
                           "unpacked side by side; not labelTrainIds",
                           sizes={"train": (2975,), "val": (500,), "test": (1525,)}),
    "cocostuff27": Layout("coco_stuff164k", "images/{split}2017/{id}.jpg", "annotations/{split}2017/{id}.png", "images/{split}2017",
                          COCOSTUFF, set(COCOSTUFF_THINGS), dict(enumerate(coarse_labels())), False,
                          "labels are those of stuffthingmaps_trainval2017.zip, values 0 to 181 "
                          "and 255; not labelTrainIds", COCO_SIZES, (CURATED, f"../{CURATED}"),
                          {"train": (49629,), "val": (2175,)})}
PAINTED = {"cartoon": (paint, CLASSES, tuple(THINGS)),             # painter, classes, things
           "cartoon-twins": (twins, TWIN_CLASSES, COLOURED)}
NAMES = (*LAYOUTS, *PAINTED)


def open_dataset(name: str, root=None, split: str = "val", seeds=range(1000, 1200), side: int = 128,
                 listing=None, partial=False) -> Dataset:
    """One of NAMES. root: its folder, or a data folder above it; reads the list of ids, no picture yet. Raises InputError.

    listing: a text file of ids, or a folder of pictures, instead of the split's own. A split of
    which pictures or label files are missing, or that has not its known number of pictures, is
    refused; partial: take what is there. The cartoon world needs no root and has no splits: one
    picture of side x side pixels per seed; its ids are the seeds as text.
    """
    if name in PAINTED:
        if listing is not None:
            raise InputError(f"{name}: no list of pictures ({listing}); its scenes go by seeds")
        return open_painted(name, seeds, side)
    if name not in LAYOUTS:
        raise InputError(f"no data set {name!r}; there is: {', '.join(NAMES)}")
    layout = LAYOUTS[name]
    split = short_name(layout, split)
    if root is None:
        raise InputError(f"{name}: no folder given; {layout.expected(split)}")
    root = find_root(Path(root).expanduser(), layout, split)
    title = f"{name} {split}"
    if listing is None:
        listing, sizes = find_listing(layout, root, split)
    else:
        listing, sizes = Path(listing).expanduser(), ()               # whole if its files are there
        title += f" by {listing}"
    listed = list_ids(listing, layout, root, split)
    files = functools.partial(paths_of, layout, root, split)
    ids = whole(title, listing, listed, files, sizes, partial, layout.expected(split))
    file_names, classes = zip(*layout.pairs)
    things = tuple(wording for spelt, wording in layout.pairs if spelt in layout.things)
    size = len(listed) if len(listed) in sizes or not sizes else sizes[-1]
    reader = functools.partial(read_files, layout, root, split)
    return Dataset(name, classes, file_names, layout.background, things, ids, reader, split,
                   str(listing), size, files)


def open_painted(name, seeds, side) -> Dataset:
    try:
        ids = tuple(str(index(seed)) for seed in seeds)
    except TypeError:
        ids = ()
    if not ids or any(i.startswith("-") for i in ids):
        raise InputError(f"{name}: seeds {seeds!r}; give one or more whole numbers from 0, such as range(1000, 1200)")
    if side < 1:
        raise InputError(f"{name}: pictures of {side} x {side} pixels; give a side of 1 or more")
    painter, classes, things = PAINTED[name]
    reader = functools.partial(read_painted, painter, side)
    return Dataset(name, classes, classes, True, things, ids, reader, size=len(ids))


def read_painted(painter, side, id):
    scene = painter(int(id), side)
    return scene.image, scene.labels.copy()                                 # Pillow's own memory is read-only


def paths_of(layout: Layout, root: Path, split: str, id: str) -> tuple[Path, Path]:
    """Of a picture and its label map."""
    places = dict(split=split, id=id, city=id.partition("_")[0])
    return root / layout.pictures.format(**places), root / layout.labels.format(**places)


def read_files(layout: Layout, root: Path, split: str, id: str) -> tuple[Image.Image, np.ndarray]:
    picture_path, path = paths_of(layout, root, split, id)
    picture, label = load(picture_path, layout, split), load(path, layout, split)
    if label.mode not in ("P", "L"):
        raise InputError(f"{path}: a label map of mode {label.mode}; it must be P or L, 8 bits, one id per pixel ({layout.hint})")
    if label.size != picture.size:
        raise InputError(f"{path}: {label.width} x {label.height} pixels, but its picture {picture.width} x {picture.height}; "
                         "take both from the same copy of the data set, not resized or rotated")
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
        raise InputError(f"{path}: not a picture that Pillow can read; copy or unpack it again") from None
    except Exception as e:                              # Pillow's decoders raise OSError, SyntaxError, struct.error, ...
        raise InputError(f"{path}: cannot be read ({getattr(e, 'strerror', 0) or e}); copy or unpack it again") from e


def truth_of(values: np.ndarray, layout: Layout, path: Path) -> np.ndarray:
    """(H, W) uint8 pixel values of a file -> (H, W) uint8 labels: the only place where numbers change their meaning."""
    table = np.full(256, -1, np.int16)                                      # -1: a value this data set does not have
    table[list(layout.values)] = list(layout.values.values())
    table[IGNORE] = IGNORE
    truth = table[values]
    if truth.min() < 0:
        raise InputError(f"{path}: pixel value {values[truth < 0].max()}, but its values are 0 to {max(layout.values)} and {IGNORE}; "
                         f"is it of another data set or numbering? ({layout.hint})")
    return truth.astype(np.uint8)
