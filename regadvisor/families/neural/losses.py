"""Losses of networks: log loss, half the squared error, or the caller's own function (``own_loss.py``).

A loss is needed in three forms: its slope by the outputs (gradients written out by hand), its mean as a
differentiable number (automatic differentiation), and its value in every held-out row (scores).
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from regadvisor.errors import ParameterError, callers_code
from regadvisor.thresholds import PROBABILITY_FLOOR

#: The caller's loss of ``(outputs, target)``, both (batch, n_outputs): a number per row, or their mean.
LossFunction = Callable[[Tensor, Tensor], Tensor]
#: "log": log loss of a softmax; "squared": half the squared error, mean over the outputs (targets).
Loss = Literal["log", "squared"] | LossFunction

#: Torch's losses of classes, which may have weights.
_OF_CODES = (torch.nn.CrossEntropyLoss, torch.nn.NLLLoss)

ABOUT_LOSS = (
    "it is called with what the model returns and the target (one-hot classes, or numbers), of equal shape, "
    "and if it does not take one-hot classes, with their codes; "
    "one that needs more outputs than targets, such as a mean and a variance, cannot be used"
)


class BCEWithLogitsLoss(torch.nn.BCEWithLogitsLoss):
    """Torch's loss of several labels, as one number for each row: rows may have weights.

    >>> BCEWithLogitsLoss()(torch.zeros(2, 3), torch.eye(3)[:2])
    tensor([0.6931, 0.6931])
    """

    def __init__(self) -> None:
        super().__init__(reduction="none")

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the mean over the labels, shape (n_rows,)."""
        return super().forward(input, target).mean(-1)


@dataclass(frozen=True)
class ColumnsLoss:
    """Log loss of several columns of classes, as one number for each row; `sizes`: the classes of each.

    >>> ColumnsLoss((2, 2))(torch.zeros(1, 4), torch.tensor([[1.0, 0.0, 0.0, 1.0]]))
    tensor([0.6931])
    """

    sizes: tuple[int, ...]

    def __call__(self, outputs: Tensor, target: Tensor) -> Tensor:
        """Return the mean over the columns, shape (n_rows,); a logit, and 0 or 1, for every class of each."""
        columns = zip(*(torch.split(each, [*self.sizes], -1) for each in (outputs, target)), strict=True)
        losses = [-(functional.log_softmax(own, -1) * classes).sum(-1) for own, classes in columns]
        return torch.stack(losses).mean(0)


