"""How well columns predict a target, at next to no cost: ridge regression in closed form, and neighbours."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

#: Ridge penalties tried, in units of the rows; the best is taken, as a search would.
_PENALTIES = 10.0 ** np.arange(-4, 2.0)
#: Neighbours that vote.
_NEIGHBOURS = (1, 3)
N_FOLDS = 4


def random_folds(n_rows: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Return the fold of each row, balanced."""
    return rng.permutation(np.arange(n_rows) % N_FOLDS).astype(np.intp)


def group_folds(groups: NDArray[np.intp], rng: np.random.Generator) -> NDArray[np.intp]:
    """Return the fold of each row; rows of a group share one, and folds are about equally large."""
    counts = np.bincount(groups)
    fold, filled = np.zeros(len(counts), dtype=np.intp), np.zeros(N_FOLDS)
    order = rng.permutation(len(counts))
    for group in order[np.argsort(-counts[order], kind="stable")]:
        fold[group] = np.argmin(filled)
        filled[fold[group]] += counts[group]
    return fold[groups]


def ridge(
    features: NDArray[np.float64], y: NDArray[np.float64], folds: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Return held-out predictions of the best ridge regression.

    Parameters
    ----------
    features : ndarray, shape (n_rows, n_features), standardised
    y : ndarray, shape (n_rows, n_targets)
    folds : ndarray of int, shape (n_rows,)

    Examples
    --------
    >>> x = np.linspace(-1.7, 1.7, 40)[:, None]
    >>> folds = np.arange(40) % 4
    >>> bool(np.abs(ridge(x, 2 * x, folds) - 2 * x).max() < 0.01)
    True
    """
    held_out = np.zeros((len(_PENALTIES), *y.shape))
    for fold in np.unique(folds):
        test = folds == fold
        own, target = features[~test], y[~test]
        centre, mean = own.mean(axis=0), target.mean(axis=0)
        own, new = own - centre, features[test] - centre
        is_wide = own.shape[1] > len(own)
        gram = own @ own.T if is_wide else own.T @ own
        values, vectors = np.linalg.eigh(gram)
        right = vectors.T @ (target - mean if is_wide else own.T @ (target - mean))
        left = (new @ own.T if is_wide else new) @ vectors
        for i, penalty in enumerate(_PENALTIES * len(own)):
            held_out[i, test] = mean + (left / (np.maximum(values, 0.0) + penalty)) @ right
    errors = np.square(held_out - y).mean(axis=(1, 2))
    return np.asarray(held_out[np.argmin(errors)])


def neighbours(
    features: NDArray[np.float64], y: NDArray[np.float64], folds: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Return held-out predictions by the nearest row or the mean of three; see :func:`ridge`."""
    held_out = np.zeros((len(_NEIGHBOURS), *y.shape))
    for fold in np.unique(folds):
        test = folds == fold
        apart = distances(features[test], features[~test])
        for i, few in enumerate(_NEIGHBOURS):
            nearest = np.argpartition(apart, few, axis=1)[:, :few]
            held_out[i, test] = y[~test][nearest].mean(axis=1)
    errors = np.square(held_out - y).mean(axis=(1, 2))
    return np.asarray(held_out[np.argmin(errors)])


def distances(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return squared distances between rows, shape (n_a, n_b)."""
    squared = np.square(a).sum(axis=1)[:, None] + np.square(b).sum(axis=1) - 2 * (a @ b.T)
    return np.asarray(np.maximum(squared, 0.0))


def error(predicted: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """Return the squared error as a share of the variance (1: no better than the mean), over all targets."""
    spread = np.square(y - y.mean(axis=0)).mean(axis=0)
    return float(np.mean(np.square(predicted - y).mean(axis=0) / np.where(spread > 0, spread, np.inf)))


def as_columns(y: NDArray[np.float64], *, is_classification: bool) -> NDArray[np.float64]:
    """Return a target (n_rows, n_targets) as columns to regress on: 0 and 1 for every class.

    Examples
    --------
    >>> as_columns(np.array([[0.0], [1.0], [2.0]]), is_classification=True).tolist()
    [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    """
    if not is_classification:
        return y
    return np.asarray((y == np.unique(y)).astype(np.float64))
