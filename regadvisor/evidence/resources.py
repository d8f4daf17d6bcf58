"""Which rung of the effort ladder the budget allows (Q2: do you have resources for validation?)."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from regadvisor import thresholds
from regadvisor.data.table import Table, largest_group_share
from regadvisor.deadline import Deadline
from regadvisor.families.base import Costs, Family, Prepared, folds_in_order
from regadvisor.family_spec import spec_of
from regadvisor.full_size.laws import rescaling_costs, transfer_prior
from regadvisor.plan.effort import EFFORTS, Effort, telling_share
from regadvisor.plan.plan import SIZES, CostModel, Plan, Situation, trained_rows
from regadvisor.records import ResourceEvidence
from regadvisor.sampling.folds import make_folds
from regadvisor.search.store import read_settings, write_settings
from regadvisor.words import number

#: Fewest and most rows of the pilot that is timed, and the numbers in it: wide rows cost more each.
_PILOT_ROWS = (200, 2_000)
_PILOT_CELLS = 200_000
_PILOT_CLASS_ROWS = 10
#: Share of a given budget that the pilot may take, and its seconds where the budget is automatic.
_PILOT_SHARE, _PILOT_S = 1 / 3, 10.0
#: The questions and comparisons: in multiples of preparing the folds, and in seconds.
_QUESTIONS = (1.5, 0.8)
#: Share of a budget that is kept for the comparisons and the decision, and its least seconds.
_RESERVE = (0.1, 0.4)
_LATER = 1.05


@dataclass(frozen=True, kw_only=True)
class Rung:
    """The chosen effort and the numbers behind the choice."""

    #: On the effort's rows, or fewer where only these fit the budget.
    plan: Plan
    effort_source: Literal["given", "measured"]
    budget_s: float | None
    budget_source: Literal["given", "automatic", "effort"]
    #: Why the sample is smaller than the effort's, if it is.
    size_reason: str | None = None
    projected_s: float | None = None
    full_run_s: float | None = None
    #: Why nothing can be validated, if so.
    obstacle: str | None = None
    #: Whether a single fold is all that there is time for.
    is_smallest: bool = False
    #: How many times the planned length networks are trained for, where nobody gave the epochs.
    longer: int = 1

    @property
    def effort(self) -> Effort:
        """The effort of the plan."""
        return self.plan.effort

    @property
    def reserve_s(self) -> float:
        """Seconds to keep for what comes after training."""
        if self.budget_s is None:
            return 0.0
        return max(_RESERVE[0] * self.budget_s, _RESERVE[1])

    def resources(self, *, n_sample: int) -> ResourceEvidence:
        """Return what Q2 reads."""
        return ResourceEvidence(
            budget_s=self.budget_s,
            budget_source=self.budget_source,
            effort=self.effort.name,
            projected_s=self.projected_s,
            full_run_s=self.full_run_s,
            n_rows=n_sample,
            can_validate=self.obstacle is None,
            obstacle=self.obstacle,
        )


def choose_rung(
    table: Table,
    family: Family,
    situation: Situation,
    *,
    seed: int,
    budget: float | Literal["auto"] | None,
    effort: str | None,
    started_s: float,
    storage: Path | None = None,
) -> Rung:
    """Choose the effort: the one given, the one an interrupted run had, or the largest that fits.

    `situation`: what plans depend on. `budget`: seconds. ``"auto"``: no limit if an effort is given, else see
    :func:`auto_budget`. None: no limit. `effort`: a name of the ladder; None: measured. `started_s`: when the
    advice began, on the monotonic clock: what was spent on imports and reading counts.
    """
    obstacle = _obstacle(table, budget)
    if obstacle is not None:
        known = _unlimited(effort or "quick", situation, is_given=effort is not None)
        return replace(
            known,
            obstacle=obstacle,
            budget_s=0.0 if budget == 0 else None,
            budget_source="given" if budget == 0 else "effort",
        )
    stored = None if storage is None else read_settings(storage)
    if stored is not None:
        return _resumed(stored, situation)
    if effort is not None and budget in ("auto", None):
        longer = 1
        if _may_be_longer(table, family):
            longer = _Pilot(table, family, folds=situation.n_folds, seed=seed).length_that_pays()
        rung = replace(_unlimited(effort, situation, is_given=True), longer=longer)
    else:
        rung = _measured(
            table, family, situation, seed=seed, budget=budget, effort=effort, started_s=started_s
        )
    if storage is not None:
        write_settings(storage, _settings(rung))
    return rung


def situation_of(
    table: Table, family: Family, *, folds: int, may_choose: bool, most_rows: int | None = None
) -> Situation:
    """Return what plans for this table depend on.

    `may_choose`: whether rows are free to be chosen: the caller asked for none. `most_rows`: rows whose folds
    fit into memory.
    """
    # Rows in blocks: no group may be torn, and every class has rows in the smallest block.
    counts = table.facts.class_counts
    smallest = trained_rows(SIZES[0], folds)
    is_rare = counts is not None and min(counts, default=1) * smallest < sum(counts)
    return Situation(
        family_name=family.name,
        kinds=family.kinds,
        n_folds=folds,
        n_available=table.n_rows,
        n_source=table.facts.n_rows,
        most_rows=most_rows,
        may_block=may_choose and not is_rare and table.groups is None,
        is_ordered=table.time is not None,
        telling_share=telling_share(counts),
        # Without a sample nothing is learned from, and nothing is rescaled.
        rescaling_costs=lambda n_learned: (
            rescaling_costs_of(family, n_from=n_learned, n_to=table.facts.n_rows) if n_learned else {}
        ),
    )


def _unlimited(effort: str, situation: Situation, *, is_given: bool) -> Rung:
    chosen = EFFORTS[effort]
    return Rung(
        plan=situation.plan(chosen, situation.rows(chosen)),
        effort_source="given" if is_given else "measured",
        budget_s=None,
        budget_source="effort",
    )


def _measured(
    table: Table,
    family: Family,
    situation: Situation,
    *,
    seed: int,
    budget: float | Literal["auto"] | None,
    effort: str | None,
    started_s: float,
) -> Rung:
    """Time a pilot and take the highest rung that fits."""
    given_s = None if budget == "auto" else float("inf") if budget is None else budget
    pilot_s = _PILOT_S if given_s is None else _PILOT_SHARE * given_s
    pilot = _Pilot(table, family, folds=situation.n_folds, seed=seed)
    fit_s, longer, n_rows = pilot.probe(Deadline(at_s=started_s + pilot_s)), 1, table.facts.n_rows
    if fit_s is None:
        return _smallest(situation, given_s, effort)
    full_run_s = pilot.full_run_s(n_rows)
    overhead_s = partial(pilot.overhead_s, started_s)
    costs = CostModel(situation=situation, fit_s=fit_s, overhead_s=overhead_s)
    aim_s, budget_s = _aim(given_s, costs, full_run_s, n_rows=n_rows, family=family)
    if _may_be_longer(table, family):
        longer = pilot.length_that_pays(within_s=thresholds.LONGER_SHARE * aim_s)
        full_run_s *= longer
        costs = replace(costs, fit_s=lambda n_train: longer * fit_s(n_train))
        aim_s, budget_s = _aim(given_s, costs, full_run_s, n_rows=n_rows, family=family)
    choice = costs.choose(aim_s, EFFORTS[effort] if effort else None, is_automatic=budget == "auto")
    is_fewer = choice.plan.n_rows < situation.rows(choice.plan.effort)
    smallest_s = costs.smallest_s
    return Rung(
        plan=choice.plan,
        effort_source="given" if effort else "measured",
        budget_s=None if budget is None else budget_s,
        budget_source="automatic" if budget == "auto" else "given",
        size_reason=f"no more rows fit into {aim_s:.2g} s" if is_fewer else None,
        projected_s=choice.projected_s,
        full_run_s=full_run_s,
        obstacle=(
            None
            if smallest_s <= thresholds.SMALLEST_WALK_WITHIN * budget_s
            else f"Even the smallest walk takes about {smallest_s:.3g} s, and the budget is {budget_s:.3g} s."
        ),
        is_smallest=effort is None
        and not choice.fits
        and choice.projected_s > thresholds.SMALLEST_WALK_WITHIN * budget_s,
        longer=longer,
    )


def _may_be_longer(table: Table, family: Family) -> bool:
    """Return whether it may pay to train longer than planned; of many rows trying it costs too much."""
    return hasattr(family, "length_that_pays") and table.facts.n_rows < thresholds.AUTO_CHEAP_ROWS


def _aim(
    given_s: float | None, costs: CostModel, full_run_s: float, *, n_rows: int, family: Family
) -> tuple[float, float]:
    """Return what to spend and the deadline, both as given, or those of :func:`auto_budget`."""
    if given_s is not None:
        return given_s, given_s
    # A projection holds what was spent so far, so the same one made later is a little higher.
    situation, enough = costs.situation, EFFORTS["standard"]
    is_linear = spec_of(family.name).effort == "linear"
    return auto_budget(
        full_run_s,
        enough_s=_LATER * costs.projected_s(situation.plan(enough, situation.rows(enough))),
        lowest_s=_LATER * costs.lowest_s(least_rows=0 if is_linear else thresholds.AUTO_LEAST_ROWS),
        n_rows=n_rows,
        is_linear=is_linear,
    )


def _smallest(situation: Situation, given_s: float | None, effort: str | None) -> Rung:
    """Return the smallest walk: the pilot took its share of the budget before it knew what a fit costs."""
    budget_s = thresholds.AUTO_MOST_S if given_s is None else given_s
    chosen = EFFORTS[effort or "quick"]
    return Rung(
        plan=situation.plan(chosen, min(situation.rows(chosen), SIZES[0])),
        effort_source="given" if effort else "measured",
        budget_s=budget_s if math.isfinite(budget_s) else None,
        budget_source="automatic" if given_s is None else "given",
        size_reason=f"no more rows fit into {budget_s:.2g} s",
        is_smallest=True,
    )


def rescaling_costs_of(family: Family, *, n_from: int, n_to: int) -> dict[str, float]:
    """Return by kind what rescaling the family's strengths to more rows is expected to cost.

    Nothing for linear models, whose strengths are rescaled well; of penalties in the loss nothing is known.
    """
    laws = spec_of(family.name).laws
    if laws != "linear" and family.coupling != "decoupled":
        return {}
    prior = transfer_prior(laws)
    return rescaling_costs(prior, n_from=n_from, n_to=n_to)


def auto_budget(
    full_run_s: float, *, enough_s: float, lowest_s: float, n_rows: int, is_linear: bool = False
) -> tuple[float, float]:
    """Return what ``budget="auto"`` aims to spend, and the deadline at which it is cut.

    Up to ``AUTO_SMALL_ROWS`` rows the aim is as much as the evidence needs, at most two minutes. Beyond, it
    is a number of full runs that falls with the rows: one at 50,000, a twentieth at a million; no less than
    some seconds or the lowest rung, and no more than a minute. Where a single full run takes longer than
    these two limits, it is the limit, up to ten minutes. The deadline leaves a margin for projections that
    were too low; from ``AUTO_CHEAP_ROWS`` rows on it is one full run at most, whatever the margin.

    `full_run_s`, `enough_s`, `lowest_s`: projected seconds of one full run, of as much as the evidence needs,
    and of the lowest rung. `n_rows`: rows of the data.

    Examples
    --------
    >>> def aim(n_rows):
    ...     return auto_budget(n_rows * 4e-4, enough_s=30.0, lowest_s=1.0, n_rows=n_rows)[0]
    >>> [round(aim(n_rows), 1) for n_rows in (500, 5_000, 10_000, 50_000, 10**6)]
    [30.0, 30.0, 20.0, 16.0, 20.0]
    """
    low = thresholds.AUTO_LEAST_DEADLINE_S
    run_s = min(full_run_s, thresholds.AUTO_LONGEST_S)
    if n_rows <= thresholds.AUTO_SMALL_ROWS:
        high = max(thresholds.AUTO_MOST_S, run_s)
        aim_s = min(enough_s, high)
    else:
        high = max(thresholds.AUTO_MOST_S_OF_MANY, run_s)
        least_s = thresholds.AUTO_LEAST_LINEAR_S if is_linear else thresholds.AUTO_LEAST_S
        full_runs = thresholds.AUTO_FULL_RUNS * thresholds.AUTO_FULL_RUNS_ROWS / n_rows
        aim_s = min(max(full_runs * full_run_s, least_s, lowest_s), high)
        if n_rows >= thresholds.AUTO_CHEAP_ROWS:
            high = min(high, max(run_s, low))
            aim_s = min(aim_s, thresholds.AUTO_CHEAP_SHARE * high)
    return aim_s, min(max(low, thresholds.AUTO_BUDGET_MARGIN * aim_s), high)


def _settings(rung: Rung) -> dict[str, str | int | float]:
    """Return what a resumed run has to know to plan the same."""
    known = {"effort": rung.effort.name, "n_rows": rung.plan.n_rows}
    others = {each.name: getattr(rung, each.name) for each in fields(rung)}
    return known | {
        name: value
        for name, value in others.items()
        if name not in ("plan", "obstacle") and value is not None
    }


def _resumed(stored: dict[str, str | int | float], situation: Situation) -> Rung:
    """Return the rung of the run that wrote the journal; its budget starts again."""
    fields: dict[str, Any] = {"budget_s": None, **stored}
    plan = situation.plan(EFFORTS[fields.pop("effort")], fields.pop("n_rows"))
    return Rung(plan=plan, **fields)


def _obstacle(table: Table, budget: float | Literal["auto"] | None) -> str | None:
    if budget == 0:
        return "The budget is 0 s, so nothing is trained."
    fewest = thresholds.FEWEST_ROWS_TO_VALIDATE
    if table.n_rows < fewest:
        return f"{table.n_rows} rows are too few to validate on (at least {fewest} are needed)."
    if table.n_effective < fewest:
        return (
            f"The weights leave the say to about {table.n_effective:.0f} of {table.n_rows:,} rows, too few "
            f"to validate on (at least {fewest} are needed)."
        )
    share = largest_group_share(table.groups, table.weight)
    if share >= thresholds.LARGEST_GROUP_SHARE:
        what = "rows" if table.weight is None else "weight"
        return f"One group has {number(100 * share)}% of the {what}: too uneven to validate by group."
    return None


class _Pilot:
    """A few hundred rows, encoded for one fold, on which the family's cost is measured."""

    def __init__(self, table: Table, family: Family, *, folds: int, seed: int) -> None:
        few, many = _PILOT_ROWS
        n_pilot = max(few, min(many, _PILOT_CELLS // max(table.facts.n_features, 1)))
        sample = table.take(_some_rows(table, n_pilot, seed))
        begin = time.perf_counter()
        made = make_folds(sample, folds=folds, seed=seed).folds
        self._family: Any = family
        self._prepared: Prepared | None = None
        if not made:
            return
        fold = made[folds_in_order([len(each.train) for each in made])[0]]
        self._prepared = family.prepare(sample, [fold], seed=seed)
        self._share = len(fold.train) / sample.n_rows
        #: Preparing one fold, per row.
        self._prepare_s = (time.perf_counter() - begin) / sample.n_rows

    def probe(self, deadline: Deadline) -> Callable[[int], float] | None:
        """Return rows that a fold trains on → projected seconds of one fit; None without the time for it."""
        if self._prepared is None or deadline.expired():
            return None
        costs: Costs = self._family.probe(self._prepared, deadline=deadline)
        self._costs = costs
        return lambda n_train: costs.job_s(max(1, round(n_train / self._share)))

    def length_that_pays(self, within_s: float = math.inf) -> int:
        """Return how many times the planned length networks are to last, tried in so many seconds."""
        if self._prepared is None:
            return 1
        deadline = Deadline(at_s=time.monotonic() + within_s)
        return int(self._family.length_that_pays(self._prepared, deadline=deadline))

    def overhead_s(self, started_s: float, n_rows: int, n_folds: int) -> float:
        """Return seconds spent up to now and those that do not depend on the number of fits."""
        spent_s = time.monotonic() - started_s
        return spent_s + n_folds * self._prepare_s * n_rows * _QUESTIONS[0] + _QUESTIONS[1]

    def full_run_s(self, n_rows: int) -> float:
        """Return projected seconds of one full run, preprocessing included."""
        return self._costs.full_run_s(n_rows) + self._prepare_s * n_rows


def _some_rows(table: Table, n_rows: int, seed: int) -> NDArray[np.intp]:
    """Return about `n_rows` random rows, with at least `_PILOT_CLASS_ROWS` of every class that has them."""
    shuffled = np.random.default_rng(seed).permutation(table.n_rows)
    chosen = [shuffled[:n_rows]]
    if table.is_classification:
        by_class = np.argsort(table.y[shuffled], kind="stable")
        sizes = np.bincount(table.y, minlength=table.n_classes)
        place = np.arange(table.n_rows) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        chosen.append(shuffled[by_class[place < _PILOT_CLASS_ROWS]])
    return np.unique(np.concatenate(chosen))
