"""What a run does, decided once: rows, folds and fits. The price and the execution read the same value."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from regadvisor import thresholds
from regadvisor.plan.effort import EFFORTS, Effort, share_of_fits
from regadvisor.regularizer import Kind

#: Fits on all folds that a round after the portfolio amounts to: two candidates of the kinds that may win. It
#: was 2.0 in runs of effort quick on 30 sets (linear models).
JOBS_A_ROUND = 2.0


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a run does."""

    effort: Effort
    #: Candidate fits by kind (for ``"none"``: its seeds).
    trials: Mapping[Kind, int]
    #: Rows that the price is made for: those of a cross-validated sample.
    n_rows: int
    #: Rows to draw; more than `n_rows` where folds have training rows of their own and test on others.
    n_drawn: int
    n_folds: int
    #: Rows that each fold trains on.
    n_train: int
    #: Folds that all candidates are trained on before the losers are stopped; 0: none is stopped.
    n_first: int = 0
    #: Folds to begin with, where more of them are trained on only until the comparisons are decided; 0: all.
    n_begun: int = 0
    #: Whether candidates are trained one after the other and stopped when they have lost beyond doubt; if
    #: not, all are trained together and the better third of each kind goes on.
    is_race: bool = False
    #: Whether each fold has training rows of its own.
    in_blocks: bool = False
    #: Whether all rows are so many more than those learned from that a check on all rows may pay.
    is_far: bool = False
    #: What using a kind's strengths on all rows is expected to add, as a share of its loss.
    rescaling_costs: Mapping[str, float] = field(default_factory=dict)

    @property
    def n_jobs(self) -> float:
        """Fits on all folds that the plan amounts to: losers are stopped early.

        On a single block all candidates of these rounds are trained in full.
        """
        jobs = sum(map(self._jobs_of, self.trials))
        in_full = self.n_folds == self.n_first
        jobs += (2 * JOBS_A_ROUND if in_full else JOBS_A_ROUND) * self.effort.n_rounds
        return jobs

    @property
    def n_folds_made(self) -> float:
        """Folds that a candidate is expected to be trained on.

        Of those that wait until they are needed, half: 2.0 to 4.6 of five were trained on six sets.
        """
        return (self.n_begun + self.n_folds) / 2 if self.n_begun else self.n_folds

    def _jobs_of(self, kind: Kind) -> float:
        n_trials = self.trials[kind]
        if kind == "none" or self.is_race:  # where all strengths are alike, nobody loses
            return n_trials
        share = share_of_fits(n_trials, n_folds=self.n_folds, n_first=self.n_first)
        return n_trials * share


@dataclass(frozen=True, kw_only=True)
class Situation:
    """What plans depend on besides the effort and the rows."""

    family_name: str
    #: Kinds that will be trained, ``"none"`` among them.
    kinds: Sequence[Kind]
    #: Folds asked for.
    n_folds: int
    #: Rows there are to draw a sample from.
    n_available: int
    #: Rows of the source, if these are some of them.
    n_source: int = 0
    #: Rows whose folds fit into memory.
    most_rows: int | None = None
    #: Whether folds may have training rows of their own: no groups, no rows that were asked for.
    may_block: bool = True
    #: Whether the rows have times, and whether neither times nor groups make some folds unlike others.
    is_ordered: bool = False
    is_exchangeable: bool = True
    #: See :func:`~regadvisor.plan.effort.telling_share`.
    telling_share: float = 1.0
    #: Rows that fits stand for → what using the strengths of a kind on all rows costs, by kind.
    rescaling_costs: Callable[[int], Mapping[str, float]] = lambda n_learned: {}

    def rows(self, effort: Effort) -> int:
        """Return the rows of the largest sample at an effort."""
        most = self.n_available if self.most_rows is None else min(self.n_available, self.most_rows)
        return effort.rows(self.family_name, most)

    def plan(self, effort: Effort, n_rows: int) -> Plan:
        """Return the plan for a sample of so many rows."""
        n_train = trained_rows(n_rows, self.n_folds)
        n_blocks = self._blocks(effort, n_train)
        if n_blocks is None:
            return self._plan(effort, n_rows, n_folds=self.n_folds, n_learned=n_rows)
        n_drawn = rows_for_blocks(n_train, n_blocks, self.n_available)
        assert n_drawn is not None
        plan = self._plan(effort, n_rows, n_folds=n_blocks, n_learned=n_train)
        return replace(plan, in_blocks=True, n_drawn=n_drawn, n_first=min(plan.n_first, 1))

    def _plan(self, effort: Effort, n_rows: int, *, n_folds: int, n_learned: int) -> Plan:
        name, rescaling_costs = self.family_name, self.rescaling_costs(n_learned)
        spared = effort.sparing(name, rescaling_costs)
        is_race, n_telling = effort.is_linear(name), self.telling_share * n_rows
        is_enough = is_race and self.is_exchangeable and n_telling >= thresholds.SMOOTH_FROM_ROWS
        return Plan(
            effort=effort,
            trials={kind: spared.trials(name, kind, n_rows=n_rows) for kind in self.kinds},
            n_rows=n_rows,
            n_drawn=n_rows,
            n_folds=n_folds,
            n_train=trained_rows(n_rows, self.n_folds),
            n_first=effort.first_folds(n_telling),
            n_begun=thresholds.BEGUN_FOLDS if is_enough else 0,
            is_race=is_race,
            is_far=max(self.n_available, self.n_source) > thresholds.MEASURED_FROM_RATIO * n_learned,
            rescaling_costs=rescaling_costs,
        )

    def _blocks(self, effort: Effort, n_train: int) -> int | None:
        """Return how many folds get training rows of their own; None: the rows are cross-validated.

        A linear model is cheap enough to learn from all of the rows. Rows in order of time have one such fold
        at most: the past, tested on what came after.
        """
        n_blocks = min(self.n_folds, effort.most_blocks)
        is_free = self.may_block and not (self.is_ordered and n_blocks > 1)
        if not is_free or effort.is_linear(self.family_name):
            return None
        n_drawn = rows_for_blocks(n_train, n_blocks, self.n_available)
        is_possible = n_drawn is not None and (self.most_rows is None or n_drawn <= self.most_rows)
        return n_blocks if is_possible else None


