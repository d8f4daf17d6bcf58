"""The advice in the reader's unit is the number that the estimator gets, and never half an answer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from record_builders import classic, network
from sklearn.linear_model import Lasso, LogisticRegression, Ridge
from sklearn.neural_network import MLPClassifier
from sklearn.svm import LinearSVC
from sklearn.utils.class_weight import compute_class_weight

from regadvisor import Advice, advise
from regadvisor.regularizer import Regularizer
from regadvisor.report.units import in_code, parameters
from regadvisor.report.verdict import use


@pytest.mark.parametrize(
    ("optimizer", "coupling", "l1", "l2", "dropout", "expected"),
    [
        ("adamw", "decoupled", 0.0, 0.3, 0.2, {"AdamW": {"weight_decay": 0.3}, "Dropout": {"p": 0.2}}),
        ("adamw", "loss", 0.0, 0.3, 0.0, {"Adam": {"weight_decay": 0.3}}),
        ("sgd", "loss", 0.0, 0.3, 0.0, {"SGD": {"weight_decay": 0.3}}),
        ("sgd", "decoupled", 0.0, 0.3, 0.2, {}),
        ("adamw", "decoupled", 0.1, 0.0, 0.2, {}),
    ],
)
def test_a_network_is_told_in_full_or_in_strengths(
    optimizer: str, coupling: str, l1: float, l2: float, dropout: float, expected: dict[str, object]
) -> None:
    record = network()
    assert record.training is not None
    training = replace(record.training, optimizer=optimizer, coupling=coupling)  # type: ignore[arg-type]
    own = Regularizer(l1=l1, l2=l2, dropout=dropout, coupling=coupling)  # type: ignore[arg-type]
    strength = replace(record.strength, regularizer=own)
    assert parameters(replace(record, training=training, strength=strength)) == expected


@pytest.mark.parametrize(
    ("own", "typed"),
    [
        (Regularizer(l2=26.378), "AdamW(lr=0.002, weight_decay=26)"),
        (Regularizer(dropout=0.0529), "Dropout(p=0.053)"),
        (Regularizer(l2=0.3, dropout=0.2), "AdamW(lr=0.002, weight_decay=0.3), Dropout(p=0.2)"),
        (Regularizer(l1=0.43), "Regularizer(l1=0.43).optimizer(net, lr=0.002)"),
        (Regularizer(l1=0.2, dropout=0.1), "Regularizer(l1=0.2).optimizer(net, lr=0.002), Dropout(p=0.1)"),
    ],
)
def test_a_network_is_told_as_what_is_typed(own: Regularizer, typed: str) -> None:
    record = network()
    assert record.training is not None
    training = replace(record.training, optimizer="adamw", coupling="decoupled", lr=2e-3)
    strength = replace(record.strength, regularizer=replace(own, coupling="decoupled"))
    record = replace(record, training=training, strength=strength)
    assert in_code(record) == typed
    in_loss = replace(record, training=replace(training, coupling="loss"))
    assert "lr=" not in in_code(in_loss)


def test_a_strength_that_no_library_takes_is_told_in_two_digits() -> None:
    record = network()
    assert record.training is not None
    in_loss = replace(record.training, coupling="loss")
    strength = replace(record.strength, regularizer=Regularizer(l1=8.2437e-6))
    assert use(replace(record, training=in_loss, strength=strength)) == "L1, strength 8.2e-6"


def test_what_is_told_of_classes_can_be_typed() -> None:
    typed = in_code(classic())
    assert typed.endswith('solver="saga")')
    X, y = np.random.default_rng(0).normal(size=(20, 2)), np.arange(20) % 2
    eval(typed, {"LogisticRegression": LogisticRegression}).fit(X, y)  # scikit-learn's default refuses L1


@pytest.mark.parametrize(
    "model", [Ridge(), Lasso(), LogisticRegression(), MLPClassifier((8,), solver="lbfgs")]
)
def test_what_is_told_is_what_apply_sets(model: object) -> None:
    r = np.random.default_rng(0)
    X = r.normal(size=(150, 60))
    y = X[:, 0] + r.normal(size=150)
    advice = advise(
        X,
        y if isinstance(model, Ridge | Lasso) else (y > 0).astype(int),
        model=model,
        effort="quick",
        folds=2,
    )
    told = advice.summary["parameters"].get(type(model).__name__, {})
    assert not told or ") on standardised features" in advice.verdict  # it got our preprocessing in front
    final = advice.apply(model).steps[-1][1]
    final = getattr(final, "regressor", final)
    for name, value in told.items():
        assert getattr(final, name) == pytest.approx(value)
    assert advice.plot("chart").count('stroke-width="3.5"') == len(advice.path)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "model", [LogisticRegression(class_weight="balanced"), LinearSVC(class_weight="balanced")]
)
def test_balanced_weights_change_no_unit(model: LogisticRegression | LinearSVC) -> None:
    r = np.random.default_rng(0)
    X = r.normal(size=(150, 60))
    y = (X[:, 0] + r.normal(size=150) > 0.7).astype(int)
    advice = advise(X, y, model=model, effort="quick", folds=2)
    told = advice.summary["parameters"][type(model).__name__]
    assert told["C"] == pytest.approx(1 / (150 * sum(advice.regularizer.strengths().values())))
    final = advice.apply(model).steps[-1][1]
    # SAGA needs weights up to 1, and then another C: the product is what counts.
    weights = ("balanced", final.class_weight)
    balanced, own = (compute_class_weight(each, classes=np.array([0, 1]), y=y) for each in weights)
    assert final.C * own == pytest.approx(told["C"] * balanced)


@pytest.mark.parametrize("is_number", [True, False])
def test_with_weights_of_rows_what_is_told_is_for_them_as_they_were_given(is_number: bool) -> None:
    r = np.random.default_rng(0)
    X, weights = r.normal(size=(80, 20)), r.uniform(2.0, 8.0, size=80)
    y = X.sum(axis=1) + 4 * r.normal(size=80)
    y, weights = (y, weights) if is_number else (y > 0, np.where(y > 0, 3 * weights, weights))
    record = advise(X, y, sample_weight=weights, budget=0).record
    advice = Advice(replace(record, strength=replace(record.strength, regularizer=Regularizer(l2=0.3))))
    ((name, told),) = advice.summary["parameters"].items()
    built = advice.build()
    built.fit(X, y, **{f"{built.steps[-1][0]}__sample_weight": weights})
    own = {"Ridge": Ridge, "LogisticRegression": LogisticRegression}[name](**told, tol=1e-8)
    own.fit(built[:-1].transform(X), y, sample_weight=weights)
    np.testing.assert_allclose(np.ravel(built.coef_), np.ravel(own.coef_), rtol=0.01, atol=1e-3)
