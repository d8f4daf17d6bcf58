"""What penalties and dropout act on in a module, and why not on the rest."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from regadvisor.errors import ParameterError, reason_of
from regadvisor.families.neural.dropout import takes_masks, unset_dropout, with_rates_inside
from regadvisor.families.neural.module.dropout import feed_of
from regadvisor.families.neural.module.outputs import Output, prediction_in
from regadvisor.families.neural.module.source import name_of
from regadvisor.families.neural.parameters import (
    NORMS,
    check_module,
    copied,
    exempt_reasons,
    keep_in_eval,
    penalised_parameters,
    scaled_weights,
    set_mode,
)
from regadvisor.global_state import own_randomness
from regadvisor.records import Audit, AuditedDropout, AuditedParameter

#: Outputs that differ by no more than this share of the largest are the same: norms add a small number.
_SAME = 1e-2
#: Weights of larger modules are not run one by one.
_MOST_WEIGHTS = 60
_MEASURED = "scale-invariant: its size changes no output, so L2 changes only the size of its steps"
_GUESSED = "likely scale-invariant: a norm layer is registered after it"


def audit(
    module: Any,
    *inputs: Any,
    exempt: Sequence[str] = (),
    penalised: Sequence[str] | None = None,
    output: Output = None,
) -> Audit:
    """Return what L1, L2 and dropout act on in a module, and why not on the rest.

    Parameters
    ----------
    module : torch.nn.Module
        Not changed.
    *inputs : Tensor or array
        A few rows, as the module takes them. With them, weights whose size changes no output are found by
        doubling them; without them, those in front of a norm layer are guessed.
    exempt, penalised : sequence of str
        Patterns of names, as in :class:`~regadvisor.Recipe`.
    output : int, str, callable or None
        Which of the things that the module returns is the prediction, as in :class:`~regadvisor.Recipe`.

    Returns
    -------
    Audit
        ``print`` shows it as a table.

    Raises
    ------
    ParameterError
        If it is no module of torch, does not run on the inputs, or a pattern fits no parameter.

    Examples
    --------
    >>> net = nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Dropout(0.3), nn.Linear(4, 1))
    >>> print(audit(net, torch.randn(8, 2)))  # doctest: +NORMALIZE_WHITESPACE
    parameter  shape  penalty  why
    0.weight   4×2    yes      scale-invariant: its size changes no output, so L2 changes only the size of
    its steps
    0.bias     4      no       bias
    1.weight   4      no       norm layer
    1.bias     4      no       norm layer
    4.weight   1×4    yes
    4.bias     1      no       bias
    <BLANKLINE>
    dropout  own rate  set by the advice
    3        0.3       yes
    """
    check_module(module)
    tensors = [torch.as_tensor(each, dtype=_dtype(each)) for each in inputs]
    if tensors:
        _check_runs(module, tensors)
    found = by_structure(module, exempt=exempt, penalised=penalised)
    return with_invariant(found, module, (tuple(tensors), {}), output=output)


def by_structure(
    module: nn.Module, *, exempt: Sequence[str] = (), penalised: Sequence[str] | None = None
) -> Audit:
    """Return the audit without scale-invariance; see :func:`audit`."""
    module = copied(module)  # reading a weight under spectral_norm changes it
    chosen = {name for name, _ in penalised_parameters(module, exempt=exempt, penalised=penalised)}
    return Audit(
        module=name_of(module),
        parameters=tuple(_parameters(module, chosen)),
        dropout=tuple(_dropout(module)),
        kept=tuple(_kept(module)),
    )


def _dtype(rows: Any) -> torch.dtype | None:
    """Return float32 for float64 that are no tensor, as NumPy has them; None: as they are."""
    return torch.float32 if getattr(rows, "dtype", None) == "float64" else None


def _check_runs(module: nn.Module, tensors: Sequence[Tensor]) -> None:
    """Raise ParameterError if a module does not run on these tensors."""
    try:
        with own_randomness(0), torch.no_grad():
            copied(module).eval()(*tensors)
    except Exception as error:
        shapes = ", ".join(str(tuple(each.shape)) for each in tensors)
        raise ParameterError(
            f"inputs must be rows that the module takes, got {type(error).__name__} from "
            f"{name_of(module)} called with {shapes}: {reason_of(error)}"
        ) from error


def _parameters(module: nn.Module, chosen: set[str]) -> Iterator[AuditedParameter]:
    """Yield every parameter, shared ones once."""
    reasons, names = exempt_reasons(module), dict[int, list[str]]()
    for name, value in module.named_parameters(remove_duplicate=False):
        names.setdefault(id(value), []).append(name)
    for name, value in module.named_parameters():
        is_penalised = name in chosen and value.requires_grad
        whys = [] if is_penalised else [reasons.get(name, "exempt in the recipe")]
        if not value.requires_grad:
            whys = ["frozen"]
        elif is_penalised and name in reasons:
            whys = [f"{reasons[name]}, but named in the recipe"]
        tied = [other for other in names[id(value)] if other != name]
        whys += [f"tied with {', '.join(tied)}"] if tied else []
        yield AuditedParameter(
            name=name, shape=tuple(value.shape), is_penalised=is_penalised, why="; ".join(whys)
        )


def _dropout(module: nn.Module) -> Iterator[AuditedDropout]:
    inside = list(with_rates_inside(module))
    for name, part in module.named_modules():
        keys = ["p"] if takes_masks(part) else [key for own, key in inside if own is part]
        for key in keys:
            where = name or type(part).__name__
            where += f".{key}" if not type(part).__module__.startswith("torch.") and key != "p" else ""
            yield AuditedDropout(name=where, rate=float(getattr(part, key)), is_set=True)
    for name, own_rate in unset_dropout(module):
        yield AuditedDropout(name=name, rate=own_rate, is_set=False)


def _kept(module: nn.Module) -> Iterator[str]:
    for name, how, _ in scaled_weights(module):
        yield f"{how} of {name or 'the module'}"
    for name, part in module.named_modules():
        if isinstance(part, nn.Embedding | nn.EmbeddingBag) and part.max_norm is not None:
            yield f"max_norm={part.max_norm:g} of {name}"


def with_invariant(
    found: Audit,
    module: nn.Module,
    arguments: tuple[tuple[Tensor, ...], dict[str, Tensor]],
    *,
    output: Output = None,
) -> Audit:
    """Return the audit with the penalised weights named whose size changes no output.

    Measured on the rows, if there are any and the module runs on them; else guessed from the order in which
    layers are registered.
    """
    names = found.penalised
    is_run, invariant = False, set(_before_norms(copied(module), names))
    if any(arguments) and len(names) <= _MOST_WEIGHTS:
        with suppress(Exception):  # what is wrong with the rows is said elsewhere
            invariant = set(_measured(module, names, arguments, output))
            is_run = True
    text = _MEASURED if is_run else _GUESSED
    parameters = tuple(
        replace(each, why="; ".join(filter(None, (text, each.why)))) if each.name in invariant else each
        for each in found.parameters
    )
    return replace(found, parameters=parameters)


def _measured(
    module: nn.Module,
    names: Sequence[str],
    arguments: tuple[tuple[Tensor, ...], dict[str, Tensor]],
    output: Output,
) -> Iterator[str]:
    """Yield weights that may be doubled with their bias, and not turned, without another output."""
    tried = set_mode(keep_in_eval(copied(module)), is_training=True)
    state, parameters = tried.state_dict(), dict(tried.named_parameters())
    kept = {name: value.clone() for name, value in state.items()}

    def outputs() -> Tensor:
        for name, value in state.items():  # running statistics move in every pass
            if name not in parameters:
                value.copy_(kept[name])
        feed_of(tried).start(None)
        with own_randomness(0, arguments[0][0].device if arguments[0] else None):
            found: Tensor = prediction_in(tried(*arguments[0], **arguments[1]), output)
        return found.clone()

    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        before = outputs()
        limit = _SAME * float((before - before.mean(0)).abs().max())
        for name in names:
            weight = parameters[name]
            bias = parameters.get(f"{name.rpartition('.')[0]}.bias")
            own = [weight] if bias is None or not name.endswith("weight") else [weight, bias]
            values = [each.clone() for each in own]
            for each in own:
                each.mul_(2.0)
            doubled = float((outputs() - before).abs().max())
            turned = torch.randn(weight.shape, generator=generator).to(weight.device)
            weight.copy_(values[0] + float(values[0].std()) * turned)
            moved = float((outputs() - before).abs().max())
            for each, value in zip(own, values, strict=True):
                each.copy_(value)
            if doubled <= limit < moved:
                yield name


def _before_norms(module: nn.Module, names: Sequence[str]) -> Iterator[str]:
    """Yield weights of layers with a norm layer of as many units registered right after them."""
    for parent_name, parent in module.named_modules():
        children = list(parent.named_children())
        for (name, part), (_, after) in itertools.pairwise(children):
            weight = getattr(part, "weight", None)
            full = f"{parent_name}.{name}.weight".lstrip(".")
            n_units = getattr(after, "num_features", None) or next(
                iter(getattr(after, "normalized_shape", ())), None
            )
            n_own = len(weight) if isinstance(weight, Tensor) and full in names else None
            if isinstance(after, NORMS) and n_own is not None and n_own == n_units:
                yield full
