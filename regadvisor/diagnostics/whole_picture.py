"""Q3b: is the "entire picture" needed?

Do the features describe separate variables, or is the signal spread over all of them, as over pixels,
spectra and time series? Two things speak for the whole picture, either is enough:

- *format*: the rows are image arrays, or neighbouring columns (along the columns, or along the rows and
  columns of a grid) are closer than shuffled columns. In a picture nearly *all* neighbours are close; in a
  table only those inside a group of related columns, so the lower quartile of the neighbours decides.
- *density*: the share of the features that carry signal, each counted once however often others repeat it.
  It ignores the order of the columns, so it stays the same when they are shuffled.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from regadvisor.data.table import Table
from regadvisor.diagnostics.associations import (
    Blocks,
    categorical_basis,
    draw_rows,
    encode,
    standardised_ranks,
)
from regadvisor.records import WholePictureEvidence
from regadvisor.thresholds import (
    DENSITY_NO,
    DENSITY_YES,
    FAINT_SIGNAL_Z,
    FEWEST_COLUMNS_FOR_DENSITY,
    FEWEST_COLUMNS_FOR_LAYOUT,
    FEWEST_ROWS_TO_MEASURE,
    NEIGHBOURS_NO,
    NEIGHBOURS_YES,
)

#: Sizes that only cost time: what is looked at of larger tables.
_LAYOUT_ROWS = 500
_LAYOUT_COLUMNS = 4000
_PAIRS = 400
#: So many columns have few enough pairs that all of them are looked at.
_FEW = 64
_DENSITY_COLUMNS = 2000
_PERMUTATIONS = 20

_DENSITY_UNIT = "the share of the features that carry signal"
_LAYOUT_UNIT = "the closeness of neighbouring columns"


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How close the neighbours of one layout are; see :func:`find_layout`."""

    label: str
    #: Lower quartile of the neighbours' |correlation|, as a share of the way from shuffled columns to 1.
    closeness: float
    #: Mean |correlation| of neighbours minus that of shuffled columns.
    excess: float


@dataclass(frozen=True, kw_only=True)
class _Direction:
    """Neighbours `lag` columns apart that lie in one run of `run` columns (None: anywhere)."""

    lag: int
    run: int | None = None


def measure_whole_picture(table: Table, *, seed: int, max_rows: int = 2000) -> WholePictureEvidence:
    """Measure whether the signal in `table` is spread over all features.

    "yes" for image arrays, for a layout whose neighbours are close (at least ``NEIGHBOURS_YES``), or for a
    density of at least ``DENSITY_YES``. "no" if both statistics are below their lower thresholds. Below
    ``FEWEST_COLUMNS_FOR_DENSITY`` columns without a layout the answer is "no": that few columns are a table
    of separate variables unless the caller says otherwise. With more columns and a signal too faint
    to see where it is, or too few rows, the answer is "unsure".

    Parameters
    ----------
    table : Table
        Never modified. Row weights, groups and time are not used.
    seed : int
        For the rows, columns and pairs drawn where there are more than allowed, and for the permutations.
    max_rows : int
        At most this many rows are looked at, drawn at random.

    Returns
    -------
    WholePictureEvidence
        With `given` None. `layout` is None unless the format says yes. `margin` is the distance of the
        deciding statistic to its "yes" threshold (named by `margin_unit`), at least 0 exactly if the reply
        is "yes"; None for image arrays, where nothing measured decides.
    """
    rng = np.random.default_rng(seed)
    sample = table.take(draw_rows(table.n_rows, max_rows, rng))
    has_rows = sample.n_rows >= FEWEST_ROWS_TO_MEASURE
    layout = find_layout(sample, rng) if has_rows else None
    density, n_columns = _density(sample, rng) if has_rows else (None, table.facts.n_features)
    is_image = table.facts.image_shape is not None
    is_laid_out = layout is not None and layout.closeness >= NEIGHBOURS_YES
    statistics = _statistics(layout, density)
    decides = None if is_image or not statistics else max(statistics)
    reply: Literal["yes", "no", "unsure"] = "unsure"
    if is_image or (decides is not None and decides[0] >= 1):
        reply = "yes"
    elif has_rows and _is_no(layout, density, n_columns):
        reply = "no"
    return WholePictureEvidence(
        measured=reply,
        density=density,
        neighbour_excess=None if layout is None else layout.excess,
        layout="image array" if is_image else layout.label if layout and is_laid_out else None,
        n_columns=n_columns,
        margin=None if decides is None else decides[1],
        margin_unit=None if decides is None else decides[2],
    )


def _statistics(layout: Layout | None, density: float | None) -> list[tuple[float, float, str]]:
    """Return, for what was measured: share of the "yes" threshold, distance to it, name."""
    found = []
    if layout is not None:
        found.append((layout.closeness / NEIGHBOURS_YES, layout.closeness - NEIGHBOURS_YES, _LAYOUT_UNIT))
    if density is not None:
        found.append((density / DENSITY_YES, density - DENSITY_YES, _DENSITY_UNIT))
    return found


