"""Strengths into the caller's own torch module: dropout rates, and an optimizer with its penalties."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, Literal

import torch
from torch import Tensor, nn

from regadvisor.errors import ParameterError

_EXEMPT = (nn.Embedding, nn.EmbeddingBag, nn.LayerNorm, nn.GroupNorm, nn.modules.batchnorm._NormBase)
_DROPOUT = nn.modules.dropout._DropoutNd


def penalised_names(
    by_default: Mapping[str, bool],
    *,
    exempt: Sequence[str] = (),
    penalised: Sequence[str] | None = None,
) -> tuple[str, ...]:
    """Return the names of the parameters that a penalty acts on.

    Parameters
    ----------
    by_default : mapping of str to bool
        Every parameter's name, and whether it is penalised if nothing else is said.
    exempt : sequence of str, default ()
        Patterns (``fnmatch``) of names that are not penalised.
    penalised : sequence of str or None, default None
        Patterns of the names that are, whatever the default says. ``None``: the default.

    Raises
    ------
    ParameterError
        If a pattern fits no name: a misspelt exemption would go unseen.

    Examples
    --------
    >>> names = {"0.weight": True, "0.bias": False, "2.weight": True}
    >>> penalised_names(names, exempt=["2.*"])
    ('0.weight',)
    >>> penalised_names(names, penalised=["0.*"])
    ('0.weight', '0.bias')
    """
    for argument, patterns in (("exempt", exempt), ("penalised", penalised or ())):
        for pattern in patterns:
            if not any(fnmatchcase(name, pattern) for name in by_default):
                raise ParameterError(
                    f"{argument} must hold patterns of parameter names, got {pattern!r}, which fits none of "
                    f"{tuple(by_default)}"
                )

    def is_penalised(name: str) -> bool:
        chosen = by_default[name] if penalised is None else any(fnmatchcase(name, p) for p in penalised)
        return chosen and not any(fnmatchcase(name, pattern) for pattern in exempt)

    return tuple(name for name in by_default if is_penalised(name))


def penalised_parameters(
    module: nn.Module, *, exempt: Sequence[str] = (), penalised: Sequence[str] | None = None
) -> Iterator[tuple[str, nn.Parameter]]:
    """Yield the parameters that a penalty acts on: weights of two or more dimensions.

    Biases, the layers that normalise and embeddings are exempt, and what the patterns say; see
    :func:`penalised_names`.

    Examples
    --------
    >>> [name for name, _ in penalised_parameters(nn.Sequential(nn.Linear(2, 3), nn.LayerNorm(3)))]
    ['0.weight']
    """
    exempt_parts = (part for part in module.modules() if isinstance(part, _EXEMPT))
    exempt_ids = {id(own) for part in exempt_parts for own in part.parameters(recurse=False)}
    parameters = dict(module.named_parameters())
    by_default = {name: own.ndim >= 2 and id(own) not in exempt_ids for name, own in parameters.items()}
    for name in penalised_names(by_default, exempt=exempt, penalised=penalised):
        yield name, parameters[name]


class _PenalisedSteps(torch.optim.Optimizer):
    """What both optimizers share: the rates, the penalties around the base class's step, clipping."""

    _rates: list[float]
    _clip_norm: float | None
    _is_decoupled: bool
    _n_steps: int
    #: Whether the base class's ``weight_decay`` is decoupled; else the decay is made here.
    _decays_decoupled = False

    def _set_up(
        self,
        module: nn.Module,
        *,
        l1: float,
        l2: float,
        rates: Sequence[float],
        coupling: Literal["decoupled", "loss"],
        clip_norm: float | None,
        exempt: Sequence[str],
        penalised: Sequence[str] | None,
    ) -> list[dict[str, Any]]:
        """Keep the numbers and return the parameter groups: the penalised parameters, then the others."""
        if len(rates) == 0:
            raise ParameterError("steps must be at least 1, got 0")
        self._rates, self._n_steps = [float(rate) for rate in rates], 0
        self._clip_norm, self._is_decoupled = clip_norm, coupling == "decoupled"
        chosen = [own for _, own in penalised_parameters(module, exempt=exempt, penalised=penalised)]
        ids = {id(own) for own in chosen}
        others = [own for own in module.parameters() if id(own) not in ids]
        decay = l2 if self._is_decoupled and self._decays_decoupled else 0.0
        groups = [
            {"params": chosen, "weight_decay": decay, "l1": l1, "l2": l2},
            {"params": others, "weight_decay": 0.0, "l1": 0.0, "l2": 0.0},
        ]
        return [group for group in groups if group["params"]]

    def step(self, closure=None):  # type: ignore[no-untyped-def]
        """Take one step at the next learning rate, with the penalties as `coupling` says."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        rate = self._rates[min(self._n_steps, len(self._rates) - 1)]
        if not self._is_decoupled:
            self._add_penalty()
        if self._clip_norm is not None:
            everything = [own for group in self.param_groups for own in group["params"]]
            nn.utils.clip_grad_norm_(everything, self._clip_norm)
        for group in self.param_groups:
            group["lr"] = rate
            if self._is_decoupled and not self._decays_decoupled and group["l2"] > 0:
                with torch.no_grad():
                    for own in group["params"]:
                        own.mul_(max(0.0, 1.0 - rate * group["l2"]))
        super().step()
        for group in self.param_groups:
            if self._is_decoupled and group["l1"] > 0:
                for own in group["params"]:
                    _soften(own, rate * group["l1"])
        self._n_steps += 1
        return loss

    @torch.no_grad()
    def _add_penalty(self) -> None:
        """Add ``l2·w + l1·sign(w)`` to the gradients."""
        for group in self.param_groups:
            for own in group["params"]:
                if own.grad is not None:
                    own.grad.add_(own, alpha=group["l2"]).add_(own.sign(), alpha=group["l1"])


class ProximalAdamW(_PenalisedSteps, torch.optim.AdamW):
    """AdamW with decoupled L2 and a proximal L1 step: ``w ← soft((1 − lr·l2)·w − lr·adam, lr·l1)``.

    The soft threshold gives exact zeros (subgradient L1 does not). The learning rate of every step is
    given beforehand, so there is no scheduler to forget.

    Parameters
    ----------
    module : torch.nn.Module
    l1, l2 : float
        Strengths: per unit of learning rate ("decoupled"), or of the loss ("loss").
    rates : sequence of float
        Learning rate of every step; the last one is kept if there are more steps.
    coupling : {"decoupled", "loss"}, default "decoupled"
        "loss": ``step()`` adds the gradient of ``l1·Σ|w| + (l2/2)·Σw²`` to the gradients of your loss
        instead, and the step is Adam's. Leave the penalty out of your own loss.
    clip_norm : float or None, default None
        ``step()`` scales the gradients down to this norm over all parameters.
    exempt, penalised : sequence of str
        Patterns of names; see :func:`penalised_names`.

    Examples
    --------
    >>> net = nn.Linear(3, 1)
    >>> optimizer = ProximalAdamW(net, l1=10.0, l2=0.0, rates=[0.1])
    >>> net(torch.zeros(1, 3)).sum().backward()
    >>> _ = optimizer.step()
    >>> int((net.weight == 0).sum())
    3
    """

    _decays_decoupled = True

    def __init__(
        self,
        module: nn.Module,
        *,
        l1: float,
        l2: float,
        rates: Sequence[float],
        coupling: Literal["decoupled", "loss"] = "decoupled",
        clip_norm: float | None = None,
        exempt: Sequence[str] = (),
        penalised: Sequence[str] | None = None,
    ) -> None:
        groups = self._set_up(
            module,
            l1=l1,
            l2=l2,
            rates=rates,
            coupling=coupling,
            clip_norm=clip_norm,
            exempt=exempt,
            penalised=penalised,
        )
        super().__init__(groups, lr=rates[0])


class ProximalSGD(_PenalisedSteps, torch.optim.SGD):
    """Gradient descent with momentum and the penalties of :class:`ProximalAdamW` (parameters as there).

    Decoupled, ``w ← soft((1 − lr·l2)·w − lr·velocity, lr·l1)`` (SGDW: Loshchilov and Hutter 2019); with
    ``coupling="loss"`` and L2 alone it is ``torch.optim.SGD(weight_decay=l2)``.

    Parameters
    ----------
    momentum : float, default 0.9

    Examples
    --------
    >>> net = nn.Linear(3, 1)
    >>> optimizer = ProximalSGD(net, l1=0.0, l2=0.1, rates=[0.1], coupling="loss")
    >>> net(torch.zeros(1, 3)).sum().backward()
    >>> _ = optimizer.step()
    """

    def __init__(
        self,
        module: nn.Module,
        *,
        l1: float,
        l2: float,
        rates: Sequence[float],
        momentum: float = 0.9,
        coupling: Literal["decoupled", "loss"] = "decoupled",
        clip_norm: float | None = None,
        exempt: Sequence[str] = (),
        penalised: Sequence[str] | None = None,
    ) -> None:
        groups = self._set_up(
            module,
            l1=l1,
            l2=l2,
            rates=rates,
            coupling=coupling,
            clip_norm=clip_norm,
            exempt=exempt,
            penalised=penalised,
        )
        super().__init__(groups, lr=rates[0], momentum=momentum)


def make_optimizer(
    module: nn.Module, *, optimizer: str, momentum: float, **options: Any
) -> ProximalAdamW | ProximalSGD:
    """Return the optimizer of that name, "adamw" or "sgd"; `options` as in :class:`ProximalAdamW`."""
    if optimizer == "sgd":
        return ProximalSGD(module, momentum=momentum, **options)
    return ProximalAdamW(module, **options)


@torch.no_grad()
def _soften(weights: Tensor, threshold: float) -> None:
    weights.copy_(weights.sign() * (weights.abs() - threshold).clamp_(min=0.0))


def copied(module: nn.Module) -> nn.Module:
    """Return a copy of a module.

    Raises
    ------
    ParameterError
        If it cannot be copied.
    """
    try:
        return copy.deepcopy(module)
    except Exception as error:
        raise ParameterError(
            f"module must be one that copy.deepcopy can copy, got {type(module).__name__}: {error}; keep no "
            "results of a pass in it (torch.nn.utils.weight_norm does; its successor in "
            "torch.nn.utils.parametrizations does not)"
        ) from error


def with_dropout(module: nn.Module, rate: float) -> nn.Module:
    """Return a copy of `module` whose dropout layers all drop `rate` of their units.

    Raises
    ------
    ParameterError
        If dropout is advised and the module has no dropout layer to set.
    """
    configured = copied(module)
    layers = [part for part in configured.modules() if isinstance(part, _DROPOUT)]
    if rate > 0 and not layers:
        raise ParameterError(
            f"module must have a torch.nn.Dropout layer to apply dropout {rate:g} to, got none; add them "
            "behind the hidden layers (dropout written as a function cannot be found)"
        )
    for layer in layers:
        layer.p = rate
    return configured
