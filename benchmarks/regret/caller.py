"""What somebody with a network of their own has: features on one scale, a module, and a training loop.

The loop is plain: AdamW with torch's defaults, a fixed number of epochs, a flat-cosine schedule, torch's own
initial values, shuffled batches of at most 128 rows. Weights take the decoupled penalties in every step,
``w ← soft((1 − lr·l2)·w, lr·l1)``; biases take none.

All candidates of one training run have the same first values, batches and random numbers for dropout, and are
trained at once: parameters carry a model axis, the optimizer is ``torch.optim.AdamW``. A network comes out as
in a loop of its own, up to rounding.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from torch import Tensor, nn

from regadvisor.families.neural.recipe import Recipe
from regadvisor.regularizer import Regularizer
from regret.data import DataSet, Rows

HIDDEN = (128, 64)
#: Rate of the module's dropout layers before anybody asks which one is good.
USUAL_DROPOUT = 0.1
#: Chances below it count as this.
FLOOR = 1e-7
#: Levels with fewer rows share a column.
RAREST_LEVEL = 5


def make_module(n_features: int, n_outputs: int) -> nn.Sequential:
    """Return a new network: 128-64, rectified, with dropout.

    Examples
    --------
    >>> make_module(4, 2)(torch.zeros(3, 4)).shape
    torch.Size([3, 2])
    """
    wide, narrow = HIDDEN
    return nn.Sequential(
        *(nn.Linear(n_features, wide), nn.ReLU(), nn.Dropout(USUAL_DROPOUT)),
        *(nn.Linear(wide, narrow), nn.ReLU(), nn.Dropout(USUAL_DROPOUT)),
        nn.Linear(narrow, n_outputs),
    )


# ----------------------------------------------------------------------------------------------- the data


@dataclass(frozen=True, kw_only=True, eq=False)
class Prepared:
    """The features and the target as the caller's loop has them.

    Attributes
    ----------
    X, X_test : ndarray of float32, shape (n_rows, n_features)
        Scaled by the training rows.
    y, y_test : ndarray
        Class numbers (n_rows,), or standardised targets (n_rows, n_targets).
    n_classes : int
        0 for regression.
    """

    X: NDArray[np.float32]
    X_test: NDArray[np.float32]
    y: NDArray[np.int64] | NDArray[np.float32]
    y_test: NDArray[np.int64] | NDArray[np.float32]
    n_classes: int

    @property
    def n_outputs(self) -> int:
        """Outputs of the network."""
        return self.n_classes or int(self.y.shape[1])

    def target(self) -> NDArray[np.int64] | NDArray[np.float32]:
        """Return the training target in the shape that a caller passes: one column is no matrix."""
        return self.y[:, 0] if self.y.ndim == 2 and self.y.shape[1] == 1 else self.y

    def constant(self, y: NDArray) -> NDArray[np.float64]:
        """Return the loss per row of predicting the training rows' class shares or mean."""
        if not self.n_classes:
            return np.square(y.astype(np.float64) - self.y.mean(axis=0, dtype=np.float64)).mean(axis=1)
        shares = np.bincount(self.y, minlength=self.n_classes) / len(self.y)
        found: NDArray[np.float64] = -np.log(np.maximum(shares, FLOOR))[y]
        return found


def prepare(data: DataSet, train: Rows, test: Rows) -> Prepared:
    """Scale features and target by the training rows, as one does before a loop of one's own.

    Numbers: median for missing values with a column that says so, standardised. Everything else: one-hot.
    """
    given, asked = data.features(train), data.features(test)
    encoder = _encoder(given).fit(given)
    X, X_test = (np.asarray(encoder.transform(part), dtype=np.float32) for part in (given, asked))
    y, y_test = data.y.iloc[train], data.y.iloc[test]
    if data.task == "classification":
        classes = np.unique(y.to_numpy())
        codes = [np.searchsorted(classes, part.to_numpy()) for part in (y, y_test)]
        return Prepared(X=X, X_test=X_test, y=codes[0], y_test=codes[1], n_classes=len(classes))
    numbers = [part.to_numpy(dtype=np.float64).reshape(len(part), -1) for part in (y, y_test)]
    scaler = StandardScaler().fit(numbers[0])
    scaled = [scaler.transform(part).astype(np.float32) for part in numbers]
    return Prepared(X=X, X_test=X_test, y=scaled[0], y_test=scaled[1], n_classes=0)


