"""The walker: looks the way up in a chart, asks for evidence when a question needs it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from regadvisor.flowchart.chart import BOTH, LOWEST, OUTCOMES, PICK, Chart, Edge, PickChange
from regadvisor.flowchart.comparisons import best_with_dropout, kind_of_lowest
from regadvisor.flowchart.questions import JUDGES
from regadvisor.records import Answer, Evidence, Reply, Step, Walk
from regadvisor.regularizer import Kind

#: Returns the evidence with the named fields filled in, as far as they can be; the last argument is the pick.
Gather = Callable[[Evidence, tuple[str, ...], Kind | None], Evidence]


def keep(evidence: Evidence, needs: tuple[str, ...], pick: Kind | None) -> Evidence:
    """Gather nothing: for walks over evidence that is already complete."""
    return evidence


def walk(
    chart: Chart, evidence: Evidence, gather: Gather = keep, *, forced: Mapping[str, Reply] | None = None
) -> tuple[Walk, Evidence]:
    """Walk a chart from its start to an outcome.

    `evidence`: what is known already. `gather`: called before each question with the evidence, the names of
    the fields that the question reads and the pick; returns the evidence with those fields. So costly work
    happens only if the walk gets there. `forced`: replies to take instead of the judges': "what if" walks.

    `evidence`: with all that was gathered on the way.
    """
    name: str = chart.start
    pick: Kind | None = None
    steps: list[Step] = []
    while name not in OUTCOMES:
        answer, evidence = _ask(chart, name, pick, evidence, gather)
        if forced and name in forced:
            answer = replace(answer, reply=forced[name])
        edge = chart.questions[name].edges[answer.reply]
        changed, evidence = _picked(chart, edge, pick, evidence, gather)
        steps.append(
            Step(
                question=name,
                text=chart.questions[name].text,
                answer=answer,
                action=edge.action,
                to=edge.to,
                pick_before=pick,
                pick_after=changed,
            )
        )
        name, pick = edge.to, changed
    outcome = (pick or "none") if name == PICK else name
    return Walk(chart=chart.name, steps=tuple(steps), outcome=outcome), evidence  # type: ignore[arg-type]


def _ask(
    chart: Chart, name: str, pick: Kind | None, evidence: Evidence, gather: Gather
) -> tuple[Answer, Evidence]:
    question = chart.questions[name]
    judge = JUDGES[question.judge]
    evidence = gather(evidence, judge.needs, pick)
    return judge.answer(question, evidence, pick, chart.comparisons), evidence


def _picked(
    chart: Chart, edge: Edge, pick: Kind | None, evidence: Evidence, gather: Gather
) -> tuple[Kind | None, Evidence]:
    """Return the pick after an edge; conditions on other questions are asked as the walk would ask them."""
    if edge.pick is None:
        return pick, evidence
    for name in edge.if_any_yes:
        answer, evidence = _ask(chart, name, pick, evidence, gather)
        if answer.reply == "yes":
            return _kind(edge.pick, evidence), evidence
    return (pick if edge.if_any_yes else _kind(edge.pick, evidence)), evidence


def _kind(change: PickChange, evidence: Evidence) -> Kind:
    if change == BOTH:
        return best_with_dropout(evidence)
    return kind_of_lowest(evidence) if change == LOWEST else change
