"""Pipelines inside of wrappers, classes of the caller's, weights as given: against plain loops."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.datasets import load_diabetes
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.feature_selection import SelectKBest, f_regression
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import (
    ElasticNet,
    HuberRegressor,
    Lasso,
    LogisticRegression,
    PoissonRegressor,
    QuantileRegressor,
    Ridge,
    RidgeClassifier,
    SGDClassifier,
    SGDRegressor,
)
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, TunedThresholdClassifierCV
from sklearn.multioutput import MultiOutputRegressor
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MinMaxScaler,
    OneHotEncoder,
    PolynomialFeatures,
    StandardScaler,
)
from sklearn.svm import SVC, SVR, LinearSVC, LinearSVR

from regadvisor import Advice, AdvisedClassifier, ParameterError, RegadvisorError, Regularizer, advise
from regadvisor.data.source import make_table
from regadvisor.deadline import NEVER
from regadvisor.families.base import Job
from regadvisor.families.estimator.rules import Strengths
from regadvisor.families.estimator.table import configured, innermost
from regadvisor.models import resolve_model
from regadvisor.sampling.folds import make_folds

RNG = np.random.default_rng(0)
N = 120
FRAME = pd.DataFrame(RNG.normal(size=(N, 3)), columns=["a", "b", "c"]).assign(
    kind=RNG.choice(["x", "y", "z"], N), rows=RNG.integers(1, 9, N)
)
NUMBERS = FRAME.a - FRAME.b + (FRAME.kind == "x") + RNG.normal(size=N)
CLASSES = np.where(float(NUMBERS.median()) < NUMBERS, "yes", "no")
COLUMNS = ColumnTransformer(
    [("n", StandardScaler(), ["a", "b", "c"]), ("k", OneHotEncoder(handle_unknown="ignore"), ["kind"])]
)
DIABETES = load_diabetes(return_X_y=True)[0][:N], load_diabetes(return_X_y=True)[1][:N]


class Mine(LogisticRegression):
    """A class of the caller's."""


class Bare(Ridge):
    """One with fewer arguments."""

    def __init__(self, alpha: float = 1.0) -> None:
        super().__init__(alpha=alpha)


def family_of(model: Any, X: Any, y: Any) -> tuple[Any, Any]:
    table = make_table(X, y)
    family: Any = resolve_model(model, table.facts, recipe=None, device="cpu")
    return family.on(table, X)


WRAPPED = [
    (TransformedTargetRegressor(make_pipeline(COLUMNS, Ridge()), transformer=StandardScaler()), NUMBERS),
    (
        TransformedTargetRegressor(make_pipeline(COLUMNS, Lasso()), func=np.arcsinh, inverse_func=np.sinh),
        NUMBERS,
    ),
    (CalibratedClassifierCV(make_pipeline(COLUMNS, RidgeClassifier()), cv=2), CLASSES),
    (
        TunedThresholdClassifierCV(make_pipeline(COLUMNS, LinearSVC(random_state=0)), cv=2, thresholds=3),
        CLASSES,
    ),
    (
        make_pipeline(
            COLUMNS, CalibratedClassifierCV(make_pipeline(SelectKBest(k=3), RidgeClassifier()), cv=2)
        ),
        CLASSES,
    ),
]


@pytest.mark.parametrize(("model", "y"), WRAPPED, ids=[str(i) for i in range(len(WRAPPED))])
def test_a_pipeline_inside_of_a_wrapper_is_trained_where_it_is(model: Any, y: Any, tmp_path: Any) -> None:
    family, table = family_of(model, FRAME, y)
    folds = make_folds(table, folds=3).folds
    kind = "l1" if "l2" not in family.kinds else "l2"
    job = Job(regularizer=Regularizer(**{kind: 0.05}), seed=0)
    (fit,) = family.train(family.prepare(table, folds, seed=0), [job], deadline=NEVER)
    y = np.asarray(y)
    for fold in folds:
        given = Strengths(**{"l1": 0.0, "l2": 0.0, kind: 0.05}, n_rows=len(fold.train), n_classes=2)
        plain = configured(model, given).fit(FRAME.iloc[fold.train], y[fold.train])
        rows, target = FRAME.iloc[fold.test], y[fold.test]
        if hasattr(plain, "predict_proba"):
            expected = log_loss(target, plain.predict_proba(rows))
        elif hasattr(plain, "decision_function"):
            expected = np.mean(
                np.maximum(0, 1 - np.where(target == "yes", 1, -1) * plain.decision_function(rows)) ** 2
            )
        else:
            expected = np.mean(np.square(target - plain.predict(rows))) / np.var(y)
        assert fit.losses[fold.test].mean() == pytest.approx(expected, rel=1e-9)

    advice = advise(FRAME, y, model=model, effort="quick", folds=2)
    assert "on standardised features" not in advice.verdict
    applied = advice.apply(model).fit(FRAME, y)
    assert type(applied) is type(model)
    assert repr(clone(innermost(applied))) != repr(innermost(model))
    expected = applied.predict(FRAME)
    np.testing.assert_array_equal(advice.build().fit(FRAME, y).predict(FRAME), expected)
    advice.to_json(tmp_path / "advice.json")
    np.testing.assert_array_equal(
        Advice.load(tmp_path / "advice.json").apply(model).fit(FRAME, y).predict(FRAME), expected
    )
    names: dict[str, Any] = {"X": FRAME, "y": y}
    exec(advice.snippet(), names)
    np.testing.assert_array_equal(names["model"].predict(FRAME), expected)


