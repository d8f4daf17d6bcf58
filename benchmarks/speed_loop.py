"""c) `advise` against the loop that a user writes today.

The loop: Optuna's TPE, one conditional study over the kinds, 60 trials, each a 5-fold cross-validation on all
training rows with plain torch, one network after another, one thread. It searches the ranges that the library
searches (a generous gift: strengths per sum of learning rates), and is pruned by nothing. `advise` has its
default budget and the same recipe. Both winners are then trained on all training rows by the same plain loop,
with three seeds, and scored on the 30% held out.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import speed_data
import speed_plain
from sklearn.model_selection import KFold, StratifiedKFold
from speed_measure import Timing, clocked, in_process, machine, seconds

from regadvisor import advise
from regadvisor.families.neural.recipe import Recipe
from regadvisor.families.neural.schedule import full_run_rates
from regadvisor.families.neural.strengths import RANGES, in_actual_units
from regadvisor.regularizer import STRENGTHS, Kind, Regularizer

#: Sets with (at most) so many rows; larger ones are cut to 8,000 rows before the split.
SETS = ("phoneme", "spambase", "splice", "caravan", "phalanges_outlines", "california_housing", "house_8L")
MOST_ROWS = 8_000
KINDS: tuple[Kind, ...] = ("none", "l2", "l1", "elasticnet", "dropout", "dropout_l2")
N_TRIALS, N_FOLDS, EPOCHS, SEEDS = 60, 5, 20, (0, 1, 2)
CACHE = Path(__file__).with_name("speed_loops.json")

COLUMNS = (
    "data|training rows × columns|advice|loop's best|advise processor s (wall)|loop processor s|loop / advise"
    "|test loss: none|loop|advise|advise against loop"
)


def fold_rows(encoded: speed_data.Encoded, n_folds: int) -> list[tuple[Any, Any]]:
    """Return training and test row numbers of every fold."""
    if encoded.is_classification:
        splitter: Any = StratifiedKFold(n_folds, shuffle=True, random_state=0)
    else:
        splitter = KFold(n_folds, shuffle=True, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # classes of fewer rows than folds
        return list(splitter.split(np.zeros(len(encoded.y)), encoded.y))


def suggested(trial: Any, sum_lr: float) -> Regularizer:
    """Return the regularizer that a trial of the one conditional study suggests."""
    kind = trial.suggest_categorical("kind", list(KINDS))
    values = {
        name: trial.suggest_float(
            f"{kind}:{name}", RANGES[name].low, RANGES[name].high, log=RANGES[name].is_log
        )
        for name in STRENGTHS[kind]
    }
    return Regularizer(**in_actual_units(values, sum_lr), coupling="decoupled")


def search(
    rows: speed_plain.Rows, folds: list[tuple[Any, Any]], recipe: Recipe, *, n_trials: int
) -> Regularizer:
    """Run the user's loop and return its best regularizer."""
    import optuna
    import torch

    epochs = recipe.epochs or EPOCHS
    sum_lr = float(full_run_rates(recipe, n_rows=len(folds[0][0]), epochs=epochs).sum())
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=0))
    best = (float("inf"), Regularizer(coupling="decoupled"))
    for _ in range(n_trials):
        trial = study.ask()
        regularizer = suggested(trial, sum_lr)
        losses = []
        for number, (train, test) in enumerate(folds):
            part = rows.take(torch.from_numpy(train))
            network = speed_plain.trained_mlp(part, regularizer, recipe, epochs=epochs, seed=number)
            losses.append(speed_plain.row_losses(network, rows.take(torch.from_numpy(test))).mean())
        loss = float(np.mean(losses))
        study.tell(trial, loss)
        best = min(best, (loss, regularizer), key=lambda pair: pair[0])
    return best[1]


def test_loss(encoded: speed_data.Encoded, regularizer: Regularizer, recipe: Recipe) -> float:
    """Return the mean held-out loss of models trained on all training rows, over the seeds."""
    epochs, is_class = recipe.epochs or EPOCHS, encoded.is_classification
    rows = speed_plain.encoded_rows(encoded.X, encoded.y, is_classification=is_class)
    test = speed_plain.encoded_rows(encoded.X_test, encoded.y_test, is_classification=is_class)
    networks = (
        speed_plain.trained_mlp(rows, regularizer, recipe, epochs=epochs, seed=seed) for seed in SEEDS
    )
    return float(np.mean([speed_plain.row_losses(network, test).mean() for network in networks]))


