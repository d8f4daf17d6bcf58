"""The pick and no regularization on parts of the sample, and on all rows: what becomes of a gain?

A half and a quarter of every fold's training rows are trained with the strengths carried to them, scored on
the rows that the folds test. On the quarter the pick is also tried stronger and weaker, to see how its best
strength moves. What an earlier run has stored is not trained again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from regadvisor.deadline import Deadline
from regadvisor.families.base import Family, Fit, Job, Prepared
from regadvisor.regularizer import Regularizer
from regadvisor.search.rounds import Log

#: Shares of the training rows, with the factors on the carried strengths that are tried there.
SHARES: Mapping[float, tuple[float, ...]] = {0.5: (1.0,), 0.25: (0.25, 1.0, 4.0)}
#: What they amount to in fits on the whole sample, those without a penalty among them.
WHOLE_JOBS = sum(share * (1 + len(factors)) for share, factors in SHARES.items())
#: The same for models trained on all rows.
CHECKED = (0.5, 1.0, 2.0)


@dataclass(frozen=True, kw_only=True, eq=False)
class SizeFits:
    """Fits on one size.

    Attributes
    ----------
    prepared : Prepared
    none : Fit
    picks : dict of float to Fit
        By the factor on the strengths that were carried to this size.
    """

    prepared: Prepared
    none: Fit
    picks: dict[float, Fit]


def train_size(
    family: Family,
    prepared: Prepared,
    carried: Regularizer,
    *,
    factors: Sequence[float],
    seed: int,
    deadline: Deadline,
    study: str,
    store: Log | None = None,
) -> SizeFits | None:
    """Train no regularization and a regularizer, its penalties times each factor.

    Parameters
    ----------
    family : Family
    prepared : Prepared
        The size's folds.
    carried : Regularizer
        Strengths carried to this size.
    factors : sequence of float
        Applied to L1 and L2 together; a regularizer without either is trained as it is.
    seed : int
    deadline : Deadline
    study : str
        Name of these fits in `store`.
    store : Log, optional

    Returns
    -------
    SizeFits or None
        None if the deadline cut a fit, or none or the carried strengths did not converge.
    """
    has_penalty = bool(carried.l1 or carried.l2)
    wanted = {factor: carried.times(factor) for factor in factors if has_penalty or factor == 1.0}
    jobs = [Job(regularizer=Regularizer(coupling=carried.coupling), seed=seed)]
    jobs += [Job(regularizer=each, seed=seed) for each in wanted.values()]
    found = {job: None if store is None else store.find(study, job, None) for job in jobs}
    known = {job for job in jobs if found[job] is not None}

    is_tested = tested(prepared) >= 0

    def is_usable(fit: Fit) -> bool:
        """Whether no tested row is lost; a baseline need not have converged to be compared with."""
        return bool(np.isfinite(fit.losses[is_tested]).all())

    def keep(fit: Fit) -> None:
        if found[fit.job] is None:
            found[fit.job] = fit
            if store is not None:
                store.append(study, fit, float(np.nanmean(fit.losses)) if is_usable(fit) else None)

    if len(known) < len(jobs):
        for fit in family.train(prepared, jobs, deadline=deadline, on_fit=keep, known=known):
            keep(fit)
    fits = [found[job] for job in jobs]
    none, *rest = fits
    picks = {
        factor: fit for factor, fit in zip(wanted, rest, strict=True) if fit is not None and is_usable(fit)
    }
    if none is None or any(fit is None for fit in fits) or 1.0 not in picks or not is_usable(none):
        return None
    return SizeFits(prepared=prepared, none=none, picks=picks)


def tested(prepared: Prepared) -> NDArray[np.intp]:
    """Return the fold of each row, -1 where none tests it, shape (n_rows,)."""
    labels = np.full(prepared.n_rows, -1, dtype=np.intp)
    for number, fold in enumerate(prepared.folds):
        labels[fold.test] = number
    return labels
