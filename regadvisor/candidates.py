"""Candidates as data: a kind of regularizer with the ranges its strengths are searched in."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from regadvisor.regularizer import Coupling, Kind, Regularizer


@dataclass(frozen=True, kw_only=True)
class Range:
    """An interval of strengths, searched on a log scale unless `is_log` is false.

    `hard_low` and `hard_high` are the limits to which the search goes on where the best lies on the edge.
    """

    low: float
    high: float
    is_log: bool = True
    hard_low: float = 0.0
    hard_high: float = math.inf

    @property
    def limits(self) -> tuple[float, float]:
        """The least and the largest strength that may be searched: 12 decades off at most."""
        low, high = min(self.hard_low, self.low), max(self.hard_high, self.high)
        return (max(low, self.low * 1e-12), min(high, self.high * 1e12)) if self.is_log else (low, high)

    def at(self, share: float) -> float:
        """Return the strength at `share` of the way from low (0) to high (1).

        >>> round(Range(low=0.01, high=1.0).at(0.5), 6)
        0.1
        """
        if self.is_log:
            return float(math.exp(math.log(self.low) + share * (math.log(self.high) - math.log(self.low))))
        return self.low + share * (self.high - self.low)

    def share(self, strength: float) -> float:
        """Return where a strength lies on the way from low (0) to high (1).

        >>> Range(low=0.01, high=1.0).share(0.1), Range(low=0.01, high=1.0).share(7.0)
        (0.5, 1.0)
        """
        at, low, high = strength, self.low, self.high
        if self.is_log:
            at, low, high = math.log(at), math.log(low), math.log(high)
        return min(1.0, max(0.0, (at - low) / (high - low)))

    def times(self, factor: float) -> Range:
        """Return the range of strengths that are so many times as large."""
        ends = ("low", "high", "hard_low", "hard_high")
        return replace(self, **{end: factor * getattr(self, end) for end in ends})


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A kind, the ranges of its strengths, and the strengths to try first.

    `portfolio` holds points in order of promise; a short search tries only its beginning.
    The baseline has no ranges and one empty point.
    """

    kind: Kind
    coupling: Coupling
    ranges: dict[str, Range] = field(default_factory=dict)
    portfolio: tuple[dict[str, float], ...] = ({},)

    def regularizer(self, strengths: dict[str, float]) -> Regularizer:
        """Return the regularizer of this kind with the given strengths."""
        return Regularizer(**strengths, coupling=self.coupling)

    def times(self, factors: Mapping[str, float]) -> Candidate:
        """Return the candidate with strengths that are so many times as large, by their names."""
        ranges = {name: own.times(factors.get(name, 1.0)) for name, own in self.ranges.items()}
        points = [
            {name: factors.get(name, 1.0) * value for name, value in point.items()}
            for point in self.portfolio
        ]
        return replace(self, ranges=ranges, portfolio=tuple(points))

    def within(self, given: Mapping[str, Range]) -> Candidate:
        """Return the candidate with these ranges instead; points keep their places between the ends."""
        ranges = {name: given.get(name, own) for name, own in self.ranges.items()}
        points = [
            {
                name: ranges[name].at(own.share(point[name])) if name in given else point[name]
                for name, own in self.ranges.items()
            }
            for point in self.portfolio
        ]
        return replace(self, ranges=ranges, portfolio=tuple(points))
