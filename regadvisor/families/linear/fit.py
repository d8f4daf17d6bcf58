"""One fold, one penalty: which solver takes it, from where fits with L1 start, and the solvers of regression.

Weak penalties are reached over strong ones, the rungs of a ladder of rough solutions, one for each fold:
started from zero, a weak one lets in far more weights than it keeps. The ladder is climbed down as far as it
is needed and kept. A rung depends on the fold alone, so a fit is the same whatever was fitted before it, as
an interrupted and resumed search needs it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
from scipy import sparse
from sklearn import config_context

from regadvisor.deadline import Deadline
from regadvisor.families.linear import newton
from regadvisor.families.linear.problem import Floats, Penalty, Problem, Rung, Solution, constant_solution
from regadvisor.families.linear.quadratic import minimise_quadratic, sweep, violation, working_set
from regadvisor.families.linear.smooth import MANY_OUTPUTS, lbfgs, solve_smooth, sparse_lbfgs

#: Each rung is this much weaker than the one above, and solved to this share of its own l1.
STRIDE, ROUGH = 10 ** (1 / 3), 0.3
#: Elastic nets start from the rung at their l1 and this share of their l2: it has about as many weights.
L2_AS_L1 = 0.3

#: Goes down from a solution until nothing violates the optimality conditions of a penalty by more than a
#: tolerance.
Descend = Callable[[Penalty, Solution, float], Solution]


def climb_down(problem: Problem, penalty: Penalty, descend: Descend, *, tol: float) -> Solution:
    """Return the solution to this tolerance, reached from the rung above it."""
    strength = penalty.l1 + L2_AS_L1 * penalty.l2
    n_rungs = 0
    if 0 < strength < problem.l1_max:
        n_rungs = int(math.log(problem.l1_max / strength) / math.log(STRIDE))
    return descend(penalty, _rung(problem, n_rungs, descend, tol), tol)


def _rung(problem: Problem, number: int, descend: Descend, tol: float) -> Solution:
    """Return the rough solution of L1 at ``l1_max / STRIDE**number``; number 0 is the constant model."""
    ladder = problem.ladder
    while len(ladder) < number:
        penalty = Penalty(l1=problem.l1_max / STRIDE ** (len(ladder) + 1))
        start = _unpacked(problem, ladder[-1] if ladder else None)
        rough = descend(penalty, start, max(ROUGH * penalty.l1, tol))
        where = np.flatnonzero(rough.W)
        ladder.append((where, rough.W.ravel()[where], rough.b))
    return _unpacked(problem, ladder[number - 1] if number else None)


def _unpacked(problem: Problem, rung: Rung | None) -> Solution:
    """Return a rung with all of its weights; None: the constant model."""
    W = np.zeros((problem.n_features, problem.n_outputs))
    if rung is None:
        return Solution(W=W, b=problem.constant, converged=False)
    W.ravel()[rung[0]] = rung[1]
    return Solution(W=W, b=rung[2], converged=False)


#: Largest violation of the optimality conditions at a solution, relative to the largest possible gradient.
TOLERANCE = 1e-6
#: Rounds of descent and exact steps; working sets in turn, rounds of each, and how closely it is solved (as a
#: share of what is wrong): the set may still be a wrong one.
ROUNDS, SETS, ROUNDS_OF_SET, FORCING = 40, 100, 2, 0.2
#: Passes over sparse columns before there are working sets.
SWEEPS = 500
#: Up to this many features the whole Gram matrix is made at once.
LARGEST_GRAM = 1000
#: So few features are quickly solved for from zero.
FEWEST_FOR_LADDER = 50


def solve_ridge(problem: Problem, l2: float) -> Solution:
    """Return the L2 (or unpenalised) least-squares solution, from a decomposition made once for the fold.

    No penalty on collinear features gives the least squares of smallest norm, the limit of a vanishing
    L2 penalty; `is_limit` says so.
    """
    at = problem.spectrum
    is_deficient = len(at.s) < problem.n_features
    # Features that never vary carry nothing, and no weight.
    shrunk = np.maximum(np.square(at.s) + l2, 1e-300)
    W = np.column_stack([at.weights((at.project(t) / shrunk)[:, None]) for t in problem.T.T])
    b = problem.constant - problem.mean @ W
    return Solution(W=W, b=b, converged=True, is_limit=is_deficient and l2 == 0.0)


def solve_sparse_regression(problem: Problem, penalty: Penalty, *, deadline: Deadline) -> Solution:
    """Return the L1 or elastic-net solution; several targets are solved for in turn, from common rungs."""

    def descend(penalty: Penalty, start: Solution, tol: float) -> Solution:
        found = [
            _solve_one(problem, t, penalty, np.ascontiguousarray(w), tol, deadline)
            for t, w in zip(problem.T.T, start.W.T, strict=True)
        ]
        W = np.column_stack([w for w, _ in found])
        converged = all(is_solved for _, is_solved in found)
        return Solution(W=W, b=problem.constant - problem.mean @ W, converged=converged)

    tol = TOLERANCE * max(problem.l1_max, 1e-12)
    if problem.n_features < FEWEST_FOR_LADDER:
        return descend(penalty, constant_solution(problem), tol)
    return climb_down(problem, penalty, descend, tol=tol)


def _solve_one(
    problem: Problem, t: Floats, penalty: Penalty, w: Floats, tol: float, deadline: Deadline
) -> tuple[Floats, bool]:
    """Solve for a column `t` of the target, on a growing working set if a whole Gram matrix is too large."""
    if not t.any():  # one of several targets is constant in these rows
        return np.zeros_like(w), True
    q = problem.X.T @ (problem.weight * t)
    offset = float(problem.weight @ np.square(t))
    if problem.n_features <= LARGEST_GRAM:
        deadline.check()
        return minimise_quadratic(
            problem.gram,
            q,
            penalty=penalty,
            start=w,
            offset=offset,
            tol=tol,
            rounds=ROUNDS,
            deadline=deadline,
        )
    is_swept = False
    for _ in range(SETS):
        deadline.check()
        R = problem.weight * (problem.X @ w - problem.mean @ w - t)
        gradient = problem.X.T @ R
        worst = float(violation(gradient, w, penalty).max())
        if worst <= 2 * tol:
            return w, True
        if isinstance(problem.X, sparse.csc_array) and not is_swept:
            is_swept = True
            start, has = (w, 0.0), problem.has_intercept
            w, _ = sweep(
                problem.X, t, problem.weight, penalty, start, tol=tol, passes=SWEEPS, has_intercept=has
            )
            continue
        chosen = working_set(gradient, w, penalty.l1, most=len(w))
        w = w.copy()
        w[chosen], _ = minimise_quadratic(
            problem.some_gram(chosen),
            q[chosen],
            penalty=penalty,
            start=w[chosen],
            offset=offset,
            tol=max(tol, FORCING * worst),
            rounds=ROUNDS_OF_SET,
            deadline=deadline,
        )
    return w, False


def solve(problem: Problem, penalty: Penalty, *, deadline: Deadline) -> Solution:
    """Return the solution of a penalty; a fit that fails is the constant model, and has not converged.

    Raises OutOfTimeError if the deadline passes, inside of a solver, too.
    """
    deadline.check()
    constant = constant_solution(problem)
    if problem.is_constant:
        return constant
    failed = replace(constant, converged=False)
    # Checking the arguments of scikit-learn's solvers took a third of the time on small folds.
    with config_context(assume_finite=True, skip_parameter_validation=True), np.errstate(all="ignore"):
        if not problem.is_finite:
            return failed
        try:
            found = _solve(problem, penalty, deadline)
        except (np.linalg.LinAlgError, ArithmeticError, ValueError):
            return failed
    return found if found.is_finite else failed


def _solve(problem: Problem, penalty: Penalty, deadline: Deadline) -> Solution:
    """Return what the solver for this task and penalty finds."""
    if not problem.is_classification:
        if penalty.l1 == 0.0:
            return solve_ridge(problem, penalty.l2)
        return solve_sparse_regression(problem, penalty, deadline=deadline)
    if penalty.l1 == 0.0:
        return solve_smooth(problem, penalty.l2, deadline=deadline)
    if problem.n_outputs >= MANY_OUTPUTS:
        return sparse_lbfgs(problem, penalty, deadline)
    descend = partial(newton.descend, problem, deadline=deadline)
    found = climb_down(problem, penalty, descend, tol=newton.TOLERANCE)
    return found if found.converged else lbfgs(problem, penalty, found, deadline)
