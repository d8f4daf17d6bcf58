"""Which rung of the effort ladder the budget allows (Q2: do you have resources for validation?)."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from regadvisor import thresholds
from regadvisor.data.table import Table
from regadvisor.families.base import Family
from regadvisor.records import ResourceEvidence
from regadvisor.sampling.folds import make_folds
from regadvisor.search.plan import EFFORTS, Effort, can_validate, choose_effort
from regadvisor.search.tune import read_settings

#: Fewest and most rows of the pilot that is timed, and the numbers in it: wide rows cost more each.
_PILOT_ROWS = (500, 2_000)
_PILOT_CELLS = 100_000
_PILOT_CLASS_ROWS = 10
#: Rows of the one fit that a full run is projected from.
_FULL_RUN_ROWS = 4_000
#: Share of a budget that is kept for the comparisons and the decision, and its least seconds.
_RESERVE = (0.1, 0.4)


@dataclass(frozen=True, kw_only=True)
class Rung:
    """The chosen effort and the numbers behind the choice."""

    effort: Effort
    effort_source: Literal["given", "measured"]
    budget_s: float | None
    budget_source: Literal["given", "one full run", "effort"]
    n_source: int
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
    storage: Path | None = None,
) -> Rung:
    """Choose the effort: the one given, the one an interrupted run had, or the largest that fits.

    Parameters
    ----------
    budget : float, "auto" or None
        Seconds. ``"auto"``: no limit if an effort is given, else the projected cost of one full run
        within ``thresholds.AUTO_BUDGET_S``. None: no limit.
    effort : str or None
        A name of the ladder; None: measured.
    """
    started = time.perf_counter()
    stored = None if storage is None else read_settings(storage)
    resumed = None if stored is None else stored.get("effort")
    given = effort or (None if resumed is None else str(resumed))
    obstacle = _obstacle(table, budget)
    if obstacle is not None or (given is not None and budget in ("auto", None)):
        return Rung(
            effort=EFFORTS[given or "quick"],
            effort_source="measured" if given is None else "given",
            budget_s=0.0 if budget == 0 else None,
            budget_source="given" if budget == 0 else "effort",
            n_source=table.n_rows,
            obstacle=obstacle,
        )
    pilot = _Pilot(table, family, folds=folds, seed=seed)
    full_run_s = pilot.full_run_s()
    budget_s = float(budget) if isinstance(budget, int | float) else _auto_budget_s(budget, full_run_s)
    overhead_s = pilot.overhead_s + time.perf_counter() - started
    limit_s = float("inf") if budget_s is None else budget_s
    choice = choose_effort(
        family_name=family.name,
        kinds=family.kinds,
        seconds_per_job=pilot.job_s,
        overhead_s=overhead_s,
        budget_s=limit_s,
        n_rows_available=table.n_rows,
    )
    chosen = choice.effort if given is None else EFFORTS[given]
    if not can_validate(
        family_name=family.name,
        kinds=family.kinds,
        seconds_per_job=pilot.job_s,
        overhead_s=overhead_s,
        budget_s=limit_s,
        n_rows_available=table.n_rows,
    ):
        obstacle = f"Even the smallest walk does not fit in {budget_s:g} s."
    return Rung(
        effort=chosen,
        effort_source="measured" if given is None else "given",
        budget_s=budget_s,
        budget_source="one full run" if budget == "auto" else "given",
        n_source=table.n_rows,
        projected_s=choice.projected_s,
        full_run_s=full_run_s,
        obstacle=obstacle,
    )


def _obstacle(table: Table, budget: float | Literal["auto"] | None) -> str | None:
    if budget == 0:
        return "The budget is 0 s, so nothing is trained."
    if table.n_rows < thresholds.FEWEST_ROWS_TO_VALIDATE:
        fewest = thresholds.FEWEST_ROWS_TO_VALIDATE
        return f"{table.n_rows} rows are too few to validate on (at least {fewest} are needed)."
    return None


def _auto_budget_s(budget: object, full_run_s: float) -> float | None:
    low, high = thresholds.AUTO_BUDGET_S
    return min(max(full_run_s, low), high) if budget == "auto" else None


class _Pilot:
    """A few hundred rows on which the family's cost is measured."""

    def __init__(self, table: Table, family: Family, *, folds: int, seed: int) -> None:
        self._table, self._family, self._seed = table, family, seed
        few, many = _PILOT_ROWS
        n_pilot = max(few, min(many, _PILOT_CELLS // max(table.facts.n_features, 1)))
        sample = table.take(_some_rows(table, n_pilot, seed))
        start = time.perf_counter()
        prepared = family.prepare(sample, make_folds(sample, folds=folds, seed=seed).folds, seed=seed)
        #: Preparing grows with the rows; the questions and comparisons take about as long again.
        self.overhead_s = 2 * (time.perf_counter() - start) + 0.5
        #: Rows of a sample → projected seconds of one job.
        self.job_s = family.probe(prepared)

    def full_run_s(self) -> float:
        """Return projected seconds of one full run on all rows."""
        rows = _some_rows(self._table, _FULL_RUN_ROWS, self._seed)
        return self._family.full_run_s(self._table.take(rows), self._table.n_rows)


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
