"""Is the sample like the whole? Standardised differences against limits and against random draws."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from regadvisor import thresholds
from regadvisor.records import ShiftTest
from regadvisor.sampling.encode import Encoded
from regadvisor.sampling.strata import Design, plain_design

Verdict = Literal["equivalent", "inconclusive", "different"]

#: Weight cells of reference draws held at once.
_CHUNK_CELLS = 4_000_000
#: A variance ratio beyond e^3 is not told apart from any larger one (a rare value was not drawn at all).
_LARGEST_LOG_RATIO = 3.0


@dataclass(frozen=True, kw_only=True)
class Equivalence:
    """How far a sample is from the whole; differences in standard deviations of the whole."""

    test: ShiftTest
    worst_shift: float | None
    worst_column: str | None
    worst_log_variance_ratio: float | None


@dataclass(frozen=True, kw_only=True, eq=False)
class _Differences:
    """Per draw and column: standardised mean differences and log variance ratios (numeric columns)."""

    smd: NDArray[np.float64]
    log_ratio: NDArray[np.float64]


def judge_against_whole(
    whole: Encoded,
    rows: NDArray[np.intp],
    weights: NDArray[np.float64] | None,
    design: Design,
    *,
    rng: np.random.Generator,
    by_cluster: bool = False,
) -> Equivalence:
    """Compare a sample with the finite population it was drawn from.

    *Equivalent*: every |standardised mean difference| ≤ 0.1 (Austin 2009) and |log variance ratio| ≤ log
    1.25, or within what 95% of equally large draws by `design` keep to. Columns differ in how much they vary
    between draws, so draws are compared by the largest difference in units of its own spread over draws
    (the max-T statistic of Westfall and Young 1993).

    Parameters
    ----------
    whole : Encoded
        Features and target of the source, standardised by itself.
    rows : ndarray of intp
        The sample.
    weights : ndarray or None
        Weights of the sample's rows.
    design : Design
        Draws the reference samples.
    by_cluster : bool
        Whole groups were drawn: row-wise tests would count every row of a group as new, so the reference
        draws also decide *different* (none of 100 is as far off).
    """
    chosen = _chosen(len(whole.values), rows, weights)
    sample = _differences(whole, chosen, against_rest=False)
    reference = _reference(whole, design, rng, against_rest=False)
    return _judged(whole, sample, reference, what="sample against the whole", by_cluster=by_cluster)


def judge_against_new(sample: Encoded, new: Encoded, *, rng: np.random.Generator) -> Equivalence:
    """Compare a sample with other rows, by the same limits; the reference are random splits of both.

    Differences are in standard deviations of the source that both were encoded by.
    """
    n_sample, n_all = len(sample.values), len(sample.values) + len(new.values)
    pooled = Encoded(
        values=np.vstack([sample.values, new.values]),
        names=sample.names,
        origin=sample.origin,
        is_indicator=sample.is_indicator,
    )
    chosen = _chosen(n_all, np.arange(n_sample), None)
    differences = _differences(pooled, chosen, against_rest=True)
    reference = _reference(pooled, plain_design(n_all, n_sample), rng, against_rest=True)
    return _judged(pooled, differences, reference, what="sample against the new rows", by_cluster=False)


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


def _chosen(n_rows: int, rows: NDArray[np.intp], weights: NDArray[np.float64] | None) -> NDArray[np.float32]:
    """Return one sample as row weights, shape (1, n_rows)."""
    chosen = np.zeros((1, n_rows), dtype=np.float32)
    chosen[0, rows] = 1.0 if weights is None else weights
    return chosen


def _reference(
    whole: Encoded, design: Design, rng: np.random.Generator, *, against_rest: bool
) -> _Differences:
    n_rows = len(whole.values)
    step = max(1, min(thresholds.REFERENCE_DRAWS, _CHUNK_CELLS // max(1, n_rows)))
    parts = []
    for start in range(0, thresholds.REFERENCE_DRAWS, step):
        count = min(step, thresholds.REFERENCE_DRAWS - start)
        draws = [design.draw(rng) for _ in range(count)]
        chosen = np.vstack([_chosen(n_rows, rows, design.weights(rows)) for rows in draws])
        parts.append(_differences(whole, chosen, against_rest=against_rest))
    return _Differences(
        smd=np.vstack([part.smd for part in parts]), log_ratio=np.vstack([part.log_ratio for part in parts])
    )


def _differences(whole: Encoded, chosen: NDArray[np.float32], *, against_rest: bool) -> _Differences:
    """Return the differences of samples, given as row weights (n_samples, n_rows), to whole or rest.

    Columns have mean 0 and variance 1 over the whole, so first and second moments are all it takes.
    """
    mean, variance = _moments(whole, chosen)
    if against_rest:
        rest_mean, rest_variance = _moments(whole, (chosen == 0).astype(np.float32))
        mean, variance = mean - rest_mean, (variance + 1e-6) / (rest_variance + 1e-6)
    floor = np.exp(-_LARGEST_LOG_RATIO)
    return _Differences(smd=mean, log_ratio=np.log(np.clip(variance, floor, 1.0 / floor)))


def _moments(whole: Encoded, chosen: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return means of all columns and variances of the numeric ones, by sample."""
    shares = chosen / chosen.sum(axis=1, keepdims=True)
    mean = (shares @ whole.values).astype(np.float64)
    is_numeric = ~whole.is_indicator
    square = (shares @ np.square(whole.values[:, is_numeric])).astype(np.float64)
    return mean, np.maximum(square - mean[:, is_numeric] ** 2, 0.0)


