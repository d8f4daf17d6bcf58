"""What training costs, from a few timed steps."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch

from regadvisor.deadline import Deadline
from regadvisor.families.base import Job
from regadvisor.families.neural.batches import ASSUMED_SPEED, trainer_for
from regadvisor.families.neural.encoded import NetworkPrepared
from regadvisor.families.neural.module.stack import ModuleArchitecture
from regadvisor.families.neural.schedule import sample_plan
from regadvisor.families.neural.trainer import StackTrainer
from regadvisor.regularizer import Regularizer

#: Steps are timed for so many seconds, within these numbers of steps. Small networks are through with the
#: most after 0.03 s; on the smallest samples, 0.15 s were a twentieth of the whole advice.
TIMED_S = 0.15
FEWEST_STEPS, MOST_STEPS = 5, 100
#: Steps before them: the first ones fill buffers and start threads.
WARM_UP_STEPS = 3
#: After a first step that takes longer than this, one more is enough.
SLOW_STEP_S = 0.1


def time_steps(trainer: StackTrainer, deadline: Deadline) -> float | None:
    """Return the seconds of one step of all networks of a trainer (whose training goes on by a few steps).

    None if there is no time for more than the first steps, which tell nothing: on a busy machine the first
    one of a small convolution took a hundred times as long as the next. No step begins after the deadline.
    """
    plan, made = trainer.plan, 0
    n_warm, fewest, most = WARM_UP_STEPS, FEWEST_STEPS, MOST_STEPS

    def now() -> float:
        if trainer.device.type == "cuda":  # steps are only queued there
            torch.cuda.synchronize(trainer.device)
        return time.perf_counter()

    begin = start = now()
    while True:
        rows = trainer.draw_epoch()
        for step in range(plan.n_steps):
            if made == 1 and now() - begin > SLOW_STEP_S:
                n_warm = fewest = most = 1
            timed = made - n_warm
            if timed >= fewest and (timed >= most or now() - start > TIMED_S):
                return (now() - start) / timed
            if deadline.expired():
                return (now() - start) / timed if timed > 0 else None
            if timed == 0:
                start = now()
            trainer.train_step(rows[:, step], float(plan.rates[0]))
            made += 1


def seconds_per_step(prepared: NetworkPrepared, deadline: Deadline) -> float:
    """Return the seconds of one step of a single network without regularization.

    Estimated from its size if there is no time to make one.
    """
    measured = time_steps(trainer_for(prepared, [Job(regularizer=_KINDS[0])], folds=[0]), deadline)
    if measured is not None:
        return measured
    architecture = prepared.architecture
    guessed_s = architecture.operations_per_row() * prepared.plan.batch / ASSUMED_SPEED
    if isinstance(architecture, ModuleArchitecture) and architecture.engine != "fused":
        return max(guessed_s, architecture.pass_s)
    return guessed_s


def full_run_seconds_per_step(prepared: NetworkPrepared, deadline: Deadline, *, step_s: float) -> float:
    """Return the seconds of one step of a full run, which trains a caller's module by itself.

    `step_s` is that of a single network by the engine that trains the sample.
    """
    architecture = prepared.architecture
    if not isinstance(architecture, ModuleArchitecture) or architecture.engine == "loop":
        return step_s
    if architecture.engine == "vmap" and step_s > SLOW_STEP_S:
        return step_s
    alone = replace(prepared, architecture=replace(architecture, engine="loop"))
    return seconds_per_step(alone, deadline)


def job_projection(prepared: NetworkPrepared, deadline: Deadline, *, step_s: float) -> Callable[[int], float]:
    """Return rows of a sample → seconds of one job on all folds.

    One job of each cost class is timed on the given folds; steps and evaluations are counted for the rows.
    Where networks run one after the other, or a step of one is slow, the others follow from one network's.

    `step_s`: seconds of one step of one network.
    """
    jobs = [Job(regularizer=regularizer) for regularizer in _KINDS]
    all_s = _all_jobs_step_s(prepared, jobs, deadline, step_s)
    share = float(np.mean([len(fold.train) for fold in prepared.folds])) / prepared.n_rows
    per_row_s = all_s / (len(jobs) * prepared.n_folds * prepared.plan.batch)

    def seconds(n_rows: int) -> float:
        n_train = max(1, round(share * n_rows))
        n_source = max(n_rows, prepared.n_source)
        plan = sample_plan(
            prepared.recipe, n_train=n_train, n_sample=n_rows, n_source=n_source, longer=prepared.longer
        )
        trained = prepared.n_folds * len(plan.rates) * plan.batch
        # Held-out rows and as many training rows are looked at; a forward pass is a third of a step.
        evaluated = 2 * len(plan.checkpoints) * n_rows
        return per_row_s * (trained + evaluated / 3)

    return seconds


def _all_jobs_step_s(
    prepared: NetworkPrepared, jobs: Sequence[Job], deadline: Deadline, step_s: float
) -> float:
    """Return the seconds of one step of all jobs on all folds, from the seconds of one network's."""
    n_networks, architecture = len(jobs) * prepared.n_folds, prepared.architecture
    one_by_one_s = step_s * n_networks
    if not architecture.is_together:
        return one_by_one_s
    if step_s > SLOW_STEP_S or one_by_one_s > deadline.left_s:
        # What a second network adds, every further one does.
        two_s = None
        if 2 * step_s < deadline.left_s:
            two_s = time_steps(trainer_for(prepared, jobs[:2], folds=[0]), deadline)
        return one_by_one_s if two_s is None else step_s + max(0.0, two_s - step_s) * (n_networks - 1)
    return time_steps(trainer_for(prepared, jobs), deadline) or one_by_one_s


_KINDS = (
    Regularizer(coupling="decoupled"),
    Regularizer(l2=1.0, coupling="decoupled"),
    Regularizer(l1=1e-3, l2=1.0, coupling="decoupled"),
    Regularizer(l1=1e-3, dropout=0.25, coupling="decoupled"),
    Regularizer(dropout=0.25, coupling="decoupled"),
)
