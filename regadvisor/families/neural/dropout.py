"""One dropout rate for a whole module: in its dropout layers, and inside recurrent and attention layers."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from types import FunctionType

from torch import nn

from regadvisor.errors import ParameterError
from regadvisor.families.neural.parameters import check_module, copied

_LAYERS = nn.modules.dropout._DropoutNd
#: Torch's own dropout layers, whose masks can come from outside.
TORCHS = (*(nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d), *(nn.AlphaDropout, nn.FeatureAlphaDropout))


def takes_masks(part: nn.Module) -> bool:
    """Return whether a part is a dropout layer of torch, or of a subclass that drops in the same way.

    >>> takes_masks(nn.Dropout2d()), takes_masks(nn.ReLU())
    (True, False)
    """
    return isinstance(part, _LAYERS) and any(type(part).forward is kind.forward for kind in TORCHS)


def with_rates_inside(module: nn.Module) -> Iterator[tuple[nn.Module, str]]:
    """Yield the parts that drop units by themselves, with the attribute that is the rate, a plain number.

    Recurrent and attention layers, where a rate of 0 is torch's default and stays off; dropout layers of the
    caller's own, whose code is not known; and parts of theirs whose code reads ``self.dropout`` or the like.

    >>> inside = with_rates_inside(nn.TransformerEncoderLayer(4, 2, dropout=0.1))
    >>> [(type(part).__name__, name) for part, name in inside]
    [('MultiheadAttention', 'dropout')]
    """
    for part in module.modules():
        if isinstance(part, nn.RNNBase | nn.MultiheadAttention):
            # A recurrent layer drops between its layers, so a single one drops nothing.
            if part.dropout > 0 and getattr(part, "num_layers", 2) > 1:
                yield part, "dropout"
        elif isinstance(part, _LAYERS):
            if not takes_masks(part):
                yield part, "p"
        else:
            own = [name for name, rate in _own_rates(part).items() if rate and "dropout" in name]
            yield from ((part, name) for name in own if name in _named_in_code(part))


def set_dropout(module: nn.Module, rate: float, unset: Sequence[str] = ()) -> None:
    """Let everything in `module` that drops units drop `rate` of them, in place; `unset` cannot, in words.

    Raises ParameterError if dropout is advised and there is nothing to set.
    """
    parts = [(part, "p") for part in module.modules() if takes_masks(part)]
    parts += with_rates_inside(module)
    if rate > 0 and not parts:
        found = f"only {', '.join(unset)}" if unset else "none"
        raise ParameterError(
            f"module must have a torch.nn.Dropout layer to apply dropout {rate:g} to, got {found}; add them "
            "behind the hidden layers (dropout written as a function cannot be set)"
        )
    for part, name in parts:
        setattr(part, name, rate)


def with_dropout(module: nn.Module, rate: float) -> nn.Module:
    """Return a copy of `module` that drops `rate` of the units wherever it drops any.

    A warning names what cannot be set: rates of paths and the like, and dropout written as a function.

    Raises ParameterError if a part is of another library, or dropout is advised and the module has none to
    set.

    >>> with_dropout(nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.9)), 0.25)[1].p
    0.25
    """
    check_module(module)
    configured = copied(module)
    unset = [
        f"{name}, written as a function" if rate is None else f"{name} = {rate:g}"
        for name, rate in unset_dropout(configured)
    ]
    set_dropout(configured, rate, unset)
    if unset:
        warnings.warn(
            f"apply() cannot set the dropout in {', '.join(unset)}: it stays as it is, while all other "
            f"dropout is set to {rate:g}. Set it by hand, or use torch.nn.Dropout there.",
            UserWarning,
            stacklevel=3,
        )
    return configured


def unset_dropout(module: nn.Module) -> Iterator[tuple[str, float | None]]:
    """Yield what drops units and cannot be set, by name, with its rate; None: written as a function."""
    for name, part in module.named_modules():
        if type(part).__module__.startswith("torch."):
            continue
        where = f"{name} ({type(part).__name__})" if name else type(part).__name__
        rates = _own_rates(part)
        yield from ((f"{where}.{key}", rate) for key, rate in rates.items() if rate and "dropout" not in key)
        if not rates and not isinstance(part, _LAYERS) and _calls_dropout(part):
            yield where, None


def _own_rates(part: nn.Module) -> dict[str, float]:
    """Return the attributes of a part that look like rates."""
    rates = (
        (key, value) for key, value in vars(part).items() if "drop" in key and type(value) in (int, float)
    )
    return {key: float(value) for key, value in rates if 0 <= value < 1}


def _calls_dropout(part: nn.Module) -> bool:
    """Return whether the caller's code for a part names a dropout function: it cannot be seen otherwise."""
    return any("dropout" in word and not hasattr(part, word) for word in _named_in_code(part))


def _named_in_code(part: nn.Module) -> Iterator[str]:
    """Yield what the caller's code for a part names, other than that which makes it."""
    for kind in type(part).__mro__:
        if kind.__module__.startswith(("torch.", "builtins")):
            continue
        for method in vars(kind).values():
            if isinstance(method, FunctionType) and method.__code__.co_name != "__init__":
                yield from method.__code__.co_names
                # Of torch's attention, the rate is an argument.
                keywords = [const for const in method.__code__.co_consts if isinstance(const, tuple)]
                yield from (word for words in keywords for word in words if word == "dropout_p")
