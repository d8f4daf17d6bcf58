"""Whole numbers as a target: classes, where the module has as many outputs as there are numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from torch import nn

from regadvisor import ParameterError, Recipe, advise
from regadvisor.data.source import make_table
from regadvisor.families.neural.module.family import classes_by_outputs

RNG = np.random.default_rng(0)
X = RNG.normal(size=(150, 3)).astype(np.float32)
MANY = np.arange(150) % 26
RARE = np.r_[np.arange(15), np.zeros(5, int)]


@pytest.mark.parametrize(
    ("model", "y", "expected"),
    [
        (nn.Linear(3, 26), MANY, 26),
        (lambda: nn.Linear(3, 26), MANY.astype(float), 26),
        (lambda n_features: nn.Linear(n_features, 26), MANY, 26),
        (nn.Linear(3, 15), RARE, 15),
        (lambda n_features, n_outputs: nn.Linear(n_features, n_outputs), MANY, None),
        (nn.Linear(3, 1), MANY, None),
        (nn.Linear(3, 27), MANY, None),
        (nn.Linear(3, 26), MANY + 1, None),
        (nn.Linear(3, 26), MANY / 2, None),
        (nn.Linear(4, 26), MANY, None),
    ],
)
def test_outputs_tell_classes_from_numbers(model: Any, y: Any, expected: int | None) -> None:
    note = classes_by_outputs(model, make_table(X[: len(y)], y))
    assert (note is not None) == (expected is not None)
    assert note is None or f"module has {expected} outputs" in note.text


def test_the_note_stands_below_the_verdict_and_task_wins() -> None:
    net, recipe = nn.Linear(3, 26), Recipe(epochs=1, batch_size=32)
    advice = advise(X, MANY, model=net, recipe=recipe, effort="quick", folds=2)
    assert advice.record.data.task == "multiclass"  # type: ignore[union-attr]
    assert any("0 to 25 and the module has 26 outputs" in text for text in advice.warnings)
    with pytest.raises(ParameterError, match=r"\(rows, 1\) for one target, got \(7, 26\)"):
        advise(X, MANY, model=net, recipe=recipe, task="regression", effort="quick", folds=2)


def test_one_output_for_many_classes_may_mean_numbers() -> None:
    with pytest.raises(ParameterError, match=r"for 3 classes, got \(7, 1\).*pass task='regression'"):
        advise(X, MANY % 3, model=nn.Linear(3, 1), effort="quick", folds=2)
