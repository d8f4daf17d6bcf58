"""Charts for models that lack a penalty: Ridge has no L1, some solvers no elastic net."""

from __future__ import annotations

from dataclasses import replace

from regadvisor.errors import ParameterError
from regadvisor.flowchart.chart import CLASSIC, EXTENDED, PICK, Chart, Edge, Question
from regadvisor.records import Reply
from regadvisor.regularizer import LABELS, Kind

_PENALTIES = ("l1", "l2", "elasticnet")


def limited(chart: Chart, kinds: tuple[Kind, ...]) -> Chart:
    """Return `chart` for a model that has no elastic net, or only one penalty: Ridge, Lasso, some solvers.

    The questions that compare penalties give way to: how well does L2 (or the one penalty that there is)
    perform compared to no regularization, and then L1 compared to the pick. Outcomes that the model lacks
    become the first of its penalties.

    Raises ParameterError if the chart is one of the caller's: what would stand in for its questions is not
    known.

    >>> from regadvisor.flowchart.chart import EXTENDED
    >>> [name for name in limited(EXTENDED, ("none", "l1")).questions if name[1] in "456789"]
    ['Q4s', 'Q6', 'Q8', 'Q9', 'Q9b']
    >>> limited(EXTENDED, ("none", "l1")).questions["Q6"].compares
    ('l1', 'none')
    """
    if {"l1", "l2", "elasticnet"} <= set(kinds):
        return chart
    if chart.name not in (CLASSIC.name, EXTENDED.name) or "Q6" not in chart.questions:
        has = ", ".join(LABELS[kind] for kind in kinds)
        raise ParameterError(
            f"chart must be 'classic' or 'extended' for a model that has {has} alone, got {chart.name!r}"
        )
    first: Kind = "l2" if "l2" in kinds else "l1"
    compared = {"Q6": _against_none(chart, first, has_both="l1" in kinds and first == "l2")}
    if "l1" in kinds and first == "l2":
        compared["Q5"] = _l1_after_l2(chart)
    questions: dict[str, Question] = {}
    for name, question in chart.questions.items():
        if name in ("Q4", "Q5", "Q7"):
            continue
        edges = {
            reply: replace(edge, to="Q6" if edge.to == "Q4" else first if edge.to in _PENALTIES else edge.to)
            for reply, edge in question.edges.items()
        }
        questions |= compared if name == "Q6" else {name: replace(question, edges=edges)}
    return replace(chart, questions=questions)


def _against_none(chart: Chart, kind: Kind, *, has_both: bool) -> Question:
    """Return the question of how well one penalty performs compared to no regularization."""
    own = chart.questions["Q6"]
    edges = {}
    for reply, edge in own.edges.items():
        end = kind if edge.to in _PENALTIES else edge.to
        to = "Q5" if has_both else end
        picked = end if end in _PENALTIES or end == "none" else edge.pick and edge.pick.replace("l2", kind)
        edges[reply] = replace(edge, to=to, pick=picked)  # type: ignore[arg-type]
    text = f"How well does {LABELS[kind]} perform compared to no regularization?"
    return replace(own, text=text, compares=(kind, "none"), edges=edges)


def _l1_after_l2(chart: Chart) -> Question:
    """Return the question of how well L1 performs compared to the pick, L2 or none."""
    to = PICK if chart.comparisons == "sign" else chart.questions["Q6"].edges["worse"].to
    replies: tuple[Reply, ...] = ("better", "worse")
    replies = replies if chart.comparisons == "sign" else (*replies, "same", "unsure")
    return Question(
        text="How well does L1 perform compared to the best so far?",
        judge="comparison",
        compares=("l1", PICK),
        edges={reply: Edge(to=to, pick="l1" if reply == "better" else None) for reply in replies},
    )
