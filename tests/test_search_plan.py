"""The effort ladder against sums and projections done by hand."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regadvisor import thresholds
from regadvisor.plan.effort import EFFORTS, Effort, auto_budget
from regadvisor.plan.plan import CostModel, Situation
from regadvisor.regularizer import DROPOUT_KINDS, KINDS, STRENGTHS, Kind

LINEAR: tuple[Kind, ...] = ("none", "l2", "l1", "elasticnet")
NAMES = ("quick", "standard", "thorough")


def n_jobs(effort: Effort, family: str, kinds: tuple[Kind, ...]) -> int:
    """Return the candidates of an effort's portfolios."""
    return sum(effort.trials(family, kind) for kind in kinds)


def test_the_ladder_rises() -> None:
    assert tuple(EFFORTS) == NAMES
    for family in ("linear", "mlp"):
        rungs = [EFFORTS[name] for name in NAMES]
        for low, high in itertools.pairwise(rungs):
            assert low.rows(family, 10**9) < high.rows(family, 10**9)
            assert low.n_boot < high.n_boot
            assert all(low.trials(family, kind) <= high.trials(family, kind) for kind in KINDS)
            assert n_jobs(low, family, KINDS) < n_jobs(high, family, KINDS)


def test_kinds_with_as_many_strengths_get_as_many_trials() -> None:
    for effort in EFFORTS.values():
        for family in ("linear", "mlp"):
            assert effort.trials(family, "l1") == effort.trials(family, "l2")
            assert effort.trials(family, "dropout_l1") == effort.trials(family, "dropout_l2")
            assert effort.trials(family, "elasticnet") >= effort.trials(family, "l2")


def test_rows_are_those_there_are_at_most() -> None:
    assert EFFORTS["quick"].rows("linear", 400) == 400
    assert EFFORTS["quick"].rows("linear", 4_000) == 1_500
    assert EFFORTS["standard"].rows("mlp", 10**6) == 8_000


def test_a_family_that_is_not_listed_counts_as_a_network() -> None:
    assert EFFORTS["thorough"].rows("cnn", 10**6) == EFFORTS["thorough"].rows("mlp", 10**6)
    assert n_jobs(EFFORTS["quick"], "cnn", KINDS) == n_jobs(EFFORTS["quick"], "mlp", KINDS)


def test_jobs_are_counted_once_per_kind_and_seed() -> None:
    assert n_jobs(EFFORTS["standard"], "linear", LINEAR) == 1 + 8 + 8 + 12
    assert n_jobs(EFFORTS["standard"], "mlp", KINDS) == 3 + 6 + 6 + 3 + 3 * 8
    assert n_jobs(EFFORTS["quick"], "mlp", KINDS) == 1 + 3 + 3 + 2 + 3 + 2 * 2


def walk(
    *,
    family: str = "mlp",
    cost: Callable[[int], float] = lambda n_rows: 0.5,
    overhead_s: float = 0.0,
    n_rows: int = 50_000,
) -> CostModel:
    situation = Situation(
        family_name=family, kinds=LINEAR if family == "linear" else KINDS, n_folds=5, n_available=n_rows
    )
    return CostModel(
        situation=situation,
        fit_s=lambda n_train: cost(round(1.25 * n_train)) / 5,
        overhead_s=lambda n_rows, n_folds: overhead_s,
    )


def price(costs: CostModel, effort: Effort, n_rows: int) -> float:
    return costs.projected_s(costs.situation.plan(effort, n_rows))


@given(
    budget_s=st.floats(0, 500),
    rate=st.floats(1e-6, 1e-2),
    overhead_s=st.floats(0, 5),
    n_rows=st.integers(20, 100_000),
    family=st.sampled_from(["linear", "mlp"]),
)
def test_the_choice_is_the_dearest_that_is_within_the_budget(
    budget_s: float, rate: float, overhead_s: float, n_rows: int, family: str
) -> None:
    asked = walk(family=family, cost=lambda rows: rate * rows, overhead_s=overhead_s, n_rows=n_rows)
    plan, projected_s = asked.choose(budget_s)
    offers = [(name, size) for name in NAMES for size in sorted(asked.sizes(EFFORTS[name]))]
    costs = {offer: price(asked, EFFORTS[offer[0]], offer[1]) for offer in offers}
    within = [offer for offer in offers if costs[offer] <= budget_s]
    assert (plan.effort.name, plan.n_rows) == (within[-1] if within else offers[0])
    assert (projected_s <= budget_s) == bool(within)
    assert projected_s == costs[plan.effort.name, plan.n_rows]
    assert plan.n_rows <= n_rows


