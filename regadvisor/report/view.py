"""The words of a report, decided once for every format.

:func:`view` turns a record into a :class:`View`: sentences and cells, all text, in the order in which they
are shown. The renderers (``text.py``, ``html.py``) only lay them out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import TypeVar

from regadvisor.records import CandidateScore, Comparison, Record, ScoreEvidence, Step
from regadvisor.regularizer import KINDS, Kind, Regularizer, label
from regadvisor.report import sections
from regadvisor.report.phrases import clean, sentence, short_label, short_strengths, signed_percent
from regadvisor.report.training import cost
from regadvisor.report.verdict import flips, headline, losses, named_loss
from regadvisor.thresholds import REPLY_MASS
from regadvisor.words import MOST_TIMES, counted, number

_T = TypeVar("_T")
#: What the intervals of the tables are: the level of the replies, so that "better" excludes 0.
INTERVALS = f"brackets: {2 * REPLY_MASS - 1:.0%} intervals"
#: Headings of :attr:`View.comparisons` (the simpler kind is on the right) and :attr:`View.scores`.
COMPARISON_COLUMNS = ("sides", "gain", "reply", "better / same / worse")
SCORE_COLUMNS = ("kind", "strength", "rows", "loss", "training", "folds", "remarks")
_LUCK_IS_PAID = "Gains allow for the luck of picking the best of several strengths; losses do not."
#: What would flip the verdict is told of the nearest replies.
_MOST_FLIPS = 2


@dataclass(frozen=True, kw_only=True)
class PathRow:
    """One question answered; on paper the questions are counted from 1."""

    question: str
    text: str
    reply: str
    because: str
    #: What the chart does next, or empty.
    action: str
    #: What the pick became if it changed ("so far: L2"), or the outcome on the last row ("outcome: L2").
    pick: str


@dataclass(frozen=True, kw_only=True)
class CandidateRow:
    """One kind: its best strength and how it compares with no regularizer. Better gains are positive."""

    kind: str
    strength: str = ""
    loss: str
    #: Gain over no regularizer with the interval of the replies; empty for none itself.
    gain: str
    reply: str
    tried: str = ""
    remarks: str = ""
    is_pick: bool = False


@dataclass(frozen=True, kw_only=True)
class View:
    """All that a report says, as text."""

    #: Program and version.
    title: str
    #: What the data and the settings are, on one line.
    context: str
    headline: tuple[str, ...]
    #: What is odd about the data and may change what the verdict is worth.
    warnings: tuple[str, ...]
    path: tuple[PathRow, ...]
    #: As in "log loss", for the heading of the table of kinds; empty if nothing was trained.
    loss_name: str
    candidates: tuple[CandidateRow, ...]
    #: Every pair of kinds, by ``COMPARISON_COLUMNS``, for a verbose report.
    comparisons: tuple[tuple[str, ...], ...]
    #: Where the chart's answer and the plain best differ; None where they agree.
    disagreement: str | None
    claims: tuple[str, ...]
    strength: tuple[str, ...]
    sample: tuple[str, ...]
    features: tuple[str, ...]
    fit: tuple[str, ...]
    cost: tuple[str, ...]
    #: What would flip the advice, the nearest first.
    flips: tuple[str, ...]
    #: What was left out.
    untested: tuple[str, ...]
    notes: tuple[str, ...]
    next_steps: tuple[str, ...]
    #: Every trained candidate, by ``SCORE_COLUMNS``, best first, for a verbose report.
    scores: tuple[tuple[str, ...], ...]

    @property
    def sections(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """The lists of sentences that are not empty, with their titles, in order."""
        every = (
            ("How sure", self.claims),
            ("Flips", self.flips),
            ("Strength", self.strength),
            ("Fit", self.fit),
            ("Sample", self.sample),
            ("Features", self.features),
            ("Run", self.cost),
            ("Not tested", self.untested),
            ("Notes", self.notes),
            ("Next", self.next_steps),
        )
        return tuple((title, lines) for title, lines in every if lines)


def view(record: Record) -> View:
    """Return the words for `record`.

    The result depends on nothing but the record, and is the same for a record that was saved and loaded.
    """
    scores = record.evidence.scores
    shown = View(
        title=f"regadvisor {record.settings.version}".rstrip(),
        context=sections.context(record),
        headline=headline(record),
        warnings=sections.warnings(record),
        path=tuple(_path_row(step, number, record) for number, step in enumerate(record.walk.steps, 1)),
        loss_name="" if scores is None else named_loss(scores),
        candidates=() if scores is None else _candidates(record, scores),
        comparisons=() if scores is None else _comparisons(scores),
        disagreement=None if scores is None else _disagreement(record, scores),
        claims=sections.claims(record),
        strength=sections.strength(record),
        sample=sections.sample(record),
        features=sections.features(record),
        fit=()
        if scores is None
        else sections.fit(scores, None if record.data is None else record.data.n_features),
        cost=cost(record),
        flips=flips(record)[:_MOST_FLIPS],
        untested=sections.untested(record),
        notes=sections.notes(record),
        next_steps=sections.next_steps(record),
        scores=() if scores is None else _scores(scores),
    )
    # Names come from files nobody checked: they may hold control characters.
    return mapped(shown, clean)


def _path_row(step: Step, number: int, record: Record) -> PathRow:
    pick = ""
    if step is record.walk.steps[-1]:
        pick = f"outcome: {label(record.walk.outcome)}"
    elif step.pick_after is not None and step.pick_after != step.pick_before:
        pick = f"so far: {label('none') if step.pick_after == 'none' else short_label(step.pick_after)}"
    return PathRow(
        question=str(number),
        text=step.text,
        reply=step.reply,
        because=sentence(step.answer.because),
        action=step.action or "",
        pick=pick,
    )


def _candidates(record: Record, scores: ScoreEvidence) -> tuple[CandidateRow, ...]:
    """Return one row per kind, the lowest loss first, and the constant last."""
    found = losses(scores)
    tried = {score.kind for score in scores.scores} | set(found) | set(scores.n_excluded)
    kinds = [kind for kind in KINDS if kind in tried]
    kinds.sort(key=lambda kind: found.get(kind, float("inf")))
    rows = [_candidate(kind, record, scores) for kind in kinds]
    pair = scores.comparison("constant", "none")
    constant = CandidateRow(
        kind="always guess",
        loss=number(scores.constant_loss),
        gain=_gain(pair),
        reply="" if pair is None else pair.reply,
    )
    return (*rows, constant)


def _candidate(kind: Kind, record: Record, scores: ScoreEvidence) -> CandidateRow:
    own = [score for score in scores.scores if score.kind == kind]
    at_size = [score for score in own if score.n_rows == max(other.n_rows for other in own)]
    is_pick = kind == record.strength.regularizer.kind
    picked = record.strength.on_sample if is_pick else None
    best = picked or _best(at_size)
    loss = losses(scores).get(kind)
    found = scores.comparison(kind, "none")
    return CandidateRow(
        kind=short_label(kind),
        strength="" if best is None or kind == "none" else short_strengths(best),
        loss="–" if loss is None else number(loss),
        gain=_gain(found),
        reply="" if found is None else found.reply,
        tried=f"{len({score.regularizer for score in at_size}):,}",
        remarks=_remarks(at_size, scores.n_excluded.get(kind, 0)),
        is_pick=is_pick,
    )


def _best(at_size: list[CandidateScore]) -> Regularizer | None:
    """Return the strengths with the lowest mean loss over seeds; fits that failed come last."""
    by_strength: dict[Regularizer, list[CandidateScore]] = {}
    for score in at_size:
        by_strength.setdefault(score.regularizer, []).append(score)

    def rank(regularizer: Regularizer) -> tuple[bool, float]:
        own = by_strength[regularizer]
        return (not all(s.converged for s in own), sum(s.loss for s in own) / len(own))

    return min(by_strength, key=rank, default=None)


def _remarks(at_size: list[CandidateScore], n_excluded: int) -> str:
    parts = []
    if any(score.is_limit for score in at_size):
        parts.append("no finite fit exists; a tiny penalty stands in")
    n_exploded = sum(score.exploded for score in at_size)
    if n_exploded:
        parts.append(f"{counted(n_exploded, 'run')} exploded (loss far above guessing)")
    if n_excluded:
        parts.append(f"{n_excluded:,} excluded")
    return ", ".join(parts)


def _gain(found: Comparison | None) -> str:
    """Return the gain of `a` over `b` with its interval: percent of the loss of `b`, if that is above 0."""
    if found is None:
        return ""
    ends = (-found.difference, -found.most, -found.least)
    if found.difference > MOST_TIMES * found.loss_b > 0:
        return f"loss × {number(1 + found.difference / found.loss_b, 2)}"
    if found.loss_b <= 0:
        return f"{'+' if ends[0] > 0 else ''}{number(ends[0])} [{number(ends[1])}, {number(ends[2])}]"
    # An interval may reach beyond what can be gained, which is all of the loss.
    gain, low, high = (signed_percent(min(end / found.loss_b, 1.0)) for end in ends)
    return f"{gain} [{low}, {high}]"


def _comparisons(scores: ScoreEvidence) -> tuple[tuple[str, ...], ...]:
    """Return every pair once, the simpler side (or the constant) on the right."""
    order = {side: place for place, side in enumerate(("constant", *KINDS, "any"))}
    pairs = [found if order[found.a] > order[found.b] else found.turned for found in scores.comparisons]
    pairs.sort(key=lambda found: (order[found.b], order[found.a]))
    return tuple(
        (
            f"{short_label(found.a)} against {short_label(found.b)}",
            _gain(found),
            found.reply,
            f"{found.p_better:.2f} / {found.p_same:.2f} / {found.p_worse:.2f}",
        )
        for found in pairs
    )


def _disagreement(record: Record, scores: ScoreEvidence) -> str | None:
    outcome, own = record.walk.outcome, losses(scores)
    best = min(own, key=own.__getitem__, default=outcome)
    if outcome in ("no signal", best) or outcome not in own or number(own[best]) == number(own[outcome]):
        return _LUCK_IS_PAID if any(_reads_as_loss(kind, scores, own) for kind in own) else None
    found = scores.comparison(best, outcome)
    clear = {"same": "the two tie", "unsure": "the data do not settle which is better"}
    how = clear.get("unsure" if found is None else found.reply, "the difference is clear")
    stand_in = best == "none" and not scores.none_exists
    name = "a tiny penalty, which stands in for none" if stand_in else short_label(best)
    return (
        f"The lowest loss is that of {name} ({number(own[best])} against {number(own[outcome])} "
        f"of {short_label(outcome)}; {how})."
    )


def _reads_as_loss(kind: str, scores: ScoreEvidence, own: Mapping[str, float]) -> bool:
    """Whether a kind has a gain below 0 beside a loss that is no higher than that of none."""
    found = scores.comparison(kind, "none")
    is_lower = number(own[kind]) == number(own.get("none", math.inf)) or own[kind] < own.get("none", math.inf)
    return found is not None and found.difference > found.region and is_lower


def _scores(scores: ScoreEvidence) -> tuple[tuple[str, ...], ...]:
    place = {kind: index for index, kind in enumerate(KINDS)}
    ranked = sorted(scores.scores, key=lambda s: (-s.n_rows, place[s.kind], s.loss, s.seed))
    return tuple(
        (
            short_label(score.kind),
            "" if score.kind == "none" else short_strengths(score.regularizer),
            f"{score.n_rows:,}",
            number(score.loss),
            number(score.train_loss),
            " ".join("–" if loss is None else number(loss) for loss in score.fold_losses),
            _score_remarks(score),
        )
        for score in ranked
    )


def _score_remarks(score: CandidateScore) -> str:
    parts = [
        "" if score.converged else "did not converge",
        "limit" if score.is_limit else "",
        "exploded" if score.exploded else "",
        "" if score.epochs is None else f"{number(score.epochs)} epochs",
        f"{score.share_zeroed:.0%} zeroed" if score.share_zeroed else "",
    ]
    return ", ".join(part for part in parts if part)


def mapped(value: _T, change: Callable[[str], str]) -> _T:
    """Return a view, or a part of one, with every text changed."""
    if isinstance(value, str):
        return change(value)  # type: ignore[return-value]
    if isinstance(value, tuple):
        return tuple(mapped(item, change) for item in value)  # type: ignore[return-value]
    if is_dataclass(value) and not isinstance(value, type):
        changes = {field.name: mapped(getattr(value, field.name), change) for field in fields(value)}
        return replace(value, **changes)
    return value
