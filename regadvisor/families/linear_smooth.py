"""Classification without L1: Newton for few weights, preconditioned L-BFGS for many.

L2 does not care how the features are rotated, so dense ones are first expressed in their singular
directions: p > n becomes n columns, and directions that carry nothing disappear (their weights are zero, the
smallest norm). There the curvature of the loss is nearly diagonal and known beforehand, which is what L-BFGS
needs. Sparse features stay as they are: a pass over what is not zero costs less than any rotation.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import linalg, sparse
from scipy.optimize import minimize
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from regadvisor import thresholds
from regadvisor.deadline import Deadline
from regadvisor.families.linear_problem import Floats, Matrix, Penalty, Problem, Solution, check_time

#: Up to this many weights a Newton step (its cost grows with their square) beats L-BFGS.
LARGEST_NEWTON = 300
#: Largest gradient of the mean loss at a solution; of L-BFGS in units in which the curvature is about 1, so
#: that the objective is off by about its square. Newton gets to it in a step or two more.
TOLERANCE = 1e-10
LBFGS_TOLERANCE = 1e-6
ITERATIONS = 5000
#: Gradients that L-BFGS remembers.
MEMORY = 20
#: On the way to a vanishing penalty solvers crawl along directions that hardly matter to any other
#: candidate: on 10 classes of 99 collinear features 5,000 iterations a step took 81 s (500: 4.5 s) for a
#: baseline that loses by far. What has not settled after these counts as the limit, and is labelled so.
LIMIT_ITERATIONS = 500


@dataclass(frozen=True, kw_only=True, eq=False)
class _Coordinates:
    """The features in the coordinates in which they are solved for.

    Attributes
    ----------
    F : Matrix, shape (n_rows, n_coordinates)
    mean : ndarray, shape (n_coordinates,)
        Weighted mean of `F`, zero for dense ones.
    variance : ndarray, shape (n_coordinates,)
        Weighted variance of `F`.
    rotation : ndarray, shape (n_features, n_coordinates), or None
        From weights of the coordinates to weights of the features; None: they are the features.
    """

    F: Matrix
    mean: Floats
    variance: Floats
    rotation: Floats | None

    def weights(self, V: Floats) -> Floats:
        """Return weights of the features from weights of the coordinates."""
        return V if self.rotation is None else np.asarray(self.rotation @ V, dtype=np.float64)


def solve_smooth(problem: Problem, penalties: Sequence[Penalty], *, deadline: Deadline) -> list[Solution]:
    """Return the solutions for L2 strengths; 0 means none, or its limit where that does not exist.

    Raises
    ------
    OutOfTimeError
        If the deadline passes between two strengths.
    """
    at = _coordinates(problem)
    n_weights = at.F.shape[1] * problem.n_outputs
    is_small = n_weights <= LARGEST_NEWTON and not problem.is_sparse
    solver: _Newton | _Lbfgs = _Newton(problem, at) if is_small else _Lbfgs(problem, at, deadline)
    solutions: dict[int, Solution] = {}
    for index in sorted(range(len(penalties)), key=lambda i: -penalties[i].l2):
        check_time(deadline)
        l2 = penalties[index].l2
        if l2 == 0.0:
            solutions[index] = _solve_limit(problem, solver, deadline)
        else:
            solutions[index] = solver.fit(l2, ITERATIONS)
    return [solutions[index] for index in range(len(penalties))]


def _coordinates(problem: Problem) -> _Coordinates:
    """Return the singular directions of dense features, sparse features as they are."""
    if isinstance(problem.X, sparse.sparray):
        squares = problem.X.power(2).T @ problem.weight
        variance = np.maximum(squares - problem.mean**2, 0.0)
        return _Coordinates(F=problem.X, mean=problem.mean, variance=variance, rotation=None)
    _, s, Vt = problem.spectrum
    return _Coordinates(
        F=problem.X @ Vt.T, mean=np.zeros(len(s)), variance=np.square(s), rotation=np.ascontiguousarray(Vt.T)
    )


class _Newton:
    """scikit-learn's Newton solver; each fit starts from the last."""

    def __init__(self, problem: Problem, at: _Coordinates) -> None:
        self.problem, self.at = problem, at
        self.codes = problem.T.argmax(1) if problem.n_outputs > 1 else problem.T[:, 0]
        self.model = LogisticRegression(solver="newton-cholesky", tol=TOLERANCE, warm_start=True)

    def fit(self, l2: float, most_iterations: int) -> Solution:
        """Fit at one strength."""
        n_rows = self.problem.n_rows
        model = self.model.set_params(C=1.0 / (l2 * n_rows), max_iter=most_iterations)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            # A Hessian that is singular to rounding: scikit-learn then goes on with L-BFGS by itself.
            warnings.simplefilter("ignore", linalg.LinAlgWarning)
            model.fit(self.at.F, self.codes, sample_weight=self.problem.weight * n_rows)
        is_pair = len(model.coef_) != self.problem.n_outputs
        coef = np.vstack([-model.coef_, model.coef_]) if is_pair else model.coef_
        return Solution(
            W=self.at.weights(coef.T),
            b=model.intercept_.copy(),
            converged=bool(model.n_iter_[0] < model.max_iter),
        )


