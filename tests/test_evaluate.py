"""The bench: metrics against torchmetrics and by hand, rows, resuming after a kill, several processes, and the command as a user runs it."""
import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import minifaseg
from minifaseg import InputError
from minifaseg.cartoon.painter import paint
from minifaseg.cartoon.words import CLASSES
from minifaseg.evaluate.candidates import Candidates, Captions
from minifaseg.evaluate.command import main
from minifaseg.evaluate.datasets import Dataset, open_dataset
from minifaseg.evaluate.metrics import confusion, iou, match, summary
from minifaseg.evaluate.results_folder import Results
from minifaseg.evaluate.rows import make_row, make_rows, parse_sweep
from minifaseg.evaluate.run import evaluate
from minifaseg.evaluate.table import as_csv, as_json, markdown, plot

ROOT = Path(__file__).parents[1]
CARTOON = ["cartoon", "--weights", "cartoon"]
RUN = [sys.executable, "-m", "minifaseg.evaluate", *CARTOON]


@pytest.fixture(scope="module")
def model():
    return minifaseg.load("cartoon", device="cpu")


@pytest.fixture
def here(capsys):
    """here("voc", ...) -> (exit code, stdout, stderr) of the command, in this process."""
    def here(*arguments):
        capsys.readouterr()
        with pytest.raises(SystemExit) as e:
            main([*map(str, arguments)])
        return e.value.code, *capsys.readouterr()
    return here


def world(classes=("a", "b", "c"), background=True, things=("a",)):
    return Dataset("toy", tuple(classes), tuple(classes), background, things, (), None)


def maps(n, size=(40, 30), seed=0, ignore=True):
    rng = np.random.default_rng(seed)
    truth, prediction = rng.integers(0, n, size, dtype=np.uint8), rng.integers(0, n, size, dtype=np.uint8)
    prediction[:20] = truth[:20]
    if ignore:
        truth[rng.random(size) < 0.2] = 255
    return truth, prediction


# ---- metrics ------------------------------------------------------------------------------------------------------------------------
def test_miou_equals_torchmetrics():
    """Global over several pictures, 255 ignored, a class that occurs nowhere dropped."""
    from torchmetrics.classification import MulticlassAccuracy, MulticlassJaccardIndex
    n, total = 5, 0
    theirs = MulticlassJaccardIndex(num_classes=n, ignore_index=255, average=None)
    macro = MulticlassJaccardIndex(num_classes=n, ignore_index=255)
    accuracy = MulticlassAccuracy(num_classes=n, ignore_index=255, average="micro")
    for seed in range(4):
        truth, prediction = maps(4, seed=seed)                              # label 4 is nowhere
        total = total + confusion(truth, prediction, n)
        for metric in (theirs, macro, accuracy):
            metric.update(torch.from_numpy(prediction).long(), torch.from_numpy(truth).long())
    ours = summary(total, world("abcd"))
    assert np.allclose(iou(total)[:4], theirs.compute().numpy()[:4]) and np.isnan(iou(total)[4])
    assert ours["miou"] == pytest.approx(macro.compute().item()) and ours["pixel_accuracy"] == pytest.approx(accuracy.compute().item())
    assert ours["miou_absent_zero"] == pytest.approx(ours["miou"] * 4 / 5)


def test_no_class_is_wrong_for_the_truth_alone():
    """Uncertain pixels (255) count against the true class and against no other; ignored truth counts nowhere."""
    truth, prediction = np.array([[1, 1, 2, 255]], np.uint8), np.array([[1, 255, 2, 1]], np.uint8)
    each = iou(confusion(truth, prediction, 3))
    assert each[1] == 0.5 and each[2] == 1 and np.isnan(each[0])


def test_things_and_backgroundless_sets():
    truth, prediction = maps(4)
    truth[truth == 0] = 255
    m = confusion(truth, prediction, 4)
    got = summary(m, world(background=False))
    assert "background" not in got["per_class"] and got["things"] == got["per_class"]["a"]
    assert got["miou"] == pytest.approx(np.mean([got["per_class"][c] for c in "abc"]))


def test_matching_finds_the_best_pairs():
    """Against every assignment of 4 segments to 3 labels, tried one by one; the segment left over is no class."""
    from itertools import permutations
    rng = np.random.default_rng(0)
    truth, segments = rng.integers(0, 3, (20, 20), dtype=np.uint8), rng.integers(1, 5, (20, 20), dtype=np.uint8)
    got = match(truth, segments, 3)
    best = max(sum(((segments == s) & (truth == t)).sum() for s, t in zip(p, range(3))) for p in permutations(range(1, 5), 3))
    assert (got == truth).sum() == best and (got == 3).any()
    assert np.array_equal(match(truth, truth + 1, 3), truth)


