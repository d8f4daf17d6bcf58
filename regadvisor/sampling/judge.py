"""The verdict of Q1: the sample against the whole and the complement, or against the new rows."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from regadvisor import thresholds
from regadvisor.data.table import Table
from regadvisor.records import ShiftTest
from regadvisor.sampling.difference import judge_difference
from regadvisor.sampling.encode import encode_target, fit_encode
from regadvisor.sampling.equivalence import (
    Equivalence,
    Verdict,
    identical,
    judge_against_new,
    judge_against_whole,
)
from regadvisor.sampling.match import Matching
from regadvisor.sampling.strata import Design

#: A larger source is judged by so many of its rows, or this many times the sample's if that is more: means
#: are then known to 0.0045 standard deviations, a twentieth of the difference that matters.
_STAND_IN_ROWS = 50_000
_STAND_IN_RATIO = 4
#: Of a larger sample a random part is judged: its means are known to 0.0063 standard deviations.
_SAMPLE_ROWS = 25_000


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """What the tests say together."""

    verdict: Verdict
    worst_shift: float | None
    worst_column: str | None
    worst_log_variance_ratio: float | None
    tests: tuple[ShiftTest, ...]


def judge_all(n_rows: int) -> Judgement:
    """Return the judgement of a sample that is everything: equivalent by identity."""
    return _judged(identical(n_rows), [])


def judge_sample(
    table: Table,
    rows: NDArray[np.intp],
    weight: NDArray[np.float64] | None,
    design: Design,
    *,
    by_cluster: bool,
    seed: int,
    keys: NDArray[np.uint64],
) -> Judgement:
    """Judge a sample against the whole, and against the complement if that is at least 20% of the rows.

    Rows come in the order of their `keys` (n_source,), so that nothing depends on the order of the source.
    """
    view = _view(table.n_rows, rows, weight, design, by_cluster=by_cluster, seed=seed)
    _, features = fit_encode(table.X, table.facts.columns, seed=seed, rows=view.rows)
    whole = features.joined(encode_target(table, view.rows))
    rng = np.random.default_rng([seed, 2])
    against_whole = judge_against_whole(
        whole, view.sample, view.weight, view.design, rng=rng, by_cluster=by_cluster, share=view.share
    )
    against_whole = _said(against_whole, view)
    tests: list[ShiftTest] = []
    if 1.0 - len(rows) / table.n_rows >= thresholds.SMALLEST_COMPLEMENT and not by_cluster:
        is_left = np.ones(len(whole.values), dtype=np.bool_)
        is_left[view.sample] = False
        # Tests take no weights: rows drawn beyond their share are thinned out again.
        kept = view.sample
        if view.weight is not None:
            kept = kept[rng.random(len(kept)) < view.weight / view.weight.max()]
        left = np.flatnonzero(is_left)
        left = left[np.argsort((keys if view.rows is None else keys[view.rows])[left])]
        tests = judge_difference(
            whole.take(kept), whole.take(left), what="sample against complement", rng=rng
        )
    return _judged(against_whole, tests)


@dataclass(frozen=True, kw_only=True, eq=False)
class _View:
    """What is looked at: all rows, or rows that stand for a large source.

    `rows` (None: all) are numbers into the source; `sample` are positions among them, with their weights.
    `share` is the sample's share of the source, None if the source is seen as a whole.
    """

    rows: NDArray[np.intp] | None
    sample: NDArray[np.intp]
    weight: NDArray[np.float64] | None
    design: Design
    share: float | None


def _view(
    n_source: int,
    rows: NDArray[np.intp],
    weight: NDArray[np.float64] | None,
    design: Design,
    *,
    by_cluster: bool,
    seed: int,
) -> _View:
    """Return the view on a source: of a large one at least `_STAND_IN_ROWS` rows, four times the sample's.

    A sample that is large itself is judged by a random part of it (whole groups excepted).
    """
    rng, n_seen = np.random.default_rng([seed, 5]), len(rows)
    if not by_cluster:
        n_seen = min(n_seen, _SAMPLE_ROWS)
    most = max(_STAND_IN_ROWS, _STAND_IN_RATIO * n_seen)
    if n_source <= most:
        return _View(rows=None, sample=rows, weight=weight, design=design, share=None)
    part = np.sort(rng.choice(len(rows), size=n_seen, replace=False)).astype(np.intp)
    seen, seen_design = design.stand_in(rows[part], rows, most, rng)
    return _View(
        rows=seen,
        sample=np.searchsorted(seen, rows[part]).astype(np.intp),
        weight=None if weight is None else weight[part],
        design=seen_design,
        share=len(rows) / n_source,
    )


def _said(equivalence: Equivalence, view: _View) -> Equivalence:
    """Return the judgement with a word on how the whole was seen."""
    if view.rows is None:
        return equivalence
    text = f"{equivalence.test.text}; the whole is estimated from {len(view.rows):,} of its rows"
    return replace(equivalence, test=replace(equivalence.test, text=text))


def judge_match(
    table: Table, rows: NDArray[np.intp], match: Table, matching: Matching | None, *, seed: int
) -> Judgement:
    """Judge a sample against the rows that the model will be used on (features only)."""
    encoder, source = fit_encode(table.X, table.facts.columns, seed=seed)
    sample, new = source.take(rows), encoder.encode(match.X)
    rng = np.random.default_rng([seed, 3])
    tests = judge_difference(sample, new, what="sample against the new rows", rng=rng)
    if matching is not None:
        tests.append(_overlap_test(matching))
    return _judged(judge_against_new(sample, new, rng=rng), tests)


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
    found = any(test.verdict == "different" for test in (equivalence.test, *tests))
    return Judgement(
        verdict="different" if found else equivalence.test.verdict,
        worst_shift=equivalence.worst_shift,
        worst_column=equivalence.worst_column,
        worst_log_variance_ratio=equivalence.worst_log_variance_ratio,
        tests=(equivalence.test, *tests),
    )