def _encoder(X: pd.DataFrame | NDArray[np.float32]) -> ColumnTransformer | StandardScaler:
    if not isinstance(X, pd.DataFrame):
        return StandardScaler()
    numeric = [name for name in X if pd.api.types.is_numeric_dtype(X[name])]
    other = [name for name in X if name not in numeric]
    filled = make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler())
    levels = OneHotEncoder(
        handle_unknown="infrequent_if_exist", min_frequency=RAREST_LEVEL, sparse_output=False
    )
    return ColumnTransformer([("numbers", filled, numeric), ("levels", levels, other)])


# ----------------------------------------------------------------------------------------------- the loop


def rates(n_steps: int, lr: float) -> list[float]:
    """Return the learning rate of every step: constant for the first half, then a cosine to zero.

    Examples
    --------
    >>> [round(rate, 3) for rate in rates(4, 1.0)]
    [1.0, 1.0, 1.0, 0.5]
    """
    flat = n_steps // 2
    falling = n_steps - flat
    return [lr] * flat + [lr * 0.5 * (1 + math.cos(math.pi * step / falling)) for step in range(falling)]


def n_steps(recipe: Recipe, n_rows: int) -> int:
    """Return the steps of a run of the recipe on so many rows."""
    return (recipe.epochs or 1) * math.ceil(n_rows / recipe.batch_size)


def sum_lr(recipe: Recipe, n_rows: int) -> float:
    """Return Σ lr of a run of the recipe on so many rows."""
    return sum(rates(n_steps(recipe, n_rows), recipe.lr))


