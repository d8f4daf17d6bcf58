"""Settings of all tests."""

import os
import signal
from typing import Any

import numpy as np
import pytest
from hypothesis import settings

# Of the backends of Keras, torch is the one that is there.
os.environ.setdefault("KERAS_BACKEND", "torch")

# pytest-xdist sets the width of a terminal for its workers; reports would follow it.
os.environ.pop("COLUMNS", None)

# Started in the background by a shell, processes ignore Ctrl-C, and so would those that tests interrupt.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# A deadline for each example would make the tests depend on how busy the machine is.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.fixture
def exact_solvers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the linear solvers go on far beyond what a search needs, to hold them against other libraries."""
    from regadvisor.families.linear import newton, smooth

    monkeypatch.setattr(newton, "TOLERANCE", 1e-7)
    monkeypatch.setattr(newton, "SETTLED", 1e-9)
    monkeypatch.setattr(smooth, "LBFGS_TOLERANCE", 1e-8)
    monkeypatch.setattr(smooth, "SETTLED_SHARE", 0.0)


_STATES: dict[tuple[str, str], Any] = {}


@pytest.fixture(autouse=True)
def same_draws(request: pytest.FixtureRequest) -> None:
    """Let tests of a file that share a generator draw the same numbers, whichever of them ran before."""
    module = getattr(request.node, "module", None)  # a doctest has none
    for name, own in vars(module).items() if module else ():
        if isinstance(own, np.random.Generator):
            own.bit_generator.state = _STATES.setdefault((module.__name__, name), own.bit_generator.state)
