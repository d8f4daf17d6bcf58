"""Columns that no penalty acts on: fits against a minimiser with a factor for each column."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from scipy import sparse
from scipy.optimize import minimize
from sklearn.compose import make_column_transformer
from sklearn.decomposition import PCA
from sklearn.linear_model import ElasticNet, Lasso, LogisticRegression, Ridge, SGDClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import LinearSVC

import regadvisor
from regadvisor import advise
from regadvisor.advice import Advice
from regadvisor.arguments import check_unpenalised
from regadvisor.cli.main import main
from regadvisor.data.source import make_table
from regadvisor.deadline import NEVER
from regadvisor.errors import ParameterError
from regadvisor.families.linear.fit import solve
from regadvisor.families.linear.problem import Penalty, Problem
from regadvisor.families.unpenalised import FACTOR, Unpenalised
from regadvisor.regularizer import Regularizer

N, FREE = 160, (0, 3)


def data(*, is_classification: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return eight standardised, correlated features, two of which have large effects."""
    rng = np.random.default_rng(3)
    X = rng.normal(size=(N, 8)) + 0.7 * rng.normal(size=(N, 1))
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    z = 2.0 * X[:, 0] - 1.5 * X[:, 3] + 0.4 * X[:, 5] + rng.normal(size=N)
    return X, (z > 0).astype(float) if is_classification else (z - z.mean()) / z.std()


def reference(X: np.ndarray, y: np.ndarray, l1: float, l2: float, *, is_classification: bool) -> np.ndarray:
    """Return the weights that minimise the objective with penalties on all but the free columns."""
    factor = np.ones(8)
    factor[list(FREE)] = 0.0

    def value(at: np.ndarray) -> tuple[float, np.ndarray]:  # w = plus - minus, both at least 0
        w, b = at[:8] - at[8:16], at[16]
        z = X @ w + b
        if is_classification:
            loss, slope = np.mean(np.logaddexp(0, z) - y * z), (1 / (1 + np.exp(-z)) - y) / N
        else:
            loss, slope = 0.5 * np.mean((z - y) ** 2), (z - y) / N
        gradient = X.T @ slope + l2 * factor * w
        whole = loss + l1 * float(factor @ (at[:8] + at[8:16])) + 0.5 * l2 * float(factor @ w**2)
        return whole, np.concatenate([gradient + l1 * factor, l1 * factor - gradient, [slope.sum()]])

    bounds = [(0, None)] * 16 + [(None, None)]
    options = {"ftol": 1e-15, "gtol": 1e-10, "maxiter": 20_000, "maxfun": 200_000}
    found = minimize(value, np.zeros(17), jac=True, bounds=bounds, method="L-BFGS-B", options=options)
    return np.asarray(found.x[:8] - found.x[8:16])


@pytest.mark.parametrize("is_classification", [False, True])
@pytest.mark.parametrize(("l1", "l2"), [(0.0, 0.3), (0.1, 0.0), (0.05, 0.2)])
def test_solvers_find_the_minimum_with_a_factor_for_each_column(is_classification, l1, l2):
    X, y = data(is_classification=is_classification)
    scale = np.ones(8)
    scale[list(FREE)] = FACTOR
    problem = Problem(
        X=np.asfortranarray(X * scale),
        T=y[:, None],
        weight=np.full(N, 1 / N),
        is_classification=is_classification,
        free=scale > 1,
    )
    found = solve(problem, Penalty(l1=l1, l2=l2), deadline=NEVER)
    wanted = reference(X, y, l1, l2, is_classification=is_classification)
    assert found.converged
    np.testing.assert_allclose(found.W[:, 0] * scale, wanted, atol=2e-3)
    usual = solve(
        Problem(
            X=np.asfortranarray(X),
            T=y[:, None],
            weight=np.full(N, 1 / N),
            is_classification=is_classification,
        ),
        Penalty(l1=l1, l2=l2),
        deadline=NEVER,
    )
    assert np.abs(usual.W[:, 0] - wanted).max() > 0.05


