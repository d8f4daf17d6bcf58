"""The caller's own scikit-learn estimator as a family: one of ours, with the kinds that it can express."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sklearn.base import BaseEstimator

from regadvisor.data.table import Table
from regadvisor.families.base import Fit
from regadvisor.families.estimator.caller import Caller, asked_about
from regadvisor.families.estimator.learner import about, told_parameters
from regadvisor.families.estimator.rules import Strengths
from regadvisor.families.linear.family import LinearFamily
from regadvisor.records import DataFacts, Training
from regadvisor.regularizer import Regularizer


class EstimatorFamily(LinearFamily):
    """Our linear models, less the kinds that the caller's estimator cannot express."""

    def __init__(self, caller: Caller) -> None:
        super().__init__(tuple(kind for kind in LinearFamily.kinds if kind in caller.kinds))
        self.caller = caller
        self.has_intercept = caller.has_intercept

    @property
    def model(self) -> BaseEstimator:
        """The caller's estimator, unfitted; what ``build()`` configures."""
        return self.caller.estimator

    def parameters(self, regularizer: Regularizer, facts: DataFacts) -> dict[str, dict[str, float | str]]:
        """Return the parameters of the caller's estimator; none for L1 of several targets."""
        if facts.targets and regularizer.l1:
            return {}
        strengths = Strengths(
            l1=regularizer.l1 or 0.0,
            l2=regularizer.l2 or 0.0,
            n_rows=facts.n_rows,
            n_classes=len(facts.classes or ()),
            sd_y=facts.target_sd or 1.0,
        )
        return told_parameters(self.caller, strengths, facts)

    def on(self, table: Table, X: Any) -> tuple[EstimatorFamily, Table]:
        """Return family and table as the estimator sees them; `X`: the rows as the caller passed them."""
        table, caller = asked_about(table, self.caller, X)
        return EstimatorFamily(caller), replace(table, notes=(*table.notes, *caller.notes))

    def training(self, picked: Fit | None, *, n_sample: int, n_rows: int, seed: int) -> Training:
        """Return how the advised model is to be trained on everything, and what it was asked for."""
        return replace(about(self.caller), seed=seed)
