"""Units, number types and the order of rows and columns change neither samples nor folds, nor the advice."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sampling_tables import make_table
from scipy import sparse
from sklearn.datasets import load_breast_cancer, load_diabetes

from regadvisor import Recipe, advise
from regadvisor.families.base import fold_of_row
from regadvisor.sampling.blocks import in_blocks
from regadvisor.sampling.draw import draw_sample
from regadvisor.sampling.folds import make_folds
from regadvisor.sampling.keys import duplicate_clusters, row_keys
from regadvisor.sampling.strata import deviations, make_design, one_per_slice

#: As float32 stores them, so that a change of type is no change of value.
UNITS = [2.0, 2.0**20, 1e-12, 1e6, 1 / 3, -1.0]


def columns(n: int, seed: int) -> np.ndarray:
    """Return columns of many kinds: continuous, skewed, counts, two values, one value, missing values."""
    rng = np.random.default_rng(seed)
    X = np.column_stack(
        [
            rng.normal(3, 1, n),
            np.exp(2 * rng.normal(size=n)),
            rng.poisson(0.7, n),
            rng.integers(0, 2, n),
            np.arange(n) % 2,
            np.full(n, 0.1),
            np.where(rng.random(n) < 0.2, np.nan, rng.normal(size=n)),
            rng.normal(size=n),
        ]
    )
    return X.astype(np.float32).astype(np.float64)


def targets(n: int, seed: int) -> np.ndarray:
    return np.random.default_rng([seed, 1]).standard_t(2, size=n).round(3)


# --------------------------------------------------------------------------------------------- row keys


@given(
    seed=st.integers(0, 10_000),
    unit=st.sampled_from(UNITS),
    shift=st.sampled_from([0.0, 1.0, -50.0]),
    n=st.integers(5, 80),
)
@settings(deadline=None, max_examples=60, derandomize=True)
def test_keys_follow_rows_not_units_types_or_places(seed, unit, shift, n):
    X, y = columns(n, seed), targets(n, seed)
    keys = row_keys(make_table(X, y))
    assert len(np.unique(keys)) == n
    rng = np.random.default_rng(seed)
    at, rows = rng.permutation(X.shape[1]), rng.permutation(n)
    np.testing.assert_array_equal(row_keys(make_table(unit * (X + shift), y)), keys)
    np.testing.assert_array_equal(row_keys(make_table(X, unit * (y + shift))), keys)
    np.testing.assert_array_equal(row_keys(make_table(X.astype(np.float32), y)), keys)
    np.testing.assert_array_equal(row_keys(make_table(X[:, at], y)), keys)
    np.testing.assert_array_equal(row_keys(make_table(X[rows], y[rows])), keys[rows])
    np.testing.assert_array_equal(row_keys(make_table(pd.DataFrame(X[:, at]), y)), keys)


@given(seed=st.integers(0, 10_000), n=st.integers(5, 60))
@settings(deadline=None, max_examples=30, derandomize=True)
def test_sparse_tables_have_the_keys_of_dense_ones(seed, n):
    rng = np.random.default_rng(seed)
    X = np.where(rng.random((n, 30)) < 0.8, 0.0, rng.normal(size=(n, 30)))
    X[rng.random((n, 30)) < 0.02] = np.nan
    y = rng.integers(0, 2, n)
    keys = row_keys(make_table(X, y))
    for other in (sparse.csr_array(X), sparse.csr_array(1e6 * X), sparse.csr_array(X.astype(np.float32))):
        np.testing.assert_array_equal(row_keys(make_table(other, y)), keys)


def test_keys_do_not_know_how_text_and_dates_are_stored_nor_what_classes_are_called():
    rng = np.random.default_rng(0)
    n = 200
    frame = pd.DataFrame(
        {
            "a": rng.choice(["yes", "no"], n),
            "b": rng.choice(["yes", "no"], n, p=[0.3, 0.7]),
            "t": pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 10**6, n), unit="s"),
            "i": rng.integers(0, 50, n),
        }
    )
    frame.loc[::9, "a"] = None
    frame.loc[::7, "t"] = pd.NaT
    y = rng.choice(3, n, p=[0.5, 0.3, 0.2])
    keys = row_keys(make_table(frame, y))
    assert len(np.unique(keys)) == len(frame.assign(y=y).drop_duplicates())
    other = frame.assign(
        a=frame["a"].astype("category"),
        b=frame["b"].astype(object),
        t=frame["t"].astype("datetime64[s]"),
        i=frame["i"].astype("Int16"),
    )
    np.testing.assert_array_equal(row_keys(make_table(other, y)), keys)
    np.testing.assert_array_equal(row_keys(make_table(frame[["i", "b", "t", "a"]], y)), keys)
    np.testing.assert_array_equal(row_keys(make_table(frame, np.array([2, 0, 1])[y])), keys)
    swapped = frame.rename(columns={"a": "b", "b": "a"})[["a", "b", "t", "i"]]
    np.testing.assert_array_equal(row_keys(make_table(swapped, y)), keys)


def test_rows_that_differ_by_little_are_told_apart_without_units():
    rng = np.random.default_rng(0)
    fare = rng.choice([7.225, 7.2292, 7.25, 8.05, 512.3292], 300, p=[0.25, 0.25, 0.25, 0.24, 0.01])
    frame = pd.DataFrame({"sex": rng.choice(["f", "m"], 300), "fare": fare})
    y = rng.choice(2, 300, p=[0.6, 0.4])
    keys = row_keys(make_table(frame, y))
    assert len(np.unique(keys)) == len(frame.assign(y=y).drop_duplicates())
    for other in (1e-6 * fare, fare + 1e5, fare.astype(np.float32)):
        np.testing.assert_array_equal(row_keys(make_table(frame.assign(fare=other), y)), keys)


def test_rows_that_only_exact_values_tell_apart_are_no_duplicates():
    # Mirrored about the mean; in both columns or in one; one value so large that the others are one place.
    mirrored = np.array([[1.0, 1], [-1, -1], [1, -1], [-1, 1], [1, 1]])
    assert duplicate_clusters(row_keys(make_table(mirrored, np.zeros(5))))[1] == 1
    huge = np.array([1e18, 1, 2, 3, 3, 4])[:, None]
    assert duplicate_clusters(row_keys(make_table(huge, np.zeros(6))))[1] == 1


def test_targets_that_agree_on_equal_rows_are_still_two():
    X, y = np.repeat([[1.0], [2.0], [3.0]], 2, axis=0), np.array([1.0, 1, 2, 2, 3, 3])
    keys = row_keys(make_table(X, np.column_stack([y, np.where(np.arange(6) == 5, 9.0, y)])))
    assert (keys[[0, 2]] == keys[[1, 3]]).all()
    assert len(np.unique(keys)) == 4


def test_few_rows_of_a_large_table_get_other_keys_in_float32():
    X = np.random.default_rng(0).normal(10, 1, size=(50_000, 8))
    y = np.random.default_rng(1).normal(size=len(X))
    is_same = row_keys(make_table(X, y)) == row_keys(make_table(X.astype(np.float32), y))
    assert 0 < (~is_same).sum() < 100


def test_extreme_numbers_raise_no_warning():
    X = np.array([[1e300, 1e-300], [-1e300, 2e-300], [1e300, 0.0], [5.0, 1e-300]])
    assert len(np.unique(row_keys(make_table(X, np.array([1e300, -1e300, 0.0, 1e-300]))))) == 4


# ------------------------------------------------------------------------------------- samples and folds


def changed(X: np.ndarray, y: np.ndarray, seed: int) -> dict[str, tuple[Any, Any, np.ndarray]]:
    """Return the same data in other words, and which row of the first each row is."""
    rng, same = np.random.default_rng(seed), np.arange(len(y))
    rows = rng.permutation(len(y))
    is_class = y.dtype.kind == "i"
    return {
        "units": (X * 1e-6 + 3.0, y if is_class else 1000 * y + 5, same),
        "signs": (-X, 1 - y if is_class else -y, same),
        "columns": (X[:, ::-1], y, same),
        "rows": (X[rows], y[rows], rows),
        "float32": (X.astype(np.float32), y if is_class else y.astype(np.float32).astype(float), same),
        "sorted": (X[np.argsort(y)], np.sort(y), np.argsort(y)),
    }


@pytest.mark.parametrize("is_class", [False, True])
@given(seed=st.integers(0, 10_000), n=st.integers(20, 300), share=st.sampled_from([0.4, 0.73, 1.0]))
@settings(deadline=None, max_examples=8, derandomize=True)
def test_samples_and_folds_are_the_same_rows(is_class, seed, n, share):
    X = columns(n, seed)
    y = np.random.default_rng(seed).integers(0, 2, n) if is_class else targets(n, seed)
    first = draw_sample(make_table(X, y), n_rows=1, sample=share, seed=seed)
    for what, (X_other, y_other, row_of) in changed(X, y, seed).items():
        other = draw_sample(make_table(X_other, y_other), n_rows=1, sample=share, seed=seed)
        np.testing.assert_array_equal(row_of[other.rows], first.rows, err_msg=what)
        folds = [fold_of_row(each.folds, each.table.n_rows) for each in (other, first)]
        np.testing.assert_array_equal(*folds, err_msg=what)
        assert other.evidence.verdict == first.evidence.verdict


def test_another_key_of_one_row_leaves_the_other_rows_where_they_are():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(4_000, 3)), targets(4_000, 0)
    for target in (y, (y > 0).astype(int)):
        table = make_table(X, target)
        keys = row_keys(table)
        nudged = keys.copy()
        nudged[7] += np.uint64(1 << 60)
        first, other = (
            make_design(table, 500, folds=5, keys=each).draw(np.random.default_rng(0))
            for each in (keys, nudged)
        )
        assert len(np.setdiff1d(first, other)) <= 1
    one, two = (make_folds(make_table(X, y), keys=each).fold_of_row for each in (keys, nudged))
    assert (one != two).sum() <= 5


def test_other_seeds_draw_and_deal_other_rows():
    table = make_table(columns(400, 0), targets(400, 0))
    folds = [make_folds(table, seed=seed).fold_of_row for seed in range(6)]
    apart = [(a[:, None] == a) for a in folds]
    together = np.mean(apart, axis=0)[np.triu_indices(400, 1)]
    # Pairs of rows meet in a fold as often as chance has it, those next to each other in the target never.
    assert together.mean() == pytest.approx(0.2, abs=0.01)
    assert (together == 1.0).mean() < 0.005
    rows = [set(draw_sample(table, n_rows=100, seed=seed).rows) for seed in range(6)]
    overlap = [len(a & b) for i, a in enumerate(rows) for b in rows[:i]]
    assert np.mean(overlap) == pytest.approx(25, abs=6)


def test_copies_are_drawn_one_by_one():
    y = np.arange(4_000) % 2
    drawn = draw_sample(make_table(np.repeat([[0.0], [1.0]], 2_000, axis=0), y), n_rows=400)
    assert drawn.table.X.mean() == pytest.approx(0.5, abs=0.15)


# --------------------------------------------------------------------------------------- extreme targets


def counts_beyond(of_row: np.ndarray, order: np.ndarray, n_folds: int) -> np.ndarray:
    """Return, for every k, how many of the first k rows of an order each fold has."""
    return np.cumsum(of_row[order][:, None] == np.arange(n_folds), axis=0)


@given(
    seed=st.integers(0, 10_000),
    n=st.integers(10, 400),
    folds=st.integers(2, 6),
    shape=st.sampled_from(["normal", "skewed", "heavy", "outliers", "counts"]),
)
@settings(deadline=None, max_examples=120)
def test_no_fold_has_more_than_its_share_of_extreme_targets(seed, n, folds, shape):
    rng = np.random.default_rng(seed)
    y = {
        "normal": rng.normal(size=n),
        "skewed": np.exp(2 * rng.normal(size=n)),
        "heavy": rng.standard_t(1.5, size=n),
        "outliers": np.where(np.arange(n) < 5, rng.choice([-1, 1], n) * 100.0, 0) + rng.normal(size=n),
        "counts": rng.poisson(1.0, n).astype(float),
    }[shape]
    table = make_table(rng.normal(size=(n, 3)), y)
    folding = make_folds(table, folds=folds, seed=seed)
    n_folds, away = len(folding.folds), deviations(y, row_keys(table))
    beyond = {"above": away, "below": -away, "either side": np.abs(away)}
    for where, value in beyond.items():
        order = np.argsort(-value, kind="stable")
        # Of equal values it is open which come first: look where the value changes.
        ends = np.flatnonzero(np.append(np.diff(value[order]) != 0, True))
        ends = ends[value[order][ends] > 0]
        counts = counts_beyond(folding.fold_of_row, order, n_folds)[ends]
        assert (np.ptp(counts, axis=1) <= 1).all(), where


def test_five_outliers_come_into_five_folds_and_both_sides_of_a_block():
    rng = np.random.default_rng(0)
    y = rng.normal(size=2_051)
    outliers = np.array([3, 500, 800, 1_200, 2_000])
    y[outliers] += [1e3, 2e3, -5e3, 3e3, 4e3]
    table = make_table(rng.normal(size=(2_051, 4)), y)
    assert len(np.unique(make_folds(table, folds=5).fold_of_row[outliers])) == 5
    for seed in range(10):
        drawn = draw_sample(table, n_rows=1_000, seed=seed)
        assert 1 <= np.isin(drawn.rows, outliers).sum() <= 4
        cut = in_blocks(draw_sample(table, n_rows=2_051, seed=seed), n_train=1_200, seed=seed, is_single=True)
        assert cut is not None
        in_test = np.isin(cut.rows[cut.folds[0].test], outliers)
        assert 1 <= in_test.sum() <= 4


@given(n=st.integers(1, 300), share=st.floats(0.01, 1.0), seed=st.integers(0, 1_000))
@settings(deadline=None, max_examples=100)
def test_every_stretch_has_its_share_of_a_spread_draw(n, share, seed):
    count = max(1, round(share * n))
    at = one_per_slice(n, count, np.random.default_rng(seed))
    assert len(np.unique(at)) == count
    assert 0 <= at.min() <= at.max() < n
    missed = np.cumsum(np.isin(np.arange(n), at)) - np.arange(1, n + 1) * count / n
    assert np.ptp(np.append(0.0, missed)) < 2.0


def test_places_of_a_spread_draw_have_the_same_chance():
    rng = np.random.default_rng(0)
    drawn = np.bincount(np.concatenate([one_per_slice(11, 8, rng) for _ in range(4_000)]))
    np.testing.assert_allclose(drawn / 4_000, 8 / 11, atol=0.03)


# --------------------------------------------------------------------------------------------- whole runs


def assert_same_advice(first: Any, other: Any, *, rtol: float) -> None:
    assert (other.regularizer.kind, other.record.status) == (first.regularizer.kind, first.record.status)
    for strength in ("l1", "l2", "dropout"):
        ours, theirs = getattr(other.regularizer, strength), getattr(first.regularizer, strength)
        assert ours == pytest.approx(theirs, rel=rtol), strength


@pytest.mark.parametrize("load", [load_diabetes, load_breast_cancer])
def test_linear_advice_does_not_change_with_units_signs_types_or_order(load):
    X, y = load(return_X_y=True)
    rows = np.random.default_rng(0).permutation(len(y))
    first = advise(X, y, model="linear", effort="quick", folds=2)
    other_y = 1 - y if y.dtype.kind == "i" else 1000 * y + 5
    other = advise(3.0 - 1e-6 * X[rows, ::-1], other_y[rows], model="linear", effort="quick", folds=2)
    assert_same_advice(first, other, rtol=1e-6)
    assert_same_advice(
        first, advise(X.astype(np.float32), y, model="linear", effort="quick", folds=2), rtol=1e-3
    )


def test_advice_on_networks_does_not_change_with_units_types_or_order():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((120, 4))
    y = X @ [1.0, 0.5, 0.0, 0.0] + rng.standard_normal(120)
    rows = rng.permutation(120)
    asked = {"model": "mlp", "recipe": Recipe(epochs=20, lr=1e-2), "effort": "quick"}
    first = advise(X, y, **asked)
    other = advise(1e-6 * X[rows], 1000 * y[rows] + 5, **asked)
    assert_same_advice(first, other, rtol=1e-6)
    assert_same_advice(first, advise(X.astype(np.float32), y, **asked), rtol=1e-3)
