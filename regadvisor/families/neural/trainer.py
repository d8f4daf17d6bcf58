"""Training many networks at once: run, epoch, step.

Everything random about a network comes from its seed alone: starting values, the order of the rows, the
dropped units. Networks with equal seeds share all three, whatever their strengths, so candidates are compared
on equal luck; and what a network becomes does not depend on which others it is trained with.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from regadvisor.families.neural.nets import Layout, NetStack, initial_parameters
from regadvisor.families.neural.penalties import Penalty, Strengths, span
from regadvisor.families.neural.schedule import Plan

#: Dropped units are drawn from a generator of their own, seeded this far from the one for the starting values
#: and the order: so networks with and without dropout see the same rows.
DROPOUT_SEED_OFFSET = 2**32

#: Adam's first moment of a weight without gradient (dead units, zeros of L1) shrinks by 0.9 a step until it
#: is subnormal, and processors are slow with such numbers (measured: a step took 2.5 times as long). So
#: moments below this, which move no weight, are set to 0 after every so many steps.
TINY_MOMENT = 1e-30
STEPS_BETWEEN_FLUSHES = 100


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainingRows:
    """Encoded rows, and which of them each network trains on.

    Attributes
    ----------
    x : Tensor of float32, shape (n_table, n_features)
        With one preprocessing per fold the folds' tables lie one below the other.
    target : Tensor of float32, shape (n_table, n_outputs)
        One-hot classes, or the standardised target.
    weight : Tensor of float32, shape (n_table,), or None
        Row weights with a mean of 1.
    parts : tuple of Tensor of int64
        Rows of `x` to train on, one tensor for each fold.
    is_classification : bool
    """

    x: Tensor
    target: Tensor
    weight: Tensor | None
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

    Parameters
    ----------
    member : Member
    layout : Layout
    rows : Tensor of int64, shape (n_rows,)
        Rows to train on.

    Attributes
    ----------
    initial : Tensor, shape (1, n_parameters)
        Starting values.
    """

    def __init__(self, member: Member, layout: Layout, rows: Tensor) -> None:
        self._generator = torch.Generator().manual_seed(member.seed)
        self._dropout_generator = torch.Generator().manual_seed(member.seed + DROPOUT_SEED_OFFSET)
        self._rows = rows
        self.initial = initial_parameters(layout, self._generator)

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

    def noise(self, batch: int, units: int) -> Tensor:
        """Return the next uniform numbers in [0, 1) of a hidden layer, shape (batch, units)."""
        return torch.rand(batch, units, generator=self._dropout_generator)


