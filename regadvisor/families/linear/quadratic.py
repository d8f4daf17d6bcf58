"""Quadratics with L1: the regressions of the linear family, and the inside of its Newton steps.

With scikit-learn's coordinate descent, some passes at a time: on a Gram matrix, or on sparse columns, where a
pass touches only what is not zero.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.linalg import lapack
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import enet_path

from regadvisor.deadline import NEVER, Deadline
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


#: Passes of coordinate descent before the exact steps take over.
PASSES = 30
#: Projected Newton steps in one round.
EXACT_STEPS = 20
#: Weights join the active ones where those violate by no more than this share of what the worst other does;
#: as many as a third of the active ones, or these.
JOIN_BELOW, FEWEST_JOINING = 0.3, 10
#: First damping (as a share of the mean curvature), what it is multiplied by where a step fails and divided
#: by after a whole one, and how often it is raised for one step.
DAMPING, MORE_DAMPING, LESS_DAMPING, DAMPINGS = 1e-5, 16.0, 10.0, 8
#: Shares of a step that are tried, and the part of the promised gain that is enough.
SHARES, ENOUGH = (1.0, 0.4), 0.1
#: Weights that may join a working set at once, or this share of the active ones if that is more: with as many
#: as are active, the Newton steps of L1 took a third longer.
NEWCOMERS, NEWCOMERS_SHARE = 30, 0.25


def violation(gradient: Floats, w: Floats, penalty: Penalty) -> Floats:
    """Return how far weights with this gradient of the loss are from optimal: 0 exactly at the solution."""
    smooth = gradient + penalty.l2 * w
    at_zero = np.maximum(np.abs(smooth) - penalty.l1, 0.0)
    return np.where(w != 0, np.abs(smooth + penalty.l1 * np.sign(w)), at_zero)


def minimise_quadratic(
    Q: Floats,
    q: Floats,
    *,
    penalty: Penalty,
    start: Floats,
    offset: float,
    tol: float,
    rounds: int,
    deadline: Deadline = NEVER,
) -> tuple[Floats, bool]:
    """Minimise ``½ wᵀQw − qᵀw + l1·Σ|w| + (l2/2)·Σw²``.

    scikit-learn's coordinate descent finds the active weights; where they are so collinear that it crawls,
    projected Newton steps take over.

    `Q` (n, n). `q` (n,). `start` (n,): first guess; not written into. `offset`: an upper bound of ``qᵀQ⁺q``:
    the squared norm of a target that these moments can belong to. `tol`: largest violation of the optimality
    conditions. `rounds`: rounds of descent and exact steps before giving up; what is reached so far is
    returned. `deadline`: looked at before each exact step.

    Returns `w` (n,), and whether it converged.

    >>> w, ok = minimise_quadratic(
    ...     np.eye(2), np.array([3.0, 0.5]), penalty=Penalty(l1=1.0), start=np.zeros(2), offset=10.0,
    ...     tol=1e-9, rounds=1)
    >>> w.tolist(), ok
    ([2.0, 0.0], True)
    """
    Q, q = np.ascontiguousarray(Q), np.ascontiguousarray(q)
    w = np.array(start, dtype=np.float64)
    for _ in range(rounds):
        w = descend(Q, q, offset, penalty, w, tol=tol, passes=PASSES)
        if violation(Q @ w - q, w, penalty).max(initial=0.0) <= tol:
            return w, True
        w = _settle(Q, q, penalty, w, tol, deadline)
        if violation(Q @ w - q, w, penalty).max(initial=0.0) <= tol:
            return w, True
    return w, False


def _settle(Q: Floats, q: Floats, penalty: Penalty, start: Floats, tol: float, deadline: Deadline) -> Floats:
    """Go on by projected Newton steps (Bertsekas 1982), each of which can settle many signs.

    A step solves for the active weights with their signs held; those that would cross zero stop there. The
    worst of the others come in once the active ones are the smaller worry: any earlier, most went out again.
    """
    w = start.copy()
    gradient = Q @ w - q
    damping = DAMPING * float(np.trace(Q)) / max(len(q), 1)
    for _ in range(EXACT_STEPS):
        deadline.check()
        wrong = violation(gradient, w, penalty)
        if wrong.max(initial=0.0) <= tol:
            break
        active = _moving(w, wrong, tol)
        if not len(active):
            break
        signs = np.where(w != 0, np.sign(w), -np.sign(gradient))[active]
        part = Q[np.ix_(active, active)]
        moved = _projected_step(part, penalty, w[active], gradient[active], signs, damping)
        if moved is None:
            break
        new, damping = moved
        step = np.zeros_like(w)
        step[active] = new - w[active]
        w[active] = new
        gradient = gradient + Q @ step
    return w


def _moving(w: Floats, wrong: Floats, tol: float) -> NDArray[np.intp]:
    """Return which weights move: the active ones, and the worst of the others if it is their turn."""
    is_active = w != 0
    outside = np.where(is_active, 0.0, wrong)
    worst = outside.max(initial=0.0)
    if worst > tol and wrong[is_active].max(initial=0.0) <= max(tol, JOIN_BELOW * worst):
        most = max(FEWEST_JOINING, int(is_active.sum()) // 3)
        joining = np.argsort(-outside, kind="stable")[:most]
        is_active[joining[outside[joining] > tol]] = True
    return np.flatnonzero(is_active)


def _projected_step(
    Q: Floats, penalty: Penalty, w: Floats, gradient: Floats, signs: Floats, damping: float
) -> tuple[Floats, float] | None:
    """Return the next active weights and the damping of the step after; None if no step gains enough.

    A step that gains too little is shortened, then damped (Levenberg 1944, Marquardt 1963): on collinear
    features the undamped one leads so far away that little of it is of use.
    """
    smooth = gradient + penalty.l2 * w
    slope = smooth + penalty.l1 * signs
    ridge = penalty.l2 + 1e-12 * float(np.trace(Q))
    for _ in range(DAMPINGS):
        H = Q.copy()
        H[np.diag_indices_from(H)] += ridge + damping
        # The transpose of a symmetric matrix is the matrix, in the order in which it need not be copied.
        factor, info = lapack.dpotrf(H.T, lower=1, clean=0, overwrite_a=1)
        if info:
            return None
        step = -lapack.dpotrs(factor, slope, lower=1)[0]
        for share in SHARES:
            new = w + share * step
            new[new * signs < 0] = 0.0
            moved = new - w
            gain = float(moved @ (smooth + 0.5 * (Q @ moved) + 0.5 * penalty.l2 * moved))
            gain += penalty.l1 * float(np.abs(new).sum() - np.abs(w).sum())
            if gain < ENOUGH * float(slope @ moved):
                return new, damping / LESS_DAMPING if share == 1.0 else damping
        damping *= MORE_DAMPING
    return None


def working_set(gradient: Floats, w: Floats, l1: float, *, most: int) -> NDArray[np.intp]:
    """Return flat positions of the weights to move next: the active ones and the worst violators.

    Most of the other violators settle once the worst have moved. Weights within a tenth of violating may
    join as well; in all there are `most` of them.
    """
    active = (w != 0).ravel()
    outside = np.where(active, 0.0, np.abs(gradient).ravel())
    n_active = int(active.sum())
    room = min(max(NEWCOMERS, int(NEWCOMERS_SHARE * n_active)), most - n_active, len(outside))
    floor = 0.9 * l1
    if room > 0 and int((outside > floor).sum()) > room:
        floor = float(np.partition(outside, -room)[-room])
    joins = (outside >= floor) & (outside > 0) if room > 0 else np.zeros_like(active)
    return np.flatnonzero(active | joins)
