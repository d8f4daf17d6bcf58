"""Pictures of a chart, for the terminal and as SVG, drawn from the same table that is walked.

A picture shows every question with its text, and every edge with its replies, its action (a yellow box of the
published picture), and where it leads; the one for the terminal also shows what an edge does to the pick.
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from xml.sax.saxutils import escape

from regadvisor.flowchart.chart import BOTH, OUTCOMES, PICK, Chart, Edge, Question
from regadvisor.records import Reply, Walk
from regadvisor.regularizer import LABELS

#: Columns of a terminal that a picture may take.
WIDTH = 100


def target_label(target: str) -> str:
    """Return an outcome as people write it; the name of a question as it is."""
    return "the best so far" if target == PICK else LABELS.get(target, target)  # type: ignore[call-overload]


def _pick_text(edge: Edge) -> str:
    """Return what an edge does to the pick, as in ``", pick L2 if Q3a is yes"``; empty if nothing."""
    if edge.pick is None:
        return ""
    condition = f" if {' or '.join(edge.if_any_yes)} is yes" if edge.if_any_yes else ""
    label = "dropout with the better penalty" if edge.pick == BOTH else target_label(edge.pick)
    return f", pick {label}{condition}"


def to_ascii(chart: Chart) -> str:
    """Return a picture of `chart` for a terminal, at most 100 columns wide.

    Replies with the same edge share a line.

    `chart`: well formed (see :func:`regadvisor.flowchart.chart.check`).

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
    lines: list[str] = []
    for name, question in chart.questions.items():
        rails = "│" + " " * (len(name) + 1)
        lines += textwrap.wrap(f"{name}  {question.text}", WIDTH, subsequent_indent=rails)
        edges = list(dict.fromkeys(question.edges.values()))
        for edge in edges:
            replies = ", ".join(reply for reply, own in question.edges.items() if own == edge)
            target = f"( {target_label(edge.to)} )" if edge.to in OUTCOMES else edge.to
            stops = " → ".join([replies, *([f"[ {edge.action} ]"] if edge.action else []), target])
            first, rest = ("└─ ", "     ") if edge is edges[-1] else ("├─ ", "│    ")
            text = f"{stops}{_pick_text(edge)}"
            lines += textwrap.wrap(text, WIDTH, initial_indent=first, subsequent_indent=rest)
    return "\n".join(lines)


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
