"""Which strengths a network tries: ranges, portfolios and defaults in units that transfer.

What a decoupled penalty does to a run depends on strength × Σ lr, the learning rates summed over its steps
(Wang and Aitchison, ICML 2025, arXiv:2405.13698): ``l2·Σlr = 1`` shrinks a weight that gets no gradient by
a factor e, ``l1·Σlr = 0.1`` moves it by 0.1 towards 0. Decoupled strengths are in these units here; divide by
Σ lr for a :class:`~regadvisor.regularizer.Regularizer`.

A penalty in the loss has the loss's own units: what it does depends on the strength and on the number of
rows, not on Σ lr.
"""

from __future__ import annotations

import math
from dataclasses import replace

from regadvisor.candidates import Candidate, Range
from regadvisor.families.base import Carry
from regadvisor.full_size.laws import STRENGTH_LAWS
from regadvisor.regularizer import STRENGTHS, Kind, Regularizer
from regadvisor.thresholds import (
    DEFAULT_DROPOUT,
    DEFAULT_L1_IN_LOSS,
    DEFAULT_L1_SUM,
    DEFAULT_L2_IN_LOSS,
    DEFAULT_L2_SUM,
    EXPONENT_RANGE,
    FARTHEST_RATIO,
)
from regadvisor.words import adjusted

#: Searched ranges: from barely any effect to clearly too strong on real sets (see the tests).
RANGES: dict[str, Range] = {
    "l2": Range(low=0.03, high=64.0, hard_low=1e-3, hard_high=600.0),
    "l1": Range(low=1e-3, high=2.0, hard_low=1e-5, hard_high=20.0),
    "dropout": Range(low=0.05, high=0.6, is_log=False, hard_low=0.01, hard_high=0.9),
}

#: Points to try first, by kind, in order of promise; values in the order of ``STRENGTHS[kind]``.
PORTFOLIOS: dict[Kind, tuple[tuple[float, ...], ...]] = {
    "none": ((),),
    "l2": ((4.0,), (1.0,), (16.0,), (0.25,), (8.0,), (2.0,)),
    "l1": ((0.12,), (0.03,), (0.5,), (0.25,), (0.06,), (0.008,)),
    "dropout": ((0.1,), (0.25,), (0.5,)),
    # (l1, l2)
    "elasticnet": (
        *((0.06, 2.0), (0.25, 4.0), (0.015, 0.5), (0.3, 1.0)),
        *((0.03, 8.0), (0.12, 0.5), (0.004, 0.1), (0.12, 16.0)),
    ),
    # (l2, dropout)
    "dropout_l2": ((4.0, 0.1), (1.0, 0.25), (16.0, 0.1), (4.0, 0.4), (0.25, 0.1)),
    # (l1, dropout)
    "dropout_l1": ((0.12, 0.1), (0.06, 0.25), (0.4, 0.1), (0.2, 0.4), (0.015, 0.1)),
}

#: The same with ``coupling="loss"``, in units of the loss.
LOSS_RANGES: dict[str, Range] = {
    "l2": Range(low=1e-6, high=1e-1, hard_low=1e-9, hard_high=10.0),
    "l1": Range(low=1e-6, high=1e-2, hard_low=1e-9, hard_high=1.0),
    "dropout": RANGES["dropout"],
}
LOSS_PORTFOLIOS: dict[Kind, tuple[tuple[float, ...], ...]] = {
    "none": ((),),
    "l2": ((3e-3,), (3e-4,), (2e-2,), (3e-5,), (8e-2,)),
    "l1": ((3e-4,), (3e-5,), (2e-3,), (3e-6,), (8e-3,)),
    "dropout": PORTFOLIOS["dropout"],
    "elasticnet": ((1e-4, 1e-3), (3e-5, 3e-4), (1e-3, 3e-3), (1e-5, 1e-2), (1e-4, 3e-2), (3e-3, 1e-2)),
    "dropout_l2": ((3e-3, 0.25), (3e-4, 0.4), (2e-2, 0.1), (3e-5, 0.25)),
    "dropout_l1": ((1e-4, 0.25), (1e-3, 0.1), (1e-5, 0.4), (1e-3, 0.4)),
}

