"""Sparse features stay sparse, and the solvers for many weights, against scikit-learn and dense fits."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from scipy import sparse
from sklearn.datasets import load_digits, load_iris
from sklearn.linear_model import ElasticNet, LogisticRegression, Ridge
from sklearn.metrics import log_loss
from sklearn.model_selection import KFold
from sklearn.preprocessing import StandardScaler

from regadvisor.data.source import make_table
from regadvisor.deadline import Deadline
from regadvisor.families.base import Fold, Job
from regadvisor.families.linear import data as linear_data
from regadvisor.families.linear.build import build_linear
from regadvisor.families.linear.family import LinearFamily
from regadvisor.families.linear.fit import solve
from regadvisor.families.linear.problem import Penalty, Problem
from regadvisor.families.linear.quadratic import minimise_quadratic, violation
from regadvisor.regularizer import Regularizer

pytestmark = pytest.mark.usefixtures("exact_solvers")

NEVER = Deadline.never()
FAMILY = LinearFamily()
TASKS = ("binary", "multiclass", "regression")


def words(n_rows=120, n_features=40, *, density=0.08, seed=0):
    """Return a sparse matrix of counts and a signal in its first columns."""
    rng = np.random.default_rng(seed)
    counts = sparse.random_array((n_rows, n_features), density=density, rng=rng).ceil().tocsc()
    signal = counts[:, :5] @ np.array([2.0, -2.0, 1.5, -1.0, 1.0]) + 0.7 * rng.standard_normal(n_rows)
    return sparse.csc_array(counts), signal


def target(signal, task):
    if task == "regression":
        return signal
    return np.digitize(signal, np.quantile(signal, [0.5] if task == "binary" else [1 / 3, 2 / 3]))


def sparse_and_dense(task, **shape):
    """Return the same weighted problem twice: sparse and uncentred, dense and centred."""
    X, signal = words(**shape)
    y = target(signal, task)
    weight = np.random.default_rng(1).uniform(0.5, 1.5, len(y))
    weight /= weight.sum()
    if task == "regression":
        mean = weight @ y
        T = ((y - mean) / np.sqrt(weight @ (y - mean) ** 2))[:, None]
    else:
        T = (y[:, None] == np.unique(y)).astype(float)
        T = T[:, 1:] if task == "binary" else T
    rest = {"T": T, "weight": weight, "is_classification": task != "regression"}
    full = X.toarray()
    return Problem(X=X, **rest), Problem(X=full - weight @ full, **rest)


def objective(problem, solution, penalty):
    Z = problem.predict(solution.W, solution.b)
    if problem.is_classification:
        return problem.evaluate(Z)[0] + penalty.value(solution.W)
    return float(problem.weight @ np.square(Z - problem.T)[:, 0]) / 2 + penalty.value(solution.W)


# ------------------------------------------------------------------------------------------- solvers


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("n_features", [40, 200])
@pytest.mark.parametrize(
    "penalty", [Penalty(l2=0.05), Penalty(l2=1e-3), Penalty(l1=0.01), Penalty(l1=0.003, l2=0.01)], ids=str
)
def test_sparse_features_have_the_solutions_of_dense_ones(task, n_features, penalty):
    few, full = sparse_and_dense(task, n_features=n_features)
    ours = solve(few, penalty, deadline=NEVER)
    dense = solve(full, penalty, deadline=NEVER)
    assert few.is_sparse
    assert ours.converged
    value = objective(full, dense, penalty)
    assert objective(few, ours, penalty) == pytest.approx(value, rel=1e-6)
    # Predictions, not intercepts: those belong to uncentred features here.
    gap = few.predict(ours.W, ours.b) - full.predict(dense.W, dense.b)
    shift = gap.mean(axis=1, keepdims=True) if task == "multiclass" else 0.0
    np.testing.assert_allclose(gap - shift, 0.0, atol=1e-3)


@pytest.mark.parametrize("n_features", [30, 300])
def test_sparse_ridge_is_scikit_learns(n_features):
    problem, _ = sparse_and_dense("regression", n_features=n_features)
    for l2 in (1.0, 0.05, 1e-3):
        ours = solve(problem, Penalty(l2=l2), deadline=NEVER)
        ridge = Ridge(alpha=l2, solver="svd")
        ridge.fit(problem.X.toarray(), problem.T[:, 0], sample_weight=problem.weight)
        np.testing.assert_allclose(ours.W[:, 0], ridge.coef_, rtol=1e-7, atol=1e-10)
        assert ours.b[0] == pytest.approx(ridge.intercept_, rel=1e-7)


@pytest.mark.parametrize("n_features", [30, 300])
def test_sparse_least_squares_is_the_dense_one(n_features):
    few, full = sparse_and_dense("regression", n_features=n_features)
    ours, dense = (solve(problem, Penalty(), deadline=NEVER) for problem in (few, full))
    assert ours.is_limit == dense.is_limit == (n_features == 300)
    np.testing.assert_allclose(ours.W, dense.W, atol=1e-6)


def test_sparse_elastic_nets_of_many_features_are_scikit_learns():
    problem, _ = sparse_and_dense("regression", n_rows=80, n_features=1500, density=0.03)
    l1, l2 = 0.05, 0.05
    ours = solve(problem, Penalty(l1=l1, l2=l2), deadline=NEVER)
    net = ElasticNet(alpha=l1 + l2, l1_ratio=0.5, tol=1e-10, max_iter=50_000)
    net.fit(problem.X.toarray(), problem.T[:, 0], sample_weight=problem.weight)
    np.testing.assert_allclose(ours.W[:, 0], net.coef_, atol=1e-5)


@pytest.mark.parametrize("l2", [1.0, 0.01, 1e-4])
def test_many_weights_with_l2_have_scikit_learns_objective(l2):
    X, y = load_digits(return_X_y=True)
    X, y = StandardScaler().fit_transform(X[:400]), y[:400]
    weight = np.full(400, 1 / 400)
    problem = Problem(X=X - weight @ X, T=np.eye(10)[y], weight=weight, is_classification=True)
    ours = solve(problem, Penalty(l2=l2), deadline=NEVER)
    model = LogisticRegression(C=1 / (400 * l2), tol=1e-9, max_iter=20_000, solver="newton-cg").fit(
        problem.X, y
    )
    theirs = problem.evaluate(model.decision_function(problem.X))[0] + l2 / 2 * np.square(model.coef_).sum()
    assert ours.converged
    assert objective(problem, ours, Penalty(l2=l2)) == pytest.approx(theirs, rel=1e-6)


@pytest.mark.parametrize("decades", [1, 2, 3.5])
@pytest.mark.parametrize("ratio", [0.0, 1.0])
def test_many_classes_with_l1_meet_the_optimality_conditions(decades, ratio):
    X, y = load_digits(return_X_y=True)
    X, y = StandardScaler().fit_transform(X[:200]), y[:200]
    weight = np.full(200, 1 / 200)
    problem = Problem(X=X - weight @ X, T=np.eye(10)[y], weight=weight, is_classification=True)
    l1 = problem.l1_max / 10**decades
    penalty = Penalty(l1=l1, l2=ratio * l1)
    ours = solve(problem, penalty, deadline=NEVER)
    residual = weight[:, None] * (problem.probabilities(problem.predict(ours.W, ours.b)) - problem.T)
    assert ours.converged
    assert violation(problem.X.T @ residual, ours.W, penalty).max() < 2e-6


def test_evaluate_is_scikit_learns_log_loss_and_the_probabilities():
    for task in ("binary", "multiclass"):
        problem, _ = sparse_and_dense(task)
        Z = 5 * np.random.default_rng(0).standard_normal(problem.T.shape)
        value, chances = problem.evaluate(Z)
        codes = problem.T.argmax(1) if task == "multiclass" else problem.T[:, 0]
        expected = log_loss(
            codes, chances if task == "multiclass" else chances[:, 0], sample_weight=problem.weight
        )
        assert value == pytest.approx(expected, rel=1e-9)
        np.testing.assert_allclose(chances, problem.probabilities(Z), rtol=1e-12)


def test_collinear_quadratics_are_minimised_to_the_conditions():
    rng = np.random.default_rng(0)
    base = rng.standard_normal((60, 6))
    A = base @ rng.standard_normal((6, 80)) + 1e-3 * rng.standard_normal((60, 80))
    t = A[:, 0] + rng.standard_normal(60)
    Q, q = A.T @ A / 60, A.T @ t / 60
    for l1 in (1.0, 0.1, 0.01):
        w, converged = minimise_quadratic(
            Q, q, penalty=Penalty(l1=l1), start=np.zeros(80), offset=float(t @ t) / 60, tol=1e-7, rounds=40
        )
        assert converged
        assert violation(Q @ w - q, w, Penalty(l1=l1)).max() <= 1e-7


def test_eigenvalues_of_sparse_features_are_those_of_dense_ones():
    few, full = sparse_and_dense("binary")
    exact = np.linalg.norm(np.sqrt(full.weight)[:, None] * full.X, 2) ** 2
    assert few.largest_eigenvalue == pytest.approx(exact, rel=0.02)
    assert few.l1_max == pytest.approx(full.l1_max, rel=1e-10)
    np.testing.assert_allclose(few.gram, full.gram, atol=1e-12)


# -------------------------------------------------------------------------------------------- family


def folds_of(n_rows, n_folds=3):
    split = KFold(n_folds, shuffle=True, random_state=0).split(np.zeros(n_rows))
    return [Fold(train=train, test=test) for train, test in split]


JOBS = [
    Job(regularizer=r) for r in (Regularizer(l2=0.02), Regularizer(l1=0.01), Regularizer(l1=0.01, l2=0.01))
]


@pytest.mark.parametrize("task", TASKS)
def test_a_table_of_words_is_stored_sparse_and_fitted_alike(task, monkeypatch):
    # Dense enough that no two words stand in just the same rows: L1 does not choose between such.
    X, signal = words(150, 210, density=0.09)
    table = make_table(X.toarray(), target(signal, task))
    prepared = FAMILY.prepare(table, folds_of(150), seed=0)
    fits = FAMILY.train(prepared, JOBS, deadline=NEVER)
    monkeypatch.setattr(linear_data, "SPARSE_SHARE", 0.0)
    dense = FAMILY.prepare(table, folds_of(150), seed=0)
    assert all(fold.problem.is_sparse for fold in map(prepared.fold, range(len(prepared.folds))))
    assert not any(fold.problem.is_sparse for fold in map(dense.fold, range(len(dense.folds))))
    for ours, theirs in zip(fits, FAMILY.train(dense, JOBS, deadline=NEVER), strict=True):
        np.testing.assert_allclose(ours.losses, theirs.losses, rtol=1e-3, atol=1e-4)
        assert ours.losses.mean() == pytest.approx(theirs.losses.mean(), rel=1e-5)
    np.testing.assert_allclose(prepared.constant_losses, dense.constant_losses)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("regularizer", [job.regularizer for job in JOBS], ids=str)
def test_the_model_built_for_sparse_rows_is_the_validated_one(task, regularizer):
    X, signal = words(100, 30, density=0.2)
    y = target(signal, task)
    table = make_table(sparse.csr_array(X), y)
    everything = np.arange(100)
    prepared = FAMILY.prepare(table, [Fold(train=everything, test=everything)], seed=0)
    (fit,) = FAMILY.train(prepared, [Job(regularizer=regularizer)], deadline=NEVER)
    model = build_linear(table.facts, regularizer, seed=0).fit(sparse.csr_array(X), y)
    if task == "regression":
        losses = (y - model.predict(sparse.csr_array(X))) ** 2 / y.var()
    else:
        losses = -np.log(model.predict_proba(sparse.csr_array(X))[everything, y])
    assert fit.losses.mean() == pytest.approx(losses.mean(), rel=1e-3)


def test_memory_is_far_below_that_of_dense_folds():
    X, signal = words(600, 10_000, density=1e-3)
    table = make_table(sparse.csr_array(X), target(signal, "binary"))
    tracemalloc.start()
    prepared = FAMILY.prepare(table, folds_of(600), seed=0)
    FAMILY.candidates(prepared)
    # L2 only: the Newton steps of L1 hold some squares of up to 1,500 active weights, whatever the data.
    FAMILY.train(prepared, JOBS[:1], deadline=NEVER)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # Training rows of all folds alone would be 96 MB.
    assert peak < 24e6


def test_some_folds_give_what_they_give_among_all():
    table = make_table(*load_iris(return_X_y=True))
    folds = folds_of(150, 4)
    prepared = FAMILY.prepare(table, folds, seed=0)
    everything = FAMILY.train(prepared, JOBS, deadline=NEVER)
    for fit, whole in zip(
        FAMILY.train(prepared, JOBS, deadline=NEVER, folds=[3, 1]), everything, strict=True
    ):
        for number, fold in enumerate(folds):
            expected = whole.losses[fold.test] if number in (1, 3) else np.full(len(fold.test), np.nan)
            np.testing.assert_array_equal(fit.losses[fold.test], expected)
        np.testing.assert_array_equal(np.isnan(fit.train_losses), [True, False, True, False])
        np.testing.assert_array_equal(fit.train_losses[[1, 3]], whole.train_losses[[1, 3]])


def test_a_fit_is_the_same_to_the_bit_alone_and_among_others():
    X, signal = words(120, 220, density=0.05)
    for task in TASKS:
        table = make_table(sparse.csr_array(X), target(signal, task))
        together = FAMILY.train(FAMILY.prepare(table, folds_of(120), seed=0), JOBS, deadline=NEVER)
        for job, fit in zip(JOBS, together, strict=True):
            (alone,) = FAMILY.train(FAMILY.prepare(table, folds_of(120), seed=0), [job], deadline=NEVER)
            np.testing.assert_array_equal(alone.losses, fit.losses)
