"""The search: counts, order, determinism, after the portfolio, deadlines, and that it says nothing."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import replace

import numpy as np
import optuna
import pytest
from search_fakes import ONE, NetworkFamily, RidgeFamily, make_effort, planned

from regadvisor import thresholds
from regadvisor.candidates import Range
from regadvisor.deadline import Deadline
from regadvisor.families.base import Fit, Job, Prepared
from regadvisor.regularizer import Regularizer
from regadvisor.search.results import Results
from regadvisor.search.tune import tune


def search(family: RidgeFamily, *, seed: int = 0, deadline: Deadline | None = None, **effort: int) -> Results:
    return tune(
        family,
        family.prepared(),
        planned(family, make_effort(**effort)),
        seed=seed,
        deadline=Deadline.never() if deadline is None else deadline,
    )


def described(tuned: Results) -> list[tuple[object, ...]]:
    return [(fit.job, fit.losses.tobytes()) for fit in tuned.fits]


def counts(tuned: Results) -> dict[str, int]:
    return dict(Counter(fit.job.kind for fit in tuned.fits))


def test_the_same_seed_gives_the_same_search() -> None:
    assert described(search(NetworkFamily(), seed=3)) == described(search(NetworkFamily(), seed=3))
    assert described(search(NetworkFamily(), seed=3)) != described(search(NetworkFamily(), seed=4))


def test_the_global_random_state_is_neither_read_nor_written() -> None:
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    first = described(search(RidgeFamily()))
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002
    np.random.seed(99)  # noqa: NPY002
    assert described(search(RidgeFamily())) == first


def test_every_kind_gets_its_trials() -> None:
    tuned = search(NetworkFamily(), n_rounds=0)
    expected = {"none": 3, "l2": 5, "l1": 5, "dropout": 3, "elasticnet": 6, "dropout_l2": 4}
    assert counts(tuned) == expected
    assert list(counts(tuned)) == list(expected)
    assert tuned.cut is None


def test_a_short_search_is_the_beginning_of_the_portfolio() -> None:
    family = RidgeFamily()
    tuned = search(family, one=3, two=3, seeds=1, n_rounds=0)
    strengths = [fit.job.regularizer.strengths()["l2"] for fit in tuned.fits if fit.job.kind == "l2"]
    assert strengths == list(ONE[:3])
    assert len(family.calls) == 1


def test_the_portfolio_comes_first_and_is_trained_in_one_call() -> None:
    family = RidgeFamily()
    search(family)
    portfolio = family.calls[0]
    assert Counter(job.kind for job in portfolio) == {"none": 3, "l2": 5, "l1": 5, "elasticnet": 6}
    assert len(family.calls) == 2


def test_jobs_are_interleaved_baseline_first() -> None:
    family = RidgeFamily()
    search(family)
    order = [job.kind for job in family.calls[0]]
    assert order == ["none", "l2", "l1", "elasticnet"] * 3 + ["l2", "l1", "elasticnet"] * 2 + ["elasticnet"]


def test_only_the_baseline_has_several_seeds() -> None:
    tuned = search(RidgeFamily())
    seeds = {
        kind: {fit.job.seed for fit in tuned.fits if fit.job.kind == kind}
        for kind in ("none", "l2", "l1", "elasticnet")
    }
    assert len(seeds["none"]) == 3
    assert seeds["l2"] == seeds["l1"] == seeds["elasticnet"]
    assert seeds["l2"] < seeds["none"]


def test_the_search_finds_what_a_grid_finds() -> None:
    family = RidgeFamily(noise=2.0)
    prepared = family.prepared()
    tuned = search(family, one=30, two=6)
    grid = np.geomspace(family.penalty.low, family.penalty.high, 400)
    candidate = family.candidates(prepared)["l2"]
    fits = [family._fit(prepared, Job(regularizer=candidate.regularizer({"l2": l2}))) for l2 in grid]
    lowest = min(fit.losses.mean() for fit in fits)
    found = min(fit.losses.mean() for fit in tuned.by_kind["l2"])
    assert found <= 1.002 * lowest


def test_fits_that_fail_are_excluded_and_do_not_stop_the_search() -> None:
    def is_strong(job: Job) -> bool:
        return job.kind == "l2" and job.regularizer.strengths()["l2"] > 0.5

    tuned = search(RidgeFamily(failing=is_strong))
    failed = [fit for fit in tuned.fits if is_strong(fit.job)]
    assert len(failed) >= 2
    assert counts(tuned)["l2"] == len(tried(tuned)) >= 5
    assert tuned.n_excluded == {"l2": len(failed)}
    assert len(tuned.by_kind["l2"]) == len(tried(tuned)) - len(failed)


def test_a_kind_of_which_no_fit_converged_is_not_searched_on() -> None:
    tuned = search(RidgeFamily(failing=lambda job: job.kind == "l1"))
    assert counts(tuned)["l1"] == 5
    assert set(tuned.by_kind) == {"none", "l2", "elasticnet"}


def test_a_family_that_fails_at_everything_ends() -> None:
    tuned = search(RidgeFamily(failing=lambda job: True))
    assert counts(tuned) == {"none": 3, "l2": 5, "l1": 5, "elasticnet": 6}
    assert tuple(tuned.by_kind) == ("none",)


def test_fits_are_taken_from_the_result_if_the_family_calls_nobody_back() -> None:
    assert described(search(RidgeFamily(uses_callback=False))) == described(search(RidgeFamily()))


# ---------------------------------------------------------------------------------------- deadlines


def test_a_deadline_in_the_past_trains_nothing() -> None:
    family = RidgeFamily()
    tuned = search(family, deadline=Deadline.after(0.0))
    assert family.calls == []
    assert tuned.fits == ()
    assert tuned.cut == "the time was up after 0 of 19 fits (none on all folds)"


def test_what_the_family_leaves_out_is_said_and_every_kind_has_something() -> None:
    tuned = search(RidgeFamily(n_at_most=6), one=5, two=6)
    assert counts(tuned) == {"none": 2, "l2": 2, "l1": 1, "elasticnet": 1}
    assert tuned.cut == (
        "the time was up after 6 of 19 fits (no regularizer 2, L2 2, L1 1, L1+L2 (elastic net) 1)"
    )


def test_the_deadline_is_checked_before_every_round() -> None:
    class Expiring(Deadline):
        def expired(self) -> bool:
            return bool(family.calls) and len(family.trained) == len(family.calls[0]) == 19

    family = RidgeFamily()
    tuned = search(family, deadline=Expiring(at_s=np.inf))
    assert len(family.calls) == 1
    assert len(tuned.fits) == 19


def test_progress_rises_to_one() -> None:
    shares: list[float] = []
    family = RidgeFamily()
    tune(
        family,
        family.prepared(),
        planned(family, make_effort()),
        seed=0,
        deadline=Deadline.never(),
        progress=lambda stage, share: shares.append(share),
    )
    assert shares == sorted(shares)
    assert len(set(shares)) == 19, "every fit of the portfolio"
    assert shares[-1] == 1.0


# ------------------------------------------------------------------------------- after the portfolio


def tried(tuned: Results, kind: str = "l2") -> list[float]:
    return [fit.job.regularizer.strengths()[kind] for fit in tuned.fits if fit.job.kind == kind]


def test_an_optimum_on_the_edge_moves_the_search_on_by_a_decade_a_round() -> None:
    # Pure noise: the stronger the penalty the better, so the best lies on the edge.
    tuned = search(RidgeFamily(noise=100.0), n_rounds=2)
    first, second = max(tried(tuned)[:7]), max(tried(tuned))
    assert max(ONE) < first <= 10 * max(ONE) * (1 + 1e-9)
    assert first < second <= 10 * first * (1 + 1e-9)
    assert tuned.cut is None


def test_a_hard_limit_is_respected() -> None:
    penalty = Range(low=1e-3, high=1e1, hard_high=20.0)
    tuned = search(RidgeFamily(noise=100.0, penalty=penalty), n_rounds=4)
    assert 10.0 < max(tried(tuned)) <= 20.0


def test_a_lower_edge_moves_only_below_the_baseline() -> None:
    span = Range(low=0.5, high=50.0, hard_low=1e-4)

    class Strong(RidgeFamily):
        def candidates(self, prepared):  # type: ignore[no-untyped-def]
            found = dict(super().candidates(prepared))
            portfolio = tuple({"l2": value} for value in (0.5, 5.0, 50.0))
            found["l2"] = type(found["l2"])(
                kind="l2", coupling="loss", ranges={"l2": span}, portfolio=portfolio
            )
            return found

    helped = search(Strong(noise=1.0), one=3, two=3, n_rounds=2)
    assert 0.05 <= min(tried(helped)[3:5]) < 0.5
    clean = search(Strong(noise=0.01), one=3, two=3, n_rounds=2)
    assert min(tried(clean)) == 0.5


@pytest.mark.parametrize("is_limit", [False, True])
def test_l2_is_searched_down_where_no_best_fit_without_a_penalty_exists(is_limit: bool) -> None:
    class Separable(RidgeFamily):
        """The less L2 the better, and no regularization is better still by far."""

        def _fit(self, prepared: Prepared, job: Job) -> Fit:
            fit, asked = super()._fit(prepared, job), job.regularizer
            loss = {"none": 0.1, "l2": 0.5 + asked.l2}.get(asked.kind, 1.0)
            return replace(
                fit, losses=np.full_like(fit.losses, loss), is_limit=is_limit and asked.kind == "none"
            )

    tuned = search(Separable(), n_rounds=2)
    lowest = min(value for value in ONE)
    assert (min(tried(tuned)) < lowest / 5) == is_limit
    assert (len(tried(tuned)) > len(ONE)) == is_limit


class Favouring(RidgeFamily):
    """Every kind but one (and its baseline) has losses 5% higher."""

    def __init__(self, kind: str) -> None:
        super().__init__(noise=1.0)
        self.favoured = kind

    def _fit(self, prepared: Prepared, job: Job) -> Fit:
        fit = super()._fit(prepared, job)
        return fit if job.kind == self.favoured else replace(fit, losses=1.05 * fit.losses)


def test_a_kind_that_may_win_is_searched_on_and_one_that_is_behind_is_not() -> None:
    family = Favouring("l2")
    tuned = search(family)
    assert counts(tuned) == {"none": 3, "l2": 7, "l1": 5, "elasticnet": 6}
    assert [len(jobs) for jobs in family.calls] == [19, 2], "the portfolio, then the points that pay"
    assert tuned.cut is None


def test_the_search_ends_where_nothing_more_is_expected() -> None:
    family = Favouring("l2")
    tuned = search(family, n_rounds=50)
    assert counts(tuned)["l2"] < 5 + 2 * 8
    lowest = min(tuned.fit_loss(fit) for fit in tuned.by_kind["l2"])
    prepared = family.prepared()
    grid = [
        tuned.fit_loss(family._fit(prepared, Job(regularizer=Regularizer(l2=float(l2)))))
        for l2 in np.geomspace(1e-3, 1e3, 600)
    ]
    assert lowest <= (1 + thresholds.SETTLED_GAIN) * min(grid)


# -------------------------------------------------------------------------------------------- silence


def test_nothing_is_printed_logged_or_left_behind(capfd: pytest.CaptureFixture[str], tmp_path) -> None:  # type: ignore[no-untyped-def]
    records: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = records.append  # type: ignore[method-assign]
    root = logging.getLogger("optuna")
    loggers = [
        root,
        *(logging.getLogger(name) for name in logging.root.manager.loggerDict if "optuna" in name),
    ]
    before = [(logger.level, logger.propagate, list(logger.filters)) for logger in loggers]
    root.addHandler(handler)
    try:
        family = RidgeFamily(noise=100.0)
        for _ in range(2):
            tune(
                family,
                family.prepared(),
                planned(family, make_effort()),
                seed=0,
                deadline=Deadline.never(),
                storage=tmp_path / "journal.log",
            )
    finally:
        root.removeHandler(handler)
    assert [(logger.level, logger.propagate, list(logger.filters)) for logger in loggers] == before
    assert optuna.logging.get_verbosity() == optuna.logging.INFO
    assert records == []
    assert capfd.readouterr() == ("", "")
