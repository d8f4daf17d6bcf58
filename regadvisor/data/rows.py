"""What belongs to each row: one value per row of any library, groups, time and weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api import types as dtypes
from scipy import sparse

from regadvisor.data.arrays import plain_array
from regadvisor.data.dates import find_dates, microseconds
from regadvisor.data.frames import are_plain_numbers, as_frame, to_pandas
from regadvisor.data.levels import check_no_containers
from regadvisor.data.table import effective_rows, largest_group_share
from regadvisor.data.target import Target, read_target
from regadvisor.errors import DataError
from regadvisor.records import Note
from regadvisor.thresholds import FEWEST_ROWS_TO_VALIDATE, LARGEST_GROUP_SHARE, UNEVEN_WEIGHTS
from regadvisor.words import agreed, counted, listed, number, shown

if TYPE_CHECKING:
    AnySeries = pd.Series[Any]


#: What to do with weights of classes.
_BY_CLASS = "weights of classes belong to an estimator, as model=LogisticRegression(class_weight='balanced')"


def as_series(values: Any, *, name: str) -> AnySeries:
    """Return one value per row as a pandas Series; a single column of a 2-D input is taken out of it.

    `name`: the argument, for messages.

    Raises DataError if there is not one value per row.

    >>> as_series([[1], [2]], name="time").tolist()
    [1, 2]
    """
    read = _as_columns(values, name=name)
    if isinstance(read, pd.Series):
        return read
    if read.shape[1] == 1:
        return read.iloc[:, 0]
    raise DataError(f"{name} must be one column, got {counted(read.shape[1], 'column')}; pass one of them")


def as_target(values: Any) -> AnySeries | pd.DataFrame:
    """Return the target as a Series, or as a frame if it has several columns.

    Raises DataError if there is not one value, or one row of values, per row.

    >>> as_target([[1], [2]]).tolist(), as_target([[1, 2], [3, 4]]).shape
    ([1, 2], (2, 2))
    """
    read = _as_columns(values, name="y")
    if isinstance(read, pd.Series):
        return read
    if read.shape[1] == 0:
        raise DataError("y must have at least one target column, got 0 columns")
    return read.iloc[:, 0] if read.shape[1] == 1 else read


def _as_columns(values: Any, *, name: str) -> AnySeries | pd.DataFrame:
    """Return what belongs to the rows as a Series, or as a frame if it has two axes."""
    read = _in_columns(values, name=name)
    if are_plain_numbers(read):
        return read
    for column in [read] if isinstance(read, pd.Series) else (read.iloc[:, j] for j in range(read.shape[1])):
        check_no_containers(column.rename(name))
        try:
            column.isna()
        except ArithmeticError as error:  # a Decimal that signals
            raise DataError(f"{name} must hold numbers or labels, got Decimal('sNaN'); pass None") from error
    return read


def _in_columns(values: Any, *, name: str) -> AnySeries | pd.DataFrame:
    if (
        not (hasattr(values, "__len__") or hasattr(values, "__array__"))
        or isinstance(values, str | bytes | dict)
        or getattr(values, "shape", None) == ()
    ):
        raise DataError(
            f"{name} must be a list or an array with one value per row, got {type(values).__name__}"
            + (f"; {_BY_CLASS}" if name == "sample_weight" and isinstance(values, str | dict) else "")
            + (f"; pass the column itself: {name}=X[{values!r}]" if isinstance(values, str) else "")
            + (f" (requires y to be passed, but the target {name} is None)" if values is None else "")
        )
    if sparse.issparse(values):
        raise DataError(f"{name} must be dense, got a sparse matrix; pass {name}.toarray().ravel()")
    if isinstance(values, pd.Series | pd.Index | pd.api.extensions.ExtensionArray):
        return pd.Series(values, copy=False)
    frame = as_frame(values, name=name)
    if frame is not None:
        return frame
    if hasattr(values, "to_pandas"):  # polars and pyarrow
        return pd.Series(to_pandas(values, name=name))
    is_array = isinstance(values, np.ndarray)
    fields = list(getattr(getattr(values, "dtype", None), "names", None) or ())
    if len(fields) == 2 and any(values.dtype[field].kind == "b" for field in fields):
        raise DataError(
            f"{name} must be numbers or labels, got events and times of survival data, with the fields "
            f"{listed(fields)}; there are no survival models here: pass one field, as in "
            f"{name}[{fields[-1]!r}], to predict it alone"
        )
    array = plain_array(values, name=name, dtype=None if is_array else object)
    if array.ndim not in (1, 2):
        do = f"; pass {name}.reshape(len({name}), -1), a target for each number" if array.ndim > 2 else ""
        raise DataError(f"{name} must be a 1d array with one value per row, got shape {array.shape}{do}")
    # Of texts, pandas makes a dtype of its own, which cannot hold every text that Python can.
    own = object if array.dtype.kind in "OUT" else None
    make = pd.Series if array.ndim == 1 else pd.DataFrame
    read: AnySeries | pd.DataFrame = make(array, copy=False, dtype=own)
    if is_array:
        return read
    try:
        return read.infer_objects()
    except UnicodeEncodeError:
        return read


def check_length(values: AnySeries | pd.DataFrame, n_rows: int, *, name: str) -> None:
    """Raise :class:`DataError` unless there is one value per row of X."""
    if len(values) != n_rows:
        raise DataError(
            f"{name} must have one value per row of X, got {counted(len(values), 'value')} for "
            f"{counted(n_rows, 'row')}. Found input variables with inconsistent numbers of samples: "
            f"[{n_rows}, {len(values)}]"
        )


def in_order_of(X: Any, values: AnySeries | pd.DataFrame) -> NDArray[np.intp] | None:
    """Return which of the values has the label (index) of each row of X; None where all stand in their order.

    >>> X, y = pd.DataFrame({"a": [1, 2, 3]}), pd.Series([1.0, 2.0, 3.0])
    >>> in_order_of(X, y), in_order_of(X, y[::-1])
    (None, array([2, 1, 0]))
    """
    labels, own = getattr(X, "index", None), values.index
    if not isinstance(labels, pd.Index) or len(labels) != len(own) or labels.equals(own):
        return None
    at = own.get_indexer(labels) if own.is_unique and labels.is_unique else np.full(1, -1)
    return None if at.min() < 0 else at


def _check_present(values: AnySeries, *, name: str) -> None:
    n_missing = int(values.isna().sum())
    if n_missing:
        raise DataError(
            f"{name} must have a value for every row, got NaN or None in {counted(n_missing, 'row')}; "
            "drop these rows or fill the values in"
        )


def read_groups(values: AnySeries) -> NDArray[np.intp]:
    """Return group codes (n_rows,) in the order in which groups appear.

    Raises DataError if a value is missing or there is only one group.

    >>> read_groups(pd.Series(["ann", "bob", "ann"])).tolist()
    [0, 1, 0]
    """
    _check_present(values, name="groups")
    try:
        codes, distinct = pd.factorize(values)
    except TypeError as error:
        raise DataError("groups must be text or numbers, got lists or other containers") from error
    if len(distinct) < 2:
        raise DataError("groups must have at least 2 different values, got 1; leave groups out")
    return np.asarray(codes, dtype=np.intp)


def read_time(values: AnySeries) -> NDArray[np.float64]:
    """Return positions in time (n_rows,): numbers as they are, dates in microseconds since 1970.

    Raises DataError if a value is missing or infinite, or if the values are neither numbers nor dates that
    can be read in one way only.

    >>> read_time(pd.Series(["1970-01-01", "1970-01-02"])).tolist()
    [0.0, 86400000000.0]
    """
    _check_present(values, name="time")
    dates = find_dates(values)
    if dates is not None and dates.is_ambiguous:
        raise DataError(
            f"time must be dates that can be read in one way, got such as {shown(dates.example)}; write them "
            "as 2024-05-31, or pass pandas.to_datetime(time, dayfirst=True) or dayfirst=False"
        )
    is_number = dtypes.is_numeric_dtype(values.dtype) and not dtypes.is_complex_dtype(values.dtype)
    if is_number and dates is None:
        time = values.to_numpy(dtype=np.float64)
    else:
        time = microseconds(values if dates is None else dates.times)
        if np.isnan(time).any():
            bad = values[np.isnan(time)].iloc[0]
            raise DataError(
                f"time must be numbers or dates such as 2024-05-31, got {shown(bad)}; "
                "convert it with pandas.to_datetime"
            )
    if np.isinf(time).any():
        raise DataError(
            f"time must be finite, got infinity (inf) in {counted(int(np.isinf(time).sum()), 'row')}"
        )
    return time


def read_weight(values: AnySeries) -> NDArray[np.float64]:
    """Return row weights (n_rows,) scaled to a mean of 1.

    Raises DataError if a weight is missing, infinite or negative, or if all are 0.

    >>> read_weight(pd.Series([0, 1, 3, 4])).tolist()
    [0.0, 0.5, 1.5, 2.0]
    """
    _check_present(values, name="sample_weight")
    if dtypes.is_complex_dtype(values.dtype):
        raise DataError("sample_weight must be real numbers, got complex ones; pass their sizes, numpy.abs")
    try:
        weight = values.to_numpy(dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"sample_weight must be numbers, got dtype {values.dtype}") from error
    if not np.isfinite(weight).all():
        raise DataError("sample_weight must be finite, got infinity (inf) or NaN")
    if (weight < 0).any():
        raise DataError(f"sample_weight must be at least 0 (no negative weights), got {weight.min()}")
    largest = weight.max(initial=0.0)
    if largest == 0:
        raise DataError(
            "sample_weight must be above 0 for some rows, got only zeros; leave sample_weight out"
        )
    return scaled_weight(weight / largest)


def scaled_weight(weight: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return weights with a mean of 1."""
    scaled: NDArray[np.float64] = weight / weight.mean()
    return scaled