def rows_for_blocks(n_train: int, n_folds: int, n_source: int) -> int | None:
    """Return the rows of a sample whose folds train on `n_train` rows of their own; None: too few.

    >>> rows_for_blocks(800, 5, 50_000), rows_for_blocks(800, 5, 7_000), rows_for_blocks(800, 5, 5_000)
    (8000, 7000, None)
    >>> rows_for_blocks(800, 1, 50_000)
    2400
    """
    most_tested = thresholds.BLOCK_MOST_TESTED_BY_ONE if n_folds == 1 else thresholds.BLOCK_MOST_TESTED
    each = min(int(n_train * (1.0 + most_tested)), n_source // n_folds)
    return each * n_folds if each >= n_train * (1.0 + thresholds.BLOCK_FEWEST_TESTED) else None


def trained_rows(n_rows: int, n_folds: int) -> int:
    """Return the rows that each fold of a cross-validation of `n_rows` rows trains on.

    >>> trained_rows(1_000, 5)
    800
    """
    return n_rows - n_rows // n_folds


#: The smallest useful walk trains each of these once (the classic chart asks for no more).
SMALLEST_WALK: tuple[Kind, ...] = ("none", "l2", "l1", "elasticnet")
#: Samples between the efforts' own, in rows: the largest that the time allows is drawn.
SIZES = (500, 700, 1_000, 1_500, 2_000, 3_000, 4_000, 6_000, 8_000, 12_000)


@dataclass(frozen=True, kw_only=True)
class CostModel:
    """What plans are projected to cost."""

    situation: Situation
    #: Rows that a fold trains on in, seconds of one candidate fit on that fold out.
    fit_s: Callable[[int], float]
    #: Rows of the sample and number of folds in, seconds that do not depend on the number of fits out (what
    #: was spent already, preparation, comparisons).
    overhead_s: Callable[[int, int], float]

    def projected_s(self, plan: Plan) -> float:
        """Return the projected seconds of everything in a plan."""
        fits_s = plan.n_jobs * plan.n_folds_made * self.fit_s(plan.n_train)
        return self.overhead_s(plan.n_rows, plan.n_folds) + fits_s

    def sizes(self, effort: Effort) -> list[int]:
        """Return the samples to try at an effort, largest first, down to the effort below."""
        efforts = list(EFFORTS.values())
        most = self.situation.rows(effort)
        below = efforts.index(effort) - 1
        least = self.situation.rows(efforts[below]) if below >= 0 else SIZES[0]
        return [most, *(size for size in reversed(SIZES) if least <= size < most)]

    def choose(
        self, budget_s: float, effort: Effort | None = None, *, is_automatic: bool = False
    ) -> tuple[Plan, float]:
        """Return the highest effort, with the largest sample, that is projected within the budget.

        And the projected seconds. Where nothing fits, the least sample of the lowest effort. With `effort`
        given, it is that effort on all its rows.

        `budget_s`: seconds, may be infinite. `is_automatic`: whether nobody asked for the budget. Then the
        highest effort is taken for its rows alone: its candidates cost 1.3 to 1.4 times the standard ones and
        left the same loss (``benchmarks/regret.py``, linear models on 33 sets).
        """
        if effort is not None:
            return self._priced(effort, self.situation.rows(effort))
        most_rows_below = self.situation.rows(EFFORTS["standard"])
        for rung in reversed(EFFORTS.values()):
            for n_rows in self.sizes(rung):
                if is_automatic and rung.name == "thorough" and n_rows <= most_rows_below:
                    continue
                plan, seconds = self._priced(rung, n_rows)
                if seconds <= budget_s:
                    return plan, seconds
        return self._priced(EFFORTS["quick"], self.sizes(EFFORTS["quick"])[-1])

    def _priced(self, effort: Effort, n_rows: int) -> tuple[Plan, float]:
        plan = self.situation.plan(effort, n_rows)
        return plan, self.projected_s(plan)

    def lowest_s(self, *, least_rows: int = 0) -> float:
        """Return the projected seconds of the lowest effort on its least sample, or on so many rows."""
        quick = EFFORTS["quick"]
        most = quick.max_rows_of(self.situation.family_name)
        n_rows = min(max(self.sizes(quick)[-1], least_rows), most)
        return self.projected_s(self.situation.plan(quick, n_rows))

    @property
    def smallest_s(self) -> float:
        """Projected seconds of the smallest useful walk: the chart's first fits, on one fold of few rows."""
        n_rows = self.sizes(EFFORTS["quick"])[-1]
        needed = sum(kind in SMALLEST_WALK for kind in self.situation.kinds)
        return self.overhead_s(n_rows, 1) + needed * self.fit_s(trained_rows(n_rows, self.situation.n_folds))
