"""Hints that would work: rows where rows are missing, and identifiers that number the rows."""

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from regadvisor import advise
from regadvisor.data.source import make_table
from regadvisor.traps.find import find_traps


def few(seed, n, classes=False):
    r = np.random.default_rng(seed)
    X = r.normal(size=(n, 8))
    y = X[:, 0] + r.normal(size=n)
    return X, np.where(y > 0, "a", "b") if classes else y


@pytest.mark.parametrize(
    "own",
    [{"seed": 6, "n": 18}, {"seed": 0, "n": 19}, {"seed": 1, "n": 8}, {"seed": 2, "n": 15, "classes": True}],
    ids=str,
)
def test_too_few_rows_do_not_ask_for_time(own):
    text = advise(*few(**own)).to_text()
    assert "With at least 20 rows, validation can replace the default." in text
    assert "budget=" not in text
    assert "ore time" not in text


@pytest.mark.parametrize("n", [22, 40])
def test_few_rows_without_a_limit_do_not_ask_for_time(n):
    text = advise(*few(3, n), effort="quick", folds=2).to_text()
    assert "budget=" not in text
    assert "ore time" not in text


def test_a_budget_of_nothing_asks_for_one():
    assert 'With more time (budget="auto")' in advise(*few(0, 60), budget=0).to_text()


# ------------------------------------------------------------------------------------------ identifiers

N = 300


def numbered(column):
    r = np.random.default_rng(0)
    frame = pd.DataFrame({"a": r.normal(size=len(column)), "own": column})
    notes = find_traps(make_table(frame, frame.a + r.normal(size=len(column))), seed=0)
    return [note for note in notes if note.code == "numbers-rows"]


R = np.random.default_rng(1)
IDS = {
    "from 0": np.arange(N),
    "from 1, float": np.arange(1.0, N + 1),
    "falling": np.arange(N)[::-1],
    "in steps": 1000 + 5 * np.arange(N),
    "shuffled": R.permutation(N),
    "with gaps": np.sort(R.choice(2 * N, size=N, replace=False)),
    "a few twice": np.r_[np.arange(N - 2), 5, 7],
    "100,000 rows": R.permutation(100_000),
}


@pytest.mark.parametrize("how", IDS)
def test_a_column_that_numbers_the_rows_is_named(how):
    (note,) = numbered(IDS[how])
    assert note.is_warning
    assert note.text.startswith("'own' numbers the rows")
    assert ("pass time='own'" in note.text) == bool(
        (np.diff(IDS[how]) > 0).all() or (np.diff(IDS[how]) < 0).all()
    )


@pytest.mark.parametrize("how", ["in order", "newest first", "shuffled"])
def test_dates_that_count_the_rows_are_an_order_and_no_identifier(how):
    weeks = pd.Series(pd.date_range("2021-01-04", periods=N, freq="W-MON"))
    shown = {"in order": weeks, "newest first": weeks[::-1], "shuffled": weeks.sample(frac=1, random_state=0)}
    frame = pd.DataFrame({"week of": shown[how].to_numpy(), "a": R.normal(size=N)})
    notes = find_traps(make_table(frame, frame.a + R.normal(size=N)), seed=0)
    assert not [note for note in notes if note.code == "numbers-rows"]
    (note,) = (note for note in notes if note.code == "dates-rows")
    assert "pass time='week of'" in note.text


def test_dates_and_nothing_else_are_a_series():
    days = pd.DataFrame({"day": pd.date_range("2021-01-04", periods=N)})
    (note,) = find_traps(make_table(days, R.normal(size=N)), seed=0)
    assert note.text.endswith("add features, such as earlier values of the target, and pass time='day'.")


def test_years_are_an_order_as_well():
    frame = pd.DataFrame({"year": np.arange(1900, 1900 + 90), "a": R.normal(size=90)})
    codes = [note.code for note in find_traps(make_table(frame, R.normal(size=90)), seed=0)]
    assert codes == ["dates-rows"]


DAYS = pd.date_range("2021-11-20", periods=N)
IN_PARTS = pd.DataFrame({"a": R.normal(size=N), "DY": DAYS.day, "Year": DAYS.year, "MO": DAYS.month})


