"""How the features go together: a map for the reader, read by no question."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import squareform

from regadvisor.data.table import Table
from regadvisor.evidence.associations import association_matrix, correlation_matrix, encode
from regadvisor.records import FeatureFacts, FeaturePair
from regadvisor.thresholds import FEWEST_ROWS_TO_MEASURE

#: Rows and columns that are looked at: correlations are then known to 0.03, in some hundredths of a second.
_MOST_ROWS, _MOST_COLUMNS = 1_000, 200
#: Features on the map, and pairs that are named.
_MOST_ON_MAP, _MOST_PAIRS = 25, 10


def map_features(table: Table, *, seed: int) -> FeatureFacts | None:
    """Return how the features of `table` go together; None if fewer than two vary, or rows are too few.

    Parameters
    ----------
    table : Table
    seed : int
        For the rows and columns drawn where there are more than are looked at.

    Examples
    --------
    >>> from regadvisor.data.source import make_table
    >>> x = np.random.default_rng(0).normal(size=(50, 1))
    >>> found = map_features(make_table(np.hstack([x, -x, x**2]), x[:, 0]), seed=0)
    >>> found.pairs[0]
    FeaturePair(a='0', b='1', strength=-1.0)
    """
    rng = np.random.default_rng(seed)
    blocks = encode(table, rng=rng, max_rows=_MOST_ROWS, max_columns=_MOST_COLUMNS)
    n_rows = len(blocks.values)
    if blocks.n_variables < 2 or n_rows < FEWEST_ROWS_TO_MEASURE:
        return None
    correlation = correlation_matrix(blocks)
    strengths = association_matrix(blocks, correlation)
    numeric = np.flatnonzero(~blocks.is_categorical)
    first = np.concatenate([[0], np.cumsum(blocks.sizes)[:-1]])[numeric]
    strengths[np.ix_(numeric, numeric)] = np.clip(correlation[np.ix_(first, first)], -1.0, 1.0)
    names = [str(name) for name in blocks.names]
    place = _on_map(np.abs(strengths))
    return FeatureFacts(
        n_seen=blocks.n_variables,
        n_rows=n_rows,
        n_features=table.facts.n_features,
        # A category has a column for each level but one, uncorrelated with one another: counted as features.
        effective_rank=_effective_rank(correlation) * blocks.n_variables / len(correlation),
        pairs=_pairs(strengths, names),
        names=tuple(names[j] for j in place),
        strengths=tuple(
            tuple(round(float(strengths[j, other]), 2) for other in place[:number])
            for number, j in enumerate(place)
        ),
    )


def _effective_rank(correlation: NDArray[np.float64]) -> float:
    """Return exp of the entropy of the eigenvalues' shares (Roy and Vetterli 2007)."""
    eigenvalues = np.clip(np.linalg.eigvalsh(correlation), 0.0, None)
    shares = eigenvalues[eigenvalues > 1e-12] / eigenvalues.sum()
    return float(np.exp(-np.sum(shares * np.log(shares))))


def _pairs(strengths: NDArray[np.float64], names: list[str]) -> tuple[FeaturePair, ...]:
    rows, columns = np.triu_indices(len(names), k=1)
    values = strengths[rows, columns]
    order = np.argsort(-np.abs(values), kind="stable")[:_MOST_PAIRS]
    return tuple(
        FeaturePair(a=names[rows[k]], b=names[columns[k]], strength=round(float(values[k]), 4)) for k in order
    )


def _on_map(strengths: NDArray[np.float64]) -> list[int]:
    """Return the features with the strongest partners, those of a cluster (average linkage) side by side."""
    others = strengths.copy()
    np.fill_diagonal(others, 0.0)
    kept = np.sort(np.argsort(-others.max(axis=0), kind="stable")[:_MOST_ON_MAP])
    if len(kept) < 3:
        return [int(j) for j in kept]
    distance = 1.0 - others[np.ix_(kept, kept)]
    np.fill_diagonal(distance, 0.0)
    order = leaves_list(linkage(squareform(distance, checks=False), method="average"))
    return [int(kept[j]) for j in order]
