"""What the pictures show, worked out from a record apart from drawing it.

Everything here is plain Python, so the numbers of a picture can be read and tested without matplotlib. A
picture that the record lacks the numbers for is a ParameterError.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import NamedTuple

from regadvisor import thresholds
from regadvisor.errors import ParameterError
from regadvisor.records import CandidateScore, Record, ScoreEvidence
from regadvisor.regularizer import KINDS, Kind, Regularizer
from regadvisor.report.phrases import short_label, short_name


class Point(NamedTuple):
    """A value at a strength or a number of rows, with the ends of its interval."""

    at: float
    value: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class StrengthLine:
    """Held-out losses of one kind, weakest first, each with a standard error to the pick's loss."""

    kind: Kind
    label: str
    points: tuple[Point, ...]


@dataclass(frozen=True, kw_only=True)
class StrengthPicture:
    """Held-out loss against strength, by kind.

    Of L1+L2 the strength is the sum of both; of dropout with a penalty it is the penalty's.
    """

    loss_name: str
    lines: tuple[StrengthLine, ...]
    #: Loss of no regularizer, where it was measured; of always guessing the mean or the class shares.
    none_loss: float | None
    constant_loss: float
    #: The pick on the sample, as (kind, strength, loss).
    pick: tuple[Kind, float, float] | None
    #: Strengths of the pick that are not clearly worse, if it has one strength.
    flat: tuple[float, float] | None
    #: The pick's strength for all rows, if it is another one.
    full_size: float | None


@dataclass(frozen=True, kw_only=True)
class KindRow:
    """What one kind loses against the advised one: percent of its loss, with the ends of the interval."""

    label: str
    extra: float
    low: float
    high: float
    is_pick: bool


@dataclass(frozen=True, kw_only=True)
class KindsPicture:
    """What each kind loses against the advised one, the lowest loss first."""

    loss_name: str
    rows: tuple[KindRow, ...]
    #: Half width of the band within which two kinds tie, in percent.
    tie: float


@dataclass(frozen=True, kw_only=True)
class GrowthPicture:
    """The pick's gain over none in percent by rows: measured on the sample, and expected of all rows."""

    label: str
    measured: tuple[Point, ...]
    expected: Point
    tie: float


@dataclass(frozen=True, kw_only=True)
class FeaturesPicture:
    """How strongly features go together, those of a cluster side by side; 1 on the diagonal."""

    names: tuple[str, ...]
    strengths: tuple[tuple[float, ...], ...]


@dataclass(frozen=True, kw_only=True)
class SamplePicture:
    """How far the sample's means are from the whole's, by column, the largest first; standard deviations."""

    names: tuple[str, ...]
    shifts: tuple[float, ...]
    limit: float


def strength_picture(record: Record) -> StrengthPicture:
    """Return loss against strength."""
    scores = _scores(record, "strength")
    largest = max(score.n_rows for score in scores.scores)
    at_size = [score for score in scores.scores if score.n_rows == largest and not score.is_stopped]
    picked = record.strength.on_sample
    reference = next((score for score in at_size if score.regularizer == picked), None)
    points: dict[Kind, list[Point]] = defaultdict(list)
    for score in at_size:
        strength = _one_number(score.regularizer)
        if strength is not None and score.converged and math.isfinite(score.loss):
            error = _error(score, reference or min(at_size, key=lambda other: other.loss))
            points[score.kind].append(Point(strength, score.loss, score.loss - error, score.loss + error))
    lines = tuple(
        StrengthLine(kind=kind, label=short_label(kind), points=tuple(sorted(points[kind])))
        for kind in KINDS
        if points[kind]
    )
    if not lines:
        raise _missing("strength", "no strength was tried to the end")
    none = [score.loss for score in at_size if score.kind == "none" and math.isfinite(score.loss)]
    on_sample = None if picked is None else _one_number(picked)
    full = _one_number(record.strength.regularizer)
    ties = record.strength.ties
    return StrengthPicture(
        loss_name=scores.loss_name,
        lines=lines,
        none_loss=fmean(none) if none else None,
        constant_loss=scores.constant_loss,
        pick=None
        if reference is None or picked is None or on_sample is None
        else (picked.kind, on_sample, reference.loss),
        flat=next(iter(ties.values())) if len(ties) == 1 else None,
        full_size=full if full is not None and full != on_sample else None,
    )


