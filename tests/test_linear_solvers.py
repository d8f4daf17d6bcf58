"""The parts of the linear solvers: curvature, spectrum, ladder, sweeps, exact steps and their deadline."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse
from sklearn.linear_model import ElasticNet, LogisticRegression

from regadvisor.deadline import Deadline, OutOfTimeError
from regadvisor.families.linear.fit import STRIDE, solve
from regadvisor.families.linear.newton import curvature_at
from regadvisor.families.linear.problem import FEWEST_FOR_GRAM, Penalty, Problem, spectrum_of
from regadvisor.families.linear.quadratic import minimise_quadratic, sweep, violation

pytestmark = pytest.mark.usefixtures("exact_solvers")

NEVER = Deadline.never()
TASKS = ("binary", "multiclass", "regression")


def a_problem(task, n_rows=90, n_features=60, *, collinear=0.0, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n_rows, n_features)) + collinear * rng.standard_normal((n_rows, 1))
    signal = X[:, :5] @ [2.0, -1.5, 1.0, 1.0, -1.0] + rng.standard_normal(n_rows)
    weight = rng.uniform(0.5, 1.5, n_rows)
    weight /= weight.sum()
    if task == "regression":
        centred = signal - weight @ signal
        T = (centred / np.sqrt(weight @ centred**2))[:, None]
    else:
        codes = np.digitize(signal, np.quantile(signal, [0.5] if task == "binary" else [1 / 3, 2 / 3]))
        T = (codes[:, None] == np.unique(codes)).astype(float)
        T = T[:, 1:] if task == "binary" else T
    return Problem(X=X - weight @ X, T=T, weight=weight, is_classification=task != "regression")


# ------------------------------------------------------------------------------------------- curvature


@pytest.mark.parametrize("task", ["binary", "multiclass"])
@pytest.mark.parametrize("is_sparse", [False, True])
def test_curvature_is_that_of_finite_differences(task, is_sparse):
    problem = a_problem(task, n_features=6)
    rng = np.random.default_rng(1)
    W, b = rng.normal(size=(6, problem.n_outputs)), rng.normal(size=problem.n_outputs)
    j = np.tile([0, 2, 5], problem.n_outputs)
    k = np.repeat(np.arange(problem.n_outputs), 3)

    def best_gradient(step):
        """The gradient in the active weights where the intercepts minimise the loss."""
        there, c = W.copy(), b.copy()
        there[j, k] += step
        for _ in range(60):
            P = problem.probabilities(problem.X @ there + c)
            R = problem.weight[:, None] * (P - problem.T)
            H = np.diag(problem.weight @ P) - P.T @ (problem.weight[:, None] * P)
            if problem.n_outputs == 1:
                H = problem.weight[:, None].T @ (P * (1 - P))
            c = c - np.linalg.lstsq(H, R.sum(0), rcond=1e-10)[0]
        return (problem.X.T @ R)[j, k], c

    # The model is exact where the intercepts are at their best, so it is asked there.
    _, b_best = best_gradient(np.zeros(len(j)))
    P = problem.probabilities(problem.X @ W + b_best)
    X = sparse.csc_array(problem.X) if is_sparse else problem.X
    model = curvature_at(X, problem.weight, P, (j, k))
    steps = 1e-5 * np.eye(len(j))
    columns = [(best_gradient(step)[0] - best_gradient(-step)[0]) / 2e-5 for step in steps]
    np.testing.assert_allclose(model.H, np.array(columns).T, atol=1e-7)


def test_curvature_of_all_weights_is_that_of_each():
    for task in ("binary", "multiclass"):
        problem = a_problem(task, n_features=5)
        P = problem.probabilities(problem.X @ np.ones((5, problem.n_outputs)))
        j = np.tile(np.arange(5), problem.n_outputs)
        k = np.repeat(np.arange(problem.n_outputs), 5)
        named = curvature_at(problem.X, problem.weight, P, (j, k))
        np.testing.assert_allclose(curvature_at(problem.X, problem.weight, P).H, named.H, atol=1e-14)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("is_sparse", [False, True])
@pytest.mark.parametrize("penalty", [Penalty(l2=0.02), Penalty(l1=0.02), Penalty(l1=0.01, l2=0.05)])
def test_without_an_intercept_the_minimum_is_scikit_learn_s(task, is_sparse, penalty):
    centred = a_problem(task, n_features=12)
    X, weight, T = centred.X + 1.5, centred.weight, centred.T
    X = np.where(X > 1.5, X, 0.0) if is_sparse else X
    T = T + 0.7 if task == "regression" else T
    matrix = sparse.csc_array(X) if is_sparse else X
    problem = replace(centred, X=matrix, T=T, has_intercept=False)
    found = solve(problem, penalty, deadline=NEVER)
    assert found.converged
    np.testing.assert_array_equal(found.b, 0.0)
    strength = penalty.l1 + penalty.l2
    common = {"l1_ratio": penalty.l1 / strength, "fit_intercept": False, "tol": 1e-10, "max_iter": 100_000}
    if task == "regression":
        model = ElasticNet(alpha=strength, **common)
        y = T[:, 0]
    else:
        model = LogisticRegression(C=1 / strength, solver="saga", random_state=0, **common)
        y = T.argmax(1) if task == "multiclass" else T[:, 0]
    scale = len(y) if task == "regression" else 1.0
    model.fit(X, y, sample_weight=scale * weight)
    np.testing.assert_allclose(found.W.T, np.atleast_2d(model.coef_), atol=1e-4)


# -------------------------------------------------------------------------------------------- spectrum


@pytest.mark.parametrize("shape", [(40, 12), (12, 40), (450, 430), (430, 900)])
def test_directions_are_the_features_rotated(shape):
    rng = np.random.default_rng(0)
    X, weight = rng.standard_normal(shape), rng.uniform(0.5, 1.5, shape[0])
    weight /= weight.sum()
    X -= weight @ X
    found = spectrum_of(X, weight)
    # Centring takes one direction of a wide table away.
    assert found.rows.shape == (shape[0], min(shape[0] - 1, shape[1]))
    expected = np.linalg.svd(np.sqrt(weight)[:, None] * X, compute_uv=False)[: len(found.s)]
    np.testing.assert_allclose(found.s, expected, rtol=1e-6)
    V = rng.normal(size=(len(found.s), 2))
    np.testing.assert_allclose(X @ found.weights(V), found.rows @ V, atol=1e-6)
    np.testing.assert_allclose(np.square(found.rows).T @ weight, found.s**2, rtol=1e-6)


@pytest.mark.parametrize("n_features", [5, FEWEST_FOR_GRAM + 50, 2 * FEWEST_FOR_GRAM + 50])
def test_features_that_never_vary_get_no_weight(n_features):
    n_rows = FEWEST_FOR_GRAM + 20
    T = np.random.default_rng(0).standard_normal((n_rows, 1))
    weight = np.full(n_rows, 1 / n_rows)
    problem = Problem(
        X=np.zeros((n_rows, n_features)), T=T - T.mean(), weight=weight, is_classification=False
    )
    for penalty in (Penalty(), Penalty(l2=0.1), Penalty(l1=0.1)):
        solution = solve(problem, penalty, deadline=NEVER)
        np.testing.assert_array_equal(solution.W, 0.0)


# ---------------------------------------------------------------------------------------------- ladder


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("is_sparse", [False, True])
def test_what_was_fitted_before_changes_no_bit(task, is_sparse):
    problem = a_problem(task, collinear=1.0)
    if is_sparse:
        problem = replace(problem, X=sparse.csc_array(np.where(problem.X > 1, problem.X, 0.0)))
    penalties = [
        Penalty(l1=problem.l1_max * share, l2=ratio * problem.l1_max * share)
        for share, ratio in ((0.5, 0.0), (0.1, 1.0), (0.02, 0.0), (0.003, 3.0))
    ]
    used = replace(problem)
    backwards = [solve(used, penalty, deadline=NEVER) for penalty in penalties[::-1]][::-1]
    for penalty, other in zip(penalties, backwards, strict=True):
        alone = solve(replace(problem), penalty, deadline=NEVER)
        np.testing.assert_array_equal(alone.W, other.W)
        np.testing.assert_array_equal(alone.b, other.b)


def test_the_ladder_goes_no_further_than_needed():
    problem = a_problem("binary")
    solve(problem, Penalty(l1=problem.l1_max / STRIDE**2.5), deadline=NEVER)
    assert len(problem.ladder) == 2
    solve(problem, Penalty(l1=problem.l1_max * 2), deadline=NEVER)
    assert len(problem.ladder) == 2
    solve(problem, Penalty(l1=problem.l1_max / STRIDE**4.5), deadline=NEVER)
    assert len(problem.ladder) == 4


# ----------------------------------------------------------------------------------------------- sweeps


@pytest.mark.parametrize(("l1", "l2"), [(0.05, 0.0), (0.02, 0.03)])
def test_sweeps_are_scikit_learns_weighted_elastic_net(l1, l2):
    rng = np.random.default_rng(0)
    X = sparse.random_array((80, 30), density=0.2, rng=rng).tocsc()
    y, weight = X[:, :3].sum(axis=1) + 0.3 * rng.standard_normal(80) + 5, rng.uniform(0.2, 2, 80)
    weight /= weight.sum()
    w, b = sweep(
        sparse.csc_array(X), y, weight, Penalty(l1=l1, l2=l2), (np.zeros(30), 0.0), tol=1e-10, passes=5_000
    )
    net = ElasticNet(alpha=l1 + l2, l1_ratio=l1 / (l1 + l2), tol=1e-12, max_iter=50_000)
    net.fit(X.toarray(), y, sample_weight=weight)
    np.testing.assert_allclose(w, net.coef_, atol=1e-6)
    assert b == pytest.approx(net.intercept_, abs=1e-6)


# --------------------------------------------------------------------------------- exact steps and time


@pytest.mark.parametrize("l2", [0.0, 1e-3])
@pytest.mark.parametrize("decades", [1, 2, 3])
def test_quadratics_of_nearly_equal_features_are_minimised(l2, decades):
    rng = np.random.default_rng(3)
    # Smooth curves: neighbours are as good as equal, as in spectra.
    A = np.cumsum(np.cumsum(rng.standard_normal((100, 150)), axis=1), axis=1)
    A = (A - A.mean(0)) / A.std(0)
    t = A[:, 20] - A[:, 90] + rng.standard_normal(100)
    Q, q = A.T @ A / 100, A.T @ t / 100
    penalty = Penalty(l1=float(np.abs(q).max()) / 10**decades, l2=l2)
    w, converged = minimise_quadratic(
        Q, q, penalty=penalty, start=np.zeros(150), offset=float(t @ t) / 100, tol=1e-8, rounds=40
    )
    assert converged
    assert violation(Q @ w - q, w, penalty).max() <= 1e-8
    assert 0 < np.count_nonzero(w) < 150


def test_a_quadratic_looks_at_the_clock():
    rng = np.random.default_rng(0)
    A = rng.standard_normal((30, 200)) + 10 * rng.standard_normal((30, 1))
    Q, q = A.T @ A / 30, A.T @ rng.standard_normal(30) / 30
    with pytest.raises(OutOfTimeError):
        minimise_quadratic(
            Q,
            q,
            penalty=Penalty(l1=1e-4),
            start=np.zeros(200),
            offset=1.0,
            tol=1e-10,
            rounds=5,
            deadline=Deadline.after(0),
        )


@pytest.mark.parametrize("task", ["binary", "multiclass"])
@pytest.mark.parametrize("n_features", [8, 120])
def test_weak_l2_on_separable_classes_is_scikit_learns(task, n_features):
    problem = a_problem(task, n_rows=60, n_features=n_features, collinear=2.0)
    for l2 in (1e-2, 1e-4):
        ours = solve(problem, Penalty(l2=l2), deadline=NEVER)
        model = LogisticRegression(C=1 / l2, tol=1e-10, max_iter=20_000, solver="newton-cg")
        codes = problem.T.argmax(1) if task == "multiclass" else problem.T[:, 0]
        model.fit(problem.X, codes, sample_weight=problem.weight)
        assert ours.converged
        np.testing.assert_allclose(ours.W.T, model.coef_, atol=2e-4)


# ------------------------------------------------------------------------------------------- benchmark


def test_the_benchmark_holds_solvers_against_the_lowest_objective(monkeypatch):
    folder = Path(__file__).parent.parent / "benchmarks"
    monkeypatch.syspath_prepend(str(folder))
    before = set(sys.modules)
    try:
        import linear_speed

        task = linear_speed.Task(
            name="toy",
            problem=a_problem("binary", n_features=6),
            penalties=(Penalty(l1=0.05), Penalty(l1=0.01)),
        )
        own = linear_speed.ours(task)
        best = task.objectives(own(1e-10))
        np.testing.assert_allclose(task.objectives(linear_speed.saga(task, 60.0)(1e-8)), best, rtol=1e-7)
        far = linear_speed.measure(task, lambda tol: [(W + 1, b) for W, b in own(tol)], best, limit_s=60.0)
        assert far.gap > linear_speed.GAP
        assert "gap" in far.cell(1.0)
        assert linear_speed.measure(task, own, best, limit_s=60.0).gap <= linear_speed.GAP
    finally:
        for name in set(sys.modules) - before:
            if str(folder) in str(getattr(sys.modules[name], "__file__", "")):
                del sys.modules[name]


# ------------------------------------------------------------------------------- as a search needs them


@pytest.mark.parametrize("kind", ["binary", "multiclass"])
@pytest.mark.parametrize("n_features", [6, 60, 700])
@pytest.mark.parametrize(
    "penalty", [Penalty(l2=1e-3), Penalty(l2=1e-2), Penalty(l1=3e-3), Penalty(l1=1e-3, l2=1e-2)]
)
def test_a_search_has_objectives_within_a_tenth_of_a_thousandth(kind, n_features, penalty, monkeypatch):
    """Newton's method, its working sets and L-BFGS, on 150 collinear rows; exact ones are tested above."""
    problem = a_problem(kind, n_rows=150, n_features=n_features, collinear=1.0)

    def objective():
        solution = solve(replace(problem), penalty, deadline=NEVER)
        assert solution.converged
        return problem.evaluate(problem.predict(solution.W, solution.b))[0] + penalty.value(solution.W)

    exact = objective()
    monkeypatch.undo()
    assert -1e-9 <= objective() / exact - 1 <= 1e-4


@pytest.mark.parametrize("penalty", [Penalty(l1=0.01), Penalty(l1=0.003, l2=0.01)])
def test_very_many_classes_get_scikit_learns_solution(penalty):
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(25, 8))
    y = np.arange(300) % 25
    X = centres[y] + rng.normal(size=(300, 8))
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    weight = np.full(300, 1 / 300)
    problem = Problem(X=np.asfortranarray(X), T=np.eye(25)[y], weight=weight, is_classification=True)
    own = solve(problem, penalty, deadline=NEVER)
    strength = penalty.l1 + penalty.l2
    model = LogisticRegression(
        C=1 / (300 * strength), l1_ratio=penalty.l1 / strength, solver="saga", tol=1e-8, max_iter=20_000
    ).fit(X, y)
    assert own.converged
    assert 0 < np.count_nonzero(own.W) < own.W.size
    Z = X @ model.coef_.T + model.intercept_
    theirs = problem.evaluate(Z)[0] + penalty.value(model.coef_.T)
    assert problem.evaluate(problem.predict(own.W, own.b))[0] + penalty.value(own.W) == pytest.approx(
        theirs, rel=1e-4
    )
