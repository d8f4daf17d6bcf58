"""What is given up where the time does not suffice for all that was planned: folds first, then candidates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from regadvisor.plan.effort import first_stage, n_kept, share_of_fits
from regadvisor.regularizer import Kind

T = TypeVar("T")

#: What is given up where the time does not suffice, least first: folds to train on (None: all), and the share
#: of every kind's candidates (at least one each). Strengths differ by factors and folds by luck, so folds go
#: first, but one fold alone last.
CUTS: tuple[tuple[int | None, float], ...] = (
    (None, 1.0),
    (3, 1.0),
    (2, 1.0),
    (2, 0.6),
    (1, 0.6),
    (1, 0.3),
    (1, 0.0),
)
#: Without a deadline the chart's first fits are trained apart if they are at most this share of all.
_OPENING_SHARE = 1 / 20


def opening_folds(n_planned: int, n_opening: int, *, n_folds: int, n_first: int, is_hurried: bool) -> int:
    """Return how many folds the chart's first fits are trained on before all others; 0: they are not.

    Under a deadline one fold, unless there are stages. The epoch that scores a fold is chosen by
    the other folds of its leg, so the first fits get all folds of the first stage: on fewer than the others
    they looked better than they are. Without a deadline they may only be a small part of the work: a few
    networks alone took 6% of an effort quick, of 14 to 20 candidates, for nothing else.

    `n_planned`, `n_opening`: candidates, and how many of them come first. `n_folds`, `n_first`: folds, and
    those of the first stage (0: a race, or none). `is_hurried`: whether there is a deadline.

    >>> opening_folds(20, 4, n_folds=5, n_first=0, is_hurried=False)
    1
    >>> opening_folds(20, 4, n_folds=5, n_first=2, is_hurried=False)
    0
    >>> opening_folds(20, 4, n_folds=5, n_first=2, is_hurried=True)
    2
    """
    own = len(first_stage(range(n_folds), n_first)) or 1
    n_fold_fits = n_planned * n_folds * share_of_fits(n_planned, n_folds=n_folds, n_first=n_first)
    is_small = n_opening * own <= _OPENING_SHARE * n_fold_fits and (own == n_first or not n_first)
    return own if is_hurried or is_small else 0


def measured_costs(fit_s: Mapping[Kind, float], *, took_s: float) -> dict[Kind, float]:
    """Return the seconds of one fit on one fold, by kind, scaled to add up to the time that passed."""
    total_s = sum(fit_s.values())
    scale = took_s / total_s if total_s > 0 else 0.0
    return {kind: max(seconds * scale, 1e-9) for kind, seconds in fit_s.items()}


def affordable(
    planned: Mapping[Kind, int], costs: Mapping[Kind, float], *, n_folds: int, n_first: int, left_s: float
) -> tuple[int, dict[Kind, int]]:
    """Return the folds to train on and the candidates of every kind that the time left allows.

    `planned`: candidates by kind. `costs`: measured seconds of one fit on one fold, by kind. Kinds that were
    not measured cost as much as the dearest of the others. `n_folds`, `n_first`: folds, and those that all
    candidates are trained on before losers are stopped (0: none is stopped).

    >>> planned, costs = {"none": 1, "l2": 8, "l1": 8}, {"none": 1.0, "l2": 0.1, "l1": 0.1}
    >>> affordable(planned, costs, n_folds=5, n_first=0, left_s=60.0)
    (5, {'none': 1, 'l2': 8, 'l1': 8})
    >>> affordable(planned, costs, n_folds=5, n_first=0, left_s=4.5)
    (2, {'none': 1, 'l2': 5, 'l1': 5})
    >>> affordable(planned, costs, n_folds=5, n_first=0, left_s=0.5)
    (1, {'none': 1, 'l2': 1, 'l1': 1})
    """
    dearest = max(costs.values(), default=0.0)
    for most_folds, share in CUTS:
        folds = n_folds if most_folds is None else min(most_folds, n_folds)
        kept = {kind: min(n, max(1, int(n * share + 0.5))) for kind, n in planned.items()}
        is_staged = first_stage(range(folds), n_first)
        needed_s = 0.0
        for kind, n in kept.items():
            fold_fits: float = n * folds
            if is_staged and kind != "none":
                fold_fits = n * n_first + n_kept(n) * (folds - n_first)
            needed_s += fold_fits * costs.get(kind, dearest)
        if needed_s <= left_s:
            break
    return folds, kept


def interleaved(batches: Sequence[Sequence[T]]) -> list[T]:
    """Return the first of every batch, then the second of every batch, and so on.

    A deadline that cuts the end of this list still leaves every kind with something.

    >>> interleaved(["abc", "de"])
    ['a', 'd', 'b', 'e', 'c']
    """
    longest = max(map(len, batches), default=0)
    return [batch[i] for i in range(longest) for batch in batches if i < len(batch)]
