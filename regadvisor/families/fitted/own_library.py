"""Keras models and skorch nets as ``model=``: what trains them, all together or each by its own ``fit``."""

from __future__ import annotations

import math
import sys
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import clone

from regadvisor import thresholds
from regadvisor.errors import ParameterError, import_optional
from regadvisor.families.fitted.function import FitFunction
from regadvisor.families.fitted.keras_model import (
    n_rates,
    own_optimizer,
    penalised_already,
    unreached,
    with_regularizer,
)
from regadvisor.foreign import is_of
from regadvisor.global_state import own_randomness
from regadvisor.records import DataFacts, Note
from regadvisor.regularizer import DROPOUT_KINDS, KINDS, STRENGTHS, Kind, Regularizer
from regadvisor.words import joined

if TYPE_CHECKING:
    from regadvisor.families.neural.recipe import Recipe

#: Rows of a batch where nobody says, as in Keras' own ``fit``.
_KERAS_BATCH = 32
#: Layers of Keras that are for columns as they are, and make numbers of them that a network learns from.
_PREPARING = {"Normalization", "Rescaling", "Discretization", "CategoryEncoding", "IntegerLookup", "Hashing"}
#: Steps whose rates are asked of a schedule; of more steps these are spread evenly.
_RATES = 1_000


def own_function(model: Any, facts: DataFacts, features: Any, recipe: Recipe | None) -> FitFunction | None:
    """Return a Keras model, a factory of one, or a skorch net as a function that trains it; else None.

    `model`: what the caller passed as ``model=``. `features`: all rows: features on a common scale go in as
    they are, others are encoded and standardised. `recipe`: of a Keras model: epochs and rows of a batch, and
    the optimizer where it is not compiled. Without it the epochs are those that the model was last fitted
    for, or :func:`assumed_epochs`.

    Raises ParameterError if the model cannot be trained.
    """
    steps, model = net_in(model)
    is_net = is_of(model, "skorch")
    first = model if is_net or is_of(model, "keras") else _drawn_keras(model, facts)
    if first is None:
        return None
    if facts.inputs and not is_net:
        from regadvisor.families.fitted.keras_fit import with_one_input

        first = with_one_input(first, facts.inputs)
    encode = steps is None and _is_encoded(first, facts, features, recipe)
    if is_net:
        return _skorch(model, facts, recipe, encode=encode, steps=steps)
    return _keras(model, first, facts, recipe, encode=encode)


def _is_encoded(first: Any, facts: DataFacts, features: Any, recipe: Recipe | None) -> bool:
    """Return whether rows are encoded: the recipe says so, or they cannot go in as they are."""
    from regadvisor.families.neural.common_scale import are_codes, is_on_common_scale

    if recipe is not None and recipe.transform is not None:
        return recipe.transform == "standard"
    if facts.image_shape is not None or features is None:
        return facts.image_shape is None
    if is_on_common_scale(features, facts):
        return False
    if is_of(first, "keras"):
        layers = {type(layer).__name__ for layer in first._flatten_layers()}
        are_numbers = all(each.kind == "numeric" and not each.has_missing for each in facts.columns)
        if are_numbers and layers & _PREPARING:
            return False
        looks_up = "Embedding" in layers
    else:
        from regadvisor.families.fitted.skorch_net import has_embedding

        looks_up = has_embedding(first)
    return not (looks_up and are_codes(features, facts))


def _check_recipe(recipe: Recipe | None, *, is_compiled: bool) -> None:
    """Raise ParameterError if a recipe says what a Keras model is not trained by."""
    if recipe is None:
        return
    counted = ("epochs", "batch_size", "transform", *(() if is_compiled else ("optimizer", "momentum", "lr")))
    usual = type(recipe)(optimizer=recipe.optimizer)
    said = [
        name for name, value in vars(recipe).items() if name not in counted and value != vars(usual)[name]
    ]
    if said:
        what = "compiled Keras model" if is_compiled else "Keras model"
        raise ParameterError(
            f"recipe must only say {', '.join(counted)} for a {what}, got {' and '.join(said)}; "
            "model.compile(...) says the rest, or train it in a function: regadvisor.fit_function(fit)"
        )


def decays(model: Any) -> bool:
    """Return whether the optimizer of a Keras model or a skorch net decouples weight decay from the loss."""
    if is_of(model, "skorch"):
        return getattr(model.optimizer, "__name__", "") == "AdamW"
    # What Keras calls weight_decay is decoupled for each of its optimizers.
    own = own_optimizer(model) if model.compiled else None
    return bool(own is not None and (own.weight_decay or type(own).__name__ == "AdamW"))


