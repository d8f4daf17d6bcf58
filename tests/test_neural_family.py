"""The mlp family: what its scores mean, what a deadline leaves, what is rescaled to the full size."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from rounding import assert_same_fits
from scipy import sparse
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.metrics import log_loss
from sklearn.model_selection import KFold, StratifiedKFold

from regadvisor import thresholds
from regadvisor.data.source import make_table
from regadvisor.data.table import Table
from regadvisor.deadline import Deadline
from regadvisor.errors import DataError, ParameterError
from regadvisor.families.base import Fit, Fold, Job
from regadvisor.families.neural import batches, encoded, family
from regadvisor.families.neural.batches import member_seed, n_jobs_at_once, train_batch
from regadvisor.families.neural.encoded import NetworkPrepared
from regadvisor.families.neural.estimator import NetworkClassifier, NetworkRegressor
from regadvisor.families.neural.family import MLPFamily
from regadvisor.families.neural.nets import NetArchitecture
from regadvisor.families.neural.recipe import Recipe
from regadvisor.families.neural.scoring import choose_checkpoints, fewest_epochs
from regadvisor.families.neural.strengths import PORTFOLIOS, RANGES
from regadvisor.families.preprocess import make_preprocessor
from regadvisor.full_size import Rescaling, exponent
from regadvisor.regularizer import KINDS, STRENGTHS, Regularizer

SMALL = Recipe(hidden=(16, 8), lr=5e-3, batch_size=64)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Tiny products on several threads of a shared machine mostly wait for each other."""
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(n_threads)


def decoupled(**strengths: float) -> Regularizer:
    return Regularizer(**strengths, coupling="decoupled")


def make_folds(table: Table, k: int = 3) -> list[Fold]:
    splitter = StratifiedKFold if table.is_classification else KFold
    split = splitter(k, shuffle=True, random_state=0).split(np.zeros((table.n_rows, 1)), table.y)
    return [Fold(train=train, test=test) for train, test in split]


def cancer(n: int = 240) -> Table:
    X, y = load_breast_cancer(return_X_y=True)
    return make_table(X[:n], y[:n])


def diabetes() -> Table:
    return make_table(*load_diabetes(return_X_y=True))


def run(table: Table, regularizers: Sequence[Regularizer], recipe: Recipe = SMALL, k: int = 3) -> list[Fit]:
    mlp = MLPFamily(recipe)
    prepared = mlp.prepare(table, make_folds(table, k), seed=7)
    return mlp.train(prepared, [Job(regularizer=r) for r in regularizers], deadline=Deadline.never())


# ----------------------------------------------------------------------------------- what scores mean


def test_losses_are_those_of_the_estimator_trained_on_each_fold_alone() -> None:
    X, y = load_iris(return_X_y=True)
    table, regularizer = make_table(X, y), decoupled(l2=2.0)
    recipe = replace(SMALL, epochs=15)
    (fit,) = run(table, [regularizer], recipe)
    for number, fold in enumerate(make_folds(table)):
        steps = make_preprocessor(table.facts, for_network=True)
        model = NetworkClassifier(
            hidden=(16, 8), lr=5e-3, batch_size=64, epochs=15, l2=2.0, random_state=member_seed(7, 0, number)
        ).fit(steps.fit_transform(X[fold.train]), y[fold.train])
        held_out = model.predict_proba(steps.transform(X[fold.test]))
        expected = -np.log(held_out[np.arange(len(fold.test)), y[fold.test]])
        np.testing.assert_allclose(fit.losses[fold.test], expected, rtol=1e-3, atol=1e-5)
        assert log_loss(y[fold.test], held_out) == pytest.approx(fit.losses[fold.test].mean(), rel=1e-3)


def test_regression_losses_are_squared_errors_over_the_variance_of_the_sample() -> None:
    X, y = load_diabetes(return_X_y=True)
    X, y = X[:441], y[:441]  # three equal folds: a fold's batches are sized by their mean
    table = make_table(X, y)
    (fit,) = run(table, [decoupled(l1=0.05)], replace(SMALL, epochs=10))
    for number, fold in enumerate(make_folds(table)):
        steps = make_preprocessor(table.facts, for_network=True)
        model = NetworkRegressor(
            hidden=(16, 8), lr=5e-3, batch_size=64, epochs=10, l1=0.05, random_state=member_seed(7, 0, number)
        ).fit(steps.fit_transform(X[fold.train]), y[fold.train])
        errors = y[fold.test] - model.predict(steps.transform(X[fold.test]))
        np.testing.assert_allclose(fit.losses[fold.test], errors**2 / y.var(), rtol=2e-3, atol=1e-4)


