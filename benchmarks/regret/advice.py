"""The library's advice on the training rows, timed, then trained on all of them and tested."""

from __future__ import annotations

import os
import resource
import time
from dataclasses import asdict
from functools import cache
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

import regadvisor
from regadvisor.advice import Advice
from regadvisor.deadline import Deadline
from regadvisor.families.base import Fit, Job
from regadvisor.regularizer import Regularizer
from regret.cache import append_line, read_lines, save_arrays
from regret.caller import make_module, prepare
from regret.module_references import full_test_losses
from regret.optuna_loop import best_of_trials
from regret.references import N_SEEDS, Task

#: Effort by the budget, as a user gets it who asks for nothing.
DEFAULT = "default"


def runs_path(out: Path) -> Path:
    """Return the file of all runs: JSON lines, only ever added to."""
    return out / "runs.jsonl"


def is_done(out: Path, task: Task, *, policy: str, version: str) -> bool:
    """Return whether a run is there already."""
    wanted = (task.key, policy, version)
    return any((run["key"], run["policy"], run["version"]) == wanted for run in read_lines(runs_path(out)))


def run_advice(out: Path, task: Task, *, effort: str, version: str) -> dict[str, Any]:
    """Advise, train what is advised, and keep what came of it; return the run."""
    advice, run = advised(task, effort=effort)
    return _finish(out, task, {"policy": f"advise ({effort})", **run}, advice.regularizer, version=version)


def advised(task: Task, *, effort: str = DEFAULT) -> tuple[Advice, dict[str, Any]]:
    """Return the advice that a caller gets, and what it says and took as plain data."""
    given = None if effort == DEFAULT else effort
    arguments = _arguments(task)
    _load_libraries(task.family)
    clock = Clock()
    advice = regadvisor.advise(
        **arguments,
        recipe=task.recipe,
        effort=given,  # type: ignore[arg-type]
        random_state=task.split.number,
        device="cpu",
    )
    return advice, _said(advice) | clock.read() | {"load": os.getloadavg()[0]}


def _arguments(task: Task) -> dict[str, Any]:
    """Return the data and the model that `task` asks about, as a caller passes them."""
    if task.family != "module":
        return {**task.data.arguments(task.split.train), "model": task.family}
    prepared = prepare(task.data, task.split.train, task.split.test)
    return {"X": prepared.X, "y": prepared.target(), "task": task.data.task, "model": make_module}


@cache
def _load_libraries(family: str) -> None:
    """Advise once on next to nothing: the first advice of a process pays for imports."""
    rng = np.random.default_rng(0)
    model: Any = make_module if family == "module" else family
    regadvisor.advise(rng.normal(size=(40, 3)), rng.normal(size=40), model=model, budget=1, device="cpu")


def run_optuna(out: Path, task: Task, *, seconds: float, like: str, version: str) -> dict[str, Any]:
    """Spend the processor time of an advice on the plain Optuna loop, train what it finds, and keep it."""
    clock = Clock()
    regularizer, n_trials = best_of_trials(task, seconds=seconds)
    spent = clock.read()
    run = {"policy": f"Optuna, time of {like}", "kind": regularizer.kind, "n_trials": n_trials, **spent}
    return _finish(out, task, run, regularizer, version=version)


def _finish(
    out: Path, task: Task, run: dict[str, Any], regularizer: Regularizer, *, version: str
) -> dict[str, Any]:
    losses, full_run_cpu_s = train_and_test(task, regularizer)
    run |= {
        "key": task.key,
        "set": task.data.name,
        "family": task.family,
        "split": task.split.number,
        "version": version,
        "n_train": len(task.split.train),
        "regularizer": asdict(regularizer),
        "full_run_cpu_s": full_run_cpu_s,
    }
    name = run["policy"].replace(" ", "_")
    path = out / "tested" / version / f"{task.key}-{name}.npz"
    save_arrays(path, {}, {"losses": losses})
    run["losses"] = path.relative_to(out).as_posix()
    append_line(runs_path(out), run)
    return run


def train_and_test(task: Task, regularizer: Regularizer) -> tuple[NDArray[np.float32], float]:
    """Train a regularizer on all training rows with the reference's seeds.

    Returns
    -------
    losses : ndarray of float32, shape (n_seeds, n_test)
    full_run_cpu_s : float
        Processor seconds of the first training, by itself: one full run.
    """
    if task.family == "module":
        return _train_callers(task, regularizer)
    family, prepared = task.full()
    jobs = [Job(regularizer=regularizer, seed=seed) for seed in range(N_SEEDS[task.family])]
    start = time.process_time()
    fits: list[Fit] = family.train(prepared, jobs[:1], deadline=Deadline.never())
    full_run_cpu_s = time.process_time() - start
    if jobs[1:]:
        fits += family.train(prepared, jobs[1:], deadline=Deadline.never())
    return task.test_losses(fits), full_run_cpu_s


def _train_callers(task: Task, regularizer: Regularizer) -> tuple[NDArray[np.float32], float]:
    """Train the caller's module in the caller's loop, as the reference was; see `train_and_test`."""
    assert task.recipe is not None
    prepared = prepare(task.data, task.split.train, task.split.test)
    start = time.process_time()
    losses = full_test_losses(prepared, [regularizer], task.recipe)[0]
    return losses, (time.process_time() - start) / len(losses)


class Clock:
    """Wall and processor seconds (all threads, user and system) since it was made."""

    def __init__(self) -> None:
        self._wall_s, self._cpu_s = perf_counter(), self._cpu()

    @staticmethod
    def _cpu() -> float:
        usage = resource.getrusage(resource.RUSAGE_SELF)
        return usage.ru_utime + usage.ru_stime

    def read(self) -> dict[str, float]:
        """Return the seconds by name."""
        return {"wall_s": perf_counter() - self._wall_s, "cpu_s": self._cpu() - self._cpu_s}


def _said(advice: Advice) -> dict[str, Any]:
    """Return what an advice says, as plain data."""
    record = advice.record
    sample = record.evidence.sample
    return {
        "kind": advice.regularizer.kind,
        "outcome": record.walk.outcome,
        "status": advice.status,
        "source": record.strength.source,
        "effort": record.settings.effort,
        "n_sample": None if sample is None else sample.n_rows,
        "support": {claim.name: claim.support for claim in record.claims},
        "path": [[step.question, step.reply] for step in record.walk.steps],
        "stages": record.timings.stages,
    }
