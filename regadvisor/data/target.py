"""The target: which task it asks for, and its values as codes or numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api import types as dtypes

from regadvisor.data.frames import is_plain
from regadvisor.data.magnitude import check_magnitude
from regadvisor.data.wording import counted, listed, shown
from regadvisor.errors import DataError, ParameterError
from regadvisor.records import Note, TargetFacts, Task
from regadvisor.thresholds import FEWEST_ROWS_PER_CLASS, GUESS_MOST_CLASSES, GUESS_ROWS_PER_CLASS

if TYPE_CHECKING:
    AnySeries = pd.Series[Any]

Label = float | int | str | bool
TASKS = ("auto", "binary", "multiclass", "classification", "regression")


@dataclass(frozen=True, kw_only=True, eq=False)
class Target:
    """The target of the rows that have one.

    Attributes
    ----------
    y : ndarray, shape (n_rows,) or (n_rows, n_targets)
        Class codes (intp) or float64 values.
    task : {"binary", "multiclass", "regression"}
    classes, class_counts : tuple or None
        Labels in the order of the codes, and the rows of each (classification only).
    targets : tuple of TargetFacts
        Of several targets; empty for one.
    """

    y: NDArray[Any]
    task: Task
    classes: tuple[Label, ...] | None = None
    class_counts: tuple[int, ...] | None = None
    targets: tuple[TargetFacts, ...] = ()
    notes: tuple[Note, ...] = ()


def read_target(values: AnySeries, *, task: str = "auto") -> Target:
    """Return the target as codes or numbers, and the task.

    Parameters
    ----------
    values : Series
        One value per row, none missing.
    task : {"auto", "binary", "multiclass", "classification", "regression"}, default "auto"
        "auto": text, booleans and categories are classes; numbers are classes if they are whole, have at
        most 20 distinct values and at least two rows per value on average.

    Raises
    ------
    DataError
        If there is nothing to learn: a single class, a constant number, or values that are no target.
    ParameterError
        If `task` is no task or contradicts the values.

    Examples
    --------
    >>> read_target(pd.Series(["no", "yes", "no"])).classes
    ('no', 'yes')
    >>> read_target(pd.Series([0.5, 1.5, 2.5])).task
    'regression'
    """
    check_task(task)
    is_label = holds_labels(values)
    if is_label and task != "regression":
        return _classes(values, task=task, is_label=True)
    numbers = finite_numbers(values)
    if task == "regression" or (task == "auto" and not is_coded(numbers)):
        return _regression(numbers)
    if task != "auto":
        _check_discrete(numbers, task)
    return _classes(pd.Series(_whole(numbers)), task=task, is_label=False)


def check_task(task: str) -> None:
    """Raise ParameterError unless `task` is one."""
    if not isinstance(task, str) or task not in TASKS:
        raise ParameterError(f"task must be one of {', '.join(map(repr, TASKS))}, got {task!r}")


def holds_labels(values: AnySeries, where: str = "y") -> bool:
    """Whether the dtype or the kind of the objects says that the values are classes.

    Raises
    ------
    DataError
        If they are complex numbers or dates; `where` they stand is for the message.
    """
    dtype = values.dtype
    if isinstance(dtype, pd.CategoricalDtype) or dtypes.is_bool_dtype(dtype):
        return True
    if dtypes.is_complex_dtype(dtype):
        raise DataError(
            f"{where} must be real numbers or labels, got complex ones. Complex data not supported"
        )
    if dtypes.is_numeric_dtype(dtype):
        return False
    kind = dtypes.infer_dtype(values, skipna=True)
    if kind.startswith(("date", "time", "period")):
        raise DataError(
            f"{where} must be numbers or labels, got dates. Unknown label type: dates; predict a number "
            "instead, such as the days since a fixed date"
        )
    return kind not in ("integer", "floating", "mixed-integer-float", "decimal")


def finite_numbers(values: AnySeries, where: str = "y") -> NDArray[np.float64]:
    """Return the values as numbers; errors say `where` they stand.

    Raises
    ------
    ParameterError
        If they are no numbers.
    DataError
        If one is infinite.
    """
    if isinstance(values.dtype, pd.CategoricalDtype):
        values = values.astype(object)
    try:
        numbers = pd.to_numeric(values).to_numpy(dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        example = next((value for value in values if isinstance(value, str)), values.iloc[0])
        raise ParameterError(
            f"task must fit the target: 'regression' needs numbers, got {shown(example)} in {where}; "
            "use task='classification' or leave it out"
        ) from error
    n_infinite = int(np.isinf(numbers).sum())
    if n_infinite:
        raise DataError(
            f"{where} must be finite, got infinity (inf) in {counted(n_infinite, 'row')}; drop or correct "
            "these rows"
        )
    check_magnitude(numbers.min(keepdims=True), numbers.max(keepdims=True), where)
    return numbers


def _whole(numbers: NDArray[np.float64]) -> NDArray[Any]:
    is_exact = bool((np.abs(numbers) < 2**53).all()) and bool((numbers == np.round(numbers)).all())
    return numbers.astype(np.int64) if is_exact else numbers


def is_coded(numbers: NDArray[np.float64]) -> bool:
    """Whether numbers look like codes of classes: whole, few, and each of them often."""
    if not (numbers == np.round(numbers)).all():
        return False
    n_distinct = len(np.unique(numbers))
    return n_distinct <= GUESS_MOST_CLASSES and n_distinct * GUESS_ROWS_PER_CLASS <= len(numbers)


def _regression(numbers: NDArray[np.float64]) -> Target:
    if numbers.min() == numbers.max():
        raise DataError(
            f"y must have at least 2 different values (or one class label more), got only {numbers[0]:g} in "
            f"all {counted(len(numbers), 'row')} (1 class); there is nothing to learn"
        )
    return Target(y=numbers, task="regression")


def _check_discrete(numbers: NDArray[np.float64], task: str) -> None:
    if not (numbers == np.round(numbers)).all():
        example = numbers[numbers != np.round(numbers)][0]
        raise ParameterError(
            f"task must fit the target: {task!r} needs class labels, got {example:g} in y. Unknown label "
            "type: continuous. Maybe this is a regression (task='regression'); if these numbers are labels, "
            "pass them as text"
        )


def _classes(values: AnySeries, *, task: str, is_label: bool) -> Target:
    codes, labels = labels_of(values)
    if len(labels) < 2:
        raise DataError(
            f"y must have at least 2 classes, got 1 class ({shown(labels[0])}); there is nothing to learn"
        )
    order = sorted(range(len(labels)), key=labels.__getitem__)
    rank = np.empty(len(order), dtype=np.intp)
    rank[order] = np.arange(len(order))
    y = rank[codes]
    counts = np.bincount(y, minlength=len(labels))
    classes = tuple(labels[j] for j in order)
    found: Literal["binary", "multiclass"] = "binary" if len(classes) == 2 else "multiclass"
    if task in ("binary", "multiclass") and task != found:
        raise ParameterError(
            f"task must fit the target: {task!r} does not, y has {counted(len(classes), 'class', 'classes')} "
            f"({listed(classes)}); use task='classification' or leave it out"
        )
    if task == "auto":
        _check_not_text(classes, len(values))
    notes = _rare(classes, counts)
    if task == "auto" and not is_label and len(classes) > 2:
        notes = (_guessed(len(classes)), *notes)
    return Target(y=y, task=found, classes=classes, class_counts=tuple(int(n) for n in counts), notes=notes)


def labels_of(values: AnySeries) -> tuple[NDArray[np.intp], list[Label]]:
    """Return labels as codes (n_rows,) and the plain label of each, in the order of their first row.

    Raises
    ------
    DataError
        If they are no labels, or text and numbers.

    Examples
    --------
    >>> codes, labels = labels_of(pd.Series([b"no", "yes", "no"], dtype=object))
    >>> codes.tolist(), labels
    ([0, 1, 0], ['no', 'yes'])
    """
    try:
        codes, distinct = pd.factorize(values)
    except TypeError as error:
        raise DataError(
            "y must be text, numbers or booleans, got lists. Unknown label type: unknown; pass one label "
            "a row"
        ) from error
    plain = [_plain(label) for label in np.asarray(distinct, dtype=object)]
    if len({isinstance(label, str) for label in plain}) > 1:
        raise DataError(
            f"labels in y must be all text or all numbers, got both, as in {listed(plain[:4])}. "
            "Unknown label type: unknown; convert them with y.astype(str)"
        )
    # b"no" and "no" are distinct objects and one label.
    labels = list(dict.fromkeys(plain))
    position = {label: code for code, label in enumerate(labels)}
    merged = np.array([position[label] for label in plain], dtype=np.intp)
    return merged[codes], labels


def plain_target(values: AnySeries | pd.DataFrame, *, is_classification: bool) -> NDArray[Any]:
    """Return a target without missing values as scikit-learn takes it: an array of numbers or labels.

    Raises
    ------
    DataError, ParameterError
        If the values are no target of this task.

    Examples
    --------
    >>> plain_target(pd.Series([b"no", b"yes"]), is_classification=True).tolist()
    ['no', 'yes']
    """
    if isinstance(values, pd.DataFrame):
        return np.column_stack([finite_numbers(values.iloc[:, j]) for j in range(values.shape[1])])
    if not is_classification:
        return finite_numbers(values)
    if is_plain(values.dtype):
        return values.to_numpy()
    codes, labels = labels_of(values)
    is_text = bool(labels) and isinstance(labels[0], str)
    return np.array(labels, dtype=object if is_text else None)[codes]


def is_plain_target(values: AnySeries | pd.DataFrame, *, is_classification: bool) -> bool:
    """Whether scikit-learn takes a target without missing values as it is, as far as that is known."""
    if isinstance(values, pd.DataFrame):
        return all(is_plain(dtype) for dtype in values.dtypes)
    if not is_classification:
        return is_plain(values.dtype)
    dtype = values.dtype
    if is_plain(dtype) or isinstance(dtype, pd.CategoricalDtype):
        return True
    return dtypes.infer_dtype(values) == "string"


def _plain(label: object) -> Label:
    if isinstance(label, bool | np.bool_):
        return bool(label)
    if isinstance(label, int | np.integer):
        return int(label)
    if isinstance(label, float | np.floating | Decimal):
        return float(label)
    if isinstance(label, bytes | str):
        try:
            return label.decode("utf-8") if isinstance(label, bytes) else label.encode("utf-8").decode()
        except UnicodeError as error:
            raise DataError(
                f"labels in y must be text that UTF-8 can hold, got {shown(label)}; read the file with the "
                "encoding that it has, or rename these labels"
            ) from error
    raise DataError(
        f"labels in y must be text, numbers or booleans, got {type(label).__name__}. Unknown label "
        "type: unknown"
    )


def _check_not_text(classes: Sequence[Label], n_rows: int) -> None:
    if len(classes) > max(GUESS_MOST_CLASSES, n_rows / FEWEST_ROWS_PER_CLASS):
        raise DataError(
            f"y must be numbers or labels that repeat, got {len(classes):,} different labels in {n_rows:,} "
            f"rows, as in {listed(classes[:2])}; convert y to numbers if it is a number, or pass "
            "task='classification'"
        )


def _rare(classes: Sequence[Label], counts: NDArray[np.intp]) -> tuple[Note, ...]:
    single = [label for label, count in zip(classes, counts, strict=True) if count == 1]
    if not single:
        return ()
    text = (
        f"{counted(len(single), 'class', 'classes')} with a single row: {listed(single)}; such a class "
        "cannot be both learned and checked."
    )
    return (Note(code="rare-class", text=text),)


def _guessed(n_classes: int) -> Note:
    text = (
        f"the target holds {n_classes} different whole numbers and is taken as classes; pass "
        "task='regression' if they are quantities."
    )
    return Note(code="task-guessed", text=text)
