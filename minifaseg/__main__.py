"""The command line: python -m minifaseg image.jpg cat dog grass

Nothing is loaded or written before the request as a whole makes sense: which arguments are pictures, which are class names,
which files will be written and whether one would be lost. After that, a bad picture costs one error line and the run goes on.
"""
import argparse
import gc
import json
import os
import sys
import time
import traceback
import warnings
from itertools import islice, takewhile
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

import minifaseg

from .arguments import same, sort_out
from .errors import InputError, UsageError, WeightsError, shown
from .methods import parse_method
from .origin import Origins, write_sealed
from .pictures.formats import SUFFIXES
from .resume import made_from, options, unfinished

DONE, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130                             # exit codes

HELP = """Pictures first, then class names. A picture is a file, a folder, a pattern ("photos/*.jpg") or - for standard input.
Later arguments that exist or read like a path are pictures too, all others are class names. Several names fit into
one argument: "hot dog, teddy bear". Where a folder is called cat, write "cat " for the class.

x.jpg becomes x_mask.png (pixel = place of the class in your list, 0 = background; the colours are only a palette) and
x_overlay.png (to look at), beside it or under -o."""


class Job(NamedTuple):
    """One picture and the files made of it; "-" is standard input or output, None a file that is not wanted."""
    image: str
    mask: Path | str
    overlay: Path | None
    scores: Path | None

    def files(self):
        return [path for path in self[1:] if isinstance(path, Path)]


