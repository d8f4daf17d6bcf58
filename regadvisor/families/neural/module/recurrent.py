"""GRU and RNN layers of many networks together, and their dropout between layers.

``torch.func.vmap`` has no rule for recurrent layers. Torch's LSTM is fast on a CPU one network at a time, its
GRU is not. Milliseconds of a training step with 32 units, one network alone and one of eight here:

    rows × steps        64 × 150    64 × 24    32 × 24
    LSTM of torch          8.6        1.5        0.9
    GRU of torch, here   29.3, 10   4.6, 1.6   3.9, 1.0
    RNN of torch, here    9.0, 5.4  1.6, 0.8   1.2, 0.5

(An LSTM written like this took 9.7, 1.8 and 1.1: it is left to torch.) So gradients are written out. The
weights of all gates are one matrix, which takes the input, 1 (for the bias) and the state at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from regadvisor.families.neural.module.dropout import FedDropout, Feed
from regadvisor.families.neural.parameters import keep, stays_in_eval
from regadvisor.global_state import own_randomness

Module = TypeVar("Module", bound=nn.Module)
Many = Sequence[Tensor]

_slope_of_sigmoid = torch.ops.aten.sigmoid_backward.grad_input
_slope_of_tanh = torch.ops.aten.tanh_backward.grad_input
#: Floats that a step of a layer keeps for each of its outputs: gates, states and what it took.
N_FLOATS = 6
#: Networks × directions whose steps are made at once: more fall out of a processor's cache (measured).
_AT_ONCE = 8


class _Cell(NamedTuple):
    """What one kind of layer makes of its gates in a step, and the way back.

    Gates and states are (n_models, n_units, n_rows): a gate of a network is one piece of memory.
    """

    n_gates: int
    #: gates, state before, state after → changes the gates, fills the state after.
    step: Callable[[Many, Tensor, Tensor], Any]
    #: the same, slopes of the gates, slope of the state after → fills the first; leaves in the other what
    #: goes to the state before by other ways than the gates.
    back: Callable[[Many, Tensor, Tensor, Many, Tensor], Any]


def _tanh_back(gates: Many, before: Tensor, after: Tensor, slopes: Many, slope: Tensor) -> None:
    _slope_of_tanh(slope, after, grad_input=slopes[0])
    slope.zero_()


def _relu_back(gates: Many, before: Tensor, after: Tensor, slopes: Many, slope: Tensor) -> None:
    torch.mul(slope, after > 0, out=slopes[0])
    slope.zero_()


def _gru_step(gates: Many, before: Tensor, after: Tensor) -> None:
    reset, update, new, of_state = gates
    reset.sigmoid_()
    update.sigmoid_()
    new.addcmul_(reset, of_state).tanh_()
    torch.lerp(new, before, update, out=after)


def _gru_back(gates: Many, before: Tensor, after: Tensor, slopes: Many, slope: Tensor) -> None:
    reset, update, new, of_state = gates
    _slope_of_sigmoid((before - new).mul_(slope), update, grad_input=slopes[1])
    kept = slope * update
    _slope_of_tanh(slope.sub_(kept), new, grad_input=slopes[2])
    torch.mul(slopes[2], reset, out=slopes[3])
    _slope_of_sigmoid(slopes[2] * of_state, reset, grad_input=slopes[0])
    slope.copy_(kept)


_CELLS = {
    "RNN_TANH": _Cell(1, lambda gates, before, after: torch.tanh(gates[0], out=after), _tanh_back),
    "RNN_RELU": _Cell(1, lambda gates, before, after: torch.clamp(gates[0], min=0.0, out=after), _relu_back),
    "GRU": _Cell(4, _gru_step, _gru_back),
}


class _Steps(torch.autograd.Function):
    """All steps of one layer of many networks, in one direction.

    Shapes: `weights` (n_models, n_gates · n_units, n_inputs + 1 + n_units); `x` (n_steps, n_models,
    n_inputs + 1, n_rows); `start` (n_models, n_units, n_rows). Returns all states (n_steps, *start.shape).
    """

    @staticmethod
    def forward(ctx: Any, mode: str, weights: Tensor, x: Tensor, start: Tensor) -> Tensor:
        n_steps, n_models, n_inputs, n_rows = x.shape
        taken = x.new_empty(n_steps + 1, n_models, n_inputs + start.shape[1], n_rows)
        taken[:-1, :, :n_inputs], taken[0, :, n_inputs:] = x, start
        # Gates are kept for the way back only.
        n_kept = n_steps if any(ctx.needs_input_grad) else 1
        gates = list(x.new_empty(n_kept, n_models, weights.shape[1], n_rows)) * (n_steps // n_kept)
        states, ctx.cell = taken[:, :, n_inputs:].unbind(), _CELLS[mode]
        for t, (own, given) in enumerate(zip(gates, taken.unbind(), strict=False)):
            torch.bmm(weights, given, out=own)
            ctx.cell.step(own.chunk(ctx.cell.n_gates, 1), states[t], states[t + 1])
        ctx.save_for_backward(weights, taken, *gates)
        return taken[1:, :, n_inputs:]

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> Any:
        weights, taken, *gates = ctx.saved_tensors
        n_gates, n_inputs = ctx.cell.n_gates, taken.shape[2] - slopes[0].shape[2]
        states, given, backwards = taken[:, :, n_inputs:], taken.transpose(2, 3), weights.transpose(1, 2)
        of_gates, of_taken = torch.empty_like(gates[0]), torch.empty_like(taken[0])
        of_weights, of_x = torch.zeros_like(weights), torch.empty_like(taken[1:, :, :n_inputs])
        of_states, slope = slopes[0].contiguous(), torch.zeros_like(taken[0, :, n_inputs:])
        own = of_gates.chunk(n_gates, 1)
        for t in reversed(range(len(gates))):
            slope += of_states[t]
            ctx.cell.back(gates[t].chunk(n_gates, 1), states[t], states[t + 1], own, slope)
            of_weights.baddbmm_(of_gates, given[t])
            torch.bmm(backwards, of_gates, out=of_taken)
            of_x[t] = of_taken[:, :n_inputs]
            slope += of_taken[:, n_inputs:]
        return None, of_weights, of_x, slope


class _Together(torch.autograd.Function):
    """The rule of ``vmap`` for one layer: `_Steps` with the directions of one network for the models."""

    @staticmethod
    def forward(*_: Any) -> Any:
        raise NotImplementedError

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        pass

    @staticmethod
    def vmap(info: Any, in_dims: Any, mode: str, *given: Tensor) -> tuple[Tensor, int]:
        each = [
            own.expand(info.batch_size, *own.shape) if dim is None else own.movedim(dim, 0)
            for own, dim in zip(given, in_dims[1:], strict=True)
        ]
        n_directions, found = each[0].shape[1], []
        size = max(1, _AT_ONCE // n_directions)
        for weights, x, start in zip(*(torch.split(own, size) for own in each), strict=True):
            x = x.transpose(0, 1).flatten(1, 2)
            given = weights.flatten(0, 1), x, start.flatten(0, 1)
            states = _Steps.apply(mode, *given)  # type: ignore[no-untyped-call]
            found.append(states.unflatten(1, (-1, n_directions)))
        return torch.cat(found, 1), 1


class Recurrent(nn.RNNBase):
    """A GRU or RNN layer that takes its masks from a feed, and runs under ``vmap``; a class for copies alone.

    `between`: the dropout between its layers; None: there is none. `is_together`: whether networks are run by
    ``vmap``; else its parts are torch's own.
    """

    between: FedDropout | None
    is_together = False

    def forward(self, input: Any, hx: Tensor | None = None) -> Any:  # torch's names
        """Return what torch's layer does."""
        is_own = isinstance(input, Tensor) and input.ndim == 3
        if not is_own or not (self.is_together or self.between):
            return super().forward(input, hx)
        x = input.transpose(0, 1) if self.batch_first else input
        n_directions = 2 if self.bidirectional else 1
        if hx is None:
            hx = x.new_zeros(self.num_layers * n_directions, x.shape[1], self.hidden_size)
        last = []
        for number, start in enumerate(hx.split(n_directions)):
            if self.between is not None and number:
                x = self.between(x)
            x, end = (self._together if self.is_together else self._alone)(number, x, start)
            last.append(end)
        return x.transpose(0, 1) if self.batch_first else x, torch.cat(last)

    def _weights(self, number: int) -> list[list[Tensor]]:
        """Return the weights of input and state, and their biases, of a layer by direction."""
        ends = ("", "_reverse") if self.bidirectional else ("",)
        kinds = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")[: 4 if self.bias else 2]
        return [[getattr(self, f"{kind}_l{number}{end}") for kind in kinds] for end in ends]

    def _alone(self, number: int, x: Tensor, start: Tensor) -> tuple[Tensor, Tensor]:
        """Return the states (n_steps, n_rows, n_units) of a layer and the last ones, by torch's own layer."""
        run = getattr(torch._VF, self.mode.lower())
        weights = [each for own in self._weights(number) for each in own]
        states: tuple[Tensor, Tensor] = run(
            x, start, weights, self.bias, 1, 0.0, self.training, self.bidirectional, False
        )
        return states

    def _together(self, number: int, x: Tensor, start: Tensor) -> tuple[Tensor, Tensor]:
        """Return what `_alone` does."""
        weights = torch.stack([_as_one(self.mode, *own) for own in self._weights(number)])
        x = torch.cat([x.transpose(1, 2), x.new_ones(len(x), 1, x.shape[1])], 1)
        turned = torch.stack((x, x.flip(0)) if self.bidirectional else (x,), 1)
        given = weights, turned, start.transpose(1, 2)
        found = _Together.apply(self.mode, *given)  # type: ignore[no-untyped-call]
        states = found.transpose(2, 3)
        ways = list(states.unbind(1))
        return torch.cat([*ways[:1], *(way.flip(0) for way in ways[1:])], -1), states[-1]


