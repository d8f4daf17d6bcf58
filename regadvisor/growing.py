"""From the pick on the sample to its gain at the full size: the evidence of Q10.

Where the sample is much smaller than the data, the pick and no regularization are also trained on a half and
a quarter of each fold's training rows (of a single fold not far beyond the sample); where a budget was given
that has room for it, on all rows, too. What follows from these sizes is the work of ``compare/transfer.py``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from regadvisor import thresholds
from regadvisor.compare.paired import spread
from regadvisor.compare.panel import Panel
from regadvisor.compare.prior import TransferPrior, transfer_prior
from regadvisor.compare.transfer import GainAt, gain_at_full, shrunk, vertex
from regadvisor.data.table import Table
from regadvisor.deadline import Deadline
from regadvisor.families.base import Carry, Family, Fit, Fold, Prepared
from regadvisor.records import GrowthEvidence, SizePoint
from regadvisor.regularizer import STRENGTHS, Kind
from regadvisor.sampling.draw import Drawn
from regadvisor.sampling.folds import make_folds
from regadvisor.sampling.thinning import thinned
from regadvisor.search.experiment import Results
from regadvisor.search.log import opened
from regadvisor.search.rounds import Log
from regadvisor.search.sizes import CHECKED, SHARES, SizeFits, tested, train_size

#: Folds of all rows, one of which is tested, in a check at the full size.
_CHECK_FOLDS = 5
#: A check has to fit into this share of the time that is left, and all rows into so many numbers.
_CHECK_SHARE = 0.8
_CHECK_CELLS = 25_000_000
#: The log of a best strength is never taken for better known than this: a third of the grid's step.
_VERTEX_SE = 0.35
#: Sets that need no penalty have no best strength: powers are not taken to differ by more than this (sd).
_WIDEST_DRIFT = 0.5
#: A smaller drift is not worth a word: over a hundred times the rows it moves a strength by 2%.
_SMALLEST_DRIFT = 0.005


@dataclass(frozen=True, kw_only=True, eq=False)
class Growing:
    """What the extrapolation of a pick starts from.

    Attributes
    ----------
    table : Table
        All rows.
    drawn : Drawn
    family : Family
    prepared : Prepared
        The sample's folds.
    panel : Panel
    seed : int
    deadline : Deadline
    full_run_s : float or None
        Projected seconds of one full run, if the budget may be spent on runs on all rows.
    storage : Path or None
    """

    table: Table
    drawn: Drawn
    family: Family
    prepared: Prepared
    panel: Panel
    seed: int
    deadline: Deadline
    full_run_s: float | None = None
    storage: Path | None = None

    def measure(self, kind: Kind, picked: Fit) -> GrowthEvidence:
        """Return what becomes of the gain of `kind` over no regularization at the full size.

        Parameters
        ----------
        kind : Kind
        picked : Fit
            The fit of its best strengths on the sample.
        """
        prior = transfer_prior("linear" if self.family.name == "linear" else "network")
        points = [self._on_sample(kind)]
        drift, drift_sd = 0.0, None
        checked: SizeFits | None = None
        if self.table.n_rows > thresholds.MEASURED_FROM_RATIO * self.prepared.n_learned and self._may_thin:
            with ExitStack() as stack:
                store = None if self.storage is None else stack.enter_context(opened(self.storage))
                smaller = {share: self._smaller(share, picked, store) for share in self._shares}
                quarter = smaller.get(min(SHARES))
                if quarter is not None and len(quarter.picks) > 2:
                    measure = Results(prepared=quarter.prepared, trials=(), weight=self.drawn.table.weight)
                    drift, drift_sd = _drift(quarter, kind, prior, measure)
                checked = self._checked(picked, drift, store)
            points += [self._point(fits, share) for share, fits in smaller.items() if fits is not None]
        return self._evidence(kind, points, prior, drift=drift, drift_sd=drift_sd, checked=checked)

    @property
    def _may_thin(self) -> bool:
        """Whether fewer training rows stand for a smaller sample: not where they grow from fold to fold."""
        return not self._is_forward or len(self.drawn.folds) == 1

    @property
    def _shares(self) -> Mapping[float, tuple[float, ...]]:
        """Shares of the training rows to train on, and the factors on the pick's strengths that are tried.

        How the best strength moves takes folds to know (:func:`_drift`). A single one tells how the gain
        moves alone. That is reported; for Q10 it counts by the prior's ``own_share``, and far beyond the
        sample it makes no difference.
        """
        if len(self.drawn.folds) > 1:
            return SHARES
        is_far = self.table.n_rows > thresholds.FARTHEST_EXTRAPOLATION * self.prepared.n_learned
        return {} if is_far else dict.fromkeys(SHARES, (1.0,))

    @property
    def _is_forward(self) -> bool:
        """Whether later rows were tested."""
        return self.drawn.evidence.validation == "time"

    # --------------------------------------------------------------------------------- one size each

    def _on_sample(self, kind: Kind) -> SizePoint:
        """Return the gain on the sample itself, from the candidates that were compared."""
        best = int(np.argmin(self.panel.mean_losses(kind)))
        losses = {"none": self.panel.losses["none"][0], kind: self.panel.losses[kind][best]}
        return _size_point(losses["none"], losses[kind], self.panel, self.prepared.n_learned, share=1.0)

    def _smaller(self, share: float, picked: Fit, store: Log | None) -> SizeFits | None:
        """Train on a share of every fold's training rows; None if it cannot be done."""
        folds = thinned(self.drawn, share, seed=self.seed)
        if folds is None or self.deadline.expired():
            return None
        prepared = self.family.prepare(self.drawn.table, folds, seed=self.seed)
        carried = self.family.carried(
            picked.job.regularizer, source=self.prepared, target=prepared, is_forward=self._is_forward
        )
        return train_size(
            self.family,
            prepared,
            carried,
            factors=self._shares[share],
            seed=picked.job.seed,
            deadline=self.deadline,
            study=f"{share:g} of the rows",
            store=store,
        )

    def _checked(self, picked: Fit, drift: float, store: Log | None) -> SizeFits | None:
        """Train on all rows but a test fold, at the strengths advised; None if there is no time for it."""
        runs = 1 + len(CHECKED)
        room_s = _CHECK_SHARE * self.deadline.left_s
        if self.full_run_s is None or not math.isfinite(room_s) or runs * self.full_run_s > room_s:
            return None
        if self.table.n_rows * self.prepared.n_features > _CHECK_CELLS:
            return None
        folds: tuple[Fold, ...] = make_folds(self.table, folds=_CHECK_FOLDS, seed=self.seed).folds
        prepared = self.family.prepare(self.table, folds[-1:], seed=self.seed)
        carry = Carry(
            n_sample=self.prepared.n_learned,
            n_rows=self.table.n_rows,
            n_features=self.prepared.n_features,
            drift=drift,
            is_forward=self._is_forward,
        )
        carried, _ = self.family.at_full_size(picked, carry)
        return train_size(
            self.family,
            prepared,
            carried,
            factors=CHECKED,
            seed=picked.job.seed,
            deadline=self.deadline,
            study="all rows",
            store=store,
        )

    def _point(self, fits: SizeFits, share: float, *, n_rows: int | None = None) -> SizePoint:
        """Return the gain on one size; `n_rows` are those it stands for, else what its fits stand for."""
        prepared = fits.prepared
        losses = {"none": fits.none.losses, "pick": fits.picks[1.0].losses}
        is_sample = prepared.n_rows == self.drawn.table.n_rows
        panel = Panel(
            losses={name: each[None] for name, each in losses.items()},
            constant=prepared.constant_losses,
            fold=Results(prepared=prepared, trials=()).fold_labels(tested(prepared)),
            weight=self.drawn.table.weight if is_sample else self.table.weight,
            cluster=self.drawn.cluster_of_row if is_sample else self.table.groups,
            n_folds=max(2, len(prepared.folds)),
        )
        stands_for = prepared.n_learned if n_rows is None else n_rows
        return _size_point(panel.losses["none"][0], panel.losses["pick"][0], panel, stands_for, share=share)

    # ------------------------------------------------------------------------------- what follows

    def _evidence(
        self,
        kind: Kind,
        points: list[SizePoint],
        prior: TransferPrior,
        *,
        drift: float,
        drift_sd: float | None,
        checked: SizeFits | None,
    ) -> GrowthEvidence:
        n_rows, n_sample = self.table.n_rows, self.prepared.n_learned
        factor = 1.0
        if checked is not None:
            points.append(self._point(checked, n_rows / n_sample, n_rows=n_rows))
            measure = Results(prepared=checked.prepared, trials=(), weight=self.table.weight)
            factor = min(checked.picks, key=lambda each: (measure.fit_loss(checked.picks[each]), each))
        found = gain_at_full(
            [GainAt(n_rows=point.n_rows, gain=point.gain, se=point.se) for point in points],
            n_rows=n_rows,
            power=prior.gain_power,
            scatter=prior.drift_sd,
            own_share=prior.own_share,
            region=thresholds.SAME_REGION,
        )
        return GrowthEvidence(
            kind=kind,
            n_sample=n_sample,
            n_rows=n_rows,
            source="checked" if checked is not None else "measured" if len(points) > 1 else "prior",
            sizes=tuple(sorted(points, key=lambda point: point.n_rows)),
            gain=found.gain,
            low=found.low,
            high=found.high,
            p_better=found.p_better,
            p_same=found.p_same,
            p_worse=found.p_worse,
            power=found.power,
            power_sd=found.power_sd,
            drift=drift,
            drift_sd=drift_sd,
            factor=factor,
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


def _drift(quarter: SizeFits, kind: Kind, prior: TransferPrior, measure: Results) -> tuple[float, float]:
    """Return what is added to the powers by which strengths fall, and its standard deviation.

    The strength carried down from the sample is held against what does best there: if that is m times as
    strong, strengths fall faster by the power log m / log(ratio of the rows). `measure` says what a fit's
    mean loss is.
    """
    factors = sorted(quarter.picks)
    logs = [math.log(factor) for factor in factors]

    def best(rows: np.ndarray[tuple[int], np.dtype[np.intp]]) -> float:
        return vertex(logs, [measure.mean_loss(quarter.picks[factor].losses, rows) for factor in factors])

    # A fold whose rows all weigh nothing says nothing.
    some = quarter.picks[factors[0]].losses
    folds = [
        fold.test for fold in quarter.prepared.folds if math.isfinite(measure.mean_loss(some, fold.test))
    ]
    names = [name for name in STRENGTHS[kind] if name in prior.exponents]
    sd = float(np.mean([min(prior.exponents[name].sd, _WIDEST_DRIFT) for name in names])) if names else 0.0
    if not names or len(folds) < 2:
        return 0.0, sd
    se = float(np.std([best(rows) for rows in folds], ddof=1)) / math.sqrt(len(folds))
    steps = math.log(1.0 / min(SHARES))
    measured = best(np.concatenate(folds)) / steps
    drift, drift_sd = shrunk(measured, max(se, _VERTEX_SE) / steps, sd=sd)
    return (drift if abs(drift) >= _SMALLEST_DRIFT else 0.0), drift_sd
