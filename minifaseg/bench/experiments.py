"""The experiments: each takes a Setting and gives plain numbers. Sides run as processes (side.py), one after the other, in turns."""
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass

import numpy as np
import torch

import minifaseg

from ..cartoon.painter import paint
from ..pictures.opening import ahead, decode, pixel_limit
from . import naive
from .floor import operations, rate

RELEASED = {"noise": False, "timestep": 1, "steps": 1}    # FASeg's defaults; the cartoon model has numbers of its own


@dataclass(frozen=True)
class Setting:
    weights: str
    device: str
    side: int
    repeats: int

    def as_json(self):
        return asdict(self)

    @property
    def gpu(self):
        return self.device.startswith("cuda")


def process(setting, **ask) -> dict:
    """What one side measured; {"failed": why} if it came to nothing, say for want of memory."""
    ask = {"weights": setting.weights, "device": setting.device, "side": setting.side} | ask
    done = subprocess.run([sys.executable, "-m", "minifaseg.bench.side", json.dumps(ask)], capture_output=True, text=True)
    if done.returncode:
        return {"failed": "killed, as the system does when memory ends" if done.returncode == -9 else (done.stderr.strip().splitlines() or ["?"])[-1]}
    return json.loads(done.stdout)


def median(values):
    values = sorted(values)
    return {"median": statistics.median(values), "low": values[0], "high": values[-1]} if values else None


def summed(results) -> dict:
    """Medians and extremes over the runs of one side."""
    if any("failed" in r for r in results):
        return next(r for r in results if "failed" in r)
    runs = [run for r in results for run in r["runs"]]
    stages = sorted({stage for run in runs for stage in run} - {"classes", "batch"})
    return {"seconds": {stage: median([run.get(stage, 0) for run in runs]) for stage in stages}, "load": median([r["load"] for r in results]),
            "peak_gib": median([r["peak_gib"] for r in results]), "weights_gib": median([r["weights_gib"] for r in results])}


def in_turns(setting, asks, repeats) -> dict:
    """{name: summed} of several sides, A B A B ..."""
    results = {name: [] for name in asks}
    for _ in range(repeats):
        for name, ask in asks.items():
            if not any("failed" in r for r in results[name]):
                results[name].append(process(setting, **ask))
    return {name: summed(r) for name, r in results.items()}


def against_naive(setting, side, repeats):
    with tempfile.TemporaryDirectory() as folder:
        files = {method: f"{folder}/{method}.npy" for method in ("faseg", "naive")}
        out = in_turns(setting, {method: {"method": method, "side": side, "labels": file} for method, file in files.items()}, repeats)
        if all(map(os.path.exists, files.values())):
            out["equal_pixels"] = float((np.load(files["faseg"]) == np.load(files["naive"])).mean())
    return {"side": side} | out


