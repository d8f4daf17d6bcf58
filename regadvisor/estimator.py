"""Pipeline steps: estimators that advise and then train on everything, and a step that only advises."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
from narwhals.dependencies import is_into_dataframe
from numpy.typing import NDArray
from sklearn.base import (
    BaseEstimator,
    ClassifierMixin,
    OneToOneFeatureMixin,
    RegressorMixin,
    TransformerMixin,
    is_regressor,
)
from sklearn.exceptions import DataConversionWarning
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, validate_data

from regadvisor.api import advise
from regadvisor.data.rows import as_target
from regadvisor.data.table import is_column
from regadvisor.errors import DataError, ParameterError
from regadvisor.families.pipeline import as_data_errors
from regadvisor.foreign import check_ours, is_of
from regadvisor.global_state import left_as_found
from regadvisor.models import predicts_numbers

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from regadvisor.advice import Advice
    from regadvisor.evidence.scores import Scoring
    from regadvisor.families.neural.recipe import Recipe
    from regadvisor.families.pipeline import AdvisedPipeline
    from regadvisor.flowchart.chart import Chart
    from regadvisor.progress import Progress


@dataclass(kw_only=True, eq=False, repr=False)
class AdvisorParameters(BaseEstimator):
    """What the estimators share: the arguments of ``advise()`` as parameters, and how it is called.

    `X` is passed on as the caller gave it (frames keep their column types); scikit-learn's own checks run
    first on everything that is not a frame.
    """

    model: Any = "auto"
    recipe: Recipe | None = None
    effort: Literal["quick", "standard", "thorough"] | None = "quick"
    budget: float | Literal["auto"] | None = "auto"
    sample: Any = "auto"
    match: Any = None
    chart: str | Chart = "extended"
    correlated: bool | None = None
    whole_picture: bool | None = None
    prefer: Literal["sparse"] | None = None
    unpenalised: Sequence[str | int] | None = None
    scoring: Scoring | None = None
    folds: int = 5
    random_state: int = 0
    device: str = "auto"
    storage: str | Path | None = None
    progress: Progress | bool | None = False
    executor: Any = None
    isolate: bool = False
    memory_limit: float | None = None

    _task: ClassVar[str] = "auto"

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.sparse = True
        return tags

    def _checked(self, X: Any, *, reset: bool) -> Any:
        """Return `X` after scikit-learn's checks; a frame only has its names checked."""
        with as_data_errors():
            if is_column(X):  # texts, for a model whose own steps read them
                return X
            if is_into_dataframe(X):
                validate_data(self, X, skip_check_array=True, reset=reset)
                return X
            return validate_data(
                self, X, reset=reset, accept_sparse="csr", ensure_all_finite="allow-nan", dtype="numeric"
            )

    def _advise(self, X: Any, y: Any, **rows: Any) -> Advice:
        return advise(X, y, task=self._task, **self.get_params(deep=False), **rows)


def _is_able(method: str, *, once_fitted: bool = False) -> Callable[[Any], bool]:
    """Return whether the model has a method; before it is fitted that is not known."""

    def check(own: Any) -> bool:
        return hasattr(own.estimator_, method) if hasattr(own, "estimator_") else not once_fitted

    return check


class _AdvisedEstimator(AdvisorParameters):
    """Advise, then train the advised model on every row that has a target and a weight."""

    @left_as_found()
    def _fit(self, X: Any, y: Any, sample_weight: Any, groups: Any, time: Any) -> Self:
        _check_target(self, y)
        X = self._checked(X, reset=True)
        self.advice_ = self._advise(X, y, sample_weight=sample_weight, groups=groups, time=time)
        unfitted = self.advice_.build()
        weights = {} if sample_weight is None else {unfitted.weight_name: sample_weight}
        if is_regressor(unfitted) and isinstance(self, ClassifierMixin):
            raise ParameterError(
                "model must have outputs known to be logits or shares for several labels, got others; leave "
                "recipe.loss out, or use advise() and advice.build(), which predicts them"
            )
        self.estimator_: AdvisedPipeline = unfitted.fit(X, y, **weights)
        return self

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the predictions of the trained model, shape (n_rows,) or (n_rows, n_targets) as in `fit`."""
        return self._predicted("predict", X)

    @property
    def coef_(self) -> NDArray[np.float64]:
        """Weights of the encoded features, shape (n_features,) or (n_outputs, n_features), if it has them.

        Numbers are standardised, so a weight says how much its feature matters; of a target that is
        standardised inside, weights are in the unit of the target.
        """
        if "estimator_" not in self.__dict__:
            raise AttributeError(f"{type(self).__name__} has coef_ once a linear model was fitted")
        trained: Any = self.estimator_
        weights: NDArray[np.float64] = trained.coef_
        return weights

    def _predicted(self, method: str, X: Any) -> NDArray[Any]:
        check_is_fitted(self)
        predicted: NDArray[Any] = getattr(self.estimator_, method)(self._checked(X, reset=False))
        return predicted


def _check_target(estimator: BaseEstimator, y: Any) -> None:
    """Raise DataError if there is no target; warn, as scikit-learn does, of one that is a column."""
    if y is None:
        raise DataError(
            f"{type(estimator).__name__} requires y to be passed, but the target y is None; pass the target"
        )
    if as_target(y).ndim == 1 and len(getattr(y, "shape", ())) == 2:
        warnings.warn(
            "A column-vector y was passed when a 1d array was expected; it is used as y.ravel().",
            DataConversionWarning,
            stacklevel=4,
        )


class AdvisedClassifier(ClassifierMixin, _AdvisedEstimator):
    """A classifier that asks which regularizer to use, and then trains with it on everything.

    `y` may be several columns of 0 and 1, or of classes: one classifier for each, or a network of them all.

    Parameters
    ----------
    model, recipe, effort, budget, sample, match, chart, correlated, whole_picture, prefer, unpenalised, \
