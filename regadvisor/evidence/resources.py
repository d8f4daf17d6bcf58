"""Which rung of the effort ladder the budget allows (Q2: do you have resources for validation?)."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

from regadvisor import thresholds
from regadvisor.data.table import Table, largest_group_share
from regadvisor.deadline import NEVER, Deadline, OutOfTimeError
from regadvisor.errors import StorageError
from regadvisor.evidence.pilot import Pilot, pilot_rows
from regadvisor.families.base import Family
from regadvisor.family_spec import spec_of
from regadvisor.full_size import TRANSFER, rescaling_costs
from regadvisor.plan.effort import EFFORTS, Effort, auto_budget, telling_share
from regadvisor.plan.plan import SIZES, CostModel, Plan, Situation, trained_rows
from regadvisor.records import ResourceEvidence
from regadvisor.search.store import read_settings, write_settings
from regadvisor.words import number, seconds

#: Projections made a little later, as a share of those made now.
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
    #: How many times as long as on an idle machine things took up to now.
    slowed: float = 1.0

    @property
    def effort(self) -> Effort:
        """The effort of the plan."""
        return self.plan.effort

    @property
    def reserve_s(self) -> float:
        """Seconds to keep for what comes after training."""
        if self.budget_s is None:
            return 0.0
        share, least_s = thresholds.RESERVE
        return max(share * self.budget_s, least_s)

    def deadline(self, started_s: float) -> Deadline:
        """Return when the advice has to end that began at `started_s`.

        Seconds that the caller gave are seconds of the clock. Those that nobody gave are a plan: they count
        as far as this process has the processor, so that a busy machine finishes what an idle one does.
        """
        if self.budget_s is None:
            return Deadline.never()
        if self.latest_s is None:
            return Deadline(at_s=started_s + self.budget_s)
        now = time.monotonic()
        left_s = self.budget_s - (now - started_s) / self.slowed
        return Deadline.patient(now + left_s, latest_s=started_s + self.latest_s)

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


@dataclass(frozen=True, kw_only=True, eq=False)
class Ladder:
    """What the choice of a rung starts from; see :meth:`choose`."""

    table: Table
    family: Family
    #: What plans depend on.
    situation: Situation
    seed: int
    #: Seconds. ``"auto"``: no limit if an effort is given, else see :func:`auto_budget`. None: no limit.
    budget: float | Literal["auto"] | None
    #: A name of the ladder; None: measured.
    effort: str | None = None
    #: When the advice began, on the monotonic clock: what was spent on imports and reading counts.
    started_s: float
    #: Seconds that reading the table took.
    read_s: float = 0.0
    storage: Path | None = None

    def choose(self) -> Rung:
        """Return the effort given, the one that an interrupted run had, or the largest that fits."""
        obstacle = _obstacle(self.table, self.budget) or self._no_time()
        if obstacle is not None:
            return self._without_training(obstacle)
        stored = None if self.storage is None else read_settings(self.storage)
        if stored is not None:
            return _resumed(stored, self.situation)
        if self.effort is not None and self.budget in ("auto", None):
            longer = self._pilot().length_that_pays() if self._may_be_longer else 1
            rung = self._rung(self.effort, longer=longer)
        else:
            rung = self._measured()
        if self.storage is not None:
            write_settings(self.storage, _settings(rung))
        return rung

    def _rung(self, effort: str, *, most_rows: int | None = None, **known: Any) -> Rung:
        """Return a rung of an effort on its rows, or fewer; without a limit of time if none is known."""
        n_rows = self.situation.rows(EFFORTS[effort])
        n_rows = n_rows if most_rows is None else min(n_rows, most_rows)
        unlimited = {"budget_s": None, "budget_source": "effort"}
        return Rung(
            plan=self.situation.plan(EFFORTS[effort], n_rows),
            effort_source="given" if self.effort else "measured",
            **{**unlimited, **known},
        )

    def _without_training(self, obstacle: str) -> Rung:
        """Return a rung on which nothing is trained."""
        given: dict[str, Any] = {}
        if isinstance(self.budget, int | float):
            given = {"budget_s": float(self.budget), "budget_source": "given"}
        return self._rung(self.effort or "quick", obstacle=obstacle, **given)

    def _smallest(self) -> Rung:
        """Return the smallest walk: the pilot took its share of the budget before a fit was timed."""
        budget_s = self._given_s if self._given_s is not None else thresholds.AUTO_MOST_S
        return self._rung(
            self.effort or "quick",
            most_rows=SIZES[0],
            budget_s=budget_s if math.isfinite(budget_s) else None,
            budget_source="automatic" if self._given_s is None else "given",
            size_reason=f"no more rows fit into {seconds(budget_s)}",
            is_smallest=True,
        )

    @property
    def _given_s(self) -> float | None:
        """The seconds that were given, infinite for no limit; None: they are automatic."""
        return None if self.budget == "auto" else math.inf if self.budget is None else self.budget

    def _pilot(self, end: Deadline = NEVER) -> Pilot:
        n_rows, n_folds = pilot_rows(self.table), self.situation.n_folds
        return Pilot(self.table, self.family, n_rows=n_rows, folds=n_folds, seed=self.seed, end=end)

    def _measured(self) -> Rung:
        """Time a pilot and take the highest rung that fits."""
        situation, given_s, n_rows = self.situation, self._given_s, self.table.facts.n_rows
        pilot_s, end = time.monotonic() + thresholds.PILOT_S, Deadline.never()
        if given_s is not None:
            pilot_s = self.started_s + thresholds.PILOT_SHARE * given_s
            end = Deadline(at_s=self.started_s + given_s)
            if time.monotonic() + self._preparing_s(pilot_rows(self.table)) > pilot_s:
                return self._smallest()
        try:
            pilot = self._pilot(end)
        except OutOfTimeError:
            return self._without_training(
                f"The budget is {number(given_s or 0.0)} s, and sending a few rows through your model took "
                f"{number(time.monotonic() - self.started_s, 2)} s, before anything could be trained."
            )
        fit_s, longer = pilot.probe(Deadline(at_s=pilot_s)), 1
        if fit_s is None:
            return self._smallest()
        is_automatic = self.budget == "auto"
        # Workers use no processor time of this process, so it would wait for them to the latest.
        is_patient = is_automatic and not hasattr(self.family, "speed_up")
        # A caller's own model may wait for something else than the processor.
        slowed = pilot.slowed if is_patient and self._is_linear else 1.0
        full_run_s = pilot.full_run_s(n_rows) / slowed
        costs = CostModel(
            situation=situation,
            fit_s=lambda n_train: fit_s(n_train) / slowed,
            overhead_s=lambda *size: pilot.overhead_s(self.started_s, *size) / slowed,
        )
        aim_s, budget_s, latest_s = self._aim(costs, full_run_s)
        if self._may_be_longer:
            share = thresholds.LONGER_SHARE
            longer = pilot.length_that_pays(within_s=share * aim_s, latest_s=share * latest_s)
            full_run_s *= longer
            costs = replace(costs, fit_s=lambda n_train: longer * fit_s(n_train) / slowed)
            aim_s, budget_s, latest_s = self._aim(costs, full_run_s)
        effort = EFFORTS[self.effort] if self.effort else None
        plan, projected_s = costs.choose(aim_s, effort, is_automatic=is_automatic)
        most_s, smallest_s = thresholds.SMALLEST_WALK_WITHIN * budget_s, costs.smallest_s
        least = f"the smallest comparison takes about {seconds(smallest_s)}"
        obstacle = f"Even {least}, and the budget is {seconds(budget_s)}."
        is_fewer = plan.n_rows < situation.rows(plan.effort)
        return Rung(
            plan=plan,
            effort_source="given" if effort else "measured",
            budget_s=None if self.budget is None else budget_s,
            budget_source="automatic" if is_automatic else "given",
            latest_s=latest_s if is_patient else None,
            size_reason=f"no more rows fit into {seconds(aim_s)}" if is_fewer else None,
            projected_s=projected_s,
            full_run_s=full_run_s,
            obstacle=None if smallest_s <= most_s else obstacle,
            is_smallest=effort is None and projected_s > max(aim_s, most_s),
            longer=longer,
            slowed=slowed,
        )

    @property
    def _may_be_longer(self) -> bool:
        """Whether it may pay to train longer than planned; of many rows trying it costs too much."""
        is_small = self.table.facts.n_rows < thresholds.AUTO_CHEAP_ROWS
        return is_small and hasattr(self.family, "length_that_pays")

    @property
    def _is_linear(self) -> bool:
        return spec_of(self.family.name).effort == "linear"

    def _aim(self, costs: CostModel, full_run_s: float) -> tuple[float, float, float]:
        """Return what to spend, the deadline and the latest: as given, or those of :func:`auto_budget`."""
        if self._given_s is not None:
            return self._given_s, self._given_s, self._given_s
        # A projection holds what was spent so far, so the same one made later is a little higher.
        enough = EFFORTS["standard"]
        plan = self.situation.plan(enough, self.situation.rows(enough))
        return auto_budget(
            full_run_s,
            enough_s=_LATER * costs.projected_s(plan),
            lowest_s=_LATER * costs.lowest_s(least_rows=0 if self._is_linear else thresholds.AUTO_LEAST_ROWS),
            smallest_s=costs.smallest_s,
            n_rows=self.table.facts.n_rows,
            is_linear=self._is_linear,
        )

    def _no_time(self) -> str | None:
        """Say so if a budget in seconds is spent before the rows of the smallest walk could be prepared."""
        if not isinstance(self.budget, int | float):
            return None
        n_rows = min(self.situation.rows(EFFORTS["quick"]), SIZES[0])
        spent_s = time.monotonic() - self.started_s
        if spent_s + self._preparing_s(n_rows) <= self.budget:
            return None
        return (
            f"Loading packages and reading the data took {number(spent_s, 2)} s, and the budget is "
            f"{number(self.budget)} s: too little is left to train anything."
        )

    def _preparing_s(self, n_rows: int) -> float:
        """Return seconds that preparing so many rows takes at least, by what reading the table took."""
        return thresholds.PREPARING * self.read_s * min(1.0, n_rows / max(self.table.n_rows, 1))


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
        is_exchangeable=table.time is None and table.groups is None,
        telling_share=telling_share(counts),
        # Without a sample nothing is learned from, and nothing is rescaled.
        rescaling_costs=lambda n_learned: (
            rescaling_costs_of(family, n_from=n_learned, n_to=table.facts.n_rows) if n_learned else {}
        ),
    )


def rescaling_costs_of(family: Family, *, n_from: int, n_to: int) -> dict[str, float]:
    """Return by kind what rescaling the family's strengths to more rows is expected to cost.

    Nothing for linear models, whose strengths are rescaled well; of penalties in the loss nothing is known.
    """
    laws = spec_of(family.name).laws
    if laws != "linear" and family.coupling != "decoupled":
        return {}
    return rescaling_costs(TRANSFER[laws], n_from=n_from, n_to=n_to)


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
    try:
        plan = situation.plan(EFFORTS[fields.pop("effort")], fields.pop("n_rows"))
        return Rung(plan=plan, **fields)
    except (KeyError, TypeError) as error:
        raise StorageError(
            f"storage must hold the settings of an earlier run, got others ({error}); delete the file to "
            "start anew"
        ) from error


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
