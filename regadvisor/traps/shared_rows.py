"""Rows that share a source: several of one patient, one machine, one photograph.

Random folds put such rows on both sides. What is held out is then known already, and every model looks
better on it than it will be on a new patient. Three ways to see it:

*A column names the source.* It has many levels, and the nearest neighbour of a row, by all other columns,
nearly always has the row's own level, and is much nearer than the nearest row of another level. Categories
such as a city or a sex do not make their rows alike in everything else. In a panel, where each firm is met
once in each year, the firm is a source even if its rows are not alike in other columns.

*Two columns repeat together.* What is the same for a patient all the time, such as age and height, has the
same pair of values in all rows of that patient, far more often than by luck.

*No column names it.* Around a row there are a few rows far nearer than the next ones. Where rows are drawn
one by one, k·m·log(d(k+1)/d(k)) is exponential in m dimensions (d(k): distance of the k-th neighbour; Facco
et al. 2017, Sci. Rep. 7:12140), so a jump is judged by the dimension that farther neighbours show.

Each time the warning is given only if it matters: a quick model has a much lower error with random folds
than with new sources held out.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from regadvisor import thresholds
from regadvisor.data.numbers import Numbers
from regadvisor.records import Note
from regadvisor.traps.alone import shares
from regadvisor.traps.identifiers import names_time
from regadvisor.traps.pairs import in_pairs, joint, panel_with
from regadvisor.traps.view import (
    View,
    as_columns,
    distances,
    error,
    group_folds,
    nearest_rows,
    neighbours,
    random_folds,
    ridge,
    standardised,
    without_copies,
)
from regadvisor.words import number

#: Encoded columns by which rows are compared.
_MOST_COLUMNS = 80
_MOST_CANDIDATES = 5
#: Rows of one level that are looked at.
_MOST_OF_LEVEL = 40
#: Rows of some levels that are looked at first.
_FIRST_OF_LEVELS = 500
#: Rows that are laid side by side.
_MOST_PROJECTED = 100_000
#: Rows whose neighbours are looked for, and the farthest neighbour.
_MOST_ASKED, _FARTHEST = 400, 60
#: Rows that are asked first, and how far a share of them is off by luck: three standard errors of 0.5.
_FIRST_ASKED, _LUCK = 100, 0.15


@dataclass(frozen=True, kw_only=True, eq=False)
class _Harm:
    """Held-out error of a quick model, as a share of the target's variance."""

    random: float
    new: float


def shared_rows(
    view: View, *, seed: int, numbered: Collection[int] = ()
) -> tuple[tuple[Note, ...], tuple[int, ...]]:
    """Return a warning if rows share a source, and the columns of the view that name it.

    None where the caller said so (``groups=``). `numbered`: columns that number the rows: where the rows of
    each source stand together, these tell it.
    """
    table = view.table
    if table.groups is not None or len(view.rows) < thresholds.SHARED_FEWEST_ROWS:
        return (), ()
    rng = np.random.default_rng(seed)
    pair, n_sources = in_pairs(view, np.random.default_rng([seed, 1]))
    for j, whole in candidates(view):
        period = panel_with(view, j, whole)
        is_of_pair = j in pair and n_sources > len(np.unique(whole))  # an age, not the patient
        if (is_of_pair and period is None) or names_time(view.name(j), is_of_panel=period is not None):
            continue
        harm = _by_column(view, (j, *numbered), whole, period, rng)
        if harm is not None:
            return (_column_note(view, j, harm, period),), (j,)
    harm = _by_distance(view, rng)
    if harm is not None:
        return (_distance_note(harm),), pair
    harm = _by_pair(view, pair, np.random.default_rng([seed, 2])) if pair else None
    return (() if harm is None else (_pair_note(view, pair, harm),)), pair


