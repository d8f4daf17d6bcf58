"""Preprocessing in front of the caller's own module: images and sequences by channel, tables as usual.

Scaling every pixel by itself would blow up the empty corners of an image and change its shapes.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted, validate_data

from regadvisor.errors import DataError
from regadvisor.families.neural.encoded import network_preprocessor
from regadvisor.families.neural.recipe import SEQUENCES
from regadvisor.families.preprocess import make_preprocessor
from regadvisor.families.scaling import RobustSmoothClip
from regadvisor.records import DataFacts

#: Bytes of an image; images of so few greys are no sign of bytes.
_LARGEST_PIXEL, _FEWEST_GREYS = 255.0, 32.0


class ChannelScaler(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Standardise flattened images channel by channel.

    Parameters
    ----------
    n_channels : int, default 1
        The rows are ``channels × height × width`` numbers, channel after channel.
    is_last : bool, default False
        The rows are ``steps × channels`` numbers, step after step.

    Attributes
    ----------
    mean_, scale_ : ndarray of float64, shape (n_channels,)
        Over all pixels of all rows; a scale of 0 (one grey everywhere) becomes 1.
    range_ : str or None
        What pixels go up to, if that can be told: bytes are not to be mixed with shares.

    Examples
    --------
    >>> ChannelScaler().fit_transform([[0.0, 1.0], [2.0, 1.0]]).round(2).tolist()
    [[-1.41, 0.0], [1.41, 0.0]]
    """

    def __init__(self, n_channels: int = 1, *, is_last: bool = False) -> None:
        self.n_channels = n_channels
        self.is_last = is_last

    def fit(self, X: Any, y: Any = None) -> ChannelScaler:
        """Learn mean and standard deviation of each channel."""
        X = validate_data(self, X, dtype=[np.float64, np.float32])
        pixels = self._by_channel(X)
        self.mean_ = pixels.mean(axis=(0, 2), dtype=np.float64)
        deviation = pixels.std(axis=(0, 2), dtype=np.float64)
        self.scale_ = np.where(deviation > 0, deviation, 1.0)
        self.range_ = _pixel_range(X)
        return self

    def transform(self, X: Any) -> NDArray[np.floating[Any]]:
        """Return the scaled rows, shape (n_rows, n_pixels)."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=[np.float64, np.float32], reset=False)
        own = _pixel_range(X)
        if None not in (own, self.range_) and own != self.range_:
            raise DataError(
                f"X must hold pixels {self.range_}, as those of fit(), got pixels {own}; convert them, as by "
                "X / 255"
            )
        scaled: NDArray[np.floating[Any]] = (self._by_channel(X) - self.mean_[:, None]) / self.scale_[:, None]
        return (scaled.swapaxes(1, 2) if self.is_last else scaled).reshape(X.shape)

    def _by_channel(self, X: NDArray[Any]) -> NDArray[Any]:
        """Return rows as (n_rows, n_channels, numbers of a channel)."""
        if self.is_last:
            return X.reshape(len(X), -1, self.n_channels).swapaxes(1, 2)
        return X.reshape(len(X), self.n_channels, -1)


def _pixel_range(X: NDArray[Any]) -> str | None:
    """Return whether numbers are pixels from 0 to 255 or from 0 to 1; None: neither for sure.

    >>> _pixel_range(np.array([0.0, 200.0])), _pixel_range(np.array([0.0, 0.5])), _pixel_range(np.zeros(3))
    ('from 0 to 255', 'from 0 to 1', None)
    """
    low, high = float(X.min(initial=0.0)), float(X.max(initial=0.0))
    if low < 0 or high > _LARGEST_PIXEL or high == 0:
        return None
    is_whole = bool((np.floor(X) == X).all())
    if is_whole:
        return "from 0 to 255" if high > _FEWEST_GREYS else None
    return "from 0 to 1" if high <= 1 else None


def module_preprocessor(facts: DataFacts, transform: str, layout: str | None) -> Pipeline | ColumnTransformer:
    """Return the unfitted preprocessing in front of the caller's own module.

    Tables as for the mlp family; images and sequences are flattened and scaled by channel, tokens are left
    alone. With ``transform="none"`` everything is taken as it is.

    `layout`: how rows enter the module; see :class:`~regadvisor.families.neural.module.inputs.Inputs`.

    Raises DataError if images have missing values, or features are to be taken as they are and are not all
    numbers.
    """
    if layout == "codes":
        return make_preprocessor(facts, for_network=True, has_codes=True)
    shape = facts.image_shape
    if transform == "none" or layout == "tokens":
        return network_preprocessor(facts, "none")
    if facts.inputs:
        return Pipeline([*network_preprocessor(facts, "none").steps, ("scale", _input_scaler(facts, layout))])
    if layout in SEQUENCES:
        is_last = layout != "channels-first"
        n_channels = shape[-1 if is_last else 0] if shape is not None and len(shape) == 2 else 1
        scaler = ChannelScaler(n_channels, is_last=is_last)
    elif shape is not None:
        scaler = ChannelScaler(shape[0] if len(shape) == 3 else 1)
    else:
        return network_preprocessor(facts, transform)
    return Pipeline([*network_preprocessor(facts, "none").steps, ("scale", scaler)])


def _input_scaler(facts: DataFacts, layout: str | None) -> ColumnTransformer:
    """Return what scales each of several inputs: tables by column, others by channel, codes not at all."""
    parts, start = [], 0
    for number, each in enumerate(facts.inputs):
        stop = start + math.prod(each.shape)
        scaler: Any = RobustSmoothClip()
        if each.is_whole and layout != "inputs-as-floats":
            scaler = "passthrough"
        elif len(each.shape) > 1:
            is_last = len(each.shape) == 2
            scaler = ChannelScaler(each.shape[-1] if is_last else each.shape[0], is_last=is_last)
        parts.append((each.name or f"input_{number}", scaler, slice(start, stop)))
        start = stop
    return ColumnTransformer(parts)
