"""The pipeline that ``build()`` returns: scikit-learn's own, but it takes a target as ``advise()`` does."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self

import narwhals as nw
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit, softmax
from sklearn import config_context
from sklearn.base import BaseEstimator, ClassifierMixin, is_classifier, is_regressor
from sklearn.exceptions import NotFittedError, UnsetMetadataPassedError
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.metaestimators import available_if

from regadvisor.data.datasets import is_dataset, unpacked
from regadvisor.data.frames import as_frame
from regadvisor.data.levels import label_array
from regadvisor.data.targets import labels_in
from regadvisor.data.training import training_rows
from regadvisor.errors import DataError, RegadvisorError, enough_memory
from regadvisor.families.preprocess import requested
from regadvisor.families.scaling import is_centred
from regadvisor.families.unpenalised import Unpenalised
from regadvisor.global_state import left_as_found
from regadvisor.words import joined, listed, shown


class _DataTypeError(DataError, TypeError):
    """Data of a type that scikit-learn does not take, for which its convention is a TypeError."""


@contextmanager
def as_data_errors(X: Any = None) -> Iterator[None]:
    """Make errors of scikit-learn's checks of X ours; their words stay, except for missing values."""
    try:
        yield
    except (RegadvisorError, NotFittedError, UnsetMetadataPassedError):
        raise
    except (TypeError, ValueError, OverflowError) as error:
        if "contains NaN" in str(error) and (where := _missing(X)):
            raise DataError(
                f"X must have a value wherever the rows of the advice had one, got missing values in {where}"
                "; fill them in, or ask for advice on rows with missing values: then the model fills them in"
            ) from error
        kind = _DataTypeError if isinstance(error, TypeError) else DataError
        raise kind(f"X must be a table that scikit-learn can take, got an error: {error}") from error


def _missing(X: Any) -> str:
    """Return the columns of a table that lack values, and how many; "" if none does."""
    frame = as_frame(X)
    if frame is None and isinstance(X, np.ndarray) and X.ndim == 2:
        frame = pd.DataFrame(X)
    n_lost = () if frame is None else ((name, n) for name, n in frame.isna().sum().items() if n)
    return joined((f"{shown(name)} ({n:,})" for name, n in n_lost), most=5)


def _has(method: str) -> Callable[[Any], bool]:
    return lambda pipeline: hasattr(pipeline._final_estimator, method)


