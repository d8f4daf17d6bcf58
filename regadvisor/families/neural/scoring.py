"""From the checkpoints of one batch of jobs to their scores."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from regadvisor.families.base import Fit, Fold, Job
from regadvisor.families.neural.architecture import Stack
from regadvisor.families.neural.encoded import NetworkPrepared
from regadvisor.families.neural.losses import row_losses
from regadvisor.thresholds import EPOCH_TOLERANCE

#: Floats per forward pass of an evaluation; it sets its memory.
EVALUATED_FLOATS = 32_000_000
MOST_ROWS_AT_ONCE = 2048


def fewest_epochs(losses: NDArray[np.float64]) -> int:
    """Return the first checkpoint whose loss is within ``EPOCH_TOLERANCE`` of the best.

    `losses` (n_checkpoints,): what is not finite counts as infinite. The last one is taken if none is finite.

    >>> fewest_epochs(np.array([0.5, 0.301, 0.30, 0.4]))
    1
    """
    finite = np.where(np.isfinite(losses), losses, np.inf)
    if np.isinf(finite.min()):
        return len(losses) - 1
    # A caller's own loss may be negative (a likelihood).
    share = EPOCH_TOLERANCE if finite.min() >= 0 else -EPOCH_TOLERANCE
    return int(np.argmax(finite <= finite.min() * (1.0 + share)))


def choose_checkpoints(
    held_out: NDArray[np.floating], folds: Sequence[Fold], weight: NDArray[np.float64]
) -> NDArray[np.intp]:
    """Return the checkpoint to score each fold at, chosen by the other folds alone.

    `held_out` (n_checkpoints, n_rows): held-out loss per row of one job. `weight` (n_rows,): row weights of
    the mean.

    Returns an array (n_folds,); where there is one fold only, its last checkpoint.
    """
    chosen = np.full(len(folds), len(held_out) - 1, dtype=np.intp)
    if len(folds) < 2 or len(held_out) < 2:
        return chosen
    for number in range(len(folds)):
        others = np.concatenate([fold.test for k, fold in enumerate(folds) if k != number])
        with np.errstate(invalid="ignore", over="ignore"):
            means = np.average(held_out[:, others].astype(np.float64), axis=1, weights=weight[others])
        chosen[number] = fewest_epochs(means)
    return chosen


class Scoreboard:
    """Collects what the networks of some jobs reach at every checkpoint.

    `folds`: numbers of the folds that are trained.

    Each fold is scored at the epoch that the other trained folds choose. If a single one is trained, each
    half of its held-out rows is scored at the epoch that the other half chooses.
    """

    def __init__(self, prepared: NetworkPrepared, jobs: Sequence[Job], folds: Sequence[int]) -> None:
        self.prepared, self.jobs, self._folds = prepared, jobs, folds
        shape, n_folds = (len(prepared.plan.checkpoints), len(jobs)), prepared.n_folds
        self._held_out = np.full((*shape, prepared.n_rows), np.nan, dtype=np.float32)
        self._train = np.full((*shape, n_folds), np.nan)
        self._zeroed = np.zeros((*shape, n_folds, len(prepared.feature_names)), dtype=bool)
        self._train_rows = [_spread(fold.train, len(fold.test)) for fold in prepared.folds]
        floats = prepared.architecture.floats_per_network
        per_row = max(1, floats(1) - floats(0))
        self._rows_at_once = max(16, min(MOST_ROWS_AT_ONCE, EVALUATED_FLOATS // (2 * per_row)))
        self._networks_at_once = max(1, EVALUATED_FLOATS // (self._rows_at_once * per_row))

    def recorder(self, jobs: Sequence[int], folds: Sequence[int]) -> Callable[[Stack], None]:
        """Return what takes the losses of a stack as it is at each checkpoint, in turn.

        Network ``j · len(folds) + i`` of the stack is ``jobs[j]`` on ``folds[i]``.
        """
        checkpoints = iter(range(len(self.prepared.plan.checkpoints)))

        def record(stack: Stack) -> None:
            with np.errstate(invalid="ignore", over="ignore"):  # a network that exploded is scored, too
                self._record(stack, next(checkpoints), np.asarray(jobs), folds)

        return record

    def _record(self, stack: Stack, at: int, jobs: NDArray[np.intp], folds: Sequence[int]) -> None:
        prepared = self.prepared
        zeroed = stack.zeroed().cpu().numpy().reshape(len(jobs), len(folds), -1)
        for i, number in enumerate(folds):
            fold = prepared.folds[number]
            networks = range(i, len(jobs) * len(folds), len(folds))
            self._zeroed[at, jobs, number] = zeroed[:, i]
            held_out = self._losses(stack, networks, number, fold.test)
            self._held_out[at][np.ix_(jobs, fold.test)] = held_out
            rows = self._train_rows[number]
            losses = self._losses(stack, networks, number, rows).astype(np.float64)
            self._train[at, jobs, number] = np.average(losses, axis=1, weights=prepared.weight[rows])

    def _losses(
        self, stack: Stack, networks: range, fold: int, rows: NDArray[np.intp]
    ) -> NDArray[np.float32]:
        """Return the losses of one fold's networks on some rows of the sample, (n_networks, n_rows)."""
        data = self.prepared.rows
        scale = torch.as_tensor(self.prepared.loss_scale[fold], dtype=torch.float32).to(data.x.device)
        table_rows = torch.from_numpy(rows.astype(np.int64)).to(data.x.device) + fold * self.prepared.n_rows
        losses = np.empty((len(networks), len(rows)), dtype=np.float32)
        for begin in range(0, len(rows), self._rows_at_once):
            part = table_rows[begin : begin + self._rows_at_once]
            x, target = data.x[part], data.target[part]
            for first in range(0, len(networks), self._networks_at_once):
                some = networks[first : first + self._networks_at_once]
                outputs = stack.outputs(slice(some.start, some.stop, some.step), x)
                losses[first : first + len(some), begin : begin + len(part)] = row_losses(
                    outputs,
                    target,
                    is_classification=data.is_classification,
                    own=self.prepared.recipe.loss,
                    scale=scale,
                )
        return losses

    def fits(self, *, seconds: float) -> list[Fit]:
        """Return the fits of all jobs."""
        return [self._fit(number, fit_s=seconds / len(self.jobs)) for number in range(len(self.jobs))]

    def _parts(self) -> list[tuple[int, Fold]]:
        """Return the trained folds by number; a single one as the two halves of its held-out rows."""
        numbered = [(number, self.prepared.folds[number]) for number in self._folds]
        (number, fold), *more = numbered
        if more or len(fold.test) < 2:
            return numbered
        return [(number, Fold(train=fold.train, test=fold.test[half::2])) for half in (0, 1)]

    def _fit(self, job: int, *, fit_s: float) -> Fit:
        prepared, held_out, parts = self.prepared, self._held_out[:, job], self._parts()
        last = len(prepared.plan.checkpoints) - 1
        chosen = np.full(len(parts), last, dtype=np.intp)
        if prepared.plan.is_choosing:
            chosen = choose_checkpoints(held_out, [fold for _, fold in parts], prepared.weight)
        numbers = np.array([number for number, _ in parts])
        losses = np.full(prepared.n_rows, np.nan)
        for at, (_, fold) in zip(chosen, parts, strict=True):
            losses[fold.test] = held_out[at, fold.test]
        epochs = np.array([prepared.plan.checkpoints[at] for at in chosen], dtype=np.float64)
        by_fold = np.full((2, prepared.n_folds), np.nan)
        for number in self._folds:
            own = numbers == number
            by_fold[:, number] = self._train[chosen[own], job, number].mean(), epochs[own].mean()
        tested = np.concatenate([fold.test for _, fold in parts])
        return Fit(
            job=self.jobs[job],
            losses=losses,
            train_losses=by_fold[0],
            zeroed=self._zeroed[chosen, job, numbers].mean(axis=0),
            converged=bool(np.isfinite(held_out[:, tested]).all()),
            epochs=by_fold[1],
            sum_lr=float(np.mean([prepared.plan.sum_lr(int(count)) for count in epochs])),
            halfway=self._halfway(job, tested) if (chosen == last).all() else None,
            fit_s=fit_s,
            folds=None if len(self._folds) == prepared.n_folds else tuple(self._folds),
        )

    def _halfway(self, job: int, tested: NDArray[np.intp]) -> NDArray[np.float64]:
        """Return train and held-out loss at the checkpoint that is nearest to half of the epochs."""
        half = self.prepared.plan.epochs / 2
        at = int(np.argmin(np.abs(np.array(self.prepared.plan.checkpoints) - half)))
        with np.errstate(invalid="ignore", over="ignore"):
            held_out = self._held_out[at, job, tested].astype(np.float64)
            mean = np.average(held_out, weights=self.prepared.weight[tested])
            return np.array([self._train[at, job, list(self._folds)].mean(), mean])


def _spread(rows: NDArray[np.intp], n_wanted: int) -> NDArray[np.intp]:
    """Return at most `n_wanted` of the rows, evenly spread: enough for the mean of the training loss."""
    return rows[np.linspace(0, len(rows) - 1, min(len(rows), max(1, n_wanted))).astype(np.intp)]
