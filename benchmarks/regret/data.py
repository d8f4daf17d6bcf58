"""Which data sets, and one of them in memory."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from regadvisor.data.source import make_table
from regadvisor.data.table import Table

Rows = NDArray[np.intp]

#: What the columns of several targets begin with.
SEVERAL = "target__"
#: Sixteen varied sets: 97 to 48,842 rows; tables, text, spectra, images, p > n, time, groups, rare classes,
#: missing values, no signal at all. Chosen by their entries in index.csv before anything was trained.
CORE = (
    "prostate_lpsa",
    "mir_fresh_meats",
    "eye_trim32",
    "hitters_salary",
    "sk_diabetes",
    "titanic",
    "vowel_speakers",
    "cnae9",
    "smarket",
    "sk_digits",
    "wine_quality_white",
    "phoneme",
    "caravan",
    "chicago_ridership",
    "california_housing",
    "adult",
)


@dataclass(frozen=True, kw_only=True, eq=False)
class DataSet:
    """One data set.

    Attributes
    ----------
    X : DataFrame or ndarray of float32, shape (n_rows, n_features)
        Images are flattened.
    y : Series, shape (n_rows,), or DataFrame, shape (n_rows, n_targets)
    groups, time : Series of shape (n_rows,), or None
    fingerprint : str
        Hash of the file and of the rows kept.
    n_source : int
        Rows of the file, before `max_rows`.
    """

    name: str
    kind: str
    task: Literal["classification", "regression"]
    X: pd.DataFrame | NDArray[np.float32]
    y: pd.Series | pd.DataFrame
    groups: pd.Series | None
    time: pd.Series | None
    fingerprint: str
    n_source: int

    @property
    def n_rows(self) -> int:
        """Rows kept."""
        return len(self.y)

    def features(self, rows: Rows) -> Any:
        """Return the features of some rows."""
        return self.X.iloc[rows] if isinstance(self.X, pd.DataFrame) else self.X[rows]

    def arguments(self, rows: Rows) -> dict[str, Any]:
        """Return the arguments of ``advise`` or ``make_table`` that describe some rows."""
        pick = {"groups": self.groups, "time": self.time}
        given = {name: values.iloc[rows] for name, values in pick.items() if values is not None}
        return {"X": self.features(rows), "y": self.y.iloc[rows], "task": self.task, **given}

    def table(self, rows: Rows) -> Table:
        """Return some rows as a table of their own: nothing in it knows of the other rows."""
        return make_table(**self.arguments(rows))


def choose_sets(folder: Path, sets: str, *, most_targets: int | None = None) -> list[pd.Series]:
    """Return the entries of index.csv for ``"core"``, ``"all"``, ``"rest"`` (all but core) or names.

    ``"exchangeable"``: all sets without groups and order in time.

    Sets with more than `most_targets` are left out, if it is given. The core panel keeps its own order; the
    others come smallest first (rows × columns), so that a background run shows many results early.
    """
    index = pd.read_csv(folder / "index.csv")
    if most_targets is not None:
        index = index[index.n_targets <= most_targets]
    index = index.assign(size=index.n * index.p).sort_values("size", kind="stable")
    names = [name for name in CORE if name in set(index.name)] if sets == "core" else sets.split(",")
    if sets in ("all", "rest"):
        names = [name for name in index.name if sets == "all" or name not in CORE]
    if sets == "exchangeable":
        names = list(index[(index.has_group == 0) & (index.has_time == 0)].name)
    unknown = sorted(set(names) - set(index.name))
    if unknown:
        raise SystemExit(
            f"--sets must be core, all, rest, exchangeable or names of {folder}/index.csv, got {unknown}"
        )
    by_name = {row["name"]: row for _, row in index.iterrows()}
    return [by_name[name] for name in names]


def load(folder: Path, entry: pd.Series, *, max_rows: int) -> DataSet:
    """Read one data set; of a larger one `max_rows` random rows are kept, in their order.

    The target is the column ``target``, or several targets are the columns ``target__*``.

    The draw depends on the name alone, so every split and every run sees the same rows.
    """
    path = folder / entry.file
    frame, X = _read(path)
    targets = [name for name in frame if name == "target" or str(name).startswith(SEVERAL)]
    special = [*targets, *(name for name in ("__group__", "__time__") if name in frame)]
    kept = np.flatnonzero(frame[targets].notna().all(axis=1).to_numpy())
    if len(kept) > max_rows:
        seed = int.from_bytes(hashlib.blake2b(entry["name"].encode(), digest_size=4).digest(), "big")
        kept = np.sort(np.random.default_rng(seed).choice(kept, max_rows, replace=False))
    digest = hashlib.blake2b(path.read_bytes() + kept.astype("<i8").tobytes(), digest_size=8).hexdigest()
    rows = frame.iloc[kept].reset_index(drop=True)
    return DataSet(
        name=str(entry["name"]),
        kind=str(entry.kind),
        task="regression" if entry.task in ("regression", "multioutput") else "classification",
        X=rows.drop(columns=special) if X is None else X[kept],
        y=rows["target"] if targets == ["target"] else rows[targets].rename(columns=_short),
        groups=rows.get("__group__"),
        time=rows.get("__time__"),
        fingerprint=digest,
        n_source=len(frame),
    )


def _short(name: str) -> str:
    return name.removeprefix(SEVERAL)


def _read(path: Path) -> tuple[pd.DataFrame, NDArray[np.float32] | None]:
    """Return the columns of a Parquet file, or target and flattened images of an npz file."""
    if path.suffix != ".npz":
        return pd.read_parquet(path), None
    with np.load(path) as arrays:
        images = arrays["X"].reshape(len(arrays["X"]), -1).astype(np.float32)
        return pd.DataFrame({"target": arrays["y"]}), images