ZEROS = np.zeros((2, 3), int)


@pytest.mark.parametrize("truth, prediction, says", [
    (ZEROS, ZEROS.T, "2 x 3 and 3 x 2"), (ZEROS, ZEROS.ravel(), "2 x 3 and 6"),
    (ZEROS, ZEROS[:, :2], "2 x 3 and 2 x 2"), (ZEROS + 4, ZEROS, "label 4; with the"),
    (ZEROS - 1, ZEROS, "truth with the label -1"), (ZEROS, ZEROS - 1, "prediction with the label -1"),
    (ZEROS, ZEROS + 0.7, "prediction of float64"), (ZEROS + 254, ZEROS, "label 254")])
def test_maps_that_cannot_be_compared_are_refused(truth, prediction, says):
    for compare in (confusion, match):
        with pytest.raises(InputError, match=says):
            compare(truth, prediction, 4)


def test_nothing_counted_is_no_number():
    """No picture, or pictures of nothing but ignored pixels: null in JSON, a dash in the table."""
    everything_ignored = confusion(np.full((5, 5), 255), np.zeros((5, 5), int), 4)
    for matrix in (np.zeros((4, 5), np.int64), everything_ignored):
        m = summary(matrix, world())
        for key in ("miou", "miou_absent_zero", "pixel_accuracy", "things"):
            assert np.isnan(m[key])
        report = {"dataset": "toy", "weights": "x", "candidates": "gt", "pictures": 0, "failed": 0,
                  "methods": {"faseg": m}}
        assert "| faseg | - | - | - | - |" in markdown(report)
        assert json.loads(as_json(report))["methods"]["faseg"]["pixel_accuracy"] is None
    with pytest.raises(InputError, match="5 x 6 for 3 classes, which need 4 x 5"):
        summary(np.zeros((5, 6), np.int64), world())


# ---- rows ---------------------------------------------------------------------------------------------------------------------------
def test_rows_share_what_they_can(model):
    data = open_dataset("cartoon", seeds=range(3))
    rows = make_rows("faseg,faseg:threshold=0.9,faseg:levels=(0,0,0,1);tau=2,faseg:flip=False,iseg", model, data)
    assert [r.title for r in rows][2] == "faseg:levels=(0,0,0,1);tau=2" and rows[2].method.levels == (0, 0, 0, 1)
    first, *others = [row.capture_key for row in rows]
    assert [key == first for key in others] == [True, True, False, False]
    assert rows[0].score_key == rows[1].score_key != rows[2].score_key


def test_rows_know_what_the_authors_use():
    voc, context, stuff = (world(background=name != "context59") for name in ("voc", "context60", "context59"))
    named = lambda d, name: Dataset(name, *[getattr(d, f) for f in ("classes", "file_names", "background", "things", "ids", "reader")])
    threshold = lambda spec, d, name: make_row(spec, None, named(d, name)).method.threshold
    assert threshold("faseg", voc, "voc") == 0.55 and threshold("faseg", context, "context60") == 0.5
    assert threshold("faseg", stuff, "context59") < -1                      # without a background every pixel is some class
    assert threshold("faseg:threshold=0.3", voc, "voc") == 0.3
    assert make_row("iseg", None, named(voc, "coco-object")).method.lam == 0.2


def test_look_names_what_capture_depends_on():
    """Every name in CAPTURE_FIELDS is a number of its method; no row may share a capture that it should not."""
    for name in minifaseg.METHODS:
        how = minifaseg.make_method(name)
        assert set(how.CAPTURE_FIELDS) <= set(vars(how)) and "threshold" not in how.CAPTURE_FIELDS


def test_sweeps(model):
    assert parse_sweep("threshold=0.3:0.5:0.05") == ("threshold", [0.3, 0.35, 0.4, 0.45, 0.5]) and parse_sweep("tau=1:4:1")[1] == [1, 2, 3, 4]
    rows = make_rows("faseg:flip=False,iseg", model, open_dataset("cartoon", seeds=range(3)), "tau=1:2:1")
    assert [r.title for r in rows] == ["faseg:flip=False;tau=1", "faseg:flip=False;tau=2"] and rows[1].method.tau == 2


@pytest.mark.parametrize("spec, sweep, says", [("nosuch", None, "no method"), ("faseg:tau", None, "name=value"), ("faseg:nosuch=1", None, "no number"),
                                               ("faseg,faseg", None, "twice"), ("faseg", "tau=4:1:1", "first:last:step"), ("iseg", "tau=1:2:1", "none of")])
def test_bad_rows_get_one_line(spec, sweep, says, model):
    with pytest.raises(InputError, match=says):
        make_rows(spec, model, open_dataset("cartoon", seeds=range(3)), sweep)


