"""Published figures: mIoU that papers and talks report, and which may stand beside a measurement.

published.csv holds one row for every figure, with its source. Its figures were measured by others,
on other weights. Three columns make the protocol; what stands before a colon is the part that must
be equal, what stands behind it is detail:

- split: data set and part of it; behind a comma how many pictures, where that is known.
- classes: who chose the classes that are looked for in a picture.
- threshold: who chose where the background begins.
"""
import csv
from functools import cache
from pathlib import Path

from .datasets import LAYOUTS

FILE = Path(__file__).with_name("published.csv")
PAGE = "tutorial/published.md"
BACKGROUND_CLASS = ("invseg", "goca")                     # methods whose prompt names a background


@cache
def figures() -> tuple[dict[str, str], ...]:
    """The rows of published.csv, all texts."""
    with FILE.open(newline="", encoding="utf-8") as file:
        return tuple(csv.DictReader(file))


def kind(text: str) -> str:
    """What must be equal of a `classes` or `threshold`: "fixed: 0.45" -> "fixed"."""
    return text.partition(":")[0]


def miou(figure: dict[str, str]) -> float:
    """In percent. A value is written as mIoU, or as pixel accuracy / mIoU."""
    return float(figure["value"].rpartition("/")[2])


def picture_counts(figure: dict[str, str]) -> list[str]:
    """How many pictures its split may have: "Context val, 5104 or 5105" -> ["5104", "5105"]."""
    return figure["split"].partition(", ")[2].split(" or ")


def of_same_protocol(report: dict) -> tuple[list[dict[str, str]], int]:
    """Figures that may stand beside a report of command.py; how many others its data set has."""
    on_data_set = [figure for figure in figures() if figure["data"] == report["dataset"]]
    if not on_data_set:
        return [], 0
    thresholds = {kind(threshold_of(name, report)) for name in report["methods"]}

    same = []
    for figure in on_data_set:
        same_pictures = str(report["pictures"]) in picture_counts(figure)
        same_classes = kind(figure["classes"]) == kind(classes_of(report))
        if same_pictures and same_classes and kind(figure["threshold"]) in thresholds:
            same.append(figure)
    return same, len(on_data_set) - len(same)


def classes_of(report: dict) -> str:
    """The column `classes` of what was measured here."""
    candidates = report["candidates"]
    fixed = {"none": "no classes, matched per picture: Hungarian", "gt": "true classes",
             "all": "all classes"}
    if candidates.startswith("gt+"):
        return f"true classes and {candidates[3:]} absent"
    return fixed.get(candidates, f"predicted: {candidates}")


def threshold_of(name: str, report: dict) -> str:
    """The column `threshold` of a measured row."""
    if report["candidates"] == "none" or not LAYOUTS[report["dataset"]].background:
        return "none"

    method, threshold = without_threshold(name, report)
    alike = [other for other in report["methods"] if without_threshold(other, report)[0] == method]
    if len(alike) > 1:                                    # whoever takes the best one has tuned it
        return "tuned: one of several on these pictures"
    if method[0] in BACKGROUND_CLASS:
        return "background class"
    return f"fixed: {threshold:.2f}" if threshold is not None else "fixed"


def without_threshold(name: str, report: dict) -> tuple[tuple[str, dict], float | None]:
    """A measured row as (method, its other hyperparameters), threshold."""
    hyperparameters = dict(report["methods"][name].get("numbers", {}))
    threshold = hyperparameters.pop("threshold", None)
    return (name.partition(":")[0], hyperparameters), threshold
