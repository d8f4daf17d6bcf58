"""Rows that share a source: named with their column, and what the error becomes with new sources."""

import re

import numpy as np
import pandas as pd
import pytest

from regadvisor import advise
from regadvisor.data.source import make_table
from regadvisor.traps.find import find_traps


def visits(seed, *, n_sources=40, each=20, p=12, noise=0.05, name="patient", form="text", classes=False):
    """Return rows of patients: everything is the patient's own, and a little noise."""
    r = np.random.default_rng(seed)
    who = np.repeat(np.arange(n_sources), each)
    base, level = r.normal(size=(n_sources, p)), r.normal(size=n_sources)
    frame = pd.DataFrame(base[who] + noise * r.normal(size=(len(who), p))).add_prefix("x")
    if form == "text":
        frame[name] = [f"P{w:02d}" for w in who]
    elif form == "whole":
        frame[name] = 1000 + 7 * who
    y = level[who] + noise * r.normal(size=len(who))
    mix = r.permutation(len(who))
    return frame.iloc[mix].reset_index(drop=True), ((y > 0).astype(int) if classes else y)[mix]


def shared(X, y, **how):
    return [n for n in find_traps(make_table(X, y, **how), seed=0) if n.code == "shared-source"]


VARIANTS = {
    "as given": {"seed": 0},
    "whole numbers as names": {"seed": 1, "form": "whole", "name": "machine"},
    "classes": {"seed": 2, "classes": True},
    "three rows each": {"seed": 3, "n_sources": 100, "each": 3, "name": "site"},
    "ten sources": {"seed": 4, "n_sources": 10, "each": 25},
    "alike but for a third": {"seed": 5, "noise": 0.3},
    "100,000 rows": {"seed": 6, "n_sources": 5_000, "p": 6},
}


@pytest.mark.parametrize("how", VARIANTS)
def test_the_column_and_groups_and_both_errors_are_named(how):
    own = VARIANTS[how]
    (note,) = shared(*visits(**own))
    name = own.get("name", "patient")
    assert note.is_warning
    assert f"pass groups='{name}'" in note.text
    found = re.search(r"is (\S+) of the variance with random folds and (\S+) with new", note.text)
    random, new = map(float, found.groups())
    assert random < 0.35
    assert new > 0.7


def test_near_copies_are_seen_without_a_column_that_names_them():
    alike = {"seed": 3, "n_sources": 60, "each": 10, "noise": 0.3}
    for own in ({"seed": 0}, {"seed": 1, "n_sources": 100, "each": 2}, {"seed": 2, "p": 3}, alike):
        X, y = visits(**own, form="none")
        for form in (X, X.to_numpy()):
            (note,) = shared(form, y)
            assert "most rows have near copies" in note.text
            assert "groups=" in note.text


def test_copies_that_folds_keep_together_are_no_near_copies():
    r = np.random.default_rng(10)
    X = r.normal(size=(500, 5))
    y = (X[:, 0] + r.normal(size=500) > 1.5).astype(int)
    more = np.r_[np.arange(500), r.choice(np.flatnonzero(y), 350)]  # oversampled
    assert not any(shared(X[mixed], y[mixed]) for mixed in (r.permutation(more) for _ in range(4)))
    advice = advise(X[more], y[more], effort="quick")
    said = [note.text for note in advice.record.notes if note.code == "duplicate-rows"]
    assert said[0].endswith("target included; copies are on the same side of every fold.")


def test_nothing_is_said_where_groups_are_given():
    X, y = visits(0)
    assert not shared(X.drop(columns="patient"), y, groups=X.patient)


@pytest.mark.parametrize("seed", range(3))
def test_an_ordinary_category_is_none(seed):
    r = np.random.default_rng(seed)
    X = pd.DataFrame(r.normal(size=(800, 6))).add_prefix("x")
    city = r.integers(0, 40, size=800)
    X["city"] = [f"C{c}" for c in city]
    X["sex"] = r.choice(["f", "m"], size=800)
    y = X.x0 + r.normal(size=40)[city] + 0.3 * r.normal(size=800)
    assert not shared(X, y)
    X["income"] = r.normal(size=40)[city] + 0.5 * r.normal(size=800)  # one feature goes with the city
    assert not shared(X, y)


def test_sources_that_say_nothing_about_the_target_do_no_harm():
    X, _ = visits(0)
    assert not shared(X, np.random.default_rng(1).normal(size=len(X)))


