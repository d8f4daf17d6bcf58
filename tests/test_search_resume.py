"""Resuming: whatever moment a run was killed at, the next one gives what an undisturbed one gives."""

from __future__ import annotations

import multiprocessing
import random
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
from journal_files import copy_of, keep, n_stored, size, wal
from search_fakes import RidgeFamily, make_effort, planned
from sklearn.linear_model import Ridge
from sklearn.preprocessing import FunctionTransformer

from regadvisor.deadline import Deadline
from regadvisor.errors import StorageError
from regadvisor.families.base import Fold, Job
from regadvisor.search.results import Results
from regadvisor.search.store import read_settings, write_settings
from regadvisor.search.tune import folds_digest, identity, tune

FIT_FIELDS = ("losses", "train_losses", "zeroed", "epochs")


def run(path: Path | None, family: RidgeFamily | None = None, **changes: object) -> Results:
    family = family or RidgeFamily(noise=100.0)  # so that the best lies on the edge, and the search moves on
    settings = {"seed": 5, "fingerprint": "abc", "deadline": Deadline.never(), **changes}
    return tune(family, family.prepared(), planned(family, make_effort()), storage=path, **settings)  # type: ignore[arg-type]


def described(tuned: Results) -> list[tuple[object, ...]]:
    return [
        (
            fit.job,
            *(getattr(fit, name).tobytes() for name in FIT_FIELDS),
            fit.sum_lr,
            fit.fit_s,
            fit.converged,
            fit.is_limit,
        )
        for fit in tuned.fits
    ]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, Results]:
    """The journal of an undisturbed run, and what a run without one gives."""
    path = tmp_path_factory.mktemp("whole") / "journal.log"
    run(path)
    return path.read_bytes(), run(None)


def test_a_journal_changes_nothing(whole: tuple[bytes, Results], tmp_path: Path) -> None:
    _, expected = whole
    path = tmp_path / "journal.log"
    assert described(run(path)) == described(expected)
    assert n_stored(path) == len(expected.fits)


def test_a_finished_run_is_read_and_not_trained(whole: tuple[bytes, Results], tmp_path: Path) -> None:
    content, expected = whole
    path = tmp_path / "journal.log"
    path.write_bytes(content)
    family = RidgeFamily(noise=100.0)
    again = run(path, family)
    assert family.trained == []
    assert described(again) == described(expected)
    assert path.read_bytes() == content


@pytest.mark.parametrize("n_fits", [0, 1, 2, 5, 12, 23])
def test_a_journal_of_any_number_of_fits_is_continued(
    whole: tuple[bytes, Results], tmp_path: Path, n_fits: int
) -> None:
    content, expected = whole
    path = tmp_path / "journal.log"
    path.write_bytes(content)
    keep(path, n_fits)
    family = RidgeFamily(noise=100.0)
    resumed = run(path, family)
    assert described(resumed) == described(expected)
    assert len(family.trained) == len(expected.fits) - n_fits
    assert n_stored(path) == len(expected.fits)


def test_a_log_cut_anywhere_is_continued(whole: tuple[bytes, Results], tmp_path: Path) -> None:
    """What lies beside the journal while a run is going may end at any byte."""
    path, moment = tmp_path / "journal.log", tmp_path / "moment"
    left: list[Path] = []

    def looks(job: Job) -> bool:
        if job.kind == "elasticnet" and not left:
            left.append(copy_of(path, moment))
        return False

    run(path, RidgeFamily(noise=100.0, failing=looks))
    content, log = left[0].read_bytes(), wal(left[0]).read_bytes()
    assert n_stored(left[0]) == 3
    known = []
    for offset in [0, 1, 31, 32, 33, *np.linspace(100, len(log), 9).astype(int)]:
        path.write_bytes(content)
        wal(path).write_bytes(log[:offset])
        family = RidgeFamily(noise=100.0)
        assert described(run(path, family)) == described(whole[1])
        known.append(len(whole[1].fits) - len(family.trained))
        assert not wal(path).exists()
    assert known == sorted(known)
    assert (known[0], known[-1]) == (0, 3)


# --------------------------------------------------------------------------------------------- kills


