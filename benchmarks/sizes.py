"""Trains a small grid of regularizers on disjoint samples of several sizes, for ``benchmarks/transfer.py``.

usage: python benchmarks/sizes.py --data DIR --out DIR [--family mlp|linear] [--sets A,B] [--most-rows 8192]

DIR of --data is the folder of ``benchmarks/regret.py``. For every set: N training rows and at most 6,000 test
rows, the same for all sizes; then disjoint stratified samples of N/2, N/4, N/16 and N/64 rows. On each, none
and a few strengths of every kind are trained together and tested. Networks have a recipe of about 1,200 steps
at N and are trained on a sample for as many epochs, as many steps, their geometric mean, and what the library
would do. Groups and time are ignored: the study is about the number of rows, so every split is random.

Every sample and length is one line of ``sizes-<family>.jsonl``. Lines that are there are not made again.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from regret.cache import append_line, read_lines
from regret.data import DataSet, Rows, choose_sets, load

from regadvisor.data.table import Table
from regadvisor.deadline import Deadline
from regadvisor.families.base import Fold, Job
from regadvisor.families.linear.family import LinearFamily
from regadvisor.families.neural.family import MLPFamily
from regadvisor.families.neural.recipe import Recipe
from regadvisor.families.neural.schedule import full_run_rates, rescaled_epochs, sample_plan, steps_per_epoch
from regadvisor.regularizer import STRENGTHS, Kind, Regularizer

TEST_SHARE, MOST_TEST_ROWS = 0.3, 6_000
#: Sets that nobody named need so many training rows, and at most so many columns.
FEWEST_TRAINING_ROWS, MOST_COLUMNS = 2_800, 200
#: Disjoint samples by size: N over the rows of a sample → how many.
SAMPLES = {1: 1, 2: 2, 4: 3, 16: 4, 64: 4}
#: So many of them are trained for the length of every rule, the others for that of the library.
ALL_RULES = 1
FEWEST_ROWS, FEWEST_OF_CLASS = 60, 3
#: Rows of classes that would be rarer than the fewest at this ratio are left out, test rows as well.
RATIO_OF_RAREST = 16
#: All other sizes are measured by the full size, so its networks have more seeds.
FULL_SEEDS = 2
N_BINS = 10

STEPS, FEWEST_EPOCHS = 1_200, 15
BATCH = Recipe().batch_size
RULES = ("epochs", "steps", "geometric", "planned")

#: Networks: strength × Σ lr, in the order of ``STRENGTHS``.
POINTS: dict[Kind, tuple[tuple[float, ...], ...]] = {
    "none": ((),),
    "l2": ((0.06,), (0.25,), (1.0,), (4.0,), (16.0,), (64.0,)),
    "l1": ((0.002,), (0.008,), (0.03,), (0.12,), (0.5,), (2.0,)),
    "dropout": ((0.1,), (0.25,)),
    "elasticnet": ((0.015, 0.5), (0.06, 2.0), (0.25, 8.0)),
    "dropout_l2": ((1.0, 0.25), (4.0, 0.1), (16.0, 0.1)),
    "dropout_l1": ((0.03, 0.1), (0.12, 0.25), (0.5, 0.1)),
}
#: Linear: strengths of a kind, over the family's range at N; L1 stops short of the constant model.
N_LINEAR, TOP_OF_L1 = 8, 0.7

Config = tuple[Kind, tuple[float, ...]]


@dataclass(frozen=True, kw_only=True, eq=False)
class Study:
    """One data set: samples are drawn from the rows `train`, all of them are tested on `test`."""

    data: DataSet
    train: Rows
    test: Rows

    @property
    def n_full(self) -> int:
        """N, the largest size."""
        return len(self.train)

    def samples(self, ratio: int) -> list[Rows]:
        """Return the disjoint samples of N / `ratio` rows."""
        drawn = systematic(strata(self.data, self.train), ratio)
        return [self.train[chosen] for chosen in drawn[: SAMPLES[ratio]]]

    def fits(self, ratio: int) -> bool:
        """Return whether samples of this size have enough rows, and enough of every class."""
        if self.data.task == "regression":
            return self.n_full // ratio >= FEWEST_ROWS
        rarest = np.bincount(strata(self.data, self.train)).min()
        return self.n_full // ratio >= FEWEST_ROWS and rarest // ratio >= FEWEST_OF_CLASS

    def table(self, rows: Rows) -> tuple[Table, Fold]:
        """Return a sample and the test rows as a table of their own, with its one fold."""
        both, n_rows = np.concatenate([rows, self.test]), len(rows)
        return self.data.table(both), Fold(train=np.arange(n_rows), test=np.arange(n_rows, len(both)))


def strata(data: DataSet, rows: Rows) -> Rows:
    """Return the class or the tenth of the target of some rows, numbered from 0."""
    y = data.y.iloc[rows]
    if data.task == "classification":
        return np.unique(y.astype(str), return_inverse=True)[1].astype(np.intp)
    edges = np.quantile(y, np.linspace(0, 1, N_BINS + 1)[1:-1])
    return np.searchsorted(edges, y.to_numpy(), side="right").astype(np.intp)


def systematic(stratum: Rows, ratio: int) -> list[Rows]:
    """Return `ratio` disjoint samples of equal size: of rows in the order of strata, every `ratio`-th.

    Examples
    --------
    >>> sorted(len(rows) for rows in systematic(np.array([0, 0, 0, 0, 1, 1, 1]), 2))
    [3, 3]
    """
    rng = np.random.default_rng([ratio, 29])
    order = np.lexsort((rng.random(len(stratum)), stratum))
    size = len(order) // ratio
    return [np.sort(order[start::ratio][:size]) for start in rng.permutation(ratio)]


def make_study(data: DataSet, *, most_rows: int) -> Study:
    """Return the rows of a set: a random 30% test, at most `most_rows` of the others are everything."""
    rng, rows = np.random.default_rng(31), np.arange(data.n_rows)
    if data.task == "classification":
        share = data.y.map(data.y.value_counts(normalize=True)).to_numpy(dtype=float)
        n_train = min(most_rows, (1 - TEST_SHARE) * len(rows))
        rows = rows[share * n_train >= FEWEST_OF_CLASS * RATIO_OF_RAREST]
    rows = rng.permutation(rows)
    n_test = min(MOST_TEST_ROWS, round(TEST_SHARE * len(rows)))
    train = rows[n_test : n_test + most_rows]
    return Study(data=data, train=np.sort(train), test=np.sort(rows[:n_test]))


# ------------------------------------------------------------------------------------- what is trained


def full_recipe(n_full: int) -> Recipe:
    """Return the recipe of a full run: about ``STEPS`` steps, trained to the end."""
    return Recipe(epochs=max(FEWEST_EPOCHS, round(STEPS / steps_per_epoch(n_full, BATCH))))


def lengths(n_rows: int, *, n_full: int) -> dict[str, int]:
    """Return the epochs of a network on a sample by rule.

    Examples
    --------
    >>> lengths(512, n_full=8_192)
    {'epochs': 19, 'steps': 304, 'geometric': 76, 'planned': 76}
    """
    recipe = full_recipe(n_full)
    epochs = int(recipe.epochs or 1)
    plan = sample_plan(recipe, n_train=n_rows, n_sample=n_rows, n_source=n_full)
    return {
        "epochs": epochs,
        "steps": max(1, round(epochs * n_full / n_rows)),
        "geometric": rescaled_epochs(epochs, n_from=n_full, n_to=n_rows),
        "planned": plan.epochs,
    }


def linear_grid(study: Study) -> list[Config]:
    """Return the grid of a linear model in units of l2 · rows and l1 · √rows."""
    table, fold = study.table(study.train)
    family = LinearFamily()
    found = family.candidates(family.prepare(table, [fold], seed=0))
    l1, l2, root = found["l1"].ranges["l1"], found["l2"].ranges["l2"], math.sqrt(study.n_full)
    l1s = np.geomspace(l1.low, TOP_OF_L1 * l1.high, N_LINEAR)
    grid: list[Config] = [("none", ())]
    grid += [("l2", (float(v * study.n_full),)) for v in np.geomspace(l2.low, l2.high, N_LINEAR)]
    grid += [("l1", (float(v * root),)) for v in l1s]
    # As much L1 as L2 at N, where either alone would be half as strong.
    return grid + [("elasticnet", (float(v / 2 * root), float(v / 2 * study.n_full))) for v in l1s]


def network_grid() -> list[Config]:
    """Return the grid of a network in units of strength × Σ lr."""
    return [(kind, values) for kind, points in POINTS.items() for values in points]


def regularizer(config: Config, *, n_rows: int, sum_lr: float | None) -> Regularizer:
    """Return the regularizer of a point: of a linear model (no Σ lr) on `n_rows` rows, or of a network.

    Examples
    --------
    >>> regularizer(("l1", (0.5,)), n_rows=100, sum_lr=None).l1
    0.05
    >>> regularizer(("l2", (4.0,)), n_rows=100, sum_lr=8.0).l2
    0.5
    """
    kind, values = config
    rows = {"l2": 1 / n_rows, "l1": 1 / math.sqrt(n_rows)}
    unit = rows if sum_lr is None else {"l2": 1 / sum_lr, "l1": 1 / sum_lr}
    units = zip(STRENGTHS[kind], values, strict=True)
    strengths = {name: value * unit.get(name, 1.0) for name, value in units}
    return Regularizer(**strengths, coupling="loss" if sum_lr is None else "decoupled")


def trained(
    study: Study, rows: Rows, grid: Sequence[Config], epochs: int | None, n_seeds: int
) -> dict[str, Any]:
    """Return what training the grid on some rows gave; no epochs: a linear model.

    Losses are means over the test rows; squared errors over the variance of the test rows' target, which is
    the same for all sizes.
    """
    start = time.process_time()
    table, fold = study.table(rows)
    family = LinearFamily() if epochs is None else MLPFamily(Recipe(epochs=epochs))
    prepared = family.prepare(table, [fold], seed=0)
    sum_lr = None
    if epochs is not None:
        sum_lr = float(full_run_rates(Recipe(), n_rows=len(rows), epochs=epochs).sum())
    found = [regularizer(config, n_rows=len(rows), sum_lr=sum_lr) for config in grid]
    jobs = [Job(regularizer=each, seed=seed) for each in found for seed in range(n_seeds)]
    fits = family.train(prepared, jobs, deadline=Deadline.never())
    scale = 1.0 if table.is_classification else float(np.var(table.y) / np.var(table.y[fold.test]))
    losses = scale * np.array([fit.losses[fold.test].mean() for fit in fits])
    return {
        "rows": len(rows),
        "n_features": prepared.n_features,
        "epochs": epochs,
        "sum_lr": sum_lr,
        "configs": [[kind, list(values)] for kind, values in grid],
        "losses": losses.reshape(len(grid), n_seeds).round(7).tolist(),
        "constant": round(scale * float(prepared.constant_losses[fold.test].mean()), 7),
        "finished": [fit.converged for fit in fits[::n_seeds]],
        "cpu_s": round(time.process_time() - start, 2),
    }


# ---------------------------------------------------------------------------------------- all of a set


@dataclass(frozen=True)
class Point:
    """One line of the results: a sample of a size, trained for the lengths of `rules` (none: linear)."""

    ratio: int
    sample: int
    rules: tuple[str, ...]
    epochs: int | None


def points(study: Study, family: str) -> list[Point]:
    """Return all samples and lengths of a set, the full size first; rules that agree are one."""
    found = []
    for ratio, n_samples in SAMPLES.items():
        if ratio > 1 and not study.fits(ratio):
            break
        by_epochs: dict[int | None, tuple[str, ...]] = {None: ()}
        if family != "linear":
            by_epochs = {}
            for rule, epochs in lengths(study.n_full // ratio, n_full=study.n_full).items():
                by_epochs[epochs] = (*by_epochs.get(epochs, ()), rule)
        found += [
            Point(ratio, sample, rules, epochs)
            for sample in range(n_samples)
            for epochs, rules in by_epochs.items()
            if sample < ALL_RULES or "planned" in rules or family == "linear"
        ]
    return found


def measure(study: Study, family: str, path: Path) -> int:
    """Train what `path` lacks of a set, a line each; return how many lines were added."""
    there = {(line["set"], line["ratio"], line["sample"], tuple(line["rules"])) for line in stored(path)}
    left = [
        point
        for point in points(study, family)
        if (study.data.name, point.ratio, point.sample, point.rules) not in there
    ]
    if not left:
        return 0
    grid = linear_grid(study) if family == "linear" else network_grid()
    for point in left:
        rows = study.samples(point.ratio)[point.sample]
        n_seeds = FULL_SEEDS if point.ratio == 1 and family != "linear" else 1
        key = {"set": study.data.name, "family": family, "ratio": point.ratio, "sample": point.sample}
        result = trained(study, rows, grid, point.epochs, n_seeds)
        append_line(path, {**key, "rules": point.rules, **result})
    return len(left)


def stored(path: Path) -> list[dict[str, Any]]:
    """Return the results of a file, none if there is none; what a killed run left of a line is cut off."""
    if not path.exists():
        return []
    whole, newline, rest = path.read_bytes().rpartition(b"\n")
    if rest:
        path.write_bytes(whole + newline)
    return list(read_lines(path))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--family", choices=("mlp", "linear"), default="mlp")
    parser.add_argument("--sets", help="names by comma; by default all with enough rows")
    parser.add_argument("--most-rows", type=int, default=8_192)
    asked = parser.parse_args()
    for entry in choose_sets(asked.data, asked.sets or "all", most_targets=1):
        is_large = (1 - TEST_SHARE) * entry.n >= FEWEST_TRAINING_ROWS and entry.p <= MOST_COLUMNS
        if not asked.sets and not (is_large and str(entry.file).endswith(".parquet")):
            continue
        most = max(asked.most_rows + MOST_TEST_ROWS, round(MOST_TEST_ROWS / TEST_SHARE))
        start = time.process_time()
        study = make_study(load(asked.data, entry, max_rows=most), most_rows=asked.most_rows)
        added = measure(study, asked.family, asked.out / f"sizes-{asked.family}.jsonl")
        seconds = time.process_time() - start
        print(f"{entry['name']}: {study.n_full} rows, {added} lines, {seconds:.0f} CPU s", flush=True)


if __name__ == "__main__":
    main()
