"""The reference: a dense grid by cross-validation on all training rows, every point also trained and tested.

Made once per data set, split, family, recipe and grid, and kept: per-row losses of every point, so that any
way to choose among them is scored later without training.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regadvisor.data.table import Table
from regadvisor.deadline import Deadline
from regadvisor.evidence.correlation import measure_correlation
from regadvisor.evidence.whole_picture import measure_whole_picture
from regadvisor.families.base import Family, Fit, Fold, Job, Prepared
from regadvisor.families.neural.recipe import Recipe
from regadvisor.sampling.folds import make_folds
from regret.cache import Arrays, digest, load_arrays, save_arrays
from regret.data import DataSet
from regret.grids import GRID_VERSION, Config, make_family, make_grid, make_recipe, sum_lr
from regret.module_references import N_FOLDS, make_module_reference
from regret.sklearn_cv import sklearn_policies
from regret.splits import Split

#: Networks are trained in full with so many seeds; linear models need one.
N_SEEDS = {"linear": 1, "mlp": 3}
#: Rows of the small sample whose raw cross-validation is one of the rivals.
SMALL_SAMPLE = 1_500
#: Full trainings prepare with this seed + split: reference and advice start from the same networks.
FULL_SEED = 1_000


@dataclass(frozen=True, kw_only=True, eq=False)
class Task:
    """One data set, one split, one family: what a reference and an advice are about."""

    data: DataSet
    split: Split
    family: str
    recipe: Recipe | None

    @classmethod
    def of(cls, data: DataSet, split: Split, family: str) -> Task:
        """Return the task with the benchmark's recipe for these rows."""
        recipe = None if family == "linear" else make_recipe(len(split.train), data.X)
        return cls(data=data, split=split, family=family, recipe=recipe)

    @property
    def key(self) -> str:
        """A name for files: the same rows, recipe and grid have the same."""
        recipe, fields = self.recipe, None
        if recipe is not None:
            numbers = (recipe.lr, recipe.batch_size, recipe.epochs)
            fields = [recipe.optimizer, *numbers, recipe.schedule, list(recipe.hidden)]
        rows = digest(self.split.train.tolist(), self.split.test.tolist())
        made = digest(self.data.fingerprint, rows, fields, GRID_VERSION)
        return f"{self.data.name}-{self.family}-{self.split.number}-{made}"

    @property
    def sum_lr(self) -> float:
        """Σ lr of one full run."""
        return sum_lr(self.recipe, n_train=len(self.split.train))

    def full(self) -> tuple[Family, Prepared]:
        """Return all rows ready for full trainings: one fold, preprocessing fitted on the training rows."""
        n_train, n_all = len(self.split.train), len(self.split.both)
        fold = Fold(train=np.arange(n_train), test=np.arange(n_train, n_all))
        family = make_family(self.family, self.recipe)
        table = self.data.table(self.split.both)
        return family, family.prepare(table, [fold], seed=FULL_SEED + self.split.number)

    def test_losses(self, fits: Sequence[Fit]) -> NDArray[np.float32]:
        """Return the losses of full trainings on the test rows, shape (n_fits, n_test)."""
        n_train = len(self.split.train)
        return np.stack([fit.losses[n_train:] for fit in fits]).astype(np.float32)


@dataclass(frozen=True, kw_only=True, eq=False)
class Reference:
    """A kept reference.

    Attributes
    ----------
    configs : tuple of Config
        The grid, kinds in the order of simplicity.
    cv_losses : ndarray of float32, shape (n_configs, n_train)
        Held-out loss per training row; NaN for rows that are in no test fold.
    constant : ndarray, shape (n_train,)
        The same of predicting the mean or class shares.
    fold, cluster : ndarray of int, shape (n_train,)
        Test fold of each row (-1: none); rows that are not independent (None: all are).
    test_losses : ndarray of float32, shape (n_configs, n_seeds, n_test)
    test_constant : ndarray, shape (n_test,)
    small_cv : ndarray, shape (n_configs,), or None
        Mean cross-validated loss on a sample of ``SMALL_SAMPLE`` rows; None where there are no more rows.
    sklearn : dict of ndarray, shape (n_test,)
        Test losses of scikit-learn's ``*CV`` estimators.
    meta : dict
        Processor seconds, prior knowledge measured, sizes.
    """

    configs: tuple[Config, ...]
    cv_losses: NDArray[np.float32]
    constant: NDArray[np.float64]
    fold: NDArray[np.intp]
    cluster: NDArray[np.intp] | None
    test_losses: NDArray[np.float32]
    test_constant: NDArray[np.float64]
    small_cv: NDArray[np.float64] | None
    sklearn: dict[str, NDArray[np.float64]]
    meta: dict[str, Any]

    @property
    def cv_cpu_s(self) -> float:
        """Processor seconds of the dense cross-validation and one full run after it."""
        return float(self.meta["cv_cpu_s"] + self.meta["full_run_cpu_s"])


def path_of(out: Path, task: Task) -> Path:
    """Return where the reference of a task is kept."""
    return out / "references" / f"{task.key}.npz"


