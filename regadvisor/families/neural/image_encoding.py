"""Images for convolutions: one mean and one standard deviation for each channel, not for each pixel.

Scaling every pixel by itself would blow up the empty corners of an image and change its shapes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import Tensor

from regadvisor.families.base import Fold
from regadvisor.families.neural.encoded import network_preprocessor
from regadvisor.records import DataFacts


class ChannelScaler(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Standardise flattened images channel by channel.

    Parameters
    ----------
    n_channels : int, default 1
        The rows are ``channels × height × width`` numbers, channel after channel.

    Attributes
    ----------
    mean_, scale_ : ndarray of float64, shape (n_channels,)
        Over all pixels of all rows; a scale of 0 (one grey everywhere) becomes 1.

    Examples
    --------
    >>> ChannelScaler().fit_transform([[0.0, 1.0], [2.0, 1.0]]).round(2).tolist()
    [[-1.41, 0.0], [1.41, 0.0]]
    """

    def __init__(self, n_channels: int = 1) -> None:
        self.n_channels = n_channels

    def fit(self, X: Any, y: Any = None) -> ChannelScaler:
        """Learn mean and standard deviation of each channel."""
        X = validate_data(self, X, dtype=[np.float64, np.float32])
        pixels = X.reshape(len(X), self.n_channels, -1)
        self.mean_ = pixels.mean(axis=(0, 2), dtype=np.float64)
        deviation = pixels.std(axis=(0, 2), dtype=np.float64)
        self.scale_ = np.where(deviation > 0, deviation, 1.0)
        return self

    def transform(self, X: Any) -> NDArray[np.floating[Any]]:
        """Return the scaled rows, shape (n_rows, n_pixels)."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=[np.float64, np.float32], reset=False)
        pixels = X.reshape(len(X), self.n_channels, -1)
        scaled: NDArray[np.floating[Any]] = (pixels - self.mean_[:, None]) / self.scale_[:, None]
        return scaled.reshape(X.shape)


def channels_first(facts: DataFacts) -> tuple[int, int, int] | None:
    """Return (channels, height, width) of the rows, or None if they are no images."""
    if facts.image_shape is None:
        return None
    *channels, height, width = facts.image_shape
    return (channels[0] if channels else 1, height, width)


def module_preprocessor(facts: DataFacts, transform: str) -> Pipeline | ColumnTransformer:
    """Return the unfitted preprocessing in front of the caller's own module.

    Tables as for the mlp family; images are flattened and scaled by channel. With ``transform="none"``
    everything is taken as it is.

    Raises
    ------
    DataError
        If images have missing values, or features are to be taken as they are and are not all numbers.
    """
    shape = channels_first(facts)
    if shape is None or transform == "none":
        return network_preprocessor(facts, transform)
    return Pipeline([*network_preprocessor(facts, "none").steps, ("scale", ChannelScaler(shape[0]))])


def scaled_in_folds(x: Tensor, folds: Sequence[Fold], n_channels: int) -> Tensor:
    """Return images scaled by channel, with each fold's own training rows, as :class:`ChannelScaler` does.

    Parameters
    ----------
    x : Tensor of float32, shape (n_folds · n_rows, n_pixels)
        The sample once for each fold, one below the other.
    folds : sequence of Fold
    n_channels : int
    """
    scaled = torch.empty_like(x)
    pairs = zip(x.view(len(folds), -1, x.shape[1]), scaled.view(len(folds), -1, x.shape[1]), strict=True)
    for fold, (own, out) in zip(folds, pairs, strict=True):
        rows = own.cpu().numpy()
        scaler = ChannelScaler(n_channels).fit(rows[fold.train])
        out.copy_(torch.from_numpy(scaler.transform(rows)))
    return scaled
