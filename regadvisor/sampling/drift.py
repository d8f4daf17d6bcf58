"""Do the data change over time, or along the order in which the rows stand?

Time is the caller's word and is taken seriously; the row order is only a hint. Both compare features within
class or target bin, so data sorted by target look like shuffled ones. The bins of several targets are those
of their first principal component; whether the targets themselves drift is looked at one by one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from regadvisor import thresholds
from regadvisor.data.numbers import some_numbers
from regadvisor.data.table import Table
from regadvisor.records import ShiftTest
from regadvisor.sampling.difference import classifier_test
from regadvisor.sampling.encode import Encoded, encode_target, fit_encode
from regadvisor.sampling.strata import target_bins

#: Rows and columns looked at; a material drift shows in 5,000 rows.
_MOST_ROWS = 5_000
_MOST_COLUMNS = 200
_CLASSIFIER_PARTS = 4


@dataclass(frozen=True, kw_only=True, eq=False)
class _View:
    """Some rows of the source: features, target and what the target leaves unexplained of the features."""

    features: Encoded
    within: NDArray[np.float64]
    target: Encoded
    rows: NDArray[np.intp]
    y: NDArray[np.float64]
    is_classification: bool


def time_drift(table: Table, keys: NDArray[np.uint64], *, seed: int) -> tuple[bool, tuple[ShiftTest, ...]]:
    """Return whether features or target drift over time, and the tests behind it.

    The rows are cut into 24 blocks in time (12 if there are few). The first third is compared with the last,
    and the middle with both. The spread between blocks of a third is the yardstick (a t-test on block
    means), so neighbouring rows may be alike without raising an alarm: a naive test would count
    each of them as new. A drift has to be significant over all columns (Benjamini and Hochberg) and as
    large as 0.25 standard deviations. If no single column drifts, a linear classifier is asked to tell the
    first third from the last on stretches of time that it has not seen.

    `table`: with ``time``. `keys`: see :func:`regadvisor.sampling.keys.row_keys`.
    """
    what = "blocks in time"
    n_blocks = next((blocks for fewest, blocks in thresholds.DRIFT_BLOCKS if table.n_rows >= fewest), 0)
    if not n_blocks or table.time is None or len(np.unique(table.time)) < 3:
        text = "too few rows or points in time to compare blocks"
        return False, (ShiftTest(what=what, verdict="inconclusive", text=text),)
    view = _view(table, keys, seed=seed)
    order = np.lexsort((keys[view.rows], table.time[view.rows]))
    within, target = view.within[order], view.target.values[order].astype(np.float64)
    tests = [
        _block_test(within, view.features.names, n_blocks, f"{what}, features within class or target bin"),
        _block_test(target, view.target.names, n_blocks, f"{what}, target"),
    ]
    if not any(test.verdict == "different" for test in tests):
        tests.append(_classifier_in_time(within, n_blocks, f"{what}, linear classifier"))
    return any(test.verdict == "different" for test in tests), tuple(tests)


def order_hint(table: Table, keys: NDArray[np.uint64], *, seed: int) -> tuple[bool, ShiftTest]:
    """Return whether features change along the row order in a way that the target does not explain.

    For every column: the generalised covariance measure (Shah and Peters 2020) of its ranks and the position
    (and the distance from the middle), given class or target. Data sorted by the target leave no position
    unexplained and give no hint. A hint has to be significant at a false discovery rate of 1% and a
    correlation of at least 0.108.
    """
    what = "row order, within class or target bin"
    if table.n_rows < thresholds.DRIFT_BLOCKS[-1][0]:
        return False, ShiftTest(what=what, verdict="inconclusive", text="too few rows to compare blocks")
    view = _view(table, keys, seed=seed)
    place = stats.rankdata(view.rows) / len(view.rows) - 0.5
    functions = np.column_stack([place, np.abs(place) - np.abs(place).mean()])
    free = _within_target(functions, view.y, view.is_classification)
    is_free = free.var(axis=0) > thresholds.DRIFT_FREE_POSITION * functions.var(axis=0)
    ranks = stats.rankdata(view.features.values, axis=0)
    left = _within_target(ranks, view.y, view.is_classification)
    varies = np.flatnonzero((left.std(axis=0) > 1e-6 * len(ranks)) & ~_counts_up(table, view))
    if not is_free.any() or not len(varies):
        return False, ShiftTest(what=what, verdict="equivalent", text="the rows are sorted by the target")
    names = [view.features.names[j] for j in varies]
    # Means, or means and slopes, that are fitted to a column.
    n_fitted = len(np.unique(view.y)) if view.is_classification else 2 * _n_bins(len(view.y))
    correlation, p_value = _covariance_measure(left[:, varies], free[:, is_free], n_fitted)
    adjusted = stats.false_discovery_control(p_value)
    found = (adjusted <= thresholds.ORDER_FDR) & (np.abs(correlation) >= thresholds.ORDER_CORRELATION)
    worst = int(np.argmax(np.where(found, np.abs(correlation), 0)) if found.any() else np.argmin(adjusted))
    return bool(found.any()), ShiftTest(
        what=what,
        verdict="inconclusive" if found.any() else "equivalent",
        column=names[worst],
        effect=float(np.abs(correlation[worst])),
        unit="correlation",
        p_value=float(adjusted[worst]),
        text=f"{int(found.sum())} of {len(names)} columns change along the row order; "
        f"most surprising {names[worst]} (correlation {correlation[worst]:+.3f}, p = {adjusted[worst]:.2g})",
    )


def _counts_up(table: Table, view: _View) -> NDArray[np.bool_]:
    """Whether each column is whole numbers that rise or fall with every row: it tells no rows apart."""
    steps = np.diff(view.features.values, axis=0)
    found = np.flatnonzero((steps > 0).all(axis=0) | (steps < 0).all(axis=0))
    values = some_numbers(table.X, view.rows, view.features.origin[found])
    whole = found[(values == np.round(values)).all(axis=0)]
    return np.isin(np.arange(steps.shape[1]), whole)


def _view(table: Table, keys: NDArray[np.uint64], *, seed: int) -> _View:
    # The smallest keys are a random choice of rows, the same one in whatever order they stand.
    rows = np.arange(table.n_rows, dtype=np.intp)
    if table.n_rows > _MOST_ROWS:
        rows = np.sort(np.argpartition(keys, _MOST_ROWS)[:_MOST_ROWS]).astype(np.intp)
    _, features = fit_encode(table.X, table.facts.columns, seed=seed, most_columns=_MOST_COLUMNS, rows=rows)
    y = np.asarray(table.target_view[rows], dtype=np.float64)
    within = _within_target(features.values.astype(np.float64), y, table.is_classification)
    return _View(
        features=features,
        within=within,
        target=encode_target(table, rows),
        rows=rows,
        y=y,
        is_classification=table.is_classification,
    )


def _within_target(
    values: NDArray[np.float64], y: NDArray[np.float64], is_classification: bool
) -> NDArray[np.float64]:
    """Return columns minus their class mean, or minus a line on the target's rank within target bins.

    With a line and not only a mean, data sorted by a numeric target leave nothing of the position.
    """
    strata = y.astype(np.intp) if is_classification else target_bins(y, _n_bins(len(y)))
    rank = stats.rankdata(y)
    left = np.empty_like(values)
    for stratum in np.unique(strata):
        rows = strata == stratum
        centred = values[rows] - values[rows].mean(axis=0)
        if not is_classification:
            line = rank[rows] - rank[rows].mean()
            scale = float(line @ line)
            if scale > 0:
                centred = centred - np.outer(line, line @ centred / scale)
        left[rows] = centred
    return left


def _n_bins(n_rows: int) -> int:
    return int(np.clip(n_rows // thresholds.DRIFT_ROWS_PER_BIN, 2, thresholds.DRIFT_BINS))


def _covariance_measure(
    left: NDArray[np.float64], free: NDArray[np.float64], n_fitted: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return signed correlation and p-value per column, of the more surprising position function.

    With two functions the p-value is doubled (Bonferroni). The `n_fitted` means and slopes cost as many rows.
    """
    n = len(left)
    mean = left.T @ free / n
    spread = np.sqrt(np.maximum(np.square(left).T @ np.square(free) / n - mean**2, 1e-300))
    p_value = 2.0 * stats.norm.sf(np.abs(np.sqrt(max(1, n - n_fitted)) * mean / spread))
    correlation = mean / np.outer(left.std(axis=0), free.std(axis=0))
    best = np.argmin(p_value, axis=1)
    rows = np.arange(len(best))
    return correlation[rows, best], np.minimum(1.0, p_value[rows, best] * free.shape[1])


