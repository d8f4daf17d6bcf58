"""Pictures of a chart, for the terminal and as Mermaid, drawn from the same table that is walked.

A picture shows every question with its text, and every edge with its replies, its action (a yellow box of the
published picture), what it does to the pick, and where it leads. Replies with the same edge share a line. A
question that is reached from one place is drawn below that place, any other one has a section of its own.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from xml.sax.saxutils import escape

from regadvisor.flowchart.chart import BOTH, OUTCOMES, PICK, Chart, Edge, Question
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
    return "the best so far" if target == PICK else LABELS.get(target, target)  # type: ignore[call-overload]


def _pick_text(edge: Edge) -> str:
    """Return what an edge does to the pick, as in ``"pick L2 if Q3a or Q3b is yes"``; empty if nothing."""
    if edge.pick is None:
        return ""
    condition = f" if {' or '.join(edge.if_any_yes)} is yes" if edge.if_any_yes else ""
    label = "dropout with the better penalty" if edge.pick == BOTH else target_label(edge.pick)
    return f"pick {label}{condition}"


# ------------------------------------------------------------------------------------------- terminal


def to_ascii(chart: Chart, walk: Walk | None = None) -> str:
    """Return a picture of `chart` for a terminal, at most 100 columns wide.

    `chart`: well formed (see :func:`regadvisor.flowchart.chart.check`). `walk`: marks the path: lines on it
    begin with ▶, edges taken end with ◀ and the reply, and a last line sums it up.

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

    `chart`: well formed (see :func:`regadvisor.flowchart.chart.check`).
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


_ROW, _TOP = 74, 14
_LEFT, _WIDTH, _HEIGHT = 170, 350, 44
_PILL_LEFT, _PILL_WIDTH, _PILL_HEIGHT = 640, 120, 22
_TOTAL = _PILL_LEFT + _PILL_WIDTH + 10
#: Characters of a line inside a question.
_CHARACTERS = 50
_ON, _OFF, _INK, _FAINT = "#2563eb", "#9ca3af", "#111827", "#4b5563"


@dataclass(frozen=True, kw_only=True)
class _Line:
    """One way out of a question: the replies, where they lead, what is done, and whether it was taken."""

    said: str
    to: str
    action: str | None
    is_taken: bool

    @property
    def look(self) -> str:
        """Colour and width."""
        colour, width = (_ON, 3.5) if self.is_taken else (_OFF, 1.2)
        return f'fill="none" stroke="{colour}" stroke-width="{width}"'


def to_svg(chart: Chart, walk: Walk | None = None) -> str:
    """Return a picture of `chart`; the same chart and walk give the same bytes.

    `chart`: well formed (see :func:`regadvisor.flowchart.chart.check`). `walk`: its questions are filled and
    numbered in their order, as in the list of a report, and the edges it took are thick; without one,
    questions have their names.
    """
    taken = {} if walk is None else {step.question: step.reply for step in walk.steps}
    numbers = {name: str(k) for k, name in enumerate(taken, 1)}
    place = {name: row for row, name in enumerate(chart.questions)}
    height = 2 * _TOP + _ROW * len(place) - (_ROW - _HEIGHT) + 12
    path = (
        ""
        if walk is None
        else f" The path taken: {', '.join(f'{numbers[q]} {r}' for q, r in taken.items())}."
    )
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_TOTAL} {height}" width="{_TOTAL}" '
        f'height="{height}" font-family="sans-serif" font-size="12" role="img">',
        f"<title>{escape(f'The {chart.name} chart.{path}')}</title>",
    ]
    boxes: list[str] = []
    for name, question in chart.questions.items():
        y = _TOP + _ROW * place[name]
        lines = _lines(question, taken.get(name))
        ends = [line for line in lines if line.to in OUTCOMES]
        for number, line in enumerate(ends):
            parts += _ending(line, y, number, len(ends))
        for line in sorted(lines, key=lambda line: line.is_taken):
            if line.to not in OUTCOMES:
                parts += _onward(line, y, place[line.to] - place[name])
        called = name if walk is None else numbers.get(name, "")
        boxes += _box(called, question.text, y, is_taken=name in taken)
    return "\n".join([*parts, *boxes, "</svg>"])


