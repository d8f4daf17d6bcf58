"""A Keras model as a function of its numbers, for :mod:`~regadvisor.families.fitted.stacked`.

With torch under it, every model can be called with numbers of the caller's (``stateless_call``). Its layers,
its loss and its optimizer stay Keras' own. Only dropout is not: its masks have a rate for each network.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from regadvisor.families.fitted.keras_model import KERNELS, is_squared, optimizer_like, with_regularizer
from regadvisor.families.fitted.learner import Call
from regadvisor.families.fitted.stacked import Mover, Numbers, Run
from regadvisor.families.neural.module.dropout import Feed, places_of
from regadvisor.regularizer import Coupling, Regularizer

#: Optimizers of Keras that move each number by itself.
_BY_NUMBER = (*("SGD", "Adam", "AdamW", "RMSprop", "Nadam"), *("Adamax", "Adagrad", "Adadelta", "Lion"))
#: Settings of theirs that look at several numbers, or at several steps.
_TOGETHER = ("clipnorm", "global_clipnorm", "use_ema", "gradient_accumulation_steps", "loss_scale_factor")
_FED = ("Dropout", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D")
#: Rows of the dry passes: two sizes tell which axes hold the rows.
_FEW, _MANY = 5, 7
#: Rows of one pass when it predicts.
_ROWS_AT_ONCE = 4096


class KerasNetwork:
    """A Keras model as a :class:`~regadvisor.families.fitted.stacked.Network`.

    `made`: regularizer, seed → the compiled and built model that Keras would train. `rows`: some rows, as the
    model gets them. `target`: model → the target of some rows, as its loss takes it.
    """

    shuffles = True

    def __init__(
        self,
        made: Callable[[Regularizer, int], Any],
        *,
        coupling: Coupling,
        batch: int,
        epochs: int,
        rows: NDArray[np.float32],
        target: Callable[[Any], NDArray[Any]],
    ) -> None:
        from keras.src.trainers.compile_utils import get_loss

        self.batch, self.epochs, self.coupling = batch, epochs, coupling
        self._made, self._starts = made, dict[int, tuple[Numbers, Numbers]]()
        self.model = made(Regularizer(), 0)
        self.factor = 2.0 if is_squared(self.model) else 1.0
        self.penalised = self._penalised()
        self.is_convolutional = any("Conv" in type(layer).__name__ for layer in self.model._flatten_layers())
        self._feed = Feed()
        for layer in _dropouts(self.model):
            layer.call = _fed(layer, self._feed)
        trained, kept = _numbers(self.model)
        self.device = trained[0].device
        few = self._tensor(rows[np.arange(_MANY) % len(rows)])
        seen = []
        for n in (_FEW, _MANY):
            self._feed.start(None)
            outputs = self.model.stateless_call(trained, kept, few[:n], training=True)[0]
            seen.append(self._feed.seen)
        self.places = tuple(places_of(seen[0], seen[1], (_FEW, _MANY)))
        self._feed.places = self.places
        self._loss = get_loss(self.model.loss, self._tensor(target(self.model)), outputs)

    def _penalised(self) -> Sequence[bool]:
        if self.coupling == "decoupled":
            return [variable.name in KERNELS for variable in self.model.trainable_variables]
        other = with_regularizer(self.model, Regularizer(l2=1.0))
        pairs = zip(self.model.trainable_variables, other.trainable_variables, strict=True)
        return [mine.regularizer is None and theirs.regularizer is not None for mine, theirs in pairs]

    def _tensor(self, values: NDArray[Any]) -> Tensor:
        """Return an array where the model is; as in Keras, one number a row is a column."""
        tensor = torch.as_tensor(np.ascontiguousarray(values)).to(self.device)
        return tensor[:, None] if tensor.ndim == 1 else tensor

    def run(self, call: Call, rows: NDArray[np.float32], target: NDArray[Any]) -> Run:
        """Return what one network is trained on."""
        weight = None if call.weight is None else torch.as_tensor(call.weight, dtype=torch.float32)
        return Run(
            regularizer=call.regularizer,
            x=self._tensor(rows),
            y=self._tensor(target),
            weight=None if weight is None else weight.to(self.device),
            seed=call.seed,
        )

    def model_of(self, trained: Numbers, kept: Numbers) -> KerasModel:
        """Return a model with these numbers."""
        return KerasModel(self, trained, kept)

    def start(self, seed: int) -> tuple[Numbers, Numbers]:
        """Return the numbers of a model made from this seed."""
        if seed not in self._starts:
            self._starts[seed] = _numbers(self._made(Regularizer(), seed))
        return self._starts[seed]

    def loss(
        self, trained: Numbers, kept: Numbers, x: Tensor, y: Tensor, weight: Tensor | None, masks: Numbers
    ) -> tuple[Tensor, Numbers]:
        """Return Keras' loss of a batch, with the penalties of biases and activities that the model has."""
        self._feed.start(masks or None)
        with _order_in_memory_left():
            outputs, after, more = self.model.stateless_call(
                list(trained), list(kept), x, training=True, return_losses=True
            )
        return sum(more, start=self._loss(y, outputs, sample_weight=weight)), after

    def outputs(self, trained: Numbers, kept: Numbers, x: Tensor) -> Tensor:
        """Return what the model predicts."""
        self._feed.start(None)
        with torch.no_grad():
            found: Tensor = self.model.stateless_call(list(trained), list(kept), x, training=False)[0]
        return found

    def mover(self, flat: Tensor) -> tuple[Tensor, Mover]:
        """Return a variable of these values, and a new optimizer of Keras that has it alone."""
        import keras

        variable = keras.Variable(flat, dtype="float32", name="kernel")
        own = optimizer_like(self.model.optimizer, decay=0.0)
        own.build([variable])
        return variable.value.detach(), _KerasMover(own, variable)


