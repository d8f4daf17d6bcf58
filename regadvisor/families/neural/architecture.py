"""What every network offers to the trainer: its parameters as one row of numbers, and its gradient.

The trainer, the penalties and the scoring know no layers. They know stacks: many networks of one
architecture whose parameters lie in one tensor, a row for each network. ``nets.py`` is the multilayer
perceptron with gradients written out; other modules come in through the same two protocols.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import torch
from torch import Tensor

from regadvisor.families.neural.losses import Loss


class Stack(Protocol):
    """Networks of one architecture with their parameters in one tensor, trained together.

    Attributes
    ----------
    flat : Tensor of float32, shape (n_models, n_parameters)
        Parameters, trained in place.
    gradient : Tensor, shape (n_models, n_parameters)
        Filled by `compute_gradient`.
    penalised : slice or Tensor of bool, shape (n_parameters,)
        Columns of `flat` that a penalty acts on.
    dropout_shapes : tuple of tuple of int
        Shape per row of every place that drops units, in the order of the forward pass.
    idle : sequence of (slice, slice)
        Networks, and columns of their parameters, that the last `compute_gradient` found no gradient for:
        no step moves them, and no penalty.
    rates : sequence of float or None
        Dropout rates of the networks, for places that take no masks; None: what the architecture says.
    n_models : int
    """

    rates: Sequence[float] | None

    @property
    def flat(self) -> Tensor: ...  # noqa: D102

    @property
    def gradient(self) -> Tensor: ...  # noqa: D102

    @property
    def penalised(self) -> slice | Tensor: ...  # noqa: D102

    @property
    def dropout_shapes(self) -> tuple[tuple[int, ...], ...]: ...  # noqa: D102

    @property
    def idle(self) -> Sequence[tuple[slice, slice]]: ...  # noqa: D102

    @property
    def n_models(self) -> int: ...  # noqa: D102

    def compute_gradient(
        self,
        x: Tensor,
        target: Tensor,
        *,
        weight: Tensor | None = None,
        dropped: slice | None = None,
        keep: Sequence[Tensor] = (),
    ) -> None:
        """Fill `gradient` with that of the mean loss over the batch, without any penalty.

        Shape
        -----
        x : (n_models, batch, n_features)
        target : (n_models, batch, n_outputs), one-hot classes or the standardised target
        weight : (n_models, batch) or None, row weights with a mean of 1
        dropped : the models that use dropout, or None
        keep : (n_dropped, batch, *shape) per place that drops: 0 where dropped, else 1 / (1 − rate)
        """

    def outputs(self, models: slice | Tensor, x: Tensor) -> Tensor:
        """Return the outputs of some networks on the same rows, in evaluation mode.

        Shape
        -----
        models : a slice of the networks, or their numbers
        x : (n_rows, n_features)
        returns : (n_chosen, n_rows, n_outputs)
        """

    def zeroed(self) -> Tensor:
        """Return where all first-layer weights of a feature are exactly 0, bool (n_models, n_features).

        False everywhere where the architecture has no weights per feature.
        """


class Architecture(Protocol):
    """Networks of one shape that are not trained yet.

    Attributes
    ----------
    n_parameters : int
        Length of a network's row.
    columns : mapping of str to slice
        Where each parameter lies in it, by name.
    """

    @property
    def n_parameters(self) -> int: ...  # noqa: D102

    @property
    def columns(self) -> Mapping[str, slice]: ...  # noqa: D102

    def shaped(self, x: Tensor) -> Tensor:
        """Return flat rows (batch, n_features) as a network gets them; the rows are the first axis."""

    def flat(self, shaped: Tensor) -> Tensor:
        """Return what `shaped` gave as flat rows again."""

    def initial(self, generator: torch.Generator) -> Tensor:
        """Return the starting values of one network, shape (1, n_parameters), drawn from `generator`."""

    def stack(self, parameters: Tensor, *, batch: int, loss: Loss) -> Stack:
        """Return networks with these starting values, which the stack owns and changes.

        Parameters
        ----------
        parameters : Tensor, shape (n_models, n_parameters)
            On the device to train on.
        batch : int
            Rows per step.
        loss : Loss
            Loss of a row; its weighted mean over the batch is minimised.
        """

    def floats_per_network(self, batch: int) -> int:
        """Return how many floats one network takes while it is trained, optimizer included."""

    def operations_per_row(self) -> float:
        """Return the operations of training on one row: 6 for every multiplication of the forward pass."""