def test_a_quantity_in_whole_numbers_names_no_source():
    r = np.random.default_rng(0)
    size = r.integers(60, 90, size=600)
    X = pd.DataFrame({f"x{j}": size * (j + 1) + 0.2 * r.normal(size=600) for j in range(5)})
    X["size"] = size
    assert not shared(X, size + r.normal(size=600))


@pytest.mark.parametrize("seed", range(3))
def test_two_eyes_of_a_patient_share_a_source(seed):
    r = np.random.default_rng(seed)
    who = np.repeat(np.arange(120), 2)
    X = pd.DataFrame(r.normal(size=(120, 6))[who] + 0.3 * r.normal(size=(240, 6))).add_prefix("m")
    X["eye"], X["patient"] = np.tile(["left", "right"], 120), [f"P{k:03d}" for k in who]
    (note,) = shared(X, r.normal(size=120)[who] + 0.3 * r.normal(size=240))
    assert "pass groups='patient'" in note.text
    assert not shared(X, r.normal(size=240))  # alike in the features only


def measured_again(seed, n_sources, each, *, classes=False):
    """Return visits of patients without a column that names them: what is the same all the time repeats."""
    r = np.random.default_rng(seed)
    who = np.repeat(np.arange(n_sources), each)
    age, mass = r.integers(20, 80, n_sources), r.normal(25, 4, n_sources).round(1)
    X = pd.DataFrame({"age": age[who], "mass": mass[who], "visit": np.tile(np.arange(each), n_sources)})
    X["pulse"] = r.normal(70, 9, len(who)).round(1)
    y = (
        r.integers(0, 2, n_sources)[who]
        if classes
        else r.normal(size=n_sources)[who] + 0.3 * r.normal(size=len(who))
    )
    mix = r.permutation(len(who))
    return X.iloc[mix].reset_index(drop=True), y[mix]


@pytest.mark.parametrize(("n_sources", "each"), [(50, 8), (100, 4), (600, 8)])
@pytest.mark.parametrize("classes", [False, True])
def test_what_patients_keep_all_the_time_shows_them(n_sources, each, classes):
    X, y = measured_again(1, n_sources, each, classes=classes)
    notes = find_traps(make_table(X, y), seed=0)
    assert [note.code for note in notes] == ["shared-source"]
    assert notes[0].text.startswith("rows with the same values of 'mass' and 'age' are alike in the target")
    mixed = X.assign(mass=np.random.default_rng(0).permutation(X["mass"]))
    assert not shared(mixed, y)
    assert not shared(X, np.random.default_rng(0).permutation(y))


def test_what_the_note_advises_can_be_passed_as_it_is_written():
    frame, y = visits(0, n_sources=12)
    advice = advise(frame, y, groups="patient", effort="quick")
    assert advice.record.data.n_groups == frame["patient"].nunique()
    assert "patient" not in [column.name for column in advice.record.data.columns]
    assert "with whole groups held out" in advice.verdict


def panel(seed, *, n_firms=120, n_years=6, own=1.0, p=4):
    """Return a row of each firm and year, whose features are the row's own; the target is the firm's, too."""
    r = np.random.default_rng(seed)
    firm, year = np.repeat(np.arange(n_firms), n_years), np.tile(np.arange(2010, 2010 + n_years), n_firms)
    X = pd.DataFrame(r.normal(size=(len(firm), p))).add_prefix("x").assign(firm=100 + 3 * firm, year=year)
    y = X["x0"] + 2 * own * r.normal(size=n_firms)[firm] + r.normal(size=len(firm))
    kept = r.permutation(len(firm))[: int(0.9 * len(firm))]  # some firms are not met in some years
    return X.iloc[kept].reset_index(drop=True), y.to_numpy()[kept]


@pytest.mark.parametrize("size", [{}, {"n_firms": 30, "n_years": 20}, {"n_firms": 900, "n_years": 5}])
def test_a_panel_names_its_firms_and_its_years(size):
    (note,) = shared(*panel(0, **size))
    assert note.text.startswith(
        "the rows are a panel, one of each 'firm' for each 'year', and rows of one 'firm'"
    )
    assert "pass groups='firm'; if it will predict a later 'year', pass time='year'." in note.text
    X, y = panel(0, **size)
    (note,) = shared(X, y, time=X["year"])
    assert note.text.endswith("pass groups='firm'.")


