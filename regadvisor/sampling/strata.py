"""Strata, and the designs that draw rows: by class, spread over the target or over time, by group."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from regadvisor import thresholds
from regadvisor.data.hashing import mix
from regadvisor.data.table import Table
from regadvisor.sampling.keys import canonical_order, group_keys, told_apart


@dataclass(frozen=True, kw_only=True, eq=False)
class RowDesign:
    """Rows drawn at random within strata."""

    #: Row numbers of each stratum, in canonical order (or in the order of the target or of time).
    members: tuple[NDArray[np.intp], ...]
    #: (n_strata,): rows to draw from each.
    take: NDArray[np.intp]
    #: Draw one row from each of equally long slices of a stratum instead of anywhere in it.
    is_spread: bool = False
    #: Whether a stratum was drawn beyond its share, so that rows need weights.
    is_weighted: bool = False
    #: (n_source,): rows are drawn by luck that follows from their keys: one that gets another key, as float32
    #: makes one in millions, changes nothing for the others. Without, by their places in `members`.
    keys: NDArray[np.uint64] | None = None

    def draw(self, rng: np.random.Generator) -> NDArray[np.intp]:
        """Return drawn row numbers, sorted."""
        parts = []
        for members, count in zip(self.members, self.take.tolist(), strict=True):
            if count >= len(members):
                parts.append(members)
            elif self.is_spread and count:
                parts.append(members[one_per_slice(len(members), count, rng)])
            elif count and self.keys is not None:
                luck = mix(self.keys[members] ^ rng.integers(1 << 63, dtype=np.uint64))
                parts.append(members[np.argpartition(luck, count - 1)[:count]])
            elif count:
                parts.append(members[rng.choice(len(members), size=count, replace=False, shuffle=False)])
        return np.sort(np.concatenate(parts)) if parts else np.zeros(0, dtype=np.intp)

    def weights(self, rows: NDArray[np.intp]) -> NDArray[np.float64] | None:
        """Return (share in the source) / (share in the sample) of each row's stratum, or None."""
        if not self.is_weighted:
            return None
        sizes = np.array([len(members) for members in self.members], dtype=np.float64)
        by_row = np.zeros(int(sizes.sum()))
        for members, size, count in zip(self.members, sizes, self.take, strict=True):
            by_row[members] = size / count if count else 0.0
        weights: NDArray[np.float64] = by_row[rows] / by_row[rows].mean()
        return weights


@dataclass(frozen=True, kw_only=True, eq=False)
class GroupDesign:
    """Whole groups drawn at random, groups of all kinds in turn.

    Where whole groups would leave too few of them (`n_groups` is given), that many groups are drawn and
    then rows within them.
    """

    #: (n_rows,).
    groups: NDArray[np.intp]
    #: (n_rows,): class or target bin of each row.
    strata: NDArray[np.intp]
    #: Group codes that occur, in canonical order.
    ranked: NDArray[np.intp]
    #: (n_ranked,): what each ranked group mostly holds: its commonest class or target bin.
    kinds: NDArray[np.intp]
    #: (n_rows,): canonical order of the rows.
    order: NDArray[np.intp]
    n_rows: int
    #: Rows that every class gives, if it has them; 0: strata are bins of a number, and one may be missing.
    least: int
    n_groups: int | None = None

    def draw(self, rng: np.random.Generator) -> NDArray[np.intp]:
        """Return drawn row numbers, sorted."""
        queue = self._queue(rng)
        sizes = np.bincount(self.groups)[queue]
        if self.n_groups is not None:
            return self._rows_within(queue[: self.n_groups], rng)
        filled = np.cumsum(sizes)
        # The last group comes in only if that leaves the size nearer to the wanted one.
        last = min(int(np.searchsorted(filled, self.n_rows)), len(queue) - 1)
        before = int(filled[last - 1]) if last else 0
        count = last if last and self.n_rows - before <= filled[last] - self.n_rows else last + 1
        return np.flatnonzero(self._mask(self._with_all_strata(queue, count)))

    def weights(self, rows: NDArray[np.intp]) -> None:
        """Return None: every group has the same chance."""

    def _queue(self, rng: np.random.Generator) -> NDArray[np.intp]:
        """Return the groups in random order with all kinds in proportion from the beginning on."""
        sizes = np.bincount(self.groups)[self.ranked].astype(np.float64)
        place = np.zeros(len(self.ranked))
        for kind in np.unique(self.kinds):
            members = rng.permutation(np.flatnonzero(self.kinds == kind))
            ends = np.cumsum(sizes[members])
            place[members] = (ends - rng.random(len(members)) * sizes[members]) / ends[-1]
        return self.ranked[np.argsort(place, kind="stable")]

    def _with_all_strata(self, queue: NDArray[np.intp], count: int) -> NDArray[np.intp]:
        chosen = queue[:count]
        if not self.least:
            return chosen
        for stratum in np.unique(self.strata):
            held = self._mask(chosen)
            if not (held & (self.strata == stratum)).any():
                with_it = np.unique(self.groups[self.strata == stratum])
                chosen = np.append(chosen, queue[np.isin(queue, with_it)][:1])
        return chosen

    def _rows_within(self, chosen: NDArray[np.intp], rng: np.random.Generator) -> NDArray[np.intp]:
        inside = self.order[self._mask(chosen)[self.order]]
        members = _split(inside, self.strata)
        sizes = np.array([len(rows) for rows in members])
        return RowDesign(members=members, take=allocate(sizes, self.n_rows, least=self.least)).draw(rng)

    def _mask(self, chosen: NDArray[np.intp]) -> NDArray[np.bool_]:
        is_chosen = np.zeros(int(self.groups.max()) + 1, dtype=np.bool_)
        is_chosen[chosen] = True
        return is_chosen[self.groups]


