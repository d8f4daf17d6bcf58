"""Strengths as the parameters of scikit-learn's estimators: one rule for each way to write an objective."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sklearn.base import BaseEstimator
from sklearn.compose import TransformedTargetRegressor
from sklearn.linear_model import ElasticNet, Lasso, LinearRegression, LogisticRegression, Ridge
from sklearn.preprocessing import StandardScaler

from regadvisor.conversions import elasticnet_params, logistic_params, raw_target, ridge_alpha
from regadvisor.families.estimator.names import usual
from regadvisor.families.linear.logistic import SparseLogisticRegression

#: L-BFGS stops at a gradient of the mean loss below this; scikit-learn's 1e-4 is visible in weak penalties.
#: With the weakest even this is: a gradient g leaves at most g²/(2·l2) above the lowest objective (strong
#: convexity; Nocedal and Wright 2006, section 2.1), and this much is let pass. On 11 separable classes with
#: C=1000 the test loss was 0.036 at 1e-5 and 0.021 at 8e-7.
LBFGS_TOL, LBFGS_GAP = 1e-5, 1e-6
#: SAGA stops when no weight moves by more than this share of the largest in a pass over the rows. At its
#: usual 1e-4, probabilities of collinear features were off by up to 0.007, and the log loss of sparse rows,
#: whose intercept it moves a hundred times more slowly, by 3 to 7% (now by 0.4 to 1.9%).
SAGA_TOL = 1e-5
#: Asked for where features differ in size, as columns without a penalty do: SAGA does not get near that.
UNEQUAL_TOL = 1e-6
#: liblinear, the solver of L1 for two classes, penalises the intercept by 1/scaling as much as a weight; its
#: tolerance of 1e-4 is visible in weak penalties. With these two, probabilities were within 0.001 of the
#: minimum's (five problems, four strengths, twelve seeds) after 0.2 s at most, where SAGA takes 13 s for the
#: 30 collinear columns of breast cancer and is 0.014 off. At 1,000 and 1e-8 some seeds do not end in 10,000
#: passes.
INTERCEPT_SCALING, LIBLINEAR_TOL = 300.0, 1e-7
#: Generous: a model that stops early is another model than the one that was validated.
MAX_ITER = 10_000
#: Where our own solver does not converge, SAGA gets at least so many passes: the default is for faster ones.
_SAGA_LEAST_ITER = 5_000
#: SGD with its default rates ends 0.002 above the minimum of the mean loss at alpha=1e-3 (breast cancer) and
#: 2 to 3 above it at 1e-5. With adaptive ones from 0.01 on and this tolerance (for a target of variance 1) it
#: ends 0.0006 and 0.014 above it.
_SGD_TOL = 1e-5
#: Strength that stands for none where an estimator cannot do without a penalty.
VANISHING = 1e-6
#: Solvers of LogisticRegression that find the minimum of an L2 penalty: liblinear penalises the intercept,
#: and SAG and SAGA stop before it on collinear features.
_L2_SOLVERS = ("lbfgs", "newton-cg", "newton-cholesky")
#: The same of Ridge.
_RIDGE_SOLVERS = ("auto", "svd", "cholesky", "lbfgs")


@dataclass(frozen=True, kw_only=True)
class Strengths:
    """What an estimator is to be configured for; plain numbers."""

    #: `l1`, `l2`: for the features that the estimator gets, and a target of the standard deviation `sd_y`.
    l1: float
    l2: float
    #: Rows it will be trained on.
    n_rows: float
    #: Standard deviation of the target (regression); None: there are several targets.
    sd_y: float | None = 1.0
    n_classes: int = 0
    #: Weight by label.
    class_weight: Mapping[Any, float] | None = None
    #: Mean weight of a row, by its class and by itself.
    mean_weight: float = 1.0
    #: Whether some features are far larger than others.
    is_unequal: bool = False
    #: Standard deviation of the target that the estimator gets, for its tolerances; as `sd_y` if that is
    #: known.
    spread: float = 1.0

    @property
    def on_target(self) -> tuple[float, float]:
        """Strengths for a target in its own unit; of several targets for standardised ones."""
        return raw_target(self.l1, self.l2, 1.0 if self.sd_y is None else self.sd_y)


def logistic(model: Any, s: Strengths) -> BaseEstimator:
    """C·Σ loss + l1_ratio·Σ|w| + (1 − l1_ratio)/2·Σw²: C = 1/(n·(l1 + l2))."""
    params: dict[str, Any] = dict(logistic_params(s.l1, s.l2, s.n_rows * s.mean_weight))
    params |= {"dual": False, "penalty": LogisticRegression().penalty}
    solver = model.solver
    if s.l1 > 0 and s.l2 == 0 and s.n_classes == 2 and solver != "saga" and not s.is_unequal:
        params |= {"solver": "liblinear", "tol": min(model.tol, LIBLINEAR_TOL), "max_iter": MAX_ITER}
        params |= {"intercept_scaling": INTERCEPT_SCALING}
    elif s.l1 > 0:
        tol = UNEQUAL_TOL if s.is_unequal else SAGA_TOL
        params |= {"solver": "saga", "tol": min(model.tol, tol), "max_iter": _SAGA_LEAST_ITER}
    elif s.l2 == 0 or solver not in _L2_SOLVERS:
        params |= {"solver": "lbfgs", "max_iter": MAX_ITER}
    else:
        steep = s.is_unequal and solver == "lbfgs"
        params |= {"solver": "newton-cholesky" if steep else solver, "max_iter": MAX_ITER}
    if params["solver"] == "lbfgs" and (tol := lbfgs_tol(s.l2)) < LBFGS_TOL:
        params["tol"] = min(model.tol, tol)
    if params["solver"] == "saga" and s.class_weight is not None:
        params["class_weight"], largest = weights_up_to_one(s.class_weight)
        params["C"] *= largest
    params["max_iter"] = max(params["max_iter"], model.max_iter)
    if s.l1 > 0 and type(model) is LogisticRegression:
        model.__class__ = SparseLogisticRegression  # what else was set on the caller's own stays
    return model.set_params(**params)


def sgd(model: Any, s: Strengths) -> BaseEstimator:
    """Mean loss + alpha·(l1_ratio·Σ|w| + (1 − l1_ratio)/2·Σw²): alpha = l1 + l2."""
    l1, l2 = s.on_target
    penalty = "elasticnet" if l1 > 0 and l2 > 0 else "l1" if l1 > 0 else "l2" if l2 > 0 else None
    params: dict[str, Any] = dict(elasticnet_params(l1 * s.mean_weight, l2 * s.mean_weight))
    params = {} if penalty is None else params
    common = usual(model).get("learning_rate")
    if common is not None and model.learning_rate == common:
        unit = s.spread * (s.sd_y or 1.0)
        tol = _SGD_TOL * (unit**2 if model.loss.startswith("squared") else unit)
        params |= {"learning_rate": "adaptive", "eta0": 0.01, "tol": tol, "max_iter": MAX_ITER}
    return model.set_params(penalty=penalty, **params)


def elasticnet(model: Any, s: Strengths) -> BaseEstimator:
    """Half the mean squared error + alpha·(l1_ratio·Σ|w| + (1 − l1_ratio)/2·Σw²): alpha = l1 + l2."""
    if s.l1 == s.l2 == 0:
        return _as(LinearRegression(), model)
    params = dict(elasticnet_params(*s.on_target))
    return model.set_params(**params, max_iter=max(MAX_ITER, model.max_iter))


def ridge(model: Any, s: Strengths) -> BaseEstimator:
    """Σ squared error + alpha·Σw²: alpha = n·l2."""
    if s.l2 == 0 and not getattr(model, "positive", False):
        return _as(LinearRegression(), model)
    return ridge_classifier(model, s)


def lasso(model: Any, s: Strengths) -> BaseEstimator:
    """Half the mean squared error + alpha·Σ|w|: alpha = l1."""
    if s.l1 == 0:
        return _as(LinearRegression(), model)
    params = {"alpha": s.on_target[0], "max_iter": max(MAX_ITER, model.max_iter)}
    return model.set_params(**params)


def plain(model: Any, s: Strengths) -> BaseEstimator:
    """Least squares: the estimator that has the penalty."""
    if s.l1 == s.l2 == 0:
        return model
    if s.l1 == 0:
        return ridge(_as(Ridge(), model), s)
    return lasso(_as(Lasso(), model), s) if s.l2 == 0 else elasticnet(_as(ElasticNet(), model), s)


def _as(model: Any, other: Any) -> BaseEstimator:
    """Return `model` with the arguments of another that do not depend on its penalty."""
    known = other.get_params()
    return model.set_params(
        **{name: known[name] for name in ("fit_intercept", "copy_X", "positive") if name in known}
    )


def ridge_classifier(model: Any, s: Strengths) -> BaseEstimator:
    """Σ squared error of -1 and 1 + alpha·Σw²: alpha = n·l2."""
    solver = model.solver if model.solver in _RIDGE_SOLVERS else "auto"
    return model.set_params(alpha=ridge_alpha(s.l2, s.n_rows * s.mean_weight), solver=solver)


def svm(model: Any, s: Strengths) -> BaseEstimator:
    """½Σw² + C·Σ loss, or Σ|w| + C·Σ loss; without a penalty C is only very large."""
    strength = max(s.l1, s.l2, VANISHING)
    params: dict[str, Any] = {"C": 1.0 / (s.n_rows * s.mean_weight * strength)}
    if "penalty" in model.get_params():
        params["penalty"] = "l1" if s.l1 > 0 else "l2"
        params["dual"] = False if s.l1 > 0 else "auto"
    params["max_iter"] = max(MAX_ITER, model.max_iter)
    return model.set_params(**params)


def alpha_is_l2(model: Any, s: Strengths) -> BaseEstimator:
    """Half the mean deviance + alpha/2·Σw²."""
    return model.set_params(alpha=s.l2, max_iter=max(MAX_ITER, model.max_iter))


def alpha_is_l1(model: Any, s: Strengths) -> BaseEstimator:
    """Mean loss + alpha·Σ|w|."""
    return model.set_params(alpha=s.on_target[0])


def huber_regressor(model: Any, s: Strengths) -> BaseEstimator:
    """Σ loss + alpha·Σw², a sum over the rows."""
    return model.set_params(alpha=s.n_rows * s.mean_weight * s.l2 / 2, max_iter=max(MAX_ITER, model.max_iter))


def network(model: Any, s: Strengths) -> BaseEstimator:
    """Mean loss of a batch + alpha/2·Σw² over the weights of its rows."""
    batch = 200 if model.batch_size == "auto" else model.batch_size
    n_rows = s.n_rows if model.solver == "lbfgs" else min(batch, s.n_rows)
    return model.set_params(alpha=ridge_alpha(s.l2, n_rows * s.mean_weight))


def weights_up_to_one(class_weight: Mapping[Any, float]) -> tuple[dict[Any, float], float]:
    """Return class weights divided by the largest, and the largest, by which `C` is to be multiplied.

    The objective stays the same, and SAG and SAGA need it: their steps are as long as rows of weight 1 allow,
    and with larger weights they never settle.

    >>> weights_up_to_one({"no": 0.5, "yes": 5.0})
    ({'no': 0.1, 'yes': 1.0}, 5.0)
    """
    largest = max(class_weight.values())
    return {label: weight / largest for label, weight in class_weight.items()}, largest


def lbfgs_tol(l2: float) -> float:
    """Return the gradient of the mean loss at which L-BFGS is near enough to the minimum with this much L2.

    >>> lbfgs_tol(0.1), lbfgs_tol(3e-7)
    (1e-05, 8e-07)
    """
    exact = math.sqrt(2.0 * l2 * LBFGS_GAP) if l2 else LBFGS_TOL
    return min(LBFGS_TOL, float(f"{exact:.0e}"))


def on_standardised_target(model: BaseEstimator) -> TransformedTargetRegressor:
    """Return `model` trained on the standardised target and predicting in the target's own unit.

    Several targets are standardised one by one.

    >>> on_standardised_target(Ridge(alpha=0.1)).regressor
    Ridge(alpha=0.1)
    """
    # Of long-tailed targets the round trip of the smallest values rounds, of which it would warn.
    return TransformedTargetRegressor(regressor=model, transformer=StandardScaler(), check_inverse=False)
