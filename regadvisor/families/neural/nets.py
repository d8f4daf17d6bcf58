"""Our multilayer perceptron: rectified linear layers, as a chain that is trained by ``chain.py``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise

import torch
from torch import Tensor

from regadvisor.families.neural.chain import Activation, ChainStack, Drop, Linear, Link
from regadvisor.families.neural.losses import Loss
from regadvisor.families.neural.module.layout import Entry
from regadvisor.families.neural.parameters import penalised_names
from regadvisor.families.neural.recipe import Recipe


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Sizes of the layers, and where each parameter lies in a network's row.

    Parameters
    ----------
    widths : tuple of int
        ``(n_features, *hidden, n_outputs)``.

    Examples
    --------
    >>> layout = Layout(widths=(3, 4, 2))
    >>> layout.n_weights, layout.n_parameters
    (20, 26)
    """

    widths: tuple[int, ...]

    @property
    def shapes(self) -> tuple[tuple[int, int], ...]:
        """(inputs, outputs) of every layer."""
        return tuple(pairwise(self.widths))

    @property
    def n_weights(self) -> int:
        """Weights of one network, without biases. They come first in its row."""
        return sum(n_in * n_out for n_in, n_out in self.shapes)

    @property
    def n_parameters(self) -> int:
        """Length of a network's row: weights, biases."""
        return self.n_weights + sum(self.widths[1:])

    @cached_property
    def columns(self) -> dict[str, slice]:
        """Where each parameter lies in a network's row, by its name in an ``nn.Sequential``.

        The names are those of alternating linear and rectified layers: ``"0.weight"``, ``"2.weight"``, …
        """
        sizes = {f"{2 * k}.weight": n_in * n_out for k, (n_in, n_out) in enumerate(self.shapes)}
        sizes |= {f"{2 * k}.bias": n_out for k, n_out in enumerate(self.widths[1:])}
        ends = accumulate(sizes.values())
        return {name: slice(end - sizes[name], end) for name, end in zip(sizes, ends, strict=True)}

    @property
    def links(self) -> list[Link]:
        """The perceptron as a chain."""

        def entry(name: str, shape: tuple[int, ...]) -> Entry:
            return Entry(name, shape, self.columns[name].start, torch.float32, True)

        chain: list[Link] = []
        for k, (n_in, n_out) in enumerate(self.shapes):
            weight, bias = entry(f"{2 * k}.weight", (n_in, n_out)), entry(f"{2 * k}.bias", (n_out,))
            chain += [Linear(weight, bias, is_turned=True), Activation("relu"), Drop()]
        return chain[:-2]

    def views(self, flat: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Return weights and biases of every layer as views.

        Shape
        -----
        flat : (n_models, n_parameters)
        weights : (n_models, n_in, n_out) each; biases : (n_models, 1, n_out) each
        """
        weights, biases, start = [], [], 0
        for n_in, n_out in self.shapes:
            weights.append(flat[:, start : start + n_in * n_out].view(-1, n_in, n_out))
            start += n_in * n_out
        for _, n_out in self.shapes:
            biases.append(flat[:, start : start + n_out].view(-1, 1, n_out))
            start += n_out
        return weights, biases


def initial_parameters(layout: Layout, generator: torch.Generator) -> Tensor:
    """Return the row of one untrained network, drawn as ``torch.nn.Linear`` does.

    Weights and biases are uniform within ±1/√n_in (He et al. 2015 with a = √5), layer by layer, the weights
    first.

    Shape
    -----
    returns : (1, n_parameters)
    """
    flat = torch.zeros(1, layout.n_parameters)
    for weight, bias in zip(*layout.views(flat), strict=True):
        bound = weight.shape[1] ** -0.5
        weight[0] = (2.0 * torch.rand(weight.shape[1:], generator=generator) - 1.0) * bound
        bias[0] = (2.0 * torch.rand(bias.shape[1:], generator=generator) - 1.0) * bound
    return flat


@dataclass(frozen=True, kw_only=True)
class NetArchitecture:
    """Multilayer perceptrons of one layout, and which of their parameters are penalised.

    Parameters
    ----------
    layout : Layout
    exempt : tuple of str, default ()
    penalised : tuple of str or None, default None
        Patterns of parameter names; see :class:`~regadvisor.families.neural.recipe.Recipe`.

    Raises
    ------
    ParameterError
        If a pattern fits no parameter (from `stack`).
    """

    layout: Layout
    exempt: tuple[str, ...] = ()
    penalised: tuple[str, ...] | None = None

    @classmethod
    def of(cls, recipe: Recipe, n_features: int, n_outputs: int) -> NetArchitecture:
        """Return the perceptron of a recipe for data of these sizes."""
        layout = Layout(widths=(n_features, *recipe.hidden, n_outputs))
        return cls(layout=layout, exempt=recipe.exempt, penalised=recipe.penalised)

    @property
    def n_parameters(self) -> int:
        """Length of a network's row."""
        return self.layout.n_parameters

    @property
    def columns(self) -> Mapping[str, slice]:
        """Where each parameter lies in a network's row, by name."""
        return self.layout.columns

    def shaped(self, x: Tensor) -> Tensor:
        """Return flat rows as they are."""
        return x

    def flat(self, shaped: Tensor) -> Tensor:
        """Return flat rows as they are."""
        return shaped

    def initial(self, generator: torch.Generator) -> Tensor:
        """Return the starting values of one network, shape (1, n_parameters)."""
        return initial_parameters(self.layout, generator)

    def stack(self, parameters: Tensor, *, batch: int, loss: Loss) -> NetStack:
        """Return networks with these starting values; see :class:`NetStack`."""
        return NetStack(self.layout, parameters, batch=batch, loss=loss, penalised=self._penalised_columns())

    def _penalised_columns(self) -> slice | Tensor:
        """Return the penalised columns: a slice where they lie side by side, else a mask."""
        by_default = {name: name.endswith("weight") for name in self.layout.columns}
        names = penalised_names(by_default, exempt=self.exempt, penalised=self.penalised)
        mask = torch.zeros(self.n_parameters, dtype=torch.bool)
        for name in names:
            mask[self.layout.columns[name]] = True
        at = mask.nonzero().flatten()
        if len(at) and int(at[-1] - at[0]) + 1 == len(at):
            return slice(int(at[0]), int(at[-1]) + 1)
        return mask

    def floats_per_network(self, batch: int) -> int:
        """Return parameters, gradient and two moments; inputs; outputs, slopes, dropout by layer."""
        widths = self.layout.widths
        return 5 * self.n_parameters + batch * (widths[0] + 5 * sum(widths[1:]))

    def operations_per_row(self) -> float:
        """Return the operations of training on one row."""
        return 6.0 * self.layout.n_weights


class NetStack(ChainStack):
    """Networks of one layout, trained together.

    Outputs are logits (classification, softmax) or the standardised target (regression).

    Parameters
    ----------
    layout : Layout
    parameters : Tensor, shape (n_models, n_parameters)
        Starting values; owned and changed by the stack.
    batch : int
        Rows per step.
    loss : Loss
    penalised : slice or Tensor of bool, optional
        Columns that penalties act on; all weights if not given.

    Attributes
    ----------
    weights, biases : list of Tensor
        Views into `flat`; see :meth:`Layout.views`.
    """

    def __init__(
        self,
        layout: Layout,
        parameters: Tensor,
        *,
        batch: int,
        loss: Loss,
        penalised: slice | Tensor | None = None,
    ) -> None:
        super().__init__(
            layout.links,
            parameters,
            batch=batch,
            loss=loss,
            penalised=slice(0, layout.n_weights) if penalised is None else penalised,
            n_features=layout.widths[0],
        )
        self.weights, self.biases = layout.views(self.flat)
