"""The judges: pure functions from evidence to an answer with its reason.

A judge declares which fields of the evidence it reads; it gathers nothing and trains nothing. Where a
chart has no edge for *unsure* (the classic one), the judge gives the reply it leans to and says so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from regadvisor import thresholds
from regadvisor.flowchart.chart import BOTH, PICK, Question
from regadvisor.full_size.laws import rescaled_loss
from regadvisor.records import (
    Answer,
    Comparison,
    CorrelationEvidence,
    Evidence,
    GrowthEvidence,
    Number,
    Reply,
    SampleEvidence,
    ScoreEvidence,
    WholePictureEvidence,
)
from regadvisor.regularizer import KINDS, LABELS, Kind
from regadvisor.words import between, capital, number, part_of, spread

Mode = Literal["sign", "interval"]
#: The reply on the other side of the threshold.
_ACROSS: dict[str, Reply] = {"yes": "no", "no": "yes"}
_MASSES = ("p_better", "p_same", "p_worse")


@dataclass(frozen=True, kw_only=True)
class Judge:
    """What a question reads and how it is answered."""

    needs: tuple[str, ...]
    answer: Callable[[Question, Evidence, Kind | None, Mode], Answer]


def _settle(question: Question, answer: Answer, lean: Reply) -> Answer:
    """Return the answer, or the reply it leans to where the chart knows no such reply."""
    if answer.reply in question.edges:
        return answer
    because = f"{answer.because} (Leaning to {lean}: this chart knows no {answer.reply}.)"
    return replace(answer, reply=lean, because=because)


def _numbers(evidence: object, *names: str) -> dict[str, Number]:
    """Return the named numbers of a piece of evidence."""
    return {name: getattr(evidence, name) for name in names}


# ------------------------------------------------------------------------------------------------ Q1


def _same_distribution(question: Question, evidence: Evidence, pick: Kind | None, mode: Mode) -> Answer:
    sample = evidence.sample
    assert sample is not None
    numbers = {"n_sample": sample.n_rows, **_numbers(sample, "n_source", "worst_shift", "worst_column")}
    reply, because = _sample_reply(sample, validates_otherwise="unsure" in question.edges)
    return _settle(question, Answer(reply=reply, because=because, numbers=numbers), lean="yes")


def _sample_reply(sample: SampleEvidence, *, validates_otherwise: bool) -> tuple[Reply, str]:
    size = f"{sample.n_rows:,} of {sample.n_source:,} rows"
    if not sample.is_allowed:
        return "no", "You said that no sub sample can be taken."
    if sample.verdict == "different":
        found = next((test.text for test in sample.tests if test.verdict == "different"), "")
        return "no", f"The sample of {size} differs from the whole. {found}".rstrip()
    if sample.has_drift:
        if not validates_otherwise:
            return "no", "The rows drift in time, so a random sample does not look like the future."
        return "unsure", "The rows drift in time; validation goes forward in time instead of at random."
    if sample.has_groups and not validates_otherwise:
        return "no", "The rows come in groups, so rows of a random sample are not independent of the rest."
    by = " Groups are kept whole." if sample.has_groups else ""
    if sample.is_everything:
        return "yes", f"All {sample.n_rows:,} rows are used.{by}"
    if sample.verdict == "inconclusive":
        column = f" (largest: {sample.worst_column})" if sample.worst_column else ""
        return "unsure", f"{size} neither match the whole closely nor differ from it clearly{column}."
    shift = (
        "" if sample.worst_shift is None else f": no mean is off by more than {number(sample.worst_shift)} SD"
    )
    return "yes", f"{size}, stratified{shift}.{by}"


# ------------------------------------------------------------------------------------------------ Q2


def _resources(question: Question, evidence: Evidence, pick: Kind | None, mode: Mode) -> Answer:
    resources = evidence.resources
    assert resources is not None
    numbers: dict[str, Number] = {"effort": resources.effort, "n_rows": resources.n_rows}
    if not resources.can_validate:
        return Answer(reply="no", because=resources.obstacle or "Validation does not fit.", numbers=numbers)
    if resources.budget_s is None:
        because = f"Effort {resources.effort!r} was asked for, without a time limit."
    else:
        source = " (automatic)" if resources.budget_source == "automatic" else ""
        budget = f"the budget of {resources.budget_s:.1f} s{source}"
        if resources.projected_s is None:
            because = f"What {budget} has room for is tried."
        elif resources.projected_s > resources.budget_s:
            because = (
                f"All of effort {resources.effort!r} would take about {resources.projected_s:.1f} s; "
                f"{budget} has room for the most important part of it."
            )
        else:
            because = (
                f"Effort {resources.effort!r} is projected to take {resources.projected_s:.1f} s, "
                f"within {budget}."
            )
    return Answer(reply="yes", because=because, numbers=numbers)


# ----------------------------------------------------------------------------------------- Q3, Q3a, Q3b


def _prior_knowledge(question: Question, evidence: Evidence, pick: Kind | None, mode: Mode) -> Answer:
    prior = evidence.prior
    assert prior is not None
    if prior.is_known is False:
        return Answer(reply="no", because="You said that you know nothing about the features.")
    if prior.is_known or prior.correlated is not None or prior.whole_picture is not None:
        return Answer(reply="yes", because="You said something about the features.")
    if prior.can_measure:
        return Answer(reply="yes", because="The features can be measured without training a model.")
    return Answer(reply="no", because="Nothing was said about the features and nothing can be measured.")


def _feature_answer(
    question: Question,
    facts: CorrelationEvidence | WholePictureEvidence,
    *,
    because: str,
    numbers: dict[str, Number],
    lean: Reply,
) -> Answer:
    """Answer Q3a or Q3b: the caller's word wins, else what was measured counts."""
    if facts.given is not None:
        reply: Reply = "yes" if facts.given else "no"
        said = f"You said {reply}"
        agrees = facts.measured in (None, reply)
        because = f"{said}." if agrees else f"{said}; the data say {facts.measured}. Your word counts."
        other: Reply = "no" if facts.given else "yes"
        return Answer(reply=reply, because=because, flips_to=other, flips_if=f"you said {other}")
    if facts.measured is None:
        answer = Answer(reply="unsure", because="It was not said and could not be measured.")
        return _settle(question, answer, lean)
    answer = Answer(
        reply=facts.measured,
        because=because,
        numbers={**numbers, "margin": facts.margin},
        flips_to=_ACROSS.get(facts.measured),
        flips_if=_margin_text(facts.margin, facts.margin_unit),
        distance=None if facts.margin is None else min(abs(facts.margin), 1.0),
    )
    return _settle(question, answer, lean)


