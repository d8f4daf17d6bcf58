"""Files that cannot be read or written: errors of ours that say what to do, and nothing half written."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from record_builders import advice as advice_record

from regadvisor import Advice, RecordError, advise
from regadvisor.errors import DataError, ParameterError, StorageError
from regadvisor.search.store import opened, read_settings, write_settings
from regadvisor.writing import write_whole

resource = pytest.importorskip("resource")

X = np.random.default_rng(0).normal(size=(40, 2))


@contextmanager
def disk_with_room_for(n_bytes: int) -> Iterator[None]:
    """Inside, files cannot grow beyond `n_bytes`: what a full disk is to a program."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_file_that_cannot_be_finished_leaves_the_old_one_and_no_part(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_whole("old", path)
    words = r"path must be a file that can be written.*free some space"
    with pytest.raises(StorageError, match=words), disk_with_room_for(10_000):
        write_whole("new" * 100_000, path)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.json"]


@pytest.mark.parametrize("name", ["no/such/folder/a.json", "a\0b.json"])
def test_an_advice_says_why_it_cannot_be_written_or_read(tmp_path: Path, name: str) -> None:
    advice = Advice(advice_record())
    for write in (advice.to_json, advice.to_markdown):
        with pytest.raises(StorageError, match="path must be a file that can be written"):
            write(f"{tmp_path}/{name}")
    with pytest.raises(RecordError, match="path must be a readable advice file"):
        Advice.load(f"{tmp_path}/{name}")


def test_a_device_takes_what_comes_and_stays() -> None:
    Advice(advice_record()).to_json("/dev/null")
    assert not Path("/dev/null").is_file()
    assert not Path("/dev/null.part").exists()


def test_a_journal_on_a_full_disk_says_how_to_go_on(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    words = r"storage must be.*free some space.*--resume"
    with opened(path) as journal:
        journal.put("small", "known")
        with pytest.raises(StorageError, match=words) as caught, disk_with_room_for(30_000):
            journal.put("large", os.urandom(100_000))
        assert journal.get("large", bytes) is None
        journal.put("next", "there is room again")
    assert isinstance(caught.value.__cause__, sqlite3.Error)
    with opened(path) as journal:
        assert journal.get("small", str) == "known"
        assert journal.get("next", str) == "there is room again"


def test_a_journal_on_a_disk_that_was_full_before_says_so(tmp_path: Path) -> None:
    words = r"storage must be.*free some space"
    with pytest.raises(StorageError, match=words), disk_with_room_for(100):
        write_settings(tmp_path / "journal", {"effort": "quick", "folds": 2})
    assert read_settings(tmp_path / "journal") is None


@pytest.mark.parametrize("name", ["/dev/null", "pipe", "a\0b", "no/such/folder/journal"])
def test_a_journal_has_to_be_a_plain_file(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises((StorageError, ParameterError), match=r"storage must be a.*file.*; (give|make)"):
        advise(X, X[:, 0], storage=tmp_path / name, effort="quick", folds=2)


def test_a_path_to_data_with_nul_is_refused() -> None:
    with pytest.raises(DataError, match="path must name"):
        advise("a\0b.csv", "y")


def test_an_advice_is_never_as_large_as_this(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    with path.open("wb") as file:
        file.truncate(600_000_000)
    with pytest.raises(RecordError, match=r"got .*a.json' of more than 0.5 GB"):
        Advice.load(path)


SLOW = """
import sys, time, regadvisor
def wait(*args, **options):
    options["storage"].write_text("known")
    print("waiting", file=sys.stderr, flush=True)
    time.sleep(60)
regadvisor.advise = wait
from regadvisor.cli.main import main
main()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGTERM")
def test_a_terminated_run_says_how_to_go_on(tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text("a,y\n" + "1,2\n3,4\n" * 20)
    command = [sys.executable, "-c", SLOW, "advise", "d.csv", "--target", "y", "-o", "a.json"]
    run = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    assert run.stderr is not None
    assert run.stderr.readline() == "waiting\n"
    run.send_signal(signal.SIGTERM)
    _, said = run.communicate(timeout=60)
    assert run.returncode == 143
    assert said == (
        "error: terminated; what is known is saved in a.json.journal: run the same command with --resume\n"
    )
