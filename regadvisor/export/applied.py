"""The caller's own model or loop with the advised regularizer: ``advice.apply`` and ``advice.optimizer``.

Strengths go into an estimator or pipeline only where its features are those they were found on.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from regadvisor.data.arrays import flatten_images
from regadvisor.errors import ParameterError, RecordError
from regadvisor.families.encoding import AsNumbers
from regadvisor.families.estimator.caller import class_weights
from regadvisor.families.estimator.names import step_texts
from regadvisor.families.estimator.parts import cut, for_columns, objective_of, steps_inside, with_last
from regadvisor.families.estimator.rules import Strengths
from regadvisor.families.estimator.table import configured, innermost, row_of, without_search
from regadvisor.families.pipeline import AdvisedPipeline, ColumnsClassifier
from regadvisor.families.plain import in_double
from regadvisor.families.preprocess import flatten, make_preprocessor, usual_preprocessor
from regadvisor.families.unpenalised import Unpenalised
from regadvisor.family_spec import spec_of
from regadvisor.foreign import check_ours, is_of
from regadvisor.records import DataFacts, Training
from regadvisor.regularizer import Regularizer

if TYPE_CHECKING:
    from regadvisor.families.neural.proximal import ProximalAdamW, ProximalSGD
    from regadvisor.families.neural.recipe import Recipe, Schedule


_ASK = "pass this pipeline as advise(X, y, model=pipeline) to find strengths for its own features"
_LINEAR = "LogisticRegression, LinearRegression, Ridge, Lasso, ElasticNet, SGDClassifier or SGDRegressor"
#: Arguments that all of these share, as text.
_SHARED = ("class_weight", "fit_intercept", "positive")
#: Our steps that change what holds the numbers, not the numbers.
_SAME_NUMBERS = (None, flatten, in_double, flatten_images)


def applied(
    target: BaseEstimator,
    facts: DataFacts,
    regularizer: Regularizer,
    training: Training,
    *,
    scales_weights: bool = False,
) -> BaseEstimator:
    """Return a copy of the caller's estimator or pipeline with the advised strengths.

    A pipeline keeps its steps, also inside of a wrapper. In front of an estimator alone our preprocessing is
    put, unless the strengths are for features of the caller's own steps.

    Sums of losses over rows grow with the weights of the rows. The caller's own pipeline gets strengths for
    weights as they were passed to advise(); `scales_weights`: for a mean of 1, as those of
    :class:`AdvisedPipeline`.
    """
    target = without_search(target)
    target = for_columns(target) if facts.class_columns else target
    steps, last = cut(target)
    _check_features(steps, last, facts, training)
    _check_objective(last, training, is_classification=facts.task != "regression")
    is_theirs = steps is not None and not scales_weights  # and gets the weights of the rows as they are
    model = configured(last, strengths_for(last, facts, regularizer, training, weights_as_given=is_theirs))
    labels = tuple(own.classes for own in facts.class_columns)
    if len({isinstance(label, str | bool) and type(label) for own in labels for label in own}) > 1:
        model = ColumnsClassifier(model, labels)  # scikit-learn wants one type of labels
    if steps is not None and facts.unpenalised:
        own = [("unpenalised", Unpenalised.of(steps, facts)), (target.steps[-1][0], model)]
        return Pipeline(own, memory=target.memory, verbose=target.verbose)
    if steps is not None:
        return with_last(target, model)
    if steps_inside(last) is not None:
        return model
    preprocess = make_preprocessor(facts, for_network=_is_network(last))
    return AdvisedPipeline([("preprocess", preprocess), ("model", model)])


def _is_network(last: BaseEstimator) -> bool:
    row = row_of(innermost(last))
    return row is not None and row.laws == "network"


def _check_objective(last: BaseEstimator, training: Training, *, is_classification: bool) -> None:
    """Raise ParameterError unless `last` minimises what the model of the advice did."""
    name = type(last).__name__
    found, own = training.objective, objective_of(last)
    if training.family == "linear":
        row = row_of(last)
        is_sgd = name.startswith("SGD") and row is not None and row.loss(last, np.zeros((1, 1))).name is None
        if row is None or not (row.is_linear or is_sgd):
            raise ParameterError(
                f"target must be {_LINEAR} for strengths of a linear model with log loss or squared error, "
                f"got {name}; ask about it: advise(X, y, model={name}())"
            )
        if row.is_classifier != is_classification:
            what = "a classifier" if is_classification else "a regressor"
            raise ParameterError(f"target must be {what}, as the model that this advice is about, got {name}")
        own = tuple(text for text in own if text.startswith(_SHARED))
    elif name != training.estimator:
        raise ParameterError(
            f"target must be {training.estimator}, as the model that this advice is about, got {name}; ask "
            "again with advise(X, y, model=target)"
        )
    if found != own:
        raise ParameterError(
            f"target must have {', '.join(found) or 'the usual class_weight and fit_intercept'}, as the "
            f"model that this advice is about, got {', '.join(own) or 'the usual ones'}; ask again with "
            "advise(X, y, model=target)"
        )


def built(
    target: BaseEstimator, facts: DataFacts, regularizer: Regularizer, training: Training
) -> AdvisedPipeline:
    """Return the caller's own model as :func:`applied` does; it takes rows without a target as well."""
    found = applied(target, facts, regularizer, training, scales_weights=True)
    if isinstance(found, AdvisedPipeline):
        return found
    if not isinstance(found, Pipeline):
        return AdvisedPipeline([("model", found)])
    return AdvisedPipeline(found.steps, memory=found.memory, verbose=found.verbose)


