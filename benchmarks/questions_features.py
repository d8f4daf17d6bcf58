"""Checks of Q3a (correlated?) and Q3b (whole picture?) on generated designs and on well-known real sets.

What real sets are is taken from their description (index.csv, textbooks), never from the measured reply.
Every real set counts once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from questions_rates import Rate, counted
from questions_sample import read
from scipy.ndimage import gaussian_filter
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits

from regadvisor.data.source import make_table
from regadvisor.data.table import Table
from regadvisor.evidence.correlation import measure_correlation
from regadvisor.evidence.whole_picture import measure_whole_picture
from regadvisor.thresholds import DENSITY_YES

Rng = np.random.Generator
Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Features:
    """A law that features are drawn from, and the reply it ought to have."""

    name: str
    draw: Callable[[Rng], object]
    truth: str


def correlated_normal(n: int, matrix: Floats, rng: Rng) -> Floats:
    """Return normal rows with the given correlation matrix."""
    return rng.normal(size=(n, len(matrix))) @ np.linalg.cholesky(matrix).T


def equal(p: int, r: float) -> Floats:
    """Return the correlation matrix of `p` columns that all correlate by `r`."""
    return np.full((p, p), r) + (1 - r) * np.eye(p)


def along(p: int, r: float) -> Floats:
    """Return the correlation matrix ``r^|i − j|`` of a series."""
    return r ** np.abs(np.subtract.outer(np.arange(p), np.arange(p)))


def _twins(rng: Rng) -> Floats:
    X = rng.normal(size=(400, 12))
    X[:, 3] = X[:, 0] + 0.1 * rng.normal(size=400)
    return X


def _factors(n: int, p: int, rng: Rng) -> Floats:
    return rng.normal(size=(n, 4)) @ rng.normal(size=(4, p)) + 2.0 * rng.normal(size=(n, p))


def _categories(rng: Rng, *, is_related: bool) -> pd.DataFrame:
    hidden = rng.normal(size=600)
    frame = pd.DataFrame()
    for j in range(5):
        own = rng.normal(size=600)
        score = hidden + 0.5 * own if is_related else own
        frame[f"c{j}"] = pd.cut(pd.Series(score), 5).astype(str).to_numpy()
        frame[f"x{j}"] = hidden + rng.normal(size=600) if is_related else rng.lognormal(size=600)
    return frame


CORRELATED = (
    Features(name="normal 300 × 20, independent", draw=lambda r: r.normal(size=(300, 20)), truth="no"),
    Features(name="Cauchy 300 × 20, independent", draw=lambda r: r.standard_cauchy((300, 20)), truth="no"),
    Features(name="counts 500 × 30, independent", draw=lambda r: 1.0 * r.poisson(0.5, (500, 30)), truth="no"),
    Features(name="normal 100 × 300, independent", draw=lambda r: r.normal(size=(100, 300)), truth="no"),
    Features(name="mixed types, independent", draw=lambda r: _categories(r, is_related=False), truth="no"),
    Features(
        name="all pairs 0.1, 500 × 20", draw=lambda r: correlated_normal(500, equal(20, 0.1), r), truth="no"
    ),
    Features(
        name="all pairs 0.5, 300 × 20", draw=lambda r: correlated_normal(300, equal(20, 0.5), r), truth="yes"
    ),
    Features(
        name="series 0.9, 300 × 30", draw=lambda r: correlated_normal(300, along(30, 0.9), r), truth="yes"
    ),
    Features(name="one column nearly repeated, 400 × 12", draw=_twins, truth="yes"),
    Features(name="4 factors, 100 × 300", draw=lambda r: _factors(100, 300, r), truth="yes"),
    Features(name="mixed types, one factor", draw=lambda r: _categories(r, is_related=True), truth="yes"),
)
#: Well-known real sets: which are correlated according to their description or a textbook.
REAL_CORRELATED = {
    "bike_hour": "yes",
    "bdf_language": "yes",
    "chicago_ridership": "yes",
    "diamonds": "yes",
    "ecg200": "yes",
    "energy_efficiency": "yes",
    "hitters_salary": "yes",
    "mir_fresh_meats": "yes",
    "nir_gasoline": "yes",
    "nir_tecator_meat": "yes",
    "pd_speech": "yes",
    "sk_breast_cancer": "yes",
    "sk_diabetes": "yes",
    "sonar": "yes",
    "cnae9": "no",
    "newsgroup_pcmac": "no",
    "smarket": "no",
    "sms_spam": "no",
    "splice": "no",
}


def correlation_rates(folder: Path | None, *, tries: int, seed: int) -> Iterator[Rate]:
    """Yield the checks of Q3a."""
    for design in CORRELATED:
        replies = []
        for child in np.random.SeedSequence(seed).spawn(tries):
            rng = np.random.default_rng(child)
            X = design.draw(rng)
            table = make_table(X, rng.normal(size=len(X)))  # type: ignore[arg-type]
            replies.append(measure_correlation(table, seed=0).measured)
        yield _reply_rate("Q3a", design.name, replies, design.truth)
    known: dict[str, tuple[Table, str]] = {
        "sk_breast_cancer": (make_table(*load_breast_cancer(return_X_y=True)), "yes"),
        "sk_diabetes": (make_table(*load_diabetes(return_X_y=True)), "yes"),
    }
    if folder is not None:
        known = {name: (read(folder / f"{name}.parquet"), truth) for name, truth in REAL_CORRELATED.items()}
    for truth in ("yes", "no"):
        tables = {name: table for name, (table, is_so) in known.items() if is_so == truth}
        if tables:
            replies = {name: measure_correlation(table, seed=0).measured for name, table in tables.items()}
            yield _sets_rate("Q3a", f"real sets known as {_known(truth)}", replies, truth, wanted=0.9)


def _known(truth: str) -> str:
    return "correlated" if truth == "yes" else "not correlated"


def _reply_rate(question: str, on: str, replies: list[str | None], truth: str, wanted: float = 0.9) -> Rate:
    return Rate(
        check=f"{question}: {truth}",
        on=on,
        hits=replies.count(truth),
        tries=len(replies),
        wanted=wanted,
        side="at least",
        detail="" if set(replies) == {truth} else counted(replies),
    )


def _sets_rate(question: str, on: str, replies: dict[str, str | None], truth: str, *, wanted: float) -> Rate:
    missed = [f"{name} {reply}" for name, reply in replies.items() if reply != truth]
    return Rate(
        check=f"{question}: {truth}",
        on=on,
        hits=len(replies) - len(missed),
        tries=len(replies),
        wanted=wanted,
        side="at least",
        detail=", ".join(missed),
    )


# ------------------------------------------------------------------------------------- whole picture


def target_of(X: Floats, effects: Floats, rng: Rng, *, noise: float = 1.0) -> Floats:
    """Return a target of standardised features times effects, with noise of this share of the signal's sd."""
    signal = ((X - X.mean(axis=0)) / X.std(axis=0)) @ effects
    return signal + noise * signal.std() * rng.normal(size=len(X))


