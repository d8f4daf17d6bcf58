"""Data frames of any library as pandas frames, and what each of their columns is."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api import types as dtypes

from regadvisor.data.dates import SMALLEST_PACKED, FoundDates, as_times, find_dates, may_be_dates
from regadvisor.data.levels import Levels, check_no_containers, text_levels
from regadvisor.data.written import Way, written_numbers
from regadvisor.errors import DataError, import_optional
from regadvisor.records import Column
from regadvisor.words import listed, means_missing, shown

if TYPE_CHECKING:
    AnySeries = pd.Series[Any]

#: A number that is written like a code: leading zeros would be lost. On a clock they are none.
_CODE = re.compile(r"^\s*[+-]?0\d(?!:)")
Kind = Literal["numeric", "categorical", "date"]
#: Cells of a frame that may be copied into one array (200 MB of float64).
_MOST_COPIED = 25_000_000
_DATE_KINDS = ("date", "datetime", "datetime64", "timedelta", "timedelta64", "period")


def as_frame(X: Any, *, name: str = "X") -> pd.DataFrame | None:
    """Return a pandas frame of a pandas, polars or pyarrow frame; None if X is no frame.

    `name`: the argument, for messages.

    Raises DataError if X is a lazy frame, or its column names are not unique text or numbers;
    MissingDependencyError if pyarrow is needed for the conversion and not installed.
    """
    if isinstance(X, pd.DataFrame):
        _check_names(X, name)
        return X
    try:
        frame = nw.from_native(X, pass_through=True)
    except nw.exceptions.DuplicateError as error:
        raise DataError(f"column names of {name} must be unique; rename them ({error})") from error
    if isinstance(frame, nw.LazyFrame):
        raise DataError(f"{name} must be a frame in memory, got a lazy one; call {name}.collect() first")
    if not isinstance(frame, nw.DataFrame):
        return None
    native: pd.DataFrame = to_pandas(frame, name=name)
    _check_names(native, name)
    return native


def to_pandas(values: Any, *, name: str) -> Any:
    """Return the pandas form of a frame or series of another library.

    Raises DataError if its library cannot convert it; MissingDependencyError if pyarrow is needed for that
    and not installed.
    """
    import_optional("pyarrow", extra="polars", purpose="reading frames that are not pandas frames")
    try:
        return values.to_pandas()
    except BaseException as error:
        # A panic inside polars (a column name with NUL) is no Exception.
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        raise DataError(
            f"{name} must be a frame that its library can convert to pandas, got {type(error).__name__}: "
            f"{error}; rename or convert the column that it names"
        ) from error


def _check_names(frame: pd.DataFrame, name: str) -> None:
    names = list(frame.columns)
    if not frame.columns.is_unique:
        twice = list(dict.fromkeys(frame.columns[frame.columns.duplicated()]))
        raise DataError(
            f"column names of {name} must be unique, got {listed(twice)} more than once; rename them"
        )
    n_text = sum(isinstance(column, str) for column in names)
    n_whole = sum(isinstance(column, int | np.integer) for column in names)
    if n_text != len(names) and n_whole != len(names):
        odd = shown(next((column for column in names if not isinstance(column, str)), None))
        raise DataError(
            f"column names of {name} must be all text or all whole numbers, got {odd}; "
            f"rename them, for example with {name}.columns = {name}.columns.map(str)"
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class FrameColumn:
    """One column of a frame, understood.

    `values` is the column for the table: numbers as NumPy numbers, categories as text or
    as they were, dates as naive UTC ``datetime64`` (durations as ``timedelta64``).
    `doubt` names what is odd about the column: numbers that came as objects, or types that are mixed.
    `dates` says how dates were read that came as text.
    """

    kind: Kind
    values: AnySeries
    levels: Levels | None = None
    doubt: Literal["parsed-as-numbers", "mixed-types"] | None = None
    dates: FoundDates | None = None


def are_plain_numbers(values: AnySeries | pd.DataFrame) -> bool:
    """Return whether every column is of a numeric dtype of NumPy, so that no value need be looked at."""
    dtypes = [values.dtype] if isinstance(values, pd.Series) else values.dtypes
    return all(map(is_plain, dtypes))


def as_one_array(frame: pd.DataFrame, known: Sequence[Column] | None = None) -> NDArray[Any] | None:
    """Return a frame of nothing but plain numbers as one array; None if it holds anything else, or dates.

    The array is a view where all columns have one type; others are copied unless they are very many.
    Reading thousands of columns one by one takes longer than everything that is asked of them later.

    >>> as_one_array(pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0]})).tolist()
    [[1.0, 3.0], [2.0, 4.0]]
    >>> as_one_array(pd.DataFrame({"a": [1.0, 2.0], "b": ["x", "y"]}))
    >>> as_one_array(pd.DataFrame({"day": [20240131, 20240201]}))
    """
    types = frame.dtypes.unique()
    if not all(_is_as_it_is(dtype) for dtype in types) or (len(types) > 1 and frame.size > _MOST_COPIED):
        return None
    values = frame.to_numpy()
    if known is None:
        suspects = np.flatnonzero(~(values[0] < SMALLEST_PACKED)).tolist()
        has_dates = any(may_be_dates(frame.iloc[:, j]) for j in suspects)
    else:
        has_dates = any(column.date_order for column in known)
    return None if has_dates else values


def read_column(column: AnySeries, known: Column | None = None) -> FrameColumn:
    """Return what a column is: numeric, categorical or a date.

    `column`: any pandas dtype. Booleans are numbers; text that reads as numbers throughout is numbers, unless
    leading zeros mark it as a code; text and numbers that are written as dates throughout are dates; a column
    without any value keeps the kind of its dtype. `known`: what the column is known to be.

    Raises DataError if it holds complex numbers or containers.

    >>> read_column(pd.Series(["1", "2.5", None])).kind
    'numeric'
    >>> read_column(pd.Series(["02139", "10001"])).kind
    'categorical'
    >>> read_column(pd.Series(["31.01.2024", "01.02.2024"])).kind
    'date'
    """
    try:
        return _read_column(column, known)
    except DataError:
        raise
    except (TypeError, ValueError, ArithmeticError, NotImplementedError) as error:  # of whatever objects
        raise DataError(
            f"every value of column {shown(column.name)} must be text, a number or a date, got one that "
            f"cannot be read ({type(error).__name__}: {error}); convert the column, or leave it out"
        ) from error


def _read_column(column: AnySeries, known: Column | None) -> FrameColumn:
    dtype = column.dtype
    check_no_containers(column)
    _check_real(column)
    if known is None:
        dates = find_dates(column)
        if dates is not None:
            return FrameColumn(kind="date", values=dates.times, dates=dates)
    elif known.date_order is not None:
        return FrameColumn(kind="date", values=as_times(column, known.date_order))
    if isinstance(dtype, pd.CategoricalDtype):
        return _categorical(column)
    if _is_numeric(dtype):
        return FrameColumn(kind="numeric", values=_numbers(column))
    if _is_date_dtype(dtype):
        return FrameColumn(kind="date", values=as_times(column))
    return _read_objects(column) if known is None else _known(column, known.kind)


def _known(column: AnySeries, kind: Kind) -> FrameColumn:
    """Return a column of objects or text as what it is known to be."""
    if kind == "numeric":
        return FrameColumn(kind=kind, values=as_numbers(column), doubt="parsed-as-numbers")
    if kind == "date":
        return FrameColumn(kind=kind, values=as_times(column))
    return _as_categories(column, dtypes.infer_dtype(column, skipna=True))


def _as_categories(column: AnySeries, inferred: str) -> FrameColumn:
    """Return a column of objects or text as categories; `inferred` is what pandas says that it holds."""
    return _categorical(column, doubt=None if inferred in ("string", "bytes", "empty") else "mixed-types")


def _is_date_dtype(dtype: Any) -> bool:
    if dtypes.is_datetime64_any_dtype(dtype) or dtypes.is_timedelta64_dtype(dtype):
        return True
    if isinstance(dtype, pd.ArrowDtype):
        return dtype.kind in "Mm"
    return isinstance(dtype, pd.PeriodDtype)


def is_plain(dtype: Any) -> bool:
    """Whether scikit-learn reads columns of this dtype as numbers by itself: NumPy's own numbers."""
    return isinstance(dtype, np.dtype) and dtype.kind in "biuf"


