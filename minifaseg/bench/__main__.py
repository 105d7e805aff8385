"""How fast is it, how large, how far from the limit?

Compares in one run, on one machine, with the same weights and the same picture:

    python -m minifaseg.bench
        everything, with random weights of SD 1.5's real sizes: half an hour on two CPU cores
    python -m minifaseg.bench naive classes --weights sd15
        two of the experiments, on real weights
    python -m minifaseg.bench --weights cartoon --side 128
        all of them in miniature: some minutes
    python -m minifaseg.bench --device cuda
        on a GPU also: number types, torch.compile, batches, the profiler's largest costs

Every side of a comparison runs in a process of its own, and they take turns. --out keeps each
experiment's JSON, so that a stopped run goes on where it was, and report.json, report.md and
plot.png of all of them. What was measured on another machine, with other weights, libraries or code
is measured anew.
"""
import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from ..errors import InputError
from ..machine import machine
from ..model import load
from ..origin import code_digest, digest, weights_digest
from ..writing import write, write_text
from .experiments import EXPERIMENTS
from .random_weights import random_sd15
from .report import markdown
from .running import Setting


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(prog="minifaseg.bench", description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("experiments", nargs="*", metavar="EXPERIMENT",
                   help=f"{', '.join(EXPERIMENTS)} (default: all)")
    p.add_argument("--weights", default="random",
                   help='"random" (SD 1.5\'s sizes, written under --out once), '
                        "or what --weights of minifaseg takes")
    p.add_argument("--device", default="cpu")
    p.add_argument("--side", type=int, default=512, help="pixels of the picture (default 512)")
    p.add_argument("--repeats", type=int, default=3,
                   help="runs of each side, taking turns (default 3)")
    p.add_argument("--out", type=Path, default=Path("runs/bench"), metavar="DIR")
    return p


def check_experiments(names: list[str]) -> None:
    """Raises InputError for a name that is no experiment."""
    unknown = sorted(set(names) - set(EXPERIMENTS))
    if unknown:
        raise InputError(f"no experiment called {', '.join(unknown)}; "
                         f"there is: {', '.join(EXPERIMENTS)}")


def measured_before(path: Path, about: dict) -> dict | None:
    """What an experiment gave, if it was measured under the same conditions; None otherwise."""
    try:
        kept = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    if not isinstance(kept, dict) or any(kept.get(key) != about[key] for key in about):
        return None
    return kept


def measure(names: list[str], setting: Setting, out: Path) -> dict:
    """{experiment: its conditions and result}; each is kept in `out` as soon as it is measured."""
    about = {
        "setting": asdict(setting),
        "machine": machine(setting.device),
        "origin": digest(code_digest(), weights_digest(load(setting.weights, "cpu"))),
    }
    found = {name: measured_before(out / f"{name}.json", about) for name in names}
    reused = sum(kept is not None for kept in found.values())
    if reused:
        print(f"{reused} of {len(names)} experiments were measured before, with the same "
              "setting, machine, weights and code: reused", file=sys.stderr)

    for name in names:
        if found[name] is None:
            print(f"{name} ...", file=sys.stderr, flush=True)
            found[name] = about | {"result": EXPERIMENTS[name](setting)}
            write_text(out / f"{name}.json", json.dumps(found[name], indent=1))
    return found


def run(a: argparse.Namespace) -> None:
    """Measures what was asked for, writes the report and prints it. Raises InputError."""
    check_experiments(a.experiments)
    weights = a.weights
    if weights == "random":
        weights = str(random_sd15(a.out / "random.safetensors"))
    setting = Setting(weights, a.device, a.side, a.repeats)
    found = measure(a.experiments or list(EXPERIMENTS), setting, a.out)

    text = markdown(found)
    write_text(a.out / "report.json", json.dumps(found, indent=1))
    write_text(a.out / "report.md", text)
    # Only the plot needs matplotlib.
    from .plot import plot
    write(a.out / "plot.png", lambda file: plot(found, file))
    print(text)


def main() -> int:
    a = parser().parse_args()
    try:
        run(a)
    except InputError as e:
        print(f"minifaseg.bench: {e}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"interrupted; the same command goes on where it was ({a.out})", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
