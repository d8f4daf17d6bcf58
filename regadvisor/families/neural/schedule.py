"""How long to train and with which learning rates.

How long to train on a sample decides most of what its scores are worth: equal epochs undertrain it, equal
steps overtrain it, and the geometric mean of the two predicted the full size best in a pilot. All of this
file follows from that one relation: **the steps of a run grow with the square root of its rows.** Then the
sample is trained for the geometric mean of "as many steps as the full run" and "as many epochs".
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from regadvisor.errors import ParameterError, callers_code
from regadvisor.families.neural.recipe import Recipe, Schedule
from regadvisor.thresholds import LONGEST_OF_PLANNED, MOST_EPOCHS, STEPS_PER_ROOT_ROW

#: Times the held-out loss is looked at during one run; more cost time, fewer miss the best epoch.
N_CHECKPOINTS = 12


def steps_per_epoch(n_rows: int, batch_size: int) -> int:
    """Return the fewest equal batches of at most `batch_size` rows that make up an epoch.

    >>> steps_per_epoch(250, 128)
    2
    """
    return max(1, math.ceil(n_rows / batch_size))


def planned_epochs(n_rows: int, batch_size: int, *, longer: int = 1) -> int:
    """Return the epochs of a run on `n_rows` rows whose length nobody gave.

    Steps are `longer` times ``STEPS_PER_ROOT_ROW · √n_rows``, and at most `longer` times ``MOST_EPOCHS``
    epochs. How much longer pays is measured on a few rows (``MLPFamily.length_that_pays``).

    >>> [planned_epochs(n, 128) for n in (100, 800, 2_400, 50_000)]
    [100, 61, 39, 9]
    >>> planned_epochs(2_400, 128, longer=4)
    155
    """
    epochs = round(longer * STEPS_PER_ROOT_ROW * math.sqrt(n_rows) / steps_per_epoch(n_rows, batch_size))
    return max(1, min(longer * MOST_EPOCHS, epochs))


def rescaled_epochs(epochs: float, *, n_from: int, n_to: int) -> int:
    """Return the epochs on `n_to` rows that stand for `epochs` on `n_from` rows, at least 1.

    The geometric mean of equal epochs (``epochs``) and equal steps (``epochs · n_from / n_to``).

    >>> rescaled_epochs(10, n_from=1_000, n_to=4_000)
    5
    """
    return max(1, round(epochs * math.sqrt(n_from / n_to)))


def learning_rates(
    n_steps: int, *, lr: float, schedule: Schedule, warmup: float = 0.0
) -> NDArray[np.float64]:
    """Return the learning rate of every step, shape (n_steps,).

    ``"cosine"``: ``lr · (1 + cos(π·t)) / 2`` with t from 0 to 1 (Loshchilov and Hutter 2017, without
    restarts); ``"flat-cosine"``: `lr` for the first half, then such a cosine; ``"constant"``: `lr`;
    ``"one-cycle"``: that of ``torch.optim.lr_scheduler.OneCycleLR``. A function gives the factor of `lr` for
    the share of the steps that is done. Over the first share `warmup` of the steps, rates rise from 0 to
    these.

    >>> learning_rates(4, lr=1.0, schedule="flat-cosine").round(3).tolist()
    [1.0, 1.0, 1.0, 0.5]
    """
    rates = np.full(n_steps, float(lr))
    if callable(schedule):
        rates *= _own_factors(schedule, n_steps)
    elif schedule == "one-cycle":
        rates *= _one_cycle(n_steps)
    elif schedule != "constant":
        n_flat = n_steps // 2 if schedule == "flat-cosine" else 0
        position = np.arange(n_steps - n_flat) / (n_steps - n_flat)
        rates[n_flat:] *= 0.5 * (1.0 + np.cos(np.pi * position))
    n_warm = round(warmup * n_steps)
    rates[:n_warm] *= (np.arange(n_warm) + 1.0) / (n_warm + 1.0)
    return rates


def _own_factors(schedule: Callable[[float], float], n_steps: int) -> NDArray[np.float64]:
    """Return what the caller's schedule gives for every step, checked."""
    with callers_code("schedule must be a function of the share that is done", "try it on 0.0 and 0.5"):
        factors = np.array([float(schedule(step / n_steps)) for step in range(n_steps)])
    if not (np.isfinite(factors).all() and (factors >= 0).all() and (factors > 0).any()):
        raise ParameterError(
            f"schedule must give factors of the learning rate of at least 0, got {factors.min():.3g} to "
            f"{factors.max():.3g}"
        )
    return factors


