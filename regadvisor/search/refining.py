"""Where to look next: between the strengths that were tried, and at mixes of what is best alone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from regadvisor.candidates import Range

#: Strengths closer than this factor to a tried one are not tried again: losses are flat around their best.
CLOSEST = 1.4
#: Two strengths move together, by this factor; so does a single one that has no tried neighbour.
STEP = 2.0
#: Share of its best strength alone that a penalty gets beside another regularizer: two do the work of one.
#: Dropout stays whole. For linear models, 2% more of the 67 data sets that this was decided on came within
#: half a percent of the best. For networks it changed 28 of 103 runs, 12 to the worse, at 9% more time: not
#: theirs.
MIXED_SHARE = 0.5


def between(
    ranges: Mapping[str, Range], best: Mapping[str, float], tried: Sequence[Mapping[str, float]]
) -> list[dict[str, float]]:
    """Return points on both sides of the best strengths, within the ranges and apart from what was tried.

    A single strength goes half way (in its logarithm) to its tried neighbours; of two, the penalties move
    together by a factor `STEP` and dropout stays.

    Parameters
    ----------
    ranges : mapping of str to Range
        By name of the strength; those on a log scale are penalties.
    best : mapping of str to float
    tried : sequence of mapping of str to float
        All strengths tried so far, the best among them.

    Examples
    --------
    >>> span = Range(low=0.01, high=10.0)
    >>> tried = [{"l1": 0.03}, {"l1": 0.12}, {"l1": 0.48}]
    >>> [round(point["l1"], 3) for point in between({"l1": span}, {"l1": 0.12}, tried)]
    [0.24, 0.06]
    >>> between({"l1": span}, {"l1": 0.12}, [{"l1": 0.12 * 1.9**k} for k in (-1, 0, 1)])
    []
    """
    moving = [name for name, span in ranges.items() if span.is_log] or list(ranges)
    points = []
    for is_up in (True, False):
        factor = _factor(moving[0], best, tried, is_up=is_up) if len(ranges) == 1 else STEP
        factor = factor if is_up else 1.0 / factor
        point = dict(best)
        for name in moving:
            span = ranges[name]
            point[name] = min(max(best[name] * factor, span.low), span.high)
        if not any(_is_near(point, other) for other in tried):
            points.append(point)
    return points


def mixed(
    ranges: Mapping[str, Range], alone: Mapping[str, float], tried: Sequence[Mapping[str, float]]
) -> list[dict[str, float]]:
    """Return the point that combines the strengths best alone, unless it was as good as tried.

    Parameters
    ----------
    ranges : mapping of str to Range
        By name of the strength; those on a log scale are penalties.
    alone : mapping of str to float
        The best strength of every kind that has no other. Without one of the parts there is no mix.
    tried : sequence of mapping of str to float

    Examples
    --------
    >>> span = Range(low=0.01, high=10.0)
    >>> mixed({"l1": span, "l2": span}, {"l1": 0.1, "l2": 4.0, "dropout": 0.2}, [])
    [{'l1': 0.05, 'l2': 2.0}]
    >>> mixed({"l1": span, "l2": span}, {"l1": 0.1}, [])
    []
    """
    if not ranges.keys() <= alone.keys():
        return []
    point = {
        name: min(max(alone[name] * (MIXED_SHARE if span.is_log else 1.0), span.low), span.high)
        for name, span in ranges.items()
    }
    return [] if any(_is_near(point, other) for other in tried) else [point]


def _factor(
    name: str, best: Mapping[str, float], tried: Sequence[Mapping[str, float]], *, is_up: bool
) -> float:
    """Return how far to go: half way (as a factor) to the next tried strength, `STEP` if there is none."""
    ratios = [other[name] / best[name] for other in tried]
    ahead = [ratio if is_up else 1.0 / ratio for ratio in ratios if (ratio > 1.0) == is_up and ratio != 1.0]
    return math.sqrt(min(ahead)) if ahead else STEP


def _is_near(point: Mapping[str, float], other: Mapping[str, float]) -> bool:
    """Whether every strength of a point is within a factor `CLOSEST` of another's."""
    return all(abs(math.log(point[name] / other[name])) < math.log(CLOSEST) for name in point)
