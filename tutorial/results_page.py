"""Writes what was measured into results.md and results.csv, with pictures and their record."""
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import made_from
from experiments import PLOTS, TABLES, needed
from results_csv import write_csv
from results_pictures import curves, gallery
from results_tables import numbers_table, table, time_table

from minifaseg.writing import write_text

# In runs/results: what the search tried, and how long the last run took.
TUNED, LAST = "tuned.json", "last.json"


def report_of(name, setup):
    return json.loads((setup.folder(name) / "table.json").read_text())


def fill(text, name, new):
    """The text with `new` between <!-- name --> and <!-- /name -->."""
    block = rf"<!-- {name} -->.*?<!-- /{name} -->"
    return re.sub(block, lambda _: f"<!-- {name} -->\n{new}\n<!-- /{name} -->", text, flags=re.S)


def bench(setup):
    """The tables of `python -m minifaseg.bench`; its plot -> figures/results-bench.png."""
    subprocess.run([sys.executable, "-m", "minifaseg.bench"], check=True, stdout=subprocess.DEVNULL)
    shutil.copy("runs/bench/plot.png", setup.figures / "results-bench.png")
    report = Path("runs/bench/report.md").read_text(encoding="utf-8")
    return f"```sh\npython -m minifaseg.bench\n```\n\n{report.rstrip()}"


def write_page(names, setup, with_bench):
    """Every table and plot for which these experiments are enough, and what they were made from."""
    measured = {name: report_of(name, setup) for name in names}
    made = {f"results.md: {name}": setup.record(name) for name in names}
    plotted = [name for name in PLOTS if name in measured]
    for name in plotted:
        curves(measured[name], PLOTS[name], setup.figures / f"results-{name}.png")
        made[f"results-{name}.png"] = setup.record(name)
    if "methods" in measured:
        gallery(setup.figures / "results-methods.png", setup.weights)
        made["results-methods.png"] = made_from.now(weights=setup.weights)

    tables = tables_of(measured, setup)
    if (setup.runs / TUNED).exists():
        tuned = json.loads((setup.runs / TUNED).read_text())
        tables["numbers"] = numbers_table(tuned)
        made["results.md: numbers"] = tuned["made_from"]
    if with_bench:
        tables["bench"] = bench(setup)
    changed = fill_page(setup.page, tables)
    write_csv(setup.csv, measured, setup.arguments("methods").seeds)

    for thing, record in made.items():
        made[thing] = {part: record[part] for part in made_from.PARTS}
    made_from.note(made, setup.figures)
    print_what_to_read(setup.page, changed.union(plotted))


def tables_of(measured, setup):
    """{marker: Markdown} of every table for which these experiments are enough."""
    tables = {}
    for name in TABLES:
        if all(e in measured for e in needed(name)):
            tables[name] = table(name, measured, setup.arguments("methods").seeds)
    if (setup.runs / LAST).exists():
        last = json.loads((setup.runs / LAST).read_text())
        tables["time"] = time_table({name: setup.seconds(name) for name in measured}, last)
    return tables


def fill_page(page, tables):
    """Writes the tables into the page; returns the markers of those that changed."""
    text = page.read_text(encoding="utf-8")
    changed = set()
    for name, lines in tables.items():
        filled = fill(text, name, lines)
        if filled != text:
            changed.add(name)
        text = filled
    write_text(page, text)
    return changed


def print_what_to_read(page, changed):
    """Before every paragraph that says what figures show stands <!-- reads table table ... -->."""
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), start=1):
        about = re.fullmatch(r"<!-- reads (.*) -->", line)
        if about and {*about[1].split()} & changed:
            print(f"read again, line {number + 1}: it is about {about[1]}")
