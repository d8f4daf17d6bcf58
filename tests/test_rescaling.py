"""Strengths rescaled to all rows: the rule, what it costs, and everything that reads that."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import regadvisor
from regadvisor import thresholds
from regadvisor.compare.claims import no_worse
from regadvisor.compare.honest import honest_losses
from regadvisor.compare.panel import Panel
from regadvisor.compare.resampled import resampled
from regadvisor.evidence.resources import rescaling_costs_of
from regadvisor.families.base import Fit, Job
from regadvisor.families.linear.family import LinearFamily
from regadvisor.families.neural.family import MLPFamily
from regadvisor.families.neural.recipe import Recipe
from regadvisor.full_size import (
    STRENGTH_LAWS,
    TRANSFER,
    Rescaling,
    exponent,
    rescaled,
    rescaled_loss,
    rescaling_costs,
)
from regadvisor.plan.effort import EFFORTS
from regadvisor.regularizer import KINDS, Regularizer
from regadvisor.thresholds import ONE_CANDIDATE_FROM, RESCALING_MOST_LOST

NETWORK = replace(TRANSFER["network"], rescaling_costs={"l2": 0.01, "elasticnet": 0.03})


# ------------------------------------------------------------------------------------- the rule


def test_the_cost_grows_with_the_squared_log_of_the_ratio() -> None:
    found = rescaling_costs(NETWORK, n_from=500, n_to=4_000)
    assert found == pytest.approx({"l2": 0.01 * math.log(8) ** 2, "elasticnet": 0.03 * math.log(8) ** 2})
    assert rescaling_costs(NETWORK, n_from=500, n_to=500) == {}
    assert rescaling_costs(NETWORK, n_from=500, n_to=400) == {}


def test_nothing_is_extrapolated_beyond_what_was_measured() -> None:
    farthest = rescaling_costs(NETWORK, n_from=1, n_to=thresholds.FARTHEST_RATIO)
    assert rescaling_costs(NETWORK, n_from=1, n_to=10**6) == farthest


@given(
    loss=st.floats(0.0, 2.0), cost=st.floats(0.0, 1.0), constant=st.floats(0.0, 2.0), more=st.floats(0.0, 1.0)
)
def test_a_rescaled_loss_keeps_half_of_the_lead_over_the_constant(
    loss: float, cost: float, constant: float, more: float
) -> None:
    found = rescaled_loss(loss, cost, constant=constant)
    assert found >= loss
    if loss < constant:
        assert constant - found >= (1.0 - RESCALING_MOST_LOST) * (constant - loss) - 1e-12
    else:
        assert found == loss
    assert rescaled_loss(loss, cost + more, constant=constant) >= found
    assert rescaled_loss(loss + more, cost, constant=constant) >= found - 1e-12


def test_networks_with_decoupled_penalties_pay_and_others_do_not() -> None:
    decoupled = rescaling_costs_of(MLPFamily(Recipe()), n_from=1_000, n_to=16_000)
    assert set(decoupled) == set(KINDS) - {"none", "l1", "l2"}
    assert rescaling_costs_of(MLPFamily(Recipe(coupling="loss")), n_from=1_000, n_to=16_000) == {}
    assert rescaling_costs_of(LinearFamily(), n_from=1_000, n_to=16_000) == {}


# ------------------------------------------------------------------------- powers by the features


def test_powers_follow_the_fitted_law_within_their_range() -> None:
    law = STRENGTH_LAWS["decoupled"]["l2"]
    for features in (6, 20, 40):
        assert exponent("decoupled", "l2", features) == pytest.approx(
            law.intercept + law.slope * math.log(features)
        )
    low, high = thresholds.EXPONENT_RANGE
    assert (exponent("decoupled", "l2", 1), exponent("decoupled", "l2", 10_000)) == (high, low)
    assert {exponent("decoupled", "l1", features) for features in (1, 10, 1_000)} == {0.0}


def test_linear_strengths_fall_by_their_powers() -> None:
    found = Regularizer(l1=0.1, l2=0.4)
    fit = Fit(
        job=Job(regularizer=found),
        losses=np.zeros(1),
        train_losses=np.zeros(1),
        zeroed=np.zeros(1),
        converged=True,
    )
    by = Rescaling(n_sample=500, n_rows=8_000, n_features=10)
    there, sentence = LinearFamily().at_full_size(fit, by)
    assert there.l2 == pytest.approx(0.4 * 16**-1.0)
    assert there.l1 == pytest.approx(0.1 * 16**-0.85)
    assert sentence is not None
    in_loss = rescaled(found, "loss", by)
    assert in_loss.l2 == pytest.approx(0.4 * 16**-1.0)
    assert in_loss.l1 == pytest.approx(0.1 * 16**-0.5)


@given(
    n_sample=st.integers(50, 5_000),
    ratio=st.integers(1, 60),
    law=st.sampled_from(["linear", "decoupled", "loss"]),
)
def test_what_is_rescaled_down_and_up_again_is_as_before(n_sample: int, ratio: int, law: Any) -> None:
    found = Regularizer(l1=0.1, l2=0.4)
    up = Rescaling(n_sample=n_sample, n_rows=ratio * n_sample, n_features=12)
    down = replace(up, n_sample=up.n_rows, n_rows=up.n_sample)
    there = rescaled(found, law, up, sum_lr=(2.0, 5.0))
    back = rescaled(there, law, down, sum_lr=(5.0, 2.0))
    assert (back.l1, back.l2) == pytest.approx((0.1, 0.4))


def test_strengths_fall_by_the_power_and_not_at_all_forward_in_time() -> None:
    by = Rescaling(n_sample=500, n_rows=8_000, n_features=10)
    assert by.factor("decoupled", "l2") == pytest.approx(16 ** -exponent("decoupled", "l2", 10))
    assert replace(by, is_forward=True).factor("decoupled", "l2") == 1.0


# ----------------------------------------------------------------------------- who reads the costs


def test_the_support_of_a_kind_is_about_the_losses_expected_of_all_rows() -> None:
    row = np.random.default_rng(0).exponential(size=400)
    losses = {"none": 1.3 * row[None], "l2": row[None], "l1": 1.02 * row[None]}
    panel = Panel(losses=losses, constant=2 * row, fold=np.arange(400) % 5, n_folds=5)
    honest = honest_losses(panel, seed=0)
    free = resampled(honest, seed=1, n_draws=50)
    paid = resampled(honest, seed=1, n_draws=50, rescaling_costs={"l2": 0.05})
    assert (no_worse(free, ["l2"]), no_worse(free, ["l1"])) == (1.0, 0.0)
    assert (no_worse(paid, ["l2"]), no_worse(paid, ["l1"])) == (0.0, 1.0)
    assert (free.lowest == paid.lowest).all(), "the losses themselves stay those of the sample"


def test_combinations_that_cost_too_much_get_one_candidate() -> None:
    quick = EFFORTS["quick"]
    dear = dict.fromkeys(("l2", "dropout", "elasticnet", "dropout_l2"), ONE_CANDIDATE_FROM)
    spared = quick.sparing("mlp", dear)
    changed = {kind for kind in KINDS if spared.trials("mlp", kind) != quick.trials("mlp", kind)}
    assert changed == {"elasticnet", "dropout_l2"}
    assert {spared.trials("mlp", kind) for kind in changed} == {1}
    cheap = {kind: cost - 1e-9 for kind, cost in dear.items()}
    assert quick.sparing("mlp", cheap) == quick
    assert spared.n_trials["linear"] == quick.n_trials["linear"]


# ------------------------------------------------------------------------------------ a whole run


@pytest.mark.slow
def test_a_network_of_many_rows_pays_and_a_linear_model_does_not() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(12_000, 8))
    y = X[:, 0] + 0.5 * np.sin(3 * X[:, 1]) + 0.5 * rng.normal(size=12_000)
    recipe = Recipe(hidden=(8,), epochs=2)
    network = regadvisor.advise(X, y, model="mlp", recipe=recipe, effort="quick", random_state=0)
    scores = network.record.evidence.scores
    assert scores is not None
    n_learned = network.record.evidence.growth.n_sample if network.record.evidence.growth else 3_200
    expected = rescaling_costs(TRANSFER["network"], n_from=n_learned, n_to=12_000)
    assert scores.carry_costs == pytest.approx({kind: expected[kind] for kind in scores.carry_costs})
    assert set(scores.carry_costs) == set(expected)
    linear = regadvisor.advise(X, y, effort="quick", random_state=0).record.evidence.scores
    assert linear is not None
    assert linear.carry_costs == {}
