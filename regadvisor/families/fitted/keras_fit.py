"""A Keras model that its own ``fit`` trains, and how many of them are trained together."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, softmax

from regadvisor.errors import ParameterError, RegadvisorError
from regadvisor.families.fitted import first_look
from regadvisor.families.fitted.keras_model import (
    LOCK,
    loss_name,
    n_outputs,
    n_rates,
    own_randomness,
    reads_logits,
    with_regularizer,
)
from regadvisor.foreign import is_of
from regadvisor.records import DataFacts
from regadvisor.regularizer import Coupling, Regularizer

if TYPE_CHECKING:
    from regadvisor.families.fitted.keras_network import KerasNetwork
    from regadvisor.families.fitted.learner import Call
    from regadvisor.families.fitted.stacked import Numbers, Run
    from regadvisor.families.neural.recipe import Recipe

#: Losses of differences: a target in its own unit would only make the network learn slowly.
_DIFFERENCES = ("mse", "mae", "meansquarederror", "meanabsoluteerror", "huber", "huberloss", "logcosh")
#: Last activations that keep outputs in a range, so that the target stays in its unit, or on one side of 0.
_BOUNDED = ("sigmoid", "softmax", "tanh", "softsign", "relu6", "hard_sigmoid", "hard_tanh")
_ONE_SIDED = ("relu", "softplus", "exponential")


def numbers_of(X: Any) -> NDArray[np.float32]:
    """Return rows as a network takes them."""
    rows = X.toarray() if hasattr(X, "toarray") else X
    try:
        return np.asarray(rows, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise ParameterError(
            f"X must hold numbers for a network as it is, got {error}; pass Recipe(transform='standard')"
        ) from error


def made_by(model: Any, shape: tuple[int, ...], n_outputs: int) -> Any:
    """Return a new model of a factory, or the model itself."""
    if is_of(model, "keras"):
        return model
    from regadvisor.families.neural.module.source import asked_for

    known = {"n_features": math.prod(shape), "n_outputs": n_outputs, "input_shape": shape}
    return model(**{name: known[name] for name in asked_for(model)})


@dataclass(frozen=True, eq=False)
class KerasFit:
    """Trains a Keras model with a regularizer, for :class:`~.function.FitFunction`."""

    model: Any
    facts: DataFacts
    recipe: Recipe
    coupling: Coupling = "loss"
    share: float = 1.0

    def __call__(
        self, regularizer: Regularizer, X: Any, y: NDArray[Any], seed: int, sample_weight: Any = None
    ) -> KerasFitted:
        """Return what Keras' own fit trains."""
        rows = numbers_of(X)
        with LOCK, own_randomness(seed):
            own = self.ready(regularizer, rows.shape[1:], seed)
            target, center, scale = self.target(own, y)
            own.fit(
                rows,
                target,
                batch_size=self.recipe.batch_size,
                epochs=self.recipe.epochs,
                sample_weight=sample_weight,
                verbose=0,
            )
        return KerasFitted(own, self.facts.classes, center, scale)

    def ready(self, regularizer: Regularizer, shape: tuple[int, ...], seed: int) -> Any:
        """Return the model that Keras is to train, compiled and built for rows of this shape."""
        own = self._given(shape)
        if not own.compiled:
            own = self._compiled(own, shape)
        own = with_regularizer(own, regularizer, seed=seed)
        if not own.built:
            own.build((None, *shape))
        return own

    def check(self, X: Any) -> None:
        """Raise ParameterError unless the model takes such rows, and returns what its loss takes."""
        import keras

        rows, facts = numbers_of(X)[: first_look.N_ROWS], self.facts
        with LOCK, own_randomness(0):
            try:
                own = self.ready(Regularizer(), rows.shape[1:], 0)
                outputs = keras.ops.convert_to_numpy(own(rows, training=False))
            except RegadvisorError:
                raise
            except Exception as error:  # whatever Keras, or a layer of the caller's, raises
                raise first_look.not_taken(rows, error) from error
        n_classes, loss = len(facts.classes or ()), loss_name(own) or "its loss"
        if n_classes == 2 and "sparse" not in _plain_name(own) and _ends_in(own) != "softmax":
            allowed = {1, 2}
        else:
            allowed = {n_classes or facts.n_targets}
        do = "build its last layer for them"
        if n_classes == 2:
            do += "; one output needs a sigmoid and 'binary_crossentropy'"
        first_look.check_width(outputs, facts, allowed, do)
        first_look.check_finite(outputs)
        if n_classes and reads_logits(own.loss):
            if _gives_shares(own):
                raise ParameterError(
                    f"model must return logits for its loss {loss}, got the probabilities of a "
                    f"{_ends_in(own)}; leave that out, or compile it without from_logits=True"
                )
        elif n_classes:
            end = "sigmoid" if outputs.shape[-1] == 1 else "softmax"
            do = f"end it in a {end}, or compile it with a loss of from_logits=True"
            first_look.check_shares(outputs, loss, do)

    # ------------------------------------------------------------------------ many at once (together.py)

    @property
    def batch(self) -> int:
        """Most rows of a step."""
        return self.recipe.batch_size

    @property
    def epochs(self) -> int:
        """Epochs of one run."""
        return self.recipe.epochs or 1

    def why_not(self, X: Any) -> str | None:
        """Return why networks cannot be stacked, as far as it is known without trying."""
        from regadvisor.families.fitted.keras_network import why_not

        with own_randomness(0):
            shape = numbers_of(X).shape[1:]
            return why_not(self.ready(Regularizer(), shape, 0), n_rates(self._given(shape)))

    def network(self, call: Call, *, steps: int | None = None) -> KerasNetwork:
        """Return the model as a function of its numbers; with `steps`, so many steps of all rows."""
        from regadvisor.families.fitted.keras_network import KerasNetwork

        rows = numbers_of(call.X)

        def made(regularizer: Regularizer, seed: int) -> Any:
            with own_randomness(seed):
                return self.ready(regularizer, rows.shape[1:], seed)

        return KerasNetwork(
            made,
            coupling=self.coupling,
            batch=len(rows) if steps else self.batch,
            epochs=steps or self.epochs,
            rows=rows,
            target=lambda model: self.target(model, call.y)[0],
        )

    def run(self, network: KerasNetwork, call: Call) -> tuple[Run, Callable[[Numbers, Numbers], KerasFitted]]:
        """Return what a network is trained on, and what makes a model that predicts of its numbers."""
        target, center, scale = self.target(network.model, call.y)
        run = network.run(call, numbers_of(call.X), target)

        def fitted(trained: Numbers, kept: Numbers) -> KerasFitted:
            return KerasFitted(network.model_of(trained, kept), self.facts.classes, center, scale)

        return run, fitted

    def alone(self, call: Call, *, steps: int) -> KerasFitted:
        """Return what Keras' own fit trains, in so many steps of all rows."""
        own = replace(self, recipe=replace(self.recipe, batch_size=len(call.y), epochs=steps))
        return own(call.regularizer, call.X, call.y, call.seed, call.weight)

    # ---------------------------------------------------------------------------------------------- parts

    def _given(self, shape: tuple[int, ...]) -> Any:
        """Return the caller's own model, or a new one of the factory."""
        return made_by(self.model, shape, len(self.facts.classes or ()) or self.facts.n_targets)

    def _compiled(self, model: Any, shape: tuple[int, ...]) -> Any:
        """Return a model like this one, compiled by the recipe: the caller's own stays as it is."""
        import keras

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
                if n_outputs(new) == 1
                else keras.losses.SparseCategoricalCrossentropy(from_logits=not is_share)
            )
        new.compile(kind(self.recipe.lr, **more), loss)
        return new

    def scales_target(self, model: Any) -> bool:
        """Return whether a numeric target is standardised: outputs go anywhere, by a loss of differences."""
        is_of_differences = not model.compiled or _plain_name(model) in _DIFFERENCES
        return is_of_differences and _ends_in(model) not in (*_BOUNDED, *_ONE_SIDED)

    def target(self, model: Any, y: NDArray[Any]) -> tuple[Any, Any, Any]:
        """Return the target as the model's loss takes it, and what turns outputs into its unit."""
        name = _plain_name(model)
        if not self.facts.classes:
            values = np.asarray(y, dtype=np.float64).reshape(len(y), -1)
            center, scale = np.zeros(values.shape[1]), np.ones(values.shape[1])
            end = _ends_in(model)
            if name in _DIFFERENCES and end not in _BOUNDED:
                scale = np.where(values.std(axis=0) > 0, values.std(axis=0), 1.0)
            if self.scales_target(model):
                center = values.mean(axis=0)
            return ((values - center) / scale).astype(np.float32), center, scale
        classes = list(self.facts.classes)
        codes = np.array([classes.index(label) for label in np.asarray(y).tolist()])
        if n_outputs(model) == 1:
            return codes.astype(np.float32)[:, None], None, None
        if "sparse" in name:
            return codes, None, None
        return np.eye(len(classes), dtype=np.float32)[codes], None, None


