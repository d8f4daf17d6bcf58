"""What the linear solvers do with odd problems, failures and deadlines, and what they leave untouched."""

from __future__ import annotations

import threading
import warnings
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from scipy import sparse
from sklearn.linear_model import LogisticRegression

from regadvisor.deadline import Deadline, OutOfTimeError
from regadvisor.families.linear import fit as linear_fit
from regadvisor.families.linear import newton as linear_newton
from regadvisor.families.linear import smooth as linear_smooth
from regadvisor.families.linear.family import linear_candidates
from regadvisor.families.linear.fit import solve
from regadvisor.families.linear.problem import Penalty, Problem

pytestmark = pytest.mark.usefixtures("exact_solvers")

NEVER = Deadline.never()
TASKS = ("binary", "multiclass", "regression")
PENALTIES = [Penalty(), Penalty(l2=0.05), Penalty(l1=0.02), Penalty(l1=0.01, l2=0.01)]


def a_problem(task, n_rows=80, n_features=30, *, is_sparse=False, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n_rows, n_features))
    signal = X[:, :3].sum(axis=1) + rng.standard_normal(n_rows)
    weight = rng.uniform(0.5, 1.5, n_rows)
    weight /= weight.sum()
    X = sparse.csc_array(np.where(X > 1, X, 0.0)) if is_sparse else X - weight @ X
    if task == "regression":
        T = signal[:, None] - weight @ signal
    else:
        codes = np.digitize(signal, [0.0] if task == "binary" else [-1.0, 1.0])
        T = (codes[:, None] == np.unique(codes)).astype(float)
        T = T[:, 1:] if task == "binary" else T
    return Problem(X=X, T=T, weight=weight, is_classification=task != "regression")


def with_idle_features(problem):
    """The same with two features that never vary."""
    full = problem.X.toarray() if problem.is_sparse else problem.X
    full = np.hstack([full, np.zeros((len(full), 2))])
    return replace(problem, X=sparse.csc_array(full) if problem.is_sparse else full)


def objective(problem, solution, penalty):
    Z = problem.predict(solution.W, solution.b)
    if problem.is_classification:
        return problem.evaluate(Z)[0] + penalty.value(solution.W)
    return float(problem.weight @ np.square(Z - problem.T)[:, 0]) / 2 + penalty.value(solution.W)


@dataclass(frozen=True, kw_only=True)
class Looks(Deadline):
    """A deadline that expires when it has been looked at so many times."""

    most: int
    seen: list[int] = field(default_factory=list)

    def expired(self) -> bool:
        self.seen.append(1)
        return len(self.seen) > self.most


# --------------------------------------------------------------------------------------- many weights


@pytest.mark.parametrize("task", ["binary", "multiclass"])
@pytest.mark.parametrize("is_sparse", [False, True])
@pytest.mark.parametrize("l2", [0.0, 0.01])
def test_more_active_weights_than_newton_takes_reach_the_same_minimum(task, is_sparse, l2, monkeypatch):
    problem = with_idle_features(a_problem(task, n_features=120, is_sparse=is_sparse))
    penalty = Penalty(l1=0.003, l2=l2)
    newton = solve(replace(problem), penalty, deadline=NEVER)
    monkeypatch.setattr(linear_newton, "MOST_ACTIVE", 35)
    lbfgs = solve(replace(problem), penalty, deadline=NEVER)
    assert np.count_nonzero(newton.W) > 35
    assert lbfgs.converged
    expected = objective(problem, newton, penalty)
    assert objective(problem, lbfgs, penalty) == pytest.approx(expected, rel=1e-6)
    np.testing.assert_allclose(lbfgs.W, newton.W, atol=2e-3)
    assert np.count_nonzero(lbfgs.W) < problem.T.shape[1] * 120 - 10
    np.testing.assert_array_equal(lbfgs.W[-2:], 0.0)


@pytest.mark.parametrize("task", ["binary", "multiclass"])
@pytest.mark.parametrize("l2", [0.1, 1e-3])
def test_newton_and_lbfgs_find_the_same_l2_solution(task, l2, monkeypatch):
    problem = a_problem(task, n_features=20)
    newton = solve(problem, Penalty(l2=l2), deadline=NEVER)
    monkeypatch.setattr(linear_smooth, "LARGEST_NEWTON", 0)
    monkeypatch.setattr(linear_smooth, "LARGEST_NEWTON_OF_PAIR", 0)
    lbfgs = solve(problem, Penalty(l2=l2), deadline=NEVER)
    assert newton.converged
    assert lbfgs.converged
    np.testing.assert_allclose(lbfgs.W, newton.W, atol=1e-4)


# ------------------------------------------------------------------------------------------ the limit


def crawling_classes():
    """Many classes of smooth curves, hardly separable: the way to no penalty is long."""
    rng = np.random.default_rng(0)
    X = np.cumsum(np.cumsum(rng.standard_normal((150, 80)), axis=1), axis=1)
    X = (X - X.mean(0)) / X.std(0)
    codes = (X @ rng.standard_normal((80, 6)) + 2 * rng.gumbel(size=(150, 6))).argmax(1)
    return Problem(X=X, T=np.eye(6)[codes], weight=np.full(150, 1 / 150), is_classification=True)


def test_the_way_to_no_penalty_is_bounded_and_says_so(monkeypatch):
    problem = crawling_classes()
    monkeypatch.setattr(linear_smooth, "LIMIT_ITERATIONS", 5)
    counted = Looks(at_s=0.0, most=10**9)
    few = solve(problem, Penalty(), deadline=counted)
    weak = Looks(at_s=0.0, most=10**9)
    solve(replace(problem), Penalty(l2=1e-2 / 150), deadline=weak)
    assert few.is_limit
    assert few.converged
    # Two short stages beyond the weak fit that it starts from.
    assert len(counted.seen) <= len(weak.seen) + 2 * 5 + 5


