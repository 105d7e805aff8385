"""How well does the cartoon model segment? mIoU on held-out scenes, one global confusion matrix over all classes.

    python -m minifaseg.cartoon.score                         # the built-in model on seeds 1000:1200, step by step to full FA-Seg
    python -m minifaseg.cartoon.score --tune 5000:5060        # search the model's numbers on other seeds, print them as JSON
"""
import argparse
import itertools
import json
from dataclasses import replace

import numpy as np
from tqdm import tqdm

import minifaseg

from .painter import CLASSES, paint


def confusion(truth, prediction, n):
    """(n, n) counts, rows: true label, columns: predicted."""
    return np.bincount(truth.ravel().astype(np.int64) * n + prediction.ravel(), minlength=n * n).reshape(n, n)


def iou(matrix):
    """IoU per label; NaN where neither truth nor prediction has it."""
    hit = np.diag(matrix).astype(float)
    with np.errstate(invalid="ignore"):
        return hit / (matrix.sum(0) + matrix.sum(1) - hit)


def scene_confusion(scene, labels):
    """Confusion matrix of one scene over background and all CLASSES; `labels` number the scene's own classes."""
    own = np.array([0, *(CLASSES.index(c) + 1 for c in scene.classes)])
    return confusion(scene.labels, own[labels], len(CLASSES) + 1)


def miou(model, seeds, shuffle=0, **numbers):
    """(mIoU, confusion matrix) of FA-Seg with these numbers. The scene's classes are given, their order shuffled, no caption."""
    total, how = 0, minifaseg.make_method("faseg", model, **numbers)
    for seed in tqdm(seeds, leave=False):
        scene = paint(seed, model.side)
        order = np.random.default_rng([seed, shuffle]).permutation(len(scene.classes))
        scene = replace(scene, classes=tuple(scene.classes[i] for i in order))
        captured = how.capture(model, scene.image, scene.classes)
        total = total + scene_confusion(scene, minifaseg.label(how.scores(captured), captured.size, how.threshold))
    return float(np.nanmean(iou(total))), total


STEPS = {"cross-attention alone": {"tau": 0, "flip": False}, "+ HARD": {"flip": False}, "+ TTF": {"tau": 0}, "FA-Seg (both)": {}}

CROSS = [(0, 0, 1, 0), (0, .5, .5, 0), (0, .3, .7, 0), (0, .7, .3, 0), (0, 1, 0, 0), (0, .4, .4, .2), (.15, .7, .15, 0), (.1, .3, .5, .1), (.15, .15, .7, 0)]
LEVELS = [(.1, .1, .5, .3), (0, 0, .5, .5), (0, 0, .3, .7), (0, 0, 0, 1), (0, .2, .4, .4), (0, 0, .7, .3), (0, .1, .3, .6), (0, 0, 1, 0)]


def tune(model, seeds, rounds=2):
    """Coordinate search over the numbers that the paper fixes for SD 1.5; every candidate gets its own best threshold."""
    best = {"timestep": 200, "noise": True, "steps": 0, "sample": False, "cross": (0, .5, .5, 0), "levels": (0, 0, .5, .5), "tau": 1, "alone": False}
    grid = {"timestep": (30, 100, 200, 300, 400), "cross": CROSS, "levels": LEVELS, "tau": (1, 2, 3), "alone": (False, True)}
    thresholds, scenes, captures, results = np.arange(0.1, 0.8, 0.05), [paint(s, model.side) for s in seeds], {}, {}

    def evaluate(numbers):
        key = json.dumps(numbers)
        if key not in results:
            how = minifaseg.make_method("faseg", model, **numbers)
            seen = (how.timestep, how.noise, how.steps, how.alone)
            if seen not in captures:
                captures[seen] = [how.capture(model, s.image, s.classes) for s in scenes]
            totals = np.zeros((len(thresholds), len(CLASSES) + 1, len(CLASSES) + 1))
            for scene, captured in zip(scenes, captures[seen]):
                scores = how.scores(captured)
                for i, threshold in enumerate(thresholds):
                    totals[i] += scene_confusion(scene, minifaseg.label(scores, captured.size, threshold))
            each = [np.nanmean(iou(t)) for t in totals]
            results[key] = (max(each), float(thresholds[int(np.argmax(each))]))
        return results[key]

    for _, (name, values) in itertools.product(range(rounds), grid.items()):
        best[name] = max(values, key=lambda v: evaluate(best | {name: v})[0])
        score, threshold = evaluate(best)
        print(f"{name} = {best[name]}: mIoU {score:.4f} at threshold {threshold:.2f}", flush=True)
    return best | {"threshold": round(threshold, 2)}


def report(model, seeds):
    """Lines of text: mIoU from cross-attention alone to full FA-Seg, then the IoU of every class."""
    for name, numbers in STEPS.items():
        score, matrix = miou(model, seeds, **numbers)
        yield f"{name:24s} mIoU {score:.3f}   pixel accuracy {np.diag(matrix).sum() / matrix.sum():.3f}"
    for name, value in zip(("background", *CLASSES), iou(matrix)):
        yield f"    {name:12s} {value:.3f}"


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--weights", default="cartoon")
    p.add_argument("--seeds", default="1000:1200", help="held-out scenes, FIRST:LAST (default 1000:1200)")
    p.add_argument("--tune", metavar="FIRST:LAST", help="search the numbers on these seeds instead")
    a = p.parse_args()
    span = lambda text: range(*map(int, text.split(":")))
    model = minifaseg.load(a.weights)
    if a.tune:
        print(json.dumps(tune(model, span(a.tune))))
        return
    for line in report(model, span(a.seeds)):
        print(line, flush=True)


if __name__ == "__main__":
    main()
