"""The verdict of Q1: a sample against the whole, given rows against those left out, or against new rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from regadvisor import thresholds
from regadvisor.data.hashing import mix
from regadvisor.data.table import Table, Whole
from regadvisor.records import ShiftTest
from regadvisor.sampling.difference import judge_difference
from regadvisor.sampling.encode import Rows, encode_target, fit_encode
from regadvisor.sampling.equivalence import (
    Equivalence,
    Seen,
    Vector,
    Verdict,
    bernstein,
    identical,
    judge_moments,
    judged,
)
from regadvisor.sampling.keys import group_keys, told_apart

if TYPE_CHECKING:
    from regadvisor.sampling.match import Matching


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """What the tests say together."""

    verdict: Verdict
    #: How far means and variances are off.
    moments: Equivalence
    tests: tuple[ShiftTest, ...]


def judge_all(n_rows: int) -> Judgement:
    """Return the judgement of a sample that is everything: equivalent by identity."""
    return _judged(identical(n_rows), [])


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
    if table.whole is not None:
        return _judged(judge_exactly(table, rows, weight, table.whole), [])
    rng = np.random.default_rng([seed, 2])
    place = _seen(table, rows, rng, by_group=by_group, keys=keys)
    _, features = fit_encode(table.X, table.facts.columns, seed=seed, rows=place)
    whole = features.joined(encode_target(table, place))
    at = slice(None) if place is None else place
    by_row = np.zeros(table.n_rows)
    by_row[rows] = 1.0 if weight is None else weight
    seen = Seen(encoded=whole, weight=by_row[at], n_units=table.n_rows, share=len(rows) / table.n_rows)
    if by_group and table.groups is not None:
        unit, sizes = table.groups[at], np.bincount(table.groups)
        seen = replace(
            seen,
            unit=unit,
            size=sizes[unit] / np.bincount(unit)[unit],
            n_units=int(np.count_nonzero(sizes)),
            share=sizes[np.unique(table.groups[rows])].sum() / table.n_rows,
        )
    against_whole = judge_moments(seen, what="sample against the whole")
    if place is not None:
        text = f"{against_whole.test.text}; the whole is estimated from {len(place):,} of its rows"
        against_whole = replace(against_whole, test=replace(against_whole.test, text=text))
    tests: list[ShiftTest] = []
    if is_given and 1.0 - len(rows) / table.n_rows >= thresholds.SMALLEST_COMPLEMENT:
        in_order = np.argsort(keys[at])
        kept, left = (in_order[side[in_order]] for side in (seen.weight > 0, seen.weight == 0))
        sides = [whole.take(kept), whole.take(left)]
        if seen.unit is not None:
            sides = [side.means(seen.unit[each]) for side, each in zip(sides, (kept, left), strict=True)]
        tests = judge_difference(*sides, what="sample against complement", rng=rng)
    return _judged(against_whole, tests)


def _seen(
    table: Table,
    rows: NDArray[np.intp],
    rng: np.random.Generator,
    *,
    by_group: bool,
    keys: NDArray[np.uint64],
) -> Rows:
    """Return the rows of a large source that are looked at, sorted; None if all are.

    These are the sample, a random part of it if it is large itself, and others drawn at random. Where groups
    were drawn, the others are rows of those groups and of a number of other groups, all if that is possible.
    """
    n_own = min(len(rows), thresholds.JUDGED_ROWS)
    most = max(thresholds.STAND_IN_ROWS, thresholds.STAND_IN_RATIO * n_own)
    if table.n_rows <= most:
        return None
    salt = rng.integers(1 << 63, dtype=np.uint64)
    luck, is_other = mix(told_apart(keys) ^ salt), np.ones(table.n_rows, dtype=np.bool_)
    if by_group and table.groups is not None:
        sizes = np.bincount(table.groups)
        order = np.argsort(mix(group_keys(table.groups, keys) ^ salt))
        is_seen = np.zeros(len(sizes), dtype=np.bool_)
        n_groups = np.searchsorted(np.cumsum(sizes[order]), most, side="right")
        is_seen[order[: max(int(n_groups), thresholds.STAND_IN_GROUPS)]] = True
        is_seen[table.groups[rows]] = True
        is_other = is_seen[table.groups]
    is_other[rows] = False
    own, others = rows[np.argsort(luck[rows])[:n_own]], np.flatnonzero(is_other)
    others = others[np.argsort(luck[others])[: most - n_own]]
    return np.sort(np.concatenate([own, others]))


def judge_match(
    table: Table, rows: NDArray[np.intp], match: Table, matching: Matching | None, *, seed: int
) -> Judgement:
    """Judge a sample against the rows that the model will be used on (features only)."""
    encoder, source = fit_encode(table.X, table.facts.columns, seed=seed)
    sample, new = source.take(rows), encoder.encode(match.X)
    what, rng = "sample against the new rows", np.random.default_rng([seed, 3])
    tests = judge_difference(sample, new, what=what, rng=rng)
    if matching is not None:
        tests.append(_overlap_test(matching))
    n_sample, n_both = len(sample.values), len(sample.values) + len(new.values)
    # Were the sample like the new rows, it would be a random draw from both together.
    both = Seen(
        encoded=replace(sample, values=np.vstack([sample.values, new.values])),
        weight=np.repeat([1.0, 0.0], [n_sample, n_both - n_sample]),
        n_units=n_both,
        share=n_sample / n_both,
    )
    return _judged(judge_moments(both, what=what, from_others=True), tests)


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


def _judged(equivalence: Equivalence, tests: list[ShiftTest]) -> Judgement:
    """Return *different* if any test finds a difference, else what the comparison of moments says."""
    found = {equivalence.test.verdict, *(test.verdict for test in tests)}
    return Judgement(
        verdict="different" if "different" in found else equivalence.test.verdict,
        moments=equivalence,
        tests=(equivalence.test, *tests),
    )


def judge_exactly(
    table: Table, rows: NDArray[np.intp], weight: NDArray[np.float64] | None, whole: Whole
) -> Equivalence:
    """Compare means, variances and shares of a sample with those of every row of a source read in parts.

    `table`: the rows that the sample was drawn from. `rows` (n_sample,). `weight` (n_sample,): what is to be
    made up for by how the sample was drawn.
    """
    by_row = np.ones(len(rows)) if table.weight is None else table.weight[rows]
    by_row = by_row if weight is None else by_row * weight
    names: list[str] = []
    is_number: list[bool] = []
    means: list[tuple[float, ...]] = []
    ratios: list[tuple[float, ...]] = []
    for name, has_variance, column in _standardised(table.take(rows), whole):  # one by one: there may be many
        is_there = ~np.isnan(column)
        z, share = column[is_there], by_row[is_there] / by_row[is_there].sum()
        mean, luck, largest = float(share @ z), share @ share, share.max()
        names.append(name)
        is_number.append(has_variance)
        means.append((mean, luck, np.abs(z).max() * largest))
        if has_variance:
            square = np.square(z) - 1.0
            of_square = share @ np.square(square) * luck
            ratios.append((1.0 + share @ square - mean**2, of_square, np.abs(square).max() * largest))
    if not names:
        return identical(len(rows))
    mean_of, luck_of, largest_of = np.array(means).T
    variance, luck_of_square, largest_square = np.array(ratios).reshape(-1, 3).T
    n_tests = len(means) + len(ratios)
    is_beyond = (
        np.abs(mean_of) > bernstein(luck_of, largest_of, n_tests=n_tests),
        np.abs(variance - 1.0) > bernstein(luck_of_square, largest_square, n_tests=n_tests),
    )
    what = "sample against the whole"
    return judged(names, np.array(is_number), np.abs(mean_of), variance, what=what, is_beyond=is_beyond)


def _standardised(sample: Table, whole: Whole) -> Iterator[tuple[str, bool, Vector]]:
    """Yield what is known in all rows, with mean 0 and variance 1 there: name, is it a number, the values."""
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


def _number(name: str, values: Any, known: tuple[float, float]) -> Iterator[tuple[str, bool, Vector]]:
    mean, sd = known
    z = (np.asarray(values, dtype=np.float64) - mean) / (sd or 1.0)
    if sd > 0 and not np.isnan(z).all():
        yield name, True, z


def _levels(
    name: str, values: pd.Series[Any], shares: Mapping[Any, float], called: Sequence[Any] | None = None
) -> Iterator[tuple[str, bool, Vector]]:
    """Yield a column for each value that a sample of this size is expected to have."""
    codes, met = pd.factorize(values)
    code_of = {value: code for code, value in enumerate(met)}
    is_missing = codes < 0
    for value, share in shares.items():
        if share * len(values) >= thresholds.FEWEST_EXPECTED and share < 1.0 and not is_missing.all():
            u = ((codes == code_of.get(value, -2)) - share) / np.sqrt(share * (1.0 - share))
            yield (
                f"{name} = {value if called is None else called[value]}",
                False,
                np.where(is_missing, np.nan, u),
            )
