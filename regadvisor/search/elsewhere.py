"""Fits made by workers, for ``executor=``: a family that trains elsewhere and does all the rest here.

A worker gets the sample, the folds and the family once and prepares them as this process did; from then on it
is sent nothing but regularizers. It keeps no other state, so it may die, be replaced, or come late. Until the
first has started, short fits are made here: small data wait for nobody, and no budget is spent on the start.
One process, this one, asks and tells the search, so the advice does not depend on who trained what.

A piece of work that kills its workers, or raises, fails alone: the others are finished first, and then the
caller (``rounds.py``) trains what is left one by one and names what fails again.
"""

from __future__ import annotations

import math
import threading
import time
import uuid
from collections import Counter, OrderedDict
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import reduce
from importlib import import_module
from typing import Any, cast
from weakref import WeakKeyDictionary

from threadpoolctl import threadpool_limits

from regadvisor.data.table import Table
from regadvisor.deadline import NEVER, Deadline
from regadvisor.families.base import Costs, Family, Fit, Fold, Job, Prepared
from regadvisor.family_spec import spec_of
from regadvisor.regularizer import LABELS
from regadvisor.scale.sending import packed, sendable, unpacked
from regadvisor.scale.workers import WorkerError, Workers
from regadvisor.search.halving import merged

#: What each further worker is taken to add, in plans under a deadline: they wait for each other, and may
#: share processors.
_WORKER_GAIN = 0.5
#: Seconds of a fit that is worth waiting for a worker's start.
_LONG_S = 1.0
#: Samples that a worker keeps: that of the search, and one of another size.
_MOST_KEPT = 2
#: Each thread of a worker has its own: families are not made to be called by two at once.
_kept = threading.local()


@dataclass(frozen=True, kw_only=True, eq=False)
class _Shipment:
    """What a worker prepares its folds from."""

    family: Any
    sample: Table
    folds: tuple[Fold, ...]
    seed: int


@dataclass(frozen=True, kw_only=True, eq=False)
class _Piece:
    """Jobs to train on some folds of a shipment, which is sent along to workers that may lack it."""

    key: str
    jobs: tuple[Job, ...]
    known: tuple[Job, ...]
    folds: tuple[int, ...] | None
    deadline: Deadline
    shipment: bytes | None = None

    @property
    def called(self) -> str:
        """How the piece is named if it kills its workers."""
        first, n_others = self.jobs[0].regularizer, len(self.jobs) - 1
        strengths = ", ".join(f"{name}={value:.3g}" for name, value in first.strengths().items() if value)
        named = f"{LABELS[first.kind]} ({strengths})" if strengths else LABELS[first.kind]
        return f"the fit of {named}" + (f" or one of {n_others} others" if n_others else "")


@dataclass(frozen=True, kw_only=True, eq=False)
class _Answer:
    """What a worker made of a piece; `lacks` the shipment, or an error in place of fits."""

    fits: tuple[Fit, ...] = ()
    lacks: bool = False
    error: Exception | None = None


