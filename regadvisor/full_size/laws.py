"""How strengths and gains move with the number of rows, as learned across data sets."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from regadvisor import thresholds
from regadvisor.thresholds import FARTHEST_RATIO

# ------------------------------------------------------------- strengths: from a sample to all rows


@dataclass(frozen=True, kw_only=True)
class PowerLaw:
    """The power `e` in "best strength ∝ rows^-e", by the number of features.

    e = `intercept` + `slope` · ln(features after encoding).
    """

    intercept: float
    slope: float = 0.0


#: Whose powers strengths fall by.
Law = Literal["linear", "decoupled", "loss"]
#: The laws that strengths are rescaled by, in their own units: per row for linear models and for a penalty in
#: the loss, strength × Σ lr for decoupled penalties. Chosen by what rescaling leaves of the loss at the full
#: size (``benchmarks/OLDER_RESULTS.md``, "From a sample to all rows").
STRENGTH_LAWS: dict[Law, dict[str, PowerLaw]] = {
    # L2: theory, the prior does not grow with the data. L1: the mean over 14 data sets; theory's 0.5 is for
    # choosing the features that count, and left 1.1% of the loss instead of 0.2% at 16 times the rows.
    "linear": {"l2": PowerLaw(intercept=1.0), "l1": PowerLaw(intercept=0.85)},
    # With 5 features the best L2 falls as n^-0.8, with 50 or more it stays. Fitted on 28 data sets: on sets
    # left out the line foretells the power to ± 0.38, their mean to ± 0.50. The best L1 moves as well (1.03 -
    # 0.29 ln p), but leaving it as it is costs less: too weak is worse.
    "decoupled": {"l2": PowerLaw(intercept=1.33, slope=-0.34), "l1": PowerLaw(intercept=0.0)},
    # Theory: L1 has to silence the largest of the noise gradients.
    "loss": {"l2": PowerLaw(intercept=1.0), "l1": PowerLaw(intercept=0.5)},
}

# ----------------------------------------------------------------- gains: from a sample to all rows


@dataclass(frozen=True, kw_only=True)
class TransferPrior:
    """How gains change with the number of rows, over data sets."""

    #: Mean and between-set sd of `a` in g(N) = g(n)·(N/n)^-a, where g = 1 − loss / loss of none is the gain
    #: of a kind at its best strength.
    gain_power: tuple[float, float]
    #: Sd of g(N) around that law, with a set's own `a`, per √ln(N/n): the interval widens with ln(N/n).
    gain_scatter: float
    #: By kind: what its loss rises by over that of L1 when its best strengths are rescaled to more rows, as a
    #: share of the loss per ln²(N/n); see :func:`rescaling_costs`.
    rescaling_costs: dict[str, float]


#: By model, as fitted on 14 data sets for linear models: adult, bike_hour, california_housing, caravan,
#: chicago_ridership, diamonds, electricity_nsw, house_8L, mammography, phoneme, robot_wall, spambase, splice
#: and wine_quality_white; for networks on these and 14 more: ailerons, bank32nh, bank8fm, cpu_act, elevators,
#: fried, kin8nm, letter, nursery, optdigits, page_blocks, pendigits, pol and waveform5000.
TRANSFER = {
    "linear": TransferPrior(gain_power=(0.762, 0.543), gain_scatter=0.01012, rescaling_costs={}),
    "network": TransferPrior(
        gain_power=(0.284, 0.227),
        gain_scatter=0.03757,
        rescaling_costs={"dropout": 0.01, "elasticnet": 0.01, "dropout_l2": 0.01, "dropout_l1": 0.01},
    ),
}


def rescaling_costs(prior: TransferPrior, *, n_from: float, n_to: float) -> dict[str, float]:
    """Return by kind what rescaling its strengths to more rows costs, as a share of its loss; not if nothing.

    It is nothing for the kinds that are rescaled well: no regularization and a single penalty.

    `n_from`, `n_to`: rows that were learned from, and all rows.
    """
    squared = math.log(min(max(n_to / n_from, 1.0), FARTHEST_RATIO)) ** 2
    costs = {kind: cost * squared for kind, cost in prior.rescaling_costs.items()}
    return {kind: cost for kind, cost in costs.items() if cost > 0}


def rescaled_loss(loss: float, cost: float, *, constant: float) -> float:
    """Return the loss on a sample with what rescaling the strengths to all rows is expected to add.

    `cost`: as a share of the loss; at most ``RESCALING_MOST_LOST`` of the lead over the constant is taken.
    `constant`: loss of the constant.

    >>> rescaled_loss(0.5, 0.5, constant=2.0), rescaled_loss(1.5, 0.5, constant=2.0)
    (0.75, 1.75)
    >>> rescaled_loss(1.2, 0.1, constant=1.0)
    1.2
    """
    lead = constant - loss
    return loss + min(cost * abs(loss), thresholds.RESCALING_MOST_LOST * lead) if lead > 0 else loss
