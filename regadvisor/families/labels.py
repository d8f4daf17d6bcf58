"""Several labels of each row, 0 or 1: networks with an output for each are classifiers of them."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.base import ClassifierMixin


class OfLabels(ClassifierMixin):
    """What makes a regressor with an output for each label a classifier; it stands before it in the bases.

    `classes_`: the numbers of the labels, as those of scikit-learn's networks.
    """

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train on all rows: `y` (n_rows, n_labels), each 0 or 1."""
        super().fit(X, y, sample_weight)
        self.classes_ = np.arange(np.shape(y)[1])
        return self

    def predict(self, X: Any) -> NDArray[Any]:
        """Return 0 or 1 for each label, shape (n_rows, n_labels)."""
        shares: NDArray[np.float64] = self.predict_proba(X)
        return (shares > 0.5).astype(np.intp)


class OfLogits(OfLabels):
    """The same for one whose outputs are logits."""

    def decision_function(self, X: Any) -> NDArray[np.float64]:
        """Return the logits, shape (n_rows, n_labels)."""
        return np.asarray(super(OfLabels, self).predict(X))

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Return the probability of each label, shape (n_rows, n_labels)."""
        return np.asarray(expit(self.decision_function(X)))