class Stack:
    """Networks that differ in their regularizer alone, with a model axis.

    Parameters
    ----------
    module : Sequential
        First values of all of them.
    regularizers : sequence of Regularizer
        Decoupled, one per network.
    is_classification : bool
    """

    def __init__(
        self, module: nn.Sequential, regularizers: Sequence[Regularizer], *, is_classification: bool
    ) -> None:
        k = len(regularizers)
        layers = [layer for layer in module if isinstance(layer, nn.Linear)]
        # (n_in, k, n_out) in the first layer: all networks read the same rows, so one product serves all.
        first, *later = (layer.weight.detach().T for layer in layers)
        self.weights = [first[:, None].repeat(1, k, 1), *(weight[None].repeat(k, 1, 1) for weight in later)]
        self.biases = [layer.bias.detach()[None, None].repeat(k, 1, 1) for layer in layers]
        self.is_classification = is_classification
        self._l2, self._l1, self._rate = (
            torch.tensor([float(getattr(own, name) or 0.0) for own in regularizers])
            for name in ("l2", "l1", "dropout")
        )
        dropped = np.flatnonzero(self._rate.numpy())
        #: From the first network with dropout to the last one; those between may have a rate of 0.
        self._dropped = slice(dropped[0], dropped[-1] + 1) if len(dropped) else slice(0, 0)
        for own in self.parameters:
            own.grad = torch.zeros_like(own)
        self.optimizer = torch.optim.AdamW(self.parameters, weight_decay=0.0, fused=True)

    @property
    def parameters(self) -> list[Tensor]:
        """Weights and biases of all layers."""
        return [*self.weights, *self.biases]

    def step(self, x: Tensor, y: Tensor, *, lr: float, uniform: Sequence[Tensor]) -> None:
        """Take one step on a batch.

        Shape
        -----
        x : (batch, n_features)
        y : (batch,) class numbers or (batch, n_targets)
        uniform : (batch, n_hidden) per hidden layer: units whose number is below a network's rate are dropped
        """
        hidden, masks = self._forward(x, uniform)
        self._backward(x, self._slope(hidden[-1], y), hidden, masks)
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        for weight, shape in zip(self.weights, self._shapes(), strict=True):
            weight.mul_(1.0 - lr * self._l2.view(shape))
        self.optimizer.step()
        if self._l1.any():
            for weight, shape in zip(self.weights, self._shapes(), strict=True):
                limit = lr * self._l1.view(shape)
                weight.sub_(torch.minimum(torch.maximum(weight, -limit), limit))

    def losses(self, x: Tensor, y: Tensor) -> NDArray[np.float64]:
        """Return the loss of every network on every row, shape (n_models, n_rows); dropout is off."""
        output = self._forward(x, ())[0][-1].double()
        if not self.is_classification:
            found: Tensor = (output - y).square().mean(dim=2)
        else:
            chances = output.softmax(dim=2).gather(2, y.view(1, -1, 1).expand(output.shape[0], -1, 1))
            found = -chances.squeeze(2).clamp_min(FLOOR).log()
        return found.numpy()

    def _shapes(self) -> list[tuple[int, ...]]:
        return [(1, -1, 1), *[(-1, 1, 1)] * (len(self.weights) - 1)]

    def _forward(self, x: Tensor, uniform: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """Return the outputs of all layers, (n_models, batch, n_out) each, and the dropout masks."""
        first = self.weights[0]
        product = (x @ first.flatten(1)).view(len(x), *first.shape[1:]).transpose(0, 1)
        outputs, masks = [product.add_(self.biases[0])], []
        for layer, weight in enumerate(self.weights[1:]):
            hidden = outputs[-1].relu_()
            if uniform:
                masks.append(self._mask(uniform[layer]))
                hidden[self._dropped].mul_(masks[-1])
            outputs.append(torch.baddbmm(self.biases[layer + 1], hidden, weight))
        return outputs, masks

    def _mask(self, uniform: Tensor) -> Tensor:
        """Return what hidden units of networks with dropout are multiplied with: 0 or 1 / (1 − rate)."""
        rate = self._rate[self._dropped].view(-1, 1, 1)
        return (uniform >= rate).float().mul_(1.0 / (1.0 - rate))

    def _slope(self, output: Tensor, y: Tensor) -> Tensor:
        """Return the slope of the mean loss by the outputs: log loss, or the mean squared error."""
        if self.is_classification:
            slope = output.softmax(dim=2)
            slope[:, torch.arange(len(y)), y] -= 1.0
            return slope.div_(len(y))
        return (output - y).mul_(2.0 / y.numel())

    def _backward(self, x: Tensor, delta: Tensor, hidden: Sequence[Tensor], masks: Sequence[Tensor]) -> None:
        for layer in reversed(range(1, len(self.weights))):
            self.weights[layer].grad = hidden[layer - 1].transpose(1, 2) @ delta
            self.biases[layer].grad = delta.sum(dim=1, keepdim=True)
            below = delta @ self.weights[layer].transpose(1, 2)
            # A unit is 0 where it was rectified or dropped; neither lets a slope through.
            delta = torch.ops.aten.threshold_backward(below, hidden[layer - 1], 0.0)
            delta[self._dropped].mul_(masks[layer - 1])
        self.biases[0].grad = delta.sum(dim=1, keepdim=True)
        together = delta.transpose(0, 1).reshape(len(x), -1)
        self.weights[0].grad = (x.T @ together).view_as(self.weights[0])


def train(
    X: NDArray[np.float32],
    y: NDArray,
    regularizers: Sequence[Regularizer],
    *,
    recipe: Recipe,
    n_outputs: int,
    is_classification: bool,
    seed: int,
) -> Stack:
    """Train the caller's module once with every regularizer; `seed` gives first values, batches and dropout.

    The caller's random state is put back.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = make_module(X.shape[1], n_outputs)
    stack = Stack(module, regularizers, is_classification=is_classification)
    generator = torch.Generator().manual_seed(seed)
    features, target = torch.from_numpy(X), torch.from_numpy(y)
    schedule = iter(rates(n_steps(recipe, len(X)), recipe.lr))
    with torch.no_grad():
        for _ in range(recipe.epochs or 1):
            order = torch.randperm(len(X), generator=generator)
            for rows in order.split(recipe.batch_size):
                uniform = [torch.rand(len(rows), width, generator=generator) for width in HIDDEN]
                stack.step(features[rows], target[rows], lr=next(schedule), uniform=uniform)
    return stack
