"""Every example runs as it stands and prints something."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

#: Examples of libraries that may not be there.
LIBRARIES = {"keras_model": "keras", "lightning_module": "lightning", "skorch_net": "skorch"}
#: Keras turns variables into arrays in a way that NumPy warns of.
_WARNINGS = ("-W", "error", "-W", "ignore:__array__ implementation:DeprecationWarning")
EXAMPLES = sorted((Path(__file__).parent.parent / "examples").glob("*.py"))


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 5


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example_runs(path: Path, tmp_path: Path) -> None:
    library = LIBRARIES.get(path.stem)
    if library is not None and find_spec(library) is None:
        pytest.skip(f"{library} is not installed")
    done = subprocess.run(
        [sys.executable, *_WARNINGS, str(path)], cwd=tmp_path, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
    assert not list(tmp_path.iterdir()), "an example wrote into the working directory"
