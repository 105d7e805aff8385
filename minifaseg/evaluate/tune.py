"""Chooses a method's hyperparameters for a model: the same search and budget for every method.

    python -m minifaseg.evaluate.tune --method faseg,iseg --seeds 5000:5060

Hyperparameter by hyperparameter (choices.py) it tries every value, each at its own best threshold,
and keeps the best; then once more, until a whole round changes nothing or the budget is spent. The
scenes are cartoon scenes that no table uses. Prints what was chosen for each method as JSON, as it
stands in a model's hyperparameter file (cartoon.json beside cartoon.safetensors). With --tried a
stopped search goes on where it was.
"""
import argparse
import json
import sys
from collections.abc import Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

import minifaseg

from ..labelling import pixel_scores
from ..messages import exit_with
from ..methods import split_specs
from ..model import Model
from ..writing import write_text
from . import tries
from .candidates import Candidates, Captions
from .choices import choices, start
from .datasets import IGNORE, Dataset, open_dataset
from .metrics import summary
from .rows import THRESHOLD_FIELDS, Row, positive, span
from .tries import Tries
from .workers import Workers, cores

BUDGET = 60                                               # candidates: every value about twice
SEEDS = range(5000, 5060)
THRESHOLDS = np.arange(0.1, 0.91, 0.05).round(2)

Result = tuple[float, float]                              # (mIoU, the threshold that gives it)
AllCaptured = dict[tuple, list[tuple[np.ndarray, Any]]]   # capture_key -> [(truth, captured)]


# ---- all thresholds at once ---------------------------------------------------------------------
def thresholds(row: Row) -> np.ndarray:
    """(T,) thresholds to try: from 0.1 to 0.9; for scores that are margins, from -0.8 to 0.8."""
    return 2 * THRESHOLDS - 1 if getattr(row.method, "MARGINS", False) else THRESHOLDS


def matrices(row: Row, dataset: Dataset, model: Model, candidates: Candidates,
             all_captured: AllCaptured, captions: Captions | None = None) -> np.ndarray:
    """(T, n, n + 1) confusion matrices of a row, one for each of `thresholds`.

    all_captured: what was captured of the scenes so far; filled as needed.
    """
    if row.capture_key not in all_captured:
        all_captured[row.capture_key] = capture(row, dataset, model, candidates, captions)
    n = len(dataset.classes) + 1
    grid = thresholds(row)
    totals = np.zeros((len(grid), n, n + 1), np.int64)
    for truth, captured in all_captured[row.capture_key]:
        scores = pixel_scores(row.method, captured, row.method.scores(captured))        # (K, H, W)
        best, k = scores.max(0)                                                         # (H, W)
        labels = dataset.labels_of(captured.classes)[k.cpu().numpy() + 1]
        totals += confusions(truth, labels, best.cpu().numpy(), grid, n)
    return totals


def capture(row: Row, dataset: Dataset, model: Model, candidates: Candidates,
            captions: Captions | None) -> list[tuple[np.ndarray, Any]]:
    """[(truth, captured attention)] of every scene."""
    found = []
    for id in dataset.ids:
        image, truth = dataset.read(id)
        classes = candidates(id, image, truth)
        caption = captions and captions.for_method(row.method, id, image, classes)
        found.append((truth, row.method.capture(model, image, classes, caption)))
    return found


def confusions(truth: np.ndarray, labels: np.ndarray, scores: np.ndarray, grid: np.ndarray,
               n: int) -> np.ndarray:
    """(T, n, n + 1) counts of a picture for T rising thresholds at once.

    A pixel has its label of `labels` (H, W) where `scores` (H, W) reach the threshold, else 0, the
    background.
    """
    T = len(grid)
    passed = np.searchsorted(grid.astype(np.float32), scores.astype(np.float32), side="right")
    kept = truth != IGNORE
    pairs = truth[kept].astype(np.int64) * n + labels[kept]
    counts = np.bincount(pairs * (T + 1) + passed[kept], minlength=n * n * (T + 1))
    counts = counts.reshape(n, n, T + 1)                        # (truth, label, thresholds passed)
    below = np.moveaxis(counts.cumsum(2)[..., :T], 2, 0)        # (T, n, n): below each threshold
    found = np.zeros((T, n, n + 1), np.int64)
    found[..., :n] = counts.sum(2) - below
    found[..., 0] += below.sum(2)
    return found


def at_every_threshold(row: Row, dataset: Dataset, *arguments) -> list[tuple[dict, float]]:
    """[(summary, threshold)] of a row; arguments as for `matrices`."""
    totals = matrices(row, dataset, *arguments)
    return [(summary(m, dataset), float(t)) for m, t in zip(totals, thresholds(row))]


