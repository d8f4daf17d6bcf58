"""Chains of layers with a leading model axis: many networks in one batched product.

A chain is what most networks for tables are: linear layers, activations, layer norms and dropout, one after
the other. Our own perceptron is one (``nets.py``), and so are many modules of callers (``module/chain.py``).
All parameters of all networks lie in one tensor, a row for each network. So the optimizer and the penalties
are a few passes over one tensor, whatever the number of layers. Gradients are written out by hand: automatic
differentiation gives the same numbers, but its fresh buffers in every step take as long as the products
(measured: twice the time on 20 networks 128-64 with a batch of 128; ``torch.func.vmap`` 1.8 times).

A link of a chain (``Linear``, ``Norm``, ``Activation``, ``Drop``) says what is computed. A layer is a link
bound to the tensors of a stack.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from regadvisor.families.neural.architecture import Masks, Stack
from regadvisor.families.neural.losses import Loss, fill_slope
from regadvisor.families.neural.module.layout import Entry, ModuleLayout

_aten = torch.ops.aten

#: What the way back through a layer reads of its output. Where it is the sign, dropout may write on the
#: output: a dropped unit is 0, and no slope gets through to it anyway.
Reads = Literal["nothing", "sign", "all"]


@dataclass(frozen=True)
class Linear:
    """A linear layer, by the names of its weight and bias.

    The weight has shape (n_out, n_in) as in torch, or (n_in, n_out) if `is_turned`.
    """

    weight: str
    bias: str | None
    is_turned: bool = False


@dataclass(frozen=True)
class Norm:
    """A layer norm over the last axis, with or without weight and bias."""

    weight: str | None
    bias: str | None
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


class Rule(NamedTuple):
    """How an activation is computed, and the way back through it."""

    #: ``(inputs, *settings, out)``
    forward: Callable[..., Any]
    #: ``(slope, kept, *settings)`` changes the slope in place; kept is the output, or the input if nothing of
    #: the output is read. Each is torch's own kernel.
    backward: Callable[..., Any]
    reads: Reads = "nothing"
    #: Names and torch's defaults, in torch's order.
    settings: Mapping[str, Any] = MappingProxyType({})
    #: Whether the way back is right for these settings.
    is_known: Callable[..., bool] = lambda *settings: True


#: The activations, by their names in torch.
RULES: dict[str, Rule] = {
    "relu": Rule(
        lambda x, out: torch.clamp_min(x, 0.0, out=out),
        lambda d, y: _aten.threshold_backward(d, y, 0.0, grad_input=d),
        "sign",
    ),
    "leaky_relu": Rule(
        lambda x, slope, out: _aten.leaky_relu(x, slope, out=out),
        lambda d, y, slope: _aten.leaky_relu_backward(d, y, slope, True, grad_input=d),
        "sign",
        {"negative_slope": 0.01},
        lambda slope: slope >= 0,
    ),
    "tanh": Rule(
        lambda x, out: torch.tanh(x, out=out), lambda d, y: _aten.tanh_backward(d, y, grad_input=d), "all"
    ),
    "sigmoid": Rule(
        lambda x, out: torch.sigmoid(x, out=out),
        lambda d, y: _aten.sigmoid_backward(d, y, grad_input=d),
        "all",
    ),
    "elu": Rule(
        lambda x, alpha, out: _aten.elu(x, alpha, out=out),
        lambda d, y, alpha: _aten.elu_backward(d, alpha, 1.0, 1.0, True, y, grad_input=d),
        "all",
        {"alpha": 1.0},
        lambda alpha: alpha >= 0,
    ),
    "gelu": Rule(
        lambda x, how, out: _aten.gelu(x, approximate=how, out=out),
        lambda d, x, how: _aten.gelu_backward(d, x, approximate=how, grad_input=d),
        settings={"approximate": "none"},
    ),
    "silu": Rule(lambda x, out: _aten.silu(x, out=out), lambda d, x: _aten.silu_backward(d, x, grad_input=d)),
    "softplus": Rule(
        lambda x, beta, threshold, out: _aten.softplus(x, beta, threshold, out=out),
        lambda d, x, beta, threshold: _aten.softplus_backward(d, x, beta, threshold, grad_input=d),
        settings={"beta": 1.0, "threshold": 20.0},
    ),
    "hardtanh": Rule(
        lambda x, low, high, out: _aten.hardtanh(x, low, high, out=out),
        lambda d, x, low, high: _aten.hardtanh_backward(d, x, low, high, grad_input=d),
        settings={"min_val": -1.0, "max_val": 1.0},
    ),
}


@dataclass(frozen=True)
class _Place:
    """Where in a stack a layer stands."""

    flat: Tensor
    gradient: Tensor
    #: Where a network's row holds its parameters, by their names.
    entries: Mapping[str, Entry]
    #: Of its input: (n_models, batch, n_in).
    shape: tuple[int, int, int]
    #: What the layer before reads of its own output, which is this layer's input.
    before: Reads

    def pair(self, name: str | None) -> tuple[Tensor | None, Tensor | None]:
        """Return a parameter of one axis as (n_models, 1, n), and its gradient; None: there is none."""
        if name is None:
            return None, None
        own = self.entries[name]
        return own.view(self.flat).unsqueeze(1), own.view(self.gradient).unsqueeze(1)


class _Layer(ABC):
    """A link bound to a place. Passes may write on what comes in, where nobody reads it any more."""

    reads: Reads = "nothing"
    n_out: int

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs of the training pass, keeping what the way back needs."""

    @abstractmethod
    def backward(self, slope: Tensor, *, is_last: bool) -> Tensor:
        """Fill the layer's gradients and return the slope by its inputs; of the last one, it is not read."""

    @abstractmethod
    def evaluate(self, x: Tensor, models: slice | Tensor) -> Tensor:
        """Return the outputs of some networks in evaluation mode."""


