"""Data for the speed benchmarks: synthetic rows, and Parquet files of a folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from regadvisor.data.source import make_table
from regadvisor.data.table import Table
from regadvisor.families.preprocess import make_preprocessor


@dataclass(frozen=True, kw_only=True, eq=False)
class Data:
    """Features and target as a user has them."""

    name: str
    X: Any
    y: Any

    @property
    def shape(self) -> str:
        """Rows × columns, for a table."""
        return f"{self.X.shape[0]:,} × {self.X.shape[1]:,}"


def synthetic(n: int, p: int = 30, *, seed: int = 0) -> Data:
    """Return two classes: at most ten features matter, two pairs interact, a tenth of the labels is noise."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p))
    beta = np.where(np.arange(p) < max(1, min(10, p // 3)), 1.0, 0.0) * rng.normal(size=p)
    score = X @ beta
    if p >= 4:
        score += X[:, 0] * X[:, 1] - X[:, 2] * X[:, 3]
    y = (score > 0).astype(np.int64)
    flipped = rng.random(n) < 0.1
    y[flipped] = 1 - y[flipped]
    return Data(name=f"synthetic, n = {n:,}", X=X, y=y)


def read(name: str, folder: Path, *, most_rows: int | None = None, seed: int = 0) -> Data:
    """Return a set of a folder, at most so many rows of it (drawn at random), without group and time."""
    frame = pd.read_parquet(folder / f"{name}.parquet")
    if most_rows is not None and len(frame) > most_rows:
        frame = frame.sample(most_rows, random_state=seed)
    frame = frame.reset_index(drop=True)
    extra = [column for column in ("__group__", "__time__") if column in frame.columns]
    return Data(name=name, X=frame.drop(columns=["target", *extra]), y=frame["target"])


@dataclass(frozen=True, kw_only=True, eq=False)
class Encoded:
    """Rows encoded as the networks (or the linear models) take them.

    Classes are codes; a numeric target is standardised, so a squared error is one over its variance.
    """

    X: Any
    y: NDArray[Any]
    is_classification: bool


def encode(data: Data, *, for_network: bool) -> Encoded:
    """Fit the library's preprocessing and encode the rows."""
    table = make_table(data.X, data.y)
    return Encoded(
        X=make_preprocessor(table.facts, for_network=for_network).fit_transform(table.X),
        y=_target(table, data.y),
        is_classification=table.is_classification,
    )


def _target(table: Table, y: Any) -> NDArray[Any]:
    """Return class codes in the order of the table's classes, or the standardised target."""
    values = np.asarray(y)
    if table.is_classification:
        return np.searchsorted(np.asarray(table.facts.classes), values).astype(np.int64)
    return (values.astype(np.float64) - table.y.mean()) / table.y.std()
