"""One side of a comparison, in a process of its own, so that its peak memory is its own: python -m minifaseg.bench.side '{"method": "naive"}'

Prints one JSON object: seconds of each stage in every run, peak memory in GiB. What is asked for, and its defaults, is `Ask`.
"""
import dataclasses
import json
import sys
import time
from pathlib import Path

import numpy as np
import torch

import minifaseg

from .. import prompts
from ..cartoon.painter import paint
from ..cartoon.words import CLASSES, COLOURS
from . import naive


@dataclasses.dataclass
class Ask:
    method: str = "faseg"                    # or naive, or a rival
    weights: str = "cartoon"
    device: str = "cpu"
    dtype: str | None = None
    side: int = 0                            # pixels of the square picture; 0 = the model's own
    classes: tuple[int, ...] = (3,)          # how many; several take turns
    batch: tuple[int, ...] = (1,)            # pictures seen together; several take turns
    repeats: int = 1
    numbers: dict = dataclasses.field(default_factory=dict)        # of the method
    compile: bool = False
    profile: bool = False
    labels: str | None = None                # file for the labels of the first run


def class_names(n) -> tuple[str, ...]:
    """n different names that the cartoon model knows: the plain ones, then the coloured ones."""
    return tuple([*CLASSES, *(f"{colour} {c}" for colour in COLOURS for c in CLASSES)][:n])


class Watch:
    """Takes the time of calls: watch(owner, "name", "stage") makes every later owner.name() count as that stage."""

    def __init__(self, device):
        self.device, self.laps = torch.device(device), []

    def now(self):
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return time.perf_counter()

    def __call__(self, owner, name, stage):
        call = getattr(owner, name)

        def timed(*args, **options):
            start = self.now()
            out = call(*args, **options)
            self.laps.append((stage, self.now() - start))
            return out
        setattr(owner, name, timed)

    def stages(self, total) -> dict[str, float]:
        """Seconds by stage since the last time. Of two UNet calls the first is the inversion."""
        calls, out = [seconds for stage, seconds in self.laps if stage == "unet"], {}
        for stage, seconds in self.laps:
            if stage != "unet":
                out[stage] = out.get(stage, 0) + seconds
        if len(calls) > 1:
            out["inversion"] = sum(calls[:-1])
        out.setdefault("capture", calls[-1] if calls else 0)
        self.laps.clear()
        return out | {"total": total}


def memory(device, peak=True) -> float:
    """GiB that the process has had at most, or has now: on a GPU its tensors there, else all of its memory."""
    if torch.device(device).type == "cuda":
        return (torch.cuda.max_memory_allocated if peak else torch.cuda.memory_allocated)(device) / 2**30
    status = dict(line.split(":", 1) for line in open("/proc/self/status"))              # Linux
    return int(status["VmHWM" if peak else "VmRSS"].split()[0]) / 2**20


def measure(ask: Ask) -> dict:
    start = time.perf_counter()
    model = minifaseg.load(ask.weights, ask.device, ask.dtype, compile=ask.compile)
    out = {"load": time.perf_counter() - start, "runs": []}
    model.notes["side"] = side = ask.side or model.side
    how = minifaseg.make_method("faseg" if ask.method == "naive" else ask.method, model, **ask.numbers)
    images = [paint(seed, side).image for seed in range(max(ask.batch))]
    unet = naive.diffusers_unet(model) if ask.method == "naive" else model.unet
    if not ask.compile:                                                     # every weight has been looked at once before anything is timed
        with torch.no_grad():
            text = model.text(["a"])
            model.unet(torch.zeros(1, 4, 8, 8).to(text), 1, text), model.vae.moments(torch.zeros(1, 3, 64, 64).to(text))
    out["weights_gib"] = memory(ask.device, peak=False)

    watch = Watch(ask.device)
    for owner, name, stage in ((prompts, "image_prompt", "text"), (prompts, "class_prompts", "text"), (model.vae.encoder, "forward", "vae"),
                               (unet, "forward", "unet"), (type(how), "scores", "refinement"), (minifaseg, "label", "labels"),
                               (naive, "attention_maps", "capture"), (naive, "hard", "refinement")):
        watch(owner, name, stage)

    def once(classes, batch):
        if ask.method == "naive":
            return naive.segment(model, unet, images[0], classes, how)[1].numpy().astype(np.uint8)
        results = minifaseg.segment_many(images[:batch], classes, model, method=ask.method, **ask.numbers)
        return results[0].labels

    if ask.compile or model.device.type == "cuda":                          # compiling and choosing kernels is not part of a run
        for batch in ask.batch:
            once(class_names(ask.classes[0]), batch)
        watch.laps.clear()
    for _ in range(ask.repeats):
        for count in ask.classes:
            for batch in ask.batch:
                start = watch.now()
                labels = once(class_names(count), batch)
                out["runs"].append({"classes": count, "batch": batch} | watch.stages(watch.now() - start))
                if ask.labels and not Path(ask.labels).exists():
                    np.save(ask.labels, labels)
    out["peak_gib"] = memory(ask.device)
    if ask.profile:
        with torch.profiler.profile(activities=torch.profiler.supported_activities()) as profile:
            once(class_names(ask.classes[0]), ask.batch[0])
        cost = lambda event: event.self_device_time_total or event.self_cpu_time_total
        events = sorted(profile.key_averages(), key=cost, reverse=True)
        out["profile"] = {event.key: cost(event) / sum(map(cost, events)) for event in events[:5]}
    return out


if __name__ == "__main__":
    print(json.dumps(measure(Ask(**json.loads(sys.argv[1])))))
