"""The caller's own loss: its name, the target that it sees, and the best constant by it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from torch import Tensor

from regadvisor.errors import ParameterError, callers_code, is_out_of_memory
from regadvisor.families.neural.losses import (
    ABOUT_LOSS,
    BCEWithLogitsLoss,
    ColumnsLoss,
    LossFunction,
    mean_loss,
)
from regadvisor.families.neural.recipe import Recipe
from regadvisor.thresholds import SAME_LOSS

#: A slope of this share of the loss is no minimum: the loss has a kink there (a median, a quantile).
_SLOPE = 1e-3


def name_of_loss(loss: LossFunction) -> str:
    """Return how people call a loss.

    >>> from torch import nn
    >>> name_of_loss(nn.PoissonNLLLoss()), name_of_loss(nn.functional.l1_loss)
    ('PoissonNLLLoss', 'l1_loss')
    >>> name_of_loss(lambda outputs, target: (outputs - target).square())
    'own loss'
    >>> name_of_loss(BCEWithLogitsLoss())
    'log loss, mean of the labels'
    """
    inner: Any = loss
    while isinstance(inner, functools.partial | OneLogit):
        inner = inner.func if isinstance(inner, functools.partial) else inner.loss
    if isinstance(inner, BCEWithLogitsLoss):
        return "log loss, mean of the labels"
    if isinstance(inner, ColumnsLoss):
        return f"log loss (mean of {len(inner.sizes)} columns)"
    name = getattr(inner, "__name__", type(inner).__name__)
    return "own loss" if name == "<lambda>" else str(name)


@dataclass(frozen=True)
class OneLogit:
    """A loss for two classes and one output z, as the caller's loop would call it.

    Networks are trained on the logits (0, z) of one-hot classes; the caller's loss gets (n_rows, 1) of each.
    """

    loss: LossFunction

    def __call__(self, outputs: Tensor, target: Tensor) -> Tensor:
        """Return what the caller's loss gives."""
        return self.loss(outputs[:, 1:], target[:, 1:])


def with_one_logit(recipe: Recipe, has_one_logit: bool) -> Recipe:
    """Return the recipe with its own loss, if any, called with one column where the module has one logit."""
    if not has_one_logit or recipe.loss is None or isinstance(recipe.loss, OneLogit):
        return recipe
    return replace(recipe, loss=OneLogit(recipe.loss))


# ----------------------------------------------------------------------------------------- its target


def sees_raw(loss: LossFunction, targets: NDArray[np.float64]) -> bool:
    """Return whether a loss has to see numeric targets as they are.

    Standardised targets are learned far faster, and a loss of differences (squared and absolute errors,
    quantiles, Huber's) means the same by them. It does not change if outputs and targets move alike. Others
    mean the numbers: counts, logits, logarithms of rates. Columns of 0 and 1 are never standardised.

    `targets` (n_rows,) or (n_rows, n_targets).

    >>> from torch import nn
    >>> amounts = np.linspace(0.0, 9.5, 20)
    >>> sees_raw(nn.HuberLoss(), amounts), sees_raw(nn.PoissonNLLLoss(), amounts)
    (False, True)
    >>> sees_raw(nn.HuberLoss(), np.array([0.0, 1.0, 1.0]))
    True
    """
    columns = targets.reshape(len(targets), -1)
    if bool(np.isin(columns, (0.0, 1.0)).all(axis=0).any()):
        return True
    generator = torch.Generator().manual_seed(0)
    outputs, target = torch.rand(2, 64, columns.shape[1], generator=generator, dtype=torch.float32).unbind()
    shift = torch.linspace(-3.0, -1.0, columns.shape[1], dtype=torch.float32)
    try:
        before, after = (
            float(mean_loss(loss, outputs + moved, target + moved).detach()) for moved in (0.0 * shift, shift)
        )
    except Exception as error:  # a loss that does not take such numbers: it means them
        if is_out_of_memory(error):
            raise
        return True
    return not bool(np.isclose(after, before, rtol=SAME_LOSS))


# ------------------------------------------------------------------------------------ its best constant


def constant_outputs(
    loss: LossFunction, target: Tensor, start: Tensor, *, weight: Tensor | None = None
) -> Tensor:
    """Return the constant outputs that fit the caller's loss best, shape (n_outputs,).

    The mean and the class shares are the best constants of squared error and log loss only; another loss
    has another (the median, a quantile, a logarithm), and a network is held against that.

    `target` (n_rows, n_outputs). `start` (n_outputs,): where to start from, besides the mean; kept if nothing
    better is found. `weight` (n_rows,): with a mean of 1.
    """

    def mean(constant: Tensor) -> Tensor:
        return mean_loss(loss, constant.expand(len(target), -1), target, weight)

    def value(constant: Tensor) -> float:
        try:
            with torch.no_grad():
                found = float(mean(constant))
        except ParameterError:  # outside of what the loss takes, such as shares from 0 to 1
            return float("inf")
        return found if np.isfinite(found) else float("inf")

    best = min((start, target.mean(0)), key=value)
    check_finite(float(mean(best)), best, target)  # raises where the loss cannot be called at all, too
    smooth, slope = _descended(mean, best)
    best = min((best, smooth), key=value)
    if best is smooth and slope <= _SLOPE * (1.0 + abs(value(best))):
        return best

    def bounded(constant: NDArray[np.float64]) -> float:
        return min(value(torch.as_tensor(constant, dtype=best.dtype)), 1e100)  # its square is a number, too

    found = minimize(bounded, best.double().numpy(), method="Powell", options={"xtol": 1e-5, "ftol": 1e-7})
    return min((best, torch.as_tensor(found.x, dtype=best.dtype)), key=value)


def check_finite(found: float, outputs: Tensor, target: Tensor) -> None:
    """Raise ParameterError if what the caller's loss gave for outputs and target is no finite number."""
    if not np.isfinite(found):
        low, high = float(outputs.min()), float(outputs.max())
        raise ParameterError(
            f"loss must give finite numbers, got {found} for outputs from {low:.3g} to {high:.3g} and "
            f"targets from {float(target.min()):.3g} to {float(target.max()):.3g}; look for a logarithm or a "
            "root of numbers below 0, or a division by 0"
        )


def _descended(mean: Callable[[Tensor], Tensor], start: Tensor) -> tuple[Tensor, float]:
    """Return where L-BFGS gets to from `start`, and the largest slope there."""
    with torch.enable_grad(), suppress(ParameterError):  # a step led out of what the loss takes
        constant = start.clone().requires_grad_()
        optimizer = torch.optim.LBFGS([constant], max_iter=100, line_search_fn="strong_wolfe")

        def evaluate() -> float:
            optimizer.zero_grad()
            found = mean(constant)
            if not found.requires_grad:  # one of JAX has no slope here; training says if it needs one
                raise ParameterError("loss must be differentiable by the outputs")
            with callers_code("loss must be differentiable by the outputs", ABOUT_LOSS):
                found.backward()  # type: ignore[no-untyped-call]
            return float(found.detach())

        optimizer.step(evaluate)  # type: ignore[no-untyped-call]
        evaluate()
        slope = float(constant.grad.abs().max())  # type: ignore[union-attr]
        return constant.detach(), slope if np.isfinite(slope) else float("inf")
    return start, float("inf")
