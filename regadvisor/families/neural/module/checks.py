"""Whether a caller's module fits the data and the loss; what is wrong is said with the remedy."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

import numpy as np
import torch
from torch import Tensor, nn

from regadvisor.errors import ParameterError, reason_of
from regadvisor.families.neural.losses import are_logarithms
from regadvisor.families.neural.module.source import ModuleSource, name_of
from regadvisor.families.neural.parameters import copied
from regadvisor.foreign import check_ours
from regadvisor.global_state import own_randomness
from regadvisor.thresholds import SQUASHED_DRAWS, SQUASHED_SHARE, SQUASHED_SPAN

#: Weights and biases are drawn so many times as large as they are, in turn: squashed outputs then sit at
#: their ends, and a bias wins over weights that all push one way.
_SCALES = ((10.0, 10.0), (0.01, 100.0), (100.0, 100.0))


def check_parameters(module: nn.Module) -> None:
    """Raise ParameterError unless there are parameters that can be trained here."""
    if any(isinstance(part, torch.jit.ScriptModule) for part in module.modules()):
        raise ParameterError(
            "model must be a torch.nn.Module in Python, got TorchScript; pass the module it was made from"
        )
    for part in module.modules():
        check_ours(part)
        hidden = [name for name in part._modules | part._parameters if hasattr(nn.Module, name)]
        if hidden:
            raise ParameterError(
                f"model must name its layers otherwise than nn.Module its methods, got {hidden[0]!r} in "
                f"{name_of(part)}; rename it"
            )
    lazy = [name for name, value in module.named_parameters() if nn.parameter.is_lazy(value)]
    if lazy:
        raise ParameterError(
            "model must know the shapes of its parameters after a pass of two rows, got the lazy "
            f"{lazy[0]!r}; run it once on rows of yours to find out why, or give its layers their sizes"
        )
    trained = [(name, value) for name, value in module.named_parameters() if value.requires_grad]
    if not trained:
        raise ParameterError(f"model must have parameters to train, got none in {name_of(module)}")
    for name, value in trained:
        if value.dtype != torch.float32:
            do = "hold real and imaginary parts apart" if value.is_complex() else "call .float() on it"
            raise ParameterError(
                f"model must have parameters of float32, got {value.dtype} in {name!r}; {do}"
            )
    for name, held in (*module.named_parameters(), *module.named_buffers()):
        if held.is_meta:
            raise ParameterError(
                f"model must have numbers in its parameters, got none in {name!r}, which is on the meta "
                "device; make it on the CPU"
            )


#: What a module is called with: in order, and by name.
Arguments = tuple[tuple[Tensor, ...], dict[str, Tensor]]


def called(module: nn.Module, arguments: Arguments, source: ModuleSource) -> object:
    """Return what the module makes of some rows.

    Raises ParameterError if it fails on them; the message names the layer.
    """
    shaped, named = arguments
    try:
        return module(*shaped, **named)
    except Exception as error:
        layer, is_first = failing_layer(module, arguments)
        do = _remedy(str(error), source) if is_first else _BETWEEN
        raise ParameterError(
            f"model must take {_tensors(shaped, named)}: {source.inputs.described()}, got "
            f"{type(error).__name__}: {reason_of(error)}{layer}; {do}"
        ) from error


def _tensors(shaped: Sequence[Tensor], named: Mapping[str, Tensor]) -> str:
    shapes = [str(tuple(each.shape)) for each in shaped]
    shapes += [f"{name} {tuple(each.shape)}" for name, each in named.items()]
    return f"{'a tensor' if len(shapes) == 1 else 'tensors'} of shape {', '.join(shapes)}"


#: What to do where layers took the rows, and one behind them does not take what they gave.
_BETWEEN = (
    "the layers before that one gave it this shape: build it for that, or for rows of this size (a factory "
    "may name n_features and input_shape)"
)


def _remedy(said: str, source: ModuleSource) -> str:
    """Return what to do about an error of a module's first pass."""
    if "were given" in said and source.inputs.cardinalities:
        return (
            "a factory that names cardinalities makes a module with forward(numbers, codes); n_features "
            "counts the numbers"
        )
    if "were given" in said:
        return "forward() must take an argument for each array of X, in their order"
    if re.search(r"argument.*'(labels?|targets?|y|y_true)'$", said):
        return "forward(x) must return the predictions; the loss goes into Recipe(loss=...)"
    if "positional argument" in said:
        return (
            "pass several inputs as a dict or a tuple of arrays, or wrap the model in a module that splits "
            "the columns of x among its inputs"
        )
    if "keyword argument" in said:
        return "name the arrays of X as the arguments of forward(), or pass a tuple"
    if "Long" in said and "indices" in said:
        return (
            "numbers of an embedding have to be whole and not negative: pass them as an array (rows, tokens) "
            "of integers; categories of a frame with a factory that names cardinalities, or layout='codes'"
        )
    if "index out of range" in said:
        return (
            "an embedding has fewer rows than the largest number in X asks for: build it by n_tokens or "
            "cardinalities, which a factory may name"
        )
    if source.inputs.layout == "flat" and source.inputs.given == ():
        return (
            "give a factory that names n_features (or input_shape) and builds its first layer by it; "
            "sequences and images are arrays of three or four axes, or say how rows enter: Recipe(layout=...)"
        )
    return (
        "give a factory that names n_features (or input_shape) and builds its first layer by it, or say how "
        "rows enter: Recipe(layout=...)"
    )


