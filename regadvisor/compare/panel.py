"""The held-out losses of every configuration on the same rows: what all comparisons start from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regadvisor import thresholds
from regadvisor.errors import ParameterError

#: Sides of a comparison that are not kinds: the best of everything, and predicting the mean or class shares.
ANY = "any"
CONSTANT = "constant"


@dataclass(frozen=True, kw_only=True, eq=False)
class Panel:
    """Held-out losses of every configuration of every kind, paired by row.

    Rows in no test fold (``fold == -1``) and rows of weight zero are dropped when the panel is made, so
    every array has `n_rows` entries afterwards. A configuration with a loss that is not finite in any
    held-out row has diverged: all its losses are set to a ceiling far above the constant's, so that it
    counts as worse than anything that did not diverge and every number stays finite.

    Raises ParameterError if fewer than two rows are left. Rows of a single cluster are resampled one by one,
    and :attr:`is_one_cluster` says that this tells nothing about others.

    >>> panel = Panel(losses={"none": np.array([[1.0, 2.0, np.nan]])}, constant=np.ones(3),
    ...               fold=np.array([0, 1, -1]), n_folds=2)
    >>> panel.n_rows, panel.mean_losses("none").tolist()
    (2, [1.5])
    """

    #: (n_configs, n_rows): by kind, in order of simplicity (ties go to the first). Each kind has its own
    #: number of configurations.
    losses: Mapping[str, NDArray[np.float64]]
    #: (n_rows,): held-out loss of predicting the mean or the class shares.
    constant: NDArray[np.float64]
    #: (n_rows,): test fold of each row, in ``-1 … n_folds - 1``; -1: never held out.
    fold: NDArray[np.intp]
    #: Folds that were tested, at least 2, and parts that the rows were cut into, if these are more.
    n_folds: int
    n_parts: int | None = None
    #: (n_rows,): row weights, at least 0; a weight of 2 counts like the row twice.
    weight: NDArray[np.float64] | None = None
    #: (n_rows,): rows that belong together (a group, copies of one row, a block of time) share a number. They
    #: are resampled together.
    cluster: NDArray[np.intp] | None = None
    #: (n_rows,): where the kept rows were in the arrays given.
    rows: NDArray[np.intp] = field(init=False)
    #: Whether clusters were given, and one is left: a deadline may end the search after one fold.
    is_one_cluster: bool = field(init=False)

    def __post_init__(self) -> None:
        fold = np.asarray(self.fold, dtype=np.intp)
        weight = None if self.weight is None else np.asarray(self.weight, dtype=np.float64)
        is_kept = (fold >= 0) if weight is None else (fold >= 0) & (weight > 0)
        rows = np.flatnonzero(is_kept).astype(np.intp)
        constant = np.asarray(self.constant, dtype=np.float64)[rows]
        cluster = None if self.cluster is None else np.asarray(self.cluster)[rows]
        if cluster is not None:
            cluster = np.unique(cluster, return_inverse=True)[1].astype(np.intp)
        is_one = cluster is not None and not cluster.any()
        values = {
            "losses": _kept_losses(self.losses, rows, constant),
            "constant": constant,
            "fold": fold[rows],
            "weight": None if weight is None else weight[rows],
            "cluster": None if is_one else cluster,
            "rows": rows,
            "is_one_cluster": is_one,
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)  # frozen for everybody else
        if self.n_rows < 2:
            raise ParameterError(f"held-out rows must be at least 2, got {self.n_rows}; give more rows")

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds, in the order given."""
        return tuple(self.losses)

    @property
    def n_rows(self) -> int:
        """Held-out rows."""
        return len(self.rows)

    @property
    def overlap(self) -> float:
        """What training sets that share rows add to the variance of a mean, as a share of the rows' own.

        Test rows over training rows, for each fold that was tested (Nadeau and Bengio 2003).
        """
        return self.n_folds / ((self.n_parts or self.n_folds) - 1)

    @cached_property
    def n_clusters(self) -> int:
        """Clusters, or rows where no clusters were given."""
        return self.n_rows if self.cluster is None else int(self.cluster.max(initial=-1)) + 1

    @cached_property
    def bundle(self) -> NDArray[np.intp] | None:
        """What the bootstrap draws as one, a number per row; None: each row by itself.

        A draw costs as much as it has things. So of more than ``thresholds.MOST_BUNDLES`` clusters some are
        put together at random, which leaves the variance of a mean over rows what it is.
        """
        if self.n_clusters <= thresholds.MOST_BUNDLES:
            return self.cluster
        bundle = np.random.default_rng(0).permutation(self.n_clusters) % thresholds.MOST_BUNDLES
        return bundle if self.cluster is None else bundle[self.cluster]

    @property
    def n_bundles(self) -> int:
        """Things that the bootstrap draws."""
        return min(self.n_clusters, thresholds.MOST_BUNDLES)

    @cached_property
    def share(self) -> NDArray[np.float64]:
        """Weight of each row (n_rows,) as a share of the sum of all weights."""
        if self.weight is None:
            return np.full(self.n_rows, 1.0 / self.n_rows)
        return np.asarray(self.weight / self.weight.sum())

    @cached_property
    def cells(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """The cell (fold × cluster) of each row (n_rows,), and the fold of each cell (n_cells,)."""
        cluster = np.arange(self.n_rows) if self.cluster is None else self.cluster
        codes, cell = np.unique(self.fold * self.n_clusters + cluster, return_inverse=True)
        return cell.astype(np.intp), (codes // self.n_clusters).astype(np.intp)

    def cluster_sums(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the sums over the rows of each cluster, shape (..., n_clusters) for (..., n_rows)."""
        return _sums(values, self.cluster, self.n_clusters)

    def bundle_sums(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the sums over the rows of each bundle, shape (..., n_bundles) for (..., n_rows)."""
        return _sums(values, self.bundle, self.n_bundles)

    def mean_losses(self, kind: str) -> NDArray[np.float64]:
        """Return the weighted mean held-out loss of each configuration of `kind`, shape (n_configs,)."""
        return np.asarray(self.losses[kind] @ self.share)


def _sums(values: NDArray[np.float64], label: NDArray[np.intp] | None, n: int) -> NDArray[np.float64]:
    """Return sums over the entries of each label, along the last axis; `values` themselves without labels."""
    if label is None:
        return values
    flat = values.reshape(-1, values.shape[-1])
    sums = [np.bincount(label, weights=row, minlength=n) for row in flat]
    return np.stack(sums).reshape((*values.shape[:-1], n))


def _kept_losses(
    losses: Mapping[str, NDArray[Any]], rows: NDArray[np.intp], constant: NDArray[np.float64]
) -> dict[str, NDArray[np.float64]]:
    """Return the losses of the kept rows, bounded; a configuration that diverged has the bound in each."""
    kept = {kind: np.asarray(values, dtype=np.float64)[:, rows] for kind, values in losses.items()}
    # A ceiling in units of the constant keeps every result free of the unit of the loss.
    scale = float(constant.mean()) if len(constant) else 0.0
    ceiling = thresholds.LARGEST_LOSS * (scale if scale > 0 else 1.0)
    for values in kept.values():
        values[~np.isfinite(values).all(axis=1)] = ceiling
        np.minimum(values, ceiling, out=values)
    return kept
