"""One dropout rate for a whole module: in its dropout layers, and inside recurrent and attention layers."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
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


def with_rates_inside(module: nn.Module) -> Iterator[nn.Module]:
    """Yield the layers that drop units by themselves, at a rate that is a plain number; see :func:`set_rate`.

    Recurrent and attention layers, where a rate of 0 is torch's default and stays off; and dropout layers of
    the caller's own, whose code is not known.

    >>> [type(part).__name__ for part in with_rates_inside(nn.TransformerEncoderLayer(4, 2, dropout=0.1))]
    ['MultiheadAttention']
    """
    for part in module.modules():
        # A recurrent layer drops between its layers, so a single one drops nothing.
        is_single = isinstance(part, nn.RNNBase) and part.num_layers == 1
        is_inside = (
            isinstance(part, nn.RNNBase | nn.MultiheadAttention) and part.dropout > 0 and not is_single
        )
        if is_inside or (isinstance(part, _LAYERS) and not takes_masks(part)):
            yield part


def rate_of(part: nn.Module) -> float:
    """Return the rate of a layer that drops units."""
    return float(getattr(part, _name(part)))


def set_rate(part: nn.Module, rate: float) -> None:
    """Let a layer drop units at this rate."""
    setattr(part, _name(part), rate)


def _name(part: nn.Module) -> str:
    return "p" if isinstance(part, _LAYERS) else "dropout"


def set_dropout(module: nn.Module, rate: float) -> None:
    """Let everything in `module` that drops units drop `rate` of them, in place.

    Raises ParameterError if dropout is advised and there is nothing to set.
    """
    parts = [part for part in module.modules() if takes_masks(part)] + list(with_rates_inside(module))
    if rate > 0 and not parts:
        raise ParameterError(
            f"module must have a torch.nn.Dropout layer to apply dropout {rate:g} to, got none; add them "
            "behind the hidden layers (dropout written as a function cannot be found)"
        )
    for part in parts:
        set_rate(part, rate)


def with_dropout(module: nn.Module, rate: float) -> nn.Module:
    """Return a copy of `module` that drops `rate` of the units wherever it drops any.

    A warning names what cannot be set: rates in layers that are not torch's, and dropout written as a
    function.

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
    try:
        set_dropout(configured, rate)
    except ParameterError as error:
        raise ParameterError(f"{error}{': ' + ', '.join(unset) if unset else ''}") from None
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
        rates = {key: value for key, value in vars(part).items() if "drop" in key and _is_rate(value)}
        yield from ((f"{where}.{key}", float(value)) for key, value in rates.items() if value > 0)
        if not rates and not isinstance(part, _LAYERS) and _calls_dropout(part):
            yield where, None


def _is_rate(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1


def _calls_dropout(part: nn.Module) -> bool:
    """Return whether the caller's code for a part names a dropout function: it cannot be seen otherwise."""
    named: set[str] = set()
    for kind in type(part).__mro__:
        if kind.__module__.startswith(("torch.", "builtins")):
            continue
        for key, method in vars(kind).items():
            if isinstance(method, FunctionType) and key != "__init__":
                names = method.__code__.co_names
                # Of torch's attention, the rate is an argument.
                keywords = [const for const in method.__code__.co_consts if isinstance(const, tuple)]
                named |= {*names, *(word for words in keywords for word in words if word == "dropout_p")}
    return any("dropout" in word and not hasattr(part, word) for word in named)
