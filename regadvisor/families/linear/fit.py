"""One fold, one penalty: which solver takes it."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
from sklearn import config_context

from regadvisor.deadline import Deadline
from regadvisor.families.linear import newton
from regadvisor.families.linear.ladder import climb_down
from regadvisor.families.linear.problem import Penalty, Problem, Solution, constant_solution
from regadvisor.families.linear.regression import solve_ridge, solve_sparse_regression
from regadvisor.families.linear.smooth import MANY_OUTPUTS, lbfgs, solve_smooth, sparse_lbfgs


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
