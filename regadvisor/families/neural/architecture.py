"""What every network offers to the trainer: its parameters as one row of numbers, and its gradient.

The trainer, the penalties and the scoring know no layers. They know stacks: many networks of one
architecture whose parameters lie in one tensor, a row for each network. ``nets.py`` is the multilayer
perceptron with gradients written out; other modules come in through the same two classes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from regadvisor.families.neural.losses import Loss
from regadvisor.families.neural.module.layout import ModuleLayout

#: Which networks drop units, and for each place that drops (n_dropped, batch, *shape): 0 where dropped, else
#: 1 / (1 − rate).
Masks = tuple[slice, Sequence[Tensor]]


class Stack(ABC):
    """Networks of one architecture with their parameters in one tensor, trained together.

    `parameters` (n_models, n_parameters): starting values; owned and changed by the stack. `n_penalised`: the
    first columns, on which a penalty acts.

    `flat`, `gradient` (n_models, n_parameters): parameters, trained in place; what `compute_gradient` fills.
    `dropout_shapes`: shape per row of every place that drops units, in the order of the forward pass.
    `idle`: networks, and columns of their parameters, that the last `compute_gradient` found no gradient for:
    no step moves them, and no penalty.
    `rates`: dropout rates of the networks, for places that take no masks; None: what the architecture says.
    """

    dropout_shapes: tuple[tuple[int, ...], ...] = ()
    idle: Sequence[tuple[slice, slice]] = ()
    rates: Sequence[float] | None = None

    def __init__(self, parameters: Tensor, *, n_penalised: int) -> None:
        self.flat, self.gradient, self.n_penalised = parameters, torch.zeros_like(parameters), n_penalised

    @property
    def n_models(self) -> int:
        """Networks in the stack."""
        return self.flat.shape[0]

    @abstractmethod
    def compute_gradient(
        self, x: Tensor, target: Tensor, *, weight: Tensor | None = None, masks: Masks | None = None
    ) -> None:
        """Fill `gradient` with that of the mean loss over the batch, without any penalty.

        Shapes: `x` (n_models, batch, n_features); `target` (n_models, batch, n_outputs), one-hot classes or
        the standardised target; `weight` (n_models, batch) or None, row weights with a mean of 1.
        """

    @abstractmethod
    def outputs(self, models: slice | Tensor, x: Tensor) -> Tensor:
        """Return the outputs of some networks on the same rows, in evaluation mode.

        Shapes: `models` a slice of the networks, or their numbers; `x` (n_rows, n_features); returns
        (n_chosen, n_rows, n_outputs).
        """

    @abstractmethod
    def zeroed(self) -> Tensor:
        """Return where all first-layer weights of a feature are exactly 0, bool (n_models, n_features).

        False everywhere where the architecture has no weights per feature.
        """


class Architecture(ABC):
    """Networks of one shape that are not trained yet.

    `layout`: where each parameter lies in a network's row. `is_together`: whether networks in company take
    less time than one by one.
    """

    is_together: bool = True
    if TYPE_CHECKING:
        layout: ModuleLayout

    @property
    def n_parameters(self) -> int:
        """Length of a network's row."""
        return self.layout.n_parameters

    def shaped(self, x: Tensor) -> Tensor:
        """Return flat rows (batch, n_features) as a network gets them; the rows are the first axis."""
        return x

    def flat(self, shaped: Tensor) -> Tensor:
        """Return what `shaped` gave as flat rows again."""
        return shaped

    @abstractmethod
    def initial(self, generator: torch.Generator) -> Tensor:
        """Return the starting values of one network, shape (1, n_parameters), drawn from `generator`."""

    @abstractmethod
    def stack(self, parameters: Tensor, *, batch: int, loss: Loss) -> Stack:
        """Return networks with these starting values, which the stack owns and changes.

        `parameters` (n_models, n_parameters): on the device to train on. `batch`: rows per step. `loss`: loss
        of a row; its weighted mean over the batch is minimised.
        """

    @abstractmethod
    def floats_per_network(self, batch: int) -> int:
        """Return how many floats one network takes while it is trained, optimizer included."""

    @abstractmethod
    def operations_per_row(self) -> float:
        """Return the operations of training on one row: 6 for every multiplication of the forward pass."""
