"""Work on other processes: results in order, workers that die, and memory that does not grow."""

from __future__ import annotations

import threading
from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from regadvisor.errors import DataError, ParameterError
from regadvisor.scale.workers import _Pool, check_executor, workers


def square(x: int) -> int:
    return x * x


def refuse(x: int) -> int:
    raise DataError(f"x must be small, got {x}; take less")


@pytest.mark.parametrize("executor", [None, 1, np.int64(1), ThreadPoolExecutor(3)])
def test_results_come_in_the_order_of_the_items(executor):
    with workers(executor) as here:
        assert list(here.run(square, range(50))) == [x * x for x in range(50)]
        assert list(here.run(square, [])) == []
        with pytest.raises(DataError, match="got 1"):
            list(here.run(refuse, [1, 2]))


def test_few_items_are_under_way_at_a_time():
    seen, lock = [0, 0], threading.Lock()

    def watched(x: int) -> int:
        with lock:
            seen[0] += 1
            seen[1] = max(seen)
        with lock:
            seen[0] -= 1
        return x

    started: list[int] = []
    items = [*range(200)]
    with ThreadPoolExecutor(2) as pool, workers(pool) as here:
        results = here.run(lambda x: started.append(x) or watched(x), items)
        assert next(results) == 0
        assert len(started) < 20
        assert list(results) == items[1:]


@pytest.mark.parametrize("executor", [0, -1, True, 1.5, np.float64(2.0), np.True_, "dask", object()])
def test_other_executors_are_refused(executor):
    with pytest.raises(ParameterError, match="executor must be None, a number of processes"):
        check_executor(executor)


def test_a_worker_that_dies_twice_over_one_item_forgets_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    class Breaks(Executor):
        n_broken = 0

        def submit(self, function: Any, item: int, /) -> Future[int]:  # type: ignore[override]
            future: Future[int] = Future()
            if item == 0 and Breaks.n_broken < 2:
                Breaks.n_broken += 1
                future.set_exception(BrokenExecutor("killed"))
            else:
                future.set_result(function(item))
            return future

    found: list[int] = []
    pool = _Pool(1, Breaks())
    monkeypatch.setattr(pool, "_new", Breaks)
    thread = threading.Thread(target=lambda: found.extend(pool.run(abs, list(range(12)))), daemon=True)
    thread.start()
    thread.join(60)
    assert found == list(range(12))
