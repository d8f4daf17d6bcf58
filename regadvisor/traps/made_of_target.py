"""Columns made from the target: its mean over some rows, its band, another row's, or a corrected copy.

Each holds exactly or not at all, so that luck plays no part. A mean of the target over the rows that share
a value of the column, which is that value, holds each row's own target. A column whose levels part the
range of the target was cut from it. A column that is the target, some rows earlier, shows that the rows are
a series.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import special

from regadvisor import thresholds
from regadvisor.records import Note
from regadvisor.traps.identifiers import name_parts, numbers_rows
from regadvisor.traps.leaks import written_step
from regadvisor.traps.view import View, as_columns, error, is_sorted, random_folds, ridge
from regadvisor.words import agreed

#: Classes whose shares are asked about, rows that a column may be behind, and other columns.
_MOST_CLASSES, _MOST_BEHIND, _MOST_OTHERS = 5, 3, 300


def made_of_target(view: View, *, seed: int) -> tuple[Note, ...]:
    """Return a warning about columns that were made from the target; `seed` draws folds."""
    table = view.table
    if table.n_targets > 1 or len(view.rows) < thresholds.LEAK_CURVE_ROWS or table.facts.n_features < 2:
        return ()
    found = _means(view)
    if found:
        what = "the share of a class" if table.is_classification else "the mean of the target"
        text = (
            f"{view.names(found)} {agreed(len(found), 'is', 'are')} {what} over the rows that have the same "
            "value: a leak, as each row's own target is in it. Work it out from the training rows alone, as "
            "TargetEncoder() does, or leave it out."
        )
        return (Note(code="target-means", text=text, is_warning=True),)
    if table.is_classification:
        return ()
    whole = np.asarray(table.targets[:, 0], dtype=np.float64)
    is_whole = bool((whole == np.round(whole)).all())
    is_count = is_whole and is_sorted(whole) and numbers_rows(whole)
    if is_count or (is_whole and name_parts(table.facts.target_name or "") & thresholds.IDENTIFIER_PARTS):
        how = "numbers the rows in their order" if is_count else "has the name of an identifier"
        text = f"the target {how}: is it the column that you mean to predict?"
        return (Note(code="target-numbers-rows", text=text, is_warning=True),)
    return (*_bands(view, seed=seed), *_series(view))


def _means(view: View) -> list[int]:
    """Return the columns whose every value is the mean of the target over the rows that have it."""
    if view.table.weight is not None or view.table.n_classes > _MOST_CLASSES:
        return []
    y = as_columns(view.targets, is_classification=view.table.is_classification)
    at = view.varying[~view.is_category[view.varying] & ~view.is_date[view.varying]]
    few = view.n_levels[at] >= thresholds.MEANS_FEWEST_LEVELS
    at = at[few & (view.n_levels[at] <= thresholds.MEANS_REPEATED * len(y))]
    return [j for j in at.tolist() if _goes_with_slope_1(view.values[:, j], y) and _is_mean(view, j)]


def _goes_with_slope_1(x: NDArray[np.float64], y: NDArray[np.float64]) -> bool:
    """Whether a target column clearly rises with `x`, and one by one, as far as these rows can tell.

    Means over so many rows that it does not hold too little of each row's own target to matter.
    """
    is_there = np.isfinite(x)
    x, y = x[is_there] - x[is_there].mean(), y[is_there] - y[is_there].mean(axis=0)
    square = float(x @ x)
    if square <= 0:
        return False
    slope = x @ y / square
    luck = np.sqrt(np.square(y - x[:, None] * slope).mean(axis=0) / square)
    is_1 = np.abs(slope - 1.0) <= thresholds.MEANS_Z * luck + thresholds.LEAK_RESIDUAL
    return bool((is_1 & (slope >= thresholds.MEANS_Z * luck)).any())


def _is_mean(view: View, j: int) -> bool:
    x = view.whole(j)
    is_there = np.isfinite(x)
    x, y = x[is_there], np.asarray(view.table.targets[is_there], dtype=np.float64)
    values, codes, counts = np.unique(x, return_inverse=True, return_counts=True)
    if (counts > 1).sum() < thresholds.MEANS_FEWEST_LEVELS:
        return False
    for own in as_columns(y, is_classification=view.table.is_classification).T:
        means, sd = np.bincount(codes, weights=own) / counts, float(own.std())
        luck = sd / np.sqrt(counts[codes].mean())  # how far means of honest columns are off
        rounded = written_step(values) / 2
        most = max(
            thresholds.LEAK_RESIDUAL * luck, rounded if rounded <= thresholds.LEAK_ROUNDED * luck else 0
        )
        if (np.abs(means - values) <= most)[codes].mean() >= thresholds.LEAK_ROUNDED_ROWS:
            return True
    return False


def _bands(view: View, *, seed: int) -> tuple[Note, ...]:
    """Return a warning about levels each of which has a part of the target's range to itself."""
    y = view.targets[:, 0]
    most = len(y) / thresholds.CODED_ROWS_PER_LEVEL
    at = [j for j in view.varying.tolist() if view.n_levels[j] <= most and _may_be_bands(view, j)]
    whole: NDArray[np.float64] = np.asarray(view.table.targets[:, 0], dtype=np.float64)
    at = [
        j
        for j in at
        if _are_bands(view.values[:, j], y, len(view.at)) and _are_bands(view.whole(j), whole, 1)
    ]
    if not at:
        return ()
    features, origin = view.encoded
    others = features[:, ~np.isin(origin, at)][:, :_MOST_OTHERS]
    folds, own = random_folds(len(y), np.random.default_rng(seed)), y[:, None]
    if others.shape[1] and error(ridge(others, own, folds), own) < thresholds.NEAR_LEAK_OTHERS_LEAVE:
        return ()
    them, are = ("it", "it is") if len(at) == 1 else ("them", "they are")
    text = (
        f"each value of {view.names(at)} has a range of the target to itself: a leak, if {are} cut from the "
        f"target. Leave {them} out if {are} not known when predictions are made."
    )
    return (Note(code="target-bands", text=text, is_warning=True),)


