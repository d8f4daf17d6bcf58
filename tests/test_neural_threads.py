"""Batches side by side: in order, one torch thread each, and the caller's setting left as it was."""

from __future__ import annotations

import threading

import pytest
import torch

from regadvisor.families.neural import threads
from regadvisor.families.neural.threads import n_workers, one_thread, side_by_side


def test_results_come_in_order_from_single_threads() -> None:
    before = torch.get_num_threads()
    found = list(side_by_side(lambda n: (n, torch.get_num_threads()), range(20), stop=lambda: None))
    assert found == [(n, 1) for n in range(20)]
    assert torch.get_num_threads() == before


def test_an_error_in_a_worker_reaches_the_caller() -> None:
    before = torch.get_num_threads()
    with pytest.raises(ZeroDivisionError):
        list(side_by_side(lambda n: 1 // n, [2, 1, 0, 3], stop=lambda: None))
    assert torch.get_num_threads() == before
    assert threading.active_count() < 20


def test_the_caller_may_ask_for_one_thread() -> None:
    with one_thread():
        assert n_workers() == 1


def test_ctrl_c_stops_the_work_and_keeps_what_was_finished(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "n_workers", lambda: 2)
    stopped = threading.Event()

    def work(n: int) -> int:
        if n == 1:
            raise KeyboardInterrupt
        if n == 2:
            assert stopped.wait(10.0)  # ends once it is told to
        return n

    found: list[int] = []

    def collect() -> None:
        for result in side_by_side(work, [0, 1, 2], stop=stopped.set):
            found.append(result)

    with pytest.raises(KeyboardInterrupt):
        collect()
    assert stopped.is_set()
    assert {0, 2} <= set(found)
