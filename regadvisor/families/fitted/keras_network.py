"""A Keras model as a function of its numbers, for :mod:`~regadvisor.families.fitted.stacked`.

With torch under it, every model can be called with numbers of the caller's (``stateless_call``). Its layers,
its loss and its optimizer stay Keras' own. Only dropout is not: its masks have a rate for each network.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from regadvisor.families.fitted.keras_model import (
    KERNELS,
    is_squared,
    optimizer_like,
    own_optimizer,
    with_regularizer,
)
from regadvisor.families.fitted.library import numbers_of
from regadvisor.families.fitted.stacked import Mover, Network, Numbers
from regadvisor.families.neural.module.dropout import DRY_ROWS, Feed
from regadvisor.global_state import own_randomness
from regadvisor.regularizer import Regularizer

if TYPE_CHECKING:
    from regadvisor.families.fitted.keras_fit import KerasFit
    from regadvisor.families.fitted.learner import Call

#: Optimizers of Keras that move each number by itself.
_BY_NUMBER = (*("SGD", "Adam", "AdamW", "RMSprop", "Nadam"), *("Adamax", "Adagrad", "Adadelta", "Lion"))
#: Settings of theirs that look at several numbers, or at several steps.
_TOGETHER = ("clipnorm", "global_clipnorm", "use_ema", "gradient_accumulation_steps", "loss_scale_factor")
_FED = ("Dropout", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D")


class KerasNetwork(Network):
    """A Keras model as a :class:`~regadvisor.families.fitted.stacked.Network`."""

    _library: KerasFit

    def __init__(self, library: KerasFit, call: Call, *, steps: int | None) -> None:
        from keras.src.trainers.compile_utils import get_loss

        super().__init__(library, call, steps=steps)
        rows = numbers_of(call.X)
        self._shape = rows.shape[1:]
        self.model = self._made(Regularizer(), 0)
        self.factor = 2.0 if is_squared(self.model) else 1.0
        self.penalised = self._penalised()
        self.is_convolutional = any("Conv" in type(layer).__name__ for layer in self.model._flatten_layers())
        self._feed = Feed()
        for layer in _dropouts(self.model):
            layer.call = _fed_call(layer, self._feed)
        trained, kept = _numbers(self.model)
        self.device = trained[0].device
        few = self.tensor(rows[np.arange(DRY_ROWS[1]) % len(rows)])
        outputs = self._fed(self._feed, lambda n: self._called(trained, kept, few[:n], is_training=True)[0])
        target = library.target(self.model, call.y)[0]
        self._loss = get_loss(self.model.loss, self.tensor(target), outputs)

    def _made(self, regularizer: Regularizer, seed: int) -> Any:
        """Return the compiled and built model that Keras would train."""
        with own_randomness(seed):
            return self._library.ready(regularizer, self._shape, seed)

    def _penalised(self) -> Sequence[bool]:
        if self.coupling == "decoupled":
            return [variable.name in KERNELS for variable in self.model.trainable_variables]
        other = with_regularizer(self.model, Regularizer(l2=1.0))
        pairs = zip(self.model.trainable_variables, other.trainable_variables, strict=True)
        return [mine.regularizer is None and theirs.regularizer is not None for mine, theirs in pairs]

    def tensor(self, values: NDArray[Any]) -> Tensor:
        """Return an array where the model is; as in Keras, one number a row is a column."""
        tensor = torch.as_tensor(np.ascontiguousarray(values)).to(self.device)
        return tensor[:, None] if tensor.ndim == 1 else tensor

    def _tensors(self, call: Call) -> tuple[Any, ...]:
        target, *unit = self._library.target(self.model, call.y)
        return self.tensor(numbers_of(call.X)), self.tensor(target), *unit

    def _drawn(self, seed: int) -> tuple[Numbers, Numbers]:
        return _numbers(self._made(Regularizer(), seed))

    def loss(
        self, trained: Numbers, kept: Numbers, x: Tensor, y: Tensor, weight: Tensor | None, masks: Numbers
    ) -> tuple[Tensor, Numbers]:
        """Return Keras' loss of a batch, with the penalties of biases and activities that the model has."""
        self._feed.start(masks or None)
        with _order_in_memory_left():
            outputs, after, more = self._called(trained, kept, x, is_training=True, return_losses=True)
        return sum(more, start=self._loss(y, outputs, sample_weight=weight)), after

    def outputs(self, trained: Numbers, kept: Numbers, x: Tensor) -> Tensor:
        """Return what the model predicts."""
        self._feed.start(None)
        with torch.no_grad():
            found: Tensor = self._called(trained, kept, x, is_training=False)[0]
        return found

    def _called(
        self, trained: Numbers, kept: Numbers, x: Tensor, *, is_training: bool, **options: bool
    ) -> tuple[Any, ...]:
        """Return what the model makes of rows; like its own ``fit``, in a mode only if it takes one."""
        mode = {"training": is_training} if self.model._call_has_training_arg else {}
        found: tuple[Any, ...] = self.model.stateless_call(list(trained), list(kept), x, **mode, **options)
        return found

    def mover(self, flat: Tensor) -> Mover:
        """Return a variable of these values, and a new optimizer of Keras that has it alone."""
        import keras

        variable = keras.Variable(flat, dtype="float32", name="kernel")
        own = optimizer_like(own_optimizer(self.model), decay=0.0)
        own.build([variable])
        return Mover(
            variable.value.detach(),
            rate=lambda: float(own.learning_rate),
            step=lambda gradient: own.apply([gradient], [variable]),
        )


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


def _fed_call(layer: Any, feed: Feed) -> Callable[..., Tensor]:
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
