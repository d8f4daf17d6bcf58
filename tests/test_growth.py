"""What becomes of a gain and of a strength at the full size: the sizes, the extrapolation, the reply."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats
from search_fakes import RidgeFamily
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler
from test_sampling_blocks import table

from regadvisor import advise
from regadvisor.data.source import make_table
from regadvisor.deadline import Deadline
from regadvisor.evidence.full_size import GainAtFull, gain_at_full, train_size
from regadvisor.families.linear.family import LinearFamily
from regadvisor.flowchart.chart import EXTENDED
from regadvisor.flowchart.questions import JUDGES
from regadvisor.full_size import TRANSFER
from regadvisor.records import Evidence, GrowthEvidence, SampleEvidence
from regadvisor.regularizer import Regularizer
from regadvisor.sampling.draw import draw_sample
from regadvisor.search.store import opened
from regadvisor.words import percent

# ----------------------------------------------------------------------------------- the extrapolation


def at_full(
    gain: float, se: float, *, ratio: float, scatter: float = 0.0, power: tuple[float, float] = (0.5, 0.3)
) -> GainAtFull:
    return gain_at_full(gain, se, ratio=ratio, power=power, scatter=scatter, region=0.005)


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0, -0.3])
def test_a_known_power_is_followed(power: float) -> None:
    found = at_full(0.1, 0.01, ratio=8.0, power=(power, 1e-4))
    assert found.gain == pytest.approx(0.1 * 8**-power, rel=1e-3)
    assert (found.high - found.low) / 2 == pytest.approx(1.96 * 0.01 * 8**-power, rel=1e-3)


@pytest.mark.parametrize(
    ("gain", "se", "ratio", "scatter"),
    [(0.12, 0.04, 5.0, 0.0), (0.02, 0.001, 3.0, 0.02), (-0.03, 0.02, 8.0, 0.01), (0.006, 0.004, 2.0, 0.01)],
)
def test_masses_and_quantiles_are_those_of_numerical_integration(
    gain: float, se: float, ratio: float, scatter: float
) -> None:
    mean, sd = 0.6, 0.4

    def below(value: float) -> float:
        def density(power: float) -> float:
            kept = ratio**-power
            spread = math.sqrt((kept * se) ** 2 + scatter**2 * math.log(ratio))
            return float(stats.norm.cdf(value, gain * kept, spread) * stats.norm.pdf(power, mean, sd))

        return float(integrate.quad(density, mean - 6 * sd, mean + 6 * sd, limit=200)[0])

    found = at_full(gain, se, ratio=ratio, scatter=scatter, power=(mean, sd))
    assert found.p_worse == pytest.approx(below(-0.005), abs=2e-4)
    assert found.p_same == pytest.approx(below(0.005) - below(-0.005), abs=2e-4)
    assert found.p_better == pytest.approx(1.0 - below(0.005), abs=2e-4)
    quantiles = [below(value) for value in (found.low, found.gain, found.high)]
    assert quantiles == pytest.approx([0.025, 0.5, 0.975], abs=2e-4)


def test_nothing_is_extrapolated_where_the_gain_was_measured_on_everything() -> None:
    for ratio in (1.0, 0.8):
        found = at_full(0.03, 0.01, ratio=ratio, scatter=0.2)
        assert found.gain == pytest.approx(0.03)
        assert (found.low, found.high) == pytest.approx((0.03 - 0.0196, 0.03 + 0.0196), abs=1e-4)
        assert found.p_better == pytest.approx(stats.norm.sf(0.005, 0.03, 0.01), abs=1e-6)


def test_the_scatter_of_other_sets_widens_the_interval_with_the_root_of_the_log_ratio() -> None:
    """With a gain of 0 the power makes no difference, and the scatter is all there is."""
    for ratio in (2.0, 8.0, 100.0):
        found = at_full(0.0, 1e-9, ratio=ratio, scatter=0.03)
        assert found.high == pytest.approx(1.96 * 0.03 * math.sqrt(math.log(ratio)), rel=1e-3)
        assert found.low == pytest.approx(-found.high)
        assert found.gain == pytest.approx(0.0, abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(
    gain=st.floats(-0.5, 0.9),
    se=st.floats(1e-3, 0.5),
    ratio=st.floats(1.5, 200.0),
    scatter=st.floats(0.02, 0.1),
)
def test_masses_add_up_and_intervals_widen_with_the_scatter(
    gain: float, se: float, ratio: float, scatter: float
) -> None:
    narrow, wide = at_full(gain, se, ratio=ratio), at_full(gain, se, ratio=ratio, scatter=scatter)
    assert narrow.p_better + narrow.p_same + narrow.p_worse == pytest.approx(1.0)
    assert narrow.low < narrow.gain < narrow.high
    assert wide.high - wide.low > narrow.high - narrow.low


@given(gain=st.floats(1e-3, 0.9), ratio=st.floats(1.0, 1e3), model=st.sampled_from(["linear", "network"]))
def test_no_more_is_foretold_than_was_seen(gain: float, ratio: float, model: str) -> None:
    """The mean over powers grew without bound with the rows, and foretold gains that nobody had seen."""
    prior = TRANSFER[model]
    found = at_full(gain, 1e-4, ratio=ratio, scatter=prior.gain_scatter, power=prior.gain_power)
    assert found.gain <= gain + 1e-4, "a hundredth of a percent of the loss"


# ------------------------------------------------------------------------------------------- the sizes


def test_a_size_is_trained_as_scikit_learn_trains_it() -> None:
    rng = np.random.default_rng(0)
    X, noise = rng.normal(size=(400, 6)), rng.normal(size=400)
    drawn = draw_sample(make_table(X, X[:, 0] + noise), n_rows=400, folds=4)
    folds = tuple(replace(fold, train=fold.train[::2]) for fold in drawn.folds)
    family = LinearFamily()
    prepared = family.prepare(drawn.table, folds, seed=0)
    fits = train_size(
        family,
        prepared,
        [Regularizer(), Regularizer(l2=0.05), Regularizer(l2=0.1)],
        seed=0,
        deadline=Deadline.never(),
        study="half",
    )
    X, y = np.asarray(drawn.table.X), drawn.table.y
    for regularizer, fit in fits.items():
        for fold in folds:
            scaler = StandardScaler().fit(X[fold.train])
            centre, sd = y[fold.train].mean(), y[fold.train].std()
            model = Ridge(alpha=regularizer.l2 * len(fold.train))
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
                    [Regularizer(l2=0.1), Regularizer(l2=0.4)],
                    seed=0,
                    deadline=Deadline.never(),
                    study="quarter",
                    store=store,
                )
            )
    first, second = found
    assert list(first) == list(second) == [Regularizer(l2=0.1), Regularizer(l2=0.4)]
    for one, other in zip(first.values(), second.values(), strict=True):
        np.testing.assert_array_equal(one.losses, other.losses)


def test_what_a_deadline_cuts_and_what_lost_rows_is_left_out() -> None:
    family = RidgeFamily(failing=lambda job: job.regularizer.l2 == 0.4)
    wanted = [Regularizer(l2=0.1), Regularizer(l2=0.4)]
    rest = {"seed": 0, "deadline": Deadline.never(), "study": "quarter"}
    found = train_size(family, family.prepared(), wanted, **rest)  # type: ignore[arg-type]
    assert list(found) == [Regularizer(l2=0.1)]
    cut = RidgeFamily(n_at_most=1)
    assert len(train_size(cut, cut.prepared(), wanted, **rest)) < len(wanted)  # type: ignore[arg-type]


# ------------------------------------------------------------------------------------------- the advice


def wide_regression(n_rows: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_rows, 80))
    return X, X @ rng.normal(size=80) / 12 + rng.normal(size=n_rows)


@pytest.mark.slow
def test_far_beyond_the_sample_nothing_is_promised() -> None:
    X, y = wide_regression(4_000)
    advice = advise(X, y, sample=300, effort="quick")
    growth = advice.record.evidence.growth
    assert growth is not None
    assert growth.source == "prior"
    (seen,) = growth.sizes
    assert (seen.n_rows, seen.share) == (300, 1.0)
    # Least squares with p of n rows in excess loses about p / n, so the gain falls about as 1/n.
    assert 0.0 < growth.gain < seen.gain / 2
    assert growth.low < growth.gain < growth.high
    assert advice.path[-1].question == "Q10"
    assert advice.path[-1].reply == "unsure", "13 times the rows of the sample are too far"
    assert f"the loss is {percent(seen.gain)} lower at 300 rows; " in advice.path[-1].answer.because
    assert advice.path[-1].answer.because.endswith(
        "is left of that on all 4,000, 13 times as many, is not known."
    )


@pytest.mark.slow
def test_all_rows_are_tried_where_the_budget_has_room() -> None:
    X, y = wide_regression(2_500)
    advice = advise(X, y, sample=250, budget=600.0)
    growth = advice.record.evidence.growth
    assert growth is not None
    assert growth.source == "checked"
    sample, everything = growth.sizes
    assert (sample.n_rows, everything.n_rows, everything.share) == (250, 2_500, 10.0)
    assert everything.gain == pytest.approx(1.0 - everything.loss / everything.loss_none)
    assert growth.gain == pytest.approx(everything.gain), "nothing is left to extrapolate"
    assert growth.high - growth.gain == pytest.approx(1.96 * everything.se, rel=1e-3)
    masses = {"yes": growth.p_better, "same": growth.p_same, "no": growth.p_worse}
    sure = [reply for reply, mass in masses.items() if mass >= 0.8]
    assert [advice.path[-1].reply] == (sure or ["unsure"])


@pytest.mark.slow
def test_a_sample_of_everything_extrapolates_nothing() -> None:
    X, y = wide_regression(400)
    advice = advise(X, y, effort="quick")
    assert advice.record.evidence.growth is None
    assert advice.path[-1].reply == "yes"


@pytest.mark.slow
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
        source="prior",
        sizes=(),
        gain=0.05,
        low=0.01,
        high=0.1,
        p_better=0.9,
        p_same=0.05,
        p_worse=0.05,
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
        ({"n_rows": 8_000}, "yes"),
        ({"n_rows": 8_001}, "unsure"),
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


def test_the_gain_on_the_sample_is_the_one_that_the_verdict_gives() -> None:
    """It was that of the lowest of several losses, larger than the gain in the headline."""
    r = np.random.default_rng(5)
    X = r.normal(size=(3_000, 40))
    y = X[:, 0] + r.normal(size=3_000) * 3
    advice = advise(X, y, sample=300, effort="quick")
    scores, growth = advice.record.evidence.scores, advice.record.evidence.growth
    assert scores is not None
    assert growth is not None
    told = scores.comparison(growth.kind, "none")
    assert told is not None
    assert growth.sizes[0].gain == pytest.approx(-told.difference / told.loss_b)