def _may_be_bands(view: View, j: int) -> bool:
    """Whether a column holds categories, or numbers that count up in equal steps; doses have gaps."""
    steps = np.diff(np.unique(view.ordered[j][np.isfinite(view.ordered[j])]))
    return bool(view.is_category[j] or np.ptp(steps) <= 1e-6 * steps.min(initial=np.inf))


def _are_bands(x: NDArray[np.float64], y: NDArray[np.float64], n_columns: int) -> bool:
    """Whether the levels of `x` part the range of `y`, and this is no luck among so many columns.

    >>> y = np.arange(200.0)
    >>> _are_bands(y // 50, y, 10), _are_bands(y % 4, y, 10)
    (True, False)
    """
    is_there = np.isfinite(x)
    order = np.lexsort((y[is_there], x[is_there]))
    x, y = x[is_there][order], y[is_there][order]
    starts = np.flatnonzero(np.r_[True, np.diff(x) != 0])
    sizes = np.diff(np.r_[starts, len(x)])
    low, high = y[starts], y[np.r_[starts[1:], len(x)] - 1]
    by_low = np.argsort(low)
    is_wide = (high > low).sum() >= 2  # or the levels determine the target, which is told elsewhere
    if not is_wide or (high[by_low][:-1] > low[by_low][1:]).any() or len(np.unique(y)) < 2 * len(starts):
        return False
    ways = special.gammaln(len(x) + 1) - special.gammaln(sizes + 1).sum() - special.gammaln(len(sizes) + 1)
    return bool(ways >= np.log(n_columns) - np.log(thresholds.LEAK_CHANCE))


def _series(view: View) -> tuple[Note, ...]:
    """Return a warning about columns that hold the target, or that of an earlier or a later row."""
    table, whole = view.table, np.asarray(view.table.targets[:, 0], dtype=np.float64)
    at = view.varying[~view.is_category[view.varying]]
    counts = np.unique(whole, return_counts=True)[1] / len(whole)
    if not len(at) or float(counts @ counts) > thresholds.SERIES_LUCK:
        return ()
    found: dict[int, int] = {}
    for behind in [step for k in range(_MOST_BEHIND, -1, -1) for step in (k, -k)]:
        source = view.rows - behind
        is_inside = (source >= 0) & (source < len(whole))
        same = view.values[is_inside][:, at] == whole[source[is_inside]][:, None]
        found |= {int(j): behind for j in at[same.mean(axis=0) >= thresholds.SERIES_SAME]}
    copy = next((j for j, behind in found.items() if behind == 0), None)
    if copy is not None:
        share = float(np.mean(view.values[:, copy] == whole[view.rows]))
        text = (
            f"{view.names([copy])} is the target itself in {share:.0%} of the rows: a leak? Leave it out if "
            "it is not known when predictions are made."
        )
        return (Note(code="leak", text=text, is_warning=True),)
    later = [j for j, behind in found.items() if behind < 0]
    earlier = [j for j, behind in found.items() if behind > 0]
    if later and not earlier:
        text = (
            f"{view.names(later)} {agreed(len(later), 'holds', 'hold')} the target of a later row: a leak, "
            "unless the newest rows stand first. Leave out what is not known when predictions are made."
        )
        return (Note(code="later-target", text=text, is_warning=True),)
    if not earlier or table.time is not None:
        return ()
    text = (
        f"{view.names(earlier)} {agreed(len(earlier), 'holds', 'hold')} the target of an earlier row: the "
        "rows are a series, and random folds learn from its future. Pass the order of the rows as time=."
    )
    return (Note(code="rows-in-series", text=text, is_warning=True),)
