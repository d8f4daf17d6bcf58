"""``apply()`` takes a pipeline only if its last step gets the features that the strengths were found on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer, make_column_transformer
from sklearn.decomposition import PCA
from sklearn.feature_selection import SelectKBest
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    OneHotEncoder,
    PolynomialFeatures,
    RobustScaler,
    StandardScaler,
)

from regadvisor import Advice, ParameterError, Recipe, advise
from regadvisor.data.source import make_table
from regadvisor.export.applied import applied
from regadvisor.families.linear.build import build_linear
from regadvisor.families.preprocess import make_preprocessor
from regadvisor.records import Training
from regadvisor.regularizer import Regularizer

RNG = np.random.default_rng(0)
X = RNG.normal(size=(80, 3)) * [1.0, 50.0, 0.01]
Y = X @ [1.0, 0.02, 50.0] + RNG.normal(size=80)
NAMED = pd.DataFrame(X, columns=["a", "b", "c"])
GAPS = NAMED.where(RNG.random(NAMED.shape) > 0.1)
MIXED = NAMED.assign(word=RNG.choice(["red", "green"], 80))
SCALE = StandardScaler()
LINEAR = Training(family="linear", seed=0)
L2 = Regularizer(l2=0.1)


@pytest.mark.parametrize(
    ("rows", "steps"),
    [
        (X, [SCALE]),
        (X, ["passthrough", make_pipeline(SCALE)]),
        (X, [StandardScaler(with_mean=False)]),
        (X, [FunctionTransformer(), SCALE]),
        (X, [SimpleImputer(strategy="most_frequent"), SCALE]),
        (X, [ColumnTransformer([("all", SCALE, [2, 0, 1])])]),
        (NAMED, [make_column_transformer((SCALE, ["a", "b", "c"]))]),
        (NAMED, [make_column_transformer((SCALE, slice(None)), remainder="passthrough")]),
        (GAPS, [SimpleImputer(strategy="median", add_indicator=True), SCALE]),
        (MIXED, [make_preprocessor(make_table(MIXED, Y).facts, for_network=False)]),
    ],
)
def test_the_same_features_give_the_built_model(rows: Any, steps: list[Any]) -> None:
    facts = make_table(rows, Y).facts
    ours = applied(make_pipeline(*steps, Ridge()), facts, L2, LINEAR).fit(rows, Y).predict(rows)
    built = build_linear(facts, L2, seed=0).fit(rows, Y).predict(rows)
    np.testing.assert_allclose(ours, built, rtol=1e-6, atol=1e-8)
    alone = applied(Ridge(), facts, L2, LINEAR).fit(rows, Y).predict(rows)
    np.testing.assert_allclose(alone, built, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(
    ("rows", "steps"),
    [
        (X, [MinMaxScaler()]),
        (X, [MaxAbsScaler()]),
        (X, [RobustScaler()]),
        (X, [StandardScaler(with_std=False)]),
        (X, [SCALE, PolynomialFeatures(2)]),
        (X, [PolynomialFeatures(2), SCALE]),
        (X, [SCALE, SelectKBest(k=2)]),
        (X, [SCALE, PCA(2)]),
        (X, [PCA(2), SCALE]),
        (X, [SCALE, MinMaxScaler()]),
        (X, [MinMaxScaler(), SCALE]),
        (X, [FunctionTransformer(np.log1p), SCALE]),
        (X, [SimpleImputer()]),
        (X, [ColumnTransformer([("first", SCALE, [0])], remainder="passthrough")]),
        (NAMED, [make_column_transformer((SCALE, ["a", "b"]))]),
        (NAMED, [make_column_transformer((SCALE, ["a", "b"]), (MinMaxScaler(), ["c"]))]),
        (GAPS, [SimpleImputer(), SCALE]),
        (MIXED, [make_column_transformer((SCALE, ["a", "b", "c"]), (OneHotEncoder(), ["word"]))]),
    ],
)
def test_other_features_are_refused_with_the_way_to_ask(rows: Any, steps: list[Any]) -> None:
    facts = make_table(rows, Y).facts
    with pytest.raises(
        ParameterError, match=r"found on \(StandardScaler\(\) over all columns\), got .*model=pipe"
    ):
        applied(make_pipeline(*steps, Ridge()), facts, L2, LINEAR)


@pytest.mark.parametrize(
    ("ours", "target"),
    [
        (LogisticRegression(), LogisticRegression(class_weight="balanced")),
        (LogisticRegression(class_weight="balanced"), LogisticRegression()),
        (LogisticRegression(class_weight="balanced"), LogisticRegression(class_weight={0: 1, 1: 2})),
        (LogisticRegression(), LogisticRegression(fit_intercept=False)),
    ],
)
def test_another_objective_is_refused(ours: Any, target: Any) -> None:
    advice = advise(X, Y > 0, model=ours, effort="quick", folds=3)
    with pytest.raises(
        ParameterError, match=r"target must have .*ask again with advise\(X, y, model=target\)"
    ):
        advice.apply(target)


# ------------------------------------------------------------------------------------------- networks


@pytest.fixture(scope="module")
def small() -> dict[str, Any]:
    return {"hidden_layer_sizes": (8,), "max_iter": 200, "random_state": 0}


def test_a_network_gets_its_alpha_and_keeps_the_rest(small: dict[str, Any]) -> None:
    model = MLPRegressor(**small, solver="lbfgs", activation="tanh")
    advice = advise(X, Y, model=model, effort="quick", folds=3)
    assert set(advice.scores["kind"]) == {"none", "l2"}
    assert advice.regularizer.coupling == "loss"
    fitted = advice.apply(model).fit(X, Y)
    assert fitted[-1].alpha == pytest.approx(80 * (advice.regularizer.l2 or 0.0))
    assert fitted[-1].set_params(alpha=model.alpha).get_params() == model.get_params()
    np.testing.assert_allclose(advice.build().fit(X, Y).predict(X), fitted.predict(X))


def test_a_network_behind_the_caller_s_own_steps(small: dict[str, Any]) -> None:
    model = make_pipeline(StandardScaler(), MLPClassifier(**small | {"early_stopping": True}))
    advice = advise(X, Y > 0, model=model, effort="quick", folds=3)
    applied_ = advice.apply(model).fit(X, Y > 0)
    assert [name for name, _ in applied_.steps] == ["standardscaler", "mlpclassifier"]
    assert applied_[-1].tol == model[-1].tol
    with pytest.raises(ParameterError, match="steps whose features"):
        advice.apply(make_pipeline(MinMaxScaler(), MLPClassifier(**small)))


def test_decoupled_strengths_are_no_alpha_and_estimators_take_no_recipe(small: dict[str, Any]) -> None:
    recipe = Recipe(hidden=(8,), epochs=2)
    advice: Advice = advise(X, Y, model="mlp", recipe=recipe, effort="quick", folds=3)
    with pytest.raises(ParameterError, match="never converted"):
        advice.apply(MLPRegressor(**small))
    with pytest.raises(ParameterError, match="recipe must be None for an estimator"):
        advise(X, Y, model=MLPRegressor(**small), recipe=recipe)
