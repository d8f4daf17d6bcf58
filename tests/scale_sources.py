"""Tables on disk, and a plain loop over all rows, for the tests of what is read in parts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from regadvisor.scale.sketch import Spec, row_ids, row_keys


def some_rows(n_rows: int, *, seed: int = 0) -> pd.DataFrame:
    """Return numbers, text, missing values and a rare class."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(rng.normal(50.0, 3.0, size=(n_rows, 3)), columns=["a", "b", "c"])
    frame["count"] = rng.integers(0, 100, n_rows)
    frame["city"] = rng.choice(["Bonn", "Köln, am Rhein", "Ulm"], n_rows, p=[0.7, 0.2, 0.1])
    frame.loc[rng.random(n_rows) < 0.1, "b"] = np.nan
    score = frame["a"] + rng.normal(size=n_rows)
    frame["y"] = np.where(score > np.quantile(score, 0.6), "yes", "no")
    frame.loc[rng.random(n_rows) < 15 / n_rows, "y"] = "rare"
    return frame


def write(frame: pd.DataFrame, folder: Path, kind: str, *, n_files: int = 3) -> Path:
    """Write a frame as several files of a kind, the rows in order."""
    folder.mkdir(parents=True, exist_ok=True)
    for i, rows in enumerate(np.array_split(np.arange(len(frame)), n_files)):
        part, path = frame.iloc[rows], folder / f"part-{i}.{kind}"
        if kind == "parquet":
            part.to_parquet(path, row_group_size=max(1, len(part) // 3))
        elif kind.startswith("csv"):
            part.to_csv(path, index=False)
        else:
            part.to_json(path, orient="records", lines=True, double_precision=15)
    return folder


def ranks_by_hand(y: pd.Series[Any], ids: NDArray[np.uint64], spec: Spec) -> pd.Series[Any]:
    """Return the rank of each row's key among the rows of its class, from 1 on."""
    own = row_keys(ids, spec)
    return pd.Series(own, index=y.index).groupby(y).rank()


def ids_of_files(sizes: list[int]) -> np.ndarray:
    """Return the ids of all rows of files of these sizes."""
    return np.concatenate([row_ids(file, 0, size) for file, size in enumerate(sizes)])
