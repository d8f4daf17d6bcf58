"""Fits on other sizes than the sample's: what smaller samples and all rows say about the strengths.

What an earlier run has stored is not trained again.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from regadvisor.deadline import Deadline
from regadvisor.families.base import Family, Fit, Job, Prepared
from regadvisor.regularizer import Regularizer
from regadvisor.search.rounds import Log


def train_size(
    family: Family,
    prepared: Prepared,
    regularizers: Sequence[Regularizer],
    *,
    seed: int,
    deadline: Deadline,
    study: str,
    store: Log | None = None,
) -> dict[Regularizer, Fit] | None:
    """Train regularizers on the folds of one size.

    Parameters
    ----------
    family : Family
    prepared : Prepared
        The size's folds.
    regularizers : sequence of Regularizer
    seed : int
    deadline : Deadline
    study : str
        Name of these fits in `store`.
    store : Log, optional

    Returns
    -------
    dict of Regularizer to Fit, or None
        The fits that lost no tested row; those that did not converge are among them. None if the deadline cut
        one.
    """
    jobs = [Job(regularizer=each, seed=seed) for each in regularizers]
    found = {job: None if store is None else store.find(study, job, None) for job in jobs}
    known = {job for job in jobs if found[job] is not None}
    is_tested = tested(prepared) >= 0

    def is_usable(fit: Fit) -> bool:
        return bool(np.isfinite(fit.losses[is_tested]).all())

    def keep(fit: Fit) -> None:
        if found[fit.job] is None:
            found[fit.job] = fit
            if store is not None:
                store.append(study, fit)

    if len(known) < len(jobs):
        for fit in family.train(prepared, jobs, deadline=deadline, on_fit=keep, known=known):
            keep(fit)
    fits = [fit for fit in found.values() if fit is not None]
    if len(fits) < len(jobs):
        return None
    return {fit.job.regularizer: fit for fit in fits if is_usable(fit)}


def tested(prepared: Prepared) -> NDArray[np.intp]:
    """Return the fold of each row, -1 where none tests it, shape (n_rows,)."""
    labels = np.full(prepared.n_rows, -1, dtype=np.intp)
    for number, fold in enumerate(prepared.folds):
        labels[fold.test] = number
    return labels
