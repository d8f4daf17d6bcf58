"""How strengths and gains move with the number of rows, as learned across data sets."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

from regadvisor import thresholds
from regadvisor.regularizer import Regularizer
from regadvisor.thresholds import EXPONENT_RANGE, FARTHEST_RATIO

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


@dataclass(frozen=True, kw_only=True)
class Rescaling:
    """From the rows that a regularizer was found on to those it is for."""

    #: `n_sample`, `n_rows`: rows that the fits stand for, and those it is for.
    n_sample: int
    n_rows: int
    #: Features after encoding: how fast decoupled penalties fall depends on them.
    n_features: int
    #: Whether the regularizer was tested on later rows: then decoupled penalties do not fall.
    is_forward: bool = False

    def factor(self, law: Law, name: str) -> float:
        """Return what a strength is multiplied by; of a decoupled penalty strength × Σ lr.

        The ratio of the rows to a power. Of decoupled penalties it goes no further than to
        ``thresholds.FARTHEST_RATIO`` times the sample, beyond which nothing was measured; and what was found
        forward in time stays: that later rows are different does not average out with more of the earlier
        ones.

        >>> more = Rescaling(n_sample=1_000, n_rows=4_000, n_features=20)
        >>> more.factor("loss", "l2"), round(more.factor("decoupled", "l2"), 3)
        (0.25, 0.649)
        """
        ratio, power = self.n_sample / self.n_rows, exponent(law, name, self.n_features)
        if law == "decoupled":
            ratio = min(max(ratio, 1.0 / FARTHEST_RATIO), FARTHEST_RATIO)
            power = 0.0 if self.is_forward else power
        return float(ratio**power)


def exponent(law: Law, name: str, n_features: int) -> float:
    """Return the power by which the strength of a penalty falls with the rows (``STRENGTH_LAWS``).

    >>> [round(exponent("decoupled", "l2", features), 2) for features in (5, 20, 100)]
    [0.78, 0.31, 0.0]
    """
    own = STRENGTH_LAWS[law][name]
    low, high = EXPONENT_RANGE
    return min(max(own.intercept + own.slope * math.log(max(n_features, 1)), low), high)


def rescaled(
    regularizer: Regularizer, law: Law, by: Rescaling, *, sum_lr: tuple[float, float] = (1.0, 1.0)
) -> Regularizer:
    """Return the strengths for the other rows; dropout stays as it is.

    `sum_lr`: Σ lr of a run on the rows that they were found on, and on those they are for.

    >>> more = Rescaling(n_sample=100, n_rows=400, n_features=3)
    >>> rescaled(Regularizer(l2=0.5), "loss", more).l2
    0.125
    """
    found = {name: getattr(regularizer, name) for name in ("l1", "l2")}
    moved = {
        name: value * sum_lr[0] * by.factor(law, name) / sum_lr[1] for name, value in found.items() if value
    }
    return replace(regularizer, **moved)


def told(
    regularizer: Regularizer,
    law: Law,
    by: Rescaling,
    *,
    sum_lr: tuple[float, float] = (1.0, 1.0),
    epochs: int | None = None,
) -> str:
    """Return one sentence on how a penalty was rescaled; `epochs`: of the full run.

    Per row, the best L2 falls as 1/n: the prior does not grow with the data. In the loss of a network L1
    falls as n^-1/2, the largest of the noise gradients that it has to silence. Strength × Σ lr of decoupled
    penalties is what is compared: it sets what a penalty does to a run.
    """
    has = [name for name in ("l2", "l1") if getattr(regularizer, name)]
    training = " training" if by.is_forward else ""  # fewer than the sample has
    rows = f"Rescaled from {by.n_sample:,}{training} to {by.n_rows:,} rows"
    if law == "linear":
        powers = {"l2": "1/n", "l1": f"n^-{STRENGTH_LAWS[law]['l1'].intercept:g}"}
        fallen = ", ".join(f"{name.upper()} as {powers[name]}" for name in has).replace(" as", " falls as", 1)
        return f"{rows}: for a linear model the best {fallen}."
    if law == "loss":
        rules = {"l2": "L2 as 1/n", "l1": "L1 as 1/√n"}
        fallen = " and ".join(rules[name] for name in has)
        return f"{rows} by theory: in the loss, {fallen}; not rescaled by Σ lr"
    on_sample, in_full = sum_lr
    said = []
    for name in sorted(has):
        strength = getattr(regularizer, name) * on_sample
        weaker = strength * by.factor(law, name)
        change = "stays" if weaker == strength else f"falls from {strength:.2g} to"
        said.append(f"{name.upper()} times the sum of the learning rates {change} {weaker:.2g}")
    run = "" if epochs is None else f", {epochs} epochs"
    return (
        f"{'; '.join(said)}. That sum was {on_sample:.2g} in the comparison ({by.n_sample:,} rows) and is "
        f"{in_full:.2g} in the full run ({by.n_rows:,} rows{run})"
    )
