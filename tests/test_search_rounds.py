"""Never empty-handed: the first fits, plans made anew, Ctrl-C and errors in one fit."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from search_fakes import StagedFamily, make_effort, planned

from regadvisor.deadline import Deadline
from regadvisor.errors import StorageError
from regadvisor.families.base import Job
from regadvisor.plan.effort import first_stage
from regadvisor.regularizer import KINDS, Kind
from regadvisor.search.halving import affordable, measured_costs, opening_folds
from regadvisor.search.results import Results, to_scores
from regadvisor.search.store import Journal
from regadvisor.search.tune import tune
from regadvisor.words import number

PLANNED: dict[Kind, int] = {"none": 1, "l2": 8, "l1": 8, "elasticnet": 12}


def search(
    family: StagedFamily,
    *,
    deadline: Deadline | None = None,
    storage: Path | None = None,
    n_first: int = 0,
    progress: Callable[[str, float], None] | None = None,
) -> Results:
    effort = make_effort(one=5, two=6, seeds=1, n_rounds=0)
    return tune(
        family,  # type: ignore[arg-type]
        family.prepared(),
        planned(family, replace(effort, n_first_folds=n_first)),
        seed=0,
        deadline=deadline or Deadline.after(600.0),
        storage=storage,
        progress=progress,
    )


def losses(tuned: Results) -> dict[str, float]:
    return {repr(fit.job): float(np.nansum(fit.losses)) for fit in tuned.fits}


def test_under_a_deadline_the_charts_own_fits_come_first_on_one_fold() -> None:
    family = StagedFamily()
    search(family)
    assert family.legs[:2] == [((0,), ["none", "elasticnet"]), ((0,), ["l2", "l1"])]


def test_fits_that_others_make_last_longer_are_not_left_out_of_a_patient_plan(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Ten seconds of the clock a fit, of which this process has the processor for a tenth of a second."""

    class Busy:
        wall = processor = 0.0

        def sleep(self, seconds: float) -> None:
            self.wall += seconds
            self.processor += seconds / 100

        def monotonic(self) -> float:
            return self.wall

        def process_time(self) -> float:
            return self.processor

    clock = Busy()
    for name in ("sleep", "monotonic", "process_time"):
        monkeypatch.setattr(time, name, getattr(clock, name))
    family = StagedFamily(pause_s=10.0)
    results = search(family, deadline=Deadline.patient(60.0, latest_s=1e6))
    assert clock.wall > 600.0
    assert all(np.isfinite(fit.losses).all() for fit in results.fits)


def test_without_one_they_come_first_too_where_they_are_a_small_part_of_the_work() -> None:
    family = StagedFamily()
    search(family, deadline=Deadline.never())
    assert family.legs[0] == ((0,), ["none", "elasticnet", "l2", "l1"])
    assert family.legs[1][0] == (1, 2, 3, 4)
    staged = StagedFamily()
    search(staged, deadline=Deadline.never(), n_first=2)
    assert staged.legs[0][0] == (0, 1)
    assert len(staged.legs[0][1]) > 4


def test_they_are_trained_on_the_folds_of_the_first_stage_as_all_others_are() -> None:
    family = StagedFamily()
    search(family, n_first=2)
    assert [folds for folds, _ in family.legs[:2]] == [(0, 1), (0, 1)]


@pytest.mark.parametrize("n_planned", [8, 20, 100, 400])
@pytest.mark.parametrize("n_first", [0, 1, 2])
@pytest.mark.parametrize("n_folds", [1, 2, 3, 5])
def test_without_a_deadline_the_first_fits_are_no_more_than_a_twentieth(
    n_planned: int, n_first: int, n_folds: int
) -> None:
    given_folds = {"n_folds": n_folds, "n_first": n_first}
    own = opening_folds(n_planned, 4, is_hurried=False, **given_folds)
    stages = first_stage(range(n_folds), n_first)
    in_all = n_planned * n_folds if not stages else n_planned * n_first + n_planned / 4 * (n_folds - n_first)
    assert 4 * own <= in_all / 15
    assert own or n_planned < 100 or (n_first and not stages)
    assert opening_folds(n_planned, 4, is_hurried=True, **given_folds) == (n_first if stages else 1)


def test_ctrl_c_after_the_first_fits_leaves_them_without_a_deadline() -> None:
    class Interrupted(StagedFamily):
        def train(self, prepared, jobs, **options):  # type: ignore[no-untyped-def, override]
            if self.legs:
                raise KeyboardInterrupt
            return super().train(prepared, jobs, **options)

    tuned = search(Interrupted(), deadline=Deadline.never())
    assert {fit.job.kind for fit in tuned.fits} == {"none", "elasticnet", "l2", "l1"}


