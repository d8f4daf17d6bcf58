"""What the soak does to files: damage, full and closed disks, two runs at once, clocks, other data."""

from __future__ import annotations

import os
import random
import resource
import signal
import sys
import time
from collections import Counter
from pathlib import Path

sys.path.append(str(Path(__file__).parent.parent / "tests"))

from journal_files import wal
from rounding import assert_same_records
from soak_runs import Case, Child, advised, told


def files(base: Path, chance: random.Random, n_times: int) -> list[tuple[str, str]]:
    """Damage, full and read-only disks, two runs at once, clocks, data that changed."""
    whole = Case.undisturbed("linear", base / "files" / "whole")
    return [
        torn(whole, chance, n_times),
        full(whole, chance, n_times),
        read_only(whole),
        two_at_once(whole),
        clock_set_back(whole, chance),
        data_changed(whole),
    ]


def killed(case: Case, chance: random.Random) -> None:
    """Leave what a run that was killed after its first fits leaves."""
    child = case.child()
    while not child.is_over and len(case.told) < 3:
        time.sleep(0.005)
    time.sleep(chance.uniform(0.0, 0.1))
    child.end(signal.SIGKILL)


def torn(whole: Case, chance: random.Random, n_times: int) -> tuple[str, str]:
    """Cut the journal or the log beside it, or flip bits: the same advice, or an error that names it."""
    said: Counter[str] = Counter()
    for number in range(n_times):
        case = whole.anew(f"torn-{number}")
        killed(case, chance)
        parts = [part for part in (case.journal, wal(case.journal)) if part.exists() and part.stat().st_size]
        part = chance.choice(parts)
        content = bytearray(part.read_bytes())
        if chance.random() < 0.5:
            del content[chance.randrange(len(content)) :]
        for _ in range(chance.choice([0, 1, 20])):
            if content:
                content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        part.write_bytes(content)
        child = case.child()
        code, error = child.end(), (case.folder / "errors").read_text()
        if code == 0:
            assert_same_records((case.folder / "advice.json").read_text(), whole.expected)
            said["resumed with the same advice"] += 1
        else:
            assert code == 3, error
            assert "storage must be" in error, error
            said["refused, with the file and what to do"] += 1
    counts = ", ".join(f"{n} {what}" for what, n in said.items())
    return told(f"journal of a killed run cut or bits flipped, {n_times} times", f"{counts}; no other advice")


def full(whole: Case, chance: random.Random, n_times: int) -> tuple[str, str]:
    """A disk that is full at a random moment."""
    largest, n_full = whole.journal.stat().st_size, 0
    for number in range(n_times):
        case = whole.anew(f"full-{number}")
        room = chance.randrange(largest)

        def limited(case: Case = case, room: int = room) -> None:
            # Python ignores SIGXFSZ, so writing fails as on a full disk.
            resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))
            advised(case.model, case.folder)

        code, error = case.child(limited).end(), (case.folder / "errors").read_text()
        if code:
            assert code == 3, error
            assert "free some space" in error, error
            n_full += 1
        case.goes_on(lost=0)
    return told(
        f"disk full at {n_times} random sizes",
        f"{n_full} times an error that says so, then resumed: the same advice",
    )


def read_only(whole: Case) -> tuple[str, str]:
    case = whole.anew("read-only")
    case.folder.chmod(0o777)
    inside = case.folder / "closed"
    inside.mkdir(0o555)

    def as_nobody() -> None:
        from sklearn.datasets import load_breast_cancer

        from regadvisor import advise

        X, y = load_breast_cancer(return_X_y=True)
        advise(X, y, storage=case.journal, effort="quick")  # loads what others may not be allowed to read
        if os.getuid() == 0:
            os.setuid(65534)
        advise(X, y, storage=inside / "run.journal", effort="quick")

    child = case.child(as_nobody)
    code, error = child.end(), (case.folder / "errors").read_text()
    assert code == 3, error
    assert "storage must be a file that can be written" in error, error
    assert not list(inside.iterdir())
    return told(
        "journal in a folder that cannot be written", "refused before anything is trained, with the reason"
    )


def two_at_once(whole: Case) -> tuple[str, str]:
    """The second of two runs, also while the first is stopped (a stale lock); and after its kill."""
    case = whole.anew("two")
    first = case.child()
    while not case.told:
        time.sleep(0.01)
    os.kill(first.pid, signal.SIGSTOP)
    second = Child(lambda: advised(case.model, case.folder), case.folder / "errors-2")
    code, error = second.end(), (case.folder / "errors-2").read_text()
    assert code == 3, error
    assert "one run at a time" in error, error
    first.end(signal.SIGKILL)
    case.goes_on()
    return told(
        "two runs on one journal, the first one stopped",
        "the second is refused; after a kill of the first: the same advice",
    )


def clock_set_back(whole: Case, chance: random.Random) -> tuple[str, str]:
    case = whole.anew("clock")
    killed(case, chance)
    for part in (case.journal, wal(case.journal)):
        if part.exists():
            os.utime(part, (2e9, 2e9))  # from the future

    def a_day_ago() -> None:
        now = time.time
        time.time = lambda: now() - 86_400.0
        advised(case.model, case.folder)

    before = case.stored
    (case.folder / "stored.txt").unlink()
    case.child(a_day_ago).run()
    assert_same_records((case.folder / "advice.json").read_text(), whole.expected)
    assert not before & set(case.told)
    return told("clock set back a day before the resume", "the same advice; no fit made again")


def data_changed(whole: Case) -> tuple[str, str]:
    from sklearn.datasets import load_breast_cancer

    case = whole.anew("changed")
    case.child().run()
    X, y = load_breast_cancer(return_X_y=True)
    X[7, 3] += 1.0
    child = case.child(lambda: advised(case.model, case.folder, data=(X, y)))
    code, error = child.end(), (case.folder / "errors").read_text()
    assert code == 3, error
    assert "same data" in error, error
    return told("one value of the data changed before the resume", "refused, with what differs")
