"""Ours beside the published figures: verdicts, and the conditions in which the two differ."""
import json
import math
import platform
from dataclasses import asdict, dataclass
from datetime import date
from importlib.metadata import version
from typing import Any

from .. import __version__
from ..checkpoints.checksums import judge, read_known
from ..checkpoints.verify import files_read
from ..machine import machine
from ..model import Model
from ..origin import LIBRARIES
from .markdown import table_lines
from .protocols import DATA_SETS, MEAN, TOLERANCE, Protocol
from .table import percent, with_interval, without_nan

SD15 = "Stable Diffusion 1.5"
HEADINGS = ["row", "data set", "pictures", "published", "here [95 %]", "difference", "verdict"]
POST = ["row", "data set", "pictures", "published", "measured [95 %]", "weights", "machine",
        "who, when"]


@dataclass(frozen=True)
class Conditions:
    """What a row was measured under.

    pictures: how many, of `of` that the whole split has. recommended: are hyperparameters those
    that the model's file recommends, in place of the release's?
    """
    pictures: int
    of: int
    split: str
    classes: str
    captions: str
    threshold: str
    recommended: bool = False

    @property
    def whole(self) -> bool:
        return self.pictures == self.of

    @property
    def pictures_said(self) -> str:
        return f"{self.pictures:,}" if self.whole else f"{self.pictures:,} of {self.of:,}"


@dataclass(frozen=True)
class Outcome:
    """One row on one data set. measured: metrics.summary, and "ci". seconds: of a picture."""
    protocol: Protocol
    dataset: str
    conditions: Conditions
    measured: dict[str, Any]
    failed: int
    seconds: float
    hyperparameters: dict[str, Any]
    remarks: list[str]


# ---- the machine and the weights ----------------------------------------------------------------
def surroundings(model: Model) -> dict[str, Any]:
    """Versions, device, number type, and what the files of weights are by their checksums."""
    known = read_known()
    files = []
    for path in files_read(model.checkpoint):
        verdict = judge(path, known)
        files.append({"file": path.name, "sha256": verdict.sha256, "is": verdict.kind,
                      "reason": verdict.reason})
    is_sd15 = all(file["is"] == "known" for file in files)
    versions = {name: version(name) for name in LIBRARIES}
    return {"date": date.today().isoformat(), "minifaseg": __version__,
            "python": platform.python_version(), **versions,
            "device": machine(str(model.device)), "dtype": str(model.dtype).replace("torch.", ""),
            "weights": model.source if model.is_cartoon else model.checkpoint.path.name,
            "weights_are": SD15 if is_sd15 else "not known by checksum",
            "files": files}


# ---- verdicts -----------------------------------------------------------------------------------
def conditions(outcome: Outcome, about: dict[str, Any]) -> list[tuple[str, str, str, bool]]:
    """[(condition, published, here, do they differ so that a verdict is not possible?)]"""
    there, here = outcome.protocol, outcome.conditions
    own_lists = here.classes.startswith("predicted") and there.lists == there.name
    return [
        ("split", "all of it", f"{here.pictures_said}: {here.split}", False),
        ("classes", there.classes, here.classes, not own_lists),
        ("captions", there.captions_said, here.captions,
         bool(there.captions) and here.captions == "none"),
        ("threshold", there.threshold, here.threshold, False),
        ("weights", there.weights, f"{about['weights_are']} ({about['weights']}), {about['dtype']}",
         not (there.weights.startswith(about["weights_are"]))),
        ("hyperparameters", "the release's",
         "what the model's file recommends" if here.recommended else "the release's",
         here.recommended),
        ("resolution", there.resolution, there.resolution_here, False)]


def verdict(outcome: Outcome, about: dict[str, Any]) -> str:
    """Agrees, does not agree, or cannot be said, and why."""
    published = outcome.protocol.published(outcome.dataset)
    if published is None:
        return "no figure of this data set is published"
    differing = [name for name, _, _, differs in conditions(outcome, about) if differs]
    if differing:
        return f"no verdict: other {', '.join(differing)}"
    return agreement(outcome, published)


def agreement(outcome: Outcome, published: float) -> str:
    """For equal conditions. On a part of the pictures the interval is allowed for, too."""
    miou = 100 * outcome.measured["miou"]
    low = high = miou
    if not outcome.conditions.whole:
        low, high = (100 * x for x in outcome.measured.get("ci", (math.nan, math.nan)))
    agrees = low - TOLERANCE <= published <= high + TOLERANCE
    so_far = "" if outcome.conditions.whole else " so far"
    return f"{'agrees' if agrees else 'does NOT agree'}{so_far} (within {TOLERANCE:g})"


def mean_over_sets(outcomes: list[Outcome], protocol: Protocol) -> float | None:
    """The mean mIoU of a row over the three data sets; None unless all are measured."""
    found = {o.dataset: o.measured["miou"] for o in outcomes if o.protocol is protocol}
    if set(found) != set(DATA_SETS):
        return None
    return sum(found.values()) / len(found)


