"""A budget in seconds that does not allow for all rows: some are read, the target of all is counted."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from regadvisor import ParameterError, advise
from regadvisor.data import thinning
from regadvisor.data.source import make_table
from regadvisor.data.thinning import Thinning
from regadvisor.evidence.resources import Ladder, situation_of
from regadvisor.families.linear.family import LinearFamily
from regadvisor.thresholds import FEWEST_ROWS_READ, FEWEST_ROWS_READ_OF_CLASS, READ_SHARE

NO_TIME = Thinning(within_s=0.0)


def _data(n: int = 3_000) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, 4))
    return X, X[:, 0] + rng.normal(size=n)


def test_without_time_the_fewest_rows_are_read_and_all_are_counted() -> None:
    X, y = _data()
    table = make_table(X, y, thinning=NO_TIME)
    assert table.kept is not None
    rows = np.flatnonzero(table.kept)
    assert table.n_rows == len(rows) == FEWEST_ROWS_READ
    assert table.facts.n_rows == 3_000
    assert np.array_equal(table.X, X[rows])
    assert np.array_equal(table.y, y[rows])
    assert table.facts.target_mean == pytest.approx(y.mean())
    assert [note.code for note in table.notes] == ["read-in-part"]


def test_rows_are_read_in_proportion_to_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that charges 1 s for 50 rows and 10 s for the most that are tried: 8 s buy what a line says."""
    X, y = _data(200_000)
    tried = 500_000 // X.shape[1]
    ticks = iter([0.0, 1.0, 0.0, 1.0, 0.0, 10.0])
    monkeypatch.setattr(thinning, "time", SimpleNamespace(perf_counter=lambda: next(ticks)))
    table = make_table(X, y, thinning=Thinning(within_s=8.0))
    assert table.n_rows == 50 + int(7.0 / (9.0 / (tried - 50)))


def test_more_columns_than_there_is_time_for_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fifty columns take a second by this clock; a budget of 4 s, of which a twentieth is for reading."""
    X, y = _data()
    wide = pd.DataFrame(np.tile(X, 100))
    ticks = iter(range(100))
    monkeypatch.setattr(thinning, "time", SimpleNamespace(perf_counter=lambda: next(ticks)))
    with pytest.raises(ParameterError, match=r"200 rows of 400 columns take about 8 s, got 4 s; raise it"):
        make_table(wide, y, thinning=Thinning(within_s=4.0 * READ_SHARE))
    assert make_table(wide, y, thinning=Thinning(within_s=10.0 * READ_SHARE)).facts.n_features == 400


def test_with_time_enough_all_rows_are_read() -> None:
    X, y = _data()
    table = make_table(X, y, thinning=Thinning(within_s=1e6))
    assert table.n_rows == 3_000
    assert table.kept is None


def test_every_class_keeps_rows_and_its_share() -> None:
    X, _ = _data()
    y = np.array(["often"] * 2_980 + ["seldom"] * 20)
    table = make_table(X, y, thinning=NO_TIME)
    counts = np.bincount(table.y)
    assert counts[1] >= FEWEST_ROWS_READ_OF_CLASS
    assert table.facts.class_counts == (2_980, 20)
    assert table.weight is not None
    shares = np.bincount(table.y, weights=table.weight) / table.weight.sum()
    assert shares == pytest.approx([2_980 / 3_000, 20 / 3_000])


def test_rows_left_out_before_are_not_read() -> None:
    X, y = _data()
    weight = np.ones(3_000)
    y[::2], weight[1::4] = np.nan, 0.0
    table = make_table(X, y, sample_weight=weight, thinning=NO_TIME)
    assert table.facts.n_rows == 750
    assert table.kept is not None
    assert set(np.flatnonzero(table.kept) % 4) == {3}


@pytest.mark.parametrize("kind", ["array", "frame", "sparse"])
def test_values_that_are_missing_in_unread_rows_are_expected(kind: str) -> None:
    X, y = _data()
    unread = np.flatnonzero(~_kept(X, y))
    X[unread[0], 2] = np.nan
    given: Any = {"array": X, "frame": pd.DataFrame(X), "sparse": sparse.csr_array(X)}[kind]
    table = make_table(given, y, thinning=NO_TIME)
    assert [column.has_missing for column in table.facts.columns] == [False, False, True, False]


def _kept(X: Any, y: Any) -> Any:
    return make_table(X, y, thinning=NO_TIME).kept


def test_an_advice_on_some_rows_is_built_and_fitted_on_all() -> None:
    X, y = _data()
    X[~_kept(X, y)] = np.nan
    advice = advise(X, y, budget=1e-6)
    assert advice.record.data.n_rows == 3_000
    assert {"read-in-part", "not-looked"} <= {note.code for note in advice.record.notes}
    assert np.isfinite(advice.build().fit(X, y).predict(X)).all()


def test_rows_that_were_asked_for_are_all_read() -> None:
    X, y = _data()
    advice = advise(X, y, budget=1e-6, sample=np.arange(1_000))
    assert "read-in-part" not in {note.code for note in advice.record.notes}


def test_where_reading_took_the_budget_nothing_is_prepared() -> None:
    X, y = _data(300)
    table, family = make_table(X, y), LinearFamily()
    situation = situation_of(table, family, folds=5, may_choose=True)
    known = {"table": table, "family": family, "situation": situation}
    ladder = partial(Ladder, **known, seed=0, budget=1e6, effort=None, started_s=0.0)
    rung = ladder(read_s=1e6).choose()
    assert rung.obstacle is not None
    assert rung.obstacle.endswith("the budget is 1,000,000 s: too little is left to train anything.")
    assert ladder(read_s=0.0).choose().obstacle is None
