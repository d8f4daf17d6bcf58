"""Files: formats, separators, encodings, damage, and the roles of columns."""

from __future__ import annotations

import gzip
import io
import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from regadvisor.data.files import read_frame, split_columns
from regadvisor.data.source import make_table
from regadvisor.errors import DataError, MissingDependencyError

FRAME = pd.DataFrame(
    {
        "age": [31, 45, 27],
        "height": [1.75, None, 1.62],
        "city": ["Köln", "São Paulo", None],
        "since": pd.to_datetime(["2024-01-31", "2023-05-01", "2020-02-29"]),
        "member": [True, False, True],
    }
)


def codes(data):
    return [note.code for note in data.notes]


def read_text(text: str | bytes):
    return read_frame("-", stdin=io.StringIO(text) if isinstance(text, str) else io.BytesIO(text))


def same(frame: pd.DataFrame) -> None:
    """Check values; dates stay text until the table is made."""
    frame = frame.assign(since=pd.to_datetime(frame["since"], format="ISO8601"))
    pd.testing.assert_frame_equal(frame, FRAME, check_dtype=False, check_freq=False)


# -------------------------------------------------------------------------------------------- formats


@pytest.mark.parametrize("ending", ["csv", "csv.gz", "tsv", "txt", "parquet", "jsonl", "ndjson.gz", "CSV"])
def test_every_format_gives_the_frame_back(tmp_path: Path, ending):
    path = tmp_path / f"people.v1.{ending}"
    packing = "gzip" if ending.endswith("gz") else None
    if ending == "parquet":
        FRAME.to_parquet(path)
    elif "json" in ending:
        FRAME.assign(since=FRAME["since"].dt.strftime("%Y-%m-%d")).to_json(
            path, orient="records", lines=True, compression=packing
        )
    else:
        FRAME.to_csv(path, index=False, sep="\t" if ending == "tsv" else ",", compression=packing)
    same(read_frame(path).frame)
    same(read_frame(str(path)).frame)


def test_a_list_of_json_objects_is_a_table(tmp_path: Path):
    path = tmp_path / "rows.json"
    FRAME.assign(since=FRAME["since"].astype(str)).to_json(path, orient="records", indent=2)
    same(read_frame(path).frame)
    path.write_text(path.read_text()[:-3])
    with pytest.raises(DataError, match="error in line 1"):
        read_frame(path)


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_separators_are_found(separator):
    text = FRAME.to_csv(index=False, sep=separator)
    same(read_text(text).frame)


def test_a_separator_inside_quotes_is_text():
    data = read_text('name,note\n"Li; Bo","a;b;c"\n"Wu; An","d;e;f"\n')
    assert list(data.frame) == ["name", "note"]
    assert data.frame["note"].tolist() == ["a;b;c", "d;e;f"]


@pytest.mark.parametrize(
    ("encoding", "note"), [("utf-8", []), ("utf-8-sig", []), ("utf-16", []), ("cp1252", ["encoding-guessed"])]
)
def test_encodings(encoding, note):
    data = read_text(FRAME.to_csv(index=False).encode(encoding))
    same(data.frame)
    assert codes(data) == note


def test_bytes_without_meaning_in_windows_1252_are_read_as_latin_1():
    data = read_text(b"a,b\n\x81\xe4,1\n")
    assert data.frame["a"][0] == "\x81ä"
    assert "Latin-1" in data.notes[0].text


def test_standard_input_shows_its_format(monkeypatch):
    packed = io.BytesIO()
    FRAME.to_parquet(packed)
    lines = FRAME.assign(since=FRAME["since"].astype(str)).to_json(orient="records", lines=True)
    for content in (packed.getvalue(), lines.encode(), FRAME.to_csv(index=False).encode()):
        same(read_text(content).frame)
        same(read_text(gzip.compress(content)).frame)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"a,b\n1,2\n3,4\n")))
    assert read_frame("-").frame.to_numpy().tolist() == [[1, 2], [3, 4]]


# --------------------------------------------------------------------------------------------- values


def test_missing_markers():
    frame = read_text("a,b,c\n1, ?,x\n,NA,?\n?,3,null\n").frame
    np.testing.assert_array_equal(frame[["a", "b"]].to_numpy(), [[1, np.nan], [np.nan] * 2, [np.nan, 3]])
    assert frame["c"].isna().tolist() == [False, True, True]
    frame = read_text('{"a": 1, "b": "?"}\n{"a": "?", "b": "x"}\n{"b": null}\n').frame
    np.testing.assert_array_equal(frame["a"], [1, np.nan, np.nan])
    assert frame["b"].isna().tolist() == [True, False, True]


def test_decimal_commas_are_read_where_comma_is_not_the_separator():
    data = read_text("a;b\n1,5;2\n-2,25;3\n")
    assert data.frame["a"].tolist() == [1.5, -2.25]
    assert codes(data) == ["decimal-comma"]
    data = read_text("a;b;c\n1,5;2.5;x\n2,5;3.5;y\n")  # both forms: a comma may mean anything
    assert data.frame["b"].tolist() == [2.5, 3.5]
    assert codes(data) == []


