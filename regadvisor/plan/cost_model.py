"""What a walk is projected to cost, and the effort and the sample that fit a budget."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from regadvisor.plan.effort import EFFORTS, WHOLE_JOBS, Effort, trained_rows
from regadvisor.plan.stages import share_of_fits
from regadvisor.regularizer import Kind
from regadvisor.thresholds import MEASURED_FROM_RATIO

#: The smallest useful walk trains each of these once (the classic chart asks for no more).
SMALLEST_WALK: tuple[Kind, ...] = ("none", "l2", "l1", "elasticnet")
#: Fits on all folds that one refinement amounts to: two points of two kinds, one or two of them on all folds.
REFINED_JOBS = 2.0
#: Samples between the efforts' own, in rows: the largest that the time allows is drawn.
SIZES = (500, 700, 1_000, 1_500, 2_000, 3_000, 4_000, 6_000, 8_000, 12_000)


def n_whole_jobs(
    effort: Effort, family_name: str, kinds: Sequence[Kind], *, n_folds: int, n_first: int
) -> float:
    """Return how many fits on all folds the fits of an effort amount to: losers are stopped early.

    Examples
    --------
    >>> n_whole_jobs(EFFORTS["quick"], "linear", ("none", "l2"), n_folds=5, n_first=0)
    6.0
    """

    def whole(kind: Kind) -> float:
        n_trials = effort.trials(family_name, kind)
        if kind == "none":
            return n_trials
        share = share_of_fits(n_trials, n_folds=n_folds, n_first=n_first)
        return n_trials * share + effort.mixes(family_name, kind)

    return sum(map(whole, kinds))


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The effort and the sample a budget allows, with the projected cost in seconds."""

    effort: Effort
    #: Rows that the candidates learn from.
    n_rows: int
    projected_s: float
    #: Whether the projection is within the budget; if not, the deadline truncates the run.
    fits: bool


@dataclass(frozen=True, kw_only=True)
class CostModel:
    """What a walk would train, and what that is projected to cost.

    Parameters
    ----------
    family_name : str
    kinds : sequence of str
        Kinds that will be trained, ``"none"`` among them.
    n_folds : int
    fit_s : callable
        Rows that a fold trains on in, seconds of one candidate fit on that fold out.
    overhead_s : callable
        Rows of the sample and number of folds in, seconds that do not depend on the number of fits out (what
        was spent already, preparation, comparisons).
    n_available : int
        Rows there are to draw a sample from.
    may_block : bool
        Whether folds may have training rows of their own: no groups, no rows that were asked for.
    is_ordered : bool
        Whether the rows have times.
    telling_share : float
        See :func:`telling_share`.
    carry_costs : callable
        Rows that fits stand for → what carrying the strengths of a kind to all rows costs, by kind.
    """

    family_name: str
    kinds: Sequence[Kind]
    n_folds: int
    fit_s: Callable[[int], float]
    overhead_s: Callable[[int, int], float]
    n_available: int
    may_block: bool = True
    is_ordered: bool = False
    telling_share: float = 1.0
    carry_costs: Callable[[int], Mapping[str, float]] = lambda n_learned: {}

    def projected_s(self, effort: Effort, n_rows: int) -> float:
        """Return the projected seconds of the whole walk on a sample of so many rows."""
        name = self.family_name
        blocks = effort.blocks(
            name, n_rows, n_folds=self.n_folds, n_source=self.n_available, is_ordered=self.is_ordered
        )
        in_blocks = blocks is not None and self.may_block
        n_folds = blocks if blocks is not None and self.may_block else self.n_folds
        n_first = effort.first_folds(name, self.telling_share * n_rows, in_blocks=in_blocks)
        n_learned = trained_rows(n_rows, self.n_folds) if in_blocks else n_rows
        effort = effort.sparing(name, self.carry_costs(n_learned))
        jobs = n_whole_jobs(effort, name, self.kinds, n_folds=n_folds, n_first=n_first)
        # On a single block all points that are tried are trained in full.
        jobs += (2 * REFINED_JOBS if n_folds == n_first else REFINED_JOBS) * effort.n_refinements
        if n_folds > 1 and self.n_available > MEASURED_FROM_RATIO * n_learned:
            jobs += WHOLE_JOBS
        return self.overhead_s(n_rows, n_folds) + jobs * n_folds * self.fit_s(
            trained_rows(n_rows, self.n_folds)
        )

    def sizes(self, effort: Effort) -> list[int]:
        """Return the samples to try at an effort, largest first, down to the effort below."""
        efforts = list(EFFORTS.values())
        most = effort.rows(self.family_name, self.n_available)
        below = efforts.index(effort) - 1
        least = efforts[below].rows(self.family_name, self.n_available) if below >= 0 else SIZES[0]
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
        >>> model = CostModel(family_name="linear", kinds=("none", "l2", "l1", "elasticnet"), n_folds=5,
        ...                   fit_s=lambda n: n * 2.5e-5, overhead_s=lambda n, folds: 1.0, n_available=9_000)
        >>> choice = model.choose(30.0)
        >>> choice.effort.name, choice.n_rows, choice.projected_s
        ('standard', 5000, 18.0)
        >>> model.choose(10.0).n_rows
        2000
        >>> from dataclasses import replace
        >>> small = replace(model, n_available=800)
        >>> [small.choose(60.0, is_automatic=given).effort.name for given in (False, True)]
        ['thorough', 'standard']
        """
        if effort is not None:
            return self._choice(effort, effort.rows(self.family_name, self.n_available), budget_s)
        most_rows_below = EFFORTS["standard"].rows(self.family_name, self.n_available)
        for rung in reversed(EFFORTS.values()):
            for n_rows in self.sizes(rung):
                if is_automatic and rung.name == "thorough" and n_rows <= most_rows_below:
                    continue
                choice = self._choice(rung, n_rows, budget_s)
                if choice.fits:
                    return choice
        return self._choice(EFFORTS["quick"], self.sizes(EFFORTS["quick"])[-1], budget_s)

    def _choice(self, effort: Effort, n_rows: int, budget_s: float) -> Choice:
        seconds = self.projected_s(effort, n_rows)
        return Choice(effort=effort, n_rows=n_rows, projected_s=seconds, fits=seconds <= budget_s)

    def lowest_s(self, *, least_rows: int = 0) -> float:
        """Return the projected seconds of the lowest effort on its least sample, or on so many rows."""
        quick = EFFORTS["quick"]
        least = self.sizes(quick)[-1]
        return self.projected_s(quick, min(max(least, least_rows), quick.max_rows_of(self.family_name)))

    @property
    def smallest_s(self) -> float:
        """Projected seconds of the smallest useful walk: the chart's first fits, on one fold of few rows.

        Examples
        --------
        >>> model = CostModel(family_name="linear", kinds=("none", "l2", "l1", "elasticnet"), n_folds=5,
        ...                   fit_s=lambda n: 0.1, overhead_s=lambda n, folds: 0.5, n_available=500)
        >>> model.smallest_s
        0.9
        """
        n_rows = self.sizes(EFFORTS["quick"])[-1]
        needed = sum(kind in SMALLEST_WALK for kind in self.kinds)
        return self.overhead_s(n_rows, 1) + needed * self.fit_s(trained_rows(n_rows, self.n_folds))
