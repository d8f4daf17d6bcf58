"""Data in memory: containers, column kinds, notes, errors and the fingerprint."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from regadvisor.data.arrays import contain
from regadvisor.data.columns import _read_frame, read_columns
from regadvisor.data.frames import as_one_array
from regadvisor.data.source import fingerprint, make_table
from regadvisor.errors import DataError

N = 24
Y = np.arange(N) % 2
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N, 3))


def codes(table):
    return {note.code for note in table.notes}


def column(values, **kwargs):
    """Return what a single column becomes, next to an ordinary one."""
    frame = pd.DataFrame({"a": values, "b": np.arange(len(values), dtype=float)}, **kwargs)
    return make_table(frame, np.arange(len(values)) % 2)


# ------------------------------------------------------------------------------------------ containers


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_float_arrays_are_neither_copied_nor_written_to(dtype):
    values = X.astype(dtype)
    values.flags.writeable = False
    table = make_table(values, Y)
    assert table.X is values
    assert table.facts.container == "array"
    assert table.facts.columns[2].name == 2


@pytest.mark.parametrize(
    "dtype", ["float16", "int8", "uint8", "bool", "int64", "uint32", "object", ">f8", "longdouble"]
)
def test_other_numbers_become_floats_of_the_same_value(dtype):
    values = (X > 0).astype(dtype)
    table = make_table(values, Y)
    assert table.X.dtype in (np.float32, np.float64)
    assert table.X.dtype.isnative
    np.testing.assert_array_equal(table.X, (X > 0).astype(float))


@pytest.mark.parametrize(
    "form", ["csr_matrix", "csc_matrix", "coo_array", "lil_array", "dok_array", "bsr_array"]
)
@pytest.mark.parametrize("dtype", [np.int8, np.float32])
def test_every_sparse_form_becomes_csr(form, dtype):
    dense = (X > 0.5).astype(dtype)
    table = make_table(getattr(sparse, form)(dense), Y)
    assert isinstance(table.X, sparse.csr_array)
    assert table.facts.container == "sparse"
    np.testing.assert_array_equal(table.X.toarray(), dense)


def test_sparse_without_any_stored_value_is_a_table_of_zeros():
    table = make_table(sparse.csr_array((len(Y), 3)), Y)
    assert [column.is_constant for column in table.facts.columns] == [True] * 3
    assert (table.X.toarray() == 0).all()


def test_sparse_with_repeated_entries_and_long_indices():
    given_matrix = sparse.csr_matrix(
        (np.ones(4), np.array([0, 0, 1, 2]), np.array([0, 2, 3, 4])), shape=(3, 3), dtype=float
    )
    given_matrix.indices = given_matrix.indices.astype(np.int64)
    given_matrix.indptr = given_matrix.indptr.astype(np.int64)
    table = make_table(given_matrix, [1, 2, 1])
    np.testing.assert_array_equal(table.X.toarray(), [[2, 0, 0], [0, 1, 0], [0, 0, 1]])
    assert table.X.indices.dtype == np.int32
    assert given_matrix.nnz == 4  # the caller's matrix is as it was


def test_lists_and_frames():
    assert make_table(X.tolist(), Y.tolist()).facts.container == "array"
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    table = make_table(frame, pd.Series(Y, name="won"))
    assert np.shares_memory(table.X, frame.to_numpy())
    assert table.facts.container == "frame"
    assert table.facts.target_name == "won"
    assert [c.name for c in table.facts.columns] == ["a", "b", "c"]


N_ODD = np.where(np.arange(N) % 5, X[:, 0], np.nan)
PLAIN = {
    "one type": pd.DataFrame(X, columns=["a", "b", "c"]),
    "numbered, single": pd.DataFrame(X.astype(np.float32)),
    "several types": pd.DataFrame({"a": X[:, 0], "i": np.arange(N), "s": X[:, 1].astype(np.float32)}),
    "whole": pd.DataFrame({f"i{j}": np.arange(N, dtype=np.int8) * j for j in range(3)}),
    "missing, constant, copied": pd.DataFrame({"a": N_ODD, "b": 1.0, "c": N_ODD, "d": np.nan}),
    "signed and not": pd.DataFrame({"a": -np.arange(N), "b": np.arange(N, dtype=np.uint64) + 2**63}),
    "large, no dates": pd.DataFrame({"a": np.linspace(2e7, 3e7, N), "b": np.arange(N) + 99_999_999.0}),
}


@pytest.mark.parametrize("name", PLAIN)
def test_a_frame_of_plain_numbers_is_read_at_once_as_its_columns_are_one_by_one(name):
    container = contain(PLAIN[name])
    at_once, one_by_one = read_columns(container), _read_frame(container, PLAIN[name], None)
    assert isinstance(at_once.values, np.ndarray)
    assert isinstance(one_by_one.values, pd.DataFrame)
    for field in ("kind", "columns", "notes", "is_plain", "levels", "dates"):
        assert getattr(at_once, field) == getattr(one_by_one, field)
    np.testing.assert_array_equal(at_once.span, one_by_one.span)
    assert fingerprint(at_once, Y) == fingerprint(one_by_one, Y)
    np.testing.assert_array_equal(at_once.values, one_by_one.values)
    assert at_once.numbers.is_single == (name == "numbered, single")


def test_a_frame_with_anything_else_is_read_column_by_column():
    days = [20240101 + j for j in range(N)]
    others = {
        "date": days,
        "date after a gap": [np.nan, *days[1:]],
        "text": ["x"] * N,
        "yes": [True, False] * (N // 2),
        "half": X[:, 0].astype(np.float16),
        "nullable": pd.array(np.arange(N), dtype="Int64"),
    }
    for name, other in others.items():
        frame = pd.DataFrame({"a": np.arange(N), name: other})
        assert isinstance(make_table(frame, Y).X, pd.DataFrame)
        assert len(make_table(frame, Y).facts.columns) == 2
    assert as_one_array(pd.DataFrame({"day": days})) is None
    known = make_table(pd.DataFrame({"day": days}), Y).facts.columns
    assert as_one_array(pd.DataFrame({"day": np.arange(N)}), known) is None


def test_polars_and_pyarrow_frames_are_the_pandas_frame():
    frame = pd.DataFrame(
        {"n": X[:, 0], "t": ["x", "y", None] * 8, "d": pd.date_range("2024-01-01", periods=N)}
    )
    expected = make_table(frame, Y).facts
    for other in (pl.from_pandas(frame), pa.Table.from_pandas(frame)):
        facts = make_table(other, Y).facts
        assert facts.columns == expected.columns
        assert facts.fingerprint == expected.fingerprint


def test_targets_of_every_library_are_equal():
    expected = make_table(X, Y)
    forms = [
        Y.tolist(),
        pd.Series(Y, index=range(5, 5 + N)),
        pl.Series(Y),
        pa.array(Y),
        pa.chunked_array([Y]),
        Y[:, None],
    ]
    forms += [pd.Series(Y, dtype="Int64"), pd.DataFrame({"y": Y}), pl.DataFrame({"y": Y}), Y.astype(float)]
    for form in forms:
        table = make_table(X, form)
        np.testing.assert_array_equal(table.y, expected.y)
        assert table.facts.classes == (0, 1)
        assert table.facts.fingerprint == expected.facts.fingerprint
    assert "column-vector-target" in codes(make_table(X, Y[:, None]))


# --------------------------------------------------------------------------------------- column kinds


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (pd.array([1, None, 3, 4], dtype="Int64"), "numeric"),
        (pd.array([True, None, False, True], dtype="boolean"), "numeric"),
        (pd.array([1.5, None, 3, 4], dtype="float32[pyarrow]"), "numeric"),
        (pd.arrays.SparseArray([0.0, 0.0, 1.0, np.nan]), "numeric"),
        ([True, None, False, True], "numeric"),
        ([Decimal("1.5"), None, Decimal(2), 3], "numeric"),
        (["1", "2.5", " 3 ", None], "numeric"),
        (["007", "101", "230", None], "categorical"),
        (["a", "b", None, "a"], "categorical"),
        (pd.array(["a", pd.NA, "b", "a"], dtype="string"), "categorical"),
        (pd.Categorical([1, 2, None, 1]), "categorical"),
        ([None, None, None, None], "categorical"),
        ([1, "a", 2.5, None], "categorical"),
        ([datetime(2024, 1, 1), None, datetime(2024, 1, 2), datetime(2024, 1, 3)], "date"),
        (np.array([date(2024, 1, 1), None, date(2024, 1, 2), date(2024, 1, 3)], dtype=object), "date"),
        (pd.to_datetime(["2024-01-01", None, "2024-01-03", "2024-01-04"]).tz_localize("Asia/Tokyo"), "date"),
        (pd.to_timedelta([1, 2, None, 4], unit="h"), "date"),
        (pd.PeriodIndex(["2024-01", "2024-02", None, "2024-04"], freq="M"), "date"),
        (
            pd.array([date(2024, 1, 1), None, date(2024, 1, 2), None], dtype=pd.ArrowDtype(pa.date32())),
            "date",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else str(getattr(value, "dtype", value))[:40],
)
def test_column_kinds(values, kind):
    table = column(values)
    facts = table.facts.columns[0]
    assert facts.kind == kind
    assert facts.has_missing
    if kind == "numeric":
        assert table.X["a"].dtype.kind == "f"
        np.testing.assert_array_equal(np.isnan(table.X["a"]), pd.isna(pd.Series(values)))
    if kind == "date":
        assert table.X["a"].dtype.kind in "Mm"  # NumPy's own: naive, whatever came in
        np.testing.assert_array_equal(table.X["a"].isna(), pd.isna(pd.Series(values)))


def test_doubtful_columns_are_noted():
    assert "parsed-as-numbers" in codes(column(["1", "2", "3", "4"]))
    assert "parsed-as-numbers" in codes(column(np.array([1, "2", 3, 4], dtype=object)))
    table = column(np.array([1, "a", 2.0, "1"], dtype=object))
    assert "mixed-types" in codes(table)
    assert table.X["a"].tolist() == ["1", "a", "2", "1"]
    assert table.facts.columns[0].n_levels == 3


def test_object_arrays_are_arrays_if_they_hold_numbers_and_frames_if_not():
    numbers = np.array([[1, "2"], [None, 3.5]] * 6, dtype=object)
    table = make_table(numbers, Y[:12])
    assert table.facts.container == "array"
    np.testing.assert_array_equal(table.X[:2], [[1, 2], [np.nan, 3.5]])
    table = make_table([["a", 1], ["b", 2]] * 6, Y[:12])
    assert table.facts.container == "frame"
    assert [(c.name, c.kind) for c in table.facts.columns] == [(0, "categorical"), (1, "numeric")]


@given(st.lists(st.sampled_from([0.0, 1.0, -0.0, 2.5, np.nan]), min_size=2, max_size=12))
@settings(max_examples=60, deadline=None)
def test_facts_of_a_column_are_those_of_a_plain_loop(values):
    present = {v for v in values if not np.isnan(v)}
    dense = np.array([values, np.arange(len(values))]).T
    rows = np.arange(len(values), dtype=float) + 0.5
    for X_form in (dense, np.asfortranarray(dense), sparse.csr_array(dense), pd.DataFrame(dense)):
        fact = make_table(X_form, rows, task="regression").facts.columns[0]
        assert fact.has_missing == any(np.isnan(v) for v in values)
        assert fact.is_constant == (len(present) <= 1)


# ---------------------------------------------------------------------------------------------- notes


def test_odd_columns_are_noted_and_kept():
    frame = pd.DataFrame({"a": X[:, 0], "empty": np.nan, "void": None, "one": 1.0, "b": X[:, 0], "u": "x"})
    frame["t"], frame["s"] = list("pqr") * 8, list("pqr") * 8
    table = make_table(frame, Y)
    texts = {note.code: note.text for note in table.notes}
    assert "'b' = 'a'" in texts["duplicate-columns"]
    assert "'s' = 't'" in texts["duplicate-columns"]
    assert "'empty' and 'void'" in texts["all-missing-columns"]
    assert "'one' and 'u'" in texts["constant-columns"]
    assert table.X.shape == frame.shape


@pytest.mark.parametrize("form", [np.asarray, np.asfortranarray, sparse.csc_array, pd.DataFrame])
def test_copies_are_found_wherever_they_differ_in_one_row(form):
    many = np.round(np.random.default_rng(1).normal(size=(500, 6)), 1)
    many[:, 3] = many[:, 0]
    many[:, 5] = many[:, 1]
    many[317, 5] += 0.1
    many[318, 5] -= 0.1
    table = make_table(form(many), np.arange(500) / 3)
    text = next(note.text for note in table.notes if note.code == "duplicate-columns")
    assert text == "1 column is exactly equal to an earlier column: 3 = 0."


def test_identifiers_are_noted():
    frame = pd.DataFrame({"id": [f"u{i}" for i in range(400)], "zip": [f"z{i % 80}" for i in range(400)]})
    texts = {note.code: note.text for note in make_table(frame, np.arange(400) % 2).notes}
    assert "'id'" in texts["looks-like-id"]
    assert "'zip'" not in texts["looks-like-id"]


def test_rows_without_target_are_left_out_everywhere():
    y = pd.Series(Y, dtype=object)
    y[[3, 10]] = None
    table = make_table(
        X, y, groups=np.arange(N) // 4, time=np.arange(N), sample_weight=np.r_[[5] * 4, [1] * 20]
    )
    keep = np.delete(np.arange(N), [3, 10])
    np.testing.assert_array_equal(table.X, X[keep])
    np.testing.assert_array_equal(table.y, Y[keep])
    np.testing.assert_array_equal(table.time, keep)
    np.testing.assert_array_equal(table.groups, keep // 4)
    weight = np.r_[[5] * 4, [1] * 20][keep]
    np.testing.assert_allclose(table.weight, weight / weight.mean())
    assert "missing-target" in codes(table)
    assert table.facts.n_rows == N - 2


def test_small_things_are_noted():
    assert "few-rows" in codes(make_table(X[:5], Y[:5]))
    assert "few-rows" not in codes(make_table(X, Y))
    assert "rare-class" in codes(make_table(X, ["a", *["b"] * 11, *["c"] * 12]))
    assert make_table(np.ones((4, 9)) * np.arange(9) + X[:4, :1], Y[:4]).facts.n_features == 9
    assert make_table(X[:, :1], Y).facts.n_features == 1


# --------------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("values", "y", "words"),
    [
        (
            np.empty((10, 0)),
            np.zeros(10),
            r"0 feature\(s\) \(shape=\(10, 0\)\) while a minimum of 1 is required",
        ),
        (np.empty((0, 3)), [], r"0 sample\(s\)"),
        (X[:1], [1], r"1 sample\(s\).*n_samples=1"),
        (X[:, 0], Y, "Reshape your data"),
        (np.ones((2, 2, 2, 2, 2)), [0, 1], "2 dimensions, or 3 or 4"),
        ([[1, 2], [3]], [0, 1], "same number of values"),
        ("data.csv", Y, "must be a table"),
        (X + 1j, Y, "Complex data not supported"),
        (sparse.csr_array(X + 1j), Y, "Complex data not supported"),
        (X, Y + 1j, "Complex data not supported"),
        (X, Y[:-1], r"inconsistent numbers of samples: \[24, 23\]"),
        (X, None, "requires y to be passed, but the target y is None"),
        (X, pd.DataFrame({"a": X[:, 0], "b": ["x", "y"] * 12}), "columns of numbers or columns of classes"),
        (X, np.zeros((N, 1, 1)), "1d array"),
        (X, sparse.csr_array(Y[:, None]), "must be dense"),
        (X, ["a"] * N, "at least 2 classes, got 1 class"),
        (X, np.full(N, 2.5), "at least 2 different values"),
        (X, [None] * N, "value in at least 2 rows"),
        (X, np.where(Y, np.inf, X[:, 0]), "infinity"),
        (X, pd.date_range("2024-01-01", periods=N), "got dates"),
        (X, np.array([1, "a"] * 12, dtype=object), "all text or all numbers"),
        (X, [[1], [1, 2]] * 12, "lists"),
        (np.tile(X, (3, 1)), [f"t{i}" for i in range(3 * N)], "different labels"),
        (pd.DataFrame(X, columns=["a", "b", "a"]), Y, "unique, got 'a'"),
        (pd.DataFrame(X, columns=["a", "b", 3]), Y, "all text or all whole numbers, got 3"),
        (pd.DataFrame({"a": [[1], [2]] * 12}), Y, "got lists"),
        (pl.LazyFrame({"a": [1, 2]}), Y, "collect"),
    ],
)
def test_unusable_data_are_refused_with_the_reason(values, y, words):
    with pytest.raises(DataError, match=words):
        make_table(values, y)


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_array, pd.DataFrame, lambda v: v.astype(np.float32)])
def test_infinite_features_are_refused_by_name_and_count(form):
    values = X.copy()
    values[2, 1], values[5, 1], values[3, 2], values[4, 1] = np.inf, -np.inf, np.inf, np.nan
    with pytest.raises(DataError, match=r"infinity \(inf\) in column 1 \(2 values\), and in 1 more column;"):
        make_table(form(values), Y)


@pytest.mark.parametrize(
    ("given_rows", "words"),
    [
        (
            {"groups": [None] + ["a"] * (N - 1)},
            "groups must have a value for every row, got NaN or None in 1 row",
        ),
        ({"groups": ["a"] * N}, "at least 2 different"),
        ({"groups": ["a"] * 3}, "inconsistent numbers"),
        ({"time": np.r_[np.nan, np.arange(N - 1)]}, "time must have a value"),
        ({"time": np.r_[np.inf, np.arange(N - 1)]}, "time must be finite"),
        ({"time": ["soon"] * N}, "numbers or dates.*, got 'soon'"),
        ({"sample_weight": np.r_[-1, np.ones(N - 1)]}, "at least 0"),
        ({"sample_weight": np.zeros(N)}, "above 0 for some rows"),
        ({"sample_weight": np.r_[np.inf, np.ones(N - 1)]}, "finite"),
        ({"sample_weight": ["a"] * N}, "must be numbers"),
    ],
)
def test_unusable_row_data_are_refused(given_rows, words):
    with pytest.raises(DataError, match=words):
        make_table(X, Y, **given_rows)


def test_groups_time_and_weights():
    days = pd.date_range("2024-01-01", periods=N, freq="D")
    weight = np.r_[0.0, np.full(N - 1, 1e-3)]
    table = make_table(X, Y, groups=pl.Series(["b", "a"] * 12), time=days, sample_weight=weight)
    np.testing.assert_array_equal(table.groups, [0, 1] * 11 + [0])
    np.testing.assert_allclose(np.diff(table.time), 86400e6)
    np.testing.assert_allclose(table.weight, 1)
    np.testing.assert_array_equal(table.kept, [False] + [True] * (N - 1))
    assert (table.facts.n_groups, table.facts.has_time, table.facts.has_weights) == (2, True, True)
    strings = make_table(X, Y, time=[str(day.date()) for day in days])
    np.testing.assert_array_equal(strings.time[1:], table.time)


def test_nothing_of_the_caller_is_changed():
    frame = pd.DataFrame(
        {"a": pd.array([1, None] * 12, dtype="Int64"), "b": np.array([1, "x"] * 12, dtype=object)}
    )
    before = frame.copy(deep=True)
    y, weight = Y.copy(), np.ones(N)
    make_table(frame, y, sample_weight=weight, groups=Y, time=Y)
    pd.testing.assert_frame_equal(frame, before)
    np.testing.assert_array_equal(y, Y)
    np.testing.assert_array_equal(weight, 1)


@pytest.mark.parametrize(
    ("column", "words"),
    [
        ([[1, 2]] * N, "every value of column 17 must be text"),
        (np.r_[np.inf, np.ones(N - 1)], "in column 17 "),
        (np.ones(N) * 1j, "column 17 must hold real numbers"),
        (np.ones(N) * 1e200, "column 17 of X must hold numbers"),
    ],
)
def test_columns_with_numbers_for_names_are_named_by_them(column, words):
    frame = pd.DataFrame({np.int64(16): X[:, 0], np.int64(17): column})
    with pytest.raises(DataError, match=words):
        make_table(frame, Y)


def test_frames_that_their_library_cannot_convert_are_refused():
    class PanicException(BaseException):  # what polars raises of a name with NUL
        pass

    class Panicking:
        def to_pandas(self):
            raise PanicException("nul byte")

        def __len__(self):
            return N

    with pytest.raises(DataError, match=r"y must be a frame.*PanicException: nul byte"):
        make_table(X, Panicking())


@pytest.mark.parametrize("form", [np.asarray, pd.DataFrame])
def test_rows_without_a_target_may_hold_infinity(form):
    X = np.array([[1.0], [2.0], [np.inf], [3.0]])
    table = make_table(form(X), np.array([0.5, 1.5, np.nan, 2.0]))
    np.testing.assert_array_equal(np.asarray(table.X), X[[0, 1, 3]])
    with pytest.raises(DataError, match="infinity"):
        make_table(form(X), np.array([0.5, np.nan, 1.0, 2.0]))


def test_rows_without_a_target_hide_no_note_about_how_columns_were_read():
    """Where one target was missing, nobody learned that a date can be read in two ways."""
    n = 60
    frame = pd.DataFrame(
        {
            "day": [f"{1 + i % 12:02d}/{1 + i * 7 % 12:02d}/2023" for i in range(n)],
            "kind": ["a", "b"] * (n // 2),
            "price": [f"${i * 3.5:.2f}" for i in range(n)],
        }
    )
    y = np.arange(n) / 2
    whole = {note.code for note in make_table(frame, y).notes}
    assert {"ambiguous-dates", "parsed-dates", "parsed-as-numbers"} <= whole
    y[3] = np.nan
    assert {note.code for note in make_table(frame, y).notes} == whole | {"missing-target"}


@pytest.mark.parametrize("weights", ["balanced", {0: 1, 1: 5}])
def test_weights_of_classes_are_told_where_they_belong(weights):
    with pytest.raises(DataError, match=r"model=LogisticRegression\(class_weight='balanced'\)"):
        make_table([[1.0], [2.0], [3.0], [4.0]], [0, 1, 0, 1], sample_weight=weights)
