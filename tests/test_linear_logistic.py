"""Logistic regression with an L1 part as build() returns it, against scikit-learn's own solver."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import sparse
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.utils.estimator_checks import parametrize_with_checks

from regadvisor.export.code import estimator_code
from regadvisor.families.linear import logistic
from regadvisor.families.linear.logistic import SparseLogisticRegression


def made(n_classes: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    X = rng.standard_normal((150, 6))
    X[np.abs(X) < 0.5] = 0.0
    scores = X @ rng.standard_normal((6, n_classes)) + rng.gumbel(size=(150, n_classes))
    return X + 1.0 * (X != 0), np.array(list("cab"))[scores.argmax(axis=1)], rng.uniform(0.2, 3.0, 150)


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("l1_ratio", [1.0, 0.4])
@pytest.mark.parametrize("options", [{}, {"fit_intercept": False}, {"class_weight": "balanced"}])
@pytest.mark.parametrize("is_sparse", [False, True])
def test_the_fit_is_that_of_saga(
    n_classes: int, l1_ratio: float, options: dict[str, Any], is_sparse: bool
) -> None:
    X, y, weight = made(n_classes)
    rows = sparse.csr_matrix(X) if is_sparse else X
    given = {"C": 0.3, "l1_ratio": l1_ratio, "solver": "saga", "tol": 1e-8, "max_iter": 20_000, **options}
    ours = SparseLogisticRegression(**given, random_state=0).fit(rows, y, sample_weight=weight)
    theirs = LogisticRegression(**given, random_state=0).fit(rows, y, sample_weight=weight)
    np.testing.assert_array_equal(ours.classes_, theirs.classes_)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=2e-4)
    np.testing.assert_allclose(ours.predict_proba(rows), theirs.predict_proba(rows), atol=2e-4)
    np.testing.assert_array_equal(ours.coef_ == 0, theirs.coef_ == 0)
    np.testing.assert_array_equal(X, made(n_classes)[0])


def test_the_minimum_is_reached_where_saga_stops_before_it() -> None:
    rng = np.random.default_rng(0)
    factors = rng.standard_normal((300, 3))
    X = factors @ rng.standard_normal((3, 20)) + 0.01 * rng.standard_normal((300, 20))
    y = (4 * factors @ rng.standard_normal((3, 4)) + rng.gumbel(size=(300, 4))).argmax(axis=1)

    def objective(model: Any) -> float:
        model.fit(X, y)
        return log_loss(y, model.predict_proba(X)) + np.abs(model.coef_).sum() / (300 * model.C)

    given = {"C": 50.0, "l1_ratio": 1.0, "solver": "saga", "tol": 1e-3, "max_iter": 1_000}
    ours, theirs = (
        objective(kind(**given, random_state=0)) for kind in (SparseLogisticRegression, LogisticRegression)
    )
    assert ours < theirs - 0.01


def test_what_does_not_converge_here_is_left_to_saga(monkeypatch: pytest.MonkeyPatch) -> None:
    X, y, _ = made(3)
    model = SparseLogisticRegression(C=0.3, l1_ratio=1.0, solver="saga", max_iter=5_000, random_state=0)
    solve = logistic.solve

    def failing(*arguments: Any, **options: Any) -> Any:
        found = solve(*arguments, **options)
        return type(found)(W=0 * found.W, b=found.b, converged=False)

    monkeypatch.setattr(logistic, "solve", failing)
    theirs = LogisticRegression(**model.get_params()).fit(X, y)
    np.testing.assert_array_equal(model.fit(X, y).coef_, theirs.coef_)


def test_scripts_have_scikit_learns_class_in_its_place_where_its_solver_comes_near() -> None:
    code = estimator_code(SparseLogisticRegression(C=0.5, l1_ratio=1.0, solver="saga", tol=1e-5))
    assert code.imports == ("from sklearn.linear_model import LogisticRegression",)
    assert code.expression == 'LogisticRegression(C=0.5, l1_ratio=1.0, tol=1e-05, solver="saga")'
    own = estimator_code(SparseLogisticRegression(C=0.5, l1_ratio=0.2, solver="saga", tol=1e-6))
    assert own.expression == 'SparseLogisticRegression(C=0.5, l1_ratio=0.2, tol=1e-06, solver="saga")'
    assert own.imports == ("from regadvisor.families.linear.logistic import SparseLogisticRegression",)


# They hold predictions near 0 to 1e-9; where gradients are within 1e-10, some processors leave 4e-9.
@parametrize_with_checks([SparseLogisticRegression(l1_ratio=1.0, solver="saga", tol=1e-12)])
def test_scikit_learn_s_checks(estimator: Any, check: Any) -> None:
    check(estimator)
