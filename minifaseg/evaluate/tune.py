"""Chooses a method's numbers for a model: the same search, with the same budget, for every method.

    python -m minifaseg.evaluate.tune --method faseg,iseg --seeds 5000:5060

Number by number (choices.py) it tries every value, each at its own best threshold, and keeps the
best; then once more, until a whole round changes nothing or the budget is spent. The scenes are
cartoon scenes that no table uses. Prints the chosen numbers of each method as JSON, as they stand
in a model's numbers file (cartoon.json beside cartoon.safetensors). With --tried a stopped search
goes on where it was.
"""
import argparse
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace

import numpy as np

import minifaseg

from ..errors import InputError
from ..labelling import pixel_scores
from ..writing import write
from . import tries
from .candidates import Candidates
from .choices import choices, start
from .datasets import IGNORE, open_dataset
from .metrics import summary
from .rows import Row, positive, span, split
from .tries import Tries
from .workers import Workers, cores

BUDGET = 60                                               # candidates: every value about twice
THRESHOLDS = np.arange(0.1, 0.91, 0.05).round(2)


def thresholds(row):
    """Those that are tried for a row's numbers: from 0.1 to 0.9; of margins from -0.8 to 0.8."""
    return 2 * THRESHOLDS - 1 if getattr(row.how, "MARGINS", False) else THRESHOLDS


def matrices(row, dataset, model, candidates, seen, captions=None):
    """(T, n, n + 1) confusion matrices of a row's numbers, one for each of `thresholds`.

    seen: {look: [(scene's truth, captured)]}, filled as needed.
    """
    if row.look not in seen:
        seen[row.look] = []
        for id in dataset.ids:
            image, truth = dataset.read(id)
            classes = candidates(id, image, truth)
            caption = captions and captions.told(row.how, id, image, classes)
            seen[row.look].append((truth, row.how.capture(model, image, classes, caption)))
    n = len(dataset.classes) + 1
    grid = thresholds(row)
    totals = np.zeros((len(grid), n, n + 1), np.int64)
    for truth, captured in seen[row.look]:
        own = np.array([0, *(dataset.classes.index(c) + 1 for c in captured.classes)])
        best, k = (a.cpu().numpy() for a in pixel_scores(row.how, captured, row.how.scores(captured)).max(0))
        totals += confusions(truth, own[k + 1], best, grid, n)
    return totals


def confusions(truth, labels, scores, grid, n):
    """(T, n, n + 1) counts of a picture for T rising thresholds at once: `labels` (H, W) where
    `scores` (H, W) reach the threshold, else background."""
    passed = np.searchsorted(grid.astype(np.float32), scores.astype(np.float32), side="right")
    kept, T = truth != IGNORE, len(grid)
    where = (truth[kept].astype(np.int64) * n + labels[kept]) * (T + 1) + passed[kept]
    together = np.bincount(where, minlength=n * n * (T + 1)).reshape(n, n, T + 1)
    below = np.moveaxis(together.cumsum(2)[..., :T], 2, 0)                      # (T, n, n)
    found = np.zeros((T, n, n + 1), np.int64)
    found[..., :n] = together.sum(2) - below
    found[..., 0] += below.sum(2)
    return found


def at_every_threshold(row, dataset, *rest):
    """[(summary, threshold)] of a row's numbers; arguments as for `matrices`."""
    totals = matrices(row, dataset, *rest)
    return [(summary(m, dataset), float(t)) for m, t in zip(totals, thresholds(row))]


def best_of(totals, row, dataset):
    """(mIoU, threshold) of the best threshold."""
    found = [summary(m, dataset)["miou"] for m in totals]
    return max(zip(found, (round(float(t), 2) for t in thresholds(row))))


def at_threshold(how, threshold):
    """The same numbers with this threshold, and no pixel "uncertain": a table has no place for those."""
    return replace(how, threshold=threshold, **({"certain": threshold} if hasattr(how, "certain") else {}))


def tuning_scenes(seeds, model):
    """(dataset, candidates) of cartoon scenes, their own classes in an order by chance."""
    dataset = open_dataset("cartoon", seeds=seeds, side=model.side)
    return dataset, Candidates("gt", dataset, shuffle=0)


class Scenes:
    """Every `jobs`-th of the tuning scenes, and what was captured of them."""

    def __init__(self, model, seeds, captions=None, rank=0, jobs=1):
        self.model, self.captions, self.seen = model, captions, {}
        self.dataset, self.candidates = tuning_scenes(seeds, model)
        self.mine = replace(self.dataset, ids=self.dataset.ids[rank::jobs])

    def matrices(self, row, keep=()):
        """Of these scenes. Captures are large: of the row's method only its own look and those of
        `keep` stay."""
        for look in [*self.seen]:
            if look[0] == row.method and look != row.look and look not in keep:
                del self.seen[look]
        return matrices(row, self.mine, self.model, self.candidates, self.seen, self.captions)

    def forget(self, method):
        self.seen = {look: captured for look, captured in self.seen.items() if look[0] != method}


def open_scenes(weights, device, seeds, captions, rank, jobs):
    """The scenes of one process, with a model of its own."""
    model = minifaseg.load(weights, device, "float32")
    return Scenes(model, seeds, captions, rank, jobs)


