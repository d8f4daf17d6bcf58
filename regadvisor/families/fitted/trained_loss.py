"""The loss that a network of the caller's library is trained by, as what candidates are compared by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from regadvisor.data.table import Table
from regadvisor.families.fitted.losses import Floats, Response, RowLoss
from regadvisor.families.neural.losses import LossFunction, row_losses
from regadvisor.families.neural.own_loss import constant_outputs


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
        found = constant_outputs(self.criterion, rows, start, weight=weights)
        return np.asarray(found.numpy() * unit)
