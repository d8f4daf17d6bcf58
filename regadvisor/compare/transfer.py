"""From sizes that were measured to the full size: gains and strengths, shrunk to what other data sets did.

A gain over no regularization is modelled as ``g(n) = g · (n / n_s)^-a``, as a share of the baseline's loss:
the variance that a penalty saves falls with the rows. The power a has a normal prior estimated across data
sets (``prior.py``); the sizes measured here update it, for as much as such sizes were seen to tell. From the
largest size the gain is moved along the power and widened by the scatter that other sets showed per
√(log ratio). No gain is assumed to keep its sign by more than that.

Sizes are scored on the same rows, so their errors are correlated; they are treated as independent, which
makes the power less certain than it is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from regadvisor.errors import ParameterError

#: Powers on which the posterior is computed: this many, this many prior standard deviations to both sides.
_N_POWERS = 201
_REACH = 4.0
#: A gain is never taken for better known than this, as a share of the loss.
_SMALLEST_SE = 1e-6
_TAILS = (0.025, 0.975)


@dataclass(frozen=True, kw_only=True)
class GainAt:
    """The gain of a kind over none on one size: a share of the loss of none, with its standard error."""

    n_rows: float
    gain: float
    se: float


@dataclass(frozen=True, kw_only=True)
class GainAtFull:
    """What is expected of a gain at the full size.

    Attributes
    ----------
    gain, low, high : float
        Posterior mean and 95% interval, as shares of the loss of none.
    p_better, p_same, p_worse : float
        Mass of a gain above, within and below ± the region.
    power, power_sd : float
        Posterior of the power by which the gain falls with the rows.
    """

    gain: float
    low: float
    high: float
    p_better: float
    p_same: float
    p_worse: float
    power: float
    power_sd: float


def gain_at_full(
    measured: Sequence[GainAt],
    *,
    n_rows: float,
    power: tuple[float, float],
    scatter: float,
    region: float,
    own_share: float = 1.0,
) -> GainAtFull:
    """Extrapolate a gain from the sizes at which it was measured.

    Parameters
    ----------
    measured : sequence of GainAt
        The largest size is where the extrapolation starts.
    n_rows : float
        The full size.
    power : (float, float)
        Mean and standard deviation of the power's prior.
    scatter : float
        Standard deviation of what else happens to a gain, per √(log ratio of sizes).
    region : float
        Half width of the region in which a gain is none, as a share of the loss.
    own_share : float
        What the sizes count for the power: their likelihood is raised to this power. The power changes along
        the sizes, so taken at their word they make intervals too narrow.

    Raises
    ------
    ParameterError
        If nothing was measured, or the prior has no width.

    Examples
    --------
    >>> sizes = [GainAt(n_rows=n, gain=40.0 / n, se=0.001) for n in (250, 500, 1_000)]
    >>> found = gain_at_full(sizes, n_rows=4_000, power=(0.5, 0.5), scatter=0.0, region=0.005)
    >>> round(found.power, 1), round(found.gain, 3)
    (1.0, 0.01)
    """
    if not measured or not power[1] > 0:
        raise ParameterError("measured must not be empty, and the prior of the power must have a width")
    powers = power[0] + power[1] * np.linspace(-_REACH, _REACH, _N_POWERS)
    largest = max(each.n_rows for each in measured)
    gains = np.array([each.gain for each in measured])
    weights = 1.0 / np.square([max(each.se, _SMALLEST_SE) for each in measured])
    ratios = np.array([each.n_rows / largest for each in measured])
    shape = ratios[None] ** -powers[:, None]
    # For a given power the gain at the largest size is a weighted mean; a flat prior on it is integrated out.
    precision = (shape**2 * weights).sum(axis=1)
    level = (shape * gains * weights).sum(axis=1) / precision
    misfit = (weights * (gains - shape * level[:, None]) ** 2).sum(axis=1)
    own = misfit + np.log(precision)
    logs = -0.5 * (own_share * own + ((powers - power[0]) / power[1]) ** 2)
    mass = np.exp(logs - logs.max())
    mass /= mass.sum()
    last = int(np.argmax([each.n_rows for each in measured]))
    ratio = max(n_rows / largest, 1.0)
    moved = ratio**-powers
    mean = gains[last] * moved
    sd = np.sqrt(moved**2 / weights[last] + scatter**2 * math.log(ratio))
    p_worse, p_below = (float(mass @ special.ndtr((edge - mean) / sd)) for edge in (-region, region))
    middle = float(mass @ powers)
    return GainAtFull(
        gain=float(mass @ mean),
        low=_quantile(_TAILS[0], mean, sd, mass),
        high=_quantile(_TAILS[1], mean, sd, mass),
        p_better=1.0 - p_below,
        p_same=p_below - p_worse,
        p_worse=p_worse,
        power=middle,
        power_sd=math.sqrt(float(mass @ (powers - middle) ** 2)),
    )


def _quantile(
    share: float, mean: NDArray[np.float64], sd: NDArray[np.float64], mass: NDArray[np.float64]
) -> float:
    """Return a quantile of a mixture of normals, by bisection."""
    low, high = float((mean - 8 * sd).min()), float((mean + 8 * sd).max())
    for _ in range(80):
        middle = (low + high) / 2
        if float(mass @ special.ndtr((middle - mean) / sd)) < share:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def vertex(logs: Sequence[float], losses: Sequence[float]) -> float:
    """Return the log strength with the lowest loss: of the parabola through the best and its neighbours.

    At an end of the grid it is that end.

    Examples
    --------
    >>> vertex([-1.0, 0.0, 1.0], [2.25, 0.25, 0.25])
    0.5
    """
    at = int(np.argmin(losses))
    if at in (0, len(losses) - 1):
        return float(logs[at])
    x, y = np.asarray(logs[at - 1 : at + 2]), np.asarray(losses[at - 1 : at + 2])
    left, right = (y[1] - y[0]) / (x[1] - x[0]), (y[2] - y[1]) / (x[2] - x[1])
    curve = (right - left) / (x[2] - x[0])
    if curve <= 0:
        return float(x[1])
    return float(np.clip((x[0] + x[1]) / 2 - left / (2 * curve), x[0], x[2]))


def shrunk(measured: float, se: float, *, sd: float) -> tuple[float, float]:
    """Return posterior mean and standard deviation of a quantity with the prior N(0, sd²), measured once.

    Examples
    --------
    >>> shrunk(1.0, 1.0, sd=1.0)
    (0.5, 0.7071067811865476)
    """
    share = sd**2 / (sd**2 + se**2)
    return share * measured, math.sqrt(share) * se
