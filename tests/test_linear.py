"""The linear family against scikit-learn, closed forms and optimality conditions."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris, load_wine
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import ElasticNet, LogisticRegression, Ridge
from sklearn.metrics import log_loss
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from regadvisor import thresholds
from regadvisor.data.source import make_table
from regadvisor.deadline import Deadline, OutOfTimeError
from regadvisor.errors import DataError, StrengthError
from regadvisor.families.base import Fold, Job
from regadvisor.families.linear import data as linear_data
from regadvisor.families.linear.build import build_linear
from regadvisor.families.linear.family import LinearFamily
from regadvisor.families.linear.fit import solve
from regadvisor.families.linear.problem import Penalty, Problem
from regadvisor.families.linear.quadratic import minimise_quadratic, violation
from regadvisor.full_size import Rescaling
from regadvisor.regularizer import Regularizer

pytestmark = pytest.mark.usefixtures("exact_solvers")

NEVER = Deadline.never()
FAMILY = LinearFamily()


def a_problem(X, y, *, task, weight=None):
    weight = np.ones(len(X)) if weight is None else weight
    share = weight / weight.sum()
    X = StandardScaler().fit_transform(X)
    if task == "regression":
        mean = share @ y
        T = ((y - mean) / np.sqrt(share @ (y - mean) ** 2))[:, None]
    else:
        T = (y[:, None] == np.unique(y)).astype(float)
        T = T[:, 1:] if T.shape[1] == 2 else T
    return Problem(X=X - share @ X, T=T, weight=share, is_classification=task != "regression")


def some_folds(table, n_folds=3):
    splitter = StratifiedKFold if table.is_classification else KFold
    split = splitter(n_folds, shuffle=True, random_state=0).split(np.zeros(table.n_rows), table.y)
    return [Fold(train=train, test=test) for train, test in split]


def a_problem_named(task):
    """Weighted rows with overlapping classes, mild enough for SAGA to converge to 1e-8."""
    rng = np.random.default_rng(1)
    X = rng.standard_normal((150, 10)) + 0.5 * rng.standard_normal((150, 1))
    signal = X[:, 0] - X[:, 1] + 0.5 * X[:, 2] + rng.standard_normal(150)
    cuts = {"binary": [0.0], "multiclass": [-0.7, 0.7]}
    y = signal if task == "regression" else np.digitize(signal, cuts[task])
    return a_problem(X, y, task=task, weight=rng.uniform(0.5, 1.5, 150))


def a_collinear_problem(task):
    X, y = (load_breast_cancer if task == "binary" else load_wine)(return_X_y=True)
    return a_problem(X, y, task=task)


# ------------------------------------------------------------------------------------------- solvers


@pytest.mark.parametrize("task", ["binary", "multiclass"])
@pytest.mark.parametrize(("l1", "l2"), [(0.02, 0.0), (0.005, 0.0), (0.01, 0.01), (0.001, 0.01)])
def test_sparse_classifiers_are_sagas(task, l1, l2):
    problem = a_problem_named(task)
    ours = solve(problem, Penalty(l1=l1, l2=l2), deadline=NEVER)
    saga = LogisticRegression(
        solver="saga", C=1 / (l1 + l2), l1_ratio=l1 / (l1 + l2), tol=1e-8, max_iter=50_000, random_state=0
    )
    codes = problem.T[:, 0] if task == "binary" else problem.T.argmax(1)
    saga.fit(problem.X, codes, sample_weight=problem.weight)
    assert ours.converged
    np.testing.assert_allclose(ours.W.T, saga.coef_, atol=1e-3)
    np.testing.assert_array_equal(ours.W.T == 0, saga.coef_ == 0)
    theirs = problem.evaluate(saga.decision_function(problem.X).reshape(len(problem.X), -1))[0]
    assert problem.evaluate(problem.X @ ours.W + ours.b)[0] == pytest.approx(float(theirs), abs=1e-5)


@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_collinear_separable_classes_meet_the_optimality_conditions(task):
    problem = a_collinear_problem(task)
    penalties = [Penalty(l1=problem.l1_max * 10.0**-decades) for decades in range(5)]
    for penalty in penalties:
        solution = solve(problem, penalty, deadline=NEVER)
        chances = problem.probabilities(problem.X @ solution.W + solution.b)
        residual = problem.weight[:, None] * (chances - problem.T)
        assert solution.converged
        assert violation(problem.X.T @ residual, solution.W, penalty).max() < 2e-6
        assert np.abs(residual.sum(0)).max() < 2e-6


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_more_features_than_rows_meet_the_optimality_conditions(task):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 1200))
    signal = X[:, 0] - X[:, 1] + 0.5 * rng.standard_normal(60)
    y = signal if task == "regression" else np.digitize(signal, [0] if task == "binary" else [-0.7, 0.7])
    problem = a_problem(X, y, task=task)
    penalties = [Penalty(l1=problem.l1_max * share) for share in (0.5, 0.1, 0.01)]
    for penalty in penalties:
        solution = solve(problem, penalty, deadline=NEVER)
        Z = problem.X @ solution.W + solution.b
        mean = Z if task == "regression" else problem.probabilities(Z)
        gradient = problem.X.T @ (problem.weight[:, None] * (mean - problem.T))
        assert solution.converged
        assert violation(gradient, solution.W, penalty).max() < 1e-5
        assert 0 < np.count_nonzero(solution.W) < 300


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 10**6),
    n_features=st.integers(1, 12),
    n_rows=st.integers(2, 15),
    l1=st.floats(1e-3, 1.0),
    l2=st.sampled_from([0.0, 1e-3, 0.5]),
)
def test_quadratics_are_minimised(seed, n_features, n_rows, l1, l2):
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((n_rows, n_features))
    A[:, -1] += 10 * A[:, 0]
    t = rng.standard_normal(n_rows)
    Q, q = A.T @ A / n_rows, A.T @ t / n_rows
    penalty = Penalty(l1=l1, l2=l2)
    w, converged = minimise_quadratic(
        Q, q, penalty=penalty, start=np.zeros(n_features), offset=float(t @ t) / n_rows, tol=1e-8, rounds=40
    )
    assert converged
    assert violation(Q @ w - q, w, penalty).max() <= 1e-8
    model = ElasticNet(
        alpha=l1 + l2, l1_ratio=l1 / (l1 + l2), fit_intercept=False, tol=1e-12, max_iter=200_000
    )
    with warnings.catch_warnings():  # it crawls on near copies; still a bound
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(A, t)

    def objective(v):
        return np.sum((t - A @ v) ** 2) / (2 * n_rows) + penalty.value(v)

    assert objective(w) <= objective(model.coef_) + 1e-9


def test_ridge_is_scikit_learns_with_weights():
    problem = a_problem_named("regression")
    for l2 in (10.0, 0.1, 1e-4):
        ours = solve(problem, Penalty(l2=l2), deadline=NEVER)
        ridge = Ridge(alpha=l2, solver="svd").fit(problem.X, problem.T[:, 0], sample_weight=problem.weight)
        np.testing.assert_allclose(ours.W[:, 0], ridge.coef_, rtol=1e-9, atol=1e-12)
        assert ours.b[0] == pytest.approx(ridge.intercept_, abs=1e-12)


@pytest.mark.parametrize("n_features", [100, 700])
def test_least_squares_with_too_many_features_is_the_smallest(n_features):
    rng = np.random.default_rng(0)
    n_rows = n_features - 50
    problem = a_problem(
        rng.standard_normal((n_rows, n_features)), rng.standard_normal(n_rows), task="regression"
    )
    ours = solve(problem, Penalty(), deadline=NEVER)
    smallest = np.linalg.lstsq(problem.X, problem.T[:, 0], rcond=1e-10)[0]
    assert ours.is_limit
    np.testing.assert_allclose(ours.W[:, 0], smallest, atol=1e-7)


@pytest.mark.parametrize("task", ["binary", "multiclass"])
@pytest.mark.parametrize("n_features", [5, 80])
def test_l2_classifiers_are_scikit_learns(task, n_features):
    rng = np.random.default_rng(3)
    X = rng.standard_normal((50, n_features))
    y = np.digitize(X[:, 0] + rng.standard_normal(50), [0] if task == "binary" else [-0.5, 0.5])
    problem = a_problem(X, y, task=task, weight=rng.uniform(0.2, 2, 50))
    strengths = (1.0, 0.1, 0.01)
    found = [solve(problem, Penalty(l2=l2), deadline=NEVER) for l2 in strengths]
    for l2, ours in zip(strengths, found, strict=True):
        model = LogisticRegression(C=1 / l2, tol=1e-10, max_iter=10_000)
        model.fit(problem.X, y, sample_weight=problem.weight)
        np.testing.assert_allclose(ours.W.T, model.coef_, atol=1e-4)


def test_no_penalty_is_the_best_fit_where_it_exists():
    problem = a_problem_named("binary")
    few = Problem(X=problem.X[:, :3], T=problem.T, weight=problem.weight, is_classification=True)
    ours = solve(few, Penalty(), deadline=NEVER)
    model = LogisticRegression(C=np.inf, tol=1e-10, max_iter=10_000)
    model.fit(few.X, few.T[:, 0], sample_weight=few.weight * len(few.X))
    assert not ours.is_limit
    np.testing.assert_allclose(ours.W.T, model.coef_, rtol=1e-4)


@pytest.mark.parametrize("case", ["separable", "quasi-separable", "many classes"])
def test_no_penalty_is_a_limit_where_no_best_fit_exists(case):
    rng = np.random.default_rng(0)
    if case == "many classes":
        X, y = rng.standard_normal((60, 70)), np.arange(60) % 8
    else:
        X, y = rng.standard_normal((80, 3)), rng.integers(0, 2, 80)
        # A 0/1 column that is only ever 1 in one class: that weight grows without end.
        X[:, 0] = y if case == "separable" else (y == 1) & (rng.random(80) < 0.3)
    ours = solve(a_problem(X, y, task="classes"), Penalty(), deadline=NEVER)
    assert ours.is_limit
    assert ours.converged


@pytest.mark.parametrize("case", ["powers of a column", "many classes of skewed columns"])
def test_predictors_that_grow_are_no_limit_where_a_best_fit_exists(case: str) -> None:
    rng = np.random.default_rng(0)
    if case == "powers of a column":
        at = rng.uniform(size=1_000)
        X, y = (
            np.vander(at, 12)[:, :-1],
            np.digitize(at + 0.2 * rng.logistic(size=1_000), np.linspace(0, 1, 8)),
        )
    else:  # which iterations end for
        y = rng.integers(0, 24, 1_000)
        X = np.exp(1.5 * (0.3 * rng.standard_normal((24, 20))[y] + rng.standard_normal((1_000, 20))))
    X = (X - X.mean(0)) / X.std(0)
    ours = solve(a_problem(X, y, task="classes"), Penalty(), deadline=NEVER)
    assert not ours.is_limit
    assert ours.converged


def test_solvers_give_up_when_the_time_is_over():
    for task in ("binary", "multiclass", "regression"):
        with pytest.raises(OutOfTimeError):
            solve(a_problem_named(task), Penalty(l1=0.01), deadline=Deadline.after(0))


# -------------------------------------------------------------------------------------------- family


@pytest.mark.parametrize(
    ("load", "regularizer"),
    [
        (load_breast_cancer, Regularizer(l2=0.01)),
        (load_iris, Regularizer(l2=0.01)),
        (load_iris, Regularizer(l1=0.01)),
        (load_diabetes, Regularizer(l2=0.1)),
        (load_diabetes, Regularizer(l1=0.02, l2=0.02)),
        (load_diabetes, Regularizer()),
    ],
)
def test_row_losses_are_those_of_a_plain_loop_of_built_models(load, regularizer):
    X, y = load(return_X_y=True)
    table = make_table(X, y)
    folds = some_folds(table)
    prepared = FAMILY.prepare(table, folds, seed=0)
    (fit,) = FAMILY.train(prepared, [Job(regularizer=regularizer)], deadline=NEVER)
    strengths = regularizer.strengths()
    l1, l2 = strengths.get("l1", 0.0), strengths.get("l2", 0.0)
    for number, fold in enumerate(folds):
        n = len(fold.train)
        if table.is_classification:
            if l1:
                inner = LogisticRegression(
                    solver="saga", C=1 / (n * l1), l1_ratio=1, tol=1e-7, max_iter=50_000, random_state=0
                )
            else:
                inner = LogisticRegression(C=1 / (n * l2), tol=1e-9, max_iter=10_000)
            model = make_pipeline(StandardScaler(), inner).fit(X[fold.train], y[fold.train])
            chance = model.predict_proba(X[fold.test])[np.arange(len(fold.test)), y[fold.test]]
            expected = -np.log(chance)
            train = log_loss(y[fold.train], model.predict_proba(X[fold.train]))
        else:
            mean, sd = y[fold.train].mean(), y[fold.train].std()
            alpha = l1 + l2
            inner = (
                ElasticNet(alpha=alpha, l1_ratio=l1 / alpha, tol=1e-9, max_iter=100_000)
                if l1
                else Ridge(alpha=n * l2)
            )
            model = make_pipeline(StandardScaler(), inner).fit(X[fold.train], (y[fold.train] - mean) / sd)
            expected = (y[fold.test] - mean - sd * model.predict(X[fold.test])) ** 2 / y.var()
            train = np.mean((y[fold.train] - mean - sd * model.predict(X[fold.train])) ** 2) / y.var()
        np.testing.assert_allclose(fit.losses[fold.test], expected, rtol=1e-3, atol=1e-5)
        assert fit.train_losses[number] == pytest.approx(train, rel=1e-4)
    assert fit.converged


def test_constant_losses_are_those_of_the_training_shares():
    X, y = load_iris(return_X_y=True)
    table = make_table(X, y)
    folds = some_folds(table)
    prepared = FAMILY.prepare(table, folds, seed=0)
    for fold in folds:
        shares = np.bincount(y[fold.train], minlength=3) / len(fold.train)
        np.testing.assert_allclose(
            prepared.constant_losses[fold.test], -np.log(shares[y[fold.test]]), rtol=1e-9
        )


def test_constant_losses_of_a_regression_are_those_of_the_training_mean():
    X, y = load_diabetes(return_X_y=True)
    table = make_table(X, y)
    (fold, *_) = folds = some_folds(table)
    prepared = FAMILY.prepare(table, folds, seed=0)
    expected = (y[fold.test] - y[fold.train].mean()) ** 2 / y.var()
    np.testing.assert_allclose(prepared.constant_losses[fold.test], expected)


@pytest.mark.parametrize("regularizer", [Regularizer(l2=0.01), Regularizer(l1=0.01), Regularizer()])
def test_a_class_that_training_rows_lack_costs_the_floor(regularizer):
    X, y = load_iris(return_X_y=True)
    table = make_table(X, y)
    fold = Fold(train=np.arange(100), test=np.arange(100, 150))
    prepared = FAMILY.prepare(table, [fold], seed=0)
    (fit,) = FAMILY.train(prepared, [Job(regularizer=regularizer)], deadline=NEVER)
    assert np.isnan(fit.losses[:100]).all()
    np.testing.assert_allclose(fit.losses[100:], -np.log(thresholds.PROBABILITY_FLOOR))


def test_training_rows_of_one_class_give_the_constant():
    X, y = load_iris(return_X_y=True)
    fold = Fold(train=np.arange(50), test=np.arange(40, 60))
    prepared = FAMILY.prepare(make_table(X, y), [fold], seed=0)
    jobs = [Job(regularizer=r) for r in (Regularizer(), Regularizer(l2=0.1), Regularizer(l1=0.1))]
    for fit in FAMILY.train(prepared, jobs, deadline=NEVER):
        np.testing.assert_array_equal(fit.losses[40:50], 0.0)
        np.testing.assert_array_equal(fit.losses, prepared.constant_losses)


def test_weights_count_as_repeated_rows():
    X, y = load_breast_cancer(return_X_y=True)
    X, y = X[:150], y[:150]
    times = np.random.default_rng(0).integers(1, 4, 150)
    scale = StandardScaler().fit(np.repeat(X, times, axis=0))
    weighted = a_problem(X, y, task="binary", weight=times.astype(float))
    # The same scale on both sides: only the weights of the rows differ.
    centred = scale.transform(X) - (times / times.sum()) @ scale.transform(X)
    weighted = Problem(X=centred, T=weighted.T, weight=weighted.weight, is_classification=True)
    repeated = a_problem(np.repeat(X, times, axis=0), np.repeat(y, times), task="binary")
    for penalty in (Penalty(l2=0.01), Penalty(l1=0.01), Penalty(l1=0.01, l2=0.01)):
        one, other = (solve(problem, penalty, deadline=NEVER) for problem in (weighted, repeated))
        np.testing.assert_allclose(one.W, other.W, atol=1e-4)


def test_sample_weights_reach_the_training():
    X, y = load_diabetes(return_X_y=True)
    weight = np.random.default_rng(0).uniform(0.1, 3, len(y))
    fold = Fold(train=np.arange(300), test=np.arange(300, 442))
    prepared = FAMILY.prepare(make_table(X, y, sample_weight=weight), [fold], seed=0)
    (fit,) = FAMILY.train(prepared, [Job(regularizer=Regularizer(l2=0.05))], deadline=NEVER)
    scale = StandardScaler().fit(X[:300])
    ridge = Ridge(alpha=0.05 * weight[:300].sum()).fit(scale.transform(X[:300]), y[:300], weight[:300])
    expected = (y[300:] - ridge.predict(scale.transform(X[300:]))) ** 2 / y.var()
    np.testing.assert_allclose(fit.losses[300:], expected, rtol=1e-8)


def test_zeroed_features_are_named_by_share_of_folds():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((200, 6))
    table = make_table(X, 3 * X[:, 0] + 0.1 * rng.standard_normal(200))
    prepared = FAMILY.prepare(table, some_folds(table), seed=0)
    (fit,) = FAMILY.train(prepared, [Job(regularizer=Regularizer(l1=0.3))], deadline=NEVER)
    assert prepared.feature_names == ("x0", "x1", "x2", "x3", "x4", "x5")
    np.testing.assert_array_equal(fit.zeroed, [0, 1, 1, 1, 1, 1])


def test_sparse_and_dense_rows_give_the_same_fits():
    X, y = load_iris(return_X_y=True)
    jobs = [Job(regularizer=Regularizer(l2=0.01)), Job(regularizer=Regularizer(l1=0.01))]
    by_container = []
    for container in (X, sparse.csr_array(X)):
        table = make_table(container, y)
        prepared = FAMILY.prepare(table, some_folds(table), seed=0)
        by_container.append(FAMILY.train(prepared, jobs, deadline=NEVER))
    for dense, other in zip(*by_container, strict=True):
        np.testing.assert_allclose(dense.losses, other.losses, atol=1e-4)


def test_folds_too_large_for_memory_are_refused_with_advice(monkeypatch):
    monkeypatch.setattr(linear_data, "LARGEST_BYTES", 1000)
    table = make_table(*load_iris(return_X_y=True))
    with pytest.raises(DataError, match=r"must fit into .* got 150 rows x 4 features .* smaller sample"):
        FAMILY.prepare(table, some_folds(table), seed=0)


# ------------------------------------------------------------------------------- jobs and their deadline


def test_every_finished_job_is_reported_once_and_in_order():
    table = make_table(*load_iris(return_X_y=True))
    prepared = FAMILY.prepare(table, some_folds(table), seed=0)
    regularizers = [
        Regularizer(l1=0.01),
        Regularizer(),
        *(Regularizer(l2=l2) for l2 in (1.0, 0.1, 0.01, 1e-3, 1e-4)),
        Regularizer(l1=0.01, l2=0.1),
    ]
    jobs = [Job(regularizer=r, seed=seed) for seed, r in enumerate(regularizers)]
    heard = []
    fits = FAMILY.train(prepared, jobs, deadline=NEVER, on_fit=heard.append)
    assert [fit.job for fit in fits] == jobs
    assert {id(fit) for fit in heard} == {id(fit) for fit in fits}
    assert all(fit.fit_s > 0 for fit in fits)
    again = FAMILY.train(prepared, jobs, deadline=NEVER)
    for fit, same in zip(fits, again, strict=True):
        np.testing.assert_array_equal(fit.losses, same.losses)


def test_no_time_gives_no_fits():
    table = make_table(*load_iris(return_X_y=True))
    prepared = FAMILY.prepare(table, some_folds(table), seed=0)
    assert FAMILY.train(prepared, [Job(regularizer=Regularizer(l2=1.0))], deadline=Deadline.after(0)) == []


def test_nothing_the_caller_gave_is_written_to():
    X, y = load_breast_cancer(return_X_y=True)
    X.setflags(write=False)
    y.setflags(write=False)
    before = X.copy()
    table = make_table(X, y)
    prepared = FAMILY.prepare(table, some_folds(table), seed=0)
    FAMILY.train(prepared, [Job(regularizer=Regularizer(l1=0.01))], deadline=NEVER)
    np.testing.assert_array_equal(X, before)


def test_unknown_strengths_cannot_be_trained():
    table = make_table(*load_iris(return_X_y=True))
    prepared = FAMILY.prepare(table, some_folds(table), seed=0)
    with pytest.raises(StrengthError):
        FAMILY.train(prepared, [Job(regularizer=Regularizer.unknown("l2"))], deadline=NEVER)


# --------------------------------------------------------------------------- ranges, defaults, full size


@pytest.mark.parametrize("load", [load_iris, load_diabetes])
def test_candidates_cover_their_ranges(load):
    table = make_table(*load(return_X_y=True))
    prepared = FAMILY.prepare(table, some_folds(table), seed=0)
    candidates = FAMILY.candidates(prepared)
    assert tuple(candidates) == FAMILY.kinds
    assert candidates["none"].portfolio == ({},)
    for kind in ("l2", "l1", "elasticnet"):
        candidate = candidates[kind]
        assert 8 <= len(candidate.portfolio) <= 12
        assert all(candidate.regularizer(point).kind == kind for point in candidate.portfolio)
    for kind in ("l2", "l1"):
        span = candidates[kind].ranges[kind]
        first = sorted(
            np.log(point[kind] / span.low) / np.log(span.high / span.low)
            for point in candidates[kind].portfolio[:3]
        )
        np.testing.assert_allclose(first, [0.25, 0.5, 0.75])
    # The range is that of the fold that is trained first.
    strongest = Job(regularizer=Regularizer(l1=candidates["l1"].ranges["l1"].high))
    (none_left,) = FAMILY.train(prepared, [strongest], deadline=NEVER, folds=[0])
    np.testing.assert_array_equal(none_left.zeroed, 1.0)
    rows = prepared.folds[0].test
    np.testing.assert_allclose(none_left.losses[rows], prepared.constant_losses[rows], atol=1e-5)


def test_the_portfolio_comes_near_a_dense_grid():
    X, y = load_diabetes(return_X_y=True)
    table = make_table(X, y)
    prepared = FAMILY.prepare(table, some_folds(table, 5), seed=0)
    candidates = FAMILY.candidates(prepared)

    def best(kind, points):
        jobs = [Job(regularizer=candidates[kind].regularizer(point)) for point in points]
        return min(fit.losses.mean() for fit in FAMILY.train(prepared, jobs, deadline=NEVER))

    for kind in ("l2", "l1"):
        span = candidates[kind].ranges[kind]
        dense = best(kind, [{kind: span.at(share)} for share in np.linspace(0, 1, 60)])
        assert best(kind, candidates[kind].portfolio) <= 1.01 * dense


def test_strengths_fall_with_the_rows():
    table = make_table(*load_iris(return_X_y=True))
    prepared = FAMILY.prepare(table, some_folds(table), seed=0)
    (fit,) = FAMILY.train(prepared, [Job(regularizer=Regularizer(l1=0.1, l2=0.1))], deadline=NEVER)
    found, sentence = FAMILY.at_full_size(fit, Rescaling(n_sample=100, n_rows=400, n_features=3))
    assert (found.l1, found.l2) == pytest.approx((0.1 / 4**0.85, 0.025))
    assert "L2 falls as 1/n, L1 as n^-0.85" in sentence
    same = FAMILY.at_full_size(fit, Rescaling(n_sample=150, n_rows=150, n_features=3))
    assert same == (fit.job.regularizer, None)


def test_defaults_are_scikit_learns_c_and_the_universal_threshold():
    assert FAMILY.defaults("none", n_rows=100, n_features=10) == Regularizer()
    assert FAMILY.defaults("l2", n_rows=100, n_features=10).l2 == 1 / 100
    # Pure noise: nearly always nothing is selected; the largest gradient is below the threshold.
    rng = np.random.default_rng(0)
    l1 = FAMILY.defaults("l1", n_rows=400, n_features=200).l1
    X = StandardScaler().fit_transform(rng.standard_normal((400, 200)))
    largest = [np.abs(X.T @ (0.5 * rng.standard_normal(400)) / 400).max() for _ in range(200)]
    assert np.mean(np.array(largest) < l1) > 0.7
    assert FAMILY.defaults("elasticnet", n_rows=400, n_features=200).l1 == l1 / 2


def test_costs_grow_with_the_rows():
    table = make_table(*load_iris(return_X_y=True))
    prepared = FAMILY.prepare(table, some_folds(table), seed=0)
    costs = FAMILY.probe(prepared)
    assert 0 < costs.job_s(150) <= costs.job_s(15_000)
    assert 0 < costs.full_run_s(150) <= costs.full_run_s(15_000)
    (fit,) = FAMILY.train(prepared, [Job(regularizer=Regularizer(l2=0.1))], deadline=NEVER)
    assert FAMILY.training(fit, n_sample=150, n_rows=150, seed=7).seed == 7
    only_l1 = LinearFamily(("none", "l1")).probe(prepared)  # as of Lasso
    assert 0 < only_l1.full_run_s(150) <= only_l1.full_run_s(15_000)


@pytest.mark.parametrize("load", [load_wine, load_diabetes])
@pytest.mark.parametrize(
    "regularizer", [Regularizer(l2=0.05), Regularizer(l1=0.02), Regularizer(l1=0.01, l2=0.02)]
)
def test_the_built_model_is_the_validated_one(load, regularizer):
    X, y = load(return_X_y=True)
    table = make_table(X, y)
    everything = np.arange(len(y))
    prepared = FAMILY.prepare(table, [Fold(train=everything, test=everything)], seed=0)
    (fit,) = FAMILY.train(prepared, [Job(regularizer=regularizer)], deadline=NEVER)
    model = build_linear(table.facts, regularizer, seed=0).fit(X, y)
    if table.is_classification:
        losses = -np.log(model.predict_proba(X)[everything, y])
    else:
        losses = (y - model.predict(X)) ** 2 / y.var()
    np.testing.assert_allclose(fit.losses.mean(), losses.mean(), rtol=1e-3)
