"""A Keras model with the advised regularizer: rebuilt from its configuration, never changed in place.

Keras keeps penalties and dropout rates in the configuration of layers, so a configured model is made again
from a changed configuration and gets the weights of the given one. What the configuration cannot say (a soft
threshold needs the learning rate of each step) is put on the variables of the new model. It trains as it is;
saved and loaded, it predicts without regadvisor.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Iterator
from types import FunctionType
from typing import Any

from regadvisor.errors import ParameterError, import_optional, reason_of
from regadvisor.global_state import own_randomness
from regadvisor.quiet import ignoring
from regadvisor.regularizer import Regularizer

#: Arguments of layers that hold the penalty of weights; biases, norms and embeddings have others.
_PENALTIES = tuple(f"{name}_regularizer" for name in ("kernel", "recurrent", "depthwise", "pointwise"))
#: The variables that these arguments are about, by name.
KERNELS = ("kernel", "recurrent_kernel", "depthwise_kernel", "pointwise_kernel")
_DROPOUT = (
    *("Dropout", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D"),
    *("AlphaDropout", "GaussianDropout"),
)
#: What Keras calls the squared error.
_SQUARED = ("mse", "mean_squared_error", "MSE", "MeanSquaredError")
#: Rates inside recurrent and attention layers: 0 is off there, and stays off.
_RATES_INSIDE = ("dropout", "recurrent_dropout")


def with_regularizer(model: Any, regularizer: Regularizer, *, seed: int | None = None) -> Any:
    """Return a Keras model like `model` with this regularizer; `model` is not changed.

    `model`: sequential or functional, or a class of yours with ``get_config``; compiled or not. The new model
    starts from its weights, with its loss and metrics, and a new optimizer of the same settings.
    `regularizer`: in the loss: ``L1L2(l1, l2 / 2)`` in all arguments ``kernel_regularizer`` and the like,
    doubled where the model is compiled with the squared error, which has no ½. Decoupled: the optimizer's
    ``weight_decay``, without biases, norms and embeddings, and for L1 a soft threshold after each step.
    Penalties of weights and weight decay that `model` has already are replaced; penalties of biases and
    activities stay. Dropout layers, and recurrent and attention layers that drop units, get its rate.
    `seed`: seed of all dropout layers that have none of their own.

    Raises ParameterError if the model cannot be made again, has no place for the dropout, or is not compiled
    or built although strengths are decoupled.
    """
    keras = _keras()
    if not isinstance(model, keras.Model):
        raise ParameterError(
            f"model must be a Keras model, got the layer {type(model).__name__}; put it into one: "
            "keras.Sequential([keras.Input((n_features,)), ...])"
        )
    strengths = {"l1": 0.0, "l2": 0.0, "dropout": 0.0, **regularizer.strengths()}
    is_decoupled = regularizer.coupling == "decoupled"
    own = penalty = None
    if not is_decoupled and (strengths["l1"] or strengths["l2"]):
        found = regularizer.to("keras", loss="mse" if is_squared(model) else None)
        own = keras.regularizers.L1L2(**found["regularizers.L1L2"])
        penalty = keras.saving.serialize_keras_object(own)
    config = _config_of(model)
    changes = _Changes(penalty, strengths["dropout"], seed)
    changed = changes.of(config)
    if strengths["dropout"] and not changes.n_rates + sum(1 for _ in _rates_inside_own(model)):
        raise ParameterError(
            f"model must have a keras.layers.Dropout to apply dropout {strengths['dropout']:g} to, got none; "
            "add them behind the hidden layers"
        )
    _warn_of_others(model)
    new = _made(keras, model, changed, seed)
    _set_inside_own(new, None if penalty is None else own, strengths["dropout"])
    if is_decoupled and (strengths["l1"] or strengths["l2"]) and not model.compiled:
        raise ParameterError(
            "model must be compiled for decoupled strengths, which belong to its optimizer, got one that is "
            "not; call model.compile(optimizer=keras.optimizers.AdamW(...), loss=...)"
        )
    if model.compiled:
        compile_like(new, model, decay=strengths["l2"] if is_decoupled else 0.0)
    if is_decoupled and strengths["l1"]:
        _soften_after_steps(keras, new, strengths["l1"])
    return new


def built_for(model: Any, shape: tuple[int, ...]) -> Any:
    """Return a model whose weights were made for rows of this shape, in place if they were not."""
    if not model.built:  # by a call: a class of the caller's need not have a build()
        model(_keras().ops.zeros((1, *shape)), training=False)
    return model


def penalised_already(model: Any) -> list[str]:
    """Return the layers that have penalties of weights, which a configured model has not."""
    layers = (layer for layer in model._flatten_layers() if _is_keras(layer))
    return [layer.name for layer in layers if any(getattr(layer, name, None) for name in _PENALTIES)]


def own_optimizer(model: Any) -> Any:
    """Return the optimizer of a compiled model; Keras itself wraps one for half precision."""
    return getattr(model.optimizer, "inner_optimizer", model.optimizer)


def n_rates(model: Any) -> int:
    """Return how many rates of dropout a model has to set."""
    changes = _Changes(None, 0.0, None)
    changes.of(_config_of(model))
    return changes.n_rates + sum(1 for _ in _rates_inside_own(model))


def n_outputs(model: Any) -> int:
    """Return how many outputs a built model has."""
    if _is_keras(model):
        return int(model.output_shape[-1])
    keras = _keras()
    shape = next(iter(model.get_build_config().values()))  # a class of the caller's need not know its output
    return int(model(keras.ops.zeros((1, *shape[1:])), training=False).shape[-1])


# What is inside of layers of the caller's own stands in no configuration: it is set on the layers.


def _inside_own(model: Any) -> Iterator[Any]:
    """Yield the layers of Keras inside layers, or a model, of the caller's own."""
    seen = set[int]()
    for owner in model._flatten_layers():
        for layer in () if _is_keras(owner) else owner._flatten_layers(include_self=False):
            if _is_keras(layer) and id(layer) not in seen:
                seen.add(id(layer))
                yield layer


