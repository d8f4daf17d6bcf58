"""How the features go together: against SciPy and pandas, and what a run of advise() keeps of it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import regadvisor
from regadvisor.data.source import make_table
from regadvisor.evidence.correlation import map_features


def made(n: int = 300) -> pd.DataFrame:
    r = np.random.default_rng(0)
    x = r.normal(size=(n, 4))
    return pd.DataFrame(
        {
            "a": x[:, 0],
            "b": x[:, 1],
            "minus a": -x[:, 0] + 0.1 * x[:, 2],
            "sign of b": np.where(x[:, 1] > 0, "high", "low"),
            "d": x[:, 3],
            "still": 1.0,
        }
    )


def test_pairs_are_rank_correlations_the_strongest_first() -> None:
    frame = made()
    found = map_features(make_table(frame, frame["d"].to_numpy()), seed=0)
    assert found is not None
    first = found.pairs[0]
    assert {first.a, first.b} == {"a", "minus a"}
    assert first.strength == pytest.approx(stats.spearmanr(frame["a"], frame["minus a"]).statistic, abs=1e-4)
    assert {found.pairs[1].a, found.pairs[1].b} == {"b", "sign of b"}
    sizes = [abs(pair.strength) for pair in found.pairs]
    assert sizes == sorted(sizes, reverse=True)
    assert (found.n_seen, found.n_features, found.n_rows) == (5, 6, 300)


def test_features_of_a_cluster_stand_side_by_side() -> None:
    frame = made()
    found = map_features(make_table(frame, frame["d"].to_numpy()), seed=0)
    assert found is not None
    place = {name: number for number, name in enumerate(found.names)}
    assert abs(place["a"] - place["minus a"]) == 1
    assert abs(place["b"] - place["sign of b"]) == 1
    assert [len(row) for row in found.strengths] == list(range(len(found.names)))


def test_independent_features_are_worth_their_number_and_copies_one() -> None:
    x = np.random.default_rng(1).normal(size=(1_000, 8))
    apart = map_features(make_table(x, x[:, 0]), seed=0)
    copies = map_features(make_table(np.repeat(x[:, :1], 8, axis=1) + 1e-9 * x, x[:, 0]), seed=0)
    assert apart is not None
    assert copies is not None
    assert apart.effective_rank == pytest.approx(8, abs=0.3)
    levels = pd.DataFrame(
        {name: np.random.default_rng(i).choice(list("abcdef"), 1_000) for i, name in enumerate("xyz")}
    )
    categories = map_features(make_table(levels, x[:, 0]), seed=0)
    assert categories is not None
    assert categories.effective_rank == pytest.approx(3, abs=0.1)
    assert copies.effective_rank == pytest.approx(1, abs=0.1)


def test_wide_tables_are_seen_in_part_and_few_columns_are_on_the_map() -> None:
    x = np.random.default_rng(2).normal(size=(60, 900))
    found = map_features(make_table(x, x[:, 0]), seed=0)
    assert found is not None
    assert (found.n_seen, found.n_features, len(found.names), len(found.pairs)) == (200, 900, 25, 10)


def test_one_feature_goes_together_with_nothing() -> None:
    x = np.random.default_rng(3).normal(size=(60, 1))
    assert map_features(make_table(x, x[:, 0]), seed=0) is None


def test_an_advice_has_the_map_and_how_far_the_sample_is_off() -> None:
    frame = made(3_000)
    y = frame["a"] + np.random.default_rng(4).normal(size=len(frame))
    advice = regadvisor.advise(frame, y, model="linear", effort="quick", sample=500)
    assert advice.record.features is not None
    sample = advice.record.evidence.sample
    assert sample is not None
    shifts = sample.shifts
    assert shifts[0].shift == pytest.approx(sample.worst_shift)
    assert [each.shift for each in shifts] == sorted((each.shift for each in shifts), reverse=True)
    assert advice.plot("sample").get_title(loc="left") == "Was the sample fair"
    assert advice.plot("features").get_title(loc="left") == "Which features go together"
