"""A small part of what `make soak` tries."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SOAK = Path(__file__).parent.parent / "soak.py"


@pytest.mark.skipif(sys.platform != "linux", reason="what a process may use is limited as Linux does it")
def test_bad_disks_and_damaged_journals_lose_nothing() -> None:
    command = [sys.executable, str(SOAK), "--kills", "4", "--only", "files", "--seed", "7"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    said = done.stdout.splitlines()
    assert len(said) == 6
    assert said[-1] == "one value of the data changed before the resume: refused, with what differs"
