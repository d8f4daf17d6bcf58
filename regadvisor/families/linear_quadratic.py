"""Regression: closed forms for none and L2, coordinate descent for L1 and elastic net."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import enet_path

from regadvisor.deadline import Deadline
from regadvisor.families.linear_problem import Floats, Penalty, Problem, Solution, check_time

#: Duality gap at which a regression is solved, as a share of the target's variance.
GAP = 1e-7
#: Passes over all features; a pass is cheap, and a fit that does not converge is lost.
PASSES = 20_000
#: With more features than this, and fewer rows than features, the Gram matrix is not worth its cost.
LARGEST_GRAM = 1000


def minimise_quadratic(
    Q: Floats, q: Floats, offset: float, *, penalty: Penalty, start: Floats, tol: float, max_iter: int
) -> tuple[Floats, bool]:
    """Minimise ``½ wᵀQw − qᵀw + l1·Σ|w| + (l2/2)·Σw²`` by scikit-learn's coordinate descent.

    Parameters
    ----------
    Q : ndarray, shape (n, n), symmetric and positive semidefinite
    q : ndarray, shape (n,)
    offset : float
        An upper bound of ``qᵀQ⁺q``: the squared norm of a target that these moments can belong to.
        The duality gap is measured against it.
    start : ndarray, shape (n,)
        First guess; not written into.
    tol : float
        Duality gap as a share of `offset`.

    Returns
    -------
    w : ndarray, shape (n,)
    converged : bool

    Examples
    --------
    >>> w, ok = minimise_quadratic(
    ...     np.eye(2), np.array([3.0, 0.5]), 10.0, penalty=Penalty(l1=1.0), start=np.zeros(2),
    ...     tol=1e-10, max_iter=100)
    >>> w.tolist(), ok
    ([2.0, 0.0], True)
    """
    # enet_path takes the moments as they are if the checks are off; X and y then only give n_samples = 1
    # and the norm of y.
    alpha = penalty.l1 + penalty.l2
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        _, W, gaps, n_iter = enet_path(
            np.zeros((1, len(q)), order="F"),
            np.array([np.sqrt(offset)]),
            l1_ratio=penalty.l1 / alpha,
            alphas=[alpha],
            precompute=np.ascontiguousarray(Q),
            Xy=np.ascontiguousarray(q),
            coef_init=np.array(start, dtype=np.float64),
            check_input=False,
            return_n_iter=True,
            tol=tol,
            max_iter=max_iter,
        )
    return W[:, 0], bool(n_iter[0] < max_iter or gaps[0] <= tol * offset)


def solve_ridge(problem: Problem, penalties: Sequence[Penalty]) -> list[Solution]:
    """Return the L2 (or unpenalised) least-squares solutions of all strengths from one SVD.

    No penalty on collinear features gives the least squares of smallest norm, the limit of a vanishing
    L2 penalty; `is_limit` says so.
    """
    U, s, Vt = problem.spectrum
    projected = s * (U.T @ (np.sqrt(problem.weight) * problem.T[:, 0]))
    is_deficient = len(s) < problem.n_features
    return [
        Solution(
            W=(Vt.T @ (projected / (s**2 + penalty.l2)))[:, None],
            b=problem.constant,
            converged=True,
            is_limit=is_deficient and penalty.l2 == 0.0,
        )
        for penalty in penalties
    ]


def solve_sparse_regression(
    problem: Problem, penalties: Sequence[Penalty], *, deadline: Deadline
) -> list[Solution]:
    """Return the L1 or elastic-net solutions, warm-started from strong to weak.

    Raises
    ------
    OutOfTimeError
        If the deadline passes between two strengths.
    """
    A = np.asfortranarray(np.sqrt(problem.weight)[:, None] * problem.X)
    t = np.sqrt(problem.weight) * problem.T[:, 0]
    uses_gram = problem.n_features <= max(LARGEST_GRAM, len(A))
    Q, q = (A.T @ A if uses_gram else np.empty((0, 0))), A.T @ t
    w = np.zeros(problem.n_features)
    solutions: dict[int, Solution] = {}
    for index in sorted(range(len(penalties)), key=lambda i: (-penalties[i].l1, -penalties[i].l2)):
        check_time(deadline)
        penalty = penalties[index]
        if uses_gram:
            w, converged = minimise_quadratic(
                Q, q, float(t @ t), penalty=penalty, start=w, tol=GAP, max_iter=PASSES
            )
        else:
            w, converged = _descend(A, t, penalty, w)
        solutions[index] = Solution(W=w[:, None], b=problem.constant, converged=converged)
    return [solutions[index] for index in range(len(penalties))]


def _descend(A: Floats, t: Floats, penalty: Penalty, start: Floats) -> tuple[Floats, bool]:
    """Coordinate descent on the rows themselves, ``√weight``-scaled: for far more features than rows."""
    alpha = (penalty.l1 + penalty.l2) / len(A)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        _, W, _, n_iter = enet_path(
            A,
            t,
            l1_ratio=penalty.l1 / (penalty.l1 + penalty.l2),
            alphas=[alpha],
            precompute=False,
            coef_init=start.copy(),
            check_input=False,
            return_n_iter=True,
            tol=GAP,
            max_iter=PASSES,
        )
    return W[:, 0], bool(n_iter[0] < PASSES)
