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

from collections.abc import Sequence
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

    `n_boot`: bootstrap draws of rows (of clusters where the panel has them). A row is left out of about 37%.
    A kind with one configuration keeps its own losses.
    """
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
    return Honest(panel=panel, sides=(*panel.kinds, ANY, CONSTANT), losses=np.stack(losses))


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


#: Columns per chunk: 500 draws × 4,096 columns of float64 are 16 MB.
CHUNK = 4096


def bootstrap_counts(n: int, n_draws: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return how often each of `n` things is drawn in each of `n_draws` bootstrap samples of size `n`.

    One byte each: a count over 255 needs n > 255 and has then a probability below 1e-500.
    """
    counts = np.empty((n_draws, n), dtype=np.uint8)
    for draw in counts:
        draw[:] = np.bincount(rng.integers(n, size=n), minlength=n)
    return counts


def counted_sums(counts: NDArray[np.uint8], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ``counts @ values.T``: the sum of each row of `values` in each draw, (n_draws, n_values)."""
    return counted_sums_of(counts, [values])[0]


def counted_sums_of(
    counts: NDArray[np.uint8], parts: Sequence[NDArray[np.float64]]
) -> list[NDArray[np.float64]]:
    """Return :func:`counted_sums` of several arrays; the counts become floats once for all of them."""
    sums = [np.zeros((len(counts), len(values))) for values in parts]
    for start in range(0, counts.shape[1], CHUNK):
        columns = slice(start, start + CHUNK)
        chunk = counts[:, columns].astype(np.float64)
        for total, values in zip(sums, parts, strict=True):
            total += chunk @ values[:, columns].T
    return sums


def out_of_bag_shares(
    counts: NDArray[np.uint8], picks: NDArray[np.intp], n_choices: int
) -> NDArray[np.float64]:
    """Return how the draws that leave a thing out have picked.

    `counts` (n_draws, n). `picks` (n_draws,): what each draw picked, in ``0 … n_choices - 1``.

    Share of each choice among the draws whose count is 0; columns sum to 1. A thing that every draw holds
    (few draws or few things) gets the shares of all draws.
    """
    # float32 holds these whole numbers exactly, at half the time and memory.
    is_picked = (picks == np.arange(n_choices)[:, None]).astype(np.float32)
    shares = np.empty((n_choices, counts.shape[1]), dtype=np.float32)
    for start in range(0, counts.shape[1], CHUNK):
        columns = slice(start, start + CHUNK)
        shares[:, columns] = is_picked @ (counts[:, columns] == 0).astype(np.float32)
    n_out = shares.sum(axis=0)
    shares[:, n_out == 0] = is_picked.sum(axis=1, keepdims=True)
    return np.asarray(shares / shares.sum(axis=0, dtype=np.float64))
