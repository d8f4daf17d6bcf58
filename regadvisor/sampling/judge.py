"""The verdict of Q1: a sample against the whole, given rows against those left out, or against new rows.

Means and variances are held against what a random draw may be off by.
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

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from regadvisor import thresholds
from regadvisor.data.table import Table, Whole
from regadvisor.records import ColumnShift, ShiftTest
from regadvisor.sampling.difference import judge_difference
from regadvisor.sampling.encode import Encoded, encode_target, fit_encode

if TYPE_CHECKING:
    from regadvisor.sampling.match import Matching


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


#: Values of a column that are compared together.
_LEVELS_AT_ONCE = 8


def judge_sample(
    table: Table,
    rows: NDArray[np.intp],
    weight: NDArray[np.float64] | None,
    *,
    is_given: bool,
    by_group: bool,
    seed: int,
    keys: NDArray[np.uint64],
) -> Judgement:
    """Judge a sample against the whole; rows that the caller gave, against the rows left out as well.

    Rows that were drawn at random differ from the others by luck alone. Tests would only find out about that
    luck, and call one draw in twenty different. So of these only means and variances are looked at.

    `rows` (n_sample,). `weight` (n_sample,). `is_given`: the caller chose the rows, by whatever rule.
    `by_group`: whole groups were drawn: tests compare the groups' means, for rows of one group are not
    independent. `keys` (n_source,): rows come in their order, so that nothing depends on the order of the
    source.
    """
    what, share = "sample against the whole", np.ones(len(rows)) if weight is None else weight
    if table.whole is not None:
        share = share if table.weight is None else share * table.weight[rows]
        draw = Draw(share=share / share.sum(), n_rows=table.facts.n_rows)
        return judge_moments(_standardised(table.take(rows), table.whole), draw, what=what)
    chosen, share = rows[: thresholds.JUDGED_ROWS], share[: thresholds.JUDGED_ROWS]
    # The smallest keys are a random choice of rows, the same one in whatever order they stand.
    most = max(thresholds.STAND_IN_ROWS, thresholds.STAND_IN_RATIO * len(chosen))
    place = np.argsort(keys, kind="stable")[:most]
    seen = None if len(place) == table.n_rows else np.union1d(place, chosen)
    encoded = fit_encode(table.X, table.facts.columns, seed=seed, rows=seen)[1]
    encoded = encoded.joined(encode_target(table, seen))
    own, whole = (
        encoded.take(each if seen is None else np.searchsorted(seen, each)) for each in (chosen, place)
    )
    groups = table.groups if by_group else None
    draw = Draw(
        share=share / share.sum(),
        n_rows=table.n_rows,
        unit=None if groups is None else groups[chosen],
        n_units=0 if groups is None else len(np.unique(groups)),
    )
    moments = judge_moments([(own, whole)], draw, what=what)
    if seen is not None:
        (test,) = moments.tests
        text = f"{test.text}; the whole is estimated from {len(place):,} of its rows"
        moments = replace(moments, tests=(replace(test, text=text),))
    if is_given and 1.0 - len(rows) / table.n_rows >= thresholds.SMALLEST_COMPLEMENT:
        is_own = np.isin(place, rows)
        inside, outside = np.flatnonzero(is_own), np.flatnonzero(~is_own)
        sides = [own, whole.take(outside)]
        if groups is not None:
            sides = [whole.take(side).means(groups[place[side]]) for side in (inside, outside)]
        rng = np.random.default_rng([seed, 2])
        tests = judge_difference(*sides, what="sample against complement", rng=rng)
        moments = replace(moments, tests=(*moments.tests, *tests))
    return moments


def judge_match(
    table: Table, rows: NDArray[np.intp], match: Table, matching: Matching | None, *, seed: int
) -> Judgement:
    """Judge a sample against the rows that the model will be used on (features only)."""
    encode, source = fit_encode(table.X, table.facts.columns, seed=seed)
    sample, new = source.take(rows), encode(match.X)
    what, rng = "sample against the new rows", np.random.default_rng([seed, 3])
    tests = judge_difference(sample, new, what=what, rng=rng)
    if matching is not None:
        tests.append(_overlap_test(matching))
    draw = Draw(share=np.full(len(rows), 1.0 / len(rows)), n_rows=np.inf)
    moments = judge_moments([(sample, new)], draw, what=what)
    return replace(moments, tests=(*moments.tests, *tests))


def _overlap_test(matching: Matching) -> ShiftTest:
    text = (
        f"rows like the new ones: the source is worth {matching.effective_rows:,.0f} of them, and "
        f"{matching.shortfall:.0%} of the wanted sample could not be supplied"
    )
    return ShiftTest(
        what="overlap of source and new rows",
        verdict="equivalent" if matching.has_overlap else "different",
        effect=matching.effective_rows,
        unit="effective rows",
        text=text,
    )


def _standardised(sample: Table, whole: Whole) -> Iterator[Pair]:
    """Yield what is known in all rows, with mean 0 and variance 1 there, one by one: there may be many."""
    X, facts = sample.X, sample.facts
    for j, column in enumerate(facts.columns):
        name = str(column.name)
        values: Any = X.iloc[:, j] if isinstance(X, pd.DataFrame) else X[:, j]
        if column.kind == "numeric" and name in whole.means:
            yield from _number(name, values, whole.means[name])
        elif column.kind == "categorical" and name in whole.shares:
            series = pd.Series(values)
            texts = series.astype(str).str.strip().mask(series.isna())
            yield from _levels(name, texts, whole.shares[name])
    if sample.is_classification:
        shares = {c: count / facts.n_rows for c, count in enumerate(facts.class_counts or ())}
        yield from _levels("target", pd.Series(sample.y), shares, called=facts.classes)
        return
    for j, target in enumerate([each.name for each in facts.targets] or [facts.target_name]):
        name = str(target)
        if name in whole.means:
            yield from _number(
                f"target {name}" if facts.targets else "target", sample.targets[:, j], whole.means[name]
            )


def _number(name: str, values: Any, known: tuple[float, float]) -> Iterator[Pair]:
    mean, sd = known
    z = (np.asarray(values, dtype=np.float64) - mean) / (sd or 1.0)
    if sd > 0 and not np.isnan(z).all():
        yield _columns((name,), z[:, None], are_indicators=False)


def _columns(names: tuple[str, ...], z: Vector, *, are_indicators: bool) -> Pair:
    origin, kind = np.zeros(len(names), dtype=np.intp), np.full(len(names), are_indicators)
    return Encoded(values=z, names=names, origin=origin, is_indicator=kind), None


def _levels(
    name: str, values: pd.Series[Any], shares: Mapping[Any, float], called: Sequence[Any] | None = None
) -> Iterator[Pair]:
    """Yield columns for the values that a sample of this size is expected to have, some at a time."""
    codes, met = pd.factorize(values)
    code_of = {value: code for code, value in enumerate(met)}
    told = [
        v for v, share in shares.items() if thresholds.FEWEST_EXPECTED <= share * len(values) < len(values)
    ]
    for start in range(0, len(told) if (codes >= 0).any() else 0, _LEVELS_AT_ONCE):
        some = told[start : start + _LEVELS_AT_ONCE]
        share, code = (
            np.array([of[v] for v in some]) for of in (shares, {**dict.fromkeys(some, -2), **code_of})
        )
        u = ((codes[:, None] == code) - share) / np.sqrt(share * (1.0 - share))
        labels = tuple(f"{name} = {v if called is None else called[v]}" for v in some)
        yield _columns(labels, np.where(codes[:, None] < 0, np.nan, u), are_indicators=True)
