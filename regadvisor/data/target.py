"""The target: which task it asks for, and its values as codes or numbers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api import types as dtypes

from regadvisor import thresholds
from regadvisor.data.dates import find_dates
from regadvisor.data.frames import is_plain
from regadvisor.data.levels import Label, label_array, labels_of, side_by_side
from regadvisor.data.numbers import check_magnitude
from regadvisor.data.oddities import check_labels, notes_on_labels
from regadvisor.errors import DataError, ParameterError
from regadvisor.records import ClassColumn, Note, TargetFacts, Task
from regadvisor.words import counted, joined, listed, shown

if TYPE_CHECKING:
    AnySeries = pd.Series[Any]

TASKS = ("auto", "binary", "multiclass", "classification", "regression")


@dataclass(frozen=True, kw_only=True, eq=False)
class Target:
    """The target of the rows that have one."""

    #: (n_rows,) or (n_rows, n_targets): class codes (intp) or float64 values.
    y: NDArray[Any]
    task: Task
    #: Labels in the order of the codes, and the rows of each (classification only).
    classes: tuple[Label, ...] | None = None
    class_counts: tuple[int, ...] | None = None
    #: Of several targets; empty for one.
    targets: tuple[TargetFacts, ...] = ()
    #: See ``DataFacts``.
    class_columns: tuple[ClassColumn, ...] = ()
    #: What few whole numbers could be as well.
    other_task: Literal["classification", "regression"] | None = None
    notes: tuple[Note, ...] = ()


def read_target(values: AnySeries, *, task: str = "auto") -> Target:
    """Return the target as codes or numbers, and the task.

    `values`: one value per row, none missing. `task`: "auto": text, booleans and categories are classes, and
    numbers are numbers, unless they look like codes of classes (:func:`is_coded`): 0/1, 1/2/3, ten digits,
    ratings from 3 to 8.

    Raises DataError if there is nothing to learn: a single class, a constant number, or values that are no
    target; ParameterError if `task` is no task or contradicts the values.

    >>> read_target(pd.Series(["no", "yes", "no"])).classes
    ('no', 'yes')
    >>> read_target(pd.Series([0.5, 1.5, 2.5])).task
    'regression'
    """
    check_task(task)
    is_label = holds_labels(values)
    if is_label and task != "regression":
        target = _classes(values, task=task)
        return replace(target, notes=(*target.notes, *_order_unused(values), *_are_dates(values)))
    numbers = finite_numbers(values)
    if task == "regression" or (task == "auto" and not is_coded(numbers)):
        return _doubted(_regression(numbers), numbers, task)
    if task != "auto":
        _check_discrete(numbers, task)
    is_exact = bool((np.abs(numbers) < 2**53).all()) and bool((numbers == np.round(numbers)).all())
    codes = pd.Series(numbers.astype(np.int64) if is_exact else numbers)
    return _doubted(_classes(codes, task=task), numbers, task)


def check_task(task: str) -> None:
    """Raise ParameterError unless `task` is one."""
    if not isinstance(task, str) or task not in TASKS:
        raise ParameterError(f"task must be one of {', '.join(map(repr, TASKS))}, got {task!r}")


def holds_labels(values: AnySeries, where: str = "y") -> bool:
    """Whether the dtype or the kind of the objects says that the values are classes.

    Raises DataError if they are complex numbers or dates; `where` they stand is for the message.
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
    if kind.startswith("timedelta"):
        raise DataError(
            f"{where} must be numbers or labels, got durations. Unknown label type: timedelta; pass seconds, "
            "such as pandas.Series(y).dt.total_seconds()"
        )
    if kind.startswith(("date", "time", "period")):
        raise DataError(
            f"{where} must be numbers or labels, got dates. Unknown label type: dates; predict a "
            "number instead, such as the days since a fixed date"
        )
    return kind not in ("integer", "floating", "mixed-integer-float", "decimal")


