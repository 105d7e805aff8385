"""The command line: python -m minifaseg image.jpg cat dog grass

Nothing is loaded or written before the request as a whole makes sense: which arguments are
pictures, which are class names (arguments.py), which files will be written and whether one would
be lost (output_files.py). After that, a bad picture costs one error line and the run goes on.
"""
import gc
import os
import sys
import warnings
from argparse import SUPPRESS, ArgumentParser, Namespace, RawDescriptionHelpFormatter
from functools import partial
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

import minifaseg

from .arguments import sort_out
from .errors import InputError, UsageError
from .memory import keep_freed_memory
from .messages import complain, print_above_bar
from .methods import parse_method
from .origin import Origins
from .output_files import Job, plan
from .resume import relevant_options, unfinished

if TYPE_CHECKING:                        # both are slow to import
    from PIL import Image

    from .model import Model

DONE, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130          # exit codes

HELP = """Pictures first, then class names. A picture is a file, a folder, a pattern
("photos/*.jpg") or - for standard input. Later arguments that exist or read like a path are
pictures too, all others are class names. Several names fit into one argument: "hot dog, teddy
bear". Where a folder is called cat, write "cat " for the class.

x.jpg becomes x_mask.png (pixel = place of the class in your list, 0 = background; the colours are
only a palette) and x_overlay.png (to look at), beside it or under -o."""


def parser() -> ArgumentParser:
    p = ArgumentParser(prog="minifaseg", description=HELP,
                                usage="python -m minifaseg [options] "
                                      "IMAGE [IMAGE ...] CLASS [CLASS ...]",
                                formatter_class=RawDescriptionHelpFormatter)
    option = p.add_argument
    switch = partial(p.add_argument, action="store_true")

    option("things", nargs="+", metavar="IMAGE or CLASS", help="pictures, then class names")
    option("-o", "--output", metavar="PATH",
           help="mask file (.png) of one picture, or a folder; - = standard output")
    switch("--scores", help="also write x_scores.npz: scores (K, H, W) float32 and classes")
    switch("--gray",
           help="masks as plain 8-bit grey PNG, for readers that see a palette's colours")
    switch("--json", help="one JSON object per picture on standard output")
    switch("--force", help="overwrite files that exist")
    switch("--resume",
           help="go on where a run was stopped: keep files that were made from the same")
    switch("--debug", help="show the traceback of every error")
    option("--version", action="version", version=f"minifaseg {minifaseg.__version__}")
    option("--weights", default="auto",
           help=".safetensors file, diffusers folder, sd15, cartoon or auto")

    # What is not set stays absent: load and segment know their own defaults.
    p.argument_default = SUPPRESS
    option("--device", help="auto, cuda, cuda:1, mps or cpu")
    option("--dtype", help="float32, float16 or bfloat16 (default: what suits the device)")
    switch("--compile",
           help="torch.compile: minutes at the first picture, faster at every other")
    option("--caption", help="a sentence about the picture, put before the class names")
    option("--method", metavar="NAME[:NUMBERS]", default="faseg",
           help=f"{', '.join(minifaseg.METHODS)}; "
                f"{' and '.join(minifaseg.UNSUPERVISED)} also run without class names; "
                'change numbers as in "faseg:tau=1;flip=False"')
    option("--threshold", type=float, help="scores below it are background, 0 to 1")
    option("--no-flip", dest="flip", action="store_false",
           help="skip the mirrored view: faster")
    option("--no-inversion", dest="steps", action="store_const", const=0,
           help="one UNet call instead of two: faster")
    option("--batch", type=int, metavar="N",
           help="pictures seen together (default: 8 on a GPU, 1 on a CPU)")
    option("--seed", type=int, help="seed of the method's random numbers")
    option("--max-pixels", type=int, metavar="N", default=None,
           help="refuse larger pictures (default: 179 million)")
    return p


# What is asked for

def given(args: Namespace, *names: str) -> dict[str, Any]:
    """Those of the options that are set on the command line."""
    return {name: value for name, value in vars(args).items() if name in names}


