"""From rows of a table to the numbers a model sees: by our preprocessing, or by the caller's own steps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin, clone

from regadvisor.data.table import Table
from regadvisor.data.targets import labels_or_numbers
from regadvisor.errors import DataError, RegadvisorError
from regadvisor.families.preprocess import feature_names, requested
from regadvisor.global_state import own_randomness
from regadvisor.records import Column
from regadvisor.words import titled

#: Steps without a seed of their own get this one inside the folds: equal calls return equal advice.
_SEED = 0
_FIT = (
    "see that model.fit(X, y) works: columns of text need an encoder, in a ColumnTransformer, and columns "
    "are called as they are in X"
)
_MEET = (
    "a fold fits them to some of the rows and meets the others later: encoders need handle_unknown='ignore' "
    "for that, for instance"
)


class Encoder:
    """Unfitted steps from rows of a table to features: our preprocessing, which reads the checked X."""

    def __init__(self, steps: Any, table: Table) -> None:
        self._steps, self._facts = steps, table.facts

    def fit_transform(self, rows: Table) -> Any:
        """Fit to training rows and return their features, dense or sparse."""
        return self._steps.fit_transform(rows.X)

    def transform(self, rows: Table) -> Any:
        """Return the features of other rows."""
        return self._steps.transform(rows.X)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the features, once fitted."""
        return feature_names(self._steps, self._facts)

    @property
    def free(self) -> Any:
        """Which features no penalty acts on, once fitted, shape (n_features,); None: all are penalised."""
        return getattr(self._steps, "free_", None)


def make_encoder(table: Table, ours: Callable[[], Any]) -> Encoder:
    """Return the encoder of a table: the caller's own steps where it has them, else what `ours` makes."""
    return Encoder(ours(), table) if table.steps is None else _CallerSteps(table.steps, table)


def as_seen(table: Table) -> Table:
    """Return a table of the features that the model gets, where these come from the caller's own steps.

    >>> from sklearn.decomposition import PCA
    >>> from regadvisor.data.source import make_table
    >>> X = np.random.default_rng(0).normal(size=(30, 4))
    >>> table = replace(make_table(X, np.arange(30.0)), given=X, steps=PCA(2))
    >>> [column.name for column in as_seen(table).facts.columns]
    ['pca0', 'pca1']
    """
    if table.steps is None:
        return table
    encoder = _CallerSteps(table.steps, table)
    features = encoder.fit_transform(table)
    columns = tuple(Column(name=name, kind="numeric") for name in encoder.names)
    container: Literal["sparse", "array"] = "sparse" if hasattr(features, "tocsr") else "array"
    facts = replace(table.facts, container=container, columns=columns, image_shape=None)
    return replace(table, X=features, facts=facts, given=None, steps=None)


class _CallerSteps(Encoder):
    """The caller's own steps; they read what the caller passed, and may read the target."""

    def __init__(self, steps: Any, table: Table) -> None:
        super().__init__(seeded(clone(steps), _SEED), table)
        self._n_features = 0

    def fit_transform(self, rows: Table) -> Any:
        weights = requested(self._steps, rows.weight)
        fit = partial(self._steps.fit_transform, rows.given, labels_or_numbers(rows), **weights)
        encoded = _run(fit, _FIT, n_rows=rows.n_rows)
        self._n_features = encoded.shape[1]
        return encoded

    def transform(self, rows: Table) -> Any:
        return _run(partial(self._steps.transform, rows.given), _MEET, n_rows=rows.n_rows)

    @property
    def names(self) -> tuple[str, ...]:
        try:
            names = tuple(str(name) for name in self._steps.get_feature_names_out())
        except (AttributeError, ValueError, TypeError):  # not every transformer names its features
            names = ()
        fits = len(names) == self._n_features and len(set(names)) == len(names)
        return names if fits else tuple(f"x{j}" for j in range(self._n_features))


class AsGiven(Encoder):
    """Rows as the caller passed them."""

    def __init__(self, table: Table) -> None:
        super().__init__(None, table)

    def fit_transform(self, rows: Table) -> Any:
        """Return the rows."""
        if rows.given is None:
            raise DataError("X must be passed to advise() to be handed on, got rows without it")
        return rows.given

    transform = fit_transform

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns."""
        names = (column.name for column in self._facts.columns)
        return tuple(map(titled, names))


class OfFirstTarget(TransformerMixin, BaseEstimator):
    """Steps that a wrapper fits to each of several targets, fitted to the first of them: to be looked at."""

    def __init__(self, steps: Any) -> None:
        self.steps = steps

    def fit(self, X: Any, y: Any) -> Self:
        """Fit the steps."""
        self.fit_transform(X, y)
        return self

    def fit_transform(self, X: Any, y: Any, **params: Any) -> Any:
        """Fit the steps and return their features."""
        self.steps_ = clone(self.steps)
        return self.steps_.fit_transform(X, y[:, 0], **params)

    def transform(self, X: Any) -> Any:
        """Return the features of other rows."""
        return self.steps_.transform(X)

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[Any]:
        """Return the names that the steps give."""
        names: NDArray[Any] = self.steps_.get_feature_names_out(input_features)
        return names


def seeded(estimator: Any, seed: int) -> Any:
    """Return an estimator whose unset ``random_state`` was set, also inside it, and that says nothing."""
    known = {name: (name.rpartition("__")[2], value) for name, value in estimator.get_params().items()}
    unset = {name: seed for name, (own, value) in known.items() if own == "random_state" and value is None}
    talks = {name: False for name, (own, value) in known.items() if own == "verbose" and value}
    return estimator.set_params(**unset, **talks)


def _run(step: Callable[[], Any], do: str, *, n_rows: int) -> Any:
    """Return the features that the caller's steps give; `do`: what to do if they fail.

    Raises DataError if a step fails, or gives anything but finite numbers, one row of them for each row.
    """
    try:
        with own_randomness(_SEED):  # TargetEncoder has no random_state any more
            encoded = step()
        if hasattr(encoded, "tocsr"):
            encoded = sparse.csr_array(encoded).astype(np.float64)
            values = encoded.data
        else:
            encoded = values = np.asarray(encoded).astype(np.float64)
    except RegadvisorError:
        raise
    except Exception as error:  # whatever a step of the caller's may raise
        raise DataError(
            "the steps of model must give numbers for the rows of every fold, got "
            f"{type(error).__name__}: {error}; {do}"
        ) from error
    if encoded.ndim != 2 or encoded.shape[0] != n_rows:
        raise DataError(
            f"the steps of model must give a table (rows, features), got shape {encoded.shape} for {n_rows} "
            "rows; reshape it in a step, and leave out rows before advise()"
        )
    if not encoded.shape[1]:
        raise DataError(
            "the steps of model must leave features for the rows of every fold, got none; let them keep more"
        )
    if not np.isfinite(values).all():
        raise DataError(
            "the steps of model must give finite numbers, got NaN or infinity, which the last step does not "
            "take; put SimpleImputer() among them"
        )
    return encoded
