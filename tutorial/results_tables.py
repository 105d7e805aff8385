"""The tables of results.md as Markdown."""
from functools import cache

import numpy as np
from experiments import SIDE_BY_SIDE, YARDSTICK, command, needed

from minifaseg.evaluate.ceiling import ceiling
from minifaseg.evaluate.datasets import open_dataset
from minifaseg.evaluate.markdown import table_lines
from minifaseg.evaluate.table import against, with_interval

HEAD = ["row", "mIoU [95 %]", "against the first", "things", "pixel accuracy", "threshold"]
CELLS = (16, 32)


def points(x):
    return "-" if x is None else f"{x:.3f}"


def signed(x):
    return "-" if x is None else f"{x:+.3f}"


def cells_of(name, m):
    """One row: mIoU with its interval, its distance to the first row, and the rest of HEAD.

    m: what was measured of the row, or a part of it.
    """
    threshold = f"{m['numbers']['threshold']:.2f}" if "numbers" in m else ""
    return [name, with_interval(m["miou"], m.get("ci"), points), against(m, signed),
            points(m["things"]), points(m.get("pixel_accuracy")), threshold]


def main_table(report):
    rows = [cells_of(f"`{name}`", m) for name, m in report["methods"].items()]
    return table_lines(HEAD, rows)


@cache
def ceilings(seeds):
    """{row: what perfect maps would reach on these scenes}."""
    dataset = open_dataset("cartoon", seeds=seeds, side=128)
    return {f"perfect maps of {n} x {n} cells": ceiling(dataset, n) for n in CELLS}


def yardsticks(seeds):
    """Rows below the methods: what labels would teach, and what perfect maps would reach."""
    references = YARDSTICK | ceilings(seeds)
    rows = [cells_of(f"*{name}*", m) for name, m in references.items()]
    return table_lines(HEAD, rows)[2:]


def side_by_side(table, measured):
    """mIoU with its interval, of each row that several experiments have in common."""
    reports = {title: measured[name] for title, name in SIDE_BY_SIDE[table].items()}
    head = ["row", *(f"{title} ({report['pictures']} scenes)" for title, report in reports.items())]
    methods = [report["methods"] for report in reports.values()]
    rows = []
    for name in methods[0]:
        if all(name in of_one for of_one in methods):
            found = [of_one[name] for of_one in methods]
            shown = [with_interval(m["miou"], m.get("ci"), points) for m in found]
            rows.append([f"`{name}`", *shown])
    return table_lines(head, rows)


def orders_table(measured):
    """mIoU of each row in experiments that differ only by chance; their mean and range."""
    reports = {title: measured[name] for title, name in SIDE_BY_SIDE["order"].items()}
    rows = []
    for name in next(iter(reports.values()))["methods"]:
        values = np.array([report["methods"][name]["miou"] for report in reports.values()])
        columns = [*values, values.mean(), np.ptp(values)]
        rows.append([f"`{name}`", *map(points, columns)])
    return table_lines(["row", *reports, "mean", "spread"], rows)


def table(name, measured, seeds):
    """Markdown of a table under the command that measures it. seeds: of the scenes for ceilings."""
    names = needed(name)
    others = f"   # and so on: {', '.join(names)}" if len(names) > 1 else ""
    if name == "order":
        lines = orders_table(measured)
    elif name in SIDE_BY_SIDE:
        lines = side_by_side(name, measured)
    else:
        lines = main_table(measured[name])
    if name == "methods":
        lines += yardsticks(seeds)
    return under(f"python -m minifaseg.evaluate {command(names[0])}{others}", lines)


def under(shell_command, lines):
    return "\n".join(["```sh", shell_command, "```", "", *lines])


def numbers_table(tuned):
    """What the search found, and every value that it tried. tuned: see results.tune."""
    rows = []
    for name, method in tuned["methods"].items():
        title = f"`{name}` ({method['tried']} tried)"
        for choice, values in method["choices"].items():
            shown = []
            for text, miou, chosen in values:
                shown.append(f"{f'**{text}**' if chosen else text}: {points(miou)}")
            rows.append([title, choice, "; ".join(shown)])
            title = ""
    head = ["method", "number", "values, and the best mIoU found with each"]
    return under("python -m minifaseg.evaluate.tune", table_lines(head, rows))


def time_table(seconds, last):
    """Seconds of every experiment, all processes together. last: of the last run of results.py."""
    rows = [[f"`{name}`", f"{s:.0f}"] for name, s in seconds.items()]
    rows.append(["in all", f"{sum(seconds.values()):.0f}"])
    lines = table_lines(["experiment", "seconds, all processes together"], rows)
    text = (f"The last run of the command measured {last['measured']} of {last['of']} experiments "
            f"in {last['wall']:.0f} s, by {last['jobs']} processes on {last['device']}.")
    return "\n".join([text, "", *lines])
