"""``advice.study``: all candidates as a study that Optuna's own tools can read."""

from __future__ import annotations

import logging
import warnings
from dataclasses import replace
from pathlib import Path

import matplotlib as mpl
import optuna
import pytest
import record_builders
from optuna.trial import TrialState

from regadvisor.advice import Advice
from regadvisor.errors import ParameterError, StorageError
from regadvisor.records import Record
from regadvisor.search.study import study_of


@pytest.fixture
def record() -> Record:
    """Return a record whose candidates are of all kinds, one of them stopped and one not converged."""
    made = record_builders.network()
    scores = made.evidence.scores
    assert scores is not None
    changed = [*scores.scores]
    changed[-1] = replace(changed[-1], is_stopped=True, fold_losses=(changed[-1].loss, None, None))
    changed[-2] = replace(changed[-2], converged=False)
    evidence = replace(made.evidence, scores=replace(scores, scores=tuple(changed)))
    return replace(made, evidence=evidence)


def test_the_trials_are_the_rows_of_the_score_table(record: Record) -> None:
    study = Advice(record).study()
    scores = record.evidence.scores
    assert scores is not None
    assert len(study.trials) == len(scores.scores)
    for trial, score in zip(study.trials, scores.scores, strict=True):
        assert trial.params == {"kind": score.kind, **score.regularizer.strengths()}
        assert trial.user_attrs["fold_losses"] == list(score.fold_losses)
        assert trial.user_attrs["fit_s"] == score.fit_s
        assert trial.user_attrs["train_loss"] == score.train_loss
        assert trial.value == (score.loss if score.converged and not score.is_stopped else None)
    states = [trial.state for trial in study.trials]
    assert states[-2:] == [TrialState.FAIL, TrialState.PRUNED]
    assert set(states[:-2]) == {TrialState.COMPLETE}
    assert study.best_value == min(score.loss for score in scores.scores[:-2])
    assert study.user_attrs == {"advice": record.strength.regularizer.label}


def test_a_trial_says_all_that_the_table_says(record: Record) -> None:
    scores = record.evidence.scores
    assert scores is not None
    made = [replace(score, share_zeroed=0.25, seed=7) for score in scores.scores]
    none = next(i for i, score in enumerate(made) if score.kind == "none")
    made[none] = replace(made[none], converged=False)
    record = replace(record, evidence=replace(record.evidence, scores=replace(scores, scores=tuple(made))))
    study = study_of(record)
    assert study.study_name == "regadvisor"
    for trial, score in zip(study.trials, made, strict=True):
        assert trial.user_attrs == {
            "fold_losses": list(score.fold_losses),
            "train_loss": score.train_loss,
            "fit_s": score.fit_s,
            "seed": 7,
            "n_rows": score.n_rows,
            "epochs": score.epochs,
            "share_zeroed": 0.25,
        }
        counts = score.converged or score.kind == "none"  # the baseline that diverged is a result, too
        n_known = sum(loss is not None for loss in score.fold_losses)
        assert trial.intermediate_values == ({n_known: score.loss} if counts else {})
        assert (trial.state == TrialState.FAIL) == (not counts)
        for name, space in trial.distributions.items():
            if name == "kind":
                assert set(space.choices) == {score.kind for score in made}
                continue
            tried = [s.regularizer.strengths()[name] for s in made if name in s.regularizer.strengths()]
            assert (space.low, space.high, space.log) == (min(tried), max(tried), name != "dropout")
    assert {"dropout", "l2"} <= {name for trial in study.trials for name in trial.params}


@pytest.mark.slow
def test_a_study_in_a_file_is_loaded_by_optuna(record: Record, tmp_path: Path) -> None:
    made = Advice(record).study(tmp_path / "advice.db")
    url = f"sqlite:///{tmp_path / 'advice.db'}"
    loaded = optuna.load_study(study_name="regadvisor", storage=url)
    assert [trial.params for trial in loaded.trials] == [trial.params for trial in made.trials]
    assert loaded.best_trial.user_attrs == made.best_trial.user_attrs
    Advice(record).study(url, name="another")
    assert set(optuna.get_all_study_names(url)) == {"regadvisor", "another"}
    with pytest.raises(ParameterError, match="name must be new to the storage, got 'regadvisor'"):
        Advice(record).study(url)


def test_a_storage_of_optuna_is_used_as_it_is(record: Record) -> None:
    storage = optuna.storages.InMemoryStorage()
    Advice(record).study(storage)
    assert len(optuna.load_study(study_name="regadvisor", storage=storage).trials) > 1


@pytest.mark.slow
def test_optuna_draws_it(record: Record) -> None:
    study = Advice(record).study()
    with mpl.rc_context(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the plots are experimental, says Optuna, and matplotlib of others
        mpl.use("agg")
        axes = optuna.visualization.matplotlib.plot_parallel_coordinate(study)
        ticks = [label.get_text() for label in axes.get_xticklabels()]
        assert ticks[0] == "Objective Value"
        assert {"kind", "l2"} <= set(ticks[1:])
        optuna.visualization.matplotlib.plot_slice(study, params=["l2"])
        mpl.pyplot.close("all")


def test_nothing_is_logged_and_no_level_is_changed(
    record: Record, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    names = ("optuna", "alembic", "sqlalchemy")
    optuna.storages.RDBStorage(f"sqlite:///{tmp_path / 'warm.db'}")  # alembic sets up its logger once
    before = [(logging.getLogger(name).level, list(logging.getLogger(name).filters)) for name in names]
    Advice(record).study(tmp_path / "advice.db")
    after = [(logging.getLogger(name).level, list(logging.getLogger(name).filters)) for name in names]
    assert after == before
    assert capfd.readouterr() == ("", "")


def test_advice_without_candidates_has_no_study() -> None:
    with pytest.raises(ParameterError, match="that trained candidates"):
        Advice(record_builders.without_data()).study()


def test_a_folder_is_no_storage(record: Record, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="storage must be a database that Optuna can write"):
        Advice(record).study(tmp_path)


@pytest.mark.parametrize("storage", ["redis://user:secret@host", "nothing://user:secret@host/db"])
def test_a_storage_that_cannot_be_opened_is_named_without_its_password(record: Record, storage: str) -> None:
    with pytest.raises(StorageError, match="storage must be a database that Optuna can write") as caught:
        Advice(record).study(storage)
    assert "secret" not in str(caught.value)


def test_a_storage_of_another_type_is_refused(record: Record) -> None:
    with pytest.raises(ParameterError, match="storage must be a storage of Optuna, its URL, a path or None"):
        Advice(record).study(5)  # type: ignore[arg-type]


def test_an_odd_name_of_a_file_stays_its_name(record: Record, tmp_path: Path) -> None:
    Advice(record).study(tmp_path / "a?b=c.db")
    assert [path.name for path in tmp_path.iterdir()] == ["a?b=c.db"]
