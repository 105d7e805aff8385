"""Measures everything in results.md and writes it anew, with results.csv and the model card.

    python tutorial/results.py --all                 # chooses every method's numbers first
    python tutorial/results.py                       # with the numbers as they are (cartoon.json)
    python tutorial/results.py methods tau --bench   # these tables, and the speed, an hour
    python tutorial/results.py --write               # only writes what was measured anywhere
    python tutorial/results.py --all --dry-run dry   # everything on three scenes, into a folder

Each experiment (experiments.py) is one command of the bench, its pictures shared among processes.
What is done is kept under runs/results picture by picture, so that a stopped run goes on where it
was; what was made by other code, weights, numbers or captions is made anew. At the end it says
which paragraphs to read again, and what is older than the weights (made_from.py).
"""

import argparse
import contextlib
import io
import json
import math
import shutil
import signal
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

import made_from
import torch
from card import write_card
from experiments import EXPERIMENTS, RUNS, TABLES, needed
from results_page import LAST, TUNED, write_page
from results_setup import MADE, SECONDS, Setup, save

import minifaseg
from minifaseg.cartoon.painter import paint
from minifaseg.evaluate import tries
from minifaseg.evaluate.candidates import Captions
from minifaseg.evaluate.choices import choices
from minifaseg.evaluate.command import THRESHOLDS, run
from minifaseg.evaluate.datasets import open_dataset
from minifaseg.evaluate.rows import make_rows, positive
from minifaseg.evaluate.tune import BUDGET, as_file, measure, open_scenes, tune_all, tuning_scenes
from minifaseg.evaluate.workers import Workers, begin, cores
from minifaseg.origin import digest
from minifaseg.writing import write_text

HERE = Path(__file__).parent
TUNING = range(5000, 5060)


# ---- measuring ----------------------------------------------------------------------------------
def write_captions(setup):
    """The painter's captions, for the experiment that has captions."""
    a = setup.arguments("captions")
    seeds = (*a.seeds, *a.thresholds)
    save(setup.captions, {str(seed): paint(seed, 128).caption for seed in seeds})


def tune(setup):
    """Chooses every method's hyperparameters: they go into the file beside the weights.

    What was tried goes into tuned.json, for the table of results.md.
    """
    file = setup.runs / "tried.jsonl"
    seeds = TUNING[: setup.scenes]
    found = tune_all(minifaseg.METHODS, setup.weights, seeds, setup.device, setup.jobs,
                     setup.budget, file)
    write_text(setup.weights.with_suffix(".json"), as_file(found))

    model = minifaseg.load(setup.weights, setup.device, "float32")
    tried = {name: [] for name in found}                  # method -> [(hyperparameters, mIoU)]
    for key, (miou, _) in tries.Tries(file, tries.origin(model, seeds)).found.items():
        name, hyperparameters = json.loads(key)
        tried[name].append((hyperparameters, miou))
    methods = {}
    for name, chosen in found.items():
        values = tried_values(name, chosen, tried[name])
        methods[name] = {"tried": len(tried[name]), "choices": values}
    made = made_from.now(weights=setup.weights)
    save(setup.runs / TUNED, {"made_from": made, "methods": methods})


def tried_values(name, chosen, tried):
    """{choice: [(value as text, best mIoU with it or None, is it the chosen one)]}"""
    found = {}
    for choice, values in choices(name).items():
        found[choice] = []
        for value in values:
            mious = [miou for hyperparameters, miou in tried if holds(hyperparameters, value)]
            best = max(mious, default=None)
            found[choice].append((in_words(value), best, holds(chosen, value)))
    return found


def holds(hyperparameters, value):
    """Are all hyperparameters of this value among these? JSON has lists where Python has tuples."""
    return all(json.dumps(hyperparameters[k]) == json.dumps(v) for k, v in value.items())


def in_words(value):
    """A value of one choice, short: a number, or the latent that the UNet gets at which t."""
    if "wordings" in value:
        wordings = value["wordings"]
        if len(wordings) < 5:
            return ", ".join(wordings)
        return f"{wordings[0]}, ... {wordings[-1]}: {len(wordings)}"
    if len(value) == 1:
        return str(next(iter(value.values())))
    return f"{'noised to' if value['noise'] else 'clean, told'} t = {value['timestep']}"


def find_thresholds(names, setup):
    """The best threshold of every row that is to have its own, into its experiment's folder.

    Rows that several experiments share are measured once.
    """
    model = minifaseg.load(setup.weights, setup.device, "float32")
    groups = {}                                           # (captions, scenes) -> [(folder, rows)]
    for name in names:
        a = setup.arguments(name)
        if a.thresholds:
            dataset = open_dataset("cartoon", seeds=a.seeds, side=model.side)
            rows = make_rows(a.method, model, dataset, a.sweep)
            groups.setdefault((a.captions, a.thresholds), []).append((setup.folder(name), rows))
    for (captions, seeds), folders in groups.items():
        find_shared_thresholds(folders, model, seeds, Captions(captions), setup)


def find_shared_thresholds(folders, model, seeds, captions, setup):
    """The same for experiments that tune on the same scenes. folders: [(folder, rows)]."""
    origin = tries.origin(model, seeds, captions)
    shared = tries.Tries(setup.runs / THRESHOLDS, origin)  # a stopped run goes on from it
    rows = [row for _, rows in folders for row in rows]
    if not all(shared.get(row) for row in rows):
        dataset, _ = tuning_scenes(seeds, model)
        arguments = (setup.weights, setup.device, seeds, captions)
        with Workers(min(setup.jobs, len(seeds)), open_scenes, *arguments) as workers:
            in_order = sorted(rows, key=lambda row: row.capture_key)
            measure(in_order, workers, dataset, shared)
    for folder, rows in folders:
        known = tries.Tries(folder / THRESHOLDS, origin)
        for row in rows:
            if known.get(row) is None:
                known.add(row, *shared.get(row))


