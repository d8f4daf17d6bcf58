"""X and y as ``advise()`` takes them, for full training: the rows that count, and a target that is plain."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from regadvisor.data.arrays import contain
from regadvisor.data.datasets import unpacked
from regadvisor.data.rows import as_series, as_target, check_length, has_target, read_weight, scaled_weight
from regadvisor.data.table import is_column, take_rows
from regadvisor.data.target import plain_target
from regadvisor.data.written_target import with_numbers
from regadvisor.errors import DataError


def training_rows(
    X: Any, y: Any, *, is_classification: bool, sample_weight: Any = None
) -> tuple[Any, NDArray[Any], NDArray[np.float64] | None]:
    """Return features, target and weights of the rows that ``advise()`` uses of the same data.

    Rows without a target or of weight 0 are left out; X stays as it is where none are.

    `X` (n_rows, n_features). `y` (n_rows,). `sample_weight` (n_rows,).

    `y` (n_rows,) or (n_rows, n_targets): numbers, or labels as they stand in ``DataFacts.classes``.

    Raises DataError, ParameterError if y or the weights cannot be used.

    >>> training_rows([[1.0], [2.0], [4.0]], [b"no", None, b"yes"], is_classification=True)[1].tolist()
    ['no', 'yes']
    """
    X, y = unpacked(X, y)
    values = as_target(y)
    if not is_classification:
        values, _ = with_numbers(values, task="regression")
    are_texts = is_column(X)
    n_rows = X.shape[0] if len(getattr(X, "shape", ())) > 1 else len(X) if are_texts else contain(X).shape[0]
    check_length(values, n_rows, name="y")
    is_used, weight = has_target(values), None
    if sample_weight is not None:
        given = as_series(sample_weight, name="sample_weight")
        check_length(given, n_rows, name="sample_weight")
        weight = read_weight(given)
        is_used = is_used & (weight > 0)
    if not is_used.any():
        raise DataError("y must have a value in some rows, got NaN or None (or weight 0) in all of them")
    if not is_used.all():
        rows = np.flatnonzero(is_used)
        X, values = take_rows(X, rows) if are_texts else contain(X).take(rows).values, values.iloc[rows]
        weight = None if weight is None else scaled_weight(weight[rows])
    return X, plain_target(values, is_classification=is_classification), weight
