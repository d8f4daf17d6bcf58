"""L1 and elastic-net classification with many active weights: all strengths together by FISTA.

Accelerated proximal gradient (Beck and Teboulle 2009) with adaptive restart (O'Donoghue and Candès 2015) and
a step size that follows the local curvature, per model. Models carry an axis of their own, so one matrix
product serves all strengths; finished models leave the batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from regadvisor.deadline import Deadline
from regadvisor.families.linear_problem import Floats, Penalty, Problem, Solution, check_time, soft

#: Norm (largest entry) of the gradient mapping at a solution, relative to the gradient at the constant model.
TOLERANCE = 1e-5
ITERATIONS = 20_000
#: Iterations between two looks at convergence and at the clock.
LOOK = 20


@dataclass(eq=False)
class _Batch:
    """The models under way; axes (features or rows, models, outputs)."""

    index: np.ndarray
    l1: Floats
    l2: Floats
    #: Inverse step sizes.
    L: Floats
    #: Momentum.
    t: Floats
    W: Floats
    b: Floats
    Z: Floats
    #: The extrapolated point and its predictors.
    V: Floats
    c: Floats
    Y: Floats
    #: Largest entry of the gradient mapping at the last accepted step.
    residual: Floats

    def keep(self, mask: np.ndarray) -> None:
        """Drop the models outside the mask."""
        for name in ("index", "l1", "l2", "L", "t", "residual", "b", "c"):
            setattr(self, name, getattr(self, name)[mask])
        for name in ("W", "Z", "V", "Y"):
            setattr(self, name, np.ascontiguousarray(getattr(self, name)[:, mask]))


def solve_fista(
    problem: Problem, penalties: Sequence[Penalty], starts: Sequence[Solution], *, deadline: Deadline
) -> list[Solution]:
    """Return the solutions of all penalties on one fold.

    Parameters
    ----------
    starts : sequence of Solution
        First guess of each model.

    Raises
    ------
    OutOfTimeError
        If the deadline passes.
    """
    batch = _begin(problem, penalties, starts)
    # Below this the gradient mapping is zero for our purposes.
    floor = TOLERANCE * max(problem.l1_max, 1e-12)
    done: dict[int, Solution] = {}
    for iteration in range(ITERATIONS):
        if iteration % LOOK == 0:
            check_time(deadline)
            _retire(problem, batch, done, batch.residual <= floor, converged=True)
            if not len(batch.index):
                break
        _advance(problem, batch)
    _retire(problem, batch, done, np.ones(len(batch.index), dtype=bool), converged=False)
    return [done[i] for i in range(len(penalties))]


def _begin(problem: Problem, penalties: Sequence[Penalty], starts: Sequence[Solution]) -> _Batch:
    """Put the first guesses side by side."""
    W = np.stack([start.W for start in starts], axis=1)
    # From here on the features are centred, and the intercepts those that go with that.
    b = np.stack([start.b + problem.mean @ start.W for start in starts])
    Z = _predict(problem, W, b)
    # The logistic loss has curvature of at most 1/4 (two classes) or 1/2 (softmax); usually far less, so
    # the first guess is bold and corrected where it is wrong.
    bound = (0.25 if problem.n_outputs == 1 else 0.5) * max(problem.largest_eigenvalue, 1e-12)
    n = len(penalties)
    return _Batch(
        index=np.arange(n),
        l1=np.array([p.l1 for p in penalties]),
        l2=np.array([p.l2 for p in penalties]),
        L=np.full(n, bound / 2),
        t=np.ones(n),
        W=W,
        b=b,
        Z=Z,
        V=W,
        c=b,
        Y=Z,
        residual=np.full(n, np.inf),
    )


def _predict(problem: Problem, W: Floats, b: Floats) -> Floats:
    """Linear predictors (n_rows, n_models, n_outputs) by one matrix product."""
    flat = W.reshape(problem.n_features, -1)
    flat = problem.X @ flat - problem.mean @ flat
    return np.asarray(flat.reshape(len(flat), *W.shape[1:]) + b, dtype=np.float64)


def _gradient(problem: Problem, R: Floats) -> Floats:
    """Gradients of the centred features (n_features, n_models, n_outputs)."""
    flat = R.reshape(len(R), -1)
    gradient = problem.X.T @ flat - np.outer(problem.mean, flat.sum(0))
    return np.asarray(gradient.reshape(problem.n_features, *R.shape[1:]), dtype=np.float64)


def _advance(problem: Problem, batch: _Batch) -> None:
    """One proximal gradient step of every model; a step that was too long is shortened and not taken."""
    R = problem.weight[:, None, None] * (problem.probabilities(batch.Y) - problem.targets(batch.Y))
    gradient = _gradient(problem, R)
    # Centred features decouple the intercept in the curvature bound: it has a step size of its own.
    L, scale_b = batch.L, 1.0 / max(problem.largest_eigenvalue, 1e-12)
    W = soft(batch.V - gradient / L[:, None], (batch.l1 / L)[:, None]) / (1 + batch.l2 / L)[:, None]
    b = batch.c - R.sum(0) / (scale_b * L)[:, None]
    Z = _predict(problem, W, b)
    step, step_b = W - batch.V, b - batch.c
    length = (step**2).sum((0, 2)) + scale_b * (step_b**2).sum(1)
    # Bregman distance of the loss: above the quadratic bound means that the step was too long.
    now = problem.loss(batch.Y)
    distance = problem.loss(Z) - now - (R * (Z - batch.Y)).sum((0, 2))
    accepted = distance <= 0.5 * L * length + 1e-13 * np.maximum(now, 1e-3)
    batch.L = np.where(accepted, L * 0.97, L * 2.0)
    # Momentum that points uphill is forgotten.
    uphill = -(step * (W - batch.W)).sum((0, 2)) - scale_b * (step_b * (b - batch.b)).sum(1) > 0
    t = np.where(uphill, 1.0, batch.t)
    t_next = (1 + np.sqrt(1 + 4 * t**2)) / 2
    beta = np.where(uphill, 0.0, (t - 1) / t_next)
    size = np.maximum(np.abs(step).max((0, 2)), np.sqrt(scale_b) * np.abs(step_b).max(1)) * L

    def take(new: Floats, old: Floats, mask: np.ndarray) -> Floats:
        return np.where(mask, new, old)

    models, rows = accepted[:, None], accepted[None, :, None]
    batch.V = take(W + beta[None, :, None] * (W - batch.W), batch.V, rows)
    batch.c = take(b + beta[:, None] * (b - batch.b), batch.c, models)
    batch.Y = take(Z + beta[None, :, None] * (Z - batch.Z), batch.Y, rows)
    batch.W, batch.b, batch.Z = take(W, batch.W, rows), take(b, batch.b, models), take(Z, batch.Z, rows)
    batch.t = np.where(accepted, t_next, batch.t)
    batch.residual = np.where(accepted, size, batch.residual)


def _retire(
    problem: Problem, batch: _Batch, done: dict[int, Solution], mask: np.ndarray, *, converged: bool
) -> None:
    """Take the models in the mask out of the batch."""
    if not mask.any():
        return
    for i in np.flatnonzero(mask):
        W = batch.W[:, i].copy()
        b = batch.b[i] - problem.mean @ W
        done[int(batch.index[i])] = Solution(W=W, b=b, converged=converged)
    batch.keep(~mask)
