"""python -m minifaseg.evaluate reproduce: a made-up VOC of six painted pictures, the releases' lists in their own forms, two files."""
import csv
import json
import os
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import minifaseg
from minifaseg.cartoon.painter import paint
from minifaseg.evaluate import published, released_lists, reproduce, reproduce_report
from minifaseg.evaluate.datasets import open_dataset
from minifaseg.evaluate.metrics import confusion, summary
from minifaseg.evaluate.protocols import MEAN, PROTOCOLS
from minifaseg.images import mask_image

ROOT = Path(__file__).parents[1]
SHARED = ("cat", "dog", "bird", "cow", "car", "bus", "boat")             # classes of both worlds


def voc_scenes(n):
    """The first scenes that show a class of VOC: {id: scene}."""
    found, seed = {}, 0
    while len(found) < n:
        scene = paint(seed, 128)
        if set(scene.classes) & set(SHARED):
            found[f"2007_{seed:06d}"] = scene
        seed += 1
    return found


@pytest.fixture(scope="module")
def scenes():
    return voc_scenes(6)


def truth_of(scene):
    """Its labels by VOC's numbers: all else is background."""
    from minifaseg.cartoon.words import CLASSES
    voc = open_voc_classes()
    table = np.array([0, *(voc.index(c) + 1 if c in SHARED else 0 for c in CLASSES)], np.uint8)
    return table[scene.labels]


def open_voc_classes():
    from minifaseg.evaluate.class_names import VOC
    return [wording for _, wording in VOC]


@pytest.fixture(scope="module")
def data(scenes, tmp_path_factory):
    """The data folder."""
    folder = tmp_path_factory.mktemp("data")
    root = folder / "VOCdevkit/VOC2012"
    for place in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (root / place).mkdir(parents=True)
    for id, scene in scenes.items():
        scene.image.save(root / f"JPEGImages/{id}.jpg", quality=95)
        mask_image(truth_of(scene)).save(root / f"SegmentationClass/{id}.png")
    (root / "ImageSets/Segmentation/val.txt").write_text("".join(f"{id}\n" for id in scenes))
    return folder


@pytest.fixture(scope="module")
def releases(scenes, tmp_path_factory):
    """Clones as the releases lay them out; the last picture is in no list, and each has a word that is no class."""
    folder = tmp_path_factory.mktemp("releases")
    ids = list(scenes)
    seen = {id: [c for c in SHARED if c in scene.classes] for id, scene in scenes.items()}
    faseg = {id: " ".join([*seen[id], "sky"]) for id in ids[:-1]}
    captions = dict.fromkeys(ids, "a photo of a meadow")
    theirs = {"synonym_matching": {}, "image_similarity": {}, "text_similarity": {}}
    for id in ids[:-1]:
        path = f"/data/VOCdevkit/VOC2012/JPEGImages/{id}.jpg"
        theirs["synonym_matching"][path] = ["people"]
        theirs["image_similarity"][path] = [{"bus": "buses"}.get(c, c) for c in seen[id]]
        theirs["text_similarity"][path] = seen[id][:1]
    for place, content in (("FA-Seg/json/candidate_classes_voc.json", faseg), ("FA-Seg/json/caption_voc_blip1.json", captions),
                           ("DiffSegmenter/dataset/voc12/predict_syn_txt_0.8_img_0.97.json", theirs)):
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        (folder / place).write_text(json.dumps(content))
    return folder


@pytest.fixture
def here(capsys, data, tmp_path):
    """here(*options) -> (exit code, stdout, stderr) of the command on that data, with the cartoon model."""
    def run(*options, out=tmp_path / "out", partial=True):
        capsys.readouterr()
        with pytest.raises(SystemExit) as e:
            reproduce.main(["--root", str(data), "--weights", "cartoon", "--device", "cpu", "--out", str(out),
                            *(["--partial"] if partial else []), *map(str, options)])
        return e.value.code, *capsys.readouterr()
    return run


