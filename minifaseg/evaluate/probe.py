"""How far is a training? FA-Seg's mIoU on a few tuning scenes, and what each level holds alone.

    python -m minifaseg.evaluate.probe runs/cartoon/cartoon.safetensors
"""
import argparse

import minifaseg

from .rows import Row, span
from .tune import at_every_threshold, tuning_scenes

HOW = {"timestep": 10, "steps": 0, "noise": True, "sample": False, "cross": (0, .1, .7, .2),
       "levels": (0, 0, .7, .3), "tau": 1}
LEVELS = ("4x4", "8x8", "16x16", "32x32")


def alone(level):
    return tuple(float(i == level) for i in range(len(LEVELS)))


def probe(model, seeds=range(5000, 5024)):
    """{row: mIoU}, each at its best threshold: FA-Seg; things alone; words alone and refinement
    alone at each level; and {class: IoU} of FA-Seg."""
    dataset, candidates = tuning_scenes(seeds, model)
    rows = {"faseg": {}}
    for level, name in enumerate(LEVELS[1:], start=1):
        rows[f"words {name}"] = {"cross": alone(level), "tau": 0, "flip": False}
        rows[f"refined {name}"] = {"levels": alone(level)}
    seen, found = {}, {}
    for name, numbers in rows.items():
        row = Row(name, "faseg", minifaseg.make_method("faseg", **HOW | numbers))
        told = at_every_threshold(row, dataset, model, candidates, seen)
        best = max((summary for summary, _ in told), key=lambda summary: summary["miou"])
        found[name] = best["miou"]
        if name == "faseg":
            found["things"], classes = best["things"], best["per_class"]
    return found, classes


def report(found, classes):
    rows = "  ".join(f"{name} {value:.3f}" for name, value in found.items())
    worst = sorted((value, name) for name, value in classes.items() if value == value)
    return f"{rows}  worst: " + ", ".join(f"{name} {value:.2f}" for value, name in worst[:6])


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("weights", nargs="?", default="cartoon")
    p.add_argument("--seeds", type=span, default=range(5000, 5024), metavar="FIRST:LAST")
    p.add_argument("--device", default="auto")
    a = p.parse_args()
    print(report(*probe(minifaseg.load(a.weights, a.device, "float32"), a.seeds)))


if __name__ == "__main__":
    main()