#: Strengths that are given per Σ lr; dropout is a share as it is.
PER_SUM_LR = ("l1", "l2")


def in_actual_units(strengths: dict[str, float], sum_lr: float) -> dict[str, float]:
    """Return strengths in search units as those of a run with the given Σ lr.

    Examples
    --------
    >>> in_actual_units({"l2": 2.0, "dropout": 0.1}, sum_lr=4.0)
    {'l2': 0.5, 'dropout': 0.1}
    """
    return {name: value / sum_lr if name in PER_SUM_LR else value for name, value in strengths.items()}


def candidate(kind: Kind, sum_lr: float) -> Candidate:
    """Return ranges and portfolio of a kind for runs with the given Σ lr."""
    ranges = {}
    for name in STRENGTHS[kind]:
        unit, scale = RANGES[name], sum_lr if name in PER_SUM_LR else 1.0
        ranges[name] = Range(
            low=unit.low / scale,
            high=unit.high / scale,
            is_log=unit.is_log,
            hard_low=unit.hard_low / scale,
            hard_high=unit.hard_high / scale,
        )
    points = (dict(zip(STRENGTHS[kind], values, strict=True)) for values in PORTFOLIOS[kind])
    portfolio = tuple(in_actual_units(point, sum_lr) for point in points)
    return Candidate(kind=kind, coupling="decoupled", ranges=ranges, portfolio=portfolio)


def loss_candidate(kind: Kind) -> Candidate:
    """Return ranges and portfolio of a kind with the penalty in the loss.

    Examples
    --------
    >>> loss_candidate("l2").portfolio[0]
    {'l2': 0.003}
    """
    names = STRENGTHS[kind]
    portfolio = tuple(dict(zip(names, values, strict=True)) for values in LOSS_PORTFOLIOS[kind])
    ranges = {name: LOSS_RANGES[name] for name in names}
    return Candidate(kind=kind, coupling="loss", ranges=ranges, portfolio=portfolio)


def carried_in_loss(
    regularizer: Regularizer, *, n_sample: int, n_rows: int, correction: float = 0.0
) -> tuple[Regularizer, str | None]:
    """Return strengths found on a sample for all rows, with the penalty in the loss, and what was done.

    Per row, the best L2 falls as 1/n (the prior does not grow with the data) and the best L1 as n^-1/2 (the
    largest of the noise gradients that it has to silence). Σ lr has no part in it. `correction` is added to
    both powers.

    Examples
    --------
    >>> carried_in_loss(Regularizer(l2=0.5), n_sample=100, n_rows=400)[0].l2
    0.125
    """
    if n_rows == n_sample:
        return regularizer, None
    ratio, laws = n_sample / n_rows, STRENGTH_LAWS["loss"]
    moved = replace(
        regularizer,
        l2=(regularizer.l2 or 0.0) * ratio ** (laws["l2"].intercept + correction),
        l1=(regularizer.l1 or 0.0) * ratio ** (laws["l1"].intercept + correction),
    )
    rules = {"l2": "L2 as 1/n", "l1": "L1 as 1/√n"}
    fallen = " and ".join(rule for name, rule in rules.items() if getattr(regularizer, name))
    return moved, (
        f"Rescaled from {n_sample:,} to {n_rows:,} rows by theory: in the loss, {fallen}; not "
        f"rescaled by Σ lr{adjusted(correction)}"
    )


