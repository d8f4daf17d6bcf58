"""Losses that are free of the luck of having picked the best of many configurations.

The best of 20 equal configurations looks 1.87 standard errors better than it is. Here every kind's
configuration is picked on bootstrap rows and scored on the rows left out (BBC-CV: Tsamardinos,
Greasidou, Borboudakis 2018, Machine Learning 107:1895), from the stored held-out losses, with no
further training.

That is exact for independent losses. Among neighbouring strengths of one smooth family (ridge), whose mean
losses vary less over data sets than their rows suggest, it corrects too much: ``benchmarks/coverage.py``
shows honest losses of a kind with a grid too high by up to 0.8%, 0.3% and 0.07% at 200, 600 and 2,000 rows.
It errs towards the kind with fewer configurations, which is the simpler one. Picking on 80% of the rows
instead of a bootstrap sample removes up to a third of this, and calls equal kinds different more often.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from regadvisor.compare.bootstrap import bootstrap_counts, counted_sums_of, out_of_bag_shares
from regadvisor.compare.panel import ANY, CONSTANT, Panel
from regadvisor.errors import ParameterError


@dataclass(frozen=True, kw_only=True, eq=False)
class Honest:
    """One honest loss per row and side, so that sides stay paired by row.

    Attributes
    ----------
    panel : Panel
    sides : tuple of str
        The kinds, then ``"any"`` (kind and configuration picked together) and ``"constant"``.
    losses : ndarray of float64, shape (n_sides, n_rows)
        For every row the mean loss of what was picked in the draws that leave the row out.
    picks : dict of str to ndarray of intp, shape (n_boot,)
        By kind: the configuration that each draw picked.
    """

    panel: Panel
    sides: tuple[str, ...]
    losses: NDArray[np.float64]
    picks: dict[str, NDArray[np.intp]]

    def of(self, side: str) -> NDArray[np.float64]:
        """Return the honest losses of one side, shape (n_rows,).

        Raises
        ------
        ParameterError
            If there is no such side.
        """
        if side not in self.sides:
            raise ParameterError(f"a side must be one of {self.sides}, got {side!r}")
        row: NDArray[np.float64] = self.losses[self.sides.index(side)]
        return row

    def loss(self, side: str) -> float:
        """Return the (weighted) mean honest loss of one side."""
        if side not in self._means:
            self.of(side)
        return self._means[side]

    @cached_property
    def _means(self) -> dict[str, float]:
        """Mean losses by side; the walks on resampled rows ask for them thousands of times."""
        return dict(zip(self.sides, (self.losses @ self.panel.share).tolist(), strict=True))

    def kind_losses(self) -> dict[str, float]:
        """Return the mean honest loss of every kind."""
        return {kind: self.loss(kind) for kind in self.panel.kinds}

    @property
    def best_kind(self) -> str:
        """The kind with the lowest honest loss; ties go to the first."""
        losses = self.kind_losses()
        return min(losses, key=losses.__getitem__)

    def best_config(self, kind: str) -> int:
        """Return the configuration of `kind` picked on all rows; ties go to the lowest number."""
        return int(np.argmin(self.panel.mean_losses(kind)))


def honest_losses(panel: Panel, *, seed: int | np.random.SeedSequence, n_boot: int = 500) -> Honest:
    """Pick in-bag and score out-of-bag, for every kind and for the best of all.

    Parameters
    ----------
    panel : Panel
    seed : int or SeedSequence
    n_boot : int, default 500
        Bootstrap draws of rows (of clusters where the panel has them). A row is left out of about 37%.

    Returns
    -------
    Honest
        A kind with one configuration keeps its own losses.

    Raises
    ------
    ParameterError
        If `n_boot` is below 1.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> panel = Panel(losses={"l2": rng.exponential(size=(20, 300))}, constant=np.ones(300),
    ...               fold=np.arange(300) % 5, n_folds=5)
    >>> honest = honest_losses(panel, seed=0)
    >>> bool(panel.mean_losses("l2").min() < honest.loss("l2"))
    True
    """
    if n_boot < 1:
        raise ParameterError(f"n_boot must be at least 1, got {n_boot}")
    counts = bootstrap_counts(panel.n_clusters, n_boot, np.random.default_rng(seed))
    picks: dict[str, NDArray[np.intp]] = {}
    best_sums = np.empty((n_boot, len(panel.kinds)))
    # The sum of the weights of a draw is the same for all configurations, so sums rank like means.
    values = [panel.cluster_sums(panel.losses[kind] * panel.share) for kind in panel.kinds]
    by_kind = zip(panel.kinds, counted_sums_of(counts, values), strict=True)
    for number, (kind, sums) in enumerate(by_kind):
        picks[kind] = np.argmin(sums, axis=1)
        best_sums[:, number] = sums.min(axis=1)
    kind_picks = np.argmin(best_sums, axis=1)
    losses = [_scored(panel, counts, [(kind, picks[kind])]) for kind in panel.kinds]
    # "any": a draw's pick counts for the kind that won it (-1: another kind won).
    won = [(kind, np.where(kind_picks == k, picks[kind], -1)) for k, kind in enumerate(panel.kinds)]
    losses += [_scored(panel, counts, won), panel.constant]
    return Honest(
        panel=panel,
        sides=(*panel.kinds, ANY, CONSTANT),
        losses=np.stack(losses),
        picks=picks,
    )


def _scored(
    panel: Panel, counts: NDArray[np.uint8], picks: list[tuple[str, NDArray[np.intp]]]
) -> NDArray[np.float64]:
    """Return the mean out-of-bag loss of what was picked, per row; a draw's pick is in one of the kinds."""
    used = [(kind, int(config)) for kind, picked in picks for config in np.unique(picked[picked >= 0])]
    if len(used) == 1:
        kind, config = used[0]
        return np.array(panel.losses[kind][config])
    flat = np.empty(len(counts), dtype=np.intp)
    by_kind = dict(picks)
    for number, (kind, config) in enumerate(used):
        flat[by_kind[kind] == config] = number
    shares = out_of_bag_shares(counts, flat, len(used))
    losses = np.zeros(panel.n_rows)
    for number, (kind, config) in enumerate(used):
        share = shares[number] if panel.cluster is None else shares[number][panel.cluster]
        losses += share * panel.losses[kind][config]
    return losses
