"""Values so far from the rest that they rule the squared loss, and targets so skewed that a few rows do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from regadvisor import thresholds
from regadvisor.data.columns import column_stats
from regadvisor.data.numbers import Numbers, moments
from regadvisor.data.table import Table
from regadvisor.records import Note
from regadvisor.traps.view import (
    View,
    as_columns,
    error,
    named,
    original_rows,
    random_folds,
    ridge,
    told_once,
    whole_columns,
)
from regadvisor.words import counted, number, shown

#: Columns that are read in full, those with the most extreme values first, and how many are described.
_MOST_READ, _MOST_SHOWN = 50, 3
#: Columns may have extreme values if the farthest is this share of the distance away: quartiles of
#: the rows that are looked at err, by 4% in a normal distribution.
_MARGIN = 0.5
#: Share of many rows that some of them hardly miss.
_FEW_OF_MANY = 0.005
_ENDS = {0: "smallest", -1: "largest"}
#: Other columns beside which extreme ones are tried.
_MOST_OTHERS = 100


@dataclass(frozen=True, kw_only=True, eq=False)
class Spread:
    """How the values of one column lie around their median."""

    #: The rows that are far from it, or the three farthest where more are; the farthest first. None where no
    #: value is far.
    rows: NDArray[np.intp]
    #: Their values.
    values: NDArray[np.float64]
    #: Share of the sum of squares that these rows hold.
    share: float
    #: Distance of the farthest, in standard deviations of the middle half of the values (a normal
    #: distribution's, worked out from its quartiles).
    distance: float

    @property
    def is_extreme(self) -> bool:
        """Whether so few values rule the squared loss."""
        return self.share >= thresholds.EXTREME_SHARE and self.distance >= thresholds.EXTREME_DISTANCE


def spread(column: NDArray[np.float64]) -> Spread:
    """Return how far the farthest values of a column are; see :class:`Spread`.

    Of a column that is mostly one value, such as 0, the other values are looked at.
    """

    def near(distance: float = 0.0) -> Spread:
        return Spread(rows=at[:0], values=values[:0], share=0.0, distance=distance)

    at = np.flatnonzero(np.isfinite(column))
    values = column[at]
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75]) if len(values) else (0.0, 0.0, 0.0)
    if low == high:
        off = values != middle
        at, values = at[off], values[off]
        if len(np.unique(values)) < thresholds.EXTREME_FEWEST_VALUES:
            return near()
        low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
    off = np.abs(values - middle)
    if len(values) < thresholds.EXTREME_FEWEST_VALUES or off.max() == 0:
        return near()
    scale = (high - low) / 1.349
    distance = float(off.max() / scale) if scale > 0 else np.inf
    if distance < thresholds.EXTREME_DISTANCE:
        return near(distance)
    n_far = int((off >= thresholds.EXTREME_DISTANCE * scale).sum())
    n_top = n_far if 3 < n_far <= thresholds.EXTREME_MOST * len(column) else 3
    top = np.argsort(-off, kind="stable")[:n_top]
    squares = np.square(off / off.max())
    return Spread(
        rows=at[top], values=values[top], share=float(squares[top].sum() / squares.sum()), distance=distance
    )


def extreme_features(view: View, *, seed: int, without: Sequence[int] = ()) -> tuple[Note, ...]:
    """Return a warning about columns in which a few values rule, if that matters or they look wrong.

    `without`: columns of the table whose far values are known to be none. Images are left out: pixels are
    bounded.
    """
    table = view.table
    numeric = table.facts.of_kind("numeric")
    if table.facts.image_shape is not None or not numeric:
        return ()
    numbers = Numbers(values=table.X, at=numeric)
    stats = column_stats(numbers) if table.span is None else None
    span = np.array(table.span if stats is None else (stats.low, stats.high), dtype=np.float64)
    reaching = _reaching(view, span, np.array(numeric, dtype=np.intp))
    if not len(reaching):
        return ()
    far = _far_columns(table, numbers, span, reaching)
    far += [j for j in _far_in_view(view, {numeric[i] for i in reaching}) if j not in far]
    far = [j for j in far if j not in without]
    found = [(j, spread(column)) for j, column in whole_columns(table, far)]
    found = [(j, own) for j, own in found if own.is_extreme]
    absurd = [(j, own) for j, own in found if own.distance >= thresholds.EXTREME_ABSURD]
    told = found if found and _matters(view, found, seed=seed) else absurd
    return (_features_note(table, told),) if told else ()


def _matters(view: View, found: list[tuple[int, Spread]], *, seed: int) -> bool:
    """Whether a quick model is clearly better with the extreme columns clipped."""
    view = view.with_rows(np.union1d(view.rows, np.concatenate([own.rows for _, own in found])))
    y = as_columns(view.targets, is_classification=view.table.is_classification)
    features, origin = view.encoded
    rng = np.random.default_rng(seed)
    is_extreme = np.isin(view.at[origin], [j for j, _ in found])
    others = rng.permutation(np.flatnonzero(~is_extreme))[:_MOST_OTHERS]
    chosen = np.r_[np.flatnonzero(is_extreme), others]
    features, is_extreme = features[:, chosen], is_extreme[chosen]
    folds, clipped = random_folds(len(y), rng), features.copy()
    clipped[:, is_extreme] = view.ranked(chosen[is_extreme])
    before, after = (error(ridge(each, y, folds), y) for each in (features, clipped))
    return after <= (1 - thresholds.EXTREME_HARM) * before


def _far_in_view(view: View, reaching: set[int]) -> list[int]:
    """Return the columns that look extreme in some of many rows."""
    if len(view.rows) == view.table.n_rows:
        return []
    looked = ((i, j) for i, j in enumerate(view.at.tolist()) if j in reaching)
    return [j for i, j in looked if spread(view.values[:, i]).is_extreme]


def _reaching(view: View, span: NDArray[np.float64], numeric: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return the numeric columns whose range goes far beyond the middle half of their values.

    And those of which the rows that are looked at cannot tell: mostly one value there, or missing.
    """
    looked = np.isin(numeric, view.at)
    ordered = view.ordered[np.isin(view.at, numeric)]
    n_present = ordered.shape[1] - np.isnan(ordered).sum(axis=1)
    low, middle, high = (
        ordered[np.arange(len(ordered)), (share * np.maximum(n_present - 1, 0)).astype(np.intp)]
        for share in (0.25, 0.5, 0.75)
    )
    farthest = np.maximum(span[1, looked] - middle, middle - span[0, looked])
    is_near = farthest < _MARGIN * thresholds.EXTREME_DISTANCE * (high - low) / 1.349
    reaches = np.ones(len(numeric), dtype=np.bool_)
    reaches[looked] = ~is_near | (n_present < thresholds.EXTREME_FEWEST_VALUES)
    return np.flatnonzero(reaches).astype(np.intp)


