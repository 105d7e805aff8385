"""What every table and picture of the tutorial was made from, and which are older than the weights.

The record is figures/made_from.json; results.py, row.py and execute.py write it.

    python tutorial/made_from.py            # says what is old
"""

import json
from functools import cache
from pathlib import Path

import minifaseg
from minifaseg.origin import digest, file_digest
from minifaseg.writing import write

HERE = Path(__file__).parent
PACKAGE = Path(minifaseg.__file__).parent
WEIGHTS = PACKAGE / "cartoon" / "cartoon.safetensors"
PARTS = {
    "weights": "other weights",
    "numbers": "other numbers (cartoon.json)",
    "experiment": "another command",
    "code": "other code",
}


@cache
def weights_and_code(weights):
    return {
        "weights": file_digest(weights),
        "code": digest([file_digest(path) for path in sorted(PACKAGE.rglob("*.py"))]),
    }


def now(methods=None, experiment=None, weights=WEIGHTS):
    """What something made today is made from.

    methods: those whose numbers count for it (default: all); experiment: its command.
    """
    numbers = json.loads(Path(weights).with_suffix(".json").read_text(encoding="utf-8"))
    asked = sorted(m for m in numbers if methods is None or m in methods)
    return {
        **weights_and_code(weights),
        "numbers": digest([[m, numbers[m]] for m in asked]),
        "experiment": digest(experiment),
    }


def read(folder=HERE / "figures"):
    path = Path(folder) / "made_from.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def note(things, folder=HERE / "figures"):
    """Keeps {what was made: what from}, beside what is known of other things."""
    known = read(folder) | things
    lines = ",\n".join(f" {json.dumps(name)}: {json.dumps(known[name])}" for name in sorted(known))
    write(Path(folder) / "made_from.json", lambda file: file.write(f"{{\n{lines}\n}}\n".encode()))


def of_experiment(name, weights=WEIGHTS):
    """Of a table of results.md, or of a plot."""
    import experiments

    return now(experiments.methods_of(name), experiments.command(name), weights)


def expected():
    """{thing: what it would be made from today}: experiments and plots of results.md, README's row
    of pictures, the notebooks."""
    import experiments

    found = {f"results.md: {name}": of_experiment(name) for name in experiments.EXPERIMENTS}
    found |= {f"results-{name}.png": of_experiment(name) for name in experiments.PLOTS}
    found |= {name: now() for name in ("results.md: numbers", "results-methods.png")}
    found["row.png"] = now({"faseg"})
    return found | {path.name: now(()) for path in sorted(HERE.glob("[0-9]*.ipynb"))}


def old(parts=tuple(PARTS), folder=HERE / "figures"):
    """{thing: why it is old}, of what is expected."""
    known, found = read(folder), {}
    for thing, today in expected().items():
        if thing not in known:
            found[thing] = "no record of what it was made from"
            continue
        differing = [PARTS[p] for p in PARTS if p in parts and known[thing][p] != today[p]]
        if differing:
            found[thing] = "made from " + ", ".join(differing)
    return found


if __name__ == "__main__":
    for thing, why in old().items():
        print(f"{thing}: {why}")
