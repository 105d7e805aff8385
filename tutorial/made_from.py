"""What every table and picture of the tutorial was made from, and which are older than the weights.

    python tutorial/made_from.py            # says what is old

The record is figures/made_from.json; results.py, row.py, diagrams.py and execute.py write it.
"""
import json
from functools import cache
from pathlib import Path

import minifaseg
from minifaseg.origin import digest, file_digest
from minifaseg.writing import write_text

HERE = Path(__file__).parent
PACKAGE = Path(minifaseg.__file__).parent
WEIGHTS = PACKAGE / "cartoon" / "cartoon.safetensors"
DIAGRAMS = ("architecture", "dual_prompts", "forward", "pipeline", "refinement")
PARTS = {
    "weights": "other weights",
    "numbers": "other numbers (cartoon.json)",
    "experiment": "another command or script",
    "code": "other code",
}


@cache
def weights_and_code(weights: Path) -> dict[str, str]:
    files = [file_digest(path) for path in sorted(PACKAGE.rglob("*.py"))]
    return {"weights": file_digest(weights), "code": digest(files)}


def now(methods=None, experiment=None, weights: Path = WEIGHTS) -> dict[str, str]:
    """What something that is made today is made from, as {part: digest}; see PARTS.

    methods: those whose hyperparameters count for it (default: all); experiment: its command.
    """
    tuned = json.loads(Path(weights).with_suffix(".json").read_text(encoding="utf-8"))
    names = sorted(name for name in tuned if methods is None or name in methods)
    return {
        **weights_and_code(weights),
        "numbers": digest([[name, tuned[name]] for name in names]),
        "experiment": digest(experiment),
    }


def read(folder: Path = HERE / "figures") -> dict[str, dict[str, str]]:
    """{thing: what it was made from}; {} where there is no record."""
    path = Path(folder) / "made_from.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def note(things: dict[str, dict[str, str]], folder: Path = HERE / "figures") -> None:
    """Adds {thing: what it was made from} to the record, a line for each thing."""
    known = read(folder) | things
    lines = [f" {json.dumps(name)}: {json.dumps(known[name])}" for name in sorted(known)]
    text = "{\n" + ",\n".join(lines) + "\n}\n"
    write_text(Path(folder) / "made_from.json", text)


def of_experiment(name: str, weights: Path = WEIGHTS) -> dict[str, str]:
    """`now` of a table of results.md, or of a plot."""
    import experiments
    return now(experiments.methods_of(name), experiments.command(name), weights)


def of_diagrams() -> dict[str, str]:
    """`now` of every diagram: the text of the scripts that draw them counts as its command."""
    scripts = sorted(HERE.glob("diagram*.py"))
    return now({"faseg"}, [path.read_text(encoding="utf-8") for path in scripts])


def expected() -> dict[str, dict[str, str]]:
    """{thing: what it would be made from today}.

    Experiments and plots of results.md, the README's row of pictures, diagrams, the notebooks.
    """
    import experiments
    found = {f"results.md: {name}": of_experiment(name) for name in experiments.EXPERIMENTS}
    found |= {f"results-{name}.png": of_experiment(name) for name in experiments.PLOTS}
    found |= {name: now() for name in ("results.md: numbers", "results-methods.png")}
    found["row.png"] = found["explorer.html"] = now({"faseg"})
    found |= {f"{name}.png": of_diagrams() for name in DIAGRAMS}
    return found | {path.name: now(()) for path in sorted(HERE.glob("*.ipynb"))}


def old(parts=tuple(PARTS), folder: Path = HERE / "figures") -> dict[str, str]:
    """{thing: why it is old}, of what is expected."""
    known = read(folder)
    found = {}
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
