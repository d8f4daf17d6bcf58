"""The search: one Optuna study per kind, asked in batches that are trained together.

Asking and telling happens in memory and depends on nothing but the seed and the losses told. The
journal is a log beside it: every finished fit is one line. So to resume is to run the same search
again, with the fits that are in the journal taken from there instead of trained: whatever moment the
earlier run was killed at, the result is that of a run that was not.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.storages.journal import BaseJournalBackend
from optuna.trial import TrialState, create_trial

from regadvisor import thresholds
from regadvisor.candidates import Candidate, Range
from regadvisor.deadline import Deadline
from regadvisor.errors import StorageError
from regadvisor.families.base import Family, Fit, Job, Prepared
from regadvisor.regularizer import KINDS, Kind
from regadvisor.search import journal
from regadvisor.search.experiment import Results, Trial
from regadvisor.search.plan import Effort
from regadvisor.search.rounds import Folds, Request, Rounds, Standing
from regadvisor.search.widening import covering, widened

#: Candidates of a kind that are asked for at once after its portfolio.
BATCH = 4
#: Trials before TPE models anything. The portfolio is the start, so this only guards tiny ones.
STARTUP_TRIALS = 3

Setting = str | int | float


@dataclass(frozen=True, kw_only=True, eq=False)
class Tuned:
    """What :func:`tune` found."""

    results: Results
    #: What the deadline cut, as a clause, or None.
    cut: str | None
    #: Fits that were taken from the journal of an earlier run.
    n_resumed: int


def tune(
    family: Family,
    prepared: Prepared,
    effort: Effort,
    *,
    seed: int,
    deadline: Deadline,
    storage: str | Path | None = None,
    fingerprint: str = "",
    weight: NDArray[np.float64] | None = None,
    in_blocks: bool = False,
    progress: Callable[[str, float], None] | None = None,
) -> Tuned:
    """Train the candidates of every kind and search on from the best.

    Parameters
    ----------
    family : Family
    prepared : Prepared
        The sample, from ``family.prepare``.
    effort : Effort
        How many candidates of each kind.
    seed : int
        The same seed gives the same search; every kind's candidates are trained with the same seed.
    deadline : Deadline
        Checked before each round here, and by the family inside one.
    storage : str or Path, optional
        Journal file. If it exists the run it belongs to is continued.
    fingerprint : str
        Identifies the data and the caller's settings; a journal with another one is refused.
    weight : ndarray of float64, shape (n_rows,), optional
        Row weights of the mean held-out loss.
    in_blocks : bool
        Whether the folds have training rows of their own.
    progress : callable, optional
        Called with what is going on and the share of the planned fits that are done.

    Raises
    ------
    StorageError
        If `storage` is not a journal, belongs to other data or settings, or is in use.
    """
    candidates = family.candidates(prepared)
    kinds = [kind for kind in KINDS if kind in family.kinds and kind in candidates]
    searches = [_Search(candidates[kind], effort, effort.trials(family.name, kind), seed) for kind in kinds]
    empty = Results(prepared=prepared, trials=(), weight=weight)
    with ExitStack() as stack:
        log = None if storage is None else stack.enter_context(_open(storage))
        if log is not None:
            log.claim(journal.identity(family, prepared, effort.name, seed, fingerprint))
        rounds = Rounds(
            family,
            empty,
            searches,
            log=log,
            progress=progress,
            n_first=effort.first_folds(family.name, in_blocks=in_blocks),
        )
        is_going_on = True
        while is_going_on and not deadline.expired():
            is_going_on = rounds.train_next(deadline)
    trials = tuple(trial for search in searches for trial in search.finished())
    return Tuned(
        results=replace(empty, trials=trials).on_first_folds, cut=rounds.cut(), n_resumed=rounds.n_resumed
    )


# ------------------------------------------------------------------------------------ one kind's study


class _Search:
    """The study of one kind: its portfolio, then TPE, wider where the best lies on the edge."""

    def __init__(self, candidate: Candidate, effort: Effort, n_trials: int, seed: int) -> None:
        self.kind: Kind = candidate.kind
        self.candidate = candidate
        self.n_planned = n_trials
        self.n_widenings = effort.n_widenings if candidate.ranges else 0
        self.seed = seed
        self.seeds = [int(word) for word in np.random.SeedSequence(seed).generate_state(max(n_trials, 1))]
        points = candidate.portfolio[:n_trials] if candidate.ranges else ({},) * n_trials
        self.queue: list[dict[str, float]] = [dict(point) for point in points]
        self.ranges = {
            name: covering(span, [point[name] for point in self.queue])
            for name, span in candidate.ranges.items()
        }
        self.study = _new_study(self.kind)
        self.n_asked = 0
        self.round = 0
        self.asked: dict[int, optuna.Trial] = {}
        self.fits: dict[int, Fit] = {}
        #: Mean losses of the fits on all folds that converged.
        self.values: dict[int, float] = {}
        self.best_before: float | None = None

    @property
    def best_value(self) -> float | None:
        """The lowest mean loss told so far."""
        return min(self.values.values(), default=None)

    def ask(self, standing: Standing) -> list[Request]:
        """Return the next batch: the portfolio first; nothing when the search is done."""
        if self.round:
            self._widen(standing.baseline)
            if not self.queue and self._is_settled(standing):
                self.n_planned = self.n_asked
        n_wanted = len(self.queue) or min(BATCH, self.n_planned - self.n_asked)
        # Points of the portfolio and of a wider range say where to look, not that looking is of no use.
        self.best_before = None if self.queue else self.best_value
        # Seeded anew for every batch, so that a batch depends only on what was told before it.
        entropy = [self.seed, KINDS.index(self.kind), self.round]
        self.study.sampler = optuna.samplers.TPESampler(
            n_startup_trials=STARTUP_TRIALS, seed=int(np.random.SeedSequence(entropy).generate_state(1)[0])
        )
        for point in self.queue:
            self.study.enqueue_trial(point)
        self.queue = []
        self.round += 1
        return [self._request() for _ in range(n_wanted)]

    def _request(self) -> Request:
        """Ask the study for one candidate. Only the baseline is trained with several seeds."""
        trial = self.study.ask(_distributions(self.ranges))
        self.n_asked += 1
        self.asked[trial.number] = trial
        seed = self.seeds[trial.number] if self.kind == "none" else self.seeds[0]
        job = Job(regularizer=self.candidate.regularizer(trial.params), seed=seed)
        return Request(search=self, number=trial.number, job=job, ranges=dict(self.ranges))

    def tell(self, number: int, fit: Fit | None, value: float | None) -> None:
        """Tell what a candidate gave: no fit if it was cut, no value if it did not converge.

        One that was stopped after the first folds is told as pruned, with its loss there.
        """
        if fit is not None:
            self.fits[number] = fit
        if value is None:
            self.study.tell(number, state=TrialState.FAIL)
        elif fit is not None and fit.folds is not None:
            self.asked[number].report(value, step=len(fit.folds))
            self.study.tell(number, state=TrialState.PRUNED)
        else:
            self.values[number] = value
            self.study.tell(number, value)

    def finished(self) -> list[Trial]:
        """Return the finished trials in the order they were asked for."""
        return [Trial(kind=self.kind, number=number, fit=self.fits[number]) for number in sorted(self.fits)]

    def _widen(self, baseline: float | None) -> None:
        """Widen the ranges on whose edge the best lies, and queue points in what was added.

        Downwards only for a single strength that beats the baseline: else ever less of it leads to a
        simpler kind, which is searched anyway.
        """
        if not self.values or not self.n_widenings:
            return
        best = min(self.values, key=lambda number: (self.values[number], number))
        self.ranges, self.queue = widened(
            self.ranges,
            self.fits[best].job.regularizer.strengths(),
            may_go_down=len(self.ranges) == 1 and (baseline is None or self.values[best] < baseline),
        )
        if self.queue:
            self.n_planned += len(self.queue)
            self.n_widenings -= 1
            self._restart()

    def _is_settled(self, standing: Standing) -> bool:
        """Whether searching on could not change the outcome: far behind, or no longer getting better."""
        if self.best_value is None or standing.best is None:
            return False
        if self.best_value > (1.0 + thresholds.FAR_BEHIND) * standing.best:
            return True
        gained = None if self.best_before is None else self.best_before - self.best_value
        return gained is not None and gained < thresholds.SETTLED_GAIN * abs(self.best_value)

    def _restart(self) -> None:
        """Move what was told to a new study with the present ranges.

        A study may hold trials with different ranges, but multivariate TPE models only parameters whose
        range is the same in all of them; with the old trials restated it goes on modelling all.
        """
        told, self.study = self.study.get_trials(deepcopy=False), _new_study(self.kind)
        distributions = _distributions(self.ranges)
        for trial in told:
            moved = create_trial(
                state=trial.state,
                value=None if trial.state == TrialState.PRUNED else trial.value,
                params=trial.params,
                distributions=distributions,
                intermediate_values=trial.intermediate_values,
            )
            self.study.add_trial(moved)


def _distributions(ranges: Mapping[str, Range]) -> dict[str, BaseDistribution]:
    """Return the ranges as Optuna's distributions."""
    return {name: FloatDistribution(span.low, span.high, log=span.is_log) for name, span in ranges.items()}


