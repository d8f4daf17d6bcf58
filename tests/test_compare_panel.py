"""The panel: validation, dropped rows, diverged configurations, and honest losses."""

from __future__ import annotations

import numpy as np
import pytest

from regadvisor import thresholds
from regadvisor.compare.honest import bootstrap_counts, counted_sums, honest_losses, out_of_bag_shares
from regadvisor.compare.paired import compare
from regadvisor.compare.panel import Panel
from regadvisor.errors import ParameterError


def made(n=200, *, sizes=(("none", 1), ("l2", 6)), seed=0, **changes):
    rng = np.random.default_rng(seed)
    row = rng.exponential(size=n)
    values = {
        "losses": {kind: row + 0.3 * rng.normal(size=(m, n)) for kind, m in sizes},
        "constant": row + 0.5,
        "fold": np.arange(n) % 5,
        "n_folds": 5,
    }
    return Panel(**(values | changes))


def test_rows_never_held_out_or_of_weight_zero_are_dropped():
    fold = np.array([-1, 0, 1, 0, 1, 0])
    losses = np.arange(12.0).reshape(2, 6)
    losses[:, 0] = np.nan
    panel = Panel(
        losses={"l2": losses},
        constant=np.array([np.nan, 1, 1, 1, 1, 1]),
        fold=fold,
        n_folds=2,
        weight=np.array([1.0, 2, 1, 0, 1, 1]),
        cluster=np.array([9, 7, 7, 3, 5, 5]),
    )
    assert panel.rows.tolist() == [1, 2, 4, 5]
    assert panel.losses["l2"].tolist() == [[1, 2, 4, 5], [7, 8, 10, 11]]
    assert panel.cluster.tolist() == [1, 1, 0, 0]
    assert panel.n_clusters == 2
    np.testing.assert_allclose(panel.share, [0.4, 0.2, 0.2, 0.2])
    np.testing.assert_allclose(panel.mean_losses("l2"), [2.6, 8.6])
    assert panel.cluster_sums(panel.losses["l2"]).tolist() == [[9, 3], [21, 15]]


def test_inputs_are_left_alone():
    losses = np.full((2, 4), 3.0)
    losses[1, 2] = np.inf
    given = losses.copy()
    losses.flags.writeable = False
    Panel(losses={"l2": losses}, constant=np.ones(4), fold=np.array([0, 1, 0, 1]), n_folds=2)
    np.testing.assert_array_equal(losses, given)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_diverged_configuration_is_worse_than_everything_and_never_picked(bad):
    panel = made()
    broken = np.vstack([panel.losses["l2"], panel.losses["l2"][0] - 10.0])
    broken[-1, 17] = bad
    panel = made(losses={"none": np.full((1, 200), bad), "l2": broken, "l1": np.full((1, 200), bad)})
    assert (panel.losses["l2"] > 1e5).all(axis=1).tolist() == [False] * 6 + [True]
    honest = honest_losses(panel, seed=0)
    assert honest.of("l2").max() < 1e5, "it is never picked"
    assert honest.best_kind == "l2"
    result = compare(honest, "none", "l2")
    assert (result.reply, result.p_worse) == ("worse", 1.0)
    assert np.isfinite([result.low, result.high, result.difference]).all()
    assert compare(honest, "none", "constant").reply == "worse"
    both = compare(honest, "none", "l1")
    assert (both.reply, both.p_same, both.difference) == ("same", 1.0, 0.0)


def test_huge_losses_are_bounded():
    losses = np.ones((1, 10))
    losses[0, 3] = 1e300
    panel = Panel(losses={"none": losses}, constant=np.full(10, 2.0), fold=np.arange(10) % 2, n_folds=2)
    assert panel.losses["none"].max() == 2 * thresholds.LARGEST_LOSS
    assert panel.losses["none"].sum() == 9 + 2 * thresholds.LARGEST_LOSS


def test_wrong_input_is_named():
    with pytest.raises(ParameterError, match=r"^held-out rows must "):
        made(fold=np.full(200, -1))