def mean_weights(given: AnySeries, weight: NDArray[np.float64], target: Target) -> tuple[float, ...]:
    """Return the mean weight of the rows of each class, or of all rows, in the unit in which it was given.

    `given` (n_rows,): as the caller has them. `weight` (n_rows,): the same with a mean of 1.
    """
    unit = float(given.to_numpy(dtype=np.float64).max() / weight.max())
    if target.classes is None:
        return (unit,)
    of_class = np.bincount(target.y, weights=weight, minlength=len(target.classes))
    return tuple(
        (unit * of_class / np.maximum(np.bincount(target.y, minlength=len(target.classes)), 1)).tolist()
    )


def has_target(values: AnySeries | pd.DataFrame) -> NDArray[np.bool_]:
    """Return which rows have a target, all of them where there are several, shape (n_rows,)."""
    is_missing = values.isna().to_numpy(dtype=np.bool_).reshape(len(values), -1)
    return np.asarray(~is_missing.any(axis=1))


def lost_classes(values: AnySeries, weight: NDArray[np.float64] | None, *, task: str) -> list[Any]:
    """Return the classes whose rows all weigh 0.

    `values`: the target of all rows; missing where there is none. `weight` (n_rows,). `task`: as for
    :func:`regadvisor.data.target.read_target`.

    Raises DataError if fewer than two classes are left.

    >>> lost_classes(pd.Series(["a", "b", "c"]), np.array([1.0, 2.0, 0.0]), task="auto")
    ['c']
    """
    if weight is None or (weight > 0).all():
        return []
    is_there = values.notna().to_numpy(dtype=np.bool_)
    target = read_target(values[is_there], task=task)
    if target.classes is None:
        return []
    total = np.bincount(target.y, weights=weight[is_there], minlength=len(target.classes))
    lost = [label for label, sum_of in zip(target.classes, total, strict=True) if sum_of == 0]
    if lost and len(target.classes) - len(lost) < 2:
        raise DataError(
            f"sample_weight must be above 0 in some rows of at least 2 classes, got 0 in all rows of "
            f"{listed(lost)}; give these rows a weight, or leave sample_weight out"
        )
    return lost


