"""The reference for a caller's own module: 28 candidates, trained in the caller's loop.

Advice is judged in the same loop, which the library does not know: its own first values, batches and
preprocessing are others.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.model_selection import KFold, StratifiedKFold

from regadvisor.data.source import make_table
from regadvisor.evidence.correlation import measure_correlation
from regadvisor.evidence.whole_picture import measure_whole_picture
from regadvisor.families.neural.recipe import Recipe
from regadvisor.regularizer import Kind, Regularizer
from regret.cache import save_arrays
from regret.caller import Prepared, prepare, sum_lr, train
from regret.data import Rows
from regret.grids import Config

if TYPE_CHECKING:
    from regret.references import Task

N_FOLDS = 5
#: Full trainings of every candidate.
N_SEEDS = 2
#: Strengths × Σ lr; combinations in the order of ``STRENGTHS``.
POINTS: dict[Kind, tuple[tuple[float, ...], ...]] = {
    "none": ((),),
    "l2": ((0.3,), (1.0,), (3.0,), (6.0,), (12.0,)),
    "l1": ((0.01,), (0.03,), (0.1,), (0.2,), (0.4,)),
    "elasticnet": ((0.01, 1.0), (0.05, 1.0), (0.15, 1.0), (0.01, 4.0), (0.05, 4.0), (0.15, 4.0)),
    "dropout": ((0.1,), (0.25,), (0.5,)),
    "dropout_l2": ((1.0, 0.1), (4.0, 0.1), (1.0, 0.3), (4.0, 0.3)),
    "dropout_l1": ((0.03, 0.1), (0.15, 0.1), (0.03, 0.3), (0.15, 0.3)),
}


def module_grid() -> list[Config]:
    """Return the candidates, those with dropout last, side by side.

    Examples
    --------
    >>> len(module_grid())
    28
    """
    return [Config(kind=kind, values=values) for kind, points in POINTS.items() for values in points]


def make_module_reference(task: Task, path: Path) -> None:
    """Train the reference of a task and keep it at `path`."""
    assert task.recipe is not None
    recipe, split = task.recipe, task.split
    prepared = prepare(task.data, split.train, split.test)
    grid = module_grid()
    fold = _folds(prepared, seed=split.number)
    start = time.process_time()
    numbers = range(int(fold.max()) + 1)
    folds = [(np.flatnonzero(fold != number), np.flatnonzero(fold == number)) for number in numbers]
    cv_losses = cross_validated(prepared, grid, folds, recipe)
    spent = {"cv_cpu_s": time.process_time() - start}
    start = time.process_time()
    full = [config.regularizer(family="module", sum_lr=sum_lr(recipe, len(split.train))) for config in grid]
    test_losses = full_test_losses(prepared, full, recipe)
    spent["full_cpu_s"] = time.process_time() - start
    start = time.process_time()
    _trained(prepared, np.arange(len(split.train)), full[1:2], recipe, seed=0)
    spent["full_run_cpu_s"] = time.process_time() - start
    table = make_table(prepared.X, prepared.target(), task=task.data.task)
    meta = {
        "set": task.data.name,
        "family": task.family,
        "split": split.number,
        "n_train": len(split.train),
        "n_test": len(split.test),
        "n_features": prepared.X.shape[1],
        "epochs": recipe.epochs,
        "scheme": "stratified" if prepared.n_classes else "random",
        "configs": [asdict(config) for config in grid],
        "correlation": asdict(measure_correlation(table, seed=0)),
        "whole_picture": asdict(measure_whole_picture(table, seed=0)),
        **spent,
    }
    arrays = {
        "cv_losses": cv_losses.astype(np.float32),
        "constant": prepared.constant(prepared.y),
        "fold": fold,
        "test_losses": test_losses,
        "test_constant": prepared.constant(prepared.y_test),
    }
    save_arrays(path, meta, arrays)


def full_test_losses(
    prepared: Prepared, regularizers: Sequence[Regularizer], recipe: Recipe
) -> NDArray[np.float32]:
    """Train on all training rows; return the losses on the test rows, (n_regularizers, n_seeds, n_test)."""
    everything = np.arange(len(prepared.X))
    x, y = torch.from_numpy(prepared.X_test), torch.from_numpy(prepared.y_test)
    found = []
    for seed in range(N_SEEDS):
        stack = _trained(prepared, everything, regularizers, recipe, seed=seed)
        found.append(stack.losses(x, y))
    return np.stack(found, axis=1).astype(np.float32)


def cross_validated(
    prepared: Prepared, grid: Sequence[Config], folds: Sequence[tuple[Rows, Rows]], recipe: Recipe
) -> NDArray[np.float64]:
    """Return the held-out loss of every candidate per training row; NaN for rows that no fold tests.

    A fold is the rows that it trains on and the rows that it tests.
    """
    losses = np.full((len(grid), len(prepared.X)), np.nan)
    for number, (rows, held_out) in enumerate(folds):
        units = sum_lr(recipe, len(rows))
        regularizers = [config.regularizer(family="module", sum_lr=units) for config in grid]
        stack = _trained(prepared, rows, regularizers, recipe, seed=number)
        x, y = torch.from_numpy(prepared.X[held_out]), torch.from_numpy(prepared.y[held_out])
        losses[:, held_out] = stack.losses(x, y)
    return losses


def _trained(prepared, rows, regularizers, recipe, *, seed):  # type: ignore[no-untyped-def]
    return train(
        prepared.X[rows],
        prepared.y[rows],
        regularizers,
        recipe=recipe,
        n_outputs=prepared.n_outputs,
        is_classification=prepared.n_classes > 0,
        seed=seed,
    )


def _folds(prepared: Prepared, *, seed: int) -> NDArray[np.intp]:
    """Return the test fold of every training row, stratified by class; small classes are one class."""
    fold = np.empty(len(prepared.y), dtype=np.intp)
    if prepared.n_classes:
        counts = np.bincount(prepared.y, minlength=prepared.n_classes)
        strata = np.where(counts[prepared.y] < N_FOLDS, -1, prepared.y)
        if (strata == -1).sum() < N_FOLDS:  # too few to be a stratum: with the largest class
            strata = np.where(strata == -1, int(counts.argmax()), strata)
        parts = StratifiedKFold(N_FOLDS, shuffle=True, random_state=seed).split(strata, strata)
    else:
        parts = KFold(N_FOLDS, shuffle=True, random_state=seed).split(prepared.X)
    for number, (_, held_out) in enumerate(parts):
        fold[held_out] = number
    return fold
