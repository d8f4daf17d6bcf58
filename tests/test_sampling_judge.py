"""Q1's verdict: random draws pass, biased ones are found. Rates by simulation with fixed seeds."""

import math

import numpy as np
import pandas as pd
import pytest
from sampling_tables import columns_of, make_table, noisy_classes
from scipy import sparse, stats
from sklearn.metrics import roc_auc_score

from regadvisor import DataError, advise
from regadvisor.sampling.difference import classifier_test, interleaved_parts, judge_difference
from regadvisor.sampling.draw import draw_sample
from regadvisor.sampling.encode import fit_encode
from regadvisor.sampling.judge import Draw, judge_moments


def weighted_rows(weight, n_rows, seed):
    rng = np.random.default_rng(seed)
    return rng.choice(len(weight), n_rows, replace=False, p=weight / weight.sum())


def verdicts_of(n_runs, draw):
    return [draw(seed).evidence.verdict for seed in range(n_runs)]


def test_random_draws_are_rarely_called_anything_but_equivalent():
    def given(seed):
        table = noisy_classes(600, 5, seed=seed)
        rows = np.random.default_rng(seed).choice(600, 200, replace=False)
        return draw_sample(table, n_rows=1, sample=rows, seed=seed)

    def own(seed):
        table = noisy_classes(600, 5, seed=seed, share=0.2)
        return draw_sample(table, n_rows=200, seed=seed)

    found = verdicts_of(60, given) + verdicts_of(60, own)
    # 5% and 10% with 120 draws: 12 and 19 are the 99% points of the binomial.
    assert found.count("different") <= stats.binom.ppf(0.99, 120, 0.05)
    assert found.count("inconclusive") <= stats.binom.ppf(0.99, 120, 0.10)


def test_rare_words_do_not_look_surprising():
    def draw(seed):
        rng = np.random.default_rng(seed)
        X = sparse.csr_array((rng.random((500, 120)) < 0.005) * 1.0 * rng.integers(1, 4, size=(500, 120)))
        return draw_sample(make_table(X, rng.integers(0, 2, 500)), n_rows=200, seed=seed)

    assert verdicts_of(20, draw).count("equivalent") >= 17


def test_a_shifted_column_is_found():
    def draw(seed):
        table = noisy_classes(6000, 12, seed=seed)
        rows = weighted_rows(np.exp(0.25 * table.X[:, 3]), 2000, seed)
        return draw_sample(table, n_rows=1, sample=rows, seed=seed)

    drawn = [draw(seed) for seed in range(10)]
    assert [one.evidence.verdict for one in drawn].count("different") >= 9
    assert {one.evidence.worst_column for one in drawn} == {"x3"}


def test_one_shifted_column_among_hundreds_is_found():
    def draw(seed):
        X = np.random.default_rng(seed).normal(size=(4000, 400))
        rows = weighted_rows(np.exp(0.3 * X[:, 7]), 1000, seed)
        table = make_table(X, np.random.default_rng(seed).integers(0, 2, 4000))
        return draw_sample(table, n_rows=1, sample=rows, seed=seed).evidence.tests[1]

    tests = [draw(seed) for seed in range(2)]
    assert {(test.verdict, test.column) for test in tests} == {("different", "x7")}
    # Columns that were not tested count in the correction: 401 tests, target included.
    assert all("most suspect of 402 encoded columns" in test.text for test in tests)


def test_columns_left_untested_count_in_the_correction():
    rng = np.random.default_rng(3)
    X = rng.normal(size=(600, 250))
    X[:150, 11] += 0.45
    _, encoded = fit_encode(X, columns_of(X), seed=0)
    a, b = encoded.take(np.arange(150)), encoded.take(np.arange(150, 600))
    test = judge_difference(a, b, what="a against b", rng=rng)[0]
    p_values = [stats.ks_2samp(X[:150, j], X[150:, j], method="asymp").pvalue for j in range(250)]
    # Benjamini and Hochberg's smallest adjusted value is that of the smallest p here, times all columns.
    assert np.argmin(p_values) == 11
    assert test.column == "column 11"
    assert test.p_value == pytest.approx(250 * p_values[11])