def _is_no(layout: Layout | None, density: float | None, n_columns: int) -> bool:
    if layout is not None and layout.closeness >= NEIGHBOURS_NO:
        return False
    if density is None:
        return n_columns < FEWEST_COLUMNS_FOR_DENSITY
    return density < DENSITY_NO


# ------------------------------------------------------------------------------------------- density


def _density(sample: Table, rng: np.random.Generator) -> tuple[float | None, int]:
    """Return the density, or None if it is not judged, and how many columns were looked at."""
    blocks = encode(sample, rng=rng, max_rows=sample.n_rows, max_columns=_DENSITY_COLUMNS)
    if blocks.n_variables < FEWEST_COLUMNS_FOR_DENSITY:
        return None, blocks.n_variables
    target = _encode_target(sample)
    if target.shape[1] == 0:
        return None, blocks.n_variables
    return signal_density(blocks, target, rng), blocks.n_variables


def _encode_target(sample: Table) -> NDArray[np.float64]:
    if sample.is_classification:
        return categorical_basis(pd.Series(sample.y))
    ranks, varies = standardised_ranks(np.asarray(sample.y, dtype=np.float64)[:, None])
    return ranks[:, varies]


def signal_density(blocks: Blocks, target: NDArray[np.float64], rng: np.random.Generator) -> float | None:
    """Return the share of the features that carry signal, in [0, 1], or None if the signal is too faint.

    The participation ratio ``(Σ s)² / (p Σ s²)`` of the features' squared correlations s with the target is
    1 if all carry equal signal, 1/3 for normally distributed effects, and k/p if k of p do. Two corrections
    make it fit for finite and correlated data:

    - *noise*: ``n s`` is about χ² with ν degrees of freedom and non-centrality λ, so ``n s − ν`` and
      ``(n s − ν)² − 4 n s + 2 ν`` estimate λ and λ² without bias; both sums are also centred on permuted
      targets. If the sum of λ is within ``FAINT_SIGNAL_Z`` standard deviations of that of permuted
      targets, there is too little signal to say where it is. The sum of λ² is taken to be at least two
      such standard deviations: then the density is a lower bound, which can say "yes" but not "no".
    - *repetition*: of features that repeat one another, all correlate with the target though one would do.
      The vector r of correlations from one half of the rows is held against the correlation matrix R of
      the other half: ``r'Rr / r'r`` is 1 for independent columns, and m if each signal occurs m times. The
      ratio is divided by it.

    Parameters
    ----------
    blocks : Blocks
    target : ndarray of float64, shape (n_rows, n_target)
        Uncorrelated columns with mean 0 and mean square 1.
    rng : numpy.random.Generator
        For the permutations and the halves.
    """
    n_rows, n_target = target.shape
    starts = np.concatenate([[0], np.cumsum(blocks.sizes)[:-1]])
    free = (blocks.sizes * n_target).astype(np.float64)[:, None]
    shuffled = [target[rng.permutation(n_rows)] for _ in range(_PERMUTATIONS)]
    products = blocks.values.T @ np.hstack([target, *shuffled])
    chi = np.add.reduceat(products**2, starts, axis=0) * ((n_rows - 1) / n_rows**2)
    chi = chi.reshape(len(starts), 1 + _PERMUTATIONS, n_target).sum(axis=2)
    first = (chi - free).sum(axis=0)
    second = ((chi - free) ** 2 - 4 * chi + 2 * free).sum(axis=0)
    signal = first[0] - first[1:].mean()
    if signal < FAINT_SIGNAL_Z * first[1:].std(ddof=1):
        return None
    squared, least = second[0] - second[1:].mean(), 2 * second[1:].std(ddof=1)
    ratio = signal**2 / (len(starts) * max(squared, least))
    density = float(min(1.0, ratio / max(1.0, _repetition(blocks, target, rng))))
    return None if squared < least and density < DENSITY_YES else density


def _repetition(blocks: Blocks, target: NDArray[np.float64], rng: np.random.Generator) -> float:
    order = rng.permutation(len(target))
    halves = np.array_split(order, 2)
    above = below = 0.0
    for seen, held_out in (halves, halves[::-1]):
        r = blocks.values[seen].T @ target[seen] / len(seen)
        projected = blocks.values[held_out] @ r
        above += float((projected**2).sum()) / len(held_out)
        below += float((r**2).sum())
    return above / below if below > 0 else 1.0


# -------------------------------------------------------------------------------------------- format


