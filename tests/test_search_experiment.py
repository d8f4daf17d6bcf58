"""The score table and the loss arrays against sums done row by row."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import numpy as np
import pytest

from regadvisor import thresholds
from regadvisor.families.base import Fit, Fold, Job, Prepared
from regadvisor.regularizer import Regularizer
from regadvisor.search.results import Results, panel_arrays, to_scores

# Forward in time: the first three rows are in no test fold.
FOLDS = (Fold(train=np.arange(3), test=np.array([3, 4])), Fold(train=np.arange(5), test=np.array([5, 6, 7])))
TESTED = np.arange(8) >= 3


def make_prepared() -> Prepared:
    constant = np.where(TESTED, 2.0, np.nan)
    return Prepared(folds=FOLDS, n_rows=8, n_features=2, feature_names=("a", "b"), constant_losses=constant)


def make_fit(regularizer: Regularizer, losses: list[float], *, seed: int = 0, converged: bool = True) -> Fit:
    return Fit(
        job=Job(regularizer=regularizer, seed=seed),
        losses=np.array([np.nan] * 3 + losses),
        train_losses=np.array([0.5, 0.7]),
        zeroed=np.array([1.0, 0.5]),
        converged=converged,
        epochs=np.array([3.0, 6.0]),
        sum_lr=0.25,
        fit_s=1.5,
    )


def make_results(*fits: Fit, weight: np.ndarray | None = None) -> Results:
    return Results(prepared=make_prepared(), fits=fits, weight=weight)


NONE, L2 = Regularizer(), Regularizer(l2=0.1)


def test_a_score_is_the_mean_over_tested_rows_and_over_each_fold() -> None:
    (score,) = to_scores(make_results(make_fit(L2, [1, 2, 3, 4, 5], seed=9)))
    assert score.loss == 3.0
    assert score.fold_losses == (1.5, 4.0)
    assert score.train_loss == pytest.approx(0.6, rel=1e-15)
    assert (score.n_rows, score.seed, score.kind) == (8, 9, "l2")
    assert (score.epochs, score.sum_lr, score.share_zeroed, score.fit_s) == (4.5, 0.25, 0.75, 1.5)
    assert score.converged
    assert not score.exploded
    assert not score.is_limit


def test_what_a_family_does_not_say_of_a_fit_is_not_made_up() -> None:
    fit = replace(
        make_fit(L2, [1, 2, 3, 4, 5]),
        is_limit=True,
        train_losses=np.zeros(0),
        zeroed=np.zeros(0),
        epochs=None,
        sum_lr=None,
    )
    (score,) = to_scores(make_results(fit))
    assert score.is_limit
    assert (score.train_loss, score.share_zeroed, score.epochs, score.sum_lr) == (score.loss, 0.0, None, None)


def test_weights_weigh_rows() -> None:
    weight = np.array([9.0, 9.0, 9.0, 1.0, 3.0, 0.0, 1.0, 1.0])
    (score,) = to_scores(make_results(make_fit(L2, [1, 2, 3, 4, 5]), weight=weight))
    assert score.loss == pytest.approx((1 + 3 * 2 + 4 + 5) / 6, rel=1e-15)
    assert score.fold_losses == pytest.approx(((1 + 6) / 4, 9 / 2), rel=1e-15)
    (small,) = to_scores(make_results(make_fit(L2, [1, 2, 3, 4, 5]), weight=weight / 100))
    assert small.loss == pytest.approx(score.loss)
    assert small.fold_losses == pytest.approx(score.fold_losses)


def test_a_stopped_fit_is_scored_on_its_own_folds() -> None:
    fit = replace(make_fit(L2, [1.0, 2.0, np.nan, np.nan, np.nan]), folds=(0,))
    fit.train_losses[1] = fit.epochs[1] = np.nan  # type: ignore[index]
    (score,) = to_scores(make_results(fit))
    assert (score.loss, score.fold_losses) == (1.5, (1.5, None))
    assert (score.train_loss, score.epochs, score.is_stopped) == (0.5, 3.0, True)


def test_the_rows_of_a_single_fold_are_cut_in_two() -> None:
    assert list(make_results().fold_labels) == [-1, -1, -1, 0, 0, 1, 1, 1]
    for number, expected in ((0, [0, 1, -1, -1, -1]), (1, [-1, -1, 0, 1, 0])):
        labels = replace(make_results(), folds=(number,)).fold_labels
        assert (list(labels), labels.dtype.kind) == ([-1, -1, -1, *expected], "i")


def test_exploding_is_three_times_the_constant() -> None:
    results = make_results(make_fit(L2, [6.0] * 5), make_fit(L2, [6.01] * 5, seed=1))
    assert [score.exploded for score in to_scores(results)] == [False, True]


def test_fits_that_did_not_converge_are_excluded_counted_and_still_shown() -> None:
    results = make_results(
        make_fit(NONE, [1.0] * 5),
        make_fit(L2, [1.0] * 5),
        make_fit(L2, [1.0] * 5, seed=1, converged=False),
        make_fit(L2, [1.0, np.nan, 1.0, 1.0, 1.0], seed=2),
    )
    assert results.n_excluded == {"l2": 2}
    assert {kind: len(fits) for kind, fits in results.by_kind.items()} == {"none": 1, "l2": 1}
    assert len(to_scores(results)) == 4
    assert to_scores(results)[3].fold_losses == (None, 1.0)


def test_a_kind_of_which_nothing_converged_is_left_out() -> None:
    results = make_results(make_fit(NONE, [1.0] * 5), make_fit(L2, [1.0] * 5, converged=False))
    assert tuple(panel_arrays(results)) == ("none",)


def test_a_baseline_that_diverged_stays_and_is_worse_than_three_constants() -> None:
    results = make_results(make_fit(NONE, [np.nan, np.inf, 1.0, 1.0, 1.0], converged=False))
    row = panel_arrays(results)["none"][0]
    bar = thresholds.EXPLODED * 2.0
    np.testing.assert_array_equal(row, [np.nan] * 3 + [bar, bar, 1.0, 1.0, 1.0])
    (score,) = to_scores(results)
    assert score.exploded
    assert score.loss == pytest.approx((2 * bar + 3) / 5, rel=1e-15)
    assert results.n_excluded == {}


def test_scores_are_finite_json_whatever_was_lost() -> None:
    fit = make_fit(L2, [np.nan] * 5, converged=False)
    lost = Fit(
        job=fit.job,
        losses=fit.losses,
        train_losses=fit.train_losses * np.nan,
        zeroed=np.zeros(0),
        converged=False,
    )
    (score,) = to_scores(make_results(lost))
    assert json.loads(json.dumps(asdict(score), allow_nan=False))["share_zeroed"] == 0.0


def test_the_seeds_of_the_baseline_are_one_configuration() -> None:
    first, second = [1.0, 2.0, 3.0, 4.0, 5.0], [3.0, 2.0, 1.0, 0.0, 7.0]
    results = make_results(
        make_fit(NONE, first),
        make_fit(NONE, second, seed=1),
        make_fit(L2, first),
        make_fit(L2, second, seed=1),
    )
    panel = panel_arrays(results)
    np.testing.assert_array_equal(panel["none"], [[np.nan] * 3 + [2.0, 2.0, 2.0, 2.0, 6.0]])
    np.testing.assert_array_equal(panel["l2"][:, 3:], [first, second])


def test_stored_losses_are_not_written_into() -> None:
    fit = make_fit(NONE, [np.nan, 1.0, 1.0, 1.0, 1.0])
    fit.losses.setflags(write=False)
    results = make_results(fit)
    assert np.isfinite(panel_arrays(results)["none"][0, 3:]).all()
    assert np.isnan(fit.losses[3])
