"""The advised model, unfitted, whatever its family."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.multioutput import MultiOutputClassifier

from regadvisor.errors import ParameterError
from regadvisor.export.applied import built
from regadvisor.families.estimator.parts import objective_of
from regadvisor.families.fitted.estimator import FittedClassifier, FittedRegressor
from regadvisor.families.fitted.function import FitFunction
from regadvisor.families.fitted.own_library import own_function
from regadvisor.families.linear.build import build_linear
from regadvisor.families.pipeline import AdvisedPipeline, ColumnsClassifier, LabelClassifier
from regadvisor.records import DataFacts, Training
from regadvisor.regularizer import Regularizer

if TYPE_CHECKING:
    from regadvisor.families.neural.losses import LossFunction
    from regadvisor.families.neural.recipe import Recipe

Builder = Callable[..., AdvisedPipeline]


def build_model(
    facts: DataFacts,
    regularizer: Regularizer,
    training: Training,
    *,
    module: Any = None,
    functions: Mapping[str, Any] = MappingProxyType({}),
) -> AdvisedPipeline:
    """Return ``Pipeline([("preprocess", …), ("model", …)])`` for training on ``facts.n_rows`` rows.

    `module`: what the advice is about, where it is the caller's own. `functions`: the caller's own functions
    that the recipe had, by their names there; they are not part of a record.
    """
    if training.estimator is not None:
        of_labels = MultiOutputClassifier(LogisticRegression())  # what several labels are asked of by default
        if module is None and training.objective == objective_of(of_labels):
            module = of_labels
        if module is None:
            raise ParameterError(
                f"module must be the estimator that this advice is about ({training.estimator}), got None: "
                "an advice file does not hold it; call advice.build(module=...), or advice.apply(...)"
            )
        return built(module, facts, regularizer, training)
    build: Builder = BUILDERS.get(training.family, build_network)
    return build(facts, regularizer, training, module=module, functions=functions)


def _build_fitted(
    facts: DataFacts, regularizer: Regularizer, training: Training, *, module: Any, functions: object
) -> AdvisedPipeline:
    """Return the estimator that calls the caller's function with the advised regularizer."""
    function = module
    if function is not None and not isinstance(function, FitFunction):
        from regadvisor.families.neural.recipe import Recipe

        recipe = Recipe(
            epochs=training.epochs, batch_size=training.batch_size or 128, transform=training.transform
        )
        function = own_function(function, facts, None, recipe) or function
    if not isinstance(function, FitFunction):
        raise ParameterError(
            f"module must be what fit_function() made for this advice ({training.module}), got "
            f"{type(function).__name__}: an advice file does not hold it; call advice.build(module=...)"
        )
    kind = FittedRegressor if facts.task == "regression" else FittedClassifier
    model: Any = kind(function, random_state=training.seed).set_params(**regularizer.strengths())
    model = LabelClassifier(model, are_logits=False) if training.has_label_loss else model
    first = function.preprocessor(facts) if function.steps is None else clone(function.steps)
    return AdvisedPipeline([*([] if first is None else [("preprocess", first)]), ("model", model)])


def build_network(
    facts: DataFacts,
    regularizer: Regularizer,
    training: Training,
    *,
    module: Any = None,
    functions: Mapping[str, Any] = MappingProxyType({}),
) -> AdvisedPipeline:
    """Return the pipeline with our network, or with the caller's own module; see :func:`build_model`."""
    from regadvisor.families.neural.encoded import network_preprocessor
    from regadvisor.families.neural.estimator import NetworkClassifier, NetworkRegressor
    from regadvisor.families.neural.image_encoding import module_preprocessor
    from regadvisor.families.neural.module.estimator import ModuleClassifier, ModuleRegressor
    from regadvisor.families.neural.module.family import checked_model
    from regadvisor.families.neural.module.inputs import inputs_of

    is_module, is_regression = training.family == "module", facts.task == "regression"
    if is_module and module is None and training.module != "cnn":
        raise ParameterError(
            f"module must be the factory or module that this advice is about ({training.module}), got None: "
            "an advice file does not hold it; call advice.build(module=...)"
        )
    strengths = regularizer.strengths()
    if strengths and set(strengths) != {"dropout"} and regularizer.coupling != training.coupling:
        raise ParameterError(
            f"regularizer.coupling must be {training.coupling!r} for a network trained so, got "
            f"{regularizer.coupling!r}; give the strengths as "
            f"Regularizer(..., coupling={training.coupling!r})"
        )
    missing = [name for name in function_names(training) if name not in functions]
    if missing:
        name = missing[0]
        given = f"{name}=..." if name == "loss" else "recipe=..."
        raise ParameterError(
            f"{name} must be the function that the recipe was given, got None: an advice file does not hold "
            f"it; call advice.build({'module=..., ' if is_module else ''}{given})"
        )
    recipe, seed = recipe_of(training, functions), training.seed
    if is_module:
        model: Any = (ModuleRegressor if is_regression else ModuleClassifier)(
            checked_model("cnn" if module is None else module, facts),
            recipe=recipe,
            inputs=inputs_of(facts, training.layout),
        )
        preprocessor: Any = module_preprocessor(facts, training.transform, training.layout)
    else:
        model = (NetworkRegressor if is_regression else NetworkClassifier)()
        own = {name: value for name, value in vars(recipe).items() if name in model.get_params()}
        model.set_params(**own)
        preprocessor = network_preprocessor(facts, training.transform)
    model.set_params(**strengths, random_state=seed)
    model = LabelClassifier(model) if training.has_label_loss else model
    if training.block_sizes:
        model = ColumnsClassifier(model, tuple(own.classes for own in facts.class_columns), is_network=True)
    return AdvisedPipeline([("preprocess", preprocessor), ("model", model)])


def recipe_of(training: Training, functions: Mapping[str, Any] = MappingProxyType({})) -> Recipe:
    """Return the recipe that a record's training stands for, with the caller's own functions.

    >>> recipe_of(Training(family="mlp", seed=0, optimizer="sgd", lr=0.1, batch_size=8, epochs=2)).lr
    0.1
    """
    from regadvisor.families.neural.losses import BCEWithLogitsLoss, ColumnsLoss
    from regadvisor.families.neural.recipe import RECIPE_NAMES, Recipe

    known = {name: value for name, value in vars(training).items() if name in RECIPE_NAMES}
    own = {name: functions[name] for name in function_names(training) if name in functions}
    if training.has_label_loss:
        own["loss"] = BCEWithLogitsLoss()
    if training.block_sizes:
        own["loss"] = ColumnsLoss(training.block_sizes)
    return Recipe(**{name: value for name, value in known.items() if value is not None} | own)


def function_names(training: Training) -> tuple[str, ...]:
    """Return the names of the recipe's values that a record does not hold: functions of the caller's."""
    return (*(("loss",) if training.has_own_loss else ()), *training.own_functions)


def own_functions(recipe: Recipe | None, *, loss: LossFunction | None = None) -> dict[str, Any]:
    """Return the functions of the caller's that a recipe holds, by name; `loss` wins over its own."""
    held = {} if recipe is None else {name: own for name, own in vars(recipe).items() if callable(own)}
    return held if loss is None else {**held, "loss": loss}


#: How the advised model of a family is built; families that are not listed are networks.
BUILDERS: dict[str, Builder] = {
    "linear": lambda facts, regularizer, training, **_: build_linear(facts, regularizer, seed=training.seed),
    "fitted": _build_fitted,
}