class _Linear(_Layer):
    def __init__(self, link: Linear, place: _Place) -> None:
        weights = (place.entries[link.weight].view(rows) for rows in (place.flat, place.gradient))
        self.weight, self._weight_gradient = (w if link.is_turned else w.transpose(1, 2) for w in weights)
        self.bias, self._bias_gradient = place.pair(link.bias)
        self.n_out = self.weight.shape[2]
        self._inputs = self._output = self.weight.new_empty(*place.shape[:2], self.n_out)
        self._below: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        self._inputs = x
        if self.bias is None:
            return torch.bmm(x, self.weight, out=self._output)
        return torch.baddbmm(self.bias, x, self.weight, out=self._output)

    def backward(self, slope: Tensor, *, is_last: bool) -> Tensor:
        torch.bmm(self._inputs.transpose(1, 2), slope, out=self._weight_gradient)
        if self._bias_gradient is not None:
            torch.sum(slope, 1, keepdim=True, out=self._bias_gradient)
        if is_last:
            return slope
        if self._below is None:
            self._below = torch.empty_like(self._inputs)
        return torch.bmm(slope, self.weight.transpose(1, 2), out=self._below)

    def evaluate(self, x: Tensor, models: slice | Tensor) -> Tensor:
        weight = self.weight[models]
        return torch.bmm(x, weight) if self.bias is None else torch.baddbmm(self.bias[models], x, weight)


class _Norm(_Layer):
    def __init__(self, link: Norm, place: _Place) -> None:
        self._weight, self._weight_gradient = place.pair(link.weight)
        self._bias, self._bias_gradient = place.pair(link.bias)
        self._eps, self.n_out = link.eps, place.shape[2]
        self._output = place.flat.new_empty(place.shape)
        self._inputs = self._normal = self._mean = self._scale = self._output

    def forward(self, x: Tensor) -> Tensor:
        self._inputs = x
        self._normal, self._mean, self._scale = torch.native_layer_norm(
            x, [self.n_out], None, None, self._eps
        )
        return self._scaled(self._normal, slice(None), self._output)

    def _scaled(self, normal: Tensor, models: slice | Tensor, out: Tensor) -> Tensor:
        if self._weight is None:
            return out.copy_(normal)
        torch.mul(normal, self._weight[models], out=out)
        return out if self._bias is None else out.add_(self._bias[models])

    def backward(self, slope: Tensor, *, is_last: bool) -> Tensor:
        if self._bias_gradient is not None:
            torch.sum(slope, 1, keepdim=True, out=self._bias_gradient)
        if self._weight is not None and self._weight_gradient is not None:
            # What was the output is not needed any more.
            torch.mul(slope, self._normal, out=self._output)
            torch.sum(self._output, 1, keepdim=True, out=self._weight_gradient)
            slope.mul_(self._weight)
        moments = self._mean, self._scale, None, None
        below: Tensor = _aten.native_layer_norm_backward(
            slope, self._inputs, [self.n_out], *moments, [not is_last, False, False]
        )[0]
        return below

    def evaluate(self, x: Tensor, models: slice | Tensor) -> Tensor:
        normal = nn.functional.layer_norm(x, [self.n_out], eps=self._eps)
        return self._scaled(normal, models, normal)


class _Activation(_Layer):
    def __init__(self, link: Activation, place: _Place) -> None:
        self._rule, self._settings, self.n_out = RULES[link.name], link.settings, place.shape[2]
        self.reads = self._rule.reads
        self._is_in_place = self.reads != "nothing" and place.before == "nothing"
        self._kept = self._output = place.flat.new_empty(0 if self._is_in_place else place.shape)

    def forward(self, x: Tensor) -> Tensor:
        output = x if self._is_in_place else self._output
        self._rule.forward(x, *self._settings, out=output)
        self._kept = x if self.reads == "nothing" else output
        return output

    def backward(self, slope: Tensor, *, is_last: bool) -> Tensor:
        self._rule.backward(slope, self._kept, *self._settings)
        return slope

    def evaluate(self, x: Tensor, models: slice | Tensor) -> Tensor:
        self._rule.forward(x, *self._settings, out=x)
        return x