@pytest.mark.parametrize("table", [cancer(), diabetes()], ids=["classes", "numbers"])
def test_constant_losses_are_those_of_shares_or_mean(table: Table) -> None:
    folds = make_folds(table)
    prepared = MLPFamily(SMALL).prepare(table, folds, seed=0)
    for fold in folds:
        if table.is_classification:
            shares = np.bincount(table.y[fold.train]) / len(fold.train)
            expected = -np.log(shares[table.y[fold.test]])
        else:
            expected = (table.y[fold.test] - table.y[fold.train].mean()) ** 2 / table.y.var()
        np.testing.assert_allclose(prepared.constant_losses[fold.test], expected)


@pytest.mark.parametrize("table", [cancer(), diabetes()], ids=["classes", "numbers"])
def test_a_very_strong_penalty_gives_the_constant(table: Table) -> None:
    mlp = MLPFamily(replace(SMALL, epochs=60))
    prepared = mlp.prepare(table, make_folds(table), seed=0)
    per_lr = 1.0 / prepared.plan.sum_lr()
    jobs = [Job(regularizer=decoupled(l2=300 * per_lr)), Job(regularizer=decoupled(l1=20 * per_lr))]
    none, l2, l1 = mlp.train(prepared, [Job(regularizer=decoupled()), *jobs], deadline=Deadline.never())
    constant = prepared.constant_losses.mean()
    assert l2.losses.mean() == pytest.approx(constant, rel=0.05)
    assert l1.losses.mean() == pytest.approx(constant, rel=0.05)
    assert none.losses.mean() < 0.8 * constant
    assert l1.zeroed.mean() == 1.0
    assert none.zeroed.mean() == 0.0


def test_train_losses_of_an_unregularized_fit_are_below_its_held_out_losses() -> None:
    (fit,) = run(diabetes(), [decoupled()], replace(SMALL, epochs=60))
    assert fit.train_losses.shape == (3,)
    assert fit.train_losses.mean() < fit.losses.mean()


def test_candidates_of_a_kind_are_the_portfolio_divided_by_sum_lr() -> None:
    mlp = MLPFamily(SMALL)
    prepared = mlp.prepare(diabetes(), make_folds(diabetes()), seed=0)
    sum_lr = prepared.plan.sum_lr()
    candidates = mlp.candidates(prepared)
    assert set(candidates) == set(KINDS)
    for kind, candidate in candidates.items():
        assert len(candidate.portfolio) == len(PORTFOLIOS[kind])
        assert list(candidate.ranges) == list(STRENGTHS[kind])
        for point in candidate.portfolio:
            assert candidate.regularizer(point).kind == kind
            for name, value in point.items():
                assert candidate.ranges[name].low <= value <= candidate.ranges[name].high
    assert candidates["l2"].ranges["l2"].high == pytest.approx(RANGES["l2"].high / sum_lr)
    assert candidates["dropout"].ranges["dropout"].high == RANGES["dropout"].high


def test_an_exploding_network_is_reported_and_does_not_warn() -> None:
    (fit,) = run(diabetes(), [decoupled()], replace(SMALL, lr=1e15, epochs=30))
    assert not fit.converged
    assert fit.losses.shape == (442,)


# ---------------------------------------------------------------------------- which epoch scores a fold


@given(st.lists(st.floats(0.01, 10), min_size=1, max_size=12))
def test_fewest_epochs_is_the_first_within_half_a_percent(losses: list[float]) -> None:
    chosen = fewest_epochs(np.array(losses))
    assert losses[chosen] <= min(losses) * 1.005
    assert all(loss > min(losses) * 1.005 for loss in losses[:chosen])


@settings(max_examples=50)
@given(seed=st.integers(0, 2**31), fold=st.integers(0, 2), factor=st.sampled_from([0.0, 1e3, np.inf, np.nan]))
def test_the_epoch_of_a_fold_never_depends_on_that_fold(seed: int, fold: int, factor: float) -> None:
    rng = np.random.default_rng(seed)
    order = rng.permutation(30)
    folds = [
        Fold(train=np.delete(order, s), test=order[s]) for s in (slice(0, 9), slice(9, 21), slice(21, 30))
    ]
    held_out = rng.uniform(0.5, 1.5, (6, 30)).astype(np.float32)
    changed = held_out.copy()
    changed[:, folds[fold].test] = rng.permuted(changed[:, folds[fold].test]) * np.float32(factor)
    weight = rng.uniform(0.5, 2, 30)
    before, after = choose_checkpoints(held_out, folds, weight), choose_checkpoints(changed, folds, weight)
    assert before[fold] == after[fold]
    others = np.concatenate([f.test for k, f in enumerate(folds) if k != fold])
    means = [np.average(row[others].astype(float), weights=weight[others]) for row in held_out]
    assert before[fold] == fewest_epochs(np.array(means))


