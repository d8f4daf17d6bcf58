"""Whether a caller's module fits the data and the loss; what is wrong is said with the remedy."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from regadvisor.errors import ParameterError
from regadvisor.families.neural.module.source import ModuleSource, name_of, own_luck
from regadvisor.families.neural.parameters import copied
from regadvisor.foreign import check_ours
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


# ------------------------------------------------------------------------------------ inputs and outputs


def called(module: nn.Module, shaped: Tensor, source: ModuleSource) -> object:
    """Return what the module makes of some rows.

    Raises
    ------
    ParameterError
        If it fails on them.
    """
    size = f"{source.n_features} encoded features"
    if len(source.input_shape) == 3:
        size = f"images of shape {source.input_shape} (channels, height, width)"
    try:
        return module(shaped)
    except Exception as error:
        raise ParameterError(
            f"model must take a tensor of shape {tuple(shaped.shape)}, {size}, got "
            f"{type(error).__name__}: {error}; {_remedy(str(error))}"
        ) from error


def _remedy(said: str) -> str:
    """Return what to do about an error of a module's first pass."""
    if "positional argument" in said:
        return (
            "it is called with one tensor: wrap it in a module that splits the columns of x among its inputs"
        )
    if "Long" in said and "indices" in said:
        return "features come as float32: turn the columns that hold codes into x.long() inside forward()"
    return "give a factory that names n_features (or input_shape) and builds its first layer by it"


def rows_of(outputs: object, x: Tensor, source: ModuleSource) -> Tensor:
    """Return the outputs as (n_rows, n_outputs); an error if they have not a row for each of the inputs."""
    if not isinstance(outputs, Tensor):
        raise ParameterError(
            f"model must return a tensor, got {type(outputs).__name__}; wrap it in a module that returns "
            "the tensor of predictions alone"
        )
    if outputs.ndim == 1:
        outputs = outputs.unsqueeze(1)
    if outputs.ndim != 2 or len(outputs) != len(x):
        raise ParameterError(
            f"model must return a tensor of shape (rows, {source.n_outputs}), got {tuple(outputs.shape)} for "
            f"{len(x)} rows"
        )
    return outputs


def check_outputs(
    outputs: Tensor, source: ModuleSource, *, is_classification: bool, has_own_loss: bool = False
) -> None:
    """Raise ParameterError unless the outputs have the shape and type of the task."""
    wanted = {source.n_outputs, 1} if is_classification and source.n_outputs == 2 else {source.n_outputs}
    if outputs.shape[1] not in wanted:
        several = f"{source.n_outputs} {'classes' if is_classification else 'targets'}"
        what = several if source.n_outputs > 1 or is_classification else "one target"
        do = "give a factory that names n_outputs"
        if is_classification and outputs.shape[1] == 1:
            do += ", or pass task='regression' if the target holds quantities"
        if has_own_loss and outputs.shape[1] > source.n_outputs:
            do += (
                ". A loss that needs more outputs than targets, such as a mean and a variance, cannot be "
                "used: ask about the means alone, with their own loss"
            )
        raise ParameterError(
            f"model must return a tensor of shape (rows, {source.n_outputs}) for {what}, got "
            f"{tuple(outputs.shape)} for {len(outputs)} rows; {do}"
        )
    if outputs.dtype != torch.float32:
        raise ParameterError(f"model must return float32, got {outputs.dtype}")
    if not bool(torch.isfinite(outputs).all()):
        raise ParameterError("model must return finite numbers before training, got NaN or infinite ones")


# ------------------------------------------------------------------------------------- squashed outputs


def check_range(
    module: nn.Module, few: Tensor, source: ModuleSource, *, is_classification: bool, has_own_loss: bool
) -> None:
    """Raise ParameterError if the outputs cannot be logits, or numbers around a mean of 0.

    A last sigmoid, softmax, tanh or softplus keeps outputs in a range whatever the weights are. Trained by a
    loss of logits, the network runs all the same, and can never be sure: two classes with one output in
    (0, 1) get probabilities from 0.5 to 0.73. So weights are drawn at random, large ones too, until outputs
    go far both ways.
    """
    outputs = _with_any_weights(module, few, source)
    if outputs is None:
        return
    if is_classification and outputs.shape[1] > 1:
        is_log = torch.allclose(outputs.logsumexp(1), torch.zeros(len(outputs)), atol=1e-3)
        if is_log and has_own_loss:  # a softmax of these gives the probabilities that they stand for
            return
        columns = [outputs.flatten()]
    else:
        is_log, columns = False, list(outputs.T)
    is_alone = not is_classification or outputs.shape[1] < 2
    ranges = [_range(column, is_alone=is_alone) for column in columns]
    got = "logarithms of probabilities" if is_log else next(filter(None, ranges), None)
    if got is None:
        return
    if is_classification:
        own = ", and so must yours (nn.BCEWithLogitsLoss for nn.BCELoss)" if has_own_loss else ""
        raise ParameterError(
            f"model must return logits, got {got}; leave out the last sigmoid, softmax, tanh or softplus: "
            f"the loss takes logits{own}"
        )
    raise ParameterError(
        "model must return numbers of any size and sign, as the target is standardised (mean 0, standard "
        f"deviation 1), got {got}; leave out the last sigmoid, tanh, softplus or ReLU. A loss of your own "
        "may see the target as it is: Recipe(loss=nn.BCEWithLogitsLoss()) for shares, nn.PoissonNLLLoss() "
        "for counts"
    )


def _with_any_weights(module: nn.Module, few: Tensor, source: ModuleSource) -> Tensor | None:
    """Return outputs of the module with other weights, shape (n, n_outputs) on the CPU.

    None if there are none, or as soon as each of them was seen far below and far above 0.
    """
    tried, shaped = copied(module).eval(), source.shaped(few)
    parameters = [value for value in tried.parameters() if value.is_floating_point()]
    spread = [_spread(value) for value in parameters]
    found: list[Tensor] = []
    with own_luck(0, few.device), torch.no_grad():
        for draw in range(SQUASHED_DRAWS):
            for value, sd in zip(parameters, spread, strict=True):
                of_weights, of_biases = _SCALES[draw % len(_SCALES)]
                factor = of_weights if value.ndim >= 2 else of_biases
                value.copy_(torch.randn_like(value) * sd * factor)
            try:
                outputs = tried(shaped)
            except Exception:  # weights that a module does not take, such as a negative variance
                continue
            outputs = outputs.reshape(len(few), -1).float().cpu()
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
