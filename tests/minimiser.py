"""Our objective, minimised by SciPy to machine precision: what other libraries are held against."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit


def minimiser(X, y, *, l1, l2, weight=None, is_logistic=False):
    """Weights and intercept that minimise mean loss + l1·Σ|w| + (l2/2)·Σw², to machine precision.

    The absolute value is smooth after splitting w into positive and negative parts; the exact zeros found
    that way are then fixed and the rest polished by Newton's method.
    """
    share = np.full(len(X), 1 / len(X)) if weight is None else weight / weight.sum()
    p = X.shape[1]

    def gradient_of(w, b):
        z = X @ w + b
        residual = share * ((expit(z) if is_logistic else z) - y)
        return X.T @ residual + l2 * w, residual.sum(), z

    def objective(v):
        w, b = v[:p] - v[p : 2 * p], v[-1]
        g, g_b, z = gradient_of(w, b)
        loss = np.logaddexp(0, z) - y * z if is_logistic else 0.5 * (z - y) ** 2
        value = share @ loss + l1 * v[: 2 * p].sum() + l2 / 2 * w @ w
        return value, np.concatenate([g + l1, l1 - g, [g_b]])

    bounds = [(0, None)] * (2 * p) + [(None, None)]
    v = minimize(
        objective, np.zeros(2 * p + 1), jac=True, method="L-BFGS-B", bounds=bounds,
        options={"ftol": 1e-16, "gtol": 1e-12, "maxiter": 10_000},
    ).x  # fmt: skip
    w, b = v[:p] - v[p : 2 * p], v[-1]
    w[np.abs(w) < 1e-7] = 0.0
    active = np.flatnonzero(w)
    for _ in range(20):
        g, g_b, z = gradient_of(w, b)
        curvature = share * (expit(z) * expit(-z) if is_logistic else 1.0)
        A = np.column_stack([X[:, active], np.ones(len(X))])
        H = A.T @ (curvature[:, None] * A) + np.diag([l2] * len(active) + [0.0])
        step = np.linalg.solve(H, np.append(g[active] + l1 * np.sign(w[active]), g_b))
        w[active] -= step[:-1]
        b -= step[-1]
    return w, b
