"""Resuming: whatever moment a run was killed at, the next one gives what an undisturbed one gives."""

from __future__ import annotations

import multiprocessing
import random
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from journal_files import copy_of, keep, n_stored, size, wal
from search_fakes import RidgeFamily, make_effort

from regadvisor.deadline import Deadline
from regadvisor.errors import StorageError
from regadvisor.families.base import Fit, Fold, Job
from regadvisor.regularizer import Regularizer
from regadvisor.search import journal
from regadvisor.search.identity import folds_digest
from regadvisor.search.journal import opened, read_settings, write_settings
from regadvisor.search.tune import Tuned, tune

FIT_FIELDS = ("losses", "train_losses", "zeroed", "epochs")


def run(path: Path | None, family: RidgeFamily | None = None, **changes: object) -> Tuned:
    family = family or RidgeFamily(noise=100.0)  # so that ranges are widened, too
    settings = {"seed": 5, "fingerprint": "abc", "deadline": Deadline.never(), **changes}
    return tune(family, family.prepared(), make_effort(), storage=path, **settings)  # type: ignore[arg-type]


def described(tuned: Tuned) -> list[tuple[object, ...]]:
    return [
        (
            trial.kind,
            trial.number,
            trial.fit.job,
            *(getattr(trial.fit, name).tobytes() for name in FIT_FIELDS),
            trial.fit.sum_lr,
            trial.fit.fit_s,
            trial.fit.converged,
            trial.fit.is_limit,
        )
        for trial in tuned.results.trials
    ]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, Tuned]:
    """The journal of an undisturbed run, and what a run without one gives."""
    path = tmp_path_factory.mktemp("whole") / "journal.log"
    run(path)
    return path.read_bytes(), run(None)


def test_a_journal_changes_nothing(whole: tuple[bytes, Tuned], tmp_path: Path) -> None:
    _, expected = whole
    path = tmp_path / "journal.log"
    assert described(run(path)) == described(expected)
    assert n_stored(path) == len(expected.results.trials)


def test_a_finished_run_is_read_and_not_trained(whole: tuple[bytes, Tuned], tmp_path: Path) -> None:
    content, expected = whole
    path = tmp_path / "journal.log"
    path.write_bytes(content)
    family = RidgeFamily(noise=100.0)
    again = run(path, family)
    assert family.trained == []
    assert again.n_resumed == len(expected.results.trials)
    assert described(again) == described(expected)
    assert path.read_bytes() == content


@pytest.mark.parametrize("n_fits", [0, 1, 2, 5, 12, 23])
def test_a_journal_of_any_number_of_fits_is_continued(
    whole: tuple[bytes, Tuned], tmp_path: Path, n_fits: int
) -> None:
    content, expected = whole
    path = tmp_path / "journal.log"
    path.write_bytes(content)
    keep(path, n_fits)
    family = RidgeFamily(noise=100.0)
    resumed = run(path, family)
    assert described(resumed) == described(expected)
    assert resumed.n_resumed == n_fits
    assert len(family.trained) == len(expected.results.trials) - n_fits
    assert n_stored(path) == len(expected.results.trials)


def test_a_log_cut_anywhere_is_continued(whole: tuple[bytes, Tuned], tmp_path: Path) -> None:
    """What lies beside the journal while a run is going may end at any byte."""
    path, moment = tmp_path / "journal.log", tmp_path / "moment"
    left: list[Path] = []

    def looks(job: Job) -> bool:
        if job.regularizer.kind == "elasticnet" and not left:
            left.append(copy_of(path, moment))
        return False

    run(path, RidgeFamily(noise=100.0, failing=looks))
    content, log = left[0].read_bytes(), wal(left[0]).read_bytes()
    assert n_stored(left[0]) == 3
    known = []
    for offset in [0, 1, 31, 32, 33, *np.linspace(100, len(log), 9).astype(int)]:
        path.write_bytes(content)
        wal(path).write_bytes(log[:offset])
        resumed = run(path)
        known.append(resumed.n_resumed)
        assert described(resumed) == described(whole[1])
        assert not wal(path).exists()
    assert known == sorted(known)
    assert (known[0], known[-1]) == (0, 3)


# --------------------------------------------------------------------------------------------- kills