def _sparse_table(rng: Rng) -> tuple[Floats, Floats]:
    X = rng.normal(size=(800, 60))
    return X, target_of(X, np.repeat([1.0, 0.0], [4, 56]), rng)


def _dense_table(rng: Rng) -> tuple[Floats, Floats]:
    X = rng.normal(size=(800, 60))
    return X, target_of(X, rng.normal(size=60), rng)


def _groups(rng: Rng, size: int) -> tuple[Floats, Floats]:
    """Return groups of `size` related neighbours of which one group matters: a table, not a picture."""
    X = np.repeat(rng.normal(size=(800, 60 // size)), size, axis=1) + rng.normal(size=(800, 60))
    return X, target_of(X, np.repeat([1.0, 0.0], [size, 60 - size]), rng)


def _series(rng: Rng) -> tuple[Floats, Floats]:
    X = correlated_normal(300, along(80, 0.95), rng)
    return X, target_of(X, rng.normal(size=80), rng)


def _noisy_series(rng: Rng) -> tuple[Floats, Floats]:
    X = correlated_normal(300, along(80, 0.95), rng) + 0.5 * rng.normal(size=(300, 80))
    return X, target_of(X, rng.normal(size=80), rng)


def _pictures(rng: Rng) -> tuple[Floats, Floats]:
    smooth = gaussian_filter(rng.normal(size=(400, 14, 14)), sigma=(0, 1.5, 1.5))
    X = smooth.reshape(400, 196)
    return X, target_of(X, rng.normal(size=196), rng)


PICTURES = (
    ("sparse signal, 800 × 60", _sparse_table, "no"),
    ("groups of 3 related neighbours, one matters", partial(_groups, size=3), "no"),
    ("groups of 5 related neighbours, one matters", partial(_groups, size=5), "no"),
    ("groups of 10 related neighbours, one matters", partial(_groups, size=10), "no"),
    ("dense signal, 800 × 60", _dense_table, "yes"),
    ("series of 80 points", _series, "yes"),
    ("series of 80 points, noise of 0.5 sd", _noisy_series, "yes"),
    ("smooth pictures of 14 × 14, flattened", _pictures, "yes"),
)
#: Kinds of the index that are pictures, and those that are tables of separate variables.
PICTURE_KINDS = ("image", "spectra")
TABLE_KINDS = ("tabular", "missing", "imbalanced", "time-ordered", "grouped")
OTHER_KINDS = ("p>>n", "text")


def shuffled_columns(X: object, rng: Rng) -> object:
    """Return the same columns in random order."""
    order = rng.permutation(X.shape[1])  # type: ignore[attr-defined]
    return X.iloc[:, order] if isinstance(X, pd.DataFrame) else X[:, order]  # type: ignore[index]


def picture_rates(folder: Path | None, *, tries: int, seed: int) -> Iterator[Rate]:
    """Yield the checks of Q3b."""
    for name, draw, truth in PICTURES:
        replies, shuffled = [], []
        for child in np.random.SeedSequence(seed).spawn(tries):
            rng = np.random.default_rng(child)
            X, y = draw(rng)
            replies.append(measure_whole_picture(make_table(X, y), seed=0).measured)
            if name.startswith("dense"):
                mixed = make_table(shuffled_columns(X, rng), y)
                shuffled.append(measure_whole_picture(mixed, seed=0).measured)
        yield _reply_rate("Q3b", name, replies, truth)
        if shuffled:
            yield _reply_rate("Q3b", f"{name}, columns shuffled", shuffled, truth)
    yield from _real_pictures(folder, seed=seed)


def _real_pictures(folder: Path | None, *, seed: int) -> Iterator[Rate]:
    if folder is None:
        X, y = load_digits(return_X_y=True)
        pictures = {"sk_digits": make_table(X.reshape(-1, 8, 8), y)}
        flattened = {"sk_digits": make_table(X, y)}
        tables = {"sk_breast_cancer": make_table(*load_breast_cancer(return_X_y=True))}
        others: dict[str, dict[str, Table]] = {}
    else:
        pictures = dict(load_kinds(folder, PICTURE_KINDS, fewest=1))
        flattened = dict(load_kinds(folder, ("image",), fewest=1, is_flattened=True))
        tables = dict(load_kinds(folder, TABLE_KINDS, fewest=30))
        others = {kind: dict(load_kinds(folder, (kind,), fewest=30)) for kind in OTHER_KINDS}
    replies = {name: measure_whole_picture(table, seed=0).measured for name, table in pictures.items()}
    yield _sets_rate("Q3b", "image and spectra sets", replies, "yes", wanted=0.95)
    replies = {name: measure_whole_picture(table, seed=0).measured for name, table in flattened.items()}
    yield _sets_rate("Q3b", "images given as flat columns", replies, "yes", wanted=0.95)
    yield from _shuffled_rate({**pictures, **flattened, **tables}, seed=seed)
    replies = {name: measure_whole_picture(table, seed=0).measured for name, table in tables.items()}
    yield _sets_rate("Q3b", "tabular sets, p ≥ 30", replies, "no", wanted=0.9)
    for kind, group in others.items():
        found = [measure_whole_picture(table, seed=0).measured for table in group.values()]
        yield Rate(
            check="Q3b: no",
            on=f"{kind} sets (no one reply is right)",
            hits=found.count("no"),
            tries=len(found),
            detail=counted(found),
        )


def _shuffled_rate(tables: dict[str, Table], *, seed: int) -> Iterator[Rate]:
    """Yield how often a density that says yes still says so when the columns are shuffled."""
    kept = {}
    for name, table in tables.items():
        density = measure_whole_picture(table, seed=0).density
        if density is not None and density >= DENSITY_YES and table.facts.image_shape is None:
            X = shuffled_columns(table.X, np.random.default_rng(seed))
            y = np.asarray(table.facts.classes)[table.y] if table.is_classification else table.y
            kept[name] = measure_whole_picture(make_table(X, y), seed=0).measured
    if kept:
        yield _sets_rate("Q3b", "dense real sets, columns shuffled", kept, "yes", wanted=0.95)


def load_kinds(
    folder: Path, kinds: Iterable[str], *, fewest: int, is_flattened: bool = False
) -> Iterator[tuple[str, Table]]:
    """Yield the sets of some kinds with at least so many columns; images as arrays, or flattened."""
    index = pd.read_csv(folder / "index.csv")
    for _, row in index[index.kind.isin(list(kinds)) & (index.p >= fewest)].iterrows():
        if row.file.endswith(".npz"):
            with np.load(folder / row.file) as stored:
                X, y = stored["X"].astype(np.float64), stored["y"]
            yield row["name"], make_table(X.reshape(len(X), -1) if is_flattened else X, y)
        else:
            yield row["name"], read(folder / row.file)
