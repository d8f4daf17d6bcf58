"""Numbers that stand for a missing one, targets cut off at an end, and few of a class."""

import numpy as np
import pandas as pd
import pytest

from regadvisor.data.source import make_table
from regadvisor.traps.find import find_traps

N = 400
R = np.random.default_rng(0)
X = pd.DataFrame({"age": R.integers(18, 90, size=N), "dose": R.normal(size=N).round(2)})
Y = X["dose"] + R.normal(size=N)


def notes(features, y, **how):
    table = make_table(features, y, **how)
    traps = find_traps(table, seed=0)
    return {note.code: note.text for note in (*traps, *table.notes)}


@pytest.mark.parametrize("value", [9999, -999, 99999999, -9999, 2**31 - 1])
@pytest.mark.parametrize("share", [0.02, 0.3])
def test_a_number_for_missing_values_is_named_with_its_share(value, share):
    is_missing = np.arange(N) < share * N
    text = notes(X.assign(age=X["age"].mask(is_missing, value)), Y)["stands-for-missing"]
    assert text.startswith(f"'age' is {value} in {share:.0%} of the rows, apart from all other values")
    target = notes(X, Y.mask(is_missing, value))["stands-for-missing"]
    assert target.startswith(f"the target is {value} in {share:.0%} of the rows")
    classes = notes(X, np.where(is_missing, value, np.arange(N) % 2))["stands-for-missing"]
    assert classes.startswith(f"the target is {value} in")


@pytest.mark.parametrize(
    ("column", "value"),
    [
        (R.gamma(5, 10, size=N).round(1), -1),
        (R.gamma(5, 100, size=N).round(1), -200),
        (R.normal(75, 10, size=N).round(), 0),
        (R.integers(1, 6, size=N), 9),
        (pd.Timestamp("2012-03-01") + pd.to_timedelta(R.integers(0, 2_000, size=N), unit="D"), "1900-01-01"),
        (pd.Timestamp("2012-03-01") + pd.to_timedelta(R.integers(0, 2_000, size=N), unit="D"), "9999-12-31"),
    ],
    ids=["only one below 0", "far below 0", "no pressure", "no answer", "first day", "last day"],
)
def test_values_that_cannot_be_among_the_others_are_named(column, value):
    own = pd.Series(column)
    own = own.astype("datetime64[s]") if isinstance(value, str) else own
    stand_in = pd.Timestamp(value) if isinstance(value, str) else value
    text = notes(X.assign(own=own.mask(np.arange(N) < 40, stand_in)), Y)["stands-for-missing"]
    assert text.startswith(f"'own' is {value} in 10% of the rows")


def test_a_target_with_such_numbers_is_not_called_extreme_as_well():
    found = notes(X, Y.mask(np.arange(N) < 16, -999.0))
    assert "stands-for-missing" in found
    assert "extreme-target" not in found


def test_of_many_columns_with_such_numbers_three_are_described():
    r = np.random.default_rng(0)
    answers = pd.DataFrame(
        np.where(np.arange(N)[:, None] % 20, r.integers(1, 6, size=(N, 5)), 99)
    ).add_prefix("q")
    text = notes(answers, Y)["stands-for-missing"]
    assert text.startswith("'q0' is 99 in 5% of the rows; 'q1' is")
    assert "; so it is in 2 more columns, apart from all other values" in text


def test_such_numbers_are_not_called_extreme_values_as_well():
    found = notes(X.assign(dose=X["dose"].mask(np.arange(N) < 10, -9999.0)), Y)
    assert "stands-for-missing" in found
    assert "extreme-features" not in found


@pytest.mark.parametrize(
    "column",
    [
        np.where(np.arange(N) % 3, -1, 1) * (np.arange(N) % 2),  # -1, 0 and 1
        R.integers(0, 100, size=N),  # 99 is one of them
        np.r_[99_999, R.integers(0, 1_000, size=N - 1)],  # once
        np.where(np.arange(N) % 2, 99, 98),
        R.choice([100, 500, 999], size=N),
        np.full(N, 9999),
        np.where(np.arange(N) % 4, R.lognormal(3, 1, size=N), 0.0),  # no rain
        np.where(np.arange(N) % 4, R.normal(60, 8, size=N), 0.0),  # a quarter were not asked
        np.r_[np.full(4, -1), R.integers(0, 100, size=N - 4)],  # below 0 now and then
        np.r_[np.full(9, 9), R.integers(1, 8, size=N - 9)],  # marks from 1 to 9
        np.where(np.arange(N) % 9, R.gamma(2, 1, size=N), -0.3834),  # no atoms of a kind, standardised
        R.poisson(1, size=N),
    ],
    ids=lambda column: f"{column[0]}, {column[1]}",
)
def test_honest_numbers_are_not_taken_for_missing_ones(column):
    assert "stands-for-missing" not in notes(X.assign(own=column), Y)


