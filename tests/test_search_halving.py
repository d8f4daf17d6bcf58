"""Stopping losers after the first folds, against training everything everywhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from search_fakes import StagedFamily, make_effort, planned

from regadvisor.compare.panel import Panel
from regadvisor.deadline import Deadline
from regadvisor.families.base import Fit, Fold, Job, Prepared, folds_in_order
from regadvisor.plan.effort import first_stage, n_kept
from regadvisor.regularizer import Regularizer
from regadvisor.search.halving import merged, survivors
from regadvisor.search.results import Results, panel_arrays, to_scores
from regadvisor.search.tune import tune

N_FOLDS = StagedFamily.n_folds
FIRST = (0, 1)


def search(family: StagedFamily, storage: Path | None = None) -> Results:
    return tune(
        family,  # type: ignore[arg-type]
        family.prepared(),
        planned(family, make_effort(one=5, two=6, n_rounds=0)),
        seed=0,
        deadline=Deadline.never(),
        storage=storage,
    )


def kinds(results: Results, *, is_stopped: bool) -> list[str]:
    return [fit.job.kind for fit in results.fits if (fit.folds is not None) == is_stopped]


def test_a_third_of_every_kind_goes_on_and_the_baseline_always() -> None:
    family = StagedFamily(noise=1.0)
    results = search(family)
    assert kinds(results, is_stopped=False) == ["none"] * 3 + ["l2"] * 2 + ["l1"] * 2 + ["elasticnet"] * 2
    assert kinds(results, is_stopped=True) == ["l2"] * 3 + ["l1"] * 3 + ["elasticnet"] * 4
    assert family.fold_fits == 19 * 2 + 9 * 3


def test_survivors_are_what_training_on_all_folds_gives() -> None:
    family = StagedFamily(noise=1.0)
    results = search(family)
    everywhere = StagedFamily(noise=1.0)
    for fit in results.fits:
        (whole,) = everywhere.train(results.prepared, [fit.job], deadline=Deadline.never())
        if fit.folds is None:
            np.testing.assert_array_equal(fit.losses, whole.losses)
            np.testing.assert_array_equal(fit.train_losses, whole.train_losses)
            np.testing.assert_array_equal(fit.epochs, whole.epochs)
            np.testing.assert_allclose(fit.zeroed, whole.zeroed)
            assert fit.sum_lr == pytest.approx(whole.sum_lr)


def test_survivors_lead_on_the_first_folds() -> None:
    results = search(StagedFamily(noise=1.0))
    rows = np.concatenate([results.prepared.folds[k].test for k in FIRST])
    for kind in ("l2", "l1", "elasticnet"):
        own = [fit for fit in results.fits if fit.job.kind == kind]
        kept = [fit.losses[rows].mean() for fit in own if fit.folds is None]
        stopped = [fit.losses[rows].mean() for fit in own if fit.folds is not None]
        assert max(kept) <= min(stopped)


def test_the_stopped_are_in_the_table_but_not_in_the_comparisons() -> None:
    results = search(StagedFamily(noise=1.0))
    assert {kind: len(losses) for kind, losses in panel_arrays(results).items()} == {
        "none": 1,
        "l2": 2,
        "l1": 2,
        "elasticnet": 2,
    }
    assert not results.n_excluded
    for score, fit in zip(to_scores(results), results.fits, strict=True):
        assert score.is_stopped == (fit.folds is not None)
        assert [loss is None for loss in score.fold_losses] == [
            fit.folds is not None and k > 1 for k in range(5)
        ]
        known = [loss for loss in score.fold_losses if loss is not None]
        assert score.loss == pytest.approx(np.mean(known))  # folds of equal size


@pytest.mark.parametrize("noise", [0.3, 3.0])
def test_later_candidates_go_on_only_if_ahead_of_the_leader_on_the_first_folds(noise: float) -> None:
    family = StagedFamily(noise=noise)
    effort = replace(make_effort(one=5, two=6), n_rounds=2)
    results = tune(family, family.prepared(), planned(family, effort), seed=0, deadline=Deadline.never())  # type: ignore[arg-type]
    rows = np.concatenate([results.prepared.folds[k].test for k in FIRST])
    n_later, n_gone_on = 0, 0
    for kind, n_portfolio in (("l2", 5), ("l1", 5), ("elasticnet", 6)):
        own = [fit for fit in results.fits if fit.job.kind == kind]
        leader = min((fit for fit in own[:n_portfolio] if fit.folds is None), key=lambda t: t.losses.mean())
        later = own[n_portfolio:]
        gone_on = [fit for fit in later if fit.folds is None]
        assert all(fit.losses[rows].mean() < leader.losses[rows].mean() for fit in gone_on)
        n_later, n_gone_on = n_later + len(later), n_gone_on + len(gone_on)
    assert n_gone_on < n_later


def test_what_does_not_converge_never_goes_on() -> None:
    family = StagedFamily(noise=1.0, failing=lambda job: job.regularizer.l2 == 0.1)
    results = search(family)
    failed = [fit for fit in results.fits if fit.job.regularizer.l2 == 0.1]
    assert failed
    assert all(fit.folds is not None for fit in failed)
    assert results.n_excluded["l2"] == 1


@pytest.mark.parametrize("n_first_run", [3, 12, 19])
def test_a_run_that_was_cut_goes_on_where_it_was(tmp_path: Path, n_first_run: int) -> None:
    journal = tmp_path / "journal"
    cut = StagedFamily(noise=1.0, n_at_most=n_first_run)
    search(cut, journal)
    rest = StagedFamily(noise=1.0)
    resumed = search(rest, journal)
    whole = StagedFamily(noise=1.0)
    for one, other in zip(resumed.fits, search(whole).fits, strict=True):
        assert one.job == other.job
        assert one.folds == other.folds
        np.testing.assert_array_equal(one.losses, other.losses)
    assert cut.fold_fits + rest.fold_fits == whole.fold_fits


@pytest.mark.parametrize(("n_rest", "n_folds"), [(9, 5), (8, 5), (7, 2), (2, 2), (0, 2)])
def test_what_a_deadline_cuts_is_compared_on_the_first_folds(n_rest: int, n_folds: int) -> None:
    class Cut(StagedFamily):
        def train(self, prepared: Prepared, jobs: Sequence[Job], **options: object) -> list[Fit]:  # type: ignore[override]
            self.n_at_most = 19 if options["folds"] == FIRST else n_rest
            return super().train(prepared, jobs, **options)  # type: ignore[arg-type]

    results = search(Cut(noise=1.0))
    assert results.n_folds == n_folds
    assert set(results.by_kind) == {"none", "l2", "l1", "elasticnet"}
    if n_folds == 2:
        assert {kind: len(fits) for kind, fits in results.by_kind.items()}["l2"] == 5
        assert not any(score.is_stopped for score in to_scores(results))
        rows = np.concatenate([results.prepared.folds[k].test for k in FIRST])
        for losses in panel_arrays(results).values():
            assert np.isfinite(losses[:, rows]).all()


def test_two_fits_become_one() -> None:
    family = StagedFamily(noise=1.0)
    prepared, first_folds = family.prepared(), first_stage(range(N_FOLDS), 2)
    stages = (first_folds, tuple(range(2, N_FOLDS)))
    job = Job(regularizer=search(family).fits[-1].job.regularizer)
    parts = [family.train(prepared, [job], deadline=Deadline.never(), folds=folds)[0] for folds in stages]
    first, rest = replace(parts[0], folds=stages[0]), replace(parts[1], folds=stages[1])
    (whole,) = family.train(prepared, [job], deadline=Deadline.never())
    np.testing.assert_array_equal(merged(first, rest, prepared).losses, whole.losses)
    assert merged(first, rest, prepared).folds is None


def part(folds: tuple[int, ...], *, value: float, **changes: object) -> Fit:
    """Return a fit on some of five folds of two rows; what it gave is `value` and the number of the fold."""
    by_fold = np.array([value + k if k in folds else np.nan for k in range(5)])
    return replace(
        Fit(
            job=Job(regularizer=Regularizer(l2=0.1)),
            losses=np.repeat(by_fold, 2),
            train_losses=by_fold / 2,
            zeroed=np.array([0.0, value]),
            converged=True,
            epochs=10 * by_fold,
            sum_lr=value,
            halfway=np.array([value, 2 * value]),
            fit_s=value,
            folds=folds,
        ),
        **changes,  # type: ignore[arg-type]
    )


def test_a_fit_on_two_sets_of_folds_is_the_mean_over_folds() -> None:
    everyone = np.arange(10)
    folds = tuple(
        Fold(train=everyone[everyone // 2 != k], test=everyone[everyone // 2 == k]) for k in range(5)
    )
    prepared = Prepared(
        folds=folds, n_rows=10, n_features=2, feature_names=("a", "b"), constant_losses=np.ones(10)
    )
    found = merged(part((0, 2), value=100.0), part((1, 3, 4), value=200.0), prepared)
    by_fold = np.array([100.0, 201.0, 102.0, 203.0, 204.0])
    np.testing.assert_array_equal(found.losses, np.repeat(by_fold, 2))
    np.testing.assert_array_equal(found.train_losses, by_fold / 2)
    np.testing.assert_array_equal(found.epochs, 10 * by_fold)
    np.testing.assert_allclose(found.zeroed, [0.0, 160.0])
    np.testing.assert_allclose(found.halfway, [160.0, 320.0])
    assert (found.sum_lr, found.fit_s, found.folds) == (pytest.approx(160.0), 300.0, None)
    assert (found.converged, found.is_limit) == (True, False)
    some = merged(part((0, 2), value=100.0), part((4,), value=200.0), prepared)
    assert some.folds == (0, 2, 4)
    # What one part does not know, the whole does not; a best fit exists where a part of the rows has one.
    for sides in ((0, 1), (1, 0)):
        lame: dict[str, object] = {
            "converged": False,
            "is_limit": True,
            "halfway": None,
            "sum_lr": None,
            "epochs": None,
        }
        first, rest = (part(((0, 2), (1, 3, 4))[side], value=1.0, **(lame if side else {})) for side in sides)
        both = merged(first, rest, prepared)
        assert (both.converged, both.is_limit, both.halfway) == (False, False, None)


def test_survivors_ignore_the_unconverged_and_break_ties_by_number() -> None:
    assert survivors({0: 1.0, 1: 1.0, 2: None, 3: 1.0}) == {0, 1}
    assert survivors({0: None}) == set()
    assert [n_kept(n) for n in range(1, 8)] == [1, 1, 1, 2, 2, 2, 3]


def test_a_cut_search_is_compared_on_whatever_folds_came_first() -> None:
    """Forward in time the largest folds come first, so the compared ones need not be numbers 0 and 1."""
    rng = np.random.default_rng(0)
    folds = tuple(Fold(train=np.arange(20 * k), test=np.arange(20 * k, 20 * (k + 1))) for k in range(1, 5))
    prepared = Prepared(
        folds=folds, n_rows=100, n_features=1, feature_names=("x",), constant_losses=np.ones(100)
    )
    order = folds_in_order([len(fold.train) for fold in folds])
    assert first_stage(order, 2) == (3, 2)
    results = Results(prepared=prepared, folds=(3, 2))
    labels = results.fold_labels
    assert set(labels[80:]) == {0}
    assert set(labels[60:80]) == {1}
    assert set(labels[:60]) == {-1}
    panel = Panel(losses={"none": rng.random((1, 100))}, constant=np.ones(100), fold=labels, n_folds=2)
    assert panel.n_rows == 40
