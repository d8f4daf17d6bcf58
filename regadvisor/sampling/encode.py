"""Columns of any kind as standardised numbers, for the checks of Q1 (never for training)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from regadvisor.data.numbers import some_numbers
from regadvisor.words import titled

if TYPE_CHECKING:
    from regadvisor.data.table import Features, Table
    from regadvisor.records import Column

#: Row numbers, or None for all rows.
Rows = NDArray[np.intp] | None

#: Categorical columns are judged on their most frequent levels.
_MOST_LEVELS = 10
#: Cells encoded at most (20 MB of float32); beyond this a seeded choice of columns is judged.
MOST_CELLS = 5_000_000
#: Most targets that are compared.
MOST_TARGETS = 100
#: The target's number among the source columns.
TARGET = -1


@dataclass(frozen=True, kw_only=True, eq=False)
class Encoded:
    """Columns as numbers, standardised by the source's mean and standard deviation."""

    #: (n_rows, n_encoded).
    values: NDArray[Any]
    names: tuple[str, ...]
    #: (n_encoded,): feature column each one comes from; :data:`TARGET` for the target.
    origin: NDArray[np.intp]
    #: (n_encoded,): whether it says only yes or no: a level, or "is missing".
    is_indicator: NDArray[np.bool_]

    def take(self, rows: NDArray[np.intp]) -> Encoded:
        """Return the given rows."""
        return replace(self, values=self.values[rows])

    def columns(self, chosen: NDArray[np.intp]) -> Encoded:
        """Return the given encoded columns."""
        return Encoded(
            values=self.values[:, chosen],
            names=tuple(self.names[j] for j in chosen),
            origin=self.origin[chosen],
            is_indicator=self.is_indicator[chosen],
        )

    def means(self, groups: NDArray[np.intp]) -> Encoded:
        """Return the mean of every group, in the order of their numbers; shares of levels are numbers."""
        order = np.argsort(groups, kind="stable")
        starts = np.flatnonzero(np.diff(groups[order], prepend=-1))
        sizes = np.diff(starts, append=len(groups))
        values = np.add.reduceat(self.values[order], starts, axis=0)
        values /= np.asarray(sizes, dtype=np.float32)[:, None]
        return replace(self, values=values, is_indicator=np.zeros(len(self.names), dtype=np.bool_))

    def joined(self, other: Encoded) -> Encoded:
        """Return the columns of both, side by side."""
        return Encoded(
            values=np.hstack([self.values, other.values]),
            names=self.names + other.names,
            origin=np.concatenate([self.origin, other.origin]),
            is_indicator=np.concatenate([self.is_indicator, other.is_indicator]),
        )


