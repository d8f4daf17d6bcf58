"""Losses that are free of the luck of having picked the best of many configurations.

The best of 20 equal configurations looks 1.87 standard errors better than it is. Here every kind's
configuration is picked on bootstrap rows and scored on the rows left out (BBC-CV: Tsamardinos, Greasidou,
Borboudakis 2018, Machine Learning 107:1895), from the stored held-out losses, with no further training.

That is exact for independent losses. Among neighbouring strengths of one smooth family (ridge), whose mean
losses vary less over data sets than their rows suggest, it corrects too much: ``benchmarks/coverage.py``
shows honest losses of a kind with a grid too high by up to 0.8%, 0.3% and 0.07% at 200, 600 and 2,000 rows.
It errs towards the kind with fewer configurations, which is the simpler one. Picking on 80% of the rows
instead of a bootstrap sample removes up to a third of this, and calls equal kinds different more often.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from regadvisor.compare.panel import ANY, CONSTANT, Panel


@dataclass(frozen=True, kw_only=True, eq=False)
class Honest:
    """One honest loss per row and side, so that sides stay paired by row."""

    panel: Panel
    #: The kinds, then ``"any"`` (kind and configuration picked together) and ``"constant"``.
    sides: tuple[str, ...]
    #: (n_sides, n_rows): for every row the mean loss of what was picked in the draws that leave the row out.
    losses: NDArray[np.float64]

    def of(self, side: str) -> NDArray[np.float64]:
        """Return the honest losses of one side, shape (n_rows,)."""
        row: NDArray[np.float64] = self.losses[self.sides.index(side)]
        return row

    def loss(self, side: str) -> float:
        """Return the (weighted) mean honest loss of one side."""
        return float(self.of(side) @ self.panel.share)

    @property
    def best_kind(self) -> str:
        """The kind with the lowest honest loss; ties go to the first."""
        return min(self.panel.kinds, key=self.loss)

    def best_config(self, kind: str) -> int:
        """Return the configuration of `kind` picked on all rows; ties go to the lowest number."""
        return int(np.argmin(self.panel.mean_losses(kind)))


def honest_losses(panel: Panel, *, seed: int | np.random.SeedSequence, n_boot: int = 500) -> Honest:
    """Pick in-bag and score out-of-bag, for every kind and for the best of all.

    `n_boot`: bootstrap draws of rows (of the panel's bundles of rows). A row is left out of about 37%.
    A kind with one configuration keeps its own losses.
    """
    counts = bootstrap_counts(panel.n_bundles, n_boot, np.random.default_rng(seed))
    picks: dict[str, NDArray[np.intp]] = {}
    best_sums = np.empty((n_boot, len(panel.kinds)))
    # The sum of the weights of a draw is the same for all configurations, so sums rank like means.
    for number, kind in enumerate(panel.kinds):
        sums = counted_sums(counts, panel.bundle_sums(panel.losses[kind] * panel.share))
        picks[kind] = np.argmin(sums, axis=1)
        best_sums[:, number] = sums.min(axis=1)
    kind_picks = np.argmin(best_sums, axis=1)
    losses = [_scored(panel, counts, [(kind, picks[kind])]) for kind in panel.kinds]
    # "any": a draw's pick counts for the kind that won it (-1: another kind won).
    won = [(kind, np.where(kind_picks == k, picks[kind], -1)) for k, kind in enumerate(panel.kinds)]
    losses += [_scored(panel, counts, won), panel.constant]
    return Honest(panel=panel, sides=(*panel.kinds, ANY, CONSTANT), losses=np.stack(losses))


def _scored(
    panel: Panel, counts: NDArray[np.float64], picks: list[tuple[str, NDArray[np.intp]]]
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
        share = shares[number] if panel.bundle is None else shares[number][panel.bundle]
        losses += share * panel.losses[kind][config]
    return losses


def bootstrap_counts(n: int, n_draws: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return how often each of `n` things is drawn in each of `n_draws` bootstrap samples of size `n`."""
    return np.stack([np.bincount(rng.integers(n, size=n), minlength=n) for _ in range(n_draws)]).astype(float)


def counted_sums(counts: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the sum of each row of `values` in each draw, (n_draws, n_values)."""
    return np.asarray(counts @ values.T)


def out_of_bag_shares(
    counts: NDArray[np.float64], picks: NDArray[np.intp], n_choices: int
) -> NDArray[np.float64]:
    """Return how the draws that leave a thing out have picked.

    `counts` (n_draws, n). `picks` (n_draws,): what each draw picked, in ``0 … n_choices - 1``.

    Share of each choice among the draws whose count is 0; columns sum to 1. A thing that every draw holds
    (few draws or few things) gets the shares of all draws.
    """
    is_picked = (picks == np.arange(n_choices)[:, None]).astype(float)
    shares = is_picked @ (counts == 0)
    shares[:, ~shares.any(axis=0)] = is_picked.sum(axis=1, keepdims=True)
    return np.asarray(shares / shares.sum(axis=0))
