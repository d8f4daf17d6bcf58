"""Snippets run as printed and give the models they describe."""

from __future__ import annotations

import functools
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

import regadvisor
from regadvisor.data.source import make_table
from regadvisor.errors import ParameterError
from regadvisor.export.code import estimator_code, sklearn_snippet
from regadvisor.export.torch_snippet import torch_snippet
from regadvisor.families.linear.build import build_linear
from regadvisor.families.linear.logistic import SparseLogisticRegression
from regadvisor.families.preprocess import make_preprocessor
from regadvisor.records import Training
from regadvisor.regularizer import Regularizer

KINDS = [Regularizer(), Regularizer(l2=0.02), Regularizer(l1=0.02), Regularizer(l1=0.01, l2=0.02)]


def run(script, **names):
    exec(compile(script, "snippet", "exec"), names)
    return names


def evaluate(code):
    return eval(code.expression, run("\n".join(code.imports)))


def data(task):
    X, y = {"binary": load_breast_cancer, "multiclass": load_iris, "regression": load_diabetes}[task](
        return_X_y=True
    )
    rng = np.random.default_rng(0)
    if task != "regression":  # overlapping classes with names, few features: a best fit exists for every kind
        y = np.array(["red", "green", "blue"])[np.where(rng.random(len(y)) < 0.2, rng.permutation(y), y)]
        X = X[:, :4]
    return X, y


def a_frame():
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"size": rng.standard_normal(120), "age": rng.standard_normal(120)})
    X["colour"] = rng.choice(["red", "green", "blue"], 120)
    X.loc[:5, "age"] = np.nan
    X.loc[10:12, "colour"] = None
    return X, (X["size"] + (X["colour"] == "red") + rng.standard_normal(120)).to_numpy()


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
@pytest.mark.parametrize("regularizer", KINDS, ids=lambda r: r.kind)
def test_the_sklearn_snippet_is_the_built_model(task, regularizer):
    X, y = data(task)
    model = build_linear(make_table(X, y).facts, regularizer, seed=3)
    script = sklearn_snippet(model, task=task, verdict_comment="Start here.\nTwo lines.")
    assert script.startswith("# Start here.\n# Two lines.\n")
    printed = run(script, X=X, y=y)["model"]
    model.fit(X, y)
    # With an L1 part scikit-learn's solver of the script stops near the minimum of ours.
    if task == "regression":
        atol = 1e-3 * y.std() if regularizer.l1 else 0.0
        np.testing.assert_allclose(printed.predict(X), model.predict(X), rtol=0, atol=atol)
    else:
        np.testing.assert_array_equal(printed.predict(X), model.predict(X))
        atol = 1e-4 if isinstance(model[-1], SparseLogisticRegression) else 0.0
        if isinstance(model[-1], SparseLogisticRegression) and model[-1].solver == "liblinear":
            atol = 1e-3  # it penalises the intercept (families/estimator/rules.py)
        np.testing.assert_allclose(printed.predict_proba(X), model.predict_proba(X), rtol=0, atol=atol)


def test_a_snippet_for_a_frame_of_mixed_columns():
    X, y = a_frame()
    model = build_linear(make_table(X, y).facts, Regularizer(l1=0.02), seed=0)
    script = sklearn_snippet(model, task="regression", verdict_comment="Start with L1.")
    assert max(len(line) for line in script.splitlines()) <= 110
    printed = run(script, X=X, y=y)["model"]  # whose solver stops near the minimum
    np.testing.assert_allclose(printed.predict(X), model.fit(X, y).predict(X), rtol=0, atol=1e-3 * y.std())


def test_code_names_only_what_differs_from_the_default():
    code = estimator_code(LogisticRegression(C=np.float64(0.5), solver="saga", max_iter=100))
    assert code.expression == 'LogisticRegression(C=0.5, solver="saga")'
    assert code.imports == ("from sklearn.linear_model import LogisticRegression",)


@pytest.mark.parametrize(
    "step",
    [
        LogisticRegression(C=np.inf, class_weight={0: 1.0, 1: 2.5}),
        SimpleImputer(missing_values=-1, fill_value=np.nan, strategy="constant"),
        OneHotEncoder(
            categories=[["a", 'it\'s "b"'], ["c\\d"]], drop=np.array(["a", "c\\d"]), dtype=np.float32
        ),
        FunctionTransformer(np.log1p, np.expm1, validate=True),
        FunctionTransformer(functools.partial(np.clip, a_min=0, a_max=1)),
        ColumnTransformer(
            [("n", StandardScaler(), make_column_selector(dtype_include=[np.number])), ("d", "drop", (0, 1))],
            remainder=Pipeline([("scale", StandardScaler(with_mean=False)), ("pass", "passthrough")]),
        ),
        ColumnTransformer([("s", StandardScaler(), slice(0, 2))], sparse_threshold=0),
        ColumnTransformer(
            [("standardscaler", StandardScaler(), [0])], transformer_weights={"standardscaler": 2}
        ),
        StandardScaler(),
    ],
    ids=lambda step: type(step).__name__,
)
def test_code_gives_the_object_back(step):
    again = evaluate(estimator_code(step))
    assert type(again) is type(step)
    # Objects without a repr of their own print their address.
    assert re.sub(" at 0x[0-9a-f]+", "", repr(again)) == re.sub(" at 0x[0-9a-f]+", "", repr(clone(step)))
    assert estimator_code(again) == estimator_code(step)