# ---- the command ---------------------------------------------------------------------------------
def test_the_first_answer_without_lists(here, data, scenes, tmp_path):
    """Each figure is what the package's public functions give when they are called by hand."""
    code, out, err = here("--rows", "faseg,ours", "--data", "voc")
    assert code == 0, err
    report = json.loads((tmp_path / "out/reproduce.json").read_text())
    assert (tmp_path / "out/reproduce.md").read_text() == out

    model = minifaseg.load("cartoon", "cpu")
    dataset = open_dataset("voc", data, partial=True)
    matrices = []
    for id in scenes:
        image, truth = dataset.read(id)
        classes = [c for c in dataset.classes if c in {dataset.classes[i - 1] for i in np.unique(truth) if 0 < i < 255}]
        labels = minifaseg.segment(image, classes, model, threshold=0.55).labels
        to_voc = np.array([0, *(dataset.classes.index(c) + 1 for c in classes)])
        matrices.append(confusion(truth, to_voc[labels], 21))
    expected = summary(sum(matrices), dataset)
    for row in report["rows"]:
        assert row["measured"]["miou"] == pytest.approx(expected["miou"], abs=1e-12)
        assert row["measured"]["per_class"]["cat"] == pytest.approx(expected["per_class"]["cat"], nan_ok=True)
        assert row["pictures"] == 6 and row["of"] == 1449 and row["seconds_a_picture"] > 0
        assert row["measured"]["ci"][0] <= row["measured"]["miou"] <= row["measured"]["ci"][1]
    faseg, ours = report["rows"]
    assert faseg["verdict"] == "no figure of this data set is published" and ours["published"] is None
    assert report["files"][0]["is"] == "unknown" and len(report["files"][0]["sha256"]) == 64
    assert report["weights_are"] == "not known by checksum" and report["dtype"] == "float32" and "cores" in report["device"]


def test_the_releases_lists_are_used_and_their_gaps_are_said(here, releases, scenes, tmp_path):
    code, out, err = here("--rows", "faseg,diffsegmenter,iseg", "--data", "voc", "--releases", releases)
    assert code == 0, err
    last = list(scenes)[-1]
    assert out.count(f"1 pictures are not listed, so nothing is looked for in them: {last}") == 3
    assert out.count("words that are no class, left out: 'sky' (5 times)") == 2            # FA-Seg's list: FA-Seg, iSeg
    report = json.loads((tmp_path / "out/reproduce.json").read_text())
    faseg, diffsegmenter, iseg = report["rows"]
    differing = {row["row"]: [c["condition"] for c in row["conditions"] if c["differs"]] for row in report["rows"]}
    assert differing == {"faseg": ["weights", "hyperparameters"], "diffsegmenter": ["captions", "weights", "hyperparameters"],
                         "iseg": ["classes", "weights", "hyperparameters"]}
    assert diffsegmenter["published"] == 60.1 and diffsegmenter["verdict"] == "no verdict: other captions, weights, hyperparameters"
    assert iseg["published"] == 68.2 and "68.2" in out
    assert "the best of 45 on these pictures" in diffsegmenter["threshold"]
    lists = json.loads((tmp_path / "out/lists/diffsegmenter-voc.json").read_text())
    assert lists[last] == [] and all("people" not in names for names in lists.values())
    assert lists == json.loads((tmp_path / "out/lists/faseg-voc.json").read_text())         # "buses" is the bus, "sky" is none

    header, line, *rows = [x for x in out.split("## To post")[1].strip().splitlines() if x.startswith("|")][:5]
    assert len(rows) == 3 and all(row.count("|") == header.count("|") for row in rows)


def test_a_stopped_run_goes_on(here, tmp_path):
    code, out, err = here("--rows", "ours", "--data", "voc")
    parts = (tmp_path / "out/ours-voc/part-0.jsonl").read_text().splitlines()
    (tmp_path / "out/ours-voc/part-0.jsonl").write_text("\n".join(parts[:4]) + "\n")
    again = here("--rows", "ours", "--data", "voc")
    assert again[0] == 0 and "4 of 6 pictures were done before" in again[2]
    assert json.loads((tmp_path / "out/ours-voc/seconds.json").read_text())["computed"] == 6 + 2
    figures = [[cell for cell in text.splitlines() if cell.startswith("| FA-Seg")][0] for text in (out, again[1])]
    assert figures[0] == figures[1]


def test_releases_without_the_list_are_told_of(here, tmp_path):
    code, out, err = here("--rows", "iseg", "--data", "voc", "--releases", tmp_path, "--limit", 2)
    assert code == 0 and f"no file FA-Seg/json/candidate_classes_voc.json under {tmp_path}, so true classes instead" in out


