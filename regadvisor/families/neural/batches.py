"""Which jobs are trained together, and training them."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np

from regadvisor.deadline import Deadline
from regadvisor.families.base import Fit, Job
from regadvisor.families.neural.encoded import NetworkPrepared
from regadvisor.families.neural.nets import Layout
from regadvisor.families.neural.penalties import Strengths
from regadvisor.families.neural.scoring import Scoreboard
from regadvisor.families.neural.trainer import Member, StackTrainer

#: Networks at once: more gain nothing on two cores, fewer lose little (measured: 10 to 160 differ by 1.4).
MOST_NETWORKS = 64
#: Memory of one batch of networks, in bytes.
BATCH_BYTES = 300_000_000
#: With a deadline, a batch is cut to about this share of the time left, and at most to these seconds, at this
#: speed of one thread (operations per second): what a deadline finds unfinished is lost.
BATCH_SHARE = 0.2
BATCH_S = 3.0
ASSUMED_SPEED = 40e9


def n_jobs_at_once(prepared: NetworkPrepared, hidden: tuple[int, ...], *, left_s: float) -> int:
    """Return how many jobs are trained together, at least 1; `left_s` may be infinite.

    It changes memory and time, never a result: networks do not see each other (tested to the bit).
    """
    rows, plan = prepared.rows, prepared.plan
    layout = Layout(widths=(rows.x.shape[1], *hidden, rows.target.shape[1]))
    # Parameters, gradient and two moments; inputs; outputs, gates, slopes and dropout of every layer.
    floats = 5 * layout.n_parameters + plan.batch * (layout.widths[0] + 5 * sum(layout.widths[1:]))
    networks = min(MOST_NETWORKS, BATCH_BYTES // (4 * floats))
    if math.isfinite(left_s):
        operations = 6.0 * layout.n_weights * plan.batch * len(plan.rates)
        networks = min(networks, int(min(BATCH_S, BATCH_SHARE * left_s) * ASSUMED_SPEED / operations))
    return int(max(1, networks // prepared.n_folds))


def in_batches(jobs: Sequence[Job], size: int) -> Iterator[list[Job]]:
    """Yield the jobs in their order, `size` at a time."""
    rest = iter(jobs)
    while batch := list(islice(rest, size)):
        yield batch


def member_seed(seed: int, job_seed: int, fold: int) -> int:
    """Return the seed of the networks of a fold: the same for all candidates, so they are paired."""
    return int(np.random.SeedSequence([seed, job_seed, fold]).generate_state(1)[0])


def trainer_for(prepared: NetworkPrepared, jobs: Sequence[Job], hidden: tuple[int, ...]) -> StackTrainer:
    """Return the trainer of some jobs on all folds; network ``j · n_folds + f`` is job j on fold f."""
    folds = range(prepared.n_folds)
    members = [
        Member(seed=member_seed(prepared.seed, job.seed, fold), part=fold) for job in jobs for fold in folds
    ]
    strengths = Strengths.of([job.regularizer for job in jobs for _ in folds])
    return StackTrainer(prepared.rows, members, strengths, plan=prepared.plan, hidden=hidden)


def train_batch(
    prepared: NetworkPrepared, jobs: Sequence[Job], hidden: tuple[int, ...], deadline: Deadline
) -> list[Fit] | None:
    """Train some jobs on all folds together; None if the deadline came first.

    Returns
    -------
    list of Fit or None
        In the order of `jobs`.
    """
    start = time.perf_counter()
    # Sorted so that the networks with dropout and those with L1 each lie side by side: the others are
    # then not passed over (``penalties.span``).
    order = sorted(range(len(jobs)), key=lambda number: _block(jobs[number]))
    in_order = [jobs[number] for number in order]
    scoreboard = Scoreboard(prepared, in_order)
    trainer = trainer_for(prepared, in_order, hidden)
    if not trainer.run(at_checkpoint=scoreboard.record, should_stop=deadline.expired):
        return None
    fits = scoreboard.fits(seconds=time.perf_counter() - start)
    return [fit for _, fit in sorted(zip(order, fits, strict=True), key=lambda pair: pair[0])]


def _block(job: Job) -> int:
    """Return 0 … 3: neither, L1, L1 and dropout, dropout."""
    strengths = job.regularizer.strengths()
    has_l1, has_dropout = "l1" in strengths, "dropout" in strengths
    return (2 if has_l1 else 3) if has_dropout else int(has_l1)
