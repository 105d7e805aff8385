"""Processes that share work, one core each."""
import os
import threading
import time
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context

import torch


def cores():
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def begin():
    """To be called at the start of a process: one core, and no longer life than its parent's, so
    that what a killed run leaves behind does not write into the files of the next."""
    torch.set_num_threads(1)
    parent = os.getppid()

    def watch():
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)
    threading.Thread(target=watch, daemon=True).start()


def hold(make, arguments):
    """The object of this process."""
    global held
    begin()
    held = make(*arguments)


def call(name, arguments):
    return getattr(held, name)(*arguments)


class Workers:
    """`jobs` processes, each with an object of its own: make(*arguments, rank, jobs). One alone is
    no other process: its object lives here."""

    def __init__(self, jobs, make, *arguments):
        self.here, self.processes = None, []
        if jobs == 1:
            self.here = make(*arguments, 0, 1)
            return
        for rank in range(jobs):
            told = (make, (*arguments, rank, jobs))
            self.processes.append(ProcessPoolExecutor(1, get_context("spawn"), hold, told))

    def submit(self, name, *arguments):
        """A future per process, each of what the object's method `name` returns there."""
        if self.here is None:
            return [p.submit(call, name, arguments) for p in self.processes]
        done = Future()
        done.set_result(getattr(self.here, name)(*arguments))
        return [done]

    def __enter__(self):
        return self

    def __exit__(self, *error):
        for process in self.processes:
            process.shutdown(wait=error[0] is None, cancel_futures=True)
