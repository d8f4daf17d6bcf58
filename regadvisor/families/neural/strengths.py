"""Which strengths a network tries: ranges, portfolios and defaults in units that transfer.

What a decoupled penalty does to a run depends on strength × Σ lr, the learning rates summed over its steps
(Wang and Aitchison, ICML 2025, arXiv:2405.13698): ``l2·Σlr = 1`` shrinks a weight that gets no gradient by
a factor e, ``l1·Σlr = 0.1`` moves it by 0.1 towards 0. Everything here is in these units; divide by Σ lr for
a :class:`~regadvisor.regularizer.Regularizer`.
"""

from __future__ import annotations

from regadvisor.candidates import Candidate, Range
from regadvisor.regularizer import STRENGTHS, Kind, Regularizer
from regadvisor.thresholds import DEFAULT_DROPOUT, DEFAULT_L1_SUM, DEFAULT_L2_SUM

#: Searched ranges: from barely any effect to clearly too strong on real sets (see the tests).
RANGES: dict[str, Range] = {
    "l2": Range(low=0.03, high=30.0, hard_low=1e-3, hard_high=300.0),
    "l1": Range(low=1e-3, high=1.0, hard_low=1e-5, hard_high=10.0),
    "dropout": Range(low=0.05, high=0.6, is_log=False, hard_low=0.01, hard_high=0.9),
}

#: Points to try first, by kind, in order of promise; values in the order of ``STRENGTHS[kind]``.
PORTFOLIOS: dict[Kind, tuple[tuple[float, ...], ...]] = {
    "none": ((),),
    "l2": ((2.0,), (0.5,), (8.0,), (0.1,), (24.0,)),
    "l1": ((0.06,), (0.2,), (0.015,), (0.6,), (0.004,)),
    "dropout": ((0.25,), (0.5,), (0.1,)),
    # (l1, l2)
    "elasticnet": ((0.03, 1.0), (0.1, 0.5), (0.004, 0.3), (0.1, 4.0), (0.01, 4.0), (0.3, 1.0)),
    # (l2, dropout)
    "dropout_l2": ((2.0, 0.25), (0.5, 0.4), (6.0, 0.1), (0.15, 0.25)),
    # (l1, dropout)
    "dropout_l1": ((0.06, 0.25), (0.2, 0.1), (0.015, 0.4), (0.3, 0.4)),
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


def default_regularizer(kind: Kind, sum_lr: float) -> Regularizer:
    """Return the documented default of a kind for a run with the given Σ lr.

    ``l2·Σlr``, ``l1·Σlr`` and dropout are those of ``thresholds``, whatever the data: in these units good
    strengths differ little between sizes. A combination takes half of each, so that it is as strong in all.
    """
    share = 1.0 / max(1, len(STRENGTHS[kind]))
    units = {"l2": DEFAULT_L2_SUM * share, "l1": DEFAULT_L1_SUM * share, "dropout": DEFAULT_DROPOUT * share}
    chosen = {name: units[name] for name in STRENGTHS[kind]}
    return Regularizer(**in_actual_units(chosen, sum_lr), coupling="decoupled")
