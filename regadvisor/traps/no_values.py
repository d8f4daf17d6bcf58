"""Values that are no measurements: 9999 for a missing one, and a last row of sums or averages."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regadvisor import thresholds
from regadvisor.data.numbers import some_numbers
from regadvisor.data.table import Table
from regadvisor.records import Note
from regadvisor.traps.view import View, as_written, named, original_rows, whole_columns
from regadvisor.words import counted, joined, level_text

#: Numbers that people write for a missing value, and what programs and formats put there.
_NUMBERS = frozenset(
    [-9.0, -999.25, 32767.0, -32768.0, 2.0**31 - 1, -(2.0**31), 1e20, -1e20]
    + [sign * float("9" * digits) for sign in (1, -1) for digits in range(2, 8)]
)
#: The first and last days of calendars and programs, by their microseconds since 1970.
_DAYS = "0001-01-01 1753-01-01 1800-01-01 1899-12-30 1899-12-31 1900-01-01 1901-01-01 1970-01-01 2099-12-31"
_DATES = {
    float(np.datetime64(day, "us").astype(np.int64)): day
    for day in (*_DAYS.split(), "2100-01-01", "2999-12-31", "9999-12-31")
}
#: Columns of which the sum is worked out, and columns that a note describes.
_MOST_SUMMED, _MOST_SHOWN = 5, 3
#: What a row of sums or averages is called, in small letters.
_TOTALS = ("total", "totals", "grand total", "sum", "summe", "gesamt", "insgesamt", "somme", "suma", "totale")
_AVERAGES = ("mean", "average", "avg", "mittelwert", "durchschnitt", "moyenne", "media", "promedio")


def for_missing(view: View) -> tuple[tuple[Note, ...], tuple[int, ...], bool]:
    """Return a warning about values that stand for a missing one, the columns of the table with them, and
    whether the target has one.

    Such a value is met often, at one end of its column, and much farther from all other values than these
    are from one another. It is a known number or date, the only number below 0, a 0 far below the rest, or a
    9 behind answers from 1 to 5.
    """
    found: dict[int, tuple[str, float]] = {}
    for i in view.varying[~view.is_category[view.varying]].tolist():
        own = _alone_at_an_end(view.ordered[i], is_date=bool(view.is_date[i]))
        if own is not None:
            found[i] = own
    notes = []
    if found:
        parts = [
            f"{view.names([i])} is {value} in {share:.0%} of the rows"
            for i, (value, share) in list(found.items())[:_MOST_SHOWN]
        ]
        n_more = len(found) - _MOST_SHOWN
        parts += [f"so it is in {counted(n_more, 'more column')}"] if n_more > 0 else []
        notes.append(_missing_note("; ".join(parts)))
    own = None
    if view.table.n_targets == 1 and (y := as_written(view.table, view.targets[:, 0])) is not None:
        own = _alone_at_an_end(np.sort(y))
        own = None if own is not None and own[0] == "0" else own  # where it is 0 is a question of its own
        if own is not None:
            notes.append(_missing_note(f"the target is {own[0]} in {own[1]:.0%} of the rows"))
    return tuple(notes), tuple(int(view.at[i]) for i in found), own is not None


def _alone_at_an_end(ordered: NDArray[np.float64], *, is_date: bool = False) -> tuple[str, float] | None:
    """Return a value for missing ones at an end of sorted values, as text, and its share of them."""
    values = ordered[: len(ordered) - int(np.isnan(ordered).sum())]
    if not len(values):
        return None
    fewest = max(thresholds.FOR_MISSING_ROWS, thresholds.FOR_MISSING_SHARE * len(values))
    for value in (float(values[0]), float(values[-1])):
        n = int(np.searchsorted(values, value, "right") - np.searchsorted(values, value))
        others = values[n:] if value == values[0] else values[: len(values) - n]
        if n < fewest or not len(others) or others[0] == others[-1]:
            continue
        gap = float(others[0]) - value if value < others[0] else value - float(others[-1])
        span = float(others[-1] - others[0])
        if is_date and value in _DATES and gap >= thresholds.FOR_MISSING_DATE_GAP * span:
            return _DATES[value], n / len(values)
        is_known = value in _NUMBERS and gap >= thresholds.FOR_MISSING_GAP * span
        if not is_date and (is_known or _is_out_of_place(value, n, others)):
            return level_text(value), n / len(values)
    return None


def _is_out_of_place(value: float, n: int, others: NDArray[np.float64]) -> bool:
    """Whether a number that may be right elsewhere can hardly be among the others (in order) of a column.

    Examples
    --------
    >>> pressure, answers = np.linspace(60.0, 100.0, 60), np.repeat(np.arange(1.0, 6.0), 20)
    >>> [_is_out_of_place(*own) for own in ((0.0, 6, pressure), (-1.0, 6, pressure), (9.0, 6, answers))]
    [True, True, True]
    >>> _is_out_of_place(0.0, 6, np.linspace(1.0, 110.0, 60)), _is_out_of_place(6.0, 6, answers)
    (False, False)
    """
    if value not in (-1.0, 0.0, 9.0):
        return False
    levels = np.unique(others)
    if value == 9.0:
        are_answers = (
            len(levels) == levels[-1] - levels[0] + 1 and levels[0] in (0.0, 1.0) and len(levels) > 2
        )
        return bool(are_answers and value - levels[-1] >= thresholds.FOR_MISSING_ANSWERS_GAP)
    if len(levels) < thresholds.FOR_MISSING_LEVELS or levels[0] < 0:
        return False
    if value == -1.0:
        return n >= thresholds.FOR_MISSING_TIMES * len(others) / len(levels)
    if n > thresholds.FOR_MISSING_ZERO_MOST * (n + len(others)):
        return False
    low, middle, high = np.quantile(others, [0.25, 0.5, 0.75])
    is_far = middle >= thresholds.FOR_MISSING_ZERO_DISTANCE * (high - low) / 1.349
    return bool(is_far and levels[0] >= thresholds.FOR_MISSING_ZERO_NEXT * middle)


def _missing_note(where: str) -> Note:
    text = (
        f"{where}, apart from all other values: such a value often stands for a missing one. If it does, "
        "pass None instead."
    )
    return Note(code="stands-for-missing", text=text, is_warning=True)


# --------------------------------------------------------------------------------------- a row of sums


def totals_row(table: Table) -> tuple[Note, ...]:
    """Return a warning if the last row holds the sums, or the averages, of the rows above."""
    last = np.array([table.n_rows - 1], dtype=np.intp)
    if table.n_rows < thresholds.TOTALS_FEWEST_ROWS or hasattr(table.X, "tocsc"):
        return ()
    columns = table.facts.columns
    numeric, y = table.facts.of_kind("numeric"), np.asarray(table.targets, dtype=np.float64)
    has_number = not table.is_classification and table.n_targets == 1
    for what, luck_of, at in (
        ("sums", _luck_of_sum, _largest(table, numeric, last)),
        ("averages", _luck_of_average, numeric[:_MOST_SUMMED]),
    ):
        lucks = [(columns[j].name, luck_of(column)) for j, column in whole_columns(table, at)]
        found = [name for name, own in lucks if own < 1.0]
        of_target = ["the target"] * (has_number and (last_luck := luck_of(y[:, 0])) < 1.0)
        luck = math.prod(own for _, own in lucks) * (last_luck if of_target else 1.0)
        is_called = bool(found or of_target) and _is_called_total(table, last)
        if luck > thresholds.TOTALS_LUCK and not is_called:
            continue
        where = joined([*([named(found)] if found else []), *of_target])
        row = original_rows(table, last)[0]
        text = (
            f"the last row (row {row}) holds the {what} of the rows above in {where}: a line of totals? "
            "Leave it out."
        )
        return (Note(code="totals-row", text=text, is_warning=True),)
    return ()


def _largest(table: Table, numeric: list[int], last: NDArray[np.intp]) -> list[int]:
    """Return columns of numbers from 0 on whose last value is the largest."""
    if not numeric or table.span is None:
        return []
    low, high = (np.asarray(end, dtype=np.float64) for end in table.span)
    at = np.array(numeric, dtype=np.intp)
    largest = np.flatnonzero((some_numbers(table.X, last, at)[0] == high) & (low >= 0) & (high > 0))
    return [numeric[i] for i in largest[:_MOST_SUMMED]]


def _luck_of_sum(column: NDArray[np.float64]) -> float:
    """Return how likely it is by luck that the last value is the sum of many others; 1 where it is not."""
    others = column[:-1][np.isfinite(column[:-1])]
    is_many = np.count_nonzero(others) >= thresholds.TOTALS_FEWEST_ROWS - 1
    off = abs(float(others.sum()) - float(column[-1]))
    is_sum = is_many and (others >= 0).all() and off <= thresholds.TOTALS_OFF * float(column[-1])
    return thresholds.TOTALS_OFF if is_sum else 1.0


def _luck_of_average(column: NDArray[np.float64]) -> float:
    """Return how likely it is by luck that the last value is the mean of many others; 1 where it is not.

    It may be rounded: as likely as it is in a normal distribution that a value falls so near to the mean; and
    as many other rows as have it, as where means stand for missing values.

    Examples
    --------
    >>> ages = np.random.default_rng(0).normal(40, 9, size=300).round(1)
    >>> lasts = ages.mean(), ages.mean().round(2), 45.0
    >>> [bool(_luck_of_average(np.r_[ages, last]) < 0.002) for last in lasts]
    [True, True, False]
    """
    others = column[:-1][np.isfinite(column[:-1])]
    last, sd = float(column[-1]), float(others.std()) if len(others) else 0.0
    if len(others) < thresholds.TOTALS_FEWEST_ROWS - 1 or not np.isfinite(last) or sd == 0:
        return 1.0
    n_digits = next((digits for digits in range(7) if round(last, digits) == last), 17)
    most = max(0.5 * 10.0**-n_digits, thresholds.TOTALS_OFF * sd)
    is_average = abs(float(others.mean()) - last) <= (1 + 1e-9) * most
    luck = max(2 * most / (sd * math.sqrt(2 * math.pi)), float(np.mean(others == last)))
    return min(luck, 1.0) if is_average else 1.0


def _is_called_total(table: Table, last: NDArray[np.intp]) -> bool:
    """Whether a text of the last row says so."""
    X: Any = table.X
    texts = (X.iloc[last[0], j] for j in table.facts.of_kind("categorical"))
    return any(str(text).strip().casefold() in _TOTALS + _AVERAGES for text in texts)
