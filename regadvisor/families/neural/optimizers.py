"""One optimizer step for all networks: each is its kernel on one flat tensor, without the bookkeeping.

The classes of ``torch.optim`` look after groups, hooks, profiling and state dictionaries in every step; for
one tensor and one small network that cost as much time as the arithmetic. The arithmetic here is torch's.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor
from torch.optim.adam import adam

from regadvisor.families.neural.recipe import Recipe

#: Adam's betas and epsilon: torch's defaults, and those of the paper (Kingma and Ba 2015).
BETAS = (0.9, 0.999)
EPSILON = 1e-8

#: A moment of a weight without gradient (dead units, zeros of L1) shrinks by 0.9 a step until it is
#: subnormal, and processors are slow with such numbers (measured: a step took 2.5 times as long). So moments
#: below this, which move no weight, are set to 0 after every so many steps.
TINY_MOMENT = 1e-30
STEPS_BETWEEN_FLUSHES = 100


class Optimizer(Protocol):
    """Moves parameters along their gradient."""

    def step(self, lr: float) -> None:
        """Make one step at a learning rate."""


class Adam:
    """Adam without any decay.

    Parameters
    ----------
    flat, gradient : Tensor, shape (n_models, n_parameters)
        Parameters, changed in place, and their gradient.
    betas : tuple of float, default (0.9, 0.999)

    Attributes
    ----------
    moment : Tensor, shape (n_models, n_parameters)
        Running mean of the gradient.
    """

    def __init__(self, flat: Tensor, gradient: Tensor, betas: tuple[float, float] = BETAS) -> None:
        self._betas = betas
        self._flat, self._gradient = flat, gradient
        self.moment, self._second = torch.zeros_like(flat), torch.zeros_like(flat)
        self._steps_on_device = torch.zeros((), device=flat.device)
        self._n_steps = 0

    def step(self, lr: float) -> None:
        """Make one step at a learning rate."""
        adam(
            [self._flat],
            [self._gradient],
            [self.moment],
            [self._second],
            [],
            [self._steps_on_device],
            fused=True,
            amsgrad=False,
            beta1=self._betas[0],
            beta2=self._betas[1],
            lr=lr,
            weight_decay=0.0,
            eps=EPSILON,
            maximize=False,
        )
        self._n_steps += 1
        if self._n_steps % STEPS_BETWEEN_FLUSHES == 0:
            flush(self.moment)


class Descent:
    """Gradient descent with momentum as in ``torch.optim.SGD``: ``v ← momentum·v + g``, ``w ← w − lr·v``.

    Nesterov's steps by ``g + momentum·v`` instead.

    Parameters
    ----------
    flat, gradient : Tensor, shape (n_models, n_parameters)
    momentum : float
    is_nesterov : bool, default False

    Attributes
    ----------
    moment : Tensor, shape (n_models, n_parameters)
        The velocity v.
    """

    def __init__(self, flat: Tensor, gradient: Tensor, momentum: float, *, is_nesterov: bool = False) -> None:
        self._is_nesterov = is_nesterov
        self._flat, self._gradient, self._momentum = flat, gradient, momentum
        self.moment = torch.zeros_like(flat)
        self._n_steps = 0

    def step(self, lr: float) -> None:
        """Make one step at a learning rate."""
        self.moment.mul_(self._momentum).add_(self._gradient)
        if self._is_nesterov:
            self._flat.add_(self._gradient, alpha=-lr).add_(self.moment, alpha=-lr * self._momentum)
        else:
            self._flat.add_(self.moment, alpha=-lr)
        self._n_steps += 1
        if self._n_steps % STEPS_BETWEEN_FLUSHES == 0:
            flush(self.moment)


def flush(moment: Tensor) -> None:
    """Set moments that move no weight to 0, in place."""
    moment.copy_(torch.nn.functional.hardshrink(moment, TINY_MOMENT))


def make_optimizer(recipe: Recipe, flat: Tensor, gradient: Tensor) -> Optimizer:
    """Return the recipe's optimizer for stacked networks."""
    if recipe.optimizer == "sgd":
        return Descent(flat, gradient, recipe.momentum, is_nesterov=recipe.nesterov)
    return Adam(flat, gradient, recipe.betas or BETAS)
