"""64-bit hashes of cells, rows and columns by value: numbers count alike in every container and type.

Cells are mixed by the finaliser of SplitMix64 (Steele, Lea, Flood 2014) and added up along a row or a
column, so a cell of value 0 need not be stored to count.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING, Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from regadvisor.data.numbers import Numbers

if TYPE_CHECKING:
    from regadvisor.data.columns import Columns

#: Stored entries of a sparse matrix hashed at once.
_ENTRIES = 1 << 16
GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


def mix(bits: NDArray[np.uint64], *, scratch: NDArray[np.uint64] | None = None) -> NDArray[np.uint64]:
    """Return the SplitMix64 finaliser of every number (arrays wrap around silently).

    With `scratch` (of the shape of `bits`) it is written over `bits` and no memory is taken.

    Examples
    --------
    >>> [hex(bits) for bits in mix(np.array([0, 1], dtype=np.uint64)).tolist()]
    ['0x0', '0x5692161d100b05e5']
    """
    if scratch is None:
        bits, scratch = bits.copy(), np.empty_like(bits)
    for shift, factor in ((30, _FIRST), (27, _SECOND), (31, None)):
        np.right_shift(bits, np.uint64(shift), out=scratch)
        np.bitwise_xor(bits, scratch, out=bits)
        if factor is not None:
            np.multiply(bits, factor, out=bits)
    return bits


def numbered(first: int, count: int) -> NDArray[np.uint64]:
    """Return a random-looking number for each of `count` places (columns, rows) from place `first` on."""
    return mix(np.arange(first, first + count, dtype=np.uint64) * GOLDEN)


def cell_hashes(
    values: NDArray[Any], places: NDArray[np.uint64], *, has_missing: bool = True
) -> NDArray[np.uint64]:
    """Return one hash per cell, 0 where the value is 0; `values` is broadcast against `places`.

    `values`: never written into. `places`: from :func:`numbered`. `has_missing`: whether there may be NaN,
    which has many bit patterns.
    """
    numbers = np.array(values, dtype=np.float64, order="C")
    is_zero = numbers == 0.0
    if has_missing:
        numbers[np.isnan(numbers)] = np.nan
    bits = numbers.view(np.uint64)
    np.bitwise_xor(bits, places, out=bits)
    mix(bits, scratch=np.empty_like(bits))
    if is_zero.any():
        bits[is_zero] = 0
    return bits


def sparse_row_sums(
    matrix: sparse.csr_array, cells: Callable[[NDArray[Any], NDArray[Any]], NDArray[np.uint64]]
) -> NDArray[np.uint64]:
    """Return the sum over each row of what `cells` makes of values and their columns, shape (n_rows,).

    Values that are not stored count as zeros.
    """
    n_columns = int(matrix.shape[1])
    zeros = cells(np.zeros(n_columns), np.arange(n_columns))
    hashes = np.full(int(matrix.shape[0]), zeros.sum(dtype=np.uint64))
    for rows, entries in _row_blocks(matrix):
        columns = matrix.indices[entries]
        differences = cells(matrix.data[entries], columns) - zeros[columns]
        # Differences of a running sum that wraps around: right for empty rows, unlike reduceat.
        running = np.append(np.zeros(1, dtype=np.uint64), np.cumsum(differences, dtype=np.uint64))
        ends = matrix.indptr[rows.start : rows.stop + 1] - entries.start
        hashes[rows] += running[ends[1:]] - running[ends[:-1]]
    return hashes


def sparse_column_hashes(matrix: sparse.csr_array) -> NDArray[np.uint64]:
    """Return the sum of the cell hashes of each column, shape (n_columns,): equal columns have equal sums.

    Examples
    --------
    >>> hashes = sparse_column_hashes(sparse.csr_array([[1.0, 0.0, 1.0], [2.0, 1.0, 2.0]]))
    >>> bool(hashes[0] == hashes[2]), bool(hashes[0] == hashes[1])
    (True, False)
    """
    row_numbers = numbered(1, int(matrix.shape[0]))
    hashes = np.zeros(int(matrix.shape[1]), dtype=np.uint64)
    for rows, entries in _row_blocks(matrix):
        counts = np.diff(matrix.indptr[rows.start : rows.stop + 1])
        places = np.repeat(row_numbers[rows], counts)
        np.add.at(hashes, matrix.indices[entries], cell_hashes(matrix.data[entries], places))
    return hashes


def _row_blocks(matrix: sparse.csr_array) -> Iterator[tuple[slice, slice]]:
    """Yield whole rows of about `_ENTRIES` stored entries: the rows, and their entries."""
    n_rows, start = int(matrix.shape[0]), 0
    while start < n_rows:
        wanted = int(matrix.indptr[start]) + _ENTRIES
        stop = max(start + 1, int(np.searchsorted(matrix.indptr, wanted, side="right")) - 1)
        stop = min(stop, n_rows)
        yield slice(start, stop), slice(int(matrix.indptr[start]), int(matrix.indptr[stop]))
        start = stop


# ---------------------------------------------------------------------------------------- the same data again


#: Values converted at a time; the memory a fingerprint takes.
_CHUNK_VALUES = 1 << 15
#: Arrays of more values are hashed by a checksum of each chunk.
_LARGE = 1 << 22


def fingerprint(columns: Columns, y: NDArray[Any], labels: Sequence[object] = ()) -> str:
    """Return a hash over shapes, column names and kinds, and values.

    Numbers count by value: the same data as float32, integers or float64, read-only or in another memory
    order, on another machine, give the same text (where float32 holds the values exactly).

    `y` (n_rows,): class codes or numbers. `labels`: class labels.

    32 hexadecimal digits.
    """
    digest = blake2b(digest_size=16)
    for column in columns.columns:
        digest.update(f"{column.name!r}:{column.kind};".encode())
    _add_numbers(digest, columns.numbers)
    for j in sorted(columns.levels):
        level = columns.levels[j]
        digest.update("\0".join(level.texts.tolist()).encode("utf-8", errors="replace"))
        _add(digest, level.codes)
    for j in sorted(columns.dates):
        _add(digest, columns.dates[j])
    _add(digest, y)
    digest.update(repr(tuple(labels)).encode())
    return digest.hexdigest()


def _add(digest: blake2b, values: NDArray[Any]) -> None:
    """Add one array of any shape, in its order of rows."""
    digest.update(repr(tuple(values.shape)).encode())
    table = values.reshape(len(values), -1)
    _add_blocks(digest, Numbers(values=table, at=list(range(table.shape[1]))))


def _add_numbers(digest: blake2b, numbers: Numbers) -> None:
    digest.update(repr(numbers.shape).encode())
    if not numbers.is_sparse:
        _add_blocks(digest, numbers)
        return
    matrix: Any = numbers.values
    if matrix.nnz and (matrix.data == 0).any():  # stored zeros are no difference
        matrix = matrix.copy()
        matrix.eliminate_zeros()
    for part in (matrix.indptr, matrix.indices, matrix.data):
        _add(digest, part)


def _add_blocks(digest: blake2b, numbers: Numbers) -> None:
    is_large = numbers.shape[0] * numbers.shape[1] > _LARGE
    for _, block in numbers.blocks(_CHUNK_VALUES):
        chunk = np.add(block, 0.0, dtype="<f8", order="C")  # -0.0 becomes 0.0
        if np.isnan(chunk.min(initial=0.0)):
            chunk[np.isnan(chunk)] = np.nan  # one bit pattern for every NaN
        # A checksum tells changed data from unchanged ones as well, in a fifth of the time.
        digest.update(crc32(chunk).to_bytes(4, "little") if is_large else chunk.data)
