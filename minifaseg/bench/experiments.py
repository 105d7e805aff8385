"""The experiments. Each takes a Setting and returns plain numbers, for JSON."""
import os
import subprocess
import sys
import tempfile
import time
from typing import Any

import numpy as np
import torch

import minifaseg

from ..cartoon.painter import paint
from ..machine import dtypes
from ..model import Model
from ..pictures.opening import ahead, decode, pixel_limit
from . import naive
from .floor import operations, rate
from .running import (
    Setting,
    by_value,
    in_turns,
    median,
    process,
    run_module,
    seconds_of,
    summed,
)
from .side import class_names

# FASeg's defaults. The cartoon model has hyperparameters of its own.
RELEASED = {"noise": False, "timestep": 1, "steps": 1}


def equal_pixels(labels: np.ndarray, others: np.ndarray) -> float:
    """The share of pixels with the same label."""
    return float((labels == others).mean())


def with_labels(setting: Setting, asks: dict[str, dict],
                repeats: int) -> tuple[dict, dict[str, np.ndarray]]:
    """`in_turns`, and {name: labels} of the sides that gave some."""
    with tempfile.TemporaryDirectory() as folder:
        files = {name: f"{folder}/{name}.npy" for name in asks}
        asks = {name: ask | {"labels": files[name]} for name, ask in asks.items()}
        results = in_turns(setting, asks, repeats)
        written = {name: file for name, file in files.items() if os.path.exists(file)}
        labels = {name: np.load(file) for name, file in written.items()}
    return results, labels


def against_naive(setting: Setting, side: int, repeats: int) -> dict:
    """This package and the plain formulation, and the share of pixels on which they agree.

    On a CPU that computes in bfloat16 this package in it, too.
    """
    asks: dict[str, dict] = {"faseg": {"side": side}}
    if not setting.gpu and "bfloat16" in dtypes():
        asks["faseg, bfloat16"] = {"side": side, "dtype": "bfloat16"}
    asks["naive"] = {"method": "naive", "side": side}
    results, labels = with_labels(setting, asks, repeats)
    for name in labels:
        results[name]["equal_pixels"] = equal_pixels(labels["faseg"], labels[name])
    return {"side": side} | results


