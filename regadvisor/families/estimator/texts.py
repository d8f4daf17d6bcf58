"""Estimators as text that is the same in another process."""

from __future__ import annotations

import re
import zlib
from typing import Any

from sklearn import config_context
from sklearn.base import BaseEstimator
from sklearn.pipeline import Pipeline


def is_there(step: Any) -> bool:
    """Whether a step does anything."""
    return step is not None and step != "passthrough"


def step_texts(steps: Any) -> tuple[str, ...]:
    """Return the steps of a pipeline, nested ones too, as text that is the same in another process.

    Examples
    --------
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

    Examples
    --------
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
