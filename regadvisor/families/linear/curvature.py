"""Second-order model of the log loss in some of the weights, the intercepts eliminated."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.linalg import lapack

from regadvisor.families.linear.problem import Floats, Matrix, columns, weighted_gram

#: Positions of weights by feature and by output; sorted by output, so that those of a class are together.
Active = tuple[NDArray[np.intp], NDArray[np.intp]]


@dataclass(frozen=True, kw_only=True, eq=False)
class Curvature:
    """Hessian of the mean loss in some weights, at the intercepts that go best with each of their steps."""

    #: (n_active, n_active).
    H: Floats
    #: (n_active, n_outputs): between the weights and the intercepts.
    H_b: Floats
    #: (n_outputs, n_outputs): inverse of the Hessian in the intercepts alone.
    inverse_b: Floats

    def reduced(self, gradient: Floats, gradient_b: Floats) -> Floats:
        """Return the gradient in the weights once the intercepts have followed."""
        return np.asarray(gradient - self.H_b @ (self.inverse_b @ gradient_b), dtype=np.float64)

    def step_b(self, step: Floats, gradient_b: Floats) -> Floats:
        """Return the step of the intercepts that goes with a step of the weights."""
        return np.asarray(-self.inverse_b @ (gradient_b + self.H_b.T @ step), dtype=np.float64)


def curvature_at(
    X: Matrix,
    weight: Floats,
    P: Floats,
    active: Active | None = None,
    *,
    least_variance: float = 1e-15,
    has_intercept: bool = True,
) -> Curvature:
    """Return the second-order model where the probabilities are `P` (n_rows, n_outputs).

    `active`: all weights if left out, by output. `least_variance`: what a row counts at least, of two
    classes. Rows that are fitted perfectly count next to nothing, so that separable classes have a nearly
    flat model.
    """
    n_features, n_outputs = X.shape[1], P.shape[1]
    if active is None and n_outputs > 1:
        active = np.tile(np.arange(n_features), n_outputs), np.repeat(np.arange(n_outputs), n_features)
    XA = X if active is None else columns(X, active[0])
    if active is None or n_outputs == 1:
        D = weight * np.maximum(P[:, 0] * (1 - P[:, 0]), least_variance)
        H, H_b, H_bb = weighted_gram(XA, D), np.asarray(XA.T @ D)[:, None], np.array([[D.sum()]])
    else:
        H, H_b, H_bb = _of_classes(XA, weight, P, active[1])
    inverse_b = np.asarray(np.linalg.inv(H_bb) if has_intercept else 0.0 * H_bb, dtype=np.float64)
    H -= (H_b @ inverse_b) @ H_b.T
    return Curvature(H=H, H_b=H_b, inverse_b=inverse_b)


def newton_direction(H: Floats, l2: float, gradient: Floats) -> Floats:
    """Return ``-(H + l2)⁻¹·gradient``, with a little more than l2 where that is singular to rounding."""
    ridge = l2
    while True:
        A = H.copy()
        A[np.diag_indices_from(A)] += ridge
        factor, info = lapack.dpotrf(A.T, lower=1, clean=0, overwrite_a=1)
        if not info:
            return -np.asarray(lapack.dpotrs(factor, gradient, lower=1)[0], dtype=np.float64)
        if not np.isfinite(A).all():
            raise np.linalg.LinAlgError("the curvature is not finite")
        ridge = max(10 * ridge, 1e-14 * float(np.trace(H)), np.finfo(float).tiny)


def _of_classes(XA: Matrix, weight: Floats, P: Floats, k: NDArray[np.intp]) -> tuple[Floats, Floats, Floats]:
    """Return the blocks of the Hessian for the softmax of some classes."""
    n_outputs = P.shape[1]
    ends = np.searchsorted(k, np.arange(n_outputs + 1))
    own = [slice(int(ends[c]), int(ends[c + 1])) for c in range(n_outputs)]
    U = _scaled(XA, P, k, own)
    WP = weight[:, None] * P
    H, H_b = -weighted_gram(U, weight), -np.asarray(U.T @ WP)
    if isinstance(XA, sparse.sparray):
        # One product of which the blocks of equal classes count: each by itself is all overhead.
        square = weighted_gram(_scaled(XA, np.sqrt(P), k, own), weight)
        for block in own:
            H[block, block] += square[block, block]
    else:
        for c, block in enumerate(own):
            H[block, block] += weighted_gram(XA[:, block], WP[:, c])
    H_b[np.arange(len(k)), k] += U.T @ weight
    # Softmax does not see a number common to all intercepts, nor do gradients: any curvature will do.
    H_bb = np.diag(weight @ P) - P.T @ WP + 1.0 + 1e-9 * np.eye(n_outputs)
    return H, H_b, H_bb


def _scaled(XA: Matrix, P: Floats, k: NDArray[np.intp], own: list[slice]) -> Matrix:
    """Return the columns of `XA`, each times the probabilities of its class; `own` are those of a class."""
    if isinstance(XA, sparse.sparray):
        csc = sparse.csc_array(XA)
        data = csc.data * P[csc.indices, np.repeat(k, np.diff(csc.indptr))]
        return sparse.csc_array((data, csc.indices, csc.indptr), shape=csc.shape)
    U = np.empty(XA.shape, order="F")
    for c, block in enumerate(own):
        np.multiply(XA[:, block], P[:, c, None], out=U[:, block])
    return U