@pytest.mark.parametrize(
    ("model", "is_classification", "l1", "l2"),
    [
        (Ridge(), False, 0.0, 0.3),
        (Lasso(), False, 0.1, 0.0),
        (ElasticNet(), False, 0.05, 0.2),
        (LogisticRegression(), True, 0.0, 0.3),
        (LogisticRegression(), True, 0.1, 0.0),
        (LogisticRegression(), True, 0.05, 0.2),
        (LogisticRegression(solver="saga"), True, 0.0, 0.3),
        (LogisticRegression(solver="saga"), True, 0.1, 0.0),
        (Ridge(solver="sag"), False, 0.0, 0.3),
        (Ridge(solver="sparse_cg"), False, 0.0, 0.3),
    ],
)
def test_what_apply_returns_finds_that_minimum(model, is_classification, l1, l2):
    X, y = data(is_classification=is_classification)
    kind = "l2" if l1 == 0 else "l1" if l2 == 0 else "elasticnet"
    advice = advise(X, y, model=model, unpenalised=list(FREE), effort="quick", folds=2)
    record = advice.record
    strength = replace(record.strength, regularizer=Regularizer(l1=l1, l2=l2))
    own = Advice(replace(record, strength=strength), module=model)
    assert own.regularizer.kind == kind
    fitted = own.apply(model).fit(X, y)
    wanted = reference(X, y, l1, l2, is_classification=is_classification)
    assert np.abs(fitted[-1].coef_.ravel()[list(FREE)]).max() < 1e-3
    np.testing.assert_allclose(fitted.coef_.ravel(), wanted, atol=4e-3)


def frame() -> tuple[pd.DataFrame, pd.Series]:
    rng = np.random.default_rng(1)
    n = 200
    X = pd.DataFrame(
        {
            "age": rng.normal(50, 10, n),
            "site": rng.choice(["u", "v", "w"], n),
            **{f"gene{j}": rng.normal(size=n) for j in range(30)},
        }
    )
    z = 0.1 * (X.age - 50) + (X.site == "v") + 0.3 * X.gene0 + rng.normal(size=n)
    return X, (z > 0).map({True: "sick", False: "well"})


def test_every_feature_of_a_column_is_free_and_the_note_says_so():
    X, y = frame()
    advice = advise(X, y, unpenalised=["site", "age"], effort="quick", folds=2)
    assert advice.record.data.unpenalised == ("age", "site")
    assert "on standardised features, age and site without a penalty" in advice.verdict
    assert any("age and site" in note.text for note in advice.record.notes if note.code == "unpenalised")
    assert ") on standardised features, age and site without a penalty" in advice.verdict
    pipeline = advice.build().fit(X, y)
    free = pipeline[0].free_
    assert free.sum() == 4
    assert len(free) == 34
    assert (np.abs(pipeline[-1].coef_.ravel()[free]) < 0.01).all()
    assert pipeline.score(X, y) > 0.7


def test_they_are_advised_differently_where_only_they_carry_signal():
    rng = np.random.default_rng(5)
    X = rng.normal(size=(80, 60))
    y = 3 * X[:, 0] + rng.normal(size=80)
    usual, own = advise(X, y, effort="quick", folds=2), advise(X, y, unpenalised=[0], effort="quick", folds=2)
    # Where the strong column is free, the others may be shrunk to next to nothing.
    assert (
        own.scores[own.scores.kind == "l2"].loss.min()
        < 0.8 * usual.scores[usual.scores.kind == "l2"].loss.min()
    )
    fitted = own.build().fit(X, y)
    assert fitted.score(X, y) > 0.8


def test_an_advice_from_a_file_builds_the_same_model(tmp_path):
    X, y = frame()
    advice = advise(X, y, unpenalised=["age"], effort="quick", folds=2)
    advice.to_json(tmp_path / "advice.json")
    again = Advice.load(tmp_path / "advice.json").build().fit(X, y)
    np.testing.assert_allclose(again.predict_proba(X), advice.build().fit(X, y).predict_proba(X))
    space: dict = {"X": X, "y": y}
    exec(advice.snippet("sklearn"), space)
    np.testing.assert_allclose(space["model"].predict_proba(X), again.predict_proba(X), atol=1e-5)


def test_own_steps_keep_their_place_and_what_depends_on_the_column_is_free():
    X, y = frame()
    steps = make_column_transformer((OneHotEncoder(), ["site"]), remainder=StandardScaler())
    pipeline = make_pipeline(steps, LogisticRegression())
    advice = advise(X, y, model=pipeline, unpenalised=["site"], effort="quick", folds=2)
    assert not any(note.code == "unequal-features" for note in advice.record.notes)
    fitted = advice.apply(pipeline).fit(X, y)
    assert fitted[0].free_.tolist() == [True] * 3 + [False] * 31
    assert list(fitted.named_steps) == ["unpenalised", "logisticregression"]
    own = Pipeline([("own", steps), ("clf", LogisticRegression())], memory="cache")
    configured = advice.apply(own)
    assert list(configured.named_steps) == ["unpenalised", "clf"]
    assert configured.memory == "cache"
    model = make_pipeline(StandardScaler(), PCA(2), LogisticRegression())
    with pytest.raises(ParameterError, match="all 2 features depend"):
        advise(X.drop(columns="site"), y, model=model, unpenalised=["age"], effort="quick", folds=2)


