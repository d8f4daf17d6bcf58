"""Which family a model is, and the table as that family sees it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from regadvisor.arguments import about_free, check_unpenalised
from regadvisor.errors import DataError, ParameterError
from regadvisor.foreign import TREES, check_ours, is_of
from regadvisor.records import FREE_TEXT

# What is heavy is imported where it is used: the command line asks for the names of models alone.
if TYPE_CHECKING:
    from regadvisor.data.table import Table
    from regadvisor.families.base import Family
    from regadvisor.families.neural.recipe import Recipe
    from regadvisor.records import DataFacts
    from regadvisor.scale.door import Door


def family_and_table(
    door: Door, model: Any, recipe: Recipe | None, task: str, device: str, *, texts: Any, unpenalised: Any
) -> tuple[Family, Table]:
    """Return the model's family and the table; `texts` is X where it is one column of texts."""
    import numpy as np

    from regadvisor.data.table import take_rows
    from regadvisor.families.fitted.own_library import is_search, own_function

    table, given = door.table(task)
    sizes = table.facts.block_sizes
    if task != "regression" and (sizes or (table.facts.targets and np.isin(table.y, (0.0, 1.0)).all())):
        is_image = isinstance(model, str) and model == "auto" and table.facts.image_shape is not None
        model, recipe, task = for_classes("mlp" if is_image else model, recipe, sizes)
    free = check_unpenalised(unpenalised, table.facts)
    if free:
        table = replace(
            table,
            facts=replace(table.facts, unpenalised=free),
            notes=(about_free(free, table.facts), *table.notes),
        )
    own = own_function(model, table.facts, table.X, recipe)
    if own is not None and sizes:
        raise _no_columns(model)
    if own is not None and is_search(model):
        from regadvisor.families.estimator.caller import about_search

        table = replace(table, notes=(*about_search(model, own.name), *table.notes))
    if own is not None:
        model, recipe = own, None
    if task == "auto" and is_module(model):
        from regadvisor.families.neural.module.family import classes_by_outputs

        note = classes_by_outputs(model, table, None if recipe is None else recipe.output)
        if note is not None:
            table, given = door.table("classification")
            table = replace(table, notes=(note, *table.notes))
    family = resolve_model(model, table.facts, recipe=recipe, device=device, features=table.X)
    if hasattr(family, "on"):  # what is trained by itself reads X as it is
        X = given if texts is None else texts
        family, table = family.on(
            table, X if table.kept is None else take_rows(X, np.flatnonzero(table.kept))
        )
    if texts is not None and table.given is None:
        raise DataError(
            "X must be a table (rows, features), got one column of texts; pass a pipeline that reads texts: "
            "model=make_pipeline(TfidfVectorizer(), LogisticRegression())"
        )
    if texts is not None:  # the model reads them
        table = replace(
            table, notes=tuple(note for note in table.notes if note.code not in ("looks-like-id", FREE_TEXT))
        )
    return family, table


def table_to_match(X: Any, *, like: DataFacts, train: Any = None) -> Table:
    """Return the table of rows without a target (``match=``): the row numbers stand in for it.

    `train`: the rows that they are compared with; written numbers are read as they are there.
    """
    import numpy as np
    import pandas as pd

    from regadvisor.data.arrays import contain
    from regadvisor.data.frames import as_numbers, way_of
    from regadvisor.data.source import make_table

    try:
        n_rows, _ = contain(X).shape
        if isinstance(X, pd.DataFrame) and isinstance(train, pd.DataFrame):
            numbers = [like.columns[j].name for j in like.of_kind("numeric")]
            texts = [name for name in numbers if name in X and X[name].dtype.kind not in "biuf"]
            X = X.assign(**{str(name): as_numbers(X[name], way_of(train[name])) for name in texts})
        return make_table(X, np.arange(n_rows, dtype=np.float64), task="regression", like=like)
    except DataError as error:
        raise DataError(
            f"match must be a table such as X is; what is said of X is of match here: {error}"
        ) from error


def is_module(model: Any) -> bool:
    """Return whether `model` is a torch module, or a class or function that makes one.

    Torch is not imported for that: whoever passes a module has done so.

    >>> is_module("linear"), is_module(lambda n_features: None)
    (False, True)
    """
    if isinstance(model, str) or hasattr(model, "get_params"):
        return False
    return callable(model)


