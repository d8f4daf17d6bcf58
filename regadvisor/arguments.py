"""Checks of the arguments of ``advise()``: *name* must be *rule*, got *value*; what to do."""

from __future__ import annotations

import numbers
import sys
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast

from regadvisor.errors import DataError, ParameterError
from regadvisor.foreign import check_ours, is_of
from regadvisor.records import Note
from regadvisor.words import agreed, joined

if TYPE_CHECKING:
    from regadvisor.data.table import Table
    from regadvisor.families.base import Family
    from regadvisor.families.neural.recipe import Recipe
    from regadvisor.progress import Progress
    from regadvisor.records import DataFacts

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, eq=False)
class Options:
    """What the caller asked for, checked; `seeds` has one seed a stage."""

    sample: Any = "auto"
    match: Table | None = None
    correlated: bool | None = None
    whole_picture: bool | None = None
    prefer: str | None = None
    budget: float | Literal["auto"] | None = "auto"
    effort: str | None = None
    device: str = "auto"
    scoring: Any = None
    folds: int = 5
    random_state: int = 0
    seeds: dict[str, int] = field(default_factory=dict)
    storage: Path | None = None
    progress: Progress | None = None


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


def check_budget(value: Any) -> float | Literal["auto"] | None:
    """Return the budget in seconds, "auto" or None.

    Examples
    --------
    >>> check_budget(3)
    3.0
    """
    if value is None or (isinstance(value, str) and value == "auto"):
        return value  # type: ignore[no-any-return, return-value, unused-ignore]
    if _is_number(value) and value >= 0:
        return None if value > sys.float_info.max else float(value)
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

    if isinstance(value, str) and value in get_scorer_names():
        return value
    raise ParameterError(
        f"scoring must be a callable, None or one of sklearn.metrics.get_scorer_names(), got {value!r}"
    )


def check_progress(value: Any) -> Any:
    """Return a callable, True, False or None."""
    if value is None or isinstance(value, bool) or callable(value):
        return value
    raise ParameterError(
        f"progress must be True, False, None or a callable of (stage, share_done), got {value!r}; "
        "pass progress=True for a bar"
    )


def check_storage(value: Any) -> Path | None:
    """Return the path of the journal, whose folder must exist."""
    if value is None:
        return None
    if not isinstance(value, str | Path):
        raise ParameterError(f"storage must be the path of a journal file or None, got {value!r}")
    path = Path(value)
    try:
        is_possible = path.parent.is_dir() and not path.is_dir() and "\0" not in str(path)
    except OSError:  # too long a name
        is_possible = False
    if not is_possible:
        raise ParameterError(
            f"storage must be a file in a folder that exists, got {str(path)!r}; make the folder, "
            "or give another"
        )
    return path


def is_module(model: Any) -> bool:
    """Return whether `model` is a torch module, or a class or function that makes one.

    Torch is not imported for that: whoever passes a module has done so.

    Examples
    --------
    >>> is_module("linear"), is_module(lambda n_features: None)
    (False, True)
    """
    if isinstance(model, str) or hasattr(model, "get_params"):
        return False
    return callable(model)


def for_labels(model: Any, recipe: Recipe | None, task: str) -> tuple[Any, Recipe | None, str]:
    """Return model, recipe and task for several columns of 0 and 1: one classifier for each, or one network.

    A network has an output for each label and is trained with ``BCEWithLogitsLoss``, unless the recipe has a
    loss of its own.

    Examples
    --------
    >>> for_labels("linear", None, "auto")[0]
    MultiOutputClassifier(estimator=LogisticRegression())
    """
    if isinstance(model, str) and model in ("auto", "linear") and recipe is None:
        from sklearn.linear_model import LogisticRegression
        from sklearn.multioutput import MultiOutputClassifier

        return MultiOutputClassifier(LogisticRegression()), None, task
    is_network = isinstance(model, str) or (is_module(model) and not is_of(model, "keras"))
    if not is_network or type(model).__name__ == "FitFunction":
        return model, recipe, task
    if task != "auto":
        raise ParameterError(
            f"task must be 'auto' for several columns of 0 and 1 and a network, got {task!r}; the network "
            "has an output for each label and predicts logits: advise() takes it, AdvisedClassifier does not"
        )
    from regadvisor.families.neural.losses import BCEWithLogitsLoss
    from regadvisor.families.neural.recipe import Recipe

    recipe = recipe or Recipe()
    return model, replace(recipe, loss=recipe.loss or BCEWithLogitsLoss()), "regression"