#: What a layer says about the input that it takes: its attribute, and what that counts.
_TAKES = {
    "in_features": "features",
    "in_channels": "channels",
    "input_size": "features a step",
    "embed_dim": "features a step",
    "num_features": "features",
    "normalized_shape": "features",
    "num_embeddings": "different numbers",
}


def failing_layer(module: nn.Module, arguments: Arguments) -> tuple[str, bool]:
    """Return the innermost layer that fails on an input, and what it takes, as a clause; maybe nothing.

    And whether it may be the rows that are wrong: no layer with weights took them.
    """
    tried, open_layers = copied(module), list[tuple[str, nn.Module, tuple[object, ...]]]()
    passed: list[nn.Module] = []
    for name, part in tried.named_modules():

        def enter(part: nn.Module, inputs: tuple[object, ...], name: str = name) -> None:
            open_layers.append((name, part, inputs))

        def leave(part: nn.Module, inputs: object, outputs: object) -> None:
            open_layers.pop()
            if next(part.parameters(), None) is not None:
                passed.append(part)

        part.register_forward_pre_hook(enter)
        part.register_forward_hook(leave)
    with suppress(Exception), torch.no_grad():
        tried(*arguments[0], **arguments[1])
    if not open_layers:
        return "", True
    name, part, inputs = open_layers[-1]
    got = next((tuple(each.shape) for each in inputs if isinstance(each, Tensor)), None)
    takes = next((f"{getattr(part, key)} {what}" for key, what in _TAKES.items() if hasattr(part, key)), None)
    if takes is None or got is None:
        return f" (in {name}, {type(part).__name__})" if name else "", True
    clause = f" (its layer {name or 'itself'}, {type(part).__name__}, takes {takes}, and got shape {got})"
    return clause, not passed


def check_finite(outputs: Tensor, module: nn.Module, x: Tensor, source: ModuleSource) -> None:
    """Raise ParameterError unless all outputs are finite; the message names the first layer that errs."""
    if bool(torch.isfinite(outputs).all()):
        return
    found: list[str] = []
    tried = copied(module)
    for name, part in tried.named_modules():

        def look(part: nn.Module, inputs: object, outputs: object, name: str = name) -> None:
            if isinstance(outputs, Tensor) and not bool(torch.isfinite(outputs).all()):
                found.append(f", first in {name or 'the module itself'} ({type(part).__name__})")

        part.register_forward_hook(look)
    with suppress(Exception), torch.no_grad():
        source.call(tried, x)
    raise ParameterError(
        f"model must return finite numbers before training, got NaN or infinite ones{''.join(found[:1])}; "
        "look at its starting values, and at what it divides by"
    )


def check_outputs(
    outputs: Tensor,
    source: ModuleSource,
    *,
    is_classification: bool,
    has_own_loss: bool = False,
    block_sizes: tuple[int, ...] = (),
) -> None:
    """Raise ParameterError unless the outputs have the shape and type of the task.

    `block_sizes`: the classes of each of several columns.
    """
    wanted = {source.n_outputs, 1} if is_classification and source.n_outputs == 2 else {source.n_outputs}
    if outputs.shape[1] not in wanted:
        several = f"{source.n_outputs} {'classes' if is_classification else 'targets'}"
        what = several if source.n_outputs > 1 or is_classification else "one target"
        do = "give a factory that names n_outputs"
        if is_classification and outputs.shape[1] == 1:
            do += ", or pass task='regression' if the target holds quantities"
        if block_sizes:
            what = f"{source.n_outputs} classes in {len(block_sizes)} columns"
            do += "; heads are put side by side by Recipe(output=lambda heads: torch.cat(heads, 1))"
        elif has_own_loss and outputs.shape[1] > source.n_outputs:
            do += (
                ". A loss that needs more outputs than targets, such as a mean and a variance, cannot be "
                "used: ask about the means alone, with their own loss"
            )
        raise ParameterError(
            f"model must return a tensor of shape (rows, {source.n_outputs}) for {what}, got "
            f"{tuple(outputs.shape)} for {len(outputs)} rows; {do}"
        )
    if outputs.dtype != torch.float32:
        raise ParameterError(f"model must return float32, got {outputs.dtype}; return outputs.float()")


