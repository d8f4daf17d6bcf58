"""The caller's own model or loop with the advised regularizer: ``advice.apply`` and ``advice.optimizer``."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from regadvisor.errors import ParameterError, RecordError
from regadvisor.family_spec import spec_of
from regadvisor.foreign import check_ours, is_of
from regadvisor.records import DataFacts, Training
from regadvisor.regularizer import Regularizer

if TYPE_CHECKING:
    from regadvisor.families.neural.proximal import ProximalAdamW, ProximalSGD
    from regadvisor.families.neural.recipe import Recipe, Schedule


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
        from regadvisor.export.applied import applied

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
