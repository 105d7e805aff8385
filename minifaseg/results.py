"""One segmented picture on the command line: its files, and what is printed about it."""
import json
import sys
from argparse import Namespace

import numpy as np
from PIL import Image

from . import Result
from .errors import shown
from .images import PALETTE, mask_image, overlay, write_png
from .messages import print_above_bar
from .model import Model
from .origin import Origins, write_sealed
from .output_files import Job
from .resume import sealed_parts
from .writing import write


def finish(job: Job, picture: Image.Image, result: Result, seconds: float, model: Model,
           origins: Origins, args: Namespace) -> None:
    """Writes the files of a picture and prints what is in it. OutputError if there is no room.

    The mask is written last, because it is sealed with the files beside it.
    """
    mask = mask_image(result.labels, args.gray)
    if job.scores:
        write(job.scores, lambda file: np.savez(file, scores=result.scores,
                                                classes=result.classes))
    if job.overlay:
        # At Pillow's usual compress_level this would be the slowest step on a GPU.
        write_png(job.overlay, overlay(picture, result.labels, result.classes), compress_level=1)
    if job.mask:
        write_sealed(job.mask, mask, *sealed_parts(job, origins.of(job.image)))
    else:
        mask.save(sys.stdout.buffer, "PNG")
        sys.stdout.flush()

    pixels = mask.histogram()                                               # of each id
    if args.json:
        text = as_json(job, result, pixels, seconds, model)
    else:
        text = as_text(job, result, pixels, seconds)
    print_above_bar(text, sys.stdout if job.mask else sys.stderr)


def as_json(job: Job, result: Result, pixels: list[int], seconds: float,
            model: Model) -> str:
    """One line that a program reads."""
    classes = [{"id": i, "name": name, "color": PALETTE[i].tolist(), "pixels": pixels[i],
                "share": pixels[i] / result.labels.size}
               for i, name in enumerate(result.classes, start=1)]
    about = {"schema": 1, **job._asdict(), "size": result.labels.shape[::-1], "classes": classes,
             "seconds": round(seconds, 3), "device": model.device, "weights": model.source}
    return json.dumps(about, default=str)                                   # paths and the device


def as_text(job: Job, result: Result, pixels: list[int], seconds: float) -> str:
    """A line for the picture, one for each class and one for each file."""
    height, width = result.labels.shape
    names = ("background", *result.classes)
    longest = max(map(len, names))
    lines = [f"{shown(job.image)}: {width} x {height}, {seconds:.1f} s"]
    lines += [f"  {name:{longest}}  {count / result.labels.size:6.1%}"
              for name, count in zip(names, pixels)]
    lines += [f"  -> {shown(path)}" for path in job.files()]
    return "\n".join(lines)
