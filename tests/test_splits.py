"""Splits at their real sizes (every file a link to one small picture): which lists count, and what
is not whole is refused."""

import functools
import json
import os
import re

import numpy as np
import pytest
from PIL import Image

import minifaseg
from minifaseg import InputError
from minifaseg.evaluate.command import main
from minifaseg.evaluate.datasets import open_dataset
from minifaseg.evaluate.table import markdown

load_once = functools.cache(minifaseg.load)
CURATED = "curated/val2017/Coco164kFull_Stuff_Coarse_7.txt"
# data set: root below a data folder, picture, label map, list (None: the folder), pictures of val
PLACES = {
    "voc": (
        "VOCdevkit/VOC2012",
        "JPEGImages/{}.jpg",
        "SegmentationClass/{}.png",
        "ImageSets/Segmentation/val.txt",
        1449,
    ),
    "context60": (
        "VOCdevkit/VOC2010",
        "JPEGImages/{}.jpg",
        "SegmentationClassContext/{}.png",
        "ImageSets/SegmentationContext/val.txt",
        5104,
    ),
    "coco-object": (
        "coco_stuff164k",
        "images/val2017/{}.jpg",
        "annotations/val2017/{}_instanceTrainIds.png",
        None,
        5000,
    ),
    "cocostuff27": (
        "coco_stuff164k",
        "images/val2017/{}.jpg",
        "annotations/val2017/{}.png",
        None,
        5000,
    ),
    "cityscapes27": (
        "cityscapes",
        "leftImg8bit/val/bonn/{}_leftImg8bit.png",
        "gtFine/val/bonn/{}_gtFine_labelIds.png",
        None,
        500,
    ),
}
PLACES["context59"] = (*PLACES["context60"][:4], 5105)


@pytest.fixture
def put(tmp_path):
    """put(name, count) -> (root, ids) of a data set with that many pictures."""
    Image.new("RGB", (4, 3), (200, 60, 60)).save(tmp_path / "picture.jpg")
    Image.fromarray(np.full((3, 4), 8, np.uint8)).save(tmp_path / "label.png")

    def put(name, count=None):
        home, picture, label, listing, usual = PLACES[name]
        root, ids = (
            tmp_path / "data" / home,
            [f"bonn_{i:06}" for i in range(usual if count is None else count)],
        )
        for place, source in ((picture, "picture.jpg"), (label, "label.png")):
            (root / place).parent.mkdir(parents=True)
            for id in ids:
                os.symlink(tmp_path / source, root / place.format(id))
        if listing:
            write_list(root / listing, ids)
        return root, ids

    return put


def write_list(path, ids):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{id}\n" for id in ids))


def refused(act, *words):
    with pytest.raises(InputError) as e:
        act()
    text = str(e.value)
    assert "\n" not in text and all(str(word) in text for word in words), text


@pytest.fixture
def evaluate(capsys, monkeypatch):
    """evaluate("voc", ...) -> (exit code, stdout, lines on stderr but for the bar) of the
    command."""
    monkeypatch.setattr(minifaseg, "load", load_once)

    def evaluate(*arguments):
        with pytest.raises(SystemExit) as e:
            main(
                [
                    *map(str, arguments),
                    "--weights",
                    "cartoon",
                    "--device",
                    "cpu",
                    "--method",
                    "faseg:flip=False",
                ]
            )
        out, err = capsys.readouterr()
        return (
            e.value.code,
            out,
            [line for line in re.split("[\r\n]", err) if line.strip() and "picture/s" not in line],
        )

    return evaluate


# Whole or not


@pytest.mark.parametrize("name", ["context59", *(pytest.param(name, marks=pytest.mark.slow)
                                               for name in ("context60", "coco-object", "cocostuff27"))])
def test_the_number_of_a_whole_split_is_known(put, name):
    root, ids = put(name)
    assert open_dataset(name, root).ids == tuple(ids)
    picture, listing = PLACES[name][1], PLACES[name][3]
    (root / picture.format(ids[0])).unlink()
    says = (
        f"1 of {len(ids)} picture files"
        if listing
        else f"has {len(ids) - 1} pictures, the whole split {len(ids)}"
    )
    refused(lambda: open_dataset(name, root), f"{name} val is not whole", says)


