"""Do neighbouring columns belong together, as points of a series or pixels of a picture do?

Two things have to hold, along the columns or in both directions of a grid:

- *closeness*: neighbours are more alike than shuffled columns.
- *order*: columns grow unlike with distance. Of three columns in a row, the outer two are the least alike in
  a series. In a table, related columns come in groups, in which neighbours are as close as in a series;
  but inside a group the columns can change places, so each of three pairs is the least alike equally often,
  and where the group ends the third column is as far from the first as from the second. However long the
  groups are, that gives a third to a half. It counts triples and not sizes, so it is the same for
  spectra that correlate by 0.999 as for faces that correlate by 0.6.

Everything is measured on rank correlations with their sign: neighbouring measurements of one thing are alike,
not opposite.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regadvisor.data.numbers import some_numbers
from regadvisor.data.table import Table
from regadvisor.evidence.associations import draw_rows, standardised_ranks
from regadvisor.records import Note
from regadvisor.thresholds import (
    FEWEST_COLUMNS_FOR_LAYOUT,
    FEWEST_ROWS_TO_MEASURE,
    FEWEST_TRIPLES,
    NEIGHBOURS_NO,
    NEIGHBOURS_YES,
    ORDER_NO,
    ORDER_SPANS,
    ORDER_YES,
)

#: Sizes that only cost time: what is looked at of larger tables.
_ROWS = 500
_COLUMNS = 4000
_PLACES = 400
#: So many columns have few enough pairs that all of them are looked at.
_FEW = 64

_GRID = re.compile(r"(\d+)x(\d+) grid(, 3 channels)?")
_CLOSENESS_UNIT = "the closeness of neighbouring columns"
_ORDER_UNIT = "the share of neighbouring columns that grow unlike with distance"


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How much neighbours belong together in one layout; see :func:`find_layout`."""

    #: As ``"columns"``, ``"8x8 grid"``.
    label: str
    #: Median correlation of neighbours, as a share of the way from shuffled columns to 1.
    closeness: float
    #: Share of triples in a row whose outer two columns are the least alike: 1/3 to 1/2 for groups of related
    #: columns, 1 for smooth series, 0 where there are too few triples. None where the neighbours are not
    #: close, so that the order decides nothing.
    order: float | None
    #: Mean |correlation| of neighbours minus that of shuffled columns.
    excess: float

    @property
    def statistic(self) -> tuple[float, float, str]:
        """Share of its "yes" threshold, distance to it, and name, of the part that lacks more."""
        parts = [(self.closeness / NEIGHBOURS_YES, self.closeness - NEIGHBOURS_YES, _CLOSENESS_UNIT)]
        if self.order is not None:
            parts.append((self.order / ORDER_YES, self.order - ORDER_YES, _ORDER_UNIT))
        return min(parts)

    @property
    def is_seen(self) -> bool:
        """Whether neighbours belong together."""
        return self.order is not None and self.statistic[0] >= 1

    @property
    def is_absent(self) -> bool:
        """Whether they do not; neither: not sure."""
        return self.closeness < NEIGHBOURS_NO or self.order is None or self.order < ORDER_NO


@dataclass(frozen=True, kw_only=True)
class _Direction:
    """Neighbours `lag` columns apart that lie in one run of `run` columns (None: anywhere)."""

    lag: int
    run: int | None = None


