"""One pass: counts, moments and samples, against all rows at once."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scale_sources import ids_of_files, some_rows

from regadvisor.errors import DataError, ParameterError
from regadvisor.scale.sketch import (
    MOST_CLASSES,
    MOST_LEVELS,
    Moments,
    Sketch,
    Spec,
    keep_rate,
    row_ids,
    row_keys,
)

KINDS = {"a": "number", "b": "number", "count": "number", "city": "text", "y": "text"}
FRAME = some_rows(8_000)


def spec_of(**given: object) -> Spec:
    return Spec(**{"targets": ("y",), "kinds": KINDS, "n_rows": 500, **given})


def sketched(frame: pd.DataFrame, spec: Spec, *, cuts: list[int], order: list[int] | None = None) -> Sketch:
    """Return the merged sketch of a frame cut into parts, each of two batches, merged in an order."""
    ids = ids_of_files([len(frame)])
    parts = np.split(np.arange(len(frame)), cuts)
    total = Sketch.of_nothing(spec)
    for i in order or range(len(parts)):
        part = Sketch.of_nothing(spec)
        for rows in np.array_split(parts[i], 2):
            batch = pa.RecordBatch.from_pandas(frame.iloc[rows][list(spec.kinds)], preserve_index=False)
            part.add(batch, ids[rows])
        total.merge(part)
    total.prune(always=True)
    return total


def test_counts_moments_and_levels_are_those_of_all_rows():
    found = sketched(FRAME, spec_of(), cuts=[100, 2_000, 2_001, 7_000])
    assert found.n_rows == len(FRAME)
    assert found.counts == FRAME["y"].value_counts().to_dict()
    assert found.levels == {"city": FRAME["city"].value_counts().to_dict()}
    numbers = FRAME[["a", "b", "count"]]
    np.testing.assert_allclose(found.moments.n, numbers.count())
    np.testing.assert_allclose(found.moments.mean, numbers.mean(), rtol=1e-12)
    np.testing.assert_allclose(found.moments.sd, numbers.std(ddof=0), rtol=1e-12)


@settings(max_examples=30)
@given(
    cuts=st.lists(st.integers(0, len(FRAME)), max_size=6).map(sorted),
    order=st.randoms(use_true_random=False),
    seed=st.integers(0, 3),
)
def test_the_same_rows_are_kept_however_they_are_cut_and_merged(cuts, order, seed):
    spec = spec_of(seed=seed)
    one = sketched(FRAME, spec, cuts=[])
    numbers = list(range(len(cuts) + 1))
    order.shuffle(numbers)
    other = sketched(FRAME, spec, cuts=cuts, order=numbers)
    assert set(other.sample.ids) == set(one.sample.ids)
    assert other.counts == one.counts
    np.testing.assert_allclose(other.moments.squares, one.moments.squares, rtol=1e-9)


def test_every_row_of_a_small_key_is_kept_and_no_other():
    spec = spec_of()
    found = sketched(FRAME, spec, cuts=[3_000, 5_000])
    ids = ids_of_files([len(FRAME)])
    own = row_keys(ids, spec)
    sizes = FRAME["y"].map(FRAME["y"].value_counts()).to_numpy()
    rate = keep_rate(spec.n_rows, len(FRAME), sizes)
    assert set(found.sample.ids) == set(ids[(own / 2.0**64 < rate) | (rate >= 1)])
    assert len(found.sample.ids) < 0.4 * len(FRAME)
    kept = FRAME["y"][np.isin(ids, found.sample.ids)].value_counts()
    wanted = FRAME["y"].value_counts(normalize=True) * spec.n_rows
    assert (kept[wanted.index] >= np.maximum(10, wanted)).all()


@given(
    n=st.integers(1, 10**6), seen=st.integers(1, 10**10), more=st.integers(0, 10**10), share=st.floats(0, 1)
)
def test_the_keep_rate_never_grows(n, seen, more, share):
    before = keep_rate(n, seen, max(1, int(share * seen)))
    after = keep_rate(n, seen + more, max(1, int(share * seen)) + int(share * more))
    assert after <= before * (1 + 1e-12)
    assert before >= n / seen


def test_keys_are_one_to_one_uniform_and_others_for_another_seed():
    ids = np.concatenate([row_ids(file, 0, 50_000) for file in range(4)])
    own, other = row_keys(ids, spec_of()), row_keys(ids, spec_of(seed=1))
    assert len(np.unique(own)) == len(ids)
    counts = np.histogram(own / 2.0**64, bins=20, range=(0, 1))[0]
    assert np.abs(counts - 10_000).max() < 5 * np.sqrt(10_000)
    assert abs(np.corrcoef(own / 2.0**64, other / 2.0**64)[0, 1]) < 0.01
    assert not np.intersect1d(own, other).size


def test_more_rows_than_ids_are_refused():
    with pytest.raises(ParameterError, match="fewer than 16,777,216 files"):
        row_ids(1 << 24, 0, 1)


def test_targets_and_texts_of_too_many_values_are_not_counted_in_whatever_order():
    n = 3 * MOST_CLASSES
    frame = pd.DataFrame(
        {"y": np.arange(n) % (MOST_CLASSES + 1), "city": [f"c{i % (MOST_LEVELS + 1)}" for i in range(n)]}
    )
    spec = Spec(targets=("y",), kinds={"y": "number", "city": "text"}, n_rows=100)
    for cuts in ([], [500], [200, 1_500, 1_600]):
        found = sketched(frame, spec, cuts=cuts)
        assert found.counts is None
        assert found.levels == {"city": None}
        assert len(found.sample.ids) >= 100


def test_rows_without_a_target_are_counted_and_left_out():
    frame = FRAME.assign(y=FRAME["y"].where(np.arange(len(FRAME)) % 4 > 0))
    found = sketched(frame, spec_of(), cuts=[3_000])
    assert (found.n_rows, found.n_without) == (6_000, 2_000)
    assert not (found.sample.ids % 4 == 0).any()
    np.testing.assert_allclose(found.moments.mean[0], frame.loc[frame["y"].notna(), "a"].mean())


def test_infinite_values_are_refused_by_name():
    frame = FRAME.assign(a=np.where(np.arange(len(FRAME)) == 9, np.inf, FRAME["a"]))
    with pytest.raises(DataError, match="column 'a' must be finite"):
        sketched(frame, spec_of(), cuts=[])


@pytest.mark.parametrize("offset", [0.0, 1e9])
def test_moments_are_exact_far_from_zero(offset):
    values = np.random.default_rng(1).normal(size=10_001) + offset
    total = Moments.nothing(1)
    for part in np.split(values, [1, 2, 4_000]):
        total = total.merged(Moments.of([part], ["a"]))
    np.testing.assert_allclose(total.mean[0], values.mean(), rtol=1e-14)
    np.testing.assert_allclose(total.sd[0], values.std(), rtol=1e-7)


def test_numbers_whose_squares_are_too_large_have_a_mean_and_no_spread():
    values = np.array([1e200, -3e200, 5e200])
    total = Moments.of([values[:1]], ["a"]).merged(Moments.of([values[1:]], ["a"]))
    np.testing.assert_allclose(total.mean, [1e200])
    assert not np.isfinite(total.sd).any()
    assert not np.isfinite(Moments.of([np.full(4, 1.7e308)], ["a"]).mean).any()


def test_whole_numbers_booleans_and_single_precision_count_as_numbers():
    frame = pd.DataFrame(
        {"a": [True, False, True, None], "b": np.float32([1, 2, np.nan, 4]), "y": [1, 2, 3, 4]}
    )
    spec = Spec(targets=("y",), kinds={"a": "number", "b": "number", "y": "number"}, is_stratified=False)
    found = sketched(frame, spec, cuts=[2])
    np.testing.assert_allclose(found.moments.mean, [2 / 3, 7 / 3, 2.5])
    np.testing.assert_allclose(found.moments.n, [3, 3, 4])
