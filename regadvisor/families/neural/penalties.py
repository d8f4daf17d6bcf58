"""Penalties per network, around the optimizer's step or inside the loss.

Decoupled: ``w ← soft((1 − lr·l2)·w, lr·l1)``. Decay before the step is AdamW (Loshchilov and Hutter 2019,
arXiv:1711.05101); the soft threshold after it is the proximal step of lr·l1·|w| and gives exact zeros (Yun et
al. 2021, arXiv:2007.07869, do so with Adam).

In the loss: ``l1·Σ|w| + (l2/2)·Σw²`` is added to every network's mean loss, so ``l2·w + l1·sign(w)`` to its
gradient. Weights then hover around zero without reaching it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from regadvisor.regularizer import Regularizer


@dataclass(frozen=True, kw_only=True, eq=False)
class Strengths:
    """Strengths of every network, shape (n_models,) each; in the units of the recipe's coupling."""

    l1: NDArray[np.float64]
    l2: NDArray[np.float64]
    dropout: NDArray[np.float64]

    @classmethod
    def of(cls, regularizers: Sequence[Regularizer]) -> Strengths:
        """Return the strengths of the given regularizers, one network each."""
        known = [regularizer.strengths() for regularizer in regularizers]
        return cls(
            **{name: np.array([s.get(name, 0.0) for s in known]) for name in ("l1", "l2", "dropout")},
        )


def span(strengths: NDArray[np.float64]) -> slice | None:
    """Return the shortest slice that holds every strength that is not 0; None if there is none.

    Examples
    --------
    >>> span(np.array([0.0, 0.1, 0.0, 0.2]))
    slice(1, 4, None)
    """
    used = np.flatnonzero(strengths)
    return slice(int(used[0]), int(used[-1]) + 1) if len(used) else None


def column_runs(columns: slice | Tensor) -> list[slice]:
    """Return the columns as slices of neighbours.

    Parameters
    ----------
    columns : slice or Tensor of bool, shape (n_parameters,)

    Examples
    --------
    >>> column_runs(torch.tensor([True, True, False, True]))
    [slice(0, 2, None), slice(3, 4, None)]
    """
    if isinstance(columns, slice):
        return [columns]
    padded = np.concatenate([[0], columns.cpu().numpy().astype(np.int8), [0]])
    edges = np.flatnonzero(np.diff(padded))
    return [slice(int(start), int(end)) for start, end in zip(edges[::2], edges[1::2], strict=True)]


class Penalty:
    """The penalties of stacked networks.

    Parameters
    ----------
    flat, gradient : Tensor, shape (n_models, n_parameters)
        Parameters and their gradient; changed in place.
    columns : slice or Tensor of bool, shape (n_parameters,)
        Columns that are penalised.
    strengths : Strengths
    """

    def __init__(self, flat: Tensor, gradient: Tensor, columns: slice | Tensor, strengths: Strengths) -> None:
        # Only the networks between the first and the last that is penalised are passed over: callers who
        # sort them by kind pay for no others.
        runs = column_runs(columns)
        self._l2, self._decayed = _part(flat, runs, strengths.l2)
        self._l1, self._thresholded = _part(flat, runs, strengths.l1)
        self._decayed_gradient = _part(gradient, runs, strengths.l2)[1]
        self._thresholded_gradient = _part(gradient, runs, strengths.l1)[1]

    def decay(self, lr: float) -> None:
        """Multiply the weights by ``1 − lr·l2``, at least 0."""
        for weights in self._decayed:
            weights.mul_(_column(np.maximum(0.0, 1.0 - lr * self._l2), weights))

    def soften(self, lr: float) -> None:
        """Move the weights by ``lr·l1`` towards 0, and no further."""
        limits = (lr * self._l1).astype(np.float32)
        for weights in self._thresholded:
            if weights.is_cpu:
                # Network by network: each stays in the cache (measured: 4 times as fast as one call for all).
                for own, limit in zip(weights.unbind(0), limits.tolist(), strict=True):
                    torch.ops.aten.softshrink(own, limit, out=own)
            else:
                column = _column(limits, weights)
                weights.sub_(weights.clamp(-column, column))

    def add_gradient(self) -> None:
        """Add ``l2·w + l1·sign(w)`` to the gradient."""
        for weights, gradient in zip(self._decayed, self._decayed_gradient, strict=True):
            gradient.addcmul_(weights, _column(self._l2, weights))
        for weights, gradient in zip(self._thresholded, self._thresholded_gradient, strict=True):
            gradient.addcmul_(weights.sign(), _column(self._l1, weights))


def _part(
    flat: Tensor, runs: list[slice], strengths: NDArray[np.float64]
) -> tuple[NDArray[np.float64], list[Tensor]]:
    """Return the strengths of the networks that have any, and views of their penalised columns."""
    rows = span(strengths)
    return (strengths, []) if rows is None else (strengths[rows], [flat[rows, run] for run in runs])


def _column(values: NDArray[np.floating], like: Tensor) -> Tensor:
    """Return the values as a column, shape (n, 1), of the type and on the device of `like`."""
    return torch.as_tensor(values, dtype=like.dtype).to(like.device).unsqueeze(1)
