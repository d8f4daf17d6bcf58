"""A hash by which the same data are known again, in whatever container, type or memory order they come."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING, Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from regadvisor.data.numbers import Numbers

if TYPE_CHECKING:
    from regadvisor.data.columns import Columns

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
    whole = blake2b(digest_size=16)
    for column in columns.columns:
        whole.update(f"{column.name!r}:{column.kind};".encode())
    _add_numbers(whole, columns.numbers)
    for j in sorted(columns.levels):
        level = columns.levels[j]
        whole.update("\0".join(level.texts.tolist()).encode("utf-8", errors="replace"))
        _add(whole, level.codes)
    for j in sorted(columns.dates):
        _add(whole, columns.dates[j])
    _add(whole, y)
    whole.update(repr(tuple(labels)).encode())
    return whole.hexdigest()


def _add(whole: blake2b, values: NDArray[Any]) -> None:
    """Add one array of one or two axes, in its order of rows."""
    whole.update(repr(tuple(values.shape)).encode())
    table = values[:, None] if values.ndim == 1 else values
    _add_blocks(whole, Numbers(values=table, at=list(range(table.shape[1]))))


def _add_numbers(whole: blake2b, numbers: Numbers) -> None:
    whole.update(repr(numbers.shape).encode())
    if not numbers.is_sparse:
        _add_blocks(whole, numbers)
        return
    matrix: Any = numbers.values
    if matrix.nnz and (matrix.data == 0).any():  # stored zeros are no difference
        matrix = matrix.copy()
        matrix.eliminate_zeros()
    for part in (matrix.indptr, matrix.indices, matrix.data):
        _add(whole, part)


def _add_blocks(whole: blake2b, numbers: Numbers) -> None:
    is_large = numbers.shape[0] * numbers.shape[1] > _LARGE
    for _, block in numbers.blocks(_CHUNK_VALUES):
        with np.errstate(invalid="ignore"):  # NaN of the kind that signals
            chunk = np.add(block, 0.0, dtype="<f8", order="C")  # -0.0 becomes 0.0
        if np.isnan(chunk.min(initial=0.0)):
            chunk[np.isnan(chunk)] = np.nan  # one bit pattern for every NaN
        # A checksum tells changed data from unchanged ones as well, in a fifth of the time.
        whole.update(crc32(chunk).to_bytes(4, "little") if is_large else chunk.data)
