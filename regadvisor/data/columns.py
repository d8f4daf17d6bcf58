"""What every feature column is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from regadvisor.data.arrays import Container
from regadvisor.data.dates import DateOrder, microseconds
from regadvisor.data.frames import FrameColumn, as_one_array, is_plain, read_column
from regadvisor.data.hashing import digest, sparse_column_hashes
from regadvisor.data.levels import Levels
from regadvisor.data.numbers import Numbers, check_magnitude
from regadvisor.data.oddities import notes_on_columns, notes_on_reading
from regadvisor.errors import DataError
from regadvisor.records import Column, Note
from regadvisor.words import counted, shown

if TYPE_CHECKING:
    from regadvisor.data.arrays import Values


@dataclass(frozen=True, kw_only=True, eq=False)
class ColumnStats:
    """Of each numeric column: smallest and largest value (NaN if there is none) and missing values.

    `mark` is a number that equal columns share, and few others do.
    """

    low: NDArray[Any]
    high: NDArray[Any]
    mark: NDArray[Any]
    has_missing: NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True, eq=False)
class Columns:
    """Features after reading: the values of the table, the facts, and the parts other checks need."""

    #: As in :class:`regadvisor.data.table.Table`.
    values: Values
    kind: Literal["array", "sparse", "frame"]
    columns: tuple[Column, ...]
    #: Views of the numeric columns, and their positions among all columns.
    numbers: Numbers
    #: Smallest and largest value of each numeric column.
    span: tuple[NDArray[Any], NDArray[Any]]
    #: Categorical columns by position.
    levels: dict[int, Levels] = field(default_factory=dict)
    #: Date columns by position, in microseconds.
    dates: dict[int, NDArray[np.float64]] = field(default_factory=dict)
    #: Whether scikit-learn reads the numbers of what the caller passed by itself.
    is_plain: bool = True
    #: About columns that were read as something else than they came as, and about what columns hold.
    notes_on_reading: tuple[Note, ...] = ()
    notes: tuple[Note, ...] = ()


def read_columns(
    container: Container,
    whole: Columns | None = None,
    like: Sequence[Column] | None = None,
    *,
    is_used: bool = True,
) -> Columns:
    """Return what the columns are.

    `whole`: of more rows: each column is what it is there, and has missing values if it has some there, so
    that the other rows can be predicted, too. `like`: of other data with these columns: each is what it is
    there.

    Raises DataError if a column holds infinite values or containers.
    """
    values = container.values
    names: list[str | int] = list(range(container.shape[1]))
    if isinstance(values, pd.DataFrame):
        known = like if whole is None else whole.columns
        names, array = _names(values), as_one_array(values, known)
        if array is None:
            return _as_whole(_read_frame(container, values, known, is_used=is_used), whole)
        values = array
    numbers = Numbers(values=values, at=list(range(len(names))))
    stats = column_stats(numbers)
    if is_used:
        _check_finite(numbers, stats, names)
    columns = _numeric_columns(names, stats)
    notes = notes_on_columns(columns, {}, _duplicates(numbers, stats, names), _all_missing(names, stats))
    read = Columns(
        values=values,
        kind=container.kind,
        columns=columns,
        numbers=numbers,
        span=(stats.low, stats.high),
        notes=notes,
    )
    return _as_whole(read, whole)


def _as_whole(read: Columns, whole: Columns | None) -> Columns:
    if whole is None:
        return read
    return replace(
        with_missing(read, [column.has_missing for column in whole.columns]),
        is_plain=read.is_plain and whole.is_plain,
        notes_on_reading=whole.notes_on_reading,
    )


def with_missing(read: Columns, elsewhere: Sequence[bool]) -> Columns:
    """Return the columns with missing values where these are, here or elsewhere."""
    pairs = zip(read.columns, elsewhere, strict=True)
    # Most columns stay what they are: of 20,000 a copy each takes a second.
    columns = (
        replace(own, has_missing=True) if is_missing and not own.has_missing else own
        for own, is_missing in pairs
    )
    return replace(read, columns=tuple(columns))


def _read_frame(
    container: Container, frame: pd.DataFrame, known: Sequence[Column] | None, *, is_used: bool = True
) -> Columns:
    names = _names(frame)
    read = [read_column(frame.iloc[:, j], None if known is None else known[j]) for j in range(len(names))]
    written = {
        j: (column.dates.order, column.dates.format)
        for j, column in enumerate(read)
        if column.dates is not None
    }
    written |= {
        j: (each.date_order, each.date_format) for j, each in enumerate(known or ()) if each.date_order
    }
    numeric_at = [j for j, column in enumerate(read) if column.kind == "numeric"]
    values = _replaced(frame, read)
    numbers = Numbers(values=values, at=numeric_at)
    stats = dense_stats(numbers)
    numeric_names = [names[j] for j in numeric_at]
    if is_used:
        _check_finite(numbers, stats, numeric_names)

    facts = dict(zip(numeric_at, _numeric_columns(numeric_names, stats), strict=True))
    levels = {j: column.levels for j, column in enumerate(read) if column.levels is not None}
    dates = {
        j: microseconds(column.values) if j in written else _dates(frame.iloc[:, j])
        for j, column in enumerate(read)
        if column.kind == "date"
    }
    facts |= {j: _categorical_column(names[j], level) for j, level in levels.items()}
    facts |= {j: _date_column(names[j], date, *written.get(j, ())) for j, date in dates.items()}
    columns = tuple(facts[j] for j in range(len(names)))

    copies = _duplicates(numbers, stats, numeric_names)
    copies += _copied_levels({names[j]: level for j, level in levels.items() if not facts[j].is_constant})
    missing = _all_missing(numeric_names, stats)
    missing += [names[j] for j, level in levels.items() if level.texts.size == 0]
    missing += [names[j] for j, date in dates.items() if np.isnan(date).all()]
    is_array = container.is_from_array and len(numeric_at) == len(names)
    return Columns(
        values=values.to_numpy() if is_array else values,
        kind="array" if is_array else "frame",
        columns=columns,
        numbers=numbers,
        span=(stats.low, stats.high),
        levels=levels,
        dates=dates,
        is_plain=all(is_plain(dtype) for dtype in frame.dtypes.iloc[numeric_at]),
        notes_on_reading=notes_on_reading(names, read),
        notes=notes_on_columns(columns, {names[j]: level for j, level in levels.items()}, copies, missing),
    )


def _names(frame: pd.DataFrame) -> list[str | int]:
    return [name if isinstance(name, str) else int(name) for name in frame.columns]


def _replaced(frame: pd.DataFrame, read: Sequence[FrameColumn]) -> pd.DataFrame:
    """Return the frame with the columns that had to be converted; the others are not copied."""
    is_same = [column.values.dtype == dtype for column, dtype in zip(read, frame.dtypes, strict=True)]
    if all(is_same) and not any(column.doubt for column in read):
        return frame
    result = pd.concat([column.values for column in read], axis=1)
    result.columns = frame.columns
    return result


def _dates(column: pd.Series[Any]) -> NDArray[np.float64]:
    values = microseconds(column)
    if np.isnan(values).sum() > column.isna().sum():
        raise DataError(
            f"every value of column {shown(column.name)} must be a date that pandas can read; convert it "
            "with pandas.to_datetime, or leave the column out"
        )
    return values


def column_stats(numbers: Numbers) -> ColumnStats:
    """Return the column statistics of a table of at least one row."""
    values: Any = numbers.values
    return _sparse_stats(values) if numbers.is_sparse else dense_stats(numbers)


def dense_stats(numbers: Numbers) -> ColumnStats:
    """Return the column statistics of a dense table of at least one row, in one pass over blocks of rows."""
    low: NDArray[Any] = np.empty(0)
    high, total, has_missing = low, low, np.zeros(0, dtype=np.bool_)
    with np.errstate(invalid="ignore", over="ignore"):
        for where, block in numbers.blocks():
            own = [reduce.reduce(block, axis=0) for reduce in (np.fmin, np.fmax, np.add)]
            # A sum is NaN for missing values, but also for inf - inf: look again, at these columns only.
            missing = np.isnan(own[2])
            if missing.any():
                missing[missing] = np.isnan(block[:, missing]).any(axis=0)
            if where.start == 0:
                low, high, total, has_missing = *own, missing
                continue
            low, high, total = np.fmin(low, own[0]), np.fmax(high, own[1]), total + own[2]
            has_missing = has_missing | missing
    return ColumnStats(low=low, high=high, mark=total, has_missing=has_missing)


def _sparse_stats(numbers: sparse.csr_array) -> ColumnStats:
    """Return the column statistics of a sparse matrix in its own order of rows: no second copy of it."""
    n_rows, n_columns = numbers.shape
    low, high = np.full(n_columns, np.nan), np.full(n_columns, np.nan)
    np.fmin.at(low, numbers.indices, numbers.data)
    np.fmax.at(high, numbers.indices, numbers.data)
    has_zero = np.bincount(numbers.indices, minlength=n_columns) < n_rows
    low[has_zero] = np.fmin(low[has_zero], 0.0)
    high[has_zero] = np.fmax(high[has_zero], 0.0)
    has_missing = np.zeros(n_columns, dtype=np.bool_)
    has_missing[numbers.indices[np.isnan(numbers.data)]] = True
    return ColumnStats(low=low, high=high, mark=sparse_column_hashes(numbers), has_missing=has_missing)


def _check_finite(numbers: Numbers, stats: ColumnStats, names: Sequence[str | int]) -> None:
    if stats.low.dtype.kind != "f":
        return
    found = np.flatnonzero(np.isinf(stats.low) | np.isinf(stats.high)).tolist()
    if not found:
        check_magnitude(stats.low, stats.high, names, is_sparse=numbers.is_sparse)
        return
    first = found[0]
    n_infinite = int(np.isinf(numbers.column(first)).sum())
    more = f", and in {counted(len(found) - 1, 'more column')}" if len(found) > 1 else ""
    raise DataError(
        f"X must hold finite numbers or NaN (missing), got infinity (inf) in column {names[first]!r} "
        f"({counted(n_infinite, 'value')}){more}; replace them, for example with NaN"
    )


def _numeric_columns(names: Sequence[str | int], stats: ColumnStats) -> tuple[Column, ...]:
    is_constant = ~(stats.low < stats.high)
    return tuple(
        Column(name=name, kind="numeric", has_missing=missing, is_constant=constant)
        for name, missing, constant in zip(
            names, stats.has_missing.tolist(), is_constant.tolist(), strict=True
        )
    )


def _categorical_column(name: str | int, levels: Levels) -> Column:
    n_levels = len(levels.texts)
    return Column(
        name=name,
        kind="categorical",
        has_missing=bool((levels.codes < 0).any()),
        n_levels=n_levels,
        is_constant=n_levels < 2,
    )


def _date_column(
    name: str | int, values: NDArray[np.float64], order: DateOrder | None = None, form: str | None = None
) -> Column:
    present = values[~np.isnan(values)]
    return Column(
        name=name,
        kind="date",
        has_missing=present.size < values.size,
        is_constant=present.size == 0 or bool(present.min() == present.max()),
        date_order=order,
        date_format=form,
    )


def _all_missing(names: Sequence[str | int], stats: ColumnStats) -> list[str | int]:
    if stats.low.dtype.kind != "f":
        return []
    return [names[j] for j in np.flatnonzero(np.isnan(stats.low)).tolist()]


def _duplicates(
    numbers: Numbers, stats: ColumnStats, names: Sequence[str | int]
) -> list[tuple[str | int, str | int]]:
    """Return pairs (first column, its copy). Constant columns are left out: they have their own note."""
    facts = pd.DataFrame({"low": stats.low, "high": stats.high, "mark": stats.mark})
    alike = np.flatnonzero((stats.low < stats.high) & facts.duplicated(keep=False))

    def key(j: int) -> bytes:
        # The mark of a sparse column is a hash of all its entries.
        values = stats.mark[[j]] if numbers.is_sparse else numbers.column(j).astype(stats.low.dtype)
        return digest(values)

    return [(names[g[0]], names[j]) for g in _grouped(alike.tolist(), key) for j in g[1:]]


def _grouped(items: Sequence[int], key: Any) -> list[list[int]]:
    groups: dict[bytes, list[int]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return [group for group in groups.values() if len(group) > 1]


def _copied_levels(levels: dict[str | int, Levels]) -> list[tuple[str | int, str | int]]:
    names = list(levels)

    def key(j: int) -> bytes:
        level = levels[names[j]]
        return digest(level.codes) + "\0".join(level.texts.tolist()).encode("utf-8", errors="replace")

    return [(names[g[0]], names[j]) for g in _grouped(range(len(names)), key) for j in g[1:]]
