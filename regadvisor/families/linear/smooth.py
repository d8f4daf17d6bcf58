"""Classification without L1: Newton's method for few weights, preconditioned L-BFGS for many.

L2 does not care how the features are rotated, so dense ones are first expressed in their singular
directions: p > n becomes n columns, and directions that carry nothing disappear (their weights are zero, the
smallest norm). There the curvature of the loss is nearly diagonal and known beforehand, which is what L-BFGS
needs: on 99 to 140 collinear features it takes a fifth to a fortieth of the time of scikit-learn's, which
works on the features themselves. Sparse features stay as they are: a pass over what is not zero costs less
than any rotation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import Bounds, OptimizeResult, minimize

from regadvisor import thresholds
from regadvisor.deadline import Deadline
from regadvisor.families.linear.newton import descend
from regadvisor.families.linear.problem import (
    FEWEST_FOR_GRAM,
    Floats,
    Penalty,
    Problem,
    Solution,
    constant_solution,
    predictors,
)

#: Up to this many weights a Newton step (its cost grows with their square) beats L-BFGS; with two classes and
#: a penalty, where L-BFGS needs few iterations, up to the second number.
LARGEST_NEWTON, LARGEST_NEWTON_OF_PAIR = 300, 40
#: Largest gradient at a solution of L-BFGS, in units in which the curvature is about 1. Held-out losses of
#: strengths near the best were then within 1e-5 of the exact ones on seven sets.
LBFGS_TOLERANCE = 1e-5
ITERATIONS = 5000
#: L-BFGS has settled, too, if so many iterations lowered the objective by no more than this share of it.
SETTLED_ITERATIONS, SETTLED_SHARE = 10, 1e-5
#: So many directions take about six seconds in which no deadline is looked at.
MOST_DIRECTIONS = 3000
#: Features are not collinear if their variance is that of so many directions as strong as the strongest.
MANY_DIRECTIONS = 30
#: Gradients that L-BFGS remembers: its own work is half of the time, and 20 saved hardly a step.
MEMORY = 8
#: On the way to a vanishing penalty solvers crawl along directions that hardly matter to any other candidate.
#: The way begins with so many iterations at a weak penalty. What has not settled after so many more at each
#: of two vanishing ones counts as the limit, and is labelled so.
WEAK_ITERATIONS, LIMIT_ITERATIONS = 400, 100
#: With so many classes L-BFGS also takes L1, in a third to a quarter of the time of Newton's steps, whose
#: Hessians grow with the square of the active weights (150 classes × 496 sparse features, 30 × 60 dense
#: ones), and on the way to a vanishing penalty it gets this share of the iterations.
MANY_OUTPUTS, MANY_OUTPUTS_SHARE = 20, 0.25
#: Weights of zero begin to move where their gradient exceeds the penalty by more than this share; where this
#: share of them do at once, all do.
JOINING, MANY_JOIN = 0.01, 0.3
#: There, what stops early is penalised by that: at the usual tolerances the held-out loss of no penalty was
#: off by 17% on faces. These are L-BFGS's tolerance and the share that Newton's last step gains.
LIMIT_TOLERANCE, LIMIT_SETTLED = 5e-7, 1e-9

#: Fits one L2 strength from a solution in at most so many iterations (None: as many as it needs).
_Fit = Callable[[float, Solution, int | None], Solution]


def solve_smooth(problem: Problem, l2: float, *, deadline: Deadline) -> Solution:
    """Return the solution for an L2 strength; 0 means none, or its limit where that does not exist."""
    spectrum = problem.spectrum if _pays_to_turn(problem) else None
    turned = problem if spectrum is None else replace(problem, X=spectrum.rows)
    most = LARGEST_NEWTON if l2 == 0.0 or problem.n_outputs > 1 else LARGEST_NEWTON_OF_PAIR
    is_small = turned.n_features * turned.n_outputs <= most and not problem.is_sparse

    def fit(l2: float, start: Solution, most_iterations: int | None) -> Solution:
        if is_small:
            settled = LIMIT_SETTLED if most_iterations else None
            return descend(turned, Penalty(l2=l2), start, settled=settled, deadline=deadline)
        return lbfgs(turned, Penalty(l2=l2), start, deadline, most_iterations=most_iterations)

    deadline.check()
    start = constant_solution(turned)
    found = fit(l2, start, None) if l2 else _limit(turned, fit, start)
    return found if spectrum is None else replace(found, W=spectrum.weights(found.W))


def _pays_to_turn(problem: Problem) -> bool:
    """Whether the features are expressed in their singular directions.

    Many of them cost more than some fits, which is worth it if the features are collinear or wide.
    """
    n, p = problem.X.shape
    if problem.is_sparse or min(n, p) > MOST_DIRECTIONS:
        return False
    if min(n, p) <= FEWEST_FOR_GRAM or p > 2 * n:
        return True
    return float(problem.variance.sum()) < MANY_DIRECTIONS * problem.largest_eigenvalue


class _Objective:
    """The objective and its gradient in units in which the curvature is about 1 for every weight.

    With L1 a weight is the difference of two numbers that must not be negative, whose sum is penalised. The
    numbers are those of the weights that move, then the intercepts.
    """

    def __init__(self, problem: Problem, penalty: Penalty, moving: NDArray[np.bool_]) -> None:
        self.problem, self.penalty, self.moving = problem, penalty, moving
        chances = problem.probabilities(problem.constant)
        # Curvature of the loss in the predictors at the constant model.
        curvature = max(float(np.mean(chances * (1 - chances))), 1e-3)
        # Features that never vary have no curvature, and no gradient that could move their weights.
        scale = 1.0 / np.sqrt(np.maximum(curvature * problem.variance + penalty.l2, 1e-12))[:, None]
        self.scale = np.broadcast_to(scale, moving.shape)[moving]
        self.scale_c = 1.0 / np.sqrt(curvature)
        self.signs = np.array([1.0, -1.0] if penalty.l1 else [1.0])[:, None]
        self.n_parts = len(self.signs) * self.scale.size

    @property
    def bounds(self) -> Bounds | None:
        """What the numbers must not leave."""
        if not self.penalty.l1:
            return None
        least = np.repeat([0.0, -np.inf], [self.n_parts, self.problem.n_outputs])
        return Bounds(least, np.inf)

    def packed(self, start: Solution) -> Floats:
        """Return a solution as numbers."""
        parts = self.signs * (start.W[self.moving] / self.scale)
        parts = np.maximum(parts, 0.0) if self.penalty.l1 else parts
        return np.concatenate([parts.ravel(), (start.b + self.problem.mean @ start.W) / self.scale_c])

    def unpacked(self, x: Floats) -> tuple[Floats, Floats, Floats]:
        """Return the parts of the weights, the weights, and the intercepts."""
        parts = self.scale * x[: self.n_parts].reshape(len(self.signs), -1)
        W = np.zeros(self.moving.shape)
        W[self.moving] = (self.signs * parts).sum(axis=0)
        # Centred features: their intercept hardly depends on the weights.
        return parts, W, self.scale_c * x[self.n_parts :] - self.problem.mean @ W

    def __call__(self, x: Floats) -> tuple[float, Floats]:
        problem, l1, l2 = self.problem, self.penalty.l1, self.penalty.l2
        parts, W, b = self.unpacked(x)
        value, P = problem.evaluate(predictors(problem.X, W, b))
        R = problem.weight[:, None] * (P - problem.T)
        g = problem.gradient_b(R)
        gradient = problem.gradient(R) - np.outer(problem.mean, g) + l2 * W
        slopes = self.scale * (self.signs * gradient[self.moving] + l1)
        value += l1 * float(parts.sum()) + 0.5 * l2 * float(np.sum(W * W))
        return value, np.concatenate([slopes.ravel(), self.scale_c * g])


def lbfgs(
    problem: Problem,
    penalty: Penalty,
    start: Solution,
    deadline: Deadline,
    *,
    most_iterations: int | None = None,
    moving: NDArray[np.bool_] | None = None,
) -> Solution:
    """Fit by SciPy's L-BFGS.

    `most_iterations`: on the way to a limit. `moving` (n_features, n_outputs): weights that may differ from
    zero; all if left out.
    """
    at = np.ones(start.W.shape, dtype=np.bool_) if moving is None else moving
    objective, values = _Objective(problem, penalty, at), list[float]()

    def watch(intermediate_result: OptimizeResult) -> None:
        deadline.check()
        values.append(float(intermediate_result.fun))
        before = values[-1 - SETTLED_ITERATIONS :][0]
        # On the way to a limit the values say nothing of the weights, which grow for ever.
        may_settle = most_iterations is None and len(values) > SETTLED_ITERATIONS
        if may_settle and before - values[-1] <= SETTLED_SHARE * values[-1]:
            raise StopIteration

    found = minimize(
        objective,
        objective.packed(start),
        jac=True,
        method="L-BFGS-B",
        bounds=objective.bounds,
        callback=watch,
        options={
            "maxiter": most_iterations or ITERATIONS,
            "maxfun": 2 * (most_iterations or ITERATIONS),
            "maxcor": MEMORY,
            "gtol": LIMIT_TOLERANCE if most_iterations else LBFGS_TOLERANCE,
            "ftol": 0.0,
        },
    )
    _, W, b = objective.unpacked(found.x)
    # 2: no lower value was found along the line, which is rounding this near to the solution.
    return Solution(W=W, b=b, converged=found.status != 1)


def sparse_lbfgs(problem: Problem, penalty: Penalty, deadline: Deadline) -> Solution:
    """Fit L1 or elastic net by L-BFGS on a growing set of weights: most of very many stay zero.

    SciPy takes several microseconds a number for bounds alone, which was most of the time.
    """
    found = constant_solution(problem)
    moving = np.zeros(found.W.shape, dtype=np.bool_)
    while True:
        R = problem.weight[:, None] * (problem.evaluate(problem.predict(found.W, found.b))[1] - problem.T)
        gradient = problem.gradient(R) - np.outer(problem.mean, R.sum(0)) + penalty.l2 * found.W
        joining = ~moving & (np.abs(gradient) > (1.0 + JOINING) * penalty.l1)
        if not joining.any():
            return replace(found, converged=found.converged or not moving.any())
        moving |= joining | (joining.mean() > MANY_JOIN)
        found = lbfgs(problem, penalty, found, deadline, moving=moving)


def _limit(problem: Problem, fit: _Fit, start: Solution) -> Solution:
    """Fit without penalty, or with a vanishing one where the classes are separable.

    Where a best fit without penalty exists, a penalty ten times smaller changes nothing; where it does not,
    the linear predictors keep growing by about log(10) (Albert and Anderson 1984; Rosset, Zhu and Hastie
    2004). They grow elsewhere, too: along features that are nearly combinations of others, and where the
    iterations end first. What tells these apart is that without a best fit no row is lost by the growth. The
    way down begins at a weak penalty, which is soon solved for.
    """
    vanishing = 1.0 / (thresholds.VANISHING_C * problem.n_rows)
    share = MANY_OUTPUTS_SHARE if problem.n_outputs >= MANY_OUTPUTS else 1.0
    n_weak, n_limit = round(share * WEAK_ITERATIONS), round(share * LIMIT_ITERATIONS)
    weak = fit(1e4 * vanishing, start, n_weak)
    before = fit(10 * vanishing, weak, n_limit)
    last = fit(vanishing, before, n_limit)
    Z = problem.predict(last.W, last.b)
    # How far each row's own class is ahead of the others, and what that has grown by.
    ahead = problem.leads(Z)
    grown = ahead - problem.leads(problem.predict(before.W, before.b))
    # L-BFGS stops where the gradient vanishes, so complete separation is asked about directly.
    n_others = ahead.size - (problem.n_rows if problem.n_outputs > 1 else 0)
    is_separated = np.count_nonzero(ahead > 0) == n_others
    most = float(grown.max())
    grows = most > thresholds.LIMIT_GROWTH and float(grown.min()) >= -thresholds.LIMIT_LOST * most
    return replace(last, converged=True, is_limit=is_separated or grows)