def prepared(name: str, folder: str | None) -> tuple[speed_data.Data, speed_data.Encoded]:
    """Return the training rows as a user has them, and everything encoded."""
    if folder is None:
        data = speed_data.synthetic(int(name.split()[-1]))
    else:
        data = speed_data.read(name, Path(folder), most_rows=MOST_ROWS)
    train, test = speed_data.split(data)
    return train, speed_data.encode(train, test, for_network=True)


def loop_case(name: str, folder: str | None, n_trials: int, epochs: int) -> dict[str, Any]:
    """Measure the user's loop; called in a process of its own with one thread."""
    _, encoded = prepared(name, folder)
    rows = speed_plain.encoded_rows(encoded.X, encoded.y, is_classification=encoded.is_classification)
    recipe = Recipe(epochs=epochs)
    folds = fold_rows(encoded, N_FOLDS)
    search(rows, folds[:1], Recipe(epochs=1), n_trials=1)  # imports
    timing = clocked(partial(search, rows, folds, recipe, n_trials=n_trials))
    return {
        **_timed(timing),
        "strengths": timing.result.strengths(),
        "kind": timing.result.kind,
        "test_loss": test_loss(encoded, timing.result, recipe),
        "test_loss_none": test_loss(encoded, Regularizer(coupling="decoupled"), recipe),
    }


def advise_case(name: str, folder: str | None, epochs: int) -> dict[str, Any]:
    """Measure the default advice and train what it advises; called in a process of its own."""
    small = speed_data.synthetic(500, 5)
    recipe = Recipe(epochs=epochs)
    advise(small.X, small.y, model="mlp", effort="quick", recipe=Recipe(epochs=1))
    train, encoded = prepared(name, folder)
    timing = clocked(lambda: advise(train.X, train.y, model="mlp", recipe=recipe))
    advice = timing.result
    return {
        **_timed(timing),
        "shape": f"{train.shape} ({encoded.X.shape[1]})",
        "advice": f"{advice.record.walk.outcome} ({advice.status})",
        "test_loss": test_loss(encoded, advice.regularizer, recipe),
    }


def _timed(timing: Timing) -> dict[str, float]:
    return {"wall_s": timing.wall_s, "cpu_s": timing.cpu_s}


def cached(key: dict[str, Any], cache: Path) -> dict[str, Any]:
    """Return the user's loop on a set, measured once and then read from the cache."""
    stored: dict[str, Any] = json.loads(cache.read_text(encoding="utf-8")) if cache.exists() else {}
    text = json.dumps({**key, "kinds": KINDS, "folds": N_FOLDS}, sort_keys=True)
    name = f"{key['name']}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"
    if name not in stored:
        folder = key.pop("folder")
        found = in_process("speed_loop:loop_case", threads=1, folder=folder, **key)
        assert found is not None  # no timeout was given
        stored[name] = {**found, "settings": key, "machine": machine()}
        cache.write_text(json.dumps(stored, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return dict(stored[name])


def lines(
    folder: Path | None,
    *,
    names: tuple[str, ...] = SETS,
    n_trials: int = N_TRIALS,
    epochs: int = EPOCHS,
    cache: Path = CACHE,
) -> Iterator[list[str]]:
    """Yield the rows of the table and, last, the means."""
    ratios, excess = [], []
    place = None if folder is None else str(folder)
    for name in names:
        loop = cached({"name": name, "folder": place, "n_trials": n_trials, "epochs": epochs}, cache)
        ours = in_process("speed_loop:advise_case", name=name, folder=place, epochs=epochs)
        assert ours is not None  # no timeout was given
        ratios.append(loop["cpu_s"] / ours["cpu_s"])
        excess.append(100 * (ours["test_loss"] / loop["test_loss"] - 1))
        yield [
            name,
            ours["shape"],
            ours["advice"],
            loop["kind"],
            f"{seconds(ours['cpu_s'])} ({seconds(ours['wall_s'])})",
            seconds(loop["cpu_s"]),
            f"**{ratios[-1]:.1f}**",
            f"{loop['test_loss_none']:.4f}",
            f"{loop['test_loss']:.4f}",
            f"{ours['test_loss']:.4f}",
            f"{excess[-1]:+.1f}%",
        ]
    geometric = float(np.exp(np.mean(np.log(ratios))))
    means = ["", f"**{geometric:.1f}** (geometric mean)", "", "", "", f"**{np.mean(excess):+.1f}%** (mean)"]
    yield ["all", "", "", "", "", *means]
