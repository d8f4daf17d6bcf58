"""A regularizer without an advice: into the caller's own model, its optimizer, and as lines of code."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from regadvisor.conversions import known_as
from regadvisor.errors import ParameterError
from regadvisor.export.code import estimator_code, rendered
from regadvisor.families.fitted.own_library import is_search, net_in, own_sum_lr
from regadvisor.foreign import check_ours, is_of
from regadvisor.records import DataFacts, Training
from regadvisor.regularizer import Regularizer

if TYPE_CHECKING:
    import torch

    from regadvisor.families.neural.proximal import ProximalAdamW, ProximalSGD


def in_own_library(target: Any, regularizer: Regularizer) -> Any:
    """Return a copy of a Keras model or a skorch net with this regularizer; None for anything else."""
    if is_of(target, "keras"):
        from regadvisor.families.fitted.keras_model import with_regularizer as with_keras

        return with_keras(target, regularizer)
    _, net = net_in(target)
    if is_of(net, "skorch"):
        while is_search(target):
            target = target.estimator
        from regadvisor.families.estimator.parts import with_last
        from regadvisor.families.fitted.skorch_net import with_regularizer as with_skorch

        return with_last(target, with_skorch(net, regularizer))
    return None


def rescaled_to(target: Any, regularizer: Regularizer, facts: DataFacts, training: Training) -> Regularizer:
    """Return the advised strengths for the learning rates of a Keras model or a skorch net.

    Decoupled strengths are rescaled to equal strength × Σ lr. A net knows its epochs and batches; a Keras
    model is taken to be trained for as many steps as the recipe says.
    """
    _, target = net_in(target)
    if training.coupling != "decoupled" or (is_of(target, "keras") and not target.compiled):
        return regularizer
    advised, rows_per_step = training.sum_lr, training.batch_size
    if advised is None:
        if training.lr is None or training.batch_size is None:
            return regularizer
        from regadvisor.export.build import recipe_of
        from regadvisor.families.neural.schedule import full_run_rates

        recipe = recipe_of(replace(training, schedule=training.schedule or "constant"))
        rates = full_run_rates(recipe, n_rows=facts.n_rows, epochs=training.epochs or 1)
        advised, rows_per_step = float(rates.sum()), recipe.rows_per_step
    if rows_per_step is None and is_of(target, "keras"):  # advice about a skorch net
        return regularizer
    own = own_sum_lr(target, facts.n_rows, batch=rows_per_step or 0, epochs=training.epochs)
    return regularizer.times(advised / own)


def applied_alone(
    target: Any, regularizer: Regularizer, *, n_rows: float | None, target_sd: float = 1.0
) -> Any:
    """Return a configured copy of the caller's own model; see :meth:`regadvisor.Regularizer.apply`."""
    configured = in_own_library(target, regularizer)
    if configured is not None:
        return configured
    check_ours(target)
    if hasattr(target, "get_params"):
        return _estimator(target, regularizer, n_rows=n_rows, target_sd=target_sd)
    import torch

    if not isinstance(target, torch.nn.Module):
        raise ParameterError(
            "target must be a scikit-learn estimator, a torch.nn.Module, a Keras model or a skorch net, got "
            f"{type(target).__name__}"
        )
    from regadvisor.families.neural.dropout import with_dropout

    return with_dropout(target, regularizer.strengths().get("dropout", 0.0))


