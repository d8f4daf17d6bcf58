"""The caller's own torch module: what a penalty acts on, and copies."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from torch import Tensor, nn
from torch.nn.utils import parametrizations
from torch.nn.utils.parametrize import ParametrizationList
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

from regadvisor.errors import ParameterError

_EXEMPT = (nn.Embedding, nn.EmbeddingBag, nn.LayerNorm, nn.GroupNorm, nn.modules.batchnorm._NormBase)

_SCALING = (parametrizations._WeightNorm, parametrizations._SpectralNorm, parametrizations._Orthogonal)


def penalised_names(
    by_default: Mapping[str, bool],
    *,
    exempt: Sequence[str] = (),
    penalised: Sequence[str] | None = None,
) -> tuple[str, ...]:
    """Return the names of the parameters that a penalty acts on.

    Parameters
    ----------
    by_default : mapping of str to bool
        Every parameter's name, and whether it is penalised if nothing else is said.
    exempt : sequence of str, default ()
        Patterns (``fnmatch``) of names that are not penalised.
    penalised : sequence of str or None, default None
        Patterns of the names that are, whatever the default says. ``None``: the default.

    Raises
    ------
    ParameterError
        If a pattern fits no name: a misspelt exemption would go unseen.

    Examples
    --------
    >>> names = {"0.weight": True, "0.bias": False, "2.weight": True}
    >>> penalised_names(names, exempt=["2.*"])
    ('0.weight',)
    >>> penalised_names(names, penalised=["0.*"])
    ('0.weight', '0.bias')
    """
    for argument, patterns in (("exempt", exempt), ("penalised", penalised or ())):
        for pattern in patterns:
            if not any(fnmatchcase(name, pattern) for name in by_default):
                raise ParameterError(
                    f"{argument} must hold patterns of parameter names, got {pattern!r}, which fits none of "
                    f"{tuple(by_default)}"
                )

    def is_penalised(name: str) -> bool:
        chosen = by_default[name] if penalised is None else any(fnmatchcase(name, p) for p in penalised)
        return chosen and not any(fnmatchcase(name, pattern) for pattern in exempt)

    return tuple(name for name in by_default if is_penalised(name))


def penalised_parameters(
    module: nn.Module, *, exempt: Sequence[str] = (), penalised: Sequence[str] | None = None
) -> Iterator[tuple[str, nn.Parameter]]:
    """Yield the parameters that a penalty acts on: weights of two or more dimensions.

    Biases, the layers that normalise and embeddings are exempt, and so is what ``weight_norm``,
    ``spectral_norm`` and ``orthogonal`` scale by themselves: shrinking it changes no output. Further what the
    patterns say; see :func:`penalised_names`.

    Examples
    --------
    >>> [name for name, _ in penalised_parameters(nn.Sequential(nn.Linear(2, 3), nn.LayerNorm(3)))]
    ['0.weight']
    """
    exempt_parts = (part for part in module.modules() if isinstance(part, _EXEMPT))
    exempt_ids = {id(own) for part in exempt_parts for own in part.parameters(recurse=False)}
    exempt_ids |= {id(own) for own in _scaled_by_themselves(module)}
    parameters = dict(module.named_parameters())
    by_default = {name: own.ndim >= 2 and id(own) not in exempt_ids for name, own in parameters.items()}
    for name in penalised_names(by_default, exempt=exempt, penalised=penalised):
        yield name, parameters[name]


def _scaled_by_themselves(module: nn.Module) -> Iterator[Tensor]:
    """Yield lengths and directions of weights that a parametrization, or a hook of the older kind, scales."""
    for part in module.modules():
        if isinstance(part, ParametrizationList) and any(isinstance(each, _SCALING) for each in part):
            yield from part.parameters(recurse=False)
        for hook in part._forward_pre_hooks.values():
            if isinstance(hook, WeightNorm | SpectralNorm):
                names = (f"{hook.name}_{end}" for end in ("g", "v", "orig"))
                yield from (own for own in (getattr(part, name, None) for name in names) if own is not None)


def copied(module: nn.Module) -> nn.Module:
    """Return a copy of a module, without results of earlier passes that hang on their way back.

    Raises
    ------
    ParameterError
        If it cannot be copied.
    """
    # Torch copies leaves only. Results are made again in the next pass (torch.nn.utils.weight_norm does so).
    kept = [value for part in module.modules() for value in vars(part).values() if isinstance(value, Tensor)]
    memo: dict[int, Any] = {id(value): value.detach().clone() for value in kept if not value.is_leaf}
    try:
        return copy.deepcopy(module, memo)
    except Exception as error:
        raise ParameterError(
            f"module must be one that copy.deepcopy can copy, got {type(module).__name__}: "
            f"{type(error).__name__}: {error}; keep nothing in it that cannot be copied (locks, open files, "
            "generators), and no lists of results of a pass"
        ) from error
