"""Regression: closed forms for none and L2, coordinate descent and Newton steps for L1 and elastic net."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from regadvisor.deadline import Deadline
from regadvisor.families.linear.ladder import climb_down
from regadvisor.families.linear.problem import Floats, Penalty, Problem, Solution, constant_solution
from regadvisor.families.linear.quadratic import minimise_quadratic, violation, working_set
from regadvisor.families.linear.sweeps import sweep

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