def mean_loss(loss: Loss, outputs: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    """Return the (weighted) mean loss of a batch as a differentiable scalar.

    Shapes: `outputs`, `target` (batch, n_outputs); `weight` (batch,) or None, with a mean of 1.

    Raises ParameterError if the caller's loss gives neither a number per row nor one number, or one number
    where rows have weights.

    >>> mean_loss("squared", torch.tensor([[1.0], [3.0]]), torch.tensor([[0.0], [0.0]]))
    tensor(2.5000)
    """
    if loss == "log":
        losses = -(functional.log_softmax(outputs, -1) * target).sum(-1)
    elif loss == "squared":
        losses = 0.5 * (outputs - target).square().mean(-1)
    else:
        losses = _called(loss, outputs, target)
        if losses.ndim == 0 and weight is not None:
            raise ParameterError(
                "loss must return one number per row where rows have weights, got a scalar; "
                "use reduction='none'"
            )
    return (losses if weight is None else losses * weight).mean()


def fill_slope(loss: Loss, outputs: Tensor, target: Tensor, weight: Tensor | None, out: Tensor) -> None:
    """Write the derivative of every network's mean loss by its outputs into `out`.

    Shapes: `outputs`, `target`, `out` (n_models, batch, n_outputs); `weight` (n_models, batch) or None.
    """
    if callable(loss):
        out.copy_(_slope_of_own(loss, outputs, target, weight))
        return
    n_terms = outputs.shape[1]
    if loss == "log":
        torch.softmax(outputs, -1, out=out)
        out.sub_(target)
    else:
        torch.sub(outputs, target, out=out)
        n_terms *= outputs.shape[2]
    if weight is not None:
        out.mul_(weight.unsqueeze(-1))
    out.mul_(1.0 / n_terms)


def _slope_of_own(loss: LossFunction, outputs: Tensor, target: Tensor, weight: Tensor | None) -> Tensor:
    """Return the slope of the caller's loss by automatic differentiation.

    One call for each network: the caller's function takes the rows of one, and may return their mean.
    """
    with torch.enable_grad():
        leaves = outputs.detach().requires_grad_()
        weights = [None] * len(outputs) if weight is None else list(weight)
        means = [mean_loss(loss, *each) for each in zip(leaves, target, weights, strict=True)]
        with callers_code("loss must be differentiable by the outputs", ABOUT_LOSS):
            (slope,) = torch.autograd.grad(torch.stack(means).sum(), leaves)
    return slope


def row_losses(
    outputs: Tensor,
    target: Tensor,
    *,
    is_classification: bool,
    own: LossFunction | None = None,
    scale: Tensor | None = None,
) -> NDArray[np.float32]:
    """Return the loss that scores every row.

    The caller's own loss where there is one; else the log loss (with a floor under the probabilities), or
    the squared error (without the ½) on the standardised target, times `scale`, mean over the targets.

    Shapes: `outputs` (n_models, n_rows, n_outputs); `target` (n_rows, n_outputs); `scale` (n_outputs,) or
    None, which is all ones; returns (n_models, n_rows).
    """
    if own is not None:
        losses = torch.stack([_own_row_losses(own, each, target) for each in outputs])
    elif is_classification:
        log_probability = (torch.log_softmax(outputs, -1) * target).sum(-1)
        losses = -log_probability.clamp(min=float(np.log(PROBABILITY_FLOOR)))
    else:
        squared = (outputs - target).square()
        losses = (squared if scale is None else squared * scale).mean(-1)
    result: NDArray[np.float32] = losses.cpu().numpy()
    return result


def _own_row_losses(loss: LossFunction, outputs: Tensor, target: Tensor) -> Tensor:
    """Return the caller's loss of every row, shape (n_rows,); a mean is taken of each row alone."""
    if isinstance(loss, _OF_CODES):  # their mean of one row leaves its weight out
        loss = copy.copy(loss)
        loss.reduction = "none"
    with torch.no_grad():
        losses = _called(loss, outputs, target)
        if losses.ndim == 1 and (len(losses) > 1 or len(outputs) == 1):
            return losses.float()

        def alone(output: Tensor, row: Tensor) -> Tensor:
            return _called(loss, output[None], row[None]).reshape(())

        try:
            return torch.vmap(alone)(outputs, target).float()
        except Exception:  # whatever cannot be batched
            return torch.stack([alone(*each) for each in zip(outputs, target, strict=True)]).float()


def are_logarithms(outputs: Tensor) -> bool:
    """Return whether outputs (n_rows, n_outputs) are logarithms of probabilities."""
    return bool((outputs.logsumexp(1).abs() < 1e-3).all())


def _given(loss: LossFunction, outputs: Tensor, target: Tensor) -> Tensor:
    """Return what a loss gives for the target, or for the codes of one-hot classes if it takes only those."""
    n_classes, codes = target.shape[1], target.argmax(1)
    if n_classes < 2 or not torch.equal(target, functional.one_hot(codes, n_classes).to(target.dtype)):
        return loss(outputs, target)
    # With weights of classes, torch's are means by them of codes only, as in most loops.
    first, second = (codes, target) if isinstance(loss, _OF_CODES) else (target, codes)
    try:
        return loss(outputs, first)
    except Exception:
        with suppress(Exception):
            return loss(outputs, second)
        raise


def _called(loss: LossFunction, outputs: Tensor, target: Tensor) -> Tensor:
    """Return what the caller's loss gives, with its shape checked: (batch,) or ()."""
    shapes = f"of shape {tuple(outputs.shape)} and {tuple(target.shape)}"
    with callers_code(f"loss must take outputs and target {shapes}", ABOUT_LOSS):
        losses = _given(loss, outputs, target)
    shape = tuple(losses.shape) if isinstance(losses, Tensor) else type(losses).__name__
    if shape == (len(outputs), 1):
        return losses.squeeze(1)
    if shape not in ((len(outputs),), ()):
        raise ParameterError(
            f"loss must return a tensor of shape ({len(outputs)},), one number per row, or a scalar mean, "
            f"for outputs and target of shape {tuple(outputs.shape)}, got {shape}"
        )
    return losses