def _far_columns(
    table: Table, numbers: Numbers, span: NDArray[np.float64], reaching: NDArray[np.intp]
) -> list[int]:
    """Return the columns whose farthest value holds a good share of the variance, the worst first."""
    mean, variance = (each[reaching] for each in moments(numbers))
    farthest = np.abs(span[:, reaching] - mean).max(axis=0)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        share = farthest**2 / (variance * table.n_rows)
    # So few rows hold so much of the variance only if the farthest holds its share. (Of more rows than are
    # looked at: as few as may be missing there.)
    few = thresholds.EXTREME_MOST if table.n_rows <= thresholds.TRAP_ROWS else _FEW_OF_MANY
    is_far = share >= thresholds.EXTREME_SHARE / max(3.0, few * table.n_rows)
    ranked = np.argsort(-np.where(is_far, share, 0.0), kind="stable")[: min(int(is_far.sum()), _MOST_READ)]
    return [numbers.at[reaching[i]] for i in ranked]


def _features_note(table: Table, found: list[tuple[int, Spread]]) -> Note:
    names = named([table.facts.columns[j].name for j, _ in found])
    parts = [_described(table, j, each) for j, each in found[:_MOST_SHOWN]]
    is_positive = all((each.values > 0).all() for _, each in found)
    what = "take logarithms or clip them" if is_positive else "clip them"
    text = (
        f"a few extreme values of {names} rule the fit: "
        f"{'; '.join(parts)}. Check them; if they are right, {what}."
    )
    return Note(code="extreme-features", text=text, is_warning=True)


def _described(table: Table, j: int, found: Spread) -> str:
    row = original_rows(table, found.rows[:1])[0]
    return f"{named([table.facts.columns[j].name])} is {number(float(found.values[0]))} in row {row}"


def odd_target(view: View, *, is_squared: bool = True) -> tuple[Note, ...]:
    """Return warnings about numbers to predict: extreme values, or a skew that a logarithm takes away.

    `is_squared`: whether a squared loss is asked about, which such values rule.
    """
    table = view.table
    if table.is_classification or not is_squared:
        return ()
    names = [facts.name for facts in table.facts.targets]
    called = [f"the target {shown(name)}" for name in names] or ["the target"]
    notes = (_target_note(table, table.targets[:, j], what) for j, what in enumerate(called))
    return told_once(
        [(name, note) for name, note in zip(names or [""], notes, strict=True) if note is not None]
    )


