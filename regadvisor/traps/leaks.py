"""Leaks: columns that determine the target, alone or together.

A column that says what the target says makes every regularizer look perfect. Chance is counted, not
guessed: with many rows of one value, or few values of the target, a column may seem to determine the target
by luck, and the share of shuffled targets that would look the same is worked out. Columns together are
asked by least squares, with far more rows than columns: what is left is rounding or it is not.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import special

from regadvisor import thresholds
from regadvisor.records import Note
from regadvisor.traps.view import (
    View,
    as_columns,
    as_written,
    error,
    is_by_target,
    random_folds,
    ridge,
    standardised,
    told_once,
)
from regadvisor.words import shown

#: Columns tried together, or picked one by one, at most; how often a sum is fitted to the rows that it fits.
_MOST_TOGETHER, _MOST_PICKED, _MOST_TRIMMED = 300, 12, 5
#: Targets that are looked at; of more these, evenly spread. Each takes some 5 ms.
_MOST_TARGETS = 100
#: Rows by which all columns are judged first, and how near a curve has to be there, in standard deviations
#: of the target: the median of noise is 0.8 away; of the fastest curve that is seen in `TRAP_ROWS` rows, 0.1.
_FIRST_ROWS, _FIRST_NEAR = 200, 0.3


#: How columns determine the target, by their places in a view: "levels", "order" or "curve".
_Found: TypeAlias = Mapping[int, str]


def leaks(view: View, *, seed: int, numbered: Collection[int] = ()) -> tuple[Note, ...]:
    """Return a warning for every target that columns determine.

    `seed`: draws the folds by which honest classes that are far apart are told from leaks. `numbered`:
    columns that number the rows: where these are sorted by the target, they are no leak.
    """
    table = view.table
    honest = numbered if numbered and is_by_target(view) else ()
    notes: list[tuple[str | int, Note]] = []
    names = [each.name for each in table.facts.targets] or [""]
    for place in np.unique(np.linspace(0, len(names) - 1, num=_MOST_TARGETS).round().astype(int)).tolist():
        name = names[place]
        y = view.targets[:, place]
        what = "the target" if table.n_targets == 1 else f"the target {shown(name)}"
        columns = [j for j in _hopeful(view, y).tolist() if j not in honest]
        hopeful = [j for j in columns if _determines(view.values[:, j], y, view, j)]
        whole = np.asarray(table.targets[:, place], dtype=np.float64)  # all rows, not only those of the view
        every = {j: _determines(view.whole(j), whole, view, j) for j in hopeful}  # but smooth in time
        found = {j: how for j, how in every.items() if how and not (how == "curve" and j in numbered)}
        single = _known_alone(view, _without_sources(view, found), seed=seed)
        numbers = None if table.n_classes == 2 else as_written(table, y)  # two classes are no sum
        together = () if single or numbers is None else _together(view, numbers, without=honest)
        notes += [(name, _alone_note(view, single, what))] if single else []
        notes += [(name, _together_note(view, together, what))] if together else []
    return told_once(notes, otherwise="Other columns determine")


def _hopeful(view: View, y: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return the columns that may determine `y` alone, all judged together by some of the rows.

    What holds in all rows holds in some: equal values have one target, or the target rises throughout. A
    curve is near in fewer rows, too, only not as near.
    """
    step = max(1, len(y) // _FIRST_ROWS)
    values = view.values[::step][:, view.varying]
    order = np.argsort(values, axis=0)
    x, own = np.take_along_axis(values, order, axis=0), y[::step][order]
    is_classification, is_category = view.table.is_classification, view.is_category[view.varying]
    steps = np.where(np.isnan(x[1:]), 0.0, np.diff(own, axis=0))
    nearly = 0.0 if is_classification else 2 * thresholds.LEAK_RESIDUAL * float(y.std())
    is_one = ~((np.diff(x, axis=0) == 0) & (np.abs(steps) > nearly)).any(axis=0)
    is_hopeful = is_category | (view.n_levels[view.varying] <= thresholds.LEAK_LEVELS * len(y))
    is_hopeful |= view.is_whole[view.varying] & (len(view.rows) < view.table.n_rows)
    if is_classification:
        is_hopeful |= 1 + (steps != 0).sum(axis=0) <= len(np.unique(y)) + 1
    else:
        is_hopeful |= (steps >= -nearly).all(axis=0) | (steps <= nearly).all(axis=0)
        off, is_telling = _off_curve(x, own)
        is_near = is_telling & (off <= _FIRST_NEAR * float(y.std()))
        is_hopeful |= 2 * is_near.sum(axis=0) >= is_telling.sum(axis=0)
    return np.asarray(view.varying[is_one & is_hopeful])


def _determines(x: NDArray[np.float64], y: NDArray[np.float64], view: View, j: int) -> str | None:
    """Return how `x` determines `y`: "levels", "order", "curve", or None where it does not.

    Rows without a value of `x` are left out, unless they are many.
    """
    is_category = bool(view.is_category[j])
    # Of a household that two rows come from, hardly both are among some of many rows.
    is_few = len(x) < view.table.n_rows and bool(view.is_whole[j])
    present = np.isfinite(x)
    if present.sum() < thresholds.LEAK_PRESENT * len(x):
        return None
    x, y = x[present], y[present]
    most = -np.log(thresholds.LEAK_CHANCE) + np.log(len(view.at))
    if len(np.unique(y)) < 2:
        return None
    order = np.lexsort((y, x))
    x, y = x[order], y[order]
    tolerance = 1e-9 * float(np.abs(y).max())
    is_step = np.diff(x) != 0
    starts = np.r_[0, 1 + np.flatnonzero(is_step)]
    within = np.maximum.reduceat(y, starts) - np.minimum.reduceat(y, starts)
    if bool((within <= tolerance).all()):
        sizes = np.diff(np.r_[starts, len(x)])
        is_levels = is_few or len(starts) <= thresholds.LEAK_LEVELS * len(x)
        steps = np.diff(y)
        is_monotone = bool((steps >= -tolerance).all() or (steps <= tolerance).all())
        n_runs = 1 + int((np.abs(steps) > tolerance).sum())
        is_sorted = is_monotone if not view.table.is_classification else n_runs <= len(np.unique(y)) + 1
        is_scale = not view.table.is_classification or len(starts) > 2 * len(np.unique(y))
        is_order = not is_category and is_sorted
        is_order = is_order and _surprise_of_order(y, is_classification=view.table.is_classification) >= most
        if is_scale and is_order:
            return "order"
        if is_levels and _surprise_of_levels(y, sizes) >= most:
            return "levels"
        if is_order:
            return "levels"  # hardly more values than there are classes, in their order
    if view.table.is_classification or is_category or len(y) < thresholds.LEAK_CURVE_ROWS:
        return None
    is_close = bool((within <= thresholds.LEAK_RESIDUAL * _scale(y)).all())
    return "curve" if is_close and len(starts) > thresholds.LEAK_LEVELS * len(x) and _is_curve(x, y) else None


def _surprise_of_levels(y: NDArray[np.float64], sizes: NDArray[np.intp]) -> float:
    """Return minus the log of the chance that all rows of each level have one value of a shuffled target."""
    share = np.unique(y, return_counts=True)[1] / len(y)
    of_size, counts = np.unique(sizes, return_counts=True)
    chance = [float(special.logsumexp(size * np.log(share))) for size in of_size.tolist()]
    return -float(counts @ np.array(chance))


def _surprise_of_order(y: NDArray[np.float64], *, is_classification: bool) -> float:
    """Return minus the log of the chance that a shuffled target rises or falls throughout.

    Or of classes: that each of them falls into one run, one of them perhaps into two.
    """
    counts = np.unique(y, return_counts=True)[1]
    n, k = len(y), len(counts)
    ways = float(special.gammaln(n + 1) - special.gammaln(counts + 1).sum())
    few = float(special.gammaln(k + 1)) + math.log(n * k) if is_classification else math.log(2.0)
    return ways - few


def _is_curve(x: NDArray[np.float64], y: NDArray[np.float64]) -> bool:
    """Whether a smooth curve over `x` goes through all `y`.

    The median speaks, as neighbours are far apart at the ends. Rows among equals say nothing.
    """
    off, is_telling = _off_curve(x, y)
    if is_telling.sum() < thresholds.LEAK_CURVE_ROWS / 2:
        return False
    return bool(np.median(off[is_telling]) <= thresholds.LEAK_RESIDUAL * _scale(y))


def _off_curve(
    x: NDArray[np.float64], y: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return how far each `y` is from the line between its neighbours in `x`, and where that tells something.

    Rows are in the order of `x`, by column if there are several; the first and the last have no neighbours.
    """
    before, here, after = y[:-2], y[1:-1], y[2:]
    gap = x[2:] - x[:-2]
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.where(gap > 0, (x[1:-1] - x[:-2]) / gap, 0.5)
    off = np.abs(here - (before + share * (after - before)))
    return off, ((before != here) | (here != after)) & ~np.isnan(x[2:])


def _without_sources(view: View, found: _Found) -> _Found:
    """Leave out measurements that have equal values in the same rows: these are copies, or of one source."""
    many = _many_levels(view, found)
    parts = {j: _first_rows(view.values[:, j]).tobytes() for j in many}
    alike = {j for j in many if sum(parts[j] == parts[k] for k in many) > 1}
    with np.errstate(invalid="ignore"):
        measured = {j for j in alike if not view.is_category[j] and (view.values[:, j] % 1 != 0).any()}
    return {j: how for j, how in found.items() if j not in measured}


def _many_levels(view: View, found: _Found) -> list[int]:
    """Return the columns whose levels determine the target and are so many that they may name a source."""
    levels = [j for j, how in found.items() if how == "levels"]
    return [j for j in levels if view.n_levels[j] >= thresholds.SHARED_FEWEST_LEVELS]


def _first_rows(x: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return the first row that has the value of each row."""
    _, first, codes = np.unique(x, return_index=True, return_inverse=True)
    return np.asarray(first[codes], dtype=np.intp)


def _known_alone(view: View, found: _Found, *, seed: int) -> _Found:
    """Leave out columns that only separate classes which the other columns tell apart nearly as well."""
    if not view.table.is_classification or "order" not in found.values():
        return found
    features, origin = view.encoded
    others = features[:, ~np.isin(origin, list(found))]
    y = as_columns(view.targets, is_classification=True)
    left = 1.0
    if others.shape[1]:
        folds = random_folds(len(y), np.random.default_rng(seed))
        left = error(ridge(others[:, :_MOST_TOGETHER], y, folds), y)
    if left > thresholds.LEAK_OTHERS_LEAVE:
        return found
    return {j: how for j, how in found.items() if how != "order"}


def _alone_note(view: View, found: _Found, what: str) -> Note:
    names = view.names(list(found))
    verb = "determines" if len(found) == 1 else "each determine"
    them, are = ("it", "it is") if len(found) == 1 else ("them", "they are")
    where = "almost exactly" if "curve" in found.values() else "in every row"
    text = (
        f"{names} {verb} {what} {where}: a leak? Leave {them} out if {are} not known when predictions "
        "are made."
    )
    # A column with a value for each class is the target in other words.
    if many := [j for j in _many_levels(view, found) if view.n_levels[j] > 2 * view.table.n_classes]:
        text += f" If it names what rows share, such as a patient, {view.passed(many[0], 'groups')} instead."
    return Note(code="leak", text=text, is_warning=True)


def _together(
    view: View, y: NDArray[np.float64], *, without: Collection[int]
) -> tuple[tuple[int, ...], str, float] | tuple[()]:
    """Return the columns whose sum or product the target is, which of the two, and in which share of rows.

    () if none. `without`: columns that are not tried.
    """
    numbers = view.varying[~view.is_category[view.varying]]
    complete = ~np.isnan(view.values[:, numbers]).any(axis=1)
    if not complete.all() and complete.mean() >= thresholds.LEAK_COMPLETE:
        view, y = view.with_rows(view.rows[complete]), y[complete]
        numbers = np.intersect1d(numbers, view.varying)
    features, origin = view.encoded
    is_tried, numbers = ~np.isin(origin, list(without)), np.setdiff1d(numbers, list(without))
    features, origin = features[:, is_tried], origin[is_tried]
    rounded = written_step(y) / 2
    of_own = {j: written_step(own := view.values[:, j]) / (2 * max(own.std(), 1e-300)) for j in numbers}
    halves = np.array([of_own.get(j, 0.0) for j in origin])
    found, share = _as_sum(features, origin, y, rounded=rounded, halves=halves)
    if not found:  # levels would bend to the rows that are off
        at = np.flatnonzero(np.isin(origin, numbers))
        found, share = _as_sum(features[:, at], origin[at], y, rounded=rounded, halves=halves[at], errs=True)
    if len(found) > 1 or share == 1.0:  # a copy with errors is told elsewhere
        return found, "sum", share
    with np.errstate(invalid="ignore"):
        above = y > 0  # counts are 0 where one of their factors is
        positive = numbers[(view.values[above][:, numbers] > 0).all(axis=0)]
    if len(positive) < 2 or above.mean() < thresholds.LEAK_COMPLETE or (y < 0).any():
        return ()
    y, values = y[above], view.values[above][:, positive]
    features, rounded = standardised(np.log(values)), rounded / float(np.quantile(y, 0.05))
    found, share = _as_sum(features, positive, np.log(y), rounded=rounded, halves=np.zeros(len(positive)))
    return (found, "product", share) if found else ()


def _as_sum(
    features: NDArray[np.float64],
    origin: NDArray[np.intp],
    y: NDArray[np.float64],
    *,
    rounded: float,
    halves: NDArray[np.float64],
    errs: bool = False,
) -> tuple[tuple[int, ...], float]:
    """Return the columns of which `y` is a weighted sum, up to rounding, if any, and in which share of rows.

    `rounded`: by how much its values are off, as far as they show it. `halves` (n_features,): the same of the
    features. `errs`: in some rows the sum may be far off; it is fitted to the others (trimmed squares).
    """
    target = standardised(y[:, None])[:, 0]
    n_rows, n_columns = features.shape
    if n_rows < thresholds.LEAK_SPARE_ROWS or not n_columns:
        return (), 0.0
    off = rounded / max(float(y.std()), 1e-300)
    exact, off = thresholds.LEAK_RESIDUAL * _scale(target), off if off <= thresholds.LEAK_ROUNDED else 0.0

    def most(weights: NDArray[Any], at: Sequence[int]) -> float:
        """Return the most that a sum leaves: half a step, and three standard errors of its fitted weights."""
        of_all = off + float(np.abs(weights) @ halves[at])
        half = of_all if of_all <= thresholds.LEAK_ROUNDED else off
        # Rounding has a standard deviation of half a step over √3, and the fit √(weights / rows) of that.
        return max(exact, half * (1.0 + math.sqrt(3.0 * (len(at) + 1) / n_rows)))

    if not errs and (picked := _picked(features, target, most)) is not None:
        return tuple(sorted({int(origin[j]) for j in picked})), 1.0
    if n_rows < thresholds.LEAK_ROWS_PER_COLUMN * n_columns or n_columns > _MOST_TOGETHER:
        return (), 0.0
    columns, near = np.column_stack([features, np.ones(n_rows)]), np.arange(n_rows)
    limit = thresholds.LEAK_SUM_LEAVES
    for _ in range(_MOST_TRIMMED if errs else 1):
        weights, *_ = np.linalg.lstsq(columns[near], target[near], rcond=1e-10)
        left = target - columns @ weights
        if left[near].std() > limit:  # of normal noise, two thirds are left in the rows that fit best
            return (), 0.0
        limit = max(left.std() / 2, thresholds.LEAK_RESIDUAL)
        near = np.argsort(np.abs(left))[: int(thresholds.LEAK_SUM_ROWS * n_rows)]
    within = most(weights[:-1], range(n_columns))
    is_exact, share = np.abs(left) <= within, float(np.mean(np.abs(left) <= within))
    off_by = np.median(np.abs(left[~is_exact])) if errs and share < 1.0 else np.inf
    is_sure = errs and n_rows >= thresholds.LEAK_SUM_EACH * n_columns
    least = thresholds.LEAK_SUM_ROWS if is_sure else thresholds.LEAK_ROUNDED_ROWS
    is_sum = share >= least and off_by >= thresholds.LEAK_SUM_FAR * left[is_exact].std()
    if not is_sum or target[is_exact].std() <= thresholds.LEAK_SUM_VARIES:
        return (), 0.0
    is_telling = np.abs(weights[:-1]) > max(thresholds.LEAK_RESIDUAL, left[is_exact].std())
    return tuple(sorted({int(j) for j in origin[is_telling]})), share


def written_step(y: NDArray[np.float64]) -> float:
    """Return the step in which values are written, such as 0.1; 0 if they are in none.

    >>> written_step(np.array([0.5, 1.5, 2.0])), written_step(np.array([0.5, 1.5, 2.0, np.pi]))
    (0.5, 0.0)
    """
    values = np.unique(y)
    step = float(np.diff(values).min(initial=np.inf))
    steps = values / step
    return step if np.isfinite(step) and bool((np.abs(steps - np.round(steps)) < 1e-3).all()) else 0.0


def _scale(y: NDArray[np.float64]) -> float:
    """Return the standard deviation, or that of the middle half if it is smaller: a few extremes may rule."""
    low, high = np.quantile(y, [0.25, 0.75])
    return min(float(np.std(y)), float(high - low) / 1.349) if high > low else float(np.std(y))


def _picked(
    features: NDArray[np.float64],
    target: NDArray[np.float64],
    most: Callable[[NDArray[Any], Sequence[int]], float],
) -> list[int] | None:
    """Return the few columns whose sum the target is, picked one by one (orthogonal matching pursuit).

    `most`: what the sum of columns with such weights may leave.
    """
    chosen: list[int] = []
    left = target
    spare = len(target) - thresholds.LEAK_SPARE_ROWS
    for _ in range(min(_MOST_PICKED, features.shape[1], spare)):
        gains = np.abs(features.T @ left)
        gains[chosen] = 0.0
        chosen.append(int(np.argmax(gains)))
        weights, *_ = np.linalg.lstsq(features[:, chosen], target, rcond=1e-12)
        left = target - features[:, chosen] @ weights
        if np.mean(np.abs(left) <= most(weights, chosen)) >= thresholds.LEAK_ROUNDED_ROWS:
            is_telling = np.abs(weights) > max(thresholds.LEAK_RESIDUAL, left.std())
            return [j for j, own in zip(chosen, is_telling, strict=True) if own]
    return None


def _together_note(view: View, found: tuple[tuple[int, ...], str, float], what: str) -> Note:
    columns, how, share = found
    how = "product of powers" if how == "product" else "weighted sum"
    how = "linear function" if len(columns) == 1 else how
    where = "" if share >= thresholds.LEAK_ROUNDED_ROWS else f" in {share:.0%} of the rows"
    text = (
        f"{what} is a {how} of {view.names(columns)} up to rounding{where}: a leak? Leave out what is not "
        "known when predictions are made."
    )
    return Note(code="leak", text=text, is_warning=True)
