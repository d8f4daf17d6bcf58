"""Which rung of the effort ladder the budget allows (Q2: do you have resources for validation?)."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from regadvisor import thresholds
from regadvisor.data.table import Table, largest_group_share
from regadvisor.deadline import Deadline, OutOfTimeError
from regadvisor.evidence.pilot import Pilot, pilot_rows
from regadvisor.families.base import Family
from regadvisor.family_spec import spec_of
from regadvisor.full_size.laws import rescaling_costs, transfer_prior
from regadvisor.plan.budget import auto_budget
from regadvisor.plan.effort import EFFORTS, Effort, telling_share
from regadvisor.plan.plan import SIZES, CostModel, Plan, Situation, trained_rows
from regadvisor.records import ResourceEvidence
from regadvisor.search.store import read_settings, write_settings
from regadvisor.words import number

#: Preparing rows for training takes so many times as long as reading them, at least (wide tables of numbers).
_PREPARING = 3.0
#: Share of a given budget that the pilot may take, and its seconds where the budget is automatic.
_PILOT_SHARE, _PILOT_S = 1 / 3, 10.0
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
    #: Seconds after which an automatic budget ends also where others keep the processor busy.
    latest_s: float | None = None
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

    def deadline(self, started_s: float) -> Deadline:
        """Return when the advice has to end that began at `started_s`.

        Seconds that the caller gave are seconds of the clock. Those that nobody gave are a plan: they count
        as far as this process has the processor, so that a busy machine finishes what an idle one does.
        """
        if self.budget_s is None:
            return Deadline.never()
        at_s = started_s + self.budget_s
        if self.latest_s is None:
            return Deadline(at_s=at_s)
        return Deadline.patient(at_s, latest_s=started_s + self.latest_s)

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
    read_s: float = 0.0,
    storage: Path | None = None,
) -> Rung:
    """Choose the effort: the one given, the one an interrupted run had, or the largest that fits.

    `situation`: what plans depend on. `budget`: seconds. ``"auto"``: no limit if an effort is given, else see
    :func:`auto_budget`. None: no limit. `effort`: a name of the ladder; None: measured. `started_s`: when the
    advice began, on the monotonic clock: what was spent on imports and reading counts. `read_s`: seconds that
    reading the table took.
    """
    obstacle = _obstacle(table, budget) or _no_time(table, situation, budget, started_s, read_s)
    if obstacle is not None:
        known = _unlimited(effort or "quick", situation, is_given=effort is not None)
        is_given = isinstance(budget, int | float)
        return replace(
            known,
            obstacle=obstacle,
            budget_s=float(budget) if is_given else None,  # type: ignore[arg-type]
            budget_source="given" if is_given else "effort",
        )
    stored = None if storage is None else read_settings(storage)
    if stored is not None:
        return _resumed(stored, situation)
    if effort is not None and budget in ("auto", None):
        longer = 1
        if _may_be_longer(table, family):
            n_pilot = pilot_rows(table)
            longer = Pilot(
                table, family, n_rows=n_pilot, folds=situation.n_folds, seed=seed
            ).length_that_pays()
        rung = replace(_unlimited(effort, situation, is_given=True), longer=longer)
    else:
        rung = _measured(
            table,
            family,
            situation,
            seed=seed,
            budget=budget,
            effort=effort,
            started_s=started_s,
            read_s=read_s,
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
    read_s: float,
) -> Rung:
    """Time a pilot and take the highest rung that fits."""
    given_s = None if budget == "auto" else float("inf") if budget is None else budget
    pilot_s = time.monotonic() + _PILOT_S if given_s is None else started_s + _PILOT_SHARE * given_s
    n_pilot, n_rows = pilot_rows(table), table.facts.n_rows
    if given_s is not None and time.monotonic() + _preparing_s(n_pilot, table, read_s) > pilot_s:
        return _smallest(situation, given_s, effort)
    end = Deadline.never() if given_s is None else Deadline(at_s=started_s + given_s)
    try:
        pilot = Pilot(table, family, n_rows=n_pilot, folds=situation.n_folds, seed=seed, end=end)
    except OutOfTimeError:
        return _without_time(situation, given_s or 0.0, time.monotonic() - started_s, effort)
    fit_s, longer = pilot.probe(Deadline(at_s=pilot_s)), 1
    if fit_s is None:
        return _smallest(situation, given_s, effort)
    full_run_s = pilot.full_run_s(n_rows)
    overhead_s = partial(pilot.overhead_s, started_s)
    costs = CostModel(situation=situation, fit_s=fit_s, overhead_s=overhead_s)
    aim_s, budget_s, latest_s = _aim(given_s, costs, full_run_s, n_rows=n_rows, family=family)
    if _may_be_longer(table, family):
        share = thresholds.LONGER_SHARE
        longer = pilot.length_that_pays(within_s=share * aim_s, latest_s=share * latest_s)
        full_run_s *= longer
        costs = replace(costs, fit_s=lambda n_train: longer * fit_s(n_train))
        aim_s, budget_s, latest_s = _aim(given_s, costs, full_run_s, n_rows=n_rows, family=family)
    choice = costs.choose(aim_s, EFFORTS[effort] if effort else None, is_automatic=budget == "auto")
    is_fewer = choice.plan.n_rows < situation.rows(choice.plan.effort)
    smallest_s = costs.smallest_s
    return Rung(
        plan=choice.plan,
        effort_source="given" if effort else "measured",
        budget_s=None if budget is None else budget_s,
        budget_source="automatic" if budget == "auto" else "given",
        # Workers use no processor time of this process, so it would wait for them to the latest.
        latest_s=latest_s if budget == "auto" and not hasattr(family, "speed_up") else None,
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
) -> tuple[float, float, float]:
    """Return what to spend, the deadline and the latest, all as given, or those of :func:`auto_budget`."""
    if given_s is not None:
        return given_s, given_s, given_s
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


def _without_time(situation: Situation, budget_s: float, spent_s: float, effort: str | None) -> Rung:
    """Return a rung on which nothing is trained: the caller's model takes too long for a first look at it."""
    return replace(
        _unlimited(effort or "quick", situation, is_given=effort is not None),
        budget_s=budget_s,
        budget_source="given",
        obstacle=(
            f"The budget is {number(budget_s)} s, and sending a few rows through your model took "
            f"{number(spent_s, 2)} s, before anything could be trained."
        ),
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


def _no_time(
    table: Table,
    situation: Situation,
    budget: float | Literal["auto"] | None,
    started_s: float,
    read_s: float,
) -> str | None:
    """Say so if a budget in seconds is spent before the rows of the smallest walk could be prepared."""
    if not isinstance(budget, int | float):
        return None
    n_rows = min(situation.rows(EFFORTS["quick"]), SIZES[0])
    spent_s = time.monotonic() - started_s
    if spent_s + _preparing_s(n_rows, table, read_s) <= budget:
        return None
    return (
        f"Loading packages and reading the data took {number(spent_s, 2)} s, and the budget is "
        f"{number(budget)} s: too little is left to train anything."
    )


def _preparing_s(n_rows: int, table: Table, read_s: float) -> float:
    """Return seconds that preparing so many rows takes at least, by what reading the table took."""
    return _PREPARING * read_s * min(1.0, n_rows / max(table.n_rows, 1))