scoring, folds, random_state, device, storage, progress, executor, isolate, memory_limit
        As in :func:`regadvisor.advise`; `effort` is "quick" by default, and no bar is drawn.

    Attributes
    ----------
    advice_ : Advice
    estimator_ : Pipeline
        The advised model, trained on all rows.
    classes_ : ndarray, shape (n_classes,)
        For several labels as the trained model has it.
    n_features_in_ : int
    feature_names_in_ : ndarray, only if `X` has column names

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> model = AdvisedClassifier().fit(X, y)
    >>> model.score(X, y) > 0.95
    True
    """

    _task = "classification"

    def fit(self, X: Any, y: Any, sample_weight: Any = None, *, groups: Any = None, time: Any = None) -> Self:
        """Advise on `X` and `y`, then train on every row; see :func:`regadvisor.advise` for the arguments."""
        if hasattr(self.model, "get_params") and not is_of(self.model, "skorch"):
            check_ours(self.model)
        if hasattr(self.model, "get_params") and predicts_numbers(self.model):
            raise ParameterError(
                f"model must be a classifier, got {type(self.model).__name__}; use AdvisedRegressor for it"
            )
        self._fit(X, y, sample_weight, groups, time)
        self.classes_ = self.estimator_.classes_
        return self

    @available_if(_is_able("predict_proba"))  # type: ignore[untyped-decorator]
    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Return class probabilities, shape (n_rows, n_classes), in the order of ``classes_``."""
        return self._predicted("predict_proba", X)

    @available_if(_is_able("predict_proba"))  # type: ignore[untyped-decorator]
    def predict_log_proba(self, X: Any) -> Any:
        """Return logarithms of class probabilities, shape (n_rows, n_classes)."""
        found: Any = self.predict_proba(X)
        with np.errstate(divide="ignore"):
            return [np.log(own) for own in found] if isinstance(found, list) else np.log(found)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the accuracy; of several columns the share of rows that are right in all of them."""
        is_right = self.predict(X) == np.asarray(as_target(y))
        if is_right.ndim > 1:
            return float(np.average(is_right.all(axis=1), weights=sample_weight))
        return float(super().score(X, y, sample_weight))

    @available_if(_is_able("decision_function", once_fitted=True))  # type: ignore[untyped-decorator]
    def decision_function(self, X: Any) -> NDArray[np.float64]:
        """Return scores of the classes, shape (n_rows,) for two classes, else (n_rows, n_classes)."""
        return self._predicted("decision_function", X)


class AdvisedRegressor(RegressorMixin, _AdvisedEstimator):
    """A regressor that asks which regularizer to use, and then trains with it on everything.

    `y` may have several columns: one model of them all, with one regularizer.

    Parameters
    ----------
    model, recipe, effort, budget, sample, match, chart, correlated, whole_picture, prefer, unpenalised, \
scoring, folds, random_state, device, storage, progress, executor, isolate, memory_limit
        As in :func:`regadvisor.advise`; `effort` is "quick" by default, and no bar is drawn.

    Attributes
    ----------
    advice_ : Advice
    estimator_ : Pipeline
        The advised model, trained on all rows.
    n_features_in_ : int
    feature_names_in_ : ndarray, only if `X` has column names

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> X, y = load_diabetes(return_X_y=True)
    >>> AdvisedRegressor().fit(X, y).score(X, y) > 0.4
    True
    """

    _task = "regression"

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def fit(self, X: Any, y: Any, sample_weight: Any = None, *, groups: Any = None, time: Any = None) -> Self:
        """Advise on `X` and `y`, then train on every row; see :func:`regadvisor.advise` for the arguments."""
        return self._fit(X, y, sample_weight, groups, time)


class RegularizationAdvisor(OneToOneFeatureMixin, TransformerMixin, AdvisorParameters):
    """A pass-through step: records advice about what flows through it and changes nothing.

    Put it before the model in a pipeline to see, in ``advice_``, which regularizer the data ask for.

    Parameters
    ----------
    model, recipe, effort, budget, sample, match, chart, correlated, whole_picture, prefer, unpenalised, \
scoring, folds, random_state, device, storage, progress, executor, isolate, memory_limit
        As in :func:`regadvisor.advise`; `effort` is "quick" by default, and no bar is drawn.

    Attributes
    ----------
    advice_ : Advice
    n_features_in_ : int

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.linear_model import Ridge
    >>> from sklearn.pipeline import make_pipeline
    >>> X, y = load_diabetes(return_X_y=True)
    >>> pipeline = make_pipeline(RegularizationAdvisor(), Ridge()).fit(X, y)
    >>> pipeline[0].advice_.regularizer.coupling
    'loss'
    """

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags

    def fit(self, X: Any, y: Any, sample_weight: Any = None, *, groups: Any = None, time: Any = None) -> Self:
        """Advise on `X` and `y`; see :func:`regadvisor.advise` for the arguments.

        In a pipeline they are passed as ``fit(X, y, regularizationadvisor__groups=...)``, or by metadata
        routing after ``set_fit_request(groups=True)``.
        """
        _check_target(self, y)
        X = self._checked(X, reset=True)
        self.advice_ = self._advise(X, y, sample_weight=sample_weight, groups=groups, time=time)
        return self

    def transform(self, X: Any) -> Any:
        """Return `X` as it is."""
        check_is_fitted(self)
        return self._checked(X, reset=False)
