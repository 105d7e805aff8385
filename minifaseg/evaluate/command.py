"""How good is it? Segments a data set and prints one honest table.

    python -m minifaseg.evaluate cartoon --seeds 1000:1200 --method faseg,iseg --json -
    python -m minifaseg.evaluate voc --root data/VOCdevkit --candidates gt --out runs/voc
    python -m minifaseg.evaluate cartoon --sweep threshold=0.3:0.7:0.05 --out runs/thresholds
    torchrun --nproc-per-node 2 -m minifaseg.evaluate voc --root data/VOCdevkit --out runs/voc
    python -m minifaseg.evaluate reproduce --root data     # published figures, see its --help
"""
import argparse
import random
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import minifaseg

from ..errors import InputError
from ..memory import keep_freed_memory
from ..messages import exit_with
from ..model import Model
from ..ranks import own_device, place
from ..writing import write, write_text
from . import table
from .bootstrap import confidence
from .candidates import Candidates, Captions
from .clip_and_blip import Captioner, ClipTagger
from .datasets import NAMES, Dataset, open_dataset
from .metrics import summary
from .rows import Row, make_rows, positive, span
from .run import measure
from .shards import Part
from .tune import with_best_thresholds

THRESHOLDS = "thresholds.jsonl"                         # in --out: what --thresholds found


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(prog="minifaseg.evaluate", description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("dataset", choices=NAMES)
    p.add_argument("--root", help="folder of the data set, or a data folder above it, as "
                   "mmsegmentation lays them out")
    p.add_argument("--split", default="val")
    p.add_argument("--list", metavar="FILE", help="pictures by a text file of ids, or a folder "
                   "(default: the split's list)")
    p.add_argument("--partial", action="store_true",
                   help="go on where files of the split are missing; the table says so")
    p.add_argument("--seeds", type=span, default=range(1000, 1200), metavar="FIRST:LAST",
                   help="scenes of the cartoon world (default 1000:1200)")
    p.add_argument("--method", default="faseg", help="names with commas between; change numbers "
                   'as in "faseg:tau=0;flip=False"')
    p.add_argument("--sweep", metavar="NAME=FIRST:LAST:STEP",
                   help="one row per value of a number, for the methods that have it")
    p.add_argument("--thresholds", type=span, metavar="FIRST:LAST",
                   help="give every row its own best threshold, found on these cartoon scenes")
    p.add_argument("--unsupervised", action="store_true", help="no classes: segments, matched to "
                   "the truth per picture (diffseg, iseg)")
    p.add_argument("--candidates", default="gt", help="classes looked for: gt, gt+N (with N absent "
                   "ones), all, clip, or a JSON file: id -> names")
    p.add_argument("--shuffle-classes", type=int, metavar="SEED",
                   help="order the candidates by chance (default: the data set's order)")
    p.add_argument("--clip", metavar="PATH", help="CLIP model for --candidates clip")
    p.add_argument("--captions", metavar="FILE", help="JSON file: id -> caption")
    p.add_argument("--captioner", metavar="PATH",
                   help="BLIP model that writes the captions, folder or hub name")
    p.add_argument("--weights", default="auto")
    p.add_argument("--device", default="auto")
    p.add_argument("--dtype")
    p.add_argument("--limit", type=positive, metavar="N", help="only the first N pictures")
    p.add_argument("--shuffle-seed", type=int, metavar="SEED",
                   help="take the pictures in an order by chance (before --limit)")
    p.add_argument("--out", metavar="DIR", help="keep results, tables and plots here; the same "
                   "command again goes on where it was")
    p.add_argument("--save-masks", metavar="DIR", help="also write every mask: DIR/method/id.png")
    p.add_argument("--json", metavar="FILE", help="write the numbers as one JSON object; - = "
                   "standard output, and nothing else there")
    return p


def prepare(a: argparse.Namespace) -> tuple[list[Row], Dataset, Model, Candidates, Captions]:
    """(rows, dataset, model, candidates, captions) of the request.

    Everything that can be wrong with the request is found here, and raises InputError.
    """
    model = minifaseg.load(a.weights, own_device(a.device), a.dtype)
    keep_freed_memory()
    dataset = open_dataset(a.dataset, a.root, a.split, a.seeds, model.side, a.list, a.partial)
    ids = list(dataset.ids)
    if a.shuffle_seed is not None:
        random.Random(a.shuffle_seed).shuffle(ids)
    dataset = replace(dataset, ids=tuple(ids[:a.limit]))

    rows = make_rows(a.method, model, dataset, a.sweep)
    check(a, rows)
    tagger = ClipTagger(a.clip, dataset.classes, model.device) if a.clip else None
    candidates = Candidates(a.candidates, dataset, tagger, a.shuffle_classes)
    captions = Captions(Captioner(a.captioner, model.device) if a.captioner else a.captions)
    if a.thresholds:
        file = a.out and Path(a.out) / THRESHOLDS
        rows = with_best_thresholds(rows, model, a.thresholds, captions, file)
    return rows, dataset, model, candidates, captions


def check(a: argparse.Namespace, rows: Iterable[Row]) -> None:
    """Raises InputError for options that do not go together."""
    for row in rows:
        if a.unsupervised and row.name not in minifaseg.UNSUPERVISED:
            raise InputError(f"{row.name} needs classes; without them there are: "
                             f"{', '.join(minifaseg.UNSUPERVISED)}")
    if (a.candidates == "clip") != (a.clip is not None):
        raise InputError("--candidates clip and --clip PATH belong together")
    if a.captions and a.captioner:
        raise InputError("--captions and --captioner: give one of the two")


def run(a: argparse.Namespace, part: tuple[int, int] | None = None) -> int:
    """What the command does, and its exit code.

    part: (k, n) does every n-th picture from the k-th on, and leaves the table to a later call
    without it, which finds all pictures done.
    """
    rows, dataset, model, candidates, captions = prepare(a)
    request = {"dataset": dataset.name, "split": dataset.split, "weights": model.source,
               "candidates": "none" if a.unsupervised else a.candidates,
               "captions": a.captioner or a.captions}
    settings = request | {
        "unsupervised": a.unsupervised, "shuffle_classes": a.shuffle_classes, "clip": a.clip,
        "dtype": str(model.dtype), "thresholds": str(a.thresholds),
        "rows": [row.title for row in rows]}
    totals, counted, failed, *_ = measure(
        rows, dataset, model, candidates, captions, out=a.out, settings=settings,
        unsupervised=a.unsupervised, save_masks=a.save_masks, shard=Part(*part) if part else None)

    first_process = place()[0] == 0
    if first_process and not part:
        found = confidence(counted, dataset.background)
        methods = {}
        for row in rows:
            measured = summary(totals[row.title], dataset)
            methods[row.title] = measured | found[row.title] | {"numbers": asdict(row.method)}
        publish(a, request | {"list": dataset.listing, "pictures": len(dataset.ids) - failed,
                              "failed": failed, "of": dataset.size, "methods": methods})
        if failed:
            print(f"{failed} of {len(dataset.ids)} pictures left out, see above", file=sys.stderr)
    return 1 if failed else 0


def publish(a: argparse.Namespace, report: dict) -> None:
    """Prints the tables of a report, and writes the files that were asked for."""
    markdown, as_json = table.markdown(report), table.as_json(report)
    if a.out:
        out = Path(a.out)
        write_text(out / "table.md", markdown)
        write_text(out / "table.csv", table.as_csv(report))
        write_text(out / "table.json", as_json + "\n")
        sweep = a.sweep and a.sweep.partition("=")[0]
        try:
            write(out / "plot.png", lambda file: table.plot(report, file, sweep))
        except ImportError:
            print('no plot: it needs matplotlib (pip install "minifaseg[evaluate]")',
                  file=sys.stderr)
    if a.json == "-":
        print(as_json)
        return
    print(markdown, end="")
    if a.json:
        write_text(a.json, as_json + "\n")


def main(argv: Sequence[str] | None = None) -> None:
    a = parser().parse_args(argv)
    exit_with(lambda: run(a), "minifaseg.evaluate", a.out)
