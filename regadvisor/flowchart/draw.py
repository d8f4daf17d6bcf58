"""Pictures of a chart, for the terminal and as Mermaid, drawn from the same table that is walked.

A picture shows every question with its text, and every edge with its replies, its action (a yellow box
of the published picture), what it does to the pick, and where it leads. Replies with the same edge
share a line. A question that is reached from one place is drawn below that place, any other one has a
section of its own.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass

from regadvisor.flowchart.chart import BOTH, OUTCOMES, Chart, Edge, PickChange, Question
from regadvisor.records import Reply, Walk
from regadvisor.regularizer import LABELS

#: Columns of a terminal that a picture may take.
WIDTH = 100
#: A question indented further than this gets a section of its own, so that its text has room.
_DEEPEST = 48
_ON_PATH = "▶ "
_OFF_PATH = "  "
_STYLES = {
    "question": "fill:#dbeafe,stroke:#2563eb,color:#111827",
    "action": "fill:#fef3c7,stroke:#d97706,color:#111827",
    "outcome": "fill:#dcfce7,stroke:#16a34a,color:#111827",
}


@dataclass(frozen=True, kw_only=True)
class _Branch:
    """Replies of one question that have the same edge."""

    replies: tuple[Reply, ...]
    edge: Edge


def _branches(question: Question) -> list[_Branch]:
    edges = list(dict.fromkeys(question.edges.values()))
    return [
        _Branch(replies=tuple(r for r, e in question.edges.items() if e == edge), edge=edge) for edge in edges
    ]


def target_label(target: str) -> str:
    """Return an outcome as people write it; the name of a question as it is."""
    return next((label for kind, label in LABELS.items() if kind == target), target)


def _pick_label(pick: PickChange) -> str:
    return "dropout with the better penalty" if pick == BOTH else target_label(pick)


def _pick_text(edge: Edge) -> str:
    """Return what an edge does to the pick, as in ``"pick L2 if Q3a or Q3b is yes"``; empty if nothing."""
    if edge.pick is None:
        return ""
    condition = f" if {' or '.join(edge.if_any_yes)} is yes" if edge.if_any_yes else ""
    return f"pick {_pick_label(edge.pick)}{condition}"


# ------------------------------------------------------------------------------------------- terminal


def to_ascii(chart: Chart, walk: Walk | None = None) -> str:
    """Return a picture of `chart` for a terminal, at most 100 columns wide.

    Parameters
    ----------
    chart : Chart
        Well formed (see :func:`regadvisor.flowchart.chart.check`).
    walk : Walk, optional
        Marks the path: lines on it begin with ▶, edges taken end with ◀ and the reply, and a last line
        sums it up.

    Examples
    --------
    >>> from regadvisor.flowchart.chart import Chart, Edge, Question
    >>> edges = {"yes": Edge(to="l2"), "no": Edge(to="l1")}
    >>> asked = Question(text="Are your features correlated?", judge="correlated", edges=edges)
    >>> print(to_ascii(Chart(name="tiny", start="Q1", questions={"Q1": asked})))
      Q1  Are your features correlated?
      ├─ yes → ( L2 )
      └─ no → ( L1 )
    """
    taken = {} if walk is None else {step.question: step.reply for step in walk.steps}
    sections = _sections(chart)
    lines: list[str] = []
    for name in sections:
        lines += [*([""] if lines else []), *_draw(chart, name, "", sections, taken)]
    if walk is not None:
        steps = " → ".join(f"{step.question} {step.reply}" for step in walk.steps)
        path = f"Path: {steps} → ( {target_label(walk.outcome)} )"
        lines += ["", *textwrap.wrap(path, WIDTH, initial_indent="  ", subsequent_indent=" " * 8)]
    return "\n".join(lines)


def _sections(chart: Chart) -> list[str]:
    """Return the questions that are drawn at the left margin, in the order of the table."""
    above = _places(chart)

    def depth(name: str) -> int:
        """How far a question would be indented; counting starts again below a section."""
        if name not in above:
            return 0
        step = 0 if _follows(chart, above[name]) == name else 4
        higher = depth(above[name])
        return step + (0 if higher > _DEEPEST else higher)

    return [
        name
        for name in dict.fromkeys([chart.start, *chart.questions])
        if name not in above or depth(name) > _DEEPEST
    ]


def _places(chart: Chart) -> dict[str, str]:
    """Return, for each question that has one place in the picture, the question it is drawn below.

    It has one if a single branch leads to it, or all branches of a single question do.
    """
    ways: dict[str, list[str]] = {}
    for name, question in chart.questions.items():
        for branch in _branches(question):
            ways.setdefault(branch.edge.to, []).append(name)
    return {
        name: ways[name][0]
        for name in chart.questions
        if name != chart.start
        and len(set(ways[name])) == 1
        and len(ways[name]) in (1, len(_branches(chart.questions[ways[name][0]])))
    }


def _follows(chart: Chart, name: str) -> str | None:
    """Return the question that every reply leads to, if there is one."""
    targets = {edge.to for edge in chart.questions[name].edges.values()}
    target = targets.pop()
    return target if not targets and target in chart.questions else None


def _draw(
    chart: Chart, name: str, indent: str, sections: list[str], taken: dict[str, Reply]
) -> Iterator[str]:
    question = chart.questions[name]
    mark = _ON_PATH if name in taken else _OFF_PATH
    hanging = " " * (len(name) + 2)
    text = textwrap.wrap(question.text, WIDTH - len(mark) - len(indent) - len(hanging))
    yield f"{mark}{indent}{name}  {text[0]}"
    for rest in text[1:]:
        yield f"{_OFF_PATH}{indent}│{hanging[1:]}{rest}"
    follows = _follows(chart, name)
    branches = _branches(question)
    for branch in branches:
        is_last = branch is branches[-1]
        yield from _draw_branch(branch, f"{indent}{'└─' if is_last else '├─'} ", taken.get(name))
        below = branch.edge.to
        if below in chart.questions and below not in sections and below != follows:
            deeper = indent + ("    " if is_last else "│   ")
            yield from _draw(chart, below, deeper, sections, taken)
    if follows is not None and follows not in sections:
        yield f"{_OFF_PATH}{indent}↓".rstrip()
        yield from _draw(chart, follows, indent, sections, taken)


def _draw_branch(branch: _Branch, indent: str, reply: Reply | None) -> Iterator[str]:
    edge = branch.edge
    is_taken = reply in branch.replies
    target = f"( {target_label(edge.to)} )" if edge.to in OUTCOMES else edge.to
    stops = [", ".join(branch.replies), *([f"[ {edge.action} ]"] if edge.action else []), target]
    pick = _pick_text(edge)
    text = " → ".join(stops) + (f", {pick}" if pick else "") + (f"  ◀ {reply}" if is_taken else "")
    mark = _ON_PATH if is_taken else _OFF_PATH
    # A continued line keeps the rails of the tree, so that it still reads as one picture.
    rails = indent[:-3] + ("│  " if indent[-3] == "├" else "   ")
    first, *more = textwrap.wrap(text, WIDTH - len(mark) - len(indent) - 2)
    yield f"{mark}{indent}{first}"
    for rest in more:
        yield f"{_OFF_PATH}{rails}  {rest}"


# -------------------------------------------------------------------------------------------- Mermaid


def to_mermaid(chart: Chart) -> str:
    """Return `chart` as a Mermaid flowchart: blue questions, yellow actions, green outcomes.

    Parameters
    ----------
    chart : Chart
        Well formed (see :func:`regadvisor.flowchart.chart.check`).

    Examples
    --------
    >>> from regadvisor.flowchart.chart import CLASSIC
    >>> print("\\n".join(to_mermaid(CLASSIC).splitlines()[:4]))
    flowchart TD
        ask_Q1{"Q1: Can you take a sub sample with the same distribution?"}
        do_Q1_yes["generate a sub sample"]
        ask_Q1 -->|"yes"| do_Q1_yes --> ask_Q2
    """
    asks = _identifiers("ask", list(chart.questions))
    targets = [edge.to for question in chart.questions.values() for edge in question.edges.values()]
    ends = _identifiers("result", [target for target in dict.fromkeys(targets) if target not in asks])
    lines: list[str] = []
    actions: list[str] = []
    for name, question in chart.questions.items():
        lines.append(f"{asks[name]}{{{_quoted(f'{name}: {question.text}')}}}")
        for branch in _branches(question):
            target = {**asks, **ends}[branch.edge.to]
            words = _quoted(": ".join(filter(None, [", ".join(branch.replies), _pick_text(branch.edge)])))
            stop = ""
            if branch.edge.action is not None:
                actions.append(f"do{asks[name].removeprefix('ask')}_{'_'.join(branch.replies)}")
                lines.append(f"{actions[-1]}[{_quoted(branch.edge.action)}]")
                stop = f"{actions[-1]} --> "
            lines.append(f"{asks[name]} -->|{words}| {stop}{target}")
    lines += [f"{identifier}([{_quoted(target_label(end))}])" for end, identifier in ends.items()]
    groups = {"question": [*asks.values()], "action": actions, "outcome": [*ends.values()]}
    for style, members in groups.items():
        if members:
            lines += [f"classDef {style} {_STYLES[style]}", f"class {','.join(members)} {style}"]
    return "\n".join(["flowchart TD", *(f"    {line}" for line in lines)])


def _identifiers(prefix: str, names: list[str]) -> dict[str, str]:
    """Return a Mermaid identifier for each name: letters, digits and underscores, all different."""
    found: dict[str, str] = {}
    for name in names:
        identifier = f"{prefix}_{re.sub(r'[^A-Za-z0-9]', '_', name)}"
        while identifier in found.values():
            identifier += "_"
        found[name] = identifier
    return found


def _quoted(text: str) -> str:
    """Return a quoted Mermaid string; characters that would end or change it become entity codes."""
    codes = {"#": "#35;", '"': "#quot;", "<": "#lt;", ">": "#gt;", "`": "#96;"}
    return '"' + "".join(codes.get(character, character) for character in " ".join(text.split())) + '"'
