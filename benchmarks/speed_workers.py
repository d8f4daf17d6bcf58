"""f) `advise` inside another program's workers: several at a time, against one after another.

A grid search or a pipeline over many tables calls `advise` in joblib's processes or threads. Each call then
has to live with a share of the machine: without care, every one of them would start as many threads as there
are processors, and wait for the others' at the end of each small product.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import speed_data
from joblib import Parallel, delayed
from speed_measure import Timing, clocked, in_process, side_by_side

from regadvisor import advise

FAMILIES = ("linear", "mlp")
N_ROWS = 3_000
#: Advices a side asks for, and how many at a time.
N_ADVICES = 4
N_WORKERS = 2

COLUMNS = (
    "model|one after another s|2 joblib processes s|2 joblib threads s"
    "|one after another / processes|one after another / threads|the same advice everywhere|repeats"
)


def one_advice(seed: int, family: str, n_rows: int) -> tuple[str, float, float]:
    """Return kind and strengths of one advice: a fixed effort, so that no clock decides."""
    data = speed_data.synthetic(n_rows)
    found = advise(data.X, data.y, model=family, effort="quick", random_state=seed).regularizer
    return found.kind, found.l1 or 0.0, found.l2 or 0.0


def case(family: str, repeats: int, n_rows: int) -> dict[str, Any]:
    """Measure one family; called in a process of its own. Workers are started before the clock."""
    asked = [delayed(one_advice)(seed, family, n_rows) for seed in range(N_ADVICES)]
    sides: dict[str, Any] = {"alone": Parallel(n_jobs=1)}
    sides["processes"] = Parallel(n_jobs=N_WORKERS, backend="loky")
    sides["threads"] = Parallel(n_jobs=N_WORKERS, backend="threading")
    for side in sides.values():
        side(asked[:N_WORKERS])
    timings: dict[str, Timing] = side_by_side(
        {name: partial(clocked, partial(side, asked)) for name, side in sides.items()}, repeats=repeats
    )
    answers = [timing.result for timing in timings.values()]
    return {
        "wall_s": {name: timing.wall_s for name, timing in timings.items()},
        "is_same": all(answer == answers[0] for answer in answers),
        "repeats": timings["alone"].n_repeats,
    }


def lines(*, repeats: int, n_rows: int = N_ROWS) -> Iterator[list[str]]:
    """Yield the rows of the table."""
    for family in FAMILIES:
        found = in_process("speed_workers:case", family=family, repeats=repeats, n_rows=n_rows)
        assert found is not None  # no timeout was given
        wall = found["wall_s"]
        yield [
            f"{family}, {N_ADVICES} advices on {n_rows:,} × 30",
            *(f"{wall[side]:.3g}" for side in ("alone", "processes", "threads")),
            *(f"**{wall['alone'] / wall[side]:.2f}**" for side in ("processes", "threads")),
            "yes" if found["is_same"] else "no",
            str(found["repeats"]),
        ]
