"""The rows of a table: methods with their numbers, written as in methods.py.

Without a change a method has its own numbers, what the model's file recommends, and what its
authors use on this data set.
"""
import argparse
import re
from dataclasses import asdict, dataclass

import numpy as np

from ..errors import InputError
from ..methods import make_method, parse_method

# What the released codes use on each data set (sources: the methods' own files).
RELEASED = {"voc": {"faseg": {"threshold": 0.55}, "iseg": {"iterations": 8, "lam": 0.015}},
            "context59": {"iseg": {"iterations": 5, "lam": 0.002}},
            "context60": {"faseg": {"threshold": 0.50}, "iseg": {"iterations": 5, "lam": 0.002}},
            "coco-object": {"faseg": {"threshold": 0.60}, "iseg": {"iterations": 10, "lam": 0.2, "threshold": 0.45}},
            "cityscapes27": {"diffseg": {"tau": (0.9, 0.9, 0.9)}}}


@dataclass(frozen=True)
class Row:
    """name: the row as it was asked for; method: one of METHODS; how: its numbers."""
    name: str
    method: str
    how: object

    @property
    def look(self):
        """What its captured attention depends on: rows of equal `look` share one capture of a picture."""
        return self.method, tuple((k, str(v)) for k, v in sorted(asdict(self.how).items()) if k in self.how.CAPTURE_FIELDS)

    @property
    def numbers(self):
        """All but the thresholds: rows of equal `numbers` share their scores."""
        return self.method, tuple((k, str(v)) for k, v in sorted(asdict(self.how).items()) if k not in ("threshold", "certain"))


def make_rows(specs, model, dataset, sweep=None):
    """Rows of "faseg,iseg:gamma=1" (a text or a list of such), one per value of `sweep` ("tau=1:4:1") for the methods that have it."""
    specs = split(specs) if isinstance(specs, str) else list(specs)
    rows = [make_row(spec, model, dataset) for spec in specs]
    if sweep:
        field, values = parse_sweep(sweep)
        rows = [make_row(f"{row.name}{';' if ':' in row.name else ':'}{field}={v:g}", model, dataset)
                for row in rows if hasattr(row.how, field) for v in values]
        if not rows:
            raise InputError(f"--sweep {sweep}: none of the methods has a number called {field}")
    names = [row.name for row in rows]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"method {name!r} is asked for twice; name every row once")
    return rows


def make_row(spec, model, dataset):
    method, asked = parse_method(spec)
    numbers = dict(RELEASED.get(dataset.name, {}).get(method, {}))
    if not dataset.background:
        numbers["threshold"] = -1e9                                         # every pixel is some class
    numbers |= asked
    return Row(spec, method, make_method(method, model, **numbers))


def split(text):
    """At commas outside brackets."""
    return [part.strip() for part in re.split(r",(?![^()]*\))", text) if part.strip()]


def span(text):
    """"1000:1200" -> range(1000, 1200), for argparse."""
    try:
        first, last = map(int, text.split(":"))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}: write it as FIRST:LAST, such as 1000:1200") from None
    if not 0 <= first < last:
        raise argparse.ArgumentTypeError(f"{text!r}: no scenes")
    return range(first, last)


def positive(text):
    """A whole number from 1, for argparse."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: give a whole number from 1")
    return int(text)


def parse_sweep(text):
    """"threshold=0.3:0.7:0.05" -> ("threshold", [0.3, 0.35, ..., 0.7]); the last value is included."""
    m = re.fullmatch(r"(\w+)=([\d.]+):([\d.]+):([\d.]+)", text)
    first, last, by = map(float, m.groups()[1:]) if m else (0, 0, 0)
    if not m or by <= 0 or last < first:
        raise InputError(f"--sweep {text}: write it as name=first:last:step, such as threshold=0.3:0.7:0.05")
    values = [round(v, 6) for v in np.arange(first, last + by / 2, by).tolist()]
    return m[1], [int(v) if v == int(v) else v for v in values]