def test_a_wrapper_fits_its_pipeline_to_each_target() -> None:
    y = np.column_stack([NUMBERS, FRAME.b + RNG.normal(size=N)])
    model = MultiOutputRegressor(make_pipeline(COLUMNS, SelectKBest(f_regression, k=2), Ridge()))
    advice = advise(FRAME, y, model=model, effort="quick", folds=2)
    each = [
        advice.apply(model).estimator.fit(FRAME, column)[:-1].get_feature_names_out().tolist()
        for column in y.T
    ]
    assert each[0] != each[1]
    fitted = advice.apply(model).fit(FRAME, y)
    assert [own[:-1].get_feature_names_out().tolist() for own in fitted.estimators_] == each


def test_texts_reach_a_vectorizer_inside_of_a_wrapper() -> None:
    texts = [
        " ".join(["red", "old"] * int(a > 0) + ["new", kind])
        for a, kind in zip(FRAME.a, FRAME.kind, strict=True)
    ]
    model = CalibratedClassifierCV(
        make_pipeline(TfidfVectorizer(token_pattern=r"\w+"), RidgeClassifier()), cv=2
    )
    advice = advise(texts, CLASSES, model=model, effort="quick", folds=2)
    assert advice.apply(model).fit(texts, CLASSES).score(texts, CLASSES) > 0.6


def test_what_does_not_reach_the_inside_is_refused() -> None:
    model = CalibratedClassifierCV(make_pipeline(COLUMNS, LinearSVC()))
    with pytest.raises(
        ParameterError, match=r"sample_weight must be None.*CalibratedClassifierCV\(LinearSVC"
    ):
        advise(FRAME, CLASSES, model=model, sample_weight=FRAME.rows)
    model = TransformedTargetRegressor(make_pipeline(COLUMNS, Ridge()))
    with pytest.raises(ParameterError, match=r"unpenalised must be None.*TransformedTargetRegressor\(Ridge"):
        advise(FRAME, NUMBERS, model=model, unpenalised=["a"])


def test_a_class_that_inherits_is_asked_about_as_itself() -> None:
    X = FRAME[["a", "b", "c"]]
    model = make_pipeline(StandardScaler(), Mine())
    found = advise(X, CLASSES, model=model, effort="quick", folds=2)
    plain = advise(
        X, CLASSES, model=make_pipeline(StandardScaler(), LogisticRegression()), effort="quick", folds=2
    )
    assert type(found.apply(model)[-1]) is Mine
    assert list(found.summary["parameters"]) == ["Mine"]
    both = found.scores.round({"l1": 12, "l2": 12}).merge(
        plain.scores.round({"l1": 12, "l2": 12}), on=["kind", "l1", "l2"]
    )
    assert len(both) >= 6
    penalised = both[both.kind != "none"]
    np.testing.assert_allclose(penalised.loss_x, penalised.loss_y, rtol=1e-3)


# ------------------------------------------------------------------------------------------- weights of rows

SUMS = [
    (Ridge(), "alpha"),
    (HuberRegressor(), "alpha"),
    (RidgeClassifier(), "alpha"),
    (SGDRegressor(random_state=0), "alpha"),
    (LinearSVR(random_state=0), "C"),
    (LogisticRegression(), "C"),
    (LinearSVC(random_state=0), "C"),
]