def candidates(view: View) -> list[tuple[int, NDArray[np.float64]]]:
    """Return the columns that may name a source, with all their rows: most levels first, text before numbers.

    They have many levels, none of which holds most of the rows, and most rows share theirs with others.
    """
    found: list[tuple[tuple[int, bool, int], NDArray[np.float64]]] = []
    for j in view.varying:
        column = view.values[:, j]
        if not view.is_spread[j] or np.isnan(column).any():
            continue
        if not view.is_category[j] and (column != np.round(column)).any():
            continue
        whole = column if len(column) == view.table.n_rows else view.whole(j)
        counts = np.unique(whole, return_counts=True)[1]
        if counts[counts > 1].sum() >= thresholds.SHARED_REPEATED * len(whole):
            found.append(((len(counts), bool(view.is_category[j]), -int(j)), whole))
            found = sorted(found, key=lambda each: each[0], reverse=True)[:_MOST_CANDIDATES]
    return [(-key[2], whole) for key, whole in found]


def _by_column(
    view: View, at: Sequence[int], whole: NDArray[np.float64], period: int | None, rng: np.random.Generator
) -> _Harm | None:
    """Return how much random folds flatter if rows of equal level of a column are alike, or of a panel.

    `at`: where the column stands, and others by which rows are not compared. `period`: where the one stands
    that it makes a panel with.
    """
    j, n_each, is_panel = at[0], len(whole) / len(np.unique(whole)), period is not None
    # East and north make no panel, which holds firms in years, or twins.
    is_known = period is not None and (n_each <= thresholds.SHARED_SMALL or _is_time(view, period))
    alike = thresholds.SHARED_ALIKE if n_each > thresholds.SHARED_SMALL else thresholds.SHARED_ALIKE_SMALL
    if len(view.rows) < view.table.n_rows:
        # Among rows of fewer levels, the nearest is rather one of the own level.
        few = view.with_rows(_of_levels(whole, _FIRST_OF_LEVELS, rng))
        if not is_panel and _alike(few, at, _FIRST_ASKED, rng, nearer=1.0) < alike - _LUCK:
            return None
        view = view.with_rows(_of_levels(whole, len(view.rows), rng))
    levels, codes = np.unique(view.values[:, j], return_inverse=True)
    nearer = 1.0 if len(levels) >= thresholds.SHARED_MANY_LEVELS else thresholds.SHARED_NEARER
    if not is_panel and _alike(view, at, _MOST_ASKED, rng, nearer=nearer) < alike:
        return None
    ranked = view.ranked(_some(~np.isin(view.encoded[1], at), rng))
    if not is_panel and not view.is_category[j]:
        place = standardised(levels[codes][:, None])
        if error(ridge(ranked, place, group_folds(codes, rng)), place) < thresholds.SHARED_QUANTITY:
            return None
    indicators = standardised((codes[:, None] == np.arange(len(levels))).astype(np.float64))
    return _harm(view, codes, np.hstack([ranked, indicators]), ranked, rng, is_known=is_known)


def _alike(view: View, at: Sequence[int], most: int, rng: np.random.Generator, *, nearer: float) -> float:
    """Return the share of rows that are nearer, by a factor, to one of their level than to any other row.

    By all columns but those in `at`; the first of them has the levels. 0 where hardly a row shares its level.
    """
    codes = view.values[:, at[0]]
    others = ~np.isin(view.encoded[1], at) & ~_tells_apart(view.encoded[0], codes)
    if not others.any():
        return 0.0
    asked = rng.permutation(len(codes))[:most]
    ranked = view.ranked(_some(others, rng))
    apart = distances(ranked[asked], ranked)
    apart[np.arange(len(asked)), asked] = np.inf
    is_own = codes[asked][:, None] == codes
    own = np.where(is_own, apart, np.inf).min(axis=1)
    other = np.where(is_own, np.inf, apart).min(axis=1)
    has_own = np.isfinite(own)
    if has_own.mean() < thresholds.SHARED_REPEATED:
        return 0.0
    return float(np.mean(own[has_own] < nearer**2 * other[has_own]))