def fit_encode(
    X: Features, columns: Sequence[Column], *, seed: int, most_columns: int | None = None, rows: Rows = None
) -> tuple[Callable[[Features], Encoded], Encoded]:
    """Return what encodes other rows of a feature table, and the table encoded.

    Numeric columns keep their values (the median where missing) and get a column "is missing" if any is;
    categorical ones become one column for each of their 10 most frequent levels. If the result would hold
    more than 5 million cells, or there are more than `most_columns` features, a random choice is judged.

    `X` (n_rows, n_features). `columns`: facts by feature. `seed`: chooses the columns where there are too
    many. `rows`: only these rows are read; all by default.
    """
    n_rows, n_columns = int(X.shape[0]) if rows is None else len(rows), int(np.prod(X.shape[1:]))
    allowed = min(n_columns, max(20, MOST_CELLS // max(1, n_rows)), most_columns or n_columns)
    chosen = np.arange(n_columns, dtype=np.intp)
    if allowed < n_columns:
        rng = np.random.default_rng([seed, 11])
        chosen = np.sort(rng.choice(n_columns, size=allowed, replace=False)).astype(np.intp)
    is_level = np.array([columns[j].kind == "categorical" for j in chosen.tolist()], dtype=np.bool_)
    numeric = chosen[~is_level]
    block = some_numbers(X, rows, numeric)
    n_missing = np.isnan(block).sum(axis=0)
    fill = np.zeros(len(numeric))
    for i in np.flatnonzero((n_missing > 0) & (n_missing < n_rows)):
        fill[i] = np.median(block[~np.isnan(block[:, i]), i])
    levels = tuple((int(j), _frequent_levels(_series(X, int(j), rows))) for j in chosen[is_level])
    with_missing = np.flatnonzero(n_missing > 0).astype(np.intp)
    names, origin, is_indicator = _labels(columns, numeric, with_missing, levels)
    raw = _raw(X, block, fill, with_missing, levels, rows=rows)
    mean, sd = raw.mean(axis=0), raw.std(axis=0)
    # A spread of rounding errors is none.
    kept = np.flatnonzero(sd > 1e-10 * np.maximum(np.abs(mean), 1e-300))
    labels = Encoded(values=raw[:0], names=names, origin=origin, is_indicator=is_indicator).columns(kept)

    def standardised(raw: NDArray[np.float64]) -> Encoded:
        # Standardised before the cast: float32 keeps 7 digits of a value, whatever its offset was.
        values = (raw if len(kept) == len(sd) else raw[:, kept]) - mean[kept]
        values /= sd[kept]
        return replace(labels, values=values.astype(np.float32))

    def encode(new: Features) -> Encoded:
        block = some_numbers(new, None, numeric)
        return standardised(_raw(new, block, fill, with_missing, levels, rows=None))

    return encode, standardised(raw)


def encode_target(table: Table, rows: Rows = None) -> Encoded:
    """Return the target (of some rows) as standardised numbers: one column per class, or the value.

    Of several targets there is a column for each, copies left out, up to :data:`MOST_TARGETS`. If more than 5
    million cells would be needed, the most frequent classes have one.
    """
    y = table.y if rows is None else table.y[rows]
    if table.is_classification:
        counts = np.bincount(y, minlength=table.n_classes)
        codes = np.sort(np.argsort(-counts, kind="stable")[: max(20, MOST_CELLS // len(y))])
        raw = (y[:, None] == codes).astype(np.float64)
        labels = table.facts.classes or range(len(counts))
        names = tuple(f"target = {labels[code]}" for code in codes.tolist())
    elif table.n_targets == 1:
        raw, names = np.asarray(y, dtype=np.float64).reshape(-1, 1), ("target",)
    else:
        chosen = table.different_targets[:MOST_TARGETS]
        called = [facts.name for facts in table.facts.targets] or list(range(table.n_targets))
        raw, names = y[:, chosen], tuple(f"target {called[j]}" for j in chosen)
    sd = raw.std(axis=0)
    kept = np.flatnonzero(sd > 0)
    values = (raw[:, kept] - raw[:, kept].mean(axis=0)) / sd[kept]
    return Encoded(
        values=values.astype(np.float32),
        names=tuple(names[j] for j in kept),
        origin=np.full(len(kept), TARGET, dtype=np.intp),
        is_indicator=np.full(len(kept), table.is_classification),
    )


def _raw(
    X: Features,
    block: NDArray[np.float64],
    fill: NDArray[np.float64],
    with_missing: NDArray[np.intp],
    levels: tuple[tuple[int, tuple[Any, ...]], ...],
    *,
    rows: Rows,
) -> NDArray[np.float64]:
    """Return numbers, "is missing" and levels side by side; may be `block` itself, so never written into."""
    missing = np.isnan(block)
    filled = np.where(missing, fill, block) if missing.any() else block
    if not len(with_missing) and not levels:
        return filled
    parts = [filled, missing[:, with_missing].astype(np.float64)]
    parts += [_level_columns(_series(X, column, rows), values) for column, values in levels]
    return np.hstack(parts)


def _series(X: Any, j: int, rows: Rows) -> Any:
    series = X.iloc[:, j]
    return series if rows is None else series.iloc[rows]


def _frequent_levels(series: Any) -> tuple[Any, ...]:
    """Return the most frequent levels of a column; ties are ordered by their text, not by position."""
    counts = series.value_counts(dropna=True)
    ranked = sorted(zip(counts.index, counts, strict=True), key=lambda pair: (-pair[1], str(pair[0])))
    return tuple(level for level, count in ranked[:_MOST_LEVELS] if count > 0)


def _level_columns(series: Any, levels: tuple[Any, ...]) -> NDArray[np.float64]:
    """Return 0/1 columns for the levels and, last, for "is missing"."""
    columns = np.zeros((len(series), len(levels) + 1))
    position = {level: i for i, level in enumerate(levels)}
    slots = series.astype(object).map(position).to_numpy(dtype=np.float64, na_value=np.nan)
    known = np.flatnonzero(~np.isnan(slots))
    columns[known, slots[known].astype(np.intp)] = 1.0
    columns[:, -1] = series.isna().to_numpy()
    return columns


def _labels(
    columns: Sequence[Column],
    numeric: NDArray[np.intp],
    with_missing: NDArray[np.intp],
    levels: tuple[tuple[int, tuple[Any, ...]], ...],
) -> tuple[tuple[str, ...], NDArray[np.intp], NDArray[np.bool_]]:
    names = [titled(columns[j].name) for j in numeric.tolist()]
    names += [f"{titled(columns[numeric[i]].name)} is missing" for i in with_missing]
    origin = [*numeric.tolist(), *numeric[with_missing].tolist()]
    for j, values in levels:
        name = titled(columns[j].name)
        names += [*(f"{name} = {value}" for value in values), f"{name} is missing"]
        origin += [j] * (len(values) + 1)
    is_indicator = np.arange(len(names)) >= len(numeric)
    return tuple(names), np.asarray(origin, dtype=np.intp), is_indicator
