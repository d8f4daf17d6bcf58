"""The draw: which rows, which weights, which sentences."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sampling_tables import make_table, noisy_classes, noisy_values

from regadvisor.errors import DataError, ParameterError
from regadvisor.families.base import fold_of_row
from regadvisor.sampling.draw import draw_sample
from regadvisor.sampling.strata import target_bins


def shuffled(table, seed):
    return table.take(np.random.default_rng(seed).permutation(table.n_rows))


def test_everything_is_equivalent_by_identity():
    drawn = draw_sample(noisy_classes(120, 3, seed=0), n_rows=500)
    assert np.sort(drawn.rows).tolist() == list(range(120))
    assert drawn.evidence.is_everything
    assert drawn.evidence.verdict == "equivalent"
    assert drawn.evidence.size_reason.startswith("uses all 120 rows (the limit is 500)")
    assert drawn.table.weight is None


def test_classes_and_target_bins_keep_their_shares():
    table = noisy_classes(2000, 3, seed=1, share=0.3)
    drawn = draw_sample(table, n_rows=500)
    assert np.bincount(drawn.table.y).tolist() == [350, 150]
    values = noisy_values(2000, 3, seed=1)
    bins = target_bins(values.y, 10)[draw_sample(values, n_rows=500).rows]
    assert np.bincount(bins).tolist() == [50] * 10


def test_rare_class_is_drawn_and_weighted_back_to_its_share():
    y = np.repeat([0, 1, 2], [1900, 93, 7])
    X = np.random.default_rng(0).normal(size=(2000, 4))
    drawn = draw_sample(make_table(X, y), n_rows=200, folds=5)
    counts = np.bincount(drawn.table.y)
    assert counts[2] == 5
    weight = drawn.table.weight
    np.testing.assert_allclose(weight.mean(), 1.0)
    shares = np.bincount(drawn.table.y, weights=weight) / weight.sum()
    np.testing.assert_allclose(shares, np.bincount(y) / 2000, rtol=1e-12)
    assert "weighted-sample" in [note.code for note in drawn.notes]


def test_weights_of_the_caller_are_multiplied_in():
    y = np.repeat([0, 1], [990, 10])
    X = np.random.default_rng(0).normal(size=(1000, 2))
    own = np.linspace(0.5, 1.5, 1000)
    plain = draw_sample(make_table(X, y), n_rows=100)
    both = draw_sample(make_table(X, y, weight=own), n_rows=100)
    np.testing.assert_array_equal(plain.rows, both.rows)
    expected = plain.table.weight * own[plain.rows]
    np.testing.assert_allclose(both.table.weight, expected / expected.mean())


def test_the_same_seed_draws_the_same_rows_in_whatever_order_they_stand():
    table = noisy_classes(800, 3, seed=2)
    order = np.argsort(table.y, kind="stable")
    a, b = draw_sample(table, n_rows=200, seed=5), draw_sample(table.take(order), n_rows=200, seed=5)
    np.testing.assert_array_equal(a.rows, order[b.rows])
    for one, other in zip(a.folds, b.folds, strict=True):
        np.testing.assert_array_equal(one.test, other.test)
    np.testing.assert_array_equal(a.table.X, b.table.X)  # so batches are the same, too
    assert a.evidence.verdict == b.evidence.verdict
    other = draw_sample(table, n_rows=200, seed=6)
    assert set(a.rows) != set(other.rows)


def test_whole_groups_come_in_where_there_are_many():
    rng = np.random.default_rng(0)
    table = noisy_classes(3000, 2, seed=0, groups=rng.integers(0, 300, 3000).astype(np.intp))
    drawn = draw_sample(table, n_rows=600)
    sizes, taken = np.bincount(table.groups), np.bincount(drawn.table.groups, minlength=300)
    assert (taken[taken > 0] == sizes[taken > 0]).all()
    assert abs(drawn.table.n_rows - 600) <= sizes.max()
    assert drawn.evidence.has_groups
    assert "groups" in drawn.evidence.size_reason


def test_few_large_groups_are_all_kept_and_thinned():
    table = noisy_classes(3000, 2, seed=0, groups=(np.arange(3000) % 6).astype(np.intp))
    drawn = draw_sample(table, n_rows=600)
    assert drawn.table.n_rows == 600
    assert len(np.unique(drawn.table.groups)) == 6


def test_rows_are_spread_over_time():
    time = np.random.default_rng(0).permutation(2000).astype(float)
    table = noisy_classes(2000, 2, seed=0, time=time)
    drawn = draw_sample(table, n_rows=200)
    for code in (0, 1):
        # One row from each of equally long slices of a class, so any stretch has its share, give or take one.
        members = np.sort(time[table.y == code])
        is_drawn = np.isin(members, drawn.table.time[drawn.table.y == code])
        up_to = np.append(0, np.cumsum(is_drawn)) - np.arange(len(members) + 1) * is_drawn.mean()
        assert np.ptp(up_to) < 2.0


@given(n=st.integers(30, 200), share=st.floats(0.05, 1.0), folds=st.integers(2, 6), seed=st.integers(0, 99))
@settings(deadline=None, max_examples=25)
def test_sizes_and_folds_add_up(n, share, folds, seed):
    table = noisy_classes(n, 2, seed=seed, share=0.4)
    drawn = draw_sample(table, n_rows=1, sample=share, folds=folds, seed=seed)
    wanted = max(1, round(share * n))
    least = sum(min(folds, count) for count in np.bincount(table.y))
    assert len(drawn.rows) == max(wanted, least)
    assert len(np.unique(drawn.rows)) == len(drawn.rows)
    np.testing.assert_array_equal(drawn.table.y, table.y[drawn.rows])
    for k, fold in enumerate(drawn.folds):
        np.testing.assert_array_equal(
            np.flatnonzero(fold_of_row(drawn.folds, drawn.table.n_rows) == k), fold.test
        )
        assert not np.intersect1d(fold.train, fold.test).size


def test_given_rows_and_masks_are_taken_as_they_are():
    table = noisy_classes(300, 2, seed=0)
    rows = np.random.default_rng(0).choice(300, 100, replace=False)
    mask = np.isin(np.arange(300), rows)
    for given_rows in (rows, mask, rows.tolist()):
        drawn = draw_sample(table, n_rows=9, sample=given_rows)
        np.testing.assert_array_equal(np.sort(drawn.rows), np.sort(rows))


def test_no_sample_can_be_taken():
    drawn = draw_sample(noisy_classes(100, 2, seed=0), n_rows=50, sample=False)
    assert not drawn.evidence.is_allowed
    assert drawn.table.n_rows == 0
    assert drawn.folds == ()


@pytest.mark.parametrize(
    ("sample", "message"),
    [
        (True, "sample must be"),
        (0, "sample must be"),
        (-3, "sample must be"),
        (1.5, "sample must be"),
        (0.0, "sample must be"),
        (float("nan"), "sample must be"),
        ("all", "sample must be"),
        (None, "sample must be"),
        ([[1, 2]], "sample must be"),
        ([0.5, 1.5], "sample must be"),
        ([], "sample must"),
        ([1, 2, 2], "every row once, got row 2 twice"),
        ([1, 400], "row numbers from 0 to 99, got 400"),
        ([-1, 4], "row numbers from 0 to 99, got -1"),
        (np.ones(7, dtype=bool), "one entry per row"),
        (np.zeros(100, dtype=bool), "at least one row"),
    ],
)
def test_bad_samples_are_refused(sample, message):
    with pytest.raises(ParameterError, match=message):
        draw_sample(noisy_classes(100, 2, seed=0), n_rows=50, sample=sample)


def test_given_rows_of_one_class_are_refused():
    table = noisy_classes(100, 2, seed=0)
    with pytest.raises(DataError, match="two classes"):
        draw_sample(table, n_rows=50, sample=np.flatnonzero(table.y == 1))


@pytest.mark.parametrize(
    ("n_copies", "said"), [(10, "10 of 300 rows repeat "), (1, "1 of 300 rows repeats ")]
)
def test_rare_classes_and_duplicates_are_reported(n_copies, said):
    X = np.random.default_rng(0).normal(size=(300, 2))
    X[10 : 10 + n_copies] = X[:n_copies]
    y = np.repeat([0, 1, 2], [200, 97, 3])
    drawn = draw_sample(make_table(X, y, classes=("a", "b", "c")), n_rows=1000)
    assert drawn.evidence.rare_classes == (("c", 3),)
    assert drawn.evidence.n_duplicate_rows == n_copies
    assert any(note.text.startswith(said) for note in drawn.notes)
    assert {"rare-classes", "duplicate-rows"} <= {note.code for note in drawn.notes}


def test_rows_of_few_values_are_told_once():
    rng = np.random.default_rng(0)
    drawn = draw_sample(
        make_table(rng.integers(0, 2, size=(200, 2)) * 1.0, rng.integers(0, 2, 200)), n_rows=1000
    )
    codes = [note.code for note in drawn.notes]
    assert "coarse-rows" in codes
    assert "duplicate-rows" not in codes


def test_the_reason_for_the_size_is_measured_and_may_be_led_in():
    table = noisy_classes(5000, 2, seed=0)
    drawn = draw_sample(table, n_rows=400, size_reason="Quick effort takes 400 rows.")
    assert drawn.evidence.size_reason == (
        "400 of 5,000 rows: enough to know a mean to about 0.05 standard deviations; "
        "every class has at least 200 rows. Quick effort takes 400 rows"
    )
    asked = draw_sample(table, n_rows=400, sample=300, size_reason="No more rows fit into 2 s")
    assert asked.evidence.size_reason.startswith("300 of 5,000 rows, as asked: ")
    # Rows far from most of the source: match= cuts the sample, whatever the budget would have allowed.
    new = make_table(table.X[:200] + 0.7, table.y[:200])
    reasons = {
        drawn.table.n_rows < n_rows: drawn.evidence.size_reason
        for n_rows in (50, 3_000)
        for drawn in [draw_sample(table, n_rows=n_rows, match=new, size_reason="no more rows fit into 2 s")]
    }
    assert reasons[False].startswith("50 of 5,000 rows like the new ones: ")
    assert reasons[False].endswith(". No more rows fit into 2 s")
    assert " of 5,000 rows like the new ones: " in reasons[True]
    assert "fit into" not in reasons[True]
