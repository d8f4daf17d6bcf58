"""What the name of a column says of it: that it is a time, or an identifier."""

from __future__ import annotations

import re

from regadvisor import thresholds


def names_time(name: str | int, *, is_of_panel: bool) -> bool:
    """Return whether a name is that of a duration, which is no source; in a panel, of any time.

    >>> [names_time(name, is_of_panel=True) for name in ("Time", "birthYear", "visit.no", "patient", 3)]
    [True, True, True, False, False]
    """
    times = thresholds.DURATION_PARTS
    return bool(name_parts(name) & (times | thresholds.TIME_PARTS if is_of_panel else times))


def name_parts(name: str | int) -> frozenset[str]:
    """Return the words that a name is made of, in small letters."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])|[\s.\-]+", "_", str(name)).strip("_").casefold()
    return frozenset(spaced.split("_"))
