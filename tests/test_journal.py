"""The file of a journal: what is refused and kept, who may use it, what comes back to the last bit."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from journal_files import copy_of, wal
from search_fakes import RidgeFamily, make_effort, planned

from regadvisor.deadline import Deadline
from regadvisor.errors import StorageError
from regadvisor.families.base import Fit, Job
from regadvisor.regularizer import Regularizer
from regadvisor.search import store
from regadvisor.search.results import Results
from regadvisor.search.store import opened, read_settings
from regadvisor.search.tune import tune


def run(path: Path) -> Results:
    family = RidgeFamily()
    settings = {"seed": 5, "fingerprint": "abc", "deadline": Deadline.never()}
    return tune(family, family.prepared(), planned(family, make_effort()), storage=path, **settings)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The journal of an undisturbed run."""
    path = tmp_path_factory.mktemp("whole") / "journal.log"
    run(path)
    return path.read_bytes()


@pytest.mark.parametrize(
    "content",
    [
        b"a,b\n1,2\n",
        b"a",
        b"{}\n",
        b"\n",
        b"\0",
        b"\0" * 5000,
        b"SQLite format 3\0" + b"\1" * 500,
        b'{"op_code":0,"study_name":"mine"}\n',
    ],
)
def test_a_file_that_is_no_journal_of_ours_is_refused_and_kept(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "data.csv"
    path.write_bytes(content)
    for attempt in (run, read_settings):
        with pytest.raises(
            StorageError, match=r"storage must be a new file or the journal.* something else;"
        ):
            attempt(path)
    assert path.read_bytes() == content


@pytest.mark.parametrize("mark", [None, int.from_bytes(b"REG\xff", "big")])
def test_a_journal_of_another_version_is_refused_and_kept(tmp_path: Path, mark: int | None) -> None:
    path = tmp_path / "journal.log"
    if mark is None:  # before SQLite
        path.write_text('{"op_code":0,"worker_id":"f-1","study_name":"regadvisor","directions":[1]}\n{"op')
    else:
        with closing(sqlite3.connect(path)) as database:
            database.executescript(f"PRAGMA application_id={mark}; CREATE TABLE journal (key, fit)")
    content = path.read_bytes()
    with pytest.raises(
        StorageError, match=r"journal\.log', which another version of regadvisor wrote; delete it"
    ):
        run(path)
    assert path.read_bytes() == content


@pytest.mark.parametrize("mode", ["WAL", "DELETE"])
def test_a_database_of_another_program_is_refused_and_not_one_byte_changes(tmp_path: Path, mode: str) -> None:
    """Not even what its own program has still to take in from the log beside it, as any visit would."""
    path = tmp_path / "mine.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.executescript(f"PRAGMA journal_mode={mode}; CREATE TABLE journal (key TEXT, value BLOB)")
        left = copy_of(path, tmp_path / "left")
    before = {part.name: part.read_bytes() for part in left.parent.iterdir()}
    with pytest.raises(StorageError, match="holds something else"):
        run(left)
    assert {part.name: part.read_bytes() for part in left.parent.iterdir()} == before


def test_a_damaged_journal_is_refused(whole: bytes, tmp_path: Path) -> None:
    path = tmp_path / "journal.log"
    flipped = bytearray(whole)
    flipped[_packed_at(whole, tmp_path) + 200] ^= 1
    no_table = tmp_path / "no_table"
    with closing(sqlite3.connect(no_table)) as database:
        database.executescript(f"PRAGMA application_id={store._MARK}; CREATE TABLE other (key)")
    for damaged in (
        bytes(flipped),
        whole[: len(whole) // 2],
        whole[:8192] + bytes(len(whole) - 8192),
        whole[:100] + bytes(len(whole) - 100),
        no_table.read_bytes(),
    ):
        path.write_bytes(damaged)
        with pytest.raises(StorageError, match=r"must be an undamaged journal.*delete the file"):
            run(path)


def _packed_at(content: bytes, folder: Path) -> int:
    """Where the first stored fit begins."""
    path = folder / "whole"
    path.write_bytes(content)
    with closing(sqlite3.connect(path)) as database:
        (packed,) = database.execute(
            "SELECT value FROM journal WHERE key LIKE '[\"none\"%' ORDER BY rowid"
        ).fetchone()
    return content.index(packed[:100])


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing" / "journal.log"):
        with pytest.raises(StorageError, match="storage must be a file that can be written"):
            run(path)


def test_two_runs_at_once_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "_WAIT_S", 0.0)
    path = tmp_path / "journal.log"
    with opened(path), pytest.raises(StorageError, match="one run at a time"):
        run(path)
    assert len(run(path).fits) > 0


def test_a_run_that_is_just_ending_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "journal.log"
    held = opened(path)
    held.__enter__()
    timer = threading.Timer(0.2, held.__exit__, args=(None, None, None))
    timer.start()
    try:
        assert len(run(path).fits) > 0
    finally:
        timer.join()


def test_the_log_of_a_killed_run_goes_with_its_journal(tmp_path: Path) -> None:
    """Who deletes the journal starts anew, though the log was left beside it."""
    with opened(tmp_path / "journal.log") as going_on:
        going_on.put("settings", {"effort": "quick"})
        killed = copy_of(tmp_path / "journal.log", tmp_path / "killed")
    assert wal(killed).stat().st_size > 0
    killed.unlink()
    with opened(killed) as anew:
        assert anew.get("settings", dict) is None
    assert not wal(killed).exists()


def test_a_journal_killed_while_its_log_was_taken_in_is_whole(tmp_path: Path) -> None:
    """Pages are taken in one by one; the first one already says how many there will be."""
    path = tmp_path / "journal.log"
    with opened(path) as going_on:
        for number in range(5):
            going_on.put(str(number), np.random.default_rng(number).bytes(10_000))
        killed = copy_of(path, tmp_path / "killed")
    before, log, after = killed.read_bytes(), wal(killed).read_bytes(), path.read_bytes()
    assert len(after) > len(before) + 40_000
    for n_bytes in range(0, len(after) + 1, 4096):
        killed.write_bytes(after[:n_bytes] + before[n_bytes:])
        wal(killed).write_bytes(log)
        with opened(killed) as resumed:
            for number in range(5):
                assert resumed.get(str(number), bytes) == np.random.default_rng(number).bytes(10_000)


def test_a_refused_run_does_not_unlock_the_journal_for_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Closing a file drops the locks that its process has on it: a lock of POSIX is lost like that."""
    monkeypatch.setattr(store, "_WAIT_S", 0.0)
    path = tmp_path / "journal.log"
    other = f"from regadvisor.search.store import *; opened({str(path)!r}).__enter__()"
    with opened(path) as held:
        held.put("settings", {"effort": "quick"})
        for _ in range(2):
            with pytest.raises(StorageError, match="one run at a time"):
                read_settings(path)
        refused = subprocess.run([sys.executable, "-c", other], capture_output=True, text=True, check=False)
    assert "one run at a time" in refused.stderr
    assert read_settings(path) == {"effort": "quick"}


# --------------------------------------------------------------------------------------------- coding


@pytest.mark.parametrize("epochs", [None, np.array([1.0, 2.5])])
def test_a_fit_survives_to_the_last_bit(epochs: np.ndarray | None, tmp_path: Path) -> None:
    losses = np.array([0.1, np.nan, np.inf, -0.0, 5e-324, 1 / 3, np.pi * 1e300])
    fit = Fit(
        job=Job(regularizer=Regularizer(l2=0.1), seed=2**32 - 1),
        losses=losses,
        train_losses=np.array([1 / 7] if epochs is None else [1 / 7, 2.0]),
        zeroed=np.zeros(0),
        converged=np.False_,  # type: ignore[arg-type]
        is_limit=True,
        epochs=epochs,
        sum_lr=None if epochs is None else np.float64(0.1 + 0.2),
        fit_s=1e-9 / 3,
        folds=None if epochs is None else (0, 3),
    )
    with opened(tmp_path / "journal.log") as first:
        first.append("l2", fit)
    with opened(tmp_path / "journal.log") as second:
        whole = RidgeFamily().prepared()
        like = replace(whole, n_rows=7, folds=whole.folds[: len(fit.train_losses)])
        back = second.find("l2", fit.job, fit.folds, like)
        assert second.find("l1", fit.job, fit.folds, like) is None
        assert second.find("l2", fit.job, (0,), like) is None
        for other in (replace(like, n_rows=8), replace(like, folds=())):
            with pytest.raises(StorageError, match="a fit is not what it is called"):
                second.find("l2", fit.job, fit.folds, other)
    assert back is not None
    for name in ("losses", "train_losses", "zeroed", "epochs"):
        old, new = getattr(fit, name), getattr(back, name)
        assert (old is None) == (new is None)
        assert old is None or old.tobytes() == new.tobytes()
    for name in ("job", "converged", "is_limit", "sum_lr", "fit_s", "folds"):
        assert getattr(back, name) == getattr(fit, name)


@pytest.mark.parametrize("value", ["'text'", "5", "1.5", "x''"])
def test_what_is_no_fit_or_that_of_another_job_is_damage(whole: bytes, tmp_path: Path, value: str) -> None:
    path = tmp_path / "journal.log"
    others = "(SELECT value FROM journal WHERE key LIKE '[\"l2\"%' ORDER BY rowid LIMIT 1)"
    for instead in (value, others):
        path.write_bytes(whole)
        with closing(sqlite3.connect(path)) as database:
            database.execute(f"UPDATE journal SET value = {instead} WHERE key LIKE '[\"none\"%'")
            database.commit()
        with pytest.raises(StorageError, match="must be an undamaged journal"):
            run(path)
