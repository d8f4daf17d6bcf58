"""The sampler: what it asks of Optuna, against grids, other libraries and plain arithmetic."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.trial import TrialState
from scipy import integrate, stats
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import Matern

from regadvisor.candidates import Range
from regadvisor.search.sampler import FOLD_LOSSES, IS_CUT, NOISE, Surrogate, _Curve, losses_told
from regadvisor.search.study import distribution, new_study

PENALTY = Range(low=1e-3, high=1e1, hard_low=1e-6, hard_high=1e4)
DROPOUT = Range(low=0.05, high=0.6, is_log=False, hard_low=0.01, hard_high=0.9)
Loss = Callable[[Mapping[str, float]], float]


def told(loss: Loss, points: list[dict[str, float]], ranges: Mapping[str, Range]) -> optuna.Study:
    """Return a study that was told the losses of these points."""
    study = new_study("test", Surrogate())
    for point in points:
        study.enqueue_trial(point)
        trial = study.ask({name: distribution(span, [point[name]]) for name, span in ranges.items()})
        study.tell(trial, loss(trial.params))
    return study


def bowl(best: Mapping[str, float]) -> Loss:
    """Return a loss that is 1 at the best strengths and rises with the squared distance in decades."""

    def loss(point: Mapping[str, float]) -> float:
        return 1.0 + sum(0.1 * math.log10(point[name] / best[name]) ** 2 for name in best)

    return loss


@settings(deadline=None, max_examples=25)
@given(best=st.floats(-4.0, 2.0))
def test_a_smooth_loss_is_found_in_a_few_trials(best: float) -> None:
    loss = bowl({"l2": 10**best})
    study = told(loss, [{"l2": value} for value in (0.1, 0.01, 1.0, 3e-3, 3.0)], {"l2": PENALTY})
    study.sampler.may_go_down = True  # type: ignore[attr-defined]
    study.optimize(lambda trial: loss({"l2": trial.suggest_float("l2", 1e-6, 1e4, log=True)}), n_trials=8)
    assert study.best_value <= 1.001


def test_two_strengths_are_found_together() -> None:
    loss = bowl({"l1": 0.03, "l2": 2.0})
    points = [{"l1": a, "l2": b} for a, b in ((0.1, 0.1), (0.01, 0.01), (1.0, 1.0), (0.1, 1.0), (1.0, 0.1))]
    study = told(loss, points, {"l1": PENALTY, "l2": PENALTY})
    assert study.best_value > 1.02
    space = {name: distribution(PENALTY) for name in ("l1", "l2")}
    for _ in range(8):
        trial = study.ask(dict(space))
        study.tell(trial, loss(trial.params))
    assert study.best_value <= 1.001


def test_dropout_is_searched_on_its_own_scale_and_within_its_limits() -> None:
    points = [{"dropout": value} for value in (0.1, 0.25, 0.5)]
    study = told(lambda point: 1.0 - point["dropout"], points, {"dropout": DROPOUT})
    asked = [study.ask({"dropout": distribution(DROPOUT)}) for _ in range(3)]
    assert 0.5 < max(trial.params["dropout"] for trial in asked) <= 0.75
    study = told(lambda point: 1.0 - point["dropout"], [*points, {"dropout": 0.8}], {"dropout": DROPOUT})
    assert 0.8 < study.ask({"dropout": distribution(DROPOUT)}).params["dropout"] <= 0.9


@pytest.mark.parametrize("is_down", [True, False])
def test_it_looks_one_decade_beyond_what_was_tried_downwards_only_if_it_may(is_down: bool) -> None:
    points = [{"l2": value} for value in (0.1, 1.0, 10.0)]
    study = told(lambda point: math.log10(point["l2"]), points, {"l2": PENALTY})
    study.sampler.may_go_down = is_down  # type: ignore[attr-defined]
    found, _ = study.sampler.best_guess(study)  # type: ignore[attr-defined]
    assert (0.01 <= found["l2"] < 0.05) if is_down else (found["l2"] >= 0.1)
    up = told(lambda point: -math.log10(point["l2"]), points, {"l2": PENALTY})
    assert all(20.0 < up.ask({"l2": distribution(PENALTY)}).params["l2"] <= 100.0 for _ in range(2))


def test_trials_that_run_are_not_asked_for_again() -> None:
    loss = bowl({"l2": 0.05})
    study = told(loss, [{"l2": value} for value in (0.1, 0.01, 1.0, 3e-3, 3.0)], {"l2": PENALTY})
    space = {"l2": distribution(PENALTY)}
    first, second = (study.ask(dict(space)).params["l2"] for _ in range(2))
    assert abs(math.log(first / second)) > 0.05


def test_the_next_candidate_depends_on_nothing_but_what_was_told() -> None:
    points = [{"l1": 0.1, "l2": 0.1}, {"l1": 0.01, "l2": 1.0}, {"l1": 1.0, "l2": 0.03}]
    ranges = {"l1": PENALTY, "l2": PENALTY}
    space = {name: distribution(PENALTY) for name in ranges}
    loss = bowl({"l1": 0.03, "l2": 2.0})
    asked = [told(loss, order, ranges).ask(dict(space)).params for order in (points, points, points[::-1])]
    assert asked[0] == asked[1]
    assert asked[2] == pytest.approx(asked[0])
    scaled = told(lambda point: 1e6 * loss(point), points, ranges).ask(dict(space)).params
    assert scaled == pytest.approx(asked[0])


def test_an_empty_study_asks_for_the_middle() -> None:
    study = new_study("test", Surrogate())
    trial = study.ask({"l2": distribution(Range(low=0.1, high=1.0, hard_low=0.01, hard_high=100.0))})
    assert trial.params["l2"] == pytest.approx(1.0)
    assert new_study("test", Surrogate()).ask({"dropout": distribution(DROPOUT)}).params["dropout"] == (
        pytest.approx((0.01 + 0.9) / 2)
    )
    assert study.sampler.best_guess(study) == ({}, 0.0)  # type: ignore[attr-defined]


def test_the_curve_is_that_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    at, losses = rng.normal(size=(9, 2)), rng.uniform(1.0, 2.0, 9)
    curve = _Curve.through(at, losses)
    # sklearn's process has a mean of 0: ours is taken off what it is given.
    mean, _, variance, _ = curve._solved()
    process = GaussianProcessRegressor(
        kernel=Matern(length_scale=curve.length, nu=2.5), alpha=NOISE, optimizer=None
    ).fit(at, curve.warped - mean)
    places = rng.normal(size=(20, 2))
    expected, sd = process.predict(places, return_std=True)
    ours, our_sd = curve._predict(places)
    np.testing.assert_allclose(ours, mean + expected, atol=1e-8)
    np.testing.assert_allclose(our_sd, math.sqrt(variance) * sd, rtol=1e-4)


def test_the_improvement_is_that_of_numerical_integration() -> None:
    at = np.array([[-2.0], [-1.0], [0.0], [1.0], [2.5]])
    losses = np.array([1.4, 1.1, 1.0, 1.2, 2.0])
    curve = _Curve.through(at, losses)
    places = np.array([[-0.4], [0.3], [4.0]])
    mean, sd = curve._predict(places)
    for place, m, s in zip(places, mean, sd, strict=True):
        below, _ = integrate.quad(lambda z, m=m, s=s: -z * stats.norm.pdf(z, m, s), m - 12 * s, 0.0)
        expected = pytest.approx(curve.scale * below, rel=1e-6, abs=1e-12)
        assert curve.improvement(place[None])[0] == expected
    # A place taken for granted leaves nothing to gain there.
    assert curve.believing(places[:1]).improvement(places[:1])[0] < 0.1 * curve.improvement(places[:1])[0]


def test_a_stopped_trial_is_moved_by_what_its_folds_are_for_the_others() -> None:
    # Losses are the strength's own plus the fold's; the first fold is harder than the others by 0.6.
    own, fold = np.array([1.0, 0.8, 0.9]), np.array([0.4, -0.2, -0.2])
    study = new_study("test", Surrogate())
    for i, value in enumerate((0.1, 0.01, 1.0)):
        study.enqueue_trial({"l2": value})
        trial = study.ask({"l2": distribution(PENALTY)})
        losses = list(own[i] + fold)
        if i < 2:
            trial.set_user_attr(FOLD_LOSSES, losses)
            study.tell(trial, own[i])
        else:
            trial.set_user_attr(FOLD_LOSSES, [losses[0], None, None])
            study.tell(trial, state=TrialState.PRUNED)
    study.enqueue_trial({"l2": 5.0})
    study.tell(study.ask({"l2": distribution(PENALTY)}), state=TrialState.FAIL)
    np.testing.assert_allclose(losses_told(study.get_trials()), [*own, own.max()], atol=1e-12)
    # Where none has all folds, there is nothing to move it by.
    assert np.isnan(losses_told(study.get_trials()[2:])).all()


def test_a_trial_that_was_cut_says_nothing_of_its_strengths() -> None:
    def proposed(state: TrialState | None, *, is_cut: bool) -> float:
        study = new_study("test", Surrogate())
        for value, found in ((0.01, 1.0), (0.1, 0.97), (1.0, 0.93)):
            study.enqueue_trial({"l2": value})
            study.tell(study.ask({"l2": distribution(PENALTY)}), found)
        for value in (4.0, 8.0) if state is not None else ():
            study.enqueue_trial({"l2": value})
            trial = study.ask({"l2": distribution(PENALTY)})
            trial.set_user_attr(IS_CUT, is_cut)
            study.tell(trial, state=state)
        return float(study.ask({"l2": distribution(PENALTY)}).params["l2"])

    assert proposed(TrialState.FAIL, is_cut=True) == proposed(None, is_cut=True) > 1.0
    assert proposed(TrialState.FAIL, is_cut=False) < 4.0, "one that failed is as bad as the worst"
