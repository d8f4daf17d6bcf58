"""Is a sample like the rows it was drawn from? Means and variances, against what a random draw may be off by.

A mean of drawn rows is off by luck. How far, has a closed form. Let `u` be a column with mean 0 over the
source. The mean of n of its N rows has the variance ``V = mean(u²) (1/n - 1/N)``, and Bernstein's inequality
bounds how far it strays: with probability 1 - 2 exp(-L) by no more than ::

    B L / 3 + √((B L / 3)² + 2 V L)        B = max|u| / n

It holds for draws without replacement too (Hoeffding 1963, J. Am. Stat. Assoc. 58:13, section 6), and for
rare values and long tails, which the normal approximation takes for surprises. For a mean `u` is the
standardised column, for a variance it is its square less the variance. Rows that count s each, with a sum of
1, have Σs² in place of 1/n. Where whole groups are drawn, the squares of their sums of s·u are added. Where
only m rows of the source are seen, their own luck is added: mean(u²) (1/m - 1/N). L makes all columns
together stay within their limits in 95% of draws.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from regadvisor import thresholds
from regadvisor.records import ColumnShift, ShiftTest
from regadvisor.sampling.encode import Encoded

Verdict = Literal["equivalent", "inconclusive", "different"]
Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

#: Columns that are told of, those that differ most.
_MOST_SHIFTS = 15


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """How far a sample is from the whole; differences in standard deviations of the whole."""

    #: Of means and variances; then what other tests say.
    tests: tuple[ShiftTest, ...]
    worst_log_variance_ratio: float | None
    shifts: tuple[ColumnShift, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """*Different* if any test finds a difference, else what means and variances say."""
        is_different = any(test.verdict == "different" for test in self.tests)
        return "different" if is_different else self.tests[0].verdict


@dataclass(frozen=True, kw_only=True, eq=False)
class Draw:
    """How a sample was drawn."""

    #: (n_sample,): what each row counts, with a sum of 1.
    share: Vector
    #: Rows of the source; infinite if the sample is compared with rows that it cannot have been drawn from.
    n_rows: float
    #: (n_sample,): the group of each row, where whole groups were drawn; and how many groups there are.
    unit: NDArray[np.intp] | None = None
    n_units: int = 0


#: Columns of the sample, and the same columns of rows that stand for the source; None: the columns have mean
#: 0 and, if they are numbers, variance 1 over the source. A value of the sample may be missing (NaN).
Pair = tuple[Encoded, Encoded | None]


def judge_moments(pairs: Iterable[Pair], draw: Draw, *, what: str) -> Judgement:
    """Compare a sample with the source it was drawn from.

    *Equivalent*: every |standardised mean difference| ≤ 0.1 (Austin 2009) and |log variance ratio| ≤ log
    1.25, or within what a random draw keeps to. Else *inconclusive*.

    `pairs`: some columns each; they may be many, and made one after the other. `what`: what is compared with
    what, for the evidence.
    """
    names: list[str] = []
    found = []
    for own, whole in pairs:
        names += own.names
        found.append((~own.is_indicator, *_off(own, whole, draw)))
    if not names:
        return identical(len(draw.share))
    is_numeric, off, variance, largest = (np.concatenate(each, axis=-1) for each in zip(*found, strict=True))
    level = float(np.log(2.0 * (len(names) + is_numeric.sum()) / thresholds.DRAW_LEVEL))
    third = largest * level / 3.0
    is_beyond = np.abs(off) > third + np.sqrt(third**2 + 2.0 * variance * level)
    beyond, ratio = (is_beyond[0], is_beyond[1, is_numeric]), 1.0 + off[1, is_numeric]
    return _judged(names, is_numeric, np.abs(off[0]), ratio, what=what, is_beyond=beyond)


def _off(own: Encoded, whole: Encoded | None, draw: Draw) -> tuple[Matrix, Matrix, Matrix]:
    """Return how far means and variances of columns are off, the variance of that by luck, and a row's part.

    Shape (2, n_columns): in standard deviations, and as a share of the variance.
    """
    share = draw.share[:, None] * ~np.isnan(own.values)
    share = np.tile(share / share.sum(axis=0), 2)
    values = np.nan_to_num(own.values.astype(np.float64))
    mean, variance, unseen = np.zeros(values.shape[1]), np.ones(values.shape[1]), 0.0
    if whole is not None:
        seen = whole.values.astype(np.float64)
        mean, unseen = seen.mean(axis=0), max(1.0 / len(seen) - 1.0 / draw.n_rows, 0.0)
        # Of many rows: without u itself, whose squares and largest values follow from those of the column.
        square = np.square(np.subtract(seen, mean, out=seen), out=seen)
        second, fourth = square.mean(axis=0), np.einsum("ij,ij->j", square, square) / len(square)
        variance = np.maximum(second, 1e-6)
    u = np.hstack([values - mean, np.square(values - mean) / variance - 1.0])
    largest = np.abs(u).max(axis=0)
    if whole is None:
        squares = np.sum(share * np.square(u), axis=0)
    else:
        of_squares = fourth / variance**2 - 2.0 * second / variance + 1.0
        squares = np.hstack([second, np.maximum(of_squares, 0.0)])
        most, least = square.max(axis=0), square.min(axis=0)
        beyond = np.maximum(most / variance - 1.0, 1.0 - least / variance)
        largest = np.maximum(largest, np.hstack([np.sqrt(most), beyond]))
    off = np.einsum("ij,ij->j", share, u)
    drawn = np.maximum(np.einsum("ij,ij->j", share, share) - 1.0 / draw.n_rows, 0.0)
    luck = squares * (drawn + unseen)
    part = share
    if draw.unit is not None:
        code = np.unique(draw.unit, return_inverse=True)[1]
        of_group = sparse.csr_array((np.ones(len(code)), (code, np.arange(len(code)))))
        between = np.square(of_group @ (share * (u - off))).sum(axis=0)
        luck += between * (1.0 - of_group.shape[0] / draw.n_units)
        part = of_group @ share
    largest = part.max(axis=0) * largest
    off = off.reshape(2, -1)
    off[1] -= off[0] ** 2 / variance
    return off, luck.reshape(2, -1), largest.reshape(2, -1)


def identical(n_rows: int) -> Judgement:
    """Return the judgement of a sample that is everything."""
    text = f"the sample is all {n_rows:,} rows"
    test = ShiftTest(
        what="sample against the whole",
        verdict="equivalent",
        effect=0.0,
        unit="standard deviations",
        text=text,
    )
    return Judgement(tests=(test,), worst_log_variance_ratio=0.0)


def _judged(
    names: Sequence[str],
    is_numeric: NDArray[np.bool_],
    smd: Vector,
    ratio: Vector,
    *,
    what: str,
    is_beyond: tuple[NDArray[np.bool_], NDArray[np.bool_]],
) -> Judgement:
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
    return Judgement(
        tests=(test,),
        worst_log_variance_ratio=worst_ratio,
        shifts=tuple(
            ColumnShift(column=names[j], shift=float(smd[j]))
            for j in np.argsort(-smd, kind="stable")[:_MOST_SHIFTS]
        ),
    )
