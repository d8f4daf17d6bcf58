"""The checks take any table that can be read, leave it as it was, and say the same twice."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.linear_model import Ridge
from sklearn.model_selection import PredefinedSplit, cross_val_predict
from sklearn.neighbors import KNeighborsRegressor

from regadvisor.data.source import make_table
from regadvisor.traps.find import find_traps
from regadvisor.traps.hidden import hidden_signal
from regadvisor.traps.view import View, error, group_folds, neighbours, random_folds, ridge

R = np.random.default_rng(0)


def frame(n):
    numbers = R.normal(size=(n, 3))
    numbers[R.random(numbers.shape) < 0.2] = np.nan
    odd = pd.DataFrame(numbers, columns=["a", "b", "c"])
    odd["empty"], odd["one"] = np.nan, 1.0
    odd["text"] = R.choice(np.array(["x", "y", None], dtype=object), size=n)
    odd["name"] = [f"u{i}" for i in range(n)]
    odd["day"] = pd.Timestamp("2020-01-01") + pd.to_timedelta(R.integers(0, 900, size=n), unit="D")
    odd["flag"] = R.random(n) < 0.5
    odd["whole"] = pd.array(R.integers(0, 3, size=n), dtype="Int64")
    return odd


FORMS = {
    "frame": frame,
    "array": lambda n: R.normal(size=(n, 4)),
    "constant": lambda n: np.c_[np.ones(n), R.normal(size=n)],
    "huge": lambda n: R.normal(size=(n, 3)) * 1e90,
    "tiny": lambda n: R.normal(size=(n, 3)) * 1e-90,
    "sparse": lambda n: sparse.random_array((n, 30), density=0.2, rng=R, format="csr"),
    "images": lambda n: R.random((n, 4, 4)),
    "wide": lambda n: R.normal(size=(n, 60)),
}
TARGETS = {
    "numbers": lambda n: R.normal(size=n),
    "classes": lambda n: np.where(np.arange(n) % 3, "a", "b"),
    "one row apart": lambda n: np.r_[1.5, np.zeros(n - 1)],
    "one row of a class": lambda n: np.r_[1, np.zeros(n - 1, dtype=int)],
    "several": lambda n: R.normal(size=(n, 2)),
    "huge": lambda n: R.normal(size=n) * 1e90,
}


@pytest.mark.parametrize("n", [3, 41, 2_100])
@pytest.mark.parametrize("form", FORMS)
def test_any_table_is_looked_at_and_left_as_it_was(form, n):
    for target in TARGETS.values():
        table = make_table(FORMS[form](n), target(n))
        before = table.X.copy()
        said = find_traps(table, seed=0)
        hidden_signal(table, seed=0)
        assert said == find_traps(table, seed=0)
        assert all(note.is_warning for note in said)
        if isinstance(before, pd.DataFrame):
            pd.testing.assert_frame_equal(table.X, before)
        else:
            same = (before != table.X).nnz == 0 if sparse.issparse(before) else (before == table.X).all()
            assert same


def test_the_rows_of_a_large_table_are_drawn_once():
    table = make_table(R.normal(size=(5_000, 3)), R.normal(size=5_000))
    one, two = View.of(table, seed=1), View.of(table, seed=1)
    assert len(one.rows) == 2_000
    np.testing.assert_array_equal(one.rows, two.rows)
    np.testing.assert_array_equal(one.values, table.X[one.rows])
    assert (np.diff(one.rows) > 0).all()


def test_of_a_very_wide_table_the_columns_that_go_with_the_target_are_looked_at():
    X = R.normal(size=(2_000, 900))
    view = View.of(make_table(X, X[:, 877] + 0.1 * R.normal(size=2_000)), seed=0)
    assert len(view.at) == 500
    assert 877 in view.at


def test_quick_models_are_those_of_plain_loops():
    X = R.normal(size=(60, 4))
    y = (X[:, :1] - X[:, 1:2]) + 0.5 * R.normal(size=(60, 1))
    folds = random_folds(60, np.random.default_rng(0))
    split = PredefinedSplit(folds)
    plain = [cross_val_predict(Ridge(alpha=45 * a), X, y, cv=split) for a in 10.0 ** np.arange(-4, 2)]
    plain = [each.reshape(y.shape) for each in plain]
    best = min(plain, key=lambda predicted: error(predicted, y))
    np.testing.assert_allclose(ridge(X, y, folds), best, rtol=1e-8)
    wide = np.hstack([X, R.normal(size=(60, 100))])
    plain = [cross_val_predict(Ridge(alpha=45 * a), wide, y, cv=split) for a in 10.0 ** np.arange(-4, 2)]
    best = min((each.reshape(y.shape) for each in plain), key=lambda predicted: error(predicted, y))
    np.testing.assert_allclose(ridge(wide, y, folds), best, rtol=1e-6, atol=1e-9)
    near = [cross_val_predict(KNeighborsRegressor(k), X, y, cv=split).reshape(y.shape) for k in (1, 3)]
    np.testing.assert_allclose(neighbours(X, y, folds), min(near, key=lambda p: error(p, y)))


def test_groups_stay_together_and_folds_are_about_as_large():
    groups = R.integers(0, 30, size=200).astype(np.intp)
    folds = group_folds(groups, np.random.default_rng(0))
    assert all(len(np.unique(folds[groups == g])) == 1 for g in range(30) if (groups == g).any())
    assert np.ptp(np.bincount(folds)) <= np.bincount(groups).max()


def test_what_is_odd_about_several_targets_is_told_once() -> None:
    r = np.random.default_rng(0)
    X = r.normal(size=(200, 8))
    (leak,) = find_traps(make_table(X, X), seed=0)
    assert leak.text.startswith("column 0 determines the target 0 in every row: a leak?")
    assert leak.text.endswith("Other columns determine the targets 1, 2, 3, 4, 5 and 2 more.")
    (leak,) = find_traps(make_table(X, X[:, [0, 0, 1]]), seed=0)
    assert leak.text.endswith("So it is with the target 1. Other columns determine the target 2.")
    Y = np.exp(2 * r.normal(size=(200, 3)))
    (skewed,) = find_traps(make_table(X, Y), seed=0)
    assert skewed.code == "skewed-target"
    assert skewed.text.endswith("So it is with the targets 1 and 2.")
