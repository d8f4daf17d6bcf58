"""The network as scikit-learn estimators."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from regadvisor.data.source import make_table
from regadvisor.errors import ParameterError, StrengthError
from regadvisor.export.build import build_network
from regadvisor.families.neural.estimator import NetworkClassifier, NetworkRegressor
from regadvisor.records import Training
from regadvisor.regularizer import Regularizer


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Tiny products on several threads of a shared machine mostly wait for each other."""
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(n_threads)


def _expected_failures(_estimator: object) -> dict[str, str]:
    # scikit-learn lists the same two for its own stochastic networks.
    reason = "minibatches: a row of weight 2 is not drawn as two rows are, nor is one of weight 0 left out"
    return {
        "check_sample_weight_equivalence_on_dense_data": reason,
        "check_sample_weight_equivalence_on_sparse_data": reason,
    }


QUICK = {"hidden": (16,), "lr": 1e-2, "batch_size": 32, "epochs": 40, "random_state": 0}


@parametrize_with_checks(
    [NetworkClassifier(**QUICK), NetworkRegressor(**QUICK)],  # type: ignore[arg-type]
    expected_failed_checks=_expected_failures,
)
def test_scikit_learns_checks(estimator: object, check: Callable[[object], None]) -> None:
    check(estimator)


def test_it_classifies_as_well_as_scikit_learns_network() -> None:
    X, y = load_breast_cancer(return_X_y=True)
    X = StandardScaler().fit_transform(X)
    train, test = np.arange(0, 569, 2), np.arange(1, 569, 2)
    ours = NetworkClassifier(l2=1.0, random_state=0).fit(X[train], y[train]).score(X[test], y[test])
    theirs = MLPClassifier((128, 64), alpha=1.0, early_stopping=True, random_state=0).fit(X[train], y[train])
    assert ours >= theirs.score(X[test], y[test]) - 0.01


def test_without_hidden_layers_it_is_logistic_regression() -> None:
    X, y = load_iris(return_X_y=True)
    X, y = StandardScaler().fit_transform(X[y > 0, :2]), y[y > 0]
    ours = NetworkClassifier(hidden=(), lr=5e-2, batch_size=100, epochs=1_000, random_state=0).fit(X, y)
    theirs = LogisticRegression(C=np.inf, tol=1e-8, max_iter=5_000).fit(X, y)
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=2e-3)


def test_text_labels_come_back() -> None:
    X, y = load_iris(return_X_y=True)
    names = np.array(["setosa", "versicolor", "virginica"])[y]
    model = NetworkClassifier(epochs=60, random_state=0).fit(X - X.mean(0), names)
    assert set(model.predict(X - X.mean(0))) == {"setosa", "versicolor", "virginica"}
    assert model.score(X - X.mean(0), names) > 0.9
    assert model.predict_proba(X).shape == (150, 3)


def test_regression_does_not_depend_on_the_unit_of_the_target() -> None:
    X, y = load_diabetes(return_X_y=True)
    model = NetworkRegressor(epochs=10, random_state=0).fit(X * 20, y)
    moved = clone(model).fit(X * 20, 1_000 * y - 5)
    np.testing.assert_allclose(moved.predict(X * 20), 1_000 * model.predict(X * 20) - 5, rtol=1e-3)


def test_a_seed_repeats_and_a_pickled_model_predicts_the_same() -> None:
    X, y = load_diabetes(return_X_y=True)
    first = NetworkRegressor(epochs=5, dropout=0.2, random_state=4).fit(X, y)
    again = clone(first).fit(X, y)
    other = clone(first).set_params(random_state=5).fit(X, y)
    assert np.array_equal(first.predict(X), again.predict(X))
    assert not np.array_equal(first.predict(X), other.predict(X))
    assert np.array_equal(pickle.loads(pickle.dumps(first)).predict(X), first.predict(X))


def test_sparse_rows_give_the_model_of_dense_rows() -> None:
    X, y = load_iris(return_X_y=True)
    dense = NetworkClassifier(epochs=5, random_state=0).fit(X, y)
    other = NetworkClassifier(epochs=5, random_state=0).fit(sparse.csr_array(X), y)
    np.testing.assert_allclose(other.predict_proba(sparse.csr_array(X)), dense.predict_proba(X), atol=1e-6)


def test_only_the_ratio_of_weights_counts() -> None:
    X, y = load_iris(return_X_y=True)
    weight = np.random.default_rng(0).uniform(0.5, 2, 150)
    model = NetworkClassifier(epochs=5, random_state=0)
    one = clone(model).fit(X, y, sample_weight=weight).predict_proba(X)
    ten = clone(model).fit(X, y, sample_weight=10 * weight).predict_proba(X)
    np.testing.assert_allclose(one, ten, atol=1e-5)
    assert not np.allclose(one, clone(model).fit(X, y).predict_proba(X), atol=1e-3)


def test_l1_leaves_exact_zeros_in_the_weights() -> None:
    X, y = load_iris(return_X_y=True)
    model = NetworkClassifier(epochs=100, l1=2.0, random_state=0).fit(X - X.mean(0), y)
    assert np.mean(model.coefs_[0] == 0) > 0.3
    assert not any((intercept == 0).any() for intercept in model.intercepts_)


