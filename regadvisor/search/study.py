"""Optuna's studies: an empty one for a search, and one of all trials for a finished advice."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial
from sqlalchemy.exc import SQLAlchemyError

from regadvisor.candidates import Range
from regadvisor.errors import ParameterError, StorageError, reason_of
from regadvisor.records import CandidateScore, Record
from regadvisor.regularizer import KINDS

#: What `study_of` takes: a storage of Optuna's, its URL, or a file for a new SQLite database; None: memory.
Storage = optuna.storages.BaseStorage | str | Path | None


def new_study(name: str, sampler: optuna.samplers.BaseSampler) -> optuna.Study:
    """Return an empty study in memory."""
    with quiet():
        storage = optuna.storages.InMemoryStorage()
        return optuna.create_study(storage=storage, study_name=name, sampler=sampler)


def distribution(span: Range, points: Sequence[float] = ()) -> FloatDistribution:
    """Return all that may be searched of a strength as Optuna's distribution; it holds the given points."""
    low, high = span.limits
    return FloatDistribution(min(low, *points, high), max(high, *points, low), log=span.is_log)


def study_of(record: Record, *, storage: Storage = None, name: str = "regadvisor") -> optuna.Study:
    """Return a study of all candidates that a record knows; see ``Advice.study``."""
    scores = () if record.evidence.scores is None else record.evidence.scores.scores
    if not scores:
        raise ParameterError(
            "study() must be asked of advice that trained candidates, got one that trained none; give "
            "advise() a larger budget="
        )
    if not isinstance(storage, str | Path | optuna.storages.BaseStorage | None):
        raise ParameterError(f"storage must be a storage of Optuna, its URL, a path or None, got {storage!r}")
    if isinstance(storage, Path) or (isinstance(storage, str) and "://" not in storage):
        storage = f"sqlite:///{quote(str(Path(storage).absolute()))}"
    try:
        with quiet():
            study = optuna.create_study(storage=storage, study_name=name)
            study.set_user_attr("advice", record.strength.regularizer.label)
            study.add_trials(_trials(scores))
    except optuna.exceptions.DuplicatedStudyError as error:
        raise ParameterError(
            f"name must be new to the storage, got {name!r}, which it has already; give another name"
        ) from error
    except (optuna.exceptions.StorageInternalError, SQLAlchemyError, ImportError, ValueError) as error:
        called = str(storage).rpartition("@")[2]  # what stands before may be a password
        raise StorageError(
            f"storage must be a database that Optuna can write, got {called!r} ({reason_of(error)}); "
            "give a file in a folder that can be written"
        ) from error
    return study


def _trials(scores: Sequence[CandidateScore]) -> list[FrozenTrial]:
    """Return all candidates as finished trials: kinds and strengths are a conditional space."""
    tried: dict[str, list[float]] = {}
    for score in scores:
        for strength, value in score.regularizer.strengths().items():
            tried.setdefault(strength, []).append(value)
    space: dict[str, BaseDistribution] = {
        strength: FloatDistribution(min(values), max(values), log=strength != "dropout")
        for strength, values in tried.items()
    }
    present = [kind for kind in KINDS if kind in {score.kind for score in scores}]
    space["kind"] = CategoricalDistribution(present)
    return [_trial(score, space) for score in scores]


def _trial(score: CandidateScore, space: dict[str, BaseDistribution]) -> FrozenTrial:
    params = {"kind": score.kind, **score.regularizer.strengths()}
    counts = score.converged or score.kind == "none"
    state = TrialState.FAIL if not counts else TrialState.PRUNED if score.is_stopped else TrialState.COMPLETE
    known = [loss for loss in score.fold_losses if loss is not None]
    return create_trial(
        state=state,
        value=score.loss if state == TrialState.COMPLETE else None,
        params=params,
        distributions={name: space[name] for name in params},
        intermediate_values={len(known): score.loss} if known and counts else {},
        user_attrs={
            "fold_losses": list(score.fold_losses),
            "train_loss": score.train_loss,
            "fit_s": score.fit_s,
            "seed": score.seed,
            "n_rows": score.n_rows,
            "epochs": score.epochs,
            "share_zeroed": score.share_zeroed,
        },
    )


@contextmanager
def quiet() -> Iterator[None]:
    """Drop what Optuna logs on creating a study, in this thread; nobody's log levels are touched."""
    thread = threading.get_ident()

    def is_wanted(record: logging.LogRecord) -> bool:
        return record.levelno >= logging.WARNING or threading.get_ident() != thread

    sources = (optuna.storages.InMemoryStorage, optuna.storages.RDBStorage, optuna.Study)
    loggers = [logging.getLogger(source.__module__) for source in sources]
    for logger in loggers:
        logger.addFilter(is_wanted)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(is_wanted)
