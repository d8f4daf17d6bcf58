"""The decoupled penalties, per network: ``w ← soft((1 − lr·l2)·w, lr·l1)`` around the optimizer's step.

Decay before the step is AdamW (Loshchilov and Hutter 2019, arXiv:1711.05101); the soft threshold after it is
the proximal step of lr·l1·|w| and gives exact zeros (Yun et al. 2021, arXiv:2007.07869, do so with Adam).
Biases are exempt.
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
    """Strengths of every network, shape (n_models,) each; `l1` and `l2` act per unit of learning rate."""

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


class Penalty:
    """Decay and soft threshold of stacked networks.

    Parameters
    ----------
    weights : Tensor, shape (n_models, n_weights)
        View of the weights without the biases; changed in place.
    strengths : Strengths
    """

    def __init__(self, weights: Tensor, strengths: Strengths) -> None:
        # Only the networks between the first and the last that is penalised are passed over: callers who
        # sort them by kind pay for no others.
        decayed, thresholded = span(strengths.l2), span(strengths.l1)
        self._decayed = None if decayed is None else weights[decayed]
        self._l2 = strengths.l2[decayed] if decayed else strengths.l2
        self._thresholded = None if thresholded is None else weights[thresholded]
        self._l1 = strengths.l1[thresholded] if thresholded else strengths.l1
        self._clipped = None if self._thresholded is None else torch.empty_like(self._thresholded)

    def decay(self, lr: float) -> None:
        """Multiply the weights by ``1 − lr·l2``, at least 0."""
        if self._decayed is not None:
            self._decayed.mul_(_column(np.maximum(0.0, 1.0 - lr * self._l2), self._decayed))

    def soften(self, lr: float) -> None:
        """Move the weights by ``lr·l1`` towards 0, and no further."""
        if self._thresholded is not None and self._clipped is not None:
            limit = _column(lr * self._l1, self._thresholded)
            torch.clamp(self._thresholded, -limit, limit, out=self._clipped)
            self._thresholded.sub_(self._clipped)


def _column(values: NDArray[np.float64], like: Tensor) -> Tensor:
    """Return the values as a column, shape (n, 1), of the type and on the device of `like`."""
    return torch.as_tensor(values, dtype=like.dtype).to(like.device).unsqueeze(1)
