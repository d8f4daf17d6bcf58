"""The numeric columns of any container, read some rows or one column at a time: never copied as a whole."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse
from sklearn.utils.sparsefuncs import mean_variance_axis

from regadvisor.data.dates import microseconds
from regadvisor.errors import DataError
from regadvisor.thresholds import LARGEST_SINGLE, LARGEST_VALUE, SMALLEST_SPARSE, SMALLEST_VALUE
from regadvisor.words import shown

if TYPE_CHECKING:
    from regadvisor.data.arrays import Values

#: Numbers looked at together: they stay in a core's cache through several operations.
BLOCK_CELLS = 1 << 15
#: What does not lie row by row, as frames do not, is copied so many numbers (8 MB) or rows at a time: taking
#: rows costs time by column.
_COPIED_CELLS, _COPIED_ROWS = 1 << 20, 64


@dataclass(frozen=True, kw_only=True, eq=False)
class Numbers:
    """Views of the numeric columns of an array, a sparse matrix or a frame.

    >>> frame = pd.DataFrame({"a": [1, 2, 3], "b": ["x", "y", "z"], "c": [0.5, 1.5, 2.5]})
    >>> numbers = Numbers(values=frame, at=[0, 2])
    >>> numbers.shape, numbers.rows(np.array([1])).tolist(), numbers.column(1).tolist()
    ((3, 2), [[2.0, 1.5]], [0.5, 1.5, 2.5])
    """

    #: The whole table.
    values: Values
    #: Positions of the numeric columns in it (all of them, unless it is a frame).
    at: list[int]

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and numeric columns."""
        return int(self.values.shape[0]), len(self.at)

    @property
    def is_sparse(self) -> bool:
        """Whether the columns are those of a sparse matrix."""
        return bool(sparse.issparse(self.values))

    @property
    def is_single(self) -> bool:
        """Whether some columns are float32, and none is wider."""
        if isinstance(self.values, pd.DataFrame):
            return np.dtype(np.float32) in self.values.dtypes.iloc[self.at].tolist()
        return bool(self.values.dtype == np.float32)

    def rows(self, rows: NDArray[np.intp] | slice) -> NDArray[Any]:
        """Return the given rows as a dense array, shape (n_taken, n_numeric)."""
        if isinstance(self.values, pd.DataFrame):
            return _as_array(self.values.iloc[rows], self.at)
        taken = self.values[rows]
        return taken if isinstance(taken, np.ndarray) else np.asarray(taken.toarray())

    def column(self, j: int) -> NDArray[Any]:
        """Return the numeric column number `j`, shape (n_rows,); a view where there can be one."""
        if isinstance(self.values, pd.DataFrame):
            return np.asarray(self.values.iloc[:, self.at[j]].to_numpy())
        if isinstance(self.values, np.ndarray):
            return self.values[:, j]
        return np.asarray(self.values[:, [j]].toarray()).ravel()

    def blocks(self, cells: int = BLOCK_CELLS) -> Iterator[tuple[slice, NDArray[Any]]]:
        """Yield blocks of rows of at most about `cells` numbers (dense tables): where they are, the numbers.

        All blocks of a table have one dtype, in which all its numbers fit.
        """
        n_rows, n_columns = self.shape
        step = max(1, cells // max(1, n_columns))
        wide = max(1, n_rows)
        if not isinstance(self.values, np.ndarray) or not self.values.flags.c_contiguous:
            wide = step * -(-max(_COPIED_ROWS, _COPIED_CELLS // max(1, n_columns)) // step)
        for begin in range(0, n_rows, wide):
            part = _by_rows(self.rows(slice(begin, begin + wide)))
            for start in range(0, len(part), step):
                block = part[start : start + step]
                yield slice(begin + start, begin + start + len(block)), block


def _by_rows(array: NDArray[Any]) -> NDArray[Any]:
    """Return an array whose rows lie one after the other: itself, or a copy made of a few columns at a time.

    Columns that lie apart are pages of memory; a processor remembers where some hundreds of them are.
    """
    if array.flags.c_contiguous:
        return array
    copy = np.empty(array.shape, dtype=array.dtype)
    for j in range(0, array.shape[1], 512):
        copy[:, j : j + 512] = array[:, j : j + 512]
    return copy


def moments(numbers: Numbers) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean and variance of the columns, missing values left out.

    >>> moments(Numbers(values=np.array([[1.0, 5.0], [3.0, np.nan]]), at=[0, 1]))
    (array([2., 5.]), array([1., 0.]))
    """
    if numbers.is_sparse:
        mean, variance = mean_variance_axis(numbers.values.astype(np.float64), axis=0)
        return mean, variance
    near, total, squares, count = np.zeros((4, numbers.shape[1]))
    for where, block in numbers.blocks(2 * BLOCK_CELLS):
        if where.start == 0:  # distances from a value of each column: squares of these are exact enough
            near = np.nan_to_num(np.fmax.reduce(block, axis=0).astype(np.float64))
        values = np.subtract(block, near, dtype=np.float64)
        count += len(block)
        if np.isnan(block.min(initial=0.0)):
            missing = np.isnan(values)
            values[missing] = 0.0
            count -= missing.sum(axis=0)
        ones = np.ones(len(values))
        total += ones @ values
        squares += ones @ np.square(values, out=values)
    count = np.maximum(count, 1.0)
    return near + total / count, np.maximum(squares / count - np.square(total / count), 0.0)


def some_numbers(
    X: Any, rows: NDArray[np.intp] | None = None, at: NDArray[np.intp] | None = None
) -> NDArray[np.float64]:
    """Return columns of numbers and dates (in microseconds) as float64, NaN where missing, (n_rows, n_at).

    All rows and all columns by default. Rows and columns are taken at once: of a wide table little is copied.
    """
    if isinstance(X, pd.DataFrame):
        frame = X.iloc[slice(None) if rows is None else rows, slice(None) if at is None else at]
        if not any(dtype.kind in "mM" for dtype in frame.dtypes):
            return np.asarray(frame.to_numpy(dtype=np.float64, na_value=np.nan))
        series = [frame.iloc[:, j] for j in range(frame.shape[1])]
        return np.column_stack(
            [
                microseconds(own)
                if own.dtype.kind in "mM"
                else own.to_numpy(dtype=np.float64, na_value=np.nan)
                for own in series
            ]
        )
    at = None if at is None or len(at) == X.shape[1] else at
    if rows is not None and at is not None and isinstance(X, np.ndarray):
        return np.asarray(X[np.ix_(rows, at)], dtype=np.float64)
    taken = X if rows is None else X[rows]
    taken = taken if at is None else taken[:, at]
    return np.asarray(taken if isinstance(taken, np.ndarray) else taken.toarray(), dtype=np.float64)


def _as_array(frame: pd.DataFrame, at: list[int]) -> NDArray[Any]:
    if not at:
        return np.empty((len(frame), 0))
    return (frame if len(at) == frame.shape[1] else frame.iloc[:, at]).to_numpy()


def check_magnitude(
    low: NDArray[Any], high: NDArray[Any], names: Sequence[str | int] | str, *, is_sparse: bool = False
) -> None:
    """Raise DataError unless the squares of the values are numbers.

    `low`, `high` (n_columns,): smallest and largest value of each column; NaN where there is none. `names`:
    names of the columns of X; or what else the one column is called. `is_sparse`: whether they are the
    columns of a sparse matrix.

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