def test_levels_of_a_column_are_ranked_and_tested_together():
    rng = np.random.default_rng(4)
    towns = {f"c{j}": rng.choice(list("uvwxyz"), 1200) for j in range(60)}
    frame = pd.DataFrame(towns)
    frame.loc[:399, "c41"] = rng.choice(list("uvw"), 400)
    _, encoded = fit_encode(frame, columns_of(frame), seed=0)
    a, b = encoded.take(np.arange(400)), encoded.take(np.arange(400, 1200))
    test = judge_difference(a, b, what="a against b", rng=rng)[0]
    assert len(encoded.names) == 360
    assert (test.verdict, test.column) == ("different", "c41")
    counts = pd.crosstab(frame["c41"], np.arange(1200) < 400)
    # 60 columns of levels, each one test however many levels it has.
    assert test.p_value == pytest.approx(60 * stats.chi2_contingency(counts, correction=False).pvalue)


def test_a_biased_label_draw_is_found():
    def draw(seed):
        table = noisy_classes(6000, 12, seed=seed, share=0.3)
        return draw_sample(table, n_rows=1, sample=weighted_rows(1 + 0.6 * table.y, 2000, seed), seed=seed)

    assert verdicts_of(10, draw).count("different") >= 9


def test_a_biased_level_is_found_and_named():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.normal(size=4000), "town": rng.choice(["Bonn", "Köln", "Ulm"], 4000)})
    table = make_table(frame, rng.integers(0, 2, 4000))
    rows = weighted_rows(1 + 1.0 * (frame["town"] == "Ulm").to_numpy(), 1000, 0)
    evidence = draw_sample(table, n_rows=1, sample=rows).evidence
    assert evidence.verdict == "different"
    assert evidence.worst_column == "town = Ulm"


def test_a_rotated_difference_that_no_column_shows_is_found_by_the_classifier():
    # Two columns that are nearly equal; the sample has those rows where their difference is positive.
    rng = np.random.default_rng(0)
    common = rng.normal(size=6000)
    X = common[:, None] + 0.05 * rng.normal(size=(6000, 2))
    rows = weighted_rows(np.where(X[:, 0] > X[:, 1], 2.0, 1.0), 1500, 0)
    evidence = draw_sample(make_table(X, rng.integers(0, 2, 6000)), n_rows=1, sample=rows).evidence
    by_name = {test.what: test for test in evidence.tests}
    assert by_name["sample against complement, column by column"].verdict != "different"
    assert by_name["sample against complement, linear classifier"].verdict == "different"


def test_significant_but_tiny_differences_do_not_count():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40_000, 2))
    rows = weighted_rows(np.exp(0.06 * X[:, 0]), 18_000, 0)
    evidence = draw_sample(make_table(X, rng.integers(0, 2, 40_000)), n_rows=1, sample=rows).evidence
    by_column = evidence.tests[1]
    assert by_column.p_value < 0.025
    assert by_column.effect < 0.1
    assert evidence.verdict == "equivalent"


def test_small_complements_are_not_tested():
    table = noisy_classes(500, 3, seed=0)
    evidence = draw_sample(table, n_rows=450).evidence
    assert not any(test.what.startswith("sample against complement") for test in evidence.tests)


def test_whole_groups_are_judged_against_draws_of_groups():
    def draw(seed):
        rng = np.random.default_rng(seed)
        groups = rng.integers(0, 80, 1600).astype(np.intp)
        X = rng.normal(size=(80, 4))[groups] + 0.3 * rng.normal(size=(1600, 4))
        y = (X[:, 0] + rng.normal(size=1600) > 0).astype(np.intp)
        chosen = np.isin(groups, rng.choice(80, 24, replace=False))
        return draw_sample(make_table(X, y, groups=groups), n_rows=1, sample=chosen, seed=seed)

    found = verdicts_of(25, draw)
    # A row-wise test would call nearly all of them different: 24 groups are not 480 independent rows.
    assert found.count("different") <= 3
    assert found.count("equivalent") >= 20


