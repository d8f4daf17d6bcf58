"""The verdict of Q1: the sample against the whole and the complement, or against the new rows."""

from __future__ import annotations

from dataclasses import dataclass

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
) -> Judgement:
    """Judge a sample against the whole, and against the complement if that is at least 20% of the rows."""
    _, features = fit_encode(table.X, table.facts.columns, seed=seed)
    whole = features.joined(encode_target(table))
    rng = np.random.default_rng([seed, 2])
    against_whole = judge_against_whole(whole, rows, weight, design, rng=rng, by_cluster=by_cluster)
    is_left = np.ones(table.n_rows, dtype=np.bool_)
    is_left[rows] = False
    tests: list[ShiftTest] = []
    if is_left.mean() >= thresholds.SMALLEST_COMPLEMENT and not by_cluster:
        # Tests take no weights: rows drawn beyond their share are thinned out again.
        kept = rows if weight is None else rows[rng.random(len(rows)) < weight / weight.max()]
        tests = judge_difference(
            whole.take(kept), whole.take(np.flatnonzero(is_left)), what="sample against complement", rng=rng
        )
    return _judged(against_whole, tests)


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
