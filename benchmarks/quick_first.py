"""A plugin of pytest for ``make mutants``: the quickest tests run first, and may already see the change."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import Phase, settings

#: Where mutmut, which runs in the folder of the mutants, keeps how long each test took.
STATS = Path("mutmut-stats.json")


def pytest_configure() -> None:
    """Let hypothesis draw the same examples each time, and leave a failing one as it is."""
    settings.register_profile(
        "mutants", deadline=None, database=None, derandomize=True, phases=[Phase.explicit, Phase.generate]
    )
    settings.load_profile("mutants")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort the tests by how long they took without a change."""
    if STATS.exists():
        took = json.loads(STATS.read_text("utf-8"))["duration_by_test"]
        items.sort(key=lambda item: took.get(item.nodeid, 0.0))