def _tells_apart(features: NDArray[np.float64], codes: NDArray[Any]) -> NDArray[np.bool_]:
    """Return which columns differ more within levels than at large, as the side of a body or a visit does."""
    order = np.argsort(codes, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(codes[order]) != 0])
    sizes = np.diff(np.r_[starts, len(codes)])[:, None]
    ordered = features[order]
    squares = np.add.reduceat(ordered**2, starts) - np.add.reduceat(ordered, starts) ** 2 / sizes
    within = squares.sum(axis=0) / max(len(codes) - len(starts), 1)
    return np.asarray(within > thresholds.SHARED_APART * features.var(axis=0))


def _some(chosen: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.intp]:
    """Return the chosen columns, or some of them where they are many."""
    return np.sort(rng.permutation(np.flatnonzero(chosen))[:_MOST_COLUMNS]).astype(np.intp)


def _of_levels(column: NDArray[np.float64], most: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Return about `most` rows: the rows of randomly chosen levels, some of them where a level has many."""
    levels, codes = np.unique(column, return_inverse=True)
    drawn = rng.permutation(len(levels))
    n_rows = np.cumsum(np.minimum(np.bincount(codes)[drawn], _MOST_OF_LEVEL))
    place = np.full(len(levels), -1, dtype=np.intp)
    n_levels = 1 + int(np.searchsorted(n_rows, most))
    place[drawn[:n_levels]] = np.arange(min(n_levels, len(levels)))
    rows = rng.permutation(np.flatnonzero(place[codes] >= 0))
    order = rows[np.argsort(place[codes[rows]], kind="stable")]
    starts = np.flatnonzero(np.r_[True, np.diff(codes[order]) != 0])
    within = np.arange(len(order)) - np.repeat(starts, np.diff(np.r_[starts, len(order)]))
    return np.sort(order[within < _MOST_OF_LEVEL][:most]).astype(np.intp)


def _by_pair(view: View, pair: tuple[int, ...], rng: np.random.Generator) -> _Harm | None:
    """Return how much random folds flatter if rows with the same pair of values are of one source."""
    codes = joint(*(np.unique(view.whole(j), return_inverse=True)[1] for j in pair))
    if len(codes) > len(view.rows):
        view = view.with_rows(_of_levels(codes.astype(np.float64), len(view.rows), rng))
    codes = np.unique(codes[view.rows], return_inverse=True)[1].astype(np.intp)
    fewest = max(thresholds.SHARED_FEWEST_LEVELS, thresholds.SHARED_PER_CLASS * view.table.n_classes)
    if codes.max() + 1 < fewest or np.bincount(codes).max() > thresholds.SHARED_LARGEST * len(codes):
        return None
    same = view.ranked(_some(~_tells_apart(view.encoded[0], codes), rng))
    y = standardised(as_columns(view.targets, is_classification=view.table.is_classification))
    by_others = float(np.mean(1.0 - shares(codes.astype(np.float64), y).as_levels))
    harm = _harm(view, codes, same, same, rng, by_others=by_others)
    return harm if harm is not None and harm.new >= thresholds.SHARED_PAIR_LEAVES else None


def _pair_note(view: View, pair: tuple[int, ...], harm: _Harm) -> Note:
    text = (
        f"rows with the same values of {view.names(pair)} are alike in the target, as rows of one patient or "
        f"machine are. {_errors(harm, 'these rows kept together')} If they share a source, pass it as "
        "groups=."
    )
    return Note(code="shared-source", text=text, is_warning=True)


def _by_distance(view: View, rng: np.random.Generator) -> _Harm | None:
    """Return how much random folds flatter if most rows have a few others that are far too near."""
    measured = _measured(view)
    if len(measured) < max(2, thresholds.SHARED_MEASURED * len(view.varying)):
        return None
    if len(view.rows) < view.table.n_rows:
        view = view.with_rows(_side_by_side(view, measured, rng))
    view = without_copies(view)  # which folds keep together, and a note tells
    is_measured = np.isin(view.encoded[1], measured)
    ranked = view.ranked(_some(is_measured, rng))
    n_rows = len(ranked)
    asked = rng.permutation(n_rows)[:_MOST_ASKED]
    if _jumps(ranked, asked[:_FIRST_ASKED])[1] < thresholds.SHARED_NEAR_COPIES - _LUCK:
        return None
    if _jumps(ranked, asked)[1] < thresholds.SHARED_NEAR_COPIES:
        return None
    codes = _linked(ranked)
    fewest = max(thresholds.SHARED_FEWEST_LEVELS, thresholds.SHARED_PER_CLASS * view.table.n_classes)
    sizes = np.bincount(codes)
    if len(sizes) < fewest or sizes.max() > thresholds.SHARED_LARGEST * n_rows:
        return None
    every = view.ranked(_some(np.ones(len(view.encoded[1]), dtype=np.bool_), rng))
    return _harm(view, codes, every, every, rng)


def _linked(ranked: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return the source of each row: two rows share one if they are near each other, and to the same rows.

    A row is near those before the jump in its distances. A few wrong ones would make chains of sources.
    """
    n_rows = len(ranked)
    nearest, _, jumps = _jumps(ranked, np.arange(n_rows, dtype=np.intp))
    n_near = np.where(jumps.max(axis=1) >= thresholds.SHARED_JUMP, np.argmax(jumps, axis=1) + 2, 0)
    rows, place = np.nonzero(np.arange(nearest.shape[1]) < n_near[:, None])
    near = sparse.csr_array((np.ones(len(rows)), (rows, nearest[rows, place])), shape=(n_rows, n_rows))
    near = near.maximum(sparse.eye_array(n_rows)).tocsr()
    one, other = near.multiply(near.T).nonzero()
    same = (near @ near.T).tocsr()[one, other]
    sizes = np.diff(near.indptr)
    linked = same >= thresholds.SHARED_SAME_NEIGHBOURS * (sizes[one] + sizes[other] - same)
    links = sparse.csr_array((np.ones(linked.sum()), (one[linked], other[linked])), shape=near.shape)
    return np.asarray(connected_components(links, directed=False)[1], dtype=np.intp)


def _jumps(
    ranked: NDArray[np.float64], asked: NDArray[np.intp]
) -> tuple[NDArray[np.intp], float, NDArray[np.float64]]:
    """Return the nearest rows (first the row itself), the share of rows with a jump, and the jumps."""
    farthest = min(_FARTHEST, len(ranked) // 4)
    apart, nearest = nearest_rows(ranked[asked], ranked, farthest + 1)
    # Copies are another matter, and told already; what is nearer than rounding is one place.
    near = np.maximum(apart[:, 1:], 1e-6 * np.sqrt(ranked.shape[1]))
    half = farthest // 2
    inverse = np.mean(np.log(near[:, [-1]] / near[:, half:-1]), axis=1)
    dimension = 1.0 / max(float(np.median(inverse)), 1e-6)
    jumps = np.arange(1, half + 1) * dimension * np.log(near[:, 1 : half + 1] / near[:, :half])
    return nearest, float(np.mean(jumps.max(axis=1) >= thresholds.SHARED_JUMP)), jumps


def _measured(view: View) -> list[int]:
    """Return the columns that measure something finely; levels make many rows equal, whatever they share."""
    return [int(j) for j in view.varying if view.is_spread[j] and not view.is_category[j]]


def _side_by_side(view: View, measured: list[int], rng: np.random.Generator) -> NDArray[np.intp]:
    """Return rows next to one another along a random direction: near copies stay together."""
    n_rows = min(view.table.n_rows, _MOST_PROJECTED)
    numeric = [j for j in measured if not view.is_date[j]]  # dates are no numbers yet
    numbers = np.array(numeric[:_MOST_COLUMNS], dtype=np.intp)
    own = view.values[:, numbers]
    weights = rng.choice([-1.0, 1.0], size=len(numbers)) / np.maximum(np.nanstd(own, axis=0), 1e-300)
    place = _projected(view, numbers, weights, n_rows)
    first = int(rng.integers(n_rows // 4, n_rows - n_rows // 4 - len(view.rows) // 2))
    last = min(first + len(view.rows), n_rows) - 1
    return np.sort(np.argpartition(place, (first, last))[first : last + 1]).astype(np.intp)


def _projected(
    view: View, numbers: NDArray[np.intp], weights: NDArray[np.float64], n_rows: int
) -> NDArray[np.float64]:
    """Return a weighted sum of columns of numbers, of the first rows; missing values are the mean."""
    X: Any = view.table.X
    X = X.iloc[:n_rows] if hasattr(X, "iloc") else X[:n_rows]
    numeric = view.table.facts.of_kind("numeric")
    mean, weight = np.zeros((2, len(numeric)))
    at = np.searchsorted(numeric, view.at[numbers])
    mean[at], weight[at] = np.nanmean(view.values[:, numbers], axis=0), weights
    table = Numbers(values=X, at=numeric)
    if table.is_sparse:
        return np.asarray(np.nan_to_num(X @ weight - mean @ weight))
    place = np.empty(n_rows)
    for where, block in table.blocks():
        place[where] = block @ weight - mean @ weight
        missing = np.isnan(place[where])
        if missing.any():
            place[where][missing] = np.nan_to_num(block[missing] - mean) @ weight
    return place


def _harm(
    view: View,
    codes: NDArray[np.intp],
    for_ridge: NDArray[np.float64],
    for_neighbours: NDArray[np.float64],
    rng: np.random.Generator,
    by_others: float = np.inf,
    is_known: bool = False,
) -> _Harm | None:
    """Compare random folds with folds of whole sources, each by the quick model that does best there.

    `by_others`: the error of predicting a row by the others of its source. `is_known`: whether rows share a
    source anyhow, as in a panel: less harm is enough.
    """
    y = as_columns(view.targets, is_classification=view.table.is_classification)
    models = ((ridge, for_ridge), (neighbours, for_neighbours))
    lowest = [
        min((error(predict(own, y, folds), y) for predict, own in models if own.shape[1]), default=1.0)
        for folds in (random_folds(len(codes), rng), group_folds(codes, rng))
    ]
    harm = _Harm(random=min(lowest[0], by_others), new=min(lowest[1], 1.0))
    most = harm.new * (1.0 if is_known else thresholds.SHARED_FLATTERED)
    return harm if harm.new - harm.random >= thresholds.SHARED_HARM and harm.random <= most else None


def _errors(harm: _Harm, what: str) -> str:
    return (
        f"A quick model's held-out error is {number(harm.random)} of the variance with random folds and "
        f"{number(harm.new)} with {what}."
    )


def _is_time(view: View, period: int) -> bool:
    name = view.name(period)
    return bool(view.is_date[period] or not isinstance(name, str) or names_time(name, is_of_panel=True))


def _column_note(view: View, j: int, harm: _Harm, period: int | None) -> Note:
    name = view.names([j])
    alike = f"rows of the same {name} are alike, in the features and in the target."
    to_do = f"If the model will meet new ones, {view.passed(j, 'groups')}"
    if period is not None:
        each = view.names([period])
        alike = f"the rows are a panel, one of each {name} for each {each}, and rows of one {name} are alike."
        is_asked = not (view.is_category[period] or view.table.facts.has_time)
        if is_asked and _is_time(view, period):
            to_do += f"; if it will predict a later {each}, {view.passed(period, 'time')}"
    text = f"{alike} {_errors(harm, f'new {name}')} {to_do}."
    return Note(code="shared-source", text=text, is_warning=True)


def _distance_note(harm: _Harm) -> Note:
    text = (
        "most rows have near copies, which random folds put on both sides. "
        f"{_errors(harm, 'near copies kept together')} If rows share a source, such as a patient or a "
        "machine, pass it as groups=."
    )
    return Note(code="shared-source", text=text, is_warning=True)