@pytest.mark.parametrize(("model", "name"), SUMS, ids=lambda each: repr(each)[:20])
def test_the_caller_s_pipeline_gets_strengths_for_its_weights_as_they_are(model: Any, name: str) -> None:
    X, weight = FRAME[["a", "b", "c"]], 10.0 * FRAME.rows
    y = CLASSES if sklearn.base.is_classifier(model) else NUMBERS
    pipeline = make_pipeline(StandardScaler(), model)
    advice = advise(X, y, model=pipeline, sample_weight=weight, effort="quick", folds=2)
    theirs, ours = advice.apply(pipeline), advice.build()
    ratio = getattr(theirs[-1], name) / getattr(ours[-1], name)
    assert ratio == pytest.approx(1 / weight.mean() if name == "C" else weight.mean())
    assert isinstance(theirs, Pipeline)
    theirs[-1].set_params(tol=1e-8)
    ours[-1].set_params(tol=1e-8)
    last = theirs.steps[-1][0]
    fitted = theirs.fit(X, y, **{f"{last}__sample_weight": weight})[-1].coef_
    if not isinstance(model, SGDRegressor):  # whose steps are as large as the weights
        np.testing.assert_allclose(
            fitted, ours.fit(X, y, **{f"{last}__sample_weight": weight})[-1].coef_, rtol=1e-3, atol=1e-5
        )


def test_means_over_rows_take_no_account_of_the_unit_of_weights() -> None:
    X, weight = FRAME[["a", "b", "c"]], 10.0 * FRAME.rows
    for model in (Lasso(), ElasticNet(), QuantileRegressor()):
        pipeline = make_pipeline(StandardScaler(), model)
        advice = advise(X, NUMBERS, model=pipeline, sample_weight=weight, effort="quick", folds=2)
        assert advice.apply(pipeline)[-1].alpha == advice.build()[-1].alpha


def test_weights_of_rows_and_of_classes_multiply() -> None:
    X, weight = FRAME[["a", "b", "c"]], np.where(CLASSES == "yes", 4.0, 1.0)
    model = make_pipeline(StandardScaler(), LogisticRegression(class_weight={"yes": 3.0, "no": 1.0}))
    advice = advise(X, CLASSES, model=model, sample_weight=weight, effort="quick", folds=2)
    l1, l2 = (advice.regularizer.strengths().get(name, 0.0) for name in ("l1", "l2"))
    total = np.where(CLASSES == "yes", 12.0, 1.0).sum()
    assert pytest.approx(1 / (total * (l1 + l2))) == advice.apply(model)[-1].C
    assert pytest.approx(1 / (total / weight.mean() * (l1 + l2))) == advice.build()[-1].C


def test_class_weights_are_told_in_the_unit_of_the_estimator() -> None:
    X = FRAME[["a", "b", "c"]]
    for last in (LogisticRegression, LinearSVC):
        model = make_pipeline(StandardScaler(), last(class_weight={"yes": 3.0, "no": 1.0}))
        advice = advise(X, CLASSES, model=model, effort="quick", folds=2)
        told = advice.summary["parameters"][last.__name__]
        assert told["C"] == pytest.approx(advice.apply(model)[-1].C)
        assert f"{last.__name__}(C=" in advice.verdict


def test_code_gives_weights_the_unit_of_the_strengths() -> None:
    X, weight = FRAME[["a", "b", "c"]], 10.0 * FRAME.rows
    advice = advise(X, NUMBERS, model=Ridge(), sample_weight=weight, effort="quick", folds=2)
    names: dict[str, Any] = {"X": X, "y": NUMBERS, "sample_weight": weight}
    exec(advice.snippet(), names)
    fitted = advice.build().fit(X, NUMBERS, model__sample_weight=weight)
    np.testing.assert_allclose(names["model"].predict(X), fitted.predict(X))


def test_weights_reach_the_regressor_inside_of_a_transformed_target() -> None:
    X, weight = FRAME[["a", "b", "c"]], FRAME.rows.to_numpy(float)
    model = TransformedTargetRegressor(Ridge(), transformer=StandardScaler())
    weighted = advise(X, NUMBERS, model=model, sample_weight=weight, effort="quick", folds=2)
    plain = advise(X, NUMBERS, model=Ridge(), sample_weight=weight, effort="quick", folds=2)
    both = weighted.scores.round({"l2": 10}).merge(plain.scores.round({"l2": 10}), on=["kind", "l2"])
    np.testing.assert_allclose(both.loss_x, both.loss_y, rtol=1e-6)