class AdvisedPipeline(Pipeline):
    """A pipeline that is fitted to the rows which the advice was given for.

    As in ``advise()``, rows without a target and rows of weight 0 are left out of :meth:`fit` and
    :meth:`score`, weights (``sample_weight=`` or ``model__sample_weight=``) are scaled to a mean of 1, and
    targets may be of any type that it takes: nullable, decimal, bytes, frames of other libraries.

    >>> from sklearn.linear_model import Ridge
    >>> pipeline = AdvisedPipeline([("model", Ridge(alpha=0.0))])
    >>> pipeline.fit([[0], [1], [5]], [0, 2, None]).predict([[3]]).round(6)
    array([6.])
    """

    @property
    def weight_name(self) -> str:
        """The name by which :meth:`fit` takes the weights of the rows: that of the last step of all."""
        names, step = [], self
        while isinstance(step, Pipeline):
            name, step = step.steps[-1]
            names.append(name)
        return "__".join([*names, "sample_weight"])

    @enough_memory()
    def fit(self, X: Any, y: Any = None, **params: Any) -> Self:
        """Fit the model to the rows that have a target and a weight.

        Parameters
        ----------
        X : array-like, sparse matrix or frame, shape (n_rows, n_features), or images
            Or a Dataset or DataLoader of torch, which holds the target, too.
        y : array-like or frame, shape (n_rows,) or (n_rows, n_targets)
        **params : object
            As for scikit-learn's ``Pipeline.fit``.

        Raises
        ------
        DataError
            If the target, a weight or a column cannot be used.
        OutOfMemoryError
            If memory does not suffice.
        """
        if is_dataset(X):
            X, y = unpacked(X, y)
        if is_classifier(self) or is_regressor(self):  # a part of it may be neither
            names = (self.weight_name, "sample_weight")
            name = next((name for name in names if params.get(name) is not None), None)
            given = None if name is None else params.pop(name)
            X, y, weight = training_rows(X, y, is_classification=is_classifier(self), sample_weight=given)
            own = {} if name is None else requested(self[:-1], weight) or {self.weight_name: weight}
            params |= own
        # With routing, scikit-learn would refuse parameters of a step.
        how = {"enable_metadata_routing": False} if any("__" in name for name in params) else {}
        with left_as_found(), config_context(**how), warnings.catch_warnings():
            # Whether these are classes was asked by advise().
            warnings.filterwarnings("ignore", message="The number of unique classes is greater than 50%")
            with as_data_errors(X):
                fitted: Self = super().fit(X, y, **params)
        return fitted

    def _as_fitted(self, X: Any) -> Any:
        """Return the rows of a frame or data set, with the columns that were learned from, in their order."""
        if is_dataset(X):
            return unpacked(X, None)[0]
        names = list(getattr(self, "feature_names_in_", ()))
        frame = nw.from_native(X, pass_through=True, eager_only=True) if names else X
        if isinstance(frame, nw.DataFrame) and names != frame.columns and set(names) <= set(frame.columns):
            return frame.select(names).to_native()
        return X

    @available_if(_has("predict"))  # type: ignore[untyped-decorator]
    def predict(self, X: Any, **params: Any) -> NDArray[Any]:
        """Return the predictions, shape (n_rows,) or (n_rows, n_targets).

        Columns of a frame are found by their names, in any order. A number that is missing where the rows of
        the fit lacked none is taken for the usual one there (mean; for networks the median), with a warning.
        """
        return self._answered(super().predict, X, **params)

    @available_if(_has("predict_proba"))  # type: ignore[untyped-decorator]
    def predict_proba(self, X: Any, **params: Any) -> NDArray[Any]:
        """Return class probabilities, shape (n_rows, n_classes)."""
        return self._answered(super().predict_proba, X, **params)

    @available_if(_has("predict_log_proba"))  # type: ignore[untyped-decorator]
    def predict_log_proba(self, X: Any, **params: Any) -> NDArray[Any]:
        """Return logarithms of class probabilities, shape (n_rows, n_classes)."""
        return self._answered(super().predict_log_proba, X, **params)

    @available_if(_has("decision_function"))  # type: ignore[untyped-decorator]
    def decision_function(self, X: Any, **params: Any) -> NDArray[Any]:
        """Return scores of the classes, shape (n_rows,) for two classes, else (n_rows, n_classes)."""
        return self._answered(super().decision_function, X, **params)

    @enough_memory()
    def _answered(
        self, method: Callable[..., NDArray[Any]], X: Any, *more: Any, **params: Any
    ) -> NDArray[Any]:
        """Return what a method says of rows, with usual values where none was missing in the fit."""
        X = self._as_fitted(X)
        with as_data_errors(X):
            try:
                return method(X, *more, **params)
            except ValueError as error:
                if "contains NaN" not in str(error) or len(self) != 2 or not is_centred(self[0]):
                    raise
                features: Any = self[:-1].transform(X)
                values = features.data if hasattr(features, "tocsr") else features
                np.nan_to_num(values, copy=False, nan=0.0)
        warnings.warn(
            f"X has missing values in {_missing(X) or 'some rows'}, where the rows of the fit had none: the "
            "usual value there stands in; ask for advice on rows with missing values if more are to come",
            stacklevel=3,
        )
        method = getattr(self[-1], method.__name__)
        return method(features, *more, **params)

    @property
    def coef_(self) -> NDArray[np.float64]:
        """Weights of a linear model for standardised features: (n_features,) or (n_outputs, n_features).

        A weight says how much its feature matters. Of a target that is standardised inside, weights are in
        the unit of the target.
        """
        model: Any = self[-1]
        inside = getattr(model, "regressor_", model)
        if not hasattr(inside, "coef_"):
            raise AttributeError(f"{type(self).__name__} has coef_ once a linear model was fitted")
        weights = np.asarray(inside.coef_, dtype=np.float64)
        if inside is not model:
            scale = getattr(model.transformer_, "scale_", None)
            if not isinstance(model.transformer_, StandardScaler) or scale is None:
                raise AttributeError("the weights are for a transformed target: see pipeline[-1].regressor_")
            weights = (weights.T * scale).T.reshape(weights.shape)
        first = self[0]
        return weights * first.scale_ if isinstance(first, Unpenalised) else weights

    def score(self, X: Any, y: Any = None, sample_weight: Any = None, **params: Any) -> float:
        """Return the accuracy or R² on the rows that have a target and a weight."""
        X, y, sample_weight = training_rows(
            X, y, is_classification=is_classifier(self), sample_weight=sample_weight
        )
        # With routing, scikit-learn would ask the last step whether it wants them.
        how = {} if params else {"enable_metadata_routing": False}
        with config_context(**how):
            return float(self._answered(super().score, X, y, sample_weight=sample_weight, **params))


