"""Bootstrap counts and the matrix products over them, in chunks that bound the memory."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

#: Columns per chunk: 500 draws × 4,096 columns of float64 are 16 MB.
CHUNK = 4096


def bootstrap_counts(n: int, n_draws: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return how often each of `n` things is drawn in each of `n_draws` bootstrap samples of size `n`.

    One byte each: a count over 255 needs n > 255 and has then a probability below 1e-500.

    Examples
    --------
    >>> counts = bootstrap_counts(4, 3, np.random.default_rng(0))
    >>> counts.shape, counts.sum(axis=1).tolist()
    ((3, 4), [4, 4, 4])
    """
    counts = np.empty((n_draws, n), dtype=np.uint8)
    for draw in counts:
        draw[:] = np.bincount(rng.integers(n, size=n), minlength=n)
    return counts


def counted_sums(counts: NDArray[np.uint8], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ``counts @ values.T``: the sum of each row of `values` in each draw, (n_draws, n_values)."""
    return counted_sums_of(counts, [values])[0]


def counted_sums_of(
    counts: NDArray[np.uint8], parts: Sequence[NDArray[np.float64]]
) -> list[NDArray[np.float64]]:
    """Return :func:`counted_sums` of several arrays; the counts become floats once for all of them."""
    sums = [np.zeros((len(counts), len(values))) for values in parts]
    for start in range(0, counts.shape[1], CHUNK):
        columns = slice(start, start + CHUNK)
        chunk = counts[:, columns].astype(np.float64)
        for total, values in zip(sums, parts, strict=True):
            total += chunk @ values[:, columns].T
    return sums


def out_of_bag_shares(
    counts: NDArray[np.uint8], picks: NDArray[np.intp], n_choices: int
) -> NDArray[np.float64]:
    """Return how the draws that leave a thing out have picked.

    Parameters
    ----------
    counts : ndarray of uint8, shape (n_draws, n)
    picks : ndarray of intp, shape (n_draws,)
        What each draw picked, in ``0 … n_choices - 1``.

    Returns
    -------
    ndarray, shape (n_choices, n)
        Share of each choice among the draws whose count is 0; columns sum to 1. A thing that every draw
        holds (few draws or few things) gets the shares of all draws.
    """
    # float32 holds these whole numbers exactly, at half the time and memory.
    is_picked = (picks == np.arange(n_choices)[:, None]).astype(np.float32)
    shares = np.empty((n_choices, counts.shape[1]), dtype=np.float32)
    for start in range(0, counts.shape[1], CHUNK):
        columns = slice(start, start + CHUNK)
        shares[:, columns] = is_picked @ (counts[:, columns] == 0).astype(np.float32)
    n_out = shares.sum(axis=0)
    shares[:, n_out == 0] = is_picked.sum(axis=1, keepdims=True)
    return np.asarray(shares / shares.sum(axis=0, dtype=np.float64))
