"""The effort ladder against sums and projections done by hand."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regadvisor.regularizer import DROPOUT_KINDS, KINDS, STRENGTHS, Kind
from regadvisor.search.plan import EFFORTS, can_validate, choose_effort, n_jobs, projected_s

LINEAR: tuple[Kind, ...] = ("none", "l2", "l1", "elasticnet")
NAMES = ("quick", "standard", "thorough")


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
            assert effort.trials(family, "elasticnet") > effort.trials(family, "l2")


def test_rows_are_those_there_are_at_most() -> None:
    assert EFFORTS["quick"].rows("linear", 400) == 400
    assert EFFORTS["quick"].rows("linear", 4_000) == 1_500
    assert EFFORTS["standard"].rows("mlp", 10**6) == 3_000


def test_a_family_that_is_not_listed_counts_as_a_network() -> None:
    assert EFFORTS["thorough"].rows("cnn", 10**6) == EFFORTS["thorough"].rows("mlp", 10**6)
    assert n_jobs(EFFORTS["quick"], "cnn", KINDS) == n_jobs(EFFORTS["quick"], "mlp", KINDS)


def test_jobs_are_counted_once_per_kind_and_seed() -> None:
    assert n_jobs(EFFORTS["standard"], "linear", LINEAR) == 1 + 8 + 8 + 12
    assert n_jobs(EFFORTS["standard"], "mlp", KINDS) == 3 + 6 + 6 + 3 + 3 * 8
    assert n_jobs(EFFORTS["quick"], "mlp", KINDS) == 2 + 3 + 3 + 2 + 4 + 2 * 3


@given(
    budget_s=st.floats(0, 500),
    rate=st.floats(1e-6, 1e-2),
    overhead_s=st.floats(0, 5),
    n_rows=st.integers(20, 100_000),
    family=st.sampled_from(["linear", "mlp"]),
)
def test_the_choice_is_the_highest_rung_within_the_budget(
    budget_s: float, rate: float, overhead_s: float, n_rows: int, family: str
) -> None:
    kinds = LINEAR if family == "linear" else KINDS
    costs = {
        name: overhead_s
        + n_jobs(EFFORTS[name], family, kinds) * (rate * min(n_rows, EFFORTS[name].max_rows[family]))
        for name in NAMES
    }
    within = [name for name in NAMES if costs[name] <= budget_s]
    choice = choose_effort(
        family_name=family,
        kinds=kinds,
        seconds_per_job=lambda rows: rate * rows,
        overhead_s=overhead_s,
        budget_s=budget_s,
        n_rows_available=n_rows,
    )
    assert choice.effort.name == (within[-1] if within else "quick")
    assert choice.fits == bool(within)
    assert choice.projected_s == costs[choice.effort.name]


def test_no_limit_allows_the_highest_rung() -> None:
    choice = choose_effort(
        family_name="mlp",
        kinds=KINDS,
        seconds_per_job=lambda rows: 1e3,
        overhead_s=0.0,
        budget_s=math.inf,
        n_rows_available=500,
    )
    assert (choice.effort.name, choice.fits) == ("thorough", True)


def test_the_projection_asks_for_the_cost_at_the_rows_of_the_rung() -> None:
    asked: list[int] = []

    def cost(n_rows: int) -> float:
        asked.append(n_rows)
        return 0.5

    seconds = projected_s(
        EFFORTS["standard"], "linear", LINEAR, seconds_per_job=cost, overhead_s=1.0, n_rows_available=9_000
    )
    assert asked == [5_000]
    assert seconds == 1.0 + 29 * 0.5


@pytest.mark.parametrize(
    ("budget_s", "expected"), [(0.0, False), (4.9, False), (5.0, True), (math.inf, True)]
)
def test_the_smallest_walk_is_four_fits(budget_s: float, expected: bool) -> None:
    possible = can_validate(
        family_name="mlp",
        kinds=KINDS,
        seconds_per_job=lambda rows: 1.0 if rows == 1_000 else math.nan,
        overhead_s=1.0,
        budget_s=budget_s,
        n_rows_available=50_000,
    )
    assert possible is expected


def test_every_trained_kind_has_a_count() -> None:
    for effort in EFFORTS.values():
        for family in ("linear", "mlp"):
            assert set(effort.n_trials[family]) == set(KINDS) - {"none"}
            assert all(count >= 2 for count in effort.n_trials[family].values())
    assert all("dropout" in STRENGTHS[kind] for kind in DROPOUT_KINDS)