def finite_numbers(values: AnySeries, where: str = "y") -> NDArray[np.float64]:
    """Return the values as numbers; errors say `where` they stand.

    Raises ParameterError if they are no numbers; DataError if one is infinite.
    """
    if isinstance(values.dtype, pd.CategoricalDtype):
        values = values.astype(object)
    try:
        numbers = pd.to_numeric(values).to_numpy(dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        example = next((value for value in values if isinstance(value, str)), values.iloc[0])
        raise ParameterError(
            f"task must fit the target: 'regression' needs numbers, got {shown(example)} in {where}; "
            "for classes pass task='classification', or a classifier as model="
        ) from error
    n_infinite = int(np.isinf(numbers).sum())
    if n_infinite:
        raise DataError(
            f"{where} must be finite, got infinity (inf) in {counted(n_infinite, 'row')}; drop or correct "
            "these rows"
        )
    check_magnitude(numbers.min(keepdims=True), numbers.max(keepdims=True), where)
    return numbers


def is_coded(numbers: NDArray[np.float64]) -> bool:
    """Whether numbers look like codes of classes: whole, few, each of them often, and not a count or a scale.

    Many consecutive numbers that get rarer towards an end, as counts and scales from 1 to 10 do, are numbers,
    and so are many that lie far apart, that are consecutive but begin high, as ages do, or most of which are
    rare. They are codes all the same if each is met equally often, as no measurement is.

    >>> digits = np.arange(100.0) % 10
    >>> is_coded(digits), is_coded(np.array([1.0, 2.0, 3.0] * 5)), is_coded(np.array([0.5, 1.0] * 5))
    (True, True, False)
    >>> is_coded(np.random.default_rng(0).poisson(3.0, 300).astype(float))
    False
    """
    few = _few_values(numbers) or _many_labels(numbers)
    return few is not None and _why_number(*few) is None


def _few_values(numbers: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.intp]] | None:
    """Return the values and their rows if numbers are whole and few, each of them often; else None."""
    if not (numbers == np.round(numbers)).all():
        return None
    values, counts = np.unique(numbers, return_counts=True)
    is_few = len(values) <= min(thresholds.GUESS_MOST_CLASSES, len(numbers) / thresholds.GUESS_ROWS_PER_CLASS)
    return (values, counts) if is_few else None


def _why_number(values: NDArray[np.float64], counts: NDArray[np.intp]) -> str | None:
    """Return why few whole numbers are taken as a number; None if they look like codes of classes.

    >>> ages = np.arange(25.0, 35.0)
    >>> _why_number(ages, np.arange(50, 60))
    'as codes are hardly counted from 25 on'
    >>> _why_number(ages - 25, np.full(10, 50))
    >>> _why_number(ages - 25, np.array([1, 2, 1, 5, 7, 4, 6, 2, 3, 1]))
    'as most of them are met in fewer than 5 rows'
    """
    if len(values) < thresholds.FEWEST_SCALE_VALUES:
        return None
    is_wide = values[-1] - values[0] >= thresholds.CODE_GAPS * len(values)  # as squares and doses do
    if is_wide or np.gcd.reduce(values.astype(np.int64)) >= thresholds.CODE_STEP:
        return "as they lie far apart"
    if _are_labels(values, counts):
        return None
    if len(values) > thresholds.GUESS_MOST_CLASSES:
        return "as some are met more often than others"
    if _is_scale(values, counts):
        return "as high or low ones are rare"
    if values[0] >= thresholds.HIGHEST_FIRST_CODE and _are_consecutive(values):
        return f"as codes are hardly counted from {values[0]:g} on"
    if (
        np.median(counts) < thresholds.FEWEST_ROWS_OF_CODE
        and counts.max() > thresholds.BALANCED * counts.min()
    ):
        return f"as most of them are met in fewer than {thresholds.FEWEST_ROWS_OF_CODE} rows"
    return None


