"""Folds that share no training row, where there are rows enough for them.

A fold of cross-validation trains on all rows but its own, so any two share most of their training rows, and
few rows are left to test on. Where the source is many times larger than what a candidate can be trained on,
every fold gets a block of rows of its own to train on and others to test on: the luck of the training rows
is averaged over independent blocks, and held-out rows, which cost next to nothing, are many.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from regadvisor.families.base import Fold
from regadvisor.sampling.draw import Drawn
from regadvisor.sampling.strata import strata_codes

#: Rows to test on, per row to train on: as many, and at least half of it, else blocks are not made.
MOST_TESTED = 1.0
FEWEST_TESTED = 0.5


def rows_for_blocks(n_train: int, n_folds: int, n_source: int) -> int | None:
    """Return the rows of a sample whose folds train on `n_train` rows of their own; None: too few.

    Examples
    --------
    >>> rows_for_blocks(800, 5, 50_000), rows_for_blocks(800, 5, 7_000), rows_for_blocks(800, 5, 5_000)
    (8000, 7000, None)
    """
    each = min(int(n_train * (1.0 + MOST_TESTED)), n_source // n_folds)
    return each * n_folds if each >= n_train * (1.0 + FEWEST_TESTED) else None


def in_blocks(drawn: Drawn, *, n_train: int, seed: int) -> Drawn | None:
    """Return the sample with a block of training rows of its own for every fold.

    The rows that a fold tests now are divided into `n_train` to train on, spread evenly over the classes or
    the target, and the others to test on. Copies of a training row are not tested.

    Parameters
    ----------
    drawn : Drawn
        A sample with shuffled or stratified folds.
    n_train : int
        Rows that every fold trains on.
    seed : int

    Returns
    -------
    Drawn or None
        None if a class would be missing from a block.
    """
    rng = np.random.default_rng(seed)
    strata = strata_codes(drawn.table)
    folds, fold_of_row = [], np.full(drawn.table.n_rows, -1, dtype=np.intp)
    for number, fold in enumerate(drawn.folds):
        train = _spread(fold.test, strata, n_train, rng)
        test = np.setdiff1d(fold.test, train)
        if drawn.cluster_of_row is not None:
            test = test[~np.isin(drawn.cluster_of_row[test], drawn.cluster_of_row[train])]
        if not len(test) or _misses_class(drawn, train):
            return None
        folds.append(Fold(train=train, test=test))
        fold_of_row[test] = number
    n_test = sum(len(fold.test) for fold in folds)
    evidence = replace(
        drawn.evidence,
        validation="blocks",
        size_reason=(
            f"{drawn.table.n_rows:,} of {drawn.evidence.n_source:,} rows: {len(folds)} blocks of {n_train:,} "
            f"rows to train on, which share none, and {n_test:,} others to test on"
        ),
    )
    return replace(drawn, folds=tuple(folds), fold_of_row=fold_of_row, evidence=evidence)


def _spread(
    rows: NDArray[np.intp], strata: NDArray[np.intp], n_wanted: int, rng: np.random.Generator
) -> NDArray[np.intp]:
    """Return `n_wanted` of the rows, every stratum in proportion, sorted."""
    shuffled = rng.permutation(rows)
    ordered = shuffled[np.argsort(strata[shuffled], kind="stable")]
    start = rng.uniform(0.0, len(rows) / n_wanted)
    at = (start + np.arange(n_wanted) * (len(rows) / n_wanted)).astype(np.intp)
    return np.sort(ordered[np.minimum(at, len(rows) - 1)])


def _misses_class(drawn: Drawn, train: NDArray[np.intp]) -> bool:
    """Whether a class of the sample has no row in `train`."""
    if not drawn.table.is_classification:
        return False
    return len(np.unique(drawn.table.y[train])) < len(np.unique(drawn.table.y))
