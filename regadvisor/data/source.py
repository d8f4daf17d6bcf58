"""The door for data in memory: whatever the caller has becomes a checked :class:`Table`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import blake2b
from typing import TYPE_CHECKING, Any
from zlib import crc32

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from regadvisor.data.arrays import Container, contain
from regadvisor.data.columns import Columns, read_columns, with_missing
from regadvisor.data.numbers import Numbers
from regadvisor.data.rows import (
    as_series,
    as_target,
    check_length,
    has_target,
    in_order_of,
    lost_classes,
    mean_weights,
    notes_on_weights,
    read_groups,
    read_time,
    read_weight,
    scaled_weight,
)
from regadvisor.data.table import Table, principal_component
from regadvisor.data.target import Target, is_plain_target, read_target
from regadvisor.data.targets import read_targets
from regadvisor.data.thinning import Thinning, has_missing, shares_made_up_for, thinned_note
from regadvisor.data.written_target import with_numbers
from regadvisor.errors import DataError
from regadvisor.records import Column, DataFacts, Note
from regadvisor.thresholds import ALMOST_DIFFERENT
from regadvisor.words import agreed, counted

if TYPE_CHECKING:
    AnySeries = pd.Series[Any]


def make_table(
    X: Any,
    y: Any,
    *,
    task: str = "auto",
    groups: Any = None,
    time: Any = None,
    sample_weight: Any = None,
    target_name: str | None = None,
    like: DataFacts | None = None,
    thinning: Thinning | None = None,
) -> Table:
    """Check features and target, and return them as a table.

    Nothing is copied that need not be converted (float32 and float64 arrays stay as they are), and the
    caller's objects are never written to. What is odd but usable becomes a note of the table; rows
    without a target or of weight 0 are dropped with a note.

    `X` (n_rows, n_features): or images of shape (n, h, w), (n, h, w, c) or (n, c, h, w). NaN is a missing
    value. `y` (n_rows,): numbers or class labels; several columns are several targets, all of
    them numbers or all classes.
    `task`: see :func:`regadvisor.data.target.read_target`. `groups`, `time`, `sample_weight` (n_rows,): rows
    that belong together; positions in time (numbers or dates); weights. `target_name`: name of a single
    target; by default the name of the series, if it has one. Several targets have the names of their columns.
    `like`: of other data: columns that have the same names are read as they were there. `thinning`: how long
    reading may take; if it would take longer, the table has some rows, and its facts count all.

    Raises DataError if the data cannot be used; the message says what to change; ParameterError if `task` is
    no task or contradicts the target.

    >>> table = make_table([[1.0, 2.0], [2.0, None], [4.0, 0.0]], ["no", "yes", "no"])
    >>> table.facts.classes, table.facts.columns[1].has_missing
    (('no', 'yes'), True)
    """
    container = contain(X)
    given = as_target(y)
    check_length(given, container.shape[0], name="y")
    values, on_reading = with_numbers(given, task=task)
    of_rows = {"groups": groups, "time": time, "sample_weight": sample_weight}
    series = _row_series(of_rows, n_rows=container.shape[0])
    weight = read_weight(series["sample_weight"]) if "sample_weight" in series else None
    kept, left_out = _used(values, weight)
    lost = [] if isinstance(values, pd.DataFrame) else lost_classes(values, weight, task=task)
    if kept is not None:
        used: NDArray[np.intp] = np.flatnonzero(kept)
        values = values.iloc[used]
        series = {name: own.iloc[used] for name, own in series.items()}
        weight = None if weight is None else scaled_weight(weight[used])

    if isinstance(values, pd.DataFrame):
        target, target_name = read_targets(values, task=task), None
    else:
        own_name = values.name if isinstance(values.name, str) else None
        target, target_name = read_target(values, task=task), target_name or own_name
    some = None if thinning is None else thinning.rows(container, target, kept, read_columns)
    columns = _read(container, kept, some, like)
    group_codes = read_groups(series["groups"]) if "groups" in series else None
    positions = read_time(series["time"]) if "time" in series else None
    read_differently = _shape_note(y, values) + on_reading + left_out
    notes = read_differently + target.notes + columns.notes_on_reading + columns.notes
    notes += notes_on_weights(target, weight, group_codes, lost)
    plain = {"x": columns.is_plain, "y": not read_differently and _is_plain_y(values, target)}
    coded = {"groups": group_codes, "time": positions, "weight": weight}
    facts = _facts(columns, target, coded, plain, container=container, target_name=target_name)
    means = () if weight is None else mean_weights(series["sample_weight"], weight, target)
    table = Table(
        X=columns.values,
        y=target.y,
        facts=replace(facts, mean_weights=means),
        kept=kept,
        groups=group_codes,
        time=positions,
        weight=weight,
        summary=principal_component(target.y) if target.targets else None,
        span=columns.span,
        by_label=in_order_of(X, given) if kept is None else None,
        notes=notes,
    )
    return table if some is None else _thinned(table, target, some, n_given=container.shape[0])


def _is_plain_y(values: pd.Series[Any] | pd.DataFrame, target: Target) -> bool:
    """Whether scikit-learn takes the target as it is, without asking whether these are classes."""
    n_classes, n_rows = len(target.classes or ()), len(target.y)
    is_class = target.task != "regression" or bool(target.class_columns)
    is_plain = is_plain_target(values, is_classification=is_class)
    return is_plain and (n_rows <= 20 or 2 * n_classes <= n_rows)


def _read(
    container: Container,
    kept: NDArray[np.bool_] | None,
    some: NDArray[np.intp] | None,
    like: DataFacts | None,
) -> Columns:
    """Return the columns of the rows that are used, or of `some` of these."""
    if some is not None:
        columns = read_columns(container.take(some if kept is None else np.flatnonzero(kept)[some]))
        return with_missing(columns, has_missing(container).tolist())
    if kept is None:
        return read_columns(container, None, _columns_like(container, like))
    whole = read_columns(container, is_used=False)
    rows = container.take(np.flatnonzero(kept))
    fewest = 0 if len(kept) - kept.sum() == 1 else ALMOST_DIFFERENT
    many = {j for j, levels in whole.levels.items() if len(levels.texts) > fewest}
    if many:
        # Units, footers and headers stand in rows without a target, and make no text of numbers.
        used = read_columns(rows)
        pairs = enumerate(zip(whole.columns, used.columns, strict=True))
        kinds = tuple(own if j in many else every for j, (every, own) in pairs)
        whole = replace(whole, columns=kinds, notes_on_reading=used.notes_on_reading)
    return read_columns(rows, whole, _columns_like(container, like))


def _thinned(table: Table, target: Target, rows: NDArray[np.intp], *, n_given: int) -> Table:
    """Return the table with everything that belongs to rows cut to some rows; X has these already.

    `rows`: of those that the table was made for. `n_given`: rows that the caller passed.
    """
    is_read = np.zeros(n_given, dtype=np.bool_)
    is_read[rows if table.kept is None else np.flatnonzero(table.kept)[rows]] = True
    share = None
    if target.class_counts is not None:
        share = shares_made_up_for(target.y[rows], np.array(target.class_counts), n_wanted=len(rows))
    weight = share if table.weight is None else table.weight[rows] * (1.0 if share is None else share)
    groups = None if table.groups is None else np.unique(table.groups[rows], return_inverse=True)[1]
    return replace(
        table,
        y=table.y[rows],
        kept=is_read,
        groups=groups,
        time=None if table.time is None else table.time[rows],
        weight=weight if weight is None else weight / weight.mean(),
        summary=None if table.summary is None else table.summary[rows],
        span=None,
        by_label=None,
        notes=(*table.notes, thinned_note(len(rows), len(table.y))),
    )


def _columns_like(container: Container, like: DataFacts | None) -> tuple[Column, ...] | None:
    if like is None or not isinstance(container.values, pd.DataFrame):
        return None
    same = [column.name for column in like.columns] == list(container.values.columns)
    return like.columns if same else None


def _facts(
    columns: Columns,
    target: Target,
    rows: Mapping[str, NDArray[Any] | None],
    plain: Mapping[str, bool],
    *,
    container: Container,
    target_name: str | None,
) -> DataFacts:
    is_number = target.task == "regression" and not target.targets
    groups = rows["groups"]
    labels = target.classes or tuple(each for own in target.class_columns for each in own.classes)
    return DataFacts(
        container=columns.kind,
        task=target.task,
        n_rows=len(target.y),
        columns=columns.columns,
        target_name=target_name,
        classes=target.classes,
        class_counts=target.class_counts,
        other_task=target.other_task,
        target_mean=float(target.y.mean()) if is_number else None,
        target_sd=float(target.y.std()) if is_number else None,
        targets=target.targets,
        class_columns=target.class_columns,
        n_groups=None if groups is None else int(groups.max()) + 1,
        has_time=rows["time"] is not None,
        has_weights=rows["weight"] is not None,
        image_shape=container.image_shape,
        inputs=container.inputs,
        is_single=columns.numbers.is_single,
        is_plain_x=plain["x"],
        is_plain_y=plain["y"],
        fingerprint=fingerprint(columns, target.y, labels),
    )


def _row_series(given: Mapping[str, Any], *, n_rows: int) -> dict[str, AnySeries]:
    """Return what was given for the rows as series of the right length."""
    series = {name: as_series(values, name=name) for name, values in given.items() if values is not None}
    for name, values in series.items():
        check_length(values, n_rows, name=name)
    return series


def _shape_note(y: Any, values: AnySeries | pd.DataFrame) -> tuple[Note, ...]:
    if len(getattr(y, "shape", ())) < 2 or isinstance(values, pd.DataFrame):
        return ()
    return (
        Note(code="column-vector-target", text="y was a table of one column and is used as a plain column."),
    )


def _used(
    values: AnySeries | pd.DataFrame, weight: NDArray[np.float64] | None
) -> tuple[NDArray[np.bool_] | None, tuple[Note, ...]]:
    """Return which rows have a target and a weight above 0, None if all have, and notes on the others."""
    is_there = has_target(values)
    is_used = is_there if weight is None else is_there & (weight > 0)
    n_rows, n_missing, n_left = len(is_used), int((~is_there).sum()), int(is_used.sum())
    n_without_weight = n_rows - n_missing - n_left
    if n_left == n_rows:
        return None, ()
    if n_left < 2:
        every = " in every target" if isinstance(values, pd.DataFrame) else ""
        also = f" and sample_weight 0 in {n_without_weight:,} more" if n_without_weight else ""
        raise DataError(
            f"y must have a value{every} in at least 2 rows, got NaN or None in {n_missing:,} of "
            f"{n_rows:,}{also}; there is nothing to learn from rows without a target or a weight"
        )
    without = "one of the targets" if isinstance(values, pd.DataFrame) else "a target"
    reasons = {
        "missing-target": (n_missing, f"without {without}"),
        "zero-weight": (n_without_weight, "of sample_weight 0"),
    }
    notes = tuple(
        Note(
            code=code,
            text=f"{counted(n, 'row')} {why} {agreed(n, 'was', 'were')} left out; "
            f"{counted(n_left, 'row')} {agreed(n_left, 'remains', 'remain')}.",
        )
        for code, (n, why) in reasons.items()
        if n
    )
    return is_used, notes


#: Values converted at a time; the memory a fingerprint takes.
_CHUNK_VALUES = 1 << 15
#: Arrays of more values are hashed by a checksum of each chunk.
_LARGE = 1 << 22


def fingerprint(columns: Columns, y: NDArray[Any], labels: Sequence[object] = ()) -> str:
    """Return a hash over shapes, column names and kinds, and values.

    Numbers count by value: the same data as float32, integers or float64, read-only or in another memory
    order, on another machine, give the same text (where float32 holds the values exactly).

    `y` (n_rows,): class codes or numbers. `labels`: class labels.

    32 hexadecimal digits.
    """
    whole = blake2b(digest_size=16)
    for column in columns.columns:
        whole.update(f"{column.name!r}:{column.kind};".encode())
    _add_numbers(whole, columns.numbers)
    for j in sorted(columns.levels):
        level = columns.levels[j]
        whole.update("\0".join(level.texts.tolist()).encode("utf-8", errors="replace"))
        _add(whole, level.codes)
    for j in sorted(columns.dates):
        _add(whole, columns.dates[j])
    _add(whole, y)
    whole.update(repr(tuple(labels)).encode())
    return whole.hexdigest()


def _add(whole: blake2b, values: NDArray[Any]) -> None:
    """Add one array of one or two axes, in its order of rows."""
    whole.update(repr(tuple(values.shape)).encode())
    table = values[:, None] if values.ndim == 1 else values
    _add_blocks(whole, Numbers(values=table, at=list(range(table.shape[1]))))


def _add_numbers(whole: blake2b, numbers: Numbers) -> None:
    whole.update(repr(numbers.shape).encode())
    if not numbers.is_sparse:
        _add_blocks(whole, numbers)
        return
    matrix: Any = numbers.values
    if matrix.nnz and (matrix.data == 0).any():  # stored zeros are no difference
        matrix = matrix.copy()
        matrix.eliminate_zeros()
    for part in (matrix.indptr, matrix.indices, matrix.data):
        _add(whole, part)


def _add_blocks(whole: blake2b, numbers: Numbers) -> None:
    is_large = numbers.shape[0] * numbers.shape[1] > _LARGE
    for _, block in numbers.blocks(_CHUNK_VALUES):
        with np.errstate(invalid="ignore"):  # NaN of the kind that signals
            chunk = np.add(block, 0.0, dtype="<f8", order="C")  # -0.0 becomes 0.0
        if np.isnan(chunk.min(initial=0.0)):
            chunk[np.isnan(chunk)] = np.nan  # one bit pattern for every NaN
        # A checksum tells changed data from unchanged ones as well, in a fifth of the time.
        whole.update(crc32(chunk).to_bytes(4, "little") if is_large else chunk.data)
