"""The docs show what the program does now."""

from __future__ import annotations

import importlib.util
import re
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


def test_the_method_page_names_what_there_is() -> None:
    text = (ROOT / "docs" / "method.md").read_text(encoding="utf-8")
    sources = {path: path.read_text(encoding="utf-8") for path in (ROOT / "regadvisor").rglob("*.py")}
    code = "\n".join(sources.values())
    constants = set(re.findall(r"`([A-Z][A-Z0-9]+(?:_[A-Z0-9]+)+)`", text))
    assert len(constants) > 20
    assert not {name for name in constants if not re.search(rf"^{name}\b", code, re.MULTILINE)}
    files = set(re.findall(r"`((?:[a-z_]+/)*[a-z_]+\.py)`", text))
    known = [path.relative_to(ROOT).as_posix() for path in (*sources, *(ROOT / "benchmarks").rglob("*.py"))]
    assert not {name for name in files if not any(f"/{path}".endswith(f"/{name}") for path in known)}