def _estimator(target: Any, regularizer: Regularizer, *, n_rows: float | None, target_sd: float) -> Any:
    """Return a copy of an estimator, or of the last step of a pipeline, with the strengths."""
    from regadvisor.families.estimator.parts import cut, with_last
    from regadvisor.families.estimator.rules import Strengths
    from regadvisor.families.estimator.table import configured, without_search

    if n_rows is None:
        raise ParameterError(
            "n_rows must be the number of training rows for an estimator, whose loss may be a sum over "
            "rows, got None; call apply(estimator, n_rows=len(X))"
        )
    if regularizer.coupling == "decoupled":
        raise ParameterError(
            "coupling must be 'loss' for an estimator of scikit-learn, got 'decoupled'; strengths of the two "
            "are never converted into each other"
        )
    strengths = {"l1": 0.0, "l2": 0.0, "dropout": 0.0, **regularizer.strengths()}
    if strengths["dropout"]:
        raise ParameterError(f"target must be a network for dropout, got {type(target).__name__}")
    target = without_search(target)
    own = Strengths(l1=strengths["l1"], l2=strengths["l2"], n_rows=n_rows, sd_y=target_sd)
    return with_last(target, configured(cut(target)[1], own))


def optimizer_alone(
    module: torch.nn.Module,
    regularizer: Regularizer,
    *,
    lr: float,
    optimizer: Literal["adamw", "sgd"] = "adamw",
    momentum: float = 0.9,
) -> ProximalAdamW | ProximalSGD:
    """Return an optimizer with the penalties; see :meth:`regadvisor.Regularizer.optimizer`."""
    from regadvisor.families.neural.parameters import check_module
    from regadvisor.families.neural.proximal import make_optimizer
    from regadvisor.families.neural.recipe import Recipe

    check_module(module)
    recipe = Recipe(lr=lr, optimizer=optimizer, momentum=momentum, coupling=regularizer.coupling)
    strengths = regularizer.strengths()
    return make_optimizer(
        module,
        recipe,
        l1=strengths.get("l1", 0.0),
        l2=strengths.get("l2", 0.0),
        rates=[recipe.lr],
        has_default_schedule=True,
    )


#: Libraries of networks that a penalty can be written down for.
_LIBRARIES = ("torch", "keras", "skorch", "jax")


def penalty_lines(regularizer: Regularizer, target: str, *, n_rows: float | None, target_sd: float) -> str:
    """Return the code; see :meth:`regadvisor.Regularizer.snippet`."""
    target = known_as(target, ("sklearn", *_LIBRARIES))
    if target == "sklearn":
        return _sklearn(regularizer, n_rows=n_rows, target_sd=target_sd)
    if target not in _LIBRARIES:
        known = ", ".join(map(repr, ("sklearn", *_LIBRARIES)))
        raise ParameterError(
            f"target must be one of {known}, got {target!r}; others are in docs/conversions.md"
        )
    found = {"l1": 0.0, "l2": 0.0, "dropout": 0.0, **regularizer.strengths()}
    strengths = {name: float(f"{value:.4g}") for name, value in found.items()}  # no more digits matter
    is_decoupled = regularizer.coupling == "decoupled"
    code = rendered("penalty.jinja", target=target, is_decoupled=is_decoupled, **strengths)
    return f"# {regularizer.label}\n{code}"


def _sklearn(regularizer: Regularizer, *, n_rows: float | None, target_sd: float) -> str:
    """Return the models of scikit-learn that have this penalty, on standardised features."""
    from sklearn import linear_model

    found = regularizer.to("sklearn", n_rows=n_rows, target_sd=target_sd)
    name = "Ridge" if not regularizer.l1 else "Lasso" if not regularizer.l2 else "ElasticNet"
    models = [
        linear_model.LogisticRegression(
            **found["LogisticRegression"], max_iter=10_000, **({"solver": "saga"} if regularizer.l1 else {})
        ),
        getattr(linear_model, name)(**found[name]),
    ]
    codes = [estimator_code(model) for model in models]
    return "\n".join(
        [
            f"# {regularizer.label}",
            *sorted(line for code in codes for line in code.imports),
            "from sklearn.pipeline import make_pipeline",
            "from sklearn.preprocessing import StandardScaler",
            "",
            f"classifier = make_pipeline(StandardScaler(), {codes[0].expression})",
            f"regressor = make_pipeline(StandardScaler(), {codes[1].expression})",
            "",
        ]
    )
