"""The command line: python -m minifaseg image.jpg cat dog grass

Nothing is loaded or written before the request as a whole makes sense: which arguments are
pictures, which are class names (arguments.py), which files will be written and whether one would
be lost (output_files.py). After that, a bad picture costs one error line and the run goes on.
Several processes share the pictures if torchrun starts them (ranks.py).
"""
import gc
import os
import sys
from argparse import SUPPRESS, ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Callable
from functools import partial
from itertools import starmap
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

import minifaseg

from .arguments import sort_out
from .errors import WEIGHTS_COMMAND, InputError, UsageError
from .memory import keep_freed_memory
from .messages import complain, print_above_bar, warnings_in_one_line
from .methods import parse_method
from .origin import Origins, digest
from .output_files import Job, plan
from .ranks import Processes, join, own_device
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
    option("--no-overlay", dest="overlay", action="store_false", help="leave x_overlay.png out")
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

def run(args: Namespace, processes: Processes) -> int:
    """Segments what is asked for. Returns the exit code; UsageError for a bad request."""
    with processes.quiet():                              # all of them prepare the same
        jobs, classes = processes.agree(partial(request, args))
        check_same(jobs, classes, processes)
        # Without any picture there is only to say that they are missing.
        found = any(job.image == "-" or os.path.exists(job.image) for job in jobs)
        needed = found and processes.rank < len(jobs)
        model = processes.agree(partial(load_model, args, processes) if needed else nothing)

        origins = None
        if model and args.output != "-":
            origins = Origins(model, classes, relevant_options(args))
        if args.resume and args.output != "-":
            jobs = unfinished(jobs, origins, processes)

    failed = share_out(jobs, classes, model, origins, args, processes)
    if failed and len(jobs) > 1 and processes.speaks:
        print_above_bar(f"minifaseg: {failed} of {len(jobs)} pictures failed")
    return FAILED if failed else DONE


def request(args: Namespace) -> tuple[list[Job], tuple[str, ...]]:
    """(jobs of all processes, class names). UsageError if the arguments make no sense."""
    args.method, args.hyperparameters = requested_method(args)
    images, classes = sort_out(args.things, args.method in minifaseg.UNSUPERVISED)
    jobs = plan(images, args)
    if getattr(args, "batch", 1) < 1:
        raise UsageError(f"--batch {args.batch}: at least 1")
    return jobs, classes


def check_same(jobs: list[Job], classes: tuple[str, ...], processes: Processes) -> None:
    """UsageError if another process, say on another machine, has other pictures to do."""
    digests = processes.together(partial(digest, jobs, classes))
    if len(set(digests)) > 1:
        raise UsageError("the processes do not find the same pictures; "
                         "all machines need the same folders under the same names")


def nothing() -> None:
    """Stands for the model where it is not needed."""


def load_model(args: Namespace, processes: Processes) -> "Model":
    # Half a million objects are made to stay. Looking for garbage among them, now and when the
    # process ends, would take a second.
    gc.disable()
    try:
        device = own_device(getattr(args, "device", "auto"))
        model = minifaseg.load(args.weights, device, **given(args, "dtype", "compile"))
        gc.freeze()
    finally:
        gc.enable()
    # Not before: loading frees as many bytes as the weights have, in pieces of other sizes.
    keep_freed_memory()
    print_above_bar(about_weights(model, args, processes))
    return model


def about_weights(model: "Model", args: Namespace, processes: Processes) -> str:
    """One line: which weights, where they compute, and what would be better or faster."""
    # Here, because torch is slow to import.
    from .layers import HAS_BFLOAT16

    text = f"weights: {model.source}, on {model.device}"
    if processes.world > 1:
        text += f", in {processes.world} processes"
    if model.is_cartoon:
        text += f"; for photographs get Stable Diffusion 1.5: {WEIGHTS_COMMAND} download"
    elif HAS_BFLOAT16 and model.device.type == "cpu" and not given(args, "dtype"):
        text += "; --dtype bfloat16 is a third faster or more on this CPU, and rounds the scores"
    return text


def share_out(jobs: list[Job], classes: tuple[str, ...], model: Any, origins: Any,
              args: Namespace, processes: Processes) -> int:
    """Does every picture in one of the processes. Returns how many failed in all of them."""
    # disable=None: a bar only on a terminal
    hidden = None if len(jobs) > 1 and processes.speaks else True
    with tqdm(total=len(jobs), unit="picture", disable=hidden) as bar:
        def advance(pictures: int = 0) -> None:
            done = processes.add_done(pictures)
            bar.update(pictures if done is None else done - bar.n)

        share = jobs[processes.rank::processes.world]
        step = partial(segment_all, share, classes, model, origins, args, advance)
        return sum(processes.together(step, waiting=advance))


def segment_all(jobs: list[Job], classes: tuple[str, ...], model: Any, origins: Any,
                args: Namespace, advance: Callable[[int], None]) -> int:
    """Writes the files of every job and prints what is in them. Returns how many jobs failed.

    advance(1) is called when a job is done.
    """
    from .batches import behind, segment_in_batches
    from .pictures.opening import decode, pixel_limit
    from .results import Segmented, finish, keep

    def open_picture(job: Job) -> "Image.Image":
        if origins:
            origins.record(job.image)
        return decode(sys.stdin.buffer if job.image == "-" else job.image)

    def has_failed(job_and_outcome: tuple[Job, Segmented | Exception]) -> bool:
        job, outcome = job_and_outcome
        try:
            if isinstance(outcome, Exception):
                raise outcome
            finish(job, outcome, model, origins, args)
            return False
        except (UsageError, BrokenPipeError):
            raise
        except Exception as e:
            complain(e, args.debug, job.image)
            return True
        finally:
            advance(1)

    segment = partial(minifaseg.segment_many, classes=classes, model=model,
                      **given(args, "method", "caption"), **args.hyperparameters)
    default = 8 if model and model.device.type != "cpu" else 1
    together = getattr(args, "batch", default)
    with pixel_limit(args.max_pixels):
        results = segment_in_batches(jobs, open_picture, segment, together)
        # starmap: a loop of its own would keep each result while the next is worked on
        kept = starmap(partial(keep, debug=args.debug), results)
        return sum(behind(has_failed, kept, together))


def main(argv: list[str] | None = None) -> int:
    """Runs one command line. Returns the exit code."""
    try:
        processes = join()
    except InputError as e:
        complain(e)
        return FAILED
    try:
        with processes.quiet():
            args = parser().parse_intermixed_args(argv)
        return run_safely(args, processes)
    finally:
        processes.leave()


def run_safely(args: Namespace, processes: Processes) -> int:
    """`run`, and every error in one line. What all processes meet is said by one of them."""
    try:
        if hasattr(sys.stdout, "reconfigure"):
            # A file name may hold bytes that are no text.
            sys.stdout.reconfigure(errors="backslashreplace")
        with warnings_in_one_line():
            return run(args, processes)
    except KeyboardInterrupt:
        if processes.speaks:
            print_above_bar("minifaseg: interrupted; every file written so far is whole")
        return INTERRUPTED
    except BrokenPipeError:
        # The reader, say `head`, has gone; keep Python's exit from saying so.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except Exception as e:
        if processes.speaks or args.debug:
            complain(e, args.debug)
        return USAGE if isinstance(e, UsageError) else FAILED


if __name__ == "__main__":
    sys.exit(main())
