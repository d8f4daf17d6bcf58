"""Q1: the sample as it was planned, and the plan made again for what was drawn."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from regadvisor.arguments import Options
from regadvisor.data.table import MOST_CELLS, Table
from regadvisor.families.base import folds_in_order
from regadvisor.plan.plan import Plan, Situation
from regadvisor.sampling.blocks import in_blocks
from regadvisor.sampling.draw import Drawn, draw_sample
from regadvisor.scale.apart import memory_bytes

if TYPE_CHECKING:
    from regadvisor.evidence.resources import Rung

#: The fewest rows that folds make sense of, however wide the table.
_FEWEST_ROWS = 200


def most_rows(n_features: int) -> int:
    """Return the rows of the largest sample: where memory is limited, five folds take a third of it."""
    limit = memory_bytes()
    cells = MOST_CELLS if math.isinf(limit) else min(MOST_CELLS, int(limit / (3 * 5 * 8)))
    return max(cells // max(n_features, 1), _FEWEST_ROWS)


def draw_as_planned(table: Table, rung: Rung, situation: Situation, request: Options) -> tuple[Drawn, Plan]:
    """Return the sample that a rung plans, and its plan: another one where the sample turns out to be."""
    plan, effort = rung.plan, rung.effort

    def draw(n_rows: int, *, folds: int) -> Drawn:
        if n_rows >= table.n_rows:  # everything: say how many rows were wanted, not how many there are
            n_rows = max(n_rows, effort.max_rows_of(situation.family_name))
        return draw_sample(
            table,
            n_rows=n_rows,
            sample=request.sample,
            match=request.match,
            folds=folds,
            seed=request.seeds["sample"],
            size_reason=rung.size_reason,
        )

    drawn = None
    if plan.in_blocks:  # folds that share no training row; None if a class would be missing from one
        drawn = in_blocks(
            draw(plan.n_drawn, folds=max(plan.n_folds, 2)),
            n_train=plan.n_train,
            seed=request.seeds["sample"],
            is_single=plan.n_folds == 1,
        )
    if drawn is None:
        drawn = draw(plan.n_rows, folds=request.folds)
        plan = replace(situation, may_block=False).plan(effort, drawn.table.n_rows)
    drawn = _on_one_fold(drawn) if rung.is_smallest else drawn
    return drawn, replace(plan, n_folds=len(drawn.folds))


def _on_one_fold(drawn: Drawn) -> Drawn:
    """Return the sample with a single fold, the first that would be trained: all that there is time for."""
    if len(drawn.folds) < 2:
        return drawn
    number = folds_in_order([len(fold.train) for fold in drawn.folds])[0]
    return replace(drawn, folds=(drawn.folds[number],))
