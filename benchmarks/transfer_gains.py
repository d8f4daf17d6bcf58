"""How the gain of a regularizer over none falls with the rows: one law over data sets."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special, stats
from transfer_fits import FEWEST_SIZES, Numbers

#: Powers of a set's gain that are integrated over.
POWERS = np.arange(-2.0, 5.01, 0.05)
#: What a set's own smaller samples may count for its power.
SHARES = (0.0, 0.05, 0.1, 0.25, 0.5, 1.0)
#: Gains of samples are not taken to vary less.
SMALLEST_SD = 1e-3


def smoothed(at: Numbers, log_ratios: Numbers, variances: Numbers, freedom: NDArray[np.intp]) -> Numbers:
    """Return variances on a line in logs, which rises with the ratio by a power of 0 to 3.

    Examples
    --------
    >>> smoothed(np.zeros(1), np.log([2.0, 4.0]), np.array([0.02, 0.04]), np.array([1, 1])).round(6).tolist()
    [0.01]
    """
    logs = np.log(np.maximum(variances, SMALLEST_SD**2))
    slope, _ = np.polyfit(log_ratios, logs, 1, w=np.sqrt(freedom))
    slope = min(max(float(slope), 0.0), 3.0)
    level = float(np.average(logs - slope * log_ratios, weights=freedom))
    return np.asarray(np.exp(level + slope * at))


@dataclass(frozen=True, kw_only=True, eq=False)
class Gains:
    """Gains of one set by size.

    Attributes
    ----------
    log_ratio : ndarray, shape (n_sizes,)
        ln(N/n) of the samples.
    gain, error : ndarray, shape (n_sizes,)
        Mean over the samples of a size, and its standard error.
    full, full_error : float
        The same at N, where one sample is all there is: the variance is that of smaller sizes, extrapolated.
    """

    log_ratio: Numbers
    gain: Numbers
    error: Numbers
    full: float
    full_error: float

    @classmethod
    def of(cls, by_ratio: Mapping[int, Sequence[float]]) -> Gains | None:
        """Return the gains at every size; None where there are fewer than ``FEWEST_SIZES`` sizes."""
        ratios = sorted(ratio for ratio in by_ratio if ratio > 1)
        if 1 not in by_ratio or len(ratios) + 1 < FEWEST_SIZES:
            return None
        counts = np.array([len(by_ratio[ratio]) for ratio in ratios])
        variance = np.array([np.var(by_ratio[ratio], ddof=1) for ratio in ratios])
        smooth = smoothed(np.log([1, *ratios]), np.log(ratios), variance, counts - 1)
        return cls(
            log_ratio=np.log(ratios),
            gain=np.array([np.mean(by_ratio[ratio]) for ratio in ratios]),
            error=np.sqrt(smooth[1:] / counts),
            full=float(np.mean(by_ratio[1])),
            full_error=math.sqrt(float(smooth[0])),
        )

    def below(self, number: int) -> Gains | None:
        """Return what is known where only samples of one size and smaller ones are; None: no smaller ones."""
        smaller = slice(number + 1, None)
        if number + 1 == len(self.gain):
            return None
        return Gains(
            log_ratio=self.log_ratio[smaller] - self.log_ratio[number],
            gain=self.gain[smaller],
            error=self.error[smaller],
            full=float(self.gain[number]),
            full_error=float(self.error[number]),
        )


@dataclass(frozen=True, kw_only=True)
class GainLaw:
    """g(N) = g(n)·(N/n)^-a + scatter: a is normal over sets, the scatter a random walk in ln n.

    Attributes
    ----------
    power, power_sd : float
        Of a.
    gain_scatter : float
        Sd of the scatter per √ln(N/n).
    """

    power: float
    power_sd: float
    gain_scatter: float

    def log_likelihood(self, gains: Gains) -> float:
        """Return the log density of a set's gains (up to a constant), its power integrated out."""
        return float(special.logsumexp(self._log_densities(gains), b=self.weights()))

    def weights(self, gains: Gains | None = None, *, share: float = 1.0) -> Numbers:
        """Return the probability of every one of ``POWERS``, without or with the gains of a set.

        `share` is what the set's own gains count: their likelihood is raised to this power.
        """
        logs = -0.5 * ((POWERS - self.power) / self.power_sd) ** 2
        if gains is not None:
            logs = logs + share * self._log_densities(gains)
        return np.asarray(special.softmax(logs))

    def predicted(self, gains: Gains, number: int, levels: Sequence[float], weights: Numbers) -> Numbers:
        """Return quantiles of the measured gain at N, given one size's gain and the weights of the powers."""
        fall = np.exp(-POWERS * gains.log_ratio[number])
        scatter = self.gain_scatter**2 * gains.log_ratio[number] + gains.full_error**2
        sd = np.sqrt((gains.error[number] * fall) ** 2 + scatter)
        centre = gains.gain[number] * fall
        low, high = float((centre - 9 * sd).min()), float((centre + 9 * sd).max())

        def missing(value: float, level: float) -> float:
            return float(weights @ stats.norm.cdf((value - centre) / sd)) - level

        return np.array([optimize.brentq(missing, low, high, args=(level,)) for level in levels])

    def _log_densities(self, gains: Gains) -> Numbers:
        """Return the log density of all gains, given that at the smallest size, under each of ``POWERS``.

        The residuals of all sizes share the error at N, and the walk from N down to the nearer size. They
        are gains × (N/n)^-a: the density of the gains themselves has these factors as well.
        """
        fall = np.exp(-POWERS[:, None] * gains.log_ratio)
        residual = gains.full - gains.gain * fall
        walk = self.gain_scatter**2 * np.minimum.outer(gains.log_ratio, gains.log_ratio)
        own = np.eye(len(gains.gain)) * ((gains.error * fall) ** 2)[:, None, :]
        covariance = own + walk + gains.full_error**2
        _, log_det = np.linalg.slogdet(covariance)
        solved = np.linalg.solve(covariance, residual[..., None])[..., 0]
        factors = POWERS * (gains.log_ratio.sum() - gains.log_ratio.max())
        return np.asarray(-0.5 * (log_det + (residual * solved).sum(axis=1)) - factors)