def _new_study(kind: Kind) -> optuna.Study:
    """Return an empty study in memory."""
    with _quiet():
        return optuna.create_study(
            storage=optuna.storages.InMemoryStorage(), study_name=kind, direction="minimize"
        )


@contextmanager
def _quiet() -> Iterator[None]:
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


# ----------------------------------------------------------------------------------------- the journal


class _Backend(journal.JournalFile, BaseJournalBackend):
    """The journal file as Optuna's storage wants it."""


@contextmanager
def _open(storage: str | Path) -> Iterator[_Journal]:
    """Open a journal for this run alone, repaired."""
    path = Path(storage).absolute()
    with journal.exclusive(path):
        journal.repair(path)
        try:
            log = _Journal(path, optuna.storages.JournalStorage(_Backend(path)))
        except (ValueError, KeyError, TypeError, AttributeError, AssertionError) as error:
            raise journal.damaged(path) from error
        yield log


class _Journal:
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
            with _quiet():
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

    def find(self, request: Request, folds: Folds) -> Fit | None:
        """Return the stored fit of a request on these folds (None: on all)."""
        job = request.job
        values = self.stored.get((request.search.kind, _key(job.regularizer.strengths(), job.seed), folds))
        try:
            return None if values is None else journal.decode_fit(values, job)
        except (KeyError, ValueError, TypeError) as error:
            raise journal.damaged(self.path) from error

    def append(self, request: Request, fit: Fit, value: float | None) -> None:
        """Store a finished fit: one trial, written as one line, so it is there whole or not at all."""
        trial = create_trial(
            state=TrialState.FAIL if value is None else TrialState.COMPLETE,
            value=value,
            params=request.job.regularizer.strengths(),
            distributions=_distributions(request.ranges),
            user_attrs={"number": request.number, **journal.encode_fit(fit)},
        )
        self.study(request.search.kind).add_trial(trial)


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
    with _open(storage) as log:
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
    with _open(storage) as log:
        log.study(journal.MAIN_STUDY).set_user_attr("settings", dict(settings))
