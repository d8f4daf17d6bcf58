"""From the gain on a sample to the gain at the full size, and how a measured power is shrunk.

A gain over no regularization is modelled as ``g(n) = g · (n / n_s)^-a``, as a share of the baseline's loss:
the variance that a penalty saves falls with the rows. The power a is normal over data sets (``laws.py``).
Smaller samples of the same data say too little about their own a to count: on sets left out, intervals were
best without them (``benchmarks/transfer.py``). So the gain on the sample is moved along the power and widened
by the scatter that other sets showed per √(log ratio). No gain is assumed to keep its sign by more than that.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import optimize, special

#: The normal distribution of the power: points in standard deviations, and their probabilities.
_POINTS = np.linspace(-4.0, 4.0, 201)
_MASS = np.exp(-0.5 * _POINTS**2) / np.exp(-0.5 * _POINTS**2).sum()
#: A gain is never taken for better known than this, as a share of the loss.
_SMALLEST_SE = 1e-6


@dataclass(frozen=True, kw_only=True)
class GainAtFull:
    """What is expected of a gain at the full size."""

    #: Median and 95% interval, as shares of the loss of none. The mean would be misleading:
    #: a few powers far below 0, at which gains grow without bound, would rule it.
    gain: float
    low: float
    high: float
    #: Mass of a gain above, within and below ± the region.
    p_better: float
    p_same: float
    p_worse: float


def gain_at_full(
    gain: float, se: float, *, ratio: float, power: tuple[float, float], scatter: float, region: float
) -> GainAtFull:
    """Extrapolate a gain from the rows on which it was measured to the full size.

    `gain`, `se`: as measured, a share of the loss of none, with its standard error. `ratio`: the full size
    over the rows on which it was measured; below 1 it counts as 1. `power`: mean and standard deviation of
    the power by which gains fall with the rows. `scatter`: standard deviation of what else happens to a gain,
    per √(log ratio). `region`: half width of the region in which a gain is none, as a share of the loss.

    Examples
    --------
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
    return float((x[0] + x[1]) / 2 - left / (2 * curve))


def shrunk(measured: float, se: float, *, sd: float) -> float:
    """Return the posterior mean of a quantity with the prior N(0, sd²), measured once.

    Examples
    --------
    >>> shrunk(1.0, 1.0, sd=1.0)
    0.5
    """
    return measured * sd**2 / (sd**2 + se**2)
