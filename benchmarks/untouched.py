"""Does ``advise`` work untouched? All sets of a folder by default, from memory and as files.

usage: python benchmarks/untouched.py run --data DIR --out FILE.jsonl [--sets all]
       python benchmarks/untouched.py show --out FILE.jsonl [--write]

Nothing is passed but the data: X and y (images as they are), or the path and the names of the target columns;
and the names of the columns of groups and time, where a set has them. Each set and way is one line of the
file; those that are there already are not asked about again.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from regret.data import choose_sets
from results import write

from regadvisor import advise
from regadvisor.advice import Advice

WAYS = ("memory", "path")


def arguments(path: Path, way: str) -> dict[str, Any]:
    """Return what advise() is given of a file, read into memory or by its path."""
    if path.suffix == ".npz":
        with np.load(path) as arrays:
            return {"X": path} if way == "path" else {"X": arrays["X"], "y": arrays["y"]}
    frame = pd.read_parquet(path)
    targets = [name for name in frame if name == "target" or name.startswith("target__")]
    columns = {"groups": "__group__", "time": "__time__"}
    columns = {name: column for name, column in columns.items() if column in frame}
    y = targets if len(targets) > 1 else targets[0]
    return {"X": path if way == "path" else frame, "y": y, **columns}


def line_of(name: str, way: str, path: Path) -> dict[str, Any]:
    """Return one line of the file: what was advised and what it took, or how it failed."""
    given = arguments(path, way)
    started, wall = time.process_time(), time.monotonic()
    line: dict[str, Any] = {"name": name, "way": way}
    try:
        line |= _said(advise(**given, progress=False))
    except Exception as error:  # whatever goes wrong is the finding
        line["error"] = f"{type(error).__name__}: {error}"
    return line | {"cpu_s": time.process_time() - started, "wall_s": time.monotonic() - wall}


def _said(advice: Advice) -> dict[str, Any]:
    chosen = advice.regularizer
    strengths = {name: getattr(chosen, name) for name in ("l1", "l2", "dropout") if getattr(chosen, name)}
    record = advice.record
    return {
        "kind": chosen.kind,
        "strengths": strengths,
        "status": record.status,
        "model": record.settings.model,
        "n_rows": record.data.n_rows,
        "n_features": record.data.n_features,
    }


def run(data: Path, out: Path, sets: str) -> None:
    """Ask about every set that is not in the file."""
    found = _lines(out)
    done = {(line["name"], line["way"]) for line in found}
    for entry in choose_sets(data, sets):
        for way in WAYS:
            name = str(entry["name"])
            if (name, way) not in done:
                line = line_of(name, way, data / entry.file)
                with out.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(line) + "\n")
                print(line, flush=True)


def _lines(out: Path) -> list[dict[str, Any]]:
    if not out.exists():
        return []
    return [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]


def table(lines: list[dict[str, Any]]) -> str:
    """Return a line for each set: kind, strengths, seconds from memory and by its path."""
    rows = ["| set | rows × columns | model | from memory | by path | seconds |", "|---|---|---|---|---|---|"]
    by_name: dict[str, dict[str, dict[str, Any]]] = {}
    for line in lines:
        by_name.setdefault(line["name"], {})[line["way"]] = line
    for name, ways in sorted(by_name.items()):
        told = [_told(ways.get(way)) for way in WAYS]
        if told[0] == told[1]:
            told[1] = "the same"
        one = next((line for line in ways.values() if "error" not in line), {})
        size = f"{one['n_rows']:,} × {one['n_features']:,}" if one else ""
        seconds = " / ".join(f"{ways[way]['cpu_s']:.1f}" for way in WAYS if way in ways)
        rows.append(f"| {name} | {size} | {one.get('model', '')} | {told[0]} | {told[1]} | {seconds} |")
    return "\n".join(rows)


def _told(line: dict[str, Any] | None) -> str:
    if line is None:
        return "not asked"
    if "error" in line:
        return line["error"].split("\n")[0][:100]
    strengths = " ".join(f"{name}={value:.2g}" for name, value in line["strengths"].items())
    return f"{line['kind']} {strengths}".strip() + f" ({line['status']})"


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("command", choices=("run", "show"))
    parser.add_argument("--data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--sets", default="all")
    parser.add_argument("--write", action="store_true")
    asked = parser.parse_args()
    if asked.command == "run":
        run(asked.data, asked.out, asked.sets)
        return
    text = table(_lines(asked.out))
    write("untouched", text) if asked.write else print(text)


if __name__ == "__main__":
    main()
