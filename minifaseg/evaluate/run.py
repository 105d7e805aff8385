"""Every row on every picture: captures shared, results kept picture by picture.

results_folder.py says how results are kept; a killed run goes on where it was.
"""
import re
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image
from tqdm import tqdm

from .. import finite_scores
from ..errors import InputError, OutputError, WeightsError
from ..images import mask_image, write_png
from ..labelling import labels_of
from ..model import Model
from ..origin import Origins, is_sealed, write_sealed
from .bootstrap import counts
from .candidates import Candidates, Captions
from .datasets import Dataset
from .metrics import confusion, match, summary
from .results_folder import Results, dense
from .rows import Row
from .shards import Part, Shard

ByRow = dict[str, np.ndarray]                               # title of a row -> something of it


class Measured(NamedTuple):
    """What `measure` found.

    totals: {row: (n, n + 1)} confusion matrices over all pictures. counts: {row: (S, 3, n)} of each
    picture, see bootstrap.counts; 0 of those left out. failed: how many were left out. computed,
    seconds: how many were computed now, not reused, and how long all of these took.
    """
    totals: ByRow
    counts: ByRow
    failed: int
    computed: int
    seconds: float


def evaluate(*arguments, **options) -> tuple[ByRow, int]:
    """(matrices {row: (n, n + 1)}, number of pictures left out); arguments as for `measure`."""
    measured = measure(*arguments, **options)
    return measured.totals, measured.failed


def measure(rows: Sequence[Row], dataset: Dataset, model: Model, candidates: Candidates,
            captions: Captions | None = None, *, out: str | Path | None = None,
            settings: dict | None = None, unsupervised: bool = False,
            save_masks: str | Path | None = None, progress: bool = True,
            shard: Part | None = None) -> Measured:
    """The confusion matrices of all rows over all S pictures, summed over all processes.

    A picture that cannot be read, captioned or segmented is reported on stderr and left out for
    every row alike. Raises InputError when that is so of all pictures, at the latest after ten;
    OutputError and WeightsError at once.

    out: a folder of results; settings: what the run was asked for, kept there; shard: this
    process's place, if torchrun does not say it.
    """
    shard = shard or Shard(model.device)
    results = Results(out, settings or {}, shard.rank)
    work = Work(rows, dataset, model, candidates, captions, results, unsupervised, save_masks)
    place = {id: i for i, id in enumerate(dataset.ids) if i % shard.world == shard.rank}
    done = done_before(work, list(place), shard)

    n = len(dataset.classes) + 1
    totals = {row.title: np.zeros((n, n + 1), np.int64) for row in rows}
    each = {row.title: np.zeros((len(dataset.ids), 3, n), np.int64) for row in rows}
    computed, seconds = 0, 0.0
    with tqdm(total=len(place), disable=not progress or shard.rank > 0, unit="picture") as bar:
        failures = Failures(lambda line: tqdm.write(line, file=bar.fp))
        for id, i in place.items():
            begun = time.perf_counter()
            try:
                origin = done.get(id) or work.do(id)
            except (OutputError, WeightsError):             # no other picture would fare better
                raise
            except InputError as e:
                failures.add(id, e)
            else:
                failures.success()
                if id not in done:
                    computed += 1
                    seconds += time.perf_counter() - begun
                for title, entries in results.lines[id, origin].items():
                    matrix = dense(entries, n)
                    totals[title] += matrix
                    each[title][i] = counts(matrix)
            bar.update()
            bar.set_postfix_str(f"mIoU {summary(totals[rows[0].title], dataset)['miou']:.3f}")
        failed = int(shard.total(np.array([failures.count]))[0])
        failures.finish(failed, len(dataset.ids))

    totals = {title: shard.total(matrix) for title, matrix in totals.items()}
    each = {title: shard.total(counted) for title, counted in each.items()}
    in_all = shard.total(np.array([computed, seconds]))
    shard.close()
    return Measured(totals, each, failed, int(in_all[0]), float(in_all[1]))


def score(rows: Sequence[Row], dataset: Dataset, model: Model, candidates: Candidates,
          captions: Captions | None, id: str, unsupervised: bool = False) -> tuple[ByRow, ByRow]:
    """({row: (n, n + 1) confusion matrix}, {row: (H, W) labels}) of one picture."""
    image, truth = dataset.read(id)
    classes = () if unsupervised else candidates(id, image, truth)
    n = len(dataset.classes) + 1
    if unsupervised:
        segments = label_rows(rows, model, image, (), captions, id)
        labels = {title: match(truth, found, n) for title, found in segments.items()}
    elif classes:
        to_dataset = dataset.labels_of(classes)
        found = label_rows(rows, model, image, classes, captions, id)
        labels = {title: to_dataset[chosen] for title, chosen in found.items()}
    else:                                                   # nothing to look for
        labels = {row.title: np.zeros_like(truth) for row in rows}
    return {title: confusion(truth, found, n) for title, found in labels.items()}, labels


