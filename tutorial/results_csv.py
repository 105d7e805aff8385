"""Writes results.csv: the figures of results.md and of its plots, every class too, to compute with.

    import pandas
    rows = pandas.read_csv("tutorial/results.csv")
    rows[rows.experiment == "methods"].set_index("row").miou

One line for each row of each experiment. miou_low and miou_high are the ends of the 95 % interval;
`difference` is the distance to the first row of the same experiment, with its interval. Then comes
the IoU of every class of the cartoon world. The scenes of `twins` have other classes; of theirs
only those stand here that both worlds have. A figure that does not exist is an empty cell.

What is no method has experiments of its own: `yardstick` and `ceiling`.
"""
import csv
import io
import math
from pathlib import Path

from experiments import EXPERIMENTS, YARDSTICK, command
from results_tables import ceilings

from minifaseg.cartoon.words import CLASSES
from minifaseg.writing import write_text

COLUMNS = ["experiment", "command", "row", "pictures", "threshold", "miou", "miou_low", "miou_high",
           "difference", "difference_low", "difference_high", "things", "pixel_accuracy",
           "background", *CLASSES]
REFERENCES = {"yardstick": "python tutorial/yardstick.py --pictures 20000",
              "ceiling": "python tutorial/results.py methods"}
DIGITS = 6                    # rounded once more, to the page's three, they are the page's figures


def rounded(x: float | None) -> float | str:
    """A figure as it is written; empty where there is none."""
    return "" if x is None or math.isnan(x) else round(x, DIGITS)


def cells_of(row: str, m: dict) -> dict:
    """What was measured of one row, or a part of it, as {column: cell}."""
    low, high = m.get("ci") or (None, None)
    difference = m.get("difference") or {}
    difference_low, difference_high = difference.get("ci") or (None, None)
    figures = {
        "threshold": m.get("numbers", {}).get("threshold"),
        "miou": m["miou"], "miou_low": low, "miou_high": high,
        "difference": difference.get("miou"),
        "difference_low": difference_low, "difference_high": difference_high,
        "things": m["things"], "pixel_accuracy": m.get("pixel_accuracy"),
        **m.get("per_class", {}),
    }
    return {"row": row, **{column: rounded(x) for column, x in figures.items()}}


def of_experiment(name: str, report: dict) -> list[dict]:
    """The rows of one experiment. report: its table.json."""
    about = {"experiment": name, "command": f"python -m minifaseg.evaluate {command(name)}",
             "pictures": report["pictures"]}
    return [about | cells_of(row, m) for row, m in report["methods"].items()]


def of_references(seeds: range) -> dict[str, list[dict]]:
    """The rows below the methods, as {experiment: rows}. seeds: of the scenes for ceilings."""
    found = {}
    for name, measured in (("yardstick", YARDSTICK), ("ceiling", ceilings(seeds))):
        about = {"experiment": name, "command": REFERENCES[name], "pictures": len(seeds)}
        found[name] = [about | cells_of(row, m) for row, m in measured.items()]
    return found


def read(path: Path) -> dict[str, list[dict]]:
    """{experiment: its rows} of a results.csv, all cells texts; {} where there is no file."""
    found: dict[str, list[dict]] = {}
    if path.exists():
        with open(path, newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                found.setdefault(row["experiment"], []).append(row)
    return found


def write_csv(path: Path, measured: dict[str, dict], seeds: range) -> None:
    """Writes the rows of these experiments; those of others stay as they are, as on the page.

    measured: {experiment: its table.json}. What each row was made from is what the record says of
    "results.md: EXPERIMENT" (made_from.py): both are written together.
    """
    found = read(path)
    found |= {name: of_experiment(name, report) for name, report in measured.items()}
    if "methods" in measured:
        found |= of_references(seeds)
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for name in (*EXPERIMENTS, *REFERENCES):
        writer.writerows(found.get(name, []))
    write_text(path, out.getvalue())
