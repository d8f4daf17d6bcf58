"""benchmarks/budgets.py: one case in a process of its own, what counts as kept and measured, the table."""

from __future__ import annotations

import doctest
import time
from pathlib import Path

import budgets
import numpy as np
import pandas as pd


def test_a_case_is_measured_in_a_process_of_its_own(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(80, 3)), columns=list("abc"))
    frame.assign(target=frame.a + rng.normal(size=80)).to_parquet(tmp_path / "plain.parquet")
    line = {"name": "plain", "task": "regression", "n": 80, "p": 3, "kind": "tabular", "n_targets": 1}
    pd.DataFrame([{**line, "file": "plain.parquet"}]).to_csv(tmp_path / "index.csv", index=False)
    found = budgets.run("plain", tmp_path, 60.0)
    assert budgets.is_measured(found)
    assert found["n_fits"] >= len(found["kinds"]) >= 3
    assert found["cpu_s"] > 0
    assert budgets.run("no such set", tmp_path, 1.0)["error"].startswith("--sets must be")


def test_the_table_counts_what_was_kept_and_measured() -> None:
    good = {"case": "a", "budget_s": 1.0, "kinds": ["none", "elasticnet", "l1"], "n_fits": 3}
    good |= {"took_s": 1.5, "cpu_s": 1.0, "status": "cant_tell", "imports_cpu_s": 4.0}
    late = {**good, "case": "b", "took_s": 9.0, "kinds": [], "n_fits": 0}
    failed = {"case": "c", "budget_s": 1.0, "error": "no answer after 300 s"}
    text = budgets.summary([good, late, failed], beside="beside 2 busy loops")
    assert "3 runs beside 2 busy loops: 1 kept the budget, 1 measured none" in text
    assert "2 measured nothing" in text
    assert "| a | 1 | none, elasticnet, l1 | 3 | 1.5 | 1.0 | yes | cant tell |" in text
    assert "| b | 1 | nothing | 0 | 9.0 | 1.0 | **no** | cant tell |" in text


def test_busy_loops_end_with_the_block() -> None:
    with budgets.busy_loops(2) as loops:
        assert [loop.poll() for loop in loops] == [None, None]
    assert all(loop.poll() is not None for loop in loops)


def test_a_share_of_a_core_makes_processor_seconds_longer() -> None:
    with budgets.counted(0.5):
        before, begin = time.process_time(), time.monotonic()
        inner_begin = time.process_time()
        sum(range(100_000))
        inner_end = time.process_time()
        took, after = time.monotonic() - begin, time.process_time()
    assert (inner_end - inner_begin) / 0.5 <= took <= (after - before) / 0.5
    assert inner_end > inner_begin


def test_settings_are_asked_once_and_sets_with_every_budget() -> None:
    assert len(budgets.cases("all", budgets.BUDGETS)) == len(budgets.SETS) * 5 + 12


def test_settings_are_what_their_names_say() -> None:
    assert budgets.many_targets()["y"].shape == (1_000, 2_000)
    assert len(np.unique(budgets.many_classes()["y"])) == 500
    assert budgets.text("mlp")["X"].shape == (5_000, 30_000)
    assert 0.2 < budgets.text("mlp")["y"].mean() < 0.8


def test_examples_in_docstrings_run() -> None:
    assert doctest.testmod(budgets).failed == 0