class Elsewhere:
    """A family whose fits are made by workers; in all other ways the family it stands for."""

    def __init__(self, family: Family, crew: Workers) -> None:
        self._family, self._crew = family, crew
        #: Whether workers have started, or fits are too long to make them here until then.
        self._has_workers: Callable[[], bool] = lambda: True
        if not spec_of(family.name).is_network:
            self._has_workers = crew.begin(_load, type(family).__module__)
        self._made: WeakKeyDictionary[Prepared, _Shipment] = WeakKeyDictionary()
        #: Name and shipment of what workers have, by what was prepared from it here.
        self._sent: WeakKeyDictionary[Prepared, tuple[str, bytes]] = WeakKeyDictionary()
        #: Jobs that failed on their own: they are not tried again.
        self._failed: dict[tuple[str, Job], Exception] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._family, name)

    def with_length(self, longer: int) -> Elsewhere:
        """Return the family with longer runs, trained by the same workers."""
        return Elsewhere(cast(Any, self._family).with_length(longer), self._crew)

    @property
    def speed_up(self) -> float:
        """How much faster than one worker all of them are taken to be."""
        return 1.0 + _WORKER_GAIN * (self._crew.n_workers - 1)

    def prepare(self, sample: Table, folds: Sequence[Fold], *, seed: int) -> Prepared:
        """Prepare here, and keep what workers prepare theirs from."""
        prepared = self._family.prepare(sample, folds, seed=seed)
        own = replace(sample, whole=None)
        self._made[prepared] = _Shipment(family=self._family, sample=own, folds=tuple(folds), seed=seed)
        return prepared

    def probe(self, prepared: Prepared, *, deadline: Deadline = NEVER) -> Costs:
        """Time some fits here, and divide the cost of many among the workers."""
        costs, gain = self._family.probe(prepared, deadline=deadline), self.speed_up
        return replace(costs, job_s=lambda n_rows: costs.job_s(n_rows) / gain)

    def train(
        self,
        prepared: Prepared,
        jobs: Sequence[Job],
        *,
        deadline: Deadline,
        on_fit: Callable[[Fit], None] | None = None,
        folds: Sequence[int] | None = None,
        known: Collection[Job] = (),
    ) -> list[Fit]:
        """Have the jobs trained by the workers; see :meth:`~.base.Family.train`.

        Raises WorkerError if a piece killed its workers; all others have been passed to `on_fit` then;
        Exception: what a worker's fit raised, after all others were passed to `on_fit`.
        """
        fits: list[Fit] = []
        while jobs and not self._has_workers():
            start_s = time.monotonic()
            fits += self._family.train(
                prepared, jobs[:1], deadline=deadline, on_fit=on_fit, folds=folds, known=known
            )
            jobs = jobs[1:]
            if time.monotonic() - start_s > _LONG_S:
                self._has_workers = lambda: True
        if not jobs:
            return fits
        is_new = prepared not in self._sent
        if is_new:
            self._sent[prepared] = (
                uuid.uuid4().hex,
                packed(self._made[prepared], argument="executor must be None"),
            )
        key, load = self._sent[prepared]
        if len(jobs) == 1 and (key, jobs[0]) in self._failed:
            raise self._failed[key, jobs[0]]
        pieces = [
            _Piece(
                key=key, jobs=tuple(some), known=tuple(set(some) & set(known)), folds=own, deadline=deadline
            )
            for some, own in self._shared_out(jobs, range(len(prepared.folds)) if folds is None else folds)
            if not set(some) <= set(known)
        ]
        # To a new sample's first workers it goes with the work; who lacks it all the same says so.
        n_loaded = self._crew.n_workers if is_new else 0
        pieces = [replace(piece, shipment=load) for piece in pieces[:n_loaded]] + pieces[n_loaded:]
        parts: dict[Job, list[Fit]] = {}

        def finish(*jobs: Job) -> None:
            for job in jobs:
                own = sorted(parts.pop(job), key=lambda fit: fit.folds or ())
                fits.append(reduce(lambda one, other: merged(one, other, prepared), own))
                if on_fit is not None:
                    on_fit(fits[-1])

        try:
            failed = self._run(pieces, load, parts, finish)
        finally:
            # What a deadline or Ctrl-C cut between two folds; jobs that failed are not told in part.
            finish(*[job for job in parts if (key, job) not in self._failed])
        if failed is not None:
            raise failed
        return fits

    def _run(
        self,
        pieces: Sequence[_Piece],
        load: bytes,
        parts: dict[Job, list[Fit]],
        finish: Callable[[Job], None],
    ) -> Exception | None:
        """Have pieces trained, and finish each job with its last one; return the first error."""
        n_left = Counter(job for piece in pieces for job in piece.jobs)
        first: Exception | None = None
        while pieces:
            lacking: list[_Piece] = []
            for piece, answer in zip(pieces, self._crew.run(_answer, pieces), strict=True):
                if isinstance(answer, WorkerError):
                    answer = _Answer(error=answer)
                if answer.lacks:
                    lacking.append(replace(piece, shipment=load))
                    continue
                n_left.subtract(piece.jobs)
                if answer.error is not None:
                    first = first or answer.error
                    if len(piece.jobs) == 1:
                        self._failed[piece.key, piece.jobs[0]] = answer.error
                for fit in answer.fits:
                    parts.setdefault(fit.job, []).append(fit)
                    if not n_left[fit.job] and (piece.key, fit.job) not in self._failed:
                        finish(fit.job)
            pieces = lacking
        return first

    def _shared_out(
        self, jobs: Sequence[Job], folds: Sequence[int]
    ) -> Iterator[tuple[Sequence[Job], tuple[int, ...]]]:
        """Yield the jobs and folds of each piece: networks train together, all other models one by one.

        Where jobs are fewer than workers, each fold of a caller's model, which may take long, is a piece.
        """
        size, of_piece = 1, [tuple(folds)]
        if spec_of(self._family.name).is_network:
            size = math.ceil(len(jobs) / self._crew.n_workers)
        if hasattr(self._family, "learner") and len(jobs) < self._crew.n_workers:
            size, of_piece = 1, [(fold,) for fold in folds]
        for start in range(0, len(jobs), size):
            for own in of_piece:
                yield jobs[start : start + size], own


def elsewhere(family: Family, crew: Workers) -> Family:
    """Return the family with its fits made by these workers.

    A family's own attributes, which the protocol does not list, are still there.
    """
    return cast(Family, Elsewhere(family, crew))


# --------------------------------------------------------------------------------------- in a worker


def _load(module: str) -> None:
    """Import what a family needs, in a worker that has nothing else to do yet."""
    import_module(module)


def _answer(piece: _Piece) -> _Answer:
    """Train a piece, in a worker."""
    kept: OrderedDict[str, tuple[Family, Prepared]] = _kept.__dict__.setdefault("samples", OrderedDict())
    try:
        if piece.key not in kept:
            if piece.shipment is None:
                return _Answer(lacks=True)
            load: _Shipment = unpacked(piece.shipment)
            kept[piece.key] = load.family, load.family.prepare(load.sample, load.folds, seed=load.seed)
            while len(kept) > _MOST_KEPT:
                kept.popitem(last=False)
        family, prepared = kept[piece.key]
        with _alone(is_network=spec_of(family.name).is_network):
            fits = family.train(
                prepared, piece.jobs, deadline=piece.deadline, folds=piece.folds, known=piece.known
            )
        return _Answer(fits=tuple(fits))
    except Exception as error:  # whatever a caller's own module or loss may raise
        return _Answer(error=sendable(error))


@contextmanager
def _alone(*, is_network: bool) -> Iterator[None]:
    """Compute on one thread: there are as many workers as are to compute at once."""
    with ExitStack() as stack:
        stack.enter_context(threadpool_limits(limits=1))
        if is_network:
            from regadvisor.families.neural.threads import one_thread

            stack.enter_context(one_thread())
        yield