def _has_columns(y: Any) -> bool:
    """Whether y is a table of several columns."""
    if isinstance(y, list):
        return bool(y) and isinstance(y[0], list | tuple) and len(y[0]) > 1
    shape: tuple[int, ...] = getattr(y, "shape", ())
    return len(shape) == 2 and shape[1] > 1


def are_labels(y: Any) -> bool:
    """Whether y has several columns, each of 0 and 1 alone.

    Raises DataError if every row has a single 1: these are the classes of one target (one-hot).
    """
    if not _has_columns(y):
        return False
    import numpy as np

    try:
        values = np.asarray(y).astype(np.float64)
    except (TypeError, ValueError):
        return False
    if not np.isin(values, (0.0, 1.0)).all():
        return False
    if len(values) and (values.sum(axis=1) == 1).all():
        how = "y.idxmax(axis=1)" if hasattr(y, "idxmax") else "numpy.argmax(y, axis=1)"
        raise DataError(
            f"y must be one column of classes, got {values.shape[1]} columns with a single 1 in every row "
            f"(one-hot); pass {how}"
        )
    return True


def check_unpenalised(value: Any, facts: DataFacts) -> tuple[str | int, ...]:
    """Return the columns that no penalty is to act on, by name (frames) or number (arrays).

    Examples
    --------
    >>> from regadvisor.records import Column, DataFacts
    >>> columns = (Column(name="age", kind="numeric"), Column(name="bmi", kind="numeric"))
    >>> facts = DataFacts(container="frame", task="binary", n_rows=9, columns=columns)
    >>> check_unpenalised(["age"], facts)
    ('age',)
    """
    if value is None:
        return ()
    names = [column.name for column in facts.columns]
    listed = [value] if isinstance(value, str) or not hasattr(value, "__iter__") else list(value)
    # A shell has texts for the numbers of columns, too.
    by_text = {str(name): name for name in names} | {name: name for name in names}
    chosen = [by_text.get(name, name) if isinstance(name, str) else name for name in listed]
    if facts.image_shape is not None or facts.inputs:
        raise ParameterError("unpenalised must be None unless X is a table of columns")
    # True is 1 to Python: a mask of columns would be taken for numbers of columns.
    is_mask = any(type(name).__name__ in ("bool", "bool_") for name in listed)
    unknown = [name for name in chosen if not isinstance(name, Hashable) or name not in names]
    if is_mask or unknown or len(set(chosen)) >= len(names):
        shown = ", ".join(map(repr, names[:20])) + (", …" if len(names) > 20 else "")
        raise ParameterError(
            f"unpenalised must be a list of some of the features of X ({shown}), got {value!r}; leave at "
            "least one that a penalty acts on"
        )
    return tuple(name for name in names if name in chosen)


def about_free(columns: tuple[str | int, ...], facts: DataFacts) -> Note:
    """Return the note on columns that no penalty acts on.

    Examples
    --------
    >>> from regadvisor.records import DataFacts
    >>> facts = DataFacts(container="frame", task="regression", n_rows=9, columns=())
    >>> about_free(("age",), facts).text[:30]
    'No penalty acts on age: in fro'
    """
    names = joined(column if isinstance(column, str) else f"x{column}" for column in columns)
    text = (
        f"No penalty acts on {names}: in front of the model {agreed(len(columns), 'it is', 'they are')} "
        "multiplied by 10,000, so weights are that much smaller there."
    )
    if facts.task != "regression":
        left_out = "L1+L2 was" if len(facts.classes or ()) <= 2 else "L1 and L1+L2 were"
        text += f" {left_out} not tried: SAGA, the solver of scikit-learn for that, does not converge then."
    return Note(code="unpenalised", text=text)


def task_of(model: Any, y: Any = None) -> str:
    """Return "regression" for a model that is for numbers, or several columns, else "auto".

    Examples
    --------
    >>> from sklearn.linear_model import Ridge
    >>> task_of(Ridge()), task_of("linear")
    ('regression', 'auto')
    """
    from regadvisor.families.fitted.function import FitFunction

    if isinstance(model, FitFunction):
        return "auto" if model.loss in (None, "log loss") else "regression"
    if isinstance(model, str | type) or not hasattr(model, "get_params"):
        return "auto"
    from sklearn.base import is_regressor

    # Of a classifier it is not said: a target of many numbers then is an error, not a hundred classes.
    # Several labels are columns of numbers, 0 and 1.
    return "regression" if is_regressor(model) or _has_columns(y) else "auto"


