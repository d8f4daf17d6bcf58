"""Coordinate descent on the columns of sparse features: a pass touches only what is not zero."""

from __future__ import annotations

import warnings

import numpy as np
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import enet_path

from regadvisor.families.linear_problem import Floats, Penalty

#: The intercept is the weight of one more column of this number: so large that its penalty is none.
INTERCEPT_COLUMN = 1e6


def sweep(
    X: sparse.csc_array,
    y: Floats,
    weight: Floats,
    penalty: Penalty,
    start: tuple[Floats, float],
    *,
    tol: float,
    passes: int,
) -> tuple[Floats, float]:
    """Minimise ``½ Σ weight·(y − Xw − b)² + l1·Σ|w| + (l2/2)·Σw²`` by some passes of coordinate descent.

    scikit-learn's own intercept centres the columns, which makes a pass several times as long.

    Parameters
    ----------
    X : csc_array, shape (n_rows, n_columns)
    y, weight : ndarray, shape (n_rows,)
    penalty : Penalty
    start : tuple of ndarray, shape (n_columns,), and float
        First guess of `w` and `b`.
    tol : float
        Square root of the duality gap at which to stop.
    passes : int
        At most so many passes.

    Returns
    -------
    w : ndarray, shape (n_columns,)
    b : float

    Examples
    --------
    >>> X = sparse.csc_array(np.array([[1.0], [0.0], [1.0], [0.0]]))
    >>> w, b = sweep(X, np.array([3.0, 1.0, 3.0, 1.0]), np.full(4, 0.25), Penalty(l1=0.1),
    ...              (np.zeros(1), 0.0), tol=1e-9, passes=1000)
    >>> [round(float(v), 3) for v in (w[0], b)]
    [1.6, 1.2]
    """
    root = np.sqrt(weight)
    target = root * y
    strength = penalty.l1 + penalty.l2
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        found = enet_path(
            _with_intercept(X, root),
            target,
            l1_ratio=penalty.l1 / strength,
            alphas=[strength / len(y)],
            coef_init=np.concatenate([[start[1] / INTERCEPT_COLUMN], start[0]]),
            check_input=False,
            tol=tol * tol / max(float(target @ target), 1e-300),
            max_iter=passes,
            random_state=0,  # or it draws from NumPy's global state
        )[1][:, 0]
    return np.asarray(found[1:], dtype=np.float64), float(found[0] * INTERCEPT_COLUMN)


def _with_intercept(X: sparse.csc_array, root: Floats) -> sparse.csc_array:
    """Return the columns times the square roots of the weights, with one for the intercept in front."""
    n_rows = X.shape[0]
    # 32 bits are what scikit-learn takes.
    indices = np.concatenate([np.arange(n_rows, dtype=np.int32), X.indices.astype(np.int32)])
    indptr = np.concatenate([[0], X.indptr + n_rows]).astype(np.int32)
    data = np.concatenate([INTERCEPT_COLUMN * root, X.data * root[X.indices]])
    return sparse.csc_array((data, indices, indptr), shape=(n_rows, X.shape[1] + 1))