def _plain_name(model: Any) -> str:
    return (loss_name(model) or "").replace("_", "").lower()


def _gives_shares(model: Any) -> bool:
    """Return whether the last layer gives probabilities."""
    return _ends_in(model) in ("softmax", "sigmoid")


def _ends_in(model: Any) -> str:
    """Return the name of the activation that the last layer has, or is."""
    last = model.layers[-1]
    activation = getattr(last, "activation", last)
    return str(getattr(activation, "__name__", type(activation).__name__)).lower()


@dataclass(frozen=True, eq=False)
class KerasFitted:
    """A trained Keras model that predicts probabilities, or numbers in the unit of the target."""

    model: Any
    classes_: tuple[Any, ...] | None
    center: Any
    scale: Any

    def _outputs(self, X: Any) -> NDArray[np.float64]:
        with LOCK, own_randomness(0):  # batches of torch draw a seed even if nothing is shuffled
            return np.asarray(self.model.predict(numbers_of(X), verbose=0), dtype=np.float64)

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the outputs in the unit of the target: shares, where the loss takes logits of them."""
        outputs = self._outputs(X)
        outputs = expit(outputs) if reads_logits(self.model.loss) else outputs
        return np.asarray(outputs * self.scale + self.center)

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Return probabilities of the classes."""
        outputs = self._outputs(X)
        if reads_logits(self.model.loss):
            outputs = expit(outputs) if outputs.shape[1] == 1 else softmax(outputs, axis=1)
        shares = np.hstack([1 - outputs, outputs]) if outputs.shape[1] == 1 else outputs
        total = shares.sum(axis=1, keepdims=True)  # sigmoids of several classes need not add up to 1
        return np.asarray(shares / np.where(total > 0, total, 1.0), dtype=np.float64)
