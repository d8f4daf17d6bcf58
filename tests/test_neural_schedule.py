"""How long networks train and at which rates."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from regadvisor.data.source import make_table
from regadvisor.deadline import NEVER, Deadline
from regadvisor.errors import ParameterError
from regadvisor.families.neural.encoded import NetworkPrepared
from regadvisor.families.neural.family import MLPFamily
from regadvisor.families.neural.recipe import Recipe
from regadvisor.families.neural.schedule import (
    RunPlan,
    full_run_rates,
    learning_rates,
    planned_epochs,
    rescaled_epochs,
    sample_plan,
    spread_checkpoints,
    steps_per_epoch,
)
from regadvisor.sampling.folds import make_folds


def test_flat_cosine_is_torchs_cosine_after_a_flat_half() -> None:
    rates = learning_rates(40, lr=0.1, schedule="flat-cosine")
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    annealing = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=20)
    expected = []
    for _ in range(20):
        expected.append(annealing.get_last_lr()[0])
        optimizer.step()
        annealing.step()
    np.testing.assert_allclose(rates[:20], 0.1)
    np.testing.assert_allclose(rates[20:], expected, rtol=1e-12)


def test_constant_schedule_sums_to_steps_times_lr() -> None:
    assert learning_rates(30, lr=0.1, schedule="constant").sum() == pytest.approx(3.0)


@given(n_rows=st.integers(1, 100_000), batch_size=st.integers(1, 1_000))
def test_an_epoch_is_cut_into_equal_batches_that_lose_less_than_one_row_each(
    n_rows: int, batch_size: int
) -> None:
    plan = RunPlan.of(Recipe(batch_size=batch_size), n_rows=n_rows, epochs=1)
    assert 1 <= plan.batch <= batch_size
    assert 0 <= n_rows - plan.batch * plan.n_steps < plan.n_steps


@given(st.integers(200, 50_000), st.integers(1, 40))
def test_planned_steps_grow_with_the_root_of_the_rows(n_rows: int, factor: int) -> None:
    def steps(n: int) -> int:
        return planned_epochs(n, 16) * steps_per_epoch(n, 16)

    ratio = steps(n_rows * factor) / steps(n_rows)
    # Whole epochs: each side is off by at most half an epoch.
    slack = 0.5 / planned_epochs(n_rows, 16) + 0.5 / planned_epochs(n_rows * factor, 16)
    if planned_epochs(n_rows * factor, 16) > 1:
        assert ratio == pytest.approx(math.sqrt(factor), rel=2.2 * slack + 0.05)


@given(st.floats(1, 500), st.integers(10, 10_000), st.integers(1, 100))
def test_rescaled_epochs_are_the_geometric_mean_of_equal_epochs_and_equal_steps(
    epochs: float, n_from: int, factor: int
) -> None:
    n_to = n_from * factor
    equal_epochs, equal_steps = epochs, epochs * n_from / n_to
    expected = math.sqrt(equal_epochs * equal_steps)
    assert abs(rescaled_epochs(epochs, n_from=n_from, n_to=n_to) - max(1.0, expected)) <= 0.5


def test_rescaling_the_planned_length_gives_the_planned_length() -> None:
    found = rescaled_epochs(planned_epochs(2_000, 1), n_from=2_000, n_to=8_000)
    assert found == planned_epochs(8_000, 1)


@given(st.integers(1, 200))
def test_checkpoints_ascend_and_end_with_the_last_epoch(epochs: int) -> None:
    checkpoints = spread_checkpoints(epochs)
    assert list(checkpoints) == sorted(set(checkpoints))
    assert checkpoints[0] >= 1
    assert checkpoints[-1] == epochs
    assert len(checkpoints) <= 12


def test_given_epochs_are_trained_to_the_end() -> None:
    plan = sample_plan(Recipe(epochs=10), n_train=800, n_sample=1_000, n_source=4_000)
    assert plan.epochs == 20
    assert plan.checkpoints == (10, 20)
    assert not plan.is_choosing
    assert plan.sum_lr() == pytest.approx(plan.rates.sum())


def test_sum_lr_counts_the_epochs_made() -> None:
    plan = sample_plan(Recipe(), n_train=800, n_sample=1_000, n_source=1_000)
    assert plan.sum_lr(2) == pytest.approx(2 * plan.n_steps * 2e-3)
    assert plan.sum_lr(plan.epochs) == pytest.approx(plan.sum_lr())
    assert len(plan.rates) == len(full_run_rates(Recipe(), n_rows=800, epochs=plan.epochs))


@pytest.mark.parametrize(
    "wrong",
    [
        {"optimizer": "rmsprop"},
        {"momentum": 1.0},
        {"clip_norm": 0.0},
        {"coupling": "both"},
        {"transform": "log"},
        {"exempt": "0.weight"},
        {"penalised": "0.weight"},
        {"loss": "log"},
        {"lr": 0.0},
        {"lr": math.nan},
        {"batch_size": 0},
        {"epochs": 0},
        {"schedule": "linear"},
        {"hidden": (8, 0)},
    ],
)
def test_a_recipe_out_of_its_rules_is_refused_by_name(wrong: dict[str, object]) -> None:
    name = next(iter(wrong))
    with pytest.raises(ParameterError, match=f"^{name} must .*got"):
        Recipe(**wrong)  # type: ignore[arg-type]


def _pilot(frequency: float, recipe: Recipe | None = None) -> tuple[MLPFamily, NetworkPrepared]:
    """A wave of one feature: the faster it is, the longer a network has to learn it."""
    r = np.random.default_rng(0)
    X = r.uniform(-1, 1, size=(300, 2))
    table = make_table(X, np.sin(frequency * X[:, 0]) + 0.05 * r.normal(size=300))
    family = MLPFamily(recipe)
    return family, family.prepare(table, make_folds(table, folds=3, seed=0).folds[:1], seed=0)


def test_runs_are_longer_where_that_pays() -> None:
    family, slow = _pilot(1.0)
    assert family.length_that_pays(slow) == 1
    family, fast = _pilot(12.0)
    longer = family.length_that_pays(fast)
    assert longer in (2, 4)
    # A loop over the lengths says the same: each doubling that was taken lowered the loss by 3%.
    own = [family.with_length(length)._lowest_loss(fast, NEVER) for length in (1, 2, 4)]
    wanted = 1
    for shorter, losses in zip((1, 2), pairwise(own), strict=True):
        if losses[1] > 0.97 * losses[0]:
            break
        wanted = 2 * shorter
    assert longer == wanted
    assert family.longer == 1


def test_given_epochs_are_kept_and_no_time_means_no_longer_run() -> None:
    family, fast = _pilot(12.0, Recipe(epochs=5))
    assert family.length_that_pays(fast) == 1
    family, fast = _pilot(12.0)
    assert family.length_that_pays(fast, deadline=Deadline(at_s=0.0)) == 1


def test_the_loss_that_decides_is_that_of_the_weighted_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """And a network that exploded on a row has none."""
    family, pilot = _pilot(12.0)
    losses, weight = np.full(300, np.nan), np.arange(300) / 149.5
    rows = pilot.folds[0].test
    losses[rows] = np.arange(len(rows))
    exploded = np.where(np.arange(300) == rows[-1], np.nan, 0.0)
    fits = [SimpleNamespace(losses=each) for each in (losses, losses + 1, exploded)]
    monkeypatch.setattr(MLPFamily, "train", lambda self, data, jobs, deadline: fits)
    found = family._lowest_loss(replace(pilot, weight=weight), NEVER)
    assert found == pytest.approx((weight[rows] * losses[rows]).sum() / weight[rows].sum())


def test_a_longer_family_plans_longer_runs() -> None:
    family, prepared = _pilot(12.0)
    longer = family.with_length(4)
    assert longer.probe(prepared).full_run_s(2_000) > 0
    assert (
        longer._full_epochs(2_000) == planned_epochs(2_000, 128, longer=4) == 4 * planned_epochs(2_000, 128)
    )
