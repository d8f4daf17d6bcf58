"""Candidates trained by workers: the same advice, whoever trains what and whoever dies on the way."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import BrokenExecutor, Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rounding import assert_same_records
from search_fakes import RidgeFamily, make_effort, planned
from sklearn.datasets import load_diabetes, load_wine
from sklearn.linear_model import Ridge
from torch import nn

from regadvisor import ParameterError, Recipe, advise, fit_function
from regadvisor.data.source import make_table
from regadvisor.deadline import Deadline
from regadvisor.families.base import Fit, Fold, Job, Prepared
from regadvisor.scale.workers import workers
from regadvisor.search.elsewhere import elsewhere
from regadvisor.search.tune import Tuned, tune

MODELS: dict[str, Any] = {
    "linear": {},
    "mlp": {"model": "mlp", "recipe": Recipe(epochs=3)},
    # No name by which another process could import it.
    "module": {
        "model": lambda n_features, n_outputs: nn.Sequential(
            nn.Linear(n_features, 6), nn.Tanh(), nn.Linear(6, n_outputs)
        ),
        "recipe": Recipe(epochs=3),
    },
    "function": {
        "model": fit_function(
            lambda regularizer, X, y, seed: Ridge(alpha=max(len(y) * regularizer.l2, 1e-9)).fit(X, y),
            kinds=("none", "l2"),
        ),
        "task": "regression",
    },
}


class Shipped(RidgeFamily):
    """Instant fits; says what it prepared and trained, and dies or fails where it is told to."""

    def __init__(
        self, log: Path, *, deadly: Job | None = None, spares: Path | None = None, raises: bool = False
    ) -> None:
        super().__init__()
        self.log, self.deadly, self.spares, self.raises = log, deadly, spares, raises

    def prepare(self, sample: Any, folds: Sequence[Fold], *, seed: int) -> Prepared:
        self._say("prepared")
        return self.prepared()

    def train(
        self, prepared: Prepared, jobs: Sequence[Job], *, folds: Any = None, **options: Any
    ) -> list[Fit]:
        if self.deadly in jobs and not (self.spares is not None and self.spares.exists()):
            if self.spares is not None:
                self.spares.touch()
            if self.raises:
                raise ZeroDivisionError("no such model")
            os.kill(os.getpid(), signal.SIGKILL)
        fits = super().train(prepared, jobs, **options)
        for fit in fits:
            self._say(repr(fit.job))
        return fits

    def _say(self, what: str) -> None:
        with self.log.open("a") as file:
            file.write(f"{os.getpid()} {threading.get_ident()} {what}\n")

    def said(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []


TABLE = make_table(np.arange(12.0)[:, None], np.arange(12.0))


def tuned_by(family: Shipped, executor: Any, storage: Path | None = None) -> Tuned:
    with workers(executor) as crew:
        own = elsewhere(family, crew) if not crew.is_here else family
        prepared = own.prepare(TABLE, (), seed=0)
        return tune(
            own, prepared, planned(family, make_effort()), seed=0, deadline=Deadline.never(), storage=storage
        )


def trials_of(tuned: Tuned) -> list[tuple[str, Job, float]]:
    return [(trial.kind, trial.fit.job, float(np.mean(trial.fit.losses))) for trial in tuned.results.trials]


def n_trained(family: Shipped, job: Job) -> int:
    return sum(line.endswith(repr(job)) for line in family.said())


@pytest.mark.parametrize("model", MODELS)
def test_any_number_of_workers_gives_the_same_advice(model: str) -> None:
    X, y = load_wine(return_X_y=True)
    arguments = {**MODELS[model], "effort": "quick"}
    alone = advise(X, y, **arguments).to_json()
    for n_workers in (1, 3, 9):  # nine: more than there are candidates of some rounds
        with ThreadPoolExecutor(n_workers) as pool:
            assert_same_records(advise(X, y, executor=pool, **arguments).to_json(), alone)


def test_a_sample_goes_once_to_every_worker_and_all_of_them_train(tmp_path: Path) -> None:
    family = Shipped(tmp_path / "log")
    with ThreadPoolExecutor(3) as pool:
        found = tuned_by(family, pool)
    assert trials_of(found) == trials_of(tuned_by(Shipped(tmp_path / "other"), None))
    said = [line.split(" ", 2) for line in family.said()]
    here = str(threading.get_ident())
    prepared = [thread for _, thread, what in said if what == "prepared"]
    assert len(prepared) == len(set(prepared)) <= 4  # three workers and this thread
    trained = {thread for _, thread, what in said if what != "prepared"}
    assert trained
    assert here not in trained
    assert all(n_trained(family, job) == 1 for _, job, _ in trials_of(found))


@pytest.mark.slow
def test_a_worker_that_is_killed_in_a_fit_changes_nothing(tmp_path: Path) -> None:
    expected = trials_of(tuned_by(Shipped(tmp_path / "alone"), None))
    deadly = expected[4][1]
    family = Shipped(tmp_path / "log", deadly=deadly, spares=tmp_path / "died")
    found = tuned_by(family, 2, tmp_path / "run.journal")
    assert (tmp_path / "died").exists()
    assert trials_of(found) == expected
    assert found.cut is None
    # The journal has them all: nothing is trained again.
    again = Shipped(tmp_path / "again")
    assert trials_of(tuned_by(again, None, tmp_path / "run.journal")) == expected
    assert not [line for line in again.said() if "Job" in line]


class Mortal(ThreadPoolExecutor):
    """Workers that one job kills, as far as their pool can see."""

    deadly: Job
    n_deaths = 0

    def submit(self, function: Any, piece: Any, /) -> Any:  # type: ignore[override]
        if self.deadly not in piece.jobs:
            return super().submit(function, piece)
        Mortal.n_deaths += 1
        future: Future[Any] = Future()
        future.set_exception(BrokenExecutor("killed"))
        return future


def test_a_candidate_that_kills_every_worker_is_named_and_the_rest_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = trials_of(tuned_by(Shipped(tmp_path / "alone"), None))
    _, Mortal.deadly, _ = expected[4]
    monkeypatch.setattr("regadvisor.scale.workers._Pool._new", lambda pool: Mortal(pool.n_workers))
    with Mortal(2) as pool:
        found = tuned_by(Shipped(tmp_path / "log"), pool)
    assert 6 <= Mortal.n_deaths <= 8  # three times among others (perhaps a break more), three times alone
    assert found.cut is not None
    assert (
        "1 fits failed (WorkerError: a worker must survive its work, got 3 that died at the fit of"
        in found.cut
    )
    (strength,) = Mortal.deadly.regularizer.strengths().values()
    assert f"={strength:.3g})" in found.cut
    kept = trials_of(found)
    assert Mortal.deadly not in [job for _, job, _ in kept]
    assert {name for name, _, _ in kept} == {name for name, _, _ in expected}


@pytest.mark.slow
def test_workers_of_dask_give_the_same_fits_and_survive_a_kill(tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed", reason="Dask is not installed")
    expected = trials_of(tuned_by(Shipped(tmp_path / "alone"), None))
    family = Shipped(tmp_path / "log", deadly=expected[4][1], spares=tmp_path / "died")
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        found = tuned_by(family, client)
    assert (tmp_path / "died").exists()
    assert trials_of(found) == expected


@pytest.mark.slow
def test_tasks_of_ray_give_the_same_fits(tmp_path: Path) -> None:
    ray = pytest.importorskip("ray", reason="Ray is not installed")
    expected = trials_of(tuned_by(Shipped(tmp_path / "alone"), None))
    # Ray starts its workers elsewhere: they find this file, and what it imports, by its folder.
    paths = {"env_vars": {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}}
    ray.init(
        num_cpus=2, log_to_driver=False, configure_logging=False, include_dashboard=False, runtime_env=paths
    )
    try:
        found = tuned_by(Shipped(tmp_path / "log"), "ray")
    finally:
        ray.shutdown()
    assert trials_of(found) == expected


def test_an_error_in_a_worker_fails_its_candidate_alone(tmp_path: Path) -> None:
    expected = trials_of(tuned_by(Shipped(tmp_path / "alone"), None))
    deadly = expected[4][1]
    family = Shipped(tmp_path / "log", deadly=deadly, raises=True)
    with ThreadPoolExecutor(2) as pool:
        found = tuned_by(family, pool)
    assert found.cut == "1 fits failed (ZeroDivisionError: no such model)"
    assert len(trials_of(found)) >= len(expected) - 1


def test_what_cannot_be_sent_is_refused_with_the_reason() -> None:
    X, y = load_diabetes(return_X_y=True)
    lock = threading.Lock()

    def fit(regularizer: Any, X: Any, y: Any, seed: int) -> Any:
        with lock:
            return Ridge(alpha=max(len(y) * regularizer.l2, 1e-9)).fit(X, y)

    with ThreadPoolExecutor(2) as pool, pytest.raises(ParameterError, match=r"executor must be None .* lock"):
        advise(X, y, model=fit_function(fit, kinds=("none", "l2")), effort="quick", executor=pool)


def test_a_deadline_that_is_sent_keeps_the_time_that_is_left() -> None:
    sent = pickle.loads(pickle.dumps(Deadline.after(50_000.0)))
    assert 49_000.0 < sent.left_s <= 50_000.0
    assert not pickle.loads(pickle.dumps(Deadline.never())).is_finite
    cancelled = Deadline.never()
    cancelled.cancel()
    assert pickle.loads(pickle.dumps(cancelled)).expired()


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


@pytest.mark.slow
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
