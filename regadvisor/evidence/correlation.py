"""Q3a: are the features correlated?

Two things make "correlated" matter to a penalty, and each is measured:

- *common factors*: many columns rise and fall together. Eigenvalues of the rank correlation matrix that
  exceed those of independently permuted columns count as factors (parallel analysis, Horn 1965,
  Psychometrika 30:179, with permutations as in Buja and Eyuboglu 1992: right for ties and heavy tails,
  where the Marchenko-Pastur edge is not).
- *collinear columns*: a column is nearly a combination of others, so its coefficient is unstable.
  Variance inflation factors find these, also where there are too few of them to make a factor.

Everything is computed on ranks and, for categorical columns, on orthonormal level indicators (see
:mod:`regadvisor.evidence.associations`), so that one column's own levels never count as correlated.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.sparse.linalg import eigsh
from scipy.spatial.distance import squareform
from sklearn.covariance import ledoit_wolf

from regadvisor.data.table import Table
from regadvisor.evidence.associations import Blocks, association_matrix, correlation_matrix, encode
from regadvisor.records import CorrelationEvidence, FeatureFacts, FeaturePair
from regadvisor.thresholds import (
    COLLINEAR_SHARE,
    EXPLAINED_NO,
    EXPLAINED_YES,
    FEWEST_ROWS_TO_MEASURE,
    MEASURED_COLUMNS,
    MEASURED_ROWS,
    ROWS_PER_INFLATION,
    VIF_NO,
    VIF_YES,
)
from regadvisor.words import titled

#: Added to the diagonal before inverting: exactly collinear columns get a factor of about a million.
_RIDGE = 1e-6
#: Dense eigenvalue solvers are faster than Lanczos below this size.
_SMALL = 80

_EXPLAINED_UNIT = "the share of variance that common factors explain"
_VIF_UNIT = "the largest variance inflation factor"
_COMMON_VIF_UNIT = f"the variance inflation factor that {COLLINEAR_SHARE:.0%} of the columns reach"


@dataclass(frozen=True, kw_only=True)
class Factors:
    """Common factors of a correlation matrix; see :func:`common_factors`."""

    n_factors: int
    explained: float
    edge: float
    effective_rank: float


def measure_correlation(table: Table, *, seed: int) -> CorrelationEvidence:
    """Measure whether the features of `table` are correlated.

    The reply is "yes" if common factors explain at least ``EXPLAINED_YES`` of the variance or at least
    ``COLLINEAR_SHARE`` of the columns have a variance inflation factor of ``VIF_YES``; "no" if both
    statistics are below their lower thresholds; else "unsure". One column is not correlated with
    anything ("no"); fewer than ``FEWEST_ROWS_TO_MEASURE`` rows say nothing ("unsure").

    `table`: never modified. Row weights, groups and time are not used. `seed`: for the rows and columns drawn
    where there are more than are looked at, and for the permutations.

    With `given` None. `margin` is the distance of the deciding statistic to its "yes" threshold, in units of
    that statistic (named by `margin_unit`), at least 0 exactly if the reply is "yes". `n_columns` counts the
    columns looked at; those that (nearly) never vary are left out.
    """
    rng = np.random.default_rng(seed)
    blocks = encode(table, rng=rng, max_rows=MEASURED_ROWS, max_columns=MEASURED_COLUMNS)
    if blocks.n_variables < 2:
        return CorrelationEvidence(measured="no", n_columns=blocks.n_variables)
    if len(blocks.values) < FEWEST_ROWS_TO_MEASURE:
        return CorrelationEvidence(measured="unsure", n_columns=blocks.n_variables)
    correlation = correlation_matrix(blocks)
    factors = common_factors(blocks, correlation, rng)
    inflation = variance_inflation(blocks, correlation)
    worst = int(np.argmax(inflation))
    reply, margin, unit = _judge(factors.explained, inflation)
    return CorrelationEvidence(
        measured=reply,
        explained=factors.explained,
        n_factors=factors.n_factors,
        effective_rank=factors.effective_rank,
        vif=float(inflation[worst]),
        vif_column=titled(blocks.names[worst]),
        n_columns=blocks.n_variables,
        margin=margin,
        margin_unit=unit,
    )


def _judge(
    explained: float, factors: NDArray[np.float64]
) -> tuple[Literal["yes", "no", "unsure"], float, str]:
    """Return the reply, the signed distance to "yes" of the statistic that decides it, and its name.

    A single collinear pair among hundreds of columns is no reason for L2, so the inflation that counts is
    the one that ``COLLINEAR_SHARE`` of the columns reach; a largest one above the threshold that is not
    shared by enough columns still gives "unsure".
    """
    largest = float(factors.max())
    rank = max(1, int(np.ceil(COLLINEAR_SHARE * factors.size)))
    common = float(np.sort(factors)[-rank])
    statistics = [
        (explained / EXPLAINED_YES, explained - EXPLAINED_YES, _EXPLAINED_UNIT),
        ((common - 1.0) / (VIF_YES - 1.0), common - VIF_YES, _VIF_UNIT if rank == 1 else _COMMON_VIF_UNIT),
    ]
    closeness, margin, unit = max(statistics)
    if closeness >= 1:
        return "yes", margin, unit
    if explained < EXPLAINED_NO and common < VIF_NO and largest < VIF_YES:
        return "no", margin, unit
    return "unsure", margin, unit


def common_factors(blocks: Blocks, correlation: NDArray[np.float64], rng: np.random.Generator) -> Factors:
    """Return the factors that the columns have in common.

    A factor is an eigenvalue λ above `edge`, the highest top eigenvalue of columns that were permuted
    independently. It explains λ − 1 − γ, where 1 is a column's own variance and γ = p/n is what
    sampling noise adds to an eigenvalue (Johnstone 2001, Ann. Stat. 29:295); their sum is given as a share
    of the variance that could be common at all: equicorrelated columns give their correlation ρ, and
    identical columns 1. The effective rank is exp of the entropy of the eigenvalues' shares (Roy and
    Vetterli 2007), in [1, n_encoded].

    `correlation` (n_encoded, n_encoded). `rng`: for the permutations.
    """
    n_rows, n_encoded = blocks.values.shape
    # The non-zero eigenvalues of Z'Z and ZZ' are the same: take the smaller matrix.
    small = correlation if n_encoded <= n_rows else blocks.values @ blocks.values.T / n_rows
    eigenvalues = np.clip(np.linalg.eigvalsh(small), 0.0, None)
    edge = _permutation_edge(blocks, rng)
    above = eigenvalues[eigenvalues > edge]
    common = np.maximum(above - 1.0 - n_encoded / n_rows, 0.0).sum()
    # Columns of one block are uncorrelated by construction: no factor can take more than one from each.
    most = n_encoded - n_encoded / blocks.n_variables
    return Factors(
        n_factors=int(above.size),
        explained=float(min(1.0, common / most)),
        edge=edge,
        effective_rank=_effective_rank(eigenvalues),
    )


def _permutation_edge(blocks: Blocks, rng: np.random.Generator) -> float:
    """Return the highest top eigenvalue among data sets whose columns are permuted independently.

    The blocks of categorical columns are permuted as one. Top eigenvalues of large matrices hardly vary
    (as n^(-2/3)), so five draws do there; twenty make a 95% edge for small ones.
    """
    n_rows, n_encoded = blocks.values.shape
    columns = np.ascontiguousarray(blocks.values.T, dtype=np.float32)
    in_order = np.broadcast_to(np.arange(n_rows, dtype=np.int32), (blocks.n_variables, n_rows))
    tops = []
    for _ in range(20 if n_encoded <= 100 else 5):
        order = rng.permuted(in_order, axis=1)
        permuted = np.take_along_axis(columns, order[blocks.owner], axis=1)
        gram = permuted @ permuted.T if n_encoded <= n_rows else permuted.T @ permuted
        tops.append(_top_eigenvalue(gram / n_rows, rng))
    return max(tops)


def _top_eigenvalue(matrix: NDArray[Any], rng: np.random.Generator) -> float:
    if len(matrix) <= _SMALL:
        return float(np.linalg.eigvalsh(matrix.astype(np.float64))[-1])
    start = rng.standard_normal(len(matrix)).astype(matrix.dtype)
    return float(eigsh(matrix, k=1, which="LA", v0=start, tol=1e-3, return_eigenvectors=False)[0])


def variance_inflation(blocks: Blocks, correlation: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how much of each column's coefficient variance is due to the others.

    ``VIF_j = 1 / (1 − R²_j)`` is the j-th diagonal element of the inverse correlation matrix; R² is adjusted
    for the number of columns, so that independent columns give 1 for every p < n/2. For a categorical
    column it is the generalised factor of Fox and Monette (1992, JASA 87:178) per degree of freedom,
    ``det((R⁻¹)_jj)^(1/df)``, which does not depend on the coding of the levels.

    From p = n/2 on the matrix is shrunk (Ledoit and Wolf 2004), which hides collinear pairs; these still
    show by ``1 / (1 − a²)`` with a column's strongest single association, a lower bound.

    A column that is mostly one value shows what it shares with others in its other rows alone: two words
    that occur together in all of 5 texts may well do so in 60% of texts. By the rule of three (Hanley and
    Lippman-Hand 1983, JAMA 249:1743) k rows without an exception leave up to 3/k of it unshared, so no
    more than k/3 is called inflation there.
    """
    n_rows, n_encoded = blocks.values.shape
    is_shrunk = 2 * n_encoded >= n_rows
    matrix = correlation
    if is_shrunk:
        matrix = ledoit_wolf(blocks.values, assume_centered=True)[0]
        scale = np.sqrt(np.diag(matrix))
        matrix = matrix / np.outer(scale, scale)
    inverse = np.linalg.inv(matrix + _RIDGE * np.eye(n_encoded))
    if blocks.n_variables == n_encoded:
        factors = np.diag(inverse).copy()
    else:
        own = [np.flatnonzero(blocks.owner == j) for j in range(blocks.n_variables)]
        log_determinants = [np.linalg.slogdet(inverse[np.ix_(each, each)])[1] for each in own]
        factors = np.exp(np.array(log_determinants) / np.array(list(map(len, own))))
    if is_shrunk:
        pairs = association_matrix(blocks, correlation)
        np.fill_diagonal(pairs, 0.0)
        factors = np.maximum(factors, 1.0 / (1.0 - pairs.max(axis=0) ** 2 + _RIDGE))
    else:
        factors *= (n_rows - n_encoded) / (n_rows - 1)
    factors = np.minimum(factors, _rows_off_majority(blocks) / ROWS_PER_INFLATION)
    return np.maximum(factors, 1.0)


