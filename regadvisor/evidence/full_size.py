"""From the gain of the pick on the sample to its gain at the full size: the evidence of Q10.

Where a budget was given that has room for it, the pick and no regularization are trained on all rows. From
the largest size on, a gain is modelled as ``g(n) = g · (n / n_s)^-a``, as a share of the baseline's loss: the
variance that a penalty saves falls with the rows. The power a is normal over data sets (``full_size.py``).
Smaller samples of the same data say too little about their own a to count: on sets left out, intervals were
best without them. So the gain on the sample is moved along the power and widened by the scatter that other
sets showed per √(log ratio). No gain is assumed to keep its sign by more than that.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy import optimize, special

from regadvisor import thresholds
from regadvisor.compare.honest import Honest
from regadvisor.compare.paired import spread
from regadvisor.compare.panel import Panel
from regadvisor.data.table import MOST_CELLS, Table
from regadvisor.deadline import Deadline
from regadvisor.families.base import Family, Fit, Fold, Job, Prepared
from regadvisor.family_spec import spec_of
from regadvisor.full_size import TRANSFER, Rescaling
from regadvisor.plan.plan import Plan
from regadvisor.records import GainAtFull, GrowthEvidence, SizePoint
from regadvisor.regularizer import Kind, Regularizer
from regadvisor.sampling.folds import make_folds
from regadvisor.search.results import Results
from regadvisor.search.store import Journal, opened

if TYPE_CHECKING:
    from regadvisor.sampling.draw import Drawn


#: Folds of all rows, one of which is tested, in a check at the full size.
_CHECK_FOLDS = 5


@dataclass(frozen=True, kw_only=True, eq=False)
class Growing:
    """What the extrapolation of a pick starts from."""

    #: All rows.
    table: Table
    drawn: Drawn
    family: Family
    #: The sample's folds.
    prepared: Prepared
    #: The losses that were compared: without the luck of having picked the best of several strengths.
    honest: Honest
    seed: int
    deadline: Deadline
    plan: Plan
    #: Projected seconds of one full run, if the budget may be spent on runs on all rows.
    full_run_s: float | None = None
    storage: Path | None = None

    def measure(self, kind: Kind, picked: Fit) -> GrowthEvidence:
        """Return what becomes of the gain of `kind` over no regularization at the full size.

        `picked`: the fit of its best strengths on the sample.
        """
        # Forward in time folds learn from ever more rows: no size of theirs is that of all rows.
        if not self.plan.is_far or (self._is_forward and len(self.drawn.folds) > 1):
            return self._evidence(kind, None)
        with ExitStack() as stack:
            store = None if self.storage is None else stack.enter_context(opened(self.storage))
            return self._evidence(kind, self._checked(picked, store))

    @property
    def _is_forward(self) -> bool:
        """Whether later rows were tested."""
        return self.drawn.evidence.validation == "time"

    def _checked(self, picked: Fit, store: Journal | None) -> SizePoint | None:
        """Return the gain on all rows but a test fold, at the strengths advised; None without the time."""
        room_s = thresholds.CHECK_SHARE * self.deadline.left_s
        if self.full_run_s is None or not math.isfinite(room_s) or 2 * self.full_run_s > room_s:
            return None
        if self.table.whole is not None or self.table.n_rows * self.prepared.n_features > MOST_CELLS:
            return None
        folds: tuple[Fold, ...] = make_folds(self.table, folds=_CHECK_FOLDS, seed=self.seed).folds
        prepared = self.family.prepare(self.table, folds[-1:], seed=self.seed)
        by = Rescaling(
            n_sample=self.prepared.n_learned,
            n_rows=self.table.n_rows,
            n_features=self.prepared.n_features,
            is_forward=self._is_forward,
        )
        advised, _ = self.family.at_full_size(picked, by)
        none = Regularizer(coupling=advised.coupling)
        fits = train_size(
            self.family,
            prepared,
            [none, advised],
            seed=picked.job.seed,
            deadline=self.deadline,
            study="all rows",
            store=store,
        )
        if none not in fits or advised not in fits:
            return None
        panel = Panel(
            losses={"none": fits[none].losses[None], "pick": fits[advised].losses[None]},
            constant=prepared.constant_losses,
            fold=Results(prepared=prepared).fold_labels,
            weight=self.table.weight,
            cluster=self.table.groups,
            n_folds=2,
        )
        share = self.table.n_rows / self.prepared.n_learned
        losses = panel.losses["none"][0], panel.losses["pick"][0]
        return _size_point(*losses, panel, self.table.n_rows, share=share)

    def _evidence(self, kind: Kind, checked: SizePoint | None) -> GrowthEvidence:
        n_rows, n_sample = self.table.facts.n_rows, self.prepared.n_learned
        none, pick = self.honest.of("none"), self.honest.of(kind)
        # First the gain on the sample itself, the one that the verdict gives.
        points = [_size_point(none, pick, self.honest.panel, n_sample, share=1.0)]
        points += [] if checked is None else [checked]
        prior = TRANSFER[spec_of(self.family.name).laws]
        found = gain_at_full(
            points[-1].gain,
            points[-1].se,
            ratio=n_rows / points[-1].n_rows,
            power=prior.gain_power,
            scatter=prior.gain_scatter,
            region=thresholds.SAME_REGION,
        )
        return GrowthEvidence(
            kind=kind,
            n_sample=n_sample,
            n_rows=n_rows,
            source="prior" if checked is None else "checked",
            sizes=tuple(points),
            **asdict(found),
        )


def _size_point(
    none: np.ndarray[tuple[int], np.dtype[np.float64]],
    pick: np.ndarray[tuple[int], np.dtype[np.float64]],
    panel: Panel,
    n_rows: int,
    *,
    share: float,
) -> SizePoint:
    """Return the gain of paired losses, as a share of the loss of none."""
    measured = spread(none - pick, panel)
    loss_none = float(none @ panel.share)
    scale = max(abs(loss_none), 1e-12)
    return SizePoint(
        n_rows=n_rows,
        share=share,
        loss_none=loss_none,
        loss=float(pick @ panel.share),
        gain=measured.mean / scale,
        se=math.sqrt(measured.variance) / scale,
    )


def train_size(
    family: Family,
    prepared: Prepared,
    regularizers: Sequence[Regularizer],
    *,
    seed: int,
    deadline: Deadline,
    study: str,
    store: Journal | None = None,
) -> dict[Regularizer, Fit]:
    """Train regularizers on the folds of one size; return the fits that lost no tested row.

    Those that did not converge are among them, those that the deadline cut are not.

    `prepared`: the size's folds. `study`: name of these fits in `store`.
    """
    jobs = [Job(regularizer=each, seed=seed) for each in regularizers]
    found = {job: None if store is None else store.find(study, job, None, prepared) for job in jobs}
    known = {job for job in jobs if found[job] is not None}
    is_tested = Results(prepared=prepared).is_tested

    def keep(fit: Fit) -> None:
        if found[fit.job] is None:
            found[fit.job] = fit
            if store is not None:
                store.append(study, fit)

    if len(known) < len(jobs):
        for fit in family.train(prepared, jobs, deadline=deadline, on_fit=keep, known=known):
            keep(fit)
    return {
        job.regularizer: fit
        for job, fit in found.items()
        if fit is not None and np.isfinite(fit.losses[is_tested]).all()
    }


#: The normal distribution of the power: points in standard deviations, and their probabilities.
_POINTS = np.linspace(-4.0, 4.0, 201)
_MASS = np.exp(-0.5 * _POINTS**2) / np.exp(-0.5 * _POINTS**2).sum()
#: A gain is never taken for better known than this, as a share of the loss.
_SMALLEST_SE = 1e-6


def gain_at_full(
    gain: float, se: float, *, ratio: float, power: tuple[float, float], scatter: float, region: float
) -> GainAtFull:
    """Extrapolate a gain from the rows on which it was measured to the full size.

    `gain`, `se`: as measured, a share of the loss of none, with its standard error. `ratio`: the full size
    over the rows on which it was measured; below 1 it counts as 1. `power`: mean and standard deviation of
    the power by which gains fall with the rows. `scatter`: standard deviation of what else happens to a gain,
    per √(log ratio). `region`: half width of the region in which a gain is none, as a share of the loss.

    >>> found = gain_at_full(0.04, 0.001, ratio=4.0, power=(1.0, 0.1), scatter=0.0, region=0.005)
    >>> round(found.gain, 3), round(found.low, 3), round(found.high, 3), round(found.p_better, 2)
    (0.01, 0.008, 0.013, 1.0)
    """
    ratio = max(ratio, 1.0)
    kept = ratio ** -(power[0] + power[1] * _POINTS)
    mean = gain * kept
    sd = np.hypot(kept * max(se, _SMALLEST_SE), scatter * math.sqrt(math.log(ratio)))

    def below(value: float) -> float:
        return float(_MASS @ special.ndtr((value - mean) / sd))

    ends = float((mean - 8 * sd).min()), float((mean + 8 * sd).max())
    low, middle, high = (
        float(optimize.brentq(lambda value, share=share: below(value) - share, *ends, xtol=1e-12))
        for share in (0.025, 0.5, 0.975)
    )
    p_worse, p_not_better = below(-region), below(region)
    return GainAtFull(
        gain=middle,
        low=low,
        high=high,
        p_better=1.0 - p_not_better,
        p_same=p_not_better - p_worse,
        p_worse=p_worse,
    )
