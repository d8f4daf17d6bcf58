"""Several target columns: each one checked as a single one is, and all of them numbers, or all classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api import types as dtypes

from regadvisor import thresholds
from regadvisor.data.levels import label_array, side_by_side
from regadvisor.data.table import Table, distinct_columns
from regadvisor.data.target import Target, check_task, finite_numbers, holds_labels, is_coded, read_target
from regadvisor.errors import DataError, ParameterError
from regadvisor.records import ClassColumn, Note, TargetFacts
from regadvisor.words import listed

if TYPE_CHECKING:
    AnySeries = pd.Series[Any]


def read_targets(frame: pd.DataFrame, *, task: str = "auto") -> Target:
    """Return several targets as float64 columns: numbers, labels of 0 and 1, or every class of each column.

    `frame` (n_rows, n_targets): one row of values per row, none missing. `task`: see
    :func:`regadvisor.data.target.read_target`, whose rules say what is a class.

    Raises DataError if some columns are classes and others numbers, a column is constant or infinite, or
    the columns are the classes of one target (one-hot); ParameterError if `task` is no task, or a column
    cannot be read as it says.

    >>> frame = pd.DataFrame({"slump": [23.0, 0.0, 1.5], "flow": [62.0, 20.0, 20.5]})
    >>> [facts.name for facts in read_targets(frame).targets]
    ['slump', 'flow']
    >>> frame = pd.DataFrame({"colour": ["red", "blue", "red"], "size": ["S", "M", "L"]})
    >>> [facts.name for facts in read_targets(frame).targets]
    ['colour = blue', 'colour = red', 'size = L', 'size = M', 'size = S']
    """
    check_task(task)
    if task in ("binary", "multiclass"):
        raise ParameterError(
            f"task must be 'classification' or 'regression' for several target columns, got {task!r} for "
            f"{frame.shape[1]} columns in y"
        )
    names: list[str | int] = [name if isinstance(name, str) else int(name) for name in frame.columns]
    series = [frame.iloc[:, j] for j in range(frame.shape[1])]
    if task == "classification" or (task == "auto" and _are_classes(series, names)):
        return _classes(series, names, task)
    columns = [finite_numbers(own, _where(name)) for name, own in zip(names, series, strict=True)]
    for name, own in zip(names, columns, strict=True):
        if own.min() == own.max():
            raise DataError(
                f"{_where(name)} must have at least 2 different values, got only {own[0]:g} in all rows; "
                "there is nothing to learn: leave this target out"
            )
    coded = [name for name, own in zip(names, columns, strict=True) if is_coded(own)]
    Y = np.column_stack(columns)
    return Target(
        y=Y,
        task="regression",
        targets=_targets(names, Y),
        notes=(*_survival(columns, names), *_quantities(coded if task == "auto" else []), *_copies(Y, names)),
    )


def _are_classes(series: list[AnySeries], names: list[str | int]) -> bool:
    """Whether all columns are classes; DataError if some are by their type, and others are numbers."""
    is_label = [holds_labels(own, _where(name)) for name, own in zip(names, series, strict=True)]
    labels, numbers = [], []
    for name, own, is_class in zip(names, series, is_label, strict=True):
        values = None if is_class else finite_numbers(own, _where(name))
        if values is None:
            labels.append(name)
        elif values.min() == values.max() or not is_coded(values):
            numbers.append(name)
    if not (labels and numbers):
        return not numbers
    if len(names) == 2 and dtypes.is_bool_dtype(series[names.index(labels[0])].dtype):
        raise DataError(
            f"y must be one column of classes or several of numbers, got a yes/no and a number in "
            f"{listed(names)}, as events and times of survival data are; there are no survival models "
            "here: pass one of them to predict it alone"
        )
    raise DataError(
        f"y must have columns of numbers or columns of classes, got classes in {_columns(labels)} and "
        f"numbers in {_columns(numbers)}; call advise() once for each of the two"
    )


def _classes(series: list[AnySeries], names: list[str | int], task: str) -> Target:
    """Return labels of 0 and 1 as they are, of other columns a column of 0 and 1 for every class."""
    read = [_class_column(own, name, task) for own, name in zip(series, names, strict=True)]
    codes = np.column_stack([own.y for own in read]).astype(np.float64)
    notes = tuple(
        replace(note, text=f"{_where(name)}: {note.text}".replace(": the target ", " ", 1))
        for name, own in zip(names, read, strict=True)
        for note in own.notes
    )
    notes += _copies(codes, names)
    if all(own.classes == (0, 1) for own in read):
        if (codes.sum(axis=1) == 1).all():
            raise DataError(
                f"y must be one column of classes, got {len(names)} columns with a single 1 in every row "
                "(one-hot); pass numpy.argmax(y, axis=1) of an array, or pass y.idxmax(axis=1) of a frame"
            )
        return Target(y=codes, task="regression", targets=_targets(names, codes), notes=notes)
    n_classes, most = sum(len(own.classes or ()) for own in read), thresholds.MOST_CLASSES_OF_COLUMNS
    if n_classes > most:
        raise DataError(
            f"y must have at most {most} classes in all columns together, got "
            f"{n_classes:,}; merge rare classes, or call advise() once for each column"
        )
    Y = np.hstack([np.eye(len(own.classes or ()))[own.y] for own in read])
    called = [
        f"{name} = {label}" for name, own in zip(names, read, strict=True) for label in own.classes or ()
    ]
    return Target(
        y=Y,
        task="regression",
        targets=_targets(called, Y),
        class_columns=tuple(
            ClassColumn(name=name, classes=own.classes or (), counts=own.class_counts or ())
            for name, own in zip(names, read, strict=True)
        ),
        notes=notes,
    )


def _class_column(values: AnySeries, name: str | int, task: str) -> Target:
    """Return one of several columns of classes; errors say which."""
    try:
        return read_target(values.reset_index(drop=True), task=task)
    except (DataError, ParameterError) as error:
        said = str(error)
        where = f"{_where(name)}{said[1:]}" if said.startswith("y ") else f"{said} (in {_where(name)})"
        raise type(error)(where) from error


def codes_in(Y: NDArray[np.float64], sizes: Sequence[int]) -> NDArray[np.intp]:
    """Return the class of each row in each of several columns, from a column of 0 and 1 for every class.

    >>> codes_in(np.array([[0.0, 1.0, 1.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0, 1.0]]), (2, 3)).tolist()
    [[1, 0], [0, 2]]
    """
    blocks = np.split(Y, np.cumsum(sizes)[:-1], axis=1)
    return np.column_stack([block.argmax(axis=1) for block in blocks])


def labels_in(codes: NDArray[np.intp], classes: Sequence[Sequence[Any]]) -> NDArray[Any]:
    """Return the labels of codes (n_rows, n_columns); `classes`: the labels of each column, by code."""
    return side_by_side([label_array(own)[column] for own, column in zip(classes, codes.T, strict=True)])


def labels_or_numbers(rows: Table) -> Any:
    """Return the target of rows as the caller has it: labels, or numbers; of several columns their codes."""
    if rows.facts.class_columns:
        return codes_in(rows.y, rows.facts.block_sizes)
    return np.asarray(rows.facts.classes)[rows.y] if rows.is_classification else rows.y


def _targets(names: Sequence[str | int], Y: NDArray[np.float64]) -> tuple[TargetFacts, ...]:
    facts = zip(names, Y.T, strict=True)
    return tuple(TargetFacts(name=name, mean=float(own.mean()), sd=float(own.std())) for name, own in facts)


def _where(name: str | int) -> str:
    """Return how a column is called in messages.

    >>> _where("flow"), _where(1)
    ("target 'flow'", 'target 1')
    """
    return f"target {name!r}"


def _columns(names: list[str | int]) -> str:
    return f"column{'' if len(names) == 1 else 's'} {listed(names)}"


def _quantities(coded: list[str | int]) -> tuple[Note, ...]:
    if not coded:
        return ()
    what = "quantities, not as classes"
    text = f"few different whole numbers in {_columns(coded)} of the targets are taken as {what}."
    return (Note(code="task-guessed", text=text),)


def _survival(columns: list[NDArray[np.float64]], names: list[str | int]) -> tuple[Note, ...]:
    """Return a warning if two targets are an event, 0 or 1, and a time."""
    for event, time in ((0, 1), (1, 0)):
        is_event = len(columns) == 2 and set(np.unique(columns[event])) == {0.0, 1.0}
        if is_event and columns[time].min() >= 0 and len(np.unique(columns[time])) > 2:
            text = (
                f"target {names[event]!r} is 0 or 1 and target {names[time]!r} a number from 0 on, as "
                "events and times of survival data are. Here they are two numbers to predict, though some "
                "times end before the event; use a survival model if that is meant."
            )
            return (Note(code="survival", text=text, is_warning=True),)
    return ()


def _copies(Y: NDArray[Any], names: list[str | int]) -> tuple[Note, ...]:
    first = distinct_columns(Y).tolist()
    again = [j for j in range(len(names)) if j not in first]
    if not again:
        return ()
    same = [names[j] for j in range(len(names)) if any(np.array_equal(Y[:, j], Y[:, k]) for k in again)]
    text = f"targets {listed(same)} repeat one another in every row: each copy counts in the loss."
    return (Note(code="duplicate-targets", text=text),)
