"""Spreading rows evenly along a line: class after class, or the target from one end to the other.

A few extreme targets decide a squared error, so training and test rows have to hold their shares of them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from regadvisor.data.table import Table

#: Steps in which distances from the median are rounded: 1/16,384 of the next power of two.
_MANTISSA = 1 << 14


def one_per_slice(n: int, count: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Return `count` of the places 0 … n - 1, one from each of equally long slices.

    The first slice begins at a random place and the last ends there, so all places have the same chance.

    Examples
    --------
    >>> one_per_slice(8, 4, np.random.default_rng(0)).tolist()
    [2, 3, 5, 7]
    """
    edges = np.floor((np.arange(count + 1) + rng.random()) * (n / count)).astype(np.intp)
    edges[-1] = edges[0] + n
    return np.sort(rng.integers(edges[:-1], edges[1:]) % n)


def deviations(y: NDArray[np.float64], keys: NDArray[np.uint64]) -> NDArray[np.float64]:
    """Return how far a numeric target is from its median, in a form that knows no units.

    In units of the median distance, rounded to four digits so that neither a change of unit nor float32
    separates what is equal; and turned so that the most extreme row is above (the one with the largest key
    of several).

    Examples
    --------
    >>> keys = np.arange(5, dtype=np.uint64)
    >>> deviations(np.array([3.0, 1.0, 2.0, 4.0, 90.0]), keys).tolist()
    [0.0, -2.0, -1.0, 1.0, 87.0]
    >>> deviations(-np.array([3.0, 1.0, 2.0, 4.0, 90.0]) / 7.0, keys).tolist()
    [0.0, -2.0, -1.0, 1.0, 87.0]
    """
    if not len(y):
        return np.zeros(0)
    largest = np.abs(y).max()
    away = y / largest if largest > 0.0 else y  # squares and sums of 1e300 overflow
    away = away - np.median(away)
    distance = np.abs(away)
    unit = np.median(distance) or distance.mean() or 1.0
    mantissa, exponent = np.frexp(away / unit)
    away = np.ldexp(np.round(mantissa * _MANTISSA) / _MANTISSA, exponent)
    away = np.where(np.abs(away) < 1.0 / _MANTISSA, 0.0, away)
    distance = np.abs(away)
    farthest = np.flatnonzero(distance == distance.max())
    extreme = farthest[np.argmax(keys[farthest])]
    return -away + 0.0 if away[extreme] < 0 else away  # + 0.0: no negative zero


def target_line(table: Table, keys: NDArray[np.uint64]) -> NDArray[np.float64]:
    """Return numbers along which every stretch should keep its share: the target, or a class's first row."""
    if not table.is_classification:
        return deviations(table.target_view, keys)
    _, first, code = np.unique(table.y, return_index=True, return_inverse=True)
    return first[code].astype(np.float64)