def _rates_inside_own(model: Any) -> Iterator[tuple[Any, str]]:
    """Yield the layers there that drop units, and the attribute that holds the rate; 0 is off, and stays."""
    for layer in _inside_own(model):
        names = ("rate",) if type(layer).__name__ in _DROPOUT else (*_RATES_INSIDE, "_dropout")
        for name in names:
            rate = vars(layer).get(name)
            if isinstance(rate, float | int) and rate > 0:
                yield layer, name


def _set_inside_own(model: Any, penalty: Any, rate: float) -> None:
    """Set the penalty and the rate of layers of Keras inside layers of the caller's own."""
    for layer in _inside_own(model):
        names = [name for name in _PENALTIES if name in vars(layer)]
        for name in names:
            setattr(layer, name, penalty)
        for variable in layer._trainable_variables if names else ():
            if variable.name in KERNELS:
                variable.regularizer = penalty
    for layer, name in list(_rates_inside_own(model)):
        setattr(layer, name, rate)


def _keras() -> Any:
    return import_optional("keras", extra="keras", purpose="Keras models")


def _is_keras(layer: Any) -> bool:
    return type(layer).__module__.startswith("keras.")


class _Changes:
    """The changed configuration of a model, and how many rates of dropout it has."""

    def __init__(self, penalty: dict[str, Any] | None, rate: float, seed: int | None) -> None:
        self._penalty, self._rate, self._seed = penalty, rate, seed
        self.n_rates = 0

    def of(self, node: Any) -> Any:
        """Return a configuration with all layers in it changed; lists and dictionaries are new."""
        if isinstance(node, list | tuple):
            return type(node)(self.of(each) for each in node)
        if not isinstance(node, dict):
            return node
        changed = {key: self.of(value) for key, value in node.items()}
        if "class_name" in changed and isinstance(changed.get("config"), dict):
            self._change(changed["class_name"], changed["config"])
        return changed

    def _change(self, kind: str, config: dict[str, Any]) -> None:
        config.update(dict.fromkeys((name for name in _PENALTIES if name in config), self._penalty))
        inside = [
            name for name in _RATES_INSIDE if isinstance(config.get(name), float | int) and config[name]
        ]
        rates = ["rate"] if kind in _DROPOUT else inside
        config.update(dict.fromkeys(rates, self._rate))
        self.n_rates += len(rates)
        if rates and self._seed is not None and config.get("seed") is None:
            config["seed"] = (self._seed + self.n_rates) % 2**31


