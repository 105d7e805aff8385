"""How each data set lies on disk: its files, its classes and what its pixel values mean.

The label files number their classes in five ways, with shifts, gaps and several meanings of 0. All
of it is settled by one table per data set, `Layout.values`; datasets.py applies it.
"""
from dataclasses import dataclass, field, replace
from pathlib import Path

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

IGNORE = 255
Sizes = dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class Layout:
    """One data set on disk.

    Paths are relative to the data set's root; {split}, {id} and {city} (the id's start) vary.

    home: where the root usually lies below a data folder
    splits: a text file of ids, or a folder whose pictures all count
    pairs: (name in the data set's files, wording for the prompt) of each class
    things: names, as in the files, of countable objects
    values: pixel value -> our label, for every value besides 255 that the files may hold
    background: does label 0 count as a class?
    hint: where the files come from
    sizes: split -> how many pictures it may have when it is whole
    lists: text files of ids that replace `splits` where they exist, with list_sizes
    """
    home: str
    pictures: str
    labels: str
    splits: str
    pairs: tuple[tuple[str, str], ...]
    things: set[str]
    values: dict[int, int]
    background: bool
    hint: str
    sizes: Sizes
    lists: tuple[str, ...] = ()
    list_sizes: Sizes = field(default_factory=dict)

    def expected(self, split: str) -> str:
        """Says in an error which files are expected, and where they come from."""
        patterns = [self.pictures, self.labels]
        if self.splits.endswith(".txt"):
            patterns.append(self.splits)
        files = [p.format(split=split, city="*", id="*") for p in patterns]
        return f"expected in {Path(self.home).name}: {', '.join(files)} ({self.hint})"


def same(n: int) -> dict[int, int]:
    """Labels 1 to n, as they are in the files."""
    return {i: i for i in range(1, n + 1)}


def file_names(pairs: tuple[tuple[str, str], ...]) -> set[str]:
    return {name for name, _ in pairs}


VOC2012 = Layout(
    home="VOCdevkit/VOC2012",
    pictures="JPEGImages/{id}.jpg",
    labels="SegmentationClass/{id}.png",
    splits="ImageSets/Segmentation/{split}.txt",
    pairs=VOC,
    things=file_names(VOC),
    values={0: 0, **same(20)},
    background=True,
    hint="all are in the VOC 2012 trainval archive",
    sizes={"train": (1464,), "val": (1449,), "trainval": (2913,)})

CONTEXT60 = Layout(
    home="VOCdevkit/VOC2010",
    pictures="JPEGImages/{id}.jpg",
    labels="SegmentationClassContext/{id}.png",
    splits="ImageSets/SegmentationContext/{split}.txt",
    pairs=CONTEXT,
    things=CONTEXT_THINGS,
    values={0: 0, **same(59)},
    background=True,
    hint="labels and lists are made by mmsegmentation's tools/dataset_converters/pascal_context.py",
    sizes={"train": (4996, 4998), "val": (5104, 5105)})             # the converter's, the authors'

COCO_SIZES: Sizes = {"train": (118287,), "val": (5000,)}
COCO_OBJECT = Layout(
    home="coco_stuff164k",
    pictures="images/{split}2017/{id}.jpg",
    labels="annotations/{split}2017/{id}_instanceTrainIds.png",
    splits="images/{split}2017",
    pairs=COCO,
    things=file_names(COCO),
    values={0: 0, **same(80)},
    background=True,
    hint="labels are made of COCO-Stuff's by GroupViT's convert_dataset/convert_coco_object.py",
    sizes=COCO_SIZES)

# The "curated" pictures of COCO-Stuff, on which DiffSeg, STEGO, PiCIE and IIC measure: in the data
# set's folder, or beside it.
CURATED = "curated/{split}2017/Coco164kFull_Stuff_Coarse_7.txt"
COCOSTUFF27 = replace(
    COCO_OBJECT,
    labels="annotations/{split}2017/{id}.png",
    pairs=COCOSTUFF,
    things=set(COCOSTUFF_THINGS),
    values=dict(enumerate(coarse_labels())),
    background=False,
    hint="labels are those of stuffthingmaps_trainval2017.zip, values 0 to 181 and 255; "
         "not labelTrainIds",
    lists=(CURATED, f"../{CURATED}"),
    list_sizes={"train": (49629,), "val": (2175,)})

CITYSCAPES27 = Layout(
    home="cityscapes",
    pictures="leftImg8bit/{split}/{city}/{id}_leftImg8bit.png",
    labels="gtFine/{split}/{city}/{id}_gtFine_labelIds.png",
    splits="leftImg8bit/{split}",
    pairs=CITYSCAPES,
    things=CITYSCAPES_THINGS,
    values={i: IGNORE if i < 7 else i - 6 for i in range(34)},
    background=False,
    hint="the archives leftImg8bit_trainvaltest and gtFine_trainvaltest, unpacked side by side; "
         "not labelTrainIds",
    sizes={"train": (2975,), "val": (500,), "test": (1525,)})

LAYOUTS = {
    "voc": VOC2012,
    # mmsegmentation reads 59 classes with reduce_zero_label: 0 becomes 255, i becomes i - 1. Here 0
    # becomes 255 and i stays i, and nothing shifts again.
    "context59": replace(CONTEXT60, values={0: IGNORE, **same(59)}, background=False),
    "context60": CONTEXT60,
    "coco-object": COCO_OBJECT,
    "cityscapes27": CITYSCAPES27,
    "cocostuff27": COCOSTUFF27}
