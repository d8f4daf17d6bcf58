"""64-bit hashes of cells, rows and columns by value: numbers count alike in every container and type.

Cells are mixed by the finaliser of SplitMix64 (Steele, Lea, Flood 2014) and added up along a row or a
column, so a cell of value 0 need not be stored to count.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

#: Stored entries of a sparse matrix hashed at once.
_ENTRIES = 1 << 16
GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


def mix(bits: NDArray[np.uint64], *, scratch: NDArray[np.uint64] | None = None) -> NDArray[np.uint64]:
    """Return the SplitMix64 finaliser of every number (arrays wrap around silently).

    With `scratch` (of the shape of `bits`) it is written over `bits` and no memory is taken.

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


def digest(values: NDArray[Any]) -> bytes:
    """Return a hash of the bits of an array, and of nothing else."""
    return blake2b(np.ascontiguousarray(values).tobytes(), digest_size=16).digest()


def cell_hashes(values: NDArray[Any], places: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return one hash per cell, 0 where the value is 0; `values` is broadcast against `places`.

    `values`: never written into. `places`: from :func:`numbered`.
    """
    numbers = np.array(values, dtype=np.float64, order="C")
    is_zero = numbers == 0.0
    numbers[np.isnan(numbers)] = np.nan  # which has many bit patterns
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
    zeros, ones = cells(np.zeros(n_columns), np.arange(n_columns)), np.ones(n_columns, dtype=np.uint64)
    hashes = np.full(int(matrix.shape[0]), zeros.sum(dtype=np.uint64))
    for rows, part in _row_blocks(matrix):
        differences = cells(part.data, part.indices) - zeros[part.indices]
        hashes[rows] += sparse.csr_array((differences, part.indices, part.indptr), shape=part.shape) @ ones
    return hashes


def sparse_column_hashes(matrix: sparse.csr_array) -> NDArray[np.uint64]:
    """Return the sum of the cell hashes of each column, shape (n_columns,): equal columns have equal sums.

    >>> hashes = sparse_column_hashes(sparse.csr_array([[1.0, 0.0, 1.0], [2.0, 1.0, 2.0]]))
    >>> bool(hashes[0] == hashes[2]), bool(hashes[0] == hashes[1])
    (True, False)
    """
    row_numbers = numbered(1, int(matrix.shape[0]))
    hashes = np.zeros(int(matrix.shape[1]), dtype=np.uint64)
    for rows, part in _row_blocks(matrix):
        places = np.repeat(row_numbers[rows], np.diff(part.indptr))
        np.add.at(hashes, part.indices, cell_hashes(part.data, places))
    return hashes


def _row_blocks(matrix: sparse.csr_array) -> Iterator[tuple[slice, sparse.csr_array]]:
    """Yield rows of about `_ENTRIES` stored entries: where they are, and the rows."""
    n_rows = int(matrix.shape[0])
    step = max(1, _ENTRIES * n_rows // max(int(matrix.nnz), 1))
    for start in range(0, n_rows, step):
        rows = slice(start, start + step)
        yield rows, matrix[rows]
