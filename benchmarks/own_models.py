"""Advice for models of your own against a 20-trial Optuna loop around the same model.

usage: python benchmarks/own_models.py run --data DIR --out FILE.jsonl [--models all] [--sets all]
       python benchmarks/own_models.py show --out FILE.jsonl [--write]

Nine models, six sets each: rows cut to 1,000 for training, up to 3,000 others for the test. The loop is what
a reader writes: Optuna's default sampler, 20 trials, each the mean held-out loss of three folds. What either
finds is trained on all 1,000 rows by the model's own code, with three seeds, and judged on the test rows.
Each model and set is one line of the file; those that are there already are not measured again.
"""

from __future__ import annotations

import argparse
import json
import logging
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
import torch
from own_networks import NETWORKS, KerasNet, SkorchNet, TorchNet
from regret.data import choose_sets, load
from results import write
from sklearn.linear_model import PoissonRegressor, SGDClassifier
from sklearn.metrics import hinge_loss, mean_poisson_deviance
from sklearn.model_selection import KFold, StratifiedKFold, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from regadvisor import advise

N_TRIALS, N_FOLDS, N_TRAIN, N_TEST, SEEDS = 20, 3, 1000, 3000, (0, 1, 2)
TABLES = ["spambase", "phoneme", "oil_spill", "sk_breast_cancer", "concrete", "wine_quality_white"]
SERIES = ["ecg200", "gunpoint", "italy_power", "phalanges_outlines", "movement_libras", "sk_digits"]
COUNTS = [
    "bike_hour",
    "hitters_salary",
    "autos_price",
    "california_housing",
    "concrete",
    "wine_quality_white",
]
BINARY = ["spambase", "phoneme", "oil_spill", "sk_breast_cancer", "mammography", "sonar"]


class Sklearn:
    """A pipeline of scikit-learn: what the loop varies, and its own loss."""

    epochs = None

    def __init__(self, name: str, y: Any) -> None:
        self.name, self.is_hinge = name, name == "hinge SGD"

    def model(self) -> Any:
        last = SGDClassifier(loss="hinge", random_state=0) if self.is_hinge else PoissonRegressor()
        return make_pipeline(StandardScaler(), last)

    def suggested(self, trial: optuna.Trial) -> Callable[[int], Any]:
        model = self.model()
        model[-1].set_params(alpha=trial.suggest_float("alpha", 1e-6, 1e1, log=True))
        if self.is_hinge:
            model[-1].set_params(penalty=trial.suggest_categorical("penalty", ["l2", "l1", "elasticnet"]))
        return lambda seed: self._seeded(model, seed)

    def advised(self, advice: Any) -> Callable[[int], Any]:
        model = advice.apply(self.model())
        return lambda seed: self._seeded(model, seed)

    def _seeded(self, model: Any, seed: int) -> Any:
        from sklearn.base import clone

        model = clone(model)
        return model.set_params(sgdclassifier__random_state=seed) if self.is_hinge else model

    def loss(self, fitted: Any, X: Any, y: Any) -> float:
        if self.is_hinge:
            return float(hinge_loss(y, fitted.decision_function(X)))
        return float(mean_poisson_deviance(y, fitted.predict(X)))


def cases() -> dict[str, tuple[Callable[[Any], Any], list[str]]]:
    """Return every model by name: what makes its case from y, and its sets."""
    made: dict[str, tuple[Callable[[Any], Any], list[str]]] = {
        name: (lambda y, name=name: TorchNet(name, y), SERIES if name in ("LSTM", "transformer") else TABLES)
        for name in NETWORKS
    }
    made["Keras functional"] = (KerasNet, TABLES)
    made["skorch net"] = (SkorchNet, TABLES)
    made["Poisson pipeline"] = (lambda y: Sklearn("Poisson pipeline", y), COUNTS)
    made["hinge SGD"] = (lambda y: Sklearn("hinge SGD", y), BINARY)
    return made


def rows_of(data: Path, name: str, model: str) -> tuple[Any, Any, Any, Any]:
    """Return training and test rows as numbers; series and tables for networks are standardised."""
    (entry,) = choose_sets(data, name)
    found = load(data, entry, max_rows=N_TRAIN + N_TEST)
    X: Any = found.X
    if isinstance(X, pd.DataFrame):
        X = pd.get_dummies(X, dtype=float)
        X = X.fillna(X.median()).to_numpy(dtype=np.float64)
    y = found.y.to_numpy()
    is_classes = found.task == "classification"
    y = np.unique(y, return_inverse=True)[1] if is_classes else y.astype(np.float64)
    n_train = min(N_TRAIN, round(0.7 * len(y)))
    split = train_test_split(X, y, train_size=n_train, random_state=0, stratify=y if is_classes else None)
    train, test, y_train, y_test = split
    if model not in ("Poisson pipeline", "hinge SGD"):
        if model in ("LSTM", "transformer"):  # one scale for all steps
            center, scale = train.mean(), train.std()
        else:
            center, scale = train.mean(axis=0), train.std(axis=0)
        scale = np.where(scale > 0, scale, 1.0)
        train, test = ((rows - center) / scale for rows in (train, test))
        train, test = (np.clip(rows, -10, 10).astype(np.float32) for rows in (train, test))
        if not is_classes:
            center, scale = y_train.mean(), y_train.std()
            y_train, y_test = (y_train - center) / scale, (y_test - center) / scale
    if model in ("LSTM", "transformer") and name == "sk_digits":  # eight rows of eight pixels
        train, test = train.reshape(-1, 8, 8), test.reshape(-1, 8, 8)
    return train, test, y_train, y_test