def carried_decoupled(
    regularizer: Regularizer, carry: Carry, *, on_sample: float, in_full: float, epochs: int | None = None
) -> tuple[Regularizer, str | None]:
    """Return decoupled strengths for the full run, and what was done; dropout stays as it is.

    Strength × Σ lr (`on_sample`, `in_full`) is kept, and falls with the rows as :func:`weaker_at` says.
    """
    moved, said = {}, []
    for name in (name for name in PER_SUM_LR if getattr(regularizer, name)):
        strength = getattr(regularizer, name) * on_sample
        weaker = strength * weaker_at(name, carry)
        moved[name] = weaker / in_full
        change = "stays" if weaker == strength else f"falls from {strength:.3g} to"
        said.append(f"{name.upper()} times the sum of all learning rates {change} {weaker:.3g}")
    if not moved:
        return regularizer, None
    run = "" if epochs is None else f" in {epochs} epochs"
    return replace(regularizer, **moved), (
        f"{'; '.join(said)} (that sum is {on_sample:.3g} on the sample's {carry.n_sample:,} rows, "
        f"{in_full:.3g}{run} on all {carry.n_rows:,}){adjusted(carry.correction)}"
    )


def decoupled_on_fewer(regularizer: Regularizer, up: Carry, *, longer: float) -> Regularizer:
    """Return decoupled strengths for fewer rows, whose runs have a Σ lr that is `longer` times smaller."""
    moved = {name: getattr(regularizer, name) * longer / weaker_at(name, up) for name in PER_SUM_LR}
    return replace(regularizer, **moved)


def default_in_loss(kind: Kind, n_rows: int) -> Regularizer:
    """Return the documented default of a kind for `n_rows` rows, with the penalty in the loss.

    ``l2·n``, ``l1·√n`` and dropout are those of ``thresholds``; a combination takes half of each.
    """
    share = 1.0 / max(1, len(STRENGTHS[kind]))
    values = {
        "l2": DEFAULT_L2_IN_LOSS / n_rows * share,
        "l1": DEFAULT_L1_IN_LOSS / math.sqrt(n_rows) * share,
        "dropout": DEFAULT_DROPOUT * share,
    }
    return Regularizer(**{name: values[name] for name in STRENGTHS[kind]}, coupling="loss")


def default_regularizer(kind: Kind, sum_lr: float) -> Regularizer:
    """Return the documented default of a kind for a run with the given Σ lr.

    ``l2·Σlr``, ``l1·Σlr`` and dropout are those of ``thresholds``, whatever the data and their rows:
    without a sample there is nothing to carry over. A combination takes half of each, so that it is as
    strong in all.
    """
    share = 1.0 / max(1, len(STRENGTHS[kind]))
    units = {"l2": DEFAULT_L2_SUM * share, "l1": DEFAULT_L1_SUM * share, "dropout": DEFAULT_DROPOUT * share}
    chosen = {name: units[name] for name in STRENGTHS[kind]}
    return Regularizer(**in_actual_units(chosen, sum_lr), coupling="decoupled")


def weaker_at(name: str, carry: Carry) -> float:
    """Return the factor by which strength × Σ lr falls from a sample to all rows.

    ``n_sample / n_rows`` to the power of :func:`exponent`, plus the correction; it goes no further than to
    ``thresholds.FARTHEST_RATIO`` times the sample, beyond which nothing was measured. What was found forward
    in time stays: that later rows are different does not average out with more of the earlier ones.

    Examples
    --------
    >>> carry = Carry(n_sample=1_000, n_rows=4_000, n_features=20)
    >>> round(weaker_at("l2", carry), 3), weaker_at("l1", carry)
    (0.649, 1.0)
    """
    ratio = min(max(carry.n_rows / carry.n_sample, 1.0), FARTHEST_RATIO)
    power = 0.0 if carry.is_forward else exponent(name, carry.n_features)
    return float(ratio ** -(power + carry.correction))


def exponent(name: str, n_features: int) -> float:
    """Return the power by which strength × Σ lr of a penalty falls with the rows (``STRENGTH_LAWS``).

    Examples
    --------
    >>> [round(exponent("l2", features), 2) for features in (5, 20, 100)]
    [0.78, 0.31, 0.0]
    """
    law = STRENGTH_LAWS["decoupled"][name]
    low, high = EXPONENT_RANGE
    return min(max(law.intercept + law.slope * math.log(max(n_features, 1)), low), high)
