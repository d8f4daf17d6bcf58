"""Linear strengths against scikit-learn: cross-validated loss of what the search finds and of a dense grid.

usage: python benchmarks/agreement.py DATA_DIR [--effort standard] [--only NAME,NAME] [--write]

Both sides use all rows and the same folds with the preprocessing inside. The grid is that of
``LogisticRegressionCV`` (20 strengths x l1_ratio 0, .5, 1) or of ``ElasticNetCV`` and ``RidgeCV`` (100
strengths x l1_ratio .1, .5, .9, 1, and 60 for ridge), fitted by scikit-learn's own solvers. It is scored as
scikit-learn does it, by the best of it all on the folds it was chosen on; so is ours.
"""

from __future__ import annotations

import argparse
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge, enet_path
from verdicts import write

from regadvisor.data.source import make_table
from regadvisor.data.table import Table
from regadvisor.deadline import Deadline
from regadvisor.evidence.resources import situation_of
from regadvisor.families.linear.data import LinearFold
from regadvisor.families.linear.family import LinearFamily
from regadvisor.plan.effort import EFFORTS
from regadvisor.sampling.folds import make_folds
from regadvisor.search.tune import tune

SETS = "ad_biomarkers,autos_price,concrete,ecoli,eye_trim32,hitters_salary,italy_power,prostate_lpsa,"
SETS += "sk_breast_cancer,sk_diabetes,sk_wine,sonar,titanic"


def classification_losses(fold: LinearFold, n_classes: int) -> np.ndarray:
    """Return the summed test log loss of every (l1_ratio, C), by scikit-learn's LogisticRegression."""
    X, losses = fold.problem.X, []
    for ratio in (0.0, 0.5, 1.0):
        model = LogisticRegression(
            solver="saga" if ratio else "lbfgs", l1_ratio=ratio, warm_start=True, tol=1e-4, max_iter=3_000
        )
        for C in np.logspace(-4, 4, 20):
            model.set_params(C=C).fit(X, fold.y_train)
            chances = np.full((len(fold.y_test), n_classes), 0.0)
            chances[:, model.classes_] = model.predict_proba(fold.X_test)
            picked = chances[np.arange(len(fold.y_test)), fold.y_test]
            losses.append(-np.log(np.clip(picked, 1e-7, 1.0)).sum())
    return np.array(losses)


def regression_losses(fold: LinearFold, grids: dict[float, np.ndarray]) -> np.ndarray:
    """Return the summed squared test error of every (l1_ratio, alpha), by scikit-learn's solvers."""
    X, y, losses = fold.problem.X, fold.problem.T[:, 0], []
    for ratio, alphas in grids.items():
        if ratio == 0:
            weights = [Ridge(alpha=len(X) * a, fit_intercept=False).fit(X, y).coef_ for a in alphas]
        else:
            weights = enet_path(X, y, l1_ratio=ratio, alphas=alphas, max_iter=20_000)[1].T
        for w in weights:
            error = fold.y_test - fold.target_mean - fold.target_sd * (fold.X_test @ w)
            losses.append(float(error @ error) / fold.unit)
    return np.array(losses)


def grid_loss(table: Table, encoded: tuple[LinearFold, ...]) -> float:
    """Return the lowest cross-validated loss of the grid."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        if table.is_classification:
            total = sum(classification_losses(fold, table.n_classes) for fold in encoded)
        else:
            top = max(fold.problem.l1_max for fold in encoded)
            grids = {r: np.geomspace(top / r, top / r * 1e-4, 100) for r in (0.1, 0.5, 0.9, 1.0)}
            grids[0.0] = np.logspace(2, -8, 60)
            total = sum(regression_losses(fold, grids) for fold in encoded)
    return float(np.min(total)) / table.n_rows


def line(path: Path, effort: str) -> str:
    """Return one row of the table."""
    frame = pd.read_parquet(path)
    table = make_table(frame.drop(columns="target"), frame["target"])
    folds = make_folds(table, folds=5, seed=0).folds
    family = LinearFamily()
    prepared = family.prepare(table, folds, seed=0)
    start = time.process_time()
    situation = situation_of(table, family, folds=5, may_choose=False)
    plan = situation.plan(EFFORTS[effort], table.n_rows)
    results = tune(family, prepared, plan, seed=0, deadline=Deadline.never()).results
    ours_s = time.process_time() - start
    best = min(
        (results.mean_loss(fit.losses), kind) for kind, fits in results.by_kind.items() for fit in fits
    )
    start = time.process_time()
    grid = grid_loss(table, prepared.encoded)
    grid_s = time.process_time() - start
    return (
        f"| {path.stem} | {table.n_rows:,} × {prepared.n_features:,} | {best[1]} | {best[0]:.4f} "
        f"| {grid:.4f} | {100 * (best[0] / grid - 1):+.2f}% | {ours_s:.1f} | {grid_s:.1f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--effort", default="standard")
    parser.add_argument("--only", default=SETS)
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    columns = (
        "data set|rows × encoded columns|best kind|loss found|loss of the grid|excess|CPU s|grid's CPU s"
    )
    lines = [f"| {columns.replace('|', ' | ')} |", "|---|---|---|---|---|---|---|---|"]
    print("\n".join(lines))
    for name in arguments.only.split(","):
        lines.append(line(arguments.folder / f"{name}.parquet", arguments.effort))
        print(lines[-1], flush=True)
    if arguments.write:
        write("agreement", "\n".join(lines))


if __name__ == "__main__":
    main()
