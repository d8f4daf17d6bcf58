"""Successive halving over folds: every candidate on the first folds, only the better ones on the rest.

Halving over epochs (Jamieson and Talwalkar 2016; Li et al. 2018) would be unfair here: a penalty pays late
in a run, when the networks without it begin to overfit. Folds are exchangeable, so the
candidates of a kind that are behind on the first folds are unlikely to hold the best one on all. Every kind
keeps at least one candidate, and the baseline is never stopped: comparisons of kinds stay on all folds.

Of networks the better third goes on. Linear models are cheaper, so only those are stopped that lost beyond
doubt, far outside the range of strengths that tie with the best. These are the costly ones: weak penalties.

Where the time does not suffice for all that was planned, folds are given up first, then candidates.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from regadvisor import thresholds
from regadvisor.families.base import Fit, Prepared
from regadvisor.plan.effort import first_stage, n_kept, share_of_fits
from regadvisor.regularizer import Kind

if TYPE_CHECKING:
    from regadvisor.search.results import Results


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


def going_on(
    fits: Mapping[int, Fit | None], measure: Results, *, leader: int | None, is_race: bool
) -> set[int]:
    """Return the candidates of a kind that are trained on after the first folds, which `measure` compares."""
    usable = {n: fit for n, fit in fits.items() if fit is not None and measure.is_usable(fit)}
    if is_race:
        return racing(usable, measure)
    values = {n: measure.fit_loss(usable[n]) if n in usable else None for n in fits}
    return survivors(values, leader)


def survivors(values: Mapping[int, float | None], leader: int | None = None) -> set[int]:
    """Return the candidates that go on: the third with the lowest loss on the first folds.

    `values`: mean loss by the number of the candidate; None: it did not converge and never goes on. `leader`:
    the candidate with the lowest loss on all folds so far. What is behind it on the first folds is unlikely
    to end before it, and would replace it for next to nothing: on the references of ``benchmarks/regret.py``
    that saves one fold fit in twenty and changes no figure.

    >>> sorted(survivors({0: 0.3, 1: 0.1, 2: None, 3: 0.2}))
    [1, 3]
    >>> sorted(survivors({0: 0.3, 1: 0.1, 2: None, 3: 0.2}, leader=1))
    [1]
    """
    ranked = sorted((value, number) for number, value in values.items() if value is not None)
    kept = [number for _, number in ranked[: n_kept(len(values))]]
    return set(kept[: kept.index(leader) + 1] if leader in kept else kept)


def racing(
    fits: Mapping[int, Fit],
    measure: Results,
    *,
    by: float = thresholds.LOST_BY,
    se: float = thresholds.LOST_SE,
) -> set[int]:
    """Return the candidates that go on: those that have not lost beyond doubt to the best of them.

    The loss of the others is higher by the share `by` of the best's, whatever the luck of the rows (`se`
    standard errors of the paired difference).

    `fits`: by the number of the candidate; those that converged. `measure`: its folds are those that are
    compared.
    """
    rows = np.flatnonzero(measure.is_tested)
    weight = np.ones(len(rows)) if measure.weight is None else measure.weight[rows]
    losses = {number: fit.losses[rows] for number, fit in fits.items()}
    means = {number: measure.fit_loss(fit) for number, fit in fits.items()}
    best = min(fits, key=lambda number: (means[number], number), default=None)
    if best is None:
        return set()
    least = (1.0 + by) * means[best]

    def is_lost(number: int) -> bool:
        apart = losses[number] - losses[best] - (means[number] - means[best])
        error = np.linalg.norm(weight * apart) / weight.sum()
        return bool(means[number] - se * error > least)

    return {number for number in fits if not is_lost(number)}


def merged(first: Fit, rest: Fit, prepared: Prepared) -> Fit:
    """Return the fit of one job from its fits on two sets of folds that share none."""
    assert first.folds is not None
    assert rest.folds is not None
    losses = first.losses.copy()
    train_losses = first.train_losses.copy()
    epochs = None if first.epochs is None else first.epochs.copy()
    for fold in rest.folds:
        rows = prepared.folds[fold].test
        losses[rows] = rest.losses[rows]
        train_losses[fold] = rest.train_losses[fold]
        if epochs is not None and rest.epochs is not None:
            epochs[fold] = rest.epochs[fold]
    folds = (*first.folds, *rest.folds)
    share = len(first.folds) / len(folds)
    sum_lr = first.sum_lr
    if first.sum_lr is not None and rest.sum_lr is not None:
        sum_lr = share * first.sum_lr + (1.0 - share) * rest.sum_lr
    halfway = None
    if first.halfway is not None and rest.halfway is not None:
        halfway = np.asarray(share * first.halfway + (1.0 - share) * rest.halfway)
    return replace(
        first,
        losses=losses,
        train_losses=train_losses,
        zeroed=np.asarray(share * first.zeroed + (1.0 - share) * rest.zeroed),
        converged=first.converged and rest.converged,
        is_limit=first.is_limit and rest.is_limit,
        epochs=epochs,
        sum_lr=sum_lr,
        halfway=halfway,
        fit_s=first.fit_s + rest.fit_s,
        folds=None if len(folds) == len(prepared.folds) else folds,
    )
