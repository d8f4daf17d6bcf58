"""Columns of 0 and 1: several labels, one regularizer, as a loop over the labels shows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.special import expit
from sklearn.base import clone
from sklearn.datasets import make_multilabel_classification
from sklearn.linear_model import LogisticRegression, Perceptron, Ridge, RidgeClassifier
from sklearn.metrics import accuracy_score, log_loss
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import ClassifierChain, MultiOutputClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from regadvisor import Advice, AdvisedClassifier, ParameterError, Recipe, Regularizer, advise
from regadvisor.report.verdict import use

X, Y = make_multilabel_classification(n_samples=150, n_features=8, n_classes=3, random_state=0)


def test_the_loss_is_the_mean_over_the_labels(tmp_path: Path) -> None:
    advice = advise(X, Y, effort="quick", folds=3)
    scores = advice.record.evidence.scores
    assert scores.loss_name == "log loss (mean of 3 labels)"
    assert " · 3 labels, each 0 or 1 · " in advice.to_text(width=200)
    strength = replace(advice.record.strength, regularizer=Regularizer(l1=0.01))
    said = use(replace(advice.record, strength=strength))  # labels are not standardised, as targets are
    assert said.endswith("on standardised features")
    shares = np.tile(Y.mean(axis=0), (len(Y), 1))
    constant = np.mean([log_loss(Y[:, j], shares[:, j]) for j in range(3)])
    assert scores.constant_loss == pytest.approx(constant, rel=0.03)
    advice.to_json(tmp_path / "advice.json")
    fitted = Advice.load(tmp_path / "advice.json").build().fit(X, Y)  # nothing of it is the caller's own
    assert fitted.predict(X).shape == Y.shape
    assert fitted.predict(X).dtype.kind == "i"
    own = [log_loss(Y[:, j], each[:, 1]) for j, each in enumerate(fitted.predict_proba(X))]
    assert np.mean(own) < constant
    # One label alone has the same losses as by itself.
    last = fitted[-1].estimators_[1]
    rows = StandardScaler().fit_transform(X)
    alone = clone(last).fit(rows, Y[:, 1])
    np.testing.assert_allclose(alone.coef_, last.coef_, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("model", "name"),
    [
        (MultiOutputClassifier(LinearSVC()), "squared hinge loss (mean of 3 labels)"),
        (MultiOutputClassifier(Perceptron()), "share of wrong labels (mean of 3 labels)"),
        (ClassifierChain(LogisticRegression()), "log loss (mean of 3 labels)"),
        (OneVsRestClassifier(LogisticRegression()), "log loss (mean of 3 labels)"),
        (RidgeClassifier(), "squared error of -1 and 1 (mean of 3 labels)"),
        (MLPClassifier((4,), solver="lbfgs", max_iter=200, random_state=0), "log loss (mean of 3 labels)"),
    ],
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_classifiers_that_take_labels(model: Any, name: str) -> None:
    advice = advise(X, pd.DataFrame(Y, columns=list("abc")), model=model, effort="quick", folds=2)
    scores = advice.record.evidence.scores
    assert scores.loss_name == name
    assert min(scores.honest_losses.values()) < scores.constant_loss
    assert advice.apply(model).fit(X, Y).predict(X).shape == Y.shape


def test_a_label_that_a_fold_lacks_is_an_error_that_says_so() -> None:
    rare = Y.copy()
    rare[:, 2] = np.arange(len(Y)) < 1
    with pytest.raises(
        ParameterError, match=r"at least 2 classes in the data.*; column 2 of y.* ask about it by itself"
    ):
        advise(X, rare, effort="quick", folds=2)


def test_as_a_step_of_a_pipeline_and_what_is_refused() -> None:
    assert AdvisedClassifier(model=RidgeClassifier(), folds=2).fit(X, Y).predict(X).shape == Y.shape
    with pytest.raises(ParameterError, match=r"pass model=MultiOutputClassifier\(LinearSVC"):
        advise(X, Y, model=LinearSVC())
    with pytest.raises(ParameterError, match="class_weight must be None"):
        advise(X, Y, model=RidgeClassifier(class_weight="balanced"))
    balanced = MultiOutputClassifier(LogisticRegression(class_weight="balanced"))  # fits would be weighted
    with pytest.raises(ParameterError, match="class_weight must be None"):
        advise(X, Y, model=balanced)


def _network(n_features: int, n_outputs: int) -> torch.nn.Module:
    return torch.nn.Sequential(torch.nn.Linear(n_features, 8), torch.nn.ReLU(), torch.nn.Linear(8, n_outputs))


@pytest.mark.parametrize("model", ["mlp", _network])
def test_networks_have_an_output_for_each_label(model: Any, tmp_path: Any) -> None:
    recipe = Recipe(epochs=20, lr=0.01)
    advice = advise(X, Y, model=model, recipe=recipe, effort="quick", folds=2)
    scores = advice.record.evidence.scores
    shares = Y.mean(axis=0)
    constant = -np.mean(shares * np.log(shares) + (1 - shares) * np.log(1 - shares))
    assert scores.constant_loss == pytest.approx(constant, rel=0.05)
    assert scores.loss_name == "log loss, mean of the labels"
    logits = advice.build().fit(X, Y).decision_function(X)
    assert logits.shape == Y.shape
    own = np.mean([log_loss(Y[:, j], expit(logits[:, j])) for j in range(3)])
    assert own < 0.8 * constant
    advice.to_json(tmp_path / "advice.json")
    again = Advice.load(tmp_path / "advice.json").build(**({} if model == "mlp" else {"module": model}))
    np.testing.assert_allclose(again.fit(X, Y).decision_function(X), logits, rtol=1e-5)
    torch.manual_seed(advice.record.training.seed)
    script = advice.snippet("torch").replace("module = ...", "module = own")
    here = {"X": X, "y": Y, "own": _network(8, 3)}
    exec(script, here)
    shares = expit(here["predict"](X))
    assert np.mean([log_loss(Y[:, j], shares[:, j]) for j in range(3)]) < 0.8 * constant
    with pytest.raises(ParameterError, match="must be 'torch' for a network of several labels"):
        advice.snippet("skorch")


@pytest.mark.parametrize("model", ["mlp", _network])
def test_a_network_of_several_labels_is_a_classifier_of_them(model: Any) -> None:
    recipe = Recipe(epochs=20, lr=0.01)
    fitted = AdvisedClassifier(model=model, recipe=recipe, folds=2).fit(X, Y)
    logits = fitted.advice_.build().fit(X, Y).decision_function(X)
    np.testing.assert_allclose(fitted.predict_proba(X), expit(logits), rtol=1e-6)
    np.testing.assert_array_equal(fitted.predict(X), logits > 0)
    np.testing.assert_allclose(fitted.decision_function(X), logits, rtol=1e-6)
    assert fitted.classes_.tolist() == [0, 1, 2]
    assert fitted.score(X, Y) == accuracy_score(Y, logits > 0)


def test_outputs_that_may_be_no_logits_are_no_labels() -> None:
    own = Recipe(epochs=1, loss=lambda outputs, target: torch.square(outputs - target).mean(-1))
    with pytest.raises(ParameterError, match=r"known to be logits or shares .* leave recipe\.loss out"):
        AdvisedClassifier(model="mlp", recipe=own, folds=2).fit(X, Y)
    with pytest.raises(ParameterError, match="model must be a classifier, got Ridge"):
        AdvisedClassifier(model=Ridge()).fit(X, Y)
    with pytest.raises(ParameterError, match="got the class Ridge; make one"):
        AdvisedClassifier(model=Ridge).fit(X, Y)


@pytest.mark.parametrize("model", ["mlp", _network])
def test_rows_with_several_labels_may_have_weights(model: Any) -> None:
    weight = np.where(Y[:, 0] > 0, 3.0, 1.0)
    options: dict[str, Any] = {"recipe": Recipe(epochs=5, lr=0.01), "effort": "quick", "folds": 2}
    advice = advise(X, Y, model=model, sample_weight=weight, **options)
    shares = np.average(Y, axis=0, weights=weight)
    constant = -np.mean(shares * np.log(shares) + (1 - shares) * np.log(1 - shares))
    assert advice.record.evidence.scores.constant_loss == pytest.approx(constant, rel=0.05)
    same = advise(X, Y, model=model, sample_weight=np.full(len(Y), 2.0), **options)
    usual = advise(X, Y, model=model, **options)
    np.testing.assert_allclose(same.scores.loss, usual.scores.loss, rtol=1e-5)


def test_labels_of_images_are_learned_by_a_network_unless_one_says_otherwise() -> None:
    images = np.random.default_rng(0).normal(size=(len(Y), 4, 4)).astype(np.float32)
    assert advise(images, Y, budget=0).record.training.family == "mlp"
    assert advise(images, Y, model="linear", budget=0).record.training.estimator == "MultiOutputClassifier"
