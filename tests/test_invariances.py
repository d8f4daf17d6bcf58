"""What does not matter does not change the answer: order, units, names of classes, number types, repeats."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine

from regadvisor import Advice, advise

SETS: dict[str, Callable[..., Any]] = {
    "diabetes": load_diabetes,
    "breast cancer": load_breast_cancer,
    "wine": load_wine,
}
RNG = np.random.default_rng(0)
Change = Callable[[Any, Any], tuple[Any, Any]]


def scaled_unevenly(X: Any, y: Any) -> tuple[Any, Any]:
    return X * 10.0 ** RNG.integers(-6, 7, X.shape[1]), y


CHANGES: dict[str, Change] = {
    "rows in another order": lambda X, y: (lambda order: (X[order], y[order]))(RNG.permutation(len(y))),
    "columns in another order": lambda X, y: (X[:, RNG.permutation(X.shape[1])], y),
    "features in other units": scaled_unevenly,
    "features moved": lambda X, y: (X + 7.0 * X.std(axis=0), y),
    "features turned round": lambda X, y: (-X, y),
    "single precision": lambda X, y: (X.astype(np.float32), y),
}
OF_NUMBERS: dict[str, Change] = {
    "a target in other units": lambda X, y: (X, 1e6 * y - 3e5),
    "a small target": lambda X, y: (X, 1e-6 * y),
}
OF_CLASSES: dict[str, Change] = {
    "classes as text": lambda X, y: (X, np.array(["red", "blue", "green"])[y]),
    "classes in another order": lambda X, y: (X, y.max() - y),
}
CASES = [
    (name, what, change)
    for name in SETS
    for what, change in {**CHANGES, **(OF_NUMBERS if name == "diabetes" else OF_CLASSES)}.items()
]


@cache
def plain(name: str) -> tuple[Any, Any, Advice]:
    X, y = SETS[name](return_X_y=True)
    return X, y, advise(X, y, model="linear", effort="quick", folds=2)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "what", "change"), CASES, ids=[f"{name}, {what}" for name, what, _ in CASES]
)
def test_the_answer_is_the_same_or_a_tie(name: str, what: str, change: Change) -> None:
    X, y, first = plain(name)
    second = advise(*change(X, y), model="linear", effort="quick", folds=2)
    kinds = first.regularizer.kind, second.regularizer.kind
    assert kinds[0] == kinds[1] or (kinds[0] in second.record.ties and kinds[1] in first.record.ties)
    for strength in ("l1", "l2"):
        one, other = (getattr(each.regularizer, strength) for each in (first, second))
        if kinds[0] == kinds[1] and one > 0:
            low, high = first.record.strength.ties.get(strength, (one, one))
            assert 0.99 * low <= other <= 1.01 * high, (one, other, low, high)
