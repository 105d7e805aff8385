"""How far is a training? FA-Seg's mIoU on a few tuning scenes, and what each level holds alone.

    python -m minifaseg.evaluate.probe runs/cartoon/cartoon.safetensors
"""
import argparse

import minifaseg

from ..model import Model
from .rows import Row, span
from .tune import at_every_threshold, tuning_scenes

HYPERPARAMETERS = {"timestep": 10, "steps": 0, "noise": True, "sample": False,
                   "cross": (0, .1, .7, .2), "levels": (0, 0, .7, .3), "tau": 1}
LEVELS = ("4x4", "8x8", "16x16", "32x32")
SEEDS = range(5000, 5024)


def one_level(level: int) -> tuple[float, ...]:
    """Weights of the levels: 1 for this one, 0 for the others."""
    return tuple(float(i == level) for i in range(len(LEVELS)))


def probe(model: Model, seeds: range = SEEDS) -> tuple[dict[str, float], dict[str, float]]:
    """{row: mIoU}, each at its best threshold, and {class: IoU} of FA-Seg.

    The rows are FA-Seg; its mIoU over things; and for each level words from this level alone
    (cross-attention, nothing refined) and refinement by this level alone.
    """
    changes: dict[str, dict] = {"faseg": {}}
    for level, name in enumerate(LEVELS[1:], start=1):
        changes[f"words {name}"] = {"cross": one_level(level), "tau": 0, "flip": False}
        changes[f"refined {name}"] = {"levels": one_level(level)}

    dataset, candidates = tuning_scenes(seeds, model)
    captured: dict = {}
    found: dict[str, float] = {}
    for title, changed in changes.items():
        row = Row(title, "faseg", minifaseg.make_method("faseg", **HYPERPARAMETERS | changed))
        results = at_every_threshold(row, dataset, model, candidates, captured)
        best = max((summary for summary, _ in results), key=lambda summary: summary["miou"])
        found[title] = best["miou"]
        if title == "faseg":
            found["things"] = best["things"]
            classes = best["per_class"]
    return found, classes


def report(found: dict[str, float], classes: dict[str, float]) -> str:
    """One line: every row's mIoU, and the six worst classes."""
    rows = "  ".join(f"{title} {value:.3f}" for title, value in found.items())
    known = [(value, name) for name, value in classes.items() if value == value]     # not NaN
    worst = ", ".join(f"{name} {value:.2f}" for value, name in sorted(known)[:6])
    return f"{rows}  worst: {worst}"


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("weights", nargs="?", default="cartoon")
    p.add_argument("--seeds", type=span, default=SEEDS, metavar="FIRST:LAST")
    p.add_argument("--device", default="auto")
    a = p.parse_args()
    print(report(*probe(minifaseg.load(a.weights, a.device, "float32"), a.seeds)))


if __name__ == "__main__":
    main()
