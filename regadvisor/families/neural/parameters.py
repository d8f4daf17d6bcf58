"""The caller's own torch module: what a penalty acts on, copies, and what stays in evaluation mode.

Who fine-tunes often holds part of a network still: ``net.train(); net.backbone.eval()``. Its dropout is off,
and the running statistics of its batch norms do not move. ``module.train()`` would undo that.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, TypeVar

from torch import Tensor, nn
from torch.nn.parameter import UninitializedBuffer, is_lazy
from torch.nn.utils import parametrizations
from torch.nn.utils.parametrize import ParametrizationList
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

from regadvisor.errors import ParameterError
from regadvisor.foreign import check_ours

_EMBEDDINGS = (nn.Embedding, nn.EmbeddingBag)
#: Layers that normalise, torch's and RMSNorm where torch has it.
NORMS = (nn.LayerNorm, nn.GroupNorm, nn.RMSNorm, nn.modules.batchnorm._NormBase)

_SCALING = (parametrizations._WeightNorm, parametrizations._SpectralNorm, parametrizations._Orthogonal)
_PLAIN = {"_WeightNorm": "weight_norm", "_SpectralNorm": "spectral_norm", "_Orthogonal": "orthogonal"}


def check_module(module: Any) -> None:
    """Raise ParameterError unless it is a module of torch, and so are its parts."""
    if not isinstance(module, nn.Module):
        got = f"the class {module.__name__}" if isinstance(module, type) else type(module).__name__
        raise ParameterError(f"module must be a torch.nn.Module, got {got}; pass the one that is trained")
    for part in module.modules():
        check_ours(part)


def penalised_names(
    by_default: Mapping[str, bool], *, exempt: Sequence[str] = (), penalised: Sequence[str] | None = None
) -> tuple[str, ...]:
    """Return the names of the parameters that a penalty acts on.

    `by_default`: every parameter's name, and whether it is penalised if nothing else is said. `exempt`:
    patterns (``fnmatch``) of names that are not penalised. `penalised`: patterns of the names that are,
    whatever the default says. ``None``: the default.

    Raises ParameterError if a pattern fits no name: a misspelt exemption would go unseen.

    >>> names = {"0.weight": True, "0.bias": False, "2.weight": True}
    >>> penalised_names(names, exempt=["2.*"])
    ('0.weight',)
    >>> penalised_names(names, penalised=["0.*"])
    ('0.weight', '0.bias')
    """
    names = list(by_default)
    left_out = chosen_names(names, exempt, "exempt")
    if penalised is None:
        chosen = [name for name in names if by_default[name]]
    else:
        chosen = chosen_names(names, penalised, "penalised")
    return tuple(name for name in chosen if name not in left_out)


def chosen_names(names: Sequence[str], patterns: Sequence[str], argument: str) -> list[str]:
    """Return the names that fit any of the patterns; an error if one of these fits none.

    >>> chosen_names(["a.weight", "a.bias", "b.weight"], ["a.*"], "towards_start")
    ['a.weight', 'a.bias']
    """
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise ParameterError(
                f"{argument} must hold patterns of parameter names, got {pattern!r}, which fits none of "
                f"{tuple(names)}"
            )
    return [name for name in names if any(fnmatchcase(name, pattern) for pattern in patterns)]


def lr_scales(names: Sequence[str], lr_scale: Sequence[tuple[str, float]]) -> dict[str, float]:
    """Return the factor of the learning rate of every parameter whose name fits a pattern; the last counts.

    >>> lr_scales(["a.weight", "b.weight"], [("a.*", 0.1)])
    {'a.weight': 0.1}
    """
    scales: dict[str, float] = {}
    for pattern, scale in lr_scale:
        scales |= dict.fromkeys(chosen_names(names, [pattern], "lr_scale"), float(scale))
    return scales


def penalised_parameters(
    module: nn.Module, *, exempt: Sequence[str] = (), penalised: Sequence[str] | None = None
) -> Iterator[tuple[str, nn.Parameter]]:
    """Yield the parameters that a penalty acts on: weights of two or more dimensions.

    Biases, the layers that normalise and embeddings are exempt, and so is what ``weight_norm``,
    ``spectral_norm`` and ``orthogonal`` scale by themselves: shrinking it changes no output. Further what the
    patterns say; see :func:`penalised_names`.

    >>> [name for name, _ in penalised_parameters(nn.Sequential(nn.Linear(2, 3), nn.LayerNorm(3)))]
    ['0.weight']
    """
    parameters, reasons = dict(module.named_parameters()), exempt_reasons(module)
    by_default = {name: name not in reasons for name in parameters}
    for name in penalised_names(by_default, exempt=exempt, penalised=penalised):
        yield name, parameters[name]


def exempt_reasons(module: nn.Module) -> dict[str, str]:
    """Return the names of parameters that no penalty acts on unless a recipe says so, and why.

    >>> exempt_reasons(nn.Sequential(nn.Linear(2, 3), nn.LayerNorm(3)))
    {'0.bias': 'bias', '1.weight': 'norm layer', '1.bias': 'norm layer'}
    """
    reasons = {id(own): "embedding" for own in _inside(module, _EMBEDDINGS)}
    reasons |= {id(own): "norm layer" for own in _inside(module, NORMS)}
    scaled = [own for _, _, parameters in scaled_weights(module) for own in parameters]
    reasons |= {id(own): "scaled by weight_norm or the like" for own in scaled}
    for name, own in module.named_parameters():
        is_bias = "bias" in name.rpartition(".")[2]
        # What is lazy has no dimensions yet: layers that are have weights of two or more, and biases.
        if is_bias or (own.ndim < 2 and not is_lazy(own)):
            reasons.setdefault(id(own), "bias" if is_bias else "fewer than two dimensions")
    return {name: reasons[id(own)] for name, own in module.named_parameters() if id(own) in reasons}


def _inside(module: nn.Module, kinds: tuple[type[nn.Module], ...]) -> Iterator[nn.Parameter]:
    """Yield the parameters of layers of these kinds."""
    for part in module.modules():
        if isinstance(part, kinds):
            yield from part.parameters(recurse=False)


def scaled_weights(module: nn.Module) -> Iterator[tuple[str, str, list[Tensor]]]:
    """Yield the name of each layer that scales weights by itself, how, and the parameters behind them.

    By a parametrization, or a hook of the older kind.
    """
    for name, part in module.named_modules():
        if isinstance(part, ParametrizationList):
            how = next((type(each).__name__ for each in part if isinstance(each, _SCALING)), None)
            if how is not None:
                layer = name.partition(".parametrizations")[0]
                yield layer, _PLAIN[how], list(part.parameters(recurse=False))
        for hook in part._forward_pre_hooks.values():
            if isinstance(hook, WeightNorm | SpectralNorm):
                names = (f"{hook.name}_{end}" for end in ("g", "v", "orig"))
                how = "weight_norm" if isinstance(hook, WeightNorm) else "spectral_norm"
                yield (
                    name,
                    how,
                    [own for own in (getattr(part, each, None) for each in names) if own is not None],
                )


def copied(module: nn.Module) -> nn.Module:
    """Return a copy of a module, without results of earlier passes that hang on their way back.

    Modules that ``torch.compile`` wraps are copied as they were written: compiling takes longer than most
    of the fits here, once for every shape of a batch.

    Raises ParameterError if it cannot be copied.
    """
    # Torch copies leaves only. Results are made again in the next pass (torch.nn.utils.weight_norm does so).
    kept = [value for part in module.modules() for value in vars(part).values() if isinstance(value, Tensor)]
    memo: dict[int, Any] = {id(value): value.detach().clone() for value in kept if not value.is_leaf}
    # Nor does it copy buffers that are lazy (torch.nn.LazyBatchNorm1d).
    lazy = (value for value in module.buffers() if isinstance(value, UninitializedBuffer))
    fresh: Any = UninitializedBuffer
    memo |= {id(value): fresh(device=value.device, dtype=value.dtype) for value in lazy}
    try:
        return uncompiled(copy.deepcopy(as_written(module), memo))
    except Exception as error:
        raise ParameterError(
            f"module must be one that copy.deepcopy can copy, got {type(module).__name__}: "
            f"{type(error).__name__}: {error}; keep nothing in it that cannot be copied (locks, open files, "
            "generators), and no lists of results of a pass"
        ) from error


def uncompiled(module: nn.Module) -> nn.Module:
    """Return a module of our own, with what it holds as written, in place."""
    own = as_written(module)
    for parent in [*own.modules()]:
        for name, part in [*parent.named_children()]:
            setattr(parent, name, as_written(part))
    return own


def as_written(module: nn.Module) -> nn.Module:
    """Return the module that ``torch.compile`` or ``DataParallel`` wraps, or the module itself.

    >>> as_written(nn.Linear(2, 1))
    Linear(in_features=2, out_features=1, bias=True)
    """
    if isinstance(module, nn.DataParallel):
        return as_written(module.module)
    return getattr(module, "_orig_mod", module)


_MARK = "_regadvisor_stays_in_eval"
Module = TypeVar("Module", bound=nn.Module)


def keep_in_eval(module: Module) -> Module:
    """Mark the parts that stay in evaluation mode, in place (so of a copy), and return the module.

    Those that are in it while the module itself is not. Of a module that is in evaluation mode as a whole
    (usual after loading), only layers that normalise and whose parameters are all frozen.

    >>> net = nn.Sequential(nn.BatchNorm1d(3), nn.Linear(3, 1))
    >>> _ = net[0].eval()
    >>> [part.training for part in set_mode(keep_in_eval(net), is_training=True)]
    [False, True]
    """
    for part in module.modules():
        own = list(part.parameters(recurse=False))
        is_norm = isinstance(part, nn.modules.batchnorm._NormBase)
        is_frozen_norm = is_norm and bool(own) and not any(value.requires_grad for value in own)
        if not part.training and (module.training or is_frozen_norm):
            keep(part)
    return module


def keep(part: nn.Module) -> None:
    """Mark one part."""
    setattr(part, _MARK, True)


def stays_in_eval(part: nn.Module) -> bool:
    """Return whether a part is marked."""
    return getattr(part, _MARK, False) is True


def set_mode(module: Module, *, is_training: bool) -> Module:
    """Put a module into training or evaluation mode, except for the marked parts; return it."""
    module.train(is_training)
    for part in module.modules():
        if stays_in_eval(part):
            part.training = False
    return module