def strengths_for(
    last: BaseEstimator,
    facts: DataFacts,
    regularizer: Regularizer,
    training: Training,
    *,
    weights_as_given: bool = False,
) -> Strengths:
    """Return what an estimator is to be configured for; `weights_as_given`: not scaled to a mean of 1."""
    numbers = regularizer.strengths()
    params = last.get_params()
    weights, mean = None, (facts.mean_weight or 1.0) if weights_as_given else 1.0
    if facts.classes is not None and facts.class_counts and params.get("class_weight") is not None:
        totals = np.multiply(facts.class_counts, facts.mean_weights or 1.0)
        weights = class_weights(params["class_weight"], facts, totals)
        mean *= float(np.average(list(weights.values()), weights=totals))
    sd = facts.target_sd or 1.0
    is_own = training.family == "fitted"  # strengths in the unit of its own objective
    return Strengths(
        l1=numbers.get("l1", 0.0),
        l2=numbers.get("l2", 0.0),
        n_rows=facts.n_rows,
        sd_y=1.0 if is_own else None if facts.targets else sd,
        spread=sd if is_own else 1.0,
        n_classes=len(facts.classes or ()),
        class_weight=weights,
        mean_weight=mean,
        is_unequal=training.is_unequal,
    )


def _check_features(
    steps: Pipeline | None, last: BaseEstimator, facts: DataFacts, training: Training
) -> None:
    """Raise ParameterError unless the last step gets the features that the strengths were found on."""
    if training.steps:
        own = () if steps is None else step_texts(steps)
        if own != training.steps:
            raise ParameterError(
                f"target must have the steps whose features these strengths were found on, "
                f"{', '.join(training.steps)}, got {', '.join(own) or 'no steps'}; {_ASK}"
            )
        return
    if steps is None:
        return
    is_network = _is_network(last)
    ours = usual_preprocessor(facts, for_network=is_network)
    if _in_effect(steps, facts) != _in_effect(ours, facts):
        wanted = "no steps" if is_network else "StandardScaler() over all columns"
        raise ParameterError(
            f"target must give its last step the features that these strengths were found on ({wanted}), got "
            f"{', '.join(step_texts(steps))}; {_ASK}, or use advice.build()"
        )


def _in_effect(step: Any, facts: DataFacts) -> tuple[str, ...]:
    """Return what steps do to these data, as text: equal text means equal features, up to a shift."""
    if isinstance(step, Pipeline):
        return tuple(text for _, each in step.steps for text in _in_effect(each, facts))
    has_missing = any(column.has_missing for column in facts.columns)
    if isinstance(step, AsNumbers) or (isinstance(step, FunctionTransformer) and step.func in _SAME_NUMBERS):
        return ()
    if type(step) is StandardScaler and step.with_std:
        return ("standardise",)
    if type(step) is SimpleImputer:
        filled = f"impute {step.strategy} {step.fill_value} {step.missing_values} {step.add_indicator}"
        return (filled,) if has_missing else ()
    if isinstance(step, ColumnTransformer) and len(step.transformers) == 1:
        _, inner, columns = step.transformers[0]
        if _are_all(columns, facts):
            return _in_effect(inner, facts)
    return step_texts(step)


def _are_all(columns: Any, facts: DataFacts) -> bool:
    """Whether a choice of columns is all of them."""
    if isinstance(columns, slice):
        return columns == slice(None)
    if isinstance(columns, str) or not hasattr(columns, "__iter__"):
        return False
    names = [column.name for column in facts.columns]
    chosen = list(columns)
    return sorted(map(str, chosen)) in (sorted(map(str, names)), sorted(map(str, range(len(names)))))


