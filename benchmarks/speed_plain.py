"""One network after another in plain torch, as a user would write it: the other side of the comparisons.

``nn.Sequential``, ``torch.optim.AdamW`` with the biases in a group of their own, a soft threshold after the
step for L1. What is random is drawn as ``families/neural/trainer.py`` draws it (starting values, order of the
rows, dropped units), so that both sides end with the same numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from regadvisor.families.neural.recipe import Recipe
from regadvisor.families.neural.schedule import full_run_rates, steps_per_epoch
from regadvisor.families.neural.trainer import DROPOUT_SEED_OFFSET
from regadvisor.regularizer import Regularizer


@dataclass(frozen=True, kw_only=True, eq=False)
class Rows:
    """Encoded rows on a device: features (n, p) float32; one-hot classes or target (n, n_outputs) float32."""

    x: Tensor
    target: Tensor
    is_classification: bool

    def take(self, rows: Tensor) -> Rows:
        """Return some of the rows."""
        return Rows(x=self.x[rows], target=self.target[rows], is_classification=self.is_classification)


class SeededDropout(nn.Module):
    """``nn.Dropout`` with a generator of its own."""

    def __init__(self, rate: float, generator: torch.Generator) -> None:
        super().__init__()
        self.rate, self.generator = rate, generator

    def forward(self, x: Tensor) -> Tensor:
        """Return `x` with units dropped, while training."""
        if not self.training:
            return x
        noise = torch.rand(x.shape, generator=self.generator).to(x.device)
        return x * (noise >= self.rate) / (1.0 - self.rate)


def mlp(
    n_features: int, n_outputs: int, hidden: tuple[int, ...], *, seed: int, dropout: float
) -> tuple[nn.Sequential, torch.Generator]:
    """Return an untrained network and the generator that goes on to shuffle its rows."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.Generator().manual_seed(seed + DROPOUT_SEED_OFFSET)
    widths = (n_features, *hidden, n_outputs)
    layers: list[nn.Module] = []
    for n_in, n_out in pairwise(widths):
        linear = nn.utils.skip_init(nn.Linear, n_in, n_out)
        with torch.no_grad():
            bound = n_in**-0.5
            linear.weight.copy_(((2 * torch.rand(n_in, n_out, generator=generator) - 1) * bound).T)
            linear.bias.copy_((2 * torch.rand(n_out, generator=generator) - 1) * bound)
        layers += [linear, nn.ReLU(), *([SeededDropout(dropout, noise)] if dropout else [])]
    n_last = 2 if dropout else 1
    return nn.Sequential(*layers[:-n_last]), generator


def batches(n_rows: int, recipe: Recipe, epochs: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Yield the rows of every step: as few equal batches an epoch as the batch size allows."""
    n_steps = steps_per_epoch(n_rows, recipe.batch_size)
    batch = n_rows // n_steps
    for _ in range(epochs):
        order = torch.randperm(n_rows, generator=generator)
        for step in range(n_steps):
            yield order[step * batch : (step + 1) * batch]


def loss_of(outputs: Tensor, target: Tensor, *, is_classification: bool) -> Tensor:
    """Return the log loss, or half the squared error, as a mean over rows."""
    if is_classification:
        return nn.functional.cross_entropy(outputs, target)
    return 0.5 * (outputs - target).square().sum(-1).mean()


def train(
    network: nn.Module,
    rows: Rows,
    regularizer: Regularizer,
    recipe: Recipe,
    *,
    epochs: int,
    generator: torch.Generator,
    most_steps: int | None = None,
) -> int:
    """Train a network on all rows; return the steps made, fewer than all if `most_steps` says so."""
    strengths = regularizer.strengths()
    l1, l2 = strengths.get("l1", 0.0), strengths.get("l2", 0.0)
    weights = [p for p in network.parameters() if p.ndim > 1]
    others = [p for p in network.parameters() if p.ndim <= 1]
    groups = [{"params": weights, "weight_decay": l2}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=recipe.lr)
    rates = full_run_rates(recipe, n_rows=len(rows.x), epochs=epochs).tolist()
    network.train()
    made = 0
    for lr, picked in zip(rates, batches(len(rows.x), recipe, epochs, generator), strict=True):
        if made == most_steps:
            break
        picked = picked.to(rows.x.device)
        for group in optimizer.param_groups:
            group["lr"] = lr
        optimizer.zero_grad()
        outputs = network(rows.x[picked])
        loss_of(outputs, rows.target[picked], is_classification=rows.is_classification).backward()
        optimizer.step()
        if l1:
            with torch.no_grad():
                for weight in weights:
                    weight.copy_(nn.functional.softshrink(weight, lr * l1))
        made += 1
    return made


def row_losses(network: nn.Module, rows: Rows) -> NDArray[np.float64]:
    """Return the log loss or the squared error of every row, shape (n,)."""
    network.eval()
    with torch.no_grad():
        outputs = network(rows.x)
    if rows.is_classification:
        losses = nn.functional.cross_entropy(outputs, rows.target, reduction="none")
    else:
        losses = (outputs - rows.target).square().sum(-1)
    return losses.double().cpu().numpy()


def trained_mlp(
    rows: Rows,
    regularizer: Regularizer,
    recipe: Recipe,
    *,
    epochs: int,
    seed: int,
    most_steps: int | None = None,
) -> nn.Module:
    """Return a multilayer perceptron trained on all rows."""
    dropout = regularizer.strengths().get("dropout", 0.0)
    network, generator = mlp(rows.x.shape[1], rows.target.shape[1], recipe.hidden, seed=seed, dropout=dropout)
    network = network.to(rows.x.device)
    train(network, rows, regularizer, recipe, epochs=epochs, generator=generator, most_steps=most_steps)
    return network


def encoded_rows(x: Any, target: NDArray[Any], *, is_classification: bool, device: str = "cpu") -> Rows:
    """Return rows from arrays; `target` holds class codes, or a standardised target."""
    dense = x.toarray() if hasattr(x, "toarray") else x
    wanted = np.eye(int(target.max()) + 1)[target] if is_classification else target[:, None]
    return Rows(
        x=torch.as_tensor(np.ascontiguousarray(dense, dtype=np.float32), device=device),
        target=torch.as_tensor(np.asarray(wanted, dtype=np.float32), device=device),
        is_classification=is_classification,
    )