def kinds_picture(record: Record) -> KindsPicture:
    """Return what each kind loses against the advised one."""
    scores = _scores(record, "kinds")
    advised = record.strength.regularizer.kind
    pick: Kind = advised if advised in scores.honest_losses else scores.best_kind
    rows = [KindRow(label=short_label(pick), extra=0.0, low=0.0, high=0.0, is_pick=True)]
    for kind in (*KINDS, "constant"):
        found = scores.comparison(kind, pick)
        if found is not None and found.loss_b > 0 and math.isfinite(found.difference):
            extra, low, high = (
                100.0 * value / found.loss_b for value in (found.difference, found.least, found.most)
            )
            label = "always guess" if kind == "constant" else short_label(kind)
            rows.append(KindRow(label=label, extra=extra, low=low, high=high, is_pick=False))
    rows.sort(key=lambda row: row.extra)
    return KindsPicture(loss_name=scores.loss_name, rows=tuple(rows), tie=100.0 * thresholds.SAME_REGION)


def growth_picture(record: Record) -> GrowthPicture:
    """Return the pick's gain against rows."""
    growth = record.evidence.growth
    if growth is None:
        raise _missing("growth", "the walk did not ask whether the gain lasts at the full size")
    sizes = sorted(growth.sizes, key=lambda size: size.n_rows)
    measured = [_gain(s.n_rows, s.gain, s.gain - 1.96 * s.se, s.gain + 1.96 * s.se) for s in sizes]
    expected = _gain(growth.n_rows, growth.gain, growth.low, growth.high)
    return GrowthPicture(
        label=short_label(growth.kind),
        measured=tuple(measured),
        expected=expected,
        tie=100.0 * thresholds.SAME_REGION,
    )


def _gain(n_rows: int, *shares: float) -> Point:
    """Return a gain and its interval in percent; no more can be gained than all of the loss."""
    return Point(n_rows, *(100.0 * min(share, 1.0) for share in shares))


def features_picture(record: Record) -> FeaturesPicture:
    """Return how the features go together."""
    facts = record.features
    if facts is None:
        raise _missing("features", "no two features were compared")
    n = len(facts.names)
    whole = [[1.0] * n for _ in range(n)]
    for i, row in enumerate(facts.strengths):
        for j, strength in enumerate(row):
            whole[i][j] = whole[j][i] = strength
    return FeaturesPicture(names=tuple(map(short_name, facts.names)), strengths=tuple(map(tuple, whole)))


def sample_picture(record: Record) -> SamplePicture:
    """Return how far the sample is from the whole."""
    sample = record.evidence.sample
    if sample is None or not sample.shifts:
        raise _missing("sample", "no part of the rows was drawn, so there is nothing to compare")
    return SamplePicture(
        names=tuple(short_name(shift.column) for shift in sample.shifts),
        shifts=tuple(shift.shift for shift in sample.shifts),
        limit=thresholds.EQUIVALENT_SMD,
    )


def _scores(record: Record, kind: str) -> ScoreEvidence:
    scores = record.evidence.scores
    if scores is None or not scores.scores:
        raise _missing(kind, "no candidate was trained")
    return scores


def _missing(kind: str, why: str) -> ParameterError:
    return ParameterError(f"kind must be a picture that this advice has the numbers for, got {kind!r}: {why}")


def _one_number(regularizer: Regularizer) -> float | None:
    """Return the strength on the axis: of the penalty, or of dropout alone; None where there is none."""
    if not regularizer.has_strengths:
        return None
    values = regularizer.strengths()
    penalty = sum(value for name, value in values.items() if name != "dropout")
    return penalty or values.get("dropout") or None


def _error(score: CandidateScore, reference: CandidateScore) -> float:
    """Return the standard error of the mean difference to the reference over the folds both have."""
    pairs = zip(score.fold_losses, reference.fold_losses, strict=False)
    differences = [own - other for own, other in pairs if own is not None and other is not None]
    if len(differences) < 2 or not all(map(math.isfinite, differences)):
        return 0.0
    return stdev(differences) / math.sqrt(len(differences))
