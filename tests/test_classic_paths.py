"""Every path of the classic chart but one is reached by a real run."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from test_advise import dense_correlated, sparse_wide, strong_and_long

from regadvisor import advise
from regadvisor.flowchart.chart import CLASSIC, OUTCOMES

Data = tuple[np.ndarray, np.ndarray]


def grouped_sparse() -> Data:
    """Three factors, ten noisy copies of each, 200 columns of noise: the elastic net's case for any seed."""
    rng = np.random.default_rng(1)
    factors = rng.normal(size=(150, 3))
    copies = [factors[:, [i]] + 0.5 * rng.normal(size=(150, 10)) for i in range(3)]
    X = np.hstack([*copies, rng.normal(size=(150, 200))])
    return X, factors.sum(axis=1) * 2 + rng.normal(size=150)


def independent(n_signal: int) -> Data:
    rng = np.random.default_rng(1)
    X = rng.normal(size=(1500, 60))
    return X, X[:, :n_signal].sum(axis=1) + 0.5 * rng.normal(size=1500)


def hardly_noisy() -> Data:
    """A weak penalty costs next to nothing, and the weakest L1+L2 is stronger than the weakest L2."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(500, 3))
    return X, X @ np.array([1.0, 1.5, 2.0]) + 0.05 * rng.normal(size=500)


def one_column() -> Data:
    X, y = strong_and_long()
    return X[:, :1], y


NO_SAMPLE: dict[str, Any] = {"sample": False}
NO_BUDGET: dict[str, Any] = {"budget": 0}
RUNS: dict[str, tuple[Data, dict[str, Any]]] = {
    "Q1y Q2y Q4b Q5b l1": (sparse_wide(0), {}),
    "Q1y Q2y Q4b Q5w elasticnet": (grouped_sparse(), {}),
    "Q1y Q2y Q4w Q6b l2": (hardly_noisy(), {}),
    "Q1n Q3y Q3ay l2": (dense_correlated(n_factors=4), NO_SAMPLE),
    "Q1n Q3y Q3an Q3by l2": (independent(60), NO_SAMPLE),
    "Q1n Q3y Q3an Q3bn l1": (independent(3), NO_SAMPLE),
    "Q1n Q3n elasticnet": (one_column(), NO_SAMPLE),
    "Q1y Q2n Q3y Q3ay l2": (dense_correlated(n_factors=4), NO_BUDGET),
    "Q1y Q2n Q3y Q3an Q3by l2": (independent(60), NO_BUDGET),
    "Q1y Q2n Q3y Q3an Q3bn l1": (independent(3), NO_BUDGET),
    "Q1y Q2n Q3n elasticnet": (one_column(), NO_BUDGET),
}


def all_paths(name: str = "Q1", so_far: str = "") -> list[str]:
    if name in OUTCOMES:
        return [so_far + name]
    edges = CLASSIC.questions[name].edges.items()
    return [path for reply, edge in edges for path in all_paths(edge.to, f"{so_far}{name}{reply[0]} ")]


#: L2 is searched down to next to nothing, L1+L2 is not: where no penalty helps, L2 comes out ahead of L1+L2.
BY_HAND = {"Q1y Q2y Q4w Q6w none"}  # tests/test_chart.py walks it


def test_the_runs_are_all_the_paths() -> None:
    assert set(RUNS) | BY_HAND == set(all_paths())


@pytest.mark.parametrize("path", RUNS)
def test_path_is_reached(path: str) -> None:
    (X, y), arguments = RUNS[path]
    walk = advise(X, y, chart="classic", effort="quick", **arguments).record.walk
    assert " ".join([*(f"{s.question}{s.reply[0]}" for s in walk.steps), walk.outcome]) == path
