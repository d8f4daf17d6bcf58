"""Folds with training rows of their own."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest

from regadvisor import advise
from regadvisor.data.source import make_table
from regadvisor.data.table import Table
from regadvisor.families.base import Fold, fold_of_row, rows_learned
from regadvisor.families.neural.recipe import Recipe
from regadvisor.plan.plan import rows_for_blocks
from regadvisor.sampling.blocks import in_blocks
from regadvisor.sampling.draw import Drawn, draw_sample

N_TRAIN = 80


def table(n_rows: int = 2_000, *, classes: tuple[float, ...] = (0.7, 0.3), seed: int = 0) -> Table:
    rng = np.random.default_rng(seed)
    y = rng.choice(len(classes), size=n_rows, p=classes)
    return make_table(rng.standard_normal((n_rows, 4)) + y[:, None], y, task="classification")


def blocks(source: Table, n_train: int = N_TRAIN) -> tuple[Drawn, Drawn | None]:
    n_drawn = rows_for_blocks(n_train, 5, source.n_rows)
    assert n_drawn is not None
    drawn = draw_sample(source, n_rows=n_drawn, folds=5, seed=3)
    return drawn, in_blocks(drawn, n_train=n_train, seed=3)


def test_no_row_is_used_twice() -> None:
    drawn, cut = blocks(table())
    assert cut is not None
    parts = [part for fold in cut.folds for part in (fold.train, fold.test)]
    for one, other in combinations(parts, 2):
        assert not np.intersect1d(one, other).size
    assert sum(map(len, parts)) == drawn.table.n_rows == 800


def test_every_fold_trains_on_what_was_asked_and_tests_the_rest_of_its_part() -> None:
    drawn, cut = blocks(table())
    assert cut is not None
    of_row = fold_of_row(cut.folds, cut.table.n_rows)
    for number, (before, fold) in enumerate(zip(drawn.folds, cut.folds, strict=True)):
        assert len(fold.train) == N_TRAIN
        np.testing.assert_array_equal(np.union1d(fold.train, fold.test), before.test)
        assert set(of_row[fold.test]) == {number}
        assert set(of_row[fold.train]) == {-1}
    assert cut.evidence.validation == "blocks"
    assert rows_learned(cut.folds, cut.table.n_rows) == N_TRAIN
    assert rows_learned(drawn.folds, drawn.table.n_rows) == drawn.table.n_rows


def test_blocks_have_the_shares_of_the_classes() -> None:
    drawn, cut = blocks(table())
    assert cut is not None
    share = drawn.table.y.mean()
    for fold in cut.folds:
        assert drawn.table.y[fold.train].mean() == pytest.approx(share, abs=2 / N_TRAIN)


def test_blocks_are_spread_over_a_numeric_target() -> None:
    rng = np.random.default_rng(1)
    source = make_table(rng.standard_normal((2_000, 3)), rng.standard_normal(2_000), task="regression")
    drawn, cut = blocks(source)
    assert cut is not None
    means = [drawn.table.y[fold.train].mean() for fold in cut.folds]
    assert np.abs(means).max() < 0.5 / np.sqrt(N_TRAIN)  # plain random blocks scatter by 1 / √n


def test_copies_of_training_rows_are_not_tested() -> None:
    rng = np.random.default_rng(2)
    X = rng.standard_normal((1_000, 3))[rng.integers(0, 1_000, 4_000)]
    source = make_table(X, (X[:, 0] > 0).astype(int), task="classification")
    drawn, cut = blocks(source)
    assert cut is not None
    rows = [tuple(row) for row in np.asarray(drawn.table.X)]
    for fold in cut.folds:
        assert not {rows[i] for i in fold.train} & {rows[i] for i in fold.test}


def test_a_class_too_rare_for_every_block_forbids_them() -> None:
    source = table(n_rows=5_000, classes=(0.998, 0.002))
    assert blocks(source)[1] is None


def test_a_rare_class_is_cross_validated() -> None:
    rng = np.random.default_rng(5)
    X = rng.standard_normal((20_000, 3))
    y = np.where(np.arange(20_000) < 30, 2, X[:, 0] > 0).astype(int)
    record = advise(X, y, model="mlp", effort="quick", recipe=Recipe(epochs=1, hidden=(4,))).record
    assert record.evidence.sample is not None
    assert record.evidence.sample.validation == "stratified"


def test_a_single_block_is_one_fold_of_all_rows() -> None:
    drawn = draw_sample(table(), n_rows=240, folds=2, seed=3)
    cut = in_blocks(drawn, n_train=N_TRAIN, seed=3, is_single=True)
    assert cut is not None
    (fold,) = cut.folds
    assert len(fold.train) == N_TRAIN
    np.testing.assert_array_equal(np.union1d(fold.train, fold.test), np.arange(240))
    assert drawn.table.y[fold.train].mean() == pytest.approx(drawn.table.y.mean(), abs=2 / N_TRAIN)
    assert rows_learned(cut.folds, cut.table.n_rows) == N_TRAIN


def test_a_fold_held_out_of_everything_stands_for_everything() -> None:
    rows = np.arange(100)
    fold = Fold(train=rows[:70], test=rows[70:])
    assert rows_learned([fold], 100) == 100
    assert rows_learned([replace(fold, is_block=True)], 100) == 70


def test_a_single_block_in_time_is_tested_on_what_came_after() -> None:
    rng = np.random.default_rng(0)
    source = make_table(
        rng.standard_normal((900, 2)),
        rng.standard_normal(900),
        time=rng.permutation(900) // 2,
        task="regression",
    )
    drawn = draw_sample(source, n_rows=240, folds=2, seed=3)
    cut = in_blocks(drawn, n_train=N_TRAIN, seed=3, is_single=True)
    assert cut is not None
    assert drawn.table.time is not None
    (fold,) = cut.folds
    assert drawn.table.time[fold.train].max() < drawn.table.time[fold.test].min()
    assert len(fold.train) == N_TRAIN
    assert len(fold.test) == pytest.approx(80, abs=2)
    assert cut.evidence.validation == "time"
    assert len(np.unique(drawn.cluster_of_row[fold.test])) >= 10


def test_too_few_rows_forbid_blocks() -> None:
    assert rows_for_blocks(800, 5, 5_999) is None
    assert rows_for_blocks(800, 5, 6_000) == 6_000
    assert rows_for_blocks(800, 5, 10**6) == 8_000


def test_networks_are_validated_on_blocks_and_say_so() -> None:
    rng = np.random.default_rng(5)
    X = rng.standard_normal((20_000, 3))
    y = (X[:, 0] + rng.standard_normal(20_000) > 0).astype(int)
    advice = advise(X, y, model="mlp", effort="quick", recipe=Recipe(epochs=2, hidden=(8,)))
    sample = advice.record.evidence.sample
    assert sample is not None
    assert (sample.validation, sample.n_rows) == ("blocks", 3 * 3_200)
    assert "3,200 to train on and 6,400 others" in " ".join(advice.to_text().split())
    assert advice.record.evidence.scores is not None
    assert advice.record.evidence.scores.n_folds == 1
    linear = advise(X, y, model="linear", effort="quick").record.evidence.sample
    assert linear is not None
    assert linear.validation == "stratified"
