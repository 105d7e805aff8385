"""One segmented picture on the command line: its files, and what is printed about it."""
import json
import sys
from argparse import Namespace
from typing import NamedTuple

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


class Segmented(NamedTuple):
    """A picture whose files are to be written.

    The attention behind it, hundreds of megabytes, is not kept while it waits for that.
    """
    picture: Image.Image
    labels: np.ndarray
    classes: tuple[str, ...]
    seconds: float


def keep(job: Job, picture: Image.Image, result: Result | Exception, seconds: float,
         debug: bool = False) -> tuple[Job, Segmented | Exception]:
    """(job, what `finish` needs of it, or the exception). Writes the scores.

    This is done where the networks run, because scores are computed on their device. With debug an
    exception keeps its traceback.
    """
    try:
        if isinstance(result, Exception):
            raise result
        write_scores(job, result)
        return job, Segmented(picture, result.labels, result.classes, seconds)
    except Exception as e:
        if not debug:
            forget_frames(e)
        return job, e


def forget_frames(error: BaseException | None) -> None:
    """Lets go of what the frames behind an exception hold: memory that the next picture needs."""
    while error:
        error.__traceback__ = None
        error = error.__cause__ or error.__context__


def write_scores(job: Job, result: Result) -> None:
    if job.scores:
        write(job.scores, lambda file: np.savez(file, scores=result.scores,
                                                classes=result.classes))


def finish(job: Job, segmented: Segmented, model: Model, origins: Origins,
           args: Namespace) -> None:
    """Writes the other files of a picture and prints what is in it. Raises OutputError.

    The mask is written last, because it is sealed with the files beside it.
    """
    picture, labels, classes, _ = segmented
    mask = mask_image(labels, args.gray)
    if job.overlay:
        # At Pillow's usual compress_level this would be the slowest step on a GPU.
        write_png(job.overlay, overlay(picture, labels, classes), compress_level=1)
    if job.mask:
        write_sealed(job.mask, mask, *sealed_parts(job, origins.of(job.image)))
    else:
        mask.save(sys.stdout.buffer, "PNG")
        sys.stdout.flush()

    pixels = mask.histogram()                                               # of each id
    if args.json:
        text = as_json(job, segmented, pixels, model)
    else:
        text = as_text(job, segmented, pixels)
    print_above_bar(text, sys.stdout if job.mask else sys.stderr)


def as_json(job: Job, segmented: Segmented, pixels: list[int], model: Model) -> str:
    """One line that a program reads."""
    _, labels, names, seconds = segmented
    classes = [{"id": i, "name": name, "color": PALETTE[i].tolist(), "pixels": pixels[i],
                "share": pixels[i] / labels.size}
               for i, name in enumerate(names, start=1)]
    about = {"schema": 1, **job._asdict(), "size": labels.shape[::-1], "classes": classes,
             "seconds": round(seconds, 3), "device": model.device, "weights": model.source}
    return json.dumps(about, default=str)                                   # paths and the device


def as_text(job: Job, segmented: Segmented, pixels: list[int]) -> str:
    """A line for the picture, one for each class and one for each file."""
    _, labels, classes, seconds = segmented
    height, width = labels.shape
    names = ("background", *classes)
    longest = max(map(len, names))
    lines = [f"{shown(job.image)}: {width} x {height}, {seconds:.1f} s"]
    lines += [f"  {name:{longest}}  {count / labels.size:6.1%}"
              for name, count in zip(names, pixels)]
    lines += [f"  -> {shown(path)}" for path in job.files()]
    return "\n".join(lines)
