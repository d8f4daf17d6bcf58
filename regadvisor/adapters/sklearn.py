"""Strengths into scikit-learn models, and the conversions at the border to each library.

Inside, strengths mean: minimise ``mean loss + l1·Σ|w| + (l2/2)·Σw²`` on standardised features, with half the
squared error of a standardised target (regression) or the log loss (classification). Every library writes
its objective differently; one function per rule, each tested against the library. With sample weights,
`n_rows` is the sum of the weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.compose import TransformedTargetRegressor
from sklearn.linear_model import ElasticNet, Lasso, LinearRegression, LogisticRegression, Ridge
from sklearn.preprocessing import StandardScaler

#: L-BFGS stops at a gradient of the mean loss below this; scikit-learn's 1e-4 is visible in weak penalties.
LBFGS_TOL = 1e-5
#: SAGA stops when no weight moves by more than this share of the largest in a pass over the rows. At its
#: usual 1e-4, probabilities of collinear features were off by up to 0.007, and the log loss of sparse rows,
#: whose intercept it moves a hundred times more slowly, by 3 to 7% (now by 0.4 to 1.9%).
SAGA_TOL = 1e-5
#: liblinear, the solver of L1 for two classes, penalises the intercept by 1/scaling as much as a weight; its
#: tolerance of 1e-4 is visible in weak penalties. With these two, probabilities were within 0.001 of the
#: minimum's (five problems, four strengths, twelve seeds) after 0.2 s at most, where SAGA takes 13 s for the
#: 30 collinear columns of breast cancer and is 0.014 off. At 1,000 and 1e-8 some seeds do not end in 10,000
#: passes.
INTERCEPT_SCALING, LIBLINEAR_TOL = 300.0, 1e-7
#: Generous: a model that stops early is another model than the one that was validated.
MAX_ITER = 10_000
#: SAGA's passes over a handful of rows are short, and it needs many of them where the classes are separable.
SAGA_MAX_ITER = 100_000


def elasticnet_params(l1: float, l2: float) -> dict[str, float]:
    """Return `alpha` and `l1_ratio` of ``ElasticNet`` on a standardised target.

    The objective is ``‖y − Xw‖²/(2n) + alpha·l1_ratio·Σ|w| + alpha·(1 − l1_ratio)/2·Σw²``; sample weights are
    scaled to a mean of 1 by scikit-learn, so their sum does not matter here.

    Examples
    --------
    >>> elasticnet_params(0.25, 0.75)
    {'alpha': 1.0, 'l1_ratio': 0.25}
    """
    alpha = l1 + l2
    return {"alpha": alpha, "l1_ratio": l1 / alpha if alpha else 0.0}


def ridge_alpha(l2: float, n_rows: float) -> float:
    """Return `alpha` of ``Ridge``, whose objective is ``‖y − Xw‖² + alpha·Σw²`` (a sum over rows).

    Examples
    --------
    >>> ridge_alpha(0.5, 200)
    100.0
    """
    return n_rows * l2


def logistic_params(l1: float, l2: float, n_rows: float) -> dict[str, float]:
    """Return `C` and `l1_ratio` of ``LogisticRegression``.

    The objective is ``C·Σ loss + l1_ratio·Σ|w| + (1 − l1_ratio)/2·Σw²``. With ``solver="liblinear"``, which
    penalises the intercept, only beside a large `intercept_scaling`.

    Examples
    --------
    >>> logistic_params(0.0, 0.01, 1000)
    {'C': 0.1, 'l1_ratio': 0.0}
    >>> logistic_params(0.0, 0.0, 1000)
    {'C': inf, 'l1_ratio': 0.0}
    """
    total = l1 + l2
    if total == 0.0:
        return {"C": np.inf, "l1_ratio": 0.0}
    return {"C": 1.0 / (n_rows * total), "l1_ratio": l1 / total}


def weights_up_to_one(class_weight: Mapping[Any, float]) -> tuple[dict[Any, float], float]:
    """Return class weights divided by the largest, and the largest, by which `C` is to be multiplied.

    The objective stays the same, and SAG and SAGA need it: their steps are as long as rows of weight 1 allow,
    and with larger weights they never settle.

    Examples
    --------
    >>> weights_up_to_one({"no": 0.5, "yes": 5.0})
    ({'no': 0.1, 'yes': 1.0}, 5.0)
    """
    largest = max(class_weight.values())
    return {label: weight / largest for label, weight in class_weight.items()}, largest


def raw_target(l1: float, l2: float, sd_y: float) -> tuple[float, float]:
    """Return the strengths for a target in its own unit, whose standard deviation is `sd_y`.

    Weights and gradients both grow with the target's unit: an L1 penalty has to follow, L2 does not.

    Examples
    --------
    >>> raw_target(0.1, 0.3, 20.0)
    (2.0, 0.3)
    """
    return l1 * sd_y, l2


def mlp_alpha(l2: float, n_rows_per_step: float) -> float:
    """Return `alpha` of scikit-learn's ``MLPClassifier`` or ``MLPRegressor``.

    Their penalty is ``alpha/2·Σw²`` divided by the rows of the batch. L1 cannot be expressed.

    Parameters
    ----------
    l2 : float
    n_rows_per_step : float
        The batch size; for ``solver="lbfgs"`` all rows.

    Examples
    --------
    >>> mlp_alpha(0.01, 200)
    2.0
    """
    return n_rows_per_step * l2


def linear_model(*, task: str, l1: float, l2: float, n_rows: float, seed: int | None = None) -> BaseEstimator:
    """Return the unfitted scikit-learn model with these strengths.

    Parameters
    ----------
    task : {"binary", "multiclass", "regression"}
    l1, l2 : float
        Strengths for standardised features and a standardised target; see :func:`on_standardised_target`.
    n_rows : float
        Rows (or sum of the weights) it will be trained on.
    seed : int, optional
        Order in which SAGA visits the rows and liblinear the columns; coordinate descent, which visits them
        one after the other, would draw from NumPy's global state without one.

    Examples
    --------
    >>> linear_model(task="regression", l1=0.0, l2=0.1, n_rows=50)
    Ridge(alpha=5.0)
    >>> linear_model(task="binary", l1=0.0, l2=0.0, n_rows=50).C
    inf
    """
    if task == "regression":
        return _regressor(l1, l2, n_rows, seed)
    # 1.0 and 0.0 exactly, so that scikit-learn sees a pure penalty.
    params: dict[str, Any] = dict(logistic_params(l1, l2, n_rows))
    if l1 == 0.0:
        return LogisticRegression(**params, solver="lbfgs", tol=LBFGS_TOL, max_iter=MAX_ITER)
    if l2 == 0.0 and task == "binary":
        return LogisticRegression(
            **params,
            solver="liblinear",
            intercept_scaling=INTERCEPT_SCALING,
            tol=LIBLINEAR_TOL,
            max_iter=MAX_ITER,
            random_state=seed,
        )
    return LogisticRegression(
        **params, solver="saga", tol=SAGA_TOL, max_iter=SAGA_MAX_ITER, random_state=seed
    )


def _regressor(l1: float, l2: float, n_rows: float, seed: int | None) -> BaseEstimator:
    """Return the least-squares model with these strengths."""
    if l1 == 0.0 and l2 == 0.0:
        return LinearRegression()
    if l1 == 0.0:
        return Ridge(alpha=ridge_alpha(l2, n_rows))
    if l2 == 0.0:
        return Lasso(alpha=l1, max_iter=MAX_ITER, random_state=seed)
    return ElasticNet(**elasticnet_params(l1, l2), max_iter=MAX_ITER, random_state=seed)


def on_standardised_target(model: BaseEstimator) -> TransformedTargetRegressor:
    """Return `model` trained on the standardised target and predicting in the target's own unit.

    Several targets are standardised one by one.

    Examples
    --------
    >>> on_standardised_target(Lasso(alpha=0.1)).regressor
    Lasso(alpha=0.1)
    """
    # Of long-tailed targets the round trip of the smallest values rounds, of which it would warn.
    return TransformedTargetRegressor(regressor=model, transformer=StandardScaler(), check_inverse=False)
