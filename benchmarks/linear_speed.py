"""Seconds of `advise(model="linear")` against scikit-learn's own cross-validated paths on the same data.

usage: python benchmarks/linear_speed.py DATA_DIR [--only NAME,NAME] [--limit SECONDS]

The reference searches strength and mix of L1 and L2 on all rows, encoded as ours are:
``LogisticRegressionCV`` (SAGA, 20 strengths x 5 mixes x 5 folds) or ``ElasticNetCV`` (100 strengths x 5 mixes
x 5 folds). Each side is a process of its own with one thread; wall and processor seconds leave out imports
and reading the file. A reference that is not done after the limit is cut and marked ">".
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

SETS = ("adult", "spambase", "splice", "sms_spam", "movement_libras", "california_housing")


def columns(path: Path) -> tuple[pd.DataFrame, pd.Series]:
    """Return features and target of a file."""
    frame = pd.read_parquet(path)
    kept = [name for name in frame.columns if not name.startswith(("target", "__"))]
    return frame[kept], frame["target"]


def ours(X: pd.DataFrame, y: pd.Series) -> str:
    """Advise with the defaults; return what was advised."""
    import regadvisor

    advice = regadvisor.advise(X, y, model="linear")
    sample = advice.record.evidence.sample
    return (
        f"{advice.regularizer.kind}, {advice.record.settings.effort}, {sample.n_rows if sample else 0} rows"
    )


def reference(X: pd.DataFrame, y: pd.Series) -> str:
    """Search strength and mix with scikit-learn's cross-validated model; return what was found."""
    from sklearn.linear_model import ElasticNetCV, LogisticRegressionCV

    from regadvisor.data.source import make_table
    from regadvisor.families.preprocess import make_preprocessor

    table = make_table(X, y)
    encoded = make_preprocessor(table.facts, for_network=False).fit_transform(table.X)
    warnings.simplefilter("ignore")
    if table.is_classification:
        model = LogisticRegressionCV(
            l1_ratios=[0, 0.25, 0.5, 0.75, 1],
            Cs=20,
            solver="saga",
            scoring="neg_log_loss",
            use_legacy_attributes=False,
        ).fit(encoded, table.y)
        return f"C {float(np.ravel(model.C_)[0]):.2g}, l1_ratio {float(np.ravel(model.l1_ratio_)[0]):.2g}"
    enet = ElasticNetCV(l1_ratio=[0.1, 0.25, 0.5, 0.75, 1], alphas=100).fit(encoded, table.y)
    return f"alpha {enet.alpha_:.2g}, l1_ratio {enet.l1_ratio_:.2g}"


def child(path: Path, side: str) -> None:
    """Run one side once and print its seconds as JSON."""
    for name in ("regadvisor.search.tune", "regadvisor.advising", "sklearn.linear_model"):
        importlib.import_module(name)
    X, y = columns(path)
    wall, cpu = time.perf_counter(), time.process_time()
    text = ours(X, y) if side == "ours" else reference(X, y)
    print(json.dumps([time.perf_counter() - wall, time.process_time() - cpu, text]))


def measured(path: Path, side: str, limit_s: float) -> tuple[float, float, str]:
    """Return wall seconds, processor seconds and the finding of one side; the limit and "cut" if cut."""
    words = [sys.executable, __file__, str(path), "--side", side]
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    try:
        done = subprocess.run(
            words, env={**os.environ, **threads}, capture_output=True, text=True, timeout=limit_s, check=True
        )
    except subprocess.TimeoutExpired:
        return limit_s, limit_s, "cut"
    wall, cpu, text = json.loads(done.stdout.splitlines()[-1])
    return wall, cpu, text


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", default=",".join(SETS))
    parser.add_argument("--limit", type=float, default=240.0)
    parser.add_argument("--side", choices=("ours", "reference"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.side:
        child(arguments.folder, arguments.side)
        return
    print("| data set | advise: wall / processor s | reference: wall / processor s | ratio | found |")
    print("|---|---|---|---|---|")
    for name in arguments.only.split(","):
        path = arguments.folder / f"{name}.parquet"
        wall, cpu, text = measured(path, "ours", arguments.limit)
        their_wall, their_cpu, theirs = measured(path, "reference", arguments.limit)
        more = ">" if theirs == "cut" else ""
        cells = [name, f"{wall:.1f} / {cpu:.1f}", f"{more}{their_wall:.1f} / {more}{their_cpu:.1f}"]
        print(f"| {' | '.join([*cells, f'{more}{their_cpu / cpu:.1f}', f'{text}; {theirs}'])} |", flush=True)


if __name__ == "__main__":
    main()
