"""Calls in a process of their own: whatever happens there, the caller goes on and is told."""

from __future__ import annotations

import math
import multiprocessing
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from apart_jobs import (
    crashing,
    deaf,
    failing,
    failing_oddly,
    hungry,
    interrupted,
    refused_in_a_daemon,
    sleeping,
    told,
    told_to_a_closed_pipe,
)
from rounding import assert_same_records
from sklearn.datasets import load_wine

from regadvisor import DataError, ParameterError, advise
from regadvisor.data.table import MOST_CELLS
from regadvisor.evidence.gather import most_rows
from regadvisor.scale.apart import IsolatedError, check_memory_limit, memory_bytes, run_apart


class Limit:
    """A second from the first word on: how long a process takes to start is not asked here."""

    ends_s = math.inf

    def progress(self, stage: str, share: float) -> None:
        self.ends_s = time.monotonic() + 1.0

    def left_s(self) -> float:
        return self.ends_s - time.monotonic()


def NEVER() -> float:  # noqa: N802
    return math.inf


def test_the_result_and_the_progress_come_back() -> None:
    seen: list[tuple[str, float]] = []
    x, pid = run_apart(told, {"x": 1}, left_s=NEVER, progress=lambda *said: seen.append(said))
    assert x == 2
    assert pid != os.getpid()
    assert seen == [("half", 0.5)]


def test_errors_come_back_as_they_are_or_in_words() -> None:
    with pytest.raises(DataError, match="X must be a table"):
        run_apart(failing, {"error": DataError("X must be a table")}, left_s=NEVER)
    with pytest.raises(RuntimeError, match="OwnError: 1 and 2"):
        run_apart(failing_oddly, {}, left_s=NEVER)


def test_errors_of_the_system_are_no_death_of_the_process() -> None:
    with pytest.raises(FileNotFoundError, match="of the model"):
        run_apart(failing, {"error": FileNotFoundError("of the model")}, left_s=NEVER)
    with pytest.raises(BrokenPipeError, match="of the caller"):
        run_apart(told, {"x": 1}, left_s=NEVER, progress=told_to_a_closed_pipe)


def test_a_daemon_may_start_no_process_and_an_executor_of_this_process_stays_here() -> None:
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    process = context.Process(target=refused_in_a_daemon, args=(answers,), daemon=True)
    process.start()
    said = [answers.get(timeout=120) for _ in range(2)]
    process.join()
    assert all("must be left out in a daemon process" in text for text in said)
    X, y = load_wine(return_X_y=True)
    with (
        ThreadPoolExecutor(1) as pool,
        pytest.raises(ParameterError, match=r"executor must be None, .* with"),
    ):
        advise(X, y, isolate=True, executor=pool)
    with pytest.raises(ParameterError, match="executor must be open, got one that was shut down"):
        advise(X, y, effort="quick", executor=pool)


def test_what_takes_too_long_is_asked_for_the_best_so_far() -> None:
    limit = Limit()
    assert run_apart(sleeping, {}, left_s=limit.left_s, progress=limit.progress) == "best so far"


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_a_second_ctrl_c_ends_what_answers_neither_it_nor_has_a_budget() -> None:
    def press(stage: str, share: float) -> None:
        for after_s in (0.3, 1.5):
            timer = threading.Timer(after_s, os.kill, (os.getpid(), signal.SIGINT))
            timer.daemon = True
            timer.start()

    with pytest.raises(KeyboardInterrupt):
        run_apart(deaf, {}, left_s=NEVER, progress=press)


@pytest.mark.parametrize(("function", "stage"), [(deaf, "a loop in C"), (interrupted, "first look")])
def test_what_does_not_answer_is_ended(function: Callable[..., None], stage: str) -> None:
    limit = Limit()
    with pytest.raises(IsolatedError, match=rf"within the budget.*\(while: {stage}\)"):
        run_apart(function, {}, left_s=limit.left_s, progress=limit.progress)


def test_a_crash_is_an_error_that_names_the_signal() -> None:
    with pytest.raises(IsolatedError, match=r"died with signal SIGSEGV \(while: a library\)"):
        run_apart(crashing, {}, left_s=NEVER)


def test_a_script_without_its_guard_is_told_so(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "from regadvisor.scale.apart import run_apart\n"
        "print(run_apart(abs, {}, left_s=lambda: float('inf')))\n"
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "IsolatedError: " in done.stderr
    assert "while: starting); in a script, put what is run under: if __name__ == '__main__':" in done.stderr


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="Linux counts data like this")
def test_memory_is_limited_there_and_nowhere_else() -> None:
    limit = 600_000_000
    assert run_apart(hungry, {"n_bytes": 10**8}, left_s=NEVER, memory_limit=limit) == (1.0, limit)
    with pytest.raises(IsolatedError, match=r"memory_limit must be enough .* got 600,000,000 bytes"):
        run_apart(hungry, {"n_bytes": 10**9}, left_s=NEVER, memory_limit=limit)
    assert run_apart(hungry, {"n_bytes": 10}, left_s=NEVER, memory_limit=10**19)[0] == 1.0
    assert resource.getrlimit(resource.RLIMIT_DATA)[0] == resource.RLIM_INFINITY
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    n_used = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (n_used + 10**9, hard))  # as ulimit -v does
    try:
        assert 0.9e9 < memory_bytes() <= 1e9
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (hard, hard))


@pytest.mark.parametrize("limit", [0, -1.0, 10, True, "2GB", math.nan, math.inf])
def test_other_limits_are_refused(limit: object) -> None:
    with pytest.raises(ParameterError, match=r"memory_limit must be a number of bytes, at least 500,000,000"):
        check_memory_limit(limit)


def test_a_sample_is_smaller_where_memory_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("regadvisor.evidence.gather.memory_bytes", lambda: math.inf)
    assert most_rows(10) == MOST_CELLS // 10
    monkeypatch.setattr("regadvisor.evidence.gather.memory_bytes", lambda: 600e6)
    assert most_rows(10) == 500_000
    monkeypatch.setattr("regadvisor.evidence.gather.memory_bytes", lambda: 600e9)
    assert most_rows(10) == MOST_CELLS // 10


@pytest.mark.slow
def test_the_advice_is_the_same_apart(tmp_path: Any) -> None:
    X, y = load_wine(return_X_y=True)
    stages: list[str] = []
    apart = advise(
        X, y, effort="quick", isolate=True, memory_limit=2e9, progress=lambda stage, _: stages.append(stage)
    )
    assert_same_records(apart.to_json(), advise(X, y, effort="quick").to_json())
    assert "scores" in stages
    assert apart.build().fit(X, y).score(X, y) > 0.9
