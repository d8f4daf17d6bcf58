"""What the reference trains: the recipe of a network and the dense grid of every family.

Strengths of networks are in units of 1 / Σ lr (what transfers between lengths of training); those of linear
models are the library's own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from regadvisor.candidates import Candidate
from regadvisor.families.base import Family, Prepared
from regadvisor.families.linear.family import LinearFamily
from regadvisor.families.neural.family import MLPFamily
from regadvisor.families.neural.recipe import Recipe
from regadvisor.families.neural.schedule import full_run_rates, steps_per_epoch
from regadvisor.regularizer import STRENGTHS, Kind, Regularizer

#: Raised when a grid changes: references of another version are not used.
GRID_VERSION = 1
#: Steps of a network's full run, within these epochs; from so many training rows on, the fewest epochs.
STEPS = 1_200
FEWEST_EPOCHS, MOST_EPOCHS = 15, 300
MANY_ROWS = 12_000
#: Wide inputs cost most: half the steps and every second point of the grid.
WIDE = 500

POINTS: dict[Kind, tuple[tuple[float, ...], ...]] = {
    "none": ((),),
    "l2": ((0.03,), (0.1,), (0.3,), (1.0,), (2.0,), (4.0,), (8.0,), (16.0,), (32.0,)),
    "l1": ((0.002,), (0.006,), (0.02,), (0.06,), (0.12,), (0.25,), (0.5,), (1.0,)),
    "dropout": ((0.05,), (0.1,), (0.17,), (0.25,), (0.35,), (0.5,)),
    # (l1, l2): both weak to both strong, and across.
    "elasticnet": (
        *((0.003, 0.1), (0.01, 0.3), (0.03, 1.0), (0.06, 2.0), (0.12, 4.0), (0.25, 8.0)),
        *((0.004, 4.0), (0.015, 8.0), (0.1, 0.3), (0.3, 1.0)),
    ),
    # (l2, dropout)
    "dropout_l2": (
        *((0.1, 0.1), (0.3, 0.25), (1.0, 0.1), (1.0, 0.4)),
        *((2.0, 0.25), (4.0, 0.1), (8.0, 0.25), (16.0, 0.1)),
    ),
    # (l1, dropout)
    "dropout_l1": ((0.006, 0.1), (0.02, 0.25), (0.06, 0.1), (0.06, 0.25), (0.2, 0.1), (0.2, 0.4)),
}
#: Policies without tuning, by name: a kind and its strengths. Always part of the grid.
FIXED: dict[str, tuple[Kind, tuple[float, ...]]] = {
    "L2, fixed": ("l2", (2.0,)),
    "L1, fixed": ("l1", (0.06,)),
    "L1+L2, fixed": ("elasticnet", (0.03, 1.0)),
    "dropout 0.1": ("dropout", (0.1,)),
    "dropout 0.25": ("dropout", (0.25,)),
    "dropout+L2, fixed": ("dropout_l2", (2.0, 0.25)),
}

#: Linear: points of one strength; decades below the strongest L1 and l1/(l1+l2) of elastic nets.
N_STRENGTHS = 16
N_MIXED = 12
DECADES = (0.3, 4.0)
RATIOS = (0.1, 0.5, 0.9)


@dataclass(frozen=True, kw_only=True)
class Config:
    """One point of a grid; `fixed` names the policy that always takes it."""

    kind: Kind
    #: In the order of ``STRENGTHS[kind]``.
    values: tuple[float, ...]
    fixed: str | None = None

    def regularizer(self, *, family: str, sum_lr: float) -> Regularizer:
        """Return the regularizer for a training with the given Σ lr (1 for linear models)."""
        units = dict(zip(STRENGTHS[self.kind], self.values, strict=True))
        actual = {name: value if name == "dropout" else value / sum_lr for name, value in units.items()}
        return Regularizer(**actual, coupling="loss" if family == "linear" else "decoupled")


def is_wide(X: Any) -> bool:
    """Return whether a set has so many columns that its reference is made coarser."""
    return int(X.shape[1]) > WIDE


def make_recipe(n_train: int, X: Any) -> Recipe:
    """Return the recipe of a network: about ``STEPS`` steps on all training rows, trained to the end.

    Examples
    --------
    >>> make_recipe(4_200, np.zeros((1, 8))).epochs
    36
    """
    steps = STEPS // 2 if is_wide(X) else STEPS
    epochs = round(steps / steps_per_epoch(n_train, Recipe().batch_size))
    if n_train > MANY_ROWS:
        epochs = FEWEST_EPOCHS
    return Recipe(epochs=max(FEWEST_EPOCHS, min(MOST_EPOCHS, epochs)))


def sum_lr(recipe: Recipe | None, *, n_train: int, epochs: int | None = None) -> float:
    """Return Σ lr of a run of the recipe on `n_train` rows (1 for linear models)."""
    if recipe is None:
        return 1.0
    length = epochs or recipe.epochs or 1
    return float(full_run_rates(recipe, n_rows=n_train, epochs=length).sum())


def make_family(name: str, recipe: Recipe | None) -> Family:
    """Return the family of a name."""
    return LinearFamily() if name == "linear" else MLPFamily(recipe=recipe)


def make_grid(family: Family, prepared: Prepared, *, n_rows: int, X: Any) -> list[Config]:
    """Return the grid, kinds in the order of simplicity, fixed policies among it."""
    if family.name == "linear":
        return _linear_grid(family, prepared, n_rows=n_rows)
    fixed = {point: name for name, point in FIXED.items()}
    grid = []
    for kind, points in POINTS.items():
        for number, values in enumerate(points):
            name = fixed.get((kind, values))
            if name or number % 2 == 0 or not is_wide(X):
                grid.append(Config(kind=kind, values=values, fixed=name))
    return grid


def _linear_grid(family: Family, prepared: Prepared, *, n_rows: int) -> list[Config]:
    """Return points over the ranges that the data give, and the documented defaults as fixed policies."""
    candidates = family.candidates(prepared)
    l1_top = candidates["l1"].ranges["l1"].high
    mixed = [l1_top / 10**decade for decade in np.linspace(*DECADES, N_MIXED)]
    grid = [Config(kind="none", values=())]
    points: dict[Kind, list[tuple[float, ...]]] = {
        "l2": [(value,) for value in _spread(candidates["l2"], "l2")],
        "l1": [(value,) for value in _spread(candidates["l1"], "l1")],
        "elasticnet": [(l1, l1 * (1 - ratio) / ratio) for ratio in RATIOS for l1 in mixed],
    }
    labels = ("L2, fixed", "L1, fixed", "L1+L2, fixed")
    for (kind, values), label in zip(points.items(), labels, strict=True):
        default = family.defaults(kind, n_rows=n_rows, n_features=prepared.n_features).strengths()
        grid += [Config(kind=kind, values=point) for point in values]
        grid.append(Config(kind=kind, values=tuple(default[name] for name in STRENGTHS[kind]), fixed=label))
    return grid


def _spread(candidate: Candidate, name: str) -> list[float]:
    """Return strengths over a kind's range; L1 stops short of the constant, L2 starts a decade lower."""
    found = candidate.ranges[name]
    low, high = (found.low / 10, found.high) if name == "l2" else (found.low, found.high * 0.7)
    return [float(value) for value in np.geomspace(low, high, N_STRENGTHS)]
