"""How fast: three comparisons, each a ratio of two things measured side by side in one run.

usage: python benchmarks/speed.py a,b,d|all [--data DIR] [--device cuda] [--small] [--write]

a) processor time per network, trained together against one after another in plain torch
b) `advise(model="mlp")` against one full run of the model it advises
d) linear `advise` against LogisticRegressionCV and ElasticNetCV on all rows

Medians of 5 alternating repeats where they fit; the tables give the number. Run it on an idle machine. Real
sets (b, d) need ``--data``, a folder of Parquet files with a column ``target``. With --write the tables
replace those in benchmarks/RESULTS.md. ``--small`` only shows that everything runs.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import speed_batched
import speed_full_run
import speed_linear
from results import write
from speed_measure import machine, markdown

Rows = Iterator[list[str]]


def batched(options: argparse.Namespace) -> str:
    threads = (1,) if options.small or options.device != "cpu" else (1, 2)
    cases = tuple((model, 16) for model, _ in speed_batched.CASES) if options.small else speed_batched.CASES
    if options.device != "cpu":  # a GPU is only busy with many networks
        cases = tuple((model, count) for model in ("mlp", "module", "cnn") for count in (64, 256))
    rows = speed_batched.lines(
        device=options.device, threads=threads, cases=cases, repeats=1 if options.small else 5
    )
    return shown(speed_batched.COLUMNS, rows)


def full_run(options: argparse.Namespace) -> str:
    rows = speed_full_run.lines(
        options.data,
        sizes=(5_000,) if options.small else speed_full_run.SIZES,
        repeats=1 if options.small else 5,
        limit_s=options.limit,
        thorough=options.thorough,
    )
    note = f"\\* {speed_full_run.MOST_STEPS:,} steps of the loop, or two epochs of `fit`, made and extended."
    return f"{shown(speed_full_run.COLUMNS, rows)}\n\n{note}"


def linear(options: argparse.Namespace) -> str:
    rows = speed_linear.lines(
        None if options.small else options.data,
        sizes=(1_000,) if options.small else speed_linear.SIZES,
        repeats=1 if options.small else 5,
        timeout_s=options.timeout,
    )
    return shown(speed_linear.COLUMNS, rows)


def shown(columns: str, rows: Rows) -> str:
    """Print a table row by row, as it comes, and return it."""
    print(markdown(columns, []), flush=True)
    found = []
    for row in rows:
        found.append(row)
        print(f"| {' | '.join(row)} |", flush=True)
    return markdown(columns, found)


SECTIONS: dict[str, Callable[[argparse.Namespace], str]] = {"a": batched, "b": full_run, "d": linear}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sections", help="letters parted by commas, or all")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--device", default="cpu", help="of section a")
    parser.add_argument("--timeout", type=float, default=900.0, help="seconds of one process in d")
    parser.add_argument("--thorough", action="store_true", help="b: compare with a thorough search")
    parser.add_argument("--limit", type=float, default=240.0, help="b: seconds of repeats per case")
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    chosen = list(SECTIONS) if options.sections == "all" else options.sections.split(",")
    for letter in chosen:
        start = time.perf_counter()
        table = SECTIONS[letter](options)
        print(f"\n{letter}: {time.perf_counter() - start:.0f} s\n", flush=True)
        if options.write:
            section = f"speed-{letter}" if options.device == "cpu" else f"speed-{letter}-{options.device}"
            write(section, f"{table}\n\n{machine(options.device)}")


if __name__ == "__main__":
    main()
