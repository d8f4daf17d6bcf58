"""From a finished walk to a decision: status, claims, strength, ties, flips, on made searches."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from decision_builders import (
    LINEAR,
    N_DRAWS,
    SEEDS,
    N,
    RecordingFamily,
    decider,
    evidence_of,
    growth_of,
    rows,
    scores_of,
    shifts,
    trained,
)
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from test_chart import compared

from regadvisor import thresholds
from regadvisor.compare.claims import most_lost, no_worse, rows_needed, strength_holds
from regadvisor.compare.resampled import no_signal, resampled, strength_ties
from regadvisor.data.source import make_table
from regadvisor.decision import decide as deciding
from regadvisor.families.linear.family import LinearFamily
from regadvisor.flowchart.chart import CLASSIC, limited
from regadvisor.flowchart.walk import walk
from regadvisor.records import (
    CandidateScore,
    Comparison,
    CorrelationEvidence,
    Flip,
    Note,
    ResourceEvidence,
    SampleEvidence,
    WholePictureEvidence,
)
from regadvisor.regularizer import KINDS, Regularizer
from regadvisor.sampling.draw import draw_sample

BASE = rows()


def clear(**factors: float) -> dict[str, list[tuple[dict[str, float], np.ndarray]]]:
    """Losses without any doubt: those of none, times a factor for each penalty."""
    chosen = {"none": 1.0, "l2": 0.6, "l1": 0.8, "elasticnet": 0.7, **factors}
    strengths = {"none": {}, "l2": {"l2": 0.1}, "l1": {"l1": 0.1}, "elasticnet": {"l1": 0.1, "l2": 0.1}}
    return {kind: [(strengths[kind], factor * BASE)] for kind, factor in chosen.items()}


def doubtful(noise: float = 0.05) -> dict[str, list[tuple[dict[str, float], np.ndarray]]]:
    """L2 a little better than L1, with much noise between them; both are far better than none."""
    losses = clear(elasticnet=0.9)
    losses["l2"] = [({"l2": 0.1}, 0.598 * BASE + shifts(noise, 1))]
    losses["l1"] = [({"l1": 0.1}, 0.6 * BASE + shifts(noise, 2))]
    return losses


def claim(decision: Any, name: str) -> Any:
    return next(each for each in decision.claims if each.name == name)


# -------------------------------------------------------------------------------------------- status


def test_the_outcome_of_the_walk_is_advised_with_its_strength() -> None:
    found = trained(clear())
    decision = decider(found, evidence_of(scores_of(found))).decide()
    assert decision.status == "advice"
    assert decision.strength.regularizer == Regularizer(l2=0.1)
    assert decision.strength.source == "search"
    assert decision.ties == ()
    assert decision.rows_needed is None
    assert [each.name for each in decision.claims] == ["regularize", "kind", "strength"]
    assert claim(decision, "kind").statement == "Start with L2."
    assert claim(decision, "regularize").statement == "Regularize."
    assert claim(decision, "strength").statement == "Its strength is within 0.5% of the best tried."
    assert decision.most_lost == 0.0
    close = decider(trained(doubtful()), evidence_of(scores_of(trained(doubtful())))).decide()
    assert close.most_lost == most_lost(draws_of(trained(doubtful())), close.strength.regularizer.kind) > 0.0


def test_kinds_that_are_the_same_as_the_outcome_tie_in_order_of_simplicity() -> None:
    found = trained(clear(l1=0.601, elasticnet=0.6005))
    decision = decider(found, evidence_of(scores_of(found))).decide()
    assert decision.status == "tie"
    assert decision.strength.regularizer.kind == "l2"
    assert decision.ties == ("l1", "elasticnet")


def test_no_regularization_that_ties_is_still_an_advice() -> None:
    found = trained(clear(l2=1.0, l1=1.001, elasticnet=1.3))
    decision = decider(found, evidence_of(scores_of(found))).decide()
    assert (decision.status, decision.ties) == ("advice", ("l2", "l1"))
    assert decision.strength.regularizer == Regularizer()
    assert decision.strength.source == "none"
    assert decision.strength.ties == {}
    assert claim(decision, "regularize").statement == "No regularizer is needed."
    assert claim(decision, "strength").support is None


def unsure(a: str, b: str, *, half: float) -> Comparison:
    return replace(compared(a, b, "unsure", 0.0), low=-half, high=half, loss_a=1.0, loss_b=1.0)


def undecided(*decided: Comparison, half: float) -> tuple[Comparison, ...]:
    """Comparisons none of which is decided, but that there is a signal."""
    pairs = [(a, b) for b, a in combinations(KINDS[:5], 2)]
    signal = compared("any", "constant", "better", -0.5)
    return (*decided, signal, *(unsure(a, b, half=half) for a, b in pairs))


@pytest.mark.parametrize(
    ("comparisons", "chart", "status"),
    [
        (undecided(half=0.0501), LINEAR, "cant_tell"),
        (undecided(half=0.0499), LINEAR, "advice"),
        (undecided(compared("elasticnet", "none", "worse", 0.1), half=0.0501), LINEAR, "advice"),
        (undecided(half=0.0501), CLASSIC, "advice"),
    ],
)
def test_nothing_can_be_told_if_nothing_was_decided_and_gain_and_harm_are_possible(
    comparisons: tuple[Comparison, ...], chart: Any, status: str
) -> None:
    """Every loss is 1, so ten times the region of the same is 0.05; the classic chart goes by the sign."""
    found = trained(clear(l2=1.0, l1=1.0, elasticnet=1.0))
    scores = scores_of(found, comparisons=comparisons)
    decision = decider(found, evidence_of(scores), chart=chart).decide()
    assert decision.status == status


@pytest.mark.parametrize("reply", ["better", "same", "worse", "unsure"])
def test_one_decided_comparison_on_the_path_is_enough(reply: str) -> None:
    found = trained(clear(l2=1.0, l1=1.0, elasticnet=1.0))
    first = replace(unsure("elasticnet", "none", half=0.06), reply=reply)
    comparisons = undecided(first, half=0.06)
    decision = decider(found, evidence_of(scores_of(found, comparisons=comparisons))).decide()
    assert decision.strength.regularizer.kind == ("elasticnet" if reply == "better" else "l2")
    assert decision.status == ("cant_tell" if reply == "unsure" else "advice")


@pytest.mark.parametrize(("low", "high"), [(-0.2, 0.04), (-0.04, 0.2)])
def test_an_interval_that_allows_only_gain_or_only_harm_tells_enough(low: float, high: float) -> None:
    found = trained(clear(l2=1.0, l1=1.0, elasticnet=1.0))
    comparisons = undecided(replace(unsure("l2", "none", half=0.06), low=low, high=high), half=0.06)
    decision = decider(found, evidence_of(scores_of(found, comparisons=comparisons))).decide()
    assert decision.status == "advice"


@pytest.mark.parametrize(
    ("low", "high", "loss", "status"),
    [
        (-0.05, 0.06, 1.0, "advice"),
        (-0.06, 0.05, 1.0, "advice"),
        (-0.0501, 0.0501, 1.0, "cant_tell"),
        (-0.09, 0.09, 2.0, "advice"),
        (-0.03, 0.03, 0.5, "cant_tell"),
    ],
)
def test_how_wide_is_too_wide_is_a_share_of_the_loss(
    low: float, high: float, loss: float, status: str
) -> None:
    found = trained(clear(l2=1.0, l1=1.0, elasticnet=1.0))
    wide = replace(unsure("l2", "none", half=0.06), low=low, high=high, loss_a=0.9, loss_b=loss)
    comparisons = undecided(wide, half=0.06)
    decision = decider(found, evidence_of(scores_of(found, comparisons=comparisons))).decide()
    assert (decision.strength.regularizer.kind, decision.status) == ("l2", status)


def test_no_regularization_is_not_doubted_for_its_own_sake() -> None:
    found = trained(clear(l2=1.0, l1=1.0, elasticnet=1.0))
    comparisons = undecided(half=0.06)
    made = decider(found, evidence_of(scores_of(found, comparisons=comparisons)))
    made = replace(made, walk=replace(made.walk, outcome="none"))
    assert made.decide().status == "advice"


@pytest.mark.parametrize("outcome", ["l2", "none", "l1"])
def test_rows_that_would_decide_are_those_of_the_outcome_or_of_l2_against_none(outcome: str) -> None:
    found = trained(clear(l2=1.0, l1=1.0, elasticnet=1.0))
    l2 = replace(unsure("l2", "none", half=0.3), difference=-0.04, n_rows=N)
    l1 = replace(unsure("l1", "none", half=0.3), difference=-0.1, n_rows=N)
    comparisons = undecided(l2, l1, half=0.3)
    way, _ = walk(LINEAR, evidence_of(scores_of(found, comparisons=comparisons)))
    made = decider(found, evidence_of(scores_of(found, comparisons=comparisons)))
    made = replace(made, walk=replace(way, outcome=outcome))  # type: ignore[arg-type]
    expected = rows_needed(l1 if outcome == "l1" else l2, N)
    assert expected is not None
    assert made._rows_needed(made.evidence.scores, outcome) == expected  # type: ignore[arg-type]
    if outcome == "l2":
        assert (made.decide().status, made.decide().rows_needed) == ("cant_tell", expected)
    assert made._rows_needed(made.evidence.scores, "dropout_l1") is None  # type: ignore[arg-type]


def test_forward_in_time_the_rows_that_would_decide_count_those_never_tested() -> None:
    found = trained(clear(l2=1.0, l1=1.0, elasticnet=1.0))
    l2 = replace(unsure("l2", "none", half=0.3), difference=-0.04, n_rows=N)
    evidence = evidence_of(scores_of(found, comparisons=undecided(l2, half=0.3)))
    assert evidence.sample is not None
    sample = replace(evidence.sample, validation="time", n_rows=2 * N)
    made = decider(found, replace(evidence, sample=sample))
    scores = made.evidence.scores
    assert scores is not None
    assert made._rows_needed(scores, "l2") == rows_needed(l2, 2 * N)
    # A deadline leaves rows that may still be tested, and so does any other validation.
    assert made._rows_needed(replace(scores, cut="the time was up"), "l2") == rows_needed(l2, N)
    for other in (None, replace(sample, validation="stratified")):
        mixed = replace(made, evidence=replace(made.evidence, sample=other))
        assert mixed._rows_needed(scores, "l2") == rows_needed(l2, N)


# ---------------------------------------------------------------------------------- without training


def no_budget() -> ResourceEvidence:
    return ResourceEvidence(
        budget_s=0.0, budget_source="given", effort="quick", can_validate=False, obstacle="No budget."
    )


def test_without_validation_the_strength_is_a_documented_default_without_support() -> None:
    evidence = evidence_of(None, resources=no_budget(), correlation=CorrelationEvidence(measured="yes"))
    family = RecordingFamily()
    decision = decider(None, evidence, n_rows=700, family=family).decide()
    assert decision.status == "advice"
    assert decision.strength.source == "default"
    assert decision.strength.regularizer == LinearFamily().defaults("l2", n_rows=700, n_features=4)
    assert [(each.name, each.support) for each in decision.claims] == [
        ("regularize", None),
        ("kind", None),
        ("strength", None),
    ]
    assert [each.statement for each in decision.claims] == [
        "Regularize.",
        "Start with L2.",
        "A documented default, not measured.",
    ]
    assert family.trainings == [(None, 700, 700, SEEDS["model"])]
    assert decision.scores is None


@pytest.mark.parametrize(
    ("budget_s", "obstacle", "status"),
    [
        (0.0, "No budget.", "advice"),
        (None, "Too few rows.", "cant_tell"),
        (5.0, "Too few rows.", "cant_tell"),
    ],
)
def test_data_that_cannot_be_validated_on_leave_a_default_that_is_no_advice(
    budget_s: float | None, obstacle: str, status: str
) -> None:
    resources = replace(no_budget(), budget_s=budget_s, obstacle=obstacle)
    assert decider(None, evidence_of(None, resources=resources)).decide().status == status
    for fine in (None, replace(resources, obstacle=None, can_validate=True)):
        made = decider(None, evidence_of(None, resources=resources))
        made = replace(made, evidence=replace(made.evidence, resources=fine))
        assert made.decide().status == "advice"


def test_without_validation_what_was_measured_may_still_flip_the_kind() -> None:
    near = CorrelationEvidence(measured="yes", explained=0.31, margin=0.01, margin_unit="the explained share")
    decision = decider(None, evidence_of(None, resources=no_budget(), correlation=near)).decide()
    assert decision.flips == (Flip(outcome="l1", condition="the explained share were 0.01 lower"),)


@pytest.mark.parametrize("outcome", ["none", "l2"])
def test_a_kind_that_is_compared_with_no_other_cannot_be_told(outcome: str) -> None:
    found = trained({"none": clear()["none"]})
    made = decider(found, evidence_of(scores_of(found)))
    assert replace(made, walk=replace(made.walk, outcome=outcome)).decide().status == "cant_tell"
    two = trained({"none": clear()["none"], "l2": clear()["l2"]})
    assert (
        decider(two, evidence_of(scores_of(two)), chart=limited(LINEAR, ("none", "l2"))).decide().status
        == "advice"
    )


def test_an_outcome_without_a_finished_fit_cannot_be_told() -> None:
    losses = clear()
    del losses["l2"]
    found = trained(losses)
    scores = scores_of(found)
    scores = replace(scores, lowest_losses={**scores.lowest_losses, "l2": 0.1})
    made = decider(found, evidence_of(scores))
    assert made.walk.outcome == "l2"
    decision = made.decide()
    assert decision.status == "cant_tell"
    assert decision.strength.source == "default"
    assert decision.scores is scores
    unfitted = replace(made, walk=replace(made.walk, outcome="none"), trained=trained({"l1": clear()["l1"]}))
    said = unfitted.decide()
    assert (said.status, claim(said, "regularize").statement) == ("cant_tell", "No regularizer is needed.")


# --------------------------------------------------------------------------------------------- claims


def draws_of(found: Any, **options: Any) -> Any:
    return resampled(found.honest, n_draws=N_DRAWS, seed=SEEDS["decide"], **options)


def test_support_is_the_share_of_resampled_rows_that_agree() -> None:
    losses = doubtful()
    losses["l2"].append(({"l2": 1.0}, 0.6 * BASE + shifts(0.05, 5)))
    found = trained(losses)
    decision = decider(found, evidence_of(scores_of(found))).decide()
    outcome = decision.strength.regularizer.kind
    assert outcome == "l2"
    draws = draws_of(found)
    assert claim(decision, "regularize").support == thresholds.HIGHEST_SUPPORT
    for name, share in (("kind", no_worse(draws, [outcome])), ("strength", strength_holds(draws, outcome))):
        assert 0.05 < share < 0.95
        assert claim(decision, name).support == pytest.approx(share)


@pytest.mark.parametrize("outcome", ["none", "l2"])
def test_regularize_is_about_the_side_that_the_outcome_is_on(outcome: str) -> None:
    losses = clear(l1=1.4, elasticnet=1.4)
    losses["l2"] = [({"l2": 0.1}, BASE + (shifts(0.1, 3) + 0.004 if outcome == "none" else shifts(0.4, 3)))]
    found = trained(losses)
    scores = scores_of(found)
    made = decider(found, evidence_of(scores))
    made = replace(made, walk=replace(made.walk, outcome=outcome))  # type: ignore[arg-type]
    helps = against_none(scores).p_better
    share = no_worse(draws_of(found), ["none"]) if outcome == "none" else helps
    assert 0.3 < share < 0.97
    assert claim(made.decide(), "regularize").support == pytest.approx(share)


def against_none(scores: Any) -> Comparison:
    found = scores.comparison("l2", "none")
    assert found is not None
    return found


def nearly(gain: float, noise: float = 0.05) -> Any:
    """Return the decider where L2 gains a share of the loss, or loses it."""
    losses = clear(l1=1.4, elasticnet=1.4)
    losses["l2"] = [({"l2": 0.1}, BASE * (1 - gain) + shifts(noise, 3))]
    found = trained(losses)
    made = decider(found, evidence_of(scores_of(found)))
    return replace(made, walk=replace(made.walk, outcome="l2"))


@pytest.mark.parametrize(("gain", "is_tie"), [(0.003, True), (-0.003, True), (0.2, False)])
def test_no_regularizer_ties_where_too_little_is_at_stake_to_matter(gain: float, is_tie: bool) -> None:
    made = nearly(gain)
    comparison = against_none(made.evidence.scores)
    decision = made.decide()
    assert ("none" in decision.ties) == is_tie
    regularize = claim(decision, "regularize")
    if is_tie:
        assert comparison.reply == "unsure"
        assert regularize.statement == "Regularizing or not changes the loss by less than 0.5%."
        assert regularize.support == pytest.approx(comparison.p_same)
    else:
        assert regularize.statement == "Regularize."
        assert regularize.support == pytest.approx(min(comparison.p_better, thresholds.HIGHEST_SUPPORT))


NONE_AS_A_LIMIT = CandidateScore(
    regularizer=Regularizer(),
    loss=0.5,
    fold_losses=(0.5,),
    train_loss=0.0,
    n_rows=N,
    seed=0,
    converged=True,
    is_limit=True,
)


def test_where_no_best_fit_without_a_penalty_exists_it_counts_neither_as_a_tie_nor_as_the_best() -> None:
    found = trained(clear(none=0.5, l2=0.5))
    scores = scores_of(found)
    assert decider(found, evidence_of(scores)).decide().strength.regularizer.kind == "none"
    decision = decider(found, evidence_of(replace(scores, scores=(NONE_AS_A_LIMIT,)))).decide()
    assert decision.strength.regularizer.kind == "l2"
    assert decision.ties == ()
    assert (decision.status, decision.most_lost) == ("advice", 0.0)
    assert claim(decision, "regularize").support == claim(decision, "kind").support == 0.99


def test_whether_to_regularize_is_not_open_where_no_best_fit_without_a_penalty_exists() -> None:
    found = trained(clear())
    scores = scores_of(found, comparisons=undecided(half=0.5))
    assert decider(found, evidence_of(scores)).decide().status == "cant_tell"
    told = decider(found, evidence_of(replace(scores, scores=(NONE_AS_A_LIMIT,)))).decide()
    assert (told.status, told.rows_needed) == ("advice", None)


def test_a_wide_open_comparison_is_no_tie() -> None:
    made = nearly(0.003)
    comparison = against_none(made.evidence.scores)
    edge = thresholds.TIE_WIDTH * min(comparison.loss_a, comparison.loss_b)
    for high, ties in ((0.99 * edge, True), (1.01 * edge, False)):
        assert replace(comparison, low=-0.9 * edge, high=high).is_tie == ties
        assert replace(comparison, low=-high, high=0.9 * edge).is_tie == ties
    assert not replace(comparison, reply="better").is_tie
    assert replace(comparison, reply="same", high=1.0).is_tie


def test_none_is_as_sure_as_it_is_that_the_gain_does_not_last() -> None:
    found = trained(clear())  # a clear gain on the sample
    lost = growth_of(n_rows=2 * N, gain=-0.03, p_better=0.1, p_same=0.05, p_worse=0.85)
    part = replace(evidence_of(None).sample, is_everything=False, n_source=2 * N)
    evidence = evidence_of(scores_of(found), sample=part, growth=lost)
    decision = decider(found, evidence, n_rows=2 * N).decide()
    assert decision.strength.regularizer.kind == "none"
    same = replace(lost, p_better=0.1, p_same=0.85, p_worse=0.05)
    for said in (decision, decider(found, replace(evidence, growth=same), n_rows=2 * N).decide()):
        for name in ("regularize", "kind"):
            assert claim(said, name).support == 0.9
        assert claim(said, "strength").support is None
    lasting = decider(found, replace(evidence, growth=growth_of(n_rows=2 * N)), n_rows=2 * N).decide()
    assert lasting.strength.regularizer.kind == "l2"
    # A gain that lasts leaves the claims as they are on the sample, for all that is known of the growth.
    on_sample = decider(found, evidence_of(scores_of(found)), n_rows=2 * N).decide()
    assert lasting.claims == on_sample.claims


@pytest.mark.parametrize(
    ("n_rows", "factor"), [(N, 1.0), (N - 1, 1.0), (N + 1, 0.9), (8 * N, 0.9), (8 * N + 1, 0.8), (10**9, 0.8)]
)
def test_support_on_a_sub_sample_is_discounted_by_how_small_it_is(n_rows: int, factor: float) -> None:
    found = trained(doubtful())
    evidence = evidence_of(scores_of(found))
    whole, part = (decider(found, evidence, n_rows=n).decide() for n in (N, n_rows))
    assert claim(part, "kind").support == pytest.approx(factor * claim(whole, "kind").support)
    assert claim(part, "regularize").support == pytest.approx(min(factor, thresholds.HIGHEST_SUPPORT))
    assert claim(part, "strength").support == pytest.approx(min(factor, thresholds.HIGHEST_SUPPORT))


def test_the_probability_of_a_signal_bounds_both_claims_where_the_chart_asks_for_it() -> None:
    found = trained(doubtful())
    scores = scores_of(found)
    signal = scores.comparison("any", "constant")
    assert signal is not None
    comparisons = (replace(signal, p_better=0.75, reply="unsure"), *scores.comparisons)
    sure = decider(found, evidence_of(scores)).decide()
    doubted = decider(found, evidence_of(replace(scores, comparisons=comparisons))).decide()
    assert claim(doubted, "regularize").support == pytest.approx(0.75)
    assert claim(doubted, "kind").support == pytest.approx(0.75 * claim(sure, "kind").support)
    assert claim(doubted, "strength").support == claim(sure, "strength").support
    classic = decider(found, evidence_of(replace(scores, comparisons=comparisons)), chart=CLASSIC).decide()
    assert claim(classic, "regularize").support == thresholds.HIGHEST_SUPPORT
    assert classic.strength.regularizer.kind == "l1"
    assert claim(classic, "kind").support == pytest.approx(no_worse(draws_of(found), ["l1"]))


def test_what_rescaling_costs_counts_in_the_support() -> None:
    found = trained(doubtful())
    free = scores_of(found)
    dear = replace(free, carry_costs={"l1": 0.5, "elasticnet": 0.5, "l2": 0.0})
    before, after = (decider(found, evidence_of(scores)).decide() for scores in (free, dear))
    assert before.strength.regularizer.kind == after.strength.regularizer.kind == "l2"
    assert claim(before, "kind").support < 0.95
    assert claim(after, "kind").support == thresholds.HIGHEST_SUPPORT


# ------------------------------------------------------------------------------------------- strength


SAMPLED = SampleEvidence(
    n_rows=N,
    n_source=4 * N,
    is_everything=False,
    verdict="equivalent",
    size_reason="",
    validation="stratified",
)


@pytest.mark.parametrize(("kind", "power"), [("l2", 1.0), ("l1", 0.85)])
def test_strengths_are_rescaled_by_the_power_of_their_law(kind: str, power: float) -> None:
    found = trained(clear(**{"l2": 0.9, kind: 0.5}))
    evidence = evidence_of(scores_of(found), sample=SAMPLED, growth=growth_of(kind))
    decision = decider(found, evidence, n_rows=4 * N).decide()
    advised = decision.strength.regularizer
    assert advised.kind == kind
    assert getattr(advised, kind) == pytest.approx(0.1 * 4**-power)
    assert decision.strength.on_sample == Regularizer(**{kind: 0.1})
    assert decision.strength.carried is not None
    assert "200 to 800 rows" in decision.strength.carried


@pytest.mark.parametrize(("validation", "is_forward"), [("time", True), ("stratified", False)])
def test_a_family_is_told_what_its_strengths_depend_on(validation: Any, is_forward: bool) -> None:
    found = trained(clear(), n_features=6)
    family = RecordingFamily()
    evidence = evidence_of(scores_of(found), sample=replace(SAMPLED, validation=validation))
    decider(found, evidence, n_rows=4 * N, family=family).decide()
    (by,) = family.rescalings
    assert (by.n_sample, by.n_rows, by.n_features) == (N, 4 * N, 6)
    assert by.is_forward == is_forward
    fit = found.results.by_kind["l2"][0]
    assert family.trainings == [(fit, N, 4 * N, SEEDS["model"])]


def test_the_best_candidate_is_picked_and_its_ties_are_reported() -> None:
    losses = clear()
    losses["l2"] = [({"l2": 10.0**k}, 0.6 * BASE + extra) for k, extra in enumerate((0.2, 0.0005, 0.0, 0.3))]
    found = trained(losses)
    strength = decider(found, evidence_of(scores_of(found))).decide().strength
    assert strength.on_sample == Regularizer(l2=100.0)
    fits = found.results.by_kind["l2"]
    strengths = [fit.job.regularizer.strengths() for fit in fits]
    assert strength.ties == strength_ties(found.panel, "l2", strengths, 2) == {"l2": (10.0, 100.0)}


def test_the_first_of_the_baselines_seeds_stands_for_no_regularization() -> None:
    losses = clear(l2=1.2, l1=1.2, elasticnet=1.2)
    losses["none"] = [({}, BASE), ({}, 0.9 * BASE)]
    found = trained(losses)
    family = RecordingFamily()
    decision = decider(found, evidence_of(scores_of(found)), family=family).decide()
    assert decision.strength.regularizer == Regularizer()
    assert family.trainings[0][0] is found.results.by_kind["none"][0]


# ------------------------------------------------------------------------------------------ no signal


def test_without_a_signal_the_penalty_that_came_nearest_is_built() -> None:
    losses = clear(none=2.005, l2=2.02, l1=2.01, elasticnet=2.03)
    found = trained(losses)
    evidence, family = evidence_of(scores_of(found)), RecordingFamily()
    decision = decider(found, evidence, family=family, n_rows=4 * N).decide()
    l1 = found.results.by_kind["l1"][0]
    assert family.trainings == [(l1, N, 4 * N, SEEDS["model"])]
    assert decision.training == LinearFamily().training(l1, n_sample=N, n_rows=4 * N, seed=SEEDS["model"])
    assert decision.status == "no_signal"
    assert decision.strength.on_sample == Regularizer(l1=0.1)
    assert [each.name for each in decision.claims] == ["regularize"]
    assert claim(decision, "regularize").statement == "Nothing beats always guessing."
    assert claim(decision, "regularize").support == thresholds.HIGHEST_SUPPORT
    assert decision.scores is not None
    assert [fact.kind for fact in decision.scores.fit_facts] == ["none", "l1"]


def test_no_signal_is_not_said_where_extreme_values_hide_one() -> None:
    found = trained(clear(l2=1.2, l1=1.3, elasticnet=1.25), constant=0.5 * BASE)
    made = decider(found, evidence_of(scores_of(found)))
    assert made.decide().status == "no_signal"
    hidden = replace(made, is_signal_hidden=True).decide()
    assert (hidden.status, hidden.claims) == ("cant_tell", ())
    assert hidden.strength == made.decide().strength


def test_no_signal_is_not_said_after_one_fold_of_several() -> None:
    found = trained(clear(l2=1.2, l1=1.3, elasticnet=1.25), constant=0.5 * BASE)
    assert len(found.prepared.folds) > 1
    cut = decider(found, evidence_of(scores_of(found, n_folds=1))).decide()
    assert (cut.status, cut.claims) == ("cant_tell", ())
    for n_folds, of, status in ((2, 5, "no_signal"), (1, 2, "cant_tell"), (1, 1, "no_signal")):
        prepared = replace(found.prepared, folds=found.prepared.folds[:of])
        made = decider(replace(found, prepared=prepared), evidence_of(scores_of(found, n_folds=n_folds)))
        assert made.decide().status == status


def test_a_network_that_still_learns_is_told_so_with_and_without_a_signal() -> None:
    for losses, constant in ((clear(), 2.0 * BASE), (clear(l2=1.2, l1=1.3, elasticnet=1.25), 0.5 * BASE)):
        found = trained(losses, constant=constant)
        fits = found.results.by_kind["l2"]
        learning = replace(
            fits[0],
            halfway=np.array([9.0, 8.0]),
            epochs=np.full(5, 8.0),
            train_losses=np.full(5, 0.999 * fits[0].losses.mean()),
        )
        others = tuple(learning if fit is fits[0] else fit for fit in found.results.fits)
        results = replace(found.results, fits=others)
        found = replace(found, results=results)
        (note,) = decider(found, evidence_of(scores_of(found))).decide().notes
        assert note.code == "still-learning"
        assert f"8 epochs, the loss fell from 9 to {learning.train_loss:.3g} in training" in note.text
        assert "and from 8 to" in note.text
        assert decider(found, evidence_of(scores_of(found)), n_rows=2 * N).decide().notes == ()


@pytest.mark.parametrize("losses", [clear(), clear(l2=1.2, l1=1.3, elasticnet=1.25)])
def test_nothing_is_sure_where_all_rows_tested_belong_together(losses: dict[str, Any]) -> None:
    found = trained(losses)
    grouped = replace(found.panel, cluster=np.zeros(found.panel.n_rows, dtype=np.intp))
    decision = decider(replace(found, panel=grouped), evidence_of(scores_of(found))).decide()
    assert decision.status == "cant_tell"


def test_support_of_no_signal_is_the_share_of_draws_that_show_none() -> None:
    losses = clear(none=3.0, l1=2.2, elasticnet=2.2)
    losses["l2"] = [({"l2": 0.1}, 2.0 * BASE + shifts(0.4, 4))]
    found = trained(losses)
    decision = decider(found, evidence_of(scores_of(found))).decide()
    assert decision.status == "no_signal"
    share = no_signal(found.honest)
    assert 0.2 < share < 0.99
    assert claim(decision, "regularize").support == share


def test_a_lack_of_signal_that_no_draw_shows_has_no_support() -> None:
    found = trained(clear())
    scores = scores_of(found)
    faint = compared("any", "constant", "same", -0.001)
    evidence = evidence_of(replace(scores, comparisons=(faint, *scores.comparisons)))
    decision = decider(found, evidence).decide()
    assert (decision.status, claim(decision, "regularize").support) == ("no_signal", pytest.approx(0.0))
    assert decision.flips == (
        Flip(
            outcome="l2", condition="the best model were at least 0.5% better than always guessing (now 0.2%)"
        ),
    )


def test_without_a_signal_and_a_penalty_nothing_is_penalised() -> None:
    found = trained({"none": clear()["none"]}, constant=0.9 * BASE)
    scores = scores_of(found)
    made = decider(found, evidence_of(scores))
    made = replace(made, walk=replace(made.walk, outcome="no signal"))
    # The walk's kind (L2) has no fit, so nothing can be told; what is built then is the default.
    assert made.decide().strength.source == "default"
    direct = made._no_signal(found, scores)
    assert direct.strength.regularizer == Regularizer()


# ---------------------------------------------------------------------------------------------- flips


def flips(*, signal: float, gain: float, behind: float) -> tuple[Flip, ...]:
    """Return the flips of a walk that ends at L1, by how far three replies are from their thresholds.

    Distances are shares of the loss: that any candidate beats the constant (else: no signal), that L1+L2
    beats none (else L2 does), and that L2 is worse than L1 (else L2).
    """
    found = trained(clear(l1=0.6, l2=0.6, elasticnet=0.6))
    scores = scores_of(found, lowest_losses=dict.fromkeys(found.panel.kinds, 0.6))
    made = (
        compared("any", "constant", "better", -0.002 - 0.4 * signal),
        compared("elasticnet", "none", "better", -0.002 - 0.4 * gain),
        compared("l1", "elasticnet", "better", -0.01),
        compared("l2", "l1", "worse", 0.002 + 0.4 * behind),
        compared("l2", "none", "better", -0.1),
        compared("l1", "none", "better", -0.1),
    )
    decision = decider(found, evidence_of(replace(scores, comparisons=made))).decide()
    assert decision.strength.regularizer.kind == "l1"
    return decision.flips


def test_flips_lead_to_another_outcome_and_the_nearest_comes_first() -> None:
    said = {
        "signal": ("no signal", "the best model were less than 0.5% better than always guessing"),
        "gain": ("l2", "L1+L2 were less than 0.5% better than no regularizer"),
        "behind": ("l2", "L2 were less than 0.5% worse than L1"),
    }
    for order in (("signal", "gain", "behind"), ("behind", "gain", "signal"), ("gain", "behind", "signal")):
        found = flips(**{name: 0.05 * (place + 1) for place, name in enumerate(order)})
        assert [(flip.outcome, flip.condition.partition(" (now")[0]) for flip in found] == [
            said[name] for name in order
        ], "a tie of L1 with L1+L2 would change nothing, and is not named"


@pytest.mark.parametrize(("distance", "is_near"), [(0.2499, True), (0.2501, False)])
def test_a_flip_that_is_far_away_is_not_named(distance: float, is_near: bool) -> None:
    assert len(flips(signal=0.5, gain=0.5, behind=distance)) == is_near


def test_flips_that_are_equally_near_come_in_the_order_of_the_walk() -> None:
    found = flips(signal=0.1, gain=0.1, behind=0.1)
    assert [flip.outcome for flip in found] == ["no signal", "l2", "l2"]


def test_what_another_reply_would_ask_for_is_gathered_then() -> None:
    def gather(known: Any, needs: tuple[str, ...], pick: Any) -> Any:
        if "whole_picture" in needs and known.whole_picture is None:
            return replace(known, whole_picture=WholePictureEvidence(measured="no"))
        return known

    near = CorrelationEvidence(measured="yes", explained=0.31, margin=0.01, margin_unit="the explained share")
    evidence = evidence_of(None, resources=no_budget(), correlation=near, whole_picture=None)
    decision = decider(None, evidence, gather=gather).decide()
    assert decision.flips == (Flip(outcome="l1", condition="the explained share were 0.01 lower"),)


def test_a_flip_of_unknown_distance_comes_last() -> None:
    measured = WholePictureEvidence(measured="no", margin=-0.1, margin_unit="the density")
    evidence = evidence_of(
        None, resources=no_budget(), correlation=CorrelationEvidence(given=False), whole_picture=measured
    )
    assert decider(None, evidence).decide().flips == (
        Flip(outcome="l2", condition="the density were 0.1 higher"),
        Flip(outcome="l2", condition="you said yes"),
    )


# ------------------------------------------------------------------------- what is said about the fits


def test_training_losses_are_those_of_the_folds_that_a_deadline_left() -> None:
    fit = trained(clear()).results.by_kind["l2"][0]
    part = replace(fit, folds=(0, 2), train_losses=np.array([0.1, np.nan, 0.2, np.nan, np.nan]))
    assert part.train_loss == pytest.approx(0.15)
    assert fit.train_loss == pytest.approx(fit.train_losses.mean())
    assert np.isnan(replace(fit, train_losses=np.array([])).train_loss)


def test_fits_of_none_and_of_the_outcome_are_described() -> None:
    found = trained(clear(l1=0.5, l2=0.9))
    decision = decider(found, evidence_of(scores_of(found))).decide()
    scores = decision.scores
    assert scores is not None
    assert [fact.kind for fact in scores.fit_facts] == ["none", "l1"]
    none, l1 = scores.fit_facts
    assert (none.train_loss, none.held_out_loss) == pytest.approx((0.25 * BASE.mean(), BASE.mean()))
    assert (l1.train_loss, l1.held_out_loss) == pytest.approx((0.125 * BASE.mean(), 0.5 * BASE.mean()))
    assert f"guessing {scores.constant_loss:.3g}" in none.text
    # Zeroed in 0, a third, two thirds and all of the folds; from 0.6 on a feature is listed.
    assert [(each.name, each.share) for each in scores.zeroed] == [("x3", 1.0), ("x2", pytest.approx(2 / 3))]
    assert scores.n_zeroed == 2
    assert scores.reported == {}


def test_the_caller_s_score_is_that_of_none_and_of_the_outcome_on_the_sample() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(N, 4))
    y = X[:, 0] + rng.normal(size=N)
    drawn = draw_sample(make_table(X, y), n_rows=N, folds=5)
    found = trained(clear())
    decision = decider(
        found, evidence_of(scores_of(found)), sample=drawn, scoring="r2", n_rows=4 * N
    ).decide()
    assert decision.scores is not None
    assert decision.scores.reported_name == "r2"
    splits = [(fold.train, fold.test) for fold in drawn.folds]
    X, y = np.asarray(drawn.table.X), drawn.table.y
    for kind, model in (("none", LinearRegression()), ("l2", Ridge(alpha=0.1 * N * 4 / 5))):
        pipeline = make_pipeline(StandardScaler(), model)
        expected = np.mean(cross_val_score(pipeline, X, y, cv=splits, scoring="r2"))
        assert decision.scores.reported[kind] == pytest.approx(expected, rel=1e-6)


def test_scores_are_reported_of_the_models_as_trained_on_the_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def reported(*arguments: Any, **options: Any) -> tuple[dict[str, float], tuple[Note, ...]]:
        asked.append((arguments, options))
        return {"none": 0.1}, ()

    monkeypatch.setattr(deciding, "reported_scores", reported)
    found = trained(clear())
    drawn = draw_sample(make_table(np.ones((N, 1)) * BASE[:, None], BASE), n_rows=N, folds=5)

    def own_score(*_: object) -> float:
        return 0.0

    def own_loss(*_: object) -> None: ...

    for has_recipe in (True, False):
        family = RecordingFamily()
        if has_recipe:
            family.recipe, family.model = SimpleNamespace(loss=own_loss), "the caller's"  # type: ignore[attr-defined]
        made = decider(
            found, evidence_of(scores_of(found)), sample=drawn, scoring=own_score, n_rows=4 * N, family=family
        )
        decision = made.decide()
        assert decision.scores is not None
        assert (decision.scores.reported, decision.scores.reported_name) == ({"none": 0.1}, "own_score")
        by_kind = found.results.by_kind
        *on_sample, advised = family.trainings
        assert advised == (by_kind["l2"][0], N, 4 * N, SEEDS["model"])
        assert on_sample == [(by_kind[kind][0], N, N, SEEDS["model"]) for kind in ("none", "l2")]
        arguments, options = asked.pop()
        training = LinearFamily().training(None, n_sample=N, n_rows=N, seed=SEEDS["model"])
        models = {"none": (Regularizer(), training), "l2": (Regularizer(l2=0.1), training)}
        assert arguments == (drawn.table, drawn.folds, models, own_score)
        expected = (
            {"module": "the caller's", "recipe": family.recipe}  # type: ignore[attr-defined]
            if has_recipe
            else {"module": None, "recipe": None}
        )
        assert options == expected
