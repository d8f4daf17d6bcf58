"""By which loss an estimator is compared, in which unit its strengths are, and which targets it takes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import median_abs_deviation

from regadvisor.families.estimator.names import theirs
from regadvisor.families.fitted.losses import (
    NAMED,
    ColumnLoss,
    ErrorRate,
    LogLoss,
    RowLoss,
    deviance,
    epsilon_insensitive,
    huber,
    of_margins,
    pinball,
    squared_error,
)

Target = NDArray[np.float64]
#: What strengths for a target of variance 1 are multiplied by: those of L1, those of L2.
Scale = tuple[float, float]


def sgd_classifier_loss(model: Any, y: Target) -> RowLoss:
    """Return the loss that SGDClassifier was given."""
    named: dict[str, RowLoss] = {
        "log_loss": LogLoss(),
        "hinge": of_margins("hinge loss"),
        "squared_hinge": of_margins("squared hinge loss"),
        "modified_huber": of_margins("modified Huber loss"),
        "perceptron": ErrorRate(),
        "squared_error": of_margins("squared error of -1 and 1"),
    }
    if model.loss in named:
        return named[model.loss]
    own = sgd_regressor_loss(model, y)
    assert isinstance(own, ColumnLoss)
    return replace(own, response="decision_function", are_signs=True)


def sgd_regressor_loss(model: Any, y: Target) -> RowLoss:
    """Return the loss that SGDRegressor was given."""
    if model.loss == "squared_error":
        return squared_error()
    if model.loss == "huber":
        return _numbers(f"Huber loss (epsilon {model.epsilon:g})", huber(model.epsilon))
    return epsilon_loss(model, y)


def epsilon_loss(model: Any, y: Target) -> RowLoss:
    """Return the epsilon-insensitive loss or its square."""
    is_squared = model.loss.startswith("squared")
    name = f"{'squared ' if is_squared else ''}epsilon-insensitive loss (epsilon {model.epsilon:g})"
    return _numbers(name, epsilon_insensitive(model.epsilon, is_squared=is_squared))


def huber_loss(model: Any, y: Target) -> RowLoss:
    """Return Huber's loss, its epsilon in spreads of the target."""
    # Its own scale is fitted anew by every candidate; the same one for all makes them comparable.
    spread = float(median_abs_deviation(y, axis=None, scale="normal")) or float(np.std(y)) or 1.0
    return _numbers("Huber loss", huber(model.epsilon * spread))


def pinball_loss(model: Any, y: Target) -> RowLoss:
    """Return the pinball loss of the quantile."""
    return _numbers(f"pinball loss (quantile {model.quantile:g})", pinball(model.quantile))


def deviance_loss(model: Any, y: Target) -> RowLoss:
    """Return the deviance of the distribution."""
    power = _power(model)
    at_zero = 0.0 if _is_identity(model) else 1.0
    if power == 0:
        return replace(squared_error(), at_zero=at_zero)
    named = {1.0: "Poisson deviance", 2.0: "gamma deviance"}
    name = named.get(power, f"Tweedie deviance (power {power:g})")
    return ColumnLoss(name=name, response="predict", element=deviance(power), has_mean=True, at_zero=at_zero)


def network_loss(model: Any, y: Target) -> RowLoss:
    """Return the loss that MLPRegressor was given."""
    return NAMED["Poisson deviance"]() if model.loss == "poisson" else squared_error()


def _numbers(name: str, element: Any) -> ColumnLoss:
    return ColumnLoss(name=name, response="predict", element=element)


def _power(model: Any) -> float:
    named = {"PoissonRegressor": 1.0, "GammaRegressor": 2.0}.get(theirs(model))
    return float(model.power) if named is None else named


def _sd(y: Target) -> float:
    """Return the standard deviation; of several targets that of their sum of squares."""
    return float(np.sqrt(np.var(y, axis=0).sum())) or 1.0


def squared_scale(model: Any, y: Target) -> Scale:
    """Least squares: L1 follows the unit of the target."""
    return _sd(y), 1.0


def robust_scale(model: Any, y: Target) -> Scale:
    """Losses that grow with the error, not its square: their slopes have no unit, their weights do."""
    sd, name = _sd(y), getattr(model, "loss", "")
    if name == "squared_error":
        return sd, 1.0
    if name.startswith("squared"):
        return 2 * sd, 2.0
    slope = min(model.epsilon, sd) if name == "huber" else 1.0
    return slope, slope / sd


def huber_scale(model: Any, y: Target) -> Scale:
    """The square of z over its scale, z²/σ: L2 falls with the unit of the target."""
    return 1.0, 2.0 / _sd(y)


def deviance_scale(model: Any, y: Target) -> Scale:
    """Half a deviance: L2 follows the curvature at the mean."""
    return 1.0, 1.0 if _is_identity(model) else float(np.mean(y)) ** (2 - _power(model))


def _is_identity(model: Any) -> bool:
    """Whether a generalised linear model predicts a sum, not its exponential."""
    link = getattr(model, "link", "log")
    return link == "identity" or (link == "auto" and _power(model) <= 0)


def network_scale(model: Any, y: Target) -> Scale:
    """Squared errors grow with the square of the unit, each of the layers' weights with a root of it."""
    if model.loss == "poisson":
        return 1.0, float(np.mean(y))
    hidden = model.hidden_layer_sizes
    n_layers = 1 + (len(hidden) if hasattr(hidden, "__len__") else 1)
    return 1.0, _sd(y) ** (2 - 2 / n_layers)


def lowest_target(model: Any) -> tuple[float, bool] | None:
    """Return the lowest target that the estimator takes, and whether it has to be above that; None: any."""
    if theirs(model) == "MLPRegressor":
        return (0.0, False) if model.loss == "poisson" else None
    power = _power(model)
    return None if power <= 0 else (0.0, power >= 2)
