"""Do two sets of rows differ? Tests column by column, and one classifier over all columns."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from regadvisor import thresholds
from regadvisor.records import ShiftTest
from regadvisor.sampling.encode import TARGET, Encoded

#: Rows of each side up to which the p-values of tests by column are exact.
_MOST_ROWS_EXACT = 200
#: Rows of each side in tests by column, and in the classifier test (beyond, the power is ample).
_MOST_ROWS_BY_COLUMN = 10_000
_MOST_ROWS_CLASSIFIED = 2_000
#: Columns in tests by column (those that look most different), and in the classifier test (random ones).
_MOST_COLUMNS_TESTED = 200
_MOST_COLUMNS_CLASSIFIED = 200
_CLASSIFIER_FOLDS = 5
#: Standardised values beyond are clipped, so that one outlier does not steer the classifier.
_CLIP = 5.0
#: Inverse penalty per row: mild, since the classifier has only to find a direction.
_INVERSE_PENALTY = 0.1


@dataclass(frozen=True, kw_only=True, eq=False)
class ClassifierTest:
    """What a linear classifier that tells two sets of rows apart achieves on rows it has not seen.

    `auc` is the mean over parts, 0.5 if the sets cannot be told apart; `p_value` is one-sided and takes rows
    as independent; `ranks` (n_rows,) are the held-out scores' ranks within their part, in (0, 1).
    """

    auc: float
    p_value: float
    ranks: NDArray[np.float64]


def judge_difference(a: Encoded, b: Encoded, *, what: str, rng: np.random.Generator) -> list[ShiftTest]:
    """Test whether two disjoint sets of rows come from one distribution.

    By column: Kolmogorov–Smirnov for numbers, χ² for categories and classes, with Benjamini and Hochberg's
    (1995) correction. Of more than 200 columns those are tested whose means or mean squares differ most, and
    the correction counts the others with a p-value of 1: it can only lose by them, and no column that is off
    is left out by chance. Over all columns: a linear classifier two-sample test (Lopez-Paz and Oquab
    2017). Each has half of the 5%. A difference counts only if it is as large as a standardised mean
    difference of 0.1 would give; with enough rows anything is significant.
    """
    level = thresholds.SHIFT_FDR / 2
    return [_column_tests(a, b, what, level, rng), _classifier_verdict(a, b, what, level, rng)]


def classifier_test(
    values: NDArray[np.float32], labels: NDArray[np.bool_], parts: NDArray[np.intp]
) -> ClassifierTest:
    """Cross-validate a logistic regression that tells labelled rows apart, and test its ranks.

    In each part the Mann–Whitney z of the held-out scores has mean 0 and variance 1 if the labels mean
    nothing. Over parts the z are not independent: every pair of rows in two parts is used twice, once
    with either in training. For a linear score the variance of the sum is thereby at most doubled, so it is
    divided by √(2·parts) instead of √parts.

    `values` (n_rows, n_columns). `labels` (n_rows,). `parts` (n_rows,): held-out part of each row; every part
    holds both labels.
    """
    values = np.clip(values, -_CLIP, _CLIP)
    ranks = np.zeros(len(labels))
    aucs, zs = [], []
    for part in np.unique(parts):
        test = parts == part
        scores = fit_classifier(values[~test], labels[~test]).decision_function(values[test])
        ranks[test] = (stats.rankdata(scores) - 0.5) / len(scores)
        auc, z = _mann_whitney(scores, labels[test])
        aucs.append(auc)
        zs.append(z)
    z = float(np.sum(zs) / np.sqrt(2 * len(zs)))
    return ClassifierTest(auc=float(np.mean(aucs)), p_value=float(stats.norm.sf(z)), ranks=ranks)


def fit_classifier(values: NDArray[np.float32], labels: NDArray[np.bool_]) -> LogisticRegression:
    """Return a mildly penalised logistic regression; stopping early is fine, it is only a direction."""
    model = LogisticRegression(C=_INVERSE_PENALTY, max_iter=50, tol=1e-3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(values, labels)


def interleaved_parts(labels: NDArray[np.bool_], n_parts: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Return random parts 0 … `n_parts` - 1 that hold equal shares of both labels."""
    parts = np.zeros(len(labels), dtype=np.intp)
    for label in (False, True):
        rows = rng.permutation(np.flatnonzero(labels == label))
        parts[rows] = np.arange(len(rows)) % n_parts
    return parts