def _correlated(question: Question, evidence: Evidence, pick: Kind | None, mode: Mode) -> Answer:
    facts = evidence.correlation
    assert facts is not None
    numbers = _numbers(facts, "explained", "n_factors", "vif", "vif_column", "effective_rank")
    return _feature_answer(question, facts, because=_correlation_text(facts), numbers=numbers, lean="no")


def _correlation_text(facts: CorrelationEvidence) -> str:
    parts = []
    if facts.n_factors is not None and facts.explained is not None:
        noun = "common factor explains" if facts.n_factors == 1 else "common factors explain"
        parts.append(f"{facts.n_factors} {noun} {facts.explained:.0%} of the variance")
    if facts.vif is not None:
        column = "" if facts.vif_column is None else f" ({facts.vif_column})"
        parts.append(f"the largest variance inflation is {number(facts.vif)}{column}")
    text = ", ".join(parts) or "Too few columns to be correlated"
    return capital(text) + "."


def _margin_text(margin: float | None, unit: str | None) -> str | None:
    if margin is None:
        return None
    return f"{unit or 'the statistic'} were {number(abs(margin))} {'lower' if margin > 0 else 'higher'}"


def _whole_picture(question: Question, evidence: Evidence, pick: Kind | None, mode: Mode) -> Answer:
    facts = evidence.whole_picture
    assert facts is not None
    numbers = _numbers(facts, "density", "neighbour_excess", "layout")
    return _feature_answer(question, facts, because=_whole_picture_text(facts), numbers=numbers, lean="yes")


