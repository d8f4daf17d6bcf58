"""A race of linear models: who has lost beyond doubt is stopped, and nothing is tried behind it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from search_fakes import StagedFamily, make_effort, planned

from regadvisor import thresholds
from regadvisor.deadline import Deadline
from regadvisor.families.base import Fit, Job
from regadvisor.plan.effort import EFFORTS
from regadvisor.plan.plan import Situation
from regadvisor.regularizer import Regularizer
from regadvisor.search.halving import affordable, measured_costs, racing
from regadvisor.search.results import Results
from regadvisor.search.tune import tune


def race(family: StagedFamily, storage: Path | None = None) -> Results:
    plan = replace(planned(family, make_effort(one=5, two=6, n_rounds=0)), is_race=True)
    return tune(
        family,  # type: ignore[arg-type]
        family.prepared(),
        plan,
        seed=0,
        deadline=Deadline.never(),
        storage=storage,
    )


def test_only_those_are_stopped_that_lost_by_more_than_the_rows_explain() -> None:
    prepared = StagedFamily().prepared()
    measure = Results(prepared=prepared, folds=(0, 1))
    rng = np.random.default_rng(0)
    noise = 3.0 * rng.normal(size=prepared.n_rows)
    lost = {0: 0.0, 1: 0.9 * thresholds.LOST_BY, 2: 0.5, 3: 0.5}
    fits = {
        number: Fit(
            job=Job(regularizer=Regularizer(l2=1.0 + number), seed=0),
            losses=1.0 + loss + (noise if number == 3 else 0.0 * noise),
            train_losses=np.zeros(5),
            zeroed=np.zeros(0),
            converged=True,
        )
        for number, loss in lost.items()
    }
    rows = np.flatnonzero(measure.is_tested)
    apart = fits[3].losses[rows] - 1.0
    is_sure = apart.mean() - 3.0 * apart.std() / np.sqrt(len(rows)) > 0.02
    assert racing(fits, measure) == ({0, 1} if is_sure else {0, 1, 3})
    assert not is_sure, "the same loss with noise may be luck"
    assert racing({}, measure) == set()
    turned = {9 - number: fit for number, fit in fits.items()}
    assert racing(turned, measure) == {9 - number for number in racing(fits, measure)}


def test_few_rows_of_much_weight_are_luck() -> None:
    prepared = StagedFamily().prepared()
    rows = np.arange(prepared.n_rows)
    weight, losses = np.ones(prepared.n_rows), np.ones((2, prepared.n_rows))
    weight[:2], losses[1, :2] = 1_000.0, (9.0, 0.5)
    fits = {
        number: Fit(
            job=Job(regularizer=Regularizer(l2=1.0 + number), seed=0),
            losses=own,
            train_losses=np.zeros(5),
            zeroed=np.zeros(0),
            converged=True,
        )
        for number, own in enumerate(losses)
    }
    measure = Results(prepared=prepared, weight=weight)
    assert measure.fit_loss(fits[1]) > 4 * measure.fit_loss(fits[0])
    drawn = np.random.default_rng(0).choice(rows, size=(1_000, len(rows)))  # an outside answer
    means = [np.average(losses[1][own], weights=weight[own]) for own in drawn]
    assert np.mean(np.array(means) <= 1.0) > 0.05
    assert racing(fits, measure) == {0, 1}


def test_the_slowest_fit_does_not_stand_before_all_others() -> None:
    """Where no regularization has no minimum it took the whole budget, and nothing was known at its end."""
    family = StagedFamily()
    plan = replace(planned(family, make_effort(one=5, two=6, n_rounds=0)), is_race=True)
    tune(family, family.prepared(), plan, seed=0, deadline=Deadline.after(600.0))  # type: ignore[arg-type]
    assert family.legs[:2] == [((0,), ["l2", "elasticnet"]), ((0,), ["none", "l1"])]


def test_a_race_under_a_deadline_is_planned_as_if_nobody_lost() -> None:
    family = StagedFamily(noise=0.03, pause_s=0.002)
    plan = replace(planned(family, make_effort(one=5, two=6, n_rounds=0)), is_race=True)
    assert plan.n_first
    seen: list[int] = []

    def spied(*args: object, n_first: int, **options: object) -> object:
        seen.append(n_first)
        return affordable(*args, n_first=n_first, **options)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("regadvisor.search.rounds.affordable", spied)
        prepared, deadline = family.prepared(), Deadline.after(60.0)
        tune(family, prepared, plan, seed=0, deadline=deadline)  # type: ignore[arg-type]
    assert seen == [0]
    assert [len(folds) for folds, _ in family.legs[:2]] == [1, 1]


def test_what_goes_on_has_the_losses_of_training_on_all_folds_and_holds_the_best() -> None:
    results = race(StagedFamily(noise=0.03))
    everywhere = StagedFamily(noise=0.03)
    stopped = [fit for fit in results.fits if fit.folds is not None]
    assert stopped
    for fit in results.fits:
        (whole,) = everywhere.train(results.prepared, [fit.job], deadline=Deadline.never())
        if fit.folds is None:
            np.testing.assert_array_equal(fit.losses, whole.losses)
        else:
            own = [each for each in results.fits if each.job.kind == fit.job.kind and each.folds is None]
            best = min(each.losses.mean() for each in own)
            assert whole.losses.mean() > best * (1 + thresholds.SAME_REGION)


def test_where_rows_explain_every_difference_nobody_is_stopped() -> None:
    results = race(StagedFamily(noise=100.0))
    assert len(results.fits) > 4
    assert not any(fit.folds is not None for fit in results.fits)


def test_costs_are_those_of_the_fits_over_what_workers_speed_them_up_by() -> None:
    """The time that passed holds the start of the workers, which no later fit waits for."""
    family = StagedFamily(noise=0.03, pause_s=0.002)
    family.speed_up = 2.0  # type: ignore[attr-defined]
    seen: list[tuple[dict[str, float], float]] = []

    def spied(fit_s: dict[str, float], *, took_s: float) -> object:
        seen.append((fit_s, took_s))
        return measured_costs(fit_s, took_s=took_s)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("regadvisor.search.rounds.measured_costs", spied)
        plan = replace(planned(family, make_effort(n_rounds=0)), is_race=True)
        tune(family, family.prepared(), plan, seed=0, deadline=Deadline.after(60.0))  # type: ignore[arg-type]
    ((fit_s, took_s),) = seen
    assert set(fit_s) == {"none", "l2", "l1", "elasticnet"}
    assert 0.0 < took_s == pytest.approx(sum(fit_s.values()) / 2)


def test_nothing_is_tried_behind_what_was_stopped() -> None:
    family = StagedFamily(noise=0.03)
    results = race(family)
    own = [fit for fit in results.fits if fit.job.kind == "l2"]
    best = min((fit for fit in own if fit.folds is None), key=lambda fit: fit.losses.mean())
    lost = [fit.job.regularizer.l2 for fit in own if fit.folds is not None]
    planned_ones = {point["l2"] for point in family.candidates(family.prepared())["l2"].portfolio}
    skipped = planned_ones - {fit.job.regularizer.l2 for fit in own}
    assert skipped
    for strength in skipped:
        assert any(sorted((best.job.regularizer.l2, each, strength))[1] == each for each in lost)


@pytest.mark.parametrize("n_first_run", [3, 8, 11])
def test_a_race_that_was_cut_goes_on_where_it_was(tmp_path: Path, n_first_run: int) -> None:
    journal = tmp_path / "journal"
    cut = StagedFamily(noise=0.03, n_at_most=n_first_run)
    race(cut, journal)
    rest, whole = StagedFamily(noise=0.03), StagedFamily(noise=0.03)
    resumed, expected = race(rest, journal), race(whole)
    assert [fit.job for fit in resumed.fits] == [fit.job for fit in expected.fits]
    for one, other in zip(resumed.fits, expected.fits, strict=True):
        np.testing.assert_array_equal(one.losses, other.losses)
    assert cut.fold_fits + rest.fold_fits == whole.fold_fits


def test_linear_models_race_and_start_from_fewer_strengths_on_many_rows() -> None:
    kinds = ("none", "l2", "l1", "elasticnet")
    few, many = thresholds.SMOOTH_FROM_ROWS - 1, thresholds.SMOOTH_FROM_ROWS
    situation = Situation(family_name="linear", kinds=kinds, n_folds=5, n_available=many)
    plans = [situation.plan(EFFORTS["standard"], n_rows) for n_rows in (few, many)]
    assert [tuple(plan.trials.values()) for plan in plans] == [(1, 8, 8, 12), (1, 5, 5, 6)]
    assert all(plan.is_race for plan in plans)
    networks = replace(situation, family_name="mlp").plan(EFFORTS["standard"], many)
    assert not networks.is_race


# ---------------------------------------------------------------------------- folds until it is decided


def widened(
    family: StagedFamily, is_enough: Callable[[Results], bool], *, storage: Path | None = None
) -> Results:
    plan = planned(family, make_effort(one=5, two=6, n_rounds=1))
    return tune(
        family,  # type: ignore[arg-type]
        family.prepared(),
        replace(plan, is_race=True, n_begun=2),
        seed=0,
        deadline=Deadline.never(),
        storage=storage,
        is_enough=is_enough,
    )


@pytest.mark.parametrize("n_enough", [2, 3, 5])
def test_folds_are_trained_on_until_they_are_enough(n_enough: int) -> None:
    family = StagedFamily(noise=1.0)
    asked: list[int] = []

    def is_enough(results: Results) -> bool:
        asked.append(results.n_folds)
        return results.n_folds >= n_enough

    found = widened(family, is_enough)
    trained = {fold for folds, _ in family.legs for fold in folds}
    assert trained == set(found.order[:n_enough])
    assert found.n_folds == n_enough
    assert found.cut is None
    assert asked == list(range(2, min(n_enough, 4) + 1))
    jobs = [fit.job for fit in found.fits]
    alone = {fit.job: fit for fit in family.train(found.prepared, jobs, deadline=Deadline.never())}
    for fit in found.fits:
        rows = found.tested_by(fit)
        np.testing.assert_allclose(fit.losses[rows], alone[fit.job].losses[rows])


def test_what_cannot_tie_is_not_trained_further() -> None:
    family = StagedFamily(noise=0.03)
    found = widened(family, lambda results: results.n_folds >= 3)
    n_all = len(found.fits)
    last = [kinds for folds, kinds in family.legs if folds == (found.order[2],)]
    assert 4 <= sum(map(len, last)) < n_all
    assert set(found.by_kind) == {"none", "l2", "l1", "elasticnet"}


def test_an_interrupt_on_a_further_fold_leaves_those_before() -> None:
    calls = {"left": 10_000}

    def raising(job: Job) -> BaseException | None:
        calls["left"] -= 1
        return KeyboardInterrupt() if calls["left"] < 0 else None

    def is_enough(results: Results) -> bool:
        calls["left"] = 2
        return False

    found = widened(StagedFamily(noise=1.0, raising=raising), is_enough)
    assert found.cut is not None
    assert found.cut.startswith("Ctrl-C came")
    assert "only 2 of 5 folds were used" in found.cut
    assert set(found.by_kind) == {"none", "l2", "l1", "elasticnet"}


def test_folds_that_the_time_left_out_are_no_folds_that_were_not_needed() -> None:
    deadline = Deadline.never()
    plan = replace(planned(StagedFamily(), make_effort(one=5, two=6)), is_race=True, n_begun=2)
    n_planned = sum(plan.trials.values())
    n_done = 0

    def progress(what: str, share: float) -> None:
        nonlocal n_done
        n_done += 1
        if share >= 1.0:
            deadline.cancel()

    family = StagedFamily(noise=1.0)
    found = tune(
        family,  # type: ignore[arg-type]
        family.prepared(),
        plan,
        seed=0,
        deadline=deadline,
        progress=progress,
    )
    assert n_done >= n_planned
    assert found.n_folds == 2
    assert found.cut is not None
    assert "only 2 of 5 folds were used" in found.cut


def test_a_resumed_run_widens_alike(tmp_path: Path) -> None:
    def is_enough(results: Results) -> bool:
        return results.n_folds >= 4

    at_once, resuming = StagedFamily(noise=1.0), StagedFamily(noise=1.0)
    whole = widened(at_once, is_enough)
    first = widened(StagedFamily(noise=1.0), lambda results: True, storage=tmp_path / "run")
    again = widened(resuming, is_enough, storage=tmp_path / "run")
    assert first.n_folds == 2
    assert resuming.fold_fits < at_once.fold_fits
    for one, other in zip(whole.fits, again.fits, strict=True):
        assert one.job == other.job
        np.testing.assert_allclose(one.losses, other.losses)


def test_no_fold_is_added_where_no_fit_was_finished() -> None:
    """A deadline before the first fit asked whether the folds are enough of nothing at all."""

    def is_enough(results: Results) -> bool:
        raise AssertionError(results)

    plan = replace(planned(StagedFamily(), make_effort(one=5, two=6)), is_race=True, n_begun=2)
    deadline = Deadline.never()
    deadline.cancel()
    family = StagedFamily()
    found = tune(family, family.prepared(), plan, seed=0, deadline=deadline, is_enough=is_enough)  # type: ignore[arg-type]
    assert not found.by_kind
    assert found.cut is not None
