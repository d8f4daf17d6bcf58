"""Dropout layers of a module that take their masks from outside.

A rate per network, and masks that come from a network's own random numbers whatever it is trained beside,
are more than ``torch.nn.Dropout`` can do under ``vmap``. So in the copies that are trained every dropout
layer is replaced by one that multiplies with the next mask of a :class:`Feed`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from torch import Tensor, nn

from regadvisor.errors import ParameterError
from regadvisor.families.neural.dropout import takes_masks, with_rates_inside
from regadvisor.families.neural.parameters import keep, stays_in_eval

AnyDropout = nn.modules.dropout._DropoutNd
Module = TypeVar("Module", bound=nn.Module)

#: Layers that drop whole channels: every axis but the first two shares its mask.
_BY_CHANNEL = (nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.FeatureAlphaDropout)
#: Axes of an input that these take for one row, as torch does: its first axis holds the channels then.
_ONE_ROW = {nn.Dropout1d: 2, nn.Dropout3d: 4}
#: Layers that set units to the lower end of SELU instead of 0 (Klambauer et al. 2017, arXiv:1706.02515).
_ALPHA = (nn.AlphaDropout, nn.FeatureAlphaDropout)
#: Rows of dry passes: two sizes tell which axes of a layer's input hold the rows.
DRY_ROWS = (5, 7)
#: What SELU goes to at minus infinity: −scale · alpha.
_SELU_END = -1.7580993408473766


@dataclass(frozen=True)
class Place:
    """One call of a dropout layer in the forward pass."""

    #: Shape of the mask of one row.
    shape: tuple[int, ...]
    #: Axis of the layer's input that holds the rows (several numbers of each row one after the other, if it
    #: is longer than the batch); None: the input has no rows, and the mask of the first row is used.
    axis: int | None
    #: Length of that axis over the rows of the batch.
    n_per_row: int = 1

    def fitted(self, mask: Tensor) -> Tensor:
        """Return the mask (batch, \\*shape) in the shape of the layer's input."""
        if self.axis is None:
            return mask[0]
        if self.n_per_row > 1:
            mask = mask.reshape(mask.shape[0] * self.n_per_row, *self.shape[1:])
        return mask.movedim(0, self.axis)


class Feed:
    """Hands masks to the dropout layers of one module, in the order of their calls.

    `places`: what the layers are called with, once they are known. `seen`: shapes of masks asked for since
    `watch`.
    """

    def __init__(self) -> None:
        self.places: tuple[Place, ...] = ()
        self.seen: list[tuple[int, ...]] = []
        self._masks: Sequence[Tensor] | None = None
        self._used = 0

    def start(self, masks: Sequence[Tensor] | None) -> None:
        """Begin a forward pass; `masks` has a tensor (batch, \\*shape) per place, None drops nothing."""
        self._masks, self._used, self.seen = masks, 0, []

    def take(self, shape: tuple[int, ...]) -> Tensor | None:
        """Return the next mask for an input of `shape` (1 where it is shared), or None."""
        self.seen.append(shape)
        if self._masks is None:
            return None
        if self._used >= len(self.places):
            raise ParameterError(
                f"module must call its dropout layers equally often in every pass, got more than the "
                f"{len(self.places)} calls of the first one; call them unconditionally, without checkpoint()"
            )
        place, mask = self.places[self._used], self._masks[self._used]
        self._used += 1
        return place.fitted(mask)


