"""The pictures hold everything that the table holds."""

from __future__ import annotations

import itertools
import re

import pytest

from regadvisor.flowchart.chart import (
    CLASSIC,
    EXTENDED,
    OUTCOMES,
    PICK,
    Chart,
    Edge,
    Question,
    check,
    without,
)
from regadvisor.flowchart.draw import to_ascii, to_svg
from regadvisor.regularizer import LABELS

WITHOUT_DROPOUT = without(EXTENDED, "Q8", "Q9")
CHARTS = [CLASSIC, EXTENDED, WITHOUT_DROPOUT]
IDS = ["classic", "extended", "without dropout"]


def label(target: str) -> str:
    return "the best so far" if target == PICK else dict(LABELS).get(target, target)  # type: ignore[call-overload, no-any-return]


def question_lines(picture: str, name: str, chart: Chart) -> list[str]:
    """Return the lines of the edges of one question: those below it."""
    lines = picture.splitlines()
    start = lines.index(f"{name}  {chart.questions[name].text}")
    return list(itertools.takewhile(lambda line: line[0] in "├└│", lines[start + 1 :]))


@pytest.mark.parametrize("chart", CHARTS, ids=IDS)
def test_every_question_is_drawn_once(chart: Chart) -> None:
    picture = to_ascii(chart)
    for name, question in chart.questions.items():
        assert picture.count(f"{name}  {question.text}") == 1


@pytest.mark.parametrize("chart", CHARTS, ids=IDS)
def test_every_edge_is_drawn_below_its_question(chart: Chart) -> None:
    picture = to_ascii(chart)
    for name, question in chart.questions.items():
        lines = question_lines(picture, name, chart)
        for reply, edge in question.edges.items():
            (line,) = [line for line in lines if reply in re.split(r"[ ,]+", line.split(" → ")[0])]
            stops = line.split(" → ")
            assert (edge.action is None) == (len(stops) == 2)
            assert edge.action is None or stops[1] == f"[ {edge.action} ]"
            target = f"( {label(edge.to)} )" if edge.to in OUTCOMES else edge.to
            assert stops[-1].startswith(target)
            assert ("pick " in stops[-1].removeprefix(target)) == (edge.pick is not None)


@pytest.mark.parametrize("chart", CHARTS, ids=IDS)
def test_every_reply_appears_once_in_its_question(chart: Chart) -> None:
    picture = to_ascii(chart)
    for name, question in chart.questions.items():
        drawn = [
            reply
            for line in question_lines(picture, name, chart)
            for reply in re.sub(r"^[^\w]*", "", line.split(" → ")[0]).split(", ")
        ]
        assert sorted(drawn) == sorted(question.edges)


@pytest.mark.parametrize("chart", CHARTS, ids=IDS)
@pytest.mark.parametrize("draw", [to_ascii, to_svg])
def test_every_outcome_appears_and_drawing_twice_is_equal(chart: Chart, draw) -> None:
    picture = draw(chart)
    for question in chart.questions.values():
        for edge in question.edges.values():
            assert label(edge.to).partition(" (")[0] in picture
    assert draw(chart) == picture


@pytest.mark.parametrize("chart", CHARTS, ids=IDS)
def test_pictures_fit_a_terminal(chart: Chart) -> None:
    lines = to_ascii(chart).splitlines()
    assert max(map(len, lines)) <= 100
    assert not [line for line in lines if line != line.rstrip()]


def test_the_classic_chart_as_text() -> None:
    assert to_ascii(CLASSIC).splitlines()[6:9] == [
        "Q3  Do you have prior knowledge about the data set?",
        "├─ yes → Q3a",
        "└─ no → ( L1+L2 (elastic net) )",
    ]


def test_picks_and_conditions_are_named() -> None:
    picture = to_ascii(EXTENDED)
    assert "better → Q5, pick L1+L2 (elastic net)" in picture
    assert "unsure → Q8, pick L2 if Q3a or Q3b is yes" in picture


def deep_chart(n_questions: int, text: str) -> Chart:
    questions = {
        f"Q{i}": Question(
            text=f"{text} {i}?",
            judge="correlated",
            edges={"yes": Edge(to=f"Q{i + 1}" if i + 1 < n_questions else "l2"), "no": Edge(to="l1")},
        )
        for i in range(n_questions)
    }
    chart = Chart(name="deep", start="Q0", questions=questions)
    check(chart)
    return chart


def test_deep_charts_and_long_texts_stay_within_the_width() -> None:
    chart = deep_chart(40, "Is this a question with far more words than fit into what is left of a line " * 2)
    picture = to_ascii(chart)
    assert max(map(len, picture.splitlines())) <= 100
    drawn = re.findall(r"(Q\d+)  Is", picture)
    assert sorted(drawn) == sorted(chart.questions)
