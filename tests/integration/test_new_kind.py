"""A kind of regularizer is a row in each of three tables: a copy of the package with one is run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import regadvisor

PACKAGE = Path(regadvisor.__file__).parent

_POINTS = "PORTFOLIOS: dict[Kind, tuple[tuple[float, ...], ...]] = {\n"
_ROWS = {
    "regularizer.py": {
        'Kind = Literal["none", ': '"all_three", ',
        "KIND_SPECS: dict[Kind, KindSpec] = {\n": '"all_three": KindSpec(label="dropout+L1+L2", '
        'strengths=("l1", "l2", "dropout"), colour="#000000", dash="-", marker="X"),\n',
    },
    "families/neural/strengths.py": {
        f"\n{_POINTS}": '"all_three": ((0.1, 2.0, 0.1),),\n',
        f"\nLOSS_{_POINTS}": '"all_three": ((1e-4, 0.01, 0.1),),\n',
    },
}
_WITH_THE_KIND = """
import sys
import numpy as np
import regadvisor
from regadvisor.flowchart.chart import Chart, Edge, Question

assert regadvisor.__file__.startswith(sys.argv[1])
rng = np.random.default_rng(0)
X = rng.standard_normal((120, 8))
y = X @ np.array([2.0, -1.0, 0.5, 0, 0, 0, 0, 0]) + rng.standard_normal(120)
edges = {reply: Edge(to="all_three") for reply in ("better", "same", "unsure", "worse")}
asked = Question(text="Do all three help?", judge="comparison", compares=("all_three", "none"), edges=edges)
for coupling in ("decoupled", "loss"):
    made = regadvisor.advise(
        X,
        y,
        model="mlp",
        recipe=regadvisor.Recipe(hidden=(8,), epochs=3, coupling=coupling),
        chart=Chart(name="short", start="Q", questions={"Q": asked}),
        effort="quick", folds=2,
    )
    assert made.regularizer.kind == "all_three"
    assert {"none", "all_three"} <= set(made.scores.kind)
    assert min(made.regularizer.strengths().values()) > 0
    made.to_json(sys.argv[1] + "/advice.json")
    again = regadvisor.Advice.load(sys.argv[1] + "/advice.json")
    assert again.record == made.record
    assert "dropout+L1+L2" in again.verdict
    assert "dropout+L1+L2" in again.to_html()
    again.plot("kinds")
    assert again.build().fit(X, y).predict(X).shape == (120,)
    assert "soft" in again.snippet("torch") or coupling == "loss"
"""


def test_a_kind_is_a_row_in_each_of_three_tables(tmp_path: Path) -> None:
    shutil.copytree(PACKAGE, tmp_path / "regadvisor", ignore=shutil.ignore_patterns("__pycache__"))
    for name, rows in _ROWS.items():
        path = tmp_path / "regadvisor" / name
        text = path.read_text()
        for line, row in rows.items():
            assert text.count(line) == 1, line
            text = text.replace(line, line + row)
        path.write_text(text)
    done = subprocess.run(
        [sys.executable, "-W", "error::UserWarning:regadvisor", "-c", _WITH_THE_KIND, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(tmp_path), "MPLBACKEND": "agg"},
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
