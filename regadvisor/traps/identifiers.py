"""Columns that number the rows, or date them."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from regadvisor import thresholds
from regadvisor.records import Note
from regadvisor.traps.view import View, is_by_target, is_sorted

#: Rows of a column that are read.
_MOST_ROWS = 100_000


def identifiers(view: View) -> dict[int, NDArray[np.float64]]:
    """Return the columns of numbers or dates that count the rows up: all their values, by position.

    A rank counts rows up as well, but goes with the target where the row order does not.
    """
    if view.table.facts.n_features == 1 and not view.is_date.any():
        return {}
    is_whole, repeated = view.is_whole & ~view.is_category, thresholds.IDENTIFIER_REPEATED
    numbers = [j for j in view.varying if is_whole[j] and view.n_levels[j] >= (1 - repeated) * len(view.rows)]
    wholes = {int(j): view.whole(int(j))[:_MOST_ROWS] for j in numbers}
    wholes = {j: own[~np.isnan(own)] for j, own in wholes.items()}
    return {j: own for j, own in wholes.items() if _counts_up(view, j, own)}


def _counts_up(view: View, j: int, column: NDArray[np.float64]) -> bool:
    """Whether a column whose values hardly repeat counts rows up, by its values, its name or its order."""
    if len(column) < thresholds.IDENTIFIER_FEWEST_ROWS:
        return False
    if view.is_date[j]:  # months are near one another, but dates in the order of the rows are time
        return numbers_rows(column) or is_sorted(column)
    is_rank = bool(name_parts(view.name(j)) & thresholds.RANK_PARTS)
    return _is_named(view.name(j)) or (numbers_rows(column) and not (is_rank or _is_rank(view, j, column)))


def _is_named(name: str | int) -> bool:
    """Whether a name is that of an identifier.

    >>> [_is_named(name) for name in ("ID", "patientId", "Obs.", "no", "number of rooms", "paid", 3)]
    [True, True, True, True, False, False, False]
    """
    parts = name_parts(name)
    return bool(parts & thresholds.IDENTIFIER_PARTS or (parts and parts <= thresholds.IDENTIFIER_NAMES))


def _is_rank(view: View, j: int, column: NDArray[np.float64]) -> bool:
    """Whether a column that is in no order of the rows goes with the target."""
    if is_sorted(column):
        return False
    is_there = np.isfinite(view.values[:, j])
    values, targets = view.values[is_there, j], view.targets[is_there]
    if view.table.is_classification:
        classes = [values[targets[:, 0] == code] for code in np.unique(targets[:, 0])]
        chances = [stats.kruskal(*classes).pvalue] if len(classes) > 1 else []
    else:
        chances = [stats.spearmanr(values, y).pvalue for y in targets.T]
    return any(chance < thresholds.IDENTIFIER_CHANCE for chance in chances)


def notes_on_identifiers(view: View, numbered: Mapping[int, NDArray[np.float64]]) -> tuple[Note, ...]:
    """Return warnings about columns that count the rows up: numbers name them, dates put them in order.

    Text that is different in almost every row is noted where columns are read (``"looks-like-id"``).
    """
    times = {j: what for j, own in numbered.items() if (what := _what_time(view, j, own))}
    others = [j for j in numbered if j not in times]
    has_time = view.table.facts.has_time
    in_order = all(is_sorted(numbered[j]) for j in others)
    notes = []
    if times and not has_time:
        notes.append(_dates_note(view, *next(iter(times.items()))))
    elif not has_time and (parts := _dated_by_parts(view)):
        text = (
            f"Each row has its own time in {view.names(parts)}. If later rows are to be predicted from "
            "earlier ones, join them into one column and pass its name as time=."
        )
        notes.append(Note(code="dates-rows", text=text, is_warning=True))
    return (*notes, *([_note(view, others, is_sorted=in_order)] if others else []))


def _what_time(view: View, j: int, column: NDArray[np.float64]) -> str:
    """Return what time each row has in a column that counts the rows up: a date, a year, another, or none."""
    first, last = thresholds.YEARS
    if view.is_date[j] or (first <= column.min() and column.max() <= last):
        return "date" if view.is_date[j] else "year"
    return "time" * (is_sorted(column) and names_time(view.name(j), is_of_panel=True))


def _dated_by_parts(view: View) -> list[int]:
    """Return columns that date the rows together, as year and month do, each row after the one before it.

    Or each is earlier. The largest unit comes first.
    """
    by_unit: dict[int, list[int]] = {}
    for j in np.flatnonzero(view.is_whole & ~view.is_category & ~view.is_date).tolist():
        words = name_parts(view.name(j))
        units = [unit for unit, names in enumerate(thresholds.UNITS_OF_TIME) if words & names]
        if len(units) == 1:
            by_unit.setdefault(units[0], []).append(j)
    parts = [by_unit[unit][0] for unit in sorted(by_unit)]
    if len(parts) < 2 or view.table.n_rows < thresholds.IDENTIFIER_FEWEST_ROWS:
        return []
    steps = np.diff([view.whole(j)[:_MOST_ROWS] for j in parts]).T
    first = steps[np.arange(len(steps)), (steps != 0).argmax(axis=1)]
    return parts if (first > 0).all() or (first < 0).all() else []


def numbers_rows(column: NDArray[np.float64]) -> bool:
    """Whether a column counts rows up, in any order and with gaps.

    Whole numbers that measure something fall on the same value now and then: n of them, spread over m values,
    share about n²/2m, and more if they are not spread evenly. Numbers that share none, or next to none,
    where many are due, were given out one by one.

    >>> rng = np.random.default_rng(0)
    >>> numbers_rows(100.0 + 5 * rng.permutation(60)), numbers_rows(rng.integers(0, 10**6, size=60))
    (True, False)
    """
    values = np.sort(column)
    gaps = np.diff(values)
    n_shared, most = int((gaps == 0).sum()), thresholds.IDENTIFIER_REPEATED * len(values)
    if len(values) < thresholds.IDENTIFIER_FEWEST_ROWS or n_shared > most:
        return False
    step = float(np.gcd.reduce(gaps[gaps > 0].astype(np.int64))) if gaps.max() < 2.0**62 else 1.0
    due = len(values) ** 2 / 2 / ((values[-1] - values[0]) / step + 1)
    return bool(stats.poisson.cdf(n_shared, due) <= thresholds.IDENTIFIER_CHANCE)


def _dates_note(view: View, j: int, what: str) -> Note:
    add = "add features, such as earlier values of the target, and " * (view.table.facts.n_features == 1)
    text = (
        f"Each row has its own {what} in {view.names([j])}. If later rows are to be predicted from earlier "
        f"ones, {add}{view.passed(j, 'time')}."
    )
    return Note(code="dates-rows", text=text, is_warning=True)


def _note(view: View, found: list[int], *, is_sorted: bool) -> Note:
    names = view.names(found)
    count, them, are, it = ("numbers", "it", "it is", "it tells")
    if len(found) > 1:
        count, them, are, it = ("number", "them", "they are", "they tell")
    order = " in their order" if is_sorted else ""
    is_free = is_sorted and not view.table.facts.has_time
    by = view.passed(found[0], "time") if len(found) == 1 else "pass time="
    time = f", or {by} if {are} the order of time" if is_free else ""
    what = "an identifier teaches a model nothing about new rows"
    if is_sorted and is_by_target(view):
        what = f"as the rows are sorted by the target, {it} the target here, and nothing about new rows"
    return Note(
        code="numbers-rows",
        text=f"{names} {count} the rows{order}: {what}. Leave {them} out{time}.",
        is_warning=True,
    )


def names_time(name: str | int, *, is_of_panel: bool) -> bool:
    """Return whether a name is that of a duration, which is no source; in a panel, of any time.

    >>> [names_time(name, is_of_panel=True) for name in ("Time", "birthYear", "hr", "patient", 3)]
    [True, True, True, False, False]
    """
    times = thresholds.DURATION_PARTS
    return bool(name_parts(name) & (times | thresholds.TIME_PARTS if is_of_panel else times))


def name_parts(name: str | int) -> frozenset[str]:
    """Return the words that a name is made of, in small letters."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])|[\s.\-]+", "_", str(name).replace("%", "_pct"))
    return frozenset(spaced.strip("_").casefold().split("_"))
