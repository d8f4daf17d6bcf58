"""Tables as programs write them: numbers and dates of other countries, names of rows, almost numbers."""

from __future__ import annotations

import unicodedata
from typing import Any

import numpy as np
import pandas as pd
import pytest

from regadvisor import DataError, advise
from regadvisor.data.dates import find_dates
from regadvisor.data.files import parse_content
from regadvisor.data.source import make_table
from regadvisor.data.training import training_rows
from regadvisor.data.written import Way, written_numbers
from regadvisor.traps.find import find_traps

N = 120
R = np.random.default_rng(0)
X = R.normal(size=(N, 2))
Y = (50 * X[:, 0] + 1_000 + R.normal(size=N)).round(2)


def frame_of(text: str) -> pd.DataFrame:
    return parse_content(text.encode(), "'x.csv'", "csv").frame


def notes(table: Any) -> dict[str, str]:
    return {note.code: note.text for note in table.notes}


# ------------------------------------------------------------------------------------------- files


def test_points_between_thousands_are_none_before_decimals() -> None:
    lines = [
        f"{n:,};{n / 8:.3f}".replace(",", "_").replace(".", ",").replace("_", ".") for n in range(990, 1010)
    ]
    frame = frame_of("people;share;when\n" + "".join(f"{line};01.02.2024\n" for line in lines))
    assert frame["people"].tolist() == list(range(990, 1010))
    assert frame["share"].tolist() == [n / 8 for n in range(990, 1010)]
    assert frame["when"].unique().tolist() == ["01.02.2024"]
    assert frame_of("a,b\n1.234,x\n2.500,y\n")["a"].tolist() == [1.234, 2.5]


def test_numbers_with_leading_zeros_stay_codes() -> None:
    frame = frame_of("zip,n\n02139,1\n94305,0\n,0.5\n")
    assert frame["zip"].tolist()[:2] == ["02139", "94305"]
    assert frame["zip"].isna().tolist() == [False, False, True]
    assert frame["n"].tolist() == [1.0, 0.0, 0.5]


def test_a_line_of_excel_names_the_separator() -> None:
    frame = frame_of("\nsep=;\na; b \n1,5;x\n2,5;y\n")
    assert frame.to_dict("list") == {"a": [1.5, 2.5], "b": ["x", "y"]}


@pytest.mark.parametrize("separator", [",", "\t", " "])
def test_names_of_rows_that_r_writes_without_a_name_are_a_column(separator: str) -> None:
    lines = [["a", "b"], ["r1", "1", "x"], ["r2", "2", "y"]]
    frame = frame_of("".join(separator.join(line) + "\n" for line in lines))
    assert frame.to_dict("list") == {"Unnamed: 0": ["r1", "r2"], "a": [1, 2], "b": ["x", "y"]}


def test_a_separator_at_the_end_of_every_line_is_no_column_of_row_numbers() -> None:
    data = parse_content(b"a,b\n1,2,\n3,4,\n", "'x.csv'", "csv")
    assert data.frame[["a", "b"]].to_numpy().tolist() == [[1, 2], [3, 4]]
    assert data.notes == ()


def test_a_title_above_the_names_is_told() -> None:
    with pytest.raises(DataError, match="got 'Report of 2024' above a table; take out the lines above"):
        frame_of("Report of 2024\n\na,b\n1,2\n3,4\n")


def test_text_beside_missing_targets_is_not_called_mixed() -> None:
    frame = pd.DataFrame({"g": ["a", "b", None] * 40, "x": X[:, 0]})
    y = pd.Series(Y).where(np.arange(N) % 9 > 0)
    assert set(notes(make_table(frame, y))) == {"missing-target"}
    frame["g"] = ["a", 1, None] * 40
    assert "mixed-types" in notes(make_table(frame, y))


# ------------------------------------------------------------------------------------------- numbers


@pytest.mark.parametrize(
    ("texts", "numbers"),
    [
        (["12.5-", "3"], [-12.5, 3.0]),
        (["₹1,23,45,678", "₹999"], [12345678.0, 999.0]),
        (["1:30", *(f"0:0{k}" for k in range(10))], [1.5, *(k / 60 for k in range(10))]),
        (
            ["1 days 00:30:00", *(f"0 days 00:00:{k:02d}" for k in range(10))],
            [24.5, *(k / 3600 for k in range(10))],
        ),
        (
            ["-1 days +23:00:00", *(f"{k} days 01:00:00" for k in range(9)), "-2 days +12:30:00"],
            [-1.0, *(24.0 * k + 1 for k in range(9)), -35.5],
        ),
        (["950", "2M", *(f"{k}.5K" for k in range(10))], [950.0, 2e6, *(1e3 * (k + 0.5) for k in range(10))]),
        (["5°S", *(f"{k}.5°N" for k in range(10))], [-5.0, *(k + 0.5 for k in range(10))]),
    ],
    ids=lambda value: str(value[0]),
)
def test_other_ways_to_write_numbers(texts: list[str], numbers: list[float]) -> None:
    found = written_numbers(texts)
    assert found is not None
    assert found[0] == pytest.approx(numbers, abs=1e-8)
    again = written_numbers(texts[:1], found[1])
    assert again is not None
    assert again[0] == pytest.approx(numbers[:1])