def _block_test(values: NDArray[np.float64], names: tuple[str, ...], n_blocks: int, what: str) -> ShiftTest:
    if not values.shape[1]:
        return ShiftTest(what=what, verdict="equivalent", text="no column varies")
    smd, p_value = _contrasts(values, n_blocks)
    adjusted = stats.false_discovery_control(p_value.ravel()).reshape(p_value.shape)
    size = np.abs(smd)
    found = (adjusted <= thresholds.DRIFT_FDR) & (size >= thresholds.DRIFT_SMD)
    pick = np.where(found, size, 0.0).argmax() if found.any() else adjusted.argmin()
    contrast, column = np.unravel_index(int(pick), size.shape)
    parts = ("from the first third to the last", "from the rest to the middle third")[int(contrast)]
    n_found = int(found.any(axis=0).sum())
    said = _drifting(n_found, names, names[int(column)], is_target=what.endswith("target"))
    return ShiftTest(
        what=what,
        verdict="different" if n_found else "equivalent",
        column=names[int(column)],
        effect=float(size[contrast, column]),
        unit="standard deviations",
        p_value=float(adjusted[contrast, column]),
        text=f"{said}: {parts} it moves by {smd[contrast, column]:+.2f} standard deviations",
    )


def _drifting(n_found: int, names: tuple[str, ...], most: str, *, is_target: bool) -> str:
    """Return whether the target drifts, or how many inputs do, and which most of all.

    >>> _drifting(2, ("target = no", "target = yes"), "target = yes", is_target=True)
    'the target drifts, most of all yes'
    >>> _drifting(1, ("a", "b"), "b", is_target=False), _drifting(2, ("a", "b"), "b", is_target=False)
    ('b drifts', '2 of 2 inputs drift, most of all b')
    """
    drifts = "drifts" if n_found else "does not drift"
    if is_target:
        of = most.removeprefix("target").lstrip(" =")
        return f"the target {drifts}" + (f", most of all {of}" if of else "")
    if n_found == 1 or len(names) == 1:
        return f"{most} {drifts}"
    return f"{n_found} of {len(names)} inputs drift, most of all {most}"