class _Lbfgs:
    """SciPy's L-BFGS in coordinates whose curvature is about 1; each fit starts from the last."""

    def __init__(self, problem: Problem, at: _Coordinates, deadline: Deadline) -> None:
        self.problem, self.at, self.deadline = problem, at, deadline
        chances = problem.probabilities(problem.constant)
        #: Curvature of the loss in the predictors at the constant model.
        self.curvature = max(float(np.mean(chances * (1 - chances))), 1e-3)
        self.V = np.zeros((at.F.shape[1], problem.n_outputs))
        self.c = problem.constant

    def fit(self, l2: float, most_iterations: int) -> Solution:
        """Fit at one strength.

        Raises
        ------
        OutOfTimeError
            If the deadline passes.
        """
        scale = 1.0 / np.sqrt(self.curvature * self.at.variance + l2)[:, None]
        scale_c = 1.0 / np.sqrt(self.curvature)
        shape = self.V.shape

        def objective(x: Floats) -> tuple[float, Floats]:
            V, c = scale * x[: self.V.size].reshape(shape), scale_c * x[self.V.size :]
            value, G, g = self._loss(V, c)
            gradient = scale * (G + l2 * V)
            return value + 0.5 * l2 * float(np.sum(V * V)), np.concatenate([gradient.ravel(), scale_c * g])

        found = minimize(
            objective,
            np.concatenate([(self.V / scale).ravel(), self.c / scale_c]),
            jac=True,
            method="L-BFGS-B",
            callback=lambda x: check_time(self.deadline),
            options={
                "maxiter": most_iterations,
                "maxfun": 2 * most_iterations,
                "maxcor": MEMORY,
                "gtol": LBFGS_TOLERANCE,
                "ftol": 0.0,
            },
        )
        self.V, self.c = scale * found.x[: self.V.size].reshape(shape), scale_c * found.x[self.V.size :]
        W = self.at.weights(self.V)
        # 2: no lower value was found along the line, which is rounding this near to the solution.
        return Solution(W=W, b=self.c - self.problem.mean @ W, converged=found.status != 1)

    def _loss(self, V: Floats, c: Floats) -> tuple[float, Floats, Floats]:
        """Return the mean loss of the centred coordinates, and its gradients in `V` and `c`."""
        problem, F = self.problem, self.at.F
        is_single = V.shape[1] == 1
        Z = (F @ V[:, 0])[:, None] if is_single else F @ V
        Z = Z + (c - self.at.mean @ V)
        value, P = problem.evaluate(Z)
        R = problem.weight[:, None] * (P - problem.T)
        g = R.sum(0)
        G = (F.T @ R[:, 0])[:, None] if is_single else F.T @ R
        return value, G - np.outer(self.at.mean, g), g


def _solve_limit(problem: Problem, solver: _Newton | _Lbfgs, deadline: Deadline) -> Solution:
    """Fit without penalty, or with a vanishing one where the classes are separable.

    Where a best fit without penalty exists, a penalty ten times smaller changes nothing; where it does not,
    the linear predictors keep growing by about log(10) (Albert and Anderson 1984; Rosset, Zhu and Hastie
    2004).
    """
    vanishing = 1.0 / (thresholds.VANISHING_C * problem.n_rows)
    # The way down in steps: each fit is then a few iterations from the last.
    for factor in (1e4, 1e2):
        check_time(deadline)
        solver.fit(vanishing * factor, LIMIT_ITERATIONS)
    before = solver.fit(vanishing * 10, LIMIT_ITERATIONS)
    check_time(deadline)
    last = solver.fit(vanishing, LIMIT_ITERATIONS)
    Z = problem.predict(last.W, last.b)
    growth = Z - problem.predict(before.W, before.b)
    if problem.n_outputs > 1:
        growth = growth - growth.mean(axis=1, keepdims=True)
        is_separated = bool(np.all(Z.argmax(1) == problem.T.argmax(1)))
    else:
        is_separated = bool(np.all((Z > 0) == (problem.T > 0.5)))
    # L-BFGS stops where the gradient vanishes, so complete separation is asked about directly.
    grows = bool(np.abs(growth).max() > thresholds.LIMIT_GROWTH)
    is_limit = is_separated or grows or not last.converged
    return Solution(W=last.W, b=last.b, converged=True, is_limit=is_limit)
