"""Does any report contradict itself? Advice on a folder of real data sets, each report held against itself.

usage: python benchmarks/reports.py --data DIR --out DIR [--sets all] [--model linear] [--effort quick]

Every set gets an advice, which is saved as JSON, HTML and text in ``--out``. What headline, table, chart,
pictures, claims and JSON say in two ways (``tests/consistency.py``) is printed. Sets that are there already
are not asked about again.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from regret.data import choose_sets, load

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from consistency import contradictions

from regadvisor import advise
from regadvisor.advice import Advice
from regadvisor.cli.terminal import complain
from regadvisor.errors import RegadvisorError


def advised(name: str, options: argparse.Namespace) -> Advice:
    """Return the advice on one set, from its file if there is one."""
    path = options.out / f"{name}.json"
    if path.exists():
        return Advice.load(path)
    (entry,) = choose_sets(options.data, name)
    data = load(options.data, entry, max_rows=options.most_rows)
    given = {key: value for key, value in (("groups", data.groups), ("time", data.time)) if value is not None}
    advice = advise(
        data.X,
        data.y,
        model=options.model,
        effort=options.effort,
        budget=options.budget,
        task=data.task,
        **given,
    )
    advice.to_json(path)
    advice.to_html(path.with_suffix(".html"))
    path.with_suffix(".txt").write_text(advice.to_text(width=80), encoding="utf-8")
    return advice


def main(arguments: list[str] | None = None) -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--sets", default="all")
    parser.add_argument("--model", default="linear")
    parser.add_argument("--effort", default="quick")
    parser.add_argument("--budget", type=float, default=60.0)
    parser.add_argument("--most-rows", type=int, default=60_000)
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    n_sets, n_found = 0, 0
    for entry in choose_sets(options.data, options.sets):
        started_s, name = time.monotonic(), str(entry["name"])
        try:
            advice = advised(name, options)
        except RegadvisorError as error:
            complain(f"{name}: {error}")
            continue
        found = contradictions(advice.record)
        n_sets, n_found = n_sets + 1, n_found + len(found)
        print(f"{name} ({time.monotonic() - started_s:.0f} s): {advice.verdict}", flush=True)
        for line in found:
            print(f"    CONTRADICTION: {line}", flush=True)
    print(f"{n_sets} reports, {n_found} contradictions.")


if __name__ == "__main__":
    main()
