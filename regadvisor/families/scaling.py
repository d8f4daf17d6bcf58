"""Robust scaling with a smooth clip, the scaling for networks."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted, validate_data

from regadvisor.thresholds import SMOOTH_CLIP_LIMIT


class RobustSmoothClip(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Centre by the median, scale by the interquartile range, and clip smoothly.

    ``z = (x − median) / IQR`` becomes ``z / sqrt(1 + (z / limit)²)``, so outliers stay ordered but never
    leave ±`limit`. Where the quartiles are equal, half the range replaces the IQR; a constant column
    becomes 0. Missing values stay missing.

    Parameters
    ----------
    limit : float, default 3.0
        Bound of the output.

    Attributes
    ----------
    center_, scale_ : ndarray, shape (n_features,)
        Median, and what is divided by (infinite for constant columns).

    References
    ----------
    Holzmüller, Grinsztajn, Steinwart: Better by default: strong pre-tuned MLPs and boosted trees on tabular
    data (NeurIPS 2024), section B.2.

    Examples
    --------
    >>> X = np.array([[0.0], [1.0], [2.0], [3.0], [1e9]])
    >>> RobustSmoothClip().fit_transform(X).ravel().round(2).tolist()
    [-0.95, -0.49, 0.0, 0.49, 3.0]
    """

    def __init__(self, *, limit: float = SMOOTH_CLIP_LIMIT) -> None:
        self.limit = limit

    def fit(self, X: Any, y: Any = None) -> RobustSmoothClip:
        """Learn median and scale of the columns of `X` (n_rows, n_features)."""
        values = self._checked(X, reset=True)
        low, first, median, third, high = _quantiles(values)
        scale = _no_rounding_noise(third - first, first, third)
        fallback = _no_rounding_noise((high - low) / 2, low, high)
        scale = np.where(scale > 0, scale, fallback)
        # Dividing by infinity gives the 0 that a constant or empty column should have.
        is_used = (scale > 0) & np.isfinite(median)
        self.center_ = np.where(np.isfinite(median), median, 0.0).astype(values.dtype)
        self.scale_ = np.where(is_used, scale, np.inf).astype(values.dtype)
        return self

    def transform(self, X: Any) -> NDArray[np.floating[Any]]:
        """Return the scaled and clipped values (n_rows, n_features)."""
        check_is_fitted(self)
        values = self._checked(X, reset=False)
        bound = np.sqrt(np.finfo(values.dtype).max)
        with np.errstate(over="ignore"):
            scaled = (values - self.center_.astype(values.dtype)) / self.scale_.astype(values.dtype)
        scaled = np.clip(scaled, -bound, bound)
        # hypot does not overflow where the square would.
        clipped: NDArray[np.floating[Any]] = scaled / np.hypot(1.0, scaled / self.limit).astype(values.dtype)
        return clipped

    def _checked(self, X: Any, *, reset: bool) -> NDArray[np.floating[Any]]:
        values: NDArray[np.floating[Any]] = validate_data(
            self, X, reset=reset, dtype=[np.float64, np.float32], ensure_all_finite="allow-nan"
        )
        return values

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def is_centred(step: Any) -> bool:
    """Return whether the usual value of each number (mean or median) is 0 after a fitted preprocessing."""
    step = getattr(step, "steps_", step)  # Unpenalised
    step = step.named_transformers_.get("numeric") if isinstance(step, ColumnTransformer) else step
    last = step[-1] if isinstance(step, Pipeline) else step
    return isinstance(last, RobustSmoothClip) or (isinstance(last, StandardScaler) and bool(last.with_mean))


def _quantiles(values: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Return minimum, quartiles and maximum of every column, shape (5, n_columns); NaN for empty ones."""
    shares = [0.0, 0.25, 0.5, 0.75, 1.0]
    has_missing = np.isnan(values).any(axis=0)
    result = np.full((5, values.shape[1]), np.nan)
    if not has_missing.all():
        result[:, ~has_missing] = np.quantile(values[:, ~has_missing].astype(np.float64), shares, axis=0)
    for j in np.flatnonzero(has_missing):
        present = values[~np.isnan(values[:, j]), j]
        if present.size:
            result[:, j] = np.quantile(present.astype(np.float64), shares)
    return result


def _no_rounding_noise(
    width: NDArray[np.float64], low: NDArray[np.float64], high: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the width, or 0 where it is no more than the rounding of its ends (and where it is NaN)."""
    noise = 10 * np.finfo(np.float64).eps * np.maximum(np.abs(low), np.abs(high))
    return np.where(width > noise, width, 0.0)
