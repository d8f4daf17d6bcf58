"""Strengths into the caller's own scikit-learn estimator: a configured copy, never the caller's object."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sklearn.base import BaseEstimator, clone
from sklearn.linear_model import (
    ElasticNet,
    Lasso,
    LinearRegression,
    LogisticRegression,
    Ridge,
    SGDClassifier,
    SGDRegressor,
)

from regadvisor.conversions import elasticnet_params, logistic_params, mlp_alpha, raw_target, ridge_alpha
from regadvisor.errors import ParameterError
from regadvisor.families.linear.estimators import (
    INTERCEPT_SCALING,
    LIBLINEAR_TOL,
    MAX_ITER,
    on_standardised_target,
    weights_up_to_one,
)

#: SAGA, the solver of L1+L2, gets at least so many passes: the estimator's default is for faster ones.
_SAGA_LEAST_ITER = 5_000
#: SGD with its default rates ends 0.002 above the minimum of the mean loss at alpha=1e-3 (breast cancer) and
#: 2 to 3 above it at 1e-5. With adaptive ones from 0.01 on and this tolerance (for a target of variance 1) it
#: ends 0.0006 and 0.014 above it.
_SGD_TOL = 1e-5
#: The same for features of unequal size, whose intercepts are large: within 0.004 after 4 s (30 raw columns).
_UNEQUAL = (1_000.0, 1e-6)
#: Solvers of LogisticRegression that find the minimum of an L2 penalty; liblinear penalises the intercept.
_L2_SOLVERS = ("lbfgs", "newton-cg", "newton-cholesky", "sag", "saga")


@dataclass(frozen=True, kw_only=True)
class Strengths:
    """What an estimator is to be configured for; plain numbers.

    Attributes
    ----------
    l1, l2 : float
        For the features that the estimator gets, and a standardised target.
    n_rows : float
        Rows it will be trained on.
    sd_y : float or None
        Standard deviation of the target (regression; the root of its mean square without an intercept);
        None: there are several targets.
    n_classes : int
    class_weight : mapping or None
        Weight by label, and …
    mean_weight : float
        … the mean weight of a row.
    is_unequal : bool
        Whether some features are far larger than others.
    epochs : int or None
        Epochs that the strengths of a network are for.
    """

    l1: float
    l2: float
    n_rows: float
    sd_y: float | None = 1.0
    n_classes: int = 0
    class_weight: Mapping[Any, float] | None = None
    mean_weight: float = 1.0
    is_unequal: bool = False
    epochs: int | None = None

    @property
    def on_target(self) -> tuple[float, float]:
        """Strengths for a target in its own unit; of several targets for standardised ones."""
        return raw_target(self.l1, self.l2, 1.0 if self.sd_y is None else self.sd_y)


def configured(estimator: BaseEstimator, strengths: Strengths) -> BaseEstimator:
    """Return a copy of `estimator` with these strengths.

    All other arguments stay, but for those with which it could not find the minimum. Least squares without a
    penalty is LinearRegression, as scikit-learn advises; LinearRegression with a penalty becomes Ridge, Lasso
    or ElasticNet.

    An L1 penalty follows the unit of its target, and one `alpha` cannot follow several: the model is then put
    into a ``TransformedTargetRegressor`` that standardises each target and predicts in its own unit. So is
    MLPRegressor, whose weights all follow it.

    Parameters
    ----------
    estimator : estimator
        One of scikit-learn's that :data:`_RULES` names, alone.
    strengths : Strengths

    Raises
    ------
    ParameterError
        If the estimator cannot express the strengths.

    Examples
    --------
    >>> configured(Ridge(), Strengths(l1=0.0, l2=0.1, n_rows=50))
    Ridge(alpha=5.0)
    """
    own = clone(estimator)
    rule = next((rule for kind, rule in _RULES.items() if type(own).__name__ == kind), None)
    if rule is None or not type(own).__module__.startswith("sklearn."):
        raise ParameterError(
            f"target must be one of {', '.join(_RULES)} to be configured, alone or as the last step of a "
            f"pipeline, got {type(own).__name__}; use advice.build() for a model of regadvisor's own"
        )
    model = rule(own, strengths)
    is_network = type(own).__name__ == "MLPRegressor"
    is_turned = strengths.sd_y is None and strengths.l1 > 0
    return on_standardised_target(model) if is_network or is_turned else model


def _logistic(model: Any, s: Strengths) -> BaseEstimator:
    params: dict[str, Any] = dict(logistic_params(s.l1, s.l2, s.n_rows * s.mean_weight))
    params |= {"dual": False, "penalty": LogisticRegression().penalty}
    solver = model.solver
    if s.l1 > 0 and s.l2 == 0 and s.n_classes == 2 and solver != "saga":
        scaling, tol = _UNEQUAL if s.is_unequal else (INTERCEPT_SCALING, LIBLINEAR_TOL)
        params |= {"solver": "liblinear", "tol": min(model.tol, tol), "max_iter": MAX_ITER}
        params |= {"intercept_scaling": scaling}
    elif s.l1 > 0:
        params |= {"solver": "saga", "max_iter": _SAGA_LEAST_ITER}
    elif s.l2 == 0 or solver not in _L2_SOLVERS:
        params |= {"solver": "lbfgs", "max_iter": MAX_ITER}
    else:
        steep = s.is_unequal and solver == "lbfgs"
        params |= {"solver": "newton-cholesky" if steep else solver, "max_iter": MAX_ITER}
    if params["solver"] in ("sag", "saga") and s.class_weight is not None:
        params["class_weight"], largest = weights_up_to_one(s.class_weight)
        params["C"] *= largest
    params["max_iter"] = max(params["max_iter"], model.max_iter)
    return model.set_params(**params)


def _sgd(model: Any, s: Strengths) -> BaseEstimator:
    l1, l2 = s.on_target
    penalty = "elasticnet" if l1 > 0 and l2 > 0 else "l1" if l1 > 0 else "l2" if l2 > 0 else None
    params: dict[str, Any] = dict(elasticnet_params(l1 * s.mean_weight, l2 * s.mean_weight))
    params = {} if penalty is None else params
    if model.learning_rate == type(model)().learning_rate:
        tol = _SGD_TOL * (s.sd_y or 1.0) ** 2
        params |= {"learning_rate": "adaptive", "eta0": 0.01, "tol": tol, "max_iter": MAX_ITER}
    return model.set_params(penalty=penalty, **params)


def _elasticnet(model: Any, s: Strengths) -> BaseEstimator:
    if s.l1 == s.l2 == 0:
        return _as(LinearRegression(), model)
    params = dict(elasticnet_params(*s.on_target))
    return model.set_params(**params, max_iter=max(MAX_ITER, model.max_iter))


def _ridge(model: Any, s: Strengths) -> BaseEstimator:
    if s.l1 > 0:
        raise _lacks(model, "Lasso or ElasticNet", "an L1 penalty")
    if s.l2 == 0:
        return _as(LinearRegression(), model)
    return model.set_params(alpha=ridge_alpha(s.l2, s.n_rows))


def _lasso(model: Any, s: Strengths) -> BaseEstimator:
    if s.l2 > 0:
        raise _lacks(model, "Ridge or ElasticNet", "an L2 penalty")
    if s.l1 == 0:
        return _as(LinearRegression(), model)
    params = {"alpha": s.on_target[0], "max_iter": max(MAX_ITER, model.max_iter)}
    return model.set_params(**params)


def _plain(model: Any, s: Strengths) -> BaseEstimator:
    if s.l1 == s.l2 == 0:
        return model
    if s.l1 == 0:
        return _ridge(_as(Ridge(), model), s)
    return _lasso(_as(Lasso(), model), s) if s.l2 == 0 else _elasticnet(_as(ElasticNet(), model), s)


def _network(model: Any, s: Strengths) -> BaseEstimator:
    if s.l1 > 0:
        raise _lacks(model, "a torch.nn.Module", "an L1 penalty")
    batch = 200 if model.batch_size == "auto" else model.batch_size
    params: dict[str, Any] = {"alpha": mlp_alpha(s.l2, min(batch, s.n_rows))}
    is_own_length = model.early_stopping or model.max_iter != type(model)().max_iter
    if s.epochs is not None and not is_own_length:
        # No epoch counts as progress, so it ends after just these; scikit-learn would call a run that
        # `max_iter` ends not converged.
        params |= {"tol": 1e9, "n_iter_no_change": max(1, s.epochs - 2), "max_iter": s.epochs + 1}
    return model.set_params(**params)


def _lacks(model: Any, wanted: str, what: str) -> ParameterError:
    return ParameterError(
        f"target must be {wanted} for {what}, got {type(model).__name__}; or ask what suits it: "
        f"advise(X, y, model={type(model).__name__}())"
    )


def _as(model: Any, other: Any) -> BaseEstimator:
    """Return `model` with the arguments of another that do not depend on its penalty."""
    known = other.get_params()
    return model.set_params(
        **{name: known[name] for name in ("fit_intercept", "copy_X", "positive") if name in known}
    )


_RULES: dict[str, Callable[[Any, Strengths], BaseEstimator]] = {
    LogisticRegression.__name__: _logistic,
    Ridge.__name__: _ridge,
    Lasso.__name__: _lasso,
    ElasticNet.__name__: _elasticnet,
    LinearRegression.__name__: _plain,
    SGDClassifier.__name__: _sgd,
    SGDRegressor.__name__: _sgd,
    "MLPClassifier": _network,
    "MLPRegressor": _network,
}
