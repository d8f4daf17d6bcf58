"""The network of ``model="mlp"``, advised and trained by default, against RealMLP-TD-S of pytabkit.

usage: python benchmarks/network_defaults.py run --data DIR --out FILE.jsonl [--sets NAME,NAME]
       python benchmarks/network_defaults.py show --out FILE.jsonl [--write]

Rows are cut to 3,000 for training, up to 5,000 others are the test. Ours is
``advise(X, y, model="mlp").build()``; theirs gets label smoothing switched off and chooses its epoch by
cross-entropy, since log loss is what is compared, and the same frame with missing numbers filled in.
RealMLP-TD-S: Holzmüller et al., "Better by default" (NeurIPS 2024). It is no dependency of this project:
``pip install pytabkit``. Each set and split is a line of the file and is
measured once.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from regret.data import choose_sets, load
from results import write
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split

from regadvisor import advise

N_TRAIN, N_TEST, SPLITS = 3_000, 5_000, (0, 1)
#: Tables of several hundred rows on, few and many columns, two to 19 classes; chosen before anything ran.
SETS = [
    "adult",
    "bike_hour",
    "california_housing",
    "concrete",
    "house_8L",
    "mammography",
    "phoneme",
    "sk_digits",
    "soybean",
    "spambase",
    "titanic",
    "wine_quality_white",
]


def theirs(X: pd.DataFrame, y: Any, test: pd.DataFrame, *, is_class: bool, seed: int) -> Any:
    """Return what RealMLP-TD-S predicts of the test rows."""
    from pytabkit import RealMLP_TD_S_Classifier, RealMLP_TD_S_Regressor

    numeric = X.select_dtypes("number").columns
    middle = X[numeric].median().fillna(0.0)
    X, test = (
        frame.assign(**{name: frame[name].astype(float).fillna(middle[name]) for name in numeric})
        for frame in (X, test)
    )
    if is_class:
        model = RealMLP_TD_S_Classifier(
            device="cpu", random_state=seed, use_ls=False, val_metric_name="cross_entropy", n_threads=1
        )
        return model.fit(X, y).predict_proba(test)
    return RealMLP_TD_S_Regressor(device="cpu", random_state=seed, n_threads=1).fit(X, y).predict(test)


def judged(y: Any, predicted: Any, *, classes: Any, spread: float) -> float:
    """Return the log loss, or the squared error over the variance of the training target."""
    if classes is not None:
        return float(log_loss(y, np.clip(predicted, 1e-7, 1.0), labels=classes))
    return float(np.mean((np.asarray(y, dtype=float) - np.ravel(predicted)) ** 2) / spread**2)


def measured(entry: pd.Series, folder: Path, split: int) -> dict[str, Any]:
    """Return both losses and processor times for one set and split."""
    data = load(folder, entry, max_rows=N_TRAIN + N_TEST)
    is_class = data.task == "classification"
    X = data.X if isinstance(data.X, pd.DataFrame) else pd.DataFrame(data.X).add_prefix("x")
    X = X.assign(**{name: X[name].astype(str) for name in X.select_dtypes(exclude="number").columns})
    few = data.y.value_counts().min() < 4 if is_class else True
    train, test = train_test_split(
        np.arange(data.n_rows),
        train_size=min(N_TRAIN, round(0.7 * data.n_rows)),
        random_state=split,
        stratify=None if few else data.y,
    )
    test = test[:N_TEST]
    y, truth = data.y.iloc[train].to_numpy(), data.y.iloc[test].to_numpy()
    classes, spread = (np.unique(y), 1.0) if is_class else (None, float(np.std(y)))
    kept = np.isin(truth, classes) if is_class else np.ones(len(truth), dtype=bool)
    truth, rows = truth[kept], X.iloc[test[kept]]
    start = time.process_time()
    advice = advise(X.iloc[train], y, model="mlp", random_state=split, progress=False, task=data.task)
    advised = time.process_time()
    model = advice.build().fit(X.iloc[train], y)
    ours = model.predict_proba(rows) if is_class else model.predict(rows)
    trained = time.process_time()
    other = theirs(X.iloc[train], y, rows, is_class=is_class, seed=split)
    done = time.process_time()
    return {
        "set": data.name,
        "split": split,
        "ours": judged(truth, ours, classes=classes, spread=spread),
        "theirs": judged(truth, other, classes=classes, spread=spread),
        "kind": advice.regularizer.kind,
        "advice_s": advised - start,
        "ours_s": trained - advised,
        "theirs_s": done - trained,
    }


def report(rows: list[dict[str, Any]]) -> str:
    """Return the table: a line for each set, the mean over its splits."""
    frame = pd.DataFrame(rows).groupby("set").mean(numeric_only=True)
    excess = 100 * (frame["ours"] / frame["theirs"] - 1)
    lines = ["| set | ours | RealMLP-TD-S | ours is higher by | advice, training, theirs (s) |"]
    lines.append("|---|---|---|---|---|")
    for (name, row), own in zip(frame.iterrows(), excess, strict=True):
        seconds = ", ".join(f"{row[each]:.0f}" for each in ("advice_s", "ours_s", "theirs_s"))
        lines.append(f"| {name} | {row['ours']:.3f} | {row['theirs']:.3f} | {own:+.1f}% | {seconds} |")
    lines.append(f"| mean (median) of {len(frame)} | | | {excess.mean():+.1f}% ({excess.median():+.1f}%) | |")
    return "\n".join(lines)


def main() -> None:
    """Measure, or show what was measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["run", "show"])
    parser.add_argument("--data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--write", action="store_true")
    own = parser.parse_args()
    lines = own.out.read_text().splitlines() if own.out.exists() else []
    rows = [json.loads(line) for line in lines]
    if own.what == "run":
        known = {(row["set"], row["split"]) for row in rows}
        for split in SPLITS:
            for entry in choose_sets(own.data, own.sets):
                if (entry["name"], split) in known:
                    continue
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    row = measured(entry, own.data, split)
                print(json.dumps(row), flush=True)
                with own.out.open("a") as file:
                    file.write(json.dumps(row) + "\n")
    else:
        text = report(rows)
        print(text)
        if own.write:
            write("network-defaults", text)


if __name__ == "__main__":
    main()
