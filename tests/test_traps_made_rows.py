"""Rows that were made of others, and honest ones that lie on lines as well."""

import numpy as np
import pandas as pd
import pytest

from regadvisor.data.source import make_table
from regadvisor.traps.find import find_traps
from regadvisor.traps.view import View

N = 500
R = np.random.default_rng(0)
X = pd.DataFrame(R.normal(size=(N, 3)), columns=["a", "b", "c"])
NOISE = R.normal(size=N)
N_MADE = 300


def said(X, y):
    return {note.code: note.text for note in find_traps(make_table(X, y), seed=0)}


def with_made(rows, n_digits=12):
    """Return rows, the first 60 of which, with one of five neighbours each, N_MADE more are made of."""
    r = np.random.default_rng(1)
    first, share = r.integers(0, 60, size=N_MADE), r.random((N_MADE, 1))
    apart = np.square(rows[first, None] - rows[:60]).sum(axis=2)
    second = np.argsort(apart, axis=1)[np.arange(N_MADE), r.integers(1, 6, size=N_MADE)]
    made = share * rows[first] + (1 - share) * rows[second]
    return np.vstack([rows, made]).round(n_digits)


@pytest.mark.parametrize("n_digits", [12, 6])
def test_rows_between_two_others_of_their_class_are_told(n_digits):
    rows = with_made(X.to_numpy(), n_digits)
    y = np.r_[np.arange(N) < 60, np.ones(N_MADE)].astype(int)
    order = R.permutation(len(y))
    text = said(rows[order], y[order])["made-rows"]
    assert "of the rows lie exactly between two others, as those made by SMOTE" in text
    assert text.endswith("class_weight='balanced' makes a rare class count as well.")
    assert "Ask about the original rows only." in said(rows, np.r_[NOISE, NOISE[:N_MADE]])["made-rows"]


def test_rows_that_lie_on_lines_otherwise_are_not_told():
    few = X.to_numpy().copy()
    few[:, 1:] = few[R.integers(0, 20, size=N), 1:]  # variants that differ in one column
    grid = R.integers(0, 300, size=(N, 4)).astype(float)
    turn = np.linspace(0, 40, N)
    plane = np.column_stack([np.sin(turn + shift) for shift in range(5)])
    line = turn[:, None] * np.arange(1.0, 5.0)
    for rows in (X.to_numpy(), few, grid, plane, line, X.round(1).to_numpy()):
        assert "made-rows" not in said(rows, NOISE)


def test_values_may_be_missing_in_rows_that_are_not_looked_at():
    table = pd.DataFrame(R.normal(size=(2_100, 4)), columns=list("abcd"))
    seen = View.of(make_table(table, table["a"]), seed=0).rows
    table.loc[np.setdiff1d(np.arange(2_100), seen), "b"] = np.nan
    assert "made-rows" not in said(table, R.normal(size=2_100))