class KerasModel:
    """A trained network, with the part of a Keras model that is asked of it."""

    def __init__(self, network: KerasNetwork, trained: Numbers, kept: Numbers) -> None:
        self._network, self._trained, self._kept = network, trained, kept
        self.loss = network.model.loss

    def predict(self, X: NDArray[np.float32], verbose: int = 0) -> NDArray[np.float32]:
        """Return the outputs for rows."""
        parts = torch.split(torch.as_tensor(X).to(self._network.device), _ROWS_AT_ONCE)
        found = [self._network.outputs(self._trained, self._kept, part) for part in parts]
        outputs: NDArray[np.float32] = torch.cat(found).cpu().numpy()
        return outputs


class _KerasMover:
    """An optimizer of Keras with one variable."""

    def __init__(self, optimizer: Any, variable: Any) -> None:
        self._optimizer, self._variable = optimizer, variable

    def rate(self) -> float:
        """Return the learning rate of the next step."""
        return float(self._optimizer.learning_rate)

    def step(self, gradient: Tensor) -> None:
        """Make one step."""
        self._optimizer.apply([gradient], [self._variable])


def why_not(model: Any, n_given: int) -> str | None:
    """Return why a compiled Keras model has to be trained by its own ``fit``; None if nothing is known.

    `n_given` rates of dropout does the caller's own model have; of this one they are 0.
    """
    import keras

    if keras.backend.backend() != "torch":
        return f"Keras runs on {keras.backend.backend()}, and only on torch can networks be stacked"
    own = [
        name
        for name in ("train_step", "compute_loss", "_compute_loss", "fit")
        if getattr(type(model), name) is not getattr(keras.Model, name)
    ]
    if own:
        return f"{type(model).__name__} has a {own[0]} of its own"
    optimizer = model.optimizer
    name = type(optimizer).__name__
    if name not in _BY_NUMBER or not type(optimizer).__module__.startswith("keras."):
        return f"{name} does not move each weight by itself"
    config = optimizer.get_config()
    together = [each for each in _TOGETHER if config.get(each)]
    if together:
        return f"the optimizer has {together[0]}"
    settings = model._compile_config.config
    if isinstance(model.loss, dict | list | tuple) or settings.get("loss_weights") is not None:
        return "it has several losses"
    if any(variable.constraint is not None for variable in model.trainable_variables):
        return "some weights have a constraint"
    if len(_dropouts(model)) != n_given:
        return "units are dropped inside of layers, where networks cannot have rates of their own"
    return None


@contextmanager
def _order_in_memory_left() -> Iterator[None]:
    """Let convolutions of Keras leave the order of pixels in memory as it is: vmap cannot tell it to them.

    Only speed depends on it. Keras has it in a function of its own; versions without that need nothing.
    """
    from keras.src.backend.torch import nn as inner

    name = "_maybe_convert_to_channels_last"
    before = getattr(inner, name, None)
    if before is None:
        yield
        return
    setattr(inner, name, lambda tensor: tensor)
    try:
        yield
    finally:
        setattr(inner, name, before)


def _dropouts(model: Any) -> list[Any]:
    """Return the layers whose dropout can be fed."""
    return [
        layer
        for layer in model._flatten_layers()
        if type(layer).__name__ in _FED
        and type(layer).__module__.startswith("keras.")
        and layer.noise_shape is None
    ]


def _fed(layer: Any, feed: Feed) -> Callable[..., Tensor]:
    """Return what a dropout layer does, with masks from outside."""

    def call(inputs: Tensor, training: bool = False) -> Tensor:
        if not training:
            return inputs
        shape = layer._get_noise_shape(inputs) if hasattr(layer, "_get_noise_shape") else inputs.shape
        mask = feed.take(tuple(shape))
        return inputs if mask is None else inputs * mask

    return call


def _numbers(model: Any) -> tuple[Numbers, Numbers]:
    """Return copies of the values of all variables: trained ones, and others."""
    trained, kept = (
        [variable.value.detach().clone() for variable in variables]
        for variables in (model.trainable_variables, model.non_trainable_variables)
    )
    return trained, kept
