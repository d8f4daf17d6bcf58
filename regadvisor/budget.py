"""Which rung of the effort ladder the budget allows (Q2: do you have resources for validation?)."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from regadvisor import thresholds
from regadvisor.data.table import Table
from regadvisor.families.base import Family
from regadvisor.records import ResourceEvidence
from regadvisor.sampling.folds import make_folds
from regadvisor.search.plan import EFFORTS, Effort, can_validate, choose_effort, projected_s
from regadvisor.search.tune import read_settings, write_settings

T = TypeVar("T")

#: Fewest and most rows of the pilot that is timed, and the numbers in it: wide rows cost more each.
_PILOT_ROWS = (500, 2_000)
_PILOT_CELLS = 100_000
_PILOT_CLASS_ROWS = 10
#: The questions and comparisons: in multiples of preparing the folds, and in seconds.
_QUESTIONS = (1.5, 0.8)
#: Rows that the preparation is projected for; the higher rungs are not decided by it.
_LOWEST_ROWS = 1_500
#: Samples that are tried, in this order, where even the lowest rung does not fit the budget.
_FEWER_ROWS = (1_000, 500)
#: Share of a budget that is kept for the comparisons and the decision, and its least seconds.
_RESERVE = (0.1, 0.4)


@dataclass(frozen=True, kw_only=True)
class Rung:
    """The chosen effort and the numbers behind the choice."""

    effort: Effort
    effort_source: Literal["given", "measured"]
    budget_s: float | None
    budget_source: Literal["given", "one full run", "effort"]
    #: Most rows of the sample: the effort's, or fewer where only these fit the budget.
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
) -> Rung:
    """Choose the effort: the one given, the one an interrupted run had, or the largest that fits.

    Parameters
    ----------
    budget : float, "auto" or None
        Seconds. ``"auto"``: no limit if an effort is given, else the projected cost of one full run (or of
        the lowest rung, if that is more) within ``thresholds.AUTO_BUDGET_S``. None: no limit.
    effort : str or None
        A name of the ladder; None: measured.
    started_s : float
        When the advice began, on the monotonic clock: what was spent on imports and reading counts.
    """
    obstacle = _obstacle(table, budget)
    if obstacle is not None:
        known = _unlimited(effort or "quick", family, is_given=effort is not None)
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
        rung = _unlimited(effort, family, is_given=True)
    else:
        rung = _measured(
            table, family, folds=folds, seed=seed, budget=budget, effort=effort, started_s=started_s
        )
    if storage is not None:
        write_settings(storage, _settings(rung))
    return rung


def _unlimited(effort: str, family: Family, *, is_given: bool) -> Rung:
    chosen = EFFORTS[effort]
    return Rung(
        effort=chosen,
        effort_source="given" if is_given else "measured",
        budget_s=None,
        budget_source="effort",
        n_rows=chosen.max_rows[family.name],
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
) -> Rung:
    """Time a pilot and take the highest rung that fits, or the lowest one on fewer rows."""
    pilot = _Pilot(table, family, folds=folds, seed=seed, started_s=started_s)
    full_run_s = pilot.full_run_s(table.n_rows)
    budget_s = _auto_budget_s(pilot, table, family) if budget == "auto" else budget
    limit_s = float("inf") if budget_s is None else budget_s
    most = EFFORTS[effort].max_rows[family.name] if effort else table.n_rows
    for n_rows in (most, *(rows for rows in _FEWER_ROWS if rows < min(most, table.n_rows))):
        walk = partial(
            _projected,
            family_name=family.name,
            kinds=family.kinds,
            seconds_per_job=pilot.job_s,
            overhead_s=pilot.overhead_s(min(n_rows, table.n_rows, _LOWEST_ROWS)),
            budget_s=limit_s,
            n_rows_available=min(n_rows, table.n_rows),
        )
        choice = walk(choose_effort)
        if choice.fits or effort is not None:
            break
    chosen = EFFORTS[effort] if effort else choice.effort
    is_fewer = n_rows < min(chosen.max_rows[family.name], table.n_rows)
    fits = walk(can_validate)
    return Rung(
        effort=chosen,
        effort_source="given" if effort else "measured",
        budget_s=limit_s if budget_s is not None else None,
        budget_source="one full run" if budget == "auto" else "given",
        n_rows=min(n_rows, chosen.max_rows[family.name]),
        size_reason=f"no more fit into {limit_s:g} s" if is_fewer else None,
        projected_s=choice.projected_s,
        full_run_s=full_run_s,
        obstacle=None if fits else f"Even the smallest walk does not fit into {limit_s:.3g} s.",
    )


def _auto_budget_s(pilot: _Pilot, table: Table, family: Family) -> float:
    """Return what one full run costs, or the lowest rung if that costs more, within bounds."""
    n_rows = min(_FEWER_ROWS[0], table.n_rows)
    lowest_s = projected_s(
        EFFORTS["quick"],
        family.name,
        family.kinds,
        seconds_per_job=pilot.job_s,
        overhead_s=pilot.overhead_s(n_rows),
        n_rows_available=n_rows,
    )
    low, high = thresholds.AUTO_BUDGET_S
    wanted_s = max(pilot.full_run_s(table.n_rows), thresholds.AUTO_BUDGET_MARGIN * lowest_s)
    return min(max(wanted_s, low), high)


def _projected(ask: Callable[..., T], **walk: Any) -> T:
    """Ask the ladder about a walk; a partial of this keeps what all askings share."""
    return ask(**walk)


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
