"""A point in time by which work has to end."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Deadline:
    """A point on the monotonic clock; work checks it between epochs and folds.

    Examples
    --------
    >>> Deadline.never().expired()
    False
    >>> Deadline.after(0.0).expired()
    True
    """

    at_s: float

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        """Return the deadline `seconds` from now."""
        return cls(at_s=time.monotonic() + seconds)

    @classmethod
    def never(cls) -> Deadline:
        """Return a deadline that does not expire."""
        return cls(at_s=math.inf)

    @property
    def left_s(self) -> float:
        """Seconds left, at least 0; infinite if there is no limit."""
        return max(0.0, self.at_s - time.monotonic())

    def expired(self) -> bool:
        """Whether the time is up."""
        return time.monotonic() >= self.at_s

    def earlier(self, seconds: float) -> Deadline:
        """Return a deadline `seconds` before this one, to leave time for what comes after."""
        return Deadline(at_s=self.at_s - seconds)


#: For work that may take as long as it takes.
NEVER = Deadline.never()
