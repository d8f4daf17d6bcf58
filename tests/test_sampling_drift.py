"""Drift over time and the hint of the row order."""

import numpy as np
import pytest
from sampling_tables import make_table, noisy_classes, noisy_values
from scipy import signal, stats

from regadvisor.sampling.draw import draw_sample
from regadvisor.sampling.drift import order_hint, time_drift
from regadvisor.sampling.keys import row_keys

TABLES = {"classes": noisy_classes, "values": noisy_values}


def drifts(table):
    return time_drift(table, row_keys(table), seed=0)[0]


def hints(table):
    return order_hint(table, row_keys(table), seed=0)[0]


@pytest.mark.parametrize("kind", TABLES)
def test_stationary_rows_with_a_time_are_not_called_drifting(kind):
    flagged = [
        drifts(TABLES[kind](n, 6, seed=seed, time=np.arange(float(n))))
        for seed in range(25)
        for n in (100, 400)
    ]
    assert sum(flagged) <= stats.binom.ppf(0.99, 50, 0.05)


def test_neighbours_that_are_alike_are_not_called_drifting():
    flagged = []
    for seed in range(25):
        rng = np.random.default_rng(seed)
        X = signal.lfilter([1.0], [1.0, -0.6], rng.normal(size=(1500, 4)), axis=0)
        y = (X[:, 0] + rng.normal(size=1500) > 0).astype(np.intp)
        flagged.append(drifts(make_table(X, y, time=np.arange(1500.0))))
    assert sum(flagged) <= 3


@pytest.mark.parametrize("kind", TABLES)
def test_a_trend_in_a_feature_is_found(kind):
    found = []
    for seed in range(10):
        table = TABLES[kind](800, 6, seed=seed)
        X = table.X.copy()
        X[:, 4] += np.linspace(0, 1, 800)
        found.append(drifts(make_table(X, table.y, time=np.arange(800.0))))
    assert sum(found) >= 9


def test_a_feature_that_only_moved_in_the_middle_is_found():
    table = noisy_classes(900, 4, seed=0)
    X = table.X.copy()
    X[300:600, 2] += 0.8
    has_drift, tests = time_drift(make_table(X, table.y, time=np.arange(900.0)), row_keys(table), seed=0)
    assert has_drift
    assert "middle third" in tests[0].text


def test_a_target_whose_share_changes_is_found_whatever_the_order_of_the_rows():
    rng = np.random.default_rng(0)
    time = np.arange(1000.0)
    y = (rng.random(1000) < np.linspace(0.2, 0.6, 1000)).astype(np.intp)
    order = rng.permutation(1000)
    table = make_table(rng.normal(size=(1000, 3))[order], y[order], time=time[order])
    evidence = draw_sample(table, n_rows=300).evidence
    assert evidence.has_drift
    assert evidence.validation == "time"
    by_name = {test.what: test.verdict for test in evidence.tests}
    assert by_name["blocks in time, target"] == "different"
    assert by_name["blocks in time, features within class or target bin"] == "equivalent"


def test_a_drift_of_many_columns_at_once_is_found_by_the_classifier():
    rng = np.random.default_rng(3)
    X = rng.normal(size=(3000, 40)) + 0.2 * np.linspace(0, 1, 3000)[:, None]
    table = make_table(X, rng.integers(0, 2, 3000), time=np.arange(3000.0))
    has_drift, tests = time_drift(table, row_keys(table), seed=0)
    assert has_drift
    assert [test.verdict for test in tests] == ["equivalent", "equivalent", "different"]


@pytest.mark.parametrize("n", [30, 200])
def test_too_little_time_is_said_to_be_too_little(n):
    time = np.arange(30.0) if n == 30 else np.arange(200) % 2 * 1.0
    has_drift, tests = time_drift(
        noisy_classes(n, 2, seed=0, time=time), np.arange(n, dtype=np.uint64), seed=0
    )
    assert not has_drift
    assert tests[0].verdict == "inconclusive"


@pytest.mark.parametrize("kind", TABLES)
@pytest.mark.parametrize("arrange", ["shuffled", "sorted", "sorted downwards"])
def test_rows_sorted_by_target_give_the_same_reply_as_shuffled_ones(kind, arrange):
    flagged = []
    for seed in range(30):
        table = TABLES[kind](300, 8, seed=seed)
        if arrange != "shuffled":
            order = np.argsort(table.y, kind="stable")
            table = table.take(order if arrange == "sorted" else order[::-1])
        flagged.append(hints(table))
    assert sum(flagged) <= 2  # 99% point of the binomial at 1%


def test_a_nonlinear_target_sorted_gives_no_hint():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(1000, 3))
    y = np.sort(np.exp(2 * X[:, 0]))
    assert not hints(make_table(X[np.argsort(X[:, 0])], y))


def test_tied_target_sorted_gives_no_hint():
    table = noisy_values(1000, 3, seed=0)
    y = np.round(table.y)
    order = np.argsort(y, kind="stable")
    assert not hints(make_table(table.X[order], y[order]))


@pytest.mark.parametrize("kind", TABLES)
def test_a_trend_along_the_rows_is_a_hint_only(kind):
    table = TABLES[kind](800, 4, seed=1)
    X = table.X + np.array([0, 0, 0, 1.0]) * np.linspace(0, 1, 800)[:, None]
    drawn = draw_sample(make_table(X, table.y), n_rows=400)
    assert drawn.evidence.is_drift_hint
    assert not drawn.evidence.has_drift
    (note,) = [note for note in drawn.notes if note.code == "row-order"]
    assert "(mostly 'x3')" in note.text
    assert next(t for t in drawn.evidence.tests if t.what.startswith("row order")).column == "x3"


def test_no_hint_is_asked_for_where_rows_stand_by_group():
    groups = (np.arange(400) // 10).astype(np.intp)
    X = np.random.default_rng(0).normal(size=(400, 2)) + groups[:, None] / 10
    evidence = draw_sample(make_table(X, np.arange(400) % 2, groups=groups), n_rows=1000).evidence
    assert not evidence.is_drift_hint
    assert not any(test.what.startswith("row order") for test in evidence.tests)