class FedDropout(nn.Module):
    """A dropout layer whose mask comes from a feed; in evaluation mode it does nothing.

    `replaced`: the layer that it stands for.
    """

    def __init__(self, replaced: AnyDropout, feed: Feed) -> None:
        super().__init__()
        self.p = replaced.p
        self.feed = feed
        self.is_by_channel = isinstance(replaced, _BY_CHANNEL)
        self.axes_of_one = next((n for kind, n in _ONE_ROW.items() if isinstance(replaced, kind)), 0)
        self.is_alpha = isinstance(replaced, _ALPHA)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the inputs times the next mask."""
        if not self.training:
            return inputs
        n_own = 2 if self.is_by_channel else inputs.ndim
        n_own = 1 if inputs.ndim == self.axes_of_one else n_own
        mask = self.feed.take((*inputs.shape[:n_own], *[1] * (inputs.ndim - n_own)))
        if mask is None:
            return inputs
        return _alpha(inputs, mask) if self.is_alpha else inputs * mask


def _alpha(inputs: Tensor, mask: Tensor) -> Tensor:
    """Return inputs with units set to the end of SELU, scaled so that mean and variance stay."""
    kept_share = 1.0 / mask.amax().clamp(min=1.0)
    kept = (mask > 0).to(inputs.dtype)
    scale = (kept_share + _SELU_END**2 * kept_share * (1 - kept_share)).rsqrt()
    return scale * (inputs * kept + _SELU_END * (1 - kept) - _SELU_END * (1 - kept_share))


def with_fed_dropout(module: Module) -> tuple[Module, Feed]:
    """Replace the dropout layers of `module`, in place; return it with their feed.

    Subclasses of torch's layers with a ``forward`` of their own stay: what they do is not known.
    """
    feed = Feed()
    for parent in list(module.modules()):
        # Not `named_children`: it names a layer that is used in several places only once.
        for name, child in list(parent._modules.items()):
            if isinstance(child, AnyDropout) and takes_masks(child):
                fed = FedDropout(child, feed)
                if stays_in_eval(child):
                    keep(fed)
                setattr(parent, name, fed)
    if takes_masks(module):
        raise ParameterError("module must have weights to train, got a dropout layer")
    return module, feed


def feed_of(module: nn.Module) -> Feed:
    """Return the feed of a (copied) module whose dropout layers were replaced; a new one if it has none."""
    return next((layer.feed for layer in fed_layers(module)), Feed())


def fed_layers(module: nn.Module) -> Iterator[FedDropout]:
    """Yield the replaced dropout layers."""
    return (layer for layer in module.modules() if isinstance(layer, FedDropout))


def has_dropout(module: nn.Module) -> bool:
    """Return whether the module has dropout whose rate can be set.

    >>> has_dropout(nn.Sequential(nn.Linear(2, 2), nn.Dropout())), has_dropout(nn.Linear(2, 2))
    (True, False)
    >>> has_dropout(nn.LSTM(2, 2, num_layers=2, dropout=0.1))
    True
    """
    layers = (takes_masks(layer) or isinstance(layer, FedDropout) for layer in module.modules())
    return any(layers) or any(True for _ in with_rates_inside(module))


def places_of(few: list[tuple[int, ...]], many: list[tuple[int, ...]], sizes: tuple[int, int]) -> list[Place]:
    """Return the places from the shapes that two batches of different `sizes` asked for.

    Raises ParameterError if the number of calls depends on the batch, or two axes of an input grow with it.

    >>> places_of([(5, 8)], [(7, 8)], (5, 7))
    [Place(shape=(8,), axis=0, n_per_row=1)]
    >>> places_of([(3, 10, 8)], [(3, 14, 8)], (5, 7))
    [Place(shape=(2, 3, 8), axis=1, n_per_row=2)]
    """
    if len(few) != len(many):
        raise ParameterError(
            f"module must call its dropout layers equally often in every pass, got {len(few)} and "
            f"{len(many)} calls for {sizes[0]} and {sizes[1]} rows"
        )
    return [_place(a, b, sizes) for a, b in zip(few, many, strict=True)]


def _place(few: tuple[int, ...], many: tuple[int, ...], sizes: tuple[int, int]) -> Place:
    grown = [axis for axis, (a, b) in enumerate(zip(few, many, strict=True)) if a != b]
    if not grown:
        return Place(shape=few, axis=None)
    axis = grown[0]
    if len(grown) > 1 or few[axis] * sizes[1] != many[axis] * sizes[0] or few[axis] % sizes[0]:
        raise ParameterError(
            f"module must drop units of inputs with one axis for the rows, got inputs of shape {few} for "
            f"{sizes[0]} rows and {many} for {sizes[1]}"
        )
    n_per_row = few[axis] // sizes[0]
    others = (*few[:axis], *few[axis + 1 :])
    return Place(shape=(n_per_row, *others) if n_per_row > 1 else others, axis=axis, n_per_row=n_per_row)
