"""How to add a thing, as ARCHITECTURE.md says: each is added here from outside, or in one table."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import record_builders
from click.testing import CliRunner
from sklearn.linear_model import Ridge

import regadvisor
from regadvisor import advice, family_spec, models
from regadvisor.advice import Advice
from regadvisor.cli.main import main
from regadvisor.errors import ParameterError
from regadvisor.export import build, targets
from regadvisor.families.linear.family import LinearFamily
from regadvisor.flowchart import questions
from regadvisor.flowchart.chart import EXTENDED, Chart, Edge, Question
from regadvisor.records import Answer, Evidence
from regadvisor.regularizer import DROPOUT_KINDS, KIND_SPECS, KINDS, LABELS, STRENGTHS, Regularizer

PACKAGE = Path(regadvisor.__file__).parent


def regression(n_rows: int = 120) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n_rows, 8))
    return X, X @ np.array([2.0, -1.0, 0.5, 0, 0, 0, 0, 0]) + rng.standard_normal(n_rows)


# ------------------------------------------------------------------------------------ a report format


def test_a_report_format_is_one_function_and_one_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def to_rst(of: Advice) -> str:
        return f"Advice\n======\n\n{of.verdict}\n"

    monkeypatch.setitem(advice.FORMATS, ".rst", to_rst)
    saved, page = tmp_path / "advice.json", tmp_path / "report.rst"
    made = Advice(record_builders.advice())
    made.to_json(saved)
    done = CliRunner().invoke(main, ["report", str(saved), "-o", str(page)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert page.read_text() == to_rst(made)


# ---------------------------------------------------------------------------------- a chart, a question


def test_a_chart_is_a_value() -> None:
    X, y = regression()
    start = Question(text="Is it so?", judge="resources", edges={"yes": Edge(to="l2"), "no": Edge(to="l1")})
    chart = Chart(name="short", start="Q2", questions={"Q2": start})
    assert regadvisor.advise(X, y, chart=chart, effort="quick", folds=2).regularizer.kind == "l2"
    assert regadvisor.advise(X, y, chart=chart, budget=0).regularizer.kind == "l1"


def test_a_question_is_a_judge_and_a_row_of_a_chart(monkeypatch: pytest.MonkeyPatch) -> None:
    def is_large(question: Question, evidence: Evidence, pick: object, mode: object) -> Answer:
        assert evidence.sample is not None
        n_rows = evidence.sample.n_source
        return Answer(reply="yes" if n_rows >= 100 else "no", because=f"There are {n_rows} rows.")

    monkeypatch.setitem(questions.JUDGES, "large", questions.Judge(needs=("sample",), answer=is_large))
    edges = {"yes": Edge(to="Q1"), "no": Edge(to="l2")}
    large = Question(text="Are there 100 rows?", judge="large", edges=edges)
    chart = replace(EXTENDED, name="sized", start="QL", questions={"QL": large, **EXTENDED.questions})
    few = regadvisor.advise(*regression(60), chart=chart, effort="quick", folds=2)
    assert [step.reply for step in few.path] == ["no"]
    assert few.regularizer.kind == "l2"
    many = regadvisor.advise(*regression(120), chart=chart, effort="quick", folds=2)
    assert [step.question for step in many.path][:2] == ["QL", "Q1"]
    assert "There are 120 rows." in many.to_text(verbose=True)


# ----------------------------------------------------------------------------------- an export target


def test_an_export_target_is_one_function_and_one_row(monkeypatch: pytest.MonkeyPatch) -> None:
    def for_r(request: targets.Request) -> str:
        strengths = request.regularizer.strengths()
        return f"# {request.verdict}\nglmnet(X, y, lambda = {sum(strengths.values())!r})\n"

    made = regadvisor.advise(*regression(), effort="quick", folds=2)
    with pytest.raises(ParameterError, match=r"target must be one of 'sklearn', 'torch'.*got 'r'"):
        made.snippet("r")  # type: ignore[arg-type]
    monkeypatch.setitem(targets.TARGETS, "r", for_r)
    code = made.snippet("r")  # type: ignore[arg-type]
    assert code.startswith("# Use ")
    assert repr(sum(made.regularizer.strengths().values())) in code


# ------------------------------------------------------------------------------------------- a family


class RidgeFamily(LinearFamily):
    """Linear models that know no L1."""

    name = "ridge"
    kinds = ("none", "l2")

    def training(self, picked, **rows):  # type: ignore[no-untyped-def]
        return replace(super().training(picked, **rows), family="ridge")


def test_a_family_is_a_class_and_a_row_of_each_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def built(facts, regularizer, training, **_):  # type: ignore[no-untyped-def]
        return build.build_linear(facts, regularizer, seed=training.seed)

    monkeypatch.setitem(family_spec.FAMILIES, "ridge", family_spec.FamilySpec(name="ridge"))
    monkeypatch.setitem(models.MAKERS, "ridge", lambda facts, **options: RidgeFamily())
    monkeypatch.setitem(build.BUILDERS, "ridge", built)
    X, y = regression()
    chart = Chart(
        name="ridge",
        start="Q",
        questions={
            "Q": Question(
                text="Does L2 help?",
                judge="comparison",
                compares=("l2", "none"),
                edges={
                    "better": Edge(to="l2"),
                    "same": Edge(to="l2"),
                    "unsure": Edge(to="l2"),
                    "worse": Edge(to="none"),
                },
            )
        },
    )
    made = regadvisor.advise(X, y, model="ridge", chart=chart, effort="quick", folds=2)
    assert set(made.scores.kind) == {"none", "l2"}
    assert made.record.training.family == "ridge"
    made.to_json(tmp_path / "advice.json")
    again = Advice.load(tmp_path / "advice.json")
    assert again.record == made.record
    assert isinstance(again.build().fit(X, y).steps[-1][1], Ridge)
    assert "Ridge(alpha=" in again.verdict + str(again.summary)
    assert 'advice.snippet("sklearn")' in again.to_text()


# --------------------------------------------------------------------------------------------- a kind


def test_all_tables_of_kinds_follow_from_one() -> None:
    assert tuple(KIND_SPECS) == KINDS == tuple(LABELS) == tuple(STRENGTHS)
    for kind, spec in KIND_SPECS.items():
        assert (LABELS[kind], STRENGTHS[kind]) == (spec.label, spec.strengths)
        assert (kind in DROPOUT_KINDS) == ("dropout" in spec.strengths)
        assert Regularizer(**dict.fromkeys(spec.strengths, 0.5)).kind == kind
    looks = [(spec.colour, spec.marker) for spec in KIND_SPECS.values()]
    assert len(set(looks)) == len(looks)


@pytest.mark.parametrize("kind", ["dropout_l1", "dropout_l2"])
def test_a_kind_is_named_in_six_files_at_most(kind: str) -> None:
    naming = [path for path in PACKAGE.rglob("*.py") if f'"{kind}"' in path.read_text()]
    assert 2 <= len(naming) <= 6, naming


#: What a kind of all three strengths takes: what is put behind a line that begins a table.
