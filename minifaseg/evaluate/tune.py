"""Chooses a method's numbers for a model: the same coordinate search, with the same budget of candidates, for every method.

    python -m minifaseg.evaluate.tune --method faseg,iseg --seeds 5000:5060            # cartoon scenes that no table uses

Prints the chosen numbers of each method as JSON, as they stand in a model's numbers file (cartoon.json beside cartoon.safetensors).
"""
import argparse
import json
from dataclasses import asdict, replace

import numpy as np

import minifaseg

from ..faseg import upsample
from ..wordings import COLOURS
from ..writing import write
from .candidates import Candidates
from .datasets import open_dataset
from .metrics import confusion, summary
from .rows import Row, span, split

BUDGET = 24                                              # candidates a method may try, each with its own best threshold
THRESHOLDS = np.arange(0.1, 0.91, 0.05).round(2)
CROSS = [(0, 0, .6, .4), (0, .1, .5, .4), (0, .5, .5, 0), (0, .2, .8, 0), (0, 0, .8, .2),
         (0, .1, .7, .2), (0, .7, .3, 0), (.15, .7, .15, 0), (.3, .5, .1, .1)]
TIMES = [5, 20, 50, 100]

# Per method: where the search starts on the cartoon model, whose words live one level finer than SD 1.5's and whose latents are
# quieter; then what is tried, number by number, until the budget is spent.
LEVELS = [(0, .1, .5, .4), (0, 0, .7, .3), (0, 0, .3, .7), (0, 0, 0, 1), (.1, .1, .5, .3)]
FASEG = {"timestep": 10, "noise": True, "steps": 0, "sample": False, "cross": (0, 0, 1, 0), "levels": (0, 0, .5, .5), "tau": 1}
# Our own methods start where FA-Seg's search ends.
ASKED = {**FASEG, "timestep": 20, "levels": (0, 0, 0, 1), "wordings": COLOURS}
# Lists of wordings in words that the cartoon model knows.
SENTENCES = ("a {}", "the {}", "a photo of a {}", "a picture of the {}")
WORDINGS = [(*COLOURS, "{}"), (*COLOURS, *SENTENCES), SENTENCES, COLOURS[:5],
            tuple(f"a {colour}" for colour in COLOURS),
            tuple(f"a photo of a {colour}" for colour in COLOURS)]
GRIDS = {
    "faseg": (FASEG, {"timestep": TIMES, "levels": LEVELS, "cross": CROSS, "tau": [2, 3]}),
    "wordings": (ASKED, {"wordings": WORDINGS}),
    "leaveout": (ASKED, {"softness": [0.02, 0.1]}),
    "diffsegmenter": ({"timesteps": (5, 10, 20, 50), "cross": (0, 0, 1, 0), "template": "a picture of {}", "sample": False},
                      {"timesteps": [(5,), (10,), (20,), (50,), (100,), (10, 20, 50, 100)], "cross": CROSS, "weight": [1.0, 1.5, 2.0]}),
    "iseg": ({"timestep": 10, "cross": (0, 0, 1, 0), "template": "a picture of {}"},
             {"timestep": TIMES, "iterations": [1, 2, 4], "lam": [0.002, 0.05, 0.2], "layers": [(-1,), ()], "gamma": [1.0, 1.3], "cross": CROSS}),
    "invseg": ({"timestep": 10, "cross": (0, 0, 1, 0)},
               {"timestep": TIMES, "rate": [0.005, 0.05], "beta": [4.0, 16.0], "entropy": [0.0, 2.0], "repel": [0.0, 2.0], "cross": CROSS}),
    "datasetdiffusion": ({"timesteps": (5, 10, 20, 50), "cross": 2, "level": 3},
                         {"timesteps": [(5,), (10,), (20,), (50,), (100,)], "level": [2], "cross": [1, 3], "tau": [1, 2, 3]}),
    "diffseg": ({"timestep": 10, "noise": True, "cross": (0, 0, 1, 0)},
                {"timestep": TIMES, "tau": [(x,) * 3 for x in (.3, .5, .7, .9, 1.5)], "levels": [(0, 0, .3, .7), (0, 0, 0, 1)], "noise": [False], "cross": CROSS}),
}


