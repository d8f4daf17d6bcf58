"""The pipeline steps are scikit-learn estimators."""

from __future__ import annotations

import inspect

import numpy as np
import pandas as pd
import pytest
from sklearn import config_context
from sklearn.datasets import load_diabetes, load_wine
from sklearn.feature_selection import SelectFromModel
from sklearn.linear_model import Lasso, Ridge
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler
from sklearn.svm import LinearSVC
from sklearn.utils.estimator_checks import parametrize_with_checks

from regadvisor import AdvisedClassifier, AdvisedRegressor, Recipe, RegularizationAdvisor, advise

#: See test_weights_are_relative_so_two_cannot_be_two_rows.
NOT_MEANT = "weights are relative: all of 2 are as all of 1, which no repeated rows are"


def expected_failures(estimator: object) -> dict[str, str]:
    names = (
        "check_sample_weight_equivalence_on_dense_data",
        "check_sample_weight_equivalence_on_sparse_data",
    )
    return {} if isinstance(estimator, RegularizationAdvisor) else dict.fromkeys(names, NOT_MEANT)


@parametrize_with_checks(
    # Few fits: what is checked is the estimator around the advice. The advisor alone trains nothing.
    [AdvisedClassifier(folds=2), AdvisedRegressor(folds=2), RegularizationAdvisor(budget=0)],
    expected_failed_checks=expected_failures,
)
def test_scikit_learn_s_checks(estimator, check) -> None:  # type: ignore[no-untyped-def]
    check(estimator)


def mixed_frame() -> tuple[pd.DataFrame, pd.Series]:
    """Numbers, missing numbers, texts, dates and booleans; the target needs two of them."""
    rng = np.random.default_rng(0)
    n = 150
    frame = pd.DataFrame(
        {
            "size": rng.normal(size=n),
            "weight": np.where(rng.random(n) < 0.2, np.nan, rng.normal(size=n)),
            "colour": rng.choice(["red", "green", "blue"], size=n),
            "when": pd.Timestamp("2025-01-01") + pd.to_timedelta(rng.integers(0, 365, n), unit="D"),
            "is_new": rng.random(n) < 0.5,
        }
    )
    logit = 2 * frame["size"] + 2 * (frame["colour"] == "red")
    return frame, pd.Series(np.where(logit + rng.logistic(size=n) > 1, "yes", "no"), name="bought")


def test_last_step_of_a_pipeline_on_a_mixed_frame() -> None:
    X, y = mixed_frame()
    scores = cross_val_score(AdvisedClassifier(folds=2), X, y, cv=3)
    assert scores.mean() > 0.7
    model = AdvisedClassifier(folds=2).fit(X, y)
    assert list(model.classes_) == ["no", "yes"]
    assert list(model.feature_names_in_) == list(X.columns)
    np.testing.assert_allclose(model.predict_proba(X).sum(axis=1), 1)
    assert model.advice_.record.settings.effort == "quick"


def test_in_a_grid_search_behind_other_steps() -> None:
    X, y = load_diabetes(return_X_y=True)
    pipeline = make_pipeline(PolynomialFeatures(), AdvisedRegressor(folds=2))
    grid = {"polynomialfeatures__degree": [1, 2], "advisedregressor__chart": ["classic", "extended"]}
    search = GridSearchCV(pipeline, grid, cv=2, error_score="raise").fit(X, y)
    assert search.best_score_ > 0.4


def test_a_network_can_be_advised_and_trained() -> None:
    X, y = load_wine(return_X_y=True)
    model = AdvisedClassifier(model="mlp", recipe=Recipe(hidden=(16,), epochs=20, lr=2e-2)).fit(X, y)
    assert model.score(X, y) > 0.9
    assert model.advice_.record.training.family == "mlp"


def test_the_advisor_changes_nothing_that_flows_through() -> None:
    X, y = load_diabetes(return_X_y=True, as_frame=True)
    watched = make_pipeline(RegularizationAdvisor(), Ridge()).fit(X, y)
    plain = Ridge().fit(X, y)
    np.testing.assert_array_equal(watched.predict(X), plain.predict(X))
    assert watched[0].transform(X) is X
    assert watched[0].advice_.regularizer.kind in ("none", "l2", "l1", "elasticnet")


def test_sample_weights_act_in_advice_and_training() -> None:
    X, y = load_wine(return_X_y=True)
    weight = np.where(y == 2, 0.0, 1.0)
    model = AdvisedClassifier().fit(X, y, sample_weight=weight)
    assert (model.predict(X)[y == 2] != 2).mean() > 0.9


