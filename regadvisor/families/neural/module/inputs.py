"""What a module is called with: flat rows of a table in the shape, order and type that it takes.

Everything before the module (samples, folds, batches) works on flat rows of float32. A layout says how such a
row becomes the tensors that the caller's ``forward`` takes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from regadvisor.errors import ParameterError
from regadvisor.families.neural.recipe import LAYOUTS, SEQUENCES
from regadvisor.records import Column, DataFacts, InputFacts
from regadvisor.words import counted

#: The order in which a module gets the axes (rows, steps, channels) of sequences.
_ORDERS = {"sequence": (), "channels": (0, 2, 1), "steps-first": (1, 0, 2), "channels-first": ()}


@dataclass(frozen=True, kw_only=True)
class Part:
    """One tensor that a module is called with."""

    #: `start`, `stop`: its columns in a flat row.
    start: int
    stop: int
    #: What one row holds.
    shape: tuple[int, ...]
    #: The order in which the module gets the axes, that of the rows among them; empty: as they are.
    axes: tuple[int, ...] = ()
    #: Whether it is int64 (numbers of embeddings), else float32.
    is_whole: bool = False
    #: The argument that it is passed as.
    name: str | None = None

    def of(self, x: Tensor) -> Tensor:
        """Return the tensor that flat rows (n_rows, n_flat) hold for this part."""
        own = x if self.stop - self.start == x.shape[1] else x[:, self.start : self.stop]
        own = own.reshape(len(x), *self.shape)
        if self.axes:
            own = own.permute(*self.axes)
        return own.long() if self.is_whole else own


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """The layout of the rows, and the data that it is for.

    >>> import torch
    >>> rows = torch.arange(12.0).reshape(2, 6)
    >>> [tuple(each.shape) for each in Inputs(layout="channels", shape=(3, 2), n_flat=6).arguments(rows)[0]]
    [(2, 2, 3)]
    >>> Inputs(layout="sequence", n_flat=6).asked()
    {'n_features': 1, 'input_shape': (6, 1)}
    """

    #: One of ``LAYOUTS``; see :class:`~regadvisor.families.neural.recipe.Recipe`.
    layout: str = "flat"
    #: What one row of an array of three or four axes holds; empty: the rows of a table.
    shape: tuple[int, ...] = ()
    #: Codes of each categorical column (layout "codes").
    cardinalities: tuple[int, ...] = ()
    #: The arrays of a tuple or dict (layouts "inputs" and "inputs-as-floats").
    given: tuple[InputFacts, ...] = ()
    #: Numbers in a flat row.
    n_flat: int = 0
    #: One more than the largest token (layout "tokens").
    n_tokens: int = 0
    #: Columns of the table that flat rows are made of; 0: not known.
    n_columns: int = 0

    def on(self, x: Tensor) -> Inputs:
        """Return the same layout for these rows, shape (n_rows, n_flat)."""
        n_tokens = int(x.max()) + 1 if self.layout == "tokens" and x.numel() else 0
        return replace(self, n_flat=x.shape[1], n_tokens=n_tokens)

    @property
    def parts(self) -> tuple[Part, ...]:
        """The tensors that the module is called with."""
        n, layout = self.n_flat, self.layout
        if layout == "codes":
            n_numbers = n - len(self.cardinalities)
            return (
                Part(start=0, stop=n_numbers, shape=(n_numbers,)),
                Part(start=n_numbers, stop=n, shape=(len(self.cardinalities),), is_whole=True),
            )
        if self.given:
            return self._given()
        if layout in SEQUENCES:
            return (Part(start=0, stop=n, shape=self.shape or self._steps, axes=_ORDERS[layout]),)
        if layout.startswith("image"):
            axes = (0, 2, 3, 1) if layout == "image-last" else ()
            return (Part(start=0, stop=n, shape=self._pixels, axes=axes),)
        return (Part(start=0, stop=n, shape=(n,), is_whole=layout == "tokens"),)

    def _given(self) -> tuple[Part, ...]:
        parts, start = [], 0
        for each in self.given:
            stop = start + math.prod(each.shape)
            is_whole = each.is_whole and self.layout == "inputs"
            parts.append(Part(start=start, stop=stop, shape=each.shape, is_whole=is_whole, name=each.name))
            start = stop
        return tuple(parts)

    @property
    def _steps(self) -> tuple[int, ...]:
        """Steps and channels of a sequence."""
        if len(self.shape) == 2:
            return self.shape[::-1] if self.layout == "channels-first" else self.shape
        return (self.n_flat, 1)

    @property
    def _pixels(self) -> tuple[int, int, int]:
        """Channels, height and width of an image."""
        *channels, height, width = self.shape
        return (channels[0] if channels else 1, height, width)

    @property
    def is_image(self) -> bool:
        """Whether pixels come as (channels, height, width), so that their order in memory can be chosen."""
        return self.layout == "image"

    def arguments(self, x: Tensor) -> tuple[tuple[Tensor, ...], dict[str, Tensor]]:
        """Return what the module is called with for flat rows (n_rows, n_flat): in order, and by name."""
        made = [(part.name, part.of(x)) for part in self.parts]
        if made[0][0] is None:
            return tuple(tensor for _, tensor in made), {}
        return (), {str(name): tensor for name, tensor in made}

    def asked(self) -> dict[str, Any]:
        """Return what a factory may ask for about the features, by name."""
        shapes = [
            tuple(part.shape[axis - 1] for axis in part.axes if axis) or part.shape for part in self.parts
        ]
        n_features = self.n_flat - len(self.cardinalities)
        if self.layout in SEQUENCES:
            n_features = self._steps[1]
        told: dict[str, Any] = {"n_features": n_features, "input_shape": shapes[0]}
        if self.given:
            names = [part.name for part in self.parts]
            told["input_shape"] = tuple(shapes) if names[0] is None else dict(zip(names, shapes, strict=True))
        if self.layout == "codes":
            told["cardinalities"] = self.cardinalities
        if self.layout == "tokens":
            told["n_tokens"] = self.n_tokens
        return told

    def code(self, n_columns: int) -> tuple[str, str]:
        """Return code: what is called on flat rows once, and what the module is called with for `rows`.

        The second is all of it where a module gets several tensors, or the rows are not the first axis.
        """
        if self.layout == "codes":
            n_codes = len(self.cardinalities)
            return "", f"rows[:, :-{n_codes}], rows[:, -{n_codes}:].long()"
        made = []
        for part in replace(self, n_flat=n_columns).parts:
            view = "" if len(part.shape) == 1 else f".view({', '.join(map(str, (-1, *part.shape)))})"
            order = f".permute{part.axes}" if part.axes else ""
            made.append(view + order + (".long()" if part.is_whole else ""))
        if self.given:
            return "", ", ".join(
                f"{'' if part.name is None else part.name + '='}rows[:, {part.start}:{part.stop}]{shaping}"
                for part, shaping in zip(self.parts, made, strict=True)
            )
        return ("", f"rows{made[0]}") if self.layout == "steps-first" else (made[0], "rows")

    def channels(self) -> NDArray[np.intp] | None:
        """Return the channel of every number of a row, -1 for numbers of an embedding; None: of a table."""
        if not (self.given or self.shape or self.layout in (*SEQUENCES, "tokens")):
            return None
        is_flat = self.shape and self.layout == "flat"
        own, numbers, start = (replace(self, layout="image") if is_flat else self), [], 0
        for part in own.parts:
            found = _channels((*part.shape, 1) if self.layout == "channels-first" else part.shape)
            numbers.append(np.full(len(found), -1) if part.is_whole else start + found)
            start += int(found.max()) + 1
        return np.concatenate(numbers)

    def described(self) -> str:
        """Return what the module gets, as in "30 steps of 2 channels: (rows, steps, channels)"."""
        if self.layout == "codes":
            return (
                f"two tensors: {counted(self.n_flat - len(self.cardinalities), 'number')}, and "
                f"{counted(len(self.cardinalities), 'code')} of categories as int64 (0: missing or unknown)"
            )
        if self.given:
            return ", ".join(
                f"{part.name or 'input ' + str(number)} ({', '.join(map(str, ('rows', *part.shape)))}) as "
                f"{'int64' if part.is_whole else 'float32'}"
                for number, part in enumerate(self.parts)
            )
        if self.layout in SEQUENCES:
            orders = {"sequence": "(rows, steps, channels)", "steps-first": "(steps, rows, channels)"}
            steps, n_channels = self._steps
            return (
                f"sequences of {counted(steps, 'step')} and {counted(n_channels, 'channel')} as "
                f"{orders.get(self.layout, '(rows, channels, steps)')}"
            )
        if self.layout.startswith("image"):
            n_channels, height, width = self._pixels
            order = "(rows, height, width, channels)" if self.layout == "image-last" else ""
            return f"images of shape {(n_channels, height, width)} {order or '(channels, height, width)'}"
        if self.layout == "tokens":
            return f"{counted(self.n_flat, 'token')} a row as int64 (rows, tokens)"
        more = f" (of {counted(self.n_columns, 'column')}: one-hot categories, marks of missing values)"
        return counted(self.n_flat, "encoded feature") + more * (self.n_columns not in (0, self.n_flat))


def _channels(shape: tuple[int, ...]) -> NDArray[np.intp]:
    """Return the channel of every number of a flattened row of this shape, channels first in images.

    >>> _channels((2, 1, 2)).tolist(), _channels((2, 2)).tolist()
    ([0, 0, 1, 1], [0, 1, 0, 1])
    """
    n = math.prod(shape)
    return np.arange(n) // (n // shape[0]) if len(shape) == 3 else np.arange(n) % (shape or (1,))[-1]


def inputs_of(facts: DataFacts, layout: str | None) -> Inputs:
    """Return a layout for data of these facts; None: the one of rows whose module was not looked at.

    Raises ParameterError if the data cannot be laid out so.
    """
    layout = layout or ("inputs" if facts.inputs else "image" if facts.image_shape else "flat")
    if layout not in LAYOUTS:
        raise ParameterError(f"layout must be one of {LAYOUTS}, got {layout!r}")
    shape, n_categories = facts.image_shape or (), len(categories(facts))
    got = _container(facts)
    wrong = {
        "'inputs' is for a tuple or dict of arrays": layout.startswith("inputs") != bool(facts.inputs),
        "reshape X to (n, height, width)": layout.startswith("image") and not shape,
        "it is for a frame with categories": layout == "codes" and not n_categories,
        "pass numbers of shape (n, steps) or (n, steps, channels)": layout in (*SEQUENCES, "tokens")
        and (n_categories > 0 or len(shape) > 2),
    }
    for why, is_wrong in wrong.items():
        if is_wrong:
            raise ParameterError(f"layout must fit the data, got {layout!r} for {got}; {why}")
    cardinalities = tuple(1 + (column.n_levels or 0) for column in categories(facts))
    return Inputs(
        layout=layout,
        shape=shape,
        cardinalities=cardinalities if layout == "codes" else (),
        given=facts.inputs,
        n_columns=0 if shape or facts.inputs else facts.n_features,
    )


def _container(facts: DataFacts) -> str:
    if facts.inputs:
        return f"{len(facts.inputs)} arrays"
    if facts.image_shape:
        return f"an array (n, {', '.join(map(str, facts.image_shape))})"
    return f"a table of {counted(facts.n_features, 'column')}"


def categories(facts: DataFacts) -> list[Column]:
    """Return the columns of categories."""
    return [column for column in facts.columns if column.kind == "categorical"]
