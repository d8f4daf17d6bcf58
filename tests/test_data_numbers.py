"""Numbers read in blocks, their hashes, and that large tables are recognised: against plain NumPy."""

import tracemalloc

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from regadvisor.data.columns import dense_stats
from regadvisor.data.hashing import cell_hashes, mix, numbered, sparse_column_hashes, sparse_row_sums
from regadvisor.data.numbers import Numbers
from regadvisor.data.source import make_table

RNG = np.random.default_rng(0)
DENSE = RNG.normal(size=(5_000, 23))


@pytest.mark.parametrize("form", [np.asarray, np.asfortranarray, pd.DataFrame])
@pytest.mark.parametrize("cells", [1, 100, 10_000, 10**7])
def test_blocks_put_together_are_the_table(form, cells):
    few = DENSE[:777]
    numbers = Numbers(values=form(few), at=list(range(23)))
    blocks = list(numbers.blocks(cells))
    np.testing.assert_array_equal(np.vstack([block for _, block in blocks]), few)
    assert [where.start for where, _ in blocks[1:]] == [where.stop for where, _ in blocks[:-1]]


def test_frames_give_their_numeric_columns_only():
    frame = pd.DataFrame({"a": [1, 2, 3], "t": ["x", "y", "z"], "b": [0.5, 1.5, np.nan]})
    numbers = Numbers(values=frame, at=[0, 2])
    ((_, block),) = numbers.blocks()
    np.testing.assert_array_equal(block, [[1, 0.5], [2, 1.5], [3, np.nan]])
    assert numbers.column(1).tolist()[:2] == [0.5, 1.5]


@given(st.integers(1, 200), st.integers(1, 40), st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_statistics_are_those_of_numpy(n_rows, n_columns, seed):
    rng = np.random.default_rng(seed)
    values = np.where(rng.random((n_rows, n_columns)) < 0.1, np.nan, rng.normal(size=(n_rows, n_columns)))
    for form in (values, np.asfortranarray(values), values.astype(np.float32)):
        stats = dense_stats(Numbers(values=form, at=list(range(n_columns))))
        np.testing.assert_array_equal(stats.low, np.fmin.reduce(form, axis=0))
        np.testing.assert_array_equal(stats.high, np.fmax.reduce(form, axis=0))
        np.testing.assert_array_equal(stats.has_missing, np.isnan(form).any(axis=0))


def test_row_and_column_hashes_of_sparse_are_those_of_dense():
    dense = RNG.poisson(0.2, size=(3_000, 90)).astype(float)
    matrix = sparse.csr_array(dense)
    by_cell = cell_hashes(dense, numbered(1, 90))
    sums = sparse_row_sums(matrix, lambda values, at: cell_hashes(values, numbered(1, 90)[at]))
    np.testing.assert_array_equal(sums, by_cell.sum(axis=1, dtype=np.uint64))
    sums = sparse_row_sums(matrix, lambda values, at: mix((values + at).astype(np.uint64)))  # zeros count
    by_cell = mix((dense + np.arange(90)).astype(np.uint64))
    np.testing.assert_array_equal(sums, by_cell.sum(axis=1, dtype=np.uint64))
    by_cell = cell_hashes(dense, numbered(1, 3_000)[:, None])
    np.testing.assert_array_equal(sparse_column_hashes(matrix), by_cell.sum(axis=0, dtype=np.uint64))


def test_large_tables_are_recognised_in_every_form_and_told_from_changed_ones():
    values = np.random.default_rng(1).normal(size=(150_000, 30)).astype(np.float32)
    values[7, 3] = np.nan
    y = np.arange(150_000) % 2
    expected = make_table(values, y).facts.fingerprint
    for form in (values.astype(float), np.asfortranarray(values), pd.DataFrame(values)):
        assert make_table(form, y).facts.fingerprint == expected
    changed = values.copy()
    changed[140_000, 29] += 1e-3
    assert make_table(changed, y).facts.fingerprint != expected
    swapped = values[np.r_[1, 0, 2:150_000]]
    assert make_table(swapped, y).facts.fingerprint != expected


def test_checking_a_large_table_takes_a_fraction_of_its_memory():
    values = np.random.default_rng(2).normal(size=(200_000, 30))
    frame = pd.DataFrame(values, columns=[f"x{j}" for j in range(30)]).assign(
        text=np.resize(np.array(["a", "b"], dtype=object), 200_000)
    )
    y = np.arange(200_000) % 2
    for X in (values, frame):
        tracemalloc.start()
        make_table(X, y)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 0.7 * values.nbytes
