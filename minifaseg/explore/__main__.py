"""One web page for a picture, in which every equation of FA-Seg can be touched.

    python -m minifaseg.explore image.jpg cat dog grass       # writes image_explore.html
    python -m minifaseg.explore --scene 7                     # a painted scene, with its truth

The page opens from the disk, without a network, in any current browser.
"""
import os
import shlex
import sys
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image
from tqdm import tqdm

import minifaseg

from ..arguments import real_path, sort_out
from ..errors import InputError, UsageError, one_line
from ..memory import keep_freed_memory
from ..messages import complain, print_above_bar, warnings_in_one_line
from ..methods import parse_method, split_specs
from ..model import Model
from ..pictures.opening import decode, pixel_limit
from ..writing import write_text
from .controls import questions, unlikely_word
from .pack import OWN, Finished, grids_of, pack
from .page import make_page

DONE, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130


class Subject(NamedTuple):
    """What the page is about.

    present: names of what is in the picture, as far as that is known. shell, python: how a command
    and a call name the picture.
    """
    name: str
    image: Image.Image
    classes: tuple[str, ...]
    present: tuple[str, ...]
    truth: np.ndarray | None
    shell: list[str]
    python: str


def parser() -> ArgumentParser:
    p = ArgumentParser(prog="minifaseg.explore", description=__doc__,
                       usage="python -m minifaseg.explore [options] IMAGE CLASS [CLASS ...]",
                       formatter_class=RawDescriptionHelpFormatter)
    option = p.add_argument
    option("things", nargs="*", metavar="IMAGE or CLASS", help="a picture, then class names")
    option("--scene", type=int, metavar="N", help="a scene of the cartoon world in place of a "
           "picture; its own classes, if none are given")
    option("--truth", metavar="FILE", help="the right labels of the picture, where they are known: "
           "a PNG of its size, 0 background, i the i-th class, 255 does not count")
    option("-o", "--output", metavar="FILE",
           help="the page (default: x_explore.html beside x.jpg)")
    option("--force", action="store_true", help="overwrite a page that exists")
    option("--debug", action="store_true", help="show the traceback of every error")
    option("--weights", default="auto",
           help=".safetensors file, diffusers folder, sd15, cartoon or auto")
    option("--device", default="auto", help="auto, cuda, cuda:1, mps or cpu")
    option("--dtype", help="float32, float16 or bfloat16 (default: what suits the device)")
    option("--caption", help="a sentence about the picture, put before the class names")
    option("--method", metavar="NAME,NAME", default="faseg",
           help='other methods, whose finished scores the page shows beside FA-Seg, such as '
           'iseg,datasetdiffusion. "faseg:tau=1;flip=False" gives the numbers that the page begins '
           "with")
    option("--absent", metavar="WORD", help="a word that is not in the picture, for the control "
           "that asks for one (default: an unlikely one)")
    option("--timesteps", metavar="T,T", help="capture at several timesteps, to choose in the page "
           "(default: the method's own)")
    option("--levels", metavar="N,N", help="levels whose self-attention goes into the page, by "
           "their cells along a side (default: all). At SD 1.5's size 8,16,32 make a small page")
    option("--bits", type=int, choices=(7, 8, 16), help="of a number of self-attention in the "
           "page (default: 7 at the finest level, 8 at the others)")
    return p


# What is asked for

def numbers(text: str | None, option: str) -> list[int]:
    """"8,16" -> [8, 16]. Raises UsageError."""
    try:
        found = [int(part) for part in (text or "").split(",") if part.strip()]
    except ValueError:
        found = []
    if text is not None and not found:
        raise UsageError(f"{option} {text}: give whole numbers with commas between")
    return list(dict.fromkeys(found))