def test_saved_row_numbers_are_noted():
    data = read_text(pd.DataFrame({"a": [5, 6]}).to_csv())
    assert codes(data) == ["unnamed-column"]
    assert "'Unnamed: 0'" in data.notes[0].text


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("# Results, 2015\n#\n\n# 3 runs\na,b\n1,2\n3,4\n", ["a", "b"]),
        ("# of the run,b\n1,2\n3,4\n", ["# of the run", "b"]),  # as many fields as the rows have
        ("#,b\n1,2\n3,4\n", ["#", "b"]),
    ],
)
def test_comments_above_the_names_are_skipped(text, names):
    data = read_text(text)
    assert list(data.frame) == names
    assert data.frame.to_numpy().tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize(
    "below", [["How old?,How tall?,Where?"], ["years,cm,city", '"{""Id"":""Q1""}",{Q2},{Q3}']]
)
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_question_texts_and_units_below_the_names_are_no_rows(below, mark):
    rows = [f"{20 + k},1{k:02d},c{k % 3}" for k in range(30)]
    found = read_frame("-", stdin=io.StringIO("\n".join([mark + "age,height,city", *below, *rows])))
    assert found.frame.shape == (30, 3)
    assert found.frame["height"].tolist() == list(range(100, 130))
    (note,) = found.notes
    assert note.is_warning
    assert note.text.startswith(f"{len(below)} line{'s' * (len(below) > 1)} of text")


@pytest.mark.parametrize(
    "rows",
    [
        ["a,b,c", "d,e,f", *(f"g,{k},h" for k in range(9))],  # one column of numbers
        ["unknown,1,c", *(f"{k},{k},h" for k in range(9))],  # a row with a number is one
        [",,c", *(f"{k},{k},h" for k in range(9))],
        [f"{k},{k},h" for k in range(9)],
    ],
)
def test_rows_that_may_be_data_stay(rows):
    found = read_frame("-", stdin=io.StringIO("\n".join(["x,y,z", *rows])))
    assert len(found.frame) == len(rows)
    assert not found.notes


def test_numbers_with_zeros_in_front_are_codes_only_where_all_are_equally_long():
    text = "zip,sales,y\n" + "\n".join(f"0{k}001,{k:04d}{k},{k}" for k in range(1, 9)) + "\n02139,153,1\n"
    frame = read_frame("-", stdin=io.StringIO(text)).frame
    assert frame["zip"].tolist()[0] == "01001"
    assert frame["sales"].tolist()[-2:] == [88, 153]


def test_names_that_repeat_are_told_apart_as_pandas_does():
    text = ",Unnamed: 0,a,a.1,a,a\n0,1,2,3,4,5\n1,2,3,4,5,6\n"  # a frame saved twice with its index
    data = read_text(text)
    assert list(data.frame) == list(pd.read_csv(io.StringIO(text)))
    assert data.frame["a.2"].tolist() == [4, 5]


# --------------------------------------------------------------------------------------------- damage


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty file"),
        (b" \n\n", "empty file"),
        (b"a,b\n", "only column names: 'a' and 'b'"),
        (b"a,b\n1,2\n1,2,3\n", "Expected 2 fields in line 3, saw 3"),
        (b"a,b\n1,2,3\n4,5,6\n", "as many fields in every line"),
        (b'a,b\n1,"2\n3,4\n', "EOF inside string"),
        (b"4,b,4\n1,2,3\n", "got numbers \\('4' and '4'\\); add a line with names"),
        (b"1,2\n3,4\n", "must hold the column names, got only numbers"),
        (b"PK\x03\x04rest", "Excel workbook or a zip archive"),
        (b"\x80\x04rest", "a pickle"),
        (b"a\0b\0c", "binary file"),
        (b"\xff\xfea,b\n1", "damaged UTF-16"),
        (b'{"a": 1}\n{"a": 2', "error in line 2"),
        (b'{"a": 1}\n[2]\n', "got list in line 2"),
        (b'{"a": {"b": 1}}\n', "lists or objects in 'a'"),
        (b"PAR1 and no more", "damaged or truncated"),
        (gzip.compress(b"a,b\n1,2\n", mtime=0)[:-6], "damaged or truncated"),
        (b"\x1f\x8bnothing", "damaged or truncated"),
    ],
)
def test_damaged_content_is_refused_with_the_reason(content, words):
    with pytest.raises(DataError, match=words) as caught:
        read_text(content)
    assert "standard input" in str(caught.value)


def test_truncated_parquet(tmp_path: Path):
    path = tmp_path / "a.parquet"
    FRAME.to_parquet(path)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match="damaged or truncated"):
        read_frame(path)


