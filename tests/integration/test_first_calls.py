"""What a fresh process loads, draws and says when it is asked for the first time."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

_FIRST_CALLS = """
import random, sys
import numpy as np
import regadvisor

# Rich draws a number when it is imported, and scikit-learn imports it.
random.seed(3)
state = random.getstate()
regadvisor.advise([[0.0], [1.0], [2.0], [4.0]] * 5, [0.0, 1.0, 2.0, 3.0] * 5, effort="quick", folds=2)
assert "rich.style" in sys.modules
assert random.getstate() == state, "the imports of a first call drew a random number"

X = np.random.default_rng(0).normal(size=(60, 3))
regadvisor.advise(X, X[:, 0], effort="quick", folds=2).build().fit(X, X[:, 0])
assert "torch" not in sys.modules, "advice on a table loads torch"

# Torch imports sympy for some calls, and that takes as long as training a small module.
from torch import nn
make = lambda n_features, n_outputs: nn.Sequential(
    nn.Linear(n_features, 4), nn.BatchNorm1d(4), nn.Linear(4, n_outputs)
)
regadvisor.advise(X, X[:, 0], model=make, recipe=regadvisor.Recipe(epochs=1), effort="quick", folds=2)
assert "sympy" not in sys.modules, "advice on a module loads sympy"
"""


def test_first_calls_draw_no_random_number_and_load_only_what_they_need() -> None:
    done = subprocess.run([sys.executable, "-c", _FIRST_CALLS], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_what_was_announced_is_taken_away(tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    path.write_text("a,y\n" + "".join(f"{i},{i % 7}\n" for i in range(60)))
    command = [sys.executable, "-m", "regadvisor", "advise", str(path), "-t", "y", "--budget", "0", "--json"]
    reader, writer = pty.openpty()
    subprocess.run(command, stderr=writer, stdout=subprocess.DEVNULL, check=True)
    os.close(writer)
    said = os.read(reader, 10_000).decode()
    os.close(reader)
    assert said.startswith("regadvisor: reading ")
    assert said.endswith("\r")
    assert said.split("\r")[-2].strip() == ""
