"""Preprocessing: against scikit-learn and plain loops, in every container, with every kind of dirt."""

from __future__ import annotations

import pickle
from datetime import date

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import sparse
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_digits, load_iris
from sklearn.preprocessing import MaxAbsScaler, RobustScaler, StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from regadvisor import advise
from regadvisor.data.source import make_table
from regadvisor.families.encoding import AsText, DateParts
from regadvisor.families.preprocess import feature_names, flatten, make_preprocessor
from regadvisor.families.scaling import RobustSmoothClip
from regadvisor.thresholds import MOST_NETWORK_LEVELS

IRIS = load_iris(return_X_y=True)


def dirty(n: int = 60) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "age": rng.normal(40, 10, n),
            "count": pd.array(rng.integers(0, 9, n), dtype="Int64"),
            "flag": pd.array(rng.random(n) < 0.5, dtype="boolean"),
            "city": rng.choice(["Bonn", "Köln", "Ulm"], n),
            "mixed": np.array([1, "1", 2.0, "x"] * (n // 4), dtype=object),
            "kind": pd.Categorical(rng.choice(["a", "b"], n)),
            "sold": pd.Timestamp("2024-01-31") + pd.to_timedelta(rng.integers(0, 900, n), unit="D"),
            "empty": np.full(n, np.nan),
            "nothing": np.full(n, None, dtype=object),
            "same": np.ones(n),
        }
    )
    for name in ("age", "count", "flag", "city", "kind", "sold"):
        frame.loc[frame.index[rng.integers(0, n, 4)], name] = None
    return frame


def target(n: int = 60) -> np.ndarray:
    return np.arange(n) % 2


# ----------------------------------------------------------------------------- the smooth clip itself


@parametrize_with_checks([RobustSmoothClip()])
def test_smooth_clip_is_a_proper_transformer(estimator, check):
    check(estimator)


def test_smooth_clip_is_the_robust_scaler_before_the_clip():
    X = np.random.default_rng(1).standard_t(2, size=(200, 5)) * [1, 10, 0.1, 1, 1] + 3
    z = RobustScaler().fit_transform(X)
    np.testing.assert_allclose(RobustSmoothClip().fit_transform(X), z / np.sqrt(1 + (z / 3) ** 2), rtol=1e-12)


def test_smooth_clip_scales_by_half_the_range_where_the_quartiles_are_equal():
    X = np.array([[0.0] * 9 + [4.0]]).T
    scaled = RobustSmoothClip(limit=1e9).fit_transform(X)
    np.testing.assert_allclose(scaled.ravel(), [0.0] * 9 + [2.0])


@pytest.mark.parametrize("value", [0.0, 5.0, 1 / 3 * 1e17, np.nan])
def test_smooth_clip_of_constant_and_empty_columns(value):
    X = np.full((20, 1), value)
    scaled = RobustSmoothClip().fit(X).transform(np.array([[value], [7.0]]))
    assert scaled[1, 0] == 0
    assert scaled[0, 0] == 0 or np.isnan(value)


@settings(max_examples=60, deadline=None)
@given(arrays(np.float64, (12, 1), elements=st.floats(-1e300, 1e300)), st.floats(-1e300, 1e300))
def test_smooth_clip_is_bounded_and_keeps_the_order(X, new):
    scaler = RobustSmoothClip().fit(X)
    scaled = scaler.transform(np.sort(np.append(X, [[new]], axis=0), axis=0)).ravel()
    assert np.isfinite(scaled).all()
    assert (np.abs(scaled) <= 3 + 1e-12).all()
    assert (np.diff(scaled) >= -1e-12).all()


def test_smooth_clip_ignores_missing_values():
    X = np.random.default_rng(2).normal(size=(50, 2))
    holed = np.vstack([X, [[np.nan, 0.0]]])
    full, partly = RobustSmoothClip().fit(X), RobustSmoothClip().fit(holed)
    assert partly.center_[0] == full.center_[0]
    assert partly.scale_[0] == full.scale_[0]
    assert np.isnan(partly.transform(holed)[-1, 0])


# ---------------------------------------------------------------------------------- numeric containers


def test_plain_numbers_are_standardised_and_nothing_else():
    table = make_table(*IRIS)
    steps = make_preprocessor(table.facts, for_network=False)
    assert [name for name, _ in steps.steps] == ["scale"]
    np.testing.assert_array_equal(steps.fit_transform(table.X), StandardScaler().fit_transform(IRIS[0]))


