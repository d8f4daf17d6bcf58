"""Small tables for the sampling tests."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pandas.api.types import is_numeric_dtype

from regadvisor.data.table import Table
from regadvisor.records import Column, DataFacts


def columns_of(X: Any) -> tuple[Column, ...]:
    """Return the facts of features: what is neither a number nor a date is a category."""
    if not hasattr(X, "iloc"):
        return tuple(Column(name=f"column {j}", kind="numeric") for j in range(X.shape[1]))
    kinds = ["numeric" if is_numeric_dtype(own) or own.kind == "M" else "categorical" for own in X.dtypes]
    return tuple(Column(name=name, kind=kind) for name, kind in zip(X.columns, kinds, strict=True))


def make_table(X: Any, y: NDArray[Any], *, classes: tuple[Any, ...] | None = None, **rest: Any) -> Table:
    """Return a table; an integer target is a class."""
    is_class = np.issubdtype(y.dtype, np.integer)
    if is_class and classes is None:
        classes = tuple(range(int(y.max()) + 1))
    task = "regression" if not is_class else "binary" if len(classes or ()) == 2 else "multiclass"
    container = "frame" if hasattr(X, "iloc") else "array" if isinstance(X, np.ndarray) else "sparse"
    names = list(X.columns) if container == "frame" else [f"x{j}" for j in range(X.shape[1])]
    kinds = ["numeric"] * len(names)
    if container == "frame":
        kinds = ["numeric" if is_numeric_dtype(X[name].dtype) else "categorical" for name in names]
    columns = tuple(Column(name=name, kind=kind) for name, kind in zip(names, kinds, strict=True))
    facts = DataFacts(container=container, task=task, n_rows=len(y), columns=columns, classes=classes)
    for array in (X, y, *rest.values()):
        if isinstance(array, np.ndarray):
            array.setflags(write=False)  # inputs may be read-only, and are never written into
    return Table(X=X, y=y, facts=facts, **rest)


def noisy_classes(n: int, p: int, *, seed: int, share: float = 0.5, **rest: Any) -> Table:
    """Return standard normal features of which the first tells the class, with a given share of ones."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p))
    score = X[:, 0] + rng.normal(size=n)
    y = (score > np.quantile(score, 1 - share)).astype(np.intp)
    return make_table(X, y, **rest)


def noisy_values(n: int, p: int, *, seed: int, **rest: Any) -> Table:
    """Return standard normal features and a numeric target that mostly is the first."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p))
    return make_table(X, X[:, 0] + 0.5 * rng.normal(size=n), **rest)
