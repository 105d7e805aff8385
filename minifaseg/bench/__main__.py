"""How fast is it, how large, how far from the limit? Compares in one run, on one machine, with the same weights and the same picture.

    python -m minifaseg.bench                                  # everything, with random weights of SD 1.5's real sizes: an hour on two CPU cores
    python -m minifaseg.bench naive classes --weights sd15     # two of the experiments, on real weights
    python -m minifaseg.bench --weights cartoon --side 128     # all of them in miniature: some minutes
    python -m minifaseg.bench --device cuda                    # on a GPU also: number types, torch.compile, batches, the profiler's largest costs

Every side of a comparison runs in a process of its own, and they take turns. --out keeps each
experiment's JSON, so that a stopped run goes on where it was, and report.json, report.md and
plot.png of all of them. What was measured on another machine, with other weights, libraries or code
is measured anew.
"""
import argparse
import json
import sys
from pathlib import Path

from ..errors import InputError
from ..model import load
from ..origin import code_digest, digest, weights_digest
from ..writing import write
from . import report
from .experiments import EXPERIMENTS, Setting
from .random_weights import random_sd15


def parser():
    p = argparse.ArgumentParser(prog="minifaseg.bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("experiments", nargs="*", metavar="EXPERIMENT", help=f"{', '.join(EXPERIMENTS)} (default: all that the device can do)")
    p.add_argument("--weights", default="random", help='"random" (SD 1.5\'s sizes, written under --out once), or what --weights of minifaseg takes')
    p.add_argument("--device", default="cpu")
    p.add_argument("--side", type=int, default=512, help="pixels of the picture (default 512)")
    p.add_argument("--repeats", type=int, default=3, help="runs of each side, taking turns (default 3)")
    p.add_argument("--out", type=Path, default=Path("runs/bench"), metavar="DIR")
    return p


def measured_before(path, about):
    """What an experiment gave, if that was measured under the same conditions; None otherwise."""
    try:
        kept = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    if not isinstance(kept, dict) or any(kept.get(key) != about[key] for key in about):
        return None
    return kept


def main() -> int:
    a = parser().parse_args()
    try:
        unknown = set(a.experiments) - set(EXPERIMENTS)
        if unknown:
            raise InputError(f"no experiment called {', '.join(sorted(unknown))}; there is: {', '.join(EXPERIMENTS)}")
        weights = str(random_sd15(a.out / "random.safetensors")) if a.weights == "random" else a.weights
        setting = Setting(weights, a.device, a.side, a.repeats)
        about = {"setting": setting.as_json(), "machine": report.machine(a.device),
                 "origin": digest(code_digest(), weights_digest(load(weights, "cpu")))}
        asked = a.experiments or list(EXPERIMENTS)
        before = {name: measured_before(a.out / f"{name}.json", about) for name in asked}
        found = {name: kept for name, kept in before.items() if kept}
        if found:
            print(f"{len(found)} of {len(asked)} experiments were measured before, with the same "
                  "setting, machine, weights and code: reused", file=sys.stderr)
        for name in asked:
            if name not in found:
                print(f"{name} ...", file=sys.stderr, flush=True)
                found[name] = about | {"result": EXPERIMENTS[name](setting)}
                content = json.dumps(found[name], indent=1).encode()
                write(a.out / f"{name}.json", lambda file: file.write(content))
        found = {name: found[name] for name in asked}
        text = report.markdown(found)
        write(a.out / "report.json", lambda file: file.write(json.dumps(found, indent=1).encode()))
        write(a.out / "report.md", lambda file: file.write(text.encode()))
        write(a.out / "plot.png", lambda file: report.plot(found, file))
        print(text)
    except InputError as e:
        print(f"minifaseg.bench: {e}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"interrupted; the same command goes on where it was ({a.out})", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
