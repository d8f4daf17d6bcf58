"""benchmarks/traps.py on a toy folder: what fires is told, clean tables are counted, costs are timed."""

from pathlib import Path

import numpy as np
import pandas as pd
import traps


def folder(path: Path) -> Path:
    r = np.random.default_rng(0)
    plain = pd.DataFrame(r.normal(size=(80, 3)), columns=["a", "b", "c"])
    plain.assign(target=plain.a + r.normal(size=80)).to_parquet(path / "plain.parquet")
    plain.assign(target=2 * plain.b).to_parquet(path / "leaky.parquet")
    common = {"n": 80, "p": 3, "n_targets": 1, "task": "regression", "kind": "tabular"}
    index = [{"name": name, "file": f"{name}.parquet", **common} for name in ("plain", "leaky")]
    pd.DataFrame(index).assign(has_group=0, has_time=0).to_csv(path / "index.csv", index=False)
    return path


def test_what_fires_on_real_sets_is_told(tmp_path: Path) -> None:
    lines = traps.real(folder(tmp_path))
    assert any("| leaky | 80 × 3 |" in line and "leak: 'b' determines the target" in line for line in lines)
    assert lines[-1].endswith("Nothing is said of 1 sets: plain.")


def test_clean_tables_of_every_kind_are_counted(tmp_path: Path) -> None:
    lines = traps.clean(folder(tmp_path), 1)
    assert [line.split(" | ")[1] for line in lines[2:-1]] == ["1"] * 8 + ["2"] * 2
    assert "fires most does so on 0.0% of the tables" in lines[-1]


def test_the_cost_is_told_of_every_form() -> None:
    lines = traps.cost(n_rows=300, n_columns=4)
    assert [line.split(" | ")[1] for line in lines[2:]] == ["300 × 4", "300 × 4", "300 × 9", "300 × 160"]
