"""Chains of layers with a leading model axis: many networks in one batched product.

A chain is what most networks for tables are: linear layers, activations, layer norms and dropout, one after
the other. Our own perceptron is one (``nets.py``), and so are many modules of callers (``module_chain.py``).
All parameters of all networks lie in one tensor, a row for each network. So the optimizer and the penalties
are a few passes over one tensor, whatever the number of layers. Gradients are written out by hand: automatic
differentiation gives the same numbers, but its fresh buffers in every step take as long as the products
(measured: twice the time on 20 networks 128-64 with a batch of 128; ``torch.func.vmap`` 1.8 times).

A link of a chain (``Linear``, ``Norm``, ``Activation``, ``Drop``) says what is computed. A layer is a link
bound to the tensors of a stack.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from regadvisor.families.neural.losses import Loss, fill_slope
from regadvisor.families.neural.module_layout import Entry

_aten = torch.ops.aten

#: What the way back through a layer reads of its output. What reads no more than the sign survives dropout
#: in place: a dropped unit is 0, and no slope gets through to it anyway.
Reads = Literal["nothing", "sign", "all"]


@dataclass(frozen=True)
class Linear:
    """A linear layer: where a network's row holds its weight and bias.

    Attributes
    ----------
    weight : Entry
        Shape (n_out, n_in) as in torch, or (n_in, n_out) if `is_turned`.
    bias : Entry or None
    is_turned : bool
    """

    weight: Entry
    bias: Entry | None
    is_turned: bool = False


@dataclass(frozen=True)
class Norm:
    """A layer norm over the last axis, with or without weight and bias."""

    weight: Entry | None
    bias: Entry | None
    eps: float


@dataclass(frozen=True)
class Activation:
    """An activation of ``RULES`` with its settings, in the order of its rule."""

    name: str
    settings: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Drop:
    """A place that drops units."""


Link = Linear | Norm | Activation | Drop


@dataclass(frozen=True)
class Rule:
    """How an activation is computed, and the way back through it.

    Attributes
    ----------
    settings : dict
        Names and torch's defaults, in torch's order.
    forward : callable
        ``(inputs, *settings, out)``.
    backward : callable
        ``(slope, kept, *settings)``; changes the slope in place. `kept` is the output, or the input if
        nothing of the output is read.
    reads : {"nothing", "sign", "all"}
    is_known : callable
        Whether the way back is right for these settings.
    """

    settings: dict[str, Any]
    forward: Callable[..., Any]
    backward: Callable[..., Any]
    reads: Reads = "nothing"
    is_known: Callable[..., bool] = lambda *settings: True


#: The activations, by their names in torch. Each way back is torch's own kernel.
RULES: dict[str, Rule] = {
    "relu": Rule(
        {},
        lambda x, out: torch.clamp_min(x, 0.0, out=out),
        lambda d, y: _aten.threshold_backward(d, y, 0.0, grad_input=d),
        reads="sign",
    ),
    "leaky_relu": Rule(
        {"negative_slope": 0.01},
        lambda x, slope, out: _aten.leaky_relu(x, slope, out=out),
        lambda d, y, slope: _aten.leaky_relu_backward(d, y, slope, True, grad_input=d),
        reads="sign",
        is_known=lambda slope: slope >= 0,
    ),
    "tanh": Rule(
        {},
        lambda x, out: torch.tanh(x, out=out),
        lambda d, y: _aten.tanh_backward(d, y, grad_input=d),
        reads="all",
    ),
    "sigmoid": Rule(
        {},
        lambda x, out: torch.sigmoid(x, out=out),
        lambda d, y: _aten.sigmoid_backward(d, y, grad_input=d),
        reads="all",
    ),
    "elu": Rule(
        {"alpha": 1.0},
        lambda x, alpha, out: _aten.elu(x, alpha, out=out),
        lambda d, y, alpha: _aten.elu_backward(d, alpha, 1.0, 1.0, True, y, grad_input=d),
        reads="all",
        is_known=lambda alpha: alpha >= 0,
    ),
    "gelu": Rule(
        {"approximate": "none"},
        lambda x, approximate, out: _aten.gelu(x, approximate=approximate, out=out),
        lambda d, x, approximate: _aten.gelu_backward(d, x, approximate=approximate, grad_input=d),
    ),
    "silu": Rule(
        {},
        lambda x, out: _aten.silu(x, out=out),
        lambda d, x: _aten.silu_backward(d, x, grad_input=d),
    ),
    "softplus": Rule(
        {"beta": 1.0, "threshold": 20.0},
        lambda x, beta, threshold, out: _aten.softplus(x, beta, threshold, out=out),
        lambda d, x, beta, threshold: _aten.softplus_backward(d, x, beta, threshold, grad_input=d),
    ),
    "hardtanh": Rule(
        {"min_val": -1.0, "max_val": 1.0},
        lambda x, low, high, out: _aten.hardtanh(x, low, high, out=out),
        lambda d, x, low, high: _aten.hardtanh_backward(d, x, low, high, grad_input=d),
    ),
}


class _Layer:
    """A link bound to the tensors of a stack.

    Parameters
    ----------
    link : Link
    shape : tuple of int
        Of its input: (n_models, batch, n_in).
    before : Reads
        What the layer before reads of its own output, which is this layer's input.
    rows : tuple of Tensor
        Parameters and gradients, (n_models, n_parameters) each.
    """

    reads: Reads = "nothing"
    n_out: int

    def forward(self, x: Tensor, dropped: slice | None, mask: Tensor | None) -> Tensor:
        """Return the outputs of the training pass, keeping what the way back needs; `x` may be written on."""
        raise NotImplementedError

    def backward(self, slope: Tensor, dropped: slice | None, mask: Tensor | None, is_last: bool) -> Tensor:
        """Fill the layer's gradients and return the slope by its inputs.

        `slope` may be written on. `is_last`: nothing below has parameters, so the slope is not needed.
        """
        raise NotImplementedError

    def evaluate(self, x: Tensor, models: slice | Tensor) -> Tensor:
        """Return the outputs of some networks in evaluation mode; `x` may be written on."""
        raise NotImplementedError


class _Linear(_Layer):
    def __init__(
        self, link: Linear, shape: tuple[int, int, int], before: Reads, rows: tuple[Tensor, Tensor]
    ) -> None:
        def views(flat: Tensor) -> tuple[Tensor, Tensor | None]:
            weight = link.weight.view(flat)
            bias = None if link.bias is None else link.bias.view(flat).unsqueeze(1)
            return (weight if link.is_turned else weight.transpose(1, 2)), bias

        (self.weight, self.bias), (self._weight_gradient, self._bias_gradient) = map(views, rows)
        self.n_out = self.weight.shape[2]
        self._inputs = self._output = self.weight.new_empty(*shape[:2], self.n_out)
        self._below: Tensor | None = None

    def forward(self, x: Tensor, dropped: slice | None, mask: Tensor | None) -> Tensor:
        self._inputs = x
        if self.bias is None:
            return torch.bmm(x, self.weight, out=self._output)
        return torch.baddbmm(self.bias, x, self.weight, out=self._output)

    def backward(self, slope: Tensor, dropped: slice | None, mask: Tensor | None, is_last: bool) -> Tensor:
        torch.bmm(self._inputs.transpose(1, 2), slope, out=self._weight_gradient)
        if self._bias_gradient is not None:
            torch.sum(slope, 1, keepdim=True, out=self._bias_gradient)
        if is_last:
            return slope
        if self._below is None:
            self._below = self._inputs.new_empty(self._inputs.shape)
        return torch.bmm(slope, self.weight.transpose(1, 2), out=self._below)

    def evaluate(self, x: Tensor, models: slice | Tensor) -> Tensor:
        weight = self.weight[models]
        return torch.bmm(x, weight) if self.bias is None else torch.baddbmm(self.bias[models], x, weight)


class _Norm(_Layer):
    def __init__(
        self, link: Norm, shape: tuple[int, int, int], before: Reads, rows: tuple[Tensor, Tensor]
    ) -> None:
        def views(flat: Tensor) -> tuple[Tensor | None, Tensor | None]:
            weight, bias = (
                None if entry is None else entry.view(flat).unsqueeze(1) for entry in (link.weight, link.bias)
            )
            return weight, bias

        (self._weight, self._bias), (self._weight_gradient, self._bias_gradient) = map(views, rows)
        self._eps, self._width, self.n_out = link.eps, [shape[2]], shape[2]
        self._output = rows[0].new_empty(shape)
        self._inputs = self._normal = self._mean = self._scale = self._output

    def forward(self, x: Tensor, dropped: slice | None, mask: Tensor | None) -> Tensor:
        self._inputs = x
        self._normal, self._mean, self._scale = torch.native_layer_norm(x, self._width, None, None, self._eps)
        return self._scaled(self._normal, self._weight, self._bias, out=self._output)

    def _scaled(self, normal: Tensor, weight: Tensor | None, bias: Tensor | None, out: Tensor) -> Tensor:
        if weight is None:
            out.copy_(normal)
        elif bias is None:
            torch.mul(normal, weight, out=out)
        else:
            torch.addcmul(bias, normal, weight, out=out)
        return out

    def backward(self, slope: Tensor, dropped: slice | None, mask: Tensor | None, is_last: bool) -> Tensor:
        if self._bias_gradient is not None:
            torch.sum(slope, 1, keepdim=True, out=self._bias_gradient)
        if self._weight is not None and self._weight_gradient is not None:
            # What was the output is not needed any more.
            torch.mul(slope, self._normal, out=self._output)
            torch.sum(self._output, 1, keepdim=True, out=self._weight_gradient)
            slope.mul_(self._weight)
        below: Tensor = _aten.native_layer_norm_backward(
            slope, self._inputs, self._width, self._mean, self._scale, None, None, [not is_last, False, False]
        )[0]
        return below

    def evaluate(self, x: Tensor, models: slice | Tensor) -> Tensor:
        normal = nn.functional.layer_norm(x, self._width, eps=self._eps)
        weight, bias = (None if own is None else own[models] for own in (self._weight, self._bias))
        return self._scaled(normal, weight, bias, out=normal)


class _Activation(_Layer):
    def __init__(
        self, link: Activation, shape: tuple[int, int, int], before: Reads, rows: tuple[Tensor, Tensor]
    ) -> None:
        self._rule, self._settings = RULES[link.name], link.settings
        self.reads, self.n_out = self._rule.reads, shape[2]
        self._is_in_place = self.reads != "nothing" and before == "nothing"
        self._kept = self._output = rows[0].new_empty(0 if self._is_in_place else shape)

    def forward(self, x: Tensor, dropped: slice | None, mask: Tensor | None) -> Tensor:
        output = x if self._is_in_place else self._output
        self._rule.forward(x, *self._settings, out=output)
        self._kept = x if self.reads == "nothing" else output
        return output

    def backward(self, slope: Tensor, dropped: slice | None, mask: Tensor | None, is_last: bool) -> Tensor:
        self._rule.backward(slope, self._kept, *self._settings)
        return slope

    def evaluate(self, x: Tensor, models: slice | Tensor) -> Tensor:
        self._rule.forward(x, *self._settings, out=x)
        return x


class _Drop(_Layer):
    def __init__(
        self, link: Drop, shape: tuple[int, int, int], before: Reads, rows: tuple[Tensor, Tensor]
    ) -> None:
        self.n_out, self._is_in_place = shape[2], before != "all"
        self._output = rows[0].new_empty(0 if self._is_in_place else shape)

    def forward(self, x: Tensor, dropped: slice | None, mask: Tensor | None) -> Tensor:
        if dropped is None or mask is None:
            return x
        output = x if self._is_in_place else self._output.copy_(x)
        output[dropped].mul_(mask)
        return output

    def backward(self, slope: Tensor, dropped: slice | None, mask: Tensor | None, is_last: bool) -> Tensor:
        if dropped is not None and mask is not None:
            slope[dropped].mul_(mask)
        return slope

    def evaluate(self, x: Tensor, models: slice | Tensor) -> Tensor:
        return x


_BOUND: dict[type, Callable[..., _Layer]] = {
    Linear: _Linear,
    Norm: _Norm,
    Activation: _Activation,
    Drop: _Drop,
}


class ChainStack:
    """Networks of one chain, and the buffers to compute their gradients.

    Parameters
    ----------
    links : sequence of Link
        Over rows of numbers; `n_features` of them come in.
    parameters : Tensor, shape (n_models, n_parameters)
        Starting values; owned and changed by the stack.
    batch : int
        Rows per step.
    loss : Loss
    penalised : slice or Tensor of bool
        Columns that penalties act on.
    n_features : int
    has_one_logit : bool
        Two classes with a single output z, which stands for the logits (0, z).

    Attributes
    ----------
    flat, gradient : Tensor, shape (n_models, n_parameters)
    """

    def __init__(
        self,
        links: Sequence[Link],
        parameters: Tensor,
        *,
        batch: int,
        loss: Loss,
        penalised: slice | Tensor,
        n_features: int,
        has_one_logit: bool = False,
    ) -> None:
        self.flat, self.gradient, self.penalised = parameters, torch.zeros_like(parameters), penalised
        self._loss, self._has_one_logit, self._n_features = loss, has_one_logit, n_features
        self.layers: list[_Layer] = []
        # The rows that come in are the trainer's own and not to be written on.
        width, before, widths = n_features, "all", []
        for link in links:
            shape = (self.n_models, batch, width)
            layer = _BOUND[type(link)](link, shape, before, (self.flat, self.gradient))
            if isinstance(link, Drop):
                widths.append((width,))
            else:
                before = layer.reads
            self.layers.append(layer)
            width = layer.n_out
        self.dropout_shapes: tuple[tuple[int, ...], ...] = tuple(widths)
        self._first = next(layer for layer in self.layers if not isinstance(layer, _Drop))
        #: The way back ends here.
        self._lowest = min(k for k, link in enumerate(links) if isinstance(link, Linear | Norm))
        self._slope = parameters.new_empty(self.n_models, batch, width + has_one_logit)

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
        """Fill `gradient` with that of the mean loss over the batch; see ``architecture.Stack``."""
        masks = iter(keep)
        own = [next(masks, None) if isinstance(layer, _Drop) else None for layer in self.layers]
        for layer, mask in zip(self.layers, own, strict=True):
            x = layer.forward(x, dropped, mask)
        fill_slope(self._loss, self._logits(x), target, weight, self._slope)
        slope = self._slope[:, :, 1:].contiguous() if self._has_one_logit else self._slope
        for number in reversed(range(self._lowest, len(self.layers))):
            layer = self.layers[number]
            slope = layer.backward(slope, dropped, own[number], is_last=number == self._lowest)

    def outputs(self, models: slice | Tensor, x: Tensor) -> Tensor:
        """Return the outputs of some networks on the same rows, shape (n_chosen, n_rows, n_outputs)."""
        n_chosen = len(models) if isinstance(models, Tensor) else len(range(self.n_models)[models])
        x = x.expand(n_chosen, *x.shape)
        if isinstance(self._first, _Activation):
            x = x.clone()
        for layer in self.layers:
            x = layer.evaluate(x, models)
        return self._logits(x)

    def _logits(self, x: Tensor) -> Tensor:
        """Return (0, z) for the z of a network with a single logit."""
        return nn.functional.pad(x, (1, 0)) if self._has_one_logit else x

    def zeroed(self) -> Tensor:
        """Return where all first-layer weights of a feature are exactly 0, bool (n_models, n_features).

        False everywhere where the features are not taken by a linear layer first.
        """
        if isinstance(self._first, _Linear):
            return (self._first.weight == 0).all(-1)
        return torch.zeros(self.n_models, self._n_features, dtype=torch.bool, device=self.flat.device)