def _whole_picture_text(facts: WholePictureEvidence) -> str:
    parts = []
    if facts.layout is not None:
        parts.append(f"the columns look like neighbours ({facts.layout})")
    if facts.density is not None:
        parts.append(f"signal is spread over {facts.density:.0%} of the features")
    text = " and ".join(parts) or "The columns are separate variables, and too few to judge a spread"
    return capital(text) + "."


# ----------------------------------------------------------------------------------------- Q4s to Q9b


def best_with_dropout(evidence: Evidence) -> Kind:
    """Return dropout+L1 if it has the lower honest loss, else dropout+L2."""
    scores = evidence.scores
    losses = {} if scores is None else scores.honest_losses
    inf = float("inf")
    return "dropout_l1" if losses.get("dropout_l1", inf) < losses.get("dropout_l2", inf) else "dropout_l2"


def kind_of_lowest(evidence: Evidence) -> Kind:
    """Return the kind of the candidate with the lowest loss expected of all rows; nothing known: none."""
    losses = {} if evidence.scores is None else _losses_at_full_size(evidence.scores)
    return min((kind for kind in KINDS if kind in losses), key=lambda kind: losses[kind], default="none")


def _losses_at_full_size(scores: ScoreEvidence) -> dict[str, float]:
    """Return the lowest loss by kind, with what rescaling its strengths to all rows is expected to cost."""
    return {
        kind: rescaled_loss(loss, scores.carry_costs.get(kind, 0.0), constant=scores.constant_loss)
        for kind, loss in scores.lowest_losses.items()
    }


def _lowest_loss(question: Question, evidence: Evidence, pick: Kind | None, mode: Mode) -> Answer:
    """Answer whether the best candidate of another kind undercuts that of the pick."""
    scores = evidence.scores
    assert scores is not None
    best, own = kind_of_lowest(evidence), pick or "none"
    if own not in scores.lowest_losses:
        reply: Reply = "yes" if scores.lowest_losses else "no"
        return Answer(reply=reply, because=f"No fit of {_label(own)} finished.")
    expected = _losses_at_full_size(scores)
    lowest, loss = expected[best], expected[own]
    edge = thresholds.OVERRULED_FROM * loss
    numbers: dict[str, Number] = {"lowest_kind": best, "lowest_loss": lowest, "pick_loss": loss}
    distance = abs(loss - lowest - edge) / max(loss, 1e-12)
    paid = _rescaled_text(scores, expected, best, own)
    if loss - lowest > edge:
        less = part_of(loss - lowest, loss)
        needed = part_of(loss - lowest - edge, loss)
        return Answer(
            reply="yes",
            because=f"{capital(_with(best))} the loss is {less} lower than {_with(own)}{paid}.",
            numbers=numbers,
            flips_to="no",
            flips_if=None if needed == "0%" else f"the best loss of {_label(own)} were {needed} lower",
            distance=distance,
        )
    if best == own:
        because = f"The loss is lowest {_with(best)} ({number(loss)}){paid}."
    else:
        less = part_of(loss - lowest, loss)
        less = "less than 0.1%" if less == "0%" else less
        because = f"{capital(_with(best))} it is {less} lower, too little to count{paid}."
    return Answer(reply="no", because=because, numbers=numbers)


def _with(kind: Kind) -> str:
    return "without a regularizer" if kind == "none" else f"with {_label(kind)}"


def _rescaled_text(scores: ScoreEvidence, expected: dict[str, float], *kinds: Kind) -> str:
    """Return a clause on what is expected to be lost on the way to all rows, if anything is."""
    lost = {kind: expected[kind] - scores.lowest_losses[kind] for kind in dict.fromkeys(kinds)}
    said = [f"{part_of(rise, expected[kind])} of {_label(kind)}" for kind, rise in lost.items() if rise > 0]
    return f", after what rescaling to all rows may cost ({' and '.join(said)})" if said else ""


