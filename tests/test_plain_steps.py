"""Steps of ours as scripts have them: the same numbers as the steps of `build()`, without regadvisor."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pandas as pd
import pytest

import regadvisor
from regadvisor.data.source import make_table
from regadvisor.export.code import estimator_code, unnamed
from regadvisor.families import encoding, plain, preprocess, scaling
from regadvisor.families.neural import image_encoding
from regadvisor.families.preprocess import make_preprocessor

STEPS_OF_OURS = (encoding, image_encoding, preprocess, scaling)
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
    "texts and numbers of NumPy": with_gaps(RNG.choice(["b", "a"], N), np.float32(3)),
}
DAYS = pd.Timestamp("2023-11-20") + pd.to_timedelta(RNG.integers(0, 500, N), "D")
TIMES = pd.Timestamp("2023-11-20") + pd.to_timedelta(RNG.integers(0, 10**7, N), "s")
DATES: dict[str, Any] = {
    "days": DAYS,
    "times": TIMES,
    "times with gaps": pd.Series(TIMES).where(np.arange(N) % 6 > 0),
    "a time zone": TIMES.tz_localize("Europe/Oslo", ambiguous=True, nonexistent="NaT"),
    "durations": TIMES - TIMES.min(),
    "before 1678": DAYS.astype("M8[us]") - pd.Timedelta(days=800 * 365),
    "months of pandas": DAYS.to_period("M"),
    "objects": np.array(list(DAYS.date), dtype=object),
}
TEXT_DATES: dict[str, Any] = {
    "ISO": DAYS.strftime("%Y-%m-%d"),
    "ISO, zones": [f"{time:%Y-%m-%d %H:%M:%S}{'+02:00' if time.day % 2 else '-0530'}" for time in TIMES],
    "months": DAYS.strftime("%Y-%m"),
    "day first": DAYS.strftime("%d/%m/%Y"),
    "day first, gaps": with_gaps(DAYS.strftime("%d.%m.%Y"), None),
    "day first, empty": with_gaps(DAYS.strftime("%d.%m.%Y"), ""),
    "day first, categories": pd.Categorical(with_gaps(DAYS.strftime("%d.%m.%Y"), None)),
    "day first, text of pandas": pd.array(with_gaps(DAYS.strftime("%d.%m.%Y"), pd.NA), dtype="string"),
    "month first, times": TIMES.strftime("%m/%d/%Y %H:%M:%S"),
    "numbers": np.asarray(DAYS.strftime("%Y%m%d").astype(int)),
    "numbers with gaps": pd.Series(DAYS.strftime("%Y%m%d").astype(float)).where(np.arange(N) % 6 > 0),
}
LONG_AGO = DAYS - pd.Timedelta(days=20_000)
#: What pandas reads as other dates than we do, or not at all.
ODD_DATES: dict[str, Any] = {
    "two digits of the year": LONG_AGO.strftime("%d/%m/%y"),
    "two digits after a month": LONG_AGO.strftime("%d-%b-%y"),
    "month first, one that is not": [*DAYS.strftime("%m/%d/%Y")[1:], "25/12/2023"],
    "several forms": [*DAYS.strftime("%Y-%m-%d")[1:], "25 Dec 2023"],
    "a word for missing": with_gaps(DAYS.strftime("%d/%m/%Y"), "?"),
    "no such day": [*DAYS.strftime("%d/%m/%Y")[1:], "31/02/2024"],
}


@pytest.mark.parametrize("name", LEVELS)
def test_categories_are_the_same_texts(name: str) -> None:
    frame = pd.DataFrame({"a": LEVELS[name]})
    ours, theirs = (step.AsText().fit_transform(frame) for step in (encoding, plain))
    pd.testing.assert_frame_equal(pd.DataFrame(ours), pd.DataFrame(theirs))
    assert [*plain.AsText().fit(frame).get_feature_names_out(["a"])] == ["a"]


def steps_and_script(values: Any) -> tuple[pd.DataFrame, Any, str]:
    """Return a frame of one column, the steps that read it, and a script that makes the same steps."""
    frame = pd.DataFrame({"d": values})
    steps = make_preprocessor(make_table(frame, np.arange(N) / 2).facts, for_network=False)
    code = estimator_code(unnamed(steps))
    return frame, steps, "\n".join([*code.imports, f"{code.before}steps = {code.expression}"])


@pytest.mark.parametrize("name", [*DATES, *TEXT_DATES, *ODD_DATES])
def test_dates_are_the_same_numbers(name: str) -> None:
    frame, steps, script = steps_and_script((DATES | TEXT_DATES | ODD_DATES)[name])
    assert ("regadvisor" in script) == (name in ODD_DATES)
    names: dict[str, Any] = {}
    exec(script, names)
    ours, theirs = steps.fit(frame), names["steps"].fit(frame)
    np.testing.assert_allclose(theirs.transform(frame), ours.transform(frame), rtol=1e-9, atol=1e-9)
    # What was seen in training says which parts there are.
    np.testing.assert_allclose(theirs.transform(frame[:1]), ours.transform(frame[:1]), rtol=1e-9, atol=1e-9)


def test_a_script_refuses_dates_in_another_format() -> None:
    frame, _, script = steps_and_script(TEXT_DATES["day first"])
    names: dict[str, Any] = {}
    exec(script, names)
    steps = names["steps"].fit(frame)
    with pytest.raises(ValueError, match="match format"):
        steps.transform(pd.DataFrame({"d": ["2024-05-01"]}))


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
    assert plain.in_double(images).dtype == np.float64
    assert plain.doubled(np.eye(2)).tolist() == [[2.0, 0.0], [0.0, 2.0]]
    assert plain.next_number(np.array([-1, 0])).tolist() == [0, 1]
    for X in ({"a": images, "b": np.arange(5)}, (images, images[:, 0])):
        ours, theirs = (step.Joined().fit_transform(X) for step in (preprocess, plain))
        np.testing.assert_array_equal(ours, theirs)
    for is_last in (False, True):
        ours, theirs = (
            step.ChannelScaler(3, is_last=is_last).fit_transform(images.reshape(5, -1))
            for step in (image_encoding, plain)
        )
        np.testing.assert_allclose(ours, theirs, rtol=1e-5)


def test_every_plain_step_stands_for_one_of_ours() -> None:
    names = [name for name, own in vars(plain).items() if getattr(own, "__module__", "") == plain.__name__]
    assert names
    for name in names:
        assert any(hasattr(module, name) for module in STEPS_OF_OURS), name
        assert "regadvisor" not in inspect.getsource(getattr(plain, name))


@pytest.mark.parametrize("target", ["sklearn", "torch"])
def test_a_script_for_a_mixed_frame_stands_alone(target: str) -> None:
    frame = pd.DataFrame(
        {"n": RNG.standard_normal(N), "c": LEVELS["texts and None"], "d": TEXT_DATES["day first"]}
    )
    y = 2 * frame["n"] + (frame["c"] == "a") + 0.1 * RNG.standard_normal(N)
    advice = regadvisor.advise(frame, y, effort="quick", folds=2)
    script = advice.snippet(target)
    assert "regadvisor" not in script
    assert max(len(line) for line in script.splitlines()) <= 110
    names: dict[str, Any] = {"X": frame, "y": y.to_numpy()}
    exec(script, names)
    predict = names["model"].predict if target == "sklearn" else names["predict"]
    expected = advice.build().fit(frame, y).predict(frame)
    # The script is trained by another solver, or in single precision.
    np.testing.assert_allclose(np.ravel(predict(frame)), expected, atol=1e-4 if target == "sklearn" else 1e-3)


def test_a_program_without_sources_imports_our_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = pd.DataFrame({"text": LEVELS["texts"], "number": np.arange(float(N))})
    advice = regadvisor.advise(frame, np.arange(float(N)), budget=0)
    whole = advice.snippet("sklearn")

    def frozen(value: Any) -> str:
        raise OSError("could not get source code")

    monkeypatch.setattr(inspect, "getsource", frozen)
    script = advice.snippet("sklearn")
    assert "from regadvisor.families.plain import AsText" in script
    assert script.split("model = ")[1] == whole.split("model = ")[1]
    exec(compile(script, "script", "exec"), {"X": frame, "y": np.arange(float(N))})