def best_of(totals: np.ndarray, row: Row, dataset: Dataset) -> Result:
    """(mIoU, threshold) of the best threshold; of equal ones the highest. totals: (T, n, n + 1)."""
    mious = [summary(m, dataset)["miou"] for m in totals]
    return max(zip(mious, thresholds(row).round(2).tolist()))


def at_threshold(method: Any, threshold: float) -> Any:
    """The same method with this threshold, and no pixel "uncertain": tables have no such pixels."""
    fields = [name for name in THRESHOLD_FIELDS if hasattr(method, name)]
    return replace(method, **dict.fromkeys(fields, threshold))


# ---- the scenes, shared among processes ---------------------------------------------------------
def tuning_scenes(seeds: Iterable[int], model: Model) -> tuple[Dataset, Candidates]:
    """Cartoon scenes; the classes of each are looked for, in an order by chance."""
    dataset = open_dataset("cartoon", seeds=seeds, side=model.side)
    return dataset, Candidates("gt", dataset, shuffle=0)


class Scenes:
    """Every `jobs`-th of the tuning scenes, and what was captured of them."""

    def __init__(self, model: Model, seeds: Iterable[int], captions: Captions | None = None,
                 rank: int = 0, jobs: int = 1) -> None:
        self.model, self.captions = model, captions
        self.captured: AllCaptured = {}
        self.dataset, self.candidates = tuning_scenes(seeds, model)
        self.mine = replace(self.dataset, ids=self.dataset.ids[rank::jobs])

    def matrices(self, row: Row, keep: Collection[tuple] = ()) -> np.ndarray:
        """(T, n, n + 1) confusion matrices of these scenes.

        Captures are large: of the row's method only those of the row and of `keep` (capture keys)
        stay in memory.
        """
        for key in list(self.captured):
            if key[0] == row.name and key != row.capture_key and key not in keep:
                del self.captured[key]
        return matrices(row, self.mine, self.model, self.candidates, self.captured, self.captions)

    def forget(self, name: str) -> None:
        """Drops what was captured for a method."""
        self.captured = {key: c for key, c in self.captured.items() if key[0] != name}


def open_scenes(weights: str | Path, device: str, seeds: Iterable[int], captions: Captions | None,
                rank: int, jobs: int) -> Scenes:
    """The scenes of one process, with a model of its own."""
    model = minifaseg.load(weights, device, "float32")
    return Scenes(model, seeds, captions, rank, jobs)


def measure(rows: Sequence[Row], workers: Workers, dataset: Dataset, known: Tries,
            keep: Collection[tuple] = ()) -> list[Result]:
    """(mIoU, threshold) of every row on the scenes that the workers share.

    What is in `known` is not measured; what is measured is added to it.
    """
    new = {row.score_key: row for row in rows if known.get(row) is None}
    waiting = [(row, workers.submit("matrices", row, keep)) for row in new.values()]
    for row, parts in waiting:
        totals = sum(part.result() for part in parts)
        known.add(row, *best_of(totals, row, dataset))
    return [known.found[row.score_key] for row in rows]


def with_best_thresholds(rows: Sequence[Row], model: Model, seeds: Sequence[int],
                         captions: Captions | None = None,
                         file: str | Path | None = None) -> list[Row]:
    """The rows, each with its own best threshold on these scenes.

    Rows with equal capture keys share what was captured; what was found is kept in `file`.
    """
    known = Tries(file, tries.origin(model, seeds, captions) if file else None)
    workers = Workers(1, Scenes, model, seeds, captions)
    in_order = sorted(rows, key=lambda row: row.capture_key)
    measure(in_order, workers, workers.here.dataset, known)
    return [replace(row, method=at_threshold(row.method, known.found[row.score_key][1]))
            for row in rows]


# ---- the search ---------------------------------------------------------------------------------
def make(name: str, hyperparameters: dict[str, Any]) -> Row:
    """The row of a method with these hyperparameters."""
    return Row(name, name, minifaseg.make_method(name, **hyperparameters))