def notes_on_weights(
    target: Target, weight: NDArray[np.float64] | None, groups: NDArray[np.intp] | None, lost: list[Any]
) -> tuple[Note, ...]:
    """Return warnings about rows, classes and groups that have hardly any say, or all of it.

    `weight` (n_rows,). `groups` (n_rows,). `lost`: classes whose rows all weigh 0.
    """
    notes = []
    if lost:
        text = (
            f"all rows of {agreed(len(lost), 'class', 'classes')} {listed(lost)} weigh 0: the advice is "
            "about the other classes only."
        )
        notes.append(Note(code="zero-weight-class", text=text, is_warning=True))
    if weight is not None and target.classes is not None:
        total = np.bincount(target.y, weights=weight, minlength=len(target.classes))
        faint = [label for label, sum_of in zip(target.classes, total, strict=True) if sum_of < 1]
        if faint:
            text = (
                f"the weights leave {agreed(len(faint), 'class', 'classes')} {listed(faint)} less of a say "
                "than a single row has: the advice hardly depends on it."
            )
            notes.append(Note(code="faint-class", text=text, is_warning=True))
    return (*notes, *_few_rows(len(target.y), weight), *_one_group(groups, weight))


def _few_rows(n_rows: int, weight: NDArray[np.float64] | None) -> tuple[Note, ...]:
    n_effective = effective_rows(n_rows, weight)
    say = f"the weights leave the say to about {counted(max(1, round(n_effective)), 'row')} of {n_rows:,}"
    if n_effective >= FEWEST_ROWS_TO_VALIDATE:
        if n_effective > UNEVEN_WEIGHTS * n_rows:
            return ()
        text = f"{say}: no more is known than from so many rows of equal weight."
        return (Note(code="uneven-weights", text=text, is_warning=True),)
    if n_rows < FEWEST_ROWS_TO_VALIDATE:
        say = f"only {counted(n_rows, 'row')}"
    text = f"{say}: too few to validate anything with confidence."
    return (Note(code="few-rows", text=text, is_warning=True),)


def _one_group(groups: NDArray[np.intp] | None, weight: NDArray[np.float64] | None) -> tuple[Note, ...]:
    share = largest_group_share(groups, weight)
    if share < LARGEST_GROUP_SHARE:
        return ()
    text = (
        f"one group has {number(100 * share)}% of the {'rows' if weight is None else 'weight'}: what holds "
        "for other groups cannot be told from it."
    )
    return (Note(code="one-group", text=text, is_warning=True),)
