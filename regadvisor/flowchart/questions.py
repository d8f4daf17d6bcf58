"""The judges: pure functions from evidence to an answer with its reason.

A judge declares which fields of the evidence it reads; it gathers nothing and trains nothing. Where a
chart has no edge for *unsure* (the classic one), the judge gives the reply it leans to and says so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from regadvisor import thresholds
from regadvisor.flowchart.chart import Question
from regadvisor.flowchart.comparisons import MASSES, Mode, comparison, lowest_loss, numbers_of
from regadvisor.records import (
    Answer,
    CorrelationEvidence,
    Evidence,
    GrowthEvidence,
    Number,
    Reply,
    SampleEvidence,
    WholePictureEvidence,
)
from regadvisor.regularizer import Kind, plain_label
from regadvisor.words import between, capital, number, percent, seconds

#: The reply on the other side of the threshold.
_ACROSS: dict[str, Reply] = {"yes": "no", "no": "yes"}


@dataclass(frozen=True, kw_only=True)
class Judge:
    """What a question reads and how it is answered."""

    needs: tuple[str, ...]
    answer: Callable[[Question, Evidence, Kind | None, Mode], Answer]


# ------------------------------------------------------------------------------------------------ Q1


def _same_distribution(question: Question, evidence: Evidence, pick: Kind | None, mode: Mode) -> Answer:
    sample = evidence.sample
    assert sample is not None
    numbers = {"n_sample": sample.n_rows, **numbers_of(sample, "n_source", "worst_shift", "worst_column")}
    reply, because = _sample_reply(sample, validates_otherwise="unsure" in question.edges)
    return question.settled(Answer(reply=reply, because=because, numbers=numbers), lean="yes")


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
        ""
        if sample.worst_shift is None
        else f": no mean is off by more than {number(sample.worst_shift, 2)} standard deviations"
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
        budget = f"the budget of {seconds(resources.budget_s)}{source}"
        if resources.projected_s is None:
            because = f"As much is tried as fits into {budget}."
        elif resources.projected_s > resources.budget_s:
            because = (
                f"All of effort {resources.effort!r} would take about {seconds(resources.projected_s)}; "
                f"{budget} has room for the most important part of it."
            )
        else:
            because = (
                f"Effort {resources.effort!r} is projected to take {seconds(resources.projected_s)}, "
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
        return Answer(reply="yes", because="You said what the features are like.")
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
        return question.settled(answer, lean)
    answer = Answer(
        reply=facts.measured,
        because=because,
        numbers={**numbers, "margin": facts.margin},
        flips_to=_ACROSS.get(facts.measured),
        flips_if=_margin_text(facts.margin, facts.margin_unit),
        distance=None if facts.margin is None else min(abs(facts.margin), 1.0),
    )
    return question.settled(answer, lean)


def _correlated(question: Question, evidence: Evidence, pick: Kind | None, mode: Mode) -> Answer:
    facts = evidence.correlation
    assert facts is not None
    numbers = numbers_of(facts, "explained", "n_factors", "vif", "vif_column", "effective_rank")
    return _feature_answer(question, facts, because=_correlation_text(facts), numbers=numbers, lean="no")


def _correlation_text(facts: CorrelationEvidence) -> str:
    parts = []
    if facts.n_factors is not None and facts.explained is not None:
        noun = "common factor explains" if facts.n_factors == 1 else "common factors explain"
        parts.append(f"{facts.n_factors} {noun} {facts.explained:.0%} of the variance")
    if facts.vif is not None:
        column = "" if facts.vif_column is None else f" ({facts.vif_column})"
        parts.append(f"the largest variance inflation factor is {number(facts.vif)}{column}")
    text = ", ".join(parts) or "too few columns to be correlated"
    return capital(text) + "."


def _margin_text(margin: float | None, unit: str | None) -> str | None:
    if margin is None:
        return None
    return f"{unit or 'the statistic'} were {number(abs(margin), 2)} {'lower' if margin > 0 else 'higher'}"


def _whole_picture(question: Question, evidence: Evidence, pick: Kind | None, mode: Mode) -> Answer:
    facts = evidence.whole_picture
    assert facts is not None
    numbers = numbers_of(facts, "density", "neighbour_excess", "layout")
    return _feature_answer(question, facts, because=_whole_picture_text(facts), numbers=numbers, lean="yes")


def _whole_picture_text(facts: WholePictureEvidence) -> str:
    parts = []
    if facts.layout is not None:
        parts.append(f"the columns look like neighbours ({facts.layout})")
    if facts.density is not None:
        parts.append(f"signal is spread over {facts.density:.0%} of the features")
    text = " and ".join(parts) or "the columns are separate variables, and too few to judge a spread"
    return capital(text) + "."


# ----------------------------------------------------------------------------------------------- Q10


def _full_size(question: Question, evidence: Evidence, pick: Kind | None, mode: Mode) -> Answer:
    sample, growth = evidence.sample, evidence.growth
    if sample is not None and sample.is_everything and sample.validation != "blocks":
        return Answer(reply="yes", because="The comparison used all rows already.")
    if pick == "none":
        return Answer(reply="yes", because="There is no gain to lose: more rows need less regularization.")
    if evidence.scores is not None and not evidence.scores.none_exists:
        return Answer(reply="yes", because="Without a penalty some weights grow without limit.")
    if growth is None or growth.kind != pick:
        because = "Nothing was measured at the full size; more rows usually need less regularization."
        return question.settled(Answer(reply="unsure", because=because), lean="yes")
    reply = _growth_reply(growth)
    beyond = "below" if reply == "yes" else "above"
    answer = Answer(
        reply=reply,
        because=_growth_text(growth),
        numbers=numbers_of(growth, "gain", "low", "high", *MASSES),
        flips_to=_ACROSS.get(reply),
        flips_if=f"its gain at {growth.n_rows:,} rows were {beyond} {thresholds.SAME_REGION:.1%} of the loss",
        distance=abs(growth.gain - thresholds.SAME_REGION),
    )
    return question.settled(answer, lean="yes")


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
    measured = ", ".join(f"{_change(point.gain)} at {point.n_rows:,}" for point in growth.sizes)
    seen = f"With {plain_label(growth.kind)} the loss is {measured} rows"
    if _is_too_far(growth):
        times = growth.n_rows / growth.n_sample
        return (
            f"{seen}; what is left of that on all {growth.n_rows:,}, {times:.0f} times as many, is not known."
        )
    interval = f"{thresholds.INTERVAL:.0%} interval: {between(-growth.high, -growth.low, 1.0)}"
    if any(point.n_rows == growth.n_rows for point in growth.sizes):
        return f"{seen} ({interval})."
    return f"{seen}; on all {growth.n_rows:,} rows expect {_change(growth.gain)} ({interval})."


def _change(gain: float) -> str:
    share = percent(gain)
    return "the same" if share == "0%" else f"{share} {'lower' if gain > 0 else 'higher'}"


JUDGES: dict[str, Judge] = {
    "same_distribution": Judge(needs=("sample",), answer=_same_distribution),
    "resources": Judge(needs=("resources",), answer=_resources),
    "prior_knowledge": Judge(needs=("prior",), answer=_prior_knowledge),
    "correlated": Judge(needs=("correlation",), answer=_correlated),
    "whole_picture": Judge(needs=("whole_picture",), answer=_whole_picture),
    "comparison": Judge(needs=("scores",), answer=comparison),
    "lowest_loss": Judge(needs=("scores",), answer=lowest_loss),
    "full_size": Judge(needs=("sample", "growth"), answer=_full_size),
}
