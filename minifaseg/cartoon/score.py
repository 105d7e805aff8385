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
from minifaseg.faseg import upsample
from minifaseg.prompts import class_prompts

from .painter import paint
from .words import CLASSES


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
TUNING = range(5000, 5060)
THRESHOLDS = np.arange(0.05, 0.9, 0.05)

# what `tune` tries, levels from coarse to fine
CROSS = [(0, 0, 1, 0), (0, .5, .5, 0), (0, .3, .7, 0), (0, .7, .3, 0), (0, 1, 0, 0), (0, .4, .4, .2), (0, 0, .7, .3), (.15, .7, .15, 0), (.1, .3, .5, .1)]
LEVELS = [(.1, .1, .5, .3), (0, 0, .5, .5), (0, 0, .3, .7), (0, 0, 0, 1), (0, .2, .4, .4), (0, 0, .7, .3), (0, .1, .3, .6), (0, 0, 1, 0)]


def see(model, seeds, how):
    """[(scene, captured)] of these seeds."""
    return [(scene, how.capture(model, scene.image, scene.classes)) for scene in (paint(s, model.side) for s in seeds)]


def best_threshold(model, seen, how):
    """(mIoU, threshold) of the best threshold for what was `seen`, scored with these numbers."""
    totals = np.zeros((len(THRESHOLDS), len(CLASSES) + 1, len(CLASSES) + 1))
    for scene, captured in seen:
        lookup = class_prompts(model.text, scene.classes, how.alone)
        best, k = (a.numpy() for a in upsample(how.scores(captured, lookup), captured.size).max(0))
        for i, threshold in enumerate(THRESHOLDS):
            totals[i] += scene_confusion(scene, np.where(best >= threshold, k + 1, 0))
    return max((float(np.nanmean(iou(total))), round(float(t), 2)) for total, t in zip(totals, THRESHOLDS))


def tune(model, seeds=TUNING, rounds=2):
    """Coordinate search over the numbers that the paper fixes for SD 1.5; every candidate gets its own best threshold."""
    best = {"timestep": 300, "noise": True, "steps": 0, "sample": False, "cross": (0, .5, .5, 0), "levels": (0, 0, .5, .5), "tau": 1, "alone": False}
    grid = {"timestep": (50, 100, 200, 300, 400, 500), "cross": CROSS, "levels": LEVELS, "tau": (1, 2, 3), "alone": (False, True)}
    seen, results = {}, {}

    def evaluate(numbers):
        key = json.dumps(numbers)
        if key not in results:
            how = minifaseg.make_method("faseg", model, **numbers)
            if how.timestep not in seen:
                seen[how.timestep] = see(model, seeds, how)
            results[key] = best_threshold(model, seen[how.timestep], how)
        return results[key]

    for _, (name, values) in itertools.product(range(rounds), grid.items()):
        best[name] = max(values, key=lambda v: evaluate(best | {name: v})[0])
        print("{} = {}: mIoU {:.4f} at threshold {}".format(name, best[name], *evaluate(best)), flush=True)
    return best | {"threshold": evaluate(best)[1]}


def report(model, seeds):
    """Lines of text: mIoU from cross-attention alone to full FA-Seg, each with its own threshold from the tuning scenes, then the IoU
    of every class."""
    for name, numbers in STEPS.items():
        how = minifaseg.make_method("faseg", model, **numbers)
        _, threshold = best_threshold(model, see(model, TUNING, how), how)
        score, matrix = miou(model, seeds, threshold=threshold, **numbers)
        yield f"{name:24s} mIoU {score:.3f}   pixel accuracy {np.diag(matrix).sum() / matrix.sum():.3f}   threshold {threshold}"
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
