"""Measuring: alternating medians, processes of their own, and the machine they ran on."""

from __future__ import annotations

import importlib
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

#: Medians are of so many repeats where one round of all sides is shorter than this; else of what fits.
REPEATS = 5
LONG_S = 20.0
PACKAGES = ("torch", "scikit-learn", "numpy", "optuna")


@dataclass(frozen=True, kw_only=True)
class Timing:
    """Wall and processor seconds of a side, once or as medians, with what its last run returned."""

    wall_s: float
    cpu_s: float
    n_repeats: int = 1
    result: Any = None

    def times(self, factor: float) -> Timing:
        """Return the seconds multiplied, for runs of which only a share was made."""
        return replace(self, wall_s=self.wall_s * factor, cpu_s=self.cpu_s * factor)

    def plus(self, other: Timing) -> Timing:
        """Return the seconds of both."""
        return replace(self, wall_s=self.wall_s + other.wall_s, cpu_s=self.cpu_s + other.cpu_s)


def clocked(work: Callable[[], Any]) -> Timing:
    """Return wall and processor seconds of one call (of all threads of this process)."""
    synchronise()
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    synchronise()
    wall_s, cpu_s = time.perf_counter() - wall, time.process_time() - cpu
    return Timing(wall_s=wall_s, cpu_s=cpu_s, result=result)


def synchronise() -> None:
    """Wait for a GPU, if torch is loaded and uses one: its work is only queued when a call returns."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.synchronize()


def side_by_side(
    sides: Mapping[str, Callable[[], Timing]], *, repeats: int = REPEATS, limit_s: float = REPEATS * LONG_S
) -> dict[str, Timing]:
    """Run all sides in turn, again and again, so that what else the machine does hits them alike.

    Parameters
    ----------
    sides : mapping of str to callable
        Each runs its side once and says how long it took; see :func:`clocked`.
    repeats : int
        Rounds wanted.
    limit_s : float
        No further round is begun that would end after so many seconds; one is always made.

    Returns
    -------
    dict of str to Timing
        Medians.
    """
    found: dict[str, list[Timing]] = {name: [] for name in sides}
    start = time.perf_counter()
    for made in range(1, repeats + 1):
        for name, run in sides.items():
            found[name].append(run())
        if (time.perf_counter() - start) * (made + 1) / made > limit_s:
            break
    return {name: _median(timings) for name, timings in found.items()}


def _median(timings: list[Timing]) -> Timing:
    return Timing(
        wall_s=statistics.median(timing.wall_s for timing in timings),
        cpu_s=statistics.median(timing.cpu_s for timing in timings),
        n_repeats=len(timings),
        result=timings[-1].result,
    )


# -------------------------------------------------------------------------------------------- processes


def in_process(
    function: str, *, threads: int | None = None, timeout_s: float | None = None, **arguments: Any
) -> dict[str, Any] | None:
    """Call a function of these benchmarks in a process of its own; None if it took longer than allowed.

    Parameters
    ----------
    function : str
        ``"module:name"``; it takes plain values and returns a dict that JSON can hold.
    threads : int, optional
        OMP_NUM_THREADS of the process; else as it is here.
    timeout_s : float, optional

    Raises
    ------
    RuntimeError
        If the process fails.
    """
    environment = dict(os.environ)
    if threads is not None:
        environment["OMP_NUM_THREADS"] = str(threads)
    words = [sys.executable, __file__, function, json.dumps(arguments)]
    try:
        done = subprocess.run(words, capture_output=True, text=True, env=environment, timeout=timeout_s)
    except subprocess.TimeoutExpired:
        return None
    if done.returncode:
        raise RuntimeError(f"{function} {arguments} failed:\n{done.stderr[-3000:]}")
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def main() -> None:
    name, arguments = sys.argv[1:]
    module, function = name.split(":")
    print(json.dumps(getattr(importlib.import_module(module), function)(**json.loads(arguments))))


def process_report(value: int) -> dict[str, Any]:
    """Return the argument and the number of the process: for the tests of :func:`in_process`."""
    return {"value": value, "process": os.getpid()}


# ---------------------------------------------------------------------------------------------- machine


def machine(device: str = "cpu") -> str:
    """Return one sentence on the machine and the versions."""
    words = [f"{len(os.sched_getaffinity(0))} cores ({_processor()})"]
    if device != "cpu":
        import torch

        words.append(torch.cuda.get_device_name(device))
    words.append(f"OMP_NUM_THREADS {os.environ.get('OMP_NUM_THREADS', 'not set')} unless said")
    words.append(f"Python {platform.python_version()}")
    words += [f"{name} {version(name)}" for name in PACKAGES]
    load = os.getloadavg()[0]
    return f"Machine: {', '.join(words)}; load {load:.1f} when written, {time.strftime('%Y-%m-%d')}."


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    fields = dict(line.split(":", 1) for line in lines if ":" in line)
    named = {name.strip(): value.strip() for name, value in fields.items()}
    family = f"family {named.get('cpu family', '?')} model {named.get('model', '?')}"
    return f"{named.get('model name', platform.machine())}, {family}"


# ---------------------------------------------------------------------------------------------- tables


def markdown(columns: str, rows: list[list[str]]) -> str:
    """Return a table; `columns` are parted by ``|``."""
    names = columns.split("|")
    lines = [f"| {' | '.join(name.strip() for name in names)} |", f"|{'---|' * len(names)}"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def seconds(value: float | None, *, limit_s: float | None = None) -> str:
    """Return seconds with three digits; None means that a limit was passed."""
    return f"> {limit_s:g}" if value is None else f"{value:.3g}"


if __name__ == "__main__":
    main()
