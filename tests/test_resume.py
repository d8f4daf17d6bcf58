"""A run that was killed goes on where it was, and ends in the same record."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sklearn.datasets import load_breast_cancer, load_wine
from threadpoolctl import threadpool_limits

import regadvisor
from regadvisor import DataError, StorageError, advise
from regadvisor.families.linear import LinearFamily
from regadvisor.report.serial import without_timings

SCRIPT = """
import sys
from sklearn.datasets import load_breast_cancer
from regadvisor import advise
advise(*load_breast_cancer(return_X_y=True), effort="standard", storage=sys.argv[1])
"""


@pytest.mark.parametrize("model", ["linear", "mlp"])
@pytest.mark.parametrize("share", [0.2, 0.7, 0.97])
def test_a_journal_cut_anywhere_leads_to_the_same_record(model: str, share: float, tmp_path: Path) -> None:
    X, y = load_wine(return_X_y=True)
    journal = tmp_path / "run.journal"
    arguments = {"model": model, "effort": "quick", "storage": journal}
    whole = advise(X, y, **arguments).to_json()
    content = journal.read_bytes()
    journal.write_bytes(content[: int(share * len(content))])
    assert without_timings(advise(X, y, **arguments).to_json()) == without_timings(whole)


def test_a_finished_run_is_read_back_without_a_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = load_wine(return_X_y=True)
    whole = advise(X, y, effort="quick", storage=tmp_path / "run.journal").to_json()

    def train(*args: object, **kwargs: object) -> None:
        raise AssertionError("a finished fit was trained again")

    monkeypatch.setattr(LinearFamily, "train", train)
    again = advise(X, y, effort="quick", storage=tmp_path / "run.journal").to_json()
    assert without_timings(again) == without_timings(whole)


def test_killed_at_random_moments(tmp_path: Path) -> None:
    """SIGKILL a real process three times; what is left is continued, not begun again."""
    journal = tmp_path / "run.journal"
    chance = random.Random(0)
    sizes = []
    for _ in range(3):
        process = subprocess.Popen([sys.executable, "-c", SCRIPT, str(journal)])
        known = journal.stat().st_size if journal.exists() else 0
        while process.poll() is None and (journal.stat().st_size if journal.exists() else 0) <= known:
            time.sleep(0.01)
        time.sleep(chance.uniform(0.0, 0.3))
        process.send_signal(signal.SIGKILL)
        process.wait()
        sizes.append(journal.stat().st_size)
    assert sizes == sorted(sizes)
    X, y = load_breast_cancer(return_X_y=True)
    resumed = advise(X, y, effort="standard", storage=journal).to_json()
    assert without_timings(resumed) == without_timings(advise(X, y, effort="standard").to_json())


def test_a_journal_of_other_data_is_refused(tmp_path: Path) -> None:
    X, y = load_wine(return_X_y=True)
    advise(X, y, effort="quick", storage=tmp_path / "run.journal")
    with pytest.raises(StorageError, match=r"delete|remove|another"):
        advise(X[:-1], y[:-1], effort="quick", storage=tmp_path / "run.journal")


def test_other_thread_counts_give_the_same_outcome() -> None:
    X, y = load_breast_cancer(return_X_y=True)
    found = []
    for n_threads in (1, 2):
        with threadpool_limits(limits=n_threads):
            found.append(advise(X, y, effort="quick"))
    one, two = (advice.record for advice in found)
    assert one.walk.outcome == two.walk.outcome
    for strength in ("l1", "l2"):
        ours, theirs = (getattr(record.strength.on_sample, strength) for record in (one, two))
        assert ours == pytest.approx(theirs, rel=1e-2)


def test_errors_are_of_one_tree() -> None:
    assert issubclass(DataError, regadvisor.RegadvisorError)
    assert issubclass(StorageError, ValueError)
