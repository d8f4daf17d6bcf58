"""A number for every row that depends on what the row says, not on where it stands or what it is measured in.

Drawing and folding go through these keys, so a data set gives the same sample and the same folds in whatever
order its rows and columns arrive, in whatever units and number type; and equal keys are duplicate rows.

A key that hashed values would change with every unit. One that hashed exact ranks would not, but float32
makes ties of neighbours, every tie moves all ranks above it, and sorting is slow: 3 million rows of 20
columns take 6 s. So numbers are put on a grid of distances from the column's mean, in standard deviations:

- A distance does not change with the unit, the zero point or the sign of a column, beyond rounding.
- The grid is coarse (an eighth of a standard deviation), so rounding seldom matters: float32 is off by 6e-8
  of the value, and moves one cell in some millions. That row gets another key; the others keep theirs.
- The grid's lines lie at odd places, where the values of discrete columns do not: a class of half the rows is
  exactly 1 standard deviation from the mean. Values at the mean itself have no line near them.
- Text and categories count by value, and by how many rows have the value. Classes count by their number of
  rows alone, so their names and order do not matter.
- What the cells of a row say is added up. Columns are told apart by what they hold, never by their place.

Few rows share all cells of the coarse grid. Those that do are looked at again on finer ones, and those that
still do by their exact values, where columns count by place. So different rows get different keys, and
copies equal ones. Only rows that mirror each other about the mean, or swap the values of two columns that are
distributed alike, get keys that depend on the unit or the order of columns.

Cells are mixed by SplitMix64 (Steele, Lea, Flood 2014).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api.types import is_numeric_dtype
from pandas.util import hash_pandas_object
from scipy import sparse

from regadvisor.data.dates import microseconds
from regadvisor.data.hashing import cell_hashes, mix, numbered, sparse_row_sums
from regadvisor.data.numbers import Numbers, moments

if TYPE_CHECKING:
    from regadvisor.data.table import Features, Table

#: Lines of the coarse and of finer grids per standard deviation, and how far the first is from the mean.
_COARSE, _FINER = 8.0, (2.0**11, 2.0**20)
_SHIFT = 0.381966
#: A random number for each cell of a grid, going round again; the last is that of missing values.
_GRID = numbered(1, 1 << 16)
_MISSING = len(_GRID) - 1
#: A spread of less than this share of the mean is one of rounding errors.
_ROUNDING = 1e-13

#: Numbers looked at together: many small operations each, so more than elsewhere.
_BLOCK_CELLS = 1 << 16
#: Hashes values of the columns at the given positions of a part.
_Cells = Callable[[NDArray[Any], NDArray[Any]], NDArray[np.uint64]]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Part:
    """Numeric columns that are read together, and a random number for each one's place.

    Targets have one place, so that their order does not matter.
    """

    numbers: Numbers
    places: NDArray[np.uint64]
    is_target: bool = False

    def by_value(self, values: NDArray[Any], at: NDArray[Any]) -> NDArray[np.uint64]:
        """Return the hash of exact values of the columns at the given positions."""
        return cell_hashes(values, self.places[at])


@dataclass(frozen=True, kw_only=True, eq=False)
class _Scale:
    """Mean and inverse standard deviation of the columns of a part; 0 for constant ones."""

    mean: NDArray[np.float64]
    inverse_sd: NDArray[np.float64]

    def cells(self, lines: float) -> _Cells:
        """Return what hashes a value's place on a grid of so many lines per standard deviation."""

        def hashed(values: NDArray[Any], at: NDArray[Any]) -> NDArray[np.uint64]:
            place = np.subtract(values, self.mean[at], dtype=np.float64)
            np.abs(place, out=place)
            place *= self.inverse_sd[at] * lines
            place += _SHIFT
            if lines != _COARSE:
                np.fmod(place, _MISSING, out=place)
            np.fmin(place, _MISSING - 1, out=place)
            if np.isnan(values.min(initial=0.0)):
                place[np.isnan(values)] = _MISSING
            hashes: NDArray[np.uint64] = _GRID.take(place.astype(np.uint16))
            return hashes

        return hashed


