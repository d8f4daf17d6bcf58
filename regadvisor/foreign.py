"""Models of other libraries: why they are not taken, and what to do instead."""

from __future__ import annotations

from typing import Any

from regadvisor.errors import ParameterError

_TREES = "its trees have no weights that L1 or L2 could shrink: nothing here applies to it"
_LAYERS = (
    "ask with model='mlp' or 'cnn', and give its layers "
    "kernel_regularizer=keras.regularizers.L1L2(l1, l2 / 2)"
)
_FIT = "use its fit_regularized(alpha=l1 + l2, L1_wt=l1 / (l1 + l2)) on standardised columns"
#: By package: why its models are not taken, and what to do.
_FOREIGN = {
    "keras": _LAYERS,
    "tensorflow": _LAYERS,
    "statsmodels": f"ask with model='linear' and {_FIT}",
    "skorch": "pass its module class as model=, and its optimizer and epochs as a Recipe",
    "torch.jit": "a compiled module cannot be copied and changed; pass the module that it was compiled from",
    "xgboost": _TREES,
    "lightgbm": _TREES,
    "catboost": _TREES,
}


def check_ours(model: Any) -> None:
    """Raise ParameterError for a model of a library that cannot be asked about, or an estimator's class.

    Examples
    --------
    >>> from sklearn.linear_model import Ridge
    >>> check_ours(Ridge)
    Traceback (most recent call last):
    ...
    regadvisor.errors.ParameterError: model must be an estimator, got the class Ridge; make one: model=Ridge()
    """
    own = model if isinstance(model, type) else type(model)
    for base in own.__mro__:
        for package, do in _FOREIGN.items():
            if f"{base.__module__}.".startswith(f"{package}."):
                raise ParameterError(f"model must be one of torch or scikit-learn, got {own.__name__}; {do}")
    if isinstance(model, type) and hasattr(model, "get_params"):
        name = model.__name__
        raise ParameterError(f"model must be an estimator, got the class {name}; make one: model={name}()")