def test_limit_draws_the_same_pictures_for_everybody(data):
    dataset = open_dataset("voc", data, partial=True)
    few = reproduce.drawn(dataset, 3)
    assert few.ids == reproduce.drawn(dataset, 3).ids and len(few.ids) == 3
    assert [id for id in dataset.ids if id in few.ids] == list(few.ids) and few.size == dataset.size == 1449
    assert reproduce.drawn(dataset, 6) is dataset and reproduce.drawn(dataset, None) is dataset


@pytest.mark.parametrize("options, words", [
    (["--rows", "nobody"], "no row 'nobody'; there is: faseg, diffsegmenter, iseg, ours"),
    (["--data", "voc,mars"], "no data set 'mars'"),
    (["--data", "context60"], "SegmentationContext"),
    (["--weights", "none.safetensors"], "none.safetensors: no such file or folder")])
def test_bad_requests_are_one_line(here, options, words):
    code, out, err = here(*options)
    assert code == 1 and out == "" and len(err.splitlines()) == 1 and words in err


def test_a_part_of_a_split_must_be_asked_for(here):
    code, out, err = here("--data", "voc", partial=False)
    assert code == 1 and "1449" in err


def test_what_is_not_there_is_said(here):
    code, out, err = here("--rows", "ours", "--limit", "2")
    assert code == 0
    assert "context60 was not measured: " in out and "coco-object was not measured: " in out


def test_an_unreadable_picture_is_counted(here, data, scenes, tmp_path):
    path = data / f"VOCdevkit/VOC2012/JPEGImages/{next(iter(scenes))}.jpg"
    content = path.read_bytes()
    try:
        path.write_bytes(content[:100])
        code, out, err = here("--rows", "ours", "--data", "voc")
    finally:
        path.write_bytes(content)
    assert code == 1 and "1 pictures left out, which could not be read" in out and "5 of 1,449" in out


@pytest.mark.slow
def test_two_processes_write_one_report(data, tmp_path):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "minifaseg.evaluate", "reproduce",
               "--root", data, "--weights", "cartoon", "--device", "cpu", "--partial", "--rows", "faseg,ours", "--data", "voc", "--out"]
    subprocess.run([*command, tmp_path / "two"], check=True, cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True)
    with pytest.raises(SystemExit):
        reproduce.main([str(x) for x in command[command.index("--root"):]] + [str(tmp_path / "one")])
    one, two = (json.loads((tmp_path / name / "reproduce.json").read_text())["rows"] for name in ("one", "two"))
    assert [row["measured"] for row in one] == [row["measured"] for row in two]


@pytest.mark.filterwarnings("ignore:.*found in sys.modules")
def test_the_command_as_a_user_runs_it(data, tmp_path, monkeypatch, capsys):
    """`python -m minifaseg.evaluate reproduce`, in this process; as processes: test_two_processes_write_one_report."""
    monkeypatch.setattr(sys, "argv", [*map(str, ["evaluate", "reproduce", "--root", data, "--partial", "--weights", "cartoon", "--rows", "ours",
                                                 "--limit", 2, "--out", tmp_path])])
    with pytest.raises(SystemExit) as end:
        runpy.run_module("minifaseg.evaluate", run_name="__main__")
    assert not end.value.code
    assert sorted(p.name for p in tmp_path.glob("reproduce.*")) == ["reproduce.json", "reproduce.md"] and "2 of 1,449" in capsys.readouterr().out


# ---- verdicts ------------------------------------------------------------------------------------
def outcome(name="diffsegmenter", miou=0.601, pictures=1449, classes="predicted: list", captions="BLIP: x", ci=(0.55, 0.65)):
    conditions = reproduce_report.Conditions(pictures, 1449, "voc val (val.txt)", classes, captions, "0.50")
    measured = {"miou": miou, "miou_absent_zero": miou, "pixel_accuracy": 0.9, "ci": list(ci)}
    return reproduce_report.Outcome(PROTOCOLS[name], "voc", conditions, measured, 0, 16.0, {}, [])


SD15 = {"weights_are": "Stable Diffusion 1.5", "weights": "sd15", "dtype": "float16"}


@pytest.mark.parametrize("change, expected", [
    ({}, "agrees (within 1)"),
    ({"miou": 0.6105}, "agrees (within 1)"),
    ({"miou": 0.6115}, "does NOT agree (within 1)"),
    ({"miou": 0.58, "pictures": 100}, "agrees so far (within 1)"),
    ({"miou": 0.30, "pictures": 100, "ci": (0.2, 0.4)}, "does NOT agree so far (within 1)"),
    ({"classes": "true classes"}, "no verdict: other classes"),
    ({"captions": "none", "classes": "all classes of the data set"}, "no verdict: other classes, captions")])
