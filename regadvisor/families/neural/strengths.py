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

from regadvisor.candidates import Candidate, Range
from regadvisor.regularizer import STRENGTHS, Kind, Regularizer
from regadvisor.thresholds import (
    DEFAULT_DROPOUT,
    DEFAULT_L1_IN_LOSS,
    DEFAULT_L1_SUM,
    DEFAULT_L2_IN_LOSS,
    DEFAULT_L2_SUM,
)

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


def candidate(kind: Kind, sum_lr: float | None = None) -> Candidate:
    """Return ranges and portfolio of a kind for runs with the given Σ lr; None: with the penalty in the loss.

    >>> candidate("l2").portfolio[0], candidate("l2", sum_lr=8.0).portfolio[0]
    ({'l2': 0.003}, {'l2': 0.5})
    """
    ranges, points = (LOSS_RANGES, LOSS_PORTFOLIOS) if sum_lr is None else (RANGES, PORTFOLIOS)
    found = Candidate(
        kind=kind,
        coupling="loss" if sum_lr is None else "decoupled",
        ranges={name: ranges[name] for name in STRENGTHS[kind]},
        portfolio=tuple(dict(zip(STRENGTHS[kind], values, strict=True)) for values in points[kind]),
    )
    # Dropout is a share as it is.
    return found if sum_lr is None else found.times({"l1": 1.0 / sum_lr, "l2": 1.0 / sum_lr})


def default_regularizer(kind: Kind, *, n_rows: int, sum_lr: float | None = None) -> Regularizer:
    """Return the documented default of a kind for a run on `n_rows` rows.

    Decoupled, for a run with the given Σ lr: ``l2·Σlr``, ``l1·Σlr`` and dropout are those of ``thresholds``,
    whatever the data. In the loss (without Σ lr): ``l2·n`` and ``l1·√n`` are. A combination takes half of
    each, so that it is as strong in all.
    """
    values = {"dropout": DEFAULT_DROPOUT}
    if sum_lr is None:
        values |= {"l2": DEFAULT_L2_IN_LOSS / n_rows, "l1": DEFAULT_L1_IN_LOSS / math.sqrt(n_rows)}
    else:
        values |= {"l2": DEFAULT_L2_SUM / sum_lr, "l1": DEFAULT_L1_SUM / sum_lr}
    share = 1.0 / max(1, len(STRENGTHS[kind]))
    chosen = {name: values[name] * share for name in STRENGTHS[kind]}
    return Regularizer(**chosen, coupling="loss" if sum_lr is None else "decoupled")
