"""Is a sample like the rows it was drawn from? Means and variances, against what a random draw may be off by.

A mean of drawn rows is off by luck. How far, has a closed form. Let `u` be a column with mean 0 over the
source. The mean of n of its N rows has the variance ``V = mean(u²) (1/n - 1/N)``, and Bernstein's inequality
bounds how far it strays: with probability 1 - 2 exp(-L) by no more than ::

    B L / 3 + √((B L / 3)² + 2 V L)        B = max|u| / n

It holds for draws without replacement too (Hoeffding 1963, J. Am. Stat. Assoc. 58:13, section 6), and for
rare values and long tails, which the normal approximation takes for surprises. For a mean `u` is the
standardised column, for a variance it is its square less 1. Where whole groups are drawn, groups are what is
drawn, and `u` is summed over each. L makes all columns together stay within their limits in 95% of draws.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from regadvisor import thresholds
from regadvisor.records import ColumnShift, ShiftTest
from regadvisor.sampling.encode import Encoded

Verdict = Literal["equivalent", "inconclusive", "different"]
Vector = NDArray[np.float64]

#: Columns that are told of, those that differ most.
_MOST_SHIFTS = 15
#: A limit below this is rounding: a stratified class share never differs between draws.
_ROUNDING = 1e-4


@dataclass(frozen=True, kw_only=True)
class Equivalence:
    """How far a sample is from the whole; differences in standard deviations of the whole."""

    test: ShiftTest
    worst_shift: float | None
    worst_column: str | None
    worst_log_variance_ratio: float | None
    shifts: tuple[ColumnShift, ...] = ()


@dataclass(frozen=True, kw_only=True, eq=False)
class Seen:
    """A sample, and rows that stand for the others of its source."""

    #: The rows that are seen.
    encoded: Encoded
    #: (n_seen,): what each row counts in the sample; 0 for the other rows.
    weight: Vector
    #: (n_seen,): the group of each row, where whole groups were drawn.
    unit: NDArray[np.intp] | None = None
    #: (n_seen,): how many rows of its group a row stands for; by default one.
    size: Vector | None = None
    #: Groups of the source if `unit` is given, else its rows.
    n_units: int
    #: Share of the source that the rows drawn are, or all rows of the groups drawn.
    share: float


def judge_moments(seen: Seen, *, what: str, from_others: bool = False) -> Equivalence:
    """Compare a sample with the finite population it was drawn from.

    *Equivalent*: every |standardised mean difference| ≤ 0.1 (Austin 2009) and |log variance ratio| ≤ log
    1.25, or within what a random draw keeps to. Else *inconclusive*.

    `what`: what is compared with what, for the evidence. `from_others`: report differences from the rows that
    are not in the sample, in the units of `seen.encoded`, instead of differences from the whole.
    """
    values = seen.encoded.values
    if not values.shape[1]:
        return identical(len(values))
    is_numeric = ~seen.encoded.is_indicator
    by_row, is_drawn = _parts(seen)
    weight = seen.weight / seen.weight.sum()
    mean, square = _moments(values, by_row)
    sd = np.sqrt(np.maximum(square - mean**2, 1e-12))
    z = values - np.asarray(mean, dtype=np.float32)
    z /= np.asarray(sd, dtype=np.float32)
    own_mean, own_square = _moments(z, weight)
    own_variance = own_square - own_mean**2
    limit, limit_ratio = (
        _limit(seen, u, by_row, is_drawn, n_columns=len(is_numeric) + int(is_numeric.sum()))
        for u in (z, np.square(z[:, is_numeric]) - np.float32(1.0))
    )
    names, variance = seen.encoded.names, own_variance[is_numeric]
    smd, ratio = own_mean, variance
    if from_others:
        others = np.where(seen.weight > 0, 0.0, by_row)
        rest_mean, rest_square = _moments(z, others / others.sum())
        smd = (own_mean - rest_mean) * sd
        ratio = (variance + 1e-6) / ((rest_square - rest_mean**2)[is_numeric] + 1e-6)
    off, off_ratio = np.abs(own_mean) > limit, np.abs(variance - 1.0) > limit_ratio
    return judged(names, is_numeric, np.abs(smd), ratio, what=what, is_beyond=(off, off_ratio))


def identical(n_rows: int) -> Equivalence:
    """Return the judgement of a sample that is everything."""
    text = f"the sample is all {n_rows:,} rows"
    test = ShiftTest(
        what="sample against the whole",
        verdict="equivalent",
        effect=0.0,
        unit="standard deviations",
        text=text,
    )
    return Equivalence(test=test, worst_shift=0.0, worst_column=None, worst_log_variance_ratio=0.0)


def _parts(seen: Seen) -> tuple[Vector, NDArray[np.bool_]]:
    """Return which share of the source each row stands for, and whether it, or its group, was drawn."""
    is_drawn = seen.weight > 0
    if seen.unit is not None:
        is_drawn = np.isin(seen.unit, seen.unit[is_drawn])
    size = np.ones(len(is_drawn)) if seen.size is None else seen.size
    drawn, others = size * is_drawn, size * ~is_drawn
    if is_drawn.all():
        return drawn / drawn.sum(), is_drawn
    return seen.share * drawn / drawn.sum() + (1.0 - seen.share) * others / others.sum(), is_drawn


def _moments(values: NDArray[np.float32], weight: Vector) -> tuple[Vector, Vector]:
    """Return weighted means of columns and of their squares, taken over the rows that count."""
    rows = np.flatnonzero(weight)
    some = values if len(rows) == len(values) else values[rows]
    share = weight[rows].astype(np.float32)
    return (share @ some).astype(np.float64), (share @ np.square(some)).astype(np.float64)


def _limit(
    seen: Seen, u: NDArray[np.float32], by_row: Vector, is_drawn: NDArray[np.bool_], *, n_columns: int
) -> Vector:
    """Return by column how far the sample's mean of `u` may be off by luck; `u` has mean 0 in the source.

    Three kinds of luck add up: which units were drawn, which of the others are seen, and which rows of a
    unit count, and how much.
    """
    weight = seen.weight / seen.weight.sum()
    size = np.ones(len(u)) if seen.size is None else seen.size
    n_drawn, n_others = float(size[is_drawn].sum()), float(size[~is_drawn].sum())
    totals, is_drawn_unit = u, is_drawn
    if seen.unit is not None:
        order = np.argsort(seen.unit, kind="stable")
        starts = np.flatnonzero(np.diff(seen.unit[order], prepend=-1))
        totals = np.add.reduceat((u * size[:, None])[order], starts, axis=0)
        is_drawn_unit = is_drawn[order][starts]
    m, m_others = int(is_drawn_unit.sum()), int((~is_drawn_unit).sum())
    n_left = max(seen.n_units - m, m_others)
    by_unit = np.where(is_drawn_unit, 1.0 / (m + n_left), n_left / (m + n_left) / max(m_others, 1))
    spread = m * (n_left / (m + n_left)) / n_drawn**2
    if m_others:
        spread += ((1.0 - seen.share) / n_others) ** 2 * m_others * (1.0 - m_others / n_left)
    variance = (by_unit.astype(np.float32) @ np.square(totals)) * spread
    within = max(float(weight @ weight) - 1.0 / n_drawn, 0.0)
    variance += (by_row.astype(np.float32) @ np.square(u)) * within
    bound = np.maximum(np.abs(totals).max(axis=0) / n_drawn, np.abs(u).max(axis=0) * weight.max())
    return bernstein(np.asarray(variance, dtype=np.float64), bound, n_tests=n_columns)


def bernstein(variance: Vector, largest: NDArray[np.floating[Any]], *, n_tests: int) -> Vector:
    """Return how far means may be off by luck: all of `n_tests` keep to it in 95% of draws.

    `variance`: of each mean. `largest`: what a single row can change it by, at most.
    """
    level = float(np.log(2.0 * n_tests / thresholds.DRAW_LEVEL))
    third = np.asarray(largest, dtype=np.float64) * level / 3.0
    return np.maximum(third + np.sqrt(third**2 + 2.0 * variance * level), _ROUNDING)


def judged(
    names: Sequence[str],
    is_numeric: NDArray[np.bool_],
    smd: Vector,
    ratio: Vector,
    *,
    what: str,
    is_beyond: tuple[NDArray[np.bool_], NDArray[np.bool_]],
) -> Equivalence:
    """Return what differences say: *equivalent*, or *inconclusive* if one is large and no luck.

    `names`, `is_numeric`, `smd` (n_columns,): the columns and how far their means are off, in standard
    deviations. `ratio` (n_numeric,): of variances. `is_beyond`: whether means and variances are further off
    than a random draw may be.
    """
    floor = np.exp(-thresholds.LARGEST_LOG_RATIO)
    log_ratio = np.abs(np.log(np.clip(ratio, floor, 1.0 / floor)))
    log_limit = float(np.log(thresholds.EQUIVALENT_VARIANCE_RATIO))
    bad_smd = (smd > thresholds.EQUIVALENT_SMD) & is_beyond[0]
    bad_ratio = (log_ratio > log_limit) & is_beyond[1]
    verdict: Verdict = "inconclusive" if bad_smd.any() or bad_ratio.any() else "equivalent"
    # Among columns that fail, if any do, the largest; else the largest of all.
    worst = int(np.argmax(np.where(bad_smd, smd, 0.0))) if bad_smd.any() else int(np.argmax(smd))
    worst_ratio = float(log_ratio.max()) if log_ratio.size else None
    name = names[worst]
    text = f"largest standardised mean difference {smd[worst]:.3f} ({name})"
    if worst_ratio is not None:
        text += f", largest |log variance ratio| {worst_ratio:.3f}"
    if verdict == "equivalent":
        beyond = smd[worst] > thresholds.EQUIVALENT_SMD or (worst_ratio or 0.0) > log_limit
        text += ": no more than a random draw may have" if beyond else ": within the limits"
    else:
        failing = [names[j] for j in np.flatnonzero(bad_smd).tolist()]
        failing += [names[j] for j in np.flatnonzero(is_numeric)[bad_ratio].tolist()]
        text += f": more than a random draw may have in {len(set(failing))} columns, as {failing[0]}"
    test = ShiftTest(
        what=what,
        verdict=verdict,
        column=name,
        effect=float(smd[worst]),
        unit="standard deviations",
        text=text,
    )
    return Equivalence(
        test=test,
        worst_shift=float(smd[worst]),
        worst_column=name,
        worst_log_variance_ratio=worst_ratio,
        shifts=tuple(
            ColumnShift(column=names[j], shift=float(smd[j]))
            for j in np.argsort(-smd, kind="stable")[:_MOST_SHIFTS]
        ),
    )