def _many_labels(numbers: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.intp]] | None:
    """Return many consecutive labels and the rows of each if all of them are met often; else None."""
    low, high = numbers.min(), numbers.max()
    most = min(thresholds.GUESS_MOST_BALANCED, len(numbers) / thresholds.BALANCED_ROWS_PER_CLASS)
    if not thresholds.GUESS_MOST_CLASSES < high - low + 1 <= most or not (numbers == np.round(numbers)).all():
        return None
    counts = np.bincount((numbers - low).astype(np.intp))
    values, is_often = low + np.arange(len(counts)), counts.min() >= thresholds.BALANCED_ROWS_PER_CLASS / 2
    is_doubted = is_often and (low in (0.0, 1.0) or _are_labels(values, counts))
    return (values, counts) if is_doubted else None


def _are_labels(values: NDArray[np.float64], counts: NDArray[np.intp]) -> bool:
    """Whether each number is met equally often, as no measurement is; a panel has as many rows a year."""
    is_year = thresholds.YEARS[0] <= values[0] and values[-1] <= thresholds.YEARS[1]
    is_balanced = (
        counts.min() >= thresholds.BALANCED_ROWS_PER_CLASS
        and counts.max() <= thresholds.BALANCED * counts.min()
    )
    return bool(is_balanced and not is_year)


def _are_consecutive(values: NDArray[np.float64]) -> bool:
    return bool(values[-1] - values[0] + 1 <= thresholds.SCALE_GAPS * len(values))


def _is_scale(values: NDArray[np.float64], counts: NDArray[np.intp]) -> bool:
    """Whether values are (nearly) consecutive and get rarer from one peak on, to both sides.

    But for the rarest at the ends: among counts from 0 to 14 there may be one of 36; and of many, for 0.
    """
    if len(values) < thresholds.FEWEST_ORDERED_VALUES:
        return False
    before = np.cumsum(counts) - counts
    most = thresholds.SCALE_ENDS * counts.sum()
    is_inside = (before + counts > most) & (before < counts.sum() - most)
    is_uneven = counts.min() <= thresholds.SCALE_RAREST * counts.max()
    if is_inside.sum() >= thresholds.FEWEST_ORDERED_VALUES:  # else what is left says nothing of an order
        values, counts = values[is_inside], counts[is_inside]
    if not _are_consecutive(values):
        return False
    if values[0] == 0 and len(values) >= thresholds.FEWEST_SCALE_VALUES:  # who did not sit the exam is apart
        counts = counts[1:]
    peak = int(np.argmax(counts))
    against = np.maximum(-np.diff(counts[: peak + 1]), 0).sum() + np.maximum(np.diff(counts[peak:]), 0).sum()
    return bool(is_uneven and against <= thresholds.SCALE_AGAINST * counts.sum())


def _doubted(target: Target, numbers: NDArray[np.float64], task: str) -> Target:
    """Return the target with the other task that few whole numbers could have, if nobody said which."""
    few = _few_values(numbers) or _many_labels(numbers)
    if task == "auto" and few is None:
        return replace(target, notes=(*target.notes, *_few_fractions(numbers)))
    if task != "auto" or few is None or len(values := few[0]) < 3:
        return target
    what = f"{len(values)} different whole numbers ({values[0]:g} to {values[-1]:g})"
    if target.task == "regression":
        text = (
            f"the target holds {what} and is taken as a number, {_why_number(*few)}; pass "
            "task='classification' if these are classes."
        )
        note = Note(code="task-guessed", text=text, is_warning=True)
        return replace(target, other_task="classification", notes=(*target.notes, note))
    is_ordered = _is_scale(*few)
    text = (
        f"the target holds {what}{' that look ordered' if is_ordered else ''} and is taken as classes; pass "
        "task='regression' if it is a number."
    )
    note = Note(code="task-guessed", text=text, is_warning=is_ordered)
    return replace(target, other_task="regression", notes=(*target.notes, note))


