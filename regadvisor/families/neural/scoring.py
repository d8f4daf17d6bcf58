"""From the checkpoints of one batch of jobs to their scores."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from regadvisor.families.base import Fit, Fold, Job
from regadvisor.families.neural.encoded import NetworkPrepared
from regadvisor.families.neural.nets import NetStack, predict
from regadvisor.thresholds import EPOCH_TOLERANCE, PROBABILITY_FLOOR

#: Numbers per forward pass of an evaluation; it sets its memory.
EVALUATED_AT_ONCE = 4_000_000


def row_losses(outputs: Tensor, target: Tensor, *, is_classification: bool) -> NDArray[np.float32]:
    """Return log loss, or squared error on the standardised target, of every row.

    Shape
    -----
    outputs : (n_models, n_rows, n_outputs)
    target : (n_rows, n_outputs)
    returns : (n_models, n_rows)
    """
    if is_classification:
        log_probability = (torch.log_softmax(outputs, -1) * target).sum(-1)
        losses = -log_probability.clamp(min=float(np.log(PROBABILITY_FLOOR)))
    else:
        losses = (outputs - target).square().sum(-1)
    result: NDArray[np.float32] = losses.cpu().numpy()
    return result


def fewest_epochs(losses: NDArray[np.float64]) -> int:
    """Return the first checkpoint whose loss is within ``EPOCH_TOLERANCE`` of the best.

    Parameters
    ----------
    losses : ndarray, shape (n_checkpoints,)
        At least 0; what is not finite counts as infinite. The last one is taken if none is finite.

    Examples
    --------
    >>> fewest_epochs(np.array([0.5, 0.301, 0.30, 0.4]))
    1
    """
    finite = np.where(np.isfinite(losses), losses, np.inf)
    if np.isinf(finite.min()):
        return len(losses) - 1
    return int(np.argmax(finite <= finite.min() * (1.0 + EPOCH_TOLERANCE)))


def choose_checkpoints(
    held_out: NDArray[np.floating], folds: Sequence[Fold], weight: NDArray[np.float64]
) -> NDArray[np.intp]:
    """Return the checkpoint to score each fold at, chosen by the other folds alone.

    Parameters
    ----------
    held_out : ndarray, shape (n_checkpoints, n_rows)
        Held-out loss per row of one job.
    folds : sequence of Fold
    weight : ndarray, shape (n_rows,)
        Row weights of the mean.

    Returns
    -------
    ndarray of int, shape (n_folds,)
        The last checkpoint if there is one fold only.
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

    Network ``j · n_folds + f`` of the stack is job j on fold f.

    Parameters
    ----------
    prepared : NetworkPrepared
    jobs : sequence of Job
    """

    def __init__(self, prepared: NetworkPrepared, jobs: Sequence[Job]) -> None:
        n_checkpoints, n_folds = len(prepared.plan.checkpoints), prepared.n_folds
        self._prepared, self._jobs, self._seen = prepared, jobs, 0
        shape = (n_checkpoints, len(jobs))
        self._held_out = np.full((*shape, prepared.n_rows), np.nan, dtype=np.float32)
        self._train = np.full((*shape, n_folds), np.nan)
        self._zeroed = np.zeros((*shape, n_folds, len(prepared.feature_names)), dtype=bool)
        self._train_rows = [_spread(fold.train, len(fold.test)) for fold in prepared.folds]

    def record(self, stack: NetStack) -> None:
        """Take the losses of all networks as they are now."""
        with np.errstate(invalid="ignore", over="ignore"):  # a network that exploded is scored, too
            self._record(stack)
        self._seen += 1

    def _record(self, stack: NetStack) -> None:
        prepared, at, n_folds = self._prepared, self._seen, self._prepared.n_folds
        zeroed = (stack.weights[0] == 0).all(-1).cpu().numpy()
        self._zeroed[at] = zeroed.reshape(len(self._jobs), n_folds, -1)
        for number, fold in enumerate(prepared.folds):
            networks = stack.flat[number::n_folds]
            scale = np.float32(prepared.loss_scale[number])
            self._held_out[at][:, fold.test] = scale * self._losses(stack, networks, number, fold.test)
            rows = self._train_rows[number]
            losses = self._losses(stack, networks, number, rows).astype(np.float64)
            self._train[at, :, number] = scale * np.average(losses, axis=1, weights=prepared.weight[rows])

    def _losses(
        self, stack: NetStack, networks: Tensor, fold: int, rows: NDArray[np.intp]
    ) -> NDArray[np.float32]:
        """Return the losses of one fold's networks on some rows of the sample, (n_jobs, n_rows)."""
        data = self._prepared.rows
        table_rows = torch.from_numpy(rows.astype(np.int64)).to(data.x.device) + fold * self._prepared.n_rows
        size = max(16, EVALUATED_AT_ONCE // (len(networks) * max(stack.layout.widths)))
        parts = []
        for part in torch.split(table_rows, size):
            outputs = predict(stack.layout, networks, data.x[part])
            parts.append(row_losses(outputs, data.target[part], is_classification=data.is_classification))
        return np.concatenate(parts, axis=1)

    def fits(self, *, seconds: float) -> list[Fit]:
        """Return the fits of all jobs, each fold scored at the epoch that the other folds choose."""
        return [self._fit(number, fit_s=seconds / len(self._jobs)) for number in range(len(self._jobs))]

    def _fit(self, job: int, *, fit_s: float) -> Fit:
        prepared = self._prepared
        held_out = self._held_out[:, job]
        chosen = choose_checkpoints(held_out, prepared.folds, prepared.weight)
        epochs = np.array([prepared.plan.checkpoints[at] for at in chosen], dtype=np.float64)
        losses = np.full(prepared.n_rows, np.nan)
        for at, fold in zip(chosen, prepared.folds, strict=True):
            losses[fold.test] = held_out[at, fold.test]
        by_fold = np.arange(len(chosen))
        tested = np.concatenate([fold.test for fold in prepared.folds])
        return Fit(
            job=self._jobs[job],
            losses=losses,
            train_losses=self._train[chosen, job, by_fold],
            zeroed=self._zeroed[chosen, job, by_fold].mean(axis=0),
            converged=bool(np.isfinite(held_out[:, tested]).all()),
            epochs=epochs,
            sum_lr=float(np.mean([prepared.plan.sum_lr(int(count)) for count in epochs])),
            fit_s=fit_s,
        )


def _spread(rows: NDArray[np.intp], n_wanted: int) -> NDArray[np.intp]:
    """Return at most `n_wanted` of the rows, evenly spread: enough for the mean of the training loss."""
    return rows[np.linspace(0, len(rows) - 1, min(len(rows), max(1, n_wanted))).astype(np.intp)]