def work(path: Path, done: Path) -> None:
    run(path, RidgeFamily(noise=100.0, pause_s=0.01, done=done))


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_a_run_killed_again_and_again_trains_no_finished_fit_twice(
    whole: tuple[bytes, Tuned], tmp_path: Path
) -> None:
    path, done = tmp_path / "journal.log", tmp_path / "done.txt"
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["search_fakes", "regadvisor.search.tune"])
    moments = random.Random(1)
    n_kills = 0
    for _ in range(30):
        before = size(path)
        process = context.Process(target=work, args=(path, done))
        process.start()
        while process.is_alive() and size(path) <= before:
            time.sleep(0.001)
        process.join(moments.uniform(0, 0.12))
        if process.exitcode is not None:
            break
        process.kill()
        process.join()
        n_kills += 1
    assert process.exitcode == 0
    assert n_kills >= 3
    finished = Counter(done.read_text().splitlines())
    assert set(finished.values()) == {1}
    family = RidgeFamily(noise=100.0)
    assert described(run(path, family)) == described(whole[1])
    assert family.trained == []
    assert not wal(path).exists()


def test_a_run_cut_by_its_deadline_is_completed(whole: tuple[bytes, Tuned], tmp_path: Path) -> None:
    path = tmp_path / "journal.log"
    first = run(path, RidgeFamily(noise=100.0, n_at_most=4))
    assert first.cut is not None
    second = run(path)
    assert second.cut is None
    assert second.n_resumed == len(first.results.trials)
    assert described(second) == described(whole[1])


def test_fits_that_did_not_converge_are_not_trained_again(tmp_path: Path) -> None:
    def is_weak(job: Job) -> bool:
        return 0 < sum(job.regularizer.strengths().values()) < 0.05

    path = tmp_path / "journal.log"
    first = run(path, RidgeFamily(failing=is_weak))
    family = RidgeFamily(failing=is_weak)
    second = run(path, family)
    assert first.results.n_excluded == second.results.n_excluded
    assert sum(first.results.n_excluded.values()) > 0
    assert family.trained == []
    assert described(first) == described(second)


def test_an_error_while_training_keeps_what_was_finished(whole: tuple[bytes, Tuned], tmp_path: Path) -> None:
    path = tmp_path / "journal.log"

    def fails_late(job: Job) -> bool:
        if job.regularizer.kind == "elasticnet":
            raise KeyboardInterrupt
        return False

    interrupted = run(path, RidgeFamily(noise=100.0, failing=fails_late))
    assert interrupted.is_interrupted
    assert set(interrupted.results.by_kind) == {"none", "l2", "l1"}
    resumed = run(path)
    assert resumed.n_resumed == 3
    assert described(resumed) == described(whole[1])


# --------------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("changes", "words"),
    [({"seed": 6}, "random_state was 5, now 6"), ({"fingerprint": "x"}, "fingerprint was 'abc', now 'x'")],
)
def test_another_run_is_refused(
    whole: tuple[bytes, Tuned], tmp_path: Path, changes: dict[str, object], words: str
) -> None:
    path = tmp_path / "journal.log"
    path.write_bytes(whole[0])
    with pytest.raises(StorageError, match=f"(?s)storage must be .*{words}.*delete the file"):
        run(path, **changes)
    assert path.read_bytes() == whole[0]


def test_another_effort_or_sample_is_refused(whole: tuple[bytes, Tuned], tmp_path: Path) -> None:
    path = tmp_path / "journal.log"
    path.write_bytes(whole[0])
    family = RidgeFamily()
    family.name = "other"
    with pytest.raises(StorageError, match="model was 'fake', now 'other'"):
        run(path, family)


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


