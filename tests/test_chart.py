"""The charts are total, reachable and loop-free, and the walker does what the tables say."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations

import pytest

from regadvisor.cli import terminal
from regadvisor.errors import ParameterError
from regadvisor.flowchart.chart import (
    BOTH,
    CLASSIC,
    EXTENDED,
    NAMED,
    NO_SIGNAL,
    OUTCOMES,
    PICK,
    Chart,
    Edge,
    check,
    resolve,
    sparse_first,
    without,
)
from regadvisor.flowchart.questions import JUDGES
from regadvisor.flowchart.walk import walk
from regadvisor.records import (
    Answer,
    CandidateScore,
    Comparison,
    CorrelationEvidence,
    Evidence,
    PriorEvidence,
    Reply,
    ResourceEvidence,
    SampleEvidence,
    ScoreEvidence,
    Walk,
    WholePictureEvidence,
)
from regadvisor.regularizer import Kind, Regularizer

LINEAR = without(EXTENDED, "Q8", "Q9")
CHARTS = [CLASSIC, EXTENDED, LINEAR, sparse_first(EXTENDED)]
KINDS = ("none", "l2", "l1", "elasticnet", "dropout", "dropout_l2", "dropout_l1")

#: What each judge can reply in each kind of chart: the charts must have an edge for every one.
REPLIES = {
    "same_distribution": ({"yes", "no"}, {"yes", "no", "unsure"}),
    "resources": ({"yes", "no"}, {"yes", "no"}),
    "prior_knowledge": ({"yes", "no"}, {"yes", "no"}),
    "correlated": ({"yes", "no"}, {"yes", "no", "unsure"}),
    "whole_picture": ({"yes", "no"}, {"yes", "no", "unsure"}),
    "comparison": ({"better", "worse"}, {"better", "same", "worse", "unsure"}),
    "lowest_loss": ({"yes", "no"}, {"yes", "no"}),
    "full_size": ({"yes", "no"}, {"yes", "same", "no", "unsure"}),
}


@pytest.mark.parametrize("chart", CHARTS, ids=lambda chart: chart.name)
def test_every_reply_of_every_judge_leads_somewhere(chart: Chart) -> None:
    check(chart)
    for name, question in chart.questions.items():
        expected = REPLIES[question.judge][0 if chart.name == "classic" else 1]
        assert set(question.edges) == expected, name
        assert question.judge in JUDGES
        for edge in question.edges.values():
            assert edge.to in chart.questions or edge.to in OUTCOMES


def _paths(chart: Chart, name: str, so_far: tuple[tuple[str, str], ...] = ()) -> list[tuple[tuple, str]]:
    if name in OUTCOMES:
        return [(so_far, name)]
    edges = chart.questions[name].edges.items()
    return [p for reply, edge in edges for p in _paths(chart, edge.to, (*so_far, (name, reply)))]


def test_the_classic_chart_is_the_published_one() -> None:
    ways = {" ".join(f"{q}{r[0]}" for q, r in path): outcome for path, outcome in _paths(CLASSIC, "Q1")}
    prior = {"Q3n": "elasticnet", "Q3y Q3ay": "l2", "Q3y Q3an Q3by": "l2", "Q3y Q3an Q3bn": "l1"}
    expected = {
        **{f"Q1n {way}": kind for way, kind in prior.items()},
        **{f"Q1y Q2n {way}": kind for way, kind in prior.items()},
        "Q1y Q2y Q4b Q5b": "l1",
        "Q1y Q2y Q4b Q5w": "elasticnet",
        "Q1y Q2y Q4w Q6b": "l2",
        "Q1y Q2y Q4w Q6w": "none",
    }
    assert ways == expected


def _walks(chart: Chart) -> Iterator[tuple[dict[str, Reply], Walk]]:
    """Walk every reply to every question with every pick that can be carried there.

    A walk depends on its past through the question and the pick alone, so these stand for all paths (the
    extended chart has 14,364).
    """
    known = evidence()
    ways: dict[tuple[str, Kind | None], dict[str, Reply]] = {(chart.start, None): {}}
    waiting = list(ways)
    while waiting:
        name, pick = waiting.pop()
        for reply in chart.questions[name].edges:
            forced: dict[str, Reply] = {**ways[name, pick], name: reply}
            found, _ = walk(chart, known, forced=forced)
            yield forced, found
            step = found.steps[len(forced) - 1]
            if step.to in chart.questions and (step.to, step.pick_after) not in ways:
                ways[step.to, step.pick_after] = forced
                waiting.append((step.to, step.pick_after))


@pytest.mark.parametrize("chart", CHARTS, ids=lambda chart: chart.name)
def test_every_reply_with_every_pick_leads_where_the_table_says(chart: Chart) -> None:
    asked = set()
    for forced, found in _walks(chart):
        pick = None
        for number, step in enumerate(found.steps):
            edge = chart.questions[step.question].edges[step.reply]
            assert (step.to, step.action, step.text) == (
                edge.to,
                edge.action,
                chart.questions[step.question].text,
            )
            assert step.pick_before == pick
            changes = {edge.pick} if edge.pick in KINDS else {"dropout_l1", "none"} if edge.pick else {pick}
            assert step.pick_after in (changes | {pick} if edge.if_any_yes else changes)
            following = found.steps[number + 1].question if number + 1 < len(found.steps) else None
            assert following == (edge.to if edge.to in chart.questions else None)
            pick = step.pick_after
            asked.add((step.question, step.reply))
        assert {step.question: step.reply for step in found.steps[: len(forced)]} == forced
        assert found.outcome == ((pick or "none") if found.steps[-1].to == PICK else found.steps[-1].to)
    assert asked == {(name, reply) for name, question in chart.questions.items() for reply in question.edges}


def test_walks_of_the_extended_chart_reach_every_kind_and_no_signal() -> None:
    outcomes = {found.outcome for _, found in _walks(EXTENDED)}
    assert outcomes == {"none", "l2", "l1", "elasticnet", "dropout", "dropout_l1", NO_SIGNAL}


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (replace(CLASSIC, start="Q9"), "start"),
        (replace(CLASSIC, questions={**CLASSIC.questions, "Q7": CLASSIC.questions["Q6"]}), "reachable"),
        (
            replace(
                CLASSIC,
                questions={
                    **CLASSIC.questions,
                    "Q3a": replace(
                        CLASSIC.questions["Q3a"], edges={"yes": Edge(to="Q3"), "no": Edge(to="Q3b")}
                    ),
                },
            ),
            "loop",
        ),
        (
            replace(
                CLASSIC,
                questions={
                    **CLASSIC.questions,
                    "Q3b": replace(
                        CLASSIC.questions["Q3b"], edges={"yes": Edge(to="lasso"), "no": Edge(to="l1")}
                    ),
                },
            ),
            "lead to",
        ),
    ],
)
def test_a_broken_chart_is_refused(broken: Chart, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        resolve(broken, has_dropout=True)


def test_unknown_chart_name_lists_the_charts() -> None:
    with pytest.raises(ParameterError, match=r"'classic', 'extended'.*got 'clasic'"):
        resolve("clasic", has_dropout=False)


def test_dropout_questions_leave_the_chart_of_a_linear_model() -> None:
    assert resolve("extended", has_dropout=True) is EXTENDED
    assert resolve(CLASSIC, has_dropout=False) == CLASSIC
    chart = resolve("extended", has_dropout=False)
    assert "Q8" not in chart.questions
    assert "Q9" not in chart.questions
    assert chart.questions["Q7"].edges["better"].to == "Q9b"
    assert chart.questions["Q6"].edges["same"].to == "Q9b"


# ----------------------------------------------------------------------- judged walks on made evidence


def compared(a: str, b: str, reply: str, difference: float) -> Comparison:
    masses = {"better": (0.9, 0.05, 0.05), "same": (0.05, 0.9, 0.05), "worse": (0.05, 0.05, 0.9)}
    p = masses.get(reply, (0.4, 0.3, 0.3))
    return Comparison(
        a=a,
        b=b,
        reply=reply,  # type: ignore[arg-type]
        difference=difference,
        low=difference - 0.01,
        high=difference + 0.01,
        least=difference - 0.004,
        most=difference + 0.004,
        region=0.002,
        p_better=p[0],
        p_same=p[1],
        p_worse=p[2],
        loss_a=0.4 + difference,
        loss_b=0.4,
        n_rows=500,
    )


def evidence(**changes: object) -> Evidence:
    """Evidence in which every kind gains as much as its place: later kinds in KINDS are better."""
    gains = {kind: 0.02 * i for i, kind in enumerate(KINDS)} | {"constant": -0.3}
    gains.update(changes.pop("gains", {}))  # type: ignore[call-overload]
    comparisons = []
    for a, b in combinations(gains, 2):
        d = gains[b] - gains[a]
        reply = "same" if abs(d) < 0.001 else "better" if d < 0 else "worse"
        comparisons.append(compared(a, b, reply, d))
    best = max(gains.values())
    comparisons.append(compared("any", "constant", "better", gains["constant"] - best))
    asked: tuple[Comparison, ...] = changes.pop("comparisons", ())  # type: ignore[assignment]
    whole = {
        "sample": SampleEvidence(
            n_rows=500,
            n_source=500,
            is_everything=True,
            verdict="equivalent",
            size_reason="",
            validation="stratified",
        ),
        "resources": ResourceEvidence(budget_s=10.0, budget_source="given", effort="quick", projected_s=3.0),
        "prior": PriorEvidence(),
        "correlation": CorrelationEvidence(measured="no"),
        "whole_picture": WholePictureEvidence(measured="no"),
        "scores": ScoreEvidence(
            loss_name="log loss",
            constant_loss=0.69,
            scores=(),
            honest_losses={kind: 0.4 - gains[kind] for kind in KINDS},
            best_kind="l1",
            comparisons=(*asked, *comparisons),
        ),
    }
    return Evidence(**{**whole, **changes})  # type: ignore[arg-type]


def asked(found: object) -> str:
    return " ".join(f"{step.question}:{step.reply}" for step in found.steps)  # type: ignore[attr-defined]


def test_elastic_net_wins_then_l1_is_tried_then_l2() -> None:
    found, _ = walk(LINEAR, evidence(gains={"elasticnet": 0.1, "l1": 0.1, "l2": 0.05}))
    assert asked(found) == "Q1:yes Q2:yes Q4s:better Q4:better Q5:same Q7:worse Q9b:no Q10:yes"
    assert found.outcome == "l1"


def test_a_candidate_with_a_clearly_lower_loss_overrules_the_comparisons() -> None:
    made = evidence(gains={"elasticnet": 0.1, "l1": 0.1, "l2": 0.05})

    def outcome(chart: Chart, **lowest: float) -> str:
        scores = replace(made.scores, lowest_losses={"l1": 0.3, "elasticnet": 0.3, "none": 0.4, **lowest})
        return walk(chart, replace(made, scores=scores))[0].outcome

    assert outcome(LINEAR, l2=0.2993) == "l2"
    assert outcome(LINEAR, l2=0.2995) == "l1", "less than a fifth of a percent"
    assert outcome(LINEAR, elasticnet=0.29, l2=0.291) == "elasticnet", "the lowest of all"
    assert outcome(sparse_first(LINEAR), l2=0.2993) == "l1", "whoever prefers sparse models is not overruled"


@pytest.mark.parametrize("gain", [0.0, -0.1])
def test_no_regularization_without_a_best_fit_wins_neither_a_tie_nor_by_a_lower_loss(gain: float) -> None:
    made = evidence(gains={"elasticnet": -0.2, "l1": -0.2, "l2": gain})
    lowest = {"none": 0.4, "l2": 0.4 - gain, "l1": 0.6, "elasticnet": 0.6}
    far = replace(made.sample, is_everything=False, n_source=5_000)

    def walked(*, is_limit: bool) -> Walk:
        none = CandidateScore(
            regularizer=Regularizer(),
            loss=0.4,
            fold_losses=(0.4,),
            train_loss=0.0,
            n_rows=500,
            seed=0,
            converged=True,
            is_limit=is_limit,
        )
        scores = replace(made.scores, scores=(none,), lowest_losses=lowest)
        return walk(LINEAR, replace(made, sample=far, scores=scores))[0]

    assert walked(is_limit=False).outcome == "none"
    found = walked(is_limit=True)
    assert found.outcome == "l2"
    assert asked(found) == "Q1:yes Q2:yes Q4s:better Q4:worse Q6:unsure Q9b:no Q10:yes"


def test_the_lowest_loss_is_the_one_expected_of_all_rows() -> None:
    made = evidence(gains={"elasticnet": 0.1, "l1": 0.1, "l2": 0.1})

    def asked_last(lowest: dict[str, float], **costs: float) -> Answer:
        scores = replace(made.scores, lowest_losses={"none": 0.4, **lowest}, carry_costs=costs)
        found, _ = walk(LINEAR, replace(made, scores=scores))
        return next(step.answer for step in found.steps if step.question == "Q9b")

    lowest = {"l2": 0.30, "l1": 0.31, "elasticnet": 0.32}
    assert asked_last(lowest).reply == "no"
    overruled = asked_last(lowest, l2=0.05, elasticnet=0.1)
    assert (overruled.reply, overruled.numbers["lowest_kind"]) == ("yes", "l1")
    assert overruled.numbers["pick_loss"] == pytest.approx(0.315)
    assert overruled.because == (
        "With L1 the loss is 1.6% lower than with L2, after what rescaling to all rows may cost (4.8% of L2)."
    )
    kept = asked_last(lowest, l2=0.02)
    assert kept.reply == "no"
    assert "2.0% of L2" in kept.because


def test_rescaling_takes_no_more_than_half_of_what_a_kind_is_ahead_of_the_constant() -> None:
    made = evidence(gains={"elasticnet": 0.1, "l1": 0.1, "l2": 0.1})  # the constant has 0.69
    lowest = {"none": 0.7, "l2": 0.63, "l1": 0.67, "elasticnet": 0.7}
    scores = replace(made.scores, lowest_losses=lowest, carry_costs={"l2": 0.5})
    assert walk(LINEAR, replace(made, scores=scores))[0].outcome == "l2"


def test_a_walk_names_its_chart_and_a_pick_that_was_never_made_is_none() -> None:
    gains = {"elasticnet": 0.1, "l1": 0.1, "l2": 0.1}
    for chart in (CLASSIC, LINEAR):
        assert walk(chart, evidence(gains=gains))[0].chart == chart.name
    to_the_pick = Edge(to=PICK)
    question = replace(CLASSIC.questions["Q1"], edges={"yes": to_the_pick, "no": to_the_pick})
    assert walk(replace(CLASSIC, questions={"Q1": question}), evidence(gains=gains))[0].outcome == "none"


def test_in_a_tie_the_simplest_kind_wins() -> None:
    found, _ = walk(LINEAR, evidence(gains={"elasticnet": 0.1, "l1": 0.1, "l2": 0.1}))
    assert found.outcome == "l2"
    assert sparse_first(LINEAR).questions["Q7"].edges["better"].pick == "l2"
    assert sparse_first(LINEAR).questions["Q6"].edges["unsure"].pick == "l2", "there is no L1 to keep"
    sparse, _ = walk(sparse_first(LINEAR), evidence(gains={"elasticnet": 0.1, "l1": 0.1, "l2": 0.1}))
    assert sparse.outcome == "l1"


def test_none_is_a_first_class_outcome() -> None:
    gains = dict.fromkeys(KINDS, 0.0)
    assert walk(EXTENDED, evidence(gains=gains))[0].outcome == "none"


@pytest.mark.parametrize("reply", ["same", "worse"])
def test_nothing_beats_the_constant(reply: str) -> None:
    comparison = compared("any", "constant", reply, 0.0)
    found, _ = walk(EXTENDED, evidence(comparisons=(comparison,)))
    assert found.outcome == NO_SIGNAL


def test_unsure_l2_is_taken_rather_than_none() -> None:
    unsure = (compared("l2", "none", "unsure", -0.001),)
    found, _ = walk(LINEAR, evidence(gains=dict.fromkeys(KINDS, 0.0), comparisons=unsure))
    assert found.outcome == "l2"


@pytest.mark.parametrize(("measured", "outcome"), [("yes", "l2"), ("no", "l1"), ("unsure", "l1")])
def test_unsure_l2_replaces_l1_only_where_features_are_correlated(measured: str, outcome: str) -> None:
    changed = evidence(
        gains={"elasticnet": 0.1, "l1": 0.12, "l2": 0.12},
        comparisons=(compared("l2", "l1", "unsure", 0.001),),
        correlation=CorrelationEvidence(measured=measured),  # type: ignore[arg-type]
    )
    assert walk(LINEAR, changed)[0].outcome == outcome


def test_dropout_with_the_best_penalty_can_win() -> None:
    found, _ = walk(EXTENDED, evidence())
    assert found.outcome == "dropout_l1"
    assert EXTENDED.questions["Q9"].edges["better"].pick == BOTH
    l2_better, _ = walk(EXTENDED, evidence(gains={"dropout_l2": 0.5}))
    assert l2_better.outcome == "dropout_l2"


def test_a_given_answer_wins_and_the_disagreement_is_said() -> None:
    said = evidence(
        resources=ResourceEvidence(
            budget_s=0.0, budget_source="given", effort="quick", can_validate=False, obstacle="No budget."
        ),
        correlation=CorrelationEvidence(measured="no", given=True),
    )
    found, _ = walk(EXTENDED, said)
    assert found.outcome == "l2"
    assert "the data say no" in found.steps[-1].answer.because


def test_classic_reads_comparisons_by_sign() -> None:
    tiny = (compared("elasticnet", "none", "same", -1e-9),)
    found, _ = walk(CLASSIC, evidence(comparisons=tiny))
    assert found.steps[2].reply == "better"
    equal = (compared("elasticnet", "none", "same", 0.0),)
    assert walk(CLASSIC, evidence(comparisons=equal))[0].steps[2].reply == "worse"


@pytest.mark.parametrize(("chart", "reply"), [(CLASSIC, "no"), (EXTENDED, "unsure")])
def test_drift_sends_only_the_classic_chart_away_from_validation(chart: Chart, reply: str) -> None:
    drifting = SampleEvidence(
        n_rows=500,
        n_source=500,
        is_everything=True,
        verdict="equivalent",
        size_reason="",
        validation="time",
        has_drift=True,
    )
    assert walk(chart, evidence(sample=drifting))[0].steps[0].reply == reply


def test_evidence_is_gathered_only_when_the_walk_gets_there() -> None:
    full = evidence(
        sample=SampleEvidence(
            n_rows=0,
            n_source=500,
            is_everything=False,
            is_allowed=False,
            verdict="inconclusive",
            size_reason="",
            validation="random",
        ),
        correlation=CorrelationEvidence(measured="yes"),
    )
    gathered = []

    def gather(known: Evidence, needs: tuple[str, ...], pick: str | None) -> Evidence:
        missing = [name for name in needs if getattr(known, name) is None]
        gathered.extend(missing)
        return replace(known, **{name: getattr(full, name) for name in missing})

    found, known = walk(EXTENDED, Evidence(), gather)
    assert found.outcome == "l2"
    assert gathered == ["sample", "prior", "correlation"]
    assert known.scores is None


def test_the_shell_knows_every_chart_that_has_a_name() -> None:
    assert set(terminal.CHART.choices) == set(NAMED)
