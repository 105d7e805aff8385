"""results.md: every table under its command, what it was made from, numbers in two places."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from minifaseg import load
from minifaseg.evaluate.command import main
from minifaseg.evaluate.datasets import open_dataset
from minifaseg.evaluate.rows import make_rows

ROOT = Path(__file__).parents[1]
TUTORIAL = ROOT / "tutorial"
NOT_YET = "*not measured yet*"


@pytest.fixture(autouse=True)
def tutorial_on_path(monkeypatch):
    monkeypatch.syspath_prepend(str(TUTORIAL))


def tables():
    """{marker: what stands there} of results.md; fails as expected while nothing is measured."""
    text = (TUTORIAL / "results.md").read_text(encoding="utf-8")
    told = dict(re.findall(r"<!-- (\w+) -->\n(.*?)\n<!-- /\1 -->", text, flags=re.S))
    if all(content == NOT_YET for name, content in told.items() if name != "bench"):
        pytest.xfail("nothing is measured yet: python tutorial/results.py --all")
    return told


def rows_of(table):
    """{row: [cells]} of a Markdown table, intervals dropped."""
    lines = [line.strip("| ").split(" | ") for line in table.splitlines() if line.startswith("| ")]
    return {
        name.strip("`"): [cell.partition(" [")[0].strip(" |") for cell in cells]
        for name, *cells in lines
    }


def test_every_experiment_is_a_command_of_the_bench():
    """With rows whose first one is what the others are compared with, and a table or a plot."""
    import experiments as e

    model = load("cartoon")
    for name in e.EXPERIMENTS:
        a = e.arguments(name)
        rows = make_rows(
            a.method, model, open_dataset("cartoon", seeds=a.seeds, side=model.side), a.sweep
        )
        assert rows and e.methods_of(name) == {row.name for row in rows if row.name}
    shown = {name for table in [*e.TABLES, *e.PLOTS] for name in e.needed(table)}
    assert shown == set(e.EXPERIMENTS)
    assert all(
        f"<!-- {table} -->" in (TUTORIAL / "results.md").read_text(encoding="utf-8")
        for table in e.TABLES
    )


def test_ablations_give_every_row_its_own_threshold():
    import experiments as e

    for name in (
        "steps",
        "ablation",
        "captions",
        "tau",
        "timestep",
        "inversion",
        "onecall",
        "invseg",
        "twins",
    ):
        a = e.arguments(name)
        assert a.thresholds and not set(a.thresholds) & set(a.seeds)


def test_results_hold_what_their_commands_say():
    """Every table of results.md stands under the command of its experiment; no row is missing. Of
    experiments side by side the rows that all of them have."""
    import experiments as e

    told, model = tables(), load("cartoon")
    assert set(told) == {*e.TABLES, "numbers", "time", "bench"}
    for table in e.TABLES:
        first, *others = e.needed(table)
        assert f"python -m minifaseg.evaluate {e.command(first)}" in told[table]
        found = [name for name in rows_of(told[table]) if not name.startswith(("*", "row", "---"))]
        rows = names_of(first, model)
        for other in others:
            rows = [name for name in rows if name in names_of(other, model)]
        assert found == rows


def names_of(experiment, model):
    import experiments as e

    a = e.arguments(experiment)
    dataset = open_dataset("cartoon", seeds=a.seeds, side=model.side)
    return [row.title for row in make_rows(a.method, model, dataset, a.sweep)]


def test_tables_and_plots_are_of_the_shipped_weights():
    """The record of what each was made from fits cartoon.safetensors, cartoon.json and the
    experiments; notebooks and README's row fit the weights."""
    import made_from

    tables()
    assert made_from.old(parts=("weights", "numbers", "experiment")) == {}


def test_what_is_old_is_noticed(tmp_path):
    import made_from

    today = made_from.expected()
    assert len(made_from.old(folder=tmp_path)) == len(today)  # no record at all
    made_from.note(today, tmp_path)
    assert made_from.old(folder=tmp_path) == {}
    for part, why in made_from.PARTS.items():
        changed = today["results.md: steps"] | {part: "other"}
        made_from.note({"results.md: steps": changed}, tmp_path)
        assert made_from.old(folder=tmp_path) == {"results.md: steps": f"made from {why}"}
        assert made_from.old(set(made_from.PARTS) - {part}, tmp_path) == {}


