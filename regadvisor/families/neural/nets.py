"""Multilayer perceptrons with a leading model axis: many networks in one batched product.

All parameters of all networks lie in one tensor, a row for each network. So the optimizer and the
penalties are a few passes over one tensor, whatever the number of layers. Gradients are written out by
hand: automatic differentiation gives the same numbers, but its fresh buffers in every step cost as much
time as the products (measured: 1.3 to 2 times slower).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise

import torch
from torch import Tensor

from regadvisor.adapters.torch_module import penalised_names
from regadvisor.families.neural.losses import Loss, fill_slope
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


class NetStack:
    """Networks of one layout, and the buffers to compute their gradients.

    The hidden layers are rectified linear. Outputs are logits (classification, softmax) or the standardised
    target (regression).

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
    flat, gradient : Tensor, shape (n_models, n_parameters)
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
        self.layout = layout
        self.flat = parameters
        self.gradient = torch.zeros_like(parameters)
        self.penalised = slice(0, layout.n_weights) if penalised is None else penalised
        self.dropout_shapes = tuple((width,) for width in layout.widths[1:-1])
        self._loss = loss
        self.weights, self.biases = layout.views(self.flat)
        self._weight_gradients, self._bias_gradients = layout.views(self.gradient)
        n_models = parameters.shape[0]
        self._outputs = [parameters.new_empty(n_models, batch, width) for width in layout.widths[1:]]
        self._deltas = [torch.empty_like(output) for output in self._outputs]

    @property
    def n_models(self) -> int:
        """Networks in the stack."""
        return self.flat.shape[0]

    def compute_gradient(
        self,
        x: Tensor,
        target: Tensor,
        *,
        weight: Tensor | None = None,
        dropped: slice | None = None,
        keep: Sequence[Tensor] = (),
    ) -> None:
        """Fill `gradient` with that of the mean loss over the batch.

        Shape
        -----
        x : (n_models, batch, n_features)
        target : (n_models, batch, n_outputs), one-hot classes or the standardised target
        weight : (n_models, batch) or None, row weights
        dropped : the models that use dropout, or None
        keep : (n_dropped, batch, n_hidden) per hidden layer: 0 where dropped, else 1 / (1 − rate)
        """
        output = self._forward(x, dropped, keep)
        fill_slope(self._loss, output, target, weight, self._deltas[-1])
        self._backward(x, dropped, keep)

    def outputs(self, models: slice | Tensor, x: Tensor) -> Tensor:
        """Return the outputs of some networks on the same rows, shape (n_chosen, n_rows, n_outputs)."""
        return predict(self.layout, self.flat[models], x)

    def zeroed(self) -> Tensor:
        """Return the features whose first-layer weights are all exactly 0, bool (n_models, n_features)."""
        return (self.weights[0] == 0).all(-1)

    def _forward(self, x: Tensor, dropped: slice | None, keep: Sequence[Tensor]) -> Tensor:
        """Return the outputs of the training pass, keeping what the way back needs."""
        hidden = x
        for layer, output in enumerate(self._outputs):
            torch.baddbmm(self.biases[layer], hidden, self.weights[layer], out=output)
            hidden = output
            if layer < len(self._outputs) - 1:
                hidden.clamp_min_(0.0)
                if dropped is not None:
                    hidden[dropped].mul_(keep[layer])
        return hidden

    def _backward(self, x: Tensor, dropped: slice | None, keep: Sequence[Tensor]) -> None:
        """Fill the gradients from the last layer down; the last of `_deltas` is the slope by the outputs."""
        for layer in reversed(range(len(self._outputs))):
            inputs, delta = self._outputs[layer - 1] if layer else x, self._deltas[layer]
            torch.bmm(inputs.transpose(1, 2), delta, out=self._weight_gradients[layer])
            torch.sum(delta, 1, keepdim=True, out=self._bias_gradients[layer])
            if layer:
                below = self._deltas[layer - 1]
                torch.bmm(delta, self.weights[layer].transpose(1, 2), out=below)
                # A unit is 0 where it was rectified or dropped; both let no slope through.
                torch.ops.aten.threshold_backward(below, inputs, 0.0, grad_input=below)
                if dropped is not None:
                    below[dropped].mul_(keep[layer - 1])


def predict(layout: Layout, parameters: Tensor, x: Tensor) -> Tensor:
    """Return the outputs of several networks on the same rows, without dropout.

    Shape
    -----
    parameters : (n_models, n_parameters)
    x : (n_rows, n_features)
    returns : (n_models, n_rows, n_outputs)
    """
    weights, biases = layout.views(parameters)
    hidden = x.expand(parameters.shape[0], *x.shape)
    for layer, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        hidden = torch.baddbmm(bias, hidden, weight)
        if layer < len(weights) - 1:
            hidden = hidden.clamp_min_(0.0)
    return hidden
