"""The door for data in memory: whatever the caller has becomes a checked :class:`Table`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from regadvisor.data.arrays import Container, contain
from regadvisor.data.columns import Columns, equal_columns, read_columns
from regadvisor.data.fingerprint import fingerprint
from regadvisor.data.rows import as_series, as_target, check_length, read_groups, read_time, read_weight
from regadvisor.data.summary import principal_component
from regadvisor.data.table import Table
from regadvisor.data.target import Target, read_target
from regadvisor.data.targets import read_targets
from regadvisor.data.wording import counted, listed
from regadvisor.errors import DataError
from regadvisor.records import DataFacts, Note
from regadvisor.thresholds import FEWEST_ROWS_TO_VALIDATE

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
) -> Table:
    """Check features and target, and return them as a table.

    Nothing is copied that need not be converted (float32 and float64 arrays stay as they are), and the
    caller's objects are never written to. What is odd but usable becomes a note of the table; rows
    without a target are dropped with a note.

    Parameters
    ----------
    X : array-like, sparse matrix, or frame (pandas, polars, pyarrow), shape (n_rows, n_features)
        Or images of shape (n, h, w), (n, h, w, c) or (n, c, h, w). NaN is a missing value.
    y : array-like or frame, shape (n_rows,), (n_rows, 1) or (n_rows, n_targets)
        Numbers or class labels; several columns are several targets, all of them numbers.
    task : {"auto", "binary", "multiclass", "classification", "regression"}, default "auto"
        See :func:`regadvisor.data.target.read_target`.
    groups, time, sample_weight : array-like, shape (n_rows,), optional
        Rows that belong together; positions in time (numbers or dates); weights.
    target_name : str, optional
        Name of a single target; by default the name of the series, if it has one. Several targets have the
        names of their columns.

    Returns
    -------
    Table

    Raises
    ------
    DataError
        If the data cannot be used; the message says what to change.
    ParameterError
        If `task` is no task or contradicts the target.

    Examples
    --------
    >>> table = make_table([[1.0, 2.0], [2.0, None], [4.0, 0.0]], ["no", "yes", "no"])
    >>> table.facts.classes, table.facts.columns[1].has_missing
    (('no', 'yes'), True)
    """
    container = contain(X)
    values = as_target(y)
    check_length(values, container.shape[0], name="y")
    series = _row_series(
        {"groups": groups, "time": time, "sample_weight": sample_weight}, n_rows=container.shape[0]
    )
    container, values, series, dropped = _drop_without_target(container, values, series)

    if isinstance(values, pd.DataFrame):
        target, target_name = read_targets(values, task=task), None
    else:
        target, target_name = read_target(values, task=task), target_name or _name_of(values)
    columns = read_columns(container)
    group_codes = read_groups(series["groups"]) if "groups" in series else None
    positions = read_time(series["time"]) if "time" in series else None
    weight = read_weight(series["sample_weight"]) if "sample_weight" in series else None
    notes = (
        _shape_note(y, values)
        + dropped
        + target.notes
        + columns.notes
        + _leaks(columns, target)
        + _few_rows(len(target.y))
    )
    rows = {"groups": group_codes, "time": positions, "weight": weight}
    return Table(
        X=columns.values,
        y=target.y,
        facts=_facts(columns, target, rows, image_shape=container.image_shape, target_name=target_name),
        groups=group_codes,
        time=positions,
        weight=weight,
        summary=principal_component(target.y) if target.targets else None,
        notes=notes,
    )


def _facts(
    columns: Columns,
    target: Target,
    rows: Mapping[str, NDArray[Any] | None],
    *,
    image_shape: tuple[int, ...] | None,
    target_name: str | None,
) -> DataFacts:
    is_number = target.task == "regression" and not target.targets
    groups = rows["groups"]
    return DataFacts(
        container=columns.kind,
        task=target.task,
        n_rows=len(target.y),
        columns=columns.columns,
        target_name=target_name,
        classes=target.classes,
        class_counts=target.class_counts,
        target_mean=float(target.y.mean()) if is_number else None,
        target_sd=float(target.y.std()) if is_number else None,
        targets=target.targets,
        n_groups=None if groups is None else int(groups.max()) + 1,
        has_time=rows["time"] is not None,
        has_weights=rows["weight"] is not None,
        image_shape=image_shape,
        fingerprint=fingerprint(columns, target.y, target.classes or ()),
    )


def _row_series(given: Mapping[str, Any], *, n_rows: int) -> dict[str, AnySeries]:
    """Return what was given for the rows as series of the right length."""
    series = {name: as_series(values, name=name) for name, values in given.items() if values is not None}
    for name, values in series.items():
        check_length(values, n_rows, name=name)
    return series


def _name_of(values: AnySeries) -> str | None:
    return values.name if isinstance(values.name, str) else None


def _shape_note(y: Any, values: AnySeries | pd.DataFrame) -> tuple[Note, ...]:
    if len(getattr(y, "shape", ())) < 2 or isinstance(values, pd.DataFrame):
        return ()
    return (
        Note(code="column-vector-target", text="y was a table of one column and is used as a plain column."),
    )


def _drop_without_target(
    container: Container, values: AnySeries | pd.DataFrame, series: dict[str, AnySeries]
) -> tuple[Container, AnySeries | pd.DataFrame, dict[str, AnySeries], tuple[Note, ...]]:
    """Leave out the rows whose target (or any one of several) is missing, everywhere."""
    is_several = isinstance(values, pd.DataFrame)
    is_missing = values.isna().to_numpy(dtype=np.bool_).reshape(len(values), -1).max(axis=1)
    n_missing = int(is_missing.sum())
    if n_missing == 0:
        return container, values, series, ()
    n_left = len(is_missing) - n_missing
    if n_left < 2:
        every = " in every target" if is_several else ""
        raise DataError(
            f"y must have a value{every} in at least 2 rows, got NaN or None in {n_missing:,} of "
            f"{len(is_missing):,}; there is nothing to learn from rows without a target"
        )
    rows: NDArray[np.intp] = np.flatnonzero(~is_missing)
    kept = {name: own.iloc[rows] for name, own in series.items()}
    without = "one of the targets" if is_several else "a target"
    text = f"{counted(n_missing, 'row')} without {without} were left out; {counted(n_left, 'row')} remain."
    return container.take(rows), values.iloc[rows], kept, (Note(code="missing-target", text=text),)


def _leaks(columns: Columns, target: Target) -> tuple[Note, ...]:
    """Return a warning if a feature equals a target in every row, as values, labels or class codes."""
    if target.targets:
        pairs = [
            (facts.name, equal_columns(columns, target.y[:, j])) for j, facts in enumerate(target.targets)
        ]
        return tuple(_leak(found, f"the target {name!r}") for name, found in pairs if found)
    found: list[str | int] = equal_columns(columns, target.y)
    classes: Sequence[object] = target.classes or ()
    if classes and all(isinstance(label, int | float) for label in classes):
        found += equal_columns(columns, np.array(classes, dtype=np.float64)[target.y])
    codes = {str(label): code for code, label in enumerate(classes)}
    for j, level in columns.levels.items():
        if codes and len(level.texts) == len(codes) and bool((level.codes >= 0).all()):
            as_class = np.array([codes.get(text, -1) for text in level.texts], dtype=np.intp)
            same = bool((as_class[level.codes] == target.y).all())
            found += [columns.columns[j].name] if same else []
    return (_leak(found, "the target"),) if found else ()


def _leak(found: Sequence[str | int], target: str) -> Note:
    names = list(dict.fromkeys(found))
    text = (
        f"{listed(names)} equals {target} in every row: a leak? Leave it out if it is not known when "
        "predictions are made."
    )
    return Note(code="target-among-features", text=text)


def _few_rows(n_rows: int) -> tuple[Note, ...]:
    if n_rows >= FEWEST_ROWS_TO_VALIDATE:
        return ()
    text = f"only {counted(n_rows, 'row')}: too few to validate anything with confidence."
    return (Note(code="few-rows", text=text),)
