"""What the family asks of whoever trains: how rows are encoded, how one model is trained, by which loss."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from regadvisor.candidates import Candidate
from regadvisor.data.table import Table, take_rows
from regadvisor.families.base import Job, Prepared
from regadvisor.families.estimator.encoder import Encoder
from regadvisor.families.fitted.losses import Floats, RowLoss
from regadvisor.records import DataFacts, Training
from regadvisor.regularizer import Coupling, Kind, Regularizer

if TYPE_CHECKING:
    from regadvisor.families.fitted.together import Together

#: How strengths are searched and carried: as those of a linear model, or as those of a network's loss.
Laws = Literal["linear", "network"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Trained:
    """One trained model."""

    #: Encoded rows → what the loss reads, shape (n_rows, n_outputs).
    outputs: Callable[[Any], Floats]
    #: (n_features, n_outputs): weights of the encoded features, where there are such.
    weights: Floats | None = None
    converged: bool = True
    #: Whether a penalty that vanishes stands for none.
    is_limit: bool = False


@dataclass(frozen=True, kw_only=True, eq=False)
class Call:
    """What one model is trained with and on."""

    regularizer: Regularizer
    X: Any
    y: NDArray[Any]
    weight: Floats | None
    seed: int

    def some(self, rows: NDArray[np.intp]) -> Call:
        """Return the call with some of its rows."""
        weight = None if self.weight is None else self.weight[rows]
        return replace(self, X=take_rows(self.X, rows), y=self.y[rows], weight=weight)


def weights_of(model: Any) -> Floats | None:
    """Return the weights ``coef_`` of a model as those of its features, shape (n_features, n_outputs)."""
    weights = getattr(model, "coef_", None)
    if not isinstance(weights, np.ndarray) or weights.ndim not in (1, 2):
        return None
    return np.asarray(weights.reshape(-1, weights.shape[-1]).T, dtype=np.float64)


class Learner(ABC):
    """What is trained, and how.

    `coupling`: decoupled: what strengths do depends on Σ lr of a run. `has_intercept`: if not, models are
    compared with zero weights in place of the best constant. `together`: what trains many of its networks at
    once; None: nothing.
    """

    laws: Laws
    coupling: Coupling = "loss"
    has_intercept: bool = True
    together: Together | None = None

    @property
    @abstractmethod
    def kinds(self) -> tuple[Kind, ...]:
        """The kinds that it can express."""

    @abstractmethod
    def on(self, table: Table, X: Any) -> Table:
        """Return the table of all rows as the model sees it, with their X as the caller passed it.

        Raises DataError, ParameterError if the target or the weights are not for this model.
        """

    @abstractmethod
    def loss(self, sample: Table) -> RowLoss:
        """Return the loss that models are compared by."""

    @abstractmethod
    def encoder(self, sample: Table) -> Encoder:
        """Return unfitted steps from rows of a table to what :meth:`fit` takes as X."""

    def check(self, X: Any) -> None:  # noqa: B027
        """Raise ParameterError if it is known, before anything is trained, that such rows cannot be."""

    @abstractmethod
    def fit(self, call: Call) -> Trained:
        """Train one model; the call's `y` has labels or numbers, its `weight` a mean of 1."""

    def sum_lr(self, n_rows: int) -> float | None:
        """Return Σ lr of a run on so many rows; None: strengths are in the loss."""
        return None

    def candidates(self, found: Mapping[Kind, Candidate], sample: Table) -> Mapping[Kind, Candidate]:
        """Return ranges and portfolios, given those of a model with log loss or squared error."""
        return found

    def in_own_unit(self, regularizer: Regularizer) -> Regularizer:
        """Return strengths for a target of variance 1 in the unit of the model's objective."""
        return regularizer

    @abstractmethod
    def training(self, seed: int) -> Training:
        """Return what the record keeps of the model."""

    def parameters(self, regularizer: Regularizer, facts: DataFacts) -> dict[str, dict[str, float | str]]:
        """Return the parameters that set these strengths, by the name of what has them; may be empty."""
        return {}


@dataclass(frozen=True, kw_only=True, eq=False)
class FittedFold:
    """One fold, encoded: X and y as the learner takes them, and the target as the loss does."""

    X: Any
    y: Any
    weight: Floats | None
    target: NDArray[Any]
    X_test: Any
    target_test: NDArray[Any]

    def call(self, job: Job) -> Call:
        """Return what a job trains on here."""
        return Call(regularizer=job.regularizer, X=self.X, y=self.y, weight=self.weight, seed=job.seed)


@dataclass(frozen=True, kw_only=True, eq=False)
class FittedPrepared(Prepared):
    """The sample; each fold is encoded when it is first trained on."""

    sample: Table
    loss: RowLoss
    unit: Floats
    #: Number of a fold → the fold, encoded.
    fold: Callable[[int], FittedFold]
