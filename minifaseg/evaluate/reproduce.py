"""Does the method reach the published figures? Runs published protocols on your weights and data.

    python -m minifaseg.evaluate reproduce --root data/ --limit 100
    python -m minifaseg.evaluate reproduce --root data/ --releases releases/ --rows faseg
    python -m minifaseg.evaluate reproduce --root data/ --rows diffsegmenter --data voc \\
        --releases releases/ --captioner Salesforce/blip-image-captioning-large

Prints ours beside theirs, with every condition in which the two differ, and writes reproduce.md and
reproduce.json. The releases' lists of classes are read from clones of their repositories:

    git clone https://github.com/chequanghuy/FA-Seg releases/FA-Seg
    git clone https://github.com/VCG-team/DiffSegmenter releases/DiffSegmenter
"""
import argparse
import json
import math
import random
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import minifaseg

from ..errors import InputError
from ..memory import keep_freed_memory
from ..messages import exit_with
from ..model import Model
from ..ranks import own_device, place
from ..writing import write_text
from . import released_lists
from .bootstrap import confidence
from .candidates import Candidates, Captions, read_object
from .clip_and_blip import Captioner
from .datasets import Dataset, open_dataset
from .metrics import summary
from .protocols import DATA_SETS, PROTOCOLS, Protocol
from .reproduce_report import Conditions, Outcome, as_json, as_markdown, surroundings
from .rows import make_rows, positive
from .run import Measured, measure
from .shards import Shard


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(prog="minifaseg.evaluate reproduce", description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--root", required=True,
                   help="the data folder, as mmsegmentation lays it out")
    p.add_argument("--rows", default=",".join(PROTOCOLS),
                   help=f"published rows, with commas between (default: {','.join(PROTOCOLS)})")
    p.add_argument("--data", help="data sets, with commas between (default: those of "
                   f"{','.join(DATA_SETS)} that are under --root)")
    p.add_argument("--releases", metavar="DIR",
                   help="folder with clones of FA-Seg and DiffSegmenter, for their lists")
    p.add_argument("--classes", choices=["lists", "gt", "all"], default="lists",
                   help="who chooses the classes: the released lists, and the truth where they are "
                   "not at hand (default); the truth; or nobody, all are looked for")
    p.add_argument("--captioner", metavar="PATH",
                   help="BLIP model for DiffSegmenter's captions, folder or hub name")
    p.add_argument("--limit", type=positive, metavar="N",
                   help="only N pictures, drawn by chance, the same for everybody")
    p.add_argument("--partial", action="store_true",
                   help="go on where files of a split are missing; the report says so")
    p.add_argument("--weights", default="sd15", help="a .safetensors file, a diffusers folder, "
                   "sd15 (default), cartoon or auto")
    p.add_argument("--device", default="auto")
    p.add_argument("--dtype")
    p.add_argument("--out", metavar="DIR", default="runs/reproduce",
                   help="results, picture by picture, and the two files; the same command again "
                   "goes on where it was (default: runs/reproduce)")
    return p


def chosen(text: str, known: Sequence[str], what: str) -> list[str]:
    """Names with commas between, each once. Raises InputError for one that is not known."""
    names = list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    for name in names:
        if name not in known:
            raise InputError(f"no {what} {name!r}; there is: {', '.join(known)}")
    if not names:
        raise InputError(f"no {what} given; there is: {', '.join(known)}")
    return names


def open_data_sets(a: argparse.Namespace, side: int) -> tuple[list[Dataset], dict[str, str]]:
    """(the data sets to measure on, {data set that is not there: why}).

    Raises InputError if one that was asked for by name is not there, or none is.
    """
    names = chosen(a.data, DATA_SETS, "data set") if a.data else DATA_SETS
    found, absent = [], {}
    for name in names:
        try:
            found.append(open_dataset(name, a.root, side=side, partial=a.partial))
        except InputError as e:
            if a.data:
                raise
            absent[name] = str(e).removeprefix(f"{a.root}: ")
    if not found:
        raise InputError(f"{a.root}: none of {', '.join(names)} is there; "
                         f"the first, {next(iter(absent.values()))}")
    return [drawn(dataset, a.limit) for dataset in found], absent


def drawn(dataset: Dataset, limit: int | None) -> Dataset:
    """The data set with `limit` of its pictures, by a fixed draw, in their order."""
    if limit is None or limit >= len(dataset.ids):
        return dataset
    kept = set(random.Random(0).sample(dataset.ids, limit))
    return replace(dataset, ids=tuple(id for id in dataset.ids if id in kept))


# ---- conditions ---------------------------------------------------------------------------------
def classes_for(protocol: Protocol, dataset: Dataset, a: argparse.Namespace
                ) -> tuple[str, str, list[str]]:
    """(what Candidates takes, the same in words, remarks). Raises InputError."""
    if a.classes == "all":
        return "all", "all classes of the data set", []
    listed = None
    if a.classes == "lists" and a.releases:
        listed = released_lists.read(protocol.lists, dataset, Path(a.releases).expanduser())
    if listed is None:
        return "gt", "true classes", not_there(protocol, dataset, a)
    file = listed.save(Path(a.out) / "lists" / f"{protocol.lists}-{dataset.name}.json")
    return str(file), f"predicted: {listed.place}, in the data set's order", listed.remarks()


