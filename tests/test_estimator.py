"""The pipeline steps are scikit-learn estimators."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_diabetes, load_wine
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures
from sklearn.utils.estimator_checks import parametrize_with_checks

from regadvisor import AdvisedClassifier, AdvisedRegressor, RegularizationAdvisor

#: Advice compares folds of rows: a row of weight 2 lies in one fold, two equal rows count as two.
NOT_MEANT = "the folds are made of rows, so weights cannot act there as repeated rows do"


def expected_failures(estimator: object) -> dict[str, str]:
    names = (
        "check_sample_weight_equivalence_on_dense_data",
        "check_sample_weight_equivalence_on_sparse_data",
    )
    return {} if isinstance(estimator, RegularizationAdvisor) else dict.fromkeys(names, NOT_MEANT)


@parametrize_with_checks(
    [AdvisedClassifier(), AdvisedRegressor(), RegularizationAdvisor()],
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
    scores = cross_val_score(AdvisedClassifier(), X, y, cv=3)
    assert scores.mean() > 0.7
    model = AdvisedClassifier().fit(X, y)
    assert list(model.classes_) == ["no", "yes"]
    assert list(model.feature_names_in_) == list(X.columns)
    np.testing.assert_allclose(model.predict_proba(X).sum(axis=1), 1)
    assert model.advice_.record.settings.effort == "quick"


def test_in_a_grid_search_behind_other_steps() -> None:
    X, y = load_diabetes(return_X_y=True)
    pipeline = make_pipeline(PolynomialFeatures(), AdvisedRegressor())
    grid = {"polynomialfeatures__degree": [1, 2], "advisedregressor__chart": ["classic", "extended"]}
    search = GridSearchCV(pipeline, grid, cv=2, error_score="raise").fit(X, y)
    assert search.best_score_ > 0.4


def test_a_network_can_be_advised_and_trained() -> None:
    X, y = load_wine(return_X_y=True)
    model = AdvisedClassifier(model="mlp").fit(X, y)
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
