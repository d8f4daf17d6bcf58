"""The judges: the reply to every evidence they can meet, with its reason, numbers, flip and distance."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from decision_builders import evidence_of, growth_of
from test_chart import compared

from regadvisor import thresholds
from regadvisor.flowchart.chart import CLASSIC, EXTENDED, Chart
from regadvisor.flowchart.comparisons import best_with_dropout, kind_of_lowest
from regadvisor.flowchart.questions import JUDGES
from regadvisor.records import (
    Answer,
    CorrelationEvidence,
    Evidence,
    PriorEvidence,
    ResourceEvidence,
    SampleEvidence,
    ScoreEvidence,
    ShiftTest,
    SizePoint,
    WholePictureEvidence,
)
from regadvisor.regularizer import Kind

SAMPLE = SampleEvidence(
    n_rows=500,
    n_source=2_000,
    is_everything=False,
    verdict="equivalent",
    size_reason="",
    validation="stratified",
    worst_shift=0.0312,
    worst_column="age",
)


def ask(chart: Chart, name: str, pick: Kind | None = None, **evidence: Any) -> Answer:
    question = chart.questions[name]
    return JUDGES[question.judge].answer(question, Evidence(**evidence), pick, chart.comparisons)


def test_every_judge_says_which_evidence_it_reads() -> None:
    assert {name: judge.needs for name, judge in JUDGES.items()} == {
        "same_distribution": ("sample",),
        "resources": ("resources",),
        "prior_knowledge": ("prior",),
        "correlated": ("correlation",),
        "whole_picture": ("whole_picture",),
        "comparison": ("scores",),
        "lowest_loss": ("scores",),
        "full_size": ("sample", "growth"),
    }


# ------------------------------------------------------------------------------------------------ Q1

DIFFERS = ShiftTest(what="sample against complement", verdict="different", text="Age is higher.")
LEAN = " (Leaning to yes: this chart knows no unsure.)"


@pytest.mark.parametrize(
    ("changes", "reply", "because", "classic"),
    [
        (
            {},
            "yes",
            "500 of 2,000 rows, stratified: no mean is off by more than 0.031 standard deviations.",
            None,
        ),
        ({"worst_shift": None}, "yes", "500 of 2,000 rows, stratified.", None),
        (
            {"has_groups": True, "worst_shift": None},
            "yes",
            "500 of 2,000 rows, stratified. Groups are kept whole.",
            ("no", "The rows come in groups, so rows of a random sample are not independent of the rest."),
        ),
        ({"is_everything": True}, "yes", "All 500 rows are used.", None),
        (
            {"is_everything": True, "has_groups": True},
            "yes",
            "All 500 rows are used. Groups are kept whole.",
            (),
        ),
        ({"is_allowed": False}, "no", "You said that no sub sample can be taken.", None),
        (
            {"verdict": "different", "tests": (replace(DIFFERS, verdict="equivalent", text="no"), DIFFERS)},
            "no",
            "The sample of 500 of 2,000 rows differs from the whole. Age is higher.",
            None,
        ),
        ({"verdict": "different"}, "no", "The sample of 500 of 2,000 rows differs from the whole.", None),
        (
            {"has_drift": True},
            "unsure",
            "The rows drift in time; validation goes forward in time instead of at random.",
            ("no", "The rows drift in time, so a random sample does not look like the future."),
        ),
        # The row order is a hint for a note: data are often sorted by something.
        (
            {"is_drift_hint": True},
            "yes",
            "500 of 2,000 rows, stratified: no mean is off by more than 0.031 standard deviations.",
            None,
        ),
        (
            {"verdict": "inconclusive"},
            "unsure",
            "500 of 2,000 rows neither match the whole closely nor differ from it clearly (largest: age).",
            (),
        ),
        (
            {"verdict": "inconclusive", "worst_column": None},
            "unsure",
            "500 of 2,000 rows neither match the whole closely nor differ from it clearly.",
            (),
        ),
    ],
)
def test_q1_is_about_the_sample_and_the_real_risks(
    changes: dict[str, Any], reply: str, because: str, classic: tuple[str, ...] | None
) -> None:
    sample = replace(SAMPLE, **changes)
    answer = ask(EXTENDED, "Q1", sample=sample)
    assert (answer.reply, answer.because) == (reply, because)
    assert answer.numbers == {
        "n_sample": 500,
        "n_source": 2_000,
        "worst_shift": sample.worst_shift,
        "worst_column": sample.worst_column,
    }
    assert answer.flips_if is None
    if classic is None:
        assert ask(CLASSIC, "Q1", sample=sample) == answer
    elif classic:
        found = ask(CLASSIC, "Q1", sample=sample)
        assert (found.reply, found.because) == classic


# ------------------------------------------------------------------------------------------------ Q2

RESOURCES = ResourceEvidence(
    budget_s=10.0, budget_source="given", effort="quick", projected_s=3.04, n_rows=500
)


@pytest.mark.parametrize(
    ("changes", "reply", "because"),
    [
        ({}, "yes", "Effort 'quick' is projected to take 3.0 s, within the budget of 10 s."),
        ({"projected_s": None}, "yes", "As much is tried as fits into the budget of 10 s."),
        (
            {"budget_source": "automatic"},
            "yes",
            "Effort 'quick' is projected to take 3.0 s, within the budget of 10 s (automatic).",
        ),
        (
            {"budget_s": 2.0},
            "yes",
            "All of effort 'quick' would take about 3.0 s; the budget of 2.0 s has room for the most "
            "important part of it.",
        ),
        ({"budget_s": None}, "yes", "Effort 'quick' was asked for, without a time limit."),
        ({"can_validate": False, "obstacle": "No budget."}, "no", "No budget."),
        ({"can_validate": False}, "no", "Validation does not fit."),
    ],
)
def test_q2_says_what_the_walk_costs_against_the_budget(
    changes: dict[str, Any], reply: str, because: str
) -> None:
    answer = ask(EXTENDED, "Q2", resources=replace(RESOURCES, **changes))
    assert (answer.reply, answer.because) == (reply, because)
    assert answer.numbers == {"effort": "quick", "n_rows": 500}


# ----------------------------------------------------------------------------------------- Q3, Q3a, Q3b

SAID = "You said what the features are like."


@pytest.mark.parametrize(
    ("prior", "reply", "because"),
    [
        ({"is_known": False}, "no", "You said that you know nothing about the features."),
        ({"is_known": False, "correlated": True}, "no", "You said that you know nothing about the features."),
        ({"is_known": True, "can_measure": False}, "yes", SAID),
        ({"correlated": False, "can_measure": False}, "yes", SAID),
        ({"whole_picture": False, "can_measure": False}, "yes", SAID),
        ({}, "yes", "The features can be measured without training a model."),
        ({"can_measure": False}, "no", "Nothing was said about the features and nothing can be measured."),
    ],
)
def test_q3_is_yes_where_anything_was_said_or_can_be_measured(
    prior: dict[str, Any], reply: str, because: str
) -> None:
    answer = ask(EXTENDED, "Q3", prior=PriorEvidence(**prior))
    assert (answer.reply, answer.because) == (reply, because)


CORRELATED = CorrelationEvidence(
    measured="yes",
    explained=0.42,
    n_factors=2,
    vif=12.3,
    vif_column="x1",
    effective_rank=3.5,
    margin=0.12,
    margin_unit="the explained share",
)
PICTURE = WholePictureEvidence(
    measured="no", density=0.1, neighbour_excess=0.05, layout=None, margin=-0.05, margin_unit="the density"
)


@pytest.mark.parametrize(
    ("changes", "because"),
    [
        (
            {},
            "2 common factors explain 42% of the variance, "
            "the largest variance inflation factor is 12.3 (x1).",
        ),
        ({"n_factors": 1, "vif": None}, "1 common factor explains 42% of the variance."),
        ({"n_factors": None, "vif_column": None}, "The largest variance inflation factor is 12.3."),
        ({"explained": None, "vif": 2.0, "vif_column": None}, "The largest variance inflation factor is 2."),
        ({"explained": None, "vif": None}, "Too few columns to be correlated."),
    ],
)
def test_q3a_says_what_was_measured(changes: dict[str, Any], because: str) -> None:
    facts = replace(CORRELATED, **changes)
    answer = ask(EXTENDED, "Q3a", correlation=facts)
    assert (answer.reply, answer.because) == ("yes", because)
    assert answer.numbers == {
        "explained": facts.explained,
        "n_factors": facts.n_factors,
        "vif": facts.vif,
        "vif_column": facts.vif_column,
        "effective_rank": 3.5,
        "margin": 0.12,
    }
    assert answer.flips_if == "the explained share were 0.12 lower"
    assert answer.distance == pytest.approx(0.12)


@pytest.mark.parametrize(
    ("changes", "because"),
    [
        ({}, "Signal is spread over 10% of the features."),
        (
            {"layout": "8x8 grid"},
            "The columns look like neighbours (8x8 grid) and signal is spread over 10% of the features.",
        ),
        ({"layout": "columns", "density": None}, "The columns look like neighbours (columns)."),
        ({"density": None}, "The columns are separate variables, and too few to judge a spread."),
    ],
)
def test_q3b_says_what_was_measured(changes: dict[str, Any], because: str) -> None:
    facts = replace(PICTURE, **changes)
    answer = ask(EXTENDED, "Q3b", whole_picture=facts)
    assert (answer.reply, answer.because) == ("no", because)
    assert answer.numbers == {
        "density": facts.density,
        "neighbour_excess": 0.05,
        "layout": facts.layout,
        "margin": -0.05,
    }
    assert answer.flips_if == "the density were 0.05 higher"
    assert answer.distance == pytest.approx(0.05)


@pytest.mark.parametrize(("given", "reply"), [(True, "yes"), (False, "no")])
def test_the_caller_s_word_counts_and_a_disagreement_is_said(given: bool, reply: str) -> None:
    other = "no" if given else "yes"
    for measured, because in (
        (None, f"You said {reply}."),
        (reply, f"You said {reply}."),
        (other, f"You said {reply}; the data say {other}. Your word counts."),
    ):
        told = replace(CORRELATED, given=given, measured=measured)
        answer = ask(EXTENDED, "Q3a", correlation=told)
        assert (answer.reply, answer.because) == (reply, because)
        assert (answer.flips_if, answer.distance) == (f"you said {other}", None)
        picture = ask(EXTENDED, "Q3b", whole_picture=replace(PICTURE, given=given, measured=measured))
        assert (picture.reply, picture.because) == (reply, because)


def test_what_cannot_be_measured_is_unsure_or_leans_where_the_chart_knows_no_unsure() -> None:
    nothing = {"correlation": CorrelationEvidence(), "whole_picture": WholePictureEvidence()}
    because = "It was not said and could not be measured."
    for name, lean in (("Q3a", "no"), ("Q3b", "yes")):
        answer = ask(EXTENDED, name, **nothing)
        assert (answer.reply, answer.because) == ("unsure", because)
        classic = ask(CLASSIC, name, **nothing)
        assert (classic.reply, classic.because) == (
            lean,
            f"{because} (Leaning to {lean}: this chart knows no unsure.)",
        )
    doubtful = ask(CLASSIC, "Q3a", correlation=replace(CORRELATED, measured="unsure"))
    assert doubtful.reply == "no"
    assert doubtful.because.endswith("(Leaning to no: this chart knows no unsure.)")
    assert ask(CLASSIC, "Q3b", whole_picture=replace(PICTURE, measured="unsure")).reply == "yes"


def test_a_margin_is_said_in_its_unit_and_its_distance_is_at_most_1() -> None:
    bare = ask(EXTENDED, "Q3a", correlation=replace(CORRELATED, margin=3.0, margin_unit=None))
    assert (bare.flips_if, bare.distance) == ("the statistic were 3 lower", 1.0)
    none = ask(EXTENDED, "Q3a", correlation=replace(CORRELATED, margin=None))
    assert (none.flips_if, none.distance) == (None, None)
    edge = ask(EXTENDED, "Q3a", correlation=replace(CORRELATED, margin=0.0))
    assert edge.flips_if == "the explained share were 0 higher"


# ----------------------------------------------------------------------------------------- Q4s to Q9b

SCORES = ScoreEvidence(
    loss_name="log loss",
    constant_loss=0.69,
    scores=(),
    honest_losses={"none": 0.4, "l2": 0.38, "l1": 0.39, "elasticnet": 0.37},
    best_kind="elasticnet",
    comparisons=(),
)


def judged(
    reply: str, difference: float, *, chart: Chart = EXTENDED, name: str = "Q4", pair: str = "elasticnet:none"
) -> Answer:
    found = compared(*pair.split(":"), reply, difference)
    return ask(chart, name, "none", scores=replace(SCORES, comparisons=(found,)))


def test_a_comparison_says_gain_and_interval() -> None:
    better = judged("better", -0.05)
    assert better.because == f"{A} has a loss 12% lower than no regularizer (likely at least 12%)."
    assert better.numbers == pytest.approx(
        {
            "difference": -0.05,
            "low": -0.06,
            "high": -0.04,
            "region": 0.002,
            "p_better": 0.9,
            "p_same": 0.05,
            "p_worse": 0.05,
        }
    )
    worse = judged("worse", 0.05)
    assert worse.because == f"{A} has a loss 12% higher than no regularizer (likely at least 12%)."
    assert judged("unsure", 0.001).because == (
        f"{A} has a loss 0.2% higher than no regularizer (60% interval: 0.8% lower to 1.2% higher)."
    )
    assert judged("same", 0.001).because == f"{A} ties with no regularizer: its loss is 0.2% higher."


A = "L1+L2"


@pytest.mark.parametrize(
    ("reply", "difference", "flip", "distance"),
    [
        (
            "better",
            -0.05,
            ("same", f"{A} were less than 0.5% better than no regularizer (now 12%)"),
            0.048 / 0.4,
        ),
        (
            "worse",
            0.05,
            ("same", f"{A} were less than 0.5% worse than no regularizer (now 12%)"),
            0.048 / 0.4,
        ),
        (
            "same",
            -0.001,
            ("better", f"{A} were at least 0.5% better than no regularizer (now 0.2%)"),
            0.001 / 0.4,
        ),
        (
            "same",
            0.001,
            ("worse", f"{A} were at least 0.5% worse than no regularizer (now 0.2%)"),
            0.001 / 0.4,
        ),
        ("same", 0.00196, ("worse", None), 0.00004 / 0.4),
        (
            "unsure",
            -0.01,
            (
                "better",
                f"more rows showed that {A} is better than no regularizer "
                "(so far it is between 1.5% and 3.5% better)",
            ),
            0.008 / 0.4,
        ),
        (
            "unsure",
            0.01,
            (
                "worse",
                f"more rows showed that {A} is worse than no regularizer "
                "(so far it is between 1.5% and 3.5% worse)",
            ),
            0.008 / 0.4,
        ),
    ],
)
def test_a_comparison_says_what_would_change_its_reply(
    reply: str, difference: float, flip: tuple[str, str | None], distance: float
) -> None:
    """Numbers that look the same once rounded are not told apart."""
    answer = judged(reply, difference)
    assert (answer.reply, (answer.flips_to, answer.flips_if)) == (reply, flip)
    assert answer.distance == pytest.approx(distance)


def test_the_classic_chart_goes_by_the_sign_and_its_threshold_is_0() -> None:
    better, worse = judged("unsure", -0.01, chart=CLASSIC), judged("unsure", 0.01, chart=CLASSIC)
    assert (better.reply, worse.reply) == ("better", "worse")
    assert better.flips_if == f"{A} were not better than no regularizer (now 2.5% better)"
    assert (better.flips_to, worse.flips_to) == ("worse", "better")
    assert worse.flips_if == f"{A} were not worse than no regularizer (now 2.5% worse)"
    assert better.distance == pytest.approx(0.01 / 0.4)
    assert judged("same", 0.0, chart=CLASSIC).reply == "worse"
    tiny = judged("same", -1e-7, chart=CLASSIC)
    assert (tiny.reply, tiny.flips_to, tiny.flips_if) == ("better", "worse", None)


@pytest.mark.parametrize(
    ("p_better", "p_same", "p_worse", "found", "reply"),
    [
        (thresholds.SIGNAL_MASS, 0.2, 0.1, "unsure", "unsure"),
        (thresholds.SIGNAL_MASS - 0.01, 0.2, 0.11, "unsure", "same"),
        (thresholds.SIGNAL_MASS - 0.01, 0.11, 0.2, "unsure", "same"),
        (0.4, 0.3, 0.3, "unsure", "same"),
        (0.9, 0.05, 0.05, "better", "better"),
    ],
)
def test_a_signal_has_to_be_shown(
    p_better: float, p_same: float, p_worse: float, found: Any, reply: str
) -> None:
    made = replace(
        compared("any", "constant", found, -0.01), p_better=p_better, p_same=p_same, p_worse=p_worse
    )
    answer = ask(EXTENDED, "Q4s", scores=replace(SCORES, comparisons=(made,)))
    assert answer.reply == reply
    assert answer.because.startswith("The best model has a loss 2.5% lower than always guessing (")
    assert answer.because.endswith("; that may be luck.") == (reply == "same")  # not called worse
    # A difference that is there already would change nothing if it were there.
    open_still = answer.flips_if is not None and answer.flips_if.startswith("more rows showed that")
    assert open_still == (found == "unsure")
    # Other comparisons go by their own mass, however little "better" has.
    other = replace(made, a="elasticnet", b="none")
    assert ask(EXTENDED, "Q4", scores=replace(SCORES, comparisons=(other,))).reply == found


def test_a_kind_that_is_the_pick_already_is_the_same() -> None:
    answer = ask(EXTENDED, "Q7", "l2", scores=SCORES)
    assert (answer.reply, answer.because) == ("same", "L2 is the best so far itself.")
    question = replace(EXTENDED.questions["Q7"], edges={"better": EXTENDED.questions["Q7"].edges["better"]})
    chart = replace(EXTENDED, questions={"Q7": question})
    lean = ask(chart, "Q7", "l2", scores=SCORES)
    assert (lean.reply, lean.because) == (
        "worse",
        "L2 is the best so far itself. (Leaning to worse: this chart knows no same.)",
    )


@pytest.mark.parametrize(
    ("name", "pick", "losses", "missing"),
    [
        ("Q4", "none", {"none": 0.4}, f"{A}"),
        ("Q4", "none", {"elasticnet": 0.4}, "no regularizer"),
        ("Q4", "none", {}, f"{A} or no regularizer"),
        ("Q8", "l1", {"l1": 0.4}, "dropout"),
        ("Q7", None, {"l2": 0.4}, "no regularizer"),
    ],
)
def test_what_did_not_finish_cannot_be_compared(
    name: str, pick: Kind | None, losses: dict[str, float], missing: str
) -> None:
    answer = ask(EXTENDED, name, pick, scores=replace(SCORES, honest_losses=losses))
    because = f"No fit of {missing} finished, so there is nothing to compare."
    assert (answer.reply, answer.because, answer.flips_if) == ("unsure", because, None)


def test_the_constant_needs_no_fit_and_the_classic_chart_leans_to_worse() -> None:
    answer = ask(EXTENDED, "Q4s", scores=replace(SCORES, honest_losses={"none": 0.4}))
    assert answer.because == "No fit of the best model finished, so there is nothing to compare."
    classic = ask(CLASSIC, "Q4", scores=replace(SCORES, honest_losses={"none": 0.4}))
    assert classic.reply == "worse"
    assert classic.because.endswith("(Leaning to worse: this chart knows no unsure.)")


@pytest.mark.parametrize(
    ("losses", "kind"),
    [
        ({"dropout_l1": 0.3, "dropout_l2": 0.31}, "dropout_l1"),
        ({"dropout_l1": 0.3, "dropout_l2": 0.3}, "dropout_l2"),
        ({"dropout_l1": 0.3}, "dropout_l1"),
        ({}, "dropout_l2"),
    ],
)
def test_dropout_goes_with_the_better_penalty(losses: dict[str, float], kind: str) -> None:
    scores = replace(SCORES, honest_losses=losses)
    assert best_with_dropout(Evidence(scores=scores)) == kind
    found = compared(kind, "l2", "better", -0.05)
    answer = ask(EXTENDED, "Q9", "l2", scores=replace(scores, comparisons=(found,)))
    assert answer.reply == "better"
    assert best_with_dropout(Evidence()) == "dropout_l2"


def test_the_kind_of_the_lowest_loss_is_the_simplest_of_equals() -> None:
    assert kind_of_lowest(Evidence()) == "none"
    assert kind_of_lowest(Evidence(scores=SCORES)) == "none"
    lowest = {"elasticnet": 0.3, "l1": 0.3, "none": 0.31}
    assert kind_of_lowest(Evidence(scores=replace(SCORES, lowest_losses=lowest))) == "l1"


def lowest(pick: Kind | None, losses: dict[str, float], **costs: float) -> Answer:
    return ask(EXTENDED, "Q9b", pick, scores=replace(SCORES, lowest_losses=losses, carry_costs=costs))


def test_a_lower_loss_of_another_kind_overrules_from_a_fifth_of_a_percent_on() -> None:
    answer = lowest("l1", {"none": 0.5, "l2": 0.3, "l1": 0.4})
    assert (answer.reply, answer.because) == ("yes", "With L2 the loss is 25% lower than with L1.")
    assert answer.numbers == {"lowest_kind": "l2", "lowest_loss": 0.3, "pick_loss": 0.4}
    assert answer.flips_if == "the best loss of L1 were 25% lower"
    assert answer.distance == pytest.approx((0.1 - 0.0008) / 0.4)
    assert lowest("l1", {"l2": 0.4 - 0.00081, "l1": 0.4}).reply == "yes"
    near = lowest("l1", {"l2": 0.4 - 0.00079, "l1": 0.4})
    assert (near.reply, near.flips_if, near.distance) == ("no", None, None)
    assert near.because == "With L2 it is 0.2% lower, too little to count."
    assert near.numbers["lowest_kind"] == "l2"
    nearer = lowest("l1", {"l2": 0.4 - 1e-5, "l1": 0.4})
    assert nearer.because == "With L2 it is less than 0.1% lower, too little to count."
    own = lowest("l1", {"l2": 0.5, "l1": 0.4})
    assert (own.reply, own.because) == ("no", "The loss is lowest with L1 (0.4).")


def test_a_tie_keeps_the_simpler_penalty_whatever_the_lowest_loss() -> None:
    def overruled(pick: Kind, best: Kind, reply: str = "same", **masses: float) -> Answer:
        found = replace(compared(best, pick, reply, -0.002), **masses)
        scores = replace(SCORES, lowest_losses={best: 0.396, pick: 0.4}, comparisons=(found,))
        return ask(EXTENDED, "Q9b", pick, scores=scores)

    kept = overruled("l2", "elasticnet")
    assert (kept.reply, kept.flips_if) == ("no", None)
    assert kept.because == "With L1+L2 it is 1.0% lower, but the two tie, and L2 is simpler."
    assert overruled("l1", "l2").reply == "yes", "L2 is the simpler one"
    assert overruled("none", "l2").reply == "yes", "a mild penalty is less of a risk than none"
    narrow = {"low": -0.003, "high": 0.001}
    assert overruled("l2", "l1", "unsure", **narrow, p_better=0.4, p_same=0.5).reply == "no"
    assert overruled("l2", "l1", "unsure", **narrow, p_better=0.5, p_same=0.4).reply == "yes"
    assert overruled("l2", "l1", "unsure", low=-0.1, high=0.1, p_better=0.4, p_same=0.5).reply == "yes"
    assert overruled("l2", "l1", "better").reply == "yes"


def test_a_pick_without_a_fit_is_overruled_by_whatever_has_one() -> None:
    answer = lowest("l1", {"l2": 0.5})
    assert (answer.reply, answer.because) == ("yes", "No fit of L1 finished.")
    assert lowest("l1", {}).reply == "no"
    assert lowest(None, {"l2": 0.5}).because == "No fit of no regularizer finished."
    assert lowest(None, {"none": 0.5, "l2": 0.6}).because == "The loss is lowest without a regularizer (0.5)."


def test_what_rescaling_adds_is_said_of_both_kinds_that_are_named() -> None:
    answer = lowest("l1", {"l2": 0.3, "l1": 0.4, "none": 0.6}, l2=0.1, l1=0.2, none=0.5)
    assert answer.because == (
        "With L2 the loss is 31% lower than with L1, after what rescaling to all rows may cost "
        "(9.1% of L2 and 17% of L1)."
    )
    assert answer.numbers == pytest.approx({"lowest_kind": "l2", "lowest_loss": 0.33, "pick_loss": 0.48})
    own = lowest("l2", {"l2": 0.3, "l1": 0.4}, l2=0.1)
    assert own.because == (
        "The loss is lowest with L2 (0.33), after what rescaling to all rows may cost (9.1% of L2)."
    )


# ----------------------------------------------------------------------------------------------- Q10


def q10(
    pick: Kind | None, sample: SampleEvidence | None, growth: Any = None, chart: Chart = EXTENDED
) -> Answer:
    evidence = replace(evidence_of(None), sample=sample, growth=growth)
    question = chart.questions["Q10"]
    return JUDGES["full_size"].answer(question, evidence, pick, "interval")


def test_q10_is_yes_where_there_is_nothing_to_extrapolate() -> None:
    everything = replace(SAMPLE, is_everything=True)
    answer = q10("l2", everything)
    because = "The comparison used all rows already."
    assert (answer.reply, answer.because, answer.flips_if) == ("yes", because, None)
    assert q10("l2", replace(everything, validation="blocks")).reply == "unsure"
    assert q10("l2", SAMPLE).reply == "unsure"
    none = q10("none", SAMPLE)
    assert (none.reply, none.because) == (
        "yes",
        "There is no gain to lose: more rows need less regularization.",
    )


def test_q10_is_unsure_of_what_was_not_extrapolated() -> None:
    for growth in (None, growth_of("l1")):
        answer = q10("l2", SAMPLE, growth)
        because = "Nothing was measured at the full size; more rows usually need less regularization."
        assert (answer.reply, answer.because) == ("unsure", because)
    bare = q10("l2", None)
    assert bare.because == because
    question = replace(EXTENDED.questions["Q10"], edges={"yes": EXTENDED.questions["Q10"].edges["yes"]})
    leaning = q10("l2", None, chart=replace(EXTENDED, questions={"Q10": question}))
    assert (leaning.reply, leaning.because.split("(")[1]) == (
        "yes",
        "Leaning to yes: this chart knows no unsure.)",
    )
    worse = q10(
        "l2", None, growth_of(p_better=0.1, p_worse=0.9), replace(EXTENDED, questions={"Q10": question})
    )
    assert worse.reply == "yes"


@pytest.mark.parametrize(
    ("gain", "masses", "reply", "beyond"),
    [(0.08, (0.9, 0.1, 0.0), "yes", "below"), (-0.03, (0.1, 0.05, 0.85), "no", "above")],
)
def test_q10_would_flip_on_the_other_side_of_a_tie(
    gain: float, masses: tuple[float, ...], reply: str, beyond: str
) -> None:
    known = dict(zip(("p_better", "p_same", "p_worse"), masses, strict=True))
    answer = q10("l2", SAMPLE, growth_of(n_sample=1_000, n_rows=4_000, gain=gain, **known))
    assert answer.reply == reply
    assert answer.flips_if == f"its gain at 4,000 rows were {beyond} 0.5% of the loss"


def test_q10_says_what_was_seen_and_what_is_expected() -> None:
    def point(n_rows: int, gain: float) -> SizePoint:
        return SizePoint(n_rows=n_rows, share=1.0, loss_none=1.0, loss=1.0 - gain, gain=gain, se=0.01)

    growth = growth_of(n_sample=1_000, n_rows=4_000, sizes=(point(1_000, 0.12),), gain=0.081)
    answer = q10("l2", SAMPLE, growth)
    assert (answer.reply, answer.because) == (
        "yes",
        "With L2 the loss is 12% lower at 1,000 rows; on all 4,000 rows expect 8.1% lower (95% interval: "
        "between 5.0% and 15% lower).",
    )
    assert answer.numbers == {
        "gain": 0.081,
        "low": 0.05,
        "high": 0.15,
        "p_better": 0.99,
        "p_same": 0.01,
        "p_worse": 0.0,
    }
    assert (answer.flips_to, answer.flips_if) == ("no", "its gain at 4,000 rows were below 0.5% of the loss")
    assert answer.distance == pytest.approx(0.076)
    lost = replace(growth, sizes=(point(1_000, -0.02),))
    assert "the loss is 2.0% higher at 1,000 rows" in q10("l2", SAMPLE, lost).because
    level = replace(growth, sizes=(point(1_000, 0.0),))
    assert "the loss is the same at 1,000 rows" in q10("l2", SAMPLE, level).because
    far = replace(growth, n_rows=9_000)
    assert q10("l2", SAMPLE, far).because == (
        "With L2 the loss is 12% lower at 1,000 rows; what is left of that on all 9,000, 9 times as many, is "
        "not known."
    )
    checked = replace(
        far, source="checked", sizes=(point(1_000, 0.12), point(9_000, 0.04)), kind="elasticnet"
    )
    assert q10("elasticnet", SAMPLE, checked).because == (
        f"With {A} the loss is 12% lower at 1,000, 4.0% lower at 9,000 rows (95% interval: between 5.0% and "
        "15% lower)."
    )
    edges = [("p_better", "yes"), ("p_same", "same"), ("p_worse", "no")]
    for name, reply in edges:
        masses = {"p_better": 0.1, "p_same": 0.1, "p_worse": 0.1, name: thresholds.REPLY_MASS}
        assert q10("l2", SAMPLE, growth_of(**masses)).reply == reply
        assert q10("l2", SAMPLE, growth_of(**{**masses, name: 0.79})).reply == "unsure"
