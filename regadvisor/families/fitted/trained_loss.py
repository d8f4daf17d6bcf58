"""The loss that a network of the caller's library is trained by, as what candidates are compared by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from regadvisor.data.table import Table
from regadvisor.families.fitted.losses import Floats, LogLoss, Response, RowLoss
from regadvisor.families.neural.losses import LossFunction, row_losses
from regadvisor.families.neural.own_loss import constant_outputs
from regadvisor.thresholds import SAME_LOSS


@dataclass(frozen=True, kw_only=True)
class TrainedLoss(RowLoss):
    """A loss of numbers, taken of each row alone; of several columns what the library makes of them.

    Outputs need not be in the unit of the target: for counts they are logarithms, for labels logits.
    `is_scaled`: the network sees each column with a variance of 1, by a loss of differences.
    """

    name: str | None
    criterion: LossFunction
    is_scaled: bool = False
    response: Response = "predict"

    def target(self, table: Table) -> NDArray[Any]:
        """Return the columns, shape (n_rows, n_columns)."""
        return table.targets.astype(np.float64)

    def unit(self, target: NDArray[Any]) -> Floats:
        """Return the standard deviation of each column, or 1."""
        spread = target.std(axis=0) if self.is_scaled else np.ones(target.shape[1])
        return np.where(spread > 0, spread, 1.0)

    def per_row(self, target: NDArray[Any], outputs: Floats, unit: Floats) -> Floats:
        """Return the loss of each row."""
        y, z = (torch.as_tensor(np.ascontiguousarray(each / unit)) for each in (target, outputs))
        found = row_losses(z[None], y, is_classification=False, own=self.criterion)[0]
        return np.asarray(found, dtype=np.float64)

    def constant(self, target: NDArray[Any], weight: Floats, n_classes: int) -> Floats:
        """Return the best constant outputs, which need not lie among the targets."""
        unit = self.unit(target)
        rows, start = torch.as_tensor(target / unit), torch.zeros(target.shape[1], dtype=torch.float64)
        weights = None if (weight == weight[0]).all() else torch.as_tensor(weight / weight.mean())

        def loss(free: Tensor, rows: Tensor) -> Tensor:
            return self.criterion(self.outputs(free), rows)

        found = constant_outputs(loss, rows, start, weight=weights)
        return np.asarray(self.outputs(found[None])[0].numpy() * unit)

    def outputs(self, free: Tensor) -> Tensor:
        """Return outputs that the loss takes for numbers of any size, (n_rows, n_outputs)."""
        return free


@dataclass(frozen=True, kw_only=True)
class ClassLoss(TrainedLoss):
    """A loss of classes, one-hot or as one column of the second of two; `is_of_shares`: not of logits."""

    n_outputs: int
    is_of_shares: bool
    response: Response = "predict_proba"
    reads_outputs: bool = True

    def target(self, table: Table) -> NDArray[Any]:
        """Return a column for each output."""
        return np.asarray(np.eye(table.n_classes)[table.y][:, -self.n_outputs :])

    def outputs(self, free: Tensor) -> Tensor:
        """Return what stands for these logits."""
        if not self.is_of_shares:
            return free
        return free.sigmoid() if self.n_outputs == 1 else free.softmax(1)

    def unless_log_loss(self) -> ClassLoss | None:
        """Return None if it says the same as the log loss, which needs no name."""
        k, own = max(2, self.n_outputs), slice(-self.n_outputs, None)
        logits = np.random.default_rng(0).normal(size=(64, k))
        logits[:, : k - self.n_outputs] = 0.0
        codes, z = np.arange(64) % k, torch.as_tensor(logits)
        mine = self.per_row(np.eye(k)[codes][:, own], self.outputs(z[:, own]).numpy(), np.ones(1))
        theirs = LogLoss().per_row(codes, z.softmax(1).numpy(), np.ones(1))
        return None if np.allclose(mine, theirs, rtol=SAME_LOSS, atol=SAME_LOSS) else self