def test_paths_that_are_no_tables(tmp_path: Path, monkeypatch):
    FRAME.to_parquet(tmp_path / "really.csv")
    (tmp_path / "text.parquet").write_text("a,b\n1,2\n")
    (tmp_path / "frame.json").write_text('{"a": {"0": 1}}')
    (tmp_path / "book.xlsx").write_text("PK")
    (tmp_path / "nothing").write_text("a,b\n1,2\n")
    for name, words in [
        ("", "got the directory"),
        ("missing.csv", "existing file"),
        ("really.csv", "got a Parquet file; rename it to .parquet"),
        ("text.parquet", "does not start with PAR1"),
        ("frame.json", "orient='records'"),
        ("book.xlsx", "convert it"),
        ("nothing", "rename it"),
    ]:
        with pytest.raises(DataError, match=words):
            read_frame(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match="looked for in"):
        read_frame("missing.csv")


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_unreadable_file(tmp_path: Path):
    path = tmp_path / "a.csv"
    path.write_text("a,b\n1,2\n")
    path.chmod(0)
    with pytest.raises(DataError, match="readable file"):
        read_frame(path)


def test_parquet_without_pyarrow_says_what_to_install(tmp_path: Path, monkeypatch):
    FRAME.to_parquet(tmp_path / "a.parquet")
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'regadvisor\[parquet\]'"):
        read_frame(tmp_path / "a.parquet")


def test_text_that_json_allows_does_not_end_a_line():
    text = json.dumps({"a": "one\u2028two\u0085three"}, ensure_ascii=False)
    assert read_text(text + "\n" + text).frame.shape == (2, 1)


# ---------------------------------------------------------------------------------------------- roles


def test_columns_are_split_by_role():
    frame = FRAME.assign(__team__=[1, 2, 1], price=[1.0, 2.0, 3.0])
    split = split_columns(frame, target="price", drop=["city"], groups="__team__", time="since")
    assert list(split.X) == ["age", "height", "member"]
    assert split.y.name == "price"
    assert split.groups.tolist() == [1, 2, 1]
    assert split.time.equals(FRAME["since"])
    # Names with underscores are ordinary unless they are named.
    assert "__team__" in split_columns(frame, target="price").X


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"target": "Hight"}, "target must name a column, got 'Hight'; did you mean 'height'?"),
        ({"target": "AGE "}, "did you mean 'age'"),
        ({"target": "zzz"}, "the columns are 'age', 'height', 'city', 'since' and 'member'"),
        ({"target": "since_when"}, "the columns are"),
        ({"target": "age", "drop": ["cty"]}, "drop must name a column, got 'cty'; did you mean 'city'"),
        ({"target": "age", "groups": "age"}, "one role, got it as target and as groups"),
        ({"target": "age", "time": "city", "groups": "city"}, "as groups and as time"),
        ({"target": "age", "drop": ["age"]}, "as target and as drop"),
        ({"target": ["age", "heigt"]}, "target must name a column, got 'heigt'; did you mean 'height'?"),
        ({"target": ["age", "age"]}, "target must name each column once, got 'age' more than once"),
        ({"target": ["age", "height"], "groups": "age"}, "one role, got it as target and as groups"),
        ({"target": []}, "target must name at least one column"),
        ({"target": "age,height"}, "repeat it: --target age --target height"),
        ({"target": "age", "drop": ["height", "city", "since", "member"]}, "at least one feature"),
    ],
)
def test_roles_that_do_not_fit_are_refused(arguments, words):
    with pytest.raises(DataError) as caught:
        split_columns(FRAME, **arguments)
    assert words in str(caught.value)
    assert "a line with the names" not in str(caught.value)


def test_a_first_row_that_may_be_data_is_told():
    with pytest.raises(DataError, match="a line with the names above it"):
        split_columns(FRAME.set_axis(["41.1", "yes", "a", "b", "c"], axis=1), target="age")


def test_blanks_around_a_name_are_no_part_of_it():
    assert split_columns(FRAME, target=" age ").y.tolist() == [31, 45, 27]


def test_a_name_with_a_comma_is_a_name():
    frame = FRAME.assign(**{"a,b": [1, 2, 3]})
    assert split_columns(frame, target="a,b").y.tolist() == [1, 2, 3]
    assert split_columns(frame, target=["age"]).y.tolist() == [31, 45, 27]


def test_a_file_and_the_frame_in_memory_are_the_same_data(tmp_path: Path):
    n = 40
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {"x": np.round(rng.normal(size=n), 3), "t": rng.choice(["a", "b"], n), "y": np.arange(n) % 2}
    )
    expected = make_table(frame[["x", "t"]], frame["y"]).facts
    frame.to_csv(tmp_path / "d.csv", index=False)
    frame.to_parquet(tmp_path / "d.parquet")
    for name in ("d.csv", "d.parquet"):
        split = split_columns(read_frame(tmp_path / name).frame, target="y")
        assert make_table(split.X, split.y).facts == expected
