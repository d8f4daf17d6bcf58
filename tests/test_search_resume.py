"""Resuming: whatever moment a run was killed at, the next one gives what an undisturbed one gives."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import optuna
import pytest
from search_fakes import RidgeFamily, make_effort

from regadvisor.deadline import Deadline
from regadvisor.errors import StorageError
from regadvisor.families.base import Fit, Fold, Job
from regadvisor.regularizer import Regularizer
from regadvisor.search import journal
from regadvisor.search.log import read_settings, write_settings
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


def n_stored(content: bytes) -> int:
    """Whole lines that create a trial."""
    lines = content.split(b"\n")
    whole_last = [lines[-1]] if lines[-1].endswith(b"}}") and journal._is_entry(lines[-1]) else []
    return sum(line.startswith(b'{"op_code":4') for line in lines[:-1] + whole_last)


def test_a_journal_changes_nothing(whole: tuple[bytes, Tuned], tmp_path: Path) -> None:
    content, expected = whole
    path = tmp_path / "journal.log"
    assert described(run(path)) == described(expected)
    assert n_stored(content) == len(expected.results.trials)


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


def test_optuna_reads_the_journal(whole: tuple[bytes, Tuned], tmp_path: Path) -> None:
    path = tmp_path / "journal.log"
    path.write_bytes(whole[0])
    backend = optuna.storages.journal.JournalFileBackend(str(path))
    storage = optuna.storages.JournalStorage(backend)
    tuned = whole[1].results
    for kind, fits in tuned.by_kind.items():
        study = optuna.load_study(study_name=kind, storage=storage)
        told = {trial.user_attrs["number"]: trial for trial in study.trials}
        for number, fit in enumerate(fits):
            assert told[number].params == fit.job.regularizer.strengths()
            assert told[number].value == tuned.mean_loss(fit.losses)


def cut_at(content: bytes, offset: int, expected: Tuned, path: Path) -> None:
    """Leave what a kill after `offset` bytes leaves, resume twice, and compare."""
    path.write_bytes(content[:offset])
    family = RidgeFamily(noise=100.0)
    resumed = run(path, family)
    assert described(resumed) == described(expected)
    assert resumed.n_resumed == n_stored(content[:offset])
    assert len(family.trained) == len(expected.results.trials) - resumed.n_resumed
    assert n_stored(path.read_bytes()) == len(expected.results.trials)
    assert all(json.loads(line) for line in path.read_bytes().splitlines())


def test_a_journal_cut_anywhere_is_continued(whole: tuple[bytes, Tuned], tmp_path: Path) -> None:
    content, expected = whole
    ends = [i + 1 for i, byte in enumerate(content) if byte == ord("\n")]
    torn = np.random.default_rng(0).integers(0, len(content), 15).tolist()
    for offset in [0, 1, 9, 30, *ends[:6], *ends[6::7], *torn]:
        cut_at(content, offset, expected, tmp_path / "journal.log")


def test_the_last_line_is_repaired_at_every_offset(whole: tuple[bytes, Tuned], tmp_path: Path) -> None:
    content, _ = whole
    path = tmp_path / "journal.log"
    start = content.rstrip(b"\n").rfind(b"\n") + 1
    n = len(content)
    for offset in [*range(start, start + 20), *range(start + 20, n - 20, 17), *range(n - 20, n + 1)]:
        path.write_bytes(content[:offset])
        removed = journal.repair(path)
        is_whole = offset >= len(content) - 1
        assert path.read_bytes() == (content if is_whole else content[:start])
        assert removed == (0 if is_whole else offset - start)
    cut_at(content, start + 1, whole[1], path)
    cut_at(content, len(content) - 2, whole[1], path)
    cut_at(content, len(content) - 1, whole[1], path)


def test_a_last_line_of_rubbish_with_an_end_is_removed(whole: tuple[bytes, Tuned], tmp_path: Path) -> None:
    content, expected = whole
    path = tmp_path / "journal.log"
    path.write_bytes(content + b"\0" * 100 + b"\n")
    assert described(run(path)) == described(expected)
    assert path.read_bytes() == content


def test_lines_longer_than_a_block_are_found(tmp_path: Path) -> None:
    first = (
        json.dumps({"op_code": 0, "study_name": journal.MAIN_STUDY}, separators=(",", ":")).encode() + b"\n"
    )
    second = b'{"op_code":4,"x":"' + b"y" * 200_000
    path = tmp_path / "journal.log"
    path.write_bytes(first + second)
    assert journal.repair(path) == len(second)
    assert path.read_bytes() == first
    path.write_bytes(first + second + b'"}\n')
    assert journal.repair(path) == 0


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
        size = path.stat().st_size if path.exists() else 0
        process = context.Process(target=work, args=(path, done))
        process.start()
        while process.is_alive() and (not path.exists() or path.stat().st_size == size):
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
    "content", [b"a,b\n1,2\n", b"a", b"{}\n", b'{"op_code":0,"study_name":"mine"}\n', b"\n", b"\0"]
)
def test_a_file_that_is_no_journal_of_ours_is_refused_and_kept(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "data.csv"
    path.write_bytes(content)
    for attempt in (run, read_settings):
        with pytest.raises(StorageError, match="storage must be a new file or the journal of an earlier"):
            attempt(path)
    assert path.read_bytes() == content


def test_a_journal_of_another_program_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "optuna.log"
    backend = optuna.storages.journal.JournalFileBackend(str(path))
    storage = optuna.storages.JournalStorage(backend)
    storage.create_new_study([optuna.study.StudyDirection.MINIMIZE], "mine")
    with pytest.raises(StorageError, match="holds something else"):
        run(path)


def test_a_damaged_journal_is_refused(whole: tuple[bytes, Tuned], tmp_path: Path) -> None:
    path = tmp_path / "journal.log"
    lines = whole[0].splitlines(keepends=True)
    rubbish = b'{"op_code":4,"stud\n'
    packed = lines[5].replace(b'"losses":"', b'"losses":"?')
    assert packed != lines[5]
    for damaged in (
        [*lines[:5], rubbish, *lines[6:]],
        [*lines, rubbish, rubbish],
        [*lines, b'{"op_code":99,"worker_id":"x"}\n'],
        [*lines, b'{"op_code":4,"worker_id":"x","study_id":1}\n'],
        [*lines[:5], packed, *lines[6:]],
    ):
        path.write_bytes(b"".join(damaged))
        with pytest.raises(StorageError, match=r"must be an undamaged journal.*delete the file"):
            run(path)


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing" / "journal.log"):
        with pytest.raises(StorageError, match="storage must be a file that can be written"):
            run(path)


@pytest.mark.skipif(sys.platform == "win32", reason="no file locks there")
def test_two_runs_at_once_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "_LOCK_WAIT_S", 0.0)
    path = tmp_path / "journal.log"
    with journal.exclusive(path), pytest.raises(StorageError, match="one run at a time"):
        run(path)
    assert len(run(path).results.trials) > 0


@pytest.mark.skipif(sys.platform == "win32", reason="no file locks there")
def test_a_run_that_is_just_ending_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "journal.log"
    held = journal.exclusive(path)
    held.__enter__()
    timer = threading.Timer(0.2, held.__exit__, args=(None, None, None))
    timer.start()
    try:
        assert len(run(path).results.trials) > 0
    finally:
        timer.join()


def test_the_lock_file_of_a_killed_optuna_does_not_block(tmp_path: Path) -> None:
    path = tmp_path / "journal.log"
    os.symlink(path, f"{path}.lock")
    assert len(run(path).results.trials) > 0


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
    write_settings(path, {"effort": "quick", "n": 3, "budget_s": 0.1})
    assert read_settings(path) == {"effort": "quick", "n": 3, "budget_s": 0.1}
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
    path.write_bytes(b'{"op_co')
    assert read_settings(path) is None


# --------------------------------------------------------------------------------------------- coding


@pytest.mark.parametrize("epochs", [None, np.array([1.0, 2.5])])
def test_a_fit_survives_to_the_last_bit(epochs: np.ndarray | None) -> None:
    losses = np.array([0.1, np.nan, np.inf, -0.0, 5e-324, 1 / 3, np.pi * 1e300])
    fit = Fit(
        job=Job(regularizer=Regularizer(l2=0.1), seed=2**32 - 1),
        losses=losses,
        train_losses=np.array([1 / 7]),
        zeroed=np.zeros(0),
        converged=False,
        is_limit=True,
        epochs=epochs,
        sum_lr=None if epochs is None else 0.1 + 0.2,
        fit_s=1e-9 / 3,
    )
    text = json.dumps(journal.encode_fit(fit), allow_nan=False)
    back = journal.decode_fit(json.loads(text), fit.job)
    for name in FIT_FIELDS:
        old, new = getattr(fit, name), getattr(back, name)
        assert (old is None) == (new is None)
        assert old is None or old.tobytes() == new.tobytes()
    for name in ("job", "converged", "is_limit", "sum_lr", "fit_s"):
        assert getattr(back, name) == getattr(fit, name)


def test_the_digest_tells_folds_apart() -> None:
    def folds(*splits: Sequence[Sequence[int]]) -> tuple[Fold, ...]:
        return tuple(
            Fold(train=np.array(a, dtype=np.intp), test=np.array(b, dtype=np.intp)) for a, b in splits
        )

    base = folds([[0, 1], [2]], [[2, 1], [0]])
    assert journal.folds_digest(base) == journal.folds_digest(folds([[0, 1], [2]], [[2, 1], [0]]))
    others = [folds([[0], [1, 2]], [[2, 1], [0]]), folds([[0, 1], [2]]), base[::-1]]
    assert len({journal.folds_digest(made) for made in [base, *others]}) == 4
