"""Rows that share a source: several of one patient, one machine, one photograph.

Random folds put such rows on both sides. What is held out is then known already, and every model looks
better on it than it will be on a new patient. Two ways to see it:

*A column names the source.* It has many levels, and the nearest neighbour of a row, by all other columns,
nearly always has the row's own level, and is much nearer than the nearest row of another level. Categories
such as a city or a sex do not make their rows alike in everything else.

*No column names it.* Around a row there are a few rows far nearer than the next ones. Where rows are drawn
one by one, k·m·log(d(k+1)/d(k)) is exponential in m dimensions (d(k): distance of the k-th neighbour; Facco
et al. 2017, Sci. Rep. 7:12140), so a jump is judged by the dimension that farther neighbours show.

Either way the warning is given only if it matters: a quick model has a much lower error with random folds
than with new sources held out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from regadvisor import thresholds
from regadvisor.records import Note
from regadvisor.traps.quick import as_columns, distances, error, group_folds, neighbours, random_folds, ridge
from regadvisor.traps.view import View, read, standardised
from regadvisor.words import number

#: Encoded columns by which rows are compared.
_MOST_COLUMNS = 80
_MOST_CANDIDATES = 5
#: Rows of one level that are looked at.
_MOST_OF_LEVEL = 40
#: Rows are linked up to this quantile of the distances in the jumps, the nearer cut if the farther one
#: makes chains.
_CUTS = (0.5, 0.25)
#: Rows that are laid side by side.
_MOST_PROJECTED, _BLOCK = 100_000, 10_000
#: Rows whose neighbours are looked for, and the farthest neighbour.
_MOST_ASKED, _FARTHEST = 400, 60


@dataclass(frozen=True, kw_only=True, eq=False)
class _Harm:
    """Held-out error of a quick model, as a share of the target's variance."""

    random: float
    new: float

    @property
    def is_large(self) -> bool:
        """Whether random folds flatter."""
        is_much = self.new - self.random >= thresholds.SHARED_HARM
        return is_much and self.random <= thresholds.SHARED_FLATTERED * self.new


def shared_rows(view: View, *, seed: int) -> tuple[Note, ...]:
    """Return a warning if rows share a source; none where the caller said so (``groups=``)."""
    table = view.table
    if table.groups is not None or len(view.rows) < thresholds.SHARED_FEWEST_ROWS:
        return ()
    rng = np.random.default_rng(seed)
    for j in _candidates(view):
        harm = _by_column(view, j, rng)
        if harm is not None:
            return (_column_note(view, j, harm),)
    harm = _by_distance(view, rng)
    return () if harm is None else (_distance_note(harm),)


# --------------------------------------------------------------------------------- a column names them


def _candidates(view: View) -> list[int]:
    """Return the columns that may name a source, those with most levels first.

    They have many levels, none of which holds most of the rows, and most rows share theirs with others.
    """
    found = []
    for j in view.varying:
        column = view.values[:, j]
        if np.isnan(column).any() or (not view.is_category[j] and (column != np.round(column)).any()):
            continue
        if not _is_spread(column):
            continue
        whole = column if len(column) == view.table.n_rows else view.whole(j)
        counts = np.unique(whole, return_counts=True)[1]
        if counts[counts > 1].sum() >= thresholds.SHARED_REPEATED * len(whole):
            found.append((len(counts), int(j)))
    return [j for _, j in sorted(found, reverse=True)][:_MOST_CANDIDATES]


def _is_spread(column: NDArray[np.float64]) -> bool:
    """Whether a column has many values, none of which most rows have."""
    counts = np.unique(column, return_counts=True)[1]
    is_even = bool(counts.max() <= thresholds.SHARED_LARGEST * len(column))
    return is_even and len(counts) >= thresholds.SHARED_FEWEST_LEVELS


