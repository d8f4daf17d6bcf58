"""Which rows train and which test, which rows are not independent, and the halves of the oracle."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import GroupShuffleSplit, ShuffleSplit, StratifiedShuffleSplit

from regadvisor.data.rows import as_series, read_time
from regret.data import DataSet, Rows

TEST_SHARE = 0.3
#: From so many rows on, a split costs much and tells little more: two at most.
MANY_ROWS = 5_000
#: Every further split of a time-ordered set ends this share of the time line earlier, at most three.
EARLIER = 0.1
MOST_TIME_SPLITS = 3
#: Rows near in time are not independent: test rows of a time-ordered set count as so many blocks.
TIME_BLOCKS = 10
#: Random halvings of the test rows, each used both ways: one alone is mostly noise on small sets.
N_HALVINGS = 10


@dataclass(frozen=True, kw_only=True, eq=False)
class Split:
    """Row numbers of the data set to train on and to test on, both ascending in time where there is one.

    ``cluster`` (n_test,) numbers test rows that are not independent (groups, blocks of time); None: all are.
    """

    number: int
    train: Rows
    test: Rows
    cluster: Rows | None

    @property
    def both(self) -> Rows:
        """Training rows, then test rows."""
        return np.concatenate([self.train, self.test])


def n_splits(data: DataSet, wanted: int) -> int:
    """Return how many splits are made: fewer for large and for time-ordered sets."""
    if data.time is not None:
        wanted = min(wanted, MOST_TIME_SPLITS)
    return min(wanted, 2) if data.n_rows >= MANY_ROWS else wanted


def make_split(data: DataSet, number: int) -> Split:
    """Return one 70/30 split: the last 30% in time, whole groups, or at random (stratified by class).

    Test rows of classes that no training row has are left out: no model can know them.
    """
    if data.time is not None:
        train, test = _in_time(data, number)
    elif data.groups is not None:
        splitter = GroupShuffleSplit(n_splits=1, test_size=TEST_SHARE, random_state=number)
        train, test = next(splitter.split(data.y, groups=data.groups))
    else:
        train, test = _random(data, number)
    if data.task == "classification":
        test = test[data.y.iloc[test].isin(data.y.iloc[train].unique()).to_numpy()]
    return Split(number=number, train=train, test=test, cluster=_clusters(data, test))


def _in_time(data: DataSet, number: int) -> tuple[Rows, Rows]:
    position = read_time(as_series(data.time, name="time"))
    order = np.argsort(position, kind="stable")
    order = order[: round(len(order) * (1 - EARLIER * number))]
    cut = round(len(order) * (1 - TEST_SHARE))
    is_early = position[order] < position[order[cut]]
    return order[is_early], order[~is_early]


def _random(data: DataSet, number: int) -> tuple[Rows, Rows]:
    if data.task == "regression":
        splitter = ShuffleSplit(n_splits=1, test_size=TEST_SHARE, random_state=number)
        train, test = next(splitter.split(data.y))
        return np.sort(train), np.sort(test)
    counts = data.y.map(data.y.value_counts()).to_numpy()
    often, once = np.flatnonzero(counts > 1), np.flatnonzero(counts == 1)
    stratified = StratifiedShuffleSplit(n_splits=1, test_size=TEST_SHARE, random_state=number)
    train, test = next(stratified.split(often, data.y.iloc[often]))
    return np.sort(np.concatenate([often[train], once])), np.sort(often[test])


def _clusters(data: DataSet, test: Rows) -> Rows | None:
    if data.groups is not None:
        return np.unique(data.groups.iloc[test], return_inverse=True)[1]
    if data.time is not None:
        return (np.arange(len(test)) * TIME_BLOCKS // len(test)).astype(np.intp)
    return None


def halves(split: Split) -> NDArray[np.bool_]:
    """Return masks of halves of the test rows, shape (2 · N_HALVINGS, n_test); clusters stay together.

    Every second mask is the complement of the one before. No half is empty.
    """
    n_test = len(split.test)
    cluster = np.arange(n_test) if split.cluster is None else split.cluster
    n_clusters = int(cluster.max()) + 1
    rng = np.random.default_rng([split.number, 17])
    masks = []
    for _ in range(N_HALVINGS):
        chosen = np.zeros(n_clusters, dtype=bool)
        chosen[rng.permutation(n_clusters)[: n_clusters // 2]] = True
        masks += [chosen[cluster], ~chosen[cluster]]
    return np.stack(masks)
