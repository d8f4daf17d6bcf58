"""Is "no signal" said where there is none? `advise` on shuffled targets: no feature tells anything of them.

usage: python benchmarks/shuffled.py [--data DIR] [--family linear,mlp] [--draws 10] [--write]

On scikit-learn's bundled sets and pure noise, and with ``--data`` on real sets of a folder of Parquet files,
at most 600 rows of each. Every draw shuffles the target anew and draws other rows. A penalty is *confident*
where it is advised and the support of "regularize" is at least 0.9. With --write the table replaces that in
benchmarks/RESULTS.md.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import speed_data
from questions import shown
from questions_rates import HEADER, Rate, counted
from results import write
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris, load_wine

from regadvisor import advise

#: Real sets of all kinds: two classes and many, rare ones, numbers, words, more columns than rows.
SETS = ("titanic", "concrete", "spambase", "sonar", "eye_trim32", "ecoli", "phoneme", "autos_price")
SETS += ("oil_spill", "wine_quality_white", "splice", "gunpoint")
BUNDLED: dict[str, Callable[..., Any]] = {
    "diabetes": load_diabetes,
    "breast cancer": load_breast_cancer,
    "wine": load_wine,
    "iris": load_iris,
    "digits": load_digits,
}
NOISE = ((60, 5), (200, 10), (80, 300), (1_000, 20))
MOST_ROWS = 600
CONFIDENT = 0.9
#: Share of draws that ought to be called "no signal".
WANTED = 0.95

Rows = tuple[Any, Any]


def designs(folder: Path | None) -> Iterator[tuple[str, Callable[[int], Rows]]]:
    """Yield names, and functions from the number of a draw to features and target."""
    for n, p in NOISE:
        yield f"noise {n:,} × {p}", lambda draw, n=n, p=p: _noise(n, p, draw)
    for name, load in BUNDLED.items():
        yield name, lambda draw, load=load: _some(*load(return_X_y=True), draw=draw)
    if folder is not None:
        for name in SETS:
            yield name, lambda draw, name=name: _real(name, folder, draw)


def _noise(n: int, p: int, draw: int) -> Rows:
    rng = np.random.default_rng([draw, n, p])
    return rng.standard_normal((n, p)), rng.permutation(np.arange(n) % 2)


def _some(X: Any, y: Any, *, draw: int) -> Rows:
    rng = np.random.default_rng(draw)
    rows = rng.choice(len(y), min(len(y), MOST_ROWS), replace=False)
    return X[rows], rng.permutation(y[rows])


def _real(name: str, folder: Path, draw: int) -> Rows:
    data = speed_data.read(name, folder, most_rows=MOST_ROWS, seed=draw)
    return data.X, np.random.default_rng(draw).permutation(data.y.to_numpy())


def rates(folder: Path | None, family: str, draws: int) -> Iterator[Rate]:
    """Yield a rate for every design, then those over all of them."""
    silent = confident = tries = 0
    for name, drawn in designs(folder):
        outcomes: Counter[str] = Counter()
        for draw in range(draws):
            X, y = drawn(draw)
            record = advise(X, y, model=family, effort="quick", random_state=draw).record
            outcomes[record.walk.outcome] += 1
            support = next(claim.support for claim in record.claims if claim.name == "regularize")
            is_penalty = record.walk.outcome not in ("none", "no signal")
            confident += is_penalty and record.status != "cant_tell" and (support or 0.0) >= CONFIDENT
        found = outcomes["no signal"]
        silent, tries = silent + found, tries + draws
        others = counted(outcome for outcome in outcomes.elements() if outcome != "no signal")
        yield Rate(check=f"{family}: no signal", on=name, hits=found, tries=draws, detail=others)
    yield Rate(
        check=f"{family}: no signal", on="all draws", hits=silent, tries=tries, wanted=WANTED, side="at least"
    )
    yield Rate(
        check=f"{family}: confident penalty",
        on="all draws",
        hits=confident,
        tries=tries,
        wanted=0.0,
        side="at most",
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path)
    parser.add_argument("--family", default="linear,mlp")
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    lines = (
        rate.line()
        for family in options.family.split(",")
        for rate in rates(options.data, family, options.draws)
    )
    text = shown(HEADER, lines)
    if options.write:
        write("shuffled", text)


if __name__ == "__main__":
    main()