def _is_as_it_is(dtype: Any) -> bool:
    """Whether columns of this dtype are native integers or floats of a usual length."""
    is_native = isinstance(dtype, np.dtype) and dtype.kind in "iuf" and dtype.isnative
    return is_native and dtype not in (np.float16, np.longdouble)


def _numbers(column: AnySeries) -> AnySeries:
    """Return the column as native integers or floats; nullable, boolean and short ones as float64."""
    dtype = column.dtype
    if _is_as_it_is(dtype):
        return column
    if isinstance(dtype, pd.SparseDtype):
        column = pd.Series(np.asarray(column), index=column.index, name=column.name)
    values = column.to_numpy(dtype=np.float64, na_value=np.nan)
    return pd.Series(values, index=column.index, name=column.name, copy=False)


def _categorical(column: AnySeries, *, doubt: Literal["mixed-types"] | None = None) -> FrameColumn:
    levels = text_levels(column)
    if doubt is not None:
        column = pd.Series(levels.values(), index=column.index, name=column.name, dtype=object)
    return FrameColumn(kind="categorical", values=column, levels=levels, doubt=doubt)


def _read_objects(column: AnySeries) -> FrameColumn:
    inferred = dtypes.infer_dtype(column, skipna=True)
    if inferred in _DATE_KINDS:
        return FrameColumn(kind="date", values=as_times(column))
    if inferred == "boolean":
        return FrameColumn(kind="numeric", values=as_numbers(column))
    numbers = parsed_numbers(column)
    if numbers is not None:
        return FrameColumn(kind="numeric", values=numbers, doubt="parsed-as-numbers")
    return _as_categories(column, inferred)


