"""Dates as text, in every common format, from frames and files: read as dates, and read again by build()."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import regadvisor
from regadvisor.data.dates import as_times, find_dates
from regadvisor.data.files import read_frame, split_columns
from regadvisor.data.rows import read_time
from regadvisor.data.source import make_table
from regadvisor.errors import DataError

FORMATS = [
    "%Y-%m-%d",
    "%Y/%m/%d",
    "%d/%m/%Y",
    "%m/%d/%Y",
    "%m-%d-%Y",
    "%d.%m.%Y",
    "%d.%m.%y",
    "%d/%m/%y",
    "%m/%d/%y",
    "%Y%m%d",
    "%d %b %Y",
    "%b %d, %Y",
    "%B %d, %Y",
    "%d-%b-%y",
    "%A, %d %B %Y",
    "%Y-%b-%d",
]
CLOCKS = [
    "",
    " %H:%M",
    " %H:%M:%S",
    " %H:%M:%S.%f",
    " %I:%M %p",
    " %I:%M:%S%p",
    "T%H:%M:%S",
    "T%H:%M:%SZ",
    " %H:%M:%S UTC",
    " %H:%M+00:00",
]


def stamps(n=400, seed=0):
    rng = np.random.default_rng(seed)
    days = pd.to_timedelta(rng.integers(0, 700, n), unit="D")
    return pd.Series(pd.Timestamp("2020-01-01") + days + pd.to_timedelta(rng.integers(0, 86400, n), unit="s"))


def draw(form="%Y-%m-%d"):
    """Return a frame with dates as text and the target that they make."""
    when = stamps().dt.normalize()
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"when": when.dt.strftime(form), "a": rng.normal(size=400)})
    return frame, (when - when.min()).dt.days.to_numpy() / 100 + 0.3 * rng.normal(size=400)


def codes(table):
    return {note.code: note.text for note in table.notes}


# ------------------------------------------------------------------------------------------- reading


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_is_read_with_every_clock(form):
    dates = stamps()
    for clock in CLOCKS:
        text = dates.dt.strftime(form + clock)
        found = find_dates(text)
        assert found is not None, text[0]
        assert not found.is_ambiguous
        precision = "D" if not clock else "min" if "%S" not in clock else "s"
        pd.testing.assert_series_equal(found.times, dates.dt.floor(precision), check_dtype=False)
        pd.testing.assert_series_equal(as_times(text, found.order), found.times)


@pytest.mark.parametrize("form", ["%Y-%m", "%m/%Y", "%Y-%b", "%Y %B", "%b-%Y"])
def test_months_are_read_in_any_century_since_1700(form):
    months = pd.Series(pd.date_range("1749-01-01", periods=1_800, freq="MS"))
    found = find_dates(months.dt.strftime(form))
    pd.testing.assert_series_equal(found.times, months, check_dtype=False)


def test_values_of_one_column_may_be_written_in_several_ways():
    text = [
        "13/02/2024",
        "3/4/2024 1:30 pm",
        "2024-05-06T07:08:09.5+02:00",
        "1st June 2024",
        "Jul 4, 2024",
        None,
    ]
    found = find_dates(pd.Series(text, dtype=object))
    assert found.times.tolist()[:-1] == [
        datetime(2024, 2, 13),
        datetime(2024, 4, 3, 13, 30),
        datetime(2024, 5, 6, 5, 8, 9, 500_000),
        datetime(2024, 6, 1),
        datetime(2024, 7, 4),
    ]
    assert pd.isna(found.times.iloc[-1])


@pytest.mark.parametrize(
    "values",
    [
        ["2024", "2023"],
        ["12-345", "10-200", "12-999"],
        ["1.2.3", "1.10.2", "2.0.0"],
        ["2.10.12", "3.11.12"],
        ["10.0.19041", "10.0.22621"],
        ["192.168.10.12", "10.0.0.1"],
        ["555-123-4567", "555-987-6543"],
        ["123-45-6789", "987-65-4321"],
        ["91234567", "20123456"],
        ["0612345678", "0698765432"],
        ["12.5", "13.75", "1e5"],
        ["10:30", "11:45"],
        ["1/2", "3/4"],
        ["may", "june", "march"],
        ["Mar 12", "Jan 3"],
        ["soon", "2024-01-01", "2024-01-02"],
        ["2024-02-30", "2024-01-01"],
        ["2024-13-01", "2024-01-01"],
        ["2024-01-01 25:00", "2024-01-01 24:60"],
        [1, 2, 3],
        [20241301, 20240101],
        [12.5, np.nan],
        np.array([12.5, 13.5], dtype=np.float16),
        [True, False],
        ["", "?"],
        [None, None],
        [["2024-01-01"], ["2024-01-02"]],
    ],
    ids=str,
)
def test_what_is_no_date_stays_what_it_is(values):
    assert find_dates(pd.Series(values)) is None


def test_the_values_decide_which_number_is_the_day():
    assert find_dates(pd.Series(["01/02/2024", "13/02/2024"])).order == "dmy"
    assert find_dates(pd.Series(["01/02/2024", "02/13/2024"])).order == "mdy"
    for text, order in (
        (["01/02/2024", "03/04/2024"], "mdy"),
        (["01-02-2024", "03-04-2024"], "mdy"),
        (["01/01/2024", "01/02/2024", "01/03/2024"], "dmy"),  # the first of every month
        ([f"{y}-{m:02d}-{d:02d}" for y in (10, 11) for m in (1, 2) for d in range(1, 29)], "ymd"),
    ):
        found = find_dates(pd.Series(text))
        assert (found.order, found.is_ambiguous) == (order, True)
    found = find_dates(pd.Series(["01.02.2024", "03.04.2024"]))
    assert (found.order, found.is_ambiguous) == ("dmy", False)


def test_a_few_typing_errors_are_missing_values_and_noted():
    text = stamps().dt.strftime("%d/%m/%Y").tolist()
    text[3:7] = ["30/02/2024", "soon", "?", ""]
    table = make_table(pd.DataFrame({"when": text}), np.arange(400.0))
    assert table.facts.columns[0].has_missing
    assert table.X["when"].isna().sum() == 4
    assert codes(table)["unread-dates"].startswith("2 values in 'when' are no date and count as missing")


def test_what_was_assumed_is_said_with_a_remedy():
    frame = pd.DataFrame({"d": ["01/02/2024", "03/04/2024", "05/06/2024"] * 10})
    notes = codes(make_table(frame, np.arange(30.0)))
    assert notes["parsed-dates"].startswith(
        "1 column of text or numbers was read as dates: 'd' (month first)."
    )
    assert "read month first" in notes["ambiguous-dates"]
    other = pd.to_datetime(frame["d"], dayfirst=True)  # the remedy of the note
    assert "pandas.to_datetime(X['d'], dayfirst=True)" in notes["ambiguous-dates"]
    assert other[0] == datetime(2024, 2, 1)


# ---------------------------------------------------------------------------------------- containers


def as_csv(frame, folder):
    frame.to_csv(folder / "data.csv", index=False)
    return read_frame(folder / "data.csv").frame


def as_lines(frame, folder):
    frame.to_json(folder / "data.jsonl", orient="records", lines=True)
    return read_frame(folder / "data.jsonl").frame


CONTAINERS = {
    "object": lambda frame, _: frame.astype({"when": object}),
    "string": lambda frame, _: frame.astype({"when": "string"}),
    "category": lambda frame, _: frame.astype({"when": "category"}),
    "polars": lambda frame, _: pl.from_pandas(frame),
    "pyarrow": lambda frame, _: pa.Table.from_pandas(frame),
    "array": lambda frame, _: frame.to_numpy(dtype=object),
    "csv": as_csv,
    "json": as_lines,
}


@pytest.mark.parametrize("form", ["%d/%m/%Y", "%Y%m%d", "%Y-%m-%dT%H:%M:%S"])
@pytest.mark.parametrize("container", CONTAINERS)
def test_every_container_gives_the_same_table(container, form, tmp_path):
    frame, y = draw(form)
    frame.loc[5, "when"] = None
    table = make_table(CONTAINERS[container](frame, tmp_path), y)
    assert [column.kind for column in table.facts.columns] == ["date", "numeric"]
    expected = stamps().dt.normalize()
    read = pd.Series(np.asarray(pd.DataFrame(table.X).iloc[:, 0], dtype="M8[us]"))
    assert read.drop(5).tolist() == expected.drop(5).tolist()
    assert pd.isna(read[5])


def test_times_for_validation_are_read_alike():
    dates = stamps()
    np.testing.assert_array_equal(read_time(dates.dt.strftime("%d/%m/%Y %H:%M:%S")), read_time(dates))
    with pytest.raises(DataError, match="read in one way"):
        read_time(pd.Series(["01/02/2024", "03/04/2024"]))


# -------------------------------------------------------------------------------------------- advice


def r_squared(fitted, frame, y):
    return 1 - float(np.mean((fitted.predict(frame) - y) ** 2) / y.var())


@pytest.mark.parametrize(
    "form", ["%Y-%m-%d", "%d/%m/%Y", "%m/%d/%y", "%B %d, %Y", "%Y%m%d", "%d.%m.%Y %H:%M"]
)
def test_dates_explain_the_target(form):
    frame, y = draw(form)
    fitted = (
        regadvisor.advise(frame[:300], y[:300], effort="quick", folds=2).build().fit(frame[:300], y[:300])
    )
    assert r_squared(fitted, frame[300:], y[300:]) > 0.9


def test_new_rows_are_read_as_those_that_the_advice_was_given_for():
    """A few new rows could be read in another order; they must not be."""
    frame, y = draw("%d/%m/%Y")
    fitted = regadvisor.advise(frame, y, effort="quick", folds=2).build().fit(frame, y)
    few = pd.DataFrame({"when": ["01/02/2020", "01/12/2020", "soon"], "a": [0.0] * 3})
    predicted = fitted.predict(few)
    assert predicted[1] - predicted[0] == pytest.approx(3.04, abs=0.3)  # ten months, not eleven days
    assert np.isfinite(predicted[2])


def test_rows_to_match_are_read_alike():
    frame, _ = draw("%d/%m/%Y")
    table = make_table(frame, np.arange(400.0))
    few = pd.DataFrame({"when": ["01/02/2020", "01/12/2020"], "a": [0.0, 1.0]})
    matched = make_table(few, np.arange(2.0), like=table.facts)
    assert matched.X["when"].dt.month.tolist() == [2, 12]
    assert "ambiguous-dates" not in codes(matched)


def test_a_saved_advice_of_a_file_builds_for_a_frame(tmp_path):
    frame, y = draw("%d/%m/%Y")
    frame.assign(y=y).to_csv(tmp_path / "data.csv", index=False)
    split = split_columns(read_frame(tmp_path / "data.csv").frame, target="y")
    advice = regadvisor.advise(split.X, split.y, effort="quick", folds=2)
    advice.to_json(tmp_path / "advice.json")
    loaded = regadvisor.Advice.load(tmp_path / "advice.json")
    assert loaded.record.data.columns[0].date_order == "dmy"
    assert r_squared(loaded.build().fit(frame, y), frame, y) > 0.9


def test_classes_and_networks():
    frame, y = draw("%d %b %Y")
    labels = np.where(y > 3, "late", "early")
    recipe = regadvisor.Recipe(epochs=5, hidden=(16,), lr=0.01)
    for options in ({}, {"model": "mlp", "recipe": recipe}):
        fitted = (
            regadvisor.advise(frame, labels, effort="quick", folds=2, **options).build().fit(frame, labels)
        )
        assert fitted.score(frame, labels) > 0.9


def test_a_target_of_more_dates_than_there_may_be_classes_is_told_to_be_dates():
    days = pd.Series(pd.date_range("2000-01-01", periods=2_100).strftime("%Y-%m-%d"))
    with pytest.raises(DataError, match="got dates, as in '2000-01-01' and '2000-01-02'; predict a number"):
        make_table(pd.DataFrame({"x": np.arange(2_100)}), days)
