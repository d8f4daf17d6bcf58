"""One fold, many strengths: which solver takes which, and what the solutions cost on held-out rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from sklearn import config_context

from regadvisor import thresholds
from regadvisor.deadline import Deadline
from regadvisor.families.base import row_losses_classification
from regadvisor.families.linear.data import LinearFold
from regadvisor.families.linear.newton import solve_newton
from regadvisor.families.linear.problem import (
    Floats,
    Penalty,
    Problem,
    Solution,
    check_time,
    constant_solution,
    predictors,
)
from regadvisor.families.linear.regression import solve_ridge, solve_sparse_regression
from regadvisor.families.linear.smooth import MANY_OUTPUTS, lbfgs, solve_smooth, sparse_lbfgs


def solve(problem: Problem, penalties: Sequence[Penalty], *, deadline: Deadline) -> list[Solution]:
    """Return the solution of every penalty, in their order.

    Penalties without L1 (none, L2) and with L1 (L1, elastic net) go to different solvers. Without L1, the
    next weaker strength given starts from a stronger one's solution; with L1, from the fold's own ladder.

    Raises OutOfTimeError if the deadline passes; nothing is returned then.
    """
    check_time(deadline)
    if problem.is_constant:
        return [constant_solution(problem)] * len(penalties)
    # Checking the arguments of scikit-learn's solvers took a third of the time on small folds.
    with config_context(assume_finite=True, skip_parameter_validation=True), np.errstate(all="ignore"):
        if not problem.is_finite:
            return [_failed(problem)] * len(penalties)
        return _solve(problem, penalties, deadline)


def _solve(problem: Problem, penalties: Sequence[Penalty], deadline: Deadline) -> list[Solution]:
    """Return the solution of every penalty, in their order."""
    solutions: dict[int, Solution] = {}
    for solver in (_smooth, _sparse):
        chosen = [i for i, penalty in enumerate(penalties) if (penalty.l1 != 0.0) == (solver is _sparse)]
        found = _survived(solver, problem, [penalties[i] for i in chosen], deadline)
        solutions.update(zip(chosen, found, strict=True))
    return [solutions[index] for index in range(len(penalties))]


def _smooth(problem: Problem, penalties: Sequence[Penalty], deadline: Deadline) -> list[Solution]:
    """Solve for penalties without L1."""
    if problem.is_classification:
        return solve_smooth(problem, penalties, deadline=deadline)
    return solve_ridge(problem, penalties)


def _sparse(problem: Problem, penalties: Sequence[Penalty], deadline: Deadline) -> list[Solution]:
    """Solve for penalties with L1."""
    if not problem.is_classification:
        return solve_sparse_regression(problem, penalties, deadline=deadline)
    if problem.n_outputs >= MANY_OUTPUTS:
        return [sparse_lbfgs(problem, penalty, deadline) for penalty in penalties]
    found = [solve_newton(problem, penalty, deadline=deadline) for penalty in penalties]
    return [
        solution if solution.converged else lbfgs(problem, penalty, solution, deadline)
        for penalty, solution in zip(penalties, found, strict=True)
    ]


def _survived(
    solver: Callable[[Problem, Sequence[Penalty], Deadline], list[Solution]],
    problem: Problem,
    penalties: Sequence[Penalty],
    deadline: Deadline,
) -> list[Solution]:
    """Return what a solver found; a fit that fails is the constant model, and has not converged."""
    if not penalties:
        return []
    try:
        found = solver(problem, penalties, deadline)
    except (np.linalg.LinAlgError, ArithmeticError, ValueError):
        if len(penalties) > 1:  # one of them may have spoiled it for the others
            return [_survived(solver, problem, [penalty], deadline)[0] for penalty in penalties]
        return [_failed(problem)]
    return [solution if solution.is_finite else _failed(problem) for solution in found]


def _failed(problem: Problem) -> Solution:
    """Return the constant model in place of a fit that failed."""
    return replace(constant_solution(problem), converged=False)


def held_out_losses(fold: LinearFold, solution: Solution) -> Floats:
    """Return the loss of each test row of the fold, shape (n_test,); units of :class:`~.base.Fit`."""
    return _row_losses(fold, predictors(fold.X_test, solution.W, solution.b), fold.y_test)


def train_loss(fold: LinearFold, solution: Solution) -> float:
    """Return the weighted mean loss on the training rows, in the same unit."""
    losses = _row_losses(fold, fold.problem.predict(solution.W, solution.b), fold.y_train)
    return float(fold.problem.weight @ losses)


def constant_losses(fold: LinearFold) -> Floats:
    """Return the loss of each test row under the training rows' class shares or mean, shape (n_test,)."""
    Z = np.tile(fold.problem.constant, (len(fold.y_test), 1))
    return _row_losses(fold, Z, fold.y_test)


def _row_losses(fold: LinearFold, Z: Floats, y: np.ndarray) -> Floats:
    if fold.problem.is_classification:
        return row_losses_classification(
            fold.class_probabilities(Z), y.astype(np.intp), thresholds.PROBABILITY_FLOOR
        )
    squared = np.square(y - (fold.target_mean + fold.target_sd * Z)) / fold.unit
    return np.asarray(squared.mean(axis=1), dtype=np.float64)