def _check_real(column: AnySeries) -> None:
    is_complex = dtypes.is_complex_dtype(column.dtype)
    if is_complex or (column.dtype == object and dtypes.infer_dtype(column, skipna=True) == "complex"):
        raise DataError(
            f"column {shown(column.name)} must hold real numbers, got complex ones. Complex data not "
            "supported: pass real and imaginary parts as columns"
        )


def parsed_numbers(column: AnySeries) -> AnySeries | None:
    """Return the column as numbers if every value that is present reads as one, else None.

    Leading zeros make them codes.

    >>> parsed_numbers(pd.Series(["5%", "7%", "?"])).tolist(), parsed_numbers(pd.Series(["02139", "10001"]))
    ([5.0, 7.0, nan], None)
    """
    # Levels repeat: what each says is the same everywhere.
    head = column[column.notna()].iloc[:1000].drop_duplicates()
    head = head[[not _is_blank(value) for value in head]]
    try:
        if not len(head) or (
            pd.to_numeric(head, errors="coerce").isna().any() and written_numbers(head.tolist()) is None
        ):
            return None
    except OverflowError as error:
        raise DataError(
            f"column {shown(column.name)} must hold numbers below 1e308, got a larger whole number; divide "
            "the column, or take its logarithm"
        ) from error
    if any(isinstance(value, str) and _CODE.match(value) for value in head):
        return None
    try:
        return as_numbers(column)
    except DataError:
        return None


def _is_blank(value: object) -> bool:
    return isinstance(value, str) and means_missing(value)


def as_numbers(column: AnySeries, way: Way | None = None) -> AnySeries:
    """Return a column that holds numbers, in whatever form, as plain ones; what is missing is NaN.

    Words for a missing value, such as ``"?"`` or ``"NA"``, are missing values between numbers. `way`: how
    texts have to write them, if that is known.

    Raises DataError if a value is no number.

    >>> as_numbers(pd.Series(["1", 2, True, pd.NA], dtype=object)).tolist()
    [1.0, 2.0, 1.0, nan]
    >>> as_numbers(pd.Series(["$1,200", "$80"])).tolist()
    [1200.0, 80.0]
    """
    _check_real(column)
    if _is_numeric(column.dtype):
        return _numbers(column)
    is_present = _is_present(column)
    present = column.astype(object)[is_present]
    try:
        numbers = pd.to_numeric(present, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
        is_number = ~np.isnan(numbers)
    except (TypeError, ValueError):  # lists and the like, dates
        numbers, is_number = np.empty(0), np.zeros(1, dtype=np.bool_)
    if not is_number.all() or (way is not None and way.decimal == ","):
        written = written_numbers(present.tolist(), way, may_be_codes=False)
        if written is not None:
            numbers, is_number = written[0], np.ones(len(present), dtype=np.bool_)
    if not is_number.all():
        wrong = present.tolist() if not len(numbers) else present[~is_number].tolist()
        example = next(
            (each for each in wrong if written_numbers([each], way, may_be_codes=False) is None), wrong[0]
        )
        raise DataError(
            f"column {shown(column.name)} must hold numbers{way.unit if way else ''}, got {shown(example)}; "
            "correct this value, or pass None for a missing one"
        )
    values = np.full(len(column), np.nan)
    values[is_present] = numbers
    return pd.Series(values, index=column.index, name=column.name, copy=False)


def way_of(column: AnySeries) -> Way:
    """Return how a column writes its numbers.

    >>> way_of(pd.Series(["1,5", "2,25"])).decimal, way_of(pd.Series(["1.5", "2.25"])).decimal
    (',', '.')
    """
    if not _is_numeric(column.dtype):
        present = column.astype(object)[_is_present(column)]
        is_text = all(isinstance(value, str) for value in present)
        if is_text and pd.to_numeric(present, errors="coerce").isna().any():
            written = written_numbers(present.tolist(), may_be_codes=False)
            return Way() if written is None else written[1]
    return Way()


def _is_numeric(dtype: Any) -> bool:
    return dtypes.is_bool_dtype(dtype) or dtypes.is_numeric_dtype(dtype)


def _is_present(column: AnySeries) -> NDArray[np.bool_]:
    """Return which values are there: neither missing nor a word for it."""
    is_present = column.notna().to_numpy(dtype=np.bool_, copy=True)
    is_present[is_present] = [not _is_blank(value) for value in column.astype(object)[is_present]]
    return is_present
