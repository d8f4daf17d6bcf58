"""Finding the layout in which rows enter the caller's module, by trying the module.

A layout fits if the module runs on a few rows, gives a row of outputs for each, and treats rows alike: in
another order they get the same outputs. (A recurrent layer takes a plain table for one long sequence, and
then every row hangs on the others.)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from regadvisor.errors import ParameterError, RegadvisorError
from regadvisor.families.neural.common_scale import are_codes
from regadvisor.families.neural.module.inputs import categories, inputs_of
from regadvisor.families.neural.module.source import ModuleSource, asked_for
from regadvisor.families.neural.parameters import copied, set_mode
from regadvisor.global_state import own_randomness
from regadvisor.records import DataFacts

if TYPE_CHECKING:
    from regadvisor.data.arrays import Values

_ATTENTION = (nn.MultiheadAttention, nn.TransformerEncoderLayer, nn.TransformerDecoderLayer)
_STEPS = (nn.RNNBase, *_ATTENTION)
_CONV_1D = (nn.Conv1d, nn.ConvTranspose1d)
_CONV_2D = (nn.Conv2d, nn.ConvTranspose2d)
_EMBEDDINGS = (nn.Embedding, nn.EmbeddingBag)
_N_TRIED = 6


def find_layout(source: ModuleSource, facts: DataFacts, features: Values | None = None) -> str:
    """Return the first layout in which the module runs on rows of these data, or the likeliest if none does.

    `source`: where modules come from, in the usual layout. `features`: all rows; only they show whether
    numbers may be tokens.
    """
    model, usual, n_flat = source.model, source.inputs.layout, source.n_flat
    if not isinstance(model, nn.Module) and "cardinalities" in asked_for(model) and categories(facts):
        return "codes"
    layouts = list(_candidates(source, facts, features))
    if layouts == [usual]:
        return usual
    turned = None
    for layout in layouts:
        rows = _some_rows(n_flat, features if layout in ("tokens", "inputs") else None)
        tried = replace(source, inputs=inputs_of(facts, layout).on(rows))
        if _fits(tried, rows):
            if not _is_turned_inside(tried, rows):
                return layout
            turned = turned or ("channels-first" if facts.image_shape and layout == "sequence" else layout)
    return turned or layouts[0]


def _some_rows(n_flat: int, features: Values | None) -> Tensor:
    """Return a few rows: real ones, or normal numbers."""
    if features is not None and not hasattr(features, "tocsr"):
        rows = np.asarray(features[:_N_TRIED], dtype=np.float32)
        return torch.from_numpy(np.resize(rows, (_N_TRIED, rows.shape[1])).copy())
    return torch.randn(_N_TRIED, n_flat, generator=torch.Generator().manual_seed(0), dtype=torch.float32)


def _candidates(source: ModuleSource, facts: DataFacts, features: Values | None) -> Iterator[str]:
    """Yield the layouts that make sense for the data and the layers of the module, the likeliest first."""
    usual = source.inputs.layout
    if facts.inputs:
        yield from ("inputs", "inputs-as-floats")
        return
    kinds = _layers(source)
    has_tokens = features is not None and _EMBEDDINGS in kinds and are_codes(features, facts)
    steps = ["sequence", "channels"] if _CONV_1D not in kinds or _STEPS in kinds else ["channels", "sequence"]
    is_table = facts.image_shape is None
    if has_tokens and is_table:
        yield "tokens"
    if categories(facts) or not (is_table or len(facts.image_shape or ()) == 2):
        yield from (usual, *([] if is_table else ["image-last", "flat"]))
        return
    if _CONV_1D in kinds or _STEPS in kinds:
        if is_table or _CONV_2D in kinds:
            yield usual
        yield from (*steps, "steps-first")
    yield from dict.fromkeys((usual, "flat", *([] if is_table else steps)))


def _layers(source: ModuleSource) -> list[tuple[type[nn.Module], ...]]:
    """Return the kinds of layers that say how rows enter."""
    try:
        parts = list(source.draw(0).modules())
    except RegadvisorError:  # a factory that only knows another layout
        return [_STEPS, _CONV_1D, _EMBEDDINGS] if source.inputs.layout == "flat" else [_STEPS]
    known: Sequence[tuple[type[nn.Module], ...]] = (_STEPS, _CONV_1D, _CONV_2D, _EMBEDDINGS)
    return [kind for kind in known if any(isinstance(part, kind) for part in parts)]


def _fits(source: ModuleSource, rows: Tensor) -> bool:
    """Return whether the module takes rows in this layout, and treats each by itself."""
    try:
        there, back = _both_ways(source, source.draw(0), rows)
    except Exception:  # what is wrong is said when the module is looked at
        return False
    is_width = there.shape[1] in {source.n_outputs, 1 if source.n_outputs == 2 else source.n_outputs}
    return is_width and torch.allclose(there, back, rtol=1e-3, atol=1e-4, equal_nan=True)


def _both_ways(source: ModuleSource, module: nn.Module, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Return the outputs of a copy for rows, and those it gives to them in the opposite order."""
    tried, found = set_mode(copied(module), is_training=False), []
    for order in (rows, rows.flip(0)):
        with own_randomness(0, rows.device), torch.no_grad():
            found.append(source.call(tried, order))
    there, turned = found
    # (n_rows · n_heads, n_outputs)
    return there, turned.reshape(len(rows), -1, turned.shape[1]).flip(0).reshape(turned.shape)


def _is_turned_inside(source: ModuleSource, rows: Tensor) -> bool:
    """Return whether the first convolution over steps gets them as its channels.

    So it is if the module turns what is turned already; a factory that builds the convolution by the shape
    that it is told hides that.
    """
    if source.inputs.layout not in ("channels", "sequence"):
        return False
    module = set_mode(copied(source.draw(0)), is_training=False)
    seen: list[tuple[int, ...]] = []
    for part in module.modules():
        if isinstance(part, _CONV_1D):
            part.register_forward_pre_hook(lambda _, given: seen.append(tuple(given[0].shape[1:])))
    with own_randomness(0), torch.no_grad():
        source.call(module, rows)
    steps, channels = source.inputs.parts[0].shape
    return steps != channels and seen[:1] == [(steps, channels)]


def check_rows_apart(source: ModuleSource, module: nn.Module, rows: Tensor) -> None:
    """Raise ParameterError if a module of steps gives a row outputs that hang on the rows beside it.

    `module`: left as it is. `rows` (n_rows, n_flat).
    """
    if not any(isinstance(part, _STEPS) for part in module.modules()):
        return  # others may mean to look at the batch
    there, back = _both_ways(source, module, rows)
    if torch.allclose(there, back, rtol=1e-2, atol=1e-3 * (1.0 + float(there.abs().max())), equal_nan=True):
        return
    raise ParameterError(
        "model must give each row outputs that do not hang on the other rows of the batch (in evaluation "
        f"mode), got others in another order; it takes {source.inputs.described()} here. Recurrent and "
        "attention layers need batch_first=True, or Recipe(layout='steps-first')"
    )
