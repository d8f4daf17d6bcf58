"""Some folds only, too little memory, penalties in the loss, own losses, features as they are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pytest
import torch
from rounding import assert_same, assert_same_fits
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.model_selection import KFold

from regadvisor.data.source import make_table
from regadvisor.data.table import Table
from regadvisor.deadline import Deadline
from regadvisor.errors import DataError, ParameterError
from regadvisor.families.base import Fold, Job
from regadvisor.families.neural.architecture import Stack
from regadvisor.families.neural.batches import train_batch
from regadvisor.families.neural.encoded import NetworkPrepared, dense
from regadvisor.families.neural.estimator import NetworkRegressor
from regadvisor.families.neural.family import MLPFamily
from regadvisor.families.neural.losses import Loss
from regadvisor.families.neural.nets import NetArchitecture
from regadvisor.families.neural.recipe import Recipe
from regadvisor.families.neural.scoring import choose_checkpoints
from regadvisor.families.neural.strengths import LOSS_PORTFOLIOS, LOSS_RANGES
from regadvisor.full_size import Rescaling
from regadvisor.regularizer import KINDS, STRENGTHS, Regularizer

SMALL = Recipe(hidden=(16, 8), lr=5e-3, batch_size=64)
NEVER = Deadline.never()


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
    split = KFold(k, shuffle=True, random_state=0).split(np.zeros((table.n_rows, 1)))
    return [Fold(train=train, test=test) for train, test in split]


def diabetes() -> Table:
    return make_table(*load_diabetes(return_X_y=True))


def cancer(n: int = 240) -> Table:
    X, y = load_breast_cancer(return_X_y=True)
    return make_table(X[:n], y[:n])


def prepare(recipe: Recipe, table: Table | None = None) -> tuple[MLPFamily, NetworkPrepared]:
    table = diabetes() if table is None else table
    mlp = MLPFamily(recipe)
    return mlp, mlp.prepare(table, make_folds(table), seed=5)


JOBS = [
    Job(regularizer=decoupled(dropout=0.3)),
    Job(regularizer=decoupled()),
    Job(regularizer=decoupled(l1=0.1, l2=0.5)),
]


# --------------------------------------------------------------------------------------------- folds


def test_a_fold_trained_without_the_others_is_the_same_up_to_rounding() -> None:
    mlp, prepared = prepare(replace(SMALL, epochs=6))
    n_steps = len(prepared.plan.rates)
    whole = mlp.train(prepared, JOBS, deadline=NEVER)
    for folds in ([1], [2, 0]):
        some = mlp.train(prepared, JOBS, deadline=NEVER, folds=folds)
        others = [number for number in range(3) if number not in folds]
        for part, fit in zip(some, whole, strict=True):
            for number in folds:
                rows = prepared.folds[number].test
                assert_same(part.losses[rows], fit.losses[rows], n_steps=n_steps)
                assert_same(part.train_losses[number], fit.train_losses[number], n_steps=n_steps)
            left_out = np.concatenate([prepared.folds[number].test for number in others])
            assert np.isnan(part.losses[left_out]).all()
            assert part.epochs is not None
            assert np.isnan(part.epochs[others]).all()
            assert np.isnan(part.train_losses[others]).all()
            assert part.sum_lr == pytest.approx(prepared.plan.sum_lr())
            assert part.converged
            assert part.folds == tuple(folds)
    assert all(fit.folds is None for fit in whole)


def test_the_losses_half_way_are_those_of_a_run_of_half_the_length() -> None:
    mlp, prepared = prepare(replace(SMALL, epochs=6, schedule="constant"))
    half = replace(prepared, plan=replace(prepared.plan, epochs=3, checkpoints=(3,)))
    whole = mlp.train(prepared, JOBS, deadline=NEVER)
    n_steps = len(prepared.plan.rates)
    for fit, shorter in zip(whole, mlp.train(half, JOBS, deadline=NEVER), strict=True):
        expected = np.array([shorter.train_loss, shorter.losses.mean()])
        assert_same(fit.halfway, expected, n_steps=n_steps)
        assert not np.allclose(fit.losses, shorter.losses)


def test_chosen_epochs_of_some_folds_are_chosen_by_these_folds() -> None:
    mlp, prepared = prepare(SMALL)
    (fit,) = mlp.train(prepared, JOBS[1:2], deadline=NEVER, folds=[0, 2])
    assert fit.epochs is not None
    assert set(fit.epochs[[0, 2]]) <= set(prepared.plan.checkpoints)
    assert np.isnan(fit.epochs[1])
    expected = np.mean([prepared.plan.sum_lr(int(fit.epochs[number])) for number in (0, 2)])
    assert fit.sum_lr == pytest.approx(expected)


def test_a_single_fold_is_scored_at_epochs_that_each_half_chooses_for_the_other() -> None:
    # Every checkpoint's losses, from runs that end there: without epochs in the recipe they would be chosen.
    mlp, prepared = prepare(SMALL)
    test = prepared.folds[1].test
    held_out = np.full((len(prepared.plan.checkpoints), prepared.n_rows), np.nan)
    for at, end in enumerate(prepared.plan.checkpoints):
        cut = replace(prepared, plan=replace(prepared.plan, epochs=end, checkpoints=(end,)))
        (only,) = mlp.train(cut, JOBS[1:2], deadline=NEVER, folds=[1])
        held_out[at] = only.losses
    (fit,) = mlp.train(prepared, JOBS[1:2], deadline=NEVER, folds=[1])
    halves = [Fold(train=prepared.folds[1].train, test=test[half::2]) for half in (0, 1)]
    chosen = choose_checkpoints(held_out, halves, prepared.weight)
    for at, half in zip(chosen, halves, strict=True):
        assert_same(fit.losses[half.test], held_out[at, half.test], n_steps=len(prepared.plan.rates))
    assert fit.epochs is not None
    assert fit.epochs[1] == np.mean([prepared.plan.checkpoints[at] for at in chosen])


# -------------------------------------------------------------------------------------------- memory


@dataclass(frozen=True)
class Tight:
    """An architecture on a device that holds few networks; `sizes` are the attempts."""

    inner: NetArchitecture
    most: int
    sizes: list[int]
    error: Exception

    @property
    def n_parameters(self) -> int:
        return self.inner.n_parameters

    def initial(self, generator: torch.Generator) -> torch.Tensor:
        return self.inner.initial(generator)

    def stack(self, parameters: torch.Tensor, *, batch: int, loss: Loss) -> Stack:
        self.sizes.append(len(parameters))
        if len(parameters) > self.most:
            raise self.error
        return self.inner.stack(parameters, batch=batch, loss=loss)

    def floats_per_network(self, batch: int) -> int:
        return self.inner.floats_per_network(batch)

    def operations_per_row(self) -> float:
        return self.inner.operations_per_row()


ERRORS = [
    MemoryError(),
    torch.OutOfMemoryError("CUDA out of memory."),
    RuntimeError("[enforce fail at alloc_cpu.cpp:1] DefaultCPUAllocator: can't allocate memory"),
]


@pytest.mark.parametrize("most", [2, 3, 4])
@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_a_batch_too_large_for_the_memory_is_halved_and_gives_the_same(most: int, error: Exception) -> None:
    recipe = replace(SMALL, epochs=3)
    _, prepared = prepare(recipe)
    assert isinstance(prepared.architecture, NetArchitecture)
    expected = train_batch(prepared, JOBS, NEVER)
    tight = Tight(prepared.architecture, most, [], error)
    found = train_batch(replace(prepared, architecture=tight), JOBS, NEVER)
    assert expected is not None
    assert found is not None
    assert_same_fits(found, expected, n_steps=len(prepared.plan.rates))
    assert tight.sizes[0] == 9
    assert sum(size for size in tight.sizes if size <= most) == 9


def test_memory_for_one_network_alone_is_enough() -> None:
    recipe = replace(SMALL, epochs=3)
    _, prepared = prepare(recipe)
    assert isinstance(prepared.architecture, NetArchitecture)
    expected = train_batch(prepared, JOBS, NEVER)
    tight = Tight(prepared.architecture, 1, [], MemoryError())
    found = train_batch(replace(prepared, architecture=tight), JOBS, NEVER)
    assert expected is not None
    assert found is not None
    assert_same_fits(found, expected, n_steps=len(prepared.plan.rates))
    assert tight.sizes.count(1) == 9


@pytest.mark.parametrize("table", [cancer(), diabetes()], ids=["classes", "numbers"])
def test_one_job_on_one_fold_is_the_same_up_to_rounding(table: Table) -> None:
    mlp, prepared = prepare(replace(SMALL, epochs=4), table)
    n_steps = len(prepared.plan.rates)
    whole = mlp.train(prepared, JOBS, deadline=NEVER)
    for job, fit in zip(JOBS, whole, strict=True):
        (alone,) = mlp.train(prepared, [job], deadline=NEVER)
        assert_same_fits([alone], [fit], n_steps=n_steps)
        (part,) = mlp.train(prepared, [job], deadline=NEVER, folds=[1])
        rows = prepared.folds[1].test
        assert_same(part.losses[rows], fit.losses[rows], n_steps=n_steps)
        assert_same(part.train_losses[1], fit.train_losses[1], n_steps=n_steps)


def test_a_network_larger_than_the_memory_is_an_error_and_other_errors_are_not_swallowed() -> None:
    _, prepared = prepare(SMALL)
    assert isinstance(prepared.architecture, NetArchitecture)
    for error, caught, message in [
        (MemoryError(), ParameterError, "model must be small enough"),
        (RuntimeError("shapes differ"), RuntimeError, "shapes differ"),
    ]:
        tight = Tight(prepared.architecture, 0, [], error)
        with pytest.raises(caught, match=message):
            train_batch(replace(prepared, architecture=tight), JOBS, NEVER)


# --------------------------------------------------------------------------- the penalty in the loss


def test_candidates_in_the_loss_do_not_depend_on_the_schedule() -> None:
    for recipe in (SMALL, replace(SMALL, epochs=3, lr=0.1)):
        mlp, prepared = prepare(replace(recipe, coupling="loss"))
        candidates = mlp.candidates(prepared)
        assert mlp.coupling == "loss"
        assert set(candidates) == set(KINDS)
        for kind, candidate in candidates.items():
            assert len(candidate.portfolio) == len(LOSS_PORTFOLIOS[kind])
            for point in candidate.portfolio:
                regularizer = candidate.regularizer(point)
                assert (regularizer.kind, regularizer.coupling) == (kind, "loss")
                for name, value in point.items():
                    assert LOSS_RANGES[name].low <= value <= LOSS_RANGES[name].high


def test_strengths_in_the_loss_fall_with_the_rows_alone() -> None:
    mlp, prepared = prepare(replace(SMALL, coupling="loss", epochs=4))
    jobs = [Job(regularizer=Regularizer(l1=1e-3, l2=1e-2)), Job(regularizer=Regularizer(dropout=0.2))]
    both, dropout = mlp.train(prepared, jobs, deadline=NEVER)
    found, sentence = mlp.at_full_size(both, Rescaling(n_sample=442, n_rows=4 * 442, n_features=10))
    assert found.l2 == pytest.approx(1e-2 / 4)
    assert found.l1 == pytest.approx(1e-3 / 2)
    assert sentence is not None
    assert "L2 as 1/n and L1 as 1/√n; not rescaled by Σ lr" in sentence
    same = mlp.at_full_size(both, Rescaling(n_sample=442, n_rows=442, n_features=10))
    assert same == (both.job.regularizer, None)
    stays = mlp.at_full_size(dropout, Rescaling(n_sample=442, n_rows=4_420, n_features=10))
    assert stays == (dropout.job.regularizer, None)


def test_a_strong_penalty_in_the_loss_gives_the_constant() -> None:
    mlp, prepared = prepare(replace(SMALL, coupling="loss", epochs=60))
    jobs = [Job(regularizer=Regularizer()), Job(regularizer=Regularizer(l2=1.0))]
    none, l2 = mlp.train(prepared, jobs, deadline=NEVER)
    constant = prepared.constant_losses.mean()
    assert l2.losses.mean() == pytest.approx(constant, rel=0.05)
    assert none.losses.mean() < 0.8 * constant


def test_defaults_in_the_loss_have_their_kind_and_fall_with_the_rows() -> None:
    mlp = MLPFamily(Recipe(coupling="loss"))
    for kind in KINDS:
        small, large = (mlp.defaults(kind, n_rows=n, n_features=10) for n in (1_000, 100_000))
        assert (small.kind, small.coupling) == (kind, "loss")
        for name in STRENGTHS[kind]:
            exponent = {"l1": 0.5, "l2": 1.0, "dropout": 0.0}[name]
            assert getattr(small, name) == pytest.approx(getattr(large, name) * 100**exponent)


def test_the_training_record_holds_the_options() -> None:
    recipe = replace(SMALL, optimizer="sgd", momentum=0.8, clip_norm=2.0, coupling="loss", exempt=("0.*",))
    training = MLPFamily(recipe).training(None, n_sample=100, n_rows=100, seed=1)
    assert (training.optimizer, training.momentum, training.clip_norm) == ("sgd", 0.8, 2.0)
    assert (training.coupling, training.exempt, training.penalised) == ("loss", ("0.*",), None)
    assert (training.transform, training.has_own_loss) == ("standard", False)
    assert MLPFamily(SMALL).training(None, n_sample=100, n_rows=100, seed=1).momentum is None


# ------------------------------------------------------------------- own losses, features as they are


def pinball(outputs: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    error = target - outputs
    return torch.maximum(0.9 * error, -0.1 * error).squeeze(-1)


def test_an_own_loss_trains_scores_and_has_its_own_constant() -> None:
    table = diabetes()
    mlp, prepared = prepare(replace(SMALL, loss=pinball, epochs=15), table)
    (fit,) = mlp.train(prepared, [Job(regularizer=decoupled(l2=1.0))], deadline=NEVER)
    for fold in prepared.folds:
        y = table.y[fold.train]
        scaled = (table.y[fold.test] - y.mean()) / y.std()
        best = (np.quantile(y, 0.9) - y.mean()) / y.std()
        error = scaled - best
        expected = np.maximum(0.9 * error, -0.1 * error)
        assert prepared.constant_losses[fold.test].mean() == pytest.approx(expected.mean(), rel=0.05)
    assert fit.losses.mean() < 0.95 * prepared.constant_losses.mean()
    assert mlp.training(fit, n_sample=442, n_rows=442, seed=0).has_own_loss


def test_an_own_loss_equal_to_the_squared_error_scores_half_of_it() -> None:
    def half_squared(outputs: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return 0.5 * (outputs - target).square().squeeze(-1)

    recipe, table = replace(SMALL, epochs=8), diabetes()
    built_in, own = (
        mlp.train(prepared, JOBS[1:2], deadline=NEVER)[0]
        for mlp, prepared in (prepare(recipe, table), prepare(replace(recipe, loss=half_squared), table))
    )
    for fold in make_folds(table):
        scale = table.y[fold.train].var() / table.y.var()
        np.testing.assert_allclose(
            2 * own.losses[fold.test] * scale, built_in.losses[fold.test], rtol=2e-3, atol=1e-5
        )


def test_features_are_taken_as_they_are() -> None:
    X, y = load_diabetes(return_X_y=True)
    table = make_table(1_000 * X, y)
    _, prepared = prepare(replace(SMALL, transform="none"), table)
    assert np.array_equal(prepared.rows.x.numpy(), np.tile((1_000 * X).astype(np.float32), (3, 1)))
    assert prepared.feature_names == tuple(f"x{j}" for j in range(10))


def test_features_that_are_no_numbers_cannot_be_taken_as_they_are() -> None:
    frame = pd.DataFrame({"a": np.arange(60.0), "b": ["x", "y"] * 30})
    holes = frame.assign(b=np.where(np.arange(60) == 3, np.nan, 1.0 * np.arange(60)))
    for X, what in ((frame, "categorical values"), (holes, "missing values")):
        table = make_table(X, np.arange(60) % 7 / 2)
        with pytest.raises(DataError, match=f"got {what} in column 'b'"):
            prepare(replace(SMALL, transform="none"), table)


def test_training_losses_of_a_fold_are_those_of_its_rows() -> None:
    X, y = load_diabetes(return_X_y=True)
    X, y = 20 * X[:441], y[:441]
    recipe = replace(SMALL, transform="none", optimizer="sgd", lr=0.05, clip_norm=1.0, epochs=6)
    mlp, prepared = prepare(recipe, make_table(X, y))
    (fit,) = mlp.train(prepared, JOBS[2:], deadline=NEVER, folds=[1])
    fold = prepared.folds[1]
    from regadvisor.families.neural.batches import member_seed

    model = NetworkRegressor(
        hidden=(16, 8),
        lr=0.05,
        batch_size=64,
        epochs=6,
        l1=0.1,
        l2=0.5,
        optimizer="sgd",
        clip_norm=1.0,
        random_state=member_seed(5, 0, 1),
    ).fit(X[fold.train], y[fold.train])
    errors = (y[fold.test] - model.predict(X[fold.test])) ** 2 / y.var()
    np.testing.assert_allclose(fit.losses[fold.test], errors, rtol=2e-3, atol=1e-4)


def test_features_are_copied_only_where_torch_needs_it():
    X = np.arange(6, dtype=np.float32).reshape(3, 2)
    assert np.shares_memory(dense(X), X)
    X.flags.writeable = False
    made = dense(X)
    assert made.flags.writeable
    assert not np.shares_memory(made, X)
    np.testing.assert_array_equal(made, X)
