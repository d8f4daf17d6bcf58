"""Points in time by which work has to end, on clocks that the tests turn."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from regadvisor import deadline
from regadvisor.data.source import make_table
from regadvisor.deadline import Deadline
from regadvisor.evidence import pilot, resources
from regadvisor.evidence.resources import Ladder, Rung, situation_of
from regadvisor.families.base import Costs
from regadvisor.families.linear.family import LinearFamily
from regadvisor.plan.effort import EFFORTS
from regadvisor.plan.plan import Situation
from regadvisor.scale.workers import workers
from regadvisor.search.elsewhere import elsewhere


class _Clocks:
    """The clock on the wall and that of the processor, in seconds."""

    wall, processor = 1_000.0, 50.0

    def monotonic(self) -> float:
        return self.wall

    perf_counter = monotonic

    def process_time(self) -> float:
        return self.processor

    def run(self, wall_s: float, *, share: float) -> None:
        """Let time go by in which this process has a share of the processor."""
        self.wall += wall_s
        self.processor += share * wall_s


@pytest.fixture
def clocks(monkeypatch: pytest.MonkeyPatch) -> _Clocks:
    found = _Clocks()
    for module in (deadline, pilot, resources):
        monkeypatch.setattr(module, "time", found)
    return found


def test_a_deadline_is_one_of_the_clock(clocks: _Clocks) -> None:
    end = Deadline.after(10.0)
    clocks.run(9.0, share=0.1)
    assert end.left_s == pytest.approx(1.0)
    clocks.run(1.0, share=0.1)
    assert end.expired()


@pytest.mark.parametrize(("share", "lasts_s"), [(1.0, 10.0), (0.5, 20.0), (0.1, 60.0), (4.0, 10.0)])
def test_a_patient_one_waits_for_the_processor(clocks: _Clocks, share: float, lasts_s: float) -> None:
    """Alone 10 s; with half of the processor 20; with a tenth until its patience ends."""
    end = Deadline.patient(clocks.wall + 10.0, latest_s=clocks.wall + 60.0)
    clocks.run(lasts_s - 1.0, share=share)
    assert not end.expired()
    assert end.left_s > 0
    clocks.run(1.0, share=share)
    assert end.expired()
    assert end.left_s == 0


def test_an_earlier_one_is_as_patient(clocks: _Clocks) -> None:
    end = Deadline.patient(clocks.wall + 10.0, latest_s=clocks.wall + 60.0).earlier(2.0)
    clocks.run(15.0, share=0.5)
    assert end.left_s == pytest.approx(0.5)
    assert Deadline.patient(clocks.wall + 10.0, latest_s=clocks.wall + 12.0).earlier(2.0).left_s == 8.0


def test_cancelling_ends_patience(clocks: _Clocks) -> None:
    end = Deadline.patient(clocks.wall + 10.0, latest_s=clocks.wall + 60.0)
    end.earlier(1.0).cancel()
    assert end.expired()
    assert end.left_s == 0


def test_only_a_budget_that_nobody_gave_is_patient(clocks: _Clocks) -> None:
    situation = Situation(family_name="linear", kinds=("none", "l2"), n_folds=5, n_available=400)
    plan = situation.plan(EFFORTS["quick"], 400)
    automatic = Rung(
        plan=plan, effort_source="measured", budget_s=10.0, budget_source="automatic", latest_s=120.0
    )
    given = Rung(plan=plan, effort_source="measured", budget_s=10.0, budget_source="given")
    ends = [rung.deadline(clocks.wall) for rung in (automatic, given)]
    clocks.run(70.0, share=1 / 7.5)  # fifteen programs on two processors
    assert [end.expired() for end in ends] == [False, True]


def test_what_was_spent_before_a_plan_counts_as_on_an_idle_machine(clocks: _Clocks) -> None:
    situation = Situation(family_name="linear", kinds=("none", "l2"), n_folds=5, n_available=400)
    rung = Rung(
        plan=situation.plan(EFFORTS["quick"], 400),
        effort_source="measured",
        budget_s=10.0,
        budget_source="automatic",
        latest_s=120.0,
        slowed=4.0,
    )
    started_s = clocks.wall
    clocks.run(20.0, share=0.25)
    end = rung.deadline(started_s)
    assert end.left_s == pytest.approx(5.0)
    clocks.run(100.0, share=0.0)
    assert end.expired()


def test_no_patience_with_workers() -> None:
    """They use no processor time of this process, which would wait for them until its patience ended."""
    rng = np.random.default_rng(0)
    table, family = make_table(rng.normal(size=(300, 3)), rng.normal(size=300)), LinearFamily()
    with ThreadPoolExecutor(2) as pool, workers(pool) as crew:
        for own, is_patient in ((family, True), (elsewhere(family, crew), False)):
            situation = situation_of(table, own, folds=5, may_choose=True)
            asked: dict[str, Any] = {"seed": 0, "effort": None, "started_s": time.monotonic()}
            rung = Ladder(table=table, family=own, situation=situation, budget="auto", **asked).choose()
            assert rung.budget_source == "automatic"
            assert (rung.latest_s is not None) == is_patient


@pytest.mark.parametrize("n_rows", [1_000, 8_000])
def test_other_programs_do_not_change_an_automatic_plan_of_linear_models(
    clocks: _Clocks, n_rows: int
) -> None:
    """A given one they do: what takes four times as long leaves room for fewer rows."""

    class Slowed(LinearFamily):
        """Takes 0.02 s to prepare and 1 µs a row to fit, on the clock of the processor."""

        share = 1.0

        def prepare(self, *args: Any, **kwargs: Any) -> Any:
            clocks.run(0.02 / self.share, share=self.share)
            return super().prepare(*args, **kwargs)

        def probe(self, *args: Any, **kwargs: Any) -> Costs:
            share = self.share
            return Costs(
                job_s=lambda n_rows: 1e-6 * n_rows / share, full_run_s=lambda n_rows: 1e-6 * n_rows / share
            )

    rng = np.random.default_rng(0)
    table, family = make_table(rng.normal(size=(n_rows, 3)), rng.normal(size=n_rows)), Slowed()
    situation = situation_of(table, family, folds=5, may_choose=True)
    rungs = {}
    for budget in ("auto", 2.0):
        for family.share in (1.0, 0.25):
            asked: dict[str, Any] = {"seed": 0, "budget": budget, "started_s": clocks.wall}
            rungs[budget, family.share] = Ladder(
                table=table, family=family, situation=situation, **asked
            ).choose()
    busy, idle = rungs["auto", 0.25], rungs["auto", 1.0]
    assert busy.plan == idle.plan
    assert busy.projected_s == pytest.approx(idle.projected_s)
    assert rungs[2.0, 0.25].plan.n_rows < rungs[2.0, 1.0].plan.n_rows == n_rows