def _one_cycle(n_steps: int) -> NDArray[np.float64]:
    """Return the factors of ``OneCycleLR`` with its defaults: from 1/25 up to 1, then down to 1/250,000.

    Smith and Topin 2019, arXiv:1708.07120.
    """
    peak = max(1e-9, 0.3 * n_steps - 1.0)
    step = np.arange(n_steps)
    up = 1.0 - (1.0 - 1.0 / 25.0) * 0.5 * (1.0 + np.cos(np.pi * np.minimum(step / peak, 1.0)))
    way = (step - peak) / max(n_steps - 1.0 - peak, 1e-9)
    down = 4e-6 + (1.0 - 4e-6) * 0.5 * (1.0 + np.cos(np.pi * np.clip(way, 0.0, 1.0)))
    return np.where(step <= peak, up, down)


def full_run_rates(recipe: Recipe, *, n_rows: int, epochs: int) -> NDArray[np.float64]:
    """Return the learning rates of a run of `epochs` epochs on `n_rows` rows, shape (n_steps,)."""
    n_steps = epochs * steps_per_epoch(n_rows, recipe.rows_per_step)
    return learning_rates(n_steps, lr=recipe.lr, schedule=recipe.schedule, warmup=recipe.warmup)


@dataclass(frozen=True, kw_only=True, eq=False)
class RunPlan:
    """How one run goes, the same for all candidates and folds."""

    #: `epochs`, `n_steps`: epochs, and steps per epoch.
    epochs: int
    n_steps: int
    #: Rows per pass.
    batch: int
    #: (epochs · n_steps,): learning rate of every step.
    rates: NDArray[np.float64]
    #: Epochs after which the held-out loss is taken, ascending, ending with `epochs`.
    checkpoints: tuple[int, ...]
    #: Passes per step, whose gradients are averaged.
    passes: int = 1
    #: Whether the best checkpoint is scored; else the last one, and the others only show the way there.
    is_choosing: bool = True

    @classmethod
    def of(cls, recipe: Recipe, *, n_rows: int, epochs: int, checkpoints: tuple[int, ...] = ()) -> RunPlan:
        """Return the plan for runs on `n_rows` rows; without `checkpoints`, half way and the end."""
        n_steps = steps_per_epoch(n_rows, recipe.rows_per_step)
        passes = steps_per_epoch(n_rows // n_steps, recipe.batch_size)
        return cls(
            epochs=epochs,
            n_steps=n_steps,
            batch=n_rows // n_steps // passes,
            passes=passes,
            rates=full_run_rates(recipe, n_rows=n_rows, epochs=epochs),
            checkpoints=checkpoints or tuple(sorted({max(1, epochs // 2), epochs})),
            is_choosing=bool(checkpoints),
        )

    def sum_lr(self, epochs: int | None = None) -> float:
        """Return Σ lr over the first `epochs` epochs, or over all."""
        end = None if epochs is None else epochs * self.n_steps
        return float(self.rates[:end].sum())


def spread_checkpoints(epochs: int) -> tuple[int, ...]:
    """Return about ``N_CHECKPOINTS`` epochs from 1 to `epochs`, closer together at the beginning.

    >>> spread_checkpoints(39)
    (1, 3, 5, 8, 10, 14, 17, 21, 25, 30, 34, 39)
    """
    shares = (np.arange(1, N_CHECKPOINTS + 1) / N_CHECKPOINTS) ** 1.5
    return tuple(int(epoch) for epoch in np.unique(np.maximum(1, np.round(epochs * shares))))


def sample_plan(recipe: Recipe, *, n_train: int, n_sample: int, n_source: int, longer: int = 1) -> RunPlan:
    """Return the plan for training on the folds of a sample.

    `n_train`: rows that a fold trains on (the mean, where folds differ). `n_sample`, `n_source`: rows of the
    sample and of everything. `longer`: how many times `planned_epochs` a run lasts whose epochs nobody gave.

    With epochs given by the recipe: the epochs that stand for them on the sample, trained to the end; no more
    than ``LONGEST_OF_PLANNED`` times `planned_epochs`, unless the recipe itself has more. If it stops early,
    the best of these is chosen. Else `planned_epochs`, with checkpoints from which the best is chosen.
    """
    if recipe.epochs is not None:
        found = rescaled_epochs(recipe.epochs, n_from=max(n_source, n_sample), n_to=n_sample)
        most = round(LONGEST_OF_PLANNED * planned_epochs(n_train, recipe.rows_per_step))
        epochs = max(recipe.epochs, min(found, most))
        checkpoints = spread_checkpoints(epochs) if recipe.early_stopping else ()
        return RunPlan.of(recipe, n_rows=n_train, epochs=epochs, checkpoints=checkpoints)
    epochs = planned_epochs(n_train, recipe.rows_per_step, longer=longer)
    return RunPlan.of(recipe, n_rows=n_train, epochs=epochs, checkpoints=spread_checkpoints(epochs))
