"""Checks of the arguments of ``advise()``: *name* must be *rule*, got *value*; what to do."""

from __future__ import annotations

import math
import numbers
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from regadvisor.errors import ParameterError

if TYPE_CHECKING:
    from regadvisor.families.base import Family
    from regadvisor.families.neural.recipe import Recipe
    from regadvisor.records import DataFacts

T = TypeVar("T")

MODELS = ("auto", "linear", "mlp")


def _is_number(value: Any) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def _is_integer(value: Any) -> bool:
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def check_choice(name: str, value: T, choices: tuple[str, ...], *, optional: bool = False) -> T:
    """Return `value` if it is one of `choices` (or None, if optional)."""
    if (optional and value is None) or (isinstance(value, str) and value in choices):
        return value
    also = " or None" if optional else ""
    raise ParameterError(f"{name} must be one of {', '.join(map(repr, choices))}{also}, got {value!r}")


def check_flag(name: str, value: T) -> T:
    """Return `value` if it is True, False or None."""
    if value is None or isinstance(value, bool):
        return value
    raise ParameterError(f"{name} must be True, False or None, got {value!r}")


def check_budget(value: Any) -> float | Literal["auto"] | None:
    """Return the budget in seconds, "auto" or None.

    Examples
    --------
    >>> check_budget(3)
    3.0
    """
    if value is None or (isinstance(value, str) and value == "auto"):
        return value  # type: ignore[no-any-return, return-value, unused-ignore]
    if _is_number(value):
        seconds = float(value)
        if math.isinf(seconds) and seconds > 0:
            return None
        if math.isfinite(seconds) and seconds >= 0:
            return seconds
    raise ParameterError(
        f"budget must be a number of seconds of at least 0, 'auto' or None, got {value!r}; "
        "0 means that nothing may be trained"
    )


def check_folds(value: Any) -> int:
    """Return the number of folds, an integer of at least 2."""
    if _is_integer(value) and value >= 2:
        return int(value)
    raise ParameterError(f"folds must be an integer of at least 2, got {value!r}")


def check_seed(value: Any) -> int:
    """Return the random seed, an integer of at least 0."""
    if _is_integer(value) and value >= 0:
        return int(value)
    raise ParameterError(
        f"random_state must be an integer of at least 0, got {value!r}; equal advice needs a fixed seed"
    )


def check_scoring(value: Any) -> Any:
    """Return a scorer's name that scikit-learn knows, a callable, or None."""
    if value is None or callable(value):
        return value
    from sklearn.metrics import get_scorer_names

    if value in get_scorer_names():
        return value
    raise ParameterError(
        f"scoring must be a callable, None or one of sklearn.metrics.get_scorer_names(), got {value!r}"
    )


def check_storage(value: Any) -> Path | None:
    """Return the path of the journal, whose folder must exist."""
    if value is None:
        return None
    if not isinstance(value, str | Path):
        raise ParameterError(f"storage must be the path of a journal file or None, got {value!r}")
    path = Path(value)
    if path.is_dir() or not path.parent.is_dir():
        raise ParameterError(f"storage must be a file in a folder that exists, got {str(path)!r}")
    return path


def resolve_model(model: Any, facts: DataFacts, *, recipe: Recipe | None, device: str) -> Family:
    """Return the family of `model`; "auto" is linear for tables and a network for images or a recipe.

    Raises
    ------
    ParameterError
        If the model is unknown, or a recipe is given for a model that is not a network.
    """
    if not isinstance(model, str):
        raise ParameterError(
            f"model must be one of {', '.join(map(repr, MODELS))}, got a {type(model).__name__}; "
            "modules and estimators of your own are not supported yet"
        )
    if model == "cnn":
        raise ParameterError(
            "model must be one of 'auto', 'linear', 'mlp', got 'cnn': not supported yet; use 'mlp'"
        )
    check_choice("model", model, MODELS)
    is_network = model == "mlp" or (model == "auto" and (facts.image_shape is not None or recipe is not None))
    if is_network:
        from regadvisor.families.neural.family import MLPFamily
        from regadvisor.families.neural.recipe import Recipe

        return MLPFamily(recipe=recipe or Recipe(), device=device)
    if recipe is not None:
        raise ParameterError("recipe must be None for model='linear', got a Recipe; pass model='mlp'")
    from regadvisor.families.linear import LinearFamily

    return LinearFamily()