def load_reference(path: Path) -> Reference:
    """Read a reference."""
    meta, arrays = load_arrays(path)
    configs = tuple(Config(**{**each, "values": tuple(each["values"])}) for each in meta.pop("configs"))
    small = arrays.get("small_cv")
    prefix = "sklearn "
    return Reference(
        configs=configs,
        cv_losses=arrays["cv_losses"],
        constant=arrays["constant"],
        fold=arrays["fold"],
        cluster=arrays.get("cluster"),
        test_losses=arrays["test_losses"],
        test_constant=arrays["test_constant"],
        small_cv=small,
        sklearn={k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)},
        meta=meta,
    )


def make_reference(task: Task, path: Path) -> None:
    """Train the reference of a task and keep it at `path`."""
    if task.family == "module":
        make_module_reference(task, path)
        return
    table = task.data.table(task.split.train)
    folding = make_folds(table, folds=N_FOLDS, seed=task.split.number)
    family = make_family(task.family, task.recipe)
    start = time.process_time()
    prepared = family.prepare(table, folding.folds, seed=task.split.number)
    grid = make_grid(family, prepared, n_rows=table.n_rows, X=task.data.X)
    fits = trained(family, prepared, jobs_of(task, grid, units_of(prepared)))
    spent = {"cv_cpu_s": time.process_time() - start}
    arrays: Arrays = {
        "cv_losses": np.stack([fit.losses for fit in fits]).astype(np.float32),
        "constant": prepared.constant_losses,
        "fold": folding.fold_of_row,
    }
    if folding.cluster_of_row is not None:
        arrays["cluster"] = folding.cluster_of_row
    arrays |= _full_runs(task, grid, spent)
    if table.n_rows > SMALL_SAMPLE:
        arrays["small_cv"] = _small_cv(task, table, grid, spent)
    meta = {
        "set": task.data.name,
        "family": task.family,
        "split": task.split.number,
        "n_train": table.n_rows,
        "n_test": len(task.split.test),
        "n_features": prepared.n_features,
        "epochs": None if task.recipe is None else task.recipe.epochs,
        "scheme": folding.scheme,
        "configs": [asdict(config) for config in grid],
        "correlation": asdict(measure_correlation(table, seed=0)),
        "whole_picture": asdict(measure_whole_picture(table, seed=0)),
        **spent,
    }
    save_arrays(path, meta, arrays)


def trained(family: Family, prepared: Prepared, jobs: Sequence[Job]) -> list[Fit]:
    """Return the fits of all jobs; none may be missing."""
    fits = family.train(prepared, jobs, deadline=Deadline.never())
    if len(fits) != len(jobs):
        raise RuntimeError(f"{len(jobs) - len(fits)} of {len(jobs)} jobs were not trained")
    return fits


def units_of(prepared: Prepared) -> float:
    """Return the Σ lr of a training on the folds (1 for linear models)."""
    plan = getattr(prepared, "plan", None)
    return 1.0 if plan is None else float(plan.sum_lr())


def jobs_of(task: Task, grid: Sequence[Config], units: float, seeds: Sequence[int] = (0,)) -> list[Job]:
    """Return the jobs of a grid for a training with the given Σ lr, seeds of one point side by side."""
    found = [config.regularizer(family=task.family, sum_lr=units) for config in grid]
    return [Job(regularizer=regularizer, seed=seed) for regularizer in found for seed in seeds]


def _full_runs(task: Task, grid: Sequence[Config], spent: dict[str, float]) -> Arrays:
    """Train every point on all training rows with every seed; time one run by itself, as a user would."""
    family, prepared = task.full()
    seeds = range(N_SEEDS[task.family])
    alone = next(number for number, config in enumerate(grid) if config.kind == "l2" and config.fixed)
    start = time.process_time()
    trained(family, prepared, jobs_of(task, grid[alone : alone + 1], task.sum_lr))
    spent["full_run_cpu_s"] = time.process_time() - start
    start = time.process_time()
    fits = trained(family, prepared, jobs_of(task, grid, task.sum_lr, seeds))
    spent["full_cpu_s"] = time.process_time() - start
    n_train = len(task.split.train)
    arrays: Arrays = {
        "test_losses": task.test_losses(fits).reshape(len(grid), len(seeds), -1),
        "test_constant": prepared.constant_losses[n_train:],
    }
    if task.family == "linear":
        table = task.data.table(task.split.both)
        found, seconds = sklearn_policies(table, n_train=n_train, seed=task.split.number)
        spent |= {f"{name} cpu_s": used for name, used in seconds.items()}
        arrays |= {f"sklearn {name}": losses for name, losses in found.items()}
    return arrays


def _small_cv(
    task: Task, table: Table, grid: Sequence[Config], spent: dict[str, float]
) -> NDArray[np.float64]:
    """Return the mean held-out loss of every point on a random sample, trained as long as in the library."""
    start = time.process_time()
    rng = np.random.default_rng([task.split.number, 23])
    rows = np.sort(rng.choice(table.n_rows, SMALL_SAMPLE, replace=False))
    sample = table.take(rows)
    folding = make_folds(sample, folds=N_FOLDS, seed=task.split.number)
    family = make_family(task.family, task.recipe)
    prepared = family.prepare(sample, folding.folds, seed=task.split.number)
    fits = trained(family, prepared, jobs_of(task, grid, units_of(prepared)))
    tested = folding.fold_of_row >= 0
    spent["small_cpu_s"] = time.process_time() - start
    return np.array([fit.losses[tested].mean() for fit in fits])