def asked_methods(args: Namespace) -> tuple[dict[str, Any], list[str]]:
    """(hyperparameters of FA-Seg, the other methods) of --method. Raises UsageError."""
    ours: dict[str, Any] = {}
    others = []
    try:
        for spec in split_specs(args.method):
            name, hyperparameters = parse_method(spec)
            minifaseg.make_method(name, **hyperparameters)
            if name == "faseg":
                ours |= hyperparameters
            elif spec in others:
                raise UsageError(f"--method {args.method}: {spec} is there twice")
            else:
                others.append(spec)
    except InputError as e:
        raise UsageError(str(e)) from e
    return ours, others


def subject_of(args: Namespace, side: int) -> Subject:
    """The picture or scene, and the classes looked for. Raises UsageError and InputError."""
    if args.scene is not None:
        return scene_of(args, side)
    images, classes = sort_out(args.things)
    if len(images) > 1:
        raise UsageError(f"{len(images)} pictures; a page is about one")
    path = images[0]
    with pixel_limit(None):
        image = decode(sys.stdin.buffer if path == "-" else path)
    name = "standard input" if path == "-" else Path(path).name
    truth = read_truth(args.truth, image.size, len(classes)) if args.truth else None
    return Subject(name, image, classes, classes, truth, [path], repr(path))


def read_truth(path: str, size: tuple[int, int], classes: int) -> np.ndarray:
    """The labels (H, W) uint8 of a file. Raises InputError."""
    try:
        with Image.open(path) as image:
            image.load()
    except Exception as e:                                  # Pillow raises all sorts
        raise InputError(f"{path}: no truth can be read there ({one_line(e)}); give a PNG of "
                         "labels") from None
    if image.mode not in ("P", "L") or image.size != size:
        raise InputError(f"{path}: {image.width} x {image.height} of mode {image.mode}; the truth "
                         f"is a palette or grey PNG of {size[0]} x {size[1]}")
    truth = np.asarray(image)
    wrong = truth[(truth > classes) & (truth < 255)]
    if wrong.size:
        raise InputError(f"{path}: label {wrong.max()}, but there are {classes} classes (0 is "
                         "background, 255 does not count)")
    return truth


def scene_of(args: Namespace, side: int) -> Subject:
    """A painted scene with its truth."""
    from ..cartoon.painter import paint
    from ..cartoon.words import CLASSES
    if args.scene < 0:
        raise UsageError(f"--scene {args.scene}: scenes count from 0")
    scene = paint(args.scene, side)
    names = ",".join(args.things).split(",") if args.things else scene.classes
    classes = minifaseg.clean_classes(names)
    table = np.zeros(256, np.uint8)                         # a class that is not asked for: 0
    for i, name in enumerate(classes, start=1):
        if name in CLASSES:
            table[CLASSES.index(name) + 1] = i
    return Subject(f"scene {args.scene}", scene.image, classes, scene.classes, table[scene.labels],
                   ["--scene", str(args.scene)], f"paint({args.scene}, {side}).image")


def absent_word(args: Namespace, subject: Subject) -> str | None:
    """What the control of a word that is not there asks for. Raises UsageError."""
    if args.absent is None:
        return unlikely_word([*subject.classes, *subject.present])
    try:
        *_, word = minifaseg.clean_classes([*subject.classes, args.absent])
    except InputError as e:
        raise UsageError(f"--absent {args.absent}: {e}") from e
    return word


def output_of(args: Namespace) -> Path:
    """Where the page goes. Raises UsageError if something would be lost."""
    if args.output:
        out = Path(args.output)
    elif args.scene is not None:
        out = Path(f"scene-{args.scene}_explore.html")
    else:
        first = Path("stdin" if args.things[0] == "-" else args.things[0])
        out = first.with_name(f"{first.stem}_explore.html")
    if out.is_dir():
        raise UsageError(f"-o {out}: a folder; give the page's name")
    if args.things and real_path(out) == real_path(args.things[0]):
        raise UsageError(f"-o {out}: that is the picture")
    if os.path.lexists(out) and not args.force:
        raise UsageError(f"{out} exists; --force overwrites")
    return out


