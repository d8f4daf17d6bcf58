"""The search: one Optuna study per kind, asked in batches that are trained together.

Asking and telling happens in memory and depends on nothing but the seed and the losses told. The
journal is a log beside it, of finished fits. So to resume is to run the same search
again, with the fits that are in the journal taken from there instead of trained: whatever moment the
earlier run was killed at, the result is that of a run that was not.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import fields, is_dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution
from optuna.trial import TrialState

from regadvisor import thresholds
from regadvisor.candidates import Candidate
from regadvisor.deadline import Deadline
from regadvisor.families.base import Family, Fit, Fold, Job, Prepared
from regadvisor.families.estimator.names import code_mark, text_of
from regadvisor.full_size import rescaled_loss
from regadvisor.plan.effort import Effort
from regadvisor.plan.plan import Plan
from regadvisor.regularizer import KINDS, Kind
from regadvisor.search.results import Results
from regadvisor.search.rounds import Ask, Rounds, Standing
from regadvisor.search.sampler import FOLD_LOSSES, IS_CUT, Surrogate
from regadvisor.search.store import opened
from regadvisor.search.study import distribution, new_study

#: Candidates of a kind that are asked for at once after its portfolio, and in a race at its beginning.
BATCH, FIRST_OF_RACE = 2, 3


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
    is_enough: Callable[[Results], bool] = lambda results: False,
) -> Results:
    """Train the candidates of every kind and search on from the best.

    `prepared`: the sample, from ``family.prepare``.
    `plan`: how many candidates of each kind, on which folds first. Kinds are searched for as long as they may
    win on all rows.
    `seed`: the same seed gives the same search; every kind's candidates are trained with the same seed.
    `deadline`: checked before each round here, and by the family inside one.
    `storage`: journal file. If it exists the run it belongs to is continued.
    `fingerprint`: identifies the data and the caller's settings; a journal with another one is refused.
    `weight` (n_rows,): row weights of the mean held-out loss.
    `progress`: called with what is going on and the share of the planned fits that are done.
    `is_enough`: asked after the folds to begin with, and after each further one, whether more are needed.

    Raises StorageError if `storage` is not a journal, belongs to other data or settings, or is in use;
    KeyboardInterrupt if it came before the first fit was finished. Later it ends the search, and what is
    known counts; Exception if every fit failed: what the first one raised.
    """
    candidates = family.candidates(prepared)
    kinds = [kind for kind in KINDS if kind in plan.trials and kind in candidates]
    empty = Results(prepared=prepared, weight=weight)
    searches = [
        Search(
            candidates[kind],
            plan.effort,
            plan.trials[kind],
            seed,
            is_race=plan.is_race,
            rescaled=partial(
                rescaled_loss, cost=plan.rescaling_costs.get(kind, 0.0), constant=empty.constant_loss
            ),
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
            n_begun=plan.n_begun,
            is_race=plan.is_race,
        )
        try:
            is_going_on = True
            while is_going_on and not deadline.expired():
                is_going_on = rounds.train_next()
            found = _results(empty, rounds)
            while rounds.may_widen and found.by_kind and not is_enough(found):
                rounds.widen()
                found = _results(empty, rounds)
        except KeyboardInterrupt:  # between two rounds
            rounds.interrupt()
            found = _results(empty, rounds)
    if not rounds.known:
        _raise_the_cause(rounds)
    return found


def _results(empty: Results, rounds: Rounds) -> Results:
    """Return what the searches know, as they asked for it, on the folds that all kinds share."""
    fits = tuple(search.fits[number] for search in rounds.searches for number in sorted(search.fits))
    return replace(empty, fits=fits, cut=rounds.cut()).on_common_folds


def _raise_the_cause(rounds: Rounds) -> None:
    """Raise what kept every fit from being finished, if it was not the time."""
    if rounds.is_interrupted:
        raise KeyboardInterrupt
    if rounds.failed:
        raise next(iter(rounds.failed.values()))


class Search:
    """The study of one kind: its portfolio, then what its sampler finds worth asking for."""

    def __init__(
        self,
        candidate: Candidate,
        effort: Effort,
        n_trials: int,
        seed: int,
        *,
        is_race: bool,
        rescaled: Callable[[float], float],
    ) -> None:
        self.kind: Kind = candidate.kind
        #: Loss on the sample → loss expected once the strengths are rescaled to all rows.
        self.rescaled = rescaled
        self.candidate = candidate
        #: Rounds after the portfolio.
        self.n_rounds = effort.n_rounds if candidate.ranges else 0
        self.seeds = [int(word) for word in np.random.SeedSequence(seed).generate_state(max(n_trials, 1))]
        self.portfolio = candidate.portfolio[:n_trials] if candidate.ranges else ({},) * n_trials
        #: Fits it will have asked for in the end, as far as is known now.
        self.n_planned = len(self.portfolio)
        self.sampler = Surrogate()
        self.study = new_study(self.kind, self.sampler)
        self.space: dict[str, BaseDistribution] = {
            name: distribution(span, [point[name] for point in self.portfolio])
            for name, span in candidate.ranges.items()
        }
        #: What is left of the portfolio, and how much of it is asked for next.
        self.pending = list(self.portfolio)
        self.n_next = FIRST_OF_RACE if is_race else len(self.portfolio)
        #: Candidates that were stopped.
        self.lost: set[int] = set()
        self.fits: dict[int, Fit] = {}
        self.trials: dict[int, optuna.Trial] = {}
        #: Mean losses of the fits on all folds that converged.
        self.values: dict[int, float] = {}

    @property
    def best_value(self) -> float | None:
        """The lowest mean loss told so far, with what rescaling it to all rows is expected to add."""
        lowest = min(self.values.values(), default=None)
        return None if lowest is None else self.rescaled(lowest)

    @property
    def leader(self) -> int | None:
        """The candidate with the lowest mean loss told so far, on all folds."""
        return min(self.values, key=lambda number: (self.values[number], number), default=None)

    def ask(self, standing: Standing) -> list[Ask]:
        """Return the next batch: the portfolio first; nothing when the search is done."""
        # The rounds may have planned anew, for fewer candidates.
        self.pending = self.pending[: max(self.n_planned - len(self.trials), 0)]
        while self.pending:
            batch, self.pending = self.pending[: self.n_next], self.pending[self.n_next :]
            self.n_next = 1
            promising = [point for point in batch if not self._is_behind_lost(point)]
            self.n_planned -= len(batch) - len(promising)
            if promising:
                return [self._request(point) for point in promising]
        if not self.n_rounds or not self._pays(standing):
            return []
        self.n_rounds -= 1
        self.n_planned += BATCH
        return [self._request() for _ in range(BATCH)]

    def _request(self, point: Mapping[str, float] | None = None) -> Ask:
        """Ask the study for a given candidate, or for the one that its sampler proposes."""
        if point is not None:
            self.study.enqueue_trial(dict(point))
        trial = self.study.ask(self.space)
        self.trials[trial.number] = trial
        # Only the baseline is trained with several seeds.
        seed = self.seeds[trial.number] if self.kind == "none" else self.seeds[0]
        job = Job(regularizer=self.candidate.regularizer(trial.params), seed=seed)
        return Ask(search=self, number=trial.number, job=job)

    def tell(
        self,
        number: int,
        fit: Fit | None,
        value: float | None,
        fold_losses: Sequence[float | None] = (),
        *,
        is_cut: bool = False,
    ) -> None:
        """Tell what a candidate gave: no fit if nothing is known of it, no value if it did not converge.

        One that was stopped lacks folds that others have, and is told as pruned: their losses are None, and
        `value` is that of the folds that it has. One that was cut was never tried: it says nothing.
        """
        if fit is not None:
            self.fits[number] = fit
        self.trials[number].set_user_attr(FOLD_LOSSES, list(fold_losses))
        self.trials[number].set_user_attr(IS_CUT, is_cut)
        if value is None:
            self.study.tell(number, state=TrialState.FAIL)
        elif None in fold_losses:
            self.lost.add(number)
            self.study.tell(number, state=TrialState.PRUNED)
        else:
            self.values[number] = value
            self.study.tell(number, value)

    def _is_behind_lost(self, point: Mapping[str, float]) -> bool:
        """Whether what was stopped lies between the leader and a point: losses rise on from there."""
        if self.leader is None:
            return False
        best = self.trials[self.leader].params

        def is_between(lost: Mapping[str, float]) -> bool:
            return all(sorted((best[name], lost[name], point[name]))[1] == lost[name] for name in point)

        return any(is_between(self.trials[number].params) for number in self.lost)

    def _pays(self, standing: Standing) -> bool:
        """Whether this kind is among those that may win, and another round is expected to gain enough."""
        if self.best_value is None or standing.best is None:
            return False
        lowest = min(self.values.values())
        # Ever less of a combination, or of what does not help, is a simpler kind, which is searched anyway.
        # Where there is no best fit without a penalty, ever less L2 is not another kind.
        is_nearest = self.kind == "l2" and not standing.has_baseline
        if is_nearest:  # and the lowest loss is that of the weakest strength tried
            tried = {number: trial.params["l2"] for number, trial in self.trials.items()}
            is_nearest = self.leader is not None and tried[self.leader] <= min(tried.values())
        helps = is_nearest or standing.baseline is None or lowest < standing.baseline
        within = math.inf if is_nearest else thresholds.SEARCHED_WITHIN * abs(standing.best)
        if self.best_value > standing.best + within:
            return False
        self.sampler.may_go_down = len(self.space) == 1 and helps
        return self.sampler.best_guess(self.study)[1] > thresholds.SETTLED_GAIN * abs(lowest)


def folds_digest(folds: Sequence[Fold]) -> str:
    """Return a short hash of the folds: fits may be compared only if they share them."""
    digest = hashlib.sha256()
    for fold in folds:
        for rows in (fold.train, fold.test):
            digest.update(len(rows).to_bytes(8, "little"))
            digest.update(np.ascontiguousarray(rows, dtype="<i8").tobytes())
    return digest.hexdigest()[:16]


def identity(
    family: Family, prepared: Prepared, effort: str, seed: int, fingerprint: str
) -> dict[str, str | int | float]:
    """Return what two runs must share for their fits to be exchangeable, by the name people know it."""
    return {
        "model": family.name,
        "recipe": _described(getattr(family, "recipe", None)),
        "module": _described(getattr(family, "model", None)),
        "effort": effort,
        "random_state": seed,
        "rows": prepared.n_rows,
        "folds": folds_digest(prepared.folds),
        "fingerprint": fingerprint,
    }


def _described(value: object) -> str:
    """Return a recipe or a module as text that is the same in another process: no addresses."""
    if value is None or isinstance(value, str):
        return str(value)
    if is_dataclass(value):
        parts = (f"{each.name}={_described(getattr(value, each.name))}" for each in fields(value))
        return f"{type(value).__name__}({', '.join(parts)})"
    if isinstance(value, int | float | tuple):
        return repr(value)
    if hasattr(value, "get_params"):
        return text_of(value)
    name = getattr(value, "__qualname__", None)
    # A module tells its layers, a function or class its name.
    if name is None:
        return re.sub(r" at 0x[0-9a-f]+", "", repr(value))
    return f"{value.__module__}.{name}{code_mark(value)}"