def _config_of(model: Any) -> dict[str, Any]:
    """Return a model's configuration.

    Raises ParameterError if it has none: a class of the caller's own whose layers only its code knows.
    """
    why = (
        "a subclass whose layers only its code knows cannot be made again with others: give it get_config(), "
        "or write its layers as a functional or Sequential model"
    )
    try:
        with ignoring(UserWarning):  # of lambdas, for who saves it
            config = model.get_config()
    except NotImplementedError as error:
        raise ParameterError(f"model must have get_config(), got {type(model).__name__}; {why}") from error
    given = [
        each for each in inspect.signature(type(model)).parameters.values() if each.kind != each.VAR_KEYWORD
    ]
    # Without a get_config() of its own, Keras makes a class again with the defaults of its arguments.
    is_lost = bool(given) and type(model).get_config is _keras().Model.get_config and not _is_keras(model)
    if not isinstance(config, dict) or (is_lost and "layers" not in config):
        raise ParameterError(f"model must have get_config(), got {type(model).__name__}; {why}")
    config_of_all: dict[str, Any] = config
    return config_of_all


def _made(keras: Any, model: Any, config: dict[str, Any], seed: int | None) -> Any:
    """Return a new model of this configuration, with the weights of `model`."""
    kinds = {type(layer) for layer in model._flatten_layers() if not _is_keras(layer)}
    own: dict[str, Any] = {kind.__name__: _lenient(kind) for kind in kinds}
    config = _with_functions(config, model, own)
    try:
        # Keras warns of layers without a build(), which a call builds.
        with own_randomness(seed or 0), keras.saving.custom_object_scope(own), ignoring(UserWarning):
            new = own.get(type(model).__name__, type(model)).from_config(config)
            if model.built and not new.built:
                new.build_from_config(model.get_build_config())
        for mine, given in zip(new._flatten_layers(), model._flatten_layers(), strict=True):
            mine.trainable = given.trainable
        if model.built:
            for mine, given in zip(new.weights, model.weights, strict=True):
                mine.assign(keras.ops.copy(given))  # JAX frees what it has trained on
    except Exception as error:
        raise ParameterError(
            f"model must be one that Keras can make again from its get_config(), got an error from "
            f"{type(model).__name__}: {type(error).__name__}: {reason_of(error)}; give your classes "
            "get_config(), or write their layers as a functional or Sequential model"
        ) from error
    return new


def _lenient(kind: type) -> type:
    """Return a class of the caller's that is made again without what its ``__init__`` does not take.

    Keras says the name of a layer in every configuration, and many classes have no ``**kwargs`` for it.
    """
    known = inspect.signature(kind).parameters
    if any(each.kind is each.VAR_KEYWORD for each in known.values()):
        return kind

    def from_config(_: type, config: dict[str, Any]) -> Any:
        return kind(**{name: value for name, value in config.items() if name in known})

    return type(kind.__name__, (kind,), {"from_config": classmethod(from_config)})


def _with_functions(config: dict[str, Any], model: Any, own: dict[str, Any]) -> dict[str, Any]:
    """Return the configuration with the caller's functions by names, which are added to `own`.

    Keras makes no lambda again that it does not know to be safe, and no function that is not registered.
    """
    layers: dict[Any, Any] = {layer.name: layer for layer in model._flatten_layers()}

    def named(node: Any) -> Any:
        if isinstance(node, list | tuple):
            return type(node)(named(each) for each in node)
        if not isinstance(node, dict):
            return node
        changed = {key: named(value) for key, value in node.items()}
        inner = changed.get("config")
        layer = layers.get(inner.get("name")) if isinstance(inner, dict) else None
        if not isinstance(inner, dict) or layer is None:
            return changed
        for key, value in inner.items():
            function = vars(layer).get(key)
            is_own = isinstance(function, FunctionType) and not function.__module__.startswith("keras.")
            if is_own and isinstance(value, dict):
                name = f"{layer.name}.{key}"
                own[name] = function
                what = {"module": "builtins", "class_name": "function"}
                inner[key] = {**what, "config": name, "registered_name": name}
        return changed

    found: dict[str, Any] = named(config)
    return found


