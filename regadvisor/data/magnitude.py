"""Numbers whose squares are numbers, too: how large and how small values may be.

Variances, losses and penalties square what they get, and sums of squares over- or underflow long before the
numbers themselves do. One rule for features and targets: the largest value of a column, sign aside, lies
between 1e-100 and 1e100, or is 0. Nothing that is measured is outside; what is, has the wrong unit or wants
its logarithm taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regadvisor.data.wording import shown
from regadvisor.errors import DataError
from regadvisor.thresholds import LARGEST_VALUE, SMALLEST_VALUE


def check_magnitude(low: NDArray[Any], high: NDArray[Any], names: Sequence[str | int] | str) -> None:
    """Raise DataError unless the squares of the values are numbers.

    Parameters
    ----------
    low, high : ndarray, shape (n_columns,)
        Smallest and largest value of each column; NaN where there is none.
    names : sequence of str or int, or str
        Names of the columns of X; or what else the one column is called.

    Examples
    --------
    >>> check_magnitude(np.array([-1e160]), np.array([1.0]), "y")
    Traceback (most recent call last):
    ...
    regadvisor.errors.DataError: y must hold numbers whose largest is between 1e-100 and 1e+100 in size ...
    """
    largest = np.fmax(np.abs(low.astype(np.float64)), np.abs(high.astype(np.float64)))
    wrong = (largest > LARGEST_VALUE) | ((largest < SMALLEST_VALUE) & (largest > 0))
    if not wrong.any():
        return
    j = int(np.argmax(wrong))
    where = names if isinstance(names, str) else f"column {shown(names[j])} of X"
    raise DataError(
        f"{where} must hold numbers whose largest is between {SMALLEST_VALUE:g} and {LARGEST_VALUE:g} in "
        f"size (or 0), or their squares are no numbers; got {largest[j]:.3g}; change the unit (divide by "
        f"{largest[j]:.0e}) or take the logarithm"
    )