def test_no_limit_allows_the_highest_rung_on_all_rows() -> None:
    plan, _ = walk(cost=lambda rows: 1e3, n_rows=700).choose(math.inf)
    assert (plan.effort.name, plan.n_rows) == ("thorough", 700)


def test_a_given_effort_is_taken_whatever_it_costs() -> None:
    plan, projected_s = walk(cost=lambda rows: 1e3).choose(1.0, EFFORTS["standard"])
    assert (plan.effort.name, plan.n_rows, projected_s > 1.0) == ("standard", 8_000, True)


def test_sizes_between_two_rungs_belong_to_the_higher_one() -> None:
    assert walk().sizes(EFFORTS["standard"]) == [8_000, 6_000, 4_000]
    assert walk(n_rows=800).sizes(EFFORTS["standard"]) == [800]
    assert walk(n_rows=800).sizes(EFFORTS["quick"]) == [800, 700, 500]


def test_the_projection_counts_what_halving_leaves() -> None:
    # Two fits for each of two rounds after the portfolio. Of many rows three folds wait; half are needed.
    costs, fits = walk(family="linear", overhead_s=1.0), 1 + 5 + 5 + 6 + 2 * 2
    assert price(costs, EFFORTS["standard"], 5_000) == pytest.approx(1.0 + fits * 0.5 * (2 + 3 / 2) / 5)
    assert price(costs, EFFORTS["quick"], 700) == pytest.approx(1.0 + fits * 0.5)
    # 1 or 2 of 5 folds for all, the others for a third of each kind; the baseline's seeds on all folds.
    effort = EFFORTS["quick"]
    for n_rows, n_first in ((1_000, 1), (400, 2)):
        fold_fits = 5 * (effort.trials("mlp", "none") + 2 * 2)
        for kind in KINDS:
            if kind != "none":
                n = effort.trials("mlp", kind)
                fold_fits += n_first * n + (5 - n_first) * math.ceil(n / 3)
        assert price(walk(n_rows=n_rows), effort, n_rows) == pytest.approx(0.5 * fold_fits / 5)


def blocks(effort: Effort, *, family: str = "mlp", n_rows: int = 50_000, **known: Any) -> int | None:
    """Return how many folds have rows of their own to train on, for 1,000 rows; None: none has."""
    situation = Situation(family_name=family, kinds=KINDS, n_folds=5, n_available=n_rows, **known)
    plan = situation.plan(effort, 1_000)
    return plan.n_folds if plan.in_blocks else None


def test_the_projection_counts_blocks_where_there_are_rows_for_them() -> None:
    # Three blocks: one for all candidates, two more for a third of each kind and for the baseline.
    effort = EFFORTS["standard"]
    block_fits = 3 * effort.trials("mlp", "none")
    for kind in KINDS:
        if kind != "none":
            n = effort.trials("mlp", kind)
            block_fits += n + 2 * math.ceil(n / 3)
    block_fits += 3 * 2 * 2  # two rounds
    assert price(walk(n_rows=50_000), effort, 1_000) == pytest.approx(0.5 * block_fits / 5)
    assert blocks(effort, n_rows=3_600) == 3
    assert blocks(effort, n_rows=3_500) is None
    assert blocks(effort, is_ordered=True) is None
    assert blocks(effort, family="linear") is None
    assert blocks(effort, may_block=False) is None
    assert blocks(effort, most_rows=4_799) is None
    assert blocks(effort, most_rows=4_800) == 3
    # A single block: every candidate once, and two refinements of four points.
    quick = EFFORTS["quick"]
    fits = sum(quick.trials("mlp", kind) for kind in KINDS) + 2 * 4
    assert price(walk(n_rows=50_000), quick, 1_000) == pytest.approx(0.5 * fits / 5)
    assert price(walk(n_rows=6_400), quick, 1_000) == pytest.approx(0.5 * fits / 5)
    assert blocks(quick, n_rows=1_200, is_ordered=True) == 1