def test_thousands_alone_meet_plain_numbers_and_millions_later() -> None:
    found = written_numbers([f"{k}50K" for k in range(1, 12)])
    assert found is not None
    assert found[0][0] == 150_000.0
    later = written_numbers(["950", "950K", "1.2M"], found[1])
    assert later is not None
    assert later[0].tolist() == [950.0, 950_000.0, 1_200_000.0]


@pytest.mark.parametrize(
    "codes",
    [
        ["3:1", "5:2"],
        ["25:61", "1:99"],
        ["-5-", "3"],
        ["1,2,345"],
        ["5k", "7 lb"],
        ["12", "12B"],
        ["5 m", "7"],
    ],
)
def test_what_only_looks_like_that_is_none(codes: list[str]) -> None:
    assert written_numbers(codes) is None
    assert written_numbers(["3 kg"], Way(after="K or M")) is None


def test_of_several_targets_each_is_named_and_so_is_a_row_that_is_no_number() -> None:
    n = 20_000
    y = pd.DataFrame({"a": [f"${k}.5" for k in range(n)], "b": [f"{k % 999} kg" for k in range(n)]})
    x = np.sin(np.arange(n))[:, None]
    said = [note.text for note in make_table(x, y).notes if note.code == "parsed-target"]
    assert said == [
        "The target 'a' came as text, as '$0.5', and is read as numbers in $.",
        "The target 'b' came as text, as '0 kg', and is read as numbers in kg.",
    ]
    y.loc[7, "a"] = "seven"
    with pytest.raises(DataError, match=r"column 'a' of y .* got 'seven' among 19,999 numbers"):
        make_table(x, y)


def test_a_target_of_codes_is_told_how_to_be_a_number() -> None:
    y = pd.Series([f"{k:05d}" for k in range(N)])
    with pytest.raises(DataError, match="pass task='regression' if it is a number, or task='classification'"):
        make_table(X, y)
    assert make_table(X, y, task="regression").y.tolist() == list(range(N))


