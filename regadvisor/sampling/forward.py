"""Folds that go forward in time: train on what was before, test on what came after."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from regadvisor import thresholds
from regadvisor.data.table import Table
from regadvisor.errors import DataError
from regadvisor.families.base import Fold
from regadvisor.sampling.keys import canonical_order


def forward_in_time(
    sample: Table, groups: NDArray[np.intp] | None, *, folds: int, seed: int, keys: NDArray[np.uint64]
) -> tuple[tuple[Fold, ...], str]:
    """Return folds of an expanding window, and a sentence on what is special about them ("" if nothing).

    The first `FIRST_WINDOW` of the rows are only trained on; the others are cut into `folds` blocks of about
    equal size, rows of one point in time staying together, and every block is tested once, after training on
    all rows before it. If the first window holds one class only, it is extended until it holds two. A group
    that is being tested is left out of training; where that would leave less than half of the training rows
    (the same groups at all times), fold k tests only the groups of one of three random sets, and trains on
    the others.

    Raises DataError if nothing comes after the first point in time that has seen two classes.
    """
    assert sample.time is not None  # the caller looked
    n = sample.n_rows
    rank = np.searchsorted(np.sort(sample.time), sample.time, side="left")
    start = max(round(n * thresholds.FIRST_WINDOW), 1)
    seen = 1
    if sample.is_classification:  # rows, in order of time, until two classes were seen
        seen = sorted(int(rank[sample.y == code].min()) for code in np.unique(sample.y))[1] + 1
    later = rank[rank >= max(start, seen)]
    if not len(later):
        raise DataError(
            "time must let a second class or point in time come before the last one, got rows of which "
            "nothing can be tested after training on the earlier ones; leave out time= or give more rows"
        )
    first = int(later.min())
    block = np.where(rank >= first, (rank - first) * folds // (n - first), -1)
    blocks = [np.flatnonzero(block == b) for b in np.unique(block[block >= 0])]
    if len(blocks) == 1:
        # One block after the first: halved at random, so that there are two folds to compare.
        order = canonical_order(sample, keys)
        inside = order[np.isin(order, blocks[0])]
        blocks = [np.sort(inside[part::2]) for part in (0, 1) if len(inside) > part]
    text = ""
    if sample.is_classification and seen > start:
        text = f"The first {first:,} rows in time are only trained on: before, one class is missing. "
    made = [Fold(train=np.flatnonzero(rank < rank[test].min()), test=test) for test in blocks]
    if groups is None:
        return tuple(made), text.strip()
    apart, by_sets = _groups_apart(made, groups, seed=seed)
    if by_sets:
        text += (
            "The same groups occur at all times: each fold tests a third of them and trains on the others."
        )
    return tuple(apart), text.strip()


def time_clusters(time: NDArray[np.float64], fold_of_row: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return blocks of neighbours in time, ten in every test fold, shape (n_rows,).

    Losses within a block may depend on each other; comparisons resample blocks, not rows.

    >>> int(time_clusters(np.arange(24.0), np.repeat([-1, 0], [4, 20])).max()) + 1
    14
    """
    cluster = np.zeros(len(time), dtype=np.intp)
    n_before = 0
    for fold in np.unique(fold_of_row):
        rows = np.flatnonzero(fold_of_row == fold)
        rows = rows[np.argsort(time[rows], kind="stable")]
        count = min(thresholds.FORWARD_CLUSTERS, len(rows))
        cluster[rows] = n_before + np.arange(len(rows)) * count // len(rows)
        n_before += count
    return cluster


def _groups_apart(folds: list[Fold], groups: NDArray[np.intp], *, seed: int) -> tuple[list[Fold], bool]:
    """Return folds with no group on both sides, and whether groups had to be split into sets."""
    pruned = [
        Fold(train=fold.train[~np.isin(groups[fold.train], groups[fold.test])], test=fold.test)
        for fold in folds
    ]
    if all(2 * len(new.train) >= len(old.train) for new, old in zip(pruned, folds, strict=True)):
        return pruned, False
    rng = np.random.default_rng([seed, 23])
    of_group = rng.permutation(np.arange(int(groups.max()) + 1) % thresholds.FORWARD_GROUP_SETS)
    of_row = of_group[groups]
    apart = []
    for k, fold in enumerate(folds):
        is_tested = of_row == k % thresholds.FORWARD_GROUP_SETS
        apart.append(Fold(train=fold.train[~is_tested[fold.train]], test=fold.test[is_tested[fold.test]]))
    return apart, True
