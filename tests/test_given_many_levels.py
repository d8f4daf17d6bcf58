"""Signal in the levels of a category: as good as one-hot encoding and a penalty, however many there are."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import log_loss
from sklearn.preprocessing import OneHotEncoder

import regadvisor

#: What one-hot encoding and a Ridge of a good strength lose, times this, is close enough.
CLOSE = 1.1


def draw(n_levels=200, n_rows=2000, seed=0):
    """Return a frame with a column of levels, the number of each row's level, and a target that they make."""
    rng = np.random.default_rng(seed)
    effects, codes = rng.normal(size=n_levels), rng.integers(0, n_levels, 2 * n_rows)
    frame = pd.DataFrame({"zip": [f"Z{k}" for k in codes], "a": rng.normal(size=2 * n_rows)})
    target = effects[codes] + 0.5 * frame["a"].to_numpy() + 0.7 * rng.normal(size=2 * n_rows)
    return frame, codes, target


def halves(values):
    middle = len(values) // 2
    return values[:middle], values[middle:]


def one_hot(frame, columns):
    """Return both halves encoded by scikit-learn alone."""
    train, test = halves(frame)
    encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False).fit(train[columns])
    rest = [name for name in frame if name not in columns]
    return [np.hstack([encoder.transform(part[columns]), part[rest]]) for part in (train, test)]


def loss(fitted, frame, target):
    """Return the squared error of the second half as a share of the variance."""
    return float(np.mean((fitted.predict(frame) - target) ** 2) / target.var())


def advised(frame, target, **options):
    (train, test), (y, y_test) = halves(frame), halves(target)
    fitted = regadvisor.advise(train, y, effort="quick", **options).build().fit(train, y)
    return fitted, test, y_test


def best_ridge(frame, columns, target):
    X, X_test = one_hot(frame, columns)
    y, y_test = halves(target)
    return min(loss(Ridge(alpha=alpha).fit(X, y), X_test, y_test) for alpha in (0.25, 0.5, 1, 2))


def test_the_given_draw():
    frame, _, target = draw()
    found = loss(*advised(frame, target))
    assert found < 0.36
    assert found < CLOSE * best_ridge(frame, ["zip"], target)


def test_levels_that_few_rows_have():
    frame, _, target = draw(n_levels=700)
    assert loss(*advised(frame, target)) < CLOSE * best_ridge(frame, ["zip"], target)


def test_codes_kept_as_text_are_levels():
    frame, codes, target = draw()
    frame["zip"] = [f"{k:05d}" for k in codes]
    assert loss(*advised(frame, target)) < 0.36


def test_two_columns_of_levels():
    rng = np.random.default_rng(3)
    frame, _, target = draw(n_levels=120, seed=1)
    shops = rng.integers(0, 90, len(frame))
    frame["shop"] = pd.Categorical(shops.astype(str))
    target = target + rng.normal(size=90)[shops]
    assert loss(*advised(frame, target)) < CLOSE * best_ridge(frame, ["zip", "shop"], target)


def test_classes():
    frame, _, target = draw()
    labels = np.where(target > 0, "yes", "no")
    fitted, test, y_test = advised(frame, labels)
    X, X_test = one_hot(frame, ["zip"])
    y, _ = halves(labels)
    best = min(
        log_loss(y_test, LogisticRegression(C=C).fit(X, y).predict_proba(X_test)) for C in (0.5, 1, 2, 4)
    )
    assert log_loss(y_test, fitted.predict_proba(test)) < CLOSE * best


def test_networks():
    # Epochs are given, so that nothing is searched for how long to train; it still takes some seconds.
    frame, _, target = draw()
    recipe = regadvisor.Recipe(epochs=15, hidden=(16,), lr=0.01)
    assert loss(*advised(frame, target, model="mlp", recipe=recipe)) < 0.36


@pytest.mark.parametrize("container", [pd.DataFrame, pl.DataFrame])
def test_levels_that_were_never_seen_get_the_average(container):
    frame, _, target = draw(n_levels=100, n_rows=500)
    train, _ = halves(frame)
    y, _ = halves(target)
    fitted = regadvisor.advise(container(train), y, effort="quick").build().fit(container(train), y)
    new = pd.DataFrame({"zip": ["never", "Z1"], "a": [0.0, 0.0]})
    predicted = fitted.predict(container(new))
    assert abs(predicted[0] - y.mean()) < 0.3 < abs(predicted[1] - y.mean())
