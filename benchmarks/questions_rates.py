"""Shares with Wilson intervals, as lines of a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from scipy.stats import binomtest

HEADER = "| check | on | share | 95% interval | wanted | |\n|---|---|---|---|---|---|"


@dataclass(frozen=True, kw_only=True)
class Rate:
    """How often something happened in independent tries, and how often it should.

    Attributes
    ----------
    check, on : str
        What was counted, and on which data.
    hits, tries : int
    wanted : float
        The share it should reach.
    side : {"at least", "at most", "shown"}
        ``"shown"``: reported without a bound.
    detail : str
        What else there is to know, as the data sets that missed.
    """

    check: str
    on: str
    hits: int
    tries: int
    wanted: float = 0.0
    side: Literal["at least", "at most", "shown"] = "shown"
    detail: str = ""

    @property
    def share(self) -> float:
        """Hits over tries."""
        return self.hits / self.tries

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95% interval of the share (Wilson 1927, J. Am. Stat. Assoc. 22:209)."""
        found = binomtest(self.hits, self.tries).proportion_ci(0.95, method="wilson")
        return float(found.low), float(found.high)

    @property
    def holds(self) -> bool | None:
        """Whether the share is on the wanted side; None where nothing is wanted."""
        if self.side == "shown":
            return None
        return self.share >= self.wanted if self.side == "at least" else self.share <= self.wanted

    def line(self) -> str:
        """Return the row of the table."""
        low, high = self.interval
        bound = "" if self.side == "shown" else f"{'≥' if self.side == 'at least' else '≤'} {self.wanted:.0%}"
        verdict = {None: "", True: "yes", False: "**no**"}[self.holds]
        cells = [self.check, self.on, f"{self.hits} of {self.tries} ({self.share:.0%})"]
        cells += [f"{low:.0%}–{high:.0%}", bound, f"{verdict} {self.detail}".strip()]
        return f"| {' | '.join(cells)} |"


def table(rates: Iterable[Rate]) -> str:
    """Return the whole table."""
    return "\n".join([HEADER, *(rate.line() for rate in rates)])


def counted(replies: Iterable[object]) -> str:
    """Return how often each reply came, most frequent first.

    Examples
    --------
    >>> counted(["yes", "no", "yes"])
    'yes 2, no 1'
    """
    return ", ".join(f"{reply} {count}" for reply, count in Counter(replies).most_common())
