"""Judging: regret against the oracle, harm against no regularization, and whether claims were right."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from regadvisor.thresholds import SAME_REGION
from regret.policies import CEILING, NONE, full_means, tuned_configs
from regret.references import Reference

Losses = NDArray[np.float64]

#: Harm: this interval of the paired difference to "none" lies wholly above ``SAME_REGION`` of the loss.
HARM_INTERVAL = 0.9
#: Losses below this share of the constant's are divided by it instead: a regret in % of nothing says nothing.
SMALLEST_SHARE = 1e-3


@dataclass(frozen=True, kw_only=True)
class Score:
    """What one policy left on the table on one split.

    Attributes
    ----------
    regret : float
        Test loss above that of the oracle (kind and strength), in % of the oracle's.
    regret_kind : float
        The same against the best kind at its tuned strength.
    to_ceiling : float
        Test loss above that of the dense cross-validation's choice, in % of it: paired, without an oracle.
    is_harm : bool
        Surely worse than no regularization by more than 0.5%.
    gain : float
        Test loss below that of no regularization, in % of it.
    """

    regret: float
    regret_kind: float
    to_ceiling: float
    is_harm: bool
    gain: float
    loss: float


def oracle_loss(losses: NDArray[np.float64], halves: NDArray[np.bool_]) -> float:
    """Return the loss of the best choice: picked on one half of the test rows and scored on the other.

    Parameters
    ----------
    losses : ndarray, shape (n_choices, n_test)
    halves : ndarray of bool, shape (n_halves, n_test)
        Rows to pick on; every mask's complement is scored.

    Returns
    -------
    float
        Mean over the halves, weighted by the rows scored.

    Examples
    --------
    >>> oracle_loss(np.array([[1.0, 3.0], [2.0, 2.0]]), np.array([[True, False], [False, True]]))
    2.5
    """
    sums, counts = losses @ halves.T, halves.sum(axis=1)
    picked = np.argmin(sums, axis=0)
    total = losses.sum(axis=1)[:, None]
    scored = (total - sums)[picked, np.arange(len(halves))]
    return float(scored.sum() / (losses.shape[1] - counts).sum())


def scores(
    reference: Reference,
    halves: NDArray[np.bool_],
    cluster: NDArray[np.intp] | None,
    policies: Mapping[str, Losses],
) -> dict[str, Score]:
    """Return the score of every policy, given its test losses per row (n_test,)."""
    grid = full_means(reference)
    tuned = grid[list(tuned_configs(reference).values())]
    floor = SMALLEST_SHARE * float(reference.test_constant.mean())
    best, best_kind = oracle_loss(grid, halves), oracle_loss(tuned, halves)
    none = policies[NONE]
    ceiling = float(policies[CEILING].mean())

    def score(losses: Losses) -> Score:
        loss, reference_loss = float(losses.mean()), max(float(none.mean()), floor)
        return Score(
            regret=100 * (loss - best) / max(best, floor),
            regret_kind=100 * (loss - best_kind) / max(best_kind, floor),
            to_ceiling=100 * (loss - ceiling) / max(ceiling, floor),
            is_harm=lower_bound(losses - none, cluster) > SAME_REGION * reference_loss,
            gain=100 * (reference_loss - loss) / reference_loss,
            loss=loss,
        )

    return {name: score(losses) for name, losses in policies.items()}


def lower_bound(difference: Losses, cluster: NDArray[np.intp] | None) -> float:
    """Return the lower end of the ``HARM_INTERVAL`` of a mean: a t interval over rows or clusters.

    Examples
    --------
    >>> lower_bound(np.array([1.0, 1.0, 1.0]), None)
    1.0
    """
    mean = float(difference.mean())
    sums = difference - mean if cluster is None else np.bincount(cluster, weights=difference - mean)
    n = len(sums)
    if n < 2:
        return -np.inf
    scale = float(np.sqrt(sums @ sums * n / (n - 1))) / len(difference)
    return mean - float(special.stdtrit(n - 1, 0.5 + HARM_INTERVAL / 2)) * scale


def claims_right(
    reference: Reference, halves: NDArray[np.bool_], kind: str, losses: Losses
) -> dict[str, bool | None]:
    """Return which of the three claims of an advice were right, by name.

    *Regularize*: of "regularize" and "none" the advised side is within the region of the other one (the side
    "regularize" is the best penalised kind at its tuned strength). *Kind*: the advised kind at its tuned
    strength is within the region of the oracle kind. *Strength*: the advised model's loss is within the
    region of its kind at the tuned strength; None where there is no strength.
    """
    grid, tuned = full_means(reference), tuned_configs(reference)
    none = float(grid[tuned["none"]].mean())
    penalised = oracle_loss(grid[[number for name, number in tuned.items() if name != "none"]], halves)
    ours, other = (none, penalised) if kind == "none" else (penalised, none)
    of_kind = float(grid[tuned[kind]].mean())
    best_kind = oracle_loss(grid[list(tuned.values())], halves)
    near = 1.0 + SAME_REGION
    return {
        "regularize": ours <= other * near,
        "kind": of_kind <= best_kind * near,
        "strength": None if kind == "none" else float(losses.mean()) <= of_kind * near,
    }
