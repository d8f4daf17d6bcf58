"""Steps of ours as a reader would write them: scripts get their source in place of an import from regadvisor.

On the data of the advice they give the numbers that ours give (``tests/test_plain_steps.py``). They check no
input, and read dates as pandas does: text in one format. Functions that need no more are ours, too.
"""
# Scripts show what is below as it is: no annotations, and one line of documentation.
# ruff: noqa: D102
# mypy: ignore-errors

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin


class AsText(TransformerMixin, BaseEstimator):
    """Categories as text; missing values are one category."""

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        frame = X.to_pandas() if hasattr(X, "to_pandas") else pd.DataFrame(X)
        texts = frame.astype(object).map(
            lambda v: str(int(v)) if isinstance(v, (float, np.floating)) and v == v // 1 else str(v)
        )
        return texts.where(frame.notna(), np.nan).to_numpy(dtype=object)

    def get_feature_names_out(self, names=None):
        return names


class DateParts(TransformerMixin, BaseEstimator):
    """Dates as numbers: year, month, day, weekday, hour where there are times of day, and days since 1970."""

    def __init__(self, *, formats=None):
        self.formats = formats

    def fit(self, X, y=None):
        parts = [self._parts(X, j) for j in range(X.shape[1])]
        self.used_ = [[k for k in each if k not in ("hour", "missing") or each[k].any()] for each in parts]
        return self

    def transform(self, X):
        return np.column_stack([self._parts(X, j)[k] for j, used in enumerate(self.used_) for k in used])

    def _parts(self, X, j):
        dates = (X.to_pandas() if hasattr(X, "to_pandas") else pd.DataFrame(X)).iloc[:, j]
        if dates.dtype.kind == "m":
            return {"days": dates / pd.Timedelta(days=1), "missing": dates.isna()}
        if self.formats and self.formats[j]:
            texts = dates.map(lambda v: str(int(v)) if isinstance(v, float) else str(v), na_action="ignore")
            dates = pd.to_datetime(texts, format=self.formats[j], utc=True)
        elif isinstance(dates.dtype, pd.PeriodDtype):
            dates = dates.dt.to_timestamp()
        dates = pd.to_datetime(dates, utc=True).dt.tz_localize(None)
        parts = {name: getattr(dates.dt, name) for name in ("year", "month", "day", "day_of_week")}
        parts["hour"] = (dates - dates.dt.normalize()) / pd.Timedelta(hours=1)
        return parts | {
            "days": (dates - pd.Timestamp("1970-01-01")) / pd.Timedelta(days=1),
            "missing": dates.isna(),
        }


class RobustSmoothClip(TransformerMixin, BaseEstimator):
    """The middle half of a column becomes about 1 wide; values stay within 3."""

    def fit(self, X, y=None):
        shares = [0, 0.25, 0.5, 0.75, 1]
        low, first, self.center_, third, high = np.nanquantile(np.asarray(X, float), shares, axis=0)
        scale = np.where(third > first, third - first, (high - low) / 2)
        self.scale_ = np.where(scale > 0, scale, np.inf)
        return self

    def transform(self, X):
        z = (np.asarray(X, float) - self.center_) / self.scale_
        return z / np.hypot(1, z / 3)


class ChannelScaler(TransformerMixin, BaseEstimator):
    """Every channel of flat images or sequences has mean 0 and standard deviation 1."""

    def __init__(self, n_channels=1, *, is_last=False):
        self.n_channels = n_channels
        self.is_last = is_last

    def fit(self, X, y=None):
        numbers = self._by_channel(X)
        self.mean_, self.scale_ = numbers.mean((0, 2)), numbers.std((0, 2))
        self.scale_[self.scale_ == 0] = 1.0
        return self

    def transform(self, X):
        scaled = (self._by_channel(X) - self.mean_[:, None]) / self.scale_[:, None]
        return (scaled.swapaxes(1, 2) if self.is_last else scaled).reshape(len(X), -1)

    def _by_channel(self, X):
        shape = (len(X), -1, self.n_channels) if self.is_last else (len(X), self.n_channels, -1)
        numbers = np.asarray(X, dtype=float).reshape(shape)
        return numbers.swapaxes(1, 2) if self.is_last else numbers


class Joined(TransformerMixin, BaseEstimator):
    """The arrays of a dict or tuple side by side, as rows."""

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        arrays = X.values() if isinstance(X, dict) else X
        return np.hstack([np.asarray(each, dtype=float).reshape(len(each), -1) for each in arrays])


def next_number(codes):
    """Codes from 0, with -1 for unknown ones, as codes from 1, with 0."""
    return codes + 1


# One that half of the rows have varies as standardised numbers do: Gelman 2008, Stat. Med. 27:2865.
def doubled(levels):
    """Levels as 0 and 2, on the scale of standardised numbers."""
    return 2.0 * levels


def in_double(X):
    """Numbers in double precision."""
    return X.astype(np.float64) if hasattr(X, "astype") else X.cast(float)  # of polars


def flatten(images):
    """Images as rows."""
    return np.asarray(images).reshape(len(images), -1)
