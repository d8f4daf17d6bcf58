"""A hash by which the same data are recognised again."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from regadvisor.data.columns import Columns

#: Values converted at a time; the memory a fingerprint takes.
_CHUNK_VALUES = 1 << 18


def fingerprint(columns: Columns, y: NDArray[Any], labels: Sequence[object] = ()) -> str:
    """Return a hash over shapes, column names and kinds, and values.

    Numbers count by value: the same data as float32, integers or float64, read-only or in another memory
    order, on another machine, give the same text (where float32 holds the values exactly).

    Parameters
    ----------
    columns : Columns
    y : ndarray, shape (n_rows,)
        Class codes or numbers.
    labels : sequence
        Class labels.

    Returns
    -------
    str
        32 hexadecimal digits.
    """
    digest = blake2b(digest_size=16)
    for column in columns.columns:
        digest.update(f"{column.name!r}:{column.kind};".encode())
    _add(digest, columns.numbers)
    for j in sorted(columns.levels):
        level = columns.levels[j]
        digest.update("\0".join(level.texts.tolist()).encode("utf-8", errors="replace"))
        _add(digest, level.codes)
    for j in sorted(columns.dates):
        _add(digest, columns.dates[j])
    _add(digest, y)
    digest.update(repr(tuple(labels)).encode())
    return digest.hexdigest()


def _add(digest: blake2b, values: NDArray[Any] | sparse.csr_array) -> None:
    digest.update(repr(tuple(int(n) for n in values.shape)).encode())
    if sparse.issparse(values):
        if values.nnz and (values.data == 0).any():  # stored zeros are no difference
            values = values.copy()
            values.eliminate_zeros()
        for part in (values.indptr, values.indices, values.data):
            _add(digest, part)
        return
    table = values.reshape(len(values), -1)
    step = max(1, _CHUNK_VALUES // max(1, table.shape[1]))
    for start in range(0, len(table), step):
        chunk = np.array(table[start : start + step], dtype="<f8", order="C")
        chunk += 0.0  # -0.0 becomes 0.0
        chunk[np.isnan(chunk)] = np.nan  # one bit pattern for every NaN
        digest.update(chunk.data)
