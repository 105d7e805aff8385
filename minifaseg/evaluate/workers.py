"""Processes that share work, one core each."""
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import torch

held: Any = None                                        # the object of this process; see `hold`


def cores() -> int:
    """How many this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def begin() -> None:
    """To be called at the start of a process: it uses one core, and ends when its parent ends.

    Otherwise, what a killed run leaves behind would write into the files of the next run.
    """
    torch.set_num_threads(1)
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)
    threading.Thread(target=watch, daemon=True).start()


def hold(make: Callable, arguments: tuple) -> None:
    """Makes the object of this process."""
    global held
    begin()
    held = make(*arguments)


def call(name: str, arguments: tuple) -> Any:
    """Calls a method of this process's object."""
    return getattr(held, name)(*arguments)


class Workers:
    """`jobs` processes, each with an object of its own: make(*arguments, rank, jobs).

    With one job there is no other process: the object lives here, in `here`.
    """

    def __init__(self, jobs: int, make: Callable, *arguments) -> None:
        self.here: Any = None
        self.processes: list[ProcessPoolExecutor] = []
        if jobs == 1:
            self.here = make(*arguments, 0, 1)
            return
        for rank in range(jobs):
            with_rank = (*arguments, rank, jobs)
            pool = ProcessPoolExecutor(1, get_context("spawn"), hold, (make, with_rank))
            self.processes.append(pool)

    def submit(self, name: str, *arguments) -> list[Future]:
        """One future per process: what the object's method `name` returns there."""
        if self.here is None:
            return [p.submit(call, name, arguments) for p in self.processes]
        done: Future = Future()
        done.set_result(getattr(self.here, name)(*arguments))
        return [done]

    def __enter__(self) -> "Workers":
        return self

    def __exit__(self, *error) -> None:
        for process in self.processes:
            process.shutdown(wait=error[0] is None, cancel_futures=True)