@pytest.mark.parametrize("n_first", [0, 2])
def test_the_first_fits_change_no_result_and_are_not_trained_twice(n_first: int) -> None:
    hurried, calm = StagedFamily(), StagedFamily()
    first, second = search(hurried, n_first=n_first), search(calm, deadline=Deadline.never(), n_first=n_first)
    assert losses(first) == losses(second)
    assert first.cut is second.cut is None
    assert hurried.fold_fits == calm.fold_fits
    assert [fit.folds is not None for fit in first.fits] == [fit.folds is not None for fit in second.fits]


def test_a_deadline_after_the_first_fits_leaves_a_comparison_of_all_kinds_on_their_fold() -> None:
    class Ending(StagedFamily):
        def train(self, prepared, jobs, **options):  # type: ignore[no-untyped-def, override]
            if len(self.legs) == 2:
                options["deadline"].cancel()
            return super().train(prepared, jobs, **options)

    tuned = search(Ending())
    assert set(tuned.by_kind) == {"none", "elasticnet", "l2", "l1"}
    assert tuned.folds == (0,)
    assert not any(score.is_stopped for score in to_scores(tuned))
    assert tuned.cut is not None
    assert tuned.cut.startswith("the time was up after 0 of 17 fits")


def test_the_plan_is_made_again_from_what_the_first_fits_cost() -> None:
    # 17 candidates on five folds take 8.5 s at 0.1 s each: a deadline of 2.5 s has room for far fewer.
    family = StagedFamily(pause_s=0.1)
    tuned = search(family, deadline=Deadline.after(2.5))
    assert set(tuned.by_kind) == {"none", "elasticnet", "l2", "l1"}
    assert 1 <= tuned.n_folds < 5
    assert tuned.cut is not None
    assert "folds were used" in tuned.cut
    assert Counter(fit.job.kind for fit in tuned.fits)["l2"] >= 1


def test_candidates_that_the_plan_leaves_out_are_not_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: dict[Kind, int] = {"none": 1, "elasticnet": 2, "l2": 3, "l1": 1}
    monkeypatch.setattr("regadvisor.search.rounds.affordable", lambda *args, **options: (2, kept))
    family = StagedFamily()
    tuned = search(family, deadline=Deadline.after(60.0))
    assert Counter(fit.job.kind for fit in tuned.fits) == kept
    assert (tuned.n_folds, family.fold_fits) == (2, 2 * sum(kept.values()))
    assert tuned.cut is not None
    assert "after 7 of" in tuned.cut


def test_ctrl_c_after_a_fit_leaves_what_is_known() -> None:
    def interrupting(job: Job) -> BaseException | None:
        return KeyboardInterrupt() if job.kind == "l1" else None

    tuned = search(StagedFamily(raising=interrupting))
    assert set(tuned.by_kind) == {"none", "elasticnet", "l2"}
    assert tuned.folds == (0,)
    assert tuned.cut is not None
    assert tuned.cut.startswith("Ctrl-C came after")


def test_what_is_called_best_so_far_is_what_ctrl_c_leaves() -> None:
    said: list[str] = []

    def interrupting(job: Job) -> BaseException | None:
        return KeyboardInterrupt() if job.kind == "l1" else None

    tuned = search(StagedFamily(raising=interrupting), progress=lambda stage, share: said.append(stage))
    losses = {fit.job.kind: tuned.fit_loss(fit) for fit in tuned.fits}
    best = min(losses, key=losses.__getitem__)
    name = {"none": "none", "elasticnet": "L1+L2", "l2": "L2"}[best]
    assert said[-1] == f"training, best so far: {name} (loss {number(losses[best])}, 1/5 folds)"


def test_ctrl_c_before_any_fit_goes_through() -> None:
    with pytest.raises(KeyboardInterrupt):
        search(StagedFamily(raising=lambda job: KeyboardInterrupt()))


def test_an_error_in_one_fit_leaves_the_others() -> None:
    def failing(job: Job) -> BaseException | None:
        return RuntimeError("bad weights") if job.regularizer.l2 == 0.01 else None

    failed, whole = search(StagedFamily(raising=failing)), search(StagedFamily())
    lost = {repr(fit.job) for fit in whole.fits if failing(fit.job)}
    assert lost
    assert losses(failed) == {key: value for key, value in losses(whole).items() if key not in lost}
    assert failed.cut == f"{len(lost)} fits failed (RuntimeError: bad weights)"


def test_an_error_in_every_fit_is_raised() -> None:
    with pytest.raises(ValueError, match="no such layer"):
        search(StagedFamily(raising=lambda job: ValueError("no such layer")))


def test_a_full_disk_and_a_progress_that_cancels_are_no_faults_of_a_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class CancelError(Exception):
        pass

    def cancel(stage: str, share: float) -> None:
        raise CancelError

    family = StagedFamily()
    settings = {"seed": 0, "deadline": Deadline.after(600.0)}
    with pytest.raises(CancelError):
        tune(family, family.prepared(), planned(family, make_effort()), progress=cancel, **settings)  # type: ignore[arg-type]
    full = StorageError("storage must have room, got none; free some space")
    monkeypatch.setattr(Journal, "append", lambda *given, **named: (_ for _ in ()).throw(full))
    with pytest.raises(StorageError, match="free some space"):
        search(StagedFamily(), storage=tmp_path / "journal")


