"""Who watches an advice."""

from __future__ import annotations

import io
import re
import sys
import types

import pytest
from sklearn.datasets import load_diabetes

from regadvisor import advise, progress
from regadvisor.progress import rising, watching


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def seen(monkeypatch: pytest.MonkeyPatch, given: object, *, patience_s: float = 0.0) -> str:
    """Return what a person at a terminal sees of three steps."""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(progress, "PATIENCE_S", patience_s)
    with watching(given) as say:  # type: ignore[arg-type]
        if say is not None:
            for share in (0.0, 0.5, 1.0):
                say("training_candidates", share)
    return terminal.getvalue()


def test_a_function_is_called_as_it_is() -> None:
    calls = []
    with watching(lambda stage, share: calls.append((stage, share))) as say:
        assert say is not None
        say("pilot", 0.25)
    assert calls == [("pilot", 0.25)]


def test_a_terminal_gets_a_bar_that_goes_away(monkeypatch: pytest.MonkeyPatch) -> None:
    text = seen(monkeypatch, None)
    assert re.search(r" 50%\|.{6}\| \S+, \S+ left, training candidates", text)
    assert text.endswith("\r")


def test_the_share_of_an_advice_rises_to_the_end() -> None:
    X, y = load_diabetes(return_X_y=True)
    calls: list[tuple[str, float]] = []
    advise(X, y, effort="quick", folds=2, sample=200, progress=lambda *said: calls.append(said))
    shares = [share for _, share in calls]
    assert shares == sorted(shares)
    assert calls[-1] == ("done", 1.0)
    by_stage = dict(calls)
    trained = max(share for stage, share in calls if stage.startswith("training"))
    assert 0.5 < trained <= by_stage["growth"] < by_stage["traps"] < by_stage["decide"] < 1


def test_training_goes_on_from_where_reading_ended() -> None:
    told: list[float] = []
    say = rising(lambda _, share: told.append(share))
    for stage, share in (("scan", 0.5), ("scan", 1.0), ("scores", 0.0), ("training", 0.0), ("training", 1.0)):
        say(stage, share)
    assert told == pytest.approx([0.15, 0.3, 0.3, 0.3, 0.9])


def test_a_short_advice_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert seen(monkeypatch, None, patience_s=60.0) == ""


def test_true_is_a_bar_at_once_and_false_none(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "50%" in seen(monkeypatch, True, patience_s=60.0)
    assert seen(monkeypatch, False) == ""


def test_a_file_gets_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with watching(None) as say:
        assert say is None


def test_a_notebook_is_watched(monkeypatch: pytest.MonkeyPatch) -> None:
    shell = type("ZMQInteractiveShell", (), {})()
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: shell))
    assert progress.is_watched()
