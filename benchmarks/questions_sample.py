"""Checks of Q1: random draws pass, and shifts, biased labels and drift in time are found.

Every try has data (or a draw) of its own, so shares are of independent tries on synthetic data; on real sets
the tries are draws from the same rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from questions_rates import Rate

from regadvisor.data.source import make_table
from regadvisor.data.table import Table
from regadvisor.sampling.draw import Drawn, draw_sample

#: Rows of the sources, and rows of the samples that are judged.
N_SOURCE, N_SAMPLE = 8_000, 2_000
#: Real sets that random draws and shifted draws are taken from, and those whose rows stand in time.
DRAWN_SETS = ("adult", "california_housing", "caravan", "diamonds", "house_8L", "mammography", "spambase")
SORTED_SETS = (*DRAWN_SETS, "phoneme", "sk_breast_cancer", "sk_diabetes", "splice", "wine_quality_white")

Rng = np.random.Generator


@dataclass(frozen=True, kw_only=True)
class Design:
    """A law that sources are drawn from: features and target of so many rows."""

    name: str
    draw: Callable[[int, Rng], tuple[object, NDArray[np.float64]]]


def gaussian(n: int, rng: Rng, *, p: int = 20) -> tuple[object, NDArray[np.float64]]:
    """Return correlated normal features and two classes."""
    common = rng.normal(size=(n, 1))
    X = 0.6 * common + rng.normal(size=(n, p))
    return X, (X[:, 0] + rng.normal(size=n) > 0.8).astype(float)


def heavy(n: int, rng: Rng) -> tuple[object, NDArray[np.float64]]:
    """Return heavy-tailed features and a numeric target."""
    X = rng.standard_t(3, size=(n, 15))
    return X, X[:, 0] + rng.standard_t(3, size=n)


def mixed(n: int, rng: Rng) -> tuple[object, NDArray[np.float64]]:
    """Return a frame of numbers, categories and missing values, and a rare class."""
    frame = pd.DataFrame(rng.lognormal(size=(n, 6)), columns=[f"x{j}" for j in range(6)])
    frame.loc[rng.random(n) < 0.1, "x5"] = np.nan
    for j, n_levels in enumerate((3, 8, 25)):
        shares = rng.dirichlet(np.ones(n_levels))
        frame[f"c{j}"] = rng.choice([f"level{k}" for k in range(n_levels)], size=n, p=shares)
    return frame, (frame["x0"] * rng.lognormal(size=n) > 5.0).to_numpy(dtype=float)


def wide(n: int, rng: Rng, *, p: int = 200) -> tuple[object, NDArray[np.float64]]:
    """Return many features and a numeric target."""
    X = rng.normal(size=(n, p))
    return X, X[:, :5].sum(axis=1) + rng.normal(size=n)


DESIGNS = (
    Design(name="normal × 20", draw=gaussian),
    Design(name="heavy tails × 15", draw=heavy),
    Design(name="mixed types, missing, 5% rare class", draw=mixed),
    Design(name="normal × 200", draw=wide),
)
#: Tried a third as often, like the real sets: it takes ten times as long.
WIDEST = Design(name="normal × 1,000", draw=partial(wide, p=1_000))


def _table(design: Design, n: int, rng: Rng) -> Table:
    X, y = design.draw(n, rng)
    return make_table(X, y)


def judged(table: Table, rows: NDArray[np.intp], seed: int) -> str:
    """Return the verdict on given rows of a table."""
    return draw_sample(table, n_rows=len(rows), sample=rows, seed=seed).evidence.verdict


def random_draws(name: str, table_of: Callable[[Rng], Table], *, tries: int, seed: int) -> list[Rate]:
    """Return how often draws at random are called different or inconclusive: ours, and a caller's own."""
    ours, given = [], []
    for child in np.random.SeedSequence(seed).spawn(tries):
        rng = np.random.default_rng(child)
        table = table_of(rng)
        n_rows, number = min(N_SAMPLE, table.n_rows // 3), int(rng.integers(2**31))
        ours.append(draw_sample(table, n_rows=n_rows, seed=number).evidence.verdict)
        given.append(judged(table, rng.choice(table.n_rows, size=n_rows, replace=False), number))
    rates = []
    for what, verdicts in (("our draws", ours), ("the caller's random rows", given)):
        for verdict, most in (("different", 0.05), ("inconclusive", 0.10)):
            hits = verdicts.count(verdict)
            check = f"Q1: {what} called {verdict}"
            rates.append(Rate(check=check, on=name, hits=hits, tries=tries, wanted=most, side="at most"))
    return rates


def tilted_rows(values: NDArray[np.float64], n_rows: int, shift: float, rng: Rng) -> NDArray[np.intp]:
    """Return rows without replacement whose mean of `values` is about `shift` sds off that of the others.

    Rows are drawn with odds that grow exponentially with the value; the slope is found by bisection on the
    expected difference, with Gumbel keys (Yellott 1977) so that it is one fixed draw for every slope.
    """
    z = np.clip((values - np.nanmean(values)) / np.nanstd(values), -4.0, 4.0)
    z, keys = np.nan_to_num(z), rng.gumbel(size=len(values))
    low, high = 0.0, 10.0
    for _ in range(30):
        middle = 0.5 * (low + high)
        rows = np.argpartition(-(middle * z + keys), n_rows)[:n_rows]
        rest = np.delete(values, rows)
        reached = (np.nanmean(values[rows]) - np.nanmean(rest)) / np.nanstd(values)
        low, high = (middle, high) if reached < shift else (low, middle)
    return np.sort(rows).astype(np.intp)


def found(check: str, on: str, verdicts: list[str], *, wanted: float = 0.9) -> Rate:
    """Return how often *different* was found where it is true."""
    hits = verdicts.count("different")
    return Rate(check=check, on=on, hits=hits, tries=len(verdicts), wanted=wanted, side="at least")


def shifted_draws(design: Design, *, tries: int, seed: int) -> list[Rate]:
    """Return how often a shift of 0.25 sd in one column, and a draw biased by label, are found."""
    by_column, by_label = [], []
    for child in np.random.SeedSequence(seed).spawn(tries):
        rng = np.random.default_rng(child)
        X, y = design.draw(N_SOURCE, rng)
        table, number = make_table(X, y), int(rng.integers(2**31))
        numbers = X.to_numpy()[:, 0] if isinstance(X, pd.DataFrame) else np.asarray(X)[:, 0]
        rows = tilted_rows(np.asarray(numbers, dtype=float), N_SAMPLE, 0.25, rng)
        by_column.append(judged(table, rows, number))
        by_label.append(judged(table, tilted_rows(y, N_SAMPLE, 0.25, rng), number))
    return [
        found("Q1: one column shifted by 0.25 sd found", design.name, by_column),
        found("Q1: target shifted by 0.25 sd (biased labels) found", design.name, by_label),
    ]


def shifted_real(name: str, table: Table, *, tries: int, seed: int) -> Rate:
    """Return how often draws biased by label are found on a real set."""
    target, verdicts = table.y.astype(float), []
    for child in np.random.SeedSequence(seed).spawn(tries):
        rng = np.random.default_rng(child)
        rows = tilted_rows(target, min(N_SAMPLE, table.n_rows // 3), 0.25, rng)
        verdicts.append(judged(table, rows, int(rng.integers(2**31))))
    return found("Q1: target shifted by 0.25 sd (biased labels) found", name, verdicts)


# ----------------------------------------------------------------------------------------- time and order


def timed(n: int, rng: Rng, *, drift: float, memory: float = 0.0) -> Table:
    """Return rows in time, two classes, ten features.

    The first feature drifts within class, by `drift` sds from the first third to the last. With `memory` the
    features are stationary autoregressions: neighbours in time are alike without any drift.
    """
    noise = rng.normal(size=(n, 10))
    X = np.empty_like(noise)
    X[0] = noise[0]
    for row in range(1, n):
        X[row] = memory * X[row - 1] + np.sqrt(1 - memory**2) * noise[row]
    time = np.arange(n, dtype=float)
    y = (rng.random(n) < 0.4).astype(float)
    X[:, 0] += y + 1.5 * drift * time / n  # the middles of the outer thirds are 2/3 of the time apart
    return make_table(X, y, time=time)


def drift_rates(*, tries: int, seed: int) -> list[Rate]:
    """Return how often drift in time is found where there is some, and where there is none."""
    cases = (
        ("drift of 0.5 sd within class found", 0.5, 0.0, "at least", 0.9),
        ("drift of 0.25 sd (the least that counts) found", 0.25, 0.0, "shown", 0.0),
        ("no drift, independent rows: called drift", 0.0, 0.0, "at most", 0.05),
        ("no drift, stationary memory of 0.8: called drift", 0.0, 0.8, "at most", 0.05),
    )
    rates = []
    for check, drift, memory, side, wanted in cases:
        hits = 0
        for child in np.random.SeedSequence(seed).spawn(tries):
            rng = np.random.default_rng(child)
            table = timed(N_SAMPLE, rng, drift=drift, memory=memory)
            hits += draw_sample(table, n_rows=N_SAMPLE, seed=0).evidence.has_drift
        on = f"{N_SAMPLE:,} rows in time × 10"
        rates.append(Rate(check=f"Q1: {check}", on=on, hits=hits, tries=tries, wanted=wanted, side=side))
    return rates


def sorted_by_target(table: Table, rng: Rng) -> Table:
    """Return the rows in the order of the target, ties in random order, without any time or group."""
    shuffled = rng.permutation(table.n_rows)
    order = shuffled[np.argsort(table.y[shuffled], kind="stable")].astype(np.intp)
    return make_table(
        table.X[order] if isinstance(table.X, np.ndarray) else table.X.iloc[order], table.y[order]
    )


def hints(drawn: Drawn) -> bool:
    """Return whether the row order is taken for a change over time."""
    return drawn.evidence.has_drift or drawn.evidence.is_drift_hint


def sorted_rate(design: Design, *, tries: int, seed: int) -> Rate:
    """Return how often sorting by the target is taken for drift on synthetic data."""
    hits = 0
    for child in np.random.SeedSequence(seed).spawn(tries):
        rng = np.random.default_rng(child)
        table = sorted_by_target(_table(design, N_SAMPLE, rng), rng)
        hits += hints(draw_sample(table, n_rows=N_SAMPLE, seed=0))
    check = "Q1: label-sorted copy called drift"
    return Rate(check=check, on=design.name, hits=hits, tries=tries, wanted=0.0, side="at most")


def real_rates(folder: Path, *, tries: int, seed: int) -> Iterator[Rate]:
    """Yield the checks on real sets: random draws, biased labels, label-sorted copies."""
    tables = {name: read(folder / f"{name}.parquet") for name in SORTED_SETS}
    for name in DRAWN_SETS:
        # The table is the same every time, the draws are not.
        yield from random_draws(name, partial(_same, tables[name]), tries=tries, seed=seed)
        yield shifted_real(name, tables[name], tries=tries, seed=seed)
    verdicts = {}
    for name, table in tables.items():
        copy = sorted_by_target(table, np.random.default_rng(seed))
        verdicts[name] = hints(draw_sample(copy, n_rows=min(N_SAMPLE, table.n_rows), seed=0))
    missed = [name for name, hinted in verdicts.items() if hinted]
    yield Rate(
        check="Q1: label-sorted copy called drift",
        on=f"{len(verdicts)} real sets",
        hits=len(missed),
        tries=len(verdicts),
        side="at most",
        detail=", ".join(missed),
    )
    yield _real_drift(folder)


def _same(table: Table, rng: Rng) -> Table:
    return table


def _real_drift(folder: Path) -> Rate:
    """Return how often drift is found on sets that stand in time (which of them drift is not known)."""
    index = pd.read_csv(folder / "index.csv")
    names = index[(index.has_time == 1) & (index.n_targets == 1)]["name"].tolist()
    replies = {}
    for name in names:
        table = read(folder / f"{name}.parquet")
        replies[name] = draw_sample(table, n_rows=min(N_SAMPLE, table.n_rows), seed=0).evidence.has_drift
    return Rate(
        check="Q1: called drift in time",
        on="real sets in time, truth unknown",
        hits=sum(replies.values()),
        tries=len(replies),
        detail=", ".join(f"{name} {'yes' if reply else 'no'}" for name, reply in replies.items()),
    )


def read(path: Path) -> Table:
    """Return the checked table of a Parquet file with the columns target, __group__ and __time__."""
    frame = pd.read_parquet(path)
    targets = [name for name in frame.columns if str(name).startswith("target")]
    rows = {"groups": "__group__", "time": "__time__"}
    rest = {key: frame[name] for key, name in rows.items() if name in frame.columns}
    X = frame.drop(columns=[*targets, *(name for name in rows.values() if name in frame.columns)])
    return make_table(X, frame[targets[0]], **rest)


def all_rates(folder: Path | None, *, tries: int, real_tries: int, seed: int) -> Iterator[Rate]:
    """Yield every check of Q1; then those of random draws and shifts once more, over all data together."""
    rates = []
    for rate in _each(folder, tries=tries, real_tries=real_tries, seed=seed):
        rates.append(rate)
        yield rate
    for check in dict.fromkeys(rate.check for rate in rates):
        same = [rate for rate in rates if rate.check == check]
        if len(same) > 1:
            hits, n_tried = sum(rate.hits for rate in same), sum(rate.tries for rate in same)
            yield replace(same[0], on="**all together**", hits=hits, tries=n_tried, detail="")


def _each(folder: Path | None, *, tries: int, real_tries: int, seed: int) -> Iterator[Rate]:
    for design in (*DESIGNS, WIDEST):
        n_tries = real_tries if design is WIDEST else tries
        yield from random_draws(design.name, partial(_fresh, design), tries=n_tries, seed=seed)
        yield from shifted_draws(design, tries=n_tries, seed=seed + 1)
        yield sorted_rate(design, tries=n_tries, seed=seed + 2)
    yield from drift_rates(tries=tries, seed=seed + 3)
    if folder is not None:
        yield from real_rates(folder, tries=real_tries, seed=seed + 4)


def _fresh(design: Design, rng: Rng) -> Table:
    return _table(design, N_SOURCE, rng)