def test_verdicts(change, expected):
    assert reproduce_report.verdict(outcome(**change), SD15) == expected


def test_other_weights_have_no_verdict():
    unknown = SD15 | {"weights_are": "not known by checksum"}
    assert reproduce_report.verdict(outcome(), unknown) == "no verdict: other weights"
    assert reproduce_report.verdict(outcome("iseg", classes="predicted: list"), SD15) == "no verdict: other classes, weights"


def test_the_published_figures_are_those_of_the_table():
    """Read from the CSV once more, by hand."""
    with open(published.FILE, newline="") as file:
        rows = {(row["method"], row["data"]): float(row["value"]) for row in csv.DictReader(file) if row["metric"] == "miou"}
    expected = {"diffsegmenter": (60.1, 27.5, 37.9), "iseg": (68.2, 30.9, 38.4)}
    for name, values in expected.items():
        for data, value in zip(("voc", "context60", "coco-object"), values):
            assert PROTOCOLS[name].published(data) == value == rows[PROTOCOLS[name].figure, data]
    assert PROTOCOLS["faseg"].published(MEAN) == 43.8 and PROTOCOLS["faseg"].published("voc") is None
    assert "2-rectified-flow" in PROTOCOLS["faseg"].weights


def test_the_mean_of_three_is_set_against_the_published_mean():
    from dataclasses import replace
    three = [replace(outcome("faseg", miou=m), dataset=d) for d, m in (("voc", 0.6), ("context60", 0.3), ("coco-object", 0.36))]
    lines = reproduce_report.main_table(three, SD15)
    assert lines[-1].startswith("| FA-Seg, as its release does it | mean of the three |  | 43.8 | 42.0 | -1.8 |")
    assert len(reproduce_report.main_table(three[:2], SD15)) == 4                           # titles, line, two rows: no mean of two


# ---- the releases' lists -------------------------------------------------------------------------
@pytest.mark.parametrize("text, expected", [
    ("potted plant tv monitor cat", ["pottedplant", "tvmonitor", "cat"]),
    ("pottedplant, tvmonitor", ["pottedplant", "tvmonitor"]),
    ("people buses plane plant monitor table", ["person", "bus", "aeroplane", "pottedplant", "tvmonitor", "diningtable"]),
    ("", [])])
def test_names_of_voc(data, text, expected):
    known = released_lists.class_names(open_dataset("voc", data, partial=True))
    assert released_lists.classes_in([text], known) == (expected, [])


def test_the_longest_name_is_meant():
    from minifaseg.evaluate.class_names import COCO, CONTEXT
    from minifaseg.evaluate.datasets import Dataset
    coco = Dataset("coco-object", tuple(w for _, w in COCO), tuple(f for f, _ in COCO), True, (), (), None)
    known = released_lists.class_names(coco)
    assert released_lists.classes_in(["bear teddy bear hot dog dog", "sofa airplane"], known)[0] == [
        "bear", "teddy bear", "hot dog", "dog", "couch", "airplane"]
    context = Dataset("context60", tuple(w for _, w in CONTEXT), tuple(f for f, _ in CONTEXT), True, (), (), None)
    known = released_lists.class_names(context)
    assert released_lists.classes_in(["bed bedclothes bed clothes table"], known)[0] == ["bed", "bedclothes", "table"]


@pytest.mark.parametrize("whose, content, words", [
    ("faseg", {"x": 3}, "picture 'x' has no text of names"),
    ("faseg", {"000000000139": "cat"}, "lists none of the 6 pictures of voc"),
    ("diffsegmenter", {"image_similarity": {}}, "has no list 'text_similarity'")])
def test_lists_of_other_things_are_refused(data, tmp_path, whose, content, words):
    path = tmp_path / released_lists.PLACES[whose, "voc"]
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(content))
    with pytest.raises(minifaseg.InputError, match=words):
        released_lists.read(whose, open_dataset("voc", data, partial=True), tmp_path)


def test_a_list_that_is_not_there(data, tmp_path):
    assert released_lists.read("faseg", open_dataset("voc", data, partial=True), tmp_path) is None
    assert released_lists.read("", open_dataset("voc", data, partial=True), tmp_path) is None
