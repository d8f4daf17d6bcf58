"""Optimizers with the advised penalties, for the caller's own training loop.

Each step is that of ``torch.optim``, with the penalty around it. Three rules make it safe in loops that we do
not know:

- A parameter that is frozen, or that got no gradient, is left alone, as torch's own optimizers leave it.
- A schedule is a factor on the learning rate of each group. What sets that rate (a torch scheduler, or the
  caller) acts as it does on any optimizer.
- The number of the step is in ``state_dict()``, so a run that is loaded goes on where it was saved.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import torch
from torch import Tensor, nn

from regadvisor.errors import ParameterError
from regadvisor.families.neural.parameters import chosen_names, lr_scales, penalised_parameters
from regadvisor.families.neural.recipe import BETAS, Recipe


class _PenalisedSteps(torch.optim.Optimizer):
    """What both optimizers share: the schedule, the penalties around the base class's step, clipping."""

    _factors: list[float]
    _has_default_schedule: bool
    _clip_norm: float | None
    _is_decoupled: bool
    #: Whether the base class's ``weight_decay`` is decoupled; else the decay is made here.
    _decays_decoupled = False

    def __init__(
        self,
        module: nn.Module | Sequence[dict[str, Any]],
        *,
        l1: float = 0.0,
        l2: float = 0.0,
        rates: Sequence[float],
        coupling: Literal["decoupled", "loss"] = "decoupled",
        clip_norm: float | None = None,
        exempt: Sequence[str] = (),
        penalised: Sequence[str] | None = None,
        lr_scale: Sequence[tuple[str, float]] = (),
        towards_start: Sequence[str] = (),
        has_default_schedule: bool = False,
        **own: Any,
    ) -> None:
        """Keep the numbers; give the base class the parameter groups, the penalised ones first, and `own`."""
        if len(rates) == 0 or max(rates) <= 0:
            raise ParameterError(
                f"rates must hold a learning rate above 0 for every step, got {list(rates)[:3]!r}"
            )
        highest = float(max(rates))
        self._factors = [float(rate) / highest for rate in rates]
        self._has_default_schedule = has_default_schedule
        self._clip_norm, self._is_decoupled = clip_norm, coupling == "decoupled"
        is_decay = self._is_decoupled and self._decays_decoupled
        if isinstance(module, nn.Module):
            chosen = {name for name, _ in penalised_parameters(module, exempt=exempt, penalised=penalised)}
            module = _groups(module, chosen, lr=highest, lr_scale=lr_scale, towards_start=towards_start)
            for group in module:
                group |= {"l1": l1, "l2": l2} if group.pop("is_penalised") else {}
        # Groups that name no penalty have none, and so have those that the caller adds later. The base class
        # decays towards 0 only.
        used = [
            {
                "l1": 0.0,
                "l2": 0.0,
                "n_steps": 0,
                "weight_decay": group.get("l2", 0.0) * (is_decay and not group.get("start")),
                **group,
            }
            for group in module
            if group["params"]
        ]
        base: dict[str, Any] = {"params": used, "lr": highest, "weight_decay": 0.0, **own}
        super().__init__(**base)

    def __getstate__(self) -> dict[str, Any]:
        # Torch's keeps only what torch knows, so a copy would have no schedule.
        names = ("_factors", "_has_default_schedule", "_clip_norm", "_is_decoupled")
        return {**super().__getstate__(), **{name: getattr(self, name) for name in names}}

    def step(self, closure=None):  # type: ignore[no-untyped-def]
        """Take one step at the next learning rate, with the penalties as `coupling` says."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        n_steps = max(group.get("n_steps", 0) for group in self.param_groups)
        with self._frozen_left_out(), self._scheduled(self._factor(n_steps)):
            if not self._is_decoupled:
                self._add_penalty()
            if self._clip_norm is not None:
                nn.utils.clip_grad_norm_(
                    [own for _, own, _ in self._moving()], self._clip_norm, error_if_nonfinite=False
                )
            if self._is_decoupled:
                self._decay()
            step: Any = super().step
            # Once torch has made an optimizer of the base class, its step runs the hooks, as ours does.
            step.__wrapped__(self) if getattr(step, "hooked", False) else step()
            if self._is_decoupled:
                self._soften()
        for group in self.param_groups:
            group["n_steps"] = n_steps + 1
        return loss

    def _factor(self, n_steps: int) -> float:
        """Return what the schedule multiplies the learning rates with."""
        # Torch's schedulers leave this mark in the groups.
        is_scheduled = any("initial_lr" in group for group in self.param_groups)
        if is_scheduled and self._has_default_schedule:
            return 1.0
        return self._factors[min(n_steps, len(self._factors) - 1)]

    @contextmanager
    def _scheduled(self, factor: float) -> Iterator[None]:
        """Multiply the groups' learning rates for one step; schedulers and loggers see them as they were."""
        before = [group["lr"] for group in self.param_groups]
        try:
            for group in self.param_groups:
                group["lr"] = group["lr"] * factor
            yield
        finally:
            for group, rate in zip(self.param_groups, before, strict=True):
                group["lr"] = rate

    @contextmanager
    def _frozen_left_out(self) -> Iterator[None]:
        """Hide gradients of frozen parameters, left from before they were: torch would step by them."""
        everything = [own for group in self.param_groups for own in group["params"]]
        hidden = [(own, own.grad) for own in everything if not own.requires_grad and own.grad is not None]
        try:
            for own, _ in hidden:
                own.grad = None
            yield
        finally:
            for own, gradient in hidden:
                own.grad = gradient

    def _moving(self) -> Iterator[tuple[dict[str, Any], nn.Parameter, Tensor | float]]:
        """Yield the parameters that this step moves, with their groups and what penalties pull them to."""
        for group in self.param_groups:
            starts = group.get("start") or itertools.repeat(0.0)
            for own, start in zip(group["params"], starts, strict=False):
                if own.grad is not None:
                    yield group, own, start

    @torch.no_grad()
    def _add_penalty(self) -> None:
        """Add ``l2·w + l1·sign(w)`` to the gradients."""
        for group, own, start in self._moving():
            moved = own - start
            own.grad.add_(moved, alpha=group.get("l2", 0.0))  # type: ignore[union-attr]
            own.grad.add_(moved.sign(), alpha=group.get("l1", 0.0))  # type: ignore[union-attr]

    @torch.no_grad()
    def _decay(self) -> None:
        for group, own, start in self._moving():
            if group.get("l2") and not group["weight_decay"]:  # which the base class takes care of
                own.sub_(start).mul_(max(0.0, 1.0 - float(group["lr"]) * group["l2"])).add_(start)

    @torch.no_grad()
    def _soften(self) -> None:
        for group, own, start in self._moving():
            if group.get("l1"):
                threshold = float(group["lr"]) * group["l1"]
                moved = own - start
                own.copy_(start + moved.sign() * (moved.abs() - threshold).clamp_(min=0.0))


