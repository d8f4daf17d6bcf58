"""Times that had not ended when watching ended (censored), told by the names of two columns.

Values alone do not show it. Of 1,800 tables of R packages 34 have a column of each kind of name, with two or
three values in the first: 33 hold times until an event. Terms of loans, calendar years and the times at which
rows were written down are named alike.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regadvisor import thresholds
from regadvisor.records import Note
from regadvisor.traps.view import View
from regadvisor.words import shown


def censored(view: View, *, numbered: Collection[int] = ()) -> tuple[Note, ...]:
    """Return a warning where the target is a time of which another column says whether it had ended.

    Or where it is that other column, and the time is among the features.
    """
    target = view.table.facts.target_name
    if not isinstance(target, str) or view.table.n_targets > 1:
        return ()
    few = thresholds.CENSORED_MOST_LEVELS
    if view.table.is_classification:
        if view.table.n_classes > few or not _may_be_events(view.table.facts.classes or ()):
            return ()
        at = view.varying[~view.is_category[view.varying] & ~view.is_date[view.varying]]
        at = at[(view.n_levels[at] > few) & (view.ordered[at, 0] >= 0)]
        at = at[~np.isin(at, list(numbered))]
        times = [j for j in at if _are_a_pair(view.name(j), target) and not _are_set(view.values[:, j])]
        return (_known_later(view, times[0], target),) if times else ()
    y = view.targets[:, 0]
    if float(y.min()) < 0 or _are_set(y):
        return ()
    X: Any = view.table.X
    events = [
        j
        for j in view.varying[view.n_levels[view.varying] <= few]
        if _are_a_pair(target, view.name(j))
        and (not view.is_category[j] or _may_be_events(X.iloc[view.rows, view.at[j]].unique()))
    ]
    return (_cut_short(view, events[0], target),) if events else ()


def _are_a_pair(time: str | int, event: str | int) -> bool:
    """Whether two names are those of a time and of how it ended, of the same thing if they name one.

    Examples
    --------
    >>> _are_a_pair("OS_MONTHS", "OS_STATUS"), _are_a_pair("time_to_death", "death")
    (True, True)
    >>> _are_a_pair("delivery time", "order status"), _are_a_pair("price", "status")
    (False, False)
    """
    times, events = (name_parts(name) - thresholds.CENSORED_FILLERS for name in (time, event))
    rest, ended = times - thresholds.CENSORED_TIMES, events - thresholds.CENSORED_EVENTS
    # "time to death" and "death status" share what happened; so do "OS months" and "OS status".
    is_pair = bool(times & thresholds.CENSORED_TIMES) and bool(events & thresholds.CENSORED_EVENTS)
    same = rest - thresholds.CENSORED_EVENTS == ended - thresholds.CENSORED_TIMES
    is_known = rest <= thresholds.CENSORED_EVENTS and not ended
    return is_pair and (same or is_known)


def _may_be_events(values: Iterable[object]) -> bool:
    """Whether values are numbers, or one of the texts says that an event came or did not.

    Examples
    --------
    >>> _may_be_events([0, 1]), _may_be_events(["0:LIVING", "1:DECEASED"]), _may_be_events(["new", "used"])
    (True, True, False)
    """
    words = {word.casefold() for value in values for word in re.split(r"\W+", str(value))}
    return bool(words & thresholds.CENSORED_WORDS)


def names_time(name: str | int, *, is_of_panel: bool) -> bool:
    """Whether a name is that of a duration, which is no source; in a panel, of any time.

    Examples
    --------
    >>> [names_time(name, is_of_panel=True) for name in ("Time", "birthYear", "visit.no", "patient", 3)]
    [True, True, True, False, False]
    """
    times = thresholds.CENSORED_TIMES
    return bool(name_parts(name) & (times | thresholds.TIME_PARTS if is_of_panel else times))


def name_parts(name: str | int) -> frozenset[str]:
    """Return the words that a name is made of, in small letters."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])|[\s.\-]+", "_", str(name)).strip("_").casefold()
    whole = spaced.replace("_", "")
    known = thresholds.CENSORED_TIMES | thresholds.CENSORED_EVENTS
    return frozenset([whole] if whole in known else spaced.split("_"))


def _are_set(times: NDArray[np.float64]) -> bool:
    """Whether times did not end by themselves: terms, whole quarters of a year in months, or calendar years.

    Examples
    --------
    >>> _are_set(np.array([12.0, 24, 36, 18, 6])), _are_set(np.array([1998.0, 2003, 2011]))
    (True, True)
    >>> _are_set(np.arange(100.0))
    False
    """
    times = times[np.isfinite(times)]
    first, last = thresholds.YEARS
    is_year = (times >= first) & (times <= last) & (times == np.round(times))
    return bool(np.mean(times % 3 == 0) >= thresholds.CENSORED_TERMS or is_year.all())


def _cut_short(view: View, event: int, target: str) -> Note:
    text = (
        f"{view.names([event])} seems to say whether {shown(target)} had ended. Where it had not (censored), "
        "the target is too short, and a squared loss learns that: better use a survival model, such as Cox "
        "regression, which takes the same penalties."
    )
    return Note(code="censored-target", text=text, is_warning=True)


def _known_later(view: View, time: int, target: str) -> Note:
    text = (
        f"{view.names([time])} seems to be the time until {shown(target)} or until watching ended: it is "
        "known only afterwards. Leave it out, or use a survival model, such as Cox regression."
    )
    return Note(code="time-to-event", text=text, is_warning=True)
