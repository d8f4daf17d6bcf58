"""Several targets as one number per row, for what needs one: strata, drift, duplicates, density.

The number is the first principal component of the standardised targets: of all directions it keeps the most
of what the targets have in common. Losses and fits never go through it.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

#: Loadings whose sum is below this have no sign of their own: the targets pull both ways alike.
_NO_SIGN = 1e-8


def distinct_columns(Y: NDArray[Any]) -> NDArray[np.intp]:
    """Return one position of each different column of `Y`, in an order that follows the values alone.

    So nothing that is worked out from these columns depends on the order in which they stand, nor on
    copies of them. Nor does the order of the rows matter (unless columns hold the same values in other rows).

    Parameters
    ----------
    Y : ndarray of numbers, shape (n_rows, n_targets)

    Examples
    --------
    >>> distinct_columns(np.array([[1.0, 1.0], [2.0, 2.0]])).tolist()
    [0]
    """
    first: dict[bytes, int] = {}
    columns = [np.ascontiguousarray(column) + 0.0 for column in np.asarray(Y).T]  # -0.0 is 0.0
    for j, column in enumerate(columns):
        first.setdefault(_digest(column), j)
    order = sorted(first, key=lambda digest: (_digest(np.sort(columns[first[digest]])), digest))
    return np.array([first[digest] for digest in order], dtype=np.intp)


def _digest(values: NDArray[Any]) -> bytes:
    return blake2b(values.data, digest_size=16).digest()


def _first_loadings(Z: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the first eigenvector of ``Z·Zᵀ``, from the smaller of the two Gram matrices of `Z`."""
    is_wide = Z.shape[0] > Z.shape[1]
    G = Z.T @ Z if is_wide else Z @ Z.T
    top = linalg.eigh(G, subset_by_index=[len(G) - 1, len(G) - 1])[1][:, 0]
    if not is_wide:
        return np.asarray(top, dtype=np.float64)
    loadings = Z @ top
    return np.asarray(loadings / np.linalg.norm(loadings), dtype=np.float64)


def principal_component(Y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the first principal component of the standardised columns, shape (n_rows,).

    Copies of a column count once, so that of equal columns it is the column itself. The sign is that of the
    sum of the loadings. Nothing changes if the columns change places.

    Parameters
    ----------
    Y : ndarray of float64, shape (n_rows, n_targets)

    Examples
    --------
    >>> y = np.array([3.0, 1.0, 2.0])
    >>> principal_component(np.column_stack([y, y])).tolist()
    [3.0, 1.0, 2.0]
    >>> np.argsort(principal_component(np.column_stack([y, 10 + 2 * y]))).tolist()
    [1, 2, 0]
    """
    chosen = np.asarray(Y, dtype=np.float64)[:, distinct_columns(Y)]
    if chosen.shape[1] == 1 or not len(chosen):
        return np.ascontiguousarray(chosen[:, 0])
    columns = [np.ascontiguousarray(column) for column in chosen.T]
    Z = np.array([(column - column.mean()) / (column.std() or 1.0) for column in columns])
    loadings = _first_loadings(Z)
    total = float(loadings.sum())
    sign = np.sign(total if abs(total) > _NO_SIGN else loadings[np.argmax(np.abs(loadings) > _NO_SIGN)])
    view = np.zeros(len(chosen))
    for loading, z in zip(loadings, Z, strict=True):  # in turn: rows of equal targets get equal numbers
        view += sign * loading * z
    return view
