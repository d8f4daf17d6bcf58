"""Where a caller's networks come from: a factory that is called for each, or one module that is copied."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from regadvisor.errors import ParameterError
from regadvisor.families.neural.parameters import copied

#: What a factory may ask for by naming it in its signature.
ASKED = ("n_features", "n_outputs", "input_shape")
#: Torch has one generator for the process, and networks are made and run in several threads.
_LOCK = threading.Lock()


@contextmanager
def own_luck(seed: int, device: torch.device | None = None) -> Iterator[None]:
    """Let torch draw from `seed` inside; the caller's generators are restored."""
    devices = [device] if device is not None and device.type == "cuda" else []
    with _LOCK, torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield


@dataclass(frozen=True, kw_only=True, eq=False)
class ModuleSource:
    """The caller's factory or module, and what its networks are for.

    Parameters
    ----------
    model : callable or torch.nn.Module
        A class or function that returns a new module; it is given those of `n_features`, `n_outputs` and
        `input_shape` that its signature names. Or a module: every network is a copy that starts from its
        weights (fine-tuning).
    input_shape : tuple of int
        ``(n_features,)``, or ``(channels, height, width)`` of images.
    n_outputs : int
        Classes, or 1 for regression.
    is_channels_last : bool, default False
        Whether the numbers of a pixel lie side by side in memory. On a CPU, pooling is ten times as fast so,
        and a step of a small convolutional network with pooling takes 0.5 to 0.75 of the time (measured).
    """

    model: Callable[..., Any] | nn.Module
    input_shape: tuple[int, ...]
    n_outputs: int
    is_channels_last: bool = False

    @property
    def n_features(self) -> int:
        """Numbers in one row."""
        n_features = 1
        for length in self.input_shape:
            n_features *= length
        return n_features

    def shaped(self, x: Tensor) -> Tensor:
        """Return flat rows (n_rows, n_features) as the module takes them."""
        shaped = x.reshape(len(x), *self.input_shape)
        if not self.is_channels_last:
            return shaped
        n_channels, height, width = self.input_shape
        if n_channels > 1:
            return shaped.contiguous(memory_format=torch.channels_last)
        # With one channel both orders are the same numbers; only the strides tell torch which one is meant.
        return shaped.contiguous().as_strided(shaped.shape, (height * width, 1, width, 1))

    def draw(self, seed: int) -> nn.Module:
        """Return a new module with starting values of `seed`; a copy, where the source is a module.

        Raises
        ------
        ParameterError
            If the factory fails or returns anything but a module.
        """
        if isinstance(self.model, nn.Module):
            return copied(self.model)
        known = {"n_features": self.n_features, "n_outputs": self.n_outputs, "input_shape": self.input_shape}
        named = {name: known[name] for name in asked_for(self.model)}
        with own_luck(seed):
            try:
                module = self.model(**named)
            except Exception as error:
                given = ", ".join(f"{name}={value}" for name, value in named.items()) or "no arguments"
                raise ParameterError(
                    f"model must be a factory that returns a torch.nn.Module, got an error from "
                    f"{name_of(self.model)} called with {given}: {type(error).__name__}: {error}; a factory "
                    f"may ask for {', '.join(ASKED)}"
                ) from error
        if not isinstance(module, nn.Module):
            raise ParameterError(
                f"model must be a factory that returns a torch.nn.Module, got {type(module).__name__} from "
                f"{name_of(self.model)}"
            )
        return module


def asked_for(factory: Callable[..., Any]) -> tuple[str, ...]:
    """Return those of ``ASKED`` that the signature of `factory` names, or all if it takes any keyword.

    Examples
    --------
    >>> asked_for(lambda n_features, width=8: None)
    ('n_features',)
    """
    try:
        parameters = inspect.signature(factory).parameters
    except (TypeError, ValueError):
        return ()
    takes_any = any(each.kind is inspect.Parameter.VAR_KEYWORD for each in parameters.values())
    return tuple(name for name in ASKED if name in parameters or takes_any)


def name_of(model: Any) -> str:
    """Return how people call the factory or the module's class.

    Examples
    --------
    >>> name_of(nn.Linear), name_of(nn.Linear(1, 1))
    ('Linear', 'Linear')
    """
    if isinstance(model, nn.Module):
        return type(model).__name__
    return str(getattr(model, "__qualname__", type(model).__name__))