def test_no_penalty_on_smooth_series_is_scikit_learns_where_it_exists():
    rng = np.random.default_rng(1)
    X = np.cumsum(rng.standard_normal((600, 60)), axis=1)
    X = (X - X.mean(0)) / X.std(0)
    codes = (X @ rng.standard_normal((60, 5)) / 4 + rng.gumbel(size=(600, 5))).argmax(1)
    problem = Problem(X=X, T=np.eye(5)[codes], weight=np.full(600, 1 / 600), is_classification=True)
    ours = solve(problem, Penalty(), deadline=NEVER)
    model = LogisticRegression(C=np.inf, tol=1e-8, max_iter=1000, solver="newton-cg").fit(X, codes)
    best = problem.evaluate(model.decision_function(X))[0]
    assert not ours.is_limit
    assert problem.evaluate(problem.predict(ours.W, ours.b))[0] == pytest.approx(best, rel=1e-4)


# ---------------------------------------------------------------------------------------- odd problems


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("shape", [(4, 3), (6, 300), (60, 1), (9, 9)])
@pytest.mark.parametrize("is_sparse", [False, True])
def test_few_rows_and_features_that_never_vary_are_fitted(task, shape, is_sparse):
    problem = with_idle_features(a_problem(task, *shape, is_sparse=is_sparse))
    for penalty in PENALTIES:
        found = solve(problem, penalty, deadline=NEVER)
        assert found.converged, penalty
        assert np.isfinite(found.W).all()
        np.testing.assert_allclose(found.W[-2:], 0.0, atol=1e-12)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e200])
def test_numbers_that_no_solver_can_take_give_fits_that_did_not_converge(task, bad):
    problem = a_problem(task)
    X = problem.X.copy()
    X[0, 0] = bad
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = [solve(replace(problem, X=X), penalty, deadline=NEVER) for penalty in PENALTIES]
    for solution in found:
        assert solution.is_finite
        assert not solution.converged


def test_a_solver_that_fails_spoils_only_its_own_fit(monkeypatch):
    problem = a_problem("binary")
    real = linear_fit.solve_smooth

    def failing(problem, l2, *, deadline):
        if l2 == 0.05:
            raise np.linalg.LinAlgError("singular")
        return real(problem, l2, deadline=deadline)

    monkeypatch.setattr(linear_fit, "solve_smooth", failing)
    none, l2, l1, both = (solve(problem, penalty, deadline=NEVER) for penalty in PENALTIES)
    assert not l2.converged
    np.testing.assert_array_equal(l2.W, 0.0)
    np.testing.assert_array_equal(l2.b, problem.constant)
    assert all(solution.converged for solution in (none, l1, both))


@pytest.mark.parametrize("shape", [(5, 3), (40, 300), (300, 40), (200, 900)])
@pytest.mark.parametrize("is_sparse", [False, True])
def test_the_largest_eigenvalue_is_known_to_two_percent(shape, is_sparse):
    problem = a_problem("binary", *shape, is_sparse=is_sparse)
    full = problem.X.toarray() if is_sparse else problem.X
    centred = full - problem.weight @ full
    exact = np.linalg.norm(np.sqrt(problem.weight)[:, None] * centred, 2) ** 2
    assert problem.largest_eigenvalue == pytest.approx(exact, rel=0.02)
    assert problem.largest_eigenvalue <= exact * (1 + 1e-9)
    np.testing.assert_allclose(problem.variance, problem.weight @ np.square(centred), atol=1e-12)


def test_features_that_never_vary_have_ranges():
    problem = replace(a_problem("binary"), X=np.zeros((80, 30)))
    candidates = linear_candidates(problem)
    assert problem.largest_eigenvalue == 0.0
    for kind in ("l1", "l2", "elasticnet"):
        assert all(span.low > 0 for span in candidates[kind].ranges.values())


# ------------------------------------------------------------------------- deadlines and what is global


@pytest.mark.parametrize("task", ["binary", "multiclass"])
@pytest.mark.parametrize("penalty", [Penalty(), Penalty(l2=1e-4), Penalty(l1=1e-3)], ids=str)
@pytest.mark.parametrize("n_features", [20, 200])
def test_a_fit_under_way_gives_up_at_the_deadline(task, penalty, n_features):
    problem = a_problem(task, n_rows=150, n_features=n_features)
    deadline = Looks(at_s=0.0, most=4)
    with pytest.raises(OutOfTimeError):
        solve(problem, penalty, deadline=deadline)
    assert len(deadline.seen) == 5


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("is_sparse", [False, True])
def test_numpys_global_generator_is_left_alone(task, is_sparse):
    before = np.random.get_state()  # noqa: NPY002
    problem = a_problem(task, is_sparse=is_sparse)
    for penalty in PENALTIES:
        solve(problem, penalty, deadline=NEVER)
    after = np.random.get_state()  # noqa: NPY002
    np.testing.assert_array_equal(after[1], before[1])
    assert after[2:] == before[2:]


def test_fits_in_threads_leave_the_warning_filters_alone():
    problem = a_problem("regression", n_rows=60, n_features=200)
    weak = Penalty(l1=problem.l1_max * 0.003)
    before = list(warnings.filters)
    threads = [
        threading.Thread(target=lambda: solve(replace(problem), weak, deadline=NEVER)) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(warnings.filters) == before
