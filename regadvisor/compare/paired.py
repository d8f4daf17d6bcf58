"""Which of two kinds is better: paired rows, an honest variance, and a reply.

The variance of a mean cross-validated difference has three sources. *Rows*: the cluster-robust variance
of the (weighted) mean. *Overlap*: the K training sets share rows, so fold results are not independent;
Nadeau and Bengio (2003, Machine Learning 52:239) add test/train rows, which for J of K folds multiplies the
row part by 1 + J/(K - 1). *Folds*: where fold means differ by more than their rows explain, the excess
variance over K. The posterior of the difference is a Student t with that scale (Benavoli, Corani, Demšar,
Zaffalon 2017, JMLR 18:77).
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from regadvisor import thresholds
from regadvisor.compare.claims import judged
from regadvisor.compare.honest import Honest
from regadvisor.compare.panel import ANY, CONSTANT, Panel
from regadvisor.records import Comparison


@dataclass(frozen=True, kw_only=True)
class Spread:
    """How far a mean paired difference may be off."""

    #: Weighted mean of the differences.
    mean: float
    #: Variance of that mean if rows (clusters) were all there is.
    rows: float
    #: Factor on `rows` for overlapping training sets, 1 + J/(K - 1).
    inflation: float
    #: Variance from fold means that differ by more than their rows explain.
    folds: float
    #: Degrees of freedom (Satterthwaite), at least 1.
    df: float

    @property
    def variance(self) -> float:
        """Variance of the mean from all sources."""
        return self.rows * self.inflation + self.folds


def spread(difference: NDArray[np.float64], panel: Panel) -> Spread:
    """Return the mean of paired differences and its variance, by source.

    `difference` (n_rows,): loss of one side minus loss of the other, for the rows of `panel`.
    """
    mean = float(difference @ panel.share)
    sums = panel.cluster_sums(panel.share * (difference - mean))
    n_clusters = panel.n_clusters
    rows = float(sums @ sums) * n_clusters / (n_clusters - 1)
    folds, n_folds = _fold_part(difference, mean, panel)
    inflation = 1.0 + panel.overlap
    # Unequal clusters or weights hold fewer independent things than their number (Kish; for clusters
    # Carter, Schnepel, Steigerwald 2017).
    weights = panel.cluster_sums(panel.share)
    df_rows = max(1.0, 1.0 / float(weights @ weights) - 1.0)
    df = df_rows
    if folds > 0:
        row_part = rows * inflation
        # As shares of the total, so that tiny variances do not underflow when squared.
        share = row_part / (row_part + folds)
        df = max(1.0, 1.0 / (share**2 / df_rows + (1.0 - share) ** 2 / (n_folds - 1)))
    return Spread(mean=mean, rows=rows, inflation=inflation, folds=folds, df=df)


def _fold_part(difference: NDArray[np.float64], mean: float, panel: Panel) -> tuple[float, int]:
    """Return the variance of the mean due to folds beyond what rows explain, and the folds present.

    Method of moments for a random effect: with fold shares P, fold means m and their row variances v,
    ``E[Σ P (m - mean)²] = Σ P (1 - P) v + τ² (1 - Σ P²)``; the mean's part is ``τ² Σ P²`` (τ²/K for equal
    folds). A fold that is one cluster shows no rows of its own to judge by and adds nothing.
    """
    size = np.bincount(panel.fold, weights=panel.share, minlength=panel.n_folds)
    is_there = size > 0
    n_folds = int(is_there.sum())
    if n_folds < 2:
        return 0.0, n_folds
    size = np.where(is_there, size, 1.0)
    fold_mean = np.bincount(panel.fold, weights=panel.share * difference, minlength=panel.n_folds) / size
    cell, cell_fold = panel.cells
    parts = np.bincount(cell, weights=panel.share * (difference - fold_mean[panel.fold]))
    n_cells = np.bincount(cell_fold, minlength=panel.n_folds)
    within = np.bincount(cell_fold, weights=parts**2, minlength=panel.n_folds) / size**2
    alone = (fold_mean - mean) ** 2 * panel.n_clusters / (panel.n_clusters - 1)
    row_variance = np.where(n_cells >= 2, within * n_cells / np.maximum(n_cells - 1, 1), alone)
    size, fold_mean, row_variance = size[is_there], fold_mean[is_there], row_variance[is_there]
    excess = float(size @ (fold_mean - mean) ** 2 - (size * (1.0 - size)) @ row_variance)
    squares = float(size @ size)
    return max(0.0, excess / (1.0 - squares)) * squares, n_folds


def compare(honest: Honest, a: str, b: str) -> Comparison:
    """Compare two sides on the same rows; swapping them swaps the probabilities exactly.

    The two are the same within ``thresholds.SAME_REGION`` of the smaller loss (of the constant's loss
    where the constant is a side). The reply is the class with posterior mass of at least
    ``thresholds.REPLY_MASS``, else unsure.
    """
    measured = spread(honest.of(a) - honest.of(b), honest.panel)
    loss_a, loss_b = honest.loss(a), honest.loss(b)
    return judged(
        a,
        b,
        measured.mean,
        scale=math.sqrt(measured.variance),
        df=measured.df,
        region=same_region(honest, a, b),
        losses=(loss_a, loss_b),
        n_rows=honest.panel.n_rows,
    )


def same_region(honest: Honest, a: str, b: str) -> float:
    """Return the half width within which two sides are the same, in units of the loss."""
    if CONSTANT in (a, b):
        return thresholds.SAME_REGION * abs(honest.loss(CONSTANT))
    return thresholds.SAME_REGION * min(abs(honest.loss(a)), abs(honest.loss(b)))


def compare_all(honest: Honest) -> tuple[Comparison, ...]:
    """Return every comparison the charts can ask for: all pairs of kinds and the constant, and the best."""
    sides = [CONSTANT, *(side for side in honest.sides if side not in (ANY, CONSTANT))]
    pairs = [*itertools.combinations(sides, 2), (CONSTANT, ANY)]
    return tuple(compare(honest, a, b) for b, a in pairs)