# ---- Markdown -----------------------------------------------------------------------------------
def as_markdown(outcomes: list[Outcome], about: dict[str, Any], absent: dict[str, str]) -> str:
    """The report to read. absent: {data set that is not there: why}."""
    lines = ["# Published figures, measured again", "", in_words(about), "",
             *main_table(outcomes, about), ""]
    lines += [f"{name} was not measured: {why}" for name, why in absent.items()]
    lines += ["", WHAT_IT_MEANS, ""]
    for outcome in outcomes:
        lines += details(outcome, about)
    lines += ["## To post", "", *table_lines(POST, [post(o, about) for o in outcomes]), "",
              "## Files of weights", "",
              *table_lines(["file", "is", "SHA-256"],
                           [[f["file"], f["is"], f["sha256"] or "-"] for f in about["files"]])]
    return "\n".join(lines) + "\n"


WHAT_IT_MEANS = (
    f"Where all conditions are the same, the two figures should lie within {TOLERANCE:g} point of "
    "each other (our choice: iSeg's own two reports of VOC are 0.4 apart). Brackets hold 95 % "
    "intervals, the bootstrap over pictures: how far a figure would move on other pictures. With a "
    "part of the pictures a figure is a first answer only: rare classes are missing or have few "
    "pixels.")


def in_words(about: dict[str, Any]) -> str:
    return (f"{about['date']}; minifaseg {about['minifaseg']}; {about['device']}; "
            f"transformers {about['transformers']}; weights: {about['weights']} "
            f"({about['weights_are']}), {about['dtype']}.")


def main_table(outcomes: list[Outcome], about: dict[str, Any]) -> list[str]:
    rows = []
    for outcome in outcomes:
        published = outcome.protocol.published(outcome.dataset)
        miou = outcome.measured["miou"]
        rows.append([outcome.protocol.title, outcome.dataset, outcome.conditions.pictures_said,
                     in_points(published), with_interval(miou, outcome.measured.get("ci")),
                     apart(miou, published), verdict(outcome, about)])
    for protocol in {o.protocol.name: o.protocol for o in outcomes}.values():
        mean = mean_over_sets(outcomes, protocol)
        if mean is not None:
            published = protocol.published(MEAN)
            rows.append([protocol.title, MEAN, "", in_points(published), percent(mean),
                         apart(mean, published), ""])
    return table_lines(HEADINGS, rows)


def in_points(x: float | None) -> str:
    return "-" if x is None else f"{x:.1f}"


def apart(miou: float, published: float | None) -> str:
    return "-" if published is None or math.isnan(miou) else f"{100 * miou - published:+.1f}"


def details(outcome: Outcome, about: dict[str, Any]) -> list[str]:
    """One row's conditions beside the published ones; those in bold forbid a verdict."""
    rows = []
    for name, there, here, differs in conditions(outcome, about):
        rows.append([f"**{name}**" if differs else name, there, here])
    facts = [f"absent classes as 0: {percent(outcome.measured['miou_absent_zero'])}",
             f"pixel accuracy {percent(outcome.measured['pixel_accuracy'])}"]
    if not math.isnan(outcome.seconds):
        facts.append(f"{outcome.seconds:.2f} seconds a picture")
    if outcome.failed:
        facts.append(f"{outcome.failed} pictures left out, which could not be read")
    return [f"## {outcome.protocol.title}: {outcome.dataset}", "",
            *table_lines(["condition", "published", "here"], rows), "",
            "; ".join([*facts, *outcome.remarks]) + ".", ""]


def post(outcome: Outcome, about: dict[str, Any]) -> list[str]:
    """A row for a table of such rows."""
    machine_said = f"{about['device'].partition(';')[0]}, {about['dtype']}"
    if not math.isnan(outcome.seconds):
        machine_said += f", {outcome.seconds:.2f} s a picture"
    return [f"{outcome.protocol.title}; {outcome.conditions.classes.partition(':')[0]}",
            outcome.dataset, outcome.conditions.pictures_said,
            in_points(outcome.protocol.published(outcome.dataset)),
            with_interval(outcome.measured["miou"], outcome.measured.get("ci")),
            about["weights_are"], machine_said, about["date"]]


# ---- JSON ---------------------------------------------------------------------------------------
def as_json(outcomes: list[Outcome], about: dict[str, Any], absent: dict[str, str]) -> str:
    """The report to compute with."""
    rows = []
    for outcome in outcomes:
        names = ("condition", "published", "here", "differs")
        rows.append({
            "row": outcome.protocol.name, "dataset": outcome.dataset,
            "published": outcome.protocol.published(outcome.dataset), "tolerance": TOLERANCE,
            "verdict": verdict(outcome, about), **asdict(outcome.conditions),
            "conditions": [dict(zip(names, c)) for c in conditions(outcome, about)],
            "measured": outcome.measured, "failed": outcome.failed,
            "seconds_a_picture": outcome.seconds, "hyperparameters": outcome.hyperparameters,
            "remarks": outcome.remarks})
    means = {o.protocol.name: mean_over_sets(outcomes, o.protocol) for o in outcomes}
    report = about | {"rows": rows, "means": means, "not_measured": absent}
    return json.dumps(without_nan(report), indent=1) + "\n"
