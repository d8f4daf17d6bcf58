"""advise() and the shell on data that are read in parts."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from click.testing import CliRunner
from journal_files import keep, n_stored
from rounding import assert_same_records
from scale_sources import some_rows, write

from regadvisor import advise
from regadvisor.cli.main import main
from regadvisor.data.source import make_table
from regadvisor.data.table import Whole
from regadvisor.errors import ParameterError, StorageError
from regadvisor.sampling.draw import draw_sample
from regadvisor.sampling.judge import judge_sample
from regadvisor.scale import sources
from regadvisor.scale import table as scale_table
from regadvisor.scale.sources import find_source
from regadvisor.scale.table import Roles, Scanned

FRAME = some_rows(6_000).drop(columns="city").query("y != 'rare'").reset_index(drop=True)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Samples of 2,000 rows, so that tables of some thousands are large."""
    monkeypatch.setattr(scale_table, "SAMPLE_ROWS", 2_000)


@pytest.mark.slow
def test_a_small_folder_gives_the_advice_of_the_frame(tmp_path: Path):
    frame = FRAME.head(800)
    found = advise(str(write(frame, tmp_path, "csv")), "y", effort="quick", folds=2)
    whole = advise(frame, "y", effort="quick", folds=2)
    assert found.regularizer == whole.regularizer
    assert found.record.evidence.scores == whole.record.evidence.scores or (
        found.record.walk == whole.record.walk
    )
    assert not any(note.code == "read-in-parts" for note in found.record.notes)


@pytest.mark.slow
def test_a_large_folder_is_advised_on_at_its_full_size(tmp_path: Path, small):
    path = write(FRAME, tmp_path, "parquet")
    stages: list[str] = []
    found = advise(path, "y", effort="quick", folds=2, progress=lambda stage, share: stages.append(stage))
    record = found.record
    assert record.data.n_rows == len(FRAME)
    assert record.data.class_counts == tuple(FRAME["y"].value_counts().sort_index())
    assert record.evidence.sample.n_source == len(FRAME)
    assert record.evidence.sample.verdict == "equivalent"
    assert record.strength.regularizer.kind in ("none", "l1", "l2", "elasticnet")
    assert f"All {len(FRAME):,} rows were read once" in " ".join(
        note.text for note in record.notes if note.code == "read-in-parts"
    )
    assert stages[0] == "scan"
    assert record.timings.stages["scan"] > 0
    assert f"{len(FRAME):,} rows" in found.to_text()


@pytest.mark.slow
@pytest.mark.parametrize(
    "given",
    [
        {"sample": False},
        {"sample": 0.2},
        {"budget": 0},
        {"groups": "count"},
        {"time": "a"},
        {"match": FRAME.drop(columns="y").head(300)},
        {"effort": "thorough", "chart": "classic"},
    ],
    ids=lambda given: ", ".join(given),
)
def test_every_way_to_ask(tmp_path: Path, small, given: dict[str, Any]):
    found = advise(write(FRAME, tmp_path, "parquet"), "y", **{"effort": "quick", "folds": 2, **given})
    sample = found.record.evidence.sample
    assert sample.n_source == len(FRAME)
    assert not sample.is_everything
    assert sample.is_allowed == ("sample" not in given or given["sample"] is not False)
    random = "stratified" if sample.is_allowed else "random"
    assert sample.validation == ("group" if "groups" in given else "time" if "time" in given else random)
    assert found.record.data.n_rows == len(FRAME)
    assert found.to_text()


@pytest.mark.slow
def test_without_a_sample_a_frame_is_advised_on_by_prior_knowledge():
    found = advise(FRAME.head(500), "y", sample=False)
    assert [step.question for step in found.path][:2] == ["Q1", "Q3"]
    assert found.record.strength.source == "default"


