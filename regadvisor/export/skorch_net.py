"""A skorch net with the advised regularizer: a copy with another optimizer and other dropout."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from fnmatch import fnmatch
from glob import escape
from typing import Any

from sklearn.base import clone
from torch import nn, optim

from regadvisor.errors import ParameterError
from regadvisor.families.neural.dropout import set_dropout, with_dropout
from regadvisor.families.neural.module.source import own_luck
from regadvisor.families.neural.parameters import penalised_parameters
from regadvisor.families.neural.proximal import ProximalAdamW, ProximalSGD, make_optimizer
from regadvisor.regularizer import Coupling, Regularizer

#: Optimizers that can have an L1 penalty, by coupling: those with the step of ours.
_OURS: dict[Coupling, dict[type, str]] = {
    "loss": {optim.Adam: "adamw", optim.SGD: "sgd"},
    "decoupled": {optim.AdamW: "adamw"},
}


def coupling_of(net: Any) -> Coupling:
    """Return what `weight_decay` means to a net's optimizer."""
    return "decoupled" if net.optimizer is optim.AdamW else "loss"


def with_regularizer(net: Any, regularizer: Regularizer) -> Any:
    """Return a copy of a skorch net with this regularizer; it is not initialized yet.

    Parameters
    ----------
    net : skorch.NeuralNet
        Initialized or not. Its weights of two or more dimensions are penalised, without embeddings and norms.
    regularizer : Regularizer
        Decoupled strengths need ``optimizer=torch.optim.AdamW``; strengths in the loss any other. L2 becomes
        its ``weight_decay``. For L1, Adam, AdamW or SGD becomes the optimizer of
        :mod:`~regadvisor.families.neural.proximal` with the same step. Every dropout layer gets the rate.

    Raises
    ------
    ParameterError
        If the optimizer cannot have these strengths, the module cannot be made, or has no dropout to set.
    """
    strengths = {"l1": 0.0, "l2": 0.0, "dropout": 0.0, **regularizer.strengths()}
    has_penalty = strengths["l1"] > 0 or strengths["l2"] > 0
    coupling = regularizer.coupling if has_penalty else coupling_of(net)
    if coupling != coupling_of(net):
        wanted = (
            "torch.optim.AdamW"
            if coupling == "decoupled"
            else "another than AdamW, such as torch.optim.Adam,"
        )
        raise ParameterError(
            f"optimizer must be {wanted} for strengths with coupling={coupling!r}, got "
            f"{_name(net.optimizer)}; strengths of the two are never converted into each other: ask with "
            "advise(X, y, model=net)"
        )
    configured = clone(net)
    _set_module(configured, strengths["dropout"])
    found = (
        {"l1": strengths["l1"], "l2": strengths["l2"]}
        if strengths["l1"]
        else {"weight_decay": strengths["l2"]}
    )
    given = list(net.get_params().get("optimizer__param_groups", ()))
    groups = [(escape(name), {**_of(name, given), **found}) for name in _penalised(configured)]
    configured.set_params(optimizer__param_groups=[*groups, *given], optimizer__weight_decay=0.0)
    if strengths["l1"]:
        kinds = _OURS[coupling]
        if net.optimizer not in kinds:
            raise ParameterError(
                f"optimizer must be {' or '.join(map(_name, kinds))} for L1, which is part of its step, got "
                f"{_name(net.optimizer)}"
            )
        chosen = functools.partial(_proximal, kind=kinds[net.optimizer], coupling=coupling)
        configured.set_params(optimizer=chosen)
    return configured


def _name(optimizer: Any) -> str:
    return str(getattr(optimizer, "__name__", type(optimizer).__name__))


def _of(name: str, groups: Sequence[tuple[str, dict[str, Any]]]) -> dict[str, Any]:
    """Return what the caller's own groups say of a parameter, such as its learning rate."""
    return next((options for pattern, options in groups if fnmatch(name, pattern)), {})


def _penalised(net: Any) -> tuple[str, ...]:
    """Return the names of the weights that are penalised; the module is made once to see them."""
    probe = clone(net)
    try:
        with own_luck(0):
            probe.set_params(verbose=0).initialize()
    except Exception as error:
        raise ParameterError(
            f"net must be one whose module can be made, got {type(error).__name__} from initialize(): {error}"
        ) from error
    return tuple(name for name, _ in penalised_parameters(probe.module_))


def _set_module(net: Any, rate: float) -> None:
    """Let the module of a net drop at one rate wherever it drops."""
    options = [name for name in net.get_params() if name.startswith("module__")]
    if isinstance(net.module, nn.Module) and not options:
        net.set_params(module=with_dropout(net.module, rate))
        return
    # Of an instance with arguments, skorch makes a new one as well.
    make = type(net.module) if isinstance(net.module, nn.Module) else net.module
    net.set_params(module=functools.partial(_with_rate, make, rate))


def _with_rate(make: Callable[..., nn.Module], rate: float, **options: Any) -> nn.Module:
    """Return the module that a class or function makes, with this rate of dropout."""
    module = make(**options)
    set_dropout(module, rate)
    return module


def _proximal(
    groups: Sequence[dict[str, Any]],
    *,
    kind: str,
    coupling: Coupling,
    lr: float,
    weight_decay: float = 0.0,
    momentum: float = 0.0,
    **own: Any,
) -> ProximalAdamW | ProximalSGD:
    """Return the optimizer that skorch calls for; what sets the learning rate sets that of each group."""
    return make_optimizer(
        groups,
        optimizer=kind,
        momentum=momentum,
        rates=[lr],
        coupling=coupling,
        has_default_schedule=True,
        **own,
    )
