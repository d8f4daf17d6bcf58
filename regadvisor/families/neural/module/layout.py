"""All numbers of a module that differ between networks, as one row."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor, nn

from regadvisor.errors import ParameterError


@dataclass(frozen=True)
class Entry:
    """One parameter or buffer: where it lies in a network's row."""

    name: str
    shape: tuple[int, ...]
    start: int
    dtype: torch.dtype
    is_trained: bool

    @property
    def stop(self) -> int:
        """One past its last column."""
        return self.start + math.prod(self.shape)

    def view(self, flat: Tensor) -> Tensor:
        """Return it as (n_models, \\*shape), a view into `flat` (n_models, n_parameters)."""
        return flat[:, self.start : self.stop].view(flat.shape[0], *self.shape)


@dataclass(frozen=True, kw_only=True, eq=False)
class ModuleLayout:
    """Where everything of a module lies in a network's row.

    Penalised parameters come first, so that a penalty acts on one slice; the other trained ones follow, then
    what is carried along without being trained (running statistics).
    """

    entries: tuple[Entry, ...]
    n_penalised: int
    #: Last columns, which hold the seed of the module's own random numbers: 0 or 1.
    n_noise: int = 0

    @property
    def n_used(self) -> int:
        """Columns of parameters and buffers."""
        return self.entries[-1].stop

    @property
    def n_parameters(self) -> int:
        """Length of a network's row."""
        return self.n_used + self.n_noise

    @property
    def penalised_names(self) -> tuple[str, ...]:
        """Names of the parameters that a penalty acts on."""
        return tuple(entry.name for entry in self.entries if entry.stop <= self.n_penalised)

    @property
    def trained(self) -> tuple[Entry, ...]:
        """Parameters that are trained."""
        return tuple(entry for entry in self.entries if entry.is_trained)

    @property
    def untrained(self) -> tuple[Entry, ...]:
        """What differs between networks and is not trained."""
        return tuple(entry for entry in self.entries if not entry.is_trained)

    @property
    def columns(self) -> dict[str, slice]:
        """Columns of the parameters that are trained, by name."""
        return {entry.name: slice(entry.start, entry.stop) for entry in self.trained}

    @classmethod
    def of(
        cls,
        shapes: Mapping[str, tuple[int, ...]],
        *,
        penalised: Sequence[str],
        untrained: Mapping[str, torch.dtype] = MappingProxyType({}),
        n_noise: int = 0,
    ) -> ModuleLayout:
        """Return the layout of numbers of these shapes; `untrained` ones come last, with their own types."""
        others = [name for name in shapes if name not in penalised and name not in untrained]
        entries, start = [], 0
        for name in (*penalised, *others, *untrained):
            dtype = untrained.get(name, torch.float32)
            entries.append(Entry(name, shapes[name], start, dtype, name not in untrained))
            start = entries[-1].stop
        n_penalised = sum(entry.stop - entry.start for entry in entries[: len(penalised)])
        return cls(entries=tuple(entries), n_penalised=n_penalised, n_noise=n_noise)

    def pack(self, module: nn.Module) -> Tensor:
        """Return a module's numbers as a row, shape (1, n_parameters), on the CPU.

        Raises ParameterError if the module has not the parameters of this layout: a factory has to return
        equal shapes.
        """
        state, flat = dict(tensors(module)), torch.zeros(1, self.n_parameters, dtype=torch.float32)
        for entry in self.entries:
            value = state.get(entry.name)
            if value is None or tuple(value.shape) != entry.shape:
                got = "nothing" if value is None else f"shape {tuple(value.shape)}"
                raise ParameterError(
                    f"model must return modules of equal shapes, got {got} for {entry.name!r}, which was of "
                    f"shape {entry.shape} in the first one"
                )
            entry.view(flat)[0] = value.detach().to(device="cpu", dtype=torch.float32)
        return flat

    def unpack(self, row: Tensor, module: nn.Module) -> None:
        """Write a row (n_parameters,) into the parameters and buffers of `module`."""
        state = dict(tensors(module))
        with torch.no_grad():
            for entry in self.entries:
                value = entry.view(row.unsqueeze(0))[0]
                state[entry.name].copy_(value.to(device=state[entry.name].device, dtype=entry.dtype))


def tensors(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Yield parameters, then buffers, by name; shared ones once."""
    yield from module.named_parameters()
    yield from module.named_buffers()


def make_layout(
    module: nn.Module, *, varying: set[str], penalised: Sequence[str], has_noise: bool
) -> ModuleLayout:
    """Return the layout of a module's numbers.

    `varying`: names of frozen parameters and buffers that differ between networks or change in training.
    `penalised`: names of the parameters that a penalty acts on. `has_noise`: whether the module draws random
    numbers of its own.
    """
    trained = [name for name, value in module.named_parameters() if value.requires_grad]
    kept = {name: value for name, value in tensors(module) if name in trained or name in varying}
    return ModuleLayout.of(
        {name: tuple(value.shape) for name, value in kept.items()},
        penalised=penalised,
        untrained={name: value.dtype for name, value in kept.items() if name not in trained},
        n_noise=int(has_noise),
    )