def work(path: Path, done: Path) -> None:
    run(path, RidgeFamily(noise=100.0, pause_s=0.01, done=done))


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
@pytest.mark.slow
def test_a_run_killed_again_and_again_trains_no_finished_fit_twice(
    whole: tuple[bytes, Results], tmp_path: Path
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


def test_a_run_cut_by_its_deadline_is_completed(whole: tuple[bytes, Results], tmp_path: Path) -> None:
    path = tmp_path / "journal.log"
    first = run(path, RidgeFamily(noise=100.0, n_at_most=4))
    assert first.cut is not None
    family = RidgeFamily(noise=100.0)
    second = run(path, family)
    assert second.cut is None
    assert len(family.trained) == len(second.fits) - len(first.fits)
    assert described(second) == described(whole[1])


def test_fits_that_did_not_converge_are_not_trained_again(tmp_path: Path) -> None:
    def is_weak(job: Job) -> bool:
        return 0 < sum(job.regularizer.strengths().values()) < 0.05

    path = tmp_path / "journal.log"
    first = run(path, RidgeFamily(failing=is_weak))
    family = RidgeFamily(failing=is_weak)
    second = run(path, family)
    assert first.n_excluded == second.n_excluded
    assert sum(first.n_excluded.values()) > 0
    assert family.trained == []
    assert described(first) == described(second)


def test_an_error_while_training_keeps_what_was_finished(
    whole: tuple[bytes, Results], tmp_path: Path
) -> None:
    path = tmp_path / "journal.log"

    def fails_late(job: Job) -> bool:
        if job.kind == "elasticnet":
            raise KeyboardInterrupt
        return False

    interrupted = run(path, RidgeFamily(noise=100.0, failing=fails_late))
    assert interrupted.cut is not None
    assert interrupted.cut.startswith("Ctrl-C came")
    assert set(interrupted.by_kind) == {"none", "l2", "l1"}
    family = RidgeFamily(noise=100.0)
    assert described(run(path, family)) == described(whole[1])
    assert len(family.trained) == len(whole[1].fits) - 3


# --------------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("changes", "words"),
    [({"seed": 6}, "random_state was 5, now 6"), ({"fingerprint": "x"}, "fingerprint was 'abc', now 'x'")],
)
def test_another_run_is_refused(
    whole: tuple[bytes, Results], tmp_path: Path, changes: dict[str, object], words: str
) -> None:
    path = tmp_path / "journal.log"
    path.write_bytes(whole[0])
    with pytest.raises(StorageError, match=f"(?s)storage must be .*{words}.*delete the file"):
        run(path, **changes)
    assert path.read_bytes() == whole[0]


def test_another_effort_or_sample_is_refused(whole: tuple[bytes, Results], tmp_path: Path) -> None:
    path = tmp_path / "journal.log"
    path.write_bytes(whole[0])
    family = RidgeFamily()
    family.name = "other"
    with pytest.raises(StorageError, match="model was 'fake', now 'other'"):
        run(path, family)


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


def test_a_journal_without_settings_has_none(whole: tuple[bytes, Results], tmp_path: Path) -> None:
    path = tmp_path / "journal.log"
    path.write_bytes(whole[0])
    assert read_settings(path) is None
    path.write_bytes(b"")
    assert read_settings(path) is None


# ------------------------------------------------------------------------------------------ whose it is


def test_what_two_runs_must_share_is_named() -> None:
    family = RidgeFamily()
    prepared = family.prepared()
    known = identity(family, prepared, "quick", 5, "abc")  # type: ignore[arg-type]
    assert known == {
        "model": "fake",
        "recipe": "None",
        "module": "None",
        "effort": "quick",
        "random_state": 5,
        "rows": prepared.n_rows,
        "folds": folds_digest(prepared.folds),
        "fingerprint": "abc",
    }
    family.recipe, family.model = Recipe(), "a name"  # type: ignore[attr-defined]
    said = identity(family, prepared, "quick", 5, "abc")  # type: ignore[arg-type]
    assert said["recipe"] == "Recipe(rate=0.1, sizes=(3, 4), inner=Ridge(alpha=2.0), loss=None)"
    assert said["module"] == "a name"


@dataclass
class Recipe:
    rate: float = 0.1
    sizes: tuple[int, ...] = (3, 4)
    inner: Ridge = field(default_factory=lambda: Ridge(alpha=2.0))
    loss: Callable[[float], float] | None = None


def test_a_module_is_known_by_its_layers_and_a_function_by_its_name_and_its_code() -> None:
    def described(value: object) -> object:
        family = RidgeFamily()
        family.model = value  # type: ignore[attr-defined]
        return identity(family, family.prepared(), "quick", 5, "")["module"]  # type: ignore[arg-type]

    class Module:
        def __repr__(self) -> str:
            return f"Module(act={object.__repr__(self)})"

    assert described(Module()) == described(Module())
    assert described(Module()) == f"Module(act=<{__name__}.{Module.__qualname__} object>)"

    def loss(x: float) -> float:
        return x

    one = loss

    def loss(x: float) -> float:  # type: ignore[no-redef]
        return 2 * x

    assert str(described(one)).startswith(f"{__name__}.test_a_module_is_known")
    assert described(one) != described(loss)
    assert described(replace(Recipe(), loss=one)) != described(replace(Recipe(), loss=loss))
    steps = [FunctionTransformer(func=each) for each in (one, loss)]
    assert described(steps[0]) != described(steps[1])


def test_folds_are_the_same_only_if_every_fold_trains_and_tests_the_same_rows() -> None:
    def digest(*sides: tuple[list[int], list[int]], dtype: type = np.int64) -> str:
        return folds_digest([Fold(train=np.array(a, dtype), test=np.array(b, dtype)) for a, b in sides])

    found = digest(([0, 1], [2]), ([2], [0, 1]))
    assert found == "37911be1cfb3556d", "journals on disk hold it"
    assert found == digest(([0, 1], [2]), ([2], [0, 1]), dtype=np.int32)
    others = [(([0], [1, 2]), ([2], [0, 1])), (([2], [0, 1]), ([0, 1], [2])), (([1, 0], [2]), ([2], [0, 1]))]
    assert len({found, *(digest(*sides) for sides in others)}) == 4
