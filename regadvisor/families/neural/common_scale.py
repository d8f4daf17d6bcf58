"""Are the features on a common scale already? Then a caller's module gets them as they are.

People who train a network of their own mostly scale their data before it: standardised columns, pixels
divided by 255, indicators. Advice is about that network on these numbers, so scaling them again would make it
about another one. Prices beside ages, missing values and categories cannot be meant to go in as they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from regadvisor import thresholds
from regadvisor.data.columns import column_stats
from regadvisor.data.numbers import Numbers, moments
from regadvisor.families.neural.module.inputs import inputs_of
from regadvisor.records import DataFacts

if TYPE_CHECKING:
    from regadvisor.data.arrays import Values


def is_on_common_scale(features: Values, facts: DataFacts, channels: NDArray[np.intp] | None = None) -> bool:
    """Return whether features can go into a network as they are.

    All have to be numbers, none missing, and none large: within [-1, 1], or of a mean and a standard
    deviation near those of standardised columns. Most must not be tiny. Constant columns do not count. Images
    and sequences are judged by channel. All rows are looked at, once: every fold gets the same answer.

    `features` (n_rows, n_features). `channels` (n_features,): the channel of every number of a row; -1 for
    numbers of an embedding, which are not judged. By default those of images, whose rows enter as usual.

    >>> from regadvisor.data.source import make_table
    >>> X, y = np.random.default_rng(0).normal(size=(50, 3)), np.arange(50.0)
    >>> [is_on_common_scale(t.X, t.facts) for t in (make_table(X, y), make_table(X * [1, 10, 1], y))]
    [True, False]
    """
    if any(column.kind != "numeric" or column.has_missing for column in facts.columns):
        return False
    numbers = Numbers(values=features, at=list(range(facts.n_features)))
    found, (mean, variance) = column_stats(numbers), moments(numbers)
    low, high, squares = found.low, found.high, variance + np.square(mean)
    if channels is None:
        channels = inputs_of(facts, None).channels()
    if channels is not None:
        judged = channels[channels >= 0]
        if not judged.size:
            return True
        groups = pd.DataFrame({"low": low, "high": high, "mean": mean, "squares": squares}).groupby(channels)
        by_channel = groups.agg({"low": "min", "high": "max", "mean": "mean", "squares": "mean"})
        low, high, mean, squares = by_channel[by_channel.index >= 0].to_numpy().T
    varies = high > low
    if not varies.any():
        return False
    sd = np.sqrt(np.maximum(squares - mean**2, 0.0))
    is_bounded = (low >= -thresholds.COMMON_BOUND) & (high <= thresholds.COMMON_BOUND)
    smallest, largest = thresholds.COMMON_SD
    is_large = ~is_bounded & ((np.abs(mean) > thresholds.COMMON_MEAN) | (sd > largest))
    is_small = (sd < smallest) & ~(is_bounded & (high - low >= thresholds.COMMON_RANGE))
    return bool(not is_large[varies].any() and np.mean(~is_small[varies]) >= thresholds.COMMON_SHARE)


def are_codes(features: Values, facts: DataFacts) -> bool:
    """Return whether all features are whole numbers from 0 on, which an embedding can look up.

    >>> from regadvisor.data.source import make_table
    >>> X, y = np.array([[3.0, 0.0], [900.0, 2.0]]), np.arange(2.0)
    >>> [are_codes(t.X, t.facts) for t in (make_table(X, y), make_table(X + 0.5, y))]
    [True, False]
    """
    if sparse.issparse(features) or any(each.kind != "numeric" or each.has_missing for each in facts.columns):
        return False
    blocks = Numbers(values=features, at=list(range(facts.n_features))).blocks()
    return all(bool(((block >= 0) & (block == np.rint(block))).all()) for _, block in blocks)
