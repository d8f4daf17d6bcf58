"""What one pass over files costs beside a plain loop over the same batches, and whether its memory grows.

usage: python benchmarks/scale.py make FOLDER [--files 20] [--rows 1000000]
       python benchmarks/scale.py run FOLDER [--pairs 5] [--workers N]

`make` writes Parquet files of 20 columns: 10 single-precision numbers, 8 whole numbers, a text, a class.
`run` reads the folder by turns with pyarrow alone (its defaults, every batch thrown away) and as `advise`
does, each in a process of its own, and prints wall and processor seconds and the peak of memory. The figures
are in docs/scale.md.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

import numpy as np

CITIES = np.array(["Bonn", "Jena", "Köln", "Ulm"])


def make(folder: Path, *, n_files: int, n_rows: int) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    folder.mkdir(parents=True, exist_ok=True)
    for number in range(n_files):
        rng = np.random.default_rng(number)
        numbers = rng.normal(size=(n_rows, 10)).astype(np.float32)
        columns = {f"x{j}": numbers[:, j] for j in range(10)}
        columns |= {f"k{j}": rng.integers(0, 1_000, n_rows).astype(np.int32) for j in range(8)}
        columns["city"] = pa.array(CITIES[rng.integers(0, 4, n_rows)]).dictionary_encode()
        score = numbers[:, 0] + 0.5 * numbers[:, 1] + rng.normal(size=n_rows)
        columns["y"] = (score > 1.5).astype(np.int8)
        parquet.write_table(pa.table(columns), folder / f"part-{number:03}.parquet", row_group_size=250_000)


def plain(folder: Path) -> int:
    from pyarrow import dataset

    batches = dataset.dataset(folder, format="parquet").scanner(batch_size=131_072).to_batches()
    return sum(batch.num_rows for batch in batches)


def one_pass(folder: Path, workers: int | None) -> int:
    from regadvisor.scale.sketch import Spec
    from regadvisor.scale.sources import find_source
    from regadvisor.scale.table import scan

    source = find_source(folder)
    if source is None:
        raise SystemExit(f"{folder} must be a folder")
    return scan(source, Spec(targets=("y",), kinds=source.kinds), executor=workers).n_rows


def timed(what: str, folder: Path, workers: int | None) -> None:
    # What both load is not what they cost.
    from pyarrow import dataset  # noqa: F401

    import regadvisor.scale.sources
    import regadvisor.scale.table  # noqa: F401

    before, start = _processor_s(), time.perf_counter()
    n_rows = plain(folder) if what == "plain" else one_pass(folder, workers)
    wall_s = time.perf_counter() - start
    cpu_s = _processor_s() - before
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    peak_kb = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
    print(n_rows, wall_s, cpu_s, peak_kb / 1e3)


def _processor_s() -> float:
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


def run(folder: Path, *, n_pairs: int, workers: int | None) -> None:
    walls: dict[str, list[float]] = {"plain": [], "pass": []}
    cpus: dict[str, list[float]] = {"plain": [], "pass": []}
    for number in range(n_pairs):
        for what in ("plain", "pass") if number % 2 else ("pass", "plain"):
            own = [sys.executable, __file__, what, str(folder)]
            own += [] if workers is None else ["--workers", str(workers)]
            done = subprocess.run(own, capture_output=True, text=True, check=True)
            n_rows, wall_s, cpu_s, peak_mb = map(float, done.stdout.split())
            walls[what].append(wall_s)
            cpus[what].append(cpu_s)
            print(f"{what:6}{n_rows:14,.0f} rows{wall_s:8.1f} s{cpu_s:8.1f} processor s{peak_mb:8.0f} MB")
    for name, seconds in (("wall", walls), ("processor", cpus)):
        ratios = sorted(own / other for own, other in zip(seconds["pass"], seconds["plain"], strict=True))
        print(f"{name} time, pass / plain: median {median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["make", "run", "plain", "pass"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--files", type=int, default=20)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--workers", type=int)
    options = parser.parse_args()
    if options.what == "make":
        make(options.folder, n_files=options.files, n_rows=options.rows)
    elif options.what == "run":
        run(options.folder, n_pairs=options.pairs, workers=options.workers)
    else:
        timed(options.what, options.folder, options.workers)


if __name__ == "__main__":
    main()
