"""What is given up where the time does not suffice for all that was planned: folds first, then candidates."""

from __future__ import annotations

from collections.abc import Mapping

from regadvisor.plan.stages import Stages, n_kept
from regadvisor.regularizer import Kind

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


def measured_costs(fit_s: Mapping[Kind, float], *, took_s: float) -> dict[Kind, float]:
    """Return the seconds of one fit on one fold, by kind, scaled to add up to the time that passed."""
    total_s = sum(fit_s.values())
    scale = took_s / total_s if total_s > 0 else 0.0
    return {kind: max(seconds * scale, 1e-9) for kind, seconds in fit_s.items()}


def affordable(
    planned: Mapping[Kind, int], costs: Mapping[Kind, float], *, n_folds: int, n_first: int, left_s: float
) -> tuple[int, dict[Kind, int]]:
    """Return the folds to train on and the candidates of every kind that the time left allows.

    Parameters
    ----------
    planned : mapping of Kind to int
        Candidates by kind.
    costs : mapping of Kind to float
        Measured seconds of one fit on one fold, by kind. Kinds that were not measured cost as much as the
        dearest of the others.
    n_folds, n_first : int
        Folds, and those that all candidates are trained on before losers are stopped (0: none is stopped).
    left_s : float

    Returns
    -------
    n_folds : int
    candidates : dict of Kind to int

    Examples
    --------
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
        is_staged = Stages.of(range(folds), n_first) is not None
        needed_s = 0.0
        for kind, n in kept.items():
            fold_fits: float = n * folds
            if is_staged and kind != "none":
                fold_fits = n * n_first + n_kept(n) * (folds - n_first)
            needed_s += fold_fits * costs.get(kind, dearest)
        if needed_s <= left_s:
            break
    return folds, kept
