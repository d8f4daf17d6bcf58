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

    Attributes
    ----------
    moment : Tensor, shape (n_models, n_parameters)
        Running mean of the gradient.
    """

    def __init__(self, flat: Tensor, gradient: Tensor) -> None:
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
            beta1=BETAS[0],
            beta2=BETAS[1],
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

    Parameters
    ----------
    flat, gradient : Tensor, shape (n_models, n_parameters)
    momentum : float

    Attributes
    ----------
    moment : Tensor, shape (n_models, n_parameters)
        The velocity v.
    """

    def __init__(self, flat: Tensor, gradient: Tensor, momentum: float) -> None:
        self._flat, self._gradient, self._momentum = flat, gradient, momentum
        self.moment = torch.zeros_like(flat)
        self._n_steps = 0

    def step(self, lr: float) -> None:
        """Make one step at a learning rate."""
        self.moment.mul_(self._momentum).add_(self._gradient)
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
        return Descent(flat, gradient, recipe.momentum)
    return Adam(flat, gradient)
