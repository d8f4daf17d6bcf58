"""Numbers whose squares are numbers, too: how large and how small values may be.

Variances, losses and penalties square what they get, and sums of squares over- or underflow long before the
numbers themselves do. One rule for features and targets: the largest value of a column, sign aside, lies
between 1e-100 and 1e100, or is 0. Nothing that is measured is outside; what is, has the wrong unit or wants
its logarithm taken. Of sparse matrices it lies between 1e-14 and 1e15: scikit-learn squares
them in their own dtype, and does not scale what it takes for 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regadvisor.errors import DataError
from regadvisor.thresholds import LARGEST_SINGLE, LARGEST_VALUE, SMALLEST_SPARSE, SMALLEST_VALUE
from regadvisor.words import shown


def check_magnitude(
    low: NDArray[Any], high: NDArray[Any], names: Sequence[str | int] | str, *, is_sparse: bool = False
) -> None:
    """Raise DataError unless the squares of the values are numbers.

    Parameters
    ----------
    low, high : ndarray, shape (n_columns,)
        Smallest and largest value of each column; NaN where there is none.
    names : sequence of str or int, or str
        Names of the columns of X; or what else the one column is called.
    is_sparse : bool
        Whether they are the columns of a sparse matrix.

    Examples
    --------
    >>> check_magnitude(np.array([-1e160]), np.array([1.0]), "y")
    Traceback (most recent call last):
    ...
    regadvisor.errors.DataError: y must hold numbers whose largest is between 1e-100 and 1e+100 in size ...
    """
    largest = np.fmax(np.abs(low.astype(np.float64)), np.abs(high.astype(np.float64)))
    smallest, most = (SMALLEST_SPARSE, LARGEST_SINGLE) if is_sparse else (SMALLEST_VALUE, LARGEST_VALUE)
    wrong = (largest > most) | ((largest < smallest) & (largest > 0))
    if not wrong.any():
        return
    j = int(np.argmax(wrong))
    where = names if isinstance(names, str) else f"column {shown(names[j])} of X"
    raise DataError(
        f"{where} must hold numbers whose largest is between {smallest:g} and {most:g} in "
        f"size (or 0), got {largest[j]:.3g}: its square is none; change the unit (divide by "
        f"{largest[j]:.0e}) or take the logarithm"
    )