@pytest.mark.parametrize(
    ("frame", "named"),
    [
        (IN_PARTS, "'Year', 'MO' and 'DY'"),
        (IN_PARTS[::-1], "'Year', 'MO' and 'DY'"),
        (IN_PARTS.sample(frac=1, random_state=0), ""),
        (IN_PARTS.drop(columns="DY"), ""),  # several rows of one month
        (IN_PARTS.rename(columns={"MO": "rooms"}), ""),
        (pd.concat([IN_PARTS, IN_PARTS]), ""),
    ],
)
def test_a_date_in_several_columns_is_an_order_as_well(frame, named):
    notes = find_traps(make_table(frame, R.normal(size=len(frame))), seed=0)
    found = [note.text for note in notes if note.code == "dates-rows"]
    assert len(found) == bool(named)
    assert all(text.startswith(f"Each row has its own time in {named}. ") for text in found)
    dated = make_table(frame, R.normal(size=len(frame)), time=np.arange(len(frame)))
    assert "dates-rows" not in [note.code for note in find_traps(dated, seed=0)]


def test_where_the_time_is_given_it_is_not_asked_for():
    days = pd.date_range("2021-01-04", periods=N)
    frame = pd.DataFrame({"day": days, "no": np.arange(N), "a": R.normal(size=N)})
    said = {note.code: note.text for note in find_traps(make_table(frame, frame.a, time=days), seed=0)}
    assert "dates-rows" not in said
    assert said["numbers-rows"].endswith("about new rows. Leave it out.")
    years = np.column_stack([np.arange(1700, 1700 + N), R.normal(size=N)])
    (note,) = find_traps(make_table(years, R.normal(size=N)), seed=0)
    assert note.text.startswith("Each row has its own year in column 0.")
    assert note.text.endswith("pass column 0 as time=.")


def ranked(y, rank, name="own"):
    r = np.random.default_rng(3)
    return find_traps(make_table(pd.DataFrame({name: rank, "a": r.normal(size=len(y))}), y), seed=0)


@pytest.mark.parametrize("is_classes", [False, True])
def test_a_rank_that_goes_with_the_target_is_no_identifier(is_classes):
    r = np.random.default_rng(2)
    rank = 1 + r.permutation(N)
    y = rank + 60 * r.normal(size=N)
    assert not ranked(np.where(y > N / 2, "a", "b") if is_classes else y, rank)
    (note,) = ranked(np.where(r.normal(size=N) > 0, "a", "b") if is_classes else r.normal(size=N), rank)
    assert note.code == "numbers-rows"


def test_a_rank_may_lack_values_and_go_with_any_of_several_targets():
    r = np.random.default_rng(2)
    rank = 1.0 + r.permutation(N)
    y = rank + 60 * r.normal(size=N)
    rank[:5] = np.nan
    assert not ranked(y, rank)
    Y = np.column_stack([r.normal(size=N), y])
    assert "numbers-rows" not in {note.code for note in ranked(Y, rank)}


def test_numbers_of_rows_are_seen_where_all_rows_looked_at_are_of_one_class():
    rank = np.random.default_rng(2).permutation(100_000)
    y = np.where(np.arange(len(rank)) < 3, "rare", "usual")
    assert "numbers-rows" in {note.code for note in ranked(y, rank)}


