"""Where the linear family searches: ranges from the data, and the points to try first."""

from __future__ import annotations

from collections.abc import Mapping

from regadvisor.candidates import Candidate, Range
from regadvisor.families.linear.problem import Problem
from regadvisor.regularizer import Kind

#: Shares of a log range in an order whose beginnings all cover it (van der Corput in base 2).
ORDER = (0.5, 0.25, 0.75, 0.125, 0.625, 0.375, 0.875, 0.0, 1.0)
#: Elastic net: decades below the strength that zeroes everything, and l1/(l1+l2). The middle first, then
#: the even mix, then mostly L1 and mostly L2.
MIXES = (
    (2.0, 0.5),
    (1.0, 0.5),
    (3.0, 0.5),
    (2.0, 0.1),
    (2.0, 0.9),
    (1.0, 0.1),
    (1.0, 0.9),
    (3.0, 0.1),
    (3.0, 0.9),
    (1.5, 0.5),
    (2.5, 0.5),
    (3.7, 0.5),
)


def linear_candidates(problem: Problem) -> Mapping[Kind, Candidate]:
    """Return range and portfolio of every kind.

    L1 runs from the strength that zeroes every weight down 4 decades (3 where p ≥ n, as weaker ones fit the
    training rows perfectly). L2 runs from the largest eigenvalue of the features' covariance, at which even
    the strongest direction is halved, down to ``1e-2/n``, which is ``LogisticRegression(C=100)`` or
    ``Ridge(alpha=0.01)``.
    """
    problem = problem.penalised
    # Features without any signal at all: any strength gives the constant model.
    l1_max = max(problem.l1_max, 1e-8)
    l1_min = l1_max / (1e3 if problem.n_features >= problem.n_rows else 1e4)
    l1 = Range(low=l1_min, high=l1_max, hard_low=l1_max * 1e-8, hard_high=l1_max)
    top = max(problem.largest_eigenvalue, 1e-8)
    low = min(1e-2 / problem.n_rows, top / 1e3)
    l2 = Range(low=low, high=top, hard_low=low * 1e-5, hard_high=top * 1e4)
    mixed = [(l1_max / 10**decades, ratio) for decades, ratio in MIXES]
    return {
        "none": Candidate(kind="none", coupling="loss"),
        "l2": Candidate(
            kind="l2",
            coupling="loss",
            ranges={"l2": l2},
            portfolio=tuple({"l2": l2.at(share)} for share in ORDER),
        ),
        "l1": Candidate(
            kind="l1",
            coupling="loss",
            ranges={"l1": l1},
            # The very top is the constant model: nothing to learn there.
            portfolio=tuple({"l1": l1.at(share)} for share in ORDER if share < 1.0),
        ),
        "elasticnet": Candidate(
            kind="elasticnet",
            coupling="loss",
            ranges={"l1": l1, "l2": l2},
            portfolio=tuple({"l1": own, "l2": own * (1 - ratio) / ratio} for own, ratio in mixed),
        ),
    }
