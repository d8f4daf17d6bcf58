"""scikit-learn estimators and pipelines as ``model=``: used whole, as plain loops with scikit-learn show."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from sklearn import config_context
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.decomposition import PCA
from sklearn.exceptions import UnsetMetadataPassedError
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.feature_selection import SelectKBest, f_regression
from sklearn.impute import SimpleImputer
from sklearn.linear_model import (
    ElasticNet,
    Lasso,
    LinearRegression,
    LogisticRegression,
    Ridge,
    SGDClassifier,
    SGDRegressor,
)
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MinMaxScaler,
    OneHotEncoder,
    PolynomialFeatures,
    StandardScaler,
)
from sklearn.utils.class_weight import compute_sample_weight

from regadvisor import Advice, AdvisedClassifier, AdvisedRegressor, DataError, ParameterError, advise
from regadvisor.data.source import make_table
from regadvisor.deadline import NEVER
from regadvisor.families.base import Job
from regadvisor.families.estimator.learner import EstimatorFamily
from regadvisor.families.estimator.rules import Strengths
from regadvisor.families.estimator.table import configured
from regadvisor.models import resolve_model
from regadvisor.regularizer import Regularizer
from regadvisor.sampling.folds import make_folds

CANCER_X, CANCER_Y = load_breast_cancer(return_X_y=True)
CANCER_X = CANCER_X[::3, :8]
CANCER_Y = CANCER_Y[::3]
X, Y = load_diabetes(return_X_y=True)
X, Y = 20 * X[:150], Y[:150]
SCALED_PAIRS = (StandardScaler(), PolynomialFeatures(2, include_bias=False))


def asked(model: Any, X: Any, y: Any) -> tuple[Any, Any]:
    table = make_table(X, y)
    family: Any = resolve_model(model, table.facts, recipe=None, device="cpu")
    return family.on(table, X)


@pytest.mark.parametrize(
    ("model", "regularizer"),
    [
        (make_pipeline(*SCALED_PAIRS, Ridge()), Regularizer(l2=0.1)),
        (make_pipeline(MinMaxScaler(), SelectKBest(f_regression, k=4), Lasso()), Regularizer(l1=0.02)),
        (make_pipeline(StandardScaler(), make_pipeline(PCA(5), ElasticNet())), Regularizer(l1=0.02, l2=0.1)),
        (make_pipeline(StandardScaler(), Ridge(fit_intercept=False)), Regularizer(l2=0.1)),
        (make_pipeline(StandardScaler(), Lasso(fit_intercept=False)), Regularizer(l1=0.02)),
    ],
    ids=["ridge", "lasso", "nested", "ridge without intercept", "lasso without intercept"],
)
def test_held_out_losses_are_those_of_the_caller_s_pipeline(model: Any, regularizer: Regularizer) -> None:
    family, table = asked(model, X, Y)
    is_ours = isinstance(family, EstimatorFamily)
    steps_, own_last = (family.caller if is_ours else family.learner.caller).steps, model
    while isinstance(own_last, Pipeline):
        own_last = own_last[-1]
    folds = make_folds(table, folds=3).folds
    fit = family.train(family.prepare(table, folds, seed=0), [Job(regularizer=regularizer)], deadline=NEVER)[
        0
    ]
    for fold in folds:
        y = Y[fold.train]
        sd = y.std() if is_ours else 1.0  # others have strengths in the unit of the target
        own = {"l1": 0.0, "l2": 0.0, **regularizer.strengths()}
        last = configured(own_last, Strengths(**own, n_rows=len(y), sd_y=sd))
        steps = clone(steps_)
        last.set_params(tol=1e-10)
        last.fit(steps.fit_transform(X[fold.train], y), y)
        squared = (last.predict(steps.transform(X[fold.test])) - Y[fold.test]) ** 2 / Y.var()
        np.testing.assert_allclose(fit.losses[fold.test], squared, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("regularizer", [Regularizer(l2=0.01), Regularizer(l1=0.01)], ids=["l2", "l1"])
def test_class_weights_and_the_intercept_are_part_of_the_fits(
    regularizer: Regularizer, fit_intercept: bool
) -> None:
    last = LogisticRegression(class_weight={0: 1.0, 1: 4.0}, fit_intercept=fit_intercept)
    family, table = asked(make_pipeline(MinMaxScaler(), last), CANCER_X, CANCER_Y)
    np.testing.assert_allclose(table.weight[CANCER_Y == 1] / table.weight[CANCER_Y == 0][0], 4.0)
    folds = make_folds(table, folds=3).folds
    fit = family.train(family.prepare(table, folds, seed=0), [Job(regularizer=regularizer)], deadline=NEVER)[
        0
    ]
    own = {"l1": 0.0, "l2": 0.0, **regularizer.strengths()}
    for fold in folds:
        y = CANCER_Y[fold.train]
        mean = float(np.mean(np.where(y == 1, 4.0, 1.0)))
        given = Strengths(**own, n_rows=len(y), n_classes=2, mean_weight=mean)
        model = make_pipeline(MinMaxScaler(), configured(last, given).set_params(tol=1e-8))
        model.fit(CANCER_X[fold.train], y)
        chances = model.predict_proba(CANCER_X[fold.test])
        losses = -np.log(chances[np.arange(len(fold.test)), CANCER_Y[fold.test]])
        np.testing.assert_allclose(fit.losses[fold.test], losses, rtol=2e-3, atol=1e-4)


@pytest.mark.parametrize("solver", ["lbfgs", "adam"])
def test_the_penalty_of_a_network_is_shared_among_the_weights_of_its_rows(solver: str) -> None:
    X = StandardScaler().fit_transform(CANCER_X)[:90]
    y, last = (
        X[:, 0] + X[:, 1],
        MLPRegressor(hidden_layer_sizes=(3,), solver=solver, max_iter=2_000, random_state=0),
    )
    plain, weighted = (
        configured(last, Strengths(l1=0.0, l2=0.3, n_rows=90, mean_weight=mean)) for mean in (1.0, 10.0)
    )
    weighted.fit(X, y, sample_weight=np.full(90, 10.0))
    np.testing.assert_allclose(weighted.predict(X), plain.fit(X, y).predict(X), rtol=1e-3)


MODELS = [
    (make_pipeline(StandardScaler(), PolynomialFeatures(2), LogisticRegression(class_weight="balanced")), 0),
    (make_pipeline(MinMaxScaler(), SGDClassifier(loss="log_loss", random_state=0)), 0),
    (LogisticRegression(tol=1e-3, n_jobs=None, random_state=3), 0),
    (LogisticRegression(solver="liblinear", intercept_scaling=3.0), 0),
    (LogisticRegression(l1_ratio=1.0, solver="saga"), 0),
    (SGDClassifier(loss="log_loss", random_state=0), 0),
    (Ridge(), 1),
    (Lasso(), 1),
    (ElasticNet(), 1),
    (LinearRegression(), 1),
    (SGDRegressor(random_state=0), 1),
    (make_pipeline("passthrough", Ridge(solver="lsqr")), 1),
    (make_pipeline(MinMaxScaler(), make_pipeline(PolynomialFeatures(2), ElasticNet())), 1),
]


@pytest.mark.parametrize("chart", ["extended", "classic"])
@pytest.mark.parametrize(("model", "is_number"), MODELS, ids=[str(i) for i in range(len(MODELS))])
def test_what_is_advised_is_applied_to_the_same_model(model: Any, is_number: int, chart: str) -> None:
    X_, y = (X, Y) if is_number else (CANCER_X, CANCER_Y)
    before = clone(model).get_params()
    advice = advise(X_, y, model=model, effort="quick", chart=chart, folds=2)
    applied = advice.apply(model).fit(X_, y)  # warnings of convergence are errors here
    built = advice.build().fit(X_, y)
    method = "predict" if is_number else "predict_proba"
    np.testing.assert_allclose(getattr(applied, method)(X_), getattr(built, method)(X_), rtol=1e-2, atol=5e-3)
    assert repr(clone(model).get_params()) == repr(before)
    assert advice.record.training is not None
    space: dict[str, Any] = {"X": X_, "y": y}
    exec(advice.snippet(), space)
    np.testing.assert_allclose(
        getattr(space["model"], method)(X_), getattr(built, method)(X_), rtol=1e-2, atol=5e-3
    )


def test_only_kinds_that_the_model_has_are_asked_about() -> None:
    for model, kind in ((Ridge(), "l2"), (Lasso(), "l1")):
        advice = advise(X, Y, model=model, effort="quick", folds=2)
        assert set(advice.scores["kind"]) == {"none", kind}
        assert advice.regularizer.kind in ("none", kind)
        assert "kinds-of-model" in {note.code for note in advice.record.notes}
        assert {"Q4", "Q5", "Q7"}.isdisjoint(step.question for step in advice.path)


@pytest.mark.parametrize("model", [Ridge(), Lasso()])
@pytest.mark.parametrize("budget", [0, None])
def test_without_training_and_without_signal_the_model_still_gets_its_own_penalty(
    model: Any, budget: float | None
) -> None:
    noise = np.random.default_rng(0).normal(size=60)
    advice = advise(X[:60], noise, model=model, budget=budget, effort="quick", folds=2)
    assert advice.regularizer.kind == ("l2" if isinstance(model, Ridge) else "l1")
    advice.apply(model).fit(X[:60], noise)
    assert "L1+L2" not in advice.plot("chart")  # the chart of a model with one penalty


def imbalanced() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(20)
    rows = rng.normal(size=(600, 25))
    return rows, (rows[:, 0] + rng.normal(size=600) > 2.3).astype(int)


@pytest.mark.parametrize(("l1", "l2"), [(0.02, 0.0), (0.0, 0.01), (0.01, 0.01)])
@pytest.mark.parametrize("scale", [1.0, 1e3])
def test_applied_to_unscaled_rows_the_weighted_objective_is_at_its_minimum(
    l1: float, l2: float, scale: float
) -> None:
    rows, y = imbalanced()
    model = LogisticRegression(class_weight="balanced")
    record = advise(rows, y, model=model, effort="quick", folds=2).record
    assert record.data is not None
    assert record.training is not None
    strength = replace(record.strength, regularizer=Regularizer(l1=l1, l2=l2))
    applied = Advice(replace(record, strength=strength)).apply(model)
    applied.fit(scale * rows, y)
    Z, weight = StandardScaler().fit_transform(rows), compute_sample_weight("balanced", y)

    def objective(W: np.ndarray, b: float) -> float:
        z = Z @ W + b
        loss = np.average(np.logaddexp(0, z) - y * z, weights=weight)
        return float(loss + l1 * np.abs(W).sum() + l2 / 2 * W @ W)

    W, b = applied[-1].coef_[0], float(applied[-1].intercept_[0])
    # The slopes of the objective are within what the L1 penalty allows: it is convex, so this is the minimum.
    slope = Z.T @ (weight * (expit(Z @ W + b) - y)) / weight.sum() + l2 * W
    assert np.abs(slope[W != 0] + l1 * np.sign(W[W != 0])).max(initial=0.0) < 1e-3
    assert np.abs(slope[W == 0]).max(initial=0.0) < l1 + 1e-3
    assert objective(W, b) < objective(W, b + 0.3)


def test_class_weights_change_the_answer_as_sample_weights_do() -> None:
    rows, y = imbalanced()
    by_class = advise(rows, y, model=LogisticRegression(class_weight="balanced"), effort="quick", folds=2)
    weights = compute_sample_weight("balanced", y)
    by_row = advise(rows, y, sample_weight=weights, effort="quick", folds=2)
    plain = advise(rows, y, model=LogisticRegression(), effort="quick", folds=2)
    assert by_class.regularizer == by_row.regularizer != plain.regularizer


# ------------------------------------------------------------------------------------- what steps may be


def words(rows: Any) -> np.ndarray:
    return np.array([[len(text), text.count("a")] for text in rows], dtype=float)


def test_texts_go_through_the_caller_s_vectorizer() -> None:
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(["good", "bad", "day", "sun", "rain"], size=6)) for _ in range(90)]
    y = [text.count("good") > text.count("bad") for text in texts]
    model = make_pipeline(TfidfVectorizer(), LogisticRegression())
    advice = advise(texts, y, model=model, effort="quick", folds=2)
    assert advice.apply(model).fit(texts, y).score(texts, y) > 0.9
    assert AdvisedClassifier(model=model, folds=3).fit(texts, y).score(texts, y) > 0.9
    with pytest.raises(DataError, match="one column of texts; pass a pipeline"):
        advise(texts, y, effort="quick", folds=2)


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_frames_with_words_gaps_and_rows_without_a_target(library: str) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"size": rng.normal(size=120), "colour": rng.choice(["red", "green"], 120)})
    y = frame["size"] + 2 * (frame["colour"] == "red") + 0.1 * rng.normal(size=120)
    frame.loc[5, "size"] = np.nan
    y[7] = np.nan
    given = frame if library == "pandas" else pytest.importorskip("polars").from_pandas(frame)
    columns = ColumnTransformer(
        [
            ("number", make_pipeline(SimpleImputer(), StandardScaler()), ["size"]),
            ("word", OneHotEncoder(), ["colour"]),
        ]
    )
    model = make_pipeline(columns, Ridge())
    advice = advise(given, y, model=model, effort="quick", folds=2)
    fitted = advice.build().fit(given, y)
    assert np.nanmean((fitted.predict(given) - y) ** 2) < 0.1
    assert "ColumnTransformer" in advice.record.training.steps[0]  # type: ignore[union-attr]
    assert AdvisedRegressor(model=model, folds=3).fit(given, y).score(frame[:5], y[:5]) > 0.8


def test_what_is_known_of_the_features_is_known_of_those_that_the_model_gets(tmp_path: Any) -> None:
    steps = [("poly", PolynomialFeatures(3, include_bias=False)), ("scale", StandardScaler())]
    model = Pipeline([*steps, ("ridge", Ridge())], memory=str(tmp_path))
    advice = advise(X[:, :1], Y, model=model, budget=0)
    assert advice.record.evidence.correlation is not None
    assert advice.record.evidence.correlation.n_columns == 3
    assert advice.apply(model).memory == advice.build().memory == str(tmp_path)


def test_weights_reach_the_last_step_of_nested_pipelines() -> None:
    model = make_pipeline(StandardScaler(), make_pipeline(PolynomialFeatures(2), Ridge()))
    weight = np.where(np.arange(len(Y)) < 100, 1.0, 0.0)
    fitted = AdvisedRegressor(model=model, folds=3).fit(X, Y, sample_weight=weight)
    only = fitted.advice_.build().fit(X[:100], Y[:100])
    np.testing.assert_allclose(fitted.predict(X), only.predict(X))


class Resampler:
    """What SMOTE and its like look like to a pipeline."""

    def fit(self, X: Any, y: Any = None) -> Resampler:
        return self

    def fit_resample(self, X: Any, y: Any) -> tuple[Any, Any]:
        return X, y

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        return {}


@pytest.mark.filterwarnings("ignore:divide by zero:RuntimeWarning")
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
@pytest.mark.parametrize(
    ("model", "error", "message"),
    [
        (LogisticRegression(), ParameterError, "must be a regressor for task='regression'"),
        (Pipeline([("smote", Resampler()), ("ridge", Ridge())]), ParameterError, "transform.*'smote'"),
        (make_pipeline(PCA(50), Ridge()), DataError, "must give numbers.*n_components=50"),
        (make_pipeline(FunctionTransformer(lambda x: x[:, 0]), Ridge()), DataError, "must give a table"),
        (make_pipeline(FunctionTransformer(lambda x: x[1:]), Ridge()), DataError, "leave out rows"),
        (make_pipeline(FunctionTransformer(lambda x: x / 0.0), Ridge()), DataError, "SimpleImputer"),
        (make_pipeline(FunctionTransformer(lambda x: x[:, :0]), Ridge()), DataError, "got none; let them"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_refused_with_the_reason(
    model: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        advise(X, Y, model=model, effort="quick", folds=2)


@pytest.mark.parametrize("kind", ["labels", "value", "text"])
def test_class_weights_have_to_fit_the_classes(kind: str) -> None:
    given = {"labels": {"a": 1.0}, "value": {0: 0.0, 1: 1.0}, "text": "even"}[kind]
    with pytest.raises(ParameterError, match="class_weight"):
        advise(CANCER_X, CANCER_Y, model=LogisticRegression(class_weight=given), effort="quick", folds=2)


# ------------------------------------------------------------------------------------- unequal features


def test_features_of_unequal_size_are_warned_of_and_fitted_by_solvers_that_bear_them() -> None:
    rows, y = load_breast_cancer(return_X_y=True)
    model = make_pipeline(SimpleImputer(), LogisticRegression())
    advice = advise(rows, y, model=model, effort="quick", folds=2)
    assert set(advice.scores["kind"]) == {"none", "l2", "l1", "elasticnet"}
    assert any("Put StandardScaler()" in text for text in advice.warnings)
    for kind in (Regularizer(l2=1e-5), Regularizer(l1=1e-3), Regularizer(l1=1e-3, l2=1e-3)):
        record = advice.record
        own = Advice(replace(record, strength=replace(record.strength, regularizer=kind)))
        model_ = own.apply(model).fit(rows, y)
        assert model_[-1].n_iter_[0] < 1_000
    steep = make_pipeline(SimpleImputer(), SGDClassifier(loss="log_loss"))
    advice = advise(rows, y, model=steep, effort="quick", folds=2)
    assert any("Put StandardScaler()" in text for text in advice.warnings)


def test_steps_that_ask_for_weights_by_metadata_routing_get_them() -> None:
    rows, y = load_breast_cancer(return_X_y=True)
    rows, y, weight = rows[:120], y[:120], np.linspace(0.1, 3.0, 120)
    with config_context(enable_metadata_routing=True):
        scaler, last = StandardScaler().set_fit_request(sample_weight=True), LogisticRegression()
        model = make_pipeline(scaler, last.set_fit_request(sample_weight=True))
        advice = advise(rows, y, model=model, sample_weight=weight, effort="quick", folds=2)
        built, own = (
            each.fit(rows, y, sample_weight=weight) for each in (advice.build(), advice.apply(model))
        )
        np.testing.assert_allclose(built[0].mean_, np.average(rows, axis=0, weights=weight))
        np.testing.assert_allclose(built[-1].coef_, own[-1].coef_, rtol=1e-6)
        assert built.score(rows, y, sample_weight=weight) > 0.9
        # Features, and so losses, are those of scaling with weights.
        unasked = make_pipeline(scaler.set_fit_request(sample_weight=False), last)
        other = advise(rows, y, model=unasked, sample_weight=weight, effort="quick", folds=2)
        assert advice.scores.loss.min() != pytest.approx(other.scores.loss.min(), rel=1e-6)
        unset = make_pipeline(scaler.set_fit_request(sample_weight=True), LogisticRegression())
        with pytest.raises(UnsetMetadataPassedError, match="explicitly set as requested"):
            advice.apply(unset).fit(rows, y, sample_weight=weight)
        last.set_fit_request(sample_weight=False)
        with pytest.raises(ParameterError, match=r"set_fit_request\(sample_weight=False\), which takes no"):
            advise(rows, y, model=model, sample_weight=weight)


def test_what_apply_returns_is_at_the_minimum_for_several_classes_of_unequal_features() -> None:
    rows, y = load_iris(return_X_y=True)
    steps = FunctionTransformer(lambda x: x * [1e5, 1, 1, 1])
    with config_context(enable_metadata_routing=True):
        model = make_pipeline(steps, LogisticRegression().set_fit_request(sample_weight=True))
    advice = advise(rows, y, model=model, effort="quick", folds=2)
    assert set(advice.scores["kind"]) == {"none", "l2", "l1", "elasticnet"}
    record = advice.record
    own = Advice(replace(record, strength=replace(record.strength, regularizer=Regularizer(l1=1e-3))))
    last = own.apply(model).fit(rows, y)[-1]
    assert isinstance(last, LogisticRegression)
    assert str(last._metadata_request) == str(model[-1]._metadata_request)
    scaled = rows * [1e5, 1, 1, 1]
    gradient = (last.predict_proba(scaled) - np.eye(3)[y]).T @ scaled / len(y)
    violation = np.where(
        last.coef_ == 0, np.abs(gradient) - 1e-3, np.abs(gradient + 1e-3 * np.sign(last.coef_))
    )
    assert violation.max() < 2e-5
    again = advise(rows, y, model=own.apply(model), effort="quick", folds=2)  # as it was passed at first
    assert again.record.training == record.training


# ------------------------------------------------------------------------------------- saved and loaded


def test_a_loaded_advice_is_applied_to_the_same_pipeline_alone(tmp_path: Any) -> None:
    model = make_pipeline(*SCALED_PAIRS, Ridge())
    advice = advise(X, Y, model=model, effort="quick", folds=2)
    advice.to_json(tmp_path / "advice.json")
    loaded = Advice.load(tmp_path / "advice.json")
    expected = advice.build().fit(X, Y).predict(X)
    np.testing.assert_allclose(loaded.apply(model).fit(X, Y).predict(X), expected)
    np.testing.assert_allclose(loaded.build(module=model).fit(X, Y).predict(X), expected)
    with pytest.raises(ParameterError, match=r"module must be the estimator.*Ridge"):
        loaded.build()
    for other in (Ridge(), make_pipeline(StandardScaler(), Ridge())):
        with pytest.raises(
            ParameterError, match=r"whose features these strengths were found on.*model=pipeline"
        ):
            loaded.apply(other)


def test_a_loop_in_torch_is_refused_where_it_would_lack_the_caller_s_steps() -> None:
    advice = advise(X, Y, model=make_pipeline(MinMaxScaler(), Ridge()), effort="quick", folds=2)
    with pytest.raises(ParameterError, match=r"target must be 'sklearn'.*MinMaxScaler"):
        advice.snippet("torch")


def doubled(rows: Any) -> Any:
    return 2 * np.asarray(rows)


def test_what_a_notebook_defines_is_named_where_the_script_is_pasted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doubled, "__module__", "__main__")
    monkeypatch.setattr(sys.modules["__main__"], "doubled", doubled, raising=False)
    advice = advise(X, Y, model=make_pipeline(FunctionTransformer(doubled), Ridge()), effort="quick", folds=3)
    names = {"X": X, "y": Y}
    exec(advice.snippet(), names)
    np.testing.assert_allclose(names["model"].predict(X), advice.build().fit(X, Y).predict(X))


def test_steps_that_have_no_code_are_named() -> None:
    model = make_pipeline(FunctionTransformer(lambda x: x + 1.0), Ridge())
    advice = advise(X, Y, model=model, effort="quick", folds=2)
    with pytest.raises(ParameterError, match="importable to be written as code"):
        advice.snippet()
    with pytest.raises(ParameterError, match="steps whose features"):
        advice.apply(make_pipeline(FunctionTransformer(lambda x: x + 2.0), Ridge()))
