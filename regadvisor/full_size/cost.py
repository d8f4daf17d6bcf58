"""What carrying a kind's strengths from a sample to all rows is expected to cost.

A single penalty of a network is carried well. The strengths of a combination move by powers that differ
between data sets, so they are carried with an error: one of s in a log strength costs about s², and here s
grows with ln(N/n). A dropout rate is carried as it is, and loses what it gained on few rows. Hence a cost
∝ ln²(N/n), fitted by ``benchmarks/transfer_carry.py``. Nothing heavy is imported here: saved records are
walked again with it.
"""

from __future__ import annotations

import math

from regadvisor import thresholds
from regadvisor.full_size.laws import TransferPrior
from regadvisor.thresholds import FARTHEST_RATIO


def carry_costs(prior: TransferPrior, *, n_from: float, n_to: float) -> dict[str, float]:
    """Return by kind what carrying its strengths to more rows costs, as a share of its loss; not if nothing.

    It is nothing for the kinds that are carried well: no regularization and a single penalty.

    Parameters
    ----------
    prior : TransferPrior
    n_from, n_to : float
        Rows that were learned from, and all rows.

    Examples
    --------
    >>> from regadvisor.full_size.laws import transfer_prior
    >>> network = transfer_prior("network")
    >>> costs = carry_costs(network, n_from=1_000, n_to=16_000)
    >>> costs["elasticnet"] > 0, "l1" in costs
    (True, False)
    >>> carry_costs(network, n_from=1_000, n_to=1_000)
    {}
    """
    squared = math.log(min(max(n_to / n_from, 1.0), FARTHEST_RATIO)) ** 2
    costs = {kind: cost * squared for kind, cost in prior.carry_costs.items()}
    return {kind: cost for kind, cost in costs.items() if cost > 0}


def carried_loss(loss: float, cost: float, *, constant: float) -> float:
    """Return the loss on a sample with what carrying the strengths to all rows is expected to add.

    Parameters
    ----------
    loss : float
    cost : float
        As a share of the loss; at most ``CARRY_MOST_LOST`` of the lead over the constant is taken.
    constant : float
        Loss of the constant.

    Examples
    --------
    >>> carried_loss(0.5, 0.5, constant=2.0), carried_loss(1.5, 0.5, constant=2.0)
    (0.75, 1.75)
    >>> carried_loss(1.2, 0.1, constant=1.0)
    1.2
    """
    lead = constant - loss
    return loss + min(cost * abs(loss), thresholds.CARRY_MOST_LOST * lead) if lead > 0 else loss
