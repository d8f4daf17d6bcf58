"""Several target columns: each one checked as a single one is, and all of them numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api import types as dtypes

from regadvisor.data.table import distinct_columns
from regadvisor.data.target import Target, check_task, finite_numbers, holds_labels, is_coded
from regadvisor.errors import DataError, ParameterError
from regadvisor.records import Note, TargetFacts
from regadvisor.words import listed


def read_targets(frame: pd.DataFrame, *, task: str = "auto") -> Target:
    """Return several targets as float64 columns; they can only be numbers.

    `frame` (n_rows, n_targets): one row of values per row, none missing. `task`: see
    :func:`regadvisor.data.target.read_target`.

    Raises DataError if columns are classes, which are asked about one at a time, or a column is constant or
    infinite; ParameterError if `task` is no task or asks for classes, or a column cannot be read as numbers.

    >>> frame = pd.DataFrame({"slump": [23.0, 0.0, 1.5], "flow": [62.0, 20.0, 20.5]})
    >>> [facts.name for facts in read_targets(frame).targets]
    ['slump', 'flow']
    """
    check_task(task)
    if task not in ("auto", "regression"):
        raise ParameterError(
            f"task must be 'regression' for several target columns, got {task!r} for {frame.shape[1]} "
            "columns in y; call advise() once for each column of classes"
        )
    names: list[str | int] = [name if isinstance(name, str) else int(name) for name in frame.columns]
    series = [frame.iloc[:, j] for j in range(frame.shape[1])]
    if task == "auto":
        labels = [name for name, own in zip(names, series, strict=True) if holds_labels(own, _where(name))]
        if len(labels) == 1 and frame.shape[1] == 2 and dtypes.is_bool_dtype(frame[labels[0]].dtype):
            raise DataError(
                f"y must be one column of classes or several of numbers, got a yes/no and a number in "
                f"{listed(names)}, as events and times of survival data are; there are no survival models "
                "here: pass one of them to predict it alone"
            )
        _refuse_classes(labels, frame.shape[1], "classes")
    columns = [finite_numbers(own, _where(name)) for name, own in zip(names, series, strict=True)]
    for name, own in zip(names, columns, strict=True):
        if own.min() == own.max():
            raise DataError(
                f"{_where(name)} must have at least 2 different values, got only {own[0]:g} in all rows; "
                "there is nothing to learn: leave this target out"
            )
    coded = [name for name, own in zip(names, columns, strict=True) if is_coded(own)]
    if task == "auto" and len(coded) == len(names):
        _refuse_classes(coded, frame.shape[1], "few different whole numbers, as classes are")
    Y = np.column_stack(columns)
    return Target(
        y=Y,
        task="regression",
        targets=tuple(
            TargetFacts(name=name, mean=float(own.mean()), sd=float(own.std()))
            for name, own in zip(names, columns, strict=True)
        ),
        notes=(*_survival(columns, names), *_quantities(coded if task == "auto" else []), *_copies(Y, names)),
    )


def _where(name: str | int) -> str:
    """Return how a column is called in messages.

    >>> _where("flow"), _where(1)
    ("target 'flow'", 'target 1')
    """
    return f"target {name!r}"


def _refuse_classes(names: list[str | int], n_columns: int, what: str) -> None:
    if names:
        raise DataError(
            f"y must be one column of classes or several of numbers, got {n_columns} columns with {what} in "
            f"{_columns(names)}; call advise() once for each of these, or pass a column of 0 and 1 for each "
            "class (pandas.get_dummies) to ask about all at once, or task='regression' if they are quantities"
        )


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