def own_sum_lr(model: Any, n_rows: int, *, batch: int = 0, epochs: int | None = None) -> float:
    """Return Σ lr of a run of a skorch net, or of a compiled Keras model for these epochs and batches.

    Raises ParameterError if it is 0.
    """
    if is_of(model, "skorch"):
        from regadvisor.families.fitted.skorch_net import rates, share_trained

        n_rows = round(n_rows * share_trained(model))
        batch = n_rows if model.batch_size == -1 else model.batch_size
        found = sum(rates(model, math.ceil(n_rows / batch)))
    else:
        # Keras tells the rate of the step that it has come to; a schedule gives that of every step.
        rate, n_steps = own_optimizer(model)._learning_rate, (epochs or 1) * math.ceil(n_rows / batch)
        if hasattr(rate, "get_config"):
            at = (np.arange(min(n_steps, _RATES)) + 0.5) * max(1.0, n_steps / _RATES) - 0.5
            found = n_steps * float(np.mean([float(rate(k)) for k in at]))
        else:
            found = n_steps * float(rate() if callable(rate) else rate)
    if found <= 0:
        raise ParameterError(
            "target must have a learning rate above 0 for decoupled strengths, which act with it, got 0"
        )
    return float(found)


def _kinds(has_dropout: bool, *, has_l1: bool = True) -> tuple[Kind, ...]:
    without = {*(() if has_dropout else DROPOUT_KINDS)}
    without |= {kind for kind in KINDS if "l1" in STRENGTHS[kind] and not has_l1}
    return tuple(kind for kind in KINDS if kind not in without)


def _keras(model: Any, first: Any, facts: DataFacts, recipe: Recipe | None, *, encode: bool) -> FitFunction:
    """Return a Keras model, or a factory which made `first`, as a function that trains it."""
    from regadvisor.families.fitted.keras_fit import KerasFit
    from regadvisor.families.neural.losses import BCEWithLogitsLoss, ColumnsLoss
    from regadvisor.families.neural.module.family import about
    from regadvisor.families.neural.recipe import Recipe

    # Of labels the loss was named before it was known what the factory makes.
    if recipe is not None and isinstance(recipe.loss, BCEWithLogitsLoss | ColumnsLoss):
        recipe = None if recipe == Recipe(loss=recipe.loss) else replace(recipe, loss=None)
    with_regularizer(first, Regularizer())  # says what is wrong with it before anything is trained
    for side in ("inputs", "outputs"):
        if len(getattr(first, side, None) or ()) > 1:
            do = {
                "inputs": "pass X as a tuple of arrays, one for each, or split the columns of one: "
                "keras.Model(x, model([x[:, :10], x[:, 10:]]))",
                "outputs": "ask about one of them: keras.Model(model.input, model.outputs[0])",
            }
            raise ParameterError(
                f"model must have one output, and an input for each array of X, got "
                f"{len(getattr(first, side))} {side}; {do[side]}; or train it in a function: "
                "regadvisor.fit_function(fit)"
            )
    if first.compiled and first.loss is None:
        raise ParameterError(
            "model must be compiled with a loss, got none: model.compile(optimizer, loss=...); with a loss "
            "in its layers, train it in a function: regadvisor.fit_function(fit)"
        )
    _check_recipe(recipe, is_compiled=bool(first.compiled))
    own = recipe or Recipe(batch_size=_KERAS_BATCH)
    known = _epochs(first, recipe)
    epochs = known or assumed_epochs(facts.n_rows, own.batch_size)
    own = replace(own, epochs=epochs, transform="standard" if encode else "none")
    fit = KerasFit(model, facts, "decoupled" if decays(first) else "loss", recipe=own)
    return FitFunction(
        fit=fit,
        stacks=fit,
        kinds=_kinds(n_rates(first) > 0),
        laws="network",
        encode=encode,
        loss=fit.held_out_loss(first, facts.image_shape or (about(facts),)),
        scales_target=facts.task == "regression" and fit.scales_target(first),
        takes_shares=fit.takes_shares(first),
        name=str(getattr(model, "__name__", type(first).__name__)),
        library="keras",
        optimizer=type(own_optimizer(first)).__name__ if first.compiled else None,
        recipe=own,
        notes=(*(() if known else (_assumed(epochs, own.batch_size),)), *_about_layers(first)),
        sum_lr=partial(own_sum_lr, first, batch=own.batch_size, epochs=epochs) if decays(first) else None,
    )


def _drawn_keras(model: Any, facts: DataFacts) -> Any:
    """Return what a factory makes, if it is a Keras model; None for anything else."""
    is_factory = callable(model) and not is_of(model, "torch") and not hasattr(model, "get_params")
    names = getattr(getattr(model, "__code__", None), "co_names", ())  # it may import Keras itself
    if not is_factory or not ("keras" in sys.modules or "keras" in names):
        return None
    from regadvisor.families.fitted.keras_fit import made_by
    from regadvisor.families.neural.module.family import about

    try:
        shape = facts.image_shape or (about(facts),)
        with own_randomness(0):
            made = made_by(model, shape, len(facts.classes or ()) or facts.n_targets)
    except Exception:  # another path says what is wrong with a factory of torch
        return None
    return made if is_of(made, "keras") else None


