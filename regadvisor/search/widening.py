"""Wider ranges for strengths whose best value lies on the edge of what was searched."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from regadvisor import thresholds
from regadvisor.candidates import Range


def covering(span: Range, values: Sequence[float]) -> Range:
    """Return the range, stretched to hold the given values.

    Examples
    --------
    >>> covering(Range(low=0.1, high=1.0), [0.5, 3.0])
    Range(low=0.1, high=3.0, is_log=True, hard_low=0.0, hard_high=inf)
    """
    return replace(span, low=min(span.low, *values, span.high), high=max(span.high, *values, span.low))


def widened(
    ranges: Mapping[str, Range], best: Mapping[str, float], *, may_go_down: bool
) -> tuple[dict[str, Range], list[dict[str, float]]]:
    """Widen the ranges on whose edge the best strengths lie.

    Parameters
    ----------
    ranges : mapping of str to Range
        By name of the strength.
    best : mapping of str to float
        The best strengths so far.
    may_go_down : bool
        Whether a lower edge may be moved, too.

    Returns
    -------
    ranges : dict of str to Range
        All of them, widened or not.
    points : list of dict of str to float
        Where to look in what was added: its middle and its end, the other strengths at their best.

    Examples
    --------
    >>> ranges, points = widened({"l2": Range(low=0.01, high=1.0)}, {"l2": 0.9}, may_go_down=False)
    >>> ranges["l2"].high, [round(point["l2"], 6) for point in points]
    (10.0, [3.162278, 10.0])
    """
    wider = dict(ranges)
    points: list[dict[str, float]] = []
    for name, span in ranges.items():
        edge = _new_edge(name, span, best[name], may_go_down=may_go_down)
        if edge is None:
            continue
        is_above = edge > span.high
        added = (
            replace(span, low=span.high, high=edge) if is_above else replace(span, low=edge, high=span.low)
        )
        wider[name] = replace(span, high=edge) if is_above else replace(span, low=edge)
        points += [{**best, name: value} for value in (added.at(0.5), edge)]
    return wider, points


def _new_edge(name: str, span: Range, best: float, *, may_go_down: bool) -> float | None:
    """Return where the edge goes that `best` lies on; None if it lies inside, or the edge cannot move."""
    low, high = span.low, span.high
    if low >= high:
        return None
    if span.is_log:
        share = math.log(best / low) / math.log(high / low)
        lower, higher = low / thresholds.WIDEN_FACTOR, high * thresholds.WIDEN_FACTOR
    else:
        share = (best - low) / (high - low)
        step = thresholds.WIDEN_SHARE * (high - low)
        lower, higher = low - step, high + step
    if share >= 1 - thresholds.EDGE_SHARE:
        top = min(span.hard_high, thresholds.HIGHEST_DROPOUT) if name == "dropout" else span.hard_high
        return min(higher, top) if top > high else None
    if share <= thresholds.EDGE_SHARE and may_go_down:
        # A strength of 0 would be another kind: the edge never gets there.
        bottom = max(lower, span.hard_low)
        return bottom if 0 < bottom < low else None
    return None
