"""Files, folders and engines that are read in parts: the same rows and the same table as in memory."""

from __future__ import annotations

import gzip
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
from pandas.testing import assert_frame_equal
from scale_sources import ids_of_files, ranks_by_hand, some_rows, write

from regadvisor.data.files import read_frame
from regadvisor.data.source import make_table
from regadvisor.errors import DataError, MissingDependencyError
from regadvisor.scale import sources
from regadvisor.scale import table as scale_table
from regadvisor.scale.parts import scan_part
from regadvisor.scale.sketch import Sketch, Spec
from regadvisor.scale.sources import find_source, without
from regadvisor.scale.table import Roles, Scanned, scan

FRAME = some_rows(6_000)
ROLES = Roles(targets=("y",))


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Samples of 1,000 rows, so that tables of some thousands are large."""
    monkeypatch.setattr(scale_table, "SAMPLE_ROWS", 1_000)


def spec_of(source) -> Spec:
    return Spec(targets=("y",), kinds=source.kinds, n_rows=1_000)


def ids_of(source, **given) -> list[int]:
    return sorted(scan(source, spec_of(source), **given).sample.ids.tolist())


# ---------------------------------------------------------------------------------- small: as in memory


@pytest.mark.parametrize("kind", ["parquet", "csv", "csv.gz", "jsonl"])
def test_a_folder_of_few_rows_gives_the_table_of_all_its_rows(tmp_path: Path, kind: str):
    found, given = Scanned(find_source(write(FRAME, tmp_path / kind, kind))).table(ROLES)
    whole = make_table(FRAME.drop(columns="y"), FRAME["y"])
    assert found.whole is None
    assert_frame_equal(found.X, whole.X)
    np.testing.assert_array_equal(found.y, whole.y)
    assert_frame_equal(given, FRAME.drop(columns="y"))
    assert found.facts.columns == whole.facts.columns
    assert found.facts.class_counts == whole.facts.class_counts
    assert found.facts.fingerprint == whole.facts.fingerprint


def test_a_small_file_is_read_whole_and_a_large_one_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for kind in ("parquet", "csv", "csv.gz", "jsonl"):
        path = write(FRAME, tmp_path, kind, n_files=1) / f"part-0.{kind}"
        assert find_source(path) is None
        monkeypatch.setattr(sources, "SCAN_BYTES", 100_000)
        found, _ = Scanned(find_source(str(path))).table(ROLES)
        assert_frame_equal(found.X, read_frame(path).frame.drop(columns="y"))
        monkeypatch.undo()
    assert find_source(tmp_path / "missing.csv") is None
    assert find_source("s3://bucket/data") is None
    assert find_source("-") is None


def test_a_large_file_of_semicolons_and_decimal_commas_reads_as_a_small_one(tmp_path: Path, monkeypatch):
    rows = FRAME[["a", "b", "y"]].assign(city="Münster")
    text = "\n\n" + rows.to_csv(index=False, sep=";", decimal=",").replace("\n1", "\n 1")
    path = tmp_path / "a.csv"
    path.write_bytes(text.encode("cp1252"))
    small = read_frame(path)
    monkeypatch.setattr(sources, "SCAN_BYTES", 1_000)
    source = find_source(path)
    found, _ = Scanned(source).table(ROLES)
    assert_frame_equal(found.X, small.frame.drop(columns="y"))
    moments = scan(source, Spec(targets=("y",), kinds=source.kinds, decimal=",")).moments
    np.testing.assert_allclose(moments.mean, rows[["a", "b"]].mean(), rtol=1e-12)


def test_lines_of_json_may_write_a_value_in_several_ways(tmp_path: Path):
    lines = [
        '{"a": 1, "y": "u"}',
        '{"a": 2.5, "y": "v", "late": 3}',
        "",
        '{"a": "?", "y": "u"}',
        '{"y": "v"}',
    ] * 9
    (tmp_path / "a.jsonl").write_bytes("\n".join(lines).encode())
    _, given = Scanned(find_source(tmp_path)).table(ROLES)
    assert given["a"].head(4).fillna(-1).tolist() == [1.0, 2.5, -1.0, -1.0]
    assert given["late"].notna().sum() == 9


def test_whole_numbers_too_large_for_64_bits_are_read_as_in_memory(tmp_path: Path):
    lines = ['{"a": 9223372036854775872, "y": "u"}', '{"a": false, "y": "v"}', '{"a": 2, "y": "u"}'] * 5
    (tmp_path / "a.jsonl").write_bytes("\n".join(lines).encode())
    _, given = Scanned(find_source(tmp_path)).table(ROLES)
    assert_frame_equal(given, read_frame(tmp_path / "a.jsonl").frame[["a"]])


def test_folders_that_are_named_are_columns(tmp_path: Path):
    for kind in ("parquet", "csv", "jsonl"):
        for year in (2023, 2024):
            write(FRAME.iloc[year - 2023 :: 2].head(500), tmp_path / kind / f"year={year}", kind, n_files=2)
        found, _ = Scanned(find_source(tmp_path / kind)).table(ROLES)
        years = pd.Series(found.X["year"]).astype(int)
        assert years.tolist() == [2023] * 500 + [2024] * 500
        less, _ = Scanned(without(find_source(tmp_path / kind), ["year"])).table(ROLES)
        assert "year" not in less.X


def test_an_index_of_pandas_is_no_feature(tmp_path: Path):
    (tmp_path / "d").mkdir()
    FRAME.set_index("count").to_parquet(tmp_path / "d" / "a.parquet")
    assert set(find_source(tmp_path / "d").kinds) == {"a", "b", "c", "city", "y"}


# --------------------------------------------------------------------------------- large: a sample


@pytest.mark.parametrize("kind", ["parquet", "csv", "jsonl"])
def test_the_sample_is_the_smallest_keys_of_each_class(tmp_path: Path, small, kind: str):
    source = find_source(write(FRAME, tmp_path, kind))
    table, given = Scanned(source, seed=3).table(ROLES)
    spec = Spec(targets=("y",), kinds={}, seed=3, n_rows=1_000)
    numbers = FRAME.index[FRAME["a"].isin(given["a"])]
    assert given["a"].tolist() == FRAME["a"][numbers].tolist()
    counts = FRAME["y"].value_counts()
    smallest = ranks_by_hand(FRAME["y"], ids_of_files([2_000] * 3), spec)
    for label, count in FRAME["y"][numbers].value_counts().items():
        assert smallest[numbers][FRAME["y"][numbers] == label].max() == count
        assert abs(count - max(10, 1_000 * counts[label] / 6_000)) < 12
    assert table.facts.n_rows == 6_000
    assert table.facts.class_counts == tuple(counts[label] for label in table.facts.classes)
    shares = np.bincount(table.y, weights=table.weight) / table.weight.sum()
    np.testing.assert_allclose(shares, np.array(table.facts.class_counts) / 6_000, rtol=1e-12)


def test_what_is_known_of_all_rows_is_exact(tmp_path: Path, small):
    table, _ = Scanned(find_source(write(FRAME, tmp_path, "parquet"))).table(ROLES)
    whole = table.whole
    for name in ("a", "b", "count"):
        np.testing.assert_allclose(
            whole.means[name], (FRAME[name].mean(), FRAME[name].std(ddof=0)), rtol=1e-12
        )
    assert whole.shares["city"] == pytest.approx(FRAME["city"].value_counts(normalize=True).to_dict())


def test_a_number_is_drawn_whatever_its_value_and_its_facts_are_exact(tmp_path: Path, small):
    frame = FRAME.assign(y=FRAME["a"] * 2.0 + 1.0)
    table, _ = Scanned(find_source(write(frame, tmp_path, "csv"))).table(ROLES)
    assert (table.n_rows, table.weight, table.facts.task) == (1_000, None, "regression")
    assert table.facts.target_mean == pytest.approx(frame["y"].mean(), rel=1e-12)
    assert table.facts.target_sd == pytest.approx(frame["y"].std(ddof=0), rel=1e-12)


def test_a_count_of_few_values_is_a_number_and_not_drawn_by_class(tmp_path: Path, small):
    counts = np.random.default_rng(0).poisson(3.0, len(FRAME))
    frame = FRAME.assign(y=counts)
    table, _ = Scanned(find_source(write(frame, tmp_path, "parquet"))).table(ROLES)
    assert (table.n_rows, table.weight, table.facts.task) == (1_000, None, "regression")


def test_several_targets(tmp_path: Path, small):
    frame = FRAME.assign(z=-FRAME["a"], y=FRAME["c"])
    table, _ = Scanned(find_source(write(frame, tmp_path, "csv"))).table(Roles(targets=("y", "z")))
    assert (table.n_rows, table.n_targets, table.facts.n_rows) == (1_000, 2, 6_000)


def test_labels_written_in_several_ways_are_one_class(tmp_path: Path, small):
    y = np.where(FRAME["y"] == "yes", "1", np.where(np.arange(6_000) % 2, "0", "0.0"))
    write(FRAME.assign(y=y), tmp_path, "csv")
    table, _ = Scanned(find_source(tmp_path)).table(ROLES)
    assert table.facts.classes == (0, 1)
    assert table.facts.class_counts == ((y != "1").sum(), (y == "1").sum())


def test_targets_written_as_people_write_numbers_are_numbers_here_too(tmp_path: Path, small):
    price = np.arange(6_000) % 700
    y = np.where(np.arange(6_000) % 50, [f"${each:,}.50" for each in price], "n.a.")
    write(FRAME.assign(y=y), tmp_path, "csv")
    table, given = Scanned(find_source(tmp_path)).table(ROLES)
    assert table.facts.task == "regression"
    assert set(table.y) <= set(price + 0.5)
    assert len(table.y) == len(given) < 1_000  # without those that have none


def test_points_between_thousands_count_nothing_in_what_is_known_of_all_rows(tmp_path: Path, small):
    y = 1_000 + np.arange(6_000) % 7_000
    rows = [f"{j},5;{each // 1_000}.{each % 1_000:03d}" for j, each in enumerate(y.tolist())]
    (tmp_path / "one.csv").write_text("\n".join(["a;y", *rows, ""]))
    table, _ = Scanned(find_source(tmp_path)).table(ROLES)
    assert table.facts.target_mean == pytest.approx(y.mean())
    assert table.whole.means["a"] == pytest.approx((2_999.5 + 0.5, np.arange(6_000).std()))


def test_groups_and_time_are_columns_of_their_own(tmp_path: Path, small):
    frame = FRAME.assign(who=np.arange(6_000) // 3, at=pd.date_range("2024-01-01", periods=6_000, freq="h"))
    table, given = Scanned(find_source(write(frame, tmp_path, "parquet"))).table(
        Roles(targets=("y",), groups="who", time="at")
    )
    assert "who" not in given
    assert table.facts.n_groups == len(np.unique(table.groups))
    np.testing.assert_array_equal(np.argsort(table.time, kind="stable"), np.arange(table.n_rows))
    assert "not whole groups" in table.notes[-1].text


def test_where_most_rows_have_no_target_one_pass_is_enough(tmp_path: Path, small):
    frame = FRAME.assign(y=FRAME["y"].where(np.arange(6_000) % 50 == 0))
    frame["y"] = frame["y"].where(frame["y"] != "rare")
    path = write(pd.concat([frame] * 10), tmp_path, "parquet")
    seen: list[float] = []
    table, _ = Scanned(find_source(path), progress=lambda stage, share: seen.append(share)).table(ROLES)
    n = int(frame["y"].notna().sum()) * 10
    assert table.facts.n_rows == n
    assert table.n_rows == 1_000
    assert seen == [1 / 3, 2 / 3, 1.0]
    assert any(f"{60_000 - n:,} rows without a target" in note.text for note in table.notes)


def test_identifiers_are_known_at_the_full_size(tmp_path: Path, small):
    frame = FRAME.assign(name=[f"row {i}" for i in range(6_000)])
    table, _ = Scanned(find_source(write(frame, tmp_path, "csv"))).table(ROLES)
    column = next(column for column in table.facts.columns if column.name == "name")
    assert column.n_levels == 6_000


# ------------------------------------------------------------------------------- engines and workers


def test_every_engine_and_threads_draw_the_same_rows(tmp_path: Path):
    path = write(FRAME, tmp_path / "a", "parquet")
    expected = ids_of(find_source(path))
    assert ids_of(find_source(write(FRAME, tmp_path / "b", "csv"))) == expected
    assert ids_of(find_source(write(FRAME, tmp_path / "c", "jsonl"))) == expected
    with ThreadPoolExecutor(3) as pool:
        assert ids_of(find_source(path), executor=pool) == expected


def test_sketches_of_workers_are_equal_to_the_last_bit(tmp_path: Path):
    source = find_source(write(FRAME, tmp_path, "parquet", n_files=5))
    alone = scan(source, spec_of(source))
    with ThreadPoolExecutor(3) as pool:
        shared = scan(source, spec_of(source), executor=pool)
    np.testing.assert_array_equal(shared.moments.mean, alone.moments.mean)
    np.testing.assert_array_equal(shared.moments.squares, alone.moments.squares)
    assert shared.sample.rows.equals(alone.sample.rows)


@pytest.mark.parametrize("is_stratified", [True, False])
def test_a_part_keeps_fewer_rows_after_others_and_the_sample_is_the_same(tmp_path: Path, is_stratified: bool):
    source = find_source(write(FRAME, tmp_path, "parquet", n_files=5))
    spec = replace(spec_of(source), n_rows=200, is_stratified=is_stratified)
    *others, last = [scan_part(part, spec) for part in source.parts()]
    before = Sketch.of_nothing(spec)
    for each in others:
        before.merge(each)
    told = scan_part(source.parts()[-1], spec, before)
    assert len(told.sample.ids) < 0.8 * len(last.sample.ids)
    alone = scan(source, spec)
    for part in (told, last):
        total = deepcopy(before)
        total.merge(part)
        total.prune(always=True)
        assert total.sample.rows.equals(alone.sample.rows)


@pytest.mark.skipif(not hasattr(pl.LazyFrame, "collect_batches"), reason="this polars gives no batches")
def test_polars_lazy_frames(tmp_path: Path, small):
    path = write(FRAME, tmp_path, "parquet", n_files=1)
    lazy = pl.scan_parquet(path / "part-0.parquet")
    assert ids_of(find_source(lazy)) == ids_of(find_source(path))
    found, _ = Scanned(find_source(lazy)).table(ROLES)
    other, _ = Scanned(find_source(path)).table(ROLES)
    assert_frame_equal(found.X, other.X)
    assert found.facts == other.facts


def test_an_old_polars_is_told_of(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delattr(pl.LazyFrame, "collect_batches", raising=False)
    with pytest.raises(DataError, match=r"call X\.collect\(\) first, or update polars"):
        find_source(pl.LazyFrame({"a": [1]}))


def test_duckdb_relations(tmp_path: Path, small):
    duckdb = pytest.importorskip("duckdb", reason="DuckDB is not installed")
    path = write(FRAME, tmp_path, "parquet")
    with duckdb.connect() as connection:
        relation = connection.read_parquet(str(path / "*.parquet"), filename=True, file_row_number=True)
        assert ids_of(find_source(relation)) == ids_of(find_source(path))
        found, _ = Scanned(find_source(relation)).table(ROLES)
        plain = connection.sql(f"select * from '{path / 'part-0.parquet'}'")
        assert len(scan(find_source(plain), spec_of(find_source(plain))).sample.ids) >= 1_000
        assert ids_of(find_source(plain)) == ids_of(find_source(plain))
    other, _ = Scanned(find_source(path)).table(ROLES)
    assert_frame_equal(found.X, other.X)
    assert found.facts == other.facts


def test_dask_frames_give_the_rows_of_their_partitions(tmp_path: Path, small):
    dataframe = pytest.importorskip("dask.dataframe", reason="Dask is not installed")
    path = write(FRAME, tmp_path, "parquet")
    frame = dataframe.from_pandas(FRAME, npartitions=3, sort=False)
    assert ids_of(find_source(frame)) == ids_of(find_source(path))
    found, _ = Scanned(find_source(frame)).table(ROLES)
    other, _ = Scanned(find_source(path)).table(ROLES)
    assert found.facts.class_counts == other.facts.class_counts
    np.testing.assert_array_equal(found.X["a"], other.X["a"])


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_columns_may_be_left_out(tmp_path: Path, kind: str):
    source = find_source(write(FRAME, tmp_path, kind))
    found, _ = Scanned(without(source, ["a", "city"])).table(ROLES)
    assert [column.name for column in found.facts.columns] == ["b", "c", "count"]
    assert find_source(source) is source
    with pytest.raises(DataError, match="drop must name a column, got 'ab'"):
        without(source, ["ab"])


# ------------------------------------------------------------------------------------- what is refused


def test_folders_that_are_no_table(tmp_path: Path):
    with pytest.raises(DataError, match="with no file"):
        find_source(tmp_path)
    (tmp_path / "a.txt.zip").write_text("x")
    with pytest.raises(DataError, match=r"a\.txt\.zip"):
        find_source(tmp_path)
    write(FRAME, tmp_path, "csv")
    (tmp_path / "_SUCCESS.csv").write_text("not a table")
    assert len(find_source(tmp_path).paths) == 3
    write(FRAME, tmp_path, "jsonl")
    with pytest.raises(DataError, match="one kind, got 'csv' and 'jsonl'"):
        find_source(tmp_path)


@pytest.mark.parametrize(
    ("kind", "damage", "words"),
    [
        ("parquet", lambda content: content[:-30], "damaged"),
        ("csv", lambda content: content + b"1,2\n", "part-1.csv' must be a whole, readable file.*columns"),
        (
            "csv",
            lambda content: content.replace(b"count", b"other"),
            "part-1.csv' must have the columns.*'count'",
        ),
        ("csv", lambda content: content * 12 + b"1,1,1,1,\xff,yes\n", "UTF8"),
        ("csv.gz", lambda content: content[:-100], "part-1.csv.gz"),
        ("csv.gz", lambda content: gzip.compress(b""), "part-1.csv.gz"),
        ("jsonl", lambda content: content + b'{"a": ', "every line of '.*part-1.jsonl'"),
        ("jsonl", lambda content: content + b"[1]\n", "must be a JSON object"),
        ("jsonl", lambda content: content + b'{"a": [1]}\n', "flatten"),
    ],
)
def test_damaged_files_are_named(tmp_path: Path, kind: str, damage, words: str):
    path = write(FRAME, tmp_path, kind) / f"part-1.{kind}"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError, match=words):
        Scanned(find_source(tmp_path)).table(ROLES)


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("kind", ["csv.gz", "jsonl.gz"])
@pytest.mark.parametrize("place", [0.3, 0.6])
def test_flipped_bytes_of_packed_files_are_named(tmp_path: Path, kind: str, number: int, place: float):
    path = write(FRAME, tmp_path, kind) / f"part-{number}.{kind}"
    content = bytearray(path.read_bytes())
    at = round(place * len(content))
    content[at : at + 40] = bytes(byte ^ 0xFF for byte in content[at : at + 40])
    path.write_bytes(bytes(content))
    with pytest.raises(DataError, match=f"part-{number}"):
        Scanned(find_source(tmp_path)).table(ROLES)


def test_files_of_lines_may_begin_with_a_byte_order_mark(tmp_path: Path):
    folder = write(FRAME, tmp_path, "jsonl")
    plain, _ = Scanned(find_source(folder)).table(ROLES)
    for path in find_source(folder).paths:
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    marked, _ = Scanned(find_source(folder)).table(ROLES)
    np.testing.assert_array_equal(marked.y, plain.y)


def test_targets_that_cannot_be_used(tmp_path: Path, small):
    source = find_source(
        write(FRAME.assign(name=[f"n{i}" for i in range(6_000)], none=None), tmp_path, "csv")
    )
    for target, words in [
        ("name", "at most 1,000 classes"),
        ("coutn", "did you mean 'count'"),
        ("none", "at least 2 rows, got 0 of 6,000"),
    ]:
        with pytest.raises(DataError, match=words):
            Scanned(source).table(Roles(targets=(target,)))


def test_without_pyarrow_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    write(FRAME, tmp_path, "csv")
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(MissingDependencyError, match=r"regadvisor\[parquet\]"):
        find_source(tmp_path)


def test_a_dataset_on_another_file_system_is_read_like_its_folder(tmp_path: Path):
    fsspec = pytest.importorskip("fsspec")
    dataset = pytest.importorskip("pyarrow.dataset")
    folder = write(some_rows(400), tmp_path / "data", "parquet", n_files=3)
    memory = fsspec.filesystem("memory")
    memory.put(str(folder), "/bucket/", recursive=True)
    try:
        there = dataset.dataset(
            "/bucket/data" if memory.isdir("/bucket/data") else "/bucket", filesystem=memory
        )
        found, expected = find_source(there), find_source(folder)
        assert found.kinds == expected.kinds
        spec = Spec(targets=("y",), kinds=expected.kinds, n_rows=100)
        one, other = scan(found, spec), scan(expected, spec)
        assert one.sample.rows.equals(other.sample.rows)
        with pytest.raises(DataError, match="whole Parquet files, got one of other files or with a filter"):
            find_source(there.filter(dataset.field("y") == there.head(1)["y"][0].as_py()))
    finally:
        memory.rm("/bucket", recursive=True)
    text = write(some_rows(10), tmp_path / "text", "csv")
    with pytest.raises(DataError, match="of other files or with a filter"):
        find_source(dataset.dataset(str(text), format="csv"))


@pytest.mark.parametrize("below", ["cm,kg\n", '"How long,\nin all?",kg\n"import id",q2\n'])
def test_texts_below_the_names_are_no_rows_in_a_folder_either(below: str, tmp_path: Path) -> None:
    rows = "".join(f"{i / 4},{i % 7}\n" for i in range(60))
    for name in ("one.csv", "two.csv"):
        (tmp_path / name).write_text(f"a,y\n{below}{rows}")
    table, given = Scanned(find_source(tmp_path)).table(Roles(targets=("y",)))
    assert (table.facts.n_rows, given["a"].dtype) == (120, np.float64)
    assert [note.code for note in table.notes if note.is_warning] == ["more-names"]
