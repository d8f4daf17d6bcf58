"""Ctrl-C at any moment of an advice: from the first finished fit on, nothing that was measured is lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import regadvisor.api
import regadvisor.evidence.scores
import regadvisor.search.tune
from regadvisor import advise

RNG = np.random.default_rng(0)
X = RNG.normal(size=(1_200, 4))
Y = X[:, 0] + RNG.normal(size=1_200)


def interrupted_once(work: Callable[..., Any]) -> Callable[..., Any]:
    presses = [KeyboardInterrupt()]

    def one(*arguments: Any, **named: Any) -> Any:
        if presses:
            raise presses.pop()
        return work(*arguments, **named)

    return one


@pytest.mark.parametrize(
    ("module", "name"),
    [
        (regadvisor.search.tune, "_results"),  # between two rounds
        (regadvisor.evidence.scores, "_is_enough"),
        (regadvisor.evidence.scores, "compare_all"),
        (regadvisor.api, "find_traps"),
        (regadvisor.api, "_decide"),
        (regadvisor.api, "_record"),
    ],
)
def test_ctrl_c_after_the_first_fits_gives_the_best_of_what_is_known(
    module: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, name, interrupted_once(getattr(module, name)))
    record = advise(X, Y, model="linear").record
    assert "interrupted" in [note.code for note in record.notes]
    assert {score.kind for score in record.evidence.scores.scores} >= {"none", "l2"}
    assert "l2" in record.evidence.scores.honest_losses


@pytest.mark.parametrize("name", ["_walked", "walk"])
def test_ctrl_c_before_the_first_fit_goes_through(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(regadvisor.api, name, interrupted_once(getattr(regadvisor.api, name)))
    with pytest.raises(KeyboardInterrupt):
        advise(X, Y, model="linear")


def test_a_second_ctrl_c_goes_through(monkeypatch: pytest.MonkeyPatch) -> None:
    def pressed(*arguments: Any, **named: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(regadvisor.api, "find_traps", pressed)
    with pytest.raises(KeyboardInterrupt):
        advise(X, Y, model="linear")
