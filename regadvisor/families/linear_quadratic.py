"""Regression: closed forms for none and L2, coordinate descent for L1 and elastic net."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import linalg
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import enet_path

from regadvisor.deadline import Deadline
from regadvisor.families.linear_problem import Floats, Penalty, Problem, Solution, check_time

#: Largest violation of the optimality conditions at a solution, relative to the largest possible gradient.
TOLERANCE = 1e-6
#: Passes of coordinate descent before the exact steps take over, and rounds of both.
PASSES, ROUNDS = 60, 40
#: Exact steps in one round.
EXACT_STEPS = 30
#: Up to this many features the whole Gram matrix is made at once.
LARGEST_GRAM = 1000
#: Features that may join the working set at once (more once more are active).
NEWCOMERS = 60


def violation(gradient: Floats, w: Floats, penalty: Penalty) -> Floats:
    """Return how far each weight is from optimal: 0 everywhere exactly at the solution.

    Parameters
    ----------
    gradient, w : ndarray of equal shape
        Gradient of the smooth loss alone, and the weights.
    """
    smooth = gradient + penalty.l2 * w
    at_zero = np.maximum(np.abs(smooth) - penalty.l1, 0.0)
    return np.where(w != 0, np.abs(smooth + penalty.l1 * np.sign(w)), at_zero)


def minimise_quadratic(
    Q: Floats, q: Floats, *, penalty: Penalty, start: Floats, offset: float, tol: float, rounds: int
) -> tuple[Floats, bool]:
    """Minimise ``½ wᵀQw − qᵀw + l1·Σ|w| + (l2/2)·Σw²``.

    scikit-learn's coordinate descent finds the active weights; where they are so collinear that it crawls,
    the system is solved for them exactly (feature-sign search: Lee, Battle, Raina and Ng 2007).

    Parameters
    ----------
    Q : ndarray, shape (n, n), symmetric and positive semidefinite
    q : ndarray, shape (n,)
    start : ndarray, shape (n,)
        First guess; not written into.
    offset : float
        An upper bound of ``qᵀQ⁺q``: the squared norm of a target that these moments can belong to.
    tol : float
        Largest violation of the optimality conditions.
    rounds : int
        Rounds of descent and exact steps before giving up; what is reached so far is returned.

    Returns
    -------
    w : ndarray, shape (n,)
    converged : bool

    Examples
    --------
    >>> w, ok = minimise_quadratic(
    ...     np.eye(2), np.array([3.0, 0.5]), penalty=Penalty(l1=1.0), start=np.zeros(2), offset=10.0,
    ...     tol=1e-9, rounds=1)
    >>> w.tolist(), ok
    ([2.0, 0.0], True)
    """
    Q, q = np.ascontiguousarray(Q), np.ascontiguousarray(q)
    w = np.array(start, dtype=np.float64)
    for _ in range(rounds):
        w = _descend(Q, q, offset, penalty, w, tol)
        if violation(Q @ w - q, w, penalty).max(initial=0.0) <= tol:
            return w, True
        exact, converged = _solve_active(Q, q, penalty, w, tol)
        if converged:
            return exact, True
        # Among features that cannot be told apart the exact steps may run along a flat valley.
        if _value(Q, q, penalty, exact) < _value(Q, q, penalty, w):
            w = exact
    return w, False


def _value(Q: Floats, q: Floats, penalty: Penalty, w: Floats) -> float:
    """Return the objective of :func:`minimise_quadratic`."""
    return float(w @ (0.5 * (Q @ w) - q)) + penalty.value(w)


def _descend(Q: Floats, q: Floats, offset: float, penalty: Penalty, start: Floats, tol: float) -> Floats:
    """Some passes of scikit-learn's coordinate descent."""
    # enet_path takes the moments as they are if the checks are off; X and y then only give n_samples = 1
    # and the norm of y, against which the duality gap is measured.
    alpha = penalty.l1 + penalty.l2
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        W = enet_path(
            np.zeros((1, len(q)), order="F"),
            np.array([np.sqrt(offset)]),
            l1_ratio=penalty.l1 / alpha,
            alphas=[alpha],
            precompute=Q,
            Xy=q,
            coef_init=start.copy(),
            check_input=False,
            tol=tol * tol / offset,
            max_iter=PASSES,
        )[1]
    return np.asarray(W[:, 0], dtype=np.float64)