def test_given_epochs_are_not_stopped_early() -> None:
    (fit,) = run(cancer(), [decoupled()], replace(SMALL, epochs=30))
    assert fit.epochs is not None
    assert fit.epochs.tolist() == [30, 30, 30]


def test_sum_lr_is_that_of_the_chosen_epochs() -> None:
    mlp = MLPFamily(SMALL)
    prepared = mlp.prepare(cancer(), make_folds(cancer()), seed=0)
    (fit,) = mlp.train(prepared, [Job(regularizer=decoupled())], deadline=Deadline.never())
    assert fit.epochs is not None
    expected = np.mean([prepared.plan.rates[: int(e) * prepared.plan.n_steps].sum() for e in fit.epochs])
    assert fit.sum_lr == pytest.approx(expected)


# ----------------------------------------------------------------------- batches, seeds and the deadline


JOBS = [
    Job(regularizer=decoupled(dropout=0.3)),
    Job(regularizer=decoupled()),
    Job(regularizer=decoupled(l1=0.3), seed=1),
    Job(regularizer=decoupled(), seed=1),
    Job(regularizer=decoupled(l1=0.1, dropout=0.2)),
    Job(regularizer=decoupled(l2=1.0)),
]


def test_batches_change_no_more_than_rounding_and_fits_keep_the_order_of_the_jobs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mlp = MLPFamily(replace(SMALL, epochs=8))
    prepared = mlp.prepare(cancer(), make_folds(cancer()), seed=0)
    together = mlp.train(prepared, JOBS, deadline=Deadline.never())
    monkeypatch.setattr(batches, "MOST_NETWORKS", 6)
    seen: list[Fit] = []
    in_twos = mlp.train(prepared, JOBS, deadline=Deadline.never(), on_fit=seen.append)
    assert [fit.job for fit in together] == JOBS
    assert [fit.job for fit in seen] == JOBS
    assert_same_fits(in_twos, together, n_steps=len(prepared.plan.rates))


def test_jobs_that_are_known_fill_batches_and_are_not_returned(monkeypatch: pytest.MonkeyPatch) -> None:
    mlp = MLPFamily(replace(SMALL, epochs=4))
    prepared = mlp.prepare(cancer(), make_folds(cancer()), seed=0)
    monkeypatch.setattr(batches, "MOST_NETWORKS", 6)
    trained: list[tuple[Job, ...]] = []

    def watched(data: NetworkPrepared, jobs: Sequence[Job], *arguments: Any) -> list[Fit] | None:
        trained.append(tuple(jobs))
        return train_batch(data, jobs, *arguments)

    monkeypatch.setattr(family, "train_batch", watched)
    whole = mlp.train(prepared, JOBS, deadline=Deadline.never())
    assert trained == [tuple(JOBS[:2]), tuple(JOBS[2:4]), tuple(JOBS[4:])]
    trained.clear()
    seen: list[Fit] = []
    known = {*JOBS[:2], JOBS[4]}
    rest = mlp.train(prepared, JOBS, deadline=Deadline.never(), on_fit=seen.append, known=known)
    assert trained == [tuple(JOBS[2:4]), tuple(JOBS[4:])]
    assert [fit.job for fit in rest] == [JOBS[2], JOBS[3], JOBS[5]]
    assert seen == rest
    # The same batches in the same process: a repetition, so every bit is the same.
    for one, other in zip(rest, [whole[2], whole[3], whole[5]], strict=True):
        np.testing.assert_array_equal(one.losses, other.losses)
    assert mlp.train(prepared, JOBS, deadline=Deadline.never(), known=set(JOBS)) == []


def test_equal_seeds_repeat_and_other_seeds_differ() -> None:
    mlp = MLPFamily(replace(SMALL, epochs=5))
    losses = []
    for seed in (0, 0, 1):
        prepared = mlp.prepare(cancer(), make_folds(cancer()), seed=seed)
        losses += [fit.losses for fit in mlp.train(prepared, JOBS[1:4:2], deadline=Deadline.never())]
    assert np.array_equal(losses[0], losses[2])
    assert np.array_equal(losses[1], losses[3])
    assert not np.array_equal(losses[0], losses[1])
    assert not np.array_equal(losses[0], losses[4])


