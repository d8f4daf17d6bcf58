"""What training costs, from a few timed steps."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import torch

from regadvisor.families.base import Job
from regadvisor.families.neural.batches import trainer_for
from regadvisor.families.neural.encoded import NetworkPrepared
from regadvisor.families.neural.recipe import Recipe
from regadvisor.families.neural.schedule import sample_plan
from regadvisor.families.neural.trainer import StackTrainer
from regadvisor.regularizer import Regularizer

#: Steps are timed for so many seconds, within these numbers of steps. Small networks are through with the
#: most after 0.03 s; on the smallest samples, 0.15 s were a twentieth of the whole advice.
TIMED_S = 0.15
FEWEST_STEPS, MOST_STEPS = 5, 100
#: Steps before them: the first ones fill buffers and start threads.
WARM_UP_STEPS = 3


def time_steps(trainer: StackTrainer) -> float:
    """Return the seconds of one step of all networks of a trainer (whose training goes on by a few steps)."""
    plan, made, start = trainer.plan, 0, 0.0

    def now() -> float:
        if trainer.device.type == "cuda":  # steps are only queued there
            torch.cuda.synchronize(trainer.device)
        return time.perf_counter()

    while True:
        rows = trainer.draw_epoch()
        for step in range(plan.n_steps):
            if made == WARM_UP_STEPS:
                start = now()
            timed = made - WARM_UP_STEPS
            if timed >= FEWEST_STEPS and (timed >= MOST_STEPS or now() - start > TIMED_S):
                return (now() - start) / timed
            trainer.train_step(rows[:, step], float(plan.rates[0]))
            made += 1


def seconds_per_step(prepared: NetworkPrepared, recipe: Recipe) -> float:
    """Return the seconds of one step of a single network without regularization."""
    return time_steps(trainer_for(prepared, [Job(regularizer=_KINDS[0])], recipe, folds=[0]))


def job_projection(prepared: NetworkPrepared, recipe: Recipe) -> Callable[[int], float]:
    """Return rows of a sample → seconds of one job on all folds.

    One job of each cost class is timed on the given folds; steps and evaluations are counted for the rows.
    """
    jobs = [Job(regularizer=regularizer) for regularizer in _KINDS]
    step_s = time_steps(trainer_for(prepared, jobs, recipe)) / len(jobs)
    share = float(np.mean([len(fold.train) for fold in prepared.folds])) / prepared.n_rows
    per_row_s = step_s / (prepared.n_folds * prepared.plan.batch)

    def seconds(n_rows: int) -> float:
        n_train = max(1, round(share * n_rows))
        n_source = max(n_rows, prepared.n_source)
        plan = sample_plan(recipe, n_train=n_train, n_sample=n_rows, n_source=n_source)
        trained = prepared.n_folds * len(plan.rates) * plan.batch
        # Held-out rows and as many training rows are looked at; a forward pass is a third of a step.
        evaluated = 2 * len(plan.checkpoints) * n_rows
        return per_row_s * (trained + evaluated / 3)

    return seconds


_KINDS = (
    Regularizer(coupling="decoupled"),
    Regularizer(l2=1.0, coupling="decoupled"),
    Regularizer(l1=1e-3, l2=1.0, coupling="decoupled"),
    Regularizer(l1=1e-3, dropout=0.25, coupling="decoupled"),
    Regularizer(dropout=0.25, coupling="decoupled"),
)
