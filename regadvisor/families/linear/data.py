"""The sample encoded inside every fold, ready for the solvers: dense and centred, or sparse."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from regadvisor.data.table import Table
from regadvisor.errors import DataError
from regadvisor.families.base import Fold, Prepared
from regadvisor.families.estimator.encoder import Encoder
from regadvisor.families.fitted.losses import RowLoss
from regadvisor.families.linear.problem import Floats, Matrix, Problem, dense
from regadvisor.families.preprocess import FEWEST_SPARSE_COLUMNS

#: Encoded folds larger than this are refused: solvers work on them in memory.
LARGEST_BYTES = 2_000_000_000
#: Tables of many columns are stored sparse below this share of entries that differ from their column's
#: smallest value (in a table of words: from "not there"). Above it, dense products take less time: on the 285
#: levels of 60 columns a third.
SPARSE_SHARE = 0.1
#: Rows that are asked: all of a wide table took a third of the time of encoding it.
ROWS_ASKED = 100


@dataclass(frozen=True, kw_only=True, eq=False)
class LinearFold:
    """One fold, encoded."""

    #: The training rows.
    problem: Problem
    #: (n_test, n_features): shifted as the training rows are.
    X_test: Matrix
    #: `y_train`, `y_test` (n,) or (n, n_targets): class codes, or the targets in their own units.
    y_train: NDArray[Any]
    y_test: NDArray[Any]
    #: Codes of the classes that the training rows have (classification).
    classes: NDArray[np.intp]
    #: Classes of the source (0 for regression).
    n_classes: int
    #: `target_mean`, `target_sd` (n_targets,): weighted moments of the training targets (regression).
    target_mean: Floats
    target_sd: Floats
    #: (n_features,): where the fold's features are among the names of the whole sample's encoding; -1: not
    #: there.
    positions: NDArray[np.intp]

    def outputs(self, Z: Floats) -> Floats:
        """Return what the loss reads of linear predictors (n, n_outputs).

        Targets in their own units, or probabilities of all classes of the source, (n, n_classes): 0 for one
        that the training rows lack.
        """
        if not self.problem.is_classification:
            return self.target_mean + self.target_sd * Z
        chances = np.zeros((len(Z), self.n_classes))
        if len(self.classes) == 1:
            chances[:, self.classes[0]] = 1.0
            return chances
        known = self.problem.probabilities(Z)
        chances[:, self.classes] = np.hstack([1 - known, known]) if known.shape[1] == 1 else known
        return chances


@dataclass(frozen=True, kw_only=True, eq=False)
class LinearPrepared(Prepared):
    """The sample; each fold is encoded when it is first asked for."""

    #: `loss`, `unit`: of a row, and what it is divided by.
    loss: RowLoss
    unit: Floats
    #: Number of a fold → the fold, encoded.
    fold: Callable[[int], LinearFold]


def encode_fold(
    sample: Table,
    fold: Fold,
    encoder: Encoder,
    *,
    names: Sequence[str] | None = None,
    n_folds: int,
    has_intercept: bool = True,
) -> LinearFold:
    """Fit the preprocessing on the training rows of a fold, encode both sides and set up the problem.

    `encoder`: unfitted; fitted here. `names`: names after encoding of the whole sample; None: those of this
    fold. `n_folds`: number of folds that will be held in memory together.

    Raises DataError if the dense encoded folds would not fit into memory.
    """
    # Rows that weigh nothing have no say in the fit, and would divide by zero in it.
    rows = fold.train if sample.weight is None else fold.train[sample.weight[fold.train] > 0]
    train = sample.take(rows)
    weight = np.ones(len(rows)) if train.weight is None else np.asarray(train.weight, dtype=np.float64)
    weight = weight / weight.sum()
    y_train = train.y if sample.is_classification else train.targets
    encoded = encoder.fit_transform(train)
    _check_size(encoded, sample.n_rows, n_folds)
    test = encoder.transform(sample.take(fold.test))
    X, X_test = _shifted(encoded, test, weight, is_free=has_intercept)
    own = encoder.names
    mean, sd, classes, T = _targets(train, weight, has_intercept=has_intercept)
    where = {name: position for position, name in enumerate(own if names is None else names)}
    return LinearFold(
        problem=Problem(
            X=X,
            T=T,
            weight=weight,
            is_classification=sample.is_classification,
            free=encoder.free,
            has_intercept=has_intercept,
        ),
        X_test=X_test,
        y_train=y_train,
        y_test=sample.y[fold.test] if sample.is_classification else sample.targets[fold.test],
        classes=classes,
        n_classes=sample.n_classes,
        target_mean=mean,
        target_sd=sd,
        positions=np.array([where.get(name, -1) for name in own], dtype=np.intp),
    )


def _columns(table: Table) -> list[Floats]:
    """Return the target's columns, each by itself in memory: sums over one do not depend on the others."""
    return [np.ascontiguousarray(column, dtype=np.float64) for column in table.targets.T]