@pytest.mark.slow
def test_a_run_goes_on_with_another_number_of_workers_but_not_with_other_files(tmp_path: Path, small):
    path, journal = write(FRAME, tmp_path / "data", "parquet"), tmp_path / "run.journal"
    whole = advise(path, "y", effort="quick", folds=2).to_json()
    advise(path, "y", effort="quick", folds=2, storage=journal)
    keep(journal, n_stored(journal) // 2)
    with ThreadPoolExecutor(2) as pool:
        resumed = advise(path, "y", effort="quick", folds=2, storage=journal, executor=pool)
    assert_same_records(resumed.to_json(), whole)
    write(FRAME.assign(c=FRAME["c"] + 1.0).head(2_500), tmp_path / "data", "parquet", n_files=1)
    with pytest.raises(StorageError, match="fingerprint was"):
        advise(path, "y", effort="quick", folds=2, storage=journal)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(pl.LazyFrame, "collect_batches"), reason="this polars gives no batches")
def test_a_lazy_frame_of_a_number(small):
    lazy = pl.from_pandas(FRAME.assign(y=FRAME["a"] + FRAME["c"])).lazy()
    found = advise(lazy, "y", effort="quick", folds=2, groups="count")
    assert found.record.data.task == "regression"
    assert found.record.data.n_rows == len(FRAME)
    assert found.record.evidence.sample.validation == "group"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"y": FRAME["y"]}, "y must be the name of the target column"),
        ({"groups": np.arange(6)}, "groups must be the name of a column when .*, got ndarray"),
        ({"time": [1, 2]}, "time must be the name of a column"),
        ({"sample_weight": "a"}, "sample_weight must be None"),
        ({"sample": [1, 2]}, "sample must be .* when X is read in parts, got list"),
        ({"executor": "spark"}, "executor must be None"),
    ],
)
def test_what_is_given_row_by_row_is_refused(tmp_path: Path, given: dict[str, Any], words: str):
    path = write(FRAME.head(60), tmp_path, "csv")
    with pytest.raises(ParameterError, match=words):
        advise(path, **{"y": "y", **given})


# ----------------------------------------------------------------------------- Q1 against all rows


def drawn(path: Path, n_rows: int = 400, **given: Any) -> Any:
    table, _ = Scanned(find_source(path)).table(Roles(targets=("y",)), **given)
    return table, draw_sample(table, n_rows=n_rows)


def test_a_drawn_sample_is_held_against_all_rows(tmp_path: Path, small):
    frame = some_rows(6_000)
    _, found = drawn(write(frame, tmp_path, "parquet"))
    assert found.evidence.verdict == "equivalent"
    assert found.evidence.n_source == 6_000
    assert not found.evidence.is_everything
    exact = found.evidence.tests[0]
    weight = found.table.weight / found.table.weight.mean()
    shifts = {
        name: abs(np.nanmean((found.table.X[name] - frame[name].mean()) * weight) / frame[name].std(ddof=0))
        for name in ("a", "c", "count")
    }
    shares = frame["city"].value_counts(normalize=True)
    shifts |= {
        f"city = {city}": abs(np.average(found.table.X["city"] == city, weights=weight) - share)
        / np.sqrt(share * (1 - share))
        for city, share in shares.items()
    }
    there = found.table.X["b"].notna().to_numpy()
    shifts["b"] = abs(
        np.average(found.table.X["b"][there] - frame["b"].mean(), weights=weight[there])
        / frame["b"].std(ddof=0)
    )
    for label, share in frame["y"].value_counts(normalize=True).items():
        code = found.table.facts.classes.index(label)
        own = np.average(found.table.y == code, weights=weight)
        shifts[f"target = {label}"] = abs(own - share) / np.sqrt(share * (1 - share))
    worst = max(shifts, key=lambda name: shifts[name])
    assert exact.column == worst
    assert exact.effect == pytest.approx(shifts[worst], rel=1e-5)
    told = {shift.column: shift.shift for shift in found.evidence.shifts}
    assert set(told) == {name for name in shifts if name != "target = rare"}
    assert told == pytest.approx({name: shifts[name] for name in told}, abs=1e-9)
    # Of the variances of numbers, the one that is farthest from that of all rows.
    ratios = []
    for name in ("a", "b", "c", "count"):
        values = found.table.X[name].to_numpy(dtype=float)
        known = ~np.isnan(values)
        own = np.average(values[known], weights=weight[known])
        variance = np.average((values[known] - own) ** 2, weights=weight[known])
        ratios.append(abs(np.log(variance / frame[name].var(ddof=0))))
    assert found.evidence.worst_log_variance_ratio == pytest.approx(max(ratios), rel=1e-9)