class _Drop(_Layer):
    """Drops units of the networks `dropped` by a mask; both are set before every step."""

    dropped: slice | None = None
    mask: Tensor | None = None

    def __init__(self, link: Drop, place: _Place) -> None:
        self.n_out, self._is_in_place = place.shape[2], place.before != "all"
        self._output = place.flat.new_empty(0 if self._is_in_place else place.shape)

    def forward(self, x: Tensor) -> Tensor:
        if self.mask is None:
            return x
        output = x if self._is_in_place else self._output.copy_(x)
        output[self.dropped].mul_(self.mask)
        return output

    def backward(self, slope: Tensor, *, is_last: bool) -> Tensor:
        if self.mask is not None:
            slope[self.dropped].mul_(self.mask)
        return slope

    def evaluate(self, x: Tensor, models: slice | Tensor) -> Tensor:
        return x


_BOUND: dict[type, Callable[..., _Layer]] = {
    Linear: _Linear,
    Norm: _Norm,
    Activation: _Activation,
    Drop: _Drop,
}


class ChainStack(Stack):
    """Networks of one chain, and the buffers to compute their gradients.

    `parameters` (n_models, n_parameters). `batch`: rows per step. `n_features`: numbers in a row that comes
    in. `has_one_logit`: two classes with a single output z, which stands for the logits (0, z).
    """

    def __init__(
        self,
        links: Sequence[Link],
        parameters: Tensor,
        *,
        batch: int,
        loss: Loss,
        layout: ModuleLayout,
        n_features: int,
        has_one_logit: bool = False,
    ) -> None:
        super().__init__(parameters, n_penalised=layout.n_penalised)
        self._loss, self._has_one_logit, self._n_features = loss, has_one_logit, n_features
        self._layers: list[_Layer] = []
        entries = {entry.name: entry for entry in layout.entries}
        # The rows that come in are the trainer's own and not to be written on.
        width, before = n_features, "all"
        for link in links:
            shape = self.n_models, batch, width
            place = _Place(self.flat, self.gradient, entries, shape, before)  # type: ignore[arg-type]
            layer = _BOUND[type(link)](link, place)
            self._layers.append(layer)
            width, before = layer.n_out, before if isinstance(link, Drop) else layer.reads
        self._drops = [layer for layer in self._layers if isinstance(layer, _Drop)]
        self.dropout_shapes = tuple((drop.n_out,) for drop in self._drops)
        self._first = next(layer for layer in self._layers if not isinstance(layer, _Drop))
        #: The way back ends here.
        self._lowest = next(k for k, link in enumerate(links) if isinstance(link, Linear | Norm))
        self._slope = parameters.new_empty(self.n_models, batch, width + has_one_logit)

    def compute_gradient(
        self, x: Tensor, target: Tensor, *, weight: Tensor | None = None, masks: Masks | None = None
    ) -> None:
        """Fill `gradient` with that of the mean loss over the batch; see ``architecture.Stack``."""
        for number, drop in enumerate(self._drops):
            drop.dropped, drop.mask = (None, None) if masks is None else (masks[0], masks[1][number])
        for layer in self._layers:
            x = layer.forward(x)
        fill_slope(self._loss, self._logits(x), target, weight, self._slope)
        slope = self._slope[:, :, 1:].contiguous() if self._has_one_logit else self._slope
        for number in reversed(range(self._lowest, len(self._layers))):
            slope = self._layers[number].backward(slope, is_last=number == self._lowest)

    def outputs(self, models: slice | Tensor, x: Tensor) -> Tensor:
        """Return the outputs of some networks on the same rows; see ``architecture.Stack``."""
        n_chosen = len(models) if isinstance(models, Tensor) else len(range(self.n_models)[models])
        x = x.expand(n_chosen, *x.shape)
        if isinstance(self._first, _Activation):
            x = x.clone()
        for layer in self._layers:
            x = layer.evaluate(x, models)
        return self._logits(x)

    def _logits(self, x: Tensor) -> Tensor:
        """Return (0, z) for the z of a network with a single logit."""
        return nn.functional.pad(x, (1, 0)) if self._has_one_logit else x

    def zeroed(self) -> Tensor:
        """Return where a feature's first weights are exactly 0; False if no linear layer comes first."""
        if isinstance(self._first, _Linear):
            return (self._first.weight == 0).all(-1)
        return torch.zeros(self.n_models, self._n_features, dtype=torch.bool, device=self.flat.device)
