"""Recognising that a caller's module is a plain chain of layers, which ``chain.py`` trains fastest.

The module is run, and what it asks of torch is written down: whatever its code looks like, only the calls
count. It is a chain if every call takes what the one before returned, and all of them are known. (Torch's own
tracer, ``torch.fx``, replaces ``nn.Module.__call__`` for the whole process while it runs, which would break
networks in other threads. The mode used here belongs to the thread.)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from regadvisor.families.neural.chain import RULES, Activation, Drop, Linear, Link, Norm
from regadvisor.families.neural.module.dropout import fed_layers
from regadvisor.families.neural.module.layout import ModuleLayout

#: Calls that may give the rows another shape. That they leave (n_rows, n_numbers) is checked by the outputs.
_SHAPING = {"flatten", "view", "reshape", "squeeze", "contiguous"}
#: Calls that only ask for a shape; reading ``x.shape`` is "__get__".
_ASKING = {"size", "dim", "__len__", "__get__", "numel", "data_ptr"}
_HOOKS = (
    "_forward_hooks",
    "_forward_pre_hooks",
    "_backward_hooks",
    "_backward_pre_hooks",
    "_compiled_call_impl",
)


class _NoChainError(Exception):
    """What speaks against a chain."""


class Recorder(TorchFunctionMode):
    """Writes the links of a chain down while a module runs inside of it.

    `module`: a copy of the caller's module with fed dropout layers; hooks are added to it. `x`: what it will
    be called with.

    `calls`: the links, with parameters by name; None once something was no chain.
    """

    def __init__(self, module: nn.Module, x: Tensor) -> None:
        super().__init__()
        self.calls: tuple[Link, ...] | None = None if _holds_more(module) else ()
        self._now: Any = x
        self._names = {id(value): name for name, value in module.named_parameters()}
        if self.calls is not None:
            for layer in fed_layers(module):
                layer.register_forward_hook(self._dropped)

    def end(self, outputs: Any) -> None:
        """Check that the chain led to the module's outputs."""
        if outputs is not self._now:
            self.calls = None

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        returned = func(*args, **(kwargs or {}))
        if self.calls is not None:
            try:
                self._note(getattr(func, "__name__", ""), args, kwargs or {}, returned)
            except _NoChainError:
                self.calls = None
        return returned

    def _note(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], returned: Any) -> None:
        if name in _ASKING and not isinstance(returned, Tensor):
            return
        if not args or args[0] is not self._now:
            raise _NoChainError
        call = self._call(name.removesuffix("_"), list(args[1:]), kwargs)
        if call is not None and self.calls is not None:
            self.calls = (*self.calls, call)
        self._now = returned

    def _call(self, name: str, rest: list[Any], kwargs: dict[str, Any]) -> Link | None:
        """Return what a call computes; None: nothing but another shape."""
        if name in _SHAPING:
            return None
        if name == "linear":
            given = {**dict(zip(("weight", "bias"), rest, strict=False)), **kwargs}
            weight = self._name(given["weight"])
            if weight is None:
                raise _NoChainError
            return Linear(weight, self._name(given.get("bias")))
        if name == "layer_norm":
            given = {**dict(zip(("shape", "weight", "bias", "eps"), rest, strict=False)), **kwargs}
            if len(given.get("shape", given.get("normalized_shape", ()))) != 1:
                raise _NoChainError
            weight, bias = self._name(given.get("weight")), self._name(given.get("bias"))
            if weight is None and bias is not None:
                raise _NoChainError
            return Norm(weight, bias, given.get("eps", 1e-5))
        rule = RULES.get(name)
        if rule is None:
            raise _NoChainError
        known = dict(zip((*rule.settings, "inplace"), rest, strict=False)) | kwargs
        settings = tuple(known.pop(own, default) for own, default in rule.settings.items())
        if known.keys() - {"inplace"} or not rule.is_known(*settings):
            raise _NoChainError
        return Activation(name, settings)

    def _name(self, parameter: Any) -> str | None:
        if parameter is None:
            return None
        name = self._names.get(id(parameter))
        if name is None:
            raise _NoChainError
        return name

    def _dropped(self, layer: Any, inputs: tuple[Any, ...], outputs: Any) -> None:
        """Note the call of a dropout layer; without a mask it returns what it got."""
        if self.calls is None or not layer.training:
            return
        is_other = layer.is_alpha or layer.axes_of_one == 2 or inputs[0].ndim != 2
        if inputs[0] is not self._now or outputs is not self._now or is_other:
            self.calls = None
        else:
            self.calls = (*self.calls, Drop())


def chain_of(trained: Sequence[Recorder], evaluated: Recorder, layout: ModuleLayout) -> tuple[Link, ...]:
    """Return the chain that a module is by what its passes asked of torch; empty if it is none.

    `trained`: passes of different numbers of rows in training mode. `evaluated`: one in evaluation mode.
    """
    first = trained[0].calls
    if not first or any(other.calls != first for other in trained):
        return ()
    if evaluated.calls != tuple(link for link in first if not isinstance(link, Drop)):
        return ()
    layers = [link for link in first if isinstance(link, Linear | Norm)]
    used = [name for link in layers for name in (link.weight, link.bias) if name is not None]
    # Each parameter once: gradients of shared weights add up, and of unused ones there are none.
    return first if used and sorted(used) == sorted(layout.columns) else ()


def _holds_more(module: nn.Module) -> bool:
    """Return whether a module holds what its calls do not show: buffers, frozen or shared weights, hooks.

    A compiled module is left alone, too: it would be compiled again for the recorder.
    """
    return (
        next(module.buffers(), None) is not None
        or any(getattr(part, own, None) for part in module.modules() for own in _HOOKS)
        or any(hasattr(part, "_orig_mod") for part in module.modules())
        or any(not own.requires_grad for own in module.parameters())
        or len([*module.parameters()]) < len([*module.named_parameters(remove_duplicate=False)])
    )
