"""A run that was killed goes on where it was, and ends in the same record."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from journal_files import keep, n_stored
from rounding import assert_same_records, without_timings
from sklearn.datasets import load_breast_cancer, load_wine
from threadpoolctl import threadpool_limits
from torch import nn

import regadvisor
from regadvisor import DataError, Recipe, StorageError, advise
from regadvisor.families.linear.family import LinearFamily


def network(n_features: int, n_outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(n_features, 12), nn.Tanh(), nn.Dropout(), nn.Linear(12, n_outputs))


MODELS: dict[str, dict[str, object]] = {
    "linear": {"model": "linear"},
    "mlp": {"model": "mlp", "recipe": Recipe(hidden=(16,), epochs=8, lr=1e-2)},
    "module": {"model": network, "recipe": Recipe(epochs=4, batch_size=32, lr=5e-3)},
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Path, str]]:
    """Return what gives, for a model, the journal of a finished run and its record."""
    folder = tmp_path_factory.mktemp("finished")

    @cache
    def run(model: str) -> tuple[Path, str]:
        journal = folder / f"{model}.journal"
        return journal, asked(model, journal)

    return run


def asked(model: str, journal: Path) -> str:
    X, y = load_wine(return_X_y=True)
    return advise(X, y, **MODELS[model], effort="quick", folds=2, storage=journal).to_json()


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("share", [0.2, 0.7, 0.97])
def test_a_journal_of_some_of_the_fits_leads_to_the_same_record(
    model: str, share: float, tmp_path: Path, finished: Callable[[str], tuple[Path, str]]
) -> None:
    of_all, whole = finished(model)
    journal = Path(shutil.copy(of_all, tmp_path / "run.journal"))
    keep(journal, int(share * n_stored(journal)))
    assert_same_records(asked(model, journal), whole)


@pytest.mark.parametrize(
    "change", [{"random_state": 1}, {"recipe": Recipe(epochs=4, batch_size=32, lr=5.05e-3)}]
)
def test_what_counts_as_the_same_record_finds_another_seed_and_rate(change: dict[str, object]) -> None:
    X, y = load_wine(return_X_y=True)
    arguments = {**MODELS["module"], "effort": "quick", "folds": 2}
    one, two = (advise(X, y, **own).to_json() for own in (arguments, {**arguments, **change}))
    with pytest.raises(AssertionError, match=r"loss: .* is not "):
        assert_same_records(two, one)


def test_a_finished_run_is_read_back_without_a_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = load_wine(return_X_y=True)
    whole = advise(X, y, effort="quick", folds=2, storage=tmp_path / "run.journal").to_json()

    def train(*args: object, **kwargs: object) -> None:
        raise AssertionError("a finished fit was trained again")

    monkeypatch.setattr(LinearFamily, "train", train)
    again = advise(X, y, effort="quick", folds=2, storage=tmp_path / "run.journal").to_json()
    assert without_timings(again) == without_timings(whole)


def test_a_journal_of_other_data_is_refused(tmp_path: Path) -> None:
    X, y = load_wine(return_X_y=True)
    advise(X, y, effort="quick", folds=2, storage=tmp_path / "run.journal")
    with pytest.raises(StorageError, match=r"delete|remove|another"):
        advise(X[:-1], y[:-1], effort="quick", folds=2, storage=tmp_path / "run.journal")


def test_other_thread_counts_give_the_same_outcome() -> None:
    X, y = load_breast_cancer(return_X_y=True)
    found = []
    for n_threads in (1, 2):
        with threadpool_limits(limits=n_threads):
            found.append(advise(X, y, effort="quick", folds=2))
    one, two = (advice.record for advice in found)
    assert one.walk.outcome == two.walk.outcome
    assert one.strength.ties
    for name, (low, high) in one.strength.ties.items():
        assert low <= getattr(two.strength.on_sample, name) <= high


def test_errors_are_of_one_tree() -> None:
    assert issubclass(DataError, regadvisor.RegadvisorError)
    assert issubclass(StorageError, ValueError)
