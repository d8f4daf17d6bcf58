"""``fit_function``: the caller trains, regadvisor chooses; as plain loops with scikit-learn show."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, PoissonRegressor, Ridge
from sklearn.metrics import (
    hinge_loss,
    log_loss,
    mean_absolute_error,
    mean_gamma_deviance,
    mean_pinball_loss,
    mean_poisson_deviance,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from regadvisor import Advice, ParameterError, Recipe, RegadvisorError, Regularizer, advise, fit_function
from regadvisor.families.fitted.losses import deviance, epsilon_insensitive, huber, of_margins, pinball, signs

X, Y = load_diabetes(return_X_y=True)
IRIS_X, IRIS_Y = load_iris(return_X_y=True)
CANCER_X, CANCER_Y = load_breast_cancer(return_X_y=True)
CANCER_X, CANCER_Y = CANCER_X[::3, :8], CANCER_Y[::3]


def ridge(regularizer: Regularizer, X: Any, y: Any, seed: int) -> Any:
    return make_pipeline(StandardScaler(), Ridge(alpha=len(X) * regularizer.l2)).fit(X, y)


def logistic(regularizer: Regularizer, X: Any, y: Any, seed: int, sample_weight: Any = None) -> Any:
    C = 1 / (len(X) * regularizer.l2) if regularizer.l2 else np.inf
    model = make_pipeline(StandardScaler(), LogisticRegression(C=C, tol=1e-8, max_iter=10_000))
    return model.fit(X, y, logisticregression__sample_weight=sample_weight)


RIDGE = fit_function(ridge, kinds=("none", "l2"))
LOGISTIC = fit_function(logistic, kinds=("none", "l2"))


def losses(advice: Advice) -> pd.Series:
    scores = advice.scores
    by_strength = scores.set_index(scores["l2"].round(10))["loss"]
    return by_strength[~by_strength.index.duplicated()]


@pytest.mark.parametrize(
    ("function", "model", "X", "y"),
    [(RIDGE, Ridge(), X, Y), (LOGISTIC, LogisticRegression(), CANCER_X, CANCER_Y)],
    ids=["ridge", "logistic"],
)
def test_a_function_gets_the_advice_of_the_model_that_it_trains(
    function: Any, model: Any, X: Any, y: Any
) -> None:
    mine = advise(X, y, model=function, effort="quick", folds=2)
    ours = advise(X, y, model=make_pipeline(StandardScaler(), model), effort="quick", folds=2)
    kinds = set(mine.scores["kind"])
    shared = losses(mine).drop(0).index.intersection(losses(ours).index)
    assert kinds == {"none", "l2"}
    assert len(shared) >= 5
    np.testing.assert_allclose(losses(mine)[shared], losses(ours)[shared], rtol=1e-4)


def test_iris_names_and_a_class_that_training_rows_lack() -> None:
    names = np.array(["a", "b", "rare"])[np.where(np.arange(150) < 4, 2, IRIS_Y > 0)]
    advice = advise(IRIS_X, names, model=LOGISTIC, effort="quick", folds=2)
    assert np.isfinite(advice.scores["loss"]).all()
    model = advice.build().fit(IRIS_X, names)
    assert model.predict_proba(IRIS_X).shape == (150, 3)
    assert set(model.predict(IRIS_X)) <= {"a", "b", "rare"}


def test_the_function_sees_rows_of_the_frame_that_was_passed() -> None:
    frame = pd.DataFrame({"n": X[:, 2], "c": np.where(X[:, 1] > 0, "f", "m")}, index=np.arange(1000, 1442))
    seen = []

    def fit(regularizer: Regularizer, X: Any, y: Any, seed: int) -> Any:
        seen.append((X, y, seed, regularizer))
        steps = make_column_transformer((OneHotEncoder(), ["c"]), remainder="passthrough")
        return make_pipeline(steps, Ridge(alpha=len(X) * regularizer.l2)).fit(X, y)

    target = pd.Series(Y, index=frame.index)
    advice = advise(frame, target, model=fit_function(fit, kinds=("none", "l2")), effort="quick", folds=2)
    for rows, y, seed, regularizer in seen:
        pd.testing.assert_frame_equal(rows, frame.loc[rows.index])
        np.testing.assert_array_equal(y, target[rows.index])
        assert isinstance(seed, int)
        assert regularizer.kind in ("none", "l2")
    fitted = advice.build().fit(frame, target)
    assert list(seen[-1][0].columns) == ["n", "c"]
    assert fitted.predict(frame).shape == (442,)


def test_texts_and_encoded_columns() -> None:
    texts = [f"word{i % 7} {'good' if i % 2 else 'bad'}" for i in range(120)]
    labels = [i % 2 for i in range(120)]

    def fit(regularizer: Regularizer, X: Any, y: Any, seed: int) -> Any:
        C = 1 / (len(X) * regularizer.l2) if regularizer.l2 else 1e6
        return make_pipeline(TfidfVectorizer(), LogisticRegression(C=C, max_iter=10_000)).fit(X, y)

    advice = advise(texts, labels, model=fit_function(fit, kinds=("none", "l2")), effort="quick", folds=2)
    assert advice.build().fit(texts, labels).score(texts, labels) == 1.0
    assert "looks-like-id" not in {note.code for note in advice.record.notes}

    def encoded(regularizer: Regularizer, X: Any, y: Any, seed: int) -> Any:
        assert X.shape[1] == 3
        assert np.isfinite(X).all()
        return Ridge(alpha=len(X) * regularizer.l2).fit(X, y)

    frame = pd.DataFrame({"n": np.where(X[:, 2] > 0.1, np.nan, X[:, 2]), "c": ["f", "m"] * 221})
    frame = frame.assign(n=frame["n"].fillna(0.0))
    advice = advise(
        frame, Y, model=fit_function(encoded, kinds=("none", "l2"), encode=True), effort="quick", folds=2
    )
    assert [name for name, _ in advice.build().steps] == ["preprocess", "model"]
    assert np.isfinite(advice.build().fit(frame, Y).predict(frame)).all()


# --------------------------------------------------------------------------------------------- losses


def test_losses_are_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    y, z = rng.gamma(2.0, size=50), rng.gamma(2.0, size=50)
    assert pinball(0.3)(y, z).mean() == pytest.approx(mean_pinball_loss(y, z, alpha=0.3))
    assert deviance(1)(y, z).mean() == pytest.approx(mean_poisson_deviance(y, z))
    assert deviance(2)(y, z).mean() == pytest.approx(mean_gamma_deviance(y, z))
    codes, margins = rng.integers(0, 2, 50), rng.normal(size=50)
    hinge = of_margins("hinge loss")
    column = hinge.per_row(signs(codes, 2), margins[:, None], np.ones(1))
    assert column.mean() == pytest.approx(hinge_loss(2 * codes - 1, margins))
    assert epsilon_insensitive(0.0)(y, z).mean() == pytest.approx(mean_absolute_error(y, z))
    assert epsilon_insensitive(0.0, is_squared=True)(y, z) == pytest.approx((y - z) ** 2)
    assert huber(1e9)(y, z) == pytest.approx((y - z) ** 2 / 2)


@pytest.mark.parametrize(
    ("element", "best"),
    [
        (pinball(0.8), lambda y: np.quantile(y, 0.8)),
        (epsilon_insensitive(0.0), np.median),
        (huber(1e9), np.mean),
        (deviance(1.5), np.mean),
    ],
    ids=["quantile", "median", "huber", "tweedie"],
)
def test_the_best_constant_is_found(element: Any, best: Callable[[Any], float]) -> None:
    from regadvisor.families.fitted.losses import ColumnLoss

    y = np.random.default_rng(1).gamma(2.0, size=501)
    loss = ColumnLoss(name="loss", response="predict", element=element)
    found = loss.constant(y[:, None], np.ones(501), 0)
    assert element(y, np.full(501, found[0])).mean() == pytest.approx(
        element(y, np.full(501, best(y))).mean(), rel=1e-6
    )


def test_the_deviance_of_counts_decides_where_it_is_asked_for() -> None:
    counts = np.random.default_rng(0).poisson(np.exp(0.5 * X[:, 2] / X[:, 2].std()))

    def fit(regularizer: Regularizer, X: Any, y: Any, seed: int) -> Any:
        return make_pipeline(StandardScaler(), PoissonRegressor(alpha=regularizer.l2)).fit(X, y)

    advice = advise(
        X,
        counts,
        model=fit_function(fit, kinds=("none", "l2"), loss="Poisson deviance"),
        effort="quick",
        folds=2,
    )
    scores = advice.record.evidence.scores
    assert advice.record.data.task == "regression"
    assert scores.loss_name == "Poisson deviance"
    assert "Poisson deviance" in advice.to_text()
    expected = mean_poisson_deviance(counts, np.full(442, counts.mean()))
    assert scores.constant_loss == pytest.approx(expected, rel=0.05)


def test_a_loss_of_the_caller_s_own_is_named_and_used() -> None:
    def absolute(target: Any, predicted: Any) -> Any:
        assert target.shape == predicted.shape
        return np.abs(target - predicted)

    mine = advise(X, Y, model=fit_function(ridge, kinds=("l2",), loss=absolute), effort="quick", folds=2)
    named = advise(
        X, Y, model=fit_function(ridge, kinds=("l2",), loss="absolute error"), effort="quick", folds=2
    )
    assert mine.record.evidence.scores.loss_name == "absolute"
    pd.testing.assert_series_equal(losses(mine), losses(named))


def test_probabilities_may_come_from_predict_as_statsmodels_gives_them() -> None:
    class Results:
        def __init__(self, model: Any) -> None:
            self.model = model

        def predict(self, X: Any) -> Any:
            return self.model.predict_proba(X)[:, 1]

    def fit(regularizer: Regularizer, X: Any, y: Any, seed: int) -> Any:
        return Results(logistic(regularizer, X, y, seed))

    mine = advise(CANCER_X, CANCER_Y, model=fit_function(fit, kinds=("l2",)), effort="quick", folds=2)
    same = advise(CANCER_X, CANCER_Y, model=LOGISTIC, effort="quick", folds=2)
    pd.testing.assert_series_equal(losses(mine), losses(same))
    built = mine.build().fit(CANCER_X, CANCER_Y)
    found = log_loss(CANCER_Y, built.predict_proba(CANCER_X))
    assert found == pytest.approx(
        log_loss(CANCER_Y, same.build().fit(CANCER_X, CANCER_Y).predict_proba(CANCER_X))
    )


# ------------------------------------------------------------------------------- weights, kinds, ranges


def test_weights_are_handed_on_with_a_mean_of_one_and_without_zeros() -> None:
    weight = np.where(np.arange(len(CANCER_Y)) % 5 == 0, 0.0, 4.0)
    seen = []

    def fit(regularizer: Regularizer, X: Any, y: Any, seed: int, sample_weight: Any) -> Any:
        seen.append(sample_weight)
        return logistic(regularizer, X, y, seed, sample_weight)

    model = fit_function(fit, kinds=("l2",))
    advice = advise(CANCER_X, CANCER_Y, model=model, sample_weight=weight, effort="quick", folds=2)
    assert all(each.mean() == pytest.approx(1.0) and (each > 0).all() for each in seen)
    pipeline = advice.build()
    pipeline.fit(CANCER_X, CANCER_Y, model__sample_weight=weight)
    assert len(seen[-1]) == np.count_nonzero(weight)
    with pytest.raises(ParameterError, match="fit must have a parameter sample_weight"):
        advise(X, Y, model=RIDGE, sample_weight=np.arange(1, 443), effort="quick", folds=2)


def test_networks_have_dropout_and_other_laws() -> None:
    asked = set()

    def fit(regularizer: Regularizer, X: Any, y: Any, seed: int) -> Any:
        asked.add(regularizer.kind)
        return Ridge(alpha=1 + regularizer.dropout).fit(X, y)

    function = fit_function(fit, kinds=("none", "l2", "dropout", "dropout_l2"))
    assert function.laws == "network"
    advice = advise(X, Y, model=function, effort="quick", folds=2)
    assert asked == {"none", "l2", "dropout", "dropout_l2"}
    assert advice.to_html()


def test_no_strength_lies_outside_of_given_ranges() -> None:
    asked = []

    def fit(regularizer: Regularizer, X: Any, y: Any, seed: int) -> Any:
        asked.append(regularizer)
        return ridge(regularizer, X, y, seed)

    function = fit_function(fit, kinds=("none", "l2", "l1", "elasticnet"), ranges={"l2": (10.0, 90.0)})
    advise(X, Y, model=function, effort="quick", folds=2)
    strengths = [each.l2 for each in asked if each.kind in ("l2", "elasticnet")]
    assert min(strengths) >= 10
    assert max(strengths) <= 90
    assert len(set(strengths)) > 3


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"fit": 3}, "fit must be a function"),
        ({"kinds": ("none",)}, "kinds must have"),
        ({"kinds": ("l2", "elasticnet")}, "kinds must have"),
        ({"kinds": ("l2", "dropout")}, "kinds must have"),
        ({"kinds": ("l2", "lasso")}, "kinds must have"),
        ({"laws": "tree"}, "laws must be"),
        ({"kinds": ("l2", "dropout", "dropout_l2"), "laws": "linear"}, "laws must be 'network'"),
        ({"loss": "brier"}, "loss must be"),
        ({"ranges": {"l2": (1.0, 0.1)}}, "ranges must map"),
        ({"ranges": {"dropout": (0.1, 0.5)}}, "ranges must map"),
    ],
)
def test_arguments_are_checked(arguments: dict[str, Any], match: str) -> None:
    with pytest.raises(ParameterError, match=match):
        fit_function(**{"fit": ridge, **arguments})
    with pytest.raises(ParameterError, match="recipe must be None"):
        advise(X, Y, model=RIDGE, recipe=Recipe())


# ------------------------------------------------------------------------------- what may go wrong


def test_what_the_function_raises_is_said_in_our_words() -> None:
    def fit(regularizer: Regularizer, X: Any, y: Any, seed: int) -> Any:
        raise KeyError("no such thing")

    with pytest.raises(ParameterError, match="got KeyError from fit: 'no such thing'"):
        advise(X, Y, model=fit_function(fit), effort="quick", folds=2)
    with pytest.raises(ParameterError, match=r"an object with predict\(X\), got NoneType"):
        advise(X, Y, model=fit_function(lambda regularizer, X, y, seed: None), effort="quick", folds=2)
    labels = fit_function(lambda regularizer, X, y, seed: Ridge().fit(X, y))
    with pytest.raises(ParameterError, match="probabilities of 2 classes"):
        advise(CANCER_X, CANCER_Y, model=labels, effort="quick", folds=2)


@pytest.mark.parametrize(
    ("returned", "is_of_classes", "words"),
    [
        (lambda n: np.zeros((n, 2, 1)), True, r"numbers for each row, got shape \(\d+, 2, 1\) for"),
        (lambda n: np.full((n - 1, 2), 0.5), True, "numbers for each row, got shape"),
        (lambda n: np.full((n, 2), 0.3), True, "rows that do not add up to 1"),
        (lambda n: np.full((n, 3), 1 / 3), True, "got 3 columns"),
        (lambda n: ["a"] * n, False, "numbers for each row, got could not convert"),
        (lambda n: 1.0, False, r"numbers for each row, got shape \(\)"),
        (lambda n: np.zeros((n, 3)), False, "gives 1 number for each row, got 3"),
    ],
)
def test_what_is_predicted_has_the_shape_of_the_target(
    returned: Callable[[int], Any], is_of_classes: bool, words: str
) -> None:
    class Model:
        def __init__(self) -> None:
            setattr(self, "predict_proba" if is_of_classes else "predict", lambda rows: returned(len(rows)))

    model = fit_function(lambda regularizer, X, y, seed: Model(), kinds=("none", "l2"))
    with pytest.raises(ParameterError, match=words):
        advise(X[:80], Y[:80] > 140 if is_of_classes else Y[:80], model=model, effort="quick", folds=2)


def test_a_function_that_changes_its_rows_changes_nobody_elses() -> None:
    def fit(regularizer: Regularizer, X: Any, y: Any, seed: int) -> Ridge:
        model = Ridge(len(X) * regularizer.l2).fit(X, y)
        X *= 0.0
        y *= 0.0
        return model

    def other(regularizer: Regularizer, X: Any, y: Any, seed: int) -> Ridge:
        return Ridge(len(X) * regularizer.l2).fit(X, y)

    found = [
        advise(
            X[:80],
            Y[:80],
            model=fit_function(each, kinds=("none", "l2"), encode=True),
            effort="quick",
            folds=2,
        )
        for each in (fit, other)
    ]
    assert found[0].regularizer == found[1].regularizer
    assert found[0].scores["loss"].tolist() == found[1].scores["loss"].tolist()


def test_probabilities_of_a_tensor_and_of_training_that_diverged() -> None:
    class Model:
        def __init__(self, rows: Any, labels: Any, is_lost: bool) -> None:
            self.model, self.is_lost = LogisticRegression().fit(rows, labels), is_lost

        def predict_proba(self, rows: Any) -> Any:
            found = torch.tensor(self.model.predict_proba(rows), requires_grad=True)
            return found * torch.nan if self.is_lost else found

    model = fit_function(lambda r, X, y, seed: Model(X, y, r.l2 > 0.01), kinds=("none", "l2"), encode=True)
    advice = advise(X[:80], Y[:80] > 140, model=model, effort="quick", folds=2)
    lost = advice.scores[advice.scores["l2"] > 0.01]
    assert lost["exploded"].all()
    assert advice.regularizer.l2 is not None
    assert advice.regularizer.l2 <= 0.01


def test_predictions_that_are_no_numbers_are_called_so() -> None:
    class Diverged:
        def predict(self, X: Any) -> Any:
            return np.full(len(X), np.nan)

    model = fit_function(lambda regularizer, X, y, seed: Diverged(), kinds=("none", "l2"))
    advice = advise(X, Y, model=model, task="regression", effort="quick")
    assert "training explodes" in advice.verdict
    assert "in no number at all" in advice.record.notes[0].text


def test_single_fits_may_fail() -> None:
    def fit(regularizer: Regularizer, X: Any, y: Any, seed: int) -> Any:
        if regularizer.l2 > 0.15:
            raise OverflowError("too strong")
        return ridge(regularizer, X, y, seed)

    advice = advise(X, Y, model=fit_function(fit, kinds=("none", "l2")), effort="quick", folds=2)
    assert advice.scores["l2"].max() <= 0.15
    assert "OverflowError" in advice.record.evidence.scores.cut


def test_ctrl_c_leaves_the_best_of_what_is_known() -> None:
    calls = []

    def fit(regularizer: Regularizer, X: Any, y: Any, seed: int) -> Any:
        calls.append(1)
        if len(calls) == 13:
            raise KeyboardInterrupt
        return ridge(regularizer, X, y, seed)

    advice = advise(X, Y, model=fit_function(fit, kinds=("none", "l2")), effort="quick")
    assert len(calls) == 13
    assert "interrupted" in [note.code for note in advice.record.notes]
    assert set(advice.scores["kind"]) == {"none", "l2"}


@pytest.mark.parametrize("n_fits", range(1, 12))
def test_ctrl_c_at_any_fit_leaves_an_answer_where_each_fold_holds_one_group(n_fits: int) -> None:
    calls = []

    def fit(regularizer: Regularizer, X: Any, y: Any, seed: int) -> Any:
        calls.append(1)
        if len(calls) > n_fits:
            raise KeyboardInterrupt
        return ridge(regularizer, X, y, seed)

    groups = np.arange(len(Y)) % 5
    advice = advise(X, Y, model=fit_function(fit, kinds=("none", "l2")), effort="quick", groups=groups)
    is_one = "one-cluster" in [note.code for note in advice.record.notes]
    assert is_one == ("only rows that belong together were tested" in advice.summary["verdict"])
    assert is_one == (n_fits in (1, 3))  # a fold of none alone; a fold that both kinds have


def test_a_deadline_ends_between_two_fits() -> None:
    def fit(regularizer: Regularizer, X: Any, y: Any, seed: int) -> Any:
        time.sleep(0.1)
        return ridge(regularizer, X, y, seed)

    advice = advise(X, Y, model=fit_function(fit, kinds=("none", "l2")), budget=3.0)
    assert {"none", "l2"} <= set(advice.scores["kind"])
    assert 0 < len(advice.scores) < 11


def test_an_interrupted_run_goes_on_and_ends_in_the_same_advice(tmp_path: Path) -> None:
    journal, calls, limit = tmp_path / "journal", [], [14]

    def fit(regularizer: Regularizer, X: Any, y: Any, seed: int) -> Any:
        calls.append(1)
        if len(calls) > limit[0]:
            raise KeyboardInterrupt
        return ridge(regularizer, X, y, seed)

    def ask(storage: Path | None) -> Advice:
        return advise(X, Y, model=fit_function(fit, kinds=("none", "l2")), effort="quick", storage=storage)

    ask(journal)
    limit[0] = 10**9
    calls.clear()
    resumed = ask(journal)
    n_resumed = len(calls)
    calls.clear()
    whole = ask(None)
    pd.testing.assert_frame_equal(resumed.scores.drop(columns="fit_s"), whole.scores.drop(columns="fit_s"))
    assert len(calls) - n_resumed >= 10
    calls.clear()
    ask(journal)
    assert not calls
    other = fit_function(lambda regularizer, X, y, seed: ridge(regularizer, X, y, seed), kinds=("none", "l2"))
    with pytest.raises(RegadvisorError, match="module was"):
        advise(X, Y, model=other, effort="quick", storage=journal)


def test_calls_in_two_threads_give_the_same() -> None:
    found: list[Advice] = []
    threads = [
        threading.Thread(target=lambda: found.append(advise(X, Y, model=RIDGE, effort="quick", folds=2)))
        for _ in range(2)
    ]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    first, second = (each.scores.drop(columns="fit_s") for each in found)
    pd.testing.assert_frame_equal(first, second)


# ------------------------------------------------------------------------------- what comes of it


def test_advice_is_built_saved_and_loaded(tmp_path: Path) -> None:
    advice = advise(X, Y, model=RIDGE, effort="quick", folds=2, scoring="r2")
    assert set(advice.record.evidence.scores.reported) == {"none", "l2"}
    path = tmp_path / "advice.json"
    advice.to_json(path)
    loaded = Advice.load(path)
    with pytest.raises(ParameterError, match="module must be what fit_function"):
        loaded.build()
    built = clone(loaded.build(module=RIDGE)).fit(X, Y)
    expected = ridge(advice.regularizer, X, Y, 0)
    np.testing.assert_allclose(built.predict(X), expected.predict(X))
    for refused in (lambda: advice.snippet("sklearn"), lambda: advice.apply(Ridge())):
        with pytest.raises(ParameterError, match="a function of yours"):
            refused()
    assert "ridge(advice.regularizer, X, y, seed)" in advice.to_text()


def test_several_targets() -> None:
    both = np.column_stack([Y, 10 * X[:, 2] + X[:, 3]])
    mine = advise(X, both, model=RIDGE, effort="quick", folds=2)
    ours = advise(X, both, model=make_pipeline(StandardScaler(), Ridge()), effort="quick", folds=2)
    shared = losses(mine).drop(0).index.intersection(losses(ours).index)
    assert len(shared) >= 5
    np.testing.assert_allclose(losses(mine)[shared], losses(ours)[shared], rtol=1e-6)
    assert mine.build().fit(X, both).predict(X).shape == both.shape


def test_nothing_trained_gives_the_defaults() -> None:
    advice = advise(X, Y, model=RIDGE, budget=0)
    assert advice.regularizer == Regularizer(l2=1 / 442)
    assert advise(X, Y, model=fit_function(ridge, laws="network"), budget=0).regularizer.l2 > 0
