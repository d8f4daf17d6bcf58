"""Dates that came as text, or as whole numbers such as 20240531: one rule for frames and for files.

A column holds dates if (nearly) all its values are written as one. Whether 03/04/2024 has the day or the
month first is decided by all values together; that order is the only thing to remember of a column, because
everything else (separators, names of months, times of day, time zones) is read off each value by itself.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api import types as dtypes
from pandas.tseries.api import guess_datetime_format

from regadvisor.quiet import ignoring
from regadvisor.thresholds import DATE_SHARE
from regadvisor.words import level_text, means_missing

if TYPE_CHECKING:
    AnySeries = pd.Series[Any]

DateOrder = Literal["ymd", "dmy", "mdy"]
#: In the order in which they are tried; the first wins where values tell nothing (see :func:`_decided`).
_ORDERS: tuple[DateOrder, ...] = ("ymd", "mdy", "dmy")
_WORDS = {"ymd": "year first", "dmy": "day first", "mdy": "month first"}

#: English names of months and weekdays, and what they are shortened to. After other words there is no date.
_MONTHS = {name.lower(): number for number, name in enumerate(calendar.month_name) if name}
_MONTHS |= {"sept": 9} | {name[:3]: number for name, number in _MONTHS.items()}
_MONTH = rf"(?P<month>{'|'.join(sorted(_MONTHS, key=len, reverse=True))})\.?"
_DAY = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?"
_WEEKDAY = r"(?:(?:[a-z]{3,6}day|mon|tues?|wed|thu(?:rs?)?|fri|sat|sun)\.?,?\s+)?"
_GAP = r"[\s./-]"
_YEAR = r"(?P<year>(?:1[7-9]|20)\d\d)"
_CLOCK = (
    r"(?:(?:t|,?\s+)(?:(?P<clock>\d{4}(?:\d\d)?)"
    r"|(?P<hour>\d{1,2})(?::(?P<minute>\d\d)(?::(?P<second>\d\d)(?:[.,](?P<part>\d{1,9}))?)?)?)"
    r"(?:\s*(?P<half>[ap])\.?m\.?)?(?:\s*(?P<zone>z|utc|gmt|[+-]\d\d(?::?\d\d)?))?)?"
)
_SHORT = re.compile(rf"{_MONTH}(?:-| ?')(?P<year>\d\d)")
#: How dates are written, in small letters.
_FORMS = tuple(
    re.compile(_WEEKDAY + form + _CLOCK)
    for form in (
        r"(?P<a>\d{4}|\d{1,2})(?P<gap>[-/.])(?P<b>\d{1,2})(?P=gap)(?P<c>\d{4}|\d{1,2})",
        r"(?P<packed>\d{8})",
        rf"{_DAY}\.?{_GAP}*{_MONTH},?{_GAP}*(?P<year>\d{{4}}|\d\d)",
        rf"{_MONTH}{_GAP}*{_DAY},?{_GAP}+(?P<year>\d{{4}}|\d\d)",
        rf"{_MONTH},?{_GAP}+(?P<year>\d{{4}})",
        rf"(?P<year>\d{{4}}){_GAP}*{_MONTH}(?:{_GAP}*{_DAY})?",
    )
) + tuple(
    # Months: their first day.
    re.compile(form)
    for form in (rf"{_YEAR}[-/](?P<number>0[1-9]|1[0-2])", rf"(?P<number>0?[1-9]|1[0-2])/{_YEAR}")
)
#: Years of dates without separators: other numbers of eight digits are codes.
_PACKED_YEARS = (1900, 2100)
#: No smaller number is a date such as 20240531.
SMALLEST_PACKED = _PACKED_YEARS[0] * 10_000
#: Two digits of a year from this on belong to the 1900s, those below to the 2000s (as POSIX has it).
_PIVOT = 69
#: Values by which a column that holds no dates is told at once.
_N_PROBED = 50
_NO_DATE = np.datetime64("NaT", "us")
_SECOND = 1_000_000
#: A text taken apart: its three numbers in the order in which they stand; by order whether the digits allow
#: it; whether they are year, month and day whatever the order of the column, the year has two digits, and
#: points stand between; microseconds since midnight in UTC.
_FIELDS = np.dtype("3i8, 3?, ?, ?, ?, i8")
_FIELDS.names = ("three", "can", "is_fixed", "is_short", "is_dot", "clock")
_Field: TypeAlias = tuple[tuple[int, int, int], tuple[bool, bool, bool], bool, bool, bool, int]
#: In no order a date.
_NOTHING: _Field = (0, 0, 0), (False, False, False), False, False, False, 0
_ANY = (True, True, True)


@dataclass(frozen=True, kw_only=True, eq=False)
class FoundDates:
    """A column of dates that came as text."""

    #: In UTC, without a zone.
    times: AnySeries
    order: DateOrder
    #: Whether some of the values could be read in another order, if they stood alone.
    is_open: bool
    #: Whether another order reads as many of the values.
    is_ambiguous: bool
    #: Rows whose value is no date; they count as missing.
    n_unread: int
    #: One of these, or else one of the dates.
    example: str
    #: Whether years have two digits.
    has_short_years: bool
    #: How ``strptime`` reads every value; None: not all are written alike.
    format: str | None

    @property
    def words(self) -> str:
        """The order in words."""
        return _WORDS[self.order]


def find_dates(column: AnySeries) -> FoundDates | None:
    """Return how the dates in a column are to be read; None if it holds something else.

    `column`: of text, categories, objects or numbers. Missing values and words for them (``""``, ``"?"``,
    ``"NA"``) do not count.

    >>> find_dates(pd.Series(["31/01/2024", "01/02/2024", None])).words
    'day first'
    >>> find_dates(pd.Series(["3 Jan 2024 10:30", "Feb 1, 2024"])).is_ambiguous
    False
    >>> find_dates(pd.Series(["12-345", "10-200"])), find_dates(pd.Series(["1.2.3", "1.10.0"]))
    (None, None)
    """
    if not may_be_dates(column):
        return None
    try:
        codes, distinct = pd.factorize(column)
    except TypeError:  # a list somewhere: said where the column is read as categories
        return None
    texts = [level_text(value) for value in np.asarray(distinct, dtype=object)]
    is_missing = np.array([means_missing(text) for text in texts], dtype=np.bool_)
    fields = np.array([_field(text) for text in texts], dtype=_FIELDS)
    stamps = {order: _stamps(fields, order) for order in _ORDERS}
    read = {order: ~np.isnat(own) for order, own in stamps.items()}
    most = max(int(found.sum()) for found in read.values())
    if most == 0 or most < DATE_SHARE * int((~is_missing).sum()):
        return None
    first = _match(texts[int(is_missing.argmin())])
    found = map(_match, texts) if first and first.re is _SHORT else ()
    months = [match["month"] if match.re is _SHORT else match.re for match in found if match]
    if len(months) > 1 and len(set(months)) == 1:
        return None  # codes such as "SET-01" have one word, months of many years several
    is_open = ~fields["is_fixed"] & fields["can"].any(axis=1)
    order, is_ambiguous = _decided(fields, read, is_open)
    unread = ~read[order] & ~is_missing
    shown = np.flatnonzero(unread if unread.any() else is_open if is_open.any() else read[order])[0]
    return FoundDates(
        times=_spread(column, codes, stamps[order]),
        order=order,
        is_open=bool(is_open.any()),
        is_ambiguous=is_ambiguous,
        n_unread=int(unread[codes[codes >= 0]].sum()),
        example=texts[shown],
        has_short_years=bool((fields["is_short"] & read[order]).any()),
        format=common_format(texts, stamps[order], is_day_first=order == "dmy"),
    )


def as_times(column: AnySeries, order: DateOrder | None = None) -> AnySeries:
    """Return a date column as naive UTC time stamps (``datetime64``) or durations (``timedelta64``).

    Values that are no date become NaT: what is a date column was decided when the data were read, and one
    bad value at prediction time is a missing value.

    `order`: of dates that come as text; None: only text that begins with the year, or names the month, is a
    date.

    >>> as_times(pd.Series(["2024-05-01", None], dtype=object)).dt.month.tolist()
    [5.0, nan]
    """
    dtype = column.dtype
    if isinstance(dtype, pd.PeriodDtype):
        return pd.Series(column.dt.to_timestamp(), index=column.index, name=column.name)
    if dtypes.is_timedelta64_dtype(dtype):
        return column
    is_stamp = dtypes.is_datetime64_any_dtype(dtype) or (
        isinstance(dtype, pd.ArrowDtype) and dtype.kind in "Mm"
    )
    if not is_stamp and dtypes.infer_dtype(column, skipna=True) in ("timedelta", "timedelta64"):
        return pd.to_timedelta(column, errors="coerce")
    if is_stamp:
        # utc=True also accepts values with different offsets.
        return pd.to_datetime(column, errors="coerce", utc=True).dt.tz_localize(None)
    return _read(column, order or "ymd")


def microseconds(column: AnySeries) -> NDArray[np.float64]:
    """Return dates as microseconds since 1970, durations as microseconds; NaN where missing."""
    times = as_times(column)
    unit = "m8[us]" if dtypes.is_timedelta64_dtype(times.dtype) else "M8[us]"
    stamps = times.to_numpy().astype(unit)
    values = stamps.astype(np.int64).astype(np.float64)
    values[np.isnat(stamps)] = np.nan
    return values


def _read(column: AnySeries, order: DateOrder) -> AnySeries:
    """Return text, numbers and date objects as naive UTC time stamps."""
    codes, distinct = pd.factorize(column)
    values = np.asarray(distinct, dtype=object)
    is_text = np.array(
        [isinstance(value, str | bytes | int | float | np.number) for value in values], dtype=np.bool_
    )
    stamps = np.full(len(values), _NO_DATE)
    fields = np.array([_field(level_text(value)) for value in values[is_text]], dtype=_FIELDS)
    stamps[is_text] = _stamps(fields, order)
    if not is_text.all():
        others = pd.to_datetime(pd.Series(values[~is_text], dtype=object), errors="coerce", utc=True)
        stamps[~is_text] = others.dt.tz_localize(None).to_numpy().astype("M8[us]")
    return _spread(column, codes, stamps)


def _spread(column: AnySeries, codes: NDArray[np.intp], stamps: NDArray[np.datetime64]) -> AnySeries:
    """Return the time stamp of every row from those of its distinct values; code -1 is missing."""
    return pd.Series(np.append(stamps, _NO_DATE)[codes], index=column.index, name=column.name)


def may_be_dates(column: AnySeries) -> bool:
    """Whether the first values that are present look like dates: rules out nearly every other column."""
    dtype: Any = column.dtype
    is_category = isinstance(dtype, pd.CategoricalDtype)
    dtype = dtype.categories.dtype if is_category else dtype
    is_number = dtypes.is_numeric_dtype(dtype) or dtypes.is_bool_dtype(dtype)
    if is_number and (is_category or not _is_packed(column)):
        return False
    if not is_number and not dtypes.is_object_dtype(dtype) and not dtypes.is_string_dtype(dtype):
        return False
    head = _first_present(column).tolist()
    if not is_number and not any(isinstance(value, str | bytes) for value in head):
        return False
    texts = list(islice((text for text in map(level_text, head) if not means_missing(text)), _N_PROBED))
    return sum(_match(text) is not None for text in texts) > len(texts) / 2


def _first_present(column: AnySeries) -> AnySeries:
    head = column.iloc[: 20 * _N_PROBED].dropna()
    return head if len(head) else column.dropna().iloc[: 20 * _N_PROBED]


def _is_packed(column: AnySeries) -> bool:
    """Whether the first number that is present may be a date such as 20240531."""
    dtype: Any = column.dtype
    low, high = SMALLEST_PACKED, (_PACKED_YEARS[1] + 1) * 10_000
    if isinstance(dtype, np.dtype) and dtype.kind in "iuf" and len(column):
        first = float(column.to_numpy()[0])  # a view: there may be thousands of columns
        if first == first:
            return bool(low <= first < high)
    present = _first_present(column)
    is_real = len(present) > 0 and not dtypes.is_complex_dtype(dtype) and not dtypes.is_bool_dtype(dtype)
    return bool(is_real and low <= float(present.iloc[0]) < high)


def _match(text: str) -> re.Match[str] | None:
    small = text.strip().lower()
    if not small or len(small) > 48:
        return None
    return next((found for form in (*_FORMS, _SHORT) if (found := form.fullmatch(small))), None)


def _field(text: str) -> _Field:
    """Take a text apart."""
    found = _match(text)
    clock = None if found is None else _clock(found)
    if found is None or clock is None:
        return _NOTHING
    parts = found.groupdict()
    if "number" in parts:
        return (int(parts["year"]), int(parts["number"]), 1), _ANY, True, False, False, 0
    if "packed" in parts:
        packed = parts["packed"]
        year, month, day = int(packed[:4]), int(packed[4:6]), int(packed[6:])
        can = _PACKED_YEARS[0] <= year <= _PACKED_YEARS[1]
        return (year, month, day), (can, can, can), True, False, False, clock
    if "month" in parts:
        three = int(parts["year"]), _MONTHS[parts["month"]], int(parts.get("day") or 1)
        return three, _ANY, True, len(parts["year"]) == 2, False, clock
    first, last = len(parts["a"]), len(parts["c"])
    is_dot = parts["gap"] == "."
    # 1.2.20 is a version more often than a date.
    is_padded = not is_dot or first == len(parts["b"]) == 2
    is_iso = first == 4 and last < 4
    begins = is_iso or (first == 2 and last < 4 and not is_dot)
    ends = is_iso or (first < 4 and (last == 4 or (last == 2 and is_padded)))
    three = int(parts["a"]), int(parts["b"]), int(parts["c"])
    return three, (begins, ends, ends), is_iso, max(first, last) < 4, is_dot, clock


def _clock(found: re.Match[str]) -> int | None:
    """Return microseconds since midnight in UTC; None if there is no such time."""
    parts = found.groupdict()
    if "hour" not in parts:
        return 0
    if parts["clock"] is not None:
        digits = parts["clock"].ljust(6, "0")
        hour, minute, second = int(digits[:2]), int(digits[2:4]), int(digits[4:])
    else:
        hour, minute, second = (int(parts[name] or 0) for name in ("hour", "minute", "second"))
    if parts["half"]:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + 12 * (parts["half"] == "p")
    if hour > 23 or minute > 59 or second > 59:
        return None
    zone = (parts["zone"] or "z").replace(":", "")
    ahead = 0
    if zone[0] in "+-":
        ahead = (60 * int(zone[1:3]) + int(zone[3:] or 0)) * (1 if zone[0] == "+" else -1)
    part = int((parts["part"] or "0")[:6].ljust(6, "0"))
    return (3600 * hour + 60 * (minute - ahead) + second) * _SECOND + part


def _stamps(fields: NDArray[np.void], order: DateOrder) -> NDArray[np.datetime64]:
    """Return time stamps (n,) of texts read in an order; NaT where there is no such day."""
    places = {"ymd": (0, 1, 2), "dmy": (2, 1, 0), "mdy": (2, 0, 1)}[order]
    chosen = np.where(fields["is_fixed"][:, None], [0, 1, 2], list(places))
    year, month, day = np.take_along_axis(fields["three"], chosen, axis=1).T
    year = np.where(fields["is_short"], year + np.where(year >= _PIVOT, 1900, 2000), year)
    is_there = (
        fields["can"][:, _ORDERS.index(order)] & (month >= 1) & (month <= 12) & (day >= 1) & (year >= 1)
    )
    months = (12 * (year - 1970) + month - 1).astype("M8[M]")
    days = months.astype("M8[D]") + (day - 1)
    is_there &= days.astype("M8[M]") == months
    stamps = days.astype("M8[us]") + fields["clock"].astype("m8[us]")
    return np.where(is_there, stamps, _NO_DATE)


def _decided(
    fields: NDArray[np.void], read: dict[DateOrder, NDArray[np.bool_]], is_open: NDArray[np.bool_]
) -> tuple[DateOrder, bool]:
    """Return the order that reads the most values, and whether another one reads as many."""
    counts = {order: int(found.sum()) for order, found in read.items()}
    best = [order for order in _ORDERS if counts[order] == max(counts.values())]
    if len(best) == 1 or not is_open.any():
        return best[0], False
    first, second, third = (len(np.unique(column)) for column in fields["three"][is_open].T)
    if "ymd" in best and 2 * first <= third:
        return "ymd", True  # the first number hardly changes: a year
    ends = [order for order in best if order != "ymd"]
    if len(ends) == 1:
        return ends[0], False  # 13/02/20 begins with a year in few places
    if fields["is_dot"][is_open].all():
        return "dmy", False  # nobody puts the month first and points between
    # The first day of every month is common; else month first, as pandas has it.
    return ("dmy" if first == 1 < second else "mdy"), True


def common_format(texts: Sequence[str], stamps: NDArray[np.datetime64], *, is_day_first: bool) -> str | None:
    """Return a format of ``strptime`` by which pandas reads all texts as we do; None if it knows none.

    `texts`: distinct ones. `stamps`: what they are to us, in UTC; NaT is no date.

    >>> two = np.array(["2024-02-01", "2024-02-13"], dtype="M8[us]")
    >>> common_format(["01/02/2024", "13/02/2024"], two, is_day_first=True)
    '%d/%m/%Y'
    >>> common_format(["01/02/2024", "13 Feb 2024"], two, is_day_first=True)
    """
    with ignoring(UserWarning):  # that the example cannot be read in this order
        found = guess_datetime_format(texts[int(np.argmax(~np.isnat(stamps)))], dayfirst=is_day_first)
    try:
        times = pd.to_datetime(pd.Series(texts, dtype=object), format=found, utc=True) if found else None
    except ValueError:
        return None
    if times is None:
        return None
    read = times.dt.tz_localize(None).to_numpy().astype("M8[us]")
    return found if np.array_equal(read, stamps, equal_nan=True) else None
