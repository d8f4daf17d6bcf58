"""Least squares with an L1 part as build() returns it: scikit-learn's objective, by our own solver."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import sparse
from sklearn.linear_model import ElasticNet, Lasso
from sklearn.utils.estimator_checks import parametrize_with_checks

from regadvisor.export.code import estimator_code
from regadvisor.families.linear import least_squares
from regadvisor.families.linear.least_squares import SparseElasticNet, SparseLasso
from regadvisor.families.linear.problem import Solution


def made(n_targets: int = 1) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    r = np.random.default_rng(0)
    X = r.normal(3.0, 2.0, size=(80, 12)) * (r.random((80, 12)) < 0.7)
    Y = 50 * X[:, :n_targets] - 30 * X[:, [5]] + 20 * r.normal(size=(80, n_targets)) + 1000
    return X, Y[:, 0] if n_targets == 1 else Y


@pytest.mark.parametrize("options", [{}, {"fit_intercept": False}, {"alpha": 40.0}])
@pytest.mark.parametrize("form", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize(("n_targets", "weighted"), [(1, False), (1, True), (2, False)])
def test_the_fit_is_that_of_scikit_learn(options, form, n_targets, weighted) -> None:
    X, y = made(n_targets)
    weight = np.random.default_rng(1).integers(0, 3, size=80).astype(float) if weighted else None
    for ours, theirs in ((SparseLasso, Lasso), (SparseElasticNet, ElasticNet)):
        given = {"alpha": 2.0, **options}
        own = ours(**given).fit(form(X), y, sample_weight=weight)
        exact = theirs(**given, tol=1e-12, max_iter=100_000).fit(X, y, sample_weight=weight)
        np.testing.assert_allclose(own.coef_, exact.coef_, atol=2e-3)
        np.testing.assert_allclose(own.predict(form(X)), exact.predict(X), rtol=1e-4)
        assert np.shape(own.intercept_) == np.shape(exact.intercept_)
        np.testing.assert_array_equal(own.coef_ == 0, exact.coef_ == 0)


def test_arguments_are_checked_and_one_column_of_targets_is_one_target() -> None:
    X, y = made()
    with pytest.raises(ValueError, match="l1_ratio"):
        SparseElasticNet(l1_ratio=2.0).fit(X, y)
    own, theirs = (kind(alpha=2.0).fit(X, y[:, None]) for kind in (SparseLasso, Lasso))
    assert own.coef_.shape == theirs.coef_.shape
    assert own.predict(X).shape == theirs.predict(X).shape


def test_the_minimum_is_reached_on_collinear_columns_where_coordinate_descent_stops() -> None:
    r = np.random.default_rng(0)
    bumps = np.exp(-0.5 * ((np.arange(200) - np.linspace(0, 200, 12)[:, None]) / 25) ** 2)  # as in spectra
    X = r.normal(size=(60, 12)) @ bumps + 1e-3 * r.normal(size=(60, 200))
    y = X @ np.r_[np.ones(50), -np.ones(150)] + 0.05 * r.normal(size=60)
    X, y = (X - X.mean(0)) / X.std(0), (y - y.mean()) / y.std()
    own, theirs = (
        float(np.square(y - model.predict(X)).mean() / 2 + 1e-4 * np.abs(model.coef_).sum())
        for model in (kind(alpha=1e-4).fit(X, y) for kind in (SparseLasso, Lasso))
    )
    assert own < 0.98 * theirs


@pytest.mark.parametrize("options", [{"positive": True}, {"warm_start": True}, {"alpha": 3.0}])
def test_what_is_not_for_our_solver_is_left_to_scikit_learns(
    options, monkeypatch: pytest.MonkeyPatch
) -> None:
    X, y = made()
    if "alpha" in options:
        lost = Solution(W=np.zeros((12, 1)), b=np.zeros(1), converged=False)
        monkeypatch.setattr(least_squares, "solve", lambda *_, **__: lost)
    theirs = Lasso(**options).fit(X, y)
    np.testing.assert_array_equal(SparseLasso(**options).fit(X, y).coef_, theirs.coef_)


def test_scripts_have_scikit_learns_classes_in_their_place() -> None:
    assert estimator_code(SparseLasso(alpha=0.5)).expression == "Lasso(alpha=0.5)"
    code = estimator_code(SparseElasticNet(l1_ratio=0.2))
    assert (code.expression, code.imports) == (
        "ElasticNet(l1_ratio=0.2)",
        ("from sklearn.linear_model import ElasticNet",),
    )


@parametrize_with_checks([SparseLasso(alpha=0.1), SparseElasticNet(alpha=0.1)])
def test_they_are_scikit_learn_estimators(estimator, check) -> None:
    check(estimator)