def _contrasts(values: NDArray[np.float64], n_blocks: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return how far thirds of the time differ, in standard deviations, and the p-values.

    Shape (2, n_columns): the last third and the first, the middle and both. Their error is the spread of
    block means within thirds.
    """
    n, third = len(values), n_blocks // 3
    block = np.arange(n) * n_blocks // n
    starts = np.searchsorted(block, np.arange(n_blocks))
    sizes = np.diff(np.append(starts, n))[:, None]
    means = (np.add.reduceat(values, starts, axis=0) / sizes).reshape(3, third, -1)
    by_third = means.mean(axis=1)
    # Within thirds, so that a drift does not hide itself by inflating the unit it is measured in.
    which = block // third
    spread = np.sqrt(np.mean([values[which == t].var(axis=0) for t in range(3)], axis=0))
    between = np.sqrt(means.var(axis=1, ddof=1).mean(axis=0))
    first = by_third[2] - by_third[0]
    middle = by_third[1] - (by_third[0] + by_third[2]) / 2
    difference = np.stack([first, middle])
    error = between * np.sqrt(np.array([[2.0], [1.5]]) / third)
    tiny = 1e-9 * (spread + np.abs(difference).max(axis=0) + 1e-300)
    t = np.abs(difference) / np.maximum(error, tiny)
    return difference / np.maximum(spread, tiny), 2.0 * stats.t.sf(t, df=3 * (third - 1))


def _classifier_in_time(within: NDArray[np.float64], n_blocks: int, what: str) -> ShiftTest:
    """Tell the first third from the last; held out are stretches of time, one of each third at once.

    As for single columns, the means of blocks are compared and not rows: here of the held-out scores' ranks.
    """
    third, half = len(within) // 3, n_blocks // 3
    if not within.shape[1]:
        return ShiftTest(what=what, verdict="equivalent", text="no column varies")
    values = np.vstack([within[:third], within[-third:]]).astype(np.float32)
    labels = np.repeat(np.array([False, True]), third)
    parts = np.tile(np.arange(third) * _CLASSIFIER_PARTS // third, 2).astype(np.intp)
    result = classifier_test(values, labels, parts)
    block = np.tile(np.arange(third) * half // third, 2) + half * labels
    means = np.bincount(block, weights=result.ranks) / np.bincount(block)
    test = stats.ttest_1samp(means[half:] - means[:half], 0.0)
    # Pairs of stretches are used in both directions: see classifier_test. The p-value for independent rows is
    # too small where neighbours are alike, the one of blocks where there are few of them; both have to do.
    by_block = float(stats.t.sf(float(test.statistic) / np.sqrt(2.0), df=half - 1))
    p_value = max(by_block, result.p_value)
    least = float(stats.norm.cdf(thresholds.DRIFT_SMD / np.sqrt(2.0)))
    is_found = result.auc >= least and p_value <= thresholds.DRIFT_FDR
    return ShiftTest(
        what=what,
        verdict="different" if is_found else "equivalent",
        effect=result.auc,
        unit="AUC",
        p_value=p_value,
        text="the rows drift in time: a classifier tells the first third from the last "
        f"(ROC AUC {result.auc:.2f}; 0.5 is chance), so later rows may need another model",
    )
