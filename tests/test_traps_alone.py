"""Columns that nearly determine the target, and codes that are read as numbers; and honest data."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import LeaveOneOut, cross_val_predict

from regadvisor import advise
from regadvisor.data.source import make_table
from regadvisor.traps.alone import coded, near_leaks, shares
from regadvisor.traps.find import find_traps
from regadvisor.traps.view import View, standardised

N = 600
R = np.random.default_rng(0)
A, B, C = R.normal(size=(3, N))
NOISE = R.normal(size=N)
Y = A + NOISE
IS_IN = (Y > 0.5).astype(int)


def said(X, y, code):
    table = make_table(X, y)
    found = {note.code: note.text for note in find_traps(table, seed=0)}
    own = near_leaks(View.of(table, seed=0), seed=0, told=()) if code == "near-leak" else ()
    assert (code in found) == bool(own) or code != "near-leak"
    return found.get(code)


def frame(**columns):
    return pd.DataFrame({"a": A, "b": B, **columns})


def test_what_levels_say_is_that_of_a_plain_loop_over_rows():
    codes = R.integers(0, 30, size=200)
    y = standardised((np.sin(codes) + R.normal(size=200))[:, None])
    one_hot = (codes[:, None] == np.arange(30)).astype(float)
    model = LinearRegression(fit_intercept=False)
    predicted = cross_val_predict(model, one_hot, y, cv=LeaveOneOut())
    found = shares(codes.astype(float), y)
    assert found.as_levels == pytest.approx(1 - np.square(predicted - y).mean(axis=0))
    line = standardised((3.0 * np.arange(200) + 1)[:, None])
    assert shares(np.arange(200.0), line).as_number == pytest.approx([1.0], abs=1e-3)


NEARLY = {
    "a copy with noise": (frame(copy=Y + 0.02 * C), Y, "copy"),
    "bins of a copy, as text": (frame(band=[f"{np.floor(4 * v):.0f}+" for v in Y + 0.02 * C]), Y, "band"),
    "bins of a copy, as numbers": (frame(band=np.floor(4 * (Y + 0.02 * C))), Y, "band"),
    "known afterwards, with errors": (
        frame(closed=np.where(R.random(N) < 0.01, 1 - IS_IN, IS_IN)),
        IS_IN,
        "closed",
    ),
    "dated afterwards": (
        frame(closed=pd.Series(pd.date_range("2020-01-01", periods=N)).where(IS_IN == 1)),
        IS_IN,
        "closed",
    ),
    "nothing spent before": (
        frame(spent=np.where((IS_IN == 1) & (R.random(N) < 0.98), R.gamma(2, 90, N), 0)),
        IS_IN,
        "spent",
    ),
    "only there afterwards": (frame(days=np.where(IS_IN == 1, R.integers(1, 99, N), np.nan)), IS_IN, "days"),
}


@pytest.mark.parametrize("how", NEARLY)
def test_a_column_that_nearly_determines_the_target_is_named_with_what_the_others_say(how):
    X, y, name = NEARLY[how]
    text = said(X, y, "near-leak")
    assert text.startswith(f"'{name}' alone predicts 9")
    assert "Leave it out if it is not known" in text


def test_columns_that_each_say_a_class_are_named_together():
    y = R.choice(["x", "y", "z"], size=N)
    text = said(frame(is_x=(y == "x") * 1, is_y=(y == "y") * 1), y, "near-leak")
    assert text.startswith("'is_x' and 'is_y' each predict 99% of the variance of a class, all other")
    one = said(frame(is_x=(y == "x") * 1), y, "near-leak")
    assert "of the variance of class 'x', all other columns" in one


HONEST = {
    "a good measurement": (frame(), A + 0.1 * NOISE),
    "a model of a car": (
        frame(model=[f"M{k % 12}" for k in range(N)]),
        5 * R.normal(size=12)[np.arange(N) % 12] + NOISE,
    ),
    "several good ones": (frame(c=A + 0.05 * B), (A + 0.05 * NOISE > 0).astype(int)),
    "a date": (frame(day=pd.date_range("2020-01-01", periods=N)), np.arange(N) / 20 + NOISE),
    "titles in a file that is sorted by the target": (
        frame(title=[f"T{k:03}" for k in range(N)]),
        np.sort(Y),
    ),
    "whole numbers": (frame(years=np.arange(N) % 40), np.arange(N) % 40 + 2 * NOISE),
    "copies of rows": (pd.concat([frame(c=C)] * 3, ignore_index=True), np.tile(IS_IN, 3)),
}


@pytest.mark.parametrize("how", HONEST)
def test_nothing_is_said_of_honest_columns(how):
    X, y = HONEST[how]
    assert said(X, y, "near-leak") is None
    assert said(X, y, "leak") is None


# ------------------------------------------------------------------------------ numbers that are codes


def with_code(n_codes, *, seed=0, n=N):
    r = np.random.default_rng(seed)
    k, effect = r.integers(0, n_codes, size=n), 2 * r.normal(size=n_codes)
    names = np.sort(r.permutation(np.arange(100, 999))[:n_codes])
    X = pd.DataFrame({"region": names[k], "a": r.normal(size=n)})
    return X, effect[k] + X["a"] + r.normal(size=n)


@pytest.mark.parametrize("n_codes", [8, 30, 80])
def test_codes_that_are_read_as_numbers_are_named(n_codes):
    X, y = with_code(n_codes)
    for target in (y, (y > y.median()).astype(int)):
        text = said(X, target, "codes-as-numbers")
        assert text.startswith("the numbers in 'region' may be codes: as categories they predict ")
        assert "X['region'].astype('category')" in text
        assert text.endswith("If the model will meet new ones, pass groups='region' instead.")
    assert said(X.to_numpy(), y, "codes-as-numbers").startswith("the numbers in column 0 may be codes")
    assert said(X.astype({"region": "category"}), y, "codes-as-numbers") is None


def test_what_the_note_advises_lowers_the_error():
    X, y = with_code(20, n=1_200)
    errors = []
    for form in (X, X.astype({"region": "category"})):
        fitted = advise(form[:600], y[:600], effort="quick", folds=3).build().fit(form[:600], y[:600])
        errors.append(np.mean((fitted.predict(form[600:]) - y[600:]) ** 2) / y.var())
    assert errors[1] < 0.6 * errors[0]


def test_quantities_are_no_codes():
    r = np.random.default_rng(0)
    for seed in range(10):
        r = np.random.default_rng(seed)
        hour, age, rooms = r.integers(0, 24, N), r.integers(18, 90, N), r.poisson(3, N)
        X = pd.DataFrame({"hour": hour, "age": age, "rooms": rooms, "other": r.integers(0, 100, N)})
        y = 2 * np.cos(hour / 12 * np.pi) + ((age - 50) / 20) ** 2 + np.sqrt(rooms) + r.normal(size=N)
        assert coded(View.of(make_table(X, y), seed=0), told=()) == ()
        assert coded(View.of(make_table(X, r.normal(size=N)), seed=0), told=()) == ()


def test_a_price_or_an_age_is_no_code_by_its_name():
    X, y = with_code(30)
    for name, is_code in (("region", True), ("Selling Price", False), ("Age", False)):
        assert (
            bool(coded(View.of(make_table(X.rename(columns={"region": name}), y), seed=0), told=()))
            == is_code
        )


def test_what_is_the_same_for_a_category_is_no_code_of_its_own():
    X, y = with_code(30)
    assert said(X.assign(city=[f"C{region}" for region in X["region"]]), y, "codes-as-numbers") is None


def test_a_column_that_names_sources_is_not_called_codes_as_well():
    r = np.random.default_rng(0)
    who = np.repeat(np.arange(40), 15)
    X = pd.DataFrame(r.normal(size=(40, 8))[who] + 0.05 * r.normal(size=(600, 8))).add_prefix("x")
    X["patient"] = 1000 + 7 * who
    y = r.normal(size=40)[who] + 0.05 * r.normal(size=600)
    codes = [note.code for note in find_traps(make_table(X, y), seed=0)]
    assert codes == ["shared-source"]


def test_other_columns_are_spoken_of_where_there_are_some():
    copies = pd.DataFrame({"one": Y + 0.01 * A, "two": Y + 0.01 * B})
    text = said(copies, Y, "near-leak")
    assert text.startswith("'one' and 'two' each predict 99% of the variance of the target: a leak?")
    assert said(copies[["one"]], Y, "near-leak") is None, "a line through one feature is what was asked for"
