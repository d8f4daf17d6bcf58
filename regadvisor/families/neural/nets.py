"""Multilayer perceptrons with a leading model axis: many networks in one batched product.

All parameters of all networks lie in one tensor, a row for each network. So the optimizer and the
penalties are a few passes over one tensor, whatever the number of layers. Gradients are written out by
hand: automatic differentiation gives the same numbers, but its fresh buffers in every step cost as much
time as the products (measured: 1.3 to 2 times slower).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

#: Rows of parameters are padded to whole vector registers of 16 floats. Without it, where a number lands
#: decides whether it is rounded by vector or by scalar code, and results would depend on the batching.
REGISTER = 16


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
    (20, 32)
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
        """Length of a network's row: weights, biases, padding."""
        used = self.n_weights + sum(self.widths[1:])
        return -(-used // REGISTER) * REGISTER

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


class NetStack:
    """Networks of one layout, and the buffers to compute their gradients.

    The hidden layers are rectified linear. Outputs are logits (classification, softmax) or the standardised
    target (regression).

    Parameters
    ----------
    layout : Layout
    parameters : Tensor, shape (n_models, n_parameters)
        Starting values; owned and changed by the stack.
    is_classification : bool
        Log loss, else half the squared error.
    batch : int
        Rows per step.

    Attributes
    ----------
    flat, gradient : Tensor, shape (n_models, n_parameters)
    weights, biases : list of Tensor
        Views into `flat`; see :meth:`Layout.views`.
    """

    def __init__(self, layout: Layout, parameters: Tensor, *, is_classification: bool, batch: int) -> None:
        self.layout = layout
        self.flat = parameters
        self.gradient = torch.zeros_like(parameters)
        self.is_classification = is_classification
        self.batch = batch
        self.weights, self.biases = layout.views(self.flat)
        self._weight_gradients, self._bias_gradients = layout.views(self.gradient)
        n_models = parameters.shape[0]
        self._outputs = [parameters.new_empty(n_models, batch, width) for width in layout.widths[1:]]
        self._deltas = [torch.empty_like(output) for output in self._outputs]
        self._gates = [torch.empty_like(output) for output in self._outputs[:-1]]

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
        delta = self._deltas[-1]
        if self.is_classification:
            torch.softmax(output, -1, out=delta)
            delta.sub_(target)
        else:
            torch.sub(output, target, out=delta)
        if weight is not None:
            delta.mul_(weight.unsqueeze(-1))
        delta.mul_(1.0 / self.batch)
        self._backward(x, delta)

    def _forward(self, x: Tensor, dropped: slice | None, keep: Sequence[Tensor]) -> Tensor:
        """Return the outputs of the training pass, keeping what the way back needs."""
        hidden = x
        for layer, output in enumerate(self._outputs):
            torch.baddbmm(self.biases[layer], hidden, self.weights[layer], out=output)
            hidden = output
            if layer < len(self._gates):
                gate = self._gates[layer]
                # Rectifier and dropout are one factor, 0 or 1 / (1 − rate), used on both ways.
                torch.gt(output, 0.0, out=gate)
                if dropped is not None:
                    gate[dropped].mul_(keep[layer])
                hidden.mul_(gate)
        return hidden

    def _backward(self, x: Tensor, delta: Tensor) -> None:
        """Fill the gradients from the last layer down; `delta` is the loss's slope by the outputs."""
        for layer in reversed(range(len(self._outputs))):
            inputs = self._outputs[layer - 1] if layer else x
            torch.bmm(inputs.transpose(1, 2), delta, out=self._weight_gradients[layer])
            torch.sum(delta, 1, keepdim=True, out=self._bias_gradients[layer])
            if layer:
                below = self._deltas[layer - 1]
                torch.bmm(delta, self.weights[layer].transpose(1, 2), out=below)
                delta = below.mul_(self._gates[layer - 1])


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
