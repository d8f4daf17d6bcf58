"""Categories as text, dates and odd numbers as plain numbers, for frames of any library."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from regadvisor.data.arrays import plain_array
from regadvisor.data.dates import DateOrder, as_times, microseconds
from regadvisor.data.frames import as_frame, as_numbers, way_of
from regadvisor.data.levels import text_levels

_DAY_US = 24 * 3600 * 1e6
#: Parts of a date, in the order of the columns; the hour only where there are times of day.
_PARTS = ("year", "month", "day", "weekday", "hour", "days")


def _frame(X: Any) -> pd.DataFrame:
    frame = as_frame(X)
    if frame is not None:
        return frame
    array = plain_array(X, name="X")
    return pd.DataFrame(array, copy=False, dtype=object if array.dtype.kind in "OUST" else None)


class _FrameStep(TransformerMixin, BaseEstimator):
    """What the steps share: any container is read as a frame, and its columns are checked."""

    def fit(self, X: Any, y: Any = None) -> Self:
        """Remember the number and the names of the columns."""
        validate_data(self, _frame(X), skip_check_array=True)
        return self

    def _read(self, X: Any) -> pd.DataFrame:
        """Return the columns that the step was fitted on."""
        check_is_fitted(self, "n_features_in_")
        frame = _frame(X)
        validate_data(self, frame, reset=False, skip_check_array=True)
        return frame

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.string = True
        return tags


class AsText(OneToOneFeatureMixin, _FrameStep):
    """Turn every category into text and every missing value into NaN.

    ``OneHotEncoder`` wants one type a column and knows one missing value; frames mix numbers with text,
    know ``None``, ``NaN``, ``NaT`` and ``pd.NA``, and an integer column becomes float as soon as one value
    is missing. After this step 1, 1.0 and ``"1"`` are the same category everywhere.

    >>> AsText().fit_transform(pd.DataFrame({"size": ["L", 1, 1.0, None]}, dtype=object)).ravel().tolist()
    ['L', '1', '1', nan]
    """

    def transform(self, X: Any) -> NDArray[np.object_]:
        """Return an array (n_rows, n_columns) of text and NaN."""
        frame = self._read(X)
        texts = np.empty(frame.shape, dtype=object)
        for j in range(frame.shape[1]):
            texts[:, j] = text_levels(frame.iloc[:, j]).values()
        return texts

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.categorical = True
        return tags


class AsNumbers(OneToOneFeatureMixin, _FrameStep):
    """Turn columns that hold numbers in any form into plain ones, as ``advise()`` reads them.

    Text, objects, decimals, nullable and sparse columns become float64, and every missing value NaN.

    `ways_`: how each column writes its numbers. Other rows have to write them so, or as plain ones.

    >>> AsNumbers().fit_transform(pd.DataFrame({"n": ["1", 2, None, pd.NA]}, dtype=object)).ravel().tolist()
    [1.0, 2.0, nan, nan]
    >>> step = AsNumbers().fit(pd.DataFrame({"price": ["1,5", "2,25"]}))
    >>> step.transform(pd.DataFrame({"price": ["1,125"]})).tolist()
    [[1.125]]
    """

    def fit(self, X: Any, y: Any = None) -> Self:
        """Remember the columns, and how their numbers are written."""
        super().fit(X)
        frame = _frame(X)
        self.ways_ = [way_of(frame.iloc[:, j]) for j in range(frame.shape[1])]
        return self

    def transform(self, X: Any) -> NDArray[np.float64]:
        """Return an array (n_rows, n_columns) of float64.

        Raises DataError if a value is no number.
        """
        frame = self._read(X)
        numbers = np.empty(frame.shape)
        for j in range(frame.shape[1]):
            numbers[:, j] = as_numbers(frame.iloc[:, j], self.ways_[j])
        return numbers


class DateParts(_FrameStep):
    """Turn dates into numbers: year, month, day, weekday (Monday is 0), hour, and days since 1970.

    The hour (with minutes as a fraction) is left out for dates without time of day, and a 0/1 column
    "missing" is added if values are missing, both as seen by :meth:`fit`. Durations become days. A missing
    date is NaN in every part; time zones are converted to UTC.

    `orders`: of each column, how dates that come as text are read: which of year, month and day comes first.
    `formats`: of each column, the format of ``strptime`` in which all of these were written, if one was:
    scripts read them by it.

    `parts_`: parts of each column.

    >>> dates = pd.DataFrame({"sold": pd.to_datetime(["2024-05-01", "2024-05-03"])})
    >>> DateParts().fit_transform(dates).tolist()
    [[2024.0, 5.0, 1.0, 2.0, 19844.0], [2024.0, 5.0, 3.0, 4.0, 19846.0]]
    >>> DateParts(orders=["dmy"]).fit_transform(pd.DataFrame({"sold": ["01/05/2024"]})).tolist()
    [[2024.0, 5.0, 1.0, 2.0, 19844.0]]
    """

    def __init__(
        self, *, orders: Sequence[DateOrder | None] | None = None, formats: Sequence[str | None] | None = None
    ) -> None:
        self.orders, self.formats = orders, formats

    def fit(self, X: Any, y: Any = None) -> DateParts:
        """Learn which parts the columns of `X` have."""
        super().fit(X)
        self.parts_ = [_parts_of(column) for column in self._times(_frame(X))]
        return self

    def transform(self, X: Any) -> NDArray[np.float64]:
        """Return the parts (n_rows, n_parts) of all columns, side by side."""
        pairs = zip(self._times(self._read(X)), self.parts_, strict=True)
        return np.column_stack([_part(column, part) for column, parts in pairs for part in parts])

    def _times(self, frame: pd.DataFrame) -> list[pd.Series[Any]]:
        orders = self.orders or [None] * frame.shape[1]
        return [as_times(frame.iloc[:, j], order) for j, order in enumerate(orders)]

    def get_feature_names_out(self, input_features: Iterable[str] | None = None) -> NDArray[np.object_]:
        """Return names such as ``"sold_month"``."""
        check_is_fitted(self, "parts_")
        names = getattr(self, "feature_names_in_", input_features)
        if names is None:
            names = [f"x{j}" for j in range(self.n_features_in_)]
        texts = [f"{name}_{part}" for name, parts in zip(names, self.parts_, strict=True) for part in parts]
        return np.array(texts, dtype=object)


def _parts_of(times: pd.Series[Any]) -> tuple[str, ...]:
    missing = ("missing",) if bool(times.isna().any()) else ()
    if pd.api.types.is_timedelta64_dtype(times.dtype):
        return ("days", *missing)
    stamps = microseconds(times)
    has_hours = bool(np.nanmax(np.mod(stamps, _DAY_US), initial=0.0) > 0)
    return (*(part for part in _PARTS if part != "hour" or has_hours), *missing)


def _part(times: pd.Series[Any], part: str) -> NDArray[np.float64]:
    if part == "missing":
        return np.asarray(times.isna(), dtype=np.float64)
    stamps = microseconds(times)
    if part == "days":
        return stamps / _DAY_US
    if part == "hour":
        return np.mod(stamps, _DAY_US) / 3600e6
    values = getattr(times.dt, "day_of_week" if part == "weekday" else part)
    numbers: NDArray[np.float64] = values.to_numpy(dtype=np.float64, na_value=np.nan)
    return numbers
