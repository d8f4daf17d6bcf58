"""From the columns of a table to numbers on one scale, as scikit-learn steps.

The same steps are fitted inside every fold and stand in the pipeline handed to the caller, where they get
the caller's own container. They are scikit-learn's own parts wherever it has them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, MaxAbsScaler, OneHotEncoder, StandardScaler

from regadvisor.data.arrays import flatten_images
from regadvisor.families.encoding import AsNumbers, AsText, DateParts
from regadvisor.families.scaling import RobustSmoothClip
from regadvisor.records import DataFacts
from regadvisor.thresholds import MOST_CATEGORIES, RAREST_CATEGORY_ROWS, RAREST_CATEGORY_SHARE

Steps = list[tuple[str, Any]]


def flatten(images: Any) -> NDArray[Any]:
    """Return images as rows; rows stay as they are.

    Examples
    --------
    >>> flatten(np.zeros((5, 8, 8))).shape
    (5, 64)
    """
    array = np.asarray(images)
    return flatten_images(array)[0] if array.ndim > 2 else array


def in_double(X: Any) -> Any:
    """Return a table of numbers as float64.

    Examples
    --------
    >>> in_double(np.zeros((2, 2), dtype=np.float32)).dtype
    dtype('float64')
    """
    return X.astype(np.float64) if hasattr(X, "tocsr") else np.asarray(X, dtype=np.float64)


def make_preprocessor(facts: DataFacts, *, for_network: bool) -> Pipeline | ColumnTransformer:
    """Return the unfitted preprocessing that these data need.

    Numbers: the median for missing values and a 0/1 column that says so (if any column of the data has
    missing values), then standardised (linear) or scaled robustly with a smooth clip (networks).
    Categories: one-hot, with missing as a category of its own and rare or unknown levels in a shared one;
    standardised for the linear family, so that a penalty treats them like the other features. Dates:
    their parts. Sparse data are scaled without centring and stay sparse. Images are flattened first.

    Parameters
    ----------
    facts : DataFacts
        Of the whole source, so that every fold and the full data get the same steps.
    for_network : bool
        Whether a network is trained on the result.

    Returns
    -------
    Pipeline or ColumnTransformer
        It can be cloned and pickled, and gives dense arrays (sparse for sparse data). Unknown categories
        and empty or constant columns are no error in `fit` or `transform`. Where the data had no missing
        values at all, NaN at prediction time passes through to the model, which says so.

    Examples
    --------
    >>> import pandas as pd
    >>> from regadvisor.data.source import make_table
    >>> X = pd.DataFrame({"age": [30, 40, None, 50] * 5, "sex": ["f", "m", "m", None] * 5})
    >>> table = make_table(X, np.arange(20) / 2)
    >>> steps = make_preprocessor(table.facts, for_network=False)
    >>> feature_names(steps.fit(table.X), table.facts)
    ('age', 'age missing', 'sex=f', 'sex=m', 'sex missing')
    """
    has_missing = any(column.has_missing for column in facts.columns)
    impute = [
        *as_numbers(facts),
        *([] if for_network else _double(facts)),
        *(_imputer(is_flagged=True) if has_missing else []),
    ]
    if facts.container == "sparse":
        scaler = MaxAbsScaler() if for_network else StandardScaler(with_mean=False)
        return Pipeline([*impute, ("scale", scaler)])
    if all(column.kind == "numeric" for column in facts.columns):
        images: Steps = [] if facts.image_shape is None else [("flatten", FunctionTransformer(flatten))]
        return Pipeline([*images, *impute, *_scaler(for_network)])
    # Column numbers are positions to scikit-learn, in frames as well as in arrays.
    is_named = all(isinstance(column.name, str) for column in facts.columns)
    orders = [column.date_order for column in facts.columns if column.kind == "date"]
    branches = {
        "numeric": [*impute, *_scaler(for_network)],
        "categorical": [*_one_hot(facts), *([] if for_network else _scaler(for_network))],
        "date": [
            ("parts", DateParts(orders=orders if any(orders) else None)),
            *_imputer(is_flagged=False),
            *_scaler(for_network),
        ],
    }
    parts = []
    for kind, steps in branches.items():
        at = [column.name if is_named else j for j, column in enumerate(facts.columns) if column.kind == kind]
        if at:
            parts.append((kind, Pipeline(steps), at))
    return ColumnTransformer(parts)


def as_numbers(facts: DataFacts) -> Steps:
    """Return the step that reads numbers which scikit-learn does not read by itself, if there are any."""
    return [] if facts.is_plain_x else [("numbers", AsNumbers())]


def _double(facts: DataFacts) -> Steps:
    """Return the step that makes float32 float64: linear regressions keep the target in the dtype of X."""
    is_needed = facts.is_single and facts.is_plain_x and facts.task == "regression"
    return [("double", FunctionTransformer(in_double, accept_sparse=True))] if is_needed else []


def _imputer(*, is_flagged: bool) -> Steps:
    imputer = SimpleImputer(strategy="median", add_indicator=is_flagged, keep_empty_features=True)
    return [("impute", imputer)]


def _scaler(for_network: bool) -> Steps:
    return [("scale", RobustSmoothClip() if for_network else StandardScaler())]


def _one_hot(facts: DataFacts) -> Steps:
    # A share, so that a sample and the full data get the same columns; in small data a number of rows.
    share = min(0.5, max(RAREST_CATEGORY_SHARE, round(RAREST_CATEGORY_ROWS / facts.n_rows, 4)))
    encoder = OneHotEncoder(
        handle_unknown="infrequent_if_exist",
        min_frequency=share,
        max_categories=MOST_CATEGORIES,
        sparse_output=False,
    )
    return [("text", AsText()), ("encode", encoder)]


# -------------------------------------------------------------------------------------------- names


def feature_names(preprocessor: Pipeline | ColumnTransformer, facts: DataFacts) -> tuple[str, ...]:
    """Return readable names of the features that come out of a fitted preprocessing.

    Parameters
    ----------
    preprocessor : Pipeline or ColumnTransformer
        From :func:`make_preprocessor`, fitted.
    facts : DataFacts
        The facts it was made from.

    Returns
    -------
    tuple of str
        Such as ``"age"``, ``"age missing"``, ``"sex=male"``, ``"sex=other"`` (rare levels together),
        ``"sold: month"``, ``"x3"`` (arrays), ``"pixel 2,5"`` (images: row, column).
    """
    names = _column_names(facts)
    if not isinstance(preprocessor, ColumnTransformer):
        return tuple(_names_through(preprocessor, names))
    position = {column.name: j for j, column in enumerate(facts.columns)}
    result: list[str] = []
    for kind, steps, at in preprocessor.transformers_:
        if kind != "remainder":
            chosen = [names[position[name] if isinstance(name, str) else name] for name in at]
            result += _names_through(steps, chosen)
    return tuple(result)


def _column_names(facts: DataFacts) -> list[str]:
    if facts.image_shape is None:
        return [name if isinstance(name, str) else f"x{name}" for name in (c.name for c in facts.columns)]
    *channels, height, width = facts.image_shape
    pixels = [f"pixel {row},{column}" for row in range(height) for column in range(width)]
    if not channels:
        return pixels
    return [f"{pixel} channel {channel}" for channel in range(channels[0]) for pixel in pixels]


def _names_through(steps: Pipeline, names: list[str]) -> list[str]:
    for _, step in steps.steps:
        if isinstance(step, SimpleImputer) and step.indicator_ is not None:
            names = names + [f"{names[j]} missing" for j in step.indicator_.features_]
        elif isinstance(step, OneHotEncoder):
            names = [text for j, name in enumerate(names) for text in _level_names(step, j, name)]
        elif isinstance(step, DateParts):
            pairs = [(name, part) for name, parts in zip(names, step.parts_, strict=True) for part in parts]
            names = [f"{name} missing" if part == "missing" else f"{name}: {part}" for name, part in pairs]
    return names


def _level_names(encoder: OneHotEncoder, j: int, name: str) -> list[str]:
    def text(level: object) -> str:
        return f"{name}={level}" if isinstance(level, str) else f"{name} missing"

    levels = [text(level) for level in encoder.categories_[j]]
    rare = encoder.infrequent_categories_[j]
    if rare is None:
        return levels
    shared = [text(level) for level in rare]
    together = shared[0] if len(shared) == 1 else f"{name}=other"
    return [level for level in levels if level not in shared] + [together]
