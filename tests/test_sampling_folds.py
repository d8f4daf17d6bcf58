"""Folds: stratified, by group, forward in time; rare classes and copies."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sampling_tables import make_table, noisy_classes, noisy_values

from regadvisor.errors import DataError
from regadvisor.sampling.folds import make_folds
from regadvisor.sampling.strata import target_bins


def check(table, folding):
    """Check what holds for every folding: disjoint parts, every row tested at most once, two classes."""
    tested = np.concatenate([fold.test for fold in folding.folds])
    assert len(np.unique(tested)) == len(tested)
    for k, fold in enumerate(folding.folds):
        assert not np.intersect1d(fold.train, fold.test).size
        assert (folding.fold_of_row[fold.test] == k).all()
        if table.is_classification:
            assert len(np.unique(table.y[fold.train])) >= 2
    assert (folding.fold_of_row == -1).sum() == table.n_rows - len(tested)


def test_classes_are_spread_as_evenly_as_can_be():
    y = np.repeat([0, 1, 2], [103, 52, 11])
    table = make_table(np.random.default_rng(0).normal(size=(166, 2)), y)
    folding = make_folds(table, folds=5)
    check(table, folding)
    counts = np.array([np.bincount(y[fold.test], minlength=3) for fold in folding.folds])
    assert (np.ptp(counts, axis=0) <= 1).all()
    assert np.ptp(counts.sum(axis=1)) <= 1
    assert folding.scheme == "stratified"


def test_regression_is_stratified_by_target_bin():
    table = noisy_values(500, 2, seed=0)
    folding = make_folds(table, folds=5)
    bins = target_bins(table.y, 10)
    assert all(np.bincount(bins[fold.test]).tolist() == [10] * 10 for fold in folding.folds)


def test_a_class_of_one_row_is_always_in_training_and_rare_ones_are_spread():
    y = np.array([0] * 40 + [1] * 30 + [2] * 3 + [3])
    table = make_table(np.random.default_rng(0).normal(size=(74, 2)), y)
    folding = make_folds(table, folds=5)
    check(table, folding)
    assert folding.fold_of_row[-1] == -1
    assert len(np.unique(folding.fold_of_row[y == 2])) == 3
    assert all(73 in fold.train for fold in folding.folds)


def test_two_rows_of_a_class_leave_two_classes_in_training():
    y = np.array([0] * 20 + [1] * 2)
    table = make_table(np.random.default_rng(0).normal(size=(22, 2)), y)
    check(table, make_folds(table, folds=5))


def test_copies_stay_together_and_are_clusters():
    rng = np.random.default_rng(0)
    X = np.repeat(rng.normal(size=(80, 3)), 2, axis=0)[:120]
    X = np.vstack([X, rng.normal(size=(100, 3))])
    y = np.concatenate([np.repeat(rng.integers(0, 2, 60), 2), rng.integers(0, 2, 100)])
    table = make_table(X, y)
    folding = make_folds(table, folds=5)
    check(table, folding)
    assert folding.n_duplicates == 60
    assert (folding.fold_of_row[:120:2] == folding.fold_of_row[1:120:2]).all()
    assert (folding.cluster_of_row[:120:2] == folding.cluster_of_row[1:120:2]).all()
    assert len(np.unique(folding.cluster_of_row)) == 160


def test_rows_of_few_distinct_values_are_not_taken_for_copies():
    rng = np.random.default_rng(0)
    table = make_table(rng.integers(0, 2, size=(200, 2)) * 1.0, rng.integers(0, 2, 200))
    folding = make_folds(table, folds=5)
    assert [len(fold.test) for fold in folding.folds] == [40] * 5
    assert folding.cluster_of_row is None
    assert [note.code for note in folding.notes] == ["coarse-rows"]


def test_a_class_of_copies_only_is_split_all_the_same():
    X = np.vstack([np.random.default_rng(0).normal(size=(60, 2)), np.ones((10, 2))])
    table = make_table(X, np.repeat([0, 1], [60, 10]))
    check(table, make_folds(table, folds=5))


def test_groups_are_never_on_both_sides():
    rng = np.random.default_rng(0)
    table = noisy_classes(400, 2, seed=0, groups=rng.integers(0, 23, 400).astype(np.intp))
    folding = make_folds(table, folds=5)
    check(table, folding)
    assert folding.scheme == "group"
    assert len(folding.folds) == 5
    for fold in folding.folds:
        assert not np.intersect1d(table.groups[fold.train], table.groups[fold.test]).size
    shares = [table.y[fold.test].mean() for fold in folding.folds]
    assert np.ptp(shares) < 0.2


def test_groups_with_a_rare_class_and_many_groups_raise_no_warning():
    rng = np.random.default_rng(0)
    y = np.concatenate([rng.integers(0, 2, 5997), [2, 2, 2]])
    table = make_table(rng.normal(size=(6000, 1)), y, groups=(np.arange(6000) // 2).astype(np.intp))
    folding = make_folds(table, folds=5)
    check(table, folding)
    few = table.take(np.arange(5900, 6000))
    check(few, make_folds(few, folds=5))


def test_fewer_groups_than_folds_give_fewer_folds_and_a_note():
    table = noisy_classes(90, 2, seed=0, groups=(np.arange(90) % 3).astype(np.intp))
    folding = make_folds(table, folds=5)
    assert len(folding.folds) == 3
    assert "fewer-folds" in [note.code for note in folding.notes]


def test_one_group_is_refused():
    table = noisy_classes(90, 2, seed=0, groups=np.zeros(90, dtype=np.intp))
    with pytest.raises(DataError, match="groups must name at least two groups"):
        make_folds(table, folds=5)


def test_groups_of_one_class_each_are_refused():
    y = np.repeat([0, 1], 20)
    table = make_table(np.random.default_rng(0).normal(size=(40, 1)), y, groups=y.astype(np.intp))
    with pytest.raises(DataError, match="groups= must leave"):
        make_folds(table, folds=5)


def test_groups_of_one_row_are_no_groups():
    table = noisy_classes(50, 2, seed=0, groups=np.arange(50))
    assert make_folds(table, folds=5).scheme == "stratified"


def test_time_goes_forward():
    time = np.random.default_rng(1).permutation(240).astype(float)
    table = noisy_classes(240, 2, seed=0, time=time)
    folding = make_folds(table, folds=5)
    check(table, folding)
    assert folding.scheme == "time"
    for k, fold in enumerate(folding.folds):
        assert time[fold.train].max() < time[fold.test].min()
        assert len(fold.train) == 80 + 32 * k
        assert len(fold.test) == 32
    for fold in folding.folds:
        order = fold.test[np.argsort(time[fold.test])]
        assert (np.diff(folding.cluster_of_row[order]) >= 0).all()
        assert len(np.unique(folding.cluster_of_row[fold.test])) == 10


def test_equal_times_stay_on_one_side():
    time = np.random.default_rng(0).integers(0, 12, 300).astype(float)
    table = noisy_classes(300, 2, seed=0, time=time)
    folding = make_folds(table, folds=5)
    check(table, folding)
    for fold in folding.folds:
        assert time[fold.train].max() < time[fold.test].min()


def test_the_first_training_part_is_extended_until_it_holds_two_classes():
    y = np.concatenate([np.zeros(120, dtype=np.intp), np.arange(120) % 2, np.full(10, 2)])
    table = make_table(np.random.default_rng(0).normal(size=(250, 1)), y, time=np.arange(250.0))
    folding = make_folds(table, folds=5)
    check(table, folding)
    assert len(folding.folds) == 5
    assert folding.folds[0].train[-1] >= 121
    codes = [note.code for note in folding.notes]
    assert codes == ["forward-in-time", "late-classes"]


def test_two_points_in_time_give_two_folds():
    table = noisy_classes(60, 2, seed=0, time=np.repeat([0.0, 1.0], 30))
    folding = make_folds(table, folds=5)
    check(table, folding)
    assert len(folding.folds) == 2
    assert all((table.time[fold.train] == 0).all() for fold in folding.folds)


@pytest.mark.parametrize("y", [np.repeat([0, 1], 20), np.arange(40) % 2])
def test_time_that_leaves_nothing_to_test_is_refused(y):
    time = y * 1.0 if y[1] == 0 else np.zeros(40)
    table = make_table(np.random.default_rng(0).normal(size=(40, 1)), y, time=time)
    with pytest.raises(DataError, match="time"):
        make_folds(table, folds=5)


@pytest.mark.parametrize("kind", ["sessions", "panel"])
def test_time_and_groups_keep_groups_apart_and_go_forward(kind):
    n = 600
    groups = np.arange(n) // 12 if kind == "sessions" else np.random.default_rng(0).integers(0, 30, n)
    table = noisy_classes(n, 2, seed=0, time=np.arange(float(n)), groups=groups.astype(np.intp))
    folding = make_folds(table, folds=5)
    check(table, folding)
    assert len(folding.folds) == 5
    for fold in folding.folds:
        assert fold.train.max() < fold.test.min()
        assert not np.intersect1d(groups[fold.train], groups[fold.test]).size
    tested = sum(len(fold.test) for fold in folding.folds)
    assert tested == 400 if kind == "sessions" else 80 < tested < 200
    np.testing.assert_array_equal(
        np.unique(folding.cluster_of_row, return_counts=True)[1].sum(), table.n_rows
    )


@pytest.mark.parametrize("n", [0, 1, 3])
def test_too_few_rows_give_no_folds(n):
    table = noisy_values(10, 2, seed=0).take(np.arange(n))
    folding = make_folds(table, folds=5)
    assert folding.folds == ()
    assert (folding.fold_of_row == -1).all()


def test_classes_of_one_row_each_give_no_folds():
    table = make_table(np.random.default_rng(0).normal(size=(6, 1)), np.arange(6))
    assert make_folds(table, folds=5).folds == ()


@pytest.mark.parametrize("n", [4, 7, 9])
def test_few_rows_give_fewer_folds_and_a_note(n):
    table = noisy_values(n, 2, seed=0)
    folding = make_folds(table, folds=5)
    check(table, folding)
    assert len(folding.folds) == n // 2
    assert "fewer-folds" in [note.code for note in folding.notes]


@given(
    y=st.lists(st.integers(0, 4), min_size=8, max_size=60).filter(lambda y: sorted(set(y))[1:2] != []),
    folds=st.integers(2, 6),
    seed=st.integers(0, 20),
)
@settings(deadline=None, max_examples=60)
def test_any_mix_of_classes_can_be_folded_and_order_does_not_matter(y, folds, seed):
    y = np.unique(y, return_inverse=True)[1].astype(np.intp)
    X = np.random.default_rng(seed).normal(size=(len(y), 2))
    table = make_table(X, y)
    folding = make_folds(table, folds=folds, seed=seed)
    check(table, folding)
    order = np.random.default_rng(seed).permutation(len(y))
    again = make_folds(table.take(order), folds=folds, seed=seed)
    np.testing.assert_array_equal(again.fold_of_row, folding.fold_of_row[order])


def test_group_codes_and_row_order_do_not_matter_for_group_folds():
    rng = np.random.default_rng(0)
    groups = rng.integers(0, 20, 200).astype(np.intp)
    table = noisy_classes(200, 2, seed=0, groups=groups)
    order = rng.permutation(200)
    renamed = make_table(table.X[order], table.y[order], groups=rng.permutation(20)[groups[order]])
    np.testing.assert_array_equal(
        make_folds(renamed, folds=5).fold_of_row, make_folds(table, folds=5).fold_of_row[order]
    )
