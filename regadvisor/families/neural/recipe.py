"""How a network is trained: the numbers that stay the same for every candidate."""

from __future__ import annotations

import math
from dataclasses import dataclass

from regadvisor.errors import ParameterError

#: Learning rate schedules; see ``schedule.learning_rates``.
SCHEDULES = ("flat-cosine", "constant")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How one full run trains the network.

    Parameters
    ----------
    optimizer : {"adamw"}, default "adamw"
        Adam with decoupled decay, betas (0.9, 0.999), epsilon 1e-8.
    lr : float, default 2e-3
        Learning rate of the flat part of the schedule.
    batch_size : int, default 128
        Most rows per step. An epoch is cut into as few equal batches as this allows.
    epochs : int or None, default None
        Epochs of one full run on all rows, trained to the end. ``None``: planned from the number of rows, and
        stopped where the held-out loss is within 0.5% of the best (``schedule.planned_epochs``).
    schedule : {"flat-cosine", "constant"}, default "flat-cosine"
        Constant for the first half of the steps, then a cosine to zero; or constant throughout.
    hidden : tuple of int, default (128, 64)
        Units of each hidden layer.

    Raises
    ------
    ParameterError
        If a value is out of its rule.

    Examples
    --------
    >>> Recipe(epochs=20).lr
    0.002
    >>> Recipe(lr=-1)
    Traceback (most recent call last):
    ...
    regadvisor.errors.ParameterError: lr must be a positive finite number, got -1
    """

    optimizer: str = "adamw"
    lr: float = 2e-3
    batch_size: int = 128
    epochs: int | None = None
    schedule: str = "flat-cosine"
    hidden: tuple[int, ...] = (128, 64)

    def __post_init__(self) -> None:
        if self.optimizer != "adamw":
            raise ParameterError(f"optimizer must be 'adamw', got {self.optimizer!r}")
        if not (math.isfinite(self.lr) and self.lr > 0):
            raise ParameterError(f"lr must be a positive finite number, got {self.lr!r}")
        if self.batch_size < 1:
            raise ParameterError(f"batch_size must be at least 1, got {self.batch_size!r}")
        if self.epochs is not None and self.epochs < 1:
            raise ParameterError(f"epochs must be at least 1 or None, got {self.epochs!r}")
        if self.schedule not in SCHEDULES:
            raise ParameterError(f"schedule must be one of {SCHEDULES}, got {self.schedule!r}")
        if any(units < 1 for units in self.hidden):
            raise ParameterError(f"hidden must hold numbers of units of at least 1, got {self.hidden!r}")
