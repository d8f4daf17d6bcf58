"""The command line of the references."""

from __future__ import annotations

import argparse
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from time import perf_counter

import numpy as np
import pandas as pd
from regret.cache import code_version
from regret.command import budget_clock
from regret.data import choose_sets, load
from results import write

import regadvisor
from references import advised
from references.dense import make_reference
from references.kept import KEPT, MODELS, load_reference
from references.summary import summarise

#: Larger sets are cut to so many random rows, wide ones to so many cells but no fewer than FEWEST_ROWS rows.
MOST_ROWS = 6_000
MOST_CELLS = 1_000_000
FEWEST_ROWS = 800
#: Sets that hold the data of another one: ``mir_fresh_meats``.
TWICE = ("ucr_meat",)


def parser(description: str | None = None) -> argparse.ArgumentParser:
    """Return the arguments."""
    found = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    stages = found.add_subparsers(dest="stage", required=True)
    make = stages.add_parser("make", help="train the grids and keep what they cost")
    advise = stages.add_parser(
        "advise", help="advise on what is kept, by default budgets, and say what it loses"
    )
    for stage in (make, advise):
        stage.add_argument("--data", type=Path, action="append", required=True, help="folder with index.csv")
        stage.add_argument("--model", choices=MODELS, default="linear")
        stage.add_argument("--sets", default="all", help="all, or NAME,NAME")
    make.add_argument("--out", type=Path, default=KEPT)
    make.add_argument("--again", action="store_true", help="make those that are kept again, too")
    advise.add_argument("--kept", type=Path, default=KEPT, help="folder of the references")
    advise.add_argument("--out", type=Path, required=True, help="file of JSON lines; a killed run goes on")
    advise.add_argument("--write", action="store_true", help="put the table into benchmarks/RESULTS.md")
    show = stages.add_parser("show", help="how many sets of each kind are kept")
    show.add_argument("--out", type=Path, default=KEPT)
    show.add_argument("--write", action="store_true", help="put the tables into benchmarks/RESULTS.md")
    return found


def main(description: str | None = None, words: list[str] | None = None) -> None:
    """Run what is asked for."""
    asked = parser(description).parse_args(words)
    if asked.stage == "make":
        _each(asked, _make)
        return
    section, text = "references", ""
    if asked.stage == "advise":
        version = code_version(Path(regadvisor.__file__).parent)
        with budget_clock("processor"):
            _each(asked, lambda asked, folder, entry: _advise(asked, folder, entry, version))
        section, text = (
            f"advised-{asked.model}",
            advised.summarise(asked.out, model=asked.model, folder=asked.kept),
        )
    else:
        text = summarise(asked.out)
    print(text)
    if asked.write:
        write(section, text)


def rows_used(n_rows: int, n_columns: int) -> int:
    """Return how many rows of a set are used.

    Examples
    --------
    >>> rows_used(50_000, 10), rows_used(10_000, 784), rows_used(2_000, 3_289), rows_used(62, 2_000)
    (6000, 1275, 800, 62)
    """
    return min(n_rows, MOST_ROWS, max(FEWEST_ROWS, MOST_CELLS // n_columns))


def entries(folders: list[Path], sets: str) -> Iterator[tuple[Path, pd.Series]]:
    """Yield the sets of several folders with their folder, those that should take least time first."""
    found = [(folder, entry) for folder in folders for entry in choose_sets(folder, "all")]
    found = [(folder, entry) for folder, entry in found if entry["name"] not in TWICE]
    wanted = {entry["name"] for _, entry in found} if sets == "all" else set(sets.split(","))
    unknown = wanted - {entry["name"] for _, entry in found}
    if unknown:
        raise SystemExit(f"--sets must be all or names of the folders' index.csv, got {sorted(unknown)}")
    found.sort(key=lambda each: _work(each[1]))
    yield from (each for each in found if each[1]["name"] in wanted)


def _work(entry: pd.Series) -> float:
    """Return a number that grows with the seconds of a reference: cells used × outputs."""
    n_classes = entry.get("n_classes", np.nan)
    outputs = 1 if np.isnan(n_classes) or n_classes < 3 else n_classes
    return float(rows_used(entry.n, entry.p) * entry.p * outputs)


def _each(
    asked: argparse.Namespace, work: Callable[[argparse.Namespace, Path, pd.Series], str | None]
) -> None:
    """Do the work of every set; one that fails is said and passed over."""
    for folder, entry in entries(asked.data, asked.sets):
        start = perf_counter()
        try:
            said = work(asked, folder, entry)
        except Exception:  # one set that cannot be done must not end a night's run
            said = f"FAILED\n{traceback.format_exc()}"
        if said is not None:
            print(f"{asked.model} {entry['name']}: {said} ({perf_counter() - start:.1f} s)", flush=True)


def _make(asked: argparse.Namespace, folder: Path, entry: pd.Series) -> str | None:
    path = asked.out / asked.model / f"{entry['name']}.npz"
    if path.exists() and not asked.again:
        return None
    data = load(folder, entry, max_rows=rows_used(entry.n, entry.p))
    make_reference(data, asked.model, origin=origin(entry)).save(path)
    return "made"


def _advise(asked: argparse.Namespace, folder: Path, entry: pd.Series, version: str) -> str | None:
    path = asked.kept / asked.model / f"{entry['name']}.npz"
    if not path.exists():
        return None
    data = load(folder, entry, max_rows=rows_used(entry.n, entry.p))
    return advised.keep(asked.out, data, load_reference(path), version=version)


def origin(entry: pd.Series) -> str:
    """Return where a set comes from: a public repository or a package."""
    return str(entry["source"]).split(":")[0]
