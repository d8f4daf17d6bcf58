"""L1 and elastic-net classification with few active weights: proximal Newton on a working set.

Each step minimises the second-order model of the loss plus the penalty over the weights that are active or
about to be (glmnet's and newGLMNET's scheme: Friedman, Hastie, Tibshirani 2010; Yuan, Ho, Lin 2012), by
scikit-learn's compiled coordinate descent, followed by a line search. Converges in some ten steps however
ill-conditioned the features are; a step costs n_rows × n_active², so it is given up where many are active.
Weak penalties are reached over strong ones, a decade at a time: started from zero, a weak one lets in far
more weights than it keeps. The way depends on the fold and the strength only, never on other fits.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from regadvisor.deadline import Deadline
from regadvisor.families.linear_problem import (
    Floats,
    Matrix,
    Penalty,
    Problem,
    Solution,
    check_time,
    weighted_gram,
)
from regadvisor.families.linear_quadratic import NEWCOMERS, minimise_quadratic, violation, working_set

#: More active weights than this are left to the first-order solver.
MOST_ACTIVE = 1500
#: Largest violation of the optimality conditions at a solution, in units of the gradient of the mean loss.
TOLERANCE = 1e-6
STEPS = 200
#: On the way: penalties this much stronger each, solved to this share of their own l1.
STRIDE, ROUGH = 10.0, 0.1
#: Rounds of descent and exact steps within one Newton step.
ROUNDS = 2


@dataclass(frozen=True, kw_only=True, eq=False)
class _Model:
    """Second-order model of the loss in the active weights, intercepts eliminated."""

    H: Floats
    H_b: Floats
    inverse_b: Floats


def solve_newton(
    problem: Problem, penalty: Penalty, start: Solution, *, deadline: Deadline
) -> Solution | None:
    """Return the solution, or None where this solver is not the right one.

    That is where more than :data:`MOST_ACTIVE` weights are active, or in the rare case that it does not
    converge.

    Raises
    ------
    OutOfTimeError
        If the deadline passes between two steps.
    """
    here = start
    for stage, tol in _way(problem, penalty):
        found = _descend(problem, stage, here, tol, deadline)
        if found is None:
            return None
        here = found
    return here


def _way(problem: Problem, penalty: Penalty) -> list[tuple[Penalty, float]]:
    """Return the penalties to solve for, strongest first and `penalty` last, with their tolerances."""
    ways = [(penalty, TOLERANCE)]
    factor = STRIDE
    while penalty.l1 * factor < problem.l1_max / 2:
        ways.append((Penalty(l1=penalty.l1 * factor, l2=penalty.l2 * factor), ROUGH * penalty.l1 * factor))
        factor *= STRIDE
    return [(stage, max(tol, TOLERANCE)) for stage, tol in reversed(ways)]


def _descend(
    problem: Problem, penalty: Penalty, start: Solution, tol: float, deadline: Deadline
) -> Solution | None:
    """Take Newton steps until no weight violates the optimality conditions by more than `tol`."""
    W, b = start.W.copy(), start.b.copy()
    Z = problem.predict(W, b)
    for _ in range(STEPS):
        check_time(deadline)
        value, P = problem.evaluate(Z)
        R = problem.weight[:, None] * (P - problem.T)
        gradient = problem.gradient(R)
        worst = max(float(violation(gradient, W, penalty).max()), float(np.abs(R.sum(0)).max()))
        if worst <= tol:
            return Solution(W=W, b=b, converged=True)
        if int((W != 0).sum()) > MOST_ACTIVE - NEWCOMERS:
            return None
        # By output, so that the blocks of one class are contiguous.
        flat = working_set(gradient.T, W.T, penalty.l1, most=MOST_ACTIVE)
        k, j = np.divmod(flat, problem.n_features)
        active = (j, k)
        new, step_b = _newton_step(problem, P, R, gradient[j, k], W[j, k], active, penalty, worst, tol)
        moved = _search(problem, Z, value, R, W[j, k], new - W[j, k], step_b, active, penalty)
        if moved is None:
            # No step improves the objective: rounding if already near, else the model was solved badly.
            return Solution(W=W, b=b, converged=True) if worst <= 10 * tol else None
        share, Z = moved
        # A whole step lands on the exact zeros of the model's solution.
        W[j, k] = new if share == 1.0 else W[j, k] + share * (new - W[j, k])
        b = b + share * step_b
    return None


def _curvature(problem: Problem, P: Floats, active: tuple[NDArray[np.intp], NDArray[np.intp]]) -> _Model:
    """Return the Hessian of the mean loss in the active weights and in the intercepts."""
    j, k = active
    XA = problem.X[:, j]
    weight = problem.weight
    if problem.n_outputs == 1:
        # A row that is fitted perfectly still counts a little, or separable classes give a flat model.
        D = weight * np.maximum(P[:, 0] * (1 - P[:, 0]), 1e-6)
        H, H_b, H_bb = weighted_gram(XA, D), (XA.T @ D)[:, None], np.array([[D.sum()]])
    else:
        U = _scaled(XA, P, k)
        H, H_b = -weighted_gram(U, weight), -(U.T @ (weight[:, None] * P))
        H_bb = np.diag(weight @ P) - P.T @ (weight[:, None] * P)
        ends = np.searchsorted(k, np.arange(problem.n_outputs + 1))
        own = [slice(ends[c], ends[c + 1]) for c in range(problem.n_outputs)]
        if problem.is_sparse:
            # One product of which the blocks of equal classes count: each by itself is all overhead.
            square = weighted_gram(_scaled(XA, np.sqrt(P), k), weight)
            for block in own:
                H[block, block] += square[block, block]
        else:
            for c, block in enumerate(own):
                H[block, block] += weighted_gram(XA[:, block], weight * P[:, c])
        H_b[np.arange(len(k)), k] += U.T @ weight
        H[np.diag_indices_from(H)] += 1e-9
    if problem.n_outputs > 1:
        # Softmax does not see a number common to all intercepts, nor do gradients: any curvature will do.
        H_bb = H_bb + 1.0 + 1e-9 * np.eye(len(H_bb))
    inverse_b = np.linalg.inv(H_bb)
    return _Model(H=H - H_b @ inverse_b @ H_b.T, H_b=H_b, inverse_b=inverse_b)


def _scaled(XA: Matrix, P: Floats, k: NDArray[np.intp]) -> Matrix:
    """Return the columns of `XA`, each times the probabilities of its class."""
    if not isinstance(XA, sparse.sparray):
        return np.asarray(P[:, k] * XA, dtype=np.float64)
    csc = sparse.csc_array(XA)
    data = csc.data * P[csc.indices, np.repeat(k, np.diff(csc.indptr))]
    return sparse.csc_array((data, csc.indices, csc.indptr), shape=csc.shape)


def _newton_step(
    problem: Problem,
    P: Floats,
    R: Floats,
    gradient: Floats,
    w: Floats,
    active: tuple[NDArray[np.intp], NDArray[np.intp]],
    penalty: Penalty,
    worst: float,
    tol: float,
) -> tuple[Floats, Floats]:
    """Return the new active weights and the step of the intercepts."""
    model = _curvature(problem, P, active)
    gradient_b = R.sum(0)
    reduced = gradient - model.H_b @ (model.inverse_b @ gradient_b)
    Hw = model.H @ w
    # |target|² of the working response, at least qᵀH⁺q; see minimise_quadratic.
    chances = np.clip(P * (1 - P) if problem.n_outputs == 1 else P, 1e-6, None)
    offset = float(w @ Hw - 2 * w @ reduced + (R**2 / (problem.weight[:, None] * chances)).sum())
    # Far from the solution the model is not worth solving closely.
    new, _ = minimise_quadratic(
        model.H,
        Hw - reduced,
        penalty=penalty,
        start=w,
        offset=max(offset, 1e-8),
        tol=max(0.05 * worst, 0.25 * tol),
        rounds=ROUNDS,
    )
    return new, -model.inverse_b @ (gradient_b + model.H_b.T @ (new - w))


def _search(
    problem: Problem,
    Z: Floats,
    value: float,
    R: Floats,
    w: Floats,
    step_w: Floats,
    step_b: Floats,
    active: tuple[NDArray[np.intp], NDArray[np.intp]],
    penalty: Penalty,
) -> tuple[float, Floats] | None:
    """Return the largest share of the step in 1, ½, ¼ … that lowers the objective, and the new predictors."""
    j, k = active
    change = np.tile(step_b, (len(Z), 1))
    for c in range(problem.n_outputs):
        own = k == c
        if own.any():
            change[:, c] += problem.X[:, j[own]] @ step_w[own]
    now = value + penalty.value(w)
    promised = float((R * change).sum()) + penalty.value(w + step_w) - penalty.value(w)
    share = 1.0
    for _ in range(30):
        there = problem.evaluate(Z + share * change)[0] + penalty.value(w + share * step_w)
        if there <= now + 1e-4 * share * promised:
            return share, Z + share * change
        share /= 2
    return None
