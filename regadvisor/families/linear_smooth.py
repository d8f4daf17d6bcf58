"""Classification without L1: Newton for few weights, preconditioned L-BFGS for many.

L2 does not care how the features are rotated, so dense ones are first expressed in their singular
directions: p > n becomes n columns, and directions that carry nothing disappear (their weights are zero, the
smallest norm). There the curvature of the loss is nearly diagonal and known beforehand, which is what L-BFGS
needs. Sparse features stay as they are: a pass over what is not zero costs less than any rotation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.linalg import lapack
from scipy.optimize import minimize

from regadvisor import thresholds
from regadvisor.deadline import Deadline
from regadvisor.families.linear_curvature import curvature_at
from regadvisor.families.linear_problem import (
    Floats,
    Matrix,
    Penalty,
    Problem,
    Solution,
    check_time,
    predictors,
)
from regadvisor.families.linear_spectrum import Spectrum

#: Up to this many weights a Newton step (its cost grows with their square) beats L-BFGS; with two classes and
#: a penalty, where L-BFGS needs few iterations, up to the second number.
LARGEST_NEWTON, LARGEST_NEWTON_OF_PAIR = 300, 150
#: A Newton step that promises no more than this share of the objective is the last one.
SETTLED = 1e-9
#: Largest gradient at a solution of L-BFGS, in units in which the curvature is about 1. At 1e-6, held-out
#: losses of weak penalties on separable words were off by up to 0.1%.
LBFGS_TOLERANCE = 1e-7
#: Shares of a Newton step that are tried.
SHARES = tuple(0.5**halvings for halvings in range(30))
ITERATIONS = 5000
#: Gradients that L-BFGS remembers: its own work is half of the time, and 20 saved hardly a step.
MEMORY = 8
#: On the way to a vanishing penalty solvers crawl along directions that hardly matter to any other
#: candidate: on 10 classes of 99 collinear features 5,000 iterations a step took 81 s (500: 4.5 s) for a
#: baseline that loses by far. What has not settled so closely after so many counts as the limit, and is
#: labelled so.
LIMIT_ITERATIONS, LIMIT_TOLERANCE = 500, 1e-6


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
    spectrum : Spectrum or None
        What the coordinates are directions of; None: they are the features.
    """

    F: Matrix
    mean: Floats
    variance: Floats
    spectrum: Spectrum | None

    def weights(self, V: Floats) -> Floats:
        """Return weights of the features from weights of the coordinates."""
        return V if self.spectrum is None else self.spectrum.weights(V)


def solve_smooth(problem: Problem, penalties: Sequence[Penalty], *, deadline: Deadline) -> list[Solution]:
    """Return the solutions for L2 strengths; 0 means none, or its limit where that does not exist.

    Raises
    ------
    OutOfTimeError
        If the deadline passes between two strengths.
    """
    at = _coordinates(problem)
    has_limit = any(penalty.l2 == 0.0 for penalty in penalties)
    most = LARGEST_NEWTON if has_limit or problem.n_outputs > 1 else LARGEST_NEWTON_OF_PAIR
    is_small = at.F.shape[1] * problem.n_outputs <= most and not problem.is_sparse
    tol = LIMIT_TOLERANCE if has_limit else LBFGS_TOLERANCE
    solver: _Newton | _Lbfgs = (
        _Newton(problem, at, deadline) if is_small else _Lbfgs(problem, at, deadline, tol)
    )
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
        return _Coordinates(F=problem.X, mean=problem.mean, variance=variance, spectrum=None)
    found = problem.spectrum
    return _Coordinates(F=found.F, mean=np.zeros(len(found.s)), variance=np.square(found.s), spectrum=found)


class _Newton:
    """Newton's method with a line search; each fit starts from the last."""

    def __init__(self, problem: Problem, at: _Coordinates, deadline: Deadline) -> None:
        self.problem, self.at, self.deadline = problem, at, deadline
        self.V, self.c = np.zeros((at.F.shape[1], problem.n_outputs)), problem.constant

    def fit(self, l2: float, most_iterations: int) -> Solution:
        """Fit at one strength.

        Raises
        ------
        OutOfTimeError
            If the deadline passes.
        """
        problem, F = self.problem, self.at.F
        Z = predictors(F, self.V, self.c)
        value, P = problem.evaluate(Z)
        value += 0.5 * l2 * float(np.sum(self.V * self.V))
        converged = False
        for _ in range(most_iterations):
            check_time(self.deadline)
            R = problem.weight[:, None] * (P - problem.T)
            G, g = np.asarray(F.T @ R) + l2 * self.V, R.sum(0)
            D, d = self._direction(P, G, g, l2)
            slope = float(np.sum(G * D) + g @ d)
            # What is left to gain after so small a step is about the square of what it gains.
            converged = -slope <= SETTLED * value
            if converged:
                self.V, self.c = self.V + D, self.c + d
                break
            change = predictors(F, D, d)
            for share in SHARES:
                V, Z_there = self.V + share * D, Z + share * change
                there, P_there = problem.evaluate(Z_there)
                there += 0.5 * l2 * float(np.sum(V * V))
                if there <= value + 1e-4 * share * slope:
                    break
            else:
                break
            self.V, self.c, Z, P, value = V, self.c + share * d, Z_there, P_there, there
        W = self.at.weights(self.V)
        return Solution(W=W, b=self.c - self.problem.mean @ W, converged=converged)

    def _direction(self, P: Floats, G: Floats, g: Floats, l2: float) -> tuple[Floats, Floats]:
        """Return the Newton step of the weights and of the intercepts."""
        model = curvature_at(self.at.F, self.problem.weight, P)
        d = _newton_direction(model.H, l2, model.reduced(G.T.ravel(), g))
        return d.reshape(G.shape[::-1]).T, model.step_b(d, g)


def _newton_direction(H: Floats, l2: float, gradient: Floats) -> Floats:
    """Return ``-(H + l2)⁻¹·gradient``, with a little more than l2 where that is singular to rounding."""
    ridge = l2
    while True:
        A = H.copy()
        A[np.diag_indices_from(A)] += ridge
        factor, info = lapack.dpotrf(A.T, lower=1, clean=0, overwrite_a=1)
        if not info:
            return -np.asarray(lapack.dpotrs(factor, gradient, lower=1)[0], dtype=np.float64)
        ridge = max(10 * ridge, 1e-14 * float(np.trace(H)))


class _Lbfgs:
    """SciPy's L-BFGS in coordinates whose curvature is about 1; each fit starts from the last."""

    def __init__(self, problem: Problem, at: _Coordinates, deadline: Deadline, tol: float) -> None:
        self.problem, self.at, self.deadline, self.tol = problem, at, deadline, tol
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
                "gtol": self.tol,
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
        value, P = problem.evaluate(predictors(F, V, c - self.at.mean @ V))
        R = problem.weight[:, None] * (P - problem.T)
        g = R.sum(0)
        G = (F.T @ R[:, 0])[:, None] if len(g) == 1 else F.T @ R
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