def _side(side: str, evidence: Evidence, pick: Kind | None) -> str:
    if side == PICK:
        return pick or "none"
    return best_with_dropout(evidence) if side == BOTH else side


def _label(side: str) -> str:
    """Return a side of a comparison as part of a sentence; the chart says what L1+L2 is."""
    named = {"any": "the best model", "constant": "always guessing"}.get(side) or LABELS[side]  # type: ignore[index]
    return named.partition(" (")[0]


def _comparison(question: Question, evidence: Evidence, pick: Kind | None, mode: Mode) -> Answer:
    scores = evidence.scores
    assert scores is not None
    assert question.compares is not None
    a, b = (_side(side, evidence, pick) for side in question.compares)
    if a == b:
        return _settle(
            question, Answer(reply="same", because=f"{_label(a)} is the best so far itself."), lean="worse"
        )
    found = scores.comparison(a, b)
    if found is None:
        missing = [_label(side) for side in (a, b) if side not in scores.honest_losses and side != "constant"]
        what = f" of {' or '.join(missing)}" if missing else ""
        because = f"No fit{what} finished, so there is nothing to compare."
        return _settle(question, Answer(reply="unsure", because=because), lean="worse")
    reply = _reply(question, found, mode)
    return Answer(
        reply=reply,
        because=_comparison_text(found, reply),
        numbers=_numbers(found, "difference", "low", "high", "region", *_MASSES),
        flips_to=_across(found, reply, mode),
        flips_if=_comparison_flip(found, reply, mode),
        distance=_comparison_distance(found, reply, mode),
    )


def _reply(question: Question, found: Comparison, mode: Mode) -> Reply:
    """Return the reply of a comparison: by sign, or by mass; a signal has to be shown, not doubted."""
    if mode == "sign":
        return "better" if found.difference < 0 else "worse"
    if question.compares == ("any", "constant") and found.p_better < thresholds.SIGNAL_MASS:
        return "same" if found.p_same > found.p_worse else "worse"
    return found.reply


def _comparison_text(found: Comparison, reply: Reply) -> str:
    """Return the difference as a share of the loss, with the bound, or both, that made the reply."""
    a, b = capital(_label(found.a)), _label(found.b)
    share = part_of(found.difference, found.loss_b)
    how_much = f"{share} {'lower' if found.difference < 0 else 'higher'}"
    if reply == found.reply == "same":
        apart = "the losses are equal" if share in ("0", "0%") else f"its loss is {how_much}"
        return f"{a} ties with {b}: {apart}."
    bound = spread(found.difference, found.least, found.most, found.loss_b, mass=thresholds.REPLY_MASS)
    if share in ("0", "0%"):
        return f"{a} has about the same loss as {b} ({bound})."
    return f"{a} has a loss {how_much} than {b} ({bound})."


def _comparison_distance(found: Comparison, reply: Reply, mode: Mode) -> float:
    """Return how far the mean difference is from the edge of its region, as a share of the loss."""
    edges = (0.0,) if mode == "sign" else (-found.region, found.region)
    scale = max(found.loss_b, 1e-12)
    return min(abs(found.difference - edge) for edge in edges) / scale


def _across(found: Comparison, reply: Reply, mode: Mode) -> Reply:
    """Return the reply on the other side of the nearest threshold."""
    if mode == "sign":
        return "worse" if reply == "better" else "better"
    if reply in ("better", "worse"):
        return "same"
    return "better" if found.difference < 0 else "worse"


