"""What one column says of the target by itself: nearly everything, or more as categories than as a number.

A row is predicted without itself: by the other rows of its level, or by the levels next to its own. The first
finds what a category says, the second what a number does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from regadvisor import thresholds
from regadvisor.records import Note, ScoreEvidence
from regadvisor.traps.identifiers import name_parts
from regadvisor.traps.view import View, as_columns, error, normal_scores, random_folds, ridge, standardised
from regadvisor.words import number, shown

#: Rows by which all columns are judged first, and how much of the target one may say less there.
_FIRST_ROWS, _FIRST_LESS = 300, 0.15
#: Columns of other features that are tried together, and classes that are asked about.
_MOST_TOGETHER, _MOST_CLASSES = 300, 20
#: More columns of whole numbers are pixels or counts of words.
_MOST_CODED = 50
#: Powers of a number that a smooth curve is made of, and different values for each.
_DEGREE, _LEVELS_PER_POWER = 3, 3


@dataclass(frozen=True, kw_only=True, eq=False)
class Shares:
    """Of each target column (n_columns,): the share of the variance that a column predicts."""

    as_levels: NDArray[np.float64]
    as_number: NDArray[np.float64]

    @property
    def best(self) -> NDArray[np.float64]:
        """The larger of the two."""
        return np.maximum(self.as_levels, self.as_number)


def shares(x: NDArray[np.float64], y: NDArray[np.float64]) -> Shares:
    """Return what a column says of a target.

    `x` (n_rows,): numbers or codes; NaN is a level. `y` (n_rows, n_columns): standardised.

    >>> region = np.arange(300.0) % 3
    >>> y = standardised(np.where(region == 1, 1.0, 0.0)[:, None])
    >>> found = shares(region, y)
    >>> found.as_levels.round(1).tolist(), found.as_number.round(1).tolist()
    ([1.0], [0.0])
    """
    values, codes = np.unique(x, return_inverse=True)
    counts = np.bincount(codes).astype(np.float64)
    sums = np.stack([np.bincount(codes, weights=column) for column in y.T], axis=1)
    some = counts[codes] > 1  # where there is another row of the level
    as_levels = np.zeros(y.shape[1])
    if some.mean() >= thresholds.NEAR_LEAK_REPEATED:
        others = (sums[codes] - y)[some] / (counts[codes][some] - 1.0)[:, None]
        as_levels = _share(others, y[some])
    present = np.isfinite(values)
    if present.sum() < 3:
        return Shares(as_levels=as_levels, as_number=as_levels)
    means = sums / counts[:, None]
    own = values[present]
    before, after = means[present][:-2], means[present][2:]
    far = ((own[1:-1] - own[:-2]) / (own[2:] - own[:-2]))[:, None]
    between = means.copy()
    at = np.flatnonzero(present)
    between[at[1:-1]] = before + far * (after - before)
    between[at[0]], between[at[-1]] = means[at[1]], means[at[-2]]
    degree = min(max(len(own) // _LEVELS_PER_POWER, 1), _DEGREE)
    number = standardised(np.where(np.isfinite(x), x, np.nanmean(x))[:, None])
    powers = np.column_stack([number**power for power in range(degree + 1)])
    weights, *_ = np.linalg.lstsq(powers, y, rcond=None)
    as_number = np.maximum(_share(between[codes], y), _share(powers @ weights, y))
    return Shares(as_levels=as_levels, as_number=as_number)


def _share(predicted: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    variance = y.var(axis=0)  # none where all rows of a class have a level of their own
    left = np.square(predicted - y).mean(axis=0) / np.maximum(variance, 1e-12)
    return np.where(variance > 1e-12, 1.0 - left, 0.0)


def _asked(view: View) -> tuple[NDArray[np.float64], list[str]]:
    """Return what is asked about, and its names: the ranks of numbers, or frequent classes one by one."""
    if not view.table.is_classification:
        return standardised(normal_scores(view.targets)), [""] * view.targets.shape[1]
    codes, counts = np.unique(view.targets[:, 0], return_counts=True)
    frequent = np.sort(np.argsort(-counts, kind="stable")[:_MOST_CLASSES])
    classes = view.table.facts.classes or ()
    names = [shown(classes[int(code)]) for code in codes[frequent]]
    return standardised(as_columns(view.targets, is_classification=True)[:, frequent]), names


def near_leaks(view: View, *, seed: int, told: Sequence[int]) -> tuple[Note, ...]:
    """Return a warning about columns each of which nearly determines the target, if the others do not.

    `told`: columns of the view of which something else is said. `seed`: draws the folds by which the other
    columns are tried.
    """
    is_only = view.table.facts.n_features == 1  # who asks about one column knows that it predicts
    if is_only or view.table.n_targets > 1 or len(view.rows) < thresholds.LEAK_CURVE_ROWS:
        return ()
    y, names = _asked(view)
    is_classification = view.table.is_classification
    least = thresholds.NEAR_LEAK_CLASSES if is_classification else thresholds.NEAR_LEAK
    found: dict[int, NDArray[np.float64]] = {}
    for j in _hopeful(view, y, least - _FIRST_LESS).tolist():
        if j in told:
            continue
        own = shares(view.values[:, j], y)
        codes = np.unique(view.values[:, j], return_inverse=True)[1]
        often = (codes == np.argmax(np.bincount(codes))).astype(np.float64)  # not closed yet, nothing spent
        # A measurement that has equal values only in copies of a row says nothing by them.
        is_measured = not (view.is_category[j] or view.is_whole[j])
        share = own.as_levels if view.is_category[j] else own.as_number if is_measured else own.best
        is_enough = share.max() >= (thresholds.NEAR_LEAK_MEASURED if is_measured else least)
        if view.is_date[j] or not is_enough:  # a trend over time is known
            share = shares(often, y).as_levels
        if share.max() >= least:
            found[j] = share
    if not found:
        return ()
    target = int(np.argmax(np.max(list(found.values()), axis=0)))
    features, origin = view.encoded
    others = features[:, ~np.isin(origin, list(found))][:, :_MOST_TOGETHER]
    left = None
    if others.shape[1]:
        folds = random_folds(len(y), np.random.default_rng(seed))
        left = error(ridge(others, y[:, [target]], folds), y[:, [target]])
    enough = thresholds.LEAK_OTHERS_LEAVE if is_classification else thresholds.NEAR_LEAK_OTHERS_LEAVE
    if left is not None and left < enough:
        return ()
    of_class = "a class" if len(found) > 1 else f"class {names[target]}"
    lowest = min(float(own.max()) for own in found.values())
    return (_near_note(view, list(found), share=lowest, left=left, of_class=of_class),)


def _hopeful(view: View, y: NDArray[np.float64], least: float) -> NDArray[np.intp]:
    """Return the columns that predict much of a target column in some of the rows, all judged together."""
    some = slice(None, None, max(1, len(y) // _FIRST_ROWS))
    order = np.argsort(view.values[some][:, view.varying], axis=0, kind="stable")
    own = y[some][order]  # rows, columns, target columns
    off = np.square(own[1:-1] - (own[:-2] + own[2:]) / 2).mean(axis=0) / 1.5  # what noise would leave
    return np.asarray(view.varying[(1.0 - off).max(axis=1) >= least])


def _near_note(view: View, found: Sequence[int], *, share: float, left: float | None, of_class: str) -> Note:
    alone, them, are = (
        ("alone predicts", "it", "it is") if len(found) == 1 else ("each predict", "them", "they are")
    )
    what = of_class if view.table.n_classes > 2 else "the target"
    others = "" if left is None else f", all other columns together {max(1.0 - left, 0.0):.0%}"
    text = (
        f"{view.names(found)} {alone} {min(share, 0.99):.0%} of the variance of {what}{others}: a leak? "
        f"Leave {them} out if {are} not known when predictions are made."
    )
    return Note(code="near-leak", text=text, is_warning=True)


def too_good(scores: ScoreEvidence | None, *, is_named: bool) -> tuple[Note, ...]:
    """Return a warning if the best model leaves next to nothing of the loss of a constant guess.

    `is_named`: whether a warning says already what makes it so good.

    >>> too_good(None, is_named=False)
    ()
    """
    if scores is None or not scores.lowest_losses or is_named or scores.constant_loss <= 0:
        return ()
    left = min(scores.lowest_losses.values()) / scores.constant_loss
    if not 0 <= left < thresholds.TOO_GOOD:
        return ()
    text = (
        f"The best model leaves a share of {number(left)} of the loss of always guessing. Unless the target "
        "follows from the features by a formula, are some of them known only once it is: a leak?"
    )
    return (Note(code="too-good", text=text, is_warning=True),)


def coded(view: View, *, told: Sequence[int]) -> tuple[Note, ...]:
    """Return a warning about whole numbers that say much more of the target as categories than as numbers.

    `told`: columns of the view that name sources of rows. What is the same for all rows of one, such as the
    age of a patient, says what it does by that; so does the population of a city, beside its name.
    """
    is_candidate = view.is_whole & ~view.is_category & ~view.is_date & (view.n_levels >= 3)
    is_candidate &= (is_few := view.n_levels <= len(view.rows) / thresholds.CODED_ROWS_PER_LEVEL)
    known = [told, *([j] for j in np.flatnonzero(is_few & view.is_category).tolist())]
    candidates = [j for j in view.varying.tolist() if is_candidate[j]]
    if not 0 < len(candidates) <= _MOST_CODED:
        return ()
    y, left = _asked(view)[0], thresholds.CODED_NUMBER
    found: list[tuple[int, float, float]] = []
    for j in candidates:
        own = shares(view.values[:, j], y)
        gain = own.as_levels - np.maximum(own.as_number, 0.0)
        best = int(np.argmax(gain))
        luck = thresholds.CODED_Z * np.sqrt(2.0 * view.n_levels[j]) / len(y)  # of means of noise
        is_coded = gain[best] >= max(thresholds.CODED_GAIN, luck)
        is_coded &= own.as_number[best] <= left * own.as_levels[best]
        is_coded &= own.as_levels[best] < thresholds.NEAR_LEAK  # a leak is told elsewhere
        if is_coded and not (name_parts(view.name(j)) & thresholds.QUANTITY_PARTS or _is_of(view, j, known)):
            found.append((j, float(own.as_levels[best]), float(max(own.as_number[best], 0.0))))
    return (_coded_note(view, found),) if found else ()


def _is_of(view: View, j: int, known: Sequence[Sequence[int]]) -> bool:
    """Whether a column has the same value in all rows with the same values of some columns."""
    both = [view.values[:, [*own, j]] for own in known if own]
    return any(len(np.unique(own, axis=0)) == len(np.unique(own[:, :-1], axis=0)) for own in both)


def _coded_note(view: View, found: Sequence[tuple[int, float, float]]) -> Note:
    first, as_levels, as_number = max(found, key=lambda each: each[1] - each[2])
    name = view.name(first)
    who = "they" if len(found) == 1 else f"those in {view.names([first])}"
    how = f"X[{shown(name)}].astype('category')" if isinstance(name, str) else "a data frame with a category"
    text = (
        f"the numbers in {view.names([j for j, *_ in found])} may be codes: as categories {who} predict "
        f"{as_levels:.0%} of the variance of the target, as numbers {as_number:.0%}. If they name kinds of "
        f"things, pass {how}, or write a letter in front of each."
    )
    if view.n_levels[first] >= thresholds.SHARED_FEWEST_LEVELS:
        text += f" If the model will meet new ones, {view.passed(first, 'groups')} instead."
    return Note(code="codes-as-numbers", text=text, is_warning=True)
