"""The linear family: least squares and logistic regression with none, L1, L2 or both.

Convex, so every fit is exact and needs no seed, no epochs and no learning rate. Strengths are those of
:class:`~regadvisor.regularizer.Regularizer` with ``coupling="loss"``.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import cache
from typing import Any, cast

import numpy as np

from regadvisor import thresholds
from regadvisor.candidates import Candidate, Range
from regadvisor.data.table import Table
from regadvisor.deadline import NEVER, Deadline, OutOfTimeError
from regadvisor.families.base import Costs, Fit, Fold, FoldByFold, Job, Prepared, Scored, folds_in_order
from regadvisor.families.estimator.encoder import Encoder, make_encoder
from regadvisor.families.fitted.losses import constant_losses, usual_loss
from regadvisor.families.linear.data import LinearFold, LinearPrepared, encode_fold
from regadvisor.families.linear.fit import solve
from regadvisor.families.linear.problem import Floats, Penalty, Problem, predictors
from regadvisor.families.preprocess import make_preprocessor
from regadvisor.full_size import Law
from regadvisor.global_state import one_blas_thread
from regadvisor.records import Training
from regadvisor.regularizer import Coupling, Kind, Regularizer

#: Folds with more numbers than this get all threads.
LARGEST_SINGLE_THREAD = 2_000_000
#: Seconds after which a fit that is timed is stopped.
LONGEST_TIMED_S = 0.3


class LinearFamily(FoldByFold):
    """Linear and logistic regression; see :class:`~regadvisor.families.base.Family`.

    >>> LinearFamily().defaults("l2", n_rows=1000, n_features=30)
    Regularizer(l2=0.001)
    """

    name: str = "linear"
    coupling: Coupling = "loss"
    law: Law = "linear"
    kinds: tuple[Kind, ...] = ("none", "l2", "l1", "elasticnet")
    has_intercept: bool = True

    def __init__(self, kinds: tuple[Kind, ...] | None = None) -> None:
        if kinds is not None:
            self.kinds = kinds

    def prepare(self, sample: Table, folds: Sequence[Fold], *, seed: int) -> LinearPrepared:
        """Fit the preprocessing and encode the largest fold; the others when they are first trained on.

        Raises DataError if the dense encoded folds would not fit into memory.
        """
        seen = self._encoder(sample)
        if len(folds) == 1:  # its features are those of its training rows
            only = encode_fold(sample, folds[0], seen, n_folds=1, has_intercept=self.has_intercept)
        else:
            seen.fit_transform(sample)
        names = seen.names
        common: Any = {"names": names, "n_folds": len(folds), "has_intercept": self.has_intercept}

        @cache
        def encode(number: int) -> LinearFold:
            if len(folds) == 1:
                return only
            return encode_fold(sample, folds[number], self._encoder(sample), **common)

        loss = usual_loss(sample)
        return LinearPrepared(
            folds=tuple(folds),
            n_rows=sample.n_rows,
            n_features=encode(_largest(folds)).problem.n_features,
            feature_names=names,
            constant_losses=constant_losses(loss, sample, folds, has_intercept=self.has_intercept),
            loss=loss,
            unit=loss.unit(loss.target(sample)),
            fold=encode,
        )

    def _encoder(self, sample: Table) -> Encoder:
        return make_encoder(sample, lambda: make_preprocessor(sample.facts, for_network=False))

    def candidates(self, prepared: Prepared) -> Mapping[Kind, Candidate]:
        """Return range and portfolio of every kind, from gradients and spectrum of the largest fold."""
        own = cast(LinearPrepared, prepared)
        found = linear_candidates(own.fold(_largest(own.folds)).problem)
        return {kind: found[kind] for kind in self.kinds}

    def _scored(self, prepared: Prepared, number: int, job: Job, deadline: Deadline) -> Scored:
        """Fit and score a job on one fold.

        No fit starts from another's solution: what a job gives must not depend on the jobs beside it, or a
        run that was killed and resumed would end in other losses. They share what depends on a fold alone
        (its spectrum, Gram matrix and ladder of rough solutions), which is made when it is first needed.
        """
        linear = cast(LinearPrepared, prepared)
        own = linear.fold(number)
        found = solve(own.problem, _penalty(job.regularizer), deadline=deadline)

        def losses(Z: Floats, target: Floats) -> Floats:
            return linear.loss.per_row(target, own.outputs(Z), linear.unit)

        zeroed, is_known = np.full(len(prepared.feature_names), np.nan), own.positions >= 0
        zeroed[own.positions[is_known]] = np.all(found.W == 0.0, axis=1)[is_known]
        return Scored(
            losses=losses(predictors(own.X_test, found.W, found.b), own.y_test),
            train_loss=float(own.problem.weight @ losses(own.problem.predict(found.W, found.b), own.y_train)),
            zeroed=zeroed,
            converged=found.converged,
            # Of many least squares the smallest is a best fit; a log loss that goes on falling has none. All
            # rows have one if some of them have one: what tells all apart tells any of them apart.
            is_limit=found.is_limit and own.problem.is_classification,
        )

    def _limit(self, prepared: Prepared) -> AbstractContextManager[object]:
        """Keep the linear algebra of small folds on one thread."""
        largest = cast(LinearPrepared, prepared).fold(_largest(prepared.folds)).problem
        is_small = largest.n_values <= LARGEST_SINGLE_THREAD
        return one_blas_thread() if is_small else nullcontext()

    def probe(self, prepared: Prepared, *, deadline: Deadline = NEVER) -> Costs:
        """Time some fits and project from them.

        The middle of each kind's portfolio is trained on one fold and on a quarter of its rows: what a fit
        costs however few the rows, and what each row adds. A full run is a fit of the first kind, mostly L2.
        The baseline is left out: it is one fit of many, and by far the slowest where it does not exist.
        """
        own = cast(LinearPrepared, prepared)
        kinds = [kind for name, kind in self.candidates(prepared).items() if name != "none"]
        penalties = [_penalty(kind.regularizer(kind.portfolio[0])) for kind in kinds]
        counts = [len(kind.portfolio) for kind in kinds]
        problem = own.fold(0).problem
        n_train, n_folds = problem.n_rows, len(own.folds)
        few = problem.some_rows(4)
        with self._limit(own):
            _seconds(few, penalties[:1], deadline)  # loads what the first call loads
            few_s = _seconds(few, penalties, deadline)
            all_s = few_s * (n_train / few.n_rows)
            if few_s.max() < LONGEST_TIMED_S:  # else it takes no trial that all rows take longer
                timed_s = _seconds(problem, penalties, deadline)
                all_s = np.where(timed_s < LONGEST_TIMED_S, timed_s, np.maximum(timed_s, all_s))
        slope_s = np.maximum(all_s - few_s, 0.0) / max(n_train - few.n_rows, 1)

        def fit_s(n_rows: float) -> Floats:
            return np.maximum(all_s + slope_s * (n_rows - n_train), few_s / 4)

        share = n_train / own.n_rows
        return Costs(
            job_s=lambda n_rows: n_folds * float(np.average(fit_s(share * n_rows), weights=counts)),
            full_run_s=lambda n_rows: float(fit_s(n_rows)[0]),
        )

    def training(self, picked: Fit | None, *, n_sample: int, n_rows: int, seed: int) -> Training:
        """Return how the advised model is to be trained on everything: a linear model has no recipe."""
        return Training(family="linear", seed=seed)

    def defaults(self, kind: Kind, *, n_rows: int, n_features: int) -> Regularizer:
        """Return documented default strengths, for advice without validation.

        L2 is scikit-learn's default ``C=1`` (``Ridge(alpha=1)``), that is ``1/n`` per row: a standard normal
        prior on standardised features. L1 is the universal threshold ``σ·sqrt(2·log(p)/n)``, which silences
        pure noise features (Donoho and Johnstone 1994; Bickel, Ritov and Tsybakov 2009), with σ of
        :data:`~regadvisor.thresholds.DEFAULT_NOISE_SD`. Elastic net takes half of each.
        """
        l2 = 1.0 / n_rows
        l1 = thresholds.DEFAULT_NOISE_SD * math.sqrt(2 * math.log(max(n_features, 2)) / n_rows)
        strengths: dict[Kind, Regularizer] = {
            "none": Regularizer(),
            "l2": Regularizer(l2=l2),
            "l1": Regularizer(l1=l1),
            "elasticnet": Regularizer(l1=l1 / 2, l2=l2 / 2),
        }
        return strengths[kind]


def _largest(folds: Sequence[Fold]) -> int:
    """Return the number of the fold that is trained first."""
    return folds_in_order([len(fold.train) for fold in folds])[0]


def _penalty(regularizer: Regularizer) -> Penalty:
    """Return the strengths of a regularizer as the solvers take them."""
    strengths = regularizer.strengths()
    return Penalty(l1=strengths.get("l1", 0.0), l2=strengths.get("l2", 0.0))


def _seconds(problem: Problem, penalties: Sequence[Penalty], deadline: Deadline) -> Floats:
    """Return the seconds of fitting each penalty; one that takes too long is stopped if it can be."""
    seconds = []
    for penalty in penalties:
        start = time.perf_counter()
        with suppress(OutOfTimeError):
            solve(problem, penalty, deadline=Deadline.after(min(LONGEST_TIMED_S, deadline.left_s)))
        seconds.append(time.perf_counter() - start)
    return np.array(seconds)


#: Shares of a log range in an order whose beginnings all cover it (van der Corput in base 2).
ORDER = (0.5, 0.25, 0.75, 0.125, 0.625, 0.375, 0.875, 0.0, 1.0)
#: Elastic net: decades below the strength that zeroes everything, and l1/(l1+l2). The middle first, then
#: the even mix, then mostly L1 and mostly L2.
MIXES = (
    (2.0, 0.5),
    (1.0, 0.5),
    (3.0, 0.5),
    (2.0, 0.1),
    (2.0, 0.9),
    (1.0, 0.1),
    (1.0, 0.9),
    (3.0, 0.1),
    (3.0, 0.9),
    (1.5, 0.5),
    (2.5, 0.5),
    (3.7, 0.5),
)


def linear_candidates(problem: Problem) -> Mapping[Kind, Candidate]:
    """Return range and portfolio of every kind.

    L1 runs from the strength that zeroes every weight down 4 decades (3 where p ≥ n, as weaker ones fit the
    training rows perfectly). L2 runs from the largest eigenvalue of the features' covariance, at which even
    the strongest direction is halved, down to ``1e-2/n``, which is ``LogisticRegression(C=100)`` or
    ``Ridge(alpha=0.01)``.
    """
    problem = problem.penalised
    # Features without any signal at all: any strength gives the constant model.
    l1_max = max(problem.l1_max, 1e-8)
    l1_min = l1_max / (1e3 if problem.n_features >= problem.n_rows else 1e4)
    l1 = Range(low=l1_min, high=l1_max, hard_low=l1_max * 1e-8, hard_high=l1_max)
    top = max(problem.largest_eigenvalue, 1e-8)
    low = min(1e-2 / problem.n_rows, top / 1e3)
    l2 = Range(low=low, high=top, hard_low=low * 1e-5, hard_high=top * 1e4)
    mixed = [(l1_max / 10**decades, ratio) for decades, ratio in MIXES]
    return {
        "none": Candidate(kind="none", coupling="loss"),
        "l2": Candidate(
            kind="l2",
            coupling="loss",
            ranges={"l2": l2},
            portfolio=tuple({"l2": l2.at(share)} for share in ORDER),
        ),
        "l1": Candidate(
            kind="l1",
            coupling="loss",
            ranges={"l1": l1},
            # The very top is the constant model: nothing to learn there.
            portfolio=tuple({"l1": l1.at(share)} for share in ORDER if share < 1.0),
        ),
        "elasticnet": Candidate(
            kind="elasticnet",
            coupling="loss",
            ranges={"l1": l1, "l2": l2},
            portfolio=tuple({"l1": own, "l2": own * (1 - ratio) / ratio} for own, ratio in mixed),
        ),
    }