def test_an_interrupted_run_is_continued_where_it_was(tmp_path: Path) -> None:
    path = tmp_path / "journal"

    def interrupting(job: Job) -> BaseException | None:
        return KeyboardInterrupt() if job.regularizer.l1 == 1.0 else None

    first = StagedFamily(raising=interrupting)
    assert str(search(first, storage=path, n_first=2).cut).startswith("Ctrl-C came")
    second, whole = StagedFamily(), StagedFamily()
    assert losses(search(second, storage=path, n_first=2)) == losses(search(whole, n_first=2))
    assert first.fold_fits + second.fold_fits == whole.fold_fits


# ------------------------------------------------------------------------------------- what is affordable


@given(
    left_s=st.floats(0.0, 100.0),
    costs=st.lists(st.floats(1e-3, 1.0), min_size=4, max_size=4),
    n_folds=st.integers(1, 5),
)
def test_what_is_afforded_fits_into_the_time_or_is_the_least_there_is(
    left_s: float, costs: list[float], n_folds: int
) -> None:
    by_kind = dict(zip(PLANNED, costs, strict=True))
    folds, kept = affordable(PLANNED, by_kind, n_folds=n_folds, n_first=0, left_s=left_s)
    needed_s = folds * sum(kept[kind] * by_kind[kind] for kind in PLANNED)
    assert needed_s <= left_s * (1 + 1e-9) or (folds, set(kept.values())) == (1, {1})
    more = affordable(PLANNED, by_kind, n_folds=n_folds, n_first=0, left_s=2 * left_s + 1)
    assert (more[0] * sum(more[1].values())) >= folds * sum(kept.values())


@pytest.mark.parametrize(("left_s", "n_folds", "n_l2"), [(145, 5, 8), (144, 3, 8), (87, 3, 8), (86, 2, 8)])
def test_what_fits_is_counted_in_fold_fits(left_s: float, n_folds: int, n_l2: int) -> None:
    costs = dict.fromkeys(PLANNED, 1.0)  # 29 candidates on 5, 3 and 2 folds
    found = affordable(PLANNED, costs, n_folds=5, n_first=0, left_s=left_s)
    assert (found[0], found[1]["l2"]) == (n_folds, n_l2)


@pytest.mark.parametrize("n_first", [0, 2])
def test_every_cut_is_taken_from_the_time_that_it_needs_on(n_first: int) -> None:
    planned: dict[Kind, int] = {"none": 3, "l2": 8, "l1": 7}
    own_folds = [5, 3, 2, 2, 1, 1]
    kept = [planned, planned, planned, {"none": 2, "l2": 5, "l1": 4}, {"none": 2, "l2": 5, "l1": 4}]
    kept.append({"none": 1, "l2": 2, "l1": 2})
    for n_folds, candidates in zip(own_folds, kept, strict=True):
        n_fits = n_folds * sum(candidates.values())
        if n_first and n_folds == 5:  # a third of l2 and l1 goes on after two folds
            n_fits = 5 * 3 + 2 * (8 + 7) + 3 * (3 + 3)
        costs = dict.fromkeys(planned, 1.0)
        options = {"n_folds": 5, "n_first": n_first}
        assert affordable(planned, costs, left_s=n_fits, **options) == (n_folds, candidates)
        assert affordable(planned, costs, left_s=n_fits - 0.5, **options) != (n_folds, candidates)


def test_costs_add_up_to_the_time_that_passed_and_what_took_none_costs_next_to_none() -> None:
    assert measured_costs({"none": 3.0, "l2": 1.0}, took_s=0.5) == {"none": 0.375, "l2": 0.125}
    assert measured_costs({"none": 3.0, "l2": 0.0}, took_s=0.5) == {"none": 0.5, "l2": 1e-9}
    assert measured_costs({"none": 0.0}, took_s=0.5) == {"none": 1e-9}
    # Nothing was measured: nothing speaks against all that was planned.
    assert affordable(PLANNED, {}, n_folds=5, n_first=0, left_s=0.1) == (5, dict(PLANNED))


def test_kinds_that_were_not_measured_cost_as_much_as_the_dearest() -> None:
    planned: dict[Kind, int] = dict.fromkeys(KINDS, 4)
    costs: dict[Kind, float] = {"none": 1.0, "l2": 2.0}
    assert affordable(planned, costs, n_folds=1, n_first=0, left_s=52.0)[1]["dropout"] == 4
    assert affordable(planned, costs, n_folds=1, n_first=0, left_s=51.0)[1]["dropout"] < 4