def against_naive_half(setting):
    return against_naive(setting, setting.side // 2, setting.repeats)


def against_naive_full(setting):
    return against_naive(setting, setting.side, max(1, setting.repeats - 1))            # minutes and many gigabytes each


def methods(setting):
    return {"side": setting.side // 2} | in_turns(setting, {m: {"method": m, "side": setting.side // 2} for m in minifaseg.METHODS}, 1)


def variants(setting):
    """The same without the inversion's UNet call, and without the mirror image; how many pixels keep their label."""
    asks = {"as released": RELEASED, "no inversion": RELEASED | {"steps": 0}, "no flip": RELEASED | {"flip": False}}
    with tempfile.TemporaryDirectory() as folder:
        files = {name: f"{folder}/{i}.npy" for i, name in enumerate(asks)}
        out = in_turns(setting, {name: {"numbers": numbers, "labels": files[name], "side": setting.side // 2} for name, numbers in asks.items()}, setting.repeats)
        first = np.load(files["as released"])
        return {"side": setting.side // 2} | {name: side | {"equal_pixels": float((np.load(files[name]) == first).mean())} for name, side in out.items()}


def by(setting, field, values, **ask):
    """Total seconds by number of classes or of pictures, all in one process, taking turns."""
    found = process(setting, **{field: values}, **ask)
    if "failed" in found:
        return found
    return {str(v): median([run["total"] for run in found["runs"] if run[field] == v]) for v in values}


def classes(setting):
    return by(setting, "classes", (1, 3, 10, 80, 254), repeats=2)


def batch(setting):
    side = setting.side if setting.gpu else setting.side // 2
    return {"side": side} | by(setting, "batch", (1, 4, 16) if setting.gpu else (1, 2, 4), side=side, repeats=2)


def sides(setting):
    return {str(side): summed([process(setting, side=side)]) for side in (setting.side, setting.side * 3 // 2, setting.side * 2)}


def floor(setting):
    """Totals over the least time that the machine could need at the rate of its own matrix products."""
    model = minifaseg.load(setting.weights, setting.device)
    counted = operations(setting.side, model.unet.config, model.vae.config)
    dtypes = ("float16", "bfloat16") if setting.gpu else ("float32",)
    del model
    out = {"operations": counted}
    for dtype in dtypes:
        for compile in (False, True) if setting.gpu else (False,):
            speed = rate(setting.device, getattr(torch, dtype))
            side = summed([process(setting, dtype=dtype, compile=compile, repeats=setting.repeats, numbers=RELEASED)])
            out[f"{dtype}{' compiled' if compile else ''}"] = side | {"rate": speed, "floor": counted["total"] / speed}
    return out


def load(setting):
    """Opening the checkpoint against reading its bytes, both from the page cache; imports are paid before."""
    model = minifaseg.load(setting.weights, "cpu")
    file, size, reading, loading, touching = model.checkpoint.path, model.checkpoint.path.stat().st_size, [], [], []
    for _ in range(max(3, setting.repeats)):
        start, buffer = time.perf_counter(), bytearray(16 << 20)
        with open(file, "rb", buffering=0) as stream:
            while stream.readinto(buffer):
                pass
        reading.append(time.perf_counter() - start)
        start = time.perf_counter()
        model = minifaseg.load(setting.weights, "cpu")
        loading.append(time.perf_counter() - start)
        for net in (model.unet, model.vae, model.text):
            for p in net.parameters():
                p.view(-1)[::1024].sum()                                    # one number of every page of memory
        touching.append(time.perf_counter() - start)
        del model
    return {"bytes": size, "read": median(reading), "load": median(loading), "load and touch": median(touching)}


def cold(setting):
    """Seconds from the shell: the help, and the first mask of the cartoon model."""
    with tempfile.TemporaryDirectory() as folder:
        paint(159, 512).image.save(f"{folder}/x.png")
        commands = {"--help": ["--help"], "first mask": [f"{folder}/x.png", "cat", "grass", "--weights", "cartoon", "--device", "cpu", "--force"]}
        seconds = {name: [] for name in commands}
        for _ in range(5):
            for name, arguments in commands.items():
                start = time.perf_counter()
                subprocess.run([sys.executable, "-m", "minifaseg", *arguments], capture_output=True, check=True)
                seconds[name].append(time.perf_counter() - start)
    return {name: median(s) for name, s in seconds.items()}


def masks(setting, scenes=50):
    """Share of pixels on which the plain formulation agrees, on held-out cartoon scenes."""
    model = minifaseg.load("cartoon", "cpu")
    unet, out = naive.diffusers_unet(model), {}
    for name, numbers in (("the cartoon model's numbers", {}), ("one step of inversion, as released", RELEASED)):
        equal, without = [], []
        for seed in range(1000, 1000 + scenes):
            scene, how = paint(seed, model.side), minifaseg.make_method("faseg", model, **numbers)
            ours = minifaseg.segment(scene.image, scene.classes, model, **numbers).labels
            equal.append((naive.segment(model, unet, scene.image, scene.classes, how)[1].numpy() == ours).mean())
            if how.steps and not how.noise:
                without.append((minifaseg.segment(scene.image, scene.classes, model, **numbers | {"steps": 0}).labels == ours).mean())
        out[name] = float(np.mean(equal))
    return {"scenes": scenes} | out | {"ours without that inversion, against ours with it": float(np.mean(without))}


def folder(setting, count=24):
    """Pictures per second of a folder of photographs' size: opened and segmented one by one, or opened ahead and seen in batches."""
    model = minifaseg.load(setting.weights if setting.gpu else "cartoon", setting.device)
    size, out = 8 if setting.gpu else 1, {"one by one": [], "ahead": []}
    with tempfile.TemporaryDirectory() as place, pixel_limit(None):
        files = [f"{place}/{i}.jpg" for i in range(count)]
        for i, file in enumerate(files):
            paint(i % 6, 512).image.resize((4000, 3000)).save(file)

        def one_by_one():
            for file in files:
                minifaseg.segment(decode(file), ["cat", "grass"], model)

        def opened_ahead():
            waiting = []
            for _, image in ahead(decode, files, size):
                waiting.append(image)
                if len(waiting) == size:
                    minifaseg.segment_many(waiting, ["cat", "grass"], model)
                    waiting = []
        for _ in range(setting.repeats):
            for name, run in (("one by one", one_by_one), ("ahead", opened_ahead)):
                start = time.perf_counter()
                run()
                out[name].append(count / (time.perf_counter() - start))
    return {"batch": size} | {name: median(rates) for name, rates in out.items()}


def processes(setting, scenes=200):
    """Seconds of one evaluation by one process and by two that torchrun starts, one core each; imports included."""
    command, seconds = ["-m", "minifaseg.evaluate", "cartoon", "--weights", "cartoon", "--device", setting.device, "--seeds", f"1000:{1000 + scenes}"], {}
    for world in (1, 2):
        start = time.perf_counter()
        launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(world)]
        subprocess.run([sys.executable, *launcher, *command], capture_output=True, check=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
        seconds[str(world)] = time.perf_counter() - start
    return {"scenes": scenes, "seconds": seconds}


def profile(setting):
    """The five largest costs of a run, as shares of all."""
    return process(setting, profile=True).get("profile", {})


EXPERIMENTS = {"cold": cold, "masks": masks, "load": load, "floor": floor, "naive-half": against_naive_half, "naive": against_naive_full, "classes": classes,
               "variants": variants, "methods": methods, "batch": batch, "sides": sides, "folder": folder, "processes": processes, "profile": profile}