def row_keys(table: Table) -> NDArray[np.uint64]:
    """Return a 64-bit key of features and target for every row, shape (n_rows,).

    Equal rows have equal keys, in a dense and a sparse matrix alike. Of equal targets one counts.
    """
    X, y = table.X, table.targets[:, table.different_targets]
    sizes = np.bincount(table.y)[y] if table.is_classification else y  # a class counts by its rows
    scales = [_scale(part) for part in _parts(X, sizes)]

    def on_grid(X: Features, y: NDArray[Any], lines: float) -> NDArray[np.uint64]:
        sums = np.zeros(len(y), dtype=np.uint64)
        for part, scale in zip(_parts(X, y), scales, strict=True):
            sums += _row_sums(part, scale.cells(lines))
        return sums

    keys = mix(on_grid(X, sizes, _COARSE) + _text_sums(X, by_place=False))
    ranked = np.sort(keys)
    repeated = ranked[1:][ranked[1:] == ranked[:-1]]
    if not len(repeated):
        return keys
    tied = np.flatnonzero(pd.Series(keys).isin(repeated))
    if len(tied) < len(keys):
        X, y, sizes = _taken(X, tied), y[tied], sizes[tied]
    own, exact = keys[tied], _exact(X, y)
    for lines in _FINER:
        mixed = _shared_by_others(own, exact)
        if len(mixed):
            own[mixed] = mix(own[mixed] + on_grid(_taken(X, mixed), sizes[mixed], lines))
    mixed = _shared_by_others(own, exact)
    own[mixed] = mix(own[mixed] + exact[mixed])
    keys[tied] = own
    return keys


def canonical_order(table: Table, keys: NDArray[np.uint64]) -> NDArray[np.intp]:
    """Return all row numbers in an order that does not depend on the order of the rows.

    Rows of equal values are ordered by time, where there is one, and by position last.
    """
    if table.time is not None:
        return np.lexsort((table.time, keys)).astype(np.intp)
    return np.argsort(keys, kind="stable").astype(np.intp)


