"""What a model predicts that the caller's function has trained: numbers, or probabilities of classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from regadvisor.errors import ParameterError, reason_of
from regadvisor.families.fitted.losses import Floats
from regadvisor.words import counted

ABOUT = "fit must train a model with fit(regularizer, X, y, seed)"


def _numbers(given: Any, X: Any, method: str) -> Floats:
    """Return what a method gave as numbers, shape (n_rows, n_columns)."""
    given = given.detach().cpu() if hasattr(given, "detach") else given
    n_rows = X.shape[0] if hasattr(X, "shape") else len(X)
    try:
        found = np.asarray(given, dtype=np.float64)
        got = f"shape {found.shape} for {n_rows} rows"
    except (TypeError, ValueError) as error:
        found, got = np.empty(0), reason_of(error)
    if found.ndim not in (1, 2) or len(found) != n_rows:
        raise ParameterError(
            f"fit must return a model whose {method} gives one or more numbers for each row, got {got}"
        )
    return found.reshape(n_rows, -1)


def predictions(model: Any, X: Any, n_targets: int | None = None, *, method: str = "predict") -> Floats:
    """Return the predictions of a model that the caller's function has trained, shape (n_rows, n_targets).

    Raises ParameterError if it has no ``predict``, or that gives something else than a number for each row
    and target.
    """
    found = _numbers(_called(model, method, X), X, method)
    if n_targets is not None and found.shape[1] != n_targets:
        raise ParameterError(
            f"fit must return a model whose predict gives {counted(n_targets, 'number')} for each row, got "
            f"{found.shape[1]}"
        )
    return found


def class_probabilities(model: Any, X: Any, classes: Sequence[Any]) -> Floats:
    """Return probabilities of all classes, shape (n_rows, n_classes).

    Raises ParameterError if the model gives no probabilities, or their columns cannot be told apart.
    """
    has_own = hasattr(model, "predict_proba")
    method = "predict_proba" if has_own else "predict"
    given = _called(model, method, X)
    found = _numbers(given, X, method)
    if found.shape[1] == 1:
        found = np.hstack([1 - found, found])
    labels = list(getattr(model, "classes_", classes))
    is_labelled = len(labels) == found.shape[1] and set(labels) <= set(classes)
    # Training that diverged gives NaN, and counts as worse.
    known = found[~np.isnan(found).any(axis=1)]
    are_shares = bool(((known >= -1e-6) & (known <= 1 + 1e-6)).all())
    are_shares = are_shares and (has_own or "int" not in str(getattr(given, "dtype", "")))  # labels
    if not is_labelled or not are_shares or not np.allclose(known.sum(axis=1), 1.0, atol=1e-3):
        got = f"{found.shape[1]} columns"
        if is_labelled:
            got = "rows that do not add up to 1" if are_shares else "numbers that are no probabilities"
        raise ParameterError(
            f"fit must return a model whose predict_proba gives the probabilities of {len(classes)} classes, "
            f"got {got}; sort the columns by class, and set classes_ if rows of some class may be missing"
        )
    result = np.zeros((len(found), len(classes)))
    result[:, [list(classes).index(label) for label in labels]] = found
    return result


def _called(model: Any, method: str, X: Any) -> Any:
    """Return what a method of a trained model gives."""
    if not hasattr(model, method):
        raise ParameterError(f"{ABOUT} and return it, an object with {method}(X), got {type(model).__name__}")
    try:
        return getattr(model, method)(X)
    except Exception as error:  # whatever the caller's own code may raise
        raise ParameterError(
            f"fit must return a model that predicts rows of X, got {type(error).__name__} from its {method}: "
            f"{reason_of(error)}"
        ) from error
