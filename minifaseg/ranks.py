"""Several processes that share the pictures of one run, started by torchrun.

    torchrun --nproc-per-node 2 -m minifaseg photos cat dog -o out

Picture i belongs to rank i mod world size. All that the processes tell each other goes through the
key-value store that torchrun keeps for them. Collective operations would not do: while a process is
in one it can neither show progress nor be interrupted, and it cannot tell a slow process from one
that has ended. Here a process waits as long as any other one makes progress.
"""
import io
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import (
    AbstractContextManager,
    contextmanager,
    nullcontext,
    redirect_stderr,
    redirect_stdout,
    suppress,
)
from datetime import timedelta
from typing import Any

from .errors import InputError, UsageError
from .messages import explanation

PATIENCE = 30 * 60       # seconds without any progress until the others are taken for dead
GOODBYE = 5              # seconds in which processes that are done end together
PAUSE = 0.1              # seconds between two looks

TORCHRUN = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")     # environment variables

# The errors that another process may report and that do not mean exit code 1 and one line.
KINDS: dict[str, type[Exception]] = {"UsageError": UsageError, "BrokenPipeError": BrokenPipeError}


def place() -> tuple[int, int]:
    """(rank, world size): this process among those that torchrun started; (0, 1) without it."""
    return int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))


def own_device(device: str) -> str:
    """The device of this process: with torchrun and GPUs, one GPU each ("cuda:1")."""
    local_rank = os.environ.get("LOCAL_RANK")
    if local_rank is None or device not in ("auto", "cuda"):
        return device
    if device == "auto":
        import torch
        if not torch.cuda.is_available():
            return device
    return f"cuda:{local_rank}"


def join() -> "Processes":
    """The processes of this run. Imports torch.distributed only if there are several."""
    if place()[1] > 1 and all(name in os.environ for name in TORCHRUN):
        return SeveralProcesses()
    return Processes()


class Processes:
    """The processes of a run: here, this one alone."""
    rank, world = 0, 1
    speaks = True                        # Does this process print what concerns all of them?

    def together(self, step: Callable[[], Any],
                 waiting: Callable[[], None] | None = None) -> list[Any]:
        """[step()] with one item for each process, in order of their ranks. Waits for all of them.

        step() returns plain values, as JSON has them. An error of one process is raised in all of
        them when the last one has finished its step. `waiting` is called again and again meanwhile.
        """
        return [step()]

    def agree(self, step: Callable[[], Any]) -> Any:
        """step() of this process, which may return anything, once all have ended theirs.

        Errors are raised as by `together`.
        """
        values = []

        def keep_value() -> None:
            values.append(step())

        self.together(keep_value)
        return values[0]

    def quiet(self) -> AbstractContextManager:
        """A block in which only one of the processes prints."""
        return nullcontext()

    def add_done(self, pictures: int = 1) -> int | None:
        """Counts pictures of this process. Returns the pictures done by all; None if unknown."""
        return None

    def leave(self) -> None:
        """Ends together with the others: torchrun kills them when one ends with an error."""


class SeveralProcesses(Processes):
    """The processes of torchrun, on one machine or on several."""

    def __init__(self) -> None:
        """Waits until all have started. Raises InputError if they have not in PATIENCE."""
        import torch.distributed
        self.rank, self.world = place()
        self.speaks = self.rank == 0
        self.steps = 0
        self.alone = False               # Is there nobody left to wait for?
        try:
            connection = torch.distributed.rendezvous("env://", timeout=timedelta(seconds=PATIENCE))
            self.store = next(connection)[0]
        except (RuntimeError, ValueError) as e:
            raise InputError(f"process {self.rank} of {self.world} cannot reach the others ({e}); "
                             "start them with torchrun") from e

    def together(self, step: Callable[[], Any],
                 waiting: Callable[[], None] | None = None) -> list[Any]:
        self.steps += 1
        error = None
        try:
            report = {"value": step()}
        except KeyboardInterrupt:
            self.alone = True
            self.report({"error": "InputError", "text": self.lost("was interrupted")})
            raise
        except Exception as e:
            error = e
            report = {"error": type(e).__name__, "text": explanation(e, None)}
        self.report(report)

        reports = self.wait_for_reports(waiting)
        for rank, report in enumerate(reports):
            if "error" in report:
                if rank == self.rank and error:
                    raise error
                raise KINDS.get(report["error"], InputError)(report["text"])
        return [report["value"] for report in reports]

    def report(self, report: dict[str, Any]) -> None:
        """Lets the others know what came of this step."""
        with suppress(RuntimeError):     # no connection: wait_for_reports says so
            self.store.set(f"{self.steps}/{self.rank}", json.dumps(report))
            self.store.add(f"{self.steps}/reports", 1)

    def wait_for_reports(self, waiting: Callable[[], None] | None) -> list[dict[str, Any]]:
        """The reports of all processes about this step.

        Raises InputError if some do not come: nothing was reported and no picture was done for
        PATIENCE, or the connection is lost.
        """
        last_sign, changed = None, time.monotonic()
        try:
            while (reports := self.store.add(f"{self.steps}/reports", 0)) < self.world:
                sign = reports, self.add_done(0)
                if sign != last_sign:
                    last_sign, changed = sign, time.monotonic()
                if time.monotonic() - changed > PATIENCE:
                    self.give_up()
                if waiting:
                    waiting()
                time.sleep(PAUSE)
            keys = [f"{self.steps}/{rank}" for rank in range(self.world)]
            return [json.loads(self.store.get(key)) for key in keys]
        except RuntimeError as e:        # of torch.distributed
            self.alone = self.speaks = True
            raise InputError(self.lost("has lost the connection to the others")) from e

    def give_up(self) -> None:
        """Raises InputError about the processes that do not report. Another one speaks from now."""
        ranks = range(self.world)
        silent = [rank for rank in ranks if not self.store.check([f"{self.steps}/{rank}"])]
        if silent:                       # else the last report came just now
            self.alone = True
            self.speaks = self.rank == min(set(ranks) - set(silent))
            raise InputError(self.lost("has not been heard of for too long", silent[0]))

    def lost(self, what: str, rank: int | None = None) -> str:
        rank = self.rank if rank is None else rank
        return (f"process {rank} of {self.world} {what}; "
                "the same command with --resume does what is left")

    def quiet(self) -> AbstractContextManager:
        return nullcontext() if self.speaks else silence()

    def add_done(self, pictures: int = 1) -> int | None:
        try:
            return self.store.add("done", pictures)
        except RuntimeError:             # the pictures count more than their number
            return None

    def leave(self) -> None:
        with suppress(RuntimeError, KeyboardInterrupt):
            left = self.store.add("left", 1)
            end = time.monotonic() + GOODBYE
            while left < self.world and not self.alone and time.monotonic() < end:
                time.sleep(PAUSE)
                left = self.store.add("left", 0)


@contextmanager
def silence() -> Iterator[None]:
    """A block in which nothing is printed."""
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        yield