SORTED = {
    "classes": np.repeat(["a", "b", "c"], N // 3),
    "numbers": np.sort(R.normal(size=N)),
    "a multiple of the row number": 0.25 * np.arange(N),
}


@pytest.mark.parametrize("y", SORTED.values(), ids=SORTED.keys())
def test_an_identifier_of_rows_sorted_by_the_target_is_no_leak(y):
    (note,) = (note for note in ranked(y, np.arange(N)) if note.code != "separable-classes")
    assert note.code == "numbers-rows"
    assert "as the rows are sorted by the target, it tells the target here" in note.text
    mixed = R.permutation(N)
    assert "leak" in {note.code for note in ranked(y[mixed], mixed)}, "out of order it is no row number"


def test_a_column_that_counts_the_rows_is_no_hint_of_an_order():
    frame = pd.DataFrame({"id": np.arange(N), "a": R.normal(size=N)})
    codes = {note.code for note in advise(frame, R.normal(size=N), effort="quick", folds=2).record.notes}
    assert "row-order" not in codes
    frame["a"] = np.arange(N) + R.normal(size=N)
    codes = {note.code for note in advise(frame, R.normal(size=N), effort="quick", folds=2).record.notes}
    assert "row-order" in codes


MEASURED = {
    "prices": R.integers(10_000, 10**7, size=N),
    "counts": R.poisson(300, size=N),
    "ages": R.integers(18, 90, size=N),
    "few rows": np.arange(12),
    "real numbers": np.linspace(0, 1, N),
    "large whole numbers": np.round(np.exp(10 + 2 * R.normal(size=N))),
}


@pytest.mark.parametrize("how", MEASURED)
def test_what_measures_something_is_none(how):
    assert not numbered(MEASURED[how])


def test_a_single_column_is_not_taken_away():
    assert not find_traps(make_table(np.arange(N)[:, None], np.random.default_rng(0).normal(size=N)), seed=0)


def test_text_that_is_different_in_every_row_is_a_warning_as_well():
    frame = pd.DataFrame({"a": np.arange(N) % 7 / 3, "name": [f"u{i}" for i in range(N)]})
    (note,) = (n for n in make_table(frame, np.arange(N) % 2).notes if n.code == "looks-like-id")
    assert note.is_warning


SENTENCES = [f"order {i} came late and the box was {['wet', 'torn', 'fine'][i % 3]}" for i in range(N)]


def test_sentences_are_told_from_identifiers():
    frame = pd.DataFrame({"a": np.arange(N) % 7 / 3, "review": SENTENCES, "key": [f"u{i}" for i in range(N)]})
    notes = {note.code: note for note in make_table(frame, np.arange(N) % 2).notes}
    assert "'review'" not in notes["looks-like-id"].text
    assert "(TfidfVectorizer(), 'review')" in notes["free-text"].text
    assert notes["free-text"].is_warning


def test_nothing_is_said_of_sentences_that_the_steps_of_the_caller_read():
    frame = pd.DataFrame({"a": np.arange(N) % 7 / 3, "review": SENTENCES})
    words = make_column_transformer((TfidfVectorizer(), "review"), remainder="passthrough")
    is_wrong = np.random.default_rng(0).random(N) < 0.3
    y = np.array(["wet" in text for text in SENTENCES]) ^ is_wrong
    advice = advise(frame, y, model=make_pipeline(words, LogisticRegression()), effort="quick", folds=2)
    assert "free-text" not in {note.code for note in advice.record.notes}
    assert "on the features that LogisticRegression gets." in " ".join(advice.to_text().split())


def test_a_loss_of_next_to_nothing_is_told_where_nothing_else_says_why():
    """Seventy columns of 0 and 1 tell the classes apart, too many to be looked at one by one or together."""
    category = np.random.default_rng(0).integers(0, 70, size=700)
    X, y = np.eye(70)[category], np.where(category < 35, "a", "b")
    codes = {note.code for note in advise(X, y, effort="quick", folds=2).record.notes}
    assert "too-good" in codes
    y[::10] = "b"
    codes = {note.code for note in advise(X, y, effort="quick", folds=2).record.notes}
    assert "too-good" not in codes


def test_months_and_names_of_identifiers_number_the_rows():
    def told(**columns):
        frame = pd.DataFrame(columns).assign(a=R.normal(size=N))
        return [note.text for note in find_traps(make_table(frame, R.normal(size=N)), seed=0)]

    (text,) = told(month=pd.date_range("1990-01-01", periods=N, freq="MS"))
    assert text.startswith("Each row has its own date in 'month'.")
    (text,) = told(week=10 + np.arange(N))
    assert text.startswith("Each row has its own time in 'week'.")
    numbers = R.choice(10**7, size=N, replace=False)
    (text,) = told(patientId=numbers)
    assert text.startswith("'patientId' numbers the rows:")
    (text,) = told(obs=np.sort(numbers))
    assert text.endswith("Leave it out, or pass time='obs' if it is the order of time.")
    assert not told(paid=np.sort(numbers))


def test_what_is_called_a_rank_is_no_identifier():
    y = np.random.default_rng(2).normal(size=N)
    assert [note.code for note in ranked(y, np.arange(N))] == ["numbers-rows"]
    assert not ranked(y, np.arange(N), "World Rank")
