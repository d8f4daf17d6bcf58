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
class StackStrengths:
    """Strengths of every network, shape (n_models,) each; in the units of the recipe's coupling."""

    l1: NDArray[np.float64]
    l2: NDArray[np.float64]
    dropout: NDArray[np.float64]

    @classmethod
    def of(cls, regularizers: Sequence[Regularizer]) -> StackStrengths:
        """Return the strengths of the given regularizers, one network each."""
        known = [regularizer.strengths() for regularizer in regularizers]
        return cls(**{name: np.array([s.get(name, 0.0) for s in known]) for name in ("l1", "l2", "dropout")})


def span(strengths: NDArray[np.float64]) -> slice | None:
    """Return the shortest slice that holds every strength that is not 0; None if there is none.

    >>> span(np.array([0.0, 0.1, 0.0, 0.2]))
    slice(1, 4, None)
    """
    used = np.flatnonzero(strengths)
    return slice(int(used[0]), int(used[-1]) + 1) if len(used) else None


@dataclass(frozen=True, eq=False)
class _Part:
    """The networks between the first and the last that has a strength: theirs, and views of their weights."""

    strengths: NDArray[np.float64]
    weights: Tensor
    gradient: Tensor
    start: Tensor | None

    def moved(self) -> Tensor:
        """Return the weights less what they are pulled towards."""
        return self.weights if self.start is None else self.weights - self.start


class Penalty:
    """The penalties of stacked networks.

    Only the networks between the first and the last that is penalised are passed over: callers who sort them
    by kind pay for no others.

    `flat`, `gradient` (n_models, n_parameters): parameters and their gradient; changed in place.
    `n_penalised`: the first columns, on which the penalties act. `start` (n_models, n_parameters): what the
    weights are pulled towards; None: 0. `scale` (1, n_parameters): factor of the learning rate of every
    parameter; None: 1.
    """

    def __init__(
        self,
        flat: Tensor,
        gradient: Tensor,
        n_penalised: int,
        strengths: StackStrengths,
        *,
        start: Tensor | None = None,
        scale: Tensor | None = None,
    ) -> None:
        columns = slice(0, n_penalised)

        def part(own: NDArray[np.float64]) -> _Part | None:
            rows = span(own)
            if rows is None:
                return None
            views = (None if each is None else each[rows, columns] for each in (flat, gradient, start))
            return _Part(own[rows], *views)  # type: ignore[arg-type]  # only the start may be None

        self._l1, self._l2 = part(strengths.l1), part(strengths.l2)
        self._scale = None if scale is None else scale[:, columns]

    def decay(self, lr: float) -> None:
        """Multiply the weights by ``1 − lr·l2``, at least 0."""
        part = self._l2
        if part is None:
            return
        factors = _column(np.maximum(0.0, 1.0 - lr * part.strengths), part.weights)
        if part.start is None:
            part.weights.mul_(factors)
        else:
            part.weights.sub_(part.start).mul_(factors).add_(part.start)

    def soften(self, lr: float) -> None:
        """Move the weights by ``lr·l1`` towards 0, and no further."""
        part = self._l1
        if part is None:
            return
        limits, weights = (lr * part.strengths).astype(np.float32), part.weights
        if part.start is None and self._scale is None and weights.is_cpu:
            # Network by network: each stays in the cache (measured: 4 times as fast as one call for all).
            for own, limit in zip(weights.unbind(0), limits.tolist(), strict=True):
                torch.ops.aten.softshrink(own, limit, out=own)
            return
        column = _column(limits, weights) * (1.0 if self._scale is None else self._scale)
        weights.sub_(torch.clamp(part.moved(), -column, column))

    def add_gradient(self) -> None:
        """Add ``l2·w + l1·sign(w)`` to the gradient."""
        if self._l2 is not None:
            self._l2.gradient.addcmul_(self._l2.moved(), _column(self._l2.strengths, self._l2.weights))
        if self._l1 is not None:
            self._l1.gradient.addcmul_(self._l1.moved().sign(), _column(self._l1.strengths, self._l1.weights))


def _column(values: NDArray[np.floating], like: Tensor) -> Tensor:
    """Return the values as a column, shape (n, 1), of the type and on the device of `like`."""
    return torch.as_tensor(values, dtype=like.dtype).to(like.device).unsqueeze(1)