# ---- the run ------------------------------------------------------------------------------------------------------------------------
def test_matrix_equals_segmenting_one_by_one(model, tmp_path):
    """The bench, with its shared captures, gives what `segment` gives; masks are saved with the data set's own numbers."""
    data = open_dataset("cartoon", seeds=range(1000, 1003))
    rows = make_rows("faseg,faseg:tau=0,datasetdiffusion", model, data)
    totals, failed = evaluate(rows, data, model, Candidates("gt", data), save_masks=tmp_path, progress=False)
    assert failed == 0
    for row in rows:
        expected = 0
        for seed in range(1000, 1003):
            scene = paint(seed)
            numbers = {"tau": 0} if "tau=0" in row.title else {}
            labels = minifaseg.segment(scene.image, scene.classes, model, method=row.name, **numbers).labels
            own = np.zeros(256, np.uint8)
            own[1:len(scene.classes) + 1], own[255] = [CLASSES.index(c) + 1 for c in scene.classes], 255
            expected = expected + confusion(scene.labels, own[labels], len(CLASSES) + 1)
            saved = np.asarray(Image.open(tmp_path / row.title.replace(":", "_") / f"{seed}.png"))
            assert np.array_equal(saved, own[labels])
        assert np.array_equal(totals[row.title], expected)


def test_captions_reach_the_methods(model, tmp_path):
    """A caption per picture for FA-Seg, a continuation per class for DiffSegmenter, as `segment` would be told them."""
    scene = paint(1000)
    data = open_dataset("cartoon", seeds=[1000])
    rows = make_rows("faseg,diffsegmenter", model, data)
    told = {"faseg": "a picture of grass and sky", "diffsegmenter": {c: f"a picture of {c} near the sea" for c in scene.classes}}
    for row in rows:
        (tmp_path / "captions.json").write_text(json.dumps({"1000": told[row.title]}))
        totals, _ = evaluate([row], data, model, Candidates("gt", data), Captions(tmp_path / "captions.json"), progress=False)
        silent, _ = evaluate([row], data, model, Candidates("gt", data), progress=False)
        labels = minifaseg.segment(scene.image, scene.classes, model, method=row.name, caption=told[row.name]).labels
        own = np.array([0, *(CLASSES.index(c) + 1 for c in scene.classes)])
        assert np.array_equal(totals[row.title], confusion(scene.labels, own[labels], len(CLASSES) + 1))
        assert not np.array_equal(totals[row.title], silent[row.title])


def test_killed_run_goes_on(tmp_path, here):
    """SIGKILL in the middle, then the same command: the same table, byte for byte, as a run that nobody killed."""
    command = ["--seeds", "1000:1012", "--method", "faseg:flip=False", "--out"]
    assert here(*CARTOON, *command, tmp_path / "whole")[0] == 0
    process = subprocess.Popen([*RUN, *command, tmp_path / "killed"], cwd=ROOT,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    part = tmp_path / "killed" / "part-0.jsonl"
    while process.poll() is None and (not part.exists() or len(part.read_bytes().splitlines()) < 3):
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "killed" / "table.json").exists(), "killed too late to show anything"
    with open(part, "ab") as f:                                             # and half a line, as a full disk or a lost machine leaves it
        f.write(b'{"id": "1011", "origin": "0", "rows": {"faseg')
    assert here(*CARTOON, *command, tmp_path / "killed")[0] == 0
    assert (tmp_path / "killed" / "table.json").read_bytes() == (tmp_path / "whole" / "table.json").read_bytes()
    ids = [json.loads(line)["id"] for line in part.read_text().splitlines()]
    assert sorted(ids) == [str(s) for s in range(1000, 1012)]               # nothing was done twice


def test_other_settings_are_refused(tmp_path):
    Results(tmp_path, {"method": "a"}).add("1", "made of", {"a": np.eye(2, 3, dtype=np.int64)})
    with open(tmp_path / "part-0.jsonl", "ab") as f:
        f.write(b"\0\0\0\n[1]\n")                         # what a machine that lost its power may leave
    lines = Results(tmp_path, {"method": "a"}).lines
    assert lines == {("1", "made of"): {"a": [[0, 0, 1], [1, 1, 1]]}}
    with pytest.raises(InputError, match="other settings"):
        Results(tmp_path, {"method": "b"})


