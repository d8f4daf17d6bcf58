"""Keras models and skorch nets as ``model=``: trained by their own ``fit``, one fit after the other."""

from __future__ import annotations

import math
import sys
import threading
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, softmax

from regadvisor import thresholds
from regadvisor.errors import ParameterError, import_optional
from regadvisor.families.fitted.function import FitFunction
from regadvisor.foreign import is_of
from regadvisor.records import DataFacts, Note
from regadvisor.regularizer import DROPOUT_KINDS, KINDS, Kind, Regularizer

if TYPE_CHECKING:
    from regadvisor.families.neural.recipe import Recipe

#: Keras and NumPy have random numbers for the process, and each fit is to have its own.
_LOCK = threading.Lock()
#: Rows of a batch where nobody says, as in Keras' own ``fit``.
_KERAS_BATCH = 32
#: Losses of differences: a target in its own unit would only make the network learn slowly.
_DIFFERENCES = ("mse", "mae", "meansquarederror", "meanabsoluteerror", "huber", "logcosh")


def own_function(model: Any, facts: DataFacts, features: Any, recipe: Recipe | None) -> FitFunction | None:
    """Return a Keras model, a factory of one, or a skorch net as a function that trains it; else None.

    Parameters
    ----------
    model : object
        What the caller passed as ``model=``.
    facts : DataFacts
    features : ndarray, csr_array or DataFrame, or None
        All rows: features on a common scale go in as they are, others are encoded and standardised.
    recipe : Recipe, optional
        Of a Keras model: epochs and rows of a batch, and the optimizer where it is not compiled. Without it
        the epochs are those that the model was last fitted for, or :func:`assumed_epochs`.

    Raises
    ------
    ParameterError
        If the model cannot be trained.
    """
    is_net = is_of(model, "skorch")
    first = None if is_net else model if is_of(model, "keras") else _drawn_keras(model, facts)
    if first is None and not is_net:
        return None
    from regadvisor.families.neural.common_scale import is_on_common_scale
    from regadvisor.families.neural.recipe import Recipe

    if recipe is not None and not isinstance(recipe, Recipe):
        raise ParameterError(
            f"recipe must be a Recipe or None, got {type(recipe).__name__}; pass Recipe(epochs=...)"
        )
    transform = None if recipe is None else recipe.transform
    is_ready = facts.image_shape is not None
    if transform is None and not is_ready and features is not None:
        is_ready = is_on_common_scale(features, facts)
    encode = transform == "standard" or (transform is None and not is_ready)
    if first is None:
        return _skorch(model, facts, recipe, encode=encode)
    from regadvisor.families.fitted.keras_model import n_rates, with_regularizer

    with_regularizer(first, Regularizer())  # says what is wrong with it before anything is trained
    for side in ("inputs", "outputs"):
        if len(getattr(first, side, None) or ()) > 1:
            raise ParameterError(
                "model must have one input and one output to be asked about, got "
                f"{len(getattr(first, side))} {side}; train it in a function: regadvisor.fit_function(fit)"
            )
    _check_recipe(recipe, is_compiled=bool(first.compiled))
    own = recipe or Recipe(batch_size=_KERAS_BATCH)
    known = _epochs(first, recipe)
    epochs = known or assumed_epochs(facts.n_rows, own.batch_size)
    own = replace(own, epochs=epochs, transform="standard" if encode else "none")
    return FitFunction(
        fit=_KerasFit(model, facts, own),
        kinds=_kinds(n_rates(first) > 0),
        laws="network",
        encode=encode,
        name=str(getattr(model, "__name__", type(first).__name__)),
        library="keras",
        recipe=own,
        notes=() if known else (_assumed(epochs, own.batch_size),),
        sum_lr=partial(own_sum_lr, first, batch=own.batch_size, epochs=own.epochs) if decays(first) else None,
    )


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
    return bool(
        model.compiled and (model.optimizer.weight_decay or type(model.optimizer).__name__ == "AdamW")
    )