def group_keys(groups: NDArray[np.intp], keys: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return one key per group code from the rows in it, shape (n_codes,)."""
    sums = np.zeros(int(groups.max()) + 1, dtype=np.uint64)
    np.add.at(sums, groups, keys)
    return mix(sums)


def duplicate_clusters(keys: NDArray[np.uint64]) -> tuple[NDArray[np.intp], int]:
    """Return a cluster number per row (equal rows share it) and how many rows repeat another one.

    >>> clusters, n_repeated = duplicate_clusters(np.array([7, 3, 7, 7], dtype=np.uint64))
    >>> clusters.tolist(), n_repeated
    ([1, 0, 1, 1], 2)
    """
    distinct, cluster = np.unique(keys, return_inverse=True)
    return cluster.astype(np.intp), len(keys) - len(distinct)


def told_apart(keys: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return keys that are all different: copies of a row are numbered.

    >>> len(np.unique(told_apart(np.array([7, 3, 7, 7], dtype=np.uint64))))
    4
    """
    order = np.argsort(keys, kind="stable")
    places, ranked = np.arange(len(keys)), keys[order]
    first = np.where(np.append(False, ranked[1:] == ranked[:-1]), 0, places)
    apart = np.empty_like(keys)
    apart[order] = mix(ranked + (places - np.maximum.accumulate(first)).astype(np.uint64))
    return apart


def _taken(X: Features, rows: NDArray[np.intp]) -> Features:
    taken: Features = X.iloc[rows] if isinstance(X, pd.DataFrame) else X[rows]
    return taken


def _parts(X: Features, y: NDArray[Any]) -> Iterator[_Part]:
    """Yield the numeric features and the targets (n_rows, n_targets)."""
    if hasattr(X, "iloc"):
        yield from _frame_parts(X)
    else:
        values = X if sparse.issparse(X) else X.reshape(len(X), int(np.prod(X.shape[1:])))
        width = int(values.shape[1])
        yield _Part(numbers=Numbers(values=values, at=list(range(width))), places=numbered(1, width))
    numbers = Numbers(values=y, at=list(range(y.shape[1])))
    yield _Part(numbers=numbers, places=np.repeat(numbered(0, 1), y.shape[1]), is_target=True)


def _frame_parts(X: Any) -> Iterator[_Part]:
    """Yield the plain numbers of a frame in one part, other numbers and dates column by column."""
    places = numbered(1, X.shape[1])
    plain = [j for j, dtype in enumerate(X.dtypes) if isinstance(dtype, np.dtype) and dtype.kind in "iuf"]
    if plain:
        yield _Part(numbers=Numbers(values=X, at=plain), places=places[plain])
    for j in np.setdiff1d(np.flatnonzero([not _is_text(dtype) for dtype in X.dtypes]), plain):
        series = X.iloc[:, int(j)]
        if series.dtype.kind in "mM":
            values = microseconds(series)
        else:
            values = series.to_numpy(dtype=np.float64, na_value=np.nan)
        yield _Part(numbers=Numbers(values=values[:, None], at=[0]), places=places[j : j + 1])


def _is_text(dtype: Any) -> bool:
    return not is_numeric_dtype(dtype) and dtype.kind not in "mM"


def _row_sums(part: _Part, cells: _Cells) -> NDArray[np.uint64]:
    """Return the sum over a part's columns of the cells' hashes, shape (n_rows,)."""
    numbers = part.numbers
    if numbers.is_sparse:
        return sparse_row_sums(sparse.csr_array(numbers.values), cells)
    sums, columns = np.zeros(numbers.shape[0], dtype=np.uint64), np.arange(numbers.shape[1])
    for where, block in numbers.blocks(_BLOCK_CELLS):
        sums[where] = np.einsum("ij->i", cells(block, columns))
    return mix(sums) if part.is_target else sums


def _scale(part: _Part) -> _Scale:
    """Return mean and inverse standard deviation of the columns, missing values left out."""
    with np.errstate(over="ignore", invalid="ignore"):
        mean, variance = moments(part.numbers)
        sd = np.sqrt(variance)
        is_known = np.isfinite(sd) & (sd > _ROUNDING * np.abs(mean))
    return _Scale(
        mean=np.where(is_known, mean, 0.0),
        inverse_sd=np.where(is_known, 1.0 / np.where(is_known, sd, 1.0), 0.0),
    )


def _exact(X: Features, y: NDArray[Any]) -> NDArray[np.uint64]:
    """Return a hash of the rows' values, columns counting by their place."""
    keys = _text_sums(X, by_place=True)
    for part in _parts(X, y):
        keys += _row_sums(part, part.by_value)
    return keys


def _text_sums(X: Features, *, by_place: bool) -> NDArray[np.uint64]:
    """Return the sum of the hashes of a frame's categories and texts, with a column's place or without.

    Without, a value counts with its number of rows: "yes" of one column is not that of another.
    """
    sums = np.zeros(int(X.shape[0]), dtype=np.uint64)
    if not isinstance(X, pd.DataFrame):
        return sums
    places = numbered(1, X.shape[1])
    for j in np.flatnonzero([_is_text(dtype) for dtype in X.dtypes]).tolist():
        codes, distinct = pd.factorize(X.iloc[:, j], use_na_sentinel=False)
        first = np.zeros(len(distinct), dtype=np.intp)
        first[codes[::-1]] = np.arange(len(codes))[::-1]  # of equal indices the last one counts
        hashes = np.asarray(hash_pandas_object(X.iloc[first, j], index=False), dtype=np.uint64)
        own = places[j] if by_place else numbered(0, len(X) + 1)[np.bincount(codes)]
        sums += mix(hashes ^ own)[codes]
    return sums


def _shared_by_others(keys: NDArray[np.uint64], exact: NDArray[np.uint64]) -> NDArray[np.intp]:
    """Return the rows whose key is also that of a row with other values."""
    cluster, distinct = pd.factorize(keys)
    one, is_mixed = np.empty_like(distinct), np.zeros(len(distinct), dtype=np.bool_)
    one[cluster] = exact
    is_mixed[cluster[exact != one[cluster]]] = True
    return np.flatnonzero(is_mixed[cluster])