def requested_method(args: Namespace) -> tuple[str, dict[str, Any]]:
    """The method's name, and the hyperparameters that --method or an option of their own set."""
    options = given(args, "threshold", "flip", "steps", "seed")
    try:
        name, hyperparameters = parse_method(args.method)
        if hyperparameters | options:
            # Raises for a name that the method does not have, or a value of another kind.
            minifaseg.make_method(name, **options | hyperparameters)
    except InputError as e:
        raise UsageError(str(e)) from e
    for twice in hyperparameters.keys() & options.keys():
        raise UsageError(f"--method {args.method} sets {twice}, and so does another option; "
                         "give one of the two")
    return name, hyperparameters | options


# Doing it

def run(args: Namespace) -> int:
    """Segments what is asked for. Returns the exit code; UsageError for a bad request."""
    args.method, args.hyperparameters = requested_method(args)
    images, classes = sort_out(args.things, args.method in minifaseg.UNSUPERVISED)
    jobs = plan(images, args)
    if getattr(args, "batch", 1) < 1:
        raise UsageError(f"--batch {args.batch}: at least 1")

    # Without any picture there is only to say that they are missing.
    found = any(job.image == "-" or os.path.exists(job.image) for job in jobs)
    model = load_model(args) if found else None
    origins = None
    if model and args.output != "-":
        origins = Origins(model, classes, relevant_options(args))
        if args.resume:
            jobs = unfinished(jobs, origins)

    failed = segment_all(jobs, classes, model, origins, args)
    if failed and len(jobs) > 1:
        print_above_bar(f"minifaseg: {failed} of {len(jobs)} pictures failed")
    return FAILED if failed else DONE


def load_model(args: Namespace) -> "Model":
    keep_freed_memory()
    # Half a million objects are made to stay. Looking for garbage among them, now and when the
    # process ends, would take a second.
    gc.disable()
    try:
        model = minifaseg.load(args.weights, **given(args, "device", "dtype", "compile"))
        gc.freeze()
    finally:
        gc.enable()
    text = f"weights: {model.source}, on {model.device}"
    if model.is_cartoon:
        text += "; for photographs get Stable Diffusion 1.5: python weights.py download"
    print_above_bar(text)
    return model


def segment_all(jobs: list[Job], classes: tuple[str, ...], model: Any,
                origins: Any, args: Namespace) -> int:
    """Writes the files of every job and prints what is in them. Returns how many jobs failed."""
    from .batches import segment_in_batches
    from .pictures.opening import decode, pixel_limit
    from .results import finish

    def open_picture(job: Job) -> "Image.Image":
        if origins:
            origins.record(job.image)
        return decode(sys.stdin.buffer if job.image == "-" else job.image)

    segment = partial(minifaseg.segment_many, classes=classes, model=model,
                      **given(args, "method", "caption"), **args.hyperparameters)
    default = 8 if model and model.device.type != "cpu" else 1
    results = segment_in_batches(jobs, open_picture, segment, getattr(args, "batch", default))
    # disable=None: a bar only on a terminal
    bar = tqdm(total=len(jobs), unit="picture", disable=None if len(jobs) > 1 else True)
    failed = 0
    with pixel_limit(args.max_pixels), bar:
        for job, picture, result, seconds in results:
            try:
                if isinstance(result, Exception):
                    raise result
                finish(job, picture, result, seconds, model, origins, args)
            except (UsageError, BrokenPipeError):
                raise
            except Exception as e:
                failed += 1
                complain(e, args.debug, job.image)
            bar.update()
            del picture, result          # else a large picture stays while the next is worked on
    return failed


def main(argv: list[str] | None = None) -> int:
    """Runs one command line. Returns the exit code."""
    args = parser().parse_intermixed_args(argv)
    try:
        if hasattr(sys.stdout, "reconfigure"):
            # A file name may hold bytes that are no text.
            sys.stdout.reconfigure(errors="backslashreplace")
        with warnings.catch_warnings():
            warnings.showwarning = lambda message, *_: complain(message)
            return run(args)
    except KeyboardInterrupt:
        print_above_bar("minifaseg: interrupted; every file written so far is whole")
        return INTERRUPTED
    except BrokenPipeError:
        # The reader, say `head`, has gone; keep Python's exit from saying so.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except Exception as e:
        complain(e, args.debug)
        return USAGE if isinstance(e, UsageError) else FAILED


if __name__ == "__main__":
    sys.exit(main())
