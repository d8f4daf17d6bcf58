"""Models that are trained by calling something: a fit for each candidate and fold, or stacks of networks.

A :class:`Learner` says how rows are encoded, how one model is trained and by which loss it is judged. The
family does the rest: which folds, until when, what each row lost, and what one fit will cost.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from regadvisor.candidates import Candidate
from regadvisor.data.table import Table, take_rows
from regadvisor.deadline import NEVER, Deadline
from regadvisor.families.base import Costs, Fit, Fold, Job, OnOtherRows, Prepared, folds_in_order, n_trained
from regadvisor.families.estimator.encoder import labels_or_numbers
from regadvisor.families.fitted.learner import FittedFold, FittedPrepared, Learner, Trained
from regadvisor.families.fitted.losses import Floats
from regadvisor.families.linear.family import LinearFamily
from regadvisor.families.neural.strengths import candidate, default_regularizer
from regadvisor.full_size.laws import Law
from regadvisor.full_size.rescale import Rescaling
from regadvisor.records import Note, Training
from regadvisor.regularizer import Coupling, Kind, Regularizer

if TYPE_CHECKING:
    from regadvisor.families.fitted.together import Together

#: Seconds after which no further fit is timed.
_TIMED_S = 1.0


class FittedFamily(OnOtherRows):
    """A family of models that a learner trains; see :class:`~regadvisor.families.base.Family`.

    `model`: what the caller passed as ``model=``. `n_threads`: threads of linear algebra while it trains;
    None: as they are.

    By the laws "linear" strengths are searched in the ranges of a linear model of the same features and fall
    with the rows as its strengths do; by "network" as those of our networks, of the same coupling.
    """

    def __init__(self, learner: Learner, model: Any, *, n_threads: int | None = None) -> None:
        self.learner = learner
        self.coupling: Coupling = learner.coupling
        self.model = model
        #: The figures of linear models (rows, fits) or those of networks apply by this name.
        self.name = "linear" if learner.laws == "linear" else "fitted"
        self.loss_name: str | None = None
        self.notes: tuple[Note, ...] = ()
        self._n_threads = n_threads

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """The kinds that the learner can express."""
        return self.learner.kinds

    def on(self, table: Table, X: Any) -> tuple[FittedFamily, Table]:
        """Return the family and the table as the model sees it; `X`: its rows as the caller passed them."""
        table = self.learner.on(table, X)
        self.loss_name = self.learner.loss(table).name
        return self, table

    def prepare(self, sample: Table, folds: Sequence[Fold], *, seed: int) -> FittedPrepared:
        """Find names and constants; the folds are encoded when they are first trained on."""
        loss = self.learner.loss(sample)
        whole = self.learner.encoder(sample)
        self.learner.check(whole.fit_transform(sample))
        target = loss.target(sample)
        weight = np.ones(sample.n_rows) if sample.weight is None else sample.weight
        unit = loss.unit(target)
        constants = np.full(sample.n_rows, np.nan)
        for fold in folds:
            if self.learner.has_intercept:
                best = loss.constant(target[fold.train], weight[fold.train], sample.n_classes)
            else:
                best = loss.nothing(target, sample.n_classes)
            outputs = np.tile(best, (len(fold.test), 1))
            constants[fold.test] = loss.per_row(target[fold.test], outputs, unit)
        return FittedPrepared(
            folds=tuple(folds),
            n_rows=sample.n_rows,
            n_features=len(whole.names),
            feature_names=whole.names,
            constant_losses=constants,
            sample=sample,
            loss=loss,
            unit=unit,
            fold=cache(lambda number: self._encoded(sample, folds[number], target)),
        )

    def _encoded(self, sample: Table, fold: Fold, target: NDArray[Any]) -> FittedFold:
        # Rows that weigh nothing have no say in the fit, and some models take no weight of 0.
        rows = fold.train if sample.weight is None else fold.train[sample.weight[fold.train] > 0]
        train, test = sample.take(rows), sample.take(fold.test)
        encoder = self.learner.encoder(sample)
        weight = None if train.weight is None else train.weight / train.weight.mean()
        return FittedFold(
            X=encoder.fit_transform(train),
            y=labels_or_numbers(train),
            weight=weight,
            target=target[rows],
            X_test=encoder.transform(test),
            target_test=target[fold.test],
        )

    def candidates(self, prepared: Prepared) -> Mapping[Kind, Candidate]:
        """Return range and portfolio of every kind, by the learner's laws."""
        own = cast(FittedPrepared, prepared)
        found: Mapping[Kind, Candidate]
        if self.law != "linear":
            sum_lr = self.learner.sum_lr(n_trained(own.folds))
            found = {kind: candidate(kind, sum_lr) for kind in self.kinds}
        else:
            number = folds_in_order([len(fold.train) for fold in own.folds])[0]
            linear = LinearFamily()
            found = linear.candidates(linear.prepare(own.sample, [own.folds[number]], seed=0))
        found = self.learner.candidates(found, own.sample)
        return {kind: found[kind] for kind in self.kinds}

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
        """Train the jobs fold by fold, or in stacks; see :meth:`~.base.Family.train`.

        A deadline or Ctrl-C between two folds leaves the folds that were finished; inside of a stack it
        leaves the stacks before.
        """
        own = cast(FittedPrepared, prepared)
        chosen = tuple(range(len(own.folds)) if folds is None else folds)
        wanted = [job for job in jobs if job not in known]
        together = self._together(own, deadline)
        trained = (
            self._one_by_one(own, wanted, chosen, deadline)
            if together is None
            else self._in_stacks(together, own, wanted, chosen, deadline)
        )
        fits: list[Fit] = []
        with self._limit():
            for job, found, fit_s in trained:
                fit = replace(
                    _fit(own, job, found, fit_s=fit_s), sum_lr=self.learner.sum_lr(n_trained(own.folds))
                )
                fits.append(fit)
                if on_fit is not None:
                    on_fit(fit)
        return fits

    def _one_by_one(
        self, prepared: FittedPrepared, jobs: Sequence[Job], chosen: Sequence[int], deadline: Deadline
    ) -> Iterator[_Made]:
        """Yield each job with what its folds gave, and the seconds that it took."""
        for job in jobs:
            if deadline.expired():
                return
            start = time.perf_counter()
            found: dict[int, _Scored] = {}
            interrupt: KeyboardInterrupt | None = None
            try:
                for number in chosen:
                    if found and deadline.expired():
                        break
                    found[number] = self._judged(prepared, number, self._trained(prepared.fold(number), job))
            except KeyboardInterrupt as error:
                interrupt = error
            if found:
                yield job, found, time.perf_counter() - start
            if interrupt is not None:
                raise interrupt

    def _in_stacks(
        self,
        together: Together,
        prepared: FittedPrepared,
        jobs: Sequence[Job],
        chosen: Sequence[int],
        deadline: Deadline,
    ) -> Iterator[_Made]:
        """Yield each job with what its folds gave, stack by stack, and its part of the seconds."""
        rest = list(jobs)
        while rest and not deadline.expired():
            size = together.n_jobs(len(chosen), n_rows=n_trained(prepared.folds), left_s=deadline.left_s)
            jobs, rest = rest[:size], rest[size:]
            start = time.perf_counter()
            calls = [prepared.fold(number).call(job) for job in jobs for number in chosen]
            trained = together.fit(calls, should_stop=deadline.expired, left_s=deadline.left_s)
            if trained is None:
                return
            scored = [
                self._judged(prepared, number, each)
                for each, number in zip(trained, list(chosen) * len(jobs), strict=True)
            ]
            each_s = (time.perf_counter() - start) / len(jobs)
            for place, job in enumerate(jobs):
                own = scored[place * len(chosen) : (place + 1) * len(chosen)]
                yield job, dict(zip(chosen, own, strict=True)), each_s

    def _together(self, prepared: FittedPrepared, deadline: Deadline) -> Together | None:
        """Return what trains many networks at once, if it can do so with these rows."""
        together = self.learner.together
        if together is None:
            return None
        call = prepared.fold(0).call(Job(regularizer=Regularizer(coupling=self.coupling)))
        return together if together.try_with(call, deadline) else None

    def _limit(self) -> AbstractContextManager[object]:
        """Hold the threads of linear algebra down, once for many fits: it takes as long as a small one."""
        return nullcontext() if self._n_threads is None else threadpool_limits(self._n_threads, "blas")

    def _trained(self, fold: FittedFold, job: Job) -> Trained:
        return self.learner.fit(job.regularizer, fold.X, fold.y, seed=job.seed, weight=fold.weight)

    def _judged(self, prepared: FittedPrepared, number: int, trained: Trained) -> _Scored:
        fold = prepared.fold(number)

        def losses(X: Any, target: NDArray[Any]) -> Floats:
            return prepared.loss.per_row(target, trained.outputs(X), prepared.unit)

        return _Scored(
            losses=losses(fold.X_test, fold.target_test),
            train_loss=float(np.average(losses(fold.X, fold.target), weights=fold.weight)),
            trained=trained,
        )

    def probe(self, prepared: Prepared, *, deadline: Deadline = NEVER) -> Costs:
        """Time the middle of each kind's portfolio on a quarter of a fold and on all of it.

        What a fit costs however few its rows, and what each row adds. Slow models are timed once.
        """
        own = cast(FittedPrepared, prepared)
        together, fold, n_folds = self.learner.together, own.fold(0), len(own.folds)
        if together is not None:
            share = len(fold.target) / own.n_rows
            costs = together.costs(fold.call, n_folds=n_folds, share=share, deadline=deadline)
            if costs is not None:
                return costs
        n_train = len(fold.target)
        few = np.arange(0, n_train, 4) if own.sample.n_classes == 0 else _some_of_each(fold.target)
        smaller = replace(
            fold,
            X=take_rows(fold.X, few),
            y=fold.y[few],
            weight=None if fold.weight is None else fold.weight[few],
            target=fold.target[few],
        )
        jobs = [
            Job(regularizer=each.regularizer(each.portfolio[0]))
            for kind, each in self.candidates(prepared).items()
            if kind != "none"
        ]
        self._seconds(smaller, jobs[0])  # loads what the first call loads
        few_s, all_s = [], []
        for job in jobs:
            few_s.append(self._seconds(smaller, job))
            if deadline.expired():
                all_s.append(few_s[-1] * n_train / len(few))
                break
            all_s.append(self._seconds(fold, job))
            if sum(few_s) + sum(all_s) > _TIMED_S or deadline.expired():
                break
        least_s, fold_s = float(np.mean(few_s)), float(np.mean(all_s))
        slope_s = max(fold_s - least_s, 0.0) / max(n_train - len(few), 1)

        def fit_s(n_rows: float) -> float:
            return max(fold_s + slope_s * (n_rows - n_train), least_s / 4)

        share = n_train / own.n_rows
        return Costs(job_s=lambda n_rows: n_folds * fit_s(share * n_rows), full_run_s=fit_s)

    def _seconds(self, fold: FittedFold, job: Job) -> float:
        with self._limit():
            start = time.perf_counter()
            self._trained(fold, job)
            return time.perf_counter() - start

    @property
    def law(self) -> Law:
        """Whose powers strengths fall by."""
        return "linear" if self.learner.laws == "linear" else self.coupling

    def _full_run(self, picked: Fit, by: Rescaling) -> tuple[float, int | None]:
        return self.learner.sum_lr(by.n_rows) or 0.0, None

    def training(self, picked: Fit | None, *, n_sample: int, n_rows: int, seed: int) -> Training:
        """Return how the advised model is to be trained on everything."""
        return replace(self.learner.training(seed), sum_lr=self.learner.sum_lr(n_rows))

    def defaults(self, kind: Kind, *, n_rows: int, n_features: int) -> Regularizer:
        """Return documented default strengths, for advice without validation."""
        if self.learner.laws == "linear":
            found = LinearFamily().defaults(kind, n_rows=n_rows, n_features=n_features)
        else:
            found = default_regularizer(kind, n_rows=n_rows, sum_lr=self.learner.sum_lr(n_rows))
        return self.learner.in_own_unit(found)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Scored:
    """One trained model and what it lost."""

    losses: Floats
    train_loss: float
    trained: Trained


