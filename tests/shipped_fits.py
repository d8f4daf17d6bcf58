"""A family whose fits say where they were made, and what workers make of them."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from search_fakes import RidgeFamily, make_effort, planned

from regadvisor.families.base import Fit, Fold, Job, Prepared

if TYPE_CHECKING:
    from regadvisor.search.results import Results


class Shipped(RidgeFamily):
    """Instant fits; says what it prepared and trained, and dies or fails where it is told to."""

    def __init__(
        self, log: Path, *, deadly: Job | None = None, spares: Path | None = None, raises: bool = False
    ) -> None:
        super().__init__()
        self.log, self.deadly, self.spares, self.raises = log, deadly, spares, raises

    def prepare(self, sample: Any, folds: Sequence[Fold], *, seed: int) -> Prepared:
        self._say("prepared")
        return self.prepared()

    def train(
        self, prepared: Prepared, jobs: Sequence[Job], *, folds: Any = None, **options: Any
    ) -> list[Fit]:
        if self.deadly in jobs and not (self.spares is not None and self.spares.exists()):
            if self.spares is not None:
                self.spares.touch()
            if self.raises:
                raise ZeroDivisionError("no such model")
            os.kill(os.getpid(), signal.SIGKILL)
        fits = super().train(prepared, jobs, **options)
        for fit in fits:
            self._say(repr(fit.job))
        return fits

    def _say(self, what: str) -> None:
        with self.log.open("a") as file:
            file.write(f"{os.getpid()} {threading.get_ident()} {what}\n")

    def said(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []


def tuned_by(family: Shipped, executor: Any, storage: Path | None = None) -> Results:
    # Imported here: a process that works for the tests imports this file, and has no use for them.
    from regadvisor.data.source import make_table
    from regadvisor.deadline import Deadline
    from regadvisor.scale.workers import workers
    from regadvisor.search.elsewhere import elsewhere
    from regadvisor.search.tune import tune

    table = make_table(np.arange(12.0)[:, None], np.arange(12.0))
    with workers(executor) as crew:
        own = elsewhere(family, crew) if not crew.is_here else family
        prepared = own.prepare(table, (), seed=0)
        return tune(
            own, prepared, planned(family, make_effort()), seed=0, deadline=Deadline.never(), storage=storage
        )


def fits_of(tuned: Results) -> list[tuple[str, Job, float]]:
    return [(fit.job.kind, fit.job, float(np.mean(fit.losses))) for fit in tuned.fits]


def n_trained(family: Shipped, job: Job) -> int:
    return sum(line.endswith(repr(job)) for line in family.said())