def test_bootstrap_helpers_equal_plain_loops():
    rng = np.random.default_rng(3)
    counts = bootstrap_counts(9000, 3, rng)
    assert (counts.sum(axis=1, dtype=int) == 9000).all()
    values = rng.normal(size=(2, 9000))
    expected = [[sum(c * v for c, v in zip(row, value, strict=True)) for value in values] for row in counts]
    np.testing.assert_allclose(counted_sums(counts, values), expected, atol=1e-9)

    counts, picks = bootstrap_counts(12, 30, rng), rng.integers(3, size=30)
    shares = out_of_bag_shares(counts, picks, 3)
    for thing in range(12):
        out = picks[counts[:, thing] == 0]
        np.testing.assert_allclose(shares[:, thing], np.bincount(out, minlength=3) / len(out))


@pytest.mark.parametrize("size", [1, 2])
def test_many_clusters_are_drawn_in_bundles_that_leave_the_variance_of_a_mean(size):
    rng, n = np.random.default_rng(0), 20_000
    cluster = None if size == 1 else np.arange(n) // size
    # In order of the rows, as in a file that is sorted: bundles must not be made of every so many rows.
    losses = np.sort(rng.normal(size=(1, n)))
    panel = Panel(
        losses={"none": losses}, constant=np.ones(n), fold=np.arange(n) % 5, n_folds=5, cluster=cluster
    )
    sums = panel.bundle_sums(panel.losses["none"])
    assert sums.shape == (1, thresholds.MOST_BUNDLES) == (1, panel.n_bundles)
    assert sums.sum() == pytest.approx(losses.sum())
    if cluster is not None:
        assert (panel.bundle[::2] == panel.bundle[1::2]).all(), "rows of a cluster stay together"
    counts = bootstrap_counts(panel.n_bundles, 1000, rng)
    drawn = counted_sums(counts, sums)[:, 0] / counted_sums(counts, panel.bundle_sums(np.ones((1, n))))[:, 0]
    by_cluster = panel.cluster_sums(losses[0])
    expected = by_cluster.std() * np.sqrt(len(by_cluster)) / n
    assert drawn.std() == pytest.approx(expected, rel=0.1)


def test_a_thing_in_every_draw_gets_the_shares_of_all_draws():
    counts = np.array([[1, 1], [1, 1], [2, 0]], dtype=np.uint8)
    shares = out_of_bag_shares(counts, np.array([0, 1, 1]), 2)
    np.testing.assert_allclose(shares, [[1 / 3, 0], [2 / 3, 1]])


