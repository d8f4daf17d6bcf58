"""The checked form of what the caller passed: what every later stage works on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import narwhals.stable.v2 as nw
import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from regadvisor.data.hashing import digest
from regadvisor.records import DataFacts, Note

if TYPE_CHECKING:
    import pandas as pd
    from scipy import sparse

    Features = NDArray[np.floating[Any]] | sparse.csr_array | pd.DataFrame

#: Numbers in a sample (rows × columns). Folds are held in memory side by side: five of them take 1 GB at this
#: size. A wide table gets fewer rows.
MOST_CELLS = 25_000_000


@dataclass(frozen=True, kw_only=True, eq=False)
class Whole:
    """What is known of all rows of a source that is too large to hold; a table has some of them."""

    #: Mean and standard deviation of all values of a column of numbers.
    means: Mapping[str, tuple[float, float]]
    #: Share of each value of a text column, of all that are there.
    shares: Mapping[str, Mapping[str, float]]


@dataclass(frozen=True, kw_only=True, eq=False)
class Table:
    """Features, target and what belongs to each row, checked and aligned.

    Nothing here is a copy of the caller's data unless it had to be converted, and nothing is ever
    written into: stages take rows with :meth:`take`.
    """

    #: (n_rows, n_features): numbers may be NaN (missing), never infinite. A frame of nothing but plain
    #: numbers is an array here.
    X: Features
    #: (n_rows,) or (n_rows, n_targets): class codes ``0 … n_classes - 1`` (intp), a float64 target, or
    #: several float64 targets (two axes mean at least two columns).
    y: NDArray[Any]
    facts: DataFacts
    #: (n_rows,): group codes.
    groups: NDArray[np.intp] | None = None
    #: (n_rows,): position in time; only its order is used.
    time: NDArray[np.float64] | None = None
    #: (n_rows,): row weights scaled to a mean of 1.
    weight: NDArray[np.float64] | None = None
    #: (n_given,): of the table of all rows: which of those that the caller passed are in it; None: all of
    #: them.
    kept: NDArray[np.bool_] | None = None
    #: (n_rows,): the :attr:`target_view` of several targets, as the table of all rows has it; None: worked
    #: out from the rows that are there.
    summary: NDArray[np.float64] | None = None
    #: Smallest and largest value of each numeric column, in their order, as they were read (NaN: no value);
    #: None: the rows are only some of those that were read.
    span: tuple[NDArray[Any], NDArray[Any]] | None = None
    #: (n_rows,): of the table of all rows: the row of the target that has the label (index) of each row of X,
    #: where both have the same labels in different orders.
    by_label: NDArray[np.intp] | None = None
    #: X as the caller passed it, row by row the same: what the caller's own `steps` read, and nothing else.
    given: Any = None
    #: The caller's own steps before the last one of a pipeline, unfitted; None: ours.
    steps: Any = None
    #: What is known of the rows that are not here, if the source is read in parts.
    whole: Whole | None = None
    notes: tuple[Note, ...] = ()

    @property
    def n_rows(self) -> int:
        """Rows in this table (a sample has fewer than ``facts.n_rows``)."""
        return int(self.y.shape[0])

    @property
    def n_effective(self) -> float:
        """Rows of equal weight that say as much about a mean (Kish 1965): ``(Σw)² / Σw²``."""
        return effective_rows(self.n_rows, self.weight)

    @property
    def is_classification(self) -> bool:
        """Whether the target is a class."""
        return self.facts.task != "regression"

    @property
    def n_classes(self) -> int:
        """Number of classes of the source (0 for regression)."""
        return len(self.facts.classes or ())

    @property
    def n_targets(self) -> int:
        """Columns of the target."""
        return 1 if self.y.ndim == 1 else int(self.y.shape[1])

    @cached_property
    def target_view(self) -> NDArray[Any]:
        """The target as one number per row, shape (n_rows,), for strata, drift, density and the like.

        Class codes, the target, or of several targets their first principal component (see
        :func:`~regadvisor.data.table.principal_component`). Fits and losses use `y`.
        """
        if self.y.ndim == 1:
            return self.y
        return principal_component(self.y) if self.summary is None else self.summary

    @cached_property
    def different_targets(self) -> NDArray[np.intp]:
        """Positions of the columns of the target, copies left out, in an order that follows their values."""
        return np.zeros(1, dtype=np.intp) if self.y.ndim == 1 else distinct_columns(self.y)

    @property
    def targets(self) -> NDArray[Any]:
        """The target with two axes, shape (n_rows, n_targets)."""
        return self.y[:, None] if self.y.ndim == 1 else self.y

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
            kept=None,
            summary=pick(self.summary),
            span=None,
            by_label=None,
            whole=None,
            given=None if self.given is None else take_rows(self.given, rows),
        )


def take_rows(X: Any, rows: NDArray[np.intp]) -> Any:
    """Return rows of anything that scikit-learn takes as X, in the same container.

    >>> take_rows(["a", "b", "c"], np.array([2, 0]))
    ['c', 'a']
    """
    if hasattr(X, "iloc"):
        return X.iloc[rows]
    if hasattr(X, "tocsr"):
        return X.tocsr()[rows]
    if isinstance(X, list | tuple):
        return [X[row] for row in rows]
    native = nw.from_native(X, pass_through=True, allow_series=True)
    return native[rows].to_native() if native is not X else X[rows]


def is_column(X: Any) -> bool:
    """Return whether X is one column of texts, as the vectorizers of scikit-learn take them.

    >>> is_column(["a text", "another"]), is_column([[1.0], [2.0]])
    (True, False)
    """
    is_list = hasattr(X, "__len__") and not isinstance(X, str | bytes | dict) and not hasattr(X, "nnz")
    if not is_list or len(getattr(X, "shape", (0,))) != 1:
        return False
    return len(X) > 0 and isinstance(next(iter(X)), str)


def effective_rows(n_rows: int, weight: NDArray[np.float64] | None) -> float:
    """Return the rows of equal weight that say as much about a mean as these do.

    >>> effective_rows(4, None), effective_rows(4, np.array([1.0, 1.0, 0.0, 0.0]))
    (4.0, 2.0)
    """
    return float(n_rows) if weight is None else float(weight.sum() ** 2 / np.square(weight).sum())


def largest_group_share(groups: NDArray[np.intp] | None, weight: NDArray[np.float64] | None) -> float:
    """Return the largest share of the weight that one group has; 0 where there are no groups.

    >>> largest_group_share(np.array([0, 0, 0, 1]), None), largest_group_share(None, None)
    (0.75, 0.0)
    """
    if groups is None:
        return 0.0
    total = np.bincount(groups, weights=weight)
    return float(total.max() / total.sum())


#: Loadings whose sum is below this have no sign of their own: the targets pull both ways alike.
_NO_SIGN = 1e-8


def distinct_columns(Y: NDArray[Any]) -> NDArray[np.intp]:
    """Return one position of each different column of `Y`, in an order that follows the values alone.

    So nothing that is worked out from these columns depends on the order in which they stand, nor on
    copies of them. Nor does the order of the rows matter (unless columns hold the same values in other rows).

    `Y` (n_rows, n_targets).

    >>> distinct_columns(np.array([[1.0, 1.0], [2.0, 2.0]])).tolist()
    [0]
    """
    first: dict[bytes, int] = {}
    columns = [np.ascontiguousarray(column) + 0.0 for column in np.asarray(Y).T]  # -0.0 is 0.0
    for j, column in enumerate(columns):
        first.setdefault(digest(column), j)
    order = sorted(first, key=lambda own: (digest(np.sort(columns[first[own]])), own))
    return np.array([first[own] for own in order], dtype=np.intp)


def _first_loadings(Z: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the first eigenvector of ``Z·Zᵀ``, from the smaller of the two Gram matrices of `Z`."""
    is_wide = Z.shape[0] > Z.shape[1]
    G = Z.T @ Z if is_wide else Z @ Z.T
    top = linalg.eigh(G, subset_by_index=[len(G) - 1, len(G) - 1])[1][:, 0]
    if not is_wide:
        return np.asarray(top, dtype=np.float64)
    loadings = Z @ top
    return np.asarray(loadings / np.linalg.norm(loadings), dtype=np.float64)