def test_a_deadline_leaves_out_batches_that_it_cuts(monkeypatch: pytest.MonkeyPatch) -> None:
    mlp = MLPFamily(replace(SMALL, epochs=4))
    prepared = mlp.prepare(cancer(), make_folds(cancer()), seed=0)
    monkeypatch.setattr(batches, "MOST_NETWORKS", 6)
    asked = iter(range(10_000))
    # The first batch asks before each step; the clock then runs out in the second batch.
    n_steps = 4 * prepared.plan.n_steps
    monkeypatch.setattr(Deadline, "expired", lambda self: next(asked) >= 1.5 * n_steps)
    seen: list[Fit] = []
    fits = mlp.train(prepared, JOBS, deadline=Deadline.after(1e6), on_fit=seen.append)
    assert [fit.job for fit in fits] == JOBS[:2]
    assert seen == fits


def test_an_expired_deadline_trains_nothing() -> None:
    mlp = MLPFamily(SMALL)
    prepared = mlp.prepare(cancer(), make_folds(cancer()), seed=0)
    assert mlp.train(prepared, JOBS, deadline=Deadline.after(0.0)) == []


def test_batches_are_smaller_with_a_deadline_and_within_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    table = cancer()
    prepared = MLPFamily().prepare(table, make_folds(table), seed=0)
    free = n_jobs_at_once(prepared, left_s=math.inf)
    assert free * 3 <= batches.MOST_NETWORKS
    monkeypatch.setattr(batches, "ASSUMED_SPEED", 1e9)
    assert n_jobs_at_once(prepared, left_s=0.5) < free
    huge = NetArchitecture.of(Recipe(hidden=(20_000, 20_000)), prepared.n_features, 2)
    assert n_jobs_at_once(replace(prepared, architecture=huge), left_s=math.inf) == 1


# ------------------------------------------------------------------------------------- kinds of data


def test_levels_and_missing_values_that_a_fold_lacks_are_zero_columns() -> None:
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"a": rng.normal(size=60), "c": ["x", "y"] * 30, "b": rng.normal(size=60)})
    X.loc[:3, "b"] = np.nan
    table = make_table(X, rng.normal(size=60))
    folds = [
        Fold(train=np.arange(30, 60), test=np.arange(30)),
        Fold(train=np.arange(30), test=np.arange(30, 60)),
    ]
    mlp = MLPFamily(replace(SMALL, epochs=3))
    prepared = mlp.prepare(table, folds, seed=0)
    at = prepared.feature_names.index("b missing")
    lacks, has = prepared.rows.x.view(2, 60, -1)[:, :, at]
    assert float(lacks.abs().max()) == 0.0
    assert float(has.abs().max()) > 0.0
    (fit,) = mlp.train(prepared, [Job(regularizer=decoupled())], deadline=Deadline.never())
    assert np.isfinite(fit.losses).all()
    assert fit.zeroed.shape == (len(prepared.feature_names),)


def test_sparse_data_give_the_losses_of_the_same_steps_on_dense_data() -> None:
    rng = np.random.default_rng(0)
    X = sparse.random_array((80, 20), density=0.5, rng=rng, format="csr")
    table = make_table(X, np.arange(80) % 2)
    prepared = MLPFamily(SMALL).prepare(table, make_folds(table), seed=0)
    first = make_folds(table)[0].train
    expected = X.toarray() / np.abs(X.toarray()[first]).max(axis=0)
    np.testing.assert_allclose(prepared.rows.x[:80].numpy(), expected, rtol=1e-6)


def test_too_large_folds_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoded, "MOST_BYTES", 10_000)
    with pytest.raises(DataError, match=r"must take at most .* got .* use a smaller sample"):
        MLPFamily(SMALL).prepare(cancer(), make_folds(cancer()), seed=0)


def test_folds_that_grow_in_time_all_make_equally_many_steps() -> None:
    table = diabetes()
    folds = [Fold(train=np.arange(end), test=np.arange(end, end + 100)) for end in (100, 200, 300)]
    mlp = MLPFamily(replace(SMALL, epochs=4))
    prepared = mlp.prepare(table, folds, seed=0)
    (fit,) = mlp.train(prepared, [Job(regularizer=decoupled())], deadline=Deadline.never())
    assert prepared.plan.n_steps * prepared.plan.batch == 200
    assert np.isnan(fit.losses[:100]).all()
    assert np.isnan(fit.losses[400:]).all()
    assert np.isfinite(fit.losses[100:400]).all()


