"""One optimizer step for all networks: each is its kernel on one flat tensor, without the bookkeeping.

The classes of ``torch.optim`` look after groups, hooks, profiling and state dictionaries in every step; for
one tensor and one small network that cost as much time as the arithmetic. The arithmetic here is torch's.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.optim.adam import adam
from torch.optim.sgd import sgd

from regadvisor.families.neural.recipe import Recipe

#: Adam's betas and epsilon: torch's defaults, and those of the paper (Kingma and Ba 2015).
BETAS = (0.9, 0.999)
EPSILON = 1e-8

#: A moment of a weight without gradient (dead units, zeros of L1) shrinks by 0.9 a step until it is
#: subnormal, and processors are slow with such numbers (measured: a step took 2.5 times as long). So moments
#: below this, which move no weight, are set to 0 after every so many steps.
TINY_MOMENT = 1e-30
STEPS_BETWEEN_FLUSHES = 100


class Optimizer:
    """Adam, or gradient descent with momentum, without any decay.

    `flat`, `gradient` (n_models, n_parameters): parameters, changed in place, and their gradient.

    `moment` (n_models, n_parameters): running mean of the gradient, or the velocity.
    """

    def __init__(self, recipe: Recipe, flat: Tensor, gradient: Tensor) -> None:
        self._recipe, self._flat, self._gradient = recipe, flat, gradient
        self.moment = torch.zeros_like(flat)
        self._is_descent = recipe.optimizer == "sgd"
        if not self._is_descent:
            self._second, self._steps_on_device = (
                torch.zeros_like(flat),
                torch.zeros((), device=flat.device, dtype=flat.dtype),
            )
        self._n_steps = 0

    def step(self, lr: float) -> None:
        """Make one step at a learning rate."""
        if self._is_descent:
            sgd(
                [self._flat],
                [self._gradient],
                [self.moment],
                foreach=False,
                weight_decay=0.0,
                momentum=self._recipe.momentum,
                lr=lr,
                dampening=0.0,
                nesterov=self._recipe.nesterov,
                maximize=False,
            )
        else:
            beta1, beta2 = self._recipe.betas or BETAS
            adam(
                [self._flat],
                [self._gradient],
                [self.moment],
                [self._second],
                [],
                [self._steps_on_device],
                fused=True,
                amsgrad=False,
                beta1=beta1,
                beta2=beta2,
                lr=lr,
                weight_decay=0.0,
                eps=EPSILON,
                maximize=False,
            )
        self._n_steps += 1
        if self._n_steps % STEPS_BETWEEN_FLUSHES == 0:
            self.moment.copy_(torch.nn.functional.hardshrink(self.moment, TINY_MOMENT))
