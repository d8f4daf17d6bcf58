"""An advice that was given can be built and fitted on the same data, in whatever form they come."""

from __future__ import annotations

import decimal
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import sklearn
import torch
from scipy import sparse
from sklearn.datasets import load_diabetes
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, StandardScaler
from torch.utils.data import DataLoader, TensorDataset

from regadvisor import (
    Advice,
    AdvisedClassifier,
    AdvisedRegressor,
    DataError,
    Recipe,
    RegularizationAdvisor,
    advise,
)
from regadvisor.data.source import make_table
from regadvisor.data.training import training_rows
from regadvisor.errors import OutOfMemoryError, ParameterError
from regadvisor.export.build import build_model
from regadvisor.families.pipeline import AdvisedPipeline
from regadvisor.records import Training
from regadvisor.regularizer import Regularizer
from regadvisor.sampling.request import read_request

N = 60
RNG = np.random.default_rng(0)
A, B = RNG.normal(size=(2, N))
Y = A + 0.3 * RNG.normal(size=N)
LABELS = np.where(Y > 0, "yes", "no")


def built(X: Any, y: Any, kind: str = "linear", **strengths: float) -> AdvisedPipeline:
    """The unfitted pipeline that an advice of a fixed regularizer gives for these data."""
    facts = make_table(X, y).facts
    regularizer = Regularizer(**(strengths or {"l2": 0.1}))
    training = Training(family="linear", seed=0)
    if kind == "mlp":
        training = Training(
            family="mlp", seed=0, hidden=(4,), lr=0.01, batch_size=32, epochs=2, schedule="cosine"
        )
        regularizer = Regularizer(l2=0.1, coupling="decoupled")
    return build_model(facts, regularizer, training)


def texts(dtype: Any) -> pd.Series[Any]:
    values = [str(round(v, 2)) if i % 7 else pd.NA for i, v in enumerate(B)]
    return pd.Series(values, dtype=dtype)