def test_numbers_count_where_they_are_used(tmp_path):
    """Another number of iSeg makes the tables old in which iSeg stands, and no other."""
    import made_from

    weights = tmp_path / "cartoon.safetensors"
    weights.write_bytes(b"weights")
    numbers = json.loads(made_from.WEIGHTS.with_suffix(".json").read_text())
    before = {}
    for changed in (numbers, numbers | {"iseg": numbers["iseg"] | {"gamma": 9.0}}):
        weights.with_suffix(".json").write_text(json.dumps(changed))
        for name in ("methods", "steps", "invseg"):
            before.setdefault(name, []).append(made_from.of_experiment(name, weights)["numbers"])
    assert {name: len({*found}) for name, found in before.items()} == {
        "methods": 2,
        "steps": 1,
        "invseg": 1,
    }


def test_measured_and_results_agree():
    """FA-Seg's four rows of measured.md are those of the table of its parts."""
    page = (ROOT / "tutorial" / "measured.md").read_text(encoding="utf-8")
    steps = rows_of(tables()["steps"])
    shown = {
        "cross-attention alone": "faseg:tau=0;flip=False",
        "+ HARD": "faseg:flip=False",
        "+ TTF": "faseg:tau=0",
        "FA-Seg (both)": "faseg",
    }
    for title, row in shown.items():
        told = re.search(
            rf"^{re.escape(title)} +mIoU (\S+) +things (\S+) +pixel accuracy (\S+)",
            page,
            flags=re.M,
        )
        miou, _, things, accuracy, _ = steps[row]
        assert list(told.groups()) == [miou, things, accuracy], f"measured.md: {title}"


def test_the_yardstick_is_the_same_in_measured_and_results():
    import experiments as e

    page = (ROOT / "tutorial" / "measured.md").read_text(encoding="utf-8")
    told, alone = e.YARDSTICK.values()
    said = re.search(
        r"mIoU (0\.\d+), things (0\.\d+), with the scene's classes given; (0\.\d+) without", page
    )
    assert [float(x) for x in said.groups()] == [told["miou"], told["things"], alone["miou"]]


@pytest.mark.slow
def test_results_are_what_the_bench_measures(tmp_path):
    """Two experiments on three scenes, in processes, with thresholds found beforehand: the table of
    the bench's own command. A second run measures nothing and changes nothing."""
    run = [
        sys.executable,
        "tutorial/results.py",
        "steps",
        "captions",
        "--jobs",
        "2",
        "--dry-run",
        str(tmp_path / "dry"),
    ]
    first = subprocess.run(run, cwd=ROOT, check=True, capture_output=True, text=True)
    assert re.search(r"steps: \d+ s", first.stdout) and "2 of " in first.stdout
    page = tmp_path / "dry/results.md"
    before = page.read_bytes()
    second = subprocess.run(run, cwd=ROOT, check=True, capture_output=True, text=True)
    assert not re.search(r"steps: \d+ s", second.stdout) and page.read_bytes() == before
    rows = "faseg:tau=0;flip=False,faseg:flip=False,faseg:tau=0,faseg"
    with pytest.raises(SystemExit) as end:
        main(
            [
                "cartoon",
                "--weights",
                "cartoon",
                "--device",
                "cpu",
                "--seeds",
                "1000:1003",
                "--shuffle-classes",
                "0",
                "--thresholds",
                "5000:5003",
                "--method",
                rows,
                "--json",
                str(tmp_path / "bench.json"),
            ]
        )
    assert not end.value.code
    theirs = json.loads((tmp_path / "bench.json").read_text())["methods"]
    (ours,) = (tmp_path / "dry/runs").glob("steps-*/table.json")
    assert json.loads(ours.read_text())["methods"] == theirs
    table = rows_of(
        re.search(r"<!-- steps -->\n(.*?)\n<!-- /steps -->", before.decode(), flags=re.S)[1]
    )
    assert {name: table[name][0] for name in theirs} == {
        name: f"{m['miou']:.3f}" for name, m in theirs.items()
    }
    record = json.loads((tmp_path / "dry/figures/made_from.json").read_text())
    assert {"results.md: steps", "results.md: captions"} <= set(record)