def test_weights_move_the_fit_and_the_constant_towards_the_heavy_rows() -> None:
    table = diabetes()
    heavy: NDArray[np.float64] = np.where(table.y > np.median(table.y), 1.9, 0.1)
    weighted = replace(table, weight=heavy / heavy.mean())
    folds = make_folds(table)
    mlp = MLPFamily(replace(SMALL, epochs=20))
    high = table.y > np.median(table.y)
    losses = []
    for each in (table, weighted):
        prepared = mlp.prepare(each, folds, seed=0)
        (fit,) = mlp.train(prepared, [Job(regularizer=decoupled())], deadline=Deadline.never())
        losses.append((fit.losses[high].mean(), prepared.constant_losses[high].mean()))
    assert losses[1][0] < losses[0][0]
    assert losses[1][1] < losses[0][1]


# --------------------------------------------------------------------------------- costs and full size


def test_costs_are_positive_and_grow_with_the_rows() -> None:
    table = cancer()
    mlp = MLPFamily(SMALL)
    prepared = mlp.prepare(table, make_folds(table), seed=0)
    costs = mlp.probe(prepared)
    assert costs.job_s(2_400) > costs.job_s(240) > 0
    assert costs.full_run_s(100_000) > costs.full_run_s(240) > 0


@pytest.mark.parametrize("n_rows", [240, 2_400, 100_000])
def test_strength_times_sum_lr_falls_as_documented_to_the_full_size(n_rows: int) -> None:
    mlp = MLPFamily(SMALL)
    prepared = mlp.prepare(cancer(), make_folds(cancer()), seed=0)
    jobs = [Job(regularizer=decoupled(l1=0.2, l2=1.0)), Job(regularizer=decoupled(dropout=0.2))]
    both, dropout = mlp.train(prepared, jobs, deadline=Deadline.never())
    by = Rescaling(n_sample=240, n_rows=n_rows, n_features=30)
    found, sentence = mlp.at_full_size(both, by)
    training = mlp.training(both, n_sample=240, n_rows=n_rows, seed=3)
    n_steps = int(np.ceil(n_rows / 64)) * (training.epochs or 0)
    flat = n_steps // 2
    cosine = 0.5 * (1 + np.cos(np.pi * np.arange(n_steps - flat) / (n_steps - flat)))
    sum_lr = 5e-3 * (flat + cosine.sum())
    ratio = min(n_rows / 240, thresholds.FARTHEST_RATIO)
    assert (found.l2 or 0) * sum_lr == pytest.approx(
        1.0 * (both.sum_lr or 0) / ratio ** exponent("decoupled", "l2", 30)
    )
    assert (found.l1 or 0) * sum_lr == pytest.approx(0.2 * (both.sum_lr or 0) / 1.0)
    assert sentence is not None
    assert "sum of the learning rates" in sentence
    forward, _ = mlp.at_full_size(both, replace(by, is_forward=True))
    assert (forward.l2 or 0) * sum_lr == pytest.approx(1.0 * (both.sum_lr or 0))
    assert mlp.at_full_size(dropout, by) == (dropout.job.regularizer, None)


def test_the_full_run_makes_the_epochs_of_the_recipe_or_those_that_were_chosen() -> None:
    fit = run(cancer(), [decoupled()])[0]
    assert fit.epochs is not None
    mlp = MLPFamily(SMALL)
    same = mlp.training(fit, n_sample=240, n_rows=240, seed=0)
    assert same.epochs == max(1, round(fit.epochs.mean()))
    fewer = mlp.training(fit, n_sample=240, n_rows=24_000, seed=0)
    assert fewer.epochs == max(1, round(fit.epochs.mean() / 10))
    assert MLPFamily(replace(SMALL, epochs=9)).training(fit, n_sample=240, n_rows=24_000, seed=0).epochs == 9
    assert (same.hidden, same.lr, same.batch_size, same.schedule) == ((16, 8), 5e-3, 64, "flat-cosine")


def test_defaults_have_their_kind_and_weaken_with_the_length_of_the_run() -> None:
    mlp = MLPFamily()
    for kind in KINDS:
        assert mlp.defaults(kind, n_rows=1_000, n_features=10).kind == kind
    small, large = (mlp.defaults("l2", n_rows=n, n_features=10).l2 or 0 for n in (1_000, 100_000))
    assert large < small


def test_a_device_that_is_not_there_is_refused() -> None:
    with pytest.raises(ParameterError, match=r"device must be .* got 'cuda:99'"):
        MLPFamily(device="cuda:99")
    assert family.resolve_device("cpu") == torch.device("cpu")