def find_layout(sample: Table, rng: np.random.Generator) -> Layout | None:
    """Return the layout in which neighbours belong together, or else are closest, or None if there is none.

    Tried are neighbouring columns, up to four interleaved series, and every grid of at least 4×4 that the
    columns fill, with one or three values per cell. In a grid both directions have to do, and a
    correlation has to come back one grid row later (be higher than half a row later), which a mere
    series does not do. A layout needs columns of one kind: mixed tables have none.

    `sample`: at most 500 rows and the middle 4,000 columns of it are used. `rng`: for the columns that are
    looked at.
    """
    n_columns = sample.facts.n_features
    if n_columns < FEWEST_COLUMNS_FOR_LAYOUT or any(c.kind != "numeric" for c in sample.facts.columns):
        return None
    start = max(0, (n_columns - _COLUMNS) // 2)
    window = np.arange(start, min(start + _COLUMNS, n_columns), dtype=np.intp)
    values = some_numbers(sample.X, draw_rows(sample.n_rows, _ROWS, rng), window)
    columns = _Columns(*standardised_ranks(values), start, rng)
    if not columns.has_enough:
        return None
    shape = sample.facts.image_shape
    if shape is not None:
        width = shape[-1]
        return _judge("image array", (_Direction(lag=1, run=width), _Direction(lag=width)), columns)
    series = [
        _judge(f"columns of {n} interleaved series" if n > 1 else "columns", (_Direction(lag=n),), columns)
        for n in (1, 2, 3, 4)
    ]
    grids = [
        _judge(label, directions, columns)
        for label, directions in _grids(n_columns)
        if _comes_back(directions, columns)
    ]
    return _best([grid for grid in grids if grid is not None and grid.is_seen]) or _best(series)


def _best(layouts: list[Layout] | list[Layout | None]) -> Layout | None:
    """Return the closest of the layouts that are seen; if none is, the closest of all."""
    found = [layout for layout in layouts if layout is not None]
    return max(found, key=lambda layout: (layout.is_seen, layout.closeness), default=None)


def _grids(n_columns: int) -> Iterator[tuple[str, tuple[_Direction, ...]]]:
    for n_channels in (1, 3):
        n_cells, rest = divmod(n_columns, n_channels)
        for width in range(4, n_cells // 4 + 1):
            if rest == 0 and n_cells % width == 0:
                channels = "" if n_channels == 1 else f", {n_channels} channels"
                run = width * n_channels
                across = _Direction(lag=n_channels, run=run)
                yield f"{n_cells // width}x{width} grid{channels}", (across, _Direction(lag=run))


def _comes_back(directions: tuple[_Direction, ...], columns: _Columns) -> bool:
    across, down = directions
    half = _Direction(lag=down.lag // across.lag // 2 * across.lag)
    later, between = columns.neighbours(down), columns.neighbours(half)
    return later.size > 0 and between.size > 0 and bool(later.mean() > between.mean())


def _judge(label: str, directions: tuple[_Direction, ...], columns: _Columns) -> Layout | None:
    found = [columns.neighbours(direction) for direction in directions]
    if any(correlations.size == 0 for correlations in found):
        return None
    median = min(float(np.median(correlations)) for correlations in found)
    closeness = (median - columns.mean) / max(1.0 - columns.mean, 1e-9)
    is_close = closeness >= NEIGHBOURS_NO
    order = min(columns.order(direction) for direction in directions) if is_close else None
    size = float(np.mean([np.abs(correlations).mean() for correlations in found]))
    return Layout(label=label, closeness=closeness, order=order, excess=size - columns.mean_size)


class _Columns:
    """Rank correlations within a window that begins at column `start`.

    `has_enough`: whether enough columns vary. `mean`, `mean_size`: mean correlation, and mean |correlation|,
    of all pairs or many random ones: those of shuffled columns.
    """

    def __init__(
        self, ranks: NDArray[np.float64], varies: NDArray[np.bool_], start: int, rng: np.random.Generator
    ) -> None:
        self._ranks = ranks
        self._varies = varies
        self._start = start
        self._rng = rng
        there = np.flatnonzero(varies)
        self.has_enough = there.size >= FEWEST_COLUMNS_FOR_LAYOUT
        if self.has_enough:
            left, right = self._any_pairs(there.size)
            shuffled = self._correlations(there[left], there[right])
            self.mean, self.mean_size = float(shuffled.mean()), float(np.abs(shuffled).mean())

    def _any_pairs(self, n_columns: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        if n_columns <= _FEW:
            return np.triu_indices(n_columns, k=1)
        left = self._rng.integers(n_columns, size=5 * _PLACES)
        return left, (left + self._rng.integers(1, n_columns, size=5 * _PLACES)) % n_columns

    def neighbours(self, direction: _Direction) -> NDArray[np.float64]:
        """Return the correlations of (at most `_PLACES` random) neighbours in one direction."""
        left = self._places(direction, step=direction.lag, n_steps=1)
        return self._correlations(left, left + direction.lag)

    def order(self, direction: _Direction) -> float:
        """Return the share of triples in a row whose outer two are the least alike, of the best span.

        Noise that hides the order of direct neighbours may let it be seen between columns farther apart; but
        not so far that there are but few stretches of that length, which may stand in order by chance.
        """
        n_steps = (direction.run or self._varies.size) // direction.lag
        shares, span = [], 1
        while span == 1 or ORDER_SPANS * span <= n_steps:
            step = span * direction.lag
            left = self._places(direction, step=step, n_steps=2)
            if left.size >= FEWEST_TRIPLES:
                inner = np.minimum(
                    self._correlations(left, left + step), self._correlations(left + step, left + 2 * step)
                )
                shares.append(float(np.mean(self._correlations(left, left + 2 * step) < inner)))
            span *= 2
        return max(shares, default=0.0)

    def _places(self, direction: _Direction, *, step: int, n_steps: int) -> NDArray[np.intp]:
        """Return (at most `_PLACES` random) first columns of `n_steps` steps that stay in their run."""
        way = step * n_steps
        left = np.arange(max(0, self._varies.size - way))
        if direction.run is not None:
            left = left[(left + self._start) % direction.run + way < direction.run]
        for number in range(n_steps + 1):
            left = left[self._varies[left + number * step]]
        if left.size > _PLACES:
            left = self._rng.choice(left, size=_PLACES, replace=False)
        return left

    def _correlations(self, left: NDArray[Any], right: NDArray[Any]) -> NDArray[np.float64]:
        products: NDArray[np.float64] = np.einsum("ij,ij->j", self._ranks[:, left], self._ranks[:, right])
        return products / len(self._ranks)


def flat_images(table: Table, *, seed: int) -> tuple[Note, ...]:
    """Return what to say of a table whose columns fill a grid in which neighbours belong together."""
    facts = table.facts
    if facts.image_shape is not None or facts.inputs or table.n_rows < FEWEST_ROWS_TO_MEASURE:
        return ()
    layout = find_layout(table, np.random.default_rng(seed))
    grid = _GRID.fullmatch(layout.label) if layout is not None and layout.is_seen else None
    if grid is None:
        return ()
    height, width, channels = grid.groups()
    shape = f"{height}, {width}" + (", 3" if channels else "")
    text = (
        f"The {facts.n_features:,} columns look like images of {height}×{width} pixels; "
        f"X.reshape(-1, {shape}) keeps their shape, for model='cnn' or a convolutional module of yours."
    )
    return (Note(code="flat-images", text=text),)
