"""What starting costs: seconds of `import regadvisor` and `regadvisor --help`, beside an empty Python.

usage: python benchmarks/startup.py [--write]
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

from results import write

HEAVY = ("torch", "sklearn", "scipy", "pandas", "numpy", "optuna")
LOADED = f"import sys, regadvisor; print([m for m in {HEAVY} if m in sys.modules])"


def seconds(*words: str, runs: int = 9) -> float:
    """Return the median wall seconds of a Python process."""
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        subprocess.run([sys.executable, *words], check=True, capture_output=True)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def main() -> None:
    empty = seconds("-c", "pass")
    imported = seconds("-c", "import regadvisor")
    shown = seconds("-m", "regadvisor", "--help")
    loaded = subprocess.run([sys.executable, "-c", LOADED], check=True, capture_output=True, text=True).stdout
    text = (
        "| | median seconds of 9 | above an empty Python |\n|---|---|---|\n"
        f"| empty Python | {empty:.3f} | |\n"
        f"| `import regadvisor` | {imported:.3f} | {imported - empty:.3f} |\n"
        f"| `regadvisor --help` | {shown:.3f} | {shown - empty:.3f} |\n\n"
        f"Heavy packages loaded by `import regadvisor`: {loaded.strip()}."
    )
    print(text)
    if "--write" in sys.argv:
        write("startup", text)


if __name__ == "__main__":
    main()
