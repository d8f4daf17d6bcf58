"""The caller's own scikit-learn estimator as a family: one of ours, with the kinds that it can express."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator

from regadvisor.candidates import Candidate
from regadvisor.data.table import Table, take_rows
from regadvisor.families.base import Family, Fit, Prepared
from regadvisor.families.estimator.caller import Caller, asked_about
from regadvisor.families.estimator.learner import about
from regadvisor.records import Training
from regadvisor.regularizer import Kind


class EstimatorFamily:
    """A family, less the kinds that the caller's estimator cannot express; see :class:`.base.Family`.

    Parameters
    ----------
    family : Family
        Ours, which trains the candidates.
    caller : Caller
    """

    def __init__(self, family: Family, caller: Caller) -> None:
        self._family = family
        self.caller = caller
        self.kinds: tuple[Kind, ...] = tuple(kind for kind in family.kinds if kind in caller.kinds)

    def __getattr__(self, name: str) -> Any:
        # All that is not below is done by the family itself.
        return getattr(self.__dict__["_family"], name)

    @property
    def model(self) -> BaseEstimator:
        """The caller's estimator, unfitted; what ``build()`` configures."""
        return self.caller.estimator

    def on(self, table: Table, X: Any) -> tuple[EstimatorFamily, Table]:
        """Return the family and the table as the estimator sees it.

        Parameters
        ----------
        table : Table
            All rows.
        X : object
            As the caller passed it, with rows that the table has left out.
        """
        rows = X if table.kept is None else take_rows(X, np.flatnonzero(table.kept))
        table, caller = asked_about(table, self.caller, rows)
        return EstimatorFamily(self._family, caller), replace(table, notes=(*table.notes, *caller.notes))

    def candidates(self, prepared: Prepared) -> Mapping[Kind, Candidate]:
        """Return range and portfolio of every kind that the estimator can express."""
        return {
            kind: found for kind, found in self._family.candidates(prepared).items() if kind in self.kinds
        }

    def training(self, picked: Fit | None, *, n_sample: int, n_rows: int, seed: int) -> Training:
        """Return how the advised model is to be trained on everything, and what it was asked for."""
        return replace(about(self.caller), seed=seed)
