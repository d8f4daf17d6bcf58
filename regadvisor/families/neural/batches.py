"""Which jobs are trained together, and training them."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

import numpy as np
import torch

from regadvisor.deadline import Deadline
from regadvisor.errors import ParameterError, is_out_of_memory
from regadvisor.families.base import Fit, Job
from regadvisor.families.neural.encoded import NetworkPrepared
from regadvisor.families.neural.penalties import StackStrengths
from regadvisor.families.neural.scoring import Scoreboard
from regadvisor.families.neural.trainer import Member, StackTrainer

#: Networks at once: more gain nothing on two cores, fewer lose little (measured: 10 to 160 differ by 1.4).
#: A GPU is only busy with many.
MOST_NETWORKS = 64
MOST_NETWORKS_CUDA = 1024
#: Memory of one batch of networks, in bytes; on a GPU this share of what is free there.
BATCH_BYTES = 300_000_000
SHARE_OF_FREE_CUDA = 0.5
#: With a deadline, a batch is cut to about this share of the time left, and at most to these seconds: what a
#: deadline finds unfinished is lost. Networks that run one by one gain nothing from company. (Of the others,
#: 3 s on a busy machine are two networks: a residual network for a table took 38 s of the processor so, and
#: 22 s with 10.) Until a batch was timed, one thread is taken to make so many operations per second.
BATCH_SHARE = 0.1
BATCH_S = 10.0
BATCH_S_ONE_BY_ONE = 3.0
ASSUMED_SPEED = 40e9


def n_jobs_at_once(
    prepared: NetworkPrepared, *, left_s: float, n_folds: int | None = None, network_s: float | None = None
) -> int:
    """Return how many jobs are trained together, at least 1; `left_s` may be infinite.

    It changes memory and time, and fits no more than rounding does: networks do not see each other.

    `left_s`: seconds until the deadline. `n_folds`: folds that a job is trained on; all if not given.
    `network_s`: seconds of training one network, if known.
    """
    plan, device = prepared.plan, prepared.rows.x.device
    is_cuda = device.type == "cuda"
    floats = prepared.architecture.floats_per_network(plan.batch)
    most, memory = MOST_NETWORKS, BATCH_BYTES
    if is_cuda:
        most, memory = MOST_NETWORKS_CUDA, int(SHARE_OF_FREE_CUDA * torch.cuda.mem_get_info(device)[0])
    networks = min(most, memory // (4 * floats))
    if math.isfinite(left_s) and not is_cuda:
        if network_s is None:
            operations = prepared.architecture.operations_per_row() * plan.batch * len(plan.rates)
            network_s = operations / ASSUMED_SPEED
        most_s = BATCH_S if prepared.architecture.is_together else BATCH_S_ONE_BY_ONE
        networks = min(networks, int(min(most_s, BATCH_SHARE * left_s) / network_s))
    return int(max(1, networks // (n_folds or prepared.n_folds)))


def member_seed(seed: int, job_seed: int, fold: int) -> int:
    """Return the seed of the networks of a fold: the same for all candidates, so they are paired."""
    return int(np.random.SeedSequence([seed, job_seed, fold]).generate_state(1)[0])


def trainer_for(
    prepared: NetworkPrepared, jobs: Sequence[Job], folds: Sequence[int] | None = None
) -> StackTrainer:
    """Return the trainer of some jobs on some folds (default all).

    Network ``j · len(folds) + i`` is job j on the i-th of the folds.
    """
    folds = range(prepared.n_folds) if folds is None else folds
    members = [
        Member(seed=member_seed(prepared.seed, job.seed, fold), part=fold) for job in jobs for fold in folds
    ]
    strengths = StackStrengths.of([job.regularizer for job in jobs for _ in folds])
    return StackTrainer(
        prepared.rows,
        members,
        strengths,
        plan=prepared.plan,
        architecture=prepared.architecture,
        recipe=prepared.recipe,
    )


def train_batch(
    prepared: NetworkPrepared, jobs: Sequence[Job], deadline: Deadline, folds: Sequence[int] | None = None
) -> list[Fit] | None:
    """Train some jobs on some folds (default all) together; None if the deadline came first.

    Where the memory is too small for all of them, halves are trained one after the other. The fits are in the
    order of the jobs.

    Raises ParameterError if not even a single network fits into the memory.
    """
    start = time.perf_counter()
    folds = range(prepared.n_folds) if folds is None else folds
    # Sorted so that the networks with dropout and those with L1 each lie side by side: the others are
    # then not passed over (``penalties.span``).
    order = sorted(range(len(jobs)), key=lambda number: _block(jobs[number]))
    scoreboard = Scoreboard(prepared, [jobs[number] for number in order], folds)
    if not _train_into(scoreboard, range(len(jobs)), folds, deadline):
        return None
    fits = scoreboard.fits(seconds=time.perf_counter() - start)
    return [fit for _, fit in sorted(zip(order, fits, strict=True), key=lambda pair: pair[0])]


def _train_into(
    scoreboard: Scoreboard, jobs: Sequence[int], folds: Sequence[int], deadline: Deadline
) -> bool:
    """Train some of a scoreboard's jobs on some folds; return whether they were finished in time."""
    prepared = scoreboard.prepared
    try:
        return _train_stack(scoreboard, jobs, folds, deadline)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        if len(jobs) == len(folds) == 1:
            raise ParameterError(
                "model must be small enough for the memory of the device, got one that does not fit with "
                f"a batch of {prepared.plan.batch} rows; lower batch_size, or the size of the network"
            ) from error
    prepared.observed["halved"] = prepared.observed.get("halved", 0.0) + 1.0
    # Outside of the handler: until it is left, the traceback holds on to the memory of the attempt.
    if prepared.rows.x.device.type == "cuda":
        torch.cuda.empty_cache()
    jobs_half, folds_half = len(jobs) // 2, len(folds) // 2
    if jobs_half:
        halves = [(jobs[:jobs_half], folds), (jobs[jobs_half:], folds)]
    else:
        halves = [(jobs, folds[:folds_half]), (jobs, folds[folds_half:])]
    return all(_train_into(scoreboard, *half, deadline) for half in halves)


def _train_stack(
    scoreboard: Scoreboard, jobs: Sequence[int], folds: Sequence[int], deadline: Deadline
) -> bool:
    """Train some of a scoreboard's jobs on some folds as one stack; return whether it was in time.

    A function, so that nothing holds on to the memory of an attempt that failed.
    """
    trained = [scoreboard.jobs[number] for number in jobs]
    trainer = trainer_for(scoreboard.prepared, trained, folds)
    return trainer.run(at_checkpoint=scoreboard.recorder(jobs, folds), should_stop=deadline.expired)


def _block(job: Job) -> int:
    """Return 0 … 3: neither, L1, L1 and dropout, dropout."""
    strengths = job.regularizer.strengths()
    has_l1, has_dropout = "l1" in strengths, "dropout" in strengths
    return (2 if has_l1 else 3) if has_dropout else int(has_l1)