def test_a_sample_of_other_rows_is_not_like_the_whole(tmp_path: Path, small):
    table, _ = drawn(write(some_rows(6_000), tmp_path, "parquet"))
    rows = np.argsort(table.X["a"].to_numpy())[:400]
    found = draw_sample(table, n_rows=400, sample=rows)
    assert found.evidence.verdict != "equivalent"
    assert (found.evidence.tests[0].verdict, found.evidence.tests[0].column) == ("inconclusive", "a")


def test_random_samples_pass(tmp_path: Path, small):
    table, _ = drawn(write(some_rows(6_000), tmp_path, "csv"))
    verdicts = [draw_sample(table, n_rows=300, seed=seed).evidence.verdict for seed in range(20)]
    assert verdicts.count("equivalent") >= 19


def test_all_rows_that_were_drawn_are_no_everything(tmp_path: Path, small):
    table, found = drawn(write(some_rows(6_000), tmp_path, "parquet"), n_rows=5_000)
    assert found.table.n_rows == table.n_rows
    assert not found.evidence.is_everything
    assert found.evidence.size_reason.startswith("2,0")


# --------------------------------------------------------------------------------------- in a shell


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Stand in for advise(): keep what it is asked."""
    import regadvisor

    given: dict[str, Any] = {}

    def standin(X: Any, y: Any, **rest: Any) -> Any:
        given.update(X=X, y=y, **rest)
        return advise(pd.DataFrame({"a": np.arange(40.0)}), np.arange(40.0) % 2, budget=0)

    monkeypatch.setattr(regadvisor, "advise", standin)
    return given


def test_the_shell_reads_folders(tmp_path: Path, asked: dict[str, Any]):
    path = write(FRAME.head(60), tmp_path / "data", "csv")
    options = ["-t", "y", "--drop", "b", "--groups", "count", "--workers", "3"]
    result = CliRunner().invoke(main, ["advise", str(path), *options])
    assert result.exit_code == 0, result.output
    assert list(asked["X"].kinds) == ["a", "c", "count", "y"]
    assert (asked["y"], asked["groups"], asked["time"], asked["executor"]) == ("y", "count", None, 3)


def test_the_shell_says_what_is_missing(tmp_path: Path):
    path = str(write(FRAME.head(60), tmp_path / "data", "csv"))
    invoke: Callable[..., Any] = CliRunner().invoke
    assert "the columns are a, b, c, count, y" in invoke(main, ["advise", path]).output
    both = invoke(main, ["advise", path, "-t", "y", "--workers", "2", "--dask", "tcp://127.0.0.1:1"])
    assert both.exit_code == 2
    assert "exclude each other" in both.output
    (tmp_path / "none").mkdir()
    assert invoke(main, ["advise", str(tmp_path / "none"), "-t", "y"]).exit_code == 1


@pytest.mark.slow
def test_a_large_file_in_a_shell(tmp_path: Path, small, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sources, "SCAN_BYTES", 10_000)
    path = write(FRAME, tmp_path, "csv", n_files=1) / "part-0.csv"
    result = CliRunner().invoke(main, ["advise", str(path), "-t", "y", "--effort", "quick"])
    assert result.exit_code == 0, result.output
    assert f"of {len(FRAME):,} rows" in result.output


def test_columns_of_many_values_are_judged_one_by_one():
    rng = np.random.default_rng(0)
    n_rows, n_columns, n_values = 5_000, 4, 500
    names = np.array([f"town {value}" for value in range(n_values)])
    texts = pd.DataFrame({f"c{j}": rng.choice(names, n_rows) for j in range(n_columns)})
    table = make_table(texts, rng.normal(size=n_rows))
    shares = {str(name): texts[name].value_counts(normalize=True).to_dict() for name in texts}
    whole = Whole(means={"y": (0.0, 1.0)}, shares=shares)
    tracemalloc.start()
    table, keys = replace(table, whole=whole), np.arange(n_rows, dtype=np.uint64)
    found = judge_sample(table, np.arange(n_rows), None, is_given=False, by_group=False, seed=0, keys=keys)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.verdict == "equivalent"
    assert peak < 8 * n_rows * n_columns * n_values / 10  # of all columns side by side
