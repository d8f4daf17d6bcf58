"""A Keras model that its own ``fit`` trains, and how many of them are trained together."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import expit, softmax
from torch import Tensor

from regadvisor.errors import ParameterError, RegadvisorError
from regadvisor.families.fitted.keras_model import (
    built_for,
    compile_like,
    is_squared,
    loss_name,
    n_outputs,
    n_rates,
    only_loss,
    own_optimizer,
    reads_logits,
    with_regularizer,
)
from regadvisor.families.fitted.library import FIRST_ROWS, Fitted, Library, numbers_of
from regadvisor.families.fitted.trained_loss import ClassLoss, TrainedLoss
from regadvisor.families.neural.own_loss import name_of_loss, sees_raw
from regadvisor.foreign import is_of
from regadvisor.global_state import own_randomness
from regadvisor.records import InputFacts
from regadvisor.regularizer import Regularizer
from regadvisor.words import counted, joined

if TYPE_CHECKING:
    from regadvisor.families.fitted.keras_network import KerasNetwork
    from regadvisor.families.fitted.learner import Call
    from regadvisor.families.neural.losses import LossFunction
    from regadvisor.families.neural.recipe import Recipe

#: Losses of numbers by which candidates are compared in the unit of the target (``losses.NAMED``).
_COMPARED = {"mae": "absolute error", "meanabsoluteerror": "absolute error", "poisson": "Poisson deviance"}
#: Last activations that keep outputs in a range, so that the target stays in its unit, or on one side of 0.
_BOUNDED = ("sigmoid", "softmax", "tanh", "softsign", "relu6", "hard_sigmoid", "hard_tanh")
_ONE_SIDED = ("relu", "softplus", "exponential")


def made_by(model: Any, shape: tuple[int, ...], n_outputs: int) -> Any:
    """Return a new model of a factory, or the model itself."""
    if is_of(model, "keras"):
        return model
    from regadvisor.families.neural.module.source import asked_for

    known = {"n_features": math.prod(shape), "n_outputs": n_outputs, "input_shape": shape}
    return model(**{name: known[name] for name in asked_for(model)})


def with_one_input(model: Any, inputs: tuple[InputFacts, ...]) -> Any:
    """Return a Keras model of several inputs as one of flat rows, which hold its arrays side by side.

    Raises ParameterError if its inputs are not the arrays, in order or by name.
    """
    import keras

    names, theirs = [each.name for each in inputs], [each.name for each in getattr(model, "inputs", ())]
    if len(names) != len(theirs) or (names[0] is not None and set(names) != set(theirs)):
        given = counted(len(names), "array") if names[0] is None else joined(map(str, names))
        raise ParameterError(
            f"model must have an input for each array of X ({given}), got {joined(theirs) or 'a class'}; "
            "write it as a functional model, with names as in X: keras.Input(shape, name=...)"
        )
    stops = np.cumsum([math.prod(each.shape) for each in inputs]).tolist()
    rows = keras.Input((stops[-1],))
    parts = [
        keras.layers.Reshape(each.shape)(rows[:, start:stop])
        for each, start, stop in zip(inputs, [0, *stops], stops, strict=False)
    ]
    by_name = dict(zip(names if names[0] else theirs, parts, strict=True))
    is_dict = isinstance(model._inputs_struct, dict)
    new = keras.Model(rows, model(by_name if is_dict else [by_name[name] for name in theirs]))
    if model.compiled:
        compile_like(new, model, decay=own_optimizer(model).weight_decay or 0.0)
    new.history = getattr(model, "history", None)
    return new


@dataclass(frozen=True, eq=False)
class KerasFitted(Fitted):
    """A trained Keras model."""

    def _outputs(self, X: Any) -> NDArray[np.float64]:
        with own_randomness(0):  # batches of torch draw a seed even if nothing is shuffled
            return np.asarray(self.model.predict(numbers_of(X), verbose=0), dtype=np.float64)

    def predict(self, X: Any) -> NDArray[np.float64]:
        """Return numbers in the unit of the target: shares where the model's loss takes logits of them."""
        return self.predict_proba(X) if reads_logits(self.model.loss) else self.judged(X)

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Return probabilities of the classes, or the share of each column."""
        outputs = self._outputs(X)
        is_one = outputs.shape[1] == 1 or not self.classes_
        if reads_logits(self.model.loss):
            outputs = expit(outputs) if is_one else softmax(outputs, axis=1)
        if not self.classes_:
            return outputs
        shares = np.hstack([1 - outputs, outputs]) if is_one else outputs
        total = shares.sum(axis=1, keepdims=True)  # sigmoids of several classes need not add up to 1
        return np.asarray(shares / np.where(total > 0, total, 1.0), dtype=np.float64)


@dataclass(frozen=True, eq=False)
class KerasFit(Library):
    """Trains a Keras model with a regularizer, for :class:`~.function.FitFunction`."""

    fitted = KerasFitted
    recipe: Recipe = field(kw_only=True)

    def __call__(
        self, regularizer: Regularizer, X: Any, y: NDArray[Any], seed: int, sample_weight: Any = None
    ) -> KerasFitted:
        """Return what Keras' own fit trains."""
        rows = numbers_of(X)
        with own_randomness(seed):
            own = self.ready(regularizer, rows.shape[1:], seed)
            target, center, scale = self.target(own, y)
            own.fit(
                rows,
                target,
                batch_size=self.batch,
                epochs=self.epochs,
                sample_weight=sample_weight,
                verbose=0,
            )
        return KerasFitted(own, self.facts.classes, center, scale)

    @property
    def batch(self) -> int:
        """Most rows of a step."""
        return self.recipe.batch_size

    @property
    def epochs(self) -> int:
        """Epochs of one run."""
        return self.recipe.epochs or 1

    def ready(self, regularizer: Regularizer, shape: tuple[int, ...], seed: int) -> Any:
        """Return the model that Keras is to train, compiled and built for rows of this shape."""
        own = self._given(shape)
        if not own.compiled:
            own = self._compiled(own, shape)
        return built_for(with_regularizer(own, regularizer, seed=seed), shape)

    def check(self, X: Any) -> None:
        """Raise ParameterError unless the model takes such rows, and returns what its loss takes."""
        import keras

        rows = numbers_of(X)[:FIRST_ROWS]
        with own_randomness(0):
            try:
                own = self.ready(Regularizer(), rows.shape[1:], 0)
                outputs = keras.ops.convert_to_numpy(own(rows, training=False))
            except RegadvisorError:
                raise
            except Exception as error:  # whatever Keras, or a layer of the caller's, raises
                raise self._not_taken(rows, error) from error
        loss, allowed = loss_name(own) or "its loss", {self.n_classes or self.facts.n_targets}
        if self.n_classes == 2 and "sparse" not in _plain_name(own) and _ends_in(own) != "softmax":
            allowed = {1, 2}
        do = "; one output needs a sigmoid and 'binary_crossentropy'" if self.n_classes == 2 else ""
        self._check_outputs(outputs, allowed, do)
        if self.n_classes and reads_logits(own.loss):
            if _gives_shares(own):
                raise ParameterError(
                    f"model must return logits for its loss {loss}, got the probabilities of a "
                    f"{_ends_in(own)}; leave that out, or compile it without from_logits=True"
                )
        elif self.n_classes or (self.takes_shares(own) and not reads_logits(own.loss)):
            end = "softmax" if self.n_classes and outputs.shape[-1] > 1 else "sigmoid"
            do = f"end it in a {end}, or compile it with a loss of from_logits=True"
            if "hinge" in loss:
                do = "compile it with a cross-entropy: of a hinge there are none"
            self._check_shares(outputs, loss, do)

    # ------------------------------------------------------------------------ many at once (together.py)

    def why_not(self, X: Any) -> str | None:
        """Return why networks cannot be stacked, as far as it is known without trying."""
        from regadvisor.families.fitted.keras_network import why_not

        with own_randomness(0):
            shape = numbers_of(X).shape[1:]
            return why_not(self.ready(Regularizer(), shape, 0), n_rates(self._given(shape)))

    def network(self, call: Call, *, steps: int | None = None) -> KerasNetwork:
        """Return the model as a function of its numbers; with `steps`, so many steps of all rows."""
        from regadvisor.families.fitted.keras_network import KerasNetwork

        return KerasNetwork(self, call, steps=steps)

    def alone(self, call: Call, *, steps: int) -> KerasFitted:
        """Return what Keras' own fit trains, in so many steps of all rows."""
        own = replace(self, recipe=replace(self.recipe, batch_size=len(call.y), epochs=steps))
        return own(call.regularizer, call.X, call.y, call.seed, call.weight)

    # ---------------------------------------------------------------------------------------------- parts

    def _given(self, shape: tuple[int, ...]) -> Any:
        """Return the caller's own model, or a new one of the factory."""
        own = made_by(self.model, shape, self.n_classes or self.facts.n_targets)
        return with_one_input(own, self.facts.inputs) if self.facts.inputs else own

    def _compiled(self, model: Any, shape: tuple[int, ...]) -> Any:
        """Return a model like this one, compiled by the recipe: the caller's own stays as it is."""
        import keras

        new = built_for(with_regularizer(model, Regularizer()), shape)
        kind = keras.optimizers.SGD if self.recipe.optimizer == "sgd" else keras.optimizers.Adam
        more = {"momentum": self.recipe.momentum} if self.recipe.optimizer == "sgd" else {}
        loss: Any = "mse"
        if self.n_classes:
            name = "BinaryCrossentropy" if n_outputs(new) == 1 else "SparseCategoricalCrossentropy"
            loss = getattr(keras.losses, name)(from_logits=not _gives_shares(new))
        new.compile(kind(self.recipe.lr, **more), loss)
        return new

    def scales_target(self, model: Any) -> bool:
        """Return whether a numeric target is standardised: outputs go anywhere, by a loss of differences."""
        return self._has_variance_1(model) and _ends_in(model) not in _ONE_SIDED

    def _has_variance_1(self, model: Any) -> bool:
        """Return whether a target in its own unit would only make the network learn slowly."""
        if _ends_in(model) in _BOUNDED or self.n_classes:
            return False
        is_known = not model.compiled or is_squared(model)
        return is_known or not sees_raw(_criterion(_loss_of(model)), np.full((1, self.facts.n_targets), 0.5))

    def takes_shares(self, model: Any) -> bool:
        """Return whether the target is columns of shares from 0 to 1, labels of 0 and 1 among them."""
        return not self.n_classes and model.compiled and _plain_name(model) == "binarycrossentropy"

    def held_out_loss(self, model: Any, shape: tuple[int, ...]) -> TrainedLoss | str | None:
        """Return the model's own loss, by which candidates are compared; None: the usual one of the task."""
        if not model.compiled or (is_squared(model) and not self.n_classes):
            return None
        known: dict[str, Any] = {"name": name_of_loss(own := _loss_of(model))}
        if self.n_classes:
            try:
                built = model if model.built else built_for(with_regularizer(model, Regularizer()), shape)
            except Exception as error:  # whatever Keras, or a layer of the caller's, raises
                raise self._not_taken(np.zeros((1, *shape)), error) from error
            known |= {"n_outputs": n_outputs(built), "is_of_shares": not reads_logits(model.loss)}
            is_coded, by_column = "sparse" in _plain_name(model), _criterion(own)
            known["criterion"] = lambda z, y: by_column(z, y.argmax(1) if is_coded else y)
            return ClassLoss(**known).unless_log_loss()
        if (name := _plain_name(model)) in _COMPARED:
            return _COMPARED[name]
        return TrainedLoss(**known, criterion=_criterion(own), is_scaled=self._has_variance_1(model))

    def target(self, model: Any, y: NDArray[Any]) -> tuple[Any, Any, Any]:
        """Return the target as the model's loss takes it, and what turns outputs into its unit."""
        if not self.n_classes:
            is_scaled = self._has_variance_1(model)
            return self._standardised(y, is_centred=self.scales_target(model), is_scaled=is_scaled)
        codes: NDArray[Any] = self._codes(y)
        if n_outputs(model) == 1:
            codes = codes.astype(np.float32)[:, None]
        elif "sparse" not in _plain_name(model):
            codes = np.eye(self.n_classes, dtype=np.float32)[codes]
        return codes, None, None