@pytest.mark.parametrize("model", ["linear", LogisticRegression()])
def test_all_penalties_are_tried_for_several_classes_too(model):
    X, _ = data(is_classification=True)
    y = np.digitize(X[:, 0] + 0.3 * X[:, 1], [0.0, 1.0])
    advice = advise(X, y, model=model, unpenalised=[0], effort="quick", folds=2)
    assert set(advice.scores.kind) == {"none", "l2", "l1", "elasticnet"}
    strength = replace(advice.record.strength, regularizer=Regularizer(l1=0.02, l2=0.01))
    own = Advice(replace(advice.record, strength=strength), module=model)
    space: dict = {"X": X, "y": y}
    exec(own.snippet("sklearn"), space)
    found = own.build().fit(X, y).predict_proba(X)
    np.testing.assert_allclose(space["model"].predict_proba(X), found, atol=1e-4)


@pytest.mark.parametrize("container", ["sparse", "polars", "numbered"])
def test_other_containers(container):
    X, y = data(is_classification=False)
    free: list = [0]
    if container == "sparse":
        X = sparse.csr_array(np.where(np.abs(X) > 1, X, 0.0))
    elif container == "numbered":  # the number of a column is a name of another
        X, free = pd.DataFrame(X, columns=[7, *range(7)]), [7]
    else:
        polars = pytest.importorskip("polars")
        X, free = polars.DataFrame({f"a{j}": column for j, column in enumerate(X.T)}), ["a0"]
    advice = advise(X, y, unpenalised=free, effort="quick", folds=2)
    fitted = advice.build().fit(X, y)
    assert fitted[0].free_.tolist() == [True] + [False] * 7
    assert fitted.score(X, y) > 0.3


def test_columns_of_an_array_may_be_named_as_in_a_shell():
    X, y = data(is_classification=True)
    facts = make_table(X, y).facts
    assert check_unpenalised(["0", 3], facts) == (0, 3)


def _fitted(regularizer, X, y, seed):
    return LogisticRegression().fit(X, y)


@pytest.mark.parametrize(
    ("unpenalised", "model", "said"),
    [
        (["height"], "auto", "unpenalised must be a list of some of the features of X"),
        (list(range(8)), "auto", "leave at least"),
        (np.array([[0, 1]]), "auto", "must be a list of some of the features"),
        ([0], "mlp", "Recipe\\(exempt="),
        ([0], SGDClassifier(), "unpenalised must be None for SGDClassifier"),
        ([0], regadvisor.fit_function(_fitted), "but for linear models"),
        ([0], LinearSVC(), "unpenalised must be None for LinearSVC"),
        ([True] + [False] * 7, "auto", "unpenalised must be a list of some of the features"),
        (np.arange(8) == 1, "auto", "unpenalised must be a list of some of the features"),
    ],
)
def test_what_cannot_be_is_refused(unpenalised, model, said):
    X, y = data(is_classification=True)
    with pytest.raises(ParameterError, match=said):
        advise(X, y, model=model, unpenalised=unpenalised, effort="quick", folds=2)


def test_the_step_clones_and_says_what_it_is():
    step = Unpenalised(StandardScaler(), ["age"], [0])
    X, _ = frame()
    numbers = X.drop(columns="site")
    fitted = step.fit(numbers)
    assert fitted.get_feature_names_out().tolist() == list(numbers)
    np.testing.assert_allclose(fitted.transform(numbers)[:, 0].std(), FACTOR)
    np.testing.assert_allclose(fitted.transform(numbers)[:, 1:].std(axis=0), 1.0)


def test_in_a_shell_and_as_a_pipeline_step(tmp_path):
    X, y = frame()
    X.assign(ill=y).to_csv(tmp_path / "data.csv", index=False)
    words = ["advise", str(tmp_path / "data.csv"), "-t", "ill", "--unpenalised", "age", "--effort", "quick"]
    result = CliRunner().invoke(main, [*words, "--json"])
    assert json.loads(result.stdout)["data"]["unpenalised"] == ["age"]
    step = regadvisor.AdvisedClassifier(unpenalised=["age"]).fit(X, y)
    assert step.advice_.record.data.unpenalised == ("age",)