def applied_to(target: Any, facts: DataFacts, training: Training, regularizer: Regularizer) -> Any:
    """Return a configured copy of `target`; see :meth:`regadvisor.Advice.apply`."""
    is_network = training.family != "linear" and training.estimator is None
    from regadvisor.families.fitted.own_library import net_in

    if is_network and (is_of(target, "keras") or is_of(net_in(target)[1], "skorch")):
        from regadvisor.export.alone import in_own_library, rescaled_to

        return in_own_library(target, rescaled_to(target, regularizer, facts, training))
    if training.family == "fitted" and training.estimator is None:
        raise ParameterError(
            f"apply() must be asked of advice about an estimator or a module, got {training.module}, a "
            "function of yours; call it with advice.regularizer, or use advice.build()"
        )
    _check_target(target)
    if hasattr(target, "get_params") and (training.family == "linear" or training.estimator is not None):
        return applied(target, facts, regularizer, training)
    is_module = any(base.__module__.startswith("torch.nn") for base in type(target).__mro__)
    is_estimator = not spec_of(training.family).is_network or training.estimator is not None
    if not is_module or is_estimator:
        wanted = "a scikit-learn estimator" if is_estimator else "a torch.nn.Module"
        raise ParameterError(
            f"target must be {wanted}, since this advice is about model={training.family!r}, got "
            f"{type(target).__name__}; strengths of the two are never converted into each other"
        )
    from regadvisor.families.neural.dropout import with_dropout

    return with_dropout(target, regularizer.strengths().get("dropout", 0.0))


def optimizer_for(
    module: Any,
    facts: DataFacts,
    training: Training,
    regularizer: Regularizer,
    *,
    recipe: Recipe | None,
    lr: float,
    steps: int,
    schedule: Schedule | None,
) -> ProximalAdamW | ProximalSGD:
    """Return the optimizer of a caller's own loop; see :meth:`regadvisor.Advice.optimizer`.

    `recipe`: the one that the advice was asked for with; its functions are in no record.
    """
    if training.lr is None or training.batch_size is None:
        raise ParameterError("optimizer() must be asked of advice about a network; use advise(model='mlp')")
    from regadvisor.export.build import own_functions, recipe_of
    from regadvisor.families.neural.parameters import check_module
    from regadvisor.families.neural.proximal import make_optimizer
    from regadvisor.families.neural.schedule import full_run_rates, learning_rates

    check_module(module)
    if not isinstance(steps, int) or isinstance(steps, bool) or not 0 < steps < 2**40:
        raise ParameterError(f"steps must be a whole number of at least 1, got {steps!r}")
    known = recipe_of(training, own_functions(recipe))
    if "schedule" in training.own_functions and not callable(known.schedule):
        raise ParameterError(
            "schedule must be the function that the recipe was given, got None: an advice file does not hold "
            "it; call advice.optimizer(..., schedule=...)"
        )
    own = replace(known, lr=lr, schedule=known.schedule if schedule is None else schedule)
    rates = learning_rates(steps, lr=own.lr, schedule=own.schedule, warmup=own.warmup)
    advised = full_run_rates(known, n_rows=facts.n_rows, epochs=training.epochs or 1)
    ratio = float(advised.sum() / rates.sum()) if training.coupling == "decoupled" else 1.0
    strengths = {"l1": 0.0, "l2": 0.0, **regularizer.strengths()}
    return make_optimizer(
        module,
        own,
        l1=strengths["l1"] * ratio,
        l2=strengths["l2"] * ratio,
        rates=rates.tolist(),
        has_default_schedule=schedule is None,
    )


def check_training(training: Training) -> None:
    """Raise unless a record says how its network is trained: a file may have been edited."""
    missing = [
        name
        for name in ("lr", "batch_size", "schedule")
        if getattr(training, name) is None and name not in training.own_functions
    ]
    if missing:
        raise RecordError(
            f"training must have lr, batch_size and schedule for a network, got no {', '.join(missing)}; "
            "ask for new advice"
        )
    from regadvisor.export.build import recipe_of

    recipe_of(training)


def _check_target(target: Any) -> None:
    """Raise ParameterError for what apply() cannot configure: a class, or a model of another library."""
    if isinstance(target, type):
        name = target.__name__
        raise ParameterError(f"target must be an estimator or a module, got the class {name}; pass {name}()")
    check_ours(target)
    if not (hasattr(target, "get_params") or hasattr(target, "parameters")):
        raise ParameterError(
            f"target must be a scikit-learn estimator or a torch.nn.Module, got {type(target).__name__}; "
            "for an estimator of ours call advice.build()"
        )