def _lines(question: Question, taken: Reply | None) -> list[_Line]:
    """Return the ways out of a question, one for each place that they lead to."""
    replies: dict[str, list[Reply]] = {}
    for reply, edge in question.edges.items():
        replies.setdefault(edge.to, []).append(reply)
    lines = []
    for to, own in replies.items():
        said = taken if taken in own else "any reply" if len(replies) == 1 < len(own) else ", ".join(own)
        action = question.edges[own[0]].action
        lines.append(_Line(said=said or "", to=to, action=action, is_taken=taken in own))
    return lines


def _box(called: str, text: str, y: int, *, is_taken: bool) -> list[str]:
    fill, edge, ink = ("#dbeafe", _ON, _INK) if is_taken else ("#ffffff", _OFF, _FAINT)
    wrapped = textwrap.wrap(text, _CHARACTERS)[:2]
    first = y + _HEIGHT / 2 + (4 if len(wrapped) == 1 else -3)
    rows = "".join(
        f'<tspan x="{_LEFT + 44}" y="{first + 15 * i:g}">{escape(line)}</tspan>'
        for i, line in enumerate(wrapped)
    )
    return [
        f'<rect x="{_LEFT}" y="{y}" width="{_WIDTH}" height="{_HEIGHT}" rx="6" fill="{fill}" '
        f'stroke="{edge}" stroke-width="{2 if is_taken else 1}"/>',
        f'<text x="{_LEFT + 8}" y="{y + _HEIGHT / 2 + 4:g}" font-weight="bold" fill="{ink}">'
        f"{escape(called)}</text>",
        f'<text fill="{ink}">{rows}</text>',
    ]


def _ending(line: _Line, y: int, number: int, n: int) -> list[str]:
    """Return an outcome on the right of a question."""
    middle = y + _HEIGHT / 2 + (number - (n - 1) / 2) * (_PILL_HEIGHT + 6)
    right = _LEFT + _WIDTH
    fill, edge = ("#dcfce7", "#16a34a") if line.is_taken else ("#ffffff", _OFF)
    what = target_label(line.to).partition(" (")[0]
    return [
        f'<path d="M{right} {y + _HEIGHT / 2:g} L{right + 14} {middle:g} L{_PILL_LEFT} {middle:g}" '
        f"{line.look}/>",
        _said(line.said, right + 18, middle - 4, line),
        f'<rect x="{_PILL_LEFT}" y="{middle - _PILL_HEIGHT / 2:g}" width="{_PILL_WIDTH}" '
        f'height="{_PILL_HEIGHT}" rx="11" fill="{fill}" stroke="{edge}"/>',
        f'<text x="{_PILL_LEFT + _PILL_WIDTH / 2:g}" y="{middle + 4:g}" text-anchor="middle" '
        f'fill="{_INK if line.is_taken else _FAINT}">{escape(what)}</text>',
    ]


def _onward(line: _Line, y: int, n_rows: int) -> list[str]:
    """Return the way to another question: straight down to the next, in an arc to a later one."""
    if n_rows == 1:
        x = _LEFT + 60
        said = f"{line.said}: {line.action}" if line.action else line.said
        return [
            f'<path d="M{x} {y + _HEIGHT} L{x} {y + _ROW}" {line.look}/>',
            _said(said, x + 8, y + _HEIGHT + 19, line),
        ]
    out = _LEFT - min(24 + 14 * n_rows, _LEFT - 12)
    start, end = y + _HEIGHT / 2 + 6, y + n_rows * _ROW + _HEIGHT / 2 - 6
    return [
        f'<path d="M{_LEFT} {start:g} C{out} {start:g} {out} {end:g} {_LEFT} {end:g}" {line.look}/>',
        _said(line.said, _LEFT - 6, start - 5, line, anchor="end"),
    ]


def _said(text: str, x: float, y: float, line: _Line, *, anchor: str = "start") -> str:
    weight = ' font-weight="bold"' if line.is_taken else ""
    return (
        f'<text x="{x:g}" y="{y:g}" font-size="11" text-anchor="{anchor}" '
        f'fill="{_ON if line.is_taken else _FAINT}"{weight}>{escape(text)}</text>'
    )