def unreached(model: Any) -> list[str]:
    """Return the layers of the caller's own whose weights no argument can penalise."""
    names = []
    for layer in model._flatten_layers():
        own = [weight for weight in layer._trainable_variables if len(weight.shape) >= 2]
        if own and not _is_keras(layer) and not any(name in layer.get_config() for name in _PENALTIES):
            names.append(f"{layer.name} ({type(layer).__name__})")
    return names


def _warn_of_others(model: Any) -> None:
    """Warn of weights that no penalty acts on."""
    names = unreached(model)
    if names:
        warnings.warn(
            f"apply() cannot set a penalty on the weights of {', '.join(names)}: the layer has no "
            "kernel_regularizer. Give it one, and return it in get_config().",
            UserWarning,
            stacklevel=4,
        )


def only_loss(loss: Any) -> Any:
    """Return the loss in what a model is compiled with: Keras takes a list or dictionary with one as well."""
    each = list(loss.values()) if isinstance(loss, dict) else loss
    return each[0] if isinstance(each, list | tuple) and len(each) == 1 else loss


def loss_name(model: Any) -> str | None:
    """Return the name of the loss that a model is compiled with, None without one."""
    loss = only_loss(getattr(model, "loss", None)) if model.compiled else None
    if loss is None or isinstance(loss, str):
        return loss
    function = getattr(loss, "func", loss)  # of functools.partial
    return getattr(loss, "name", None) or getattr(function, "__name__", type(function).__name__)


def reads_logits(loss: Any) -> bool:
    """Return whether a loss says that the model's outputs are logits."""
    loss = only_loss(loss)
    options = getattr(loss, "_fn_kwargs", None) or getattr(loss, "keywords", {})
    return bool(getattr(loss, "from_logits", options.get("from_logits")))


def is_squared(model: Any) -> bool:
    """Return whether a model is compiled with the squared error, which has no ½."""
    return loss_name(model) in _SQUARED


def compile_like(new: Any, model: Any, *, decay: float) -> None:
    """Compile `new` as `model` is, with a new optimizer of this weight decay."""
    keras = _keras()
    settings = {key: _renewed(keras, value) for key, value in model._compile_config.config.items()}
    settings["optimizer"] = optimizer_like(own_optimizer(model), decay=decay)
    if decay:
        settings["optimizer"].exclude_from_weight_decay(var_names=[rf"^(?!({'|'.join(KERNELS)})$)"])
    new.compile(**settings)


def optimizer_like(optimizer: Any, *, decay: float) -> Any:
    """Return a new optimizer with these settings and another weight decay."""
    # A decay of 0 says the same as none, and AdamW refuses to have none.
    config = {**optimizer.get_config(), "weight_decay": decay}
    if callable(optimizer._learning_rate):  # a schedule keeps no state, and not each can be made again
        config["learning_rate"] = optimizer._learning_rate
    return type(optimizer).from_config(config)


def _renewed(keras: Any, value: Any) -> Any:
    """Return metrics anew (they hold sums); other settings as they are."""
    if isinstance(value, list | tuple):
        return [_renewed(keras, each) for each in value]
    if isinstance(value, dict):
        return {key: _renewed(keras, each) for key, each in value.items()}
    return type(value).from_config(value.get_config()) if isinstance(value, keras.Metric) else value


def _soften_after_steps(keras: Any, model: Any, l1: float) -> None:
    """Let every penalised weight go through ``soft(w, lr·l1)`` after each step of the model's optimizer."""
    if not model.built:
        raise ParameterError(
            "model must be built for a decoupled L1, which acts on its weights, got one that is not; give it "
            "a keras.Input, or call model.build(shape)"
        )
    for weight in model.trainable_variables:
        if weight.name in KERNELS:
            weight.constraint = _softened(keras, model.optimizer, l1, weight.constraint)


def _softened(keras: Any, optimizer: Any, l1: float, before: Any) -> Any:
    """Return the constraint that is the soft threshold, behind the one that a weight has already."""

    class SoftThreshold(keras.constraints.Constraint):
        def __call__(self, weight: Any) -> Any:
            weight = weight if before is None else before(weight)
            threshold = keras.ops.cast(optimizer.learning_rate, weight.dtype) * l1
            return keras.ops.sign(weight) * keras.ops.relu(keras.ops.abs(weight) - threshold)

    return SoftThreshold()
