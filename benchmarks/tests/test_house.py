"""The house stays one to find your way in."""

from __future__ import annotations

import importlib
import inspect
import itertools
import re
import sys

from house import lines, longest_chain


def test_no_chain_of_imports_is_long_and_every_link_is_one() -> None:
    chain = longest_chain()
    assert 5 < len(chain) <= 11
    for name, next_name in itertools.pairwise(chain):
        source = inspect.getsource(importlib.import_module(name))
        folder, _, file = next_name.rpartition(".")
        assert re.search(rf"from {next_name} import|from {folder} import [^\n]*\b{file}\b", source)
        assert next_name in sys.modules


def test_lines_are_code_docstrings_comments_or_blank(tmp_path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "small.py"
    path.write_text(
        '"""What it is."""\n\n# why\nx = 1\n\n\ndef f():\n    """Do."""\n    return x\n', encoding="utf-8"
    )
    assert lines(path) == {"files": 1, "lines": 9, "code": 3, "docs": 2}
