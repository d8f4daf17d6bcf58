"""scikit-learn's coordinate descent, some passes at a time: on a Gram matrix, or on sparse columns.

A pass over sparse columns touches only what is not zero.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import enet_path

from regadvisor.families.linear.problem import Floats, Penalty
from regadvisor.quiet import ignoring

#: The intercept is the weight of one more column of this number: so large that its penalty is none.
INTERCEPT_COLUMN = 1e6
#: Nothing here is random, but without a generator scikit-learn draws a seed from NumPy's global one. Making
#: one takes as long as a small fit.
_UNUSED = np.random.RandomState(0)


def descend(
    Q: Floats, q: Floats, offset: float, penalty: Penalty, start: Floats, *, tol: float, passes: int
) -> Floats:
    """Make some passes towards the minimum of ``½ wᵀQw − qᵀw + l1·Σ|w| + (l2/2)·Σw²``.

    `Q` (n, n). `q`, `start` (n,). `offset`: at least ``qᵀQ⁺q``, against which the duality gap is measured.
    `tol`: square root of the duality gap at which to stop. `passes`: at most so many passes.
    """
    # enet_path takes the moments as they are if the checks are off; X and y then only give n_samples = 1
    # and the norm of y.
    X, y = np.zeros((1, len(q)), order="F"), np.array([np.sqrt(offset)])
    return _passes(X, y, penalty, start, tol, passes, precompute=Q, Xy=q)


def sweep(
    X: sparse.csc_array,
    y: Floats,
    weight: Floats,
    penalty: Penalty,
    start: tuple[Floats, float],
    *,
    tol: float,
    passes: int,
    has_intercept: bool = True,
) -> tuple[Floats, float]:
    """Make some passes towards the minimum of ``½ Σ weight·(y − Xw − b)² + l1·Σ|w| + (l2/2)·Σw²``.

    scikit-learn's own intercept centres the columns, which makes a pass several times as long.

    `X` (n_rows, n_columns). `y`, `weight` (n_rows,). `start` (n_columns,): first guess of `w` and `b`. `tol`:
    square root of the duality gap at which to stop. `passes`: at most so many passes.

    Returns `w` (n_columns,) and `b`.

    >>> X = sparse.csc_array(np.array([[1.0], [0.0], [1.0], [0.0]]))
    >>> w, b = sweep(X, np.array([3.0, 1.0, 3.0, 1.0]), np.full(4, 0.25), Penalty(l1=0.1),
    ...              (np.zeros(1), 0.0), tol=1e-9, passes=1000)
    >>> [round(float(v), 3) for v in (w[0], b)]
    [1.6, 1.2]
    """
    root = np.sqrt(weight)
    first = np.concatenate([[start[1] / INTERCEPT_COLUMN], start[0]])
    column = INTERCEPT_COLUMN if has_intercept else 0.0  # which no pass moves
    found = _passes(_with_intercept(X, root, column), root * y, penalty, first, tol, passes, precompute=False)
    return found[1:], float(found[0] * INTERCEPT_COLUMN)


def _passes(
    X: Any, y: Floats, penalty: Penalty, start: Floats, tol: float, passes: int, **moments: Any
) -> Floats:
    """Return the weights after some passes, whether or not they have converged."""
    strength = penalty.l1 + penalty.l2
    with ignoring(ConvergenceWarning):
        W = enet_path(
            X,
            y,
            l1_ratio=penalty.l1 / strength,
            alphas=[strength / len(y)],
            coef_init=start.copy(),
            check_input=False,
            tol=tol * tol / max(float(y @ y), 1e-300),
            max_iter=passes,
            random_state=_UNUSED,
            **moments,
        )[1]
    return np.asarray(W[:, 0], dtype=np.float64)


def _with_intercept(X: sparse.csc_array, root: Floats, column: float) -> sparse.csc_array:
    """Return the columns times the square roots of the weights, with one for the intercept in front."""
    n_rows = X.shape[0]
    # 32 bits are what scikit-learn takes.
    indices = np.concatenate([np.arange(n_rows, dtype=np.int32), X.indices.astype(np.int32)])
    indptr = np.concatenate([[0], X.indptr + n_rows]).astype(np.int32)
    data = np.concatenate([column * root, X.data * root[X.indices]])
    return sparse.csc_array((data, indices, indptr), shape=(n_rows, X.shape[1] + 1))