def _loss_of(model: Any) -> Any:
    """Return the function, or the object of Keras, that a model is compiled with as its loss."""
    import keras

    return keras.losses.get(only_loss(model.loss))


def _criterion(own: Any) -> LossFunction:
    """Return a loss of Keras for tensors of torch: one number a row, or their mean if it gives that."""
    import keras

    function, is_torch = getattr(own, "call", own), keras.backend.backend() == "torch"

    def criterion(outputs: Tensor, target: Tensor) -> Tensor:
        given = [each if is_torch else each.detach().numpy() for each in (target, outputs)]
        found = function(*map(keras.ops.convert_to_tensor, given))
        found = found.cpu() if is_torch else torch.as_tensor(keras.ops.convert_to_numpy(found))
        return found.flatten(1).mean(1) if found.ndim > 1 else found

    return criterion


def _plain_name(model: Any) -> str:
    return (loss_name(model) or "").replace("_", "").lower()


def _gives_shares(model: Any) -> bool:
    """Return whether the last layer gives probabilities."""
    return _ends_in(model) in ("softmax", "sigmoid")


def _ends_in(model: Any) -> str:
    """Return the name of the activation that the last layer has, or is."""
    last = model.layers[-1]
    while getattr(last, "layers", None):
        last = last.layers[-1]
    activation = getattr(last, "activation", last)
    return str(getattr(activation, "__name__", type(activation).__name__)).lower()
