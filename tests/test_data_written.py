"""Numbers as people write them are numbers; codes stay categories."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regadvisor import DataError, advise
from regadvisor.data.frames import as_numbers, read_column
from regadvisor.data.source import make_table
from regadvisor.data.written import written_numbers
from regadvisor.families.encoding import AsNumbers
from regadvisor.models import table_to_match

#: How a number with two digits after the point is written, and its decimal sign.
WAYS: list[tuple[Callable[[str], str], str]] = [
    (lambda text: f"${text}", "."),
    (lambda text: f"{text} %", "."),
    (lambda text: f"USD {text}", "."),
    (lambda text: f"Rs{text}", "."),
    (lambda text: f"Rs. {text}", "."),
    (lambda text: f"HK${text}", "."),
    (lambda text: f"S$ {text}", "."),
    (lambda text: "R$ " + text.translate(str.maketrans(",.", ".,")), ","),
    (lambda text: text.replace(",", "'"), "."),
    (lambda text: text.translate(str.maketrans(",.", ".,")) + " €", ","),
    (lambda text: text.translate(str.maketrans(",.", "\u202f,")) + "\u00a0£", ","),
]


@given(
    st.lists(st.integers(-(10**9), 10**9).map(lambda cents: cents / 100), min_size=1, max_size=20),
    st.sampled_from(range(len(WAYS))),
)
def test_what_python_writes_is_read_back(values: list[float], way: int) -> None:
    written, decimal = WAYS[way]
    found = written_numbers([written(f"{value:,.2f}") for value in values])
    assert found is not None
    assert found[0] == pytest.approx(values)
    assert found[1].decimal == decimal


@pytest.mark.parametrize(
    "codes",
    [
        ["Q1", "Q2", "Q3"],
        [f"user{k}" for k in range(30)],
        [f"SKU {k}" for k in range(1000, 1030)],
        [f"#{k}" for k in range(30)],
        [f"{k:03d} kg" for k in range(30)],
        [f"{k}WD" for k in (2, 4, 6)],
        ["4 kg", "4 lb", *(f"{k} kg" for k in range(30))],
        ["12:30", "1:05"],
        ["10.0.0.1", "10.0.0.2"],
        ["1.2.3", "1.10.0"],
        ["<5", "<7"],
        ["1/2", "3/4"],
        ["10-20", "20-30"],
        ["1.2k", "3.4M"],
        [f"+49 170 {k:03d} {k + 1:03d}" for k in range(100, 130)],
        [f"192.168.100.{k}" for k in range(100, 130)],
    ],
    ids=lambda codes: codes[0],
)
def test_codes_and_mixed_units_stay_categories(codes: list[str]) -> None:
    assert written_numbers(codes) is None
    assert read_column(pd.Series(codes * 3)).kind in ("categorical", "date")


def test_a_unit_needs_more_than_a_handful_of_values() -> None:
    texts = [f"{k} years" if k > 1 else "1 year" for k in range(1, 11)]
    assert read_column(pd.Series(texts)).values.tolist() == list(range(1, 11))
    assert read_column(pd.Series(texts[:9])).kind == "categorical"


def test_a_word_for_a_missing_value_is_one() -> None:
    assert as_numbers(pd.Series(["5%", "?", None, "(7%)"])).tolist() == pytest.approx(
        [5.0, np.nan, np.nan, -7.0], nan_ok=True
    )
    with pytest.raises(DataError, match="must hold numbers, got 'five'"):
        as_numbers(pd.Series(["5%", "five"]))


def test_a_row_is_predicted_by_the_decimal_sign_of_the_training_rows() -> None:
    step = AsNumbers().fit(pd.DataFrame({"a": ["1,5", "2,25"], "b": ["1,500", "2,250"], "c": [1, 2]}))
    row = pd.DataFrame({"a": ["1,125"], "b": ["1,125"], "c": [3]})
    assert step.transform(row).tolist() == [[1.125, 1125.0, 3.0]]
    with pytest.raises(DataError, match="must hold numbers"):
        step.transform(row.assign(a=["1,125,000"]))


def test_a_row_in_another_unit_is_no_number() -> None:
    train = pd.DataFrame({"w": [f"{k} kg" for k in range(9)], "p": ["1,5 €"] * 9, "s": [0.05] * 9})
    step = AsNumbers().fit(train)  # which are known to be numbers, though few
    row = train.iloc[[3]]
    assert step.transform(row).tolist() == [[3.0, 1.5, 0.05]]
    assert step.transform(row.assign(w=["4"], p=["2,5"])).tolist() == [[4.0, 2.5, 0.05]]
    for name, value, unit in (("w", "4 lb", " in kg"), ("p", "$2,5", " in €"), ("s", "5%", "")):
        with pytest.raises(DataError, match=f"'{name}' must hold numbers{unit}, got '{re.escape(value)}'"):
            step.transform(row.assign(**{name: [value]}))


def test_advice_about_written_numbers_is_that_about_the_numbers(tmp_path: Any) -> None:
    r = np.random.default_rng(0)
    plain = pd.DataFrame({"price": r.lognormal(7, 1, 300).round(2), "share": r.integers(0, 1000, 300) / 10})
    y = plain["share"] + plain["price"] / 100 + r.normal(size=300)
    texts = pd.DataFrame(
        {
            "price": [f"${value:,.2f}" for value in plain["price"]],
            "share": [f"{value}%" for value in plain["share"]],
        }
    )
    advice = advise(texts, y, effort="quick", folds=3)
    same = advise(plain, y, effort="quick", folds=3)
    assert advice.regularizer == same.regularizer
    assert any("'price' and 'share'" in note.text for note in advice.record.notes)
    assert advice.build().fit(texts, y).predict(texts) == pytest.approx(
        same.build().fit(plain, y).predict(plain)
    )
    texts.assign(y=y).to_parquet(tmp_path / "texts.parquet")
    dataset = pytest.importorskip("pyarrow.dataset").dataset(str(tmp_path / "texts.parquet"))
    read = advise(dataset, "y", effort="quick", folds=3)
    assert read.record.data is not None
    assert [column.kind for column in read.record.data.columns] == ["numeric", "numeric"]
    assert read.regularizer.kind == same.regularizer.kind


def test_rows_to_match_are_read_by_the_decimal_sign_of_the_training_rows() -> None:
    train = pd.DataFrame({"a": [f"{k},{k % 9 + 1}" for k in range(40)], "b": np.arange(40.0)})
    new = pd.DataFrame({"a": [f"{k},500" for k in range(1, 41)], "b": np.arange(40.0)})
    facts = make_table(train, np.arange(40.0)).facts
    found = table_to_match(new, like=facts, train=train).X
    assert np.asarray(found)[:, 0] == pytest.approx(np.arange(1, 41) + 0.5)
