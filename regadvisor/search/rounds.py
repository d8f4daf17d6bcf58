"""Rounds of fits: a batch of every search, trained together, and every finished fit counts at once.

A round trains what the searches ask for in *legs*. A leg is a set of jobs and a set of folds:

1. The first leg is the chart's own: no regularization, L1+L2, L2 and L1, one strength each, on one fold
   (``halving.opening_folds``). So an answer exists after four small fits.
2. Under a deadline the plan is then made again from what they cost (``halving.affordable``): with too little
   time for all of it, first the folds become fewer, then the candidates.
3. The other legs train the batch on the first folds, and what goes on of each kind on the rest: the better
   third, or in a race what has not lost beyond doubt (``halving.py``).

What is known of a job is the sum of its legs. A deadline, Ctrl-C or an error in one fit ends a leg early:
what is known is told then, and kinds are compared on the folds they share (``Results.on_common_folds``).

To resume is to make the same legs again, with the fits that are in the journal read instead of trained.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from regadvisor import thresholds
from regadvisor.deadline import Deadline
from regadvisor.families.base import Family, Fit, Job, are_unequal
from regadvisor.plan.effort import first_stage
from regadvisor.regularizer import LABELS, Kind, plain_label
from regadvisor.search.halving import (
    affordable,
    going_on,
    interleaved,
    measured_costs,
    merged,
    opening_folds,
    racing,
)
from regadvisor.words import number

if TYPE_CHECKING:
    from regadvisor.search.results import Results
    from regadvisor.search.store import Journal
    from regadvisor.search.tune import Search

Folds = tuple[int, ...]

#: The chart's first fits, in the order in which they are trained.
OPENING: tuple[Kind, ...] = ("none", "elasticnet", "l2", "l1")
#: Of linear models the cheapest comes first, and no regularization later: where it has no minimum, it takes
#: longest.
RACE_OPENING: tuple[Kind, ...] = ("l2", "elasticnet", "none", "l1")


@dataclass(frozen=True, kw_only=True, eq=False)
class Ask:
    """One candidate that a search asked for: it will be trained, read from the journal, or cut."""

    search: Search
    #: Position in the order in which its search asks.
    number: int
    job: Job

    @property
    def kind(self) -> Kind:
        """The kind that is searched."""
        return self.search.kind


@dataclass(frozen=True, kw_only=True)
class Standing:
    """The lowest mean losses told so far: of the baseline, and of all kinds. None: nothing was told."""

    baseline: float | None = None
    best: float | None = None
    #: Whether the baseline is a best fit, not the limit of ever weaker penalties.
    has_baseline: bool = True


class _NotTheFitsError(Exception):
    """What is done with a finished fit went wrong, not the fit; its cause is raised in the end."""


class Rounds:
    """Takes batches from every search, has them trained together and tells what came of it.

    `measure`: results without trials: says what a fit's loss is, and whether it counts. `progress`: called
    after every fit with the best so far and the share of the planned fits that are done. `n_first`: folds
    that all candidates are trained on before the losers are stopped; 0: none is stopped. `n_begun`,
    `is_race`: see :class:`~regadvisor.plan.plan.Plan`.
    """

    def __init__(
        self,
        family: Family,
        measure: Results,
        searches: Sequence[Search],
        *,
        deadline: Deadline,
        log: Journal | None = None,
        progress: Callable[[str, float], None] | None = None,
        n_first: int = 0,
        n_begun: int = 0,
        is_race: bool = False,
    ) -> None:
        #: The folds to train on, in this order, and how many there are to be.
        self.folds: Folds = measure.order[: n_begun or None]
        self._n_wanted = len(self.folds)
        n_trained = [len(fold.train) for fold in measure.prepared.folds]
        # One stretch of time is like no other, so at least two are looked at.
        self._n_first = max(n_first, 2) if n_first and are_unequal(n_trained) else n_first
        self._is_race = is_race
        self._asked: dict[Kind, dict[int, Job]] = {}  # by number
        self.family = family
        self.measure = measure
        self.searches = searches
        self.deadline = deadline
        self.log = log
        self.progress = progress
        self.known: dict[Job, Fit] = {}
        self.failed: dict[Job, Exception] = {}
        #: Candidates that were told with all that was planned for them, by kind.
        self.n_done: Counter[Kind] = Counter()
        self.is_interrupted, self._share = False, 0.0
        #: The lowest loss so far and its kind, by the folds that it is the mean over: only those compare.
        self._best: dict[Folds, tuple[float, Kind]] = {}
        self._n_left_out = 0  # candidates that a plan made anew left out
        self._is_open = True

    def train_next(self) -> bool:
        """Train one batch of every search; False if no search goes on, or fits were cut."""
        requests = interleaved([search.ask(self._standing()) for search in self.searches])
        try:
            kept = self._open(requests) if self._is_open else requests
            whole, losers = self._train_in_stages(kept)
        except KeyboardInterrupt:
            self.interrupt()
            whole, losers = requests, []
        stopped = {id(request) for request in losers}
        for request in requests:
            self._tell(request, is_stopped=id(request) in stopped)
        # Once something was cut there is no time for more, and a later run may still complete this round.
        return bool(requests) and all(self._is_complete(request, self.folds) for request in whole)

    def interrupt(self) -> None:
        """End the search, for Ctrl-C; what is known counts."""
        self.deadline.cancel()
        self.is_interrupted = True

    def _standing(self) -> Standing:
        none = next((search for search in self.searches if search.kind == "none"), None)
        told = [search.best_value for search in self.searches if search.best_value is not None]
        return Standing(
            baseline=None if none is None else none.best_value,
            best=min(told, default=None),
            has_baseline=none is None or not any(fit.is_limit for fit in none.fits.values()),
        )

    @property
    def may_widen(self) -> bool:
        """Whether there are more folds to train on, and nothing was cut on those that are known."""
        # Also where the time is up: then nothing is trained, and the cut says which folds were used.
        return len(self.folds) == self._n_wanted < len(self.measure.order) and not self._n_left_out

    def widen(self) -> None:
        """Train what may tie with the best of its kind on one more fold, and let the searches know."""
        self._n_wanted += 1
        folds, measure = self.measure.order[: self._n_wanted], replace(self.measure, folds=self.folds)
        bar = {"by": thresholds.SAME_REGION, "se": thresholds.LOST_SE}
        lasting = []
        for search in self.searches:
            is_none = search.kind == "none"  # which always counts
            jobs = {number: fit.job for number, fit in search.fits.items()}
            whole = {
                number: self.known[job] for number, job in jobs.items() if self.known[job].covers(self.folds)
            }
            usable = {number: fit for number, fit in whole.items() if measure.is_usable(fit)}
            goes_on = whole if is_none else racing(usable, measure, **bar)
            lasting.append([Ask(search=search, number=number, job=jobs[number]) for number in goes_on])
        requests = interleaved(lasting)
        try:
            is_trained = self._train(requests, folds)
        except KeyboardInterrupt:
            self.interrupt()
            is_trained = False
        for request in requests:
            request.search.fits[request.number] = self.known[request.job]
        if is_trained:
            self.folds = folds

    def _open(self, requests: Sequence[Ask]) -> list[Ask]:
        """Train the chart's first fits, and return the requests that there is time for."""
        self._is_open = False
        first: dict[Kind, Ask] = {}
        for request in requests:
            first.setdefault(request.kind, request)
        order = RACE_OPENING if self._is_race else OPENING
        opening = [first[kind] for kind in order if kind in first]
        is_hurried, had_s = self.deadline.is_finite, self.deadline.left_s
        # How many a race stops is not known before: as if it stopped none.
        stages = {"n_folds": len(self.folds), "n_first": 0 if self._is_race and is_hurried else self._n_first}
        n_folds = opening_folds(self.n_planned, len(opening), is_hurried=is_hurried, **stages)
        if not n_folds:
            return list(requests)
        # Training two at a time takes longer than all four at once, but has something to show sooner.
        for some in (opening[:2], opening[2:]) if is_hurried else (opening,):
            if not self._train(some, self.folds[:n_folds]):
                return opening
        if not is_hurried:
            return list(requests)
        fit_s = {
            request.kind: self.known[request.job].fit_s for request in opening if request.job in self.known
        }
        # Workers (``elsewhere.py``) start while the first fits wait, which no later fit does again.
        speed_up: float | None = getattr(self.family, "speed_up", None)
        # What they took of the time that is left: on a busy machine a patient deadline leaves more of it.
        took_s = had_s - self.deadline.left_s if speed_up is None else sum(fit_s.values()) / speed_up
        costs = measured_costs(fit_s, took_s=took_s / n_folds)
        planned = Counter({search.kind: search.n_planned for search in self.searches})
        n_folds, n_kept_of = affordable(planned, costs, left_s=self.deadline.left_s, **stages)
        self.folds = self.folds[:n_folds]
        place: Counter[Kind] = Counter()
        kept = []
        for request in requests:
            place[request.kind] += 1
            if place[request.kind] <= n_kept_of[request.kind]:
                kept.append(request)
        self._n_left_out = planned.total() - sum(n_kept_of.values())
        for search in self.searches:
            search.n_planned = n_kept_of[search.kind]
        return kept

    def _train_in_stages(self, requests: Sequence[Ask]) -> tuple[list[Ask], list[Ask]]:
        """Train all on the first folds and the survivors on the rest; return survivors and losers."""
        first = first_stage(self.folds, self._n_first, fewest_later=1 if self._is_race else 2)
        if not self._train(requests, first or self.folds) or not first:
            return list(requests), []
        goes_on, measure = {}, replace(self.measure, folds=first)
        for search in self.searches:
            asked = self._asked.setdefault(search.kind, {})
            asked |= {request.number: request.job for request in requests if request.search is search}
            fits = {number: self.known.get(job) for number, job in asked.items()}
            goes_on[search.kind] = going_on(fits, measure, leader=search.leader, is_race=self._is_race)
        kept = [
            request
            for request in requests
            if request.kind == "none" or request.number in goes_on[request.kind]
        ]
        self._train(kept, self.folds)
        staying = {id(request) for request in kept}
        return kept, [request for request in requests if id(request) not in staying]

    def _train(self, requests: Sequence[Ask], folds: Folds) -> bool:
        """Train what is not known of the requests on these folds; whether nothing was cut."""
        for lacking, some in self._by_lacking(requests, folds).items():
            stored = self._read(some, lacking)
            if len(stored) < len(some) and not self.deadline.expired():
                self._train_leg(list(some), lacking, some, stored)
        return all(self._is_complete(request, folds) for request in requests)

    def _by_lacking(self, requests: Sequence[Ask], folds: Folds) -> dict[Folds, dict[Job, list[Ask]]]:
        """Return the jobs by the folds that they lack."""
        groups: dict[Folds, dict[Job, list[Ask]]] = {}
        for request in requests:
            known = self.known.get(request.job)
            lacking = tuple(fold for fold in folds if known is None or not known.covers((fold,)))
            if lacking and request.job not in self.failed:
                groups.setdefault(lacking, {}).setdefault(request.job, []).append(request)
        return groups

    def _train_leg(
        self, jobs: Sequence[Job], folds: Folds, some: Mapping[Job, list[Ask]], stored: Collection[Job] = ()
    ) -> None:
        """Train jobs on folds, except those that are `stored`; where one fails, each is trained alone."""
        is_all = len(folds) == len(self.measure.prepared.folds)

        def on_fit(fit: Fit) -> None:
            own = fit if fit.folds is not None else replace(fit, folds=folds)
            if fit.job in self.known and self.known[fit.job].covers(own.folds):
                return  # told already
            self._keep(own)
            try:
                if self.log is not None:
                    is_whole = is_all and len(own.folds or ()) == len(folds)
                    self.log.append(some[fit.job][0].kind, replace(own, folds=None) if is_whole else own)
                self._say()
            except Exception as error:  # a full disk, a progress that cancels: no fault of the fit
                raise _NotTheFitsError from error

        only = {} if is_all else {"folds": folds}
        try:
            # All jobs, also those in the log: batches are made of all, so that a resumed run makes the same.
            # What `train` returns has been passed to `on_fit` already, if the family keeps its promise.
            prepared = self.measure.prepared
            for fit in self.family.train(
                prepared, jobs, deadline=self.deadline, on_fit=on_fit, known=stored, **only
            ):
                on_fit(fit)
        except _NotTheFitsError as error:
            raise error.__cause__ or error from None
        except Exception as error:  # whatever a caller's own module or loss may raise
            left = [job for job in jobs if job not in self.known or not self.known[job].covers(folds)]
            if len(jobs) == 1:
                self.failed[jobs[0]] = error
            else:
                for job in left:
                    self._train_leg([job], folds, some)

    def _read(self, some: Mapping[Job, list[Ask]], folds: Folds) -> set[Job]:
        """Take what the log holds of these jobs on these folds; return the jobs that lack nothing then."""
        if self.log is None:
            return set()
        found = set()
        for job, (request, *_) in some.items():
            prepared = self.measure.prepared
            is_all = len(folds) == len(prepared.folds)
            stored = self.log.find(request.kind, job, None if is_all else folds, prepared)
            if stored is not None:
                self._keep(stored if stored.folds is not None else replace(stored, folds=folds))
                found.add(job)
        return found

    def _keep(self, fit: Fit) -> None:
        """Add what a leg found to what is known of a job."""
        before = self.known.get(fit.job)
        if before is not None:
            fit = merged(before, fit, self.measure.prepared)
        elif len(fit.folds or ()) == len(self.measure.prepared.folds):
            fit = replace(fit, folds=None)
        self.known[fit.job] = fit
        loss, folds = self._value(fit), tuple(sorted(fit.folds or self.folds))
        if loss is not None and loss < self._best.get(folds, (math.inf,))[0]:
            self._best[folds] = (loss, fit.job.kind)

    def _is_complete(self, request: Ask, folds: Folds) -> bool:
        """Whether nothing was cut of a request on these folds: it is known, or failed."""
        known = self.known.get(request.job)
        return request.job in self.failed or (known is not None and known.covers(folds))

    def _tell(self, request: Ask, *, is_stopped: bool) -> None:
        """Tell a search what is known of its candidate."""
        known = self.known.get(request.job)
        is_whole = known is not None and known.covers(self.folds)
        if is_whole or (is_stopped and known is not None):
            self.n_done[request.kind] += 1
        value = None if known is None else self._value(known)
        fold_losses = [
            self._value(known, (fold,)) if known is not None and known.covers((fold,)) else None
            for fold in self.folds
        ]
        is_cut = known is None and request.job not in self.failed
        request.search.tell(request.number, known, value, fold_losses, is_cut=is_cut)
        self._say()

    def _value(self, fit: Fit, folds: Folds | None = None) -> float | None:
        """Return the mean held-out loss, or that on some folds; None if the fit did not converge."""
        measure = self.measure if folds is None else replace(self.measure, folds=folds)
        return measure.fit_loss(fit) if measure.is_usable(fit) else None

    def _say(self) -> None:
        if self.progress is not None:
            n_fold_fits = sum(len(fit.folds or self.folds) for fit in self.known.values())
            share = max(self.n_done.total(), n_fold_fits / len(self.folds)) / max(self.n_planned, 1)
            self._share = max(self._share, min(1.0, share))  # more may be planned, but a bar only grows
            stage = "training"
            if self._best:
                folds, (loss, kind) = max(self._best.items(), key=lambda best: len(best[0]))
                name = kind if kind == "none" else plain_label(kind)
                stage += f", best so far: {name} (loss {number(loss)}, {len(folds)}/{len(self.folds)} folds)"
            self.progress(stage, self._share)

    @property
    def n_planned(self) -> int:
        """Fits planned so far, those asked for after the portfolios among them."""
        return sum(search.n_planned for search in self.searches)

    def cut(self) -> str | None:
        """Return what was not trained of what was planned, as a clause that names what was."""
        n_wanted, n_done = self.n_planned + self._n_left_out, self.n_done.total()
        n_all = len(self.measure.prepared.folds)
        is_cut = n_done + len(self.failed) < n_wanted or len(self.folds) < self._n_wanted
        if not is_cut and not self.failed:
            return None
        parts = []
        if is_cut:
            cause = "Ctrl-C came" if self.is_interrupted else "the time was up"
            done = ", ".join(f"{LABELS[kind]} {self.n_done[kind]}" for kind in LABELS if self.n_done[kind])
            parts.append(f"{cause} after {n_done} of {n_wanted} fits ({done or 'none on all folds'})")
        if len(self.folds) < self._n_wanted:
            parts.append(f"only {len(self.folds)} of {n_all} folds were used")
        if self.failed:
            error = next(iter(self.failed.values()))
            parts.append(f"{len(self.failed)} fits failed ({type(error).__name__}: {error})")
        return "; ".join(parts)
