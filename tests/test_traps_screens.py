"""The first look, by few rows or at all columns together, leaves out nothing that the full look finds."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from regadvisor.data.source import make_table
from regadvisor.traps.extremes import extreme_features, spread
from regadvisor.traps.find import find_traps
from regadvisor.traps.leaks import _determines, _hopeful
from regadvisor.traps.shared_rows import _of_levels, _projected
from regadvisor.traps.view import View, normal_scores, whole_columns

R = np.random.default_rng(0)


def odd_columns(n, rng):
    normal = rng.normal(size=n)
    missing = np.where(rng.random(n) < 0.3, np.nan, normal)
    return np.column_stack(
        [
            normal,
            missing,
            np.where(rng.random(n) < 0.8, 0.0, normal),
            rng.integers(0, 5, size=n),
            rng.permutation(n),
            np.exp(2 * normal),
            rng.standard_cauchy(size=n),
            np.where(np.arange(n) < 3, 1e5, rng.normal(size=n)),
            np.where(rng.random(n) < 0.9, np.nan, normal),
            np.where(rng.random(n) < 0.02, 50 + 30 * rng.random(n), normal),
            np.where(np.arange(n) == n - 1, -1e3, np.where(rng.random(n) < 0.7, 2.0, normal)),
        ]
    ).astype(float)


@pytest.mark.parametrize("n", [90, 1_200, 7_000])
def test_the_shape_of_all_columns_is_that_of_each(n):
    view = View.of(make_table(odd_columns(n, R), R.normal(size=n)), seed=0)
    for j, column in enumerate(view.values.T):
        levels, counts = np.unique(column, return_counts=True)
        assert view.n_levels[j] == len(levels)
        assert view.is_spread[j] == (len(levels) >= 8 and counts.max() <= 0.25 * len(column))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("n", [120, 1_900, 6_000])
def test_no_column_that_determines_the_target_is_left_out(n, seed):
    r = np.random.default_rng(seed)
    noise, u, y = odd_columns(n, r), r.random(n), r.normal(size=n)
    targets = {
        "numbers": (y, [y, -2 * y, np.exp(y), np.round(y, 3), np.where(r.random(n) < 0.3, np.nan, y)]),
        "fast curve": (np.sin(0.05 * min(n, 2_000) * u), [u]),
        "step": (np.floor(4 * u), [u, np.round(u, 2)]),
        "levels": (np.array([3.0, -1.0, 7.5])[r.integers(0, 3, size=n)], []),
        "classes": ((y > 0.4).astype(int), [y, -y, y + 0.1 * r.random(n) * np.sign(y - 0.4)]),
        "three classes": (np.digitize(y, [-1, 1]), [y, np.digitize(y, [-1, 1]) * 5 - 2]),
    }
    for target, columns in targets.values():
        frame = pd.DataFrame(np.column_stack([noise, *columns])).add_prefix("x")
        frame["code"] = [f"c{value}" for value in np.unique(target, return_inverse=True)[1]]
        view = View.of(make_table(frame, target), seed=0)
        own = view.targets[:, 0]
        determining = {int(j) for j in view.varying if _determines(view.values[:, j], own, view, int(j))}
        hopeful = set(_hopeful(view, own).tolist())
        assert determining <= hopeful
        assert len(hopeful) < len(view.varying)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("n", [60, 900, 6_000])
def test_no_extreme_column_is_left_out(n, seed):
    X = odd_columns(n, np.random.default_rng(seed))
    extreme = {j for j in range(X.shape[1]) if spread(X[:, j]).is_extreme}
    absurd = {j for j in extreme if spread(X[:, j]).distance >= 1_000}
    said = extreme_features(View.of(make_table(X, R.normal(size=n)), seed=0), seed=0)
    assert absurd <= {j for note in said for j in extreme if str(j) in note.text}
    assert 7 in absurd


def test_rows_that_were_taken_are_looked_at_without_what_was_read_of_all():
    X = R.normal(size=(3_000, 4))
    X[7, 2] = 1e6
    whole = make_table(X, R.normal(size=3_000))
    some = whole.take(np.arange(2_500, dtype=np.intp))
    assert some.span is None
    for table in (whole, some):
        (note,) = extreme_features(View.of(table, seed=0), seed=0)
        assert "column 2 is 1,000,000 in row 7" in note.text
    np.testing.assert_array_equal(whole.span, [X.min(axis=0), X.max(axis=0)])


@pytest.mark.parametrize("form", [np.asarray, pd.DataFrame, sparse.csr_array])
def test_rows_are_laid_along_a_line_as_a_plain_product_lays_them(form):
    X = R.normal(size=(5_000, 6)) + 3.0
    weights, some = R.normal(size=3), np.array([0, 2, 5])
    view = View.of(make_table(form(X), R.normal(size=5_000)), seed=0)
    mean = view.values[:, some].mean(axis=0)
    expected = (X[:4_000, some] - mean) @ weights
    np.testing.assert_allclose(_projected(view, some, weights, 4_000), expected, atol=1e-10)


def test_missing_values_lie_at_the_mean_of_their_column():
    X = R.normal(size=(3_000, 3)) + 5.0
    X[R.random(X.shape) < 0.2] = np.nan
    frame = pd.DataFrame(X).assign(text="a", other="b")[[0, "text", 1, 2, "other"]].rename(columns=str)
    frame.loc[::2, "text"] = "c"
    frame.loc[::3, "other"] = "d"
    view = View.of(make_table(frame, R.normal(size=3_000)), seed=0)
    some, weights = np.array([0, 3]), np.array([2.0, -1.0])
    mean = np.nanmean(view.values[:, some], axis=0)
    expected = np.nan_to_num(X[:, [0, 2]] - mean) @ weights
    np.testing.assert_allclose(_projected(view, some, weights, 3_000), expected, atol=1e-10)


def test_rows_of_some_levels_are_whole_levels_or_forty_of_them():
    column = np.repeat(np.arange(300.0), R.integers(1, 90, size=300))
    rows = _of_levels(column, 500, np.random.default_rng(0))
    assert len(rows) == len(np.unique(rows)) == 500
    levels, counts = np.unique(column[rows], return_counts=True)
    full = np.minimum(np.bincount(column.astype(int)), 40)[levels.astype(int)]
    assert (counts <= full).all()
    assert (counts == full).sum() >= len(levels) - 1
    assert len(_of_levels(column[:30], 500, np.random.default_rng(0))) == 30


def test_whole_columns_are_those_of_the_table():
    X = np.where(R.random((50, 7)) < 0.4, R.normal(size=(50, 7)), 0.0)
    for form in (np.asarray, pd.DataFrame, sparse.csr_array):
        table = make_table(form(X), R.normal(size=50))
        read = dict(whole_columns(table, [5, 1]))
        assert list(read) == [5, 1]
        np.testing.assert_array_equal(np.column_stack([read[5], read[1]]), X[:, [5, 1]])


def test_normal_scores_are_the_quantiles_of_mean_ranks():
    from scipy import stats

    values = np.c_[R.integers(0, 20, size=(101, 3)), R.normal(size=101)]
    expected = stats.norm.ppf(stats.rankdata(values, axis=0) / 102)
    np.testing.assert_allclose(normal_scores(values), expected, rtol=1e-14)


@pytest.mark.parametrize("at", [0, 1, 2])
def test_dates_among_numbers_do_not_shift_what_is_projected(at):
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"a": rng.normal(size=3_000), "b": rng.normal(size=3_000)})
    day = pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 10**8, 3_000), unit="s")
    frame.insert(at, "day", day)
    y = frame["a"].to_numpy() + rng.normal(size=3_000)
    assert find_traps(make_table(frame, y), seed=0) == ()
    only = find_traps(make_table(frame[["day"]].assign(more=day[::-1]), y), seed=0)
    assert "shared-source" not in {note.code for note in only}
