"""Each conversion at the border against the library itself, by minimising our objective with SciPy."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from minimiser import minimiser
from sklearn.linear_model import ElasticNet, Lasso, LinearRegression, LogisticRegression, Ridge
from sklearn.metrics import log_loss
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.preprocessing import StandardScaler

from regadvisor.conversions import elasticnet_params, logistic_params, raw_target, ridge_alpha
from regadvisor.families.estimator.rules import LBFGS_GAP, Strengths, on_standardised_target
from regadvisor.families.estimator.table import configured
from regadvisor.families.linear.build import linear_model
from regadvisor.families.linear.least_squares import SparseElasticNet, SparseLasso
from regadvisor.families.linear.logistic import SparseLogisticRegression
from regadvisor.regularizer import Regularizer

N = 60


@pytest.fixture(name="X", scope="module")
def features():
    X = np.random.default_rng(0).standard_normal((N, 4))
    return (X - X.mean(0)) / X.std(0)


@pytest.fixture(scope="module")
def y(X):
    y = X @ [1.0, -1.0, 0.3, 0.0] + 0.5 * np.random.default_rng(1).standard_normal(N)
    return (y - y.mean()) / y.std()


@pytest.fixture(scope="module")
def weight():
    return np.random.default_rng(2).uniform(0.2, 3.0, N)


@pytest.mark.parametrize(("l1", "l2"), [(0.1, 0.0), (0.0, 0.2), (0.05, 0.3)])
@pytest.mark.parametrize("is_weighted", [False, True])
def test_elastic_net(X, y, weight, l1, l2, is_weighted):
    weight = weight if is_weighted else None
    w, b = minimiser(X, y, l1=l1, l2=l2, weight=weight)
    if l1 == 0.0:
        n_rows = N if weight is None else weight.sum()
        model = Ridge(alpha=ridge_alpha(l2, n_rows))
    else:
        model = ElasticNet(**elasticnet_params(l1, l2), tol=1e-14, max_iter=100_000)
    model.fit(X, y, sample_weight=weight)
    np.testing.assert_allclose(model.coef_, w, atol=1e-7)
    assert model.intercept_ == pytest.approx(b, abs=1e-7)


def test_lasso_is_elastic_net_with_all_l1(X, y):
    w, _ = minimiser(X, y, l1=0.1, l2=0.0)
    np.testing.assert_allclose(Lasso(alpha=0.1, tol=1e-14).fit(X, y).coef_, w, atol=1e-7)


@pytest.mark.parametrize(("l1", "l2"), [(0.0, 0.0), (0.0, 0.05), (0.05, 0.0), (0.02, 0.05)])
@pytest.mark.parametrize("is_weighted", [False, True])
def test_logistic_regression(X, y, weight, l1, l2, is_weighted):
    weight = weight if is_weighted else None
    labels = (y + np.random.default_rng(3).standard_normal(N) > 0).astype(float)
    w, b = minimiser(X, labels, l1=l1, l2=l2, weight=weight, is_logistic=True)
    n_rows = N if weight is None else weight.sum()
    solver = "saga" if l1 else "newton-cholesky"
    model = LogisticRegression(
        **logistic_params(l1, l2, n_rows), solver=solver, tol=1e-10, max_iter=100_000, random_state=0
    ).fit(X, labels, sample_weight=weight)
    np.testing.assert_allclose(model.coef_[0], w, atol=1e-6)
    assert model.intercept_[0] == pytest.approx(b, abs=1e-6)


def test_a_target_in_its_own_unit(X, y):
    sd = 37.0
    l1, l2 = raw_target(0.05, 0.2, sd)
    scaled, _ = minimiser(X, y, l1=0.05, l2=0.2)
    raw = ElasticNet(**elasticnet_params(l1, l2), tol=1e-14, max_iter=100_000).fit(X, sd * y + 5)
    np.testing.assert_allclose(raw.coef_, sd * scaled, rtol=1e-7, atol=1e-7)
    wrapped = on_standardised_target(ElasticNet(**elasticnet_params(0.05, 0.2), tol=1e-14, max_iter=100_000))
    np.testing.assert_allclose(wrapped.fit(X, sd * y + 5).predict(X), raw.predict(X), rtol=1e-7)


def test_squared_error_without_the_half(X, y):
    rng = np.random.default_rng(4)
    said = Regularizer(l1=0.1, l2=0.3).to("pytorch", loss="mse")
    l1, l2 = said["loss + l1*sum(abs(w))"]["l1"], said["torch.optim.Adam"]["weight_decay"]
    for _ in range(5):
        w = rng.standard_normal(4)
        z = torch.tensor(X @ w)
        theirs = float(torch.nn.MSELoss()(z, torch.tensor(y))) + l1 * np.abs(w).sum() + l2 / 2 * w @ w
        ours = 0.5 * np.mean((X @ w - y) ** 2) + 0.1 * np.abs(w).sum() + 0.15 * w @ w
        assert theirs == pytest.approx(2 * ours, rel=1e-12)


@pytest.mark.parametrize("is_logistic", [False, True])
def test_perceptron_of_scikit_learn(X, y, is_logistic):
    target = (y > 0.1).astype(int) if is_logistic else y
    w, _ = minimiser(X, target, l1=0.0, l2=0.2, is_logistic=is_logistic)
    kind = MLPClassifier if is_logistic else MLPRegressor
    model = kind(
        hidden_layer_sizes=(),
        alpha=ridge_alpha(0.2, N),
        solver="lbfgs",
        tol=1e-14,
        max_iter=5000,
        random_state=0,
    ).fit(X, target)
    np.testing.assert_allclose(model.coefs_[0][:, 0], w, atol=1e-5)


def test_penalty_of_keras():
    w = np.random.default_rng(5).standard_normal(20)
    given = Regularizer(l1=0.1, l2=0.3).to("keras")["regularizers.L1L2"]
    # keras.regularizers.L1L2.__call__: l1 * sum(abs(x)) + l2 * sum(square(x))
    theirs = given["l1"] * np.abs(w).sum() + given["l2"] * np.square(w).sum()
    assert theirs == pytest.approx(0.1 * np.abs(w).sum() + 0.3 / 2 * w @ w, rel=1e-14)


@pytest.mark.parametrize(
    ("task", "l1", "l2", "expected"),
    [
        ("regression", 0.0, 0.0, LinearRegression),
        ("regression", 0.0, 0.1, Ridge),
        ("regression", 0.1, 0.0, SparseLasso),
        ("regression", 0.1, 0.1, SparseElasticNet),
        ("binary", 0.0, 0.0, LogisticRegression),
        ("binary", 0.0, 0.1, LogisticRegression),
        ("binary", 0.1, 0.0, SparseLogisticRegression),
        ("binary", 0.1, 0.1, SparseLogisticRegression),
        ("multiclass", 0.1, 0.0, SparseLogisticRegression),
    ],
)
def test_the_native_model_fits_without_a_warning(X, y, task, l1, l2, expected):
    model = linear_model(task=task, l1=l1, l2=l2, n_rows=N, seed=0)
    assert type(model) is expected
    noise = np.random.default_rng(6).standard_normal(N)
    target = {"regression": y, "binary": y + noise > 0, "multiclass": np.digitize(y + noise, [-0.8, 0.8])}[
        task
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.fit(X, target)
    if task == "binary":
        w, _ = minimiser(X, target.astype(float), l1=l1, l2=l2, is_logistic=True)
        np.testing.assert_allclose(model.coef_[0], w, atol=1e-3)
    if task == "regression":
        w, _ = minimiser(X, y, l1=l1, l2=l2)
        np.testing.assert_allclose(model.coef_, w, atol=1e-4)


@pytest.mark.parametrize("l2", [3e-7, 1e-5])
def test_weak_l2_of_separable_classes_is_trained_near_its_minimum(l2):
    rng = np.random.default_rng(0)
    factors = rng.standard_normal((400, 4))
    X = StandardScaler().fit_transform(
        factors @ rng.standard_normal((4, 30)) + 0.05 * rng.standard_normal((400, 30))
    )
    labels = (3 * factors @ rng.standard_normal((4, 6))).argmax(axis=1)

    def objective(model):
        model.fit(X, labels)
        return log_loss(labels, model.predict_proba(X)) + l2 / 2 * np.square(model.coef_).sum()

    lowest = objective(
        LogisticRegression(C=1 / (400 * l2), solver="newton-cholesky", tol=1e-9, max_iter=1_000)
    )
    ours = linear_model(task="multiclass", l1=0.0, l2=l2, n_rows=400)
    theirs = configured(LogisticRegression(), Strengths(l1=0.0, l2=l2, n_rows=400, n_classes=6))
    for model in (ours, theirs):
        assert objective(model) - lowest < 2 * LBFGS_GAP
