"""Many networks of the caller's own architecture, trained together by ``torch.func`` or one by one.

A plain chain of layers is trained by ``chain.py``. Of anything else, forward passes of all networks run as
one under ``vmap``; the way back is plain automatic differentiation of that one pass. Where a module cannot be
batched so (control flow that depends on data, random numbers of its own, operations without a batching rule)
the same networks run one after the other.

Both ways give the same networks up to rounding, whatever they are trained beside.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from regadvisor.errors import ParameterError, callers_code
from regadvisor.families.neural.architecture import Architecture, Masks, Stack
from regadvisor.families.neural.chain import ChainStack, Link
from regadvisor.families.neural.dropout import with_rates_inside
from regadvisor.families.neural.losses import Loss, fill_slope
from regadvisor.families.neural.module.dropout import Place, feed_of
from regadvisor.families.neural.module.inputs import Part
from regadvisor.families.neural.module.layout import ModuleLayout
from regadvisor.families.neural.module.outputs import merged
from regadvisor.families.neural.module.recurrent import Recurrent
from regadvisor.families.neural.module.source import ModuleSource
from regadvisor.families.neural.parameters import copied, set_mode
from regadvisor.global_state import own_randomness
from regadvisor.records import Audit

Engine = Literal["fused", "vmap", "loop"]
State = dict[str, Tensor]

#: Seeds of a module's own random numbers are kept in a float of the network's row, which is exact up to here.
_NOISE_SEEDS = 2**24
_ABOUT_MODEL = "run it on a few batches of your own to find the cause"


@dataclass(frozen=True, kw_only=True, eq=False)
class Seen:
    """What passes of a few rows show of a module."""

    #: Calls of dropout layers.
    places: tuple[Place, ...]
    #: Names of the weights (n_units, n_features) through which all features go; empty: unknown.
    first_weights: tuple[str, ...]
    #: Floats that one row leaves behind in a forward pass.
    n_activations: int
    #: Operations of training on one row.
    n_operations: float
    #: Seconds of a pass of the larger number of ``DRY_ROWS``.
    pass_s: float
    #: Which of the things that the module returns is the prediction; None: the only one.
    output: int | str | None
    #: The shape of that for one row.
    output_shape: tuple[int, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class ModuleArchitecture(Architecture, Seen):
    """The caller's module as an architecture of the trainer; see ``trial.examine``."""

    source: ModuleSource
    #: A network whose dropout layers are fed, on the device to train on; copied, never run.
    template: nn.Module
    layout: ModuleLayout
    #: "fused" needs `chain`.
    engine: Engine
    #: One clause on why that engine.
    engine_reason: str
    #: Two classes with a single output z, which stands for the logits (0, z).
    has_one_logit: bool = False
    #: The module as a chain of layers; empty if it is none.
    chain: tuple[Link, ...] = ()
    #: Predictions for each row, which are trained side by side and averaged.
    n_heads: int = 1
    #: Whether outputs are logits.
    is_classification: bool = False
    #: What penalties and dropout act on, if it was asked.
    audit: Audit | None = None

    @property
    def is_together(self) -> bool:  # type: ignore[override]  # of ours it is always true
        """Whether networks in company take less time than one by one."""
        return self.engine != "loop"

    def shaped(self, x: Tensor) -> Tensor:
        """Return flat rows as the module gets them.

        Raises ParameterError if it gets several tensors, or the rows are not the first axis.
        """
        return self._one_part().of(x)

    def flat(self, shaped: Tensor) -> Tensor:
        """Return what `shaped` gave as flat rows again."""
        part = self._one_part()
        if part.axes:
            shaped = shaped.permute(*(part.axes.index(axis) for axis in range(len(part.axes))))
        return shaped.reshape(len(shaped), -1).to(torch.float32)

    def _one_part(self) -> Part:
        parts = self.source.inputs.parts
        if len(parts) > 1 or parts[0].axes[:1] not in ((), (0,)):
            raise ParameterError(
                f"augment must be None for the layout {self.source.inputs.layout!r}, got a function: it "
                "gets one tensor whose first axis holds the rows; change the batch inside forward(), in "
                "training mode"
            )
        return parts[0]

    def initial(self, generator: torch.Generator) -> Tensor:
        """Return the starting values of one network, shape (1, n_parameters)."""
        seed, noise = torch.randint(_NOISE_SEEDS, (2,), generator=generator).tolist()
        flat = self.layout.pack(self.source.draw(seed))
        if self.layout.n_noise:
            flat[0, self.layout.n_used] = float(noise)
        return flat

    def stack(self, parameters: Tensor, *, batch: int, loss: Loss) -> ModuleStack | ChainStack:
        """Return networks with these starting values, which the stack owns and changes."""
        if self.engine == "fused":
            return ChainStack(
                self.chain,
                parameters,
                batch=batch,
                loss=loss,
                layout=self.layout,
                n_features=self.source.n_flat,
                has_one_logit=self.has_one_logit,
            )
        return ModuleStack(self, parameters, loss=loss)

    def floats_per_network(self, batch: int) -> int:
        """Return how many floats one network takes while it is trained, optimizer included."""
        # Parameters, gradient and two moments; what the forward pass keeps, its slopes and the masks.
        masks = sum(torch.Size(place.shape).numel() for place in self.places)
        return 5 * self.n_parameters + batch * (2 * self.n_activations + masks + self.source.n_flat)

    def operations_per_row(self) -> float:
        """Return the operations of training on one row."""
        return self.n_operations


