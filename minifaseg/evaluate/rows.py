"""The rows of a table: methods with their hyperparameters, written as in methods.py.

A hyperparameter that is not asked for is the method's own default, what the model's file
recommends, or what its authors use on this data set.
"""
import argparse
import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ..errors import InputError
from ..methods import make_method, parse_method, split_specs
from ..model import Model
from .datasets import Dataset

# What the released codes use on each data set (sources: the methods' own files).
RELEASED: dict[str, dict[str, dict[str, Any]]] = {
    "voc": {"faseg": {"threshold": 0.55}, "iseg": {"iterations": 8, "lam": 0.015}},
    "context59": {"iseg": {"iterations": 5, "lam": 0.002}},
    "context60": {"faseg": {"threshold": 0.50}, "iseg": {"iterations": 5, "lam": 0.002}},
    "coco-object": {"faseg": {"threshold": 0.60},
                    "iseg": {"iterations": 10, "lam": 0.2, "threshold": 0.45}},
    "cityscapes27": {"diffseg": {"tau": (0.9, 0.9, 0.9)}}}
THRESHOLD_FIELDS = ("threshold", "certain")             # they change labels, but no score


@dataclass(frozen=True)
class Row:
    """One row of a table.

    title: the row as it was asked for, such as "faseg:tau=0"; name: the method's name, one of
    METHODS; method: the method object, which holds the hyperparameters.
    """
    title: str
    name: str
    method: Any

    @property
    def hyperparameters(self) -> dict[str, Any]:
        """All but the thresholds."""
        fields = asdict(self.method).items()
        return {k: v for k, v in fields if k not in THRESHOLD_FIELDS}

    @property
    def capture_key(self) -> tuple:
        """What captured attention depends on: rows with equal keys share a capture of a picture."""
        values = vars(self.method)
        return self.name, tuple((k, str(values[k])) for k in sorted(self.method.CAPTURE_FIELDS))

    @property
    def score_key(self) -> str:
        """What scores depend on: rows with equal keys differ in nothing but the thresholds."""
        return json.dumps([self.name, self.hyperparameters], sort_keys=True)


def make_rows(specs: str | Iterable[str], model: Model | None, dataset: Dataset,
              sweep: str | None = None) -> list[Row]:
    """The rows of "faseg,iseg:gamma=1" (a text, or a list of such texts).

    sweep: such as "tau=1:4:1": one row per value, for the methods that have this hyperparameter.
    Raises InputError for rows or sweeps that cannot be made, and for a row that is asked for twice.
    """
    specs = split_specs(specs) if isinstance(specs, str) else specs
    rows = [make_row(spec, model, dataset) for spec in specs]
    if sweep:
        rows = sweep_rows(rows, sweep, model, dataset)
    titles = [row.title for row in rows]
    for title in titles:
        if titles.count(title) > 1:
            raise InputError(f"method {title!r} is asked for twice; name every row once")
    return rows


def make_row(spec: str, model: Model | None, dataset: Dataset) -> Row:
    """The row of one method, such as "faseg:tau=0;flip=False"."""
    name, asked = parse_method(spec)
    hyperparameters = dict(RELEASED.get(dataset.name, {}).get(name, {}))
    if not dataset.background:
        hyperparameters["threshold"] = -1e9                     # every pixel is some class
    return Row(spec, name, make_method(name, model, **hyperparameters | asked))


def sweep_rows(rows: list[Row], sweep: str, model: Model | None, dataset: Dataset) -> list[Row]:
    """For each row whose method has the swept hyperparameter, one row per value."""
    field, values = parse_sweep(sweep)
    found = []
    for row in rows:
        if hasattr(row.method, field):
            start = f"{row.title}{';' if ':' in row.title else ':'}{field}"
            found += [make_row(f"{start}={value:g}", model, dataset) for value in values]
    if not found:
        raise InputError(f"--sweep {sweep}: none of the methods has a number called {field}")
    return found


def parse_sweep(text: str) -> tuple[str, list[float]]:
    """"threshold=0.3:0.7:0.05" -> ("threshold", [0.3, 0.35, ..., 0.7]); includes the last value."""
    match = re.fullmatch(r"(\w+)=([\d.]+):([\d.]+):([\d.]+)", text)
    first, last, step = map(float, match.groups()[1:]) if match else (0, 0, 0)
    if not match or step <= 0 or last < first:
        raise InputError(f"--sweep {text}: write it as name=first:last:step, such as "
                         "threshold=0.3:0.7:0.05")
    values = [round(v, 6) for v in np.arange(first, last + step / 2, step).tolist()]
    return match[1], [int(v) if v.is_integer() else v for v in values]


def span(text: str) -> range:
    """"1000:1200" -> range(1000, 1200), for argparse."""
    try:
        first, last = map(int, text.split(":"))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}: write it as FIRST:LAST, such as "
                                         "1000:1200") from None
    if not 0 <= first < last:
        raise argparse.ArgumentTypeError(f"{text!r}: no scenes")
    return range(first, last)


def positive(text: str) -> int:
    """A whole number from 1, for argparse."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: give a whole number from 1")
    return int(text)