def measure(rows, workers, dataset, known, keep=()):
    """[(mIoU, threshold)] of every row's numbers on the scenes that the workers share. What is in
    `known` (a Tries) is not measured; what is measured is added to it."""
    new = {tries.key(row): row for row in rows if known.get(row) is None}
    waiting = [(row, workers.submit("matrices", row, keep)) for row in new.values()]
    for row, parts in waiting:
        known.add(row, *best_of(sum(part.result() for part in parts), row, dataset))
    return [known.get(row) for row in rows]


def with_best_thresholds(rows, model, seeds, captions=None, file=None):
    """The rows, each with its own best threshold on these scenes. Rows that look alike share what
    was captured; what was found is kept in `file`."""
    known = Tries(file, file and tries.origin(model, seeds, captions))
    workers = Workers(1, Scenes, model, seeds, captions)
    in_order = sorted(rows, key=lambda row: row.look)
    measure(in_order, workers, workers.here.dataset, known)
    return [replace(row, how=at_threshold(row.how, known.get(row)[1])) for row in rows]


def make(method, numbers):
    return Row(method, method, minifaseg.make_method(method, **numbers))


def tune(method, workers, dataset, known, budget=BUDGET):
    """The numbers found, as a dict of the method's fields, threshold included."""
    best, tried, busy = start(method), {}, []            # busy: what had to be measured

    def try_all(candidates):
        keys = [tries.key(make(method, numbers)) for numbers in candidates]
        new = dict(pair for pair in zip(keys, candidates) if pair[0] not in tried)
        rows = [make(method, numbers) for numbers in new.values()][:budget - len(tried)]
        keep = (make(method, best).look,)
        busy.extend(row for row in rows if known.get(row) is None)
        tried.update(zip(new, measure(rows, workers, dataset, known, keep)))
        return [tried.get(k, (-1.0, 0.0)) for k in keys]

    value, = try_all([best])
    changed = True
    while changed and len(tried) < budget:
        changed = False
        for name, values in choices(method).items():
            found = try_all([best | some for some in values])
            i = max(range(len(values)), key=lambda i: found[i])
            if found[i][0] > value[0]:
                best, value, changed = best | values[i], found[i], True
            print(f"{method} {name} = {shown(best, values[0])}: mIoU {value[0]:.4f} at threshold "
                  f"{value[1]:.2f} ({len(tried)} of {budget} tried)", file=sys.stderr, flush=True)
    for done in workers.submit("forget", method) if busy else ():
        done.result()
    found = asdict(at_threshold(make(method, best).how, value[1]))
    return {k: v for k, v in found.items() if k in best or k in ("threshold", "certain")}


def shown(numbers, names):
    """The value of one choice, for reading."""
    if len(names) == 1:
        return str(numbers[next(iter(names))])
    return ", ".join(f"{name} {numbers[name]}" for name in names)


def tune_all(methods, weights, seeds, device="auto", jobs=1, budget=BUDGET, file=None):
    """{method: its numbers}. Several methods are searched at once where processes are many, since
    each waits for its last scene after every number."""
    model = minifaseg.load(weights, device, "float32")
    dataset, _ = tuning_scenes(seeds, model)
    known = Tries(file, file and tries.origin(model, seeds))
    jobs = min(jobs, len(dataset.ids))
    with ThreadPoolExecutor(max(1, jobs // 4)) as some:
        with Workers(jobs, open_scenes, weights, device, seeds, None) as workers:
            def search(method):
                return tune(method, workers, dataset, known, budget)
            return dict(zip(methods, some.map(search, methods)))


def as_file(found):
    """The text of a numbers file: one method a line."""
    lines = ",\n".join(f' "{method}": {json.dumps(numbers)}' for method, numbers in found.items())
    return f"{{\n{lines}\n}}\n"


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--method", default=",".join(minifaseg.METHODS))
    p.add_argument("--seeds", type=span, default=range(5000, 5060), metavar="FIRST:LAST", help="cartoon scenes (default 5000:5060)")
    p.add_argument("--weights", default="cartoon")
    p.add_argument("--device", default="auto")
    p.add_argument("--jobs", type=positive, default=cores(), metavar="N",
                   help="processes (default: one for each core)")
    p.add_argument("--save", metavar="FILE", help="also write the JSON there")
    p.add_argument("--tried", metavar="FILE", help="keep every candidate there, one JSON object a "
                   "line; the same command again goes on where it was")
    p.add_argument("--budget", type=positive, default=BUDGET)
    a = p.parse_args()
    try:
        found = as_file(tune_all(split(a.method), a.weights, a.seeds, a.device, a.jobs, a.budget,
                                 a.tried))
        if a.save:
            write(a.save, lambda file: file.write(found.encode()))
    except InputError as e:
        print(f"minifaseg.evaluate.tune: {e}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        goes_on = f"; the same command goes on where it was ({a.tried})" if a.tried else ""
        print(f"interrupted{goes_on}", file=sys.stderr)
        sys.exit(130)
    print(found, end="")


if __name__ == "__main__":
    main()
