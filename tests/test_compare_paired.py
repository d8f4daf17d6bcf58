"""Comparisons: variance against formulas and loops, posterior against SciPy, and invariances."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from test_compare_panel import made

from regadvisor import thresholds
from regadvisor.compare.claims import _reply, judged, masses, rows_needed
from regadvisor.compare.honest import honest_losses
from regadvisor.compare.paired import compare, compare_all, spread
from regadvisor.compare.panel import Panel


def plain(difference, fold, **more):
    """A panel whose l2 loses `difference` more than none in every row."""
    n = len(difference)
    n_folds = more.pop("n_folds", int(max(fold)) + 1)
    base = np.linspace(1, 2, n)
    losses = {"none": base[None], "l2": (base + difference)[None]}
    return Panel(losses=losses, constant=np.full(n, 1.5), fold=np.asarray(fold), n_folds=n_folds, **more)


def flat_folds(n, n_folds, seed=0):
    """Differences whose folds all have the same mean, so that only rows spread."""
    rng = np.random.default_rng(seed)
    by_fold = rng.normal(size=(n_folds, n // n_folds))
    by_fold -= by_fold.mean(axis=1, keepdims=True)
    return 0.2 + by_fold.ravel(), np.repeat(np.arange(n_folds), n // n_folds)


@pytest.mark.parametrize("n_folds", [2, 5, 10])
def test_standard_error_is_nadeau_and_bengios(n_folds):
    difference, fold = flat_folds(100, n_folds)
    measured = spread(difference, plain(difference, fold))
    naive = stats.sem(difference)
    assert measured.folds == 0
    assert measured.rows == pytest.approx(naive**2)
    # The formula of the paper: (1/K + test rows / train rows) x variance of a fold's mean.
    of_fold = difference.var(ddof=1) / (100 / n_folds)
    assert measured.variance == pytest.approx((1 / n_folds + 1 / (n_folds - 1)) * of_fold)
    assert measured.df == pytest.approx(99)
    if n_folds == 5:
        assert math.sqrt(measured.variance) / naive == pytest.approx(1.5)


@pytest.mark.parametrize("n_tested", [2, 3, 5])
def test_some_of_the_folds_overlap_as_all_do(n_tested):
    """Nadeau and Bengio: training sets of 5 folds share as many rows, however many folds are tested."""
    difference, fold = flat_folds(120, n_tested)
    measured = spread(difference, plain(difference, fold, n_parts=5))
    of_fold = difference.var(ddof=1) / (120 / n_tested)
    assert measured.variance == pytest.approx((1 / n_tested + 1 / 4) * of_fold)


def test_interval_and_probabilities_are_those_of_scipys_t():
    difference, fold = flat_folds(40, 5)
    result = compare(honest_losses(plain(difference, fold), seed=0), "l2", "none")
    t = stats.t(39, loc=difference.mean(), scale=1.5 * stats.sem(difference))
    assert (result.low, result.high) == pytest.approx(t.interval(0.95))
    assert result.region == pytest.approx(0.005 * min(1.5, 1.5 + difference.mean()))
    assert result.p_better == pytest.approx(t.cdf(-result.region))
    assert result.p_worse == pytest.approx(t.sf(result.region))
    assert result.p_better + result.p_same + result.p_worse == pytest.approx(1)
    assert result.loss_a - result.loss_b == pytest.approx(result.difference)


def test_folds_that_differ_widen_the_interval_and_take_its_degrees_of_freedom():
    difference, fold = flat_folds(1000, 5)
    shift = np.array([-1.0, -0.5, 0.0, 0.5, 1.0])
    shifted = difference + 3 * shift[fold]
    measured = spread(shifted, plain(shifted, fold))
    within = np.mean([stats.sem(shifted[fold == k]) ** 2 for k in range(5)])
    excess = np.var(3 * shift, ddof=1) - within
    assert measured.folds == pytest.approx(excess / 5)
    assert measured.rows == pytest.approx(stats.sem(shifted) ** 2)
    row_part = 2.25 * measured.rows
    expected = (row_part + measured.folds) ** 2 / (row_part**2 / 999 + measured.folds**2 / 4)
    assert measured.df == pytest.approx(expected)
    assert 4 < measured.df < 5


def test_fold_part_of_unequal_folds_is_unbiased():
    """With a known effect of each fold the estimate is right on average (before cutting at zero)."""
    rng = np.random.default_rng(0)
    fold = np.repeat(np.arange(5), [20, 40, 60, 80, 100])
    share = np.array([20, 40, 60, 80, 100]) / 300
    panel = plain(np.zeros(300), fold)
    found = []
    for _ in range(400):
        difference = rng.normal(size=300) + rng.normal(size=5)[fold]
        found.append(spread(difference, panel).folds)
    assert np.mean(found) == pytest.approx(share @ share, abs=3 * np.std(found) / 20)


def test_clusters_give_the_cluster_robust_variance():
    rng = np.random.default_rng(1)
    cluster = np.repeat(np.arange(30), rng.integers(1, 8, size=30))
    fold = (np.arange(30) % 5)[cluster]
    weight = rng.uniform(0.5, 2, size=len(cluster))
    difference = rng.normal(size=len(cluster)) + rng.normal(size=30)[cluster]
    panel = plain(difference, fold, cluster=cluster, weight=weight)
    mean = np.average(difference, weights=weight)
    sums = [np.sum(weight[cluster == g] * (difference[cluster == g] - mean)) for g in range(30)]
    measured = spread(difference, panel)
    assert measured.mean == pytest.approx(mean)
    assert measured.rows == pytest.approx(np.sum(np.square(sums)) / weight.sum() ** 2 * 30 / 29)
    for k in range(5):  # without any fold part the degrees of freedom are those of the clusters
        difference[fold == k] -= np.average(difference[fold == k], weights=weight[fold == k])
    size = np.array([weight[cluster == g].sum() for g in range(30)])
    assert spread(difference, panel).df == pytest.approx(size.sum() ** 2 / (size @ size) - 1)


def test_copies_of_rows_widen_the_interval_only_when_they_are_said_to_be_copies():
    difference, fold = flat_folds(60, 5)
    alone = spread(difference, plain(difference, fold))
    copied, folds = np.repeat(difference, 4), np.repeat(fold, 4)
    as_rows = spread(copied, plain(copied, folds))
    as_copies = spread(copied, plain(copied, folds, cluster=np.repeat(np.arange(60), 4)))
    assert as_copies.variance == pytest.approx(alone.variance)
    assert as_copies.df == pytest.approx(alone.df)
    assert as_rows.variance == pytest.approx(alone.variance / 4, rel=0.02)


def test_a_fold_that_is_one_cluster_adds_no_fold_part():
    """Leave one group (or one row) out: fold means are the clusters, already counted as rows."""
    rng = np.random.default_rng(4)
    cluster = np.repeat(np.arange(6), 20)
    difference = rng.normal(size=120) + 3 * rng.normal(size=6)[cluster]
    measured = spread(difference, plain(difference, cluster, cluster=cluster))
    assert measured.folds == pytest.approx(0, abs=1e-12 * measured.rows)
    means = difference.reshape(6, 20).mean(axis=1)
    assert measured.rows == pytest.approx(stats.sem(means) ** 2)


def test_identical_losses_are_the_same_for_certain():
    result = compare(honest_losses(plain(np.zeros(20), np.arange(20) % 5), seed=0), "l2", "none")
    assert (result.reply, result.p_same, result.low, result.high) == ("same", 1.0, 0.0, 0.0)


def test_a_perfect_fit_of_both_sides_is_the_same():
    panel = Panel(
        losses={"none": np.zeros((1, 10)), "l2": np.zeros((1, 10))},
        constant=np.zeros(10),
        fold=np.arange(10) % 5,
        n_folds=5,
    )
    honest = honest_losses(panel, seed=0)
    assert compare(honest, "l2", "none").reply == "same"
    assert compare(honest, "any", "constant").reply == "same"


def test_two_rows_still_give_an_answer():
    panel = plain(np.array([-0.1, -0.2]), [0, 1])
    result = compare(honest_losses(panel, seed=0, n_boot=5), "l2", "none")
    assert np.isfinite([result.low, result.high]).all()
    assert result.low < result.difference < result.high


def test_the_region_of_the_constant_is_a_share_of_its_loss():
    honest = honest_losses(made(), seed=0)
    for pair in (("any", "constant"), ("constant", "l2")):
        assert compare(honest, *pair).region == pytest.approx(0.005 * honest.loss("constant"))


def test_all_pairs_are_compared():
    honest = honest_losses(made(sizes=(("none", 1), ("l2", 4), ("l1", 3))), seed=0)
    results = compare_all(honest)
    kinds = ["none", "l2", "l1", "constant"]
    pairs = {frozenset(pair) for pair in itertools.combinations(kinds, 2)}
    assert len(results) == len(pairs) + 1
    assert {frozenset((each.a, each.b)) for each in results} == pairs | {frozenset(("any", "constant"))}
    for each in results:
        assert each == compare(honest, each.a, each.b)
        assert each.turned == compare(honest, each.b, each.a)


@st.composite
def panels(draw):
    n = draw(st.integers(8, 40))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    has_clusters, has_weights = draw(st.booleans()), draw(st.booleans())
    return Panel(
        losses={
            "none": rng.exponential(size=(1, n)),
            "l2": rng.exponential(size=(draw(st.integers(1, 4)), n)) + draw(st.floats(-0.5, 0.5)),
        },
        constant=rng.exponential(size=n),
        fold=rng.permutation(np.arange(n) % draw(st.integers(2, 5))),
        n_folds=5,
        weight=rng.uniform(0.1, 3, size=n) if has_weights else None,
        cluster=np.arange(n) // 2 if has_clusters else None,
    )


@settings(max_examples=40, deadline=None)
@given(panel=panels(), pair=st.sampled_from([("l2", "none"), ("l2", "constant"), ("any", "constant")]))
def test_swapping_the_sides_swaps_the_answer_exactly(panel, pair):
    honest = honest_losses(panel, seed=0, n_boot=20)
    a, b = compare(honest, *pair), compare(honest, *pair[::-1])
    assert (b.p_better, b.p_same, b.p_worse) == (a.p_worse, a.p_same, a.p_better)
    assert (b.low, b.high, b.difference, b.region) == (-a.high, -a.low, -a.difference, a.region)
    assert b.reply == {"better": "worse", "worse": "better"}.get(a.reply, a.reply)


@settings(max_examples=40, deadline=None)
@given(panel=panels(), factor=st.sampled_from([2.0**-20, 0.5, 4.0, 2.0**20]))
def test_the_unit_of_the_loss_does_not_matter(panel, factor):
    scaled = replace_losses(panel, {kind: factor * v for kind, v in panel.losses.items()}, factor)
    one, two = (compare(honest_losses(p, seed=0, n_boot=20), "l2", "none") for p in (panel, scaled))
    assert two.difference == factor * one.difference
    assert (two.low, two.high) == pytest.approx((factor * one.low, factor * one.high), rel=1e-12)
    assert (two.reply, two.p_better) == (one.reply, pytest.approx(one.p_better, rel=1e-9))


@settings(max_examples=40, deadline=None)
@given(panel=panels(), seed=st.integers(0, 1000))
def test_the_order_of_rows_does_not_matter(panel, seed):
    order = np.random.default_rng(seed).permutation(panel.n_rows)
    cluster = np.arange(panel.n_rows) if panel.cluster is None else panel.cluster
    as_clusters = Panel(**fields(panel) | {"cluster": cluster})
    shuffled = Panel(
        losses={kind: v[:, order] for kind, v in panel.losses.items()},
        constant=panel.constant[order],
        fold=panel.fold[order],
        n_folds=panel.n_folds,
        weight=None if panel.weight is None else panel.weight[order],
        cluster=cluster[order],
    )
    one, two = (compare(honest_losses(p, seed=3, n_boot=20), "any", "none") for p in (as_clusters, shuffled))
    for name in ("difference", "low", "high", "p_better", "p_same", "p_worse"):
        assert getattr(two, name) == pytest.approx(getattr(one, name), rel=1e-7, abs=1e-10)


@settings(max_examples=40, deadline=None)
@given(panel=panels())
def test_one_row_per_cluster_is_as_good_as_no_clusters(panel):
    difference = panel.losses["l2"][0] - panel.losses["none"][0]
    bare = Panel(**fields(panel) | {"cluster": None})
    single = Panel(**fields(panel) | {"cluster": np.arange(panel.n_rows)})
    one, two = spread(difference, bare), spread(difference, single)
    assert two.variance == pytest.approx(one.variance, rel=1e-9)
    assert two.df == pytest.approx(one.df, rel=1e-6)


def fields(panel):
    names = ("losses", "constant", "fold", "n_folds", "weight", "cluster")
    return {name: getattr(panel, name) for name in names}


def replace_losses(panel, losses, factor):
    return Panel(**fields(panel) | {"losses": losses, "constant": factor * panel.constant})


@pytest.mark.parametrize(
    ("difference", "reply"), [(-0.5, "better"), (0.5, "worse"), (0.0, "same"), (-0.05, "unsure")]
)
def test_replies_need_their_mass(difference, reply):
    scale = 0.01 if reply != "unsure" else 0.2
    result = judged(
        "l2", "none", difference, scale=scale, df=50, region=0.03, losses=(1 + difference, 1.0), n_rows=51
    )
    assert result.reply == reply
    assert (result.a, result.b, result.loss_a, result.loss_b) == ("l2", "none", 1 + difference, 1.0)
    assert (result.region, result.n_rows) == (0.03, 51)
    if reply != "unsure":
        assert max(result.p_better, result.p_same, result.p_worse) >= thresholds.REPLY_MASS


def test_a_mass_of_exactly_the_threshold_is_enough():
    assert _reply(0.8, 0.1, 0.1) == "better"
    assert _reply(0.1, 0.8, 0.1) == "same"
    assert _reply(0.1, 0.1, 0.8) == "worse"
    assert _reply(0.79, 0.11, 0.1) == _reply(0.1, 0.79, 0.11) == _reply(0.11, 0.1, 0.79) == "unsure"


def test_masses_without_spread_are_certain():
    assert masses(0.2, scale=0.0, df=3, region=0.1) == (0, 0, 1)
    assert masses(-0.2, scale=0.0, df=3, region=0.1) == (1, 0, 0)
    assert masses(0.1, scale=0.0, df=3, region=0.1) == (0, 1, 0)


def unsure(difference, scale, region, n_rows=100):
    """An undecided comparison with a normal posterior."""
    return judged(
        "l2", "none", difference, scale=scale, df=np.inf, region=region, losses=(1.0, 1.0), n_rows=n_rows
    )


@pytest.mark.parametrize("difference", [-0.1, 0.1])
def test_rows_needed_for_a_difference_is_the_closed_form(difference):
    result = unsure(difference, 0.2, 0.01)
    assert result.reply == "unsure"
    expected = math.ceil(100 * (0.2 * stats.norm.ppf(0.8) / 0.09) ** 2)
    assert rows_needed(result, 100) == expected


def test_rows_needed_for_a_tie_is_the_fewest_that_reach_the_mass():
    result = unsure(0.004, 0.02, 0.01)
    n = rows_needed(result, 100)

    def inside(rows):
        posterior = stats.norm(0.004, 0.02 * math.sqrt(100 / rows))
        return posterior.cdf(0.01) - posterior.cdf(-0.01)

    assert inside(n) >= 0.8 > inside(n - 1)


def test_rows_needed_is_none_when_far_and_n_when_decided():
    assert rows_needed(unsure(0.0101, 1.0, 0.01), 100) is None
    assert rows_needed(unsure(-0.5, 0.1, 0.01), 100) == 100
    assert rows_needed(replace(unsure(0.01, 0.1, 0.01), reply="same"), 7) == 7


def test_the_part_of_folds_is_that_of_a_plain_loop_where_some_fold_is_one_cluster() -> None:
    """Method of moments for a random effect, and Satterthwaite's degrees of freedom, fold by fold."""
    rng = np.random.default_rng(5)
    fold = np.repeat(np.arange(4), 30)
    cluster = np.where(fold == 0, 0, 1 + np.arange(120) // 3)
    weight = rng.uniform(0.5, 2.0, 120)
    difference = 1.0 + np.array([0.9, -0.6, 0.5, -0.4])[fold] + 0.4 * rng.normal(size=120)
    panel = Panel(
        losses={"none": np.ones((1, 120))},
        constant=np.ones(120),
        fold=fold,
        n_folds=4,
        cluster=cluster,
        weight=weight,
    )
    share = weight / weight.sum()
    mean, n = share @ difference, len(set(cluster))
    clusters = [np.flatnonzero(cluster == each) for each in sorted(set(cluster))]
    rows = sum((share[c] @ (difference[c] - mean)) ** 2 for c in clusters) * n / (n - 1)
    excess = squares = 0.0
    for k in range(4):
        own = np.flatnonzero(fold == k)
        size = share[own].sum()
        fold_mean = share[own] @ difference[own] / size
        cells = [c for c in clusters if fold[c[0]] == k]
        sums = [share[c] @ (difference[c] - fold_mean) / size for c in cells]
        within = sum(each**2 for each in sums) * len(cells) / max(len(cells) - 1, 1)
        variance = within if len(cells) > 1 else (fold_mean - mean) ** 2 * n / (n - 1)
        excess += size * (fold_mean - mean) ** 2 - size * (1 - size) * variance
        squares += size**2
    found = spread(difference, panel)
    assert found.rows == pytest.approx(rows)
    assert found.folds == pytest.approx(excess / (1 - squares) * squares)
    assert found.folds > 0.1 * found.rows
    df_rows = 1 / sum(share[c].sum() ** 2 for c in clusters) - 1
    parts = (found.rows * (1 + 4 / 3), found.folds)
    assert found.df == pytest.approx(
        max(1.0, sum(parts) ** 2 / (parts[0] ** 2 / df_rows + parts[1] ** 2 / 3))
    )
    assert found.df > 1.0
