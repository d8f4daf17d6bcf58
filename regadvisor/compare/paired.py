"""Which of two kinds is better: paired rows, an honest variance, and a reply.

The variance of a mean cross-validated difference has three sources. *Rows*: the cluster-robust variance
of the (weighted) mean. *Overlap*: the K training sets share rows, so fold results are not independent;
Nadeau and Bengio (2003, Machine Learning 52:239) add test/train rows, which for K folds multiplies the
row part by 1 + K/(K - 1). *Folds*: where fold means differ by more than their rows explain, the excess
variance over K. The posterior of the difference is a Student t with that scale (Benavoli, Corani, Demšar,
Zaffalon 2017, JMLR 18:77).
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import special

from regadvisor import thresholds
from regadvisor.compare.honest import Honest
from regadvisor.compare.panel import ANY, CONSTANT, Panel
from regadvisor.errors import ParameterError
from regadvisor.records import Comparison

#: Probability inside the interval of a comparison.
INTERVAL = 0.95
#: Rows needed are not projected beyond this many times the rows at hand.
FARTHEST_PROJECTION = 50


@dataclass(frozen=True, kw_only=True)
class Spread:
    """How far a mean paired difference may be off.

    Attributes
    ----------
    mean : float
        Weighted mean of the differences.
    rows : float
        Variance of that mean if rows (clusters) were all there is.
    inflation : float
        Factor on `rows` for overlapping training sets, 1 + K/(K - 1).
    folds : float
        Variance from fold means that differ by more than their rows explain.
    df : float
        Degrees of freedom (Satterthwaite), at least 1.
    """

    mean: float
    rows: float
    inflation: float
    folds: float
    df: float

    @property
    def variance(self) -> float:
        """Variance of the mean from all sources."""
        return self.rows * self.inflation + self.folds


def spread(difference: NDArray[np.float64], panel: Panel) -> Spread:
    """Return the mean of paired differences and its variance, by source.

    Parameters
    ----------
    difference : ndarray of float64, shape (n_rows,)
        Loss of one side minus loss of the other, for the rows of `panel`.

    Examples
    --------
    >>> panel = Panel(losses={"none": np.zeros((1, 4))}, constant=np.zeros(4),
    ...               fold=np.array([0, 1, 0, 1]), n_folds=2)
    >>> spread(np.array([1.0, 1.0, 3.0, 3.0]), panel)
    Spread(mean=2.0, rows=0.3333333333333333, inflation=3.0, folds=0.0, df=3.0)
    """
    mean = float(difference @ panel.share)
    sums = panel.cluster_sums(panel.share * (difference - mean))
    n_clusters = panel.n_clusters
    rows = float(sums @ sums) * n_clusters / (n_clusters - 1)
    folds, n_folds = _fold_part(difference, mean, panel)
    inflation = 1.0 + panel.n_folds / (panel.n_folds - 1)
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

    Parameters
    ----------
    honest : Honest
    a, b : str
        Kinds, ``"any"`` or ``"constant"``.

    Raises
    ------
    ParameterError
        If a side is unknown or both are the same side.

    Examples
    --------
    >>> from regadvisor.compare.honest import honest_losses
    >>> rows = np.random.default_rng(0).exponential(size=200)
    >>> panel = Panel(losses={"none": rows[None], "l2": 0.5 * rows[None]}, constant=rows,
    ...               fold=np.arange(200) % 5, n_folds=5)
    >>> compare(honest_losses(panel, seed=0), "l2", "none").reply
    'better'
    """
    if a == b:
        raise ParameterError(f"the sides of a comparison must differ, got {a!r} twice")
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


def judged(
    a: str,
    b: str,
    difference: float,
    *,
    scale: float,
    df: float,
    region: float,
    losses: tuple[float, float],
    n_rows: int,
) -> Comparison:
    """Return the comparison whose posterior is a Student t at `difference` with `scale` and `df`."""
    p_better, p_same, p_worse = masses(difference, scale=scale, df=df, region=region)
    half, inner = (float(special.stdtrit(df, p)) * scale for p in (0.5 + INTERVAL / 2, thresholds.REPLY_MASS))
    return Comparison(
        a=a,
        b=b,
        reply=_reply(p_better, p_same, p_worse),
        difference=difference,
        low=difference - half,
        high=difference + half,
        least=difference - inner,
        most=difference + inner,
        region=region,
        p_better=p_better,
        p_same=p_same,
        p_worse=p_worse,
        loss_a=losses[0],
        loss_b=losses[1],
        n_rows=n_rows,
    )


def _reply(p_better: float, p_same: float, p_worse: float) -> Literal["better", "same", "worse", "unsure"]:
    """Return the class with enough mass; at most one can have it."""
    if p_better >= thresholds.REPLY_MASS:
        return "better"
    if p_worse >= thresholds.REPLY_MASS:
        return "worse"
    return "same" if p_same >= thresholds.REPLY_MASS else "unsure"


def masses(difference: float, *, scale: float, df: float, region: float) -> tuple[float, float, float]:
    """Return the posterior mass below, inside and above ±`region`.

    Without any spread (`scale` 0) the difference is known and one mass is 1.

    Examples
    --------
    >>> masses(0.0, scale=0.0, df=5.0, region=0.0)
    (0.0, 1.0, 0.0)
    """
    if scale == 0:
        below, above = float(difference < -region), float(difference > region)
    else:
        below = float(special.stdtr(df, (-region - difference) / scale))
        above = float(special.stdtr(df, (difference - region) / scale))
    return below, max(0.0, 1.0 - (below + above)), above


def compare_all(honest: Honest) -> tuple[Comparison, ...]:
    """Return every comparison the charts can ask for: all pairs of kinds and the constant, and the best."""
    sides = [CONSTANT, *(side for side in honest.sides if side not in (ANY, CONSTANT))]
    pairs = [*itertools.combinations(sides, 2), (CONSTANT, ANY)]
    return tuple(compare(honest, a, b) for b, a in pairs)


def rows_needed(comparison: Comparison, n_rows: int) -> int | None:
    """Return about how many rows would decide a comparison, or None if more than 50 times as many.

    The mean is taken as it stands and its variance as falling like 1/n: the answer is the fewest rows for
    which the class that the mean points to reaches ``thresholds.REPLY_MASS``.

    Parameters
    ----------
    comparison : Comparison
    n_rows : int
        Rows behind the comparison.

    Returns
    -------
    int or None
        `n_rows` if it is decided already.

    Examples
    --------
    >>> from regadvisor.records import Comparison
    >>> rows_needed(Comparison(a="l2", b="none", reply="unsure", difference=-0.1, low=-0.5, high=0.3,
    ...                        region=0.0, p_better=0.69, p_same=0.0, p_worse=0.31, loss_a=1.0,
    ...                        loss_b=1.1, n_rows=100), 100)
    296
    """
    if comparison.reply != "unsure":
        return n_rows
    # With few degrees of freedom the interval overstates the normal scale a little: on the safe side.
    scale = (comparison.high - comparison.low) / 2 / float(special.ndtri(0.5 + INTERVAL / 2))
    far, region = abs(comparison.difference), comparison.region

    def is_decided(n: int) -> bool:
        at_n = scale * math.sqrt(n_rows / n)
        _, inside, above = masses(far, scale=at_n, df=math.inf, region=region)
        return (inside if far <= region else above) >= thresholds.REPLY_MASS

    few, many = n_rows, n_rows * FARTHEST_PROJECTION
    if not is_decided(many):
        return None
    while many - few > 1:
        middle = (few + many) // 2
        few, many = (few, middle) if is_decided(middle) else (middle, many)
    return many
