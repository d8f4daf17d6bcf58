"""The checked form of what the caller passed: what every later stage works on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from regadvisor.records import DataFacts, Note

if TYPE_CHECKING:
    import pandas as pd
    from scipy import sparse

    Features = NDArray[np.floating[Any]] | sparse.csr_array | pd.DataFrame


@dataclass(frozen=True, kw_only=True, eq=False)
class Table:
    """Features, target and what belongs to each row, checked and aligned.

    Nothing here is a copy of the caller's data unless it had to be converted, and nothing is ever
    written into: stages take rows with :meth:`take`.

    Attributes
    ----------
    X : ndarray of float, csr_array or pandas.DataFrame, shape (n_rows, n_features)
        Numeric arrays and frames may hold NaN (missing), never an infinite value.
    y : ndarray, shape (n_rows,)
        Class codes ``0 … n_classes - 1`` (intp) or a float64 target.
    groups : ndarray of intp, shape (n_rows,) or None
        Group codes.
    time : ndarray of float64, shape (n_rows,) or None
        Position in time; only its order is used.
    weight : ndarray of float64, shape (n_rows,) or None
        Row weights scaled to a mean of 1.
    """

    X: Features
    y: NDArray[Any]
    facts: DataFacts
    groups: NDArray[np.intp] | None = None
    time: NDArray[np.float64] | None = None
    weight: NDArray[np.float64] | None = None
    notes: tuple[Note, ...] = ()

    @property
    def n_rows(self) -> int:
        """Rows in this table (a sample has fewer than ``facts.n_rows``)."""
        return int(self.y.shape[0])

    @property
    def is_classification(self) -> bool:
        """Whether the target is a class."""
        return self.facts.task != "regression"

    @property
    def n_classes(self) -> int:
        """Number of classes of the source (0 for regression)."""
        return len(self.facts.classes or ())

    def take(self, rows: NDArray[np.intp], *, weight: NDArray[np.float64] | None = None) -> Table:
        """Return the table of the given rows; `weight` (n_taken,) replaces their weights if given."""
        X = self.X.iloc[rows] if hasattr(self.X, "iloc") else self.X[rows]

        def pick(values: NDArray[Any] | None) -> NDArray[Any] | None:
            return None if values is None else values[rows]

        return replace(
            self,
            X=X,
            y=self.y[rows],
            groups=pick(self.groups),
            time=pick(self.time),
            weight=pick(self.weight) if weight is None else weight,
        )
