"""How strongly columns of any type go together, on one scale.

Every column becomes a *block* of standardised columns that are uncorrelated among themselves: a numeric
column its standardised ranks (one column), a categorical one an orthonormal basis of its centred level
indicators (levels − 1 columns). Then one product gives every classical measure of association, because
with ``C = A'B / n`` for the blocks ``A`` and ``B`` of two columns

- two numeric columns: ``|C|`` is Spearman's rank correlation;
- a numeric and a categorical column: ``Σ C²`` is the squared correlation ratio η² (of the ranks);
- two categorical columns: ``Σ C²`` is χ²/n, so dividing by (fewer levels − 1) gives Cramér's V².

And the whole matrix ``Z'Z / n`` is a correlation matrix (positive semi-definite, unit diagonal) in which a
categorical column's own levels are uncorrelated: its eigenvalues and inverse speak about columns, not
about the trivial dependence of one-hot levels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from regadvisor.data.numbers import some_numbers
from regadvisor.data.table import Table
from regadvisor.thresholds import FEWEST_ROWS_OFF_MODE

#: Levels of one categorical column that get their own indicator; the rarer ones share one.
MOST_LEVELS = 12


@dataclass(frozen=True, kw_only=True, eq=False)
class Blocks:
    """Columns as blocks of standardised, within a block uncorrelated, columns."""

    #: (n_rows, n_encoded): mean 0 and mean square 1 in every column.
    values: NDArray[np.float64]
    #: (n_encoded,): number of the variable that an encoded column belongs to, ascending.
    owner: NDArray[np.intp]
    #: (n_variables,): names of the variables that vary enough to be judged.
    names: tuple[str | int, ...]
    #: (n_variables,).
    is_categorical: NDArray[np.bool_]

    @property
    def n_variables(self) -> int:
        """Columns of the table that are left."""
        return len(self.names)

    @property
    def sizes(self) -> NDArray[np.intp]:
        """Encoded columns of each variable."""
        return np.bincount(self.owner, minlength=self.n_variables)


def draw_rows(n_rows: int, most: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Return at most `most` row numbers, ascending, drawn without replacement."""
    if n_rows <= most:
        return np.arange(n_rows, dtype=np.intp)
    return np.sort(rng.choice(n_rows, size=most, replace=False)).astype(np.intp)


