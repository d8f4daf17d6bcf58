"""One reference: the dense grid of one model on one set, at all training rows, a quarter and a sixteenth.

Grids, splits and networks are those of ``benchmarks/regret``; folds are the library's for every model. Each
size is a task of its own: random rows of the training rows (each size holds the next smaller one), the same
test rows, the same candidates. Networks train on a sample for the geometric mean of equal epochs and equal
steps, with strengths in units of 1 / Σ lr at every size.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from regret.caller import prepare, sum_lr
from regret.data import DataSet, Rows
from regret.grids import GRID_VERSION, Config, make_family, make_grid
from regret.module_references import cross_validated, full_test_losses, module_grid
from regret.references import N_FOLDS, N_SEEDS, Task, jobs_of, trained, units_of
from regret.splits import Split, make_split

from references.kept import Reference, Size
from regadvisor.data.table import Table
from regadvisor.evidence.correlation import measure_correlation
from regadvisor.evidence.whole_picture import measure_whole_picture
from regadvisor.families.neural.schedule import rescaled_epochs
from regadvisor.sampling.folds import Folding, make_folds

#: Parts of the training rows, and the fewest rows that a part below 1 may have.
SHARES = (1.0, 1 / 4, 1 / 16)
FEWEST_ROWS = 100
#: Strengths are rounded before they are trained: what is kept is what was trained.
DIGITS = 4
#: Blocks of test rows whose mean losses are kept.
N_BLOCKS = 10
#: Variance of the candidates' differences that the kept covariance may lack.
LOST = 1e-3

Losses = NDArray[np.floating[Any]]
#: Held-out losses (n_configs, n_train), test losses (n_configs, n_seeds, n_test), the same of the constant
#: (n_train,) and (n_test,), and which points converged.
Measured = tuple[Losses, Losses, Losses, Losses, NDArray[np.bool_]]


def make_reference(data: DataSet, model: str, *, origin: str) -> Reference:
    """Train the grid of a model on the first split of a set, at every size that its rows allow."""
    task = Task.of(data, make_split(data, 0), model)
    table = data.table(task.split.train)
    grid = _grid(task, table)
    start = time.process_time()
    known = {
        "correlation": asdict(measure_correlation(table, seed=0)),
        "whole_picture": asdict(measure_whole_picture(table, seed=0)),
    }
    spent = {"questions": time.process_time() - start}
    shares, sizes = [], []
    for share in SHARES:
        part = part_of(task, share)
        if part is not None:
            shares.append(share)
            sizes.append(_size(part, grid, spent, unit=variances(task, task.split.train)))
    recipe = task.recipe
    meta = {
        "set": data.name,
        "origin": origin,
        "kind": data.kind,
        "model": model,
        "task": data.task,
        "n_source": data.n_source,
        "n_test": len(task.split.test),
        "n_columns": int(data.X.shape[1]),
        "n_classes": table.n_classes,
        "n_targets": table.n_targets,
        "fingerprint": data.fingerprint,
        "grid": GRID_VERSION,
        "recipe": None if recipe is None else {name: getattr(recipe, name) for name in RECIPE},
        "shares": shares,
        **known,
        "cpu_s": {name: round(seconds, 2) for name, seconds in spent.items()},
    }
    return Reference(configs=tuple(grid), sizes=tuple(sizes), meta=meta)


#: What of a recipe is kept.
RECIPE = ("optimizer", "lr", "batch_size", "epochs", "schedule", "hidden")


def part_of(task: Task, share: float) -> Task | None:
    """Return the task of training on a part of the rows; None where they do not allow it.

    A sample has at least ``FEWEST_ROWS`` rows, two of its classes as many as there are folds. Test rows of
    classes that it lacks are left out.
    """
    if share == 1.0:
        return task
    split, y = task.split, task.data.y
    n_all = len(split.train)
    n_part = round(n_all * share)
    chosen = np.sort(np.random.default_rng(31).permutation(n_all)[:n_part])
    train, known = split.train[chosen], np.ones(len(split.test), dtype=bool)
    if n_part < FEWEST_ROWS:
        return None
    if task.data.task == "classification":
        counts = y.iloc[train].value_counts()
        if len(counts) < 2 or counts.iloc[1] < N_FOLDS:
            return None
        known = y.iloc[split.test].isin(counts.index[counts > 0]).to_numpy()
    cluster = None if split.cluster is None else split.cluster[known]
    part = Split(number=split.number, train=train, test=split.test[known], cluster=cluster)
    recipe = task.recipe
    if recipe is not None:
        epochs = rescaled_epochs(recipe.epochs or 1, n_from=n_all, n_to=n_part)
        recipe = replace(recipe, epochs=epochs)
    return replace(task, split=part, recipe=recipe)


def _grid(task: Task, table: Table) -> list[Config]:
    if task.family == "module":
        return module_grid()
    family = make_family(task.family, task.recipe)
    folds = make_folds(table, folds=N_FOLDS, seed=task.split.number).folds
    prepared = family.prepare(table, folds, seed=task.split.number)
    grid = make_grid(family, prepared, n_rows=table.n_rows, X=task.data.X)
    return [
        replace(each, values=tuple(float(f"{value:.{DIGITS}g}") for value in each.values)) for each in grid
    ]


def variances(task: Task, rows: Rows) -> Losses:
    """Return the variance of every target on some rows; 1 for classes."""
    if task.data.task == "classification":
        return np.ones(1)
    y = task.data.y.iloc[rows].to_numpy(dtype=np.float64).reshape(len(rows), -1)
    found: Losses = y.var(axis=0)
    return np.where(found > 0, found, 1.0)


def _size(task: Task, grid: Sequence[Config], spent: dict[str, float], *, unit: Losses) -> Size:
    """Train the grid on the rows of a task; losses in units of the variances `unit`, one for every target."""
    table = task.data.table(task.split.train)
    folding = make_folds(table, folds=N_FOLDS, seed=task.split.number)
    measure = _measure_module if task.family == "module" else _measure_family
    cv, test, constant, test_constant, converged = measure(task, table, folding, grid, spent)
    # The families measure in the variance of the rows that they see: the sample's, and with test rows theirs.
    own, both = (float((variances(task, rows) / unit).mean()) for rows in (task.split.train, task.split.both))
    if task.family == "module":
        both = own
    fold = folding.fold_of_row
    tested = fold >= 0
    block = _blocks(task.split)
    return Size(
        n_rows=table.n_rows,
        cv_losses=_means(cv[:, tested] * own, fold[tested]),
        fold_rows=np.bincount(fold[tested]).astype(np.float32),
        cv_constant=_means(constant[None, tested] * own, fold[tested])[0],
        factor=covariance_factor(cv[:, tested] * own, _clusters(folding, tested)),
        test_losses=(test.mean(axis=2) * both).astype(np.float32),
        test_blocks=_means(test.mean(axis=1) * both, block),
        test_constant=_means(test_constant[None] * both, block)[0],
        block_rows=np.bincount(block).astype(np.float32),
        converged=converged.astype(np.float32),
    )


def _measure_family(
    task: Task, table: Table, folding: Folding, grid: Sequence[Config], spent: dict[str, float]
) -> Measured:
    family = make_family(task.family, task.recipe)
    start = time.process_time()
    prepared = family.prepare(table, folding.folds, seed=task.split.number)
    fits = trained(family, prepared, jobs_of(task, grid, units_of(prepared)))
    spent[f"cv {table.n_rows}"] = time.process_time() - start
    start = time.process_time()
    family, full = task.full()
    seeds = range(N_SEEDS[task.family])
    found = trained(family, full, jobs_of(task, grid, task.sum_lr, seeds))
    spent[f"full {table.n_rows}"] = time.process_time() - start
    test = task.test_losses(found).reshape(len(grid), len(seeds), -1)
    cv = np.stack([fit.losses for fit in fits])
    converged = np.array([fit.converged for fit in fits])
    return cv, test, prepared.constant_losses, full.constant_losses[table.n_rows :], converged


def _measure_module(
    task: Task, table: Table, folding: Folding, grid: Sequence[Config], spent: dict[str, float]
) -> Measured:
    assert task.recipe is not None
    prepared = prepare(task.data, task.split.train, task.split.test)
    start = time.process_time()
    folds = [(fold.train, fold.test) for fold in folding.folds]
    cv = cross_validated(prepared, grid, folds, task.recipe)
    spent[f"cv {table.n_rows}"] = time.process_time() - start
    start = time.process_time()
    units = sum_lr(task.recipe, table.n_rows)
    full = [config.regularizer(family="module", sum_lr=units) for config in grid]
    test = full_test_losses(prepared, full, task.recipe)
    spent[f"full {table.n_rows}"] = time.process_time() - start
    finite = np.isfinite(cv[:, folding.fold_of_row >= 0]).all(axis=1)
    return cv, test, prepared.constant(prepared.y), prepared.constant(prepared.y_test), finite


def _clusters(folding: Folding, tested: NDArray[np.bool_]) -> NDArray[np.intp]:
    cluster = folding.cluster_of_row
    return np.arange(tested.sum()) if cluster is None else np.unique(cluster[tested], return_inverse=True)[1]


def _blocks(split: Split) -> NDArray[np.intp]:
    """Return the block of every test row, about equally large; clusters stay together."""
    cluster = np.arange(len(split.test)) if split.cluster is None else split.cluster
    present, number = np.unique(cluster, return_inverse=True)
    block = np.random.default_rng(37).permutation(len(present)) % N_BLOCKS
    found: NDArray[np.intp] = block[number]
    return np.unique(found, return_inverse=True)[1]


def _means(losses: Losses, group: NDArray[np.intp]) -> NDArray[np.float32]:
    """Return the mean losses by group of rows, shape (n_candidates, n_groups)."""
    count = np.bincount(group)
    return np.stack([np.bincount(group, weights=own) / count for own in losses]).astype(np.float32)


def covariance_factor(losses: Losses, cluster: NDArray[np.intp]) -> NDArray[np.float32]:
    """Return F, shape (n_candidates, rank): F Fᵀ is n times the covariance of the mean losses' errors.

    Rows of one cluster are summed first; with independent rows it is the sample covariance of the losses.
    The rank is the lowest that loses less than ``LOST`` of the variance of the candidates' differences.
    Candidates with losses that are not finite get NaN.

    Examples
    --------
    >>> losses = np.random.default_rng(0).normal(size=(3, 50))
    >>> factor = covariance_factor(losses, np.arange(50))
    >>> np.allclose(factor @ factor.T, np.cov(losses), atol=1e-4)
    True
    """
    finite = np.isfinite(losses).all(axis=1)
    apart = losses[finite] - losses[finite].mean(axis=1, keepdims=True)
    n_clusters = int(cluster.max()) + 1
    sums = np.stack([np.bincount(cluster, weights=own, minlength=n_clusters) for own in apart])
    covariance = sums @ sums.T * n_clusters / ((n_clusters - 1) * losses.shape[1])
    centre = np.eye(len(covariance)) - 1 / len(covariance)
    allowed = LOST * np.trace(centre @ covariance @ centre)
    values, vectors = np.linalg.eigh(covariance)
    values = values.clip(min=0.0)
    n_left_out = int(np.searchsorted(np.cumsum(values), allowed))
    found = np.full((len(losses), len(values) - n_left_out), np.nan, dtype=np.float32)
    found[finite] = (vectors * np.sqrt(values))[:, n_left_out:][:, ::-1]
    return found
