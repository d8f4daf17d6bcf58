"""The verdict of Q1: a sample against the whole, given rows against those left out, or against new rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from regadvisor import thresholds
from regadvisor.data.table import Table, Whole
from regadvisor.records import ShiftTest
from regadvisor.sampling.difference import judge_difference
from regadvisor.sampling.encode import Encoded, encode_target, fit_encode
from regadvisor.sampling.equivalence import Draw, Judgement, Pair, Vector, judge_moments

if TYPE_CHECKING:
    from regadvisor.sampling.match import Matching


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
