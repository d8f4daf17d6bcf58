"""The target, its task and the fingerprint of data in memory."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris, load_wine

from regadvisor.data.source import make_table
from regadvisor.errors import ParameterError

N = 24
Y = np.arange(N) % 2
X = np.random.default_rng(0).normal(size=(N, 3))


def codes(table):
    return {note.code for note in table.notes}


# --------------------------------------------------------------------------------------------- target


@pytest.mark.parametrize(
    ("load", "task"),
    [
        (load_iris, "multiclass"),
        (load_breast_cancer, "binary"),
        (load_diabetes, "regression"),
        (load_wine, "multiclass"),
    ],
)
def test_bundled_data_are_what_they_are(load, task):
    values, y = load(return_X_y=True)
    table = make_table(values, y)
    assert table.facts.task == task
    np.testing.assert_array_equal(table.y, y)
    if task == "regression":
        assert table.facts.target_sd == pytest.approx(np.std(y))
        assert table.facts.target_mean == pytest.approx(np.mean(y))
    else:
        assert table.facts.class_counts == tuple(np.bincount(y))
        assert ("task-guessed" in codes(table)) == (task == "multiclass")


@pytest.mark.parametrize(
    ("y", "classes"),
    [
        (["b", "a", "c"] * 8, ("a", "b", "c")),
        ([True, False] * 12, (False, True)),
        ([10, -1] * 12, (-1, 10)),
        ([2.0, 1.0] * 12, (1, 2)),
        (pd.Categorical(["b", "a"] * 12, categories=["z", "b", "a"]), ("a", "b")),
        (pd.Categorical([3, 1, 2] * 8), (1, 2, 3)),
        (np.array([b"n", b"y"] * 12), ("n", "y")),
        (pd.array(["b", "a"] * 12, dtype="string"), ("a", "b")),
        (pd.array([True, False] * 12, dtype="boolean"), (False, True)),
    ],
)
def test_classes_are_sorted_plain_values(y, classes):
    table = make_table(X, y)
    assert table.facts.classes == classes
    assert all(type(a) is type(b) for a, b in zip(table.facts.classes, classes, strict=True))
    decoded = [table.facts.classes[code] for code in table.y]
    assert decoded == [label.decode() if isinstance(label, bytes) else label for label in list(y)]


@pytest.mark.parametrize(
    ("y", "task"),
    [
        (np.arange(N), "regression"),  # one row per value
        (np.arange(N) // 2, "multiclass"),
        (np.arange(N) // 2 + 0.5, "regression"),
        (np.array(["1", "2"] * 12), "binary"),
    ],
)
def test_automatic_task(y, task):
    assert make_table(X, y).facts.task == task


def test_given_task_wins_or_contradicts():
    assert make_table(X, np.arange(N) // 8, task="regression").facts.task == "regression"
    assert make_table(X, np.arange(N) // 8, task="classification").facts.task == "multiclass"
    assert make_table(X, [str(v) for v in X[:, 0]], task="regression").y.dtype == np.float64
    assert "task-guessed" not in codes(make_table(X, np.arange(N) // 8, task="multiclass"))
    for y, task, words in [
        (np.arange(N) // 8, "binary", "3 classes"),
        (Y, "multiclass", "2 classes"),
        (["a", "b"] * 12, "regression", "needs numbers, got 'a'"),
        (X[:, 0], "classification", "Unknown label type"),
        (Y, "ranking", "must be one of"),
    ]:
        with pytest.raises(ParameterError, match=words):
            make_table(X, y, task=task)


# ---------------------------------------------------------------------------------------- fingerprint


def test_the_fingerprint_knows_values_not_storage():
    whole = np.round(X * 8) / 8  # exact in float32
    whole[0, 0] = np.nan
    first = make_table(whole, Y).facts.fingerprint
    other_nan = whole.copy()
    other_nan[0, 0] = np.float64(np.nan) * -1
    other_zero = np.where(whole == 0, -0.0, other_nan)
    for same in (
        whole.astype(np.float32),
        np.asfortranarray(whole),
        whole.astype(">f8"),
        other_zero,
        whole.tolist(),
    ):
        assert make_table(same, Y).facts.fingerprint == first
    assert len(first) == 32


def test_the_fingerprint_is_pinned():
    # Stored records are compared across machines and versions: a change here is a change of format.
    table = make_table(np.arange(12.0).reshape(6, 2), [0, 1, 0, 1, 0, 1])
    assert table.facts.fingerprint == "8b48e53291677c558bf1c98ecf78692c"
    frame = pd.DataFrame({"t": ["a", "b", None] * 2, "n": range(6), "d": pd.to_datetime(["2024-01-01"] * 6)})
    assert make_table(frame, list("uvuvuv")).facts.fingerprint == "07fc120c7794fa5e5e61c5f71eb809cc"


def test_the_fingerprint_sees_every_change():
    frame = pd.DataFrame({"a": X[:, 0], "t": ["x", "y", None] * 8})
    seen = {make_table(frame, Y).facts.fingerprint}
    value, text, row = frame.copy(), frame.copy(), frame.iloc[::-1]
    value.loc[7, "a"] += 1e-9
    text.loc[7, "t"] = "z"
    variants = [
        (value, Y),
        (text, Y),
        (row, Y),
        (frame.rename(columns={"a": "b"}), Y),
        (frame[["t", "a"]], Y),
    ]
    variants += [(frame, 1 - Y), (frame, Y + 1), (frame, X[:, 1]), (frame.iloc[:-2], Y[:-2])]
    for changed, y in variants:
        seen.add(make_table(changed, y).facts.fingerprint)
    assert len(seen) == 1 + len(variants)


def test_stored_zeros_of_a_sparse_matrix_are_no_difference():
    plain = sparse.csr_array(np.eye(4))
    padded = sparse.csr_array(np.eye(4) + np.eye(4, k=1))
    padded.data[padded.indices != np.repeat(np.arange(4), np.diff(padded.indptr))] = 0
    assert padded.nnz == 7
    y = [0, 1, 0, 1]
    assert make_table(padded, y).facts.fingerprint == make_table(plain, y).facts.fingerprint
