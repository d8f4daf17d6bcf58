"""Strengths into the caller's own scikit-learn estimator: a configured copy, never the caller's object."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sklearn.base import BaseEstimator, clone
from sklearn.linear_model import ElasticNet, Lasso, LinearRegression, LogisticRegression, Ridge
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, RobustScaler, StandardScaler

from regadvisor.adapters.sklearn import (
    elasticnet_params,
    logistic_params,
    on_standardised_target,
    raw_target,
    ridge_alpha,
)
from regadvisor.errors import ParameterError

_SCALERS = (StandardScaler, RobustScaler, MinMaxScaler, MaxAbsScaler)
#: SAGA, the solver of L1, gets at least so many passes: the estimator's default is for faster ones.
_SAGA_LEAST_ITER = 5_000


def configured(
    estimator: BaseEstimator, *, l1: float, l2: float, n_rows: float, sd_y: float | None
) -> BaseEstimator:
    """Return a copy of `estimator` with these strengths, behind a scaler.

    An L1 penalty follows the unit of its target, and one `alpha` cannot follow several: the model is then put
    into a ``TransformedTargetRegressor`` that standardises each target and predicts in its own unit.

    Parameters
    ----------
    estimator : estimator or Pipeline
        LogisticRegression, Ridge, Lasso, ElasticNet or LinearRegression, alone or as the last step of a
        pipeline that scales the features. Alone, a ``StandardScaler`` is put in front: the strengths are
        for standardised features.
    l1, l2 : float
        For standardised features and target.
    n_rows : float
        Rows it will be trained on.
    sd_y : float or None
        Standard deviation of the target (regression); None: there are several targets.

    Raises
    ------
    ParameterError
        If the estimator cannot express the strengths, or a pipeline does not scale.

    Examples
    --------
    >>> configured(Ridge(), l1=0.0, l2=0.1, n_rows=50, sd_y=1.0)[-1]
    Ridge(alpha=5.0)
    """
    if isinstance(estimator, Pipeline):
        if not any(isinstance(step, _SCALERS) for _, step in _flat(estimator)):
            raise ParameterError(
                "estimator must scale its features for these strengths, got a pipeline without a scaler; "
                "put StandardScaler() before its last step"
            )
        copy = clone(estimator)
        copy.steps[-1] = (copy.steps[-1][0], _set(copy.steps[-1][1], l1, l2, n_rows, sd_y))
        return copy
    return make_pipeline(StandardScaler(), _set(clone(estimator), l1, l2, n_rows, sd_y))


def _flat(pipeline: Pipeline) -> list[tuple[str, Any]]:
    """Return every object inside a pipeline, nested ones too, by the name of its parameter."""
    return list(pipeline.get_params(deep=True).items())


def _set(estimator: BaseEstimator, l1: float, l2: float, n_rows: float, sd_y: float | None) -> BaseEstimator:
    for kind, rule in _RULES.items():
        if type(estimator) is kind:
            params = rule(l1, l2, n_rows, 1.0 if sd_y is None else sd_y)
            if params.get("solver") == "saga":
                params["max_iter"] = max(_SAGA_LEAST_ITER, estimator.get_params()["max_iter"])
            model = estimator.set_params(**params)
            return on_standardised_target(model) if sd_y is None and l1 > 0 else model
    names = ", ".join(kind.__name__ for kind in _RULES)
    raise ParameterError(
        f"estimator must be one of {names} to be configured, got {type(estimator).__name__}; "
        "use advice.build() for a model of regadvisor's own"
    )


def _logistic(l1: float, l2: float, n_rows: float, sd_y: float) -> dict[str, object]:
    params: dict[str, object] = dict(logistic_params(l1, l2, n_rows))
    return params | {"solver": "saga" if l1 > 0 else "lbfgs"}


def _elasticnet(l1: float, l2: float, n_rows: float, sd_y: float) -> dict[str, object]:
    if l1 == l2 == 0:
        raise ParameterError("estimator must be LinearRegression to have no regularizer, got ElasticNet")
    return dict(elasticnet_params(*raw_target(l1, l2, sd_y)))


def _ridge(l1: float, l2: float, n_rows: float, sd_y: float) -> dict[str, object]:
    if l1 > 0:
        raise ParameterError("estimator must be Lasso or ElasticNet for an L1 penalty, got Ridge")
    return {"alpha": ridge_alpha(l2, n_rows)}


def _lasso(l1: float, l2: float, n_rows: float, sd_y: float) -> dict[str, object]:
    if l2 > 0 or l1 == 0:
        raise ParameterError("estimator must be Ridge or ElasticNet for an L2 penalty, got Lasso")
    return {"alpha": raw_target(l1, l2, sd_y)[0]}


def _plain(l1: float, l2: float, n_rows: float, sd_y: float) -> dict[str, object]:
    if l1 > 0 or l2 > 0:
        raise ParameterError(
            "estimator must be Ridge, Lasso or ElasticNet for a penalty, got LinearRegression"
        )
    return {}


_RULES: dict[type[BaseEstimator], Callable[[float, float, float, float], dict[str, object]]] = {
    LogisticRegression: _logistic,
    Ridge: _ridge,
    Lasso: _lasso,
    ElasticNet: _elasticnet,
    LinearRegression: _plain,
}
