"""Are the flowchart's questions answered right? Q1, Q3a and Q3b.

usage: python benchmarks/questions.py [--data DIR] [--part q1,q3] [--tries 60] [--write]

The library's own functions on generated data whose truth is known, and with ``--data`` on real sets (a folder
of Parquet files and an ``index.csv`` with the columns name, n, p, kind, n_targets, has_time, file; images as
.npz with X and y). With --write the tables replace those in benchmarks/RESULTS.md. About eight processor
minutes with ``--data``.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import questions_features
import questions_sample
from questions_rates import HEADER, Rate
from results import write


def sample_rates(folder: Path | None, tries: int, seed: int) -> Iterator[Rate]:
    real_tries = max(2, tries // 3)
    return questions_sample.all_rates(folder, tries=tries, real_tries=real_tries, seed=seed)


def feature_rates(folder: Path | None, tries: int, seed: int) -> Iterator[Rate]:
    yield from questions_features.correlation_rates(folder, tries=tries, seed=seed)
    yield from questions_features.picture_rates(folder, tries=tries, seed=seed)


def shown(header: str, lines: Iterator[str]) -> str:
    """Print a table line by line, as it comes, and return it."""
    table = [header]
    print(header)
    for line in lines:
        table.append(line)
        print(line, flush=True)
    return "\n".join(table)


def rate_table(rates: Callable[[Path | None, int, int], Iterator[Rate]]) -> Callable[..., str]:
    """Return a function that measures, prints and returns a table of shares."""

    def table(folder: Path | None, tries: int, seed: int) -> str:
        return shown(HEADER, (rate.line() for rate in rates(folder, tries, seed)))

    return table


TABLES: dict[str, Callable[[Path | None, int, int], str]] = {
    "q1": rate_table(sample_rates),
    "q3": rate_table(feature_rates),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path)
    parser.add_argument("--part", default=",".join(TABLES))
    parser.add_argument("--tries", type=int, default=60, help="of every design; a third on every real set")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    for part in arguments.part.split(","):
        start = time.process_time()
        table = TABLES[part](arguments.data, arguments.tries, arguments.seed)
        note = f"{time.process_time() - start:.0f} processor seconds, seed {arguments.seed}."
        print(f"\n{note}\n")
        if arguments.write:
            write(f"questions-{part}", f"{table}\n\n{note}")


if __name__ == "__main__":
    main()