def test_honest_losses_equal_a_plain_loop():
    panel = made(40, weight=np.linspace(0.5, 2, 40), cluster=np.arange(40) // 2)
    honest = honest_losses(panel, seed=11, n_boot=60)
    counts = bootstrap_counts(20, 60, np.random.default_rng(11))
    total = {side: np.zeros(40) for side in ("none", "l2", "any")}
    n_out = np.zeros(40)
    for draw in counts:
        weight = draw[panel.cluster] * panel.weight
        in_bag = {kind: losses @ weight / weight.sum() for kind, losses in panel.losses.items()}
        picked = {kind: panel.losses[kind][np.argmin(means)] for kind, means in in_bag.items()}
        picked["any"] = picked[min(in_bag, key=lambda kind: in_bag[kind].min())]
        is_out = weight == 0
        n_out += is_out
        for side in total:
            total[side][is_out] += picked[side][is_out]
    for side in total:
        np.testing.assert_allclose(honest.of(side), total[side] / n_out, atol=1e-12)
        assert honest.loss(side) == pytest.approx(np.average(total[side] / n_out, weights=panel.weight))
    np.testing.assert_array_equal(honest.of("constant"), panel.constant)


def test_a_kind_with_one_configuration_keeps_its_own_losses():
    panel = made()
    honest = honest_losses(panel, seed=0)
    np.testing.assert_array_equal(honest.of("none"), panel.losses["none"][0])
    assert honest.loss("none") == pytest.approx(panel.losses["none"].mean())


def test_the_pick_on_all_rows_is_the_lowest_mean_and_the_first_of_equals():
    panel = made()
    honest = honest_losses(panel, seed=0)
    assert honest.best_config("l2") == np.argmin(panel.losses["l2"].mean(axis=1))
    twice = made(losses={"l2": np.repeat(panel.losses["none"], 3, axis=0)})
    assert honest_losses(twice, seed=0).best_config("l2") == 0


def test_weights_act_like_repeated_rows():
    panel = made(60)
    times = np.random.default_rng(5).integers(1, 4, size=60)
    again = np.repeat(np.arange(60), times)
    weighted = made(60, weight=times.astype(float))
    repeated = Panel(
        losses={kind: losses[:, again] for kind, losses in panel.losses.items()},
        constant=panel.constant[again],
        fold=panel.fold[again],
        n_folds=5,
        cluster=again,
    )
    one, two = honest_losses(weighted, seed=4), honest_losses(repeated, seed=4)
    np.testing.assert_allclose(one.losses[:, again], two.losses)
    for pair in (("l2", "none"), ("any", "constant")):
        a, b = compare(one, *pair), compare(two, *pair)
        for name in ("difference", "low", "high", "p_better", "p_same", "loss_a", "region"):
            assert getattr(a, name) == pytest.approx(getattr(b, name), rel=1e-9)


def test_equal_seeds_give_equal_losses_and_others_do_not():
    panel = made()
    one, two, other = (honest_losses(panel, seed=seed) for seed in (7, 7, 8))
    np.testing.assert_array_equal(one.losses, two.losses)
    assert (one.losses != other.losses).any()


def test_best_of_twenty_equal_configurations_gains_nothing():
    """The naive winner looks 1.87 standard errors better (the expected maximum of 20 normals)."""
    n, repeats, rng = 150, 120, np.random.default_rng(2)
    honest_gain, naive_gain = [], []
    for repeat in range(repeats):
        panel = Panel(
            losses={"none": rng.normal(size=(1, n)), "l2": rng.normal(size=(20, n))},
            constant=np.ones(n),
            fold=np.arange(n) % 5,
            n_folds=5,
        )
        honest = honest_losses(panel, seed=repeat, n_boot=100)
        honest_gain.append((honest.loss("none") - honest.loss("l2")) * np.sqrt(n))
        naive_gain.append((honest.loss("none") - panel.mean_losses("l2").min()) * np.sqrt(n))
    error = np.std(honest_gain) / np.sqrt(repeats)
    assert abs(np.mean(honest_gain)) < 3 * error
    assert np.mean(naive_gain) == pytest.approx(1.87, abs=3 * np.std(naive_gain) / np.sqrt(repeats))


def test_rows_of_one_cluster_are_compared_one_by_one_and_it_is_said() -> None:
    alone, together = made(), made(cluster=np.zeros(200, dtype=int))
    assert together.is_one_cluster
    assert not alone.is_one_cluster
    assert not made(cluster=np.arange(200) // 100).is_one_cluster
    ours, theirs = (
        compare(honest_losses(panel, seed=0, n_boot=50), "l2", "none") for panel in (alone, together)
    )
    assert (ours.low, ours.high) == (theirs.low, theirs.high)


@pytest.mark.parametrize("unit", [1e-3, 0.5, 1.0, 40.0])
def test_a_loss_is_bounded_in_units_of_the_constant_s(unit):
    losses = {
        "none": np.full((1, 6), unit),
        "l2": np.array([[np.inf, 1, 1, 1, 1, 1], [1e12, 1, 1, 1, 1, 1]]) * unit,
    }
    panel = Panel(losses=losses, constant=np.full(6, unit), fold=np.arange(6) % 2, n_folds=2)
    np.testing.assert_allclose(panel.losses["l2"][0], thresholds.LARGEST_LOSS * unit)
    np.testing.assert_allclose(
        panel.losses["l2"][1], np.array([thresholds.LARGEST_LOSS, 1, 1, 1, 1, 1]) * unit
    )
    np.testing.assert_array_equal(panel.losses["none"], losses["none"])