def _epochs(model: Any, recipe: Recipe | None) -> int | None:
    """Return the epochs of one run: the recipe's, or those that the model was last fitted for, if any."""
    if recipe is not None and recipe.epochs is not None:
        return recipe.epochs
    history = getattr(model, "history", None)
    known = None if history is None else (history.params or {}).get("epochs")
    return int(known) if known else None


def assumed_epochs(n_rows: int, batch_size: int) -> int:
    """Return for how many epochs a Keras model is trained if nobody says: some hundred steps.

    >>> assumed_epochs(400, 32), assumed_epochs(2_000, 32), assumed_epochs(50_000, 32)
    (30, 7, 5)
    """
    fewest, most = thresholds.KERAS_EPOCHS
    return min(most, max(fewest, math.ceil(thresholds.KERAS_STEPS * batch_size / n_rows)))


def _about_layers(model: Any) -> tuple[Note, ...]:
    """Say which weights no penalty acts on, and which penalties of the model's own are left out."""
    penalised, others = joined(penalised_already(model), most=5), ", ".join(unreached(model))
    left_out = (
        f"The model has penalties of weights already ({penalised}). Candidates are trained without them, and "
        "apply() puts the advised one in their place."
    )
    text = (
        f"L1 and L2 act on no weight of {others}: the layer has no kernel_regularizer. Give it one, and "
        "return it in get_config()."
    )
    return (
        *((Note(code="own-penalties", text=left_out),) if penalised else ()),
        *((Note(code="unreached-weights", text=text, is_warning=True),) if others else ()),
    )


def _assumed(epochs: int, batch_size: int) -> Note:
    text = (
        f"Nothing says how long the Keras model is trained: {epochs} epochs of {batch_size} rows a batch "
        "were taken. Pass yours: recipe=Recipe(epochs=..., batch_size=...)."
    )
    return Note(code="assumed-epochs", text=text)


def is_search(model: Any) -> bool:
    """Return whether a model is a search over arguments of another one, as GridSearchCV is."""
    return is_of(model, "sklearn") and type(model).__name__.endswith("SearchCV")


def net_in(model: Any) -> tuple[Any, Any]:
    """Return the steps before a skorch net that ends a pipeline, and the net; else None and the model.

    Of a search over a net's strengths what is inside: regadvisor does the search itself.
    """
    if is_search(model):
        found = net_in(model.estimator)
        return found if is_of(found[1], "skorch") else (None, model)
    if is_of(model, "sklearn") and hasattr(model, "steps"):
        from regadvisor.families.estimator.parts import cut

        last = model
        while getattr(last, "steps", None):
            bare = [step for step in last.steps if not isinstance(step, tuple | list)]
            if bare:
                raise ParameterError(
                    f"model must be a Pipeline of pairs (name, step), got {type(bare[0]).__name__} without a "
                    "name; use make_pipeline(...), which names the steps"
                )
            last = last.steps[-1][1]
        if is_of(last, "skorch"):
            return cut(model)
    return None, model


def _skorch(
    net: Any, facts: DataFacts, recipe: Recipe | None, *, encode: bool, steps: Any = None
) -> FitFunction:
    """Return a skorch net as a function that trains it."""
    import_optional("skorch", extra="skorch", purpose="training a skorch net")
    from regadvisor.families.fitted.skorch_fit import SkorchFit
    from regadvisor.families.fitted.skorch_net import OURS, module_of
    from regadvisor.families.fitted.skorch_net import with_regularizer as with_net
    from regadvisor.families.neural.module.dropout import has_dropout
    from regadvisor.families.neural.recipe import Recipe

    if recipe is not None and recipe != Recipe(transform=recipe.transform):
        raise ParameterError(
            "recipe must be None for a skorch net, which knows its epochs, batches and optimizer, got a "
            "Recipe; only its transform= counts"
        )
    if steps is not None and recipe is not None and recipe.transform == "standard":
        raise ParameterError("recipe must be None for a pipeline, whose steps prepare the rows, got a Recipe")
    if getattr(net, "compile", False):  # takes longer than most fits here, once for every net
        net = clone(net).set_params(compile=False)
    with_net(net, Regularizer())  # says what is wrong with it before anything is trained
    fit = SkorchFit(net, facts, "decoupled" if decays(net) else "loss")
    return FitFunction(
        fit=fit,
        stacks=fit,
        # L1 is part of a step of ours; weight decay is what every optimizer has.
        kinds=_kinds(has_dropout(module_of(net)), has_l1=net.optimizer in OURS),
        laws="network",
        encode=encode,
        steps=steps,
        loss=fit.row_loss,
        scales_target=facts.task == "regression" and not fit.is_raw,
        takes_shares=fit.takes_shares,
        name=type(net).__name__,
        library="skorch",
        optimizer=getattr(net.optimizer, "__name__", None),
        recipe=Recipe(transform="standard" if encode else "none"),
        sum_lr=partial(own_sum_lr, net) if decays(net) else None,
    )
