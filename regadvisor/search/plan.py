"""How much to do: named efforts as data, what they are projected to cost, and which one fits a budget."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from regadvisor.regularizer import DROPOUT_KINDS, KINDS, STRENGTHS, Kind

EffortName = Literal["quick", "standard", "thorough"]

#: The smallest useful walk trains each of these once (the classic chart asks for no more).
SMALLEST_WALK: tuple[Kind, ...] = ("none", "l2", "l1", "elasticnet")


@dataclass(frozen=True, kw_only=True)
class Effort:
    """One rung of the ladder: how many rows, candidate fits and resamplings a run uses.

    The mappings are keyed by the name of the family; a family that is not listed (a network of the
    caller's own) counts as ``"mlp"``, since networks cost the most.
    """

    name: EffortName
    #: Largest sample, in rows.
    max_rows: Mapping[str, int]
    #: Candidate fits by family and kind. A fit is one set of strengths, trained on every fold.
    n_trials: Mapping[str, Mapping[Kind, int]]
    #: Seeds the baseline is trained with; it has no strengths to choose, only noise to average.
    baseline_seeds: Mapping[str, int]
    #: Bootstrap replicates of the comparisons.
    n_boot: int
    #: Resampled walks.
    n_draws: int
    #: How often one kind may widen the range of a strength whose optimum lies on the edge.
    n_widenings: int

    def rows(self, family_name: str, n_available: int) -> int:
        """Return the rows of the sample, given how many rows there are to draw from."""
        return min(self.max_rows[_listed(family_name)], n_available)

    def trials(self, family_name: str, kind: Kind) -> int:
        """Return the candidate fits of one kind (for ``"none"``: its seeds)."""
        name = _listed(family_name)
        return self.baseline_seeds[name] if kind == "none" else self.n_trials[name][kind]


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The effort a budget allows, with its projected cost in seconds."""

    effort: Effort
    projected_s: float
    #: Whether the projection is within the budget; if not, the deadline truncates the run.
    fits: bool


def _listed(family_name: str) -> str:
    """Return the family whose figures apply."""
    return "linear" if family_name == "linear" else "mlp"


def _counts(one: int, two: int, dropout: int, combined: int) -> dict[Kind, int]:
    """Return candidate fits by kind: one penalty, two penalties, dropout, and dropout with a penalty."""

    def count(kind: Kind) -> int:
        if kind in DROPOUT_KINDS:
            return dropout if kind == "dropout" else combined
        return one if len(STRENGTHS[kind]) == 1 else two

    return {kind: count(kind) for kind in KINDS if kind != "none"}


#: The ladder, cheapest first. Quick tries the beginning of every kind's portfolio, standard all of it,
#: thorough searches on from there. Dropout's useful range is narrow, so it needs few points.
EFFORTS: dict[str, Effort] = {
    "quick": Effort(
        name="quick",
        max_rows={"linear": 1_500, "mlp": 1_000},
        n_trials={"linear": _counts(5, 6, 3, 6), "mlp": _counts(3, 4, 2, 3)},
        baseline_seeds={"linear": 1, "mlp": 2},
        n_boot=200,
        n_draws=200,
        n_widenings=1,
    ),
    "standard": Effort(
        name="standard",
        max_rows={"linear": 5_000, "mlp": 3_000},
        n_trials={"linear": _counts(8, 12, 5, 12), "mlp": _counts(6, 8, 3, 8)},
        baseline_seeds={"linear": 1, "mlp": 3},
        n_boot=500,
        n_draws=500,
        n_widenings=2,
    ),
    "thorough": Effort(
        name="thorough",
        max_rows={"linear": 20_000, "mlp": 10_000},
        n_trials={"linear": _counts(16, 24, 8, 24), "mlp": _counts(16, 24, 6, 24)},
        baseline_seeds={"linear": 1, "mlp": 5},
        n_boot=1_000,
        n_draws=1_000,
        n_widenings=2,
    ),
}


def n_jobs(effort: Effort, family_name: str, kinds: Sequence[Kind]) -> int:
    """Return the candidate fits that an effort plans, widenings not counted.

    Examples
    --------
    >>> n_jobs(EFFORTS["quick"], "linear", ("none", "l2", "l1", "elasticnet"))
    17
    """
    return sum(effort.trials(family_name, kind) for kind in kinds)


def projected_s(
    effort: Effort,
    family_name: str,
    kinds: Sequence[Kind],
    *,
    seconds_per_job: Callable[[int], float],
    overhead_s: float,
    n_rows_available: int,
) -> float:
    """Return the projected seconds of a whole walk: the overhead and every candidate fit.

    Parameters
    ----------
    effort : Effort
    family_name : str
    kinds : sequence of str
        Kinds that will be trained, ``"none"`` among them.
    seconds_per_job : callable
        Rows of the sample in, seconds of one candidate fit on all folds out.
    overhead_s : float
        Seconds that do not depend on the number of fits (preparation, comparisons).
    n_rows_available : int
        Rows there are to draw a sample from.
    """
    n_rows = effort.rows(family_name, n_rows_available)
    return overhead_s + n_jobs(effort, family_name, kinds) * seconds_per_job(n_rows)


def choose_effort(
    *,
    family_name: str,
    kinds: Sequence[Kind],
    seconds_per_job: Callable[[int], float],
    overhead_s: float,
    budget_s: float,
    n_rows_available: int,
) -> Choice:
    """Return the highest rung whose projection is within the budget, else the lowest one.

    The parameters are those of :func:`projected_s`; `budget_s` may be infinite.

    Examples
    --------
    >>> def cost(n_rows): return n_rows * 1e-4
    >>> walk = dict(family_name="linear", kinds=("none", "l2", "l1", "elasticnet"), overhead_s=1.0)
    >>> choice = choose_effort(seconds_per_job=cost, budget_s=30.0, n_rows_available=9_000, **walk)
    >>> choice.effort.name, choice.projected_s, choice.fits
    ('standard', 15.5, True)
    """
    choices: list[Choice] = []
    for effort in EFFORTS.values():
        seconds = projected_s(
            effort,
            family_name,
            kinds,
            seconds_per_job=seconds_per_job,
            overhead_s=overhead_s,
            n_rows_available=n_rows_available,
        )
        choices.append(Choice(effort=effort, projected_s=seconds, fits=seconds <= budget_s))
    return next((choice for choice in reversed(choices) if choice.fits), choices[0])


def can_validate(
    *,
    family_name: str,
    kinds: Sequence[Kind],
    seconds_per_job: Callable[[int], float],
    overhead_s: float,
    budget_s: float,
    n_rows_available: int,
) -> bool:
    """Return whether even the smallest useful walk fits: none, L1, L2 and L1+L2 with one fit each.

    It is trained on the rows of the lowest rung. A budget of 0 is never enough.

    Examples
    --------
    >>> walk = dict(family_name="linear", kinds=("none", "l2", "l1", "elasticnet"), overhead_s=0.5)
    >>> can_validate(seconds_per_job=lambda n_rows: 0.1, budget_s=1.0, n_rows_available=500, **walk)
    True
    >>> can_validate(seconds_per_job=lambda n_rows: 0.1, budget_s=0.0, n_rows_available=500, **walk)
    False
    """
    n_rows = EFFORTS["quick"].rows(family_name, n_rows_available)
    needed = sum(kind in SMALLEST_WALK for kind in kinds)
    return budget_s > 0 and overhead_s + needed * seconds_per_job(n_rows) <= budget_s