def test_a_share_may_be_0_by_its_name():
    hits = np.r_[np.zeros(9), R.normal(60, 5, size=N - 9)]
    for name, is_told in (("pressure", True), ("FG%", False), ("win_pct", False), ("% of votes", False)):
        assert ("stands-for-missing" in notes(X.assign(**{name: hits}), Y)) == is_told


def test_numbers_for_missing_values_make_no_means_of_the_target():
    r = np.random.default_rng(0)
    n, coarse = 600, r.integers(20, size=600).astype(float)
    y = np.where(np.arange(n) < 12, -99_999.0, coarse + r.normal(size=n).round(2))
    ammonia = np.where(np.arange(n) < 12, -99_999.0, coarse)
    codes = notes(pd.DataFrame({"ammonia": ammonia, "a": r.normal(size=n)}), y)
    assert "stands-for-missing" in codes
    assert "target-means" not in codes


def test_a_target_that_is_cut_off_or_often_zero_is_told():
    cut = notes(X, np.minimum(Y, 1.5))["piled-target"]
    assert f"{np.mean(Y >= 1.5):.0%} of the rows have the largest value of the target, 1.5" in cut
    assert "predictions near it are too low" in cut
    zeros = notes(X, np.where(Y < 0, 0.0, Y + 10))["piled-target"]
    assert "Ask for two models: whether it is 0" in zeros
    few = notes(X, np.where(np.arange(N) < 0.05 * N, 0.0, Y + 10))
    assert "Ask for two models" in few["piled-target"]
    assert "stands-for-missing" not in few
    both = notes(X, Y.clip(0.0, 1.5))["piled-target"]
    assert "smallest value of the target, 0, and 14% the largest, 1.5. If" in both
    assert "cut off at both ends" in both
    zeros = np.where(R.random(N) < 0.6, 0.0, np.exp(2 * Y))
    assert "Ask for two models" in notes(X, zeros)["piled-target"]
    assert "skewed-target" not in notes(X, zeros)
    for honest in (Y, Y.round(1), R.integers(0, 101, size=N), R.random(N), R.exponential(size=N).round(2)):
        assert "piled-target" not in notes(X, honest)


def test_counts_are_told_and_other_whole_numbers_are_not():
    counts = R.poisson(2.0, size=N)
    assert "PoissonRegressor()" in notes(X, counts, task="regression")["counts-target"]
    for other in (R.integers(0, 8, size=N), counts + 1, R.binomial(10, 0.5, size=N), counts + 0.5):
        assert "counts-target" not in notes(X, other, task="regression")


def test_models_without_a_squared_loss_are_told_nothing_of_it():
    table = make_table(X, np.exp(3 * Y))
    assert [note.code for note in find_traps(table, seed=0)] == ["skewed-target"]
    assert find_traps(table, seed=0, is_squared=False) == ()


def test_few_rows_outside_the_largest_class_are_told_first():
    y = np.where(np.arange(N) < 3, "b", "a")
    table = make_table(X, y)
    (note,) = (note for note in table.notes if note.code == "rare-class")
    assert note.is_warning
    assert note.text.startswith("only 3 rows are not of class 'a'")
    assert "rare-class" not in notes(X, np.where(np.arange(N) < 10, "b", "a"))


def test_weights_that_leave_few_rows_a_say_are_told():
    weight = np.exp(1.7 * np.random.default_rng(0).normal(size=N))
    n = round(weight.sum() ** 2 / np.square(weight).sum())
    assert 20 <= n < 0.2 * N
    assert f"about {n} rows of {N}" in notes(X, Y, sample_weight=weight)["uneven-weights"]
    assert "uneven-weights" not in notes(X, Y, sample_weight=np.arange(1, N + 1))


@pytest.mark.parametrize("first", [0, 1])
def test_labels_of_many_classes_are_classes_and_of_uneven_ones_a_doubt(first):
    faces = np.arange(400) % 40 + first
    assert make_table(X, faces).facts.task == "multiclass"
    uneven = np.r_[faces[:-40], np.arange(40) % 8 + first]
    facts = make_table(X, uneven).facts
    assert (facts.task, facts.other_task) == ("regression", "classification")
    assert "task='classification' if these are classes" in notes(X, uneven)["task-guessed"]
    assert make_table(X, faces + 100).facts.task == "multiclass"
    for number in (uneven + 2, faces + 0.5, np.r_[faces[:-1], 90], R.integers(18, 90, size=N)):
        assert make_table(X, number).facts.other_task is None