def run_silently(a, part=None):
    """The bench's command without what it prints; raises RuntimeError if a scene fails."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        if run(a, part):
            raise RuntimeError(f"{a.out}: a scene failed")


def do_part(name, part, setup):
    """In a process of its own: every n-th picture of an experiment."""
    begun = time.time()
    run_silently(setup.arguments(name), part)
    with open(setup.folder(name) / SECONDS, "a") as file:
        file.write(f"{digest(setup.made(name))} {time.time() - begun:.2f}\n")
    return name


def cost(name, setup):
    """A rough cost, to do the longest first: scenes x captures of each x names looked for."""
    a = setup.arguments(name)
    captures = 5 + a.method.count(":") + 8 * a.method.count("leaveout")
    captures += 4 * a.method.count("invseg")
    return len(a.seeds) * captures * {"gt": 5, "gt+2": 7, "gt+5": 10, "all": 26}[a.candidates]


def measure_all(names, setup):
    """Every experiment, in parts over all processes; its table when its last part is done."""
    left = {}                                             # experiment -> parts that are not done
    waiting = []
    pool = ProcessPoolExecutor(setup.jobs, get_context("spawn"), begin)
    try:
        for name in sorted(names, key=lambda name: -cost(name, setup)):
            scenes = len(setup.arguments(name).seeds)
            parts = min(setup.jobs, math.ceil(scenes / 4))
            left[name] = parts
            waiting += [pool.submit(do_part, name, (k, parts), setup) for k in range(parts)]
        for future in as_completed(waiting):
            name = future.result()
            left[name] -= 1
            if not left[name]:
                run_silently(setup.arguments(name))       # finds every picture done
                save(setup.folder(name) / MADE, setup.made(name))
                print(f"{name}: {setup.seconds(name):.0f} s of one process", flush=True)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


# ---- the command --------------------------------------------------------------------------------
def options():
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("names", nargs="*", help="tables or experiments (default: all)")
    p.add_argument("--all", action="store_true", help="choose every method's numbers first")
    p.add_argument("--bench", action="store_true", help="measure the speed, too")
    p.add_argument("--write", action="store_true", help="measure nothing: write what there is")
    p.add_argument("--jobs", type=positive, default=cores(), metavar="N",
                   help="processes (default: one for each core)")
    p.add_argument("--device", default="cpu")
    p.add_argument("--budget", type=positive, default=BUDGET,
                   help="candidates that the search may try for a method")
    p.add_argument("--dry-run", metavar="DIR", type=Path,
                   help="three scenes of everything; the page, its pictures and numbers in DIR")
    a = p.parse_args()
    for name in a.names:
        if name not in EXPERIMENTS and name not in TABLES:
            known = ", ".join(dict.fromkeys([*EXPERIMENTS, *TABLES]))
            p.error(f"no experiment {name!r}; there is: {known}")
    return a


def set_up(a):
    """Where to measure; with --dry-run a folder that gets copies of what is written anew."""
    if not a.dry_run:
        return Setup(Path(RUNS), HERE, made_from.WEIGHTS, a.device, a.jobs, budget=a.budget)
    folder = a.dry_run
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    numbers = made_from.WEIGHTS.with_suffix(".json")
    for path in (HERE / "results.md", HERE / "results.csv", made_from.WEIGHTS, numbers):
        if not (folder / path.name).exists():
            shutil.copy(path, folder)
    weights = folder / made_from.WEIGHTS.name
    return Setup(folder / "runs", folder, weights, a.device, a.jobs, 3, a.budget)


def device_name(device):
    if device.startswith("cuda"):
        return torch.cuda.get_device_name()
    return f"{device}, {cores()} cores"


def measure_missing(asked, setup, begun):
    """Measures the experiments whose tables are not of what there is now."""
    missing = [name for name in asked if not setup.finished(name)]
    if not missing:
        return
    find_thresholds(missing, setup)
    print(f"thresholds, {time.time() - begun:.0f} s so far", flush=True)
    measure_all(missing, setup)
    save(setup.runs / LAST, {"wall": time.time() - begun, "jobs": setup.jobs,
                             "device": device_name(setup.device), "measured": len(missing),
                             "of": len(EXPERIMENTS)})


def main():
    a = options()
    setup = set_up(a)
    begun = time.time()
    asked = dict.fromkeys(e for name in a.names or EXPERIMENTS for e in needed(name))
    if a.all and not a.write:
        tune(setup)
        print(f"numbers: {time.time() - begun:.0f} s", flush=True)
    if not a.write:
        write_captions(setup)
        measure_missing(asked, setup, begun)
    is_ready = setup.record if a.write else setup.finished
    ready = [name for name in EXPERIMENTS if is_ready(name)]
    write_page(ready, setup, a.bench)
    write_card(setup.csv, setup.weights)
    print(f"in all {time.time() - begun:.0f} s; {len(ready)} of {len(EXPERIMENTS)} experiments "
          f"are in {setup.page}")
    if not a.dry_run:
        for thing, why in made_from.old().items():
            print(f"older than what there is now: {thing}: {why}")


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # no process stays behind
    main()
