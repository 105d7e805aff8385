"""Published figures: the data file, what stands beside a measurement, and the page of the tutorial."""

import re
from importlib import resources
from pathlib import Path

import pytest

from minifaseg.evaluate.published import (
    figures,
    kind,
    miou,
    of_same_protocol,
    picture_counts,
)
from minifaseg.evaluate.table import markdown

ROOT = Path(__file__).parents[1]
MEASURED = {"miou": 0.5, "miou_absent_zero": 0.5, "things": 0.5, "pixel_accuracy": 0.5}
MEASURED |= {"per_class": {"cat": 0.5}}


@pytest.fixture
def script(monkeypatch):
    """tutorial/published.py"""
    monkeypatch.syspath_prepend(str(ROOT / "tutorial"))
    import published

    return published


def report(dataset, candidates, pictures, methods=("faseg",), **thresholds):
    """A report as command.py makes it; thresholds: {row: its threshold}."""
    rows = {name: MEASURED | {"numbers": {}} for name in methods}
    for name, value in thresholds.items():
        rows[name] = MEASURED | {"numbers": {"threshold": value}}
    about = {"dataset": dataset, "candidates": candidates, "pictures": pictures}
    return about | {"weights": "x", "failed": 0, "split": "val", "methods": rows}


def shown(*args, **kwargs):
    """The methods whose figures stand beside a report."""
    same, _ = of_same_protocol(report(*args, **kwargs))
    return [figure["method"] for figure in same]


# The data file


def test_every_figure_has_its_protocol_and_its_source():
    classes = {
        "predicted",
        "true classes",
        "no classes, matched per picture",
        "no classes, matched once for all pictures",
        "no classes, matching not stated",
        "not stated",
    }
    thresholds = {"fixed", "tuned", "background class", "none", "not stated"}
    for figure in figures():
        assert all(figure[c] for c in figure if c != "type"), figure
        assert kind(figure["classes"]) in classes and kind(figure["threshold"]) in thresholds
        assert figure["metric"] in ("miou", "acc/miou")
        assert figure["source"] not in ("same", "both")
        assert 0 < miou(figure) < 100
        for count in picture_counts(figure):
            assert count.isdigit() or not count or count.endswith("not stated")


def test_no_figure_is_there_twice():
    keys = [(f["table"], f["method"], f["data"], f["source"]) for f in figures()]
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize(
    "table, method, values",
    [
        ("open-vocabulary", "DiffSegmenter", {"voc": 60.1, "context60": 27.5, "coco-object": 37.9}),
        ("open-vocabulary", "iSeg", {"voc": 68.2, "context60": 30.9, "coco-object": 38.4}),
        ("open-vocabulary", "InvSeg", {"voc": 63.4, "context60": 27.8, "coco-object": 36.0}),
        ("open-vocabulary", "DiffSeg", {"voc": 39.4, "context60": 16.7, "coco-object": 19.1}),
        ("open-vocabulary", "FA-Seg", {"mean of the three": 43.8}),
        (
            "open-vocabulary",
            "Seg4Diff with SD 3",
            {"voc20": 89.2, "context59": 49.0, "coco-object80": 62.0},
        ),
        (
            "open-vocabulary",
            "iSeg, by Seg4Diff",
            {"voc20": 82.9, "context59": 39.2, "coco-object80": 57.3},
        ),
        ("pseudo-masks", "DiffSegmenter", {"voc train": 70.5}),
        ("pseudo-masks", "iSeg", {"voc train": 75.2, "coco train": 45.5}),
        ("unsupervised", "DiffSeg", {"cityscapes27": 21.2, "cocostuff27": 43.6}),
        ("unsupervised", "iSeg", {"cityscapes27": 25.0, "cocostuff27": 45.2}),
    ],
)
def test_figures_are_those_of_their_papers(table, method, values):
    """What the papers, talks and project pages report for the methods of this project."""
    found = [f for f in figures() if f["table"] == table and f["method"] == method]
    assert {f["data"]: miou(f) for f in found} == values


def test_goca_has_its_figures_and_the_one_that_contradicts():
    found = {}
    for f in figures():
        if f["method"] == "GoCA with SD 1.5":
            found.setdefault(f["data"], []).append(miou(f))
    assert found == {
        "voc": [60.7, 54.5],
        "context60": [40.4],
        "coco-object": [39.2],
        "cityscapes27": [16.1],
        "ade20k": [22.0],
    }


