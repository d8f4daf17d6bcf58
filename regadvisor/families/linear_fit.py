"""One fold, many strengths: which solver takes which, and what the solutions cost on held-out rows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sklearn import config_context

from regadvisor import thresholds
from regadvisor.deadline import Deadline
from regadvisor.families.base import row_losses_classification
from regadvisor.families.linear_data import LinearFold
from regadvisor.families.linear_fista import solve_fista
from regadvisor.families.linear_newton import solve_newton
from regadvisor.families.linear_problem import (
    Floats,
    Penalty,
    Problem,
    Solution,
    check_time,
    constant_solution,
    predictors,
)
from regadvisor.families.linear_regression import solve_ridge, solve_sparse_regression
from regadvisor.families.linear_smooth import solve_smooth


def solve(problem: Problem, penalties: Sequence[Penalty], *, deadline: Deadline) -> list[Solution]:
    """Return the solution of every penalty, in their order.

    Penalties without L1 (none, L2) and with L1 (L1, elastic net) go to different solvers. Without L1, the
    next weaker strength given starts from a stronger one's solution; with L1, from the fold's own ladder.

    Raises
    ------
    OutOfTimeError
        If the deadline passes; nothing is returned then.
    """
    check_time(deadline)
    if problem.is_constant:
        return [constant_solution(problem)] * len(penalties)
    # Checking the arguments of scikit-learn's solvers took a third of the time on small folds.
    with config_context(assume_finite=True, skip_parameter_validation=True):
        return _solve(problem, penalties, deadline)


def _solve(problem: Problem, penalties: Sequence[Penalty], deadline: Deadline) -> list[Solution]:
    """Return the solution of every penalty, in their order."""
    dense = [index for index, penalty in enumerate(penalties) if penalty.l1 == 0.0]
    sparse = [index for index, penalty in enumerate(penalties) if penalty.l1 != 0.0]
    solutions: dict[int, Solution] = {}
    if dense:
        chosen = [penalties[index] for index in dense]
        if problem.is_classification:
            found = solve_smooth(problem, chosen, deadline=deadline)
        else:
            found = solve_ridge(problem, chosen)
        solutions.update(zip(dense, found, strict=True))
    if sparse:
        chosen = [penalties[index] for index in sparse]
        if problem.is_classification:
            found = solve_sparse_classification(problem, chosen, deadline=deadline)
        else:
            found = solve_sparse_regression(problem, chosen, deadline=deadline)
        solutions.update(zip(sparse, found, strict=True))
    return [solutions[index] for index in range(len(penalties))]


def solve_sparse_classification(
    problem: Problem, penalties: Sequence[Penalty], *, deadline: Deadline
) -> list[Solution]:
    """Return L1 and elastic-net classifiers: Newton where few weights are active, else FISTA together.

    Raises
    ------
    OutOfTimeError
        If the deadline passes.
    """
    found = [solve_newton(problem, penalty, deadline=deadline) for penalty in penalties]
    left = [index for index, solution in enumerate(found) if not solution.converged]
    if left:
        chosen, starts = [penalties[index] for index in left], [found[index] for index in left]
        for index, solution in zip(
            left, solve_fista(problem, chosen, starts, deadline=deadline), strict=True
        ):
            found[index] = solution
    return found


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
