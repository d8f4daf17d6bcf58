"""Several labels of each row, 0 or 1: a network with an output for each as a classifier of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.base import BaseEstimator, ClassifierMixin


@dataclass(eq=False, repr=False)
class LabelClassifier(ClassifierMixin, BaseEstimator):
    """A classifier of labels; `classes_`: their numbers, as those of scikit-learn's networks.

    `network`: a regressor, trained in place, that predicts logits, or shares if not `are_logits`.
    """

    network: Any
    are_logits: bool = True

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train on all rows: `y` (n_rows, n_labels), each 0 or 1."""
        self.network.fit(X, y, sample_weight)
        self.classes_ = np.arange(np.shape(y)[1])
        return self

    def decision_function(self, X: Any) -> NDArray[np.float64]:
        """Return the logits, shape (n_rows, n_labels); or how far shares are above a half."""
        outputs: NDArray[np.float64] = self.network.predict(X)
        return outputs if self.are_logits else outputs - 0.5

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Return the probability of each label, shape (n_rows, n_labels)."""
        found = self.decision_function(X)
        return np.asarray(expit(found) if self.are_logits else found + 0.5)

    def predict(self, X: Any) -> NDArray[np.intp]:
        """Return 0 or 1 for each label, shape (n_rows, n_labels)."""
        return (self.decision_function(X) > 0).astype(np.intp)