@pytest.fixture
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.slow
def test_two_processes_give_the_same_matrix(tmp_path, here, one_thread):
    arguments = ["cartoon", "--weights", "cartoon", "--device", "cpu", "--seeds", "1000:1005", "--method", "faseg:flip=False", "--json"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "minifaseg.evaluate"]
    subprocess.run([*torchrun, *arguments, str(tmp_path / "two.json"), "--out", str(tmp_path / "two")], check=True, cwd=ROOT, env=environment,
                   capture_output=True)
    assert here(*arguments, tmp_path / "one.json")[0] == 0
    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "two.json").read_bytes()
    assert {len(p.read_text().splitlines()) for p in (tmp_path / "two").glob("part-*.jsonl")} == {2, 3}
    command = [sys.executable, "-m", "minifaseg.evaluate", *arguments, str(tmp_path / "again.json")]
    again = subprocess.run([*command, "--out", str(tmp_path / "two")], check=True, cwd=ROOT,
                           env=environment, capture_output=True, text=True)
    assert "5 of 5 pictures were done before, with the same data" in again.stderr
    assert (tmp_path / "again.json").read_bytes() == (tmp_path / "one.json").read_bytes()


def test_bad_pictures_are_counted(tmp_path, here):
    """A damaged picture in a VOC folder is named, counted and left out; the others are scored; the exit code says so."""
    voc = tmp_path / "VOC2012"
    for folder in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (voc / folder).mkdir(parents=True)
    for i in range(2):
        Image.new("RGB", (40, 30), (200, 60, 60)).save(voc / "JPEGImages" / f"p{i}.jpg")
        Image.fromarray(np.full((30, 40), 8 + i, np.uint8)).save(voc / "SegmentationClass" / f"p{i}.png")       # cat, chair
    (voc / "ImageSets/Segmentation/val.txt").write_text("p0\np1\n")
    (voc / "JPEGImages/p1.jpg").write_bytes(b"no picture")
    (tmp_path / "names.json").write_text('{"p0": ["cat"], "p1": ["chair"]}')
    code, out, err = here("voc", "--root", voc, "--weights", "cartoon", "--json", "-",
                          "--partial", "--candidates", tmp_path / "names.json")
    got = json.loads(out)
    assert code == 1 and "p1.jpg" in err and "1 of 2 pictures left out" in err
    assert "Traceback" not in err
    assert got["pictures"] == 1 and got["failed"] == 1 and 0 <= got["methods"]["faseg"]["miou"] <= 1


def test_without_classes(here):
    code, out, err = here(*CARTOON, "--seeds", "1000:1002", "--unsupervised",
                          "--method", "diffseg,iseg", "--json", "-")
    methods = json.loads(out)["methods"]
    assert code == 0
    assert set(methods) == {"diffseg", "iseg"} and all(0 < m["pixel_accuracy"] <= 1 for m in methods.values())
    code, out, err = here(*CARTOON, "--unsupervised")
    assert code == 1 and "faseg needs classes" in err


@pytest.mark.parametrize("arguments, code, says", [(["--seeds", "5:1"], 2, "no scenes"), (["--method", "nosuch"], 1, "no method 'nosuch'"),
                                                   (["--candidates", "clip"], 1, "belong together"), (["--candidates", "none.json"], 1, "none.json")])
def test_bad_requests_get_one_line(here, arguments, code, says):
    got, out, err = here(*CARTOON, *arguments)
    assert got == code and says in err.splitlines()[-1] and "Traceback" not in err and not out


# ---- the table ----------------------------------------------------------------------------------------------------------------------
def test_tables_agree_and_published_numbers_stand_apart(tmp_path):
    pytest.importorskip("matplotlib")
    truth, prediction = maps(21)
    data = open_dataset("cartoon", seeds=range(1))
    m = summary(confusion(truth, prediction, len(CLASSES) + 1), data)
    report = {"dataset": "voc", "weights": "x", "candidates": "clip", "pictures": 1449, "failed": 0, "methods": {"iseg": m, "faseg:tau=1": m}}
    text = markdown(report)
    assert f"| iseg | {100 * m['miou']:.1f} |" in text and "| *iSeg, published* | *68.2* |" in text
    for other in ("gt", "all"):                          # other ways of choosing the classes
        text = markdown(report | {"candidates": other})
        assert ", published*" not in text and "published figures on voc" in text
    line = list(csv.DictReader(as_csv(report).splitlines()))[0]
    assert float(line["miou"]) == m["miou"] and float(line["cat"]) == m["per_class"]["cat"]
    assert json.loads(as_json(report))["methods"]["iseg"]["per_class"]["curtain"] is None      # NaN is no JSON
    for name, sweep in (("bars", None), ("curve", "tau")):
        with open(tmp_path / name, "wb") as f:
            plot(report if not sweep else report | {"methods": {"faseg:tau=1": m, "faseg:tau=2": m}}, f, sweep)
        assert Image.open(tmp_path / name).size[0] == 720
