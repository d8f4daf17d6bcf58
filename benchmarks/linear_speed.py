"""Our solver of L1 and elastic-net logistic regression against SAGA, celer and skglm, on the same problems.

usage: python benchmarks/linear_speed.py [DATA_DIR] [--only NAME,NAME] [--limit SECONDS] [--write]

One fold's training rows, 12 strengths over three decades, from strong to weak, warm-started (ours: each from
its rung, as in `advise`, the ladder counted). Every solver gets the loosest tolerance of its own, in steps
of ten, at which the objective of every strength is within 1e-5 of the lowest that is known, as a share of the
constant model's; then the best processor time of three runs is taken. What is compiled on first use is
compiled before. celer has no intercept, so it is held against the lowest objective without one. celer and
skglm are compared where they are installed (``pip install celer skglm``), and do not know more than two
classes. One thread.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import speed_data
from numpy.typing import NDArray
from results import write
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from speed_measure import machine, markdown, seconds
from threadpoolctl import threadpool_limits

from regadvisor.data.source import make_table
from regadvisor.deadline import Deadline
from regadvisor.families.linear import newton as linear_newton
from regadvisor.families.linear.family import LinearFamily
from regadvisor.families.linear.fit import solve
from regadvisor.families.linear.problem import Penalty, Problem
from regadvisor.sampling.folds import make_folds

#: Name, rows and columns of what is synthetic; the others are sets of the folder, with at most so many rows.
SYNTHETIC = (("synthetic", 498, 30), ("synthetic", 6_250, 30), ("synthetic", 1_250, 1_000))
SETS = (("adult", 2_000), ("sms_spam", 1_500), ("newsgroup_pcmac", 1_943), ("movement_libras", 330))
#: Objectives count as equal within this share of the constant model's.
GAP = 1e-5
TOLERANCES = tuple(10.0**-digits for digits in range(2, 11))
DECADES = np.arange(0.25, 3.01, 0.25)

Floats = NDArray[np.float64]
Weights = list[tuple[Floats, Floats]]
#: Weights and intercepts of all strengths, from a tolerance.
Path_ = Callable[[float], Weights]


@dataclass(frozen=True, kw_only=True, eq=False)
class Task:
    """A fold and its penalties."""

    name: str
    problem: Problem
    penalties: tuple[Penalty, ...]

    @property
    def codes(self) -> NDArray[Any]:
        """Class codes of the rows."""
        T = self.problem.T
        return T.argmax(1) if T.shape[1] > 1 else T[:, 0].astype(int)

    def objectives(self, found: Weights) -> Floats:
        """Return the objective of every strength."""
        problem = self.problem
        values = [problem.evaluate(problem.predict(W, b))[0] for W, b in found]
        return np.array(
            [
                value + penalty.value(W)
                for value, penalty, (W, _) in zip(values, self.penalties, found, strict=True)
            ]
        )


def tasks(folder: Path | None, only: str | None) -> Iterator[Task]:
    """Yield the first fold of every set, with L1 and with L1 and L2 in equal parts."""
    for name, n, p in SYNTHETIC:
        if only is None or name in only.split(","):
            yield from _tasks(f"{name} {n} × {p}", speed_data.synthetic(n, p))
    for name, n in SETS if folder else ():
        if only is None or name in only.split(","):
            yield from _tasks(name, speed_data.read(name, folder, most_rows=n))


def _tasks(name: str, data: speed_data.Data) -> Iterator[Task]:
    table = make_table(data.X, data.y)
    folds = make_folds(table, folds=5, seed=0).folds
    problem = LinearFamily().prepare(table, folds[:1], seed=0).fold(0).problem
    strengths = problem.l1_max / 10**DECADES
    yield Task(name=f"{name}, L1", problem=problem, penalties=tuple(Penalty(l1=s) for s in strengths))
    mixed = tuple(Penalty(l1=s, l2=s) for s in strengths)
    yield Task(name=f"{name}, L1+L2", problem=problem, penalties=mixed)


# --------------------------------------------------------------------------------------------- solvers


def ours(task: Task) -> Path_:
    """Return our path: a ladder and a fit for each strength."""

    def path(tol: float) -> Weights:
        # A copy has no ladder yet.
        problem = replace(task.problem)
        usual, linear_newton.TOLERANCE = linear_newton.TOLERANCE, tol
        try:
            found = [solve(problem, penalty, deadline=Deadline.never()) for penalty in task.penalties]
        finally:
            linear_newton.TOLERANCE = usual
        return [(solution.W, solution.b) for solution in found]

    return path


def saga(task: Task, limit_s: float) -> Path_:
    """Return scikit-learn's path; strengths that are not reached in time are left at zero."""
    problem, n = task.problem, task.problem.n_rows
    # Rows of sparse features are what SAGA reads.
    X = problem.X.tocsr() if problem.is_sparse else np.ascontiguousarray(problem.X)

    def path(tol: float) -> Weights:
        found: Weights = []
        start = time.process_time()
        model = LogisticRegression(solver="saga", warm_start=True, tol=tol, max_iter=2_000, random_state=0)
        for penalty in task.penalties:
            if time.process_time() - start > limit_s:
                found.append((np.zeros((problem.n_features, problem.n_outputs)), problem.constant))
                continue
            total = penalty.l1 + penalty.l2
            model.set_params(C=1 / (n * total), l1_ratio=penalty.l1 / total)
            model.fit(X, task.codes, sample_weight=problem.weight * n)
            found.append((model.coef_.T.copy(), model.intercept_.copy()))
        return found

    return path