def test_of_many_columns_of_almost_numbers_one_is_described() -> None:
    frame = pd.DataFrame(R.normal(size=(N, 8)).round(2)).add_prefix("c").astype(object)
    frame.iloc[-1] = frame.columns  # a header in the middle of a file
    table = make_table(frame, ["a", "b"] * (N // 2 - 1) + ["a", "class"])
    text = notes(table)["almost-numbers"]
    assert text.startswith("'c0' holds numbers in 119 of 120 rows, but also 'c0'")
    assert text.endswith("So it is with 'c1', 'c2', 'c3', 'c4', 'c5' and 2 more.")
    assert sum(note.code == "almost-numbers" for note in table.notes) == 1
    assert not find_traps(table, seed=0)  # nothing of a class that has a single row


def test_texts_in_the_first_rows_may_be_more_names_and_totals_are_named() -> None:
    numbers = [f"{k / 7:.2f}" for k in range(N)]
    for texts, do in (
        (["How tall?", "{Q2}", *numbers[2:]], "Are they more names, or units? Leave the first 2 rows out."),
        ([*numbers[2:], "Total 2019", "Total 2020"], "Leave rows of totals out."),
        ([numbers[0], "<5", *numbers[2:]], "Are they more names, or units? Leave the first 2 rows out."),
        ([*numbers[1:], "<5"], "Write them all as numbers, in one unit, and None where one is missing."),
    ):
        said = notes(make_table(pd.DataFrame({"w": texts, "x": np.arange(N) % 7}), np.sin(np.arange(N))))
        assert said["almost-numbers"].endswith(do)


def test_almost_numbers_are_seen_where_every_tenth_row_holds_none() -> None:
    texts = ["<5" if k % 10 == 0 else f"{k}.5" for k in range(4_000)]
    said = notes(make_table(pd.DataFrame({"w": texts, "x": np.arange(4_000) % 7}), np.sin(np.arange(4_000))))
    assert "3,600 of 4,000 rows, but also '<5'" in said["almost-numbers"]


@pytest.mark.parametrize(
    ("odd", "named"),
    [
        (["forty", "12,5O"], ("'forty'", "'12,5O'")),
        (["<5"] * 40, ("also '<5', so each",)),
        ([f"{k} lb" for k in range(30)], (" lb', so each",)),
    ],
)
def test_what_keeps_a_column_from_being_a_number_is_named(odd: list[str], named: tuple[str, ...]) -> None:
    texts = [f"{k} kg" if "lb" in odd[0] else f"{k}.5" for k in range(N - len(odd))] + odd
    said = notes(make_table(pd.DataFrame({"w": R.permutation(texts), "x": X[:, 0]}), Y))
    assert set(said) == {"almost-numbers"}
    assert all(name in said["almost-numbers"] for name in named)
    assert f"{N - len(odd)} of {N} rows" in said["almost-numbers"]


@pytest.mark.parametrize(
    "texts",
    [
        [f"{k}" if k % 2 else f"V{k}" for k in range(N)],  # codes, half of them numbers
        ["1", "2", "3", "K"] * (N // 4),  # grades
        [f"{k:03d}" for k in range(N)],
        [f"user{k}" for k in range(N)],
        [f"{k % 40}-{k % 40 + 10}" for k in range(N)],
    ],
    ids=lambda texts: texts[1],
)
def test_codes_are_not_almost_numbers(texts: list[str]) -> None:
    assert "almost-numbers" not in notes(make_table(pd.DataFrame({"w": texts, "x": X[:, 0]}), Y))


# ------------------------------------------------------------------------------------------- dates


@pytest.mark.parametrize(
    ("text", "date"),
    [
        ("2021-07", (2021, 7, 1)),
        ("07/2021", (2021, 7, 1)),
        ("Friday 3rd May 2021", (2021, 5, 3)),
        ("May-21", (2021, 5, 1)),
    ],
)
def test_months_and_weekdays(text: str, date: tuple[int, int, int]) -> None:
    found = find_dates(pd.Series([text, None]))
    assert found is not None
    assert found.times[0] == pd.Timestamp(*date)
    assert not found.is_ambiguous


@pytest.mark.parametrize(
    "text", ["Jun 05", "2021-13", "2021Q5", "2021-W07", "13/2021", "3 foo 2021", "3. März 2021"]
)
def test_what_is_no_month_or_week_is_no_date(text: str) -> None:
    assert find_dates(pd.Series([text])) is None


@pytest.mark.parametrize(
    ("form", "is_date"),
    [
        *[(form, False) for form in ("Room {}-10-2012", "size {}/12/14", "id 202010{}", "level {} May 20")],
        *[(form, False) for form in ("SET-{}", "ip {}.1.2020", "lot 2020-10-{}", "Smith {}-11-12")],
        *[(form, True) for form in ("Wed {}-10-2012", "Thurs. {} May 2024")],
    ],
)
def test_a_word_before_a_date_is_a_weekday_and_codes_of_one_word_are_no_months(
    form: str, is_date: bool
) -> None:
    texts = pd.Series([form.format(number) for number in range(10, 28)])
    assert (find_dates(texts) is not None) == is_date
    assert find_dates(pd.Series(["Dec-20", "Jan-21", "Feb-21"])) is not None


# ------------------------------------------------------------------------------------------- targets


@pytest.mark.parametrize(
    ("write", "unit"),
    [
        (lambda v: f"${v:,.2f}", " in $"),
        (lambda v: f"{v:.1f}%", " in %"),
        (lambda v: f"{v:.2f}", ""),
        (lambda v: f"{v:.0f} kg", " in kg"),
        (lambda v: f"{v:,.2f} €".replace(",", " ").replace(".", ","), " in €"),
    ],
)
def test_a_target_of_written_numbers_is_a_number(write: Any, unit: str) -> None:
    texts = np.array([write(value) for value in Y], dtype=object)
    table = make_table(X, texts)
    assert table.facts.task == "regression"
    assert table.y == pytest.approx(Y, abs=0.6)
    assert notes(table)["parsed-target"].endswith(f"is read as numbers{unit}.")
    given = training_rows(X, [*texts[:-1], "n/a"], is_classification=False)
    assert given[1] == pytest.approx(table.y[:-1])
    assert make_table(X, texts, task="classification").facts.task == "multiclass"


def test_advice_about_a_written_target_is_that_about_the_numbers() -> None:
    texts = pd.Series([f"${value:,.2f}" for value in Y])
    advice, same = (advise(X, y, effort="quick", folds=3) for y in (texts, Y))
    assert advice.regularizer == same.regularizer
    assert advice.build().fit(X, texts).predict(X) == pytest.approx(same.build().fit(X, Y).predict(X))


def test_words_for_a_missing_target_are_one() -> None:
    table = make_table(X, [*(f"{value}" for value in Y[:-2]), "?", "n/a"])
    assert len(table.y) == N - 2
    assert "2 rows without a target were left out" in notes(table)["missing-target"]


@pytest.mark.parametrize(
    "labels",
    [
        [f"{k % 12}" for k in range(N)],  # few
        [f"{k % 12}%" for k in range(N)],
        [f"{k:05d}" for k in range(20)] * 6,  # codes
        [str(k // 20 + 21) for k in range(600)],  # 30 of them, each met often
    ],
    ids=lambda labels: labels[1],
)
def test_few_texts_stay_classes(labels: list[str]) -> None:
    table = make_table(R.normal(size=(len(labels), 2)), labels)
    assert table.facts.task == "multiclass"
    assert table.facts.classes is not None
    assert set(table.facts.classes) == set(labels)


def test_texts_that_keep_a_target_from_being_a_number_are_named() -> None:
    with pytest.raises(DataError, match=r"got '\[kg\]' among 119 numbers; correct these rows"):
        make_table(X, ["[kg]", *map(str, Y[1:])])
    with pytest.raises(DataError, match=r"got '.* kg' and '.* lb' among"):
        make_table(X, [*(f"{v} kg" for v in Y[:60]), *(f"{v} lb" for v in Y[60:])])


def test_durations_and_dates_are_no_targets() -> None:
    with pytest.raises(DataError, match="got durations"):
        make_table(X, pd.to_timedelta(np.arange(N), unit="h"))
    table = make_table(X, [f"2024-{k % 12 + 1:02d}-01" for k in range(N)])
    assert "the classes are dates, such as '2024-01-01'" in notes(table)["date-classes"]


def test_labels_that_are_stored_or_shortened_differently_are_told() -> None:
    composed = unicodedata.normalize("NFC", "Küche")
    decomposed = unicodedata.normalize("NFD", "Küche")
    for one, other in ((composed, decomposed), ("yes", "y"), ("no", "no\u200b")):
        table = make_table(X, [one, "zzz", "zzz", other, one] * (N // 5))
        assert "labels-alike" in notes(table)
    assert "labels-alike" not in notes(make_table(X, ["maybe", "m", "m"] * (N // 3)))


@pytest.mark.parametrize("at", [0, 15, 30])
@pytest.mark.parametrize("odd", [["kg", "m"], ["Source: Eurostat", None], ["a", "b"]])
def test_rows_without_a_target_make_no_text_of_many_numbers(at: int, odd: list[str | None]) -> None:
    numbers = pd.DataFrame({"a": np.arange(30) / 4, "b": np.arange(30) % 12}).astype(object)
    frame = pd.concat([numbers[:at], pd.DataFrame([odd] * 2, columns=["a", "b"]), numbers[at:]])
    y = [*np.arange(at), "", None, *np.arange(at, 30)]
    table = make_table(frame.reset_index(drop=True), y)
    assert table.facts.task == "regression"
    assert [column.kind for column in table.facts.columns] == ["numeric", "numeric"]
    assert "2 rows without a target" in notes(table)["missing-target"]


def test_levels_of_rows_without_a_target_stay() -> None:
    frame = pd.DataFrame({"a": ["1", "2"] * 15 + ["x", "y"]})
    (column,) = make_table(frame, [*np.arange(30) / 3, None, None]).facts.columns
    assert column.kind == "categorical"


@pytest.mark.parametrize(
    ("y", "classes"),
    [([0, 1, "", 1] * 10, (0, 1)), ([0, 1, "?", 1] * 10, (0, 1)), ([*"abcdefgh"] * 5, tuple("abcdefgh"))],
)
def test_words_for_missing_targets_among_numbers_are_missing(
    y: list[object], classes: tuple[object, ...]
) -> None:
    table = make_table(np.arange(2.0 * len(y)).reshape(-1, 2), y)
    assert table.facts.classes == classes
    assert ("missing-target" in notes(table)) == (classes == (0, 1))


def test_numbers_as_bytes_and_arrays_of_pandas_are_read_as_a_series_is() -> None:
    numbers = make_table(X, np.array([f"{value:.2f}".encode() for value in Y]))
    assert numbers.targets[:, 0] == pytest.approx(Y, abs=0.01)
    grades = pd.Categorical.from_codes(np.arange(N) % 3, ["c", "b", "a"], ordered=True)
    for values in (grades, pd.CategoricalIndex(grades)):
        assert "ordered-classes" in notes(make_table(X, values))


def test_a_row_of_units_below_the_names_is_no_row() -> None:
    numbers = pd.DataFrame({"a": np.arange(30) / 7, "b": np.arange(30) % 4 + 0.5})
    units = pd.DataFrame({"a": ["kg"], "b": ["m"]})
    frame, y = pd.concat([units, numbers], ignore_index=True), np.arange(30) / 3
    table = make_table(frame, [None, *y])
    assert [column.kind for column in table.facts.columns] == ["numeric", "numeric"]
    assert table.facts.n_rows == 30
    with pytest.raises(DataError, match="y must be numbers in every row, or labels that repeat, got 'EUR'"):
        make_table(frame, pd.Series(["EUR", *y]))