def test_groups_chosen_by_value_are_found():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(100), 20).astype(np.intp)
    means = rng.normal(size=(100, 2))
    X = means[groups] + 0.3 * rng.normal(size=(2000, 2))
    table = make_table(X, rng.integers(0, 2, 2000), groups=groups)
    chosen = np.isin(groups, np.argsort(means[:, 1])[-40:])
    assert draw_sample(table, n_rows=1, sample=chosen).evidence.verdict == "different"


def test_differences_are_those_of_a_plain_loop():
    X = np.random.default_rng(0).gamma(2.0, size=(400, 3))
    rows = np.arange(0, 400, 3)
    weight = np.random.default_rng(1).uniform(0.5, 2, len(rows))
    _, whole = fit_encode(X, columns_of(X), seed=0)
    draw = Draw(share=weight / weight.sum(), n_rows=400)
    result = judge_moments([(whole.take(rows), whole)], draw, what="sample against the whole")
    shifts, ratios = [], []
    for column in X.T:
        mean = np.average(column[rows], weights=weight)
        variance = np.average((column[rows] - mean) ** 2, weights=weight)
        shifts.append(abs(mean - column.mean()) / column.std())
        ratios.append(abs(np.log(variance / column.var())))
    assert result.tests[0].effect == pytest.approx(max(shifts), abs=1e-5)
    assert result.worst_log_variance_ratio == pytest.approx(max(ratios), abs=1e-5)


def long_tails(rng):
    return rng.standard_t(2.5, size=(900, 6))


def single_values(rng):
    """Columns with one row that differs: the sample has it, or it has not."""
    X = np.zeros((900, 60))
    X[rng.permutation(900)[:60], np.arange(60)] = 1.0
    return X


def two_levels(rng):
    return (rng.random((900, 6)) < 0.3) * 1.0


@pytest.mark.parametrize("columns", [long_tails, single_values, two_levels])
@pytest.mark.parametrize("n_groups", [None, 150, 12])
def test_what_we_draw_passes_whatever_the_columns_and_is_not_tested_further(columns, n_groups):
    found = []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        rest = {} if n_groups is None else {"groups": (np.arange(900) % n_groups).astype(np.intp)}
        table = make_table(columns(rng), (rng.random(900) < 0.03).astype(np.intp), **rest)
        evidence = draw_sample(table, n_rows=120, seed=seed).evidence
        assert not any(test.what.startswith("sample against complement") for test in evidence.tests)
        found.append(evidence.verdict)
    assert found.count("equivalent") >= 11
    assert "different" not in found


def judged(X, rows, *, groups=None):
    """Return the judgement on rows, or on whole groups, of an array."""
    whole = fit_encode(X, columns_of(X), seed=0)[1]
    units = {} if groups is None else {"unit": groups[rows], "n_units": len(np.unique(groups))}
    draw = Draw(share=np.full(len(rows), 1 / len(rows)), n_rows=len(X), **units)
    return judge_moments([(whole.take(rows), whole)], draw, what="sample against the whole")