def _as_one(mode: str, of_input: Tensor, of_state: Tensor, *biases: Tensor) -> Tensor:
    """Return the weights of all gates as one matrix (n_gates · n_units, n_inputs + 1 + n_units).

    What the third gate of a GRU makes of the state is a fourth one: it is reset before it is added.
    """
    first, second = (each[:, None] for each in biases or (of_input.new_zeros(len(of_input)),) * 2)
    if mode != "GRU":
        return torch.cat([of_input, first + second, of_state], 1)
    n = of_state.shape[1]
    gates, of_new, of_kept = slice(0, 2 * n), slice(2 * n, None), of_input.shape[1]
    both = torch.cat([of_input[gates], (first + second)[gates], of_state[gates]], 1)
    new = nn.functional.pad(torch.cat([of_input, first], 1)[of_new], (0, n))
    kept = nn.functional.pad(torch.cat([second, of_state], 1)[of_new], (of_kept, 0))
    return torch.cat([both, new, kept])


class _GRU(Recurrent, nn.GRU):
    pass


class _RNN(Recurrent, nn.RNN):
    pass


_OWN: dict[type, type[Recurrent]] = {nn.GRU: _GRU, nn.RNN: _RNN}


def with_fed_recurrence(module: Module, feed: Feed, *, packed: Sequence[str] = ()) -> Module:
    """Let torch's GRU and RNN layers in `module` take the masks between their layers from `feed`, in place.

    `packed`: names of those that stay.
    """
    for name, part in module.named_modules():
        if type(part) in _OWN and name not in packed:
            part.__class__ = _OWN[type(part)]
            part.between = None
            if part.dropout > 0 and part.num_layers > 1:
                part.between = FedDropout(nn.Dropout(part.dropout), feed)
                part.dropout = 0.0
                if stays_in_eval(part):
                    keep(part.between)
    return module


def packed_layers(module: nn.Module, call: Callable[[nn.Module], object]) -> tuple[str, ...]:
    """Return the names of layers whose input is packed: no axis of it holds the rows.

    `module` is changed. `call`: passes rows through it.
    """
    names: list[str] = []
    layers = {name: part for name, part in module.named_modules() if type(part) in _OWN}
    for name, part in layers.items():
        part.register_forward_pre_hook(
            lambda _, given, name=name: names.append(name) if not isinstance(given[0], Tensor) else None
        )
    if layers:
        # What is wrong with the rows is said when the module is looked at.
        with own_randomness(0), torch.no_grad(), suppress(Exception):
            call(module)
    return tuple(names)
