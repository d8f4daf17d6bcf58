"""A column, or several, that say what the target says; and honest data that are merely clear."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.datasets import load_iris

from regadvisor.data.source import make_table
from regadvisor.traps import leaks as leaks_module
from regadvisor.traps.leaks import leaks
from regadvisor.traps.view import View

R = np.random.default_rng(0)
N = 400
A, B, C = R.normal(size=(3, N))


def found(X, y, **how):
    return leaks(View.of(make_table(X, y, **how), seed=0), seed=0)


def text(X, y, **how):
    (note,) = found(X, y, **how)
    assert note.code == "leak"
    assert note.is_warning
    return note.text


ONE = {
    "linear": 2 * A + 1,
    "falling": -3 * A,
    "log": np.log(A - A.min() + 1),
    "cubed": A**3,
    "single precision": A.astype(np.float32).astype(float),
    "curve": np.sin(2 * A),
    "date": pd.Timestamp("2020-01-01") + pd.to_timedelta(np.round(A * 1e6), unit="s"),
}


@pytest.mark.parametrize("how", ONE)
def test_a_column_that_determines_a_number_is_named(how):
    leaked = ONE[how] if how == "date" else A
    y = A if how == "date" else ONE[how]
    frame = pd.DataFrame({"noise": B, "leaked": leaked, "other": C})
    where = "almost exactly" if how == "curve" else "in every row"
    assert text(frame, y).startswith(f"'leaked' determines the target {where}: a leak?")


def test_arrays_and_sparse_matrices_are_looked_at_as_frames_are():
    X = np.column_stack([B, A, C])
    assert text(X, 2 * A + 1).startswith("column 1 determines")
    counts = R.poisson(1.0, size=(N, 30)).astype(float)
    assert text(sparse.csr_array(counts), counts[:, 7] * 3.5).startswith("column 7 determines")


def test_the_last_digits_of_the_target_may_be_rounded_away():
    assert "'leaked'" in text(pd.DataFrame({"noise": B, "leaked": A}), np.round(A, 2))


@pytest.mark.parametrize(
    "leaked",
    [
        np.where(A > 0.3, "yes", "no"),
        np.where(A > 0.3, 7.0, -1.0),
        A > 0.3,
        np.where(A > 0.3, R.choice(list("abc"), N), R.choice(list("xyz"), N)),
    ],
    ids=["text", "number", "bool", "several levels of each class"],
)
def test_levels_that_determine_the_class_are_named(leaked):
    frame = pd.DataFrame({"noise": B, "leaked": leaked})
    assert "'leaked' determines" in text(frame, np.where(A > 0.3, "good", "bad"))


def test_many_levels_may_be_sources_of_rows_rather_than_a_leak():
    who = np.arange(N) % 40
    frame = pd.DataFrame({"patient": [f"P{w}" for w in who], "b": B})
    said = text(frame, np.random.default_rng(1).normal(size=40)[who])
    assert "'patient' determines the target in every row: a leak?" in said
    assert said.endswith("such as a patient, pass groups='patient' instead.")
    assert "groups=" not in text(pd.DataFrame({"kind": [f"K{w % 3}" for w in who], "b": B}), who % 3 == 0)


def test_a_level_that_determines_all_but_one_row_is_no_leak():
    leaked = (A > 0.3).astype(int)
    leaked[5] = 1 - leaked[5]
    assert not found(pd.DataFrame({"noise": B, "leaked": leaked}), (A > 0.3).astype(int))


def test_classes_cut_from_a_column_are_a_leak():
    frame = pd.DataFrame({"leaked": A, "b": B, "c": C})
    assert "'leaked' determines" in text(frame, np.digitize(A, [-0.5, 0.5]))
    assert "'leaked' determines" in text(frame, (np.abs(A) > 1).astype(int))


def test_classes_that_every_column_tells_apart_are_honest():
    X, y = load_iris(return_X_y=True)
    assert not found(X, (y == 0).astype(int))
    assert not found(X, y)


SUMS = {
    "two of three": (A + B, ["a", "b"]),
    "weights": (0.2 * A - 3 * C + 7, ["a", "c"]),
    "all": (A + 2 * B - C, ["a", "b", "c"]),
    "a category": (A + np.where(np.arange(N) % 3 == 0, 2.0, 0.0), ["a", "kind"]),
}


@pytest.mark.parametrize("how", SUMS)
def test_a_sum_of_columns_is_a_leak_and_only_its_parts_are_named(how):
    y, parts = SUMS[how]
    frame = pd.DataFrame(
        {"a": A, "b": B, "c": C, "kind": pd.Series(np.arange(N) % 3).map({0: "u", 1: "v", 2: "w"})}
    )
    said = text(frame, y)
    assert "the target is a weighted sum of" in said
    assert [name for name in frame if f"'{name}'" in said] == parts


def test_a_copy_with_two_errors_is_no_sum_of_one_column():
    school = R.integers(1, 80, size=N)
    moved = pd.DataFrame({"b": B, "moved": np.where(np.arange(N) % 300 == 7, 1 + school, school)})
    assert text(moved, school).startswith(
        "the target is a linear function of 'moved' up to rounding: a leak?"
    )


def test_a_sum_is_seen_in_the_rows_that_have_all_its_parts():
    frame = pd.DataFrame({"a": A, "b": np.where(np.arange(N) % 3 == 0, np.nan, B), "c": C})
    assert "'a' and 'b'" in text(frame, A + B)


def test_a_product_of_columns_is_a_leak():
    frame = pd.DataFrame({"price": np.exp(A), "noise": B, "pieces": 1 + np.arange(N) % 9})
    said = text(frame, frame.price * frame.pieces)
    assert "is a product of powers of 'price' and 'pieces'" in said


def test_a_sum_of_many_columns_needs_more_rows_than_columns():
    X = R.normal(size=(N, 60))
    assert "a weighted sum" in text(X, X.sum(axis=1))
    wide = R.normal(size=(60, 80))
    assert not found(wide, R.normal(size=60))
    assert not found(R.normal(size=(60, 59)), R.normal(size=60))


@pytest.mark.parametrize("seed", range(5))
def test_a_strong_honest_signal_is_no_leak(seed):
    r = np.random.default_rng(seed)
    X = r.normal(size=(300, 5))
    assert not found(X, X[:, 0] + 0.01 * r.normal(size=300))
    assert not found(np.round(X), np.round(X[:, 0]) + 0.1 * r.normal(size=300))
    rare = np.zeros(300, dtype=int)
    rare[:3] = 1
    assert not found(r.integers(0, 150, size=(300, 5)).astype(float), rare)
    assert not found(X[:12], X[:12, 0] > 0)


def test_each_of_several_targets_is_looked_at():
    y = pd.DataFrame({"u": A + 0.1 * C, "v": 3 * B})
    assert text(pd.DataFrame({"a": A, "b": B}), y).startswith("'b' determines the target 'v' in every row")


def test_what_holds_in_the_rows_looked_at_is_checked_in_all():
    x = np.random.default_rng(1).normal(size=20_000)
    y = 2 * x
    assert "column 0 determines the target in every row" in text(np.column_stack([x, np.roll(x, 1)]), y)
    y[::2_000] += 1.0
    assert "column 0 determines the target almost exactly" in text(np.column_stack([x, np.roll(x, 1)]), y)
    labels = (x > 0).astype(int)
    labels[np.argsort(x)[15_000]] = 0
    assert not found(np.column_stack([x, np.roll(x, 1)]), labels)


def test_rows_without_the_value_do_not_hide_the_leak():
    leaked = np.where(np.arange(N) % 5 == 0, np.nan, 2 * A)
    assert "'leaked'" in text(pd.DataFrame({"leaked": leaked, "b": B}), A)


@pytest.mark.parametrize("seed", range(8))
def test_a_target_rounded_coarsely_is_still_a_product_or_a_sum(seed):
    draws = np.random.default_rng(seed)
    height, mass = draws.normal(1.7, 0.1, size=N).round(2), draws.normal(75, 12, size=N).round(1)
    frame = pd.DataFrame({"noise": B, "height": height, "mass": mass})
    index = (mass / height**2).round(1)
    assert "product of powers of 'height' and 'mass' up to rounding" in text(frame, index)
    assert "weighted sum of 'height' and 'mass' up to rounding" in text(
        frame, (mass - 100 * height + 90).round()
    )
    assert not found(frame, (index + 0.3 * C).round(1))
    assert not found(frame, (index / 4).round())  # in steps of a standard deviation, any sum is near


def test_a_sum_is_seen_whose_parts_are_rounded_as_well():
    goals, threes, free = R.gamma(2, 2, size=(3, N))
    frame = pd.DataFrame({"goals": goals, "threes": threes, "free": free, "b": B}).round(1)
    said = text(frame, (2 * goals + threes + free).round(1))
    assert said.startswith("the target is a weighted sum of 'goals', 'threes' and 'free' up to rounding")
    assert not found(frame, (2 * goals + threes + free + 0.1 * C).round(1))


@pytest.mark.parametrize("share", [0.04, 0.12])
@pytest.mark.parametrize("n_texts", [4, 350])
def test_a_sum_may_err_in_some_rows_and_beside_many_levels(share, n_texts):
    r = np.random.default_rng(0)
    tip, fee, way = r.gamma(2, 2, size=(3, N)).round(2)
    fare = (3 + 2 * way + r.normal(size=N)).round(1)
    waived = r.random(N) < share
    frame = pd.DataFrame({"tip": tip, "fee": fee, "total": (fare + tip + fee).round(2) - 2.5 * waived})
    frame["zone"] = [f"z{k}" for k in r.integers(n_texts, size=N)]
    said = text(frame, fare)
    assert said.startswith("the target is a weighted sum of 'tip', 'fee' and 'total' up to rounding in ")
    assert abs(float(said.split(" in ")[1].split("%")[0]) / 100 - 1 + waived.mean()) < 0.02
    assert not found(frame, (fare + r.normal(size=N)).round(1))
    assert not found(frame, np.where(r.random(N) < 0.5, fare, (fare + r.normal(size=N)).round(1)))


def test_a_sum_of_a_few_rows_and_many_numbers_is_exact_beside_text():
    r = np.random.default_rng(1)
    answers = r.integers(1, 8, size=(58, 15))
    frame = pd.DataFrame(answers).add_prefix("q").assign(said=[f"t{k % 50}" for k in range(58)])
    said = text(frame, answers @ r.choice([-1, 1], size=15) / 15)
    assert "'q0', 'q1', 'q2', 'q3', 'q4' and 10 more up to rounding: a leak?" in said


@pytest.mark.parametrize("seed", range(8))
def test_few_rows_of_many_columns_show_no_sum_that_errs(seed):
    r = np.random.default_rng(seed)
    values = r.normal(size=(44, 13)).round(2)
    y = values[:, :4].sum(axis=1) + 0.01 * r.standard_t(1.2, size=44)
    assert not found(pd.DataFrame(values).add_prefix("x"), y)


def test_a_target_that_is_smooth_in_the_order_of_the_rows_has_no_leak_in_their_number():
    X = pd.DataFrame({"row": np.arange(N), "a": A})
    y = np.sin(np.arange(N) / 40)
    assert "'row' determines the target almost exactly" in text(X, y)
    assert not leaks(View.of(make_table(X, y), seed=0), seed=0, numbered=(0,))


def test_a_copy_of_the_classes_names_no_source():
    score = R.integers(10, size=N)
    said = text(pd.DataFrame({"score.1": score * 3, "b": B}), score, task="classification")
    assert said.endswith("known when predictions are made.")


def test_texts_that_hardly_repeat_are_no_leak():
    message = np.arange(N) % (N - 60)
    frame = pd.DataFrame({"text": [f"Call {k} now for a free prize" for k in message], "b": B})
    assert not found(frame, (message * 7919) % 5 < 2)


def test_a_product_may_be_0_and_a_count():
    rate, people = np.exp(A) * (R.random(N) < 0.6), R.integers(1_000, 90_000, size=N).astype(float)
    frame = pd.DataFrame({"age": B, "rate": rate, "people": people})
    assert text(frame, rate * people).startswith("the target is a product of powers of 'rate' and 'people'")


def test_an_identifier_of_two_rows_is_seen_in_many_rows():
    home = np.repeat(np.arange(5_000), 2)
    frame = pd.DataFrame({"home": R.permutation(5_000)[home], "a": R.normal(size=10_000)})
    income = R.normal(size=5_000)[home]
    assert text(frame, income).startswith("'home' determines the target in every row: a leak?")
    assert not found(frame, income + R.normal(size=10_000))


def test_of_very_many_targets_some_are_looked_at(monkeypatch):
    looked, together = [], leaks_module._together
    monkeypatch.setattr(
        leaks_module, "_together", lambda *given, **named: looked.append(1) or together(*given, **named)
    )
    X = np.column_stack([A, B, C])
    assert "weighted sum" in text(X, X @ np.random.default_rng(0).normal(size=(3, 500)))
    assert len(looked) == 100