@pytest.mark.parametrize("for_network", [False, True])
def test_missing_numbers_become_medians_and_flags(for_network):
    X = np.array([[1.0, 5.0], [np.nan, 6.0], [3.0, 7.0], [8.0, 8.0]])
    table = make_table(X, [0, 1, 0, 1])
    steps = make_preprocessor(table.facts, for_network=for_network).fit(X)
    imputed = np.array([[1, 5, 0], [3, 6, 1], [3, 7, 0], [8, 8, 0]], dtype=float)
    scaler = RobustSmoothClip() if for_network else StandardScaler()
    np.testing.assert_allclose(steps.transform(X), scaler.fit_transform(imputed))
    assert feature_names(steps, table.facts) == ("x0", "x1", "x0 missing")
    # A hole where training had none: imputed, and no column more.
    assert np.isfinite(steps.transform([[1.0, np.nan]])).all()


def test_a_fold_without_the_missing_value_has_fewer_flags_and_still_takes_it():
    X = np.arange(20.0).reshape(10, 2)
    X[9, 0] = np.nan
    table = make_table(X, target(10))
    steps = make_preprocessor(table.facts, for_network=False).fit(X[:9])
    assert steps.transform(X).shape == (10, 2)
    assert np.isfinite(steps.transform(X)).all()


@pytest.mark.parametrize("for_network", [False, True])
@pytest.mark.parametrize("form", [sparse.csr_matrix, sparse.csc_array, sparse.coo_array])
def test_sparse_stays_sparse_and_is_not_centred(form, for_network):
    X = form(sparse.random(40, 12, density=0.2, random_state=3))
    table = make_table(X, target(40))
    steps = make_preprocessor(table.facts, for_network=for_network)
    scaled = steps.fit_transform(table.X)
    outside = MaxAbsScaler() if for_network else StandardScaler(with_mean=False)
    assert sparse.issparse(scaled)
    np.testing.assert_allclose(scaled.toarray(), outside.fit_transform(X.tocsr()).toarray())
    np.testing.assert_allclose(clone(steps).fit_transform(X).toarray(), scaled.toarray())


def test_images_of_any_form_give_the_same_features():
    digits = load_digits()
    table = make_table(digits.images, digits.target)
    steps = make_preprocessor(table.facts, for_network=True)
    rows = steps.fit_transform(table.X)
    np.testing.assert_array_equal(clone(steps).fit_transform(digits.images), rows)
    assert rows.shape == (1797, 64)
    assert feature_names(steps, table.facts)[9] == "pixel 1,1"


def test_channels_first_and_last_are_the_same_rows():
    first = np.random.default_rng(4).random((7, 3, 5, 6))
    last = np.moveaxis(first, 1, -1)
    np.testing.assert_array_equal(flatten(first), flatten(last))
    table = make_table(last, target(7))
    assert table.facts.image_shape == (3, 5, 6)
    np.testing.assert_array_equal(table.X.reshape(7, 3, 5, 6), first)
    names = feature_names(make_preprocessor(table.facts, for_network=False).fit(last), table.facts)
    assert names[31] == "pixel 0,1 channel 1"


# ----------------------------------------------------------------------------------------- mixed frames


@pytest.mark.parametrize("for_network", [False, True])
def test_dirty_frame_fits_transforms_and_names_every_feature(for_network):
    table = make_table(dirty(), target())
    steps = pickle.loads(pickle.dumps(clone(make_preprocessor(table.facts, for_network=for_network))))
    encoded = steps.fit_transform(table.X)
    names = feature_names(steps, table.facts)
    assert encoded.shape == (60, len(names))
    assert len(set(names)) == len(names)
    assert np.isfinite(encoded).all()
    expected = {
        "age",
        "age missing",
        "count missing",
        "city=Bonn",
        "city missing",
        "mixed=1",
        "mixed=2",
        "mixed=x",
    }
    assert expected | {"sold: month", "sold missing", "nothing missing", "kind=a"} <= set(names)
    assert "sold: hour" not in names


def test_one_hot_columns_are_zeros_and_ones_and_doubled_for_linear_models():
    table = make_table(dirty(), target())
    for for_network in (False, True):
        steps = make_preprocessor(table.facts, for_network=for_network)
        encoded = steps.fit_transform(table.X)
        at = [name.startswith("city=") for name in feature_names(steps, table.facts)]
        assert sum(at) == 3
        np.testing.assert_array_equal(np.unique(encoded[:, at]), [0.0, 1.0 if for_network else 2.0])