def own_sum_lr(model: Any, n_rows: int, *, batch: int = 0, epochs: int | None = None) -> float:
    """Return Σ lr of a run of a skorch net, or of a compiled Keras model for these epochs and batches.

    Raises
    ------
    ParameterError
        If it is 0.
    """
    if is_of(model, "skorch"):
        # skorch holds out one fold of so many, or this share of the rows.
        cv = getattr(model.train_split, "cv", None)
        if isinstance(cv, int | float):
            n_rows = round(n_rows * (1 - (1 / cv if cv >= 1 else cv)))
        batch = n_rows if model.batch_size == -1 else model.batch_size
        found = float(model.lr) * model.max_epochs * math.ceil(n_rows / batch)
    else:
        # Keras tells the rate of the step that it has come to; a schedule gives that of every step.
        rate, n_steps = model.optimizer._learning_rate, (epochs or 1) * math.ceil(n_rows / batch)
        found = sum(float(rate(k)) for k in range(n_steps)) if callable(rate) else float(rate) * n_steps
    if found <= 0:
        raise ParameterError(
            "target must have a learning rate above 0 for decoupled strengths, which act with it, got 0"
        )
    return float(found)


def _kinds(has_dropout: bool) -> tuple[Kind, ...]:
    return KINDS if has_dropout else tuple(kind for kind in KINDS if kind not in DROPOUT_KINDS)


