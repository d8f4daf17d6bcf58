"""Of which class of scikit-learn an estimator is: one of the caller's counts as what it inherits from."""

from __future__ import annotations

from typing import Any


def theirs(estimator: Any) -> str:
    """Return the name of an estimator's class in scikit-learn, or of the first that it inherits from; or "".

    Examples
    --------
    >>> from sklearn.linear_model import Ridge
    >>> theirs(Ridge()), theirs(type("Mine", (Ridge,), {})()), theirs(1)
    ('Ridge', 'Ridge', '')
    """
    found = _class_of(estimator)
    return "" if found is None else found.__name__


def usual(estimator: Any) -> dict[str, Any]:
    """Return the arguments that an estimator of that class has where none are given.

    Examples
    --------
    >>> from sklearn.linear_model import Ridge
    >>> usual(Ridge(alpha=3.0))["alpha"]
    1.0
    """
    found = _class_of(estimator)
    return {} if found is None else dict(found().get_params())


def is_own_class(estimator: Any) -> bool:
    """Whether an estimator is of a class of scikit-learn itself, not of one that inherits from it."""
    return type(estimator).__module__.startswith("sklearn.")


def _class_of(estimator: Any) -> type[Any] | None:
    return next((each for each in type(estimator).__mro__ if each.__module__.startswith("sklearn.")), None)
