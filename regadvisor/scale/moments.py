"""Counts, means and variances that merge."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regadvisor.errors import DataError
from regadvisor.words import shown


@dataclass(frozen=True, kw_only=True, eq=False)
class Moments:
    """Count, mean and sum of squared deviations of columns, shape (n_columns,)."""

    n: NDArray[np.float64]
    mean: NDArray[np.float64]
    squares: NDArray[np.float64]

    @classmethod
    def nothing(cls, n_columns: int) -> Moments:
        """Return the moments of no row."""
        return cls(n=np.zeros(n_columns), mean=np.zeros(n_columns), squares=np.zeros(n_columns))

    @classmethod
    def of(cls, columns: Iterable[NDArray[Any]], names: Sequence[str]) -> Moments:
        """Return the moments of columns of numbers; NaN is missing.

        Raises DataError if a value is infinite.
        """
        found, scratch = cls.nothing(len(names)), np.empty(0)
        for j, values in enumerate(columns):
            if len(scratch) < len(values):  # one for all columns: fresh memory costs more than the sums
                scratch = np.empty(len(values))
            x = scratch[: len(values)]
            np.copyto(x, values)
            with np.errstate(over="ignore", invalid="ignore"):  # beyond 1e154 no variance is known
                found.n[j], found.mean[j], found.squares[j] = _moments(x, names[j])
        return found

    def merged(self, other: Moments) -> Moments:
        """Return the moments of both."""
        n = self.n + other.n
        share = other.n / np.maximum(n, 1.0)
        with np.errstate(over="ignore", invalid="ignore"):
            step = other.mean - self.mean
            mean = self.mean + step * share
            squares = self.squares + other.squares + np.square(step) * self.n * share
        return Moments(n=n, mean=mean, squares=squares)

    @property
    def sd(self) -> NDArray[np.float64]:
        """Standard deviations."""
        return np.sqrt(self.squares / np.maximum(self.n, 1.0))


def _moments(x: NDArray[np.float64], name: str) -> tuple[int, float, float]:
    """Return count, mean and squared deviations of a column, which is written over."""
    total = x.sum()
    if not np.isfinite(total):
        x = x[~np.isnan(x)]
        if np.isinf(x).any():
            raise DataError(
                f"column {shown(name)} must be finite, got infinity (inf); drop or correct these rows"
            )
        total = x.sum()
    if not len(x):
        return 0, 0.0, 0.0
    mean = total / len(x)
    x -= mean
    return len(x), float(mean), float(x @ x)
