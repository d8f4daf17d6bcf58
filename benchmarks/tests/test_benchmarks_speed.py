"""The benchmarks of speed and of the questions run on toy sizes, and count and compare what they say."""

from __future__ import annotations

import numpy as np
import pytest

# ------------------------------------------------------------------------------------------- questions


def test_rate_has_wilsons_interval():
    from questions_rates import Rate

    rate = Rate(check="x", on="y", hits=9, tries=10, wanted=0.9, side="at least")
    # Wilson's formula, by hand.
    z, n, p = 1.959963984540054, 10, 0.9
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    assert rate.interval == pytest.approx((middle - half, middle + half))
    assert rate.holds
    assert "9 of 10 (90%)" in rate.line()


def test_tilted_rows_are_shifted_as_wanted():
    from questions_sample import tilted_rows

    values = np.random.default_rng(0).normal(size=4_000)
    rows = tilted_rows(values, 1_000, 0.25, np.random.default_rng(1))
    rest = np.delete(values, rows)
    assert len(np.unique(rows)) == 1_000
    assert (values[rows].mean() - rest.mean()) / values.std() == pytest.approx(0.25, abs=0.01)


def test_questions_of_the_sample_run_small():
    from questions_sample import DESIGNS, drift_rates, shifted_draws

    rates = [*shifted_draws(DESIGNS[0], tries=2, seed=0), *drift_rates(tries=1, seed=0)]
    assert [rate.tries for rate in rates] == [2, 2, 1, 1, 1, 1]
    assert rates[0].hits == rates[1].hits == 2  # 0.25 sd at 2,000 rows cannot be missed twice


def test_questions_of_the_features_run_small():
    from questions_features import correlation_rates, picture_rates

    rates = [*correlation_rates(None, tries=1, seed=0), *picture_rates(None, tries=1, seed=0)]
    assert {rate.check for rate in rates} == {"Q3a: yes", "Q3a: no", "Q3b: yes", "Q3b: no"}


# ----------------------------------------------------------------------------------------------- speed


def test_sides_alternate_and_are_counted():
    from speed_measure import Timing, side_by_side

    order = []

    def side(name, wall_s):
        order.append(name)
        return Timing(wall_s=wall_s, cpu_s=2 * wall_s, result=name)

    found = side_by_side({"a": lambda: side("a", 1.0), "b": lambda: side("b", 3.0)}, repeats=3)
    assert order == ["a", "b"] * 3
    assert (found["b"].wall_s, found["b"].cpu_s, found["b"].n_repeats) == (3.0, 6.0, 3)


def test_no_round_is_begun_that_does_not_fit():
    from speed_measure import Timing, side_by_side

    assert side_by_side({"a": lambda: Timing(wall_s=1.0, cpu_s=1.0)}, limit_s=0.0)["a"].n_repeats == 1


def test_functions_run_in_processes_of_their_own():
    from speed_measure import in_process

    assert in_process("speed_measure:process_report", value=3)["value"] == 3
    with pytest.raises(RuntimeError, match="failed"):
        in_process("speed_measure:process_report", other=1)


@pytest.mark.parametrize("model", ["mlp", "module"])
def test_plain_torch_ends_with_the_same_losses(model):
    """The case raises if any held-out loss differs; dropout and L1 are among its jobs."""
    from speed_batched import N_FOLDS, case

    found = case(
        model=model,
        n_models=7 * N_FOLDS,
        device="cpu",
        repeats=1,
        limit_s=0.0,
        n_rows=400,
        epochs=2,
        n_plain=7,
    )
    assert found["difference"] < 1e-4
    assert found["steps"] == 2 * 3  # 300 training rows in three batches of 100


def test_full_runs_are_timed_in_full_or_extended(monkeypatch):
    import speed_data
    import speed_full_run

    from regadvisor import advise
    from regadvisor.families.neural.recipe import Recipe

    data = speed_data.synthetic(300, 5)
    advice = advise(data.X, data.y, model="mlp", recipe=Recipe(epochs=2), budget=0)
    monkeypatch.setattr(speed_full_run, "MOST_STEPS", 2)
    monkeypatch.setattr(speed_full_run, "FULL_FIT_S", 0.0)
    plain = speed_full_run.plain_run(data, advice, epochs=4)
    own = speed_full_run.own_run(data, advice, epochs=4)
    assert plain.wall_s > 0
    assert own.wall_s > 0


def test_linear_searches_are_those_of_scikit_learn(monkeypatch):
    import speed_linear

    monkeypatch.setattr(speed_linear, "L1_RATIOS", [0.0, 1.0])
    found = speed_linear.sklearn_case(name="", n=120, folder=None, repeats=1)
    assert found["n_encoded"] == 30
    assert found["wall_s"] > 0


def test_mixed_jobs_are_distinct_and_of_all_kinds():
    import speed_data
    from speed_batched import mixed_jobs

    from regadvisor.data.source import make_table
    from regadvisor.families.linear.family import LinearFamily
    from regadvisor.sampling.folds import make_folds

    data = speed_data.synthetic(100, 5)
    table, family = make_table(data.X, data.y), LinearFamily()
    prepared = family.prepare(table, make_folds(table).folds, seed=0)
    jobs = mixed_jobs(family, prepared, 40)
    assert {job.regularizer.kind for job in jobs} == set(family.kinds)
    penalised = [job.regularizer for job in jobs if job.regularizer.kind != "none"]
    assert len(set(penalised)) == len(penalised)
