"""Large sources are judged by some of their rows: same error rates, same estimates, same strata."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sampling_tables import columns_of, make_table
from scipy import stats

from regadvisor import thresholds
from regadvisor.sampling.draw import draw_sample
from regadvisor.sampling.encode import fit_encode
from regadvisor.sampling.judge import Draw, judge_moments
from regadvisor.sampling.strata import target_bins


def classes(n, seed, **rest):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 5))
    return make_table(X, (X[:, 0] + rng.normal(size=n) > 1).astype(np.intp), **rest)


@pytest.fixture
def small_stand_in(monkeypatch):
    monkeypatch.setattr(thresholds, "STAND_IN_ROWS", 600)


def test_a_random_draw_passes_as_often_as_with_all_rows(small_stand_in):
    def verdict(seed):
        table = classes(6_000, seed)
        rows = np.random.default_rng(seed).choice(6_000, 150, replace=False) if seed % 2 else "auto"
        evidence = draw_sample(table, n_rows=150, sample=rows, seed=seed).evidence
        assert "estimated from 600 of its rows" in evidence.tests[0].text
        return evidence.verdict

    found = [verdict(seed) for seed in range(60)]
    assert found.count("different") <= stats.binom.ppf(0.99, 60, 0.05)
    assert found.count("inconclusive") <= stats.binom.ppf(0.99, 60, 0.10)


def test_a_biased_draw_is_still_found(small_stand_in):
    found = []
    for seed in range(8):
        table = classes(6_000, seed)
        p = np.exp(0.5 * table.X[:, 3])
        rows = np.random.default_rng(seed).choice(6_000, 400, replace=False, p=p / p.sum())
        found.append(draw_sample(table, n_rows=1, sample=rows, seed=seed).evidence)
    assert [evidence.verdict for evidence in found].count("different") >= 7
    assert {evidence.worst_column for evidence in found} == {"x3"}


def test_moments_of_the_source_are_estimated_without_bias():
    rng = np.random.default_rng(0)
    X = rng.gamma(2.0, size=(200_000, 1))
    rows = np.flatnonzero(X[:, 0] > 1.5)[:3_000]
    others = rng.choice(np.setdiff1d(np.arange(200_000), rows), 37_000, replace=False)
    place = np.sort(np.concatenate([rows, others]))
    _, encoded = fit_encode(X, columns_of(X), seed=0, rows=place)
    own, whole = encoded.take(np.isin(place, rows)), encoded.take(np.isin(place, others))
    draw = Draw(share=np.full(3_000, 1 / 3_000), n_rows=200_000)
    result = judge_moments([(own, whole)], draw, what="sample against the whole")
    expected = (X[rows].mean() - X.mean()) / X.std()
    assert result.tests[0].effect == pytest.approx(expected, rel=0.05)
    ratio = np.log(X[rows].var() / X.var())
    assert result.worst_log_variance_ratio == pytest.approx(abs(ratio), abs=0.06)


def test_few_rows_that_stand_for_the_others_are_no_reason_to_doubt():
    """Means of 300 rows are off by 0.06 standard deviations, and no sample can be blamed for that."""
    verdicts = []
    for seed in range(20):
        _, encoded = fit_encode(
            X := np.random.default_rng(seed).normal(size=(2_300, 3)), columns_of(X), seed=0
        )
        own, whole = encoded.take(np.arange(2_000)), encoded.take(np.arange(2_000, 2_300))
        draw = Draw(share=np.full(2_000, 1 / 2_000), n_rows=100_000)
        found = judge_moments([(own, whole)], draw, what="sample against the whole")
        (test,) = found.tests
        assert test.effect is not None
        verdicts.append((test.effect > 0.1, test.verdict))
    assert (True, "equivalent") in verdicts
    assert {verdict for _, verdict in verdicts} == {"equivalent"}


@pytest.mark.parametrize("n_groups", [9, 900])
def test_groups_stand_for_all_groups(n_groups, small_stand_in):
    """Whole groups are seen, those that were drawn among them, and the sample passes."""
    for seed in range(10):
        groups = (np.arange(6_000) % n_groups).astype(np.intp)
        drawn = draw_sample(classes(6_000, seed, groups=groups), n_rows=150, seed=seed)
        assert drawn.evidence.verdict == "equivalent"
        assert "the whole is estimated from" in drawn.evidence.tests[0].text


@given(
    st.lists(st.sampled_from([-1.0, 0.0, 0.5, 2.0, 7.0, 7.5]), min_size=1, max_size=60), st.integers(1, 12)
)
@settings(max_examples=150, deadline=None)
def test_target_bins_are_those_of_ranks(values, n_bins):
    y = np.array(values)
    bins = np.minimum(np.floor((stats.rankdata(y) - 0.5) * n_bins / len(y)), n_bins - 1)
    np.testing.assert_array_equal(target_bins(y, n_bins), np.unique(bins, return_inverse=True)[1])