def _solve_active(Q: Floats, q: Floats, penalty: Penalty, w: Floats, tol: float) -> tuple[Floats, bool]:
    """Solve for the active weights exactly, on the way to the solution of one guess of signs to the next.

    With signs fixed the problem is a linear system. On the straight way to its solution the objective is
    convex and piecewise quadratic, with a kink where a weight changes its sign; its lowest point is the next
    guess. At a solution without changes the worst violators come in.
    """
    w, signs = w.copy(), np.sign(w)
    for _ in range(EXACT_STEPS):
        active = np.flatnonzero(signs)
        H = Q[np.ix_(active, active)]
        # More active weights than the rows can tell apart: a trace of ridge chooses among equals.
        H[np.diag_indices_from(H)] += penalty.l2 + 1e-12 * max(np.trace(H), 1e-300)
        try:
            factor = linalg.cho_factor(H, overwrite_a=True, check_finite=False)
            target = linalg.cho_solve(factor, q[active] - penalty.l1 * signs[active], check_finite=False)
        except linalg.LinAlgError:
            return w, False
        if _walk(Q, penalty, active, target, w, signs):
            continue
        wrong = violation(Q @ w - q, w, penalty)
        if wrong.max(initial=0.0) <= tol:
            return w, True
        newcomers = wrong * (signs == 0)
        if newcomers.max(initial=0.0) <= tol:
            return w, False
        most = max(1, len(active) // 10)
        joining = np.argsort(newcomers)[::-1][:most]
        joining = joining[newcomers[joining] > tol]
        signs[joining] = np.sign(q[joining] - Q[joining] @ w)
    return w, False


def _walk(
    Q: Floats, penalty: Penalty, active: NDArray[np.intp], target: Floats, w: Floats, signs: Floats
) -> bool:
    """Move `w` to the lowest point on the way to `target`; return whether a sign changed. Writes w, signs."""
    start = w[active]
    step = target - start
    crosses = (target * signs[active] < 0) & (step != 0)
    if not crosses.any():
        w[active] = target
        return False
    at, index = -start[crosses] / step[crosses], active[crosses]
    order = np.argsort(at, kind="stable")
    at, index = at[order], index[order]
    curvature = float(step @ (Q[np.ix_(active, active)] @ step) + penalty.l2 * step @ step)
    # Slope after each kink: the quadratic's own, which ends at zero at the target, and the kinks so far.
    kinks = 2 * penalty.l1 * np.cumsum(np.abs(step[crosses])[order])
    slope = curvature * (at - 1.0) + kinks
    up = np.flatnonzero(slope >= 0)
    first = int(up[0]) if len(up) else len(at)
    before = float(kinks[first - 1]) if first else 0.0
    # The lowest point lies on the kink at which the slope turns up, or on the piece before it.
    inside = 1.0 - before / curvature if curvature > 0 else 1.0
    is_on_kink = first < len(at) and inside >= at[first]
    way = float(at[first]) if is_on_kink else inside
    w[active] = start + way * step
    signs[index[:first]] *= -1.0
    if is_on_kink:
        gone = index[at == way]
        w[gone] = signs[gone] = 0.0
    return True


def solve_ridge(problem: Problem, penalties: Sequence[Penalty]) -> list[Solution]:
    """Return the L2 (or unpenalised) least-squares solutions of all strengths from one SVD.

    No penalty on collinear features gives the least squares of smallest norm, the limit of a vanishing
    L2 penalty; `is_limit` says so.
    """
    if problem.is_sparse:
        return _solve_sparse_ridge(problem, penalties)
    U, s, Vt = problem.spectrum
    projected = s * (U.T @ (np.sqrt(problem.weight) * problem.T[:, 0]))
    is_deficient = len(s) < problem.n_features
    weights = [(Vt.T @ (projected / (s**2 + penalty.l2)))[:, None] for penalty in penalties]
    return [
        Solution(
            W=W,
            b=problem.constant,
            converged=True,
            is_limit=is_deficient and penalty.l2 == 0.0,
        )
        for W, penalty in zip(weights, penalties, strict=True)
    ]


def _solve_sparse_ridge(problem: Problem, penalties: Sequence[Penalty]) -> list[Solution]:
    """Return the solutions for sparse features from one eigendecomposition of the smaller Gram matrix.

    The features are never made dense, and no more than the square of the shorter side is held in memory.
    """
    t, root = problem.T[:, 0], np.sqrt(problem.weight)
    is_wide = problem.n_features > problem.n_rows
    values, vectors = problem.gram_spectrum
    is_deficient = len(values) < problem.n_features
    moments = problem.X.T @ (problem.weight * t)
    projected = vectors.T @ (root * t if is_wide else moments)
    solutions = []
    for penalty in penalties:
        # Features that never vary carry nothing, and no weight.
        w = vectors @ (projected / np.maximum(values + penalty.l2, 1e-300))
        if is_wide:
            u = root * w
            w = problem.X.T @ u - problem.mean * u.sum()
        W = np.asarray(w, dtype=np.float64)[:, None]
        b = problem.constant - problem.mean @ W
        is_limit = is_deficient and penalty.l2 == 0.0
        solutions.append(Solution(W=W, b=b, converged=True, is_limit=is_limit))
    return solutions


def solve_sparse_regression(
    problem: Problem, penalties: Sequence[Penalty], *, deadline: Deadline
) -> list[Solution]:
    """Return the L1 or elastic-net solutions, warm-started from strong to weak.

    Raises
    ------
    OutOfTimeError
        If the deadline passes between two strengths.
    """
    w = np.zeros(problem.n_features)
    solutions: dict[int, Solution] = {}
    for index in sorted(range(len(penalties)), key=lambda i: (-penalties[i].l1, -penalties[i].l2)):
        w, converged = _solve_one(problem, penalties[index], w, deadline)
        b = problem.constant - problem.mean @ w
        solutions[index] = Solution(W=w[:, None], b=b, converged=converged)
    return [solutions[index] for index in range(len(penalties))]


def _solve_one(problem: Problem, penalty: Penalty, w: Floats, deadline: Deadline) -> tuple[Floats, bool]:
    """Solve one lasso or elastic net, on a growing working set where the Gram matrix would be too large."""
    t = problem.T[:, 0]
    q = problem.X.T @ (problem.weight * t)
    offset = float(problem.weight @ np.square(t))
    tol = TOLERANCE * max(problem.l1_max, 1e-12)
    if problem.n_features <= LARGEST_GRAM:
        check_time(deadline)
        return minimise_quadratic(
            problem.gram, q, penalty=penalty, start=w, offset=offset, tol=tol, rounds=ROUNDS
        )
    for _ in range(ROUNDS):
        check_time(deadline)
        R = problem.weight * (problem.X @ w - problem.mean @ w - t)
        gradient = problem.X.T @ R
        if violation(gradient, w, penalty).max() <= 2 * tol:
            return w, True
        chosen = working_set(gradient, w, penalty.l1, most=len(w))
        w = w.copy()
        w[chosen], _ = minimise_quadratic(
            problem.some_gram(chosen),
            q[chosen],
            penalty=penalty,
            start=w[chosen],
            offset=offset,
            tol=tol,
            # The set may still be a wrong one: not worth solving to the end.
            rounds=2,
        )
    return w, False


def working_set(gradient: Floats, w: Floats, l1: float, *, most: int) -> NDArray[np.intp]:
    """Return flat positions of the weights to move next: the active ones and the worst violators.

    Most of the other violators settle once the worst have moved. Weights within a tenth of violating may
    join as well.

    Parameters
    ----------
    gradient, w : ndarray of equal shape
    l1 : float
    most : int
        Largest working set.
    """
    active = (w != 0).ravel()
    outside = np.where(active, 0.0, np.abs(gradient).ravel())
    room = min(max(NEWCOMERS, int(active.sum())), most - int(active.sum()), len(outside))
    floor = 0.9 * l1
    if room > 0 and int((outside > floor).sum()) > room:
        floor = float(np.partition(outside, -room)[-room])
    joins = (outside >= floor) & (outside > 0) if room > 0 else np.zeros_like(active)
    return np.flatnonzero(active | joins)
