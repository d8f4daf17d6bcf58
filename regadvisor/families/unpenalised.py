"""Columns that no penalty acts on: what is encoded from them is made so large that its weights are tiny.

No solver of scikit-learn has a penalty for each column. But a feature that is `k` times as large gets a
weight of 1/k, on which L1 is k and L2 k² times weaker: the usual way to write penalty factors. So the model
that is validated, built and printed as code is one and the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from narwhals.dependencies import is_into_dataframe
from numpy.typing import NDArray
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.utils.validation import check_is_fitted

from regadvisor.errors import ParameterError
from regadvisor.records import DataFacts

#: How much larger the features become. Solvers still find the minimum then (tests/test_unpenalised.py).
FACTOR = 1e4


class Unpenalised(TransformerMixin, BaseEstimator):
    """Steps whose features are not penalised where they depend on some columns.

    Which features do is asked of the fitted steps: these columns are shuffled, and what changes depends on
    them. So it works for any steps, whatever they call their features.

    `steps`: fitted here. `columns`: names of the columns, where X is a frame. `positions`: their numbers,
    where it is an array.

    `steps_`: the steps, fitted. `free_` (n_features,): the features that are not penalised. `scale_`
    (n_features,): what the features are multiplied by; so are their weights, to be those of the usual
    features.

    >>> from sklearn.preprocessing import StandardScaler
    >>> step = Unpenalised(StandardScaler(), ["b"], [1]).fit([[1.0, 1.0], [2.0, 3.0]])
    >>> step.transform([[2.0, 3.0]]).tolist()
    [[1.0, 10000.0]]
    """

    def __init__(self, steps: Any, columns: Sequence[str | int], positions: Sequence[int]) -> None:
        self.steps = steps
        self.columns = columns
        self.positions = positions

    @classmethod
    def of(cls, steps: Any, facts: DataFacts) -> Unpenalised:
        """Return the step for the columns that these data have to leave alone."""
        names = [column.name for column in facts.columns]
        return cls(steps, list(facts.unpenalised), [names.index(name) for name in facts.unpenalised])

    def fit(self, X: Any, y: Any = None) -> Self:
        """Fit the steps and find the features that depend on the columns."""
        self.fit_transform(X, y)
        return self

    def fit_transform(self, X: Any, y: Any = None, **params: Any) -> Any:
        """Fit to training rows and return their features, dense or sparse.

        Raises ParameterError if every feature depends on these columns.
        """
        self.steps_ = clone(self.steps)
        features = self.steps_.fit_transform(X, y, **params)
        moved = shuffled(X, self.columns, self.positions)
        self.free_ = _changed(self.steps_.transform(X), self.steps_.transform(moved))
        if self.free_.all():
            raise ParameterError(
                f"unpenalised must leave features that a penalty acts on, got {list(self.columns)}, on which "
                f"all {len(self.free_)} features depend"
            )
        self.scale_ = np.where(self.free_, FACTOR, 1.0)
        return self._scaled(features)

    def transform(self, X: Any) -> Any:
        """Return the features of other rows."""
        check_is_fitted(self)
        return self._scaled(self.steps_.transform(X))

    def _scaled(self, features: Any) -> Any:
        if hasattr(features, "tocsr"):
            return features @ sparse.diags_array(self.scale_)
        return np.asarray(features) * self.scale_

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[Any]:
        """Return the names that the steps give."""
        names: NDArray[Any] = self.steps_.get_feature_names_out(input_features)
        return names


def shuffled(X: Any, columns: Sequence[str | int], positions: Sequence[int]) -> Any:
    """Return a copy of a table with some of its columns in another order of the rows.

    >>> shuffled(np.array([[1, 1], [2, 2], [3, 3]]), ["b"], [1]).tolist()
    [[1, 3], [2, 1], [3, 2]]
    """
    if is_into_dataframe(X):
        import narwhals as nw

        frame = nw.from_native(X, eager_only=True)
        order = _order(len(frame)).tolist()
        is_named = all(isinstance(column, str) for column in columns)
        names = columns if is_named else [frame.columns[position] for position in positions]
        return frame.with_columns(*(frame.get_column(name)[order] for name in names)).to_native()
    is_sparse = sparse.issparse(X)
    moved: Any = sparse.lil_array(X) if is_sparse else np.array(X)
    order, chosen = _order(moved.shape[0]), list(positions)
    moved[:, chosen] = moved[:, chosen][order]
    return type(X)(moved) if is_sparse else moved


def _order(n_rows: int) -> NDArray[np.intp]:
    """Return row numbers in another order, none at its own place."""
    order, rows = np.empty(n_rows, dtype=np.intp), np.random.default_rng(0).permutation(n_rows)
    order[rows] = np.roll(rows, 1)
    return order


def _changed(before: Any, after: Any) -> NDArray[np.bool_]:
    """Return which columns of two tables of numbers differ anywhere."""
    if sparse.issparse(before):
        difference = sparse.csc_array(before - after)
        difference.eliminate_zeros()
        return np.asarray(np.diff(difference.indptr) > 0)
    first, second = (np.asarray(each, dtype=np.float64) for each in (before, after))
    same = (first == second) | (np.isnan(first) & np.isnan(second))
    return np.asarray(~same.all(axis=0))
