"""Real processes as workers: the same rows, whoever dies, and memory that does not grow."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scale_sources import some_rows, write

from regadvisor import advise
from regadvisor.errors import DataError
from regadvisor.scale import table as scale_table
from regadvisor.scale.parts import Part, Rows, Source
from regadvisor.scale.sketch import Spec
from regadvisor.scale.sources import find_source
from regadvisor.scale.table import scan
from regadvisor.scale.workers import WorkerError


@dataclass(frozen=True, kw_only=True)
class Deadly:
    """A part whose reader dies, once or always, after the first rows."""

    part: Any
    marker: Path | None

    @property
    def called(self) -> str:
        return self.part.called

    def rows(self, spec: Spec) -> Rows:
        for n, found in enumerate(self.part.rows(spec)):
            yield found
            if n == 0 and (self.marker is None or not self.marker.exists()):
                if self.marker is not None:
                    self.marker.touch()
                os.kill(os.getpid(), signal.SIGKILL)


@dataclass(frozen=True, kw_only=True)
class DeadlySource:
    source: Any
    which: int
    marker: Path | None
    sketches = Source.sketches  # of the parts below, not of those of `source`

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "source":
            raise AttributeError(name)
        return getattr(self.source, name)

    def parts(self) -> list[Part]:
        parts = self.source.parts()
        parts[self.which] = Deadly(part=parts[self.which], marker=self.marker)
        return parts


@pytest.fixture
def source(tmp_path: Path) -> Any:
    return find_source(write(some_rows(3_000), tmp_path / "data", "parquet", n_files=6))


def spec_of(source: Any) -> Spec:
    return Spec(targets=("y",), kinds=source.kinds, n_rows=300)


def ids_of(source: Any, executor: Any) -> list[int]:
    return sorted(scan(source, spec_of(source), executor=executor).sample.ids.tolist())


@contextmanager
def caller_pool() -> Iterator[Any]:
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        yield pool


@pytest.mark.parametrize("which", [0, 3])
def test_a_worker_that_is_killed_changes_nothing(source, tmp_path: Path, which: int):
    expected = ids_of(source, None)
    deadly = DeadlySource(source=source, which=which, marker=tmp_path / "died")
    assert ids_of(deadly, 2) == expected
    assert (tmp_path / "died").exists()


def test_a_pool_of_the_caller_that_breaks_is_replaced(source, tmp_path: Path):
    deadly = DeadlySource(source=source, which=1, marker=tmp_path / "died")
    with caller_pool() as pool:
        assert ids_of(deadly, pool) == ids_of(source, None)


def test_a_part_that_kills_every_worker_is_named(source):
    with pytest.raises(WorkerError, match=r"3 that died at '.*part-4\.parquet'"):
        ids_of(DeadlySource(source=source, which=4, marker=None), 2)


def test_errors_of_workers_are_those_of_this_process(source):
    damaged = Path(source.dataset.files[2])
    damaged.write_bytes(damaged.read_bytes()[:200] + damaged.read_bytes()[260:])
    with pytest.raises(DataError, match=r"part-2\.parquet"):
        ids_of(replace(source), 2)


def test_two_dask_workers_draw_the_same_rows(source):
    distributed = pytest.importorskip("distributed", reason="Dask is not installed")
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        shared = scan(source, spec_of(source), executor=client)
    alone = scan(source, spec_of(source))
    assert shared.sample.rows.equals(alone.sample.rows)
    np.testing.assert_array_equal(shared.moments.squares, alone.moments.squares)


def test_ray_tasks_draw_the_same_rows(source):
    ray = pytest.importorskip("ray", reason="Ray is not installed")
    ray.init(num_cpus=2, log_to_driver=False, configure_logging=False, include_dashboard=False)
    try:
        shared = scan(source, spec_of(source), executor="ray")
    finally:
        ray.shutdown()
    assert shared.sample.rows.equals(scan(source, spec_of(source)).sample.rows)


_SCAN = """
import sys, time
from regadvisor.scale.workers import workers
if __name__ == "__main__":
    with workers(2) as here:
        results = here.run(time.sleep, [0.01] * 4 + [600.0] * 4)
        next(results)
        print("begun", flush=True)
        list(results)
"""


def test_workers_end_with_a_process_that_is_killed(tmp_path: Path):
    script = tmp_path / "scan.py"
    script.write_text(_SCAN)
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True) as driver:
        assert driver.stdout is not None
        assert driver.stdout.readline() == "begun\n"
        driver.kill()
        # The workers hold the other end of the pipe; it ends when they have ended.
        rest, _ = driver.communicate(timeout=120)
        assert rest == ""


_PEAK = """
import sys
from regadvisor.scale.table import scan
from regadvisor.scale.sketch import Spec
from regadvisor.scale.sources import find_source
source = find_source(sys.argv[1])
found = scan(source, Spec(targets=("y",), kinds=source.kinds, n_rows=20_000))
with open("/proc/self/status") as status:
    peak = next(line for line in status if line.startswith("VmHWM"))
print(found.n_rows, peak.split()[1])
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peaks of memory are read from /proc")
def test_four_times_the_rows_take_no_more_memory(tmp_path: Path):
    rng = np.random.default_rng(0)
    n = 250_000
    columns = {f"x{j}": rng.normal(size=n).astype(np.float32) for j in range(6)}
    table = pa.table({**columns, "y": rng.integers(0, 3, n).astype(np.int8)})
    peaks = []
    for n_files in (2, 8):  # a single part is merged with nothing
        folder = tmp_path / str(n_files)
        folder.mkdir()
        for i in range(n_files):
            pq.write_table(table, folder / f"{i}.parquet", row_group_size=125_000)
        done = subprocess.run(
            [sys.executable, "-c", _PEAK, str(folder)], capture_output=True, text=True, check=True
        )
        n_rows, peak = map(int, done.stdout.split())
        assert n_rows == n_files * n
        peaks.append(peak)
    assert peaks[1] < 1.1 * peaks[0]


def test_a_large_folder_gets_the_same_advice_by_two_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scale_table, "SAMPLE_ROWS", 2_000)
    frame = some_rows(6_000).drop(columns="city").query("y != 'rare'").reset_index(drop=True)
    path = write(frame, tmp_path, "parquet")
    alone, shared = (advise(path, "y", effort="quick", folds=2, executor=who) for who in (None, 2))
    assert shared.regularizer == alone.regularizer
    assert shared.record.walk == alone.record.walk
    assert shared.record.data == alone.record.data
