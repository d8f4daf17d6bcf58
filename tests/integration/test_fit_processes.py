"""Candidates trained by real processes: the same fits, whoever dies on the way."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from shipped_fits import Shipped, fits_of, tuned_by


def test_a_worker_that_is_killed_in_a_fit_changes_nothing(tmp_path: Path) -> None:
    expected = fits_of(tuned_by(Shipped(tmp_path / "alone"), None))
    deadly = expected[4][1]
    family = Shipped(tmp_path / "log", deadly=deadly, spares=tmp_path / "died")
    found = tuned_by(family, 2, tmp_path / "run.journal")
    assert (tmp_path / "died").exists()
    assert fits_of(found) == expected
    assert found.cut is None
    # The journal has them all: nothing is trained again.
    again = Shipped(tmp_path / "again")
    assert fits_of(tuned_by(again, None, tmp_path / "run.journal")) == expected
    assert not [line for line in again.said() if "Job" in line]


def test_workers_of_dask_give_the_same_fits_and_survive_a_kill(tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed", reason="Dask is not installed")
    expected = fits_of(tuned_by(Shipped(tmp_path / "alone"), None))
    family = Shipped(tmp_path / "log", deadly=expected[4][1], spares=tmp_path / "died")
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        found = tuned_by(family, client)
    assert (tmp_path / "died").exists()
    assert fits_of(found) == expected


def test_tasks_of_ray_give_the_same_fits(tmp_path: Path) -> None:
    ray = pytest.importorskip("ray", reason="Ray is not installed")
    expected = fits_of(tuned_by(Shipped(tmp_path / "alone"), None))
    # Ray starts its workers elsewhere: they find this file, and what it imports, by its folder.
    paths = {"env_vars": {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}}
    ray.init(
        num_cpus=2, log_to_driver=False, configure_logging=False, include_dashboard=False, runtime_env=paths
    )
    try:
        found = tuned_by(Shipped(tmp_path / "log"), "ray")
    finally:
        ray.shutdown()
    assert fits_of(found) == expected


_INTERRUPTED = """
import os, time
import numpy as np
from sklearn.linear_model import Ridge
from regadvisor import advise, fit_function

def fit(regularizer, X, y, seed):
    os.write(2, b"fit\\n")  # in one piece: two workers write
    time.sleep(600 if 0 < regularizer.l2 < 0.03 else 0.2)  # weak ones are tried last
    return Ridge(alpha=max(len(y) * regularizer.l2, 1e-9)).fit(X, y)

if __name__ == "__main__":
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 3))
    y = X[:, 0] + rng.normal(size=60)
    advice = advise(X, y, model=fit_function(fit, kinds=("none", "l2"), ranges={"l2": (1e-3, 1e3)}),
                    effort="quick", executor=2)
    print([note.text for note in advice.record.notes if note.code == "interrupted"], flush=True)
"""


def test_ctrl_c_keeps_what_the_workers_have_finished(tmp_path: Path) -> None:
    script = tmp_path / "run.py"
    script.write_text(_INTERRUPTED)
    with subprocess.Popen(
        [sys.executable, str(script)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as driver:
        assert driver.stderr is not None
        for _ in range(12):  # some fits have ended by then
            assert driver.stderr.readline() == "fit\n"
        time.sleep(1.0)
        driver.send_signal(signal.SIGINT)
        out, _ = driver.communicate(timeout=120)  # no worker sleeps on
    assert driver.returncode == 0
    assert out.startswith("['The run was interrupted: this is the best of what was known then.']")


def test_a_script_without_its_guard_is_told_so_at_once(tmp_path: Path) -> None:
    """It was tried three times for each candidate: every worker runs the script again, and dies."""
    script = tmp_path / "script.py"
    script.write_text(
        "from regadvisor.scale.workers import workers\n"
        "with workers(2) as crew:\n"
        "    print(list(crew.run(abs, [1, 2, 3])))\n"
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "must survive its work, got 1 that died at its start; look for their end" in done.stderr
