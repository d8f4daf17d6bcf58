"""Where a caller's networks come from: a factory that is called for each, or one module that is copied."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from regadvisor.errors import ParameterError, reason_of
from regadvisor.families.neural.module.inputs import Inputs
from regadvisor.families.neural.module.outputs import Output, rows_of
from regadvisor.families.neural.parameters import copied, uncompiled
from regadvisor.global_state import own_randomness

_NORM = nn.modules.batchnorm._NormBase
#: What a factory may ask for by naming it in its signature.
ASKED = ("n_features", "n_outputs", "input_shape", "cardinalities", "n_tokens")


@dataclass(frozen=True, kw_only=True, eq=False)
class ModuleSource:
    """The caller's factory or module, and what its networks are for."""

    #: A class or function that returns a new module; it is given those of ``ASKED`` that its signature names
    #: and the layout knows. Or a module: every network is a copy that starts from its weights (fine-tuning).
    model: Callable[..., Any] | nn.Module
    #: How flat rows enter it.
    inputs: Inputs
    #: Classes, or the targets.
    n_outputs: int
    #: Which of the things that it returns is the prediction.
    output: Output = None
    #: Whether the numbers of a pixel lie side by side in memory. On a CPU, pooling is ten times as fast so,
    #: and a step of a small convolutional network with pooling takes 0.5 to 0.75 of the time (measured).
    is_channels_last: bool = False
    #: Rows that a new module sees once, where its parameters are made from the first ones.
    first_rows: Tensor | None = None

    @property
    def n_flat(self) -> int:
        """Numbers in one flat row."""
        return self.inputs.n_flat

    def arguments(self, x: Tensor) -> tuple[tuple[Tensor, ...], dict[str, Tensor]]:
        """Return what the module is called with for flat rows (n_rows, n_flat): in order, and by name."""
        shaped, named = self.inputs.arguments(x)
        return (tuple(map(_channels_last, shaped)) if self.is_channels_last else shaped), named

    def call(self, run: Callable[..., Any], x: Tensor) -> Tensor:
        """Return what a module makes of flat rows: (n_rows · n_heads, n_outputs)."""
        shaped, named = self.arguments(x)
        return rows_of(run(*shaped, **named), len(x), self.n_outputs, self.output)

    def draw(self, seed: int) -> nn.Module:
        """Return a new module with starting values of `seed`; a copy, where the source is a module.

        Raises ParameterError if the factory fails or returns anything but a module.
        """
        if isinstance(self.model, nn.Module):
            return self._with_shapes(copied(self.model), seed)
        known = {**self.inputs.asked(), "n_outputs": self.n_outputs}
        named = {name: known[name] for name in asked_for(self.model) if name in known}
        called = name_of(self.model).replace("your module", "your lambda")
        with own_randomness(seed):
            try:
                module = self.model(**named)
            except Exception as error:
                given = ", ".join(f"{name}={value}" for name, value in named.items()) or "no arguments"
                raise ParameterError(
                    f"model must be a factory that returns a torch.nn.Module, got an error from "
                    f"{called} called with {given}: {type(error).__name__}: "
                    f"{reason_of(error)}; a factory may ask for {', '.join(ASKED[:3])}, with categories for "
                    "cardinalities (codes of each), "
                    "with tokens for n_tokens; a function that trains goes into regadvisor.fit_function(...)"
                ) from error
        if not isinstance(module, nn.Module):
            raise ParameterError(
                f"model must be a factory that returns a torch.nn.Module, got {type(module).__name__} from "
                f"{called}; a function that trains goes into regadvisor.fit_function(...)"
            )
        return self._with_shapes(uncompiled(module), seed)

    def another(self, first: nn.Module) -> nn.Module:
        """Return a second module; an error if the factory returned `first` once more, or parameters of it."""
        again = self.draw(1)
        own = {id(value) for value in first.parameters()}
        if again is first or any(id(value) in own for value in again.parameters()):
            what = "the same object" if again is first else "the same parameters"
            raise ParameterError(
                f"model must return a new module in every call, got {what} twice; make it inside the "
                "factory, or pass the module itself to start every network from its weights"
            )
        return again

    def _with_shapes(self, module: nn.Module, seed: int) -> nn.Module:
        """Return the module with its lazy parameters drawn, in place, by a pass of two rows."""
        lazy = any(is_lazy(value) for value in (*module.parameters(), *module.buffers()))
        if lazy or self.first_rows is not None:
            modes = {part: part.training for part in module.modules()}
            rows, is_training = self.first_rows, self.first_rows is not None
            rows = torch.zeros(2, self.n_flat, dtype=torch.float32) if rows is None else rows.cpu()
            # What is wrong with the rows is said when the module is looked at.
            with own_randomness(seed), torch.no_grad(), suppress(Exception):
                norms = [part for part in module.modules() if is_training and isinstance(part, _NORM)]
                before = [copy.deepcopy(part.state_dict()) for part in norms]
                self.call(module.train(is_training), rows)
                for norm, state in zip(norms, before, strict=True):
                    norm.load_state_dict(state)
            for part, is_training in modes.items():
                part.training = is_training
        return module


def _channels_last(shaped: Tensor) -> Tensor:
    """Return images (n_rows, channels, height, width) with the numbers of a pixel side by side in memory."""
    if shaped.shape[1] > 1:
        return shaped.contiguous(memory_format=torch.channels_last)
    # With one channel both orders are the same numbers; only the strides tell torch which one is meant.
    height, width = shaped.shape[2:]
    return shaped.contiguous().as_strided(shaped.shape, (height * width, 1, width, 1))


def asked_for(factory: Callable[..., Any]) -> tuple[str, ...]:
    """Return those of ``ASKED`` that the signature of `factory` names, or all if it takes any keyword.

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

    >>> name_of(nn.Linear), name_of(nn.Linear(1, 1)), name_of(lambda n_features: nn.Linear(n_features, 1))
    ('Linear', 'Linear', 'your module')
    """
    if isinstance(model, nn.Module):
        return type(model).__name__
    name = str(getattr(model, "__qualname__", type(model).__name__)).rpartition("<locals>.")[2]
    return "your module" if name == "<lambda>" else name
