"""Pictures of a chart, for the terminal and as SVG, drawn from the same table that is walked.

A picture shows every question with its text, and every edge with its replies, its action (a yellow box of the
published picture), and where it leads; the one for the terminal also shows what an edge does to the pick.
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import NamedTuple
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


#: Space between two questions, and at the top.
_GAP, _TOP = 30, 14
_LEFT, _WIDTH, _HEIGHT = 150, 380, 44
_PILL_LEFT, _PILL_WIDTH, _PILL_HEIGHT = 640, 120, 22
_TOTAL = _PILL_LEFT + _PILL_WIDTH + 10
#: Characters of a line inside a question, and of a line of the reason below it.
_CHARACTERS, _SMALL = 48, 57
_LINE, _SMALL_LINE = 15, 13
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


class _Box(NamedTuple):
    """One question: where it stands, its name or number, and the reason of its reply, if it was asked."""

    y: int
    height: int
    called: str
    because: tuple[str, ...]

    @property
    def middle(self) -> float:
        """Where lines to the right and to the left begin."""
        return self.y + self.height / 2


def to_svg(chart: Chart, walk: Walk | None = None) -> str:
    """Return a picture of `chart`; the same chart and walk give the same bytes.

    `chart`: well formed (see :func:`regadvisor.flowchart.chart.check`). `walk`: its questions are filled,
    have the reason of their reply, and are numbered in their order, as in the list of a report; the edges it
    took are thick, and the end is what is advised. Without one, questions have their names.
    """
    boxes, steps = _boxes(chart, walk), () if walk is None else walk.steps
    taken = {step.question: step.reply for step in steps}
    last = [*boxes.values()][-1]
    said = ", ".join(f"{boxes[step.question].called} {step.reply}" for step in steps)
    title = f"The {chart.name} chart." + (f" The path taken: {said}." if said else "")
    height = last.y + last.height + _TOP + 12
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_TOTAL} {height}" width="{_TOTAL}" '
        f'height="{height}" font-family="sans-serif" font-size="12" role="img">',
        f"<title>{escape(title)}</title>",
    ]
    for name, question in chart.questions.items():
        lines = _lines(question, taken.get(name))
        ends = [line for line in lines if line.to in OUTCOMES]
        for number, line in enumerate(ends):
            parts += _ending(line, boxes[name], number - (len(ends) - 1) / 2, walk)
        for line in sorted(lines, key=lambda line: line.is_taken):
            if line.to not in OUTCOMES:
                parts += _onward(line, boxes[name], boxes[line.to])
        parts += _drawn(boxes[name], question.text, is_taken=name in taken)
    # Words come last, on top of the lines.
    return "\n".join([*sorted(parts, key=lambda part: part.startswith("<text")), "</svg>"])


def _boxes(chart: Chart, walk: Walk | None) -> dict[str, _Box]:
    """Return the questions from the top to the bottom, each as high as its texts need."""
    steps = {} if walk is None else {step.question: step for step in walk.steps}
    numbers = {name: str(k) for k, name in enumerate(steps, 1)}
    boxes: dict[str, _Box] = {}
    y = _TOP
    for name in chart.questions:
        reason = steps[name].answer.because if name in steps else ""
        because = tuple(textwrap.wrap(reason, _SMALL, max_lines=3, placeholder=" …"))
        height = _HEIGHT + _SMALL_LINE * len(because) + (4 if because else 0)
        boxes[name] = _Box(y, height, name if walk is None else numbers.get(name, ""), because)
        y += height + _GAP
    return boxes


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


def _drawn(box: _Box, text: str, *, is_taken: bool) -> list[str]:
    fill, edge, ink = ("#dbeafe", _ON, _INK) if is_taken else ("#ffffff", _OFF, _FAINT)
    asked = textwrap.wrap(text, _CHARACTERS)[:2]
    first = box.y + _HEIGHT / 2 + (4 if len(asked) == 1 else -3)
    lines = [(first + _LINE * i, 12.0, line) for i, line in enumerate(asked)]
    lines += [(box.y + _HEIGHT + 4 + _SMALL_LINE * i, 10.5, line) for i, line in enumerate(box.because)]
    rows = [
        f'<tspan x="{_LEFT + 38}" y="{y:g}" font-size="{size:g}">{escape(line)}</tspan>'
        for y, size, line in lines
    ]
    return [
        f'<rect x="{_LEFT}" y="{box.y}" width="{_WIDTH}" height="{box.height}" rx="6" fill="{fill}" '
        f'stroke="{edge}" stroke-width="{2 if is_taken else 1}"/>',
        f'<text x="{_LEFT + 8}" y="{box.y + _HEIGHT / 2 + 4:g}" font-weight="bold" fill="{ink}">'
        f"{escape(box.called)}</text>",
        f'<text fill="{ink}">{"".join(rows)}</text>',
    ]


def _ending(line: _Line, box: _Box, place: float, walk: Walk | None) -> list[str]:
    """Return an outcome on the right of a question, `place` outcomes below its middle."""
    middle, right = box.middle + place * (_PILL_HEIGHT + 6), _LEFT + _WIDTH
    fill, edge = ("#dcfce7", "#16a34a") if line.is_taken else ("#ffffff", _OFF)
    what = target_label(walk.outcome if line.is_taken and walk else line.to).partition(" (")[0]
    return [
        f'<path d="M{right} {box.middle:g} L{right + 14} {middle:g} L{_PILL_LEFT} {middle:g}" {line.look}/>',
        _said(line.said, right + 18, middle - 4, line),
        f'<rect x="{_PILL_LEFT}" y="{middle - _PILL_HEIGHT / 2:g}" width="{_PILL_WIDTH}" '
        f'height="{_PILL_HEIGHT}" rx="11" fill="{fill}" stroke="{edge}"/>',
        f'<text x="{_PILL_LEFT + _PILL_WIDTH / 2:g}" y="{middle + 4:g}" text-anchor="middle" '
        f'fill="{_INK if line.is_taken else _FAINT}">{escape(what)}</text>',
    ]


def _onward(line: _Line, box: _Box, to: _Box) -> list[str]:
    """Return the way to another question: straight down to the next, in an arc to a later one."""
    bottom = box.y + box.height
    if to.y == bottom + _GAP:
        x = _LEFT + 60
        said = f"{line.said}: {line.action}" if line.action else line.said
        return [f'<path d="M{x} {bottom} L{x} {to.y}" {line.look}/>', _said(said, x + 8, bottom + 19, line)]
    out = _LEFT - min(24 + (to.y - box.y) // 5, _LEFT - 12)
    start, end = box.middle + 6, to.middle - 6
    return [
        f'<path d="M{_LEFT} {start:g} C{out} {start:g} {out} {end:g} {_LEFT} {end:g}" {line.look}/>',
        _said(line.said, _LEFT - 6, start - 5, line, anchor="end"),
    ]


def _said(text: str, x: float, y: float, line: _Line, *, anchor: str = "start") -> str:
    """Return the replies beside a line; a white edge keeps them apart from lines that they lie on."""
    weight = ' font-weight="bold"' if line.is_taken else ""
    return (
        f'<text x="{x:g}" y="{y:g}" font-size="11" text-anchor="{anchor}" stroke="#ffffff" stroke-width="4" '
        f'paint-order="stroke" fill="{_ON if line.is_taken else _FAINT}"{weight}>{escape(text)}</text>'
    )
