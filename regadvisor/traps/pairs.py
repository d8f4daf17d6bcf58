"""Columns that repeat their values together, as what is the same for a patient does; columns of a panel."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from regadvisor import thresholds
from regadvisor.traps.view import View

#: Rows and columns that are looked at.
_MOST_PAIRED, _MOST_IN_PAIRS = 10_000, 8
#: By what levels that are met in some of the rows are fewer, as some are rare, or more, by luck.
_FEWER, _MORE = 0.8, 1.05


def in_pairs(view: View, rng: np.random.Generator) -> tuple[tuple[int, ...], int]:
    """Return two columns that repeat their values in the same rows, and how many pairs of values there are.

    The age and the height of a patient are the same in all rows of that patient.
    """
    if view.table.n_rows > _MOST_PAIRED:
        return (), 0
    repeats = view.is_spread & (view.n_levels <= len(view.rows) / 2)
    finest = sorted(view.varying[repeats[view.varying]].tolist(), key=lambda j: -view.n_levels[j])
    levels = {j: np.unique(view.whole(j), return_inverse=True)[1] for j in finest[:_MOST_IN_PAIRS]}
    found: tuple[int, ...] = ()
    best, n_found = thresholds.SHARED_PAIRS, 0
    for pair in combinations(levels, 2):
        one, other = (levels[j] for j in pair)
        share, n_pairs = _repeated(one, other)
        ratio = n_pairs / _repeated(one, rng.permutation(other))[1]
        if share >= thresholds.SHARED_REPEATED and ratio < best and not np.array_equal(one, other):
            best, found, n_found = ratio, pair, n_pairs
    return found, n_found


def panel_with(view: View, j: int, whole: NDArray[np.float64]) -> int | None:
    """Return the column with which column `j` makes a panel, as the year does with the name of a firm.

    No pair of their values is met twice, and most pairs that there could be are met. `whole`: all rows of
    column `j`.
    """
    levels, codes = np.unique(whole, return_inverse=True)
    fewest, most = len(whole) / len(levels), len(whole) / len(levels) / thresholds.PANEL_MET
    # So many of them are met among the rows that are looked at: of a measurement, far more.
    seen = [n * -np.expm1(-len(view.rows) / n) for n in (fewest, most)]
    may_be = (_FEWER * seen[0] <= view.n_levels) & (view.n_levels <= _MORE * seen[1])
    for other in view.varying[may_be[view.varying]].tolist():
        others, other_codes = np.unique(view.whole(other), return_inverse=True)
        is_once = joint(codes, other_codes).max() + 1 >= thresholds.PANEL_ONCE * len(whole)
        if other != j and is_once and fewest <= len(others) <= most:
            return int(other)
    return None


def joint(one: NDArray[np.intp], other: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return one code for each pair of codes.

    >>> joint(np.array([0, 0, 1, 0]), np.array([2, 0, 2, 2])).tolist()
    [1, 0, 2, 1]
    """
    return np.unique(one * (other.max() + 1) + other, return_inverse=True)[1].astype(np.intp)


def _repeated(one: NDArray[np.intp], other: NDArray[np.intp]) -> tuple[float, int]:
    """Return the share of rows whose pair of values another row has, too, and how many pairs there are."""
    codes = joint(one, other)
    counts = np.bincount(codes)
    return float(np.mean(counts[codes] > 1)), len(counts)