def parser():
    p = argparse.ArgumentParser(prog="minifaseg", usage="python -m minifaseg [options] IMAGE [IMAGE ...] CLASS [CLASS ...]",
                                description=HELP, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("things", nargs="+", metavar="IMAGE or CLASS", help="pictures, then class names")
    p.add_argument("-o", "--output", metavar="PATH", help="mask file (.png) of one picture, or a folder; - = standard output")
    p.add_argument("--scores", action="store_true", help="also write x_scores.npz: scores (K, H, W) float32 and classes")
    p.add_argument("--gray", action="store_true",
                   help="masks as plain 8-bit grey PNG, for readers that see a palette's colours")
    p.add_argument("--json", action="store_true", help="one JSON object per picture on standard output")
    p.add_argument("--force", action="store_true", help="overwrite files that exist")
    p.add_argument("--resume", action="store_true",
                   help="go on where a run was stopped: keep files that were made from the same")
    p.add_argument("--debug", action="store_true", help="show the traceback of every error")
    p.add_argument("--version", action="version", version=f"minifaseg {minifaseg.__version__}")
    p.add_argument("--weights", default="auto", help=".safetensors file, diffusers folder, sd15, cartoon or auto")
    p.argument_default = argparse.SUPPRESS               # what is not set stays absent: load and segment know their defaults
    p.add_argument("--device", help="auto, cuda, cuda:1, mps or cpu")
    p.add_argument("--dtype", help="float32, float16 or bfloat16 (default: what suits the device)")
    p.add_argument("--compile", action="store_const", const=True, help="torch.compile: minutes at the first picture, faster at every other")
    p.add_argument("--caption", help="a sentence about the picture, put before the class names")
    p.add_argument("--method", metavar="NAME[:NUMBERS]", default="faseg",
                   help=f'{", ".join(minifaseg.METHODS)}; '
                        f'{" and ".join(minifaseg.UNSUPERVISED)} also run without class names; '
                        'change numbers as in "faseg:tau=1;flip=False"')
    p.add_argument("--threshold", type=float, help="scores below it are background, 0 to 1")
    p.add_argument("--no-flip", dest="flip", action="store_const", const=False, help="skip the mirrored view: faster")
    p.add_argument("--no-inversion", dest="steps", action="store_const", const=0, help="one UNet call instead of two: faster")
    p.add_argument("--batch", type=int, metavar="N", help="pictures seen together (default: 8 on a GPU, 1 on a CPU)")
    p.add_argument("--seed", type=int, help="seed of the method's random numbers")
    p.add_argument("--max-pixels", type=int, metavar="N", help="refuse larger pictures (default: 179 million)")
    return p


def chosen(args, *names):
    return {name: getattr(args, name) for name in names if hasattr(args, name)}


# What is asked for

def plan(images, args) -> list[Job]:
    """Decides every file name; refuses before anything runs if a file would be lost."""
    out, one = args.output, len(images) == 1
    if out == "-":
        if not one or args.json or args.scores:
            raise UsageError("-o - writes one mask to standard output: give one picture, and neither --json nor --scores")
        return [Job(images[0], "-", None, None)]
    file = out and not os.path.isdir(out) and (out.lower().endswith(SUFFIXES) or os.path.exists(out))
    if file and not (one and out.lower().endswith(".png")):
        raise UsageError(f"-o {out}: masks are PNG, other formats may change the class numbers; give a name ending in .png" if one
                         else f"-o {out}: one file for {len(images)} pictures; give a folder")
    jobs, taken = [], {same(image): f"the picture {image}" for image in images}
    for image in images:
        source = Path("stdin" if image == "-" else image)
        mask = Path(out) if file else Path(out or source.parent) / f"{source.stem}_mask.png"
        name = mask.stem.removesuffix("_mask")
        scores = mask.with_name(f"{name}_scores.npz") if args.scores else None
        jobs.append(Job(image, mask, mask.with_name(f"{name}_overlay.png"), scores))
        for path in jobs[-1].files():
            if same(path) in taken:
                raise UsageError(f"{path} of {image} would replace {taken[same(path)]}; run them one by one with different -o")
            taken[same(path)] = f"that of {image}"
    there = [path for job in jobs for path in job.files() if os.path.lexists(path)]
    if there and not args.force and not args.resume:
        raise UsageError(f"{there[0]} exists" + (f" (and {len(there) - 1} more)" if there[1:] else "") + "; --force overwrites, "
                         "--resume goes on where a run was stopped")
    return jobs


def method_asked(args) -> tuple[str, dict]:
    """The method's name, and the numbers that --method or an option of their own set."""
    options = chosen(args, "threshold", "flip", "steps", "seed")
    try:
        name, numbers = parse_method(args.method)
        if numbers | options:
            # raises: no such number, or not of its kind
            minifaseg.make_method(name, **options | numbers)
    except InputError as e:
        raise UsageError(str(e)) from e
    for number in numbers.keys() & options.keys():
        raise UsageError(f"--method {args.method} sets {number}, and so does another option; "
                         "give one of the two")
    return name, numbers | options


# Doing it

def run(args) -> int:
    args.method, args.numbers = method_asked(args)
    images, classes = sort_out(args.things, args.method in minifaseg.UNSUPERVISED)
    jobs, model, failed = plan(images, args), None, 0
    if getattr(args, "batch", 1) < 1:
        raise UsageError(f"--batch {args.batch}: at least 1")
    if any(job.image == "-" or os.path.exists(job.image) for job in jobs):  # else there is only to say that they are missing
        gc.disable()                                     # half a million objects are made to stay: looking for garbage among them, now
        try:                                             # and when the process ends, takes a second
            model = minifaseg.load(args.weights, **chosen(args, "device", "dtype", "compile"))
            gc.freeze()
        finally:
            gc.enable()
        hint = "; for photographs get Stable Diffusion 1.5: python weights.py download" if model.is_cartoon else ""
        tell(f"weights: {model.source}, on {model.device}{hint}", sys.stderr)
    origins = Origins(model, classes, options(args)) if model and args.output != "-" else None
    if args.resume and origins:
        jobs, lines = unfinished(jobs, origins)
        for line in lines:
            tell(f"minifaseg: {line}", sys.stderr)
    args.batch = getattr(args, "batch", 8 if model and model.device.type != "cpu" else 1)
    from .pictures.opening import pixel_limit
    # disable=None: a bar only on a terminal
    with pixel_limit(getattr(args, "max_pixels", None)), tqdm(total=len(jobs), unit="picture", disable=None if len(jobs) > 1 else True) as bar:
        for job, image, result, seconds in outcomes(jobs, classes, model, origins, args):
            try:
                if isinstance(result, Exception):
                    raise result
                report(job, image, result, seconds, model, origins, args)
            except (UsageError, BrokenPipeError):
                raise
            except Exception as e:
                failed += 1
                complain(e, args.debug, job.image)
            bar.update()
            del image, result  # else a large picture stays while the next one is worked on
    if failed and len(jobs) > 1:
        tell(f"minifaseg: {failed} of {len(jobs)} pictures failed", sys.stderr)
    return FAILED if failed else DONE


def outcomes(jobs, classes, model, origins, args):
    """(job, picture, Result, seconds) of every job in order, with the exception in place of a Result that there is not.

    args.batch pictures are seen together. A batch that fails is tried again in halves, and where memory ran out they stay that small.
    """
    from .pictures.opening import ahead, decode

    def opened_image(job):
        if origins:
            origins.look(job.image)
        return decode(sys.stdin.buffer if job.image == "-" else job.image)
    opened = ahead(opened_image, jobs, args.batch)
    waiting, size = [], args.batch
    while waiting := waiting or list(islice(opened, args.batch)):
        some = list(takewhile(lambda pair: not isinstance(pair[1], Exception), waiting[:size]))
        if not some:
            job, e = waiting.pop(0)
            yield job, None, e, 0
            continue
        start = time.perf_counter()
        try:
            asked = chosen(args, "method", "caption") | args.numbers
            results = minifaseg.segment_many([image for _, image in some], classes, model, **asked)
        except WeightsError:
            raise
        except InputError as e:                          # the pictures were fine, so every other one would meet the same
            raise UsageError(str(e)) from e
        except Exception as e:
            if len(some) > 1:
                size = len(some) // 2
                if out_of_memory(e):
                    args.batch = size
                    tell(f"minifaseg: out of memory with {len(some)} pictures at a time; going on with {size} (--batch {size})", sys.stderr)
                continue                                 # e, and the memory that it held, is gone
            results = [e]
        seconds, size = (time.perf_counter() - start) / len(some), args.batch
        del waiting[:len(some)]
        while some:                                      # what has been handed out is forgotten before the next batch needs room
            yield *some.pop(0), results.pop(0), seconds


def report(job, image, result, seconds, model, origins, args) -> None:
    """One finished picture: write its files, say what is in it."""
    from .images import PALETTE, mask_image, overlay, write_png
    from .writing import write
    mask = mask_image(result.labels, args.gray)
    if job.scores:
        import numpy as np
        write(job.scores, lambda file: np.savez(file, scores=result.scores, classes=np.array(result.classes)))
    if job.overlay:
        write_png(job.overlay, overlay(image, result.labels, result.classes), compress_level=1)           # else the slowest step on a GPU
    if job.mask != "-":
        write_sealed(job.mask, mask, *made_from(job, origins.of(job.image)))
    else:
        mask.save(sys.stdout.buffer, "PNG")
        sys.stdout.flush()

    pixels, total = mask.histogram(), image.width * image.height
    if args.json:
        rows = [{"id": i, "name": name, "color": PALETTE[i].tolist(), "pixels": pixels[i], "share": pixels[i] / total}
                for i, name in enumerate(result.classes, start=1)]
        tell(json.dumps({"schema": 1, "image": job.image, "mask": str(job.mask), "overlay": str(job.overlay),
                         "scores": str(job.scores) if job.scores else None, "size": list(image.size), "classes": rows,
                         "seconds": round(seconds, 3), "device": str(model.device), "weights": model.source}))
        return
    names = ("background", *result.classes)
    lines = [f"{shown(job.image)}: {image.width} x {image.height}, {seconds:.1f} s"]
    lines += [f"  {name:{max(map(len, names))}}  {count / total:6.1%}" for name, count in zip(names, pixels)]
    lines += [f"  -> {shown(str(path))}" for path in job.files()]
    tell("\n".join(lines), sys.stderr if job.mask == "-" else sys.stdout)


# Saying it

def tell(text, file=None):
    file = file or sys.stdout
    tqdm.write(text, file=file)                          # like print, but above the progress bar
    file.flush()


def complain(e, debug=False, image=None):
    if debug:
        traceback.print_exc()
    if out_of_memory(e):
        text = "out of memory; a smaller picture, --no-flip, --dtype float16 (on a GPU) or --device cpu may help"
    elif isinstance(e, (InputError, Warning)):
        text, image = str(e), None                       # these name the file themselves
    else:
        text = f"unexpected {type(e).__name__}: {' '.join(str(e).split())} (--debug shows where)"
    tell(f"minifaseg: {image}: {text}" if image else f"minifaseg: {text}", sys.stderr)


def out_of_memory(e):
    return isinstance(e, MemoryError) or any(s in str(e).lower() for s in ("out of memory", "allocate memory"))


def main(argv=None) -> int:
    args = parser().parse_intermixed_args(argv)
    try:
        if hasattr(sys.stdout, "reconfigure"):
            sys.stdout.reconfigure(errors="backslashreplace")               # a file name may hold bytes that are no text
        with warnings.catch_warnings():
            warnings.showwarning = lambda message, *_: complain(message)
            return run(args)
    except KeyboardInterrupt:
        tell("minifaseg: interrupted; every file written so far is whole", sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:                              # the reader, say `head`, has gone; keep Python's exit from saying so
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except Exception as e:
        complain(e, args.debug)
        return USAGE if isinstance(e, UsageError) else FAILED


if __name__ == "__main__":
    sys.exit(main())
