"""Numbers that are no measurements: 9999 for a missing one, and a last row of sums."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from regadvisor import thresholds
from regadvisor.data.numbers import some_numbers
from regadvisor.data.table import Table
from regadvisor.records import Note
from regadvisor.traps.view import View, as_written, named, original_rows, whole_columns
from regadvisor.words import counted, level_text

#: Numbers that people write for a missing value, and what programs and formats put there.
_FOR_MISSING = np.array(
    [-9.0, -999.25, 32767.0, -32768.0, 2.0**31 - 1, -(2.0**31), 1e20, -1e20]
    + [sign * float("9" * digits) for sign in (1, -1) for digits in range(2, 8)]
)
#: Columns of which the sum is worked out, and columns that a note describes.
_MOST_SUMMED, _MOST_SHOWN = 5, 3
#: What a row of sums is called, in small letters.
_TOTALS = ("total", "totals", "grand total", "sum", "summe", "gesamt", "insgesamt", "somme", "suma", "totale")


def for_missing(view: View) -> tuple[tuple[Note, ...], tuple[int, ...]]:
    """Return a warning about numbers that stand for a missing value, and the columns of the table with them.

    Such a number is met often, at one end of its column, and much farther from all other values than these
    are from one another.
    """
    numeric = np.flatnonzero(~view.is_category & ~view.is_date)
    found: dict[int, tuple[float, float]] = {}
    for i in numeric[_may_hold(view.ordered[numeric])].tolist():
        own = _alone_at_an_end(view.ordered[i])
        if own is not None:
            found[i] = own
    notes = []
    if found:
        parts = [
            f"{view.names([i])} is {level_text(value)} in {share:.0%} of the rows"
            for i, (value, share) in list(found.items())[:_MOST_SHOWN]
        ]
        n_more = len(found) - _MOST_SHOWN
        parts += [f"so it is in {counted(n_more, 'more column')}"] if n_more > 0 else []
        notes.append(_missing_note("; ".join(parts)))
    if view.table.n_targets == 1 and (y := as_written(view.table, view.targets[:, 0])) is not None:
        own = _alone_at_an_end(np.sort(y))
        if own is not None:
            where = f"the target is {level_text(own[0])} in {own[1]:.0%} of the rows"
            notes.append(_missing_note(where))
    return tuple(notes), tuple(int(view.at[i]) for i in found)


def _may_hold(ordered: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which rows begin or end with one of the numbers; missing ones stand last."""
    n_present = ordered.shape[1] - np.isnan(ordered).sum(axis=1)
    last = ordered[np.arange(len(ordered)), np.maximum(n_present - 1, 0)]
    return np.asarray(np.isin(ordered[:, 0], _FOR_MISSING) | np.isin(last, _FOR_MISSING))


def _alone_at_an_end(ordered: NDArray[np.float64]) -> tuple[float, float] | None:
    """Return a number for missing values at an end of sorted values, and its share of them."""
    values = ordered[~np.isnan(ordered)]
    for value in values[[0, -1]].tolist() if len(values) else ():
        others = values[values != value]
        n = len(values) - len(others)
        if value not in _FOR_MISSING or n < max(
            thresholds.FOR_MISSING_ROWS, thresholds.FOR_MISSING_SHARE * len(values)
        ):
            continue
        if not len(others) or others[0] == others[-1]:
            continue
        gap = others[0] - value if value < others[0] else value - others[-1]
        if gap >= thresholds.FOR_MISSING_GAP * (others[-1] - others[0]):
            return value, n / len(values)
    return None


def _missing_note(where: str) -> Note:
    text = (
        f"{where}, far from all other values: such a number often stands for a missing one. If it does, pass "
        "None instead."
    )
    return Note(code="stands-for-missing", text=text, is_warning=True)


# --------------------------------------------------------------------------------------- a row of sums


def totals_row(table: Table) -> tuple[Note, ...]:
    """Return a warning if the last row holds the sums of the rows above."""
    last = np.array([table.n_rows - 1], dtype=np.intp)
    if table.n_rows < thresholds.TOTALS_FEWEST_ROWS or hasattr(table.X, "tocsc"):
        return ()
    columns = table.facts.columns
    summed = [columns[j].name for j in _summed(table, table.facts.of_kind("numeric"), last)]
    y: Any = table.targets
    if not table.is_classification and table.n_targets == 1 and _is_sum(y[:, 0]):
        summed.append(table.facts.target_name or "the target")
    if len(summed) < 2 and not (summed and _is_called_total(table, last)):
        return ()
    row = original_rows(table, last)[0]
    text = (
        f"the last row (row {row}) holds the sums of the rows above in {named(summed)}: a line of totals? "
        "Leave it out."
    )
    return (Note(code="totals-row", text=text, is_warning=True),)


def _summed(table: Table, numeric: list[int], last: NDArray[np.intp]) -> list[int]:
    """Return columns of numbers from 0 on whose last value is the sum of all others."""
    if not numeric or table.span is None:
        return []
    low, high = (np.asarray(end, dtype=np.float64) for end in table.span)
    at = np.array(numeric, dtype=np.intp)
    largest = np.flatnonzero((some_numbers(table.X, last, at)[0] == high) & (low >= 0) & (high > 0))
    few = [numeric[i] for i in largest[:_MOST_SUMMED]]
    return [j for j, column in whole_columns(table, few) if _is_sum(column)]


def _is_sum(column: NDArray[np.float64]) -> bool:
    """Whether the last value is the sum of many others, up to rounding."""
    others = column[:-1][np.isfinite(column[:-1])]
    is_many = np.count_nonzero(others) >= thresholds.TOTALS_FEWEST_ROWS - 1
    off = abs(float(others.sum()) - float(column[-1]))
    return bool(is_many and (others >= 0).all() and off <= thresholds.TOTALS_OFF * float(column[-1]))


def _is_called_total(table: Table, last: NDArray[np.intp]) -> bool:
    """Whether a text of the last row says so."""
    X: Any = table.X
    texts = (X.iloc[last[0], j] for j in table.facts.of_kind("categorical"))
    return any(str(text).strip().casefold() in _TOTALS for text in texts)
