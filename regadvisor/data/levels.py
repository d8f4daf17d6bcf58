"""One form for categories and dates, whatever library and dtype they come in.

Categories become text, so that ``1``, ``1.0``, ``"1"`` and their nullable, pandas, polars and object
relatives are the same category in training and in prediction. Dates become naive UTC time stamps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from regadvisor.data.wording import shown
from regadvisor.errors import DataError

if TYPE_CHECKING:
    AnySeries = pd.Series[Any]


@dataclass(frozen=True, kw_only=True, eq=False)
class Levels:
    """A categorical column as codes and texts.

    Attributes
    ----------
    codes : ndarray of intp, shape (n_rows,)
        Position in `texts`; -1 is missing.
    texts : ndarray of object (str), shape (n_levels,)
        Distinct categories in the order of their first row.
    """

    codes: NDArray[np.intp]
    texts: NDArray[np.object_]

    def values(self) -> NDArray[np.object_]:
        """Return the text of every row; NaN where it is missing."""
        with_missing = np.append(self.texts, np.array([np.nan], dtype=object))
        return with_missing[self.codes]


def level_text(value: object) -> str:
    """Return one category as text; whole floats lose their ``.0``.

    Examples
    --------
    >>> level_text(3.0), level_text(3), level_text(2.5), level_text(b"male"), level_text(True)
    ('3', '3', '2.5', 'male', 'True')
    """
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="replace")
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value)


def text_levels(column: AnySeries) -> Levels:
    """Return a column of any dtype as text categories.

    Raises
    ------
    DataError
        If a value cannot be a category because it is a list, a dict or another container.

    Examples
    --------
    >>> levels = text_levels(pd.Series(["b", 1, 1.0, None], dtype=object))
    >>> levels.codes.tolist(), levels.texts.tolist()
    ([0, 1, 1, -1], ['b', '1'])
    """
    try:
        codes, distinct = pd.factorize(column, use_na_sentinel=True)
    except TypeError as error:
        raise DataError(
            f"every value of column {shown(column.name)} must be text, a number or a date, got lists or "
            "other containers; split them into columns of their own, or leave the column out"
        ) from error
    texts = np.array([level_text(value) for value in np.asarray(distinct, dtype=object)], dtype=object)
    if texts.size == 0:
        return Levels(codes=codes.astype(np.intp), texts=texts)
    # 1 and "1" are distinct objects with one text: give them one code.
    merged, unique = pd.factorize(texts)
    return Levels(codes=np.append(merged, -1)[codes].astype(np.intp), texts=np.asarray(unique, dtype=object))


def as_times(column: AnySeries) -> AnySeries:
    """Return a date column as naive UTC time stamps (``datetime64``) or durations (``timedelta64``).

    Objects that are no date become NaT: what is a date column was decided when the data were read, and
    one bad value at prediction time is a missing value.

    Examples
    --------
    >>> as_times(pd.Series(["2024-05-01", None], dtype=object)).dt.month.tolist()
    [5.0, nan]
    """
    if isinstance(column.dtype, pd.PeriodDtype):
        return pd.Series(column.dt.to_timestamp(), index=column.index, name=column.name)
    if pd.api.types.is_timedelta64_dtype(column.dtype):
        return column
    if pd.api.types.infer_dtype(column, skipna=True) in ("timedelta", "timedelta64"):
        return pd.to_timedelta(column, errors="coerce")
    # Text counts in ISO form only: 01/02/2024 is January here and February there. utc=True also accepts
    # values with different offsets.
    times = pd.to_datetime(column, errors="coerce", utc=True, format="ISO8601")
    return times.dt.tz_localize(None)


def microseconds(column: AnySeries) -> NDArray[np.float64]:
    """Return dates as microseconds since 1970, durations as microseconds; NaN where missing."""
    times = as_times(column)
    unit = "m8[us]" if pd.api.types.is_timedelta64_dtype(times.dtype) else "M8[us]"
    stamps = times.to_numpy().astype(unit)
    values = stamps.astype(np.int64).astype(np.float64)
    values[np.isnat(stamps)] = np.nan
    return values
