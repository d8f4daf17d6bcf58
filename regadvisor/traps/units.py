"""Columns in two units: kilograms and pounds, inches and centimetres, degrees of two kinds.

The values fall into two parts that are far apart, and those of one part, turned into the unit of the other,
lie where the others do. Two kinds of things may do so as well, so a quick model has to be better for it.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from regadvisor import thresholds
from regadvisor.records import Note
from regadvisor.traps.view import View, as_columns, error, neighbours, random_folds, ridge
from regadvisor.words import number

#: Units in pairs, that of smaller numbers first: how to turn these into the other (factor, what is added).
_UNITS = {
    "such as kilograms and pounds": (2.20462, 0.0),
    "such as inches and centimetres": (2.54, 0.0),
    "such as metres and feet": (3.28084, 0.0),
    "such as miles and kilometres": (1.60934, 0.0),
    "such as degrees Celsius and Fahrenheit": (1.8, 32.0),
    "such as degrees Celsius and kelvins": (1.0, 273.15),
    **{f"one {k:,} times the other": (float(k), 0.0) for k in (10, 12, 24, 60, 100, 1_000, 1_000_000)},
}
#: Columns that are tried together, and in how many a model is asked.
_MOST_OTHERS, _MOST_TRIED = 100, 5


def two_units(view: View, *, seed: int) -> tuple[tuple[Note, ...], tuple[int, ...]]:
    """Return warnings about columns in two units, and where these stand in the table; `seed` draws folds."""
    table = view.table
    notes: list[Note] = []
    found: list[int] = []
    if table.facts.image_shape is not None or len(view.rows) < thresholds.LEAK_CURVE_ROWS:
        return (), ()
    y = as_columns(view.targets, is_classification=table.is_classification)
    folds = random_folds(len(y), np.random.default_rng(seed))
    is_number = not table.is_classification and table.n_targets == 1
    at = view.varying[~view.is_category[view.varying] & ~view.is_date[view.varying]]
    ordered = view.ordered[at]
    n_low, each = _in_two(np.nan_to_num(ordered)), np.arange(len(at))
    by = view.encoded[0][:, np.isin(view.encoded[1], at[n_low == 0])][:, :_MOST_OTHERS]
    may_be = (n_low > 0) & (ordered[each, n_low // 4] < ordered[each, n_low * 3 // 4])  # rather than zeros
    at = at[may_be | np.isnan(ordered[:, -1])]
    columns = [*[-1] * is_number, *at.tolist()]  # -1: the target
    like = ((j, _units_of(y[:, 0] if j < 0 else view.values[:, j])) for j in columns)
    for j, units in islice(((j, units) for j, units in like if units is not None), _MOST_TRIED):
        if j >= 0 and _tell_apart(by, units[1] == view.values[:, j], folds):
            continue
        other, own = view, units[1][:, None]
        if j >= 0:
            other, own = replace(view, values=np.where(np.arange(len(view.at)) == j, own, view.values)), y
        before, after = _loss(view, j, y, folds), _loss(other, j, own, folds)
        if before - after >= max(thresholds.EXTREME_HARM * before, thresholds.UNITS_GAIN):
            found += [int(view.at[j])] if j >= 0 else []
            text = (
                f"{'the target' if j < 0 else view.names([j])} seems to be in two units, {units[0]}: "
                f"{units[2]:.0%} of the rows in one, the others in the other. A quick model's held-out error "
                f"is {number(before)} of the variance, and {number(after)} with all rows in one unit."
            )
            notes.append(Note(code="two-units", text=text, is_warning=True))
    return tuple(notes), tuple(found)


def _tell_apart(features: NDArray[np.float64], part: NDArray[np.bool_], folds: NDArray[np.intp]) -> bool:
    """Whether measurements tell which part a row is in, as they do of the depths of two seas."""
    y = part[:, None].astype(np.float64)
    losses = (error(predict(features, y, folds), y) for predict in (ridge, neighbours))
    return features.shape[1] > 0 and min(losses) < thresholds.UNITS_TOLD


def _loss(view: View, j: int, y: NDArray[np.float64], folds: NDArray[np.intp]) -> float:
    """Return the error of a quick model by a column and others."""
    features, origin = view.encoded
    chosen = np.argsort(origin != j, kind="stable")[:_MOST_OTHERS]
    return error(ridge(features[:, chosen], y, folds), y)


def _units_of(column: NDArray[np.float64]) -> tuple[str, NDArray[np.float64], float] | None:
    """Return two units that a column seems to be in, the column in one, and the share of rows in the other.

    Examples
    --------
    >>> height = np.random.default_rng(0).normal(172, 9, size=200)
    >>> units, _, share = _units_of(np.where(np.arange(200) < 30, height / 2.54, height))
    >>> units, round(share, 2), _units_of(height)
    ('such as inches and centimetres', 0.15, None)
    """
    values = np.sort(column[np.isfinite(column)])
    n_low = int(_in_two(values))
    low, high = values[:n_low], values[n_low:]
    n_few = min(len(low), len(high))
    if n_few < max(thresholds.UNITS_FEWEST_ROWS, thresholds.UNITS_SHARE * len(values)):
        return None
    quarters = np.quantile(high, [0.25, 0.5, 0.75])
    for units, (factor, added) in _UNITS.items():
        own = factor * np.quantile(low, [0.25, 0.5, 0.75]) + added
        narrow, wide = sorted((float(own[2] - own[0]), float(quarters[2] - quarters[0])))
        is_near = abs(own[1] - quarters[1]) <= thresholds.UNITS_NEAR * narrow
        if is_near and 0 < wide <= thresholds.UNITS_ALIKE * narrow:
            return units, np.where(column < high[0], factor * column + added, column), n_few / len(values)
    return None


def _in_two(values: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return how many of sorted values are in the lower of two parts that are far apart; 0 if none are.

    `values` (..., n_values): positive ones by their logarithms.
    """
    n = values.shape[-1]
    values = np.where(values[..., :1] > 0, np.log(np.maximum(values, 1e-300)), values)
    shares = 1 / np.arange(1, n) + 1 / np.arange(n - 1, 0, -1)
    centred = values - values.mean(axis=-1, keepdims=True)
    between = np.abs(np.cumsum(centred, axis=-1)[..., :-1]) * shares
    # What is left of the squares around the means of the two parts.
    left = np.square(centred).sum(axis=-1, keepdims=True) - between**2 / shares
    at = np.argmin(left, axis=-1, keepdims=True)
    far = thresholds.UNITS_APART * np.sqrt(np.maximum(np.take_along_axis(left, at, axis=-1), 0.0) / n)
    return np.where(np.take_along_axis(between, at, axis=-1) >= far, at + 1, 0)[..., 0]
