"""A run that is killed goes on where it was."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from journal_files import n_stored, size
from rounding import assert_same_records
from sklearn.datasets import load_breast_cancer

from regadvisor import advise

SCRIPT = """
import sys
from sklearn.datasets import load_breast_cancer
from regadvisor import advise
advise(*load_breast_cancer(return_X_y=True), effort="standard", storage=sys.argv[1])
"""


def test_killed_at_random_moments(tmp_path: Path) -> None:
    """SIGKILL a real process three times; what is left is continued, not begun again."""
    journal = tmp_path / "run.journal"
    chance = random.Random(0)
    known = []
    for _ in range(3):
        process = subprocess.Popen([sys.executable, "-c", SCRIPT, str(journal)])
        before = size(journal)
        while process.poll() is None and size(journal) <= before:
            time.sleep(0.01)
        time.sleep(chance.uniform(0.0, 0.3))
        process.send_signal(signal.SIGKILL)
        process.wait()
        known.append(n_stored(journal))
    assert known == sorted(known)
    assert known[-1] > 0
    X, y = load_breast_cancer(return_X_y=True)
    resumed = advise(X, y, effort="standard", storage=journal).to_json()
    assert_same_records(resumed, advise(X, y, effort="standard").to_json())
