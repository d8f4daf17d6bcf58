"""Rounds of fits: a batch of every search, trained together, the losers stopped after the first folds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from regadvisor.candidates import Range
from regadvisor.deadline import Deadline
from regadvisor.families.base import Family, Fit, Job
from regadvisor.regularizer import Kind
from regadvisor.search.experiment import Results
from regadvisor.search.halving import Stages, merged, survivors

Folds = tuple[int, ...] | None


@dataclass(frozen=True, kw_only=True, eq=False)
class Request:
    """One candidate that a search asked for: it will be trained, read from the journal, or cut."""

    search: Search
    #: Position in the order in which its search asks.
    number: int
    job: Job
    #: The ranges it was chosen from.
    ranges: dict[str, Range]


@dataclass(frozen=True, kw_only=True)
class Standing:
    """What was told so far.

    Attributes
    ----------
    baseline, best : float or None
        Lowest mean losses: of the baseline, and of all kinds. None: nothing was told.
    alone : mapping of str to float
        By name: the best strength of the kind that has no other.
    """

    baseline: float | None = None
    best: float | None = None
    alone: Mapping[str, float] = field(default_factory=dict)


class Search(Protocol):
    """The search of one kind, as the rounds see it."""

    kind: Kind
    #: Fits it will have asked for in the end, as far as is known now.
    n_planned: int

    @property
    def best_value(self) -> float | None:
        """The lowest mean loss told so far."""

    @property
    def leader(self) -> int | None:
        """The candidate with the lowest mean loss told so far, on all folds."""

    @property
    def best_strengths(self) -> Mapping[str, float]:
        """The strengths of the leader; empty if nothing was told."""

    def ask(self, standing: Standing) -> list[Request]:
        """Return the next batch; nothing when the search is done."""

    def tell(self, number: int, fit: Fit | None, value: float | None) -> None:
        """Tell what a candidate gave: no fit if it was cut, no value if it did not converge.

        A fit on some folds alone is that of a candidate that was stopped, and `value` its loss there.
        """


class Log(Protocol):
    """The journal, as the rounds see it."""

    def find(self, study: str, job: Job, folds: Folds) -> Fit | None:
        """Return the stored fit of a job on these folds (None: on all)."""

    def append(
        self,
        study: str,
        fit: Fit,
        value: float | None,
        *,
        number: int = 0,
        ranges: Mapping[str, Range] | None = None,
    ) -> None:
        """Store a finished fit."""


class Rounds:
    """Takes batches from every search, has them trained together and tells what came of it.

    Parameters
    ----------
    family : Family
    measure : Results
        Results without trials: says what a fit's loss is, and whether it counts.
    searches : sequence of Search
    log : Log or None
    progress : callable or None
        Called after every fit with what is going on and the share of the planned fits that are done.
    n_first : int
        Folds that all candidates are trained on before the losers are stopped; 0: none is stopped.
    """

    def __init__(
        self,
        family: Family,
        measure: Results,
        searches: Sequence[Search],
        *,
        log: Log | None = None,
        progress: Callable[[str, float], None] | None = None,
        n_first: int = 0,
    ) -> None:
        folds = measure.prepared.folds
        self.stages = Stages.of(len(folds), n_first, [len(fold.train) for fold in folds])
        #: Losses on the first folds, by kind and number of the candidate.
        self.first_values: dict[Kind, dict[int, float | None]] = {}
        self.family = family
        self.measure = measure
        self.searches = searches
        self.log = log
        self.progress = progress
        self.n_done = 0
        #: Fits that were taken from the log.
        self.n_resumed = 0

    def train_next(self, deadline: Deadline) -> bool:
        """Train one batch of every search; False if no search goes on, or fits were cut."""
        baseline = next((search.best_value for search in self.searches if search.kind == "none"), None)
        told = [search.best_value for search in self.searches if search.best_value is not None]
        best_strengths = [search.best_strengths for search in self.searches]
        alone = {name: value for each in best_strengths if len(each) == 1 for name, value in each.items()}
        standing = Standing(baseline=baseline, best=min(told, default=None), alone=alone)
        requests = interleaved([search.ask(standing) for search in self.searches])
        if self.stages is None:
            is_complete = self._train(requests, None, deadline, self._tell)
        else:
            is_complete = self._train_in_stages(requests, self.stages, deadline)
        # Once something was cut there is no time for more, and a later run may still complete this round.
        return bool(requests) and is_complete

    def _train_in_stages(self, requests: Sequence[Request], stages: Stages, deadline: Deadline) -> bool:
        """Train all on the first folds and the survivors on the rest; whether nothing was cut."""
        found: dict[int, Fit] = {}

        def keep(request: Request, fit: Fit, value: float | None) -> None:
            found[id(request)] = fit
            self.first_values.setdefault(request.search.kind, {})[request.number] = value

        if not self._train(requests, stages.first, deadline, keep):
            for request in requests:
                if id(request) in found:
                    self._tell(request, found[id(request)], self._value(found[id(request)]))
            return False
        leaders = {search.kind: search.leader for search in self.searches}
        goes_on = {kind: survivors(values, leaders[kind]) for kind, values in self.first_values.items()}
        kept = [
            request
            for request in requests
            if request.search.kind == "none" or request.number in goes_on[request.search.kind]
        ]
        surviving = {id(request) for request in kept}
        for request in requests:
            if id(request) not in surviving:
                fit = found[id(request)]
                self._tell(request, fit, self._value(fit))

        def complete(request: Request, fit: Fit, value: float | None) -> None:
            whole = merged(found[id(request)], fit, self.measure.prepared)
            self._tell(request, whole, self._value(whole))

        return self._train(kept, stages.rest, deadline, complete, found)

    def _train(
        self,
        requests: Sequence[Request],
        folds: Folds,
        deadline: Deadline,
        use: Callable[[Request, Fit, float | None], None],
        found: Mapping[int, Fit] | None = None,
    ) -> bool:
        """Train what is not in the log, and use every fit as soon as it is known; whether nothing was cut.

        What is cut is told as far as it was `found` on other folds, by the identity of the request.
        """
        waiting: dict[Job, list[Request]] = {}
        # All jobs, also those in the log: batches are made of all, so that a resumed run makes the same ones.
        jobs = list(dict.fromkeys(request.job for request in requests))
        for request in requests:
            stored = None if self.log is None else self.log.find(request.search.kind, request.job, folds)
            if stored is None:
                waiting.setdefault(request.job, []).append(request)
            else:
                self.n_resumed += 1
                use(request, stored, self._value(stored))

        def on_fit(fit: Fit) -> None:
            for request in waiting.pop(fit.job, ()):
                own = fit if folds is None else replace(fit, folds=folds)
                value = self._value(own)
                if self.log is not None:
                    self.log.append(
                        request.search.kind, own, value, number=request.number, ranges=request.ranges
                    )
                use(request, own, value)

        if waiting:
            some = {} if folds is None else {"folds": folds}
            prepared, known = self.measure.prepared, {job for job in jobs if job not in waiting}
            # What `train` returns has been passed to `on_fit` already, if the family keeps its promise.
            for fit in self.family.train(
                prepared, jobs, deadline=deadline, on_fit=on_fit, known=known, **some
            ):
                on_fit(fit)
        for left_out in waiting.values():
            for request in left_out:
                known = None if found is None else found[id(request)]
                request.search.tell(request.number, known, None if known is None else self._value(known))
        return not waiting

    def _value(self, fit: Fit) -> float | None:
        """Return the mean held-out loss, or None if the fit did not converge."""
        return self.measure.fit_loss(fit) if self.measure.is_usable(fit) else None

    def _tell(self, request: Request, fit: Fit, value: float | None) -> None:
        """Tell a search what its candidate gave."""
        request.search.tell(request.number, fit, value)
        self.n_done += 1
        if self.progress is not None:
            self.progress("training candidates", self.n_done / max(self.n_planned, 1))

    @property
    def n_planned(self) -> int:
        """Fits planned so far, those in widened ranges among them."""
        return sum(search.n_planned for search in self.searches)

    def cut(self) -> str | None:
        """Return what the deadline left out, as a clause."""
        n_left = self.n_planned - self.n_done
        return f"the deadline left out {n_left} of {self.n_planned} candidate fits" if n_left else None


def interleaved(batches: Sequence[Sequence[Request]]) -> list[Request]:
    """Return the first of every batch, then the second of every batch, and so on.

    A deadline that cuts the end of this list still leaves every kind with something.
    """
    longest = max(map(len, batches), default=0)
    return [batch[i] for i in range(longest) for batch in batches if i < len(batch)]
