"""Steps of ours as scripts have them: the same numbers as the steps of `build()`, without regadvisor."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pandas as pd
import pytest

import regadvisor
from regadvisor.export import plain
from regadvisor.families import encoding, preprocess, scaling

N = 60
RNG = np.random.default_rng(0)


def with_gaps(values: Any, missing: Any) -> Any:
    column = np.array(values, dtype=object)
    column[::7] = missing
    return column


LEVELS = {
    "texts": RNG.choice(["b", "a", "c"], N),
    "texts and None": with_gaps(RNG.choice(["b", "a"], N), None),
    "texts and NaN": with_gaps(RNG.choice(["b", "a"], N), np.nan),
    "whole numbers": RNG.integers(0, 4, N),
    "whole numbers that became floats": np.where(np.arange(N) % 5 == 0, np.nan, RNG.integers(0, 4, N)),
    "truth": RNG.random(N) > 0.5,
    "a category": pd.Categorical(RNG.choice(["x", "y"], N)),
    "text of pandas": pd.array(with_gaps(RNG.choice(["x", "y"], N), pd.NA), dtype="string"),
    "texts and numbers": with_gaps(RNG.choice(["b", "a"], N), 3),
}
DAYS = pd.Timestamp("2023-11-20") + pd.to_timedelta(RNG.integers(0, 500, N), "D")
TIMES = pd.Timestamp("2023-11-20") + pd.to_timedelta(RNG.integers(0, 10**7, N), "s")
DATES: dict[str, tuple[Any, str | None]] = {
    "days": (DAYS, None),
    "times": (TIMES, None),
    "times with gaps": (pd.Series(TIMES).where(np.arange(N) % 6 > 0), None),
    "a time zone": (TIMES.tz_localize("Europe/Oslo", ambiguous=True, nonexistent="NaT"), None),
    "durations": (TIMES - TIMES.min(), None),
    "ISO": (DAYS.strftime("%Y-%m-%d"), "ymd"),
    "day first": (DAYS.strftime("%d/%m/%Y"), "dmy"),
    "day first, gaps": (with_gaps(DAYS.strftime("%d.%m.%Y"), None), "dmy"),
    "month first, times": (TIMES.strftime("%m/%d/%Y %H:%M:%S"), "mdy"),
    "numbers": (DAYS.strftime("%Y%m%d").astype(int), "ymd"),
}


@pytest.mark.parametrize("name", LEVELS)
def test_categories_are_the_same_texts(name: str) -> None:
    frame = pd.DataFrame({"a": LEVELS[name]})
    ours, theirs = (step.AsText().fit_transform(frame) for step in (encoding, plain))
    pd.testing.assert_frame_equal(pd.DataFrame(ours), pd.DataFrame(theirs))


@pytest.mark.parametrize("name", DATES)
def test_dates_are_the_same_numbers(name: str) -> None:
    values, order = DATES[name]
    frame = pd.DataFrame({"d": np.asarray(values) if name == "numbers" else values})
    orders = None if order is None else [order]
    ours, theirs = (step.DateParts(orders=orders).fit(frame) for step in (encoding, plain))
    np.testing.assert_allclose(ours.transform(frame), theirs.transform(frame), rtol=1e-12)
    # What was seen in training says which parts there are.
    np.testing.assert_allclose(ours.transform(frame[:1]), theirs.transform(frame[:1]), rtol=1e-12)


def test_frames_of_polars_are_read() -> None:
    polars = pytest.importorskip("polars")
    frame = polars.DataFrame({"d": list(DAYS), "t": ["a", None, "b"] * (N // 3)})
    for name, column in (("DateParts", "d"), ("AsText", "t")):
        ours, theirs = (getattr(step, name)().fit_transform(frame[[column]]) for step in (encoding, plain))
        pd.testing.assert_frame_equal(pd.DataFrame(ours), pd.DataFrame(theirs))


def test_the_smooth_clip_is_the_same() -> None:
    X = RNG.standard_normal((N, 4)) * [1, 1e3, 1, 0]
    X[:, 2] = np.where(np.arange(N) < 50, 0.0, X[:, 2])  # equal quartiles
    X[::5, 1] = np.nan
    ours, theirs = (step.RobustSmoothClip().fit_transform(X) for step in (scaling, plain))
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)


def test_functions_are_the_same() -> None:
    images = RNG.random((5, 3, 4)).astype(np.float32)
    np.testing.assert_array_equal(plain.flatten(images), preprocess.flatten(images))
    np.testing.assert_array_equal(plain.doubled(images[0]), preprocess.doubled(images[0]))
    assert plain.in_double(images).dtype == preprocess.in_double(images).dtype


def test_every_plain_step_stands_for_one_of_ours() -> None:
    names = [name for name, own in vars(plain).items() if getattr(own, "__module__", "") == plain.__name__]
    assert names
    for name in names:
        assert any(hasattr(module, name) for module in (encoding, preprocess, scaling)), name
        assert "regadvisor" not in inspect.getsource(getattr(plain, name))


@pytest.mark.parametrize("target", ["sklearn", "torch"])
def test_a_script_for_a_mixed_frame_stands_alone(target: str) -> None:
    frame = pd.DataFrame(
        {"n": RNG.standard_normal(N), "c": LEVELS["texts and None"], "d": DATES["day first"][0]}
    )
    y = 2 * frame["n"] + (frame["c"] == "a") + 0.1 * RNG.standard_normal(N)
    advice = regadvisor.advise(frame, y, effort="quick")
    script = advice.snippet(target)
    assert "regadvisor" not in script
    assert max(len(line) for line in script.splitlines()) <= 110
    names: dict[str, Any] = {"X": frame, "y": y.to_numpy()}
    exec(script, names)
    predict = names["model"].predict if target == "sklearn" else names["predict"]
    expected = advice.build().fit(frame, y).predict(frame)
    np.testing.assert_allclose(np.ravel(predict(frame)), expected, atol=1e-8 if target == "sklearn" else 1e-3)