def test_no_panel_is_told_where_firms_say_nothing_or_pairs_are_met_by_luck():
    X, y = panel(1, own=0.0)
    assert shared(X, y) == [], "rows of a firm are not alike"
    X, y = panel(2)
    r = np.random.default_rng(2)
    X["firm"], X["year"] = r.permutation(X["firm"]), r.permutation(X["year"])
    assert shared(X, y) == []


def test_a_panel_names_chicks_not_days_or_years():
    r = np.random.default_rng(0)
    chick, day = np.repeat(np.arange(40), 10), np.tile(np.arange(0, 20, 2), 40)
    growth = r.normal(3, 1, size=40)[chick] * day + r.normal(30, 3, size=400)
    text = shared(pd.DataFrame({"chick": 1 + chick, "Time": day}), growth)[0].text
    assert "one of each 'chick' for each 'Time'" in text
    assert text.endswith("pass groups='chick'; if it will predict a later 'Time', pass time='Time'.")
    quarters = pd.DataFrame({"year": 1990 + np.arange(80) // 4, "quarter": 1 + np.arange(80) % 4})
    assert shared(quarters, np.cumsum(r.normal(size=80))) == []  # the rows of a year are one series


def test_twins_are_a_panel_without_a_later_twin_and_an_age_of_theirs_is_no_code():
    r = np.random.default_rng(0)
    n = 300
    pair, mother = np.repeat(np.arange(n), 2), r.integers(18, 45, size=n)
    frame = pd.DataFrame(
        {"pair": pair, "twin": np.tile([1, 2], n), "mother": mother[pair], "x": r.normal(size=2 * n)}
    )
    y = r.normal(size=n)[pair] + 0.7 * r.normal(size=2 * n)
    found = {note.code: note.text for note in find_traps(make_table(frame, y), seed=0)}
    assert found["shared-source"].endswith("If the model will meet new ones, pass groups='pair'.")
    assert "codes-as-numbers" not in found


def test_a_household_is_a_source_though_the_row_number_tells_it():
    r = np.random.default_rng(0)
    home = np.repeat(np.arange(400), 3)
    frame = pd.DataFrame(r.normal(size=(400, 6))[home]).add_prefix("x")
    frame = frame.assign(age=r.integers(0, 90, size=1_200), home=100 + home, person=np.arange(1_200))
    assert (
        "rows of the same 'home' are alike"
        in shared(frame, r.normal(size=400)[home] + 0.1 * frame["age"] / 90)[0].text
    )


def test_of_columns_that_name_the_same_sources_text_comes_first():
    r = np.random.default_rng(0)
    firm, year = np.repeat(np.arange(60), 10), np.tile(np.arange(2000, 2010), 60)
    own = r.normal(size=60)[firm] + 0.3 * r.normal(size=600)
    X = pd.DataFrame(
        {"balance": 100 + 7 * firm, "firm": [f"F{k}" for k in firm], "year": year, "debt": 9000 - firm}
    )
    (note,) = (each for each in find_traps(make_table(X, own), seed=0) if each.code == "shared-source")
    assert note.text.startswith("the rows are a panel, one of each 'firm' for each 'year'")


def test_two_equal_columns_are_no_pair_of_a_source():
    r = np.random.default_rng(0)
    score = r.integers(12, size=600)
    X = pd.DataFrame({"score": score, "score.1": score, "a": r.normal(size=600), "b": r.normal(size=600)})
    y = r.normal(size=12)[score] + 0.1 * r.normal(size=600)
    assert "shared-source" not in [note.code for note in find_traps(make_table(X, y), seed=0)]


@pytest.mark.parametrize("is_panel", [True, False])
def test_columns_of_many_names_and_nothing_else_are_looked_at(is_panel):
    r = np.random.default_rng(0)
    one, other = np.repeat(np.arange(45), 45), np.tile(np.arange(45), 45)
    if not is_panel:
        other = r.permutation(other)
    X = pd.DataFrame({"metal": [f"M{k}" for k in one], "beside": [f"B{k}" for k in other]})
    y = r.normal(size=45)[one] + r.normal(size=45)[other] + 0.1 * r.normal(size=len(X))
    said = [note.text for note in find_traps(make_table(X, y), seed=0) if note.code == "shared-source"]
    assert bool(said) == is_panel
