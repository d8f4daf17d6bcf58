"""The search: counts, order, determinism, widening, deadlines, and that it says nothing."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import replace

import numpy as np
import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from search_fakes import ONE, NetworkFamily, RidgeFamily, make_effort, planned

from regadvisor import thresholds
from regadvisor.candidates import Range
from regadvisor.deadline import Deadline
from regadvisor.families.base import Fit, Job, Prepared
from regadvisor.search.refining import MIXED_SHARE, between, mixed
from regadvisor.search.tune import Tuned, tune
from regadvisor.search.widening import covering, widened


def search(family: RidgeFamily, *, seed: int = 0, deadline: Deadline | None = None, **effort: int) -> Tuned:
    return tune(
        family,
        family.prepared(),
        planned(family, make_effort(**effort)),
        seed=seed,
        deadline=Deadline.never() if deadline is None else deadline,
    )


def described(tuned: Tuned) -> list[tuple[object, ...]]:
    return [
        (trial.kind, trial.number, trial.regularizer, trial.seed, trial.fit.losses.tobytes())
        for trial in tuned.results.trials
    ]


def counts(tuned: Tuned) -> dict[str, int]:
    return dict(Counter(trial.kind for trial in tuned.results.trials))


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
    tuned = search(NetworkFamily(), n_widenings=0)
    expected = {"none": 3, "l2": 7, "l1": 7, "dropout": 3, "elasticnet": 9, "dropout_l2": 9}
    assert counts(tuned) == expected
    assert list(counts(tuned)) == list(expected)
    assert tuned.cut is None
    assert tuned.n_resumed == 0


def test_a_short_search_is_the_beginning_of_the_portfolio() -> None:
    family = RidgeFamily()
    tuned = search(family, one=3, two=3, seeds=1, n_widenings=0)
    strengths = [trial.strengths["l2"] for trial in tuned.results.trials if trial.kind == "l2"]
    assert strengths == list(ONE[:3])
    assert len(family.calls) == 1


def test_the_portfolio_comes_first_and_is_trained_in_one_call() -> None:
    family = RidgeFamily()
    search(family, n_widenings=0)
    portfolio = family.calls[0]
    assert Counter(job.regularizer.kind for job in portfolio) == {
        "none": 3,
        "l2": 5,
        "l1": 5,
        "elasticnet": 6,
    }
    assert len(family.calls) == 2


def test_jobs_are_interleaved_baseline_first() -> None:
    family = RidgeFamily()
    search(family)
    order = [job.regularizer.kind for job in family.calls[0]]
    assert order == ["none", "l2", "l1", "elasticnet"] * 3 + ["l2", "l1", "elasticnet"] * 2 + ["elasticnet"]


def test_only_the_baseline_has_several_seeds() -> None:
    tuned = search(RidgeFamily())
    seeds = {
        kind: {trial.seed for trial in tuned.results.trials if trial.kind == kind}
        for kind in ("none", "l2", "l1", "elasticnet")
    }
    assert len(seeds["none"]) == 3
    assert seeds["l2"] == seeds["l1"] == seeds["elasticnet"]
    assert seeds["l2"] < seeds["none"]


def test_the_search_finds_what_a_grid_finds() -> None:
    family = RidgeFamily(noise=2.0)
    prepared = family.prepared()
    tuned = search(family, one=30, two=6, n_widenings=0)
    grid = np.geomspace(family.penalty.low, family.penalty.high, 400)
    candidate = family.candidates(prepared)["l2"]
    fits = [family._fit(prepared, Job(regularizer=candidate.regularizer({"l2": l2}))) for l2 in grid]
    lowest = min(fit.losses.mean() for fit in fits)
    found = min(fit.losses.mean() for fit in tuned.results.by_kind["l2"])
    assert found <= 1.002 * lowest


def test_fits_that_fail_are_excluded_and_do_not_stop_the_search() -> None:
    def is_strong(job: Job) -> bool:
        return job.regularizer.kind == "l2" and job.regularizer.strengths()["l2"] > 0.5

    tuned = search(RidgeFamily(failing=is_strong), n_widenings=0)
    failed = [trial for trial in tuned.results.trials if is_strong(trial.fit.job)]
    assert len(failed) >= 2
    assert counts(tuned)["l2"] == 7
    assert tuned.results.n_excluded == {"l2": len(failed)}
    assert len(tuned.results.by_kind["l2"]) == 7 - len(failed)


def test_a_family_that_fails_at_everything_ends() -> None:
    tuned = search(RidgeFamily(failing=lambda job: True))
    assert counts(tuned) == {"none": 3, "l2": 7, "l1": 7, "elasticnet": 9}
    assert tuple(tuned.results.by_kind) == ("none",)


def test_fits_are_taken_from_the_result_if_the_family_calls_nobody_back() -> None:
    assert described(search(RidgeFamily(uses_callback=False))) == described(search(RidgeFamily()))


# ---------------------------------------------------------------------------------------- deadlines


def test_a_deadline_in_the_past_trains_nothing() -> None:
    family = RidgeFamily()
    tuned = search(family, deadline=Deadline.after(0.0))
    assert family.calls == []
    assert tuned.results.trials == ()
    assert tuned.cut == "the time was up after 0 of 26 fits (none was finished)"


def test_what_the_family_leaves_out_is_said_and_every_kind_has_something() -> None:
    tuned = search(RidgeFamily(n_at_most=6), one=5, two=6, n_widenings=0)
    assert counts(tuned) == {"none": 2, "l2": 2, "l1": 1, "elasticnet": 1}
    assert tuned.cut == (
        "the time was up after 6 of 19 fits (no regularizer 2, L2 2, L1 1, L1+L2 (elastic net) 1)"
    )


def test_the_deadline_is_checked_before_every_round() -> None:
    class Expiring(Deadline):
        def expired(self) -> bool:
            return bool(family.calls) and len(family.trained) == len(family.calls[0]) == 19

    family = RidgeFamily()
    tuned = search(family, deadline=Expiring(at_s=np.inf), n_widenings=0)
    assert len(family.calls) == 1
    assert tuned.cut == (
        "the time was up after 19 of 26 fits (no regularizer 3, L2 5, L1 5, L1+L2 (elastic net) 6)"
    )


def test_progress_rises_to_one() -> None:
    shares: list[float] = []
    family = RidgeFamily()
    tune(
        family,
        family.prepared(),
        planned(family, make_effort(n_widenings=0)),
        seed=0,
        deadline=Deadline.never(),
        progress=lambda stage, share: shares.append(share),
    )
    assert shares == sorted(shares)
    assert len(set(shares)) == 26
    assert shares[-1] == 1.0


# ----------------------------------------------------------------------------------------- widening


def test_an_optimum_on_the_upper_edge_widens_the_range() -> None:
    # Pure noise: the stronger the penalty the better, so the best lies on the edge.
    family = RidgeFamily(noise=100.0)
    tuned = search(family, one=5, two=6, n_widenings=2)
    tried = [trial.strengths["l2"] for trial in tuned.results.trials if trial.kind == "l2"]
    assert len(tried) == 5 + 2 * 2
    assert tried[5:] == pytest.approx([10**1.5, 1e2, 10**2.5, 1e3], rel=1e-12)
    assert tuned.cut is None


def test_a_hard_limit_is_respected() -> None:
    penalty = Range(low=1e-3, high=1e1, hard_high=20.0)
    family = RidgeFamily(noise=100.0, penalty=penalty)
    tuned = search(family, n_widenings=2)
    tried = [trial.strengths["l2"] for trial in tuned.results.trials if trial.kind == "l2"]
    assert max(tried) == 20.0


def test_an_optimum_inside_widens_nothing() -> None:
    tuned = search(RidgeFamily(noise=1.0), one=5, two=6, n_widenings=2)
    assert counts(tuned) == {"none": 3, "l2": 5, "l1": 5, "elasticnet": 6}


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

    helped = search(Strong(noise=1.0), one=3, two=3, n_widenings=1)
    tried = [trial.strengths["l2"] for trial in helped.results.trials if trial.kind == "l2"]
    assert tried[3:] == pytest.approx([0.5 / 10**0.5, 0.05], rel=1e-12)
    clean = search(Strong(noise=0.01), one=3, two=3, n_widenings=1)
    assert counts(clean)["l2"] == 3


def test_the_search_goes_on_in_the_wider_range() -> None:
    family = RidgeFamily(noise=100.0)
    tuned = search(family, one=14, two=6, n_widenings=2)
    tried = [trial.strengths["l2"] for trial in tuned.results.trials if trial.kind == "l2"]
    assert 5 + 4 + 4 <= len(tried) <= 14 + 4  # portfolio, two widenings, and searching until it settles
    assert any(
        value > 10 and not np.isclose(np.log10(value) * 2, round(np.log10(value) * 2)) for value in tried
    )


STRENGTH = st.floats(1e-6, 1e6)


@given(low=STRENGTH, width=st.floats(1.5, 1e6), share=st.floats(0, 1), may_go_down=st.booleans())
def test_widening_on_a_log_scale(low: float, width: float, share: float, may_go_down: bool) -> None:
    span = Range(low=low, high=low * width, hard_low=low / 3, hard_high=low * width * 1e3)
    best = min(max(span.at(share), span.low), span.high)
    ranges, points = widened({"l2": span}, {"l2": best}, may_go_down=may_go_down)
    wider = ranges["l2"]
    if 0.11 < share < 0.89:
        assert (wider, points) == (span, [])
    if share > 0.91:
        assert (wider.low, wider.high) == (span.low, span.high * thresholds.WIDEN_FACTOR)
    if share < 0.09:
        assert (wider.low < span.low) == may_go_down
        assert wider.low >= span.hard_low
    assert len(points) == (0 if wider == span else 2)
    for point in points:
        assert wider.low <= point["l2"] <= wider.high
        assert not span.low < point["l2"] < span.high


def test_widening_on_a_linear_scale_stays_below_one() -> None:
    span = Range(low=0.1, high=0.7, is_log=False)
    ranges, points = widened({"dropout": span}, {"dropout": 0.7}, may_go_down=True)
    assert ranges["dropout"].high == thresholds.HIGHEST_DROPOUT
    assert [point["dropout"] for point in points] == pytest.approx([0.825, 0.95], rel=1e-12)
    ranges, points = widened({"dropout": span}, {"dropout": 0.1}, may_go_down=True)
    assert (ranges["dropout"], points) == (span, [])


def test_widening_one_strength_keeps_the_other_at_its_best() -> None:
    span = Range(low=0.01, high=1.0)
    ranges, points = widened({"l1": span, "l2": span}, {"l1": 1.0, "l2": 0.1}, may_go_down=False)
    assert ranges == {"l1": Range(low=0.01, high=10.0), "l2": span}
    assert [point["l2"] for point in points] == [0.1, 0.1]


def test_a_range_without_width_is_left_alone() -> None:
    span = Range(low=0.5, high=0.5)
    assert widened({"l2": span}, {"l2": 0.5}, may_go_down=True) == ({"l2": span}, [])
    assert covering(span, []) == span
    assert covering(span, [span.low / 2]) == replace(span, low=span.low / 2)
    assert covering(span, [span.high * 2]) == replace(span, high=span.high * 2)
    drop = Range(low=0.2, high=0.5, is_log=False)
    assert widened({"dropout": drop}, {"dropout": 0.5}, may_go_down=False)[0][
        "dropout"
    ].high == pytest.approx(0.65)


def test_a_tried_neighbour_less_than_twice_as_strong_is_a_neighbour() -> None:
    span, best = Range(low=1e-3, high=10.0), {"l1": 0.1}
    found = between({"l1": span}, best, [{"l1": 0.1 / 1.98}, best, {"l1": 0.198}])
    assert [point["l1"] for point in found] == pytest.approx([0.1 * 1.98**0.5, 0.1 / 1.98**0.5])


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


# ----------------------------------------------------------------------------------------- refining


class Favouring(RidgeFamily):
    """Every kind but one (and its baseline) has losses 5% higher."""

    def __init__(self, kind: str) -> None:
        super().__init__(noise=1.0)
        self.favoured = kind

    def _fit(self, prepared: Prepared, job: Job) -> Fit:
        fit = super()._fit(prepared, job)
        return fit if job.regularizer.kind == self.favoured else replace(fit, losses=1.05 * fit.losses)


def test_a_kind_that_may_win_is_tried_between_what_was_tried() -> None:
    family = Favouring("l2")
    tuned = search(family, one=5, two=6, n_widenings=0, n_refinements=1)
    trials = [trial for trial in tuned.results.trials if trial.kind == "l2"]
    first, added = trials[:5], trials[5:]
    losses = {trial.strengths["l2"]: tuned.results.fit_loss(trial.fit) for trial in trials}
    tried = sorted(trial.strengths["l2"] for trial in first)
    best = min(tried, key=losses.__getitem__)
    at = tried.index(best)
    expected = [np.sqrt(best * tried[k]) for k in (at + 1, at - 1)]
    assert [trial.strengths["l2"] for trial in added] == pytest.approx(expected)
    assert len(family.calls) == 2, "the portfolio, then the points between"
    assert tuned.cut is None


def test_a_kind_that_is_behind_is_not_refined() -> None:
    found = counts(search(Favouring("l2"), one=5, two=6, n_widenings=0, n_refinements=1))
    assert found == {"none": 3, "l2": 7, "l1": 5, "elasticnet": 6}


def test_a_combination_is_mixed_once_from_what_is_best_alone() -> None:
    effort = replace(make_effort(one=5, two=3, n_widenings=0), mixing=frozenset({"mlp"}))
    family = NetworkFamily()
    tuned = tune(family, family.prepared(), planned(family, effort), seed=0, deadline=Deadline.never())
    assert [len(jobs) for jobs in family.calls[1:]] == [2], "the mixes are trained together"
    best = {
        trial.kind: trial.strengths
        for trial in sorted(tuned.results.trials, key=lambda trial: -tuned.results.fit_loss(trial.fit))
    }
    for kind in ("elasticnet", "dropout_l2"):
        *portfolio, mix = [trial.strengths for trial in tuned.results.trials if trial.kind == kind]
        assert len(portfolio) == 3
        expected = {name: best[name][name] * (1.0 if name == "dropout" else MIXED_SHARE) for name in mix}
        assert mix == pytest.approx(expected)


def test_no_mix_where_it_was_as_good_as_tried_or_a_part_is_not_searched() -> None:
    spans = {"l1": Range(low=0.01, high=1.0), "dropout": Range(low=0.05, high=0.6, is_log=False)}
    alone = {"l1": 0.4, "l2": 3.0, "dropout": 0.2}
    assert mixed(spans, alone, []) == [{"l1": 0.2, "dropout": 0.2}]
    assert mixed(spans, alone, [{"l1": 0.2 * 1.3, "dropout": 0.25}]) == []
    assert mixed(spans, alone, [{"l1": 0.2 * 1.5, "dropout": 0.2}]) != []
    assert mixed(spans, {"l1": 0.4}, []) == []
    assert mixed(spans, {**alone, "l1": 5.0}, []) == [{"l1": 1.0, "dropout": 0.2}]  # within the range


@given(best=st.sampled_from([0.03, 0.12, 0.5]), drop=st.sampled_from([0.0, 0.1, 0.4]))
def test_points_between_stay_inside_and_apart(best: float, drop: float) -> None:
    ranges = {"l1": Range(low=0.02, high=0.6)}
    tried = [{"l1": value} for value in (0.03, 0.12, 0.5)]
    point = {"l1": best}
    if drop:
        ranges["dropout"] = Range(low=0.05, high=0.6, is_log=False)
        tried, point = [{**each, "dropout": drop} for each in tried], {**point, "dropout": drop}
    for found in between(ranges, point, tried):
        assert 0.02 <= found["l1"] <= 0.6
        assert all(abs(np.log(found["l1"] / each["l1"])) > np.log(1.39) for each in tried)
        assert found.get("dropout", 0.0) == drop