def _by_column(view: View, j: int, rng: np.random.Generator) -> _Harm | None:
    """Return how much random folds flatter if rows of equal level of a column are alike."""
    if len(view.rows) < view.table.n_rows:
        view = view.with_rows(_of_levels(view.whole(j), len(view.rows), rng))
    origin = view.encoded[1]
    if not (origin != j).any():
        return None
    levels, codes = np.unique(view.values[:, j], return_inverse=True)
    asked = rng.permutation(len(codes))[:_MOST_ASKED]
    ranked = view.ranked(_some(origin != j, rng))
    apart = distances(ranked[asked], ranked)
    apart[np.arange(len(asked)), asked] = np.inf
    is_own = codes[asked][:, None] == codes
    own = np.where(is_own, apart, np.inf).min(axis=1)
    other = np.where(is_own, np.inf, apart).min(axis=1)
    has_own = np.isfinite(own)
    if has_own.mean() < thresholds.SHARED_REPEATED:
        return None
    nearer = 1.0 if len(levels) >= thresholds.SHARED_MANY_LEVELS else thresholds.SHARED_NEARER
    is_nearer = own[has_own] < nearer**2 * other[has_own]
    if is_nearer.mean() < thresholds.SHARED_ALIKE:
        return None
    if not view.is_category[j]:
        place = standardised(levels[codes][:, None])
        if error(ridge(ranked, place, group_folds(codes, rng)), place) < thresholds.SHARED_QUANTITY:
            return None
    indicators = standardised((codes[:, None] == np.arange(len(levels))).astype(np.float64))
    return _harm(view, codes, np.hstack([ranked, indicators]), ranked, rng)


def _some(chosen: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.intp]:
    """Return the chosen columns, or some of them where they are many."""
    return np.sort(rng.permutation(np.flatnonzero(chosen))[:_MOST_COLUMNS]).astype(np.intp)