@pytest.mark.parametrize("for_network", [False, True])
def test_raw_frames_of_any_library_give_what_the_table_gives(for_network):
    raw = dirty().drop(columns="mixed")  # polars columns have one type
    table = make_table(raw, target())
    steps = make_preprocessor(table.facts, for_network=for_network)
    expected = steps.fit_transform(table.X)
    for frame in (raw, pl.from_pandas(raw), pl.from_pandas(raw).to_arrow()):
        np.testing.assert_allclose(clone(steps).fit_transform(frame), expected, atol=1e-12)
        np.testing.assert_allclose(steps.transform(frame), expected, atol=1e-12)


def test_raw_mixed_objects_and_polars_categories():
    raw = dirty()[["age", "mixed"]]
    table = make_table(raw, target())
    steps = make_preprocessor(table.facts, for_network=False)
    np.testing.assert_allclose(clone(steps).fit_transform(raw), steps.fit_transform(table.X))
    frame = pl.DataFrame({"a": ["x", "y", None] * 8}, schema={"a": pl.Categorical})
    table = make_table(frame, target(24))
    steps = make_preprocessor(table.facts, for_network=True).fit(frame)
    assert feature_names(steps, table.facts) == ("a=x", "a=y", "a missing")
    np.testing.assert_array_equal(steps.transform(frame), np.tile(np.eye(3), (8, 1)))


def test_arrays_of_objects_are_encoded_by_position():
    X = np.array([["a", 1.0], ["b", None], ["a", 3.0], [None, 4.0]] * 5, dtype=object)
    table = make_table(X, target(20))
    steps = make_preprocessor(table.facts, for_network=True)
    assert isinstance(steps, ColumnTransformer)
    np.testing.assert_array_equal(clone(steps).fit_transform(X), steps.fit_transform(table.X))
    assert feature_names(steps, table.facts) == ("x1", "x1 missing", "x0=a", "x0=b", "x0 missing")


def test_frames_with_numbers_for_names_are_encoded_by_position():
    frame = pd.DataFrame({7: ["u", "v"] * 10, 0: np.arange(20.0)})
    table = make_table(frame, target(20))
    steps = make_preprocessor(table.facts, for_network=True)
    assert steps.fit_transform(frame).shape == (20, 3)
    assert feature_names(steps, table.facts) == ("x0", "x7=u", "x7=v")


@pytest.mark.parametrize("for_network", [False, True])
def test_prediction_survives_what_training_never_saw(for_network):
    table = make_table(dirty(), target())
    steps = make_preprocessor(table.facts, for_network=for_network).fit(table.X.iloc[:40])
    new = pd.DataFrame(
        {
            "age": [np.nan, 1e6],
            "count": [np.nan, 3.0],
            "flag": [True, False],
            "city": ["Paris", None],
            "mixed": [99, None],
            "kind": [None, "z"],
            "sold": [pd.NaT, pd.Timestamp("1999-12-31 13:00")],
            "empty": [1.0, np.nan],
            "nothing": ["x", None],
            "same": [2.0, np.nan],
        }
    )
    assert np.isfinite(steps.transform(new)).all()


def test_every_level_has_a_column_for_linear_models_and_the_most_frequent_ones_for_networks():
    n = 6000
    rng = np.random.default_rng(5)
    frame = pd.DataFrame({"word": [f"w{k}" for k in rng.zipf(1.2, n) % 10_000]})
    table = make_table(frame, target(n))
    counts = frame["word"].value_counts()
    for for_network, most in ((False, len(counts)), (True, MOST_NETWORK_LEVELS)):
        steps = make_preprocessor(table.facts, for_network=for_network)
        encoded = steps.fit_transform(frame)
        names = feature_names(steps, table.facts)
        assert sparse.issparse(encoded) is not for_network
        assert encoded.shape[1] == len(names)
        assert most - 3 < len(names) <= most
        assert (names[-1] == "word=other") is for_network
        kept = [name.removeprefix("word=") for name in names if name != "word=other"]
        sums = np.asarray(encoded.sum(axis=0)).ravel() / (1 if for_network else 2)
        np.testing.assert_array_equal(sums[: len(kept)], counts[kept])
        assert counts[kept].min() >= counts.drop(kept).max() or not for_network
        np.testing.assert_array_equal(encoded.sum(axis=1), 1 if for_network else 2)


