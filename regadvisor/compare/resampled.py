"""Losses on resampled rows: how much an answer depends on the rows at hand."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import special

from regadvisor import thresholds
from regadvisor.compare.claims import masses
from regadvisor.compare.honest import Honest, bootstrap_counts, counted_sums
from regadvisor.compare.paired import same_region, spread
from regadvisor.compare.panel import ANY, CONSTANT, Panel
from regadvisor.full_size import rescaled_loss


@dataclass(frozen=True, kw_only=True, eq=False)
class Resampled:
    """Mean losses of all kinds on resampled rows (clusters); one draw resamples all of them together."""

    honest: Honest
    #: (n_draws, n_kinds): lowest mean loss of any candidate by kind, picked anew in every draw. Stretched by
    #: the factor for overlapping training sets alone (Nadeau and Bengio 2003).
    lowest: NDArray[np.float64]
    #: (n_draws, n_kinds): mean loss, stretched alike, of each kind's candidate that is best on all rows.
    best: NDArray[np.float64]
    #: (n_draws, n_kinds): the same as `best`, of the one model that is trained on all rows: it has the luck
    #: of its training set, too, which the mean over folds has only once. That is another J/(K - 1) times the
    #: variance of rows (J of K folds were tested).
    trained: NDArray[np.float64]
    #: By kind: what rescaling its strengths to all rows is expected to add, as a share of its loss.
    rescaling_costs: Mapping[str, float]

    def without(self, kind: str) -> Resampled:
        """Return the draws in which `kind` is never the best: there is no such model."""
        is_other = np.array([each != kind for each in self.honest.panel.kinds])
        lowest, best, trained = (
            np.where(is_other, each, np.inf) for each in (self.lowest, self.best, self.trained)
        )
        return replace(self, lowest=lowest, best=best, trained=trained)

    def at_full_size(self, losses: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return losses by kind, shape (n_draws, n_kinds), with what rescaling strengths to all rows adds."""
        constant = self.honest.loss(CONSTANT)
        expected = losses.copy()
        for number, kind in enumerate(self.honest.panel.kinds):
            cost = self.rescaling_costs.get(kind, 0.0)
            if cost > 0:
                expected[:, number] = [
                    rescaled_loss(loss, cost, constant=constant) for loss in losses[:, number].tolist()
                ]
        return expected


def resampled(
    honest: Honest,
    *,
    seed: int | np.random.SeedSequence,
    n_draws: int,
    rescaling_costs: Mapping[str, float] | None = None,
) -> Resampled:
    """Resample rows (clusters) and keep the mean losses of all kinds in every draw.

    `n_draws`: the standard error of a share over 200 draws is at most 0.035. `rescaling_costs`: see
    :class:`Resampled`; none if not given.
    """
    panel = honest.panel
    counts = bootstrap_counts(panel.n_bundles, n_draws, np.random.default_rng(seed))
    weights = counted_sums(counts, panel.bundle_sums(panel.share)[None])
    lowest, best, trained = _by_kind(panel, counts, weights)
    return Resampled(
        honest=honest, lowest=lowest, best=best, trained=trained, rescaling_costs=rescaling_costs or {}
    )


def _by_kind(
    panel: Panel, counts: NDArray[np.float64], weights: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return stretched mean losses, (n_draws, n_kinds): `lowest`, `best` and `trained`."""
    stretch, more = math.sqrt(1.0 + panel.overlap), math.sqrt(1.0 + 2.0 * panel.overlap)
    lowest = np.empty((len(counts), len(panel.kinds)))
    best, trained = np.empty_like(lowest), np.empty_like(lowest)
    for number, kind in enumerate(panel.kinds):
        sums = counted_sums(counts, panel.bundle_sums(panel.losses[kind] * panel.share))
        observed = panel.mean_losses(kind)
        off, at = sums / weights - observed, int(np.argmin(observed))
        drawn = observed + stretch * off
        lowest[:, number], best[:, number] = drawn.min(axis=1), drawn[:, at]
        trained[:, number] = observed[at] + more * off[:, at]
    return lowest, best, trained


def no_signal(honest: Honest) -> float:
    """Return the share of other samples of this size in which nothing is shown to beat the constant.

    Shown as Q4s asks. Their mean difference deviates from the observed one normally with the scale of its
    posterior; scale and region stay.
    """
    measured = spread(honest.of(ANY) - honest.of(CONSTANT), honest.panel)
    scale, region = math.sqrt(measured.variance), same_region(honest, ANY, CONSTANT)
    if scale == 0:
        return float(measured.mean >= -region)
    shown = special.stdtrit(min(measured.df, 1e9), thresholds.SIGNAL_MASS)
    return float(special.ndtr((measured.mean + region) / scale + shown))


def strength_is_open(panel: Panel, kind: str) -> bool:
    """Whether another strength of a kind may be better by more than a tie than the one with the lowest loss.

    With a mass that is too large for the opposite reply, by the same rule as between kinds.
    """
    losses = panel.losses[kind]
    best = losses[int(np.argmin(panel.mean_losses(kind)))]
    return any(_masses(row, best, panel)[0] > 1.0 - thresholds.REPLY_MASS for row in losses)


def strength_ties(
    panel: Panel, kind: str, strengths: Sequence[Mapping[str, float]], best: int
) -> dict[str, tuple[float, float]]:
    """Return the range of each strength over the configurations that tie with the best.

    A configuration ties unless a paired comparison with the best would reply "worse" by the same rule as
    between kinds: it is off by more than the same-region with posterior mass ``thresholds.REPLY_MASS``. With
    a wide posterior that is the one-standard-error rule (Breiman et al. 1984) on paired differences. The
    best profits from its luck, so the range is rather too narrow than too wide. With two strengths the
    range is the box around the tied configurations.

    `strengths` (n_configs,): the strengths of each configuration of `kind`, by name. `best`: the
    configuration to tie with.

    Lowest and highest tied strength by name; empty for the baseline.
    """
    losses, names = panel.losses[kind], strengths[best]
    tied = [
        each
        for each, own in zip(strengths, losses, strict=True)
        if _masses(own, losses[best], panel)[2] < thresholds.REPLY_MASS  # not clearly worse
    ]
    return {name: (min(s[name] for s in tied), max(s[name] for s in tied)) for name in names}


def _masses(
    losses: NDArray[np.float64], best: NDArray[np.float64], panel: Panel
) -> tuple[float, float, float]:
    """Return the mass of a configuration being better than another one, the same, and worse."""
    measured = spread(losses - best, panel)
    region = thresholds.SAME_REGION * min(abs(float(losses @ panel.share)), abs(float(best @ panel.share)))
    return masses(measured.mean, scale=math.sqrt(measured.variance), df=measured.df, region=region)