def test_the_smallest_walk_is_four_fits_on_one_fold() -> None:
    cheapest = walk(cost=lambda rows: 5.0 if rows == 500 else math.nan, overhead_s=1.0)
    assert cheapest.smallest_s == 5.0


@given(
    full_run_s=st.floats(0, 1e5),
    enough_s=st.floats(0.1, 1e4),
    lowest_s=st.floats(0.1, 100),
    n_rows=st.integers(20, 10**8),
)
def test_the_automatic_budget_stays_within_its_bounds(
    full_run_s: float, enough_s: float, lowest_s: float, n_rows: int
) -> None:
    aim_s, deadline_s, _ = auto_budget(full_run_s, enough_s=enough_s, lowest_s=lowest_s, n_rows=n_rows)
    assert 0 < aim_s <= deadline_s
    most = 120.0 if n_rows <= thresholds.AUTO_SMALL_ROWS else 60.0
    assert deadline_s <= max(most, min(full_run_s, 600.0))
    assert deadline_s >= 5.0
    if n_rows >= 50_000:
        assert deadline_s <= max(full_run_s, 5.0)


def test_small_data_get_what_the_evidence_needs_up_to_two_minutes() -> None:
    def budget(enough_s: float, full_run_s: float = 1.0) -> tuple[float, float, float]:
        return auto_budget(full_run_s, enough_s=enough_s, lowest_s=1.0, n_rows=6_000)

    assert budget(40.0) == (40.0, 80.0, 120.0)
    assert budget(100.0) == (100.0, 120.0, 120.0)
    assert budget(1e4) == (120.0, 120.0, 120.0)
    # A full run that takes longer is the limit, up to ten minutes.
    assert budget(1e4, full_run_s=300.0) == (300.0, 300.0, 300.0)
    assert budget(1e4, full_run_s=3_000.0) == (600.0, 600.0, 600.0)


@pytest.mark.parametrize(("n_rows", "runs"), [(10_000, 5.0), (25_000, 2.0)])
def test_the_automatic_budget_is_a_falling_number_of_full_runs(n_rows: int, runs: float) -> None:
    run_s = 50.0 / runs  # an aim of 50 s, within the bounds
    assert auto_budget(run_s, enough_s=1e4, lowest_s=0.1, n_rows=n_rows)[0] / run_s == pytest.approx(runs)


@pytest.mark.parametrize("n_rows", [50_000, 200_000, 1_000_000])
def test_from_50_000_rows_on_advice_costs_less_than_a_full_run(n_rows: int) -> None:
    aim_s, deadline_s, _ = auto_budget(30.0, enough_s=1e4, lowest_s=20.0, n_rows=n_rows)
    assert aim_s < deadline_s <= 30.0


def test_a_short_full_run_gets_some_seconds_whatever_the_rows() -> None:
    for n_rows in (7_000, 20_000):
        aims = [
            auto_budget(0.1, enough_s=0.1, lowest_s=0.1, n_rows=n_rows, is_linear=is_linear)[0]
            for is_linear in (False, True)
        ]
        assert aims == [thresholds.AUTO_LEAST_S, thresholds.AUTO_LEAST_LINEAR_S]


def test_one_row_more_takes_no_time_away_from_a_linear_model() -> None:
    few, more, many = (
        auto_budget(0.1, enough_s=40.0, lowest_s=0.1, n_rows=n_rows, is_linear=True)[0]
        for n_rows in (6_000, 6_001, 40_000)
    )
    assert more == pytest.approx(few, rel=1e-3)
    assert many == pytest.approx(6.0)


def test_every_trained_kind_has_a_count() -> None:
    for effort in EFFORTS.values():
        for family in ("linear", "mlp"):
            assert set(effort.n_trials[family]) == set(KINDS) - {"none"}
            assert all(count >= 2 for count in effort.n_trials[family].values())
    assert all("dropout" in STRENGTHS[kind] for kind in DROPOUT_KINDS)


def test_the_lowest_rung_may_be_asked_for_more_rows() -> None:
    plan = walk(n_rows=1_257, cost=lambda rows: rows / 1_000)
    assert plan.lowest_s(least_rows=1_257) == price(plan, EFFORTS["quick"], 1_257)
    assert plan.lowest_s() == price(plan, EFFORTS["quick"], 500)