def resolve_model(
    model: Any, facts: DataFacts, *, recipe: Recipe | None, device: str, features: Any = None
) -> Family:
    """Return the family of `model`; "auto" is linear for tables and a network for images or a recipe.

    `features` are all rows: whether a module gets them scaled depends on them.

    Raises ParameterError if the model is unknown or does not fit the data, or a recipe is given for a model
    that is not a network.
    """
    from regadvisor.families.neural.recipe import Recipe

    if recipe is not None and not isinstance(recipe, Recipe):
        raise ParameterError(
            f"recipe must be a Recipe or None, got {type(recipe).__name__}; pass regadvisor.Recipe(lr=...)"
        )
    from regadvisor.families.fitted.function import FitFunction, FunctionLearner

    is_linear = model in ("auto", "linear") if isinstance(model, str) else hasattr(model, "get_params")
    if facts.unpenalised and (recipe is not None or not is_linear or isinstance(model, FitFunction)):
        raise ParameterError(
            "unpenalised must be None but for linear models: the weights of a network are not each one "
            "column's; in a module of your own give these columns a layer of theirs, and pass "
            "Recipe(exempt=('its_name.weight',))"
        )
    if isinstance(model, FitFunction):
        from regadvisor.families.fitted.family import FittedFamily

        if recipe is not None:
            raise ParameterError("recipe must be None for a fit function, which trains as it likes")
        return FittedFamily(FunctionLearner(model), model)
    if facts.inputs and not is_module(model):
        raise ParameterError(
            f"model must be a torch module for a dict or tuple of arrays, got {model!r}; pass X as one array "
            "or frame"
        )
    if is_module(model):
        check_ours(model)
        return _module(facts, model=model, recipe=recipe, device=device, features=features)
    if not isinstance(model, str):
        return _estimator(model, facts, recipe)
    check_choice("model", model, ("auto", *MAKERS))
    if model == "auto":
        model = "linear" if facts.image_shape is None and recipe is None else "mlp"
    return MAKERS[model](facts, recipe=recipe, device=device, features=features)


def _linear(facts: DataFacts, *, recipe: Recipe | None, **_: object) -> Family:
    from regadvisor.families.estimator.caller import without_saga
    from regadvisor.families.linear.family import LinearFamily

    if recipe is not None:
        raise ParameterError("recipe must be None for model='linear', got a Recipe; pass model='mlp'")
    family = LinearFamily()
    if facts.unpenalised and facts.task != "regression":
        from sklearn.linear_model import LogisticRegression

        return LinearFamily(without_saga(family.kinds, LogisticRegression(), facts))
    return family


def _mlp(facts: DataFacts, *, recipe: Recipe | None, device: str, **_: object) -> Family:
    from regadvisor.families.neural.family import MLPFamily
    from regadvisor.families.neural.recipe import Recipe

    return MLPFamily(recipe=recipe or Recipe(), device=device)


def _module(facts: DataFacts, *, model: Any = "cnn", **options: Any) -> Family:
    from regadvisor.families.neural.module.family import ModuleFamily

    return ModuleFamily(model, facts, **options)


#: How the family of each ``model=`` that is a name is made.
MAKERS: dict[str, Callable[..., Family]] = {"linear": _linear, "mlp": _mlp, "cnn": _module}


# ------------------------------------------------------------------------------ scikit-learn estimators


def _estimator(model: Any, facts: DataFacts, recipe: Recipe | None) -> Family:
    """Return the family of a scikit-learn estimator, or of the last step of a pipeline.

    Raises ParameterError if the estimator is not supported, is for the other task, or a recipe is given.
    """
    from regadvisor.families.estimator.caller import read_estimator
    from regadvisor.families.estimator.family import EstimatorFamily
    from regadvisor.families.estimator.learner import EstimatorLearner
    from regadvisor.families.fitted.family import FittedFamily
    from regadvisor.families.linear.family import LinearFamily

    check_ours(model)
    caller = read_estimator(model, facts)
    if recipe is not None:
        raise ParameterError(
            f"recipe must be None for an estimator of scikit-learn, got a Recipe for "
            f"{type(caller.last).__name__}; its own arguments say how it is trained"
        )
    if caller.is_exact:
        return cast("Family", EstimatorFamily(LinearFamily(), caller))
    return FittedFamily(EstimatorLearner(caller), caller.estimator, n_threads=1)