def skglm(task: Task) -> Path_:
    """Return the path of skglm's proximal Newton."""
    from skglm import GeneralizedLinearEstimator
    from skglm.datafits import Logistic
    from skglm.penalties import L1_plus_L2
    from skglm.solvers import ProxNewton

    X = _columns(task.problem)
    y = 2.0 * task.codes - 1

    def path(tol: float) -> Weights:
        found: Weights = []
        solver = ProxNewton(tol=tol, max_iter=100, fit_intercept=True, warm_start=True)
        model = GeneralizedLinearEstimator(Logistic(), L1_plus_L2(1.0, 1.0), solver)
        for penalty in task.penalties:
            total = penalty.l1 + penalty.l2
            model.penalty = L1_plus_L2(total, penalty.l1 / total)
            model.fit(X, y)
            found.append((np.ravel(model.coef_)[:, None].copy(), np.ravel(model.intercept_).copy()))
        return found

    return path


def celer(task: Task) -> Path_:
    """Return celer's path, which has no intercept."""
    from celer import LogisticRegression as Celer

    X, n = _columns(task.problem), task.problem.n_rows

    def path(tol: float) -> Weights:
        found: Weights = []
        model = Celer(warm_start=True, tol=tol, max_iter=200)
        for penalty in task.penalties:
            model.C = 1 / (n * penalty.l1)
            model.fit(X, 2 * task.codes - 1)
            found.append((np.ravel(model.coef_)[:, None].copy(), np.zeros(1)))
        return found

    return path


def _columns(problem: Problem) -> Any:
    """Return the features by columns, as the coordinate descents want them."""
    from scipy import sparse

    return sparse.csc_matrix(problem.X) if problem.is_sparse else np.asfortranarray(problem.X)


# ------------------------------------------------------------------------------------------- comparison


@dataclass(frozen=True, kw_only=True)
class Result:
    """Processor seconds at the loosest tolerance that was good enough, or the gap that was left."""

    cpu_s: float
    gap: float

    def cell(self, reference_s: float) -> str:
        """Return a cell of the table."""
        if self.gap > GAP:
            return f"{seconds(self.cpu_s)}, gap {self.gap:.0e}"
        return f"{seconds(self.cpu_s)} ({self.cpu_s / reference_s:.1f}×)"


def measure(task: Task, path: Path_, best: Floats, limit_s: float) -> Result:
    """Time a path at the loosest tolerance that is good enough.

    Parameters
    ----------
    best : ndarray
        The lowest objectives known.
    limit_s : float
        After a run that took longer no tighter tolerance is tried.
    """
    constant = task.problem.evaluate(np.tile(task.problem.constant, (task.problem.n_rows, 1)))[0]
    path(TOLERANCES[0])
    result = Result(cpu_s=np.inf, gap=np.inf)
    for tol in TOLERANCES:
        start = time.process_time()
        found = path(tol)
        cpu_s = time.process_time() - start
        gap = float(np.max(task.objectives(found) - best)) / constant
        if gap < result.gap:
            result = Result(cpu_s=cpu_s, gap=gap)
        if gap <= GAP or cpu_s > limit_s:
            break
    if result.gap <= GAP and result.cpu_s < limit_s:
        for _ in range(2):
            start = time.process_time()
            path(tol)
            result = replace(result, cpu_s=min(result.cpu_s, time.process_time() - start))
    return result


def line(task: Task, limit_s: float) -> list[str]:
    """Return a row of the table."""
    own = ours(task)
    best = task.objectives(own(1e-10))
    mine = measure(task, own, best, limit_s)
    cells = [task.name, f"{task.problem.n_rows:,} × {task.problem.n_features:,}", seconds(mine.cpu_s)]
    cells.append(measure(task, saga(task, limit_s), best, limit_s).cell(mine.cpu_s))
    is_pair, has_l2 = task.problem.n_outputs == 1, task.penalties[0].l2 > 0
    for name, make, can in (("skglm", skglm, is_pair), ("celer", celer, is_pair and not has_l2)):
        if not can or importlib.util.find_spec(name) is None:
            cells.append("–")
            continue
        path = make(task)
        reference = task.objectives(path(TOLERANCES[-1])) if name == "celer" else best
        cells.append(measure(task, path, reference, limit_s).cell(mine.cpu_s))
    return cells


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--only")
    parser.add_argument("--limit", type=float, default=20.0)
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    # numba looks for the package coverage, and is not to find coverage.py of this folder.
    sys.modules["coverage"] = None  # type: ignore[assignment]
    columns = "data|rows × columns|ours s|SAGA s|skglm s|celer s (no intercept)"
    rows = []
    with threadpool_limits(limits=1):
        for task in tasks(arguments.folder, arguments.only):
            rows.append(line(task, arguments.limit))
            print(" | ".join(rows[-1]), flush=True)
    table = f"{markdown(columns, rows)}\n\n{machine()}"
    print(table)
    if arguments.write:
        write("linear-solvers", table)


if __name__ == "__main__":
    main()
