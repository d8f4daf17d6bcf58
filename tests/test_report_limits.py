"""Odd names stay inert in every format, and many features or classes make no report too large to read."""

from __future__ import annotations

import ast
import html
import io
import re
import warnings

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

import regadvisor
from regadvisor.advice import Advice
from regadvisor.cli.main import main
from regadvisor.report.serial import from_json, to_json

MOST_BYTES = 300_000
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
ODD = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "=cmd()",
    "\x1b[31mred\x1b[0m",
    "two\nlines",
    "nul\x00byte",
    "right\u202eto\u2066left",
    "[link](javascript:alert(1)) | **bold** `code`",
    "{{ 7 * 7 }} {% raw %}",
    "$x_{1}$ \\alpha",
    "'; import os; os.system('ls') #",
    "漢字の列",
    "عمود عربي",
    "x" * 200,
)


def table(names: tuple[str, ...] | list[str], n: int = 120, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray]:
    r = np.random.default_rng(seed)
    X = pd.DataFrame(r.normal(size=(n, len(names))), columns=list(names))
    return X, X.iloc[:, 0].to_numpy() + X.iloc[:, -1].to_numpy() + r.normal(size=n)


def page_of(advice: Advice) -> str:
    """Return the page, which keeps its limits."""
    text = advice.to_html()
    assert len(text.encode()) <= MOST_BYTES
    assert f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">' in text
    assert "<script" not in text
    assert not re.search(r"<[^>]*\son\w+=", text), "no handler of events"
    assert text == Advice(from_json(to_json(advice.record))).to_html() or advice.record.training is None
    return text


@pytest.fixture(scope="module")
def odd() -> Advice:
    """An advice on columns, a category, a target and classes with odd names; two columns are equal."""
    X, y = table(ODD)
    X["<script>copy</script>"] = X[ODD[0]]
    X["kind\x1b[32m"] = np.where(X.iloc[:, 1] > 0, "<b>a</b>", "=1+1\n")
    target = pd.Series(np.where(y > 0, "yes\x1b[1m<i>", "no\u202e"), name="t\x07arget</h1>")
    return regadvisor.advise(X, target, model="linear", effort="quick", folds=2)


def test_odd_names_stay_inert_on_the_page_and_the_card(odd: Advice) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # of letters that a font lacks
        page = page_of(odd)
    assert "&lt;script&gt;" in page
    assert "漢字の列" in page
    assert "عمود عربي" in page
    assert "$x_{1}$" in page, "no formula is made of it"
    for text in (page, odd._repr_html_()):
        assert "<i>" not in text
        assert "</h1>&" not in text
        assert "{{" not in text.replace(html.escape("{{ 7 * 7 }}"), "")
        assert "49 " not in text or "{{ 7 * 7 }}" in text
        shown = re.sub(r"<pre>.*?</pre>", "", text, flags=re.S)
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]", shown)


def test_odd_names_stay_inert_in_a_terminal_and_in_markdown(odd: Advice) -> None:
    for text in (odd.to_text(width=80), odd.to_text(width=80, verbose=True), odd.to_markdown(), repr(odd)):
        assert all(character.isprintable() for character in text.replace("\n", ""))
    markdown = odd.to_markdown()
    assert not re.search(r"(?<!\\)<script", markdown)
    assert not re.search(r"(?<!\\)\]\(javascript", markdown.replace("\\]", ""))


def test_odd_names_are_nothing_but_strings_in_code(odd: Advice) -> None:
    code = odd.snippet("sklearn")
    names = {node.id for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Name)}
    assert not names & {"os", "alert", "cmd", "script"}
    assert "\x1b" not in code
    assert "\x00" not in code


def test_odd_names_survive_json(odd: Advice) -> None:
    text = to_json(odd.record)
    assert all(character.isprintable() for character in text.replace("\n", ""))
    back = from_json(text)
    assert back == odd.record
    assert back.data is not None
    assert [column.name for column in back.data.columns][: len(ODD)] == list(ODD)


def test_odd_names_of_a_csv_file_stay_inert_in_a_shell(tmp_path: object) -> None:
    names = [name for name in ODD if "\x00" not in name]
    X, y = table(names)
    file = io.StringIO()
    X.assign(**{"=target()": y}).to_csv(file, index=False)
    path = f"{tmp_path}/d.csv"
    with open(path, "w", encoding="utf-8") as out:
        out.write(file.getvalue())
    page = f"{tmp_path}/r.html"
    arguments = ["advise", path, "-t", "=target()", "--effort", "quick", "-o", page]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code in (0, 4), done.output
    assert all(character.isprintable() for character in done.output.replace("\n", ""))
    listed = CliRunner().invoke(main, ["advise", path])
    assert listed.exit_code == 2
    assert all(character.isprintable() for character in listed.output.replace("\n", ""))


@pytest.mark.parametrize("n_features", [1, 2, 500, 10_000])
def test_any_number_of_features_fits_a_page(n_features: int) -> None:
    names = [f"feature number {i} of the table of all things" for i in range(n_features)]
    X, y = table(names, n=80)
    advice = regadvisor.advise(X, y, model="linear", effort="quick", folds=2, budget=6)
    page_of(advice)
    assert len(advice._repr_html_().encode()) <= 20_000
    lines = advice.to_text(width=80).splitlines()
    assert len(lines) <= 90
    assert max(map(len, lines)) <= 80


def test_forty_classes_with_long_names_fit_a_page() -> None:
    X, _ = table(["a", "b", "c"], n=400)
    y = np.array([f"class number {i % 40:02d} {'long ' * 30}" for i in range(400)])
    advice = regadvisor.advise(X, y, model="linear", effort="quick", folds=2, budget=6)
    page_of(advice)
    assert "40 classes" in advice.to_text()
    assert max(map(len, advice.to_text(width=60).splitlines())) <= 60


def test_the_whole_report_is_one_page_of_text_also_with_long_names() -> None:
    X, y = table([f"{i} {'n' * 200}" for i in range(20)])
    X["copy" * 60] = X.iloc[:, 0]
    advice = regadvisor.advise(X, y, model="linear", effort="quick", folds=2)
    assert len(advice.to_text(width=80).splitlines()) <= 90
    page_of(advice)