def _judged(
    whole: Encoded, sample: _Differences, reference: _Differences, *, what: str, by_cluster: bool
) -> Equivalence:
    smd_t, smd_limit, n_beyond = _studentised(sample.smd[0], reference.smd)
    ratio_t, ratio_limit, _ = _studentised(sample.log_ratio[0], reference.log_ratio)
    bad_smd = (np.abs(sample.smd[0]) > thresholds.EQUIVALENT_SMD) & (smd_t > smd_limit)
    log_limit = float(np.log(thresholds.EQUIVALENT_VARIANCE_RATIO))
    bad_ratio = (np.abs(sample.log_ratio[0]) > log_limit) & (ratio_t > ratio_limit)
    verdict: Verdict = "inconclusive" if bad_smd.any() or bad_ratio.any() else "equivalent"
    if by_cluster and bad_smd.any() and n_beyond == 0:
        verdict = "different"
    p_value = (1 + n_beyond) / (1 + thresholds.REFERENCE_DRAWS) if by_cluster else None
    described = _described(whole, sample, verdict, bad_smd=bad_smd, bad_ratio=bad_ratio, p_value=p_value)
    return replace(described, test=replace(described.test, what=what))


def _studentised(
    sample: NDArray[np.float64], reference: NDArray[np.float64]
) -> tuple[NDArray[np.float64], float, int]:
    """Return per column |difference| over its spread, the limit for it, and how many draws reach further."""
    if not sample.size:
        return np.zeros(0), 0.0, 0
    # The sample counts as one more draw: were it left out, a rare value that only it holds would look
    # infinitely surprising, and among thousands of columns there is always one.
    spread = np.sqrt(np.mean(np.vstack([reference, sample]) ** 2, axis=0))
    # A column that never differs between draws (a stratified class share) differs by rounding only.
    spread = np.maximum(spread, 1e-4)
    largest = np.max(np.abs(reference) / spread, axis=1)
    statistic = np.abs(sample) / spread
    limit = float(np.quantile(largest, thresholds.REFERENCE_QUANTILE, method="higher"))
    return statistic, limit, int((largest >= statistic.max()).sum())


def _described(
    whole: Encoded,
    sample: _Differences,
    verdict: Verdict,
    *,
    bad_smd: NDArray[np.bool_],
    bad_ratio: NDArray[np.bool_],
    p_value: float | None,
) -> Equivalence:
    smd = np.abs(sample.smd[0])
    ratio = np.abs(sample.log_ratio[0])
    if not smd.size:
        return identical(len(whole.values))
    # Among columns that fail, if any do, the largest; else the largest of all.
    worst = int(np.argmax(np.where(bad_smd, smd, 0.0))) if bad_smd.any() else int(np.argmax(smd))
    worst_ratio = float(ratio.max()) if ratio.size else None
    name = whole.names[worst]
    text = f"largest standardised mean difference {smd[worst]:.3f} ({name})"
    if worst_ratio is not None:
        text += f", largest |log variance ratio| {worst_ratio:.3f}"
    if verdict == "equivalent":
        log_limit = np.log(thresholds.EQUIVALENT_VARIANCE_RATIO)
        beyond = smd[worst] > thresholds.EQUIVALENT_SMD or (worst_ratio or 0.0) > log_limit
        text += ": no more than equally large random draws have" if beyond else ": within the limits"
    else:
        numeric = np.flatnonzero(~whole.is_indicator)
        failing = [whole.names[j] for j in np.flatnonzero(bad_smd)]
        failing += [whole.names[numeric[j]] for j in np.flatnonzero(bad_ratio)]
        text += f": beyond the limits and beyond random draws in {len(set(failing))} columns, as {failing[0]}"
    test = ShiftTest(
        what="sample against the whole",
        verdict=verdict,
        column=name,
        effect=float(smd[worst]),
        unit="standard deviations",
        p_value=p_value,
        text=text,
    )
    return Equivalence(
        test=test,
        worst_shift=float(smd[worst]),
        worst_column=name,
        worst_log_variance_ratio=worst_ratio,
    )
