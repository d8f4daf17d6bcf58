"""Rounds of fits: a batch of every search, trained together, each fit told as soon as it is known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from regadvisor.candidates import Range
from regadvisor.deadline import Deadline
from regadvisor.families.base import Family, Fit, Job
from regadvisor.regularizer import Kind
from regadvisor.search.experiment import Results


@dataclass(frozen=True, kw_only=True, eq=False)
class Request:
    """One candidate that a search asked for: it will be trained, read from the journal, or cut."""

    search: Search
    #: Position in the order in which its search asks.
    number: int
    job: Job
    #: The ranges it was chosen from.
    ranges: dict[str, Range]


class Search(Protocol):
    """The search of one kind, as the rounds see it."""

    kind: Kind
    #: Fits it will have asked for in the end, as far as is known now.
    n_planned: int

    @property
    def best_value(self) -> float | None:
        """The lowest mean loss told so far."""

    def ask(self, baseline: float | None) -> list[Request]:
        """Return the next batch; nothing when the search is done."""

    def tell(self, number: int, fit: Fit | None, value: float | None) -> None:
        """Tell what a candidate gave: no fit if it was cut, no value if it did not converge."""


class Log(Protocol):
    """The journal, as the rounds see it."""

    def find(self, request: Request) -> Fit | None:
        """Return the stored fit of a request."""

    def append(self, request: Request, fit: Fit, value: float | None) -> None:
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
    """

    def __init__(
        self,
        family: Family,
        measure: Results,
        searches: Sequence[Search],
        *,
        log: Log | None = None,
        progress: Callable[[str, float], None] | None = None,
    ) -> None:
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
        requests = interleaved([search.ask(baseline) for search in self.searches])
        waiting: dict[Job, list[Request]] = {}
        for request in requests:
            stored = None if self.log is None else self.log.find(request)
            if stored is None:
                waiting.setdefault(request.job, []).append(request)
            else:
                self.n_resumed += 1
                self._tell(request, stored, self._value(stored))

        def on_fit(fit: Fit) -> None:
            for request in waiting.pop(fit.job, ()):
                value = self._value(fit)
                if self.log is not None:
                    self.log.append(request, fit, value)
                self._tell(request, fit, value)

        if waiting:
            # What `train` returns has been passed to `on_fit` already, if the family keeps its promise.
            for fit in self.family.train(
                self.measure.prepared, list(waiting), deadline=deadline, on_fit=on_fit
            ):
                on_fit(fit)
        for left_out in waiting.values():
            for request in left_out:
                request.search.tell(request.number, None, None)
        # Once something was cut there is no time for more, and a later run may still complete this round.
        return bool(requests) and not waiting

    def _value(self, fit: Fit) -> float | None:
        """Return the mean held-out loss, or None if the fit did not converge."""
        return self.measure.mean_loss(fit.losses) if self.measure.is_usable(fit) else None

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
