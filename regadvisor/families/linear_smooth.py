"""Classification without L1: scikit-learn's solvers on rotated features, warm-started from strong to weak.

L2 does not care how the features are rotated, so they are first expressed in their singular directions: p > n
becomes n columns, and directions that carry nothing disappear (their weights are zero, the smallest norm).
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
from scipy import linalg
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from regadvisor import thresholds
from regadvisor.deadline import Deadline
from regadvisor.families.linear_problem import Floats, Penalty, Problem, Solution, check_time

#: Up to this many weights a Newton step (its cost grows with their square) beats L-BFGS.
LARGEST_NEWTON = 300
#: Largest gradient of the mean loss at a solution. Newton gets to the tight one in a step or two more, and
#: has to: the gradient that tells a vanishing penalty from none is about as small as the penalty.
TOLERANCE, TIGHT = 1e-6, 1e-10
ITERATIONS = 5000
#: On the way to a vanishing penalty L-BFGS crawls along directions that hardly matter to any other
#: candidate: on 10 classes of 99 collinear features 5,000 iterations a step took 81 s (500: 4.5 s) for a
#: baseline that loses by far. What has not settled after these counts as the limit, and is labelled so.
LIMIT_ITERATIONS = 500


def solve_smooth(problem: Problem, penalties: Sequence[Penalty], *, deadline: Deadline) -> list[Solution]:
    """Return the solutions for L2 strengths; 0 means none, or its limit where that does not exist.

    Raises
    ------
    OutOfTimeError
        If the deadline passes between two strengths.
    """
    rotation = problem.spectrum[2].T
    model, features = _model(problem, rotation), problem.X @ rotation
    solutions: dict[int, Solution] = {}
    for index in sorted(range(len(penalties)), key=lambda i: -penalties[i].l2):
        check_time(deadline)
        l2 = penalties[index].l2
        if l2 == 0.0:
            solutions[index] = _solve_limit(problem, model, features, rotation, deadline)
        else:
            solutions[index] = _fit(problem, model, features, rotation, l2)
    return [solutions[index] for index in range(len(penalties))]


def _model(problem: Problem, rotation: Floats) -> LogisticRegression:
    """Return the unfitted model with the solver that suits its size."""
    n_weights = rotation.shape[1] * problem.n_outputs
    is_small = n_weights <= LARGEST_NEWTON
    return LogisticRegression(
        solver="newton-cholesky" if is_small else "lbfgs",
        tol=TIGHT if is_small else TOLERANCE,
        max_iter=ITERATIONS,
        warm_start=True,
    )


def _fit(
    problem: Problem, model: LogisticRegression, features: Floats, rotation: Floats, l2: float
) -> Solution:
    """Fit at one strength, starting from the last fit of `model`."""
    codes = problem.T.argmax(1) if problem.n_outputs > 1 else problem.T[:, 0]
    model.set_params(C=1.0 / (l2 * len(features)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        # A Hessian that is singular to rounding: scikit-learn then goes on with L-BFGS by itself.
        warnings.simplefilter("ignore", linalg.LinAlgWarning)
        model.fit(features, codes, sample_weight=problem.weight * len(features))
    coef = model.coef_ if len(model.coef_) == problem.n_outputs else np.vstack([-model.coef_, model.coef_])
    return Solution(
        W=rotation @ coef.T,
        b=model.intercept_.copy(),
        converged=bool(model.n_iter_[0] < model.max_iter),
    )


def _solve_limit(
    problem: Problem, model: LogisticRegression, features: Floats, rotation: Floats, deadline: Deadline
) -> Solution:
    """Fit without penalty, or with a vanishing one where the classes are separable.

    Where a best fit without penalty exists, a penalty ten times smaller changes nothing; where it does not,
    the linear predictors keep growing by about log(10) (Albert and Anderson 1984; Rosset, Zhu and Hastie
    2004).
    """
    vanishing = 1.0 / (thresholds.VANISHING_C * len(features))
    model.set_params(max_iter=LIMIT_ITERATIONS)
    # The way down in steps: each fit is then a few iterations from the last.
    for factor in (1e4, 1e2):
        check_time(deadline)
        _fit(problem, model, features, rotation, vanishing * factor)
    before = _fit(problem, model, features, rotation, vanishing * 10)
    check_time(deadline)
    last = _fit(problem, model, features, rotation, vanishing)
    model.set_params(max_iter=ITERATIONS)
    Z = problem.X @ last.W + last.b
    growth = Z - (problem.X @ before.W + before.b)
    if problem.n_outputs > 1:
        growth = growth - growth.mean(axis=1, keepdims=True)
        is_separated = bool(np.all(Z.argmax(1) == problem.T.argmax(1)))
    else:
        is_separated = bool(np.all((Z > 0) == (problem.T > 0.5)))
    # L-BFGS stops where the gradient vanishes, so complete separation is asked about directly.
    grows = bool(np.abs(growth).max() > thresholds.LIMIT_GROWTH)
    is_limit = is_separated or grows or not last.converged
    return Solution(W=last.W, b=last.b, converged=True, is_limit=is_limit)
