"""What an estimator is called: its class in scikit-learn, and itself as text that is the same elsewhere."""

from __future__ import annotations

import re
import zlib
from typing import Any

from sklearn import config_context
from sklearn.base import BaseEstimator
from sklearn.pipeline import Pipeline


def theirs(estimator: Any) -> str:
    """Return the name of an estimator's class in scikit-learn, or of the first that it inherits from; or "".

    >>> from sklearn.linear_model import Ridge
    >>> theirs(Ridge()), theirs(type("Mine", (Ridge,), {})()), theirs(1)
    ('Ridge', 'Ridge', '')
    """
    found = _class_of(estimator)
    return "" if found is None else found.__name__


def usual(estimator: Any) -> dict[str, Any]:
    """Return the arguments that an estimator of that class has where none are given.

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


def is_there(step: Any) -> bool:
    """Whether a step does anything."""
    return step is not None and step != "passthrough"


def step_texts(steps: Any) -> tuple[str, ...]:
    """Return the steps of a pipeline, nested ones too, as text that is the same in another process.

    >>> from sklearn.preprocessing import StandardScaler
    >>> from sklearn.pipeline import make_pipeline
    >>> step_texts(make_pipeline("passthrough", make_pipeline(StandardScaler(with_mean=False))))
    ('StandardScaler(with_mean=False)',)
    """
    if isinstance(steps, Pipeline):
        return tuple(text for _, step in steps.steps for text in step_texts(step))
    return (text_of(steps),) if is_there(steps) else ()


def text_of(value: Any) -> str:
    """Return an estimator as code would make it, in full, on one line and without addresses.

    Functions without a name that can be imported are told apart by what they do.
    """
    if not isinstance(value, BaseEstimator):
        return _plain_text(repr(value))
    with config_context(print_changed_only=True):
        text = BaseEstimator.__repr__(value, N_CHAR_MAX=10**9)
    told = "".join(code_mark(part) for part in value.get_params(deep=True).values())
    return _plain_text(text) + told


def code_mark(function: Any) -> str:
    """Return what tells a function without a name that can be imported from others; "" for all else.

    >>> code_mark(lambda x: x + 1) == code_mark(lambda x: x + 2), code_mark(text_of)
    (False, '')
    """
    code = getattr(function, "__code__", None)
    if code is None or not ("<" in function.__qualname__ or function.__module__ == "__main__"):
        return ""
    own = code.co_code + _plain_text(repr((code.co_consts, code.co_names))).encode()
    return f" #{zlib.crc32(own):08x}"


def _plain_text(text: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r" at 0x[0-9a-fA-F]+", "", text))
