"""e) How time and peak memory of `advise` grow: with rows, with features, and with the candidates trained.

Every line is a process of its own. Before the clock starts it has imported everything (a small advice) and
made the data; memory is the peak beyond what it held then, so beyond the caller's own array.
Effort "quick", so that the same is done at every size; the default budget would change it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import speed_data
from speed_full_run import warm_up
from speed_measure import clocked, forget_peak, in_process, memory_mb, seconds

from regadvisor import advise
from regadvisor.data.source import make_table
from regadvisor.deadline import Deadline
from regadvisor.families.base import Family, Job
from regadvisor.families.linear.family import LinearFamily
from regadvisor.families.neural.family import MLPFamily
from regadvisor.regularizer import Regularizer
from regadvisor.sampling.folds import make_folds

ROWS = (1_000, 10_000, 100_000, 1_000_000)
FEATURES = (10, 100, 1_000, 10_000)
CANDIDATES = (4, 8, 16, 32, 64, 128)
#: Rows where features grow, and rows and features where candidates do.
N_WIDE, N_TALL_FEATURES, N_CANDIDATE_ROWS = 1_000, 30, 1_000

COLUMNS = (
    "model|rows × columns|advise s|seconds by stage|processor s|peak MB beyond the data"
    "|the caller's array, MB|fits|outcome"
)
CANDIDATE_COLUMNS = "model|candidates × 5 folds|seconds|processor s|ms per candidate and fold|peak MB"


def case(model: str, n: int, p: int, effort: str | None) -> dict[str, Any]:
    """Measure one advice; called in a process of its own."""
    warm_up()
    data = speed_data.synthetic(n, p)
    forget_peak()
    before = memory_mb("VmRSS")
    timing = clocked(lambda: advise(data.X, data.y, model=model, effort=effort))
    peak = memory_mb("VmHWM")
    record = timing.result.record
    scores = record.evidence.scores
    return {
        "wall_s": timing.wall_s,
        "cpu_s": timing.cpu_s,
        "stages": record.timings.stages,
        "peak_mb": peak - before,
        "array_mb": data.X.nbytes / 2**20,
        "fits": 0 if scores is None else len(scores.scores),
        "outcome": record.walk.outcome,
    }


def lines(
    *,
    models: tuple[str, ...] = ("linear", "mlp"),
    rows: tuple[int, ...] = ROWS,
    features: tuple[int, ...] = FEATURES,
    effort: str | None = "quick",
    timeout_s: float = 900.0,
) -> Iterator[list[str]]:
    """Yield the rows of the table of sizes."""
    sizes = [(n, N_TALL_FEATURES) for n in rows] + [(N_WIDE, p) for p in features]
    for model in models:
        for n, p in sizes:
            found = in_process("speed_growth:case", timeout_s=timeout_s, model=model, n=n, p=p, effort=effort)
            if found is None:
                yield [model, f"{n:,} × {p:,}", f"> {timeout_s:g}", *(["–"] * 6)]
            else:
                yield _line(model, n, p, found)


def _line(model: str, n: int, p: int, found: dict[str, Any]) -> list[str]:
    named = sorted(found["stages"].items(), key=lambda pair: -pair[1])
    stages = ", ".join(f"{name} {value:.2f}" for name, value in named if value >= 0.005)
    return [
        model,
        f"{n:,} × {p:,}",
        seconds(found["wall_s"]),
        stages,
        seconds(found["cpu_s"]),
        f"{found['peak_mb']:.0f}",
        f"{found['array_mb']:.1f}",
        str(found["fits"]),
        found["outcome"],
    ]


# ----------------------------------------------------------------------------------------- candidates


def candidate_case(model: str, n_candidates: int, n: int) -> dict[str, Any]:
    """Train so many candidates on five folds; called in a process of its own."""
    warm_up()
    data = speed_data.synthetic(n, N_TALL_FEATURES)
    table = make_table(data.X, data.y)
    family: Family = LinearFamily() if model == "linear" else MLPFamily()
    prepared = family.prepare(table, make_folds(table).folds, seed=0)
    jobs = mixed_jobs(family, prepared, n_candidates)
    family.train(prepared, jobs[:1], deadline=Deadline.never())
    forget_peak()
    before = memory_mb("VmRSS")
    timing = clocked(lambda: family.train(prepared, jobs, deadline=Deadline.never()))
    return {"wall_s": timing.wall_s, "cpu_s": timing.cpu_s, "peak_mb": memory_mb("VmHWM") - before}


def mixed_jobs(family: Family, prepared: Any, n_jobs: int) -> list[Job]:
    """Return so many jobs, all kinds in turn, with strengths around those tried first."""
    candidates = list(family.candidates(prepared).values())
    jobs = []
    for number in range(n_jobs):
        candidate = candidates[number % len(candidates)]
        turn = number // len(candidates)
        point = candidate.regularizer(candidate.portfolio[turn % len(candidate.portfolio)])
        # Strengths that were not tried yet: the portfolio again, each time a little weaker.
        factor = 0.9 ** (turn // len(candidate.portfolio))
        scaled = {name: value * factor for name, value in point.strengths().items()}
        jobs.append(Job(regularizer=Regularizer(**scaled, coupling=family.coupling)))
    return jobs


def candidate_lines(
    *,
    models: tuple[str, ...] = ("linear", "mlp"),
    counts: tuple[int, ...] = CANDIDATES,
    n: int = N_CANDIDATE_ROWS,
) -> Iterator[list[str]]:
    """Yield the rows of the table of candidates."""
    for model in models:
        for count in counts:
            found = in_process("speed_growth:candidate_case", model=model, n_candidates=count, n=n)
            assert found is not None  # no timeout was given
            each_ms = 1e3 * found["cpu_s"] / (5 * count)
            cells = [seconds(found["wall_s"]), seconds(found["cpu_s"]), f"{each_ms:.1f}"]
            yield [model, f"{count} × 5", *cells, f"{found['peak_mb']:.0f}"]