def _few_fractions(numbers: NDArray[np.float64]) -> tuple[Note, ...]:
    """Return a warning about a few different numbers that are not whole, such as 0.5 and 1.5."""
    values = np.unique(numbers)
    if not len(values) < thresholds.FEWEST_ORDERED_VALUES <= len(numbers) / thresholds.GUESS_ROWS_PER_CLASS:
        return ()
    text = (
        f"the target holds {joined(f'{value:g}' for value in values)} and nothing else, and is taken as a "
        "number; pass y.astype(str) if these are classes."
    )
    return (Note(code="task-guessed", text=text, is_warning=True),)


def _order_unused(values: AnySeries) -> tuple[Note, ...]:
    if not isinstance(values.dtype, pd.CategoricalDtype) or not values.dtype.ordered:
        return ()
    text = (
        "the classes of y have an order, which is not used; pass y.cat.codes with task='regression' to use "
        "it, as a number."
    )
    return (Note(code="ordered-classes", text=text),)


def _are_dates(values: AnySeries) -> tuple[Note, ...]:
    if find_dates(values) is None:
        return ()
    text = (
        f"the classes are dates, such as {shown(values.iloc[0])}, and nothing is made of their order; to "
        "predict a time, pass a number, such as the days since a fixed date."
    )
    return (Note(code="date-classes", text=text, is_warning=True),)


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


def _classes(values: AnySeries, *, task: str) -> Target:
    codes, labels = labels_of(values)
    if len(labels) < 2:
        raise DataError(
            f"y must have at least 2 classes, got 1 class ({shown(labels[0])}); there is nothing to learn"
        )
    order = sorted(range(len(labels)), key=labels.__getitem__)
    classes = tuple(labels[j] for j in order)
    if task == "auto":
        check_labels(classes, values)
    if len(labels) > thresholds.MOST_CLASSES:
        raise DataError(
            f"y must have at most {thresholds.MOST_CLASSES:,} classes, got {len(labels):,}: the sample has "
            "to hold rows of each; ask about the frequent ones, or pass task='regression' if these "
            "are numbers"
        )
    rank = np.empty(len(order), dtype=np.intp)
    rank[order] = np.arange(len(order))
    y = rank[codes]
    counts = np.bincount(y, minlength=len(labels))
    found: Literal["binary", "multiclass"] = "binary" if len(classes) == 2 else "multiclass"
    if task in ("binary", "multiclass") and task != found:
        raise ParameterError(
            f"task must fit the target: {task!r} does not, y has {counted(len(classes), 'class', 'classes')} "
            f"({listed(classes)}); use task='classification' or leave it out"
        )
    return Target(
        y=y,
        task=found,
        classes=classes,
        class_counts=tuple(int(n) for n in counts),
        notes=notes_on_labels(classes, counts),
    )


def plain_target(values: AnySeries | pd.DataFrame, *, is_classification: bool) -> NDArray[Any]:
    """Return a target without missing values as scikit-learn takes it: an array of numbers or labels.

    Raises DataError, ParameterError if the values are no target of this task.

    >>> plain_target(pd.Series([b"no", b"yes"]), is_classification=True).tolist()
    ['no', 'yes']
    """
    if isinstance(values, pd.DataFrame):
        each = (values.iloc[:, j] for j in range(values.shape[1]))
        columns = [plain_target(own, is_classification=is_classification) for own in each]
        return side_by_side(columns) if is_classification else np.column_stack(columns)
    if not is_classification:
        return finite_numbers(values)
    if is_plain(values.dtype):
        return values.to_numpy()
    codes, labels = labels_of(values)
    return label_array(labels)[codes]


def is_plain_target(values: AnySeries | pd.DataFrame, *, is_classification: bool) -> bool:
    """Whether scikit-learn takes a target without missing values as it is, as far as that is known."""
    if isinstance(values, pd.DataFrame):
        each = (values.iloc[:, j] for j in range(values.shape[1]))
        return all(is_plain_target(own, is_classification=is_classification) for own in each)
    if not is_classification:
        return is_plain(values.dtype)
    dtype = values.dtype
    if is_plain(dtype) or isinstance(dtype, pd.CategoricalDtype):
        return True
    return dtypes.infer_dtype(values) == "string"