def fit_gain_law(sets: Sequence[Gains], start: GainLaw | None = None) -> GainLaw:
    """Return the law under which the gains of all sets are most likely, looked for near `start`.

    Sds have half-normal priors (0.5 for the power, 0.05 for the scatter), which keep them finite with few
    sets and say next to nothing with many.
    """

    def cost(at: Numbers) -> float:
        law = GainLaw(power=float(at[0]), power_sd=float(np.exp(at[1])), gain_scatter=float(np.exp(at[2])))
        prior = (law.power_sd / 0.5) ** 2 + (law.gain_scatter / 0.05) ** 2 + (law.power / 2.0) ** 2
        return 0.5 * prior - sum(law.log_likelihood(gains) for gains in sets)

    bounds = [(-1.0, 4.0), (math.log(0.05), math.log(1.5)), (math.log(1e-4), math.log(0.3))]
    starts = [(power, 0.4, 0.01) for power in (0.3, 1.0)]
    if start is not None:
        starts = [(start.power, start.power_sd, start.gain_scatter)]
    found = [
        optimize.minimize(
            cost,
            np.array([power, math.log(sd), math.log(scatter)]),
            method="Nelder-Mead",
            bounds=bounds,
            options={"xatol": 0.01, "fatol": 0.01},
        )
        for power, sd, scatter in starts
    ]
    power, log_sd, log_scatter = min(found, key=lambda each: float(each.fun)).x
    return GainLaw(power=float(power), power_sd=math.exp(log_sd), gain_scatter=math.exp(log_scatter))


@dataclass(frozen=True, kw_only=True)
class Foretold:
    """How a gain at N was foretold from samples of one size, by a law that was fitted without the set.

    Attributes
    ----------
    ratio : int
        N over the rows of the samples.
    share : float
        What the set's smaller samples counted for its power; 0: the law alone.
    inside : bool
        The measured gain was in the 90% interval.
    error, stays : float
        Absolute error of the interval's median, and of taking the gain as it is, in % of none's loss.
    score : float
        Interval score (Gneiting and Raftery 2007), smaller is better, in the same unit: the width, and 20
        times how far outside the gain was.
    has_smaller : bool
        There were smaller samples to narrow the power down.
    """

    ratio: int
    share: float
    inside: bool
    error: float
    stays: float
    score: float
    has_smaller: bool


def foretold(law: GainLaw, gains: Gains, number: int, share: float) -> Foretold:
    """Return how the gain at N is foretold from the samples of one size, and smaller ones."""
    below = gains.below(number)
    weights = law.weights(below, share=share)
    low, middle, high = (100.0 * float(v) for v in law.predicted(gains, number, (0.05, 0.5, 0.95), weights))
    full = 100.0 * gains.full
    return Foretold(
        ratio=round(math.exp(gains.log_ratio[number])),
        share=share,
        inside=low <= full <= high,
        error=abs(middle - full),
        stays=abs(100.0 * float(gains.gain[number]) - full),
        score=high - low + 20.0 * (max(low - full, 0.0) + max(full - high, 0.0)),
        has_smaller=below is not None,
    )


def all_foretold(sets: Mapping[str, Gains], start: GainLaw) -> list[Foretold]:
    """Return how the gains of all sets were foretold, by laws fitted without each set in turn."""
    found = []
    for name, own in sets.items():
        law = fit_gain_law([each for other, each in sets.items() if other != name], start)
        for number in range(len(own.gain)):
            shares = SHARES if own.below(number) else SHARES[:1]
            found += [foretold(law, own, number, share) for share in shares]
    return found


def best_share(found: Sequence[Foretold]) -> float:
    """Return the share with the lowest mean score, where there were smaller samples."""
    scores = {
        share: np.mean([each.score for each in found if each.share == share and each.has_smaller])
        for share in SHARES
    }
    return min(scores, key=lambda share: scores[share])