@dataclass(eq=False, repr=False)
class LabelClassifier(ClassifierMixin, BaseEstimator):
    """Several labels of each row, 0 or 1, by a network with an output for each; `classes_`: their numbers.

    `network`: a regressor, trained in place, that predicts logits, or shares if not `are_logits`.
    """

    network: Any
    are_logits: bool = True

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train on all rows: `y` (n_rows, n_labels), each 0 or 1."""
        self.network.fit(X, y, sample_weight)
        self.classes_ = np.arange(np.shape(y)[1])
        return self

    def decision_function(self, X: Any) -> NDArray[np.float64]:
        """Return the logits, shape (n_rows, n_labels); or how far shares are above a half."""
        outputs: NDArray[np.float64] = self.network.predict(X)
        return outputs if self.are_logits else outputs - 0.5

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Return the probability of each label, shape (n_rows, n_labels)."""
        found = self.decision_function(X)
        return np.asarray(expit(found) if self.are_logits else found + 0.5)

    def predict(self, X: Any) -> NDArray[np.intp]:
        """Return 0 or 1 for each label, shape (n_rows, n_labels)."""
        return (self.decision_function(X) > 0).astype(np.intp)


@dataclass(eq=False, repr=False)
class ColumnsClassifier(ClassifierMixin, BaseEstimator):
    """Several columns of classes, each of labels of any type.

    `model`: a classifier of scikit-learn for several columns of codes, or if `is_network` a regressor that
    predicts a logit for every class of each; trained in place. `classes`: the labels of each column.
    `classes_`: the labels of each column that were met; of a network all.
    """

    model: Any
    classes: tuple[tuple[Any, ...], ...] = ()
    is_network: bool = False

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train on all rows: `y` (n_rows, n_columns)."""
        y = np.asarray(y, dtype=object)
        codes = np.column_stack([_codes(y[:, j], own) for j, own in enumerate(self.classes)])
        labels = [label_array(own) for own in self.classes]
        if self.is_network:
            blocks = [np.eye(len(own))[codes[:, j]] for j, own in enumerate(self.classes)]
            self.model.fit(X, np.hstack(blocks), sample_weight)
            self.classes_ = labels
        else:
            self.model.fit(X, codes, **({} if sample_weight is None else {"sample_weight": sample_weight}))
            self.classes_ = [own[met] for own, met in zip(labels, self.model.classes_, strict=True)]
        return self

    @available_if(lambda own: own.is_network or hasattr(own.model, "predict_proba"))  # type: ignore[untyped-decorator]
    def predict_proba(self, X: Any) -> list[NDArray[np.float64]]:
        """Return the probabilities of each column's classes, each (n_rows, n_classes)."""
        if not self.is_network:
            return list(self.model.predict_proba(X))
        ends = np.cumsum([len(own) for own in self.classes])[:-1]
        return [softmax(own, axis=1) for own in np.split(self.model.predict(X), ends, axis=1)]

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the labels of each column, shape (n_rows, n_columns)."""
        if self.is_network:
            codes = np.column_stack([own.argmax(axis=1) for own in self.predict_proba(X)])
        else:
            codes = self.model.predict(X)
        return labels_in(codes, self.classes)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the share of rows that are right in every column, as MultiOutputClassifier does."""
        is_right = (self.predict(X) == np.asarray(y, dtype=object)).all(axis=1)
        return float(np.average(is_right, weights=sample_weight))


def _codes(labels: NDArray[Any], classes: tuple[Any, ...]) -> NDArray[np.intp]:
    """Return the places of labels among the classes that the advice is about; DataError for others."""
    place = {label: code for code, label in enumerate(classes)}
    other = next((label for label in labels if label not in place), None)
    if other is not None:
        raise DataError(f"y must hold the classes of the advice, {listed(classes)}, got {shown(other)}")
    return np.array([place[label] for label in labels], dtype=np.intp)
