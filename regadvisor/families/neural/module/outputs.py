"""What a module returns, as one row of outputs for each row of the batch.

A module may return several things; one of them is the prediction. It may predict several times for each row
(TabM: k heads). Every head is trained by the loss on its own, and predictions are averaged: probabilities of
classes, else the numbers (Gorishniy et al. 2025, arXiv:2410.24210).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from regadvisor.errors import ParameterError

#: Which of the things that a module returns is the prediction.
Output = int | str | Callable[[Any], Tensor] | None
#: The name of the prediction in what models of transformers return, which is a mapping.
_LOGITS = "logits"


def place_in(returned: Any, output: Output = None) -> Any:
    """Return where the prediction is among the things that a module returned; None: it returned nothing else.

    >>> place_in(torch.zeros(2)), place_in((torch.zeros(2), None)), place_in({"aux": 1, "logits": 2})
    (None, 0, 'logits')
    """
    if output is not None:
        return output
    if isinstance(returned, Mapping) and returned:
        return _LOGITS if _LOGITS in returned else next(iter(returned))
    if hasattr(returned, _LOGITS):
        return _LOGITS
    return 0 if isinstance(returned, Sequence) and returned else None


def prediction_in(returned: Any, output: Output = None) -> Any:
    """Return the prediction among the things that a module returned.

    `output`: its place, its name, or a function that takes it out. ``None``: the first; of a mapping
    "logits". A tensor alone is the prediction: other things may be returned in training only.

    Raises ParameterError if it is not there.

    >>> prediction_in((torch.zeros(2), None)).shape, prediction_in({"aux": 1, "logits": 2})
    (torch.Size([2]), 2)
    """
    if callable(output):
        return output(returned)
    place = place_in(returned, output)
    if place is None or isinstance(returned, Tensor):
        return returned
    try:
        if isinstance(place, str) and not isinstance(returned, Mapping) and hasattr(returned, place):
            return getattr(returned, place)
        return returned[place]
    except (KeyError, IndexError, TypeError) as error:
        raise ParameterError(
            f"output must name one of the things that the module returns, got {output!r} for "
            f"{_described(returned)}; pass its number, its name, or a function as Recipe(output=...)"
        ) from error


def rows_of(returned: Any, n_rows: int, n_outputs: int, output: Output = None) -> Tensor:
    """Return the prediction as (n_rows · n_heads, n_outputs), the heads of a row one after the other.

    Raises ParameterError if it is no tensor, or has not a row for each of the inputs.
    """
    outputs = prediction_in(returned, output)
    if not isinstance(outputs, Tensor):
        raise ParameterError(
            "model must return a tensor of predictions, or it first among others, got "
            f"{_described(returned)}; say which by Recipe(output=...): a number, a name or a function"
        )
    if outputs.ndim == 1:
        outputs = outputs.unsqueeze(1)
    if is_spread(outputs.shape[1:], n_outputs):
        outputs = outputs.flatten(1)
    if outputs.ndim not in (2, 3) or len(outputs) != n_rows:
        raise ParameterError(
            f"model must return a tensor of shape (rows, {n_outputs}), or (rows, heads, {n_outputs}), got "
            f"{tuple(outputs.shape)} for {n_rows} rows"
            "; take it out by Recipe(output=...), as lambda returned: returned[-1]. A module of tokens with "
            "the steps first needs forward(x) to begin with x = x.T"
        )
    return outputs.flatten(0, 1) if outputs.ndim == 3 else outputs


def is_spread(shape: Sequence[int], n_outputs: int) -> bool:
    """Return whether the outputs of a row have several axes, as steps of a forecast with their channels.

    >>> is_spread((5, 3), 15), is_spread((10, 1, 1), 10), is_spread((8, 3), 3), is_spread((2, 1), 2)
    (True, True, False, False)
    """
    is_heads = len(shape) == 2 and (shape[1] == n_outputs or n_outputs == 2)
    return len(shape) > 1 and math.prod(shape) == n_outputs and not is_heads


def _described(returned: Any) -> str:
    if isinstance(returned, Mapping):
        return f"{type(returned).__name__} of {', '.join(map(str, returned))}"
    if isinstance(returned, tuple | list):
        return f"{type(returned).__name__} of {', '.join(type(each).__name__ for each in returned)}"
    return type(returned).__name__


def merged(outputs: Tensor, n_heads: int, *, is_classification: bool) -> Tensor:
    """Return one prediction for each row: the mean over the heads, of classes that of the probabilities.

    Shapes: `outputs` (..., n_rows · n_heads, n_outputs), of classes logits (two columns for two classes);
    returns (..., n_rows, n_outputs), of classes logarithms of probabilities if there are several heads.

    >>> merged(torch.tensor([[1.0], [3.0]]), 2, is_classification=False)
    tensor([[2.]])
    """
    if n_heads == 1:
        return outputs
    by_head = outputs.reshape(*outputs.shape[:-2], -1, n_heads, outputs.shape[-1])
    if not is_classification:
        return by_head.mean(-2)
    return torch.logsumexp(torch.log_softmax(by_head, -1), -2) - math.log(n_heads)