def _rows_off_majority(blocks: Blocks) -> NDArray[np.float64]:
    """Return how many rows do not have the value that most rows have; infinity where none has a majority."""
    # A value that more than half of the rows have is the median (of every encoded column of a block).
    is_median = np.abs(blocks.values - np.median(blocks.values, axis=0)) < 1e-9
    starts = np.concatenate([[0], np.cumsum(blocks.sizes)[:-1]])
    n_equal = np.logical_and.reduceat(is_median, starts, axis=1).sum(axis=0)
    return np.where(2 * n_equal > len(is_median), len(is_median) - n_equal, np.inf)


#: Rows and columns that are looked at: correlations are then known to 0.03, in some hundredths of a second.
_MOST_ROWS, _MOST_COLUMNS = 1_000, 200
#: Features on the map, and pairs that are named.
_MOST_ON_MAP, _MOST_PAIRS = 25, 10


def map_features(table: Table, *, seed: int) -> FeatureFacts | None:
    """Return how the features of `table` go together; None if fewer than two vary, or rows are too few.

    `seed`: for the rows and columns drawn where there are more than are looked at.
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
    eigenvalues = np.clip(np.linalg.eigvalsh(correlation), 0.0, None)
    names = [titled(name) for name in blocks.names]
    place = _on_map(np.abs(strengths))
    return FeatureFacts(
        n_seen=blocks.n_variables,
        n_rows=n_rows,
        n_features=table.facts.n_features,
        # A category has a column for each level but one, uncorrelated with one another: counted as features.
        effective_rank=_effective_rank(eigenvalues) * blocks.n_variables / len(correlation),
        pairs=_pairs(strengths, names),
        names=tuple(names[j] for j in place),
        strengths=tuple(
            tuple(round(float(strengths[j, other]), 2) for other in place[:number])
            for number, j in enumerate(place)
        ),
    )


def _effective_rank(eigenvalues: NDArray[np.float64]) -> float:
    """Return exp of the entropy of the eigenvalues' shares (Roy and Vetterli 2007)."""
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
