"""How many small changes to the code that decides does a test see? Reads what ``make mutants`` has left.

usage: python benchmarks/mutants.py [--write] [--names OUTCOME [--most N]]

A mutant is the program with one small change: a sign, a comparison, a number, an argument. It is killed if a
test fails or takes many times as long. The score is the share that is killed. With --write the table replaces
the one in benchmarks/RESULTS.md.

--names prints the mutants that ended so, at most N of each module, drawn at random with a fixed seed:

    make mutants ONLY="$(python benchmarks/mutants.py --names survived)"            # do new tests kill them?
    make mutants ONLY="$(python benchmarks/mutants.py --names 'not run' --most 50)" # a sample of a long run
"""

from __future__ import annotations

import argparse
import json
import random
from collections import Counter
from pathlib import Path

from results import write
from scipy.stats import binomtest

FOLDER = Path(__file__).parent.parent / "mutants"
#: Exit codes of a test run that mutmut calls killed (a test failed, pytest broke) or out of time.
KILLED = (1, 3, 24, -24, 36, 152, 255)
COLUMNS = ("module", "mutants", "killed", "survived", "no test reaches it", "not run", "score")


def outcome(code: int | None) -> str:
    """Return how a mutant ended.

    Examples
    --------
    >>> [outcome(code) for code in (1, 0, 33, None)]
    ['killed', 'survived', 'no test reaches it', 'not run']
    """
    if code in (None, 2):  # 2: interrupted
        return "not run"
    if code in (5, 33):
        return "no test reaches it"
    return "killed" if code in KILLED else "survived"


def codes_by_file(folder: Path) -> dict[str, dict[str, int | None]]:
    """Return the exit codes of all mutants by name, for every file that has some."""
    found = {
        path.relative_to(folder / "regadvisor").as_posix().removesuffix(".py.meta"): json.loads(
            path.read_text("utf-8")
        )["exit_code_by_key"]
        for path in sorted(folder.glob("regadvisor/**/*.py.meta"))
    }
    return {name: codes for name, codes in found.items() if codes}


def row(name: str, found: Counter[str]) -> str:
    """Return a line of the table; where not all were run, the score has a 95% interval (Wilson 1927).

    Examples
    --------
    >>> row("deciding", Counter(killed=9, survived=1))
    '| deciding | 10 | 9 | 1 | 0 | 0 | 90% |'
    >>> row("deciding", Counter({"killed": 49, "survived": 1, "not run": 200}))
    '| deciding | 250 | 49 | 1 | 0 | 200 | 98% [90, 100] |'
    """
    n_run = found.total() - found["not run"]
    score = f"{found['killed'] / n_run:.0%}" if n_run else "–"
    if n_run and found["not run"]:
        low, high = binomtest(found["killed"], n_run).proportion_ci(method="wilson")
        score += f" [{100 * low:.0f}, {100 * high:.0f}]"
    counts = (str(found[column]) for column in COLUMNS[2:-1])
    return f"| {' | '.join([name, str(found.total()), *counts, score])} |"


def table(folder: Path) -> str:
    """Return the table of all files that were mutated, with their sum."""
    by_file = {name: Counter(map(outcome, codes.values())) for name, codes in codes_by_file(folder).items()}
    lines = [f"| {' | '.join(COLUMNS)} |", f"|{'---|' * len(COLUMNS)}"]
    lines += [row(name, found) for name, found in by_file.items()]
    return "\n".join([*lines, row("**all**", sum(by_file.values(), Counter()))])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--write", action="store_true", help="put the table into RESULTS.md")
    parser.add_argument("--names", metavar="OUTCOME", help="print the mutants that ended so instead")
    parser.add_argument("--most", type=int, metavar="N", help="at most so many of each module")
    asked = parser.parse_args()
    if asked.names:
        for codes in codes_by_file(FOLDER).values():
            names = [name for name, code in codes.items() if outcome(code) == asked.names]
            random.Random(0).shuffle(names)
            print(*names[: asked.most], sep="\n")
        return
    text = table(FOLDER)
    print(text)
    if asked.write:
        write("mutants", text)


if __name__ == "__main__":
    main()
