"""The plain Optuna loop that a user would write: TPE over kind and strengths, one training after another."""

from __future__ import annotations

import time
from collections.abc import Mapping

import optuna

from regadvisor.candidates import Candidate
from regadvisor.deadline import Deadline
from regadvisor.families.base import Fit, Job
from regadvisor.full_size import Rescaling
from regadvisor.regularizer import KINDS, Kind, Regularizer
from regadvisor.sampling.folds import make_folds
from regret.references import N_FOLDS, Task


def best_of_trials(task: Task, *, seconds: float) -> tuple[Regularizer, int]:
    """Return the best regularizer that so many processor seconds find, and the trials they allowed.

    Every trial is one regularizer on all training rows and all folds, in the ranges of the library. The
    last trial may run over; with none that stayed finite the answer is no regularizer.
    """
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        return _best_of_trials(task, seconds=seconds)
    finally:
        optuna.logging.set_verbosity(verbosity)


def _best_of_trials(task: Task, *, seconds: float) -> tuple[Regularizer, int]:
    start = time.process_time()
    table = task.data.table(task.split.train)
    folding = make_folds(table, folds=N_FOLDS, seed=task.split.number)
    family, _ = task.full()
    prepared = family.prepare(table, folding.folds, seed=task.split.number)
    candidates = family.candidates(prepared)
    tested = folding.fold_of_row >= 0
    sampler = optuna.samplers.TPESampler(seed=task.split.number)
    study = optuna.create_study(sampler=sampler)
    fits: list[tuple[float, Fit]] = []
    while time.process_time() - start < seconds:
        trial = study.ask()
        job = Job(regularizer=_suggested(trial, candidates))
        trained = family.train(prepared, [job], deadline=Deadline.never())
        loss = float(trained[0].losses[tested].mean())
        study.tell(trial, loss)
        fits.append((loss, trained[0]))
    finished = [(loss, number) for number, (loss, _) in enumerate(fits) if loss == loss]
    if not finished:
        return Regularizer(coupling=family.coupling), len(fits)
    best = fits[min(finished)[1]][1]
    everything = Rescaling(n_sample=table.n_rows, n_rows=table.n_rows, n_features=prepared.n_features)
    return family.at_full_size(best, everything)[0], len(fits)


def _suggested(trial: optuna.Trial, candidates: Mapping[Kind, Candidate]) -> Regularizer:
    """Ask for a kind, then for its strengths within their ranges."""
    names = [kind for kind in KINDS if kind in candidates]
    kind = names[trial.suggest_categorical("kind", list(range(len(names))))]
    chosen = candidates[kind]
    strengths = {
        name: trial.suggest_float(f"{kind} {name}", found.low, found.high, log=found.is_log)
        for name, found in chosen.ranges.items()
    }
    return chosen.regularizer(strengths)