def for_classes(
    model: Any, recipe: Recipe | None, sizes: tuple[int, ...] = ()
) -> tuple[Any, Recipe | None, str]:
    """Return model, recipe and task for several columns of classes: a classifier for each, or one network.

    A network has an output for every class of each column (`sizes`); or for every label, columns of 0 and 1,
    and is then trained with ``BCEWithLogitsLoss``, unless the recipe has a loss of its own.

    Raises ParameterError if the model does not take them.

    >>> for_classes("linear", None)[0]
    MultiOutputClassifier(estimator=LogisticRegression())
    """
    if type(model).__name__ == "FitFunction" or (sizes and (is_of(model, "keras") or is_of(model, "skorch"))):
        raise _no_columns(model)
    if isinstance(model, str) and model in ("auto", "linear") and recipe is None:
        from sklearn.linear_model import LogisticRegression
        from sklearn.multioutput import MultiOutputClassifier

        return MultiOutputClassifier(LogisticRegression()), None, "classification"
    if is_of(model, "keras"):  # by the loss that it is compiled with
        return model, recipe, "regression"
    if not (isinstance(model, str) or is_module(model)):
        return model, recipe, "classification"
    from regadvisor.families.neural.losses import BCEWithLogitsLoss, ColumnsLoss
    from regadvisor.families.neural.recipe import Recipe

    recipe = recipe or Recipe()
    if sizes and recipe.loss is not None:
        raise ParameterError(
            "recipe.loss must be None for several columns of classes, whose loss is the mean of their log "
            "losses; leave it out"
        )
    loss = ColumnsLoss(sizes) if sizes else BCEWithLogitsLoss()
    return model, replace(recipe, loss=recipe.loss or loss), "regression"


def _no_columns(model: Any) -> ParameterError:
    return ParameterError(
        "model must be 'linear', 'mlp', a classifier of scikit-learn or a torch module for several columns "
        f"of classes, got {type(model).__name__}; call advise() once for each column"
    )


def task_of(model: Any) -> str:
    """Return "regression" for a model that is for numbers, else "auto".

    >>> from sklearn.linear_model import Ridge
    >>> task_of(Ridge()), task_of("linear")
    ('regression', 'auto')
    """
    from regadvisor.families.fitted.function import FitFunction

    if isinstance(model, FitFunction):
        return "auto" if model.loss in (None, "log loss") else "regression"
    if isinstance(model, str | type) or not hasattr(model, "get_params"):
        return "auto"
    # Of a classifier it is not said: a target of many numbers then is an error, not a hundred classes.
    return "regression" if predicts_numbers(model) else "auto"


def predicts_numbers(model: Any) -> bool:
    """Return whether an estimator is for numbers; of one that scikit-learn cannot ask it is not known.

    >>> from sklearn.linear_model import Ridge, RidgeClassifier
    >>> predicts_numbers(Ridge()), predicts_numbers(RidgeClassifier()), predicts_numbers(None)
    (True, False, False)
    """
    from sklearn.base import is_regressor

    try:
        return bool(is_regressor(model))
    except (AttributeError, TypeError, IndexError):
        return False  # it holds none, or a class, or one that does not inherit from BaseEstimator


