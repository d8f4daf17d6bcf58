"""The flowchart as data.

A chart is one literal table: for every question, what each reply leads to. The walker in ``walk.py`` only
looks things up here; the pictures in the terminal, the report and the docs are drawn from the same table.

Two rules for this file. A row says *where a reply leads*, never how it is found: ``questions.py``
replies. And what a reader of the printed chart needs to know stands in the table: no edge is
added or bent anywhere else, except that :func:`without` closes the gap where a question does not apply
(a linear model has no dropout).

The classic chart is the published flowchart, exactly as its picture is drawn. The extended chart keeps its
questions and their order, carries a *pick* along, and adds: a comparison with the constant (Q4s), L2 after
L1+L2 has won (Q7), dropout (Q8, Q9), the plain best of everything that was trained (Q9b) and the step to the
full size (Q10).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from regadvisor.errors import ParameterError
from regadvisor.records import Answer, Reply
from regadvisor.regularizer import KINDS, LABELS, Kind

#: Where a walk can end: at a kind, at the pick it carries, or at "no signal".
NO_SIGNAL = "no signal"
PICK = "the pick"
OUTCOMES: tuple[str, ...] = (*KINDS, PICK, NO_SIGNAL)

#: What an edge may do to the pick. :data:`BOTH` is dropout+L1 if that scored better than dropout+L2, else
#: dropout+L2.
BOTH: Literal["dropout and penalty"] = "dropout and penalty"
#: The kind of the candidate with the lowest mean held-out loss of all.
LOWEST: Literal["the lowest loss"] = "the lowest loss"
PickChange = Kind | Literal["dropout and penalty", "the lowest loss"]


@dataclass(frozen=True)
class Edge:
    """Where one reply leads."""

    to: str
    #: What the chart does on this edge (a yellow box of the picture).
    action: str | None = None
    #: What the pick becomes; None keeps it.
    pick: PickChange | None = None
    #: The pick changes only if one of these questions is (or would be) answered yes.
    if_any_yes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Question:
    """A question of the chart: its words, which judge answers it, and where the replies lead."""

    text: str
    #: Name of the judge in ``questions.py``.
    judge: str
    edges: dict[Reply, Edge]
    #: The two sides of a comparison: a kind, ``"the pick"``, ``"constant"``, ``"any"`` or :data:`BOTH`.
    compares: tuple[str, str] | None = None

    def settled(self, answer: Answer, lean: Reply) -> Answer:
        """Return the answer, or the reply it leans to where the chart knows no such reply."""
        if answer.reply in self.edges:
            return answer
        because = f"{answer.because} (Leaning to {lean}: this chart knows no {answer.reply}.)"
        return replace(answer, reply=lean, because=because)


@dataclass(frozen=True, kw_only=True)
class Chart:
    """A chart: its questions by name, the first of them, and how comparisons are read."""

    name: str
    start: str
    questions: dict[str, Question] = field(default_factory=dict)
    #: ``"sign"``: a comparison replies better or worse by the sign of the mean difference;
    #: ``"interval"``: better, same, worse or unsure by posterior mass.
    comparisons: Literal["sign", "interval"] = "interval"


def _all_to(to: str, **picks: PickChange | None) -> dict[Reply, Edge]:
    """Return the edges of a comparison whose replies all lead to one question: what each makes the pick."""
    return {reply: Edge(to=to, pick=picks.get(reply)) for reply in ("better", "same", "worse", "unsure")}


_Q1 = "Can you take a sub sample with the same distribution?"
_Q2 = "Do you have resources available for validation?"
_Q3 = "Do you have prior knowledge about the data set?"
_Q3A = "Are your features correlated?"
_Q3B = 'Do you need the "entire picture"?'
_Q4 = "How well does L1+L2 perform compared to the baseline?"
_SAMPLE = "generate a sub sample"
_TRAIN = "train a baseline without regularization, try L1+L2"

CLASSIC = Chart(
    name="classic",
    start="Q1",
    comparisons="sign",
    questions={
        "Q1": Question(
            text=_Q1,
            judge="same_distribution",
            edges={"yes": Edge(to="Q2", action=_SAMPLE), "no": Edge("Q3")},
        ),
        "Q2": Question(
            text=_Q2, judge="resources", edges={"yes": Edge(to="Q4", action=_TRAIN), "no": Edge("Q3")}
        ),
        "Q3": Question(
            text=_Q3, judge="prior_knowledge", edges={"yes": Edge("Q3a"), "no": Edge("elasticnet")}
        ),
        "Q3a": Question(text=_Q3A, judge="correlated", edges={"yes": Edge("l2"), "no": Edge("Q3b")}),
        "Q3b": Question(text=_Q3B, judge="whole_picture", edges={"yes": Edge("l2"), "no": Edge("l1")}),
        "Q4": Question(
            text=_Q4,
            judge="comparison",
            compares=("elasticnet", "none"),
            edges={"better": Edge(to="Q5", action="try L1"), "worse": Edge(to="Q6", action="try L2")},
        ),
        "Q5": Question(
            text="How well does L1 perform compared to L1+L2?",
            judge="comparison",
            compares=("l1", "elasticnet"),
            edges={"better": Edge("l1"), "worse": Edge("elasticnet")},
        ),
        "Q6": Question(
            text="How well does L2 perform compared to L1+L2?",
            judge="comparison",
            compares=("l2", "elasticnet"),
            edges={"better": Edge("l2"), "worse": Edge("none")},
        ),
    },
)

EXTENDED = Chart(
    name="extended",
    start="Q1",
    questions={
        "Q1": Question(
            text=_Q1,
            judge="same_distribution",
            edges={
                "yes": Edge(to="Q2", action=_SAMPLE),
                "no": Edge("Q3"),
                "unsure": Edge(to="Q2", action=_SAMPLE),
            },
        ),
        "Q2": Question(
            text=_Q2, judge="resources", edges={"yes": Edge(to="Q4s", action=_TRAIN), "no": Edge("Q3")}
        ),
        "Q3": Question(
            text=_Q3, judge="prior_knowledge", edges={"yes": Edge("Q3a"), "no": Edge("elasticnet")}
        ),
        "Q3a": Question(
            text=_Q3A, judge="correlated", edges={"yes": Edge("l2"), "no": Edge("Q3b"), "unsure": Edge("Q3b")}
        ),
        "Q3b": Question(
            text=_Q3B,
            judge="whole_picture",
            edges={"yes": Edge("l2"), "no": Edge("l1"), "unsure": Edge("l2")},
        ),
        "Q4s": Question(
            text="How does the best model compare to guessing the mean or the class shares?",
            judge="comparison",
            compares=("any", "constant"),
            edges={
                "better": Edge("Q4", pick="none"),
                "same": Edge(NO_SIGNAL),
                "worse": Edge(NO_SIGNAL),
                "unsure": Edge("Q4", pick="none"),
            },
        ),
        "Q4": Question(
            text=_Q4,
            judge="comparison",
            compares=("elasticnet", "none"),
            edges=_all_to("Q6") | {"better": Edge("Q5", pick="elasticnet")},
        ),
        "Q5": Question(
            text="How well does L1 perform compared to the best so far?",
            judge="comparison",
            compares=("l1", PICK),
            edges=_all_to("Q7", better="l1", same="l1"),
        ),
        "Q6": Question(
            text="How well does L2 perform compared to no regularization?",
            judge="comparison",
            compares=("l2", "none"),
            edges=_all_to("Q8", better="l2", same="none", worse="none", unsure="l2"),
        ),
        "Q7": Question(
            text="How well does L2 perform compared to the best so far?",
            judge="comparison",
            compares=("l2", PICK),
            edges=_all_to("Q8", better="l2", same="l2")
            | {"unsure": Edge("Q8", pick="l2", if_any_yes=("Q3a", "Q3b"))},
        ),
        "Q8": Question(
            text="How well does dropout perform compared to the best so far?",
            judge="comparison",
            compares=("dropout", PICK),
            edges=_all_to("Q9", better="dropout"),
        ),
        "Q9": Question(
            text="How well does dropout with the best penalty perform compared to the best so far?",
            judge="comparison",
            compares=(BOTH, PICK),
            edges=_all_to("Q9b", better=BOTH),
        ),
        "Q9b": Question(
            text="Does another kind have a lower loss after all?",
            judge="lowest_loss",
            edges={"yes": Edge("Q10", pick=LOWEST), "no": Edge("Q10")},
        ),
        "Q10": Question(
            text="Does the gain over no regularization last at the full size?",
            judge="full_size",
            edges={"yes": Edge(PICK), "same": Edge("none"), "no": Edge("none"), "unsure": Edge(PICK)},
        ),
    },
)


def without(chart: Chart, *names: str) -> Chart:
    """Return `chart` without some questions: edges into one go where its "worse" (else "no") leads.

    >>> "Q8" in without(EXTENDED, "Q8", "Q9").questions
    False
    """
    questions = dict(chart.questions)
    for name in names:
        removed = questions.pop(name)
        past = removed.edges.get("worse") or removed.edges["no"]
        questions = {
            key: replace(
                question,
                edges={r: replace(e, to=past.to) if e.to == name else e for r, e in question.edges.items()},
            )
            for key, question in questions.items()
        }
    return replace(chart, questions=questions)


def sparse_first(chart: Chart) -> Chart:
    """Return `chart` with ties broken in favour of L1: L2 replaces an L1 pick only where it is better.

    A loss that is merely the lowest replaces nothing, so that question is left out.

    >>> sparse_first(EXTENDED).questions["Q7"].edges["same"].pick is None
    True
    """
    by_loss = [name for name, question in chart.questions.items() if question.judge == "lowest_loss"]
    chart = without(chart, *by_loss)
    questions = {
        name: replace(
            question,
            edges={
                reply: edge if reply == "better" or edge.pick != "l2" else replace(edge, pick=None)
                for reply, edge in question.edges.items()
            },
        )
        if question.compares == ("l2", PICK)
        else question
        for name, question in chart.questions.items()
    }
    return replace(chart, questions=questions)


#: The charts that have a name.
NAMED = {"classic": CLASSIC, "extended": EXTENDED}


def resolve(chart: str | Chart, *, has_dropout: bool) -> Chart:
    """Return the chart to walk for a family: a chart by name or the caller's own.

    Raises ParameterError if the name is unknown or a chart of the caller's is not well formed (see
    :func:`check`).
    """
    if isinstance(chart, str):
        if chart not in NAMED:
            raise ParameterError(f"chart must be one of {sorted(NAMED)} or a Chart, got {chart!r}")
        chart = NAMED[chart]
    if not isinstance(chart, Chart):
        raise ParameterError(
            f"chart must be one of {sorted(NAMED)} or a Chart, got {type(chart).__name__}; see docs/charts.md"
        )
    check(chart)
    dropout_questions = [name for name, q in chart.questions.items() if "dropout" in str(q.compares)]
    return chart if has_dropout else without(chart, *dropout_questions)


def check(chart: Chart) -> None:
    """Raise ParameterError unless every edge leads somewhere, all is reachable and nothing loops."""
    if chart.start not in chart.questions:
        raise ParameterError(f"chart.start must be one of its questions, got {chart.start!r}")
    on_path: list[str] = []
    done: set[str] = set()

    def visit(name: str) -> None:
        if name in on_path:
            raise ParameterError(f"chart must not loop, got {' → '.join([*on_path, name])}")
        if name in done or name in OUTCOMES:
            return
        if name not in chart.questions:
            raise ParameterError(f"chart must lead to a question or one of {OUTCOMES}, got {name!r}")
        on_path.append(name)
        for edge in chart.questions[name].edges.values():
            visit(edge.to)
        done.add(on_path.pop())

    visit(chart.start)
    unreachable = sorted(set(chart.questions) - done)
    if unreachable:
        raise ParameterError(
            f"every question of a chart must be reachable, got {unreachable} without a way in"
        )


# ----------------------------------------------------------------------------- for models that lack a penalty


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