def test_weights_reach_the_model_where_metadata_is_routed() -> None:
    with sklearn.config_context(enable_metadata_routing=True):
        model = AdvisedClassifier(folds=2).set_fit_request(sample_weight=True)
        pipeline = make_pipeline(FunctionTransformer(), model)
        routed = pipeline.fit(FRAME[["a", "b", "c"]], CLASSES, sample_weight=FRAME.rows)
    plain = AdvisedClassifier(folds=2).fit(FRAME[["a", "b", "c"]], CLASSES, sample_weight=FRAME.rows)
    np.testing.assert_allclose(routed[-1].coef_, plain.coef_)


# ------------------------------------------------------------------------------------------- what is told


def test_an_l2_penalty_is_told_so_that_elastic_net_has_it() -> None:
    X, y = DIABETES
    model = make_pipeline(StandardScaler(), ElasticNet(fit_intercept=False))
    family, table = family_of(model, X, y - y.mean())
    (told,) = family.parameters(Regularizer(l2=0.1), table.facts).values()
    assert told == {"alpha": pytest.approx(0.1), "l1_ratio": 0.0}


@pytest.mark.parametrize("model", [LogisticRegression(), SGDClassifier(random_state=0), "linear"])
def test_with_weights_of_rows_what_is_told_is_for_these_weights(model: Any) -> None:
    X = FRAME[["a", "b", "c"]]
    plain, tripled = (
        advise(X, CLASSES, model=model, effort="quick", folds=2, sample_weight=np.full(N, weight))
        for weight in (1.0, 3.0)
    )
    assert tripled.regularizer.kind == plain.regularizer.kind != "none"
    ((name, told),) = plain.summary["parameters"].items()
    key, factor = ("C", 1 / 3) if name == "LogisticRegression" else ("alpha", 3.0)
    assert tripled.summary["parameters"][name][key] == pytest.approx(told[key] * factor, rel=1e-6)
    assert f"{name}({key}=" in tripled.verdict


def test_ridge_of_several_targets_is_told_its_alpha() -> None:
    y = np.column_stack([NUMBERS, 100 * FRAME.b + NUMBERS])
    advice = advise(FRAME[["a", "b", "c"]], y, model=Ridge(), effort="quick", folds=2)
    assert advice.summary["parameters"] == {
        "Ridge": {"alpha": pytest.approx(advice.apply(Ridge())[-1].alpha)}
    }


def test_a_model_that_prints_says_nothing_of_each_fit(capfd: pytest.CaptureFixture[str]) -> None:
    model = make_pipeline(StandardScaler(), SGDClassifier(verbose=1, random_state=0), verbose=True)
    advice = advise(FRAME[["a", "b", "c"]], CLASSES, model=model, effort="quick", folds=2, progress=False)
    assert capfd.readouterr().out == ""
    assert advice.build()[-1].verbose == 1


def test_a_loaded_advice_tells_the_same(tmp_path: Any) -> None:
    advice = advise(
        FRAME[["a", "b", "c"]], CLASSES, model=SGDClassifier(random_state=0), effort="quick", folds=2
    )
    record = advice.record
    assert record.training is not None
    assert list(record.training.parameters.get("SGDClassifier", {})) == sorted(
        record.training.parameters.get("SGDClassifier", {})
    )
    advice.to_json(tmp_path / "advice.json")
    assert str(Advice.load(tmp_path / "advice.json")) == str(advice)


def test_what_a_search_is_over_besides_strengths_is_named() -> None:
    model = GridSearchCV(
        make_pipeline(StandardScaler(), PolynomialFeatures(), Ridge()),
        [{"polynomialfeatures__degree": [1, 2], "ridge__alpha": [1.0]}, {"ridge__fit_intercept": [True]}],
    )
    advice = advise(FRAME[["a", "b", "c"]], NUMBERS, model=model, effort="quick", folds=2)
    (text,) = [text for text in advice.warnings if "GridSearchCV" in text]
    assert "polynomialfeatures__degree and ridge__fit_intercept stay as the estimator has them" in text
    plain = GridSearchCV(Ridge(), {"alpha": [1.0, 2.0]})
    assert not advise(FRAME[["a", "b", "c"]], NUMBERS, model=plain, effort="quick", folds=2).warnings


def test_columns_that_the_steps_leave_out_are_no_extreme_values() -> None:
    X = FRAME[["a", "b", "c"]]
    model = make_pipeline(FunctionTransformer(lambda rows: rows[["c"]]), LogisticRegression())
    advice = advise(X, CLASSES, model=model, effort="quick", folds=2)
    assert "extreme values" not in advice.verdict
    assert any("the features that your steps make" in text for text in advice.warnings)