def not_there(protocol: Protocol, dataset: Dataset, a: argparse.Namespace) -> list[str]:
    """A remark on a list that was to be taken from --releases."""
    place = released_lists.PLACES.get((protocol.lists, dataset.name))
    if a.classes == "lists" and a.releases and place:
        return [f"no file {place} under {a.releases}, so true classes instead"]
    return []


def captions_for(protocol: Protocol, dataset: Dataset, a: argparse.Namespace,
                 captioner: Captioner | None) -> tuple[Captions, str]:
    """(captions, the same in words)."""
    if protocol.captions == "faseg" and a.releases:
        place = released_lists.CAPTIONS[dataset.name]
        path = Path(a.releases).expanduser() / place
        if path.is_file():
            return Captions(path), place
    if protocol.captions == "blip" and captioner:
        return Captions(captioner), f"BLIP: {a.captioner}"
    return Captions(), "none"


# ---- measuring ----------------------------------------------------------------------------------
def reproduce(protocol: Protocol, dataset: Dataset, model: Model, a: argparse.Namespace,
              captioner: Captioner | None) -> Outcome:
    """One row on one data set. Raises InputError."""
    source, classes, remarks = classes_for(protocol, dataset, a)
    captions, captions_said = captions_for(protocol, dataset, a, captioner)
    candidates = Candidates(source, dataset)
    rows = make_rows([protocol.method(dataset.name)], model, dataset, protocol.sweep)

    folder = Path(a.out) / f"{protocol.name}-{dataset.name}"
    settings = {"row": protocol.name, "dataset": dataset.name, "weights": model.source,
                "dtype": str(model.dtype), "classes": classes, "captions": captions_said}
    found = measure(rows, dataset, model, candidates, captions, out=folder, settings=settings)

    summaries = {title: summary(matrix, dataset) for title, matrix in found.totals.items()}
    best = max(rows, key=lambda row: summaries[row.title]["miou"])
    ci = confidence({best.title: found.counts[best.title]}, dataset.background)
    threshold = getattr(best.method, "threshold", None)
    measured = summaries[best.title] | ci[best.title]
    said = "none" if threshold is None else f"{threshold:.2f}"
    if protocol.sweep:
        said += f", the best of {len(rows)} on these pictures"
    conditions = Conditions(
        pictures=len(dataset.ids) - found.failed, of=dataset.size or len(dataset.ids),
        split=f"{dataset.name} {dataset.split} ({Path(dataset.listing or '').name})",
        classes=classes, captions=captions_said, threshold=said,
        recommended=best.name in model.notes)
    return Outcome(protocol, dataset.name, conditions, measured, found.failed,
                   seconds_a_picture(folder, found, len(dataset.ids)), asdict(best.method),
                   remarks)


def seconds_a_picture(folder: Path, found: Measured, pictures: int) -> float:
    """The mean over all pictures that were computed, also before a stop; NaN for none.

    What was computed before stands in the row's folder. It is written by the first process alone.
    """
    path = folder / "seconds.json"
    computed, seconds = found.computed, found.seconds
    some_reused = computed + found.failed < pictures
    if some_reused and path.is_file():
        before = read_object(path)
        computed, seconds = computed + before["computed"], seconds + before["seconds"]
    if found.computed and place()[0] == 0:
        write_text(path, json.dumps({"computed": computed, "seconds": seconds}))
    return seconds / computed if computed else math.nan


def run(a: argparse.Namespace) -> int:
    """What the command does, and its exit code."""
    protocols = [PROTOCOLS[name] for name in chosen(a.rows, list(PROTOCOLS), "row")]
    model = minifaseg.load(a.weights, own_device(a.device), a.dtype)
    keep_freed_memory()
    data_sets, absent = open_data_sets(a, model.side)
    captioner = Captioner(a.captioner, model.device) if a.captioner else None
    first_process = place()[0] == 0
    shard = Shard(model.device)                             # for all rows: opened once

    outcomes = []
    about = surroundings(model)
    for protocol in protocols:
        for dataset in data_sets:
            if first_process:
                print(f"{protocol.title} on {dataset.name}, {len(dataset.ids)} pictures",
                      file=sys.stderr, flush=True)
            outcomes.append(reproduce(protocol, dataset, model, a, captioner))
            if first_process:
                publish(Path(a.out), outcomes, about, absent)
    shard.close()
    if first_process:
        print(as_markdown(outcomes, about, absent), end="")
        print(f"written: {Path(a.out, 'reproduce.md')} and reproduce.json", file=sys.stderr)
    return 1 if any(outcome.failed for outcome in outcomes) else 0


def publish(out: Path, outcomes: list[Outcome], about: dict, absent: dict[str, str]) -> None:
    """Writes both files; after every row anew, so that a stopped run leaves what it has."""
    write_text(out / "reproduce.md", as_markdown(outcomes, about, absent))
    write_text(out / "reproduce.json", as_json(outcomes, about, absent))


def main(argv: Sequence[str] | None = None) -> None:
    a = parser().parse_args(argv)
    exit_with(lambda: run(a), "minifaseg.evaluate reproduce", a.out)
