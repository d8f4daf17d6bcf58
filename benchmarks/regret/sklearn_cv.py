"""What scikit-learn's ``*CV`` estimators choose by their defaults, and what it costs on the test rows."""

from __future__ import annotations

import time
import warnings
from collections import defaultdict
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import ElasticNetCV, LassoCV, LogisticRegressionCV, RidgeCV

from regadvisor.data.table import Table
from regadvisor.families.fitted.losses import LogLoss
from regadvisor.families.preprocess import make_preprocessor

Losses = dict[str, NDArray[np.float64]]
Seconds = dict[str, float]


def sklearn_policies(table: Table, *, n_train: int, seed: int) -> tuple[Losses, Seconds]:
    """Return the test losses per row of every ``*CV`` estimator for the task, fitted on the first rows.

    Beside them, the processor seconds of each one's ``fit``.

    The features are those of the linear family. Defaults are kept but for two: rows are shuffled first (the
    default folds do not), and the logistic regression chooses by log loss, by which it is judged here. Of
    several targets each has an estimator, and a strength, of its own.
    """
    rows = np.random.default_rng([seed, 29]).permutation(n_train)
    train, test = table.take(rows), table.take(np.arange(n_train, table.n_rows))
    preprocessor = make_preprocessor(table.facts, for_network=False).fit(train.X)
    features = [_dense(preprocessor.transform(part.X)) for part in (train, test)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.simplefilter("ignore", UserWarning)  # classes with fewer rows than folds
        if table.is_classification:
            return _classified(features, train.y, test.y, table.n_classes)
        seconds: Seconds = defaultdict(float)
        found = [
            _predicted(features, y, y_test, variance=float(np.var(whole)) or 1.0, seconds=seconds)
            for y, y_test, whole in zip(train.targets.T, test.targets.T, table.targets.T, strict=True)
        ]
        mean = {name: np.mean([losses[name] for losses in found], axis=0) for name in found[0]}
        return mean, dict(seconds)


def _dense(encoded: Any) -> NDArray[np.float64]:
    filled = encoded.toarray() if hasattr(encoded, "toarray") else encoded
    return np.asarray(filled, dtype=np.float64)


def _classified(
    features: list[NDArray[np.float64]], y: NDArray[Any], y_test: NDArray[Any], n_classes: int
) -> tuple[Losses, Seconds]:
    model = LogisticRegressionCV(Cs=10, l1_ratios=(0.0,), scoring="neg_log_loss", use_legacy_attributes=False)
    start = time.process_time()
    try:
        model.fit(features[0], y)
    except ValueError:  # a fold that lacks a class cannot be scored by log loss: the default's own limit
        return {}, {}
    seconds = time.process_time() - start
    chances = np.zeros((len(y_test), n_classes))
    chances[:, model.classes_] = model.predict_proba(features[1])
    losses = LogLoss().per_row(y_test, chances, np.ones(1))
    return {"LogisticRegressionCV": losses}, {"LogisticRegressionCV": seconds}


def _predicted(
    features: list[NDArray[np.float64]],
    y: NDArray[Any],
    y_test: NDArray[Any],
    *,
    variance: float,
    seconds: Seconds,
) -> Losses:
    mean, sd = float(y.mean()), float(y.std()) or 1.0
    losses = {}
    for model in (RidgeCV(), LassoCV(), ElasticNetCV()):
        start = time.process_time()
        model.fit(features[0], (y - mean) / sd)
        seconds[type(model).__name__] += time.process_time() - start
        predicted = mean + sd * model.predict(features[1])
        losses[type(model).__name__] = (y_test - predicted) ** 2 / variance
    return losses
