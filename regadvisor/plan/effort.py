"""How much to do: named efforts as data."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from regadvisor import thresholds
from regadvisor.family_spec import spec_of
from regadvisor.regularizer import DROPOUT_KINDS, KINDS, STRENGTHS, Kind

EffortName = Literal["quick", "standard", "thorough"]


@dataclass(frozen=True, kw_only=True)
class Effort:
    """One rung of the ladder: how many rows, candidate fits and resamplings a run uses.

    The mappings are keyed by the name of the family; a family that is not listed (a network of the
    caller's own) counts as ``"mlp"``, since networks cost the most.
    """

    name: EffortName
    #: Largest sample, in rows.
    max_rows: Mapping[str, int]
    #: Candidates of the portfolio by family and kind: sets of strengths that are trained in any case.
    n_trials: Mapping[str, Mapping[Kind, int]]
    #: Seeds the baseline is trained with; it has no strengths to choose, only noise to average.
    baseline_seeds: Mapping[str, int]
    #: Bootstrap replicates of the comparisons, and as many draws of resampled rows.
    n_boot: int
    #: Rounds after the portfolio, in which the search asks for two more candidates of the kinds that may win.
    n_rounds: int
    #: Most folds all candidates are trained on before the losers are stopped.
    n_first_folds: int = 2
    #: Most folds with training rows of their own, where there are rows enough (``sampling/blocks.py``).
    most_blocks: int = 3

    def rows(self, family_name: str, n_available: int) -> int:
        """Return the rows of the sample, given how many rows there are to draw from."""
        return min(self.max_rows_of(family_name), n_available)

    def max_rows_of(self, family_name: str) -> int:
        """Return the largest sample of a family."""
        return self.max_rows[_listed(family_name)]

    def first_folds(self, n_telling: float) -> int:
        """Return the folds all candidates are trained on before the losers are stopped.

        One is enough if the sample has `ONE_FOLD_ROWS` that tell (see :func:`telling_share`): on the
        references of ``benchmarks/regret.py``, what is then picked loses no more than after two.
        """
        return min(self.n_first_folds, 1) if n_telling >= thresholds.ONE_FOLD_ROWS else self.n_first_folds

    def is_linear(self, family_name: str) -> bool:
        """Return whether the family is cheap enough to learn from all of the rows, one fit at a time."""
        return _listed(family_name) == "linear"

    def sparing(self, family_name: str, rescaling_costs: Mapping[str, float]) -> Effort:
        """Return the effort with a single candidate of each combination that costs too much to rescale.

        Such a kind is trained because the chart asks for it; only far ahead on the sample could it win. L2
        alone is still searched: where nothing else beats the constant it says whether there is a signal.
        """
        name = _listed(family_name)
        spared: set[Kind] = {
            kind
            for kind in self.n_trials[name]
            if rescaling_costs.get(kind, 0.0) >= thresholds.ONE_CANDIDATE_FROM and len(STRENGTHS[kind]) > 1
        }
        n_trials = {kind: min(n, 1) if kind in spared else n for kind, n in self.n_trials[name].items()}
        return replace(self, n_trials={**self.n_trials, name: n_trials})

    def trials(self, family_name: str, kind: Kind, *, n_rows: int = 0) -> int:
        """Return the candidate fits of one kind (for ``"none"``: its seeds).

        On many rows a few losses of a linear model say where the best strength is; the search goes on there.
        """
        name = _listed(family_name)
        if kind == "none":
            return self.baseline_seeds[name]
        is_smooth = name == "linear" and n_rows >= thresholds.SMOOTH_FROM_ROWS
        return min(self.n_trials[name][kind], EFFORTS["quick"].n_trials[name][kind] if is_smooth else 1_000)


def telling_share(class_counts: Sequence[int] | None) -> float:
    """Return the share of rows that tell candidates apart: twice those outside the largest class, at most 1.

    A fold with five rows of a rare class says next to nothing, however many others it holds.

    >>> [round(telling_share(counts), 2) for counts in ([50, 50], [96, 4], None)]
    [1.0, 0.08, 1.0]
    """
    if not class_counts:
        return 1.0
    return min(1.0, 2.0 * (1.0 - max(class_counts) / sum(class_counts)))


def _listed(family_name: str) -> str:
    """Return the family whose figures apply."""
    return spec_of(family_name).effort


def _counts(one: int, two: int, dropout: int, combined: int) -> dict[Kind, int]:
    """Return candidate fits by kind: one penalty, two penalties, dropout, and dropout with a penalty."""

    def count(kind: Kind) -> int:
        if kind in DROPOUT_KINDS:
            return dropout if kind == "dropout" else combined
        return one if len(STRENGTHS[kind]) == 1 else two

    return {kind: count(kind) for kind in KINDS if kind != "none"}


#: The ladder, cheapest first. Quick tries the beginning of every kind's portfolio, the others all of it;
#: all search on from there, thorough longest. Dropout's useful range is narrow, so it needs few points.
EFFORTS: dict[str, Effort] = {
    "quick": Effort(
        name="quick",
        max_rows={"linear": 1_500, "mlp": 4_000},
        n_trials={"linear": _counts(5, 6, 3, 6), "mlp": _counts(3, 3, 2, 2)},
        baseline_seeds={"linear": 1, "mlp": 1},
        n_boot=200,
        n_rounds=2,
        most_blocks=1,
    ),
    "standard": Effort(
        name="standard",
        max_rows={"linear": 5_000, "mlp": 8_000},
        n_trials={"linear": _counts(8, 12, 5, 12), "mlp": _counts(6, 8, 3, 8)},
        baseline_seeds={"linear": 1, "mlp": 3},
        n_boot=500,
        n_rounds=2,
    ),
    "thorough": Effort(
        name="thorough",
        max_rows={"linear": 20_000, "mlp": 16_000},
        n_trials={"linear": _counts(9, 12, 5, 12), "mlp": _counts(6, 8, 3, 8)},
        baseline_seeds={"linear": 1, "mlp": 5},
        n_boot=1_000,
        n_rounds=5,
    ),
}


def first_stage(folds: Sequence[int], n_first: int, *, fewest_later: int = 2) -> tuple[int, ...]:
    """Return the folds all candidates are trained on before losers are stopped; none if that saves nothing.

    `folds`: numbers of the folds, in the order in which they are trained. `n_first`: folds of the first
    stage; 0: there are no stages. `fewest_later`: folds that the second one has at least.

    >>> first_stage(range(5), 2), first_stage(range(3), 2)
    ((0, 1), ())
    """
    return tuple(folds[:n_first]) if len(folds) >= n_first + fewest_later else ()


def share_of_fits(n_candidates: int, *, n_folds: int, n_first: int) -> float:
    """Return the fold fits of halving over those of training every candidate on every fold.

    >>> share_of_fits(6, n_folds=5, n_first=2)
    0.6
    """
    if not first_stage(range(n_folds), n_first) or not n_candidates:
        return 1.0
    kept = n_kept(n_candidates)
    return (n_candidates * n_first + kept * (n_folds - n_first)) / (n_candidates * n_folds)


def n_kept(n_candidates: int) -> int:
    """Return how many of the candidates go on, at least one.

    >>> [n_kept(n) for n in (1, 3, 4, 12)]
    [1, 1, 2, 4]
    """
    return math.ceil(n_candidates / thresholds.STAGE_REDUCTION)


def auto_budget(
    full_run_s: float,
    *,
    enough_s: float,
    lowest_s: float,
    smallest_s: float = 0.0,
    n_rows: int,
    is_linear: bool = False,
) -> tuple[float, float, float]:
    """Return what ``budget="auto"`` aims to spend, the deadline at which it is cut, and the latest one.

    Up to ``AUTO_SMALL_ROWS`` rows the aim is as much as the evidence needs, at most two minutes. Beyond, it
    is a number of full runs that falls with the rows: one at 50,000, a twentieth at a million; no less than
    some seconds or the lowest rung, and no more than a minute. For linear models it is no less either than
    what the evidence needs times 6,000 / rows: one row more must not take most of the sample away. Where a
    single full run takes longer than these two limits, it is the limit, up to ten minutes.

    The deadline leaves a margin for projections that were too low; from ``AUTO_CHEAP_ROWS`` rows on it is one
    full run at most, whatever the margin, or twice the smallest walk if that is longer. The latest is the
    upper limit of fewer rows: on a busy machine a full run takes longer, too.

    `full_run_s`, `enough_s`, `lowest_s`, `smallest_s`: projected seconds of one full run, of as much as the
    evidence needs, of the lowest rung and of the smallest walk. `n_rows`: rows of the data.

    >>> def aim(n_rows, **kwargs):
    ...     return auto_budget(n_rows * 4e-4, enough_s=30.0, lowest_s=1.0, n_rows=n_rows, **kwargs)[0]
    >>> [round(aim(n_rows), 1) for n_rows in (500, 5_000, 7_000, 10_000, 50_000, 10**6)]
    [30.0, 30.0, 20.0, 20.0, 16.0, 20.0]
    >>> round(aim(7_000, is_linear=True), 1)
    25.7
    """
    low = thresholds.AUTO_LEAST_DEADLINE_S
    run_s = min(full_run_s, thresholds.AUTO_LONGEST_S)
    if n_rows <= thresholds.AUTO_SMALL_ROWS:
        latest = high = max(thresholds.AUTO_MOST_S, run_s)
        aim_s = min(enough_s, high)
    else:
        latest = high = max(thresholds.AUTO_MOST_S_OF_MANY, run_s)
        least_s = thresholds.AUTO_LEAST_LINEAR_S if is_linear else thresholds.AUTO_LEAST_S
        full_runs = thresholds.AUTO_FULL_RUNS * thresholds.AUTO_FULL_RUNS_ROWS / n_rows
        falling_s = enough_s * thresholds.AUTO_SMALL_ROWS / n_rows if is_linear else 0.0
        aim_s = min(max(full_runs * full_run_s, falling_s, least_s, lowest_s), high)
        if n_rows >= thresholds.AUTO_CHEAP_ROWS:
            high = min(high, max(run_s, low, thresholds.SMALLEST_WALK_WITHIN * smallest_s))
            aim_s = min(aim_s, thresholds.AUTO_CHEAP_SHARE * high)
    return aim_s, min(max(low, thresholds.AUTO_BUDGET_MARGIN * aim_s), high), latest
