"""Held-out losses of one row: what each is called, what it reads, and the best constant by it.

A model is compared by the loss that it is trained on. Log loss and squared error are what regadvisor's own
models use; the others belong to the estimators that minimise them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import special
from scipy.optimize import minimize_scalar
from scipy.special import xlogy

from regadvisor.data.table import Table
from regadvisor.data.targets import codes_in
from regadvisor.families.base import Fold
from regadvisor.thresholds import PROBABILITY_FLOOR

Floats = NDArray[np.float64]
Response = Literal["predict_proba", "decision_function", "predict"]
#: Targets and outputs of the same shape → losses of that shape.
Element = Callable[[Floats, Floats], Floats]


class RowLoss(ABC):
    """A loss that every row has by itself; as it stands, one of the codes of classes, without a unit.

    `name`: how reports call it; None: log loss or squared error, which need no name. `response`: the method
    whose outputs it reads.
    """

    name: str | None
    response: Response
    #: Whether it reads what a network returns, before that is made to probabilities.
    reads_outputs: bool = False

    def target(self, table: Table) -> NDArray[Any]:
        """Return the target as the loss takes it."""
        return table.y

    def unit(self, target: NDArray[Any]) -> Floats:
        """Return what the losses of each column are divided by, from the target of the whole sample."""
        return np.ones(1)

    @abstractmethod
    def per_row(self, target: NDArray[Any], outputs: Floats, unit: Floats) -> Floats:
        """Return the loss of each row, shape (n_rows,); `outputs` has shape (n_rows, n_outputs)."""

    def constant(self, target: NDArray[Any], weight: Floats, n_classes: int) -> Floats:
        """Return the outputs that are best for all rows alike, shape (n_outputs,)."""
        shares = np.bincount(target, weights=weight, minlength=n_classes)
        return np.asarray(shares / shares.sum(), dtype=np.float64)

    def nothing(self, target: NDArray[Any], n_classes: int) -> Floats:
        """Return the outputs of a model without an intercept whose weights are zero, shape (n_outputs,)."""
        return np.full(n_classes, 1.0 / n_classes)


@dataclass(frozen=True)
class LogLoss(RowLoss):
    """Log loss of the probabilities of classes."""

    name: str | None = None
    response: Response = "predict_proba"

    def per_row(self, target: NDArray[Any], outputs: Floats, unit: Floats) -> Floats:
        """Return the log loss of each row."""
        picked = outputs[np.arange(len(target)), target.astype(np.intp)]
        return np.asarray(-np.log(np.clip(picked, PROBABILITY_FLOOR, 1.0)), dtype=np.float64)


@dataclass(frozen=True)
class ErrorRate(RowLoss):
    """Wrong classes, for models whose own loss vanishes with their weights: the perceptron."""

    name: str | None = "share of wrong classes"
    response: Response = "decision_function"

    def per_row(self, target: NDArray[Any], outputs: Floats, unit: Floats) -> Floats:
        """Return 1 for each row whose largest output is not its class's."""
        is_second = outputs[:, 0] > 0
        found = is_second.astype(np.intp) if outputs.shape[1] == 1 else outputs.argmax(axis=1)
        return np.asarray(found != target, dtype=np.float64)


@dataclass(frozen=True, kw_only=True)
class ColumnLoss(RowLoss):
    """A loss of numbers, column by column; of several columns the mean."""

    name: str | None
    response: Response
    element: Element
    #: Whether the target is -1 and 1 for each class against the rest (a single column for two classes).
    are_signs: bool = False
    #: Whether the mean of the target is the best constant; if not, it is searched.
    has_mean: bool = False
    #: Whether losses are divided by the variance of the column.
    is_relative: bool = False
    #: The output of a model whose weights are zero and that has no intercept.
    at_zero: float = 0.0
    #: Whether it follows the unit of its column.
    has_unit: bool = True

    def target(self, table: Table) -> NDArray[Any]:
        """Return the columns, shape (n_rows, n_columns)."""
        if self.are_signs and table.is_classification:
            return signs(table.y, table.n_classes)
        columns = table.targets.astype(np.float64)
        return 2.0 * columns - 1.0 if self.are_signs else columns

    def unit(self, target: NDArray[Any]) -> Floats:
        """Return the variance of each column, or 1; of several columns the loss of each one's constant."""
        if self.is_relative:
            return np.array([float(np.var(np.ascontiguousarray(column))) or 1.0 for column in target.T])
        if target.shape[1] == 1 or self.are_signs or not self.has_unit:
            return np.ones(target.shape[1])
        best = self.constant(target, np.ones(len(target)), 0)
        return np.where((mean := self.element(target, best[None, :]).mean(axis=0)) > 0, mean, 1.0)

    def per_row(self, target: NDArray[Any], outputs: Floats, unit: Floats) -> Floats:
        """Return the mean loss of each row's columns."""
        with np.errstate(all="ignore"):
            return np.asarray((self.element(target, outputs) / unit).mean(axis=1), dtype=np.float64)

    def constant(self, target: NDArray[Any], weight: Floats, n_classes: int) -> Floats:
        """Return the best constant of each column."""
        return np.array([self._best(column, weight) for column in target.T])

    def nothing(self, target: NDArray[Any], n_classes: int) -> Floats:
        """Return what zero weights give, for each column."""
        return np.full(target.shape[1], self.at_zero)

    def _best(self, column: Floats, weight: Floats) -> float:
        low, high = float(column.min()), float(column.max())
        if self.has_mean or low == high:
            return float(np.average(column, weights=weight))

        def mean(constant: float) -> float:
            return float(np.average(self.element(column, np.full(len(column), constant)), weights=weight))

        # A flat bottom, such as that of absolute errors, ends anywhere on it: its middle is as good.
        found = minimize_scalar(mean, bounds=(low, high), method="bounded", options={"xatol": 1e-6})
        return min((low, float(found.x), high), key=mean)


