"""One side of a comparison, in a process of its own, so that its peak memory is its own.

    python -m minifaseg.bench.side '{"method": "naive"}'

Prints one JSON object: the seconds of each stage in every run, and peak memory in GiB. What can be
asked for, and the defaults, are the fields of `Ask`.
"""
import dataclasses
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

import minifaseg

from .. import prompts
from ..cartoon.painter import paint
from ..cartoon.words import CLASSES, COLOURS
from ..memory import keep_freed_memory
from ..model import Model
from . import naive


@dataclasses.dataclass
class Ask:
    method: str = "faseg"                    # or naive, or a rival
    weights: str = "cartoon"
    device: str = "cpu"
    dtype: str | None = None
    side: int = 0                            # pixels of the square picture; 0 = the model's own
    classes: tuple[int, ...] = (3,)          # numbers of classes; several take turns
    batch: tuple[int, ...] = (1,)            # pictures in one batch; several take turns
    repeats: int = 1
    hyperparameters: dict = dataclasses.field(default_factory=dict)         # of the method
    compile: bool = False
    profile: bool = False
    labels: str | None = None                # file for the labels of the first run


def class_names(n: int) -> tuple[str, ...]:
    """n different names that the cartoon model knows: plain ones first, then coloured ones."""
    coloured = [f"{colour} {name}" for colour in COLOURS for name in CLASSES]
    return tuple([*CLASSES, *coloured][:n])


class StageTimer:
    """Measures how long the calls of each stage take.

    After timer.watch(owner, "name", "stage"), every call of owner.name counts as that stage.
    """

    def __init__(self, device: str) -> None:
        self.device = torch.device(device)
        self.laps: list[tuple[str, float]] = []

    def now(self) -> float:
        """Seconds, when all work given to the device is done."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return time.perf_counter()

    def watch(self, owner, name: str, stage: str) -> None:
        call = getattr(owner, name)

        def timed(*args, **options):
            start = self.now()
            out = call(*args, **options)
            self.laps.append((stage, self.now() - start))
            return out

        setattr(owner, name, timed)

    def take(self) -> dict[str, float]:
        """{stage: seconds} since the last take.

        The last UNet call is the capture, those before it are the inversion.
        """
        stages: dict[str, float] = {}
        unet_calls = []
        for stage, seconds in self.laps:
            if stage == "unet":
                unet_calls.append(seconds)
            else:
                stages[stage] = stages.get(stage, 0) + seconds
        if len(unet_calls) > 1:
            stages["inversion"] = sum(unet_calls[:-1])
        stages.setdefault("capture", unet_calls[-1] if unet_calls else 0)
        self.laps.clear()
        return stages


def watch_stages(timer: StageTimer, model: Model, unet, method) -> None:
    """Names the calls, of this package and of the plain formulation, that make up each stage."""
    timer.watch(prompts, "image_prompt", "text")
    timer.watch(prompts, "class_prompts", "text")
    timer.watch(model.vae.encoder, "forward", "vae")
    timer.watch(unet, "forward", "unet")
    timer.watch(naive, "attention_maps", "capture")
    timer.watch(naive, "hard", "refinement")
    timer.watch(type(method), "scores", "refinement")
    timer.watch(minifaseg, "label", "labels")


def memory(device: str, peak: bool = True) -> float:
    """GiB that the process has needed at most, or needs now: of the GPU, else of main memory."""
    if torch.device(device).type == "cuda":
        measure = torch.cuda.max_memory_allocated if peak else torch.cuda.memory_allocated
        return measure(device) / 2**30
    lines = Path("/proc/self/status").read_text().splitlines()             # Linux
    status = dict(line.split(":", 1) for line in lines)
    kibibytes = status["VmHWM" if peak else "VmRSS"].split()[0]
    return int(kibibytes) / 2**20


@torch.no_grad()
def touch_weights(model: Model) -> None:
    """Uses the weights once, so that reading the file is not part of the first run."""
    text = model.text(["a"])
    model.unet(torch.zeros(1, 4, 8, 8).to(text), 1, text)
    model.vae.moments(torch.zeros(1, 3, 64, 64).to(text))


def largest_costs(run: Callable[[], object]) -> dict[str, float]:
    """{operation: share of all time} of the five largest costs of a run."""
    with torch.profiler.profile(activities=torch.profiler.supported_activities()) as profile:
        run()
    costs = []
    for event in profile.key_averages():
        costs.append((event.self_device_time_total or event.self_cpu_time_total, event.key))
    total = sum(cost for cost, _ in costs)
    return {name: cost / total for cost, name in sorted(costs, reverse=True)[:5]}


def measure(ask: Ask) -> dict[str, Any]:
    """Loads the model and segments painted pictures.

    `ask.repeats` times for every number of classes and of pictures.
    """
    start = time.perf_counter()
    model = minifaseg.load(ask.weights, ask.device, ask.dtype, compile=ask.compile)
    out: dict[str, Any] = {"load": time.perf_counter() - start, "runs": []}
    plain = ask.method == "naive"
    if not plain:
        keep_freed_memory()                              # as the command line does

    side = ask.side or model.side
    model.notes["side"] = side
    name = "faseg" if plain else ask.method
    method = minifaseg.make_method(name, model, **ask.hyperparameters)
    unet = naive.diffusers_unet(model) if plain else model.unet
    images = [paint(seed, side).image for seed in range(max(ask.batch))]
    if not ask.compile:
        touch_weights(model)
    out["weights_gib"] = memory(ask.device, peak=False)

    timer = StageTimer(ask.device)
    watch_stages(timer, model, unet, method)

    def segment(class_count: int, batch: int) -> np.ndarray:
        """Labels of the first picture."""
        classes = class_names(class_count)
        if plain:
            labels = naive.segment(model, unet, images[0], classes, method)[1]
            return labels.numpy().astype(np.uint8)
        results = minifaseg.segment_many(
            images[:batch], classes, model, method=name, **ask.hyperparameters)
        return results[0].labels

    # Compiling and choosing kernels is not part of a run.
    if ask.compile or model.device.type == "cuda":
        for batch in ask.batch:
            segment(ask.classes[0], batch)
        timer.take()

    turns = [(class_count, batch) for class_count in ask.classes for batch in ask.batch]
    for class_count, batch in turns * ask.repeats:
        start = timer.now()
        labels = segment(class_count, batch)
        total = timer.now() - start
        run = {"classes": class_count, "batch": batch} | timer.take() | {"total": total}
        out["runs"].append(run)
        if ask.labels and not Path(ask.labels).exists():
            np.save(ask.labels, labels)

    out["peak_gib"] = memory(ask.device)
    if ask.profile:
        out["profile"] = largest_costs(lambda: segment(ask.classes[0], ask.batch[0]))
    return out


if __name__ == "__main__":
    print(json.dumps(measure(Ask(**json.loads(sys.argv[1])))))
