"""Candidates trained by workers: the same advice, whoever trains what and whoever dies on the way."""

from __future__ import annotations

import pickle
import threading
from concurrent.futures import BrokenExecutor, Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from rounding import assert_same_records
from shipped_fits import Shipped, fits_of, n_trained, tuned_by
from sklearn.datasets import load_diabetes, load_wine
from sklearn.linear_model import Ridge
from torch import nn

from regadvisor import ParameterError, Recipe, advise, fit_function
from regadvisor.deadline import Deadline
from regadvisor.families.base import Job
from regadvisor.search.elsewhere import _load

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


@pytest.mark.parametrize("model", MODELS)
def test_any_number_of_workers_gives_the_same_advice(model: str) -> None:
    X, y = load_wine(return_X_y=True)
    arguments = {**MODELS[model], "effort": "quick", "folds": 2}
    alone = advise(X, y, **arguments).to_json()
    for n_workers in (1, 9):  # nine: more than there are candidates of some rounds
        with ThreadPoolExecutor(n_workers) as pool:
            assert_same_records(advise(X, y, executor=pool, **arguments).to_json(), alone)


class Late(ThreadPoolExecutor):
    """Workers that have not started yet when all is done."""

    def submit(self, function: Any, item: Any, /) -> Any:  # type: ignore[override]
        assert function is _load
        return Future()


def test_small_data_do_not_wait_for_workers_to_start() -> None:
    X, y = load_wine(return_X_y=True)
    with Late(2) as pool:
        early = advise(X, y, effort="quick", folds=2, executor=pool)
    assert_same_records(early.to_json(), advise(X, y, effort="quick", folds=2).to_json())


def test_a_sample_goes_once_to_every_worker_and_all_of_them_train(tmp_path: Path) -> None:
    family = Shipped(tmp_path / "log")
    with ThreadPoolExecutor(3) as pool:
        found = tuned_by(family, pool)
    assert fits_of(found) == fits_of(tuned_by(Shipped(tmp_path / "other"), None))
    said = [line.split(" ", 2) for line in family.said()]
    here = str(threading.get_ident())
    prepared = [thread for _, thread, what in said if what == "prepared"]
    assert len(prepared) == len(set(prepared)) <= 4  # three workers and this thread
    trained = {thread for _, thread, what in said if what != "prepared"}
    assert trained
    assert here not in trained
    assert all(n_trained(family, job) == 1 for _, job, _ in fits_of(found))


class Mortal(ThreadPoolExecutor):
    """Workers that one job kills, as far as their pool can see."""

    deadly: Job
    n_deaths = 0

    def submit(self, function: Any, piece: Any, /) -> Any:  # type: ignore[override]
        if self.deadly not in getattr(piece, "jobs", ()):
            return super().submit(function, piece)
        Mortal.n_deaths += 1
        future: Future[Any] = Future()
        future.set_exception(BrokenExecutor("killed"))
        return future


def test_a_candidate_that_kills_every_worker_is_named_and_the_rest_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = fits_of(tuned_by(Shipped(tmp_path / "alone"), None))
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
    kept = fits_of(found)
    assert Mortal.deadly not in [job for _, job, _ in kept]
    assert {name for name, _, _ in kept} == {name for name, _, _ in expected}


def test_an_error_in_a_worker_fails_its_candidate_alone(tmp_path: Path) -> None:
    expected = fits_of(tuned_by(Shipped(tmp_path / "alone"), None))
    deadly = expected[4][1]
    family = Shipped(tmp_path / "log", deadly=deadly, raises=True)
    with ThreadPoolExecutor(2) as pool:
        found = tuned_by(family, pool)
    assert found.cut == "1 fits failed (ZeroDivisionError: no such model)"
    assert len(fits_of(found)) >= len(expected) - 1


def test_what_cannot_be_sent_is_refused_with_the_reason() -> None:
    X, y = load_diabetes(return_X_y=True)
    lock = threading.Lock()

    def fit(regularizer: Any, X: Any, y: Any, seed: int) -> Any:
        with lock:
            return Ridge(alpha=max(len(y) * regularizer.l2, 1e-9)).fit(X, y)

    with ThreadPoolExecutor(2) as pool, pytest.raises(ParameterError, match=r"executor must be None .* lock"):
        advise(X, y, model=fit_function(fit, kinds=("none", "l2")), effort="quick", folds=2, executor=pool)


def test_a_deadline_that_is_sent_keeps_the_time_that_is_left() -> None:
    sent = pickle.loads(pickle.dumps(Deadline.after(50_000.0)))
    assert 49_000.0 < sent.left_s <= 50_000.0
    assert not pickle.loads(pickle.dumps(Deadline.never())).is_finite
    cancelled = Deadline.never()
    cancelled.cancel()
    assert pickle.loads(pickle.dumps(cancelled)).expired()
