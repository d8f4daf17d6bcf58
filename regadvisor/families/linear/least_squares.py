"""Least squares with an L1 part, fitted by the solver that chose the strength.

scikit-learn's coordinate descent needs very many passes where columns are nearly collinear, as in spectra:
after 10,000 it was at an objective of 0.0346 instead of 0.0322 (100 channels of meat, strength 1e-4). What is
built has to be what was validated. Scripts have scikit-learn's own estimators in their place.
"""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import ElasticNet, Lasso
from sklearn.utils.validation import _check_sample_weight, validate_data

from regadvisor.deadline import NEVER
from regadvisor.families.linear.fit import solve
from regadvisor.families.linear.problem import Penalty, problem_of


class SparseElasticNet(ElasticNet):
    """ElasticNet with the objective, arguments and attributes of scikit-learn's, but for ``dual_gap_``.

    ``tol`` and ``max_iter`` count where our own solver does not converge, and with `positive` or
    `warm_start`: then scikit-learn's own solver makes the fit. ``n_iter_`` is 1.

    >>> SparseElasticNet(alpha=0.5).fit([[0.0], [1.0], [2.0]], [0.0, 1.0, 2.0]).predict([[1.0]])
    array([1.])
    """

    #: What scripts have in its place.
    written_as: ClassVar[type] = ElasticNet

    def fit(self, X: Any, y: Any, sample_weight: Any = None, check_input: bool = True) -> Self:
        """Fit the model.

        X: (n_rows, n_features), dense or sparse. y: (n_rows,) or (n_rows, n_targets).
        sample_weight: (n_rows,) or None.
        """
        self._validate_params()
        found = None if self.positive or self.warm_start else self._solved(X, y, sample_weight)
        if found is None:
            super().fit(X, y, sample_weight=sample_weight, check_input=check_input)
            return self
        self.coef_, self.intercept_ = found
        self.n_iter_ = 1
        return self

    def _solved(self, X: Any, y: Any, sample_weight: Any) -> tuple[NDArray[np.float64], Any] | None:
        """Return weights and intercepts; None if the solver did not converge, or cannot fit this."""
        rows, y = validate_data(
            self, X, y, accept_sparse="csc", dtype=np.float64, multi_output=True, y_numeric=True
        )
        weight = _check_sample_weight(sample_weight, rows, dtype=np.float64)
        if self.alpha <= 0 or (weight < 0).any() or not weight.any():
            return None
        share, T = weight / weight.sum(), np.asarray(y, dtype=np.float64).reshape(len(y), -1)
        mean = share @ T if self.fit_intercept else np.zeros(T.shape[1])
        sd = float(np.sqrt((share @ np.square(T - mean)).max())) or 1.0
        T, has_intercept = (T - mean) / sd, bool(self.fit_intercept)
        problem, center = problem_of(rows, T, share, is_classification=False, has_intercept=has_intercept)
        penalty = Penalty(l1=self.alpha * self.l1_ratio / sd, l2=self.alpha * (1.0 - self.l1_ratio))
        found = solve(problem, penalty, deadline=NEVER)
        if not found.converged:
            return None
        coef, intercept = sd * found.W.T, mean + sd * found.b - center @ (sd * found.W)
        if np.ndim(y) == 1:
            intercept = intercept[0]
        return coef[0] if len(coef) == 1 else coef, intercept if self.fit_intercept else 0.0


class SparseLasso(SparseElasticNet, Lasso):
    """Lasso likewise; see :class:`SparseElasticNet`."""

    written_as: ClassVar[type] = Lasso
