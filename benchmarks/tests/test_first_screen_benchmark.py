"""benchmarks/first_screen.py: sentences have answers, and shares are counted over sets."""

from dataclasses import replace
from pathlib import Path

import first_screen
import numpy as np
import pandas as pd
import pytest
from first_screen import Case, Run, cases, run, table
from regret.data import choose_sets, load


def test_sentences_of_a_set_are_held_against_rows_that_were_held_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    r = np.random.default_rng(0)
    frame = pd.DataFrame(r.normal(size=(150, 60)), columns=[f"x{i}" for i in range(60)])
    frame.assign(target=frame.x0 + r.normal(size=150)).to_parquet(tmp_path / "wide.parquet")
    entry = {"name": "wide", "file": "wide.parquet", "n": 150, "p": 60, "n_targets": 1, "task": "regression"}
    pd.DataFrame([{**entry, "kind": "tabular", "has_group": 0, "has_time": 0}]).to_csv(
        tmp_path / "index.csv", index=False
    )
    (chosen,) = choose_sets(tmp_path, "all")
    one = run(load(tmp_path, chosen, max_rows=1_000), 0, model="linear", train_rows=None)
    assert one is not None
    assert one.extra[one.pick] == (0.0, 0.0)
    found = list(cases(one))
    helps = [case for case in found if case.said.startswith("regularizing helps")]
    assert [case.is_right for case in helps] == [True]  # 60 columns of noise for 100 rows
    assert any(case.said == first_screen.BOUND for case in found)
    arguments = ["--data", str(tmp_path), "--splits", "1", "--out", str(tmp_path / "runs.jsonl")]
    first_screen.main(arguments)
    first, size = capsys.readouterr().out, (tmp_path / "runs.jsonl").stat().st_size
    first_screen.main(arguments)
    assert (capsys.readouterr().out, (tmp_path / "runs.jsonl").stat().st_size) == (first, size)


def test_what_another_kind_saves_is_held_against_the_lowest_test_loss() -> None:
    extra = {"l2": (0.0, 0.0), "l1": (-0.2, 0.01), "none": (0.5, 0.01)}  # 0.2 of 1 is 0.25 of 0.8
    one = Run(
        name="a", split=0, status="advice", pick="l2", extra=extra, ties=("l1",), helps=0.9, most_lost=0.26
    )
    said = {case.said: case.is_right for case in cases(one)}
    assert said == {
        "regularizing helps: likely": True,
        "as good (within 2%)": False,
        first_screen.BOUND: True,
    }
    lower = {case.said: case.is_right for case in cases(replace(one, most_lost=0.24))}
    assert not lower[first_screen.BOUND]


def test_the_interval_is_over_sets_and_not_over_sentences() -> None:
    one = [Case(name="a", said="x", is_right=True)] * 50
    both = [*one, *[Case(name="b", said="x", is_right=False)] * 50]
    assert "| x | 50 | 50 | 100% [100%, 100%] |" in table(one)
    assert "| x | 100 | 50 | 50% [0%, 100%] |" in table(both)
    assert table(both)[-1] == "2 sets, 100 sentences."
