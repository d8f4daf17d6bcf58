"""What a family of models has to offer: train many candidates on the same folds, cheaply together."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from regadvisor.candidates import Candidate
from regadvisor.deadline import NEVER, Deadline, OutOfTimeError
from regadvisor.full_size import Law, Rescaling, rescaled, told
from regadvisor.records import Training
from regadvisor.regularizer import Coupling, Kind, Regularizer

if TYPE_CHECKING:
    from regadvisor.data.table import Table

#: Folds train on unequally many rows if the largest has more than so many times those of the smallest.
UNEQUAL = 1.5


@dataclass(frozen=True, kw_only=True, eq=False)
class Fold:
    """One split of the sample: row numbers into the sample, never overlapping.

    A block is a sample of its own: training on it stands for its rows, not for those of the whole sample.
    """

    train: NDArray[np.intp]
    test: NDArray[np.intp]
    is_block: bool = False


def fold_of_row(folds: Sequence[Fold], n_rows: int) -> NDArray[np.intp]:
    """Return which fold tests each row, -1 where none does, shape (n_rows,)."""
    labels = np.full(n_rows, -1, dtype=np.intp)
    for number, fold in enumerate(folds):
        labels[fold.test] = number
    return labels


@dataclass(frozen=True, kw_only=True)
class Job:
    """One candidate configuration, to be trained on every fold."""

    regularizer: Regularizer
    seed: int = 0

    @property
    def kind(self) -> Kind:
        """The kind that is trained."""
        return self.regularizer.kind


@dataclass(frozen=True, kw_only=True, eq=False)
class Fit:
    """What one job gave on all folds."""

    job: Job
    #: (n_rows,): held-out loss per row of the sample: log loss (natural, probabilities clipped at
    #: ``thresholds.PROBABILITY_FLOOR``), or squared error over the variance of the sample's target; of
    #: several targets the mean of these, so that each counts the same whatever its unit. NaN for rows that
    #: are in no test fold (forward-in-time validation).
    losses: NDArray[np.float64]
    #: (n_folds,): mean loss on the training rows of each fold, in the same unit.
    train_losses: NDArray[np.float64]
    #: (n_encoded_features,): share of folds in which all weights of the feature were exactly zero.
    zeroed: NDArray[np.float64]
    #: Whether every fold's fit converged (networks: stayed finite).
    converged: bool
    #: There is no best fit without a penalty (separable classes): a vanishing one stands in.
    is_limit: bool = False
    #: (n_folds,): epoch used to score each fold, chosen without that fold (networks).
    epochs: NDArray[np.float64] | None = None
    #: Σ lr over the steps of one training of those epochs, mean over folds (networks).
    sum_lr: float | None = None
    #: (2,): train and held-out loss after half of the epochs (networks that are scored at their last epoch).
    halfway: NDArray[np.float64] | None = None
    #: Seconds, this job's share of a batch.
    fit_s: float = 0.0
    #: The folds it was trained on; None: all of them. What belongs to the others is NaN.
    folds: tuple[int, ...] | None = None

    @property
    def train_loss(self) -> float:
        """Mean training loss over the folds that it was trained on; NaN where a run diverged."""
        trained = self.train_losses if self.folds is None else self.train_losses[list(self.folds)]
        return float(np.mean(trained)) if len(trained) else float("nan")

    def covers(self, folds: Collection[int] | None) -> bool:
        """Return whether the job was trained on all of these folds; None: on all there are.

        >>> some = np.zeros(3)
        >>> job = Job(regularizer=Regularizer())
        >>> fit = Fit(job=job, losses=some, train_losses=some, zeroed=some, converged=True, folds=(0, 2))
        >>> fit.covers((2,)), fit.covers((1, 2)), fit.covers(None)
        (True, False, False)
        """
        return self.folds is None or (folds is not None and set(folds) <= set(self.folds))


@dataclass(frozen=True, kw_only=True, eq=False)
class Prepared:
    """The sample preprocessed inside every fold, ready to train on. Families subclass it."""

    folds: tuple[Fold, ...]
    #: Rows of the sample.
    n_rows: int
    #: Features after encoding, of the first fold (one-hot columns may differ between folds).
    n_features: int
    #: Names after encoding, of the preprocessing fitted on the whole sample.
    feature_names: tuple[str, ...]
    #: (n_rows,): held-out loss per row of predicting the training folds' class shares or mean.
    constant_losses: NDArray[np.float64]

    @property
    def n_learned(self) -> int:
        """Rows that the fits stand for: those of the sample in a cross-validation.

        Fewer where every fold has training rows of its own (theirs alone), or where they grow over time.
        """
        return rows_learned(self.folds, self.n_rows)


def n_trained(folds: Sequence[Fold]) -> int:
    """Return the rows that a fold trains on, the mean over the folds."""
    return round(float(np.mean([len(fold.train) for fold in folds])))


def folds_in_order(n_trained: Sequence[int]) -> tuple[int, ...]:
    """Return the numbers of the folds in the order in which they are trained.

    Where they train on unequally many rows (validation forward in time), those with the most come first:
    early folds are small samples, and ask for stronger penalties.

    >>> folds_in_order([80, 80, 80]), folds_in_order([100, 200, 300, 400])
    ((0, 1, 2), (3, 2, 1, 0))
    """
    folds = list(range(len(n_trained)))
    if are_unequal(n_trained):
        folds.sort(key=lambda fold: -n_trained[fold])
    return tuple(folds)


def are_unequal(n_trained: Sequence[int]) -> bool:
    """Return whether some folds train on far more rows than others.

    >>> are_unequal([80, 81]), are_unequal([100, 200])
    (False, True)
    """
    return max(n_trained) > UNEQUAL * min(n_trained)


def rows_learned(folds: Sequence[Fold], n_rows: int) -> int:
    """Return ``Prepared.n_learned`` of folds of a sample of `n_rows` rows.

    >>> rows = np.arange(10)
    >>> rows_learned([Fold(train=rows[:5], test=rows[5:]), Fold(train=rows[5:], test=rows[:5])], 10)
    10
    """
    n_folds = len(folds)
    if n_folds < 2 and not folds[0].is_block:
        return n_rows
    is_trained, is_tested = np.zeros(n_rows, dtype=bool), np.zeros(n_rows, dtype=bool)
    for fold in folds:
        is_trained[fold.train] = is_tested[fold.test] = True
    trained = sum(len(fold.train) for fold in folds) / n_folds
    if not (is_trained & is_tested).any():  # a single fold, blocks
        return round(trained)
    return min(n_rows, round(trained * n_folds / (n_folds - 1)))


@dataclass(frozen=True, kw_only=True, eq=False)
class Costs:
    """Projected seconds, from rows in: preprocessing is not part of them."""

    #: Rows of a sample → seconds of one job on all folds.
    job_s: Callable[[int], float]
    #: Rows → seconds of one full training run on so many.
    full_run_s: Callable[[int], float]


class OnOtherRows:
    """How the strengths of a family go from some rows to others; by one law, which families name."""

    coupling: Coupling

    @property
    def law(self) -> Law:
        """Whose powers strengths fall by."""
        return self.coupling

    def _full_run(self, picked: Fit, by: Rescaling) -> tuple[float, int | None]:
        """Return Σ lr of the full run, and its epochs where they are known (decoupled penalties)."""
        raise NotImplementedError

    def at_full_size(self, picked: Fit, by: Rescaling) -> tuple[Regularizer, str | None]:
        """Return the strengths for all rows and one sentence on how they were rescaled; dropout stays."""
        found, is_decoupled = picked.job.regularizer, self.law == "decoupled"
        if not (found.l1 or found.l2) or (by.n_rows == by.n_sample and not is_decoupled):
            return found, None
        sum_lr, epochs = (1.0, 1.0), None
        if is_decoupled:
            in_full, epochs = self._full_run(picked, by)
            sum_lr = float(picked.sum_lr or 0.0), in_full
        said = told(found, self.law, by, sum_lr=sum_lr, epochs=epochs)
        return rescaled(found, self.law, by, sum_lr=sum_lr), said


@dataclass(frozen=True, kw_only=True, eq=False)
class Scored:
    """The model of one fold, and what it lost."""

    #: (n_test,): held-out loss of each row.
    losses: NDArray[np.float64]
    #: Mean loss on the training rows.
    train_loss: float
    #: (n_encoded_features,): whether all weights of a feature are 0; NaN where the fold lacks it. None: not
    #: known.
    zeroed: NDArray[np.float64] | None
    converged: bool
    is_limit: bool


#: A job, what its folds gave by their numbers, and the seconds that it took.
Made = tuple[Job, Mapping[int, Scored], float]


class FoldByFold(OnOtherRows):
    """Families that train each job on one fold after the other."""

    def _scored(self, prepared: Prepared, number: int, job: Job, deadline: Deadline) -> Scored:
        """Train a job on one fold; raises OutOfTimeError if the deadline passes before."""
        raise NotImplementedError

    def _limit(self, prepared: Prepared) -> AbstractContextManager[object]:
        """Hold the threads of linear algebra down while jobs are trained, if that is faster."""
        return nullcontext()

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
        """Train the jobs in the order given; see :meth:`Family.train`.

        A deadline or Ctrl-C between two folds leaves the folds that were finished.
        """
        chosen = tuple(range(len(prepared.folds)) if folds is None else folds)
        wanted = [job for job in jobs if job not in known]
        fits: list[Fit] = []
        with self._limit(prepared):
            for made in self._made(prepared, wanted, chosen, deadline):
                fits.append(self._fit(prepared, *made))
                if on_fit is not None:
                    on_fit(fits[-1])
        return fits

    def _made(
        self, prepared: Prepared, jobs: Sequence[Job], chosen: Sequence[int], deadline: Deadline
    ) -> Iterator[Made]:
        """Yield each job with what its folds gave, and the seconds that it took."""
        for job in jobs:
            if deadline.expired():
                return
            start = time.perf_counter()
            found: dict[int, Scored] = {}
            interrupt: KeyboardInterrupt | None = None
            try:
                for number in chosen:
                    if found and deadline.expired():
                        break
                    found[number] = self._scored(prepared, number, job, deadline)
            except OutOfTimeError:
                pass
            except KeyboardInterrupt as error:
                interrupt = error
            if found:
                yield job, found, time.perf_counter() - start
            if interrupt is not None:
                raise interrupt

    def _fit(self, prepared: Prepared, job: Job, found: Mapping[int, Scored], fit_s: float) -> Fit:
        """Return what one job gave on the folds that it was trained on."""
        losses = np.full(prepared.n_rows, np.nan)
        train_losses = np.full(len(prepared.folds), np.nan)
        for number, one in found.items():
            losses[prepared.folds[number].test] = one.losses
            train_losses[number] = one.train_loss
        zeroed = np.zeros(len(prepared.feature_names))
        zeros = [one.zeroed for one in found.values() if one.zeroed is not None]
        if len(zeros) == len(found):
            n_there = np.isfinite(zeros).sum(axis=0)
            # A feature that no fold's encoding has (a level seen in test rows only) has no weight anywhere.
            zeroed = np.where(n_there > 0, np.nansum(zeros, axis=0) / np.maximum(n_there, 1), 1.0)
        return Fit(
            job=job,
            losses=losses,
            train_losses=train_losses,
            zeroed=zeroed,
            converged=all(one.converged for one in found.values()),
            is_limit=all(one.is_limit for one in found.values()),
            fit_s=fit_s,
            folds=None if len(found) == len(prepared.folds) else tuple(found),
        )


class Family(Protocol):
    """A family of models; see ``families/linear/family.py`` and ``families/neural/family.py``."""

    name: str
    coupling: Coupling

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """The kinds that are asked about."""

    def prepare(self, sample: Table, folds: Sequence[Fold], *, seed: int) -> Prepared:
        """Fit the preprocessing inside each fold and keep the encoded folds."""

    def candidates(self, prepared: Prepared) -> Mapping[Kind, Candidate]:
        """Return the search range and portfolio of every kind, fitting these data."""

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
        """Train all jobs on all folds together; jobs cut by the deadline are left out of the result.

        With `folds` they are trained on these folds alone, and what a fit says of the others is NaN.

        `on_fit` is called for every finished job as soon as it is known. A job that the deadline cut between
        two folds may be given with those that were finished (``Fit.folds``).

        Jobs that are `known` need no fit: they are not trained for their own sake, nor returned. They are
        passed because a network is rounded differently in other company: what an interrupted run still has
        to train is trained in the batches that the whole run would have made.
        """

    def probe(self, prepared: Prepared, *, deadline: Deadline = NEVER) -> Costs:
        """Time a small batch of fits, for at most about 1 s and until the deadline, and project from it."""

    def at_full_size(self, picked: Fit, by: Rescaling) -> tuple[Regularizer, str | None]:
        """Return the strengths for all rows and one sentence on how they were rescaled."""

    def training(self, picked: Fit | None, *, n_sample: int, n_rows: int, seed: int) -> Training:
        """Return how the advised model is to be trained on everything; `picked` None: nothing was trained."""

    def defaults(self, kind: Kind, *, n_rows: int, n_features: int) -> Regularizer:
        """Return documented default strengths, for advice without validation."""
