"""Where fits with L1 start: the rungs of a ladder of rough solutions, one ladder for each fold.

Weak penalties are reached over strong ones: started from zero, a weak one lets in far more weights than it
keeps. The ladder is climbed down as far as it is needed and kept. A rung depends on the fold alone, so a fit
is the same whatever was fitted before it, as an interrupted and resumed search needs it.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from regadvisor.families.linear.problem import Penalty, Problem, Rung, Solution

#: Each rung is this much weaker than the one above, and solved to this share of its own l1.
STRIDE, ROUGH = 10 ** (1 / 3), 0.3
#: Elastic nets start from the rung at their l1 and this share of their l2: it has about as many weights.
L2_AS_L1 = 0.3

#: Goes down from a solution until nothing violates the optimality conditions of a penalty by more than a
#: tolerance.
Descend = Callable[[Penalty, Solution, float], Solution]


def climb_down(problem: Problem, penalty: Penalty, descend: Descend, *, tol: float) -> Solution:
    """Return the solution to this tolerance, reached from the rung above it."""
    strength = penalty.l1 + L2_AS_L1 * penalty.l2
    n_rungs = 0
    if 0 < strength < problem.l1_max:
        n_rungs = int(math.log(problem.l1_max / strength) / math.log(STRIDE))
    return descend(penalty, _rung(problem, n_rungs, descend, tol), tol)


def _rung(problem: Problem, number: int, descend: Descend, tol: float) -> Solution:
    """Return the rough solution of L1 at ``l1_max / STRIDE**number``; number 0 is the constant model."""
    ladder = problem.ladder
    while len(ladder) < number:
        penalty = Penalty(l1=problem.l1_max / STRIDE ** (len(ladder) + 1))
        start = _unpacked(problem, ladder[-1] if ladder else None)
        rough = descend(penalty, start, max(ROUGH * penalty.l1, tol))
        where = np.flatnonzero(rough.W)
        ladder.append((where, rough.W.ravel()[where], rough.b))
    return _unpacked(problem, ladder[number - 1] if number else None)


def _unpacked(problem: Problem, rung: Rung | None) -> Solution:
    """Return a rung with all of its weights; None: the constant model."""
    W = np.zeros((problem.n_features, problem.n_outputs))
    if rung is None:
        return Solution(W=W, b=problem.constant, converged=False)
    W.ravel()[rung[0]] = rung[1]
    return Solution(W=W, b=rung[2], converged=False)
