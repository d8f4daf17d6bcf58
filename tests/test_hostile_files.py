"""Files of anything: they are read, or refused with an error of ours. Nothing else comes out."""

from __future__ import annotations

import copy
import io
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal
from pyarrow import parquet

from regadvisor import Advice, advise
from regadvisor.data.files import read_frame, split_columns
from regadvisor.data.source import make_table
from regadvisor.data.table import Table
from regadvisor.errors import DataError, RecordError, RegadvisorError
from regadvisor.report import serial
from regadvisor.scale.sources import find_source
from regadvisor.scale.table import Roles, Scanned

#: `make soak` tries this many times as many files, and other ones each time.
TIMES = int(os.environ.get("SOAK_TIMES", "1"))

#: Fields that mean something elsewhere: in CSV, in a spreadsheet, in a shell, in a terminal, in Python.
FIELDS = [
    *("", "1", "2.5", "1e3", "1e999", "-inf", "nan", "NA", "?", "1,5", "007", "0x10", "1_000", " 3 ", "true"),
    *('"', '""', "'", '"a,b"', "a;b", "a\tb", "a|b", "x\r", '"two\nlines"', "=1+1", "@SUM(A1)", "-", "+"),
    *("2024-01-31", "31.01.2024", "{}", "[1]", "null", "<b>", "\x1b[31m", "\u202eabc", "\0", "é", "\ud83d"),
    *("__import__('os')", "a" * 300, "9" * 400),
]
NAMES = ["a", "b", "y", "", " a ", "y,z", "a\nb", "=x", "\x1b[2J", "y", "Unnamed: 0", "1", "filename"]


@st.composite
def csv_files(draw: st.DrawFn) -> bytes:
    """Return a table in which some lines may be broken."""
    separator = draw(st.sampled_from([",", ";", "\t", "|"]))
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=4))
    # Whole columns of one sort, now and then another field: as files are that were damaged a little.
    pools = [draw(st.lists(st.sampled_from(FIELDS), min_size=1, max_size=3)) for _ in names]
    picks = draw(st.lists(st.lists(st.integers(0, 2), min_size=len(names), max_size=len(names)), max_size=12))
    rows = [[pool[i % len(pool)] for pool, i in zip(pools, row, strict=True)] for row in picks]
    if draw(st.booleans()) and rows:
        rows[draw(st.integers(0, len(rows) - 1))] = draw(st.lists(st.sampled_from(FIELDS), max_size=6))
    end = draw(st.sampled_from(["\n", "\r\n"]))
    text = end.join(separator.join(row) for row in [names, *rows]) + draw(st.sampled_from(["", end]))
    return text.encode(draw(st.sampled_from(["utf-8", "utf-8-sig", "cp1252", "utf-16"])), errors="ignore")


VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-(10**30), 10**30), st.floats(), st.sampled_from(FIELDS)
)


@st.composite
def json_files(draw: st.DrawFn) -> bytes:
    """Return lines of JSON, some of which may be something else."""
    line = st.dictionaries(
        st.sampled_from(["a", "b", "y"]), VALUES | st.lists(VALUES, max_size=1), max_size=3
    )
    lines = [json.dumps(each) for each in draw(st.lists(line, max_size=10))]
    if draw(st.booleans()):
        lines.insert(draw(st.integers(0, len(lines))), draw(st.sampled_from(FIELDS)))
    return "\n".join(lines).encode("utf-8", errors="ignore")


ANYTHING = st.one_of(
    csv_files(),
    json_files(),
    st.binary(max_size=200),
    st.sampled_from([b"PAR1", b"\x1f\x8b\x08", b"PK\x03\x04", b"{"]).flatmap(
        lambda head: st.binary(max_size=60).map(lambda tail: head + tail)
    ),
)


@settings(max_examples=150 * TIMES, derandomize=TIMES == 1)
@given(content=ANYTHING)
def test_any_bytes_are_a_table_or_an_error_of_ours(content: bytes) -> None:
    try:
        frame = read_frame("-", stdin=io.BytesIO(content)).frame
    except RegadvisorError:
        return
    assert len(frame) > 0
    assert frame.columns.is_unique


def table_or_error(make: Any) -> tuple[Table, Any] | str:
    try:
        found: tuple[Table, Any] = make()
    except RegadvisorError as error:
        return type(error).__name__
    return found


def read_whole(path: Path) -> tuple[Table, Any]:
    split = split_columns(read_frame(path).frame, target="y")
    return make_table(split.X, split.y), split.X


def with_target(table: Table, given: pd.DataFrame) -> pd.DataFrame:
    """Return the rows with a target, with None for what is missing: a column without values has no type."""
    rows = given if table.kept is None else given[table.kept]
    values = rows.reset_index(drop=True).astype(object)
    return values.where(values.notna(), None)


def number_or_itself(value: Any) -> Any:
    """Return a number for a text of one: a row without a target may make text of a column of numbers."""
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return value