def _comparison_flip(found: Comparison, reply: Reply, mode: Mode) -> str | None:
    """Return what would lead to the reply of :func:`_across`; None where rounding hides the step."""
    a, b = _label(found.a), _label(found.b)
    how = "better" if found.difference < 0 else "worse"
    now, edge = part_of(found.difference, found.loss_b), part_of(found.region, found.loss_b)
    if reply == "unsure":
        so_far = between(found.least, found.most, found.loss_b, words=("better", "worse"))
        return f"more rows showed that {a} is {how} than {b} (so far it is {so_far})"
    if mode == "sign":
        return None if now == "0%" else f"{a} were not {how} than {b} (now {now} {how})"
    if now == edge:
        return None
    least = "at least" if reply == "same" else "less than"
    return f"{a} were {least} {edge} {how} than {b} (now {now})"


# ----------------------------------------------------------------------------------------------- Q10


def _full_size(question: Question, evidence: Evidence, pick: Kind | None, mode: Mode) -> Answer:
    sample, growth = evidence.sample, evidence.growth
    if sample is not None and sample.is_everything and sample.validation != "blocks":
        return Answer(
            reply="yes", because="The gain was measured on all rows, so there is nothing to extrapolate."
        )
    if pick == "none":
        return Answer(reply="yes", because="There is no gain to lose: more rows need less regularization.")
    if growth is None or growth.kind != pick:
        size = "" if sample is None else f" on {sample.n_rows:,} of {sample.n_source:,} rows"
        because = f"The gain was measured{size}; more rows usually need less regularization."
        return _settle(question, Answer(reply="unsure", because=because), lean="yes")
    reply = _growth_reply(growth)
    beyond = "below" if reply == "yes" else "above"
    answer = Answer(
        reply=reply,
        because=_growth_text(growth),
        numbers=_numbers(growth, "gain", "low", "high", *_MASSES),
        flips_to=_ACROSS.get(reply),
        flips_if=f"its gain at {growth.n_rows:,} rows were {beyond} {thresholds.SAME_REGION:.1%} of the loss",
        distance=abs(growth.gain - thresholds.SAME_REGION),
    )
    return _settle(question, answer, lean="yes")


def _growth_reply(growth: GrowthEvidence) -> Reply:
    """Return the reply by mass; far beyond the sample nothing is sure unless all rows were trained on."""
    if _is_too_far(growth):
        return "unsure"
    if growth.p_better >= thresholds.REPLY_MASS:
        return "yes"
    if growth.p_same >= thresholds.REPLY_MASS:
        return "same"
    return "no" if growth.p_worse >= thresholds.REPLY_MASS else "unsure"


def _is_too_far(growth: GrowthEvidence) -> bool:
    return growth.source != "checked" and (
        growth.n_rows > thresholds.FARTHEST_EXTRAPOLATION * growth.n_sample
    )


def _growth_text(growth: GrowthEvidence) -> str:
    """Return what was measured at which size, and what follows for all rows."""
    label = capital(_label(growth.kind))
    measured = ", ".join(f"{point.gain:.1%} at {point.n_rows:,}" for point in growth.sizes)
    has_gained = all(point.gain >= 0 for point in growth.sizes)
    seen = f"{label} lowers the loss by {measured} rows" if has_gained else f"{label} gains {measured} rows"
    if _is_too_far(growth):
        times = growth.n_rows / growth.n_sample
        return (
            f"{seen}; what is left of that on all {growth.n_rows:,}, {times:.0f} times as many, is not known."
        )
    interval = f"{thresholds.INTERVAL:.0%} interval: {growth.low:.1%} to {growth.high:.1%}"
    return f"{seen}; on all {growth.n_rows:,} rows expect {growth.gain:.1%} ({interval})."


JUDGES: dict[str, Judge] = {
    "same_distribution": Judge(needs=("sample",), answer=_same_distribution),
    "resources": Judge(needs=("resources",), answer=_resources),
    "prior_knowledge": Judge(needs=("prior",), answer=_prior_knowledge),
    "correlated": Judge(needs=("correlation",), answer=_correlated),
    "whole_picture": Judge(needs=("whole_picture",), answer=_whole_picture),
    "comparison": Judge(needs=("scores",), answer=_comparison),
    "lowest_loss": Judge(needs=("scores",), answer=_lowest_loss),
    "full_size": Judge(needs=("sample", "growth"), answer=_full_size),
}
