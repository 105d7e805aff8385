"""Which files a run writes. Decided for all pictures before anything runs, so that none is lost."""
import os
from argparse import Namespace
from pathlib import Path
from typing import NamedTuple

from .arguments import real_path
from .errors import UsageError
from .pictures.formats import SUFFIXES


class Job(NamedTuple):
    """One picture and the files made of it.

    None is a file that is not wanted. The image "-" is standard input, and a mask of None goes to
    standard output.
    """
    image: str
    mask: Path | None = None
    overlay: Path | None = None
    scores: Path | None = None

    def files(self) -> list[Path]:
        return [path for path in self[1:] if path]

    def existing_files(self) -> list[Path]:
        return [path for path in self.files() if os.path.lexists(path)]


def plan(images: list[str], args: Namespace) -> list[Job]:
    """One job for each picture. UsageError if a file would be lost, before anything runs."""
    output = args.output
    if output == "-":
        refuse_more_than_a_mask(images, args)
        return [Job(images[0])]
    is_file = names_file(output)
    if is_file:
        refuse_unfit_file(images, output)
    jobs = [job_of(image, is_file, args) for image in images]
    refuse_collisions(jobs)
    if not args.force and not args.resume:
        refuse_existing_files(jobs)
    return jobs


def names_file(output: str | None) -> bool:
    """Does -o name the mask of one picture, and not a folder?"""
    if not output or os.path.isdir(output):
        return False
    return output.lower().endswith(SUFFIXES) or os.path.exists(output)


def job_of(image: str, is_file: bool, args: Namespace) -> Job:
    """x.jpg -> x_mask.png, x_overlay.png and x_scores.npz, beside it or where -o says."""
    source = Path("stdin" if image == "-" else image)
    if is_file:
        mask = Path(args.output)
    else:
        mask = Path(args.output or source.parent) / f"{source.stem}_mask.png"
    name = mask.stem.removesuffix("_mask")
    overlay = mask.with_name(f"{name}_overlay.png") if args.overlay else None
    scores = mask.with_name(f"{name}_scores.npz") if args.scores else None
    return Job(image, mask, overlay, scores)


# Refused

def refuse_more_than_a_mask(images: list[str], args: Namespace) -> None:
    if len(images) > 1 or args.json or args.scores:
        raise UsageError("-o - writes one mask to standard output: give one picture, "
                         "and neither --json nor --scores")


def refuse_unfit_file(images: list[str], output: str) -> None:
    if len(images) > 1:
        raise UsageError(f"-o {output}: one file for {len(images)} pictures; give a folder")
    if not output.lower().endswith(".png"):
        raise UsageError(f"-o {output}: masks are PNG, other formats may change the class numbers; "
                         "give a name ending in .png")


def refuse_collisions(jobs: list[Job]) -> None:
    """A result under the name of a picture or of another result."""
    taken = {real_path(job.image): f"the picture {job.image}" for job in jobs}
    for job in jobs:
        for path in job.files():
            place = real_path(path)
            if place in taken:
                raise UsageError(f"{path} of {job.image} would replace {taken[place]}; "
                                 "run them one by one with different -o")
            taken[place] = f"that of {job.image}"


def refuse_existing_files(jobs: list[Job]) -> None:
    existing = []
    for job in jobs:
        existing += job.existing_files()
    if existing:
        more = f" (and {len(existing) - 1} more)" if len(existing) > 1 else ""
        raise UsageError(f"{existing[0]} exists{more}; --force overwrites, "
                         "--resume goes on where a run was stopped")
