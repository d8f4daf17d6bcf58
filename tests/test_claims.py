"""The claims alone, from made losses, and by simulation: how often they are right."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from regadvisor import thresholds
from regadvisor.compare import claims
from regadvisor.compare.honest import honest_losses
from regadvisor.compare.paired import compare_all
from regadvisor.compare.panel import Panel
from regadvisor.compare.resampled import Resampled, resampled, strength_is_open
from regadvisor.records import Claim, ScoreEvidence

N, N_FOLDS = 300, 5
FOLD = np.arange(N) % N_FOLDS


def made(
    losses: dict[str, np.ndarray], *, n_draws: int = 200, **costs: float
) -> tuple[Resampled, ScoreEvidence]:
    """Return draws and scores of losses by kind, shape (n_strengths, n_rows)."""
    panel = Panel(losses=losses, constant=np.full(N, 5.0), fold=FOLD, n_folds=N_FOLDS)
    honest = honest_losses(panel, seed=0, n_boot=100)
    scores = ScoreEvidence(
        loss_name="log loss",
        constant_loss=5.0,
        scores=(),
        honest_losses={kind: honest.loss(kind) for kind in losses},  # type: ignore[misc]
        best_kind="none",
        comparisons=compare_all(honest),
    )
    return resampled(honest, seed=1, n_draws=n_draws, rescaling_costs=costs), scores


def claimed(kind: str, found: tuple[Resampled, ScoreEvidence], **more: float) -> dict[str, Claim]:
    return {each.name: each for each in claims.claims(kind, *found, **more)}  # type: ignore[arg-type]


def kinds_of(means: dict[str, float], rng: np.random.Generator, *, noise: float) -> dict[str, np.ndarray]:
    """Losses of one strength a kind: rows that all share, what the kind adds, and what rows add to it."""
    shared = rng.exponential(size=N)
    return {kind: (shared + mean + noise * rng.normal(size=N))[None] for kind, mean in means.items()}


# ------------------------------------------------------------------------------------------- by hand


def test_a_clear_gain_is_claimed_and_none_is_no_tie() -> None:
    base = np.random.default_rng(0).exponential(size=N)[None]
    found = made({"none": 2 * base, "l2": base, "l1": 1.5 * base})
    said = claimed("l2", found)
    assert said["regularize"].statement == "Regularize."
    assert [said[name].support for name in ("regularize", "kind", "strength")] == [
        thresholds.HIGHEST_SUPPORT
    ] * 3
    assert claims.ties("l2", found[1]) == ()
    # A deadline left no fit of none: there is a kind, but nothing that says whether it helps.
    said = claimed("l2", made({"l2": base, "l1": 1.5 * base}))
    assert (said["regularize"].support, said["kind"].support) == (None, thresholds.HIGHEST_SUPPORT)
    assert claims.most_lost(found[0], "l2") == 0.0
    assert claims.most_lost(found[0], "l1") == pytest.approx(0.5)
    assert claims.most_lost(found[0], "none") == pytest.approx(1.0)


def test_kinds_that_are_equal_tie_none_included_and_nothing_is_said_to_help() -> None:
    base = np.random.default_rng(0).exponential(size=N)[None]
    found = made({"none": base, "l2": 1.001 * base, "l1": base})
    said = claimed("l2", found)
    assert claims.ties("l2", found[1]) == ("none", "l1")
    assert said["regularize"].statement == "Regularizing or not changes the loss by less than 0.5%."
    assert said["regularize"].support == thresholds.HIGHEST_SUPPORT


def test_a_doubtful_signal_and_a_small_sample_lower_the_claims() -> None:
    base = np.random.default_rng(0).exponential(size=N)[None]
    found = made({"none": 2 * base, "l2": base})
    said = claimed("l2", found, signal=0.8, discount=0.9)
    assert said["regularize"].support == said["kind"].support == pytest.approx(0.72)
    assert said["strength"].support == pytest.approx(0.9)


def test_what_rescaling_costs_counts_against_a_kind() -> None:
    base = np.random.default_rng(0).exponential(size=N)[None]
    free, paid = made({"l2": base, "l1": 1.1 * base}), made({"l2": base, "l1": 1.1 * base}, l2=0.3)
    assert (claims.most_lost(free[0], "l2"), claims.no_worse(free[0], ["l2"])) == (0.0, 1.0)
    assert claims.most_lost(paid[0], "l2") == pytest.approx(0.3 / 1.1 - 0.1 / 1.1, rel=0.05)
    assert claims.no_worse(paid[0], ["l2"]) == 0.0


def test_the_bound_keeps_the_strengths_that_were_chosen() -> None:
    """Two kinds of the same strengths: with strengths chosen anew in every draw they would never differ."""
    rng = np.random.default_rng(0)
    shared, grid = rng.exponential(size=N), 0.5 * rng.normal(size=(6, N))
    grid -= grid.mean(axis=1, keepdims=True)
    l2 = shared + grid
    l2[0] -= 0.001  # of L2 the first strength is the best, of L1 the second
    l1 = shared + grid
    l1[1] -= 0.001
    draws, _ = made({"l2": l2, "l1": l1})
    expected = draws.trained[:, 0] - draws.trained.min(axis=1)
    assert claims.most_lost(draws, "l2") == pytest.approx(
        np.quantile(expected / draws.trained.min(axis=1), 0.9), rel=1e-6
    )
    assert claims.most_lost(draws, "l2") > 0.01


def test_the_one_trained_model_varies_more_than_the_mean_of_the_folds() -> None:
    base = np.random.default_rng(0).exponential(size=N)[None]
    draws, _ = made({"l2": base})
    overlap = N_FOLDS / (N_FOLDS - 1)
    ratio = np.std(draws.trained[:, 0]) / np.std(draws.best[:, 0])
    assert ratio == pytest.approx(np.sqrt((1 + 2 * overlap) / (1 + overlap)))


# --------------------------------------------------------------------------------------- by simulation


def test_where_nothing_matters_it_is_rarely_said_that_regularizing_helps() -> None:
    """All kinds have the same expected loss: 100 draws of rows."""
    rng = np.random.default_rng(1)
    sure = 0
    for _ in range(100):
        found = made(kinds_of({"none": 0.0, "l2": 0.0, "l1": 0.0}, rng, noise=0.1), n_draws=20)
        said = claimed(min(("l2", "l1"), key=found[1].honest_losses.__getitem__), found)["regularize"]
        assert said.support is not None
        sure += said.statement == "Regularize." and said.support >= thresholds.REPLY_MASS
    # The better of two is looked at, at the level 0.8 and a variance that allows for overlapping folds.
    assert sure <= 20


@pytest.mark.parametrize("spread", [0.0, 0.01, 0.05])
def test_the_bound_holds_nine_times_in_ten(spread: float) -> None:
    """What the advised kind loses against the best is known here: kinds differ by normal draws."""
    rng = np.random.default_rng(2)
    held, n = 0, 150
    for _ in range(n):
        means = dict(zip(("none", "l2", "l1"), spread * rng.normal(size=3), strict=True))
        draws, scores = made(kinds_of(means, rng, noise=0.2), n_draws=100)
        kind = min(scores.honest_losses, key=scores.honest_losses.__getitem__)
        lost = (means[kind] - min(means.values())) / (1 + min(means.values()))
        held += lost <= claims.most_lost(draws, kind)
    assert held / n >= 0.88


def test_bounds_grow_with_the_noise_of_the_rows() -> None:
    rng = np.random.default_rng(3)
    means = {"none": 0.0, "l2": 0.0}
    bounds = [
        claims.most_lost(made(kinds_of(means, rng, noise=noise))[0], "none") for noise in (0.0, 0.1, 1.0)
    ]
    assert bounds[0] == 0.0
    assert 0.001 < bounds[1] < bounds[2] / 3


def test_an_edited_comparison_is_read_from_either_side() -> None:
    base = np.random.default_rng(0).exponential(size=N)[None]
    draws, scores = made({"none": base, "l2": 0.99 * base})
    turned = replace(scores, comparisons=tuple(each.turned for each in scores.comparisons))
    assert claims.claims("l2", draws, turned) == claims.claims("l2", draws, scores)


# ------------------------------------------------------------------------------------- enough folds


@pytest.mark.parametrize(
    ("means", "noise", "is_clear"),
    [
        ({"none": 0.5, "l2": 0.0, "l1": 0.0}, 0.001, True),  # two tie: neither is clearly better
        ({"none": 0.5, "l2": 0.0, "l1": 0.02}, 0.5, False),  # the other may be better
        ({"none": 9.0, "l2": 9.0, "l1": 9.0}, 0.001, False),  # no signal
    ],
)
def test_more_folds_are_needed_while_another_kind_may_be_better(means, noise, is_clear) -> None:
    draws, scores = made(kinds_of(means, np.random.default_rng(0), noise=noise))
    best = draws.honest.best_kind
    assert claims.is_decided(scores.comparisons, best) is is_clear
    others = [kind for kind in means if kind != best]
    may_win = [scores.comparison(kind, best).p_better > 0.2 for kind in others]  # type: ignore[union-attr]
    assert not (is_clear and any(may_win))


def test_a_strength_is_open_while_another_may_be_better() -> None:
    rng = np.random.default_rng(0)
    row = rng.exponential(size=N)
    clear = made({"none": row[None] + 1, "l2": np.stack([row, row + 0.1])})[0].honest.panel
    noisy = made({"none": row[None] + 1, "l2": np.stack([row, row + 0.02 + rng.normal(size=N)])})[
        0
    ].honest.panel
    assert not strength_is_open(clear, "l2")
    assert strength_is_open(noisy, "l2")
    assert not strength_is_open(noisy, "none")