class ModuleStack(Stack):
    """Networks of one architecture, and how their gradients are computed.

    `parameters` (n_models, n_parameters).
    """

    def __init__(self, architecture: ModuleArchitecture, parameters: Tensor, *, loss: Loss) -> None:
        layout = architecture.layout
        super().__init__(parameters, n_penalised=layout.n_penalised)
        self.architecture, self.loss = architecture, loss
        self.dropout_shapes = tuple(place.shape for place in architecture.places)
        # A copy of its own: stacks run in several threads, and a call puts parameters into the module.
        self._module = copied(architecture.template)
        for part in self._module.modules():
            if isinstance(part, Recurrent):
                part.is_together = architecture.engine == "vmap"
        self._feed = feed_of(self._module)
        self._trained = {entry.name: entry.view(self.flat).detach() for entry in layout.trained}
        self._gradients = {entry.name: entry.view(self.gradient) for entry in layout.trained}
        self._n_steps = 0
        #: What a pass has put in the place of a parameter: its name, the network, the numbers.
        self._moved: list[tuple[str, int, Tensor]] = []
        self._with_rates = tuple(with_rates_inside(self._module))

    def compute_gradient(
        self, x: Tensor, target: Tensor, *, weight: Tensor | None = None, masks: Masks | None = None
    ) -> None:
        """Fill `gradient` with that of the mean loss over the batch; see ``architecture.Stack``."""
        set_mode(self._module, is_training=True)
        idle: list[tuple[slice, slice]] = []
        for models, own in self._parts(masks):
            own_weight = None if weight is None else weight[models]
            idle += self._fill(models, x[models], target[models], own_weight, own)
        self.idle = idle
        self._n_steps += 1

    def _parts(self, masks: Masks | None) -> Iterator[tuple[slice, Sequence[Tensor] | None]]:
        """Yield the networks to run as one, with their masks: those without dropout, and those with it.

        One by one, if that is the engine.
        """
        dropped, keep = (slice(0, 0), ()) if masks is None else masks
        start, stop, _ = dropped.indices(self.n_models)
        bounds = {0, start, stop, self.n_models}
        if self.architecture.engine == "loop":
            bounds = set(range(self.n_models + 1))
        for first, last in itertools.pairwise(sorted(bounds)):
            is_dropped = start <= first < stop and bool(self.architecture.places)
            yield (
                slice(first, last),
                [mask[first - start : last - start] for mask in keep] if is_dropped else None,
            )

    def _fill(
        self, models: slice, x: Tensor, target: Tensor, weight: Tensor | None, masks: Sequence[Tensor] | None
    ) -> list[tuple[slice, slice]]:
        """Fill the gradients of some networks; return where there are none."""
        for part, name in self._with_rates if self.rates is not None else ():
            # Where parts have rates of their own, the module draws random numbers: networks run one by one.
            setattr(part, name, float(self.rates[models.start]))  # type: ignore[index]
        state = self._state(models)
        with torch.enable_grad():
            leaves = {name: state[name].requires_grad_() for name in self._trained}
            self._moved.clear()
            outputs = self._run(state | leaves, x, masks, self._noise_seeds(models))
            slope = torch.empty_like(outputs)
            n_heads = self.architecture.n_heads
            if n_heads > 1:
                target = target.repeat_interleave(n_heads, dim=1)
                weight = None if weight is None else weight.repeat_interleave(n_heads, dim=1)
            fill_slope(self.loss, outputs.detach(), target, weight, slope)
            # A sum of products has the slope of each output. Given slopes, torch imports SymPy (1 to 2 s).
            # A parameter that the pass does not use has no gradient.
            with callers_code("model must be differentiable by its parameters", _ABOUT_MODEL):
                found: Sequence[Tensor | None] = torch.autograd.grad(
                    (outputs * slope).sum(), list(leaves.values()), allow_unused=True
                )
        for name, gradient in zip(leaves, found, strict=True):
            own = self._gradients[name][models]
            own.zero_() if gradient is None else own.copy_(gradient)
        with torch.no_grad():
            for name, number, value in self._moved:
                state[name][number].copy_(value)
        for entry in self.architecture.layout.untrained:
            entry.view(self.flat)[models].copy_(state[entry.name])
        columns = self.architecture.layout.columns
        return [(models, columns[name]) for name, none in zip(leaves, found, strict=True) if none is None]

    def _state(self, models: slice | Tensor) -> State:
        """Return parameters (views, no copies) and carried buffers (copies) of some networks, by name."""
        state = {name: value[models].detach() for name, value in self._trained.items()}
        for entry in self.architecture.layout.untrained:
            state[entry.name] = entry.view(self.flat)[models].to(dtype=entry.dtype, copy=True)
        return state

    def _noise_seeds(self, models: slice) -> list[int]:
        """Return a seed per network for this step, empty if the module draws nothing of its own."""
        layout = self.architecture.layout
        if not layout.n_noise:
            return []
        return [
            int(seed) + _NOISE_SEEDS * self._n_steps for seed in self.flat[models, layout.n_used].tolist()
        ]

    def _run(
        self, state: State, x: Tensor, masks: Sequence[Tensor] | None, noise_seeds: Sequence[int] = ()
    ) -> Tensor:
        """Return the outputs (n_models, n_rows · n_heads, n_outputs) of networks with this state.

        `x` (n_models, n_rows, n_features), or (n_rows, n_features) for all.
        """
        if self.architecture.engine == "vmap":
            shared = None if x.ndim == 2 else 0
            called = vmap(self._call, in_dims=(0, shared, None if masks is None else 0), randomness="error")
            outputs: Tensor = called(state, x, masks)
            return outputs
        each = []
        for number in range(len(next(iter(state.values())))):
            own = {name: value[number] for name, value in state.items()}
            own_masks = None if masks is None else [mask[number] for mask in masks]
            own_x = x if x.ndim == 2 else x[number]
            if noise_seeds:
                with own_randomness(noise_seeds[number], x.device):
                    each.append(self._call(own, own_x, own_masks))
            else:
                each.append(self._call(own, own_x, own_masks))
            for name, value in own.items():  # layer.weight.data = ... holds other numbers now
                if value.data_ptr() != state[name][number].data_ptr():
                    self._moved.append((name, number, value.detach()))
        return torch.stack(each)

    def _call(self, state: State, x: Tensor, masks: Sequence[Tensor] | None) -> Tensor:
        """Return the outputs (n_rows · n_heads, n_outputs) of one network on flat rows (n_rows, n_flat)."""
        architecture = self.architecture
        self._feed.start(masks)

        def run(*shaped: Tensor, **named: Tensor) -> object:
            after = dict(state)
            returned = functional_call(self._module, after, shaped, named)
            for entry in architecture.layout.untrained:  # self.mean = 0.9 * self.mean + ... makes a new one
                if after[entry.name] is not state[entry.name]:
                    state[entry.name].copy_(after[entry.name].detach())
            return returned

        with callers_code("model must run on every batch of rows", _ABOUT_MODEL):
            outputs = architecture.source.call(run, x)
        if architecture.has_one_logit:
            outputs = torch.cat([torch.zeros_like(outputs), outputs], dim=1)
        return outputs

    def outputs(self, models: slice | Tensor, x: Tensor) -> Tensor:
        """Return the outputs of some networks on the same rows; see ``architecture.Stack``."""
        self._module.eval()
        architecture = self.architecture
        with torch.no_grad():
            found = self._run(self._state(models), x, None)
        return merged(found, architecture.n_heads, is_classification=architecture.is_classification)

    def zeroed(self) -> Tensor:
        """Return where all first weights of a feature are exactly 0; see ``architecture.Stack``."""
        names = self.architecture.first_weights
        if not names:
            n_features = self.architecture.source.n_flat
            return torch.zeros(self.n_models, n_features, dtype=torch.bool, device=self.flat.device)
        return torch.stack([(self._trained[name] == 0).all(1) for name in names]).all(0)
