"""The HTML page, the card for notebooks and the pictures: same record, same bytes; names stay text."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from matplotlib.figure import Figure
from record_builders import RECORDS

from regadvisor.advice import Advice
from regadvisor.cli.main import main
from regadvisor.errors import ParameterError, RecordError
from regadvisor.flowchart.chart import CLASSIC, EXTENDED
from regadvisor.flowchart.draw import to_svg as chart_svg
from regadvisor.pictures.draw import to_svg
from regadvisor.records import (
    Column,
    ColumnShift,
    FeatureFacts,
    FeaturePair,
    GrowthEvidence,
    Note,
    Record,
    SizePoint,
)
from regadvisor.report.picture_data import (
    features_picture,
    growth_picture,
    kinds_picture,
    sample_picture,
    strength_picture,
)
from regadvisor.report.serial import from_json, to_json
from regadvisor.report.view import view

HOSTILE = "<script>alert(1)</script>\x1b[31m‮=cmd()"


class _Tags(HTMLParser):
    """Collects tags and attributes, and what is left open."""

    VOID = frozenset({"meta", "br", "hr", "img", "link", "input", "path", "use", "rect"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.names: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        self.attributes += attrs
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag


def page(record: Record) -> str:
    return Advice(record).to_html()


@pytest.mark.parametrize("name", RECORDS)
def test_every_record_has_a_page_that_is_whole_and_asks_for_nothing(name: str) -> None:
    text = page(RECORDS[name]())
    tags = _Tags(text)
    assert not tags.open
    assert not {"script", "link", "img", "iframe", "object"} & set(tags.names)
    assert not [key for key, _ in tags.attributes if key.startswith("on")]
    fetched = [value for key, value in tags.attributes if key in ("src", "href", "xlink:href")]
    assert all(value is None or value.startswith("#") for value in fetched)
    assert len(text.encode()) < 300_000


def test_the_same_record_gives_the_same_page() -> None:
    assert page(RECORDS["advice"]()) == page(RECORDS["advice"]())


def test_verdict_and_warnings_come_first() -> None:
    leak = Note(code="leak", text="'x3' determines the target", is_warning=True)
    advice = Advice(replace(RECORDS["advice"](), notes=(leak,)))
    text = advice.to_html()
    places = [text.index(said) for said in ("<h1>", advice.warnings[0].replace("'", "&#39;"), "<h2>Why")]
    assert places == sorted(places)
    card = advice._repr_html_()
    assert "&#39;x3&#39; determines the target." in card
    assert len(card) < 20_000


def test_names_from_the_data_stay_text() -> None:
    record = RECORDS["advice"]()
    assert record.data is not None
    data = replace(
        record.data,
        columns=tuple(Column(name=HOSTILE, kind="numeric") for _ in record.data.columns),
        target_name=HOSTILE,
        classes=(HOSTILE, "b"),
    )
    hostile = replace(record, data=data, notes=(Note(code="odd", text=HOSTILE, is_warning=True),))
    for text in (page(hostile), Advice(hostile)._repr_html_()):
        assert "<script" not in text
        assert "&lt;script&gt;" in text
        assert "\x1b" not in text


def test_the_strengths_drawn_are_those_of_the_scores() -> None:
    record = RECORDS["advice"]()
    picture = strength_picture(record)
    frame = Advice(record).scores
    frame = frame[(frame.n_rows == frame.n_rows.max()) & frame.converged & (frame.kind == "l2")]
    (line,) = [line for line in picture.lines if line.kind == "l2"]
    assert sorted(p.value for p in line.points) == pytest.approx(sorted(frame.loss))
    assert [p.at for p in line.points] == sorted(frame.l2)
    assert picture.constant_loss == record.evidence.scores.constant_loss  # type: ignore[union-attr]


def test_a_kind_is_drawn_at_its_distance_from_the_advised_one_in_percent() -> None:
    record = RECORDS["advice"]()
    scores = record.evidence.scores
    assert scores is not None
    rows = kinds_picture(record).rows
    assert [row.extra for row in rows] == sorted(row.extra for row in rows)
    (pick,) = [row for row in rows if row.is_pick]
    assert (pick.label, pick.extra) == ("L2", 0.0)
    found = scores.comparison("none", "l2")
    assert found is not None
    (row,) = [row for row in rows if row.label == "none"]
    assert row.extra == pytest.approx(100 * found.difference / found.loss_b)
    assert row.high == pytest.approx(100 * found.most / found.loss_b)


FEATURES = FeatureFacts(
    n_seen=3,
    n_rows=50,
    n_features=5,
    effective_rank=1.8,
    pairs=(FeaturePair(a="a", b=HOSTILE, strength=-0.98), FeaturePair(a="a", b="c", strength=0.1)),
    names=("a", HOSTILE, "$x_{1}$"),
    strengths=((), (-0.98,), (0.1, 0.2)),
)
SHIFTS = (ColumnShift(column=HOSTILE, shift=0.12), ColumnShift(column="漢字 عربى", shift=0.03))


def mapped() -> Record:
    record = RECORDS["network"]()
    sample = record.evidence.sample
    assert sample is not None
    evidence = replace(record.evidence, sample=replace(sample, shifts=SHIFTS))
    return replace(record, features=FEATURES, evidence=evidence)


def test_a_map_of_features_without_names_is_refused() -> None:
    record = replace(mapped(), features=replace(FEATURES, names=("a",)))
    with pytest.raises(RecordError, match="a name for each feature in its map"):
        from_json(to_json(record))


def test_features_are_told_and_drawn_with_every_pair_on_both_sides() -> None:
    picture = features_picture(mapped())
    assert np.array(picture.strengths) == pytest.approx(
        np.array([[1, -0.98, 0.1], [-0.98, 1, 0.2], [0.1, 0.2, 1]])
    )
    assert view(mapped()).features == (
        "3 features of 5 carry about as much as 2 independent ones.",
        f"Closest: a and {picture.names[1]} (-0.98).",
    )
    text = page(mapped())
    assert text == page(mapped())
    assert "Your features" in text
    assert "$x_{1}$" in text, "names are no formulas"
    assert "<script" not in text
    fetched = [value for key, value in _Tags(text).attributes if key in ("src", "href", "xlink:href")]
    assert all(value is None or value.startswith(("#", "data:image/png;base64,")) for value in fetched)
    with pytest.raises(ParameterError, match="no two features"):
        features_picture(RECORDS["without_data"]())


def test_the_sample_is_drawn_by_column_with_the_limit_of_equal() -> None:
    picture = sample_picture(mapped())
    assert (picture.shifts, picture.limit) == ((0.12, 0.03), 0.1)
    assert "漢字 عربى" in page(mapped())
    with pytest.raises(ParameterError, match="nothing to compare"):
        sample_picture(RECORDS["advice"]())


def test_pictures_stay_small_with_many_features() -> None:
    names = tuple(f"feature number {i} of the table" for i in range(25))
    whole = tuple(tuple(round(0.01 * (i - j), 2) for j in range(i)) for i in range(25))
    record = replace(mapped(), features=replace(FEATURES, names=names, strengths=whole))
    assert max(len(to_svg(record, kind).encode()) for kind in ("features", "sample")) <= 40_000


def test_the_growth_is_drawn_in_percent_with_its_interval() -> None:
    record = RECORDS["advice"]()
    growth = GrowthEvidence(
        kind="l2",
        n_sample=200,
        n_rows=5_000,
        source="prior",
        sizes=(),
        gain=0.04,
        low=-0.01,
        high=0.08,
        p_better=0.9,
        p_same=0.08,
        p_worse=0.02,
    )
    point = SizePoint(n_rows=100, share=0.5, loss_none=1.0, loss=0.9, gain=0.1, se=0.02)
    drawn = growth_picture(
        replace(record, evidence=replace(record.evidence, growth=replace(growth, sizes=(point,))))
    )
    assert drawn.measured[0].value == pytest.approx(10.0)
    assert drawn.measured[0].high - drawn.measured[0].low == pytest.approx(2 * 1.96 * 2.0)
    assert drawn.expected.value == pytest.approx(100 * growth.gain)
    whole = replace(growth, sizes=(replace(point, gain=0.98),), high=1.4)  # no more than all of the loss
    drawn = growth_picture(replace(record, evidence=replace(record.evidence, growth=whole)))
    assert (drawn.measured[0].high, drawn.expected.high) == (100.0, 100.0)


@pytest.mark.parametrize("kind", ["strength", "kinds"])
def test_a_picture_is_drawn_where_it_is_asked_for_and_its_text_is_text(kind: str) -> None:
    record = RECORDS["advice"]()
    ax = Figure().subplots()
    assert Advice(record).plot(kind, ax=ax) is ax  # type: ignore[arg-type]
    text = to_svg(record, kind)
    assert len(text) < 40_000
    assert "<text" in text
    assert "dc:date" not in text
    assert text == to_svg(record, kind)


def test_a_callers_style_does_not_change_the_file() -> None:
    import matplotlib

    record = RECORDS["advice"]()
    plain = to_svg(record, "kinds")
    with matplotlib.rc_context({"axes.facecolor": "black", "font.size": 30.0}):
        assert to_svg(record, "kinds") == plain
        assert matplotlib.rcParams["font.size"] == 30.0


def test_pictures_without_numbers_are_refused() -> None:
    with pytest.raises(ParameterError, match="no candidate was trained"):
        Advice(RECORDS["without_data"]()).plot("strength")
    with pytest.raises(ParameterError, match="'growth', 'features', 'sample', 'chart', got 'pie'"):
        Advice(RECORDS["advice"]()).plot("pie")  # type: ignore[arg-type]


def test_the_chart_has_every_question_once_and_marks_the_path() -> None:
    record = RECORDS["classic"]()
    drawn = chart_svg(CLASSIC, record.walk)
    plain, numbers = chart_svg(CLASSIC), [str(k) for k, _ in enumerate(record.walk.steps, 1)]
    for name in CLASSIC.questions:
        assert plain.count(f">{name}</text>") == 1
        assert f">{name}</text>" not in drawn
    assert re.findall(r'font-weight="bold" fill="#111827">(\d+)</text>', drawn) == numbers  # as in the list
    n_thick = len(re.findall('stroke-width="3.5"', drawn))
    assert n_thick == len(record.walk.steps)
    assert 'stroke-width="3.5"' not in chart_svg(EXTENDED)
    assert Advice(record).plot("chart") == drawn
    assert Advice(record).plot("chart")._repr_svg_() == drawn  # type: ignore[union-attr]


def test_the_chart_says_why_and_ends_at_what_is_advised() -> None:
    drawn = Advice(RECORDS["advice"]()).plot("chart")
    for step in RECORDS["advice"]().walk.steps:
        assert step.answer.because.split(" ")[0] in drawn  # type: ignore[operator]
    assert re.findall(r'text-anchor="middle" fill="#111827">([^<]*)<', str(drawn)) == ["L2"]
    # No line of a question is longer than its box, at 7 pixels a letter.
    lines = re.findall(r'<tspan x="188" y="[\d.]+" font-size="12">([^<]*)<', str(drawn))
    assert lines
    assert max(map(len, lines)) * 7 <= 340


def test_the_chart_is_drawn_where_no_fit_with_dropout_was_left() -> None:
    record = RECORDS["network"]()
    scores = record.evidence.scores
    assert scores is not None
    kept = tuple(score for score in scores.scores if "dropout" not in score.kind)
    settings = replace(record.settings, model="cnn")
    evidence = replace(record.evidence, scores=replace(scores, scores=kept))
    assert "dropout" in Advice(replace(record, evidence=evidence, settings=settings)).plot("chart")  # type: ignore[operator]


def test_the_shell_writes_a_page(tmp_path: Path) -> None:
    saved, made = tmp_path / "advice.json", tmp_path / "report.html"
    advice = Advice(RECORDS["advice"]())
    advice.to_json(saved)
    result = CliRunner().invoke(main, ["report", str(saved), "-o", str(made)])
    assert result.exit_code == 0, result.output
    assert made.read_text(encoding="utf-8") == Advice.load(saved).to_html()


def test_many_features_do_not_swell_the_page() -> None:
    record = RECORDS["advice"]()
    assert record.data is not None
    rng = np.random.default_rng(0)
    names = ["".join(rng.choice(list("abcdefgh"), 40)) for _ in range(500)]
    wide = replace(
        record, data=replace(record.data, columns=tuple(Column(name=n, kind="numeric") for n in names))
    )
    assert len(page(wide).encode()) < 300_000


def test_a_record_whose_only_fit_is_none_has_a_page() -> None:
    record = RECORDS["advice"]()
    scores = record.evidence.scores
    assert scores is not None
    none = tuple(score for score in scores.scores if score.kind == "none")
    record = replace(record, evidence=replace(record.evidence, scores=replace(scores, scores=none)))
    assert "How strong" in page(record)
    with pytest.raises(ParameterError, match="no strength was tried to the end"):
        Advice(record).plot("strength")
