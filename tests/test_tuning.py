"""The search for a method's numbers: it scores as the bench does, and goes on where it was."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import minifaseg
from minifaseg.evaluate import tries
from minifaseg.evaluate.candidates import Candidates, Captions
from minifaseg.evaluate.choices import choices, defaults, start
from minifaseg.evaluate.metrics import confusion, summary
from minifaseg.evaluate.rows import make_rows
from minifaseg.evaluate.run import evaluate
from minifaseg.evaluate.tries import Tries
from minifaseg.evaluate.tune import (
    THRESHOLDS,
    at_every_threshold,
    at_threshold,
    confusions,
    make,
    matrices,
    tune_all,
    tuning_scenes,
    with_best_thresholds,
)

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def model():
    return minifaseg.load("cartoon", device="cpu")


def test_all_thresholds_at_once_are_each_by_itself():
    rng = np.random.default_rng(0)
    truth, labels = rng.integers(0, 5, (40, 30)), rng.integers(1, 5, (40, 30))
    truth[:4] = 255
    scores = rng.random((40, 30)).astype(np.float32)
    scores[0, :3] = np.float32(0.5)  # at least the threshold: the class
    found = confusions(truth, labels, scores, THRESHOLDS, 5)
    for m, threshold in zip(found, THRESHOLDS.astype(np.float32)):
        assert np.array_equal(m, confusion(truth, np.where(scores >= threshold, labels, 0), 5))


@pytest.mark.parametrize("method", [
    "faseg", "datasetdiffusion", pytest.param("invseg", marks=pytest.mark.slow)])
def test_the_search_scores_as_the_bench_does(model, method):
    """mIoU at a threshold of the grid: that of the run with this threshold, pixel for pixel."""
    dataset, candidates = tuning_scenes(range(5000, 5002), model)
    row = make(method, start(method))
    told = at_every_threshold(row, dataset, model, candidates, {})
    for found, threshold in told[3::5]:
        fixed = replace(row, method=at_threshold(row.method, threshold))
        totals, _ = evaluate([fixed], dataset, model, candidates, progress=False)
        assert found["miou"] == pytest.approx(summary(totals[method], dataset)["miou"], abs=1e-12)


def test_captions_reach_the_thresholds(model, tmp_path):
    dataset, candidates = tuning_scenes(range(5000, 5001), model)
    path = tmp_path / "captions.json"
    path.write_text(json.dumps({"5000": "a red ball on snow"}))
    row = make("faseg", start("faseg") | {"dual": False})
    silent = matrices(row, dataset, model, candidates, {})
    assert not np.array_equal(silent, matrices(row, dataset, model, candidates, {}, Captions(path)))
    file = tmp_path / "thresholds.jsonl"
    for captions in (None, Captions(path)):
        with_best_thresholds([row], model, range(5000, 5001), captions, file)
    assert len({json.loads(line)["origin"] for line in file.read_text().split("\n") if line}) == 2


@pytest.mark.parametrize("method", minifaseg.METHODS)
def test_every_method_has_values_to_try(method):
    """About six of each, numbers of the method that it takes, none twice; the search starts at the
    first of each."""
    first = minifaseg.make_method(method, **start(method))
    for name, values in choices(method).items():
        assert 3 - isinstance(defaults(method).get(name), bool) <= len(values) <= 8 and len({json.dumps(v) for v in values}) == len(values)
        for some in values:
            how = minifaseg.make_method(method, **start(method) | some)
            assert set(some) <= set(defaults(method))
            assert (how == first) == (some == values[0]), f"{name}: {some}"


def test_fasegs_search_asks_the_clean_latent_told_t_50():
    clean = {"timestep": 50, "noise": False, "steps": 0}
    assert all(clean in choices(method)["latent"] for method in ("faseg", "leaveout"))


@pytest.mark.parametrize("jobs", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_search_goes_on_and_processes_do_not_matter(tmp_path, jobs):
    """The same numbers by one process and by two, by a search that nobody stopped and by one whose
    file holds a part, with half a line at its end; what is found is the best of what was tried."""
    options = ("cartoon", range(5000, 5002), "cpu")
    whole, killed = tmp_path / "whole.jsonl", tmp_path / "killed.jsonl"
    found = tune_all(["datasetdiffusion"], *options, 1, 8, whole)
    lines = [line for line in whole.read_text().split("\n") if line]
    assert len(lines) == 8
    killed.write_text("\n".join(lines[:3]) + "\n" + lines[3][:60])
    assert tune_all(["datasetdiffusion"], *options, jobs, 8, killed) == found
    again = [line for line in killed.read_text().split("\n") if line]
    assert sorted(again) == sorted([*lines, lines[3][:60]])
    before = killed.read_bytes()
    assert tune_all(["datasetdiffusion"], *options, 1, 8, killed) == found
    assert killed.read_bytes() == before  # nothing was measured
    best = max(map(json.loads, lines), key=lambda line: (line["miou"], line["threshold"]))
    assert (
        found["datasetdiffusion"]["threshold"]
        == best["threshold"]
        == found["datasetdiffusion"]["certain"]
    )
    numbers = json.loads(json.dumps(found["datasetdiffusion"]))
    assert all(best["numbers"][k] == v for k, v in numbers.items() if k in best["numbers"])


def test_tries_of_other_weights_scenes_or_code_do_not_count(model, tmp_path, monkeypatch):
    row, file = make("faseg", start("faseg")), tmp_path / "tried.jsonl"
    seeds = range(5000, 5002)
    origin = tries.origin(model, seeds)
    Tries(file, origin).add(row, 0.5, 0.3)
    assert Tries(file, origin).get(row) == (0.5, 0.3)
    assert Tries(file, origin).get(replace(row, method=at_threshold(row.method, 0.7))) == (0.5, 0.3)
    assert Tries(file, origin).get(make("faseg", start("faseg") | {"tau": 4})) is None
    assert Tries(file, tries.origin(model, range(5000, 5003))).get(row) is None
    told = replace(model, notes={"faseg": {"tau": 4}})
    assert tries.origin(told, seeds) == origin  # what a search finds is none of its causes
    monkeypatch.setattr(tries, "code_digest", lambda: "edited")
    assert Tries(file, tries.origin(model, seeds)).get(row) is None


def test_rows_keep_their_thresholds(model, tmp_path):
    """Found once, then read, whatever the order of the rows."""
    dataset, _ = tuning_scenes(range(5000, 5002), model)
    rows = make_rows("faseg,datasetdiffusion,faseg:tau=0", model, dataset)
    file = tmp_path / "thresholds.jsonl"
    found = with_best_thresholds(rows, model, range(5000, 5002), file=file)
    assert [row.title for row in found] == [row.title for row in rows]
    before = file.read_bytes()
    again = with_best_thresholds(rows[::-1], model, range(5000, 5002), file=file)
    assert again[::-1] == found and file.read_bytes() == before
    assert found == with_best_thresholds(rows, model, range(5000, 5002))


PARENT = """
import os, sys, time
from minifaseg.evaluate.workers import Workers
class Mine:
    def __init__(self, rank, jobs): pass
    def pid(self): return os.getpid()
    def sleep(self): time.sleep(600)
if __name__ == "__main__":
    workers = Workers(2, Mine)
    pids = [f.result() for f in workers.submit("pid")]
    workers.submit("sleep")
    print(*pids, flush=True)
    time.sleep(600)
"""


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/stat")
    return not status.exists() or status.read_text().rpartition(")")[2].split()[0] != "Z"


@pytest.mark.skipif(os.name != "posix", reason="kills processes the POSIX way")
def test_no_process_outlives_a_killed_run(tmp_path):
    """What it left behind would write into the files of the next run."""
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    parent = subprocess.Popen(
        [sys.executable, script],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    pids = [int(pid) for pid in parent.stdout.readline().split()]
    assert len(pids) == 2 and all(map(alive, pids))
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    for _ in range(600):
        if not any(map(alive, pids)):
            return
        time.sleep(0.1)
    raise AssertionError("still there after a minute")


def test_candidates_are_the_scenes_own(model):
    dataset, candidates = tuning_scenes(range(5000, 5002), model)
    same = Candidates("gt", dataset, shuffle=0)
    image, truth = dataset.read("5000")
    assert candidates("5000", image, truth) == same("5000", image, truth)
