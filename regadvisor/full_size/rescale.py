"""Strengths for other rows than those that they were found on: one rule for all families."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from regadvisor.full_size.laws import STRENGTH_LAWS, Law
from regadvisor.regularizer import Regularizer
from regadvisor.thresholds import EXPONENT_RANGE, FARTHEST_RATIO


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
