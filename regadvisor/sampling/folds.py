"""One set of folds for every candidate: stratified, by group, or forward in time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import GroupKFold, StratifiedGroupKFold

from regadvisor import thresholds
from regadvisor.data.hashing import mix
from regadvisor.data.table import Table
from regadvisor.errors import DataError
from regadvisor.families.base import Fold, fold_of_row
from regadvisor.records import Note
from regadvisor.sampling.keys import canonical_order, duplicate_clusters, group_keys, row_keys, told_apart
from regadvisor.sampling.strata import deviations, strata_codes
from regadvisor.thresholds import TARGET_BINS

Scheme = Literal["random", "stratified", "group", "time"]

#: StratifiedGroupKFold tries every group in every fold; beyond this many GroupKFold has to do.
_MOST_GROUPS_STRATIFIED = 2_000
#: Two folds of two rows are the least that can be called folds.
_FEWEST_ROWS = 4


@dataclass(frozen=True, kw_only=True, eq=False)
class Folding:
    """How a sample is validated."""

    #: Row numbers into the sample, sorted; empty if the rows cannot be split at all.
    folds: tuple[Fold, ...]
    n_rows: int
    #: (n_rows,): rows that are not independent share a number: groups, blocks in time, or copies. None: all
    #: are.
    cluster_of_row: NDArray[np.intp] | None = None
    scheme: Scheme = "random"
    #: Rows that repeat another one.
    n_duplicates: int = 0
    notes: tuple[Note, ...] = ()

    @property
    def fold_of_row(self) -> NDArray[np.intp]:
        """The fold that tests each row, -1 where none does, shape (n_rows,)."""
        return fold_of_row(self.folds, self.n_rows)


def make_folds(
    sample: Table, *, folds: int = 5, seed: int = 0, keys: NDArray[np.uint64] | None = None
) -> Folding:
    """Split a sample into folds; the same rows get the same folds in whatever order they stand.

    - With ``time``: forward in time (expanding window); with groups as well, none is on both sides.
    - With ``groups``: whole groups, stratified as well as groups allow.
    - Else stratified and shuffled; copies of a row stay in one fold. A class of one row is always in
      training; one of fewer rows than folds is spread over different folds. So are extreme target values: see
      :func:`_dealt_outside_in`.

    Every training part holds at least two classes.

    `folds`: folds wanted; fewer are made (with a note) where rows, groups or points in time do not suffice.
    `keys`: see :func:`regadvisor.sampling.keys.row_keys`; computed if not given.

    Raises DataError if there is one group only or one class only, or if groups or time leave no two folds.
    """
    n = sample.n_rows
    keys = row_keys(sample) if keys is None else keys
    copies, n_duplicates = duplicate_clusters(keys)
    _check_classes(sample)
    groups = _group_numbers(sample, keys)
    if n < _FEWEST_ROWS:
        made = _unsplit(n)
    elif sample.time is not None:
        made = _forward(sample, groups, folds=folds, seed=seed, keys=keys)
    elif groups is not None:
        made = _grouped(sample, groups, folds=folds, seed=seed, keys=keys)
    else:
        made = _shuffled(sample, copies, n_duplicates, folds=folds, seed=seed, keys=keys)
    notes = made.notes
    if 0 < len(made.folds) < folds:
        few = f"{n:,} rows" if groups is None else f"{int(groups.max()) + 1:,} groups"
        text = f"{len(made.folds)} folds instead of {folds}: {few} do not allow more."
        notes = (*notes, Note(code="fewer-folds", text=text))
    return replace(made, n_duplicates=n_duplicates, notes=notes)


def _unsplit(n: int) -> Folding:
    notes = (Note(code="too-few-rows", text=f"{n} rows cannot be split into folds."),) if n else ()
    return Folding(folds=(), n_rows=n, notes=notes)


def _check_classes(sample: Table) -> None:
    if sample.n_rows >= _FEWEST_ROWS and sample.is_classification and len(np.unique(sample.y)) < 2:
        raise DataError(
            "the sample must hold at least two classes, got one; draw more rows or choose others with sample="
        )


def _group_numbers(sample: Table, keys: NDArray[np.uint64]) -> NDArray[np.intp] | None:
    """Return groups as numbers 0, 1, … in canonical order; None if every row is its own group."""
    if sample.groups is None or sample.n_rows < _FEWEST_ROWS:
        return None
    present, number = np.unique(sample.groups, return_inverse=True)
    if len(present) == 1:
        raise DataError(
            "groups must name at least two groups, got one; leave out groups= or check the column"
        )
    if len(present) == sample.n_rows:
        return None
    place = np.empty(len(present), dtype=np.intp)
    place[np.argsort(group_keys(number, keys), kind="stable")] = np.arange(len(present))
    return place[number]


def _forward(
    sample: Table, groups: NDArray[np.intp] | None, *, folds: int, seed: int, keys: NDArray[np.uint64]
) -> Folding:
    assert sample.time is not None  # the caller looked
    split, text = forward_in_time(sample, groups, folds=min(folds, sample.n_rows // 2), seed=seed, keys=keys)
    kept = _usable(sample, split, argument="time=")
    notes = [Note(code="forward-in-time", text=text)] if text else []
    late = _late_classes(sample, kept)
    if late:
        text = f"Classes missing from the first training part: {', '.join(late)}."
        notes.append(Note(code="late-classes", text=text))
    made = Folding(folds=kept, n_rows=sample.n_rows, scheme="time", notes=tuple(notes))
    cluster = time_clusters(sample.time, made.fold_of_row) if groups is None else groups
    return replace(made, cluster_of_row=cluster)


def _grouped(
    sample: Table, groups: NDArray[np.intp], *, folds: int, seed: int, keys: NDArray[np.uint64]
) -> Folding:
    """Leave whole groups out; rows are handed over in canonical order, so their own order is no matter."""
    n_groups = int(groups.max()) + 1
    n_folds = min(folds, n_groups)
    order = canonical_order(sample, keys)
    labels = _common_strata(strata_codes(sample, n_bins=min(TARGET_BINS, sample.n_rows // n_folds)), n_folds)
    if n_groups <= _MOST_GROUPS_STRATIFIED:
        splitter = StratifiedGroupKFold(n_splits=n_folds, shuffle=True, random_state=seed)
    else:
        splitter = GroupKFold(n_splits=n_folds, shuffle=True, random_state=seed)
    of_row = np.full(sample.n_rows, -1, dtype=np.intp)
    for k, (_, test) in enumerate(splitter.split(order[:, None], labels[order], groups[order])):
        of_row[order[test]] = k
    made = _usable(sample, _complements(of_row), argument="groups=")
    return Folding(folds=made, n_rows=sample.n_rows, cluster_of_row=groups, scheme="group")


def _shuffled(
    sample: Table,
    copies: NDArray[np.intp],
    n_duplicates: int,
    *,
    folds: int,
    seed: int,
    keys: NDArray[np.uint64],
) -> Folding:
    n = sample.n_rows
    n_folds = min(folds, n // 2)
    are_copies = n_duplicates <= thresholds.COPIES_SHARE * n
    units = copies if are_copies and n_duplicates else np.arange(n, dtype=np.intp)
    notes: tuple[Note, ...] = ()
    if not are_copies:
        text = f"{n_duplicates:,} of {n:,} rows repeat another one: taken as coarse values, not as copies."
        notes = (Note(code="coarse-rows", text=text),)
        keys = told_apart(keys)
    rng = np.random.default_rng([seed, 21])
    if sample.is_classification:
        of_row = _dealt(sample.y, keys, units, n_folds=n_folds, rng=rng)
    else:
        of_row = _dealt_outside_in(sample.target_view, keys, units, n_folds=n_folds, rng=rng)
    made = _trainable(sample, _complements(of_row))
    if len(made) < 2:
        return _unsplit(n)
    cluster = copies if are_copies and n_duplicates else None
    scheme: Scheme = "stratified" if np.ptp(sample.target_view) > 0 else "random"
    return Folding(folds=made, n_rows=n, cluster_of_row=cluster, scheme=scheme, notes=notes)


def _dealt(
    strata: NDArray[np.intp],
    keys: NDArray[np.uint64],
    units: NDArray[np.intp],
    *,
    n_folds: int,
    rng: np.random.Generator,
) -> NDArray[np.intp]:
    """Deal the units (rows, or sets of copies of one size) of each stratum to the folds, in equal parts.

    What is left over goes on where the last one ended, so folds differ by about one unit. A stratum of one
    row is dealt to no fold (-1). One that consists of copies of one row is dealt row by row, or a training
    part would lack it. Luck follows from the keys, and every fold gets one stretch of it: a row with another
    key moves at most one row from each fold to the next. What a stratum is called does not matter.
    """
    order = np.argsort(mix(keys ^ rng.integers(1 << 63, dtype=np.uint64)), kind="stable")
    of_row = np.full(len(order), -1, dtype=np.intp)
    turn = 0
    names, first_row = np.unique(strata[order], return_index=True)
    for stratum in names[np.argsort(first_row)]:
        rows = order[strata[order] == stratum]
        if len(rows) == 1:
            continue
        _, first, unit, size = np.unique(
            units[rows], return_index=True, return_inverse=True, return_counts=True
        )
        if len(size) == 1:
            first, unit, size = np.arange(len(rows)), np.arange(len(rows)), np.ones(len(rows), dtype=np.intp)
        of_unit = np.empty(len(size), dtype=np.intp)
        for each in np.unique(size)[::-1]:
            alike = np.flatnonzero(size == each)
            part, left = divmod(len(alike), n_folds)
            parts = part + ((np.arange(n_folds) - turn) % n_folds < left)
            of_unit[alike[np.argsort(first[alike])]] = np.repeat(np.arange(n_folds), parts)
            turn = (turn + left) % n_folds
        of_row[rows] = of_unit[unit]
    return of_row


def _dealt_outside_in(
    y: NDArray[np.float64],
    keys: NDArray[np.uint64],
    units: NDArray[np.intp],
    *,
    n_folds: int,
    rng: np.random.Generator,
) -> NDArray[np.intp]:
    """Deal the units to the folds by a numeric target, the most extreme first.

    Units are taken as many at a time as there are folds, from both ends towards the median, and every fold
    gets one of them. Those above the median go round the folds forwards, those below backwards, which
    leaves one for every fold. So of the rows beyond any value, above, below or on both sides, no fold has
    more than one more than another. Which of those that come at once on one side gets which fold is luck, and
    whenever a round begins on both sides, so is the order of the folds. Sets of copies are dealt before
    single rows, larger ones first.
    """
    _, first, unit, size = np.unique(units, return_index=True, return_inverse=True, return_counts=True)
    away, luck = deviations(y, keys)[first], mix(keys[first] ^ rng.integers(1 << 63, dtype=np.uint64))
    order = np.lexsort((luck, -np.abs(away), -size))
    is_above = away[order] > 0
    at_once, turn = np.divmod(np.arange(len(order)), n_folds)
    n_above: NDArray[np.intp] = np.cumsum(is_above) - is_above
    place = np.where(is_above, n_above, np.arange(len(order)) - n_above)
    stretch = np.cumsum((turn == 0) & (n_above % n_folds == 0)) - 1
    fold_of = rng.random((stretch[-1] + 1, n_folds)).argsort(axis=1)
    by_place = np.lexsort((place, is_above, at_once))
    by_luck = np.lexsort((luck[order], place // n_folds, is_above, at_once))
    place[by_luck] = place[by_place]
    of_unit = np.empty_like(place)
    of_unit[order] = fold_of[stretch, np.where(is_above, place, -1 - place) % n_folds]
    of_row: NDArray[np.intp] = of_unit[unit]
    return of_row


def _common_strata(strata: NDArray[np.intp], n_folds: int) -> NDArray[np.intp]:
    """Return strata with those too rare for every fold merged into the largest."""
    counts = np.bincount(strata)
    return np.where(counts[strata] < n_folds, int(np.argmax(counts)), strata).astype(np.intp)


def _complements(of_row: NDArray[np.intp]) -> tuple[Fold, ...]:
    """Return one fold for each number that occurs: its rows against all others."""
    return tuple(
        Fold(train=np.flatnonzero(of_row != k), test=np.flatnonzero(of_row == k))
        for k in np.unique(of_row[of_row >= 0])
    )


def _trainable(sample: Table, made: tuple[Fold, ...]) -> tuple[Fold, ...]:
    """Return the folds that can be trained: no empty part, and two classes in training."""

    def is_trainable(fold: Fold) -> bool:
        has_classes = not sample.is_classification or len(np.unique(sample.y[fold.train])) > 1
        return len(fold.train) > 0 and len(fold.test) > 0 and has_classes

    return tuple(fold for fold in made if is_trainable(fold))


def _usable(sample: Table, made: tuple[Fold, ...], *, argument: str) -> tuple[Fold, ...]:
    """Return the folds that can be trained, or raise if fewer than two are left."""
    kept = _trainable(sample, made)
    if len(kept) < 2:
        raise DataError(
            f"{argument} must leave at least two folds that can be trained (rows and two classes on the "
            f"training side), got {len(kept)} of {len(made)}; give more rows or leave out {argument}"
        )
    return kept


def _late_classes(sample: Table, made: tuple[Fold, ...]) -> list[str]:
    """Return labels of the classes that the first training part does not hold."""
    if not sample.is_classification:
        return []
    labels = sample.facts.classes or tuple(range(int(sample.y.max()) + 1))
    late = np.setdiff1d(np.unique(sample.y), np.unique(sample.y[made[0].train]))
    return [str(labels[int(code)]) for code in late]


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