@settings(
    max_examples=100 * TIMES,
    derandomize=TIMES == 1,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@example(content=(".csv", b"y,a\n1,\n,'\n2.5,1"))
@example(content=(".csv", b"y,y,a\n1,1,\n007,1,"))
@example(content=(".csv", b"y,y\n1,\n007,"))
@example(content=(".jsonl", b'{"a": null, "b": null, "y": ""}\n{"y": 0}\n{"y": 1}'))
@given(content=csv_files().map(lambda text: (".csv", text)) | json_files().map(lambda text: (".jsonl", text)))
def test_a_file_in_a_folder_means_what_it_means_by_itself(content: tuple[str, bytes], tmp_path: Path) -> None:
    ending, text = content
    path = tmp_path / f"a{ending}"
    path.write_bytes(text)
    try:
        in_parts = table_or_error(lambda: Scanned(find_source(tmp_path)).table(Roles(targets=("y",))))
        whole = table_or_error(lambda: read_whole(path))
    finally:
        path.unlink()
    if isinstance(in_parts, str) or isinstance(whole, str):
        assert isinstance(in_parts, str), f"read in parts, but by itself {whole}"
        # What is refused in parts alone is said: an infinite number where there are other errors, too.
        return
    if whole[0].kept is None:  # else the rows without a target have a say in what the columns are
        assert in_parts[0].facts.columns == whole[0].facts.columns
    assert in_parts[0].facts.class_counts == whole[0].facts.class_counts
    np.testing.assert_array_equal(in_parts[0].y, whole[0].y)
    read = [with_target(*in_parts), with_target(*whole)]
    if whole[0].kept is not None:
        read = [frame.map(number_or_itself) for frame in read]
    assert_frame_equal(*read, check_dtype=False)


# ------------------------------------------------------------------------------------ saved advice

ADVICE: dict[str, Any] = json.loads(
    advise(pd.DataFrame({"a": np.arange(40.0)}), np.arange(40.0) % 2, budget=0).to_json()
)


def paths_in(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    children = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    return [path, *(found for key, child in children for found in paths_in(child, (*path, key)))]


JUNK = st.one_of(
    VALUES,
    st.lists(VALUES, max_size=2),
    st.dictionaries(st.sampled_from(["$float", "l2", "kind", "\0"]), VALUES, max_size=2),
    st.just({"$float": "inf"}),
)


@pytest.mark.parametrize("field", ["", '""', "NA", "?"])
def test_an_empty_field_is_missing_also_beside_a_number_of_400_digits(field: str) -> None:
    text = f"a,y\n1,{field}\n2,{'9' * 400}\n3,true\n"
    frame = read_frame("-", stdin=io.BytesIO(text.encode())).frame
    assert frame["y"].isna().tolist() == [True, False, False]
    assert frame["y"][2] == "true"


@settings(max_examples=200 * TIMES, derandomize=TIMES == 1)
@given(
    edits=st.lists(st.tuples(st.sampled_from(paths_in(ADVICE)[1:]), JUNK), min_size=1, max_size=3),
    drop=st.booleans(),
)
def test_an_edited_advice_is_refused_or_reads_without_harm(
    edits: Any, drop: bool, tmp_path_factory: Any
) -> None:
    plain = copy.deepcopy(ADVICE)
    for path, junk in edits:
        place = plain
        try:
            for key in path[:-1]:
                place = place[key]
            if drop and isinstance(place, dict):
                place.pop(path[-1], None)
            else:
                place[path[-1]] = copy.deepcopy(junk)
        except (KeyError, IndexError, TypeError):
            continue
    file = tmp_path_factory.mktemp("edited") / "advice.json"
    file.write_text(json.dumps(plain))
    try:
        loaded = Advice.load(file)
        shown = (loaded.to_text(), loaded.to_markdown(), loaded.to_html(), loaded.verdict)
    except RegadvisorError:
        return
    assert all("\x1b[31m" not in text for text in shown)


@pytest.mark.parametrize(
    "content",
    [
        b"[" * 100_000,
        b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
        b'{"format": ' + b"9" * 10_000 + b"}",
        b'{"format": 5, "format": {}}',
        b"\xff\xfe{",
        b"\0" * 100,
        b'{"format": "\\ud800", "\\udfff": 1}',
    ],
)
def test_texts_that_break_parsers_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(RecordError):
        Advice.load(tmp_path / "a.json")
    (tmp_path / "a.jsonl").write_bytes(content)
    with pytest.raises(DataError):
        read_frame(tmp_path / "a.jsonl")


def test_an_advice_of_bytes_that_are_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(json.dumps(ADVICE).encode().replace(b"regadvisor/", b"regadvisor\xff/", 1))
    with pytest.raises(RecordError, match="advice must be JSON"):
        Advice.load(path)


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="no such device")
def test_a_file_without_an_end_is_no_advice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serial, "_MOST_BYTES", 1_000)
    with pytest.raises(RecordError, match="an advice is never as large"):
        Advice.load("/dev/zero")


def test_a_parquet_file_with_damaged_notes_on_types_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    table = pyarrow.Table.from_pandas(pd.DataFrame({"a": pd.date_range("2020", periods=3)}))
    notes = table.schema.metadata[b"pandas"].replace(b"datetime64[", b"datevime64[")
    parquet.write_table(table.replace_schema_metadata({b"pandas": notes}), path)
    with pytest.raises(DataError, match="must be a whole Parquet file, got a damaged"):
        read_frame(path)