def test_missing_y_is_named() -> None:
    with pytest.raises(ValueError, match="requires y to be passed"):
        AdvisedClassifier().fit(np.ones((20, 2)), None)


@pytest.mark.parametrize("model", ["linear", LinearSVC()])
def test_what_the_trained_model_has_is_there(model: object) -> None:
    X, y = load_wine(return_X_y=True)
    for rows, labels in ((X, y), (X[y > 0], y[y > 0])):
        fitted = AdvisedClassifier(model=model, folds=2).fit(rows, labels)
        inner = fitted.estimator_[-1]
        np.testing.assert_array_equal(fitted.coef_, inner.coef_)
        scores = fitted.decision_function(rows)
        np.testing.assert_array_equal(scores, fitted.estimator_.decision_function(rows))
        assert hasattr(fitted, "predict_proba") == (model == "linear")
        if model == "linear":
            np.testing.assert_allclose(np.exp(fitted.predict_log_proba(rows)), fitted.predict_proba(rows))
    unfitted = AdvisedClassifier()
    assert hasattr(unfitted, "predict_proba")
    assert not hasattr(unfitted, "decision_function")
    assert not hasattr(unfitted, "coef_")


def test_weights_select_features() -> None:
    X, y = load_diabetes(return_X_y=True)
    chosen = SelectFromModel(AdvisedRegressor(folds=2), max_features=3).fit(X, y)
    assert 2 in np.flatnonzero(chosen.get_support())  # the body mass index
    many = AdvisedRegressor(model=Lasso(), folds=2).fit(X, np.column_stack([y, 100 * y]))
    np.testing.assert_allclose(100 * many.coef_[0], many.coef_[1], rtol=1e-6)
    centred = many.predict(X) - many.predict(X).mean(axis=0)
    np.testing.assert_allclose(StandardScaler().fit_transform(X) @ many.coef_.T, centred, atol=1e-6)
    steps = AdvisedRegressor(model=make_pipeline(StandardScaler(), Lasso()), folds=2).fit(X, y)
    assert steps.coef_.shape == (10,)


def test_every_argument_of_advise_is_there() -> None:
    of_fit = {"X", "y", "task", "groups", "time", "sample_weight"}
    wanted = set(inspect.signature(advise).parameters) - of_fit
    for estimator in (AdvisedClassifier, AdvisedRegressor, RegularizationAdvisor):
        assert set(estimator().get_params()) == wanted
    X, y = load_diabetes(return_X_y=True)
    said: list[str] = []
    model = AdvisedRegressor(
        sample=100, scoring="r2", folds=2, progress=lambda stage, share: said.append(stage)
    ).fit(X, y)
    assert model.advice_.record.evidence.sample.n_rows == 100
    assert model.advice_.record.evidence.scores.reported_name == "r2"
    assert said


def test_the_advisor_respects_groups_time_and_weights() -> None:
    X, y = load_diabetes(return_X_y=True)
    rows = {"groups": np.arange(442) // 5, "sample_weight": np.where(np.arange(442) < 300, 1.0, 2.0)}
    direct = advise(X, y, effort="quick", folds=2, progress=False, **rows)
    pipeline = make_pipeline(RegularizationAdvisor(folds=2), Ridge())
    pipeline.fit(X, y, **{f"regularizationadvisor__{name}": value for name, value in rows.items()})
    assert pipeline[0].advice_.regularizer == direct.regularizer
    assert pipeline[0].advice_.record.evidence.sample.validation == "group"
    with config_context(enable_metadata_routing=True):
        step = RegularizationAdvisor(folds=2).set_fit_request(groups=True, time=True, sample_weight=True)
        routed = make_pipeline(step, Ridge().set_fit_request(sample_weight=False)).fit(X, y, **rows)
        assert routed[0].advice_.regularizer == direct.regularizer
        ordered = make_pipeline(step, Ridge().set_fit_request(sample_weight=False))
        ordered.fit(X, y, time=np.arange(442))
        assert ordered[0].advice_.record.evidence.sample.validation in ("time", "blocks")


def test_weights_are_relative_so_two_cannot_be_two_rows() -> None:
    """Why two of scikit-learn's checks are expected to fail: they want the contrary."""
    X, y = load_diabetes(return_X_y=True)
    X, y = X[:60], y[:60]
    one = AdvisedRegressor(folds=2).fit(X, y, sample_weight=np.ones(60)).advice_
    two = AdvisedRegressor(folds=2).fit(X, y, sample_weight=np.full(60, 2.0)).advice_
    twice = AdvisedRegressor(folds=2).fit(np.vstack([X, X]), np.concatenate([y, y])).advice_
    assert one.regularizer == two.regularizer
    assert two.regularizer != twice.regularizer
