"""Values that are no measurements: 9999 for a missing one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from regadvisor import thresholds
from regadvisor.records import Note
from regadvisor.traps.identifiers import name_parts
from regadvisor.traps.view import View, as_written
from regadvisor.words import counted, level_text

#: Numbers that people write for a missing value, and what programs and formats put there.
_NUMBERS = frozenset(
    [-9.0, -999.25, 32767.0, -32768.0, 2.0**31 - 1, -(2.0**31), 1e20, -1e20]
    + [sign * float("9" * digits) for sign in (1, -1) for digits in range(2, 10)]
)
#: The first and last days of calendars and programs, by their microseconds since 1970.
_DAYS = "0001-01-01 1753-01-01 1800-01-01 1899-12-30 1899-12-31 1900-01-01 1901-01-01 1970-01-01 2099-12-31"
_DATES = {
    float(np.datetime64(day, "us").astype(np.int64)): day
    for day in (*_DAYS.split(), "2100-01-01", "2999-12-31", "9999-12-31")
}
#: Columns that a note describes.
_MOST_SHOWN = 3


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
        if own is not None and not (own[0] == "0" and name_parts(view.name(i)) & thresholds.SHARE_PARTS):
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

    >>> pressure, answers = np.linspace(60.0, 100.0, 60), np.repeat(np.arange(1.0, 6.0), 20)
    >>> [_is_out_of_place(*own) for own in ((0.0, 6, pressure), (-200.0, 6, pressure), (9.0, 6, answers))]
    [True, True, True]
    >>> _is_out_of_place(0.0, 6, np.linspace(1.0, 110.0, 60)), _is_out_of_place(6.0, 6, answers)
    (False, False)
    """
    if value > 0 and value != 9.0:
        return False
    levels = np.unique(others)
    if value == 9.0:
        are_answers = (
            len(levels) == levels[-1] - levels[0] + 1 and levels[0] in (0.0, 1.0) and len(levels) > 2
        )
        return bool(are_answers and value - levels[-1] >= thresholds.FOR_MISSING_ANSWERS_GAP)
    if len(levels) < thresholds.FOR_MISSING_LEVELS or levels[0] < 0:
        return False
    if value < 0:  # features that were standardised have no whole number there
        return value % 1 == 0 and n >= thresholds.FOR_MISSING_TIMES * len(others) / len(levels)
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