@pytest.mark.parametrize("wrong", [{"lr": -1}, {"l2": -1.0}, {"dropout": 1.0}, {"schedule": "linear"}])
def test_a_parameter_out_of_its_rule_is_named(wrong: dict[str, object]) -> None:
    X, y = load_iris(return_X_y=True)
    with pytest.raises(ParameterError, match=f"^{next(iter(wrong))} must"):
        NetworkClassifier(**wrong).fit(X, y)  # type: ignore[arg-type]


def test_several_targets_are_several_outputs() -> None:
    X, y = load_diabetes(return_X_y=True)
    both = np.column_stack([y, -2.0 * y + 3.0])
    model = NetworkRegressor(epochs=20, lr=1e-2, random_state=0).fit(20 * X, both)
    assert model.predict(20 * X).shape == both.shape
    assert model.y_mean_.shape == (2,)
    assert model.score(20 * X, both) > 0.4


def test_recipe_options_reach_the_training() -> None:
    X, y = load_diabetes(return_X_y=True)
    plain = NetworkRegressor(epochs=5, random_state=0).fit(20 * X, y)
    options: list[dict[str, object]] = [
        {"optimizer": "sgd", "lr": 0.05, "momentum": 0.5},
        {"clip_norm": 0.01},
        {"coupling": "loss", "l2": 0.1},
        {"schedule": "cosine"},
        {"loss": torch.nn.functional.smooth_l1_loss, "l2": 0.1},
    ]
    for chosen in options:
        other = clone(plain).set_params(**chosen).fit(20 * X, y)
        assert np.isfinite(other.predict(20 * X)).all()
        assert not np.allclose(other.predict(20 * X), plain.predict(20 * X))


def test_build_wants_the_own_loss_that_was_trained() -> None:
    facts = make_table(*load_diabetes(return_X_y=True)).facts
    training = replace(TRAINING, has_own_loss=True)
    with pytest.raises(ParameterError, match=r"^loss must be the function"):
        build_network(facts, Regularizer(coupling="decoupled"), training)
    loss = torch.nn.functional.l1_loss
    assert (
        build_network(facts, Regularizer(coupling="decoupled"), training, functions={"loss": loss})[-1].loss
        is loss
    )


def test_build_in_the_coupling_of_the_training() -> None:
    facts = make_table(*load_diabetes(return_X_y=True)).facts
    training = replace(TRAINING, coupling="loss", optimizer="sgd", momentum=0.7, exempt=("0.weight",))
    model = build_network(facts, Regularizer(l2=0.1), training)[-1]
    found = {name: model.get_params()[name] for name in ("coupling", "optimizer", "momentum", "exempt", "l2")}
    assert found == {
        "coupling": "loss",
        "optimizer": "sgd",
        "momentum": 0.7,
        "exempt": ("0.weight",),
        "l2": 0.1,
    }


def test_a_training_that_explodes_is_an_error() -> None:
    X, y = load_diabetes(return_X_y=True)
    with pytest.raises(ParameterError, match=r"lr must be low enough .* got 1e\+30"):
        NetworkRegressor(lr=1e30, epochs=20, random_state=0).fit(X * 100, y)


TRAINING = Training(
    family="mlp",
    seed=3,
    hidden=(8,),
    optimizer="adamw",
    lr=1e-3,
    batch_size=50,
    epochs=7,
    schedule="constant",
)


def test_build_passes_every_number_on() -> None:
    table = make_table(*load_iris(return_X_y=True))
    regularizer = Regularizer(l2=0.5, dropout=0.1, coupling="decoupled")
    model = build_network(table.facts, regularizer, TRAINING)[-1]
    expected = {
        "hidden": (8,),
        "l1": 0.0,
        "l2": 0.5,
        "dropout": 0.1,
        "lr": 1e-3,
        "batch_size": 50,
        "epochs": 7,
        "schedule": "constant",
        "optimizer": "adamw",
        "momentum": 0.9,
        "nesterov": False,
        "betas": None,
        "accumulate": 1,
        "warmup": 0.0,
        "lr_scale": (),
        "towards_start": (),
        "augment": None,
        "clip_norm": None,
        "coupling": "decoupled",
        "exempt": (),
        "penalised": None,
        "loss": None,
        "random_state": 3,
        "device": "cpu",
    }
    assert isinstance(model, NetworkClassifier)
    assert model.get_params() == expected


def test_built_pipelines_fit_and_clone() -> None:
    X, y = load_diabetes(return_X_y=True)
    pipeline = build_network(make_table(X, y).facts, Regularizer(coupling="decoupled"), TRAINING)
    assert isinstance(pipeline[-1], NetworkRegressor)
    assert np.array_equal(clone(pipeline).fit(X, y).predict(X), pipeline.fit(X, y).predict(X))


def test_build_refuses_unknown_strengths_and_the_other_coupling() -> None:
    facts = make_table(*load_iris(return_X_y=True)).facts
    with pytest.raises(StrengthError):
        build_network(facts, Regularizer.unknown("l2", "decoupled"), TRAINING)
    with pytest.raises(ParameterError, match=r"coupling must be 'decoupled'"):
        build_network(facts, Regularizer(l2=1.0), TRAINING)