@pytest.mark.parametrize("function", [lambda values: values, data.__get__(1), open])
def test_what_has_no_name_has_no_code(function):
    step = FunctionTransformer(function)
    if function is open:
        assert evaluate(estimator_code(step)).func is open
        return
    with pytest.raises(ParameterError, match="must"):
        estimator_code(step)


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
@pytest.mark.parametrize("regularizer", KINDS, ids=lambda r: r.kind)
def test_the_torch_snippet_is_the_built_model(task, regularizer):
    X, y = data(task)
    if task == "binary":
        y = np.where(y == "blue", "red", y)
    table = make_table(X, y)
    script = torch_snippet(
        make_preprocessor(table.facts, for_network=False),
        table.facts,
        training=Training(family="linear", seed=0),
        regularizer=regularizer,
        verdict_comment="Start here.",
    )
    assert script.startswith("# Start here.\n")
    names = run(script, X=X, y=y)
    model = build_linear(table.facts, regularizer, seed=0).fit(X, y)
    if task == "regression":
        np.testing.assert_allclose(names["predict"](X), model.predict(X), atol=1e-3 * y.std())
    else:
        np.testing.assert_allclose(names["predict_proba"](X), model.predict_proba(X), atol=1e-3)
        assert np.mean(names["predict"](X) == model.predict(X)) > 0.99
    if regularizer.kind == "l1" and task == "regression":
        inner = model[-1].regressor_.coef_
        np.testing.assert_array_equal(names["layer"].weight.detach().numpy()[0] == 0, inner == 0)


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
@pytest.mark.parametrize("regularizer", [Regularizer(l2=0.02), Regularizer(l1=0.02)], ids=lambda r: r.kind)
def test_the_torch_snippet_uses_weights(task, regularizer):
    X, y = data(task)
    if task == "binary":
        y = np.where(y == "blue", "red", y)
    if task == "regression":
        y = np.column_stack([y, X[:, 2] - X[:, 3]])
    weight = np.random.default_rng(0).gamma(1.0, size=len(y))
    facts = make_table(X, y, sample_weight=weight).facts
    script = torch_snippet(
        make_preprocessor(facts, for_network=False),
        facts,
        training=Training(family="linear", seed=0),
        regularizer=regularizer,
    )
    names = run(script, X=X, y=y, sample_weight=weight)
    model = build_linear(facts, regularizer, seed=0)
    model.fit(X, y, **{model.weight_name: weight / weight.mean()})
    if task == "regression":
        np.testing.assert_allclose(names["predict"](X), model.predict(X), atol=1e-3 * y[:, 0].std())
    else:
        np.testing.assert_allclose(names["predict_proba"](X), model.predict_proba(X), atol=1e-3)


@pytest.mark.parametrize("regularizer", [Regularizer(l2=0.02), Regularizer(l1=0.02)], ids=lambda r: r.kind)
def test_the_torch_snippet_leaves_some_columns_unpenalised(regularizer):
    X, y = data("regression")
    facts = replace(make_table(X, y).facts, unpenalised=(1, 2))
    script = torch_snippet(
        make_preprocessor(facts, for_network=False),
        facts,
        training=Training(family="linear", seed=0),
        regularizer=regularizer,
    )
    model = build_linear(facts, regularizer, seed=0).fit(X, y)
    np.testing.assert_allclose(run(script, X=X, y=y)["predict"](X), model.predict(X), atol=1e-3 * y.std())


def test_the_torch_snippet_takes_frames():
    X, y = a_frame()
    table = make_table(X, y)
    regularizer = Regularizer(l1=0.01, l2=0.01)
    script = torch_snippet(
        make_preprocessor(table.facts, for_network=False),
        table.facts,
        training=Training(family="linear", seed=0),
        regularizer=regularizer,
    )
    model = build_linear(table.facts, regularizer, seed=0).fit(X, y)
    np.testing.assert_allclose(run(script, X=X, y=y)["predict"](X), model.predict(X), atol=1e-3)


@pytest.mark.parametrize("n_lost", [0, 2])  # rows without a target, which build() leaves out
@pytest.mark.parametrize("regularizer", [Regularizer(l1=0.02), Regularizer(l1=0.02, l2=0.01)])
def test_a_regression_has_the_alpha_of_the_headline(regularizer, n_lost):
    X, y = load_diabetes(return_X_y=True)
    y[:n_lost] = np.nan
    record = regadvisor.advise(X, y, effort="quick", budget=0).record
    advice = regadvisor.Advice(replace(record, strength=replace(record.strength, regularizer=regularizer)))
    script = advice.snippet("sklearn")
    assert "TransformedTargetRegressor" not in script
    (told,) = advice.summary["parameters"].values()
    model = run(script, X=X, y=y)["model"]
    assert model[-1].alpha == pytest.approx(told["alpha"])
    np.testing.assert_allclose(model.predict(X), advice.build().fit(X, y).predict(X), rtol=1e-3)


@pytest.mark.parametrize("regularizer", [Regularizer(l2=0.02), Regularizer(l1=0.02)])
def test_rows_with_weights_are_fitted_by_the_name_of_the_step(regularizer):
    X, y = data("binary")
    weight = np.random.default_rng(0).uniform(0.5, 2.0, len(y))
    record = regadvisor.advise(X, y, sample_weight=weight, effort="quick", budget=0).record
    advice = regadvisor.Advice(replace(record, strength=replace(record.strength, regularizer=regularizer)))
    model = run(advice.snippet("sklearn"), X=X, y=y, sample_weight=weight)["model"]
    own = advice.build().fit(X, y, sample_weight=weight)
    np.testing.assert_allclose(model.predict_proba(X), own.predict_proba(X), atol=1e-3)
