"""What a plan is projected to cost, and the largest plan that fits a budget."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from regadvisor.plan.effort import EFFORTS, Effort
from regadvisor.plan.plan import Plan, Situation, trained_rows
from regadvisor.regularizer import Kind

#: The smallest useful walk trains each of these once (the classic chart asks for no more).
SMALLEST_WALK: tuple[Kind, ...] = ("none", "l2", "l1", "elasticnet")
#: Samples between the efforts' own, in rows: the largest that the time allows is drawn.
SIZES = (500, 700, 1_000, 1_500, 2_000, 3_000, 4_000, 6_000, 8_000, 12_000)


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The plan that a budget allows, with its projected cost in seconds."""

    plan: Plan
    projected_s: float
    #: Whether the projection is within the budget; if not, the deadline truncates the run.
    fits: bool


@dataclass(frozen=True, kw_only=True)
class CostModel:
    """What plans are projected to cost.

    Parameters
    ----------
    situation : Situation
    fit_s : callable
        Rows that a fold trains on in, seconds of one candidate fit on that fold out.
    overhead_s : callable
        Rows of the sample and number of folds in, seconds that do not depend on the number of fits out (what
        was spent already, preparation, comparisons).
    """

    situation: Situation
    fit_s: Callable[[int], float]
    overhead_s: Callable[[int, int], float]

    def projected_s(self, plan: Plan) -> float:
        """Return the projected seconds of everything in a plan."""
        fits_s = plan.n_jobs * plan.n_folds * self.fit_s(plan.n_train)
        return self.overhead_s(plan.n_rows, plan.n_folds) + fits_s

    def sizes(self, effort: Effort) -> list[int]:
        """Return the samples to try at an effort, largest first, down to the effort below."""
        efforts = list(EFFORTS.values())
        most = self.situation.rows(effort)
        below = efforts.index(effort) - 1
        least = self.situation.rows(efforts[below]) if below >= 0 else SIZES[0]
        return [most, *(size for size in reversed(SIZES) if least <= size < most)]

    def choose(self, budget_s: float, effort: Effort | None = None, *, is_automatic: bool = False) -> Choice:
        """Return the highest effort, with the largest sample, that is projected within the budget.

        Where nothing fits, the least sample of the lowest effort. With `effort` given, it is that effort
        on all its rows.

        Parameters
        ----------
        budget_s : float
            Seconds, may be infinite.
        effort : Effort, optional
        is_automatic : bool
            Whether nobody asked for the budget. Then the highest effort is taken for its rows alone: its
            candidates cost 1.3 to 1.4 times the standard ones and left the same loss
            (``benchmarks/regret.py``, linear models on 33 sets).

        Examples
        --------
        >>> from dataclasses import replace
        >>> situation = Situation(family_name="linear", kinds=("none", "l2", "l1", "elasticnet"), n_folds=5,
        ...                       n_available=9_000)
        >>> model = CostModel(situation=situation, fit_s=lambda n: n * 2.5e-5,
        ...                   overhead_s=lambda n, folds: 1.0)
        >>> choice = model.choose(25.0)
        >>> choice.plan.effort.name, choice.plan.n_rows, choice.projected_s
        ('standard', 5000, 17.5)
        >>> model.choose(10.0).plan.n_rows
        2000
        >>> small = replace(model, situation=replace(situation, n_available=800))
        >>> [small.choose(60.0, is_automatic=given).plan.effort.name for given in (False, True)]
        ['thorough', 'standard']
        """
        if effort is not None:
            return self._choice(effort, self.situation.rows(effort), budget_s)
        most_rows_below = self.situation.rows(EFFORTS["standard"])
        for rung in reversed(EFFORTS.values()):
            for n_rows in self.sizes(rung):
                if is_automatic and rung.name == "thorough" and n_rows <= most_rows_below:
                    continue
                choice = self._choice(rung, n_rows, budget_s)
                if choice.fits:
                    return choice
        return self._choice(EFFORTS["quick"], self.sizes(EFFORTS["quick"])[-1], budget_s)

    def _choice(self, effort: Effort, n_rows: int, budget_s: float) -> Choice:
        plan = self.situation.plan(effort, n_rows)
        seconds = self.projected_s(plan)
        return Choice(plan=plan, projected_s=seconds, fits=seconds <= budget_s)

    def lowest_s(self, *, least_rows: int = 0) -> float:
        """Return the projected seconds of the lowest effort on its least sample, or on so many rows."""
        quick = EFFORTS["quick"]
        most = quick.max_rows_of(self.situation.family_name)
        n_rows = min(max(self.sizes(quick)[-1], least_rows), most)
        return self.projected_s(self.situation.plan(quick, n_rows))

    @property
    def smallest_s(self) -> float:
        """Projected seconds of the smallest useful walk: the chart's first fits, on one fold of few rows.

        Examples
        --------
        >>> situation = Situation(family_name="linear", kinds=("none", "l2", "l1", "elasticnet"), n_folds=5,
        ...                       n_available=500)
        >>> CostModel(situation=situation, fit_s=lambda n: 0.1, overhead_s=lambda n, folds: 0.5).smallest_s
        0.9
        """
        n_rows = self.sizes(EFFORTS["quick"])[-1]
        needed = sum(kind in SMALLEST_WALK for kind in self.situation.kinds)
        return self.overhead_s(n_rows, 1) + needed * self.fit_s(trained_rows(n_rows, self.situation.n_folds))
