"""Which processor threads do what: one torch thread per batch of networks, batches side by side.

Two threads inside one small product wait for each other at its end, dozens of times a step. With another
program on the machine that took 3 to 10 times as long as one thread (26 s against 8 s for a quick search on
5,404 rows); on an idle machine it saved a third. Batches that do not wait for each other have both.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch

T = TypeVar("T")
S = TypeVar("S")

#: What a second worker adds: measured 0.3 to 0.75 on two cores, the less the smaller the batches.
WORKER_GAIN = 0.4


def n_workers() -> int:
    """Return the batches to train side by side: the processors this process may use, or fewer if told so."""
    n_processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(n_processors, torch.get_num_threads()))


def speed_up() -> float:
    """Return how much faster than one worker all workers are expected to be."""
    return 1.0 + WORKER_GAIN * (n_workers() - 1)


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch compute on one thread inside; the caller's setting is restored."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def side_by_side(work: Callable[[S], T], items: Iterable[S], *, stop: Callable[[], None]) -> Iterator[T]:
    """Yield ``work(item)`` for the items, in their order, several at a time with one torch thread each.

    What is not begun when the caller stops asking is never begun. Ctrl-C calls `stop`, which has to end the
    work under way; what was finished is still yielded before the interrupt goes on.
    """
    workers = n_workers()
    with one_thread():
        if workers == 1:
            yield from map(work, items)
            return
        # The setting belongs to the thread that makes it, so every worker makes it.
        pool = ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,))
        try:
            futures = [pool.submit(work, item) for item in items]
            for future in futures:
                yield future.result()
        except KeyboardInterrupt:
            stop()
            pool.shutdown(cancel_futures=True)
            # The results there are, those that were yielded before among them.
            done = (each for each in futures if not each.cancelled() and each.exception() is None)
            yield from (each.result() for each in done)
            raise
        finally:
            pool.shutdown(cancel_futures=True)
