"""The search: one Optuna study per kind, asked in batches that are trained together.

Asking and telling happens in memory and depends on nothing but the seed and the losses told. The
journal is a log beside it, of finished fits. So to resume is to run the same search
again, with the fits that are in the journal taken from there instead of trained: whatever moment the
earlier run was killed at, the result is that of a run that was not.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.trial import TrialState, create_trial

from regadvisor import thresholds
from regadvisor.candidates import Candidate, Range
from regadvisor.deadline import Deadline
from regadvisor.families.base import Family, Fit, Job, Prepared
from regadvisor.full_size.cost import carried_loss
from regadvisor.plan.effort import Effort
from regadvisor.plan.plan import Plan
from regadvisor.regularizer import KINDS, Kind
from regadvisor.search.identity import identity
from regadvisor.search.refining import between, mixed
from regadvisor.search.results import Results, Trial
from regadvisor.search.rounds import Ask, Rounds, Standing
from regadvisor.search.store import opened
from regadvisor.search.widening import covering, widened

#: Candidates of a kind that are asked for at once after its portfolio.
BATCH = 4
#: Trials before TPE models anything. The portfolio is the start, so this only guards tiny ones.
STARTUP_TRIALS = 3


@dataclass(frozen=True, kw_only=True, eq=False)
class Tuned:
    """What :func:`tune` found."""

    results: Results
    #: What the deadline cut, as a clause, or None.
    cut: str | None
    #: Fits that were taken from the journal of an earlier run.
    n_resumed: int
    #: Whether Ctrl-C ended the search.
    is_interrupted: bool = False


def tune(
    family: Family,
    prepared: Prepared,
    plan: Plan,
    *,
    seed: int,
    deadline: Deadline,
    storage: str | Path | None = None,
    fingerprint: str = "",
    weight: NDArray[np.float64] | None = None,
    progress: Callable[[str, float], None] | None = None,
) -> Tuned:
    """Train the candidates of every kind and search on from the best.

    Parameters
    ----------
    family : Family
    prepared : Prepared
        The sample, from ``family.prepare``.
    plan : Plan
        How many candidates of each kind, on which folds first. Kinds are searched for as long as they may
        win on all rows.
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
    progress : callable, optional
        Called with what is going on and the share of the planned fits that are done.

    Raises
    ------
    StorageError
        If `storage` is not a journal, belongs to other data or settings, or is in use.
    KeyboardInterrupt
        If it came before the first fit was finished. Later it ends the search, and what is known counts.
    Exception
        If every fit failed: what the first one raised.
    """
    candidates = family.candidates(prepared)
    kinds = [kind for kind in KINDS if kind in plan.trials and kind in candidates]
    empty = Results(prepared=prepared, trials=(), weight=weight)
    searches = [
        _Search(
            candidates[kind],
            plan.effort,
            plan.trials[kind],
            seed,
            is_mixed=kind in plan.mixed,
            carried=partial(carried_loss, cost=plan.carry_costs.get(kind, 0.0), constant=empty.constant_loss),
        )
        for kind in kinds
    ]
    with ExitStack() as stack:
        log = None if storage is None else stack.enter_context(opened(storage))
        if log is not None:
            log.claim(identity(family, prepared, plan.effort.name, seed, fingerprint))
        rounds = Rounds(
            family,
            empty,
            searches,
            deadline=deadline,
            log=log,
            progress=progress,
            n_first=plan.n_first,
        )
        is_going_on = True
        while is_going_on and not deadline.expired():
            is_going_on = rounds.train_next()
    if not rounds.known:
        _raise_the_cause(rounds)
    trials = tuple(trial for search in searches for trial in search.finished())
    return Tuned(
        results=replace(empty, trials=trials).on_common_folds,
        cut=rounds.cut(),
        n_resumed=rounds.n_resumed,
        is_interrupted=rounds.is_interrupted,
    )


def _raise_the_cause(rounds: Rounds) -> None:
    """Raise what kept every fit from being finished, if it was not the time."""
    if rounds.is_interrupted:
        raise KeyboardInterrupt
    if rounds.failed:
        raise next(iter(rounds.failed.values()))


# ------------------------------------------------------------------------------------ one kind's study


class _Search:
    """The study of one kind: its portfolio, then TPE, wider where the best lies on the edge."""

    def __init__(
        self,
        candidate: Candidate,
        effort: Effort,
        n_trials: int,
        seed: int,
        *,
        is_mixed: bool,
        carried: Callable[[float], float],
    ) -> None:
        self.kind: Kind = candidate.kind
        #: Loss on the sample → loss expected once the strengths are carried to all rows.
        self.carried = carried
        self.candidate = candidate
        self.n_planned = n_trials
        self.n_widenings = effort.n_widenings if candidate.ranges else 0
        self.n_refinements = effort.n_refinements if candidate.ranges else 0
        #: Whether a mix is still to be tried.
        self.is_mixed = is_mixed
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
        """The lowest mean loss told so far, with what carrying it to all rows is expected to add."""
        lowest = min(self.values.values(), default=None)
        return None if lowest is None else self.carried(lowest)

    @property
    def leader(self) -> int | None:
        """The candidate with the lowest mean loss told so far, on all folds."""
        return min(self.values, key=lambda number: (self.values[number], number), default=None)

    @property
    def best_strengths(self) -> Mapping[str, float]:
        """The strengths of the leader; empty if nothing was told."""
        return {} if self.leader is None else self.fits[self.leader].job.regularizer.strengths()

    def ask(self, standing: Standing) -> list[Ask]:
        """Return the next batch: the portfolio first; nothing when the search is done."""
        if self.round:
            self._widen(standing.baseline)
            self._mix(standing)
            if not self.queue:
                self._refine(standing)
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

    def _request(self) -> Ask:
        """Ask the study for one candidate. Only the baseline is trained with several seeds."""
        trial = self.study.ask(_distributions(self.ranges))
        self.n_asked += 1
        self.asked[trial.number] = trial
        seed = self.seeds[trial.number] if self.kind == "none" else self.seeds[0]
        job = Job(regularizer=self.candidate.regularizer(trial.params), seed=seed)
        return Ask(search=self, number=trial.number, job=job)

    def tell(self, number: int, fit: Fit | None, value: float | None, *, is_stopped: bool = False) -> None:
        """Tell what a candidate gave: no fit if it was cut, no value if it did not converge.

        One that was stopped before the last fold is told as pruned, with its loss so far.
        """
        if fit is not None:
            self.fits[number] = fit
        if value is None:
            self.study.tell(number, state=TrialState.FAIL)
        elif is_stopped:
            self.asked[number].report(value, step=len(fit.folds or ()) if fit is not None else 0)
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
        self.ranges, self.queue = widened(
            self.ranges,
            self.best_strengths,
            may_go_down=len(self.ranges) == 1 and (baseline is None or min(self.values.values()) < baseline),
        )
        if self.queue:
            self.n_planned += len(self.queue)
            self.n_widenings -= 1
            self._restart()

    def _mix(self, standing: Standing) -> None:
        """Queue what combines the strengths that are best alone, once: after the portfolios."""
        if not self.is_mixed:
            return
        self.is_mixed = False
        points = mixed(self.ranges, standing.alone, [*self._tried(), *self.queue])
        self.queue += points
        self.n_planned += len(points)

    def _refine(self, standing: Standing) -> None:
        """Queue points next to the best, if this kind is among those that may win."""
        if not self.values or not self.n_refinements or standing.best is None or self.best_value is None:
            return
        if self.best_value > (1.0 + thresholds.REFINED_WITHIN) * standing.best:
            return
        self.queue = between(self.ranges, self.best_strengths, self._tried())
        self.n_planned += len(self.queue)
        self.n_refinements -= 1

    def _tried(self) -> list[dict[str, float]]:
        """Return the strengths of all fits so far."""
        return [fit.job.regularizer.strengths() for fit in self.fits.values()]

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
        spans = _distributions(self.ranges)
        for trial in told:
            moved = create_trial(
                state=trial.state,
                value=None if trial.state == TrialState.PRUNED else trial.value,
                params=trial.params,
                distributions=spans,
                intermediate_values=trial.intermediate_values,
            )
            self.study.add_trial(moved)


def _new_study(kind: Kind) -> optuna.Study:
    """Return an empty study in memory."""
    with _quiet():
        return optuna.create_study(
            storage=optuna.storages.InMemoryStorage(), study_name=kind, direction="minimize"
        )


def _distributions(ranges: Mapping[str, Range]) -> dict[str, BaseDistribution]:
    """Return the ranges as Optuna's distributions."""
    return {name: FloatDistribution(span.low, span.high, log=span.is_log) for name, span in ranges.items()}


@contextmanager
def _quiet() -> Iterator[None]:
    """Drop what Optuna logs on creating a study, in this thread; nobody's log levels are touched."""
    thread = threading.get_ident()

    def is_wanted(record: logging.LogRecord) -> bool:
        return record.levelno >= logging.WARNING or threading.get_ident() != thread

    sources = (optuna.storages.InMemoryStorage, optuna.Study)
    loggers = [logging.getLogger(source.__module__) for source in sources]
    for logger in loggers:
        logger.addFilter(is_wanted)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(is_wanted)
