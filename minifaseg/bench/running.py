"""Runs the sides of a comparison as processes (side.py), one after the other, in turns."""
import json
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass


@dataclass(frozen=True)
class Setting:
    """What all experiments of a run share."""
    weights: str
    device: str
    side: int                                # pixels of the square picture
    repeats: int

    @property
    def gpu(self) -> bool:
        return self.device.startswith("cuda")


def process(setting: Setting, **ask) -> dict:
    """What one side measured, in a process of its own. ask: fields of `side.Ask`."""
    ask = {"weights": setting.weights, "device": setting.device, "side": setting.side} | ask
    return run_module("minifaseg.bench.side", ask)


def run_module(module: str, ask: dict) -> dict:
    """The JSON object that `python -m module ASK` prints.

    {"failed": why} if the process failed, for example for want of memory.
    """
    command = [sys.executable, "-m", module, json.dumps(ask)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode == -9:
        return {"failed": "killed, as the system does when memory ends"}
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["?"]
        return {"failed": lines[-1]}
    return json.loads(done.stdout)


def seconds_of(run, *arguments, **options) -> float:
    """How long the call run(*arguments, **options) takes."""
    start = time.perf_counter()
    run(*arguments, **options)
    return time.perf_counter() - start


def median(values: list) -> dict[str, float] | None:
    """Median, lowest and highest value; None for no values."""
    if not values:
        return None
    return {"median": statistics.median(values), "low": min(values), "high": max(values)}


def summed(results: list[dict]) -> dict:
    """Medians and extremes over the processes of one side; of a failed one, why it failed."""
    for result in results:
        if "failed" in result:
            return result
    runs = [run for result in results for run in result["runs"]]
    stages = {stage for run in runs for stage in run} - {"classes", "batch"}
    out: dict = {"seconds": {}}
    for stage in sorted(stages):
        out["seconds"][stage] = median([run.get(stage, 0) for run in runs])
    for key in ("load", "peak_gib", "weights_gib"):
        out[key] = median([result[key] for result in results])
    return out


def in_turns(setting: Setting, asks: dict[str, dict], repeats: int) -> dict[str, dict]:
    """{name: summed} of several sides, which run A B A B ... A side that failed stops."""
    results: dict[str, list[dict]] = {name: [] for name in asks}
    for _ in range(repeats):
        for name, ask in asks.items():
            if not any("failed" in result for result in results[name]):
                results[name].append(process(setting, **ask))
    return {name: summed(found) for name, found in results.items()}


def by_value(setting: Setting, field: str, values: tuple[int, ...], **ask) -> dict:
    """{value: total seconds} by numbers of classes or of pictures.

    All values are measured in one process, where they take turns.
    """
    found = process(setting, **{field: values}, **ask)
    if "failed" in found:
        return found
    out = {}
    for value in values:
        out[str(value)] = median([run["total"] for run in found["runs"] if run[field] == value])
    return out
