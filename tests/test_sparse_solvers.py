"""The fitted L1 models of ``build()`` and ``apply()`` are at the minimum of the objective."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from regadvisor.deadline import NEVER
from regadvisor.families.estimator.rules import Strengths, weights_up_to_one
from regadvisor.families.estimator.table import configured
from regadvisor.families.linear.build import linear_model
from regadvisor.families.linear.fit import solve
from regadvisor.families.linear.problem import Penalty, Problem

pytestmark = pytest.mark.usefixtures("exact_solvers")


def at_minimum(X: np.ndarray, y: np.ndarray, l1: float, weight: np.ndarray | None = None) -> np.ndarray:
    """Weights at the minimum, from our own solver, which has tests of its own."""
    weight = np.ones(len(y)) if weight is None else weight
    weight = weight / weight.sum()
    problem = Problem(
        X=np.asfortranarray(X - weight @ X), T=y[:, None].astype(float), weight=weight, is_classification=True
    )
    found = solve(problem, Penalty(l1=l1), deadline=NEVER)
    assert found.converged
    return found.W[:, 0]


@pytest.mark.parametrize("l1", [1e-2, 1e-3, 1e-4])
def test_l1_of_two_classes_is_at_its_minimum_on_collinear_columns(l1: float) -> None:
    X, y = load_breast_cancer(return_X_y=True)
    X = StandardScaler().fit_transform(X)
    model = linear_model(task="binary", l1=l1, l2=0.0, n_rows=len(y), seed=0).fit(X, y)
    W = at_minimum(X, y, l1)
    np.testing.assert_allclose(X @ (model.coef_[0] - W), np.mean(X @ (model.coef_[0] - W)), atol=0.05)


@pytest.mark.parametrize("solver", ["saga", "lbfgs"])
def test_class_weights_are_borne_by_every_solver(solver: str) -> None:
    rng = np.random.default_rng(20)
    X = rng.normal(size=(600, 25))
    y = (X[:, 0] + rng.normal(size=600) > 2.3).astype(int)
    weight = {0: 0.5, 1: 9.0}
    rows = np.where(y == 1, 9.0, 0.5)
    given = Strengths(
        l1=0.01, l2=0.0, n_rows=600, n_classes=2, class_weight=weight, mean_weight=float(rows.mean())
    )
    asked = LogisticRegression(class_weight=weight, solver=solver, tol=1e-5, random_state=0)
    model = configured(asked, given).fit(X, y)
    np.testing.assert_allclose(model.coef_[0], at_minimum(X, y, 0.01, rows), atol=2e-3)
    assert (model.solver == "saga") == (solver == "saga")  # the caller's word counts


def test_class_weights_divided_by_the_largest_are_the_same_objective() -> None:
    rng = np.random.default_rng(1)
    X, y = rng.normal(size=(100, 3)), rng.integers(0, 3, 100)
    weight = {0: 1.0, 1: 2.0, 2: 5.0}
    divided, largest = weights_up_to_one(weight)
    one = LogisticRegression(C=0.1, class_weight=weight, tol=1e-8).fit(X, y)
    other = LogisticRegression(C=0.1 * largest, class_weight=divided, tol=1e-8).fit(X, y)
    np.testing.assert_allclose(one.coef_, other.coef_, rtol=1e-4)
