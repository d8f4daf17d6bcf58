"""The caller's function as scikit-learn estimators: what ``build()`` hands to the caller."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils.validation import check_is_fitted

from regadvisor.errors import ParameterError
from regadvisor.families.fitted.function import FitFunction
from regadvisor.families.fitted.predicted import class_probabilities, predictions
from regadvisor.regularizer import Regularizer


@dataclass(eq=False, repr=False)
class _Fitted(BaseEstimator):
    """What both estimators share: parameters, and one call of the function."""

    function: FitFunction | None = None
    _: KW_ONLY
    l1: float = 0.0
    l2: float = 0.0
    dropout: float = 0.0
    random_state: int = 0

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = tags.input_tags.categorical = tags.input_tags.string = True
        tags.input_tags.sparse = tags.input_tags.three_d_array = True
        tags.target_tags.required = True
        return tags

    def _fit(self, X: Any, y: NDArray[Any], sample_weight: Any) -> Self:
        if not isinstance(self.function, FitFunction):
            raise ParameterError(
                f"function must be made by regadvisor.fit_function(fit), got {type(self.function).__name__}"
            )
        regularizer = Regularizer(
            l1=self.l1, l2=self.l2, dropout=self.dropout, coupling=self.function.coupling
        )
        weight = None if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
        self.model_ = self.function.call(regularizer, X, y, seed=self.random_state, weight=weight)
        return self


class FittedClassifier(ClassifierMixin, _Fitted):
    """A classifier that the caller's own function trains.

    `function`: from :func:`regadvisor.fit_function`; it is called with the strengths, and with `random_state`
    as its seed. `model_`: what it returned. `classes_` (n_classes,).
    """

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Call the function with all rows."""
        y = np.asarray(y)
        self.classes_ = np.unique(y)
        return self._fit(X, y, sample_weight)

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Return probabilities, shape (n_rows, n_classes)."""
        check_is_fitted(self)
        return class_probabilities(self.model_, X, self.classes_.tolist())

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the most probable class of each row."""
        labels: NDArray[Any] = self.classes_[self.predict_proba(X).argmax(axis=1)]
        return labels


class FittedRegressor(RegressorMixin, _Fitted):
    """A regressor that the caller's own function trains; see :class:`FittedClassifier`."""

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Call the function with all rows."""
        return self._fit(X, np.asarray(y), sample_weight)

    def predict(self, X: Any) -> NDArray[np.float64]:
        """Return the predictions, shape (n_rows,) or (n_rows, n_targets)."""
        check_is_fitted(self)
        found = predictions(self.model_, X)
        return found[:, 0] if found.shape[1] == 1 else found
