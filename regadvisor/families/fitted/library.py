"""What Keras models and skorch nets share: they are looked at, trained by their own ``fit``, or stacked."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from regadvisor.errors import ParameterError, reason_of
from regadvisor.records import DataFacts
from regadvisor.regularizer import Coupling
from regadvisor.words import agreed, counted

if TYPE_CHECKING:
    from regadvisor.families.fitted.learner import Call

#: Rows that go through a model before it is trained.
FIRST_ROWS = 24


def numbers_of(X: Any) -> NDArray[np.float32]:
    """Return rows as a network takes them."""
    rows = X.toarray() if hasattr(X, "toarray") else X
    try:
        return np.asarray(rows, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise ParameterError(
            f"X must hold numbers for a network as it is, got {error}; pass Recipe(transform='standard')"
        ) from error


def first_line(error: Exception) -> str:
    """Return the first sentence of an error that says something."""
    cause = error.__cause__ if isinstance(error.__cause__, Exception) else error
    lines = (line.strip() for line in reason_of(cause).splitlines())
    first = next((line for line in lines if line and not line.startswith("Exception enc")), "")
    return first.partition(". ")[0][:240]


@dataclass(frozen=True, eq=False)
class Fitted(ABC):
    """A trained model that predicts probabilities, or numbers in the unit of the target."""

    model: Any
    classes_: tuple[Any, ...] | None
    center: Any = None
    scale: Any = None

    @abstractmethod
    def _outputs(self, X: Any) -> NDArray[np.float64]:
        """Return what the model returns, shape (n_rows, n_outputs)."""

    def judged(self, X: Any) -> NDArray[np.float64]:
        """Return the outputs in the unit of the target, as the loss takes them; of classes as they are."""
        if self.classes_:
            return self._outputs(X)
        return np.asarray(self._outputs(X) * self.scale + self.center)

    def predict(self, X: Any) -> NDArray[np.float64]:
        """Return what the library's own model predicts: mostly the same."""
        return self.judged(X)


@dataclass(frozen=True, eq=False)
class Library(ABC):
    """Trains a model of a library with a regularizer, for :class:`~.function.FitFunction`.

    `model`: the caller's own, or a factory. `fitted`: what a trained model becomes.
    """

    fitted: ClassVar[type[Fitted]]
    #: Share of the rows that a network is trained on.
    share = 1.0
    model: Any
    facts: DataFacts
    coupling: Coupling = "loss"

    @property
    @abstractmethod
    def batch(self) -> int:
        """Most rows of a step."""

    @property
    @abstractmethod
    def epochs(self) -> int:
        """Epochs of one run."""

    @property
    def n_classes(self) -> int:
        """Classes of the target; 0: it holds numbers."""
        return len(self.facts.classes or ())

    @abstractmethod
    def alone(self, call: Call, *, steps: int) -> Fitted:
        """Return what the library's own fit trains, in so many steps of all rows."""

    # -------------------------------------------------------------------------------------------- target

    def _codes(self, y: NDArray[Any]) -> NDArray[np.intp]:
        classes = list(self.facts.classes or ())
        return np.array([classes.index(label) for label in np.asarray(y).tolist()])

    def _standardised(
        self, y: NDArray[Any], *, is_centred: bool, is_scaled: bool
    ) -> tuple[NDArray[np.float32], NDArray[np.float64], NDArray[np.float64]]:
        """Return numbers (n_rows, n_targets), and the center and scale that turn outputs into their unit."""
        values = np.asarray(y, dtype=np.float64).reshape(len(y), -1)
        center = values.mean(axis=0) if is_centred else np.zeros(values.shape[1])
        scale = values.std(axis=0) if is_scaled else np.ones(values.shape[1])
        scale = np.where(scale > 0, scale, 1.0)
        return ((values - center) / scale).astype(np.float32), center, scale

    # ---------------------------------------------------------------------------------------- first look

    def _not_taken(self, rows: NDArray[Any], error: Exception, where: str = "") -> ParameterError:
        """Return what to say of a model that fails on encoded rows; `where`: the layer, as a clause."""
        return ParameterError(
            f"model must take rows of shape {rows.shape[1:]}, as they are once encoded, got "
            f"{type(error).__name__}: {first_line(error)}{where}; build its first layer for them"
        )

    def _check_outputs(self, outputs: NDArray[Any], allowed: set[int], do: str) -> None:
        """Raise ParameterError unless a row has as many outputs as the target needs, all finite."""
        width = outputs.shape[-1] if outputs.ndim > 1 else 1
        if outputs.ndim > 2 or width not in allowed:
            what = f"{self.n_classes} classes"
            if not self.n_classes:
                what = counted(self.facts.n_targets, "numeric target")
            wanted = " or ".join(map(str, sorted(allowed, reverse=True)))
            if width == 1 and self.n_classes > 2:
                do += ", or pass task='regression' if the target holds quantities"
            raise ParameterError(
                f"model must return {agreed(max(allowed), 'one number', f'{wanted} numbers')} for each row, "
                f"for {what}, got outputs of shape {outputs.shape[1:] or (1,)}; build its last layer for "
                f"them{do}"
            )
        if not np.isfinite(outputs).all():
            raise ParameterError(
                "model must return finite numbers before training, got NaN or infinite ones; look at its "
                "starting values, and at what it divides by"
            )

    def _check_shares(self, shares: NDArray[Any], loss: str, do: str) -> None:
        """Raise ParameterError unless the numbers that a loss takes for probabilities are some."""
        low, high = float(shares.min()), float(shares.max())
        if not (low >= -1e-6 and high <= 1 + 1e-6):
            raise ParameterError(
                f"model must return probabilities for its loss {loss}, got numbers from {low:.3g} to "
                f"{high:.3g}; {do}"
            )