#: A job, what its folds gave, and the seconds that it took.
_Made = tuple[Job, dict[int, _Scored], float]


def _fit(prepared: FittedPrepared, job: Job, found: Mapping[int, _Scored], *, fit_s: float) -> Fit:
    """Return what one job gave on the folds that it was trained on."""
    losses = np.full(prepared.n_rows, np.nan)
    train_losses = np.full(len(prepared.folds), np.nan)
    zeros = [
        np.all(one.trained.weights == 0, axis=1)
        for one in found.values()
        if one.trained.weights is not None and len(one.trained.weights) == prepared.n_features
    ]
    for number, one in found.items():
        losses[prepared.folds[number].test] = one.losses
        train_losses[number] = one.train_loss
    is_whole = len(found) == len(prepared.folds)
    return Fit(
        job=job,
        losses=losses,
        train_losses=train_losses,
        zeroed=np.mean(zeros, axis=0) if len(zeros) == len(found) else np.zeros(prepared.n_features),
        converged=all(one.trained.converged for one in found.values()),
        is_limit=all(one.trained.is_limit for one in found.values()),
        fit_s=fit_s,
        folds=None if is_whole else tuple(found),
    )


def _some_of_each(target: NDArray[Any]) -> NDArray[np.intp]:
    """Return row numbers: a quarter, and the first rows of every class among them."""
    flat = target if target.ndim == 1 else target @ np.arange(1, target.shape[1] + 1)
    first = [np.flatnonzero(flat == value)[:2] for value in np.unique(flat)]
    return np.unique(np.concatenate([np.arange(0, len(target), 4), *first])).astype(np.intp)