def signs(codes: NDArray[Any], n_classes: int) -> Floats:
    """Return 1 for the class of a row and -1 for the others; of two classes the second one's column.

    >>> signs(np.array([0, 1]), 2).tolist(), signs(np.array([0, 2]), 3).tolist()
    ([[-1.0], [1.0]], [[1.0, -1.0, -1.0], [-1.0, -1.0, 1.0]])
    """
    columns = 2.0 * (codes[:, None] == np.arange(n_classes)[None, :]) - 1.0
    return np.asarray(columns[:, 1:] if n_classes == 2 else columns, dtype=np.float64)


def constant_losses(
    loss: RowLoss, sample: Table, folds: Sequence[Fold], *, has_intercept: bool = True
) -> Floats:
    """Return the held-out loss of each row under its fold's best constant, shape (n_rows,).

    Without an intercept: under zero weights. NaN for rows that are in no test fold.
    """
    target, n_classes = loss.target(sample), sample.n_classes
    weight = np.ones(sample.n_rows) if sample.weight is None else sample.weight
    unit, found = loss.unit(target), np.full(sample.n_rows, np.nan)
    for fold in folds:
        if has_intercept:
            best = loss.constant(target[fold.train], weight[fold.train], n_classes)
        else:
            best = loss.nothing(target, n_classes)
        outputs = np.tile(best, (len(fold.test), 1))
        found[fold.test] = loss.per_row(target[fold.test], outputs, unit)
    return found


def usual_loss(sample: Table) -> RowLoss:
    """Return the log loss of classes, the squared error of numbers."""
    return LogLoss() if sample.is_classification else squared_error()


def pinball(quantile: float) -> Element:
    """Return the pinball loss of a quantile.

    >>> pinball(0.9)(np.array([1.0, -1.0]), np.zeros(2)).round(6).tolist()
    [0.9, 0.1]
    """

    def loss(target: Floats, outputs: Floats) -> Floats:
        error = target - outputs
        return np.maximum(quantile * error, (quantile - 1) * error)

    return loss


def huber(delta: float) -> Element:
    """Return Huber's loss: half the squared error up to `delta`, linear beyond."""
    return lambda target, outputs: np.asarray(special.huber(delta, target - outputs))


def epsilon_insensitive(epsilon: float, *, is_squared: bool = False) -> Element:
    """Return the loss of support vector regression: errors below `epsilon` are free.

    >>> epsilon_insensitive(1.0)(np.array([0.5, 3.0]), np.zeros(2)).tolist()
    [0.0, 2.0]
    """

    def loss(target: Floats, outputs: Floats) -> Floats:
        beyond = np.maximum(0.0, np.abs(target - outputs) - epsilon)
        return np.square(beyond) if is_squared else beyond

    return loss


def deviance(power: float) -> Element:
    """Return the deviance of a Tweedie distribution: 0 normal, 1 Poisson, 2 gamma.

    >>> from sklearn.metrics import mean_tweedie_deviance
    >>> y, mean = np.array([1.0, 3.0]), np.array([2.0, 2.5])
    >>> [bool(np.isclose(deviance(p)(y, mean).mean(), mean_tweedie_deviance(y, mean, power=p)))
    ...  for p in (0, 1, 1.5, 2, 3)]
    [True, True, True, True, True]
    """

    def loss(y: Floats, mean: Floats) -> Floats:
        if power == 0:
            return np.square(y - mean)
        if power == 1:
            return np.asarray(2 * (xlogy(y, y / mean) - y + mean))
        if power == 2:
            return 2 * (np.log(mean / y) + y / mean - 1)
        one, two = 1 - power, 2 - power
        return 2 * (np.maximum(y, 0.0) ** two / (one * two) - y * mean**one / one + mean**two / two)

    return loss


