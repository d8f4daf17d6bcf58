"""What ``advise()`` shares with the rest of the process, left as it was found.

Filters of warnings and numbers of threads belong to the process, and the usual way to set them for a while is
to keep the old value and put it back. Of two calls in two threads the second keeps what the first has set,
and puts that back when the first is long gone: scikit-learn does so with filters (before Python 3.14),
threadpoolctl and torch with threads. So the last of several calls puts back what the first one found. A call
that runs alone has nothing to put back.
"""

from __future__ import annotations

import random
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
from threadpoolctl import ThreadpoolController, threadpool_limits


@dataclass(kw_only=True)
class _Found:
    """The state that the first of several calls found."""

    filters: Any = field(default_factory=lambda: warnings.filters)
    entries: list[Any] = field(default_factory=lambda: list(warnings.filters))
    torch_threads: int | None = field(default_factory=lambda: _torch_threads())
    #: No limit: it only remembers.
    blas: threadpool_limits = field(default_factory=lambda: threadpool_limits(limits=None, user_api="blas"))
    n_calls: int = 0
    has_overlap: bool = False

    def put_back(self) -> None:
        """Put the state back where it is another one."""
        if self.filters[:] != self.entries:
            self.filters[:] = self.entries
        if warnings.filters is not self.filters:
            warnings.filters = self.filters
        self.blas.restore_original_limits()
        if self.torch_threads is not None:
            _of_the_process(lambda: sys.modules["torch"].set_num_threads(self.torch_threads))


def _torch_threads() -> int | None:
    """Return torch's number of threads; None if nothing has loaded it, as advice on a table does not."""
    torch = sys.modules.get("torch")
    return None if torch is None else _of_the_process(torch.get_num_threads)


def _of_the_process(work: Callable[[], int | None]) -> int | None:
    """Return ``work()`` of a new thread, which has torch's setting of the process, not of an older thread."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result()


_LOCK = threading.Lock()
_found: list[_Found] = []


@contextmanager
def left_as_found() -> Iterator[None]:
    """Put back what calls in several threads leave changed once none of them runs any more."""
    with _LOCK:
        if not _found:
            _found.append(_Found())
        found = _found[0]
        found.n_calls += 1
        found.has_overlap |= found.n_calls > 1
    try:
        # NumPy's own settings: the caller's may make an error of each number that is rounded to zero.
        with np.errstate(divide="warn", over="warn", under="ignore", invalid="warn"):
            yield
    finally:
        with _LOCK:
            found.n_calls -= 1
            if found.n_calls == 0:
                _found.clear()
                if found.has_overlap:
                    found.put_back()


def one_blas_thread() -> AbstractContextManager[object]:
    """Keep the linear algebra of small matrices on one thread: there threads cost more than they give.

    Most on a busy machine: 1200 x 64 digits beside a second process took 1.6 s with one thread, 4.5 to 10 s
    with two. Undone on leaving.
    """
    limited: AbstractContextManager[object] = _controller().limit(limits=1, user_api="blas")
    return limited


@cache
def _controller() -> ThreadpoolController:
    """Return what limits threads: looking for the libraries takes as long as some fits."""
    return ThreadpoolController()


#: Networks are made and run in several threads, and whoever draws from `own_randomness` may ask for it again.
RANDOMNESS = threading.RLock()


@contextmanager
def own_randomness(seed: int, device: Any = None) -> Iterator[None]:
    """Let Python, NumPy and torch draw from `seed` inside, as models of callers do; then put them back."""
    numpy: Any = np.random
    torch: Any = sys.modules.get("torch")  # advice on a table does without
    devices = [device] if device is not None and device.type == "cuda" else []
    with RANDOMNESS, nullcontext() if torch is None else torch.random.fork_rng(devices=devices):
        before = random.getstate(), numpy.get_state()
        random.seed(seed)
        numpy.seed(seed % 2**32)
        if torch is not None:
            torch.manual_seed(seed)
        try:
            yield
        finally:
            random.setstate(before[0])
            numpy.set_state(before[1])


def states_elsewhere() -> tuple[object, ...]:
    """Return where Python and NumPy are among their random numbers."""
    numpy: Any = np.random
    return random.getstate(), numpy.get_state()[2:]
