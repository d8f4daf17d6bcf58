"""Resampled losses, tied strengths and the summaries."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from test_compare_panel import made

from regadvisor.compare.claims import no_worse, strength_holds
from regadvisor.compare.honest import bootstrap_counts, honest_losses
from regadvisor.compare.paired import compare, spread
from regadvisor.compare.panel import Panel
from regadvisor.compare.resampled import no_signal, resampled, strength_ties
from regadvisor.compare.summary import fit_facts, still_learning, zeroed_features
from regadvisor.thresholds import SIGNAL_MASS

GRID = tuple({"l2": 10.0**k} for k in range(-3, 3))


def clustered(n=300):
    rng = np.random.default_rng(1)
    cluster = np.arange(n) // 6
    shift = rng.normal(size=n // 6)[cluster]
    row = rng.exponential(size=n)
    losses = {"none": row[None], "l2": row + 0.3 * shift + 0.5 * rng.normal(size=(4, n))}
    fold = cluster % 5
    return Panel(losses=losses, constant=row + 0.2, fold=fold, n_folds=5, cluster=cluster)


@pytest.mark.parametrize("gap", [0.0, 0.1])
@pytest.mark.parametrize("panel", [made(), made(12), clustered(), made(weight=np.linspace(0.2, 3, 200))])
def test_support_of_no_signal_is_nearly_that_of_a_loop_over_resampled_rows(panel, gap):
    panel = replace(panel, constant=panel.losses["none"][0] + gap)
    honest, n_draws = honest_losses(panel, seed=0), 2_000
    difference = honest.of("any") - honest.of("constant")
    observed, measured = compare(honest, "any", "constant"), spread(difference, panel)
    sd, n = np.sqrt(measured.variance), panel.n_clusters
    stretch = sd / np.sqrt(measured.rows * (n - 1) / n)
    cluster = np.arange(panel.n_rows) if panel.cluster is None else panel.cluster
    n_none = 0
    for counts in bootstrap_counts(n, n_draws, np.random.default_rng(1)):
        weight = panel.share * counts[cluster]
        moved = measured.mean + stretch * (np.average(difference, weights=weight) - measured.mean)
        n_none += stats.t.cdf((-observed.region - moved) / sd, measured.df) < SIGNAL_MASS
    assert no_signal(honest) == pytest.approx(n_none / n_draws, abs=0.05)


def test_a_signal_is_missing_in_every_draw_where_nothing_differs_from_the_constant():
    row = np.random.default_rng(0).exponential(size=(1, 50))
    honest = honest_losses(made(50, losses={"none": row, "l2": row}, constant=row[0]), seed=0)
    assert no_signal(honest) == 1.0


def test_draws_are_determined_by_the_seed():
    honest = honest_losses(made(), seed=0)
    one, two, other = (resampled(honest, seed=seed, n_draws=5) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.lowest, two.lowest)
    assert (one.lowest != other.lowest).any()


def valley(n=400, noise=0.02):
    """Losses by strength with a flat bottom in the middle: +1, +0.001, 0, +0.002, +0.5, diverged."""
    rng = np.random.default_rng(0)
    row = rng.exponential(size=n)
    above = np.array([1.0, 0.001, 0.0, 0.002, 0.5, np.inf])
    losses = row + above[:, None] + noise * rng.normal(size=(6, n))
    losses[2] = row
    return Panel(losses={"l2": losses}, constant=row + 1, fold=np.arange(n) % 5, n_folds=5)


def test_ties_are_the_strengths_not_clearly_worse_than_the_best():
    assert strength_ties(valley(), "l2", GRID, 2) == {"l2": (0.01, 1.0)}
    assert strength_ties(valley(noise=20.0), "l2", GRID, 2)["l2"][1] == 10.0


def test_ties_of_two_strengths_are_the_box_around_them():
    strengths = [{"l1": 10.0**-k, "l2": float(k)} for k in range(6)]
    assert strength_ties(valley(), "l2", strengths, 2) == {"l1": (1e-3, 1e-1), "l2": (1.0, 3.0)}


def test_the_baseline_has_no_strengths_to_tie_and_full_support():
    panel = made()
    assert strength_ties(panel, "none", [{}], 0) == {}
    assert strength_holds(resampled(honest_losses(panel, seed=0), seed=1, n_draws=20), "none") == 1.0


@pytest.mark.parametrize("panel", [made(), clustered(), made(weight=np.linspace(0.2, 3, 200))])
def test_the_share_of_a_strength_is_that_of_a_plain_loop_over_resampled_rows(panel):
    honest = honest_losses(panel, seed=0)
    draws = resampled(honest, seed=1, n_draws=60)
    losses, observed = panel.losses["l2"], panel.losses["l2"] @ panel.share
    cluster = np.arange(panel.n_rows) if panel.cluster is None else panel.cluster
    stretch = np.sqrt(1 + 5 / 4)
    n_near = 0
    for counts in bootstrap_counts(panel.n_clusters, 60, np.random.default_rng(1)):
        weight = panel.share * counts[cluster]
        drawn = observed + stretch * (losses @ weight / weight.sum() - observed)
        n_near += drawn[observed.argmin()] <= drawn.min() + 0.005 * abs(drawn.min())
    assert strength_holds(draws, "l2") == pytest.approx(n_near / 60)


def test_a_strength_far_ahead_is_sure_and_one_of_equals_is_not():
    def share(noise: float) -> float:
        honest = honest_losses(valley(noise=noise), seed=0)
        return strength_holds(resampled(honest, seed=1, n_draws=200), "l2")

    assert share(0.0) == 1.0
    assert share(3.0) < 0.8


@pytest.mark.parametrize(
    ("train", "held_out", "says"),
    [
        (0.02, 0.41, "overfits"),
        (0.40, 0.41, "fits"),
        (0.001, 0.01, "fits the training rows much better than new ones"),
        (0.68, 0.69, "hardly learns the training rows"),
        (0.01, 5.0, "explodes"),
    ],
)
def test_fit_facts_name_what_happened(train, held_out, says):
    facts = fit_facts("l2", train_loss=train, held_out_loss=held_out, constant_loss=0.69)
    assert facts.text.startswith(f"With L2 the model {says}: train loss {train:.3g}, ")
    assert facts.gap == pytest.approx(1 - train / held_out)


@pytest.mark.parametrize(
    ("train", "held_out", "says"), [(-9.0, -8.0, "fits"), (-2.0, -1.99, "hardly learns")]
)
def test_losses_below_zero_are_no_explosion(train, held_out, says):
    facts = fit_facts("l2", train_loss=train, held_out_loss=held_out, constant_loss=-2.0)
    assert f"the model {says}" in facts.text
    diverged = fit_facts("l2", train_loss=3.0, held_out_loss=9.0, constant_loss=-2.0)
    assert "explodes" in diverged.text


def test_a_perfect_fit_has_no_gap():
    facts = fit_facts("none", train_loss=0.0, held_out_loss=0.0, constant_loss=1.0)
    assert (facts.gap, " fits:" in facts.text) == (0.0, True)


@pytest.mark.parametrize(
    ("train", "held_out", "is_said"),
    [
        ((0.60, 0.45), (0.62, 0.48), True),
        ((0.60, 0.50), (0.62, 0.52), False),
        ((0.60, 0.58), (0.62, 0.60), False),  # settled
        ((0.60, 0.40), (0.62, 0.61), False),  # only training goes on
        ((0.60, 0.20), (0.62, 0.50), False),  # learns its rows by heart
        ((-1.00, -2.0), (-1.00, -1.9), True),  # a likelihood
        ((0.60, np.nan), (0.62, 0.48), False),
    ],
)
def test_a_network_that_still_learns_is_told_to_train_longer(train, held_out, is_said):
    halfway, end = zip(train, held_out, strict=True)
    note = still_learning(halfway, end, 0.69, epochs=12)
    assert (note is not None) == is_said
    if note is not None:
        assert note.code == "still-learning"
        assert f"half of its 12 epochs, the loss fell from {train[0]:.3g} to {train[1]:.3g} in" in note.text


def test_zeroed_features_come_most_often_first():
    found = zeroed_features(["a", "b", "c", "d"], np.array([0.8, 0.2, 1.0, 0.8]))
    assert [(f.name, f.share) for f in found] == [("c", 1.0), ("a", 0.8), ("d", 0.8)]
    names = [str(i) for i in range(100)]
    equals = zeroed_features(names, np.tile([0.7, 0.9], 50))
    assert [f.name for f in equals] == names[1::2] + names[::2], "as given where they are equal"


@pytest.mark.parametrize("unit", [1e-4, 1.0, 1e4])
@pytest.mark.parametrize(
    ("train", "held_out", "says"),
    [(0.02, 0.41, "overfits"), (0.6, 0.65, "fits"), (0.689, 0.69, "hardly learns"), (0.2, 2.5, "explodes")],
)
def test_what_is_said_of_a_fit_does_not_depend_on_the_unit_of_the_loss(unit, train, held_out, says):
    facts = fit_facts("l2", train_loss=unit * train, held_out_loss=unit * held_out, constant_loss=0.69 * unit)
    assert f"the model {says}" in facts.text


def test_the_lowest_loss_of_a_draw_is_the_stretched_minimum_over_candidates():
    panel = made()
    honest = honest_losses(panel, seed=0)
    draws = resampled(honest, seed=1, n_draws=5)
    counts = bootstrap_counts(panel.n_clusters, 5, np.random.default_rng(1))
    for draw in range(5):
        for kind, lowest in zip(panel.kinds, draws.lowest[draw], strict=True):
            means = panel.losses[kind].mean(axis=1)
            drawn = [np.average(row, weights=counts[draw]) for row in panel.losses[kind]]
            stretched = means + np.sqrt(1 + 5 / 4) * (drawn - means)
            assert lowest == pytest.approx(stretched.min(), rel=1e-12)


def test_kinds_that_tie_with_the_best_are_all_near_it():
    row = np.random.default_rng(0).exponential(size=400)
    losses = {"none": 1.02 * row[None], "l2": row[None], "l1": 1.004 * row[None]}
    panel = Panel(losses=losses, constant=2 * row, fold=np.arange(400) % 5, n_folds=5)
    draws = resampled(honest_losses(panel, seed=0), seed=1, n_draws=50)
    assert [no_worse(draws, [kind]) for kind in losses] == [0.0, 1.0, 1.0]
    assert no_worse(draws, ["none", "l1"]) == 1.0
    assert no_worse(draws, list(losses)) == 1.0
    assert no_worse(draws, []) == 0.0
