"""A skorch net with the advised regularizer: a copy with another optimizer and other dropout."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from fnmatch import fnmatch
from glob import escape
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import clone
from torch import nn, optim

from regadvisor.errors import ParameterError, import_optional, reason_of
from regadvisor.families.fitted.library import numbers_of
from regadvisor.families.neural.dropout import set_dropout, with_dropout
from regadvisor.families.neural.parameters import penalised_parameters
from regadvisor.families.neural.proximal import ProximalAdamW, ProximalSGD, make_optimizer
from regadvisor.families.neural.recipe import Recipe
from regadvisor.global_state import own_randomness
from regadvisor.regularizer import Coupling, Regularizer

#: Layers that look codes up.
_EMBEDDINGS = (nn.Embedding, nn.EmbeddingBag)
#: Optimizers with a step of ours, by name.
OURS = {optim.Adam: "adamw", optim.AdamW: "adamw", optim.SGD: "sgd"}


def with_regularizer(net: Any, regularizer: Regularizer) -> Any:
    """Return a copy of a skorch net with this regularizer; it is not initialized yet.

    `net`: initialized or not. Its weights of two or more dimensions are penalised, without embeddings and
    norms.
    `regularizer`: in the loss, L2 becomes the ``weight_decay`` of the net's optimizer (AdamW becomes Adam);
    where the criterion is ``MSELoss``, which has no ½, strengths are doubled. For L1 and for decoupled
    strengths, Adam, AdamW or SGD becomes the optimizer of :mod:`~regadvisor.families.neural.proximal` with
    the same step. Every dropout layer gets the rate. Weight decay that the net has is replaced.

    Raises ParameterError if the optimizer cannot have these strengths, the module cannot be made, or has no
    dropout to set.
    """
    import_optional("skorch", extra="skorch", purpose="configuring a skorch net")
    if regularizer.coupling == "loss" and has_no_half(net):
        regularizer = regularizer.times(2.0)
    strengths = {"l1": 0.0, "l2": 0.0, "dropout": 0.0, **regularizer.strengths()}
    is_proximal = strengths["l1"] > 0 or (strengths["l2"] > 0 and regularizer.coupling == "decoupled")
    if is_proximal and net.optimizer not in OURS:
        raise ParameterError(
            f"optimizer must be {', '.join(map(_name, OURS))} for L1 and for decoupled strengths, which are "
            f"part of its step, got {_name(net.optimizer)}; it can have L2 of the loss, its weight_decay"
        )
    if isinstance(net.optimizer, type) and "weight_decay" not in inspect.signature(net.optimizer).parameters:
        raise ParameterError(
            f"optimizer must have weight_decay, got {_name(net.optimizer)}, which cannot have a penalty; use "
            f"{', '.join(map(_name, OURS))}, or train the net in a function: regadvisor.fit_function(fit)"
        )
    configured = clone(net)
    _set_module(configured, strengths["dropout"])
    names = ("l1", "l2") if is_proximal else ("l2",)
    found = {name if is_proximal else "weight_decay": strengths[name] for name in names}
    given = list(net.get_params().get("optimizer__param_groups", ()))
    groups = []
    for name, _ in penalised_parameters(module_of(configured)):
        # What the caller's own groups say of a parameter, such as its learning rate.
        own: dict[str, Any] = next((options for pattern, options in given if fnmatch(name, pattern)), {})
        groups.append((escape(name), {**own, **found}))
    configured.set_params(optimizer__param_groups=[*groups, *given], optimizer__weight_decay=0.0)
    if is_proximal:
        chosen = functools.partial(_proximal, kind=OURS[net.optimizer], coupling=regularizer.coupling)
        configured.set_params(optimizer=chosen)
    elif net.optimizer is optim.AdamW:
        configured.set_params(optimizer=optim.Adam)
    return configured


def _name(optimizer: Any) -> str:
    return str(getattr(optimizer, "__name__", type(optimizer).__name__))


def has_no_half(net: Any) -> bool:
    """Whether a net's loss is the squared error, which has no ½."""
    return net.criterion is nn.MSELoss or isinstance(net.criterion, nn.MSELoss)


def has_embedding(net: Any) -> bool:
    """Whether a net's module looks codes up."""
    return any(isinstance(part, _EMBEDDINGS) for part in module_of(net).modules())


def rows_taken(module: nn.Module, X: Any) -> NDArray[Any]:
    """Return rows as a module takes them: whole numbers for its embeddings, else numbers in its precision."""
    rows = X.toarray() if hasattr(X, "toarray") else np.asarray(X)
    if rows.dtype.kind in "iu" and any(isinstance(part, _EMBEDDINGS) for part in module.modules()):
        return rows.astype(np.int64)
    is_double = any(value.dtype == torch.float64 for value in module.parameters())
    numbers = numbers_of(rows).astype(np.float64) if is_double else numbers_of(rows)
    return np.require(numbers, requirements="W")  # those of a frame are not to be written to: torch warns


def share_trained(net: Any) -> float:
    """Return the share of the rows that a net trains on: it holds out one fold of so many, or a share."""
    cv = getattr(net.train_split, "cv", None)
    return 1.0 - (1 / cv if cv >= 1 else cv) if isinstance(cv, int | float) else 1.0


def rates(net: Any, n_steps: int) -> list[float]:
    """Return the learning rates of all epochs, each times the steps of an epoch; of a scheduler, its own."""
    highest = float(net.get_params(deep=False).get("optimizer__lr", net.lr))
    given = net.callbacks if isinstance(net.callbacks, list | tuple) else ()
    callbacks = [each[-1] if isinstance(each, tuple) else each for each in given]
    scheduler = next((each for each in callbacks if type(each).__name__ == "LRScheduler"), None)
    if scheduler is None:
        return [highest * n_steps] * net.max_epochs
    is_by_batch = scheduler.step_every == "batch"
    try:
        found = scheduler.simulate(net.max_epochs * (n_steps if is_by_batch else 1), highest)
    except Exception:  # one that goes by the loss
        return [highest * n_steps] * net.max_epochs
    return [float(rate) * (1 if is_by_batch else n_steps) for rate in found]


def is_binary(net: Any) -> bool:
    """Whether a net has one output for two classes."""
    import skorch

    return isinstance(net, skorch.NeuralNetBinaryClassifier)


def module_of(net: Any) -> nn.Module:
    """Return a module as a net would train it; the net stays as it is."""
    probe = clone(net)
    try:
        with own_randomness(0):
            probe.set_params(verbose=0).initialize()
    except ParameterError:  # it says what is wrong by itself
        raise
    except Exception as error:
        raise ParameterError(
            f"net must be one whose module can be made, got {type(error).__name__} from initialize(): "
            f"{reason_of(error)}"
        ) from error
    module: nn.Module = probe.module_
    return module


def _set_module(net: Any, rate: float) -> None:
    """Let the module of a net drop at one rate wherever it drops."""
    options = [name for name in net.get_params() if name.startswith("module__")]
    if isinstance(net.module, nn.Module) and not options:
        with_dropout(net.module, rate)  # says what cannot be set
        set_dropout(net.module, rate)  # a net takes no other module, and this one is a copy
        return
    # Of an instance with arguments, skorch makes a new one as well.
    make = type(net.module) if isinstance(net.module, nn.Module) else net.module
    net.set_params(module=functools.partial(_with_rate, make, rate))


def _with_rate(make: Callable[..., nn.Module], rate: float, /, **options: Any) -> nn.Module:
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
    recipe = Recipe(optimizer=kind, momentum=momentum, coupling=coupling)
    return make_optimizer(groups, recipe, rates=[lr], has_default_schedule=True, **own)
