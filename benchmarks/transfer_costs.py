"""What rescaling a kind's strengths to more rows costs: fits ``rescaling_costs`` of ``prior.TRANSFER``.

L1 of networks asks for about the same strength × Σ lr at every size. The others do not, and by how much they
move differs between data sets. Dropout's rate stays as it is, and what it is worth falls with the rows,
below zero on half of the sets. So a kind that is a little better than L1 on a sample is worse than L1 at N
rows, once both are rescaled. A cost ∝ ln²(N/n) on the losses of the sample makes up for that; it is the
least of those that leave about the lowest excess over sets and sizes.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
from regret.figures import interval, winsorised
from transfer_fits import Model, Numbers, Run, Sets, by_rule, full_of, law_of, powers, rescaled_excess

from regadvisor.full_size.laws import STRENGTH_LAWS, PowerLaw
from regadvisor.regularizer import Kind
from regadvisor.thresholds import EXPONENT_RANGE, FARTHEST_RATIO

RATIOS = (2, 4, 16, 64)
#: Kinds that cost the same, and the costs that are tried for each group, in shares of the loss per ln²(N/n).
#: Costs of their own for each of the combinations and for dropout did no better on sets left out.
GROUPS: dict[tuple[Kind, ...], tuple[float, ...]] = {
    ("l2",): (0.0, 0.0025, 0.005, 0.01),
    ("dropout", "elasticnet", "dropout_l2", "dropout_l1"): (0.0, 0.0025, 0.005, 0.01, 0.02, 0.03),
}
#: Costs whose mean excess is this close to the lowest (in %) are as good: about its standard error over sets.
#: The least of them is taken, as one that is too high rules out what is best. Leaving out a set then hardly
#: ever changes the choice.
AS_GOOD = 0.15

Costs = Mapping[Kind, float]
#: One cost by group.
Tried = tuple[float, ...]


def costs_of(tried: Tried) -> dict[Kind, float]:
    """Return the costs by kind from those by group; kinds that cost nothing are left out.

    Examples
    --------
    >>> costs_of((0.01, 0.0))
    {'l2': 0.01}
    """
    paired = zip(GROUPS, tried, strict=True)
    return {kind: cost for kinds, cost in paired for kind in kinds if cost > 0}


def laws_without(sets: Sets, left_out: str) -> dict[str, PowerLaw]:
    """Return the law of L2's power fitted without a set, and that of L1, which stays as it is."""
    others = {name: runs for name, runs in sets.items() if name != left_out}
    law = law_of(others, powers(others, "network", "planned")["l2"])
    return {"l2": law, "l1": STRENGTH_LAWS["decoupled"]["l1"]}


def excess_of(runs: Sequence[Run], ratio: int, laws: Mapping[str, PowerLaw], costs: Costs) -> float:
    """Return the mean excess of a set's samples of one size, in %; NaN without such a size."""
    full = full_of(runs)
    exponents = {
        name: float(np.clip(law.intercept + law.slope * np.log(full.n_features), *EXPONENT_RANGE))
        for name, law in laws.items()
    }
    found = [
        rescaled_excess(run, full, exponents, costs=costs, farthest=FARTHEST_RATIO)
        for run in by_rule(runs, "planned")
        if run.ratio == ratio
    ]
    return float(np.mean(found)) if found else float("nan")


def _mean_excess(found: Numbers) -> float:
    """Return the winsorised mean over sets of the mean over sizes."""
    return float(winsorised(np.nanmean(found, axis=1)))


def _known(column: Numbers) -> Numbers:
    return column[np.isfinite(column)]


class CostStudy:
    """Every cost that is tried on every set, and which is best.

    Strengths are rescaled by the law of the powers that was fitted on the other sets.

    Parameters
    ----------
    sets : mapping of str to runs
    """

    def __init__(self, sets: Sets) -> None:
        self.names = list(sets)
        laws = {name: laws_without(sets, name) for name in sets}
        self.tried = {
            tried: np.array(
                [
                    [excess_of(runs, ratio, laws[name], costs_of(tried)) for ratio in RATIOS]
                    for name, runs in sets.items()
                ]
            )
            for tried in itertools.product(*GROUPS.values())
        }

    def best(self, left_out: int | None = None) -> Tried:
        """Return the least costs of those with about the lowest mean excess over all sets, or all but one."""
        kept = [at for at in range(len(self.names)) if at != left_out]
        excess = {tried: _mean_excess(found[kept]) for tried, found in self.tried.items()}
        as_good = [tried for tried in excess if excess[tried] <= min(excess.values()) + AS_GOOD]
        return min(as_good, key=lambda each: (sum(each), excess[each]))

    def left_out(self) -> Numbers:
        """Return the excess of every set with the costs that were best on the others."""
        return np.array([self.tried[self.best(at)][at] for at in range(len(self.names))])

    def rows(self) -> list[tuple[str, Numbers]]:
        """Return label and excess of every row of the table: less and more than the best of each cost."""
        best = self.best()
        shown = {(0.0,) * len(GROUPS)}
        for at, values in enumerate(GROUPS.values()):
            shown |= {(*best[:at], value, *best[at + 1 :]) for value in values}
        found = [
            (", ".join(f"{100 * each:g}%" for each in tried), self.tried[tried]) for tried in sorted(shown)
        ]
        return [*found, ("best on the other sets", self.left_out())]


def rescaling_costs(sets: Mapping[Model, Sets]) -> dict[Model, dict[Kind, float]]:
    """Return the fitted costs by model; linear models lose too little to be worth any."""
    return {
        model: costs_of(CostStudy(own).best()) if model == "network" else {} for model, own in sets.items()
    }


def cost_table(sets: Sets) -> str:
    """Return the study as Markdown, for networks."""
    if not sets:
        return ""
    study = CostStudy(sets)
    head = ["cost of L2, of dropout and combinations", *(f"N/n = {ratio}" for ratio in RATIOS)]
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for label, found in study.rows():
        lines.append(f"| {label} | {' | '.join(_figure(_known(column)) for column in found.T)} |")
    l2, others = (f"{100 * each:g}%" for each in study.best())
    lines.append(f"\nTaken: L2 alone {l2}, dropout and combinations {others}.")
    return "\n".join(lines)


def _figure(values: Numbers) -> str:
    found = interval(values, winsorised)
    return f"{found.value:.2f} [{found.low:.2f}, {found.high:.2f}]"