def _target_note(table: Table, y: NDArray[np.float64], what: str) -> Note | None:
    is_often_zero = np.mean(y == 0) >= thresholds.PILED_AT_ZERO and y.min() == 0
    piled = _piled(y, what)
    if piled is not None and is_often_zero:
        return piled
    if _is_skewed(y):
        is_count = bool((y == np.round(y)).all()) and np.median(y) <= thresholds.SKEWED_COUNTS_MEDIAN
        top = max(3, round(0.01 * len(y)))
        squares = np.sort(np.square(y - y.mean()))
        share = squares[-top:].sum() / squares.sum()
        how = "logarithm (log1p)" if (y == 0).any() else "logarithm"
        model = "use a Poisson model or predict its " if is_count else "predict its "
        text = (
            f"{what} is skewed: {counted(top, 'row')} of {len(y):,} hold {share:.0%} of its variance and "
            f"rule the squared loss. Better {model}{how}."
        )
        return Note(code="skewed-target", text=text, is_warning=True)
    found = spread(y)
    if not found.is_extreme:
        return piled or _counts(y, what)
    row, farthest = original_rows(table, found.rows[:1])[0], number(float(found.values[0]))
    text = (
        f"extreme values of {what} rule the squared loss: {counted(len(found.rows), 'row')} hold "
        f"{min(found.share, 0.99):.0%} of its squares, and the farthest is {farthest} in row {row}. Check "
        "them; if they are right, clip them or use a robust loss."
    )
    return Note(code="extreme-target", text=text, is_warning=True)


def _piled(y: NDArray[np.float64], what: str) -> Note | None:
    """Return a warning about many rows at one end of a target that hardly repeats elsewhere."""
    values, counts = np.unique(y, return_counts=True)
    if len(values) < thresholds.PILED_FEWEST_VALUES:
        return None
    most = int(np.sort(counts)[-3])  # 0 and a limit may both be met often
    fewest = max(thresholds.PILED_SHARE * len(y), thresholds.PILED_TIMES * most)
    ends = [end for end in (0, -1) if counts[end] >= fewest]
    if not ends:
        return None
    where = [
        f"{counts[end] / len(y):.0%} of the rows have the {_ENDS[end]} value of {what}" for end in ends[:1]
    ]
    where += [f"{counts[end] / len(y):.0%} the {_ENDS[end]}" for end in ends[1:]]
    found = ", and ".join(
        f"{own}, {number(float(values[end]))}" for own, end in zip(where, ends, strict=True)
    )
    cut = "a model for cut-off (censored) targets avoids that."
    if len(ends) == 2:
        rest = f"If values were cut off at both ends, predictions near these are off: {cut}"
    elif values[ends[0]] == 0:
        rest = "Ask for two models: whether it is 0, and how large it is where it is not."
    else:
        larger, low = ("larger", "low") if ends[0] else ("smaller", "high")
        rest = f"If {larger} ones were cut off there, predictions near it are too {low}: {cut}"
    text = f"{found}. {rest}"
    return Note(code="piled-target", text=text, is_warning=True)


def _counts(y: NDArray[np.float64], what: str) -> Note | None:
    """Return a note about a target that looks like counts."""
    is_count = y.min() == 0 and bool((y == np.round(y)).all()) and np.median(y) <= thresholds.COUNTS_MEDIAN
    if not is_count or skewness(y) < thresholds.COUNTS_SKEWED or len(y) < thresholds.EXTREME_FEWEST_VALUES:
        return None
    text = f"{what} looks like counts: a Poisson model, such as PoissonRegressor(), may predict them better."
    return Note(code="counts-target", text=text)


def _is_skewed(y: NDArray[np.float64]) -> bool:
    """Whether a positive target is skewed and a logarithm takes that away."""
    if len(y) < thresholds.EXTREME_FEWEST_VALUES or y.min() < 0 or skewness(y) < thresholds.SKEWED:
        return False
    log = np.log(y) if y.min() > 0 else np.log1p(y)
    return abs(skewness(log)) <= thresholds.SKEWED_LEFT * skewness(y) and not spread(log).is_extreme


def skewness(values: NDArray[np.float64]) -> float:
    """Return the skewness, 0 without any spread.

    >>> round(skewness(np.array([0.0, 0.0, 0.0, 1.0])), 2)
    1.15
    """
    scaled = values / max(float(np.abs(values).max()), 1e-300)
    off = scaled - scaled.mean()
    variance = float(np.mean(off**2))
    return float(np.mean(off**3) / variance**1.5) if variance > 1e-24 else 0.0