def levels_of(args: Namespace, model: Model) -> list[int]:
    """Sides of the levels whose self-attention is wanted. Raises UsageError."""
    grids = grids_of(model)
    levels = numbers(args.levels, "--levels") or grids
    for side in levels:
        if side not in grids:
            raise UsageError(f"--levels {args.levels}: no level of {side} x {side} cells; there "
                             f"is: {', '.join(map(str, grids))}")
    return levels


# Doing it

def run(args: Namespace) -> None:
    """Writes the page. Raises UsageError for a bad request, InputError for a bad picture."""
    if not args.things and args.scene is None:
        raise UsageError("no picture; give one and class names, or --scene N")
    hyperparameters, specs = asked_methods(args)
    out, timesteps = output_of(args), numbers(args.timesteps, "--timesteps")

    model = minifaseg.load(args.weights, args.device, args.dtype)
    keep_freed_memory()
    print_above_bar(f"weights: {model.source}, on {model.device}")
    levels, subject = levels_of(args, model), subject_of(args, model.side)
    absent = absent_word(args, subject)
    method = minifaseg.make_method("faseg", model, **hyperparameters)

    captures = []
    for t in tqdm(timesteps or [method.timestep], unit="capture", disable=None):
        at_t = replace(method, timestep=t)
        captured = at_t.capture(model, subject.image, subject.classes, args.caption)
        minifaseg.finite_scores(at_t, model, captured)
        captures.append((t, captured))
    method = replace(method, timestep=captures[0][0])
    asked = questions(model, method, captures[0][1], absent)
    others = [finish(spec, model, subject, args.caption)
              for spec in tqdm(specs, unit="method", disable=None)]

    facts, arrays = pack(captures, asked, others, method, subject.image, levels, args.bits,
                         subject.truth)
    facts |= {"name": subject.name, "caption": args.caption, "weights": model.source,
              "call": calls(args, subject, fixed(hyperparameters), model)}
    text = make_page(facts, arrays, f"{subject.name} - minifaseg explorer")
    write_text(out, text)
    print(f"{out}: {len(text) / 1e6:.1f} MB")


def finish(spec: str, model: Model, subject: Subject, caption: str | None) -> Finished:
    """The score maps of another method, such as "iseg:gamma=1"."""
    name, hyperparameters = parse_method(spec)
    method = minifaseg.make_method(name, model, **hyperparameters)
    captured = method.capture(model, subject.image, subject.classes, caption)
    scores = minifaseg.finite_scores(method, model, captured)
    return Finished(spec, method, *method.upsampling(captured, scores))


def fixed(hyperparameters: dict[str, Any]) -> dict[str, Any]:
    """Those of --method that the page cannot change."""
    return {name: value for name, value in hyperparameters.items() if name not in OWN}


def calls(args: Namespace, subject: Subject, numbers: dict[str, Any],
          model: Model) -> dict[str, Any]:
    """The command and the Python call that the page's settings are added to.

    numbers: added to both in any case. recommended: what both would take by themselves.
    """
    program = "minifaseg.explore" if args.scene is not None else "minifaseg"
    command = ["python", "-m", program, *subject.shell, *subject.classes]
    call = f"minifaseg.segment({subject.python}, {list(subject.classes)}, model"
    if args.weights != "auto":
        command += ["--weights", args.weights]
    if args.caption:
        command += ["--caption", args.caption]
        call += f", caption={args.caption!r}"
    recommended = asdict(minifaseg.make_method("faseg", model))
    return {"command": shlex.join(command), "python": f"{call})", "numbers": numbers,
            "recommended": recommended}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command line. Returns the exit code."""
    args = parser().parse_intermixed_args(argv)
    try:
        with warnings_in_one_line():
            run(args)
        return DONE
    except KeyboardInterrupt:
        print_above_bar("minifaseg: interrupted; no page was written")
        return INTERRUPTED
    except Exception as e:
        complain(e, args.debug)
        return USAGE if isinstance(e, UsageError) else FAILED


if __name__ == "__main__":
    sys.exit(main())
