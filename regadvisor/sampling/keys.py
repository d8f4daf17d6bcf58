"""A number for every row that depends on its values alone, not on where the row stands.

Drawing and folding go through these keys, so a data set gives the same sample and the same folds in
whatever order its rows arrive; and equal keys are duplicate rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from regadvisor.data.table import Table

if TYPE_CHECKING:
    from regadvisor.data.table import Features

#: Cells hashed at once; keeps the working set within a core's cache.
_CHUNK_CELLS = 1 << 17
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def row_keys(table: Table) -> NDArray[np.uint64]:
    """Return a 64-bit hash of features and target for every row, shape (n_rows,).

    The hash is the sum over non-zero cells of a mixed value (SplitMix64, Steele et al. 2014), so a dense
    and a sparse matrix of the same values give the same keys.

    Examples
    --------
    >>> from regadvisor.records import DataFacts
    >>> facts = DataFacts(container="array", task="binary", n_rows=3, columns=())
    >>> table = Table(X=np.array([[1.0, 2.0], [2.0, 1.0], [1.0, 2.0]]), y=np.array([0, 0, 0]), facts=facts)
    >>> keys = row_keys(table)
    >>> bool(keys[0] == keys[2]), bool(keys[0] == keys[1])
    (True, False)
    """
    features = _feature_keys(table.X)
    target = _cell_hash(np.asarray(table.y, dtype=np.float64)[:, None], _column_keys(0, 1))
    return _mix(features ^ target[:, 0])


def canonical_order(table: Table, keys: NDArray[np.uint64]) -> NDArray[np.intp]:
    """Return all row numbers in an order that does not depend on the order of the rows.

    Rows of equal values are ordered by time, where there is one, and by position last.
    """
    time = np.zeros(len(keys)) if table.time is None else table.time
    return np.lexsort((time, keys)).astype(np.intp)


def group_keys(groups: NDArray[np.intp], keys: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return one key per group code from the rows in it, shape (n_codes,)."""
    sums = np.zeros(int(groups.max()) + 1, dtype=np.uint64)
    np.add.at(sums, groups, keys)
    return _mix(sums)


def duplicate_clusters(keys: NDArray[np.uint64]) -> tuple[NDArray[np.intp], int]:
    """Return a cluster number per row (equal rows share it) and how many rows repeat another one.

    Examples
    --------
    >>> clusters, n_repeated = duplicate_clusters(np.array([7, 3, 7, 7], dtype=np.uint64))
    >>> clusters.tolist(), n_repeated
    ([1, 0, 1, 1], 2)
    """
    distinct, cluster = np.unique(keys, return_inverse=True)
    return cluster.astype(np.intp), len(keys) - len(distinct)


def _feature_keys(X: Features) -> NDArray[np.uint64]:
    if sparse.issparse(X):
        return _sparse_keys(X)
    if isinstance(X, np.ndarray):
        return _dense_keys(X)
    return _frame_keys(X)


def _dense_keys(X: NDArray[Any]) -> NDArray[np.uint64]:
    flat = X.reshape(len(X), int(np.prod(X.shape[1:])))
    n_rows, n_columns = flat.shape
    columns = _column_keys(1, n_columns)
    keys = np.zeros(n_rows, dtype=np.uint64)
    step = max(1, _CHUNK_CELLS // max(1, n_columns))
    for start in range(0, n_rows, step):
        block = flat[start : start + step].astype(np.float64)
        keys[start : start + step] = _cell_hash(block, columns).sum(axis=1, dtype=np.uint64)
    return keys


def _sparse_keys(X: Any) -> NDArray[np.uint64]:
    matrix = sparse.csr_array(X)
    columns = _column_keys(1, matrix.shape[1])
    cells = _cell_hash(np.asarray(matrix.data, dtype=np.float64), columns[matrix.indices])
    # Differences of a running sum that wraps around: right for empty rows, unlike reduceat.
    running = np.concatenate([np.zeros(1, dtype=np.uint64), np.cumsum(cells, dtype=np.uint64)])
    keys: NDArray[np.uint64] = running[matrix.indptr[1:]] - running[matrix.indptr[:-1]]
    return keys


def _frame_keys(X: Any) -> NDArray[np.uint64]:
    from pandas.api.types import is_numeric_dtype
    from pandas.util import hash_pandas_object

    columns = _column_keys(1, X.shape[1])
    keys = np.zeros(len(X), dtype=np.uint64)
    for j in range(X.shape[1]):
        series = X.iloc[:, j]
        if is_numeric_dtype(series.dtype):
            values = series.to_numpy(dtype=np.float64, na_value=np.nan)
            keys += _cell_hash(np.array(values), columns[j : j + 1])
        else:
            hashed = hash_pandas_object(series, index=False).to_numpy(dtype=np.uint64)
            keys += _mix(hashed ^ columns[j])
    return keys


def _column_keys(first: int, count: int) -> NDArray[np.uint64]:
    return _mix(np.arange(first, first + count, dtype=np.uint64) * _GOLDEN)


def _cell_hash(values: NDArray[np.float64], columns: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return one hash per cell, 0 where the value is 0; `values` is broadcast against `columns`."""
    values = np.where(np.isnan(values), np.nan, values)  # one bit pattern for every NaN
    cells = _mix(values.view(np.uint64) ^ columns)
    cells[values == 0.0] = 0
    return cells


def _mix(bits: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return the SplitMix64 finaliser of every number (arrays wrap around silently)."""
    bits = bits ^ (bits >> np.uint64(30))
    bits *= np.uint64(0xBF58476D1CE4E5B9)
    bits ^= bits >> np.uint64(27)
    bits *= np.uint64(0x94D049BB133111EB)
    bits ^= bits >> np.uint64(31)
    return bits
