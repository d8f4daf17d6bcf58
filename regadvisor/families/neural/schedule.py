"""How long to train and with which learning rates.

How long to train on a sample decides most of what its scores are worth: equal epochs undertrain it, equal
steps overtrain it, and the geometric mean of the two predicted the full size best in a pilot. All of this
file follows from that one relation: **the steps of a run grow with the square root of its rows.** Then the
sample is trained for the geometric mean of "as many steps as the full run" and "as many epochs".
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from regadvisor.families.neural.recipe import Recipe
from regadvisor.thresholds import LONGEST_OF_PLANNED, MOST_EPOCHS, STEPS_PER_ROOT_ROW

#: Times the held-out loss is looked at during one run; more cost time, fewer miss the best epoch.
N_CHECKPOINTS = 12


def steps_per_epoch(n_rows: int, batch_size: int) -> int:
    """Return the fewest equal batches of at most `batch_size` rows that make up an epoch.

    Examples
    --------
    >>> steps_per_epoch(250, 128)
    2
    """
    return max(1, math.ceil(n_rows / batch_size))


def planned_epochs(n_rows: int, batch_size: int) -> int:
    """Return the epochs of a run on `n_rows` rows whose length nobody gave.

    Steps are ``STEPS_PER_ROOT_ROW · √n_rows``, and at most ``MOST_EPOCHS`` epochs.

    Examples
    --------
    >>> [planned_epochs(n, 128) for n in (100, 800, 2_400, 50_000)]
    [100, 61, 39, 9]
    """
    epochs = round(STEPS_PER_ROOT_ROW * math.sqrt(n_rows) / steps_per_epoch(n_rows, batch_size))
    return max(1, min(MOST_EPOCHS, epochs))


def carried_epochs(epochs: float, *, n_from: int, n_to: int) -> int:
    """Return the epochs on `n_to` rows that stand for `epochs` on `n_from` rows, at least 1.

    The geometric mean of equal epochs (``epochs``) and equal steps (``epochs · n_from / n_to``).

    Examples
    --------
    >>> carried_epochs(10, n_from=1_000, n_to=4_000)
    5
    """
    return max(1, round(epochs * math.sqrt(n_from / n_to)))


def learning_rates(n_steps: int, *, lr: float, schedule: str) -> NDArray[np.float64]:
    """Return the learning rate of every step, shape (n_steps,).

    ``"cosine"``: ``lr · (1 + cos(π·t)) / 2`` with t from 0 to 1 (Loshchilov and Hutter 2017, without
    restarts); ``"flat-cosine"``: `lr` for the first half, then such a cosine; ``"constant"``: `lr`.

    Examples
    --------
    >>> learning_rates(4, lr=1.0, schedule="flat-cosine").round(3).tolist()
    [1.0, 1.0, 1.0, 0.5]
    """
    rates = np.full(n_steps, float(lr))
    if schedule != "constant":
        n_flat = n_steps // 2 if schedule == "flat-cosine" else 0
        position = np.arange(n_steps - n_flat) / (n_steps - n_flat)
        rates[n_flat:] *= 0.5 * (1.0 + np.cos(np.pi * position))
    return rates


def full_run_rates(recipe: Recipe, *, n_rows: int, epochs: int) -> NDArray[np.float64]:
    """Return the learning rates of a run of `epochs` epochs on `n_rows` rows, shape (n_steps,)."""
    n_steps = epochs * steps_per_epoch(n_rows, recipe.batch_size)
    return learning_rates(n_steps, lr=recipe.lr, schedule=recipe.schedule)


@dataclass(frozen=True, kw_only=True, eq=False)
class Plan:
    """How one run goes, the same for all candidates and folds.

    Attributes
    ----------
    epochs, n_steps : int
        Epochs, and steps per epoch.
    batch : int
        Rows per step.
    rates : ndarray of float64, shape (epochs · n_steps,)
        Learning rate of every step.
    checkpoints : tuple of int
        Epochs after which the held-out loss is taken, ascending, ending with `epochs`.
    """

    epochs: int
    n_steps: int
    batch: int
    rates: NDArray[np.float64]
    checkpoints: tuple[int, ...]

    @classmethod
    def of(cls, recipe: Recipe, *, n_rows: int, epochs: int, checkpoints: tuple[int, ...] = ()) -> Plan:
        """Return the plan for runs on `n_rows` rows; `checkpoints` defaults to the end alone."""
        n_steps = steps_per_epoch(n_rows, recipe.batch_size)
        return cls(
            epochs=epochs,
            n_steps=n_steps,
            batch=n_rows // n_steps,
            rates=full_run_rates(recipe, n_rows=n_rows, epochs=epochs),
            checkpoints=checkpoints or (epochs,),
        )

    def sum_lr(self, epochs: int | None = None) -> float:
        """Return Σ lr over the first `epochs` epochs, or over all."""
        end = None if epochs is None else epochs * self.n_steps
        return float(self.rates[:end].sum())


def spread_checkpoints(epochs: int) -> tuple[int, ...]:
    """Return about ``N_CHECKPOINTS`` epochs from 1 to `epochs`, closer together at the beginning.

    Examples
    --------
    >>> spread_checkpoints(39)
    (1, 3, 5, 8, 10, 14, 17, 21, 25, 30, 34, 39)
    """
    shares = (np.arange(1, N_CHECKPOINTS + 1) / N_CHECKPOINTS) ** 1.5
    return tuple(int(epoch) for epoch in np.unique(np.maximum(1, np.round(epochs * shares))))


def sample_plan(recipe: Recipe, *, n_train: int, n_sample: int, n_source: int) -> Plan:
    """Return the plan for training on the folds of a sample.

    Parameters
    ----------
    recipe : Recipe
    n_train : int
        Rows that a fold trains on (the mean, where folds differ).
    n_sample, n_source : int
        Rows of the sample and of everything.

    Returns
    -------
    Plan
        With epochs given by the recipe: the epochs that stand for them on the sample, trained to the end; no
        more than ``LONGEST_OF_PLANNED`` times `planned_epochs`, unless the recipe itself has more. Else
        `planned_epochs`, with checkpoints from which the best is chosen.
    """
    if recipe.epochs is not None:
        carried = carried_epochs(recipe.epochs, n_from=max(n_source, n_sample), n_to=n_sample)
        most = round(LONGEST_OF_PLANNED * planned_epochs(n_train, recipe.batch_size))
        return Plan.of(recipe, n_rows=n_train, epochs=max(recipe.epochs, min(carried, most)))
    epochs = planned_epochs(n_train, recipe.batch_size)
    return Plan.of(recipe, n_rows=n_train, epochs=epochs, checkpoints=spread_checkpoints(epochs))