def against_naive_half(setting: Setting) -> dict:
    return against_naive(setting, setting.side // 2, setting.repeats)


def against_naive_full(setting: Setting) -> dict:
    """Once less, since each run takes minutes and many gigabytes."""
    return against_naive(setting, setting.side, max(1, setting.repeats - 1))


def methods(setting: Setting) -> dict:
    """Every method, once."""
    side = setting.side // 2
    asks = {name: {"method": name, "side": side} for name in minifaseg.METHODS}
    return {"side": side} | in_turns(setting, asks, 1)


def variants(setting: Setting) -> dict:
    """Without the UNet call of the inversion, and without the mirror image.

    Also the share of pixels that keep their label.
    """
    side = setting.side // 2
    hyperparameters = {
        "as released": RELEASED,
        "no inversion": RELEASED | {"steps": 0},
        "no flip": RELEASED | {"flip": False},
    }
    asks = {}
    for name, values in hyperparameters.items():
        asks[name] = {"hyperparameters": values, "side": side}
    results, labels = with_labels(setting, asks, setting.repeats)
    for name, result in results.items():
        result["equal_pixels"] = equal_pixels(labels[name], labels["as released"])
    return {"side": side} | results


def classes(setting: Setting) -> dict:
    return by_value(setting, "classes", (1, 3, 10, 80, 254), repeats=2)


def batch(setting: Setting) -> dict:
    side = setting.side if setting.gpu else setting.side // 2
    sizes = (1, 4, 16) if setting.gpu else (1, 2, 4)
    return {"side": side} | by_value(setting, "batch", sizes, side=side, repeats=2)


def sides(setting: Setting) -> dict:
    """The same picture at one, one and a half, and two times the side."""
    out = {}
    for side in (setting.side, setting.side * 3 // 2, setting.side * 2):
        out[str(side)] = summed([process(setting, side=side)])
    return out


def floor(setting: Setting) -> dict:
    """The time of a picture, and the floor (floor.py) at the machine's rate of matrix products."""
    model = minifaseg.load(setting.weights, setting.device)
    counted = operations(setting.side, model.unet.config, model.vae.config)
    del model

    out: dict = {"operations": counted}
    for dtype in ("float16", "bfloat16") if setting.gpu else dtypes():
        for compile in (False, True) if setting.gpu else (False,):
            speed = rate(setting.device, getattr(torch, dtype))
            found = process(setting, dtype=dtype, compile=compile, repeats=setting.repeats,
                            hyperparameters=RELEASED)
            name = f"{dtype} compiled" if compile else dtype
            out[name] = summed([found]) | {"rate": speed, "floor": counted["total"] / speed}
    return out


def read_through(path) -> None:
    """Reads every byte of a file."""
    buffer = bytearray(16 << 20)
    with open(path, "rb", buffering=0) as stream:
        while stream.readinto(buffer):
            pass


def touch_pages(model: Model) -> None:
    """Reads one number from every page of memory of the weights."""
    for network in (model.unet, model.vae, model.text):
        for p in network.parameters():
            p.view(-1)[::1024].sum()


def load(setting: Setting) -> dict:
    """Opening the checkpoint, and reading its bytes, both from the page cache.

    The imports are done before, and not measured. "convert": opening it in bfloat16.
    """
    path = minifaseg.load(setting.weights, "cpu").checkpoint.path
    reading, loading, touching, converting = [], [], [], []
    for _ in range(max(3, setting.repeats)):
        reading.append(seconds_of(read_through, path))
        start = time.perf_counter()
        model = minifaseg.load(setting.weights, "cpu")
        loading.append(time.perf_counter() - start)
        touch_pages(model)
        touching.append(time.perf_counter() - start)
        del model
        converting.append(seconds_of(minifaseg.load, setting.weights, "cpu", "bfloat16"))
    return {"bytes": path.stat().st_size, "read": median(reading), "load": median(loading),
            "load and touch": median(touching), "convert": median(converting)}


def cold(setting: Setting) -> dict:
    """Seconds from the shell: the help, and the first mask of the cartoon model."""
    with tempfile.TemporaryDirectory() as folder:
        picture = f"{folder}/x.png"
        paint(159, 512).image.save(picture)
        options = ["--weights", "cartoon", "--device", "cpu", "--force"]
        commands = {"--help": ["--help"], "first mask": [picture, "cat", "grass", *options]}
        seconds: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(5):
            for name, arguments in commands.items():
                command = [sys.executable, "-m", "minifaseg", *arguments]
                took = seconds_of(subprocess.run, command, capture_output=True, check=True)
                seconds[name].append(took)
    return {name: median(took) for name, took in seconds.items()}


def one_shot(setting: Setting) -> dict:
    """{number type: seconds of one picture from the shell, with three classes}.

    Beside them those of loading and of a picture in a process that has loaded, with its memory.
    """
    out = {}
    with tempfile.TemporaryDirectory() as folder:
        picture = f"{folder}/x.png"
        paint(0, 512).image.save(picture)
        for dtype in ("float16",) if setting.gpu else dtypes():
            command = [sys.executable, "-m", "minifaseg", picture, *class_names(3), "--force",
                       "--weights", setting.weights, "--device", setting.device, "--dtype", dtype]
            seconds = [seconds_of(subprocess.run, command, capture_output=True, check=True)
                       for _ in range(setting.repeats)]
            warm = summed([process(setting, dtype=dtype, side=0, repeats=setting.repeats)])
            out[dtype] = {"shell": median(seconds), "warm": warm}
    return out


def networks(setting: Setting) -> dict:
    """One call of each network, against OpenVINO's; CPU only."""
    if setting.gpu:
        return {}
    ask = {"weights": setting.weights, "side": setting.side, "repeats": setting.repeats}
    return run_module("minifaseg.bench.networks", ask)


def masks(setting: Setting, scenes: int = 50) -> dict:
    """The share of pixels on which two ways agree, on held-out cartoon scenes.

    The plain formulation against this package, with two sets of hyperparameters; and this package
    against itself: without the released inversion, and in bfloat16.
    """
    model = minifaseg.load("cartoon", "cpu", "float32")
    half = minifaseg.load("cartoon", "cpu", "bfloat16")
    unet = naive.diffusers_unet(model)
    equal: dict[str, list[float]] = {
        "the cartoon model's numbers": [],
        "one step of inversion, as released": [],
        "ours without that inversion, against ours with it": [],
        "ours in bfloat16, against ours in float32": [],
    }
    for seed in range(1000, 1000 + scenes):
        scene = paint(seed, model.side)
        found = []
        choices: list[dict[str, Any]] = [{}, RELEASED, RELEASED | {"steps": 0}]
        for hyperparameters in choices:
            result = minifaseg.segment(scene.image, scene.classes, model, **hyperparameters)
            found.append(result.labels)
        tuned, released, not_inverted = found
        rounded = minifaseg.segment(scene.image, scene.classes, half).labels

        plain = []
        for hyperparameters in ({}, RELEASED):
            method = minifaseg.make_method("faseg", model, **hyperparameters)
            labels = naive.segment(model, unet, scene.image, scene.classes, method)[1]
            plain.append(labels.numpy())

        pairs = ((plain[0], tuned), (plain[1], released), (not_inverted, released),
                 (rounded, tuned))
        for shares, (one, other) in zip(equal.values(), pairs):
            shares.append(equal_pixels(one, other))
    return {"scenes": scenes} | {name: float(np.mean(shares)) for name, shares in equal.items()}


def segment_one_by_one(model: Model, files: list[str], batch: int) -> None:
    for file in files:
        minifaseg.segment(decode(file), ["cat", "grass"], model)


def segment_ahead(model: Model, files: list[str], batch: int) -> None:
    """Opens pictures while others are segmented, `batch` of them together."""
    waiting = []
    for _, image in ahead(decode, files, batch):
        waiting.append(image)
        if len(waiting) == batch:
            minifaseg.segment_many(waiting, ["cat", "grass"], model)
            waiting = []


def folder(setting: Setting, count: int = 24) -> dict:
    """Pictures per second of a folder of photographs' size, one by one or opened ahead."""
    model = minifaseg.load(setting.weights if setting.gpu else "cartoon", setting.device)
    batch = 8 if setting.gpu else 1
    runs = {"one by one": segment_one_by_one, "ahead": segment_ahead}
    rates: dict[str, list[float]] = {name: [] for name in runs}
    with tempfile.TemporaryDirectory() as place, pixel_limit(None):
        files = [f"{place}/{i}.jpg" for i in range(count)]
        for i, file in enumerate(files):
            paint(i % 6, 512).image.resize((4000, 3000)).save(file)
        for _ in range(setting.repeats):
            for name, run in runs.items():
                rates[name].append(count / seconds_of(run, model, files, batch))
    return {"batch": batch} | {name: median(found) for name, found in rates.items()}


def processes(setting: Setting, scenes: int = 200) -> dict:
    """Seconds of one evaluation by one process and by two, one core each; imports included.

    torchrun starts the processes.
    """
    evaluation = ["-m", "minifaseg.evaluate", "cartoon", "--weights", "cartoon",
                  "--device", setting.device, "--seeds", f"1000:{1000 + scenes}"]
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    seconds = {}
    for world in ("1", "2"):
        command = [sys.executable, *launcher, world, *evaluation]
        seconds[world] = seconds_of(subprocess.run, command, capture_output=True, check=True,
                                    env=environment)
    return {"scenes": scenes, "seconds": seconds}


def profile(setting: Setting) -> dict:
    """The five largest costs of a run, as shares of all."""
    return process(setting, profile=True).get("profile", {})


EXPERIMENTS = {
    "cold": cold,
    "masks": masks,
    "load": load,
    "one-shot": one_shot,
    "networks": networks,
    "floor": floor,
    "naive-half": against_naive_half,
    "naive": against_naive_full,
    "classes": classes,
    "variants": variants,
    "methods": methods,
    "batch": batch,
    "sides": sides,
    "folder": folder,
    "processes": processes,
    "profile": profile,
}
