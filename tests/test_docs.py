"""The docs show what the program does now."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from regadvisor.flowchart.chart import CLASSIC
from regadvisor.flowchart.draw import to_ascii

ROOT = Path(__file__).parent.parent


def test_the_drawn_charts_are_those_of_the_tables() -> None:
    spec = importlib.util.spec_from_file_location("docs_build", ROOT / "docs/build.py")
    assert spec is not None
    assert spec.loader is not None
    build = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(build)
    assert (ROOT / "docs/charts.md").read_text(encoding="utf-8") == build.charts_page(), "run docs/build.py"


def test_the_readme_shows_the_classic_chart() -> None:
    assert to_ascii(CLASSIC).rstrip() in (ROOT / "README.md").read_text(encoding="utf-8")