def principal_component(Y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the first principal component of the standardised columns, shape (n_rows,).

    Copies of a column count once, so that of equal columns it is the column itself. The sign is that of the
    sum of the loadings. Nothing changes if the columns change places.

    `Y` (n_rows, n_targets).

    >>> y = np.array([3.0, 1.0, 2.0])
    >>> principal_component(np.column_stack([y, y])).tolist()
    [3.0, 1.0, 2.0]
    >>> np.argsort(principal_component(np.column_stack([y, 10 + 2 * y]))).tolist()
    [1, 2, 0]
    """
    chosen = np.asarray(Y, dtype=np.float64)[:, distinct_columns(Y)]
    if chosen.shape[1] == 1 or not len(chosen):
        return np.ascontiguousarray(chosen[:, 0])
    columns = [np.ascontiguousarray(column) for column in chosen.T]
    Z = np.array([(column - column.mean()) / (column.std() or 1.0) for column in columns])
    loadings = _first_loadings(Z)
    total = float(loadings.sum())
    sign = np.sign(total if abs(total) > _NO_SIGN else loadings[np.argmax(np.abs(loadings) > _NO_SIGN)])
    view = np.zeros(len(chosen))
    for loading, z in zip(loadings, Z, strict=True):  # in turn: rows of equal targets get equal numbers
        view += sign * loading * z
    return view
