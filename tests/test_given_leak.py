"""A target that is a sum of columns, and classes that a linear rule tells apart, as given and otherwise."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.linear_model import LogisticRegression, RidgeClassifier

from regadvisor import advise
from regadvisor.data.source import make_table
from regadvisor.traps.find import find_traps

R = np.random.default_rng(0)


def codes(X, y):
    return {note.code: note.text for note in find_traps(make_table(X, y), seed=0)}


def sums(how):
    r = np.random.default_rng(1)
    start, change, noise = 100 + r.normal(size=300), r.normal(size=300), r.normal(size=300)
    frame = pd.DataFrame({"start": start, "change": change, "noise": noise})
    return {
        "as given": (frame, frame.start + frame.change),
        "difference": (frame, frame.start - frame.change),
        "array": (frame.to_numpy(), 2 * start - 0.5 * noise),
        "single precision": (frame.astype(np.float32), (frame.start + frame.change).astype(np.float32)),
        "rounded": (frame, (frame.start + 40 * frame.change).round(2)),
        "sparse": (sparse.csr_array(np.round(frame.to_numpy())), np.round(start) + np.round(change)),
        "mean of many": (pd.DataFrame(r.normal(size=(400, 20))).add_prefix("item"), None),
    }[how]


@pytest.mark.parametrize(
    "how", ["as given", "difference", "array", "single precision", "rounded", "sparse", "mean of many"]
)
def test_a_sum_of_columns_is_told_first(how):
    X, y = sums(how)
    y = X.mean(axis=1) if y is None else y
    first = find_traps(make_table(X, y), seed=0)[0]
    assert first.code == "leak"
    assert first.is_warning
    assert "weighted sum of" in first.text
    if how == "as given":
        assert "'start' and 'change'" in first.text
        assert "'noise'" not in first.text


def test_the_warning_stands_below_the_verdict():
    advice = advise(*sums("as given"), effort="quick")
    assert "! " in advice.to_text().split("\n\n")[0]
    assert advice.record.notes[0].code == "leak"


# ----------------------------------------------------------------------------------- separable classes


def apart(seed, n=80, p=3, gap=0.5):
    r = np.random.default_rng(seed)
    X = r.normal(size=(n * 4, p))
    return X[abs(X[:, 0]) > gap][:n]


def test_separable_as_given():
    X = apart(2)
    said = codes(X, (X[:, 0] > 0).astype(int))["separable-classes"]
    assert "a threshold on column 0 separates the classes" in said.lower()
    assert "no finite best value" in said


@pytest.mark.parametrize("seed", range(3))
def test_a_rule_of_several_columns_separates(seed):
    r = np.random.default_rng(seed)
    X = pd.DataFrame(r.normal(size=(500, 6))).add_prefix("x")
    margin = X.x0 + X.x1 - 0.5
    X, margin = X[abs(margin) > 0.05], margin[abs(margin) > 0.05]
    assert "A linear rule".lower() in codes(X, np.where(margin > 0, "yes", "no"))["separable-classes"].lower()


def test_of_many_rows_all_are_asked():
    X = apart(0, n=30_000)
    y = (X[:, 0] + X[:, 1] > 0).astype(int)
    assert "separable-classes" in codes(X, y)
    y[np.argsort(np.abs(X[:, 0] + X[:, 1]))[29_000::100]] ^= 1
    assert "separable-classes" not in codes(X, y)


def test_several_classes_of_many_rows_are_asked_one_after_the_other():
    """The first is told apart on some rows alone; the second has to be looked for on the same rows."""
    X = apart(0, n=12_000)
    y = np.where(X[:, 0] > 0, 0, 1 + (np.arange(len(X)) % 2))
    y[np.flatnonzero(y == 0)[[5, 50]]] = 1
    assert "separable-classes" not in codes(X, y)


def test_one_of_several_classes_is_named():
    X, y = load_iris(return_X_y=True)
    names = np.array(["setosa", "versicolor", "virginica"])[y]
    assert "class 'setosa' and the rest" in codes(X, names)["separable-classes"]
    assert "separable-classes" in codes(*load_breast_cancer(return_X_y=True))


def test_networks_are_not_told_of_separable_classes():
    table = make_table(*load_breast_cancer(return_X_y=True))
    said = {may_grow: find_traps(table, seed=0, may_grow=may_grow) for may_grow in (True, False)}
    assert {note.code for note in said[True]} - {note.code for note in said[False]} == {"separable-classes"}


@pytest.mark.parametrize(("model", "is_told"), [(LogisticRegression(), True), (RidgeClassifier(), False)])
def test_losses_that_have_a_lowest_value_without_a_penalty_are_not_told_of_growing_weights(model, is_told):
    X = apart(1, n=100)
    told = advise(X, (X[:, 0] > 0).astype(int), model=model, effort="quick", random_state=0)
    assert ("separable-classes" in {note.code for note in told.record.notes}) == is_told


@pytest.mark.parametrize("shape", [(60, 30), (60, 59), (40, 200), (300, 120)])
def test_where_any_classes_are_separable_nothing_is_said(shape):
    r = np.random.default_rng(0)
    assert not codes(r.normal(size=shape), r.integers(0, 2, size=shape[0]))


def test_one_row_on_the_other_side_is_enough_for_finite_weights():
    X = apart(1, n=300)
    y = (X[:, 0] > 0).astype(int)
    y[np.argmax(X[:, 0])] = 0
    assert "separable-classes" not in codes(X, y)
