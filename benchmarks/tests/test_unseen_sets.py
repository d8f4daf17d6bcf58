"""benchmarks/unseen.py: files of the three repositories as the regret benchmark reads them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import unseen
from regret.data import choose_sets, load
from scipy.io import savemat

ARFF = """% a comment, with commas,
@relation made
@attribute 'size' REAL
@attribute colour { red, 'dark blue' }
@attribute state {'?', on, off}
@attribute Player {a, b, c, d, e}
@attribute class {yes, no}
@data
1.5, 'dark blue', ?, a, yes
 ?,red,on, b,no,
-2, ?, off, c, yes
3,red,on,d,?
4,red,on,e,no
"""


def test_missing_values_levels_and_targets_of_an_arff_file(tmp_path: Path) -> None:
    path = tmp_path / "made.arff"
    path.write_text(ARFF)
    frame = unseen.read_arff(path, is_regression=False)
    assert list(frame) == ["size", "colour", "state", "target"]  # the identifier is dropped
    assert frame["target"].tolist() == ["yes", "no", "yes", "no"]  # the row without a target, too
    np.testing.assert_array_equal(frame["size"], [1.5, np.nan, -2.0, 4.0])
    assert frame["colour"].isna().tolist() == [False, False, True, False]
    assert frame["colour"].dropna().tolist() == ["dark blue", "red", "red"]
    assert frame["state"].tolist() == ["?", "on", "off", "on"]  # declared as a level, so not missing


def test_a_number_to_predict(tmp_path: Path) -> None:
    path = tmp_path / "made.arff"
    path.write_text("@relation r\n@attribute x real\n@attribute goal integer\n@data\n1,2\n3,4\n")
    frame = unseen.read_arff(path, is_regression=True)
    assert unseen.entry("made", frame, kind="tabular", source="")["task"] == "regression"
    assert frame["target"].tolist() == [2.0, 4.0]


def test_written_sets_are_read_by_the_regret_benchmark(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    X = np.arange(12.0).reshape(4, 3)
    mat = tmp_path / "skfeature" / "data" / "Made.mat"
    mat.parent.mkdir(parents=True)
    savemat(mat, {"X": X, "Y": np.array([[1], [2], [3], [1]])})
    series = tmp_path / "data" / "Made"
    series.mkdir(parents=True)
    for part, rows in (("TRAIN", X[:2]), ("TEST", X[2:])):
        np.savetxt(series / f"Made_{part}.tsv", np.column_stack([[1, 2], rows]), delimiter="\t")
    monkeypatch.setattr(unseen, "FEATURES", {"made": "Made"})
    monkeypatch.setattr(unseen, "SERIES", ("Made",))
    out = tmp_path / "out"
    unseen.main([str(out), "--features", str(tmp_path), "--series", str(tmp_path)])
    index = pd.read_csv(out / "index.csv").set_index("name")
    assert index.loc["made", ["task", "n", "p"]].tolist() == ["multiclass", 4, 3]
    assert index.loc["ucr_made", "task"] == "binary"
    targets = {"made": ["1", "2", "3", "1"], "ucr_made": ["1", "2", "1", "2"]}
    for entry in choose_sets(out, "made,ucr_made"):
        data = load(out, entry, max_rows=100)
        np.testing.assert_array_equal(data.X, X)
        assert data.y.tolist() == targets[data.name]
        assert data.task == "classification"
