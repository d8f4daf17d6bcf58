"""Encoding and row keys against pandas, scikit-learn and plain loops."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sampling_tables import columns_of, make_table
from scipy import sparse
from sklearn.preprocessing import StandardScaler

from regadvisor.sampling.encode import TARGET, encode_target, fit_encode
from regadvisor.sampling.keys import canonical_order, duplicate_clusters, row_keys
from regadvisor.sampling.strata import allocate, target_bins


def test_numeric_array_is_standardised_as_scikit_learn_does():
    X = np.random.default_rng(0).normal(5, [1, 10, 1e-3], size=(200, 3))
    _, encoded = fit_encode(X, columns_of(X), seed=0)
    np.testing.assert_allclose(encoded.values, StandardScaler().fit_transform(X), atol=1e-5)


def test_missing_numbers_get_the_median_and_a_column_of_their_own():
    X = np.array([[1.0], [np.nan], [3.0], [10.0]])
    _, encoded = fit_encode(X, columns_of(X), seed=0)
    assert encoded.names == ("column 0", "column 0 is missing")
    filled = np.array([[1.0, 0.0], [3.0, 1.0], [3.0, 0.0], [10.0, 0.0]])
    np.testing.assert_allclose(encoded.values, StandardScaler().fit_transform(filled), atol=1e-6)


def test_sparse_gives_the_same_as_dense():
    dense = np.random.default_rng(1).poisson(0.3, size=(100, 6)).astype(float)
    _, a = fit_encode(dense, columns_of(dense), seed=0)
    _, b = fit_encode(sparse.csr_array(dense), columns_of(dense), seed=0)
    np.testing.assert_array_equal(a.values, b.values)


def test_frame_levels_are_get_dummies_and_unknown_levels_are_in_none():
    frame = pd.DataFrame({"a": [1.0, 2.0, 3.0, 5.0, 8.0], "c": ["u", "v", "u", None, "w"]})
    encode, encoded = fit_encode(frame, columns_of(frame), seed=0)
    assert encoded.names == ("a", "c = u", "c = v", "c = w", "c is missing")
    dummies = pd.get_dummies(frame["c"], dummy_na=True).to_numpy(float)
    np.testing.assert_array_equal(encoded.values[:, 1:] > 0, dummies > 0)
    new = encode(pd.DataFrame({"a": [1.0], "c": ["new"]}))
    assert not (new.values[:, 1:] > 0).any()


def test_categorical_and_date_columns_of_pandas_are_understood():
    frame = pd.DataFrame(
        {
            "c": pd.Categorical(["x", "y", "x", "x"]),
            "d": pd.to_datetime(["2020-01-01", "2020-01-02", None, "2020-01-04"]),
            "i": pd.array([1, None, 3, 4], dtype="Int64"),
        }
    )
    _, encoded = fit_encode(frame, columns_of(frame), seed=0)
    expected = {"c = x", "c = y", "d", "d is missing", "i", "i is missing"}
    assert set(encoded.names) == expected
    assert np.isfinite(encoded.values).all()


def test_constant_columns_are_left_out_and_input_is_not_written_into():
    X = np.column_stack([np.full(50, 1e6), np.arange(50.0)])
    before = X.copy()
    _, encoded = fit_encode(X, columns_of(X), seed=0)
    assert encoded.names == ("column 1",)
    np.testing.assert_array_equal(X, before)


def test_too_many_columns_are_chosen_by_seed():
    X = np.random.default_rng(0).normal(size=(30, 90))
    first = fit_encode(X, columns_of(X), seed=1, most_columns=40)[1]
    again = fit_encode(X, columns_of(X), seed=1, most_columns=40)[1]
    other = fit_encode(X, columns_of(X), seed=2, most_columns=40)[1]
    assert len(first.names) == 40
    assert first.names == again.names != other.names


def test_target_columns():
    table = make_table(np.zeros((4, 1)), np.array([0, 1, 1, 1]), classes=("no", "yes"))
    encoded = encode_target(table)
    assert encoded.names == ("target = no", "target = yes")
    assert (encoded.origin == TARGET).all()
    np.testing.assert_allclose(encoded.values.mean(axis=0), 0, atol=1e-6)


def test_keys_are_the_same_for_every_container_and_follow_the_rows():
    dense = np.random.default_rng(0).poisson(0.5, size=(60, 5)).astype(float)
    y = np.arange(60) % 2
    keys = row_keys(make_table(dense, y))
    np.testing.assert_array_equal(keys, row_keys(make_table(sparse.csr_array(dense), y)))
    np.testing.assert_array_equal(keys, row_keys(make_table(pd.DataFrame(dense), y)))
    order = np.random.default_rng(1).permutation(60)
    np.testing.assert_array_equal(keys[order], row_keys(make_table(dense[order], y[order])))


def test_equal_keys_are_duplicates_as_pandas_counts_them():
    rng = np.random.default_rng(3)
    frame = pd.DataFrame({"a": rng.integers(0, 4, 300) * 1.0, "b": rng.choice(list("xyz"), 300)})
    frame.loc[::7, "a"] = np.nan
    y = rng.integers(0, 2, 300)
    clusters, n_repeated = duplicate_clusters(row_keys(make_table(frame, y)))
    whole = frame.assign(y=y)
    assert n_repeated == whole.duplicated().sum()
    number = whole.groupby(["a", "b", "y"], dropna=False).ngroup().to_numpy()
    assert len(np.unique(np.column_stack([clusters, number]), axis=0)) == len(np.unique(number))


def test_signed_zero_and_swapped_columns():
    X = np.array([[0.0, 1.0], [-0.0, 1.0], [1.0, 0.0]])
    keys = row_keys(make_table(X, np.zeros(3)))
    assert keys[0] == keys[1] != keys[2]


def test_canonical_order_does_not_depend_on_the_order_of_rows():
    X = np.random.default_rng(0).normal(size=(40, 2))
    order = np.random.default_rng(1).permutation(40)
    a, b = make_table(X, np.zeros(40)), make_table(X[order], np.zeros(40))
    np.testing.assert_array_equal(
        X[canonical_order(a, row_keys(a))], X[order][canonical_order(b, row_keys(b))]
    )


@given(
    sizes=st.lists(st.integers(0, 400), min_size=1, max_size=8).filter(lambda s: sum(s) > 0),
    n_rows=st.integers(1, 900),
    least=st.integers(0, 6),
)
@settings(deadline=None, max_examples=200)
def test_allocation_fills_the_size_and_keeps_to_limits(sizes, n_rows, least):
    sizes = np.array(sizes)
    take = allocate(sizes, n_rows, least=least)
    floors = np.minimum(sizes, least)
    assert (take <= sizes).all()
    assert (take >= floors).all()
    assert take.sum() == max(min(n_rows, sizes.sum()), floors.sum())


@given(sizes=st.lists(st.integers(1, 400), min_size=1, max_size=8), share=st.floats(0.05, 1.0))
@settings(deadline=None, max_examples=100)
def test_allocation_without_limits_is_within_one_row_of_proportional(sizes, share):
    sizes = np.array(sizes)
    n_rows = max(1, round(share * sizes.sum()))
    assert (np.abs(allocate(sizes, n_rows) - sizes * n_rows / sizes.sum()) < 1).all()


def test_target_bins_are_pandas_quantiles_without_ties():
    y = np.random.default_rng(0).normal(size=1000)
    np.testing.assert_array_equal(target_bins(y, 10), pd.qcut(y, 10, labels=False))


@pytest.mark.parametrize("n_bins", [2, 10])
def test_target_bins_never_separate_equal_values(n_bins):
    y = np.random.default_rng(0).integers(0, 5, 200).astype(float)
    bins = target_bins(y, n_bins)
    assert all(len(np.unique(bins[y == value])) == 1 for value in np.unique(y))


def test_means_by_group_are_those_of_pandas():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.normal(size=60), "town": rng.choice(["Bonn", "Ulm"], 60)})
    groups = rng.integers(0, 9, 60).astype(np.intp) * 2  # numbers with gaps
    _, encoded = fit_encode(frame, columns_of(frame), seed=0)
    found = encoded.means(groups)
    expected = pd.DataFrame(encoded.values).groupby(groups).mean()
    np.testing.assert_allclose(found.values, expected, atol=1e-6)
    assert not found.is_indicator.any()
