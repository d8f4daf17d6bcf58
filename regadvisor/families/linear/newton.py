"""Classification by Newton's method: L1 and elastic net on a working set, and L2 with few weights.

Each step minimises the second-order model of the loss plus the penalty over the weights that are active or
about to be (glmnet's and newGLMNET's scheme: Friedman, Hastie, Tibshirani 2010; Yuan, Ho, Lin 2012), by
scikit-learn's compiled coordinate descent, followed by a line search. Some ten steps converge however
ill-conditioned the features are. A step costs n_rows × n_active², so it is given up where many are active.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.linalg import lapack

from regadvisor.deadline import Deadline
from regadvisor.families.linear.problem import (
    Floats,
    Matrix,
    Penalty,
    Problem,
    Solution,
    columns,
    weighted_gram,
)
from regadvisor.families.linear.quadratic import NEWCOMERS, minimise_quadratic, sweep, violation, working_set

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


#: More active weights than this are left to L-BFGS, which took a third to two thirds of the time for 1,543 to
#: 2,722 active pixels in ten classes.
MOST_ACTIVE = 1500
#: Largest violation of the optimality conditions at a solution, in units of the gradient of the mean loss.
#: Objectives were then within 2e-5 of the lowest, and held-out losses of strengths near the best within 5e-4,
#: a tenth of a tie, on seven sets; at 5e-5 within a tie.
TOLERANCE = 1e-5
STEPS = 200
#: Without L1, a step that promises no more than this share of the objective is the last one: what is left to
#: gain after so small a step is about the square of what it gains.
SETTLED = 1e-5
#: What a perfectly fitted row counts at least, and what is added to the curvature of softmax, which does not
#: see a number common to all classes.
LEAST_VARIANCE, TRACE = 1e-6, 1e-9
#: Far from the solution the model is not worth solving closely: its tolerance, as a share of what is wrong.
FORCING = 0.05
#: Passes over sparse columns before a Hessian is made, and their tolerance (of the root of a duality gap) as
#: a share of the model's (of a violation).
SWEEPS, SWEEP_SHARE = 60, 0.1
#: Rounds of descent and exact steps within one Newton step.
ROUNDS = 2


@dataclass(frozen=True, kw_only=True, eq=False)
class _Point:
    """Where the steps are: weights, and what the loss is there."""

    #: (n_features, n_outputs).
    W: Floats
    #: (n_outputs,).
    b: Floats
    #: `Z`, `P` (n_rows, n_outputs): linear predictors and probabilities.
    Z: Floats
    P: Floats
    #: Mean loss.
    value: float


def descend(
    problem: Problem,
    penalty: Penalty,
    start: Solution,
    tol: float | None = None,
    *,
    settled: float | None = None,
    deadline: Deadline,
) -> Solution:
    """Take Newton steps until no weight violates the optimality conditions by more than `tol`.

    Without L1 every weight moves in every step, and the last step is the one that promises next to no gain
    (the share `settled` of the objective): where a vanishing penalty lets weights grow, their gradients are
    small long before they have grown. Where more than :data:`MOST_ACTIVE` weights are active it has not
    converged, and another solver should go on from it.
    """
    tol, settled = TOLERANCE if tol is None else tol, SETTLED if settled is None else settled
    Z = problem.predict(start.W, start.b)
    value, P = problem.evaluate(Z)
    here = _Point(W=start.W, b=start.b, Z=Z, P=P, value=value)
    for _ in range(STEPS):
        deadline.check()
        R = problem.weight[:, None] * (here.P - problem.T)
        gradient = problem.gradient(R)
        worst = max(
            float(violation(gradient, here.W, penalty).max()), float(np.abs(problem.gradient_b(R)).max())
        )
        if penalty.l1 and worst <= tol:
            return Solution(W=here.W, b=here.b, converged=True)
        if penalty.l1 and np.count_nonzero(here.W) > MOST_ACTIVE - NEWCOMERS:
            break
        moving = np.arange(here.W.size)
        if penalty.l1:
            moving = working_set(gradient.T, here.W.T, penalty.l1, most=MOST_ACTIVE)
        k, j = np.divmod(moving, problem.n_features)  # by output, so that each class is contiguous
        model_tol = max(FORCING * worst, 0.25 * tol)
        new, step_b = _newton_step(problem, here, R, gradient[j, k], (j, k), penalty, model_tol, deadline)
        if not penalty.l1:
            step = new - here.W[j, k]
            slope = float((gradient + penalty.l2 * here.W)[j, k] @ step + R.sum(0) @ step_b)
            if -slope <= settled * (here.value + penalty.value(here.W)):
                W = here.W.copy()
                W[j, k] = new
                return Solution(W=W, b=here.b + step_b, converged=True)
        there = _search(problem, here, R, new, step_b, (j, k), penalty)
        if there is None:
            # No step improves the objective: rounding if already near, else the model was solved badly.
            return Solution(W=here.W, b=here.b, converged=worst <= 10 * tol)
        here = there
    return Solution(W=here.W, b=here.b, converged=False)


def _newton_step(
    problem: Problem,
    here: _Point,
    R: Floats,
    gradient: Floats,
    active: Active,
    penalty: Penalty,
    tol: float,
    deadline: Deadline,
) -> tuple[Floats, Floats]:
    """Return the new active weights and the step of the intercepts."""
    w, gradient_b = here.W[active], problem.gradient_b(R)
    if penalty.l1 == 0.0:
        model = curvature_at(problem.X, problem.weight, here.P, has_intercept=problem.has_intercept)
        slope = model.reduced(gradient + penalty.l2 * w, gradient_b)
        step = newton_direction(model.H, penalty.l2, slope)
        return w + step, model.step_b(step, gradient_b)
    start = w
    if isinstance(problem.X, sparse.sparray) and problem.n_outputs == 1:
        start, step_b, is_solved = _swept_step(problem, here, R, active, penalty, tol)
        if is_solved:
            return start, step_b
    model = curvature_at(
        problem.X,
        problem.weight,
        here.P,
        active,
        least_variance=LEAST_VARIANCE,
        has_intercept=problem.has_intercept,
    )
    if problem.n_outputs > 1:
        model.H[np.diag_indices_from(model.H)] += TRACE
    reduced = model.reduced(gradient, gradient_b)
    Hw = model.H @ w
    # |target|² of the working response, at least qᵀH⁺q; see minimise_quadratic.
    chances = np.maximum(here.P * (1 - here.P) if problem.n_outputs == 1 else here.P, LEAST_VARIANCE)
    offset = float(w @ Hw - 2 * w @ reduced + (R**2 / (problem.weight[:, None] * chances)).sum())
    new, _ = minimise_quadratic(
        model.H,
        Hw - reduced,
        penalty=penalty,
        start=start,
        offset=max(offset, 1e-8),
        tol=tol,
        rounds=ROUNDS,
        deadline=deadline,
    )
    return new, model.step_b(new - w, gradient_b)


def _swept_step(
    problem: Problem, here: _Point, R: Floats, active: Active, penalty: Penalty, tol: float
) -> tuple[Floats, Floats, bool]:
    """Return the same for two classes of sparse rows, without a Hessian, and whether that was enough."""
    XA = sparse.csc_array(problem.X[:, active[0]])
    D = problem.weight * np.maximum(here.P[:, 0] * (1 - here.P[:, 0]), LEAST_VARIANCE)
    y = here.Z[:, 0] - R[:, 0] / D
    start, has_intercept = (here.W[active], float(here.b[0])), problem.has_intercept
    model_tol = SWEEP_SHARE * tol
    w, b = sweep(XA, y, D, penalty, start, tol=model_tol, passes=SWEEPS, has_intercept=has_intercept)
    left = D * (XA @ w + b - y)
    wrong = max(
        float(violation(XA.T @ left, w, penalty).max(initial=0.0)), float(abs(problem.gradient_b(left)))
    )
    return w, b - here.b, wrong <= tol


def _search(
    problem: Problem, here: _Point, R: Floats, new: Floats, step_b: Floats, active: Active, penalty: Penalty
) -> _Point | None:
    """Go the largest share of the way in 1, ½, ¼ … that lowers the objective; None if none does."""
    j, k = active
    w = here.W[active]
    step = new - w
    change = np.empty(here.Z.shape, order="F")
    for c in range(problem.n_outputs):
        own = (k == c) & ((step != 0) | (penalty.l1 == 0.0))
        X = columns(problem.X, j[own]) if penalty.l1 else problem.X
        change[:, c] = step_b[c] + (X @ step[own] if own.any() else 0.0)
    now, gain = here.value + penalty.value(w), penalty.value(new) - penalty.value(w)
    promised = float(np.einsum("ik,ik->", R, change)) + gain
    share = 1.0
    for _ in range(30):
        Z = here.Z + share * change
        value, P = problem.evaluate(Z)
        # A whole step lands on the exact zeros of the model's solution.
        reached = new if share == 1.0 else w + share * step
        if value + penalty.value(reached) <= now + 1e-4 * share * promised:
            W = here.W.copy()
            W[active] = reached
            return _Point(W=W, b=here.b + share * step_b, Z=Z, P=P, value=value)
        share /= 2
    return None
