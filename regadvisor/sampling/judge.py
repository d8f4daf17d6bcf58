"""The verdict of Q1: a sample against the whole, given rows against those left out, or against new rows."""

from __future__ import annotations

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
from regadvisor.sampling.equivalence import Equivalence, Seen, Verdict, bernstein, identical, judge_moments
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
        exact = judge_exactly(table, rows, weight, table.whole)
        against = judge_reference(table, rows, weight, table.whole, seed=seed)
        return _judged(against, [] if exact is None else [exact])
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
    is_off = any(test.verdict == "inconclusive" and test.what == EXACT for test in tests)
    verdict: Verdict = "inconclusive" if is_off else equivalence.test.verdict
    return Judgement(
        verdict="different" if "different" in found else verdict,
        moments=equivalence,
        tests=(equivalence.test, *tests),
    )


#: A share is compared if the sample is expected to have so many rows of the value.
_FEWEST_OF_VALUE = 5.0
#: What the evidence calls the comparison with all rows.
EXACT = "sample against the exact means of all rows"


def judge_reference(
    table: Table, rows: NDArray[np.intp], weight: NDArray[np.float64] | None, whole: Whole, *, seed: int
) -> Equivalence:
    """Compare a sample with rows of the source that were drawn apart from it.

    `table`: the rows that the sample was drawn from. `rows` (n_sample,). `weight` (n_sample,): what is to be
    made up for by how the sample was drawn.
    """
    others = np.flatnonzero(~np.isin(whole.row_of, rows)).astype(np.intp)
    sample, reference = table.take(rows), whole.reference.take(others)
    parts: list[Any] = [sample.X, reference.X]
    is_frame = isinstance(sample.X, pd.DataFrame)
    both = replace(
        sample,
        X=pd.concat(parts, ignore_index=True) if is_frame else np.concatenate(parts),
        y=np.concatenate([sample.y, reference.y]),
        groups=None,
        time=None,
        weight=None,
        given=None,
        summary=None,
    )
    _, features = fit_encode(both.X, table.facts.columns, seed=seed)
    by_row = np.zeros(both.n_rows)
    by_row[: len(rows)] = combined(table, rows, weight)
    n_source = table.facts.n_rows
    seen = Seen(
        encoded=features.joined(encode_target(both)),
        weight=by_row,
        n_units=n_source,
        share=len(rows) / n_source,
    )
    found = judge_moments(seen, what="sample against the whole")
    text = f"{found.test.text}; the whole is estimated from {len(others):,} rows drawn apart"
    return replace(found, test=replace(found.test, text=text))


def judge_exactly(
    table: Table, rows: NDArray[np.intp], weight: NDArray[np.float64] | None, whole: Whole
) -> ShiftTest | None:
    """Compare means and shares of a sample with those of every row; None if none is known.

    A mean may be off by luck as far as :func:`regadvisor.sampling.equivalence.bernstein` says.
    """
    by_row = combined(table, rows, weight)
    names, shifts, limits = [], [], []
    n_tests = len(whole.means) + sum(len(shares) for shares in whole.shares.values())
    for name, u in _standardised(table, rows, whole):
        there = ~np.isnan(u)
        if there.any():
            own = by_row[there] / by_row[there].sum()
            names.append(name)
            shifts.append(abs(float(own @ u[there])))
            largest = float(np.abs(u[there]).max() * own.max())
            limits.append(bernstein(np.array([own @ own]), np.array([largest]), n_tests=n_tests)[0])
    if not names:
        return None
    shift, limit = np.array(shifts), np.array(limits)
    is_off = (shift > thresholds.EQUIVALENT_SMD) & (shift > limit)
    worst = int(np.argmax(np.where(is_off, shift, 0.0)) if is_off.any() else np.argmax(shift))
    text = f"of {len(names)} means and shares the largest difference is {shift[worst]:.3f} ({names[worst]})"
    if is_off.any():
        text += f": more than a random draw may have in {int(is_off.sum())} of them"
    return ShiftTest(
        what=EXACT,
        verdict="inconclusive" if is_off.any() else "equivalent",
        column=names[worst],
        effect=float(shift[worst]),
        unit="standard deviations",
        text=text,
    )


def combined(table: Table, rows: NDArray[np.intp], weight: NDArray[np.float64] | None) -> NDArray[np.float64]:
    """Return what each row of the sample counts: for how it came into the table, and into the sample."""
    own = np.ones(len(rows)) if table.weight is None else table.weight[rows]
    return own if weight is None else own * weight


def _standardised(table: Table, rows: NDArray[np.intp], whole: Whole) -> Any:
    """Yield name and values of each column that is known exactly: mean 0 and deviation 1 over all rows."""
    X: Any = table.X
    for j, column in enumerate(table.facts.columns):
        name = str(column.name)
        values = X.iloc[rows, j] if hasattr(X, "iloc") else X[rows, j]
        if column.kind == "numeric" and name in whole.means:
            mean, sd = whole.means[name]
            if sd > 0:
                yield name, (np.asarray(values, dtype=np.float64) - mean) / sd
        elif column.kind == "categorical" and name in whole.shares:
            series = pd.Series(values)
            texts = series.astype(str).str.strip().to_numpy()
            missing = series.isna().to_numpy()
            for label, share in whole.shares[name].items():
                if share * len(rows) >= _FEWEST_OF_VALUE and share < 1.0:
                    u = ((texts == label) - share) / np.sqrt(share * (1.0 - share))
                    yield f"{name} = {label}", np.where(missing, np.nan, u)
