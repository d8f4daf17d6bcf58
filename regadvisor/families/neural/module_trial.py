"""Looking at the caller's module before it is trained: does it fit the data, and what can batch it.

A few encoded rows go through it. What is wrong is said at once, with the numbers needed to put it right.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from regadvisor.adapters.torch_module import copied, penalised_parameters
from regadvisor.errors import ParameterError
from regadvisor.families.neural.module_dropout import Feed, Place, fed_layers, places_of, with_fed_dropout
from regadvisor.families.neural.module_layout import make_layout, tensors
from regadvisor.families.neural.module_source import ModuleSource, name_of, own_luck
from regadvisor.families.neural.module_stack import Engine, ModuleArchitecture
from regadvisor.families.neural.recipe import Recipe

#: Rows of the dry passes: two sizes tell which axes hold the rows.
_FEW, _MANY = 5, 7
#: Gradients of both engines agree if they differ by no more than this share of the largest.
_SAME_GRADIENT = 1e-3
_CONVOLUTIONS = (nn.modules.conv._ConvNd,)
_SQUASHING = (nn.Sigmoid, nn.LogSigmoid, nn.Softmax, nn.LogSoftmax)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Dry:
    """What the dry passes saw."""

    outputs: Tensor
    places: tuple[Place, ...]
    varying: set[str]
    has_noise: bool
    first_weights: tuple[str, ...]
    n_activations: int
    n_operations: float


def examine(
    source: ModuleSource,
    rows: Tensor,
    *,
    recipe: Recipe,
    is_classification: bool,
    engine: Engine | None = None,
) -> ModuleArchitecture:
    """Return the caller's module as an architecture, after a dry pass of a few rows.

    Parameters
    ----------
    source : ModuleSource
    rows : Tensor of float32, shape (n_rows, n_features)
        Encoded rows, on the device to train on; a few are used.
    recipe : Recipe
        Its patterns of parameter names say what is penalised.
    is_classification : bool
    engine : {"vmap", "loop"}, optional
        None: chosen by trying.

    Raises
    ------
    ParameterError
        If the module does not fit the data, or cannot be trained.
    """
    few = rows[torch.arange(_MANY, device=rows.device) % len(rows)]
    module, feed = with_fed_dropout(copied(source.draw(0)))
    _check_parameters(module, source)
    module = module.to(rows.device)
    dry = _dry_passes(module, feed, source, few)
    _check_outputs(dry.outputs, module, source, is_classification=is_classification, own_loss=recipe.loss)
    feed.places = dry.places
    chosen = penalised_parameters(module, exempt=recipe.exempt, penalised=recipe.penalised)
    penalised = [name for name, parameter in chosen if parameter.requires_grad]
    architecture = ModuleArchitecture(
        source=source,
        template=module,
        layout=make_layout(module, varying=dry.varying, penalised=penalised, has_noise=dry.has_noise),
        places=dry.places,
        engine="loop",
        engine_reason="as asked",
        has_one_logit=source.n_outputs == 2 and dry.outputs.shape[-1] == 1,
        first_weights=dry.first_weights,
        n_activations=dry.n_activations,
        n_operations=dry.n_operations,
    )
    if engine is not None:
        return replace(architecture, engine=engine)
    best, reason = _choose_engine(architecture, few, has_noise=dry.has_noise)
    return replace(architecture, engine=best, engine_reason=reason)


# ---------------------------------------------------------------------------------------- dry passes


def _dry_passes(module: nn.Module, feed: Feed, source: ModuleSource, few: Tensor) -> _Dry:
    """Run copies of the module; the module itself stays as it is."""
    shapes, states = [], []
    for n_rows in (_FEW, _MANY):
        trained = copy.deepcopy(module)
        own_feed = next((layer.feed for layer in fed_layers(trained)), feed)
        own_feed.start(None)
        _forward(trained.train(), few[:n_rows], source)
        shapes.append(own_feed.seen)
        states.append(dict(tensors(trained)))
    outputs = _forward(copy.deepcopy(module).train(), few, source)
    again = _forward(copy.deepcopy(module).train(), few, source, seed=1)
    evaluated = [_forward(copy.deepcopy(module).eval(), few, source, seed=seed) for seed in (0, 1)]
    if not torch.equal(*evaluated) and bool(torch.isfinite(evaluated[0]).all()):
        raise ParameterError(
            "model must give equal outputs in evaluation mode, got different ones in two passes; use "
            "functional.dropout(x, p, training=self.training)"
        )
    second = dict(tensors(source.draw(1)))
    varying = {
        name
        for name, value in tensors(module)
        if not torch.equal(value.cpu(), second[name].cpu()) or not torch.equal(value, states[-1][name])
    }
    n_activations, n_operations = _sizes(module, few, source)
    return _Dry(
        outputs=outputs,
        places=tuple(places_of(shapes[0], shapes[1], (_FEW, _MANY))),
        varying=varying,
        has_noise=not torch.equal(outputs, again) and bool(torch.isfinite(outputs).all()),
        first_weights=_first_weights(module, few, source),
        n_activations=n_activations,
        n_operations=n_operations,
    )


def _forward(module: nn.Module, x: Tensor, source: ModuleSource, seed: int = 0) -> Tensor:
    """Return the outputs (n_rows, n_outputs) of a pass of flat rows.

    Raises
    ------
    ParameterError
        If the module fails on them, or gives no tensor with a row for each of them.
    """
    shaped = x.reshape(len(x), *source.input_shape)
    size = f"{source.n_features} encoded features"
    if len(source.input_shape) == 3:
        size = f"images of shape {source.input_shape} (channels, height, width)"
    with own_luck(seed, x.device):
        try:
            outputs = module(shaped)
        except Exception as error:
            raise ParameterError(
                f"model must take a tensor of shape {tuple(shaped.shape)}, {size}, got "
                f"{type(error).__name__}: {error}; give a factory that names n_features (or input_shape) and "
                "builds its first layer by it"
            ) from error
    if not isinstance(outputs, Tensor):
        raise ParameterError(f"model must return a tensor, got {type(outputs).__name__}")
    if outputs.ndim == 1:
        outputs = outputs.unsqueeze(1)
    if outputs.ndim != 2 or len(outputs) != len(x):
        raise ParameterError(
            f"model must return a tensor of shape (rows, {source.n_outputs}), got {tuple(outputs.shape)} for "
            f"{len(x)} rows"
        )
    return outputs


def _sizes(module: nn.Module, few: Tensor, source: ModuleSource) -> tuple[int, float]:
    """Return the floats that one row leaves behind, and the operations of training on it.

    Products with weights are counted, as linear, convolutional, recurrent and attention layers make them:
    every weight once for each position of the output. (Torch's own counter takes two seconds to import.)
    """
    n_floats, n_products = [0], [0.0]

    def count(part: nn.Module, inputs: object, outputs: object) -> None:
        first = outputs[0] if isinstance(outputs, tuple) else outputs
        if not isinstance(first, Tensor) or first.ndim == 0:
            return
        n_floats[0] += first.numel()
        if not isinstance(part, nn.Embedding | nn.EmbeddingBag):
            n_units = first.shape[1 if isinstance(part, _CONVOLUTIONS) else -1]
            own = sum(weight.numel() for weight in part.parameters(recurse=False) if weight.ndim >= 2)
            n_products[0] += own * first.numel() / n_units

    tried = copy.deepcopy(module).train()
    for part in tried.modules():
        part.register_forward_hook(count)
    with torch.no_grad():
        _forward(tried, few, source)
    # A multiplication and an addition, in the forward pass and in two products of its size on the way back.
    return -(-n_floats[0] // len(few)), 6.0 * max(1.0, n_products[0] / len(few))


def _first_weights(module: nn.Module, few: Tensor, source: ModuleSource) -> tuple[str, ...]:
    """Return the weights of the linear layers that take the features as they are; empty if none are known.

    Checked: with these weights at 0 the outputs must not depend on the features.
    """
    found: list[str] = []
    tried = copy.deepcopy(module).eval()

    def note(name: str) -> Callable[[nn.Module, tuple[object, ...]], None]:
        def hook(part: nn.Module, inputs: tuple[object, ...]) -> None:
            got = inputs[0]
            if isinstance(got, Tensor) and got.data_ptr() == few.data_ptr() and got.shape == few.shape:
                found.append(f"{name}.weight" if name else "weight")

        return hook

    for name, part in tried.named_modules():
        if isinstance(part, nn.Linear):
            part.register_forward_pre_hook(note(name))
    with torch.no_grad():
        _forward(tried, few, source)
    trained = {name for name, value in module.named_parameters() if value.requires_grad}
    names = tuple(name for name in dict.fromkeys(found) if name in trained)
    return names if names and not _gets_through(tried, names, few, source) else ()


def _gets_through(module: nn.Module, names: tuple[str, ...], few: Tensor, source: ModuleSource) -> bool:
    """Return whether features change the outputs although these weights are 0 (they are set so, in place)."""
    with torch.no_grad():
        for name in names:
            module.get_parameter(name).zero_()
        there = _forward(module, few, source)
        elsewhere = _forward(module, few.flip(0) + 1.0, source)
    return not torch.equal(there, elsewhere)


# --------------------------------------------------------------------------------------------- checks


def _check_parameters(module: nn.Module, source: ModuleSource) -> None:
    lazy = [name for name, value in module.named_parameters() if nn.parameter.is_lazy(value)]
    if lazy:
        raise ParameterError(
            f"model must know the shapes of its parameters, got the lazy {lazy[0]!r}; give a factory that "
            "names n_features and builds its first layer by it"
        )
    trained = [(name, value) for name, value in module.named_parameters() if value.requires_grad]
    if not trained:
        raise ParameterError(f"model must have parameters to train, got none in {name_of(module)}")
    for name, value in trained:
        if value.dtype != torch.float32:
            raise ParameterError(
                f"model must have parameters of float32, got {value.dtype} in {name!r}; call .float() on it"
            )


def _check_outputs(
    outputs: Tensor, module: nn.Module, source: ModuleSource, *, is_classification: bool, own_loss: object
) -> None:
    """Raise ParameterError unless the outputs fit the task."""
    wanted = {source.n_outputs, 1} if is_classification and source.n_outputs == 2 else {source.n_outputs}
    if outputs.shape[1] not in wanted:
        several = f"{source.n_outputs} {'classes' if is_classification else 'targets'}"
        what = several if source.n_outputs > 1 or is_classification else "one target"
        raise ParameterError(
            f"model must return a tensor of shape (rows, {source.n_outputs}) for {what}, got "
            f"{tuple(outputs.shape)} for {len(outputs)} rows; give a factory that names n_outputs"
        )
    if outputs.dtype != torch.float32:
        raise ParameterError(f"model must return float32, got {outputs.dtype}")
    if not bool(torch.isfinite(outputs).all()):
        raise ParameterError("model must return finite numbers before training, got NaN or infinite ones")
    if is_classification and own_loss is None and _is_squashed(outputs.detach(), module):
        raise ParameterError(
            "model must return logits, got probabilities or their logarithms; leave out the last softmax or "
            "sigmoid, the loss includes it"
        )


def _is_squashed(outputs: Tensor, module: nn.Module) -> bool:
    """Return whether outputs are probabilities, or the module's last layer makes them so."""
    layers = [part for part in module.modules() if not list(part.children())]
    if isinstance(layers[-1], _SQUASHING) and isinstance(module, nn.Sequential):
        return True
    if outputs.shape[1] < 2:
        return False
    ones = torch.ones(len(outputs), device=outputs.device)
    sums = outputs.sum(1)
    is_share = bool((outputs >= 0).all()) and torch.allclose(sums, ones, atol=1e-4)
    return is_share or torch.allclose(outputs.logsumexp(1), torch.zeros_like(ones), atol=1e-4)


# --------------------------------------------------------------------------------------------- engine


def _choose_engine(architecture: ModuleArchitecture, few: Tensor, *, has_noise: bool) -> tuple[Engine, str]:
    """Return the engine and why: all networks at once, unless something speaks against it."""
    if has_noise:
        return "loop", (
            "the module draws random numbers of its own in training (functional dropout, or the dropout "
            "inside a recurrent or attention layer); they stay as they are for every candidate"
        )
    template = architecture.template
    if few.device.type == "cpu" and any(isinstance(part, _CONVOLUTIONS) for part in template.modules()):
        return "loop", "convolutions are as fast one network at a time on a CPU"
    try:
        with warnings.catch_warnings():
            # Torch warns where it has no batching rule and runs the networks one by one, slowly.
            # Nothing else may become an error: filters are those of the whole process.
            warnings.filterwarnings("error", message="There is a performance drop")
            together = _gradients(replace(architecture, engine="vmap"), few)
    except Exception as error:
        reason = str(error.__cause__ or error).strip().partition("\n")[0].partition(". ")[0]
        return "loop", f"torch.func.vmap cannot run the module ({reason[:160]})"
    one_by_one = _gradients(replace(architecture, engine="loop"), few)
    largest = float(one_by_one.abs().max()) or 1.0
    if not bool(((together - one_by_one).abs() <= _SAME_GRADIENT * largest).all()):
        return "loop", "its gradients under torch.func.vmap differ from those of one network at a time"
    return "vmap", "its gradients are those of one network at a time"


def _gradients(architecture: ModuleArchitecture, few: Tensor) -> Tensor:
    """Return gradients and carried buffers after one step of two networks, the second with dropout."""
    generator = torch.Generator().manual_seed(0)
    initial = torch.cat([architecture.initial(generator) for _ in range(2)]).to(few.device)
    stack = architecture.stack(initial, batch=len(few), loss="squared")
    x = few.expand(2, *few.shape)
    target = torch.ones(2, len(few), architecture.source.n_outputs, device=few.device)
    keep = [
        2.0 * (torch.rand(1, len(few), *shape, generator=generator) < 0.5).float()
        for shape in stack.dropout_shapes
    ]
    stack.compute_gradient(x, target, dropped=slice(1, 2), keep=[mask.to(few.device) for mask in keep])
    outputs = stack.outputs(slice(0, 2), few)
    return torch.cat([stack.gradient.flatten(), stack.flat.flatten(), outputs.flatten()])