def _mann_whitney(scores: NDArray[np.float64], labels: NDArray[np.bool_]) -> tuple[float, float]:
    """Return the area under the ROC curve and its z (normal approximation with ties)."""
    n1, n0 = int(labels.sum()), int((~labels).sum())
    ranks = stats.rankdata(scores)
    auc = (ranks[labels].sum() - n1 * (n1 + 1) / 2) / (n1 * n0)
    n = n1 + n0
    ties = np.unique(scores, return_counts=True)[1].astype(np.float64)
    variance = (n + 1 - np.sum(ties**3 - ties) / (n * (n - 1))) / (12 * n1 * n0)
    return float(auc), float((auc - 0.5) / np.sqrt(variance)) if variance > 0 else 0.0


def _column_tests(a: Encoded, b: Encoded, what: str, level: float, rng: np.random.Generator) -> ShiftTest:
    a, b = _some_rows(a, _MOST_ROWS_BY_COLUMN, rng), _some_rows(b, _MOST_ROWS_BY_COLUMN, rng)
    tested, n_all = _most_different(a, b, _MOST_COLUMNS_TESTED), len(a.names)
    results = list(_each_column(a.columns(tested), b.columns(tested)))
    if not results:
        return ShiftTest(what=f"{what}, column by column", verdict="equivalent", text="no column varies")
    names = [result[0] for result in results]
    effect = np.array([result[1] for result in results])
    # One test for each number, and one for each column of levels.
    n_tests = int((~a.is_indicator).sum()) + len(np.unique(a.origin[a.is_indicator]))
    not_tested = np.ones(n_tests - len(results))
    adjusted = stats.false_discovery_control([*(result[2] for result in results), *not_tested])
    adjusted = adjusted[: len(results)]
    found = (adjusted <= level) & (effect > thresholds.EQUIVALENT_SMD)
    worst = int(np.argmax(np.where(found, effect, 0))) if found.any() else int(np.argmin(adjusted))
    part = "" if len(tested) == n_all else f", on the {len(tested)} most suspect of {n_all:,} encoded columns"
    return ShiftTest(
        what=f"{what}, column by column",
        verdict=_verdict(bool(found.any()), float(effect.max())),
        column=names[worst],
        effect=float(effect[worst]),
        unit="standard deviations",
        p_value=float(adjusted[worst]),
        text=f"Kolmogorov–Smirnov and χ² with Benjamini–Hochberg{part}: {int(found.sum())} of {len(names)} "
        f"columns differ; most surprising {names[worst]} (p = {adjusted[worst]:.2g})",
    )


def _each_column(a: Encoded, b: Encoded) -> Iterable[tuple[str, float, float]]:
    """Yield name, effect as a standardised mean difference, and p-value of every column."""
    for j in np.flatnonzero(~a.is_indicator):
        # Of few rows the approximation knows nothing: it calls any two that differ different.
        is_small = max(len(a.values), len(b.values)) <= _MOST_ROWS_EXACT
        found = stats.ks_2samp(a.values[:, j], b.values[:, j], method="exact" if is_small else "asymp")
        # D of two normal distributions d apart is 2Φ(d/2) - 1.
        effect = 2.0 * stats.norm.ppf((1.0 + min(found.statistic, 1 - 1e-9)) / 2.0)
        yield a.names[j], float(effect), float(found.pvalue)
    indicators = np.flatnonzero(a.is_indicator)
    for origin in np.unique(a.origin[indicators]):
        levels = indicators[a.origin[indicators] == origin]
        name = "target" if origin == TARGET else a.names[levels[0]].split(" = ")[0]
        yield (name, *_chi_square(a.values[:, levels] > 0, b.values[:, levels] > 0))


