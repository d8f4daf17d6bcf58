"""Times that had not ended when watching ended (censored), told by the names of two columns.

Values alone do not show it. Of 1,800 tables of R packages 34 have a column of each kind of name, with two or
three values in the first: 33 hold times until an event, one holds terms of loans.
"""

from __future__ import annotations

import re

from regadvisor.records import Note
from regadvisor.traps.view import View
from regadvisor.words import shown

_EVENT = re.compile(
    r"(event|status|censor(ed|ing)?\d?|cens|dead|death|died|fail(ed|ure)?|relapsed?|delta|fustat)",
    re.IGNORECASE,
)
_TIME = re.compile(
    r"(time|futime|stime|surv(ival)?_?time|survival|duration|spell|follow_?up|os|pfs)", re.IGNORECASE
)
#: An event, none, and another one or a missing value.
_MOST_LEVELS = 3


def censored(view: View) -> tuple[Note, ...]:
    """Return a warning where the target is a time of which another column says whether it had ended.

    Or where it is that other column, and the time is among the features.
    """
    target = view.table.facts.target_name
    if not isinstance(target, str) or view.table.n_targets > 1:
        return ()
    if view.table.is_classification:
        if not _means(target, _EVENT) or view.table.n_classes > _MOST_LEVELS:
            return ()
        times = [j for j in view.varying.tolist() if not view.is_category[j] and _is_time(view, j)]
        return (_known_later(view, times[0], target),) if times else ()
    events = [
        j for j in view.varying.tolist() if view.n_levels[j] <= _MOST_LEVELS and _means(view.name(j), _EVENT)
    ]
    is_time = _means(target, _TIME) and float(view.targets.min()) >= 0
    return (_cut_short(view, events[0], target),) if is_time and events else ()


def _means(name: str | int, words: re.Pattern[str]) -> bool:
    """Whether a name is one of the words, alone or as in "death_event" and "survival.time"."""
    whole = re.sub(r"[\s.\-]+", "_", str(name).strip())
    return bool(words.fullmatch(whole)) or all(words.fullmatch(part) for part in whole.split("_"))


def _is_time(view: View, j: int) -> bool:
    return _means(view.name(j), _TIME) and view.n_levels[j] > _MOST_LEVELS and not view.is_date[j]


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
