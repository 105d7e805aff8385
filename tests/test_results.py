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


def csv_rows():
    """{(experiment, row): cells} of results.csv."""
    import results_csv

    read = results_csv.read(TUTORIAL / "results.csv")
    return {(name, row["row"]): row for name, rows in read.items() for row in rows}


def figures_of(cell):
    """The figures of a cell of the page: "0.852 [0.836, 0.867]" -> three; of an empty one none."""
    return [float(x) for x in re.findall(r"[-+]?\d+\.\d+", cell)]


def page_figures():
    """[(experiment, row, {columns of results.csv: the cell of the page})] of all tables there."""
    import experiments as e

    found = []
    for name in e.TABLES:
        lines = [line for line in tables()[name].splitlines() if line.startswith("| ")]
        _, *rows = [[cell.strip() for cell in line[1:-1].split("|")] for line in lines]
        for title, *cells in rows:
            row = title.strip("`*")
            if name in e.SIDE_BY_SIDE:
                columns = ("miou",) if name == "order" else ("miou", "miou_low", "miou_high")
                shown = zip(e.SIDE_BY_SIDE[name].values(), cells)
                found += [(experiment, row, {columns: cell}) for experiment, cell in shown]
                continue
            experiment = name
            if title.startswith("*"):
                experiment = "ceiling" if row.startswith("perfect") else "yardstick"
            miou, difference, things, accuracy, threshold = cells
            found.append((experiment, row, {
                ("miou", "miou_low", "miou_high"): miou,
                ("difference", "difference_low", "difference_high"): difference,
                ("things",): things,
                ("pixel_accuracy",): accuracy,
                ("threshold",): threshold,
            }))
    return found


def differing(rows):
    """[(experiment, row, column)] where results.csv and the page do not say the same."""
    found = []
    for experiment, row, cells in page_figures():
        for columns, cell in cells.items():
            shown = figures_of(cell)
            written = [rows[experiment, row][column] for column in columns]
            written = [float(x) for x in written if x]
            same = len(shown) == len(written)
            # the page has three digits, rounded from the same figure as the six of the file
            if not same or any(abs(a - b) > 0.000501 for a, b in zip(shown, written)):
                found.append((experiment, row, columns))
    return found


def test_the_csv_holds_the_figures_of_the_page():
    """Every figure of every table of experiments; and one that is changed is noticed."""
    import experiments as e

    rows = csv_rows()
    assert len(page_figures()) > 100 and differing(rows) == []
    assert {name for name, _ in rows} == {*e.EXPERIMENTS, "yardstick", "ceiling"}
    for changed in ("miou", "difference_low", "things"):
        key = ("tau", "faseg:tau=2")                            # it stands in one table only
        other = rows[key] | {changed: str(float(rows[key][changed]) + 0.0011)}
        (found,) = differing(rows | {key: other})
        assert found[:2] == key and changed in found[2]


def test_the_csv_holds_what_the_page_has_no_room_for():
    """Every row of every experiment with its command; mIoU is the mean over its classes."""
    import experiments as e
    from results_csv import CLASSES, COLUMNS

    rows = csv_rows()
    model = load("cartoon")
    for name in e.EXPERIMENTS:
        found = [(row, cells) for (experiment, row), cells in rows.items() if experiment == name]
        assert [row for row, _ in found] == names_of(name, model)
        for _, cells in found:
            assert list(cells) == COLUMNS
            assert cells["command"] == f"python -m minifaseg.evaluate {e.command(name)}"
            assert int(cells["pictures"]) == len(e.arguments(name).seeds)
            if name not in e.DATA:                              # the world of the 26 classes
                ious = [float(cells[c]) for c in ("background", *CLASSES) if cells[c]]
                assert sum(ious) / len(ious) == pytest.approx(float(cells["miou"]), abs=2e-6)


def test_rows_of_experiments_that_are_not_measured_stay(tmp_path):
    import results_csv

    path = tmp_path / "results.csv"
    path.write_bytes((TUTORIAL / "results.csv").read_bytes())
    results_csv.write_csv(path, {}, range(0))
    assert path.read_bytes() == (TUTORIAL / "results.csv").read_bytes()
    nan = float("nan")
    measured = {"miou": 0.5, "things": nan, "per_class": {"cat": 0.25, "dog": None, "a cat": 1.0}}
    report = {"pictures": 7, "methods": {"faseg": measured}}
    results_csv.write_csv(path, {"tau": report}, range(0))
    before, after = csv_rows(), results_csv.read(path)
    (row,) = after.pop("tau")
    assert {k: v for k, v in row.items() if v and k not in ("experiment", "command")} == {
        "row": "faseg", "pictures": "7", "miou": "0.5", "cat": "0.25"}
    others = {(name, row["row"]): row for name, rows in after.items() for row in rows}
    assert others == {k: v for k, v in before.items() if k[0] != "tau"}


def test_the_model_card_is_what_its_script_writes():
    """From results.csv, the weights file and the pages, as they are committed."""
    import card
    import made_from

    tables()
    text = card.card(TUTORIAL / "results.csv", made_from.WEIGHTS)
    path = made_from.WEIGHTS.with_name("README.md")
    assert path.read_text(encoding="utf-8") == text, "run: python tutorial/card.py"


def test_the_model_card_says_what_a_user_must_know():
    """The hub reads its head; its figures are the page's; every class has its row."""
    from huggingface_hub import ModelCard
    from results_csv import CLASSES

    text = (ROOT / "minifaseg/cartoon/README.md").read_text(encoding="utf-8")
    data = ModelCard(text, ignore_metadata_errors=False).data
    assert (data.license, data.pipeline_tag) == ("mit", "image-segmentation")
    faseg = rows_of(tables()["methods"])["faseg"]
    assert [f"{result.metric_value:.3f}" for result in data.eval_results] == [faseg[0], faseg[3]]
    for words in ("No mask was used to train it", "98 words", "128 x 128 pixels",
                  "On photographs it is useless"):
        assert words in text
    table = rows_of(text.partition("## Scores by class")[2].partition("##")[0])
    assert {*table} >= {*CLASSES, "background"}
    weights = ROOT / "minifaseg/cartoon/cartoon.safetensors"
    assert f"{weights.stat().st_size / 1e6:.1f} MB" in text


def test_a_page_that_lacks_a_fact_of_the_card_is_named():
    import card

    assert card.recorded("words.md", r"from ([\d.]+) to ([\d.]+) on the held-out")
    with pytest.raises(LookupError, match=r"words\.md says nothing like"):
        card.recorded("words.md", r"in (\d+) years")


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

    import results_csv

    rows = results_csv.read(tmp_path / "dry/results.csv")
    assert {row["row"]: float(row["miou"]) for row in rows["steps"]} == {
        name: pytest.approx(m["miou"], abs=1e-6) for name, m in theirs.items()
    }
    assert rows["tau"] == results_csv.read(TUTORIAL / "results.csv")["tau"]
    card = (tmp_path / "dry/README.md").read_text(encoding="utf-8")
    miou = theirs["faseg:tau=0;flip=False"]["miou"]
    assert f"FA-Seg's cross-attention alone | 3 | {miou:.3f}" in card
