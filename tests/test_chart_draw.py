"""The pictures hold everything that the table holds."""

from __future__ import annotations

import re
import shutil
import subprocess

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
from regadvisor.flowchart.draw import to_ascii, to_mermaid
from regadvisor.records import Answer, Reply, Step, Walk
from regadvisor.regularizer import LABELS

WITHOUT_DROPOUT = without(EXTENDED, "Q8", "Q9")
CHARTS = [CLASSIC, EXTENDED, WITHOUT_DROPOUT]
IDS = ["classic", "extended", "without dropout"]


def label(target: str) -> str:
    return "the best so far" if target == PICK else dict(LABELS).get(target, target)  # type: ignore[call-overload, no-any-return]


def walk_of(chart: Chart, replies: list[Reply], outcome) -> Walk:
    steps = []
    name = chart.start
    for reply in replies:
        edge = chart.questions[name].edges[reply]
        answer = Answer(reply=reply, because="")
        steps.append(
            Step(
                question=name, text=chart.questions[name].text, answer=answer, action=edge.action, to=edge.to
            )
        )
        name = edge.to
    return Walk(chart=chart.name, steps=tuple(steps), outcome=outcome)


def question_lines(picture: str, name: str, chart: Chart) -> list[str]:
    """Return the lines of the edges of one question: those below it, at its own indentation."""
    lines = picture.splitlines()
    start = next(i for i, line in enumerate(lines) if f"{name}  {chart.questions[name].text}" in line)
    column = lines[start].index(f"{name}  ")
    found = []
    for line in lines[start + 1 :]:
        if line[column : column + 1] in ("├", "└"):
            found.append(line)
        if line[column : column + 1] not in ("├", "│"):
            break
    return found


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
@pytest.mark.parametrize("draw", [to_ascii, to_mermaid])
def test_every_outcome_appears_and_drawing_twice_is_equal(chart: Chart, draw) -> None:
    picture = draw(chart)
    for question in chart.questions.values():
        for edge in question.edges.values():
            assert label(edge.to) in picture
    assert draw(chart) == picture


@pytest.mark.parametrize("chart", CHARTS, ids=IDS)
def test_pictures_fit_a_terminal(chart: Chart) -> None:
    lines = to_ascii(chart).splitlines()
    assert max(map(len, lines)) <= 100
    assert not [line for line in lines if line != line.rstrip()]


def test_the_classic_chart_as_text() -> None:
    assert to_ascii(CLASSIC).splitlines()[-9:] == [
        "  Q3  Do you have prior knowledge about the data set?",
        "  ├─ yes → Q3a",
        "  │   Q3a  Are your features correlated?",
        "  │   ├─ yes → ( L2 )",
        "  │   └─ no → Q3b",
        '  │       Q3b  Do you need the "entire picture"?',
        "  │       ├─ yes → ( L2 )",
        "  │       └─ no → ( L1 )",
        "  └─ no → ( L1+L2 (elastic net) )",
    ]


def test_picks_and_conditions_are_named() -> None:
    picture = to_ascii(EXTENDED)
    assert "better → Q5, pick L1+L2 (elastic net)" in picture
    assert "unsure → Q8, pick L2 if Q3a or Q3b is yes" in picture


def test_a_walk_is_marked() -> None:
    walk = walk_of(CLASSIC, ["yes", "no", "yes", "no", "no"], "l1")
    picture = to_ascii(CLASSIC, walk)
    marked = [line for line in picture.splitlines() if line.startswith("▶")]
    assert len(marked) == 2 * len(walk.steps)
    taken = [line for line in marked if "◀" in line]
    assert [line.rsplit("◀ ")[1] for line in taken] == ["yes", "no", "yes", "no", "no"]
    assert picture.splitlines()[-1] == "  Path: Q1 yes → Q2 no → Q3 yes → Q3a no → Q3b no → ( L1 )"
    # Marks apart, it is the same picture.
    plain = [re.sub(r"  ◀ \w+$", "", line.replace("▶ ", "  ")) for line in picture.splitlines()[:-2]]
    assert plain == to_ascii(CLASSIC).splitlines()


def test_one_of_several_replies_is_marked_by_its_name() -> None:
    walk = walk_of(EXTENDED, ["unsure", "yes", "same"], "no signal")
    picture = to_ascii(EXTENDED, walk)
    assert "yes, unsure → [ generate a sub sample ] → Q2  ◀ unsure" in picture
    assert picture.endswith("( no signal )")


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


def test_mermaid_names_every_question_action_and_outcome_in_its_shape() -> None:
    for chart in CHARTS:
        picture = to_mermaid(chart)
        for name, question in chart.questions.items():
            text = question.text.replace('"', "#quot;")
            assert f'{{"{name}: {text}"}}' in picture
            for edge in question.edges.values():
                assert edge.action is None or f'["{edge.action}"]' in picture
                assert edge.to not in OUTCOMES or f'(["{label(edge.to)}"])' in picture


def test_mermaid_is_made_of_known_statements_and_defined_nodes() -> None:
    node = r"(ask|do|result)_\w+"
    string = r'"[^"<>`]*"'
    statements = (
        rf"{node}(\{{{string}\}}|\[{string}\]|\(\[{string}\]\))",
        rf"{node} -->\|{string}\| {node}( --> {node})?",
        r"classDef (question|action|outcome) [\w:#,]+",
        rf"class {node}(,{node})* (question|action|outcome)",
    )
    for chart in CHARTS:
        head, *lines = to_mermaid(chart).splitlines()
        assert head == "flowchart TD"
        assert not [line for line in lines if not re.fullmatch("|".join(statements), line.strip())]
        used = set(re.findall(r"\b(?:ask|do|result)_\w+", "\n".join(lines)))
        defined = {m[1] for line in lines if (m := re.match(r"\s+((?:ask|do|result)_\w+)[\[({]", line))}
        assert used == defined


def test_mermaid_draws_as_many_edges_as_there_are_different_ones() -> None:
    for chart in CHARTS:
        expected = sum(len(set(question.edges.values())) for question in chart.questions.values())
        assert to_mermaid(chart).count("-->|") == expected


def test_mermaid_escapes_and_keeps_names_apart() -> None:
    edges: dict[Reply, Edge] = {"yes": Edge(to="Q 2", action='say "<hi>" #1'), "no": Edge(to="none")}
    last: dict[Reply, Edge] = {"yes": Edge(to="l2"), "no": Edge(to="none")}
    chart = Chart(
        name="odd",
        start="Q-2",
        questions={
            "Q-2": Question(text='A "quoted"\nquestion?', judge="correlated", edges=edges),
            "Q 2": Question(text="End?", judge="correlated", edges=last),
        },
    )
    picture = to_mermaid(chart)
    assert '["say #quot;#lt;hi#gt;#quot; #35;1"]' in picture
    assert '{"Q-2: A #quot;quoted#quot; question?"}' in picture
    assert 'ask_Q_2{"Q-2' in picture
    assert 'ask_Q_2_{"Q 2' in picture


@pytest.mark.skipif(shutil.which("mmdc") is None, reason="the Mermaid command line is not installed")
def test_mermaid_renders(tmp_path) -> None:
    source = tmp_path / "chart.mmd"
    source.write_text(to_mermaid(EXTENDED), encoding="utf-8")
    done = subprocess.run(
        ["mmdc", "-i", source, "-o", tmp_path / "chart.svg"], check=False, capture_output=True
    )
    assert done.returncode == 0
