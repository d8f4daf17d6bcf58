"""Successive halving over folds: every candidate on the first folds, only the better ones on the rest.

Halving over epochs (Jamieson and Talwalkar 2016; Li et al. 2018) would be unfair here: a penalty pays late
in a run, when the networks without it begin to overfit. Folds are exchangeable, so the
candidates of a kind that are behind on the first folds are unlikely to hold the best one on all. Every kind
keeps at least one candidate, and the baseline is never stopped: comparisons of kinds stay on all folds.

Of networks the better third goes on. Linear models are cheaper, so only those are stopped that lost beyond
doubt, far outside the range of strengths that tie with the best. These are the costly ones: weak penalties.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from regadvisor import thresholds
from regadvisor.families.base import Fit, Prepared
from regadvisor.plan.effort import n_kept

if TYPE_CHECKING:
    from regadvisor.search.results import Results


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
