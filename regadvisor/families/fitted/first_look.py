"""A look at a Keras model or a skorch net before it is trained: does it fit the target and its own loss?"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from regadvisor.errors import ParameterError, reason_of
from regadvisor.records import DataFacts
from regadvisor.words import agreed, counted

#: Rows that go through it.
N_ROWS = 24


def not_taken(rows: NDArray[Any], error: Exception, where: str = "") -> ParameterError:
    """Return what to say of a model that fails on encoded rows; `where`: the layer, as a clause."""
    return ParameterError(
        f"model must take rows of shape {rows.shape[1:]}, as they are once encoded, got "
        f"{type(error).__name__}: {first_line(error)}{where}; build its first layer for them"
    )


def first_line(error: Exception) -> str:
    """Return the first sentence of an error that says something."""
    cause = error.__cause__ if isinstance(error.__cause__, Exception) else error
    lines = (line.strip() for line in reason_of(cause).splitlines())
    first = next((line for line in lines if line and not line.startswith("Exception enc")), "")
    return first.partition(". ")[0][:240]


def check_width(outputs: NDArray[Any], facts: DataFacts, allowed: set[int], do: str) -> None:
    """Raise ParameterError unless there are as many outputs a row as the target needs."""
    width = outputs.shape[-1] if outputs.ndim > 1 else 1
    if outputs.ndim > 2 or width not in allowed:
        n_classes = len(facts.classes or ())
        what = f"{n_classes} classes" if n_classes else counted(facts.n_targets, "numeric target")
        wanted = " or ".join(map(str, sorted(allowed, reverse=True)))
        raise ParameterError(
            f"model must return {agreed(max(allowed), 'one number', f'{wanted} numbers')} for each row, for "
            f"{what}, got outputs of shape {outputs.shape[1:] or (1,)}; {do}"
        )


def check_shares(shares: NDArray[Any], loss: str, do: str) -> None:
    """Raise ParameterError unless the numbers that a loss takes for probabilities are some."""
    low, high = float(shares.min()), float(shares.max())
    if not (low >= -1e-6 and high <= 1 + 1e-6):
        raise ParameterError(
            f"model must return probabilities, which its loss {loss} takes, got numbers from {low:.3g} to "
            f"{high:.3g}; {do}"
        )


def check_finite(outputs: NDArray[Any]) -> None:
    """Raise ParameterError unless all outputs are finite."""
    if not np.isfinite(outputs).all():
        raise ParameterError(
            "model must return finite numbers before training, got NaN or infinite ones; look at its "
            "starting values, and at what it divides by"
        )
