"""Figures over sets with their intervals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats.mstats import winsorize

#: Share of the sets whose values are pulled in at either end.
WINSORISED = 0.2
N_BOOT = 2_000
INTERVAL = 0.95

Values = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A figure over sets and its bootstrap interval."""

    value: float
    low: float
    high: float

    def text(self, unit: str = "") -> str:
        """Return the figure with its interval.

        Examples
        --------
        >>> Figure(value=1.0, low=0.5, high=2.25).text()
        '1.0 [0.5, 2.2]'
        """
        if unit:
            return f"{self.value:.0f}{unit} [{self.low:.0f}, {self.high:.0f}]"
        return f"{self.value:.1f} [{self.low:.1f}, {self.high:.1f}]"


def median(values: Values) -> Values:
    """Return the median over the last axis."""
    return np.asarray(np.median(values, axis=-1))


def winsorised(values: Values) -> Values:
    """Return the mean over the last axis after the lowest and highest 20% are set to the nearest value left.

    Examples
    --------
    >>> float(winsorised(np.array([0.0, 1.0, 2.0, 3.0, 100.0])))
    2.0
    """
    return np.asarray(winsorize(values, limits=(WINSORISED, WINSORISED), axis=-1).data.mean(axis=-1))


def percentile_90(values: Values) -> Values:
    """Return the 90th percentile over the last axis."""
    return np.asarray(np.percentile(values, 90, axis=-1))


def share(values: Values) -> Values:
    """Return the mean over the last axis, of values that are shares."""
    return np.asarray(values.mean(axis=-1))


def interval(values: Values, statistic: Callable[[Values], Values]) -> Figure:
    """Return a statistic over sets with its 95% percentile interval, sets drawn with replacement.

    Parameters
    ----------
    values : ndarray, shape (n_sets,)
    statistic : callable
        One of the above: (..., n_sets) → (...).
    """
    draws = np.random.default_rng(0).integers(len(values), size=(N_BOOT, len(values)))
    low, high = np.quantile(statistic(values[draws]), [(1 - INTERVAL) / 2, (1 + INTERVAL) / 2])
    return Figure(value=float(statistic(values)), low=float(low), high=float(high))


def difference(first: Values, second: Values, statistic: Callable[[Values], Values]) -> Figure:
    """Return the difference of a statistic over the same sets with its bootstrap interval.

    Examples
    --------
    >>> difference(np.array([1.0, 2.0]), np.array([0.0, 1.0]), share).text()
    '1.0 [1.0, 1.0]'
    """
    draws = np.random.default_rng(0).integers(len(first), size=(N_BOOT, len(first)))
    drawn = statistic(first[draws]) - statistic(second[draws])
    low, high = np.quantile(drawn, [(1 - INTERVAL) / 2, (1 + INTERVAL) / 2])
    return Figure(value=float(statistic(first) - statistic(second)), low=float(low), high=float(high))
