"""What becomes of a gain and of a strength at the full size: the sizes, the extrapolation, the reply."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler
from test_sampling_blocks import blocks, table

from regadvisor import advise
from regadvisor.compare.prior import transfer_prior
from regadvisor.compare.transfer import GainAt, gain_at_full, shrunk, vertex
from regadvisor.data.source import make_table
from regadvisor.deadline import Deadline
from regadvisor.errors import ParameterError
from regadvisor.families.linear import LinearFamily
from regadvisor.families.neural.recipe import Recipe
from regadvisor.flowchart.chart import EXTENDED
from regadvisor.flowchart.questions import JUDGES
from regadvisor.growing import _drift
from regadvisor.records import Evidence, GrowthEvidence, SampleEvidence
from regadvisor.regularizer import Regularizer
from regadvisor.sampling.draw import draw_sample
from regadvisor.sampling.thinning import thinned
from regadvisor.search.experiment import Results
from regadvisor.search.log import opened
from regadvisor.search.sizes import train_size

# ----------------------------------------------------------------------------------- the extrapolation


def sizes(power: float, se: float = 1e-4, level: float = 0.1) -> list[GainAt]:
    return [GainAt(n_rows=n, gain=level * (n / 800) ** -power, se=se) for n in (200, 400, 800)]


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0, -0.3])
def test_a_clear_power_is_followed(power: float) -> None:
    found = gain_at_full(sizes(power), n_rows=6_400, power=(0.5, 0.5), scatter=0.0, region=0.005)
    assert found.power == pytest.approx(power, abs=0.02)
    assert found.gain == pytest.approx(0.1 * 8**-power, rel=0.03)


def test_the_posterior_is_that_of_numerical_integration() -> None:
    measured = [GainAt(n_rows=200, gain=0.2, se=0.05), GainAt(n_rows=800, gain=0.12, se=0.04)]
    mean, sd, ratio = 0.6, 0.4, 5.0

    def joint(level: float, power: float) -> float:
        chance = stats.norm.pdf(0.12, level, 0.04) * stats.norm.pdf(0.2, level * 4**power, 0.05)
        return float(chance * stats.norm.pdf(power, mean, sd))

    area = {"epsabs": 1e-7}
    total = integrate.dblquad(joint, -1.5, 2.5, -0.3, 0.5, **area)[0]
    kept = integrate.dblquad(lambda g, a: ratio**-a * joint(g, a), -1.5, 2.5, -0.3, 0.5, **area)[0]
    found = gain_at_full(measured, n_rows=4_000, power=(mean, sd), scatter=0.0, region=0.005)
    assert found.gain == pytest.approx(0.12 * kept / total, rel=2e-3)


def test_sizes_that_count_for_nothing_leave_the_prior() -> None:
    found = gain_at_full(sizes(1.0), n_rows=8_000, power=(0.5, 0.2), scatter=0.0, region=0.005, own_share=0.0)
    assert (found.power, found.power_sd) == pytest.approx((0.5, 0.2), abs=1e-3)


def test_nothing_is_extrapolated_where_the_sample_is_everything() -> None:
    found = gain_at_full(
        [GainAt(n_rows=500, gain=0.03, se=0.01)], n_rows=500, power=(1.0, 0.5), scatter=0.2, region=0.005
    )
    assert found.gain == pytest.approx(0.03)
    assert (found.low, found.high) == pytest.approx((0.03 - 0.0196, 0.03 + 0.0196), abs=1e-4)
    assert found.p_better == pytest.approx(stats.norm.sf(0.005, 0.03, 0.01), abs=1e-6)


@settings(max_examples=60, deadline=None)
@given(
    gain=st.floats(-0.5, 0.9),
    se=st.floats(1e-3, 0.5),
    ratio=st.floats(1.0, 200.0),
    further=st.floats(1.1, 10.0),
)
def test_masses_add_up_and_intervals_widen_with_the_scatter(
    gain: float, se: float, ratio: float, further: float
) -> None:
    measured = [GainAt(n_rows=1_000, gain=gain, se=se)]
    narrow, wide = (
        gain_at_full(
            measured, n_rows=1_000 * ratio * further, power=(0.5, 0.3), scatter=scatter, region=0.005
        )
        for scatter in (0.0, 0.1)
    )
    assert narrow.p_better + narrow.p_same + narrow.p_worse == pytest.approx(1.0)
    assert narrow.low <= narrow.high
    assert wide.high - wide.low >= narrow.high - narrow.low - 1e-9


def test_an_empty_measurement_is_refused() -> None:
    with pytest.raises(ParameterError, match="measured must not be empty"):
        gain_at_full([], n_rows=10, power=(1.0, 1.0), scatter=0.0, region=0.005)


@given(at=st.floats(-0.9, 0.9), curve=st.floats(0.1, 10.0))
def test_the_vertex_of_a_parabola_is_found(at: float, curve: float) -> None:
    logs = [-2.0, -1.0, 0.0, 1.0, 2.0]
    assert vertex(logs, [curve * (x - at) ** 2 for x in logs]) == pytest.approx(at, abs=1e-6)


def test_an_optimum_at_the_end_stays_there() -> None:
    assert vertex([0.0, 1.0, 2.0], [3.0, 2.0, 1.0]) == 2.0
    assert shrunk(0.4, math.sqrt(3.0), sd=1.0)[0] == pytest.approx(0.1)


# ------------------------------------------------------------------------------------------- the sizes


def test_smaller_samples_are_nested_and_keep_the_classes() -> None:
    _, drawn = blocks(table())
    assert drawn is not None
    half, smaller = thinned(drawn, 0.75, seed=1), thinned(drawn, 0.5, seed=1)
    assert half is not None
    assert smaller is not None
    for whole, many, few in zip(drawn.folds, half, smaller, strict=True):
        assert (len(many.train), len(few.train)) == (60, 40)
        assert set(few.train) <= set(many.train) <= set(whole.train)
        np.testing.assert_array_equal(few.test, whole.test)
        share = drawn.table.y[whole.train].mean()
        assert abs(drawn.table.y[few.train].mean() - share) <= 1 / 40
    assert thinned(drawn, 0.25, seed=1) is None, "twenty rows are too few"


def test_groups_stay_whole_in_smaller_samples() -> None:
    rng = np.random.default_rng(0)
    group = np.repeat(np.arange(60), 10)
    source = make_table(rng.normal(size=(600, 3)), rng.normal(size=600), groups=group)
    drawn = draw_sample(source, n_rows=600, folds=4)
    smaller = thinned(drawn, 0.5, seed=0)
    assert smaller is not None
    groups = np.asarray(drawn.table.groups)
    for whole, few in zip(drawn.folds, smaller, strict=True):
        names, counts = np.unique(groups[few.train], return_counts=True)
        assert (counts == 10).sum() >= len(names) - 1, "all but the last one"
        assert len(few.train) == round(len(whole.train) / 2)


def test_a_size_is_trained_as_scikit_learn_trains_it() -> None:
    rng = np.random.default_rng(0)
    X, noise = rng.normal(size=(400, 6)), rng.normal(size=400)
    drawn = draw_sample(make_table(X, X[:, 0] + noise), n_rows=400, folds=4)
    folds = thinned(drawn, 0.5, seed=2)
    assert folds is not None
    family = LinearFamily()
    prepared = family.prepare(drawn.table, folds, seed=0)
    fits = train_size(
        family,
        prepared,
        Regularizer(l2=0.1),
        factors=(0.5, 1.0),
        seed=0,
        deadline=Deadline.never(),
        study="half",
    )
    assert fits is not None
    X, y = np.asarray(drawn.table.X), drawn.table.y
    for factor, fit in fits.picks.items():
        for fold in folds:
            scaler = StandardScaler().fit(X[fold.train])
            centre, sd = y[fold.train].mean(), y[fold.train].std()
            model = Ridge(alpha=0.1 * factor * len(fold.train))
            model.fit(scaler.transform(X[fold.train]), (y[fold.train] - centre) / sd)
            predicted = model.predict(scaler.transform(X[fold.test])) * sd + centre
            expected = (predicted - y[fold.test]) ** 2
            ratio = fit.losses[fold.test] / expected
            np.testing.assert_allclose(ratio, ratio[0], rtol=1e-4)


def test_fits_of_a_size_are_taken_from_the_journal(tmp_path: Path) -> None:
    drawn = draw_sample(table(400), n_rows=400, folds=4)
    family = LinearFamily()
    prepared = family.prepare(drawn.table, drawn.folds, seed=0)

    class Broken(LinearFamily):
        def train(self, *args: object, **kwargs: object) -> list:
            raise AssertionError("everything is stored")

    found = []
    for each in (family, Broken()):
        with opened(tmp_path / "journal") as store:
            store.claim({"data": "the same"})
            found.append(
                train_size(
                    each,
                    prepared,
                    Regularizer(l2=0.1),
                    factors=(1.0, 4.0),
                    seed=0,
                    deadline=Deadline.never(),
                    study="quarter",
                    store=store,
                )
            )
    first, second = found
    assert first is not None
    assert second is not None
    np.testing.assert_array_equal(first.none.losses, second.none.losses)
    np.testing.assert_array_equal(first.picks[4.0].losses, second.picks[4.0].losses)


# ------------------------------------------------------------------------------------------- the advice


def wide_regression(n_rows: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_rows, 80))
    return X, X @ rng.normal(size=80) / 12 + rng.normal(size=n_rows)


def test_a_gain_that_falls_with_the_rows_is_seen_to_fall() -> None:
    X, y = wide_regression(4_000)
    advice = advise(X, y, sample=300, effort="quick")
    growth = advice.record.evidence.growth
    assert growth is not None
    assert growth.source == "measured"
    gains = [point.gain for point in growth.sizes]
    assert [point.share for point in growth.sizes] == [0.25, 0.5, 1.0]
    assert gains == sorted(gains, reverse=True)
    # Least squares with p of n rows in excess loses about p / n, so the gain falls about as 1/n.
    assert 0.5 < growth.power < 1.6
    assert 0.0 < growth.gain < gains[-1] / 2
    assert growth.low < growth.gain < growth.high
    assert advice.path[-1].question == "Q10"
    assert advice.path[-1].reply == "unsure", "13 times the rows of the sample are too far"


def test_all_rows_are_tried_where_the_budget_has_room() -> None:
    X, y = wide_regression(2_500)
    advice = advise(X, y, sample=250, budget=600.0)
    growth = advice.record.evidence.growth
    assert growth is not None
    assert growth.source == "checked"
    assert growth.sizes[-1].n_rows == 2_500
    assert growth.factor in (0.5, 1.0, 2.0)
    assert advice.path[-1].reply != "unsure" or growth.p_better < 0.8


@pytest.mark.parametrize(("n_rows", "shares"), [(9_000, [0.25, 0.5, 1.0]), (30_000, [1.0])])
def test_a_single_block_is_thinned_only_where_that_can_decide(n_rows: int, shares: list[float]) -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n_rows, 40))
    y = 0.1 * X.sum(axis=1) + rng.normal(size=n_rows)
    recipe = Recipe(hidden=(32,), epochs=20)
    advice = advise(X, y, model="mlp", recipe=recipe, effort="quick")
    assert advice.record.evidence.sample is not None
    assert advice.record.evidence.sample.validation == "blocks"
    growth = advice.record.evidence.growth
    assert growth is not None
    assert growth.n_sample == 3_200
    assert [point.share for point in growth.sizes] == shares
    assert growth.drift == 0.0
    assert growth.source == ("measured" if len(shares) > 1 else "prior")


def test_the_drift_of_weighted_rows_is_that_of_the_rows_that_count() -> None:
    """On the first half of every fold 4 times the strength is best, on the second half a quarter of it."""
    factors = {0.25: (3.0, 1.0), 1.0: (1.9, 1.9), 4.0: (1.0, 3.0)}
    noise = np.random.default_rng(0).normal(0.0, 0.01, 60)
    is_first = np.arange(60) % 20 < 10
    fits = {
        factor: SimpleNamespace(losses=np.where(is_first, first, second) + noise)
        for factor, (first, second) in factors.items()
    }
    folds = tuple(SimpleNamespace(test=np.arange(start, start + 20)) for start in (0, 20, 40))
    quarter = SimpleNamespace(picks=fits, prepared=SimpleNamespace(folds=folds, n_rows=60))
    prior = transfer_prior("network")

    def drift(weight: np.ndarray | None) -> float:
        measure = Results(prepared=quarter.prepared, trials=(), weight=weight)  # type: ignore[arg-type]
        return _drift(quarter, "l2", prior, measure)[0]  # type: ignore[arg-type]

    assert drift(is_first.astype(float)) > 0.2
    assert drift((~is_first).astype(float)) < -0.2
    assert abs(drift(None)) < 0.1
    only_one = np.where(np.arange(60) < 20, 1.0, 0.0)
    assert drift(only_one) == 0.0, "one fold does not tell"


def test_a_sample_of_everything_extrapolates_nothing() -> None:
    X, y = wide_regression(400)
    advice = advise(X, y, effort="quick")
    assert advice.record.evidence.growth is None
    assert advice.path[-1].reply == "yes"


def test_equal_calls_measure_equal_sizes(tmp_path: Path) -> None:
    X, y = wide_regression(3_000)
    runs = [advise(X, y, sample=300, effort="quick", storage=tmp_path / "journal") for _ in range(2)]
    runs.append(advise(X, y, sample=300, effort="quick"))
    assert len({str(run.record.evidence.growth) for run in runs}) == 1
    assert len({run.regularizer for run in runs}) == 1


# -------------------------------------------------------------------------------------------- the reply


def growth(**changes: object) -> GrowthEvidence:
    plain = GrowthEvidence(
        kind="l2",
        n_sample=1_000,
        n_rows=5_000,
        source="measured",
        sizes=(),
        gain=0.05,
        low=0.01,
        high=0.1,
        p_better=0.9,
        p_same=0.05,
        p_worse=0.05,
        power=0.5,
        power_sd=0.2,
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "reply"),
    [
        ({}, "yes"),
        ({"p_better": 0.1, "p_same": 0.85}, "same"),
        ({"p_better": 0.1, "p_worse": 0.85}, "no"),
        ({"p_better": 0.5}, "unsure"),
        ({"n_rows": 9_000}, "unsure"),
        ({"n_rows": 9_000, "source": "checked"}, "yes"),
        ({"kind": "l1"}, "unsure"),
    ],
)
def test_q10_replies_by_mass_and_not_far_beyond_the_sample(changes: dict, reply: str) -> None:
    sample = SampleEvidence(
        n_rows=1_000,
        n_source=5_000,
        is_everything=False,
        verdict="equivalent",
        size_reason="",
        validation="random",
    )
    evidence = Evidence(sample=sample, growth=growth(**changes))
    answer = JUDGES["full_size"].answer(EXTENDED.questions["Q10"], evidence, "l2", "interval")
    assert answer.reply == reply
    assert "rows" in answer.because
