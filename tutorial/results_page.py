"""Writes what was measured into results.md, with its pictures and the record of their making."""
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import made_from
from experiments import PLOTS, TABLES, needed
from results_pictures import curves, gallery
from results_tables import numbers_table, table, time_table

from minifaseg.writing import write

# In runs/results: what the search tried, and how long the last run took.
TUNED, LAST = "tuned.json", "last.json"


def report_of(name, setup):
    return json.loads((setup.folder(name) / "table.json").read_text())


def fill(text, name, new):
    """The page with `new` between <!-- name --> and <!-- /name -->."""
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
    new = {}
    for name in TABLES:
        if all(e in measured for e in needed(name)):
            new[name] = table(name, measured, setup.arguments("methods").seeds)
    made = {f"results.md: {name}": setup.record(name) for name in names}
    if (setup.runs / TUNED).exists():
        tuned = json.loads((setup.runs / TUNED).read_text())
        new["numbers"], made["results.md: numbers"] = numbers_table(tuned), tuned["made_from"]
    if (setup.runs / LAST).exists():
        last = json.loads((setup.runs / LAST).read_text())
        new["time"] = time_table({name: setup.seconds(name) for name in names}, last)
    if with_bench:
        new["bench"] = bench(setup)
    for name, number in PLOTS.items():
        if name in measured:
            curves(measured[name], number, setup.figures / f"results-{name}.png")
            made[f"results-{name}.png"] = setup.record(name)
    if "methods" in measured:
        gallery(setup.figures / "results-methods.png", setup.weights)
        made["results-methods.png"] = made_from.now(weights=setup.weights)
    text = setup.page.read_text(encoding="utf-8")
    changed = set()
    for name, lines in new.items():
        before, text = text, fill(text, name, lines)
        if text != before:
            changed.add(name)
    write(setup.page, lambda file: file.write(text.encode()))
    for thing, record in made.items():
        made[thing] = {part: record[part] for part in made_from.PARTS}
    made_from.note(made, setup.figures)
    tell_what_to_read(text, changed | {*(name for name in PLOTS if name in measured)})


def tell_what_to_read(text, changed):
    """Before every paragraph that says what figures show stands <!-- reads table table ... -->."""
    for number, line in enumerate(text.splitlines(), start=1):
        about = re.fullmatch(r"<!-- reads (.*) -->", line)
        if about and {*about[1].split()} & changed:
            print(f"read again, line {number + 1}: it is about {about[1]}")