def of_labels(loss: RowLoss, n_labels: int) -> ColumnLoss:
    """Return a loss of classes for several columns of 0 and 1: of each column, then the mean.

    >>> of_labels(LogLoss(), 3).name
    'log loss (mean of 3 labels)'
    """
    mean = f"mean of {n_labels} labels"
    if isinstance(loss, ColumnLoss):
        return replace(loss, name=f"{loss.name} ({mean})")
    if isinstance(loss, ErrorRate):
        return ColumnLoss(
            name=f"share of wrong labels ({mean})",
            response=loss.response,
            element=lambda y, z: np.asarray(y * z <= 0, dtype=np.float64),
            are_signs=True,
        )

    def cross_entropy(y: Floats, shares: Floats) -> Floats:
        p = np.clip(shares, PROBABILITY_FLOOR, 1.0 - PROBABILITY_FLOOR)
        return np.asarray(-(y * np.log(p) + (1.0 - y) * np.log1p(-p)), dtype=np.float64)

    return ColumnLoss(
        name=f"log loss ({mean})",
        response="predict_proba",
        element=cross_entropy,
        has_mean=True,
        at_zero=0.5,
        has_unit=False,
    )


@dataclass(frozen=True)
class OfColumns(RowLoss):
    """The mean of a loss of classes over several columns; `sizes`: the classes of each.

    The target has a column of 0 and 1 for every class, and so have the outputs, but for a margin of two
    classes, which is one number.
    """

    loss: RowLoss
    sizes: tuple[int, ...]

    def __post_init__(self) -> None:
        name = f"{self.loss.name or 'log loss'} (mean of {len(self.sizes)} columns)"
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "response", self.loss.response)

    @property
    def widths(self) -> list[int]:
        """How many outputs there are for each column."""
        is_margin = isinstance(self.loss, ColumnLoss)
        return [1 if is_margin and size == 2 else size for size in self.sizes]

    def per_row(self, target: NDArray[Any], outputs: Floats, unit: Floats) -> Floats:
        """Return the mean loss of each row's columns."""
        found = np.split(outputs, np.cumsum(self.widths)[:-1], axis=1)
        columns = zip(self._columns(target), found, strict=True)
        return np.asarray(np.mean([self.loss.per_row(y, z, np.ones(1)) for y, z in columns], axis=0))

    def constant(self, target: NDArray[Any], weight: Floats, n_classes: int) -> Floats:
        """Return the best constant outputs of each column, one after the other."""
        columns = zip(self._columns(target), self.sizes, strict=True)
        return np.concatenate([self.loss.constant(y, weight, size) for y, size in columns])

    def nothing(self, target: NDArray[Any], n_classes: int) -> Floats:
        """Return what zero weights give, for each column."""
        columns = zip(self._columns(target), self.sizes, strict=True)
        return np.concatenate([self.loss.nothing(y, size) for y, size in columns])

    def _columns(self, target: NDArray[Any]) -> list[NDArray[Any]]:
        codes = codes_in(target, self.sizes).T
        if not isinstance(self.loss, ColumnLoss):
            return list(codes)
        return [signs(own, size) for own, size in zip(codes, self.sizes, strict=True)]


def squared_error() -> ColumnLoss:
    """Return the squared error over the variance of the target."""
    return ColumnLoss(
        name=None, response="predict", element=lambda y, z: np.square(y - z), has_mean=True, is_relative=True
    )


def of_margins(name: str) -> ColumnLoss:
    """Return a loss of margins, target × output, by its name."""
    loss = _MARGINS[name]
    return ColumnLoss(
        name=name, response="decision_function", element=lambda y, z: loss(y * z), are_signs=True
    )


_MARGINS: dict[str, Callable[[Floats], Floats]] = {
    "hinge loss": lambda margin: np.maximum(0.0, 1 - margin),
    "squared hinge loss": lambda margin: np.square(np.maximum(0.0, 1 - margin)),
    "modified Huber loss": lambda margin: np.where(
        margin < -1, -4 * margin, np.square(np.maximum(0.0, 1 - margin))
    ),
    "squared error of -1 and 1": lambda margin: np.square(1 - margin),
}

#: Losses by the name that callers give.
NAMED: dict[str, Callable[[], RowLoss]] = {
    "log loss": LogLoss,
    "squared error": squared_error,
    "absolute error": lambda: ColumnLoss(
        name="absolute error", response="predict", element=lambda y, z: np.abs(y - z)
    ),
    "Poisson deviance": lambda: ColumnLoss(
        name="Poisson deviance", response="predict", element=deviance(1), has_mean=True
    ),
    "gamma deviance": lambda: ColumnLoss(
        name="gamma deviance", response="predict", element=deviance(2), has_mean=True
    ),
}
