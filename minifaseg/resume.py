"""Which pictures `--resume` leaves as they are.

Their files are all there, whole, and made from what would be used today. A mask is written last
and sealed (origin.py) with its origin and with the files beside it. So files of two runs are not
taken for one result: not after a kill between two of them, and not when one of them was replaced.
"""
import os
from argparse import Namespace
from itertools import chain
from typing import Any

from .messages import print_above_bar
from .origin import Origins, file_digest, is_sealed
from .output_files import Job
from .ranks import Processes

# Where a result goes, what is printed about it and how fast it comes. The weights and the device
# count by what is loaded (origin.weights_digest).
IRRELEVANT = ("things output force resume json debug weights device dtype batch max_pixels"
              ).split()


def relevant_options(args: Namespace) -> dict[str, Any]:
    """The options of a command line that change what is written.

    These are all but those known not to, so that a new option counts.
    """
    return {name: value for name, value in vars(args).items() if name not in IRRELEVANT}


def sealed_parts(job: Job, origin: str | None) -> list[str | None]:
    """What the mask of a job is sealed with: its origin, and the files beside it as they are."""
    beside = (job.overlay, job.scores)
    return [origin, *(file_digest(path) if path else None for path in beside)]


def is_finished(job: Job, origins: Origins) -> bool:
    if not all(os.path.isfile(path) for path in job.files()):
        return False
    origins.record(job.image)
    origin = origins.of(job.image)
    if origin is None or job.mask is None:
        return False
    return is_sealed(job.mask, *sealed_parts(job, origin))


def unfinished(jobs: list[Job], origins: Origins | None, processes: Processes) -> list[Job]:
    """The jobs that are left to do. Prints how many there are and why.

    Every process looks at its share of them, and the list is the same in all. Without origins
    (there is no picture at all) everything is left.
    """
    def look() -> list[tuple[int, bool]]:
        left = []                                        # (number of a job, has it any file?)
        for i in range(processes.rank, len(jobs), processes.world):
            if origins is None:
                left.append((i, False))
            elif not is_finished(jobs[i], origins):
                left.append((i, bool(jobs[i].existing_files())))
        return left

    left = sorted(chain(*processes.together(look)))
    reused = len(jobs) - len(left)
    stale = sum(has_files for _, has_files in left)
    if reused:
        print_above_bar(f"minifaseg: {reused} of {len(jobs)} pictures were done before, with the "
                        "same content, classes, weights and options: reused")
    if stale:
        print_above_bar(f"minifaseg: {stale} of {len(jobs)} pictures have files that were left "
                        "unfinished or made from something else (content, classes, weights, "
                        "options or code): made anew")
    return [jobs[i] for i, _ in left]
