"""A pilot: a few hundred rows on which the cost of a fit is measured before anything is planned."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regadvisor.data.table import Table
from regadvisor.data.thinning import first_rows
from regadvisor.deadline import NEVER, Deadline
from regadvisor.families.base import Costs, Family, Prepared, folds_in_order
from regadvisor.sampling.folds import make_folds

#: Fewest and most rows of the pilot that is timed, and the numbers in it: wide rows cost more each.
_PILOT_ROWS = (200, 2_000)
_PILOT_CELLS = 200_000
#: A fit costs about as many times as much as there are classes: with more than so many, fewer rows.
_PILOT_CLASSES = 10
#: Rows of a class, fewest and most: with very many classes the pilot must not be larger than a sample.
_PILOT_CLASS_ROWS = (2, 10)
#: The questions and comparisons: in multiples of preparing the folds, and in seconds on an idle machine.
_QUESTIONS = (1.5, 0.3)
#: Share of the pilot that is prepared first, to see what rows add; and the least share of the time that is
#: put down to the rows, for such short times are noisy.
_SMALLER, _LEAST_BY_ROWS = 0.25, 0.1
#: A machine is taken to be no busier than this.
_MOST_SLOWED = 8.0


def pilot_rows(table: Table) -> int:
    """Return the rows of the pilot."""
    few, many = _PILOT_ROWS
    cells = _PILOT_CELLS * min(1.0, _PILOT_CLASSES / max(table.n_classes, 1))
    return max(few, min(many, int(cells) // max(table.facts.n_features, 1)))


class Pilot:
    """A few hundred rows, encoded for one fold, on which the family's cost is measured.

    Raises OutOfTimeError if the first look at a module of the caller's takes longer than until `end`.
    """

    def __init__(
        self, table: Table, family: Family, *, n_rows: int, folds: int, seed: int, end: Deadline = NEVER
    ) -> None:
        self._family: Any = family
        self._prepared: Prepared | None = None
        self._began = time.perf_counter(), time.process_time()
        times = []
        n_smaller = int(_SMALLER * n_rows)
        for n in (n_smaller, n_rows) if n_smaller < table.n_rows else (n_rows,):
            sample = table.take(_some_rows(table, n, seed))
            begin = time.perf_counter()
            made = make_folds(sample, folds=folds, seed=seed).folds
            if not made:
                continue
            fold = made[folds_in_order([len(each.train) for each in made])[0]]
            with looked_until(family, end):
                self._prepared = family.prepare(sample, [fold], seed=seed)
            self._share = len(fold.train) / sample.n_rows
            times.append((sample.n_rows, time.perf_counter() - begin))
        self._prepare_s = _by_rows(times)

    def probe(self, deadline: Deadline) -> Callable[[int], float] | None:
        """Return rows that a fold trains on → projected seconds of one fit; None without the time for it."""
        if self._prepared is None or deadline.expired():
            return None
        costs: Costs = self._family.probe(self._prepared, deadline=deadline)
        self._costs = costs
        wall_s, processor_s = time.perf_counter() - self._began[0], time.process_time() - self._began[1]
        #: How many times as long as on an idle machine things take.
        self.slowed = min(max(wall_s / max(processor_s, 1e-3), 1.0), _MOST_SLOWED)
        return lambda n_train: costs.job_s(max(1, round(n_train / self._share)))

    def length_that_pays(self, within_s: float = math.inf, *, latest_s: float = math.inf) -> int:
        """Return how many times the planned length networks are to last, tried in so many seconds.

        On a busy machine it may take longer, up to `latest_s` seconds.
        """
        if self._prepared is None:
            return 1
        now = time.monotonic()
        deadline = Deadline.patient(now + within_s, latest_s=now + latest_s)
        return int(self._family.length_that_pays(self._prepared, deadline=deadline))

    def overhead_s(self, started_s: float, n_rows: int, n_folds: int) -> float:
        """Return seconds spent up to now and those that do not depend on the number of fits."""
        spent_s = time.monotonic() - started_s
        return spent_s + n_folds * self._prepare_s(n_rows) * _QUESTIONS[0] + _QUESTIONS[1] * self.slowed

    def full_run_s(self, n_rows: int) -> float:
        """Return projected seconds of one full run, preprocessing included."""
        return self._costs.full_run_s(n_rows) + self._prepare_s(n_rows)


def _by_rows(times: list[tuple[int, float]]) -> Callable[[int], float]:
    """Return rows → seconds of preparing one fold, from what fewer and more rows took.

    >>> seconds = _by_rows([(500, 0.04), (2_000, 0.07)])
    >>> [round(seconds(n_rows), 3) for n_rows in (500, 2_000, 20_000)]
    [0.04, 0.07, 0.43]
    """
    if not times:
        return lambda n_rows: 0.0
    (few, few_s), (n, n_s) = times[0], times[-1]
    slope = (n_s - few_s) / (n - few) if n > few else 0.0
    slope = min(max(slope, _LEAST_BY_ROWS * n_s / n), n_s / n)
    return lambda n_rows: n_s + slope * (n_rows - n)


@contextmanager
def looked_until(family: Family, end: Deadline) -> Iterator[None]:
    """Let the first look at a module of the caller's end at a deadline, within the block."""
    own: Any = getattr(family, "_family", family)  # workers make the fits; here is who looks
    if not hasattr(own, "look_ends"):
        yield
        return
    own.look_ends = end
    try:
        yield
    finally:
        own.look_ends = NEVER


def _some_rows(table: Table, n_rows: int, seed: int) -> NDArray[np.intp]:
    """Return about `n_rows` random rows, with some of every class that has them."""
    shuffled = np.random.default_rng(seed).permutation(table.n_rows).astype(np.intp)
    codes = table.y if table.is_classification else None
    few, many = _PILOT_CLASS_ROWS
    of_class = max(few, min(many, n_rows // max(table.n_classes, 1)))
    return first_rows(shuffled, n_rows, codes, of_class=of_class)