def resolve_model(
    model: Any, facts: DataFacts, *, recipe: Recipe | None, device: str, features: Any = None
) -> Family:
    """Return the family of `model`; "auto" is linear for tables and a network for images or a recipe.

    `features` are all rows: whether a module gets them scaled depends on them.

    Raises ParameterError if the model is unknown or does not fit the data, or a recipe is given for a model
    that is not a network.
    """
    from regadvisor.families.fitted.function import FitFunction, FunctionLearner

    is_linear = model in ("auto", "linear") if isinstance(model, str) else hasattr(model, "get_params")
    if facts.unpenalised and (recipe is not None or not is_linear or isinstance(model, FitFunction)):
        raise ParameterError(
            "unpenalised must be None but for linear models: the weights of a network are not each one "
            "column's; in a module of your own give these columns a layer of theirs, and pass "
            "Recipe(exempt=('its_name.weight',))"
        )
    if facts.inputs and not (is_module(model) or getattr(model, "library", None) == "keras"):
        got = model.name if isinstance(model, FitFunction) else type(model).__name__
        got = repr(model) if isinstance(model, str) else got
        raise ParameterError(
            f"model must be a torch module or a Keras model for a dict or tuple of arrays, got {got}; pass X "
            "as one array or frame, and take it apart in code of yours (of a skorch net also its module "
            "alone: model=net.module, recipe=Recipe(...))"
        )
    if isinstance(model, FitFunction):
        from regadvisor.families.fitted.family import FittedFamily

        if recipe is not None:
            raise ParameterError("recipe must be None for a fit function, which trains as it likes")
        return FittedFamily(FunctionLearner(model), model)
    if is_module(model):
        check_ours(model)
        return _module(facts, model=model, recipe=recipe, device=device, features=features)
    if not isinstance(model, str):
        return _estimator(model, facts, recipe)
    if model not in ("auto", *MAKERS):
        raise ParameterError(
            f"model must be one of {', '.join(map(repr, ('auto', *MAKERS)))}, got {model!r}{_meant(model)}"
        )
    if model == "auto":
        model = "linear" if facts.image_shape is None and recipe is None else "mlp"
    return MAKERS[model](facts, recipe=recipe, device=device, features=features)


#: What people call a model, and its name here.
_ALSO_CALLED = {
    **dict.fromkeys(("logistic", "logreg", "logit"), "logisticregression"),
    **dict.fromkeys(("svm", "svc"), "linearsvc"),
    **dict.fromkeys(("nn", "dnn", "neuralnetwork", "neuralnet"), "mlp"),
    **dict.fromkeys(("ols", "leastsquares"), "linearregression"),
}


def _meant(name: str) -> str:
    """Return what to pass instead of a name that is none of ours, as the end of a sentence."""
    from regadvisor.families.estimator.table import ESTIMATORS

    plain = re.sub("[^a-z0-9]", "", name.lower()).removesuffix("cv")
    plain = _ALSO_CALLED.get(plain, plain)
    own = next((each for each in ESTIMATORS if each.lower() == plain), None)
    if own is not None:
        return f"; pass the estimator itself: model={own}()"
    if plain in ("auto", *MAKERS):
        return f"; pass model={plain!r}"
    if re.search("boost|forest|tree|xgb|lgb|lightgbm", plain):
        return f"; {TREES}"
    return "; pass the model itself, or a function that trains it: model=regadvisor.fit_function(fit)"


def _linear(facts: DataFacts, *, recipe: Recipe | None, **_: object) -> Family:
    from regadvisor.families.linear.family import LinearFamily

    if recipe is not None:
        raise ParameterError("recipe must be None for model='linear', got a Recipe; pass model='mlp'")
    return LinearFamily()


def _mlp(facts: DataFacts, *, recipe: Recipe | None, device: str, **_: object) -> Family:
    from regadvisor.families.neural.family import MLPFamily
    from regadvisor.families.neural.recipe import Recipe

    return MLPFamily(recipe=recipe or Recipe(), device=device)


def _module(facts: DataFacts, *, model: Any = "cnn", **options: Any) -> Family:
    from regadvisor.families.neural.module.family import ModuleFamily

    return ModuleFamily(model, facts, **options)


#: How the family of each ``model=`` that is a name is made.
MAKERS: dict[str, Callable[..., Family]] = {"linear": _linear, "mlp": _mlp, "cnn": _module}


def _estimator(model: Any, facts: DataFacts, recipe: Recipe | None) -> Family:
    """Return the family of a scikit-learn estimator, or of the last step of a pipeline.

    Raises ParameterError if the estimator is not supported, is for the other task, or a recipe is given.
    """
    from regadvisor.families.estimator.caller import read_estimator
    from regadvisor.families.estimator.learner import EstimatorFamily, EstimatorLearner
    from regadvisor.families.fitted.family import FittedFamily

    check_ours(model)
    caller = read_estimator(model, facts)
    if recipe is not None:
        raise ParameterError(
            f"recipe must be None for an estimator of scikit-learn, got a Recipe for "
            f"{type(caller.last).__name__}; its own arguments say how it is trained"
        )
    if caller.is_exact:
        return EstimatorFamily(caller)
    return FittedFamily(EstimatorLearner(caller), caller.estimator, n_threads=1)
