"""Pictures in batches: opened in advance, segmented together, fewer at a time if memory runs out.

What is done with them afterwards is done behind, while the next ones are segmented.
"""
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice, takewhile
from typing import Any

from .errors import InputError, UsageError, WeightsError
from .messages import is_out_of_memory, print_above_bar
from .pictures.opening import ahead


def segment_in_batches(jobs: list, open_picture: Callable, segment: Callable,
                       largest: int) -> Iterator[tuple]:
    """(job, picture, Result, seconds) of every job, in order.

    Where there is no Result, the exception stands in its place. `largest` pictures are segmented
    together. A batch that fails is tried again in halves, and if memory ran out, batches stay that
    small. What every other picture would meet, too, ends the run: WeightsError and UsageError.
    """
    opened = ahead(open_picture, jobs, largest)
    waiting: list = []                                   # of (job, picture or exception)
    size = largest                                       # of the next batch
    while waiting := waiting or list(islice(opened, largest)):
        batch = list(takewhile(lambda pair: not isinstance(pair[1], Exception), waiting[:size]))
        if not batch:
            job, error = waiting.pop(0)
            yield job, None, error, 0
            continue

        start = time.perf_counter()
        try:
            results = segment([picture for _, picture in batch])
        except WeightsError:
            raise
        except InputError as e:                          # the pictures are fine: the words are not
            raise UsageError(str(e)) from e
        except Exception as e:
            if len(batch) > 1:
                size = len(batch) // 2
                if is_out_of_memory(e):
                    largest = size
                    print_above_bar(f"minifaseg: out of memory with {len(batch)} pictures at a "
                                    f"time; going on with {size} (--batch {size})")
                continue                                 # e, and the memory that it held, is gone
            results = [e]
        seconds = (time.perf_counter() - start) / len(batch)

        del waiting[:len(batch)]
        size = largest
        while batch:         # what was handed out is forgotten before the next batch needs memory
            yield *batch.pop(0), results.pop(0), seconds


def behind(function: Callable, items: Iterable, count: int) -> Iterator[Any]:
    """function(item) of every item, in order, computed in another thread.

    The counterpart of `ahead`: `items` goes on to make the next one meanwhile. At most `count` are
    unfinished then, so that memory is bounded. An exception of the function is raised here.
    """
    thread = ThreadPoolExecutor(1)
    thread.submit(int).result()          # started now: later there may be no memory for a thread
    unfinished: deque[Future] = deque()
    try:
        for item in items:
            unfinished.append(thread.submit(function, item))
            del item                                     # else it stays while the next is made
            while len(unfinished) > count or (unfinished and unfinished[0].done()):
                yield unfinished.popleft().result()
        while unfinished:
            yield unfinished.popleft().result()
    finally:
        # What has begun is ended, so that an interrupted run leaves whole results.
        thread.shutdown(cancel_futures=True)