class Search:
    """The search for one method's hyperparameters.

    best: the best so far; value: what it reaches; tried: every candidate's result, by score key.
    """

    def __init__(self, name: str, workers: Workers, dataset: Dataset, known: Tries,
                 budget: int = BUDGET) -> None:
        self.name, self.workers, self.dataset = name, workers, dataset
        self.known, self.budget = known, budget
        self.tried: dict[str, Result] = {}
        self.any_measured = False
        self.best = start(name)
        self.value = self.results([self.best])[0]

    def run(self) -> dict[str, Any]:
        """The hyperparameters found, threshold included, as a dict of the method's fields."""
        improved = True
        while improved and len(self.tried) < self.budget:
            before = self.value
            for choice, values in choices(self.name).items():
                self.choose(choice, values)
            improved = self.value[0] > before[0]
        if self.any_measured:
            for done in self.workers.submit("forget", self.name):
                done.result()
        found = asdict(at_threshold(make(self.name, self.best).method, self.value[1]))
        return {k: v for k, v in found.items() if k in self.best or k in THRESHOLD_FIELDS}

    def choose(self, choice: str, values: list[dict[str, Any]]) -> None:
        """Takes the best value of one choice, if it is better than what there is."""
        found = self.results([self.best | value for value in values])
        highest = max(found)
        if highest[0] > self.value[0]:
            self.best |= values[found.index(highest)]
            self.value = highest
        miou, threshold = self.value
        print(f"{self.name} {choice} = {shown(self.best, values[0])}: mIoU {miou:.4f} at threshold "
              f"{threshold:.2f} ({len(self.tried)} of {self.budget} tried)",
              file=sys.stderr, flush=True)

    def results(self, candidates: list[dict[str, Any]]) -> list[Result]:
        """(mIoU, threshold) of every candidate; (-1, 0) for those that the budget leaves out."""
        rows = [make(self.name, candidate) for candidate in candidates]
        untried = {row.score_key: row for row in rows if row.score_key not in self.tried}
        new = list(untried.values())[:self.budget - len(self.tried)]
        self.any_measured |= any(self.known.get(row) is None for row in new)
        keep = (make(self.name, self.best).capture_key,)
        found = measure(new, self.workers, self.dataset, self.known, keep)
        self.tried.update(zip(untried, found))
        return [self.tried.get(row.score_key, (-1.0, 0.0)) for row in rows]


def shown(hyperparameters: dict[str, Any], names: Collection[str]) -> str:
    """The value of one choice, as text."""
    if len(names) == 1:
        return str(hyperparameters[next(iter(names))])
    return ", ".join(f"{name} {hyperparameters[name]}" for name in names)


def tune_all(names: Sequence[str], weights: str | Path, seeds: Sequence[int], device: str = "auto",
             jobs: int = 1, budget: int = BUDGET,
             file: str | Path | None = None) -> dict[str, dict[str, Any]]:
    """{method's name: its hyperparameters}.

    Where processes are many, several methods are searched at once, since each waits for its last
    scene after every try.
    """
    model = minifaseg.load(weights, device, "float32")
    dataset, _ = tuning_scenes(seeds, model)
    known = Tries(file, tries.origin(model, seeds) if file else None)
    jobs = min(jobs, len(dataset.ids))
    with ThreadPoolExecutor(max(1, jobs // 4)) as threads:
        with Workers(jobs, open_scenes, weights, device, seeds, None) as workers:
            def search(name: str) -> dict[str, Any]:
                return Search(name, workers, dataset, known, budget).run()
            return dict(zip(names, threads.map(search, names)))


def as_file(found: dict[str, dict[str, Any]]) -> str:
    """The text of a hyperparameter file: one method a line."""
    lines = [f' "{name}": {json.dumps(chosen)}' for name, chosen in found.items()]
    return "{\n" + ",\n".join(lines) + "\n}\n"


# ---- the command --------------------------------------------------------------------------------
def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--method", default=",".join(minifaseg.METHODS))
    p.add_argument("--seeds", type=span, default=SEEDS, metavar="FIRST:LAST",
                   help="cartoon scenes (default 5000:5060)")
    p.add_argument("--weights", default="cartoon")
    p.add_argument("--device", default="auto")
    p.add_argument("--jobs", type=positive, default=cores(), metavar="N",
                   help="processes (default: one for each core)")
    p.add_argument("--save", metavar="FILE", help="also write the JSON there")
    p.add_argument("--tried", metavar="FILE", help="keep every candidate there, one JSON object a "
                   "line; the same command again goes on where it was")
    p.add_argument("--budget", type=positive, default=BUDGET)
    return p


def run(a: argparse.Namespace) -> int:
    """What the command does, and its exit code."""
    found = as_file(tune_all(split_specs(a.method), a.weights, a.seeds, a.device, a.jobs, a.budget,
                             a.tried))
    if a.save:
        write_text(a.save, found)
    print(found, end="")
    return 0


def main() -> None:
    a = parser().parse_args()
    exit_with(lambda: run(a), "minifaseg.evaluate.tune", a.tried)


if __name__ == "__main__":
    main()
