"""What `--resume` leaves as it is: files that are all there, whole, and made from what would be
used today.

A mask is written last and sealed (origin.py) with its origin and with the files beside it, so that
files of two runs are not taken for one result: not after a kill between two of them, and not when
one of them was replaced.
"""
import os

from .origin import file_digest, is_sealed

# Where a result goes, how it is told and how fast it comes. The weights and the device count by
# what is loaded (origin.weights_digest).
NO_PART = ("things", "output", "force", "resume", "json", "debug", "weights", "device", "dtype",
           "batch", "max_pixels")


def options(args) -> dict:
    """The options of a command line that change what is written: all but those known not to, so
    that a new one counts."""
    return {name: value for name, value in vars(args).items() if name not in NO_PART}


def made_from(job, origin) -> list:
    """What the mask of a job is sealed with: its origin, and the files beside it as they are
    now."""
    return [origin, *(path and file_digest(path) for path in (job.overlay, job.scores))]


def finished(job, origins) -> bool:
    if not all(os.path.isfile(path) for path in job.files()):
        return False
    origins.look(job.image)
    origin = origins.of(job.image)
    return origin is not None and is_sealed(job.mask, *made_from(job, origin))


def unfinished(jobs, origins):
    """(the jobs that are left to do, lines that say so)."""
    left = [job for job in jobs if not finished(job, origins)]
    stale = sum(any(os.path.lexists(path) for path in job.files()) for job in left)
    lines = []
    if len(left) < len(jobs):
        lines.append(f"{len(jobs) - len(left)} of {len(jobs)} pictures were done before, with the "
                     "same content, classes, weights and options: reused")
    if stale:
        lines.append(f"{stale} of {len(jobs)} pictures have files that were left unfinished or "
                     "made from something else (content, classes, weights, options or code): "
                     "made anew")
    return left, lines