@pytest.mark.parametrize("name", ["voc", "cityscapes27"])
def test_a_whole_split_is_taken_and_every_way_to_lack_something_refused(put, name):
    root, ids = put(name)
    count, label, listing = PLACES[name][4], PLACES[name][2], PLACES[name][3]
    data = open_dataset(name, root)
    assert data.ids == tuple(ids) and data.size == count

    (root / label.format(ids[7])).unlink()
    refused(
        lambda: open_dataset(name, root),
        f"{name} val is not whole",
        f"1 of {count} label files",
        label.format(ids[7]),
        "--partial",
    )
    part = open_dataset(name, root, partial=True)
    assert len(part.ids) == count - 1 and ids[7] not in part.ids and part.size == count

    if listing:  # the list itself is short; or the archive half unpacked
        write_list(root / listing, ids[8:])
        refused(
            lambda: open_dataset(name, root),
            listing,
            f"has {count - 8} pictures",
            str(count),
            "--partial",
        )
        write_list(root / listing, ids)
    for id in ids[: count // 2]:
        (root / PLACES[name][1].format(id)).unlink()
    words = (
        [f"{count // 2} of {count} picture files"]
        if listing
        else [f"has {count - count // 2} pictures"]
    )
    refused(lambda: open_dataset(name, root), *words, "--partial")
    assert len(open_dataset(name, root, partial=True).ids) == count - count // 2


def test_both_lists_of_context_are_whole_and_no_other(put):
    root, ids = put("context60", 5106)
    listing = root / PLACES["context60"][3]
    for count, whole in ((5106, False), (5105, True), (5104, True), (5103, False)):
        write_list(listing, ids[:count])
        if whole:
            assert open_dataset("context60", root).size == count
        else:
            refused(
                lambda: open_dataset("context60", root),
                f"has {count} pictures, the whole split 5104 or 5105",
            )


def test_train_and_trainval_have_their_own_numbers(put):
    root, ids = put("voc", 2913)
    for split, count in (("train", 1464), ("trainval", 2913)):
        write_list(root / f"ImageSets/Segmentation/{split}.txt", ids[:count])
        assert len(open_dataset("voc", root, split=split).ids) == count
    refused(lambda: open_dataset("voc", root), "has 2913 pictures, the whole split 1449")


def test_a_split_that_nobody_counted_is_whole_if_its_files_are_there(put):
    root, ids = put("voc", 5)
    write_list(root / "ImageSets/Segmentation/mine.txt", ids)
    assert open_dataset("voc", root, split="mine").ids == tuple(ids)
    (root / "JPEGImages" / f"{ids[0]}.jpg").unlink()
    refused(lambda: open_dataset("voc", root, split="mine"), "1 of 5 picture files")


# Lists


@pytest.mark.parametrize("beside", [False, True])
def test_the_curated_list_of_cocostuff_comes_first(put, beside):
    root, ids = put("cocostuff27")
    assert len(open_dataset("cocostuff27", root).ids) == 5000
    curated = (root.parent if beside else root) / CURATED
    write_list(curated, ids[::-2][:2175])
    data = open_dataset("cocostuff27", root)
    assert (
        data.ids == tuple(ids[::-2][:2175]) and data.listing == str(curated) and data.size == 2175
    )
    assert open_dataset("cocostuff27", root, listing=root / "images/val2017").ids == tuple(
        ids
    )  # all of them, all the same
    write_list(curated, ids[:2000])
    refused(
        lambda: open_dataset("cocostuff27", root),
        curated,
        "has 2000 pictures, the whole split 2175",
    )


def test_a_list_by_hand_in_the_words_of_other_tools(put, tmp_path):
    root, ids = put("cityscapes27", 4)
    lines = [
        ids[2],
        f"leftImg8bit/val/bonn/{ids[0]}_leftImg8bit.png\tgtFine/val/bonn/{ids[0]}_gtFine_labelIds.png",
        "",
        f"bonn\\{ids[1]}",
    ]
    (tmp_path / "mine.txt").write_text("\r\n".join(lines))
    for given in (tmp_path / "mine.txt", str(tmp_path / "mine.txt")):
        data = open_dataset("cityscapes27", root, listing=given)
        assert data.ids == (ids[2], ids[0], ids[1]) and data.size == 3


def test_lists_that_are_refused(put, tmp_path):
    root, ids = put("voc", 3)
    mine = tmp_path / "mine.txt"

    def given(*lines):
        write_list(mine, lines)
        return lambda: open_dataset("voc", root, listing=mine)

    refused(given(ids[0], ids[1], ids[0]), mine, repr(ids[0]), "twice")
    refused(given(f"{ids[0]} -1", f"{ids[1]}  1"), mine, "-1", "mark")
    refused(
        given(ids[0], "2007_000033"),
        f"voc val by {mine}",
        "1 of 2 picture files",
        "2007_000033.jpg",
    )
    refused(given(""), mine, "no pictures")
    refused(
        lambda: open_dataset("voc", root, listing=tmp_path / "nowhere.txt"),
        "nowhere.txt",
        "no such list",
    )
    refused(lambda: open_dataset("cartoon", listing=mine), "cartoon", "no list")


def test_splits_by_the_names_of_their_files(put):
    root, _ = put("coco-object")
    assert open_dataset("coco-object", root, split="val2017").split == "val"
    for split in ("train2017", "test"):
        with pytest.raises(InputError) as e:
            open_dataset("coco-object", root, split=split)
        assert "20172017" not in str(e.value) and "there is: val" in str(e.value)
    with pytest.raises(InputError) as e:
        open_dataset("coco-object", split="val2017")
    assert "images/val2017/*.jpg" in str(e.value) and "20172017" not in str(e.value)
    assert len(open_dataset("voc", put("voc")[0], split="val.txt").ids) == 1449


# The command and its table


def test_the_command_refuses_half_a_split_and_the_table_says_what_it_is_of(put, evaluate, tmp_path):
    root, ids = put("voc")
    (tmp_path / "names.json").write_text(json.dumps({id: ["cat"] for id in ids}))
    for id in ids[3:]:
        (root / "SegmentationClass" / f"{id}.png").unlink()
    asked = ["voc", "--root", root, "--candidates", tmp_path / "names.json"]
    code, out, lines = evaluate(*asked)
    assert (
        code == 1
        and not out
        and len(lines) == 1
        and "1446 of 1449 label files" in lines[0]
        and "--partial" in lines[0]
    )
    code, out, lines = evaluate(*asked, "--partial", "--json", tmp_path / "x.json")
    assert (
        code == 0
        and out.startswith("voc, val, a part: 3 of 1449 pictures (")
        and "published |" not in out
        and not lines
    )
    assert (
        json.loads((tmp_path / "x.json").read_text()).items()
        >= {"pictures": 3, "of": 1449, "failed": 0, "split": "val"}.items()
    )
    write_list(tmp_path / "two.txt", ids[:2])
    code, out, lines = evaluate(*asked, "--list", tmp_path / "two.txt")
    assert (
        code == 0
        and out.startswith(f"voc, val, 2 pictures ({tmp_path / 'two.txt'}), ")
        and "published |" not in out
    )


def test_when_every_label_file_is_missing_it_is_said_once(put, evaluate):
    root, ids = put("voc")
    for id in ids:
        (root / "SegmentationClass" / f"{id}.png").unlink()
    for more in ([], ["--partial"]):
        code, out, lines = evaluate("voc", "--root", root, *more)
        assert (
            code == 1
            and not out
            and len(lines) == 1
            and "all of 1449 label files are missing" in lines[0]
        )


@pytest.mark.parametrize(
    "count, says", [(30, "none of the first 10 pictures"), (4, "none of the 4 pictures")]
)
def test_what_is_wrong_with_every_picture_is_said_once_and_nothing_is_printed_as_zero(
    put, evaluate, tmp_path, count, says
):
    root, ids = put("voc", count)
    Image.new("RGB", (4, 3), (128, 0, 0)).save(
        tmp_path / "label.png"
    )  # coloured by VOC's palette: the ids are gone
    code, out, lines = evaluate("voc", "--root", root, "--partial")
    assert (
        code == 1
        and not out
        and len(lines) == 1
        and says in lines[0]
        and "mode RGB" in lines[0]
        and f"{ids[0]}.png" in lines[0]
    )


def test_failures_before_the_first_success_are_all_told(put, evaluate, tmp_path):
    root, ids = put("voc", 5)
    (tmp_path / "names.json").write_text(json.dumps({id: ["cat"] for id in ids}))
    for id in (ids[0], ids[1], ids[4]):
        path = root / "JPEGImages" / f"{id}.jpg"
        path.unlink()
        path.write_bytes(b"no picture")
    code, out, lines = evaluate(
        "voc", "--root", root, "--partial", "--candidates", tmp_path / "names.json"
    )
    assert code == 1 and "a part: 2 of 1449 pictures" in out and "3 left out" in out
    assert [line.split(":")[0] for line in lines] == [
        ids[0],
        ids[1],
        ids[4],
        "3 of 5 pictures left out, see above",
    ]


@pytest.mark.parametrize("limit", ["0", "-5", "many"])
def test_no_pictures_and_less_are_no_limit(evaluate, limit):
    code, out, lines = evaluate("cartoon", f"--limit={limit}")
    assert code == 2 and not out and "--limit" in lines[-1]


def test_published_numbers_stand_beside_the_pictures_that_they_are_of():
    numbers = {
        "miou": 0.5,
        "miou_absent_zero": 0.5,
        "pixel_accuracy": 0.5,
        "things": 0.5,
        "per_class": {},
    }
    report = {"weights": "x", "failed": 0, "methods": {"faseg": numbers}}
    for name, candidates, right, wrong in (
        ("cocostuff27", "none", 2175, 5000),
        ("voc", "clip", 1449, 724),
        ("context60", "clip", 5105, 5103),
        ("coco-object", "clip", 5000, 2175),
        ("cityscapes27", "none", 500, 499),
    ):
        report |= {"dataset": name, "candidates": candidates}
        assert ", published*" in markdown(report | {"pictures": right})
        other = markdown(report | {"pictures": wrong})
        assert ", published*" not in other and f"published figures on {name} are of other" in other