def check_range(
    module: nn.Module,
    few: Tensor,
    source: ModuleSource,
    *,
    is_classification: bool,
    has_own_loss: bool,
    block_sizes: tuple[int, ...] = (),
) -> None:
    """Raise ParameterError if the outputs cannot be logits, or numbers around a mean of 0."""
    is_classification |= bool(block_sizes)
    has_own_loss &= not block_sizes
    ends = [int(end) for end in np.cumsum(block_sizes or (source.n_outputs,))]
    got = None
    for begin, end in zip([0, *ends], ends, strict=False):

        def run(tried: nn.Module, own: slice = slice(begin, end)) -> Tensor:
            return source.call(tried, few)[:, own]

        got = got or squashed(module, run, is_classification=is_classification)
    if got is None:
        return
    if is_classification:
        own = ", and so must yours (nn.BCEWithLogitsLoss for nn.BCELoss)" if has_own_loss else ""
        raise ParameterError(
            f"model must return logits, got {got}; leave out the last sigmoid, softmax, tanh, softplus or "
            f"ReLU: the loss takes logits{own}. For a model that has to stay as it is, "
            "Recipe(output=lambda p: p.logit(1e-6)) undoes a sigmoid, lambda p: p.clamp(1e-6).log() a softmax"
        )
    raise ParameterError(
        "model must return numbers of any size and sign, as the target is standardised (mean 0, standard "
        f"deviation 1), got {got}; leave out the last sigmoid, tanh, softplus or ReLU. A loss of your own "
        "may see the target as it is: Recipe(loss=nn.BCEWithLogitsLoss()) for shares, nn.PoissonNLLLoss() "
        "for counts"
    )


def squashed(module: nn.Module, run: Callable[[nn.Module], Tensor], *, is_classification: bool) -> str | None:
    """Return the range that the outputs of `run` do not leave, as a clause; None if they may.

    A last sigmoid, softmax, tanh or softplus keeps outputs in a range whatever the weights are. Trained by a
    loss of logits, the network runs all the same, and can never be sure: two classes with one output in
    (0, 1) get probabilities from 0.5 to 0.73. So weights are drawn at random, large ones too, until outputs
    go far both ways.
    """
    outputs = _with_any_weights(module, run)
    if outputs is None:
        return None
    if is_classification and outputs.shape[1] > 1:
        if are_logarithms(outputs):  # a softmax of these gives the probabilities that they stand for
            return None
        columns = [outputs.flatten()]
    else:
        columns = list(outputs.T)
    is_alone = not is_classification or outputs.shape[1] < 2
    ranges = [_range(column, is_alone=is_alone) for column in columns]
    return next(filter(None, ranges), None)


def _with_any_weights(module: nn.Module, run: Callable[[nn.Module], Tensor]) -> Tensor | None:
    """Return outputs of the module with other weights, shape (n, n_outputs) on the CPU.

    None if there are none, or as soon as each of them was seen far below and far above 0.
    """
    tried = copied(module).eval()
    parameters = [value for value in tried.parameters() if value.is_floating_point()]
    spread = [_spread(value) for value in parameters]
    found: list[Tensor] = []
    with own_randomness(0, parameters[0].device), torch.no_grad():
        for draw in range(SQUASHED_DRAWS):
            for value, sd in zip(parameters, spread, strict=True):
                of_weights, of_biases = _SCALES[draw % len(_SCALES)]
                factor = of_weights if value.ndim >= 2 else of_biases
                value.copy_(torch.randn_like(value) * sd * factor)
            try:
                outputs = run(tried)
            except Exception:  # noqa: S112 (weights that a module does not take, as a negative variance)
                continue
            outputs = outputs.float().cpu()
            found.append(outputs[~outputs.isnan().any(1)])
            everything = torch.cat(found)
            far = SQUASHED_SPAN / 2
            if bool(((everything < -far).any(0) & (everything > far).any(0)).all()):
                return None
    everything = torch.cat(found) if found else torch.empty(0, 1)
    return everything if len(everything) and bool((everything != everything[0]).any()) else None


def _spread(value: Tensor) -> float:
    """Return the standard deviation of a parameter; one as small as usual at the start if it has none."""
    sd = float(value.detach().std()) if value.numel() > 1 else 0.0
    n_inputs = value.numel() // value.shape[0] if value.numel() and value.ndim else 1
    return sd if sd > 0 and math.isfinite(sd) else 1.0 / math.sqrt(n_inputs)


def _range(values: Tensor, *, is_alone: bool) -> str | None:
    """Return the range that outputs do not leave, as a clause; None if they may.

    One output that stays on one side of 0 cannot say no. Several may, as negative distances do, unless many
    of them sit at their end: then something cuts them off.
    """
    low, high = float(values.min()), float(values.max())
    far = SQUASHED_SPAN / 2
    if high - low <= SQUASHED_SPAN * 1.001:
        return f"outputs that stay between {low:.3g} and {high:.3g} whatever the weights are"
    for end, side, is_one_sided in ((low, "above", low >= -far), (high, "below", high <= far)):
        at_end = float(((values - end).abs() < 1e-3).float().mean())
        if is_one_sided and (is_alone or at_end >= SQUASHED_SHARE):
            return f"outputs that stay {side} {end:.3g} whatever the weights are"
    return None
