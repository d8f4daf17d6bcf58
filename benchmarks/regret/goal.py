"""Advice beside the dense cross-validation, both against the best candidate's own test loss.

Regret here is the test loss above the lowest one of the grid on the same test rows, in %, so the dense
cross-validation's is never below 0. Differences are paired: sets are drawn once for both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from regadvisor.thresholds import SAME_REGION
from regret.figures import INTERVAL, N_BOOT, Figure, Values, percentile_90, share, winsorised
from regret.policies import CEILING, NONE

if TYPE_CHECKING:
    from regret.summary import Scored

HEAD = ("policy", "sets", "winsorised mean", "− dense CV's", "within 0.5%", "− dense CV's")
HEAD = (*HEAD, "90th percentile", "− dense CV's", "harm", "processor time / dense CV", "/ one by one")


def difference(first: Values, second: Values, statistic: Callable[[Values], Values]) -> Figure:
    """Return the difference of a statistic over the same sets with its bootstrap interval.

    Examples
    --------
    >>> difference(np.array([1.0, 2.0]), np.array([0.0, 1.0]), share).text()
    '1.0 [1.0, 1.0]'
    """
    draws = np.random.default_rng(0).integers(len(first), size=(N_BOOT, len(first)))
    drawn = statistic(first[draws]) - statistic(second[draws])
    low, high = np.quantile(drawn, [(1 - INTERVAL) / 2, (1 + INTERVAL) / 2])
    return Figure(value=float(statistic(first) - statistic(second)), low=float(low), high=float(high))


def goal_table(scored: Sequence[Scored]) -> str:
    """Return a line for every advice, and for the dense cross-validation on the same sets below it.

    Other policies, on all sets, follow.
    """
    by_policy: dict[str, dict[tuple[str, int], Scored]] = {}
    for each in scored:
        by_policy.setdefault(each.policy, {})[each.set, each.split] = each
    lines = [f"| {' | '.join(HEAD)} |", f"|{'---|' * len(HEAD)}"]
    ceiling = by_policy[CEILING]
    for policy, found in by_policy.items():
        if policy.startswith("advise"):
            same = {key: ceiling[key] for key in found}
            lines += [_line(policy, found, same), _line(f"{CEILING}, the same sets", same, same)]
    shown = [name for name in by_policy if "tuned" in name or name.endswith("CV")]
    for policy in (NONE, *shown):
        found = by_policy[policy]
        lines.append(_line(policy, found, {key: ceiling[key] for key in found}))
    return "\n".join(lines)


def _line(
    policy: str, found: Mapping[tuple[str, int], Scored], same: Mapping[tuple[str, int], Scored]
) -> str:
    def values(of: Mapping[tuple[str, int], Scored], value: Callable[[Scored], float]) -> Values:
        names = list(dict.fromkeys(name for name, _ in found))
        return np.array([np.mean([value(each) for key, each in of.items() if key[0] == n]) for n in names])

    def regret(each: Scored) -> float:
        return each.score.to_best

    def within(each: Scored) -> float:
        return 100.0 * (each.score.to_best <= 100 * SAME_REGION)

    cells = [str(len({name for name, _ in found}))]
    for value, statistic, unit in (
        (regret, winsorised, ""),
        (within, share, " %"),
        (regret, percentile_90, ""),
    ):
        own, other = values(found, value), values(same, value)
        cells += [f"{float(statistic(own)):.{0 if unit else 1}f}{unit}"]
        cells += [difference(own, other, statistic).text(unit)]
    cells.append(f"{float(values(found, lambda each: 100.0 * each.score.is_worse).mean()):.0f} %")
    for name in ("cpu_of_reference", "cpu_of_one_by_one"):
        used = [getattr(each, name) for each in found.values() if getattr(each, name) is not None]
        cells.append(f"{np.median(used):.2g}" if used else "–")
    return f"| {policy} | {' | '.join(cells)} |"