def _chi_square(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> tuple[float, float]:
    """Return effect and p-value of two sets of 0/1 level columns; what is in none is one more level."""

    def counts(levels: NDArray[np.bool_]) -> NDArray[np.intp]:
        return np.append(levels.sum(axis=0), (~levels.any(axis=1)).sum())

    table = np.array([counts(a), counts(b)])
    share = min(len(a), len(b)) / (len(a) + len(b))
    rare = table.sum(axis=0) * share < thresholds.FEWEST_EXPECTED
    table = np.column_stack([table[:, ~rare], table[:, rare].sum(axis=1)])
    table = table[:, table.sum(axis=0) > 0]
    if table.shape[1] < 2:
        return 0.0, 1.0
    result = stats.chi2_contingency(table, correction=False)
    # φ is the correlation with the side, d·√(share·(1 - share)) for a difference of d (Cohen 1988).
    phi = np.sqrt(float(result.statistic) / table.sum())
    return float(phi / np.sqrt(share * (1 - share))), float(result.pvalue)


def _classifier_verdict(
    a: Encoded, b: Encoded, what: str, level: float, rng: np.random.Generator
) -> ShiftTest:
    what = f"{what}, linear classifier"
    n_side = min(len(a.values), len(b.values), _MOST_ROWS_CLASSIFIED)
    if n_side < 2 * _CLASSIFIER_FOLDS or not len(a.names):
        return ShiftTest(what=what, verdict="inconclusive", text="too few rows to train a classifier")
    is_target, n_all = a.origin == TARGET, len(a.names)
    others = rng.permutation(np.flatnonzero(~is_target))[:_MOST_COLUMNS_CLASSIFIED]
    columns = np.sort(np.append(np.flatnonzero(is_target), others)).astype(np.intp)
    sides = [_some_rows(side, n_side, rng).values[:, columns] for side in (a, b)]
    labels = np.repeat(np.array([True, False]), n_side)
    parts = interleaved_parts(labels, _CLASSIFIER_FOLDS, rng)
    result = classifier_test(np.vstack(sides), labels, parts)
    # The AUC of two normal distributions d apart is Φ(d/√2).
    effect = float(np.sqrt(2.0) * stats.norm.ppf(np.clip(result.auc, 1e-9, 1 - 1e-9)))
    is_found = result.p_value <= level and effect > thresholds.EQUIVALENT_SMD
    part = "" if len(columns) == n_all else f", on {len(columns)} of {n_all:,} encoded columns"
    return ShiftTest(
        what=what,
        verdict=_verdict(is_found, effect),
        effect=result.auc,
        unit="AUC",
        p_value=result.p_value,
        text=f"a logistic regression tells them apart with AUC {result.auc:.3f} "
        f"(p = {result.p_value:.2g}){part}",
    )


def _verdict(is_found: bool, effect: float) -> Literal["equivalent", "inconclusive", "different"]:
    if is_found:
        return "different"
    return "equivalent" if effect <= thresholds.EQUIVALENT_SMD else "inconclusive"


def _some_rows(encoded: Encoded, most: int, rng: np.random.Generator) -> Encoded:
    if len(encoded.values) <= most:
        return encoded
    return encoded.take(rng.choice(len(encoded.values), size=most, replace=False).astype(np.intp))


def _most_different(a: Encoded, b: Encoded, most: int) -> NDArray[np.intp]:
    """Return encoded columns in which two sets of rows differ most, by the t of means or of mean squares.

    Levels of one column stay together, and the target is always in.
    """
    n_all, origins = len(a.names), np.unique(a.origin)
    if n_all <= most:
        return np.arange(n_all, dtype=np.intp)
    t = np.maximum(_t(a.values, b.values), _t(np.square(a.values), np.square(b.values)))
    by_origin = np.zeros(len(origins))
    np.maximum.at(by_origin, np.searchsorted(origins, a.origin), t)
    sizes = np.bincount(np.searchsorted(origins, a.origin))
    is_target = origins == TARGET
    by_origin[is_target], sizes[is_target] = np.inf, 0
    ranked = np.argsort(-by_origin, kind="stable")
    chosen = origins[ranked[np.cumsum(sizes[ranked]) <= most]]
    return np.flatnonzero(np.isin(a.origin, chosen)).astype(np.intp)


def _t(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return |difference of means| in standard errors, by column (in single precision: it only ranks)."""
    means, errors = [], []
    for side in (a, b):
        share = np.full(len(side), 1.0 / len(side), dtype=np.float32)
        mean = share @ side
        means.append(mean)
        errors.append(np.maximum(share @ np.square(side) - mean**2, 0.0) / len(side))
    return np.asarray(np.abs(means[0] - means[1]) / np.sqrt(errors[0] + errors[1] + 1e-12))
