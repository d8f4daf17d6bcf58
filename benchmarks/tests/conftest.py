"""The scripts as modules, settings of all tests, and a watch over the page that the scripts write."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

FOLDER = Path(__file__).parent.parent
# At the end: benchmarks/coverage.py is not the package of that name.
sys.path.append(str(FOLDER))
# What tests of both suites use.
sys.path.append(str(FOLDER.parent / "tests"))
# A deadline for each example would make the tests depend on how busy the machine is.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.fixture(autouse=True)
def _results_stay() -> Iterator[None]:
    """Fail a test that writes its toy tables into RESULTS.md."""
    page = FOLDER / "RESULTS.md"
    before = page.read_bytes()
    yield
    after = page.read_bytes()
    if after != before:
        page.write_bytes(before)
    assert after == before, "a test wrote into RESULTS.md; what it wrote was taken back"
