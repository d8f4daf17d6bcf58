"""benchmarks/first_screen.py: sentences have answers, and shares are counted over sets."""

from pathlib import Path

import first_screen
import numpy as np
import pandas as pd
from first_screen import Case, cases, table
from regret.data import choose_sets, load


def test_sentences_of_a_set_are_held_against_rows_that_were_held_out(tmp_path: Path) -> None:
    r = np.random.default_rng(0)
    frame = pd.DataFrame(r.normal(size=(150, 60)), columns=[f"x{i}" for i in range(60)])
    frame.assign(target=frame.x0 + r.normal(size=150)).to_parquet(tmp_path / "wide.parquet")
    entry = {"name": "wide", "file": "wide.parquet", "n": 150, "p": 60, "n_targets": 1, "task": "regression"}
    pd.DataFrame([{**entry, "kind": "tabular", "has_group": 0, "has_time": 0}]).to_csv(
        tmp_path / "index.csv", index=False
    )
    (chosen,) = choose_sets(tmp_path, "all")
    found = list(cases(load(tmp_path, chosen, max_rows=1_000), 0))
    helps = [case for case in found if case.said.startswith("regularizing helps")]
    assert [case.is_right for case in helps] == [True]  # 60 columns of noise for 100 rows
    assert any(case.said.startswith("another kind saves") for case in found)
    first_screen.main(["--data", str(tmp_path), "--splits", "1"])


def test_the_interval_is_over_sets_and_not_over_sentences() -> None:
    one = [Case(name="a", said="x", is_right=True)] * 50
    both = [*one, *[Case(name="b", said="x", is_right=False)] * 50]
    assert "| x | 50 | 50 | 100% [100%, 100%] |" in table(one)
    assert "| x | 100 | 50 | 50% [0%, 100%] |" in table(both)
    assert table(both)[-1] == "2 sets, 100 sentences."