def test_the_file_is_shipped():
    assert (resources.files("minifaseg.evaluate") / "published.csv").is_file()
    pyproject = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert re.search(r'"minifaseg.evaluate" = \[.*"published.csv"', pyproject)


# Beside a measurement


def test_only_figures_of_the_same_protocol_stand_beside_a_measurement():
    fixed = ["GroupViT", "SegCLIP", "OVSegmentor", "TagCLIP", "CaR", "iSeg"]
    assert shown("voc", "clip", 1449) == fixed
    assert shown("voc", "runs/names.json", 1449) == fixed
    for candidates in ("gt", "gt+2", "all"):
        assert shown("voc", candidates, 1449) == []
    assert shown("voc", "clip", 724) == []
    swept = {"faseg:threshold=0.5": 0.5, "faseg:threshold=0.6": 0.6}
    assert shown("voc", "clip", 1449, (), **swept) == ["DiffSegmenter"]
    assert shown("voc", "clip", 1449, ("invseg",)) == ["InvSeg"]
    assert shown("context59", "gt", 5104) == ["Seg4Diff with SD 3", "iSeg, by Seg4Diff"]
    assert shown("cityscapes27", "none", 500, ("diffseg",)) == ["DiffSeg"]
    assert shown("cartoon", "gt", 200) == []


def test_rows_that_differ_in_more_than_the_threshold_are_not_tuned():
    rows = {
        "faseg": MEASURED | {"numbers": {"threshold": 0.5, "tau": 2}},
        "faseg:tau=0": MEASURED | {"numbers": {"threshold": 0.6, "tau": 0}},
    }
    same, _ = of_same_protocol(report("voc", "clip", 1449) | {"methods": rows})
    assert "iSeg" in [f["method"] for f in same] and len(same) == 6


def test_published_rows_are_marked_and_have_the_three_columns():
    measured = report("voc", "clip", 1449, (), faseg=0.55)
    lines = markdown(measured).splitlines()
    _, others = of_same_protocol(measured)
    assert lines[2].endswith("| pixel accuracy | split | classes | threshold |")
    assert lines[4] == (
        "| faseg | 50.0 | 50.0 | 50.0 | 50.0 | val, 1449 | predicted: clip | fixed: 0.55 |"
    )
    assert lines[10].startswith("| *iSeg, published* | *68.2* |  |  |  | VOC 2012 val, 1449 |")
    assert {line.count("|") for line in lines[2:11]} == {9}
    assert "Rows in italics are published, not measured here." in lines
    (line,) = [line for line in lines if "of other protocols" in line]
    assert line.startswith(f"{others} published figures on voc ") and "tutorial/published.md" in line


def test_without_published_rows_the_table_is_as_ever():
    text = markdown(report("cartoon", "gt", 200))
    assert "published" not in text and "split" not in text
    text = markdown(report("voc", "gt", 1449))
    assert "published*" not in text and "| threshold |" not in text
    assert "tutorial/published.md" in text


# The page


def test_the_page_is_what_the_script_makes(script):
    assert script.PAGE.read_text(encoding="utf-8") == script.page()


def test_every_figure_is_on_the_page_once(script):
    cells = [line.strip("| ").split(" | ") for line in script.page().splitlines()]
    for figure in figures():
        assert cells.count([figure[column] for column in script.COLUMNS]) == 1


def test_every_protocol_is_explained(script):
    assert {script.protocol(figure) for figure in figures()} == set(script.GROUPS)


def test_the_page_does_not_call_faseg_the_best(script):
    page = script.page()
    assert "| iSeg | (68.2 + 30.9 + 38.4) / 3 | 45.8 |" in page
    assert "| FA-Seg | reported as a mean | 43.8 |" in page
    assert page.index("/ 3 | 45.8 |") < page.index("| 43.8 |")
    assert "Nothing on this page was measured here" in page
    assert "one method, 68.2 and 82.9" in page


def test_the_commands_of_the_page_are_taken(script):
    """By the commands' own parsers."""
    import shlex

    from minifaseg.evaluate import command as evaluate
    from minifaseg.evaluate import reproduce

    commands = re.findall(r"python -m minifaseg.evaluate ((?:.*\\\n)*.*)", script.page())
    assert len(commands) == 5
    for command in commands:
        first, *others = shlex.split(command.replace("\\\n", ""))
        if first == "reproduce":
            reproduce.parser().parse_args(others)
        else:
            evaluate.parser().parse_args([first, *others])
