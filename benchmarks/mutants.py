"""How many small changes to the code that decides does a test see? Reads what ``make mutants`` has left.

usage: python benchmarks/mutants.py [--write]

A mutant is the program with one small change: a sign, a comparison, a number, an argument. It is killed if a
test fails or takes 15 times as long. The score is the share that is killed. With --write the table replaces
the one in benchmarks/RESULTS.md.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path

from results import write

FOLDER = Path(__file__).parent.parent / "mutants"
#: Exit codes of a test run that mutmut calls killed (a test failed, pytest broke) or out of time.
KILLED = (1, 3, 24, -24, 36, 152, 255)
COLUMNS = ("module", "mutants", "killed", "survived", "no test reaches it", "not run", "score")


def outcomes(codes: dict[str, int | None]) -> Counter[str]:
    """Return how the mutants of a file ended.

    Examples
    --------
    >>> sorted(outcomes({"a": 1, "b": 0, "c": 33, "d": None}).items())
    [('killed', 1), ('no test reaches it', 1), ('not run', 1), ('survived', 1)]
    """
    names: dict[int | None, str] = {None: "not run", 5: "no test reaches it", 33: "no test reaches it"}
    return Counter("killed" if code in KILLED else names.get(code, "survived") for code in codes.values())


def row(name: str, found: Counter[str]) -> str:
    """Return a line of the table; what was not run has no part in the score.

    Examples
    --------
    >>> row("deciding", Counter(killed=9, survived=1))
    '| deciding | 10 | 9 | 1 | 0 | 0 | 90% |'
    """
    n_run = found.total() - found["not run"]
    score = f"{found['killed'] / n_run:.0%}" if n_run else "–"
    counts = (str(found[column]) for column in COLUMNS[2:-1])
    return f"| {' | '.join([name, str(found.total()), *counts, score])} |"


def table(folder: Path) -> str:
    """Return the table of all files that were mutated, with their sum."""
    by_file = {
        path.relative_to(folder / "regadvisor").as_posix().removesuffix(".py.meta"): outcomes(
            json.loads(path.read_text("utf-8"))["exit_code_by_key"]
        )
        for path in sorted(folder.glob("regadvisor/**/*.py.meta"))
    }
    by_file = {name: found for name, found in by_file.items() if found.total()}
    lines = [f"| {' | '.join(COLUMNS)} |", f"|{'---|' * len(COLUMNS)}"]
    lines += [row(name, found) for name, found in by_file.items()]
    return "\n".join([*lines, row("**all**", sum(by_file.values(), Counter()))])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--write", action="store_true", help="put the table into RESULTS.md")
    asked = parser.parse_args()
    text = table(FOLDER)
    print(text)
    if asked.write:
        write("mutants", text)


if __name__ == "__main__":
    main()