def test_a_damaged_journal_is_refused(whole: tuple[bytes, Tuned], tmp_path: Path) -> None:
    content, _ = whole
    path = tmp_path / "journal.log"
    # The first fit that is asked for; one byte of it is another.
    packed_at = _packed_at(content, tmp_path)
    flipped = bytearray(content)
    flipped[packed_at + 200] ^= 1
    no_table = tmp_path / "no_table"
    with closing(sqlite3.connect(no_table)) as database:
        database.executescript(f"PRAGMA application_id={journal._MARK}; CREATE TABLE other (key)")
    for damaged in (
        bytes(flipped),
        content[: len(content) // 2],
        content[:8192] + bytes(len(content) - 8192),
        content[:100] + bytes(len(content) - 100),
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
    monkeypatch.setattr(journal, "_WAIT_S", 0.0)
    path = tmp_path / "journal.log"
    with opened(path), pytest.raises(StorageError, match="one run at a time"):
        run(path)
    assert len(run(path).results.trials) > 0


def test_a_run_that_is_just_ending_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "journal.log"
    held = opened(path)
    held.__enter__()
    timer = threading.Timer(0.2, held.__exit__, args=(None, None, None))
    timer.start()
    try:
        assert len(run(path).results.trials) > 0
    finally:
        timer.join()


def test_a_refused_run_does_not_unlock_the_journal_for_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Closing a file drops the locks that its process has on it: a lock of POSIX is lost like that."""
    monkeypatch.setattr(journal, "_WAIT_S", 0.0)
    path = tmp_path / "journal.log"
    other = f"from regadvisor.search.journal import *; opened({str(path)!r}).__enter__()"
    with opened(path) as held:
        held.put("settings", {"effort": "quick"})
        for _ in range(2):
            with pytest.raises(StorageError, match="one run at a time"):
                read_settings(path)
        refused = subprocess.run([sys.executable, "-c", other], capture_output=True, text=True, check=False)
    assert "one run at a time" in refused.stderr
    assert read_settings(path) == {"effort": "quick"}


def test_a_relative_path_is_taken_from_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run(Path("journal.log"))
    assert [entry.name for entry in tmp_path.iterdir()] == ["journal.log"]


# ------------------------------------------------------------------------------------------- settings


def test_settings_are_left_for_the_next_run(tmp_path: Path) -> None:
    path = tmp_path / "journal.log"
    assert read_settings(path) is None
    assert not path.exists()
    write_settings(path, {"effort": "quick", "n": 3, "budget_s": 0.1, "is_smallest": True})
    assert read_settings(path) == {"effort": "quick", "n": 3, "budget_s": 0.1, "is_smallest": True}
    run(path)
    write_settings(str(path), {"effort": "thorough"})
    assert read_settings(str(path)) == {"effort": "thorough"}
    family = RidgeFamily(noise=100.0)
    run(path, family)
    assert family.trained == []


def test_a_journal_without_settings_has_none(whole: tuple[bytes, Tuned], tmp_path: Path) -> None:
    path = tmp_path / "journal.log"
    path.write_bytes(whole[0])
    assert read_settings(path) is None
    path.write_bytes(b"")
    assert read_settings(path) is None


# --------------------------------------------------------------------------------------------- coding


@pytest.mark.parametrize("epochs", [None, np.array([1.0, 2.5])])
def test_a_fit_survives_to_the_last_bit(epochs: np.ndarray | None, tmp_path: Path) -> None:
    losses = np.array([0.1, np.nan, np.inf, -0.0, 5e-324, 1 / 3, np.pi * 1e300])
    fit = Fit(
        job=Job(regularizer=Regularizer(l2=0.1), seed=2**32 - 1),
        losses=losses,
        train_losses=np.array([1 / 7]),
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
        back = second.find("l2", fit.job, fit.folds)
        assert second.find("l1", fit.job, fit.folds) is None
        assert second.find("l2", fit.job, (0,)) is None
    assert back is not None
    for name in FIT_FIELDS:
        old, new = getattr(fit, name), getattr(back, name)
        assert (old is None) == (new is None)
        assert old is None or old.tobytes() == new.tobytes()
    for name in ("job", "converged", "is_limit", "sum_lr", "fit_s", "folds"):
        assert getattr(back, name) == getattr(fit, name)


def test_the_digest_tells_folds_apart() -> None:
    def folds(*splits: Sequence[Sequence[int]]) -> tuple[Fold, ...]:
        return tuple(
            Fold(train=np.array(a, dtype=np.intp), test=np.array(b, dtype=np.intp)) for a, b in splits
        )

    base = folds([[0, 1], [2]], [[2, 1], [0]])
    assert folds_digest(base) == folds_digest(folds([[0, 1], [2]], [[2, 1], [0]]))
    others = [folds([[0], [1, 2]], [[2, 1], [0]]), folds([[0, 1], [2]]), base[::-1]]
    assert len({folds_digest(made) for made in [base, *others]}) == 4