def test_what_identifiers_hold_only_once_shares_a_column():
    frame = pd.DataFrame(
        {"id": [*(f"u{i}" for i in range(95)), *["twice"] * 2], "b": ["x", "y", "z"] * 32 + ["x"]}
    )
    table = make_table(frame, target(97))
    steps = make_preprocessor(table.facts, for_network=False)
    assert steps.fit_transform(frame).sum(axis=0).tolist() == [66, 64, 64, 4, 190]
    assert feature_names(steps, table.facts) == ("b=x", "b=y", "b=z", "id=twice", "id=other")


@pytest.mark.parametrize("for_network", [False, True])
def test_levels_that_were_never_seen_are_in_no_column(for_network):
    frame = pd.DataFrame({"a": list("pqrs") * 6, "n": np.arange(24.0)})
    table = make_table(frame, target(24))
    steps = make_preprocessor(table.facts, for_network=for_network).fit(frame)
    new = steps.transform(pd.DataFrame({"a": ["p", "new", None], "n": 0.0}))
    np.testing.assert_array_equal(new[:, 1:] > 0, [[1, 0, 0, 0], [0] * 4, [0] * 4])


# ------------------------------------------------------------------------------------- text and dates


@pytest.mark.parametrize(
    "column",
    [
        pd.Series([1, 2, None], dtype="Int64"),
        pd.Series([1.0, 2.0, np.nan]),
        pd.Series(["1", "2", None], dtype="string"),
        pd.Series(["1", "2", pd.NA], dtype=object),
        pd.Series([1, "2", None], dtype=object),
        pd.Series(pd.Categorical([1, 2, None])),
        pd.Series(pd.Categorical(["1", "2", None])),
        pd.Series([b"1", b"2", None], dtype=object),
    ],
    ids=lambda column: str(column.dtype),
)
def test_as_text_knows_one_form_of_each_category(column):
    text = AsText().fit_transform(column.to_frame("a"))
    assert text[:2].ravel().tolist() == ["1", "2"]
    assert np.isnan(text[2, 0])


def test_as_text_merges_a_number_and_its_text():
    text = AsText().fit_transform(np.array([[1], ["1"], [1.0]], dtype=object))
    assert text.ravel().tolist() == ["1", "1", "1"]


@pytest.mark.parametrize(
    "dates",
    [
        pd.DataFrame({"d": pd.to_datetime(["2024-02-29", "1969-12-28", None])}),
        pd.DataFrame({"d": pd.array([date(2024, 2, 29), date(1969, 12, 28), None], dtype=object)}),
        pl.DataFrame({"d": [date(2024, 2, 29), date(1969, 12, 28), None]}),
        np.array([["2024-02-29"], ["1969-12-28"], ["NaT"]], dtype="M8[D]"),
    ],
    ids=["datetime64", "objects", "polars", "array"],
)
def test_date_parts_are_those_of_the_calendar(dates):
    parts = DateParts().fit(dates)
    assert parts.parts_ == [("year", "month", "day", "weekday", "days", "missing")]
    expected = []
    for day in (date(2024, 2, 29), date(1969, 12, 28)):
        expected.append([day.year, day.month, day.day, day.weekday(), (day - date(1970, 1, 1)).days, 0])
    encoded = parts.transform(dates)
    np.testing.assert_array_equal(encoded[:2], expected)
    np.testing.assert_array_equal(encoded[2], [np.nan] * 5 + [1])


def test_hours_time_zones_and_durations():
    stamps = pd.to_datetime(["2024-01-01 06:30", "2024-01-01 23:00"]).tz_localize("Europe/Berlin")
    frame = pd.DataFrame({"at": stamps, "took": pd.to_timedelta([36, 12], unit="h")})
    parts = DateParts().fit(frame)
    assert parts.get_feature_names_out().tolist() == [
        *("at_year", "at_month", "at_day", "at_weekday", "at_hour", "at_days"),
        "took_days",
    ]
    encoded = parts.transform(frame)
    np.testing.assert_allclose(encoded[:, 4], [5.5, 22.0])  # UTC
    np.testing.assert_allclose(encoded[:, 6], [1.5, 0.5])


def test_a_name_may_end_in_nul():
    X = pd.DataFrame({"a\0": ["u", "v"] * 10, "b": np.arange(20.0)})
    y = np.arange(20.0)
    assert len(advise(X, y, budget=0).build().fit(X, y).predict(X)) == 20
