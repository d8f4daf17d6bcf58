"""Verdicts of `regadvisor advise` on a folder of real data sets, one line each, with time and peak memory.

usage: python benchmarks/verdicts.py DATA_DIR [--model linear|mlp] [--only NAME,NAME] [--write]

DATA_DIR holds Parquet files and an ``index.csv`` with the columns name, n, p, kind, n_targets, has_group,
has_time and file; the target is the column ``target``, or several are the columns ``target__*``. Every set is
a process of its own: what is timed is what a user waits for, the imports and the reading of the file
included. With --write the table replaces the one in benchmarks/RESULTS.md.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd

RESULTS = Path(__file__).with_name("RESULTS.md")


def command(row: pd.Series, folder: Path, model: str, seed: int) -> list[str]:
    """Return the command line a user would type for one data set."""
    words = [sys.executable, "-m", "regadvisor", "advise", str(folder / row.file)]
    words += [word for name in targets(folder / row.file, row.n_targets) for word in ("--target", name)]
    words += ["--groups", "__group__"] if row.has_group else []
    words += ["--time", "__time__"] if row.has_time else []
    return [*words, "--model", model, "--seed", str(seed), "--json"]


def targets(path: Path, n_targets: int) -> list[str]:
    """Return the names of the target columns."""
    if n_targets == 1:
        return ["target"]
    import pyarrow.parquet

    return [name for name in pyarrow.parquet.read_schema(path).names if name.startswith("target__")]


def measured(words: list[str]) -> tuple[dict, float, float, int]:
    """Return the record, the wall seconds, the peak memory in MB and the exit code of one command."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        start = time.perf_counter()
        process = subprocess.Popen(words, stdout=out, stderr=err)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        out.seek(0)
        err.seek(0)
        code = os.waitstatus_to_exitcode(status)
        text = out.read()
        if not text:
            raise SystemExit(f"{' '.join(words)}\nended with {code}:\n{err.read().decode()[-2000:]}")
        return json.loads(text), seconds, usage.ru_maxrss / 1024, code


def line(row: pd.Series, record: dict, seconds: float, memory_mb: float, code: int) -> str:
    """Return one row of the table."""
    regularizer = record["strength"]["regularizer"]
    strengths = ", ".join(f"{k} {regularizer[k]:.2g}" for k in ("l1", "l2", "dropout") if regularizer[k])
    claims = {claim["name"]: claim["support"] for claim in record["claims"]}
    support = "/".join("–" if claims.get(k) is None else f"{claims[k]:.2f}" for k in ("regularize", "kind"))
    scores = record["evidence"]["scores"]
    losses = scores["honest_losses"] if scores else {}
    loss = f"{min(losses.values()):.3g} ({losses.get('none', float('nan')):.3g})" if losses else "–"
    limit = record["timings"]["budget_s"]
    budget = "–" if limit is None else f"{limit:.0f}"
    sample = record["evidence"]["sample"]["n_rows"]
    cells = [row["name"], row.kind, f"{row.n:,} × {row.p:,}", f"{sample:,}", record["settings"]["effort"]]
    cells += [record["walk"]["outcome"], record["status"], strengths or "–", support, loss]
    cells += [f"{seconds:.1f} ({budget})", f"{memory_mb:.0f}", str(code)]
    return f"| {' | '.join(cells)} |"


COLUMNS = ["data set", "kind", "rows × columns", "sample", "effort", "outcome", "status", "strength"]
COLUMNS += ["support: regularize/kind", "best loss (none)", "seconds (budget)", "peak MB", "exit"]
HEADER = f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default="linear")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="")
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    index = pd.read_csv(arguments.folder / "index.csv")
    index = index[index.file.str.endswith(".parquet")]
    if arguments.only:
        index = index[index.name.isin(arguments.only.split(","))]
    lines = [HEADER]
    print(HEADER)
    for _, row in index.iterrows():
        words = command(row, arguments.folder, arguments.model, arguments.seed)
        lines.append(line(row, *measured(words)))
        print(lines[-1], flush=True)
    if arguments.write:
        write(f"verdicts-{arguments.model}", "\n".join(lines))


def write(section: str, text: str) -> None:
    """Put `text` between the markers of `section` in RESULTS.md."""
    begin, end = f"<!-- {section} -->", f"<!-- /{section} -->"
    page = RESULTS.read_text(encoding="utf-8")
    if begin not in page:
        page += f"\n{begin}\n{end}\n"
    before, rest = page.split(begin)
    RESULTS.write_text(f"{before}{begin}\n{text}\n{end}{rest.split(end)[1]}", encoding="utf-8")


if __name__ == "__main__":
    main()