def at_every_threshold(row, dataset, model, candidates, seen):
    """[(summary, threshold)] of a row's numbers at each threshold of the grid.

    seen: {look: [(scene's truth, captured)]}, filled as needed.
    """
    if row.look not in seen:
        seen[row.look] = []
        for id in dataset.ids:
            image, truth = dataset.read(id)
            seen[row.look].append((truth, row.how.capture(model, image, candidates(id, image, truth))))
    n = len(dataset.classes) + 1
    grid = THRESHOLDS - 0.5 * getattr(row.how, "MARGINS", False)
    totals = np.zeros((len(grid), n, n + 1), np.int64)
    for truth, captured in seen[row.look]:
        own = np.array([0, *(dataset.classes.index(c) + 1 for c in captured.classes)])
        best, k = (a.cpu().numpy() for a in upsample(row.how.scores(captured), captured.size).max(0))
        for i, threshold in enumerate(grid):
            totals[i] += confusion(truth, own[np.where(best >= threshold, k + 1, 0)], n)
    return [(summary(m, dataset), float(t)) for m, t in zip(totals, grid)]


def best_threshold(*args):
    """(mIoU, threshold) of the best threshold; arguments as above."""
    return max((found["miou"], threshold) for found, threshold in at_every_threshold(*args))


def at_threshold(how, threshold):
    """The same numbers with this threshold, and no pixel "uncertain": a table has no place for those."""
    return replace(how, threshold=threshold, **({"certain": threshold} if hasattr(how, "certain") else {}))


def tuning_scenes(seeds, model):
    """(dataset, candidates) of cartoon scenes, their own classes in an order by chance."""
    dataset = open_dataset("cartoon", seeds=seeds, side=model.side)
    return dataset, Candidates("gt", dataset, shuffle=0)


def with_best_thresholds(rows, model, seeds):
    """The rows, each with its own best threshold on these scenes. Neighbours that look alike share what was captured."""
    dataset, candidates = tuning_scenes(seeds, model)
    seen, found = {}, []
    for row in rows:
        seen = {look: captured for look, captured in seen.items() if look == row.look}
        _, threshold = best_threshold(row, dataset, model, candidates, seen)
        found.append(replace(row, how=at_threshold(row.how, threshold)))
    return found


def tune(method, dataset, model, candidates, budget=BUDGET):
    """The numbers found, as a dict of the method's fields, threshold included."""
    best, grid = GRIDS[method]
    seen, tried = {}, {}
    row = lambda numbers: Row(method, method, minifaseg.make_method(method, **numbers))

    def value(numbers):
        key = json.dumps(numbers)
        if key not in tried and len(tried) < budget:
            tried[key] = best_threshold(row(numbers), dataset, model, candidates, seen)
            if len(seen) > 2:                                               # captures are large: keep the best look and the newest
                keep = {row(n).look for n in (best, numbers)}
                for look in [look for look in seen if look not in keep]:
                    del seen[look]
        return tried.get(key, (-1.0, 0.0))

    value(best)
    for name, values in grid.items():
        best = max((best, *(best | {name: v} for v in values)), key=lambda numbers: value(numbers)[0])
        print("{} {} = {}: mIoU {:.4f} at threshold {:.2f} ({} of {} tried)".format(method, name, best.get(name), *value(best), len(tried), budget), flush=True)
    found = asdict(at_threshold(row(best).how, round(value(best)[1], 2)))
    return {k: v for k, v in found.items() if k in best or k in ("threshold", "certain")}


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--method", default=",".join(GRIDS))
    p.add_argument("--seeds", type=span, default=range(5000, 5060), metavar="FIRST:LAST", help="cartoon scenes (default 5000:5060)")
    p.add_argument("--weights", default="cartoon")
    p.add_argument("--save", metavar="FILE", help="also write the JSON there")
    p.add_argument("--budget", type=int, default=BUDGET)
    a = p.parse_args()
    model = minifaseg.load(a.weights)
    dataset, candidates = tuning_scenes(a.seeds, model)
    found = ",\n".join(f' "{m}": {json.dumps(tune(m, dataset, model, candidates, a.budget))}' for m in split(a.method))
    print(f"{{\n{found}\n}}")
    if a.save:
        write(a.save, lambda file: file.write(f"{{\n{found}\n}}\n".encode()))


if __name__ == "__main__":
    main()
