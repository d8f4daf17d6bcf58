"""Which traps does regadvisor see in real data, how often in clean data, and what do the checks cost?

usage: python benchmarks/traps.py [--data DIR] [--draws 30] [--write]

With ``--data``: what fires on every set of a folder of Parquet files (as ``untouched.py`` reads it,
groups not passed). Clean tables: simulated ones of seven kinds, and the real sets with the target shuffled or
every column shuffled by itself; there only the checks that hold columns against the target or rows against
rows count, as extreme values stay extreme. With --write the tables replace those in benchmarks/RESULTS.md.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from regret.data import choose_sets, load
from results import write
from scipy import sparse

from regadvisor.data.source import make_table
from regadvisor.records import CURVED_SIGNAL, HIDDEN_SIGNAL, Note
from regadvisor.traps.find import find_traps
from regadvisor.traps.hidden import hidden_signal

CODES = ("leak", "shared-source", "numbers-rows", "extreme-features", "extreme-target", "skewed-target")
CODES += ("separable-classes", HIDDEN_SIGNAL, "near-leak", "codes-as-numbers", "stands-for-missing")
CODES += ("piled-target", "counts-target", "target-bands", "target-numbers-rows", "made-rows")
CODES += (CURVED_SIGNAL, "target-means", "rows-in-series", "later-target")
#: What shuffling takes away.
RELATIONS = ("leak", "shared-source", "separable-classes", HIDDEN_SIGNAL, "near-leak", "codes-as-numbers")
RELATIONS += (CURVED_SIGNAL, "target-means", "target-bands", "rows-in-series", "later-target")
#: Share of the clean tables on which a check may fire.
ALLOWED = 0.02
#: Rows of real sets that are shuffled.
MOST_ROWS = 3_000

Rows = tuple[Any, Any]


def simulated(seed: int) -> Iterator[tuple[str, Rows]]:
    """Yield one clean table of each kind: a signal and noise, and nothing odd."""
    r = np.random.default_rng(seed)
    n, p = int(r.integers(60, 1_500)), int(r.integers(2, 40))
    X = r.normal(size=(n, p))

    def target(features: np.ndarray) -> np.ndarray:
        y = features[:, 0] - 0.5 * features[:, -1] + r.choice([0.5, 1.0, 3.0]) * r.normal(size=len(features))
        return y if r.random() < 0.5 else (y > np.median(y)).astype(int)

    yield "Gaussian", (X, target(X))
    factors = r.normal(size=(n, 3)) @ r.normal(size=(3, p)) + 0.3 * r.normal(size=(n, p))
    yield "common factors", (factors, target(factors))
    mixed = pd.DataFrame(X).add_prefix("x")
    mixed["sex"], mixed["children"] = r.choice(["f", "m"], size=n), r.poisson(2, size=n)
    city = r.integers(0, 30, size=n)
    mixed["city"] = [f"C{c}" for c in city]
    yield "mixed, with a city", (mixed, X[:, 0] + r.normal(size=30)[city] + r.normal(size=n))
    levels = {f"c{j}": [f"L{c}" for c in r.integers(0, r.integers(2, 40), size=n)] for j in range(p)}
    yield "categories", (pd.DataFrame(levels), target(X))
    counts = r.poisson(np.exp(r.normal(size=p)), size=(n, p)).astype(float)
    yield "counts", (counts, target(counts))
    hour, age, rooms = r.integers(0, 24, size=n), r.integers(18, 90, size=n), 1 + r.binomial(6, 0.3, size=n)
    whole = pd.DataFrame({"hour": hour, "age": age, "rooms": rooms, "year": r.integers(1990, 2024, size=n)})
    smooth = np.cos(hour / 12 * np.pi) + ((age - 50) / 20) ** 2 + np.log(rooms)
    yield "whole numbers", (whole, target(np.column_stack([smooth, X])))
    images = r.normal(size=(300, 8, 8)).cumsum(axis=1).cumsum(axis=2)
    yield "images", (images, (images[:, 3, 3] + 5 * r.normal(size=300) > 0).astype(int))
    words = sparse.random_array((n, 200), density=0.05, rng=r, format="csr")
    yield "sparse", (words, words[:, [0]].toarray().ravel() + r.normal(size=n))


def shuffled(folder: Path, draw: int) -> Iterator[tuple[str, Rows]]:
    """Yield every set with its target shuffled, and with every column shuffled by itself."""
    for entry in choose_sets(folder, "all"):
        data = load(folder, entry, max_rows=MOST_ROWS)
        r = np.random.default_rng([draw, data.n_rows])
        y = data.y.iloc[r.permutation(data.n_rows)].set_axis(data.y.index)
        yield "real, target shuffled", (data.X, y)
        if isinstance(data.X, pd.DataFrame):
            mixed: Any = pd.DataFrame({name: r.permutation(data.X[name].array) for name in data.X})
        else:
            mixed = r.permuted(data.X, axis=0)
        yield "real, columns shuffled", (mixed, data.y.reset_index(drop=True))


def found(X: Any, y: Any, *, seed: int = 0) -> tuple[Note, ...]:
    """Return every warning, with hidden signals also where a model would find them."""
    table = make_table(X, y)
    hidden = [
        note
        for note in hidden_signal(table, seed=seed, is_linear=True)
        if note.code in (HIDDEN_SIGNAL, CURVED_SIGNAL)
    ]
    return (*find_traps(table, seed=seed), *hidden)


def clean(folder: Path | None, draws: int) -> list[str]:
    """Return a table of how often each check fires on clean tables."""
    n_tables: Counter[str] = Counter()
    fired: Counter[tuple[str, str]] = Counter()
    sources = [simulated(seed) for seed in range(draws)]
    sources += [shuffled(folder, 0)] if folder is not None else []
    for source in sources:
        for kind, (X, y) in source:
            n_tables[kind] += 1
            counted = RELATIONS if kind.startswith("real") else CODES
            # Ranks of a simulated table rightly show its signal: there is one.
            counted = (
                counted
                if kind.startswith("real, target")
                else [code for code in counted if code not in (HIDDEN_SIGNAL, CURVED_SIGNAL)]
            )
            for code in {note.code for note in found(X, y)} & set(counted):
                fired[kind, code] += 1
    lines = [f"| clean tables | how many | {' | '.join(CODES)} |", f"|{'---|' * (len(CODES) + 2)}"]
    for kind, n in n_tables.items():
        lines.append(f"| {kind} | {n} | {' | '.join(str(fired[kind, code]) for code in CODES)} |")
    worst = max((sum(fired[k, code] for k in n_tables) for code in CODES), default=0)
    share = worst / max(1, sum(n_tables.values()))
    lines.append(
        f"\nThe check that fires most does so on {share:.1%} of the tables (allowed: {ALLOWED:.0%})."
    )
    return lines


def real(folder: Path) -> list[str]:
    """Return a table of what fires on real sets, and how long the checks take."""
    lines = ["| data set | rows × columns | processor seconds | said |", "|---|---|---|---|"]
    quiet = []
    for entry in choose_sets(folder, "all"):
        data = load(folder, entry, max_rows=10**9)
        table = make_table(data.X, data.y, task=data.task)
        begin = time.process_time()
        notes = find_traps(table, seed=0)
        seconds = time.process_time() - begin
        said = "<br>".join(f"{note.code}: {note.text}" for note in notes)
        size = f"{data.n_rows:,} × {table.facts.n_features:,}"
        if notes:
            lines.append(f"| {data.name} | {size} | {seconds:.2f} | {said} |")
        else:
            quiet.append(data.name)
        print(lines[-1] if notes else f"{data.name}: nothing, {seconds:.2f} s", flush=True)
    return [*lines, f"\nNothing is said of {len(quiet)} sets: {', '.join(quiet)}."]


def cost(n_rows: int = 100_000, n_columns: int = 50) -> list[str]:
    """Return how long all checks take on a large table of each form."""
    r = np.random.default_rng(0)
    X = r.normal(size=(n_rows, n_columns))
    y = X[:, 0] + r.normal(size=n_rows)
    frame = pd.DataFrame(X).add_prefix("x")
    for j in range(5):
        frame[f"c{j}"] = r.choice([f"L{i}" for i in range(5 + 40 * j)], size=n_rows)
    words = sparse.random_array((n_rows, 40 * n_columns), density=0.01, rng=r, format="csr")
    forms: dict[str, Rows] = {
        "array": (X, y),
        "array, classes": (X, (y > 0).astype(int)),
        "frame with 5 categories": (frame, y),
        "sparse": (words, y),
    }
    lines = ["| form | rows × columns | processor seconds |", "|---|---|---|"]
    for form, rows in forms.items():
        table = make_table(*rows)
        begin = time.process_time()
        find_traps(table, seed=0)
        seconds = time.process_time() - begin
        lines.append(f"| {form} | {n_rows:,} × {table.facts.n_features:,} | {seconds:.2f} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path)
    parser.add_argument("--draws", type=int, default=30)
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    tables = {"traps-cost": cost(), "traps-clean": clean(arguments.data, arguments.draws)}
    if arguments.data is not None:
        tables["traps-real"] = real(arguments.data)
    for section, lines in tables.items():
        print("\n".join(lines))
        if arguments.write:
            write(section, "\n".join(lines))


if __name__ == "__main__":
    main()
