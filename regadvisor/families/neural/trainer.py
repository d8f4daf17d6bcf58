"""Training many networks at once: run, epoch, step.

Everything random about a network comes from its seed alone: starting values, the order of the rows, the
dropped units. Networks with equal seeds share all three, whatever their strengths, so candidates are compared
on equal luck; and up to rounding, what a network becomes does not depend on which others it is trained with.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.optim.adam import adam
from torch.optim.sgd import sgd

from regadvisor.errors import ParameterError, callers_code
from regadvisor.families.neural.architecture import Architecture, Masks, Stack
from regadvisor.families.neural.losses import Loss
from regadvisor.families.neural.parameters import chosen_names, lr_scales
from regadvisor.families.neural.penalties import Penalty, StackStrengths, span
from regadvisor.families.neural.recipe import BETAS, Recipe
from regadvisor.families.neural.schedule import RunPlan
from regadvisor.global_state import own_randomness

#: Dropped units are drawn from a generator of their own, seeded this far from the one for the starting values
#: and the order: so networks with and without dropout see the same rows.
DROPOUT_SEED_OFFSET = 2**32


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainingRows:
    """Encoded rows, and which of them each network trains on."""

    #: (n_table, n_features): with one preprocessing per fold the folds' tables lie one below the other.
    x: Tensor
    #: (n_table, n_outputs): one-hot classes, or the standardised target.
    target: Tensor
    #: (n_table,): row weights with a mean of 1.
    weight: Tensor | None
    #: Rows of `x` to train on, one tensor for each fold.
    parts: tuple[Tensor, ...]
    is_classification: bool


@dataclass(frozen=True, kw_only=True)
class Member:
    """One network of a stack: its seed, and the part of the rows that it trains on.

    Networks with equal seeds have to train on the same part.
    """

    seed: int
    part: int = 0


class Stream:
    """What is random about networks of one seed.

    `rows` (n_rows,): rows to train on.

    `initial` (1, n_parameters): starting values.
    """

    def __init__(self, member: Member, architecture: Architecture, rows: Tensor) -> None:
        self._generator = torch.Generator().manual_seed(member.seed)
        self._dropout_generator = torch.Generator().manual_seed(member.seed + DROPOUT_SEED_OFFSET)
        #: Of what the caller does to a batch.
        self.augment_generator = torch.Generator().manual_seed(member.seed + 2 * DROPOUT_SEED_OFFSET)
        self._rows = rows
        self.initial = architecture.initial(self._generator)

    def epoch(self, n_steps: int, batch: int) -> Tensor:
        """Return the rows of the next epoch's batches, shape (n_steps, batch).

        A shuffle of the part; what does not fill a batch is left out of this epoch. A part smaller than an
        epoch (folds of different sizes make equally many steps) is shuffled again until the epoch is full.
        """
        wanted, order = n_steps * batch, []
        while wanted > 0:
            shuffled = torch.randperm(len(self._rows), generator=self._generator)[:wanted]
            order.append(shuffled)
            wanted -= len(shuffled)
        return self._rows[torch.cat(order)].view(n_steps, batch)

    def noise(self, batch: int, *shape: int) -> Tensor:
        """Return the next uniform numbers in [0, 1) of a place that drops, shape (batch, *shape)."""
        return torch.rand(batch, *shape, generator=self._dropout_generator, dtype=torch.float32)


class StackTrainer:
    """Trains a stack of networks as a recipe says.

    `members`: the networks. `strengths`: theirs, in the same order. `recipe`: optimizer, clipping, coupling
    and loss (the plan holds rates and lengths).

    `stack`: the networks, trained as far as `run` has come.
    """

    def __init__(
        self,
        rows: TrainingRows,
        members: Sequence[Member],
        strengths: StackStrengths,
        *,
        plan: RunPlan,
        architecture: Architecture,
        recipe: Recipe,
    ) -> None:
        self.rows, self.plan, self.device = rows, plan, rows.x.device
        distinct = list(dict.fromkeys(members))
        self._streams = [Stream(member, architecture, rows.parts[member.part]) for member in distinct]
        self._stream_of = torch.tensor([distinct.index(member) for member in members])
        initial = torch.cat([stream.initial for stream in self._streams])[self._stream_of]
        loss: Loss = "log" if rows.is_classification else "squared"
        loss = loss if recipe.loss is None else recipe.loss
        self.stack: Stack = architecture.stack(initial.to(self.device), batch=plan.batch, loss=loss)
        self.stack.rates = strengths.dropout.tolist()
        self._scale = self._learning_scales(architecture, recipe)
        start = self._starting_values(architecture, recipe)
        self._penalty = Penalty(
            self.stack.flat,
            self.stack.gradient,
            self.stack.n_penalised,
            strengths,
            start=start,
            scale=self._scale,
        )
        self._architecture, self._augment = architecture, recipe.augment
        self._is_decoupled, self._clip_norm = recipe.coupling == "decoupled", recipe.clip_norm
        self._optimizer = Optimizer(recipe, self.stack.flat, self.stack.gradient)
        self._dropping = self._streams_that_drop(strengths.dropout)
        self._x = self.stack.flat.new_empty(len(members) * plan.batch, rows.x.shape[1])

    def _learning_scales(self, architecture: Architecture, recipe: Recipe) -> Tensor | None:
        """Return the factor of the learning rate of every parameter, shape (1, n_parameters); None: all 1."""
        if not recipe.lr_scale:
            return None
        columns = architecture.layout.columns
        scales = lr_scales(list(columns), recipe.lr_scale)  # type: ignore[arg-type]  # pairs, once made
        found = self.stack.flat.new_ones(1, self.stack.flat.shape[1])
        for name, scale in scales.items():
            found[:, columns[name]] = scale
        return found

    def _starting_values(self, architecture: Architecture, recipe: Recipe) -> Tensor | None:
        """Return what weights are pulled towards, shape (n_models, n_parameters); None: 0, all of them."""
        if not recipe.start_patterns:
            return None
        columns = architecture.layout.columns
        names = chosen_names(list(columns), recipe.start_patterns, "towards_start")
        found = torch.zeros_like(self.stack.flat)
        for name in names:
            found[:, columns[name]] = self.stack.flat[:, columns[name]]
        return found

    def _streams_that_drop(self, dropout: NDArray[np.float64]) -> tuple[Any, ...] | None:
        """Return which networks drop, their streams, and each one's place there, rate and 1 / (1 − rate)."""
        dropped = span(dropout)
        if dropped is None:
            return None
        used, position = torch.unique(self._stream_of[dropped], return_inverse=True)
        rate, kept = (
            torch.as_tensor(each, dtype=torch.float32, device=self.device)
            for each in (dropout[dropped], 1.0 / (1.0 - dropout[dropped]))
        )
        return dropped, [self._streams[int(number)] for number in used], position.to(self.device), rate, kept

    def run(
        self,
        *,
        at_checkpoint: Callable[[Stack], None] | None = None,
        should_stop: Callable[[], bool] | None = None,
    ) -> bool:
        """Train all epochs of the plan; return whether they were all made.

        `at_checkpoint`: called with the stack at every checkpoint of the plan. `should_stop`: asked before
        every step.
        """
        for epoch in range(self.plan.epochs):
            if not self.run_epoch(epoch, should_stop):
                return False
            if at_checkpoint is not None and epoch + 1 in self.plan.checkpoints:
                at_checkpoint(self.stack)
        return True

    def run_epoch(self, epoch: int, should_stop: Callable[[], bool] | None = None) -> bool:
        """Make the steps of one epoch (counted from 0); return whether they were all made."""
        n_steps, batches = self.plan.n_steps, self.draw_epoch()
        for step in range(n_steps):
            if should_stop is not None and should_stop():
                return False
            self.train_step(batches[:, step], float(self.plan.rates[epoch * n_steps + step]))
        return True

    def draw_epoch(self) -> Tensor:
        """Return the rows of the next epoch's batches, shape (n_models, n_steps, batch)."""
        plan = self.plan
        rows = plan.batch * plan.passes
        order = torch.stack([stream.epoch(plan.n_steps, rows) for stream in self._streams])
        return to_device(order[self._stream_of], self.device)

    def train_step(self, batch: Tensor, lr: float) -> None:
        """Make one step of all networks; `batch` holds their rows, shape (n_models, passes · batch)."""
        idle_at = self._gradient_of(batch)
        flat, idle = self.stack.flat, [(at, self.stack.flat[at].clone()) for at in idle_at]
        before = None if self._scale is None else flat.clone()
        if not self._is_decoupled:
            self._penalty.add_gradient()
            for at, _ in idle:
                self.stack.gradient[at] = 0.0
        if self._clip_norm is not None:
            clip(self.stack.gradient, self._clip_norm)
        if self._is_decoupled:
            self._penalty.decay(lr)
        self._optimizer.step(lr)
        if before is not None:
            # A step is in proportion to the learning rate, and so is the decay; the threshold has its own.
            flat.copy_(torch.lerp(before, flat, self._scale.expand_as(flat)))  # type: ignore[union-attr]
        if self._is_decoupled:
            self._penalty.soften(lr)
        for at, weights in idle:
            flat[at] = weights

    def _gradient_of(self, batch: Tensor) -> list[tuple[slice, slice]]:
        """Fill the gradient, the mean over the passes of a step; return where no pass has found any."""
        if self.plan.passes == 1:
            self._fill_gradient(batch)
            return list(self.stack.idle)
        total, idle = torch.zeros_like(self.stack.gradient), None
        for rows in batch.chunk(self.plan.passes, dim=1):
            self._fill_gradient(rows)
            total += self.stack.gradient
            idle = [at for at in self.stack.idle if idle is None or at in idle]
        torch.div(total, self.plan.passes, out=self.stack.gradient)
        return idle or []

    def _fill_gradient(self, batch: Tensor) -> None:
        """Fill the gradient of one pass; `batch` holds the networks' rows, shape (n_models, batch)."""
        flat_rows = batch.reshape(-1)
        torch.index_select(self.rows.x, 0, flat_rows, out=self._x)
        if self._augment is not None:
            self._augmented(self._x.view(*batch.shape, -1))
        weight = (
            None
            if self.rows.weight is None
            else self.rows.weight.index_select(0, flat_rows).view(batch.shape)
        )
        self.stack.compute_gradient(
            self._x.view(*batch.shape, -1),
            self.rows.target.index_select(0, flat_rows).view(*batch.shape, -1),
            weight=weight,
            masks=self._draw_masks(),
        )

    def _augmented(self, x: Tensor) -> None:
        """Write what the caller makes of the batches into `x` (n_models, batch, n_features).

        Networks of one seed see the same.
        """
        assert self._augment is not None
        for number, stream in enumerate(self._streams):
            models = torch.nonzero(self._stream_of == number).flatten().to(x.device)
            given = self._architecture.shaped(x[models[0]].clone())
            seed = int(torch.randint(2**31, (), generator=stream.augment_generator))
            with (
                own_randomness(seed, x.device),
                callers_code("augment must take a batch and return one", "try it on a few rows of yours"),
            ):
                made = self._augment(given)
            if not isinstance(made, Tensor) or made.shape != given.shape:
                got = tuple(made.shape) if isinstance(made, Tensor) else type(made).__name__
                raise ParameterError(
                    f"augment must return a tensor of the shape that it gets, {tuple(given.shape)}, got {got}"
                )
            x[models] = self._architecture.flat(made).detach()

    def _draw_masks(self) -> Masks | None:
        """Return for each place that drops 0 for a dropped unit, else 1 / (1 − rate).

        Networks of one seed compare the same uniform number with their own rate.
        """
        if self._dropping is None:
            return None
        dropped, streams, position, rate, kept = self._dropping
        keep = []
        for shape in self.stack.dropout_shapes:
            noise = torch.stack([stream.noise(self.plan.batch, *shape) for stream in streams])
            uniform = to_device(noise, self.device)[position]
            column = (-1, *[1] * (uniform.ndim - 1))
            torch.ge(uniform, rate.view(column), out=uniform)
            keep.append(uniform.mul_(kept.view(column)))
        return dropped, keep


def clip(gradient: Tensor, most: float) -> None:
    """Scale every network's gradient down, in place, as ``torch.nn.utils.clip_grad_norm_`` does."""
    norm = torch.linalg.vector_norm(gradient, dim=1, keepdim=True)
    gradient.mul_((most / (norm + 1e-6)).clamp_(max=1.0))


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """Return the tensor on the device; to a GPU through pinned memory, so that nobody waits for the copy."""
    if device.type != "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


#: Adam's epsilon: torch's default, and that of the paper (Kingma and Ba 2015).
EPSILON = 1e-8

#: A moment of a weight without gradient (dead units, zeros of L1) shrinks by 0.9 a step until it is
#: subnormal, and processors are slow with such numbers (measured: a step took 2.5 times as long). So moments
#: below this, which move no weight, are set to 0 after every so many steps.
TINY_MOMENT = 1e-30
STEPS_BETWEEN_FLUSHES = 100


class Optimizer:
    """Adam, or gradient descent with momentum, without any decay: the kernel on one flat tensor.

    The classes of ``torch.optim`` look after groups, hooks, profiling and state dictionaries in every step;
    for one tensor and one small network that cost as much time as the arithmetic, which here is torch's, too.

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
