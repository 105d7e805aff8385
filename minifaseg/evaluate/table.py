"""The table of results: Markdown to read, CSV and JSON to compute with, and a plot.

Published figures of the same protocol stand in rows of their own and are marked. They were
measured by others, on other weights; see published.py.
"""
import csv
import io
import json
import math
from collections.abc import Callable
from typing import BinaryIO

from .markdown import table_lines
from .published import PAGE, classes_of, miou, of_same_protocol, threshold_of

COLUMNS = {"miou": "mIoU", "miou_absent_zero": "mIoU, absent = 0", "things": "things",
           "pixel_accuracy": "pixel accuracy"}
PROTOCOL = ["split", "classes", "threshold"]              # columns where published figures stand
RENAMED = {"invseg": "invseg (our reconstruction)"}


def percent(x: float | None) -> str:
    return "-" if x is None or math.isnan(x) else f"{100 * x:.1f}"


def signed(x: float | None) -> str:
    return "-" if x is None or math.isnan(x) else f"{100 * x:+.1f}"


def with_interval(x: float | None, ci, show: Callable[[float | None], str] = percent) -> str:
    """"85.1 [84.2, 86.0]"; the value alone where there is no interval."""
    if not ci:
        return show(x)
    return f"{show(x)} [{show(ci[0])}, {show(ci[1])}]"


def against(m: dict, show: Callable[[float | None], str] = signed) -> str:
    """The difference of a row to the first one, with its interval; empty for the first."""
    difference = m.get("difference")
    return with_interval(difference["miou"], difference["ci"], show) if difference else ""


def markdown(report: dict) -> str:
    """The methods, then every class, as two Markdown tables; 95 % intervals in brackets.

    report: what command.py measured, the keys of its JSON. Below the methods stand published
    figures of the same protocol; of others it is said how many there are.
    """
    left_out = f", {report['failed']} left out" if report["failed"] else ""
    title = (f"{report['dataset']}, {pictures(report)}, weights: {report['weights']}, "
             f"candidates: {report['candidates']}{left_out}")
    published, others = of_same_protocol(report)
    lines = [title, "", *main_table(report, published)]

    if published:
        lines += ["", "Rows in italics are published, not measured here."]
    if others:
        lines += ["", f"{others} published figures on {report['dataset']} are of other protocols, "
                      f"or of one not stated: {PAGE}"]
    return "\n".join([*lines, "", *class_table(report["methods"])]) + "\n"


def main_table(report: dict, published: list[dict[str, str]]) -> list[str]:
    """Its lines: one row a method, then the published figures.

    Where there are several methods, also the difference to the first; where there are published
    figures, also the protocol.
    """
    methods = report["methods"]
    titles = ["method", *COLUMNS.values()]
    compared = any("difference" in m for m in methods.values())
    if compared:
        titles.insert(2, f"against {next(iter(methods))}")
    empty = [""] * (len(titles) - 2)

    rows = []
    for name, m in methods.items():
        cells = [RENAMED.get(name, name), *(percent(m[key]) for key in COLUMNS)]
        cells[1] = with_interval(m["miou"], m.get("ci"))
        if compared:
            cells.insert(2, against(m))
        if published:
            split = f"{report.get('split') or 'list'}, {report['pictures']}"
            cells += [split, classes_of(report), threshold_of(name, report)]
        rows.append(cells)

    for figure in published:
        method, value = f"*{figure['method']}, published*", f"*{miou(figure):.1f}*"
        rows.append([method, value, *empty, *(figure[column] for column in PROTOCOL)])
    return table_lines([*titles, *PROTOCOL] if published else titles, rows)


def class_table(methods: dict[str, dict]) -> list[str]:
    """Its lines: one row a class, one column a method."""
    rows = []
    for c in next(iter(methods.values()))["per_class"]:
        rows.append([c, *(percent(m["per_class"][c]) for m in methods.values())])
    return table_lines(["class", *methods], rows)


def pictures(report: dict) -> str:
    """How many were counted, of how many, and which list names them."""
    count, whole = report["pictures"], report.get("of") or report["pictures"]
    text = f"{count} pictures"
    if count < whole:
        text = f"a part: {count} of {whole} pictures"
    if count > whole:
        text += f" instead of {whole}"
    if report.get("split"):
        text = f"{report['split']}, {text}"
    return f"{text} ({report['list']})" if report.get("list") else text


def as_csv(report: dict) -> str:
    """One row a method: the columns of the table, the ends of the interval, every class."""
    methods = report["methods"]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    classes = next(iter(methods.values()))["per_class"]
    writer.writerow(["method", *COLUMNS, "miou_low", "miou_high", *classes])
    for name, m in methods.items():
        values = [m[key] for key in COLUMNS]
        ends = m.get("ci") or ("", "")
        writer.writerow([name, *values, *ends, *m["per_class"].values()])
    return out.getvalue()


def as_json(report: dict) -> str:
    """NaN, which JSON does not know, becomes null."""
    return json.dumps(without_nan(report))


def without_nan(x):
    if isinstance(x, dict):
        return {k: without_nan(v) for k, v in x.items()}
    if isinstance(x, (list, tuple)):
        return [without_nan(v) for v in x]
    return None if isinstance(x, float) and math.isnan(x) else x


def plot(report: dict, file: BinaryIO, sweep: str | None = None) -> None:
    """Bars of mIoU per method, or one curve per method over the swept hyperparameter, as PNG.

    Needs matplotlib.
    """
    from matplotlib.figure import Figure

    methods = report["methods"]
    size = (6, 4) if sweep else (6, 0.8 + 0.35 * len(methods))
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots()
    if sweep:
        draw_curves(axes, methods, sweep)
    else:
        draw_bars(axes, methods)
    axes.set_title(report["dataset"])
    figure.savefig(file, format="png", dpi=120)


def draw_curves(axes, methods: dict[str, dict], sweep: str) -> None:
    """Rows are called "faseg:tau=1": one curve for each method and its other changes."""
    curves: dict[str, list[tuple[float, float]]] = {}
    for name, m in methods.items():
        spec, _, value = name.rpartition("=")
        method = spec.rpartition(sweep)[0].rstrip(":;")
        curves.setdefault(method, []).append((float(value), 100 * m["miou"]))
    for name, points in curves.items():
        axes.plot(*zip(*points), marker="o", label=RENAMED.get(name, name))
    axes.set(xlabel=sweep, ylabel="mIoU (%)")
    axes.legend()


def draw_bars(axes, methods: dict[str, dict]) -> None:
    names = [RENAMED.get(name, name) for name in methods]
    bars = axes.barh(names, [100 * m["miou"] for m in methods.values()], color="#5b8bd0")
    axes.bar_label(bars, [percent(m["miou"]) for m in methods.values()], padding=3)
    axes.invert_yaxis()
    axes.set(xlabel="mIoU (%)")
    axes.spines[["top", "right"]].set_visible(False)