FRAMES = {
    "all sparse": pd.DataFrame.sparse.from_spmatrix(
        sparse.csr_array(np.where(RNG.random((N, 5)) < 0.3, 1.0, 0))
    ),
    "sparse dummies": pd.get_dummies(pd.Series(list("abc") * (N // 3)), sparse=True),
    "sparse, NaN is left out": pd.DataFrame({"a": pd.arrays.SparseArray(np.where(A > 0, np.nan, A))}),
    "partly sparse": pd.DataFrame(
        {"a": A, "s": pd.arrays.SparseArray(np.where(B > 0, 0.0, B), fill_value=0.0)}
    ),
    "two fill values": pd.DataFrame(
        {
            "s": pd.arrays.SparseArray(np.where(B > 0, 0.0, B), fill_value=0.0),
            "t": pd.arrays.SparseArray(np.where(A > 0, np.nan, A)),
        }
    ),
    "numbers as text": pd.DataFrame({"a": A, "s": texts("string")}),
    "numbers as objects": pd.DataFrame({"a": A, "s": texts(object)}),
    "text and numbers": pd.DataFrame({"a": A, "s": texts("string"), "c": ["u", "v", None] * (N // 3)}),
    "whole numbers and NA": pd.DataFrame({"a": A, "s": pd.Series([1, 2, pd.NA] * (N // 3), dtype=object)}),
    "booleans and NaT": pd.DataFrame(
        {"a": A, "s": pd.Series([True, False, pd.NaT] * (N // 3), dtype=object)}
    ),
    "text without a value": pd.DataFrame({"a": A, "s": pd.Series([pd.NA] * N, dtype="string")}),
    "nullable": pd.DataFrame({"a": pd.array([1, None] * (N // 2), dtype="Int64"), "b": B}),
    "decimals": pd.DataFrame({"a": [decimal.Decimal(str(round(v, 3))) for v in A]}),
    "objects in an array": np.array([[v, str(w)] for v, w in zip(A, B, strict=True)], dtype=object),
    "polars": pl.DataFrame({"a": A, "s": [None if i % 5 == 0 else str(v) for i, v in enumerate(B)]}),
}


@pytest.mark.parametrize("kind", ["linear", "mlp"])
@pytest.mark.parametrize("X", FRAMES.values(), ids=FRAMES.keys())
def test_numbers_in_any_form_are_read_as_advise_read_them(X: Any, kind: str) -> None:
    plain = make_table(X, Y).X
    fitted = built(X, Y, kind).fit(X, Y)
    expected = built(plain, Y, kind).fit(plain, Y)
    np.testing.assert_allclose(fitted.predict(X), expected.predict(plain), rtol=1e-6, atol=1e-9)


def test_plain_numbers_need_no_step_of_ours() -> None:
    steps = built(np.column_stack([A, B]), Y)[0].steps
    assert [name for name, _ in steps] == ["scale"]


def test_text_among_numbers_is_named_when_it_is_predicted() -> None:
    frame = pd.DataFrame({"a": A, "s": texts("string")})
    model = built(frame, Y).fit(frame, Y)
    odd = frame.astype({"s": object})
    odd.loc[3, "s"] = "many"
    with pytest.raises(DataError, match="column 's' must hold numbers, got 'many'"):
        model.predict(odd)


FORMS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "pandas": pd.DataFrame,
    "polars": pl.DataFrame,
    "pyarrow": pa.table,
}


@pytest.mark.parametrize("kind", ["linear", "mlp"])
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())
def test_columns_are_found_by_their_names(form: Callable[[dict[str, Any]], Any], kind: str) -> None:
    given = form({"a": A, "b": B})
    model = built(given, LABELS, kind).fit(given, LABELS)
    other = form({"b": B, "seen later": np.ones(N), "a": A})
    np.testing.assert_array_equal(model.predict(other), model.predict(given))
    np.testing.assert_array_equal(model.predict_proba(other), model.predict_proba(given))
    assert model.score(other, LABELS) == model.score(given, LABELS)
    with pytest.raises(DataError, match="a"):
        model.predict(form({"b": B, "c": A}))


@pytest.mark.parametrize("n_kinds", [0, 1, 12])  # features of many levels are sparse
@pytest.mark.parametrize("kind", ["linear", "mlp"])
def test_where_no_value_was_missing_the_usual_one_stands_in(kind: str, n_kinds: int) -> None:
    kinds = {f"s{j}": [f"L{(k + j) % 20}" for k in range(N)] for j in range(n_kinds)}
    frame = pd.DataFrame({"a": A, "b": B} | kinds)
    model = built(frame, Y, kind).fit(frame, Y)
    holes = frame.copy()
    holes.loc[[3, 5], "b"] = np.nan
    usual = holes.fillna({"b": np.median(B) if kind == "mlp" else B.mean()})
    said = r"X has missing values in 'b' \(2\), where the rows of the fit had none: the usual value"
    with pytest.warns(UserWarning, match=said):
        np.testing.assert_allclose(model.predict(holes), model.predict(usual), rtol=1e-6)
    with pytest.warns(UserWarning, match=said):
        assert model.score(holes, Y) == pytest.approx(model.score(usual, Y))
    with pytest.raises(DataError, match=r"had one, got missing values in 'b' \(2\); fill them in, or ask"):
        built(frame, Y, kind).fit(holes, Y)


@pytest.mark.parametrize("steps", [(MinMaxScaler(),), (StandardScaler(), FunctionTransformer(np.exp))])
def test_features_of_steps_of_the_caller_are_not_filled_in(steps: Any) -> None:
    array = np.column_stack([A, B])
    given = make_pipeline(*steps, Ridge())
    model = advise(array, Y, model=given, budget=0).build().fit(array, Y)
    array[3, 0] = np.nan
    with pytest.raises(DataError, match=r"got missing values in 0 \(1\); fill"):
        model.predict(array)


@pytest.mark.parametrize("method", ["predict", "predict_proba", "predict_log_proba", "decision_function"])
def test_every_answer_of_a_classifier_bears_missing_values(method: str) -> None:
    frame = pd.DataFrame({"b": B, "a": A})
    model = built(frame, LABELS, "linear").fit(frame, LABELS)
    answers = getattr(model, method)(frame)
    np.testing.assert_array_equal(getattr(model, method)(frame[["a", "b"]]), answers)
    with pytest.warns(UserWarning, match=r"missing values in 'b' \(60\)"):
        found = getattr(model, method)(frame.assign(b=np.nan))
    np.testing.assert_array_equal(found, getattr(model, method)(frame.assign(b=B.mean())))


def test_missing_values_that_a_step_makes_are_not_said_to_be_in_the_rows() -> None:
    X = np.column_stack([np.abs(A), np.abs(B)]) + 1
    given = make_pipeline(FunctionTransformer(np.log), Ridge())
    model = advise(X, Y, model=given, budget=0).build().fit(X, Y)
    with np.errstate(invalid="ignore"), pytest.raises(DataError, match="scikit-learn can take, got an error"):
        model.predict(-X)


# ------------------------------------------------------------------------------------------ the target

HOLES = np.arange(N) % 6 == 0
MISSING = {
    "numbers": np.where(HOLES, np.nan, Y),
    "labels": pd.Series(np.where(HOLES, None, LABELS)),
    "labels and NaN": np.where(HOLES, np.array(np.nan, dtype=object), LABELS.astype(object)),
    "nullable": pd.Series(np.where(Y > 0, 1, 0)).astype("Int64").mask(pd.Series(HOLES)),
    "decimals": np.array([None if h else decimal.Decimal(f"{v:.3f}") for v, h in zip(Y, HOLES, strict=True)]),
    "several": pd.DataFrame({"u": np.where(HOLES, np.nan, Y), "v": B}),
    "polars": pl.Series([None if h else float(v) for v, h in zip(Y, HOLES, strict=True)]),
}


@pytest.mark.parametrize("kind", ["linear", "mlp"])
@pytest.mark.parametrize("y", MISSING.values(), ids=MISSING.keys())
def test_rows_without_a_target_are_left_out_of_the_fit(y: Any, kind: str) -> None:
    X = pd.DataFrame({"a": A, "b": B})
    kept = y.loc[~HOLES] if hasattr(y, "loc") else np.asarray(y)[~HOLES]
    model = built(X, y, kind).fit(X, y)
    without = built(X[~HOLES], kept, kind).fit(X[~HOLES], kept)
    np.testing.assert_array_equal(model.predict(X), without.predict(X))
    assert model.score(X, y) == pytest.approx(without.score(X[~HOLES], kept))


def test_what_only_rows_without_a_target_hold_can_be_predicted() -> None:
    X = pd.DataFrame({"a": np.where(HOLES, np.nan, A), "s": np.where(HOLES, "many", "1")})
    model = built(X, MISSING["numbers"]).fit(X, MISSING["numbers"])
    assert np.isfinite(model.predict(X)).all()


@pytest.mark.parametrize("dtype", [object, "S3"])
def test_labels_of_bytes_are_text(dtype: Any) -> None:
    y = np.array([label.encode() for label in LABELS], dtype=dtype)
    X = np.column_stack([A, B])
    assert make_table(X, y).facts.classes == ("no", "yes")
    model = built(X, y).fit(X, y)
    assert set(model.predict(X)) == {"no", "yes"}
    assert model.score(X, y) > 0.8


def test_bytes_and_text_of_one_label_are_one_class() -> None:
    assert make_table(np.column_stack([A, B]), [b"no", "no", "yes"] * (N // 3)).facts.classes == ("no", "yes")


@pytest.mark.parametrize(("label", "other"), [(b"\xff", "a"), ("\udc80", "a"), ("\udc80", False)])
def test_labels_that_are_no_text_are_refused(label: Any, other: Any) -> None:
    y = np.array([label, other] * (N // 2), dtype=object)
    with pytest.raises(DataError, match=r"labels in y must be text that UTF-8 can hold.*rename these labels"):
        make_table(np.column_stack([A, B]), y)


def test_a_structured_target_is_refused_by_its_fields() -> None:
    y = np.array([(True, 1.0)] * N, dtype=[("event", bool), ("time", float)])
    with pytest.raises(DataError, match=r"survival data.*'event' and 'time'.*y\['time'\]"):
        make_table(np.column_stack([A, B]), y)


@pytest.mark.parametrize("X", [np.ma.masked_array(np.ones((N, 2)), mask=False), np.asmatrix(np.ones((N, 2)))])
def test_arrays_that_scikit_learn_does_not_take_are_refused(X: Any) -> None:
    with pytest.raises(DataError, match="X must be a plain array"):
        make_table(X, Y)


@pytest.mark.parametrize("method", ["fit_transform", "transform"])
def test_too_little_memory_for_all_rows_is_told_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    def asked(*_: object, **__: object) -> None:
        raise MemoryError("Unable to allocate 9. GiB")

    X, model = np.column_stack([A, B]), built(np.column_stack([A, B]), Y)
    monkeypatch.setattr(StandardScaler, method, asked)
    with pytest.raises(OutOfMemoryError, match=r"9. GiB.*; give the process more"):
        model.fit(X, Y).predict(X)


# ----------------------------------------------------------------------------------------------- weights


def test_rows_of_weight_0_are_left_out_everywhere() -> None:
    X, weight = np.column_stack([A, B]), np.where(HOLES, 0.0, 3.0)
    table = make_table(X, Y, sample_weight=weight)
    assert (table.n_rows, [note.code for note in table.notes]) == (50, ["zero-weight"])
    model = built(X[~HOLES], Y[~HOLES], l1=0.1).fit(X, Y, model__sample_weight=weight)
    np.testing.assert_allclose(
        model.predict(X), built(X[~HOLES], Y[~HOLES], l1=0.1).fit(X[~HOLES], Y[~HOLES]).predict(X)
    )


def test_a_class_without_weight_is_no_class() -> None:
    with pytest.raises(DataError, match="at least 2 classes, got 0 in all rows of 'no'"):
        make_table(np.column_stack([A, B]), LABELS, sample_weight=(LABELS == "yes").astype(float))


def test_weights_that_leave_the_say_to_few_rows_are_noted() -> None:
    weight = np.r_[np.ones(3), np.full(N - 3, 1e-9)]
    table = make_table(np.column_stack([A, B]), Y, sample_weight=weight)
    assert table.n_effective == pytest.approx(3)
    assert [note.text for note in table.notes if note.code == "few-rows"] == [
        "the weights leave the say to about 3 rows of 60: too few to validate anything with confidence."
    ]


def test_weights_are_taken_by_their_usual_name() -> None:
    X, weight = np.column_stack([A, B]), RNG.uniform(1, 2, N)
    plain = built(X, LABELS).fit(X, LABELS, sample_weight=weight)
    named = built(X, LABELS).fit(X, LABELS, model__sample_weight=weight)
    np.testing.assert_array_equal(plain.predict_proba(X), named.predict_proba(X))
    with sklearn.config_context(enable_metadata_routing=True):
        routed = built(X, LABELS).fit(X, LABELS, sample_weight=weight)
    np.testing.assert_array_equal(plain.predict_proba(X), routed.predict_proba(X))
    assert np.abs(plain.predict_proba(X) - built(X, LABELS).fit(X, LABELS).predict_proba(X)).max() > 1e-3


def test_the_scale_of_the_weights_changes_no_model() -> None:
    X, weight = np.column_stack([A, B]), RNG.uniform(1, 2, N)
    models = [built(X, LABELS).fit(X, LABELS, model__sample_weight=factor * weight) for factor in (1.0, 1e-3)]
    np.testing.assert_allclose(models[0].predict_proba(X), models[1].predict_proba(X), rtol=1e-6)


# ------------------------------------------------------------------------------------------ whole advice


@pytest.fixture(scope="module")
def messy() -> tuple[pd.DataFrame, pd.Series[Any]]:
    frame = FRAMES["text and numbers"]
    return frame, pd.Series(np.where(HOLES, None, LABELS), name="bought")


@pytest.fixture(scope="module")
def advice(messy: tuple[pd.DataFrame, pd.Series[Any]]) -> Advice:
    return advise(*messy, effort="quick", folds=2)


@pytest.mark.parametrize("library", ["sklearn", "torch"])
def test_snippets_run_on_the_same_data(advice: Advice, messy: Any, library: Any) -> None:
    X, y = messy
    here: dict[str, Any] = {"X": X, "y": y}
    exec(advice.snippet(library), here)
    predict = here["model"].predict if library == "sklearn" else here["predict"]
    same = advice.build().fit(X, y).predict(X) == predict(X)
    assert same.mean() > 0.95


def test_a_pipeline_part_can_be_used_by_itself(advice: Advice, messy: Any) -> None:
    X, _ = messy
    steps = advice.build()[:-1].fit(X)
    assert steps.transform(X).shape == (N, len(steps.get_feature_names_out()))


def test_the_estimators_take_what_advise_takes(messy: Any) -> None:
    X, y = messy
    model = AdvisedClassifier().fit(X, y)
    assert model.score(X[~HOLES], y[~HOLES]) > 0.8
    assert "10 rows without a target" in " ".join(note.text for note in model.advice_.record.notes)
    assert RegularizationAdvisor().fit(X, y).advice_.record.data.n_rows == N - HOLES.sum()
    assert AdvisedRegressor().fit(FRAMES["all sparse"], MISSING["numbers"]).predict(
        FRAMES["all sparse"]
    ).shape == (N,)


@pytest.mark.parametrize("estimator", [AdvisedClassifier(), AdvisedRegressor(), RegularizationAdvisor()])
@pytest.mark.parametrize(
    ("X", "y"), [(np.full((N, 2), np.inf), LABELS), (A, Y), (np.ones((N, 2)), None), (np.ones((N, 0)), Y)]
)
def test_the_estimators_refuse_in_words_of_ours(estimator: Any, X: Any, y: Any) -> None:
    with pytest.raises(DataError):
        estimator.fit(X, y)


def test_unexpected_arguments_name_nothing_private() -> None:
    with pytest.raises(TypeError) as caught:
        AdvisedClassifier(strage="x")  # type: ignore[call-arg]
    assert not re.search(r"(^|\s)_", str(caught.value))


# -------------------------------------------------------------------------------------------- named rows


def test_rows_named_in_sample_are_counted_as_the_caller_counts_them() -> None:
    kept = np.array([True, False, True, True, False, True])
    request = read_request([2, 3, 4], n_rows=4, n_source=4, kept=kept)
    np.testing.assert_array_equal(request.rows, [1, 2])
    mask = read_request(np.array([0, 1, 0, 0, 0, 1], dtype=bool), n_rows=4, n_source=4, kept=kept)
    np.testing.assert_array_equal(mask.rows, [3])
    with pytest.raises(ParameterError, match="has a target and a weight, got none"):
        read_request([1, 4], n_rows=4, n_source=4, kept=kept)


def test_a_fit_needs_one_target_a_row() -> None:
    with pytest.raises(DataError, match="y must have one value per row of X"):
        training_rows(np.ones((4, 2)), [1.0, 2.0], is_classification=False)


def test_long_tailed_targets_fit_without_a_warning() -> None:
    X, y = np.column_stack([A, B]), np.exp(5 * Y)
    assert built(X, y, l1=0.1).fit(X, y).predict(X).shape == (N,)
    half = np.exp(Y).astype(np.float16)
    assert built(X, half, l1=0.1).fit(X, half).predict(X).shape == (N,)


def test_a_pipeline_has_the_weights_of_its_model() -> None:
    X, y = load_diabetes(return_X_y=True)
    advice = advise(X, y, model=Ridge(), effort="quick", folds=2)
    fitted = advice.apply(Ridge()).fit(X, y)
    assert not hasattr(advice.apply(Ridge()), "coef_")
    np.testing.assert_allclose(fitted.coef_, fitted[-1].coef_)
    rows = (X - X.mean(axis=0)) / X.std(axis=0)
    np.testing.assert_allclose(rows @ fitted.coef_ + y.mean(), fitted.predict(X))
    network = advise(X, y, model="mlp", recipe=Recipe(epochs=1), budget=0).build().fit(X, y)
    with pytest.raises(AttributeError, match="once a linear model"):
        _ = network.coef_


@pytest.mark.parametrize("is_loader", [False, True])
def test_a_data_set_of_torch_is_fitted_and_predicted_as_its_arrays(is_loader: bool) -> None:
    X, y = load_diabetes(return_X_y=True)
    X, y = X[:60].astype(np.float32), y[:60]
    pairs = TensorDataset(torch.from_numpy(X), torch.from_numpy(y))
    given = DataLoader(pairs, batch_size=7) if is_loader else pairs
    advice = advise(given, effort="quick", folds=2, budget=None)
    found = advice.build().fit(given).predict(given)
    np.testing.assert_allclose(found, advice.build().fit(X, y).predict(X), rtol=1e-6)


def test_single_precision_in_a_frame_of_polars_or_pandas_is_fitted_in_double() -> None:
    X = np.random.default_rng(0).normal(size=(80, 3)).astype(np.float32)
    y = X @ [1.0, 2.0, 3.0]
    fitted = [
        advise(rows, y, model="linear", effort="quick").build().fit(rows, y).predict(rows)
        for rows in (X, pd.DataFrame(X, columns=list("abc")), pl.DataFrame(X, schema=list("abc")))
    ]
    for other in fitted[1:]:
        np.testing.assert_allclose(other, fitted[0], rtol=1e-6)