def measured(model: str, name: str, data: Path) -> dict[str, Any]:
    """Return test losses and processor seconds of the advice and of the loop."""
    X, X_test, y, y_test = rows_of(data, name, model)
    case = cases()[model][0](y)

    def judged(make: Callable[[int], Any]) -> float:
        losses = []
        for seed in SEEDS:
            losses.append(case.loss(make(seed).fit(X, y), X_test, y_test))
        return float(np.mean(losses))

    more = {}
    if case.epochs is not None:
        more["recipe"] = case.recipe()
    started = time.process_time()
    advice = advise(X, y, model=case.model(), progress=False, **more)
    advice_s = time.process_time() - started
    folds = (StratifiedKFold if y.dtype.kind == "i" else KFold)(N_FOLDS, shuffle=True, random_state=0)
    splits = list(folds.split(X, y))

    def objective(trial: optuna.Trial) -> float:
        make = case.suggested(trial)
        losses = [case.loss(make(0).fit(X[rows], y[rows]), X[held], y[held]) for rows, held in splits]
        value = float(np.mean(losses))
        return value if np.isfinite(value) else 1e9

    started = time.process_time()
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=0))
    study.optimize(objective, n_trials=N_TRIALS)
    loop_s = time.process_time() - started
    return {
        "model": model,
        "set": name,
        "kind": advice.regularizer.kind,
        "status": advice.record.status,
        "advice": judged(case.advised(advice)),
        "loop": judged(case.suggested(study.best_trial)),
        "advice_s": advice_s,
        "loop_s": loop_s,
        "best": study.best_params,
        "regularizer": repr(advice.regularizer),
    }


def _lines(out: Path) -> list[dict[str, Any]]:
    if not out.exists():
        return []
    return [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]


def run(data: Path, out: Path, models: str, sets: str) -> None:
    """Measure every model and set that is not in the file: one set of every model first."""
    done = {(line["model"], line["set"]) for line in _lines(out)}
    chosen = [name for name in cases() if models == "all" or name in models.split(",")]
    pairs = [(model, cases()[model][1][number]) for number in range(6) for model in chosen]
    for model, name in pairs:
        if (model, name) in done or (sets != "all" and name not in sets.split(",")):
            continue
        try:
            line = measured(model, name, data)
        except Exception as error:  # whatever goes wrong is a finding
            line = {"model": model, "set": name, "error": f"{type(error).__name__}: {error}"[:300]}
        with out.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        print(line, flush=True)


def table(lines: list[dict[str, Any]]) -> str:
    """Return a line for each model: loss against the loop's, in percent, and share of its time."""
    rows = [
        "| model | sets | test loss against the loop's, % (each set) | median | mean | processor time |",
        "|---|---|---|---|---|---|",
    ]
    frame = pd.DataFrame([line for line in lines if "error" not in line])
    for model in cases():
        own = frame[frame.model == model]
        if own.empty:
            continue
        percent = 100 * (own.advice / own.loop - 1)
        each = ", ".join(f"{name} {value:+.1f}" for name, value in zip(own.set, percent, strict=True))
        shares = own.advice_s / own.loop_s
        rows.append(
            f"| {model} | {len(own)} | {each} | {percent.median():+.1f} | {percent.mean():+.1f} | "
            f"{shares.median():.2f} of the loop's ({shares.min():.2f} to {shares.max():.2f}) |"
        )
    failed = [line for line in lines if "error" in line]
    rows += [f"| {line['model']} | {line['set']} | {line['error']} | | | |" for line in failed]
    return "\n".join(rows)


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("command", choices=("run", "show"))
    parser.add_argument("--data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--models", default="all")
    parser.add_argument("--sets", default="all")
    parser.add_argument("--write", action="store_true")
    asked = parser.parse_args()
    if asked.command == "show":
        text = table(_lines(asked.out))
        write("own-models", text) if asked.write else print(text)
        return
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    run(asked.data, asked.out, asked.models, asked.sets)


if __name__ == "__main__":
    main()