@pytest.mark.parametrize("n_groups", [None, 100])
def test_the_limit_is_bernsteins(n_groups):
    """Samples with ever larger means pass up to the bound of the formula, and fail from there on."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=2000)
    groups = None if n_groups is None else np.repeat(np.arange(n_groups), 20).astype(np.intp)
    if groups is not None:
        x = 0.7 * x + rng.normal(size=n_groups)[groups]
    x = (x - x.mean()) / x.std()
    total = x if groups is None else np.bincount(groups, weights=x)
    by_value, luck = np.argsort(total), rng.permutation(len(total))
    m = len(total) // 4
    verdicts = []
    for n_chosen in range(0, m, m // 25):
        units = np.concatenate([by_value[len(total) - n_chosen :], luck])[:m].astype(np.intp)
        units = np.unique(units)
        rows = units if groups is None else np.flatnonzero(np.isin(groups, units))
        k, n = len(units), len(rows)
        variance = (1 / n - 1 / len(x)) * np.mean(x**2)
        if groups is not None:
            off = total[units] / n - x[rows].mean() / k
            variance += (1 - k / len(total)) * np.sum(off**2)
        level = np.log(2 * 2 / 0.05)  # a mean and a variance
        third = np.abs(x).max() / (n if groups is None else k) * level / 3
        limit = third + np.sqrt(third**2 + 2 * variance * level)
        shift = abs(x[rows].mean())
        wanted = "inconclusive" if shift > max(limit, 0.1) else "equivalent"
        got = judged(x[:, None], rows, groups=groups)
        assert got.tests[0].effect == pytest.approx(shift, abs=1e-5)
        assert (got.verdict == "equivalent") == (wanted == "equivalent")
        verdicts.append(wanted)
    assert len(set(verdicts)) == 2


def test_classifier_p_values_are_not_too_small_under_the_null():
    p_values = []
    for seed in range(100):
        rng = np.random.default_rng(seed)
        values = rng.normal(size=(120, 5)).astype(np.float32)
        labels = rng.permutation(np.arange(120) < 60)
        p_values.append(classifier_test(values, labels, interleaved_parts(labels, 5, rng)).p_value)
    assert np.mean(np.array(p_values) <= 0.05) <= stats.binom.ppf(0.99, 100, 0.05) / 100
    assert np.mean(np.array(p_values) <= 0.2) <= stats.binom.ppf(0.99, 100, 0.2) / 100


def test_classifier_auc_is_that_of_scikit_learn():
    rng = np.random.default_rng(0)
    labels = np.arange(200) % 2 == 0
    values = (rng.normal(size=(200, 2)) + 0.5 * labels[:, None]).astype(np.float32)
    parts = interleaved_parts(labels, 4, rng)
    result = classifier_test(values, labels, parts)
    expected = [roc_auc_score(labels[parts == k], result.ranks[parts == k]) for k in range(4)]
    assert result.auc == pytest.approx(np.mean(expected))


def test_column_p_values_are_those_of_scipy():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.normal(size=500), "c": rng.choice(["u", "v"], 500)})
    _, encoded = fit_encode(frame, columns_of(frame), seed=0)
    a, b = encoded.take(np.arange(200)), encoded.take(np.arange(200, 500))
    test = judge_difference(a, b, what="a against b", rng=rng)[0]
    ks = stats.ks_2samp(frame["a"][:200], frame["a"][200:], method="asymp").pvalue
    chi2 = stats.chi2_contingency(pd.crosstab(frame["c"], np.arange(500) < 200), correction=False).pvalue
    assert test.p_value == pytest.approx(stats.false_discovery_control([ks, chi2]).min())


@pytest.mark.parametrize("sizes", [(1, 1), (1, 2), (2, 19)])
def test_few_rows_are_compared_exactly(sizes):
    # Every row of one side is below all of the other: of all orders, 2 of comb(n, n_a) are as far apart.
    _, encoded = fit_encode(X := np.arange(sum(sizes), dtype=float)[:, None], columns_of(X), seed=0)
    a, b = encoded.take(np.arange(sizes[0])), encoded.take(np.arange(sizes[0], sum(sizes)))
    test = judge_difference(a, b, what="a against b", rng=np.random.default_rng(0))[0]
    assert test.p_value == pytest.approx(min(1.0, 2 / math.comb(sum(sizes), sizes[0])))
    assert test.verdict == ("different" if sizes == (2, 19) else "inconclusive")


def test_one_group_against_one_other_is_told_in_words():
    X = np.random.default_rng(0).normal(size=(60, 2))
    groups = np.repeat([0, 1], 30)
    with pytest.raises(DataError, match="groups must name at least two groups"):
        advise(X, X[:, 0], groups=groups, sample=np.flatnonzero(groups == 0), effort="quick")
