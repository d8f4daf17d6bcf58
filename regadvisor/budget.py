"""Which rung of the effort ladder the budget allows (Q2: do you have resources for validation?)."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from regadvisor import thresholds
from regadvisor.compare.carrying import carry_costs
from regadvisor.compare.prior import transfer_prior
from regadvisor.data.table import Table
from regadvisor.families.base import Family
from regadvisor.records import ResourceEvidence
from regadvisor.sampling.folds import make_folds
from regadvisor.search.log import read_settings, write_settings
from regadvisor.search.plan import EFFORTS, Effort, Walk, telling_share

#: Fewest and most rows of the pilot that is timed, and the numbers in it: wide rows cost more each.
_PILOT_ROWS = (500, 2_000)
_PILOT_CELLS = 100_000
_PILOT_CLASS_ROWS = 10
#: The questions and comparisons: in multiples of preparing the folds, and in seconds.
_QUESTIONS = (1.5, 0.8)
#: Share of a budget that is kept for the comparisons and the decision, and its least seconds.
_RESERVE = (0.1, 0.4)
_LATER = 1.05


@dataclass(frozen=True, kw_only=True)
class Rung:
    """The chosen effort and the numbers behind the choice."""

    effort: Effort
    effort_source: Literal["given", "measured"]
    budget_s: float | None
    budget_source: Literal["given", "automatic", "effort"]
    #: Rows to learn from: the effort's, or fewer where only these fit the budget.
    n_rows: int
    #: Why the sample is smaller than the effort's, if it is.
    size_reason: str | None = None
    projected_s: float | None = None
    full_run_s: float | None = None
    #: Why nothing can be validated, if so.
    obstacle: str | None = None

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
    *,
    folds: int,
    seed: int,
    budget: float | Literal["auto"] | None,
    effort: str | None,
    started_s: float,
    storage: Path | None = None,
    may_block: bool = True,
) -> Rung:
    """Choose the effort: the one given, the one an interrupted run had, or the largest that fits.

    Parameters
    ----------
    budget : float, "auto" or None
        Seconds. ``"auto"``: no limit if an effort is given, else see :func:`auto_budget`. None: no limit.
    effort : str or None
        A name of the ladder; None: measured.
    started_s : float
        When the advice began, on the monotonic clock: what was spent on imports and reading counts.
    may_block : bool
        Whether folds may have training rows of their own.
    """
    obstacle = _obstacle(table, budget)
    if obstacle is not None:
        known = _unlimited(effort or "quick", family, table.n_rows, is_given=effort is not None)
        return replace(
            known,
            obstacle=obstacle,
            budget_s=0.0 if budget == 0 else None,
            budget_source="given" if budget == 0 else "effort",
        )
    stored = None if storage is None else read_settings(storage)
    if stored is not None:
        return _resumed(stored)
    if effort is not None and budget in ("auto", None):
        rung = _unlimited(effort, family, table.n_rows, is_given=True)
    else:
        rung = _measured(
            table,
            family,
            folds=folds,
            seed=seed,
            budget=budget,
            effort=effort,
            started_s=started_s,
            may_block=may_block,
        )
    if storage is not None:
        write_settings(storage, _settings(rung))
    return rung


def _unlimited(effort: str, family: Family, n_available: int, *, is_given: bool) -> Rung:
    chosen = EFFORTS[effort]
    return Rung(
        effort=chosen,
        effort_source="given" if is_given else "measured",
        budget_s=None,
        budget_source="effort",
        n_rows=chosen.rows(family.name, n_available),
    )


def _measured(
    table: Table,
    family: Family,
    *,
    folds: int,
    seed: int,
    budget: float | Literal["auto"] | None,
    effort: str | None,
    started_s: float,
    may_block: bool,
) -> Rung:
    """Time a pilot and take the highest rung that fits."""
    pilot = _Pilot(table, family, folds=folds, seed=seed, started_s=started_s)
    full_run_s = pilot.full_run_s(table.n_rows)
    walk = Walk(
        family_name=family.name,
        kinds=family.kinds,
        n_folds=folds,
        seconds_per_job=pilot.job_s,
        overhead_s=pilot.overhead_s,
        n_available=table.n_rows,
        may_block=may_block,
        is_ordered=table.time is not None,
        telling_share=telling_share(table.facts.class_counts),
        train_share=pilot.train_share,
        carry_costs=lambda n_learned: carry_costs_of(family, n_from=n_learned, n_to=table.n_rows),
    )
    if budget == "auto":
        # A projection holds what was spent so far, so the same one made later is a little higher.
        lowest_s = _LATER * walk.lowest_s(least_rows=_least_rows(table.n_rows, family.name))
        aim_s, budget_s = auto_budget(
            full_run_s, lowest_s=lowest_s, n_rows=table.n_rows, is_linear=family.name == "linear"
        )
    else:
        aim_s = budget_s = float("inf") if budget is None else budget
    choice = walk.choose(aim_s, EFFORTS[effort] if effort else None, is_automatic=budget == "auto")
    is_fewer = choice.n_rows < choice.effort.rows(family.name, table.n_rows)
    return Rung(
        effort=choice.effort,
        effort_source="given" if effort else "measured",
        budget_s=None if budget is None else budget_s,
        budget_source="automatic" if budget == "auto" else "given",
        n_rows=choice.n_rows,
        size_reason=f"no more fit into {aim_s:.2g} s" if is_fewer else None,
        projected_s=choice.projected_s,
        full_run_s=full_run_s,
        obstacle=(
            None
            if walk.can_validate(budget_s)
            else f"Even the smallest walk does not fit into {budget_s:.3g} s."
        ),
    )


def carry_costs_of(family: Family, *, n_from: int, n_to: int) -> dict[str, float]:
    """Return by kind what carrying the family's strengths to more rows is expected to cost.

    Nothing for linear models, whose strengths are carried well; of penalties in the loss nothing is known.
    """
    if family.name != "linear" and family.coupling != "decoupled":
        return {}
    prior = transfer_prior("linear" if family.name == "linear" else "network")
    return carry_costs(prior, n_from=n_from, n_to=n_to)


def _least_rows(n_rows: int, family_name: str) -> int:
    """Return the rows that an automatic budget learns from in any case: small data are hardly thinned out."""
    if n_rows > thresholds.AUTO_SMALL_ROWS:
        return 0 if family_name == "linear" else thresholds.AUTO_LEAST_ROWS_OF_MANY
    return min(n_rows, thresholds.AUTO_LEAST_ROWS)


def auto_budget(
    full_run_s: float, *, lowest_s: float, n_rows: int, is_linear: bool = False
) -> tuple[float, float]:
    """Return what ``budget="auto"`` aims to spend, and the deadline at which it is cut.

    The aim is a number of full runs that falls with the rows: ``AUTO_FULL_RUNS`` up to ``AUTO_SMALL_ROWS``,
    one from about 50,000 rows on, and ever less of one beyond. Where a full run is short the aim is some
    seconds in any case, and it is never less than the lowest rung. The deadline leaves a margin for
    projections that were too low.

    Parameters
    ----------
    full_run_s, lowest_s : float
        Projected seconds of one full run, and of the lowest rung.
    n_rows : int
        Rows of the data.
    is_linear : bool

    Examples
    --------
    >>> aims = [auto_budget(n * 4e-4, lowest_s=1.0, n_rows=n)[0] for n in (500, 10_000, 50_000, 10**6)]
    >>> [round(aim, 1) for aim in aims]
    [4.0, 20.0, 20.0, 20.0]
    """
    low, high = thresholds.AUTO_BUDGET_S
    full_runs = thresholds.AUTO_FULL_RUNS * min(1.0, thresholds.AUTO_SMALL_ROWS / n_rows)
    least_s = thresholds.AUTO_LEAST_LINEAR_S if is_linear else thresholds.AUTO_LEAST_S
    aim_s = min(max(full_runs * full_run_s, least_s, lowest_s), high)
    return aim_s, min(max(low, thresholds.AUTO_BUDGET_MARGIN * aim_s), high)


def _settings(rung: Rung) -> dict[str, str | int | float]:
    """Return what a resumed run has to know to plan the same."""
    known: dict[str, str | int | float] = {
        "effort": rung.effort.name,
        "effort_source": rung.effort_source,
        "budget_source": rung.budget_source,
        "n_rows": rung.n_rows,
    }
    optional = {
        name: getattr(rung, name) for name in ("budget_s", "projected_s", "full_run_s", "size_reason")
    }
    return known | {name: value for name, value in optional.items() if value is not None}


def _resumed(stored: dict[str, str | int | float]) -> Rung:
    """Return the rung of the run that wrote the journal; its budget starts again."""
    fields: dict[str, Any] = dict(stored)
    return Rung(**{**fields, "budget_s": fields.get("budget_s"), "effort": EFFORTS[fields["effort"]]})


def _obstacle(table: Table, budget: float | Literal["auto"] | None) -> str | None:
    if budget == 0:
        return "The budget is 0 s, so nothing is trained."
    if table.n_rows < thresholds.FEWEST_ROWS_TO_VALIDATE:
        fewest = thresholds.FEWEST_ROWS_TO_VALIDATE
        return f"{table.n_rows} rows are too few to validate on (at least {fewest} are needed)."
    return None


class _Pilot:
    """A few hundred rows on which the family's cost is measured."""

    def __init__(self, table: Table, family: Family, *, folds: int, seed: int, started_s: float) -> None:
        few, many = _PILOT_ROWS
        n_pilot = max(few, min(many, _PILOT_CELLS // max(table.facts.n_features, 1)))
        sample = table.take(_some_rows(table, n_pilot, seed))
        self._started_s = started_s
        begin = time.perf_counter()
        folding = make_folds(sample, folds=folds, seed=seed)
        prepared = family.prepare(sample, folding.folds, seed=seed)
        self._prepare_s = (time.perf_counter() - begin) / sample.n_rows
        self._n_folds = len(folding.folds)
        #: Share of the rows that a fold trains on.
        self.train_share = float(np.mean([len(fold.train) for fold in folding.folds])) / sample.n_rows
        self._costs = family.probe(prepared)
        #: Rows of a sample → projected seconds of one job.
        self.job_s = self._costs.job_s

    def overhead_s(self, n_rows: int) -> float:
        """Return seconds spent up to now and those that do not depend on the number of fits."""
        spent_s = time.monotonic() - self._started_s
        return spent_s + self._prepare_s * n_rows * _QUESTIONS[0] + _QUESTIONS[1]

    def full_run_s(self, n_rows: int) -> float:
        """Return projected seconds of one full run, preprocessing included."""
        return self._costs.full_run_s(n_rows) + self._prepare_s * n_rows / max(self._n_folds, 1)


def _some_rows(table: Table, n_rows: int, seed: int) -> NDArray[np.intp]:
    """Return about `n_rows` random rows, with at least `_PILOT_CLASS_ROWS` of every class that has them."""
    shuffled = np.random.default_rng(seed).permutation(table.n_rows)
    chosen = [shuffled[:n_rows]]
    if table.is_classification:
        codes = table.y[shuffled]
        chosen += [
            shuffled[np.flatnonzero(codes == code)[:_PILOT_CLASS_ROWS]] for code in range(table.n_classes)
        ]
    return np.unique(np.concatenate(chosen))