def label_rows(rows: Sequence[Row], model: Model, image: Image.Image, classes: tuple[str, ...],
               captions: Captions | None, id: str) -> ByRow:
    """{row: (H, W) labels}: 0 background, i the i-th of `classes`.

    Rows with equal keys share captures and scores.
    """
    captured: dict[tuple, Any] = {}
    scores: dict[str, Any] = {}
    labels = {}
    for row in rows:
        if row.capture_key not in captured:
            caption = captions and captions.for_method(row.method, id, image, classes)
            attention = row.method.capture(model, image, classes, caption)
            captured[row.capture_key] = attention
        attention = captured[row.capture_key]
        if row.score_key not in scores:
            scores[row.score_key] = finite_scores(row.method, model, attention)
        labels[row.title] = labels_of(row.method, attention, scores[row.score_key])
    return labels


class Work:
    """What is done for one picture, and what of it was done before."""

    def __init__(self, rows: Sequence[Row], dataset: Dataset, model: Model, candidates: Candidates,
                 captions: Captions | None, results: Results, unsupervised: bool,
                 save_masks: str | Path | None) -> None:
        self.rows, self.dataset, self.model = rows, dataset, model
        self.candidates, self.captions, self.unsupervised = candidates, captions, unsupervised
        self.results, self.save_masks = results, save_masks
        self.origins = None
        if results.file is not None:
            methods = {row.title: [row.name, asdict(row.method)] for row in rows}
            self.origins = Origins(model, dataset.name, dataset.classes, dataset.background,
                                   unsupervised, methods)

    def origin(self, id: str) -> str | None:
        """The origin of a picture's result; None if nothing is kept.

        It stands for the picture and its truth, the weights and hyperparameters of the run, and the
        class names and captions that the methods are given.
        """
        if self.origins is None:
            return None
        content = self.dataset.content(id)
        if content is None:
            return None
        classes = None if self.unsupervised else self.candidates.origin(id)
        return self.origins.made_of(content, classes, self.captions and self.captions.origin(id))

    def finished(self, id: str, origin: str | None) -> bool:
        """Is there a line of this origin, and every mask that is asked for?"""
        if origin is None or (id, origin) not in self.results.lines:
            return False
        if not self.save_masks:
            return True
        masks = {row.title: mask_path(self.save_masks, row, id) for row in self.rows}
        return all(is_sealed(path, origin, title) for title, path in masks.items())

    def do(self, id: str) -> str | None:
        """Segments a picture; returns the origin under which the results hold its matrices now."""
        origin = self.origin(id)                            # before the files are read
        matrices, labels = score(self.rows, self.dataset, self.model, self.candidates,
                                 self.captions, id, self.unsupervised)
        if self.save_masks:
            for row in self.rows:
                path = mask_path(self.save_masks, row, id)
                save_mask(path, labels[row.title], origin, row.title)
        self.results.add(id, origin, matrices)
        return origin


def mask_path(folder: str | Path, row: Row, id: str) -> Path:
    """Where the mask of a picture is saved: folder/row/id.png."""
    return Path(folder) / re.sub(r"[^\w.=-]+", "_", row.title) / f"{id}.png"


def save_mask(path: Path, labels: np.ndarray, origin: str | None, title: str) -> None:
    """Writes a mask as PNG, sealed with its origin if it has one."""
    if origin is None:
        write_png(path, mask_image(labels))
    else:
        write_sealed(path, mask_image(labels), origin, title)


def done_before(work: Work, ids: list[str], shard: Part) -> dict[str, str | None]:
    """{picture id: origin} of those of `ids` that need not be done again.

    The first process prints how many there are, over all processes.
    """
    known = work.results.ids
    origins = {id: work.origin(id) for id in ids if id in known}
    done = {id: origin for id, origin in origins.items() if work.finished(id, origin)}
    reused, stale = shard.total(np.array([len(done), len(origins) - len(done)]))
    total = len(work.dataset.ids)
    if reused and shard.rank == 0:
        print(f"{reused} of {total} pictures were done before, with the same data, lists, weights "
              "and numbers: reused", file=sys.stderr)
    if stale and shard.rank == 0:
        print(f"{stale} of {total} pictures were done before with other data, lists, weights, "
              "numbers or code, or lack a mask: computed anew", file=sys.stderr)
    return done


class Failures:
    """Pictures that are left out, each reported in a line.

    Until one picture has succeeded the lines wait: what is wrong with all is said once.
    """
    PATIENCE = 10                                           # pictures

    def __init__(self, report: Callable[[str], None]) -> None:
        self.report = report
        self.waiting: list[str] = []                        # lines that are not reported yet
        self.count = 0
        self.any_success = False

    def add(self, id: str, error: InputError) -> None:
        """Raises InputError if none of the first ten pictures succeeds."""
        self.count += 1
        self.waiting.append(f"{id}: {error}")
        if self.any_success:
            self.report_waiting()
        elif self.count == self.PATIENCE:
            raise InputError(f"none of the first {self.count} pictures can be used, so no other is "
                             f"tried; the first, {self.waiting[0]}")

    def success(self) -> None:
        self.any_success = True
        self.report_waiting()

    def finish(self, failed: int, total: int) -> None:
        """Raises InputError if all pictures failed. failed, total: pictures of all processes."""
        if failed == total and self.waiting:
            raise InputError(f"none of the {failed} pictures can be used; the first, "
                             f"{self.waiting[0]}")
        self.report_waiting()

    def report_waiting(self) -> None:
        for line in self.waiting:
            self.report(f"{line} (left out)")
        self.waiting.clear()
