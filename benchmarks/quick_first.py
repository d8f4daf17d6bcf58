"""A plugin of pytest for ``make mutants``: what is likely to see a change runs first, slow tests last."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import Phase, settings

#: Where mutmut, which runs in the folder of the mutants, keeps how long each test took.
STATS = Path("mutmut-stats.json")
#: Which test has seen a change to which function.
SEEN = Path("seen.txt")


def pytest_configure() -> None:
    """Let hypothesis draw the same examples each time, and leave a failing one as it is."""
    settings.register_profile(
        "mutants", deadline=None, database=None, derandomize=True, phases=[Phase.explicit, Phase.generate]
    )
    settings.load_profile("mutants")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort the tests: those that saw most other changes to this function, then those that take least."""
    took = json.loads(STATS.read_text("utf-8"))["duration_by_test"] if STATS.exists() else {}
    seen = Counter(SEEN.read_text("utf-8").splitlines() if SEEN.exists() else ())
    function = _changed()
    items.sort(key=lambda item: (-seen[f"{function} {item.nodeid}"], took.get(item.nodeid, 0.0)))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Note which test has seen the change."""
    if report.failed and _changed():
        with SEEN.open("a", encoding="utf-8") as file:
            file.write(f"{_changed()} {report.nodeid}\n")


def _changed() -> str:
    """Return the function that the mutant of this process has changed."""
    return os.environ.get("MUTANT_UNDER_TEST", "").rpartition("__mutmut_")[0]