def standardised_ranks(values: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return column-wise average ranks with mean 0 and mean square 1, and which columns vary enough.

    Missing values get the mean rank, so that they carry no information. A column varies enough if at
    least ``FEWEST_ROWS_OFF_MODE`` rows differ from its most frequent value (one, below ten rows); the
    others come back as zeros.

    `values` (n_rows, n_columns): may hold NaN.

    >>> ranks, varies = standardised_ranks(np.array([[1.0, 5.0], [10.0, 5.0], [100.0, 5.0]]))
    >>> ranks[:, 0].round(3).tolist(), varies.tolist()
    ([-1.225, 0.0, 1.225], [True, False])
    """
    n_rows = len(values)
    frame = pd.DataFrame(np.asarray(values, dtype=np.float64))
    ranks = frame.rank().to_numpy(dtype=np.float64, copy=True)
    present = np.isfinite(ranks)
    n_present = present.sum(axis=0)
    with np.errstate(invalid="ignore"):
        ranks -= (n_present + 1) / 2.0  # average ranks of m values always have the mean (m + 1) / 2
    ranks[~present] = 0.0
    scale = np.sqrt(np.mean(ranks**2, axis=0))
    varies = (n_present - _mode_counts(ranks, present, scale) >= _fewest_off_mode(n_rows)) & (scale > 0)
    ranks /= np.where(varies, scale, 1.0)
    ranks[:, ~varies] = 0.0
    return ranks, varies


def _fewest_off_mode(n_rows: int) -> int:
    return FEWEST_ROWS_OFF_MODE if n_rows >= 2 * FEWEST_ROWS_OFF_MODE else 1


def _mode_counts(
    ranks: NDArray[np.float64], present: NDArray[np.bool_], scale: NDArray[np.float64]
) -> NDArray[np.intp]:
    """Return how often the most frequent present value of each column occurs.

    The variance of untied ranks is (m² − 1) / 12; only columns well below it can be nearly constant, and
    only those are counted one by one.
    """
    m = present.sum(axis=0)
    counts = np.ones(ranks.shape[1], dtype=np.intp)
    tied = np.flatnonzero(scale**2 * len(ranks) < 0.9 * m * (m.astype(float) ** 2 - 1) / 12)
    for column in tied:
        kept = ranks[present[:, column], column]
        counts[column] = int(np.unique(kept, return_counts=True)[1].max(initial=0))
    return counts


def categorical_basis(values: pd.Series[Any]) -> NDArray[np.float64]:
    """Return an orthonormal basis of the centred level indicators, shape (n_rows, n_levels − 1).

    "Missing" is a level of its own. Levels beyond the ``MOST_LEVELS`` most frequent and those with fewer
    than ``FEWEST_ROWS_OFF_MODE`` rows are one level, or join the most frequent one if even together they
    are fewer than that. Columns have mean 0 and mean square 1.

    >>> basis = categorical_basis(pd.Series(list("abc" * 5)))
    >>> (basis.T @ basis / 15).round(12).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    n_rows = len(values)
    codes, _ = pd.factorize(values, use_na_sentinel=False)
    counts = np.bincount(codes)
    order = np.argsort(-counts, kind="stable")
    kept = [level for level in order[:MOST_LEVELS] if counts[level] >= _fewest_off_mode(n_rows)]
    # The rest is a level of its own only if it has enough rows; else it joins the most frequent level.
    rest = len(kept) if n_rows - counts[kept].sum() >= _fewest_off_mode(n_rows) else 0
    merged = np.full(len(counts), rest, dtype=np.intp)
    merged[kept] = np.arange(len(kept))
    _, codes = np.unique(merged[codes], return_inverse=True)
    shares = np.bincount(codes) / n_rows
    if shares.size < 2 or n_rows * (1.0 - shares.max()) < _fewest_off_mode(n_rows):
        return np.empty((n_rows, 0))
    indicators = np.eye(shares.size)[codes] - shares
    # One indicator is minus the sum of the others: leave out the last, orthonormalise the rest.
    basis, _ = np.linalg.qr(indicators[:, :-1])
    scaled: NDArray[np.float64] = basis * np.sqrt(n_rows)
    return scaled


def encode(table: Table, *, rng: np.random.Generator, max_rows: int, max_columns: int) -> Blocks:
    """Return the columns of `table` as blocks, from at most `max_rows` rows and `max_columns` columns.

    Columns are drawn at random where there are more. Columns that (nearly) never vary are left out.
    """
    rows = draw_rows(table.n_rows, max_rows, rng)
    columns = draw_rows(table.facts.n_features, max_columns, rng)
    names = [table.facts.columns[j].name for j in columns]
    X = table.X
    if isinstance(X, pd.DataFrame):
        kinds = [table.facts.columns[j].kind for j in columns]
        return _encode_frame(X.iloc[rows, columns], kinds, names)
    ranks, varies = standardised_ranks(some_numbers(X, rows, columns))
    kept = np.flatnonzero(varies)
    return Blocks(
        values=ranks[:, kept],
        owner=np.arange(len(kept), dtype=np.intp),
        names=tuple(names[j] for j in kept),
        is_categorical=np.zeros(len(kept), dtype=bool),
    )


def _encode_frame(frame: pd.DataFrame, kinds: list[str], names: list[str | int]) -> Blocks:
    numbers = np.flatnonzero([kind != "categorical" for kind in kinds])
    ranks, varies = standardised_ranks(some_numbers(frame, at=numbers))
    blocks = {int(j): ranks[:, [i]] for i, j in enumerate(numbers) if varies[i]}
    for j, kind in enumerate(kinds):
        if kind == "categorical":
            basis = categorical_basis(frame.iloc[:, j])
            if basis.shape[1]:
                blocks[j] = basis
    kept = sorted(blocks)
    sizes = [blocks[j].shape[1] for j in kept]
    return Blocks(
        values=np.hstack([blocks[j] for j in kept]) if kept else np.empty((len(frame), 0)),
        owner=np.repeat(np.arange(len(kept), dtype=np.intp), sizes),
        names=tuple(names[j] for j in kept),
        is_categorical=np.array([kinds[j] == "categorical" for j in kept], dtype=bool),
    )


def correlation_matrix(blocks: Blocks) -> NDArray[np.float64]:
    """Return the correlation matrix of the encoded columns, shape (n_encoded, n_encoded)."""
    matrix: NDArray[np.float64] = blocks.values.T @ blocks.values / len(blocks.values)
    return matrix


def association_matrix(blocks: Blocks, correlation: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how strongly each two variables go together, in [0, 1], shape (n_variables, n_variables).

    |Spearman's ρ| between numeric columns; with a categorical column the bias-corrected correlation ratio
    (ε of Kelley 1935) or Cramér's V (Bergsma 2013, J. Korean Stat. Soc. 42:323): in both, what independent
    columns give on average is subtracted before the root.

    `correlation` (n_encoded, n_encoded): from :func:`correlation_matrix`.
    """
    starts = np.concatenate([[0], np.cumsum(blocks.sizes)[:-1]])
    if not blocks.is_categorical.any():
        return np.clip(np.abs(correlation), 0.0, 1.0)
    squared = np.add.reduceat(np.add.reduceat(correlation**2, starts, axis=0), starts, axis=1)
    free = blocks.sizes.astype(np.float64)  # levels − 1; 1 for a numeric column
    n = len(blocks.values)
    chance = np.outer(free, free) / (n - 1)
    # Bergsma shrinks the levels as well: r~ = r − (r − 1)² / (n − 1), with r − 1 degrees of freedom.
    shrunk = np.where(blocks.is_categorical, free - free**2 / (n - 1), 1.0)
    most = np.where(
        np.logical_and.outer(blocks.is_categorical, blocks.is_categorical),
        np.minimum.outer(shrunk, shrunk),
        1.0 - chance,
    )
    is_numeric_pair = np.logical_not(np.logical_or.outer(blocks.is_categorical, blocks.is_categorical))
    share = np.where(is_numeric_pair, squared, np.maximum(0.0, squared - chance) / np.maximum(most, 1e-12))
    result: NDArray[np.float64] = np.sqrt(np.clip(share, 0.0, 1.0))
    np.fill_diagonal(result, 1.0)
    return result
