"""Where Optuna looks next: a sampler that reads the losses told as one smooth curve over the strengths.

The candidates of a kind share folds and seeds, so their losses are a smooth function of the logarithms of
the strengths, with next to no noise: a few points say a lot about it. A Gaussian process goes through them,
and the next candidate is where the expected improvement is largest (Jones, Schonlau and Welch 1998). All of
it is a closed form over a dozen points. It takes a millisecond, and nothing in it is random. How Optuna's own
samplers compare: ``docs/decisions/006-the-search.md``.

The sampler looks no farther than one step (``thresholds.SEARCH_STEP``) beyond what was tried. Where the best
lies on the edge, the search moves on from there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.trial import FrozenTrial, TrialState
from scipy.linalg import cho_factor, cho_solve
from scipy.special import ndtr

from regadvisor.thresholds import SEARCH_STEP, SEARCH_STEP_DROPOUT

Array = NDArray[np.float64]

#: User attribute of a trial: its mean held-out loss by fold, None where it was not trained.
FOLD_LOSSES = "fold_losses"
#: User attribute of a trial: whether it was cut before it was tried. Such a trial says nothing.
IS_CUT = "is_cut"
#: One step: the factor by which portfolios move a penalty, and how much they move dropout by.
FACTOR, STEP = 4.0, 0.15
#: Lengths of the kernel, in steps (see `_Axis`); the most likely one is used.
LENGTHS = (1.0, 2.0, 4.0)
#: Share of the variance that is noise.
NOISE = 1e-4
#: Places on an axis that are looked at, by the number of axes: finer than the width in which strengths tie.
N_PLACES = {1: 161, 2: 41, 3: 17}


class Surrogate(optuna.samplers.BaseSampler):
    """Asks for the strengths with the largest expected improvement on the lowest loss.

    `may_go_down`: whether to look below the least strength tried: less and less of it is another, simpler
    kind.
    """

    may_go_down: bool = False

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Return the strengths of the finished trials."""
        return optuna.search_space.intersection_search_space(study.get_trials(deepcopy=False))

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return the most promising strengths; a trial that is still running counts as its expected loss."""
        return self.best_guess(study)[0] if search_space else {}

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> float:
        """Return the middle of the range: nothing was told yet."""
        assert isinstance(param_distribution, FloatDistribution)
        low, high = param_distribution.low, param_distribution.high
        return math.sqrt(low * high) if param_distribution.log else (low + high) / 2

    def best_guess(self, study: optuna.Study) -> tuple[dict[str, float], float]:
        """Return the most promising strengths, and how much they are expected to lower the lowest loss."""
        trials = study.get_trials(deepcopy=False)
        space = optuna.search_space.intersection_search_space(trials)
        told = [
            trial for trial in trials if trial.state.is_finished() and not trial.user_attrs.get(IS_CUT, False)
        ]
        losses = losses_told(told)
        if not space or not np.isfinite(losses).any():
            return {}, 0.0
        axes = [
            _Axis.of(name, spec, [trial.params[name] for trial in told], may_go_down=self.may_go_down)
            for name, spec in space.items()
        ]
        at = np.array([[axis.place(trial.params[axis.name]) for axis in axes] for trial in told])
        places = _grid(axes)
        curve = _Curve.through(at, losses)
        for trial in trials:
            if trial.state == TrialState.RUNNING and space.keys() <= trial.params.keys():
                curve = curve.believing(np.array([[axis.place(trial.params[axis.name]) for axis in axes]]))
        gains = curve.improvement(places)
        found = int(np.argmax(gains))
        point = {axis.name: axis.value(places[found, k]) for k, axis in enumerate(axes)}
        return point, float(gains[found])


def losses_told(trials: Sequence[FrozenTrial]) -> Array:
    """Return the loss of every finished trial; a failed one is as bad as the worst.

    A trial that was stopped early is known on its first folds alone. The other folds are easier or harder by
    what they are for the trials that have all.
    """
    whole = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    losses = np.full(len(trials), np.nan)
    for i, trial in enumerate(trials):
        if trial.state == TrialState.COMPLETE and trial.value is not None:
            losses[i] = trial.value
        elif trial.state == TrialState.PRUNED:
            losses[i] = _on_all_folds(trial, whole)
    if np.isfinite(losses).any():
        losses = np.where(np.isfinite(losses), losses, np.nanmax(losses))
    return losses


def _on_all_folds(trial: FrozenTrial, whole: Sequence[FrozenTrial]) -> float:
    if not whole:
        return math.nan
    by_fold = trial.user_attrs[FOLD_LOSSES]
    first = [k for k, loss in enumerate(by_fold) if loss is not None]
    others = np.array([other.user_attrs[FOLD_LOSSES] for other in whole])
    own = float(np.mean([by_fold[k] for k in first]))
    return own + float(np.mean([other.value for other in whole]) - others[:, first].mean())


@dataclass(frozen=True, kw_only=True)
class _Axis:
    """One strength, measured in steps (`FACTOR`, `STEP`), and the stretch of it that is looked at."""

    name: str
    is_log: bool
    #: Ends of what is looked at, as strengths.
    low: float
    high: float

    @classmethod
    def of(cls, name: str, spec: BaseDistribution, tried: Sequence[float], *, may_go_down: bool) -> _Axis:
        assert isinstance(spec, FloatDistribution)
        if spec.log:
            low, high = min(tried) / SEARCH_STEP, max(tried) * SEARCH_STEP
        else:
            low, high = min(tried) - SEARCH_STEP_DROPOUT, max(tried) + SEARCH_STEP_DROPOUT
        low = max(low, spec.low) if may_go_down else min(tried)
        return cls(name=name, is_log=spec.log, low=low, high=min(high, spec.high))

    def place(self, value: float) -> float:
        return math.log(value, FACTOR) if self.is_log else value / STEP

    def value(self, place: float) -> float:
        value = FACTOR**place if self.is_log else STEP * place
        return float(min(max(value, self.low), self.high))


def _grid(axes: Sequence[_Axis]) -> Array:
    """Return the places that are looked at, shape (n_places, n_axes)."""
    lines = [np.linspace(axis.place(axis.low), axis.place(axis.high), N_PLACES[len(axes)]) for axis in axes]
    return np.stack([line.ravel() for line in np.meshgrid(*lines, indexing="ij")], axis=1)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Curve:
    """A Gaussian process through warped losses: ``log(1 + excess over the best / scale)``.

    Losses explode where a strength is far off. The logarithm keeps that from bending the curve near the best.
    """

    at: Array  # (n, n_axes)
    warped: Array  # (n,)
    length: float
    best: float
    scale: float

    @classmethod
    def through(cls, at: Array, losses: Array) -> _Curve:
        best = float(losses.min())
        scale = max(float(np.median(losses)) - best, 1e-9 * max(abs(best), 1e-12))
        warped = np.log1p((losses - best) / scale)
        curves = [cls(at=at, warped=warped, length=each, best=best, scale=scale) for each in LENGTHS]
        return max(curves, key=lambda curve: curve.likelihood)

    @property
    def likelihood(self) -> float:
        _, _, variance, factor = self._solved()
        n = len(self.warped)
        return -0.5 * n * math.log(max(variance, 1e-300)) - float(np.log(np.diag(factor)).sum())

    def _solved(self) -> tuple[float, Array, float, Array]:
        """Return mean, weights and variance, and the triangular factor of the kernel."""
        kernel = _matern(self.at, self.at, self.length) + NOISE * np.eye(len(self.at))
        factor = cho_factor(kernel, lower=True)
        ones = cho_solve(factor, np.ones(len(self.at)))
        mean = float(ones @ self.warped / ones.sum())
        weights = cho_solve(factor, self.warped - mean)
        variance = float((self.warped - mean) @ weights) / len(self.at)
        return mean, weights, variance, factor[0]

    def _predict(self, places: Array) -> tuple[Array, Array]:
        mean, weights, variance, lower = self._solved()
        cross = _matern(places, self.at, self.length)
        explained = np.einsum("ij,ij->i", cross, cho_solve((lower, True), cross.T).T)
        return mean + cross @ weights, np.sqrt(np.maximum(variance * (1.0 - explained), 1e-18))

    def believing(self, at: Array) -> _Curve:
        """Return the curve with what it expects of a place taken for granted."""
        mean, _ = self._predict(at)
        return _Curve(
            at=np.concatenate([self.at, at]),
            warped=np.concatenate([self.warped, mean]),
            length=self.length,
            best=self.best,
            scale=self.scale,
        )

    def improvement(self, places: Array) -> Array:
        """Return the expected improvement on the lowest loss, in its unit (to first order of the logarithm).

        What is already asked for, and expected to be lower, has to be improved on.
        """
        mean, sd = self._predict(places)
        z = (float(self.warped.min()) - mean) / sd
        density = np.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)
        gain: Array = self.scale * sd * (z * ndtr(z) + density)
        return gain


def _matern(a: Array, b: Array, length: float) -> Array:
    """Return the Matérn 5/2 kernel between places."""
    r = math.sqrt(5.0) * np.sqrt(((a[:, None, :] - b[None, :, :]) ** 2).sum(axis=2)) / length
    kernel: Array = (1.0 + r + r * r / 3.0) * np.exp(-r)
    return kernel