def test_a_model_without_an_intercept_is_not_told_of_extreme_values() -> None:
    X, y = DIABETES
    advice = advise(X, y, model=HuberRegressor(fit_intercept=False), effort="quick", folds=3)
    assert "extreme values" not in advice.verdict
    assert any("It has no intercept" in text for text in advice.warnings)


# ------------------------------------------------------------------------------------------- code, and errors


def test_code_names_the_containers_of_steps_and_refuses_states() -> None:
    first = ColumnTransformer([("n", StandardScaler(), ["a", "b"])], verbose_feature_names_out=False)
    model = make_pipeline(
        first.set_output(transform="pandas"), ColumnTransformer([("b", MinMaxScaler(), ["b"])]), Ridge()
    )
    advice = advise(FRAME[["a", "b", "c"]], NUMBERS, model=model, effort="quick", folds=2)
    names: dict[str, Any] = {"X": FRAME, "y": NUMBERS}
    exec(advice.snippet(), names)
    expected = advice.build().fit(FRAME, NUMBERS).predict(FRAME)
    np.testing.assert_allclose(names["model"].predict(FRAME), expected)
    model = Ridge(solver="sag", random_state=np.random.RandomState(0))
    advice = advise(FRAME[["a", "b", "c"]], NUMBERS, model=model, effort="quick", folds=2)
    with pytest.raises(ParameterError, match=r"got a RandomState, whose state is none. Pass a whole number"):
        advice.snippet()
    model = make_pipeline(FrozenEstimator(StandardScaler().fit(FRAME[["a", "b", "c"]])), Ridge())
    advice = advise(FRAME[["a", "b", "c"]], NUMBERS, model=model, budget=0)
    with pytest.raises(ParameterError, match=r"got a FrozenEstimator, .* steps to be fitted"):
        advice.snippet()


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (Pipeline([("scale", StandardScaler()), ("model", "passthrough")]), "got 'passthrough' as its"),
        (Pipeline([("scale", StandardScaler()), ("model", None)]), "got None as its last step"),
        (make_pipeline(StandardScaler(), PolynomialFeatures()), "ends in one, got PolynomialFeatures"),
        (None, "got NoneType; of any other model"),
        ([Ridge()], r"got \[Ridge\(\)\]; of any other model"),
        ("Linear", "got 'Linear'; pass model='linear'"),
        ("ridge", r"got 'ridge'; pass the estimator itself: model=Ridge\(\)"),
        (SVR(kernel="linear", epsilon=0.3), r"of the same loss: model=LinearSVR\(epsilon=0.3\)"),
        (SVC(kernel="linear"), r"model=LinearSVC\(loss='hinge'\)"),
        (SVC(), "kernels of rows"),
        (MultiOutputRegressor(Ridge()), r"one target, got MultiOutputRegressor; pass model=Ridge\(\)"),
        (LinearSVR(loss="hing"), "arguments that it takes, .*'loss' parameter of LinearSVR must be"),
        (MLPRegressor(batch_size="x"), "arguments that it takes, .*'batch_size' parameter of MLPRegressor"),
        (Bare(), "must take the arguments of Ridge, got Bare without copy_X, fit_intercept"),
        (LogisticRegression(), r"got LogisticRegression; pass model=Ridge\(\), for instance"),
        (make_pipeline(ColumnTransformer([("n", MinMaxScaler(), ["d"])]), Ridge()), "are called as they are"),
    ],
)  # fmt: skip
def test_what_cannot_be_asked_about_is_refused_with_what_to_pass(model: Any, words: str) -> None:
    with pytest.raises(RegadvisorError, match=words):
        advise(FRAME[["a", "b", "c"]], NUMBERS, model=model, effort="quick", folds=2)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_several_numbers_are_learned_by_one_network() -> None:
    y = np.column_stack([NUMBERS, FRAME.b])
    model = MLPRegressor(hidden_layer_sizes=(3,), max_iter=5, random_state=0)
    advice = advise(FRAME[["a", "b", "c"]], y, model=model, effort="quick", folds=2)
    assert advice.build().fit(FRAME[["a", "b", "c"]], y).predict(FRAME[["a", "b", "c"]]).shape == y.shape


def test_a_count_is_predicted_by_a_class_that_inherits() -> None:
    own = type("Own", (PoissonRegressor,), {})
    X, y = FRAME[["a", "b", "c"]], FRAME.rows
    found = advise(X, y, model=own(), task="regression", effort="quick", folds=2)
    plain = advise(X, y, model=PoissonRegressor(), task="regression", effort="quick", folds=2)
    np.testing.assert_allclose(found.scores.loss, plain.scores.loss)
