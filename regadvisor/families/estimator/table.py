"""One row for each estimator of scikit-learn: what it can express, how, and what it is compared by.

A row (:data:`ESTIMATORS`) has the kinds of regularizers, the parameters that set their strengths, and the
held-out loss. Linear models with log loss or squared error are fitted by our own solvers, which find the same
minimum; all others are trained as themselves, and their strengths mean what their own objective says:

    mean of the loss over the rows + l1·Σ|w| + (l2/2)·Σw²

on the features and the target that the estimator gets. The rules state how each writes that. Where a loss
follows the unit of the target, so do the strengths: `scale` says how much larger they are than those for a
target of variance 1, in which ranges are known.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

from sklearn import linear_model
from sklearn.base import BaseEstimator, clone
from sklearn.linear_model import ElasticNet, Lasso, LinearRegression, LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.svm import LinearSVC

from regadvisor.errors import ParameterError, reason_of
from regadvisor.families.estimator import measures, rules
from regadvisor.families.estimator.measures import Scale, Target
from regadvisor.families.estimator.names import is_own_class, is_there, theirs
from regadvisor.families.estimator.rules import Strengths, on_standardised_target
from regadvisor.families.fitted.losses import ErrorRate, LogLoss, RowLoss, of_margins, squared_error
from regadvisor.families.linear.least_squares import SparseElasticNet, SparseLasso
from regadvisor.families.linear.logistic import SparseLogisticRegression
from regadvisor.foreign import check_ours
from regadvisor.regularizer import Kind


def configured(estimator: BaseEstimator, strengths: Strengths) -> BaseEstimator:
    """Return a copy of `estimator` with these strengths.

    All other arguments stay, but for those with which it could not find the minimum. Least squares without a
    penalty is LinearRegression, as scikit-learn advises; LinearRegression with a penalty becomes Ridge, Lasso
    or ElasticNet.

    The L1 penalty of least squares follows the unit of its target, and one `alpha` cannot follow several: the
    model is then put into a ``TransformedTargetRegressor`` that standardises each target and predicts in its
    own unit.

    `estimator`: one of scikit-learn's that :data:`ESTIMATORS` names, or one of :data:`WRAPPERS` around it or
    around a pipeline that ends in it.

    Raises ParameterError if the estimator cannot express the strengths.

    >>> from sklearn.linear_model import Ridge
    >>> configured(Ridge(), Strengths(l1=0.0, l2=0.1, n_rows=50))
    Ridge(alpha=5.0)
    """
    own = clone(estimator)
    if isinstance(own, Pipeline):  # inside of a wrapper
        own.steps[-1] = (own.steps[-1][0], configured(own.steps[-1][1], strengths))
        return own
    wrapper = wrapper_of(own)
    if wrapper is not None:
        name = theirs(own)
        n_classes = 2 if name == "OneVsRestClassifier" else strengths.n_classes
        inside = replace(strengths, n_rows=strengths.n_rows * wrapper.share(own), n_classes=n_classes)
        if name == "TransformedTargetRegressor" and (own.func is not None or own.transformer is not None):
            inside = replace(inside, spread=1.0)
        return own.set_params(**{wrapper.inner: configured(getattr(own, wrapper.inner), inside)})
    row = row_of(own)
    if row is None:
        check_ours(own)
        raise ParameterError(
            f"target must be one of {', '.join(ESTIMATORS)} to be configured, alone or as the last step of a "
            f"pipeline, got {type(own).__name__}; use advice.build() for a model of regadvisor's own"
        )
    for name, strength in (("l1", strengths.l1), ("l2", strengths.l2)):
        if strength > 0 and name not in row.kinds(own) and row.rule is not rules.plain:
            label = name.upper()
            raise ParameterError(
                f"target must be {row.instead or 'another estimator'} for an {label} penalty, got "
                f"{type(own).__name__}; or ask what suits it: advise(X, y, model={type(own).__name__}())"
            )
    model = row.rule(own, strengths)
    is_turned = row.is_linear and strengths.sd_y is None and strengths.l1 > 0
    return on_standardised_target(model) if is_turned else model


def row_of(estimator: Any) -> Row | None:
    """Return the row of an estimator, or of the class that it inherits from; None if there is none.

    >>> from sklearn.linear_model import Ridge
    >>> row_of(Ridge()).kinds(Ridge())
    ('none', 'l2')
    """
    return ESTIMATORS.get(theirs(estimator))


@dataclass(frozen=True, kw_only=True)
class Row:
    """What is known of an estimator."""

    is_classifier: bool
    #: Kinds besides none.
    has: tuple[Kind, ...] | Callable[[Any], tuple[Kind, ...]]
    #: The estimator and the strengths → the estimator with its parameters set.
    rule: Callable[[Any, Strengths], BaseEstimator]
    #: The estimator and the target → the held-out loss.
    loss: Callable[[Any, Target], RowLoss]
    #: The estimator and the target → :data:`Scale`.
    scale: Callable[[Any, Target], Scale] = lambda model, y: (1.0, 1.0)
    #: A linear model with log loss or squared error: strengths are ours, for a standardised target.
    is_linear: bool = False
    #: Our own solvers find its minimum.
    is_exact: bool = False
    laws: Literal["linear", "network"] = "linear"
    #: Targets must not be below it; `is_open`: nor at it.
    lowest: Callable[[Any], tuple[float, bool] | None] = lambda model: None
    #: What to take for penalties that it lacks.
    instead: str = ""

    def kinds(self, model: Any) -> tuple[Kind, ...]:
        """Return the kinds that the estimator can express."""
        return ("none", *(self.has(model) if callable(self.has) else self.has))


_ALL: tuple[Kind, ...] = ("l2", "l1", "elasticnet")
_GLM = Row(
    is_classifier=False,
    has=("l2",),
    rule=rules.alpha_is_l2,
    loss=measures.deviance_loss,
    scale=measures.deviance_scale,
    lowest=measures.lowest_target,
)
_NUMBERS = Row(
    is_classifier=False,
    has=_ALL,
    rule=rules.elasticnet,
    loss=lambda model, y: squared_error(),
    scale=measures.squared_scale,
    is_linear=True,
    is_exact=True,
)

#: The estimators that are taken as ``model=``. LinearRegression stands for least squares: with a penalty it
#: becomes Ridge, Lasso or ElasticNet.
ESTIMATORS: dict[str, Row] = {
    "LogisticRegression": Row(
        is_classifier=True,
        has=_ALL,
        rule=rules.logistic,
        loss=lambda model, y: LogLoss(),
        is_linear=True,
        is_exact=True,
    ),
    "LinearRegression": replace(_NUMBERS, rule=rules.plain),
    "Ridge": replace(_NUMBERS, has=("l2",), rule=rules.ridge, instead="Lasso or ElasticNet"),
    "Lasso": replace(_NUMBERS, has=("l1",), rule=rules.lasso, instead="Ridge or ElasticNet"),
    "ElasticNet": _NUMBERS,
    "LassoLars": replace(
        _NUMBERS, has=("l1",), rule=rules.alpha_is_l1, is_exact=False, instead="Ridge or ElasticNet"
    ),
    "MultiTaskLasso": replace(_NUMBERS, has=("l1",), rule=rules.lasso, is_linear=False, is_exact=False),
    "MultiTaskElasticNet": replace(_NUMBERS, is_linear=False, is_exact=False),
    "SGDClassifier": Row(is_classifier=True, has=_ALL, rule=rules.sgd, loss=measures.sgd_classifier_loss),
    "SGDRegressor": Row(
        is_classifier=False,
        has=_ALL,
        rule=rules.sgd,
        loss=measures.sgd_regressor_loss,
        scale=measures.robust_scale,
    ),
    "Perceptron": Row(is_classifier=True, has=_ALL, rule=rules.sgd, loss=lambda model, y: ErrorRate()),
    "RidgeClassifier": Row(
        is_classifier=True,
        has=("l2",),
        rule=rules.ridge_classifier,
        loss=lambda model, y: of_margins("squared error of -1 and 1"),
    ),
    "LinearSVC": Row(
        is_classifier=True,
        has=lambda model: ("l2", "l1") if model.loss == "squared_hinge" else ("l2",),
        rule=rules.svm,
        loss=lambda model, y: of_margins(f"{model.loss.replace('_', ' ')} loss"),
    ),
    "LinearSVR": Row(
        is_classifier=False,
        has=("l2",),
        rule=rules.svm,
        loss=measures.epsilon_loss,
        scale=measures.robust_scale,
    ),
    "PoissonRegressor": _GLM,
    "GammaRegressor": _GLM,
    "TweedieRegressor": _GLM,
    "HuberRegressor": Row(
        is_classifier=False,
        has=("l2",),
        rule=rules.huber_regressor,
        loss=measures.huber_loss,
        scale=measures.huber_scale,
    ),
    "QuantileRegressor": Row(
        is_classifier=False, has=("l1",), rule=rules.alpha_is_l1, loss=measures.pinball_loss
    ),
    "MLPClassifier": Row(
        is_classifier=True, has=("l2",), rule=rules.network, loss=lambda model, y: LogLoss(), laws="network"
    ),
    "MLPRegressor": Row(
        is_classifier=False,
        has=("l2",),
        rule=rules.network,
        loss=measures.network_loss,
        scale=measures.network_scale,
        laws="network",
        lowest=measures.lowest_target,
    ),
}


@dataclass(frozen=True, kw_only=True)
class Wrapper:
    """An estimator around another one, which stays where it is."""

    #: The parameter that holds the estimator inside.
    inner: str = "estimator"
    #: The wrapper → the share of the rows that the estimator inside gets.
    share: Callable[[Any], float] = lambda wrapper: 1.0


def _share_of_calibrated(wrapper: Any) -> float:
    n_folds = wrapper.cv if isinstance(wrapper.cv, int) else 5
    return 1.0 if wrapper.ensemble is False else 1.0 - 1.0 / n_folds


def _share_of_bagged(wrapper: Any) -> float:
    return wrapper.max_samples if isinstance(wrapper.max_samples, float) else 1.0


#: Wrappers whose estimator inside is asked about. They are trained whole.
WRAPPERS: dict[str, Wrapper] = {
    "OneVsRestClassifier": Wrapper(),
    "MultiOutputRegressor": Wrapper(),
    "RegressorChain": Wrapper(),
    "MultiOutputClassifier": Wrapper(),
    "ClassifierChain": Wrapper(),
    "CalibratedClassifierCV": Wrapper(share=_share_of_calibrated),
    "BaggingClassifier": Wrapper(share=_share_of_bagged),
    "BaggingRegressor": Wrapper(share=_share_of_bagged),
    "TunedThresholdClassifierCV": Wrapper(),
    "FixedThresholdClassifier": Wrapper(),
    "TransformedTargetRegressor": Wrapper(inner="regressor"),
}
#: What scikit-learn puts inside where nothing is given.
_INSIDE = {"CalibratedClassifierCV": LinearSVC, "TransformedTargetRegressor": LinearRegression}
#: Arguments that say how strong which penalty is.
STRENGTH_PARAMS = ("alpha", "C", "l1_ratio", "penalty")


#: scikit-learn's class for each of ours.
_THEIRS = {SparseElasticNet: ElasticNet, SparseLasso: Lasso, SparseLogisticRegression: LogisticRegression}


def without_search(estimator: BaseEstimator) -> BaseEstimator:
    """Return what a search over strengths would end in, unfitted: regadvisor does the search itself.

    In pipelines and wrappers, too.

    >>> from sklearn.linear_model import Ridge, RidgeCV
    >>> from sklearn.model_selection import GridSearchCV
    >>> without_search(GridSearchCV(Ridge(), {"alpha": [1, 10]})), without_search(RidgeCV())
    (Ridge(), Ridge())
    """
    name = type(estimator).__name__
    if isinstance(estimator, type):
        check_ours(estimator)
    try:
        own = clone(estimator)
    except Exception as error:  # whatever stands where an estimator should, or a constructor raises
        raise ParameterError(
            f"model must be one that sklearn.base.clone can copy, got {name}: {reason_of(error)}"
        ) from error
    if isinstance(own, Pipeline):
        if own.steps and is_there(own.steps[-1][1]):
            own.steps[-1] = (own.steps[-1][0], without_search(own.steps[-1][1]))
        return own
    if name.endswith("SearchCV") and is_own_class(own):
        return without_search(own.estimator)
    own.__class__ = _THEIRS.get(type(own), type(own))  # of what build() and apply() return
    wrapper = wrapper_of(own)
    if wrapper is not None:
        inner = getattr(own, wrapper.inner)
        if inner is None:
            check_ours(own)  # trees, perhaps
        inner = _INSIDE[theirs(own)]() if inner is None else without_search(inner)
        return own.set_params(**{wrapper.inner: inner})
    base = {"LassoLarsIC": "LassoLars"}.get(name, name.removesuffix("CV"))
    if base == name or base not in ESTIMATORS or not is_own_class(own):
        return own
    found = getattr(linear_model, base)()
    known = own.get_params()
    shared = [
        each for each in found.get_params() if each in known and each not in (*STRENGTH_PARAMS, "precompute")
    ]
    return found.set_params(**{each: known[each] for each in shared})


def wrapper_of(estimator: Any) -> Wrapper | None:
    """Return what is known of an estimator around another one; None if it is no such estimator."""
    return WRAPPERS.get(theirs(estimator))


def innermost(estimator: Any) -> Any:
    """Return the estimator inside of wrappers, and of pipelines inside of them.

    >>> from sklearn.linear_model import Ridge
    >>> from sklearn.multiclass import OneVsRestClassifier
    >>> innermost(OneVsRestClassifier(Ridge()))
    Ridge()
    """
    if isinstance(estimator, Pipeline):
        return innermost(estimator.steps[-1][1])
    wrapper = wrapper_of(estimator)
    return estimator if wrapper is None else innermost(getattr(estimator, wrapper.inner))
