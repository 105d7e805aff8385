"""How good is it? Segments a data set and prints one honest table.

    python -m minifaseg.evaluate cartoon --seeds 1000:1200 --method faseg,iseg --json -
    python -m minifaseg.evaluate voc --root data/VOCdevkit --candidates gt --method faseg --out runs/voc
    python -m minifaseg.evaluate cartoon --sweep threshold=0.3:0.7:0.05 --out runs/thresholds
    torchrun --nproc-per-node 2 -m minifaseg.evaluate voc --root data/VOCdevkit --out runs/voc
"""
import argparse
import os
import random
import sys
from dataclasses import asdict, replace
from pathlib import Path

import minifaseg

from ..errors import InputError
from ..writing import write
from . import table
from .bootstrap import confidence
from .candidates import Candidates, Captioner, Captions, ClipTagger
from .datasets import NAMES, open_dataset
from .metrics import summary
from .rows import make_rows, positive, span
from .run import Part, measure
from .tune import with_best_thresholds

THRESHOLDS = "thresholds.jsonl"                           # in --out: what --thresholds found
FAILED, INTERRUPTED = 1, 130                             # exit codes; argparse has its own, 2


def parser():
    p = argparse.ArgumentParser(prog="minifaseg.evaluate", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("dataset", choices=NAMES)
    p.add_argument("--root", help="folder of the data set, or a data folder above it, as mmsegmentation lays them out")
    p.add_argument("--split", default="val")
    p.add_argument("--list", metavar="FILE",
                   help="pictures by a text file of ids, or a folder (default: the split's list)")
    p.add_argument("--partial", action="store_true",
                   help="go on where files of the split are missing; the table says so")
    p.add_argument("--seeds", type=span, default=range(1000, 1200), metavar="FIRST:LAST", help="scenes of the cartoon world (default 1000:1200)")
    p.add_argument("--method", default="faseg", help='names with commas between; change numbers as in "faseg:tau=0;flip=False"')
    p.add_argument("--sweep", metavar="NAME=FIRST:LAST:STEP", help="one row per value of a number, for the methods that have it")
    p.add_argument("--thresholds", type=span, metavar="FIRST:LAST", help="give every row its own best threshold, found on these cartoon scenes")
    p.add_argument("--unsupervised", action="store_true", help="no classes: segments, matched to the truth per picture (diffseg, iseg)")
    p.add_argument("--candidates", default="gt", help="classes looked for: gt, gt+N (with N absent ones), all, clip, or a JSON file: id -> names")
    p.add_argument("--shuffle-classes", type=int, metavar="SEED", help="order the candidates by chance (default: the data set's order)")
    p.add_argument("--clip", metavar="PATH", help="CLIP model for --candidates clip")
    p.add_argument("--captions", metavar="FILE", help="JSON file: id -> caption")
    p.add_argument("--captioner", metavar="PATH", help="BLIP model that writes the captions, folder or hub name")
    p.add_argument("--weights", default="auto")
    p.add_argument("--device", default="auto")
    p.add_argument("--dtype")
    p.add_argument("--limit", type=positive, metavar="N", help="only the first N pictures")
    p.add_argument("--shuffle-seed", type=int, metavar="SEED", help="take the pictures in an order by chance (before --limit)")
    p.add_argument("--out", metavar="DIR", help="keep results, tables and plots here; the same command again goes on where it was")
    p.add_argument("--save-masks", metavar="DIR", help="also write every mask: DIR/method/id.png")
    p.add_argument("--json", metavar="FILE", help="write the numbers as one JSON object; - = standard output, and nothing else there")
    return p


def prepare(a):
    """(rows, dataset, model, candidates, captions) of the request; everything that can be wrong with it is found here."""
    device = f"cuda:{os.environ['LOCAL_RANK']}" if a.device == "cuda" and "LOCAL_RANK" in os.environ else a.device     # one GPU per process
    model = minifaseg.load(a.weights, device, a.dtype)
    dataset = open_dataset(a.dataset, a.root, a.split, a.seeds, model.side, a.list, a.partial)
    ids = list(dataset.ids)
    if a.shuffle_seed is not None:
        random.Random(a.shuffle_seed).shuffle(ids)
    dataset = replace(dataset, ids=tuple(ids[:a.limit]))
    rows = make_rows(a.method, model, dataset, a.sweep)
    for row in rows:
        if a.unsupervised and row.method not in minifaseg.UNSUPERVISED:
            raise InputError(f"{row.method} needs classes; without them there are: {', '.join(minifaseg.UNSUPERVISED)}")
    if (a.candidates == "clip") != (a.clip is not None):
        raise InputError("--candidates clip and --clip PATH belong together")
    if a.captions and a.captioner:
        raise InputError("--captions and --captioner: give one of the two")
    tagger = a.clip and ClipTagger(a.clip, dataset.classes, model.device)
    candidates = Candidates(a.candidates, dataset, tagger, a.shuffle_classes)
    captions = Captions(Captioner(a.captioner, model.device) if a.captioner else a.captions)
    if a.thresholds:
        file = a.out and Path(a.out) / THRESHOLDS
        rows = with_best_thresholds(rows, model, a.thresholds, captions, file)
    return rows, dataset, model, candidates, captions


def run(a, part=None):
    """What the command does, and its exit code. part: (k, n) does every n-th picture from the k-th
    on and leaves the table to a later call without it, which finds all of them done."""
    rows, dataset, model, candidates, captions = prepare(a)
    asked = {"dataset": dataset.name, "split": dataset.split, "weights": model.source,
             "candidates": "none" if a.unsupervised else a.candidates,
             "captions": a.captioner or a.captions}
    settings = asked | {"unsupervised": a.unsupervised, "shuffle_classes": a.shuffle_classes,
                        "clip": a.clip, "dtype": str(model.dtype), "thresholds": str(a.thresholds),
                        "rows": [row.name for row in rows]}
    totals, each, failed = measure(
        rows, dataset, model, candidates, captions, out=a.out, settings=settings,
        unsupervised=a.unsupervised, save_masks=a.save_masks, shard=part and Part(*part))
    if part or int(os.environ.get("RANK", 0)):           # the first process speaks for all
        return FAILED if failed else 0
    sure = confidence(each, dataset.background)
    report = asked | {"list": dataset.listing, "pictures": len(dataset.ids) - failed,
                      "failed": failed, "of": dataset.size, "methods": {}}
    for row in rows:
        found = summary(totals[row.name], dataset)
        report["methods"][row.name] = found | sure[row.name] | {"numbers": asdict(row.how)}
    text, as_json = table.markdown(report), table.as_json(report)
    if a.out:
        for name, content in (("table.md", text), ("table.csv", table.as_csv(report)), ("table.json", as_json + "\n")):
            write(Path(a.out) / name, lambda file: file.write(content.encode()))
        try:
            sweep = a.sweep and a.sweep.partition("=")[0]
            write(Path(a.out) / "plot.png", lambda file: table.plot(report, file, sweep))
        except ImportError:
            print('no plot: it needs matplotlib (pip install "minifaseg[evaluate]")', file=sys.stderr)
    if a.json == "-":
        print(as_json)
    else:
        print(text, end="")
        if a.json:
            write(a.json, lambda file: file.write((as_json + "\n").encode()))
    if failed:
        print(f"{failed} of {len(dataset.ids)} pictures left out, see above", file=sys.stderr)
    return FAILED if failed else 0


def main(argv=None):
    a = parser().parse_args(argv)
    try:
        sys.exit(run(a))
    except InputError as e:
        print(f"minifaseg.evaluate: {e}", file=sys.stderr)
        sys.exit(FAILED)
    except KeyboardInterrupt:
        print("interrupted" + (f"; the same command goes on where it was ({a.out})" if a.out else ""), file=sys.stderr)
        sys.exit(INTERRUPTED)
