"""From the support of a claim to the probability that it is right.

Support says how often a claim comes out again on resampled rows. That is not how often such claims are right:
resampled rows know nothing of a sample that is not like all rows, or of what every draw gets wrong alike. So
claims were held against what test rows said, across data sets, and a line in the log-odds was fitted (Platt
1999, Advances in Large Margin Classifiers, 61–74, on log-odds rather than raw scores, so that intercept 0 and
slope 1 leave the support as it is; Cox 1958, Biometrika 45:562). ``benchmarks/calibration.py`` fits and tries
it on data sets left out in turn.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from regadvisor.family_spec import spec_of
from regadvisor.thresholds import HIGHEST_SUPPORT


@dataclass(frozen=True, kw_only=True)
class SupportMap:
    """From the support of a claim to the probability that it is right.

    log-odds of the probability = `intercept` + `slope` × log-odds of the support. What "right" means is
    ``claims_right`` in ``benchmarks/regret/score.py``: on test rows of data sets, against a dense grid.

    Only maps that can be trusted stand here. On data sets left out of the fit, such a map was better than
    the base rate (Brier score), the interval of its calibration slope covered 1, and its calibration error
    was that of a perfect forecaster. All maps that were tried are in ``benchmarks/RESULTS.md``.
    """

    claim: Literal["regularize", "kind", "strength"]
    model: Literal["linear", "network"]
    #: Both fitted on every set, each set worth one case; slope ≥ 0, so more support never means less sure.
    intercept: float
    slope: float


# The lines up to the next marker are written by `python benchmarks/calibration.py OUT --write`.
# <calibration>
# Fitted on 690 runs of advise (default) on 113 data sets (linear, mlp; code v21, v22, v27, v28), 37 without a
# signal and left out.
SUPPORT_MAPS: tuple[SupportMap, ...] = (
    SupportMap(claim="regularize", model="network", intercept=0.7462, slope=0.5351),
)
# </calibration>


def calibrated(
    claim: str, support: float, *, family: str, maps: Sequence[SupportMap] = SUPPORT_MAPS
) -> float | None:
    """Return the probability that a claim is right, or None where no map from its support can be trusted.

    `claim`: name of the claim. That nothing beats the constant ("no signal") is another claim, and not
    mapped. `support`: share of draws of resampled rows that agree, in [0, 1]. `family`: name of the model
    family: "linear", or that of any network ("mlp", "module", …). `maps`: by default those that were fitted
    across data sets.

    Never above ``thresholds.HIGHEST_SUPPORT``.

    Examples
    --------
    >>> halved = SupportMap(claim="kind", model="linear", intercept=0.0, slope=0.5)
    >>> calibrated("kind", 0.9, family="linear", maps=[halved])  # odds of 9 become odds of √9
    0.75
    >>> calibrated("kind", 0.9, family="mlp", maps=[halved]) is None
    True
    """
    model = spec_of(family).laws
    for each in maps:
        if (each.claim, each.model) == (claim, model):
            odds = each.intercept + each.slope * log_odds(support)
            # The logistic function, without overflow at either end.
            return min(0.5 + 0.5 * math.tanh(0.5 * odds), HIGHEST_SUPPORT)
    return None


def log_odds(support: float) -> float:
    """Return the logarithm of support / (1 − support).

    Support is the share of a few hundred draws: one that is nearer to 0 or 1 than ``HIGHEST_SUPPORT`` is to 1
    says no more than that, and has finite log-odds.

    Examples
    --------
    >>> log_odds(0.5), log_odds(0.0) == -log_odds(1.0) == -log_odds(0.99)
    (0.0, True)
    """
    inside = min(max(support, 1.0 - HIGHEST_SUPPORT), HIGHEST_SUPPORT)
    return math.log(inside / (1.0 - inside))
