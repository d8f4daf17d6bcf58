"""The target, its task and the fingerprint of data in memory."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import sparse
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris, load_wine

from regadvisor.api import advise
from regadvisor.data.files import read_frame
from regadvisor.data.source import make_table
from regadvisor.errors import DataError, ParameterError
from regadvisor.report.sections import context

N = 24
Y = np.arange(N) % 2
X = np.random.default_rng(0).normal(size=(N, 3))


def codes(table):
    return {note.code for note in table.notes}


def warned(table):
    return {note.code: note.text for note in table.notes if note.is_warning and note.code != "few-rows"}


def made(y, **options):
    return make_table(np.arange(float(len(y)))[:, None], y, **options)


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


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("mean", [3, 5, 8])
def test_counts_are_numbers(seed, mean):
    y = np.random.default_rng(seed).poisson(mean, 300)
    facts, notes = made(y).facts, warned(made(y))
    assert (facts.task, facts.other_task) == ("regression", "classification" if len(set(y)) <= 20 else None)
    assert ("task-guessed" in notes) == (facts.other_task is not None)
    assert made(y, task="classification").facts.task == "multiclass"


@pytest.mark.parametrize(
    ("values", "counts", "why"),
    [
        (
            np.arange(25, 35),
            [70, 80, 75, 78, 81, 66, 74, 79, 72, 77],
            "as codes are hardly counted from 25 on",
        ),
        (np.r_[12, 14, 17, 19:30], [3] * 14, "as codes are hardly counted from 12 on"),
        (np.arange(1, 19), [2, 5, 1, 7, 3, 9, 2, 4, 8, 1, 2, 6, 3, 9, 1, 2, 4, 1], "are met in fewer than 5"),
        (np.r_[0:10, 36], [380, 90, 60, 40, 25, 15, 9, 6, 4, 2, 1], "as high or low ones are rare"),
        (np.r_[0, 4:15], [90, 2, 6, 20, 33, 45, 60, 41, 30, 16, 8, 3], "as high or low ones are rare"),
        (np.arange(1, 10), [4] * 9, None),  # a design of nine subjects
        (np.arange(1997, 2003), [50] * 6, None),  # too few to tell
        (np.r_[11, 12, 21, 22, 23, 31, 41, 42, 43], [40, 9, 50, 30, 21, 12, 45, 33, 17], None),
        (np.r_[0, 3, 9, 14, 18, 25, 30, 36, 40], [4000, 8, 5, 9, 6, 8, 5, 9, 7], None),
    ],
    ids=[
        *[
            "ages",
            "scores",
            "rare",
            "counts with one far off",
            "marks, and who did not come",
            "subjects",
            "years",
            "codes of two digits",
        ],
        "codes beside a frequent one",
    ],
)
def test_many_whole_numbers_that_begin_high_or_are_rare_are_numbers(values, counts, why):
    table = made(np.random.default_rng(0).permutation(np.repeat(values, counts)))
    assert table.facts.task == ("multiclass" if why is None else "regression")
    if why is not None:
        assert why in warned(table)["task-guessed"]


@pytest.mark.parametrize(
    ("counts", "task", "is_warned"),
    [
        ([50] * 10, "multiclass", False),  # digits
        ([22] * 15, "multiclass", False),
        ([143, 77, 2, 2, 35, 20, 5, 52], "multiclass", False),  # codes in no order
        ([59, 71, 48], "multiclass", False),
        ([10, 53, 681, 638, 199, 18], "multiclass", True),  # wine quality, 3 to 8
        ([2, 5, 14, 30, 60, 90, 110, 80, 35, 9], "regression", True),  # ratings from 1 to 10
        ([300, 150, 80, 40, 20, 10], "multiclass", True),  # codes by frequency, or counts
        ([300, 160, 90, 50, 25, 12, 6, 3, 1], "regression", True),
    ],
    ids=str,
)
@pytest.mark.parametrize("first", [0, 1, 3])
def test_codes_are_classes_and_long_scales_are_numbers(counts, task, is_warned, first):
    y = np.repeat(np.arange(first, first + len(counts)), counts)
    for values in (y, y.astype(float), pd.Series(y, dtype="Int64")):
        table = made(values)
        assert table.facts.task == task
        assert table.facts.other_task == ("classification" if task == "regression" else "regression")
        assert ("task-guessed" in warned(table)) == is_warned


def test_files_and_arrays_have_one_rule():
    for y in (np.random.default_rng(0).poisson(3, 300), np.arange(300) % 10, np.arange(300) % 2):
        frame = pd.DataFrame({"a": np.arange(300.0), "y": y})
        file = read_frame("-", stdin=io.StringIO(frame.to_csv(index=False))).frame
        assert make_table(file[["a"]], file["y"]).facts.task == made(y).facts.task


def test_the_order_of_categories_is_not_used_and_that_is_said():
    y = pd.Series(pd.Categorical(["low", "mid", "high"] * 8, categories=["low", "mid", "high"], ordered=True))
    assert "ordered-classes" in codes(make_table(X, y))
    assert "ordered-classes" not in codes(make_table(X, y.astype(str)))


def test_the_line_below_the_verdict_says_what_the_target_is_and_how_to_change_it():
    quality = pd.Series(np.repeat(np.arange(3, 9), [10, 53, 681, 638, 199, 18]), name="quality")
    wine = pd.DataFrame(np.random.default_rng(0).normal(size=(1599, 11)))
    record = advise(wine, quality, budget=0).record
    assert context(record).startswith(
        "1,599 rows × 11 features · quality taken as 6 classes (3 to 8): task='regression' takes it as"
    )
    assert "classes (3 to 8)" not in context(advise(wine, quality, budget=0, task="classification").record)
    counts = np.random.default_rng(0).poisson(4, 1599)
    said = context(advise(wine, counts, budget=0).record)
    assert "target taken as a number: task='classification' takes it as classes" in said
    assert "2 classes (800 / 799)" in context(advise(wine, np.arange(1599) % 2, budget=0).record)


# ------------------------------------------------------------------------------------------ odd labels


def test_labels_that_differ_in_case_or_blanks_are_warned_of_with_their_rows():
    y = ["Yes"] * 12 + ["yes "] * 3 + ["no"] * 8 + ["?"]
    table = make_table(X, y)
    assert len(table.facts.classes) == 4
    found = warned(table)
    assert "'Yes' (12 rows), 'yes ' (3 rows)" in found["labels-alike"]
    assert "'no'" not in found["labels-alike"]
    assert "'?' (1 row)" in found["labels-missing"]
    assert not warned(make_table(X, ["Yes", "No"] * 12)).keys() & {"labels-alike", "labels-missing"}


def test_the_levels_of_a_column_are_noted_alike():
    frame = pd.DataFrame({"city": ["Bonn", "bonn", "Ulm", "-"] * 6, "n": ["1", "2", "?", "4"] * 6})
    frame["town"] = ["M\u00fcnchen", "M\u00c3\u00bcnchen", "Ulm", "K\u00f6ln"] * 6
    table = make_table(frame, np.arange(24.0))
    notes = {note.code: note for note in table.notes}
    assert "'Bonn' and 'bonn' in 'city'" in notes["levels-alike"].text
    assert "'M\u00fcnchen' and 'M\u00c3\u00bcnchen' in 'town'" in notes["levels-alike"].text
    assert "'-' in 'city'" in notes["levels-missing"].text
    assert not notes["levels-alike"].is_warning
    mild = pd.DataFrame({"injury": ["none", "mild"] * 12, "charge": ["+", "-"] * 12})
    assert "levels-missing" not in [note.code for note in make_table(mild, np.arange(24.0)).notes]
    assert [column.kind for column in table.facts.columns] == ["categorical", "numeric", "categorical"]
    np.testing.assert_array_equal(table.X["n"].iloc[:4], [1, 2, np.nan, 4])


# -------------------------------------------------------------------------------------------- survival


def test_survival_data_are_named():
    event, time = np.arange(60) % 3 > 0, np.random.default_rng(0).exponential(size=60)
    X60 = np.arange(60.0)[:, None]
    with pytest.raises(DataError, match="survival"):
        make_table(
            X60, np.array(list(zip(event, time, strict=True)), dtype=[("event", bool), ("time", float)])
        )
    with pytest.raises(DataError, match="survival"):
        make_table(X60, pd.DataFrame({"event": event, "time": time}))
    table = make_table(X60, pd.DataFrame({"time": time, "event": event.astype(int)}))
    assert "'event' is 0 or 1" in warned(table)["survival"]
    assert "survival" not in codes(make_table(X60, pd.DataFrame({"a": time, "b": time**2})))


# ------------------------------------------------------------------------------- weights and groups


def test_a_class_that_weighs_nothing_is_named():
    y = np.array(list("abc") * 8)
    table = make_table(X, y, sample_weight=(y != "c").astype(float))
    assert table.facts.classes == ("a", "b")
    assert "class 'c' weigh 0" in warned(table)["zero-weight-class"]
    with pytest.raises(DataError, match="got 0 in all rows of 'b' and 'c'"):
        make_table(X, y, sample_weight=(y == "a").astype(float))
    faint = make_table(X, y, sample_weight=np.where(y == "c", 1e-9, 1.0))
    assert "class 'c'" in warned(faint)["faint-class"]
    assert not warned(make_table(X, y, sample_weight=np.linspace(1, 2, N)))


def test_a_group_with_nearly_all_the_weight_is_warned_of():
    groups, few = np.repeat(np.arange(4), 6), np.r_[np.zeros(22), [1, 2]]
    assert "92% of the rows" in warned(make_table(X, Y, groups=few))["one-group"].replace("91.7", "92")
    heavy = make_table(X, Y, groups=groups, sample_weight=np.where(groups == 2, 100.0, 1.0))
    assert "of the weight" in warned(heavy)["one-group"]
    assert "one-group" not in codes(make_table(X, Y, groups=groups))


@pytest.mark.parametrize("given", ["weights", "groups"])
def test_what_cannot_be_validated_cannot_be_told(given):
    rng = np.random.default_rng(0)
    many = rng.normal(size=(200, 3))
    options = {
        "weights": {"sample_weight": np.r_[np.ones(3), np.full(197, 1e-9)]},
        "groups": {"groups": np.r_[np.zeros(190), np.arange(1, 11)]},
    }[given]
    advice = advise(many, many[:, 0] + rng.normal(size=200), effort="quick", **options)
    assert advice.status == "cant_tell"
    assert all(claim.support is None for claim in advice.record.claims)
    assert any(note.is_warning for note in advice.record.notes)
    # A budget of nothing is the caller's choice, not the data's fault.
    assert advise(many, many[:, 0], budget=0).status == "advice"


# --------------------------------------------------------------------------------------- names for y


def test_y_may_be_a_column_of_the_frame():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(40, 3)), columns=["a", "b", "price"])
    frame["shop"] = np.repeat(np.arange(8), 5)
    named = advise(frame, "price", groups="shop", budget=0)
    given = advise(frame[["a", "b"]], frame["price"], groups=frame["shop"], budget=0)
    assert named.record.data == given.record.data
    assert advise(pl.from_pandas(frame), "price", groups="shop", budget=0).record.data == given.record.data
    several = advise(frame, ["price", "b"], budget=0).record.data
    assert [facts.name for facts in several.targets] == ["price", "b"]
    with pytest.raises(DataError, match="did you mean 'price'"):
        advise(frame, "prize", budget=0)
    labels = ["a", "b"] * 20  # one label a row, not names
    assert advise(frame, labels, budget=0).record.data.classes == ("a", "b")


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


def test_none_may_be_a_class_of_its_own():
    notes = make_table(np.arange(60.0)[:, None], np.repeat(["none", "mild", "severe"], 20)).notes
    assert "labels-missing" not in [note.code for note in notes]
    notes = make_table(np.arange(60.0)[:, None], np.repeat(["?", "mild", "severe"], 20)).notes
    assert "labels-missing" in [note.code for note in notes]


def test_many_spellings_are_told_in_one_note():
    labels = ["Yes", "yes", "No", "no", "may be", "May be"]
    y = np.repeat(labels, [9, 8, 7, 6, 5, 4])
    (note,) = (each for each in make_table(np.arange(39.0)[:, None], y).notes if each.code == "labels-alike")
    assert all(f"'{label}' (" in note.text for label in labels)


@pytest.mark.parametrize(("step", "task"), [(1, "multiclass"), (5, "regression"), (10, "regression")])
def test_numbers_that_go_up_in_steps_of_five_are_no_classes(step, task):
    depths = step * np.random.default_rng(0).choice(np.r_[1:9, 10], size=200, p=[0.3, *[0.05] * 7, 0.35])
    assert make_table(np.arange(200.0)[:, None], depths).facts.task == task


def test_spellings_in_equal_numbers_are_a_plain_note():
    # As the vowels of a speech data set: "hAd" and "had", 90 rows of each.
    equal = make_table(np.arange(60.0)[:, None], np.repeat(["hAd", "had", "hid"], 20)).notes
    assert [note.is_warning for note in equal if note.code == "labels-alike"] == [False]
    unequal = make_table(np.arange(60.0)[:, None], np.repeat(["Yes", "yes", "no"], [21, 19, 20])).notes
    assert [note.is_warning for note in unequal if note.code == "labels-alike"] == [True]


@pytest.mark.parametrize("n_classes", [2, 4])
def test_one_hot_columns_are_named_for_what_they_are(n_classes):
    codes = np.arange(60) % n_classes
    features = np.random.default_rng(0).normal(size=(60, 3))
    one_hot = np.eye(n_classes, dtype=int)[codes]
    for model in ("linear", "mlp"):
        with pytest.raises(DataError, match=r"single 1 in every row \(one-hot\); pass numpy.argmax"):
            advise(features, one_hot, model=model, budget=0)
    with pytest.raises(DataError, match=r"pass y.idxmax\(axis=1\)"):
        advise(features, pd.DataFrame(one_hot), budget=0)
    assert advise(features, one_hot, task="regression", budget=0).record.data.n_targets == n_classes
    one_hot[0] = 1  # several labels in one row: these are labels
    assert advise(features, one_hot, budget=0).record.data.n_targets == n_classes


@pytest.mark.parametrize(("first", "n_each", "task"), [(10, 40, "multiclass"), (101, 10, "multiclass")])
def test_labels_met_equally_often_may_begin_anywhere(first, n_each, task):
    rng = np.random.default_rng(0)
    for n_labels in (10, 40):
        labels = first + np.repeat(np.arange(n_labels), n_each)
        assert made(rng.permutation(labels)).facts.task == task
        assert made(first + rng.integers(0, n_labels, size=len(labels))).facts.task == "regression"
    assert made(2001 + np.arange(400) % 10).facts.task == "regression"  # a panel


def test_a_few_numbers_that_are_not_whole_are_told_how_to_be_classes():
    for few in ((0.5, 1.5), (0, 0.5, 1)):
        table = made(np.array(few)[np.arange(60) % len(few)])
        assert table.facts.task == "regression"
        assert (
            "and nothing else, and is taken as a number; pass y.astype(str)" in warned(table)["task-guessed"]
        )
    assert "task-guessed" not in warned(made(np.arange(60) / 2))


LAND_COVER = (11, 21, 22, 23, 24, 31, 41, 42, 43, 52, 71, 81, 82, 90, 95)  # National Land Cover Database


@pytest.mark.parametrize(
    ("values", "task"),
    [
        (np.arange(1, 21) ** 2, "regression"),
        (50 * np.arange(12), "regression"),
        (LAND_COVER, "multiclass"),
        (np.arange(16), "multiclass"),
        ((0, 100, 500), "multiclass"),
    ],
    ids=["squares", "doses", "land cover", "16 codes", "three codes"],
)
def test_many_whole_numbers_far_apart_are_numbers(values, task):
    table = made(np.random.default_rng(0).permutation(np.repeat(values, 25)))
    assert table.facts.task == task
    if task == "regression":
        assert "taken as a number, as they lie far apart" in warned(table)["task-guessed"]
