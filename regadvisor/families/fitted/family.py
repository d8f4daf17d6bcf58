"""Models that are trained by calling something: a fit for each candidate and fold, or stacks of networks.

A :class:`Learner` says how rows are encoded, how one model is trained and by which loss it is judged. The
family does the rest: which folds, until when, what each row lost, and what one fit will cost.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import cache
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from regadvisor.candidates import Candidate
from regadvisor.data.table import Table
from regadvisor.data.targets import labels_or_numbers
from regadvisor.deadline import NEVER, Deadline
from regadvisor.families.base import (
    Costs,
    Fit,
    Fold,
    FoldByFold,
    Job,
    Made,
    Prepared,
    Scored,
    folds_in_order,
    n_trained,
)
from regadvisor.families.fitted.learner import Call, FittedFold, FittedPrepared, Learner, Trained
from regadvisor.families.fitted.losses import Floats, constant_losses
from regadvisor.families.linear.family import LinearFamily
from regadvisor.families.neural.strengths import candidate, default_regularizer
from regadvisor.full_size import Law, Rescaling
from regadvisor.records import Note, Training
from regadvisor.regularizer import Coupling, Kind, Regularizer

#: Seconds after which no further fit is timed.
_TIMED_S = 1.0


class FittedFamily(FoldByFold):
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
        has_intercept = self.learner.has_intercept
        return FittedPrepared(
            folds=tuple(folds),
            n_rows=sample.n_rows,
            n_features=len(whole.names),
            feature_names=whole.names,
            constant_losses=constant_losses(loss, sample, folds, has_intercept=has_intercept),
            sample=sample,
            loss=loss,
            unit=loss.unit(target),
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

    def _made(
        self, prepared: Prepared, jobs: Sequence[Job], chosen: Sequence[int], deadline: Deadline
    ) -> Iterator[Made]:
        """Yield what jobs gave: one by one, or stack by stack, each with its part of the seconds.

        A deadline inside of a stack leaves those before.
        """
        own, together = cast(FittedPrepared, prepared), self.learner.together
        tried = Job(regularizer=Regularizer(coupling=self.coupling))
        if together is None or not together.try_with(own.fold(0).call(tried), deadline):
            yield from super()._made(prepared, jobs, chosen, deadline)
            return
        rest = list(jobs)
        while rest and not deadline.expired():
            size = together.n_jobs(len(chosen), n_rows=n_trained(own.folds), left_s=deadline.left_s)
            jobs, rest = rest[:size], rest[size:]
            start = time.perf_counter()
            calls = [own.fold(number).call(job) for job in jobs for number in chosen]
            trained = together.fit(calls, should_stop=deadline.expired, left_s=deadline.left_s)
            if trained is None:
                return
            numbers = list(chosen) * len(jobs)
            scored = [self._judged(own, *each) for each in zip(numbers, trained, strict=True)]
            each_s = (time.perf_counter() - start) / len(jobs)
            for place, job in enumerate(jobs):
                found = scored[place * len(chosen) : (place + 1) * len(chosen)]
                yield job, dict(zip(chosen, found, strict=True)), each_s

    def _fit(self, prepared: Prepared, job: Job, found: Mapping[int, Scored], fit_s: float) -> Fit:
        fit = super()._fit(prepared, job, found, fit_s)
        return replace(fit, sum_lr=self.learner.sum_lr(n_trained(prepared.folds)))

    def _scored(self, prepared: Prepared, number: int, job: Job, deadline: Deadline) -> Scored:
        own = cast(FittedPrepared, prepared)
        return self._judged(own, number, self.learner.fit(own.fold(number).call(job)))

    def _limit(self, prepared: Prepared) -> AbstractContextManager[object]:
        """Hold the threads of linear algebra down, once for many fits: it takes as long as a small one."""
        return nullcontext() if self._n_threads is None else threadpool_limits(self._n_threads, "blas")

    def _judged(self, prepared: FittedPrepared, number: int, trained: Trained) -> Scored:
        fold = prepared.fold(number)

        def losses(X: Any, target: NDArray[Any]) -> Floats:
            return prepared.loss.per_row(target, trained.outputs(X), prepared.unit)

        zeroed = None
        if trained.weights is not None and len(trained.weights) == prepared.n_features:
            zeroed = np.all(trained.weights == 0, axis=1).astype(np.float64)
        return Scored(
            losses=losses(fold.X_test, fold.target_test),
            train_loss=float(np.average(losses(fold.X, fold.target), weights=fold.weight)),
            zeroed=zeroed,
            converged=trained.converged,
            is_limit=trained.is_limit,
        )

    def probe(self, prepared: Prepared, *, deadline: Deadline = NEVER) -> Costs:
        """Time the middle of each kind's portfolio on a quarter of a fold and on all of it.

        What a fit costs however few its rows, and what each row adds. Slow models are timed once.
        """
        own = cast(FittedPrepared, prepared)
        together, fold, n_folds = self.learner.together, own.fold(0), len(own.folds)
        n_train = len(fold.target)
        share = n_train / own.n_rows
        if together is not None:
            costs = together.costs(fold.call, n_folds=n_folds, share=share, deadline=deadline)
            if costs is not None:
                return costs
        few = np.arange(0, n_train, 4)
        if own.sample.n_classes:  # the first rows of every class are among them
            first = [np.flatnonzero(fold.y == label)[:2] for label in np.unique(fold.y)]
            few = np.unique(np.concatenate([few, *first]))
        calls = [
            fold.call(Job(regularizer=each.regularizer(each.portfolio[0])))
            for kind, each in self.candidates(prepared).items()
            if kind != "none"
        ]
        few_s, all_s = [], []
        with self._limit(own):
            self._seconds(calls[0].some(few))  # loads what the first call loads
            for call in calls:
                few_s.append(self._seconds(call.some(few)))
                if deadline.expired():
                    all_s.append(few_s[-1] * n_train / len(few))
                    break
                all_s.append(self._seconds(call))
                if sum(few_s) + sum(all_s) > _TIMED_S or deadline.expired():
                    break
        least_s, fold_s = float(np.mean(few_s)), float(np.mean(all_s))
        slope_s = max(fold_s - least_s, 0.0) / max(n_train - len(few), 1)

        def fit_s(n_rows: float) -> float:
            return max(fold_s + slope_s * (n_rows - n_train), least_s / 4)

        return Costs(job_s=lambda n_rows: n_folds * fit_s(share * n_rows), full_run_s=fit_s)

    def _seconds(self, call: Call) -> float:
        start = time.perf_counter()
        self.learner.fit(call)
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
