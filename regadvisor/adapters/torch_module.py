"""Strengths into the caller's own torch module: dropout rates, and an optimizer with its decay groups."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from regadvisor.errors import ParameterError

_EXEMPT = (nn.Embedding, nn.EmbeddingBag, nn.LayerNorm, nn.GroupNorm, nn.modules.batchnorm._NormBase)
_DROPOUT = nn.modules.dropout._DropoutNd


def penalised_parameters(module: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    """Yield the parameters that a penalty acts on: weights of two or more dimensions.

    Biases, the layers that normalise and embeddings are exempt.

    Examples
    --------
    >>> [name for name, _ in penalised_parameters(nn.Sequential(nn.Linear(2, 3), nn.LayerNorm(3)))]
    ['0.weight']
    """
    for prefix, part in module.named_modules():
        if isinstance(part, _EXEMPT):
            continue
        for name, parameter in part.named_parameters(prefix=prefix, recurse=False):
            if parameter.ndim >= 2:
                yield name, parameter


class ProximalAdamW(torch.optim.AdamW):
    """AdamW with decoupled L2 and a proximal L1 step: ``w ← soft((1 − lr·l2)·w − lr·adam, lr·l1)``.

    The soft threshold gives exact zeros (subgradient L1 does not). The learning rate of every step is
    given beforehand, so there is no scheduler to forget.

    Parameters
    ----------
    module : torch.nn.Module
    l1, l2 : float
        Strengths per unit of learning rate.
    rates : sequence of float
        Learning rate of every step; the last one is kept if there are more steps.

    Examples
    --------
    >>> net = nn.Linear(3, 1)
    >>> optimizer = ProximalAdamW(net, l1=10.0, l2=0.0, rates=[0.1])
    >>> net(torch.zeros(1, 3)).sum().backward()
    >>> _ = optimizer.step()
    >>> int((net.weight == 0).sum())
    3
    """

    def __init__(self, module: nn.Module, *, l1: float, l2: float, rates: Sequence[float]) -> None:
        if len(rates) == 0:
            raise ParameterError("steps must be at least 1, got 0")
        penalised = [parameter for _, parameter in penalised_parameters(module)]
        chosen = {id(parameter) for parameter in penalised}
        exempt = [parameter for parameter in module.parameters() if id(parameter) not in chosen]
        groups = [
            {"params": penalised, "weight_decay": l2, "l1": l1},
            {"params": exempt, "weight_decay": 0.0, "l1": 0.0},
        ]
        super().__init__([group for group in groups if group["params"]], lr=rates[0])
        self._rates = [float(rate) for rate in rates]
        self._n_steps = 0

    def step(self, closure=None):  # type: ignore[no-untyped-def]
        """Take one optimizer step, then soft-threshold the penalised weights."""
        rate = self._rates[min(self._n_steps, len(self._rates) - 1)]
        for group in self.param_groups:
            group["lr"] = rate
        loss = super().step(closure)
        for group in self.param_groups:
            if group["l1"] > 0:
                for parameter in group["params"]:
                    _soften(parameter, rate * group["l1"])
        self._n_steps += 1
        return loss


@torch.no_grad()
def _soften(weights: Tensor, threshold: float) -> None:
    weights.copy_(weights.sign() * (weights.abs() - threshold).clamp_(min=0.0))


def with_dropout(module: nn.Module, rate: float) -> nn.Module:
    """Return a copy of `module` whose dropout layers all drop `rate` of their units.

    Raises
    ------
    ParameterError
        If dropout is advised and the module has no dropout layer to set.
    """
    configured = copy.deepcopy(module)
    layers = [part for part in configured.modules() if isinstance(part, _DROPOUT)]
    if rate > 0 and not layers:
        raise ParameterError(
            f"module must have a torch.nn.Dropout layer to apply dropout {rate:g} to, got none; add them "
            "behind the hidden layers (dropout written as a function cannot be found)"
        )
    for layer in layers:
        layer.p = rate
    return configured