def _targets(
    train: Table, weight: Floats, *, has_intercept: bool
) -> tuple[Floats, Floats, NDArray[np.intp], Floats]:
    """Return means, sds, the classes present and the target as the solvers want it."""
    if not train.is_classification:
        columns = _columns(train)
        means = [float(weight @ y) for y in columns]
        deviations = zip(columns, means, strict=True)
        sd = np.array([float(np.sqrt(weight @ np.square(y - c))) or 1.0 for y, c in deviations])
        mean = np.array(means) * has_intercept
        T = np.array([(y - c) / s for y, c, s in zip(columns, mean, sd, strict=True)]).T
        return mean, sd, np.empty(0, dtype=np.intp), T
    y = train.y
    # A class whose rows all weigh nothing is as good as absent.
    classes = np.unique(y[weight > 0]).astype(np.intp)
    T = (y[:, None] == classes[None, :]).astype(np.float64, order="F")
    return np.zeros(1), np.ones(1), classes, T[:, 1:] if len(classes) == 2 else T


def _shifted(train: Any, test: Any, weight: Floats, *, is_free: bool) -> tuple[Matrix, Matrix]:
    """Return encoded training and test rows as the solvers take them, all columns shifted alike.

    Shifts change no weight, because the intercept is free. So sparse data are not centred, dense data are
    (which decouples the intercept), and a dense table of mostly absent words is shifted such that absent
    is 0 and stored sparse: the fits are those of the dense one.

    `is_free`: whether there is a free intercept; else nothing is shifted.
    """
    if hasattr(train, "tocsc") and train.nnz < SPARSE_SHARE * np.prod(train.shape):
        return sparse.csc_array(train.astype(np.float64)), sparse.csr_array(test.astype(np.float64))
    X, X_test = dense(train), dense(test)
    if not is_free:
        return np.asfortranarray(X), X_test
    if X.shape[1] >= FEWEST_SPARSE_COLUMNS and X.shape[0]:
        some, lowest = X[:: max(1, len(X) // ROWS_ASKED)], X.min(axis=0)
        if np.count_nonzero(some.min(axis=0) != some) < SPARSE_SHARE * some.size:
            return sparse.csc_array(X - lowest), sparse.csr_array(X_test - lowest)
    center = weight @ X
    centred = np.empty(X.shape, order="F")
    return np.subtract(X, center, out=centred), X_test - center


def _check_size(encoded: Any, n_rows: int, n_folds: int) -> None:
    """Raise DataError if folds like this one would take more than :data:`LARGEST_BYTES` together."""
    n_features = encoded.shape[1]
    if hasattr(encoded, "nnz"):
        # A value and an index each; rows and columns of the test rows are stored the other way round.
        size = 12.0 * encoded.nnz * n_rows / max(encoded.shape[0], 1) * n_folds
    else:
        size = 8.0 * n_rows * n_features * n_folds
    if size > LARGEST_BYTES:
        raise DataError(
            f"the features after encoding must fit into {LARGEST_BYTES / 1e9:.0f} GB "
            f"for all {n_folds} folds, got {n_rows} rows x {n_features} features = {size / 1e9:.1f} GB. "
            "Give a smaller sample (sample=...), fewer folds, or fewer or coarser categorical columns"
        )
