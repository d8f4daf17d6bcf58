"""From the gain on a sample to the gain at the full size.

A gain over no regularization is modelled as ``g(n) = g · (n / n_s)^-a``, as a share of the baseline's loss:
the variance that a penalty saves falls with the rows. The power a is normal over data sets (``laws.py``).
Smaller samples of the same data say too little about their own a to count: on sets left out, intervals were
best without them. So the gain on the sample is moved along the power and widened
by the scatter that other sets showed per √(log ratio). No gain is assumed to keep its sign by more than that.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import optimize, special

from regadvisor.records import GainAtFull

#: The normal distribution of the power: points in standard deviations, and their probabilities.
_POINTS = np.linspace(-4.0, 4.0, 201)
_MASS = np.exp(-0.5 * _POINTS**2) / np.exp(-0.5 * _POINTS**2).sum()
#: A gain is never taken for better known than this, as a share of the loss.
_SMALLEST_SE = 1e-6


def gain_at_full(
    gain: float, se: float, *, ratio: float, power: tuple[float, float], scatter: float, region: float
) -> GainAtFull:
    """Extrapolate a gain from the rows on which it was measured to the full size.

    `gain`, `se`: as measured, a share of the loss of none, with its standard error. `ratio`: the full size
    over the rows on which it was measured; below 1 it counts as 1. `power`: mean and standard deviation of
    the power by which gains fall with the rows. `scatter`: standard deviation of what else happens to a gain,
    per √(log ratio). `region`: half width of the region in which a gain is none, as a share of the loss.

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
