"""From the columns of a table to numbers on one scale, as scikit-learn steps.

The same steps are fitted inside every fold and stand in the pipeline handed to the caller, where they get
the caller's own container. They are scikit-learn's own parts wherever it has them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn import get_config
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MaxAbsScaler,
    OneHotEncoder,
    OrdinalEncoder,
    StandardScaler,
)
from sklearn.utils.metadata_routing import get_routing_for_object

from regadvisor.data.arrays import as_inputs, contain, flatten_images, plain_array
from regadvisor.families.encoding import AsNumbers, AsText, DateParts
from regadvisor.families.plain import doubled, in_double, next_number
from regadvisor.families.scaling import RobustSmoothClip
from regadvisor.families.unpenalised import Unpenalised
from regadvisor.records import Column, DataFacts
from regadvisor.thresholds import ID_LEVEL_SHARE, MOST_NETWORK_LEVELS, RAREST_IDENTIFIER_ROWS
from regadvisor.words import titled

Steps = list[tuple[str, Any]]
#: Tables of so many columns of levels are stored sparse: few columns are fast anyway.
FEWEST_SPARSE_COLUMNS = 200


def flatten(images: Any) -> NDArray[Any]:
    """Return images and sequences as rows; rows stay as they are.

    >>> flatten(np.zeros((5, 8, 8))).shape
    (5, 64)
    """
    array = plain_array(images, name="X")
    return flatten_images(array)[0] if array.ndim > 2 else array


class Joined(TransformerMixin, BaseEstimator):
    """Put the arrays of a dict or tuple side by side, as rows; rows stay as they are.

    >>> Joined().fit_transform({"a": np.zeros((2, 3)), "b": np.ones(2)}).shape
    (2, 4)
    """

    def fit(self, X: Any, y: Any = None) -> Joined:
        """Do nothing: there is nothing to learn."""
        return self

    def transform(self, X: Any) -> NDArray[Any]:
        """Return rows, shape (n_rows, n_numbers)."""
        return np.asarray(X if as_inputs(X) is None else contain(X).values)

    def __sklearn_is_fitted__(self) -> bool:
        return True


def make_preprocessor(facts: DataFacts, *, for_network: bool, has_codes: bool = False) -> Any:
    """Return the unfitted preprocessing that these data need; see :func:`usual_preprocessor`.

    Around it is what makes columns that no penalty is to act on large, if there are such.
    """
    steps = usual_preprocessor(facts, for_network=for_network, has_codes=has_codes)
    return Unpenalised.of(steps, facts) if facts.unpenalised else steps


def usual_preprocessor(
    facts: DataFacts, *, for_network: bool, has_codes: bool = False
) -> Pipeline | ColumnTransformer:
    """Return the unfitted preprocessing, all columns of which are penalised.

    Numbers: the median for missing values and a 0/1 column that says so (if any column of the data has
    missing values), then standardised (linear) or scaled robustly with a smooth clip (networks).
    Categories: one-hot, with missing as a category of its own; for linear models as 0 and 2. Divided by their
    standard deviations, rare levels would hardly be penalised. Networks get the most frequent levels where
    there are very many, and the others share a column. Unknown levels are in no column or in the shared one.
    Dates: their parts. Sparse data are scaled without centring and stay sparse. Images are flattened first.

    `facts`: of the whole source, so that every fold and the full data get the same steps. `for_network`:
    whether a network is trained on the result. `has_codes`: whether categories become codes for embeddings,
    the last columns: 1, 2, …, and 0 for missing and unknown.

    It can be cloned and pickled, and gives dense arrays (sparse ones for sparse data, and for linear models
    of very many levels). Unknown categories and empty or constant columns are no error in `fit` or
    `transform`. Where the data had no missing values at all, NaN at prediction time passes through, and
    :class:`~regadvisor.families.pipeline.AdvisedPipeline` takes the usual value for it.

    >>> import pandas as pd
    >>> from regadvisor.data.source import make_table
    >>> X = pd.DataFrame({"age": [30, 40, None, 50] * 5, "sex": ["f", "m", "m", None] * 5})
    >>> table = make_table(X, np.arange(20) / 2)
    >>> steps = make_preprocessor(table.facts, for_network=False)
    >>> feature_names(steps.fit(table.X), table.facts)
    ('age', 'age missing', 'sex=f', 'sex=m', 'sex missing')
    """
    has_missing = any(column.has_missing for column in facts.columns)
    double: Steps = []
    if not for_network and facts.is_single and facts.is_plain_x and facts.task == "regression":
        # Linear regressions keep the target in the dtype of X.
        step = FunctionTransformer(in_double, accept_sparse=True, feature_names_out="one-to-one")
        double = [("double", step)]
    impute = [*as_numbers(facts), *double, *(_imputer(is_flagged=True) if has_missing else [])]
    if facts.container == "sparse":
        scaler = MaxAbsScaler() if for_network else StandardScaler(with_mean=False)
        return Pipeline([*impute, ("scale", scaler)])
    if all(column.kind == "numeric" for column in facts.columns):
        images: Steps = [] if facts.image_shape is None else [("flatten", FunctionTransformer(flatten))]
        return Pipeline([*images, *impute, *_scaler(for_network)])
    # Column numbers are positions to scikit-learn, in frames as well as in arrays.
    # NumPy, with which scikit-learn looks columns up, leaves out a NUL at the end.
    is_named = all(isinstance(column.name, str) and column.name[-1:] != "\0" for column in facts.columns)
    orders = [column.date_order for column in _of_kind(facts, "date")]
    formats = [column.date_format for column in _of_kind(facts, "date")]
    parts_of = DateParts(orders=orders if any(orders) else None, formats=formats if any(formats) else None)
    dates: Steps = [("parts", parts_of)]
    levels = {} if has_codes else _level_branches(facts, for_network=for_network)
    branches = {
        "numeric": ([*impute, *_scaler(for_network)], _of_kind(facts, "numeric")),
        **levels,
        "date": ([*dates, *_imputer(is_flagged=False), *_scaler(for_network)], _of_kind(facts, "date")),
    }
    if has_codes:
        branches["codes"] = (_codes(), _of_kind(facts, "categorical"))
    position = {column.name: j for j, column in enumerate(facts.columns)}
    parts = [
        (name, Pipeline(steps), [column.name if is_named else position[column.name] for column in columns])
        for name, (steps, columns) in branches.items()
        if columns
    ]
    return ColumnTransformer(parts)


def as_numbers(facts: DataFacts) -> Steps:
    """Return the step that reads numbers which scikit-learn does not read by itself, if there are any."""
    return [] if facts.is_plain_x else [("numbers", AsNumbers())]


def _imputer(*, is_flagged: bool) -> Steps:
    imputer = SimpleImputer(strategy="median", add_indicator=is_flagged, keep_empty_features=True)
    return [("impute", imputer)]


def _scaler(for_network: bool) -> Steps:
    return [("scale", RobustSmoothClip() if for_network else StandardScaler())]


def _of_kind(facts: DataFacts, kind: str) -> list[Column]:
    return [column for column in facts.columns if column.kind == kind]


def _level_branches(facts: DataFacts, *, for_network: bool) -> dict[str, tuple[Steps, list[Column]]]:
    """Return the encoders of categorical columns, by name, each with its columns.

    Every level has a column of its own: the penalty shrinks those that few rows speak for. Not so in columns
    that look like identifiers, where what is met only once teaches nothing. A network pays for each column in
    every step, so it gets the most frequent levels where there are very many.
    """
    columns = _of_kind(facts, "categorical")
    n_levels = [column.n_levels or 0 for column in columns]
    most = _most_levels(n_levels) if for_network else None
    is_sparse = not for_network and sum(n_levels) >= FEWEST_SPARSE_COLUMNS
    is_id = [n > ID_LEVEL_SHARE * facts.n_rows for n in n_levels]

    twice = FunctionTransformer(doubled, accept_sparse=True, feature_names_out="one-to-one")
    scale: Steps = [] if for_network else [("scale", twice)]

    def branch(fewest_rows: int, *, of_ids: bool) -> tuple[Steps, list[Column]]:
        chosen = [column for column, own in zip(columns, is_id, strict=True) if own == of_ids]
        return [*_one_hot(fewest_rows, most, is_sparse), *scale], chosen

    return {"categorical": branch(1, of_ids=False), "identifier": branch(RAREST_IDENTIFIER_ROWS, of_ids=True)}


def _one_hot(fewest_rows: int, most: int | None, is_sparse: bool) -> Steps:
    encoder = OneHotEncoder(
        handle_unknown="infrequent_if_exist",
        # Counting text takes most of the time of fitting: only where levels may be too rare.
        min_frequency=fewest_rows if fewest_rows > 1 else None,
        max_categories=most,
        sparse_output=is_sparse,
    )
    return [("text", AsText()), ("encode", encoder)]


def _codes() -> Steps:
    encoder = OrdinalEncoder(
        handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-1, dtype=np.float32
    )
    return [("text", AsText()), ("encode", encoder), ("from_0", FunctionTransformer(next_number))]


def _most_levels(n_levels: Sequence[int]) -> int | None:
    """Return how many columns each categorical column may have; None: as many as it has levels.

    Columns with few levels leave their share to the others.

    >>> _most_levels([3, 20]), _most_levels([3, 5000]), _most_levels([5000, 5000])
    (None, 995, 500)
    """
    left, most = MOST_NETWORK_LEVELS, None
    for position, n in enumerate(sorted(n_levels)):
        share = max(2, left // (len(n_levels) - position))
        # A level and "missing", or "other", are columns as well.
        if n + 2 > share:
            most = share
            break
        left -= n + 2
    return most


def feature_names(preprocessor: Any, facts: DataFacts) -> tuple[str, ...]:
    """Return readable names of the features that come out of a fitted preprocessing for data of these facts.

    Such as ``"age"``, ``"age missing"``, ``"sex=male"``, ``"sex=other"`` (rare levels together), ``"sold:
    month"``, ``"x3"`` (arrays), ``"pixel 2,5"`` (images: row, column).
    """
    names = _column_names(facts)
    if isinstance(preprocessor, Unpenalised):
        preprocessor = preprocessor.steps_
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
        return [titled(column.name) for column in facts.columns]
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
    may_be_rare = encoder.min_frequency is not None or encoder.max_categories is not None
    rare = encoder.infrequent_categories_[j] if may_be_rare else None
    if rare is None:
        return levels
    shared = dict.fromkeys(text(level) for level in rare)
    together = next(iter(shared)) if len(shared) == 1 else f"{name}=other"
    return [level for level in levels if level not in shared] + [together]


def requested(steps: Any, weight: Any) -> dict[str, Any]:
    """Return the weights of rows for the steps of a pipeline, where one asks for them by metadata routing.

    >>> from sklearn import config_context
    >>> from sklearn.pipeline import make_pipeline
    >>> with config_context(enable_metadata_routing=True):
    ...     steps = make_pipeline(StandardScaler().set_fit_request(sample_weight=True))
    ...     requested(steps, [1.0, 2.0])
    {'sample_weight': [1.0, 2.0]}
    """
    if weight is None or not get_config()["enable_metadata_routing"]:
        return {}
    asked = get_routing_for_object(steps).consumes("fit_transform", {"sample_weight"})
    return {"sample_weight": weight} if asked else {}