def _numbers(X: Any) -> NDArray[np.float32]:
    """Return rows as a network takes them."""
    rows = X.toarray() if hasattr(X, "toarray") else X
    try:
        return np.asarray(rows, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise ParameterError(
            f"X must hold numbers for a network as it is, got {error}; pass Recipe(transform='standard')"
        ) from error


# ------------------------------------------------------------------------------------------------- Keras


def _drawn_keras(model: Any, facts: DataFacts) -> Any:
    """Return what a factory makes, if it is a Keras model; None for anything else."""
    is_factory = callable(model) and not is_of(model, "torch") and not hasattr(model, "get_params")
    names = getattr(getattr(model, "__code__", None), "co_names", ())  # it may import Keras itself
    if not is_factory or not ("keras" in sys.modules or "keras" in names):
        return None
    from regadvisor.families.fitted.keras_model import own_randomness
    from regadvisor.families.neural.module.family import about

    try:
        shape = facts.image_shape or (about(facts),)
        with _LOCK, own_randomness(0):
            made = _made(model, shape, len(facts.classes or ()) or facts.n_targets)
    except Exception:  # another path says what is wrong with a factory of torch
        return None
    return made if is_of(made, "keras") else None


def _made(model: Any, shape: tuple[int, ...], n_outputs: int) -> Any:
    """Return a new model of a factory, or the model itself."""
    if is_of(model, "keras"):
        return model
    from regadvisor.families.neural.module.source import asked_for

    known = {"n_features": math.prod(shape), "n_outputs": n_outputs, "input_shape": shape}
    return model(**{name: known[name] for name in asked_for(model)})


def _epochs(model: Any, recipe: Recipe | None) -> int | None:
    """Return the epochs of one run: the recipe's, or those that the model was last fitted for, if any."""
    if recipe is not None and recipe.epochs is not None:
        return recipe.epochs
    history = getattr(model, "history", None)
    known = None if history is None else (history.params or {}).get("epochs")
    return int(known) if known else None


def assumed_epochs(n_rows: int, batch_size: int) -> int:
    """Return for how many epochs a Keras model is trained if nobody says: some hundred steps.

    Examples
    --------
    >>> assumed_epochs(400, 32), assumed_epochs(2_000, 32), assumed_epochs(50_000, 32)
    (30, 7, 5)
    """
    fewest, most = thresholds.KERAS_EPOCHS
    return min(most, max(fewest, math.ceil(thresholds.KERAS_STEPS * batch_size / n_rows)))


def _assumed(epochs: int, batch_size: int) -> Note:
    text = (
        f"Nothing says how long the Keras model is trained: {epochs} epochs of {batch_size} rows a batch "
        "were taken. Pass yours: recipe=Recipe(epochs=..., batch_size=...)."
    )
    return Note(code="assumed-epochs", text=text)


@dataclass(frozen=True, eq=False)
class _KerasFit:
    """Trains a Keras model with a regularizer, for :class:`~.function.FitFunction`."""

    model: Any
    facts: DataFacts
    recipe: Recipe

    def __call__(
        self, regularizer: Regularizer, X: Any, y: NDArray[Any], seed: int, sample_weight: Any = None
    ) -> _KerasFitted:
        from regadvisor.families.fitted.keras_model import own_randomness, with_regularizer

        rows, n_classes = _numbers(X), len(self.facts.classes or ())
        with _LOCK, own_randomness(seed):
            own = _made(self.model, rows.shape[1:], n_classes or self.facts.n_targets)
            if not own.compiled:
                own = self._compiled(own, rows.shape[1:])
            own = with_regularizer(own, regularizer, seed=seed)
            if not own.built:
                own.build((None, *rows.shape[1:]))
            target, center, scale = self._target(own, y)
            own.fit(
                rows,
                target,
                batch_size=self.recipe.batch_size,
                epochs=self.recipe.epochs,
                sample_weight=sample_weight,
                verbose=0,
            )
        return _KerasFitted(own, self.facts.classes, center, scale)

    def _compiled(self, model: Any, shape: tuple[int, ...]) -> Any:
        """Return a model like this one, compiled by the recipe: the caller's own stays as it is."""
        import keras

        from regadvisor.families.fitted.keras_model import with_regularizer

        new = with_regularizer(model, Regularizer())
        if not new.built:
            new.build((None, *shape))
        kind = keras.optimizers.SGD if self.recipe.optimizer == "sgd" else keras.optimizers.Adam
        more = {"momentum": self.recipe.momentum} if self.recipe.optimizer == "sgd" else {}
        loss: Any = "mse"
        if self.facts.classes:
            is_share = _gives_shares(new)
            loss = (
                keras.losses.BinaryCrossentropy(from_logits=not is_share)
                if new.output_shape[-1] == 1
                else keras.losses.SparseCategoricalCrossentropy(from_logits=not is_share)
            )
        new.compile(kind(self.recipe.lr, **more), loss)
        return new

    def _target(self, model: Any, y: NDArray[Any]) -> tuple[Any, Any, Any]:
        """Return the target as the model's loss takes it, and what turns outputs into its unit."""
        name = _plain_name(model)
        if not self.facts.classes:
            values = np.asarray(y, dtype=np.float64).reshape(len(y), -1)
            center, scale = np.zeros(values.shape[1]), np.ones(values.shape[1])
            if name in _DIFFERENCES:
                center, scale = values.mean(axis=0), values.std(axis=0)
                scale = np.where(scale > 0, scale, 1.0)
            return ((values - center) / scale).astype(np.float32), center, scale
        classes = list(self.facts.classes)
        codes = np.array([classes.index(label) for label in np.asarray(y).tolist()])
        if model.output_shape[-1] == 1:
            return codes.astype(np.float32)[:, None], None, None
        if "sparse" in name:
            return codes, None, None
        return np.eye(len(classes), dtype=np.float32)[codes], None, None


def _plain_name(model: Any) -> str:
    from regadvisor.families.fitted.keras_model import loss_name

    return (loss_name(model) or "").replace("_", "").lower()


def _gives_shares(model: Any) -> bool:
    """Return whether the last layer gives probabilities."""
    activation = getattr(model.layers[-1], "activation", None)
    return getattr(activation, "__name__", type(activation).__name__).lower() in ("softmax", "sigmoid")


@dataclass(frozen=True, eq=False)
class _KerasFitted:
    """A trained Keras model that predicts probabilities, or numbers in the unit of the target."""

    model: Any
    classes_: tuple[Any, ...] | None
    center: Any
    scale: Any

    def _outputs(self, X: Any) -> NDArray[np.float64]:
        from regadvisor.families.fitted.keras_model import own_randomness

        with _LOCK, own_randomness(0):  # batches of torch draw a seed even if nothing is shuffled
            return np.asarray(self.model.predict(_numbers(X), verbose=0), dtype=np.float64)

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the outputs in the unit of the target."""
        return np.asarray(self._outputs(X) * self.scale + self.center)

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Return probabilities of the classes."""
        outputs = self._outputs(X)
        if getattr(
            self.model.loss, "from_logits", getattr(self.model.loss, "_fn_kwargs", {}).get("from_logits")
        ):
            outputs = expit(outputs) if outputs.shape[1] == 1 else softmax(outputs, axis=1)
        shares = np.hstack([1 - outputs, outputs]) if outputs.shape[1] == 1 else outputs
        return np.asarray(shares, dtype=np.float64)


# ------------------------------------------------------------------------------------------------ skorch


def _skorch(net: Any, facts: DataFacts, recipe: Recipe | None, *, encode: bool) -> FitFunction:
    """Return a skorch net as a function that trains it."""
    import_optional("skorch", extra="skorch", purpose="training a skorch net")
    from regadvisor.families.fitted.skorch_net import module_of
    from regadvisor.families.neural.module.dropout import has_dropout
    from regadvisor.families.neural.recipe import Recipe

    if recipe is not None and recipe != Recipe(transform=recipe.transform):
        raise ParameterError(
            "recipe must be None for a skorch net, which knows its epochs, batches and optimizer, got a "
            "Recipe; only its transform= counts"
        )
    return FitFunction(
        fit=_SkorchFit(net, facts),
        kinds=_kinds(has_dropout(module_of(net))),
        laws="network",
        encode=encode,
        name=type(net).__name__,
        library="skorch",
        recipe=Recipe(transform="standard" if encode else "none"),
        sum_lr=partial(own_sum_lr, net) if decays(net) else None,
    )


@dataclass(frozen=True, eq=False)
class _SkorchFit:
    """Trains a skorch net with a regularizer, for :class:`~.function.FitFunction`."""

    net: Any
    facts: DataFacts

    def __call__(self, regularizer: Regularizer, X: Any, y: NDArray[Any], seed: int) -> Any:
        from regadvisor.families.fitted.keras_model import own_randomness
        from regadvisor.families.fitted.skorch_net import is_binary, with_regularizer

        rows = _numbers(X)
        with _LOCK, own_randomness(seed):
            own = with_regularizer(self.net, regularizer).set_params(verbose=0)
            if self.facts.classes:
                classes = list(self.facts.classes)
                codes = np.array([classes.index(label) for label in np.asarray(y).tolist()])
                # Binary cross-entropy takes floats, cross-entropy whole numbers.
                codes = codes.astype(np.float32 if is_binary(self.net) else np.int64)
                return _SkorchFitted(own.fit(rows, codes), tuple(classes))
            values = np.asarray(y, dtype=np.float64).reshape(len(y), -1)
            center, scale = values.mean(axis=0), np.where(values.std(axis=0) > 0, values.std(axis=0), 1.0)
            own.fit(rows, ((values - center) / scale).astype(np.float32))
            return _SkorchFitted(own, None, center, scale)


@dataclass(frozen=True, eq=False)
class _SkorchFitted:
    """A trained net that predicts probabilities, or numbers in the unit of the target."""

    net: Any
    classes_: tuple[Any, ...] | None
    center: Any = None
    scale: Any = None

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the outputs in the unit of the target."""
        found = np.asarray(self.net.predict(_numbers(X)), dtype=np.float64)
        return np.asarray(found.reshape(len(found), -1) * self.scale + self.center)

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Return probabilities of the classes."""
        return np.asarray(self.net.predict_proba(_numbers(X)), dtype=np.float64)
