"""A point in time by which work has to end."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TypeVar

Result = TypeVar("Result")


class OutOfTimeError(Exception):
    """A deadline came in work that has nothing to show before it is finished."""


@dataclass(frozen=True, kw_only=True)
class Deadline:
    """A point on the monotonic clock; work checks it between epochs and folds.

    Deadlines made from one another end together when one of them is cancelled, as Ctrl-C does.

    A patient one is for work that nobody gave a number of seconds: where other programs keep the processor
    busy, it waits until this process has had its seconds of it, or until `latest_s`.

    >>> Deadline.never().expired()
    False
    >>> Deadline.after(0.0).expired()
    True
    """

    at_s: float
    #: On the clock of the processor: what this process has to have used besides; and the end of patience.
    processor_at_s: float = -math.inf
    latest_s: float = math.inf
    _cancelled: threading.Event = field(default_factory=threading.Event, repr=False, compare=False)

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        """Return the deadline `seconds` from now."""
        return cls(at_s=time.monotonic() + seconds)

    @classmethod
    def patient(cls, at_s: float, *, latest_s: float) -> Deadline:
        """Return the deadline at `at_s`, put off while the processor is kept busy by others."""
        left_s = at_s - time.monotonic()
        return cls(at_s=at_s, processor_at_s=time.process_time() + left_s, latest_s=max(at_s, latest_s))

    @classmethod
    def never(cls) -> Deadline:
        """Return a deadline that does not expire."""
        return cls(at_s=math.inf)

    def __reduce__(self) -> tuple[Callable[[float], Deadline], tuple[float]]:
        # Clocks of other machines differ: what is sent is the time that is left.
        return Deadline.after, (self.left_s,)

    @property
    def left_s(self) -> float:
        """Seconds left, at least 0; infinite if there is no limit."""
        if self.is_cancelled:
            return 0.0
        now = time.monotonic()
        left_s = max(self.at_s - now, self.processor_at_s - time.process_time())
        return max(0.0, min(left_s, self.latest_s - now))

    @property
    def is_finite(self) -> bool:
        """Whether there is a limit at all."""
        return math.isfinite(self.at_s)

    @property
    def is_cancelled(self) -> bool:
        """Whether work has to end now, whatever the clock says."""
        return self._cancelled.is_set()

    def expired(self) -> bool:
        """Whether the time is up."""
        return self.left_s <= 0

    def check(self) -> None:
        """Raise OutOfTimeError if it is."""
        if self.expired():
            raise OutOfTimeError

    def cancel(self) -> None:
        """Let this deadline, and all that were made from it, expire now."""
        self._cancelled.set()

    def earlier(self, seconds: float) -> Deadline:
        """Return a deadline `seconds` before this one, to leave time for what comes after.

        >>> whole = Deadline.never()
        >>> part = whole.earlier(1.0)
        >>> whole.cancel()
        >>> part.expired()
        True
        """
        return replace(
            self,
            at_s=self.at_s - seconds,
            processor_at_s=self.processor_at_s - seconds,
            latest_s=self.latest_s - seconds,
        )


def finished(
    work: Callable[[], Result], deadline: Deadline, *, is_lost: Callable[[], bool] = lambda: True
) -> Result:
    """Return what work gives. Ctrl-C that would lose results cancels the deadline, and the work starts over.

    `is_lost`: whether there are results. A second Ctrl-C loses them.

    >>> presses = iter([KeyboardInterrupt])
    >>> def compare():
    ...     for press in presses:
    ...         raise press
    ...     return "L2"
    >>> deadline = Deadline.never()
    >>> finished(compare, deadline), deadline.is_cancelled
    ('L2', True)
    """
    try:
        return work()
    except KeyboardInterrupt:
        if not is_lost():
            raise
        deadline.cancel()
        return work()


#: For work that may take as long as it takes, and that nobody cancels.
NEVER = Deadline.never()
