"""A number for every row that depends on its values alone, not on where the row stands.

Drawing and folding go through these keys, so a data set gives the same sample and the same folds in
whatever order its rows arrive; and equal keys are duplicate rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from regadvisor.data.hashing import cell_hashes, mix, numbered, sparse_row_hashes
from regadvisor.data.numbers import Numbers
from regadvisor.data.table import Table

if TYPE_CHECKING:
    from regadvisor.data.table import Features


def row_keys(table: Table) -> NDArray[np.uint64]:
    """Return a 64-bit hash of features and target for every row, shape (n_rows,).

    The hash is the sum over non-zero cells of a mixed value (SplitMix64, Steele et al. 2014), so a dense
    and a sparse matrix of the same values give the same keys. Several targets give the same keys in whatever
    order they stand, and copies of one target those of the one.

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
    place, target = numbered(0, 1), np.zeros(table.n_rows, dtype=np.uint64)
    for j in table.different_targets:
        target += cell_hashes(table.targets[:, j], place)
    return mix(features ^ target)


def canonical_order(table: Table, keys: NDArray[np.uint64]) -> NDArray[np.intp]:
    """Return all row numbers in an order that does not depend on the order of the rows.

    Rows of equal values are ordered by time, where there is one, and by position last.
    """
    if table.time is not None:
        return np.lexsort((table.time, keys)).astype(np.intp)
    order = np.argsort(keys)  # four times faster than a stable sort, which only equal keys need
    ranked = keys[order]
    if (ranked[1:] == ranked[:-1]).any():
        order = np.argsort(keys, kind="stable")
    return order.astype(np.intp)


def group_keys(groups: NDArray[np.intp], keys: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return one key per group code from the rows in it, shape (n_codes,)."""
    sums = np.zeros(int(groups.max()) + 1, dtype=np.uint64)
    np.add.at(sums, groups, keys)
    return mix(sums)


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
        return sparse_row_hashes(sparse.csr_array(X))
    if isinstance(X, np.ndarray):
        flat = X.reshape(len(X), int(np.prod(X.shape[1:])))
        return _number_keys(Numbers(values=flat, at=list(range(flat.shape[1]))))
    return _frame_keys(X)


def _number_keys(numbers: Numbers) -> NDArray[np.uint64]:
    columns = numbered(1, numbers.values.shape[1])[numbers.at]
    keys = np.zeros(numbers.shape[0], dtype=np.uint64)
    for where, block in numbers.blocks():
        has_missing = bool(np.isnan(block.min(initial=0.0)))
        keys[where] = cell_hashes(block, columns, has_missing=has_missing).sum(axis=1, dtype=np.uint64)
    return keys


def _frame_keys(X: Any) -> NDArray[np.uint64]:
    """Return the sum of the cells' hashes; plain numbers in blocks of rows, the rest column by column."""
    from pandas.api.types import is_numeric_dtype

    plain = [j for j, dtype in enumerate(X.dtypes) if isinstance(dtype, np.dtype) and dtype.kind in "iuf"]
    keys = _number_keys(Numbers(values=X, at=plain)) if plain else np.zeros(len(X), dtype=np.uint64)
    columns = numbered(1, X.shape[1])
    for j in np.setdiff1d(np.arange(X.shape[1]), plain):
        series = X.iloc[:, int(j)]
        if is_numeric_dtype(series.dtype):
            keys += cell_hashes(series.to_numpy(dtype=np.float64, na_value=np.nan), columns[j : j + 1])
        else:
            keys += mix(_object_hashes(series) ^ columns[j])
    return keys


def _object_hashes(series: Any) -> NDArray[np.uint64]:
    """Return pandas' hash of every value; of repeated texts it is worked out once."""
    import pandas as pd
    from pandas.util import hash_pandas_object

    if pd.api.types.is_string_dtype(series.dtype) and series.dtype != object:
        codes, distinct = pd.factorize(series, use_na_sentinel=False)
        first = np.zeros(len(distinct), dtype=np.intp)
        first[codes[::-1]] = np.arange(len(codes))[::-1]  # of equal indices the last one counts
        return np.asarray(hash_pandas_object(series.iloc[first], index=False), dtype=np.uint64)[codes]
    return np.asarray(hash_pandas_object(series, index=False), dtype=np.uint64)
