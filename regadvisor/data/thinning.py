"""Which rows are read where a budget of seconds does not allow for all of them.

Everything that looks at all rows takes time in proportion to them: reading, keys, checks. A model learns from
some hundreds or thousands of them, so of a large table with little time only some are read.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from regadvisor.errors import DataError, ParameterError
from regadvisor.records import Note
from regadvisor.thresholds import FEWEST_ROWS_READ, FEWEST_ROWS_READ_OF_CLASS, READ_SHARE, READ_SLACK_S
from regadvisor.words import number

if TYPE_CHECKING:
    from regadvisor.data.arrays import Container
    from regadvisor.data.target import Target

#: Rows that are read to see how long it takes, twice; then so many cells; of many columns, some first.
_FEW_ROWS, _TRIED_CELLS, _TRIED_COLUMNS = 50, 500_000, 50


@dataclass(frozen=True, kw_only=True)
class Thinning:
    """How long reading may take, and which rows are drawn where it would take longer."""

    within_s: float = math.inf
    seed: int = 0

    def rows(
        self,
        container: Container,
        target: Target,
        kept: NDArray[np.bool_] | None,
        read: Callable[[Container], object],
    ) -> NDArray[np.intp] | None:
        """Return the rows of the target to read, in order; None: all of them.

        They are drawn at random, with at least ``FEWEST_ROWS_READ_OF_CLASS`` of every class that has them.
        `kept`: rows of the container that are in the target; None: all. `read`: what takes the time.

        Raises ParameterError if reading the fewest rows would take more than the whole budget.
        """
        n_all = len(target.y)
        if math.isinf(self.within_s):
            return None
        self._check_columns(container, read)
        if n_all <= FEWEST_ROWS_READ:
            return None
        shuffled = np.random.default_rng(self.seed).permutation(n_all).astype(np.intp)
        where = shuffled if kept is None else np.flatnonzero(kept)[shuffled]
        n_rows = self._affordable(container, where, read)
        if n_rows >= n_all:
            return None
        codes = None if target.classes is None else target.y
        rows = first_rows(shuffled, n_rows, codes, of_class=FEWEST_ROWS_READ_OF_CLASS)
        return None if len(rows) == n_all else rows

    def _affordable(
        self, container: Container, where: NDArray[np.intp], read: Callable[[Container], object]
    ) -> int:
        """Return how many rows can be read in time, no fewer than some: what a few take, in proportion."""
        few, least = _FEW_ROWS, FEWEST_ROWS_READ
        more = min(max(least, _TRIED_CELLS // container.shape[1]), len(where))
        try:
            own = container.take(np.sort(where[:few]))
            own_s = self._seconds(own, read)
            if own_s < 2 * self.within_s:
                own_s = min(own_s, self._seconds(own, read))  # the first time something may be loaded
            if own_s >= self.within_s:
                return least
            if own_s * len(where) / few <= self.within_s:
                return len(where)
            a_row_s = (self._seconds(container.take(np.sort(where[:more])), read) - own_s) / (more - few)
        except DataError:  # of these rows or of all: who reads them all will say it
            return len(where)
        left_s = self.within_s - own_s
        return len(where) if a_row_s * len(where) <= left_s else max(least, few + int(left_s / a_row_s))

    def _check_columns(self, container: Container, read: Callable[[Container], object]) -> None:
        """Refuse a frame with so many columns that looking at each takes more than the budget."""
        values = container.values
        n_columns, budget_s = container.shape[1], self.within_s / READ_SHARE
        if not isinstance(values, pd.DataFrame) or n_columns < 2 * _TRIED_COLUMNS:
            return
        some = np.random.default_rng(self.seed).permutation(n_columns)[:_TRIED_COLUMNS]
        own = replace(container, values=values.iloc[:FEWEST_ROWS_READ, some])
        took_s = math.inf
        for _ in range(2):  # the first time something may be loaded
            try:
                took_s = min(took_s, self._seconds(own, read) * n_columns / _TRIED_COLUMNS)
            except DataError:  # of these columns or of all: who reads them all will say it
                return
            if took_s <= budget_s + READ_SLACK_S:
                return
        raise ParameterError(
            f"budget must leave time to read the data: {FEWEST_ROWS_READ} rows of {n_columns:,} columns take "
            f"about {number(took_s, 2)} s, got {number(budget_s)} s; raise it, or pass fewer columns"
        )

    def _seconds(self, container: Container, read: Callable[[Container], object]) -> float:
        begin = time.perf_counter()
        read(container)
        return time.perf_counter() - begin


def first_rows(
    shuffled: NDArray[np.intp], n_rows: int, codes: NDArray[np.intp] | None, *, of_class: int
) -> NDArray[np.intp]:
    """Return the first rows of a shuffle and, of classes, the first `of_class` of each, in order.

    >>> first_rows(np.array([4, 2, 0, 1, 3]), 2, np.array([0, 1, 0, 0, 0]), of_class=1)
    array([1, 2, 4])
    """
    chosen = [shuffled[:n_rows]]
    if codes is not None:
        sizes = np.bincount(codes)
        place = np.arange(len(codes)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        by_class = np.argsort(codes[shuffled], kind="stable")
        chosen.append(shuffled[by_class[place < of_class]])
    return np.unique(np.concatenate(chosen)).astype(np.intp)


def shares_made_up_for(
    codes: NDArray[np.intp], sizes: NDArray[np.intp], *, n_wanted: int
) -> NDArray[np.float64] | None:
    """Return weights of drawn rows that give every class its share back; None if they have it.

    `codes` (n_drawn,): their classes. `sizes` (n_classes,): the rows that there are of each class.
    `n_wanted`: rows that were to be drawn; those of rare classes may come on top.

    >>> drawn = np.repeat([0, 1], [10, 10])
    >>> shares_made_up_for(drawn, np.array([90, 10]), n_wanted=20).round(2)[[0, -1]].tolist()
    [1.8, 0.2]
    """
    taken = np.bincount(codes, minlength=len(sizes))
    if (taken <= np.ceil(sizes * n_wanted / sizes.sum())).all():
        return None
    weight = (sizes / np.maximum(taken, 1))[codes]
    return np.asarray(weight / weight.mean(), dtype=np.float64)


def has_missing(container: Container) -> NDArray[np.bool_]:
    """Return by column whether a value is missing in any row: what is fitted on all rows has to expect it."""
    values: Any = container.values
    if isinstance(values, pd.DataFrame):
        return np.asarray(values.isna().any(axis=0), dtype=np.bool_)
    found = np.zeros(container.shape[1], dtype=np.bool_)
    if hasattr(values, "tocsr"):
        found[values.indices[np.isnan(values.data)]] = True
        return found
    if values.dtype.kind != "f":
        return found
    with np.errstate(invalid="ignore", over="ignore"):
        total = values.sum(axis=0)
    suspects = np.flatnonzero(~np.isfinite(total))
    found[suspects] = np.isnan(values[:, suspects]).any(axis=0)
    return found


def thinned_note(n_read: int, n_all: int) -> Note:
    """Return the note that only some rows were read."""
    return Note(
        code="read-in-part",
        text=f"The budget leaves time to read {n_read:,} of {n_all:,} rows, drawn at random. What is said of "
        "the columns is said of these; the target was read in all rows.",
    )