def find_layout(sample: Table, rng: np.random.Generator) -> Layout | None:
    """Return the layout in which neighbouring columns are closest, or None if there cannot be one.

    Tried are neighbouring columns, up to four interleaved series, and every grid of at least 4×4 that the
    columns fill, with one or three values per cell. In a grid both directions have to be close, and a
    correlation has to come back one grid row later (be higher than half a row later), which a mere
    series does not do. A layout needs columns of one kind: mixed tables have none.

    Parameters
    ----------
    sample : Table
        At most 500 rows and the middle 4,000 columns of it are used.
    rng : numpy.random.Generator
        For the pairs of columns that are looked at.
    """
    n_columns = sample.facts.n_features
    if n_columns < FEWEST_COLUMNS_FOR_LAYOUT or any(c.kind != "numeric" for c in sample.facts.columns):
        return None
    start = max(0, (n_columns - _LAYOUT_COLUMNS) // 2)
    values = _window(sample, start, start + _LAYOUT_COLUMNS, rng)
    pairs = _Pairs(*standardised_ranks(values), start, rng)
    shuffled = pairs.shuffled()
    if shuffled is None:
        return None
    shape = sample.facts.image_shape
    if shape is not None:
        width = shape[-1]
        directions = (_Direction(lag=1, run=width), _Direction(lag=width))
        return _judge("image array", directions, pairs, shuffled)
    series = [_judge(label, directions, pairs, shuffled) for label, directions in _series()]
    grids = [
        _judge(label, directions, pairs, shuffled)
        for label, directions in _grids(n_columns)
        if _comes_back(directions, pairs)
    ]
    return _closest(grids, at_least=NEIGHBOURS_YES) or _closest(series)


def _closest(layouts: list[Layout | None], at_least: float = -np.inf) -> Layout | None:
    found = [layout for layout in layouts if layout is not None and layout.closeness >= at_least]
    return max(found, key=lambda layout: layout.closeness, default=None)


def _window(sample: Table, start: int, stop: int, rng: np.random.Generator) -> NDArray[np.float64]:
    rows = draw_rows(sample.n_rows, _LAYOUT_ROWS, rng)
    X = sample.X
    if isinstance(X, pd.DataFrame):
        return np.asarray(X.iloc[rows, start:stop], dtype=np.float64)
    picked = X[rows][:, start:stop]
    return np.asarray(picked if isinstance(picked, np.ndarray) else picked.toarray(), dtype=np.float64)


def _series() -> Iterator[tuple[str, tuple[_Direction, ...]]]:
    yield "columns", (_Direction(lag=1),)
    for n_series in (2, 3, 4):
        yield f"columns of {n_series} interleaved series", (_Direction(lag=n_series),)


def _grids(n_columns: int) -> Iterator[tuple[str, tuple[_Direction, ...]]]:
    for n_channels in (1, 3):
        n_cells, rest = divmod(n_columns, n_channels)
        for width in range(4, n_cells // 4 + 1):
            if rest == 0 and n_cells % width == 0:
                channels = "" if n_channels == 1 else f", {n_channels} channels"
                run = width * n_channels
                across = _Direction(lag=n_channels, run=run)
                yield f"{n_cells // width}x{width} grid{channels}", (across, _Direction(lag=run))


def _comes_back(directions: tuple[_Direction, ...], pairs: _Pairs) -> bool:
    across, down = directions
    half = _Direction(lag=down.lag // across.lag // 2 * across.lag)
    later, between = pairs.neighbours(down), pairs.neighbours(half)
    return later.size > 0 and between.size > 0 and bool(later.mean() > between.mean())


def _judge(label: str, directions: tuple[_Direction, ...], pairs: _Pairs, shuffled: float) -> Layout | None:
    found = [pairs.neighbours(direction) for direction in directions]
    if any(correlations.size == 0 for correlations in found):
        return None
    quartile = min(float(np.quantile(correlations, 0.25)) for correlations in found)
    return Layout(
        label=label,
        closeness=(quartile - shuffled) / max(1.0 - shuffled, 1e-9),
        excess=float(np.mean([correlations.mean() for correlations in found])) - shuffled,
    )


class _Pairs:
    """Absolute rank correlations of pairs of columns of a window that begins at column `start`."""

    def __init__(
        self, ranks: NDArray[np.float64], varies: NDArray[np.bool_], start: int, rng: np.random.Generator
    ) -> None:
        self._ranks = ranks
        self._varies = varies
        self._start = start
        self._rng = rng

    def shuffled(self) -> float | None:
        """Return the mean over all (or many random) pairs, or None if hardly any column varies."""
        columns = np.flatnonzero(self._varies)
        if columns.size < FEWEST_COLUMNS_FOR_LAYOUT:
            return None
        if columns.size <= _FEW:
            left, right = np.triu_indices(columns.size, k=1)
        else:
            left = self._rng.integers(columns.size, size=5 * _PAIRS)
            right = (left + self._rng.integers(1, columns.size, size=5 * _PAIRS)) % columns.size
        return float(self._correlations(columns[left], columns[right]).mean())

    def neighbours(self, direction: _Direction) -> NDArray[np.float64]:
        """Return the correlations of (at most `_PAIRS` random) neighbours in one direction."""
        left = np.arange(max(0, self._varies.size - direction.lag))
        if direction.run is not None:
            left = left[(left + self._start) % direction.run + direction.lag < direction.run]
        left = left[self._varies[left] & self._varies[left + direction.lag]]
        if left.size > _PAIRS:
            left = self._rng.choice(left, size=_PAIRS, replace=False)
        return self._correlations(left, left + direction.lag)

    def _correlations(self, left: NDArray[Any], right: NDArray[Any]) -> NDArray[np.float64]:
        products = np.einsum("ij,ij->j", self._ranks[:, left], self._ranks[:, right])
        correlations: NDArray[np.float64] = np.abs(products) / len(self._ranks)
        return correlations