class StackTrainer:
    """Trains a stack of networks by AdamW with decoupled penalties.

    Parameters
    ----------
    rows : TrainingRows
    members : sequence of Member
        The networks.
    strengths : Strengths
        Theirs, in the same order.
    plan : Plan
    hidden : tuple of int
        Units of the hidden layers.

    Attributes
    ----------
    stack : NetStack
        The networks, trained as far as `run` has come.
    """

    def __init__(
        self,
        rows: TrainingRows,
        members: Sequence[Member],
        strengths: Strengths,
        *,
        plan: Plan,
        hidden: tuple[int, ...],
    ) -> None:
        self.rows, self.plan, self.device = rows, plan, rows.x.device
        layout = Layout(widths=(rows.x.shape[1], *hidden, rows.target.shape[1]))
        distinct = list(dict.fromkeys(members))
        self._streams = [Stream(member, layout, rows.parts[member.part]) for member in distinct]
        self._stream_of = torch.tensor([distinct.index(member) for member in members])
        initial = torch.cat([stream.initial for stream in self._streams])[self._stream_of]
        self.stack = NetStack(
            layout,
            initial.to(self.device),
            is_classification=rows.is_classification,
            batch=plan.batch,
        )
        self._penalty = Penalty(self.stack.flat[:, : layout.n_weights], strengths)
        self._dropped = span(strengths.dropout)
        self._rate, self._scale = self._dropout_factors(strengths.dropout)
        self.stack.flat.grad = self.stack.gradient
        self._adam = torch.optim.Adam([self.stack.flat], lr=1.0, fused=True)
        self._x = self.stack.flat.new_empty(len(members) * plan.batch, rows.x.shape[1])

    def _dropout_factors(self, dropout: NDArray[np.float64]) -> tuple[Tensor, Tensor]:
        """Return rate and 1 / (1 − rate) of the networks that drop, shape (n_dropped, 1, 1) each."""
        rates = dropout[self._dropped] if self._dropped else dropout
        rate = torch.as_tensor(rates, dtype=torch.float32, device=self.device).view(-1, 1, 1)
        scale = torch.as_tensor(1.0 / (1.0 - rates), dtype=torch.float32, device=self.device).view(-1, 1, 1)
        return rate, scale

    def run(
        self,
        *,
        at_checkpoint: Callable[[NetStack], None] | None = None,
        should_stop: Callable[[], bool] | None = None,
    ) -> bool:
        """Train all epochs of the plan; return whether they were all made.

        Parameters
        ----------
        at_checkpoint : callable, optional
            Called with the stack at every checkpoint of the plan.
        should_stop : callable, optional
            Asked before every epoch.
        """
        for epoch in range(self.plan.epochs):
            if should_stop is not None and should_stop():
                return False
            self.run_epoch(epoch)
            if at_checkpoint is not None and epoch + 1 in self.plan.checkpoints:
                at_checkpoint(self.stack)
        return True

    def run_epoch(self, epoch: int) -> None:
        """Make the steps of one epoch (counted from 0)."""
        n_steps, batches = self.plan.n_steps, self.draw_epoch()
        for step in range(n_steps):
            made = epoch * n_steps + step
            self.train_step(batches[:, step], float(self.plan.rates[made]))
            if made % STEPS_BETWEEN_FLUSHES == STEPS_BETWEEN_FLUSHES - 1:
                self._flush_moment()

    def _flush_moment(self) -> None:
        moment = self._adam.state[self.stack.flat]["exp_avg"]
        moment.copy_(torch.nn.functional.hardshrink(moment, TINY_MOMENT))

    def draw_epoch(self) -> Tensor:
        """Return the rows of the next epoch's batches, shape (n_models, n_steps, batch)."""
        plan = self.plan
        order = torch.stack([stream.epoch(plan.n_steps, plan.batch) for stream in self._streams])
        return order[self._stream_of].to(self.device)

    def train_step(self, batch: Tensor, lr: float) -> None:
        """Make one step of all networks; `batch` holds their rows, shape (n_models, batch)."""
        flat_rows = batch.reshape(-1)
        torch.index_select(self.rows.x, 0, flat_rows, out=self._x)
        weight = None if self.rows.weight is None else self.rows.weight[flat_rows].view(batch.shape)
        self.stack.compute_gradient(
            self._x.view(*batch.shape, -1),
            self.rows.target[flat_rows].view(*batch.shape, -1),
            weight=weight,
            dropped=self._dropped,
            keep=self._draw_keep(),
        )
        self._penalty.decay(lr)
        self._adam.param_groups[0]["lr"] = lr
        self._adam.step()
        self._penalty.soften(lr)

    def _draw_keep(self) -> list[Tensor]:
        """Return for each hidden layer 0 for a dropped unit, else 1 / (1 − rate).

        Networks of one seed compare the same uniform number with their own rate.
        """
        if self._dropped is None:
            return []
        stream_of = self._stream_of[self._dropped]
        used, position = torch.unique(stream_of, return_inverse=True)
        keep = []
        for units in self.stack.layout.widths[1:-1]:
            noise = torch.stack([self._streams[int(i)].noise(self.plan.batch, units) for i in used])
            uniform = noise.to(self.device)[position.to(self.device)]
            keep.append(torch.ge(uniform, self._rate, out=uniform).mul_(self._scale))
        return keep