Design: TypeAlias = RowDesign | GroupDesign


def strata_codes(table: Table, *, n_bins: int = thresholds.TARGET_BINS) -> NDArray[np.intp]:
    """Return the class code of each row, or the quantile bin of its target (of several: of their view)."""
    if table.is_classification:
        return np.asarray(table.y, dtype=np.intp)
    return target_bins(table.target_view, n_bins)


def target_bins(y: NDArray[np.float64], n_bins: int) -> NDArray[np.intp]:
    """Return quantile bins 0, 1, … of a numeric target; equal values share a bin.

    >>> target_bins(np.array([0.0, 3.0, 1.0, 2.0]), 2).tolist()
    [0, 1, 0, 1]
    >>> target_bins(np.array([0.0, 0.0, 0.0, 5.0]), 2).tolist()
    [0, 0, 0, 1]
    """
    if not len(y):
        return np.zeros(0, dtype=np.intp)
    bins = np.floor((stats.rankdata(y) - 0.5) * n_bins / len(y))
    return np.unique(np.minimum(bins, n_bins - 1), return_inverse=True)[1].astype(np.intp)


def allocate(sizes: NDArray[np.intp], n_rows: int, *, least: int = 0) -> NDArray[np.intp]:
    """Return how many rows to take from each stratum: in proportion, by largest remainder.

    No stratum gives fewer than `least` rows (or all it has, if that is less), even if the sum then exceeds
    `n_rows`, and none more than it has.

    >>> allocate(np.array([90, 10]), 20).tolist()
    [18, 2]
    >>> allocate(np.array([980, 16, 4]), 100, least=5).tolist()
    [91, 5, 4]
    """
    n_rows = min(n_rows, int(sizes.sum()))
    floors = np.minimum(sizes, least)
    free = np.ones(len(sizes), dtype=np.bool_)
    share = np.zeros(len(sizes))
    while free.any():
        left = max(0, n_rows - int(floors[~free].sum()))
        share = np.where(free, sizes * left / max(1, sizes[free].sum()), floors)
        short = free & (share < floors)
        if not short.any():
            break
        free &= ~short
    take = np.where(free, np.floor(share), floors).astype(np.intp)
    missing = n_rows - int(take.sum())
    if missing > 0 and free.any():
        remainder = np.where(free & (take < sizes), share - take, -1.0)
        take[np.argsort(-remainder, kind="stable")[:missing]] += 1
    return take


def make_design(table: Table, n_rows: int, *, folds: int, keys: NDArray[np.uint64]) -> Design:
    """Return the design for `n_rows` of the table: whole groups, or rows spread over time, or rows.

    `n_rows`: rows wanted; more are drawn where every class must give `folds` rows. `folds`: rows that every
    class gives, if it has them. `keys`: see :func:`regadvisor.sampling.keys.row_keys`.
    """
    order = canonical_order(table, keys)
    strata = strata_codes(table)
    if table.groups is not None and len(np.unique(table.groups)) < table.n_rows:
        return _group_design(table, n_rows, folds=folds, keys=keys, order=order, strata=strata)
    if table.time is not None:
        order = order[np.argsort(table.time[order], kind="stable")]
    elif not table.is_classification:
        # From the lowest target to the highest, so every part of its range keeps its share, the ends too.
        order = order[np.argsort(deviations(table.target_view, keys)[order], kind="stable")]
        strata = np.zeros_like(strata)
    is_spread = table.time is not None or not table.is_classification
    members = _split(order, strata)
    sizes = np.array([len(rows) for rows in members], dtype=np.intp)
    take = allocate(sizes, n_rows, least=folds if table.is_classification else 0)
    fair = np.ceil(sizes * min(n_rows, table.n_rows) / sizes.sum())
    return RowDesign(
        members=members,
        take=take,
        is_spread=is_spread,
        is_weighted=bool((take > fair).any()),
        keys=None if is_spread else told_apart(keys),
    )


