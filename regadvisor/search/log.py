"""The journal behind ``storage=``, as the search sees it: finished fits in, finished fits out.

The file itself (locks, repair, fits as text) is the work of ``journal.py``.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import optuna
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.storages.journal import BaseJournalBackend
from optuna.trial import TrialState, create_trial

from regadvisor.candidates import Range
from regadvisor.errors import StorageError
from regadvisor.families.base import Fit, Job
from regadvisor.search import journal

Folds = tuple[int, ...] | None
Setting = str | int | float


def distributions(ranges: Mapping[str, Range]) -> dict[str, BaseDistribution]:
    """Return the ranges as Optuna's distributions."""
    return {name: FloatDistribution(span.low, span.high, log=span.is_log) for name, span in ranges.items()}


@contextmanager
def quiet() -> Iterator[None]:
    """Drop what Optuna logs on creating a study, in this thread; nobody's log levels are touched."""
    thread = threading.get_ident()

    def is_wanted(record: logging.LogRecord) -> bool:
        return record.levelno >= logging.WARNING or threading.get_ident() != thread

    sources = (optuna.storages.InMemoryStorage, optuna.storages.JournalStorage, optuna.Study)
    loggers = [logging.getLogger(source.__module__) for source in sources]
    for logger in loggers:
        logger.addFilter(is_wanted)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(is_wanted)


class _Backend(journal.JournalFile, BaseJournalBackend):
    """The journal file as Optuna's storage wants it."""


@contextmanager
def opened(storage: str | Path) -> Iterator[Journal]:
    """Open a journal for this run alone, repaired."""
    path = Path(storage).absolute()
    with journal.exclusive(path):
        journal.repair(path)
        try:
            log = Journal(path, optuna.storages.JournalStorage(_Backend(path)))
        except (ValueError, KeyError, TypeError, AttributeError, AssertionError) as error:
            raise journal.damaged(path) from error
        yield log


class Journal:
    """The fits that are stored, and a place for more: one study per kind, one trial per finished fit."""

    def __init__(self, path: Path, storage: optuna.storages.JournalStorage) -> None:
        self.path = path
        self.storage = storage
        self.studies: dict[str, optuna.Study] = {}
        self.stored: dict[tuple[str, str, Folds], Mapping[str, journal.Attribute]] = {}
        for name in optuna.get_all_study_names(storage=storage):
            self.studies[name] = optuna.load_study(study_name=name, storage=storage)
            if name == journal.MAIN_STUDY:
                continue
            for trial in self.studies[name].get_trials(deepcopy=False):
                key = _key(trial.params, trial.user_attrs["seed"])
                folds = trial.user_attrs.get("folds")
                self.stored[name, key, None if folds is None else tuple(folds)] = trial.user_attrs

    def study(self, name: str) -> optuna.Study:
        """Return a study of the file, a new one if it is not there yet."""
        if name not in self.studies:
            with quiet():
                self.studies[name] = optuna.create_study(
                    storage=self.storage, study_name=name, direction="minimize"
                )
        return self.studies[name]

    def claim(self, identity: Mapping[str, Setting]) -> None:
        """Bind the journal to this run's data and settings.

        Raises
        ------
        StorageError
            If it belongs to others.
        """
        main = self.study(journal.MAIN_STUDY)
        earlier = main.user_attrs.get("identity")
        if earlier is None:
            main.set_user_attr("identity", dict(identity))
            return
        differing = [name for name in identity if earlier.get(name) != identity[name]]
        if differing:
            raise StorageError(
                f"storage must be the journal of a run on the same data with the same settings, "
                f"got {str(self.path)!r}: "
                + ", ".join(f"{name} was {earlier.get(name)!r}, now {identity[name]!r}" for name in differing)
                + "; give what it was started with, or delete the file to start anew"
            )

    def find(self, study: str, job: Job, folds: Folds) -> Fit | None:
        """Return the stored fit of a job on these folds (None: on all)."""
        values = self.stored.get((study, _key(job.regularizer.strengths(), job.seed), folds))
        try:
            return None if values is None else journal.decode_fit(values, job)
        except (KeyError, ValueError, TypeError) as error:
            raise journal.damaged(self.path) from error

    def append(
        self,
        study: str,
        fit: Fit,
        value: float | None,
        *,
        number: int = 0,
        ranges: Mapping[str, Range] | None = None,
    ) -> None:
        """Store a finished fit: one trial, written as one line, so it is there whole or not at all.

        Parameters
        ----------
        study : str
            Where :meth:`find` looks for it: the kind, or another name for fits that are no candidates.
        fit : Fit
        value : float or None
            Its mean held-out loss; None: it did not converge.
        number : int
            Its place in the search.
        ranges : mapping of str to Range, optional
            What the strengths were chosen from; None: they were given.
        """
        strengths = fit.job.regularizer.strengths()
        given = {name: Range(low=found, high=found, is_log=False) for name, found in strengths.items()}
        trial = create_trial(
            state=TrialState.FAIL if value is None else TrialState.COMPLETE,
            value=value,
            params=strengths,
            distributions=distributions(given if ranges is None else ranges),
            user_attrs={"number": number, **journal.encode_fit(fit)},
        )
        self.study(study).add_trial(trial)


def _key(strengths: Mapping[str, float], seed: int) -> str:
    """Return what identifies a candidate fit of a kind; numbers as JSON, which keeps every bit."""
    return json.dumps([sorted(strengths.items()), seed])


def read_settings(storage: str | Path) -> dict[str, Setting] | None:
    """Return the settings an earlier run left in its journal, or None if there is no such run.

    Raises
    ------
    StorageError
        If `storage` is not a journal, or is in use.
    """
    if not Path(storage).exists():
        return None
    with opened(storage) as log:
        if journal.MAIN_STUDY not in log.studies:
            return None
        settings: dict[str, Setting] | None = log.study(journal.MAIN_STUDY).user_attrs.get("settings")
        return settings


def write_settings(storage: str | Path, settings: Mapping[str, Setting]) -> None:
    """Leave settings in the journal (the effort chosen, say) for the run that continues this one.

    Raises
    ------
    StorageError
        If `storage` is not a journal, cannot be written, or is in use.
    """
    with opened(storage) as log:
        log.study(journal.MAIN_STUDY).set_user_attr("settings", dict(settings))
