"""The whole way on data whose answer is known."""

from __future__ import annotations

import json
from functools import cache

import numpy as np
import pandas as pd
import pytest
import torch
from rounding import without_timings
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_wine
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from torch.utils.data import TensorDataset

import regadvisor
from regadvisor import Advice, Chart, DataError, ParameterError, advise, advise_without_data
from regadvisor.deadline import Deadline
from regadvisor.families.neural.recipe import Recipe
from regadvisor.records import FORMAT


def sparse_wide(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """p ≫ n, five features count."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(120, 400))
    return X, X[:, :5] @ np.array([3.0, -2.0, 2.0, 1.5, -1.5]) + rng.normal(size=120)


def dense_correlated(seed: int = 0, n_factors: int = 40) -> tuple[np.ndarray, np.ndarray]:
    """Every feature counts a little, and a few common factors drive them all."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(150, n_factors)) @ rng.normal(size=(n_factors, 200)) / np.sqrt(n_factors)
    X += 0.7 * rng.normal(size=(150, 200))
    return X, X @ rng.normal(size=200) / 14 + 0.5 * rng.normal(size=150)


def strong_and_long(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """n ≫ p, hardly any noise."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(1200, 5))
    return X, X @ np.array([1.0, -2.0, 0.5, 3.0, 1.0]) + 0.3 * rng.normal(size=1200)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_sparse_truth_asks_for_l1_or_elastic_net(seed: int) -> None:
    advice = advise(*sparse_wide(seed), effort="quick")
    assert advice.regularizer.kind in ("l1", "elasticnet")
    assert advice.confidence["regularize"].support == pytest.approx(0.99)
    kept = {z.name for z in advice.record.evidence.scores.zeroed}  # type: ignore[union-attr]
    assert not kept & {f"x{i}" for i in range(3)}, "a feature that counts was zeroed"


def test_dense_correlated_truth_asks_for_l2() -> None:
    """An elastic net that is nearly all L2 may come out ahead by chance; L1 may not."""
    kinds = [advise(*dense_correlated(seed), effort="quick").regularizer.kind for seed in range(6)]
    assert set(kinds) <= {"l2", "elasticnet"}
    assert kinds.count("l2") >= 4


@pytest.mark.parametrize("seed", [0, 1])
def test_a_strong_signal_on_many_rows_needs_none_or_ties(seed: int) -> None:
    advice = advise(*strong_and_long(seed), effort="quick")
    assert advice.regularizer.kind == "none" or "none" in advice.record.ties


def test_shuffled_targets_have_no_signal() -> None:
    X, y = load_diabetes(return_X_y=True)
    found = []
    for seed in range(20):
        shuffled = np.random.default_rng(seed).permutation(y)
        found.append(advise(X, shuffled, effort="quick", random_state=seed).status)
    assert found.count("no_signal") >= 19
    assert "advice" not in found


def test_no_signal_builds_what_comes_near_the_constant() -> None:
    X, y = load_diabetes(return_X_y=True)
    y = np.random.default_rng(0).permutation(y)
    advice = advise(X, y, effort="quick")
    assert advice.status == "no_signal"
    predicted = advice.build().fit(X, y).predict(X)
    assert predicted.std() < 0.2 * y.std()


# ---------------------------------------------------------------------------------- the prior branch


def test_images_keep_the_whole_picture() -> None:
    advice = advise(load_digits().images, load_digits().target, budget=0, correlated=False)
    assert advice.regularizer.kind == "l2"
    assert advice.path[-1].question == "Q3b"
    assert advice.path[-1].reply == "yes"


def test_smooth_spectra_ask_for_l2() -> None:
    rng = np.random.default_rng(0)
    grid = np.linspace(0, 1, 120)
    centres = rng.uniform(0.2, 0.8, size=(80, 1))
    X = np.exp(-(((grid - centres) / 0.15) ** 2)) + 0.01 * rng.normal(size=(80, 120))
    assert advise(X, centres.ravel() + 0.01 * rng.normal(size=80), budget=0).regularizer.kind == "l2"


@pytest.mark.parametrize(("n_signal", "kind"), [(3, "l1"), (60, "l2")])
def test_independent_columns_by_density_of_the_signal(n_signal: int, kind: str) -> None:
    rng = np.random.default_rng(1)
    X = rng.normal(size=(1500, 60))
    y = X[:, :n_signal].sum(axis=1) + 0.5 * rng.normal(size=1500)
    advice = advise(X, y, budget=0)
    assert advice.regularizer.kind == kind
    assert advice.record.evidence.whole_picture.measured == ("yes" if kind == "l2" else "no")  # type: ignore[union-attr]


def test_budget_zero_trains_no_candidate() -> None:
    advice = advise(*load_wine(return_X_y=True), budget=0)
    assert advice.record.evidence.scores is None
    assert advice.scores.empty
    assert advice.record.strength.source == "default"
    assert all(claim.support is None for claim in advice.record.claims)
    assert advice.build().fit(*load_wine(return_X_y=True)).score(*load_wine(return_X_y=True)) > 0.9


def test_too_few_rows_go_to_the_prior_branch() -> None:
    X, y = load_diabetes(return_X_y=True)
    advice = advise(X[:12], y[:12])
    assert "12 rows are too few" in advice.path[1].answer.because
    assert advice.record.evidence.scores is None


def test_what_the_caller_says_wins_over_what_is_measured() -> None:
    X, y = load_breast_cancer(return_X_y=True)
    said = advise(X, y, budget=0, correlated=False, whole_picture=False)
    assert said.regularizer.kind == "l1"
    assert "the data say yes" in said.path[3].answer.because


def test_without_data_strengths_are_unknown() -> None:
    assert advise_without_data(correlated=True).regularizer.kind == "l2"
    assert advise_without_data(correlated=False, whole_picture=True).regularizer.kind == "l2"
    assert advise_without_data(correlated=False, whole_picture=False).regularizer.kind == "l1"
    assert advise_without_data(prior_knowledge=True).regularizer.kind == "l2"
    assert advise_without_data(correlated=False, prior_knowledge=True).regularizer.kind == "l2"
    nothing = advise_without_data()
    assert nothing.regularizer.kind == "elasticnet"
    with pytest.raises(regadvisor.StrengthError, match="Call advise"):
        nothing.build()
    with pytest.raises(regadvisor.StrengthError, match="unknown"):
        nothing.apply(object())


# -------------------------------------------------------------------------------------- real risks


def test_rows_sorted_by_target_get_the_reply_of_shuffled_ones() -> None:
    X, y = load_diabetes(return_X_y=True)
    order = np.argsort(y)
    shuffled = np.random.default_rng(0).permutation(len(y))
    replies = [advise(X[o], y[o], effort="quick").path[0].reply for o in (order, shuffled)]
    assert replies == ["yes", "yes"]


def test_true_drift_in_time_is_noticed_and_validated_forward() -> None:
    rng = np.random.default_rng(0)
    n = 800
    time = np.arange(n)
    y = rng.integers(0, 2, n)
    X = rng.normal(size=(n, 6)) + y[:, None]
    X[:, 2] += 2.0 * time / n
    advice = advise(X, y, time=time, effort="quick")
    assert advice.record.evidence.sample.has_drift  # type: ignore[union-attr]
    assert advice.record.evidence.sample.validation == "time"  # type: ignore[union-attr]
    assert advice.path[0].reply == "unsure"
    assert advise(X, y, time=time, effort="quick", chart="classic").path[0].reply == "no"
    still = X.copy()
    still[:, 2] -= 2.0 * time / n
    assert advise(still, y, time=time, effort="quick").path[0].reply == "yes"


def test_groups_stay_on_one_side() -> None:
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(40), 10)
    centre = rng.normal(size=(40, 3))[groups]
    X = centre + 0.1 * rng.normal(size=(400, 3))
    advice = advise(X, rng.normal(size=40)[groups] + centre[:, 0], groups=groups, effort="quick")
    assert advice.record.evidence.sample.validation == "group"  # type: ignore[union-attr]


# -------------------------------------------------------------------------------- same seed, same answer


@cache
def on_wine(model: str) -> tuple[dict[str, object], Advice]:
    """Arguments, and the advice that they give on wine."""
    recipe = Recipe(hidden=(16,), epochs=20, lr=2e-2) if model == "mlp" else None
    options = {"model": model, "recipe": recipe, "effort": "quick", "random_state": 3}
    return options, advise(*load_wine(return_X_y=True), **options)


@pytest.mark.parametrize("model", ["linear", "mlp"])
def test_same_seed_and_effort_give_the_same_record(model: str) -> None:
    options, one = on_wine(model)
    two = advise(*load_wine(return_X_y=True), **options)
    assert without_timings(one.to_json()) == without_timings(two.to_json())


def test_the_record_holds_all_that_was_measured() -> None:
    record = advise(*load_breast_cancer(return_X_y=True), effort="quick").record
    stages = record.timings.stages
    measured = {name for name in stages if getattr(record.evidence, name, None) is not None}
    assert {"sample", "resources", "scores"} <= measured
    assert not {name for name in stages if hasattr(record.evidence, name)} - measured - {"growth"}
    assert sum(stages.values()) <= record.timings.total_s, "no second counts for two stages"


def test_nothing_passed_is_mutated_and_read_only_data_work() -> None:
    frame, y = load_wine(return_X_y=True, as_frame=True)
    before, y_before = frame.copy(deep=True), y.copy(deep=True)
    advise(frame, y, effort="quick")
    pd.testing.assert_frame_equal(frame, before)
    pd.testing.assert_series_equal(y, y_before)
    X, codes = frame.to_numpy(copy=True), y.to_numpy(copy=True)
    X.setflags(write=False)
    codes.setflags(write=False)
    assert advise(X, codes, effort="quick").regularizer == advise(frame, y, effort="quick").regularizer


# ---------------------------------------------------------------------------------------- the arguments


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"budget": -1}, "budget must be a number of seconds of at least 0"),
        ({"budget": "soon"}, "budget must be"),
        ({"budget": float("nan")}, "budget must be"),
        ({"effort": "huge"}, "effort must be one of 'quick', 'standard', 'thorough' or None, got 'huge'"),
        ({"model": "forest"}, "model must be one of 'auto', 'linear', 'mlp', 'cnn', got 'forest'"),
        ({"model": "cnn"}, "cnn"),
        ({"model": object()}, "got object"),
        ({"chart": "modern"}, "chart must be one of"),
        ({"folds": 1}, "folds must be an integer of at least 2, got 1"),
        (
            {"recipe": {"lr": 0.1}, "model": dict},
            r"recipe must be a Recipe or None, .*pass regadvisor.Recipe",
        ),
        ({"random_state": None}, "random_state must be an integer"),
        ({"correlated": "yes"}, "correlated must be True, False or None"),
        ({"prefer": "dense"}, "prefer must be one of 'sparse' or None"),
        ({"task": "ranking"}, "task must be"),
        ({"storage": "/no/such/folder/run.journal"}, "storage must be"),
        ({"sample": 0}, "sample must be"),
        ({"sample": 1.5}, "sample must be"),
        ({"device": "tpu"}, "device must be one of"),
    ],
)
def test_a_bad_argument_is_named_with_its_rule(arguments: dict, message: str) -> None:
    X, y = load_wine(return_X_y=True)
    with pytest.raises(ParameterError, match=message):
        advise(X, y, **arguments)


@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        (np.empty((0, 3)), np.empty(0), "X must"),
        (np.ones((1, 3)), np.ones(1), "rows"),
        (np.random.default_rng(0).normal(size=(30, 2)), np.zeros(30), "y must"),
        (np.random.default_rng(0).normal(size=(30, 2)), np.zeros(29), "29"),
        (np.full((30, 2), np.inf), np.arange(30) % 2, "inf"),
        (np.ones((30, 2)), np.ones((30, 2)), "target 0 must have at least 2 different values"),
    ],
)
def test_unusable_data_is_named_with_its_rule(X: np.ndarray, y: np.ndarray, message: str) -> None:
    with pytest.raises(DataError, match=message):
        advise(X, y)


# ------------------------------------------------------------------------------- the record and the file


def test_the_same_data_are_known_in_every_form_that_advise_takes(tmp_path) -> None:  # type: ignore[no-untyped-def]
    X, y = load_wine(return_X_y=True)
    np.savez(tmp_path / "wine.npz", X=X, y=y)
    np.save(tmp_path / "X.npy", X)
    texts = np.array([" ".join(f"w{value:.0f}" for value in row[:4]) for row in X])
    words = make_pipeline(TfidfVectorizer(), LogisticRegression())
    for data, more in (
        ((tmp_path / "wine.npz", None), {}),
        ((tmp_path / "X.npy", y), {}),
        ((TensorDataset(torch.tensor(X), torch.tensor(y)), None), {}),
        ((texts, y), {"model": words}),
    ):
        advice = advise(*data, budget=0, **more)
        advice.check_same_data(*data)
    with pytest.raises(DataError, match="fingerprint"):
        advice.check_same_data(texts[::-1], y)


def test_a_saved_advice_is_the_same_advice(tmp_path) -> None:  # type: ignore[no-untyped-def]
    X, y = load_wine(return_X_y=True, as_frame=True)
    advice = advise(X, y, effort="quick")
    text = advice.to_json(tmp_path / "advice.json")
    loaded = Advice.load(tmp_path / "advice.json")
    assert loaded.record == advice.record
    assert loaded.to_json() == text
    loaded.check_same_data(X, y)
    with pytest.raises(DataError, match="fingerprint"):
        loaded.check_same_data(X.iloc[1:], y.iloc[1:])
    named = X.assign(wine=y)
    loaded.check_same_data(named, "wine")
    with pytest.raises(DataError, match="fingerprint"):
        loaded.check_same_data(named.drop(columns="hue"), "wine")
    stopped = [score.is_stopped for score in advice.record.evidence.scores.scores]
    assert advice.scores["is_stopped"].tolist() == stopped
    probabilities = [a.build().fit(X, y).predict_proba(X) for a in (advice, loaded)]
    np.testing.assert_array_equal(*probabilities)
    assert json.loads(text)["format"] == FORMAT


def test_the_caller_s_own_chart_is_walked() -> None:
    chart = Chart(
        name="mine",
        start="Q3a",
        questions={"Q3a": regadvisor.CLASSIC.questions["Q3a"], "Q3b": regadvisor.CLASSIC.questions["Q3b"]},
    )
    advice = advise(*load_breast_cancer(return_X_y=True), chart=chart, effort="quick")
    assert advice.record.walk.questions == ("Q3a",)
    assert advice.regularizer.kind == "l2"


def test_scores_hold_every_candidate() -> None:
    advice = advise(*load_wine(return_X_y=True), effort="quick")
    scores = advice.scores
    assert set(scores["kind"]) == {"none", "l1", "l2", "elasticnet"}
    assert {"fold_0", "fold_4", "loss", "train_loss", "converged", "is_limit"} <= set(scores.columns)
    folds = scores[[c for c in scores.columns if c.startswith("fold_")]].to_numpy()
    # What lost beyond doubt was stopped after the first folds.
    np.testing.assert_allclose(np.nanmean(folds, axis=1), scores["loss"], rtol=0.05)
    assert not np.isnan(folds[scores["loss"].to_numpy() < 1.02 * scores["loss"].min()]).any()


def test_a_deadline_that_passes_at_once_still_names_a_start(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    from regadvisor.evidence.gather import Gatherer

    monkeypatch.setattr(Gatherer, "training_deadline", property(lambda self: Deadline.after(0.0)))
    advice = advise(*load_wine(return_X_y=True), effort="quick")
    assert advice.status == "cant_tell"
    assert advice.record.strength.source == "default"
    assert "time was up" in advice.record.evidence.scores.cut  # type: ignore[union-attr, operator]
    assert "time was up" in advice.to_text().replace("The time", "the time")
    assert advice.build().fit(*load_wine(return_X_y=True)) is not None


@pytest.mark.parametrize("model", ["linear", "mlp"])
def test_the_caller_s_score_is_reported_and_decides_nothing(model: str) -> None:
    X, y = load_wine(return_X_y=True)
    options, plain = on_wine(model)
    scored = advise(X, np.array(["a", "b", "c"])[y], scoring="accuracy", **options)
    assert scored.regularizer == plain.regularizer
    reported = scored.record.evidence.scores.reported  # type: ignore[union-attr]
    assert set(reported) == {"none", scored.regularizer.kind}
    assert reported[scored.regularizer.kind] > 0.9
    assert "Your accuracy" in " ".join(scored.to_text().split())
    with pytest.raises(ParameterError, match="scoring must be"):
        advise(X, y, scoring="accurracy")


def test_no_more_inputs_are_zeroed_than_there_are() -> None:
    """Levels of a few rows are missing from every fold that trains."""
    rng = np.random.default_rng(0)
    names = [f"n{i}" for i in rng.integers(0, 250, 300)]
    X = pd.DataFrame({"name": names, "x": rng.normal(size=300)})
    y = 3 * X["x"] + 0.1 * rng.normal(size=300)
    scores = advise(X, y, effort="quick").record.evidence.scores
    assert scores is not None
    n_levels = X["name"].nunique()
    assert scores.n_encoded_features == n_levels + 1
    assert n_levels / 2 < scores.n_zeroed <= n_levels


def _broken(*_: object) -> float:
    raise ValueError("the scorer\n is broken")


@pytest.mark.parametrize(
    ("scoring", "said"),
    [
        (_broken, "Your _broken raised ValueError: the scorer is broken. No score is reported"),
        (lambda *_: None, "raised ValueError: scoring must return a number, got None"),
        (lambda *_: float("nan"), "is not a finite number on 5 of 5 folds"),
        ("roc_auc", "Your roc_auc raised"),  # of probabilities, for a target of numbers
    ],
)
def test_a_score_of_the_caller_s_that_fails_is_a_warning_and_costs_nothing(scoring, said) -> None:
    X, y = load_diabetes(return_X_y=True)
    plain, scored = advise(X, y, effort="quick"), advise(X, y, effort="quick", scoring=scoring)
    assert scored.regularizer == plain.regularizer
    assert scored.record.evidence.scores.reported == {}  # type: ignore[union-attr]
    (note,) = (note for note in scored.record.notes if note.code == "scoring-failed")
    assert said in note.text
    assert note.text in scored.warnings


@pytest.mark.parametrize("seed", [1, 2, 15])
def test_no_claim_is_surer_than_that_there_is_a_signal(seed):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(120, 8))
    y = 0.35 * X[:, 0] + rng.normal(size=120)
    record = advise(X, y, model="linear", effort="quick").record
    signal = next(step.answer.numbers["p_better"] for step in record.walk.steps if step.question == "Q4s")
    supports = {claim.name: claim.support for claim in record.claims}
    assert record.walk.outcome != "no signal"
    assert 0.7 <= signal < 0.95
    assert max(supports["kind"], supports["regularize"]) <= signal


def test_weights_that_leave_few_rows_the_say_are_answered_without_validation() -> None:
    X = np.random.default_rng(0).normal(size=(300, 4))
    weight = np.where(np.arange(300) < 3, 1.0, 1e-6)
    advice = advise(X, X[:, 0], sample_weight=weight, effort="quick")
    assert advice.record.evidence.resources is not None
    assert str(advice.record.evidence.resources.obstacle).startswith(
        "The weights leave the say to about 3 of 300"
    )
    assert advice.record.strength.source == "default"


@pytest.mark.parametrize("settings", [{"effort": "quick"}, {"budget": 10.0}, {"budget": None}, {}])
def test_rows_that_cannot_be_split_are_answered_without_validation(settings: dict[str, object]) -> None:
    X = np.random.default_rng(0).normal(size=(45, 4))
    advice = advise(X, np.arange(45), task="classification", **settings)  # every row is a class of its own
    assert advice.record.evidence.resources is not None
    assert advice.record.evidence.resources.obstacle == "The rows cannot be split into folds to validate on."
    assert advice.record.strength.source == "default"
