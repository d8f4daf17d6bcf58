"""Whatever is passed: an advice that can be used, or an error of ours that says what to do."""

from __future__ import annotations

import copy
import json
import random
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from scipy import sparse
from strategies import cases

from regadvisor import Advice, RegadvisorError, advise

OFTEN = settings(
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def looks(value: Any) -> str:
    """Everything about an object that a caller could see change."""
    if isinstance(value, pd.DataFrame):
        return repr(
            (list(value.dtypes), value.index, [value.iloc[:, j].tolist() for j in range(value.shape[1])])
        )
    if sparse.issparse(value):
        dense = value.tocoo()
        return repr((value.format, value.dtype, dense.data.tolist(), dense.row.tolist(), dense.col.tolist()))
    return repr(
        (type(value), getattr(value, "dtype", None), value.tolist() if hasattr(value, "tolist") else value)
    )


def global_state() -> tuple[Any, ...]:
    name, keys, *rest = np.random.get_state()  # noqa: NPY002
    numbers = (name, keys.tolist(), *rest)
    return list(warnings.filters), random.getstate(), numbers, torch.get_rng_state().tolist()


def check_case(X: Any, y: Any, options: dict[str, Any], model: str) -> None:
    before, seen = global_state(), [looks(X), looks(y)]
    try:
        advice = advise(X, y, model=model, effort="quick", **options)
    except RegadvisorError as error:
        check_words(str(error))
    else:
        check_use(advice, copy.deepcopy(X), copy.deepcopy(y))
    assert [looks(X), looks(y)] == seen
    assert global_state() == before


def check_words(message: str) -> None:
    """An error says what is wrong, what was got and what to do."""
    assert ", got " in message
    assert "np." not in message
    assert any(mark in message for mark in ("; ", ". ", ": ")), f"no remedy: {message}"


def check_use(advice: Advice, X: Any, y: Any) -> None:
    text = advice.to_json()
    assert Advice(advice.record).to_json() == text
    json.loads(text, parse_constant=pytest.fail)
    assert all(character.isprintable() for character in text.replace("\n", ""))
    assert "\x1b" not in advice.to_text() + advice.to_markdown()
    model = advice.build().fit(X, y)
    predicted = model.predict(X)
    if predicted.dtype.kind == "f":
        assert np.isfinite(predicted).all()
    for library in ("sklearn", "torch"):
        compile(advice.snippet(library), library, "exec")


@given(case=cases())
@settings(OFTEN, max_examples=60)
def test_linear_models_take_it_or_say_why_not(case: tuple[Any, Any, dict[str, Any]]) -> None:
    X, y, options = case
    check_case(X, y, options, "linear")


@given(case=cases())
@settings(OFTEN, max_examples=8)
def test_networks_take_it_or_say_why_not(case: tuple[Any, Any, dict[str, Any]]) -> None:
    X, y, options = case
    check_case(X, y, options, "mlp")


@pytest.mark.parametrize("model", ["linear", "mlp"])
def test_classes_of_one_row_each_cannot_be_validated(model: str) -> None:
    X = np.random.default_rng(0).normal(size=(30, 2))
    check_case(X, np.arange(30), {"task": "classification"}, model)
    advice = advise(X, np.arange(30), task="classification", model=model, effort="quick")
    assert advice.record.strength.source == "default"
    exec(advice.snippet("sklearn"), {"X": X, "y": np.arange(30)})
