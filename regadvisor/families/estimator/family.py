"""The caller's own scikit-learn estimator as a family: one of ours, with the kinds that it can express."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sklearn.base import BaseEstimator

from regadvisor.conversions import logistic_params
from regadvisor.data.table import Table
from regadvisor.families.base import Fit
from regadvisor.families.estimator.caller import Caller, asked_about
from regadvisor.families.estimator.learner import about
from regadvisor.families.linear.family import LinearFamily
from regadvisor.records import Training
from regadvisor.regularizer import Regularizer


class EstimatorFamily(LinearFamily):
    """Our linear models, less the kinds that the caller's estimator cannot express."""

    def __init__(self, caller: Caller) -> None:
        super().__init__(tuple(kind for kind in LinearFamily.kinds if kind in caller.kinds))
        self.caller = caller

    @property
    def model(self) -> BaseEstimator:
        """The caller's estimator, unfitted; what ``build()`` configures."""
        return self.caller.estimator

    def parameters(self, regularizer: Regularizer, n_rows: int) -> dict[str, dict[str, float]]:
        """Return the parameters that set these strengths where class weights have no mean of 1."""
        if regularizer.kind == "none" or self.caller.class_weight in (None, "balanced"):
            return {}
        l1, l2 = (regularizer.strengths().get(name, 0.0) for name in ("l1", "l2"))
        params = logistic_params(l1, l2, n_rows * self.caller.mean_weight)
        return {"LogisticRegression": params if l1 else {"C": params["C"]}}

    def on(self, table: Table, X: Any) -> tuple[EstimatorFamily, Table]:
        """Return family and table as the estimator sees them; `X`: the rows as the caller passed them."""
        table, caller = asked_about(table, self.caller, X)
        return EstimatorFamily(caller), replace(table, notes=(*table.notes, *caller.notes))

    def training(self, picked: Fit | None, *, n_sample: int, n_rows: int, seed: int) -> Training:
        """Return how the advised model is to be trained on everything, and what it was asked for."""
        return replace(about(self.caller), seed=seed)
