"""The code on the pages that readers copy from runs as it stands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import regadvisor

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("name", ["quickstart", "recipes"])
def test_the_code_on_a_page_runs(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A reader copies one block after the other, from top to bottom."""
    monkeypatch.chdir(tmp_path)
    page = (DOCS / f"{name}.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert len(blocks) >= 3
    names: dict[str, object] = {"__name__": name}
    for block in blocks:
        exec(compile(block, f"{name}.md", "exec"), names)
    assert isinstance(names["advice"], regadvisor.Advice)
    assert not list(tmp_path.iterdir()), "a page wrote into the working directory"
