"""Measures everything in results.md and writes it anew.

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
import shutil
import signal
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

import made_from
import torch
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
from minifaseg.writing import write

HERE = Path(__file__).parent
TUNING = range(5000, 5060)


# ---- measuring ----------------------------------------------------------------------------------
def write_captions(setup):
    """The painter's own captions, for the experiment that has some."""
    a = setup.arguments("captions")
    seeds = (*a.seeds, *a.thresholds)
    save(setup.captions, {str(seed): paint(seed, 128).caption for seed in seeds})


def tune(setup):
    """Every method's numbers -> the weights' numbers file; what was tried -> tuned.json."""
    file, seeds = setup.runs / "tried.jsonl", TUNING[: setup.scenes]
    found = tune_all(minifaseg.METHODS, setup.weights, seeds, setup.device, setup.jobs,
                     setup.budget, file)
    write(setup.weights.with_suffix(".json"), lambda f: f.write(as_file(found).encode()))
    model = minifaseg.load(setup.weights, setup.device, "float32")
    known = tries.Tries(file, tries.origin(model, seeds)).found
    told, tried = {}, {method: [] for method in found}
    for asked, (miou, _) in known.items():
        method, numbers = json.loads(asked)
        tried[method].append((numbers, miou))
    for method, numbers in found.items():
        mine = tried[method]
        told[method] = {"tried": len(mine), "choices": tried_values(method, numbers, mine)}
    made = made_from.now(weights=setup.weights)
    save(setup.runs / TUNED, {"made_from": made, "methods": told})


def tried_values(method, found, tried):
    """{choice: [(value as text, best mIoU with it or None, is it the chosen one)]}"""

    def holds(numbers, some):
        return all(json.dumps(numbers[k]) == json.dumps(v) for k, v in some.items())

    told = {}
    for name, values in choices(method).items():
        told[name] = []
        for some in values:
            mious = [miou for numbers, miou in tried if holds(numbers, some)]
            told[name].append((in_words(some), max(mious, default=None), holds(found, some)))
    return told


def in_words(some):
    """A value of one choice, short: a number, or what is seen at which t."""
    if "wordings" in some:
        asked = some["wordings"]
        return ", ".join(asked) if len(asked) < 5 else f"{asked[0]}, ... {asked[-1]}: {len(asked)}"
    if len(some) == 1:
        return str(next(iter(some.values())))
    return f"{'noised to' if some['noise'] else 'clean, told'} t = {some['timestep']}"


def find_thresholds(names, setup):
    """The best threshold of every row that is to have its own, into its experiment's folder. Rows
    that several experiments share are measured once."""
    model = minifaseg.load(setup.weights, setup.device, "float32")
    groups = {}
    for name in names:
        a = setup.arguments(name)
        if a.thresholds:
            dataset = open_dataset("cartoon", seeds=a.seeds, side=model.side)
            rows = make_rows(a.method, model, dataset, a.sweep)
            groups.setdefault((a.captions, a.thresholds), []).append((setup.folder(name), rows))
    for (path, seeds), asked in groups.items():
        captions = Captions(path)
        origin = tries.origin(model, seeds, captions)
        shared = tries.Tries(setup.runs / THRESHOLDS, origin)  # a stopped run goes on from it
        files = [(tries.Tries(folder / THRESHOLDS, origin), rows) for folder, rows in asked]
        rows = sorted((row for _, rows in files for row in rows), key=lambda row: row.look)
        if not all(shared.get(row) for row in rows):
            dataset, jobs = tuning_scenes(seeds, model)[0], min(setup.jobs, len(seeds))
            told = (setup.weights, setup.device, seeds, captions)
            with Workers(jobs, open_scenes, *told) as workers:
                measure(rows, workers, dataset, shared)
        for known, rows in files:
            for row in rows:
                if known.get(row) is None:
                    known.add(row, *shared.get(row))


def quietly(a, part=None):
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        if run(a, part):
            raise RuntimeError(f"{a.out}: a scene failed")


def do_part(name, part, setup):
    """In a process of its own: every n-th picture of an experiment."""
    begun = time.time()
    quietly(setup.arguments(name), part)
    with open(setup.folder(name) / SECONDS, "a") as file:
        file.write(f"{digest(setup.made(name))} {time.time() - begun:.2f}\n")
    return name


def cost(name, setup):
    """To do the longest first, roughly: scenes, times looks at each, times names looked for."""
    a = setup.arguments(name)
    looks = a.method.count(":") + 8 * a.method.count("leaveout") + 4 * a.method.count("invseg") + 5
    return len(a.seeds) * looks * {"gt": 5, "gt+2": 7, "gt+5": 10, "all": 26}[a.candidates]


def measure_all(names, setup):
    """Every experiment, in parts over all processes; its table when its last part is done."""
    left = {}
    pool = ProcessPoolExecutor(setup.jobs, get_context("spawn"), begin)
    try:
        waiting = []
        for name in sorted(names, key=lambda name: -cost(name, setup)):
            left[name] = n = min(setup.jobs, -(-len(setup.arguments(name).seeds) // 4))
            waiting += [pool.submit(do_part, name, (k, n), setup) for k in range(n)]
        for future in as_completed(waiting):
            name = future.result()
            left[name] -= 1
            if not left[name]:
                quietly(setup.arguments(name))  # finds every picture done
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
    if not a.dry_run:
        return Setup(Path(RUNS), HERE, made_from.WEIGHTS, a.device, a.jobs, budget=a.budget)
    folder = a.dry_run
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    for path in (HERE / "results.md", made_from.WEIGHTS, made_from.WEIGHTS.with_suffix(".json")):
        if not (folder / path.name).exists():
            shutil.copy(path, folder)
    weights = folder / made_from.WEIGHTS.name
    return Setup(folder / "runs", folder, weights, a.device, a.jobs, 3, a.budget)


def device_name(device):
    if device.startswith("cuda"):
        return torch.cuda.get_device_name()
    return f"{device}, {cores()} cores"


def measure_missing(asked, setup, begun):
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
    setup, begun = set_up(a), time.time()
    asked = dict.fromkeys(e for name in a.names or EXPERIMENTS for e in needed(name))
    if a.all and not a.write:
        tune(setup)
        print(f"numbers: {time.time() - begun:.0f} s", flush=True)
    if not a.write:
        write_captions(setup)
        measure_missing(asked, setup, begun)
    done = setup.record if a.write else setup.finished
    ready = [name for name in EXPERIMENTS if done(name)]
    write_page(ready, setup, a.bench)
    print(f"in all {time.time() - begun:.0f} s; {len(ready)} of {len(EXPERIMENTS)} experiments "
          f"are in {setup.page}")
    if not a.dry_run:
        for thing, why in made_from.old().items():
            print(f"older than what there is now: {thing}: {why}")


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # no process stays behind
    main()
