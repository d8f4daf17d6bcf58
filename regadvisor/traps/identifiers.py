"""Columns that number the rows: an identifier says nothing about rows to come."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from regadvisor import thresholds
from regadvisor.records import Note
from regadvisor.traps.view import View

#: Rows of a column that are read.
_MOST_ROWS = 100_000


def identifiers(view: View) -> tuple[Note, ...]:
    """Return a warning about numeric columns that count the rows up.

    Text that is different in almost every row is noted where columns are read (``"looks-like-id"``).
    """
    numbers = [j for j in view.varying if not view.is_category[j] and _is_whole(view.values[:, j])]
    wholes = {int(j): view.whole(int(j))[:_MOST_ROWS] for j in numbers}
    found = [j for j, column in wholes.items() if numbers_rows(column)]
    if not found or view.table.facts.n_features == 1:
        return ()
    is_sorted = all(_is_sorted(wholes[j]) for j in found)
    return (_note(view.names(found), is_one=len(found) == 1, is_sorted=is_sorted),)


def _is_whole(column: NDArray[np.float64]) -> bool:
    return bool((column == np.round(column)).all() and len(np.unique(column)) >= 0.98 * len(column))


def numbers_rows(column: NDArray[np.float64]) -> bool:
    """Whether a column counts rows up, in any order and with gaps.

    Whole numbers that measure something fall on the same value now and then: n of them, spread over m values,
    share about n²/2m, and more if they are not spread evenly. Numbers that share none, or next to none,
    where many are due, were given out one by one.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> numbers_rows(100.0 + 5 * rng.permutation(60)), numbers_rows(rng.integers(0, 10**6, size=60))
    (True, False)
    """
    values = np.sort(column)
    gaps = np.diff(values)
    n_shared = int((gaps == 0).sum())
    if len(values) < thresholds.IDENTIFIER_FEWEST_ROWS or n_shared > 0.02 * len(values):
        return False
    step = float(np.gcd.reduce(gaps[gaps > 0].astype(np.int64))) if gaps.max() < 2.0**62 else 1.0
    due = len(values) ** 2 / 2 / ((values[-1] - values[0]) / step + 1)
    return bool(stats.poisson.cdf(n_shared, due) <= thresholds.IDENTIFIER_CHANCE)


def _is_sorted(column: NDArray[np.float64]) -> bool:
    steps = np.diff(column)
    return bool((steps >= 0).all() or (steps <= 0).all())


def _note(names: str, *, is_one: bool, is_sorted: bool) -> Note:
    count, them, are = ("numbers", "it", "it is") if is_one else ("number", "them", "they are")
    order, time = (
        (" in their order", f", or pass time= if {are} the order of time") if is_sorted else ("", "")
    )
    text = (
        f"{names} {count} the rows{order}: an identifier teaches a model nothing about new rows. "
        f"Leave {them} out{time}."
    )
    return Note(code="numbers-rows", text=text, is_warning=True)