def _groups(
    module: nn.Module,
    chosen: set[str],
    *,
    lr: float,
    lr_scale: Sequence[tuple[str, float]],
    towards_start: Sequence[str],
) -> list[dict[str, Any]]:
    """Return the parameters in groups of one learning rate and one penalty, the penalised ones first."""
    named = dict(module.named_parameters())
    scales = lr_scales(list(named), lr_scale)
    starts = set(chosen_names(list(named), towards_start, "towards_start"))
    groups: dict[tuple[bool, bool, float], dict[str, Any]] = {}
    for name in sorted(named, key=lambda name: name not in chosen):
        is_penalised, scale = name in chosen, scales.get(name, 1.0)
        has_start = is_penalised and name in starts
        # The starting values are in the group, which is part of state_dict(): a loaded run goes on to the
        # same.
        new: dict[str, Any] = {"params": [], "lr": lr * scale, "start": [], "is_penalised": is_penalised}
        group = groups.setdefault((is_penalised, has_start, scale), new)
        group["params"].append(named[name])
        if has_start:
            group["start"].append(named[name].detach().clone())
    return list(groups.values())


class ProximalAdamW(_PenalisedSteps, torch.optim.AdamW):
    """AdamW with decoupled L2 and a proximal L1 step: ``w ← soft((1 − lr·l2)·w − lr·adam, lr·l1)``.

    The soft threshold gives exact zeros (subgradient L1 does not). Frozen parameters, and those that got no
    gradient, stay as they are.

    Parameters
    ----------
    module : torch.nn.Module or sequence of dict
        What is trained; or groups of parameters, as other optimizers take them, each with strengths `l1` and
        `l2` of its own.
    l1, l2 : float, default 0.0
        Strengths: per unit of learning rate ("decoupled"), or of the loss ("loss").
    rates : sequence of float
        Learning rate of every step; the last one is kept if there are more steps. The groups' ``"lr"`` is
        the highest of them, and each step multiplies it by its own share: what changes ``"lr"``, such as
        a scheduler of torch, acts on top. The number of the step is part of ``state_dict()``.
    coupling : {"decoupled", "loss"}, default "decoupled"
        "loss": ``step()`` adds the gradient of ``l1·Σ|w| + (l2/2)·Σw²`` to the gradients of your loss
        instead, and the step is Adam's. Leave the penalty out of your own loss.
    clip_norm : float or None, default None
        ``step()`` scales the gradients down to this norm over all parameters.
    exempt, penalised : sequence of str
        Patterns of names; see :func:`~regadvisor.families.neural.parameters.penalised_names`.
    lr_scale : sequence of (pattern, factor)
        Factors of the learning rate, each a group with its own ``"lr"``; the last pattern that fits counts.
    towards_start : sequence of str
        Patterns of parameters that penalties pull towards the values that they have now (L2-SP). These are
        part of ``state_dict()``.
    has_default_schedule : bool, default False
        Whether a scheduler of torch replaces the schedule in `rates`.

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
        self, module: nn.Module | Sequence[dict[str, Any]], *, momentum: float = 0.9, **options: Any
    ) -> None:
        super().__init__(module, momentum=momentum, **options)


def make_optimizer(
    module: nn.Module | Sequence[dict[str, Any]], recipe: Recipe, **options: Any
) -> ProximalAdamW | ProximalSGD:
    """Return the recipe's optimizer; `options`, strengths and rates among them: see there."""
    given: dict[str, Any] = {
        **{
            name: getattr(recipe, name)
            for name in ("coupling", "clip_norm", "exempt", "penalised", "lr_scale")
        },
        "towards_start": recipe.start_patterns,
    }
    if recipe.optimizer == "sgd":
        return ProximalSGD(
            module, **{**given, "momentum": recipe.momentum, "nesterov": recipe.nesterov, **options}
        )
    return ProximalAdamW(module, **{**given, "betas": recipe.betas or BETAS, **options})