def _of_levels(column: NDArray[np.float64], most: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Return about `most` rows: the rows of randomly chosen levels, some of them where a level has many."""
    levels, codes = np.unique(column, return_inverse=True)
    order = rng.permutation(len(codes))
    order = order[np.argsort(rng.permutation(len(levels))[codes[order]], kind="stable")]
    starts = np.flatnonzero(np.r_[True, np.diff(codes[order]) != 0])
    within = np.arange(len(order)) - np.repeat(starts, np.diff(np.r_[starts, len(order)]))
    return np.sort(order[within < _MOST_OF_LEVEL][:most]).astype(np.intp)


# ------------------------------------------------------------------------------------- no column does


def _by_distance(view: View, rng: np.random.Generator) -> _Harm | None:
    """Return how much random folds flatter if most rows have a few others that are far too near."""
    measured = _measured(view)
    if len(measured) < max(2, thresholds.SHARED_MEASURED * len(view.varying)):
        return None
    if len(view.rows) < view.table.n_rows:
        view = view.with_rows(_side_by_side(view, measured, rng))
    is_measured = np.isin(view.encoded[1], measured)
    ranked = view.ranked(_some(is_measured, rng))
    n_rows = len(ranked)
    asked = rng.permutation(n_rows)[:_MOST_ASKED]
    apart = distances(ranked[asked], ranked)
    apart[np.arange(len(asked)), asked] = np.inf
    farthest = min(_FARTHEST, n_rows // 4)
    near = np.sqrt(np.sort(apart, axis=1)[:, :farthest])
    # Copies are another matter, and told already; what is nearer than rounding is one place.
    near = np.maximum(near, 1e-6 * np.sqrt(ranked.shape[1]))
    half = farthest // 2
    inverse = np.mean(np.log(near[:, [-1]] / near[:, half:-1]), axis=1)
    dimension = 1.0 / max(float(np.median(inverse)), 1e-6)
    jumps = np.arange(1, half + 1) * dimension * np.log(near[:, 1 : half + 1] / near[:, :half])
    if np.mean(jumps.max(axis=1) >= thresholds.SHARED_JUMP) < thresholds.SHARED_NEAR_COPIES:
        return None
    rows, at = np.arange(len(asked)), np.argmax(jumps, axis=1)
    cuts = np.quantile(np.sqrt(near[rows, at] * near[rows, at + 1]), _CUTS)
    apart = distances(ranked, ranked)
    fewest = max(thresholds.SHARED_FEWEST_LEVELS, thresholds.SHARED_PER_CLASS * view.table.n_classes)
    for cut in cuts.tolist():
        links: sparse.csr_array[np.float64] = sparse.csr_array((apart < cut**2).astype(np.float64))
        _, codes = connected_components(links, directed=False)
        sizes = np.bincount(codes)
        if len(sizes) < fewest or sizes.max() > thresholds.SHARED_LARGEST * n_rows:
            continue
        every = view.ranked(_some(np.ones(len(view.encoded[1]), dtype=np.bool_), rng))
        harm = _harm(view, codes.astype(np.intp), every, every, rng)
        if harm is not None:
            return harm
    return None


def _measured(view: View) -> list[int]:
    """Return the columns that measure something finely; levels make many rows equal, whatever they share."""
    numbers = view.varying[~view.is_category[view.varying]]
    return [int(j) for j in numbers if _is_spread(view.values[:, j])]


def _side_by_side(view: View, measured: list[int], rng: np.random.Generator) -> NDArray[np.intp]:
    """Return rows next to one another along a random direction: near copies stay together."""
    n_rows = min(view.table.n_rows, _MOST_PROJECTED)
    numbers = np.array(measured[:_MOST_COLUMNS], dtype=np.intp)
    own = view.values[:, numbers]
    weights = rng.choice([-1.0, 1.0], size=len(numbers)) / np.maximum(np.nanstd(own, axis=0), 1e-300)
    place = np.zeros(n_rows)
    for start in range(0, n_rows, _BLOCK):
        rows = np.arange(start, min(start + _BLOCK, n_rows), dtype=np.intp)
        block = read(view.table, rows, view.at[numbers]) - np.nanmean(own, axis=0)
        place[rows] = np.nan_to_num(block) @ weights
    first = int(rng.integers(n_rows // 4, n_rows - n_rows // 4 - len(view.rows) // 2))
    return np.sort(np.argsort(place, kind="stable")[first : first + len(view.rows)]).astype(np.intp)


def _harm(
    view: View,
    codes: NDArray[np.intp],
    for_ridge: NDArray[np.float64],
    for_neighbours: NDArray[np.float64],
    rng: np.random.Generator,
) -> _Harm | None:
    """Compare random folds with folds of whole sources, each by the quick model that does best there."""
    y = as_columns(view.targets, is_classification=view.table.is_classification)
    models = ((ridge, for_ridge), (neighbours, for_neighbours))
    lowest = [
        min(error(predict(features, y, folds), y) for predict, features in models)
        for folds in (random_folds(len(codes), rng), group_folds(codes, rng))
    ]
    harm = _Harm(random=lowest[0], new=min(lowest[1], 1.0))
    return harm if harm.is_large else None


def _errors(harm: _Harm, what: str) -> str:
    return (
        f"A quick model's held-out error is {number(harm.random)} of the variance with random folds and "
        f"{number(harm.new)} with {what}."
    )


def _column_note(view: View, j: int, harm: _Harm) -> Note:
    name = view.names([j])
    text = (
        f"rows of the same {name} are alike, in the features and in the target. "
        f"{_errors(harm, f'new {name}')} If the model will meet new ones, pass groups= with {name} and leave "
        "it out of X."
    )
    return Note(code="shared-source", text=text, is_warning=True)


def _distance_note(harm: _Harm) -> Note:
    text = (
        "most rows have near copies, which random folds put on both sides. "
        f"{_errors(harm, 'near copies kept together')} If rows share a source, such as a patient or a "
        "machine, pass it as groups=."
    )
    return Note(code="shared-source", text=text, is_warning=True)