def are_whole_groups(table: Table, rows: NDArray[np.intp]) -> bool:
    """Return whether given rows are whole groups, some of which have several rows."""
    if table.groups is None:
        return False
    sizes = np.bincount(table.groups)
    taken = np.bincount(table.groups[rows], minlength=len(sizes))
    return bool(((taken == 0) | (taken == sizes)).all() and (sizes > 1).any())


def _group_design(
    table: Table,
    n_rows: int,
    *,
    folds: int,
    keys: NDArray[np.uint64],
    order: NDArray[np.intp],
    strata: NDArray[np.intp],
) -> GroupDesign:
    assert table.groups is not None  # the caller looked
    present = np.unique(table.groups)
    ranked = present[np.argsort(group_keys(table.groups, keys)[present], kind="stable")]
    counts = np.zeros((int(present.max()) + 1, int(strata.max()) + 1), dtype=np.intp)
    np.add.at(counts, (table.groups, strata), 1)
    wanted = min(len(ranked), thresholds.GROUPS_PER_FOLD * folds)
    would_come = n_rows / (table.n_rows / len(ranked))
    return GroupDesign(
        groups=table.groups,
        strata=strata,
        ranked=ranked.astype(np.intp),
        kinds=counts.argmax(axis=1)[ranked],
        order=order,
        n_rows=n_rows,
        least=folds if table.is_classification else 0,
        n_groups=wanted if would_come < wanted else None,
    )


def _split(rows: NDArray[np.intp], strata: NDArray[np.intp]) -> tuple[NDArray[np.intp], ...]:
    """Return the rows of each stratum, keeping their order; strata in the order of their first rows."""
    own = strata[rows]
    by_stratum = np.argsort(own, kind="stable")
    parts = [part for part in np.split(by_stratum, np.cumsum(np.bincount(own))[:-1]) if len(part)]
    return tuple(rows[part] for part in sorted(parts, key=lambda part: int(part[0])))


#: Steps in which distances from the median are rounded: 1/16,384 of the next power of two.
_MANTISSA = 1 << 14


def one_per_slice(n: int, count: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Return `count` of the places 0 … n - 1, one from each of equally long slices.

    The first slice begins at a random place and the last ends there, so all places have the same chance.

    >>> one_per_slice(8, 4, np.random.default_rng(0)).tolist()
    [2, 3, 5, 7]
    """
    edges = np.floor((np.arange(count + 1) + rng.random()) * (n / count)).astype(np.intp)
    edges[-1] = edges[0] + n
    return np.sort(rng.integers(edges[:-1], edges[1:]) % n)


def deviations(y: NDArray[np.float64], keys: NDArray[np.uint64]) -> NDArray[np.float64]:
    """Return how far a numeric target is from its median, in a form that knows no units.

    In units of the median distance, rounded to four digits so that neither a change of unit nor float32
    separates what is equal; and turned so that the most extreme row is above (the one with the largest key
    of several).

    >>> keys = np.arange(5, dtype=np.uint64)
    >>> deviations(np.array([3.0, 1.0, 2.0, 4.0, 90.0]), keys).tolist()
    [0.0, -2.0, -1.0, 1.0, 87.0]
    >>> deviations(-np.array([3.0, 1.0, 2.0, 4.0, 90.0]) / 7.0, keys).tolist()
    [0.0, -2.0, -1.0, 1.0, 87.0]
    """
    if not len(y):
        return np.zeros(0)
    largest = np.abs(y).max()
    away = y / largest if largest > 0.0 else y  # squares and sums of 1e300 overflow
    away = away - np.median(away)
    distance = np.abs(away)
    unit = np.median(distance) or distance.mean() or 1.0
    mantissa, exponent = np.frexp(away / unit)
    away = np.ldexp(np.round(mantissa * _MANTISSA) / _MANTISSA, exponent)
    away = np.where(np.abs(away) < 1.0 / _MANTISSA, 0.0, away)
    distance = np.abs(away)
    farthest = np.flatnonzero(distance == distance.max())
    extreme = farthest[np.argmax(keys[farthest])]
    return -away + 0.0 if away[extreme] < 0 else away  # + 0.0: no negative zero


def target_line(table: Table, keys: NDArray[np.uint64]) -> NDArray[np.float64]:
    """Return numbers along which every stretch should keep its share: the target, or a class's first row."""
    if not table.is_classification:
        return deviations(table.target_view, keys)
    _, first, code = np.unique(table.y, return_index=True, return_inverse=True)
    return first[code].astype(np.float64)
