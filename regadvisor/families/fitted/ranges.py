"""Ranges and portfolios in other units, or between other ends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from regadvisor.candidates import Candidate, Range
from regadvisor.regularizer import Kind


def scaled(found: Mapping[Kind, Candidate], factors: Mapping[str, float]) -> Mapping[Kind, Candidate]:
    """Return candidates whose strengths are so many times as large.

    Examples
    --------
    >>> from regadvisor.families.neural.strengths import candidate
    >>> scaled({"l2": candidate("l2")}, {"l2": 10.0})["l2"].portfolio[0]
    {'l2': 0.03}
    """

    def wider(name: str, own: Range) -> Range:
        by = factors.get(name, 1.0)
        return replace(
            own,
            low=own.low * by,
            high=own.high * by,
            hard_low=own.hard_low * by,
            hard_high=own.hard_high * by,
        )

    return {
        kind: replace(
            candidate,
            ranges={name: wider(name, own) for name, own in candidate.ranges.items()},
            portfolio=tuple(
                {name: value * factors.get(name, 1.0) for name, value in point.items()}
                for point in candidate.portfolio
            ),
        )
        for kind, candidate in found.items()
    }


def ranged(
    found: Mapping[Kind, Candidate], ranges: Mapping[str, tuple[float, float]]
) -> Mapping[Kind, Candidate]:
    """Return candidates with other ranges; points keep their places between the ends.

    Examples
    --------
    >>> from regadvisor.families.neural.strengths import candidate
    >>> ranged({"l2": candidate("l2")}, {"l2": (1.0, 100.0)})["l2"].ranges["l2"].high
    100.0
    """
    given = {
        name: Range(low=low, high=high, is_log=name != "dropout", hard_low=low, hard_high=high)
        for name, (low, high) in ranges.items()
    }

    def moved(candidate: Candidate) -> Candidate:
        points = tuple(
            {
                name: given[name].at(_share(candidate.ranges[name], value)) if name in given else value
                for name, value in point.items()
            }
            for point in candidate.portfolio
        )
        own = {name: given.get(name, each) for name, each in candidate.ranges.items()}
        return replace(candidate, ranges=own, portfolio=points)

    return {kind: moved(candidate) for kind, candidate in found.items()}


def _share(own: Range, value: float) -> float:
    """Return where a strength lies in a range, from 0 to 1."""
    low, high, at = np.log([own.low, own.high, value]) if own.is_log else (own.low, own.high, value)
    return float(np.clip((at - low) / (high - low), 0.0, 1.0))
